"""What a study runs: a pure function of its configuration and of the rows that are there."""

from __future__ import annotations

import dataclasses
import random
import sys
import time
import types
from collections import Counter, defaultdict

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from studies import made_up_record

from digitspan.errors import ConfigError
from digitspan.runs.config import OPTIMIZERS, RunConfig
from digitspan.runs.cost import cost
from digitspan.study.compare import compare_spans, outcomes_of
from digitspan.study.config import PRESETS, StudyConfig, full, quick, sheet
from digitspan.study.grid import TUNED, counts_of, next_jobs, plan
from digitspan.study.placement import MAX_RUNS, ROUND
from digitspan.study.span import Counts, measure_span
from digitspan.training.run import train

HALF_DECADES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)


def solve(config: RunConfig, limit: float = 25, rates=(0.0, 1.0)):
    """A run that is solved up to a length, where its rate is in a range."""
    solved = config.length <= limit and rates[0] <= config.learning_rate <= rates[1]
    return made_up_record(config, solved=solved)


def done(config: StudyConfig, rule=solve) -> dict:
    """The records of a study that came to its end, wave by wave."""
    records = {}
    while jobs := next_jobs(config, records):
        for job in jobs:
            records[job.config.key] = rule(job.config)
    return records


def lengths_by_rule(jobs, role="final"):
    """The lengths of the jobs of one role, by learning-rate rule."""
    found = defaultdict(set)
    for job in jobs:
        if job.role == role:
            found[job.condition.rate].add(job.config.length)
    return dict(found)


# A grid.


def test_a_grid_has_every_run_once():
    config = StudyConfig(
        lengths=(5, 10, 20), seeds=4, learning_rates=(1e-3, 1e-2), encoding=("one-hot", "scalar")
    )
    jobs = plan(config, {})
    assert len(jobs) == len({job.config.key for job in jobs}) == 2 * 3 * 4 * 2 * 2
    assert set(Counter(job.condition for job in jobs).values()) == {3 * 4}
    assert {job.role for job in jobs} == {"final"}


def test_cells_get_the_starts_that_fit_them():
    config = StudyConfig(initialisation=("uniform", "identity", "chrono"))
    starts = {(job.condition.cell, job.condition.initialisation) for job in plan(config, {})}
    assert starts == {
        ("rnn", "uniform"),
        ("rnn", "identity"),
        ("lstm", "uniform"),
        ("lstm", "chrono"),
    }


def test_all_cells_and_rates_see_the_same_data_at_one_replicate():
    """The data stream depends on length and seed alone (digitspan.training.run)."""
    for config in (quick(), sheet(), full()):
        streams = defaultdict(set)
        for job in plan(config, done(config)):
            if job.role == "final":
                streams[job.condition].add((job.config.length, job.config.seed))
        assert len(set(map(frozenset, streams.values()))) == 1


def test_settings_reach_the_runs():
    config = StudyConfig(train_steps=7, hidden_size=3, batch_size=5, max_grad_norm=2, lengths=(6,))
    run = plan(config, {})[0].config
    found = (run.train_steps, run.hidden_size, run.batch_size, run.max_grad_norm, run.length)
    assert found == (7, 3, 5, 2.0, 6)


# Tuning.

TUNING = StudyConfig(
    cells=("rnn",),
    lengths=(5, 7, 10, 14, 20, 28, 40, 57, 80, 113, 160),
    seeds=3,
    learning_rates=(1e-3, 3e-3, 1e-2),
    tuning_seeds=2,
    fixed_rate=1e-3,
)


def test_rates_are_tuned_at_six_lengths():
    first = next_jobs(TUNING, {})
    tuning = [job for job in first if job.role == "tuning"]
    lengths = {job.config.length for job in tuning}
    assert lengths == {5, 10, 20, 40, 80, 160}
    assert len(tuning) == 6 * 3 * 2


def test_final_runs_at_the_fixed_rate_do_not_wait_for_tuning():
    first = next_jobs(TUNING, {})
    assert lengths_by_rule(first) == {"0.001": set(TUNING.lengths)}


