"""Checks one hand-in from end to end."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from pathlib import Path
from typing import Any

from digitspan.check.course_rules import Rules
from digitspan.check.findings import NETWORKS, Finding, Findings, Report, Section, Traits
from digitspan.check.network.identify import check_network
from digitspan.check.network.places import Locator
from digitspan.check.package import check_package
from digitspan.check.plain import plain
from digitspan.check.reading.hand_ins import HandIn, read_hand_in, written_out
from digitspan.check.reading.source import (
    Candidate,
    candidates,
    given_full_length,
    numbers_in,
    ready_made_calls,
    resets_between_batches,
    scripts_of,
    works_when_imported,
)
from digitspan.check.reading.who import Student
from digitspan.check.sandbox.isolation import Limits
from digitspan.check.sandbox.process import ChildLost, ChildProcess, ChildRefused
from digitspan.check.sandbox.remote_network import Built, RemoteNetwork, build_and_feed
from digitspan.check.sandbox.signatures import Signature, World, role_of
from digitspan.check.script import OWN_ERRORS, Trained, check_training
from digitspan.sheet.exercise import Sheet
from digitspan.sheet.questions import NETWORKS as NETWORKS_ASKED

__all__ = ["Children", "check_class", "check_hand_in"]

_MOST_CHILDREN = 5
_KINDS = {"VanillaRNN": "rnn", "LSTM": "lstm"}


def check_hand_in(
    path: Path,
    level: str,
    limits: Limits,
    rules: Rules,
    *,
    shown: str = "",
    student: Student | None = None,
    digest: str = "",
) -> Report:
    """Check a hand-in.

    Args:
        path: an archive, a folder or a file.
        level: "isolated" or "limited".
        limits: what its code may use.
        rules: the course's.
        shown: what the report calls it, by default its path.
        student: whose it is, where the course says so.
        digest: what `digest_of` said of it before any code ran.
    """
    hand_in = read_hand_in(path, level, digest=digest, sheet=rules.sheet)
    classes = dict.fromkeys(NETWORKS, Section(decided=False))
    training = Section(decided=False)
    if not hand_in.refused:
        found = {kind: candidates(hand_in.sources, kind) for kind in _KINDS.values()}
        names = {one.name: kind for kind, several in found.items() for one in several[:1]}
        scripts = scripts_of(hand_in.sources, set(names))
        with written_out(hand_in) as tree, Children(tree, level, limits) as children:
            # First, as it says what the classes are built with.
            trained = check_training(
                children.usable, scripts, names, seed_of(hand_in), hand_in.sources
            )
            for name in NETWORKS:
                world = trained.worlds.get(_KINDS[name])
                several = found[_KINDS[name]]
                if _KINDS[name] not in rules.asked.networks:
                    classes[name] = _not_known(rules.asked)
                    continue
                classes[name] = check_class(children, hand_in, name, rules, world, several)
        training = _script_unread(trained.section, hand_in)
        for name in NETWORKS:
            class_name = next((c.name for c in found[_KINDS[name]]), "")
            classes[name] = _reconsider(classes[name], trained, hand_in, name, class_name)
    of_classes = [finding for section in classes.values() for finding in section.findings]
    told = {(f.code, f.file) for f in of_classes}
    package = check_package(hand_in, student)
    rest = [finding for finding in package.findings if (finding.code, finding.file) not in told]
    # That a script runs into a line of a class that asks for CUDA is told of the class.
    asking = {(f.file, f.line) for f in of_classes if f.rule == "cuda"}
    of_script = [f for f in training.findings
                 if f.rule != "cuda" or (f.file, f.line) not in asking]  # fmt: skip
    training = Section(tuple(of_script), training.decided)

    def as_told(section: Section) -> Section:
        found = [_placed(finding, hand_in) for finding in section.findings]
        return Section(rules.applied(found), section.decided)

    return Report(
        plain(shown or str(path)),
        level,
        {name: as_told(section) for name, section in classes.items()},
        as_told(training),
        as_told(Section(tuple(rest), package.decided)),
        plain(str(student)) if student is not None else "",
        _traits(hand_in),
    )


def seed_of(hand_in: HandIn) -> int:
    """The seed of everything that is random in a check: it hangs on the hand-in's files alone."""
    digest = hashlib.sha256()
    for name, of_file in sorted(hand_in.facts.digests.items()):
        digest.update(f"{name}\0{of_file}\0".encode("utf-8", "surrogatepass"))
    return int.from_bytes(digest.digest()[:8], "little")


