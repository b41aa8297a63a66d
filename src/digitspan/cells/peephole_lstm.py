"""The LSTM whose gates see the cell state."""

from __future__ import annotations

from torch import Tensor, sigmoid, tanh

from digitspan.cells.recurrent import GatedNetwork, MemoryState

__all__ = ["PeepholeLSTM"]


class PeepholeLSTM(GatedNetwork[MemoryState]):
    """An LSTM with peephole connections: i and f see c(t-1), o sees c(t), unit by unit.

    g(t) = tanh(W_gx x(t) + W_gh h(t-1) + b_g)                      candidate
    i(t) = sigmoid(W_ix x(t) + W_ih h(t-1) + p_i * c(t-1) + b_i)    input gate
    f(t) = sigmoid(W_fx x(t) + W_fh h(t-1) + p_f * c(t-1) + b_f)    forget gate
    c(t) = g(t) * i(t) + c(t-1) * f(t)
    o(t) = sigmoid(W_ox x(t) + W_oh h(t-1) + p_o * c(t) + b_o)      output gate
    h(t) = tanh(c(t)) * o(t)

    with h(0) = c(0) = 0 and * element by element. Source: Recurrent Nets that Time and Count, Gers
    and Schmidhuber 2000 (IJCNN). Deviations: one cell a memory block, and tanh on candidate and
    cell, so that it is the sheet's LSTM where p_i = p_f = p_o = 0.
    """

    def __init__(self, input_size: int, hidden_size: int, num_classes: int) -> None:
        super().__init__(input_size, hidden_size, num_classes)
        self.W_gx = self.parameter(hidden_size, input_size)
        self.W_gh = self.parameter(hidden_size, hidden_size)
        self.b_g = self.parameter(hidden_size)

        self.W_ix = self.parameter(hidden_size, input_size)
        self.W_ih = self.parameter(hidden_size, hidden_size)
        self.p_i = self.parameter(hidden_size)
        self.b_i = self.parameter(hidden_size)

        self.W_fx = self.parameter(hidden_size, input_size)
        self.W_fh = self.parameter(hidden_size, hidden_size)
        self.p_f = self.parameter(hidden_size)
        self.b_f = self.parameter(hidden_size)

        self.W_ox = self.parameter(hidden_size, input_size)
        self.W_oh = self.parameter(hidden_size, hidden_size)
        self.p_o = self.parameter(hidden_size)
        self.b_o = self.parameter(hidden_size)

    def initial_state(self, batch_size: int) -> MemoryState:
        """The state before the first digit, h(0) = c(0) = 0, shape (B, N) each."""
        return MemoryState(self.zeros(batch_size), self.zeros(batch_size))

    def gated_step(self, x: Tensor, state: MemoryState) -> tuple[MemoryState, dict[str, Tensor]]:
        """One time step for inputs x(t), shape (B, D), and its gates, (B, N) each."""
        h, c = state  # (B, N) each
        g = tanh(x @ self.W_gx.T + h @ self.W_gh.T + self.b_g)
        i = sigmoid(x @ self.W_ix.T + h @ self.W_ih.T + self.p_i * c + self.b_i)
        f = sigmoid(x @ self.W_fx.T + h @ self.W_fh.T + self.p_f * c + self.b_f)
        c = g * i + c * f
        o = sigmoid(x @ self.W_ox.T + h @ self.W_oh.T + self.p_o * c + self.b_o)
        h = tanh(c) * o
        return MemoryState(h, c), {"g": g, "i": i, "f": f, "o": o}
