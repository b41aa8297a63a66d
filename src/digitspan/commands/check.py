"""`digitspan check PATH...`: are hand-ins right, and where are the wrong ones wrong."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from digitspan.check.course import Settings, check_many
from digitspan.check.course_rules import read_rules
from digitspan.check.findings import Report
from digitspan.check.reading.hand_ins import find_hand_ins
from digitspan.check.sandbox.isolation import LEVELS, Limits, require_level
from digitspan.check.table import as_csv, as_table, lines_of
from digitspan.commands.options import add_json, path, print_json, require_torch, sigterm_exits

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        type=path,
        help="a ZIP, a folder that holds a hand-in, or a folder of such",
    )
    parser.add_argument(
        "--rules",
        type=path,
        metavar="FILE",
        help="a TOML file that switches rules off or to remarks (default: all are on)",
    )
    parser.add_argument(
        "--isolation",
        choices=("auto", *LEVELS),
        default="auto",
        help="how far the hand-in's code is shut in; isolated needs bubblewrap, limited is limits "
        "of time, memory and output alone (default: auto, the best that there is)",
    )
    parser.add_argument(
        "--time-limit",
        type=_number(float, 1, 3600, " seconds"),
        default=Limits().seconds,
        metavar="SECONDS",
        help=f"for the code of one hand-in (default: {Limits().seconds:g})",
    )
    parser.add_argument(
        "--jobs",
        type=_number(int, 1, 256),
        default=max(1, min(os.cpu_count() or 1, 8)),
        metavar="N",
        help="hand-ins at a time (default: as many as there are cores, at most 8)",
    )
    parser.add_argument(
        "--out",
        type=path,
        metavar="FOLDER",
        help="keep the reports and the table there as they come, and go on from there when called "
        "again (default: results/check for several hand-ins, nowhere for one)",
    )
    parser.add_argument("--csv", action="store_true", help="print the table as CSV instead")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Check hand-ins and print what was found.

    Returns:
        0: everything passed; 1: something did not.

    Raises:
        UsageError: where a path, the rules or the isolation will not do.
    """
    rules = read_rules(options.rules)
    hand_ins = find_hand_ins(options.paths)
    require_torch()
    level = require_level(options.isolation)
    out = options.out
    if out is None and len(hand_ins) > 1:
        out = Path("results/check")
    limits = Limits(seconds=options.time_limit)
    settings = Settings(level, limits, rules, options.jobs, out)
    with sigterm_exits(), _Bar(len(hand_ins)) as bar:
        reports = check_many(hand_ins, settings, bar.done)
    if options.json:
        documents = [report.as_json() for report in reports]
        print_json(documents[0] if len(documents) == 1 else documents)
    elif options.csv:
        sys.stdout.write(as_csv(reports))
    else:
        _print_reports(reports)
    if out is not None:
        print(f"reports and table in {out}", file=sys.stderr)
    return 0 if all(report.passed for report in reports) else 1


def _print_reports(reports: list[Report]) -> None:
    """The table, and under it each finding."""
    console = Console(width=None if sys.stdout.isatty() else 150, highlight=False)
    if len(reports) > 1:
        console.print(as_table(reports))
        console.print()
    for report in reports:
        for line in lines_of(report):
            console.print(line, soft_wrap=True)


class _Bar:
    """How the check gets on, on standard error; one line per hand-in where that is no terminal.

    Args:
        total: hand-ins.
    """

    def __init__(self, total: int) -> None:
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("hand-ins"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[last]}", markup=False),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._total = total
        self._count = 0
        self._task = self._progress.add_task("hand-ins", total=total, last="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def done(self, report: Report) -> None:
        """One more is checked."""
        self._count += 1
        verdicts = ", ".join(f"{name} {part.verdict}" for name, part in report.classes.items())
        self._progress.update(self._task, advance=1, last=Path(report.hand_in).name)
        if self._progress.disable and self._total > 1:
            line = f"{self._count}/{self._total} {report.hand_in}: {verdicts}"
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def _number(convert: Callable[[str], float], low: int, high: int, unit: str = "") -> Any:
    """A reader of numbers in a range."""

    def read(text: str) -> float:
        try:
            value = convert(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            message = f"must be from {low} to {high}{unit}; got {text[:40]!r}"
            raise argparse.ArgumentTypeError(message)
        return value

    return read
