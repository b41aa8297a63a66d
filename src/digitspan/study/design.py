"""Where the runs of a tuned study are made: one problem over (ln T, ln rate).

First 20 runs that fill the space, four lengths at five rates each. Then rounds of eight: five are
drawn from the posterior of the surface (Thompson sampling: a drawn surface's S50 and best rate, a
little moved), of eight such draws the one that tells most about S50 a second. The other three are
made at the best rate, whatever they cost, so that the span does not rest on the surface's shape:
one at a length below the span, where it should be easy and a hole or lapses would show, two
between the span and what lies just beyond the interval's upper end. Lengths and rates are on fixed
ladders, so that they repeat.

A round follows from the completed rounds alone: it does not matter in which order their rows came,
nor whether the study was killed in between.

Sources: Thompson 1933, Watson and Pelli 1983 (QUEST), Kontsevich and Tyler 1999 (psi). See
docs/protocol.md.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from digitspan.study.surface import (
    HIGHEST_RATE,
    Belief,
    Cells,
    Run,
    best_log_rate,
    cells_within,
    sample_surface,
    solved_share,
)

__all__ = ["FIRST", "RATES", "ROUND", "Design", "Place", "ladder", "next_places"]

FIRST = 20
"""Runs of the first round."""

ROUND = 8
"""Runs of every further one."""

RATES = (
    *(float(f"{step}e{power}") for power in range(-5, 0) for step in (1, 2.2, 4.6)),
    HIGHEST_RATE,
)
"""The ladder of rates, three a decade: 1e-05, 2.2e-05, 4.6e-05, 0.0001 ... 1."""

_FIRST_LENGTHS = (0.1, 0.3, 0.5, 0.7)
"""Where the first lengths lie between the ladder's ends, in ln T."""

_FIRST_RATES = ((1e-4, 4.6e-4, 2.2e-3, 1e-2, 4.6e-2), (2.2e-4, 1e-3, 4.6e-3, 2.2e-2, 1e-1))
"""The rates of the first and third of these lengths, and of the others."""

_FIRST_AT_ONE_RATE = 8
"""Lengths of the first round where the rate is fixed."""

_DRAWS, _EQUAL = 600, 400
"""Draws of the surface behind a round, and equally weighted ones made of them."""

_UPPER = 2
"""Runs of a round at the best rate from the span upwards."""

_CANDIDATES = 8
"""Places drawn for each that is chosen."""

_MOVES = np.array([-1.0, 0.0, 1.0])
_LENGTH_MOVE, _RATE_MOVE = 0.3, 0.75
"""How far drawn places are moved, in units of ln T and ln rate."""

_REPEATED = 0.6
"""What a place already chosen in the round is still worth."""

_NEAR_LENGTH, _NEAR_RATE = 0.3, 1.2
"""Runs within these of a length and its best rate, in logarithms, tell whether it is easy."""

_NEIGHBOUR = 0.4
"""What a run at another, near length counts for that."""

_OVERHEAD = 3.0
"""What a training step costs besides its length, in steps of the recurrence."""


class Place(NamedTuple):
    """Where a run is made."""

    length: int
    """T."""
    rate: float
    """The learning rate."""


class Design(NamedTuple):
    """What a study of one condition may ask for."""

    lengths: tuple[int, ...]
    """The ladder of lengths, ascending; see `ladder`."""
    budget: int
    """Training steps a run."""
    runs: int
    """In all."""
    rates: tuple[float, ...] = RATES
    """The ladder of rates, ascending; a single one for a study at a fixed rate."""


def ladder(longest: int, *, shortest: int = 5, steps: int = 20) -> tuple[int, ...]:
    """About so many lengths, evenly spread in ln T from the shortest to the longest.

    >>> ladder(160)[:12]
    (5, 6, 7, 9, 10, 12, 15, 18, 22, 26, 31, 37)
    """
    return tuple(sorted({round(float(t)) for t in np.geomspace(shortest, longest, steps)}))


def step_cost(length: int) -> float:
    """What a training step costs, in arbitrary units, where nothing better is known."""
    return length + _OVERHEAD


def next_places(
    design: Design, runs: Iterable[Run], *, cost: Callable[[int], float] = step_cost
) -> list[Place]:
    """The next round, longest first; empty when all runs are made.

    >>> design = Design(ladder(160), budget=2_000, runs=52)
    >>> first = next_places(design, [])
    >>> len(first), len({place.length for place in first}), len({place.rate for place in first})
    (20, 4, 10)

    Args:
        design: what may be asked for.
        runs: of all completed rounds, in any order; an error is no run, and is made again first.
        cost: what a training step of a length costs, in any unit; the same in every call, so
            not a time just measured.
    """
    rows = tuple(sorted(runs))
    costs = tuple(float(cost(length)) for length in design.lengths)
    return list(_next_places(design, rows, costs))


@functools.lru_cache(maxsize=512)  # a resumed study asks for all rounds again
def _next_places(
    design: Design, runs: tuple[Run, ...], costs: tuple[float, ...]
) -> tuple[Place, ...]:
    places = _first_round(design) if not runs else _round(design, runs, np.array(costs))
    places = places[: max(design.runs - len(runs), 0)]
    return tuple(sorted(places, reverse=True))


def _first_round(design: Design) -> list[Place]:
    """Runs that fill the space."""
    low, high = np.log([design.lengths[0], design.lengths[-1]])
    if len(design.rates) == 1:
        wanted = np.linspace(low, high, _FIRST_AT_ONE_RATE)
        return [_place(design, x, math.log(design.rates[0])) for x in wanted]
    return [
        _place(design, low + share * (high - low), math.log(rate))
        for number, share in enumerate(_FIRST_LENGTHS)
        for rate in _FIRST_RATES[number % 2]
    ]


