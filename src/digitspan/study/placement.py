"""Adaptive placement: the lengths at which further runs tell most about the span.

In rounds of eight, each chosen from completed rounds only, so that a study that was killed goes on
as it would have. After Watson and Pelli 1983 (QUEST) and Kontsevich and Tyler 1999 (psi).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from digitspan.study.span import Counts, fitted_share, posterior

__all__ = ["MAX_RUNS", "narrow_enough", "place_round"]

ROUND = 8
"""Runs a round."""

MAX_RUNS = 64
"""Runs a condition at most."""

STOP_FACTOR = 1.25
"""The 95 % interval of S50 is narrow enough when its ends are within this factor of its middle."""


def place_round(counts: Mapping[int, Counts], candidates: tuple[int, ...]) -> list[int]:
    """The next eight lengths: where the expected variance of ln S50 falls most.

    One of the eight is the shortest length, which tells the lapse rate. Each further choice
    counts the ones before it as if they had come out as expected.

    Args:
        counts: what is known, by length.
        candidates: the lengths to choose from, sorted.
    """
    belief = posterior(counts or {candidates[0]: Counts(0, 0)}, candidates[-1])
    log_lengths = np.log(candidates)
    share = fitted_share(log_lengths[:, None], belief.mu, belief.s, belief.lapse)  # (L, G)
    weight = belief.weight
    chosen = [candidates[0]]
    for _ in range(ROUND - 1):
        solved = share @ weight  # (L,)
        first, second = belief.mu * weight, belief.mu**2 * weight
        expected_variance = 0.0
        for outcome, probability in ((share, solved), (1 - share, 1 - solved)):
            mean = outcome @ first / probability
            variance = outcome @ second / probability - mean**2
            expected_variance = expected_variance + probability * variance
        best = int(np.argmin(expected_variance))
        chosen.append(candidates[best])
        p = solved[best]
        weight = weight * share[best] ** p * (1 - share[best]) ** (1 - p)
        weight = weight / weight.sum()
    return sorted(chosen)


def narrow_enough(counts: Mapping[int, Counts], longest: int) -> bool:
    """Whether the 95 % interval of S50 is within a factor 1.25 of its middle."""
    low, high = np.exp(posterior(counts, longest).quantiles([0.025, 0.975]))
    return bool(high / low <= STOP_FACTOR**2)
