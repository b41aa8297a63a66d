"""A number of parameters chooses the hidden size that comes nearest to it."""

import dataclasses

import pytest

from digitspan.cells import CELLS
from digitspan.errors import UsageError
from digitspan.runs.config import RunConfig
from digitspan.training.engine import build_network
from digitspan.training.sizes import hidden_size_for


def parameters_of(config, size):
    network = build_network(dataclasses.replace(config, hidden_size=size))
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("parameters", [60, 1_000, 7_001])
def test_no_other_hidden_size_comes_nearer(cell, parameters):
    config = RunConfig(cell=cell, length=5)
    size, found = hidden_size_for(config, parameters)
    assert found == parameters_of(config, size)
    for other in (size - 1, size + 1):
        if other:
            assert abs(parameters_of(config, other) - parameters) >= abs(found - parameters)


def test_a_cell_that_refuses_some_sizes_gets_one_that_it_takes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "heads.py").write_text(
        "from torch import nn\nclass Heads(nn.Module):\n"
        "    def __init__(self, input_size, hidden_size, num_classes):\n"
        "        super().__init__()\n        assert hidden_size % 4 == 0\n"
        "        self.layer = nn.Linear(hidden_size, hidden_size)\n"
    )
    config = RunConfig(cell="heads:Heads", length=5)
    assert hidden_size_for(config, 1_000) == (32, 1_056)


def test_a_cell_whose_number_does_not_change_is_refused():
    with pytest.raises(
        UsageError, match="no hidden size of own_cells:Perfect has about 70,000 param"
    ):
        hidden_size_for(RunConfig(cell="own_cells:Perfect", length=5), 70_000)


def test_a_number_that_no_hidden_size_comes_near_is_refused(monkeypatch):
    config = RunConfig(cell="lstm", length=5)
    with pytest.raises(UsageError, match="no hidden size of lstm has about 10 parameters: those"):
        hidden_size_for(config, 10)
    # One that this machine could not train is not built to count it.
    monkeypatch.setattr("digitspan.runs.cost._physical_memory", lambda: 2**20)
    assert hidden_size_for(config, 10_000) == (44, 10_130)
    with pytest.raises(UsageError, match=r"about 1,000,000,000 param.* to .*GiB; choose a smal"):
        hidden_size_for(config, 10**9)
