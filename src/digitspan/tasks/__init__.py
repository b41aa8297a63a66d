"""What is asked of a network: the tasks and their registry, which itself needs no torch."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from digitspan.errors import ConfigError

if TYPE_CHECKING:
    import torch

    from digitspan.tasks.questions import HeldOut, Questions

__all__ = [
    "CHANCE",
    "LISTS_HELD_OUT_FROM",
    "NUM_CLASSES",
    "ORDERS",
    "SILENT",
    "TASKS",
    "Task",
    "TaskModule",
    "check_task",
]

NUM_CLASSES = 10
"""K: the digits 0 to 9."""

CHANCE = 1 / NUM_CLASSES
"""The accuracy of guessing: every digit stands first equally often in what is tested."""

SILENT = 10
"""The symbol that stands in a silent step, after the ten digits; -1 where digits are numbers."""

LISTS_HELD_OUT_FROM = 4
"""Items L from which lists are held out: of fewer there are too few."""

ORDERS = ("backward", "forward")
"""In which a list is said again."""


class TaskModule(Protocol):
    """What the module of a task draws."""

    def draw_batches(
        self, length: int, batches: int, size: int, generator: torch.Generator,
        device: torch.device,
    ) -> list[Questions]:  # fmt: skip
        """Batches to train on, by T, how many, their size B, a generator and its device."""

    def held_out(self, length: int, part: str) -> HeldOut:
        """The fixed "validation" or "test" part of a length, on the CPU."""


class Task(NamedTuple):
    """What must be known of a task before anything of it is drawn."""

    symbols: int
    """How many there are: the input size where they are one-hot."""
    answers: int
    """How many of them can be right; guessing is right once in so many."""
    keeps_apart: bool
    """Whether test sequences were kept out of training by a rule."""
    module: str
    """The file of this folder that draws it."""
    asks_lists: bool = False
    """Whether whole lists are asked, of L items with T = 2 L, and not one digit alone."""

    def load(self, order: str = ORDERS[0]) -> TaskModule:
        """What draws it, in one of `ORDERS` where it has them; this imports torch."""
        module = importlib.import_module(f"digitspan.tasks.{self.module}")
        if self.asks_lists:
            return cast("TaskModule", module.Recall(order, silent=self.symbols > SILENT))
        return cast("TaskModule", module)


TASKS = {
    "palindrome": Task(10, NUM_CLASSES, keeps_apart=True, module="palindrome"),
    "recall": Task(SILENT + 1, NUM_CLASSES, keeps_apart=True, module="recall", asks_lists=True),
    "next-digit": Task(10, NUM_CLASSES, keeps_apart=True, module="recall", asks_lists=True),
    "first-symbol": Task(54, 2, keeps_apart=False, module="first_symbol"),
}


def check_task(task: str, encodings: Iterable[str], lengths: Iterable[int]) -> None:
    """Refuse what a task other than the palindrome does not allow.

    Raises:
        ConfigError: naming the setting.
    """
    if task == "palindrome":
        return
    if TASKS[task].asks_lists:
        for length in lengths:
            if length % 2:
                got = f"must be even for the task {task}, twice its items; got {length}"
                raise ConfigError("length", got)
        return
    for encoding in encodings:
        if encoding != "one-hot":
            raise ConfigError("encoding", f"must be one-hot for the task {task}; got {encoding}")
    for length in lengths:
        if length < 5:
            raise ConfigError("length", f"must be 5 or more for the task {task}; got {length}")
