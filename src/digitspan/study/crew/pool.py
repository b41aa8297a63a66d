"""Worker processes of this machine, one run per worker; one that dies is replaced.

Each cell of one's own has workers of its own: its module changes no run of another cell. At an
interrupt the workers keep checkpoints, and the next call goes on from there.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing import connection, resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, Self

from digitspan.cells import notebook
from digitspan.runs.config import RunConfig
from digitspan.study.crew.worker import (
    ClusterStatus,
    Message,
    WorkerOptions,
    is_of_a_run,
    request,
    work,
)
from digitspan.study.plan import Job

__all__ = [
    "STOP_SECONDS",
    "Pool",
    "begin_process",
    "hear",
    "how_it_ended",
    "seal_of",
    "usable_cores",
]

STOP_SECONDS = 1.2
"""How long workers may take to keep their checkpoints at an interrupt."""


class Pool:
    """At most `size` worker processes, begun when there are runs for them."""

    status: ClusterStatus | None = None

    def __init__(self, options: WorkerOptions, size: int) -> None:
        self.options, self.size = options, size
        self.workers: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Leave no process behind."""
        _end(self.workers)

    def kill(self) -> None:
        """End all processes at once."""
        for worker in self.workers:
            worker.process.kill()

    def room(self) -> bool:
        """Whether another run can be given now."""
        return sum(worker.job is not None for worker in self.workers) < self.size

    def choose(self, waiting: deque[Job]) -> Job:
        """Take the next run from those that wait, of a cell that an idle worker is for already."""
        idle = {worker.seal for worker in self.workers if worker.job is None}
        job = next((job for job in waiting if seal_of(job.config) in idle), waiting[0])
        waiting.remove(job)
        return job

    def give(self, job: Job) -> None:
        """Give a run to an idle worker of its cell; begin one where there is none."""
        idle = [worker for worker in self.workers if worker.job is None]
        seal = seal_of(job.config)
        its_own = next((worker for worker in idle if worker.seal == seal), None)
        if its_own is None:
            if len(self.workers) >= self.size:
                _end(idle[:1])
                self.workers.remove(idle[0])
            its_own = _Worker(self.options, seal)
            self.workers.append(its_own)
        its_own.give(job)

    def wait(self, wake_up: Connection) -> Iterator[tuple[Job, Message]]:
        """What workers said of their runs, once one of them or `wake_up` has said something."""
        ends: dict[Any, _Worker] = {}
        for worker in self.workers:
            ends[worker.pipe] = ends[worker.process.sentinel] = worker
        for end in connection.wait([*ends, wake_up]):
            if end is wake_up:
                return
            worker = ends[end]
            if worker not in self.workers:
                continue  # already dealt with: both its ends were ready
            alive = end is worker.pipe or _has_said(worker.pipe)
            message = self._listen(worker) if alive else self._bury(worker)
            job = worker.job
            if job is not None and message is not None:
                if "step" not in message:
                    worker.job = None
                yield job, message

    def _listen(self, worker: _Worker) -> Message:
        """Take one message of a worker; one that says anything else is not asked again."""
        message = hear(worker.pipe)
        if message is not None and not is_of_a_run(message):
            worker.process.kill()
            self._bury(worker)
            return {"failed": "its process said what is no message of digitspan's"}
        return self._bury(worker) if message is None else message

    def _bury(self, worker: _Worker) -> Message:
        """A worker has died."""
        self.workers.remove(worker)
        worker.process.join(5)
        worker.pipe.close()
        return {"died": "worker", "how": how_it_ended(worker.process)}


def hear(pipe: Connection) -> Message | None:
    """What a process says next; empty where that is no message, None where it has ended."""
    try:
        said = json.loads(pipe.recv_bytes())
    except (EOFError, ConnectionError):
        return None
    except (OSError, ValueError, RecursionError):  # code of somebody else's may say anything
        return {}
    return said if isinstance(said, dict) else {}


def _has_said(pipe: Connection) -> bool:
    """Whether a worker that has ended left a message; on Windows asking a broken pipe raises."""
    try:
        return pipe.poll()
    except ConnectionError:
        return False


def how_it_ended(process: SpawnProcess) -> str:
    """How a process that has ended did so, in words."""
    code = process.exitcode or 0
    return f"signal {-code}" if code < 0 else f"exit status {code}"


def seal_of(config: RunConfig) -> str:
    """Whose processes a run goes to: those of its cell, or of all registered cells."""
    return f"{config.cell} {config.task}" if config.is_own else ""


def _end(workers: Sequence[_Worker]) -> None:
    """End workers, which may first keep their checkpoints."""
    for worker in workers:
        worker.process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for worker in workers:
        worker.process.join(max(0.0, deadline - time.monotonic()))
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.pipe.close()


class _Worker:
    """One worker process as the driver sees it."""

    def __init__(self, options: WorkerOptions, seal: str) -> None:
        self.seal = seal
        self.process, self.pipe = begin_process(work, options)
        self.job: Job | None = None

    def give(self, job: Job) -> None:
        """Send it a run."""
        self.job = job
        # A worker that has died is noticed by its sentinel, and its run is given to another.
        with contextlib.suppress(BrokenPipeError, ConnectionError):
            self.pipe.send_bytes(request(job))


def begin_process(target: Any, *arguments: object) -> tuple[SpawnProcess, Connection]:
    """A process that is deaf to Ctrl-C and calls `target(pipe, *arguments)`, and our end of it."""
    context = multiprocessing.get_context("spawn")  # a fork would inherit the store's lock
    ours, theirs = context.Pipe()
    everything = (target, notebook.texts(), theirs, *arguments)
    process = context.Process(target=_begin, args=everything, daemon=True)
    with _no_interrupt(), _main_left_alone():
        process.start()
    theirs.close()
    return process, ours


def _begin(target: Any, modules: Mapping[str, str], *arguments: object) -> None:
    """What a process does: first, cells that were written in a notebook are made modules there."""
    notebook.install(modules)
    target(*arguments)


@contextlib.contextmanager
def _main_left_alone() -> Iterator[None]:
    """Let a process that is begun inside not run the script again that began it.

    It would by itself, and a script that measures as it is read would begin without end.
    """
    names: dict[str, Any] = vars(sys.modules["__main__"])
    kept: dict[str, Any] = {
        name: names[name] for name in ("__file__", "__spec__") if name in names
    }
    names.update(dict.fromkeys(kept))
    try:
        yield
    finally:
        names.update(kept)


def usable_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def _no_interrupt() -> Iterator[None]:
    """Hold Ctrl-C back, here for a moment and for good in the processes that are begun inside.

    A terminal sends it to the workers too, also while they are not yet able to ignore it.
    """
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # it would let Ctrl-C through again once it is begun
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
