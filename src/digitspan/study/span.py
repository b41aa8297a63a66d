"""The memory span: the length at which half of the runs are still solved, with its interval.

p(T) = (1 - lambda) / (1 + exp((ln T - mu) / s)),   S50 = exp(mu)

where p(T) is the share of runs solved at length T, lambda (the lapse rate) the share that fails
even where it is easy, and s the width of the fall. Nobody solves a run by guessing, so p falls to
zero. The posterior is computed on a grid; mu is uniform on [ln 2, ln 4 T_max], s log-uniform on
[0.03, 0.5], lambda uniform on [0, 0.3].

Sources: Wichmann and Hill 2001 (lapses bias a threshold that ignores them), Schuett et al. 2016
(priors and posterior), Woods et al. 2011 (mean span). See docs/protocol.md, section 3.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from digitspan.statistics import wilson

__all__ = [
    "GUARANTEE_SEEDS",
    "Counts",
    "Posterior",
    "Span",
    "fitted_share",
    "isotonic",
    "measure_span",
    "posterior",
]

GUARANTEE_SEEDS = 20
"""Seeds a length from which on the guaranteed span is determined."""

_MU_POINTS, _S_POINTS, _LAMBDA_POINTS = 241, 21, 13
_BEYOND = 0.025
"""More than this share of the posterior beyond the lengths tried: they do not reach the span."""

_MISFIT = 0.05
"""A posterior predictive p-value below it: the curve does not describe the runs."""

_REPLICATIONS = 400
"""Simulated studies behind the p-value, resampled ones behind the isotonic interval."""


class Counts(NamedTuple):
    """How many runs were solved at one length."""

    solved: int
    """k."""
    runs: int
    """n, at least 1."""


class Posterior(NamedTuple):
    """What the runs say about the curve, on a grid of G = 241 x 21 x 13 points."""

    mu: np.ndarray
    """ln S50 at each point, shape (G,)."""
    s: np.ndarray
    """The width of the fall at each point, shape (G,)."""
    lapse: np.ndarray
    """lambda at each point, shape (G,)."""
    weight: np.ndarray
    """The probability of each point, shape (G,), summing to 1."""

    def mean(self, values: np.ndarray) -> float:
        """The posterior mean of something that has a value at each point, shape (G,)."""
        return float(self.weight @ values)

    def quantiles(self, probabilities: Sequence[float]) -> np.ndarray:
        """Quantiles of mu: ln S50 is below each with that probability."""
        mu, inverse = np.unique(self.mu, return_inverse=True)
        mass = np.bincount(inverse, self.weight)
        # The mass of a grid point lies around it: half of it to its left.
        quantiles: np.ndarray = np.interp(probabilities, np.cumsum(mass) - mass / 2, mu)
        return quantiles


class Span(NamedTuple):
    """The memory span that a set of runs shows."""

    s50: float
    """The length at which half of the runs are solved; a bound where `bound` says so."""
    s50_low: float | None
    """Lower end of its 95 % interval; None where `bound` is "<="."""
    s50_high: float | None
    """Upper end of it; None where `bound` is ">="."""
    bound: str
    """">=" or "<=" where the lengths tried do not reach the span, else empty."""
    method: str
    """"logistic", or "isotonic" where the logistic curve does not fit."""
    lapse: float
    """Share of runs that fail even where it is easy (posterior mean)."""
    width: float
    """s: the width of the fall, in units of ln T (posterior mean)."""
    misfit_p: float
    """Posterior predictive p-value of the logistic curve."""
    guaranteed: float | None
    """Largest T up to which the lower 95 % bound of the solved share, pooled, is at least half;
    None where there are fewer than 20 seeds a length: not determined. 0: at none."""
    mean_span: float
    """exp of the area under the pooled solved share over ln T, from the shortest length on."""


def measure_span(counts: Mapping[int, Counts]) -> Span:
    """The memory span out of solved runs a length.

    >>> span = measure_span({5: Counts(10, 10), 10: Counts(9, 10), 20: Counts(1, 10)})
    >>> round(span.s50), span.bound, span.method
    (14, '', 'logistic')

    Args:
        counts: by length T.
    """
    lengths = sorted(counts)
    belief = posterior(counts)
    low, middle, high = np.exp(belief.quantiles([0.025, 0.5, 0.975]))
    p_value = _posterior_predictive_p(belief, counts)
    method = "logistic"
    if p_value < _MISFIT or _rises(counts):
        method = "isotonic"
        low, middle, high = _isotonic_crossing(counts)
    bound = ""
    if _beyond(belief, math.log(lengths[-1])) or middle > lengths[-1]:
        bound, middle = ">=", lengths[-1]
    elif _beyond(belief, math.log(lengths[0]), above=False) or middle < lengths[0]:
        bound, middle = "<=", lengths[0]
    return Span(
        s50=float(middle),
        s50_low=None if bound == "<=" else float(low),
        s50_high=None if bound == ">=" else float(high),
        bound=bound,
        method=method,
        lapse=belief.mean(belief.lapse),
        width=belief.mean(belief.s),
        misfit_p=p_value,
        guaranteed=_guaranteed(counts),
        mean_span=_mean_span(counts),
    )


def posterior(counts: Mapping[int, Counts], longest: int | None = None) -> Posterior:
    """What is known about the curve after some runs.

    Args:
        counts: by length T.
        longest: T_max of the prior, by default the longest length in `counts`.
    """
    mu, s, lapse = _grid(longest or max(counts))
    log_likelihood = np.zeros_like(mu)
    for length, (solved, runs) in counts.items():
        share = fitted_share(math.log(length), mu, s, lapse)
        log_likelihood += solved * np.log(share) + (runs - solved) * np.log1p(-share)
    weight = np.exp(log_likelihood - log_likelihood.max())
    return Posterior(mu, s, lapse, weight / weight.sum())


def fitted_share(
    log_length: float | np.ndarray,
    mu: float | np.ndarray,
    s: float | np.ndarray,
    lapse: float | np.ndarray,
) -> np.ndarray:
    """p(T) = (1 - lambda) / (1 + exp((ln T - mu) / s)), kept off 0 and 1 by 1e-9."""
    fall = np.clip((log_length - mu) / s, -700, 700)
    share: np.ndarray = np.clip((1 - lapse) / (1 + np.exp(fall)), 1e-9, 1 - 1e-9)
    return share


def isotonic(counts: Mapping[int, Counts]) -> np.ndarray:
    """Solved shares by length, pooled until none is above the one before; shape (L,).

    >>> isotonic({5: Counts(9, 10), 10: Counts(4, 10), 20: Counts(6, 10)}).tolist()
    [0.9, 0.5, 0.5]
    """
    pooled = _pool(counts)
    return np.concatenate([[block.solved / block.runs] * size for block, size in pooled])


@functools.lru_cache(maxsize=8)
def _grid(longest: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The points of the posterior's grid: mu, s, lambda, shape (G,) each."""
    mu = np.linspace(math.log(2), math.log(4 * longest), _MU_POINTS)
    s = np.exp(np.linspace(math.log(0.03), math.log(0.5), _S_POINTS))
    lapse = np.linspace(0, 0.3, _LAMBDA_POINTS)
    mu, s, lapse = np.meshgrid(mu, s, lapse, indexing="ij")
    return mu.ravel(), s.ravel(), lapse.ravel()


