"""The tutor's view of a course: which fault how often, who is alike, a page for each student."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections import Counter
from pathlib import Path

from digitspan.check.course_rules import Rules
from digitspan.check.findings import Finding, Report
from digitspan.check.plain import plain, plain_markdown
from digitspan.check.points import points_of
from digitspan.check.similar import NEAR, name_of, near_identical, shared_files
from digitspan.check.table import sections_of
from digitspan.files import write_whole

__all__ = ["page_of", "summary_of", "write_pages"]

_VERDICTS = {
    "pass": "no fault was found",
    "fail": "there is a fault",
    "cannot tell": "the check cannot tell; a person has to look",
}
_SECTIONS = {"training": "Training script", "package": "ZIP and PDF"}
_MADE_BY = (
    "Made by `digitspan check`, which compares what the networks compute, and their gradients, "
    "with the sheet's equations."
)
"""The last line of a page, by which it is known as one of ours."""
_NOT_FOR_STUDENTS = ("same-file", "several-hand-ins")
"""Codes of findings that name other students."""


def summary_of(reports: list[Report]) -> list[str]:
    """What the hand-ins have in common, in lines of plain text.

    Each fault with in how many hand-ins it is, the most frequent first; groups of hand-ins whose
    Python is nearly the same; files that several have.
    """
    lines = []
    counts: Counter[str] = Counter()
    examples: dict[str, Finding] = {}
    for report in reports:
        found = [f for _, section in sections_of(report) for f in section.findings]
        faults = {finding.code: finding for finding in found if finding.severity == "fault"}
        counts.update(faults.keys())
        for code, finding in faults.items():
            examples.setdefault(code, finding)
    if counts:
        lines.append("faults, and in how many hand-ins:")
    for code, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
        lines.append(f"  {count:3} {code}: {plain(examples[code].message, 100)}")
    for group in near_identical(reports):
        names = ", ".join(map(name_of, group))
        lines.append(f"near-identical Python ({NEAR:.0%} and more of it): {names}")
    together: dict[tuple[str, ...], list[str]] = {}
    for digest, places in shared_files(reports).items():
        holders = tuple(dict.fromkeys(name_of(reports[place]) for place in places))
        together.setdefault(holders, []).append(reports[places[0]].traits.files[digest])
    for holders, files in together.items():
        lines.append(f"the same files: {', '.join(holders)} ({', '.join(files[:4])})")
    repeated = Counter(report.student for report in reports if report.student)
    lines += [f"{count} hand-ins of one student: {student}"
              for student, count in repeated.items() if count > 1]  # fmt: skip
    undecided = [name_of(r) for r in reports
                 if any(s.verdict == "cannot tell" for _, s in sections_of(r))]  # fmt: skip
    if undecided:
        lines.append(f"a person has to look at {len(undecided)}: {', '.join(undecided)}")
    return lines


def page_of(report: Report, rules: Rules) -> str:
    """A report as Markdown for its student: each fault with its place, and nothing of others."""
    points = points_of(report, rules) or {}
    lines = [f"# {plain_markdown(report.student or _base(report.hand_in))}", ""]
    if points:
        known = sum(value for value, _ in points.values() if value is not None)
        most = sum(most for _, most in points.values())
        undecided = any(value is None for value, _ in points.values())
        lines += [f"**{known:g} of {most:g} points**" + (", more to be decided" * undecided), ""]
    for name, section in sections_of(report):
        title = f"{_SECTIONS.get(name, name)}: {_VERDICTS[section.verdict]}"
        if name in points:
            value, most = points[name]
            title += f" ({'?' if value is None else f'{value:g}'} of {most:g} points)"
        lines += [f"## {title}", ""]
        told = [f for f in section.findings if f.code not in _NOT_FOR_STUDENTS]
        for finding in sorted(told, key=lambda finding: finding.severity):
            place = f"`{finding.place.replace('`', chr(39))}`: " if finding.place else ""
            remark = "" if finding.severity == "fault" else "(a remark, costs nothing) "
            lines.append(f"* {place}{remark}{plain_markdown(finding.message)}")
        lines += [""] if told else []
    lines += [_MADE_BY]
    return "\n".join(lines) + "\n"


def write_pages(reports: list[Report], rules: Rules, folder: Path) -> None:
    """Write a page for each hand-in into a folder, called after its student.

    The pages of an earlier call go, for they may be of hand-ins that are not among these; files of
    others stay as they are.
    """
    taken = set()
    for file in folder.glob("*.md"):
        if file.is_file() and file.read_bytes().rstrip().endswith(_MADE_BY.encode()):
            file.unlink()
        else:
            taken.add(unicodedata.normalize("NFC", file.stem).casefold())
    for report in reports:
        base = _file_name(report.student or _base(report.hand_in))
        names = itertools.chain([base], (f"{base} ({n})" for n in itertools.count(2)))
        name = next(name for name in names if name.casefold() not in taken)
        taken.add(name.casefold())
        write_whole(folder / f"{name}.md", page_of(report, rules).encode())


def _base(hand_in: str) -> str:
    """The last name of a path, without an archive's ending."""
    name = hand_in.rstrip("/").rsplit("/", 1)[-1]
    return re.sub(r"(\.tar)?\.\w{1,5}$", "", name) or "hand-in"


def _file_name(name: str) -> str:
    """A name that every system takes for a file."""
    name = unicodedata.normalize("NFC", plain(name, 80))
    name = re.sub(r"[^\w .,()'’-]", "_", name).strip(" .")
    return name or "hand-in"
