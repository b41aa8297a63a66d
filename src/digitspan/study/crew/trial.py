"""Tries each cell of one's own in a process of its own: a study's own process imports none."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from multiprocessing.connection import Connection

from digitspan.errors import UsageError, printable
from digitspan.runs.config import RunConfig
from digitspan.study.crew.pool import begin_process, how_it_ended
from digitspan.study.crew.worker import refusal

__all__ = ["try_apart"]


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
