"""The gated recurrent unit, for sheets that ask for it in the LSTM's place: (4) to (8)."""

from __future__ import annotations

import math
from typing import Callable, NamedTuple

import torch
from torch import nn

__all__ = ["GRU", "GRUState", "uniform"]


class GRUState(NamedTuple):
    """What the network carries from one step to the next."""

    hidden: torch.Tensor
    """h^(t), shape (B, N)."""


def uniform(network: GRU, generator: torch.Generator | None = None) -> None:
    """Fill every weight and bias from U(-1/sqrt(n), 1/sqrt(n)), as torch.nn.GRU starts."""
    bound = 1 / math.sqrt(network.num_hidden)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.uniform_(-bound, bound, generator=generator)


class GRU(nn.Module):
    """A GRU that reads a sequence of digits and predicts the one that follows.

    r(t) = sigmoid(W_rx x(t) + W_rh h(t-1) + b_r)                (4)   reset gate
    z(t) = sigmoid(W_zx x(t) + W_zh h(t-1) + b_z)                (5)   update gate: 1 keeps
    k(t) = tanh(W_hx x(t) + r(t) * (W_hh h(t-1)) + b_h)          (6)   the candidate, h~(t)
    h(t) = z(t) * h(t-1) + (1 - z(t)) * k(t)                     (7)
    p(t) = W_ph h(t) + b_p                                       (8)

    with h(0) = 0 and * element by element. The softmax of y-hat = softmax(p), equation (9), is not
    applied here: the cross-entropy (3) contains it. Its parameters have the names that they have
    in `digitspan.cells.gru`.

    Args:
        seq_length: the number of digits read; not used: any length is accepted.
        input_dim: d, the size of one input: 1 for digits as numbers, 10 for one-hot digits.
        num_hidden: n, the number of units.
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
        initialisation: Callable[[GRU, torch.Generator | None], None] = uniform,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.input_dim = input_dim
        self.num_hidden = num_hidden

        self.W_rx = nn.Parameter(torch.empty(num_hidden, input_dim, device=device))
        self.W_rh = nn.Parameter(torch.empty(num_hidden, num_hidden, device=device))
        self.b_r = nn.Parameter(torch.empty(num_hidden, device=device))

        self.W_zx = nn.Parameter(torch.empty(num_hidden, input_dim, device=device))
        self.W_zh = nn.Parameter(torch.empty(num_hidden, num_hidden, device=device))
        self.b_z = nn.Parameter(torch.empty(num_hidden, device=device))

        self.W_hx = nn.Parameter(torch.empty(num_hidden, input_dim, device=device))
        self.W_hh = nn.Parameter(torch.empty(num_hidden, num_hidden, device=device))
        self.b_h = nn.Parameter(torch.empty(num_hidden, device=device))

        self.W_ph = nn.Parameter(torch.empty(num_classes, num_hidden, device=device))
        self.b_p = nn.Parameter(torch.empty(num_classes, device=device))

        initialisation(self, generator)

    def initial_state(self, batch_size: int) -> GRUState:
        """The state before the first digit, h_init = 0, shape (B, N)."""
        return GRUState(self.W_hh.new_zeros(batch_size, self.num_hidden))

    def gates(self, x: torch.Tensor, state: GRUState) -> dict[str, torch.Tensor]:
        """The gates that read x(t), shape (B, D), and the candidate, (B, N) each: (4) to (6)."""
        h = state.hidden                                                       # (B, N)
        r = torch.sigmoid(x @ self.W_rx.T + h @ self.W_rh.T + self.b_r)        # (4)
        z = torch.sigmoid(x @ self.W_zx.T + h @ self.W_zh.T + self.b_z)        # (5)
        k = torch.tanh(x @ self.W_hx.T + r * (h @ self.W_hh.T) + self.b_h)     # (6)
        return {"r": r, "z": z, "k": k}

    def step(self, x: torch.Tensor, state: GRUState) -> GRUState:
        """One time step: equations (4) to (7) for inputs x(t), shape (B, D)."""
        h = state.hidden                                                       # (B, N)
        _, z, k = self.gates(x, state).values()
        h = z * h + (1 - z) * k                                                # (7)
        return GRUState(h)

    def read_out(self, state: GRUState) -> torch.Tensor:
        """The logits p(t), shape (B, K): equation (8)."""
        h = state.hidden                                                       # (B, N)
        p = h @ self.W_ph.T + self.b_p                                         # (8)
        return p

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The logits after the last step, shape (B, K).

        Args:
            x: digits, shape (B, T - 1), or encoded inputs, shape (B, T - 1, D).
        """
        if x.dim() == 2:
            # A number is its own encoding where d = 1; otherwise digit k is row k of the identity.
            identity = torch.eye(self.input_dim, device=x.device)
            x = x.unsqueeze(-1) if self.input_dim == 1 else identity[x.long()]
        x = x.to(self.W_hx)
        state = self.initial_state(x.shape[0])
        for t in range(x.shape[1]):
            state = self.step(x[:, t], state)
        return self.read_out(state)
