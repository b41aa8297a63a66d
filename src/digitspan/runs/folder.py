"""The folder of a single run: configuration, record, curve and weights as files."""

from __future__ import annotations

import json
from pathlib import Path

from digitspan.errors import UsageError
from digitspan.files import sha256, write_whole
from digitspan.runs.config import RunConfig
from digitspan.runs.ranges import is_finite
from digitspan.runs.record import CurvePoint, Finished, RunRecord

__all__ = [
    "MOST_SNAPSHOTS",
    "MOST_SNAPSHOT_BYTES",
    "read_config",
    "read_record",
    "read_snapshots",
    "remove_run",
    "write_config",
    "write_finished",
]

CONFIG, RECORD, CURVE, WEIGHTS = "config.json", "record.json", "curve.csv", "weights.safetensors"
SNAPSHOTS = "snapshots.safetensors"
CHECKPOINT = "checkpoint"

MOST_SNAPSHOTS = 20
"""Snapshots of a run that are kept."""

MOST_SNAPSHOT_BYTES = 64_000_000
"""Bytes of weights in them."""


def write_config(folder: Path, config: RunConfig) -> None:
    """Keep what is going to be run.

    Raises:
        DigitspanError: where the disk is full.
    """
    text = json.dumps(json.loads(config.canonical), indent=1)
    write_whole(folder / CONFIG, f"{text}\n".encode())


def read_config(folder: Path) -> RunConfig | None:
    """The configuration kept in a folder; None where there is none.

    Raises:
        UsageError: where it is damaged.
    """
    try:
        return RunConfig.from_canonical((folder / CONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, RecursionError, UsageError) as error:
        message = (
            f"{folder / CONFIG} is not the configuration of a run ({error}); "
            f"move the folder away, or choose another --out"
        )
        raise UsageError(message) from error


def write_finished(folder: Path, finished: Finished, seconds: float) -> None:
    """Keep a finished run and the seconds it took; the record comes last and says all is there.

    Raises:
        DigitspanError: where the disk is full.
    """
    lines = [",".join(CurvePoint._fields)]
    lines += [",".join(f"{value:.7g}" for value in point) for point in finished.record.curve]
    write_whole(folder / CURVE, ("\n".join(lines) + "\n").encode())
    write_whole(folder / WEIGHTS, finished.weights)
    document = finished.record.to_json() | {"seconds": seconds}
    (folder / SNAPSHOTS).unlink(missing_ok=True)  # of a training that was given up
    if finished.snapshots:
        write_whole(folder / SNAPSHOTS, finished.snapshots)
        document |= {"snapshots_sha256": sha256(finished.snapshots)}
    write_whole(folder / RECORD, f"{json.dumps(document, indent=1)}\n".encode())


def read_record(folder: Path) -> tuple[RunRecord, float] | None:
    """The record kept in a folder and the seconds it took; None where the run is not finished.

    Raises:
        UsageError: where it is damaged.
    """
    try:
        document = dict(json.loads((folder / RECORD).read_text(encoding="utf-8")))
        seconds = document.pop("seconds")
        document.pop("snapshots_sha256", None)
        if not is_finite(seconds) or seconds < 0:
            message = f"seconds cannot be {seconds!r:.80}"
            raise ValueError(message)
        return RunRecord.from_json(document).checked(), float(seconds)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError, UsageError) as error:
        message = f"{folder / RECORD} is not the record of a run ({error}); choose another --out"
        raise UsageError(message) from error


def read_snapshots(folder: Path) -> bytes:
    """The snapshots of a finished run, a safetensors file; empty where it has none.

    Raises:
        UsageError: where they are not those of the record.
    """
    wanted = json.loads((folder / RECORD).read_text(encoding="utf-8")).get("snapshots_sha256")
    if wanted is None:
        return b""
    path = folder / SNAPSHOTS
    snapshots = path.read_bytes() if path.is_file() else b""
    if sha256(snapshots) != wanted:
        state = "is damaged" if snapshots else "is missing"
        message = (
            f"{path} {state}: its SHA-256 is in the run's record; restore it, or train the run "
            f"again with --snapshots --overwrite"
        )
        raise UsageError(message)
    return snapshots


def remove_run(folder: Path) -> None:
    """Remove the files of a run, and nothing else that may lie there."""
    for name in (RECORD, CONFIG, CURVE, WEIGHTS, SNAPSHOTS, CHECKPOINT, f"{CHECKPOINT}.previous"):
        (folder / name).unlink(missing_ok=True)
