"""The closed-form continuous-time network, of the package ncps.

Closed-form Continuous-time Neural Networks, Hasani and others 2022, arXiv 2106.13898; the package
is the authors' mlech26l/ncps, with the defaults of its cfc.py.
"""

from typing import NamedTuple

from ncps.torch import CfC as Published
from torch import Tensor, nn

from zoo.parts import Stepped


class State(NamedTuple):
    hidden: Tensor  # h(t), (B, N)


class CfC(Stepped):
    def __init__(
        self, input_size: int, hidden_size: int, num_classes: int, *, mode: str = "default"
    ) -> None:
        super().__init__()
        self.cell = Published(input_size, hidden_size, mode=mode, return_sequences=False)
        self.to_logits = nn.Linear(hidden_size, num_classes)

    def initial_state(self, batch_size: int) -> State:
        return State(self.zeros(batch_size, self.cell.state_size))

    def step(self, x: Tensor, state: State) -> State:
        return State(self.cell(x[:, None], state.hidden)[1])

    def read_out(self, state: State) -> Tensor:
        return self.to_logits(state.hidden)