def test_tuned_runs_wait_for_tuning_at_all_lengths():
    records = {}
    tuning = [job for job in next_jobs(TUNING, {}) if job.role == "tuning"]
    for job in tuning[:-1]:
        records[job.config.key] = solve(job.config, rates=(3e-3, 3e-3))
        assert TUNED not in lengths_by_rule(plan(TUNING, records))
    records[tuning[-1].config.key] = solve(tuning[-1].config, rates=(3e-3, 3e-3))
    assert lengths_by_rule(plan(TUNING, records))[TUNED] == set(TUNING.lengths)


def test_tuned_runs_are_fresh():
    jobs = plan(TUNING, done(TUNING))
    tuning = {job.config.seed for job in jobs if job.role == "tuning"}
    final = {job.config.seed for job in jobs if job.role == "final"}
    assert len(tuning) == 2
    assert final == {0, 1, 2}
    assert not tuning & final


def test_rates_between_tuned_lengths_are_interpolated():
    def rule(config):
        best = {5: 1e-3, 10: 1e-3, 20: 1e-2, 40: 1e-2, 80: 3e-3, 160: 3e-3}
        record = made_up_record(config, solved=True)
        is_best = config.learning_rate == best.get(config.length, 0)
        return dataclasses.replace(record, steps=100 if is_best else 500)

    rates = {
        job.config.length: job.config.learning_rate
        for job in plan(TUNING, done(TUNING, rule))
        if job.condition.rate == TUNED and job.role == "final"
    }
    assert (rates[5], rates[7], rates[10], rates[20], rates[160]) == (1e-3, 1e-3, 1e-3, 1e-2, 3e-3)
    assert rates[14] == pytest.approx(3.1e-3)  # half way from 10 to 20 in ln T, and in ln rate
    assert 3e-3 < rates[57] < 1e-2


def tuned_rates(config, rule):
    """The rates that were tried, and the one that was chosen, at the shortest length."""
    jobs = [job for job in plan(config, done(config, rule)) if job.config.length == 5]
    tried = {job.config.learning_rate for job in jobs if job.role == "tuning"}
    chosen = {job.config.learning_rate for job in jobs if job.condition.rate == TUNED}
    final = {
        job.config.learning_rate
        for job in jobs
        if job.condition.rate == TUNED and job.role == "final"
    }
    assert final <= tried == chosen
    return sorted(tried), *final


@pytest.mark.parametrize(
    ("solved_at", "tried", "chosen"),
    [
        ((3e-3, 3e-3), (1e-3, 3e-3, 1e-2), 3e-3),  # inside: no more
        ((0.01, 0.01), (1e-3, 3e-3, 0.01, 0.03), 0.01),  # at the edge: one more, no better
        ((0.03, 0.03), (1e-3, 3e-3, 0.01), 1e-3),  # none solved at the edge: no more
        ((3e-4, 1e-3), (1e-4, 3e-4, 1e-3, 3e-3, 0.01), 3e-4),  # below; of equal ones the lowest
    ],
)
def test_a_best_rate_at_the_edge_widens_the_grid_where_it_solved(solved_at, tried, chosen):
    config = dataclasses.replace(TUNING, lengths=(5, 10), fixed_rate=None)
    found, best = tuned_rates(config, lambda run: solve(run, rates=solved_at))
    assert (found, best) == (list(tried), chosen)


@pytest.mark.parametrize("better", [1, -1])
def test_a_grid_is_widened_by_two_half_decades_a_side_at_most(better):
    """Higher (or lower) is always better; the third half decade is not tried."""

    def rule(config):
        record = made_up_record(config, solved=True)
        steps = round(10_000 / (1 + config.learning_rate * 1_000))
        return dataclasses.replace(record, steps=steps if better > 0 else 20_000 - steps)

    config = dataclasses.replace(TUNING, lengths=(5, 10), fixed_rate=None)
    found, best = tuned_rates(config, rule)
    expected = [1e-3, 3e-3, 0.01, 0.03, 0.1] if better > 0 else [1e-4, 3e-4, 1e-3, 3e-3, 0.01]
    assert found == expected
    assert best == (0.1 if better > 0 else 1e-4)


