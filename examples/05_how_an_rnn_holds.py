"""What a vanilla RNN does to hold a digit: python examples/05_how_an_rnn_holds.py [T]"""

import sys

import torch

from digitspan import RunConfig, train
from digitspan.tasks.palindrome import very_long
from digitspan.tasks.questions import encode
from digitspan.training.engine import load_network

config = RunConfig(
    cell="rnn",
    length=int(sys.argv[1]) if len(sys.argv) > 1 else 1_000,
    initialisation="identity",
    optimizer="adam",
    max_grad_norm=0.01,
    hidden_size=64,
    batch_size=64,
    curriculum=True,  # the length grows while it trains
)
finished = train(config)
record = finished.record
print(f"{config.run_id}: {record.end_state} at step {record.steps}, right: {record.accuracy:.3f}")

network = load_network(config, finished.weights)
moduli = torch.linalg.eigvals(network.W_hh.detach()).abs()  # at the start they are all 1
print(f"eigenvalues of W_hh: {int((moduli > 1).sum())} of 64 beyond 1, up to {moduli.max():.2f}")

digits = very_long(config.length, 100, 0, config.length - 1)  # 100 palindromes, the answer cut off
state = network.initial_state(batch_size=100)
hidden = []
for x in encode(digits, 10).unbind(dim=1):
    state = network.step(x, state)  # equation (1)
    hidden.append(state.hidden)
late = torch.stack(hidden[config.length // 2 :])  # (steps, B, N)
changes = (late[1:].sign() != late[:-1].sign()).any(dim=0).double().mean()
print(f"in the second half {(late.abs() > 0.9).double().mean():.0%} of h is beyond 0.9 in size")
print(f"and {changes:.0%} of the units change sign")
