"""Progress on standard error: bars on a terminal, lines in a log file."""

from __future__ import annotations

import time
from typing import Self

import rich.progress
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn

from digitspan.study.tables import duration

__all__ = ["Progress", "ProgressTask"]

SECONDS_BETWEEN_LINES = 60.0
"""Seconds between progress lines in a log file."""


class Progress:
    """What is running, and the time left; entered before the first task begins.

    On a terminal every task is a bar. A log file gets one line per minute for each task that
    advances, and what is passed to `log`.
    """

    def __init__(self) -> None:
        console = Console(stderr=True)
        self.bars = rich.progress.Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[text]}", markup=False),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )

    def __enter__(self) -> Self:
        self.bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.bars.stop()

    def task(
        self, what: str, total: float | None = None, unit: str = "", *, logged: bool = True
    ) -> ProgressTask:
        """Begin a task.

        Args:
            what: its name.
            total: its size; None where that is not known (yet).
            unit: what is counted, in the plural.
            logged: whether a log file is told how far it is, too.
        """
        return ProgressTask(self, what, total, unit, logged=logged and self.bars.disable)

    def say(self, line: str, style: str | None = None) -> None:
        """Print a line, above the bars where there are any."""
        self.bars.console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)

    def log(self, line: str) -> None:
        """Print a line with the time where there are no bars."""
        if self.bars.disable:
            self.say(f"{time.strftime('%H:%M:%S')} {line}")


class ProgressTask:
    """Something that takes a while; made by `Progress.task`."""

    def __init__(
        self, progress: Progress, what: str, total: float | None, unit: str, *, logged: bool
    ) -> None:
        self._progress, self._what, self._unit, self._logged = progress, what, unit, logged
        self._total = total
        self._bar = progress.bars.add_task(what, total=total, text="")
        self._begun = self._last_line = time.monotonic()
        self._first: tuple[float, float] | None = None  # update: when, and how much was done

    def update(
        self,
        done: float,
        note: str = "",
        *,
        total: float | None = None,
        left: float | None = None,
        at_most: bool = False,
    ) -> None:
        """So much is done; `left` in seconds, by default at the speed since the first update.

        With `at_most` the time left is said to be an upper one.
        """
        now = time.monotonic()
        self._total = total or self._total
        text = f"{done:,.0f}" + ("" if self._total is None else f" of {self._total:,.0f}")
        text += f" {self._unit}" if self._unit else ""
        text += f", {note}" if note else ""
        if left is None:
            left = self._seconds_left(done, now)
        if left is not None:
            text += f", {'at most ' if at_most else ''}about {duration(left)} left"
        self._progress.bars.update(self._bar, completed=done, total=self._total, text=text)
        if self._logged and now - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = now
            self._progress.log(f"{self._what}: {text}")

    def end(self) -> float:
        """The task has ended and its bar goes; gives the seconds it took."""
        self._progress.bars.remove_task(self._bar)
        return time.monotonic() - self._begun

    def _seconds_left(self, done: float, now: float) -> float | None:
        """At the speed since the first update; a task that is resumed does not begin at 0."""
        if self._first is None:
            self._first = now, done
        since, before = self._first
        if self._total is None or done <= before:
            return None
        return (now - since) / (done - before) * (self._total - done)