def test_a_single_rate_is_at_both_edges():
    config = dataclasses.replace(TUNING, lengths=(5, 10), learning_rates=(1e-3,), fixed_rate=None)

    def rule(config):  # 1e-3 is the best: both its neighbours are tried
        record = made_up_record(config, solved=True)
        return dataclasses.replace(record, steps=100 if config.learning_rate == 1e-3 else 900)

    assert tuned_rates(config, rule) == ([3e-4, 1e-3, 3e-3], 1e-3)


@pytest.mark.parametrize("rate", [1e-300, 5e-324, 1e300])
def test_rates_at_the_ends_of_floating_point_can_be_tuned(rate):
    config = dataclasses.replace(TUNING, lengths=(5,), learning_rates=(rate,), fixed_rate=None)
    assert done(config, lambda run: made_up_record(run, solved=True))


def test_tuning_reads_validation_data_only():
    """The test accuracy, which decides nothing, may be anything."""
    records = done(TUNING)
    other = {
        key: dataclasses.replace(record, accuracy=0.5, bits=1.0) for key, record in records.items()
    }
    assert plan(TUNING, records) == plan(TUNING, other)


# Controls and other optimisers.


def test_controls_are_run_at_three_lengths():
    config = dataclasses.replace(sheet(), encoding=("one-hot",), cells=("lstm",))
    jobs = [job for job in plan(config, {}) if job.role == "control"]
    assert {(job.config.trained, job.config.length) for job in jobs} == {
        (trained, length) for trained in ("read-out", "none") for length in (5, 10, 15)
    }
    assert {job.condition.trained for job in jobs} == {"read-out", "none"}
    assert len(jobs) == 2 * 3 * 3
    assert not [job for job in plan(quick(), {}) if job.role == "control"]


def test_optimisers_are_compared_with_the_studys_own_at_the_shortest_length():
    jobs = [job for job in plan(quick(), {}) if job.role == "compared"]
    assert {job.config.length for job in jobs} == {5}
    assert {job.config.optimizer for job in jobs} == set(OPTIMIZERS)
    assert {job.config.learning_rate for job in jobs} == {1e-3, 1e-2, 1e-1}


def test_a_study_that_compares_its_own_optimiser_runs_it_once():
    config = StudyConfig(compared_optimizers=("rmsprop", "adam"))
    jobs = plan(config, {})
    assert len({(job.config.key, job.condition, job.role) for job in jobs}) == len(jobs)


# What is missing.

configs = st.builds(
    StudyConfig,
    cells=st.lists(st.sampled_from(["rnn", "lstm"]), min_size=1, unique=True),
    lengths=st.lists(st.sampled_from([3, 5, 8, 13, 21, 34, 55, 80]), min_size=2, unique=True),
    seeds=st.integers(1, 3),
    learning_rates=st.lists(st.sampled_from(HALF_DECADES), min_size=1, max_size=3, unique=True),
    tuning_seeds=st.integers(0, 2),
    fixed_rate=st.sampled_from([None, 1e-3]),
    compared_optimizers=st.lists(st.sampled_from(OPTIMIZERS), max_size=2),
    controls=st.booleans(),
    adaptive=st.booleans(),
)


@settings(max_examples=10)
@given(
    config=configs, chance=st.randoms(use_true_random=False), limit=st.sampled_from([1, 12, 40])
)
def test_whatever_order_runs_are_finished_in_the_study_is_the_same(config, chance, limit):
    """One worker or many, killed and begun again: the same rows in the end, and then no more."""

    def rule(run):
        # Near the limit by luck, which is the run's own.
        luck = random.Random(run.key).random()
        return solve(run, limit * (0.5 + luck), rates=(3e-4, 3e-2))

    expected = done(config, rule)
    records = {}
    while jobs := next_jobs(config, records):
        keys = [job.config.key for job in jobs]
        assert len(set(keys)) == len(keys)
        assert not set(keys) & records.keys()
        assert set(keys) <= expected.keys()
        for job in chance.sample(jobs, chance.randint(1, len(jobs))):
            records[job.config.key] = rule(job.config)
    assert records.keys() == expected.keys()
    jobs = plan(config, records)
    assert jobs == plan(config, dict(sorted(records.items())))
    assert {job.config.key for job in jobs} == records.keys()
    assert len({(job.config.key, job.condition, job.role) for job in jobs}) == len(jobs)


