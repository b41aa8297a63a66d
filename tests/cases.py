"""The cells that are tested, one row each: what `contract.py` must know of a cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from digitspan.cells.sheet import lstm, rnn

__all__ = ["CASES", "Answer", "CellCase"]


class Answer(NamedTuple):
    """What an oracle says about a network: its logits, and what it would carry back."""

    logits: Tensor
    """The last step's logits, shape (B, K)."""
    leaves: dict[str, Tensor | tuple[Tensor, int]]
    """For each parameter of the network, the oracle's tensor whose gradient must equal the
    parameter's; or that tensor and which of its four blocks of rows."""


class CellCase(NamedTuple):
    """One cell, and what is known about it beforehand."""

    name: str
    """Its name in the registry, or a fault's."""
    make: Callable[..., nn.Module]
    """Called as `make(input_size=, hidden_size=, num_classes=)`."""
    num_parameters: Callable[[int, int, int], int]
    """The closed form of Question 1.5 (b): the number of parameters for d, n and K."""
    oracle: Callable[[nn.Module, Tensor], Answer] | None = None
    """Another implementation of the same equations, with the network's weights; None: none."""
    reads_digits: bool = True
    """Whether the network also takes digits (B, T - 1), as part1's do."""
    device: torch.device | str = "cpu"
    """Where it is tested."""


def torch_rnn(network: nn.Module, inputs: Tensor) -> Answer:
    """Equations (1) and (2) by torch.nn.RNN, for inputs (B, T - 1, D)."""
    oracle = nn.RNN(inputs.shape[2], network.W_hh.shape[0], batch_first=True).to(inputs)
    with torch.no_grad():
        oracle.weight_ih_l0.copy_(network.W_hx)
        oracle.weight_hh_l0.copy_(network.W_hh)
        oracle.bias_ih_l0.copy_(network.b_h)
        oracle.bias_hh_l0.zero_()  # torch has two biases, of which the sum counts
    leaves = {
        "W_hx": oracle.weight_ih_l0,
        "W_hh": oracle.weight_hh_l0,
        "b_h": oracle.bias_ih_l0,
    }
    return _read_out(network, oracle(inputs)[0], leaves)


def torch_lstm(network: nn.Module, inputs: Tensor) -> Answer:
    """Equations (4) to (10) by torch.nn.LSTM, for inputs (B, T - 1, D)."""
    oracle = nn.LSTM(inputs.shape[2], network.W_gh.shape[0], batch_first=True).to(inputs)
    order = "ifgo"  # of the four blocks of rows in torch's matrices
    with torch.no_grad():
        oracle.weight_ih_l0.copy_(torch.cat([getattr(network, f"W_{gate}x") for gate in order]))
        oracle.weight_hh_l0.copy_(torch.cat([getattr(network, f"W_{gate}h") for gate in order]))
        oracle.bias_ih_l0.copy_(torch.cat([getattr(network, f"b_{gate}") for gate in order]))
        oracle.bias_hh_l0.zero_()
    leaves = {}
    for block, gate in enumerate(order):
        leaves[f"W_{gate}x"] = (oracle.weight_ih_l0, block)
        leaves[f"W_{gate}h"] = (oracle.weight_hh_l0, block)
        leaves[f"b_{gate}"] = (oracle.bias_ih_l0, block)
    return _read_out(network, oracle(inputs)[0], leaves)


def _read_out(network: nn.Module, hidden: Tensor, leaves: dict) -> Answer:
    """The linear read-out of the last hidden state, by torch.nn.functional.linear."""
    W_ph = network.W_ph.detach().clone().requires_grad_()
    b_p = network.b_p.detach().clone().requires_grad_()
    logits = torch.nn.functional.linear(hidden[:, -1], W_ph, b_p)
    return Answer(logits, leaves | {"W_ph": W_ph, "b_p": b_p})


class GRU(nn.Module):
    """A cell of one's own, as a user may bring it: a whole module, without a step."""

    def __init__(self, input_size: int, hidden_size: int, num_classes: int) -> None:
        super().__init__()
        self.recurrence = nn.GRU(input_size, hidden_size, batch_first=True)
        self.W_ph = nn.Linear(hidden_size, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.W_ph(self.recurrence(inputs)[0][:, -1])


CASES = {
    case.name: case
    for case in (
        CellCase("rnn", rnn, lambda d, n, K: n * (d + n + 1) + K * (n + 1), torch_rnn),
        CellCase("lstm", lstm, lambda d, n, K: 4 * n * (d + n + 1) + K * (n + 1), torch_lstm),
        CellCase(
            "cases:GRU", GRU, lambda d, n, K: 3 * n * (d + n + 2) + K * (n + 1), reads_digits=False
        ),
    )
}
