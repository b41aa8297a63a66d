"""A study's configuration: what is asked for, from presets, options or a TOML file."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any, Self

from digitspan.cells import CELLS, INITIALISATIONS, check_cell, check_initialisation
from digitspan.errors import ConfigError, one_of
from digitspan.runs.config import ENCODINGS, OPTIMIZERS
from digitspan.runs.settings import check_setting, setting
from digitspan.tasks import TASKS, check_task

__all__ = ["PRESETS", "StudyConfig", "fitting_initialisations"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """A grid of runs. One value an option: what is not given is the preset's.

    Raises:
        ConfigError: where a value is out of its range.
    """

    cells: tuple[str, ...] = setting(
        ("rnn", "lstm"), f"cells: {', '.join(CELLS)}, or classes of your own, module:Class"
    )
    lengths: tuple[int, ...] = setting((5, 10, 20, 40), "palindrome lengths T", least=2)
    seeds: int = setting(3, "final runs per length", least=1)
    learning_rates: tuple[float, ...] = setting((1e-3,), "learning rates", above=0)
    tuning_seeds: int = setting(
        0, "choose the rate by so many runs each; 0: every rate is measured", least=0
    )
    fixed_rate: float | None = setting(
        None, "when tuning, also measure this rate at every length", above=0
    )
    encoding: tuple[str, ...] = setting(("one-hot",), "encodings", choices=tuple(ENCODINGS))
    initialisation: tuple[str, ...] = setting(("uniform",), "initialisations (docs/glossary.md)")
    optimizer: str = setting("rmsprop", "the optimiser", choices=OPTIMIZERS)
    train_steps: int = setting(10_000, "the budget of a run", least=1)
    hidden_size: int = setting(128, "n, the number of units", least=1)
    batch_size: int = setting(128, "palindromes per training step", least=1)
    max_grad_norm: float = setting(10.0, "clip gradients to this norm", above=0)
    compared_optimizers: tuple[str, ...] = setting(
        (), "further optimisers, at the shortest length (Question 1.4)", choices=OPTIMIZERS
    )
    compared_rates: tuple[float, ...] = setting((), "learning rates for them", above=0)
    curriculum: bool = setting(False, "begin at T = 5; the length grows once it is learned")
    task: str = setting("palindrome", "what is asked (docs/glossary.md)", choices=tuple(TASKS))
    controls: bool = setting(False, "also run the controls: read-out only, and guessing")
    adaptive: bool = setting(False, "place lengths where they tell most, between the ones given")
    climb: bool = setting(
        False, "from the shortest length up, only as far as four of five runs are solved"
    )
    preset: str = setting("own", "which preset it began as")
    note: str = setting("", "what was cut against the protocol; stands on the figures")

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _checked(field, getattr(self, field.name)))
        for cell in self.cells:
            with _of_setting("cells"):
                check_cell(cell)
        for name in self.initialisation:
            if name not in INITIALISATIONS:
                raise ConfigError("initialisation", one_of(name, INITIALISATIONS))
            if not any(_fits(name, cell) for cell in self.cells):
                check_initialisation(self.cells[0], name)
        for cell in self.cells:
            if not fitting_initialisations(cell, self.initialisation):
                check_initialisation(cell, self.initialisation[0])
        with _of_setting("encoding"):
            check_task(self.task, self.encoding, ())
        with _of_setting("lengths"):
            check_task(self.task, (), self.lengths)
        if self.adaptive and self.climb:
            raise ConfigError("climb", "must not be given with adaptive; got both")
        if self.adaptive and len(self.lengths) < 2:
            raise ConfigError("lengths", "must be two or more with adaptive; got one")

    @property
    def canonical(self) -> str:
        """The configuration as JSON."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_words(cls, words: Mapping[str, Any], base: Self | None = None) -> Self:
        """A configuration from words and values, as a TOML file or the store has them.

        Args:
            words: names of settings (`-` and `_` are the same) and their values.
            base: where the others come from, by default this class's defaults. Where the words
                name other cells and no initialisations, it keeps those of them that fit one.

        Raises:
            ConfigError: for an unknown word, naming the nearest known one, for a word that is
                there twice, and for a value of the wrong type or out of its range.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}
        values: dict[str, Any] = {}
        for word, value in words.items():
            name = word.replace("-", "_")
            if name not in fields:
                raise ConfigError(word, f"is no word of a study: it {one_of(name, fields)}")
            if name in values:
                raise ConfigError(name, "must be given once; got it with - and with _")
            is_list = isinstance(fields[name].default, tuple)
            values[name] = (value,) if is_list and not isinstance(value, list | tuple) else value
        if base is None:
            return cls(**values)
        if "initialisation" not in values and "cells" in values:
            cells = [str(cell) for cell in values["cells"]]
            fitting = [
                name for name in base.initialisation if any(_fits(name, cell) for cell in cells)
            ]
            values["initialisation"] = fitting or base.initialisation
        return dataclasses.replace(base, **values)


def quick() -> StudyConfig:
    """A few minutes on two cores, three seeds: a quick look, no claim."""
    return StudyConfig(
        preset="quick",
        learning_rates=(1e-3, 1e-2),
        train_steps=2_000,
        compared_optimizers=("sgd", "momentum", "adam"),
        compared_rates=(1e-3, 1e-2, 1e-1),
        note="quick look, 3 seeds: no claim",
    )


def sheet() -> StudyConfig:
    """Questions 1.3 and 1.6 as the sheet asks them: digits as numbers, the template's defaults."""
    return StudyConfig(
        preset="sheet",
        lengths=(5, 10, 15, 20, 30, 40, 60, 80),
        seeds=10,
        learning_rates=(1e-3, 3e-3, 1e-2),
        tuning_seeds=2,
        fixed_rate=1e-3,
        encoding=("scalar",),
        train_steps=2_000,
        compared_optimizers=("sgd", "momentum", "adam"),
        compared_rates=(1e-3, 1e-2, 1e-1),
        controls=True,
        note="cut against the protocol: budget 2,000 steps, 3 rates, 2 tuning and 10 final seeds",
    )


