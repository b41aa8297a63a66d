"""What is asked of a network: the tasks and their registry, which itself needs no torch."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from digitspan.errors import ConfigError

if TYPE_CHECKING:
    import torch

    from digitspan.tasks.questions import HeldOut, Questions

__all__ = ["CHANCE", "NUM_CLASSES", "TASKS", "Task", "TaskModule", "check_task"]

NUM_CLASSES = 10
"""K: the digits 0 to 9."""

CHANCE = 1 / NUM_CLASSES
"""The accuracy of guessing: every digit stands first equally often in what is tested."""


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

    def load(self) -> TaskModule:
        """The module that draws it; this imports torch."""
        return cast("TaskModule", importlib.import_module(f"digitspan.tasks.{self.module}"))


TASKS = {
    "palindrome": Task(10, NUM_CLASSES, keeps_apart=True, module="palindrome"),
    "first-symbol": Task(54, 2, keeps_apart=False, module="first_symbol"),
}


def check_task(task: str, encodings: Iterable[str], lengths: Iterable[int]) -> None:
    """Refuse what a task other than the palindrome does not allow.

    Raises:
        ConfigError: naming the setting.
    """
    if task == "palindrome":
        return
    for encoding in encodings:
        if encoding != "one-hot":
            raise ConfigError("encoding", f"must be one-hot for the task {task}; got {encoding}")
    for length in lengths:
        if length < 5:
            raise ConfigError("length", f"must be 5 or more for the task {task}; got {length}")
