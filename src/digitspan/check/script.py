"""Checks a training script: what it did, in which order, while it ran for a few steps."""

from __future__ import annotations

import ast
import re
from typing import Any, NamedTuple

from digitspan.check.findings import Findings, Section
from digitspan.check.reading.source import Source, known_library, line_at, method_called, nodes_of
from digitspan.check.sandbox.process import ChildLost, ChildProcess, ChildRefused
from digitspan.check.sandbox.signatures import role_of

__all__ = ["Trained", "check_training"]

STEPS = 4
"""Steps of the optimiser that are traced."""
SECONDS = 30.0
"""How long the script may take for them."""


class Trained(NamedTuple):
    """What was found about a training script, and what it says about the networks."""

    section: Section
    losses: set[str]
    """What the loss was given: "logits", "probabilities", ..."""


def check_training(child: ChildProcess | None, script: Source | None) -> Trained:
    """Run the training script for a few steps and judge what it did.

    Args:
        child: where to run it; None: it cannot be run.
        script: the script; None: there is none.
    """
    findings = Findings(script.name if script else "")
    if script is None:
        findings.add("script-missing")
        return Trained(findings.section(), set())
    place = script.name, script.line
    if script.tree is None:
        findings.add("script-not-python", *place, path=script.name, error=script.error)
        return Trained(findings.section(), set())
    if script.error:
        findings.add("script-wrong-encoding", *place, path=script.name, error=script.error)
    if not any(method_called(call) == "backward" for call in nodes_of(script.tree, ast.Call)):
        findings.add("script-not-filled-in")
        return Trained(findings.section(), set())
    trace: dict[str, Any] = {}
    if child is not None:
        child.cuda.clear()
        try:
            question = {"do": "train", "file": script.path, "options": _options(script),
                        "steps": STEPS}  # fmt: skip
            trace, _ = child.ask(question, seconds=SECONDS)
        except ChildLost as lost:
            findings.add("script-lost", steps=STEPS, reason=lost)
        except ChildRefused as error:
            findings.add("script-could-not-be-run", error=error)
    for place in sorted(child.cuda if child else [])[:1]:
        findings.add("script-cuda-without-asking", *place)
    if trace.get("course_dataset") is True:
        findings.add("dataset-missing")
    events = _events(trace)
    steps = sum(event.name == "step" for event in events)
    _check_text(script, events, findings)
    whole = _check_error(trace, steps, findings) if trace else True
    if steps:
        _check_order(events, findings)
        _check_optimizer(trace, findings)
    losses = {str(event.details.get("given")) for event in events if event.name == "loss"}
    return Trained(findings.section(decided=whole and steps > 0), losses)


class _Event(NamedTuple):
    """Something that the script did."""

    name: str
    file: str
    line: int
    details: dict[str, Any]


def _check_order(events: list[_Event], findings: Findings) -> None:
    """The order of zero_grad, forward, backward, clip, step."""
    cycles: list[list[_Event]] = [[]]
    for event in events:
        cycles[-1].append(event)
        if event.name == "step":
            cycles.append([])
    # What stands before the first step is set-up too; what follows the last is the next round.
    cycle = ([cycle for cycle in cycles[1:-1] if cycle] or cycles[:1])[-1]
    backwards, zeros, clips = (
        [i for i, event in enumerate(cycle) if event.name == name]
        for name in ("backward", "zero_grad", "clip")
    )
    step = cycle[-1]
    if not backwards:
        findings.add("step-without-backward")
        return
    backward = cycle[backwards[-1]]
    if not zeros:
        findings.add("zero-grad-missing", step.file, step.line)
    elif zeros[-1] > backwards[-1]:
        late = cycle[zeros[-1]]
        findings.add("zero-grad-too-late", late.file, late.line)
    if not clips:
        findings.add("gradients-not-clipped")
    elif clips[-1] < backwards[-1]:
        clip = cycle[clips[-1]]
        after = clip.line > step.line or (
            clips[0] == 0 and clip.line >= min(backward.line, step.line)
        )
        code = "clipped-after-step" if after else "clipped-before-backward"
        findings.add(code, clip.file, clip.line)


