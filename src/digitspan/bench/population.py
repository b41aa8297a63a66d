"""Many networks at once against one after another."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator

import torch

from digitspan.bench.measure import BenchmarkRow, Effort, in_turn
from digitspan.bench.peers import TorchNetwork, autograd_step
from digitspan.cells import title
from digitspan.runs.config import RunConfig
from digitspan.study.config import PRESETS
from digitspan.tasks.palindrome import draw_training
from digitspan.tasks.questions import encode
from digitspan.training.engine import Trainer, TrainerGroup

__all__ = ["rows"]

_RUNS = 5
"""As many runs as the first round of a joint design has at a length."""

_PASSES = "passes over memory between small products (docs/performance.md)"
"""What bounds many networks at once on a CPU."""


def rows(effort: Effort) -> Iterator[BenchmarkRow]:
    """16 networks of n = 32 on the CPU, 256 of n = 128 where there is a GPU; those of a study."""
    yield _row(effort, networks=16, hidden_size=32, length=20, device="cpu", goal=2.5)
    for preset, cell in (("quick", "rnn"), ("quick", "lstm"), ("span", "lstm")):
        yield _of_a_study(effort, preset, cell)
    if torch.cuda.is_available():
        yield _row(effort, networks=256, hidden_size=128, length=50, device="cuda", goal=50.0)


def _of_a_study(effort: Effort, preset: str, cell: str) -> BenchmarkRow:
    """One training step of five runs of a preset at one length, against one after another."""
    study = PRESETS[preset]()
    config = RunConfig(
        cell=cell, length=20, hidden_size=study.hidden_sizes[-1], batch_size=study.batch_size
    )
    configs = [dataclasses.replace(config, seed=seed) for seed in range(_RUNS)]
    alone, group = Trainer(config), TrainerGroup([Trainer(run) for run in configs])
    questions = draw_training(config.length, config.batch_size, torch.Generator().manual_seed(0))
    ours, one = in_turn(
        lambda: group.step([questions] * _RUNS),
        lambda: alone.step(questions),
        seconds=effort.seconds / 2,
    )
    others = one._replace(median_ms=_RUNS * one.median_ms, spread_ms=_RUNS * one.spread_ms)
    name = f"{_RUNS} runs of study {preset} at once, {title(cell)}, T = 20"
    note = f"n = {config.hidden_size}, batch {config.batch_size}; no command does it"
    return BenchmarkRow(name, ours, "one after another", others, note=note)


def _row(
    effort: Effort, *, networks: int, hidden_size: int, length: int, device: str, goal: float
) -> BenchmarkRow:
    """One training step of R LSTMs."""
    trainers = [
        Trainer(RunConfig(cell="lstm", length=length, hidden_size=hidden_size, seed=seed), device)
        for seed in range(networks)
    ]
    group = TrainerGroup(trainers)
    generator = torch.Generator(device).manual_seed(0)
    questions = draw_training(length, 128, generator, device)
    inputs = encode(questions.inputs, 10)
    # One network is timed, and stands for all: they would be trained one after another.
    theirs = autograd_step(TorchNetwork("lstm", hidden_size).to(device))
    ours, one = in_turn(
        lambda: group.step([questions] * networks),
        lambda: theirs(inputs, questions.targets),
        seconds=effort.seconds,
        clock=time.process_time if device == "cpu" else time.perf_counter,
    )
    others = one._replace(median_ms=networks * one.median_ms, spread_ms=networks * one.spread_ms)
    name = f"{networks} LSTMs of n = {hidden_size} at once, T = {length}, {device}"
    return BenchmarkRow(
        name, ours, "torch.nn.LSTM, one after another", others, goal, bound=_PASSES
    )
