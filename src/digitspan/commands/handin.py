"""`digitspan handin STUDY`: what the sheet asks for, as one ZIP: PDF, notebook and code."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path

from digitspan.commands.options import path, require_torch, sigterm_exits
from digitspan.commands.progress import Progress
from digitspan.errors import UsageError
from digitspan.files import writable_folder, write_whole

__all__ = ["add_options", "run"]

_EXTRA = {
    "ipykernel": "ipykernel",
    "jupytext": "jupytext",
    "nbclient": "nbclient",
    "nbformat": "nbformat",
    "pypandoc": "pypandoc_binary",
    "typst": "typst",
}
"""What the `report` extra installs: what is imported, and the package it comes in."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument(
        "study", metavar="STUDY", type=path, nargs="?", help="a finished study's folder"
    )
    parser.add_argument("--surname", metavar="S", help="your surname, for both file names")
    parser.add_argument(
        "--matriculation", metavar="M", help="your matriculation number, for both file names"
    )
    parser.add_argument(
        "--out", type=path, metavar="FOLDER", default=Path(), help="where to (default: here)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace what is there already")
    parser.add_argument(
        "--answers",
        type=path,
        metavar="FOLDER",
        help="your own answers, a folder with 1.1.md ... 1.6.md (default: the built-in ones)",
    )
    parser.add_argument(
        "--write-answers",
        type=path,
        metavar="FOLDER",
        help="put the built-in answers into FOLDER to start from, and do nothing else",
    )


def run(options: argparse.Namespace) -> int:
    """Write the ZIP and print its path; or write the built-in answers and print theirs.

    Raises:
        UsageError: where something is missing or cannot be used.
        DigitspanError: where the report cannot be made.
    """
    from digitspan.handin.answers import read_answers, write_answers

    if options.write_answers is not None:
        for written in write_answers(options.write_answers, overwrite=options.overwrite):
            print(written)
        return 0

    from digitspan.handin.author import checked_author

    for name in ("study", "surname", "matriculation"):
        if getattr(options, name) is None:
            wanted = "STUDY" if name == "study" else f"--{name}"
            message = (
                f"{wanted} is missing; expected `digitspan handin results/sheet --surname NAME "
                f"--matriculation 01234567`"
            )
            raise UsageError(message)
    author = checked_author(options.surname, options.matriculation)
    target = options.out / f"{author.stem}.zip"
    if target.exists() and not options.overwrite:
        message = f"{target} is there already; add --overwrite to replace it"
        raise UsageError(message)
    answers = read_answers(options.answers)
    _require_extra()

    from digitspan.handin.material import read_material

    with writable_folder(options.out, "--out"):
        material = read_material(options.study)
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


def _require_extra() -> None:
    """Refuse to go on without the packages that make the report; does not import them."""
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
