"""The cells that are tested, one row each: what `contract.py` must know of a cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from digitspan.cells.gru import GRU
from digitspan.cells.mingru import MinGRU
from digitspan.cells.peephole_lstm import PeepholeLSTM
from digitspan.cells.relu_rnn import ReLURNN
from digitspan.cells.sheet import lstm, rnn

__all__ = ["CASES", "Answer", "CellCase"]


class Answer(NamedTuple):
    """What an oracle says about a network: its logits, and what it would carry back."""

    logits: Tensor
    """The last step's logits, shape (B, K)."""
    leaves: dict[str, Tensor | tuple[Tensor, slice]]
    """For each parameter of the network, the oracle's tensor whose gradient must equal the
    parameter's; or that tensor and which of its rows."""


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
    recurrent: tuple[str, ...] = ()
    """Its recurrent matrices, (N, N), in the order of its parameters."""
    kept: Callable[[nn.Module], Tensor] | None = None
    """The share of the state that a unit keeps in a step, by its biases alone, (N,)."""
    reads_digits: bool = False
    """Whether the network also takes digits (B, T - 1), as part1's do."""
    first_seed: int = 0
    """Where the seeds of its weights begin: with others, units of a ReLU may never be active."""
    device: torch.device | str = "cpu"
    """Where it is tested."""


def torch_rnn(network: nn.Module, inputs: Tensor, nonlinearity: str = "tanh") -> Answer:
    """Equations (1) and (2) by torch.nn.RNN, for inputs (B, T - 1, D)."""
    d, n = inputs.shape[2], len(network.W_hh)
    oracle = nn.RNN(d, n, nonlinearity=nonlinearity, batch_first=True).to(inputs)
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


def torch_relu_rnn(network: nn.Module, inputs: Tensor) -> Answer:
    """The ReLU RNN by torch.nn.RNN, for inputs (B, T - 1, D)."""
    return torch_rnn(network, inputs, "relu")


def torch_lstm(network: nn.Module, inputs: Tensor) -> Answer:
    """Equations (4) to (10) by torch.nn.LSTM, for inputs (B, T - 1, D)."""
    oracle = nn.LSTM(inputs.shape[2], network.W_gh.shape[0], batch_first=True).to(inputs)
    return _gated(network, inputs, oracle, "ifgo")


def torch_gru(network: nn.Module, inputs: Tensor) -> Answer:
    """The GRU by torch.nn.GRU, for inputs (B, T - 1, D)."""
    oracle = nn.GRU(inputs.shape[2], network.W_hh.shape[0], batch_first=True).to(inputs)
    return _gated(network, inputs, oracle, "rzh")


def _gated(network: nn.Module, inputs: Tensor, oracle: nn.Module, order: str) -> Answer:
    """What a network of torch's with blocks of rows, in this order, says with these weights."""
    with torch.no_grad():
        oracle.weight_ih_l0.copy_(torch.cat([getattr(network, f"W_{gate}x") for gate in order]))
        oracle.weight_hh_l0.copy_(torch.cat([getattr(network, f"W_{gate}h") for gate in order]))
        oracle.bias_ih_l0.copy_(torch.cat([getattr(network, f"b_{gate}") for gate in order]))
        oracle.bias_hh_l0.zero_()
    n, leaves = oracle.hidden_size, {}
    for block, gate in enumerate(order):
        rows = slice(block * n, (block + 1) * n)
        leaves[f"W_{gate}x"] = (oracle.weight_ih_l0, rows)
        leaves[f"W_{gate}h"] = (oracle.weight_hh_l0, rows)
        leaves[f"b_{gate}"] = (oracle.bias_ih_l0, rows)
    return _read_out(network, oracle(inputs)[0], leaves)


