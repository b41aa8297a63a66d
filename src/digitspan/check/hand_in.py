"""Checks one hand-in from end to end."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np

from digitspan.check.course_rules import Rules
from digitspan.check.findings import NETWORKS, Findings, Report, Section
from digitspan.check.network.identify import check_network
from digitspan.check.package import check_package
from digitspan.check.reading.hand_ins import HandIn, Tree, read_hand_in
from digitspan.check.reading.source import (
    Candidate,
    candidates,
    known_library,
    nowhere,
    numbers_in,
    ready_made_calls,
    resets_between_batches,
    script_of,
    told_longer,
    works_when_imported,
)
from digitspan.check.sandbox.process import Child, ChildLost, ChildRefused, Limits
from digitspan.check.sandbox.remote_network import Built, Subject, build_and_feed, digits_for
from digitspan.check.sandbox.signatures import Plan, Signature, plans
from digitspan.check.script import Trained, check_training

__all__ = ["Children", "check_class", "check_hand_in"]

_KINDS = {"VanillaRNN": "rnn", "LSTM": "lstm"}
_CUDA = (
    "CUDA is asked for without asking whether there is any: on a computer without it the code "
    "stops; expected the device that the constructor is given, or torch.cuda.is_available()."
)
_LOST = {
    "timeout": "timeout: the code does not come to an end within its time",
    "out of memory": "out of memory: the code asks for more than it may have",
    "too much output": "too much output: the code prints or writes more than it may",
    "no answer": "no answer: the code ended the process instead of answering",
}


def check_hand_in(path: Path, level: str, limits: Limits, rules: Rules) -> Report:
    """Check a hand-in.

    Args:
        path: a ZIP or a folder.
        level: "isolated" or "limited".
        limits: what its code may use.
        rules: the course's.
    """
    hand_in = read_hand_in(path)
    package = check_package(hand_in)
    classes: dict[str, Section] = {}
    trained: Trained | None = None
    if hand_in.refused:
        classes = dict.fromkeys(NETWORKS, Section(decided=False))
        training = Section(decided=False)
    else:
        with Tree(hand_in) as tree, Children(tree, level, limits) as children:
            script = script_of(hand_in.sources)
            later: dict[str, Section] = {}
            for name in NETWORKS:
                later[name] = check_class(children, hand_in, name, rules)
            trained = check_training(children.usable(), script)
            classes = {
                name: _reconsider(section, trained, children, hand_in, name, rules)
                for name, section in later.items()
            }
            training = trained.section
    return Report(
        str(path),
        level,
        {name: _ruled(section, rules) for name, section in classes.items()},
        _ruled(training, rules),
        _ruled(package, rules),
    )


class Children:
    """The child of a hand-in; one that is lost is replaced, so that what is left gets its turn."""

    def __init__(self, tree: Path, level: str, limits: Limits) -> None:
        self._tree, self._level, self._limits = tree, level, limits
        self._stack = contextlib.ExitStack()
        self._child: Child | None = None
        self._started = 0

    def __enter__(self) -> Children:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def usable(self) -> Child | None:
        """A child that answers; None where too many were lost."""
        if self._child is None or self._child.lost:
            self._stack.close()
            if self._started == 3:
                return None
            self._started += 1
            self._child = self._stack.enter_context(Child(self._tree, self._level, self._limits))
        return self._child


def check_class(children: Children, hand_in: HandIn, name: str, rules: Rules) -> Section:
    """Check one of the two classes."""
    kind = _KINDS[name]
    found = candidates(hand_in.sources, kind)
    if not found:
        return _missing(hand_in, name)
    candidate = found[0]
    findings = Findings(candidate.source.name, candidate.line)
    if not candidate.filled:
        findings.fault(
            "template",
            f"{candidate.name} was never filled in: forward is still the template's, and computes "
            f"nothing.",
        )
        return Section(tuple(findings.found))
    child = children.usable()
    if child is None:
        findings.fault("no answer", f"{_LOST['no answer']}.")
        return Section(tuple(findings.found))
    child.cuda.clear()
    try:
        options = list(plans(numbers_in(candidate)))
        if told_longer(hand_in.sources, candidate.name):
            options = [*(dataclasses.replace(plan, longer=1) for plan in options), *options]
        decided = _run_checks(child, candidate, kind, findings, rules, options)
    except ChildLost as lost:
        findings.fault("no answer", f"{_LOST[lost.reason]}.")
        decided = True
    except ChildRefused as error:
        message = f"The network runs on some digits and fails on others: {error}"
        findings.fault("runs", message, error.file, error.line)
        decided = True
    for place in sorted(child.cuda)[:1]:
        file, _, line = place.rpartition(":")
        findings.fault("cuda", _CUDA, file, int(line) if line.isdigit() else 0)
    return Section(tuple(findings.found), decided)


def _run_checks(
    child: Child,
    candidate: Candidate,
    kind: str,
    findings: Findings,
    rules: Rules,
    options: list[Plan],
) -> bool:
    """Import, build, feed and examine a class; returns whether it could be decided."""
    _tell_ready_made(candidate, findings, rules)
    signature = _load(child, candidate, findings)
    if signature is None:
        return findings.faults() > 0
    built = build_and_feed(child, signature, options)
    if built.subject is None:
        return _tell_failure(built, candidate, findings)
    subject = built.subject
    if subject.plan.batch == subject.plan.hidden:
        findings.remark(
            "runs",
            "The class only runs where the batch size equals the number of hidden units: the axes "
            "of a state or a bias are exchanged, or both sizes are written into the code.",
        )
    if subject.how["interface"] == "step":
        findings.remark(
            "step interface", "forward takes one step a call; the loop over time is outside."
        )
    decided = check_network(subject, kind, findings)
    _tell_habits(subject, findings, rules)
    return decided


def _load(child: Child, candidate: Candidate, findings: Findings) -> Signature | None:
    """Import a class, in full or its definitions only."""
    source = candidate.source
    works = not source.notebook and works_when_imported(source)
    if works:
        findings.remark(
            "import",
            'The file trains as soon as it is imported: expected if __name__ == "__main__" '
            "around it; its classes alone were checked.",
            source.name,
        )
    if source.error:
        findings.fault(
            "import",
            f"The file cannot be imported: {source.error}; expected UTF-8.",
            source.name,
            source.line,
        )
    question = {
        "do": "load",
        "file": source.path,
        "class": candidate.name,
        "definitions_only": source.notebook or works,
    }
    try:
        header, _ = child.ask(question)
    except ChildRefused as error:
        instead = _load_definitions(child, question, error, findings)
        if instead is None:
            return None
        header = instead
    skipped = header.get("skipped")
    for problem in skipped if isinstance(skipped, list) else []:
        if isinstance(problem, dict):
            _tell_import(ChildRefused(problem, []), findings)
    if not header.get("module"):
        findings.fault(
            "runs", f"{candidate.name} is no torch.nn.Module, so it has no parameters to train."
        )
    return Signature(_parameters(header, "constructor"), _parameters(header, "forward"))


def _load_definitions(
    child: Child, question: dict[str, Any], error: ChildRefused, findings: Findings
) -> dict[str, Any] | None:
    """Import what a file defines, where running all of it fails."""
    if error.type == "SystemExit":
        findings.fault(
            "import",
            "no answer: the file ends the process when it is imported (exit); expected that "
            "importing it does no more than define its classes.",
            error.file,
            error.line,
        )
        return None
    try:
        header, _ = child.ask({**question, "definitions_only": True})
    except ChildRefused as second:
        header = {}
        # What stops the class itself says more than what stopped the lines before it.
        error = error if _is_import(error) else second
    library = error.missing.partition(".")[0]
    if library in _OTHER_FRAMEWORKS and not header.get("module"):
        findings.remark(
            "import",
            f"It is written for {library}; only PyTorch can be checked.",
            error.file,
            error.line,
        )
        return None
    if header and _tell_import(error, findings):
        return header
    if header:
        findings.remark(
            "import",
            f"The file does not run as a whole when it is imported ({error}); its class alone was "
            f"checked.",
            error.file,
            error.line,
        )
        return header
    findings.fault("import", f"The file cannot be imported: {error}", error.file, error.line)
    return None


_OTHER_FRAMEWORKS = ("tensorflow", "keras", "jax", "theano", "mxnet", "flax", "chainer")


def _is_import(error: ChildRefused) -> bool:
    """Whether an import failed."""
    return error.type in ("ModuleNotFoundError", "ImportError")


def _tell_import(error: ChildRefused, findings: Findings) -> bool:
    """Tell a module that is nowhere; returns whether it is one.

    What a library lacks, or a library that is missing, may be so on this computer alone.
    """
    library = error.missing.partition(".")[0]
    if not _is_import(error) or library in _OTHER_FRAMEWORKS or known_library(error.missing):
        return False
    findings.fault(
        "import", f"The file cannot be imported: {error}{nowhere(error)}", error.file, error.line
    )
    return True


def _tell_failure(built: Built, candidate: Candidate, findings: Findings) -> bool:
    """A class that cannot be built or fed."""
    error = built.problem
    if error is not None and re.search("CUDA|cuda|accelerator", error.message):
        findings.fault("cuda", _CUDA, error.file, error.line)
        return True
    reason = f": {error}" if error is not None else ""
    file, line = (error.file, error.line) if error is not None else ("", 0)
    if not built.constructed:
        findings.fault("runs", f"{candidate.name} cannot be constructed{reason}", file, line)
    else:
        findings.fault(
            "runs",
            f"{candidate.name} does not run on a batch of digits, in whatever layout{reason}",
            file,
            line,
        )
    return True


def _tell_habits(subject: Subject, findings: Findings, rules: Rules) -> None:
    """What a call does besides computing."""
    values = subject.random_values(np.random.default_rng(5))
    digits = digits_for(subject.plan)
    try:
        subject.ask(values, digits, grad=False)
    except ChildRefused as error:
        findings.fault(
            "no_grad",
            f"The network does not run under torch.no_grad(), as for testing: {error}",
            error.file,
            error.line,
        )
    try:
        habits = subject.habits(values, digits)
    except ChildRefused as error:
        findings.fault("runs", f"The second call fails: {error}", error.file, error.line)
        return
    if isinstance(habits.get("printed"), int) and habits["printed"] > 0:
        findings.remark("print", "forward prints something at every call.")
    alive = habits.get("tensors_alive")
    if isinstance(alive, list) and all(isinstance(count, int) for count in alive):
        grown = [later - earlier for earlier, later in itertools.pairwise(alive)]
        if grown and min(grown) > 0:
            findings.fault(
                "memory",
                "Each call keeps more tensors than the one before, as a list that grows with "
                "every forward does: a long training runs out of memory.",
            )
    called = [str(name) for name in habits.get("called", []) if isinstance(name, str)]
    _tell_called(called, subject.ready_made, findings, rules)


_OPERATIONS = {
    "aten::lstm": "LSTM", "aten::gru": "GRU", "aten::rnn_tanh": "RNN", "aten::rnn_relu": "RNN",
    "aten::lstm_cell": "LSTM", "aten::gru_cell": "GRU", "aten::rnn_tanh_cell": "RNN",
    "aten::rnn_relu_cell": "RNN", "aten::linear": "Linear", "aten::embedding": "Embedding",
}  # fmt: skip


def _tell_called(called: list[str], modules: list[str], findings: Findings, rules: Rules) -> None:
    """Torch's own layers that were made or really called."""
    names = {_OPERATIONS[name] for name in called if name in _OPERATIONS}
    names |= {name.removesuffix("Cell") for name in modules}
    told = " ".join(finding.message for finding in findings.found)
    for name in sorted(names - rules.allowed):
        if f"torch.nn.{name}" not in told:
            findings.fault(
                "ready-made",
                f"The network uses torch.nn.{name} or its functional twin when it runs; the sheet "
                f"asks for matrix products of one's own.",
            )


