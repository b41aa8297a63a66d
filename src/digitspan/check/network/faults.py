"""The known ways to get the sheet's equations wrong, each with its sentence.

A `Fault` is a change of the sheet's cell. `wrong_cells` gives cells with one fault, then cells
with two, and so on, so that the first one a network computes is also the simplest.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

from digitspan.check.network.equations import GATES, SHEET_ACTIVATIONS, Cell

__all__ = ["Fault", "bias_fault", "faults_of", "wrong_cells"]


class Fault(NamedTuple):
    """One way to get an equation wrong."""

    rule: str
    """The name under which the rule is switched off."""
    message: str
    """One sentence: the equation, what was expected, what was found."""
    changes: dict[str, Any]
    """The fields of the sheet's cell that it changes."""


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
    "g i": "the previous cell state c(t-1) is never used: c = g * i, expected g * i + c(t-1) * f",
    "g i + f": "the forget gate is added by itself: c = g * i + f, expected g * i + c(t-1) * f, "
    "so the previous cell state c(t-1) is never used",
    "g i + h f": "the forget gate multiplies h(t-1), expected the previous cell state c(t-1): "
    "c(t-1) is never used",
    "g i + c": "the forget gate is not applied: c = g * i + c(t-1), expected g * i + c(t-1) * f",
    "g + c f": "the input gate is not applied: c = g + c(t-1) * f, expected g * i + c(t-1) * f",
    "(g + i) + c f": "the input gate is added instead of multiplied: c = g + i + c(t-1) * f, "
    "expected g * i + c(t-1) * f",
    "g i + (c + f)": "the forget gate is added instead of multiplied: c = g * i + c(t-1) + f, "
    "expected g * i + c(t-1) * f",
    "g i c f": "the two parts are multiplied instead of added: expected g * i + c(t-1) * f",
    "g (1 - f) + c f": "1 - f stands for the input gate: c = g * (1 - f) + c(t-1) * f, expected "
    "g * i + c(t-1) * f",
    "g i - c f": "the previous cell state is subtracted: expected g * i + c(t-1) * f",
    "c f": "the candidate never enters: c = c(t-1) * f, expected g * i + c(t-1) * f",
}
_OUTPUTS = {
    "a + o": "the output gate is added instead of multiplied: h = tanh(c) + o, expected "
    "tanh(c) * o",
    "a": "the output gate is not applied: h = tanh(c), expected tanh(c) * o",
    "act(c o)": "the output gate stands inside the tanh: h = tanh(c * o), expected tanh(c) * o",
    "act(c + o)": "the output gate stands inside the tanh, added: h = tanh(c + o), expected "
    "tanh(c) * o",
    "o": "the cell state is not used: h = o, expected tanh(c) * o",
    "a - o": "the output gate is subtracted: h = tanh(c) - o, expected tanh(c) * o",
}
_INSIDE = {
    "h outside": "W_hh h(t-1) is added outside the tanh, expected inside it",
    "b outside": "the bias b_h is added outside the tanh, expected inside it",
    "x outside": "W_hx x(t) is added outside the tanh, expected inside it",
    "twice": "tanh is applied twice, expected once",
    "product": "W_hx x(t) and W_hh h(t-1) are multiplied, expected added",
}
_BIASES = {
    "none": ("bias", "there is no bias, expected one number a unit"),
    "sample": (
        "bias",
        "the bias is added along the batch axis, one number a sample, expected one number a unit",
    ),
    "column": (
        "bias",
        "the bias has a column for each sample of the batch, expected one number a unit for all",
    ),
    "scalar": ("bias", "the bias is a single number for all units, expected one number a unit"),
}


def faults_of(kind: str) -> list[Fault]:
    """The faults of one kind of cell, "rnn" or "lstm", the likelier first."""
    faults = [*_activation_faults(kind)]
    if kind == "lstm":
        faults += [
            Fault("cell state", f"Equation (8): {text}.", {"update": name})
            for name, text in _UPDATES.items()
        ]
        faults += [
            Fault("output gate", f"Equation (9): {text}.", {"output": name})
            for name, text in _OUTPUTS.items()
        ]
        for outer in ("linear", "sigmoid", "relu"):
            message = f"Equation (9): c goes through {_shown(outer)}, expected tanh."
            faults.append(Fault("non-linearity", message, {"outer": outer}))
    else:
        faults += [
            Fault("hidden state", f"Equation (1): {text}.", {"inside": name})
            for name, text in _INSIDE.items()
        ]
    return faults + _recurrence_faults(kind) + _bias_faults(kind) + _other_faults(kind)


