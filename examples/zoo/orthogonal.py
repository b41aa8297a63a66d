"""The RNN with an orthogonal recurrent matrix, exp of a skew-symmetric one, and modReLU.

Cheap Orthogonal Constraints in Neural Networks, Lezcano-Casado and Martinez-Rubio 2019,
arXiv 1901.08428; the authors' code: Lezcano/expRNN, orthogonal.py (OrthogonalRNN, mode "static")
and 1_copying.py. The start is that of Henaff, Szlam and LeCun 2016: rotations of planes by angles
from U(-pi, pi). Deviation: the authors train the recurrent matrix at a tenth of the rate of the
others, here all have one.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from zoo.parts import Stepped


class State(NamedTuple):
    hidden: Tensor  # h(t), (B, N)


class Exponential(nn.Module):
    """exp(A - A^T), A what is above the diagonal."""

    def forward(self, skew: Tensor) -> Tensor:
        above = skew.triu(diagonal=1)
        return torch.matrix_exp(above - above.T)


class ExpRNN(Stepped):
    """h(t) = modReLU(W_hx x(t) + W_hh h(t-1)), modReLU(z) = sign(z) ReLU(|z| + b)."""

    def __init__(self, input_size: int, hidden_size: int, num_classes: int) -> None:
        super().__init__()
        self.W_hh = nn.Linear(hidden_size, hidden_size, bias=False)
        self.W_hh.weight = nn.Parameter(_plane_rotations(hidden_size))
        parametrize.register_parametrization(self.W_hh, "weight", Exponential())
        self.W_hx = nn.Linear(input_size, hidden_size, bias=False)
        nn.init.kaiming_normal_(self.W_hx.weight, nonlinearity="relu")
        self.bias = nn.Parameter(torch.empty(hidden_size).uniform_(-0.01, 0.01))
        self.to_logits = nn.Linear(hidden_size, num_classes)
        nn.init.kaiming_normal_(self.to_logits.weight, nonlinearity="relu")
        nn.init.zeros_(self.to_logits.bias)

    def initial_state(self, batch_size: int) -> State:
        return State(self.zeros(batch_size, len(self.bias)))

    def step(self, x: Tensor, state: State) -> State:
        z = self.W_hx(x) + self.W_hh(state.hidden)
        return State(z.sign() * torch.relu(z.abs() + self.bias))

    def read_out(self, state: State) -> Tensor:
        return self.to_logits(state.hidden)

    def forward(self, inputs: Tensor) -> Tensor:
        with parametrize.cached():  # the exponential once, not at every step
            return super().forward(inputs)


def _plane_rotations(size: int) -> Tensor:
    """The angle of each pair of units, above the diagonal."""
    angles = torch.zeros(size, size)
    even = 2 * torch.arange(size // 2)
    angles[even, even + 1] = torch.empty(size // 2).uniform_(-math.pi, math.pi)
    return angles
