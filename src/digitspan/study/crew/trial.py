"""Tries each cell of one's own in a process of its own: a study's own process imports none."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from multiprocessing.connection import Connection

from digitspan.errors import UsageError, printable
from digitspan.runs.config import RunConfig
from digitspan.study.config import StudyConfig
from digitspan.study.crew.pool import begin_process, how_it_ended
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
    by_cell: dict[str, list[str]] = defaultdict(list)
    for config in configs:
        by_cell[config.cell].append(config.canonical)
    for cell, texts in by_cell.items():
        process, pipe = begin_process(_try, texts, device)
        try:
            said = json.loads(pipe.recv_bytes())
        except (EOFError, ConnectionError):
            process.join()
            message = (
                f"cell {cell!r} ended the process that tried it ({how_it_ended(process)}); "
                f"expected a class that can be built and asked"
            )
            raise UsageError(message) from None
        finally:
            process.kill()
            process.join()
            pipe.close()
        if "refused" in said:
            raise refusal(said)


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
    process, pipe = begin_process(
        _size, [run.canonical for run in runs.values()], config.parameters
    )
    try:
        said = json.loads(pipe.recv_bytes())
    except (EOFError, ConnectionError):
        process.join()
        message = f"a cell ended the process that built it ({how_it_ended(process)})"
        raise UsageError(message) from None
    finally:
        process.kill()
        process.join()
        pipe.close()
    if "refused" in said:
        raise refusal(said)
    pairs = zip(runs, said["sizes"], strict=True)
    sizes = tuple(f"{cell} {encoding} {size}" for (cell, encoding), size in pairs)
    return dataclasses.replace(config, sizes=sizes)


def _size(pipe: Connection, texts: Sequence[str], parameters: int) -> None:
    """Find the hidden size of each run, and say which."""
    with contextlib.suppress(OSError):
        os.dup2(2, 1)  # standard output is the study's
    sys.dont_write_bytecode = True  # a call that is refused leaves nothing behind
    from digitspan.training.sizes import hidden_size_for

    message: dict[str, object] = {}
    try:
        runs = [RunConfig.from_canonical(text) for text in texts]
        message = {"sizes": [hidden_size_for(run, parameters)[0] for run in runs]}
    except UsageError as error:
        message = {"refused": str(error), "exit_status": error.exit_status}
    except Exception as error:  # whatever the code of somebody else may raise
        said = printable(f"{type(error).__name__}: {error}")[:300]
        message = {"refused": f"a hidden size cannot be found ({said})", "exit_status": 2}
    pipe.send_bytes(json.dumps(message).encode())


def _try(pipe: Connection, texts: Sequence[str], device: str) -> None:
    """Try runs of one cell, and say what came of it."""
    with contextlib.suppress(OSError):
        os.dup2(2, 1)  # standard output is the study's
    sys.dont_write_bytecode = True  # a call that is refused leaves nothing behind
    from digitspan.training.machine import find_device
    from digitspan.training.trial import try_run

    message: dict[str, object] = {}
    try:
        for text in texts:
            try_run(RunConfig.from_canonical(text), find_device(device))
    except UsageError as error:
        message = {"refused": str(error), "exit_status": error.exit_status}
    except Exception as error:  # whatever the code of somebody else may raise
        said = printable(f"{type(error).__name__}: {error}")[:300]
        cell = RunConfig.from_canonical(texts[0]).cell
        message = {"refused": f"cell {cell!r} cannot be tried ({said})", "exit_status": 2}
    pipe.send_bytes(json.dumps(message).encode())
