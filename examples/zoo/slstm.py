"""The sLSTM of xLSTM, in its residual block: exponential gates, heads, a gated feed-forward layer.

xLSTM: Extended Long Short-Term Memory, Beck and others 2024, arXiv 2405.04517, equations (8) to
(15) with the stabiliser m. Deviation: without the optional causal convolution before the gates.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from zoo.parts import Stepped


class State(NamedTuple):
    cell: Tensor  # c(t), (B, N)
    normaliser: Tensor  # n(t), (B, N)
    stabiliser: Tensor  # m(t), (B, N)
    hidden: Tensor  # h(t), (B, N)
    output: Tensor  # of the block, (B, N)


class SLSTM(Stepped):
    def __init__(
        self, input_size: int, hidden_size: int, num_classes: int, *, heads: int = 4
    ) -> None:
        super().__init__()
        heads = math.gcd(heads, hidden_size)
        within = hidden_size // heads
        self.embed = nn.Linear(input_size, hidden_size)
        self.norm = nn.LayerNorm(hidden_size)
        self.W = nn.Linear(hidden_size, 4 * hidden_size)  # z, i, f, o
        self.R = nn.Parameter(torch.randn(heads, within, 4 * within) * within**-0.5)
        with torch.no_grad():  # forget gates open from the start, as the authors have them
            self.W.bias[2 * hidden_size : 3 * hidden_size] = torch.linspace(3, 6, hidden_size)
        self.group_norm = nn.GroupNorm(heads, hidden_size)
        self.norm_2 = nn.LayerNorm(hidden_size)
        inner = hidden_size * 4 // 3
        self.up, self.down = nn.Linear(hidden_size, 2 * inner), nn.Linear(inner, hidden_size)
        self.norm_3 = nn.LayerNorm(hidden_size)
        self.to_logits = nn.Linear(hidden_size, num_classes)

    def initial_state(self, batch_size: int) -> State:
        zeros = self.zeros(batch_size, self.embed.out_features)
        return State(zeros, zeros, zeros, zeros, zeros)

    def step(self, x: Tensor, state: State) -> State:
        c, n, m, h, _ = state
        x = self.embed(x)
        heads, within, _ = self.R.shape
        recurrent = torch.einsum("bhi,hij->bhj", h.view(-1, heads, within), self.R)
        recurrent = recurrent.view(-1, heads, 4, within).transpose(1, 2).flatten(1)
        z, i, f, o = (self.W(self.norm(x)) + recurrent).chunk(4, dim=1)
        log_f = nn.functional.logsigmoid(f)
        m_new = torch.maximum(log_f + m, i)
        keep, write = (log_f + m - m_new).exp(), (i - m_new).exp()
        c = keep * c + write * z.tanh()
        n = keep * n + write
        h = o.sigmoid() * c / n.clamp(min=1e-6)
        x = x + self.group_norm(h)
        gate, value = self.up(self.norm_2(x)).chunk(2, dim=1)
        x = x + self.down(nn.functional.gelu(gate) * value)
        return State(c, n, m_new, h, x)

    def read_out(self, state: State) -> Tensor:
        return self.to_logits(self.norm_3(state.output))
