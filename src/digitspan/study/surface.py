"""The surface behind a memory span: the share of runs solved by length and learning rate.

P(T, r) = (1 - lambda) / (1 + exp(-eta))                                                  (1)
eta     = (xi - x - c d^2) / s - ln(1 - 2 lambda),   x = ln T,   c = k e^(+-a)            (2)
d       = ln r - rho(x)                                                                   (3)
rho(x)  = zeta + g (x - xi) + q (x - xi)^2, kept within [1e-5, 1]                         (4)

P is the probability that a fresh run of length T at rate r is solved within the budget. rho(x) is
the best rate at a length; away from it the length that half of the runs solve falls off like a
parabola in ln r, which may be steeper on one side (+a above the best rate, -a below). Since P is
one half exactly at x = xi, d = 0, and falls with x along the best rate, the span is a parameter:

S50 = exp(xi) = the largest T with max_r P(T', r) >= 1/2 for all T' <= T

lambda, in [0, 1/2), is the share that fails even where it is easy. Runs of one length share an
effect of their own on eta, normal with deviation tau, so that a few lengths that are out of line
widen the interval instead of moving it. The priors are wide: see `PRIOR`.

The posterior is sampled by importance: proposals are t-distributed, fitted to draws that are
weighted by a growing power of the likelihood, and the last batches are pooled. All random numbers
come from a fixed seed and rows are sorted, so the same rows give the same answer bit for bit.

Sources: Wichmann and Hill 2001 (lapses bias a threshold that ignores them), Schuett et al. 2016
(overdispersion), Cappe et al. 2008 (adaptive importance sampling), Owen and Zhou 2000 (pooling by
the mixture of all proposals). See docs/protocol.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

__all__ = [
    "HIGHEST_RATE",
    "LOWEST_RATE",
    "PRIOR",
    "Belief",
    "Cells",
    "Run",
    "best_log_rate",
    "cells_within",
    "sample_surface",
    "solved_share",
]

LOWEST_RATE, HIGHEST_RATE = 1e-5, 1.0
"""The best rate is looked for between these."""

USUAL_LENGTHS = (5, 160)
"""The prior of S50 is that of lengths between these, unless runs were made beyond them."""


class Run(NamedTuple):
    """What became of one run."""

    length: int
    """T."""
    rate: float
    """The learning rate."""
    outcome: str
    """"solved", "censored" (not solved by the last step that was made) or "diverged"."""
    step: int
    """At which it was solved, censored or found to have diverged."""

    def within(self, budget: int) -> bool | None:
        """Whether it is solved within a budget; None where it was not trained for so long."""
        if self.outcome == "solved":
            return self.step <= budget
        return None if self.outcome == "censored" and self.step < budget else False


class Cells(NamedTuple):
    """Runs counted by length and rate, C places in ascending order."""

    length: np.ndarray
    """T, shape (C,)."""
    rate: np.ndarray
    """Shape (C,)."""
    solved: np.ndarray
    """How many runs were solved within the budget, shape (C,)."""
    runs: np.ndarray
    """Of how many, shape (C,)."""


def cells_within(runs: Iterable[Run], budget: int) -> Cells:
    """The runs of which it is known whether they are solved within a budget, counted.

    Args:
        runs: in any order.
        budget: b, in training steps.
    """
    counts: dict[tuple[int, float], list[int]] = {}
    for run in runs:
        solved = run.within(budget)
        if solved is not None:
            cell = counts.setdefault((run.length, run.rate), [0, 0])
            cell[0] += solved
            cell[1] += 1
    rows = [(*place, *counts[place]) for place in sorted(counts)]
    return Cells(*np.array(rows, float).reshape(-1, 4).T)


class Parameter(NamedTuple):
    """One parameter of the surface: normal before its transform."""

    mean: float
    deviation: float


PRIOR: dict[str, Parameter] = {
    "xi": Parameter(math.log(28), 1.6),  # S50: 95 % within 1.2 to 640
    "ln s": Parameter(math.log(0.25), 1.0),  # s: 0.035 to 1.8
    "logit 2 lambda": Parameter(-1.0, 2.0),  # lambda: 0.4 to 47 %
    "zeta": Parameter(math.log(3e-3), 2.5),  # the best rate, kept within [1e-5, 1]
    "g": Parameter(0.0, 0.6),  # decades of rate a decade of length
    "ln k": Parameter(math.log(0.35), 0.9),
    "a": Parameter(0.0, 0.6),
    "q": Parameter(0.0, 0.15),
    "ln tau": Parameter(math.log(0.35), 0.9),  # tau: 0.06 to 2.0
}
"""The prior. Columns of `Belief.draws` are in this order."""

_MEAN, _DEVIATION = np.array(list(PRIOR.values())).T
_ZETA, _K, _TAU = 3, 5, 8
_OF_FIXED_RATE = (0, 1, 2, 8)
"""Columns of the best rate, of ln k and ln tau, and of all that matters at one rate."""

_LOG_RATES = (math.log(LOWEST_RATE), math.log(HIGHEST_RATE))

_NODES = math.sqrt(3) * np.array([-1.0, 0.0, 1.0])
_NODE_WEIGHTS = np.array([1.0, 4.0, 1.0]) / 6
"""Gauss-Hermite: the expectation over a standard normal."""

_FREEDOM = 5
"""Degrees of freedom of the proposals."""

_SCOUTS = 500
"""Draws while the likelihood's power grows."""