def _placed(finding: Finding, hand_in: HandIn) -> Finding:
    """A finding about a notebook's Python with its place in the notebook."""
    for source in hand_in.sources:
        if source.notebook and plain(source.path, 240) == finding.file:
            finding = finding._replace(file=plain(source.name, 240))
        for name, cell in source.written:
            if plain(name, 240) == finding.file:
                # Its own first line says which file it is written to.
                line = finding.line + (finding.line > 0)
                return finding._replace(file=plain(source.name, 240), cell=cell, line=line)
        if source.notebook and finding.line and plain(source.name, 240) == finding.file:
            cell, line = source.place(finding.line)
            return finding._replace(cell=cell, line=line)
    return finding


def _traits(hand_in: HandIn) -> Traits:
    """By what a hand-in is compared with those of others: not by what the course gave."""
    own = [source.name for source in hand_in.sources
           if not source.name.endswith("dataset.py") and len(source.text) > 200]  # fmt: skip
    facts = hand_in.facts
    files = {facts.digests[name]: plain(name, 240)
             for name in [*own, facts.report] if name in facts.digests}  # fmt: skip
    sketches = [facts.texts[name].sketch for name in own if name in facts.texts]
    return Traits(files, frozenset().union(*sketches))


class Children(contextlib.ExitStack):
    """The child of a hand-in; one that is lost is replaced, so that what is left gets its turn."""

    def __init__(self, tree: Path, level: str, limits: Limits) -> None:
        super().__init__()
        self._tree, self._level, self._limits = tree, level, limits
        self._child: ChildProcess | None = None
        self._started = 0

    def usable(self) -> ChildProcess | None:
        """A child that answers; None where too many were lost."""
        if self._child is None or self._child.lost:
            self.close()
            if self._started == _MOST_CHILDREN:
                return None
            self._started += 1
            child = ChildProcess(self._tree, self._level, self._limits)
            self._child = self.enter_context(child)
        return self._child


def check_class(
    children: Children,
    hand_in: HandIn,
    name: str,
    rules: Rules,
    world: World | None = None,
    found: list[Candidate] | None = None,
) -> Section:
    """Check one of the two classes.

    Args:
        children: where its code runs.
        hand_in: whose it is.
        name: "VanillaRNN" or "LSTM".
        rules: the course's.
        world: what the training script builds it with and feeds it.
        found: the classes that may be it, where that is known.
    """
    kind = _KINDS[name]
    found = candidates(hand_in.sources, kind) if found is None else found
    if not found:
        return _missing(hand_in, name)
    candidate = found[0]
    findings = Findings(candidate.source.name, candidate.line)
    others = [c.source.name for c in found[1:] if c.name == candidate.name and c.filled]
    others = [other for other in dict.fromkeys(others) if other != candidate.source.name]
    if others:
        findings.add("other-version", name=candidate.name, others=", ".join(others[:3]))
    if not candidate.filled:
        findings.add("class-not-filled-in", name=candidate.name)
        return findings.section()
    child = children.usable()
    if child is None:
        findings.add("not-reached")
        return findings.section(decided=False)
    child.cuda.clear()
    findings.locate = Locator(candidate)
    decided = True
    try:
        decided = _run_checks(child, hand_in, candidate, kind, findings, rules, world)
    except ChildLost as lost:
        findings.add(lost.code)
        decided = lost.code == "no-answer"
    except ChildRefused as error:
        findings.add("fails-on-some-digits", *error.place, error=error)
    for place in sorted(child.cuda)[:1]:
        findings.add("cuda-without-asking", *place)
    return findings.section(decided=decided)


def _run_checks(
    child: ChildProcess,
    hand_in: HandIn,
    candidate: Candidate,
    kind: str,
    findings: Findings,
    rules: Rules,
    world: World | None,
) -> bool:
    """Import, build, feed and examine a class; returns whether it could be decided."""
    layers = _check_ready_made(candidate, findings, rules)
    signature = _load(child, candidate, findings)
    if signature is None:
        return findings.faults() > 0
    longer = given_full_length(hand_in.sources, candidate.name)
    numbers, seed = numbers_in(candidate), seed_of(hand_in)
    built = build_and_feed(child, signature, world, numbers, longer=longer, seed=seed)
    remote = built.remote
    if remote is None:
        config = any(role_of(str(p[0])) == "config" for p in signature.constructor)
        if _settings_unknown(child, built, config, candidate, findings, world):
            return False
        return _explain_failure(built, candidate, findings, world, _lacking(child))
    if built.stopped_by_digits is not None:
        error = built.stopped_by_digits
        findings.add("fails-on-some-digits", *error.place, error=error)
    if remote.plan.batch == remote.plan.hidden:
        by_chance = remote.plan.hidden == 3
        findings.add("only-where-batch-equals-hidden" if by_chance else "sizes-written-in")
    if remote.how["interface"] == "step":
        findings.add("one-step-a-call")
    decided = check_network(remote, kind, findings)
    layers |= rules.allowed
    for layer in sorted(_check_calls(remote, findings) - layers):
        findings.add("ready-made-layer-called", layer=layer)
    return decided