def test_a_half_done_study_asks_for_the_rest():
    everything = next_jobs(quick(), {})
    half = {job.config.key: solve(job.config) for job in everything[::2]}
    rest = next_jobs(quick(), half)
    assert [job.config.key for job in rest] == [job.config.key for job in everything[1::2]]


def test_rows_of_other_studies_do_not_count():
    others = done(dataclasses.replace(quick(), train_steps=123))
    assert next_jobs(quick(), others) == next_jobs(quick(), {})


def test_longest_runs_come_first():
    costs = [cost(job.config) for job in next_jobs(sheet(), {})]
    assert costs == sorted(costs, reverse=True)
    run = RunConfig(cell="rnn", length=20)
    longer, lstm = (
        dataclasses.replace(run, **change) for change in ({"length": 40}, {"cell": "lstm"})
    )
    assert cost(run) < cost(longer)
    assert cost(run) < cost(lstm)


def test_crashed_and_diverged_runs_are_not_solved_and_not_missing():
    def rule(config):
        return dataclasses.replace(solve(config), end_state="diverged", curve=())

    config = dataclasses.replace(TUNING, lengths=(5, 10))
    records = done(config, rule)
    assert next_jobs(config, records) == []
    # Where no rate solves anything the first is as good as any; here it is the fixed one too.
    assert set(counts_of(records.values()).values()) == {Counts(0, 3 * 2 + 3)}


def test_a_study_of_10000_runs_is_planned_in_a_second_or_two():
    """CPU time: it is planned again after every wave."""
    config = dataclasses.replace(full(), seeds=110)
    records = done(config)
    assert len(records) > 10_000
    start = time.process_time()
    assert next_jobs(config, records) == []
    assert time.process_time() - start < 2  # measured: 0.5


# Adaptive studies.

ADAPTIVE = StudyConfig(cells=("rnn",), lengths=(5, 80), seeds=3, adaptive=True)


def test_a_round_is_asked_for_when_the_one_before_it_is_complete():
    records = {}
    asked = next_jobs(ADAPTIVE, records)
    assert len(asked) == ROUND
    for job in reversed(asked[1:]):
        records[job.config.key] = solve(job.config)
    assert next_jobs(ADAPTIVE, records) == asked[:1]  # no more before the eighth is there
    records[asked[0].config.key] = solve(asked[0].config)
    assert len(next_jobs(ADAPTIVE, records)) == ROUND


def test_an_adaptive_study_finds_the_span_with_at_most_64_runs():
    records = done(ADAPTIVE)
    assert len(records) <= MAX_RUNS
    span = measure_span(counts_of(records.values()))
    # All runs at 25 are solved and none at 26: no logistic curve, but found within its precision.
    assert 25 < span.s50 < 25.5 * 1.25
    assert span.s50_low < 26
    assert span.s50_high / span.s50_low < 1.3


def test_adaptive_runs_of_two_cells_share_their_data_where_they_share_a_length():
    records = done(dataclasses.replace(ADAPTIVE, cells=("rnn", "lstm")))
    seeds = defaultdict(set)
    for record in records.values():
        seeds[record.config.cell, record.config.length].add(record.config.seed)
    for found in seeds.values():
        assert found == set(range(min(found), min(found) + len(found)))  # without gaps
    assert len({min(found) for found in seeds.values()}) == 1


def test_an_adaptive_study_tunes_at_six_lengths_between_the_ones_given():
    config = dataclasses.replace(ADAPTIVE, tuning_seeds=2)
    tuning = {job.config.length for job in plan(config, {}) if job.role == "tuning"}
    assert len(tuning) == 6
    assert {5, 80} < tuning


# Planted cells of known span.