def _tell_ready_made(candidate: Candidate, findings: Findings, rules: Rules) -> None:
    """Torch's own layers by the syntax tree."""
    told = set()
    for name, line in ready_made_calls(candidate.source, candidate.name):
        layer = {"linear": "Linear", "embedding": "Embedding", "lstm": "LSTM", "gru": "GRU",
                 "lstm_cell": "LSTM", "gru_cell": "GRU"}.get(name, name)  # fmt: skip
        layer = "RNN" if layer.startswith("rnn_") else layer.removesuffix("Cell")
        if layer in rules.allowed or layer in told:
            continue
        told.add(layer)
        findings.fault(
            "ready-made",
            f"torch.nn.{layer} (or its functional twin) is used; the sheet asks for matrix "
            f"products of one's own.",
            line=line,
        )


def _missing(hand_in: HandIn, name: str) -> Section:
    """A class that is not there, or cannot be seen."""
    findings = Findings()
    file = "vanilla_rnn.py" if name == "VanillaRNN" else "lstm.py"
    for source in hand_in.sources:
        if source.tree is None and (
            source.name.rsplit("/", 1)[-1].lower() == file or f"class {name}" in source.text
        ):
            findings.fault(
                "import",
                f"{source.name} cannot be imported: {source.error}.",
                source.name,
                source.line,
            )
            return Section(tuple(findings.found))
    findings.fault(
        "missing", f"There is no class {name}: expected it in part1/{file}, with a method forward."
    )
    return Section(tuple(findings.found))


