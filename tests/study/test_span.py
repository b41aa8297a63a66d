"""The retention span: simulated studies of known span, bounds, fall-back, data without a curve."""

from __future__ import annotations

import importlib.util
import math
import time
from pathlib import Path

import numpy as np
import pytest

from digitspan.study import curve, span
from digitspan.study.curve import FINE, Resolution, fitted_share, log_likelihoods, parameter_grid
from digitspan.study.span import Counts, Span, isotonic, measure_span, posterior

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "span_simulation.py"


def load_benchmark():
    """The benchmark's simulation, so that what is tested is what its table reports."""
    specification = importlib.util.spec_from_file_location("span_simulation", BENCHMARK)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


simulation = load_benchmark()


@pytest.fixture(autouse=True)
def no_tables_from_other_tests():
    curve._tables.cache_clear()
    yield
    curve._tables.cache_clear()


def counts(*solved: int, runs: int, lengths=(5, 10, 20, 40, 80)) -> dict[int, Counts]:
    return {length: Counts(k, runs) for length, k in zip(lengths, solved, strict=False)}


# The interval covers the truth.


def assert_covers(row: dict[str, float]) -> None:
    """Of the 95 % intervals, 92 to 98 % hold the true span."""
    assert 0.92 <= row["coverage"] <= 0.98, row


def test_interval_covers_the_known_span_of_1000_studies():
    generator = np.random.default_rng(1)
    studies = {
        seeds: [simulation.family(generator, seeds) for _ in range(number)]
        for seeds, number in ((3, 334), (10, 333), (20, 333))
    }
    rows = {seeds: simulation.interval_row(found) for seeds, found in studies.items()}
    covered = sum(rows[seeds]["coverage"] * len(studies[seeds]) for seeds in rows) / 1_000
    assert_covers({"coverage": covered})
    widths = [rows[seeds]["median width"] for seeds in (3, 10, 20)]
    assert widths == pytest.approx([1.8, 1.4, 1.27], abs=0.12)  # a factor between the two ends
    assert all(row["isotonic"] <= 0.07 for row in rows.values()), rows
    assert all(row["wrong bound"] <= 0.02 for row in rows.values()), rows


def test_interval_of_a_likelihood_without_lapses_does_not_cover(monkeypatch):
    """The test above would notice: Wichmann and Hill's bias, planted."""

    def without_lapses(log_length, mu, s, lapse):
        return fitted_share(log_length, mu, s, 0 * lapse)

    monkeypatch.setattr(curve, "fitted_share", without_lapses)
    generator = np.random.default_rng(1)
    row = simulation.interval_row([simulation.family(generator, 20) for _ in range(200)])
    with pytest.raises(AssertionError, match="coverage"):
        assert_covers(row)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 10, 20])
def test_interval_covers_1000_studies_of_each_number_of_seeds(seeds):
    generator = np.random.default_rng(seeds)
    studies = [simulation.family(generator, seeds) for _ in range(1_000)]
    assert_covers(simulation.interval_row(studies))


@pytest.mark.slow
def test_no_corner_of_the_family_is_far_from_95_percent():
    """A credible interval is right on average over the prior; in a corner it may be off."""
    rows = simulation.intervals(np.random.default_rng(2), 400)
    family = {name: row for name, row in rows.items() if not name.startswith("another")}
    assert len(family) == 3 + 4 * 3 * 2
    low = {name: row["coverage"] for name, row in family.items() if row["coverage"] < 0.87}
    assert not low


@pytest.mark.slow
def test_s50_has_less_bias_than_what_it_replaces():
    rows = simulation.estimators(np.random.default_rng(3), 400)
    ours = rows["S50 (logistic + lapses)"]
    assert ours["bias, 10 seeds"] == pytest.approx(1, abs=0.02)
    assert ours["sd, 10 seeds"] < 1.11
    assert rows["longest T ever solved"]["bias, 10 seeds"] > 1.4
    assert rows["majority at all T' <= T"]["bias, 3 seeds"] < 0.7
    assert rows["logistic without lapses"]["bias, 10 seeds"] < 0.9


# The posterior.


def test_posterior_equals_bayes_rule_on_its_grid():
    data = counts(10, 9, 4, 0, runs=10)
    mu, s, lapse = parameter_grid(40)
    likelihood = np.ones_like(mu)
    for length, (solved, runs) in data.items():
        share = (1 - lapse) / (1 + np.exp((math.log(length) - mu) / s))
        likelihood *= share**solved * (1 - share) ** (runs - solved)
    belief = posterior(data)
    np.testing.assert_allclose(belief.weight, likelihood / likelihood.sum(), rtol=1e-3, atol=1e-9)


def test_prior_is_the_protocols():
    mu, s, lapse = parameter_grid(100)
    assert mu.min() == pytest.approx(math.log(2))
    assert mu.max() == pytest.approx(math.log(4 * 100), abs=FINE.mu_step)
    assert (s.min(), s.max()) == pytest.approx((0.03, 0.5))
    assert (lapse.min(), lapse.max()) == pytest.approx((0, 0.3))
    np.testing.assert_allclose(np.diff(np.log(np.unique(s))), np.log(0.5 / 0.03) / 20)
    np.testing.assert_allclose(np.diff(np.unique(mu)), FINE.mu_step)
    np.testing.assert_allclose(np.diff(np.unique(lapse)), 0.3 / 12)


