"""Two layers of torch's own LSTM, with dropout between them, and two layers of IndRNN.

The IndRNN: Independently Recurrent Neural Network, Li and others 2018, arXiv 1803.04831,
h(t) = ReLU(W x(t) + u * h(t-1) + b); drawn as in the authors' Sunnydreamrain/IndRNN_pytorch,
Indrnn_plainnet.py, whose README asks for batch normalisation from three layers on. Deviation: u is
not held below a bound that follows from T, for the cell is not told T.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from zoo.parts import Stepped


class LSTMState(NamedTuple):
    hidden: Tensor  # (B, layers, N)
    cell: Tensor  # (B, layers, N)


class StackedLSTM(Stepped):
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_classes: int,
        *,
        layers: int = 2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        sizes = {"num_layers": layers, "dropout": dropout, "batch_first": True}
        self.lstm = nn.LSTM(input_size, hidden_size, **sizes)
        self.to_logits = nn.Linear(hidden_size, num_classes)

    def initial_state(self, batch_size: int) -> LSTMState:
        zeros = self.zeros(batch_size, self.lstm.num_layers, self.lstm.hidden_size)
        return LSTMState(zeros, zeros)

    def step(self, x: Tensor, state: LSTMState) -> LSTMState:
        before = tuple(part.transpose(0, 1).contiguous() for part in state)
        _, after = self.lstm(x[:, None], before)
        return LSTMState(*(part.transpose(0, 1) for part in after))

    def read_out(self, state: LSTMState) -> Tensor:
        return self.to_logits(state.hidden[:, -1])

    def forward(self, inputs: Tensor) -> Tensor:
        return self.to_logits(self.lstm(inputs)[0][:, -1])


class IndState(NamedTuple):
    first: Tensor  # h(t) of the first layer, (B, N)
    second: Tensor  # of the second, (B, N)


class IndRNN(Stepped):
    def __init__(self, input_size: int, hidden_size: int, num_classes: int) -> None:
        super().__init__()
        self.W_1 = nn.Linear(input_size, hidden_size)
        self.W_2 = nn.Linear(hidden_size, hidden_size)
        self.u_1 = nn.Parameter(torch.rand(hidden_size))
        self.u_2 = nn.Parameter(torch.rand(hidden_size))
        self.to_logits = nn.Linear(hidden_size, num_classes)
        for layer in (self.W_1, self.W_2):
            nn.init.kaiming_uniform_(layer.weight, a=8)
        nn.init.kaiming_normal_(self.to_logits.weight)
        for linear in (self.W_1, self.W_2, self.to_logits):
            nn.init.zeros_(linear.bias)

    def initial_state(self, batch_size: int) -> IndState:
        zeros = self.zeros(batch_size, len(self.u_1))
        return IndState(zeros, zeros)

    def step(self, x: Tensor, state: IndState) -> IndState:
        first = torch.relu(self.W_1(x) + self.u_1 * state.first)
        return IndState(first, torch.relu(self.W_2(first) + self.u_2 * state.second))

    def read_out(self, state: IndState) -> Tensor:
        return self.to_logits(state.second)
