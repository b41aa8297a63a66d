"""S50(b): what runs say of the length that half of them solve within a budget."""

import math
import random

import numpy as np
import pytest
from real_runs import real_runs

from digitspan.errors import UsageError
from digitspan.study.retention import Span, budget_curve, guaranteed_span, measure_span
from digitspan.study.surface import Run

RATES = (1e-3, 1e-2, 1e-1)


def grid(solved: dict[int, int], runs: int = 20, rate: float = 1e-2) -> list[Run]:
    """So many solved runs a length, at one rate."""
    return [
        Run(length, rate, "solved" if index < number else "censored", 1_000)
        for length, number in solved.items()
        for index in range(runs)
    ]


def same(first: Span, second: Span) -> bool:
    return first._replace(atoms=None) == second._replace(atoms=None) and np.array_equal(
        first.atoms, second.atoms
    )


def test_real_spans_are_those_of_the_protocol():
    lstm, rnn = (measure_span(real_runs(cell), 2_000) for cell in ("lstm", "rnn"))
    assert 40 < lstm.s50 < 80
    assert lstm.low < 45
    assert 0.01 < lstm.rate < 0.06
    assert 14 < rnn.s50 < 18
    assert 12 < rnn.low < 15
    assert 17 < rnn.high < 22
    assert 4e-4 < rnn.rate < 1.5e-3
    assert not (lstm.marked)
    assert not (rnn.marked)


def test_the_budget_curve_comes_from_the_same_runs_and_rises():
    spans = budget_curve(real_runs("lstm"), (500, 1_000, 2_000))
    assert [span.budget for span in spans] == [500, 1_000, 2_000]
    assert spans[0].s50 < spans[1].s50 < spans[2].s50
    assert [span.solved for span in spans] == sorted(span.solved for span in spans)


def test_rows_in_any_order_give_the_same_span():
    runs = real_runs("quick-rnn")
    shuffled = random.Random(2).sample(runs, len(runs))
    assert same(measure_span(runs, 1_000), measure_span(shuffled, 1_000))


def test_nothing_solved_is_a_bound_from_above():
    span = measure_span(real_runs("rnn"), 500)
    assert (span.s50, span.low, span.bound) == (7, None, "<=")
    assert 7 < span.high < 20
    assert span.solved == 0
    assert not span.marked


@pytest.mark.parametrize("rate", [None, 1e-2])
def test_nothing_solved_says_nothing_of_a_best_rate_or_of_lapses(rate):
    span = measure_span(grid({5: 0, 10: 0, 20: 0}), 1_000, rate=rate)
    assert (span.rate_low, span.rate, span.rate_high) == (rate, rate, rate)
    assert (span.lapse, span.width) == (None, None)


@pytest.mark.parametrize("hopeless", [1e-5, 1.0])
def test_a_run_at_a_hopeless_rate_closes_no_end(hopeless):
    """That one fails at T = 160 says nothing of how long a memory there is at the best rate."""
    runs = grid({5: 6, 10: 6, 20: 5, 40: 4}, 6)
    span = measure_span(runs, 1_000)
    more = measure_span([*runs, Run(160, hopeless, "censored", 1_000)], 1_000)
    assert span.high is None
    assert more.high is None
    assert more.s50 <= more.longest <= 40


@pytest.mark.parametrize("length", [20, 80, 160])
def test_one_unsolved_run_closes_no_end(length):
    span = measure_span(grid({length: 0}, 1), 1_000, rate=1e-2)
    assert (span.low, span.high, span.bound) == (None, None, "<=")
    many = measure_span(grid({length: 0}, 12), 1_000, rate=1e-2)
    assert (many.s50, many.high) == (length, length)


def test_a_rate_that_was_not_run_is_not_used():
    """Slow rates alone: that a faster one would do better is not known from them."""
    rates = (1e-5, 2.2e-5, 4.6e-5)
    runs = [
        run
        for rate in rates
        for run in grid({5: 5 * (rate == rates[-1]), 10: 0, 20: 0, 40: 0}, 5, rate=rate)
    ]
    span = measure_span(runs, 1_000)
    assert rates[0] <= span.rate_low <= span.rate <= span.rate_high <= rates[-1]
    assert 5 <= span.s50 < 10
    assert span.high <= 10


