"""What a check finds, and how it is told: findings, verdicts, and the shape of the JSON."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

__all__ = ["NETWORKS", "Finding", "Findings", "Report", "Section"]

NETWORKS = ("VanillaRNN", "LSTM")
"""The two classes that the sheet asks for."""


class Finding(NamedTuple):
    """One thing that a check found."""

    rule: str
    """The name of the rule, under which it can be switched off."""
    severity: str
    """How bad: "fault" or "remark"."""
    file: str
    """Inside the hand-in; empty where it is about none."""
    line: int
    """In that file, 0 where it is about the whole of it."""
    message: str
    """One sentence that a student understands: where, what was expected, what was found."""


class Findings:
    """Collects findings about one file, at most one of a kind.

    Args:
        file: inside the hand-in.
        line: where what they are about begins.
    """

    def __init__(self, file: str = "", line: int = 0) -> None:
        self.file = file
        self.line = line
        self.found: list[Finding] = []

    def fault(self, rule: str, message: str, file: str = "", line: int = 0) -> None:
        """Something is wrong."""
        self._add(rule, "fault", message, file, line)

    def remark(self, rule: str, message: str, file: str = "", line: int = 0) -> None:
        """Something is odd, and no fault."""
        self._add(rule, "remark", message, file, line)

    def _add(self, rule: str, severity: str, message: str, file: str, line: int) -> None:
        finding = Finding(rule, severity, file or self.file, line or self.line, message)
        if finding not in self.found:
            self.found.append(finding)

    def faults(self) -> int:
        """How many faults."""
        return sum(finding.severity == "fault" for finding in self.found)


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

    @property
    def passed(self) -> bool:
        """Whether everything passed."""
        sections = [*self.classes.values(), self.training, self.package]
        return all(section.verdict == "pass" for section in sections)

    def as_json(self) -> dict[str, Any]:
        """The JSON document of one hand-in."""
        return {
            "hand_in": self.hand_in,
            "isolation": self.isolation,
            "classes": {name: section.as_json() for name, section in self.classes.items()},
            "training": self.training.as_json(),
            "package": self.package.as_json(),
        }
