"""Which of a hand-in's numbers is which of the equations', inferred from behaviour alone.

Names, shapes, order, orientation and stacking of the hand-in's tensors are not looked at. All
its numbers are set to one constant, where every assignment of roles gives the same function, and
each number is moved in turn: how the answer moves is its fingerprint, to be compared with the
fingerprints of the equations' numbers. Numbers whose role is found are then set to random
values, which tells the hidden units apart, until every role is known. In the end all numbers are
random, and the hand-in must answer as the equations do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from digitspan.check.network.equations import (
    CanonicalLayout,
    CellVariant,
    NetworkSizes,
    Numbers,
    answers,
)

__all__ = [
    "BASE",
    "NUDGE",
    "Fingerprints",
    "Network",
    "Roles",
    "canonical",
    "find_roles",
    "fingerprints",
]

BASE = 0.1
"""What every number whose role is not known is set to."""
_CALL = 8
"""What a call costs by itself, in settings of a cell."""
NUDGE = 0.3
"""How far a number is moved for its fingerprint."""


class Fingerprints(NamedTuple):
    """How a hand-in's answers move with each of its numbers, whatever these are."""

    at_base: Numbers
    """The answers before a number is moved, shape (B, K)."""
    moves: Numbers
    """How they change with each that is moved by `NUDGE`, shape (P, B, K) where all are."""


def fingerprints(
    ask: Callable[[Numbers], Numbers], values: Numbers, moved: np.ndarray
) -> Fingerprints:
    """Move some of the numbers in turn.

    Args:
        ask: answers, shape (R, B, K), for settings, shape (R, P).
        values: what the numbers are set to, shape (P,).
        moved: which of them are moved.
    """
    settings = np.tile(values, (len(moved) + 1, 1))
    settings[np.arange(len(moved)), moved] += NUDGE
    found = ask(settings)
    return Fingerprints(found[-1], found[:-1] - found[-1])


@dataclasses.dataclass(frozen=True)
class Network:
    """A hand-in's network as a function of its P numbers."""

    ask: Callable[[Numbers], Numbers]
    """Answers, shape (R, B, K), for settings, shape (R, P)."""
    first: Fingerprints
    inputs: Numbers
    """The digits as it may read them, encoded, shape (B, T, D)."""
    sizes: NetworkSizes
    tolerance: float
    """How far two equal answers may be apart, relative to the largest."""
    centre: Callable[[Numbers], Numbers]
    """Makes equal what only differs by what softmax does not see."""
    seed: int
    """Of the random values."""
    work: list[int]
    """One number: how much was computed for it so far, in settings of a cell."""

    @property
    def count(self) -> int:
        """P."""
        return len(self.first.moves)

    def close(self, one: Numbers, other: Numbers) -> bool:
        """Whether two answers are the same."""
        bound = self.tolerance * (1 + float(np.abs(other).max(initial=0)))
        return bool(np.isfinite(one).all() and (np.abs(one - other) <= bound).all())


class Roles(NamedTuple):
    """A cell that a network computes, and what each of the network's numbers is in it."""

    cell: CellVariant
    layout: CanonicalLayout
    of: np.ndarray[tuple[int], np.dtype[np.int64]]
    """The canonical number of each of the hand-in's numbers, shape (P,); -1: none, it is not
    used."""


def canonical(of: np.ndarray, values: Numbers, size: int) -> Numbers:
    """The canonical numbers, shape (size,), for values of the network's, shape (P,).

    Args:
        of: the canonical number of each of the network's, shape (P,); -1: none.
        values: of the network's numbers.
        size: how many canonical numbers there are.
    """
    return np.bincount(of[of >= 0], values[of >= 0], size).astype(np.float64)


def find_roles(network: Network, cell: CellVariant) -> Roles | None:
    """The roles under which a network computes a cell; None where there are none.

    Args:
        network: the hand-in's.
        cell: the equations to try.
    """
    layout = CanonicalLayout(cell, network.sizes)
    of = None
    # Under one draw a ReLU may be dead.
    for draw in (6, 10, 11) if "relu" in cell.activations else (6,):
        search = _Search(network, cell, layout, np.random.default_rng([network.seed, draw]))
        with np.errstate(all="ignore"):
            base = search.canonical_base(np.full(network.count, BASE))[None]
            if not network.close(network.first.at_base, search.canonical_answers(base)[0]):
                return None
            of = search.run()
        if of is not None:
            break
    return None if of is None else Roles(cell, layout, of)


