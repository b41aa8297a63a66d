"""How a network of any kind is asked for its answers after several steps, readably."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from digitspan.errors import UsageError

__all__ = ["answers_of_last", "is_stepped", "state_size"]


def is_stepped(network: nn.Module) -> bool:
    """Whether a network can be asked after any step: it has initial_state, step and read_out."""
    parts = ("initial_state", "step", "read_out")
    return all(inspect.ismethod(getattr(network, part, None)) for part in parts)


def answers_of_last(network: nn.Module, inputs: Tensor, asked: int) -> Tensor:
    """The logits after each of the last A steps, shape (B, A, K).

    Args:
        network: with `initial_state`, `step` and `read_out`, or one whose `forward` answers after
            every step, (B, steps, K).
        inputs: encoded, shape (B, steps, D).
        asked: A.

    Raises:
        UsageError: where a whole network answers in another shape.
    """
    if is_stepped(network):
        cell: Any = network
        state, states = cell.initial_state(len(inputs)), []
        for x in inputs.unbind(dim=1):
            state = cell.step(x, state)
            states.append(state)
        return torch.stack([cell.read_out(state) for state in states[-asked:]], dim=1)
    whole: Tensor = network(inputs)
    if whole.dim() != 3 or whole.shape[:2] != inputs.shape[:2]:
        message = (
            f"{type(network).__name__} answers in the shape {tuple(whole.shape)} where lists are "
            f"asked; expected logits after every step, (B, steps, K) with (B, steps) = "
            f"{tuple(inputs.shape[:2])}, or a network with initial_state, step and read_out"
        )
        raise UsageError(message)
    return whole[:, -asked:]


def state_size(network: nn.Module) -> int | None:
    """How many numbers a network carries from one step to the next; None where it does not say.

    Of an LSTM that is 2 n: its hidden and its cell state.
    """
    if not is_stepped(network):
        return None
    cell: Any = network
    state = cell.initial_state(1)
    parts: tuple[Any, ...] = tuple(state) if isinstance(state, tuple | list) else (state,)
    if not all(isinstance(part, Tensor) for part in parts):
        return None
    return sum(int(part.numel()) for part in parts)
