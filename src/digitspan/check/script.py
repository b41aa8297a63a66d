"""Checks a training script: what it did, in which order, while it ran for a few steps."""

from __future__ import annotations

import ast
import re
from typing import Any, NamedTuple

from digitspan.check.findings import Findings, Section
from digitspan.check.reading.source import Source, known_library, nowhere
from digitspan.check.sandbox.process import Child, ChildLost, ChildRefused
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
    lengths: list[tuple[int, int]]
    """For each call of a network: the length it was told, the length of what it was fed."""


def check_training(child: Child | None, script: Source | None) -> Trained:
    """Run the training script for a few steps and judge what it did.

    Args:
        child: where to run it; None: it cannot be run.
        script: the script; None: there is none.
    """
    findings = Findings(script.name if script else "")
    if script is None:
        findings.fault("missing", "There is no training script: expected part1/train.py.")
        return Trained(Section(tuple(findings.found)), set(), [])
    if script.tree is None:
        findings.fault("runs", f"{script.name} cannot be run: {script.error}.", line=script.line)
        return Trained(Section(tuple(findings.found)), set(), [])
    if script.error:
        message = f"{script.name} cannot be run: {script.error}; expected UTF-8."
        findings.fault("runs", message, line=script.line)
    if not _calls(script.tree, "backward"):
        findings.fault(
            "template",
            "The training script was never filled in: it never calls backward(), so nothing is "
            "trained.",
        )
        return Trained(Section(tuple(findings.found)), set(), [])
    trace: dict[str, Any] = {}
    if child is not None:
        child.cuda.clear()
        try:
            question = {"do": "train", "file": script.path, "options": _options(script),
                        "steps": STEPS}  # fmt: skip
            trace, _ = child.ask(question, seconds=SECONDS)
        except ChildLost as lost:
            findings.remark("runs", f"The training script did not get through {STEPS} steps: "
                            f"{lost.reason}.")  # fmt: skip
        except ChildRefused as error:
            findings.remark("runs", f"The training script could not be run: {error}.")
    for place in sorted(child.cuda if child else [])[:1]:
        file, _, number = place.rpartition(":")
        findings.remark(
            "cuda",
            "CUDA is asked for without asking whether there is any: on a computer without it the "
            "script stops.",
            file,
            int(number) if number.isdigit() else 0,
        )
    if trace.get("course_dataset") is True:
        findings.remark(
            "missing",
            "The course's dataset.py is not in the hand-in; one like it was put in its place.",
        )
    events = _events(trace)
    steps = sum(event[0] == "step" for event in events)
    _tell_static(script, events, findings)
    whole = True
    if trace:
        whole = _tell_error(trace, steps, findings)
    if steps == 0:
        return Trained(Section(tuple(findings.found), decided=False), _losses(events), [])
    _tell_order(events, findings)
    _tell_choices(trace, events, findings)
    return Trained(Section(tuple(findings.found), whole), _losses(events), _lengths(trace))


def _tell_order(events: list[list[Any]], findings: Findings) -> None:
    """The order of zero_grad, forward, backward, clip, step."""
    cycles: list[list[list[Any]]] = [[]]
    for event in events:
        cycles[-1].append(event)
        if event[0] == "step":
            cycles.append([])
    # What stands before the first step is set-up too; what follows the last is the next round.
    whole = [cycle for cycle in cycles[1:-1] if cycle] or cycles[:1]
    cycle = whole[-1]
    names = [event[0].removeprefix("deprecated ") for event in cycle]
    backward = max((i for i, name in enumerate(names) if name == "backward"), default=None)
    if backward is None:
        findings.fault("order", "step() is called without backward(): the weights never change.")
        return
    _tell_zero_grad(cycle, names, backward, findings)
    clips = [i for i, name in enumerate(names) if name == "clip"]
    step_line = cycle[-1][2]
    if not clips:
        findings.remark(
            "clip", "Gradients are not clipped: the template clips their norm between backward() "
            "and step().",
        )  # fmt: skip
    elif all(i < backward for i in clips):
        _, file, line, _ = cycle[clips[-1]]
        where = "after step()" if line > step_line or clips[0] == 0 else "before backward()"
        if where == "after step()" and line < cycle[backward][2] and line < step_line:
            where = "before backward()"
        findings.fault(
            "clip",
            f"Gradients are clipped {where}, where it does nothing: expected backward(), then "
            f"clipping, then step().",
            file,
            line,
        )


def _tell_zero_grad(
    cycle: list[list[Any]], names: list[str], backward: int, findings: Findings
) -> None:
    """zero_grad that is missing or erases the gradients."""
    zeros = [i for i, name in enumerate(names) if name == "zero_grad"]
    if not zeros:
        findings.fault(
            "zero_grad",
            "zero_grad() is never called: the gradients of all batches add up; expected it once a "
            "step, before backward().",
            cycle[-1][1],
            cycle[-1][2],
        )
    elif any(i > backward for i in zeros):
        _, file, line, _ = cycle[max(zeros)]
        findings.fault(
            "zero_grad",
            "zero_grad() stands between backward() and step(): it erases the gradients that "
            "step() needs.",
            file,
            line,
        )


