"""The surface behind a span, and what its posterior says of planted ones."""

import math
import random

import numpy as np
import pytest
from real_runs import real_runs

from digitspan.study.surface import (
    PRIOR,
    Belief,
    Cells,
    Run,
    _Likelihood,
    best_log_rate,
    cells_within,
    sample_surface,
    solved_share,
)

MEAN, DEVIATION = np.array(list(PRIOR.values())).T


def drawn(number: int) -> np.ndarray:
    """Parameters from the prior, best rates among the rates."""
    draws = MEAN + DEVIATION * np.random.default_rng(3).normal(size=(number, len(PRIOR)))
    draws[:, 3] = np.clip(draws[:, 3], math.log(1e-5), 0)
    return draws


def share_by_hand(u: np.ndarray, length: float, rate: float, effect: float = 0.0) -> float:
    """Equations (1) to (4), written out."""
    xi, log_s, logit, zeta, g, log_k, a, q, _ = u
    lapse = 0.5 / (1 + math.exp(-logit))
    x = math.log(length)
    best = min(max(zeta + g * (x - xi) + q * (x - xi) ** 2, math.log(1e-5)), 0.0)
    d = math.log(rate) - best
    c = math.exp(log_k + (a if d > 0 else -a))
    eta = (xi - x - c * d**2) / math.exp(log_s) - math.log(1 - 2 * lapse)
    eta = min(max(eta, -40.0), 40.0) + effect  # kept off infinity, as there
    return (1 - lapse) / (1 + math.exp(-eta))


@pytest.mark.parametrize(
    ("run", "solved"),
    [
        (Run(10, 0.1, "solved", 700), True),
        (Run(10, 0.1, "solved", 1_050), False),
        (Run(10, 0.1, "censored", 1_000), False),
        (Run(10, 0.1, "censored", 650), None),  # as by the first edition's early stop
        (Run(10, 0.1, "diverged", 6), False),
    ],
)
def test_a_run_is_solved_not_solved_or_unknown_within_a_budget(run, solved):
    assert run.within(1_000) is solved


def test_runs_are_counted_by_place_and_unknown_ones_left_out():
    runs = [
        Run(20, 0.1, "solved", 900),
        Run(5, 0.1, "diverged", 3),
        Run(20, 0.1, "censored", 1_000),
        Run(20, 0.01, "censored", 650),
    ]
    cells = cells_within(runs, 1_000)
    assert [values.tolist() for values in cells] == [[5, 20], [0.1, 0.1], [0, 1], [1, 2]]


def test_share_is_the_equations():
    draws = drawn(50)
    lengths, rates = np.array([5.0, 40.0, 200.0]), np.array([1e-4, 3e-2, 1.0])
    found = solved_share(draws, lengths, rates)
    expected = [[share_by_hand(u, *at) for at in zip(lengths, rates, strict=True)] for u in draws]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_half_of_the_runs_are_solved_at_the_span_and_best_rate():
    for u in drawn(50):
        here = solved_share(u[None], np.exp(u[[0]]), np.exp(u[[3]]))
        assert here == pytest.approx(0.5, abs=1e-9)


def test_along_the_best_rate_the_share_falls_with_length_whatever_the_parameters():
    lengths = np.geomspace(5, 400, 40)
    for u in drawn(50):
        best = np.exp(best_log_rate(u[None], np.log(lengths))[0])
        rates = np.geomspace(1e-5, 1, 200)
        along = solved_share(u[None], lengths, best)[0]
        highest = solved_share(u[None], np.repeat(lengths, 200), np.tile(rates, 40)).reshape(
            40, 200
        )
        assert np.all(np.diff(along) <= 1e-12)
        assert np.all(highest.max(axis=1) <= along + 1e-9)


