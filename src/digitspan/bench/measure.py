"""Measuring two or more things in turn, A B A B, and a row of the table that comes of it."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Self

from digitspan.study.crew.pool import usable_cores

__all__ = ["BenchmarkRow", "Effort", "MedianTime", "in_turn", "machine", "processor_seconds"]

_LEAST_TURNS = 5


class Effort(NamedTuple):
    """How long a benchmark may take."""

    seconds: float
    """For a row, as far as it is measured in turns."""
    template_steps: int
    """Training steps of the template's recipe that are timed before they are scaled."""
    goals_only: bool
    """Only the rows that have a goal."""
    to_the_end: bool
    """The template's recipe is run to its end instead of being scaled."""


QUICK = Effort(1.2, 10, goals_only=True, to_the_end=False)
DEFAULT = Effort(8.0, 200, goals_only=False, to_the_end=False)
FULL = Effort(30.0, 200, goals_only=False, to_the_end=True)


class MedianTime(NamedTuple):
    """What a number of repetitions took."""

    median_ms: float
    """The median, in milliseconds."""
    spread_ms: float
    """Half the distance between the quartiles, in milliseconds."""


class BenchmarkRow(NamedTuple):
    """One line of the table."""

    name: str
    """What is done."""
    ours: MedianTime
    """By digitspan."""
    peer: str
    """Who does the same."""
    theirs: MedianTime | None
    """By the peer; None where it cannot run here."""
    goal: float | None = None
    """The ratio wanted; None where it is only stated."""
    note: str = ""
    """What must be said besides."""
    bound: str = ""
    """What bounds it, which is said where the goal is missed."""

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None where there is none, or nothing to compare with."""
        return None if self.goal is None or self.ratio is None else self.ratio >= self.goal

    @property
    def remark(self) -> str:
        """The note, and what bounds it where the goal is missed."""
        missed = f"goal missed: {self.bound}" if self.met is False and self.bound else ""
        return "; ".join(filter(None, [missed, self.note]))

    @property
    def ratio(self) -> float | None:
        """The peer's time over ours: larger is better."""
        return None if self.theirs is None else self.theirs.median_ms / self.ours.median_ms

    def to_json(self) -> dict[str, Any]:
        """The row as plain values."""
        theirs = self.theirs
        return {
            "name": self.name,
            "ours_ms": self.ours.median_ms,
            "ours_spread_ms": self.ours.spread_ms,
            "peer": self.peer,
            "peer_ms": theirs.median_ms if theirs else None,
            "peer_spread_ms": theirs.spread_ms if theirs else None,
            "ratio": self.ratio,
            "goal": self.goal,
            "met": self.met,
            "note": self.remark,
        }

    @classmethod
    def of_seconds(cls, name: str, ours: float, peer: str, theirs: float, **rest: Any) -> Self:
        """A row of two things measured once each, in seconds."""
        return cls(name, MedianTime(1e3 * ours, 0.0), peer, MedianTime(1e3 * theirs, 0.0), **rest)


def in_turn(
    *functions: Callable[[], object],
    seconds: float,
    per: int = 1,
    clock: Callable[[], float] = time.process_time,
) -> list[MedianTime]:
    """Time functions in turn, so that whatever else the machine does meets them all alike.

    Args:
        functions: called without arguments, twice each before anything is timed.
        seconds: about how long to go on; at least five turns are made.
        per: how many things one call does, for the time of one.
        clock: in seconds. By default the time this process has the processor, so that waiting
            while others have it does not count; what runs elsewhere needs `time.perf_counter`.
    """
    for function in functions * 2:
        function()
    samples: list[list[float]] = [[] for _ in functions]
    end = time.perf_counter() + seconds
    while len(samples[0]) < _LEAST_TURNS or time.perf_counter() < end:
        for function, times in zip(functions, samples, strict=True):
            start = clock()
            function()
            times.append(1e3 * (clock() - start) / per)
    return [_timing(times) for times in samples]


def processor_seconds() -> float:
    """Seconds that this process, and those of its children that have ended, had a processor."""
    return sum(os.times()[:4])


def machine() -> dict[str, Any]:
    """What the times depend on."""
    import torch

    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "cpu": _cpu_name(),
        "cores": usable_cores(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "load_before": load,
    }


def _timing(times: list[float]) -> MedianTime:
    low, median, high = statistics.quantiles(times, n=4)
    return MedianTime(median, (high - low) / 2)


def _cpu_name() -> str:
    """The processor's name, where the system tells."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
