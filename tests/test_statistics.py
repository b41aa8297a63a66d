"""Intervals, tails and Mann and Whitney's test against scipy's, bits against brute force."""

import math
from collections import Counter

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from digitspan.statistics import (
    MAX_BITS,
    binomial_tail,
    mann_whitney,
    memory_bits,
    memory_error,
    wilson,
)


@given(trials=st.integers(1, 100_000), share=st.floats(0, 1))
def test_wilson_interval_is_scipys(trials, share):
    successes = round(share * trials)
    expected = scipy.stats.binomtest(successes, trials).proportion_ci(method="wilson")
    # Not relative: an end near 0 is a difference of two numbers, good to about 1e-16.
    assert wilson(successes, trials) == pytest.approx((expected.low, expected.high), abs=1e-13)


@given(trials=st.integers(1, 5_000), part=st.floats(0, 1), share=st.floats(0.01, 0.99))
def test_binomial_tail_is_scipys(trials, part, share):
    successes = round(part * trials)
    expected = scipy.stats.binom.sf(successes - 1, trials, share)
    assert binomial_tail(successes, trials, share) == pytest.approx(expected, rel=1e-8, abs=1e-12)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99, 0.999])
def test_wilson_interval_is_scipys_at_other_levels(level):
    z = float(scipy.stats.norm.ppf((1 + level) / 2))
    expected = scipy.stats.binomtest(7, 30).proportion_ci(level, method="wilson")
    assert wilson(7, 30, z=z) == pytest.approx((expected.low, expected.high), abs=1e-13)


@given(trials=st.integers(1, 10_000), share=st.floats(0, 1))
def test_wilson_interval_holds_the_share_and_stays_within_0_and_1(trials, share):
    successes = round(share * trials)
    low, high = wilson(successes, trials)
    assert 0 <= low <= successes / trials <= high <= 1
    assert low < high


def test_wilson_interval_ends_where_nothing_else_can_be():
    assert wilson(0, 10).low == 0
    assert wilson(10, 10).high == 1


@pytest.mark.parametrize(
    ("all_solved", "low"), [(3, 0.44), (4, 0.51), (5, 0.57), (10, 0.72), (20, 0.84), (35, 0.90)]
)
def test_lower_bounds_are_those_of_the_protocol(all_solved, low):
    assert round(wilson(all_solved, all_solved).low, 2) == low


def test_half_widths_on_held_out_palindromes_are_those_of_the_protocol():
    # n = 10,000: 0.6 points at 10 %, 1.0 at 50 %, 0.4 at 95 %, 0.2 at 99 %
    for right, points in ((1000, 0.6), (5000, 1.0), (9500, 0.4), (9900, 0.2)):
        low, high = wilson(right, 10_000)
        assert round(100 * (high - low) / 2, 1) == points


# Memory in bits ------------------------------------------------------------------------------


def information(pairs):
    """The definition, answer by answer: mean of log2 P(j, k) / (P(j) P(k))."""
    total, both = len(pairs), Counter(pairs)
    rows, columns = Counter(j for j, _ in pairs), Counter(k for _, k in pairs)
    return sum(
        n / total * math.log2(n * total / (rows[j] * columns[k])) for (j, k), n in both.items()
    )


def by_brute_force(counts):
    """The jackknife, leaving out one answer after another."""
    pairs = [(j, k) for j in range(10) for k in range(10) for _ in range(int(counts[j, k]))]
    total = len(pairs)
    left_out = [information(pairs[:i] + pairs[i + 1 :]) for i in range(total)]
    jackknife = total * information(pairs) - (total - 1) * sum(left_out) / total
    return min(max(jackknife, 0), math.log2(10))


@given(st.lists(st.integers(0, 2), min_size=100, max_size=100).filter(lambda x: sum(x) > 1))
@settings(max_examples=20)
def test_memory_is_the_mutual_information(entries):
    counts = np.array(entries).reshape(10, 10)
    assert memory_bits(counts) == pytest.approx(by_brute_force(counts), abs=1e-9)


def test_perfect_answers_are_all_of_a_digit():
    assert memory_bits(np.eye(10, dtype=int) * 1000) == MAX_BITS == math.log2(10)
    assert round(MAX_BITS, 2) == 3.32


def test_wrong_names_for_the_digits_lose_nothing():
    # Every answer is wrong, and tells which digit stood first.
    counts = np.roll(np.eye(10, dtype=int) * 20, 1, axis=1)
    assert memory_bits(counts) == MAX_BITS


def test_one_answer_to_everything_tells_nothing():
    counts = np.zeros((10, 10), dtype=int)
    counts[:, 3] = 1000
    assert memory_bits(counts) == pytest.approx(0, abs=1e-9)


def test_answers_at_chance_tell_nothing_on_the_whole():
    rng = np.random.default_rng(0)
    bits = []
    for _ in range(200):
        counts = rng.multinomial(200, [0.1] * 10, size=10)  # 2,000 questions
        bits.append(memory_bits(counts))
    # Uncorrected, the mean would be 81/(2 * 2000 * ln 2) = 0.029 bits, the spread 0.0046; what is
    # left are the halves above zero: 0.4 of the spread.
    assert np.mean(bits) < 0.003
    assert max(bits) < 0.029