def test_planted_cells_of_known_span_are_recovered():
    limits = {"rnn": 11, "lstm": 33}
    config = StudyConfig(lengths=(5, 7, 10, 14, 20, 28, 40, 57), seeds=20)
    records = done(config, lambda run: solve(run, limits[run.cell]))
    by_cell = defaultdict(list)
    for record in records.values():
        by_cell[record.config.cell].append(record)
    spans = {cell: measure_span(counts_of(found)) for cell, found in by_cell.items()}
    for cell, limit in limits.items():
        assert spans[cell].s50_low < limit < spans[cell].s50_high
        assert spans[cell].bound == ""
    assert (spans["rnn"].guaranteed, spans["lstm"].guaranteed) == (10, 28)
    compared = compare_spans(outcomes_of(by_cell["lstm"]), outcomes_of(by_cell["rnn"]))
    assert compared.differs
    assert compared.low < 3 < compared.high


class ShiftRegister(torch.nn.Module):
    """Holds the last `hidden_size` digits it has read, and no other: its span is known."""

    def __init__(self, input_size: int, hidden_size: int, num_classes: int) -> None:
        super().__init__()
        self.held = hidden_size
        self.W_ph = torch.nn.Parameter(torch.zeros(num_classes, hidden_size * input_size))
        self.b_p = torch.nn.Parameter(torch.zeros(num_classes))

    def forward(self, inputs):
        """The last step's logits, (B, T - 1, D) -> (B, K)."""
        padded = torch.nn.functional.pad(inputs, (0, 0, self.held, 0))
        return padded[:, -self.held :].flatten(1) @ self.W_ph.T + self.b_p


def test_a_shift_register_has_the_span_of_its_length(monkeypatch):
    """Trained for real: T - 1 digits are read, so T = 10 is the last that nine places hold."""
    module = types.ModuleType("shift_register")
    module.ShiftRegister = ShiftRegister
    monkeypatch.setitem(sys.modules, "shift_register", module)
    config = StudyConfig(
        cells=("shift_register:ShiftRegister",),
        lengths=(5, 10, 11, 20),
        seeds=2,
        learning_rates=(0.1,),
        hidden_size=9,
        train_steps=150,
    )
    records = done(config, lambda run: train(run).record)
    counts = counts_of(records.values())
    assert counts == {5: Counts(2, 2), 10: Counts(2, 2), 11: Counts(0, 2), 20: Counts(0, 2)}
    span = measure_span(counts)
    assert span.s50_low < 10 < span.s50 < 11
    assert span.s50_high is None or span.s50_high > 11
    unsolved = [record.accuracy for record in records.values() if not record.solved]
    assert max(unsolved) < 0.13


@pytest.mark.parametrize("name", PRESETS)
def test_presets_come_to_an_end(name):
    config = PRESETS[name]()
    records = done(config)
    assert next_jobs(config, records) == []
    assert {job.role for job in plan(config, records)} >= {"final"}
    assert {run.condition.optimizer for run in plan(config, records)} >= {config.optimizer}


# Climbing.

CLIMB = StudyConfig(cells=("rnn",), lengths=(10, 20, 40, 80), seeds=5, climb=True)


@pytest.mark.parametrize(
    ("solved_at_20", "tried"), [(5, {10, 20, 40}), (4, {10, 20, 40}), (3, {10, 20})]
)
def test_a_climb_goes_on_where_four_of_five_are_solved(solved_at_20, tried):
    def rule(config):
        up_to = 20 if config.seed < solved_at_20 else 10
        return made_up_record(config, solved=config.length <= up_to)

    records = done(CLIMB, rule)
    assert {record.config.length for record in records.values()} == tried
    assert Counter(record.config.length for record in records.values())[max(tried)] == 5


def test_a_climb_asks_for_one_length_at_a_time():
    records = {}
    for length in (10, 20, 40, 80):
        jobs = next_jobs(CLIMB, records)
        assert {job.config.length for job in jobs} == {length}
        for number, job in enumerate(jobs):
            asked = {job.config.length for job in next_jobs(CLIMB, records)}
            assert asked == {length} or number == 4, "the fifth is no longer waited for"
            records[job.config.key] = solve(job.config, limit=100)
    assert next_jobs(CLIMB, records) == []


def test_a_climb_is_not_adaptive():
    with pytest.raises(ConfigError, match="climb must not be given with adaptive"):
        StudyConfig(climb=True, adaptive=True)
