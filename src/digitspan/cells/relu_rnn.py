"""The vanilla recurrent network with ReLU in place of tanh; initialised by the identity, IRNN."""

from __future__ import annotations

from torch import Tensor, relu

from digitspan.cells.recurrent import HiddenState, RecurrentNetwork

__all__ = ["ReLURNN"]


class ReLURNN(RecurrentNetwork[HiddenState]):
    """A recurrent network of rectified linear units.

    h(t) = max(0, W_hx x(t) + W_hh h(t-1) + b_h)

    with h(0) = 0. Source: A Simple Way to Initialize Recurrent Networks of Rectified Linear Units,
    Le, Jaitly and Hinton 2015, arXiv 1504.00941, whose IRNN is this network initialised by
    "identity", W_hh = I and b_h = 0. Deviation: there the other weights start from a Gaussian.
    """

    def __init__(self, input_size: int, hidden_size: int, num_classes: int) -> None:
        super().__init__(input_size, hidden_size, num_classes)
        self.W_hx = self.parameter(hidden_size, input_size)
        self.W_hh = self.parameter(hidden_size, hidden_size)
        self.b_h = self.parameter(hidden_size)

    def initial_state(self, batch_size: int) -> HiddenState:
        """The state before the first digit, h(0) = 0, shape (B, N)."""
        return HiddenState(self.zeros(batch_size))

    def step(self, x: Tensor, state: HiddenState) -> HiddenState:
        """One time step for inputs x(t), shape (B, D)."""
        h = state.hidden  # (B, N)
        h = relu(x @ self.W_hx.T + h @ self.W_hh.T + self.b_h)
        return HiddenState(h)