def wrong_cells(
    kind: str, most: int = 3, given: tuple[Fault, ...] = ()
) -> Iterator[tuple[Cell, list[Fault]]]:
    """Cells with one fault, then with two, up to `most`, and the faults of each.

    Args:
        kind: "rnn" or "lstm".
        most: how many faults, beside those given.
        given: faults that each of them has.
    """
    sheet = Cell.of_the_sheet(kind)
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
    """The fault of a bias laid out wrongly: `field` is "bias" or "readout_bias"."""
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
        wrong = [
            position for position in range(len(gates)) if activations[position] != sheet[position]
        ]
        if not wrong:
            continue
        parts = [
            f"equation {_NUMBERS[gates[p]]}: {_NAMES[gates[p]]} goes through "
            f"{_shown(activations[p])}, expected {sheet[p]}"
            for p in wrong
        ]
        message = "; ".join(parts)
        message = f"{message[0].upper()}{message[1:]}."
        faults.append(Fault("non-linearity", message, {"activations": activations}))
    return faults


def _recurrence_faults(kind: str) -> list[Fault]:
    """Previous states that are not read, and weights used in the wrong place."""
    numbers = "(1)" if kind == "rnn" else "(4) to (7)"
    faults = [
        Fault(
            "hidden state",
            f"Equation {numbers}: the previous hidden state h(t-1) is never used, so the network "
            f"remembers nothing through it.",
            {"recurrent": "nothing"},
        )
    ]
    if kind == "rnn":
        return faults
    faults.append(
        Fault(
            "hidden state",
            "Equations (4) to (7): the gates read the cell state c(t-1), expected the hidden "
            "state h(t-1).",
            {"recurrent": "cell"},
        )
    )
    gates = GATES[kind]
    for position, gate in enumerate(gates):
        message = (
            f"Equation {_NUMBERS[gate]}: {_NAMES[gate]} does not read the previous hidden state "
            f"h(t-1)."
        )
        faults.append(Fault("hidden state", message, {"blind": position}))
    shared = (
        (("x_from",), "input weights"),
        (("h_from",), "recurrent weights"),
        (("b_from",), "bias"),
        (("x_from", "h_from"), "weights"),
        (("x_from", "h_from", "b_from"), "weights and bias"),
    )
    for (fields, what), (to, of) in itertools.product(shared, itertools.combinations(range(4), 2)):
        source = tuple(of if position == to else position for position in range(4))
        message = (
            f"Equations {_NUMBERS[gates[to]]} and {_NUMBERS[gates[of]]}: {_NAMES[gates[to]]} and "
            f"{_NAMES[gates[of]]} use the same {what}, expected each its own."
        )
        rule = "bias" if fields == ("b_from",) else "weights"
        faults.append(Fault(rule, message, dict.fromkeys(fields, source)))
    return faults


def _bias_faults(kind: str) -> list[Fault]:
    """Biases that are missing, shared, or laid along the wrong axis."""
    numbers = "(1)" if kind == "rnn" else "(4) to (7)"
    faults = [
        Fault(rule, f"Equation {numbers}: {text}.", {"bias": name})
        for name, (rule, text) in _BIASES.items()
    ]
    if kind == "lstm":
        message = "Equations (4) to (7): one gate's bias is used for all four gates."
        faults.append(Fault("bias", message, {"b_from": (0, 0, 0, 0)}))
        for position, gate in enumerate(GATES[kind]):
            message = (
                f"Equation {_NUMBERS[gate]}: {_NAMES[gate]} has no bias, expected one number a "
                f"unit."
            )
            faults.append(Fault("bias", message, {"unbiased": position}))
    number = "(2)" if kind == "rnn" else "(10)"
    faults += [
        Fault(rule, f"Equation {number}: {text.replace('unit', 'class')}.", {"readout_bias": name})
        for name, (rule, text) in _BIASES.items()
    ]
    return faults


def _other_faults(kind: str) -> list[Fault]:
    """The first state and the read-out."""
    number = "(2)" if kind == "rnn" else "(10)"
    faults = [
        Fault(
            "initial state",
            "The initial state is filled with ones, expected zeros: h(0) = 0.",
            {"start": "ones"},
        )
    ]
    readouts = {"sum of steps": "the sum of h over all steps",
                "mean of steps": "the mean of h over all steps"}  # fmt: skip
    if kind == "lstm":
        readouts["cell"] = "the cell state c"
    for name, text in readouts.items():
        message = f"Equation {number}: the logits are made from {text}, expected the last h."
        faults.append(Fault("read-out", message, {"readout": name}))
    for name in ("tanh", "sigmoid", "relu"):
        message = (
            f"Equation {number}: the answer goes through {_shown(name)}, expected logits as they "
            f"are."
        )
        faults.append(Fault("read-out", message, {"after": name}))
    return faults


def _shown(activation: str) -> str:
    """A non-linearity in words."""
    return _SHOWN.get(activation, activation)
