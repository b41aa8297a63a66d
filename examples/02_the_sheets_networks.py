"""The sheet's LSTM by itself, one step at a time: python examples/02_the_sheets_networks.py"""

import torch

from digitspan.part1.lstm import LSTM

torch.manual_seed(0)
network = LSTM(seq_length=4, input_dim=10, num_hidden=16, num_classes=10)
digits = torch.tensor([[3, 1, 4, 1]])  # the palindrome would end in 3: 3 1 4 1 3
inputs = torch.eye(10)[digits]  # one-hot, shape (B, T - 1, D)

state = network.initial_state(batch_size=1)
for t in range(inputs.shape[1]):
    state = network.step(inputs[:, t], state)  # equations (4) to (9)
    probabilities = network.read_out(state).softmax(dim=1)  # equations (10) and (11)
    print(f"after digit {digits[0, t]}: answer {probabilities.argmax()}, untrained")

assert torch.equal(network.read_out(state), network(inputs))