def _place(design: Design, log_length: float, log_rate: float) -> Place:
    """The nearest on the ladders."""
    return Place(
        design.lengths[int(_nearest(np.log(design.lengths), np.array(log_length)))],
        design.rates[int(_nearest(np.log(design.rates), np.array(log_rate)))],
    )


def _nearest(steps: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The index of the nearest of some ascending values."""
    nearest: np.ndarray = np.searchsorted((steps[1:] + steps[:-1]) / 2, values)
    return nearest


def _round(design: Design, runs: tuple[Run, ...], costs: np.ndarray) -> list[Place]:
    """Places that tell most about S50 a second, and some at the best rate below and above it."""
    fixed = len(design.rates) == 1
    cells = cells_within(runs, design.budget)
    belief = sample_surface(cells, fixed_rate=fixed, uneven=False, draws=_DRAWS)
    belief = belief.resampled(_EQUAL)
    places = [_sure_place(design, cells, belief), *_upper_places(design, cells, belief)]
    worth = _worth(design, belief, costs)  # (L, R)
    # The number of runs is the seed: each round has random numbers of its own.
    generator = np.random.default_rng(len(runs))
    lengths, rates = np.log(design.lengths), np.log(design.rates)
    shape = (ROUND - len(places), _CANDIDATES)
    chosen = belief.draws[generator.integers(0, len(belief.draws), shape)]
    log_length = np.clip(chosen[..., 0], lengths[0], lengths[-1])
    log_length = log_length + _LENGTH_MOVE * generator.choice(_MOVES, shape)
    log_rate = chosen[..., 3] + _RATE_MOVE * generator.choice(_MOVES, shape)
    rows, columns = _nearest(lengths, log_length), _nearest(rates, log_rate)
    for row, column in zip(rows, columns, strict=True):
        # Rounded, so that the last digits, which differ between machines, decide nothing.
        best = int(np.argmax([float(f"{value:.6g}") for value in worth[row, column]]))
        worth[row[best], column[best]] *= _REPEATED
        places.append(Place(design.lengths[row[best]], design.rates[column[best]]))
    return places


def _worth(design: Design, belief: Belief, costs: np.ndarray) -> np.ndarray:
    """By how much a run at each place is expected to lower the variance of ln S50, a second.

    Var[xi] - E Var[xi | y] = Cov(xi, P)^2 / (E[P] (1 - E[P])) for an outcome y that is solved
    with probability P; shape (L, R).
    """
    lengths, rates = np.array(design.lengths, float), np.array(design.rates)
    share = solved_share(
        belief.draws, np.repeat(lengths, len(rates)), np.tile(rates, len(lengths))
    )  # (M, L R)
    step = math.log(lengths[-1] / lengths[0]) / max(len(lengths) - 1, 1)
    # Beyond the ladder nothing can be told: how far beyond does not count.
    span = np.clip(belief.log_span, math.log(lengths[0]) - step, math.log(lengths[-1]) + step)
    expected = share.mean(axis=0)
    covariance = np.einsum("m,mc->c", span - span.mean(), share) / len(span)
    told = covariance**2 / np.maximum(expected * (1 - expected), 1e-3)
    # A solved run stops on its way: half of the budget, about.
    seconds = np.repeat(costs, len(rates)) * (1 - expected / 2)
    worth: np.ndarray = told / seconds
    return worth.reshape(len(lengths), len(rates))


def _sure_place(design: Design, cells: Cells, belief: Belief) -> Place:
    """The length below the span of which it is least sure that half of the runs solve it."""
    lengths = np.log(design.lengths)
    log_best = belief.mean(best_log_rate(belief.draws, lengths))  # (L,)
    middle = float(belief.quantiles(belief.log_span, [0.5])[0])
    below = max(int(np.searchsorted(lengths, middle - 0.1)), 1)
    away = np.abs(np.log(cells.length) - lengths[:below, None])  # (L', C)
    near_rate = np.abs(np.log(cells.rate) - log_best[:below, None]) < _NEAR_RATE
    weight = np.where(away < 1e-9, 1.0, np.where(away < _NEAR_LENGTH, _NEIGHBOUR, 0.0))
    weight *= near_rate
    runs = np.einsum("lc,c->l", weight, cells.runs)
    share = (np.einsum("lc,c->l", weight, cells.solved) + 0.5) / (runs + 1)
    sureness = (share - 0.5) / np.sqrt(share * (1 - share) / (runs + 2))
    least = int(np.argmin(np.round(sureness, 6)))
    return _place(design, float(lengths[least]), float(log_best[least]))


def _upper_places(design: Design, cells: Cells, belief: Belief) -> list[Place]:
    """The best rate at the lengths from the span to beyond its upper end that have fewest runs."""
    lengths = np.log(design.lengths)
    middle, high = belief.quantiles(belief.log_span, [0.5, 0.975])
    last = min(int(np.searchsorted(lengths, high)), len(lengths) - 1)
    first = min(max(int(np.searchsorted(lengths, middle)) - 1, 0), last)
    log_best = belief.mean(best_log_rate(belief.draws, lengths))  # (L,)
    near = np.abs(np.log(cells.rate) - log_best[:, None]) < _NEAR_RATE  # (L, C)
    near &= np.abs(np.log(cells.length) - lengths[:, None]) < 1e-9
    runs = np.einsum("lc,c->l", near.astype(float), cells.runs)
    places = []
    for _ in range(_UPPER):
        fewest = first + int(np.argmin(runs[first : last + 1]))
        runs[fewest] += 1
        places.append(_place(design, float(lengths[fewest]), float(log_best[fewest])))
    return places
