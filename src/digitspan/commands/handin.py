"""`digitspan handin STUDY`: what the sheet asks for, as one ZIP: PDF, notebook and code."""

from __future__ import annotations

import argparse
import sys

from digitspan.commands.report_zip import add_report_options, make_zip, write_and_print
from digitspan.errors import UsageError

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    add_report_options(
        parser,
        "your own answers, a folder with 1.1.md ... 1.6.md (default: an empty frame for each)",
        "put a frame for each answer into FOLDER, to write yours into, and do nothing else",
    )
    parser.add_argument("--surname", metavar="S", help="your surname, for the files' names")
    parser.add_argument(
        "--matriculation", metavar="M", help="your matriculation number, for the files' names"
    )


def run(options: argparse.Namespace) -> int:
    """Write the ZIP and print its path; or write frames for answers and print theirs.

    Raises:
        UsageError: where something is missing or cannot be used.
    """
    from digitspan.handin.answers import frames, read_answers
    from digitspan.sheet.exercise import read_sheet

    sheet = read_sheet(options.sheet)
    if options.write_answers is not None:
        return write_and_print(options, frames(sheet))

    from digitspan.handin.author import checked_author, refuse_another_of_the_number

    for name in ("study", "surname", "matriculation"):
        if getattr(options, name) is None:
            wanted = "STUDY" if name == "study" else f"--{name}"
            message = (
                f"{wanted} is missing; expected `digitspan handin results/sheet --surname NAME "
                f"--matriculation 01234567`"
            )
            raise UsageError(message)
    author = checked_author(options.surname, options.matriculation, sheet)
    refuse_another_of_the_number(author, options.out, sheet)
    answers = frames(sheet) if options.answers is None else read_answers(options.answers, sheet)
    status = make_zip(options, sheet, author, answers)
    if empty := [name for name, answer in answers.items() if answer.is_empty]:
        several = "s are" if len(empty) > 1 else " is"
        print(
            f"digitspan handin: {len(empty)} answer{several} an empty frame, {', '.join(empty)}; "
            f"`digitspan handin --write-answers FOLDER` puts them into a folder to be filled in, "
            f"and --answers FOLDER uses what is there",
            file=sys.stderr,
        )
    return status
