"""The sheet's equations, and every way to get them wrong that the checker knows, in NumPy.

A `CellVariant` with its default fields is the sheet's: equations (1)-(2) or (4)-(10). Each other
value of a field is one fault. The numbers of a cell stand in one vector, its *canonical* numbers,
in the order of `CanonicalLayout`; the functions here compute many settings of that vector at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "COPIES",
    "GATES",
    "CanonicalArray",
    "CanonicalLayout",
    "CellVariant",
    "NetworkSizes",
    "Numbers",
    "Watch",
    "answers",
]

Numbers = NDArray[np.float64]

GATES = {"rnn": ("h",), "lstm": ("g", "i", "f", "o")}
"""The gates of each kind of cell, in the order of their equations."""

COPIES = {"unit": 1, "twice": 2, "three times": 3, "four times": 4}
"""How many numbers may add up to each bias, by the words of `CellVariant.bias`."""

SHEET_ACTIVATIONS = {"rnn": ("tanh",), "lstm": ("tanh", "sigmoid", "sigmoid", "sigmoid")}


class NetworkSizes(NamedTuple):
    """The sizes of a network and of what it is fed."""

    batch: int
    """B."""
    hidden: int
    """N."""
    inputs: int
    """D: 1 for digits as numbers, 10 for one-hot digits."""
    classes: int
    """K, the width of the answer."""


@dataclasses.dataclass(frozen=True)
class CellVariant:
    """A network's equations; the defaults are the sheet's."""

    kind: str
    """"rnn" or "lstm"."""
    activations: tuple[str, ...]
    """The non-linearity of each gate."""
    outer: str = "tanh"
    """The non-linearity of c in equation (9)."""
    update: str = "g i + c f"
    """Equation (8)."""
    output: str = "a o"
    """Equation (9), with a = tanh(c)."""
    recurrent: str = "hidden"
    """What stands for h(t-1) inside the gates: "hidden", "cell" or "nothing"."""
    around: str = "all"
    """Equation (1): what the tanh stands around: "all", or what is left outside."""
    blind: int = -1
    """A gate that does not read h(t-1); -1: none."""
    bias: str = "unit"
    """"unit": one a unit; one of the other `COPIES`; "none", "sample" (along the batch), "column"
    (one a unit and sample), "scalar" (one number a gate)."""
    unbiased: int = -1
    """A gate without a bias; -1: none."""
    x_from: tuple[int, ...] = (0, 1, 2, 3)
    """Whose input weights each gate uses."""
    h_from: tuple[int, ...] = (0, 1, 2, 3)
    """Whose recurrent weights each gate uses."""
    b_from: tuple[int, ...] = (0, 1, 2, 3)
    """Whose bias each gate uses."""
    read_out: str = "hidden"
    """What the logits are made of: "hidden", "cell", "sum of steps" or "mean of steps"."""
    read_out_bias: str = "unit"
    """As `bias`, for b_p."""
    after: str = "nothing"
    """A non-linearity on the logits: "nothing", "tanh", "sigmoid" or "relu"."""
    start: str = "zero"
    """h(0) and c(0): "zero", "ones", "learned h", "learned c", "learned both", or "learned as one"
    where the same numbers are both; each of these four also "a sample"."""

    @property
    def gates(self) -> tuple[str, ...]:
        """The names of the gates."""
        return GATES[self.kind]

    @classmethod
    def of_the_sheet(cls, kind: str) -> CellVariant:
        """Equations (1)-(2), or (4)-(10)."""
        return cls(kind, SHEET_ACTIVATIONS[kind])


class CanonicalArray(NamedTuple):
    """One array of canonical numbers."""

    name: str
    """W_x, W_h, b, W_p, b_p, h_0, c_0, or hc_0 where the same numbers are both."""
    shape: tuple[int, ...]
    copies: int
    """How many of the hand-in's numbers add up to each of them."""
    start: int
    """Where it begins in the vector."""

    @property
    def size(self) -> int:
        """How many numbers."""
        return int(np.prod(self.shape))


