"""Reads a hand-in, ZIP or folder, into memory by rules of its own; nothing is unpacked to disk."""

from __future__ import annotations

import io
import re
import stat
import struct
import time
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import NoReturn

__all__ = ["ArchiveRefused", "read_archive", "read_folder", "read_inner_archive"]

MAX_BYTES = 200 * 10**6
MAX_FILES = 2000
MAX_RATIO = 200
MAX_SECONDS = 10.0
MAX_NAME = 240
_SMALL = 10**6  # below this a high ratio is no bomb: an empty log compresses well
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_SKIPPED = re.compile(r"(^|/)(\.git|\.venv|venv|node_modules|site-packages)(/|$)")


class ArchiveRefused(Exception):
    """A hand-in that is not read; the message says why, in a sentence for its author."""


def read_archive(path: Path) -> dict[str, bytes]:
    """The files of a ZIP, by their names with forward slashes.

    Raises:
        ArchiveRefused: for names that lead elsewhere, links, passwords, sizes that lie, and more
            than 200 MB, 2,000 files, 200 times the packed size, or 10 seconds of unpacking.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            _refuse(f"the ZIP has more than {MAX_BYTES // 10**6} MB")
        return _unpacked(path.read_bytes())
    except OSError as error:
        _refuse(f"the ZIP cannot be read: {error}")


def read_inner_archive(name: str, data: bytes) -> dict[str, bytes]:
    """The files of a ZIP that lies in a ZIP, in a folder of its name.

    Raises:
        ArchiveRefused: as `read_archive`, and for a further ZIP in it.
    """
    try:
        files = _unpacked(data)
    except ArchiveRefused as error:
        _refuse(f"{error}, in {name[:60]!r} inside it")
    folder = name[: -len(".zip")]
    if not any(inner.endswith((".py", ".ipynb")) for inner in files) and any(
        inner.lower().endswith(".zip") for inner in files
    ):
        _refuse("there is a ZIP in a ZIP in the ZIP")
    return {f"{folder}/{inner}": content for inner, content in files.items()}


def _unpacked(data: bytes) -> dict[str, bytes]:
    """The files of a ZIP."""
    deadline = time.monotonic() + MAX_SECONDS
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            _check_entries(entries)
            return _contents(archive, entries, deadline)
    except ArchiveRefused:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, struct.error, OSError, ValueError) as error:
        _refuse(f"the ZIP is damaged: {error}")
    except (NotImplementedError, RuntimeError, OverflowError, MemoryError) as error:
        _refuse(f"the ZIP cannot be unpacked: {error}")


def read_folder(path: Path) -> dict[str, bytes]:
    """The files of a folder, by their names relative to it; links are not followed.

    Raises:
        ArchiveRefused: for more than 200 MB or 2,000 files.
    """
    files: dict[str, bytes] = {}
    total = 0
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path).as_posix()
        if _SKIPPED.search(name) or file.is_symlink() or not file.is_file():
            continue
        if any(parent.is_symlink() for parent in file.parents if parent != path):
            continue
        total += file.stat().st_size
        _check_totals(len(files) + 1, total)
        try:
            files[name] = file.read_bytes()
        except OSError:
            continue
    return files


def _contents(
    archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo], deadline: float
) -> dict[str, bytes]:
    """Unpack the entries in memory, counting what really comes out."""
    files: dict[str, bytes] = {}
    total = 0
    for entry in entries:
        if _name(entry).endswith("/") or _SKIPPED.search(_name(entry)):
            continue
        parts, size = [], 0
        with archive.open(entry) as stream:
            while part := stream.read(1 << 20):
                size += len(part)
                total += len(part)
                if size > entry.file_size:
                    _refuse(f"{_shown(entry)} is larger than the ZIP says")
                _check_totals(len(files), total)
                if time.monotonic() > deadline:
                    _refuse(f"it takes more than {MAX_SECONDS:.0f} seconds to unpack")
                parts.append(part)
        if size != entry.file_size:
            _refuse(f"{_shown(entry)} is smaller than the ZIP says")
        files[str(PurePosixPath(_name(entry)))] = b"".join(parts)
    return files


def _check_entries(entries: list[zipfile.ZipInfo]) -> None:
    """Refuse what the table of contents alone gives away."""
    _check_totals(len(entries), sum(entry.file_size for entry in entries))
    seen: dict[str, str] = {}
    for entry in entries:
        _check_name(entry)
        key = _name(entry).rstrip("/").casefold()
        if key in seen and not _name(entry).endswith("/"):
            _refuse(f"{_shown(entry)} and {seen[key]!r} are the same name on some systems")
        seen[key] = _name(entry)
        mode = entry.external_attr >> 16
        if mode and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_IFMT(mode) == 0):
            _refuse(f"{_shown(entry)} is a link or a device, not a file")
        if entry.flag_bits & 0x1:
            _refuse(f"{_shown(entry)} needs a password")
        packed = max(entry.compress_size, 1)
        if entry.file_size > _SMALL and entry.file_size / packed > MAX_RATIO:
            _refuse(f"{_shown(entry)} unpacks to {entry.file_size // packed} times its size")
    files = {key for key in seen if not seen[key].endswith("/")}
    for key in seen:
        for parent in PurePosixPath(key).parents:
            if str(parent) in files:
                _refuse(f"{seen[key]!r} lies inside {str(parent)!r}, which is a file")
    _check_overlaps(entries)


def _check_name(entry: zipfile.ZipInfo) -> None:
    """Refuse names that are no plain relative path."""
    name = entry.orig_filename
    if "\0" in name or any(ord(c) < 32 for c in name):
        _refuse(f"{_shown(entry)} has control characters in its name")
    if "\\" in name:
        # Some programs on Windows write folders so.
        name = name.replace("\\", "/")
        if ".." in name.split("/") or name.startswith("/") or re.match(r"[A-Za-z]:", name):
            _refuse(f"{_shown(entry)} has backslashes in its name that lead elsewhere")
    if name.startswith("/") or re.match(r"[A-Za-z]:", name):
        _refuse(f"{_shown(entry)} has an absolute path")
    if len(name) > MAX_NAME:
        _refuse(f"{_shown(entry)} has a name of {len(name)} characters, at most {MAX_NAME}")
    parts = name.rstrip("/").split("/")
    if ".." in parts or "." in parts or "" in parts:
        _refuse(f"{_shown(entry)} has a path that leads elsewhere")
    for part in parts:
        if _RESERVED.fullmatch(part):
            _refuse(f"{_shown(entry)} has a name that Windows reserves")
        if part != part.strip() or (part.endswith(".") and part.strip(".")):
            _refuse(
                f"{_shown(entry)} has a name that ends or begins with a space or ends with a dot"
            )


def _check_overlaps(entries: list[zipfile.ZipInfo]) -> None:
    """Refuse entries that share bytes of the archive."""
    end = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if entry.header_offset < end:
            _refuse(f"{_shown(entry)} overlaps another entry")
        # A local header has 30 bytes and the name at least.
        end = entry.header_offset + 30 + len(entry.orig_filename) + entry.compress_size


def _check_totals(count: int, total: int) -> None:
    """Refuse too many files or bytes."""
    if count > MAX_FILES:
        _refuse(f"there are more than {MAX_FILES} files")
    if total > MAX_BYTES:
        _refuse(f"it unpacks to more than {MAX_BYTES // 10**6} MB")


def _name(entry: zipfile.ZipInfo) -> str:
    """An entry's name with forward slashes."""
    return entry.filename.replace("\\", "/")


def _shown(entry: zipfile.ZipInfo) -> str:
    """An entry's name, short and printable."""
    return repr(entry.orig_filename[:60])


def _refuse(reason: str) -> NoReturn:
    """Refuse."""
    raise ArchiveRefused(reason)
