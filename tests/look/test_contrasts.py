"""Unsolved runs against solved ones like them: what is compared, and how often it errs."""

import dataclasses
import math
from itertools import pairwise

import numpy as np
import pytest
from studies import made_up_record

from digitspan.look.contrasts import Start, contrasts, group_of, measure_start
from digitspan.runs.config import RunConfig
from digitspan.runs.record import CurvePoint, RunRecord

CONFIG = RunConfig(cell="rnn", length=20, hidden_size=16, train_steps=1_000)
ALIKE = Start(ratio=1e-9, saturated=0.3)


def with_curve(record, accuracies, losses=None):
    losses = losses or [2.3] * len(accuracies)
    points = zip(accuracies, losses, strict=True)
    curve = [CurvePoint(50 * k, loss, loss, right) for k, (right, loss) in enumerate(points, 1)]
    return dataclasses.replace(record, curve=tuple(curve), steps=50 * len(curve))


def runs(solved=8, unsolved=8, config=CONFIG, **fields):
    """Records of runs that differ in nothing but the seed, the solved ones first."""
    seeds = [dataclasses.replace(config, seed=seed) for seed in range(solved + unsolved)]
    records = [made_up_record(run, solved=run.seed < solved) for run in seeds]
    return [dataclasses.replace(with_curve(r, [0.1, 1.0, 1.0]), **fields) for r in records]


def by_quantity(records, measure=lambda config: ALIKE):
    (group,) = contrasts(records, measure).values()
    return {each.quantity: each for each in group.contrasts}


@pytest.mark.parametrize(
    "setting",
    [
        {"cell": "lstm"}, {"encoding": "scalar"}, {"initialisation": "orthogonal"},
        {"optimizer": "adam"}, {"hidden_size": 17}, {"batch_size": 64}, {"max_grad_norm": 1.0},
        {"train_steps": 2_000}, {"trained": "read-out"}, {"learning_rate": 3e-3}, {"length": 25},
    ],
    ids=str,
)  # fmt: skip
def test_runs_that_differ_in_more_than_the_seed_are_not_compared(setting):
    other = dataclasses.replace(CONFIG, **setting)
    assert group_of(other) != group_of(CONFIG)
    assert group_of(dataclasses.replace(CONFIG, seed=7)) == group_of(CONFIG)


def test_group_is_a_third_of_an_octave_and_half_a_decade_wide():
    lengths = [group_of(dataclasses.replace(CONFIG, length=t)) for t in range(10, 1_000)]
    first = [t for t, (one, other) in enumerate(pairwise(lengths), 11) if one != other]
    assert np.diff(np.log2(first)) == pytest.approx(1 / 3, abs=0.1)
    assert len(first) == 20  # from 10 to 999 there are 19.9 thirds of an octave
    rates = [1e-3 * 10 ** (part / 2) for part in range(-4, 4)]
    groups = {group_of(dataclasses.replace(CONFIG, learning_rate=rate)) for rate in rates}
    assert len(groups) == len(rates)
    assert group_of(dataclasses.replace(CONFIG, learning_rate=1.3e-3)) == group_of(CONFIG)


@pytest.mark.parametrize(("solved", "unsolved"), [(4, 30), (30, 4), (0, 10), (10, 0)])
def test_fewer_than_five_of_either_are_not_compared(solved, unsolved):
    def never(config):
        raise AssertionError

    (group,) = contrasts(runs(solved, unsolved), never).values()
    assert (group.solved, group.unsolved, group.contrasts) == (solved, unsolved, ())
    assert by_quantity(runs(5, 5))


def test_diverged_runs_and_errors_are_not_among_the_unsolved():
    records = runs(8, 4)
    records += [dataclasses.replace(record, end_state="diverged") for record in runs(0, 24)[12:]]
    records.append(RunRecord.error(dataclasses.replace(CONFIG, seed=99), "out of memory"))
    (group,) = contrasts(records, lambda config: ALIKE).values()
    assert (group.solved, group.unsolved) == (8, 4)


