"""Watches what a child and all that it started use together: memory, and how many they are."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

__all__ = ["Watch", "end_strangers", "own_children"]

EVERY_SECONDS = 0.04
"""Between two looks. Memory is written at some GB a second: what is too much by then fits."""


class Watch:
    """Looks after a child until it is stopped; does nothing where there is no /proc.

    A limit of the system holds for each process alone, and a hand-in may start many.

    Args:
        pid: the child.
        memory: bytes that it and all that it started may hold together.
        tasks: processes and threads that they may be.
        exceeded: called once, from a thread of the watch, with the finding's code.
    """

    def __init__(self, pid: int, memory: int, tasks: int, exceeded: Callable[[str], None]) -> None:
        self._pid, self._memory, self._tasks = pid, memory, tasks
        self._exceeded = exceeded
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)
        self.peak = 0
        """The most bytes seen, those that several share counted in each."""
        if Path("/proc/self/statm").exists():
            self._thread.start()

    def stop(self) -> None:
        """Look no longer."""
        self._stopped.set()

    def _look(self) -> None:
        """Look until stopped, or until there is too much."""
        while not self._stopped.wait(EVERY_SECONDS):
            processes, tasks = _tree(self._pid)
            held = sum(map(_resident, processes))
            self.peak = max(self.peak, held)
            code = ""
            # What processes share after a fork is counted once, where it matters: that is slow.
            if held > self._memory and sum(map(_share, processes)) > self._memory:
                code = "out-of-memory"
            elif tasks > self._tasks:
                code = "too-many-processes"
            if code:
                self._exceeded(code)
                return


def own_children() -> set[int]:
    """The processes whose parent is this one."""
    return _children(os.getpid())


def end_strangers(known: set[int]) -> None:
    """End every child of this process that is not known, and what it started.

    Orphans of a hand-in come to be our children where `PR_SET_CHILD_SUBREAPER` is set.
    """
    for _ in range(100):  # each of them may have just started another
        strangers = own_children() - known
        if not strangers:
            return
        for stranger in strangers:
            for process in _tree(stranger)[0]:
                with contextlib.suppress(OSError):
                    os.kill(process, signal.SIGKILL)
            with contextlib.suppress(OSError):
                os.waitpid(stranger, 0)


def _tree(pid: int) -> tuple[list[int], int]:
    """A process and all that descend from it, and how many processes and threads they are."""
    processes, tasks, todo = [], 0, [pid]
    while todo:
        process = todo.pop()
        with contextlib.suppress(OSError):
            tasks += len(os.listdir(f"/proc/{process}/task"))
            processes.append(process)
            todo += _children(process)
    return processes, tasks


def _children(pid: int) -> set[int]:
    """The processes that the threads of a process started."""
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                text = Path(f"/proc/{pid}/task/{task}/children").read_text(encoding="ascii")
                found.update(map(int, text.split()))
    return found


def _resident(pid: int) -> int:
    """The bytes of memory that a process has, shared or not; 0 where it has ended."""
    try:
        words = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    except OSError:
        return 0
    return int(words[1]) * os.sysconf("SC_PAGE_SIZE")


def _share(pid: int) -> int:
    """The bytes of a process, what several share divided among them."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
        line = next(line for line in text.splitlines() if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return _resident(pid)
    return int(line.split()[1]) * 1024
