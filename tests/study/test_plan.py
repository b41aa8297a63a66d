"""What a study runs: a pure function of its configuration and of the rows that are there."""

from __future__ import annotations

import dataclasses
import math
import random
import sys
import time
import types
from collections import Counter, defaultdict

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from studies import made_up_recall, made_up_record, made_up_rows

from digitspan.runs.config import OPTIMIZERS, RunConfig
from digitspan.runs.cost import cost
from digitspan.runs.record import RunRecord
from digitspan.study.config import PRESETS, StudyConfig, quick, sheet
from digitspan.study.design import FIRST, RATES, ROUND
from digitspan.study.plan import (
    FIGURE_LENGTHS,
    ROLES,
    as_run,
    next_jobs,
    plan,
    runs_placed_later,
    size,
)
from digitspan.study.ratio import compare_spans
from digitspan.study.retention import measure_span
from digitspan.study.summary import summarise
from digitspan.training.run import train


def solve(config: RunConfig, limit: float = 25, rates=(0.0, 1.0)):
    """A run that is solved up to a length, where its rate is in a range."""
    solved = config.length <= limit and rates[0] <= config.learning_rate <= rates[1]
    return made_up_record(config, solved=solved)


def at_best_rate(config: RunConfig, limit: float = 25, best: float = 1e-2):
    """A run that is solved up to a length that falls off beside the best rate."""
    away = math.log(config.learning_rate / best)
    return made_up_record(config, solved=config.length <= limit * math.exp(-0.3 * away**2))


def done(config: StudyConfig, rule=solve) -> dict:
    """The records of a study that came to its end, wave by wave."""
    records = {}
    while jobs := next_jobs(config, records):
        for job in jobs:
            records[job.config.key] = rule(job.config)
    return records


def of_role(jobs, role):
    """The runs of the jobs of one role."""
    return [job.config for job in jobs if job.role == role]


# A grid.

GRID = StudyConfig(lengths=(5, 10, 20), seeds=4, learning_rates=(1e-3, 1e-2))


def test_a_grid_has_every_run_once():
    config = dataclasses.replace(GRID, encoding=("one-hot", "scalar"))
    jobs = plan(config, {})
    assert len(jobs) == len({job.config.key for job in jobs}) == 2 * 3 * 4 * 2 * 2
    assert set(Counter(job.condition for job in jobs).values()) == {3 * 4}
    assert {job.role for job in jobs} == {"grid"}


def test_a_rate_that_was_not_asked_for_is_not_run():
    rates = {job.config.learning_rate for job in plan(GRID, done(GRID))}
    assert rates == {1e-3, 1e-2}


def test_cells_get_the_starts_that_fit_them():
    config = StudyConfig(initialisation=("uniform", "identity", "chrono"))
    starts = {(job.condition.cell, job.condition.initialisation) for job in plan(config, {})}
    assert starts == {
        ("rnn", "uniform"),
        ("rnn", "identity"),
        ("lstm", "uniform"),
        ("lstm", "chrono"),
    }


def test_all_cells_and_rates_of_a_grid_see_the_same_data_at_one_replicate():
    """The data stream depends on length and seed alone (digitspan.training.run)."""
    streams = defaultdict(set)
    for job in plan(GRID, {}):
        streams[job.condition].add((job.config.length, job.config.seed))
    assert len(set(map(frozenset, streams.values()))) == 1


@pytest.mark.parametrize("design", [{"lengths": (6,)}, {"longest": 40}])
def test_settings_reach_the_runs(design):
    config = StudyConfig(train_steps=107, hidden_size=3, batch_size=5, max_grad_norm=2, **design)
    for job in plan(config, {}):
        run = job.config
        found = (run.train_steps, run.hidden_size, run.batch_size, run.max_grad_norm)
        assert found == (107, 3, 5, 2.0)


# The joint design.

JOINT = StudyConfig(
    cells=("rnn",),
    longest=80,
    runs=36,
    figure_seeds=2,
    train_steps=1_000,
    fixed_rate=1e-3,
    fixed_runs=16,
    continued_steps=3_000,
    compared_optimizers=("sgd",),
    compared_rates=(1e-3, 1e-2),
    controls=True,
)
ALONE = StudyConfig(cells=("rnn",), longest=80, runs=36, figure_seeds=2, train_steps=1_000)