def _beyond(belief: Posterior, log_length: float, *, above: bool = True) -> bool:
    """Whether more than 2.5 % of the posterior of mu lie above (or below) a length."""
    outside = belief.mu > log_length if above else belief.mu < log_length
    return float(belief.weight[outside].sum()) > _BEYOND


def _posterior_predictive_p(belief: Posterior, counts: Mapping[int, Counts]) -> float:
    """How often runs simulated from the fit deviate from it at least as much as the real ones."""
    generator = np.random.default_rng(0)
    drawn = generator.choice(len(belief.weight), _REPLICATIONS, p=belief.weight)
    lengths = np.array(sorted(counts))
    solved, runs = np.array([counts[length] for length in lengths]).T
    share = fitted_share(
        np.log(lengths)[None], belief.mu[drawn, None], belief.s[drawn, None],
        belief.lapse[drawn, None],
    )  # fmt: skip  # (replications, L)
    simulated = generator.binomial(runs[None], share)
    at_least = _deviance(simulated, runs, share) >= _deviance(solved, runs, share) - 1e-9
    return float(at_least.mean())


def _deviance(solved: np.ndarray, runs: np.ndarray, share: np.ndarray) -> np.ndarray:
    """-2 log likelihood ratio of shares against the best possible ones, summed over lengths."""
    observed = np.clip(solved / runs, 1e-12, 1 - 1e-12)
    log_ratio = solved * np.log(observed / share)
    log_ratio = log_ratio + (runs - solved) * np.log((1 - observed) / (1 - share))
    deviance: np.ndarray = 2 * log_ratio.sum(axis=-1)
    return deviance


