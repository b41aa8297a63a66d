"""Tries a task of one's own in a process of its own, which its code may end or never leave."""

from __future__ import annotations

import contextlib
import json
import signal
import time
from collections.abc import Iterable
from multiprocessing.connection import Connection

from digitspan.errors import UsageError, said_by
from digitspan.runs.config import RunConfig
from digitspan.study.crew.apart import set_apart
from digitspan.study.crew.pool import begin_process, how_it_ended
from digitspan.tasks import is_own_task

__all__ = ["try_tasks_apart"]

SECONDS = 120
"""Processor time, in seconds, in which a task must be drawn as a run of one length needs it."""


def try_tasks_apart(configs: Iterable[RunConfig], *, seconds: int = SECONDS) -> None:
    """Refuse runs of tasks of one's own that cannot be drawn, whatever their code does.

    Args:
        configs: the runs; those of digitspan's tasks are passed over.
        seconds: of processor time, for each length; no limit on Windows.

    Raises:
        UsageError: which names the task.
    """
    own = {(run.task, run.length): run for run in configs if is_own_task(run.task)}
    for run in own.values():
        process, pipe = begin_process(_try, run.canonical, seconds)
        try:
            refused = json.loads(pipe.recv_bytes())["refused"]
        except (EOFError, ConnectionError):
            process.join()
            how = f"ended the process that tried it ({how_it_ended(process)})"
            if process.exitcode == -getattr(signal, "SIGXCPU", 0):
                how = f"took more than {seconds} s of processor time at T = {run.length:,}"
            refused = (
                f"task {run.task!r} {how}; expected a class that can be built and drawn from (see "
                f"docs/own-task.md)"
            )
        finally:
            process.kill()
            process.join()
            pipe.close()
        if refused:
            raise UsageError(refused)


def _try(pipe: Connection, text: str, seconds: int) -> None:
    """Try the task of one run, and say what is wrong with it; empty where nothing is."""
    set_apart()
    from digitspan.training.own_task import try_task

    run = RunConfig.from_canonical(text)
    _limit(seconds)
    refused = ""
    try:
        try_task(run)
    except UsageError as error:
        refused = str(error)
    except BaseException as error:  # Ctrl-C is held back here: its code has raised that too
        refused = (
            f"task {run.task!r} cannot be drawn at T = {run.length:,} ({said_by(error)[:300]})"
        )
    pipe.send_bytes(json.dumps({"refused": refused}).encode())


def _limit(seconds: int) -> None:
    """Let this process end after so much more processor time."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource  # not on Windows

        _, most = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + seconds, most))
