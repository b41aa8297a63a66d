"""`digitspan solution STUDY`: the model solution of a sheet from a finished study, as one ZIP."""

from __future__ import annotations

import argparse

from digitspan.commands.report_zip import add_report_options, make_zip, write_and_print
from digitspan.errors import UsageError

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    add_report_options(
        parser,
        "other words for the solution, a folder with 1.1.md ... 1.6.md (default: the model's)",
        "put the model's answers into FOLDER, to change them, and do nothing else",
    )


def run(options: argparse.Namespace) -> int:
    """Write the ZIP and print its path; or write the model's answers and print theirs.

    Raises:
        UsageError: where something is missing or cannot be used.
    """
    from digitspan.handin.answers import model_answers, read_answers
    from digitspan.handin.author import MODEL
    from digitspan.sheet.exercise import read_sheet

    sheet = read_sheet(options.sheet)
    if options.write_answers is not None:
        return write_and_print(options, model_answers(sheet))
    if options.study is None:
        message = "STUDY is missing; expected `digitspan solution results/sheet`"
        raise UsageError(message)
    answers = model_answers(sheet)
    if options.answers is not None:
        answers = read_answers(options.answers, sheet)
    return make_zip(options, sheet, MODEL, answers)
