"""The zoo: published cells pass the duties, are trained, and are the same when they are read."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import torch

from digitspan.cells import CELLS
from digitspan.cells.answers import is_stepped, read_out_of
from digitspan.runs.config import RunConfig
from digitspan.study.config import StudyConfig
from digitspan.tasks.palindrome import draw_training
from digitspan.training.engine import Trainer, build_network, keep_network, load_network
from digitspan.training.trial import try_cell

EXAMPLES = Path(__file__).parents[1] / "examples"
WORDS = tomllib.loads((EXAMPLES / "zoo.toml").read_text(encoding="utf-8"))
ZOO = [cell for cell in WORDS["cells"] if cell not in CELLS]

NEEDS = {"zoo.cfc": "ncps", "zoo.mamba": "mambapy", "zoo.mingru": "minGRU_pytorch"}
"""Packages of the extra `zoo`, by the module that adapts them."""

SIZE = {"hidden_size": 8, "batch_size": 16, "optimizer": "adam", "max_grad_norm": 1.0}


@pytest.fixture(params=ZOO)
def cell(request, monkeypatch):
    """Each cell of the zoo, found as it is from the folder of the examples."""
    module = request.param.partition(":")[0]
    if module in NEEDS:
        pytest.importorskip(NEEDS[module], reason="the extra zoo is not installed")
    monkeypatch.chdir(EXAMPLES)
    monkeypatch.syspath_prepend(EXAMPLES)
    return request.param


def test_the_zoo_has_twelve_cells_and_each_names_its_source():
    assert len(ZOO) >= 12
    StudyConfig.from_words(WORDS)
    for cell in ZOO:
        module, _, name = cell.partition(":")
        text = (EXAMPLES / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
        assert "arXiv" in text, module
        assert f"class {name}(" in text, cell


@pytest.mark.parametrize("length", [5, 40])
def test_published_cells_pass_the_duties(cell, length):
    try_cell(RunConfig(cell=cell, length=length, **SIZE))


def test_published_cells_recall_lists_too(cell):
    try_cell(RunConfig(cell=cell, length=8, task="recall", **SIZE))


def test_two_steps_lower_the_loss_and_it_is_the_same_when_read(cell):
    config = RunConfig(cell=cell, length=5, learning_rate=3e-3, **SIZE).with_source()
    trainer = Trainer(config)
    questions = draw_training(5, 16, torch.Generator().manual_seed(0))
    losses = [trainer.step(questions).loss for _ in range(2)]
    after = trainer.step(questions).loss
    assert after < losses[0], losses
    before = trainer.logits(questions.inputs)
    again = load_network(config, keep_network(config, trainer.network))
    one_hot = torch.nn.functional.one_hot(questions.inputs.long(), 10).float()
    torch.testing.assert_close(again(one_hot), before)


def test_a_published_cell_shows_its_read_out(cell):
    network = build_network(RunConfig(cell=cell, length=5, **SIZE))
    assert is_stepped(network)
    names = read_out_of(network, torch.zeros(2, 3, 10))
    assert {"to_logits.weight", "to_logits.bias"} <= set(names)
    assert not any("embed" in name or "lstm" in name or "W" in name for name in names)


def test_packages_of_the_extra_are_those_that_are_adapted():
    project = tomllib.loads((EXAMPLES.parent / "pyproject.toml").read_text(encoding="utf-8"))
    named = project["project"]["optional-dependencies"]["zoo"]
    assert all(">=" in one and "<" in one for one in named)
    packages = {one.partition(">=")[0].replace("-", "_").lower() for one in named}
    assert packages == {name.lower() for name in NEEDS.values()}
