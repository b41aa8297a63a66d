"""Where the runs of a tuned study are made: a pure function of the rounds before."""

import itertools
import random

import pytest

from digitspan.study.design import FIRST, RATES, ROUND, Design, Place, ladder, next_places
from digitspan.study.surface import Run

DESIGN = Design(ladder(160), 1_000, 52)


def outcome(place: Place, span: float = 30.0, best: float = 1e-2) -> Run:
    """A run of a cell that solves lengths up to its span within a decade of its best rate."""
    solved = place.length <= span and best / 10 < place.rate < best * 10
    return Run(*place, "solved" if solved else "censored", 400 if solved else 1_000)


def study(design: Design, **cell: float) -> list[list[Place]]:
    """All rounds."""
    rounds, runs = [], []
    while places := next_places(design, runs):
        rounds.append(places)
        runs += [outcome(place, **cell) for place in places]
    return rounds


def test_the_ladder_has_about_twenty_lengths_evenly_spread():
    lengths = ladder(160)
    assert lengths[0] == 5
    assert lengths[-1] == 160
    assert 18 <= len(lengths) <= 20
    assert max(b / a for a, b in itertools.pairwise(lengths)) < 1.3


def test_rates_are_three_a_decade_from_1e_5_to_1():
    assert [f"{rate:g}" for rate in RATES[:4]] == ["1e-05", "2.2e-05", "4.6e-05", "0.0001"]
    assert RATES[-1] == 1
    assert len(RATES) == 16


def test_the_first_round_fills_the_space():
    first = next_places(DESIGN, [])
    assert len(first) == FIRST == len(set(first))
    assert len({place.length for place in first}) == 4
    assert {1e-4, 1e-3, 1e-2, 1e-1} < {place.rate for place in first}


@pytest.mark.parametrize("runs", [124, 84, 36, 68, 30, 7])
def test_a_study_has_the_runs_it_was_given(runs):
    rounds = study(DESIGN._replace(runs=runs))
    assert sum(len(places) for places in rounds) == runs
    assert all(len(places) == ROUND for places in rounds[1:-1])


def test_all_places_are_on_the_ladders_longest_first():
    for places in study(DESIGN):
        assert {place.length for place in places} <= set(DESIGN.lengths)
        assert {place.rate for place in places} <= set(RATES)
        assert places == sorted(places, reverse=True)


def test_a_round_does_not_depend_on_the_order_of_rows():
    runs = [outcome(place) for places in study(DESIGN)[:3] for place in places]
    shuffled = random.Random(0).sample(runs, len(runs))
    assert next_places(DESIGN, runs) == next_places(DESIGN, shuffled)


def test_runs_gather_where_the_span_is():
    last = [place for places in study(DESIGN._replace(runs=100))[-4:] for place in places]
    near = [p for p in last if 15 <= p.length <= 60 and 1e-3 <= p.rate <= 1e-1]
    assert len(near) >= 0.6 * len(last)


def test_every_round_makes_sure_of_a_length_below_the_span():
    for places in study(DESIGN)[1:]:
        assert min(place.length for place in places) < 30


def test_no_round_sends_most_of_its_runs_to_the_longest_lengths():
    for places in study(DESIGN, span=40.0)[1:]:
        assert sum(place.length >= 100 for place in places) <= ROUND / 4


def test_an_unsolved_short_length_is_looked_at_again():
    hole = {12, 15}
    rounds, runs = [], []
    while places := next_places(DESIGN._replace(runs=124), runs):
        rounds.append(places)
        runs += [
            outcome(place) if place.length not in hole else Run(*place, "censored", 1_000)
            for place in places
        ]
    asked = [p for places in rounds[1:] for p in places if p.length in hole]
    assert len(asked) >= 6


def test_where_a_long_run_costs_more_runs_are_shorter():
    runs = [outcome(place) for place in next_places(DESIGN, [])]
    cheap, dear = (
        sum(place.length for place in next_places(DESIGN, runs, cost=cost))
        for cost in (lambda length: 1.0, lambda length: float(length**3))
    )
    assert dear < cheap


def test_nothing_solved_goes_to_short_lengths():
    last = study(DESIGN, span=1.0)[-1]
    assert sum(place.length <= 20 for place in last) >= ROUND / 2


def test_one_rate_is_a_study_at_it():
    design = Design(ladder(160), 1_000, 32, rates=(1e-3,))
    rounds = study(design, best=1e-3)
    assert len({place.length for place in rounds[0]}) == len(rounds[0]) == 8
    assert {place.rate for places in rounds for place in places} == {1e-3}
    assert sum(len(places) for places in rounds) == 32


def test_a_single_length_is_no_error():
    rounds = study(Design((5,), 1_000, 36))
    assert sum(len(places) for places in rounds) == 36


SLOW_FALL = [
    Run(t, 1e-2, "solved" if number < k else "censored", 500)
    for t, k in ((5, 6), (10, 6), (15, 6), (22, 5), (31, 4), (37, 3))
    for number in range(6)
]
"""Longer lengths are solved less and less often: the interval reaches beyond all of them."""


def test_every_round_asks_the_best_rate_from_the_span_to_beyond_its_upper_end():
    for first in (DESIGN, DESIGN._replace(runs=1_000)):
        places = next_places(first, SLOW_FALL)
        assert sum(p.length >= 31 and p.rate in {1e-2, 2.2e-2} for p in places) >= 2
        assert max(place.length for place in places) > 37


def test_a_run_far_from_the_best_rate_does_not_stand_for_one_at_it():
    # Runs at a hopeless rate up to the longest length: beyond 37 still nothing is known.
    hopeless = [Run(t, 1e-5, "censored", 1_000) for t in DESIGN.lengths] * 3
    places = next_places(DESIGN._replace(runs=1_000), SLOW_FALL + hopeless)
    assert any(place.length > 37 and place.rate >= 4.6e-3 for place in places)
