"""Runs a study: hands out the runs that are missing, and keeps a row of each that has ended.

This process is the only one that writes to the store. Whoever trains is a `Crew`: processes of
this machine (pool.py) or a cluster (cluster.py). What dies with its worker is begun again; what
kills three workers is an error: no outcome, told, and made again on the next call.
"""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import os
import signal
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from digitspan.errors import DigitspanError, UsageError
from digitspan.files import remove_unfinished, writable_folder
from digitspan.runs.config import RunConfig
from digitspan.runs.cost import check_size
from digitspan.runs.growth import growth_of
from digitspan.runs.record import RunRecord
from digitspan.study.config import StudyConfig
from digitspan.study.crew.cluster import Cluster
from digitspan.study.crew.pool import Pool
from digitspan.study.crew.worker import (
    ClusterStatus,
    Message,
    WorkerOptions,
    is_of_a_run,
    refusal,
)
from digitspan.study.plan import MAX_RUNS, Job, next_jobs, runs_placed_later, size
from digitspan.study.store import Row, Store, Timing

__all__ = ["Crew", "Interrupted", "StudyObserver", "check_study", "run_study"]

MOST_DEATHS = {"worker": 3, "node": 10}
"""Workers, and machines of a cluster, that may die under a run before it is given up.

Machines are switched off for reasons of their own, so that they count for less.
"""


class Interrupted(DigitspanError):
    """The study was interrupted by SIGINT or SIGTERM; what is finished is kept."""

    def __init__(self, signal_number: int, message: str) -> None:
        super().__init__(message)
        self.exit_status = 128 + signal_number


class StudyObserver:
    """Is told how a study gets on; this one does nothing with it."""

    def planned(self, done: int, missing: list[Job], later: int) -> None:
        """So many runs are done; these are missing, and so many more will follow from them."""

    def step(self, config: RunConfig, step: int) -> None:
        """A run has been evaluated after so many steps."""

    def finished(self, record: RunRecord, seconds: float) -> None:
        """A run has got its row."""

    def cluster(self, status: ClusterStatus, retries: int) -> None:
        """Report the state of the cluster, and how many runs were restarted."""

    def warn(self, message: str) -> None:
        """Something worth a sentence happened; the study goes on."""


Crew = Pool | Cluster
"""Whoever trains. Entered before the first run; leaving it leaves no process behind."""


def check_study(config: StudyConfig) -> list[RunConfig]:
    """Refuse a study that is far too large, before anything is written.

    Returns:
        The shortest run of each cell, encoding and width and the longest, which the cell must be
        able to read; and of each cell a control that trains its read-out alone.

    Raises:
        UsageError: with the size it would take.
    """
    if (runs := size(config)) > MAX_RUNS:
        message = f"the study has {runs:,} runs, more than {MAX_RUNS:,}; choose fewer"
        raise UsageError(message)
    longest_first = next_jobs(config, {})
    for run in {job.config.cell: job.config for job in reversed(longest_first)}.values():
        if config.design == "joint":  # which begins with shorter runs than it may come to
            steps = max(config.budget, config.continued_steps)
            run = dataclasses.replace(run, length=config.longest, train_steps=steps)
        check_size(run)
    asked = [job.config for job in longest_first]
    by_size = {
        (run.cell, run.encoding, run.hidden_size): run for run in asked if run.trained == "all"
    }
    shortest = list(by_size.values())
    if config.design == "span":  # whose runs are of one length, and begin with short lists
        least = min(growth_of(config.task).shortest, 2 * config.longest_list)
        longest, shortest = shortest, [dataclasses.replace(run, length=least) for run in shortest]
    else:
        top = config.longest if config.design == "joint" else config.lengths[-1]
        longest = [dataclasses.replace(run, length=top) for run in shortest]
    controls = {run.cell: run for run in asked if run.trained == "read-out"}
    return list(dict.fromkeys([*shortest, *longest, *controls.values()]))


