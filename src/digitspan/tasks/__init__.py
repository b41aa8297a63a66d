"""What is asked of a network: the tasks and their registry, which itself needs no torch."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from digitspan.errors import ConfigError, one_of

if TYPE_CHECKING:
    import torch

    from digitspan.tasks.questions import HeldOut, Questions

__all__ = [
    "CHANCE",
    "ENUMERATED_UP_TO",
    "LISTS_HELD_OUT_FROM",
    "NUM_CLASSES",
    "ORDERS",
    "SILENT",
    "TASKS",
    "Task",
    "TaskModule",
    "check_facts",
    "check_task",
    "is_own_task",
    "task_of",
]

NUM_CLASSES = 10
"""K: the digits 0 to 9."""

CHANCE = 1 / NUM_CLASSES
"""The accuracy of guessing: every digit stands first equally often in what is tested."""

SILENT = 10
"""The symbol that stands in a silent step, after the ten digits; -1 where digits are numbers."""

ENUMERATED_UP_TO = 8
"""The longest length T whose palindromes (10,000 there) are listed, not drawn."""

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
    own_chance: float | None = None
    """How often guessing is right throughout, as a task of one's own says; None of the others."""

    @property
    def chance(self) -> float:
        """How often guessing is right, in [0, 1]; of lists, at one place."""
        return 1 / self.answers if self.own_chance is None else self.own_chance

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


_MOST_SYMBOLS = 10_000
"""Symbols, and answers, that a task of one's own may have: they are one-hot."""


def is_own_task(task: str) -> bool:
    """Whether a name is that of a class of one's own, `module:Class`, and no task of `TASKS`."""
    return ":" in task


def task_of(task: str, facts: str = "") -> Task:
    """What must be known of a task, of the registry or of one's own.

    >>> task_of("mine:Copy", "0123456789abcdef 10 9 1e-09").answers
    9

    Args:
        task: its name.
        facts: of one's own: the hash of its source, symbols, answers and chance, with a space
            between each (`digitspan.runs.own_task.facts_of` finds them).

    Raises:
        ConfigError: where nothing is known of a task of one's own.
    """
    if not is_own_task(task):
        return TASKS[task]
    if not facts:
        raise ConfigError("task", f"{task} is not read yet: `with_source()` of its run reads it")
    _, symbols, answers, chance = facts.split(" ")
    own_chance = float(chance)
    return Task(int(symbols), int(answers), keeps_apart=False, module=task, own_chance=own_chance)


def check_facts(task: str, facts: object) -> None:
    """Refuse facts that are none; a task of the registry has none.

    Raises:
        ConfigError: with what was got.
    """
    if facts == "" and isinstance(facts, str):
        return
    expected = "must be a hash, symbols, answers and chance, and empty for a task of digitspan's"
    parts = facts.split(" ") if isinstance(facts, str) and is_own_task(task) else []
    with contextlib.suppress(ValueError):
        source, symbols, answers, chance = parts
        is_hash = len(source) == 16 and set(source) <= set("0123456789abcdef")
        numbers = 2 <= int(symbols) <= _MOST_SYMBOLS and 2 <= int(answers) <= _MOST_SYMBOLS
        if is_hash and numbers and 0 < float(chance) < 1:
            return
    raise ConfigError("task_facts", f"{expected}; got {facts!r:.80}")


def check_task(task: str, encodings: Iterable[str], lengths: Iterable[int]) -> None:
    """Refuse an unknown task, and what a task other than the palindrome does not allow.

    Raises:
        ConfigError: naming the setting.
    """
    if task == "palindrome":
        return
    if not isinstance(task, str) or (task not in TASKS and not _is_path(task)):
        problem = f"{one_of(task, TASKS)}, or a class of your own, module:Class"
        raise ConfigError("task", problem)
    if is_own_task(task):
        _require_one_hot(task, encodings)
        return
    if TASKS[task].asks_lists:
        for length in lengths:
            if length % 2:
                got = f"must be even for the task {task}, twice its items; got {length}"
                raise ConfigError("length", got)
        return
    _require_one_hot(task, encodings)
    for length in lengths:
        if length < 5:
            raise ConfigError("length", f"must be 5 or more for the task {task}; got {length}")


def _require_one_hot(task: str, encodings: Iterable[str]) -> None:
    for encoding in encodings:
        if encoding != "one-hot":
            raise ConfigError("encoding", f"must be one-hot for the task {task}; got {encoding}")


def _is_path(task: str) -> bool:
    """Whether this can be `module:Class`."""
    module, _, name = task.partition(":")
    return name.isidentifier() and all(part.isidentifier() for part in module.split("."))
