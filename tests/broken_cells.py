"""Cells of one's own, `broken_cells:Class`, each of which breaks one duty, and honest odd ones."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

__all__ = ["BROKEN", "HONEST"]


class Whole(nn.Module):
    """Honest: a whole module with a GRU of torch's inside."""

    def __init__(self, input_size: int, hidden_size: int, num_classes: int) -> None:
        super().__init__()
        self.sizes = input_size, hidden_size, num_classes
        self.recurrence = nn.GRU(input_size, hidden_size, batch_first=True)
        self.out = nn.Linear(hidden_size, num_classes)

    def states(self, inputs: Tensor) -> Tensor:
        return self.recurrence(inputs)[0]

    def forward(self, inputs: Tensor) -> Tensor:
        return self.out(self.states(inputs)[:, -1])


class State(NamedTuple):
    hidden: Tensor


class Stepped(Whole):
    """Honest: the same, step by step."""

    def initial_state(self, batch_size: int) -> State:
        return State(self.out.weight.new_zeros(batch_size, self.sizes[1]))

    def step(self, x: Tensor, state: State) -> State:
        return State(self.recurrence(x[:, None], state.hidden[None])[1][0])

    def read_out(self, state: State) -> Tensor:
        return self.out(state.hidden)


class Noisy(Whole):
    """Honest: dropout in training, which torch's generator decides."""

    def states(self, inputs: Tensor) -> Tensor:
        return nn.functional.dropout(super().states(inputs), 0.5, self.training)


class LayerNormed(Whole):
    """Honest: normalises each row by itself."""

    def states(self, inputs: Tensor) -> Tensor:
        return nn.functional.layer_norm(super().states(inputs), self.sizes[1:2])


class Counting(Whole):
    """Honest: it counts its calls, and no answer depends on that."""

    def forward(self, inputs: Tensor) -> Tensor:
        self.register_buffer("calls", getattr(self, "calls", torch.zeros(())) + 1)
        return super().forward(inputs)


class PartlyUnused(Whole):
    """Honest, if odd: one of its layers is not used."""

    def __init__(self, *sizes: int, **named: int) -> None:
        super().__init__(*sizes, **named)
        self.unused = nn.Linear(2, 2)


class InPlace(Whole):
    """Honest: it overwrites the inputs that it was given."""

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs.mul_(0.5))


class TakesNoBatch(Whole):
    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs.reshape(-1, 3, 5))


class ReturnsTuple(Whole):
    def forward(self, inputs: Tensor) -> tuple[Tensor, None]:
        return super().forward(inputs), None


class EveryStep(Whole):
    def forward(self, inputs: Tensor) -> Tensor:
        return self.out(self.states(inputs))


class Squeezed(Whole):
    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs).squeeze()


class HiddenInstead(Whole):
    def forward(self, inputs: Tensor) -> Tensor:
        return self.states(inputs)[:, -1]


class NotFinite(Whole):
    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs) / 0


class KeepsState(Whole):
    def states(self, inputs: Tensor) -> Tensor:
        before = getattr(self, "kept", None)
        states, self.kept = self.recurrence(inputs, before)
        return states


class KeepsStateInTraining(KeepsState):
    def states(self, inputs: Tensor) -> Tensor:
        if self.training and inputs.shape[0] == 5:
            return super().states(inputs)
        return self.recurrence(inputs)[0]


class KeepsAverage(Whole):
    """As batch normalisation in evaluation: what came before shifts the answer."""

    mean = 0.0

    def forward(self, inputs: Tensor) -> Tensor:
        self.mean = 0.9 * self.mean + 0.1 * inputs[0].mean().item()
        return super().forward(inputs) - self.mean


class OwnDice(Whole):
    def __init__(self, *sizes: int, **named: int) -> None:
        super().__init__(*sizes, **named)
        self.dice = torch.Generator().manual_seed(0)

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs) + torch.rand(1, generator=self.dice) * self.training


class AlwaysNoisy(Whole):
    def states(self, inputs: Tensor) -> Tensor:
        return nn.functional.dropout(super().states(inputs), 0.5)


class BatchNormed(Whole):
    def __init__(self, *sizes: int, **named: int) -> None:
        super().__init__(*sizes, **named)
        self.norm = nn.BatchNorm1d(self.sizes[1], track_running_stats=False)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.out(self.norm(self.states(inputs)[:, -1]))


class BatchNormedWithMemory(BatchNormed):
    """The usual one: its running averages move, and shift the answers in evaluation."""

    def __init__(self, *sizes: int, **named: int) -> None:
        super().__init__(*sizes, **named)
        self.norm = nn.BatchNorm1d(self.sizes[1])


