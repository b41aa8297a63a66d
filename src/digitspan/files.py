"""Atomic writes, and files that carry a checksum."""

from __future__ import annotations

import codecs
import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from digitspan.errors import DigitspanError, UsageError

__all__ = [
    "read_text",
    "read_verified",
    "remove_unfinished",
    "require_writable_folder",
    "sha256",
    "writable_folder",
    "write_verified",
    "write_whole",
]

TRIES = 20 if os.name == "nt" else 1
"""Attempts to move a file into place: on Windows another program may hold it for a moment."""

TRY_AGAIN_SECONDS = 0.1
"""Seconds between attempts."""

_UNFINISHED = ".unfinished-"
"""Prefix of the name of a file that is still being written."""

_DIGEST_SIZE = hashlib.sha256().digest_size


def sha256(content: bytes) -> str:
    """The SHA-256 of some bytes, 64 hex digits."""
    return hashlib.sha256(content).hexdigest()


def read_text(path: Path) -> str:
    """The text of a file that a person wrote: UTF-8, with a mark or without, or UTF-16 with one.

    Notepad and PowerShell write these marks.

    Raises:
        OSError: where it cannot be read.
        UsageError: where it is neither.
    """
    content = path.read_bytes()
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"{path} is no text in UTF-8 or UTF-16 ({error}); save it as UTF-8"
        raise UsageError(message) from error


def write_whole(path: Path, content: bytes, *, previous: Path | None = None) -> None:
    """Write a file atomically; one that was there is moved to `previous`, where that is named.

    Raises:
        UsageError: where something is there that is no ordinary file: a device, a pipe, a folder.
        DigitspanError: where the disk is full or the file cannot be written.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        kind = "a folder" if os.path.isdir(path) else "no ordinary file"
        message = f"cannot write {path}: it is {kind}; expected a new file, or one to replace"
        raise UsageError(message)
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=_UNFINISHED)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        if previous is not None:
            _move(path, previous)
        _move(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        reason = error.strerror or error
        message = f"cannot write {path} ({len(content):,} bytes): {reason}; nothing of it was left"
        raise DigitspanError(message) from error


def _move(source: Path | str, target: Path) -> None:
    """Give a file another name; where another program holds it, try again for two seconds."""
    for left in reversed(range(TRIES)):
        try:
            os.replace(source, target)
            return
        except PermissionError:
            if not left:
                raise
            time.sleep(TRY_AGAIN_SECONDS)


def remove_unfinished(folder: Path) -> None:
    """Remove what a process that was killed has left half written in a folder."""
    for path in folder.glob(f"{_UNFINISHED}*"):
        with contextlib.suppress(OSError):
            path.unlink()


def write_verified(path: Path, content: bytes) -> None:
    """Write a file with its SHA-256 in front; a whole one that was there is kept as `.previous`.

    Raises:
        DigitspanError: where the disk is full or the file cannot be written.
    """
    # A damaged one must not take the place of the whole one before it.
    previous = _previous(path) if _verified(path) is not None else None
    write_whole(path, hashlib.sha256(content).digest() + content, previous=previous)


def read_verified(path: Path) -> tuple[bytes | None, bool]:
    """Read what `write_verified` wrote, or the previous one where it is damaged.

    Returns:
        The content, None where neither file is whole, and whether a damaged file was met.
    """
    damaged = False
    for candidate in (path, _previous(path)):
        content = _verified(candidate)
        if content is not None:
            return content, damaged
        damaged = damaged or candidate.exists()
    return None, damaged


def _verified(path: Path) -> bytes | None:
    """What `write_verified` wrote to a file; None where it is not there, or damaged."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    digest, content = data[:_DIGEST_SIZE], data[_DIGEST_SIZE:]
    return content if hashlib.sha256(content).digest() == digest else None


def _previous(path: Path) -> Path:
    """Where the file before is kept."""
    return path.with_name(path.name + ".previous")


def require_writable_folder(folder: Path, option: str) -> None:
    """Make a folder and its parents, or none of them and say in one sentence why.

    Raises:
        UsageError: where it is a file, or cannot be made or written into.
    """
    missing = _missing(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        _remove_empty(missing)
        reason = "it is a file" if os.path.isfile(folder) else error.strerror or str(error)
        message = (
            f"{option} must be a folder that can be written; got {str(folder)[:200]!r}: "
            f"{reason}; choose another with {option}"
        )
        raise UsageError(message) from error


@contextlib.contextmanager
def writable_folder(folder: Path, option: str) -> Iterator[None]:
    """Make a folder for what is done inside; where that fails, nothing empty is left of it.

    Raises:
        UsageError: as `require_writable_folder`.
    """
    missing = _missing(folder)
    require_writable_folder(folder, option)
    try:
        yield
    except BaseException:
        _remove_empty(missing)
        raise


def _missing(folder: Path) -> list[Path]:
    """A folder and its parents, as far as they are not there, innermost first."""
    return [path for path in (folder, *folder.parents) if not os.path.lexists(path)]


def _remove_empty(folders: list[Path]) -> None:
    """Remove folders, innermost first, as far as nothing lies in them."""
    for path in folders:
        with contextlib.suppress(OSError):
            path.rmdir()


def _umask() -> int:
    """The file mode bits that new files do without (there is no way to ask but to set)."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
