"""What is run: the configuration that decides how one training ends, its key and its name."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
from typing import Any, Self

from digitspan.cells import CELLS, check_cell, check_initialisation
from digitspan.cells.names import file_name
from digitspan.cells.own import check_source, is_own, source_of, with_length
from digitspan.errors import ConfigError
from digitspan.runs.own_task import facts_of
from digitspan.runs.settings import LARGEST_RATE, check_setting, setting
from digitspan.tasks import (
    NUM_CLASSES,
    ORDERS,
    TASKS,
    Task,
    check_facts,
    check_task,
    is_own_task,
    task_of,
)

__all__ = ["ENCODINGS", "OPTIMIZERS", "SCHEDULES", "TRAINED", "RunConfig", "check_lists"]

ENCODINGS = {"one-hot": 10, "scalar": 1}
"""How a digit is fed in, and the input size d it takes."""

TASK_HELP = (
    f"what is asked (docs/glossary.md): {', '.join(TASKS)}, or a class of your own, module:Class"
)
"""Of the setting `task`."""

OPTIMIZERS = ("rmsprop", "adam", "sgd", "momentum", "adamw")
"""RMSprop is the sheet's; the next three are for Question 1.4 (momentum is SGD with 0.9)."""

SCHEDULES = ("constant", "cosine")
"""How the learning rate goes on: as it is, or down to 0 over the budget along half a cosine."""

_NOT_IN_KEY: dict[str, Any] = {
    "curriculum": False, "task": "palindrome", "order": ORDERS[0], "source": "", "task_facts": "",
    "schedule": "constant",
}  # fmt: skip
"""Settings that are left out of the key at their default: there are rows without them."""

_NAMED_FIRST = ("cell", "length", "learning_rate", "seed")
"""Settings that stand in every run's name."""

_SHORT = {
    "hidden_size": "n",
    "batch_size": "batch",
    "train_steps": "steps",
    "max_grad_norm": "clip",
}
"""What stands for a setting in the name of a run where it is not at its default."""

