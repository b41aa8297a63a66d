"""Why a run was not solved: the sentence that the measured facts lead to."""

import dataclasses
import json

import pytest
import safetensors.torch
import torch
from studies import made_up_record, made_up_rows

from digitspan.cli import main
from digitspan.files import sha256
from digitspan.look.why import TraceSummary, summarise_trace, why_not_solved, why_sentence
from digitspan.runs.config import RunConfig
from digitspan.runs.record import CurvePoint, RunRecord
from digitspan.study.config import StudyConfig
from digitspan.study.store import Store
from digitspan.training.engine import build_network

CONFIG = RunConfig(cell="rnn", length=20, hidden_size=16)
STOOD_STILL = made_up_record(CONFIG, solved=False)
HEALTHY = TraceSummary(first_norm=0.1, last_norm=0.4, saturated=0.1)


def curve(*accuracies, losses=None):
    losses = losses or [2.3] * len(accuracies)
    return tuple(
        CurvePoint(50 * (k + 1), loss, loss, accuracy)
        for k, (accuracy, loss) in enumerate(zip(accuracies, losses, strict=True))
    )


def changed(**fields):
    return dataclasses.replace(STOOD_STILL, **fields)


CASES = {
    "vanish": (
        STOOD_STILL,
        TraceSummary(2e-9, 0.4, 0.1),
        "Gradients vanish: ||dL/dh|| is 2e-09 at step 1 against 0.4 at step 19, 5e-09 of it, so "
        "training hardly hears of the first digit; it stood still at 2.30 nats (guessing is "
        "2.30).",
    ),
    "explode through time": (
        STOOD_STILL,
        TraceSummary(4e4, 0.4, 0.1),
        "Gradients explode through time: ||dL/dh|| is 4e+04 at step 1 against 0.4 at step 19, "
        "1e+05 times it; it stood still at 2.30 nats (guessing is 2.30).",
    ),
    "explode in training": (
        changed(clipped_share=0.62),
        HEALTHY,
        "Gradients explode: 62 % of the training steps had to be clipped to norm 10.",
    ),
    "clipped at an ordinary norm": (
        changed(config=dataclasses.replace(CONFIG, max_grad_norm=0.01), clipped_share=1.0),
        TraceSummary(2e-9, 0.4, 0.1),
        "Gradients vanish: ||dL/dh|| is 2e-09 at step 1 against 0.4 at step 19, 5e-09 of it, so "
        "training hardly hears of the first digit; it stood still at 2.30 nats (guessing is "
        "2.30).",
    ),
    "saturated": (
        STOOD_STILL,
        TraceSummary(0.1, 0.4, 0.93),
        "The state is saturated: 93 % of the state is beyond 0.95 in size, where tanh passes "
        "little on; it stood still at 2.30 nats (guessing is 2.30).",
    ),
    "spikes": (
        changed(curve=curve(0.1, 0.7, 0.12, losses=[2.3, 0.9, 6.5])),
        HEALTHY,
        "It learned and lost it again: 70 % at step 100, then the loss jumped to 6.5 nats and the "
        "run ended at 12 %; the optimiser's steps are too large (learning rate 0.001).",
    ),
    "still learning": (
        changed(end_state="budget", curve=curve(*[0.3] * 5, losses=[2, 1.8, 1.5, 1.25, 1])),
        HEALTHY,
        "It was still learning when its budget of 10,000 steps ended: over the last fifth its "
        "validation loss went from 1.25 to 1.00 nats.",
    ),
    "diverged": (
        changed(end_state="diverged", steps=77, clipped_share=0.5),
        None,
        "It diverged: the loss was beyond 1,000 nats or no longer finite at step 77, after 50 % "
        "of the steps had been clipped to norm 10; a smaller learning rate than 0.001 is the "
        "first thing to try.",
    ),
    "crashed": (
        RunRecord.crashed(CONFIG, "its worker died"),
        None,
        "It crashed before its training ended: its worker died.",
    ),
    "nothing stands out": (
        STOOD_STILL,
        HEALTHY,
        "No single cause stands out: ||dL/dh|| is 0.1 at step 1 against 0.4 at step 19, 10 % of "
        "the state is beyond 0.95 in size; it stood still at 2.30 nats (guessing is 2.30).",
    ),
    "not measured": (
        STOOD_STILL,
        None,
        "No cause was measured: it stood still at 2.30 nats (guessing is 2.30), with 0 % of its "
        "steps clipped.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_sentence_follows_from_the_facts(case):
    record, inside, sentence = CASES[case]
    assert why_sentence(record, inside) == sentence


def test_solved_run_needs_no_reason():
    assert why_not_solved(made_up_record(CONFIG, solved=True), b"never read") == ""


def weights_of(config, gain):
    """A network at its start, its weights multiplied."""
    network = build_network(config)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(gain)
    return safetensors.torch.save(network.state_dict())


@pytest.mark.parametrize(("cell", "beyond"), [("rnn", 0.9), ("lstm", 0.02)])
def test_what_is_measured_is_what_the_network_does(cell, beyond):
    config = dataclasses.replace(CONFIG, cell=cell)
    small, large = (summarise_trace(config, weights_of(config, gain)) for gain in (0.1, 100.0))
    assert small.ratio < 1e-6  # W_hh is far below one: the gradient vanishes
    assert small.saturated == 0
    assert large.saturated > beyond


@pytest.mark.parametrize("cell", ["relu-rnn", "mingru"])
def test_state_without_bounds_is_not_saturated(cell):
    config = dataclasses.replace(CONFIG, cell=cell)
    inside = summarise_trace(config, weights_of(config, 6.0))
    assert inside.saturated is None
    sentence = why_sentence(changed(), inside._replace(first_norm=1.0, last_norm=1.0))
    assert sentence.startswith("No single cause stands out: ||dL/dh|| is 1 at step 1")
    assert "0.95" not in sentence


def test_vanishing_network_is_said_to_vanish():
    assert why_not_solved(STOOD_STILL, weights_of(CONFIG, 0.1)).startswith("Gradients vanish: ")


def test_network_that_is_not_finite_is_not_measured():
    assert summarise_trace(CONFIG, weights_of(CONFIG, float("nan"))) is None


SHORT = ["--length", "8", "--train-steps", "100", "--hidden-size", "8", "--batch-size", "16"]


def test_train_says_why_it_was_not_solved(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    said = []
    for _ in range(2):  # the second call shows what the first one kept
        assert main(["train", "rnn", *SHORT, "--out", "run"]) == 0
        said.append(capsys.readouterr().out.splitlines()[1])
    assert said[0].startswith("It was still learning when its budget of 100 steps ended")
    assert said[1] == said[0]
    assert main(["train", "rnn", *SHORT, "--out", "run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["why"] == said[0]


def test_train_says_nothing_more_of_a_solved_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "lstm", "--length", "3", "--learning-rate", "0.01"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.fixture
def stood_still(tmp_path):
    """A study whose runs stood still, with the weights of the first run kept: W_hh far below 1."""
    config = StudyConfig(cells=("rnn",), lengths=(10, 20), seeds=1, hidden_size=16)
    rows = made_up_rows(config, lambda run: run.length == 10)
    (record,) = (row.record for row in rows.values() if not row.record.solved)
    weights = weights_of(record.config, 0.1)
    record = dataclasses.replace(record, weights_sha256=sha256(weights))
    rows[record.config.key] = rows[record.config.key]._replace(record=record)
    with Store.create(tmp_path) as store:
        store.set_value("config", config.canonical)
        for row in rows.values():
            store.add(*row)
    (tmp_path / "weights").mkdir()
    path = tmp_path / "weights" / f"{record.config.key}.safetensors"
    path.write_bytes(weights)
    return path


def test_show_says_why_of_each_unsolved_run(stood_still, capsys):
    study = stood_still.parent.parent
    assert main(["show", str(study), "--why", "--json"]) == 0
    (reason,) = json.loads(capsys.readouterr().out)["why"].items()
    assert reason[0] == stood_still.stem
    assert reason[1].startswith("Gradients vanish: ")
    assert main(["show", str(study), "--why", "--no-figures"]) == 0
    assert "Gradients vanish: " in capsys.readouterr().out
    assert main(["show", str(study), "--json"]) == 0
    assert "why" not in json.loads(capsys.readouterr().out)


def test_show_judges_by_the_record_where_no_weights_are_kept(stood_still, capsys):
    stood_still.unlink()
    assert main(["show", str(stood_still.parent.parent), "--why", "--json"]) == 0
    (sentence,) = json.loads(capsys.readouterr().out)["why"].values()
    assert sentence.startswith("No cause was measured: ")


def test_weights_that_are_not_the_runs_own_are_refused(stood_still, capsys):
    stood_still.write_bytes(stood_still.read_bytes() + b"!")
    assert main(["show", str(stood_still.parent.parent), "--why", "--json"]) == 2
    assert "is damaged" in capsys.readouterr().err
