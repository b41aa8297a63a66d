"""The built-in cells in their fast form: R networks at a time, gradients by hand.

The readable forms are `digitspan.part1` and `digitspan.cells`, the derivation of the sheet's two
`digitspan.look.bptt`; this one is tested equal to them. What makes it fast:

* Feature-major: a state is (N, B), not (B, N), so that each gate is one contiguous block of rows.
* One product per step: the state, the encoded digit and a 1 stand in one matrix X(t) = [h; x; 1],
  so that W = [W_h W_x b], all gates on top of one another, gives every pre-activation as W X(t);
  and dL/dW is the sum over t of d_a(t) X(t)^T, again one product per step.
* All buffers and their views are made once; every operation writes into one.
* R networks are one batch of matrices. One network is R = 1: there is no second path.
"""

from __future__ import annotations

import abc
import copy
from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from digitspan.cells.gru import GRU
from digitspan.cells.mingru import MinGRU
from digitspan.cells.peephole_lstm import PeepholeLSTM
from digitspan.cells.relu_rnn import ReLURNN
from digitspan.part1.lstm import LSTM
from digitspan.part1.vanilla_rnn import VanillaRNN
from digitspan.tasks import SILENT
from digitspan.tasks.questions import encode

__all__ = ["FusedForm", "Packed", "Sizes", "Unrolled", "answer", "differentiate", "fused_form"]

_COLUMNS_IN = 16
"""W is padded to a multiple of so many columns: products into odd widths are a quarter slower."""

_DIGITS_AT_ONCE = 4
"""Steps that an evaluation holds at a time: few, so that their buffers stay in the cache."""

_SCANNED_AT_ONCE = 8
"""Steps of the minGRU whose symbols are one product: few, so that they stay in the cache."""

_MINUS_1 = torch.tensor(-1.0)


