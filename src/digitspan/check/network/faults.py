"""The known ways to get the sheet's equations wrong, each with its sentence.

A `Fault` is a change of the sheet's cell. `wrong_cells` gives cells with one fault, then cells
with two, and so on, so that the first one a network computes is also the simplest.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

from digitspan.check.network.equations import GATES, SHEET_ACTIVATIONS, CellVariant

__all__ = ["READ_OUT", "Fault", "bias_fault", "faults_of", "wrong_cells"]


class Fault(NamedTuple):
    """One way to get an equation wrong."""

    code: str
    """One of `codes.CODES`."""
    changes: dict[str, Any]
    """The fields of the sheet's cell that it changes."""
    words: dict[str, Any] = {}  # noqa: RUF012  never changed
    """What to fill into the code's sentence."""


_NUMBERS = {"h": "(1)", "g": "(4)", "i": "(5)", "f": "(6)", "o": "(7)"}
_NAMES = {
    "h": "the hidden state h",
    "g": "the candidate g",
    "i": "the input gate i",
    "f": "the forget gate f",
    "o": "the output gate o",
}
_SHOWN = {
    "linear": "no non-linearity",
    "tanh of tanh": "tanh twice",
    "sigmoid of sigmoid": "sigmoid twice",
    "hard sigmoid": "a hard sigmoid",
    "hard tanh": "a hard tanh (clipping to -1..1)",
    "softmax": "a softmax over the units",
    "relu": "ReLU",
}

_UPDATES = {
    "g i": "previous-cell-state-unused",
    "g i + f": "forget-gate-stands-alone",
    "g i + h f": "forget-gate-on-hidden-state",
    "g i + c": "forget-gate-not-applied",
    "g + c f": "input-gate-not-applied",
    "(g + i) + c f": "input-gate-added",
    "g i + (c + f)": "forget-gate-added",
    "g i c f": "previous-cell-state-multiplied",
    "g (1 - f) + c f": "input-gate-from-forget-gate",
    "g i - c f": "previous-cell-state-subtracted",
    "c f": "candidate-unused",
}
_OUTPUTS = {
    "a + o": "output-gate-added",
    "a": "output-gate-not-applied",
    "act(c o)": "output-gate-inside-tanh",
    "act(c + o)": "output-gate-added-inside-tanh",
    "o": "cell-state-unused",
    "a - o": "output-gate-subtracted",
}
_AROUND = {
    "h outside": "recurrent-term-outside-tanh",
    "b outside": "bias-outside-tanh",
    "x outside": "input-term-outside-tanh",
    "twice": "tanh-twice",
    "product": "terms-multiplied",
}
_BIASES = {
    "none": "bias-missing",
    "sample": "bias-along-the-batch",
    "column": "bias-for-each-sample",
    "scalar": "bias-is-one-number",
}
_GATE_EQUATIONS = {"rnn": "(1)", "lstm": "(4) to (7)"}
READ_OUT = {"rnn": "(2)", "lstm": "(10)"}
"""The equation of the read-out."""


def faults_of(kind: str) -> list[Fault]:
    """The faults of one kind of cell, "rnn" or "lstm", the likelier first."""
    faults = _activation_faults(kind)
    if kind == "lstm":
        faults += [Fault(code, {"update": name}) for name, code in _UPDATES.items()]
        faults += [Fault(code, {"output": name}) for name, code in _OUTPUTS.items()]
        for outer in ("linear", "sigmoid", "relu"):
            words = {"found": _shown(outer)}
            faults.append(Fault("wrong-cell-activation", {"outer": outer}, words))
    else:
        faults += [Fault(code, {"around": name}) for name, code in _AROUND.items()]
    return faults + _recurrence_faults(kind) + _bias_faults(kind) + _other_faults(kind)


def wrong_cells(
    kind: str, most: int = 3, given: tuple[Fault, ...] = ()
) -> Iterator[tuple[CellVariant, list[Fault]]]:
    """Cells with one fault, then with two, up to `most`, and the faults of each.

    Args:
        kind: "rnn" or "lstm".
        most: how many faults, beside those given.
        given: faults that each of them has.
    """
    sheet = CellVariant.of_the_sheet(kind)
    faults = faults_of(kind)
    for count in range(0 if given else 1, most + 1):
        for chosen in itertools.combinations(faults, count):
            several = (*given, *chosen)
            changes: dict[str, Any] = {}
            for fault in several:
                if changes.keys() & fault.changes.keys():
                    break
                changes.update(fault.changes)
            else:
                yield dataclasses.replace(sheet, **changes), list(several)


def bias_fault(kind: str, field: str, form: str) -> Fault:
    """The fault of a bias laid out wrongly: `field` is "bias" or "read_out_bias"."""
    [fault] = [fault for fault in _bias_faults(kind) if fault.changes == {field: form}]
    return fault