def test_grid_counts_a_start_once_at_all_its_rates():
    rates = [dataclasses.replace(CONFIG, learning_rate=rate) for rate in (1e-3, 1.1e-3, 1.2e-3)]
    records = [record for config in rates for record in runs(4, 4, config)]
    (group,) = contrasts(records, lambda config: ALIKE).values()
    assert (group.solved, group.unsolved, group.rates) == (4, 4, (1e-3, 1.2e-3))


def test_medians_numbers_and_p_are_those_of_the_runs():
    ratios = {record.config: 10.0 ** -(k + 1) for k, record in enumerate(runs(5, 5))}
    found = by_quantity(runs(5, 5), lambda config: Start(ratios[config], None))
    assert set(found) == {"ratio", "loss", "accuracy"}  # nothing keeps the state within bounds
    ratio = found["ratio"]
    assert (ratio.solved_median, ratio.unsolved_median) == pytest.approx((1e-3, 1e-8))
    assert ratio.values == pytest.approx({config.key: r for config, r in ratios.items()})
    assert ratio.p == pytest.approx(2 / math.comb(10, 5))
    assert ratio.adjusted_p == pytest.approx(3 * ratio.p)
    assert ratio.differs


def test_holm_is_over_all_groups_of_the_study():
    ratios = {record.config.seed: 10.0 ** -(k + 1) for k, record in enumerate(runs(5, 5))}
    widths = [dataclasses.replace(CONFIG, hidden_size=n) for n in (16, 17, 18)]
    records = [record for config in widths for record in runs(5, 5, config)]

    def measure(config):
        return Start(ratios[config.seed] if config.hidden_size == 16 else 0.1, None)

    group = contrasts(records, measure)[group_of(CONFIG)]
    assert group.contrasts[0].adjusted_p == pytest.approx(9 * group.contrasts[0].p)
    assert not group.contrasts[0].differs


def test_curves_are_compared_before_any_run_is_at_99_percent():
    records = [with_curve(r, [0.1, 0.2, 0.5, *[0.99] * (2 + r.config.seed)]) for r in runs(5, 0)]
    records += [with_curve(r, [0.1] * 20) for r in runs(0, 10)[5:]]
    accuracy = by_quantity(records)["accuracy"]
    assert (accuracy.step, accuracy.solved_median, accuracy.unsolved_median) == (150, 0.5, 0.1)
    assert accuracy.differs
    # What comes later is not looked at: the unsolved ones may be anywhere by then.
    later = [r if r.solved else with_curve(r, [0.1, 0.2, 0.5, *[0.0] * 17]) for r in records]
    assert not any(each.differs for each in by_quantity(later).values())


@pytest.mark.parametrize("change", [{"curve": ()}, {"config": None}])
def test_without_a_common_step_only_the_start_is_compared(change):
    grown = dataclasses.replace(CONFIG, curriculum=True)
    records = runs(8, 8, grown) if "config" in change else runs(8, 8, **change)
    assert set(by_quantity(records)) == {"ratio", "saturated"}


def test_longer_length_alone_is_no_contrast():
    """Of two lengths the longer one is solved less often, and its gradient is smaller anyway."""
    starts, records = {}, []
    generator = np.random.default_rng(0)
    for length, solved in ((19, 14), (21, 2)):
        records += runs(solved, 16 - solved, dataclasses.replace(CONFIG, length=length))
    for record in records:
        config = record.config
        starts[config] = Start(10 ** (-config.length / 2 + generator.normal(0, 0.1)), None)
    assert len({group_of(record.config) for record in records}) == 1
    ratio = by_quantity(records, starts.get)["ratio"]
    assert ratio.p > 0.05
    # Within each length the unsolved ones are smaller by far: that is one.
    for record in records:
        starts[record.config] = Start(starts[record.config].ratio * (1e3**record.solved), None)
    assert by_quantity(records, starts.get)["ratio"].differs


