"""The curve behind a retention span: the share of runs solved at each length, and its posterior.

p(T) = (1 - lambda) / (1 + exp((ln T - mu) / s)),   S50 = exp(mu)

where p(T) is the share of runs solved at length T, lambda (the lapse rate) the share that fails
even where it is easy, and s the width of the fall. Nobody solves a run by guessing, so p falls to
zero. The posterior is computed on a grid; mu is uniform on [ln 2, ln 4 T_max], s log-uniform on
[0.03, 0.5], lambda uniform on [0, 0.3].

Sources: Wichmann and Hill 2001 (lapses bias a threshold that ignores them), Schuett et al. 2016
(priors and posterior). See docs/protocol.md, section 4.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

__all__ = [
    "COARSE",
    "FINE",
    "Counts",
    "Posterior",
    "Resolution",
    "fitted_share",
    "log_likelihoods",
    "parameter_grid",
    "posterior",
]


class Counts(NamedTuple):
    """How many runs were solved at one length."""

    solved: int
    """k."""
    runs: int
    """n, at least 1."""


class Resolution(NamedTuple):
    """How fine the posterior's grid is."""

    mu_step: float
    """Distance of two values of mu, in units of ln T."""
    s_points: int
    """Values of s."""
    lapse_points: int
    """Values of lambda."""


FINE = Resolution(0.025, 21, 13)
"""For what is reported: about 60,000 points."""

COARSE = Resolution(0.05, 11, 7)
"""For what is computed many times over, such as resampled studies: about 9,000 points."""


class Posterior(NamedTuple):
    """What the runs say about the curve, on a grid of G points."""

    mu: np.ndarray
    """ln S50 at each point, ascending, shape (G,)."""
    s: np.ndarray
    """The width of the fall at each point, shape (G,)."""
    lapse: np.ndarray
    """lambda at each point, shape (G,)."""
    weight: np.ndarray
    """The probability of each point, shape (G,), summing to 1."""

    def mean(self, values: np.ndarray) -> float:
        """The posterior mean of something that has a value at each point, shape (G,)."""
        # Not `@`: starting BLAS's threads takes longer than the sum.
        return float(np.einsum("g,g->", self.weight, values))

    def quantiles(self, probabilities: Sequence[float] | np.ndarray) -> np.ndarray:
        """Quantiles of mu: ln S50 is below each with that probability."""
        points_of_a_mu = int(np.searchsorted(self.mu, self.mu[0], side="right"))
        mass = self.weight.reshape(-1, points_of_a_mu).sum(axis=1)
        # The mass of a grid point lies around it: half of it to its left.
        quantiles: np.ndarray = np.interp(
            probabilities, np.cumsum(mass) - mass / 2, self.mu[::points_of_a_mu]
        )
        return quantiles


def posterior(
    counts: Mapping[int, Counts], longest: int | None = None, resolution: Resolution = FINE
) -> Posterior:
    """What is known about the curve after some runs.

    Args:
        counts: by length T; empty where there are none yet.
        longest: T_max of the prior, by default the longest length in `counts`.
        resolution: of the grid.
    """
    longest = longest or max(counts)
    mu, s, lapse = parameter_grid(longest, resolution)
    log_likelihood = np.zeros(len(mu), np.float32)
    for length, (solved, runs) in sorted(counts.items()):
        log_solved, log_unsolved = log_likelihoods(length, longest, resolution)
        if solved:
            log_likelihood += solved * log_solved
        if runs > solved:
            log_likelihood += (runs - solved) * log_unsolved
    weight = np.exp(log_likelihood - log_likelihood.max()).astype(float)
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


def parameter_grid(
    longest: int, resolution: Resolution = FINE
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The points of the posterior's grid for a prior up to `longest`: mu, s, lambda, (G,) each."""
    points = _number_of_points(longest, resolution)
    mu, s, lapse = (values[:points] for values in _axes(_rounded_up(longest), resolution))
    return mu, s, lapse


def log_likelihoods(
    length: int, longest: int, resolution: Resolution = FINE
) -> tuple[np.ndarray, np.ndarray]:
    """The logarithms of p(T) and 1 - p(T) at the points of `parameter_grid`, shape (G,) each."""
    points = _number_of_points(longest, resolution)
    solved, unsolved = _tables(length, _rounded_up(longest), resolution)
    return solved[:points], unsolved[:points]


def _number_of_points(longest: int, resolution: Resolution) -> int:
    """G: the points whose mu is at most ln 4 T_max."""
    steps = math.floor(math.log(4 * longest / 2) / resolution.mu_step)
    return (steps + 1) * resolution.s_points * resolution.lapse_points


def _rounded_up(longest: int) -> int:
    """The next power of two: grids begin alike, so that tables of similar studies are shared."""
    return 1 << (longest - 1).bit_length()


@functools.lru_cache(maxsize=8)
def _axes(longest: int, resolution: Resolution) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """mu, s and lambda of all points, mu ascending."""
    mu_points = math.floor(math.log(4 * longest / 2) / resolution.mu_step) + 1
    mu = math.log(2) + resolution.mu_step * np.arange(mu_points)
    s = np.exp(np.linspace(math.log(0.03), math.log(0.5), resolution.s_points))
    lapse = np.linspace(0, 0.3, resolution.lapse_points)
    mu, s, lapse = np.meshgrid(mu, s, lapse, indexing="ij")
    return mu.ravel(), s.ravel(), lapse.ravel()


@functools.lru_cache(maxsize=128)  # half a megabyte each
def _tables(length: int, longest: int, resolution: Resolution) -> tuple[np.ndarray, np.ndarray]:
    """The logarithms of p(T) and 1 - p(T) at all points.

    In single precision, which costs some 1e-5 of a weight.
    """
    share = fitted_share(math.log(length), *_axes(longest, resolution))
    return np.log(share).astype(np.float32), np.log1p(-share).astype(np.float32)