def test_a_joint_study_begins_with_runs_that_fill_the_space():
    first = of_role(plan(JOINT, {}), "design")
    assert len(first) == FIRST
    assert len({run.length for run in first}) == 4
    assert len({run.learning_rate for run in first}) == 10
    assert {run.learning_rate for run in first} <= set(RATES)
    assert {run.length for run in first} <= set(JOINT.ladder)


def test_a_round_is_asked_for_when_the_one_before_it_is_complete():
    records = {}
    for count in (FIRST, ROUND, ROUND):
        asked = next_jobs(ALONE, records)
        assert len(asked) == count
        for job in reversed(asked[1:]):
            records[job.config.key] = at_best_rate(job.config)
        assert next_jobs(ALONE, records) == asked[:1]  # no more before the last is there
        records[asked[0].config.key] = at_best_rate(asked[0].config)
    assert {job.role for job in next_jobs(ALONE, records)} == {"figure"}


def test_runs_that_are_not_placed_yet_are_counted():
    config = StudyConfig(runs=36, figure_seeds=2, fixed_rate=1e-3, fixed_runs=16, longest=40)
    records, counts = {}, []
    while jobs := next_jobs(config, records):
        later = runs_placed_later(config, records)
        counts.append(later)
        assert len(records) + len(jobs) + later == size(config) == 2 * (36 + 16 + 16)
        records |= {job.config.key: solve(job.config) for job in jobs}
    assert counts[0] == 2 * (36 - FIRST + 16 + 16 - ROUND)
    assert counts[-1] == 0 < counts[-2]
    assert runs_placed_later(StudyConfig(lengths=(5, 10)), {}) == 0


@pytest.mark.parametrize("rates", [(1e-3,), (1e-4, 1e-3, 1e-2)])
def test_networks_after_the_tuning_are_counted_before_they_are_placed(rates):
    config = dataclasses.replace(PRESETS["span"](), learning_rates=rates, seeds=4)
    runs = 3 * 2 * (4 + (2 * 3 if len(rates) > 1 else 0))  # cells, widths
    assert len(plan(config, {})) + runs_placed_later(config, {}) == size(config) == runs
    records = done(config, lambda run: made_up_recall(run, 9))
    assert len(records) == runs
    assert runs_placed_later(config, records) == 0


def test_figure_runs_follow_the_whole_design():
    records = done(JOINT, at_best_rate)
    design = of_role(plan(JOINT, records), "design")
    assert len(design) == JOINT.runs
    one = design[-1].key
    without = {key: record for key, record in records.items() if key != one}
    assert {job.config.key for job in next_jobs(JOINT, without)} == {one}
    assert not of_role(plan(JOINT, without), "figure")


def test_figure_runs_are_at_eight_lengths_at_their_best_rates():
    figure = of_role(plan(ALONE, done(ALONE, at_best_rate)), "figure")
    lengths = sorted({run.length for run in figure})
    assert len(lengths) == FIGURE_LENGTHS
    assert lengths[0] == 5
    assert lengths[-1] > 25, "beyond the span"
    assert set(Counter(run.length for run in figure).values()) == {ALONE.figure_seeds}
    assert len({(run.length, run.learning_rate) for run in figure}) == FIGURE_LENGTHS
    for run in figure:
        assert run.learning_rate in RATES
        assert 4e-3 < run.learning_rate < 3e-2, f"T = {run.length}: the best one is 0.01"


def test_runs_of_different_roles_share_no_data():
    """But for the continued ones, which are figure runs again."""
    config = dataclasses.replace(JOINT, figure_seeds=10)
    jobs = plan(config, done(config, lambda run: made_up_record(run, solved=False)))
    streams = defaultdict(set)
    for job in jobs:
        streams[job.role].add((job.config.length, job.config.seed))
    assert set(streams) == set(ROLES) - {"grid", "tuning", "span"}
    assert streams.pop("continued") <= streams["figure"]
    assert sum(map(len, streams.values())) == len(set().union(*streams.values()))


def test_runs_of_one_role_at_one_length_are_replicates_of_their_own():
    jobs = plan(JOINT, done(JOINT, at_best_rate))
    for role in ("design", "fixed-rate", "figure"):
        runs = of_role(jobs, role)
        assert len({(run.length, run.seed) for run in runs}) == len(runs)