def _rises(counts: Mapping[int, Counts]) -> bool:
    """Whether a longer length is clearly solved more often than a shorter one."""
    highest_so_far = 1.0
    for length in sorted(counts):
        low, high = wilson(*counts[length])
        if low > highest_so_far:
            return True
        highest_so_far = min(highest_so_far, high)
    return False


def _pool(counts: Mapping[int, Counts]) -> list[tuple[Counts, int]]:
    """Neighbouring lengths pooled until solved shares do not rise: the runs, how many lengths."""
    blocks: list[tuple[Counts, int]] = []
    for length in sorted(counts):
        blocks.append((counts[length], 1))
        while len(blocks) > 1 and _share(blocks[-2][0]) < _share(blocks[-1][0]):
            (last, last_size), (before, size) = blocks.pop(), blocks.pop()
            both = Counts(before.solved + last.solved, before.runs + last.runs)
            blocks.append((both, size + last_size))
    return blocks


def _share(counts: Counts) -> float:
    """K / n."""
    return counts.solved / counts.runs


def _isotonic_crossing(counts: Mapping[int, Counts]) -> tuple[float, float, float]:
    """Where the pooled share crosses one half: 2.5 %, the estimate, 97.5 % (resampled runs)."""
    generator = np.random.default_rng(0)
    crossings = []
    for _ in range(_REPLICATIONS):
        resampled = {
            length: Counts(int(generator.binomial(runs, solved / runs)), runs)
            for length, (solved, runs) in counts.items()
        }
        crossings.append(_crossing(resampled))
    low, high = np.quantile(crossings, [0.025, 0.975])
    return float(low), _crossing(counts), float(high)


def _crossing(counts: Mapping[int, Counts]) -> float:
    """The length at which the pooled share, drawn through ln T, falls below one half."""
    log_lengths, shares = np.log(sorted(counts)), isotonic(counts)
    below = np.nonzero(shares < 0.5)[0]
    if len(below) == 0:
        return float(np.exp(log_lengths[-1]))
    first = below[0]
    if first == 0:
        return float(np.exp(log_lengths[0]))
    fraction = (shares[first - 1] - 0.5) / (shares[first - 1] - shares[first])
    step = log_lengths[first] - log_lengths[first - 1]
    return float(np.exp(log_lengths[first - 1] + fraction * step))


def _guaranteed(counts: Mapping[int, Counts]) -> float | None:
    """The largest T up to which the pooled share's lower 95 % bound is at least one half."""
    if min(runs for _, runs in counts.values()) < GUARANTEE_SEEDS:
        return None
    lengths = iter(sorted(counts))
    longest = 0.0
    for block, size in _pool(counts):
        if wilson(*block).low < 0.5:
            break
        for _ in range(size):
            longest = float(next(lengths))
    return longest


def _mean_span(counts: Mapping[int, Counts]) -> float:
    """exp(ln T_1 + area under the pooled share over ln T), as the mean span of Woods et al."""
    log_lengths, shares = np.log(sorted(counts)), isotonic(counts)
    return float(np.exp(log_lengths[0] + np.trapezoid(shares, log_lengths)))
