"""Many reports as one table, as CSV, and as text with one line per finding."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import PurePath

from rich.table import Table
from rich.text import Text

from digitspan.check.course_rules import Rules
from digitspan.check.findings import NETWORKS, Finding, Report, Section
from digitspan.check.plain import plain, plain_cell
from digitspan.check.points import points_of, shown_points

__all__ = ["as_csv", "as_table", "lines_of", "sections_of"]

_COLOURS = {"pass": "green", "fail": "red", "cannot tell": "yellow"}
_SHORT = {"VanillaRNN": "RNN", "LSTM": "LSTM", "training": "train", "package": "pack"}
_MARKS = {"cannot tell": "?"}
COLUMNS = (
    "hand_in",
    "isolation",
    *NETWORKS,
    "training",
    "package",
    "faults",
    "remarks",
    "reasons",
    "student",
    "points",
)


def as_csv(reports: Iterable[Report], rules: Rules | None = None) -> str:
    """One row per hand-in; the reasons are its faults, one after the other."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for report in reports:
        faults, remarks = (_findings(report, severity) for severity in ("fault", "remark"))
        verdicts = [section.verdict for _, section in sections_of(report)]
        reasons = " | ".join(_line(finding) for finding in faults)
        points = points_of(report, rules) if rules is not None else None
        row = [report.hand_in, report.isolation, *verdicts, len(faults), len(remarks), reasons,
               report.student, "" if points is None else shown_points(points)]  # fmt: skip
        writer.writerow(map(plain_cell, row))
    return text.getvalue()


def as_table(reports: Iterable[Report], rules: Rules | None = None) -> Table:
    """One row per hand-in: whose, its verdicts ("?": cannot tell), its points, its first fault.

    Of the faults the first one's code and how many more there are: at 80 columns a sentence would
    take four lines, and it stands below.
    """
    several = list(reports)
    table = Table(box=None, pad_edge=False, collapse_padding=True, title_justify="left")
    table.add_column("hand-in", overflow="fold", min_width=13)
    for column in (*NETWORKS, "training", "package"):
        table.add_column(_SHORT[column], no_wrap=True)
    with_points = rules is not None and bool(rules.points)
    if with_points:
        table.add_column("points", no_wrap=True, justify="right")
    table.add_column("first fault", overflow="fold")
    base = _common(several)
    names = [report.hand_in.removeprefix(base) for report in several]
    short = [name.removesuffix(".zip") for name in names]
    for report, name in zip(
        several, short if len(set(short)) == len(names) else names, strict=True
    ):
        verdicts = [_coloured(section.verdict, short=True) for _, section in sections_of(report)]
        faults = _findings(report, "fault")
        more = f" +{len(faults) - 1}" if len(faults) > 1 else ""
        reason = f"{faults[0].code}{more}" if faults else ""
        points = points_of(report, rules) if rules is not None else None
        shown = [shown_points(points)] if with_points and points is not None else []
        table.add_row(Text(name), *verdicts, *shown, Text(reason))
    return table


def lines_of(report: Report) -> list[Text]:
    """A report in words: the verdicts, and under each its findings, in colours."""
    lines = [Text.assemble((report.hand_in, "bold"), f"  (isolation: {report.isolation})")]
    for name, section in sections_of(report):
        lines.append(Text.assemble(f"  {name}: ", _coloured(section.verdict)))
        for finding in section.findings:
            colour = "red" if finding.severity == "fault" else "cyan"
            words = (finding.severity, colour), f" {_line(finding)}"
            lines.append(Text.assemble("    ", *words))
        if section.verdict == "cannot tell" and not section.findings:
            lines.append(Text("    the check did not get this far"))
    return lines


def sections_of(report: Report) -> list[tuple[str, Section]]:
    """The sections of a report, in the order of the table."""
    return [*report.classes.items(), ("training", report.training), ("package", report.package)]


def _common(reports: list[Report]) -> str:
    """The folder that all hand-ins lie in, which need not be said in each row."""
    if len(reports) < 2:
        return ""
    folders = [PurePath(report.hand_in).parent.as_posix() + "/" for report in reports]
    base = min(folders, key=len)
    return base if all(folder.startswith(base) for folder in folders) and base != "./" else ""


def _findings(report: Report, severity: str) -> list[Finding]:
    """A report's findings of one severity."""
    found = [finding for _, section in sections_of(report) for finding in section.findings]
    return [finding for finding in found if finding.severity == severity]


def _line(finding: Finding) -> str:
    """A finding with its place and its rule."""
    place = f"{finding.place}: " if finding.place else ""
    return plain(f"{place}{finding.message} [{finding.rule}]", 1000)


def _coloured(verdict: str, *, short: bool = False) -> Text:
    """A verdict in its colour."""
    return Text(_MARKS.get(verdict, verdict) if short else verdict, _COLOURS[verdict])
