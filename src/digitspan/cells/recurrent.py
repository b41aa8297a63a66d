"""What recurrent cells share: initialisation, the loop through time, and the read-out."""

from __future__ import annotations

import abc
import math
from typing import Generic, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor, nn

__all__ = ["GatedNetwork", "HiddenState", "MemoryState", "RecurrentNetwork"]


class HiddenState(NamedTuple):
    """What a network with one state carries from one step to the next."""

    hidden: Tensor
    """h(t), shape (B, N)."""


class MemoryState(NamedTuple):
    """What a network with memory cells carries from one step to the next."""

    hidden: Tensor
    """h(t), shape (B, N)."""
    cell: Tensor
    """c(t), shape (B, N)."""


class _HasHidden(Protocol):
    """A state whose hidden part is read out."""

    @property
    def hidden(self) -> Tensor:
        """h(t), shape (B, N)."""


S = TypeVar("S", bound=_HasHidden)


class RecurrentNetwork(nn.Module, abc.ABC, Generic[S]):
    """A network that reads a sequence of digits step by step and predicts the one that follows.

    p(t) = W_ph h(t) + b_p

    after the last step; how h(t) follows from x(t) and the state before is the subclass's own. The
    softmax is not applied here: the cross-entropy contains it.

    Args:
        input_size: d, the size of one encoded digit.
        hidden_size: n, the number of units.
        num_classes: K, the number of classes.
    """

    def __init__(self, input_size: int, hidden_size: int, num_classes: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.W_ph = self.parameter(num_classes, hidden_size)
        self.b_p = self.parameter(num_classes)

    def parameter(self, *shape: int) -> nn.Parameter:
        """A parameter of this shape from U(-1/sqrt(n), 1/sqrt(n)), as torch's networks start."""
        bound = 1 / math.sqrt(self.hidden_size)
        return nn.Parameter(torch.empty(shape).uniform_(-bound, bound))

    def zeros(self, batch_size: int) -> Tensor:
        """The usual first state, shape (B, N), with the parameters' type and device."""
        return self.W_ph.new_zeros(batch_size, self.hidden_size)

    @abc.abstractmethod
    def initial_state(self, batch_size: int) -> S:
        """The state before the first digit, (B, N) each."""

    @abc.abstractmethod
    def step(self, x: Tensor, state: S) -> S:
        """One time step for inputs x(t), shape (B, D)."""

    def read_out(self, state: S) -> Tensor:
        """The logits p(t), shape (B, K)."""
        return state.hidden @ self.W_ph.T + self.b_p

    def forward(self, inputs: Tensor) -> Tensor:
        """The logits after the last step, shape (B, K), for encoded digits (B, T - 1, D)."""
        state = self.initial_state(len(inputs))
        for x in inputs.unbind(dim=1):
            state = self.step(x, state)
        return self.read_out(state)


class GatedNetwork(RecurrentNetwork[S]):
    """A recurrent network whose gates can be looked at."""

    @abc.abstractmethod
    def gated_step(self, x: Tensor, state: S) -> tuple[S, dict[str, Tensor]]:
        """One time step for inputs x(t), shape (B, D), and the gates in it, (B, N) each."""

    def step(self, x: Tensor, state: S) -> S:
        """One time step for inputs x(t), shape (B, D)."""
        return self.gated_step(x, state)[0]

    def gates(self, x: Tensor, state: S) -> dict[str, Tensor]:
        """The gates in the step that reads x(t), by their symbols, (B, N) each."""
        return self.gated_step(x, state)[1]