def wide_peephole_lstm(network: nn.Module, inputs: Tensor) -> Answer:
    """The peephole LSTM as products of wide matrices with [x, h, c, 1]; torch has none."""
    w = {name: p.detach().clone().requires_grad_() for name, p in network.named_parameters()}
    n = len(w["b_g"])
    peep = {"g": torch.zeros_like(w["p_i"])} | {gate: w[f"p_{gate}"] for gate in "ifo"}
    W = {
        k: torch.cat([w[f"W_{k}x"], w[f"W_{k}h"], peep[k].diag(), w[f"b_{k}"][:, None]], dim=1)
        for k in "gifo"
    }
    ones = inputs.new_ones(len(inputs), 1)
    h = c = inputs.new_zeros(len(inputs), n)
    for x in inputs.unbind(dim=1):
        seen = torch.cat([x, h, c, ones], dim=1)
        c = (W["f"] @ seen.T).sigmoid().T * c + (
            (W["i"] @ seen.T).sigmoid() * (W["g"] @ seen.T).tanh()
        ).T
        h = (W["o"] @ torch.cat([x, h, c, ones], dim=1).T).sigmoid().T * c.tanh()
    return _read_out(network, h[:, None], w)


def summed_mingru(network: nn.Module, inputs: Tensor) -> Answer:
    """The minGRU as a sum: of z(t) h~(t) times the product over s > t of 1 - z(s)."""
    w = {name: p.detach().clone().requires_grad_() for name, p in network.named_parameters()}
    linear = torch.nn.functional.linear
    z = linear(inputs, w["W_zx"], w["b_z"]).sigmoid()  # (B, T - 1, N)
    candidates = linear(inputs, w["W_hx"], w["b_h"])
    left = (1 - z).flip(1).cumprod(1).flip(1)  # from step t on, (B, T - 1, N)
    after = torch.cat([left[:, 1:], torch.ones_like(left[:, :1])], dim=1)
    return _read_out(network, (z * candidates * after).sum(dim=1, keepdim=True), w)


def _read_out(network: nn.Module, hidden: Tensor, leaves: dict) -> Answer:
    """The linear read-out of the last hidden state, by torch.nn.functional.linear."""
    W_ph = network.W_ph.detach().clone().requires_grad_()
    b_p = network.b_p.detach().clone().requires_grad_()
    logits = torch.nn.functional.linear(hidden[:, -1], W_ph, b_p)
    return Answer(logits, leaves | {"W_ph": W_ph, "b_p": b_p})


class WholeGRU(nn.Module):
    """A cell of one's own, as a user may bring it: a whole module, without a step."""

    def __init__(self, input_size: int, hidden_size: int, num_classes: int) -> None:
        super().__init__()
        self.recurrence = nn.GRU(input_size, hidden_size, batch_first=True)
        self.W_ph = nn.Linear(hidden_size, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.W_ph(self.recurrence(inputs)[0][:, -1])


def _kept_by_f(network: nn.Module) -> Tensor:
    """What a forget gate keeps by its bias alone, (N,)."""
    return network.b_f.sigmoid()


def _counted(gates: int, recurrent: int = 1, extra: int = 0) -> Callable[[int, int, int], int]:
    """n (d + n + 1) a gate, where it has a recurrent matrix, and K (n + 1) for the read-out."""
    return lambda d, n, K: gates * n * (d + recurrent * n + 1) + extra * n + K * (n + 1)


_LSTM = ("W_gh", "W_ih", "W_fh", "W_oh")

CASES = {
    case.name: case
    for case in (
        CellCase("rnn", rnn, _counted(1), torch_rnn, ("W_hh",), reads_digits=True),
        CellCase("lstm", lstm, _counted(4), torch_lstm, _LSTM, _kept_by_f, reads_digits=True),
        CellCase("relu-rnn", ReLURNN, _counted(1), torch_relu_rnn, ("W_hh",), first_seed=11),
        CellCase(
            "gru",
            GRU,
            _counted(3),
            torch_gru,
            ("W_rh", "W_zh", "W_hh"),
            lambda network: network.b_z.sigmoid(),
        ),
        CellCase(
            "peephole-lstm",
            PeepholeLSTM,
            _counted(4, extra=3),
            wide_peephole_lstm,
            _LSTM,
            _kept_by_f,
        ),
        CellCase(
            "mingru",
            MinGRU,
            _counted(2, recurrent=0),
            summed_mingru,
            kept=lambda network: 1 - network.b_z.sigmoid(),
        ),
        CellCase("cases:WholeGRU", WholeGRU, _counted(3, extra=3)),
    )
}