@pytest.mark.parametrize(
    ("solved", "low", "high"),
    [
        ({5_000: 10, 20_000: 0}, 5_000, 20_000),
        ({500: 10, 2_000: 0}, 500, 2_000),
        ({10: 10, 100: 10, 1_000: 10, 3_000: 0}, 1_000, 3_000),
    ],
)
def test_the_prior_reaches_as_far_as_the_runs(solved, low, high):
    span = measure_span(grid(solved, 10), 1_000, rate=1e-2)
    assert low < span.low < span.high < high


def test_no_bound_contradicts_the_runs_at_it():
    """None of five at the longest length: the span is not at least that."""
    span = measure_span(grid({5: 5, 6: 0}, 5), 1_000, rate=1e-2)
    assert (span.low, span.high, span.bound) == (None, None, "")


def test_runs_at_hopeless_rates_contradict_no_bound():
    """All are solved at the best rate; what fails three decades off says nothing against that."""
    runs = [
        *grid({5: 6, 10: 6, 20: 6, 40: 6}, 6),
        *grid({40: 0}, 9, rate=1e-5),
        *grid({40: 0}, 9, rate=1.0),
    ]
    span = measure_span(runs, 1_000)
    assert (span.s50, span.high, span.bound) == (40, None, ">=")


def test_a_hole_at_the_shortest_length_is_a_bound_from_above():
    span = measure_span(grid({5: 0, 10: 10, 20: 10}, 10), 1_000, rate=1e-2)
    assert (span.s50, span.low, span.high, span.bound, span.hole) == (5, None, 5, "<=", 5)


def test_a_run_near_the_best_rate_closes_an_end():
    runs = [
        run
        for rate in (4.6e-3, 1e-2, 2.2e-2)
        for run in grid({5: 6, 10: 6, 20: 5, 40: 4, 160: 0}, 6, rate=rate)
    ]
    span = measure_span(runs, 1_000)
    assert span.longest == 160
    assert 20 < span.low < span.high < 160


def test_everything_solved_is_a_bound_from_below():
    runs = [Run(t, r, "solved", 50) for t in (5, 20, 80) for r in RATES]
    span = measure_span(runs, 1_000)
    assert (span.s50, span.high, span.bound) == (80, None, ">=")
    assert 5 < span.low <= 80
    assert not span.marked


@pytest.mark.parametrize("outcome", ["solved", "censored"])
def test_a_single_run_is_no_nonsense(outcome):
    span = measure_span([Run(10, 1e-3, outcome, 100)], 100)
    assert span.s50 == 10
    assert span.bound == (">=" if outcome == "solved" else "<=")


def test_what_lies_beyond_the_longest_run_is_open():
    span = measure_span(grid({5: 20, 10: 19, 20: 13}), 1_000, rate=1e-2)
    assert span.high is None
    assert 10 < span.low <= 20


def test_half_is_absolute_lapses_included():
    # 30 % lapses: solved shares of 0.7 fall to one half long before they fall to 0.35.
    solved = {t: round(200 * 0.7 / (1 + (t / 30) ** 4)) for t in (5, 10, 15, 20, 30, 40, 60)}
    span = measure_span(grid(solved, 200), 1_000, rate=1e-2)
    true = 30 * (0.7 / 0.5 - 1) ** 0.25
    assert span.low < true < span.high
    assert span.high < 30
    assert span.lapse == pytest.approx(0.3, abs=0.05)


def test_at_a_fixed_rate_only_runs_made_at_it_count():
    runs = real_runs("lstm")
    of_rate = [run for run in runs if run.rate == 1e-3]
    span = measure_span(runs, 2_000, rate=1e-3)
    assert same(span, measure_span(of_rate, 2_000, rate=1e-3))
    assert span.runs == len(of_rate)
    assert (span.rate_low, span.rate, span.rate_high) == (1e-3, 1e-3, 1e-3)


@pytest.mark.parametrize("rate", [5e-324, 1e-300, 1e-6, 10.0, 1e38, 1e300])
@pytest.mark.parametrize("at_one_rate", [True, False])
def test_a_rate_beyond_all_reason_is_a_rate(rate, at_one_rate):
    """A grid may ask for any; where all its runs diverge nothing is solved, and that is told."""
    runs = [Run(t, rate, "diverged", 2) for t in (5, 10, 20)] * 3
    fixed = rate if at_one_rate else None
    span = measure_span(runs, 1_000, rate=fixed)
    assert (span.s50, span.bound) == (5, "<=")
    solved = measure_span(grid({5: 20, 10: 18, 20: 2}, rate=rate), 1_000, rate=fixed)
    if at_one_rate:
        assert solved.low < solved.s50 < 20
    assert np.isfinite([solved.s50, solved.lapse, solved.width, solved.misfit_p]).all()


