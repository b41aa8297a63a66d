"""Reads a study: its configuration, its rows and the weights of its runs."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from digitspan.cells.own import is_own, source_of
from digitspan.errors import StoreError, UsageError
from digitspan.runs.config import RunConfig
from digitspan.runs.folder import CONFIG, WEIGHTS, read_config, read_record, read_snapshots
from digitspan.runs.record import RunRecord
from digitspan.runs.weights import read_weights
from digitspan.study.config import StudyConfig
from digitspan.study.plan import MAX_RUNS, counted, size
from digitspan.study.store import STORE_NAME, Row, Store, weights_path
from digitspan.tasks import is_own_task

__all__ = ["SavedRun", "Study", "is_study", "read_saved_run", "read_study"]


@dataclasses.dataclass(frozen=True)
class Study:
    """What a study's folder held when it was read."""

    path: Path
    """The store."""
    rows: Mapping[str, Row]
    """Its undamaged rows, by key."""
    damaged: int
    """How many rows were left out, because their hash does not match."""
    settings: str | None
    """The configuration as JSON; None where it is missing or damaged."""
    trust: bool = False
    """Whether its reader lets the code of its cells of one's own be run."""

    def __repr__(self) -> str:
        return f"<Study {str(self.path)!r}: {len(self.rows)} runs>"

    @property
    def folder(self) -> Path:
        """The folder of the store, the figures and the weights."""
        return self.path.parent

    @functools.cached_property
    def config(self) -> StudyConfig:
        """What the study asks for.

        Raises:
            StoreError: where the store does not say.
        """
        if self.settings is None:
            message = (
                f"{self.path} does not say what study it is (the entry is missing or damaged); "
                f"run `digitspan study` on it again with the same options"
            )
            raise StoreError(message)
        try:
            config = StudyConfig.from_canonical(self.settings)
            if (runs := size(config)) > MAX_RUNS:  # to plan them would take for ever
                message = f"it asks for {runs:,} runs, more than {MAX_RUNS:,}"
                raise ValueError(message)
            return config
        except (ValueError, TypeError, AttributeError, RecursionError, UsageError) as error:
            message = (
                f"{self.path} does not say what study it is ({error}); run `digitspan study` on "
                f"it again with the same options"
            )
            raise StoreError(message) from error

    @property
    def counted(self) -> frozenset[str]:
        """The keys of the runs that its tables count.

        Raises:
            StoreError: where the store does not say what study it is.
        """
        return counted(self.config, {key: row.record for key, row in self.rows.items()})

    def require_undamaged(self) -> Study:
        """This study, unless rows of it are damaged.

        Raises:
            StoreError: with their number, and the command that does their runs again.
        """
        if self.damaged:
            message = (
                f"{self.damaged} rows of {self.path} are damaged; `digitspan study` with its "
                f"options and --out {self.folder} does their runs again"
            )
            raise StoreError(message)
        return self

    def weights(self, record: RunRecord) -> bytes | None:
        """The weights that the study keeps of a run; None where it keeps none.

        Raises:
            UsageError: where they are damaged.
        """
        return read_weights(weights_path(self.folder, record.config.key), record)

    def has_weights(self, record: RunRecord) -> bool:
        """Whether the study keeps the network of a run."""
        return weights_path(self.folder, record.config.key).is_file()

    def is_current(self, config: RunConfig) -> bool:
        """Whether a run was made with the source of its cell and task that the study asks for."""
        if self.settings is None:
            return True
        facts = self.config.task_facts
        return (config.source, config.task_facts) == (self.config.source(config.cell), facts)

    def untrusted(self, config: RunConfig) -> str:
        """Why the code of a run's cell may not be run here, a sentence; empty where it may.

        The reader of a study must allow it, and it must be the code that the row was made with:
        a study may be somebody else's.
        """
        return _untrusted(config, trust=self.trust)

    def row(self, key: str) -> Row:
        """The row of a run.

        Raises:
            UsageError: where there is none of that key.
        """
        if key not in self.rows:
            message = (
                f"no run {key[:80]!r} among the {len(self.rows)} of {self.folder}; the keys are "
                f"the first column of `digitspan export {self.folder}`"
            )
            raise UsageError(message)
        return self.rows[key]

    def saved_run(self, record: RunRecord) -> SavedRun:
        """A run of the study with its weights.

        Raises:
            UsageError: where it keeps none (runs of the design), or they are damaged, or the code
                of its cell may not be run.
        """
        if why := self.untrusted(record.config):
            raise UsageError(why)
        weights = self.weights(record)
        if weights is None:
            path = weights_path(self.folder, record.config.key)
            roles = {row.role for row in self.rows.values() if self.has_weights(row.record)}
            which = f"of some of the role {' or '.join(sorted(roles))}" if roles else "of none"
            message = (
                f"{self.folder} keeps no weights of the run {record.config.key} "
                f"({record.config.run_id}): expected {path}; of its runs it has those {which} "
                f"(`digitspan export {self.folder}` has every run's role)"
            )
            raise UsageError(message)
        return SavedRun(record, weights, self)


