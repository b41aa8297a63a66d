"""A leaky RNN: h(t) = 0.5 h(t-1) + 0.5 tanh(W_hx x(t) + W_hh h(t-1) + b_h)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class State(NamedTuple):
    hidden: Tensor  # h(t), (B, N)


class LeakyRNN(nn.Module):
    def __init__(self, input_size: int, hidden_size: int, num_classes: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.W_hx = nn.Linear(input_size, hidden_size)
        self.W_hh = nn.Linear(hidden_size, hidden_size, bias=False)
        self.W_ph = nn.Linear(hidden_size, num_classes)

    def initial_state(self, batch_size: int) -> State:
        return State(self.W_ph.weight.new_zeros(batch_size, self.hidden_size))

    def step(self, x: Tensor, state: State) -> State:
        h = state.hidden
        return State(0.5 * h + 0.5 * torch.tanh(self.W_hx(x) + self.W_hh(h)))

    def read_out(self, state: State) -> Tensor:
        return self.W_ph(state.hidden)

    def forward(self, inputs: Tensor) -> Tensor:  # (B, T - 1, D), to logits (B, K)
        state = self.initial_state(len(inputs))
        for x in inputs.unbind(dim=1):
            state = self.step(x, state)
        return self.read_out(state)