TRAINED = ("all", "read-out", "none")
"""What is trained: everything; the read-out alone, W_ph and b_p or what a cell of one's own has
in their place (a control); nothing, the best guess is kept."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything that decides how one training ends (on one machine).

    Raises:
        ConfigError: where a value is out of its range.
    """

    cell: str = setting(
        dataclasses.MISSING, f"{', '.join(CELLS)}, or a class of your own, module:Class"
    )
    length: int = setting(
        dataclasses.MISSING, "T, the palindrome's length: T - 1 digits in", least=2
    )
    seed: int = setting(0, "of the initial weights and of the data", least=0)
    learning_rate: float = setting(1e-3, "of the optimiser", above=0, most=LARGEST_RATE)
    encoding: str = setting("one-hot", "how a digit is fed in", choices=tuple(ENCODINGS))
    initialisation: str = setting("uniform", "initial weights (docs/glossary.md lists them)")
    optimizer: str = setting("rmsprop", "the optimiser", choices=OPTIMIZERS)
    schedule: str = setting(
        "constant", "of the learning rate; cosine: to 0 over the budget", choices=SCHEDULES
    )
    hidden_size: int = setting(128, "n, the number of units", least=1)
    batch_size: int = setting(128, "palindromes per training step", least=1)
    train_steps: int = setting(10_000, "the budget; a solved run stops earlier", least=1)
    max_grad_norm: float = setting(10.0, "clip the gradients to this norm", above=0)
    trained: str = setting("all", "which parameters are trained (controls)", choices=TRAINED)
    curriculum: bool = setting(False, "begin short; the length grows once it is learned")
    task: str = setting("palindrome", TASK_HELP)
    order: str = setting(ORDERS[0], "in which the task recall wants a list", choices=ORDERS)
    source: str = setting("", "hash of the source of a class of your own; found by itself")
    task_facts: str = setting("", "what a task of your own says of itself; found by itself")

    def __post_init__(self) -> None:
        if ":" in str(self.cell) and self.initialisation == "uniform":
            object.__setattr__(self, "initialisation", "own")
        for field in dataclasses.fields(self):
            check_setting(field, getattr(self, field.name))
        for name in ("learning_rate", "max_grad_norm"):  # 1 and 1.0 are the same run
            object.__setattr__(self, name, float(getattr(self, name)))
        object.__setattr__(self, "cell", check_cell(self.cell))
        check_initialisation(self.cell, self.initialisation)
        check_source(self.cell, self.source)
        check_task(self.task, (self.encoding,), (self.length,))
        check_facts(self.task, self.task_facts)
        check_lists(self.task, self.order, curriculum=self.curriculum)

    @property
    def items(self) -> int | None:
        """L, where lists are asked: T is twice as much; None where one digit is."""
        asks_lists = not is_own_task(self.task) and TASKS[self.task].asks_lists
        return self.length // 2 if asks_lists else None

    @property
    def is_own(self) -> bool:
        """Whether code of one's own is run for it: of its cell or of its task."""
        return is_own(self.cell) or is_own_task(self.task)

    @property
    def asks(self) -> Task:
        """What is known of its task.

        Raises:
            ConfigError: where that is one's own and was not read yet (`with_source`).
        """
        return task_of(self.task, self.task_facts)

    @property
    def measures_span(self) -> bool:
        """Whether its digit span is measured: lists of any length up to L were trained on."""
        return self.curriculum and self.items is not None and self.trained != "none"

    def with_source(self) -> Self:
        """This run, with what is known now of a cell and a task of one's own, where it lacks it.

        A cell whose constructor asks for `length` is then named `module:Class(length=T)`.

        Raises:
            UsageError: where the module of a class of one's own is not there, or a task does not
                say what it asks.
        """
        run = self
        if is_own(self.cell) and not self.source:
            source = source_of(self.cell).digest
            run = dataclasses.replace(run, cell=with_length(self.cell), source=source)
        if is_own_task(self.task) and not self.task_facts:
            run = dataclasses.replace(run, task_facts=facts_of(self.task))
        return run

    @property
    def input_size(self) -> int:
        """d: the number of symbols, 10 for digits; 1 for digits as numbers."""
        return 1 if self.encoding == "scalar" else self.asks.symbols

    @property
    def num_classes(self) -> int:
        """K: ten digits, or the answers of a task of one's own."""
        return self.asks.answers if is_own_task(self.task) else NUM_CLASSES

    @property
    def chance(self) -> float:
        """How often guessing is right, in [0, 1]: of lists, how often it is right throughout."""
        return float(self.asks.chance ** (self.items or 1))

    @property
    def guessing_loss(self) -> float | None:
        """The loss of guessing, in nats; None of a task of one's own, which does not say it."""
        return None if is_own_task(self.task) else -math.log(self.chance)

    @functools.cached_property
    def canonical(self) -> str:
        """The configuration as JSON, always the same text for the same configuration."""
        # Not `dataclasses.asdict`, which copies deeply: a third of reading a store.
        settings = ((name, getattr(self, name)) for name in self.__dataclass_fields__)
        values = {name: value for name, value in settings if _NOT_IN_KEY.get(name) != value}
        return json.dumps(values, sort_keys=True, separators=(",", ":"))

    @functools.cached_property
    def key(self) -> str:
        """The first 12 hex digits of the SHA-256 of the canonical configuration."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()[:12]

    @property
    def run_id(self) -> str:
        """A name for people: `lstm-T015-lr0.001-seed2`, `lstm-recall-n128-L06-lr0.001-seed0`.

        What is not at its default follows, so that no two runs have one name.
        """
        cell, size = file_name(self.cell), f"T{self.length:03d}"
        named = set(_NAMED_FIRST)
        if self.items is not None:
            task = f"{self.task}-{self.order}" if self.order != ORDERS[0] else self.task
            size = f"{task}-n{self.hidden_size}-L{self.items:02d}"
            named |= {"task", "order", "hidden_size"}
        rate = f"{self.learning_rate:g}"
        rate = rate if float(rate) == self.learning_rate else repr(self.learning_rate)
        name = f"{cell}-{size}-lr{rate}-seed{self.seed}"
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name not in named and value not in (field.default, "own"):
                name += f"-{_short(field.name, value)}"
        return name

    @classmethod
    def from_canonical(cls, text: str) -> Self:
        """The configuration that `canonical` came from."""
        return cls(**json.loads(text))


def check_lists(task: str, order: str, *, curriculum: bool) -> None:
    """Refuse an order of a task that has one alone, and lists that grow where their end is unseen.

    Raises:
        ConfigError: naming the setting.
    """
    if order != ORDERS[0] and task != "recall":
        raise ConfigError("order", f"must be left out of the task {task}; got {order}")
    if curriculum and is_own_task(task):
        expected = "must be left out of a task of one's own, whose lengths do not grow"
        raise ConfigError("curriculum", f"{expected}; got true")
    if curriculum and task == "next-digit":
        expected = "must be left out of the task next-digit: where a list ends is known there"
        raise ConfigError("curriculum", f"{expected} only if all are of one length")


def _short(name: str, value: Any) -> str:
    """A setting in the name of a run: `scalar`, `n64`, `curriculum`."""
    if isinstance(value, str):
        shorter = {"source": value[:6], "task_facts": value[:6], "trained": f"trained-{value}"}
        return shorter.get(name, value.replace(":", "."))
    number = "" if value is True else f"{value:g}" if isinstance(value, float) else str(value)
    return _SHORT.get(name, name) + number
