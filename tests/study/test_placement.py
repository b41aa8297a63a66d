"""Adaptive placement: few runs reach what a grid needs many for, and it can be replayed."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from study.test_span import simulation

from digitspan.study.curve import Counts
from digitspan.study.placement import (
    MAX_RUNS,
    ROUND,
    STOP_FACTOR,
    narrow_enough,
    place_round,
)
from digitspan.study.span import measure_span

CANDIDATES = simulation.lengths(60)


def error_factor(studies) -> float:
    return simulation.placement_row(studies)["RMS error"]


@pytest.mark.parametrize(
    ("shape", "number", "slack"),
    [
        ("steep", 60, 1.5),
        pytest.param("steep", 300, 1.2, marks=pytest.mark.slow),
        # Without lapses 190 runs are a little better (the benchmark: x1.065 against x1.073), by
        # 1.12 in the logarithm; the rest is noise of 300 studies, 6 % one deviation. Eight easy
        # runs cannot rule lapses out, so the span comes out 3 % long. Other placements are no
        # better (500 studies): now x1.076, two of eight at the shortest x1.079, none x1.083.
        pytest.param("shallow", 300, 1.35, marks=pytest.mark.slow),
        pytest.param("shallow, 10 % lapses", 300, 1.2, marks=pytest.mark.slow),
    ],
)
def test_40_to_64_runs_are_as_good_as_a_grid_of_190(shape, number, slack):
    generator = np.random.default_rng(1)
    s, lapse = simulation.SHAPES[shape]
    curves = [simulation.Curve(generator.uniform(6, 80), s, lapse) for _ in range(number)]
    tried = simulation.lengths(20)
    grid = [simulation.simulate(generator, curve, tried, 10) for curve in curves]
    placed = [
        simulation.place(generator, curve, CANDIDATES, MAX_RUNS, narrow_enough) for curve in curves
    ]
    runs = [sum(n for _, n in study.counts.values()) for study in placed]
    assert max(runs) <= MAX_RUNS
    assert np.mean(runs) < MAX_RUNS
    assert math.log(error_factor(placed)) < slack * math.log(error_factor(grid))


def test_a_round_is_eight_lengths_of_which_one_is_the_shortest():
    for counts in ({}, {3: Counts(2, 2), 30: Counts(1, 3), 120: Counts(0, 1)}):
        placed = place_round(counts, CANDIDATES)
        assert len(placed) == ROUND
        assert placed == sorted(placed)
        assert placed[0] == CANDIDATES[0]
        assert set(placed) <= set(CANDIDATES)


def test_runs_are_placed_where_the_span_is():
    known = {5: Counts(4, 4), 20: Counts(4, 4), 30: Counts(2, 4), 45: Counts(0, 4)}
    placed = place_round(known, CANDIDATES)
    assert np.median(placed[1:]) == pytest.approx(30, rel=0.5)


def test_a_round_depends_on_what_is_known_and_on_nothing_else():
    known = {3: Counts(2, 2), 20: Counts(2, 3), 40: Counts(0, 3)}
    again = dict(reversed(known.items()))  # rows may have come in any order
    assert place_round(known, CANDIDATES) == place_round(again, CANDIDATES)
    assert place_round(known, CANDIDATES) == place_round(known, CANDIDATES)


def test_two_lengths_are_enough():
    assert set(place_round({}, (5, 10))) == {5, 10}


def test_stops_where_the_ends_are_within_a_quarter_of_each_other():
    assert not narrow_enough({}, 120)
    wide = {10: Counts(3, 3), 20: Counts(3, 3), 30: Counts(1, 3), 40: Counts(0, 3)}
    narrow = {10: Counts(30, 30), 20: Counts(29, 30), 30: Counts(10, 30), 40: Counts(0, 30)}
    for counts, expected in ((wide, False), (narrow, True)):
        span = measure_span(counts)
        within = span.s50_high is not None and span.s50_high / span.s50_low <= STOP_FACTOR
        assert narrow_enough(counts, 120) == within == expected


def test_a_round_takes_well_under_a_second():
    known = {length: Counts(1, 2) for length in CANDIDATES[:32]}
    place_round(known, CANDIDATES)
    start = time.process_time()
    for _ in range(20):
        place_round(known, CANDIDATES)
        narrow_enough(known, 120)
    assert (time.process_time() - start) / 20 < 0.1  # measured: 0.005
