"""Tries each cell of one's own in a process of its own: a study's own process imports none."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

from digitspan.errors import UsageError, said_by
from digitspan.runs.config import RunConfig
from digitspan.study.config import StudyConfig
from digitspan.study.crew.pool import begin_process, how_it_ended
from digitspan.study.crew.task_trial import try_tasks_apart
from digitspan.study.crew.worker import refusal
from digitspan.study.plan import next_jobs

__all__ = ["sized_apart", "try_apart"]


def try_apart(configs: Sequence[RunConfig], device: str) -> None:
    """Refuse runs of cells of one's own that could not be trained, or not be kept.

    Args:
        configs: the runs.
        device: a name for `find_device`.

    Raises:
        UsageError: with the first duty that a cell breaks.
    """
    try_tasks_apart(configs)
    by_cell: dict[str, list[str]] = defaultdict(list)
    for config in configs:
        by_cell[config.cell].append(config.canonical)
    for cell, texts in by_cell.items():
        ended = (
            f"cell {cell!r} ended the process that tried it",
            ("; expected a class that can be built and asked"),
        )
        _told_apart(ended, _try, texts, device)


def sized_apart(config: StudyConfig) -> StudyConfig:
    """A study with the hidden sizes that its number of parameters asks for, if it does.

    Args:
        config: with its sources; the longest T is that which a cell is built with, if it is.

    Raises:
        UsageError: where a cell cannot be built, or no hidden size of it comes near.
    """
    if config.parameters is None:
        return config
    runs = {(job.config.cell, job.config.encoding): job.config
            for job in reversed(next_jobs(config, {}))}  # fmt: skip
    texts = [run.canonical for run in runs.values()]
    ended = "a cell ended the process that built it", ""
    said = _told_apart(ended, _size, texts, config.parameters)
    pairs = zip(runs, said["sizes"], strict=True)
    sizes = tuple(f"{cell} {encoding} {size}" for (cell, encoding), size in pairs)
    return dataclasses.replace(config, sizes=sizes)


def _told_apart(
    ended: tuple[str, str], work: Callable[..., None], *arguments: object
) -> dict[str, Any]:
    """What a process of its own tells of its work.

    Args:
        ended: what is said where the process ends before, around how it ended.
        work: is given a pipe, to tell it by, and the arguments.
        *arguments: what else it needs, to be pickled.

    Raises:
        UsageError: where the work is refused, or its process ended.
    """
    process, pipe = begin_process(work, *arguments)
    try:
        said: dict[str, Any] = json.loads(pipe.recv_bytes())
    except (EOFError, ConnectionError):
        process.join()
        message = f"{ended[0]} ({how_it_ended(process)}){ended[1]}"
        raise UsageError(message) from None
    finally:
        process.kill()
        process.join()
        pipe.close()
    if "refused" in said:
        raise refusal(said)
    return said


def _size(pipe: Connection, texts: Sequence[str], parameters: int) -> None:
    """Find the hidden size of each run, and say which."""
    _begin()
    from digitspan.training.sizes import hidden_size_for

    def sizes() -> dict[str, object]:
        runs = [RunConfig.from_canonical(text) for text in texts]
        return {"sizes": [hidden_size_for(run, parameters)[0] for run in runs]}

    _tell(pipe, sizes, "a hidden size cannot be found")


def _try(pipe: Connection, texts: Sequence[str], device: str) -> None:
    """Try runs of one cell, and say what came of it."""
    _begin()
    from digitspan.training.machine import find_device
    from digitspan.training.trial import try_run

    def tried() -> dict[str, object]:
        for text in texts:
            try_run(RunConfig.from_canonical(text), find_device(device))
        return {}

    _tell(pipe, tried, f"cell {RunConfig.from_canonical(texts[0]).cell!r} cannot be tried")


def _begin() -> None:
    """Set up a process that runs the code of somebody else."""
    with contextlib.suppress(OSError):
        os.dup2(2, 1)  # standard output is the study's
    sys.dont_write_bytecode = True  # a call that is refused leaves nothing behind


def _tell(pipe: Connection, work: Callable[[], dict[str, object]], failed: str) -> None:
    """Do the work and tell what came of it; `failed` is said of what it raises."""
    try:
        message = work()
    except UsageError as error:
        message = {"refused": str(error), "exit_status": error.exit_status}
    except Exception as error:  # whatever the code of somebody else may raise
        said = said_by(error)[:300]
        message = {"refused": f"{failed} ({said})", "exit_status": 2}
    pipe.send_bytes(json.dumps(message).encode())
