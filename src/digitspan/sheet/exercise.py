"""An exercise sheet, read from its `sheet.toml`: what is asked, of whom, for how many points."""

from __future__ import annotations

import functools
import importlib.resources
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from digitspan.errors import UsageError, one_of
from digitspan.files import read_text, sha256
from digitspan.sheet.questions import KINDS, NETWORKS, TASKS
from digitspan.sheet.zip_name import NameRule

__all__ = [
    "SHEET",
    "Lengths",
    "Part",
    "Question",
    "Sheet",
    "default_sheet",
    "default_text",
    "read_sheet",
]

SHEET = "sheet.toml"
"""The file that says what a sheet asks."""

_ENCODINGS = ("scalar", "one-hot")
_NUMBER = re.compile(r"\d{1,2}(\.\d{1,2})?")
_NAME = re.compile(r"[\w .,()-]*")
_MOST = 500


class Part(NamedTuple):
    """One thing that a question asks, which is answered by itself."""

    asks: str
    """One of `KINDS`."""
    text: str
    """The task, in Markdown."""
    touches: tuple[str, ...]
    """What a good answer touches."""
    title: str = ""
    """Its heading; empty where the question has one part."""


class Question(NamedTuple):
    """A question with its points."""

    number: str
    """Such as "1.5"."""
    points: float
    """For all of its parts."""
    parts: tuple[Part, ...]
    """One or more."""

    @property
    def heading(self) -> str:
        """As it is printed: "Question 1.5 (3P)"."""
        return f"Question {self.number} ({self.points:g}P)"

    def name_of(self, part: Part) -> str:
        """What a part is called, and the file with its answer: "1.4", "1.5a"."""
        if len(self.parts) == 1:
            return self.number
        return f"{self.number}{'abcdefghijkl'[self.parts.index(part)]}"


class Lengths(NamedTuple):
    """The lengths T that a sheet speaks of, and time steps."""

    sanity: int
    """T at which the accuracy has to be near-perfect."""
    least: int
    """So many lengths at least."""
    delay: int
    """Time steps over which a vanilla RNN is said to be difficult to train."""
    looked_into: int
    """Networks that were trained at about this T are looked into."""


class Sheet(NamedTuple):
    """An exercise sheet."""

    source: str
    """Where it was read, for messages."""
    digest: str
    """The SHA-256 of its text."""
    course: str
    """The course's name."""
    term: str
    """Such as "SoSe 24"."""
    title: str
    """The sheet's."""
    task: str
    """One of `TASKS`."""
    encodings: tuple[str, ...]
    """How a digit may be fed in; the first is shown first."""
    lengths: Lengths
    """That it speaks of."""
    names: NameRule
    """What files are called."""
    number_words: str
    """What a matriculation number is, in words."""
    code: str
    """The folder of the code in the ZIP."""
    study: Mapping[str, Any]
    """What answers it, in the words of `digitspan study`; preset, and what differs from it."""
    networks: tuple[str, ...]
    """Two of `NETWORKS`: the vanilla one, and the gated one."""
    titles: tuple[str, ...]
    """The headings of their tasks."""
    questions: tuple[Question, ...]
    """In their order."""

    @property
    def points(self) -> float:
        """Of all questions."""
        return sum(question.points for question in self.questions)

    @property
    def parts(self) -> dict[str, Part]:
        """What is answered one by one, by its name: "1.1", ..., "1.5a", "1.5b"."""
        return {q.name_of(part): part for q in self.questions for part in q.parts}

    def name_of(self, kind: str) -> str:
        """The name of the part that asks something; empty where the sheet does not ask it."""
        return next((name for name, part in self.parts.items() if part.asks == kind), "")

    def number_of(self, kind: str) -> str:
        """The number of the question that asks something; empty where the sheet does not."""
        asking = (q.number for q in self.questions if any(p.asks == kind for p in q.parts))
        return next(asking, "")

    @property
    def figures(self) -> tuple[str, ...]:
        """The figures of its solution in their order."""
        return tuple(
            figure
            for part in self.parts.values()
            for figure in KINDS[part.asks].figures
            if figure in TASKS[self.task]
        )

    def needs(self, what: str) -> list[str]:
        """The numbers of the questions that need something of the study."""
        return [
            question.number
            for question in self.questions
            if any(what in KINDS[part.asks].needs for part in question.parts)
        ]


def default_text() -> str:
    """The text of the `sheet.toml` that comes with the program."""
    return (importlib.resources.files("digitspan.sheet") / SHEET).read_text(encoding="utf-8")


