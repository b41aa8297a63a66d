"""Whole jobs: drawing batches, the figure, training until solved, reading very long strings."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from digitspan.bench.measure import BenchmarkRow, Effort, in_turn, processor_seconds
from digitspan.bench.peers import TorchNetwork, autograd_step, template_batches
from digitspan.runs.config import RunConfig
from digitspan.runs.outcome import EVALUATE_EVERY, SOLVED_ACCURACY
from digitspan.study.config import StudyConfig
from digitspan.study.crew.pool import usable_cores
from digitspan.study.runner import StudyObserver, run_study
from digitspan.tasks.palindrome import draw_training, held_out
from digitspan.tasks.questions import encode
from digitspan.tasks.seeds import data_seed
from digitspan.training.engine import answer_in_pieces, build_network
from digitspan.training.run import train

__all__ = ["rows", "torch_with_our_weights"]

_TEMPLATE_STEPS = 10_000
"""Training steps of the template's recipe, whatever the network has learned."""

_SOLVED_AT = (20, 50, 100)
"""Lengths at which an LSTM is trained until it is solved."""

_SOLVING: dict[str, Any] = {"initialisation": "chrono", "optimizer": "adam", "learning_rate": 1e-2}
"""A recipe that solves them all; the template's own solves the first at most."""


def rows(effort: Effort) -> Iterator[BenchmarkRow]:
    """The rows of this group."""
    yield _drawing(effort)
    yield _time_to_the_figure(effort)
    if not effort.goals_only:
        for length in _SOLVED_AT:
            yield from _time_until_solved(effort, length)
        yield _long_strings(effort)


def _drawing(effort: Effort) -> BenchmarkRow:
    """A batch of 128 at T = 20, drawn 50 at a time as training does."""
    generator = torch.Generator().manual_seed(0)
    loader = template_batches(20)

    def from_the_template() -> None:
        for _ in range(EVALUATE_EVERY):
            next(loader)

    ours, theirs = in_turn(
        lambda: draw_training(20, 128 * EVALUATE_EVERY, generator),
        from_the_template,
        seconds=effort.seconds,
        per=EVALUATE_EVERY,
    )
    return BenchmarkRow("drawing a batch, T = 20", ours, "the template's DataLoader", theirs, 20)


def _time_to_the_figure(effort: Effort) -> BenchmarkRow:
    """A grid of 48 runs, ours from the first call to the last row, in processor time.

    Ours is spread over all cores and the template's is not, which does not count here.
    """
    lengths: tuple[int, ...] = (5, 10) if effort.goals_only else (5, 10, 20, 40)
    rates, seeds = (1e-3, 1e-2), 3
    config = StudyConfig(lengths=lengths, learning_rates=rates, seeds=seeds, train_steps=2_000)
    start = processor_seconds()
    with tempfile.TemporaryDirectory() as folder:
        run_study(config, Path(folder), workers=usable_cores(), progress=StudyObserver())
    ours = processor_seconds() - start

    repeats = seeds * len(rates)
    theirs = sum(
        repeats * _template_seconds(effort, cell, length)
        for cell in config.cells
        for length in lengths
    )
    points = len(config.cells) * len(lengths) * repeats
    note = f"{points} trainings, T = {', '.join(map(str, lengths))}; {_scaled(effort)}"
    return BenchmarkRow.of_seconds(
        "time to the figure", ours, "the template's recipe", theirs, goal=50, note=note
    )


def _time_until_solved(effort: Effort, length: int) -> Iterator[BenchmarkRow]:
    """An LSTM until two evaluations in a row are at 0.99, against two peers."""
    config = RunConfig(cell="lstm", length=length, train_steps=1_000, **_SOLVING)
    held_out(length, "validation")  # drawn once and kept: in neither's time
    evaluated: list[float] = []
    start = time.process_time()
    record = train(config, on_evaluation=lambda _: evaluated.append(time.process_time())).record
    ours = evaluated[-1] - start  # without the test that follows, which the peers do not do
    name = f"LSTM until solved, T = {length}"
    note = f"{record.end_state} after {record.steps} steps"
    seconds, steps, solved = _torch_until_solved(config)
    said = f"{note}; peer {'solved' if solved else 'not solved'} after {steps}"
    peer = "torch.nn.LSTM, our rate, start and stopping rule"
    yield BenchmarkRow.of_seconds(name, ours, peer, seconds, note=said)
    template = _template_seconds(effort, "lstm", length)
    peer = "torch.nn.LSTM, the template's recipe"
    said = f"{note}; peer's {_TEMPLATE_STEPS:,} steps {_scaled(effort)}, solved or not"
    yield BenchmarkRow.of_seconds(name, ours, peer, template, note=said)