def test_likelihood_is_that_of_the_runs_with_an_effect_a_length():
    cells = cells_within(real_runs("lstm"), 2_000)
    draws = drawn(20)
    nodes = ((-math.sqrt(3), 1 / 6), (0.0, 2 / 3), (math.sqrt(3), 1 / 6))
    for u, found in zip(draws, _Likelihood(cells)(draws), strict=True):
        expected = 0.0
        for length in sorted(set(cells.length)):
            mixed = []
            for node, weight in nodes:
                effect = node * math.exp(u[8])
                logs = math.log(weight)
                for t, r, k, n in zip(*cells, strict=True):
                    if t == length:
                        p = share_by_hand(u, t, r, effect)
                        logs += k * math.log(p) + (n - k) * math.log1p(-p)
                mixed.append(logs)
            expected += float(np.logaddexp.reduce(mixed))
        # Single precision.
        assert found == pytest.approx(expected, rel=1e-4)


def test_the_same_rows_in_any_order_give_the_same_bits():
    runs = real_runs("rnn")
    shuffled = random.Random(1).sample(runs, len(runs))
    first, second = (sample_surface(cells_within(rows, 2_000)) for rows in (runs, shuffled))
    assert first.draws.tobytes() == second.draws.tobytes()
    assert first.weight.tobytes() == second.weight.tobytes()


@pytest.mark.parametrize("cell", ["lstm", "rnn", "quick-lstm", "quick-rnn"])
def test_another_seed_moves_the_posterior_by_less_than_it_is_wide(cell):
    cells = cells_within(real_runs(cell), 1_000)
    quantiles = [
        belief.quantiles(belief.log_span, [0.025, 0.5, 0.975])
        for belief in (sample_surface(cells, draws=6_000, seed=seed) for seed in range(3))
    ]
    width = quantiles[0][2] - quantiles[0][0]
    # Monte-Carlo error of quantiles from some 2,000 effective draws.
    assert np.ptp(quantiles, axis=0).max() < 0.25 * width


def test_posterior_at_one_rate_equals_a_sum_over_a_grid():
    cells = Cells(*np.array([[5, 1, 8, 8], [10, 1, 7, 8], [20, 1, 5, 8], [40, 1, 0, 8.0]]).T)
    belief = sample_surface(cells, fixed_rate=True, draws=20_000)
    axes = [
        MEAN[i] + DEVIATION[i] * np.linspace(-3.2, 3.2, n)
        for i, n in ((0, 121), (1, 31), (2, 31), (8, 13))
    ]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 4)
    draws = np.zeros((len(grid), 9))
    draws[:, [0, 1, 2, 8]] = grid
    draws[:, 5] = -40
    of = [0, 1, 2, 8]
    log_weight = _Likelihood(cells)(draws) - 0.5 * np.sum(
        ((grid - MEAN[of]) / DEVIATION[of]) ** 2, axis=1
    )
    weight = np.exp(log_weight - log_weight.max())
    exact = Belief(draws, weight / weight.sum())
    for mine, theirs in ((belief.log_span, exact.log_span), (belief.lapse, exact.lapse)):
        found = belief.quantiles(mine, [0.025, 0.5, 0.975])
        expected = exact.quantiles(theirs, [0.025, 0.5, 0.975])
        np.testing.assert_allclose(found, expected, atol=0.08)


def test_without_runs_the_posterior_is_the_prior():
    belief = sample_surface(cells_within([], 100), draws=20_000)
    low, middle, high = belief.quantiles(belief.log_span, [0.025, 0.5, 0.975])
    assert middle == pytest.approx(math.log(28), abs=0.15)
    assert high - low == pytest.approx(2 * 1.96 * 1.6, abs=0.4)


def test_mean_share_is_that_of_the_draws_and_resampling_keeps_it():
    belief = sample_surface(cells_within(real_runs("lstm"), 2_000))
    places = (np.array([7.0, 57.0]), np.array([0.01, 0.03]))
    assert belief.share(*places)[0] > 0.8
    np.testing.assert_allclose(
        belief.resampled(1_000).share(*places), belief.share(*places), atol=0.02
    )
    assert 0.01 < belief.best_rate(57) < 0.1