def _reconsider(
    section: Section,
    trained: Trained,
    children: Children,
    hand_in: HandIn,
    name: str,
    rules: Rules,
) -> Section:
    """Look again at what only the training script can say."""
    findings = list(section.findings)
    kept = [
        f for f in findings if f.rule == "initial state" and "kept from one batch" in f.message
    ]
    reset = _resets(hand_in, name) if kept else ""
    if reset:
        findings = [
            f._replace(
                severity="remark",
                message=f"The state is kept from one batch to the next until {reset} is called or "
                f"set, as the training script does for every batch.",
            )
            if f in kept
            else f
            for f in findings
            if f.rule != "memory"  # what grows is the history of a state that is never reset here
        ]
    softmax = [f for f in findings if f.rule == "softmax" and "softmax again" in f.message]
    if softmax and trained.losses and trained.losses.isdisjoint({"probabilities"}):
        # The script takes the logarithm itself, or another loss: nothing is applied twice.
        findings = [
            f._replace(
                severity="remark",
                message="forward returns softmax(p); the training script takes care of it.",
            )
            if f in softmax
            else f
            for f in findings
        ]
    return Section(tuple(findings), section.decided)


def _resets(hand_in: HandIn, name: str) -> str:
    """What a training script calls or sets before each batch to start a network anew."""
    found = candidates(hand_in.sources, _KINDS[name])
    return resets_between_batches(hand_in.sources, found[0].name) if found else ""


def _ruled(section: Section, rules: Rules) -> Section:
    """A section as the course sees it."""
    return Section(rules.applied(list(section.findings)), section.decided)


def _parameters(header: dict[str, Any], name: str) -> list[list[Any]]:
    """The parameters that the child told of, where they have the right form."""
    listed = header.get(name)
    if not isinstance(listed, list):
        return []
    return [entry for entry in listed if isinstance(entry, list) and len(entry) == 4][:40]
