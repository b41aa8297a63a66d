"""One training step: the fast form against torch's networks, the readable loop and the floor."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from digitspan.bench.measure import BenchmarkRow, Effort, in_turn
from digitspan.bench.peers import TorchNetwork, autograd_step
from digitspan.runs.config import RunConfig
from digitspan.tasks.palindrome import draw_training
from digitspan.tasks.questions import Questions, encode
from digitspan.training.engine import Trainer, build_network

__all__ = ["recurrent_operations", "rows"]

_LARGE = 2048
"""Rows of the square matrices whose product gives the machine's rate."""


def rows(effort: Effort) -> Iterator[BenchmarkRow]:
    """LSTM and RNN at T = 20 and 60, n = 128, batch 128, one-hot, float32, one thread."""
    for cell in ("lstm", "rnn"):
        for length in (20, 60):
            yield from _compared(effort, cell, length)
    yield _share_of_the_floor(effort, "lstm", 60)
    if not effort.goals_only:
        yield _share_of_the_floor(effort, "rnn", 60)
        yield _against_bfloat16(effort, 20)
        yield _against_bfloat16(effort, 60)


def recurrent_operations(config: RunConfig) -> int:
    """Floating-point operations that a training step cannot do without.

    Three products of the recurrent matrices (G n, n) with (n, B) a step, forward, back to the
    state and back to the weights; h(0) = 0 spares the first step's. A one-hot digit needs none.
    """
    gates = {"rnn": 1, "lstm": 4}[config.cell]
    n = config.hidden_size
    return 3 * 2 * gates * n * n * config.batch_size * (config.length - 2)


def _compared(effort: Effort, cell: str, length: int) -> Iterator[BenchmarkRow]:
    """The step against torch's network and against part1's loop, in one turn."""
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
    name = f"{cell.upper()} training step, T = {length}"
    yield BenchmarkRow(name, timed[0], f"torch.nn.{cell.upper()}", timed[1], goal=1.5)
    if not effort.goals_only:
        yield BenchmarkRow(name, timed[0], "part1's readable loop", timed[2])


def _share_of_the_floor(effort: Effort, cell: str, length: int) -> BenchmarkRow:
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
    name = f"{cell.upper()} training step, T = {length}"
    goal = 0.6 if cell == "lstm" else None
    return BenchmarkRow(name, step, "the floor: its matrix products alone", floor, goal, note)


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
