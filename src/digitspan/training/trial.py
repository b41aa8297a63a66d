"""Tries a cell of one's own on the run that is asked of it, before the first step and at its end.

What is tried is what is trained: the same object on the same device, at the same length and size,
built, trained for a step, kept and read again. So hardly a run is thrown away
after its training: one is whose network has learned to read ahead.
"""

from __future__ import annotations

import inspect
import io
import math
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from digitspan.cells.answers import is_stepped
from digitspan.cells.build import find
from digitspan.cells.duties import (
    CLOSE,
    apart,
    broken,
    check_at_size,
    check_duties,
    duties_of,
    if_it_raises,
)
from digitspan.cells.names import LENGTH, own_name
from digitspan.cells.own import is_outside, is_own, source_of
from digitspan.cells.seal import is_a_signals, sealed
from digitspan.errors import UsageError, said_by
from digitspan.runs.config import RunConfig
from digitspan.tasks.questions import encode
from digitspan.training.engine import (
    AT_ONCE,
    Trainer,
    build_network,
    input_dtype,
    keep_network,
    load_weights,
)
from digitspan.training.machine import flushed_denormals, one_thread
from digitspan.training.own_task import asks_several_answers, task_of_run, try_task

__all__ = ["try_cell", "try_run", "try_trained"]

ROWS = 4
"""Palindromes in the training step that is tried, at most."""

MOST_CUTS = 64
"""Places at most from which on other inputs are read, where a trained network is tried."""


def try_run(config: RunConfig, device: torch.device | str = "cpu") -> None:
    """Refuse a run whose task or cell of one's own could not be drawn, trained, or kept.

    Raises:
        UsageError: with what is wrong about it.
    """
    try_task(config)
    if is_own(config.cell):
        try_cell(config, device)


def try_cell(config: RunConfig, device: torch.device | str = "cpu") -> None:
    """Refuse a run of a cell of one's own that could not be trained, or not be kept.

    Args:
        config: the run.
        device: where it would be trained.

    Raises:
        UsageError: where the cell cannot be built, or with the duty of a cell that it breaks.
    """
    config = config.with_source()
    asks_several = asks_several_answers(config)
    before = set(sys.modules)
    with sealed(), one_thread(), flushed_denormals():
        network = _built(config)
        with duties_of(config.cell), if_it_raises("cannot be tried"):
            check_duties(
                network.to(device),
                config.cell,
                input_size=config.input_size,
                num_classes=config.num_classes,
                length=config.length,
                asks_lists=asks_several,
                dtype=input_dtype(network),
            )
            if config.trained == "read-out":
                Trainer(config, device)  # which says so where there is none to be trained
            _starts_alike(config)
            _is_trained_and_kept(config, torch.device(device))
            _keeps_its_duties_at_size(network, config, torch.device(device), asks_several)
            _imports_what_it_names(config, set(sys.modules) - before)


def try_trained(trainer: Trainer, inputs: Tensor, asked: int | None) -> None:
    """Refuse a trained network that reads ahead: whose answers change with what is read later.

    A part that reads ahead and begins with the weight 0 is seen only here. It is asked at the
    sizes at which it is trained and evaluated too: it may read ahead in large batches alone.

    Args:
        trainer: the run's, at its end.
        inputs: sequences of the run, (M, steps), not encoded.
        asked: A, the last steps after which it answers; None: after the last alone.

    Raises:
        UsageError: where it does.
    """
    config, steps = trainer.config, inputs.shape[1]
    # Built-in cells, and all that can be stepped, are given one input at a time where lists are
    # asked, and the answer after the last step comes when all has been read.
    if not is_own(config.cell) or is_stepped(trainer.network) or asked is None or asked < 2:
        return
    first = steps - asked  # after this step, counted from 0, comes the first answer
    cuts = torch.linspace(first + 1, steps - 1, min(asked - 1, MOST_CUTS)).round().long()
    symbols = config.asks.symbols
    for size in sorted({len(cuts), min(config.batch_size, AT_ONCE), min(len(inputs), AT_ONCE)}):
        rows = torch.arange(size)
        cut = cuts[rows % len(cuts)].to(inputs.device)[:, None]  # from here on another is read
        read = inputs[rows % len(inputs)]  # (M, steps)
        shift = torch.randint(1, symbols, read.shape, generator=torch.Generator().manual_seed(0))
        other = ((read.long() + shift.to(read.device)) % symbols).to(read.dtype)
        changed = torch.where(torch.arange(steps, device=read.device) < cut, read, other)
        before, after = (trainer.logits(x, asked).nan_to_num() for x in (read, changed))
        is_before = first + torch.arange(asked, device=read.device) < cut  # (M, A)
        with duties_of(config.cell):
            if off := apart(after[is_before], before[is_before], CLOSE):
                broken(
                    f"has learned to read ahead: the trained network's answers change with inputs "
                    f"that it has not read yet (in {steps:,} steps, {size} rows, logits {off:.2g} "
                    f"apart)"
                )