def run_study(
    config: StudyConfig,
    folder: Path,
    *,
    workers: int,
    device: str = "cpu",
    cluster: str | None = None,
    durable: bool = False,
    widen: bool = False,
    progress: StudyObserver,
) -> dict[str, Row]:
    """Run what is missing of a study, and give all its rows.

    Args:
        config: what to run.
        folder: where `study.db` and `weights/` are, or will be.
        workers: runs at a time, one thread each.
        device: a name for `find_device`.
        cluster: the address of a Ray cluster, "local" to begin one here; None for processes.
        durable: wait for the disk at every row (a power cut then loses nothing).
        widen: whether the study may ask for more than the one whose runs the folder has.
        progress: is told how it gets on.

    Raises:
        UsageError: where the folder or the cluster cannot be used, or the folder's rows are of
            another study.
        StoreError: where another process runs the study.
        Interrupted: at SIGINT and SIGTERM.
        DigitspanError: where the disk is full.
    """
    config = config.with_sources()
    if config.parameters is not None and not config.sizes:
        message = "the hidden sizes of a study with parameters must be found first (`sized_apart`)"
        raise UsageError(message)
    check_study(config)
    options = WorkerOptions(folder=str(folder.absolute()), device=device)
    reached = Cluster(cluster, options, workers) if cluster else None  # before anything is written
    with writable_folder(folder, "--out"), _opened(folder, durable=durable) as store:
        crew: Crew = reached or Pool(options, workers)
        rows = store.rows()
        if rows and (before := _config_of(store)):
            if not widen:
                _require_same_budget(before, config, folder)
            _require_same_study(before, config, folder, widen=widen)
        _warn_of_other_sources(rows, config, progress)
        store.set_value("config", config.canonical)
        if store.damaged:
            progress.warn(f"{store.damaged} damaged rows were left out; their runs are done again")
        store.recount(rows)
        rows = {key: row for key, row in rows.items() if row.record.end_state != "error"}
        for kept in ("weights", "checkpoints"):  # the lock is ours: nobody is writing there
            remove_unfinished(folder / kept)
        study = _Study(config, store, rows, crew, progress)
        with _signals(study), crew:
            study.run()
        study.stop_if_interrupted()
        store.require_in_place()
    return dict(sorted(rows.items()))


@contextlib.contextmanager
def _opened(folder: Path, *, durable: bool) -> Iterator[Store]:
    """The store to write; a study that breaks before its first row leaves nothing there.

    One that was interrupted may have kept checkpoints, which its store says what they are of.
    """
    with Store.create(folder, durable=durable) as store:
        try:
            yield store
        except (DigitspanError, OSError) as error:
            if not isinstance(error, Interrupted):
                store.discard()
            raise


def _config_of(store: Store) -> StudyConfig | None:
    """What the runs of a store were asked for; None where it does not say."""
    try:
        return StudyConfig.from_canonical(store.value("config") or "")
    except (ValueError, TypeError, AttributeError, RecursionError, UsageError):
        return None


def _require_same_budget(kept: StudyConfig, config: StudyConfig, folder: Path) -> None:
    """Refuse a study whose rows are of another budget.

    Raises:
        UsageError: with both budgets.
    """
    if kept.train_steps != config.train_steps:
        message = (
            f"a study asked for two budgets: the runs in {folder} have {kept.budget_words} "
            f"training steps, and {config.budget_words} are asked for; choose another --out, or "
            f"--widen to have both"
        )
        raise UsageError(message)


def _require_same_study(
    kept: StudyConfig, config: StudyConfig, folder: Path, *, widen: bool
) -> None:
    """Refuse a study whose folder has the runs of another one, unless it asks for those too.

    Raises:
        UsageError: with what differs.
    """
    differing = kept.differences(config)
    if not differing or (widen and not config.differences(kept.widened_by(config))):
        return
    sources = [cell for cell in config.cells if kept.source(cell) != config.source(cell)]
    changed = f"; the source of {', '.join(sources)} has changed too" if sources else ""
    message = (
        f"{folder} holds another study ({'; '.join(differing)}{changed}); call with --out alone "
        f"to go on with it, with --widen to ask for more runs besides, or choose another --out"
    )
    raise UsageError(message)


def _warn_of_other_sources(
    rows: Mapping[str, Row], config: StudyConfig, progress: StudyObserver
) -> None:
    """Tell of runs that were made with another source of their cell."""
    found = [row.record.config for row in rows.values()]
    facts = config.task_facts
    if others := sum(run.task == config.task and run.task_facts != facts for run in found):
        progress.warn(
            f"the source of {config.task} has changed since {others} of these runs were made: "
            f"they are kept and no longer counted, and its runs are made anew"
        )
    for cell in config.cells:
        source = config.source(cell)
        others = sum(run.cell == cell and run.source != source for run in found)
        if source and others:
            progress.warn(
                f"the source of {cell} has changed since {others} of these runs were made: they "
                f"are kept and no longer counted, and its runs are made anew"
            )


