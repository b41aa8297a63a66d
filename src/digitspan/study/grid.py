"""What a study runs: the runs that follow from its configuration and from what is known.

`plan` is a pure function of the configuration and the finished rows. A study that was killed, or
spread over any number of workers, therefore goes on exactly as it would have.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from digitspan.cells import CELLS
from digitspan.runs.config import RunConfig
from digitspan.runs.cost import cost
from digitspan.runs.record import RunRecord
from digitspan.study.config import StudyConfig, fitting_initialisations
from digitspan.study.placement import MAX_RUNS, narrow_enough, place_round
from digitspan.study.span import Counts

__all__ = ["CLIMBED", "TUNED", "Condition", "Job", "counts_of", "next_jobs", "plan"]

TUNED = "tuned"
"""The learning-rate rule of a condition whose rate was chosen by tuning runs."""

RATE_STEPS = (1.0, 3.0)
"""Half decades: 1e-4, 3e-4, 1e-3 ..."""

MOST_WIDENED = 2
"""A best rate at the edge of the grid adds at most this many half decades a side."""

CLIMBED = 0.8
"""A study that climbs goes on to the next length where at least this share solved the last."""

TUNING_LENGTHS = 6
"""Rates are tuned at so many lengths at most, and interpolated in between."""

TUNING_SEED, ADAPTIVE_SEED, CONTROL_SEED = 1_000_000, 2_000_000, 3_000_000
"""Where the replicates of runs begin that must not share their data with the final ones."""


class Condition(NamedTuple):
    """What is compared: everything but the length and the seed."""

    cell: str
    """A name of `CELLS`, or `module:Class`."""
    encoding: str
    """How a digit is fed in."""
    initialisation: str
    """How the weights are drawn."""
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
            if config.adaptive:
                jobs += _adaptive(config, condition, rates, records)
            elif config.climb:
                jobs += _climb(config, condition, rates, records)
            else:
                jobs += _grid(config, condition, config.lengths, rates)
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
            for name in fitting_initialisations(cell, config.initialisation):
                yield Condition(cell, encoding, name, "", config.optimizer)


Rates = Mapping[int, float]
"""The learning rate by length."""


def _rate_rules(
    config: StudyConfig, base: Condition, records: Mapping[str, RunRecord], jobs: list[Job]
) -> Iterator[tuple[Condition, Rates]]:
    """The learning-rate rules of a condition with their rates; tuning runs go to `jobs`."""
    lengths = _candidates(config) if config.adaptive else config.lengths
    if config.tuning_seeds == 0:
        fixed: tuple[float, ...] = config.learning_rates
    else:
        fixed = () if config.fixed_rate is None else (config.fixed_rate,)
        tuning = _Tuning(config, base._replace(rate=TUNED), lengths, records)
        jobs += tuning.jobs
        if tuning.best is not None:
            yield base._replace(rate=TUNED), _interpolated(tuning.best, lengths)
    for rate in fixed:
        yield base._replace(rate=f"{rate:g}"), dict.fromkeys(lengths, rate)


class _Tuning:
    """The tuning runs of one condition, and the best rate at each length they were made at."""

    def __init__(
        self,
        config: StudyConfig,
        condition: Condition,
        lengths: tuple[int, ...],
        records: Mapping[str, RunRecord],
    ) -> None:
        self.jobs: list[Job] = []
        best = {
            length: self._tune(config, condition, length, records)
            for length in _spread(lengths, TUNING_LENGTHS)
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
    steps = [record.steps for record in records]
    return float(np.mean(solved)), float(np.mean(last)), -float(np.mean(steps))


def _wider(grid: tuple[float, ...], rates: list[float], best: float) -> float | None:
    """The half decade beyond the edge at which the best rate is; None where there is no more."""
    above = best == max(rates)
    if not above and best != min(rates):
        return None
    added = sum(rate > max(grid) if above else rate < min(grid) for rate in rates)
    return None if added >= MOST_WIDENED else _half_decade(best, 1 if above else -1)


def _half_decade(rate: float, direction: int) -> float | None:
    """The next of 1e-4, 3e-4, 1e-3 ... above or below a rate; None beyond what floats can hold.

    >>> _half_decade(1e-3, 1), _half_decade(1e-3, -1), _half_decade(3e-3, 1)
    (0.003, 0.0003, 0.01)
    """
    power = math.floor(math.log10(rate))
    ladder = [float(f"{x:g}e{p}") for p in (power - 1, power, power + 1) for x in RATE_STEPS]
    if direction > 0:
        return next((x for x in ladder if rate * 1.01 < x < math.inf), None)
    return next((x for x in reversed(ladder) if 0 < x < rate * 0.99), None)


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


def _grid(
    config: StudyConfig, condition: Condition, lengths: Iterable[int], rates: Rates
) -> list[Job]:
    """The final runs at some lengths."""
    return [
        Job(_run(config, condition, length, rates[length], seed), condition, "final")
        for length in lengths
        for seed in range(config.seeds)
    ]


def _climb(
    config: StudyConfig, condition: Condition, rates: Rates, records: Mapping[str, RunRecord]
) -> list[Job]:
    """The final runs from the shortest length up, to the first that too few of them solve."""
    jobs: list[Job] = []
    for length in config.lengths:
        here = _grid(config, condition, [length], rates)
        jobs += here
        solved = sum(job.config.key in records and records[job.config.key].solved for job in here)
        if solved < CLIMBED * len(here):
            break
    return jobs


def _adaptive(
    config: StudyConfig, condition: Condition, rates: Rates, records: Mapping[str, RunRecord]
) -> list[Job]:
    """The rounds so far, each placed by the rounds before it, and the next one."""
    jobs: list[Job] = []
    placed: dict[int, int] = {}
    while len(jobs) < MAX_RUNS:
        known = [records[job.config.key] for job in jobs]
        counts = counts_of(known)
        if counts and narrow_enough(counts, max(config.lengths)):
            break
        for length in place_round(counts, _candidates(config)):
            seed = ADAPTIVE_SEED + placed.get(length, 0)
            placed[length] = placed.get(length, 0) + 1
            run = _run(config, condition, length, rates[length], seed)
            jobs.append(Job(run, condition, "final"))
        if any(job.config.key not in records for job in jobs):
            break
    return jobs


def _candidates(config: StudyConfig) -> tuple[int, ...]:
    """Lengths for adaptive placement: about 60 between the shortest and the longest given."""
    spaced = np.geomspace(min(config.lengths), max(config.lengths), 60)
    return tuple(sorted({*(int(length) for length in np.round(spaced)), *config.lengths}))


def _compared(config: StudyConfig, base: Condition) -> list[Job]:
    """Runs with other optimisers, and the study's own at the same rates, at the shortest T."""
    if not config.compared_optimizers:
        return []
    jobs = []
    for optimizer in dict.fromkeys((config.optimizer, *config.compared_optimizers)):
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
    logs = np.log(lengths)
    wanted = np.linspace(logs[0], logs[-1], count)
    return tuple(sorted({lengths[int(np.abs(logs - w).argmin())] for w in wanted}))


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
        curriculum=config.curriculum,
        task=config.task,
    )