def test_a_figure_run_is_continued_where_it_was_drawn_and_was_not_solved():
    config = dataclasses.replace(ALONE, figure_seeds=30, continued_steps=3_000)
    known = done(config, at_best_rate)
    jobs = plan(config, known)
    figure, continued = of_role(jobs, "figure"), of_role(jobs, "continued")
    again = {dataclasses.replace(run, train_steps=config.train_steps) for run in continued}
    assert {run.train_steps for run in continued} == {3_000}
    assert again < set(figure)
    assert not any(known[run.key].solved for run in again)
    unsolved = sum(not known[run.key].solved for run in figure)
    assert 0.03 < len(continued) / unsolved < 0.25  # one in ten


def test_which_figure_runs_are_continued_was_drawn_before_they_were_run():
    config = dataclasses.replace(ALONE, figure_seeds=30, continued_steps=3_000)
    known = done(config, at_best_rate)
    figure = of_role(plan(config, known), "figure")

    def continued(solved, end_state="censored"):
        changed = known | {
            run.key: dataclasses.replace(
                made_up_record(run, solved=solved(run)),
                end_state="solved" if solved(run) else end_state,
            )
            for run in figure
        }
        return {
            run.seed * 1_000 + run.length for run in of_role(plan(config, changed), "continued")
        }

    everything = continued(lambda run: False)
    few = continued(lambda run: run.length < 20)
    assert few == {number for number in everything if number % 1_000 >= 20}
    assert continued(lambda run: False, "diverged") == set()  # which more steps would not mend


def test_runs_at_the_fixed_rate_do_not_wait_for_the_design():
    first = of_role(plan(JOINT, {}), "fixed-rate")
    assert len({run.length for run in first}) == 8
    fixed = of_role(plan(JOINT, done(JOINT)), "fixed-rate")
    assert len(fixed) == JOINT.fixed_runs
    assert {run.learning_rate for run in fixed} == {1e-3}


def test_an_error_is_not_known_and_nothing_follows_from_it():
    records = {}
    for job in next_jobs(ALONE, records):
        records[job.config.key] = at_best_rate(job.config)
    key = min(records)
    records[key] = RunRecord.error(records[key].config, "its worker died")
    assert next_jobs(ALONE, records) == []  # the round is not complete: not in this call
    again = {other: record for other, record in records.items() if record.end_state != "error"}
    assert [job.config.key for job in next_jobs(ALONE, again)] == [key]


def test_figure_runs_do_not_wait_for_what_an_error_is_not():
    records = done(ALONE, at_best_rate)
    figure = of_role(plan(ALONE, records), "figure")
    records[figure[0].key] = RunRecord.error(figure[0], "no memory")
    assert of_role(plan(ALONE, records), "figure") == figure


def test_weights_are_kept_of_runs_that_are_looked_into():
    jobs = plan(JOINT, done(JOINT, at_best_rate)) + plan(GRID, {})
    assert {job.role for job in jobs if job.keeps_weights} == {"figure", "grid"}
    assert not any(job.keeps_weights for job in jobs if job.role not in ("figure", "grid"))


def test_the_best_rate_of_every_cell_is_found_by_itself():
    def rule(config):
        return at_best_rate(config, best={"rnn": 1e-3, "lstm": 1e-1}[config.cell])

    config = dataclasses.replace(ALONE, cells=("rnn", "lstm"), figure_seeds=1)
    jobs = plan(config, done(config, rule))
    rates = {
        cell: {run.learning_rate for run in of_role(jobs, "figure") if run.cell == cell}
        for cell in config.cells
    }
    assert max(rates["rnn"]) < 5e-3 < 2e-2 < min(rates["lstm"])


# Controls and other optimisers.


def test_controls_are_run_at_three_lengths():
    config = dataclasses.replace(sheet(), encoding=("one-hot",), cells=("lstm",))
    jobs = [job for job in plan(config, {}) if job.role == "control"]
    assert {(job.config.trained, job.config.length) for job in jobs} == {
        (trained, length) for trained in ("read-out", "none") for length in (5, 10, 20)
    }
    assert {job.condition.trained for job in jobs} == {"read-out", "none"}
    assert len(jobs) == 2 * 3 * 3
    assert not [job for job in plan(quick(), {}) if job.role == "control"]


def test_cells_of_ones_own_have_the_same_controls():
    config = dataclasses.replace(sheet(), cells=("lstm", "mine:Cell"), encoding=("one-hot",))
    found = [job.config for job in plan(config, {}) if job.role == "control"]
    asked = {
        cell: [(c.trained, c.length, c.seed) for c in found if c.cell == cell]
        for cell in config.cells
    }
    assert asked["lstm"] == asked["mine:Cell"]
    assert asked["lstm"]