class _Study:
    """The runs that wait, those under way, and the store that their rows go to."""

    def __init__(
        self,
        config: StudyConfig,
        store: Store,
        rows: dict[str, Row],
        crew: Crew,
        progress: StudyObserver,
    ) -> None:
        self.config, self.store, self.rows = config, store, rows
        self.crew, self.progress = crew, progress
        self.waiting: deque[Job] = deque()
        self.running: dict[str, Job] = {}
        self.attempts: Counter[str] = Counter()
        self.deaths: Counter[tuple[str, str]] = Counter()
        self.planned_with = -1
        self.interrupted_by: int | None = None
        self._wake_up, self._wake_me = multiprocessing.Pipe(duplex=False)

    def run(self) -> None:
        """Do all that the plan asks for, until it asks for nothing more."""
        while self._fill():
            for job, message in self.crew.wait(self._wake_up):
                self._take(job, message)
            self.stop_if_interrupted()
            if self.crew.status is not None:
                self.progress.cluster(self.crew.status, self.deaths.total())

    def interrupt(self, number: int) -> None:
        """Called at a signal: at the second one, end at once."""
        if self.interrupted_by is not None:
            self.crew.kill()
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

    def _fill(self) -> bool:
        """Hand out runs as long as somebody takes them; whether any are left to wait for."""
        while (self.waiting or self._plan()) and self.crew.room():
            job = self.crew.choose(self.waiting)
            self.running[job.config.key] = job
            self.attempts[job.config.key] += 1
            self.crew.give(job)
        return bool(self.running or self.waiting)

    def _plan(self) -> bool:
        """Ask what else there is to do, once more is known; whether there is anything.

        The plan only grows with what is known (plan.py decides from whole rounds), so it may be
        asked while runs are under way, and nobody idles until the last of a round has ended.
        """
        if self.planned_with == len(self.rows):
            return False
        self.planned_with = len(self.rows)
        records = {key: row.record for key, row in self.rows.items()}
        missing = next_jobs(self.config, records)
        self.waiting.extend(job for job in missing if job.config.key not in self.running)
        if self.waiting:
            later = runs_placed_later(self.config, records)
            self.progress.planned(len(self.rows), missing, later)
        return bool(self.waiting)

    def _take(self, job: Job, message: Message) -> None:
        """What a worker has said of a run (worker.py lists it)."""
        if "step" in message:
            self.progress.step(job.config, message["step"])
            return
        del self.running[job.config.key]
        if "refused" in message:
            raise refusal(message)
        if "died" in message:
            self._died(job, message["died"], message["how"])
        elif "failed" in message:
            self._fail(job, message["failed"])
        elif (record := _record(job, message)) is None:
            self._fail(job, "what its process said of it cannot be")
        else:
            timing = message["timing"]
            self._keep(job, record, timing["seconds"], timing["host"])

    def _died(self, job: Job, what: str, how: str) -> None:
        """A worker or its whole machine has died: its run is begun again, or given up."""
        self.deaths[job.config.key, what] += 1
        deaths = self.deaths[job.config.key, what]
        if deaths >= MOST_DEATHS[what]:
            self._fail(job, f"its {what} died {deaths} times, the last time by {how}")
        else:
            self.progress.warn(f"the {what} of {job.config.run_id} died by {how}; begun again")
            self.waiting.appendleft(job)

    def _fail(self, job: Job, note: str) -> None:
        """A run has failed to run."""
        self._keep(job, RunRecord.error(job.config, note), 0.0, socket.gethostname())

    def _keep(self, job: Job, record: RunRecord, seconds: float, host: str) -> None:
        """Write a row."""
        key = record.config.key
        timing = Timing(seconds, time.time(), host, self.attempts[key])
        row = Row(record, timing, job.role)
        self.store.add(row)
        self.rows[key] = row
        self.progress.finished(record, seconds)


def _record(job: Job, message: Message) -> RunRecord | None:
    """The record that is said of a run; None where it cannot be one of it.

    Where the code of a cell of one's own has changed Python, anything may be said.
    """
    try:
        record = RunRecord.from_json(message["record"]).checked()
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, UsageError):
        return None
    return record if is_of_a_run(message) and record.config == job.config else None


@contextlib.contextmanager
def _signals(study: _Study) -> Iterator[None]:
    """Let SIGINT and SIGTERM end the study in good order."""

    def handler(number: int, frame: object) -> None:
        study.interrupt(number)

    before: dict[signal.Signals, Callable[[int, Any], Any] | int | None] = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(ValueError):  # not in the main thread: the caller's business
            before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
