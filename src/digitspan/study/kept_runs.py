"""Runs that were kept, with their weights: in a run's folder, or in a study."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from digitspan.errors import UsageError
from digitspan.files import sha256
from digitspan.runs.config import RunConfig
from digitspan.runs.folder import CONFIG, WEIGHTS, read_config, read_record
from digitspan.runs.record import RunRecord
from digitspan.study.store import STORE_NAME, Row, Store, folder_of, weights_path

__all__ = ["KeptRun", "can_show", "find_weights", "is_study", "named_run", "rows_of", "weights_of"]


class KeptRun(NamedTuple):
    """A run with its weights."""

    config: RunConfig
    """What was run."""
    record: RunRecord
    """How it ended."""
    weights: bytes
    """The network's weights as a safetensors file."""
    study: Path | None
    """The store of the study it belongs to; None for a single run."""


def is_study(path: Path) -> bool:
    """Whether this is a study's folder, or its store."""
    return path.is_file() or (path / STORE_NAME).is_file()


def named_run(name: str) -> KeptRun:
    """The run in a folder, or the run of a study that `STUDY:KEY` names.

    Raises:
        UsageError: where there is none.
    """
    folder, _, key = name.rpartition(":")
    if (Path(name) / CONFIG).is_file():
        run = _of_folder(Path(name))
    elif folder and is_study(Path(folder)):
        row = _row(Path(folder), key)
        run = KeptRun(
            row.record.config, row.record, weights_of(Path(folder), row.record), Path(folder)
        )
    else:
        message = (
            f"no run at {name[:200]!r}: expected a run's folder with {CONFIG} in it, a study's "
            f"folder, or STUDY:KEY; `digitspan train` and `digitspan study` make them"
        )
        raise UsageError(message)
    return run


def _of_folder(folder: Path) -> KeptRun:
    """A run that `digitspan train` has kept.

    Raises:
        UsageError: where its weights are not there, or are not those of its record.
    """
    config, finished = read_config(folder), read_record(folder)
    path = folder / WEIGHTS
    if config is None or finished is None or not path.is_file():
        message = (
            f"the run in {folder} is not finished: it has no {WEIGHTS} yet; "
            f"`digitspan train` with the same options goes on with it"
        )
        raise UsageError(message)
    return KeptRun(config, finished[0], _whole(path, finished[0]), None)


def _row(study: Path, key: str) -> Row:
    """One row of a study.

    Raises:
        UsageError: where there is none of that key.
    """
    rows = rows_of(study)
    if key not in rows:
        message = (
            f"no run {key[:80]!r} among the {len(rows)} of {study}; the keys are the first column "
            f"of `digitspan export {study}`"
        )
        raise UsageError(message)
    return rows[key]


def rows_of(study: Path) -> Mapping[str, Row]:
    """A study's rows, by key.

    Raises:
        UsageError: where there is no study.
    """
    with Store.open(study) as store:
        return store.rows()


def find_weights(study: Path, record: RunRecord) -> bytes | None:
    """The weights that a study keeps of a run; None where it keeps none.

    Raises:
        UsageError: where they are damaged.
    """
    path = _weights_path(study, record)
    return _whole(path, record) if path.is_file() else None


def weights_of(study: Path, record: RunRecord) -> bytes:
    """The weights that a study keeps of a run.

    Raises:
        UsageError: where it keeps none (tuning runs), or they are damaged.
    """
    weights = find_weights(study, record)
    if weights is None:
        path = _weights_path(study, record)
        message = (
            f"{study} keeps no weights of the run {record.config.key} ({record.config.run_id}): "
            f"expected {path}; choose a final run, tuning runs keep none"
        )
        raise UsageError(message)
    return weights


def _weights_path(study: Path, record: RunRecord) -> Path:
    return weights_path(folder_of(study), record.config.key)


def _whole(path: Path, record: RunRecord) -> bytes:
    """A file of weights whose hash stands in the record.

    Raises:
        UsageError: where it is another.
    """
    weights = path.read_bytes()
    if record.weights_sha256 not in (None, sha256(weights)):
        message = (
            f"{path} is damaged: its SHA-256 is not the one in the run's record; run it again"
        )
        raise UsageError(message)
    return weights


def can_show(study: Path, record: RunRecord) -> bool:
    """Whether a run of a study is one to show: everything trained, its weights kept."""
    return (
        record.config.task == "palindrome"
        and record.config.trained == "all"
        and record.accuracy is not None
        and _weights_path(study, record).is_file()
    )