def test_optimisers_are_compared_with_the_studys_own_at_the_shortest_length():
    jobs = [job for job in plan(sheet(), {}) if job.role == "optimizer"]
    assert {job.config.length for job in jobs} == {5}
    assert {job.config.optimizer for job in jobs} == set(OPTIMIZERS) - {"adamw"}
    assert {job.config.learning_rate for job in jobs} == {1e-4, 1e-3, 1e-2, 1e-1}


def test_a_study_that_compares_its_own_optimiser_runs_it_once():
    config = StudyConfig(compared_optimizers=("rmsprop", "adam"))
    jobs = plan(config, {})
    assert len({(job.config.key, job.condition, job.role) for job in jobs}) == len(jobs)


# What is missing.

grids = st.builds(
    StudyConfig,
    cells=st.lists(st.sampled_from(["rnn", "lstm"]), min_size=1, unique=True),
    lengths=st.lists(st.sampled_from([3, 5, 8, 13, 21, 34, 55, 80]), min_size=2, unique=True),
    seeds=st.integers(1, 3),
    learning_rates=st.lists(st.sampled_from([1e-3, 1e-2, 1e-1]), min_size=1, unique=True),
    compared_optimizers=st.lists(st.sampled_from(OPTIMIZERS), max_size=2),
    controls=st.booleans(),
    climb=st.booleans(),
)
joints = st.builds(
    lambda fixed, **asked: StudyConfig(**asked, **fixed),
    st.sampled_from([{}, *({"fixed_rate": 1e-3, "fixed_runs": runs} for runs in (8, 13))]),
    cells=st.lists(st.sampled_from(["rnn", "lstm"]), min_size=1, unique=True),
    longest=st.sampled_from([20, 57, 160]),
    runs=st.sampled_from([20, 28, 33, 44]),
    figure_seeds=st.integers(0, 3),
    train_steps=st.just(1_000),
    continued_steps=st.sampled_from([0, 2_000]),
    compared_optimizers=st.lists(st.sampled_from(OPTIMIZERS), max_size=2),
    controls=st.booleans(),
)


