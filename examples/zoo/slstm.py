"""The sLSTM block of xLSTM: convolution, exponential gates, heads, a gated feed-forward layer.

xLSTM: Extended Long Short-Term Memory, Beck and others 2024, arXiv 2405.04517, equations (8) to
(17), m the stabiliser; as in the authors' NX-AI/xlstm (layer.py, cell.py, slstm.py,
xlstm_block.py, feedforward.py), with the defaults there: four heads, a causal convolution of four
steps before the input and forget gates, feed-forward layers 1.3 times as wide, rounded up to 64s,
no biases but the cell's and the convolution's.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, group_norm, logsigmoid, silu

from zoo.parts import Stepped


class State(NamedTuple):
    cell: Tensor  # c(t), (B, N)
    normaliser: Tensor  # n(t), (B, N)
    stabiliser: Tensor  # m(t), (B, N)
    hidden: Tensor  # h(t), (B, N)
    inputs: Tensor  # the last three, normalised, (B, 3 N)
    output: Tensor  # of the block, (B, N)


class SLSTM(Stepped):
    def __init__(
        self, input_size: int, hidden_size: int, num_classes: int, *, heads: int = 4
    ) -> None:
        super().__init__()
        self.heads = math.gcd(heads, hidden_size)
        within = hidden_size // self.heads
        small = (2 / (5 * hidden_size)) ** 0.5
        self.embed = nn.Linear(input_size, hidden_size)
        self.norm = nn.LayerNorm(hidden_size, bias=False)
        self.convolution = nn.Conv1d(hidden_size, hidden_size, 4, groups=hidden_size)
        # Of each gate, i, f, z and o, and each head.
        self.W = nn.Parameter(torch.randn(4, self.heads, within, within) * small)
        self.R = nn.Parameter(torch.zeros(4, self.heads, within, within))
        self.b = nn.Parameter(torch.zeros(4, self.heads, within))
        with torch.no_grad():  # forget gates from open to closed
            self.b[1] = 5 - 12 * torch.linspace(0, 1, within) ** 0.3
        self.scale = nn.Parameter(torch.ones(hidden_size))
        self.norm_2 = nn.LayerNorm(hidden_size, bias=False)
        inner = 64 * math.ceil(1.3 * hidden_size / 64)
        self.up = nn.Linear(hidden_size, 2 * inner, bias=False)
        self.down = nn.Linear(inner, hidden_size, bias=False)
        nn.init.normal_(self.up.weight, std=small)
        nn.init.normal_(self.down.weight, std=2 * hidden_size**-0.5)
        self.norm_3 = nn.LayerNorm(hidden_size, bias=False)
        self.to_logits = nn.Linear(hidden_size, num_classes)

    def initial_state(self, batch_size: int) -> State:
        zeros = self.zeros(batch_size, len(self.scale))
        return State(zeros, zeros, zeros, zeros, zeros.repeat(1, 3), zeros)

    def step(self, x: Tensor, state: State) -> State:
        c, n, m, h, before, _ = state
        x = self.embed(x)
        last_four = torch.cat([before, self.norm(x)], dim=1)
        i, f, z, o = self._gates(last_four.unflatten(1, (4, -1)), h)
        log_f = logsigmoid(f) + m
        m = torch.where(n == 0, i, torch.maximum(log_f, i))  # n is 0 before the first step alone
        keep, write = (log_f - m).clamp(max=0).exp(), (i - m).exp()
        c = keep * c + write * z.tanh()
        n = keep * n + write
        h = o.sigmoid() * c / n
        x = x + group_norm(h, self.heads, self.scale)
        gate, value = self.up(self.norm_2(x)).chunk(2, dim=1)
        x = x + self.down(gelu(gate) * value)
        return State(c, n, m, h, last_four[:, len(self.scale) :], x)

    def _gates(self, last_four: Tensor, h: Tensor) -> Tensor:
        """What goes into i, f, z and o, (4, B, N)."""
        kernel, newest = self.convolution.weight[:, 0].T, last_four[:, -1]
        smooth = silu((kernel * last_four).sum(dim=1) + self.convolution.bias)
        inputs = torch.stack([smooth, smooth, newest, newest]).unflatten(2, (self.heads, -1))
        recurrent = torch.einsum("bhj,ghkj->gbhk", h.unflatten(1, (self.heads, -1)), self.R)
        driven = torch.einsum("gbhj,ghkj->gbhk", inputs, self.W)
        return (driven + recurrent + self.b[:, None]).flatten(2)

    def read_out(self, state: State) -> Tensor:
        return self.to_logits(self.norm_3(state.output))
