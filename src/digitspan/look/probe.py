"""The trace of digits through a network: states, gates, logits, and the gradient at each step."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor, nn

from digitspan.errors import UsageError, said_by
from digitspan.runs.config import RunConfig
from digitspan.tasks import NUM_CLASSES, TASKS
from digitspan.tasks.questions import encode

__all__ = ["Trace", "held_out_rows", "trace", "trace_batch", "why_not_traced"]


class Trace(NamedTuple):
    """What happens inside a network while it reads L digits; all values in float64.

    The shapes are those of one row of digits; of a batch, B stands before each.
    """

    digits: np.ndarray
    """x(1) ... x(L), the digits read, shape (L,), int64."""
    target: np.ndarray
    """The digit that the loss asks for after the last one; a palindrome ends as it began: x(1)."""
    states: Mapping[str, np.ndarray]
    """The state after each step by its field's name, such as "hidden" and "cell", (L, N) each."""
    gates: Mapping[str, np.ndarray]
    """The gates at each step, (L, N) each; the LSTM's are g, i, f, o, equations (4) to (7)."""
    logits: np.ndarray
    """p(t) after each step, equation (2) or (10), shape (L, K)."""
    gradient_norms: Mapping[str, np.ndarray]
    """||dL/ds(t)|| for each state s, L the cross-entropy (3) after the last step; (L,) each."""

    @property
    def probabilities(self) -> np.ndarray:
        """y-hat(t) = softmax(p(t)), shape (L, K)."""
        odds = np.exp(self.logits - self.logits.max(axis=-1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=-1, keepdims=True))

    @property
    def predictions(self) -> np.ndarray:
        """The most probable digit after each step, shape (L,)."""
        return np.asarray(self.logits.argmax(axis=-1))


def trace(
    network: nn.Module,
    digits: Sequence[int] | np.ndarray,
    *,
    target: int | None = None,
    input_size: int | None = None,
) -> Trace:
    """Look inside a network while it reads some digits.

    >>> from digitspan import RunConfig
    >>> from digitspan.training.engine import build_network
    >>> network = build_network(RunConfig(cell="lstm", length=6, hidden_size=4))
    >>> seen = trace(network, [3, 1, 4, 4, 1])
    >>> int(seen.target), list(seen.states), seen.gates["f"].shape, seen.logits.shape
    (3, ['hidden', 'cell'], (5, 4), (5, 10))

    Args:
        network: with `initial_state`, `step` and `read_out`, and perhaps `gates`; it is not
            changed.
        digits: x(1) ... x(L), whole numbers from 0 to 9, shape (L,).
        target: the digit that the loss asks for; by default x(1).
        input_size: d, where the network has no `input_size` that says it.

    Raises:
        UsageError: where these are no digits, or the network cannot be looked into.
    """
    read = _checked(digits)
    asked = read[:1] if target is None else _checked([target])
    found = trace_batch(network, read[None], asked, input_size=input_size)
    return Trace(
        digits=read,
        target=asked[0],
        states={name: values[0] for name, values in found.states.items()},
        gates={name: values[0] for name, values in found.gates.items()},
        logits=found.logits[0],
        gradient_norms={name: norms[0] for name, norms in found.gradient_norms.items()},
    )


