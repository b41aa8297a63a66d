"""The vanilla recurrent network of the exercise sheet, equations (1) and (2)."""

from __future__ import annotations

import math
from typing import Callable, NamedTuple

import torch
from torch import nn

__all__ = ["RNNState", "VanillaRNN", "uniform"]


class RNNState(NamedTuple):
    """What the network carries from one step to the next."""

    hidden: torch.Tensor
    """h^(t), shape (B, N)."""


def uniform(network: VanillaRNN, generator: torch.Generator | None = None) -> None:
    """Fill every weight and bias from U(-1/sqrt(n), 1/sqrt(n)), as torch.nn.RNN starts."""
    bound = 1 / math.sqrt(network.num_hidden)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.uniform_(-bound, bound, generator=generator)


class VanillaRNN(nn.Module):
    """A vanilla RNN that reads a sequence of digits and predicts the one that follows.

    h(t) = tanh(W_hx x(t) + W_hh h(t-1) + b_h)      (1)
    p(t) = W_ph h(t) + b_p                          (2)

    with h(0) = h_init = 0. The softmax of y-hat = softmax(p) is not applied here: the
    cross-entropy (3) contains it.

    Args:
        seq_length: the number of digits read; not used: any length is accepted.
        input_dim: d, the size of one input: 1 for digits as numbers, 10 for one-hot digits.
        num_hidden: n, the number of hidden units.
        num_classes: K, the number of classes.
        batch_size: not used: any batch size is accepted.
        device: where the parameters are kept.
        initialisation: a function `(network, generator)` that fills the parameters in place;
            by default U(-1/sqrt(n), 1/sqrt(n)) for all of them.
        generator: the torch.Generator to draw them from, by default torch's global one.
    """

    def __init__(
        self,
        seq_length: int,
        input_dim: int,
        num_hidden: int,
        num_classes: int,
        batch_size: int | None = None,
        device: str | torch.device = "cpu",
        initialisation: Callable[[VanillaRNN, torch.Generator | None], None] = uniform,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.input_dim = input_dim
        self.num_hidden = num_hidden

        self.W_hx = nn.Parameter(torch.empty(num_hidden, input_dim, device=device))
        self.W_hh = nn.Parameter(torch.empty(num_hidden, num_hidden, device=device))
        self.b_h = nn.Parameter(torch.empty(num_hidden, device=device))

        self.W_ph = nn.Parameter(torch.empty(num_classes, num_hidden, device=device))
        self.b_p = nn.Parameter(torch.empty(num_classes, device=device))

        initialisation(self, generator)

    def initial_state(self, batch_size: int) -> RNNState:
        """The state before the first digit, h_init = 0, shape (B, N)."""
        return RNNState(self.W_hh.new_zeros(batch_size, self.num_hidden))

    def step(self, x: torch.Tensor, state: RNNState) -> RNNState:
        """One time step: equation (1) for inputs x(t), shape (B, D)."""
        h = state.hidden                                               # (B, N)
        h = torch.tanh(x @ self.W_hx.T + h @ self.W_hh.T + self.b_h)   # (1)
        return RNNState(h)

    def read_out(self, state: RNNState) -> torch.Tensor:
        """The logits p(t), shape (B, K): equation (2)."""
        h = state.hidden                                               # (B, N)
        p = h @ self.W_ph.T + self.b_p                                 # (2)
        return p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The logits after the last step, shape (B, K).

        Args:
            x: digits, shape (B, T - 1), or encoded inputs, shape (B, T - 1, D).
        """
        if x.dim() == 2:
            # A number is its own encoding where d = 1; otherwise digit k is row k of the identity.
            x = x.unsqueeze(-1) if self.input_dim == 1 else torch.eye(self.input_dim)[x.long()]
        x = x.to(self.W_hx)
        state = self.initial_state(x.shape[0])
        for t in range(x.shape[1]):
            state = self.step(x[:, t], state)
        return self.read_out(state)
