"""Recurrent networks that are discretised differential equations: coRNN, LEM, antisymmetric RNN.

* Coupled Oscillatory Recurrent Neural Network, Rusch and Mishra 2021, arXiv 2010.00951; the
  authors' code: tk-rusch/coRNN, network.py in sMNIST, with the defaults of sMNIST_task.py.
* Long Expressive Memory, Rusch, Mishra, Erichson and Mahoney 2022, arXiv 2110.04744; the authors'
  code: tk-rusch/LEM, network.py in src/adding, where dt = 1 (0.0242 is tuned for that task).
* AntisymmetricRNN, Chang, Chen, Haber and Chi 2019, arXiv 1902.09689, the gated form, equation
  (13), drawn as in appendix C: V from N(0, 1/d), W from N(0, 1/n), biases 0. The authors published
  no code; epsilon is one of 0.01, 0.1 and 1 there.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn, sigmoid, tanh

from zoo.parts import Stepped


class Oscillators(NamedTuple):
    y: Tensor  # positions, (B, N)
    z: Tensor  # velocities, (B, N)


class CoRNN(Stepped):
    """z(t) = z(t-1) + dt (tanh(W y(t-1) + W~ z(t-1) + V x(t) + b) - gamma y(t-1) - eps z(t-1)).

    y(t) = y(t-1) + dt z(t). The defaults are the authors' for sequential MNIST.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_classes: int,
        *,
        dt: float = 0.042,
        gamma: float = 2.7,
        epsilon: float = 4.7,
    ) -> None:
        super().__init__()
        self.dt, self.gamma, self.epsilon, self.width = dt, gamma, epsilon, hidden_size
        self.W = nn.Linear(input_size + 2 * hidden_size, hidden_size)
        self.to_logits = nn.Linear(hidden_size, num_classes)

    def initial_state(self, batch_size: int) -> Oscillators:
        zeros = self.zeros(batch_size, self.width)
        return Oscillators(zeros, zeros)

    def step(self, x: Tensor, state: Oscillators) -> Oscillators:
        y, z = state
        force = tanh(self.W(torch.cat([x, y, z], dim=1)))
        z = z + self.dt * (force - self.gamma * y - self.epsilon * z)
        return Oscillators(y + self.dt * z, z)

    def read_out(self, state: Oscillators) -> Tensor:
        return self.to_logits(state.y)


class LEM(Stepped):
    """Two states with learned time steps, dt_1 and dt_2.

    dt_k(t) = dt sigmoid(W_k y(t-1) + V_k x(t) + b_k), k = 1, 2
    z(t) = (1 - dt_1) z(t-1) + dt_1 tanh(W_z y(t-1) + V_z x(t) + b_z)
    y(t) = (1 - dt_2) y(t-1) + dt_2 tanh(W_y z(t) + V_y x(t) + b_y)
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_classes: int, *, dt: float = 1.0
    ) -> None:
        super().__init__()
        self.dt, self.width = dt, hidden_size
        self.V = nn.Linear(input_size, 4 * hidden_size)
        self.W = nn.Linear(hidden_size, 3 * hidden_size)  # with biases of their own, as theirs
        self.W_y = nn.Linear(hidden_size, hidden_size)
        for parameter in self.parameters():  # as the authors draw them
            nn.init.uniform_(parameter, -(hidden_size**-0.5), hidden_size**-0.5)
        self.to_logits = nn.Linear(hidden_size, num_classes)
        nn.init.kaiming_normal_(self.to_logits.weight)

    def initial_state(self, batch_size: int) -> Oscillators:
        zeros = self.zeros(batch_size, self.width)
        return Oscillators(zeros, zeros)

    def step(self, x: Tensor, state: Oscillators) -> Oscillators:
        y, z = state
        v_1, v_2, v_z, v_y = self.V(x).chunk(4, dim=1)
        w_1, w_2, w_z = self.W(y).chunk(3, dim=1)
        dt_1, dt_2 = self.dt * sigmoid(w_1 + v_1), self.dt * sigmoid(w_2 + v_2)
        z = (1 - dt_1) * z + dt_1 * tanh(w_z + v_z)
        y = (1 - dt_2) * y + dt_2 * tanh(self.W_y(z) + v_y)
        return Oscillators(y, z)

    def read_out(self, state: Oscillators) -> Tensor:
        return self.to_logits(state.y)


class Hidden(NamedTuple):
    hidden: Tensor  # h(t), (B, N)


class AntisymmetricRNN(Stepped):
    """h(t) = h(t-1) + eps z(t) * tanh(M h(t-1) + V x(t) + b), M = W - W^T - gamma I.

    z(t) = sigmoid(M h(t-1) + V_z x(t) + b_z).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_classes: int,
        *,
        epsilon: float = 1.0,
        gamma: float = 0.01,
    ) -> None:
        super().__init__()
        self.epsilon, self.gamma = epsilon, gamma
        self.W = nn.Parameter(torch.randn(hidden_size, hidden_size) * hidden_size**-0.5)
        self.V = nn.Linear(input_size, 2 * hidden_size)
        nn.init.normal_(self.V.weight, std=input_size**-0.5)
        nn.init.zeros_(self.V.bias)
        self.to_logits = nn.Linear(hidden_size, num_classes)

    def initial_state(self, batch_size: int) -> Hidden:
        return Hidden(self.zeros(batch_size, len(self.W)))

    def step(self, x: Tensor, state: Hidden) -> Hidden:
        h = state.hidden
        inner = h @ (self.W.T - self.W) - self.gamma * h  # M h, by rows
        v, v_z = self.V(x).chunk(2, dim=1)
        return Hidden(h + self.epsilon * sigmoid(inner + v_z) * tanh(inner + v))

    def read_out(self, state: Hidden) -> Tensor:
        return self.to_logits(state.hidden)
