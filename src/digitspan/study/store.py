"""The store of a study: one SQLite file, one row per run, a hash on every row.

Only the process that runs the study writes; it holds a lock of the operating system that dies
with it. Whoever reads (`show`, `export`) needs no lock. A row whose hash does not match what it
says is left out and counted.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

from digitspan import __version__
from digitspan.errors import DigitspanError, StoreError, UsageError, printable
from digitspan.runs.config import RunConfig
from digitspan.runs.ranges import is_count, is_finite
from digitspan.runs.record import CurvePoint, RunRecord
from digitspan.study.lock import LOCK_NAME, lock_study

__all__ = ["STORE_NAME", "Row", "Store", "Timing", "find_store", "weights_path"]

STORE_NAME = "study.db"
"""The store's name in a study's folder."""

_APPLICATION_ID = 0x64737061  # "dspa": says that the file is ours
_SCHEMA_VERSION = 2

_SCHEMA = """
CREATE TABLE study (name TEXT PRIMARY KEY, value TEXT NOT NULL, sha256 TEXT NOT NULL);
CREATE TABLE runs (
    key TEXT PRIMARY KEY,    -- RunConfig.key
    config TEXT NOT NULL,    -- RunConfig.canonical
    result TEXT NOT NULL,    -- RunRecord, without config and curve, as JSON
    curve TEXT NOT NULL,     -- CurvePoints as JSON
    timing TEXT NOT NULL,    -- Timing as JSON: differs from one time to the next
    role TEXT NOT NULL,      -- what the run was for: one of plan.ROLES
    sha256 TEXT NOT NULL     -- of the columns above
) WITHOUT ROWID;
"""


class Timing(NamedTuple):
    """What differs when the same run is done twice."""

    seconds: float
    """Wall time of the run, from a monotonic clock."""
    finished: float
    """When its row was written, seconds since 1970 (for information only)."""
    host: str
    """The machine's name."""
    attempts: int
    """How often it was begun in this study."""


class Row(NamedTuple):
    """One run as it is kept."""

    record: RunRecord
    timing: Timing
    role: str
    """What it was for, one of `digitspan.study.plan.ROLES`."""