_EFFECTIVE = 0.1
"""Share of them that must stay effective when it does."""

_ENOUGH = 0.3
"""Effective draws in the end, as a share of those asked for."""

_MOST_STEPS, _MOST_BATCHES = 30, 6
"""Of the likelihood's power, and of pooled batches."""


class Belief(NamedTuple):
    """What the runs say about the surface, as weighted draws."""

    draws: np.ndarray
    """Parameters before their transforms, in the order of `PRIOR`, shape (M, 9)."""
    weight: np.ndarray
    """Their probabilities, shape (M,), summing to 1."""

    @property
    def log_span(self) -> np.ndarray:
        """Draws of xi = ln S50, shape (M,)."""
        return self.draws[:, 0]

    @property
    def width(self) -> np.ndarray:
        """Draws of s, in units of ln T, shape (M,)."""
        width: np.ndarray = np.exp(self.draws[:, 1])
        return width

    @property
    def lapse(self) -> np.ndarray:
        """Draws of lambda, shape (M,)."""
        return _lapse(self.draws[:, 2])

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Posterior means of what has a value at each draw, shape (M, ...)."""
        # Not `@`: starting BLAS's threads takes longer than the sum.
        mean: np.ndarray = np.einsum("m,m...->...", self.weight, values)
        return mean

    def quantiles(
        self, values: np.ndarray, probabilities: Sequence[float] | np.ndarray
    ) -> np.ndarray:
        """Posterior quantiles of what has a value at each draw, shape (M,)."""
        order = np.argsort(values, kind="stable")
        mass = self.weight[order]
        # The mass of a draw lies around it: half of it to its left.
        found: np.ndarray = np.interp(probabilities, np.cumsum(mass) - mass / 2, values[order])
        return found

    def share(self, length: np.ndarray | float, rate: np.ndarray | float) -> np.ndarray:
        """Posterior means of P(T, r) at places, shape (C,)."""
        return self.mean(solved_share(self.draws, np.atleast_1d(length), np.atleast_1d(rate)))

    def best_rate(self, length: float) -> float:
        """The posterior median of the best rate at a length."""
        rates = best_log_rate(self.draws, np.log([length]))[:, 0]
        return float(np.exp(self.quantiles(rates, [0.5])[0]))

    def resampled(self, number: int) -> Belief:
        """So many draws of equal weight."""
        steps = (np.arange(number) + 0.5) / number
        chosen = np.searchsorted(np.cumsum(self.weight) / self.weight.sum(), steps)
        return Belief(self.draws[chosen], np.full(number, 1 / number))


def _lapse(logit: np.ndarray) -> np.ndarray:
    """Lambda in [0, 1/2)."""
    lapse: np.ndarray = 0.5 / (1 + np.exp(-np.clip(logit, -12, 12)))
    return lapse


def best_log_rate(draws: np.ndarray, log_length: np.ndarray) -> np.ndarray:
    """rho(x), equation (4), for draws (M, 9) at ln T (C,); shape (M, C)."""
    return _best_log_rate(draws, log_length).T


def solved_share(draws: np.ndarray, length: np.ndarray, rate: np.ndarray) -> np.ndarray:
    """P(T, r), equation (1), for draws (M, 9) at places (C,); shape (M, C)."""
    odds = _odds_against(draws, np.log(length), np.log(rate))
    share: np.ndarray = ((1 - _lapse(draws[:, 2])) / (1 + odds)).T
    return share


# From here on places come first, (C, M), and arrays are reused: twice as fast.


def _best_log_rate(draws: np.ndarray, log_length: np.ndarray) -> np.ndarray:
    """rho(x), equation (4); shape (C, M)."""
    xi, zeta, g, q = draws[:, [0, 3, 4, 7]].T
    away = log_length[:, None] - xi
    rho: np.ndarray = away * q
    rho += g
    rho *= away
    rho += zeta
    np.clip(rho, *_LOG_RATES, out=rho)
    return rho


def _odds_against(draws: np.ndarray, log_length: np.ndarray, log_rate: np.ndarray) -> np.ndarray:
    """exp(-eta), equations (2) and (3); shape (C, M)."""
    xi, log_s, logit, k, a = draws[:, [0, 1, 2, 5, 6]].T
    d = np.subtract(log_rate[:, None], _best_log_rate(draws, log_length))
    above: np.ndarray = np.maximum(d, 0)
    below = np.minimum(d, 0, out=d)
    above *= above
    above *= np.exp(np.clip(k + a, -20, 20))
    below *= below
    below *= np.exp(np.clip(k - a, -20, 20))
    above += below
    above += log_length[:, None]
    above -= xi
    above *= np.exp(-np.clip(log_s, -20, 20))
    above += np.log1p(-2 * _lapse(logit))
    np.clip(above, -40, 40, out=above)
    np.exp(above, out=above)
    return above


class _Likelihood:
    """The logarithm of the probability of the counted runs.

    With o = exp(-eta), a solved run has probability (1 - lambda) / (1 + o), an unsolved one
    (o + lambda) / (1 + o); of each length the expectation is over an effect of its own on eta.
    """

    def __init__(self, cells: Cells, *, uneven: bool = True) -> None:
        self.nodes = list(zip(_NODES, _NODE_WEIGHTS, strict=True)) if uneven else [(0.0, 1.0)]
        self.log_length = np.log(cells.length).astype(np.float32)
        self.log_rate = np.log(cells.rate).astype(np.float32)
        self.lengths, of_length = np.unique(cells.length, return_inverse=True)
        self.solved = _Counts.of(cells.solved, of_length)
        self.unsolved = _Counts.of(cells.runs - cells.solved, of_length)

    def __call__(self, draws: np.ndarray) -> np.ndarray:
        """For draws (M, 9), shape (M,)."""
        # In single precision, which costs some 1e-5 of a weight and saves half of the time.
        draws = draws.astype(np.float32)
        odds = _odds_against(draws, self.log_length, self.log_rate)  # (C, M)
        lapse = _lapse(draws[:, 2])
        odds_of_solved, odds_of_unsolved = odds[self.solved.cells], odds[self.unsolved.cells]
        tau = np.exp(np.clip(draws[:, 8], -20, 2))
        parts = []
        for node, _ in self.nodes:
            effect = np.exp(np.float32(-node) * tau)
            part = np.zeros((len(self.lengths), len(draws)), np.float32)
            against = odds_of_solved * effect
            against += 1
            np.log(against, out=against)
            self.solved.subtract(against, part)
            against = odds_of_unsolved * effect
            failing = against + lapse
            against += 1
            against /= failing
            np.log(against, out=against)
            self.unsolved.subtract(against, part)
            parts.append(part)
        by_length = parts[0] if len(parts) == 1 else self._mixed(parts)  # (L, M)
        total: np.ndarray = by_length.sum(axis=0) + self.solved.number.sum() * np.log1p(-lapse)
        return total.astype(float)

    def _mixed(self, parts: list[np.ndarray]) -> np.ndarray:
        """The logarithm of the expectation over the effect, of logarithms (L, M) a node."""
        highest = np.maximum.reduce(parts)
        mixed = np.zeros_like(highest)
        for (_, weight), part in zip(self.nodes, parts, strict=True):
            part -= highest
            mixed += np.float32(weight) * np.exp(part, out=part)
        logs: np.ndarray = np.log(mixed) + highest
        return logs


class _Counts(NamedTuple):
    """The cells that have solved runs, or unsolved ones."""

    cells: np.ndarray
    """Which they are."""
    number: np.ndarray
    """How many runs each has, shape (cells, 1)."""
    starts: np.ndarray
    """Where a length begins among them."""
    lengths: np.ndarray
    """Which length that is."""

    @classmethod
    def of(cls, number: np.ndarray, of_length: np.ndarray) -> _Counts:
        """Those of a number above 0."""
        cells = np.flatnonzero(number)
        starts = np.flatnonzero(np.diff(of_length[cells], prepend=-1))
        return cls(cells, number[cells, None].astype(np.float32), starts, of_length[cells][starts])

    def subtract(self, terms: np.ndarray, by_length: np.ndarray) -> None:
        """Take terms (cells, M) a run from what they belong to, (L, M)."""
        if len(self.cells):
            terms *= self.number
            by_length[self.lengths] -= np.add.reduceat(terms, self.starts, axis=0)


class _Posterior:
    """What is sampled: some of the surface's parameters, the others being constant.

    At one fixed rate there is no best one to find: of the surface its fall with T is left.
    """

    def __init__(
        self, cells: Cells, *, fixed_rate: bool, uneven: bool, rates: tuple[float, float] | None
    ) -> None:
        columns = _OF_FIXED_RATE if fixed_rate else range(len(PRIOR))
        self.active = np.array([column for column in columns if uneven or column != _TAU])
        self.log_rates = _LOG_RATES if rates is None else (math.log(rates[0]), math.log(rates[1]))
        mean, deviation = _prior_over(cells, self.log_rates)
        self.mean, self.deviation = mean[self.active], deviation[self.active]
        self.all = np.zeros(len(PRIOR))
        self.all[_K] = -40.0  # c = 0: rates do not matter
        rate = np.log(cells.rate).mean() if len(cells.rate) else _MEAN[_ZETA]
        self.all[_ZETA] = np.clip(rate, *_LOG_RATES)
        self.all[_TAU] = -20.0
        self.likelihood = _Likelihood(cells, uneven=uneven) if len(cells.runs) else None

    def expanded(self, active: np.ndarray) -> np.ndarray:
        """All parameters (M, 9) of the active ones (M, A)."""
        draws = np.tile(self.all, (len(active), 1))
        draws[:, self.active] = active
        return draws

    def log_prior(self, active: np.ndarray) -> np.ndarray:
        """Its logarithm but for a constant, -inf where the best rate is not one; shape (M,)."""
        standard = (active - self.mean) / self.deviation
        log_prior: np.ndarray = -0.5 * np.sum(standard**2, axis=1)
        zeta = self.expanded(active)[:, _ZETA]
        log_prior[(zeta < self.log_rates[0]) | (zeta > self.log_rates[1])] = -np.inf
        return log_prior

    def log_likelihood(self, active: np.ndarray) -> np.ndarray:
        """Of the runs, shape (M,)."""
        if self.likelihood is None:
            return np.zeros(len(active))
        return self.likelihood(self.expanded(active))


def _prior_over(cells: Cells, log_rates: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Means and deviations of the prior, which reaches as far as the runs do.

    As `PRIOR` has it while lengths lie within 5 to 160; beyond that S50 is no less likely there.
    """
    mean, deviation = _MEAN.copy(), _DEVIATION.copy()
    usual = math.log(USUAL_LENGTHS[1] / USUAL_LENGTHS[0])
    low = min((USUAL_LENGTHS[0], *cells.length))
    high = max((USUAL_LENGTHS[1], *cells.length))
    if (low, high) != USUAL_LENGTHS:
        mean[0] = (math.log(low) + math.log(high)) / 2
        deviation[0] *= math.log(high / low) / usual
    if log_rates != _LOG_RATES:
        mean[_ZETA] = min(max(mean[_ZETA], log_rates[0]), log_rates[1])
        deviation[_ZETA] = min(deviation[_ZETA], max(log_rates[1] - log_rates[0], 0.5))
    return mean, deviation


