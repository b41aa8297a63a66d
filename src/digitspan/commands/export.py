"""`digitspan export STUDY`: the rows of a study as CSV."""

from __future__ import annotations

import argparse
import sys

from digitspan.commands.options import path
from digitspan.study.reading import read_study
from digitspan.study.tables import rows_csv

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument(
        "study",
        metavar="STUDY",
        type=path,
        help="a study's folder, or its study.db; of its rows the column `counted` says whether "
        "the study's tables use them",
    )
    parser.add_argument(
        "--with-timing", action="store_true", help="also seconds, time, host and attempts"
    )


def run(options: argparse.Namespace) -> int:
    """Print the rows, sorted by key: the same text for the same runs, however they came about.

    Raises:
        UsageError: where there is no study.
    """
    study = read_study(options.study)
    counts = None if study.settings is None else study.counted
    sys.stdout.write(rows_csv(study.rows.values(), counts, timing=options.with_timing))
    if study.damaged:
        print(f"{study.damaged} damaged rows were left out", file=sys.stderr)
    return 0
