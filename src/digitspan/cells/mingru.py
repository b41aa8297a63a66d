"""The minimal GRU, whose gate and candidate see the digit alone."""

from __future__ import annotations

from torch import Tensor, sigmoid

from digitspan.cells.recurrent import GatedNetwork, HiddenState

__all__ = ["MinGRU"]


class MinGRU(GatedNetwork[HiddenState]):
    """A network of minimal gated recurrent units: linear in its state.

    z(t) = sigmoid(W_zx x(t) + b_z)                   update gate: near 0, h stays as it is
    h~(t) = W_hx x(t) + b_h                           candidate
    h(t) = (1 - z(t)) * h(t-1) + z(t) * h~(t)

    with h(0) = 0 and * element by element; z has the opposite sense of the GRU's. Source: Were
    RNNs All We Needed?, Feng and others 2024, arXiv 2410.01201, where a scan computes all steps
    at once. Deviation: here it is stepped like every other cell, to the same values (it is trained
    by a scan, `digitspan.training.fused`); and it is one bare layer, where the authors stack
    residual ones (examples/zoo/mingru.py).
    """

    def __init__(self, input_size: int, hidden_size: int, num_classes: int) -> None:
        super().__init__(input_size, hidden_size, num_classes)
        self.W_zx = self.parameter(hidden_size, input_size)
        self.b_z = self.parameter(hidden_size)

        self.W_hx = self.parameter(hidden_size, input_size)
        self.b_h = self.parameter(hidden_size)

    def initial_state(self, batch_size: int) -> HiddenState:
        """The state before the first digit, h(0) = 0, shape (B, N)."""
        return HiddenState(self.zeros(batch_size))

    def gated_step(self, x: Tensor, state: HiddenState) -> tuple[HiddenState, dict[str, Tensor]]:
        """One time step for inputs x(t), shape (B, D), and its gate z, (B, N)."""
        h = state.hidden  # (B, N)
        z = sigmoid(x @ self.W_zx.T + self.b_z)
        candidate = x @ self.W_hx.T + self.b_h  # h~(t)
        h = (1 - z) * h + z * candidate
        return HiddenState(h), {"z": z}
