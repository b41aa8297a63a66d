"""Cells of one's own, `own_cells:Class`, each with a behaviour that a test asks for.

They are as small as a cell can be: a class that is built with three sizes and answers inputs
(B, T - 1, 10) with logits (B, 10).
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn


class Perfect(nn.Module):
    """Remembers the first digit from the start: right on every palindrome."""

    def __init__(self, input_size: int, hidden_size: int, num_classes: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(10.0))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs[:, 0] * self.scale


class Short(Perfect):
    """Remembers over 9 digits, and is certain of a wrong digit beyond."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs[:, 0] * self.scale * (1 if inputs.shape[1] <= 9 else -1)


class LastDigit(Perfect):
    """Answers with the last digit it reads, which is independent of the first from T = 3 on."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs[:, -1] * self.scale


class Still(nn.Module):
    """Answers the same to everything, and learns nothing that would help."""

    def __init__(self, input_size: int, hidden_size: int, num_classes: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(num_classes))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.logits.expand(len(inputs), -1)


class Infinite(Still):
    """Its weights are infinite: no loss is finite."""

    def __init__(self, input_size: int, hidden_size: int, num_classes: int) -> None:
        super().__init__(input_size, hidden_size, num_classes)
        nn.init.constant_(self.logits, torch.inf)


class InfiniteGradient(Still):
    """Its loss is finite, its gradient is not: the square root of 0."""

    def forward(self, inputs: Tensor) -> Tensor:
        return self.logits.sqrt().expand(len(inputs), -1)


class Failing(Still):
    """Raises what `error` holds at its third training step."""

    error: BaseException = RuntimeError("a fault of the cell's own")

    def __init__(self, input_size: int, hidden_size: int, num_classes: int) -> None:
        super().__init__(input_size, hidden_size, num_classes)
        self.steps = 0

    def forward(self, inputs: Tensor) -> Tensor:
        self.steps += torch.is_grad_enabled()
        if self.steps == 3:
            raise self.error
        return super().forward(inputs)


class Diary(Still):
    """Keeps what it was asked; the lists are of the class, and a test clears them before."""

    trained_on: ClassVar[list[Tensor]] = []
    evaluated_on: ClassVar[list[Tensor]] = []

    def forward(self, inputs: Tensor) -> Tensor:
        pages = self.trained_on if torch.is_grad_enabled() else self.evaluated_on
        pages.append(inputs.argmax(dim=2).to(torch.uint8))
        return super().forward(inputs)


class OtherDiary(Diary):
    """Another cell with the same diary."""

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs) * 2


class LastLayer(nn.Module):
    """A GRU with a linear read-out of every step, of which the last is given."""

    def __init__(self, input_size: int, hidden_size: int, num_classes: int) -> None:
        super().__init__()
        self.recurrent = nn.GRU(input_size, hidden_size, batch_first=True)
        self.out = nn.Linear(hidden_size, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.out(self.recurrent(inputs)[0])[:, -1]


class ScaledLast(LastLayer):
    """What its last layer gives is not yet the logits: which parameters read out is not shown."""

    def forward(self, inputs: Tensor) -> Tensor:
        return 2 * super().forward(inputs)


class TiedStep(LastLayer):
    """Can be stepped; its read-out shares a matrix with its step, and has a bias of its own."""

    def __init__(self, input_size: int, hidden_size: int, num_classes: int) -> None:
        super().__init__(input_size, hidden_size, num_classes)
        self.recurrent = nn.GRUCell(input_size, hidden_size)
        self.start = nn.Parameter(torch.zeros(hidden_size))

    def initial_state(self, batch_size: int) -> dict[str, tuple[Tensor, ...]]:
        return {"h": (self.start.expand(batch_size, -1),)}

    def step(
        self, x: Tensor, state: dict[str, tuple[Tensor, ...]]
    ) -> dict[str, tuple[Tensor, ...]]:
        (h,) = state["h"]
        return {"h": (self.recurrent(x + h @ self.out.weight.T, h),)}

    def read_out(self, state: dict[str, tuple[Tensor, ...]]) -> Tensor:
        return self.out(state["h"][0])

    def forward(self, inputs: Tensor) -> Tensor:
        state = self.initial_state(len(inputs))
        for x in inputs.unbind(dim=1):
            state = self.step(x, state)
        return self.read_out(state)
