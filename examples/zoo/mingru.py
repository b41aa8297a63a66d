"""The minGRU as its package has it: three residual layers, each with a feed-forward layer.

Were RNNs All We Needed?, Feng and others 2024, arXiv 2410.01201; the layer is that of the package
minGRU-pytorch (lucidrains/minGRU-pytorch, minGRU.py), in the frame of its minLM.py (expansion 1.5,
feed-forward 4, no convolution, no biases outside the feed-forward layers).
"""

from typing import NamedTuple

from minGRU_pytorch import minGRU
from torch import Tensor, nn

from zoo.parts import Stepped, feed_forward


class State(NamedTuple):
    layers: tuple[Tensor, ...]  # h(t) of each layer, (B, 1, 1.5 N)
    output: Tensor  # of the last layer, (B, N)


class MinGRU(Stepped):
    def __init__(
        self, input_size: int, hidden_size: int, num_classes: int, *, layers: int = 3
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(input_size, hidden_size, bias=False)
        nn.init.normal_(self.embed.weight)  # of one-hot digits what nn.Embedding is of digits
        self.layers = nn.ModuleList(
            nn.ModuleList([
                nn.RMSNorm(hidden_size), minGRU(hidden_size, expansion_factor=1.5),
                nn.RMSNorm(hidden_size), feed_forward(hidden_size, 4),
            ])
            for _ in range(layers)
        )  # fmt: skip
        self.norm = nn.RMSNorm(hidden_size)
        self.to_logits = nn.Linear(hidden_size, num_classes, bias=False)

    def initial_state(self, batch_size: int) -> State:
        inner = self.layers[0][1].to_out.in_features
        width = self.embed.out_features
        before = tuple(self.zeros(batch_size, 1, inner) for _ in self.layers)
        return State(before, self.zeros(batch_size, width))

    def step(self, x: Tensor, state: State) -> State:
        x, after = self.embed(x)[:, None], []
        for (norm, cell, norm_2, layer), before in zip(self.layers, state.layers, strict=True):
            out, h = cell(norm(x), before, return_next_prev_hidden=True)
            x = x + out
            x = x + layer(norm_2(x))
            after.append(h)
        return State(tuple(after), x[:, 0])

    def read_out(self, state: State) -> Tensor:
        return self.to_logits(self.norm(state.output))

    def forward(self, inputs: Tensor) -> Tensor:
        x = self.embed(inputs)
        for norm, cell, norm_2, layer in self.layers:  # all steps at once: the package's scan
            x = x + cell(norm(x))
            x = x + layer(norm_2(x))
        return self.read_out(State((), x[:, -1]))