class SavedRun(NamedTuple):
    """A finished run with its weights."""

    record: RunRecord
    """How it ended."""
    weights: bytes
    """The network's weights as a safetensors file."""
    study: Study | None
    """The study it belongs to; None for a single run."""
    snapshots: bytes = b""
    """The network on its way through training (`Finished.snapshots`); empty: none are kept."""

    def __repr__(self) -> str:
        return f"<SavedRun {self.record!r}, {len(self.weights):,} bytes of weights>"

    @property
    def config(self) -> RunConfig:
        """What was run."""
        return self.record.config


def is_study(path: Path) -> bool:
    """Whether this is a study's folder, or its store."""
    return path.is_file() or (path / STORE_NAME).is_file()


def read_study(path: Path, *, trust: bool = False) -> Study:
    """Read a study, given its folder or the store in it.

    No code of the study's is run, now or when its runs are looked into, unless `trust` says so.

    Raises:
        UsageError: where there is no study.
        StoreError: where the file is not a store of ours.
    """
    with Store.open(path) as store:
        settings, rows = store.value("config"), store.rows()
        return Study(store.path, rows, store.damaged, settings, trust)


def read_saved_run(
    name: str, *, trust: bool = False, check: Callable[[RunConfig], None] = lambda config: None
) -> SavedRun:
    """The run in a folder, or the run of a study that `STUDY:KEY` names.

    Args:
        name: what names it.
        trust: whether the code of a cell of one's own may be run, if it is that of its row.
        check: refuses a run that is of no use whether or not its code may be run.

    Raises:
        UsageError: where there is none, or its weights are missing or damaged, or its code may not
            be run.
    """
    folder, _, key = name.rpartition(":")
    if (Path(name) / CONFIG).is_file():
        return _of_folder(Path(name), check, trust=trust)
    if is_study(Path(name)):
        message = (
            f"{name} is a study, and one run of it is meant here: {name}:KEY; the keys are the "
            f"first column of `digitspan export {name}`"
        )
        raise UsageError(message)
    if not folder or not is_study(Path(folder)):
        message = (
            f"no run at {name[:200]!r}: expected a run's folder with {CONFIG} in it, a study's "
            f"folder, or STUDY:KEY; `digitspan train` and `digitspan study` make them"
        )
        raise UsageError(message)
    study = read_study(Path(folder), trust=trust)
    record = study.row(key).record
    check(record.config)
    return study.saved_run(record)


def _untrusted(config: RunConfig, *, trust: bool) -> str:
    """Why the code of a run's cell or task may not be run, a sentence; empty where it may."""
    if is_own_task(config.task):
        source = config.task_facts.partition(" ")[0]
        if why := _untrusted_code(config.task, source, trust=trust, kind="task"):
            return why
    if is_own(config.cell):
        return _untrusted_code(config.cell, config.source, trust=trust, kind="cell")
    return ""


def _untrusted_code(cell: str, source: str, *, trust: bool, kind: str) -> str:
    """Why the code of `module:Class` may not be run, a sentence; empty where it may."""
    if not trust:
        return (
            f"{cell} is not digitspan's: its code is run only where the call allows it; --trust "
            f"does, if it is the code that the run was made with"
        )
    if not source:
        return (
            f"the runs of {cell} do not say which code they were made with, as rows of an earlier "
            f"digitspan do not; run them again"
        )
    try:
        found = source_of(cell, kind=kind).digest
    except UsageError as error:
        return str(error)
    if found != source:
        return (
            f"the code of {cell} is not the one that its run was made with (its hash is now "
            f"{found}, and was {source}); put the old file back, or run it again"
        )
    return ""


def _of_folder(folder: Path, check: Callable[[RunConfig], None], *, trust: bool) -> SavedRun:
    """A run that `digitspan train` has kept."""
    finished = read_record(folder) if read_config(folder) else None
    if finished is not None:
        check(finished[0].config)
    if finished is not None and (why := _untrusted(finished[0].config, trust=trust)):
        raise UsageError(why)
    weights = read_weights(folder / WEIGHTS, finished[0]) if finished else None
    if finished is None or weights is None:
        message = (
            f"the run in {folder} is not finished: it has no {WEIGHTS} yet; "
            f"`digitspan train` with the same options goes on with it"
        )
        raise UsageError(message)
    return SavedRun(finished[0], weights, None, read_snapshots(folder))
