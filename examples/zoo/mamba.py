"""Mamba: selective state spaces, in residual blocks, of the package mambapy.

Mamba: Linear-Time Sequence Modeling with Selective State Spaces, Gu and Dao 2023,
arXiv 2312.00752; the package's own mamba.py, with its defaults; its lm.py has the normalisation
after the last block.
"""

from typing import NamedTuple

from mambapy.mamba import Mamba as Published
from mambapy.mamba import MambaConfig, RMSNorm
from torch import Tensor, nn

from zoo.parts import Stepped


class State(NamedTuple):
    layers: tuple[
        tuple[Tensor, Tensor], ...
    ]  # (B, 2 N, 16) and the last three inputs, (B, 2 N, 3)
    output: Tensor  # of the last block, (B, N)


class Mamba(Stepped):
    def __init__(
        self, input_size: int, hidden_size: int, num_classes: int, *, layers: int = 2
    ) -> None:
        super().__init__()
        # Step by step in training too: its parallel scan pads T to a power of two, and gains
        # nothing at these lengths.
        self.config = MambaConfig(d_model=hidden_size, n_layers=layers, pscan=False)
        self.embed = nn.Linear(input_size, hidden_size)
        self.blocks = Published(self.config)
        self.norm = RMSNorm(hidden_size)
        self.to_logits = nn.Linear(hidden_size, num_classes)

    def initial_state(self, batch_size: int) -> State:
        inner, c = self.config.d_inner, self.config
        one = (
            self.zeros(batch_size, inner, c.d_state),
            self.zeros(batch_size, inner, c.d_conv - 1),
        )
        return State((one,) * c.n_layers, self.zeros(batch_size, c.d_model))

    def step(self, x: Tensor, state: State) -> State:
        x, caches = self.blocks.step(self.embed(x), list(state.layers))
        return State(tuple(caches), x)

    def read_out(self, state: State) -> Tensor:
        return self.to_logits(self.norm(state.output))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.read_out(State((), self.blocks(self.embed(inputs))[:, -1]))
