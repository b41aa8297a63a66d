"""How a network of any kind is asked for answers, and which of its parameters read them out."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from digitspan.errors import UsageError

__all__ = ["answers_of_last", "is_stepped", "read_out_of", "state_size"]


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


def read_out_of(network: nn.Module, inputs: Tensor) -> list[str]:
    """The names of the parameters of a network's read-out; none where it does not show.

    Of a network that can be stepped they are those that its logits use and its state does not. Of
    another they are those of the last layer that is called, where what that gives are the logits.

    Args:
        network: any; it is asked in evaluation mode.
        inputs: encoded, shape (B, steps, D).
    """
    network.eval()
    if is_stepped(network):
        cell: Any = network
        state = cell.step(inputs[:, 0], cell.initial_state(len(inputs)))
        in_state, in_logits = (_used(network, x) for x in (state, cell.read_out(state)))
        return [name for name in in_logits if name not in in_state]
    called: list[tuple[nn.Module, object]] = []
    layers = [layer for layer in network.modules() if list(layer.parameters(recurse=False))]
    hooks = [
        layer.register_forward_hook(lambda layer, _, output: called.append((layer, output)))
        for layer in layers
    ]
    try:
        with torch.no_grad():
            logits = network(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    last, output = called[-1] if called else (network, None)
    whole = isinstance(output, Tensor) and output.dim() == 3 and logits.dim() == 2
    output = output[:, -1] if whole and isinstance(output, Tensor) else output
    if last is network or not isinstance(output, Tensor) or not torch.equal(output, logits):
        return []
    elsewhere = {id(p) for layer in layers if layer is not last for p in layer.parameters(False)}
    its_own = {id(p) for p in last.parameters()} - elsewhere
    return [name for name, p in network.named_parameters() if id(p) in its_own]


def _used(network: nn.Module, values: Any) -> list[str]:
    """The names of the parameters that some tensors were computed with."""
    found = [x.abs().sum() for x in _tensors(values) if x.requires_grad]
    if not found:
        return []
    named = dict(network.named_parameters())
    trained = {name: p for name, p in named.items() if p.requires_grad}
    gradients = torch.autograd.grad(
        found, list(trained.values()), allow_unused=True, retain_graph=True
    )
    return [name for name, grad in zip(trained, gradients, strict=True) if grad is not None]


def _tensors(values: Any) -> Iterator[Tensor]:
    """The tensors in a state, however it is nested."""
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, dict):
        yield from _tensors(list(values.values()))
    elif isinstance(values, tuple | list):
        for value in values:
            yield from _tensors(value)


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
