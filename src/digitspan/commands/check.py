"""`digitspan check PATH...`: are hand-ins right, and where are the wrong ones wrong."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import re
import sys
from pathlib import Path

from digitspan.check.course import Settings, check_many
from digitspan.check.course_rules import Rules, read_rules
from digitspan.check.findings import Report
from digitspan.check.reading.intake import Who, read_pattern, read_roster, take_in
from digitspan.check.sandbox.isolation import LEVELS, Limits, require_level
from digitspan.check.sandbox.process import end_all
from digitspan.check.table import as_csv, as_table, lines_of
from digitspan.check.tutor import summary_of, write_pages
from digitspan.commands.options import (
    add_json,
    output_console,
    path,
    print_json,
    print_table,
    require_torch,
    sigterm_exits,
    whole_number,
)
from digitspan.commands.progress import Progress
from digitspan.files import write_whole
from digitspan.sheet.exercise import read_sheet

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        type=path,
        help="a hand-in (ZIP, tar or folder), a folder of many, or a learning platform's download",
    )
    parser.add_argument(
        "--sheet",
        type=path,
        metavar="FILE",
        help="the exercise sheet, a sheet.toml or its folder (default: the program's own)",
    )
    parser.add_argument(
        "--rules",
        type=path,
        metavar="FILE",
        help="a TOML file that switches rules off or to remarks, and gives points (default: all "
        "rules are on, no points)",
    )
    parser.add_argument(
        "--pattern",
        type=_pattern,
        metavar="REGEX",
        help="whose a file is: a regular expression with a group (?P<student>...), searched in "
        "each path below PATH (default: by names with a number, and platforms' own patterns)",
    )
    parser.add_argument(
        "--roster",
        type=path,
        metavar="FILE",
        help="who should be there: a surname and a number a line; who is missing is told",
    )
    parser.add_argument(
        "--isolation",
        choices=("auto", *LEVELS),
        default="auto",
        help="how far the hand-in's code is shut in; isolated needs bubblewrap, limited is limits "
        "of time, memory and output alone (default: auto, isolated where that can be had)",
    )
    parser.add_argument(
        "--time-limit",
        type=_seconds,
        default=Limits().seconds,
        metavar="SECONDS",
        help=f"for the code of one hand-in (default: {Limits().seconds:g})",
    )
    parser.add_argument(
        "--jobs",
        type=whole_number(1, 256),
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
    rules = read_rules(options.rules, options.sheet and read_sheet(options.sheet))
    who = Who(options.pattern, read_roster(options.roster))
    require_torch()
    level = require_level(options.isolation)
    if level == "limited" and options.isolation == "auto":
        print(
            "warning: bubblewrap (bwrap) is missing or may not be used: the hand-ins' code is NOT "
            "shut in, can read your files and use the network; install it, or say --isolation "
            "limited to accept that",
            file=sys.stderr,
        )
    try:
        with sigterm_exits():
            return _check(options, rules, who, level)
    except SystemExit as leaving:
        # A thread may be at work on a hand-in for longer than who ends us will wait.
        end_all()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(leaving.code if isinstance(leaving.code, int) else 1)


def _check(options: argparse.Namespace, rules: Rules, who: Who, level: str) -> int:
    """Take in what was given, check it, and print what was found; returns the exit status."""
    with take_in(options.paths, level, who) as intake:
        hand_ins = intake.entries
        several = len(hand_ins) > 1 or bool(intake.left_out)
        if several or intake.missing:
            print("\n".join(intake.lines()), file=sys.stderr)
        out = options.out
        if out is None and several:
            out = Path("results/check")
        limits = Limits(seconds=options.time_limit)
        settings = Settings(level, limits, rules, options.jobs, out)
        with Progress() as progress:
            task = progress.task("check", len(hand_ins), "hand-ins", logged=False)
            counts = itertools.count(1)

            def done(report: Report) -> None:
                count = next(counts)
                task.update(count, Path(report.hand_in).name)
                verdicts = [f"{name} {part.verdict}" for name, part in report.classes.items()]
                if several:
                    progress.log(
                        f"{count}/{len(hand_ins)} {report.hand_in}: {', '.join(verdicts)}"
                    )

            reports = check_many(hand_ins, settings, done)
    summary = [*intake.lines(), *summary_of(reports)] if several or intake.missing else []
    if out is not None:
        write_pages(reports, rules, out / "pages")
        write_whole(out / "summary.txt", ("\n".join(summary) + "\n").encode())
    if options.json:
        documents = [report.as_json() for report in reports]
        print_json(documents[0] if len(documents) == 1 else documents)
    elif options.csv:
        sys.stdout.write(as_csv(reports, rules))
    else:
        _print_reports(reports, rules, summary)
    if out is not None:
        print(f"reports, table, summary and a page for each in {out}", file=sys.stderr)
    return 0 if all(report.passed for report in reports) and not intake.missing else 1


def _print_reports(reports: list[Report], rules: Rules, summary: list[str]) -> None:
    """The table, under it each finding, and what they have in common."""
    console = output_console()
    if len(reports) > 1:
        print_table(console, as_table(reports, rules))
        console.print()
    for report in reports:
        for line in lines_of(report):
            console.print(line, soft_wrap=True, highlight=False)
    if summary:
        console.print()
    for told in summary:
        console.print(told, soft_wrap=True, highlight=False)


def _pattern(text: str) -> re.Pattern[str]:
    """The value of --pattern."""
    try:
        return read_pattern(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _seconds(text: str) -> float:
    """The value of --time-limit."""
    with contextlib.suppress(ValueError):
        if 1 <= float(text) <= 3600:
            return float(text)
    message = f"must be from 1 to 3600 seconds; got {text[:40]!r}"
    raise argparse.ArgumentTypeError(message)