def _load(child: ChildProcess, candidate: Candidate, findings: Findings) -> Signature | None:
    """Import a class, in full or its definitions only."""
    source = candidate.source
    works = not source.notebook and works_when_imported(source)
    if works:
        findings.add("trains-when-imported", source.name)
    if source.error:
        findings.add("wrong-encoding", source.name, source.line, error=source.error)
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
            _check_import(ChildRefused(problem), findings)
    if not header.get("module"):
        findings.add("not-a-module", name=candidate.name)
    return Signature(_parameters(header, "constructor"), _parameters(header, "forward"))


def _load_definitions(
    child: ChildProcess, question: dict[str, Any], error: ChildRefused, findings: Findings
) -> dict[str, Any] | None:
    """Import what a file defines, where running all of it fails."""
    if error.type == "SystemExit":
        findings.add("exits-when-imported", *error.place)
        return None
    try:
        header, _ = child.ask({**question, "definitions_only": True})
    except ChildRefused as second:
        header = {}
        # What stops the class itself says more than what stopped the lines before it.
        error = error if error.of_import else second
    library = error.missing.partition(".")[0]
    if library in _OTHER_FRAMEWORKS and not header.get("module"):
        findings.add("other-framework", *error.place, library=library)
        return None
    if not header:
        findings.add("cannot-be-imported", *error.place, error=error)
        return None
    if not _check_import(error, findings):
        findings.add("stops-when-imported", *error.place, error=error)
    return header


_OTHER_FRAMEWORKS = ("tensorflow", "keras", "jax", "theano", "mxnet", "flax", "chainer")


def _check_import(error: ChildRefused, findings: Findings) -> bool:
    """Report a part of the hand-in that is not there; returns whether it is one.

    What a library lacks, or a library that is missing, may be so on this computer alone.
    """
    if not error.of_import or error.cause != "own":
        return False
    if error.type == "ModuleNotFoundError":
        findings.add("module-not-found", *error.place, error=error)
    else:
        findings.add("cannot-be-imported", *error.place, error=f"{error}.")
    return True


def _settings_unknown(
    child: ChildProcess,
    built: Built,
    config: bool,
    candidate: Candidate,
    findings: Findings,
    world: World | None,
) -> bool:
    """Whether a class may have failed for want of the settings that only its script knows.

    So may one that takes an object of settings, or whose script makes them by a library that is
    not here: what the check gives instead is a guess.
    """
    error = built.problem
    if error is None or error.type in OWN_ERRORS or error.cause in ("own", "cuda"):
        return False
    made_elsewhere = bool(child.libraries) and error.type == "AttributeError"
    if (world is not None and world.fed) or not (config or made_elsewhere):
        return False
    name, lacking = candidate.name, _lacking(child)
    findings.add("settings-unknown", *error.place, name=name, error=error, lacking=lacking)
    return True


def _lacking(child: ChildProcess) -> str:
    """The libraries that are not installed here, in brackets; empty where none is missing."""
    names = ", ".join(sorted(child.libraries))
    return f" ({names}: not installed here)" if names else ""


def _explain_failure(
    built: Built, candidate: Candidate, findings: Findings, world: World | None, lacking: str
) -> bool:
    """A class that cannot be built or fed; returns whether that is its own fault."""
    error = built.problem
    place = error.place if error else ("", 0)
    if error and error.cause == "cuda":
        findings.add("cuda-without-asking", *place)
        return True
    if error and error.cause == "stand-in":
        findings.add("needs-library", *place, error=error, lacking=lacking)
        return False
    if world is not None and world.fed:  # what runs there is not broken
        reason = error or "no answer has a row for each sample"
        findings.add("not-run-as-the-script-does", *place, name=candidate.name, error=reason)
        return False
    code = "cannot-be-fed" if built.constructed else "cannot-be-constructed"
    findings.add(code, *place, name=candidate.name, reason=f": {error}" if error else "")
    return True


def _check_calls(remote: RemoteNetwork, findings: Findings) -> set[str]:
    """What a call does besides computing; returns the layers of torch that it uses."""
    values = remote.random_values(remote.rng(7))
    digits = remote.digits()
    try:
        remote.ask(values, digits, grad=False)
    except ChildRefused as error:
        findings.add("fails-under-no-grad", *error.place, error=error)
    try:
        habits = remote.habits(values, digits)
        called = remote.called | remote.operations(values, digits)
    except ChildRefused as error:
        findings.add("second-call-fails", *error.place, error=error)
        return set()
    if isinstance(habits.get("printed"), int) and habits["printed"] > 0:
        findings.add("prints")
    alive = habits.get("tensors_alive")
    if isinstance(alive, list) and all(isinstance(count, int) for count in alive):
        grown = [later - earlier for earlier, later in itertools.pairwise(alive)]
        if grown and min(grown) > 0:
            findings.add("tensors-pile-up")
    layers = {layer for name, layer in _LAYERS.items() if f"aten::{name}" in called}
    return layers | {name.removesuffix("Cell") for name in remote.ready_made}