class CanonicalLayout:
    """Where each canonical number of a cell stands in the vector.

    Args:
        cell: the equations.
        sizes: the sizes.
    """

    def __init__(self, cell: CellVariant, sizes: NetworkSizes) -> None:
        G, N, B = len(cell.gates), sizes.hidden, sizes.batch
        K, D = sizes.classes, sizes.inputs
        self.arrays: dict[str, CanonicalArray] = {}
        self.size = 0
        self._add("W_x", (G, N, D))
        self._add("W_h", (G, N, N))
        self._add_bias("b", cell.bias, (G,), B, N)
        self._add("W_p", (K, N))
        self._add_bias("b_p", cell.read_out_bias, (), B, K)
        rows = B if cell.start.endswith("a sample") else 1
        for state in ("h", "c"):
            if cell.start.startswith((f"learned {state}", "learned both")):
                self._add(f"{state}_0", (rows, N))
        if cell.start.startswith("learned as one"):
            self._add("hc_0", (rows, N))

    def _add(self, name: str, shape: tuple[int, ...], copies: int = 1) -> None:
        """Append an array to the vector."""
        self.arrays[name] = CanonicalArray(name, shape, copies, self.size)
        self.size += self.arrays[name].size

    def _add_bias(self, name: str, form: str, gates: tuple[int, ...], B: int, units: int) -> None:
        """Append a bias of one of the forms of `CellVariant.bias`."""
        rows = B if form in ("sample", "column") else 1
        columns = 1 if form in ("sample", "scalar") else units
        if form != "none":
            self._add(name, (*gates, rows, columns), COPIES.get(form, 1))

    def copies(self) -> Numbers:
        """How many of the hand-in's numbers stand for each canonical one, shape (C,)."""
        return np.concatenate(
            [np.full(array.size, float(array.copies)) for array in self.arrays.values()]
        )

    def slice(self, name: str) -> slice:
        """The positions of an array."""
        array = self.arrays[name]
        return slice(array.start, array.start + array.size)

    def array(self, vector: Numbers, name: str) -> Numbers:
        """An array out of vectors, shape (R, C), as (R, *its shape); zeros where there is none."""
        if name not in self.arrays:
            return np.zeros((len(vector), *(1,) * (3 if name == "b" else 2)))
        return vector[:, self.slice(name)].reshape(len(vector), *self.arrays[name].shape)


Watch = Callable[[str, Numbers], None]
"""Is told a name and its value, shape (R, B, N), at each step: "inside g" before and "g" after the
non-linearity for each gate, "c", "h"; in the end "p", shape (R, B, K)."""


def answers(
    cell: CellVariant,
    layout: CanonicalLayout,
    vectors: Numbers,
    inputs: Numbers,
    watch: Watch = lambda name, value: None,
) -> Numbers:
    """What a cell answers for the last step, shape (R, B, K).

    Args:
        cell: the equations.
        layout: of the same cell.
        vectors: settings of the canonical numbers, shape (R, C).
        inputs: encoded digits, shape (B, T, D).
        watch: is told what is computed on the way.
    """
    gates = len(cell.gates)
    W_x = layout.array(vectors, "W_x")[:, list(cell.x_from[:gates])]
    W_h = layout.array(vectors, "W_h")[:, list(cell.h_from[:gates])]
    b = layout.array(vectors, "b")
    if "b" in layout.arrays:
        b = b[:, list(cell.b_from[:gates])]
        if cell.unbiased >= 0:
            b[:, cell.unbiased] = 0
    if cell.blind >= 0:
        W_h[:, cell.blind] = 0
    W_p, b_p = layout.array(vectors, "W_p"), layout.array(vectors, "b_p")

    R, B, N = len(vectors), inputs.shape[0], W_h.shape[-1]
    first = layout.array(vectors, "hc_0") + (1.0 if cell.start == "ones" else 0.0)
    h = np.broadcast_to(layout.array(vectors, "h_0") + first, (R, B, N))
    c = np.broadcast_to(layout.array(vectors, "c_0") + first, (R, B, N))
    from_x = np.einsum("btd,rgnd->trgbn", inputs, W_x)
    total = np.zeros_like(h)
    for x in from_x:
        read = {"hidden": h, "cell": c, "nothing": np.zeros_like(h)}[cell.recurrent]
        from_h = read[:, None] @ W_h.transpose(0, 1, 3, 2)  # (R, G, B, N)
        h, c = _step(cell, x, from_h, b, h, c, watch)
        watch("c", c)
        watch("h", h)
        total = total + h
    mean = total / len(from_x)
    sources = {"hidden": h, "cell": c, "sum of steps": total, "mean of steps": mean}
    logits = sources[cell.read_out] @ W_p.transpose(0, 2, 1) + b_p
    watch("p", logits)
    return _ACTIVATIONS[cell.after](logits)


