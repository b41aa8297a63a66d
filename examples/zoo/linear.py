"""Linear recurrences with complex states in residual layers: LRU and S4D.

* Resurrecting Recurrent Neural Networks for Long Sequences, Orvieto and others 2023,
  arXiv 2303.06349, as in NicolasZucchet/minimal-LRU, model.py in lru, with the defaults of its
  run_train.py: four layers, normalised before the recurrence, |lambda| from 0 to 1. The authors
  set |lambda| closer to 1 for long sequences: `LRU(low=0.9, high=0.999)`.
* On the Parameterization and Initialization of Diagonal State Space Models, Gu, Gupta, Goel and Re
  2022, arXiv 2206.11893: S4D-Lin, held at the zeroth order, as in state-spaces/s4,
  s4d.py in models/s4, in the network of its example.py: four layers, normalised after the sum.

A layer is x + GLU(GELU(y)), y the recurrence's output. Both are stepped here; the authors compute
all steps at once, to the same values. Deviations: layer normalisation in the LRU, for batch
normalisation mixes palindromes; the last step is read out, not the mean of all, for the answer is
due then; no dropout, and one learning rate for all.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from zoo.parts import Stepped


class State(NamedTuple):
    layers: tuple[Tensor, ...]  # complex, of each layer
    output: Tensor  # of the last layer, (B, N)


class Layers(Stepped):
    """Residual layers of one kind of linear recurrence."""

    norm_first: bool

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_classes: int,
        recurrences: list[nn.Module],
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(input_size, hidden_size)
        self.norms = nn.ModuleList(nn.LayerNorm(hidden_size) for _ in recurrences)
        self.recurrences: Any = nn.ModuleList(recurrences)
        self.gates = nn.ModuleList(nn.Linear(hidden_size, 2 * hidden_size) for _ in recurrences)
        self.to_logits = nn.Linear(hidden_size, num_classes)

    def initial_state(self, batch_size: int) -> State:
        before = [one.C.new_zeros(batch_size, *one.state_shape) for one in self.recurrences]
        return State(tuple(before), self.zeros(batch_size, self.embed.out_features))

    def step(self, x: Tensor, state: State) -> State:
        x, after = self.embed(x), []
        layers = zip(self.norms, self.recurrences, self.gates, state.layers, strict=True)
        for norm, recurrence, gate, before in layers:
            y, s = recurrence(norm(x) if self.norm_first else x, before)
            x = x + nn.functional.glu(gate(nn.functional.gelu(y)), dim=-1)
            x = x if self.norm_first else norm(x)
            after.append(s)
        return State(tuple(after), x)

    def read_out(self, state: State) -> Tensor:
        return self.to_logits(state.output)


class LRULayer(nn.Module):
    """s(t) = lambda s(t-1) + gamma B x(t), y(t) = Re(C s(t)) + D x(t).

    lambda = exp(-exp(nu) + i exp(theta)), uniform in the ring low < |lambda| < high at the start,
    and gamma = sqrt(1 - |lambda|^2) there.
    """

    def __init__(self, size: int, low: float, high: float) -> None:
        super().__init__()
        self.state_shape = (size,)
        radius = (torch.rand(size) * (high**2 - low**2) + low**2).sqrt()
        self.nu = nn.Parameter((-radius.log()).log())
        self.theta = nn.Parameter((2 * math.pi * torch.rand(size)).log())
        self.gamma = nn.Parameter((1 - radius**2).sqrt().log())
        # Of a complex normal number each part has half of the variance.
        self.B = nn.Parameter(torch.randn(size, size, dtype=torch.complex64) * size**-0.5)
        self.C = nn.Parameter(torch.randn(size, size, dtype=torch.complex64) * (size / 2) ** -0.5)
        self.D = nn.Parameter(torch.randn(size))

    def forward(self, x: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        eigenvalues = torch.polar((-self.nu.exp()).exp(), self.theta.exp())
        s = eigenvalues * s + self.gamma.exp() * (x.to(s.dtype) @ self.B.T)
        return (s @ self.C.T).real + self.D * x, s


class S4DLayer(nn.Module):
    """s(t) = exp(dt A) s(t-1) + (exp(dt A) - 1) / A x(t), y(t) = 2 Re(C s(t)) + D x(t).

    Every input has a system of its own, with `modes` pairs of complex modes.
    """

    def __init__(self, size: int, modes: int) -> None:
        super().__init__()
        self.state_shape = (size, modes)
        steps = torch.empty(size).uniform_(math.log(1e-3), math.log(1e-1))
        self.log_dt = nn.Parameter(steps)
        self.log_A_real = nn.Parameter(torch.full((size, modes), math.log(0.5)))
        self.A_imag = nn.Parameter((math.pi * torch.arange(modes)).repeat(size, 1).float())
        self.C = nn.Parameter(torch.randn(size, modes, dtype=torch.complex64))
        self.D = nn.Parameter(torch.randn(size))

    def forward(self, x: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        A = torch.complex(-self.log_A_real.exp(), self.A_imag)
        decay = (self.log_dt.exp()[:, None] * A).exp()
        s = decay * s + (decay - 1) / A * x[..., None]
        return 2 * (self.C * s).sum(dim=-1).real + self.D * x, s


class LRU(Layers):
    norm_first = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_classes: int,
        *,
        layers: int = 4,
        low: float = 0.0,
        high: float = 1.0,
    ) -> None:
        recurrences: list[nn.Module] = [LRULayer(hidden_size, low, high) for _ in range(layers)]
        super().__init__(input_size, hidden_size, num_classes, recurrences)


class S4D(Layers):
    norm_first = False

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_classes: int,
        *,
        layers: int = 4,
        modes: int = 32,
    ) -> None:
        recurrences: list[nn.Module] = [S4DLayer(hidden_size, modes) for _ in range(layers)]
        super().__init__(input_size, hidden_size, num_classes, recurrences)
