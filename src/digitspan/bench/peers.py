"""The peers of the benchmark: torch's own networks, the readable loop, the template."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from digitspan.tasks.questions import Questions

__all__ = ["Step", "TemplateDataset", "TorchNetwork", "autograd_step", "template_batches"]

Step = Callable[[Tensor, Tensor], float]
"""A training step on encoded inputs (B, T - 1, D) and targets (B,); it gives the loss."""


class TorchNetwork(nn.Module):
    """`torch.nn.LSTM` or `torch.nn.RNN` with a linear read-out of the last state."""

    def __init__(self, cell: str, hidden_size: int = 128, input_size: int = 10) -> None:
        super().__init__()
        kind = {"lstm": nn.LSTM, "rnn": nn.RNN}[cell]
        self.recurrent = kind(input_size, hidden_size, batch_first=True)
        self.read_out = nn.Linear(hidden_size, 10)

    def forward(self, inputs: Tensor) -> Tensor:
        """The last step's logits, shape (B, K), for inputs (B, T - 1, D)."""
        logits: Tensor = self.read_out(self.recurrent(inputs)[0][:, -1])
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