def _built(config: RunConfig) -> nn.Module:
    """The network of a run."""
    try:
        with duties_of(config.cell):
            _is_named_as_it_asks(config)
        return build_network(config)
    except UsageError:
        raise
    except (Exception, SystemExit) as error:  # whatever the code of somebody else may raise
        if is_a_signals(error):
            raise
        message = (
            f"cell {config.cell!r} could not be built ({said_by(error)[:300]}); expected a class "
            f"that takes input_size, hidden_size and num_classes, and the arguments that its name "
            f"has"
        )
        raise UsageError(message) from error


def _is_named_as_it_asks(config: RunConfig) -> None:
    """A cell that is built with T says so in its name, wherever its constructor comes from."""
    name = own_name(config.cell)
    try:
        parameters = inspect.signature(cast("Any", find(config.cell, config.source))).parameters
    except (TypeError, ValueError):
        return  # it does not say what it takes
    if LENGTH in parameters and not name.knows_length and LENGTH not in name.arguments:
        broken(
            f"asks for {LENGTH} in a way that its source does not show: name it "
            f"{name._replace(knows_length=True)} to give it T, or give it a number"
        )


def _starts_alike(config: RunConfig) -> None:
    """Two builds of one run have the same weights."""
    one, other = build_network(config).state_dict(), build_network(config).state_dict()
    differing = [name for name in {*one, *other} if not _equal(one.get(name), other.get(name))]
    if differing:
        broken(
            f"begins with other weights when it is built again ({min(differing)}): the run's seed "
            f"decides what torch, NumPy and Python draw, not a generator of its own"
        )


def _equal(one: Tensor | None, other: Tensor | None) -> bool:
    """Whether two tensors are the same, bit for bit."""
    if one is None or other is None or one.dtype != other.dtype or one.shape != other.shape:
        return False
    return bool(((one == other) | (one.isnan() & other.isnan())).all())


def _is_trained_and_kept(config: RunConfig, device: torch.device) -> None:
    """A training step, its checkpoint and the weights that are kept work at the run's length."""
    at = f"at T = {config.length:,}"
    with if_it_raises(f"cannot be trained {at}"):
        trainer = Trainer(config, device)
        dtypes = {name: value.dtype for name, value in trainer.network.state_dict().items()}
        generator = torch.Generator(device).manual_seed(0)
        rows = min(config.batch_size, ROWS)
        task = task_of_run(config)
        (questions,) = task.draw_batches(config.length, 1, rows, generator, device)
        loss = trainer.step(questions).loss
        answer = trainer.logits(questions.inputs, questions.asked)
    if not math.isfinite(loss):
        broken(f"has a loss that is not finite {at}, before any training")
    for name, value in trainer.network.state_dict().items():
        if dtypes.get(name, value.dtype) != value.dtype:
            broken(f"changes the dtype of {name} in training: {dtypes[name]} to {value.dtype}")
    with if_it_raises("cannot be kept in a checkpoint and go on"):
        buffer = io.BytesIO()
        torch.save(trainer.state_dict(), buffer)
        trainer.load_state_dict(torch.load(io.BytesIO(buffer.getvalue()), weights_only=True))
    with if_it_raises("cannot be kept and read again"):
        kept = keep_network(config, trainer.network)
        again = Trainer(config, device)
        found = build_network(config)
        load_weights(found, kept)
        again.network.load_state_dict(found.state_dict())
        if off := apart(again.logits(questions.inputs, questions.asked), answer, CLOSE):
            broken(
                f"answers otherwise once it was kept and read again (logits {off:.2g} apart): "
                f"what is trained must be in its parameters and buffers"
            )


def _keeps_its_duties_at_size(
    network: nn.Module, config: RunConfig, device: torch.device, asks_several: bool
) -> None:
    """What it does at few rows of few digits it does at the run's sizes too."""
    generator = torch.Generator(device).manual_seed(0)
    rows = min(config.batch_size, AT_ONCE)
    (questions,) = task_of_run(config).draw_batches(config.length, 1, rows, generator, device)
    others = ((questions.inputs.long() + 1) % config.asks.symbols).to(questions.inputs.dtype)
    inputs, other = (
        encode(digits, config.input_size, input_dtype(network))
        for digits in (questions.inputs, others)
    )
    check_at_size(
        network,
        config.cell,
        inputs,
        other,
        num_classes=config.num_classes,
        asks_lists=asks_several,
    )


def _imports_what_it_names(config: RunConfig, modules: Iterable[str]) -> None:
    """Its runs are known by its source: no module of it may have been left out of that."""
    named = source_of(config.cell).modules
    for name in sorted(modules):
        path = getattr(sys.modules[name], "__file__", None)
        if path and name not in named and not name.startswith("__") and is_outside(Path(path)):
            broken(
                f"imports {name} in a way that its source does not show, and its runs are known "
                f"by its source: import it by its name"
            )
