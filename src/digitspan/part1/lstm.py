"""The long short-term memory network of the exercise sheet, equations (4) to (10)."""

from __future__ import annotations

import math
from typing import Callable, NamedTuple

import torch
from torch import nn

__all__ = ["LSTM", "LSTMState", "uniform"]


class LSTMState(NamedTuple):
    """What the network carries from one step to the next."""

    hidden: torch.Tensor
    """h^(t), shape (B, N)."""
    cell: torch.Tensor
    """c^(t), shape (B, N)."""


def uniform(network: LSTM, generator: torch.Generator | None = None) -> None:
    """Fill every weight and bias from U(-1/sqrt(n), 1/sqrt(n)), as torch.nn.LSTM starts."""
    bound = 1 / math.sqrt(network.num_hidden)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.uniform_(-bound, bound, generator=generator)


class LSTM(nn.Module):
    """An LSTM that reads a sequence of digits and predicts the one that follows.

    g(t) = tanh(W_gx x(t) + W_gh h(t-1) + b_g)          (4)   input modulation gate, the candidate
    i(t) = sigmoid(W_ix x(t) + W_ih h(t-1) + b_i)       (5)   input gate
    f(t) = sigmoid(W_fx x(t) + W_fh h(t-1) + b_f)       (6)   forget gate
    o(t) = sigmoid(W_ox x(t) + W_oh h(t-1) + b_o)       (7)   output gate
    c(t) = g(t) * i(t) + c(t-1) * f(t)                  (8)
    h(t) = tanh(c(t)) * o(t)                            (9)
    p(t) = W_ph h(t) + b_p                              (10)

    with h(0) = c(0) = 0 and * element by element. The softmax of y-hat = softmax(p), equation
    (11), is not applied here: the cross-entropy (3) contains it.

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
        initialisation: Callable[[LSTM, torch.Generator | None], None] = uniform,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.input_dim = input_dim
        self.num_hidden = num_hidden

        self.W_gx = nn.Parameter(torch.empty(num_hidden, input_dim, device=device))
        self.W_gh = nn.Parameter(torch.empty(num_hidden, num_hidden, device=device))
        self.b_g = nn.Parameter(torch.empty(num_hidden, device=device))

        self.W_ix = nn.Parameter(torch.empty(num_hidden, input_dim, device=device))
        self.W_ih = nn.Parameter(torch.empty(num_hidden, num_hidden, device=device))
        self.b_i = nn.Parameter(torch.empty(num_hidden, device=device))

        self.W_fx = nn.Parameter(torch.empty(num_hidden, input_dim, device=device))
        self.W_fh = nn.Parameter(torch.empty(num_hidden, num_hidden, device=device))
        self.b_f = nn.Parameter(torch.empty(num_hidden, device=device))

        self.W_ox = nn.Parameter(torch.empty(num_hidden, input_dim, device=device))
        self.W_oh = nn.Parameter(torch.empty(num_hidden, num_hidden, device=device))
        self.b_o = nn.Parameter(torch.empty(num_hidden, device=device))

        self.W_ph = nn.Parameter(torch.empty(num_classes, num_hidden, device=device))
        self.b_p = nn.Parameter(torch.empty(num_classes, device=device))

        initialisation(self, generator)

    def initial_state(self, batch_size: int) -> LSTMState:
        """The state before the first digit, h_init = c_init = 0, shape (B, N) each."""
        zeros = self.W_gh.new_zeros(batch_size, self.num_hidden)
        return LSTMState(zeros, zeros)

    def gates(self, x: torch.Tensor, state: LSTMState) -> dict[str, torch.Tensor]:
        """The gates that read x(t), shape (B, D), by symbol, (B, N) each: equations (4) to (7)."""
        h = state.hidden                                                   # (B, N)
        g = torch.tanh(x @ self.W_gx.T + h @ self.W_gh.T + self.b_g)       # (4)
        i = torch.sigmoid(x @ self.W_ix.T + h @ self.W_ih.T + self.b_i)    # (5)
        f = torch.sigmoid(x @ self.W_fx.T + h @ self.W_fh.T + self.b_f)    # (6)
        o = torch.sigmoid(x @ self.W_ox.T + h @ self.W_oh.T + self.b_o)    # (7)
        return {"g": g, "i": i, "f": f, "o": o}

    def step(self, x: torch.Tensor, state: LSTMState) -> LSTMState:
        """One time step: equations (4) to (9) for inputs x(t), shape (B, D)."""
        c = state.cell                                                     # (B, N)
        g, i, f, o = self.gates(x, state).values()
        c = g * i + c * f                                                  # (8)
        h = torch.tanh(c) * o                                              # (9)
        return LSTMState(h, c)

    def read_out(self, state: LSTMState) -> torch.Tensor:
        """The logits p(t), shape (B, K): equation (10)."""
        h = state.hidden                                                   # (B, N)
        p = h @ self.W_ph.T + self.b_p                                     # (10)
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
        x = x.to(self.W_gx)
        state = self.initial_state(x.shape[0])
        for t in range(x.shape[1]):
            state = self.step(x[:, t], state)
        return self.read_out(state)
