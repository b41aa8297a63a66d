"""Reads one hand-in: a copy of it is opened and parsed in a child, and what that tells is kept."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from digitspan.check.plain import plain
from digitspan.check.reading.source import Source, source_names, source_of
from digitspan.check.sandbox.child.reader.archive import MAX_BYTES, SKIPPED, is_archive_name
from digitspan.check.sandbox.isolation import Limits
from digitspan.check.sandbox.process import (
    ChildLost,
    ChildProcess,
    ChildRefused,
    new_folder,
    remove,
)
from digitspan.sheet.exercise import Sheet, default_sheet
from digitspan.sheet.words import FRAME, told_sentences

__all__ = [
    "CHANGED",
    "READER",
    "READING",
    "Ask",
    "Facts",
    "HandIn",
    "TextFacts",
    "copied",
    "digest_of",
    "file_list",
    "read_hand_in",
    "told_of",
    "written_out",
]

READER = "reader.main"
"""What answers in the child that reads."""
READING = Limits(seconds=60.0, memory=500 * 2**20, data=400 * 2**20, processes=16)
"""What reading one hand-in may use."""
_LARGEST_DATA = 2 * 10**6
_MOST_DATA = 50 * 10**6
_MOST_SOURCES = 200
_MOST_NODES = 150_000
"""Of all syntax trees of a hand-in together: some 15,000 lines of Python, 100 MB here."""
_MOST_COPIED = 20_000

Ask = Callable[[dict[str, Any]], tuple[dict[str, Any], bytes]]
"""How the child that reads is asked."""


class TextFacts(NamedTuple):
    """What is told of a source's text."""

    conflict: int
    """The line of a merge conflict, 0 where there is none."""
    absolute: tuple[int, str]
    """The line of an absolute path, and the path; 0 and nothing where there is none."""
    sketch: frozenset[int]
    """Hashes of what is written there, as `digitspan.check.similar` compares them."""
    unreadable_here: bool
    """A notebook, where what reads notebooks is not installed."""


@dataclasses.dataclass(frozen=True)
class Facts:
    """What reading a hand-in told besides its files."""

    kind: str = "folder"
    """How it was given: "ZIP", another kind of archive, "folder" or "file"."""
    skipped: dict[str, int] = dataclasses.field(default_factory=dict)
    """Folders that were left out, to how many files lie in them."""
    opened: list[str] = dataclasses.field(default_factory=list)
    """Archives inside that were opened."""
    unopened: dict[str, str] = dataclasses.field(default_factory=dict)
    """Archives inside that were not, to their kind."""
    digests: dict[str, str] = dataclasses.field(default_factory=dict)
    """Name of a file to a hash of its content."""
    texts: dict[str, TextFacts] = dataclasses.field(default_factory=dict)
    """Name of a source to what is told of its text."""
    report: str = ""
    """The name of the PDF that is the report; empty where there is none."""
    pdf: dict[str, Any] = dataclasses.field(default_factory=dict)
    """What is in it, as `digitspan.check.sandbox.child.reader.pdf.facts_of` tells it."""
    too_many: int = 0
    """How many sources were not looked at, because there are so many."""


class HandIn(NamedTuple):
    """The files of one hand-in."""

    path: Path
    """As it was given."""
    is_archive: bool
    files: dict[str, bytes]
    """Name, with forward slashes, to content; nothing for what its code has no use for."""
    sources: list[Source]
    """Its Python and notebooks."""
    refused: str
    """Why it is not read; empty where it is."""
    facts: Facts = Facts()
    sheet: Sheet | None = None
    """What it answers; None: the program's own sheet."""

    @property
    def asked(self) -> Sheet:
        """The sheet that it answers."""
        return self.sheet or default_sheet()


@contextlib.contextmanager
def written_out(hand_in: HandIn) -> Iterator[Path]:
    """A folder with a hand-in's files for the child, removed in the end."""
    folder = new_folder("hand-in-")
    try:
        written = {source.path: _encoded(source.text) for source in hand_in.sources}
        for source in hand_in.sources:
            for name, text in source.files().items():
                written.setdefault(name, _encoded(text))
        for name, data in hand_in.files.items():
            if not name.endswith((".py", ".ipynb", ".pdf", ".zip")) and len(data) < _LARGEST_DATA:
                written.setdefault(name, data)
        for name, data in written.items():
            path = folder / name
            if path.resolve().is_relative_to(folder.resolve()):
                # Not a name that this system cannot write.
                with contextlib.suppress(OSError, ValueError):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(data)
        yield folder
    finally:
        remove(folder)


