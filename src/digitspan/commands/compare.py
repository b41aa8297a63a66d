"""`digitspan compare STUDY...`: which condition's span is longer, by how much, and how surely."""

from __future__ import annotations

import argparse
import sys

from digitspan.commands.options import (
    add_json,
    output_console,
    path,
    print_json,
    print_sentence,
    print_table,
    whole_number,
)
from digitspan.errors import UsageError
from digitspan.study.comparison import (
    comparison_csv,
    comparison_document,
    comparison_tables,
    conditions_of,
    left_out,
)
from digitspan.study.plan import next_jobs
from digitspan.study.reading import Study, read_study
from digitspan.study.span_comparison import (
    cells_of,
    differences_csv,
    differences_document,
    differences_remarks,
    differences_tables,
)
from digitspan.study.tables import TWO_SPANS

__all__ = ["add_options", "run"]

MOST_STEPS = 10**12
"""No study has so many training steps a run."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument(
        "studies",
        metavar="STUDY",
        nargs="+",
        type=path,
        help="studies' folders, or their study.db: every pair of conditions is compared",
    )
    parser.add_argument(
        "--budget",
        type=whole_number(1, MOST_STEPS),
        metavar="N",
        help="the training steps within which runs must be solved (default: the smallest of the "
        "studies' budgets)",
    )
    parser.add_argument("--csv", action="store_true", help="print the pairs as CSV instead")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print the pairs.

    Raises:
        UsageError: where there is no study, or no two conditions to compare.
    """
    studies = [read_study(study) for study in options.studies]
    if any(study.config.design == "span" for study in studies):
        _compare_digit_spans(studies, options)
        return 0
    conditions, budget = conditions_of(studies, options.budget)
    _say_left_out(studies)
    if options.csv:
        sys.stdout.write(comparison_csv(conditions))
    elif options.json:
        print_json(comparison_document(conditions, budget))
    else:
        console = output_console()
        for table in comparison_tables(conditions, budget):
            print_table(console, table)
        if sentence := left_out(conditions):
            console.print(sentence, highlight=False)
        print_sentence(console, TWO_SPANS)
    return 0


def _say_left_out(studies: list[Study]) -> None:
    """Say which rows of the studies the comparison does without, and which are to come."""
    for study in studies:
        if study.damaged:
            print(f"{study.path}: {study.damaged} damaged rows were left out", file=sys.stderr)
        failed = sum(row.record.end_state == "error" for row in study.rows.values())
        if failed:
            print(f"{study.path}: {failed} runs ended in an error, left out", file=sys.stderr)
        records = {key: row.record for key, row in study.rows.items()}
        if missing := len(next_jobs(study.config, records)):
            message = f"{missing} runs or more are still missing: the spans are not final"
            print(f"{study.path}: {message}", file=sys.stderr)


def _compare_digit_spans(studies: list[Study], options: argparse.Namespace) -> None:
    """Print the pairs of cells by their digit spans."""
    if options.budget is not None:
        message = "--budget must be left out of digit spans: their networks use up their budgets"
        raise UsageError(message)
    cells = cells_of(studies)
    _say_left_out(studies)
    if options.csv:
        sys.stdout.write(differences_csv(cells))
    elif options.json:
        print_json(differences_document(cells))
    else:
        console = output_console()
        for table in differences_tables(cells):
            print_table(console, table)
        for sentence in differences_remarks(cells):
            print_sentence(console, sentence)
        print_sentence(console, TWO_SPANS)
