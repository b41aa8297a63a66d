"""What a study runs: its configuration, and the runs that follow from it and from what is known.

`plan` is a pure function of the configuration and the finished rows. A study that was killed, or
spread over any number of workers, therefore goes on exactly as it would have.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from digitspan.cells import CELLS, check_cell, check_initialisation
from digitspan.errors import ConfigError, one_of
from digitspan.runs import ENCODINGS, OPTIMIZERS, RunConfig, RunRecord, check_setting, setting
from digitspan.study.span import Counts, fitted_share, posterior

__all__ = [
    "PRESETS",
    "TUNED",
    "Condition",
    "Job",
    "StudyConfig",
    "counts_of",
    "full",
    "next_jobs",
    "plan",
    "quick",
    "sheet",
]

TUNED = "tuned"
"""The learning-rate rule of a condition whose rate was chosen by tuning runs."""

RATE_STEPS = (1.0, 3.0)
"""Half decades: 1e-4, 3e-4, 1e-3 ..."""

MOST_WIDENED = 2
"""A best rate at the edge of the grid adds at most this many half decades a side."""

TUNING_LENGTHS = 6
"""Rates are tuned at so many lengths at most, and interpolated in between."""

TUNING_SEED, ADAPTIVE_SEED, CONTROL_SEED = 1_000_000, 2_000_000, 3_000_000
"""Where the replicates of runs begin that must not share their data with the final ones."""

ROUND, ADAPTIVE_RUNS, ADAPTIVE_FACTOR = 8, 64, 1.25
"""Adaptive placement: runs a round, runs at most, and the width of the interval to stop at."""


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
            if not _starts(cell, self.initialisation):
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
                raise ConfigError(
                    word, f"is not a setting of a study: a word {one_of(name, fields)}"
                )
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


class Condition(NamedTuple):
    """What is compared: everything but the length and the seed."""

    cell: str
    """A name of `CELLS`, or `module:Class`."""
    encoding: str
    """How a digit is fed in."""
    initialisation: str
    """The start."""
    rate: str
    """The learning-rate rule: a number, or "tuned"."""
    optimizer: str
    """The optimiser."""
    trained: str = "all"
    """What is trained; other than "all" in controls."""


class Job(NamedTuple):
    """One run, and what it is for."""

    config: RunConfig
    condition: Condition
    role: str
    """"final" (counts for the span), "tuning", "compared" (Question 1.4) or "control"."""


def plan(config: StudyConfig, records: Mapping[str, RunRecord]) -> list[Job]:
    """Every run that the configuration asks for, as far as it is decided by what is known.

    Runs that depend on others (the rate on tuning runs, a round of lengths on the rounds before
    it) appear once those are all there. The study is done when all of the plan is.

    Args:
        config: the study's configuration.
        records: what is known, by key.
    """
    jobs: list[Job] = []
    for base in _bases(config):
        for condition, rates in _rate_rules(config, base, records, jobs):
            jobs += (
                _adaptive(config, condition, rates, records)
                if config.adaptive
                else _grid(config, condition, rates)
            )
        jobs += _compared(config, base)
        jobs += _controls(config, base) if config.controls else []
    # One run can serve twice (the tuned rate may be the fixed one): both conditions keep it.
    return jobs


def next_jobs(config: StudyConfig, records: Mapping[str, RunRecord]) -> list[Job]:
    """The runs still missing, each once, the longest ones first so that no worker idles long."""
    missing: dict[str, Job] = {}
    for job in plan(config, records):
        key = job.config.key
        if key not in records and (key not in missing or missing[key].role == "tuning"):
            missing[key] = job
    return sorted(missing.values(), key=lambda job: -cost(job.config))


def cost(config: RunConfig) -> float:
    """What a training step of a run costs, in arbitrary units: for the order and the time left."""
    gates = CELLS[config.cell].gates if config.cell in CELLS else 4
    per_digit = gates * (config.hidden_size + 32) * (config.hidden_size * config.batch_size + 4096)
    return float(config.length - 1 + 2) * per_digit


def counts_of(records: Iterable[RunRecord]) -> dict[int, Counts]:
    """Solved runs by length."""
    counts: dict[int, Counts] = {}
    for record in records:
        solved, runs = counts.get(record.config.length, Counts(0, 0))
        counts[record.config.length] = Counts(solved + record.solved, runs + 1)
    return counts


def _bases(config: StudyConfig) -> Iterator[Condition]:
    """The conditions, their learning-rate rule still open."""
    for encoding in config.encoding:
        for cell in config.cells:
            for start in _starts(cell, config.initialisation):
                yield Condition(cell, encoding, start, "", config.optimizer)


def _starts(cell: str, initialisations: tuple[str, ...]) -> tuple[str, ...]:
    """The starts that fit a cell; a cell of one's own has its own."""
    if cell not in CELLS:
        return ("own",)
    return tuple(name for name in initialisations if name in CELLS[cell].initialisations)


Rates = Mapping[int, float]
"""The learning rate by length."""


