"""The lock of a study: one process at a time runs it; the system lifts the lock when that ends."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from pathlib import Path
from typing import IO

from digitspan.errors import DigitspanError, StoreError

__all__ = ["LOCK_NAME", "lock_study"]

LOCK_NAME = ".lock"
"""The locked file's name in a study's folder."""


def lock_study(folder: Path) -> IO[str]:
    """Lock a study's folder for this process; the system lifts the lock when the process ends.

    Raises:
        StoreError: naming the process that holds it.
        DigitspanError: where the disk is full.
    """
    path = folder / LOCK_NAME
    try:
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise _not_locked(path, error) from error
    try:
        _lock_file(file)
    except OSError as error:
        holder = _holder(file)
        file.close()
        if error.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK):
            raise _not_locked(path, error) from error
        message = (
            f"the study in {folder} is being run by {holder}; wait for it to end, stop it, or "
            f"choose another --out"
        )
        raise StoreError(message) from error
    # Who holds it is for information only: where the disk takes no more, nobody is named.
    with contextlib.suppress(OSError):
        os.ftruncate(file.fileno(), 0)
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        os.write(file.fileno(), f"process {os.getpid()} since {since}".encode())
    return file


def _holder(file: IO[str]) -> str:
    """Who holds a lock, as it has written there itself."""
    for _ in range(10):
        time.sleep(0.1)  # it may have got the lock only just now, and be about to write its name
        file.seek(0)
        if name := file.read().strip():
            return name
    return "another process"


def _not_locked(path: Path, error: OSError) -> DigitspanError:
    """The error where locking fails for another reason than that the lock is held."""
    message = f"cannot lock {path} ({error.strerror or error}); free some space or choose another"
    return DigitspanError(f"{message} --out")


if sys.platform == "win32":
    import msvcrt

    def _lock_file(file: IO[str]) -> None:
        """Lock a byte far behind the text, so that others can still read who holds the lock."""
        file.seek(2**20)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock_file(file: IO[str]) -> None:
        """Lock the file as a whole; others can still read who holds the lock."""
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