def _activation_faults(kind: str) -> list[Fault]:
    """Gates with the wrong non-linearity: one of them, or several alike."""
    gates, sheet = GATES[kind], SHEET_ACTIVATIONS[kind]
    odd = ("linear", "tanh", "sigmoid", "relu", "softmax", "hard sigmoid", "hard tanh",
           "tanh of tanh", "sigmoid of sigmoid")  # fmt: skip
    several: list[tuple[str, ...]] = []
    for position, name in itertools.product(range(len(gates)), odd):
        several.append((*sheet[:position], name, *sheet[position + 1 :]))
    if kind == "lstm":
        for name in ("linear", "tanh", "sigmoid", "relu"):
            several.append((name,) * 4)
            several += [("tanh", *rest) for rest in itertools.product((name, "sigmoid"), repeat=3)]
            several += [(name, *rest) for rest in itertools.product((name, "sigmoid"), repeat=3)]
    faults = []
    for activations in dict.fromkeys(several):
        parts = [
            f"equation {_NUMBERS[gate]}: {_NAMES[gate]} goes through {_shown(name)}, "
            f"expected {right}"
            for gate, name, right in zip(gates, activations, sheet, strict=True)
            if name != right
        ]
        if parts:
            text = "; ".join(parts)
            words = {"gates": f"{text[0].upper()}{text[1:]}"}
            faults.append(Fault("wrong-gate-activation", {"activations": activations}, words))
    return faults


def _recurrence_faults(kind: str) -> list[Fault]:
    """Previous states that are not read, and weights used in the wrong place."""
    words = {"equation": _GATE_EQUATIONS[kind]}
    faults = [Fault("hidden-state-unused", {"recurrent": "nothing"}, words)]
    if kind == "rnn":
        return faults
    faults.append(Fault("gates-read-cell-state", {"recurrent": "cell"}))
    gates = [{"equation": _NUMBERS[gate], "gate": _NAMES[gate]} for gate in GATES[kind]]
    faults += [
        Fault("gate-ignores-hidden-state", {"blind": position}, words)
        for position, words in enumerate(gates)
    ]
    shared = (
        (("x_from",), "input weights"),
        (("h_from",), "recurrent weights"),
        (("b_from",), "bias"),
        (("x_from", "h_from"), "weights"),
        (("x_from", "h_from", "b_from"), "weights and bias"),
    )
    for (fields, what), (to, of) in itertools.product(shared, itertools.combinations(range(4), 2)):
        source = tuple(of if position == to else position for position in range(4))
        words = {**gates[to], "weights": what}
        words |= {f"{name}_2": word for name, word in gates[of].items()}
        code = "gates-share-bias" if fields == ("b_from",) else "gates-share-weights"
        faults.append(Fault(code, dict.fromkeys(fields, source), words))
    return faults + [
        Fault("gates-share-sum", dict.fromkeys(fields, source), _sharing(source, what))
        for fields, what in shared
        if fields != ("b_from",)
        for source in _MORE_SHARED
    ]


_MORE_SHARED = ((0, 1, 1, 1), (0, 1, 0, 0), (0, 0, 2, 0), (0, 0, 0, 3),
                (0, 0, 2, 2), (0, 1, 0, 1), (0, 1, 1, 0), (0, 0, 0, 0))  # fmt: skip
"""Whose weights each gate uses where more than one uses another's."""


def _sharing(source: tuple[int, ...], what: str) -> dict[str, Any]:
    """The words for gates that use the weights of others."""
    names, numbers = zip(*((_NAMES[g], _NUMBERS[g]) for g in GATES["lstm"]), strict=True)
    together: dict[int, list[int]] = {}
    for gate, of in enumerate(source):
        together.setdefault(of, []).append(gate)
    groups = [gates for gates in together.values() if len(gates) > 1]
    return {
        "equations": ", ".join(numbers[gate] for gates in groups for gate in gates),
        "gates": "; ".join(" and ".join(names[gate] for gate in gates) for gates in groups),
        "weights": what,
    }


def _bias_faults(kind: str) -> list[Fault]:
    """Biases that are missing, shared, or laid along the wrong axis."""
    words = {"equation": _GATE_EQUATIONS[kind], "unit": "unit", "units": "units"}
    faults = [Fault(code, {"bias": name}, words) for name, code in _BIASES.items()]
    if kind == "lstm":
        faults.append(Fault("one-bias-for-all-gates", {"b_from": (0, 0, 0, 0)}))
        for position, gate in enumerate(GATES[kind]):
            words = {"equation": _NUMBERS[gate], "gate": _NAMES[gate]}
            faults.append(Fault("gate-without-bias", {"unbiased": position}, words))
    words = {"equation": READ_OUT[kind], "unit": "class", "units": "classes"}
    return faults + [Fault(code, {"read_out_bias": name}, words) for name, code in _BIASES.items()]


def _other_faults(kind: str) -> list[Fault]:
    """The first state and the read-out."""
    equation = READ_OUT[kind]
    faults = [Fault("state-starts-at-ones", {"start": "ones"})]
    sources = {"sum of steps": "the sum of h over all steps",
               "mean of steps": "the mean of h over all steps"}  # fmt: skip
    if kind == "lstm":
        sources["cell"] = "the cell state c"
    for name, text in sources.items():
        words = {"equation": equation, "source": text}
        faults.append(Fault("read-out-source", {"read_out": name}, words))
    for name in ("tanh", "sigmoid", "relu"):
        words = {"equation": equation, "found": _shown(name)}
        faults.append(Fault("read-out-activation", {"after": name}, words))
    return faults


def _shown(activation: str) -> str:
    """A non-linearity in words."""
    return _SHOWN.get(activation, activation)
