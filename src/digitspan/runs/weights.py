"""The weights of a run as a file, verified against the hash in the run's record."""

from __future__ import annotations

from pathlib import Path

from digitspan.errors import UsageError
from digitspan.files import sha256
from digitspan.runs.record import RunRecord

__all__ = ["read_weights"]


def read_weights(path: Path, record: RunRecord) -> bytes | None:
    """Read a run's weights, a safetensors file; None where it has kept none.

    Raises:
        UsageError: where they are not those of the record.
    """
    if record.weights_sha256 is None or not path.is_file():
        return None
    weights = path.read_bytes()
    if sha256(weights) != record.weights_sha256:
        message = (
            f"{path} is damaged: its SHA-256 is not the one in the run's record; restore it, or "
            f"remove it to go on without it"
        )
        raise UsageError(message)
    return weights
