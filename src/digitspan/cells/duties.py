"""What a cell of one's own must fulfil before it is measured: one sentence for a duty it breaks.

A cell that breaks one of these is not forgetful but wrong: its runs would measure something else
than its memory. The duties are tried out on a few small batches, in both of the modes that a
module has: noise in training is fair where torch's generator decides it, an answer that is counted
may not be random.

Letters: B batch, T palindrome length (T - 1 digits go in), D inputs, K classes.
"""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Iterator
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor, nn

from digitspan.cells.answers import is_stepped
from digitspan.cells.seal import is_a_signals, sealed
from digitspan.errors import UsageError, printable, said_by

__all__ = ["apart", "broken", "check_at_size", "check_duties", "duties_of", "if_it_raises"]

BATCH_SIZE = 5
"""B of the batches tried."""

MOST_DIGITS = 8
"""Digits read at most: most duties that are broken at all are broken within a few steps, and
`check_at_size` sees the others."""

SAME, CLOSE = 1e-5, 1e-3
"""How far two answers may lie apart, as a share of the largest logit: where they are the same
sums in single precision, and where they are the same in another order."""


def check_duties(
    network: nn.Module,
    name: str,
    *,
    input_size: int,
    num_classes: int,
    length: int,
    asks_lists: bool = False,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Refuse a network that breaks a duty of a cell.

    Args:
        network: just built; not for use afterwards: its buffers may have moved.
        name: the cell's name, for the message.
        input_size: D.
        num_classes: K.
        length: T, a length that it must be able to read.
        asks_lists: whether it must answer after several steps: one that cannot be stepped must
            then give the logits after every step, (B, steps, K), and read nothing before its time.
        dtype: of its inputs.

    Raises:
        UsageError: which names the duty.
    """
    with duties_of(name), sealed(), torch.no_grad():
        for entry, value in (*network.named_parameters(), *network.named_buffers()):
            if nn.parameter.is_lazy(value):
                broken(f"has a lazy parameter or buffer, {entry}: give its layers all their sizes")
        if not any(parameter.requires_grad for parameter in network.parameters()):
            broken("has no parameter to train")
        for entry, value in network.state_dict().items():
            if not isinstance(value, Tensor):
                kind = type(value).__name__
                broken(f"keeps a {kind} in its state ({entry}), expected tensors alone")
            if (form := _form(value)) != "dense":
                broken(
                    f"keeps {entry} as a {form} tensor, which is not saved; expected a dense one"
                )
        ask = _Asked(network, num_classes, every_step=asks_lists and not is_stepped(network))
        device = next(network.parameters()).device
        digits = min(length - 1, MOST_DIGITS)
        batch, other = (batch.to(device, dtype) for batch in _batches(digits, input_size))
        _no_state_between_batches(ask, batch, other)
        _rows_do_not_mix(ask, batch, other)
        _are_no_probabilities(ask(batch))
        _steps_are_the_whole(ask, batch)
        _nothing_is_read_ahead(ask, batch, other)
        _gradients_reach_it(ask, batch)


def check_at_size(
    network: nn.Module,
    name: str,
    inputs: Tensor,
    other: Tensor,
    *,
    num_classes: int,
    asks_lists: bool = False,
) -> None:
    """Refuse a network that breaks a duty only at the length, or the batch size, of its run.

    Three forward passes of the whole batch, few of few rows or digits, and no gradient.

    Args:
        network: as `check_duties` left it.
        name: the cell's name, for the message.
        inputs: encoded digits (B, T - 1, D), B and T those of the run.
        other: as many that differ from them in every digit.
        num_classes: K.
        asks_lists: as in `check_duties`.

    Raises:
        UsageError: which names the duty.
    """
    row = len(inputs) // 2
    with duties_of(name), sealed(), torch.no_grad():
        ask = _Asked(network, num_classes, every_step=asks_lists and not is_stepped(network))
        # Over many digits a cell may forget what it kept of the batch before.
        for digits in sorted({min(MOST_DIGITS, inputs.shape[1]), inputs.shape[1]}):
            _row_stands_alone(ask, inputs[:, :digits], other[:, :digits], row)
        together = ask(inputs)
        _are_no_probabilities(together)
        batch = inputs[row : row + 1]
        off = apart(alone := ask(batch), together[row : row + 1], CLOSE)
        if off and not _is_chaotic(ask, batch, off):
            broken(
                f"answers a palindrome otherwise alone than among {len(inputs):,} rows (logits "
                f"{off:.2g} apart)"
            )
        if is_stepped(network):
            _steps_read_as_much(ask, batch, other[row : row + 1], alone)


def _row_stands_alone(ask: _Asked, inputs: Tensor, other: Tensor, row: int) -> None:
    """In training, a row's answer is the same in the next batch, whose other rows are others."""
    size = f"{len(inputs):,} rows of {inputs.shape[1]:,} digits"
    changed = other.clone()
    changed[row] = inputs[row]
    before, after = (ask(batch, training=True)[row] for batch in (inputs, changed))
    if off := apart(after, before, SAME):
        if apart(ask(inputs, training=True)[row], before, SAME):
            broken(
                f"answers a batch otherwise when asked again (in training mode, {size}, logits "
                f"{off:.2g} apart): it keeps a state between batches"
            )
        broken(
            f"mixes the rows of a batch (in training mode, {size}, one row's logits move by "
            f"{off:.2g} when the others change): every palindrome must be answered by itself"
        )


def _steps_read_as_much(ask: _Asked, row: Tensor, other: Tensor, alone: Tensor) -> None:
    """`forward` answers a row (1, T - 1, D) as its steps do, and reads all digits that they read.

    What was read long ago may move an answer by less than rounding does in another order. So it
    is asked too with all but the last k digits replaced, for some k: where not one bit of the
    answer moves, and that of the steps does, `forward` does not read them.
    """
    count = row.shape[1]
    kept = [k for k in dict.fromkeys(int(MOST_DIGITS * 1.15**i) for i in range(99)) if k < count]
    batch = torch.cat([row, *(torch.cat([other[:, :-k], row[:, -k:]], dim=1) for k in kept)])
    stepped = _stepped(ask.network, batch)[-1]
    off = apart(stepped[:1], alone, CLOSE)
    if off and not _is_chaotic(ask, row, off):
        broken(
            f"answers otherwise than its own steps (after {count:,} digits, logits {off:.2g} "
            f"apart): forward is another network than step and read_out"
        )
    whole = ask(batch)
    for k, answer, by_steps in zip(kept, whole[1:], stepped[1:], strict=True):
        if torch.equal(answer, whole[0]) and apart(by_steps, stepped[0], _ROUNDED):
            broken(
                f"answers otherwise than its own steps: of {count:,} digits, forward reads the "
                f"last {k:,} at most"
            )


_ROUNDED = 1e-6
"""What moves an answer in single precision by more than its last bits."""


def _is_chaotic(ask: _Asked, batch: Tensor, off: float) -> bool:
    """Whether answers move as far when the inputs do by little more than they are rounded.

    Over a thousand steps the last digit of a sum may grow to all of a logit: no fault of a cell's.
    """
    nudge = 1 + max(1e-6, 4 * torch.finfo(batch.dtype).eps)
    return off <= 10 * (ask(batch * nudge) - ask(batch)).abs().max().item()


def _form(tensor: Tensor) -> str:
    """In what form a tensor has its numbers, "dense" where it has each of them."""
    if tensor.is_meta:
        return "meta"
    if tensor.is_nested:
        return "nested"
    if tensor.is_quantized:
        return "quantized"
    return "dense" if tensor.layout == torch.strided else "sparse"


@contextlib.contextmanager
def duties_of(name: str) -> Iterator[None]:
    """Say of which cell it is that a duty is `broken` inside.

    Raises:
        UsageError: which names the cell and the duty.
    """
    try:
        yield
    except _BrokenDutyError as error:
        said = printable(str(error))
        message = f"cell {name!r} breaks a duty of a cell: it {said} (see docs/own-cell.md)"
        raise UsageError(message) from error


class _BrokenDutyError(Exception):
    """A duty that a network breaks; the text goes on from "it"."""


def broken(text: str) -> NoReturn:
    """Refuse a network; the text goes on from "it"."""
    raise _BrokenDutyError(text)


@contextlib.contextmanager
def if_it_raises(text: str) -> Iterator[None]:
    """Whatever somebody else's code may raise is a broken duty."""
    try:
        yield
    except (_BrokenDutyError, UsageError):
        raise
    except (Exception, SystemExit) as error:
        if is_a_signals(error):
            raise
        broken(f"{text}: {said_by(error)[:200]}")


class _Asked:
    """A network and what it answers; whatever it is asked, that must be finite logits (B, K).

    Where it must answer after every step, (B, steps, K).
    """

    def __init__(self, network: Any, num_classes: int, *, every_step: bool) -> None:
        self.network, self.num_classes, self.every_step = network, num_classes, every_step

    def __call__(self, inputs: Tensor, *, training: bool = False, seed: int | None = 0) -> Tensor:
        """The logits (B, K), with the generators as they are at some seed, or as they are."""
        if seed is not None:
            torch.manual_seed(seed)
            np.random.seed(seed)
            random.seed(seed)
        self.network.train(training)
        shape, expected = tuple(inputs.shape), (len(inputs), self.num_classes)
        wanted = "the last step's logits (B, K)"
        if self.every_step:
            expected = (*inputs.shape[:2], self.num_classes)
            wanted = "logits after every step, where lists are asked, (B, steps, K)"
        with if_it_raises(f"does not take inputs (B, T-1, D) = {shape}"):
            logits: object = self.network(inputs.clone())
        if not isinstance(logits, Tensor):
            broken(f"returns a {type(logits).__name__}, expected a tensor of logits (B, K)")
        if tuple(logits.shape) != expected:
            broken(
                f"returns the shape {tuple(logits.shape)} for inputs (B, T-1, D) = {shape}, "
                f"expected {wanted} = {expected}"
            )
        if logits.is_complex():
            broken("returns complex logits, expected real ones")
        if not logits.isfinite().all():
            broken("returns logits that are not finite, before any training")
        return logits


def _batches(digits: int, input_size: int) -> tuple[Tensor, Tensor]:
    """Two batches of encoded digits (B, T - 1, D) that differ in every digit."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(10, (BATCH_SIZE, digits), generator=generator)  # (B, T - 1)
    if input_size == 1:
        return drawn[..., None].float(), ((drawn + 3) % 10)[..., None].float()
    identity = torch.eye(input_size)
    return identity[drawn % input_size], identity[(drawn + 3) % input_size]


def apart(one: Tensor, other: Tensor, tolerance: float) -> float:
    """How far two answers lie apart; 0 where that is within the tolerance, or half precision's.

    What is no number in one of them alone is infinitely far from it.
    """
    if other.dtype in (torch.bfloat16, torch.float16):
        tolerance = max(tolerance, 8 * torch.finfo(other.dtype).eps)
    alike = (one == other) | (one.isnan() & other.isnan())
    gaps = (one - other).abs().masked_fill(alike, 0.0)
    off = gaps.nan_to_num(nan=math.inf, posinf=math.inf).max().item()
    largest = other.abs().nan_to_num(nan=0.0, posinf=0.0).max().item()
    return off if off > tolerance * max(1.0, largest) else 0.0


def _no_state_between_batches(ask: _Asked, batch: Tensor, other: Tensor) -> None:
    """The same batch gets the same answer, whatever was asked in between."""
    for training in (False, True):
        mode = "training" if training else "evaluation"
        first = ask(batch, training=training)
        for between in (None, other[:-1]):
            if between is not None:
                ask(between, training=training)
            if off := apart(ask(batch, training=training), first, SAME):
                broken(
                    f"answers a batch otherwise when asked again (in {mode} mode, logits "
                    f"{off:.2g} apart): it keeps a state between batches, or draws random numbers "
                    f"that torch.manual_seed does not decide"
                )
    if off := apart(ask(batch, seed=1), ask(batch, seed=2), SAME):
        broken(
            f"answers at random in evaluation mode (logits {off:.2g} apart): noise belongs where "
            f"self.training is true"
        )


def _rows_do_not_mix(ask: _Asked, batch: Tensor, other: Tensor) -> None:
    """A row's answer does not depend on the rows before it, behind it, or on its place."""
    for training in (False, True):
        mode = "training" if training else "evaluation"
        before = ask(batch, training=training)
        for row, others in ((0, slice(1, None)), (-1, slice(None, -1))):
            changed = batch.clone()
            changed[others] = other[others]
            if off := apart(ask(changed, training=training)[row], before[row], SAME):
                broken(
                    f"mixes the rows of a batch (in {mode} mode, one row's logits move by "
                    f"{off:.2g} when the others change): every palindrome must be answered by "
                    f"itself, so batch first, and no batch normalisation"
                )
    together = ask(batch)
    alone = torch.cat([ask(row[None]) for row in batch])
    if off := apart(alone, together, CLOSE):
        broken(
            f"answers a palindrome otherwise alone, or at another place of the batch (logits "
            f"{off:.2g} apart)"
        )


def _are_no_probabilities(logits: Tensor) -> None:
    """Refuse what is positive and adds up to 1 in every row."""
    sums = logits.sum(dim=-1)
    if bool((logits >= 0).all()) and apart(sums, torch.ones_like(sums), SAME) == 0:
        broken("returns probabilities, expected logits: the softmax is part of the loss")


def _steps_are_the_whole(ask: _Asked, batch: Tensor) -> None:
    """Where it can be stepped, `forward` knows after t digits what t steps know."""
    network = ask.network
    if not is_stepped(network):
        return
    stepped = _stepped(network, batch)
    for t, logits in enumerate(stepped, start=1):
        whole = ask(batch[:, :t])
        if not isinstance(logits, Tensor) or logits.shape != whole.shape:
            got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            broken(f"has a read_out that returns {got}, expected logits {tuple(whole.shape)}")
        if off := apart(whole, logits, CLOSE):
            broken(
                f"answers otherwise than its own steps (after {t} of {len(stepped)} digits, "
                f"logits {off:.2g} apart): forward reads digits before their time, or is another "
                f"network than step and read_out"
            )


def _stepped(network: Any, batch: Tensor) -> list[Any]:
    """What it reads out after each step."""
    network.eval()
    with if_it_raises(f"cannot be stepped from initial_state({len(batch)})"):
        state, stepped = network.initial_state(len(batch)), []
        for x in batch.unbind(dim=1):
            state = network.step(x, state)
            stepped.append(network.read_out(state))
    return stepped


def _nothing_is_read_ahead(ask: _Asked, batch: Tensor, other: Tensor) -> None:
    """Where it answers after every step, an answer does not depend on what is read later."""
    if not ask.every_step:
        return
    before = ask(batch)
    for t in range(1, batch.shape[1]):
        changed = torch.cat([batch[:, :t], other[:, t:]], dim=1)
        if off := apart(ask(changed)[:, :t], before[:, :t], CLOSE):
            broken(
                f"reads ahead: its answer after {t} of {batch.shape[1]} digits moves by {off:.2g} "
                f"when later ones change"
            )


def _gradients_reach_it(ask: _Asked, batch: Tensor) -> None:
    """Some parameter gets a gradient of the loss, and all that is got is finite."""
    with torch.enable_grad():
        logits = ask(batch, training=True).flatten(0, -2)
        targets = torch.arange(len(logits), device=batch.device) % ask.num_classes
        if not logits.requires_grad:
            broken("gives no parameter a gradient: its logits do not depend on any")
        with if_it_raises("cannot be differentiated"):
            nn.functional.cross_entropy(logits, targets).backward()
    found = {n: p.grad for n, p in ask.network.named_parameters() if p.grad is not None}
    for name, gradient in found.items():
        if (form := _form(gradient)) != "dense":
            broken(f"gives {name} a {form} gradient, which the optimisers do not take")
        if not gradient.isfinite().all():
            broken(f"has a gradient that is not finite, of {name}, before any training")
    if not any(gradient.any() for gradient in found.values()):
        broken("gives no parameter a gradient: all of them are zero")
