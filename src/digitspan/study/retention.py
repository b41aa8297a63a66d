"""The retention span: the length up to which half of the runs are solved within a budget.

S50(b) is read from the posterior of study/surface.py: its median, with the central 95 %. What lies
beyond the lengths that were run, at about the best rate, is not reported: that end of the interval
is open. Times to solve are stored, so the same runs tell the span within every smaller budget.

Two things that the surface cannot describe are looked for, and mark a span: lengths whose solved
shares differ from it by more than chance (a posterior predictive check), and a hole, a length
below the span that is not solved where it should be easy. Nothing above a hole counts.

Sources: Gelman, Meng and Stern 1996 (posterior predictive p-value), Fisher 1935 (exact test). See
docs/protocol.md.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from digitspan.errors import UsageError
from digitspan.statistics import wilson
from digitspan.study.surface import (
    HIGHEST_RATE,
    LOWEST_RATE,
    Belief,
    Cells,
    Run,
    best_log_rate,
    cells_within,
    sample_surface,
    solved_share,
)

__all__ = [
    "GUARANTEE_SEEDS",
    "MISFIT",
    "Span",
    "budget_curve",
    "guaranteed_span",
    "measure_span",
    "posterior_within",
]

MISFIT = 0.05
"""A posterior predictive p-value below it marks a span."""

GUARANTEE_SEEDS = 20
"""Seeds a length from which on the guaranteed span is determined."""

_HOLE = 0.02
"""So improbable must the unsolved runs of a hole be if half of the runs were solved there."""

_SMALL_HOLE = 0.05
"""Or so, where longer lengths are solved more often, which is improbable by chance."""

_NEAR, _AS_GOOD = math.log(10) / 2, 0.8
"""A run counts for or against a hole where its rate is within half a decade of the best one, and
expected to be solved at least 0.8 times as often."""

_ATOMS = 1_000
"""Equally likely values that stand for the posterior of a span."""

_REPLICATIONS = 400
"""Simulated studies behind the posterior predictive p-value."""


class Span(NamedTuple):
    """The retention span S50(b) that a set of runs shows."""

    budget: int
    """b, in training steps."""
    s50: float
    """The posterior median; a bound where `bound` says so."""
    low: float | None
    """Lower end of the 95 % interval; None where it is below `shortest`."""
    high: float | None
    """Upper end of it; None where it is above `longest`."""
    bound: str
    """">=" or "<=" where the lengths run do not reach the span, else empty."""
    rate: float | None
    """The best learning rate at the span (posterior median), or the one that all runs had; None
    where no run was solved, which tells of no rate that it is the best."""
    rate_low: float | None
    """Lower end of its 95 % interval."""
    rate_high: float | None
    """Upper end of it."""
    lapse: float | None
    """Share of runs that fail even where it is easy (posterior mean); None likewise."""
    width: float | None
    """s: the width of the fall, in units of ln T (posterior median); None likewise."""
    misfit_p: float
    """Posterior predictive p-value of the solved shares by length."""
    hole: int | None
    """The first length of a hole below the span; None where there is none."""
    runs: int
    """Runs of which it is known whether they are solved within the budget."""
    solved: int
    """How many of them are."""
    shortest: int
    """The shortest length run at about the best rate: only there a run tells of the span."""
    longest: int
    """The longest one."""
    atoms: np.ndarray
    """Equally likely values of ln S50, ascending, shape (1000,): -inf and inf where they lie
    beyond the lengths run."""

    def __repr__(self) -> str:
        ends = ", ".join("open" if end is None else f"{end:.4g}" for end in (self.low, self.high))
        solved = f"{self.solved} of {self.runs} runs solved"
        return f"<Span {self.bound}{self.s50:.4g} [{ends}] in {self.budget:,} steps, {solved}>"

    @property
    def marked(self) -> bool:
        """Whether the surface does not describe the runs: printed as `*`."""
        return self.misfit_p < MISFIT or self.hole is not None

    def interval(self, level: float = 0.95) -> tuple[float | None, float | None]:
        """The central interval at a level; None where an end is open."""
        return central(*self.bounds(), level)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """The atoms from below and from above: beyond the lengths run, what is known of them."""
        shortest, longest = math.log(self.shortest), math.log(self.longest)
        return np.minimum(self.atoms, longest), np.maximum(self.atoms, shortest)


def central(
    lowest: np.ndarray, highest: np.ndarray, level: float
) -> tuple[float | None, float | None]:
    """The ends of a central interval, as lengths; None where an end is infinite.

    Args:
        lowest: equally likely values of a logarithm from below, shape (N,).
        highest: the same from above.
        level: of the interval.
    """
    # A small tolerance: 0.975 of 1,000 values is the 975th, whatever the last bit of the tail.
    rank = min(math.floor((1 - level) / 2 * len(lowest) + 1e-9), len(lowest) - 1)
    low = float(np.partition(lowest, rank)[rank])
    high = float(np.partition(highest, -1 - rank)[-1 - rank])
    return (
        _length(low) if math.isfinite(low) else None,
        _length(high) if math.isfinite(high) else None,
    )


def _length(log_length: float) -> float:
    """T of ln T, where the last digits are those of a logarithm."""
    return round(math.exp(log_length), 9)


def posterior_within(
    runs: Iterable[Run], budget: int, *, rate: float | None = None, draws: int = 3_000
) -> tuple[Cells, Belief]:
    """The runs counted, and what they say about the surface.

    Args:
        runs: in any order.
        budget: b, in training steps.
        rate: a fixed learning rate: only runs made at it count; by default all, at their rates.
        draws: from the posterior, at least.

    Raises:
        UsageError: where no run was trained for so long.
    """
    chosen = [run for run in runs if rate is None or run.rate == rate]
    cells = cells_within(chosen, budget)
    if not len(cells.runs):
        at = "" if rate is None else f" at a learning rate of {rate:g}"
        message = (
            f"no run{at} was trained for {budget:,} steps, so no span within them is known; "
            f"ask for a smaller budget"
        )
        raise UsageError(message)
    # A rate that was not run is not used: the best one is looked for between those that were.
    lowest, highest = (max(LOWEST_RATE, cells.rate.min()), min(HIGHEST_RATE, cells.rate.max()))
    rates = (float(lowest), float(highest)) if rate is None and lowest < highest else None
    return cells, sample_surface(cells, draws=draws, fixed_rate=rates is None, rates=rates)


def measure_span(
    runs: Iterable[Run], budget: int, *, rate: float | None = None, draws: int = 3_000
) -> Span:
    """S50(b): the largest T up to which half of the runs are solved at the best rate.

    >>> runs = [Run(5, 0.001, "solved", 100), Run(80, 0.001, "censored", 500)] * 10
    >>> span = measure_span(runs, 500, rate=0.001)
    >>> 5 < span.low < span.s50 < span.high < 80
    True

    Args:
        runs: in any order.
        budget: b, in training steps; runs that were trained for less and not solved are left out.
        rate: a fixed learning rate: S50(b) at it, from the runs made at it.
        draws: from the posterior, at least.

    Raises:
        UsageError: where no run was trained for so long.
    """
    cells, belief = posterior_within(runs, budget, rate=rate, draws=draws)
    log_best = belief.mean(best_log_rate(belief.draws, np.log(cells.length)))  # (C,)
    near = np.abs(np.log(cells.rate) - log_best) <= _NEAR
    hole = _hole(cells, belief, log_best, near)
    # A run at a hopeless rate says nothing about how long a memory its length allows. Where
    # nothing is solved, or no run is near the best rate, that rate is not known: all runs count.
    tried = near if near.any() and cells.solved.any() else np.full_like(near, fill_value=True)
    shortest, longest = cells.length[tried][[0, -1]].astype(int).tolist()
    atoms = _atoms(cells, belief, hole, math.log(shortest), math.log(longest))
    middle = float(np.clip(atoms[_ATOMS // 2], math.log(shortest), math.log(longest)))
    known = bool(cells.solved.any())
    span = Span(
        budget=budget,
        s50=_length(middle),
        low=None,
        high=None,
        bound=_bound(cells, tried, float(atoms[_ATOMS // 2])),
        **_rates(cells, belief, middle, rate),
        lapse=float(belief.mean(belief.lapse)) if known else None,
        width=float(belief.quantiles(belief.width, [0.5])[0]) if known else None,
        misfit_p=_misfit_p(cells, belief),
        hole=None if hole is None else hole.first,
        runs=int(cells.runs.sum()),
        solved=int(cells.solved.sum()),
        shortest=shortest,
        longest=longest,
        atoms=atoms,
    )
    low, high = span.interval()
    return span._replace(low=low, high=high)


def _bound(cells: Cells, tried: np.ndarray, median: float) -> str:
    """Which bound the median is: beyond an end whose own runs do not contradict it, else none."""
    if math.isfinite(median):
        return ""
    end = cells.length[tried][-1 if median > 0 else 0]
    here = tried & (cells.length == end)
    mostly = 2 * cells.solved[here].sum() >= cells.runs[here].sum()
    if median > 0:
        return ">=" if mostly else ""
    return "" if mostly else "<="


def _rates(
    cells: Cells, belief: Belief, log_length: float, rate: float | None
) -> dict[str, float | None]:
    """The best rate at a length, among those run, with its 95 % interval; or the fixed one."""
    names = ("rate_low", "rate", "rate_high")
    if rate is not None or not cells.solved.any():
        return dict.fromkeys(names, rate)
    log_rates = best_log_rate(belief.draws, np.array([log_length]))[:, 0]
    rates = np.exp(belief.quantiles(log_rates, [0.025, 0.5, 0.975]))
    rates = np.clip(rates, cells.rate.min(), cells.rate.max()).tolist()
    return dict(zip(names, rates, strict=True))


def budget_curve(
    runs: Iterable[Run], budgets: Sequence[int], *, rate: float | None = None
) -> list[Span]:
    """S50(b) within several budgets, from the same runs.

    Args:
        runs: in any order.
        budgets: of which none may be longer than any run was trained.
        rate: a fixed learning rate, as for `measure_span`.
    """
    known = list(runs)
    return [measure_span(known, budget, rate=rate) for budget in budgets]


class _Hole(NamedTuple):
    """Where lengths below the span are not solved."""

    before: int
    """The longest length below it of whose runs half are solved; 0: there is none."""
    first: int
    """The first length of it."""


def _atoms(
    cells: Cells, belief: Belief, hole: _Hole | None, shortest: float, longest: float
) -> np.ndarray:
    """Equally likely values of ln S50, ascending, infinite beyond two lengths (logarithms)."""
    steps = (np.arange(_ATOMS) + 0.5) / _ATOMS
    atoms = np.sort(belief.quantiles(belief.log_span, steps))
    if hole is not None:
        atoms = _cut(atoms, hole)
    atoms = np.where(atoms < shortest, -np.inf, np.where(atoms > longest, np.inf, atoms))
    # What is not known from any run is the prior's alone: no number is made of that.
    if not cells.solved.any():
        atoms[: _ATOMS // 2 + 1] = -np.inf
    elif np.array_equal(cells.solved, cells.runs):
        atoms[_ATOMS // 2 :] = np.inf
    return atoms


def _cut(atoms: np.ndarray, hole: _Hole) -> np.ndarray:
    """Values of ln S50 that are not above a hole: those that were lie evenly before it."""
    if not hole.before:
        lower: np.ndarray = np.minimum(atoms, math.log(hole.first) - 1e-9)
        return lower
    bottom, top = math.log(hole.before), math.log(hole.first)
    below = atoms[atoms <= bottom]
    number = len(atoms) - len(below)
    return np.concatenate([below, bottom + (np.arange(number) + 0.5) / number * (top - bottom)])


def _hole(cells: Cells, belief: Belief, log_best: np.ndarray, near: np.ndarray) -> _Hole | None:
    """The first hole; None where there is none.

    A hole is up to three neighbouring lengths below the span whose runs at about the best rate
    are so often unsolved that half of them being solved is improbable; or less improbable, but
    the runs of the longer lengths below the span are solved more often.
    """
    as_good = belief.share(cells.length, cells.rate) >= _AS_GOOD * belief.share(
        cells.length, np.exp(log_best)
    )
    near = as_good & near & (np.log(cells.length) < belief.quantiles(belief.log_span, [0.5])[0])
    lengths = np.unique(cells.length[near]).astype(int).tolist()
    counts = np.array(
        [
            (cells.solved[here].sum(), cells.runs[here].sum())
            for here in (near & (cells.length == length) for length in lengths)
        ],
        int,
    )
    for first, size in itertools.product(range(len(lengths)), (1, 2, 3)):
        inside = tuple(counts[first : first + size].sum(axis=0).tolist())
        beyond = tuple(counts[first + size :].sum(axis=0).tolist())
        here, of = counts[first].tolist()
        if 2 * here < of and _is_hole(inside, beyond):
            before = [lengths[i] for i in range(first) if 2 * counts[i, 0] >= counts[i, 1]]
            return _Hole(max(before, default=0), lengths[first])
    return None


def _is_hole(inside: tuple[int, int], beyond: tuple[int, int]) -> bool:
    """Whether runs (solved, of) are a hole below longer lengths' runs."""
    by_chance = _at_most(*inside)
    return by_chance < _HOLE or (by_chance < _SMALL_HOLE and _fewer(inside, beyond) < _HOLE)


