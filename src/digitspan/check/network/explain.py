"""What was measured on a network, as findings that a student understands."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from digitspan.check.findings import Findings
from digitspan.check.network.behaviour import Behaviour, slopes
from digitspan.check.network.equations import GATES, Numbers
from digitspan.check.network.faults import Fault
from digitspan.check.network.roles import Roles
from digitspan.check.sandbox.process import ChildRefused
from digitspan.check.sandbox.remote_network import Subject, Tensor, digits_for

__all__ = [
    "Verified",
    "tell_behaviour",
    "tell_equations",
    "tell_gradients",
    "tell_start",
    "tell_trained",
    "tell_unknown",
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


def tell_behaviour(subject: Subject, behaviour: Behaviour, kind: str, findings: Findings) -> None:
    """What was measured, as findings."""
    K = subject.plan.classes
    if subject.width != K:
        findings.fault(
            "read-out",
            f"Equation {_readout(kind)}: the read-out gives {subject.width} numbers a sample, "
            f"expected one a class, {K}.",
        )
    if subject.form.startswith(("tuple", "list")):
        findings.fault(
            "result",
            "forward returns several things instead of one tensor: expected the logits alone, "
            "shape (B, K), which is what the loss takes.",
        )
    elif subject.form not in ("BK", "") and not subject.form.startswith("width"):
        findings.remark(
            "result",
            "forward returns more than the last step's logits, or their axes exchanged; expected "
            "shape (B, K).",
        )
    if not behaviour.finite:
        findings.fault(
            "initial state",
            "The answer depends on memory that was never written: a state or weight is made with "
            "torch.Tensor(...) or torch.empty(...) and not set to zero; expected h(0) = 0.",
        )
        return
    if not behaviour.repeatable:
        findings.fault(
            "initial state",
            "The same weights and digits give another answer each time: the initial state is "
            "random, or there is dropout; expected h(0) = 0 and equations "
            f"{_numbers(kind)} alone.",
        )
        return
    if not behaviour.forgets:
        findings.fault(
            "initial state",
            "The state is kept from one batch to the next: the second call with the same digits "
            "gives another answer; expected h(0) = 0 at the start of every batch.",
        )
    _tell_reading(behaviour, findings)
    _tell_transform(behaviour, kind, findings)


def _tell_reading(behaviour: Behaviour, findings: Findings) -> None:
    """Digits that are not read."""
    reads = behaviour.reads
    if all(reads):
        return
    if not any(reads):
        findings.fault("reading", "No digit is read: the answer never depends on the input.")
    elif sum(reads) == 1:
        which = "last" if reads[-1] else "first" if reads[0] else f"{reads.index(True) + 1}th"
        findings.fault(
            "reading",
            f"Only the {which} digit is read: the network remembers nothing over time, expected "
            f"all T - 1 digits to matter.",
        )
    elif not reads[-1] and all(reads[:-1]):
        findings.fault(
            "reading",
            "The last digit is never read: the loop over time stops one step early, expected all "
            "T - 1 digits.",
        )
    elif not reads[0] and all(reads[1:]):
        findings.fault(
            "reading",
            "The first digit is never read: the loop over time starts one step late, expected all "
            "T - 1 digits.",
        )
    else:
        unread = ", ".join(str(t + 1) for t, read in enumerate(reads) if not read)
        findings.fault("reading", f"Not all digits are read: x({unread}) never matters.")


def _tell_transform(behaviour: Behaviour, kind: str, findings: Findings) -> None:
    """Softmax and its relatives inside forward."""
    if behaviour.transform.endswith("over batch"):
        findings.fault(
            "softmax",
            f"{behaviour.transform.split(' ')[0]} is taken over the batch (dim=0): each class "
            f"sums to 1 over the samples; expected logits, or at least one distribution a sample.",
        )
    elif behaviour.transform == "softmax":
        findings.fault(
            "softmax",
            f"forward returns softmax(p), and the cross-entropy loss applies softmax again; "
            f"expected the logits p of equation {_readout(kind)}.",
        )
    elif behaviour.transform == "log_softmax":
        findings.remark(
            "softmax",
            "forward returns log_softmax(p): harmless, for softmax of it is the same; with it "
            "belongs the loss NLLLoss.",
        )
    if behaviour.mixes and not behaviour.transform.endswith("over batch"):
        findings.fault(
            "order",
            "The answer to one sample depends on the other samples of the batch: their axes are "
            "mixed up; expected each row to be computed alone.",
        )


def tell_equations(verified: Verified, kind: str, findings: Findings) -> None:
    """The faults of the cell that was found."""
    roles = verified.roles
    assert roles is not None
    if verified.kind != kind:
        if kind == "rnn":
            findings.fault(
                "kind",
                "The class that stands for VanillaRNN is an LSTM inside: it computes equations "
                "(4) to (10), expected (1) and (2).",
            )
        else:
            findings.fault(
                "kind",
                "The class LSTM is a vanilla RNN inside: it computes equations (1) and (2), "
                "expected (4) to (10) with four gates and a cell state.",
            )
    if verified.table:
        findings.remark(
            "reading",
            f"The digits are looked up in {verified.table}, a table of numbers, before they enter "
            f"the equations; the sheet feeds the digits themselves.",
        )
    for fault in verified.faults:
        findings.fault(fault.rule, fault.message)


def tell_unknown(subject: Subject, behaviour: Behaviour, kind: str, findings: Findings) -> None:
    """A network that fits nothing known."""
    if not any(behaviour.reads):
        return
    if not behaviour.mixes and all(behaviour.reads) and _expected_count(subject, kind):
        findings.fault(
            "equations",
            f"The network has as many numbers as equations {_numbers(kind)} need, and computes "
            f"something else with them, whatever their roles; no known fault fits, so look at "
            f"each equation again.",
        )
        return
    findings.remark(
        "equations",
        f"No assignment of its {subject.count} numbers to equations {_numbers(kind)} fits, and no "
        f"known fault either: a person has to look.",
    )


def _expected_count(subject: Subject, kind: str) -> bool:
    """Whether a network has just as many numbers as the equations."""
    N, K = subject.units, subject.plan.classes
    gates = len(GATES[kind])
    wanted = {gates * N * (N + D + 1) + K * (N + 1) for D in (1, 10)}
    return subject.count in wanted


def tell_start(subject: Subject, roles: Roles, findings: Findings) -> None:
    """First states that are numbers of the network."""
    for name, letter in (("h_0", "h"), ("c_0", "c")):
        if name not in roles.layout.groups:
            continue
        part = roles.layout.slice(name)
        own = np.flatnonzero((roles.of >= part.start) & (roles.of < part.stop))
        values = _start_values(subject)[own]
        trainable = _trainable(subject)[own].any()
        if (values == 0).all():
            findings.remark(
                "initial state", f"The initial state {letter}(0) is learned; it starts at zero."
            )
        elif not np.isfinite(values).all():
            findings.fault(
                "initial state",
                f"The initial state {letter}(0) is never set: it holds whatever lay in memory, "
                f"expected zeros.",
            )
        else:
            what = "a learned initial state that starts" if trainable else "an initial state"
            findings.fault(
                "initial state", f"There is {what} {letter}(0) not at zero, expected zeros."
            )


def tell_trained(subject: Subject, verified: Verified, findings: Findings) -> None:
    """Numbers that the equations need and the optimiser never sees; gates that start at zero."""
    roles = verified.roles
    assert roles is not None
    trainable = _trainable(subject)
    states = np.zeros(roles.layout.size + 1, dtype=bool)
    for name in ("h_0", "c_0"):
        if name in roles.layout.groups:
            states[roles.layout.slice(name)] = True
    needed = (roles.of >= 0) & ~states[roles.of]
    for tensor, part in _parts(subject):
        if needed[part].any() and not trainable[part].any():
            reason = (
                "asks for no gradient (requires_grad=False)"
                if tensor.kind == "parameter"
                else "is no Parameter of the module"
            )
            findings.fault(
                "parameter",
                f"{tensor.name} {reason}, so it is never trained; expected torch.nn.Parameter.",
            )
        if tensor.name == verified.table:
            continue
        if (roles.of[part] < 0).all() and tensor.kind == "parameter":
            findings.remark("unused", f"The parameter {tensor.name} is never used.")
    start = _start_values(subject)
    gates = GATES[roles.cell.kind]
    weights = np.full(roles.layout.size + 1, -1)
    for name in ("W_x", "W_h"):
        group = roles.layout.groups[name]
        gate = np.repeat(np.arange(len(gates)), group.size // len(gates))
        weights[roles.layout.slice(name)] = gate
    for position, gate_name in enumerate(gates):
        own = weights[roles.of] == position
        own &= roles.of >= 0
        if own.any() and (start[own] == 0).all():
            findings.fault(
                "start",
                f"All weights of {gate_name} start at zero, input and recurrent: it begins "
                f"without reading anything; expected small random values.",
            )
    if np.isnan(start[needed]).any():
        names = [t.name for t, part in _parts(subject) if np.isnan(start[part]).any()]
        findings.remark(
            "start",
            f"{', '.join(names[:4])} {'is' if len(names) == 1 else 'are'} never given a start "
            f"value: what lies in memory is taken, and may be anything.",
        )


def tell_gradients(
    subject: Subject,
    behaviour: Behaviour,
    roles: Roles | None,
    rng: np.random.Generator,
    findings: Findings,
) -> None:
    """Gradients that are missing or cut."""
    scale = np.full(subject.count, 0.4)
    if roles is not None and roles.layout.groups["W_x"].shape[2] == 1:
        part = roles.layout.slice("W_x")
        scale[(roles.of >= part.start) & (roles.of < part.stop)] = 0.1
    values = rng.uniform(-1, 1, subject.count) * scale
    digits = digits_for(subject.plan)
    try:
        found = slopes(subject, values, rng)
        if behaviour.forgets:
            weights = np.ones((subject.plan.batch, subject.width))
            subject.gradient(values[None], digits, weights, repeats=2)
    except ChildRefused as error:
        findings.fault(
            "gradient",
            f"backward fails: {error.type}: {error.message}",
            error.file,
            error.line,
        )
        return
    lost: list[str] = []
    cut: list[str] = []
    for tensor, slope in zip(subject.tensors, found, strict=True):
        if tensor.trainable and slope.wrong:
            (lost if slope.lost else cut).append(tensor.name)
    if lost:
        findings.fault(
            "gradient",
            f"No gradient reaches {', '.join(lost[:8])}, though the answer depends on "
            f"{'it' if len(lost) == 1 else 'them'}: something is detached, taken by .data or "
            f".item(), or computed under no_grad; expected every parameter to be trained.",
        )
    if cut:
        findings.fault(
            "gradient",
            f"The gradient of {', '.join(cut[:8])} is not the slope of the answer: it is cut on "
            f"the way back through time (detach, .data), so it does not reach x(1); expected "
            f"back-propagation through all steps.",
        )


def _parts(subject: Subject) -> list[tuple[Tensor, slice]]:
    """The tensors, and where their numbers stand."""
    parts, start = [], 0
    for tensor in subject.tensors:
        parts.append((tensor, slice(start, start + tensor.size)))
        start += tensor.size
    return parts


def _trainable(subject: Subject) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which numbers the optimiser sees, shape (P,)."""
    flags = [np.full(tensor.size, tensor.trainable) for tensor in subject.tensors]
    return np.concatenate(flags) if flags else np.zeros(0, dtype=bool)


def _start_values(subject: Subject) -> Numbers:
    """The numbers as the constructor left them, shape (P,)."""
    parts = [tensor.values for tensor in subject.tensors]
    return np.concatenate(parts) if parts else np.zeros(0)


def _numbers(kind: str) -> str:
    return "(1) and (2)" if kind == "rnn" else "(4) to (10)"


def _readout(kind: str) -> str:
    return "(2)" if kind == "rnn" else "(10)"