def _check_optimizer(trace: dict[str, Any], findings: Findings) -> None:
    """RMSprop, as the sheet asks."""
    optimizers = [name[:40] for name in trace.get("optimizers", []) if isinstance(name, str)]
    if optimizers and not any("RMS" in name.upper() for name in optimizers):
        findings.add("not-rmsprop", name=optimizers[0])


def _check_text(script: Source, events: list[_Event], findings: Findings) -> None:
    """What the text of the script shows."""
    seeded = any(event.name == "seed" for event in events)
    if not seeded and not re.search(r"manual_seed|seed_everything|random\.seed", script.text):
        findings.add("no-seed")
    deprecated = re.search(r"\bclip_grad_norm\b(?!_)", script.text)
    if deprecated:
        line = line_at(script.text, deprecated.start())
        if not script.text.splitlines()[line - 1].lstrip().startswith("#"):
            findings.add("clip-deprecated", line=line)
    evaluates = r"no_grad|\.eval\(\)|valid|val_|test_(loader|data|set|acc)|evaluat|eval_|held"
    if re.search(r"acc", script.text, re.IGNORECASE) and not re.search(evaluates, script.text):
        findings.add("accuracy-of-the-training-batch")


def _check_error(trace: dict[str, Any], steps: int, findings: Findings) -> bool:
    """A script that stopped with an error; returns whether it got through without."""
    error = trace.get("script_error")
    if not isinstance(error, dict):
        if steps == 0:
            findings.add("script-takes-no-step")
        return True
    problem = ChildRefused(error)
    when = "before its first step" if steps == 0 else f"after {steps} of its steps"
    code = "script-stops"
    if problem.of_import and not known_library(problem.missing):
        found = problem.type == "ImportError"
        code = "script-cannot-import" if found else "script-module-not-found"
    elif problem.type in _OWN_ERRORS or problem.cause == "graph":
        code = "script-fails"
    findings.add(code, *problem.place, when=when, error=problem)
    return False


_OWN_ERRORS = ("NameError", "UnboundLocalError", "SyntaxError", "IndentationError", "TabError")
"""Errors that a script makes on any computer."""


def _events(trace: dict[str, Any]) -> list[_Event]:
    """The events of a trace that have the right form."""
    events = trace.get("events")
    if not isinstance(events, list):
        return []
    return [
        _Event(str(event[0])[:40], str(event[1])[:200], event[2], event[3])
        for event in events
        if isinstance(event, list)
        and len(event) == 4
        and isinstance(event[2], int)
        and isinstance(event[3], dict)
    ]


def _options(script: Source) -> list[str]:
    """The command line that a script must have, and that keeps it on the CPU."""
    options: list[str] = []
    places: list[str] = []
    for node in nodes_of(script.tree, ast.Call):
        names = [word.value for word in node.args if isinstance(word, ast.Constant)]
        if method_called(node) != "add_argument" or not names or not isinstance(names[-1], str):
            continue
        words = {word.arg: word.value for word in node.keywords}
        required = "required" in words and "True" in ast.dump(words["required"])
        if names[-1] == "--device":
            options += ["--device", "cpu"]
        elif not names[-1].startswith("-") and "nargs" not in words:
            places.append(_option_value(names[-1], words))
        elif required:
            options += [names[-1], _option_value(names[-1], words)]
    return [*options, *places]


def _option_value(name: str, words: dict[str | None, ast.expr]) -> str:
    """A value for an option that must be given, by its choices, its type or its name."""
    choices = words.get("choices")
    if isinstance(choices, (ast.List, ast.Tuple)) and choices.elts:
        first = choices.elts[0]
        return str(first.value) if isinstance(first, ast.Constant) else ""
    kind = words.get("type")
    if isinstance(kind, ast.Name) and kind.id == "float":
        return "0.001"
    if isinstance(kind, ast.Name) and kind.id == "int":
        return {"inputs": "1", "classes": "10"}.get(role_of(name), "5")
    return {"device": "cpu"}.get(role_of(name), "RNN")
