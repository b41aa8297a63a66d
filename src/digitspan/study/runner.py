"""Runs a study: a pool of worker processes, one run a worker, one row a run.

The driver is the only one who writes to the store. A worker that dies is replaced and its run
begun again; what kills three workers is recorded as crashed. At an interrupt the workers keep
checkpoints, and the next call goes on from there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from multiprocessing import connection, resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

from digitspan.errors import DigitspanError, UsageError
from digitspan.files import remove_unfinished, require_writable_folder
from digitspan.runs import RunConfig, RunRecord, check_size
from digitspan.study.config import StudyConfig
from digitspan.study.grid import Job, next_jobs
from digitspan.study.store import Row, Store, Timing
from digitspan.study.worker import WorkerOptions, work

__all__ = ["Interrupted", "Progress", "check_study", "run_study"]

MAX_ATTEMPTS = 3
"""Workers a run may kill before it is recorded as crashed."""

STOP_SECONDS = 1.2
"""How long workers may take to keep their checkpoints at an interrupt."""

MAX_RUNS = 1_000_000
"""A grid larger than this is a slip of the keyboard."""


class Interrupted(DigitspanError):
    """The study was interrupted; what is finished is kept.

    Args:
        signal_number: SIGINT or SIGTERM.
        message: the sentence.
    """

    def __init__(self, signal_number: int, message: str) -> None:
        super().__init__(message)
        self.exit_status = 128 + signal_number


class Progress(Protocol):
    """Whoever wants to be told how a study gets on."""

    def planned(self, done: int, missing: list[Job]) -> None:
        """So many runs of the plan are done; these are still missing."""

    def step(self, config: RunConfig, step: int) -> None:
        """A run has been evaluated after so many steps."""

    def finished(self, record: RunRecord, seconds: float) -> None:
        """A run has got its row."""

    def warn(self, message: str) -> None:
        """Something worth a sentence happened; the study goes on."""


def check_study(config: StudyConfig) -> None:
    """Refuse a study that is far too large, before anything is written.

    Raises:
        UsageError: with the size it would take.
    """
    runs = len(config.cells) * len(config.lengths) * config.seeds * len(config.learning_rates)
    runs += len(config.cells) * len(config.lengths) * config.tuning_seeds  # of a rate
    runs *= len(config.encoding) * len(config.initialisation)
    if runs > MAX_RUNS:
        message = f"the grid has {runs:,} runs, more than {MAX_RUNS:,}; choose fewer --seeds"
        raise UsageError(message)
    largest: dict[str, Job] = {}
    for job in next_jobs(dataclasses.replace(config, seeds=1, adaptive=False), {}):
        largest.setdefault(job.condition.cell, job)
    for job in largest.values():
        check_size(job.config)


def run_study(
    config: StudyConfig,
    folder: Path,
    *,
    workers: int,
    device: str = "cpu",
    durable: bool = False,
    progress: Progress,
) -> dict[str, Row]:
    """Run what is missing of a study, and give all its rows.

    Args:
        config: what to run.
        folder: where `study.db` and `weights/` are, or will be.
        workers: processes, one thread each.
        device: a name for `find_device`.
        durable: wait for the disk at every row (a power cut then loses nothing).
        progress: is told how it gets on.

    Raises:
        UsageError: where the folder cannot be used.
        StoreError: where another process runs the study.
        Interrupted: at SIGINT and SIGTERM.
        DigitspanError: where the disk is full.
    """
    check_study(config)
    require_writable_folder(folder, "--out")
    with Store.create(folder, durable=durable) as store:
        store.set_value("config", config.canonical)
        rows = store.rows()
        if store.damaged:
            progress.warn(f"{store.damaged} damaged rows were left out; their runs are done again")
        store.recount(rows)
        for kept in ("weights", "checkpoints"):  # the lock is ours: nobody is writing there
            remove_unfinished(folder / kept)
        options = WorkerOptions(folder=str(folder.resolve()), device=device)
        pool = _Pool(store, rows, options, workers, progress)
        with _signals(pool), pool:
            while missing := next_jobs(config, {key: row.record for key, row in rows.items()}):
                progress.planned(len(rows), missing)
                pool.run(missing)
        pool.stop_if_interrupted()
    return dict(sorted(rows.items()))


class _Worker:
    """One worker process as the driver sees it."""

    def __init__(self, options: WorkerOptions) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would inherit the store's lock
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=work, args=(theirs, options), daemon=True)
        with _no_interrupt():
            self.process.start()
        theirs.close()
        self.job: Job | None = None

    def give(self, job: Job) -> None:
        """Send it a run."""
        self.job = job
        keep = job.role != "tuning"
        message = {"config": job.config.canonical, "keep": keep}
        # A worker that has died is noticed by its sentinel, and its run is given to another.
        with contextlib.suppress(BrokenPipeError, ConnectionError):
            self.pipe.send_bytes(json.dumps(message).encode())


class _Pool:
    """The workers, the runs they have, and the store their rows go to."""

    def __init__(
        self,
        store: Store,
        rows: dict[str, Row],
        options: WorkerOptions,
        size: int,
        progress: Progress,
    ) -> None:
        self.store, self.rows, self.progress = store, rows, progress
        self.options, self.size = options, size
        self.workers: list[_Worker] = []
        self.waiting: deque[Job] = deque()
        self.attempts: dict[str, int] = {}
        self.interrupted_by: int | None = None
        self._wake_up, self._wake_me = multiprocessing.Pipe(duplex=False)

    def __enter__(self) -> None:
        """Workers are begun when there are runs for them."""

    def __exit__(self, *exception: object) -> None:
        """Leave no process behind."""
        for worker in self.workers:
            worker.process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for worker in self.workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.pipe.close()
        self._wake_up.close()
        self._wake_me.close()

    def interrupt(self, number: int) -> None:
        """Called at a signal: at the second one, end at once."""
        if self.interrupted_by is not None:
            for worker in self.workers:
                worker.process.kill()
            os._exit(128 + number)
        self.interrupted_by = number
        self._wake_me.send_bytes(b"!")

    def stop_if_interrupted(self) -> None:
        """End the study where a signal has asked for it.

        Raises:
            Interrupted: with the signal's exit status.
        """
        if self.interrupted_by is not None:
            message = f"interrupted: {len(self.rows)} finished runs are kept; call again to go on"
            raise Interrupted(self.interrupted_by, message)

    def run(self, jobs: list[Job]) -> None:
        """Do some runs, each of which gets a row."""
        self.waiting = deque(jobs)
        while self.waiting or any(worker.job for worker in self.workers):
            self._fill()
            ends: dict[Any, _Worker] = {}
            for worker in self.workers:
                ends[worker.pipe] = ends[worker.process.sentinel] = worker
            ready = connection.wait([*ends, self._wake_up])
            self.stop_if_interrupted()
            for end in ready:
                worker = ends[end]
                if worker not in self.workers:
                    continue  # already dealt with: both its ends were ready
                if isinstance(end, Connection) or worker.pipe.poll():
                    self._listen(worker)
                else:
                    self._bury(worker)

    def _fill(self) -> None:
        """Give every idle worker a run; begin workers as long as there are runs for them."""
        for worker in self.workers:
            if worker.job is None and self.waiting:
                self._give(worker)
        while self.waiting and len(self.workers) < self.size:
            self.workers.append(_Worker(self.options))
            self._give(self.workers[-1])

    def _give(self, worker: _Worker) -> None:
        job = self.waiting.popleft()
        self.attempts[job.config.key] = self.attempts.get(job.config.key, 0) + 1
        worker.give(job)

    def _listen(self, worker: _Worker) -> None:
        """Take one message of a worker."""
        try:
            message = json.loads(worker.pipe.recv_bytes())
        except (EOFError, ConnectionError):
            self._bury(worker)
            return
        job = worker.job
        if job is None:
            return
        if "step" in message:
            self.progress.step(job.config, message["step"])
            return
        worker.job = None
        if "refused" in message:
            raise _refusal(message)
        if "failed" in message:
            self._keep(RunRecord.crashed(job.config, message["failed"]), 0.0, socket.gethostname())
            return
        record = RunRecord.from_json(message["record"])
        self._keep(record, message["timing"]["seconds"], message["timing"]["host"])

    def _bury(self, worker: _Worker) -> None:
        """A worker has died: its run is begun again, or recorded as crashed the third time."""
        self.workers.remove(worker)
        worker.process.join(5)
        worker.pipe.close()
        code = worker.process.exitcode or 0
        job = worker.job
        if job is None:
            return
        how = f"signal {-code}" if code < 0 else f"exit status {code}"
        if self.attempts[job.config.key] >= MAX_ATTEMPTS:
            note = f"its worker died {MAX_ATTEMPTS} times, the last time by {how}"
            self._keep(RunRecord.crashed(job.config, note), 0.0, socket.gethostname())
        else:
            self.progress.warn(f"the worker of {job.config.run_id} died by {how}; begun again")
            self.waiting.appendleft(job)

    def _keep(self, record: RunRecord, seconds: float, host: str) -> None:
        """Write a row."""
        key = record.config.key
        timing = Timing(seconds, time.time(), host, self.attempts[key])
        self.store.add(record, timing)
        self.rows[key] = Row(record, timing)
        self.progress.finished(record, seconds)


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


@contextlib.contextmanager
def _signals(pool: _Pool) -> Iterator[None]:
    """Let SIGINT and SIGTERM end the study in good order."""

    def handler(number: int, frame: object) -> None:
        pool.interrupt(number)

    before: dict[signal.Signals, Callable[[int, Any], Any] | int | None] = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(ValueError):  # not in the main thread: the caller's business
            before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def _refusal(message: dict[str, Any]) -> DigitspanError:
    """The error that a worker reported, as an error here."""
    error = UsageError if message["exit_status"] == UsageError.exit_status else DigitspanError
    return error(message["refused"])