@settings(max_examples=10)
@given(
    config=grids | joints,
    chance=st.randoms(use_true_random=False),
    limit=st.sampled_from([1, 12, 40]),
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


@pytest.mark.parametrize("config", [GRID, ALONE], ids=["grid", "joint"])
def test_a_half_done_study_asks_for_the_rest(config):
    everything = next_jobs(config, {})
    half = {job.config.key: solve(job.config) for job in everything[::2]}
    rest = next_jobs(config, half)
    assert [job.config.key for job in rest] == [job.config.key for job in everything[1::2]]


def test_rows_of_other_studies_do_not_count():
    others = done(dataclasses.replace(ALONE, train_steps=123))
    assert next_jobs(ALONE, others) == next_jobs(ALONE, {})


def test_longest_runs_come_first():
    costs = [cost(job.config) for job in next_jobs(sheet(), {})]
    assert costs == sorted(costs, reverse=True)
    run = RunConfig(cell="rnn", length=20)
    longer, lstm = (
        dataclasses.replace(run, **change) for change in ({"length": 40}, {"cell": "lstm"})
    )
    assert cost(run) < cost(longer)
    assert cost(run) < cost(lstm)


def test_diverged_runs_are_not_solved_and_not_missing():
    def rule(config):
        return dataclasses.replace(solve(config), end_state="diverged", curve=())

    for config in (GRID, ALONE):
        records = done(config, rule)
        assert next_jobs(config, records) == []
        span = measure_span(map(as_run, records.values()), config.train_steps)
        assert (span.solved, span.bound) == (0, "<=")


def test_a_study_of_10000_runs_is_planned_in_a_second_or_two():
    """CPU time: it is planned again after every run."""
    config = dataclasses.replace(GRID, seeds=1_000)
    records = done(config)
    assert len(records) > 10_000
    start = time.process_time()
    assert next_jobs(config, records) == []
    assert time.process_time() - start < 2  # measured: 0.5


def test_a_joint_study_is_planned_again_without_a_new_computation():
    records = done(ALONE, at_best_rate)
    start = time.process_time()
    for _ in range(10):
        assert next_jobs(ALONE, records) == []
    assert time.process_time() - start < 1  # measured: 0.02


# Planted cells of known span.


def test_planted_cells_of_known_span_are_recovered():
    limits = {"rnn": 11, "lstm": 33}
    config = StudyConfig(lengths=(5, 7, 10, 14, 20, 28, 40, 57), seeds=20)
    by_cell = defaultdict(list)
    for record in done(config, lambda run: solve(run, limits[run.cell])).values():
        by_cell[record.config.cell].append(record)
    spans = {
        cell: measure_span(map(as_run, found), config.train_steps, rate=1e-3)
        for cell, found in by_cell.items()
    }
    for cell, limit in limits.items():
        assert spans[cell].low < limit < spans[cell].high
        assert spans[cell].bound == ""
    compared = compare_spans(spans["lstm"], spans["rnn"])
    assert compared.differs
    assert compared.low < 3 < compared.high


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_planted_cells_of_known_span_are_recovered_by_the_joint_design(cell):
    limit, best = {"rnn": (11, 1e-3), "lstm": (33, 2e-2)}[cell]
    config = dataclasses.replace(ALONE, cells=(cell,), runs=60)

    def rule(run):
        luck = random.Random(run.key).gauss(0, 0.1)
        return at_best_rate(run, limit * math.exp(luck), best)

    jobs = plan(config, records := done(config, rule))
    runs = [as_run(records[run.key]) for run in of_role(jobs, "design")]
    span = measure_span(runs, config.train_steps)
    assert span.low < limit < span.high < 1.6 * limit
    assert span.rate_low < best < span.rate_high


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
    counts = defaultdict(list)
    for record in records.values():
        counts[record.config.length].append(record.solved)
    assert counts == {5: [True] * 2, 10: [True] * 2, 11: [False] * 2, 20: [False] * 2}
    span = measure_span(map(as_run, records.values()), config.train_steps, rate=0.1)
    assert span.low is None or span.low < 10.5
    assert span.high is None or span.high > 10.5
    assert abs(math.log(span.s50 / 10.5)) < 0.2
    unsolved = [record.accuracy for record in records.values() if not record.solved]
    assert max(unsolved) < 0.13


@pytest.mark.parametrize("name", PRESETS)
def test_presets_come_to_an_end(name):
    config = PRESETS[name]()
    is_span = config.design == "span"
    records = done(config, (lambda run: made_up_recall(run, 9)) if is_span else solve)
    assert next_jobs(config, records) == []
    jobs = plan(config, records)
    tuned = {"tuning"} if len(config.learning_rates) > 1 else set()
    roles = {"grid": {"grid"}, "joint": {"design", "figure"}, "span": {"span"} | tuned}
    assert {job.role for job in jobs} >= roles[config.design]
    assert {job.condition.optimizer for job in jobs} >= {config.optimizer}


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


def test_an_error_does_not_end_a_climb_for_good():
    """Two errors leave three of five solved; made again, they go on."""
    records = {}
    for number, job in enumerate(next_jobs(CLIMB, records)):
        good = solve(job.config, limit=100)
        records[job.config.key] = RunRecord.error(job.config, "x") if number < 2 else good
    assert next_jobs(CLIMB, records) == []
    again = {key: record for key, record in records.items() if record.solved}
    jobs = next_jobs(CLIMB, again)
    assert {job.config.length for job in jobs} == {10}
    for job in jobs:
        again[job.config.key] = solve(job.config, limit=100)
    assert {job.config.length for job in next_jobs(CLIMB, again)} == {20}


@pytest.mark.parametrize("design", ["joint", "grid"])
def test_widths_and_budgets_are_conditions_whose_runs_are_those_of_studies_of_one(design):
    places = {"joint": {"runs": 24, "longest": 40, "figure_seeds": 1}, "grid": {"lengths": (5, 9)}}
    settings = {"cells": ("rnn",), "design": design, **places[design]}
    both = StudyConfig(hidden_size=(8, 4), train_steps=(400, 200), **settings)

    def solved(run):
        return run.length < run.hidden_size * run.train_steps / 100

    rows = made_up_rows(both, solved)
    alone: dict = {}
    for width in (4, 8):
        for budget in (200, 400):
            one = StudyConfig(hidden_size=width, train_steps=budget, **settings)
            alone |= made_up_rows(one, solved)
    assert rows.keys() == alone.keys()
    assert size(both) == 4 * size(one)
    spans = summarise(both, rows).spans
    sizes = [(row.condition.hidden_size, row.condition.train_steps) for row in spans]
    assert sizes == [(4, 200), (4, 400), (8, 200), (8, 400)]
    for row in spans:
        assert {record.config.hidden_size for record in row.records} == {row.condition.hidden_size}
        assert row.span.budget == row.condition.train_steps
