"""What every task asks in: sequences of digits with their answers, and how a digit is fed in."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from digitspan.tasks import SILENT

__all__ = ["HeldOut", "Questions", "encode"]


class Questions(NamedTuple):
    """Sequences as a network is asked about them."""

    inputs: Tensor
    """The digits that go in, shape (B, T - 1), uint8; in a list's silent steps, `SILENT`."""
    targets: Tensor
    """The digit to answer after the last step, shape (B,), int64; or, where lists are asked, those
    to answer after each of the last L steps, (B, L)."""

    @property
    def asked(self) -> int | None:
        """L, the last steps after which an answer is asked; None where one digit alone is."""
        return self.targets.shape[1] if self.targets.dim() > 1 else None


class HeldOut(NamedTuple):
    """A fixed part of all sequences of one length, the same for every network."""

    questions: Questions
    """What is asked, every answer equally often."""
    exhaustive: bool
    """Whether these are all that belong to the part: then there is no sampling error."""


def encode(digits: Tensor, input_size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Digits (B, T) as inputs (B, T, D): one-hot where D > 1, the number itself where D = 1.

    As a number, a silent step is -1.
    """
    if input_size == 1:
        return digits.unsqueeze(-1).to(dtype).masked_fill_(digits.unsqueeze(-1) == SILENT, -1)
    # Rows of the identity: `one_hot` first looks for the largest digit, and takes three times as
    # long.
    rows = torch.eye(input_size, dtype=dtype, device=digits.device)
    return torch.nn.functional.embedding(digits.long(), rows)
