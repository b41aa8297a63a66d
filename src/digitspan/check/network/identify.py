"""Checks a network that answers: what does it compute, and do its gradients reach."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from digitspan.check.findings import Findings
from digitspan.check.network.behaviour import Behaviour, measure
from digitspan.check.network.equations import (
    COPIES,
    GATES,
    CellVariant,
    NetworkSizes,
    Numbers,
)
from digitspan.check.network.explain import (
    EQUATIONS,
    Verified,
    explain_behaviour,
    explain_equations,
    explain_gradients,
    explain_start,
    explain_trained,
    explain_unknown,
)
from digitspan.check.network.faults import Fault, bias_fault, wrong_cells
from digitspan.check.network.places import equation_places, quantity_of
from digitspan.check.network.replay import ENCODINGS, replay
from digitspan.check.network.roles import (
    BASE,
    NUDGE,
    Fingerprints,
    Network,
    Roles,
    find_roles,
    fingerprints,
)
from digitspan.check.sandbox.remote_network import (
    MAX_NUMBERS,
    Digits,
    RemoteNetwork,
    Tensor,
)

__all__ = ["check_network"]

MOST_WORK = 120_000
"""Settings of cells, a few seconds' worth, to find the known faults of a network that does not
follow the equations."""


def check_network(remote: RemoteNetwork, kind: str, findings: Findings) -> bool:
    """Check a network that answers.

    Args:
        remote: the network.
        kind: "rnn" or "lstm": what its name promises.
        findings: where to write what is found.

    Returns:
        Whether its equations could be decided.
    """
    behaviour = measure(remote)
    explain_behaviour(remote, behaviour, kind, findings)
    if remote.count == 0:
        findings.add("nothing-to-train", equations=EQUATIONS[kind])
    if not behaviour.finite or not behaviour.repeatable or remote.count == 0:
        return findings.faults() > 0
    if remote.count > MAX_NUMBERS:
        findings.add("network-too-large", count=remote.count)
        return findings.faults() > 0
    verified = _identify(remote, behaviour, kind)
    vectors = [tensor for tensor in remote.at_zero if max(tensor.shape, default=0) == tensor.size]
    if vectors and (verified.roles is None or verified.faults):
        # Biases that are no parameters look like states that wait at zero.
        weights = remote.all_tensors
        remote.take([*weights, *vectors])
        small = remote.count <= MAX_NUMBERS
        again = _identify(remote, behaviour, kind) if small else verified
        fewer = verified.roles is None or len(again.faults) < len(verified.faults)
        if again.roles is not None and fewer:
            verified = again
        else:
            remote.take(weights)
    if verified.roles is None:
        explain_unknown(remote, behaviour, kind, findings)
    else:
        explain_equations(verified, kind, findings, _placing(remote, verified))
        explain_start(remote, verified.roles, findings)
        explain_trained(remote, verified, findings)
    explain_gradients(remote, behaviour, verified, findings)
    if verified.roles is not None and all(behaviour.reads) and not behaviour.mixes:
        replay(remote, behaviour, verified, findings)
    return verified.roles is not None or findings.faults() > 0


class _View(NamedTuple):
    """A network as a function of its numbers and of digits, in one way to read it."""

    network: Network
    faults: list[Fault]
    """What is wrong with this way."""
    arrangement: int = 0
    """Of the network's numbers, where only some of its units are looked at."""
    table: str = ""
    """The tensor that digits are looked up in before they enter; empty: none."""
    free: np.ndarray[tuple[int], np.dtype[np.int64]] | None = None
    """Which of all numbers this one has, where those of a table are fixed."""
    encoding: str = ""
    """One of `ENCODINGS`, how it sees the digits; empty: looked up."""


