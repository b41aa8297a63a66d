"""What a check finds: findings, verdicts, and the shape of the JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

from digitspan.check.codes import CODES
from digitspan.check.plain import plain

__all__ = ["NETWORKS", "Finding", "Findings", "Report", "Section", "Traits"]

NETWORKS = ("VanillaRNN", "LSTM")
"""The two classes that the sheet asks for."""


class Finding(NamedTuple):
    """One thing that a check found."""

    code: str
    """What it is, one of `codes.CODES`: decisions use this, never the message."""
    rule: str
    """The name of the rule, under which it can be switched off."""
    severity: str
    """"fault" or "remark"."""
    file: str
    """Inside the hand-in; empty where it is about none."""
    line: int
    """In that file, 0 where it is about the whole of it."""
    message: str
    """One sentence that a student understands: where, what was expected, what was found."""
    cell: int = 0
    """In a notebook, its code cell, from 1; `line` then counts in that. 0 in a file."""

    @property
    def place(self) -> str:
        """Where it is, as its author finds it; empty where it is about no file."""
        if self.cell:
            return f"{self.file}, code cell {self.cell}, line {self.line}"
        return f"{self.file}:{self.line}" if self.line and self.file else self.file


class Findings:
    """Collects findings about one file, each once.

    Args:
        file: inside the hand-in.
        line: where what they are about begins.
    """

    def __init__(self, file: str = "", line: int = 0) -> None:
        self.file = file
        self.line = line
        self.found: list[Finding] = []
        self.locate: Callable[[str, dict[str, Any]], tuple[str, int]] | None = None
        """Gives file and line for a code and its words, where none are given."""

    def add(self, code: str, file: str = "", line: int = 0, **words: object) -> None:
        """Add a finding.

        Args:
            code: one of `codes.CODES`.
            file: inside the hand-in, where it is another than this collection's.
            line: likewise.
            words: what to fill into the code's sentence.
        """
        rule, severity, message = CODES[code]
        place = file or self.file, line or self.line
        if self.locate is not None and not file and not line:
            place = self.locate(code, dict(words))
        # What the hand-in had a hand in may hold anything.
        text = plain(message.format(**words))
        finding = Finding(code, rule, severity, plain(place[0], 240), place[1], text)
        if finding not in self.found:
            self.found.append(finding)

    def replace(self, code: str, other: str, **words: object) -> None:
        """Put other findings in the place of those with a code."""
        old, self.found = self.found, []
        for finding in old:
            if finding.code == code:
                self.add(other, finding.file, finding.line, **words)
            else:
                self.found.append(finding)

    def has(self, code: str) -> bool:
        """Whether there is a finding with this code."""
        return any(finding.code == code for finding in self.found)

    def faults(self) -> int:
        """How many faults."""
        return sum(finding.severity == "fault" for finding in self.found)

    def section(self, *, decided: bool = True) -> Section:
        """What was found so far."""
        return Section(tuple(self.found), decided)


@dataclasses.dataclass(frozen=True)
class Section:
    """What was found about one thing: a class, the training script, the package."""

    findings: tuple[Finding, ...] = ()
    """In the order that they were found."""
    decided: bool = True
    """False where the check could not be carried through."""

    @property
    def verdict(self) -> str:
        """A fault makes it "fail"; else "pass", or "cannot tell" where the check was cut short."""
        if any(finding.severity == "fault" for finding in self.findings):
            return "fail"
        return "pass" if self.decided else "cannot tell"

    def as_json(self) -> dict[str, Any]:
        """As the JSON document shows it."""
        return {
            "verdict": self.verdict,
            "findings": [finding._asdict() for finding in self.findings],
        }


class Traits(NamedTuple):
    """By what a hand-in is compared with those of others."""

    files: dict[str, str]
    """Hash of a file to its name: networks, training script, PDF."""
    sketch: frozenset[int]
    """Hashes of what is written in its Python."""


NO_TRAITS = Traits({}, frozenset())


@dataclasses.dataclass(frozen=True)
class Report:
    """The check of one hand-in."""

    hand_in: str
    """Its path as given."""
    isolation: str
    """"isolated" or "limited": how far its code was shut in."""
    classes: dict[str, Section]
    """VanillaRNN and LSTM."""
    training: Section
    """The training script."""
    package: Section
    """Names, files, the PDF."""
    student: str = ""
    """Whose it is, as far as names, pattern or roster say."""
    traits: Traits = NO_TRAITS
    """Not a part of the document."""

    @property
    def passed(self) -> bool:
        """Whether everything passed."""
        sections = [*self.classes.values(), self.training, self.package]
        return all(section.verdict == "pass" for section in sections)

    def as_json(self) -> dict[str, Any]:
        """The JSON document of one hand-in."""
        return {
            "hand_in": self.hand_in,
            "student": self.student,
            "isolation": self.isolation,
            "classes": {name: section.as_json() for name, section in self.classes.items()},
            "training": self.training.as_json(),
            "package": self.package.as_json(),
        }