def _tell_choices(trace: dict[str, Any], events: list[list[Any]], findings: Findings) -> None:
    """The optimiser, the seed, names that are no more."""
    optimizers = [str(name)[:40] for name in trace.get("optimizers", []) if isinstance(name, str)]
    if optimizers and not any("RMS" in name.upper() for name in optimizers):
        findings.fault(
            "optimiser", f"The optimiser is {optimizers[0]}, expected RMSprop, as the sheet asks."
        )


def _tell_static(script: Source, events: list[list[Any]], findings: Findings) -> None:
    """What the text of the script shows."""
    seeds = {"seed", "numpy seed", "python seed"}
    seeded = any(event[0] in seeds for event in events)
    if not seeded and not re.search(r"manual_seed|seed_everything|random\.seed", script.text):
        findings.remark("seed", "No seed is set: the numbers of the report cannot be had again.")
    deprecated = re.search(r"\bclip_grad_norm\b(?!_)", script.text)
    if deprecated:
        line = script.text[: deprecated.start()].count("\n") + 1
        if not script.text.splitlines()[line - 1].lstrip().startswith("#"):
            findings.remark(
                "clip", "clip_grad_norm is deprecated, and gone from newer PyTorch: the name is "
                "clip_grad_norm_.", line=line,
            )  # fmt: skip
    evaluates = r"no_grad|\.eval\(\)|valid|val_|test_(loader|data|set|acc)|evaluat|eval_|held"
    if re.search(r"acc", script.text, re.IGNORECASE) and not re.search(evaluates, script.text):
        findings.remark(
            "accuracy",
            "The accuracy is that of the batch that was just trained on; fresh palindromes would "
            "say more.",
        )


def _tell_error(trace: dict[str, Any], steps: int, findings: Findings) -> bool:
    """A script that stopped with an error; returns whether it got through without."""
    error = trace.get("script_error")
    if not isinstance(error, dict):
        if steps == 0:
            findings.remark("runs", "The training script took no step of an optimiser here.")
        return True
    problem = ChildRefused(error, [])
    when = "before its first step" if steps == 0 else f"after {steps} of its steps"
    message = f"The training script stops {when}: {problem}"
    missing = problem.type in ("ModuleNotFoundError", "ImportError")
    if missing and not known_library(problem.missing):
        findings.fault("import", f"{message}{nowhere(problem)}", problem.file, problem.line)
    elif problem.type in _OWN_ERRORS or "backward through the graph" in problem.message:
        findings.fault("runs", message, problem.file, problem.line)
    else:
        findings.remark("runs", message, problem.file, problem.line)
    return False


_OWN_ERRORS = ("NameError", "UnboundLocalError", "SyntaxError", "IndentationError", "TabError")
"""Errors that a script makes on any computer."""


def _events(trace: dict[str, Any]) -> list[list[Any]]:
    """The events of a trace that have the right form."""
    events = trace.get("events")
    if not isinstance(events, list):
        return []
    return [
        [str(event[0])[:40], str(event[1])[:200], event[2], event[3]]
        for event in events
        if isinstance(event, list)
        and len(event) == 4
        and isinstance(event[2], int)
        and isinstance(event[3], dict)
    ]


def _losses(events: list[list[Any]]) -> set[str]:
    """What the cross-entropy was given."""
    return {str(event[3].get("given")) for event in events if event[0] == "loss"}


def _lengths(trace: dict[str, Any]) -> list[tuple[int, int]]:
    """The lengths that networks were told and fed."""
    found = []
    for network in trace.get("networks", []):
        if not isinstance(network, dict) or not isinstance(network.get("sizes"), dict):
            continue
        told = [
            value
            for name, value in network["sizes"].items()
            if isinstance(value, int) and re.search(r"seq|len", str(name))
        ]
        shapes = network.get("shapes")
        if told and isinstance(shapes, list) and shapes and isinstance(shapes[0], list):
            sizes = [size for size in shapes[0] if isinstance(size, int)]
            found += [(told[0], size) for size in sizes]
    return found


def _options(script: Source) -> list[str]:
    """The command line that a script must have, and that keeps it on the CPU."""
    options: list[str] = []
    places: list[str] = []
    for node in ast.walk(script.tree) if script.tree else ():
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        names = [word.value for word in node.args if isinstance(word, ast.Constant)]
        if node.func.attr != "add_argument" or not names or not isinstance(names[-1], str):
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


def _calls(tree: ast.Module, name: str) -> bool:
    """Whether a method of this name is called anywhere."""
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == name
        for node in ast.walk(tree)
    )
