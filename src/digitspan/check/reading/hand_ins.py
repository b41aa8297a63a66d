"""What is handed in: which paths are one hand-in, which are many, and the files of each."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from digitspan.check.reading.archive import (
    ArchiveRefused,
    read_archive,
    read_folder,
    read_inner_archive,
)
from digitspan.check.reading.source import Source, read_sources
from digitspan.errors import UsageError

__all__ = ["HandIn", "find_hand_ins", "inner_archives", "read_hand_in", "written_out"]

_PARTS = re.compile(
    r"(part|task|code|src|old|backup|notebook|exercise|assignment|sheet|report|fig|plot|result|"
    r"model|data|util|solution|template|__|\.)",
    re.IGNORECASE,
)
_LARGEST_DATA = 2 * 10**6
_MOST_INNER = 4


class HandIn(NamedTuple):
    """The files of one hand-in."""

    path: Path
    """As it was given."""
    is_archive: bool
    files: dict[str, bytes]
    """Name, with forward slashes, to content."""
    sources: list[Source]
    """Its Python and notebooks."""
    refused: str
    """Why it is not read; empty where it is."""


@contextlib.contextmanager
def written_out(hand_in: HandIn) -> Iterator[Path]:
    """A folder with a hand-in's files for the child, removed in the end."""
    with tempfile.TemporaryDirectory(prefix="hand-in-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        written = {source.path: source.text.encode() for source in hand_in.sources}
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


def inner_archives(files: dict[str, bytes]) -> list[str]:
    """The ZIPs among the files."""
    return [name for name in files if name.lower().endswith(".zip") and "__MACOSX" not in name]


def find_hand_ins(paths: list[Path]) -> list[Path]:
    """The hand-ins among these paths: ZIPs, folders that are one, folders of many.

    Raises:
        UsageError: where a path is not there, is neither ZIP nor folder, or holds none.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            message = f"PATH must be a ZIP or a folder; there is no {str(path)[:200]!r}"
            raise UsageError(message)
        if path.is_dir():
            several = _hand_ins_of(path)
            if not several:
                message = (
                    f"PATH must hold hand-ins: a ZIP, Python files or notebooks; there are none "
                    f"in {str(path)[:200]!r}"
                )
                raise UsageError(message)
            found += several
        elif path.suffix.lower() == ".zip":
            found.append(path)
        else:
            message = f"PATH must be a ZIP or a folder; {str(path)[:200]!r} is neither"
            raise UsageError(message)
    return list(dict.fromkeys(found))


def read_hand_in(path: Path) -> HandIn:
    """Read a hand-in; where that is refused, it has no files and a reason."""
    is_archive = path.is_file()
    try:
        files = read_archive(path) if is_archive else read_folder(path)
        if is_archive and not read_sources(files):
            for name in inner_archives(files)[:_MOST_INNER]:
                files.update(read_inner_archive(name, files[name]))
    except ArchiveRefused as error:
        return HandIn(path, is_archive, {}, [], str(error))
    return HandIn(path, is_archive, files, read_sources(files), "")


def _hand_ins_of(folder: Path) -> list[Path]:
    """The hand-ins of a folder: itself, or each of those that lie in it."""
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    archives = [entry for entry in entries if entry.suffix.lower() == ".zip" and entry.is_file()]
    folders = [entry for entry in entries if entry.is_dir() and not entry.is_symlink()]
    own = any(entry.suffix in (".py", ".ipynb") for entry in entries)
    with_code = [entry for entry in folders if _has_code(entry)]
    if own or (with_code and any(_PARTS.match(entry.name) for entry in with_code)):
        return [folder]
    if archives or len(with_code) > 1 or any(_has_archive(entry) for entry in folders):
        many = list(archives)
        for entry in folders:
            if entry in with_code or _has_archive(entry):
                many += _hand_ins_of(entry)
        return sorted(many)
    if len(with_code) == 1:
        several = _hand_ins_of(with_code[0])
        return [folder] if len(several) == 1 else several
    return []


def _has_code(folder: Path) -> bool:
    """Whether there is Python or a notebook anywhere in it."""
    return any(path.suffix in (".py", ".ipynb") for path in folder.rglob("*") if path.is_file())


def _has_archive(folder: Path) -> bool:
    """Whether there is a ZIP directly in it, or one folder further down."""
    return any(folder.glob("*.zip")) or any(folder.glob("*/*.zip"))
