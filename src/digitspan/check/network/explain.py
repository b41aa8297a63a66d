"""What was measured on a network, as findings that a student understands."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from digitspan.check.findings import Findings
from digitspan.check.network.behaviour import Behaviour, slopes
from digitspan.check.network.equations import GATES, Numbers
from digitspan.check.network.faults import READ_OUT, Fault
from digitspan.check.network.roles import Roles
from digitspan.check.sandbox.process import ChildRefused
from digitspan.check.sandbox.remote_network import RemoteNetwork

__all__ = [
    "EQUATIONS",
    "Verified",
    "explain_behaviour",
    "explain_equations",
    "explain_gradients",
    "explain_start",
    "explain_trained",
    "explain_unknown",
]


class Verified(NamedTuple):
    """What a network computes."""

    roles: Roles | None
    """The roles of its numbers; None where nothing known fits."""
    faults: list[Fault]
    """In what it departs from the sheet."""
    kind: str
    """"rnn" or "lstm": what it is inside."""
    table: str = ""
    """The tensor that the digits are looked up in before they enter; empty: none."""
    encoding: str = ""
    """How it sees the digits, one of `replay.ENCODINGS`; empty: looked up."""
    in_order: bool = True
    """It reads all digits, the first one first."""
    inputs: Numbers | None = None
    """What entered the equations when this was found, shape (B, T, D); None: looked up."""


def explain_behaviour(
    remote: RemoteNetwork, behaviour: Behaviour, kind: str, findings: Findings
) -> None:
    """What was measured, as findings."""
    K = remote.plan.classes
    if remote.width != K:
        findings.add("read-out-width", equation=READ_OUT[kind], width=remote.width, classes=K)
    container, axes = remote.form
    if container:
        findings.add("several-results")
    elif axes not in ("BK", "", "width"):
        findings.add("more-than-the-logits")
    if not behaviour.finite:
        findings.add("unwritten-memory-read")
        return
    if not behaviour.repeatable:
        findings.add("answer-is-random", equations=EQUATIONS[kind])
        return
    if not behaviour.forgets:
        findings.add("state-kept-between-batches")
    _explain_reading(behaviour.reads, findings)
    _explain_transform(behaviour, kind, findings)


def _explain_reading(reads: tuple[bool, ...], findings: Findings) -> None:
    """Digits that are not read."""
    if all(reads):
        return
    if not any(reads):
        findings.add("no-digit-read")
    elif sum(reads) == 1:
        which = "last" if reads[-1] else "first" if reads[0] else f"{reads.index(True) + 1}th"
        findings.add("one-digit-read", which=which)
    elif not reads[-1] and all(reads[:-1]):
        findings.add("last-digit-unread")
    elif not reads[0] and all(reads[1:]):
        findings.add("first-digit-unread")
    else:
        unread = ", ".join(str(t + 1) for t, read in enumerate(reads) if not read)
        findings.add("some-digits-unread", unread=unread)


def _explain_transform(behaviour: Behaviour, kind: str, findings: Findings) -> None:
    """Softmax and its relatives inside forward."""
    if behaviour.over_batch:
        findings.add("softmax-over-the-batch", function=behaviour.transform)
        return
    if behaviour.transform == "softmax":
        findings.add("softmax-in-forward", equation=READ_OUT[kind])
    elif behaviour.transform == "log_softmax":
        findings.add("log-softmax-in-forward")
    if behaviour.mixes:
        findings.add("samples-mixed")


def explain_equations(
    verified: Verified,
    kind: str,
    findings: Findings,
    place_of: Callable[[Fault], tuple[str, int]],
) -> None:
    """The faults of the cell that was found, each with its place."""
    if verified.kind != kind:
        findings.add("rnn-is-an-lstm" if kind == "rnn" else "lstm-is-an-rnn")
    if verified.table:
        findings.add("digits-looked-up", table=verified.table)
    for fault in verified.faults:
        findings.add(fault.code, *place_of(fault), **fault.words)


def explain_unknown(
    remote: RemoteNetwork, behaviour: Behaviour, kind: str, findings: Findings
) -> None:
    """A network that fits nothing known."""
    if not any(behaviour.reads):
        return
    if not behaviour.mixes and all(behaviour.reads) and _expected_count(remote, kind):
        findings.add("equations-not-computed", equations=EQUATIONS[kind])
    else:
        findings.add("equations-unknown", count=remote.count, equations=EQUATIONS[kind])


def _expected_count(remote: RemoteNetwork, kind: str) -> bool:
    """Whether a network has just as many numbers as the equations."""
    N, K = remote.units, remote.plan.classes
    gates = len(GATES[kind])
    wanted = {gates * N * (N + D + 1) + K * (N + 1) for D in (1, 10)}
    return remote.count in wanted


def explain_start(remote: RemoteNetwork, roles: Roles, findings: Findings) -> None:
    """First states that are numbers of the network."""
    for name, state in (("h_0", "h"), ("c_0", "c"), ("hc_0", "h(0) = c")):
        if name not in roles.layout.arrays:
            continue
        part = roles.layout.slice(name)
        own = np.flatnonzero((roles.of >= part.start) & (roles.of < part.stop))
        values = _start_values(remote)[own]
        learned = _trainable(remote)[own].any()
        if learned and roles.cell.start.endswith("a sample"):
            findings.add("state-for-each-sample", state=state)
        elif (values == 0).all():
            findings.add("state-learned", state=state)
        elif not np.isfinite(values).all():
            findings.add("state-never-set", state=state)
        else:
            what = "a learned initial state that starts" if learned else "an initial state"
            findings.add("state-not-at-zero", what=what, state=state)


def explain_trained(remote: RemoteNetwork, verified: Verified, findings: Findings) -> None:
    """Numbers that the equations need and the optimiser never sees; gates that start at zero."""
    roles = verified.roles
    assert roles is not None
    trainable = _trainable(remote)
    states = np.zeros(roles.layout.size + 1, dtype=bool)
    for name in ("h_0", "c_0", "hc_0"):
        if name in roles.layout.arrays:
            states[roles.layout.slice(name)] = True
    needed = (roles.of >= 0) & ~states[roles.of]
    untrained: dict[str, list[str]] = {}
    for tensor, part in remote.parts():
        if needed[part].any() and not trainable[part].any():
            code = "asks-for-no-gradient" if tensor.kind == "parameter" else "not-a-parameter"
            untrained.setdefault(code, []).append(tensor.name)
        unused = (roles.of[part] < 0).all() and tensor.kind == "parameter"
        if unused and tensor.name != verified.table:
            untrained.setdefault("parameter-unused", []).append(tensor.name)
    for code, names in untrained.items():
        findings.add(code, tensor=names[0], tensors=_listed(names, "is", "are"))
    start = _start_values(remote)
    gates = GATES[roles.cell.kind]
    weights = np.full(roles.layout.size + 1, -1)
    for name in ("W_x", "W_h"):
        array = roles.layout.arrays[name]
        weights[roles.layout.slice(name)] = np.repeat(
            np.arange(len(gates)), array.size // len(gates)
        )
    at_zero = []
    for position, gate in enumerate(gates):
        own = (weights[roles.of] == position) & (roles.of >= 0)
        if own.any() and (start[own] == 0).all():
            at_zero.append(gate)
    if at_zero:
        findings.add("gate-starts-at-zero", gates=_listed(at_zero))
    if np.isnan(start[needed]).any():
        names = [t.name for t, part in remote.parts() if np.isnan(start[part]).any()]
        findings.add("start-value-missing", tensors=_listed(names, "is", "are"))


def _listed(names: list[str], one: str = "", several: str = "") -> str:
    """Some names with a verb behind them, in one or the other number."""
    first, last = names[:8][:-1], names[:8][-1]
    verb = several if first else one
    return f"{', '.join(first)}{' and ' * bool(first)}{last} {verb}".strip()


def explain_gradients(
    remote: RemoteNetwork,
    behaviour: Behaviour,
    verified: Verified,
    findings: Findings,
) -> None:
    """Gradients that are missing or cut."""
    rng, roles = remote.rng(4), verified.roles
    scale = np.full(remote.count, 0.4)
    if roles is not None and roles.layout.arrays["W_x"].shape[2] == 1:
        part = roles.layout.slice("W_x")
        scale[(roles.of >= part.start) & (roles.of < part.stop)] = 0.1
    values = rng.uniform(-1, 1, remote.count) * scale
    try:
        found = slopes(remote, values, rng)
        if behaviour.forgets:
            weights = np.ones((remote.plan.batch, remote.width))
            remote.gradient(values[None], remote.digits(), weights, repeats=2)
    except ChildRefused as error:
        findings.add("backward-fails", *error.place, error=error)
        return
    named = [
        (tensor.name, slope)
        for slope, (tensor, part) in zip(found, remote.parts(), strict=True)
        # What is written over at every call has a gradient, and changes nothing.
        if tensor.trainable
        and (roles is None or (roles.of[part] >= 0).any() or tensor.name == verified.table)
    ]
    missing = [name for name, slope in named if slope == "missing"]
    cut = [name for name, slope in named if slope == "cut"]
    if missing:
        them = "it" if len(missing) == 1 else "them"
        findings.add("gradients-missing", tensors=", ".join(missing[:8]), them=them)
    if cut:
        findings.add("gradients-cut", tensors=", ".join(cut[:8]))


def _trainable(remote: RemoteNetwork) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which numbers the optimiser sees, shape (P,)."""
    return np.repeat(
        [tensor.trainable for tensor in remote.tensors], [tensor.size for tensor in remote.tensors]
    )


def _start_values(remote: RemoteNetwork) -> Numbers:
    """The numbers as the constructor left them, shape (P,)."""
    return np.concatenate([tensor.values for tensor in remote.tensors])


EQUATIONS = {"rnn": "(1) and (2)", "lstm": "(4) to (10)"}
