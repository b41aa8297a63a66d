"""A run as data: its configuration, its record, its name. Torch is not needed to read them."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Self

from digitspan.cells import CELLS, check_cell, check_initialisation
from digitspan.errors import ConfigError, UsageError, one_of

__all__ = [
    "CHANCE",
    "ENCODINGS",
    "END_STATES",
    "NUM_CLASSES",
    "OPTIMIZERS",
    "SOLVED_ACCURACY",
    "TASKS",
    "CurvePoint",
    "RunConfig",
    "RunRecord",
    "TaskFacts",
    "check_size",
    "check_task",
    "setting",
]

NUM_CLASSES = 10
"""K: the digits 0 to 9."""

CHANCE = 1 / NUM_CLASSES
"""The accuracy of guessing: every digit stands first equally often in what is tested."""

SOLVED_ACCURACY = 0.99
"""Two evaluations in a row at this accuracy end a run as solved."""

ENCODINGS = {"one-hot": 10, "scalar": 1}
"""How a digit is fed in, and the input size d it takes."""

OPTIMIZERS = ("rmsprop", "adam", "sgd", "momentum")
"""RMSprop is the sheet's; the others are for Question 1.4 (momentum is SGD with 0.9)."""

_ADDED: dict[str, Any] = {"curriculum": False, "task": "palindrome"}
"""Settings that came later: left out at their default, so that older runs keep their keys."""


class TaskFacts(NamedTuple):
    """What must be known of a task before it is drawn."""

    symbols: int
    """How many there are: the input size where they are one-hot."""
    answers: int
    """How many of them can be right; guessing is, once in so many."""


TASKS = {"palindrome": TaskFacts(10, NUM_CLASSES), "first-symbol": TaskFacts(54, 2)}
"""What is asked; digitspan.tasks draws it."""

TRAINED = ("all", "read-out", "none")
"""What is trained: everything; W_ph and b_p alone (a control); nothing, the best guess is kept."""

END_STATES = ("solved", "plateau", "budget", "diverged", "oom", "crashed")
"""How a run can end (docs/protocol.md); only the first counts as solved."""