def test_digits_merged_into_pairs_hold_one_bit_less():
    counts = np.zeros((10, 10), dtype=int)
    for digit in range(10):
        counts[digit, digit - digit % 2] = 10_000
    # The correction is of the order of 1e-5 here.
    assert memory_bits(counts) == pytest.approx(math.log2(5), abs=1e-4)


def test_bias_is_taken_off():
    # Half of the answers are right, the rest is spread over the other nine digits.
    joint = np.full((10, 10), 0.5 / 90) + np.eye(10) * (0.05 - 0.5 / 90)
    truth = float((joint * np.log2(100 * joint)).sum())
    rng = np.random.default_rng(1)
    draws = rng.multinomial(2000, joint.ravel() / joint.sum(), size=300)
    bits = [memory_bits(counts.reshape(10, 10)) for counts in draws]
    # Uncorrected, the mean would be 81/(2 * 2000 * ln 2) = 0.029 bits too large.
    assert np.mean(bits) == pytest.approx(truth, abs=0.006)


def test_bias_is_taken_off_where_few_strings_are_asked():
    """200 palindromes are all that T = 5 and 6 have to test with."""
    rng = np.random.default_rng(2)
    for right, truth in ((0.0, 0.0), (0.15, 0.110), (0.5, 0.903)):
        channel = right * np.eye(10) + (1 - right) / 10
        asked = [np.array([rng.multinomial(20, row) for row in channel]) for _ in range(200)]
        # Uncorrected the means are 0.34, 0.46 and 1.26, with Miller's correction 0.09, 0.23, 1.09.
        assert np.mean([memory_bits(counts) for counts in asked]) == pytest.approx(truth, abs=0.06)


VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=9)


@given(first=VALUES, second=VALUES)
@settings(max_examples=50)
def test_mann_whitney_is_scipys_where_there_are_no_ties(first, second):
    if len({*first, *second}) == len(first) + len(second):
        expected = scipy.stats.mannwhitneyu(first, second, method="exact")
        found = mann_whitney([(first, second)])
        assert found.p == pytest.approx(expected.pvalue, abs=1e-12)
        assert found.above == pytest.approx(expected.statistic / len(first) / len(second))


def test_mann_whitney_counts_ties_as_scipys_permutations_do():
    first, second = [1, 1, 2, 3, 3], [1, 3, 4, 4, 4, 5]

    def rank_sum(one, other):
        return scipy.stats.rankdata([*one, *other])[: len(one)].sum()

    expected = scipy.stats.permutation_test(
        (first, second), rank_sum, vectorized=False, permutation_type="independent"
    )
    assert mann_whitney([(first, second)]).p == pytest.approx(expected.pvalue, abs=1e-12)


def test_mann_whitney_of_many_values_is_scipys_normal_distribution():
    generator = np.random.default_rng(0)
    first, second = generator.integers(0, 9, 50), generator.integers(1, 10, 60)
    expected = scipy.stats.mannwhitneyu(first, second, method="asymptotic")
    assert mann_whitney([(first, second)]).p == pytest.approx(expected.pvalue, rel=1e-9)


def test_mann_whitney_compares_strata_each_within_itself():
    ahead, behind = ([1, 2, 3, 4], [5, 6, 7, 8]), ([15, 16, 17, 18], [11, 12, 13, 14])
    assert mann_whitney([ahead, behind]) == (1.0, 0.5)
    # The second stratum lies higher and has more of the first group: that is no difference.
    within = [([1, 4], [2, 3, 1.5, 3.5, 2.5]), ([11, 14, 12, 13, 11.5], [12.5, 11.7])]
    assert mann_whitney(within).p > 0.5
    # All ways to draw 4 of 8 twice: 70^2, of which one is as far out on each side.
    assert mann_whitney([ahead, ahead]).p == pytest.approx(2 / 70**2)


@pytest.mark.parametrize("strata", [[], [([1], [])], [([0] * 5, [0] * 5)], [([0] * 50, [0] * 50)]])
def test_mann_whitney_of_what_tells_nothing_is_1(strata):
    assert mann_whitney(strata) == (1.0, 0.5)


def test_two_strata_of_many_values_are_as_probable_as_counted(monkeypatch):
    generator = np.random.default_rng(0)
    strata = [
        (generator.normal(shift, 1, 15).tolist(), generator.normal(shift + 0.4, 1, 15).tolist())
        for shift in (0, 5)
    ]
    exact = mann_whitney(strata).p
    monkeypatch.setattr("digitspan.statistics._EXACT_UP_TO", 0)
    assert mann_whitney(strata).p == pytest.approx(exact, rel=0.05)


@pytest.mark.parametrize(("right", "worst"), [(0.1, 3), (0.3, 1.3), (0.6, 1.3), (0.9, 1.3)])
def test_error_of_the_bits_is_how_much_they_vary(right, worst):
    """Where next to nothing is told half of the noise is cut off at 0."""
    joint = np.full((10, 10), (1 - right) / 90)
    np.fill_diagonal(joint, right / 10)
    generator = np.random.default_rng(3)
    drawn = [generator.multinomial(500, joint.ravel()).reshape(10, 10) for _ in range(60)]
    varies = np.std([memory_bits(counts) for counts in drawn])
    told = np.mean([memory_error(int(counts.trace()), 500) for counts in drawn])
    assert 1 / worst < told / varies < worst
    assert memory_error(500, 500) < 0.02