@functools.cache
def default_sheet() -> Sheet:
    """The sheet that comes with the program."""
    return _sheet(default_text(), SHEET)


def read_sheet(path: Path | None) -> Sheet:
    """A sheet out of its file, or a folder that has it; the program's own without a path.

    Raises:
        UsageError: where it cannot be read, or asks for something that is not there.
    """
    if path is None:
        return default_sheet()
    file = path / SHEET if path.is_dir() else path
    try:
        return _sheet(read_text(file), str(file))
    except OSError as error:
        message = (
            f"cannot read {str(file)[:200]}: {error.strerror or error}; expected a sheet in TOML, "
            f"such as `digitspan course new FOLDER` puts into FOLDER"
        )
        raise UsageError(message) from error


def _sheet(text: str, source: str) -> Sheet:
    """A sheet out of its text."""
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        message = f"{source} is not TOML ({error}); expected lines such as points = 16"
        raise UsageError(message) from error
    try:
        return _read(document, source, sha256(text.encode()))
    except _WrongError as error:
        message = f"{source}: {error}"
        raise UsageError(message) from error


class _WrongError(Exception):
    """What is wrong in a sheet, a sentence without the file's name."""


def _read(document: Mapping[str, Any], source: str, digest: str) -> Sheet:
    top = _Table(document, "the sheet", (
        "course", "term", "title", "points", "task", "encodings", "lengths", "files", "study",
        "network", "question",
    ))  # fmt: skip
    networks = [_Table(t, f"[[network]] {n}", ("name", "title"))
                for n, t in enumerate(top.tables("network"), start=1)]  # fmt: skip
    names = tuple(t.word("name", NETWORKS) for t in networks)
    places = [NETWORKS[name].place for name in names]
    if places != [0, 1]:
        wanted = [" or ".join(n for n in NETWORKS if NETWORKS[n].place == p) for p in (0, 1)]
        message = (
            f"[[network]] must be there twice, first {wanted[0]}, then {wanted[1]}; got "
            f"{', '.join(names)}"
        )
        raise _WrongError(message)
    questions = tuple(_questions(top.tables("question")))
    total = top.number("points")
    if (found := round(sum(question.points for question in questions), 6)) != total:
        each = " + ".join(f"{question.points:g}" for question in questions)
        message = f"the points of its questions, {each}, make {found:g}, not points = {total:g}"
        raise _WrongError(message)
    files = _Table(top.table("files"), "[files]",
                   ("name", "code", "matriculation", "matriculation_words"))  # fmt: skip
    lengths = _Table(top.table("lengths"), "[lengths]", Lengths._fields)
    task = top.word("task", TASKS)
    found_lengths = Lengths(*(lengths.count(name) for name in Lengths._fields))
    if task == "recall" and found_lengths.sanity % 2:
        message = (
            f"sanity in [lengths] must be even for the task recall, twice the items of a list; "
            f"got {found_lengths.sanity}"
        )
        raise _WrongError(message)
    return Sheet(
        source, digest, top.text("course"), top.text("term"), top.text("title"), task,
        tuple(dict.fromkeys(top.words("encodings", _ENCODINGS))), found_lengths, _names(files),
        files.text("matriculation_words"), _folder(files), dict(top.table("study")), names,
        tuple(t.text("title") for t in networks), questions,
    )  # fmt: skip


def _questions(tables: Sequence[Mapping[str, Any]]) -> Iterator[Question]:
    """The questions, each number and each kind once."""
    numbers: list[str] = []
    kinds: list[str] = []
    for place, entries in enumerate(tables, start=1):
        table = _Table(entries, f"[[question]] {place}", ("number", "points", "part"))
        number = table.text("number")
        if not _NUMBER.fullmatch(number) or number in numbers:
            message = (
                f'{table.name}: number must be such as "1.4", and no other question\'s; got '
                f"{number[:60]!r}"
            )
            raise _WrongError(message)
        numbers.append(number)
        table.name = f"question {number}"
        parts = [
            _Table(t, f"question {number}", ("asks", "text", "touches", "title"))
            for t in table.tables("part")
        ]
        for part in parts:
            kind = part.word("asks", KINDS)
            if kind in kinds:
                message = f"question {number} asks {kind}, which another part asks already"
                raise _WrongError(message)
            kinds.append(kind)
        if len(parts) > 1 and any("title" not in part.entries for part in parts):
            message = f"question {number} has several parts, and not each of them a title"
            raise _WrongError(message)
        yield Question(
            number,
            table.number("points"),
            tuple(
                Part(
                    part.text("asks"),
                    " ".join(part.text("text").split()),
                    part.words("touches"),
                    part.text("title") if len(parts) > 1 else "",
                )
                for part in parts
            ),
        )


