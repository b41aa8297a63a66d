"""A worker of a study: takes one run after another, trains it, and hands its record back.

It is a process of its own with one thread, so that every run is the same however many workers
there are. Only JSON crosses the border, never a pickle.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from json import dumps, loads  # as they are now: a module may put others in their places
from multiprocessing import connection, parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from digitspan.errors import DigitspanError, UsageError, said_by
from digitspan.files import write_whole
from digitspan.runs.config import RunConfig
from digitspan.runs.record import CurvePoint
from digitspan.study.plan import Job
from digitspan.study.store import weights_path

__all__ = [
    "ClusterStatus",
    "Message",
    "WorkerOptions",
    "end_with_parent",
    "is_of_a_run",
    "refusal",
    "request",
    "train_run",
    "work",
]

Message = dict[str, Any]
"""What is said of a run, as JSON: `{"step": n}` after evaluations, and at its end one of

- `{"record": RunRecord.to_json, "timing": {"seconds": ..., "host": ...}}`;
- `{"refused": sentence, "exit_status": n}`: it could not be begun, nor could any like it;
- `{"failed": sentence}`: its code raised something;
- `{"died": "worker" or "node", "how": ...}`, said by whoever finds it dead.
"""


class ClusterStatus(NamedTuple):
    """How much of a cluster is there."""

    nodes: int
    """Machines that are there."""
    slots: int
    """Runs that they can train at a time."""
    running: int
    """Runs that are trained now."""


class WorkerOptions(dict[str, str]):
    """`folder`: the study's; `device`: a name for `find_device`."""


def request(job: Job) -> bytes:
    """A run as a worker is asked for it: its configuration, its key, and "keep" for weights."""
    keep = job.keeps_weights
    message = {"config": job.config.canonical, "key": job.config.key, "keep": keep}
    return dumps(message).encode()


def is_of_a_run(message: Message) -> bool:
    """Whether it is one that a worker says of a run; what its record says is for the record."""
    match message:
        case {"step": int()} | {"refused": str(), "exit_status": int()} | {"failed": str()}:
            return len(message) == 1 + ("refused" in message)
        case {"record": dict(), "timing": {"seconds": float(), "host": str()}}:
            return len(message) == 2
    return False


def refusal(message: Message) -> DigitspanError:
    """The error that a worker refused a run with, as an error here."""
    error = UsageError if message["exit_status"] == UsageError.exit_status else DigitspanError
    return error(message["refused"])


def work(pipe: Connection, options: WorkerOptions) -> None:
    """Train what comes through the pipe until it closes. In: `request`s; out: messages."""
    with contextlib.suppress(OSError):
        os.dup2(2, 1)  # standard output is the driver's
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's; it sends SIGTERM
    end_with_parent()

    try:
        import torch

        import digitspan.training.run  # noqa: F401 (here, not in the midst of a run: see below)
    except (ImportError, OSError) as error:
        _send(pipe, {"refused": f"torch cannot be loaded: {error}", "exit_status": 1})
        return
    # Only now: an exception that strikes in the midst of these imports is swallowed there.
    signal.signal(signal.SIGTERM, _leave)
    torch.set_num_threads(1)
    while True:
        try:
            job = loads(pipe.recv_bytes())
        except EOFError:
            return
        _send(pipe, _train(pipe, job, options))


def _train(pipe: Connection, job: dict[str, Any], options: WorkerOptions) -> Message:
    """One run with its checkpoint, and its weights written: what is sent back at its end."""
    config, folder = RunConfig.from_canonical(job["config"]), Path(options["folder"])

    def keep(weights: bytes) -> None:
        if job["keep"] and folder.is_dir():  # removed: the driver says so
            write_whole(weights_path(folder, config.key), weights)

    def on_evaluation(point: CurvePoint) -> None:
        _send(pipe, {"step": point.step})

    checkpoint = folder / "checkpoints" / f"{config.key}.ckpt"
    return train_run(config, options["device"], keep, checkpoint, on_evaluation)


def train_run(
    config: RunConfig,
    device: str,
    keep: Callable[[bytes], None],
    checkpoint: Path | None = None,
    on_evaluation: Callable[[CurvePoint], None] = lambda point: None,
) -> Message:
    """Train one run and give `keep` its weights; what is said at its end, whatever end that is."""
    from digitspan.training.machine import find_device
    from digitspan.training.run import train

    start = time.monotonic()
    try:
        finished = train(
            config, device=find_device(device), checkpoint=checkpoint, on_evaluation=on_evaluation
        )
        keep(finished.weights)
    except DigitspanError as error:
        return {"refused": str(error), "exit_status": error.exit_status}
    except Exception as error:
        if signal.getsignal(signal.SIGTERM) is signal.SIG_IGN:
            sys.exit(143)  # told to leave where something swallowed that: no fault of the run's
        with contextlib.suppress(Exception):  # a module may have put something in its place
            traceback.print_exc(file=sys.stderr)
        return {"failed": said_by(error)[:500]}
    timing = {"seconds": time.monotonic() - start, "host": socket.gethostname()}
    return {"record": finished.record.to_json(), "timing": timing}


def _send(pipe: Connection, message: dict[str, Any]) -> None:
    """Send a message as JSON; where nobody listens any more, end."""
    try:
        pipe.send_bytes(dumps(message).encode())
    except (BrokenPipeError, ConnectionError):
        sys.exit(1)


def _leave(number: int, frame: object) -> NoReturn:
    """End at SIGTERM; training keeps its checkpoint on the way out."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(128 + number)


def end_with_parent() -> None:
    """From now on, end this process at once when the driver is gone, whatever took it away."""

    def watch() -> None:
        parent = parent_process()
        if parent is not None:
            connection.wait([parent.sentinel])
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