class Store:
    """A study's rows. Use `Store.create` to write and `Store.open` to read."""

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        lock: IO[str] | None,
        made: Sequence[Path] = (),
    ) -> None:
        self.path = path
        self._connection = connection
        self._lock = lock
        self._made = made
        self.damaged = 0
        """Rows left out by the last `rows`, because their hash did not match."""
        self._file = _identity(path)

    @classmethod
    def create(cls, folder: Path, *, durable: bool = False) -> Self:
        """Open the store in a study's folder to write, making it where it is not there.

        With `durable` every row waits for the disk, so that not even a power cut loses one.

        Raises:
            StoreError: where another process writes to it, or it is not a store of ours.
            DigitspanError: where the disk is full.
        """
        path = folder / STORE_NAME
        made = [file for file in (path, folder / LOCK_NAME) if not os.path.lexists(file)]
        with contextlib.ExitStack() as opened:
            lock = opened.enter_context(lock_study(folder))
            opened.callback(_remove, made)
            connection = _connect(f"{path.resolve().as_uri()}?mode=rwc", path)
            opened.callback(connection.close)
            with _sentences(path):
                if _tables(connection):
                    _check(connection, path)  # before anything is changed in it
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
                if not _tables(connection):
                    _make(connection)
            opened.pop_all()
        return cls(path, connection, lock, made)

    @classmethod
    def open(cls, study: Path) -> Self:
        """Open a study's store to read, given its folder or the file itself.

        Raises:
            UsageError: where there is none.
            StoreError: where it is not a store of ours.
        """
        path = find_store(study)
        # Without its log the file does not change, and may lie where nothing can be written.
        has_log = path.with_name(path.name + "-wal").exists()
        mode = "mode=ro" if has_log else "mode=ro&immutable=1"
        with contextlib.ExitStack() as opened:
            connection = _connect(f"{path.resolve().as_uri()}?{mode}", path)
            opened.callback(connection.close)
            with _sentences(path):
                _check(connection, path)
            opened.pop_all()
        return cls(path, connection, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the lock goes with it."""
        self._connection.close()
        if self._lock is not None and not self._lock.closed:
            with contextlib.suppress(OSError):
                self._lock.truncate(0)  # nobody is named any more
            self._lock.close()

    def discard(self) -> None:
        """Close it and leave the folder as it was before `create`; rows are never removed.

        Where the file was moved or removed, nothing is: what lies there now is somebody else's.
        """
        made = list(self._made) if _identity(self.path) == self._file else []
        if self.path in made and self.rows():
            made.remove(self.path)
        self._connection.close()
        _remove(made)  # while the lock is ours
        self.close()

    def require_in_place(self) -> None:
        """Refuse to go on where the file was moved or removed since it was opened.

        SQLite goes on writing to a file that has no name any more.

        Raises:
            DigitspanError: with where it was.
        """
        if _identity(self.path) != self._file:
            message = (
                f"{self.path} was moved or removed while the study ran: what ends from now on "
                f"cannot be kept; put it back and call again, or call again to begin anew"
            )
            raise DigitspanError(message)

    def add(self, row: Row) -> None:
        """Keep a finished run; once this returns, killing the process does not lose it.

        Raises:
            DigitspanError: where the disk is full, or the file is damaged, moved or removed.
        """
        self.require_in_place()
        columns = _columns(row)
        with _sentences(self.path), _transaction(self._connection):
            query = "SELECT * FROM runs WHERE key = ?"
            before = [_row(row) for row in self._read(query, columns[0])]
            count = self._whole_rows() + (before in ([], [None]))
            self._insert(columns)
            self.set_value(_WHOLE_ROWS, str(count))

    def replace_all(self, rows: Mapping[str, Row], config: str) -> None:
        """Keep these rows and no others, and the study's configuration: all of it or nothing.

        Raises:
            DigitspanError: where the disk is full or the file is damaged.
        """
        with _sentences(self.path), _transaction(self._connection):
            self._connection.execute("DELETE FROM runs")
            for row in rows.values():
                self._insert(_columns(row))
            self.set_value(_WHOLE_ROWS, str(len(rows)))
            self.set_value("config", config)

    def _insert(self, columns: tuple[str, ...]) -> None:
        """Write a row."""
        query = "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?)"
        self._connection.execute(query, (*columns, _digest(*columns)))

    def rows(self) -> dict[str, Row]:
        """All undamaged rows, by key, sorted; `damaged` counts the others."""
        rows: dict[str, Row] = {}
        self.damaged = 0
        expected = self._whole_rows()  # first: whoever writes meanwhile only adds
        for columns in self._read("SELECT * FROM runs ORDER BY key"):
            row = _row(columns)
            if row is None:
                self.damaged += 1
            else:
                rows[row.record.config.key] = row
        # A page can be damaged so that rows are gone without SQLite noticing.
        self.damaged = max(self.damaged, expected - len(rows))
        return rows

    def recount(self, rows: Mapping[str, Row]) -> None:
        """Set the expected number of rows, so that damaged ones no longer count as missing."""
        self.set_value(_WHOLE_ROWS, str(len(rows)))

    def set_value(self, name: str, value: str) -> None:
        """Keep a named text, such as the study's configuration."""
        with _sentences(self.path):
            columns = (name, value, _digest(name, value))
            self._connection.execute("INSERT OR REPLACE INTO study VALUES (?, ?, ?)", columns)

    def value(self, name: str) -> str | None:
        """The named text; None where there is none or it is damaged."""
        for row in self._read("SELECT name, value, sha256 FROM study"):
            if row[0] == name and _digest(*map(str, row[:2])) == row[2]:
                return str(row[1])
        return None

    def _whole_rows(self) -> int:
        """How many whole rows there are, by a count that is kept beside them."""
        return int(self.value(_WHOLE_ROWS) or 0)

    def _read(self, query: str, *values: str) -> Iterator[tuple[Any, ...]]:
        """The rows of a query, as far as the file is whole."""
        try:
            yield from self._connection.execute(query, values)
        except (sqlite3.Error, sqlite3.Warning, UnicodeDecodeError, OverflowError, MemoryError):
            # A page is damaged: how much is behind it is not known, but that something is.
            self.damaged += 1


def _remove(files: Sequence[Path]) -> None:
    """Remove files that are there; a system that does not remove open ones keeps those."""
    for file in files:
        with contextlib.suppress(OSError):
            file.unlink()


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file a name stands for; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def weights_path(folder: Path, key: str) -> Path:
    """Where a study keeps a run's weights."""
    return folder / "weights" / f"{key}.safetensors"


def find_store(study: Path) -> Path:
    """The store of a study, given its folder or the file itself.

    Raises:
        UsageError: where there is none.
    """
    path = study / STORE_NAME if os.path.isdir(study) else study
    if not os.path.isfile(path):  # unlike Path.is_file, this has no objection to a long name
        message = (
            f"no study at {str(study)[:200]!r}: expected a folder with {STORE_NAME} in it; "
            f"`digitspan study quick --out FOLDER` makes one"
        )
        raise UsageError(message)
    return path


_WHOLE_ROWS = "whole rows"
"""Under this name the store keeps how many rows it has."""

_RESULT_FIELDS = tuple(
    name for name in RunRecord.__dataclass_fields__ if name not in ("config", "curve")
)


def _columns(row: Row) -> tuple[str, ...]:
    """A row's columns but for the hash."""
    record = row.record
    document = record.to_json(curve=False)
    result = {name: document[name] for name in _RESULT_FIELDS}
    return (
        record.config.key,
        record.config.canonical,
        json.dumps(result, sort_keys=True),
        json.dumps([list(point) for point in record.curve]),
        json.dumps(row.timing._asdict()),
        row.role,
    )


def _row(columns: tuple[Any, ...]) -> Row | None:
    """One row from its columns; None where the hash does not match."""
    *content, digest = columns
    if not all(isinstance(text, str) for text in content) or _digest(*content) != digest:
        return None
    key, config_text, result_text, curve_text, timing_text, role = content
    try:
        config = RunConfig.from_canonical(config_text)
        result: dict[str, Any] = json.loads(result_text)
        curve = tuple(CurvePoint(*point) for point in json.loads(curve_text))
        record = RunRecord.of_result(config, curve, result).checked()
        timing = _checked(Timing(**json.loads(timing_text)))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, UsageError):
        return None  # whole, but what it says is nothing that this version knows, or cannot be
    return Row(record, timing, printable(role)) if config.key == key else None


