"""A study's configuration: what is asked for, from presets, options or a TOML file."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, Self

from digitspan.cells import CELLS, check_cell, check_initialisation
from digitspan.errors import ConfigError, one_of
from digitspan.runs import ENCODINGS, OPTIMIZERS, check_setting, setting

__all__ = ["PRESETS", "StudyConfig", "fitting_starts", "full", "quick", "sheet"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """A grid of runs. One value an option: what is not given is the preset's.

    Raises:
        ConfigError: where a value is out of its range.
    """

    cells: tuple[str, ...] = setting(("rnn", "lstm"), "cells, or classes of your own")
    lengths: tuple[int, ...] = setting((5, 10, 20, 40), "palindrome lengths T", least=2)
    seeds: int = setting(3, "final runs a length", least=1)
    learning_rates: tuple[float, ...] = setting((1e-3,), "learning rates", above=0)
    tuning_seeds: int = setting(
        0, "choose the rate by so many runs each; 0: every rate is measured", least=0
    )
    fixed_rate: float | None = setting(
        None, "when tuning, also measure this rate at every length", above=0
    )
    encoding: tuple[str, ...] = setting(("one-hot",), "encodings", choices=tuple(ENCODINGS))
    initialisation: tuple[str, ...] = setting(("uniform",), "starts (docs/glossary.md)")
    optimizer: str = setting("rmsprop", "the optimiser", choices=OPTIMIZERS)
    train_steps: int = setting(10_000, "the budget of a run", least=1)
    hidden_size: int = setting(128, "n, the number of units", least=1)
    batch_size: int = setting(128, "palindromes a training step", least=1)
    max_grad_norm: float = setting(10.0, "clip gradients to this norm", above=0)
    compared_optimizers: tuple[str, ...] = setting(
        (), "further optimisers, at the shortest length (Question 1.4)", choices=OPTIMIZERS
    )
    compared_rates: tuple[float, ...] = setting((), "learning rates for them", above=0)
    controls: bool = setting(False, "also run the controls: read-out only, and guessing")
    adaptive: bool = setting(False, "place lengths where they tell most, between the ones given")
    preset: str = setting("own", "which preset it began as")
    note: str = setting("", "what was cut against the protocol; stands on the figures")

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            for item in value if isinstance(value, tuple) else (value,):
                if item is not None:
                    check_setting(field, item)
            if isinstance(value, tuple):
                # Sorted numbers and no doubles: the same grid has the same configuration.
                unique = dict.fromkeys(value)
                numbers = field.name in ("lengths", "learning_rates", "compared_rates")
                object.__setattr__(self, field.name, tuple(sorted(unique) if numbers else unique))
        for name in ("cells", "lengths", "learning_rates", "encoding", "initialisation"):
            if not getattr(self, name):
                raise ConfigError(name, "must name at least one; got none")
        for cell in self.cells:
            check_cell(cell)
            if not fitting_starts(cell, self.initialisation):
                check_initialisation(cell, self.initialisation[0])
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
            base: where the others come from, by default this class's defaults.

        Raises:
            ConfigError: for an unknown word, naming the nearest known one.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}
        values: dict[str, Any] = {}
        for word, value in words.items():
            name = word.replace("-", "_")
            if name not in fields:
                raise ConfigError(word, f"is no word of a study: it {one_of(name, fields)}")
            is_list = isinstance(getattr(cls, name), tuple)
            if is_list:
                values[name] = tuple(value) if isinstance(value, list | tuple) else (value,)
            else:
                values[name] = value
        return dataclasses.replace(base, **values) if base else cls(**values)


def quick() -> StudyConfig:
    """A few minutes on two cores, three seeds: a quick look, no claim."""
    return StudyConfig(
        preset="quick",
        learning_rates=(1e-3, 1e-2),
        train_steps=2_000,
        compared_optimizers=("sgd", "momentum", "adam"),
        compared_rates=(1e-3, 1e-2),
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


PRESETS = {"quick": quick, "sheet": sheet, "full": full}


def fitting_starts(cell: str, initialisations: tuple[str, ...]) -> tuple[str, ...]:
    """The starts that fit a cell; a cell of one's own has its own."""
    if cell not in CELLS:
        return ("own",)
    return tuple(name for name in initialisations if name in CELLS[cell].initialisations)