def _identify(remote: RemoteNetwork, behaviour: Behaviour, kind: str) -> Verified:
    """Find the cell that a network computes: the sheet's, or one with known faults."""
    views = _views(remote, behaviour)
    if not views[0].network.first.moves.any():
        return Verified(None, [], kind)
    other = "lstm" if kind == "rnn" else "rnn"
    for name in (kind, other):
        for view in views:
            for cell in _honest(CellVariant.of_the_sheet(name), view.network):
                roles = find_roles(view.network, cell)
                if roles is not None:
                    return _verified(remote, view, roles, [], name)
    work = views[0].network.work
    work[0] = 0
    # As they are in every view, then with twice the biases or a learned first state.
    ways = [(view, variants) for variants in (False, True) for view in views]
    for name, most in ((kind, 1), (other, 1), (kind, 3), (other, 2)):
        given = _measured_faults(views[0].network, name)
        for view, variants in ways[: 12 // most]:
            for cell, faults in wrong_cells(name, most, given):
                for variant in _honest(cell, view.network)[1:] if variants else [cell]:
                    if work[0] > MOST_WORK:
                        return Verified(None, [], kind)
                    roles = find_roles(view.network, variant)
                    if roles is not None:
                        return _verified(remote, view, roles, faults, name)
    return Verified(None, [], kind)


def _verified(
    remote: RemoteNetwork, view: _View, roles: Roles, faults: list[Fault], kind: str
) -> Verified:
    """What was found, for all numbers of the network."""
    remote.arrange(view.arrangement)
    if view.free is not None:
        of = np.full(remote.count, -1)
        of[view.free] = roles.of
        roles = roles._replace(of=of)
    several, in_order = [*faults, *view.faults], not view.faults
    inputs = None if view.table else view.network.inputs
    return Verified(roles, several, kind, view.table, view.encoding, in_order, inputs)


def _placing(remote: RemoteNetwork, verified: Verified) -> Callable[[Fault], tuple[str, int]]:
    """Says on which line a fault's equation is computed; ("", 0) where that is not found."""
    assert verified.roles is not None
    places: dict[tuple[int, str], tuple[str, int]] = {}
    if verified.faults and verified.inputs is not None:
        values = remote.random_values(remote.rng(10))[0]
        digits, inputs = remote.digits(), verified.inputs
        places = equation_places(remote, verified.roles, values, digits, inputs)
    kind = verified.roles.cell.kind

    def place_of(fault: Fault) -> tuple[str, int]:
        quantity = quantity_of(fault, kind)
        # In the first step the state is zero; the read-out may be computed once.
        return places.get((1, quantity)) or places.get((0, quantity), ("", 0))

    return place_of


def _measured_faults(network: Network, kind: str) -> tuple[Fault, ...]:
    """Biases laid along the batch, which show without knowing the equations.

    A number that moves the answer to one sample alone is one of them.
    """
    sizes = network.sizes
    moved = np.abs(network.first.moves) > 1e-7 * np.abs(network.first.moves).max()  # (P, B, K)
    one_sample = moved.any(axis=2).sum(axis=1) == 1
    one_entry = one_sample & (moved.sum(axis=(1, 2)) == 1)
    # What is added to the logits themselves moves them by as much as it is moved.
    added = np.isclose(network.first.moves, NUDGE, rtol=1e-4) | ~moved
    one_row = one_sample & ~one_entry & added.all(axis=(1, 2))
    faults = []
    if one_entry.sum() == sizes.batch * sizes.classes:
        faults.append(bias_fault(kind, "read_out_bias", "column"))
    elif one_row.sum() == sizes.batch:
        faults.append(bias_fault(kind, "read_out_bias", "sample"))
    count = len(GATES[kind]) * sizes.batch
    left = int((one_sample & ~one_entry & ~one_row).sum())
    forms = {count * sizes.hidden: "column", count: "sample"}
    if left in forms and sizes.batch > 1:
        faults.append(bias_fault(kind, "bias", forms[left]))
    return tuple(faults)


def _views(remote: RemoteNetwork, behaviour: Behaviour) -> list[_View]:
    """The ways to read a network, the likelier first."""
    views: list[_View] = []
    for arrangement in range(len(remote.arrangements)):
        remote.arrange(arrangement)
        views += _arranged_views(remote, behaviour, arrangement)
    remote.arrange(0)
    return views


def _arranged_views(remote: RemoteNetwork, behaviour: Behaviour, arrangement: int) -> list[_View]:
    """The network as a function of what it reads: all digits in order, or what is left of them."""
    plan = remote.plan
    digits = remote.digits()

    def ask(values: Numbers) -> Numbers:
        remote.arrange(arrangement)
        return behaviour.undo(remote.ask(values, digits))

    views = []
    seen = np.array(behaviour.reads)
    orders: list[tuple[Digits, list[Fault]]]
    orders = [(digits[:, seen] if seen.any() else digits, [])]
    if not seen.all():
        orders.append((digits, []))
    if seen.all():
        orders.append((digits[:, ::-1], [Fault("digits-read-backwards", {})]))
    if behaviour.mixes:
        fault = Fault("samples-and-steps-mixed", {})
        orders.append((digits.reshape(plan.steps, plan.batch).T, [fault]))
        orders.append((digits.T.reshape(plan.batch, plan.steps), [fault]))
    first = fingerprints(ask, np.full(remote.count, BASE), np.arange(remote.count))
    tables = _tables(remote, ask, digits) if seen.all() and not behaviour.mixes else []
    for read, faults in orders:
        for encoding in _encodings(remote):
            network = _network(remote, behaviour, ask, first, ENCODINGS[encoding](read))
            views.append(_View(network, faults, arrangement, encoding=encoding))
    for tensor, part in tables:
        view = _looked_up(remote, behaviour, ask, tensor, part)
        views.insert(1, view._replace(arrangement=arrangement))
    return views


def _network(
    remote: RemoteNetwork,
    behaviour: Behaviour,
    ask: Callable[[Numbers], Numbers],
    first: Fingerprints,
    inputs: Numbers,
) -> Network:
    """A network with its inputs as it may see them, shape (B, T, D)."""
    sizes = NetworkSizes(remote.plan.batch, remote.units, inputs.shape[2], remote.width)
    centre, seed, work = behaviour.centre, remote.seed, remote.work
    return Network(ask, first, inputs, sizes, remote.tolerance, centre, seed, work)


def _tables(
    remote: RemoteNetwork, ask: Callable[[Numbers], Numbers], digits: Digits
) -> list[tuple[Tensor, slice]]:
    """Tensors with a row a digit that matters to the samples with this digit alone."""
    found = []
    for tensor, part in remote.parts():
        if len(tensor.shape) != 2 or tensor.shape[0] < remote.base or tensor.kept is not None:
            continue
        # All equal, the other numbers would hide it under a softmax.
        values = remote.random_values(remote.rng(8))[0]
        seen = fingerprints(ask, values, np.arange(part.start, part.stop))
        moves = seen.moves.reshape(*tensor.shape, remote.plan.batch, -1)
        moved = np.asarray(moves.any(axis=(1, 3)))
        there = np.array([(digits == digit).any(axis=1) for digit in range(len(moved))])
        if moved.any() and not (moved & ~there).any():
            found.append((tensor, part))
    return found


def _looked_up(
    remote: RemoteNetwork,
    behaviour: Behaviour,
    ask: Callable[[Numbers], Numbers],
    tensor: Tensor,
    part: slice,
) -> _View:
    """The network that reads rows of a table: with random ones, as a function of all the rest."""
    rows = remote.rng(5).uniform(-1, 1, tensor.shape)
    free = np.delete(np.arange(remote.count), part)

    def ask_rest(values: Numbers) -> Numbers:
        settings = np.empty((len(values), remote.count))
        settings[:, part] = rows.reshape(-1)
        settings[:, free] = values
        return ask(settings)

    first = fingerprints(ask_rest, np.full(len(free), BASE), np.arange(len(free)))
    inputs = rows[remote.digits()]
    network = _network(remote, behaviour, ask_rest, first, inputs)
    return _View(network, [], table=tensor.name, free=free)


def _encodings(remote: RemoteNetwork) -> list[str]:
    """How the network may see the digits inside: likelier first."""
    if remote.how["encoding"] == "one-hot":
        return ["one-hot"]
    shapes = [tensor.shape for tensor in remote.tensors]
    narrow = any(size in (1, remote.hidden + 1) for shape in shapes for size in shape[:2])
    enough = remote.count > 10 * remote.units
    if remote.plan.inputs == 10 or not narrow:
        return ["one-hot", "number"]
    return ["number", *(["one-hot"] if enough else []), "number / 9", "number / 10"]


def _honest(cell: CellVariant, network: Network) -> list[CellVariant]:
    """Cells that compute the same and hold more numbers: more biases, a learned first state.

    Only those that need no more numbers than the network has.
    """
    learned = ["learned h"]
    if cell.kind == "lstm":
        learned += ["learned both", "learned c", "learned as one"]
    learned += [f"{start} a sample" for start in learned]
    starts = ["zero", *learned] if cell.start == "zero" else [cell.start]
    biases = COPIES if cell.bias == "unit" else (cell.bias,)
    read_outs = COPIES if cell.read_out_bias == "unit" else (cell.read_out_bias,)
    variants = [
        dataclasses.replace(cell, start=start, bias=bias, read_out_bias=read_out_bias)
        for start, bias, read_out_bias in itertools.product(starts, biases, read_outs)
    ]
    sizes = network.sizes
    return [cell, *(v for v in variants[1:] if _numbers(v, sizes) <= network.count)]


def _numbers(cell: CellVariant, sizes: NetworkSizes) -> int:
    """How many numbers a network needs for a cell."""
    G, N, K = len(cell.gates), sizes.hidden, sizes.classes
    states = {"learned h": 1, "learned c": 1, "learned both": 2, "learned as one": 1}
    rows = sizes.batch if cell.start.endswith("a sample") else 1
    return (
        G * N * (sizes.inputs + N + COPIES.get(cell.bias, 0))
        + K * (N + COPIES.get(cell.read_out_bias, 0))
        + N * rows * states.get(cell.start.removesuffix(" a sample"), 0)
    )