def _rate_rules(
    config: StudyConfig,
    base: Condition,
    records: Mapping[str, RunRecord],
    jobs: list[Job],
) -> Iterator[tuple[Condition, Rates]]:
    """The learning-rate rules of a condition with their rates; tuning runs go to `jobs`."""
    lengths = _candidates(config) if config.adaptive else config.lengths
    if config.tuning_seeds == 0:
        fixed: tuple[float, ...] = config.learning_rates
    else:
        fixed = () if config.fixed_rate is None else (config.fixed_rate,)
        tuning = _Tuning(config, base._replace(rate=TUNED), records)
        jobs += tuning.jobs
        if tuning.best is not None:
            yield base._replace(rate=TUNED), _interpolated(tuning.best, lengths)
    for rate in fixed:
        yield base._replace(rate=f"{rate:g}"), dict.fromkeys(lengths, rate)


class _Tuning:
    """The tuning runs of one condition, and the best rate at each length they were made at."""

    def __init__(
        self, config: StudyConfig, condition: Condition, records: Mapping[str, RunRecord]
    ) -> None:
        self.jobs: list[Job] = []
        best = {
            length: self._tune(config, condition, length, records)
            for length in _spread(config.lengths, TUNING_LENGTHS)
        }
        # The rates of all lengths at once, or none: what is run must not depend on what is done
        # first.
        self.best = None if None in best.values() else {t: r for t, r in best.items() if r}

    def _tune(
        self,
        config: StudyConfig,
        condition: Condition,
        length: int,
        records: Mapping[str, RunRecord],
    ) -> float | None:
        """The best rate at one length; None while its runs are not all there."""
        rates = list(config.learning_rates)
        while True:
            by_rate = {
                rate: self._records(config, condition, length, rate, records) for rate in rates
            }
            if any(found is None for found in by_rate.values()):
                self._ask(config, condition, length, rates)
                return None
            best = max(rates, key=lambda rate: _merit(by_rate[rate] or []))
            wider = _wider(config.learning_rates, rates, best)
            if wider is None or not any(record.solved for record in by_rate[best] or []):
                self._ask(config, condition, length, rates)
                return best
            rates = sorted([*rates, wider])

    def _ask(
        self, config: StudyConfig, condition: Condition, length: int, rates: list[float]
    ) -> None:
        """Put the tuning runs of one length into the plan."""
        for rate in rates:
            for run in _tuning_runs(config, condition, length, rate):
                self.jobs.append(Job(run, condition, "tuning"))

    @staticmethod
    def _records(
        config: StudyConfig,
        condition: Condition,
        length: int,
        rate: float,
        records: Mapping[str, RunRecord],
    ) -> list[RunRecord] | None:
        """The tuning runs' records; None while one is missing."""
        found = [records.get(run.key) for run in _tuning_runs(config, condition, length, rate)]
        return None if None in found else [record for record in found if record]


def _tuning_runs(
    config: StudyConfig, condition: Condition, length: int, rate: float
) -> list[RunConfig]:
    """The runs that judge one rate at one length."""
    return [
        _run(config, condition, length, rate, TUNING_SEED + seed)
        for seed in range(config.tuning_seeds)
    ]


def _merit(records: list[RunRecord]) -> tuple[float, float, float]:
    """How good a rate is, on validation data: solved share, last accuracy, few steps."""
    solved = [record.solved for record in records]
    last = [record.curve[-1].validation_accuracy if record.curve else 0.0 for record in records]
    return (
        float(np.mean(solved)),
        float(np.mean(last)),
        -float(np.mean([r.steps for r in records])),
    )


def _wider(grid: tuple[float, ...], rates: list[float], best: float) -> float | None:
    """The half decade beyond the edge at which the best rate is; None where there is no more."""
    above = best == max(rates)
    if not above and best != min(rates):
        return None
    added = sum(rate > max(grid) if above else rate < min(grid) for rate in rates)
    return None if added >= MOST_WIDENED else _half_decade(best, 1 if above else -1)


def _half_decade(rate: float, direction: int) -> float:
    """The next of 1e-4, 3e-4, 1e-3 ... above or below a rate.

    >>> _half_decade(1e-3, 1), _half_decade(1e-3, -1), _half_decade(3e-3, 1)
    (0.003, 0.0003, 0.01)
    """
    ladder = [float(f"{step:g}e{power}") for power in range(-9, 4) for step in RATE_STEPS]
    beyond = [x for x in ladder if (x > rate * 1.01 if direction > 0 else x < rate * 0.99)]
    return beyond[0] if direction > 0 else beyond[-1]


def _interpolated(best: Rates, lengths: Iterable[int]) -> Rates:
    """Rates at all lengths: linear in ln T and ln rate between the tuned ones, two digits."""
    tuned = sorted(best)
    log_rates = np.log([best[length] for length in tuned])
    return {
        length: best[length]
        if length in best
        else float(f"{math.exp(np.interp(math.log(length), np.log(tuned), log_rates)):.1e}")
        for length in lengths
    }


def _grid(config: StudyConfig, condition: Condition, rates: Rates) -> list[Job]:
    """The final runs at all lengths."""
    return [
        Job(_run(config, condition, length, rates[length], seed), condition, "final")
        for length in config.lengths
        for seed in range(config.seeds)
    ]