def test_studies_of_different_longest_length_share_their_tables():
    for longest in (33, 40, 64):
        assert len(log_likelihoods(10, longest)[0]) == len(parameter_grid(longest)[0])
    assert curve._tables.cache_info().misses == 1


def test_a_finer_grid_gives_the_same_interval():
    data = counts(10, 9, 4, 0, runs=10)
    quantiles = [0.025, 0.5, 0.975]
    coarser = posterior(data).quantiles(quantiles)
    finer = posterior(data, resolution=Resolution(0.01, 41, 25)).quantiles(quantiles)
    np.testing.assert_allclose(np.exp(coarser), np.exp(finer), rtol=0.02)


def test_no_runs_leave_the_prior():
    low, middle, high = np.exp(posterior({}, 100).quantiles([0.25, 0.5, 0.75]))
    # The quartiles of ln 2 ... ln 400.
    assert (low, middle, high) == pytest.approx((7.52, 28.3, 106.4), rel=0.02)


def test_unsolved_runs_at_easy_lengths_are_lapses_and_move_s50_little():
    clean = measure_span(counts(20, 20, 10, 0, 0, runs=20))
    lapsing = measure_span(counts(18, 18, 9, 0, 0, runs=20))
    assert lapsing.lapse == pytest.approx(0.1, abs=0.04)
    assert lapsing.s50 == pytest.approx(clean.s50, rel=0.06)


# Ends of the lengths tried.


@pytest.mark.parametrize("runs", [1, 3, 10, 20])
def test_all_solved_is_a_lower_bound(runs):
    found = measure_span(counts(*[runs] * 5, runs=runs))
    assert (found.bound, found.s50, found.s50_high) == (">=", 80, None)
    assert 5 < found.s50_low <= 80
    assert found.method == "logistic"


@pytest.mark.parametrize("runs", [1, 3, 10, 20])
def test_none_solved_is_an_upper_bound(runs):
    found = measure_span(counts(0, 0, 0, 0, 0, runs=runs))
    assert (found.bound, found.s50, found.s50_low) == ("<=", 5, None)
    assert 5 <= found.s50_high < 20
    assert found.mean_span == pytest.approx(5)


def test_an_interval_that_reaches_beyond_the_lengths_tried_is_open():
    """But a span inside is no bound: none of 3 solved, most likely less than half would be."""
    found = measure_span(counts(3, 3, 3, 0, runs=3))
    assert found.bound == ""
    assert 20 < found.s50 < 40
    assert found.s50_low is not None
    assert found.s50_high is None
    found = measure_span(counts(2, 1, 0, 0, runs=3))
    assert found.bound == ""
    assert found.s50_low is None
    assert found.s50_high is not None


def test_bounds_are_seldom_wrong():
    """Of studies that end where half are solved, a bound is printed for half, mostly rightly."""
    generator = np.random.default_rng(4)
    wrong = bounds = 0
    for _ in range(200):
        known = simulation.Curve(math.exp(generator.uniform(math.log(15), math.log(60))), 0.1, 0.0)
        study = simulation.simulate(generator, known, (5, 7, 10, 14, 20, 30), 5)
        found = measure_span(study.counts)
        bounds += found.bound == ">="
        wrong += found.bound == ">=" and known.s50 < 30
    assert bounds > 60
    assert wrong <= 0.1 * bounds


@pytest.mark.parametrize(("solved", "bound"), [(1, ">="), (0, "<=")])
def test_one_run_tells_which_side(solved, bound):
    found = measure_span({10: Counts(solved, 1)})
    assert (found.bound, found.s50) == (bound, 10)
    assert (found.s50_low, found.s50_high) == (None, None)  # one run tells no more


def test_one_length_of_many_runs_tells_no_upper_end():
    found = measure_span({10: Counts(10, 20)})
    assert found.s50 == pytest.approx(10, rel=0.15)
    assert found.guaranteed == 0


def test_small_studies_have_intervals_of_the_posterior():
    """Three seeds that are all alike at each length: no spread between them, but an interval."""
    found = measure_span(counts(3, 3, 0, 0, runs=3))
    assert found.s50_high / found.s50_low > 1.5
    low, middle, high = np.exp(
        posterior(counts(3, 3, 0, 0, runs=3)).quantiles([0.025, 0.5, 0.975])
    )
    assert (found.s50_low, found.s50, found.s50_high) == pytest.approx((low, middle, high))