def full() -> StudyConfig:
    """The protocol's whole size: 20 seeds, both encodings, seven rates. Days on two cores."""
    return StudyConfig(
        preset="full",
        lengths=(5, 7, 10, 14, 20, 28, 40, 57, 80, 113, 160),
        seeds=20,
        learning_rates=(1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
        tuning_seeds=3,
        fixed_rate=1e-3,
        encoding=("one-hot", "scalar"),
        train_steps=10_000,
        compared_optimizers=("sgd", "momentum", "adam"),
        compared_rates=(1e-4, 1e-3, 1e-2, 1e-1),
        controls=True,
    )


def records() -> StudyConfig:
    """How far each cell and initialisation can be brought: five seeds, from length to length."""
    return StudyConfig(
        preset="records",
        cells=tuple(CELLS),
        lengths=(5, 10, 30, 100, 300, 1_000),
        seeds=5,
        learning_rates=(1e-4, 1e-3),
        initialisation=("uniform", "normal", "orthogonal", "identity", "forget-bias-1", "chrono"),
        optimizer="adam",
        train_steps=5_000,
        hidden_size=64,
        batch_size=64,
        max_grad_norm=0.01,
        curriculum=True,
        climb=True,
    )


PRESETS = {"quick": quick, "sheet": sheet, "full": full, "records": records}


def fitting_initialisations(cell: str, initialisations: tuple[str, ...]) -> tuple[str, ...]:
    """The initialisations that fit a cell; a cell of one's own has its own."""
    if cell not in CELLS:
        return ("own",)
    return tuple(name for name in initialisations if name in CELLS[cell].initialisations)


_NUMBERS = ("lengths", "learning_rates", "compared_rates")
"""Lists that are sorted: the same grid has the same configuration."""

_MAY_BE_EMPTY = ("compared_optimizers", "compared_rates")


def _checked(field: dataclasses.Field[Any], value: Any) -> Any:
    """A value as the configuration keeps it: lists sorted and without doubles, rates as floats."""
    if value is None and field.default is None:
        return None
    if not isinstance(field.default, tuple):
        return _checked_item(field, value)
    if not isinstance(value, list | tuple):
        raise ConfigError(field.name, f"must be a list; got {repr(value)[:80]}")
    unique = dict.fromkeys(_checked_item(field, item) for item in value)
    if not unique and field.name not in _MAY_BE_EMPTY:
        raise ConfigError(field.name, "must name at least one; got none")
    return tuple(sorted(unique) if field.name in _NUMBERS else unique)


def _checked_item(field: dataclasses.Field[Any], value: Any) -> Any:
    """One value, or one of a list."""
    check_setting(field, value)
    if field.metadata["above"] is not None:
        return float(value)  # 1 and 1.0 are the same rate
    is_text = field.metadata["least"] is None and not isinstance(field.default, bool)
    if is_text and not isinstance(value, str):
        raise ConfigError(field.name, f"must be text; got {repr(value)[:80]}")
    return value


def _fits(name: str, cell: str) -> bool:
    """Whether an initialisation can be meant for a cell; one's own cells have their own."""
    return name in CELLS[cell].initialisations if cell in CELLS else name in ("own", "uniform")


@contextlib.contextmanager
def _of_setting(name: str) -> Iterator[None]:
    """Let what is wrong with one run's setting be said of the study's setting."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(name, error.problem) from error
