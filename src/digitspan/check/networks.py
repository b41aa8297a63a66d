"""Checks a network that answers: what does it compute, and do its gradients reach."""

from __future__ import annotations

import dataclasses
import time

import numpy as np

from digitspan.check.behaviour import Behaviour, measure
from digitspan.check.equations.catalogue import Fault, bias_fault, wrong_cells
from digitspan.check.equations.cells import GATES, Cell, Numbers, Sizes
from digitspan.check.equations.roles import Network, find_roles, fingerprints
from digitspan.check.report import Findings
from digitspan.check.subject import Digits, Subject, digits_for
from digitspan.check.telling import (
    Verified,
    tell_behaviour,
    tell_equations,
    tell_gradients,
    tell_start,
    tell_trained,
    tell_unknown,
)

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
    verified = _identify(subject, behaviour, kind)
    if verified.roles is None:
        tell_unknown(subject, behaviour, kind, findings)
    else:
        tell_equations(verified, kind, findings)
        tell_start(subject, verified.roles, findings)
        tell_trained(subject, verified.roles, findings)
    tell_gradients(subject, behaviour, verified.roles, rng, findings)
    return verified.roles is not None or findings.faults() > 0


def _identify(subject: Subject, behaviour: Behaviour, kind: str) -> Verified:
    """Find the cell that a network computes: the sheet's, or one with known faults."""
    networks = _views(subject, behaviour)
    if not networks[0][0].moves.any():
        return Verified(None, [], kind)
    other = "lstm" if kind == "rnn" else "rnn"
    for network, extra in networks:
        for cell in _honest(Cell.of_the_sheet(kind)):
            roles = find_roles(network, cell)
            if roles is not None:
                return Verified(roles, extra, kind)
    for network, extra in networks:
        for cell in _honest(Cell.of_the_sheet(other)):
            roles = find_roles(network, cell)
            if roles is not None:
                return Verified(roles, extra, other)
    end = time.thread_time() + SEARCH_SECONDS
    rest = [(view, True) for view in networks[1:]]
    for name, most in ((kind, 1), (other, 1), (kind, 3), (other, 2)):
        given = _measured_faults(networks[0][0], name)
        for view, variants in [(networks[0], False), (networks[0], True), *rest][: 9 // most]:
            for cell, faults in wrong_cells(name, most, given):
                if time.thread_time() > end:
                    return Verified(None, [], kind)
                for variant in _honest(cell)[1:] if variants else [cell]:
                    roles = find_roles(view[0], variant)
                    if roles is not None:
                        return Verified(roles, [*faults, *view[1]], name)
    return Verified(None, [], kind)


def _measured_faults(network: Network, kind: str) -> tuple[Fault, ...]:
    """Biases laid along the batch, which show without knowing the equations.

    A number that moves the answer to one sample alone is one of them.
    """
    sizes = network.sizes
    moved = np.abs(network.moves) > 1e-7 * np.abs(network.moves).max()  # (P, B, K)
    one_sample = moved.any(axis=2).sum(axis=1) == 1
    one_entry = one_sample & (moved.sum(axis=(1, 2)) == 1)
    faults = []
    if one_entry.sum() == sizes.batch * sizes.classes:
        faults.append(bias_fault(kind, "readout_bias", "column"))
    count = len(GATES[kind]) * sizes.batch
    left = int((one_sample & ~one_entry).sum())
    forms = {count * sizes.hidden: "column", count: "sample"}
    if left in forms and sizes.batch > 1:
        faults.append(bias_fault(kind, "bias", forms[left]))
    return tuple(faults)


def _views(subject: Subject, behaviour: Behaviour) -> list[tuple[Network, list[Fault]]]:
    """The network as a function of what it reads: all digits in order, or what is left of them."""
    plan = subject.plan
    digits = digits_for(plan)

    def ask(values: Numbers) -> Numbers:
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
    tolerance = subject.tolerance
    first = fingerprints(ask, subject.count)
    for read, faults in orders:
        for inputs in _encodings(subject, read):
            sizes = Sizes(plan.batch, _hidden(subject), inputs.shape[2], subject.width)
            network = Network(ask, first, inputs, sizes, tolerance, behaviour.centre)
            views.append((network, faults))
    return views


def _encodings(subject: Subject, digits: Digits) -> list[Numbers]:
    """The digits as the network may see them inside, shape (B, T, D) each: likelier first."""
    numbers = digits[..., None].astype(np.float64)
    one_hot = np.eye(10)[digits]
    shapes = [tensor.shape for tensor in subject.tensors]
    hidden = _hidden(subject)
    narrow = any(size in (1, hidden + 1) for shape in shapes for size in shape[:2])
    first = [one_hot] if subject.how["encoding"] == "one-hot" else []
    if subject.how["encoding"] == "one-hot":
        return first
    enough = subject.count > 10 * hidden
    if subject.plan.inputs == 10 or not narrow:
        return [one_hot, numbers]
    return [numbers, *([one_hot] if enough else []), numbers / 9, numbers / 10]


def _hidden(subject: Subject) -> int:
    """N: as the constructor was told."""
    return subject.plan.hidden


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
