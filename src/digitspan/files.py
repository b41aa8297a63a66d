"""Files that are whole or not there, and files that know whether they are damaged."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

from digitspan.errors import DigitspanError, UsageError

__all__ = ["read_verified", "require_writable_folder", "sha256", "write_verified", "write_whole"]

_DIGEST_SIZE = hashlib.sha256().digest_size


def sha256(content: bytes) -> str:
    """The SHA-256 of some bytes, 64 hex digits."""
    return hashlib.sha256(content).hexdigest()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that whoever looks, at whatever moment, sees the old one or the new one.

    Raises:
        DigitspanError: where the disk is full or the file cannot be written.
    """
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:50]}.")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        reason = error.strerror or error
        message = f"cannot write {path} ({len(content):,} bytes): {reason}; nothing of it was left"
        raise DigitspanError(message) from error


def write_verified(path: Path, content: bytes) -> None:
    """Write a file with its SHA-256 in front, and keep the one that was there as `.previous`.

    Raises:
        DigitspanError: where the disk is full or the file cannot be written.
    """
    if path.exists():
        os.replace(path, path.with_name(path.name + ".previous"))
    write_whole(path, hashlib.sha256(content).digest() + content)


def read_verified(path: Path) -> tuple[bytes | None, bool]:
    """Read what `write_verified` wrote, or the previous one where it is damaged.

    Returns:
        The content, None where neither file is whole, and whether a damaged file was met.
    """
    damaged = False
    for candidate in (path, path.with_name(path.name + ".previous")):
        try:
            data = candidate.read_bytes()
        except FileNotFoundError:
            continue
        digest, content = data[:_DIGEST_SIZE], data[_DIGEST_SIZE:]
        if hashlib.sha256(content).digest() == digest:
            return content, damaged
        damaged = True
    return None, damaged


def require_writable_folder(folder: Path, option: str) -> None:
    """Make a folder and its parents, or say in one sentence why that cannot be.

    Raises:
        UsageError: where it is a file, or cannot be made or written into.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = "it is a file" if folder.is_file() else error.strerror or str(error)
        message = (
            f"{option} must be a folder that can be written; got {str(folder)[:200]!r}: "
            f"{reason}; choose another with {option}"
        )
        raise UsageError(message) from error


def _umask() -> int:
    """The file mode bits that new files do without (there is no way to ask but to set)."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
