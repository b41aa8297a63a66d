"""The units of a gated network that keep their state: which hold the digit, what hangs on it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from digitspan.runs.record import RunRecord
from digitspan.study.reading import SavedRun
from digitspan.tasks.questions import encode
from digitspan.training.engine import load_network

__all__ = ["COUNTED", "KEPT", "RELEASED", "KeptCells", "kept_cells"]

KEPT = 0.5
"""A unit keeps its state where its keeping gates have a product above this, from half-way on."""

COUNTED = 0.3
"""It counts where what is written to it has a mean above this in size: what it keeps runs away in
one direction, whatever the digits are."""

RELEASED = 0.5
"""The keeping gate of a unit that is made to let go."""


class KeptCells(NamedTuple):
    """Where a gated network has the digit half-way through its palindromes, and what hangs on it.

    The state that a gate keeps is c of an LSTM and h of a GRU, here both called cells. Keeping
    units are those of `KEPT`: counting ones are those of `COUNTED`, holding ones all others. All
    shares are of the palindromes. A mean over units is nan where there is none.
    """

    record: RunRecord
    """The network's run."""
    group: np.ndarray
    """Of each unit: 0 holding, 1 counting, 2 neither; shape (N,)."""
    by_kept: float
    """Half-way the cells of all keeping units are replaced by those of a palindrome with another
    first digit: the share of answers that are that other digit."""
    by_rest: float
    """The same, where all but these cells is replaced: an LSTM's h, and the other units' cells."""
    by_holding: float
    """The same, where the cells of the holding units alone are replaced."""
    by_counting: float
    """The same, where the cells of the counting units alone are replaced."""
    right: float
    """The share of right answers where nothing is changed."""
    released: float
    """The same, where from half-way on the keeping gates of the holding units are `RELEASED`."""
    released_others: float
    """The same with those of as many others, where there are so many: the ones that keep most."""
    opened: float
    """The same, where from half-way on the input gates of the holding units are what they are at
    the first digit on average; as all that follows on gates, nan for a network without them."""
    opened_others: float
    """The same with those of the others."""
    inputs: np.ndarray
    """Mean input gate of the holding units at each digit, shape (L,)."""
    outputs: np.ndarray
    """Mean output gate of the holding units likewise."""
    counting_inputs: np.ndarray
    """Mean input gate of the counting units likewise."""
    spread: float
    """Standard deviation over the palindromes of tanh(c) half-way, mean over the holding units."""
    counting_spread: float
    """The same over the counting units."""
    counting_size: float
    """Mean size of the counting units' cells after the last digit."""
    along: float
    """`GradientPath.share` from half-way on: the gradient that never leaves the cell."""

    @property
    def holding(self) -> int:
        """How many units hold."""
        return int((self.group == 0).sum())

    @property
    def counting(self) -> int:
        """How many units count."""
        return int((self.group == 1).sum())

    @property
    def keeping(self) -> int:
        """How many units keep their cell."""
        return self.holding + self.counting

    @property
    def input_late(self) -> float:
        """Mean input gate of the holding units over the second half of the digits."""
        return float(self.inputs[len(self.inputs) // 2 :].mean())


def kept_cells(
    kept: SavedRun, digits: np.ndarray, along: float, *, keeping: tuple[str, str]
) -> KeptCells:
    """Look for the units that hold the digit: exchange their cells, and force their gates.

    Args:
        kept: the run of a trained gated network.
        digits: whole palindromes, shape (B, T); not all with the same first digit.
        along: see `KeptCells.along`.
        keeping: the part of the state that a gate keeps, and that gate's symbol.
    """
    network: Any = load_network(kept.config, kept.weights)
    part, gate = keeping
    first_digit = digits[:, 0]
    inputs = encode(torch.as_tensor(digits[:, :-1]), kept.config.input_size, torch.float32)
    half = inputs.shape[1] // 2
    with torch.no_grad():
        states, seen = [network.initial_state(len(inputs))], []
        for t in range(inputs.shape[1]):
            seen.append(network.gates(inputs[:, t], states[-1]))
            states.append(network.step(inputs[:, t], states[-1]))
        none = torch.full_like(seen[0][gate], torch.nan)
        i, o, f = (torch.stack([g.get(name, none) for g in seen]) for name in ("i", "o", gate))
        cells = torch.stack([getattr(state, part) for state in states])  # (L + 1, B, N)
        written = cells[1:] - f * cells[:-1]
        product = f[half:].prod(dim=0).mean(dim=0)  # (N,)
        is_kept = product > KEPT
        counting = is_kept & (written[half:].mean(dim=(0, 1)).abs() > COUNTED)
        holding = is_kept & ~counting
        others = torch.zeros_like(holding)
        by_product = torch.argsort(torch.where(holding, -1.0, product), descending=True)
        others[by_product[: int(holding.sum())]] = True
        others &= ~holding

        state = states[half]
        other = torch.as_tensor(_with_another_first_digit(first_digit))
        swapped = type(state)(*(value[other] for value in state))

        def exchanged(units: Tensor, own: Any, others: Any) -> float:
            """The answers that are the other's digit, the cells of some units replaced."""
            mixed = torch.where(units, getattr(others, part), getattr(own, part))
            mixed_state = own._replace(**{part: mixed})
            return _answered(network, inputs[:, half:], mixed_state, first_digit[other])

        def forced(name: str, units: Tensor, value: Tensor) -> float:
            """The right answers, a gate of some units held at a value."""
            if name not in seen[0]:
                return float("nan")
            held = _Held(name, units, value, keeping)
            return _answered(network, inputs[:, half:], state, first_digit, held)

        let_go, open_as_first = torch.full_like(product, RELEASED), i[0].mean(dim=0)
        spread = torch.tanh(cells[half]).std(dim=0)
        return KeptCells(
            record=kept.record,
            group=torch.where(holding, 0, torch.where(counting, 1, 2)).numpy(),
            by_kept=exchanged(is_kept, state, swapped),
            by_rest=exchanged(is_kept, swapped, state),
            by_holding=exchanged(holding, state, swapped),
            by_counting=exchanged(counting, state, swapped),
            right=_answered(network, inputs[:, half:], state, first_digit),
            released=forced(gate, holding, let_go),
            released_others=forced(gate, others, let_go),
            opened=forced("i", holding, open_as_first),
            opened_others=forced("i", others, open_as_first),
            inputs=i[:, :, holding].mean(dim=(1, 2)).numpy(),
            outputs=o[:, :, holding].mean(dim=(1, 2)).numpy(),
            counting_inputs=i[:, :, counting].mean(dim=(1, 2)).numpy(),
            spread=float(spread[holding].mean()),
            counting_spread=float(spread[counting].mean()),
            counting_size=float(cells[-1][:, counting].abs().mean()),
            along=along,
        )


class _Held(NamedTuple):
    """A gate that is held at values."""

    name: str
    """Its symbol."""
    units: Tensor
    """Of which units, shape (N,)."""
    value: Tensor
    """At what, shape (N,)."""
    keeping: tuple[str, str]
    """As `kept_cells` takes it."""

    def step(self, network: Any, x: Tensor, state: Any) -> Any:
        """One time step with that gate held."""
        part, gate = self.keeping
        gates, after = network.gates(x, state), network.step(x, state)
        old = getattr(state, part)
        written = getattr(after, part) - gates[gate] * old
        held = torch.where(self.units, self.value, gates[self.name])
        if self.name == gate:
            cell = held * old + written
        else:  # the input gate of an LSTM, which multiplies the candidate
            cell = gates[gate] * old + gates["g"] * held
        if part == "hidden":
            return after._replace(hidden=cell)
        return type(after)(torch.tanh(cell) * gates["o"], cell)  # (9)


def _answered(
    network: Any, inputs: Tensor, state: Any, digit: np.ndarray, held: _Held | None = None
) -> float:
    """The share of answers that are a given digit.

    Args:
        network: a gated one.
        inputs: what it has still to read, shape (B, L, D).
        state: from which it goes on.
        digit: shape (B,).
        held: where a gate is held.
    """
    for t in range(inputs.shape[1]):
        x = inputs[:, t]
        state = held.step(network, x, state) if held else network.step(x, state)
    answers = network.read_out(state).argmax(dim=1).numpy()
    return float((answers == digit).mean())


def _with_another_first_digit(first: np.ndarray) -> np.ndarray:
    """For each palindrome the next one that begins with another digit, shape (B,)."""
    count = len(first)
    return np.array(
        [
            next((i + k) % count for k in range(count) if first[(i + k) % count] != first[i])
            for i in range(count)
        ]
    )
