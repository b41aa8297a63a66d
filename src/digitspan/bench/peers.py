"""The peers of the benchmark: torch's own networks, the readable loop, the template."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from digitspan.tasks.questions import Questions

__all__ = [
    "TORCHS_OWN",
    "OwnRNN",
    "Step",
    "TemplateDataset",
    "TorchNetwork",
    "autograd_step",
    "template_batches",
]

Step = Callable[[Tensor, Tensor], float]
"""A training step on encoded inputs (B, T - 1, D) and targets (B,); it gives the loss."""


class TorchNetwork(nn.Module):
    """A network of torch's own with a linear read-out of the last state; see `TORCHS_OWN`."""

    def __init__(self, cell: str, hidden_size: int = 128, input_size: int = 10) -> None:
        super().__init__()
        kind: Any = {"lstm": nn.LSTM, "peephole-lstm": nn.LSTM, "gru": nn.GRU}.get(cell, nn.RNN)
        more = {"nonlinearity": "relu"} if cell == "relu-rnn" else {}
        self.recurrent = kind(input_size, hidden_size, batch_first=True, **more)
        self.read_out = nn.Linear(hidden_size, 10)

    def forward(self, inputs: Tensor) -> Tensor:
        """The last step's logits, shape (B, K), for inputs (B, T - 1, D)."""
        logits: Tensor = self.read_out(self.recurrent(inputs)[0][:, -1])
        return logits


TORCHS_OWN = {
    "rnn": "torch.nn.RNN",
    "relu-rnn": "torch.nn.RNN with ReLU",
    "lstm": "torch.nn.LSTM",
    "peephole-lstm": "torch.nn.LSTM, which has no peepholes",
    "gru": "torch.nn.GRU",
}
"""What torch has that is the nearest to each cell; it has no minimal GRU."""


class OwnRNN(nn.Module):
    """A cell as somebody may write one, to be trained by autograd."""

    def __init__(self, input_size: int, hidden_size: int, num_classes: int) -> None:
        super().__init__()
        self.cell = nn.RNNCell(input_size, hidden_size)
        self.linear = nn.Linear(hidden_size, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """The last step's logits, shape (B, K), for inputs (B, T - 1, D)."""
        state = inputs.new_zeros(len(inputs), self.cell.hidden_size)
        for x in inputs.unbind(dim=1):
            state = self.cell(x, state)
        logits: Tensor = self.linear(state)
        return logits


def autograd_step(
    network: nn.Module,
    optimizer_name: str = "rmsprop",
    learning_rate: float = 1e-3,
    *,
    bfloat16: bool = False,
) -> Step:
    """A training step as everybody writes it: autograd, clipping to 10, torch's own optimiser."""
    parameters = list(network.parameters())
    kind = {"rmsprop": torch.optim.RMSprop, "adam": torch.optim.Adam}[optimizer_name]
    optimizer: torch.optim.Optimizer = kind(parameters, lr=learning_rate)

    def step(inputs: Tensor, targets: Tensor) -> float:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            logits = network(inputs).float()
        loss = nn.functional.cross_entropy(logits, targets)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 10.0)
        optimizer.step()
        return loss.item()

    return step


class TemplateDataset(Dataset):  # type: ignore[type-arg]  # not generic in old torch
    """Palindromes as the course's template makes them: one at a time, digit by digit, in NumPy."""

    def __init__(self, length: int) -> None:
        self._length = length

    def __len__(self) -> int:
        return 10**9

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        half = [np.random.randint(0, 10) for _ in range(math.ceil(self._length / 2))]
        left = np.asarray(half, dtype=np.float32)
        right = np.flip(left if self._length % 2 == 0 else left[:-1], 0)
        digits = np.concatenate((left, right))
        return digits[:-1], int(digits[-1])


def template_batches(length: int, batch_size: int = 128) -> Iterator[Questions]:
    """Batches through the template's DataLoader.

    In this process, so that the work is seen: the template has one worker process do it.
    """
    for inputs, targets in DataLoader(TemplateDataset(length), batch_size):
        yield Questions(inputs, targets)