def held_out_rows(
    config: RunConfig, part: str, count: int, *, length: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Digits (B, L) and targets (B,) of some held-out questions of a run's task.

    Args:
        config: the run.
        part: "validation" or "test".
        count: B at most.
        length: T, by default the run's own.
    """
    held_out = TASKS[config.task].load().held_out
    inputs, targets = held_out(length or config.length, part).questions
    # They are sorted by target: evenly spaced ones have every target as often.
    rows = np.linspace(0, len(targets) - 1, min(count, len(targets))).round().astype(int)
    return inputs.numpy()[rows], targets.numpy()[rows]


def trace_batch(
    network: nn.Module, digits: np.ndarray, targets: np.ndarray, *, input_size: int | None = None
) -> Trace:
    """Step a float64 copy of a network through B rows of L digits, and back.

    Args:
        network: with `initial_state`, `step` and `read_out`; it is not changed.
        digits: from 0 to 9, shape (B, L).
        targets: the digits that the losses ask for, shape (B,).
        input_size: d, where the network has no `input_size` that says it.

    Raises:
        UsageError: where the network cannot be looked into.
    """
    try:
        return _traced(network, digits, targets, input_size)
    except UsageError:
        raise
    except Exception as error:  # whatever the code of somebody else may raise
        if type(network).__module__.partition(".")[0] == "digitspan":
            raise
        said = said_by(error)[:200]
        message = f"{type(network).__name__} cannot be looked into, in double precision ({said})"
        raise UsageError(message) from error


def _traced(
    network: nn.Module, digits: np.ndarray, targets: np.ndarray, input_size: int | None
) -> Trace:
    """The trace of `trace_batch`."""
    _check_network(network)
    exact: Any = copy.deepcopy(network).eval().cpu().double().requires_grad_(True)
    if input_size is None:
        input_size = exact.input_dim if hasattr(exact, "input_dim") else exact.input_size
    inputs = encode(torch.as_tensor(digits), input_size, torch.float64)  # (B, L, D)

    state = exact.initial_state(len(inputs))
    _check_state(network, state)
    state = type(state)(*(part.double() for part in state))  # torch.zeros are single ones
    states, gates, logits = [], [], []
    for t in range(inputs.shape[1]):
        gates.append(_gates(exact, inputs[:, t], state))
        state = exact.step(inputs[:, t], state)
        states.append(state)
        logits.append(exact.read_out(state))
    # The rows do not mix, so the gradient of the sum holds every row's own.
    loss = nn.functional.cross_entropy(logits[-1], torch.as_tensor(targets), reduction="sum")

    names = type(state)._fields
    nodes = [getattr(state, name) for name in names for state in states]
    gradients = torch.autograd.grad(loss, nodes, materialize_grads=True)
    norms = _stacked([gradient.norm(dim=1) for gradient in gradients])  # (B, states * L)
    return Trace(
        digits,
        targets,
        states={name: _stacked([getattr(state, name) for state in states]) for name in names},
        gates={name: _stacked([found[name] for found in gates]) for name in gates[0]},
        logits=_stacked(logits),
        gradient_norms=dict(zip(names, np.hsplit(norms, len(names)), strict=True)),
    )


def _gates(network: Any, x: Tensor, state: Any) -> Mapping[str, Tensor]:
    """The gates in this step, (B, N) each, where the network has a method that tells them."""
    # A method: a layer may well be called "gates".
    told = inspect.ismethod(getattr(network, "gates", None))
    return network.gates(x, state) if told else {}


def _stacked(steps: list[Tensor]) -> np.ndarray:
    """Tensors (B, ...), one per step, as one array (B, L, ...)."""
    return torch.stack(steps, dim=1).detach().numpy()


def _checked(digits: Sequence[int] | np.ndarray) -> np.ndarray:
    """Digits as an array (L,), int64."""
    array = np.asarray(digits)
    whole = array.ndim == 1 and array.size > 0 and np.issubdtype(array.dtype, np.integer)
    if not whole or array.min() < 0 or array.max() >= NUM_CLASSES:
        message = (
            f"digits must be one or more whole numbers from 0 to 9, such as [3, 1, 4, 1]; "
            f"got {str(digits)[:80]}"
        )
        raise UsageError(message)
    return array.astype(np.int64)


def why_not_traced(network: nn.Module, input_size: int) -> str:
    """Why a network cannot be looked into, a sentence; empty where it can."""
    try:
        trace_batch(network, np.zeros((1, 3), int), np.zeros(1, int), input_size=input_size)
    except UsageError as error:
        return str(error)
    return ""


def _check_network(network: nn.Module) -> None:
    """Refuse a network that cannot be stepped."""
    missing = [
        name for name in ("initial_state", "step", "read_out") if not hasattr(network, name)
    ]
    if missing:
        message = (
            f"{type(network).__name__} cannot be looked into: it has no {', '.join(missing)}; "
            f"a cell needs initial_state(batch_size), step(x, state) and read_out(state) for that"
        )
        raise UsageError(message)


def _check_state(network: nn.Module, state: object) -> None:
    """Refuse a network whose state has no names, or parts that are no vectors of real numbers."""
    if not hasattr(state, "_fields"):
        message = (
            f"{type(network).__name__} cannot be looked into: its state is a "
            f"{type(state).__name__}, expected a NamedTuple such as State(hidden)"
        )
        raise UsageError(message)
    for name, part in zip(state._fields, cast("Any", state), strict=True):
        if not isinstance(part, Tensor) or part.dim() != 2 or part.is_complex():
            got = tuple(part.shape) if isinstance(part, Tensor) else type(part).__name__
            message = (
                f"{type(network).__name__} cannot be looked into: its state's {name} is a "
                f"{got}, expected a real tensor (B, N)"
            )
            raise UsageError(message)
