"""A small causal Transformer, which forgets nothing: what a network with all digits at hand does.

Attention Is All You Need, Vaswani and others 2017, arXiv 1706.03762: sines as positions; the
normalisation is before each layer, as in GPT-2. Its state is all that it has read.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from zoo.parts import Stepped


class State(NamedTuple):
    read: tuple[Tensor, ...]  # the digits so far, embedded, (B, N) each


class Transformer(Stepped):
    def __init__(
        self, input_size: int, hidden_size: int, num_classes: int, *, layers: int = 2
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(input_size, hidden_size)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                hidden_size,
                math.gcd(4, hidden_size),
                4 * hidden_size,
                dropout=0.0,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(hidden_size)
        self.to_logits = nn.Linear(hidden_size, num_classes)

    def initial_state(self, batch_size: int) -> State:
        return State(())

    def step(self, x: Tensor, state: State) -> State:
        return State((*state.read, self.embed(x)))

    def read_out(self, state: State) -> Tensor:
        return self._answer(torch.stack(state.read, dim=1))

    def forward(self, inputs: Tensor) -> Tensor:
        return self._answer(self.embed(inputs))

    def _answer(self, x: Tensor) -> Tensor:  # (B, t, N), to the logits after step t
        x = x + _positions(x.shape[1], x.shape[2]).to(x)
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], device=x.device)
        for layer in self.layers:
            x = layer(x, src_mask=mask, is_causal=True)
        return self.to_logits(self.norm(x[:, -1]))


def _positions(length: int, size: int) -> Tensor:
    steps = torch.arange(length)[:, None]
    rates = 10_000.0 ** (-torch.arange(0, size, 2) / size)
    waves = torch.stack([(steps * rates).sin(), (steps * rates).cos()], dim=2)
    return waves.flatten(1)[:, :size]
