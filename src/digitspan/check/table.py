"""Many reports as one table, as CSV, and as text with one line per finding."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from rich.markup import escape
from rich.table import Table

from digitspan.check.findings import NETWORKS, Finding, Report, Section

__all__ = ["as_csv", "as_table", "lines_of"]

_COLOURS = {"pass": "green", "fail": "red", "cannot tell": "yellow"}
COLUMNS = (
    "hand_in",
    "isolation",
    *NETWORKS,
    "training",
    "package",
    "faults",
    "remarks",
    "reasons",
)


def as_csv(reports: Iterable[Report]) -> str:
    """One row per hand-in; the reasons are its faults, one after the other."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for report in reports:
        faults, remarks = (_findings(report, severity) for severity in ("fault", "remark"))
        verdicts = [section.verdict for _, section in sections_of(report)]
        reasons = " | ".join(_line(finding) for finding in faults)
        row = [report.hand_in, report.isolation, *verdicts, len(faults), len(remarks), reasons]
        writer.writerow(map(_plain, row))
    return text.getvalue()


def as_table(reports: Iterable[Report]) -> Table:
    """One row per hand-in, with its verdicts and its first fault."""
    table = Table(box=None, pad_edge=False, title_justify="left")
    for column in ("hand-in", *NETWORKS, "training", "package"):
        table.add_column(column)
    table.add_column("first fault", overflow="fold")
    for report in reports:
        verdicts = [_coloured(section.verdict) for _, section in sections_of(report)]
        faults = _findings(report, "fault")
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        reason = f"{faults[0].message}{more}" if faults else ""
        table.add_row(escape(report.hand_in), *verdicts, escape(reason))
    return table


def lines_of(report: Report) -> list[str]:
    """A report in words: the verdicts, and under each its findings, with rich's markup."""
    lines = [f"[bold]{escape(report.hand_in)}[/bold]  (isolation: {report.isolation})"]
    for name, section in sections_of(report):
        lines.append(f"  {name}: {_coloured(section.verdict)}")
        for finding in section.findings:
            colour = "red" if finding.severity == "fault" else "cyan"
            severity = f"[{colour}]{finding.severity}[/{colour}]"
            lines.append(f"    {severity} {escape(_line(finding))}")
        if section.verdict == "cannot tell" and not section.findings:
            lines.append("    the check did not get this far")
    return lines


def sections_of(report: Report) -> list[tuple[str, Section]]:
    """The sections of a report, in the order of the table."""
    return [*report.classes.items(), ("training", report.training), ("package", report.package)]


def _findings(report: Report, severity: str) -> list[Finding]:
    """A report's findings of one severity."""
    found = [finding for _, section in sections_of(report) for finding in section.findings]
    return [finding for finding in found if finding.severity == severity]


def _line(finding: Finding) -> str:
    """A finding with its place and its rule."""
    place = finding.file + (f":{finding.line}" if finding.line else "")
    return f"{place + ': ' if place else ''}{finding.message} [{finding.rule}]"


def _coloured(verdict: str) -> str:
    """A verdict in its colour."""
    return f"[{_COLOURS[verdict]}]{verdict}[/{_COLOURS[verdict]}]"


def _plain(cell: object) -> object:
    """A cell that no spreadsheet takes for a formula."""
    if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{cell}"
    return cell
