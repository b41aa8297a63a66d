"""Runs code of somebody else's in a process of its own, which tells what came of it as JSON.

A module may change torch, or Python, for its whole process. So what is asked of the networks of a
cell of one's own is found out in a process that no other cell's networks are asked in.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from json import dumps  # as it is now: a module may put another in its place
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, Protocol, Self

from digitspan.errors import UsageError, said_by
from digitspan.runs.config import RunConfig
from digitspan.study.crew.pool import begin_process, hear, how_it_ended, seal_of
from digitspan.study.crew.worker import end_with_parent

__all__ = ["Apart", "Ask", "here", "set_apart"]


class Ask(Protocol):
    """Lets a function find something out about the network of a run, and gives what it found."""

    def __call__(self, config: RunConfig, work: Callable[..., Any], *arguments: object) -> Any:
        """Give `work(*arguments)`, a plain value, as JSON has them."""
        ...


def here(config: RunConfig, work: Callable[..., Any], *arguments: object) -> Any:
    """Find it out in this process; for cells that are digitspan's."""
    return work(*arguments)


class Apart:
    """The processes of cells of one's own, each begun when it is first asked, ended on leaving."""

    def __init__(self) -> None:
        self._processes: dict[str, tuple[SpawnProcess, Connection]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Leave no process behind."""
        for process, pipe in self._processes.values():
            process.kill()
            process.join()
            pipe.close()
        self._processes.clear()

    def ask(
        self,
        config: RunConfig,
        work: Callable[..., Any],
        *arguments: object,
        on_step: Callable[[int], None] | None = None,
    ) -> Any:
        """Find something out about a network: of a built-in cell here, of any other apart.

        Args:
            config: the network's run.
            work: a function of digitspan's, found by its name; gives plain values, as JSON has
                them.
            *arguments: what it is given.
            on_step: is told numbers on the way, if `work` takes it.

        Raises:
            UsageError: what `work` refuses; and whatever else the code of a cell of one's own
                may do.
        """
        if config.is_own:
            return self.run(config, work, *arguments, on_step=on_step)
        return work(*arguments, **({"on_step": on_step} if on_step else {}))

    def run(
        self,
        config: RunConfig,
        work: Callable[..., Any],
        *arguments: object,
        on_step: Callable[[int], None] | None = None,
    ) -> Any:
        """As `ask`, but never here: those of all built-in cells share a process."""
        seal, name = seal_of(config), f"cell {config.cell!r}"
        if seal not in self._processes:
            self._processes[seal] = begin_process(_answer)
        process, pipe = self._processes[seal]
        with contextlib.suppress(BrokenPipeError, ConnectionError):  # heard below
            pipe.send((work, arguments, on_step is not None))
        while (said := hear(pipe)) is not None and "step" in said:
            if on_step is not None:
                on_step(said["step"])
        if said is None:
            process.join()
            message = (
                f"{name} ended the process that tried it ({how_it_ended(process)}); expected a "
                f"class that can be built and asked"
            )
            raise UsageError(message)
        if "refused" in said:
            raise UsageError(str(said["refused"]))
        if "found" not in said:
            failed = said.get("failed", "its process said what is no message of digitspan's")
            message = f"{name} cannot be tried ({failed})"
            raise UsageError(message)
        return said["found"]


def set_apart() -> None:
    """Set up a process in which code of somebody else's is tried."""
    with contextlib.suppress(OSError):
        os.dup2(2, 1)  # standard output is the command's
    end_with_parent()
    sys.dont_write_bytecode = True  # a call that is refused leaves nothing behind


def _answer(pipe: Connection) -> None:
    """Find out what is asked through the pipe, until it closes."""
    set_apart()
    import torch

    torch.set_num_threads(1)  # of networks this small a second one costs more than it saves

    def tell(message: dict[str, Any]) -> None:
        pipe.send_bytes(dumps(message).encode())

    while True:
        try:
            work, arguments, is_told = pipe.recv()
        except EOFError:
            return
        steps = {"on_step": lambda step: tell({"step": step})} if is_told else {}
        try:
            message = {"found": work(*arguments, **steps)}
        except UsageError as error:
            message = {"refused": str(error)}
        except Exception as error:  # whatever the code of somebody else may raise
            message = {"failed": said_by(error)[:300]}
        tell(message)
