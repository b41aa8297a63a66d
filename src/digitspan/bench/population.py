"""Many networks at once against one after another."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch

from digitspan.bench.measure import BenchmarkRow, Effort, in_turn
from digitspan.bench.peers import TorchNetwork, autograd_step
from digitspan.runs.config import RunConfig
from digitspan.tasks.palindrome import draw_training
from digitspan.tasks.questions import encode
from digitspan.training.engine import Trainer, TrainerGroup

__all__ = ["rows"]


def rows(effort: Effort) -> Iterator[BenchmarkRow]:
    """16 networks of n = 32 on the CPU; 256 of n = 128 where there is a GPU."""
    yield _row(effort, networks=16, hidden_size=32, length=20, device="cpu", goal=3.0)
    if torch.cuda.is_available():
        yield _row(effort, networks=256, hidden_size=128, length=50, device="cuda", goal=50.0)


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
    return BenchmarkRow(name, ours, "torch.nn.LSTM, one after another", others, goal)
