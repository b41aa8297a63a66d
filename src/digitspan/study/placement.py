"""Adaptive placement: the lengths at which further runs tell most about the span.

In rounds of eight, each chosen from completed rounds only, so that a study that was killed goes on
as it would have. After Watson and Pelli 1983 (QUEST) and Kontsevich and Tyler 1999 (psi).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping

import numpy as np

from digitspan.study.curve import (
    COARSE,
    Counts,
    Resolution,
    fitted_share,
    parameter_grid,
    posterior,
)

__all__ = ["MAX_RUNS", "ROUND", "STOP_FACTOR", "narrow_enough", "place_round"]

ROUND = 8
"""Runs a round."""

MAX_RUNS = 64
"""Runs a condition at most."""

STOP_FACTOR = 1.25
"""The 95 % interval of S50 is narrow enough when its ends are within this factor of each other."""

_STOPPING = Resolution(0.025, 11, 7)
"""The posterior's grid for the stopping rule: of S50 alone, it needs no more."""

_NEGLIGIBLE = 1e-4
"""Points of the posterior's grid with less than this share of the likeliest one's probability."""


def place_round(counts: Mapping[int, Counts], candidates: tuple[int, ...]) -> list[int]:
    """The next eight lengths: where the expected variance of ln S50 falls most.

    One of the eight is the shortest length, which tells the lapse rate. Each further choice
    counts the ones before it as if they had come out as expected.

    Args:
        counts: what is known, by length.
        candidates: the lengths to choose from, sorted.
    """
    belief = posterior(counts, candidates[-1], COARSE)
    likely = np.flatnonzero(belief.weight > _NEGLIGIBLE * belief.weight.max())
    mu, weight = belief.mu[likely], belief.weight[likely]
    share = _shares(candidates)[:, likely]  # (L, G)
    moments = np.stack([np.ones_like(mu), mu, mu**2])  # (3, G)
    chosen = [candidates[0]]
    for _ in range(ROUND - 1):
        # Sums over the grid for runs that are solved and for runs that are not, (L, 3).
        if_solved = share @ (moments * weight).T
        if_unsolved = (moments @ weight)[None] - if_solved
        variance = sum(
            second - first**2 / probability
            for probability, first, second in (if_solved.T, if_unsolved.T)
        )
        # Rounded, so that the last digits, which differ between machines, decide nothing.
        best = int(np.argmin(np.round(variance, 9)))
        chosen.append(candidates[best])
        p = if_solved[best, 0]
        weight = weight * share[best] ** p * (1 - share[best]) ** (1 - p)
        weight = weight / weight.sum()
    return sorted(chosen)


def narrow_enough(counts: Mapping[int, Counts], longest: int) -> bool:
    """Whether the ends of the 95 % interval of S50 are within a factor 1.25 of each other."""
    low, high = posterior(counts, longest, _STOPPING).quantiles([0.025, 0.975])
    return bool(high - low <= math.log(STOP_FACTOR))


@functools.lru_cache(maxsize=4)
def _shares(candidates: tuple[int, ...]) -> np.ndarray:
    """The solved share at each length, at each point of the grid, shape (L, G)."""
    grid = parameter_grid(candidates[-1], COARSE)
    return fitted_share(np.log(candidates)[:, None], *grid)