class _Proposal(NamedTuple):
    """A multivariate t-distribution to draw from."""

    mean: np.ndarray
    root: np.ndarray
    """The Cholesky factor of its scale."""

    @classmethod
    def fitted(cls, draws: np.ndarray, weight: np.ndarray) -> _Proposal:
        """With the moments of weighted draws, a little wider."""
        mean = np.einsum("m,mi->i", weight, draws)
        centred = draws - mean
        scale = np.einsum("mi,mj->ij", centred * weight[:, None], centred)
        scale = 1.1 * scale + np.diag(np.full(len(mean), 1e-6))
        return cls(mean, np.linalg.cholesky(scale))

    def draw(self, standard: np.ndarray) -> np.ndarray:
        """Draws from standard ones, shape (M, A)."""
        drawn: np.ndarray = self.mean + np.einsum("mi,ji->mj", standard, self.root)
        return drawn

    def log_density(self, draws: np.ndarray) -> np.ndarray:
        """Of draws (M, A), but for a constant; shape (M,)."""
        standard = np.einsum("mi,ji->mj", draws - self.mean, np.linalg.inv(self.root))
        power = -(_FREEDOM + len(self.mean)) / 2
        log_density: np.ndarray = power * np.log1p(np.sum(standard**2, axis=1) / _FREEDOM)
        return log_density - float(np.log(np.diag(self.root)).sum())


