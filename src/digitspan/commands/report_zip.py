"""What `digitspan handin` and `digitspan solution` share: a report is made of a finished study."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from digitspan.commands.options import path, require_torch, sigterm_exits
from digitspan.commands.progress import Progress
from digitspan.errors import UsageError
from digitspan.files import writable_folder, write_whole

if TYPE_CHECKING:
    from digitspan.handin.answers import Answer
    from digitspan.handin.author import Author
    from digitspan.sheet.exercise import Sheet

__all__ = ["add_report_options", "make_zip", "require_extra", "write_and_print"]

_EXTRA = {
    "ipykernel": "ipykernel",
    "jupytext": "jupytext",
    "nbclient": "nbclient",
    "nbformat": "nbformat",
    "pypandoc": "pypandoc_binary",
    "typst": "typst",
}
"""What the `report` extra installs: what is imported, and the package it comes in."""


def add_report_options(parser: argparse.ArgumentParser, answers: str, write_answers: str) -> None:
    """The options of both commands.

    Args:
        parser: of the command.
        answers: the help of --answers.
        write_answers: the help of --write-answers.
    """
    parser.add_argument(
        "study", metavar="STUDY", type=path, nargs="?", help="a finished study's folder"
    )
    parser.add_argument(
        "--sheet",
        type=path,
        metavar="FILE",
        help="the exercise sheet, a sheet.toml or its folder (default: the program's own)",
    )
    parser.add_argument(
        "--out", type=path, metavar="FOLDER", default=Path(), help="where to (default: here)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace what is there already")
    parser.add_argument("--answers", type=path, metavar="FOLDER", help=answers)
    parser.add_argument("--write-answers", type=path, metavar="FOLDER", help=write_answers)


def write_and_print(options: argparse.Namespace, answers: Mapping[str, Answer]) -> int:
    """Put answers into a folder to start from, and print the paths; the exit status."""
    from digitspan.handin.answers import write_answers

    for written in write_answers(options.write_answers, answers, overwrite=options.overwrite):
        print(written)
    return 0


def make_zip(
    options: argparse.Namespace, sheet: Sheet, author: Author, answers: Mapping[str, Answer]
) -> int:
    """Make the report, write the ZIP whole and print its path; the exit status.

    Raises:
        UsageError: where something is missing or cannot be used.
        DigitspanError: where the report cannot be made.
    """
    target = options.out / f"{author.stem}.zip"
    if target.exists() and not options.overwrite:
        message = f"{target} is there already; add --overwrite to replace it"
        raise UsageError(message)
    require_extra()

    from digitspan.handin.lists import read_lists
    from digitspan.handin.material import read_material

    with writable_folder(options.out, "--out"):
        read = read_lists if sheet.task == "recall" else read_material
        material = read(options.study, sheet)
        require_torch()
        with sigterm_exits(), Progress() as progress:
            stages = _Stages(progress)
            from digitspan.handin.assemble import build

            content = build(material, author, answers, stages.next, stages.cells)
            stages.next("writing")
            write_whole(target, content)
            stages.end()
    print(target)
    return 0


def require_extra() -> None:
    """Refuse to go on without the packages that make the report; does not import them.

    Raises:
        UsageError: naming those that are missing.
    """
    missing = [
        package for module, package in _EXTRA.items() if importlib.util.find_spec(module) is None
    ]
    if missing:
        message = (
            f"the report needs {', '.join(missing)}, and they are not installed; "
            f'`pip install "digitspan[report]"` installs them'
        )
        raise UsageError(message)


class _Stages:
    """The stages one after the other; at the end of each, how long it took."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.begin("starting")

    def begin(self, stage: str) -> None:
        """A stage begins."""
        self._stage, self._task = stage, self._progress.task(stage, unit="cells", logged=False)

    def next(self, stage: str) -> None:
        """A stage has ended, and the next one begins."""
        self.end()
        self.begin(stage)

    def cells(self, done: int, of: int) -> None:
        """So many of the notebook's cells are done."""
        self._task.update(done, total=of)

    def end(self) -> None:
        """The last stage has ended."""
        self._progress.say(f"{self._stage}: {self._task.end():.1f} s")
