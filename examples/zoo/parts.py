"""What the cells of the zoo share: the loop through time, and a feed-forward layer."""

from typing import Any

import torch
from torch import Tensor, nn


class Stepped(nn.Module):
    """A network that has `initial_state(batch_size)`, `step(x, state)` and `read_out(state)`."""

    initial_state: Any
    step: Any
    read_out: Any

    def forward(self, inputs: Tensor) -> Tensor:  # (B, T - 1, D), to logits (B, K)
        state = self.initial_state(len(inputs))
        for x in inputs.unbind(dim=1):
            state = self.step(x, state)
        return self.read_out(state)

    def zeros(self, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        return next(self.parameters()).new_zeros(*shape, dtype=dtype)


def feed_forward(size: int, factor: float) -> nn.Sequential:
    """Linear, GELU, linear, with an inner layer that is so many times as wide."""
    inner = int(size * factor)
    return nn.Sequential(nn.Linear(size, inner), nn.GELU(), nn.Linear(inner, size))