class MeanTakenOff(Whole):
    def states(self, inputs: Tensor) -> Tensor:
        states = super().states(inputs)
        return states - 0.1 * states.mean(dim=0, keepdim=True)


class RowsForTime(Whole):
    """Reads the batch as if it were the time: `batch_first` forgotten."""

    def __init__(self, *sizes: int, **named: int) -> None:
        super().__init__(*sizes, **named)
        self.recurrence.batch_first = False


class PlaceInTheBatch(Whole):
    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs) + torch.arange(len(inputs))[:, None]


class Softmaxed(Whole):
    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs).softmax(dim=1)


class ReadsAhead(Stepped):
    """Every step sees the mean of all digits, the later ones too."""

    def states(self, inputs: Tensor) -> Tensor:
        return super().states(inputs + inputs.mean(dim=1, keepdim=True))


class Backwards(Stepped):
    def states(self, inputs: Tensor) -> Tensor:
        return super().states(inputs.flip(1))


class AnotherReadOut(Stepped):
    def read_out(self, state: State) -> Tensor:
        return self.out(state.hidden).tanh()


class ReadsOutTheState(Stepped):
    def read_out(self, state: State) -> Tensor:
        return state.hidden


class CannotStep(Stepped):
    def initial_state(self, batch_size: int) -> State:
        return State(torch.zeros(batch_size, 3))


class Detached(Whole):
    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs).detach()


class Rounded(Whole):
    def forward(self, inputs: Tensor) -> Tensor:
        return (super().forward(inputs) * 10).round()


class RootOfZero(Whole):
    def __init__(self, *sizes: int, **named: int) -> None:
        super().__init__(*sizes, **named)
        self.zero = nn.Parameter(torch.zeros(self.sizes[2]))

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs) + self.zero.sqrt()


class Frozen(Whole):
    def __init__(self, *sizes: int, **named: int) -> None:
        super().__init__(*sizes, **named)
        self.requires_grad_(False)


class InPlaceOnItsOwn(Whole):
    def forward(self, inputs: Tensor) -> Tensor:
        logits = super().forward(inputs)
        squared = logits**2
        logits.mul_(2)
        return squared


HONEST = (Whole, Stepped, Noisy, LayerNormed, Counting, PartlyUnused, InPlace)

BROKEN = {
    TakesNoBatch: r"does not take inputs \(B, T-1, D\) = \(5, 8, 10\): RuntimeError: ",
    ReturnsTuple: r"returns a tuple, expected a tensor of logits \(B, K\)",
    EveryStep: r"returns the shape \(5, 8, 10\) for inputs .* expected the last step's logits",
    Squeezed: r"returns the shape \(10,\) for inputs .* = \(1, 8, 10\), expected .* = \(1, 10\)",
    HiddenInstead: r"returns the shape \(5, 6\) .* expected the last step's logits .* \(5, 10\)",
    NotFinite: "returns logits that are not finite, before any training",
    KeepsState: r"again \(in evaluation mode, .*\): it keeps a state between batches",
    KeepsStateInTraining: r"again \(in training mode, .*\): it keeps a state between batches",
    KeepsAverage: "it keeps a state between batches",
    OwnDice: r"in training mode, .* or draws random numbers that torch.manual_seed does not",
    AlwaysNoisy: r"answers at random in evaluation mode .* where self.training is true",
    BatchNormed: r"mixes the rows of a batch \(in (training|evaluation) mode.* no batch normal",
    BatchNormedWithMemory: r"mixes the rows of a batch \(in training mode.* no batch normal",
    MeanTakenOff: r"mixes the rows of a batch \(in evaluation mode",
    RowsForTime: "mixes the rows of a batch .* so batch first",
    PlaceInTheBatch: "answers a palindrome otherwise alone, or at another place of the batch",
    Softmaxed: "returns probabilities, expected logits",
    ReadsAhead: r"otherwise than its own steps \(after 1 of 8 .* forward reads digits before",
    Backwards: r"otherwise than its own steps \(after 2 of 8 digits",
    AnotherReadOut: "otherwise than its own steps",
    ReadsOutTheState: r"has a read_out that returns \(5, 6\), expected logits \(5, 10\)",
    CannotStep: r"cannot be stepped from initial_state\(5\): RuntimeError: ",
    Detached: "gives no parameter a gradient: its logits do not depend on any",
    Rounded: "gives no parameter a gradient: all of them are zero",
    RootOfZero: "has a gradient that is not finite, of zero, before any training",
    Frozen: "has no parameter to train",
    InPlaceOnItsOwn: "cannot be differentiated: RuntimeError: ",
}
"""Each with the sentence that refuses it."""