def _adaptive(
    config: StudyConfig, condition: Condition, rates: Rates, records: Mapping[str, RunRecord]
) -> list[Job]:
    """The rounds so far, each placed by the rounds before it, and the next one."""
    jobs: list[Job] = []
    placed: dict[int, int] = {}
    while len(jobs) < ADAPTIVE_RUNS:
        known = [records[job.config.key] for job in jobs]
        counts = counts_of(known)
        if counts and _narrow_enough(counts, max(config.lengths)):
            break
        for length in place_round(counts, _candidates(config)):
            seed = ADAPTIVE_SEED + placed.get(length, 0)
            placed[length] = placed.get(length, 0) + 1
            run = _run(config, condition, length, rates[length], seed)
            jobs.append(Job(run, condition, "final"))
        if any(job.config.key not in records for job in jobs):
            break
    return jobs


def place_round(counts: Mapping[int, Counts], candidates: tuple[int, ...]) -> list[int]:
    """The next eight lengths: where the expected variance of ln S50 falls most.

    One of the eight is the shortest length, which tells the lapse rate. Each further choice
    counts the ones before it as if they had come out as expected.

    Args:
        counts: what is known, by length.
        candidates: the lengths to choose from, sorted.
    """
    belief = posterior(counts or {candidates[0]: Counts(0, 0)}, candidates[-1])
    log_lengths = np.log(candidates)
    share = fitted_share(log_lengths[:, None], belief.mu, belief.s, belief.lapse)  # (L, G)
    weight = belief.weight
    chosen = [candidates[0]]
    for _ in range(ROUND - 1):
        solved = share @ weight  # (L,)
        first, second = belief.mu * weight, belief.mu**2 * weight
        expected_variance = 0.0
        for outcome, probability in ((share, solved), (1 - share, 1 - solved)):
            mean = outcome @ first / probability
            variance = outcome @ second / probability - mean**2
            expected_variance = expected_variance + probability * variance
        best = int(np.argmin(expected_variance))
        chosen.append(candidates[best])
        p = solved[best]
        weight = weight * share[best] ** p * (1 - share[best]) ** (1 - p)
        weight = weight / weight.sum()
    return sorted(chosen)


def _narrow_enough(counts: Mapping[int, Counts], longest: int) -> bool:
    """Whether the 95 % interval of S50 is within a factor 1.25 of its middle."""
    low, high = np.exp(posterior(counts, longest).quantiles([0.025, 0.975]))
    return bool(high / low <= ADAPTIVE_FACTOR**2)


def _candidates(config: StudyConfig) -> tuple[int, ...]:
    """Lengths for adaptive placement: about 60 between the shortest and the longest given."""
    spaced = np.geomspace(min(config.lengths), max(config.lengths), 60)
    return tuple(sorted({*(int(length) for length in np.round(spaced)), *config.lengths}))


def _compared(config: StudyConfig, base: Condition) -> list[Job]:
    """Runs with other optimisers, and the study's own at the same rates, at the shortest T."""
    if not config.compared_optimizers:
        return []
    jobs = []
    for optimizer in (config.optimizer, *config.compared_optimizers):
        for rate in config.compared_rates or config.learning_rates:
            condition = base._replace(rate=f"{rate:g}", optimizer=optimizer)
            for seed in range(min(config.seeds, 3)):
                run = _run(config, condition, config.lengths[0], rate, seed)
                jobs.append(Job(run, condition, "compared"))
    return jobs


def _controls(config: StudyConfig, base: Condition) -> list[Job]:
    """At three lengths: the read-out alone trained, and guessed weights (three seeds each)."""
    rate = config.fixed_rate or config.learning_rates[0]
    return [
        Job(_run(config, condition, length, rate, CONTROL_SEED + seed), condition, "control")
        for trained in ("read-out", "none")
        if base.cell in CELLS
        for condition in [base._replace(rate=f"{rate:g}", trained=trained)]
        for length in config.lengths[:3]
        for seed in range(min(config.seeds, 3))
    ]


def _spread(lengths: tuple[int, ...], count: int) -> tuple[int, ...]:
    """At most `count` of the lengths, about evenly spread in ln T, the first and last included."""
    if len(lengths) <= count:
        return lengths
    wanted = np.geomspace(lengths[0], lengths[-1], count)
    nearest = {min(lengths, key=lambda t, w=w: abs(math.log(t / w))) for w in wanted}
    return tuple(sorted(nearest))


def _run(
    config: StudyConfig, condition: Condition, length: int, rate: float, seed: int
) -> RunConfig:
    """One run of a condition."""
    return RunConfig(
        cell=condition.cell,
        length=length,
        seed=seed,
        learning_rate=rate,
        encoding=condition.encoding,
        initialisation=condition.initialisation,
        optimizer=condition.optimizer,
        hidden_size=config.hidden_size,
        batch_size=config.batch_size,
        train_steps=config.train_steps,
        max_grad_norm=config.max_grad_norm,
        trained=condition.trained,
    )