class _Search:
    """One search for roles: which canonical numbers each of the hand-in's may still be."""

    def __init__(
        self,
        network: Network,
        cell: CellVariant,
        layout: CanonicalLayout,
        rng: np.random.Generator,
    ) -> None:
        self.network = network
        self.cell = cell
        self.layout = layout
        self.rng = rng
        self.copies = layout.copies()
        # The last column stands for "not used".
        self.possible = np.ones((network.count, layout.size + 1), dtype=bool)
        self.fixed: dict[int, int] = {}

    def run(self) -> np.ndarray[tuple[int], np.dtype[np.int64]] | None:
        """The roles, shape (P,), or None."""
        values = np.full(self.network.count, BASE)
        moved = np.arange(self.network.count)
        if not self.narrow(values, moved, self.network.first.moves):
            return None
        self.tell_units_apart()
        for _ in range(16):
            self.fix_what_is_certain()
            open_ones = np.flatnonzero(self.possible.sum(axis=1) > 1)
            values = self.random_values()
            moved = open_ones[~self.harmless(open_ones)]
            if len(moved) == 0:
                break
            before = self.possible.sum()
            if not self.narrow(values, moved, fingerprints(self.network.ask, values, moved).moves):
                return None
            if self.possible.sum() == before:
                self.break_a_tie(moved)
        return self.verified()

    def narrow(self, values: Numbers, moved: np.ndarray, seen: Numbers) -> bool:
        """Keep the roles whose fingerprints are those seen; False where a number has none left."""
        base = self.canonical_base(values)
        vectors = np.tile(base, (self.layout.size + 1, 1))
        vectors[np.arange(self.layout.size), np.arange(self.layout.size)] += NUDGE
        expected = self.canonical_answers(vectors)
        expected = (expected - expected[-1]).reshape(len(expected), -1)  # last: not used
        flat = seen.reshape(len(seen), -1)
        bound = 4 * self.network.tolerance * (1 + np.abs(flat).max(axis=1, initial=0))
        for number, fingerprint, limit in zip(moved, flat, bound, strict=True):
            same = (np.abs(expected - fingerprint) <= limit).all(axis=1)
            self.possible[number] &= same
            if not self.possible[number].any():
                return False
        return True

    def tell_units_apart(self) -> None:
        """Number the hidden units by their weights to the first class, in whatever order."""
        first = self.layout.slice("W_p")
        N = self.network.sizes.hidden
        wanted = np.zeros(self.layout.size + 1, dtype=bool)
        wanted[first.start : first.start + N] = True
        rows = [p for p in range(self.network.count) if (self.possible[p] == wanted).all()]
        if len(rows) == N:
            for unit, number in enumerate(rows):
                self.fix(number, first.start + unit)

    def fix_what_is_certain(self) -> None:
        """Fix the numbers that have one role left."""
        single = self.possible.sum(axis=1) == 1
        for number in np.flatnonzero(single):
            self.fix(int(number), int(np.flatnonzero(self.possible[number])[0]))

    def fix(self, number: int, role: int) -> None:
        """Say what a number is."""
        self.possible[number] = False
        self.possible[number, role] = True
        self.fixed[number] = role

    def break_a_tie(self, moved: np.ndarray) -> None:
        """Choose for one number: where nothing tells roles apart, they may be exchanged."""
        counts = self.possible[moved, :-1].sum(axis=1)
        order = [int(moved[i]) for i in np.argsort(counts, kind="stable") if counts[i] > 0]
        if order:
            self.fix(order[0], int(np.flatnonzero(self.possible[order[0], :-1])[0]))

    def harmless(self, numbers: np.ndarray) -> np.ndarray:
        """Which of these can only be numbers that never matter."""
        vectors = self.rng.uniform(-1, 1, (2, self.layout.size)) * self.scales()
        base = self.canonical_answers(vectors)
        matters = np.zeros(self.layout.size + 1, dtype=bool)
        for role in np.flatnonzero(self.possible[numbers].any(axis=0)):
            if role < self.layout.size:
                changed = vectors.copy()
                changed[:, role] += NUDGE
                matters[role] = not self.network.close(self.canonical_answers(changed), base)
        return np.asarray(~(self.possible[numbers] & matters).any(axis=1))

    def canonical_base(self, values: Numbers) -> Numbers:
        """The canonical vector, shape (C,), for values of the hand-in's numbers, shape (P,)."""
        base = BASE * self.copies
        for number, role in self.fixed.items():
            if role < self.layout.size:
                base[role] += values[number] - BASE
        return np.asarray(base)

    def canonical_answers(self, vectors: Numbers) -> Numbers:
        """What the cell answers, shape (R, B, K)."""
        self.network.work[0] += _CALL + len(vectors)
        return self.network.centre(answers(self.cell, self.layout, vectors, self.network.inputs))

    def scales(self) -> Numbers:
        """How large random canonical numbers are, shape (C,): digits as numbers go up to 9."""
        scales = np.full(self.layout.size, 0.8)
        if self.network.sizes.inputs == 1:
            scales[self.layout.slice("W_x")] = 0.2
        return scales

    def random_values(self) -> Numbers:
        """Random values for the numbers whose role is known, the constant for others, (P,)."""
        values = np.full(self.network.count, BASE)
        scales = np.append(self.scales(), 1.0)
        for number, role in self.fixed.items():
            values[number] = self.rng.uniform(-1, 1) * scales[role]
        return values

    def verified(self) -> np.ndarray[tuple[int], np.dtype[np.int64]] | None:
        """The roles, shape (P,), if the hand-in answers as the cell does, whatever the numbers."""
        used = self.possible[:, :-1]
        of = np.where(self.possible[:, -1], -1, used.argmax(axis=1)).astype(np.int64)
        scales = np.append(self.scales(), 0.8)
        settings = self.rng.uniform(-1, 1, (4, self.network.count)) * scales[of]
        vectors = np.zeros((len(settings), self.layout.size))
        for number, role in enumerate(of):
            if role >= 0:
                vectors[:, role] += settings[:, number]
        seen, expected = self.network.ask(settings), self.canonical_answers(vectors)
        return of if self.network.close(seen, expected) else None