def test_nothing_above_a_hole_counts():
    solved = {5: 20, 10: 20, 15: 0, 20: 20, 30: 20, 40: 20, 60: 20}
    span = measure_span(grid(solved), 1_000, rate=1e-2)
    assert span.marked
    assert span.hole == 15
    assert 10 <= span.s50 <= 15
    assert span.high <= 15


@pytest.mark.parametrize("rate", [None, 1e-2])
def test_few_runs_are_a_hole_where_longer_lengths_are_solved(rate):
    """None of five by chance, where half are solved, is not so rare: 3.1 %."""
    span = measure_span(
        grid({5: 5, 10: 5, 15: 0, 20: 5, 30: 5, 40: 4, 60: 0}, 5), 1_000, rate=rate
    )
    assert span.hole == 15
    assert span.high <= 15


def test_few_unsolved_runs_at_the_end_are_no_hole():
    span = measure_span(
        grid({5: 5, 10: 5, 15: 5, 20: 4, 30: 2, 40: 0, 60: 0}, 5), 1_000, rate=1e-2
    )
    assert span.hole is None


def test_a_hole_is_found_at_the_best_rate_of_a_surface():
    runs = [
        Run(t, r, "solved" if r == 1e-2 and not 12 < t < 18 else "censored", 1_000)
        for t in (5, 8, 10, 14, 20, 28, 40, 57, 80)
        for r in RATES
        for _ in range(6)
        if t < 57 or r == 1e-3
    ]
    span = measure_span(runs, 1_000)
    assert span.hole == 14
    assert span.high <= 14


def test_lengths_that_the_surface_does_not_describe_mark_the_span():
    solved = {t: 20 if index % 2 else 8 for index, t in enumerate((7, 10, 14, 20, 28, 40))}
    assert measure_span(grid(solved | {80: 0}), 1_000, rate=1e-2).misfit_p < 0.05


def test_an_interval_at_another_level_is_wider():
    span = measure_span(real_runs("rnn"), 2_000)
    low, high = span.interval(0.99)
    assert low < span.low < span.high < high
    assert span.interval(0.95) == (span.low, span.high)


def test_a_budget_that_no_run_had_is_refused():
    runs = [Run(10, 1e-3, "censored", 650)]
    with pytest.raises(UsageError, match="no run was trained for 2,000 steps, so no span"):
        measure_span(runs, 2_000)
    with pytest.raises(UsageError, match=r"no run at a learning rate of 0\.01 was"):
        measure_span(runs, 600, rate=0.01)


def test_ends_are_lengths_that_were_run_or_between_them():
    span = measure_span(real_runs("quick-lstm"), 1_000)
    assert span.high is None
    assert span.shortest <= span.low <= span.s50 <= span.longest
    assert math.isinf(span.atoms[-1])


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({5: (20, 20), 10: (20, 20), 15: (0, 20), 20: (20, 20), 60: (20, 20)}, 10),
        ({5: (20, 20), 10: (15, 20), 15: (14, 20), 20: (20, 20)}, 10),
        ({5: (10, 20), 10: (20, 20)}, 0),
        ({5: (20, 20), 10: (20, 20)}, 10),
        ({5: (10, 10), 10: (20, 20)}, None),
        ({5: (20, 20), 10: (0, 20), 15: (3, 3)}, 5),
    ],
)
def test_the_guaranteed_span_ends_at_the_first_length_that_is_not_sure(counts, expected):
    assert guaranteed_span(counts) == expected


def test_a_cell_at_chance_is_seldom_guaranteed_anything():
    generator = np.random.default_rng(0)
    tries = 4_000
    solved = generator.binomial(20, 0.5, (tries, 3))
    found = [
        guaranteed_span({t: (k, 20) for t, k in enumerate(row, 5)}) for row in solved.tolist()
    ]
    assert np.mean([span > 0 for span in found]) < 0.03
