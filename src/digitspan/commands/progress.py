"""How a study gets on, on standard error: runs done, running, failed, and the time left."""

from __future__ import annotations

import time
from collections import Counter
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from digitspan.runs.config import RunConfig
from digitspan.runs.cost import cost
from digitspan.runs.record import RunRecord
from digitspan.study.crew.worker import Spread
from digitspan.study.grid import Job
from digitspan.study.tables import duration

__all__ = ["StudyProgress"]


class StudyProgress:
    """A bar for the study and a line for every run that is being trained.

    Where standard error is no terminal, one line a finished run, as a log file wants it.

    Args:
        workers: how many runs are trained at a time; a cluster says so itself.
    """

    def __init__(self, workers: int) -> None:
        self._console = Console(stderr=True)
        self._workers = workers
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._study: TaskID | None = None
        self._lines: dict[str, TaskID] = {}
        self._ends: Counter[str] = Counter()
        self._missing: dict[str, float] = {}
        self._spent_cost = self._spent_seconds = 0.0
        self._spread: Spread | None = None
        self._retries = 0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def planned(self, done: int, missing: list[Job]) -> None:
        """So many runs of the plan are done; these are still missing."""
        self._missing = {job.config.key: _full_cost(job.config) for job in missing}
        total = done + len(missing)
        if self._study is None:
            self._study = self._bar.add_task("runs", total=total, completed=done, note="")
        else:
            self._bar.update(self._study, total=total, completed=done)
        if self._bar.disable:
            self._console.print(f"{done} runs are done, {len(missing)} to do")

    def step(self, config: RunConfig, step: int) -> None:
        """A run has been evaluated after so many steps."""
        if config.key not in self._lines:
            self._lines[config.key] = self._bar.add_task(
                config.run_id, total=config.train_steps, note="steps"
            )
        self._bar.update(self._lines[config.key], completed=step)

    def finished(self, record: RunRecord, seconds: float) -> None:
        """A run has got its row."""
        key = record.config.key
        if key in self._lines:
            self._bar.remove_task(self._lines.pop(key))
        self._ends[record.end_state] += 1
        self._spent_cost += self._missing.pop(key, 0.0)
        self._spent_seconds += seconds
        if self._study is not None:
            self._bar.update(self._study, advance=1, note=self._note())
        if self._bar.disable:
            accuracy = "" if record.accuracy is None else f", accuracy {record.accuracy:.3f}"
            self._console.print(
                f"{time.strftime('%H:%M:%S')} {record.config.run_id} {record.config.encoding}: "
                f"{record.end_state} at step {record.steps:,}{accuracy}, {duration(seconds)}; "
                f"{len(self._missing)} to do, {self._note()}",
                highlight=False, soft_wrap=True,
            )  # fmt: skip

    def spread(self, spread: Spread, retries: int) -> None:
        """How a cluster stands, and how many runs were begun again."""
        if self._bar.disable and (self._spread is None or spread.nodes != self._spread.nodes):
            self._console.print(f"nodes: {spread.nodes}, for {spread.slots} runs at a time")
        self._spread, self._retries = spread, retries
        self._workers = max(spread.slots, 1)
        if self._study is not None:
            self._bar.update(self._study, note=self._note())

    def warn(self, message: str) -> None:
        """Something worth a sentence happened; the study goes on."""
        self._console.print(message, style="yellow", soft_wrap=True, markup=False)

    def _note(self) -> str:
        """How the runs ended so far, and the time left."""
        failed = self._ends["crashed"] + self._ends["oom"]
        ends = f"{self._ends['solved']} solved" + (f", {failed} failed" if failed else "")
        if self._spread is not None:
            ends += f", nodes: {self._spread.nodes}, running: {self._spread.running}"
            ends += f", begun again: {self._retries}" if self._retries else ""
        if not self._spent_cost:
            return ends
        left = sum(self._missing.values()) * self._spent_seconds / self._spent_cost
        return f"{ends}, about {duration(left / self._workers)} left"


def _full_cost(config: RunConfig) -> float:
    """What a run costs if it uses up its budget; that most do not is learned on the way."""
    return cost(config) * config.train_steps
