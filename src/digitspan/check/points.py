"""Points, as a course's rules give them: for each section, less what its faults cost."""

from __future__ import annotations

from digitspan.check.course_rules import Rules
from digitspan.check.findings import Report, Section

__all__ = ["points_of", "shown_points"]

Points = dict[str, tuple[float | None, float]]
"""Section to its points, None where a person has to decide, and the most there are."""


def points_of(report: Report, rules: Rules) -> Points | None:
    """The points of a hand-in; None where the rules give none.

    A section has all of its points without a fault. Each rule that is broken takes what [costs]
    says of it, once, or everything where it says nothing. Where the check cannot tell, a person
    decides.
    """
    sections = {**report.classes, "training": report.training, "package": report.package}
    costs = dict(rules.costs)
    points = {name: (_points(sections[name], most, costs), most) for name, most in rules.points}
    return points or None


def _points(section: Section, most: float, costs: dict[str, float]) -> float | None:
    """The points of a section."""
    if section.verdict == "cannot tell":
        return None
    broken = {finding.rule for finding in section.findings if finding.severity == "fault"}
    return max(0.0, most - sum(costs.get(rule, most) for rule in broken))


def shown_points(points: Points) -> str:
    """The sum as text: "7.5/11", with the most that a person may add, "7+4?/11".

    >>> shown_points({"LSTM": (3.5, 4.0), "package": (1.0, 1.0)})
    '4.5/5'
    >>> shown_points({"LSTM": (None, 4.0), "package": (1.0, 1.0)})
    '1+4?/5'
    """
    known = sum(value for value, _ in points.values() if value is not None)
    undecided = sum(most for value, most in points.values() if value is None)
    most = sum(most for _, most in points.values())
    return f"{known:g}{f'+{undecided:g}?' if undecided else ''}/{most:g}"