def setting(
    default: Any, text: str, *, least: float | None = None, above: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:  # fmt: skip
    """A dataclass field with its help text and its range, both for `--help` and for the check.

    Args:
        default: the value where none is given; `dataclasses.MISSING` where one must be.
        text: the help text.
        least: the smallest value allowed.
        above: the largest value no longer allowed.
        choices: the words allowed.
    """
    metadata = {"help": text, "least": least, "above": above, "choices": choices}
    return dataclasses.field(default=default, metadata=metadata)


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
    seed: int = setting(0, "of the start and of the data", least=0)
    learning_rate: float = setting(1e-3, "of the optimiser", above=0)
    encoding: str = setting("one-hot", "how a digit is fed in", choices=tuple(ENCODINGS))
    initialisation: str = setting("uniform", "the start (docs/glossary.md lists them)")
    optimizer: str = setting("rmsprop", "the optimiser", choices=OPTIMIZERS)
    hidden_size: int = setting(128, "n, the number of units", least=1)
    batch_size: int = setting(128, "palindromes a training step", least=1)
    train_steps: int = setting(10_000, "the budget; a solved run stops earlier", least=1)
    max_grad_norm: float = setting(10.0, "clip the gradients to this norm", above=0)
    trained: str = setting("all", "which parameters are trained (controls)", choices=TRAINED)
    curriculum: bool = setting(False, "begin at T = 5; the length grows when the network holds it")
    task: str = setting("palindrome", "what is asked (docs/glossary.md)", choices=tuple(TASKS))

    def __post_init__(self) -> None:
        if ":" in str(self.cell) and self.initialisation == "uniform":
            object.__setattr__(self, "initialisation", "own")
        check_settings(self)
        for name in ("learning_rate", "max_grad_norm"):  # 1 and 1.0 are the same run
            object.__setattr__(self, name, float(getattr(self, name)))
        check_cell(self.cell)
        check_initialisation(self.cell, self.initialisation)
        check_task(self.task, (self.encoding,), (self.length,))

    @property
    def input_size(self) -> int:
        """d: the number of symbols, 10 for digits; 1 for digits as numbers."""
        return 1 if self.encoding == "scalar" else TASKS[self.task].symbols

    @property
    def chance(self) -> float:
        """How often guessing is right, in [0, 1]."""
        return 1 / TASKS[self.task].answers

    @functools.cached_property
    def canonical(self) -> str:
        """The configuration as JSON, always the same text for the same configuration."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        for name, default in _ADDED.items():
            if values[name] == default:
                del values[name]
        return json.dumps(values, sort_keys=True, separators=(",", ":"))

    @functools.cached_property
    def key(self) -> str:
        """The first 12 hex digits of the SHA-256 of the canonical configuration."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()[:12]

    @property
    def run_id(self) -> str:
        """A name for people: `lstm-T015-lr0.001-seed2`."""
        cell = self.cell.replace(":", ".")
        return f"{cell}-T{self.length:03d}-lr{self.learning_rate:g}-seed{self.seed}"

    @classmethod
    def from_canonical(cls, text: str) -> Self:
        """The configuration that `canonical` came from."""
        return cls(**json.loads(text))


def check_settings(config: Any) -> None:
    """Refuse a dataclass made of `setting` fields whose values are out of their ranges.

    Raises:
        ConfigError: naming the setting, the range and the value.
    """
    for field in dataclasses.fields(config):
        check_setting(field, getattr(config, field.name))


def check_setting(field: dataclasses.Field[Any], value: object) -> None:
    """Refuse one value that is out of its `setting`'s range.

    Raises:
        ConfigError: naming the setting, the range and the value.
    """
    metadata = field.metadata
    if metadata.get("choices") and value not in metadata["choices"]:
        raise ConfigError(field.name, one_of(value, metadata["choices"]))
    if field.default is False and not isinstance(value, bool):
        raise ConfigError(field.name, f"must be true or false; got {value!r:.80}")
    if metadata.get("least") is not None:
        least = metadata["least"]
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            expected = f"must be a whole number from {least} on"
            raise ConfigError(field.name, f"{expected}; got {value!r:.80}")
        if value >= 2**63:
            raise ConfigError(field.name, f"must be below 2^63; got {value!r:.80}")
    if metadata.get("above") is not None:
        above = metadata["above"]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not above < value <= sys.float_info.max:  # type: ignore[operator]
            raise ConfigError(field.name, f"must be above {above} and finite; got {value!r:.80}")


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


class CurvePoint(NamedTuple):
    """What one evaluation saw."""

    step: int
    """Training steps done."""
    loss: float
    """Cross-entropy of the training batch, in nats."""
    validation_loss: float
    """Cross-entropy on the validation palindromes, in nats."""
    validation_accuracy: float
    """Share of validation palindromes answered right, in [0, 1]."""
    length: int = 0
    """The length trained at and evaluated; 0 in a record of before there was a curriculum."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What came of one run. Two runs of one configuration on one machine have equal records."""

    config: RunConfig
    """What was run."""
    end_state: str
    """One of `END_STATES`."""
    steps: int
    """Training steps done; for a diverged run, the step at which that was seen."""
    accuracy: float | None
    """Share of the palindromes tested that were answered right, in [0, 1]; None: not tested."""
    accuracy_low: float | None
    """Lower end of the 95 % Wilson interval; None where all there are were tested."""
    accuracy_high: float | None
    """Upper end of it."""
    tested: int
    """Palindromes tested."""
    held_out: int
    """How many of these were kept out of training: all of them, or none where T <= 4."""
    bits: float | None
    """Memory: I(x_1; prediction), of log2 10 = 3.32 bits."""
    masked_right: int | None
    """Mask control: right answers to palindromes whose x_1 was replaced (chance is right)."""
    masked_tested: int | None
    """Mask control: palindromes tested."""
    loss: float | None
    """The last finite training loss, in nats."""
    clipped_share: float | None
    """Share of the training steps whose gradient was clipped, in [0, 1]."""
    curve: tuple[CurvePoint, ...]
    """The evaluations."""
    weights_sha256: str | None
    """Of the weights' file; None where there are none to keep."""
    environment: Mapping[str, str]
    """Versions, CPU capability, threads, device: what else decides the bits."""
    note: str = ""
    """What went wrong, in a sentence, where something did."""

    @property
    def solved(self) -> bool:
        """Whether the run counts as solved."""
        return self.end_state == "solved"

    @property
    def grown_to(self) -> int:
        """The longest length it was trained at: T, or what a curriculum had come to."""
        return max((point.length for point in self.curve), default=0) or self.config.length

    def to_json(self, *, curve: bool = True) -> dict[str, Any]:
        """The record as plain values: the configuration's fields, then its own."""
        fields = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in ("config", "curve")
        }
        document = dataclasses.asdict(self.config) | fields
        document["environment"] = dict(self.environment)
        if curve:
            document["curve"] = [list(point) for point in self.curve]
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The record that `to_json` came from."""
        names = [field.name for field in dataclasses.fields(RunConfig)]
        settings = {name: {**_ADDED, **document}[name] for name in names}
        fields = {
            field.name: document[field.name]
            for field in dataclasses.fields(cls)
            if field.name not in ("config", "curve")
        }
        curve = tuple(CurvePoint(*point) for point in document.get("curve", ()))
        return cls(config=RunConfig(**settings), curve=curve, **fields)

    @classmethod
    def crashed(cls, config: RunConfig, note: str, end_state: str = "crashed") -> Self:
        """The record of a run that came to no end."""
        return cls(
            config=config,
            end_state=end_state,
            steps=0,
            accuracy=None,
            accuracy_low=None,
            accuracy_high=None,
            tested=0,
            held_out=0,
            bits=None,
            masked_right=None,
            masked_tested=None,
            loss=None,
            clipped_share=None,
            curve=(),
            weights_sha256=None,
            environment={},
            note=note,
        )


def check_size(config: RunConfig) -> None:
    """Refuse a training that cannot fit into memory, or would outlast a year, before it starts.

    Both are estimates from below: activations and optimiser in float32, 10^11 operations a second.

    Raises:
        UsageError: with the size it would take.
    """
    gates = CELLS[config.cell].gates if config.cell in CELLS else 1
    n, d, steps_in = config.hidden_size, config.input_size, config.length - 1
    weights = gates * n * (n + d + 1) + NUM_CLASSES * (n + 1)
    activations = config.batch_size * steps_in * (d + 2 * gates * n)
    memory = 4 * (4 * weights + activations)
    available = _physical_memory()
    if memory > available:
        message = (
            f"training {config.cell} at T = {config.length:,}, hidden size {n:,}, batch size "
            f"{config.batch_size:,} takes about {memory / 2**30:,.1f} GiB of memory, and this "
            f"machine has {available / 2**30:,.1f} GiB; choose a smaller one"
        )
        raise UsageError(message)
    operations = 6 * config.batch_size * steps_in * gates * n * (n + d) * config.train_steps
    days = operations / 1e11 / 86400
    if days > 365:
        message = (
            f"training {config.cell} at T = {config.length:,}, hidden size {n:,} for "
            f"{config.train_steps:,} steps takes about {days:,.0f} days or more; choose a smaller "
            f"one, at most a year is begun"
        )
        raise UsageError(message)


def _physical_memory() -> int:
    """This machine's memory in bytes; 16 GiB where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 16 * 2**30