def sample_surface(
    cells: Cells,
    *,
    fixed_rate: bool = False,
    uneven: bool = True,
    rates: tuple[float, float] | None = None,
    draws: int = 3_000,
    seed: int = 0,
) -> Belief:
    """The posterior of the surface.

    Args:
        cells: counted runs, of which there may be none.
        fixed_rate: all were made at one rate: only the fall of P with T is asked for.
        uneven: lengths may have effects of their own; three times as fast without.
        rates: the best rate at S50 lies within these; by default within [1e-5, 1].
        draws: how many to make at least.
        seed: of the random numbers.
    """
    generator = np.random.default_rng(seed)
    posterior = _Posterior(cells, fixed_rate=fixed_rate, uneven=uneven, rates=rates)
    size = len(posterior.active)
    proposal = _tempered(posterior, _standard(generator, min(_SCOUTS, draws // 2), size))
    proposals, batches, targets = [], [], []
    number = max(draws // 2, 2)
    while True:
        proposals.append(proposal)
        batches.append(proposal.draw(_standard(generator, number, size)))
        targets.append(posterior.log_prior(batches[-1]) + posterior.log_likelihood(batches[-1]))
        drawn = np.concatenate(batches)
        mixture = np.logaddexp.reduce([each.log_density(drawn) for each in proposals])
        weight = _normalised(np.concatenate(targets) - mixture)
        enough = _effective(weight) >= _ENOUGH * draws
        if len(batches) >= 2 and (enough or len(batches) >= _MOST_BATCHES):
            return Belief(posterior.expanded(drawn), weight)
        proposal = _Proposal.fitted(drawn, weight)


def _tempered(posterior: _Posterior, standard: np.ndarray) -> _Proposal:
    """A proposal near the posterior: the likelihood's power grows from 0, the prior, to 1."""
    proposal, power = _Proposal(posterior.mean, np.diag(posterior.deviation)), 0.0
    enough = _EFFECTIVE * len(standard)
    for _ in range(_MOST_STEPS):
        drawn = proposal.draw(standard)
        prior = posterior.log_prior(drawn) - proposal.log_density(drawn)
        told = posterior.log_likelihood(drawn)
        if _effective(_normalised(prior + told)) >= enough:
            return _Proposal.fitted(drawn, _normalised(prior + told))
        if _effective(_normalised(prior + power * told)) >= enough:
            low, high = power, 1.0
            for _ in range(12):
                middle = (low + high) / 2
                still = _effective(_normalised(prior + middle * told)) >= enough
                low, high = (middle, high) if still else (low, middle)
            power = low
        proposal = _Proposal.fitted(drawn, _normalised(prior + power * told))
    return proposal


def _standard(generator: np.random.Generator, number: int, size: int) -> np.ndarray:
    """Draws from the standard t-distribution, shape (number, size)."""
    normal = generator.standard_normal((number, size))
    radius = np.sqrt(generator.chisquare(_FREEDOM, number) / _FREEDOM)
    standard: np.ndarray = normal / radius[:, None]
    return standard


def _normalised(log_weight: np.ndarray) -> np.ndarray:
    """Weights that sum to 1."""
    weight: np.ndarray = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    return weight


def _effective(weight: np.ndarray) -> float:
    """How many equally weighted draws they are worth: 1 / sum w^2."""
    return 1.0 / float(np.sum(weight**2))
