"""Checks a network that answers: what does it compute, and do its gradients reach."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from digitspan.check.findings import Findings
from digitspan.check.network.behaviour import Behaviour, measure
from digitspan.check.network.equations import GATES, Cell, Numbers, Sizes
from digitspan.check.network.explain import (
    Verified,
    tell_behaviour,
    tell_equations,
    tell_gradients,
    tell_start,
    tell_trained,
    tell_unknown,
)
from digitspan.check.network.faults import Fault, bias_fault, wrong_cells
from digitspan.check.network.roles import (
    NUDGE,
    Fingerprints,
    Network,
    Roles,
    find_roles,
    fingerprints,
)
from digitspan.check.sandbox.remote_network import MAX_NUMBERS, Digits, Subject, Tensor, digits_for

__all__ = ["check_network"]

SEARCH_SECONDS = 6.0
"""Of computing, to try the known faults on a network that does not follow the equations."""


def check_network(subject: Subject, kind: str, findings: Findings) -> bool:
    """Check a network that answers.

    Args:
        subject: the network.
        kind: "rnn" or "lstm": what its name promises.
        findings: where to write what is found.

    Returns:
        Whether its equations could be decided.
    """
    rng = np.random.default_rng(np.random.SeedSequence().entropy)
    behaviour = measure(subject, rng)
    tell_behaviour(subject, behaviour, kind, findings)
    if not behaviour.finite or not behaviour.repeatable or subject.count == 0:
        return findings.faults() > 0
    if subject.count > MAX_NUMBERS:
        findings.remark(
            "equations",
            f"The network has {subject.count} numbers even at the smallest sizes, too many to "
            f"find out what each is for: a person has to look.",
        )
        return findings.faults() > 0
    verified = _identify(subject, behaviour, kind)
    if verified.roles is None:
        tell_unknown(subject, behaviour, kind, findings)
    else:
        tell_equations(verified, kind, findings)
        tell_start(subject, verified.roles, findings)
        tell_trained(subject, verified, findings)
    tell_gradients(subject, behaviour, verified.roles, rng, findings)
    return verified.roles is not None or findings.faults() > 0


class _View(NamedTuple):
    """A network as a function of its numbers and of digits, in one way to read it."""

    network: Network
    faults: list[Fault]
    """What is wrong with this way."""
    arrangement: int = 0
    """Of the subject."""
    table: str = ""
    """The tensor that digits are looked up in before they enter; empty: none."""
    free: np.ndarray[tuple[int], np.dtype[np.int64]] | None = None
    """Which of the subject's numbers the network has, where the table's are held."""


def _identify(subject: Subject, behaviour: Behaviour, kind: str) -> Verified:
    """Find the cell that a network computes: the sheet's, or one with known faults."""
    views = _views(subject, behaviour)
    if not views[0].network.moves.any():
        return Verified(None, [], kind)
    other = "lstm" if kind == "rnn" else "rnn"
    for name in (kind, other):
        for view in views:
            for cell in _honest(Cell.of_the_sheet(name)):
                roles = find_roles(view.network, cell)
                if roles is not None:
                    return _verified(subject, view, roles, [], name)
    end = time.thread_time() + SEARCH_SECONDS
    # As they are in every view, then with twice the biases or a learned first state.
    tries = [(view, variants) for variants in (False, True) for view in views]
    for name, most in ((kind, 1), (other, 1), (kind, 3), (other, 2)):
        given = _measured_faults(views[0].network, name)
        for view, variants in tries[: 12 // most]:
            for cell, faults in wrong_cells(name, most, given):
                if time.thread_time() > end:
                    return Verified(None, [], kind)
                for variant in _honest(cell)[1:] if variants else [cell]:
                    roles = find_roles(view.network, variant)
                    if roles is not None:
                        return _verified(subject, view, roles, faults, name)
    return Verified(None, [], kind)


def _verified(
    subject: Subject, view: _View, roles: Roles, faults: list[Fault], kind: str
) -> Verified:
    """What was found, told for all numbers of the subject."""
    subject.arrange(view.arrangement)
    if view.free is not None:
        of = np.full(subject.count, -1)
        of[view.free] = roles.of
        roles = roles._replace(of=of)
    return Verified(roles, [*faults, *view.faults], kind, view.table)


def _measured_faults(network: Network, kind: str) -> tuple[Fault, ...]:
    """Biases laid along the batch, which show without knowing the equations.

    A number that moves the answer to one sample alone is one of them.
    """
    sizes = network.sizes
    moved = np.abs(network.moves) > 1e-7 * np.abs(network.moves).max()  # (P, B, K)
    one_sample = moved.any(axis=2).sum(axis=1) == 1
    one_entry = one_sample & (moved.sum(axis=(1, 2)) == 1)
    # What is added to the logits themselves moves them by as much as it is moved.
    added = np.isclose(network.moves, NUDGE, rtol=1e-4) | ~moved
    one_row = one_sample & ~one_entry & added.all(axis=(1, 2))
    faults = []
    if one_entry.sum() == sizes.batch * sizes.classes:
        faults.append(bias_fault(kind, "readout_bias", "column"))
    elif one_row.sum() == sizes.batch:
        faults.append(bias_fault(kind, "readout_bias", "sample"))
    count = len(GATES[kind]) * sizes.batch
    left = int((one_sample & ~one_entry & ~one_row).sum())
    forms = {count * sizes.hidden: "column", count: "sample"}
    if left in forms and sizes.batch > 1:
        faults.append(bias_fault(kind, "bias", forms[left]))
    return tuple(faults)


def _views(subject: Subject, behaviour: Behaviour) -> list[_View]:
    """The ways to read a network, the likelier first."""
    views: list[_View] = []
    for arrangement in range(len(subject.arrangements)):
        subject.arrange(arrangement)
        views += _arranged_views(subject, behaviour, arrangement)
    subject.arrange(0)
    return views


def _arranged_views(subject: Subject, behaviour: Behaviour, arrangement: int) -> list[_View]:
    """The network as a function of what it reads: all digits in order, or what is left of them."""
    plan = subject.plan
    digits = digits_for(plan)

    def ask(values: Numbers) -> Numbers:
        subject.arrange(arrangement)
        return behaviour.undo(subject.ask(values, digits))

    views = []
    seen = np.array(behaviour.reads)
    orders: list[tuple[Digits, list[Fault]]] = []
    orders.append((digits[:, seen] if seen.any() else digits, []))
    if not seen.all():
        orders.append((digits, []))
    if seen.all():
        backwards = "The digits are read backwards, the last one first, expected x(1) first."
        orders.append((digits[:, ::-1], [Fault("order", backwards, {})]))
    scrambled = (
        "The axes are exchanged with view or reshape instead of transposed: samples and time "
        "steps are mixed up."
    )
    if behaviour.mixes:
        fault = Fault("order", scrambled, {})
        orders.append((digits.reshape(plan.steps, plan.batch).T, [fault]))
        orders.append((digits.T.reshape(plan.batch, plan.steps), [fault]))
    first = fingerprints(ask, subject.count)
    tables = _tables(subject, first, digits) if seen.all() and not behaviour.mixes else []
    for read, faults in orders:
        for inputs in _encodings(subject, read):
            network = _network(subject, behaviour, ask, first, inputs)
            views.append(_View(network, faults, arrangement))
    for tensor, part in tables:
        view = _looked_up(subject, behaviour, ask, tensor, part)
        views.insert(1, view._replace(arrangement=arrangement))
    return views


def _network(
    subject: Subject,
    behaviour: Behaviour,
    ask: Callable[[Numbers], Numbers],
    first: Fingerprints,
    inputs: Numbers,
) -> Network:
    """A network with its inputs as it may see them, shape (B, T, D)."""
    sizes = Sizes(subject.plan.batch, subject.units, inputs.shape[2], subject.width)
    return Network(ask, first, inputs, sizes, subject.tolerance, behaviour.centre)


def _tables(subject: Subject, first: Fingerprints, digits: Digits) -> list[tuple[Tensor, slice]]:
    """Tensors with a row a digit that matters to the samples with this digit alone."""
    found, start = [], 0
    for tensor in subject.tensors:
        part = slice(start, start + tensor.size)
        start += tensor.size
        if len(tensor.shape) != 2 or tensor.shape[0] < 10 or tensor.kept is not None:
            continue
        moves = first.moves[part].reshape(*tensor.shape, subject.plan.batch, -1)
        moved = np.asarray(moves.any(axis=(1, 3)))
        there = np.array([(digits == digit).any(axis=1) for digit in range(len(moved))])
        if moved.any() and not (moved & ~there).any():
            found.append((tensor, part))
    return found


def _looked_up(
    subject: Subject,
    behaviour: Behaviour,
    ask: Callable[[Numbers], Numbers],
    tensor: Tensor,
    part: slice,
) -> _View:
    """The network that reads rows of a table: with random ones, as a function of all the rest."""
    rows = np.random.default_rng(3).uniform(-1, 1, tensor.shape)
    free = np.delete(np.arange(subject.count), part)

    def ask_rest(values: Numbers) -> Numbers:
        settings = np.empty((len(values), subject.count))
        settings[:, part] = rows.reshape(-1)
        settings[:, free] = values
        return ask(settings)

    first = fingerprints(ask_rest, len(free))
    inputs = rows[digits_for(subject.plan)]
    network = _network(subject, behaviour, ask_rest, first, inputs)
    return _View(network, [], table=tensor.name, free=free)


def _encodings(subject: Subject, digits: Digits) -> list[Numbers]:
    """The digits as the network may see them inside, shape (B, T, D) each: likelier first."""
    numbers = digits[..., None].astype(np.float64)
    one_hot = np.eye(10)[digits]
    if subject.how["encoding"] == "one-hot":
        return [one_hot]
    shapes = [tensor.shape for tensor in subject.tensors]
    narrow = any(size in (1, subject.hidden + 1) for shape in shapes for size in shape[:2])
    enough = subject.count > 10 * subject.units
    if subject.plan.inputs == 10 or not narrow:
        return [one_hot, numbers]
    return [numbers, *([one_hot] if enough else []), numbers / 9, numbers / 10]


def _honest(cell: Cell) -> list[Cell]:
    """Cells that compute the same and hold more numbers: two biases, a learned first state."""
    cells = []
    learned = ["learned h"] if cell.kind == "rnn" else ["learned h", "learned both", "learned c"]
    learned += [f"{start} a sample" for start in learned]
    starts = ["zero", *learned] if cell.start == "zero" else [cell.start]
    for start in starts:
        for bias in ("unit", "twice") if cell.bias == "unit" else (cell.bias,):
            for readout in (
                ("unit", "twice") if cell.readout_bias == "unit" else (cell.readout_bias,)
            ):
                cells.append(
                    dataclasses.replace(cell, start=start, bias=bias, readout_bias=readout)
                )
    return cells
