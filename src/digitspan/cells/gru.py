"""The gated recurrent unit."""

from __future__ import annotations

from torch import Tensor, sigmoid, tanh

from digitspan.cells.recurrent import GatedNetwork, HiddenState

__all__ = ["GRU"]


class GRU(GatedNetwork[HiddenState]):
    """A network of gated recurrent units.

    r(t) = sigmoid(W_rx x(t) + W_rh h(t-1) + b_r)             reset gate
    z(t) = sigmoid(W_zx x(t) + W_zh h(t-1) + b_z)             update gate: near 1, h stays as it is
    h~(t) = tanh(W_hx x(t) + r(t) * (W_hh h(t-1)) + b_h)      candidate
    h(t) = z(t) * h(t-1) + (1 - z(t)) * h~(t)

    with h(0) = 0 and * element by element. Source: Learning Phrase Representations using RNN
    Encoder-Decoder for Statistical Machine Translation, Cho and others 2014, arXiv 1406.1078v1,
    where the reset gate acts behind the recurrent product (in v3 before it), as in torch.nn.GRU.
    Deviations: the paper has no biases, torch.nn.GRU one more inside r(t) * (...).
    """

    def __init__(self, input_size: int, hidden_size: int, num_classes: int) -> None:
        super().__init__(input_size, hidden_size, num_classes)
        self.W_rx = self.parameter(hidden_size, input_size)
        self.W_rh = self.parameter(hidden_size, hidden_size)
        self.b_r = self.parameter(hidden_size)

        self.W_zx = self.parameter(hidden_size, input_size)
        self.W_zh = self.parameter(hidden_size, hidden_size)
        self.b_z = self.parameter(hidden_size)

        self.W_hx = self.parameter(hidden_size, input_size)
        self.W_hh = self.parameter(hidden_size, hidden_size)
        self.b_h = self.parameter(hidden_size)

    def initial_state(self, batch_size: int) -> HiddenState:
        """The state before the first digit, h(0) = 0, shape (B, N)."""
        return HiddenState(self.zeros(batch_size))

    def gated_step(self, x: Tensor, state: HiddenState) -> tuple[HiddenState, dict[str, Tensor]]:
        """One time step for inputs x(t), shape (B, D), and its gates r and z, (B, N) each."""
        h = state.hidden  # (B, N)
        r = sigmoid(x @ self.W_rx.T + h @ self.W_rh.T + self.b_r)
        z = sigmoid(x @ self.W_zx.T + h @ self.W_zh.T + self.b_z)
        candidate = tanh(x @ self.W_hx.T + r * (h @ self.W_hh.T) + self.b_h)  # h~(t)
        h = z * h + (1 - z) * candidate
        return HiddenState(h), {"r": r, "z": z}