def test_more_seeds_narrow_the_interval():
    widths = [
        found.s50_high / found.s50_low
        for found in (measure_span(counts(n, n, n // 2, 0, 0, runs=n)) for n in (2, 6, 20, 60))
    ]
    assert widths == sorted(widths, reverse=True)


def test_order_of_lengths_does_not_matter():
    data = counts(10, 9, 4, 0, runs=10)
    assert measure_span(dict(reversed(data.items()))) == measure_span(data)


# Where the curve does not fit.


def test_misfit_falls_back_to_the_isotonic_crossing():
    plateau = counts(20, 20, 9, 9, 8, 9, 9, 8, runs=20, lengths=(5, 7, 10, 14, 20, 28, 40, 57))
    found = measure_span(plateau)
    assert found.method == "isotonic"
    assert found.misfit_p < 0.05
    assert 7 < found.s50 < 10
    assert found.s50_low <= found.s50 <= found.s50_high


def test_a_clear_rise_falls_back_even_where_it_is_explained_by_lapses():
    found = measure_span(counts(10, 2, 10, 0, runs=10))
    assert found.method == "isotonic"
    assert 20 < found.s50 < 40


def test_isotonic_interval_does_not_vanish_where_seeds_agree():
    """Resampled runs would all be alike: 10 of 10 and 0 of 10."""
    found = measure_span(counts(10, 0, 10, 0, runs=10))
    assert found.method == "isotonic"
    assert found.s50_high is None or found.s50_high / (found.s50_low or 5) > 1.2


def test_isotonic_beyond_the_lengths_tried_is_a_bound():
    found = measure_span(counts(20, 4, 20, 20, 20, runs=20))
    assert (found.method, found.bound, found.s50, found.s50_high) == ("isotonic", ">=", 80, None)
    found = measure_span(counts(0, 0, 0, 9, 0, runs=20))
    assert (found.method, found.bound, found.s50, found.s50_low) == ("isotonic", "<=", 5, None)


def test_misfit_p_is_calibrated():
    """Where the curve is right, at most 5 % are flagged: posterior predictive values are shy."""
    generator = np.random.default_rng(5)
    spans = [measure_span(simulation.family(generator, 20).counts) for _ in range(200)]
    values = np.array([found.misfit_p for found in spans])
    assert (values < 0.05).mean() <= 0.06
    assert 0.3 < np.median(values) < 0.65
    other = [measure_span(simulation.plateau(generator, 20).counts) for _ in range(50)]
    assert np.mean([found.method == "isotonic" for found in other]) > 0.9


def test_isotonic_interval_covers_where_the_curve_does_not_fit():
    generator = np.random.default_rng(6)
    row = simulation.interval_row([simulation.plateau(generator, 30) for _ in range(100)])
    assert row["isotonic"] > 0.95
    assert row["coverage"] > 0.92


def test_isotonic_shares_are_pooled_and_do_not_rise():
    shares = isotonic(counts(9, 4, 6, 7, 0, runs=10))
    np.testing.assert_allclose(shares, [0.9, 17 / 30, 17 / 30, 17 / 30, 0])


def test_both_ways_of_pooling_agree():
    generator = np.random.default_rng(7)
    for _ in range(50):
        runs = generator.integers(1, 9, size=12)
        data = {
            length: Counts(int(k), int(n))
            for length, k, n in zip(range(3, 15), generator.binomial(runs, 0.5), runs, strict=True)
        }
        raw = np.array([[k / n for k, n in data.values()]])
        np.testing.assert_allclose(span._pooled(raw, runs)[0], isotonic(data), atol=1e-12)


# The other two spans.


def test_guaranteed_span_needs_20_seeds_at_every_length():
    twenty = counts(20, 20, 19, 4, 0, runs=20)
    assert measure_span(twenty).guaranteed == 20
    assert measure_span(twenty | {10: Counts(19, 19)}).guaranteed is None
    assert measure_span(counts(10, 10, 10, 2, 0, runs=10)).guaranteed is None


def test_guaranteed_span_pools_before_it_judges():
    # 13 of 20 alone has a lower bound of 0.43; pooled with 20 of 20 after it, of 0.68.
    assert measure_span(counts(20, 13, 20, 4, 0, runs=20)).guaranteed == 20
    assert measure_span(counts(20, 13, 4, 4, 0, runs=20)).guaranteed == 5
    assert measure_span(counts(9, 3, 0, 0, 0, runs=20)).guaranteed == 0


def test_mean_span_is_the_area_under_the_pooled_share():
    found = measure_span(counts(20, 20, 10, 0, 0, runs=20))
    area = math.log(2) * (1 + 0.75 + 0.25)
    assert found.mean_span == pytest.approx(5 * math.exp(area))
    assert measure_span(counts(9, 9, runs=9)).mean_span == pytest.approx(10)


# Speed.


def test_hundreds_of_conditions_are_measured_in_a_second_or_two():
    """CPU time: `digitspan show` must table 10,000 runs in two seconds altogether."""
    generator = np.random.default_rng(8)
    tried = (5, 7, 10, 14, 20, 28, 40, 57, 80, 113, 160)
    known = simulation.Curve(30, 0.2, 0.05)
    studies = [simulation.simulate(generator, known, tried, 20).counts for _ in range(50)]
    measure_span(studies[0])
    start = time.process_time()
    for study in studies:
        assert isinstance(measure_span(study), Span)
    assert (time.process_time() - start) / len(studies) < 0.01  # measured: 0.003
