"""The benchmark measures in turn, compares like with like, and prints what it promises."""

import argparse
import json

import pytest
import torch

from digitspan.bench import jobs, measure, peers, population, scaling, steps
from digitspan.bench.measure import BenchmarkRow, Effort, MedianTime, in_turn
from digitspan.commands import bench
from digitspan.runs.config import RunConfig
from digitspan.tasks.palindrome import draw_training
from digitspan.tasks.questions import encode
from digitspan.training.engine import build_network

HASTY = Effort(seconds=0.0, template_steps=2, goals_only=False, to_the_end=False)


def options(*words):
    parser = argparse.ArgumentParser()
    bench.add_options(parser)
    return parser.parse_args(words)


def test_functions_are_timed_in_turn():
    calls, ticks = [], iter(range(100))
    first, second = in_turn(
        lambda: calls.append("A"), lambda: calls.append("B"), seconds=0, clock=lambda: next(ticks)
    )
    assert "".join(calls) == "AB" * 7  # two to warm up, five that count
    assert first == second == MedianTime(1000.0, 0.0)


def test_ratio_is_larger_where_we_are_faster():
    row = BenchmarkRow("x", MedianTime(2.0, 0.1), "peer", MedianTime(5.0, 0.2), goal=1.5)
    assert row.ratio == 2.5
    document = row.to_json()
    assert {"name", "ours_ms", "peer", "peer_ms", "ratio", "goal"} <= set(document)
    assert BenchmarkRow("x", MedianTime(2.0, 0.1), "peer", None).to_json()["ratio"] is None


def test_missed_goal_says_what_bounds_it():
    timings = MedianTime(2.0, 0.1), "peer", MedianTime(5.0, 0.2)
    said = {"note": "n = 32", "bound": "the memory"}
    missed, met = (BenchmarkRow("x", *timings, goal=goal, **said) for goal in (3.0, 2.5))
    assert (missed.met, missed.remark) == (False, "goal missed: the memory; n = 32")
    assert (met.met, met.remark) == (True, "n = 32")
    assert BenchmarkRow("x", *timings).met is None
    assert missed.to_json()["met"] is False
    assert missed.to_json()["note"] == missed.remark


@pytest.mark.parametrize(
    "row",
    [
        lambda: steps._own_cell(HASTY, 5),
        lambda: steps._against_its_loop(HASTY, "mingru", 5),
        lambda: population._of_a_study(HASTY, "quick", "rnn"),
    ],
    ids=["own cell", "minGRU", "runs at once"],
)
def test_cells_are_timed_against_their_own_loop(row):
    measured = row()
    assert measured.ratio > 0
    assert measured.goal is None or measured.bound


@pytest.mark.parametrize("cell", peers.TORCHS_OWN)
def test_nearest_network_of_torchs_answers_and_learns(cell):
    network = peers.TorchNetwork(cell, hidden_size=4)
    inputs = torch.rand(3, 5, 10)
    assert network(inputs).shape == (3, 10)
    assert type(network.recurrent).__name__ in peers.TORCHS_OWN[cell]
    step, targets = peers.autograd_step(network), torch.zeros(3, dtype=torch.int64)
    assert step(inputs, targets) > step(inputs, targets)


def test_operations_of_a_step_are_those_of_its_products():
    config = RunConfig(cell="lstm", length=3, hidden_size=2, batch_size=5)
    # One step with h(t-1) not 0: (8, 2) by (2, 5) three times, two operations an entry.
    assert steps.recurrent_operations(config) == 3 * 2 * 8 * 2 * 5


@pytest.mark.parametrize("length", [5, 6])
def test_templates_data_are_palindromes(length):
    inputs, target = peers.TemplateDataset(length)[0]
    digits = [*inputs, target]
    assert len(digits) == length
    assert digits == digits[::-1]


def test_torch_network_with_our_start_answers_as_ours():
    config = RunConfig(cell="lstm", length=20, initialisation="forget-bias-1", hidden_size=8)
    inputs = draw_training(20, 5, torch.Generator().manual_seed(0)).inputs
    ours = build_network(config)(encode(inputs, 10))
    torch.testing.assert_close(jobs.torch_with_our_weights(config)(encode(inputs, 10)), ours)


def test_exponent_of_a_power_is_found():
    cost = scaling.Cost("T", (10, 100, 1000), (2.0, 20.0, 200.0))
    assert cost.exponent == pytest.approx(1.0)


@pytest.mark.slow
@pytest.mark.parametrize("group", [steps, population])
def test_rows_are_measured(group):
    for row in group.rows(HASTY):
        assert row.ours.median_ms > 0


def test_command_prints_one_json_document(monkeypatch, tmp_path, capsys):
    row = BenchmarkRow("x", MedianTime(2.0, 0.1), "peer", MedianTime(5.0, 0.2), goal=1.5)
    cost = scaling.Cost("T", (10, 100), (1.0, 10.0))
    monkeypatch.setattr(steps, "rows", lambda effort: iter([row]))
    monkeypatch.setattr(scaling, "costs", lambda effort: iter([cost]))
    words = ["--json", "--only", "steps", "scaling", "--out", str(tmp_path)]
    assert bench.run(options(*words)) == 0
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert document["rows"] == [row.to_json()]
    assert document["machine"]["torch"] == torch.__version__
    assert "2.5x" in printed.err
    assert json.loads((tmp_path / "bench.json").read_text()) == document
    assert (tmp_path / "cost.svg").exists()


def test_command_prints_a_table(monkeypatch, capsys):
    row = BenchmarkRow("LSTM step", MedianTime(2.0, 0.1), "peer", None, note="does not run here")
    monkeypatch.setattr(steps, "rows", lambda effort: iter([row]))
    assert bench.run(options("--quick", "--only", "steps")) == 0
    assert "LSTM step" in capsys.readouterr().out


def test_efforts_grow():
    assert measure.QUICK.seconds < measure.DEFAULT.seconds < measure.FULL.seconds