_LAYERS = {
    "linear": "Linear", "embedding": "Embedding", "lstm": "LSTM", "lstm_cell": "LSTM",
    "gru": "GRU", "gru_cell": "GRU", "rnn_tanh": "RNN", "rnn_tanh_cell": "RNN",
    "rnn_relu": "RNN", "rnn_relu_cell": "RNN",
}  # fmt: skip
"""Torch's functions, and the layer that each computes."""


def _check_ready_made(candidate: Candidate, findings: Findings, rules: Rules) -> set[str]:
    """Torch's own layers by the syntax tree; returns those that were found."""
    found: set[str] = set()
    for name, line in ready_made_calls(candidate.source, candidate.name):
        layer = _LAYERS.get(name, name).removesuffix("Cell")
        if layer not in rules.allowed | found:
            found.add(layer)
            findings.add("ready-made-layer", line=line, layer=layer)
    return found


def _not_known(sheet: Sheet) -> Section:
    """The section of a network in whose place the sheet asks for one without a checker."""
    findings = Findings()
    asked = NETWORKS_ASKED[sheet.networks[1]].class_name
    findings.add("network-not-known", asked=asked)
    return findings.section(decided=False)


def _missing(hand_in: HandIn, name: str) -> Section:
    """A class that is not there, or cannot be seen."""
    findings = Findings()
    file = "vanilla_rnn.py" if name == "VanillaRNN" else "lstm.py"
    if _add_unread(hand_in, findings):
        return findings.section(decided=False)
    for source in hand_in.sources:
        named = source.name.rsplit("/", 1)[-1].lower() == file or f"class {name}" in source.text
        if source.tree is None and named:
            place = source.name, source.line
            findings.add("not-python", *place, path=source.name, error=source.error)
            return findings.section()
    findings.add("class-missing", name=name, path=file)
    return findings.section()


def _add_unread(hand_in: HandIn, findings: Findings) -> bool:
    """Tell of what cannot be read, a notebook or an archive: what it holds is not missing."""
    for source in hand_in.sources:
        if source.tree is None and source.notebook:
            text = hand_in.facts.texts.get(source.name)
            code = "notebook-not-read" if text and text.unreadable_here else "notebook-damaged"
            findings.add(code, source.name, source.line, error=source.error)
            return True
    for name in hand_in.facts.unopened:
        findings.add("perhaps-in-an-archive", name, path=name)
        return True
    return False


def _script_unread(section: Section, hand_in: HandIn) -> Section:
    """The section of a script that is missing, unless it may be in what cannot be read."""
    findings = Findings()
    missing = [finding.code for finding in section.findings] == ["script-missing"]
    unread = missing and _add_unread(hand_in, findings)
    return findings.section(decided=False) if unread else section


def _reconsider(
    section: Section, trained: Trained, hand_in: HandIn, name: str, class_name: str
) -> Section:
    """Look again at what only the training script can say."""
    findings = Findings()
    findings.found = list(section.findings)
    kept = ("state-kept-between-batches", "state-kept-elsewhere")
    if any(map(findings.has, kept)):
        reset = resets_between_batches(hand_in.sources, class_name)
        if reset:
            for code in kept:
                findings.replace(code, "state-reset-by-the-script", reset=reset)
            # What grows is the history of a state that is never reset here.
            findings.found = [f for f in findings.found if f.code != "tensors-pile-up"]
    kind, decided = _KINDS[name], section.decided
    losses, others = trained.losses_of(kind), trained.losses_of_others(kind)
    if losses:  # it never was given a tuple
        findings.replace("several-results", "several-results-taken-apart")
    if losses and "probabilities" not in losses:
        # The script takes the logarithm itself, or another loss: nothing is applied twice.
        findings.replace("softmax-in-forward", "softmax-undone-by-the-script")
    elif not losses and others and "probabilities" not in others:
        # So it does with the other network's, which may be logits: of this one nobody knows.
        decided = decided and not findings.has("softmax-in-forward")
        findings.replace("softmax-in-forward", "softmax-perhaps-undone", name=name)
    return findings.section(decided=decided)


def _parameters(header: dict[str, Any], name: str) -> list[list[Any]]:
    """The parameters that the child listed, where they have the right form."""
    listed = header.get(name)
    if not isinstance(listed, list):
        return []
    return [entry for entry in listed if isinstance(entry, list) and len(entry) == 4][:40]