def digest_of(path: Path) -> str:
    """A hash of a file, or of the names and contents of a folder's files."""
    digest = hashlib.sha256()
    files = [(path.name, path)] if path.is_file() else _regular_files(path)
    for name, file in files:
        digest.update(os.fsencode(name) + b"\0")
        with contextlib.suppress(OSError), file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


@contextlib.contextmanager
def copied(path: Path) -> Iterator[tuple[Path, dict[str, int], str]]:
    """A copy of what was given for the child: nothing that happens to it happens to the original.

    With it the folders that were left out, to how many files lie in them, and why it could not be
    copied; empty where it could.
    """
    folder = new_folder("given-")
    skipped: dict[str, int] = {}
    try:
        yield folder, skipped, _copy(path, folder, skipped)
    finally:
        remove(folder)


def _copy(path: Path, folder: Path, skipped: dict[str, int]) -> str:
    """Copy what was given into a folder; returns why that cannot be."""
    total = count = 0
    try:
        for name, file in [(path.name, path)] if path.is_file() else _regular_files(path):
            outside = SKIPPED.match(name) if not path.is_file() else None
            if outside:
                skipped[outside.group()] = skipped.get(outside.group(), 0) + 1
                continue
            total += file.stat().st_size
            count += 1
            if total > MAX_BYTES or count > _MOST_COPIED:
                return f"it has more than {MAX_BYTES // 10**6} MB or {_MOST_COPIED:,} files"
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target, follow_symlinks=False)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        return f"a file in it cannot be read: {reason}"
    return ""


def _regular_files(folder: Path) -> list[tuple[str, Path]]:
    """The files of a folder that are no links, by names relative to it."""
    found = []
    for where, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(where, name)
            with contextlib.suppress(OSError):
                if stat.S_ISREG(path.lstat().st_mode):
                    found.append((path.relative_to(folder).as_posix(), path))
    return found


CHANGED = "its files changed while the check ran"
"""Why a hand-in is not read that its author may have no part in."""


def read_hand_in(
    path: Path, level: str, *, digest: str = "", sheet: Sheet | None = None
) -> HandIn:
    """Read a hand-in; where that is refused, it has no files and a reason.

    Args:
        path: an archive, a folder, or a single file.
        level: how far the child that reads it is shut in.
        digest: what `digest_of` said of it before anything ran; empty: it was not asked.
        sheet: what it answers, by default the program's own.
    """
    is_archive = path.is_file() and is_archive_name(path.name)
    with copied(path) as (folder, skipped, problem):
        if problem:
            return HandIn(path, is_archive, {}, [], problem)
        original = folder / path.name if path.is_file() else folder
        if digest and digest_of(original) != digest:
            return HandIn(path, is_archive, {}, [], CHANGED)
        try:
            with ChildProcess(folder, level, READING, READER) as child:
                only = path.name if path.is_file() else ""
                read = told_of(path, only, child.ask, sheet)
        except ChildRefused as refused:
            return HandIn(path, is_archive, {}, [], _reason(refused))
        except ChildLost as lost:
            return HandIn(path, is_archive, {}, [], _LOST.get(lost.code, _LOST["no-answer"]))
    read.facts.skipped.update(skipped)
    return read._replace(is_archive=is_archive)


_LOST = {
    "timeout": f"reading it takes more than {READING.seconds:.0f} seconds",
    "out-of-memory": f"reading it takes more than {READING.data // 2**20} MB of memory",
    "no-answer": "reading it ended the process that read it",
}


def _reason(refused: ChildRefused) -> str:
    """Why the child did not read it."""
    if refused.type == "ArchiveRefused":
        return refused.text
    return f"it cannot be read ({refused})"


def file_list(data: bytes) -> list[tuple[str, int, str]]:
    """Names, sizes and hashes out of what the child tells of what it opened.

    Raises:
        ChildLost: where it tells something else.
    """
    try:
        entries = json.loads(data)
        files = [(str(name), int(size), str(digest)) for name, size, digest in entries]
    except (ValueError, TypeError, RecursionError) as error:
        raise ChildLost("no-answer") from error
    inside = [PurePosixPath(name) for name, _, _ in files]
    if any(path.is_absolute() or ".." in path.parts for path in inside):
        raise ChildLost("no-answer")
    return files


