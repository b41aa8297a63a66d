"""Cells of one's own, `odd_cells:Class`: parameters, starts and states that are not the usual."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["KEPT", "REFUSED", "EveryStep", "LearnsToReadAhead"]


class Plain(nn.Module):
    """h(t) = tanh(i(x) + h(h(t-1))), the usual one."""

    def __init__(self, input_size: int, hidden_size: int, num_classes: int) -> None:
        super().__init__()
        self.n = hidden_size
        self.i, self.h = nn.Linear(input_size, hidden_size), nn.Linear(hidden_size, hidden_size)
        self.o = nn.Linear(hidden_size, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        h = self.o.weight.new_zeros(len(inputs), self.n)
        for x in inputs.unbind(dim=1):
            h = torch.tanh(self.i(x) + self.h(h))
        return self.o(h)


class Rotating(Plain):
    """Complex parameters, a complex buffer and real ones: cast to reals it would be another."""

    def __init__(self, **sizes: int) -> None:
        super().__init__(**sizes)
        del self.h
        self.turn = nn.Parameter(torch.polar(torch.ones(self.n), torch.linspace(0.1, 3, self.n)))
        self.register_buffer("rot", torch.polar(torch.ones(self.n), torch.linspace(0, 1, self.n)))

    def forward(self, inputs: Tensor) -> Tensor:
        h = torch.zeros(len(inputs), self.n, dtype=torch.cfloat)
        for x in inputs.unbind(dim=1):
            h = self.rot * self.turn * h + self.i(x)
        return self.o(h.real + h.imag)


class AllComplex(nn.Module):
    """Every parameter is complex."""

    def __init__(self, input_size: int, hidden_size: int, num_classes: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(input_size, num_classes, dtype=torch.complex128))

    def forward(self, inputs: Tensor) -> Tensor:
        return (inputs.sum(dim=1).to(torch.complex128) @ self.w).abs()


class Double(Plain):
    """Double precision throughout."""

    def __init__(self, **sizes: int) -> None:
        super().__init__(**sizes)
        self.double()


class PartlyDouble(Plain):
    """One parameter needs double precision: 1 - 1e-12 is 1 in single."""

    def __init__(self, **sizes: int) -> None:
        super().__init__(**sizes)
        self.decay = nn.Parameter(torch.tensor(1 - 1e-12, dtype=torch.float64))

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs) * self.decay.float()


class Half(Plain):
    """bfloat16 throughout."""

    def __init__(self, **sizes: int) -> None:
        super().__init__(**sizes)
        self.bfloat16()


class Tied(Plain):
    """Two layers share a weight."""

    def __init__(self, **sizes: int) -> None:
        super().__init__(**sizes)
        self.again = nn.Linear(self.n, self.n)
        self.again.weight = self.h.weight

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs) + self.o(self.again(self.i(inputs[:, 0])))


class Sliced(Plain):
    """A buffer is a view of a parameter."""

    def __init__(self, **sizes: int) -> None:
        super().__init__(**sizes)
        self.register_buffer("first", self.h.weight.detach()[:2].T)


class Whole(Plain):
    """A parameter of whole numbers, which nothing trains."""

    def __init__(self, **sizes: int) -> None:
        super().__init__(**sizes)
        self.order = nn.Parameter(torch.arange(self.n), requires_grad=False)


class StartsByNumpy(Plain):
    def __init__(self, **sizes: int) -> None:
        super().__init__(**sizes)
        start = np.linalg.qr(np.random.randn(self.n, self.n))[0]
        self.h.weight = nn.Parameter(torch.tensor(start, dtype=torch.float32))


class StartsByPython(Plain):
    def __init__(self, **sizes: int) -> None:
        super().__init__(**sizes)
        self.gain = nn.Parameter(torch.tensor(random.gauss(1, 0.1)))

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs) * self.gain


class StartsByItself(Plain):
    def __init__(self, **sizes: int) -> None:
        super().__init__(**sizes)
        noise = np.random.default_rng().standard_normal(self.n)
        self.shift = nn.Parameter(torch.tensor(noise, dtype=torch.float32))

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs) + self.shift.sum()


class CountsItsBuilds(Plain):
    built = 0

    def __init__(self, **sizes: int) -> None:
        super().__init__(**sizes)
        type(self).built += 1
        self.register_buffer("number", torch.tensor(float(self.built)))


class Lazy(Plain):
    def __init__(self, **sizes: int) -> None:
        super().__init__(**sizes)
        self.o = nn.LazyLinear(sizes["num_classes"])


class LazyBuffer(Plain):
    def __init__(self, **sizes: int) -> None:
        super().__init__(**sizes)
        self.register_buffer("late", nn.parameter.UninitializedBuffer())


class SparseBuffer(Plain):
    def __init__(self, **sizes: int) -> None:
        super().__init__(**sizes)
        self.register_buffer("mask", torch.eye(self.n).to_sparse())


class MetaBuffer(Plain):
    def __init__(self, **sizes: int) -> None:
        super().__init__(**sizes)
        self.register_buffer("nowhere", torch.ones(self.n, device="meta"))


class SparseGradient(Plain):
    def __init__(self, **sizes: int) -> None:
        super().__init__(**sizes)
        self.table = nn.Embedding(sizes["input_size"], sizes["input_size"], sparse=True)

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(self.table(inputs.argmax(dim=-1)))


class Buffers(Plain):
    """Has buffers of many kinds, and one that is not kept and sparse."""

    def __init__(self, **sizes: int) -> None:
        super().__init__(**sizes)
        dtypes = (torch.bool, torch.int64, torch.uint16, torch.float8_e4m3fn)
        for dtype in dtypes:
            self.register_buffer(str(dtype).partition(".")[2], torch.ones(3).to(dtype))
        self.register_buffer("none", None)
        self.register_buffer("empty", torch.zeros(0))
        self.register_buffer("number", torch.tensor(3))
        self.register_buffer("made_anew", torch.eye(self.n).to_sparse(), persistent=False)


class ExtraState(Plain):
    def get_extra_state(self) -> dict[str, Any]:
        return {"words": ["a"]}

    def set_extra_state(self, state: Any) -> None:
        pass


class ShortSighted(Plain):
    """Has a weight for each of 12 digits, and no more."""

    def __init__(self, **sizes: int) -> None:
        super().__init__(**sizes)
        self.place = nn.Parameter(torch.ones(12))

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs * self.place[torch.arange(inputs.shape[1])][:, None])


class RoundsWhatIsKept(Plain):
    """Tells other weights than it answers by."""

    def state_dict(self, *where: Any, **named: Any) -> dict[str, Any]:
        return {name: value.round() for name, value in super().state_dict(**named).items()}


class EveryStep(nn.Module):
    """A whole network that answers after every step, (B, steps, K), by what it has read."""

    def __init__(self, input_size: int, hidden_size: int, num_classes: int) -> None:
        super().__init__()
        self.rnn = nn.GRU(input_size, hidden_size, batch_first=True)
        self.o = nn.Linear(hidden_size, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.o(self.rnn(inputs)[0])
        return logits


class LearnsToReadAhead(EveryStep):
    """Begins as EveryStep, and learns how much of the next input to add."""

    def __init__(self, input_size: int, hidden_size: int, num_classes: int) -> None:
        super().__init__(input_size, hidden_size, num_classes)
        self.ahead = nn.Linear(input_size, num_classes)
        self.g = nn.Parameter(torch.zeros(()))

    def forward(self, inputs: Tensor) -> Tensor:
        after = torch.cat([inputs[:, 1:], torch.zeros_like(inputs[:, :1])], dim=1)
        return super().forward(inputs) + self.g * self.ahead(after)


class AheadInLargeBatches(LearnsToReadAhead):
    """Reads ahead where a batch has more than 64 rows, as the ones of its evaluation have."""

    def forward(self, inputs: Tensor) -> Tensor:
        if len(inputs) <= 64:
            return EveryStep.forward(self, inputs)
        self.g.data.fill_(1)
        return super().forward(inputs)


class Stepped(Plain):
    """Plain, which can be stepped too."""

    def initial_state(self, batch_size: int) -> Tensor:
        return self.o.weight.new_zeros(batch_size, self.n)

    def step(self, x: Tensor, state: Tensor) -> Tensor:
        return torch.tanh(self.i(x) + self.h(state))

    def read_out(self, state: Tensor) -> Tensor:
        return self.o(state)


class LastTen(Stepped):
    """Reads the last ten digits alone; its steps read all."""

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs[:, -10:])


class MixesFarOn(Plain):
    """From 10 digits on its rows mix."""

    def forward(self, inputs: Tensor) -> Tensor:
        logits = super().forward(inputs)
        return logits - logits.mean(dim=0) if inputs.shape[1] > 9 else logits


class NoNumberFarOn(Plain):
    """From 10 digits on its answers are no numbers."""

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs) * (torch.nan if inputs.shape[1] > 9 else 1)


class SoftmaxFarOn(Plain):
    """From 10 digits on it returns probabilities."""

    def forward(self, inputs: Tensor) -> Tensor:
        logits = super().forward(inputs)
        return logits.softmax(dim=-1) if inputs.shape[1] > 9 else logits


class NormsLargeBatches(Plain):
    """Takes the statistics of a batch where it has rows enough."""

    def forward(self, inputs: Tensor) -> Tensor:
        logits = super().forward(inputs)
        return logits / logits.std(dim=0) if len(inputs) > 7 else logits


class GoesOnInLargeBatches(Stepped):
    """Goes on from the state of the batch before, where it has rows enough."""

    def __init__(self, **sizes: int) -> None:
        super().__init__(**sizes)
        self.before: Tensor | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        state = self.initial_state(len(inputs))
        if len(inputs) > 7 and self.before is not None:
            state = self.before
        for x in inputs.unbind(dim=1):
            state = self.step(x, state)
        if len(inputs) > 7:
            self.before = state.detach()
        return self.o(state)


class Anneals(Plain):
    """A temperature that falls with every batch of training, and is no tensor."""

    temperature = 1.0

    def forward(self, inputs: Tensor) -> Tensor:
        if self.training and len(inputs) > 7:
            self.temperature *= 0.999
        return super().forward(inputs) / self.temperature


class Chaotic(Stepped):
    """So large weights that the last bit of a sum becomes all of an answer; sums in two orders."""

    def __init__(self, **sizes: int) -> None:
        super().__init__(**sizes)
        nn.init.normal_(self.h.weight, std=3 / self.n**0.5)

    def forward(self, inputs: Tensor) -> Tensor:
        h = self.initial_state(len(inputs))
        for x in self.i(inputs).unbind(dim=1):
            h = torch.tanh(h @ self.h.weight.T + (x + self.h.bias))
        return self.o(h)


KEPT = (
    Plain, Rotating, AllComplex, Double, PartlyDouble, Half, Tied, Sliced, Whole, Buffers,
    StartsByNumpy, StartsByPython,
)  # fmt: skip
"""Trained and kept as they are."""

REFUSED = {
    StartsByItself: r"begins with other weights when it is built again \(shift\)",
    CountsItsBuilds: r"begins with other weights when it is built again \(number\)",
    Lazy: r"has a lazy parameter or buffer, o.weight: give its layers all their sizes",
    LazyBuffer: "has a lazy parameter or buffer, late",
    SparseBuffer: "keeps mask as a sparse tensor, which is not saved; expected a dense one",
    MetaBuffer: "cannot be tried: NotImplementedError: Cannot copy out of meta tensor",
    SparseGradient: "gives table.weight a sparse gradient, which the optimisers do not take",
    ExtraState: r"keeps a dict in its state \(_extra_state\), expected tensors alone",
    ShortSighted: "cannot be trained at T = 40: IndexError",
    RoundsWhatIsKept: "answers otherwise once it was kept and read again",
    LastTen: "answers otherwise than its own steps: of 39 digits, forward reads the last 10",
    MixesFarOn: r"mixes the rows of a batch \(in training mode, 8 rows of 39 digits",
    NoNumberFarOn: "has a loss that is not finite at T = 40, before any training",
    SoftmaxFarOn: "returns probabilities, expected logits",
    NormsLargeBatches: r"mixes the rows of a batch \(in training mode, 8 rows of 8 digits",
    GoesOnInLargeBatches: r"answers a batch otherwise when asked again \(in training mode, 8 rows",
    Anneals: r"answers a batch otherwise when asked again \(in training mode, 8 rows of 8 digits",
}
"""Each with the sentence that refuses it before the first step."""
