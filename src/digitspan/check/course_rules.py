"""Rules that a course switches off, or makes remarks: `--rules FILE`, in TOML.

[rules]
"ready-made" = "off"         # this course allows nn.Linear
"optimiser" = "remark"

[allow]
ready-made = ["Linear"]      # or only some of torch's layers

[points]
VanillaRNN = 4               # in full where there is no fault
LSTM = 4
training = 2
package = 1

[costs]
"clip" = 0.5                 # what a fault of this rule costs; else all points of its section
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from digitspan.check.findings import NETWORKS, Finding
from digitspan.errors import UsageError, one_of
from digitspan.files import read_text
from digitspan.sheet.exercise import Sheet, default_sheet

__all__ = ["RULES", "Rules", "read_rules"]

RULES = {
    "absolute path": "files are named by paths relative to the hand-in",
    "accuracy": "accuracy is measured on palindromes that were not just trained on",
    "archive": "the hand-in is a ZIP that can be read",
    "bias": "one bias per unit in every gate, one a class in the read-out",
    "caches": "no caches or system files in the hand-in",
    "cell state": "equation (8)",
    "clip": "gradients are clipped between backward() and step()",
    "conflict": "no merge-conflict markers",
    "copy": "no two students hand in the same files",
    "cuda": "the code runs on the CPU",
    "equations": "the network computes the sheet's equations",
    "figures": "the report has figures with captions",
    "gradient": "every parameter gets its gradient, through all time steps",
    "hidden state": "the previous hidden state enters every gate",
    "import": "the file can be imported",
    "initial state": "h(0) = 0",
    "kind": "the RNN is an RNN, the LSTM an LSTM",
    "loss": "the loss is the cross-entropy of the logits after the last digit",
    "memory": "forward must not accumulate tensors between calls",
    "missing": "everything that was asked for is there",
    "name": "ZIP and PDF are called Surname-Matriculation, and are of one student",
    "no answer": "the code answers within its limits",
    "no_grad": "the network runs under torch.no_grad()",
    "non-linearity": "each gate goes through its own non-linearity",
    "optimiser": "RMSprop",
    "order": "samples, time steps and calls are in order",
    "output gate": "equation (9)",
    "own words": "the answers are not the model solution's",
    "parameter": "all weights are parameters of the module",
    "pdf": "there is a PDF with text",
    "print": "forward does not print",
    "questions": "the number of every question occurs in the report",
    "read-out": "equations (2) and (10)",
    "reading": "all T - 1 digits are read, as they are",
    "ready-made": "no torch.nn.RNN, LSTM, GRU, Linear, Embedding",
    "result": "forward returns one tensor of logits",
    "runs": "the network can be built and fed, the script run",
    "seed": "a seed is set",
    "softmax": "forward returns logits",
    "start": "weights start at small random values",
    "step interface": "forward reads the whole sequence",
    "template": "the template was filled in",
    "unused": "no parameter is unused",
    "weights": "every gate has its own weights",
    "zero_grad": "zero_grad() once per step",
}
"""Every rule, with what it asks for."""

_STATES = ("on", "remark", "off")
_LAYERS = ("Linear", "LazyLinear", "Bilinear", "Embedding", "EmbeddingBag", "RNN", "LSTM", "GRU",
           "RNNBase", "Transformer", "MultiheadAttention",
           "NonDynamicallyQuantizableLinear")  # fmt: skip
"""What `digitspan check` calls the layers of torch that it tells of."""
_TABLES = ("rules", "allow", "points", "costs")


class Rules(NamedTuple):
    """What a course makes of the rules."""

    states: dict[str, str]
    """Rule to "on", "remark" or "off"; those that are not named are on."""
    allowed: frozenset[str]
    """torch's layers that may be used."""
    points: tuple[tuple[str, float], ...] = ()
    """The points of each section; none: no points are given."""
    costs: tuple[tuple[str, float], ...] = ()
    """What a fault costs, by its rule."""
    sheet: Sheet | None = None
    """What is asked; None: the program's own sheet."""

    @property
    def asked(self) -> Sheet:
        """The sheet that hand-ins answer."""
        return self.sheet or default_sheet()

    def applied(self, findings: list[Finding]) -> tuple[Finding, ...]:
        """The findings as this course sees them."""
        kept = []
        for finding in findings:
            state = self.states.get(finding.rule, "on")
            if state == "remark":
                kept.append(finding._replace(severity="remark"))
            elif state == "on":
                kept.append(finding)
        return tuple(kept)


def read_rules(path: Path | None, sheet: Sheet | None = None) -> Rules:
    """Read a course's rules; without a file all are on.

    Args:
        path: of the file.
        sheet: what is asked; None: the program's own sheet.

    Raises:
        UsageError: where the file cannot be read, or names an unknown rule or state.
    """
    if path is None:
        return Rules({}, frozenset(), sheet=sheet)
    try:
        document = tomllib.loads(read_text(path))
    except (OSError, tomllib.TOMLDecodeError) as error:
        message = f"--rules must be a TOML file; {str(path)[:200]!r} cannot be read: {error}"
        raise UsageError(message) from error
    for table in document:
        if table not in _TABLES:
            message = f"the table in --rules {one_of(table, _TABLES)}"
            raise UsageError(message)
        if not isinstance(document[table], dict):
            message = (
                f"[{table}] in --rules must be a table, such as [{table}] and a line below it; "
                f"got {str(document[table])[:80]!r}"
            )
            raise UsageError(message)
    states = document.get("rules", {})
    for rule, state in states.items():
        if rule not in RULES:
            message = f"the rule in --rules {one_of(rule, sorted(RULES))}"
            raise UsageError(message)
        if state not in _STATES:
            message = f"the rule {rule!r} in --rules {one_of(state, _STATES)}"
            raise UsageError(message)
    allow = document.get("allow", {})
    layers = allow.get("ready-made", [])
    if allow.keys() - {"ready-made"} or not isinstance(layers, list):
        message = (
            f'[allow] in --rules must be ready-made = ["Linear", ...]; got {str(allow)[:80]!r}'
        )
        raise UsageError(message)
    for layer in layers:
        if layer not in _LAYERS:
            message = f"the layer in [allow] of --rules {one_of(layer, _LAYERS)}"
            raise UsageError(message)
    points = _numbers(document, "points", (*NETWORKS, "training", "package"))
    costs = _numbers(document, "costs", sorted(RULES))
    if costs and not points:
        message = "[costs] in --rules needs [points], of which they are taken"
        raise UsageError(message)
    return Rules(dict(states), frozenset(layers), points, costs, sheet)


def _numbers(
    document: dict[str, Any], table: str, names: Sequence[str]
) -> tuple[tuple[str, float], ...]:
    """A table of numbers from 0 by known names.

    Raises:
        UsageError: for another name, or what is no such number.
    """
    entries = document.get(table, {})
    for name, value in entries.items():
        if name not in names:
            message = f"the name in [{table}] of --rules {one_of(name, names)}"
            raise UsageError(message)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e6:
            message = (
                f"{name!r} in [{table}] of --rules must be a number of 0 or more; got {value!r}"
            )
            raise UsageError(message)
    return tuple((name, float(value)) for name, value in entries.items())
