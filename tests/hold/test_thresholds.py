"""When a network holds a length, and one threshold a network."""

import math
import random

import numpy as np
import pytest

from digitspan.hold.kept_answers import Answers
from digitspan.hold.spans import holding_text, span_of
from digitspan.hold.thresholds import (
    MOST_PALINDROMES,
    Threshold,
    holding_span,
    holds,
    threshold,
)


def test_no_network_holds_before_130_right_answers_in_a_row():
    assert [holds(n, n) for n in (20, 129, 130, 300)] == [None, None, True, True]


def test_what_is_clear_early_is_decided_early():
    assert holds(0, 5) is False
    assert holds(18, 20) is False
    assert holds(290, 300) is False  # 96.7 %


def test_after_a_thousand_palindromes_the_share_decides():
    assert MOST_PALINDROMES == 1_000
    assert (holds(990, 1_000), holds(989, 1_000)) == (True, False)
    assert holds(989, 999) is None


def share_that_holds(accuracy, networks=1_000):
    """How many networks of an accuracy are said to hold, asked one by one until that is known."""
    chance, found = random.Random(0), 0
    for _ in range(networks):
        right = tested = 0
        while (held := holds(right, tested)) is None:
            right += chance.random() < accuracy
            tested += 1
        found += held
    return found / networks


def test_a_network_of_97_percent_is_not_let_pass():
    """Twenty palindromes let it pass with probability 0.54."""
    assert share_that_holds(0.97) < 0.05
    assert share_that_holds(0.999) > 0.95
    assert 0.35 < share_that_holds(0.99) < 0.65  # as good as even: nobody is favoured


def test_a_network_has_one_threshold():
    held = {100: True, 1_000: True, 10_000: False, 100_000: False}
    assert threshold(held) == Threshold(1_000, 10_000)
    assert threshold(dict.fromkeys(held, True)) == Threshold(100_000, math.inf)
    assert threshold(dict.fromkeys(held, False)) == Threshold(0, 100)


def test_nothing_above_the_first_length_that_is_not_held_counts():
    assert threshold({100: True, 1_000: False, 10_000: True}) == Threshold(100, 1_000)


def test_an_undecided_length_is_inside_the_threshold():
    assert threshold({100: True, 1_000: None, 10_000: False}) == Threshold(100, 10_000)
    assert threshold({100: None, 1_000: True}) == Threshold(0, math.inf)


@pytest.mark.parametrize("networks", [5, 6, 9, 10, 20])
def test_two_thresholds_enclose_the_median_of_any_distribution(networks):
    """The same networks at several lengths are no runs of their own: that covered 59 to 84 %."""
    generator, inside = np.random.default_rng(networks), 0
    for _ in range(1_000):
        # Two kinds of networks; the median is that of the upper kind's lower part.
        logs = np.where(generator.random(networks) < 0.3, 2.0, 6.0) + generator.random(networks)
        span = holding_span([Threshold(math.exp(v - 0.05), math.exp(v + 0.05)) for v in logs])
        inside += span.low <= math.exp(6 + 2 / 7) <= span.high
    assert inside >= 920


def test_the_holding_span_is_the_median_threshold_with_two_of_them_around_it():
    span = holding_span([Threshold(10**k, 10 ** (k + 1)) for k in (2, 2, 3, 3, 3, 4, 5)])
    assert span.s50 == pytest.approx(math.sqrt(1_000 * 10_000))
    assert (span.low, span.high, span.networks) == (100, 1_000_000, 7)


def test_few_networks_have_no_interval():
    span = holding_span([Threshold(100, 1_000)] * 4)
    assert (span.low, span.high, span.bound) == (None, None, "")
    five = holding_span([Threshold(100, 1_000)] * 5)
    assert (five.low, five.high) == (100, 1_000)
    assert holding_text(span) == "316 [open, open]"


@pytest.mark.parametrize(
    ("threshold_of_all", "text"),
    [(Threshold(100_000, math.inf), ">= 100,000"), (Threshold(0, 100), "<= 100")],
)
def test_a_span_beyond_the_lengths_asked_is_a_bound(threshold_of_all, text):
    span = holding_span([threshold_of_all] * 5)
    assert holding_text(span) == text
    assert (span.high if text[0] == ">" else span.low) is None


def test_answers_to_a_longer_length_do_not_mend_a_hole():
    def answers(**right):
        return [Answers("one", int(t[1:]), n, 300) for t, n in right.items()]

    whole = span_of(answers(T100=300, T1000=300, T10000=300))
    hole = span_of(answers(T100=300, T1000=200, T10000=300))
    assert whole.bound == ">="
    assert hole.s50 < 1_000
    assert np.isfinite(hole.s50)
