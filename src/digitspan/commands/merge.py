"""`digitspan merge STORE... --out FOLDER`: one store out of several."""

from __future__ import annotations

import argparse
import sys

from digitspan.commands.options import path, sigterm_exits
from digitspan.study.merge import merge_stores

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument(
        "studies", metavar="STORE", nargs="+", type=path, help="a study's folder, or its study.db"
    )
    parser.add_argument(
        "--out", type=path, metavar="FOLDER", required=True, help="the folder of the one study"
    )


def run(options: argparse.Namespace) -> int:
    """Merge, and say what there is now.

    Raises:
        UsageError: where a store is missing or damaged, or they contradict each other.
    """
    with sigterm_exits():
        rows = merge_stores(options.studies, options.out)
    print(f"{options.out} has {rows:,} runs; `digitspan show` prints them", file=sys.stderr)
    return 0