def _torch_until_solved(config: RunConfig) -> tuple[float, int, bool]:
    """Seconds, steps and whether it was solved: `torch.nn.LSTM` under our protocol."""
    network = torch_with_our_weights(config)
    step = autograd_step(network, config.optimizer, config.learning_rate)
    generator = torch.Generator().manual_seed(data_seed(config.length, config.seed))
    validation = held_out(config.length, "validation").questions
    solved_before = False
    start = time.process_time()
    for steps in range(1, config.train_steps + 1):
        questions = draw_training(config.length, config.batch_size, generator)
        step(encode(questions.inputs, 10), questions.targets)
        if steps % EVALUATE_EVERY == 0:
            with torch.no_grad():
                predicted = network(encode(validation.inputs, 10)).argmax(dim=1)
            right = (predicted == validation.targets).double().mean().item()
            if right >= SOLVED_ACCURACY and solved_before:
                return time.process_time() - start, steps, True
            solved_before = right >= SOLVED_ACCURACY
    return time.process_time() - start, config.train_steps, False


def torch_with_our_weights(config: RunConfig) -> TorchNetwork:
    """`torch.nn.LSTM` with the weights that our run begins with."""
    ours, network = build_network(config).state_dict(), TorchNetwork("lstm", config.hidden_size)
    order = "ifgo"  # of the four blocks of rows in torch's matrices
    recurrent = network.recurrent
    with torch.no_grad():
        for name, ending in (("weight_ih_l0", "x"), ("weight_hh_l0", "h")):
            blocks = [ours[f"W_{gate}{ending}"] for gate in order]
            recurrent.get_parameter(name).copy_(torch.cat(blocks))
        biases = [ours[f"b_{gate}"] for gate in order]
        recurrent.get_parameter("bias_ih_l0").copy_(torch.cat(biases))
        recurrent.get_parameter("bias_hh_l0").zero_()
        network.read_out.weight.copy_(ours["W_ph"])
        network.read_out.bias.copy_(ours["b_p"])
    return network


def _long_strings(effort: Effort) -> BenchmarkRow:
    """Reading 64 strings of 4,000 digits in constant memory, n = 128; time a digit."""
    network = build_network(RunConfig(cell="lstm", length=20))
    peer, digits = TorchNetwork("lstm"), torch.randint(10, (64, 4_000), dtype=torch.uint8)
    pieces = digits.split(2_000, dim=1)

    @torch.no_grad()
    def by_torch() -> Tensor:
        state = None
        for piece in pieces:
            output, state = peer.recurrent(encode(piece, 10), state)
        logits: Tensor = peer.read_out(output[:, -1])
        return logits

    ours, theirs = in_turn(
        lambda: answer_in_pieces([network], pieces, 10),
        by_torch,
        seconds=effort.seconds,
        per=digits.shape[1],
    )
    note = f"{1e3 / ours.median_ms:,.0f} steps a second"
    name, theirs_name = "LSTM reads a digit of 64 long strings", "torch.nn.LSTM in pieces of 2,000"
    return BenchmarkRow(name, ours, theirs_name, theirs, goal=3, note=note)


def _template_seconds(effort: Effort, cell: str, length: int) -> float:
    """The template's recipe at one point: its loader, learning rate and number of steps."""
    timed = _TEMPLATE_STEPS if effort.to_the_end else effort.template_steps
    step, loader = autograd_step(TorchNetwork(cell)), template_batches(length)
    warm_up = next(loader)
    step(encode(warm_up.inputs, 10), warm_up.targets)
    start = time.process_time()
    for _ in range(timed):
        questions = next(loader)
        step(encode(questions.inputs, 10), questions.targets)
    return (time.process_time() - start) * _TEMPLATE_STEPS / timed


def _scaled(effort: Effort) -> str:
    """How the template's time was got."""
    if effort.to_the_end:
        return "measured to the end"
    return f"timed over {effort.template_steps} and scaled"
