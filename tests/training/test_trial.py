"""The cell that is tried is the one that is trained and kept, or it is refused before that."""

import re

import pytest
import safetensors.torch
import torch
from odd_cells import (
    KEPT,
    REFUSED,
    AheadInLargeBatches,
    Chaotic,
    EveryStep,
    LearnsToReadAhead,
)

from digitspan.cells.duties import apart
from digitspan.cli import main
from digitspan.errors import UsageError
from digitspan.runs.config import RunConfig
from digitspan.training.engine import build_network, load_network
from digitspan.training.run import train, train_together
from digitspan.training.trial import try_cell


def config(cell, **settings):
    sizes = {"hidden_size": 6, "batch_size": 8, "train_steps": 50, "length": 5}
    return RunConfig(cell=f"odd_cells:{cell.__name__}", **sizes | settings)


@pytest.mark.parametrize("cell", KEPT, ids=lambda cell: cell.__name__)
def test_odd_cells_are_trained_and_kept_as_they_are(cell):
    run = config(cell)
    try_cell(run)
    finished = train(run)
    assert finished.record.end_state == "censored"
    assert len(finished.record.config.source) == 16
    before = build_network(run).state_dict()
    after = load_network(finished.record.config, finished.weights).state_dict()
    assert {n: v.dtype for n, v in before.items()} == {n: v.dtype for n, v in after.items()}
    moved = {n for n in before if not torch.equal(before[n], after[n])}
    trained = {n for n, p in build_network(run).named_parameters() if p.requires_grad}
    assert trained <= moved


@pytest.mark.parametrize("cell", REFUSED, ids=lambda cell: cell.__name__)
def test_what_could_not_be_kept_is_refused_before_the_first_step(cell):
    with pytest.raises(UsageError, match=REFUSED[cell]) as caught:
        try_cell(config(cell, length=40))
    assert str(caught.value).startswith(f"cell 'odd_cells:{cell.__name__}' breaks a duty")


def test_a_cell_is_tried_at_its_longest():
    (short_sighted,) = (cell for cell in REFUSED if cell.__name__ == "ShortSighted")
    try_cell(config(short_sighted, length=13))


def test_a_cell_that_makes_much_of_rounding_is_no_other_than_its_steps():
    try_cell(config(Chaotic, hidden_size=32, length=200))


def test_what_is_no_number_is_far_from_every_number():
    one, other = torch.tensor([1.0, torch.nan]), torch.tensor([1.0, torch.nan])
    assert apart(one, other, 1e-3) == 0
    assert apart(one, torch.ones(2), 1e-3) == apart(torch.ones(2), one, 1e-3) == torch.inf
    infinite = torch.tensor([1.0, torch.inf])
    assert apart(infinite, infinite, 1e-3) == 0
    assert apart(infinite, torch.ones(2), 1e-3) == torch.inf


@pytest.mark.parametrize("name", ["StartsByNumpy", "StartsByPython"])
def test_the_seed_decides_the_start_whoever_draws_it(name):
    (cell,) = (cell for cell in KEPT if cell.__name__ == name)
    one, again, other = (build_network(config(cell, seed=seed)).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], again[name]) for name in one)
    name = "h.weight" if name == "StartsByNumpy" else "gain"
    assert not torch.equal(one[name], other[name])


def test_tied_weights_are_still_tied_when_they_are_read():
    (cell,) = (cell for cell in KEPT if cell.__name__ == "Tied")
    finished = train(config(cell))
    kept = safetensors.torch.load(finished.weights)
    assert torch.equal(kept["h.weight"], kept["again.weight"])
    network = load_network(finished.record.config, finished.weights)
    assert network.h.weight is network.again.weight


# Tried again at its end

LISTS = {"task": "next-digit", "optimizer": "adam", "learning_rate": 0.01}
AHEAD = (
    r"^cell 'odd_cells:LearnsToReadAhead' breaks a duty of a cell: it has learned to read ahead: "
    r"the trained network's answers change with inputs that it has not read yet \(in {} steps, "
)


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({"length": 12}, "11"),
        ({"length": 12, "task": "recall", "curriculum": True, "train_steps": 200}, r"\d+"),
        ({"length": 12, "encoding": "scalar"}, "11"),
        ({"length": 12, "task": "recall"}, "12"),
    ],
)
def test_a_network_that_learns_to_read_ahead_is_an_error_and_no_result(settings, steps):
    run = config(LearnsToReadAhead, **LISTS | settings)
    try_cell(run)  # before training the part that reads ahead weighs nothing
    finished = train(run)
    record = finished.record
    assert record.end_state == "error"
    assert re.match(AHEAD.format(steps), record.note), record.note
    assert (record.accuracy, record.recalled, record.bits) == (None, None, None)
    assert finished.weights == b""


def test_a_network_is_asked_at_the_sizes_of_its_evaluation():
    record = train(config(AheadInLargeBatches, **LISTS | {"length": 12})).record
    assert record.end_state == "error"
    assert "has learned to read ahead" in record.note
    assert "500 rows" in record.note


@pytest.mark.parametrize("settings", [{}, {"task": "recall", "curriculum": True}])
def test_a_network_that_reads_nothing_ahead_is_a_result(settings):
    record = train(config(EveryStep, **LISTS | {"length": 12} | settings)).record
    assert record.end_state in ("solved", "censored")
    assert record.recalled.lists
    assert record.note == ""


def test_networks_trained_together_are_tried_each():
    runs = [config(LearnsToReadAhead, **LISTS | {"length": 12, "seed": seed}) for seed in (0, 1)]
    assert [one.record.end_state for one in train_together(runs)] == ["error"] * 2


def test_train_says_that_a_network_has_learned_to_read_ahead(tmp_path, capsys):
    words = ["train", "odd_cells:LearnsToReadAhead", "--task", "next-digit", "--items", "6"]
    words += ["--hidden-size", "6", "--batch-size", "8", "--train-steps", "50"]
    words += ["--optimizer", "adam", "--learning-rate", "0.01", "--out", str(tmp_path / "run")]
    assert main(words) == 1
    out = capsys.readouterr().out
    assert "ended in an error: cell 'odd_cells:LearnsToReadAhead' breaks a duty of a cell" in out
    assert "recalled whole" not in out
    assert not (tmp_path / "run" / "checkpoint").exists()