def told_of(path: Path, only: str, ask: Ask, sheet: Sheet | None = None) -> HandIn:
    """The hand-in as the child tells it.

    Args:
        path: as it was given.
        only: the name of the single file that was given; empty: a folder was.
        ask: asks the child.
        sheet: what it answers, by default the program's own.

    Raises:
        ChildRefused: where it is not read.
        ChildLost: where the child gives no answer that can be read.
    """
    header, data = ask({"do": "open", "only": only, "course": False})
    files = file_list(data)
    names = [name for name, _, _ in files]
    contents: dict[str, bytes] = {}
    total = 0
    for place, (name, size, _) in enumerate(files):
        contents[name] = b""
        unread = name.lower().endswith(".pdf") or is_archive_name(name)
        if not unread and size < _LARGEST_DATA and total + size <= _MOST_DATA:
            contents[name] = ask({"do": "content", "file": place})[1]
            total += size
    sources, texts = [], {}
    wanted = sorted(source_names(names), key=lambda name: (name.count("/"), name))
    nodes = 0
    for name in sorted(wanted[:_MOST_SOURCES]):
        document = _document(ask({"do": "source", "file": names.index(name)})[1])
        count = len(document["nodes"]) if isinstance(document.get("nodes"), list) else 0
        nodes += count
        if nodes > _MOST_NODES:
            document |= {"nodes": None, "error": "there is too much Python beside it to be read"}
            nodes -= count
        sources.append(source_of(name, **document))
        texts[name] = _text_facts(document)
    report = _report_among(names, sheet or default_sheet())
    facts = Facts(
        kind=plain(str(header.get("kind")), 20),
        skipped=_counts(header.get("skipped")),
        opened=[name for name in _texts(header.get("opened")) if name in contents],
        unopened={
            pair[0]: pair[1] for pair in map(_texts, _lists(header.get("unopened"))) if pair[1:]
        },
        digests={name: digest for name, _, digest in files},
        texts=texts,
        report=report,
        too_many=max(0, len(wanted) - _MOST_SOURCES),
    )
    if report:
        facts.pdf.update(_pdf_facts(ask, names.index(report), sheet or default_sheet()))
    return HandIn(path, False, contents, sources, "", facts, sheet)


def _report_among(names: list[str], sheet: Sheet) -> str:
    """The PDF that is the report: one that is called as the sheet asks, or the first."""
    pdfs = [n for n in names if n.lower().endswith(".pdf") and "__MACOSX" not in n]
    named = [name for name in pdfs if sheet.names.read(name.rsplit("/", 1)[-1][:-4])]
    return (named or pdfs or [""])[0]


def _pdf_facts(ask: Ask, place: int, sheet: Sheet) -> dict[str, Any]:
    """What is in the PDF; where the child is lost over it, that it takes too long."""
    numbers = [question.number for question in sheet.questions]
    sentences = [FRAME, *(one for some in told_sentences(sheet).values() for one in some)]
    try:
        return ask({"do": "pdf", "file": place, "numbers": numbers, "sentences": sentences})[0]
    except ChildRefused as refused:
        return {"damaged": str(refused)}
    except ChildLost:
        return {"pages": 0, "slow": True}


def _document(data: bytes) -> dict[str, Any]:
    """A JSON object out of what the child sent.

    Raises:
        ChildLost: where it is none.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ChildLost("no-answer") from error
    if not isinstance(document, dict):
        raise ChildLost("no-answer")
    return document


def _text_facts(document: dict[str, Any]) -> TextFacts:
    """What is told of a text, where it has the right form."""
    conflict, absolute = document.get("conflict"), document.get("absolute")
    match absolute:
        case [int(line), str(path)]:
            where = line, plain(path, 60)
        case _:
            where = 0, ""
    sketch = document.get("sketch")
    hashes = [h for h in sketch if isinstance(h, int)] if isinstance(sketch, list) else []
    return TextFacts(
        conflict if isinstance(conflict, int) else 0,
        where,
        frozenset(hashes),
        document.get("missing") is True,
    )


def _lists(value: object) -> list[list[Any]]:
    """The lists in a list out of whatever the child sent."""
    return [item for item in value if isinstance(item, list)] if isinstance(value, list) else []


def _texts(value: object) -> list[str]:
    """The texts in a list out of whatever the child sent."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _counts(value: object) -> dict[str, int]:
    """Names with counts out of whatever the child sent."""
    pairs = [pair for pair in _lists(value) if len(pair) == 2 and isinstance(pair[1], int)]
    return {plain(str(name), 80): count for name, count in pairs}


def _encoded(text: str) -> bytes:
    """A text as a file has it; halves of characters, which UTF-8 does not have, are replaced."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text).encode()