class Sizes(NamedTuple):
    """The shape of a network, and with it the places of its parameters in one row of numbers."""

    gates: str
    """One letter for each block of rows of W: "h" for the RNN, "gifo" for the LSTM, "rzh" for the
    GRU, "zh" for the minGRU."""
    hidden_size: int
    """n."""
    input_size: int
    """d."""
    num_classes: int
    """K."""
    sees_state: bool = True
    """Whether the gates see h(t-1), so that W has columns for it."""
    peepholes: str = ""
    """The gates that see the memory cell as well, unit by unit."""

    @classmethod
    def of(cls, network: nn.Module, gates: str) -> Self:
        """Those of a network, read off its parameters."""
        names = dict(network.named_parameters())
        hidden_size, input_size = names[f"W_{gates[0]}x"].shape
        sees_state = f"W_{gates[0]}h" in names
        peepholes = "".join(gate for gate in gates if f"p_{gate}" in names)
        return cls(gates, hidden_size, input_size, len(names["W_ph"]), sees_state, peepholes)

    @property
    def state_columns(self) -> int:
        """Columns of W for h: n, or none. Those for x follow, then the bias's."""
        return self.hidden_size if self.sees_state else 0

    @property
    def bias_column(self) -> int:
        """The bias's column of W; behind it, where there are any, the peepholes'."""
        return self.state_columns + self.input_size

    @property
    def rows(self) -> int:
        """Rows of W: n for each gate."""
        return len(self.gates) * self.hidden_size

    @property
    def columns(self) -> int:
        """Columns of W: n for h, d for x, one for the bias, and zeros up to a round number.

        Where there are peepholes one of these is theirs: X is 0 there, so that no product sees it.
        """
        used = self.bias_column + 1 + bool(self.peepholes)
        return -(-used // _COLUMNS_IN) * _COLUMNS_IN

    @property
    def recurrent(self) -> int:
        """Where the read-out begins in the row of numbers."""
        return self.rows * self.columns

    @property
    def total(self) -> int:
        """Numbers in the row, P."""
        return self.recurrent + self.num_classes * (self.hidden_size + 1)


class Packed:
    """The parameters of R networks, or their gradients: rows (R, P), and views into them."""

    def __init__(self, flat: Tensor, sizes: Sizes) -> None:
        self.flat, self.sizes = flat, sizes
        classes, n = sizes.num_classes, sizes.hidden_size
        W, W_ph, b_p = flat.split([sizes.recurrent, classes * n, classes], dim=1)
        self.W = W.unflatten(1, (sizes.rows, sizes.columns))  # [W_h W_x b], (R, G N, C)
        self.W_ph = W_ph.unflatten(1, (classes, n))  # (R, K, N)
        self.b_p = b_p.unsqueeze(2)  # (R, K, 1)

    @classmethod
    def of(cls, network: nn.Module, sizes: Sizes) -> Self:
        """A network's parameters, copied, as a single row."""
        packed = cls(network.get_parameter("W_ph").new_zeros(1, sizes.total), sizes)
        for name, view in packed.named(0).items():
            view.copy_(network.get_parameter(name))
        return packed

    def named(self, row: int) -> dict[str, Tensor]:
        """Views of one network's parameters by name, with their shapes on the sheet."""
        sizes = self.sizes
        bias, views = sizes.bias_column, {}
        for gate, block in zip(sizes.gates, self.W[row].split(sizes.hidden_size), strict=True):
            if sizes.sees_state:
                views[f"W_{gate}h"] = block[:, : sizes.state_columns]
            views[f"W_{gate}x"] = block[:, sizes.state_columns : bias]
            views[f"b_{gate}"] = block[:, bias]
            if gate in sizes.peepholes:
                views[f"p_{gate}"] = block[:, bias + 1]
        return views | {"W_ph": self.W_ph[row], "b_p": self.b_p[row, :, 0]}

    def adopt(self, network: nn.Module, row: int) -> None:
        """Let a network's parameters live in a row: each becomes a view into it."""
        for name, view in self.named(row).items():
            network.get_parameter(name).data = view


class Unrolled(abc.ABC):
    """The buffers of R networks that read S digits of B palindromes, and the steps through them.

    Their shape is (R, B, S); they are of the type and on the device of `like`.
    """

    def __init__(self, sizes: Sizes, shape: tuple[int, ...], like: Tensor) -> None:
        networks, batch_size, steps = shape
        n, bias = sizes.hidden_size, sizes.bias_column
        X = like.new_zeros(steps + 1, networks, sizes.columns, batch_size)
        X[:, :, bias] = 1  # the bias's input
        self.sizes, self.shape = sizes, shape
        self.digits = X[:steps, :, sizes.state_columns : bias]  # (S, R, D, B)
        self.X = X.unbind()  # [h(t); x(t+1); 1], (R, C, B) each, t = 0 ... S
        states = X if sizes.sees_state else like.new_zeros(steps + 1, networks, n, batch_size)
        self.h = states[:, :, :n].unbind()  # h(t), (R, N, B) each

    def read(self, digits: Tensor) -> None:
        """Encode digits, shape (R, B, S), into the buffers."""
        digits = digits.permute(2, 0, 1).unsqueeze(2)  # (S, R, 1, B)
        if self.sizes.input_size == 1:
            self.digits.copy_(digits).masked_fill_(digits == SILENT, -1)
        else:
            self.digits.zero_().scatter_(2, digits.long(), 1)

    def first(self, steps: int) -> Self:
        """The same buffers, for so many of their steps."""
        part = copy.copy(self)
        part.shape = (*self.shape[:2], steps)
        part.digits = self.digits[:steps]
        part.X, part.h = self.X[: steps + 1], self.h[: steps + 1]
        return part

    def go_on_from(self, before: Self) -> None:
        """Begin with the state that other buffers of the same R and B, or these, ended with."""
        self.h[0].copy_(before.h[-1])

    @abc.abstractmethod
    def forward(self, W: Tensor, *, fresh: bool) -> None:
        """All steps, from h(0) to h(S).

        Args:
            W: shape (R, G N, C).
            fresh: h(0) is known to be 0, so that the first step needs no recurrent product.
        """

    @abc.abstractmethod
    def backward(self, W: Tensor, d_read: Sequence[Tensor], d_W: Tensor) -> None:
        """All steps back after `forward(fresh=True)`.

        Args:
            W: shape (R, G N, C).
            d_read: what dL/dh(t) gets through the answer after step t, of each of the last A
                steps, shape (R, N, B) each; the last one is overwritten.
            d_W: dL/dW is added to it, shape (R, G N, C).
        """

    def _step_back(
        self, W_h_T: Tensor, d_a: Tensor, d_read: Sequence[Tensor], t: int, out: Tensor
    ) -> None:
        """dL/dh(t - 1), of what came back to the pre-activations of step t and its own answer."""
        place = t - 1 - len(self.h)  # of h(t - 1) from the end: -2 of the last but one
        if -place <= len(d_read):
            torch.baddbmm(d_read[place], W_h_T, d_a, out=out)
        else:
            torch.bmm(W_h_T, d_a, out=out)

    def _columns(self, t: int, *, fresh: bool) -> slice:
        """The columns of W that count in step t: not those of h(0) = 0."""
        return slice(self.sizes.hidden_size if fresh and t == 1 else 0, None)


def _tanh(x: Tensor, out: Tensor) -> Tensor:
    """Tanh as 2 sigmoid(2 x) - 1 on the CPU, where torch's tanh takes three times its sigmoid.

    In float32 it is off by 1e-7 at most, the distance of two numbers next to 1.
    """
    if not out.is_cpu:
        return torch.tanh(x, out=out)
    return torch.add(_MINUS_1, torch.mul(x, 2, out=out).sigmoid_(), alpha=2, out=out)


def _through_tanh(d: Tensor, y: Tensor, out: Tensor) -> Tensor:
    """The gradient before a tanh, d (1 - y^2), of the one behind it and the tanh's value y."""
    through: Tensor = torch.ops.aten.tanh_backward.grad_input(d, y, grad_input=out)
    return through


def _through_sigmoid(d: Tensor, y: Tensor, out: Tensor) -> Tensor:
    """The gradient before a sigmoid, d y (1 - y), of the one behind it and its value y."""
    through: Tensor = torch.ops.aten.sigmoid_backward.grad_input(d, y, grad_input=out)
    return through


def _relu(x: Tensor, out: Tensor) -> Tensor:
    """max(0, x)."""
    return torch.clamp(x, min=0, out=out)


def _through_relu(d: Tensor, y: Tensor, out: Tensor) -> Tensor:
    """The gradient before a ReLU, d where its value y is above 0, of the one behind it."""
    through: Tensor = torch.ops.aten.threshold_backward.grad_input(d, y, 0, grad_input=out)
    return through


class UnrolledRNN(Unrolled):
    """h(t) = tanh(W X(t-1)), equation (1)."""

    activate = staticmethod(_tanh)
    through = staticmethod(_through_tanh)

    def __init__(self, sizes: Sizes, shape: tuple[int, ...], like: Tensor) -> None:
        super().__init__(sizes, shape, like)
        self.a = like.new_empty(self.h[0].shape)  # pre-activations, or their gradients

    def forward(self, W: Tensor, *, fresh: bool) -> None:
        """See `Unrolled`."""
        for t in range(1, len(self.h)):
            columns = self._columns(t, fresh=fresh)
            torch.bmm(W[:, :, columns], self.X[t - 1][:, columns], out=self.a)
            self.activate(self.a, out=self.h[t])  # (1)

    def backward(self, W: Tensor, d_read: Sequence[Tensor], d_W: Tensor) -> None:
        """See `Unrolled`; `bptt.rnn_backward` derives it."""
        W_hh_T = W[:, :, : self.sizes.hidden_size].mT
        d_h = d_read[-1].contiguous()
        for t in range(len(self.h) - 1, 0, -1):
            columns = self._columns(t, fresh=True)
            d_a = self.through(d_h, self.h[t], out=self.a)
            d_W[:, :, columns].baddbmm_(d_a, self.X[t - 1][:, columns].mT)
            if t > 1:
                self._step_back(W_hh_T, d_a, d_read, t, out=d_h)


class UnrolledReLURNN(UnrolledRNN):
    """h(t) = max(0, W X(t-1))."""

    activate = staticmethod(_relu)
    through = staticmethod(_through_relu)


class UnrolledLSTM(Unrolled):
    """Equations (4) to (9), the gates' blocks of rows in the order g, i, f, o."""

    def __init__(self, sizes: Sizes, shape: tuple[int, ...], like: Tensor) -> None:
        super().__init__(sizes, shape, like)
        networks, batch_size, steps = shape
        n = sizes.hidden_size
        gates = like.new_empty(steps + 1, networks, 4 * n, batch_size)  # the first: workspace
        self.a = gates[0]  # pre-activations, or their gradients
        self.g = gates[:, :, :n].unbind()
        self.i = gates[:, :, n : 2 * n].unbind()
        self.f = gates[:, :, 2 * n : 3 * n].unbind()
        self.o = gates[:, :, 3 * n :].unbind()
        self.ifo = gates[:, :, n:].unbind()
        self.c = like.new_zeros(steps + 1, networks, n, batch_size).unbind()
        self.tanh_c = like.new_empty(steps + 1, networks, n, batch_size).unbind()

    def go_on_from(self, before: Self) -> None:
        """See `Unrolled`."""
        super().go_on_from(before)
        self.c[0].copy_(before.c[len(before.h) - 1])

    def forward(self, W: Tensor, *, fresh: bool) -> None:
        """See `Unrolled`."""
        for t in range(1, len(self.h)):
            columns = self._columns(t, fresh=fresh)
            torch.bmm(W[:, :, columns], self.X[t - 1][:, columns], out=self.a)
            _tanh(self.g[0], out=self.g[t])  # (4)
            torch.sigmoid(self.ifo[0], out=self.ifo[t])  # (5), (6), (7)
            torch.mul(self.g[t], self.i[t], out=self.c[t])
            self.c[t].addcmul_(self.c[t - 1], self.f[t])  # (8)
            _tanh(self.c[t], out=self.tanh_c[t])
            torch.mul(self.tanh_c[t], self.o[t], out=self.h[t])  # (9)

    def backward(self, W: Tensor, d_read: Sequence[Tensor], d_W: Tensor) -> None:
        """See `Unrolled`; `bptt.lstm_backward` derives it."""
        W_h_T = W[:, :, : self.sizes.hidden_size].mT
        d_h = d_read[-1].contiguous()
        d_a, d_ifo = self.a, self.ifo[0]
        d_g, d_i, d_f, d_o = self.g[0], self.i[0], self.f[0], self.o[0]
        d_c = torch.zeros_like(d_h)
        through_h = torch.empty_like(d_h)
        for t in range(len(self.h) - 1, 0, -1):
            columns = self._columns(t, fresh=True)
            torch.mul(d_h, self.tanh_c[t], out=d_o)
            torch.mul(d_h, self.o[t], out=through_h)
            d_c.add_(_through_tanh(through_h, self.tanh_c[t], out=through_h))  # (9)
            torch.mul(d_c, self.i[t], out=d_g)
            torch.mul(d_c, self.g[t], out=d_i)
            torch.mul(d_c, self.c[t - 1], out=d_f)
            d_c.mul_(self.f[t])  # (8)
            _through_tanh(d_g, self.g[t], out=d_g)  # (4)
            _through_sigmoid(d_ifo, self.ifo[t], out=d_ifo)  # (5), (6), (7)
            d_W[:, :, columns].baddbmm_(d_a, self.X[t - 1][:, columns].mT)
            if t > 1:
                self._step_back(W_h_T, d_a, d_read, t, out=d_h)


class UnrolledPeepholeLSTM(UnrolledLSTM):
    """The LSTM whose gates i, f and o see the memory cell, through the column behind the bias."""

    def forward(self, W: Tensor, *, fresh: bool) -> None:
        """See `Unrolled`."""
        n = self.sizes.hidden_size
        p_if, p_o = self._peepholes(W)
        a_if, a_o = self.ifo[0][:, : 2 * n].unflatten(1, (2, n)), self.o[0]
        for t in range(1, len(self.h)):
            columns = self._columns(t, fresh=fresh)
            torch.bmm(W[:, :, columns], self.X[t - 1][:, columns], out=self.a)
            if t > 1 or not fresh:
                a_if.addcmul_(p_if, self.c[t - 1].unsqueeze(1))
            _tanh(self.g[0], out=self.g[t])
            torch.sigmoid(self.ifo[0][:, : 2 * n], out=self.ifo[t][:, : 2 * n])
            torch.mul(self.g[t], self.i[t], out=self.c[t])
            self.c[t].addcmul_(self.c[t - 1], self.f[t])
            a_o.addcmul_(p_o, self.c[t])
            torch.sigmoid(a_o, out=self.o[t])
            _tanh(self.c[t], out=self.tanh_c[t])
            torch.mul(self.tanh_c[t], self.o[t], out=self.h[t])

    def backward(self, W: Tensor, d_read: Sequence[Tensor], d_W: Tensor) -> None:
        """See `Unrolled`."""
        n = self.sizes.hidden_size
        W_h_T = W[:, :, :n].mT
        p_if, p_o = self._peepholes(W)
        d_p_if, d_p_o = self._peepholes(d_W)
        d_h = d_read[-1].contiguous()
        d_a, d_if, d_ifo = self.a, self.ifo[0][:, : 2 * n], self.ifo[0]
        d_g, d_i, d_f, d_o = self.g[0], self.i[0], self.f[0], self.o[0]
        d_c = torch.zeros_like(d_h)
        through_h = torch.empty_like(d_h)
        seen = torch.zeros_like(d_ifo)  # what the gates saw of the cell, times their gradients
        seen_if, seen_o = seen[:, : 2 * n].unflatten(1, (2, n)), seen[:, 2 * n :]
        for t in range(len(self.h) - 1, 0, -1):
            columns = self._columns(t, fresh=True)
            torch.mul(d_h, self.tanh_c[t], out=d_o)
            _through_sigmoid(d_o, self.o[t], out=d_o)
            torch.mul(d_h, self.o[t], out=through_h)
            d_c.add_(_through_tanh(through_h, self.tanh_c[t], out=through_h))
            d_c.addcmul_(p_o, d_o)
            seen_o.addcmul_(d_o, self.c[t])
            torch.mul(d_c, self.i[t], out=d_g)
            torch.mul(d_c, self.g[t], out=d_i)
            torch.mul(d_c, self.c[t - 1], out=d_f)
            _through_tanh(d_g, self.g[t], out=d_g)
            _through_sigmoid(d_if, self.ifo[t][:, : 2 * n], out=d_if)
            d_W[:, :, columns].baddbmm_(d_a, self.X[t - 1][:, columns].mT)
            if t > 1:
                d_c.mul_(self.f[t]).addcmul_(p_if[:, 0], d_i).addcmul_(p_if[:, 1], d_f)
                seen_if.addcmul_(d_if.unflatten(1, (2, n)), self.c[t - 1].unsqueeze(1))
                self._step_back(W_h_T, d_a, d_read, t, out=d_h)
        d_p_if.add_(seen_if.sum(dim=3, keepdim=True))
        d_p_o.add_(seen_o.sum(dim=2, keepdim=True))

    def _peepholes(self, W: Tensor) -> tuple[Tensor, Tensor]:
        """p_i and p_f, shape (R, 2, N, 1), and p_o, shape (R, N, 1), as views into W."""
        n = self.sizes.hidden_size
        p = W[:, :, self.sizes.bias_column + 1].unsqueeze(2)
        return p[:, n : 3 * n].unflatten(1, (2, n)), p[:, 3 * n :]


class UnrolledGRU(Unrolled):
    """The gates' blocks of rows in the order r, z, h; r acts behind the recurrent product.

    With q(t) = W_hh h(t-1), the candidate is g(t) = tanh(W_hx x(t) + b_h + r(t) q(t)), and
    h(t) = g(t) + z(t) (h(t-1) - g(t)). So of the block h the columns of the state and the others
    are two products, and get two gradients.
    """

    def __init__(self, sizes: Sizes, shape: tuple[int, ...], like: Tensor) -> None:
        super().__init__(sizes, shape, like)
        networks, batch_size, steps = shape
        n = sizes.hidden_size
        gates = like.new_empty(steps + 1, networks, 3 * n, batch_size)  # the first: workspace
        self.a = gates[0]  # pre-activations, or their gradients
        self.r = gates[:, :, :n].unbind()
        self.z = gates[:, :, n : 2 * n].unbind()
        self.rz = gates[:, :, : 2 * n].unbind()
        self.g = gates[:, :, 2 * n :].unbind()
        self.q = like.new_zeros(steps + 1, networks, n, batch_size).unbind()  # q(1) stays 0

    def forward(self, W: Tensor, *, fresh: bool) -> None:
        """See `Unrolled`."""
        n = self.sizes.hidden_size
        for t in range(1, len(self.h)):
            columns = self._columns(t, fresh=fresh)
            torch.bmm(W[:, : 2 * n, columns], self.X[t - 1][:, columns], out=self.rz[0])
            torch.sigmoid(self.rz[0], out=self.rz[t])
            torch.bmm(W[:, 2 * n :, n:], self.X[t - 1][:, n:], out=self.g[0])
            if t > 1 or not fresh:
                torch.bmm(W[:, 2 * n :, :n], self.h[t - 1], out=self.q[t])
                self.g[0].addcmul_(self.r[t], self.q[t])
            _tanh(self.g[0], out=self.g[t])
            torch.lerp(self.g[t], self.h[t - 1], self.z[t], out=self.h[t])

    def backward(self, W: Tensor, d_read: Sequence[Tensor], d_W: Tensor) -> None:
        """See `Unrolled`."""
        n = self.sizes.hidden_size
        W_h_T = W[:, :, :n].mT
        d_h = d_read[-1].contiguous()
        d_a, d_r, d_z, d_rz, d_g = self.a, self.r[0], self.z[0], self.rz[0], self.g[0]
        kept = torch.empty_like(d_h)
        for t in range(len(self.h) - 1, 0, -1):
            torch.mul(d_h, self.z[t], out=kept)  # what goes on to h(t-1) by itself
            torch.sub(self.h[t - 1], self.g[t], out=d_z).mul_(d_h)
            torch.sub(d_h, kept, out=d_g)
            _through_tanh(d_g, self.g[t], out=d_g)
            torch.mul(d_g, self.q[t], out=d_r)
            _through_sigmoid(d_rz, self.rz[t], out=d_rz)
            d_W[:, :, n:].baddbmm_(d_a, self.X[t - 1][:, n:].mT)
            if t > 1:
                d_g.mul_(self.r[t])  # dL/dq(t)
                d_W[:, :, :n].baddbmm_(d_a, self.h[t - 1].mT)
                self._step_back(W_h_T, d_a, d_read, t, out=d_h)
                d_h.add_(kept)


class UnrolledMinGRU(Unrolled):
    """The gates' blocks of rows in the order z, h; they see the digit alone, and not the state.

    So z and h~ are computed once for each symbol k that there is, and a step is a scan, element by
    element: h(t) = u h(t-1) + v, with u = 1 - z_k and v = z_k h~_k of the symbol that is read.
    Back, with D(t) = dL/dh(t), it is D(t-1) = u D(t), and what comes to a symbol is a sum over the
    steps and rows that read it,

        dL/dh~_k = z_k sum D(t),   dL/dz_k = h~_k sum D(t) - sum D(t) h(t-1).
    """

    def __init__(self, sizes: Sizes, shape: tuple[int, ...], like: Tensor) -> None:
        super().__init__(sizes, shape, like)
        networks, batch_size, steps = shape
        n, d = sizes.hidden_size, sizes.input_size
        symbols = torch.arange(d if d > 1 else SILENT + 1, device=like.device)
        self.encoded = like.new_zeros(sizes.columns, len(symbols))  # [x; 1] of each symbol, (C, V)
        self.encoded[:d] = encode(symbols, d, like.dtype).mT
        self.encoded[d] = 1
        self.which = like.new_zeros(steps, networks, len(symbols), batch_size)  # one-hot
        self.uv = like.new_empty(_SCANNED_AT_ONCE * networks, 2 * n, batch_size)
        self.u = like.new_empty(_SCANNED_AT_ONCE * networks, n, batch_size)
        self.d = like.new_empty(networks, 2 * n, batch_size)

    def read(self, digits: Tensor) -> None:
        """See `Unrolled`."""
        which = digits.permute(2, 0, 1).unsqueeze(2).long()  # (S, R, 1, B)
        self.which[: len(which)].zero_().scatter_(2, which, 1)

    def forward(self, W: Tensor, *, fresh: bool) -> None:
        """See `Unrolled`."""
        n = self.sizes.hidden_size
        z, candidate = self._of_each_symbol(W)
        table = torch.cat([1 - z, z * candidate], dim=1).repeat(_SCANNED_AT_ONCE, 1, 1)
        for first in range(0, len(self.h) - 1, _SCANNED_AT_ONCE):
            for t, uv in enumerate(self._of_steps(table, first, self.uv), first):
                torch.addcmul(uv[:, n:], uv[:, :n], self.h[t], out=self.h[t + 1])

    def backward(self, W: Tensor, d_read: Sequence[Tensor], d_W: Tensor) -> None:
        """See `Unrolled`."""
        n = self.sizes.hidden_size
        z, candidate = self._of_each_symbol(W)
        table = (1 - z).repeat(_SCANNED_AT_ONCE, 1, 1)
        sums = W.new_zeros(len(W), 2 * n, self.encoded.shape[1])  # of D(t), and of D(t) h(t-1)
        d_h, d_h_h = self.d[:, :n], self.d[:, n:]
        d_h.copy_(d_read[-1])
        for first in reversed(range(0, len(self.h) - 1, _SCANNED_AT_ONCE)):
            of_steps = self._of_steps(table, first, self.u)
            for t, u in reversed(list(enumerate(of_steps, first))):  # back from h(t + 1) to h(t)
                torch.mul(d_h, self.h[t], out=d_h_h)
                sums.baddbmm_(self.d, self.which[t].mT)
                d_h.mul_(u)
                place = t - len(self.h)
                if -place <= len(d_read):
                    d_h.add_(d_read[place])
        d_candidate = z * sums[:, :n]
        d_z = (candidate * sums[:, :n] - sums[:, n:]) * z * (1 - z)
        d_W.add_(torch.cat([d_z, d_candidate], dim=1) @ self.encoded.mT)

    def _of_each_symbol(self, W: Tensor) -> tuple[Tensor, Tensor]:
        """Gate z and candidate h~ where a symbol is read, shape (R, N, V) each."""
        a_z, candidate = (W @ self.encoded).chunk(2, dim=1)
        return torch.sigmoid(a_z), candidate

    def _of_steps(self, table: Tensor, first: int, out: Tensor) -> tuple[Tensor, ...]:
        """What a table (R, M, V), repeated, has of the symbols of some steps, (R, M, B) each.

        Made anew on the way back: that takes less time than to keep it for all steps.
        """
        which = self.which[first : min(first + _SCANNED_AT_ONCE, len(self.h) - 1)]
        products = len(which) * which.shape[1]
        torch.bmm(table[:products], which.flatten(0, 1), out=out[:products])
        return out[:products].view(*which.shape[:2], *out.shape[1:]).unbind()


class FusedForm(NamedTuple):
    """How networks of one class and shape are trained fast."""

    sizes: Sizes
    """Of each network."""
    unrolled: type[Unrolled]
    """The class of their buffers."""

    def unroll(self, shape: tuple[int, ...], like: Tensor) -> Unrolled:
        """Buffers of the shape (R, B, S), of the type and on the device of `like`."""
        return self.unrolled(self.sizes, shape, like)


def fused_form(network: nn.Module) -> FusedForm | None:
    """The fast form of a network; None for all but the built-in cells."""
    if type(network) not in _FORMS:
        return None
    gates, unrolled = _FORMS[type(network)]
    return FusedForm(Sizes.of(network, gates), unrolled)


def differentiate(
    unrolled: Unrolled,
    weights: Packed,
    gradient: Packed,
    digits: Tensor,
    targets: Tensor,
    *,
    read_out_only: bool = False,
) -> Tensor:
    """The loss (3) of each of R networks, shape (R,), and its gradient, written to `gradient`.

    Args:
        unrolled: buffers of the shape (R, B, S).
        weights: the networks.
        gradient: where dL/dW goes, all of it.
        digits: shape (R, B, S).
        targets: shape (R, B), int64; or (R, B, A), one for each of the last A digits. The loss
            is the mean over them all.
        read_out_only: leave out the recurrent weights; their gradient is set to 0.
    """
    gradient.flat.zero_()
    unrolled.read(digits)
    unrolled.forward(weights.W, fresh=True)
    asked = targets.shape[2] if targets.dim() > 2 else 1
    # One answer after another along the last axis, of A B columns in all.
    h = torch.cat(unrolled.h[-asked:], dim=2) if asked > 1 else unrolled.h[-1]  # (R, N, A B)
    log_y = torch.log_softmax(torch.baddbmm(weights.b_p, weights.W_ph, h), dim=1)  # (R, K, A B)
    right = (targets.mT.flatten(1) if asked > 1 else targets).reshape(len(h), 1, -1)  # (R, 1, A B)
    losses = -log_y.gather(1, right).mean(dim=(1, 2))  # (3)
    d_p = log_y.exp().scatter_add_(1, right, -torch.ones_like(log_y[:, :1])).div_(h.shape[2])
    torch.bmm(d_p, h.mT, out=gradient.W_ph)
    torch.sum(d_p, dim=2, keepdim=True, out=gradient.b_p)
    if not read_out_only:
        d_read = torch.bmm(weights.W_ph.mT, d_p)  # (R, N, A B)
        unrolled.backward(weights.W, d_read.chunk(asked, dim=2), gradient.W)
    return losses


def answer(
    form: FusedForm, weights: Packed, pieces: Iterable[Tensor], asked: int | None = None
) -> Tensor:
    """The logits of R networks after the last digit, shape (R, B, K), in constant memory.

    Args:
        form: of the networks.
        weights: the networks.
        pieces: the digits in order, cut along the time: shape (B, any number) each.
        asked: give the logits after each of the last A digits instead, shape (R, B, A, K).
    """
    last: deque[Tensor] = deque(maxlen=asked or 1)
    parts = (part for piece in pieces for part in piece.split(_DIGITS_AT_ONCE, dim=1))
    unrolled, fresh = form.unroll((0, 0, 0), weights.flat), True
    for digits in parts:
        before, shape = unrolled, (len(weights.flat), *digits.shape)
        if before.shape != shape:
            unrolled = form.unroll(shape, weights.flat)
        if not fresh:
            unrolled.go_on_from(before)
        unrolled.read(digits.expand(shape))
        unrolled.forward(weights.W, fresh=fresh)
        fresh = False
        last.extend(h.clone() for h in unrolled.h[1:][-(asked or 1) :])  # the next ones overwrite
    logits = torch.baddbmm(weights.b_p, weights.W_ph, torch.cat(tuple(last), dim=2)).mT
    if asked is not None:  # (R, A B, K) so far
        logits = logits.reshape(len(logits), asked, -1, logits.shape[2]).transpose(1, 2)
    return logits


_FORMS: dict[type[nn.Module], tuple[str, type[Unrolled]]] = {
    VanillaRNN: ("h", UnrolledRNN),
    LSTM: ("gifo", UnrolledLSTM),
    ReLURNN: ("h", UnrolledReLURNN),
    GRU: ("rzh", UnrolledGRU),
    PeepholeLSTM: ("gifo", UnrolledPeepholeLSTM),
    MinGRU: ("zh", UnrolledMinGRU),
}
