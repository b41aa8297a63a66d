"""A cell of one's own that breaks a duty is refused, naming it; odd but honest ones are not."""

import functools
import re

import pytest
import torch
from broken_cells import BROKEN, HONEST, Noisy, Stepped, Whole
from planted import FAULTS

from digitspan.cells import CELLS
from digitspan.cells.build import build
from digitspan.cells.duties import check_duties
from digitspan.cli import main
from digitspan.errors import UsageError


def check(make, *, input_size=10, length=9, asks_lists=False):
    torch.manual_seed(0)
    network = make(input_size=input_size, hidden_size=6, num_classes=10)
    sizes = {"input_size": input_size, "num_classes": 10, "length": length}
    check_duties(network, "mine:Cell", **sizes, asks_lists=asks_lists)


@pytest.mark.parametrize("cell", BROKEN, ids=lambda cell: cell.__name__)
def test_broken_duty_is_named_in_a_sentence(cell):
    with pytest.raises(UsageError, match=BROKEN[cell]) as caught:
        check(cell)
    assert str(caught.value).startswith("cell 'mine:Cell' breaks a duty of a cell: it ")
    assert str(caught.value).endswith("(see docs/own-cell.md)")
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("length", [2, 3, 9, 1000])
@pytest.mark.parametrize("input_size", [1, 10])
@pytest.mark.parametrize("cell", HONEST, ids=lambda cell: cell.__name__)
def test_honest_cells_are_accepted(cell, input_size, length):
    check(cell, input_size=input_size, length=length)


@pytest.mark.parametrize(
    ("cell", "start"), [(c, s) for c, cell in CELLS.items() for s in cell.initialisations]
)
def test_our_cells_fulfil_the_duties_of_ones_own(cell, start):
    make = functools.partial(
        build, cell, initialisation=start, length=20, generator=torch.Generator().manual_seed(1)
    )
    check(make)


class EveryStep(Whole):
    """Honest where lists are asked: answers after every step."""

    def forward(self, inputs):
        return self.out(self.states(inputs))


class ReadsAhead(EveryStep):
    """Broken: answers out of what it reads later."""

    def states(self, inputs):
        return self.recurrence(inputs)[0] + self.recurrence(inputs.flip(1))[0].flip(1)


class EveryStepOfTheBatch(EveryStep):
    """Broken: takes the batch's mean off."""

    def states(self, inputs):
        states = super().states(inputs)
        return states - states.mean(dim=0, keepdim=True)


@pytest.mark.parametrize("input_size", [1, 11])
@pytest.mark.parametrize("length", [2, 12])
@pytest.mark.parametrize("cell", [EveryStep, Stepped])
def test_where_lists_are_asked_a_whole_module_answers_after_every_step(cell, length, input_size):
    check(cell, input_size=input_size, length=length, asks_lists=True)


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        (Whole, r"the shape \(5, 10\) .* expected logits after every step, where lists are asked"),
        (ReadsAhead, r"reads ahead: its answer after 1 of 8 digits moves by"),
        (EveryStepOfTheBatch, r"mixes the rows of a batch"),
    ],
)
def test_where_lists_are_asked_a_broken_duty_is_named(cell, sentence):
    with pytest.raises(UsageError, match=sentence):
        check(cell, input_size=11, length=12, asks_lists=True)


REFUSED_AS_WELL = (
    "softmax_inside_forward",
    "logits_the_wrong_way_round",
    "state_kept_between_batches",
    "read_backwards",
    "logits_averaged_over_time",
    "batch_mean_taken_off",
)


@pytest.mark.parametrize(
    "fault",
    [f for f in FAULTS if f.name.partition("-")[2] in REFUSED_AS_WELL],
    ids=lambda f: f.name,
)
def test_planted_faults_against_the_contract_are_refused(fault):
    with pytest.raises(UsageError, match="breaks a duty of a cell"):
        check(fault.case.make)


def test_the_global_generator_is_left_alone():
    torch.manual_seed(5)
    network = Noisy(10, 6, 10)
    before = torch.get_rng_state()
    check_duties(network, "mine:Cell", input_size=10, num_classes=10, length=9)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_cell_with_half_of_the_steps_is_a_whole_module():
    half = type("Half", (Stepped,), {"read_out": None, "step": lambda self, x, state: state})
    check(half)


def test_a_layer_named_step_is_no_step():
    class Named(Whole):
        def __init__(self, *sizes, **named):
            super().__init__(*sizes, **named)
            self.step = self.initial_state = self.read_out = torch.nn.Linear(2, 2)

    check(Named)


@pytest.mark.parametrize(
    "words",
    [
        ("train", "broken_cells:BatchNormed", "--length", "5"),
        ("study", "--cells", "lstm", "broken_cells:BatchNormed", "--lengths", "5", "10"),
        ("study", "--cells", "broken_cells:BatchNormed", "--encoding", "scalar", "one-hot"),
    ],
)
def test_commands_refuse_before_anything_is_written(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*words, "--hidden-size", "6"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.strip().splitlines()) == 1
    assert re.search(r"broken_cells:BatchNormed' breaks a duty of a cell: it mixes the rows", err)
    assert list(tmp_path.iterdir()) == []