def _step(
    cell: CellVariant,
    x: Numbers,
    from_h: Numbers,
    b: Numbers,
    h: Numbers,
    c: Numbers,
    watch: Watch,
) -> tuple[Numbers, Numbers]:
    """h(t) and c(t), shape (R, B, N) each."""
    if cell.kind == "rnn":
        watch("inside h", x[:, 0] + from_h[:, 0] + b[:, 0])
        act = _ACTIVATIONS[cell.activations[0]]
        return _AROUND[cell.around](act, x[:, 0], from_h[:, 0], b[:, 0]), c
    inside = x + from_h + b
    g, i, f, o = gates = [
        _ACTIVATIONS[name](inside[:, gate]) for gate, name in enumerate(cell.activations)
    ]
    for position, (name, gate) in enumerate(zip(cell.gates, gates, strict=True)):
        watch(f"inside {name}", inside[:, position])
        watch(name, gate)
    c = _UPDATES[cell.update](g, i, f, c, h)
    a = _ACTIVATIONS[cell.outer](c)
    return _OUTPUTS[cell.output](a, o, c, cell), c


def _sigmoid(z: Numbers) -> Numbers:
    return 0.5 * (1 + np.tanh(0.5 * z))


def _softmax(z: Numbers) -> Numbers:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


_ACTIVATIONS: dict[str, Callable[[Numbers], Numbers]] = {
    "nothing": lambda z: z,
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "linear": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "softmax": _softmax,
    "tanh of tanh": lambda z: np.tanh(np.tanh(z)),
    "sigmoid of sigmoid": lambda z: _sigmoid(_sigmoid(z)),
    "hard sigmoid": lambda z: np.clip(z / 6 + 0.5, 0, 1),
    "hard tanh": lambda z: np.clip(z, -1, 1),
}

_AROUND: dict[str, Callable[..., Numbers]] = {
    "all": lambda act, x, h, b: act(x + h + b),
    "h outside": lambda act, x, h, b: act(x + b) + h,
    "b outside": lambda act, x, h, b: act(x + h) + b,
    "x outside": lambda act, x, h, b: act(h + b) + x,
    "twice": lambda act, x, h, b: act(act(x + h + b)),
    "product": lambda act, x, h, b: act(x * h + b),
}

_UPDATES: dict[str, Callable[..., Numbers]] = {
    "g i + c f": lambda g, i, f, c, h: g * i + c * f,
    "g i": lambda g, i, f, c, h: g * i,
    "g i + f": lambda g, i, f, c, h: g * i + f,
    "g i + h f": lambda g, i, f, c, h: g * i + h * f,
    "g i + c": lambda g, i, f, c, h: g * i + c,
    "g + c f": lambda g, i, f, c, h: g + c * f,
    "(g + i) + c f": lambda g, i, f, c, h: g + i + c * f,
    "g i + (c + f)": lambda g, i, f, c, h: g * i + c + f,
    "g i c f": lambda g, i, f, c, h: g * i * c * f,
    "g (1 - f) + c f": lambda g, i, f, c, h: g * (1 - f) + c * f,
    "g i - c f": lambda g, i, f, c, h: g * i - c * f,
    "c f": lambda g, i, f, c, h: c * f,
}

_OUTPUTS: dict[str, Callable[..., Numbers]] = {
    "a o": lambda a, o, c, cell: a * o,
    "a + o": lambda a, o, c, cell: a + o,
    "a": lambda a, o, c, cell: a,
    "act(c o)": lambda a, o, c, cell: _ACTIVATIONS[cell.outer](c * o),
    "act(c + o)": lambda a, o, c, cell: _ACTIVATIONS[cell.outer](c + o),
    "o": lambda a, o, c, cell: o,
    "a - o": lambda a, o, c, cell: a - o,
}
