"""The answers: Markdown, a file for each part of a question, `<<name>>` for a measured value."""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from digitspan.errors import UsageError, one_of
from digitspan.files import read_text, require_writable_folder, write_whole
from digitspan.sheet.exercise import Sheet
from digitspan.sheet.words import frame, model_words

__all__ = [
    "Answer",
    "fill",
    "frames",
    "model_answers",
    "read_answers",
    "template",
    "write_answers",
]

_MOST_CHARACTERS = 200_000

_ANSWERS = re.compile(r"\d+(\.\d+)?[a-l]?\.md")
"""The name of a file that can only be an answer."""

_VALUE = re.compile(r"<<\s*([a-z][a-z0-9_]*)\s*>>")
_CODE = re.compile(r"^(`{3,}|~{3,}).*?^\1\s*$|(`+)(?!`).*?(?<!`)\2(?!`)", re.M | re.S)
_MATHS = re.compile(r"(?<!\\)\$\$.+?(?<!\\)\$\$|(?<!\\)\$(?!\$).+?(?<![\\$])\$(?!\$)", re.S)


class Answer(NamedTuple):
    """The words on one part of a question."""

    question: str
    """The part's name in the sheet, such as "1.5a"."""
    text: str
    """Markdown, with `<<name>>` still in it."""
    source: str
    """Where it was read, for messages."""
    is_empty: bool = False
    """Whether it is the frame that an answer has to be written into."""


def template(name: str) -> str:
    """One of the files that a report is made from."""
    file = importlib.resources.files("digitspan.handin") / "templates" / name
    return file.read_text(encoding="utf-8")


def model_answers(sheet: Sheet) -> dict[str, Answer]:
    """The model's answers, by the part's name.

    Raises:
        UsageError: where the program has no model of what the sheet asks.
    """
    return {name: Answer(name, words, f"{name}.md") for name, words in model_words(sheet).items()}


def frames(sheet: Sheet) -> dict[str, Answer]:
    """Empty frames in the place of answers, by the part's name."""
    return {
        question.name_of(part): Answer(
            question.name_of(part),
            frame(question, part),
            f"{question.name_of(part)}.md",
            is_empty=True,
        )
        for question in sheet.questions
        for part in question.parts
    }


def read_answers(folder: Path, sheet: Sheet) -> dict[str, Answer]:
    """The answers in a folder, by the part's name; what is still an empty frame stays one.

    Raises:
        UsageError: naming the file that is missing, answers nothing that the sheet asks, or cannot
            be read or typeset.
    """
    if not folder.is_dir():
        message = f"--answers must be a folder; got {str(folder)[:200]!r}; {_START}"
        raise UsageError(message)
    empty = frames(sheet)
    for path in sorted(folder.glob("*.md")):
        if _ANSWERS.fullmatch(path.name) and path.stem not in empty:
            message = (
                f"{path} answers no question of {sheet.source}: expected "
                f"{', '.join(f'{name}.md' for name in empty)}; take it away, or name it by its "
                f"question"
            )
            raise UsageError(message)
    return {name: _read(folder / f"{name}.md", blank) for name, blank in empty.items()}


def write_answers(
    folder: Path, answers: Mapping[str, Answer], *, overwrite: bool = False
) -> list[Path]:
    """Put answers into a folder, to start one's own from.

    Raises:
        UsageError: where one of the files is there already.
    """
    require_writable_folder(folder, "--write-answers")
    paths = [folder / f"{name}.md" for name in answers]
    there = [path for path in paths if path.exists()]
    if there and not overwrite:
        message = f"{there[0]} is there already; choose another folder, or add --overwrite"
        raise UsageError(message)
    for path, answer in zip(paths, answers.values(), strict=True):
        write_whole(path, f"{answer.text.rstrip()}\n".encode())
    return paths


def fill(text: str, values: Mapping[str, str], source: str) -> str:
    """Put the values where their names stand; values may hold names of others.

    >>> fill("T = <<length>>", {"length": "20"}, "1.1.md")
    'T = 20'

    Args:
        text: Markdown with `<<name>>` in it.
        values: what to put there, by name.
        source: the text's file, for messages.

    Raises:
        UsageError: for a name that is not known.
    """

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in values:
            message = f"{source}: the value {one_of(name, values)}"
            raise UsageError(message)
        return values[name]

    while _VALUE.search(text):
        text = _VALUE.sub(value, text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


_START = "`digitspan handin --write-answers FOLDER` puts frames for them there to start from"


def _read(path: Path, blank: Answer) -> Answer:
    """One file of a student's folder; the frame goes where something stands beside it."""
    question = blank.question
    try:
        text = read_text(path)
    except FileNotFoundError as error:
        message = (
            f"there is no answer to Question {question}: expected {path}; none is made up "
            f"beside your own; {_START}"
        )
        raise UsageError(message) from error
    except OSError as error:
        message = f"cannot read {path}: {error.strerror or error}; expected a text file"
        raise UsageError(message) from error
    if not text.strip() or len(text) > _MOST_CHARACTERS:
        problem = "is empty" if not text.strip() else f"has {len(text):,} characters"
        message = f"{path} {problem}; expected the answer to Question {question} in words"
        raise UsageError(message)
    text = text.replace("\r\n", "\n").replace(blank.text, "", 1)
    if not text.strip():
        return blank._replace(source=str(path))
    return Answer(question, _with_tight_maths(text, path), str(path))


def _with_tight_maths(text: str, path: Path) -> str:
    """The text with `$ x $` as `$x$`, which Jupyter sets and pandoc would print as it stands."""
    code: list[str] = []

    def hide(match: re.Match[str]) -> str:
        code.append(match.group())
        return f"\x00{len(code) - 1}\x00" + "\n" * match.group().count("\n")

    hidden = _CODE.sub(hide, text)
    line = 1
    pieces = re.split(r"(\n[ \t]*\n)", hidden)
    for place, paragraph in enumerate(pieces):
        rest = _MATHS.sub(lambda match: "\n" * match.group().count("\n"), paragraph)
        lonely = re.search(r"(?<!\\)\$", rest)
        if lonely:
            number = line + rest[: lonely.start()].count("\n")
            message = (
                f"{path}, line {number}: a $ has no partner in its paragraph; formulas stand "
                f"between two, $x$ or $$x$$, and a dollar that is none is written \\$"
            )
            raise UsageError(message)
        pieces[place] = _MATHS.sub(_tight, paragraph)
        line += paragraph.count("\n")
    shown = "".join(pieces)
    for number, original in enumerate(code):
        shown = shown.replace(f"\x00{number}\x00" + "\n" * original.count("\n"), original)
    return shown


def _tight(match: re.Match[str]) -> str:
    """One formula without space at the inner side of single dollars."""
    maths = match.group()
    return maths if maths.startswith("$$") else f"${maths[1:-1].strip()}$"
