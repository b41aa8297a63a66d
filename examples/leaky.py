"""A leaky RNN: h(t) = a h(t-1) + (1 - a) tanh(W_hx x(t) + W_hh h(t-1) + b_h), with a = 0.5."""

import torch
from torch import Tensor, nn


class LeakyRNN(nn.Module):
    """A cell of one's own: three sizes in, `initial_state` and `step`, logits (B, K) out."""

    def __init__(self, input_size: int, hidden_size: int, num_classes: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.in_layer = nn.Linear(input_size, hidden_size)
        self.recurrent = nn.Linear(hidden_size, hidden_size, bias=False)
        self.out = nn.Linear(hidden_size, num_classes)

    def initial_state(self, batch_size: int) -> Tensor:
        return self.out.weight.new_zeros(batch_size, self.hidden_size)

    def step(self, x: Tensor, state: Tensor) -> Tensor:
        return 0.5 * state + 0.5 * torch.tanh(self.in_layer(x) + self.recurrent(state))

    def forward(self, inputs: Tensor) -> Tensor:
        state = self.initial_state(inputs.shape[0])
        for t in range(inputs.shape[1]):
            state = self.step(inputs[:, t], state)
        return self.out(state)