def _checked(timing: Timing) -> Timing:
    """A row's timing.

    Raises:
        ValueError: where a value is of a wrong type or out of its range.
    """
    numbers = (timing.seconds, timing.finished)
    right = all(is_finite(number) and number >= 0 for number in numbers)
    right = right and is_count(timing.attempts) and timing.attempts >= 1
    if not right or not isinstance(timing.host, str):
        message = f"no run took {timing!r:.80}"
        raise ValueError(message)
    return timing._replace(host=printable(timing.host))


def _digest(*columns: str) -> str:
    """SHA-256 over some texts and the borders between them."""
    text = json.dumps(columns)
    return hashlib.sha256(text.encode()).hexdigest()


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All that is written inside, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _connect(uri: str, path: Path) -> sqlite3.Connection:
    """A connection that commits every statement by itself."""
    with _sentences(path):
        return sqlite3.connect(uri, uri=True, isolation_level=None)


def _make(connection: sqlite3.Connection) -> None:
    """Lay out a new store."""
    connection.executescript(
        f"BEGIN; PRAGMA application_id = {_APPLICATION_ID}; "
        f"PRAGMA user_version = {_SCHEMA_VERSION}; {_SCHEMA} COMMIT;"
    )


def _tables(connection: sqlite3.Connection) -> int:
    """How many tables and the like a file has."""
    return int(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a file of another program, or of a newer version of this one."""
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if (application, version) == (0, 0) and not _tables(connection):
        message = f"{path} is empty: its study was not begun yet; `digitspan study` begins it"
        raise StoreError(message)
    if application != _APPLICATION_ID:
        message = f"{path} is not a study of digitspan but a database of another program"
        raise StoreError(message)
    if version < _SCHEMA_VERSION:
        message = (
            f"{path} is a study of digitspan's first edition, which ended runs before their "
            f"budget: whether they would have been solved is not known; run the study again with "
            f"another --out"
        )
        raise StoreError(message)
    if version > _SCHEMA_VERSION:
        message = (
            f"{path} was written by a newer version of digitspan (its layout is {version}, this "
            f"version {__version__} knows {_SCHEMA_VERSION}); install the newer one to read it"
        )
        raise StoreError(message)


@contextlib.contextmanager
def _sentences(path: Path) -> Iterator[None]:
    """Say in one sentence what SQLite says."""
    try:
        yield
    except sqlite3.Error as error:
        said = str(error)
        if "not a database" in said or "malformed" in said or "no such table" in said:
            message = (
                f"{path} is not a study of digitspan, or it is damaged ({said}); "
                f"move it away to begin anew"
            )
            raise StoreError(message) from error
        if "locked" in said:
            message = f"another program holds {path}; close it and call again"
            raise StoreError(message) from error
        if "full" in said:
            message = (
                f"the disk is full: {path} takes no more rows ({_free_bytes(path)} bytes free); "
                f"all rows kept so far are safe; free some space and call again"
            )
            raise DigitspanError(message) from error
        message = f"cannot use {path} ({said}); all rows kept so far are safe; call again"
        raise DigitspanError(message) from error


def _free_bytes(path: Path) -> str:
    """Free space where a file is, in bytes."""
    try:
        return f"{shutil.disk_usage(path.parent).free:,}"
    except OSError:
        return "few"