STUDIES = 200

PLACES = [
    dataclasses.replace(CONFIG, hidden_size=width, length=length, seed=seed)
    for width in (16, 17, 18)
    for length in (19, 20)
    for seed in range(7)
]
"""Three groups of 14 runs, two lengths in each."""

SHARE = {19: 0.7, 20: 0.4}
"""How many runs are solved by length: the longer one less often, and its gradient is smaller."""

ENDED = {(run, solved): made_up_record(run, solved=solved) for run in PLACES for solved in (0, 1)}


def quantities_that_differ(generator, difference):
    """Of a made-up study in which the ratio alone differs, by a factor of exp(difference)."""
    records, starts = [], {}
    for config in PLACES:
        solved = generator.random() < SHARE[config.length]
        size = -config.length + generator.normal() - difference * (not solved)
        starts[config] = Start(float(np.exp(size)), round(generator.random(), 1))
        loss, right = generator.normal(2, 0.2), generator.integers(50, 150) / 500
        curve = (CurvePoint(50, loss, loss, right), CurvePoint(100, 0.0, 0.0, 1.0))
        records.append(dataclasses.replace(ENDED[config, solved], curve=curve))
    groups = contrasts(records, starts.get).values()
    return [each.quantity for group in groups for each in group.contrasts if each.differs]


@pytest.fixture
def generator():
    return np.random.default_rng(1)


def test_study_without_a_difference_is_given_a_cause_in_5_percent_at_most(generator):
    told = sum(bool(quantities_that_differ(generator, 0.0)) for _ in range(STUDIES))
    # Of a binomial distribution with 5 % of 200, 0.1 % lies beyond 20.
    assert told <= 20, f"{told} of {STUDIES} studies were given a cause where there is none"


def test_real_difference_is_found(generator):
    found = [quantities_that_differ(generator, 5.0) for _ in range(STUDIES // 4)]
    assert sum("ratio" in some for some in found) > 0.7 * len(found)
    assert sum(bool({"saturated", "loss", "accuracy"} & {*some}) for some in found) <= 5


@pytest.mark.parametrize(("cell", "within"), [("rnn", 0.9), ("lstm", 0.02)])
def test_start_is_what_the_network_does(cell, within, monkeypatch):
    config = dataclasses.replace(CONFIG, cell=cell)
    build = measure_start.__globals__["build_network"]
    for gain in (0.1, 100.0):

        def scaled(config, gain=gain):
            network = build(config)
            for parameter in network.parameters():
                parameter.data.mul_(gain)
            return network

        monkeypatch.setattr("digitspan.look.contrasts.build_network", scaled)
        start = measure_start(config)
        if gain < 1:
            assert start.ratio < 1e-6  # W_hh is far below one: the gradient vanishes
            assert start.saturated == 0
        else:
            assert start.saturated > within


def test_start_needs_no_weights_and_is_the_same_each_time():
    assert measure_start(CONFIG) == measure_start(CONFIG)
    assert measure_start(CONFIG) != measure_start(dataclasses.replace(CONFIG, seed=1))


def test_state_without_bounds_has_no_saturation(monkeypatch):
    config = dataclasses.replace(CONFIG, cell="relu-rnn")
    build = measure_start.__globals__["build_network"]

    def scaled(config):
        network = build(config)
        for parameter in network.parameters():
            parameter.data.mul_(6.0)
        return network

    monkeypatch.setattr("digitspan.look.contrasts.build_network", scaled)
    assert measure_start(config).saturated is None


def test_network_that_is_not_finite_is_not_measured(monkeypatch):
    build = measure_start.__globals__["build_network"]

    def broken(config):
        network = build(config)
        for parameter in network.parameters():
            parameter.data.fill_(math.nan)
        return network

    monkeypatch.setattr("digitspan.look.contrasts.build_network", broken)
    assert measure_start(CONFIG) is None