def _names(files: _Table) -> NameRule:
    """How files are called."""
    template, number = files.text("name"), files.text("matriculation")
    before, *between = re.split(r"\{surname\}|\{matriculation\}", template)
    complete = all(template.count(word) == 1 for word in ("{surname}", "{matriculation}"))
    if not complete or not between[0] or not _NAME.fullmatch("".join([before, *between])):
        message = (
            f'name in [files] must be such as "{{surname}}-{{matriculation}}", each once and '
            f"something between them that a file name can have; got {template[:60]!r}"
        )
        raise _WrongError(message)
    try:
        re.compile(number)
    except re.error as error:
        message = f"matriculation in [files] is no regular expression ({error})"
        raise _WrongError(message) from error
    return NameRule(template, number)


def _folder(files: _Table) -> str:
    """The name of the folder of the code, which is a package."""
    folder = files.text("code")
    if not folder.isidentifier() or not folder.isascii():
        message = f"code in [files] must be a name that Python can import; got {folder[:60]!r}"
        raise _WrongError(message)
    return folder


class _Table:
    """A table of the file, read by the names and types that it must have."""

    def __init__(self, entries: Mapping[str, Any], name: str, known: Sequence[str]) -> None:
        self.entries, self.name = entries, name
        for word in entries:
            if word not in known:
                message = f"the word in {name} {one_of(word, known)}"
                raise _WrongError(message)

    def _get(self, word: str, kind: type | tuple[type, ...], expected: str) -> Any:
        value = self.entries.get(word)
        if not isinstance(value, kind) or isinstance(value, bool):
            got = "nothing" if value is None else f"{value!r:.60}"
            message = f"{word} in {self.name} must be {expected}; got {got}"
            raise _WrongError(message)
        return value

    def text(self, word: str) -> str:
        """A text that is not empty."""
        value: str = self._get(word, str, "a text").strip()
        if not value or "\x00" in value:
            message = f"{word} in {self.name} must be a text; got {value!r:.60}"
            raise _WrongError(message)
        return value

    def word(self, word: str, known: Sequence[str] | Mapping[str, Any]) -> str:
        """One of some words."""
        value = self.text(word)
        if value not in known:
            message = f"{word} in {self.name} {one_of(value, known)}"
            raise _WrongError(message)
        return value

    def words(self, word: str, known: Sequence[str] = ()) -> tuple[str, ...]:
        """One or more texts, out of some where they are given."""
        values = self._get(word, list, 'a list such as ["one", "two"]')
        if not values or not all(isinstance(value, str) and value.strip() for value in values):
            message = (
                f'{word} in {self.name} must be a list such as ["one", "two"]; got {values!r:.60}'
            )
            raise _WrongError(message)
        for value in values:
            if known and value not in known:
                message = f"{word} in {self.name} {one_of(value, known)}"
                raise _WrongError(message)
        return tuple(" ".join(value.split()) for value in values)

    def number(self, word: str) -> float:
        """A number above 0."""
        value = self._get(word, (int, float), "a number above 0")
        if not 0 < value < _MOST:
            message = (
                f"{word} in {self.name} must be a number above 0 and below {_MOST}; got {value}"
            )
            raise _WrongError(message)
        return float(value)

    def count(self, word: str) -> int:
        """A whole number, 2 or more."""
        value: int = self._get(word, int, "a whole number")
        if not 2 <= value < 10_000:
            message = f"{word} in {self.name} must be from 2 to 9,999; got {value}"
            raise _WrongError(message)
        return value

    def table(self, word: str) -> Mapping[str, Any]:
        """A table, [word]."""
        value: Mapping[str, Any] = self._get(word, dict, f"a table, [{word}]")
        return value

    def tables(self, word: str) -> Sequence[Mapping[str, Any]]:
        """One table or more, [[word]]."""
        value: list[Mapping[str, Any]] = self._get(word, list, f"tables, [[{word}]]")
        if not value or not all(isinstance(one, dict) for one in value):
            message = f"{word} in {self.name} must be tables, [[{word}]]; got {value!r:.60}"
            raise _WrongError(message)
        return value
