"""Compares hand-ins with each other: the same files, near-identical Python, two of one student."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Hashable
from typing import TypeVar

from digitspan.check.course_rules import Rules
from digitspan.check.findings import Finding, Findings, Report
from digitspan.check.reading.who import folded

__all__ = ["NEAR", "compared", "name_of", "near_identical", "shared_files"]

NEAR = 0.8
"""The share of runs of words that near-identical hand-ins have in common."""
_Value = TypeVar("_Value", bound=Hashable)
_LEAST = 20
"""Fewer hashes than this are too little to compare by."""


def compared(reports: list[Report], rules: Rules) -> list[Report]:
    """The reports, with a remark in those that share a file, or a student, with another one."""
    students: dict[str, list[int]] = defaultdict(list)
    for place, report in enumerate(reports):
        if report.student:
            students[folded(report.student)].append(place)
    found = [Findings() for _ in reports]
    for digest, places in shared_files(reports).items():
        for place in places:
            others = [name_of(reports[other]) for other in places if other != place]
            name = reports[place].traits.files[digest]
            found[place].add("same-file", name, name=name, others=_listed(others))
    for places in students.values():
        for place in places if len(places) > 1 else []:
            others = [reports[other].hand_in for other in places if other != place]
            count = len(places)
            found[place].add("several-hand-ins", count=count, others=_listed(others))
    return [
        _with(report, rules.applied(findings.found))
        for report, findings in zip(reports, found, strict=True)
    ]


def shared_files(reports: list[Report]) -> dict[str, list[int]]:
    """Hash of each file that hand-ins of different students have, to the places of those.

    Not what more than half of all have: that comes from the course.
    """
    holders: dict[str, list[int]] = defaultdict(list)
    for place, report in enumerate(reports):
        for digest in report.traits.files:
            holders[digest].append(place)
    common = _given_to_all([frozenset(report.traits.files) for report in reports])
    return {
        digest: places
        for digest, places in holders.items()
        if digest not in common and len({name_of(reports[place]) for place in places}) > 1
    }


def near_identical(reports: list[Report]) -> list[list[Report]]:
    """Groups of hand-ins of different students whose Python is nearly the same.

    That is, of the hashes that either has, without those that half of all hand-ins have, which
    come from the course, `NEAR` are the same (Jaccard's index). Who gives every variable another
    name is not found.
    """
    common = _given_to_all([report.traits.sketch for report in reports])
    own = [report.traits.sketch - common for report in reports]
    groups: list[set[int]] = []
    for place, sketch in enumerate(own):
        if len(sketch) < _LEAST:
            continue
        alike = {place}
        for other in range(place):
            both = len(sketch & own[other])
            if len(own[other]) >= _LEAST and both >= NEAR * len(sketch | own[other]):
                alike.add(other)
        for group in [group for group in groups if group & alike]:
            groups.remove(group)
            alike |= group
        groups.append(alike)
    found = [[reports[place] for place in sorted(group)] for group in groups]
    return [group for group in found
            if len(set(map(name_of, group))) > 1]  # fmt: skip


def _given_to_all(sets: list[frozenset[_Value]]) -> frozenset[_Value]:
    """What more than half of all that have any have too; nothing where there are few."""
    sets = [one for one in sets if one]
    if len(sets) < 6:
        return frozenset()
    counts = Counter(value for one in sets for value in one)
    return frozenset(value for value, count in counts.items() if count > len(sets) / 2)


def name_of(report: Report) -> str:
    """What a hand-in is called where another one is told of it."""
    return report.student or report.hand_in


def _listed(names: list[str]) -> str:
    """Names in a sentence, at most four of them."""
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more


def _with(report: Report, findings: tuple[Finding, ...]) -> Report:
    """A report with more findings about its package."""
    package = report.package
    package = dataclasses.replace(package, findings=(*package.findings, *findings))
    return dataclasses.replace(report, package=package)
