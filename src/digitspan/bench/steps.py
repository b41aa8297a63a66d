"""One training step: the fast form against torch's networks, the readable loop and the floor."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from digitspan.bench.measure import BenchmarkRow, Effort, in_turn
from digitspan.bench.peers import TORCHS_OWN, OwnRNN, TorchNetwork, autograd_step
from digitspan.cells import CELLS, title
from digitspan.runs.config import RunConfig
from digitspan.tasks.palindrome import draw_training
from digitspan.tasks.questions import Questions, encode
from digitspan.training.engine import Trainer, build_network

__all__ = ["recurrent_operations", "rows"]

_LARGE = 2048
"""Rows of the square matrices whose product gives the machine's rate."""


_GOALS = {"lstm": 1.5, "rnn": 1.5, "gru": 1.3, "peephole-lstm": 1.3, "relu-rnn": 1.3}
"""The ratio wanted to torch's own network, or the one of torch's that is the nearest."""

_PRODUCTS = "products that torch has to do as well, and passes over memory between them"
_PASSES = "passes over memory, of states that no cache holds"
_SMALL = "passes over memory between the products, and products of its size are slower"
_SEEDING = "seeding what draws noise in training, 0.01 to 0.1 ms a step"
"""What bounds rows whose goal may be missed."""


def rows(effort: Effort) -> Iterator[BenchmarkRow]:
    """All cells at n = 128, batch 128, one-hot, float32, one thread."""
    for cell in _GOALS:
        for length in (20, 60):
            yield from _compared(effort, cell, length)
    yield _against_its_loop(effort, "mingru", 100)
    yield _own_cell(effort, 20)
    yield _share_of_the_floor(effort, "lstm", 20, goal=0.75)
    yield _share_of_the_floor(effort, "lstm", 60, goal=0.6)
    if not effort.goals_only:
        yield _share_of_the_floor(effort, "rnn", 60)
        yield _against_bfloat16(effort, 20)
        yield _against_bfloat16(effort, 60)


def recurrent_operations(config: RunConfig) -> int:
    """Floating-point operations that a training step cannot do without.

    Three products of the recurrent matrices (G n, n) with (n, B) a step, forward, back to the
    state and back to the weights; h(0) = 0 spares the first step's. A one-hot digit needs none.
    """
    gates = CELLS[config.cell].gates
    n = config.hidden_size
    return 3 * 2 * gates * n * n * config.batch_size * (config.length - 2)


def _compared(effort: Effort, cell: str, length: int) -> Iterator[BenchmarkRow]:
    """The step against torch's network and against the readable loop, in one turn."""
    config = RunConfig(cell=cell, length=length)
    trainer, questions = Trainer(config), _questions(length)
    inputs = encode(questions.inputs, config.input_size)  # encoded once: not in the peers' time
    theirs = autograd_step(TorchNetwork(cell))
    readable = autograd_step(build_network(config))
    functions = [
        lambda: trainer.step(questions),
        lambda: theirs(inputs, questions.targets),
        lambda: readable(inputs, questions.targets),
    ]
    timed = in_turn(*functions[: 2 if effort.goals_only else 3], seconds=effort.seconds)
    name, goal = f"{title(cell)} training step, T = {length}", _GOALS[cell]
    yield BenchmarkRow(name, timed[0], TORCHS_OWN[cell], timed[1], goal, bound=_PRODUCTS)
    if not effort.goals_only:
        yield BenchmarkRow(name, timed[0], "its readable loop", timed[2])


def _against_its_loop(effort: Effort, cell: str, length: int) -> BenchmarkRow:
    """The step against the readable loop, where torch has nothing near."""
    config = RunConfig(cell=cell, length=length)
    trainer, questions = Trainer(config), _questions(length)
    inputs, readable = encode(questions.inputs, config.input_size), build_network(config)
    loop = autograd_step(readable)
    ours, theirs = in_turn(
        lambda: trainer.step(questions),
        lambda: loop(inputs, questions.targets),
        seconds=effort.seconds,
    )
    name = f"{title(cell)} training step, T = {length}"
    return BenchmarkRow(name, ours, "its readable loop", theirs, goal=5, bound=_PASSES)


def _own_cell(effort: Effort, length: int) -> BenchmarkRow:
    """A cell of one's own against a bare loop that is as its author would write it."""
    config = RunConfig(cell=f"{OwnRNN.__module__}:{OwnRNN.__name__}", length=length).with_source()
    trainer, questions = Trainer(config), _questions(length)
    bare = autograd_step(build_network(config))
    ours, theirs = in_turn(
        lambda: trainer.step(questions),
        lambda: bare(encode(questions.inputs, config.input_size), questions.targets),
        seconds=effort.seconds,
    )
    name = f"a cell of one's own, training step, T = {length}"
    peer = "the same in a bare loop, digits encoded"
    return BenchmarkRow(name, ours, peer, theirs, goal=0.97, bound=_SEEDING)


def _share_of_the_floor(
    effort: Effort, cell: str, length: int, goal: float | None = None
) -> BenchmarkRow:
    """The time of the products alone, at the rate of a large one, over the time of the step."""
    config = RunConfig(cell=cell, length=length)
    trainer, questions = Trainer(config), _questions(length)
    left, right = torch.randn(2, _LARGE, _LARGE)
    step, large = in_turn(
        lambda: trainer.step(questions), lambda: left @ right, seconds=effort.seconds
    )
    share = recurrent_operations(config) / (2 * _LARGE**3)
    floor = large._replace(median_ms=share * large.median_ms, spread_ms=share * large.spread_ms)
    rate = 2 * _LARGE**3 / large.median_ms / 1e6
    note = f"share of the floor; the large product does {rate:.0f} GFLOP/s"
    name = f"{title(cell)} training step, T = {length}"
    peer = "the floor: its matrix products alone"
    return BenchmarkRow(name, step, peer, floor, goal, note, bound=_SMALL)


def _against_bfloat16(effort: Effort, length: int) -> BenchmarkRow:
    """The step in float32 against torch's LSTM in bfloat16."""
    config = RunConfig(cell="lstm", length=length)
    trainer, questions = Trainer(config), _questions(length)
    inputs = encode(questions.inputs, config.input_size)
    theirs = autograd_step(TorchNetwork("lstm"), bfloat16=True)
    functions = [lambda: trainer.step(questions), lambda: theirs(inputs, questions.targets)]
    name, peer = f"LSTM training step, T = {length}", "torch.nn.LSTM, bfloat16 autocast"
    try:
        theirs(inputs, questions.targets)
    except RuntimeError as error:
        (ours,) = in_turn(functions[0], seconds=1.0)
        return BenchmarkRow(name, ours, peer, None, note=f"does not run here: {str(error)[:60]}")
    ours, other = in_turn(*functions, seconds=effort.seconds)
    return BenchmarkRow(name, ours, peer, other)


def _questions(length: int) -> Questions:
    return draw_training(length, 128, torch.Generator().manual_seed(0))