def _at_most(solved: int, runs: int) -> float:
    """The probability of at most so many solved runs if half of them are."""
    return float(sum(math.comb(runs, k) for k in range(solved + 1)) / 2**runs)


def _fewer(inside: tuple[int, int], beyond: tuple[int, int]) -> float:
    """Fisher's exact test: the probability of at most so many solved runs inside by chance."""
    (solved, runs), (more, others) = inside, beyond
    total = math.comb(runs + others, solved + more)
    ways = (math.comb(runs, k) * math.comb(others, solved + more - k) for k in range(solved + 1))
    return sum(ways) / total


def guaranteed_span(counts: Mapping[int, tuple[int, int]]) -> float | None:
    """The largest T up to which the lower 95 % bound of the solved share is at least one half.

    Lengths are looked at from the shortest on, and the first that misses ends it: nothing above a
    hole counts, and at most 2.5 % of grids guarantee too much (a fixed sequence of tests needs no
    correction; Maurer, Hothorn and Lehmacher 1995).

    >>> grid = {5: (20, 20), 10: (20, 20), 15: (0, 20), 20: (20, 20), 60: (20, 20)}
    >>> guaranteed_span(grid)
    10.0

    Args:
        counts: runs solved, and runs, by length; at least one length.

    Returns:
        0 where not even the shortest is; None where there are fewer than 20 seeds a length up to
        the one that decides: not determined.
    """
    longest = 0.0
    for length, (solved, runs) in sorted(counts.items()):
        if runs < GUARANTEE_SEEDS:
            return None
        if wilson(solved, runs).low < 0.5:
            break
        longest = float(length)
    return longest


def _misfit_p(cells: Cells, belief: Belief) -> float:
    """How often simulated runs differ from the surface, by length, at least as much as these.

    The statistic is sum_T (O_T - E_T)^2 / (V_T + 1/4): solved runs observed, expected, and their
    variance at length T, for the surface of each draw.
    """
    drawn = belief.resampled(_REPLICATIONS)
    share = solved_share(drawn.draws, cells.length, cells.rate)  # (400, C)
    generator = np.random.default_rng(0)
    simulated = generator.binomial(cells.runs.astype(int), share)
    starts = np.flatnonzero(np.diff(cells.length, prepend=-1.0))
    expected = cells.runs * share
    variance = np.add.reduceat(expected * (1 - share), starts, axis=1) + 0.25

    def misfit(solved: np.ndarray) -> np.ndarray:
        excess: np.ndarray = np.add.reduceat(solved - expected, starts, axis=1)
        total: np.ndarray = np.sum(excess**2 / variance, axis=1)
        return total

    at_least = misfit(simulated) >= misfit(cells.solved) - 1e-9
    return float(at_least.mean())
