"""`digitspan show STUDY`: tables and figures from the store alone, without torch."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from digitspan.commands.options import add_json, path, print_json
from digitspan.errors import StoreError
from digitspan.files import require_writable_folder
from digitspan.study.config import StudyConfig
from digitspan.study.store import Row, Store
from digitspan.study.summary import Summary, summarise
from digitspan.study.tables import (
    compared_table,
    controls_table,
    document,
    lengths_table,
    remarks,
    spans_csv,
    spans_table,
)

__all__ = ["add_options", "print_summary", "run", "write_figures"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument(
        "study", metavar="STUDY", type=path, help="a study's folder, or its study.db"
    )
    parser.add_argument(
        "--out", type=path, metavar="FOLDER", help="write the figures here (default: the study's)"
    )
    parser.add_argument("--no-figures", action="store_true", help="tables only")
    parser.add_argument(
        "--csv", action="store_true", help="print the table of spans as CSV instead"
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print the tables and write the figures.

    Raises:
        UsageError: where there is no study.
    """
    with Store.open(options.study) as store:
        config, rows = _read(store)
        if store.damaged:
            print(f"{store.damaged} damaged rows were left out", file=sys.stderr)
    summary = summarise(config, rows)
    if options.json or options.csv:
        if options.json:
            print_json(document(summary, rows))
        else:
            sys.stdout.write(spans_csv(summary))
    else:
        print_summary(summary)
    wanted = options.out is not None or not (options.json or options.csv)
    if wanted and not options.no_figures:
        folder = options.out or (options.study if options.study.is_dir() else options.study.parent)
        write_figures(summary, folder)
    return 0


def print_summary(summary: Summary) -> None:
    """Print the tables on standard output."""
    console = Console(width=None if sys.stdout.isatty() else 150)
    console.print(spans_table(summary))
    console.print(lengths_table(summary))
    if summary.compared:
        console.print(compared_table(summary))
    if summary.controls:
        console.print(controls_table(summary))
    for line in remarks(summary):
        console.print(line, highlight=False)


def write_figures(summary: Summary, folder: Path) -> None:
    """Write every figure of a study into a folder, and say which.

    Raises:
        UsageError: where the folder cannot be written.
    """
    if not summary.spans:
        print("no figures yet: no final run is finished", file=sys.stderr)
        return
    require_writable_folder(folder, "--out")
    from digitspan.figures import write_study_figures  # matplotlib: a second that --json saves

    names = write_study_figures(summary, folder)
    print(f"figures in {folder}: {', '.join(names)}", file=sys.stderr)


def _read(store: Store) -> tuple[StudyConfig, Mapping[str, Row]]:
    """A store's configuration and rows.

    Raises:
        StoreError: where the configuration is damaged.
    """
    rows = store.rows()
    text = store.value("config")
    if text is None:
        message = (
            f"{store.path} does not say what study it is (the entry is missing or damaged); "
            f"run `digitspan study` on it again with the same options"
        )
        raise StoreError(message)
    return StudyConfig.from_words(json.loads(text)), rows
