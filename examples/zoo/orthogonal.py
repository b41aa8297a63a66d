"""The RNN with an orthogonal recurrent matrix, exp of a skew-symmetric one, and modReLU.

Cheap Orthogonal Constraints in Neural Networks, Lezcano-Casado and Martinez-Rubio 2019,
arXiv 1901.08428; the start is that of Henaff, Szlam and LeCun 2016: rotations of planes by angles
from U(-pi, pi).
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import orthogonal

from zoo.parts import Stepped


class State(NamedTuple):
    hidden: Tensor  # h(t), (B, N)


class ExpRNN(Stepped):
    def __init__(self, input_size: int, hidden_size: int, num_classes: int) -> None:
        super().__init__()
        recurrent = nn.Linear(hidden_size, hidden_size, bias=False)
        self.W_hh = orthogonal(recurrent, orthogonal_map="matrix_exp")
        self.W_hh.weight = _rotations(hidden_size)
        self.W_hx = nn.Linear(input_size, hidden_size, bias=False)
        self.bias = nn.Parameter(torch.empty(hidden_size).uniform_(-0.01, 0.01))
        self.to_logits = nn.Linear(hidden_size, num_classes)

    def initial_state(self, batch_size: int) -> State:
        return State(self.zeros(batch_size, len(self.bias)))

    def step(self, x: Tensor, state: State) -> State:
        z = self.W_hx(x) + self.W_hh(state.hidden)
        return State(z.sign() * torch.relu(z.abs() + self.bias))  # modReLU

    def read_out(self, state: State) -> Tensor:
        return self.to_logits(state.hidden)

    def forward(self, inputs: Tensor) -> Tensor:
        with parametrize.cached():  # the exponential once, not at every step
            return super().forward(inputs)


def _rotations(size: int) -> Tensor:
    angles = torch.empty(size // 2).uniform_(-math.pi, math.pi)
    skew = torch.zeros(size, size)
    even = 2 * torch.arange(size // 2)
    skew[even, even + 1] = angles
    return torch.matrix_exp(skew - skew.T)
