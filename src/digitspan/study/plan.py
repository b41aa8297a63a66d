"""What a study runs: the runs that follow from its configuration and from what is known.

`plan` is a pure function of the configuration and the finished rows. A study that was killed, or
spread over any number of workers, therefore goes on exactly as it would have.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from digitspan.runs.config import RunConfig
from digitspan.runs.cost import cost
from digitspan.runs.record import RunRecord
from digitspan.study.config import (
    ALL_SPAN_RATES,
    SPAN_RATES,
    StudyConfig,
    fitting_initialisations,
)
from digitspan.study.design import RATES, Design, next_places
from digitspan.study.surface import Belief, Run, cells_within, sample_surface
from digitspan.tasks.seeds import seed_of

__all__ = [
    "CLIMBED",
    "MAX_RUNS",
    "ROLES",
    "TUNED",
    "TUNING_SEEDS",
    "Condition",
    "Job",
    "as_run",
    "best_span_rates",
    "counted",
    "next_jobs",
    "plan",
    "runs_placed_later",
    "size",
    "span_rate_beyond",
]

TUNED = "tuned"
"""The learning-rate rule of a condition whose runs are made at many rates, to find the best."""

ROLES = {
    "design": 1_000_000,
    "figure": 2_000_000,
    "continued": 2_000_000,
    "fixed-rate": 3_000_000,
    "control": 4_000_000,
    "optimizer": 5_000_000,
    "tuning": 6_000_000,
    "span": 7_000_000,
    "grid": 0,
}
"""What a run is for, and where its seeds begin: runs of different roles share no data. A continued
run is a figure run again, with a larger budget.

Only design, fixed-rate and grid runs count for a retention span, and only span runs for a digit
span, whose rate the tuning runs have found. Figure runs are for the accuracy figure, the weights,
`look` and `handin`; optimizer runs answer Question 1.4."""

FIGURE_LENGTHS = 8
"""Lengths of the figure runs."""

CLIMBED = 0.8
"""A study that climbs goes on to the next length where at least this share solved the last."""

OPTIMIZER_SEEDS, CONTROL_SEEDS = 3, 3
"""Runs of each optimiser at each rate, and of each control at each length."""

TUNING_SEEDS = 2
"""Tuning runs of a digit span at each rate."""

MAX_RUNS = 1_000_000
"""A study larger than this is a slip of the keyboard, or was made to hold somebody up."""

CONTINUED_ONE_IN = 10
"""One in so many figure runs, drawn before any is run, is continued if it is not solved."""


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
    hidden_size: int
    """n."""
    train_steps: int
    """The budget of a run."""
    trained: str = "all"
    """What is trained; other than "all" in controls."""


class Job(NamedTuple):
    """One run, and what it is for."""

    config: RunConfig
    condition: Condition
    role: str
    """One of `ROLES`."""

    @property
    def keeps_weights(self) -> bool:
        """Whether the network is kept: of runs that are looked into, not of all."""
        return self.role in ("figure", "grid", "span")


def plan(config: StudyConfig, records: Mapping[str, RunRecord]) -> list[Job]:
    """Every run that the configuration asks for, as far as it is decided by what is known.

    Runs that depend on others (a round of the design on the rounds before it, the figure runs on
    the whole design) appear once those are all there. The study is done when all of the plan is.

    Args:
        config: the study's configuration.
        records: what is known, by key. An error is not known: nothing follows from it.
    """
    jobs: list[Job] = []
    for base in _bases(config):
        if config.design == "span":
            jobs += _digit_span(config, base._replace(rate=TUNED), records)
        elif config.design == "joint":
            jobs += _joint(config, base._replace(rate=TUNED), records)
            if config.fixed_rate is not None:
                fixed = base._replace(rate=f"{config.fixed_rate:g}")
                jobs += _placed(
                    config, fixed, _fixed_rate_design(config, fixed), "fixed-rate", records
                )
        else:
            for rate in config.learning_rates:
                condition = base._replace(rate=f"{rate:g}")
                grid = _climb if config.climb else _grid
                jobs += grid(config, condition, rate, records)
        jobs += _optimizers(config, base)
        jobs += _controls(config, base) if config.controls else []
    return jobs


def counted(config: StudyConfig, records: Mapping[str, RunRecord]) -> frozenset[str]:
    """The keys of the runs that the study's tables count: it asks for them, and they have an end.

    Beside them may stand runs that it asks for no more, as at rates that are not the best one now
    or of a cell before it was edited, and runs that ended in an error.
    """
    asked = {job.config.key for job in plan(config, records)} & records.keys()
    return frozenset(key for key in asked if records[key].end_state != "error")


def next_jobs(config: StudyConfig, records: Mapping[str, RunRecord]) -> list[Job]:
    """The runs still missing, each once, the longest ones first so that no worker idles long."""
    missing = {
        job.config.key: job for job in plan(config, records) if job.config.key not in records
    }
    return sorted(missing.values(), key=lambda job: -cost(job.config))


def size(config: StudyConfig) -> int:
    """How many runs the spans and their figures take in all, wherever they will be placed.

    Of a study that climbs, at most; of digit spans, at least, for more rates may have to be tried;
    without continued runs, optimisers and controls.
    """
    runs = len(config.lengths) * (config.seeds or 0) * len(config.learning_rates)
    if config.design == "joint":
        fixed = 0 if config.fixed_rate is None else config.fixed_runs
        runs = config.runs + FIGURE_LENGTHS * config.figure_seeds + fixed
    elif config.design == "span":
        tried = len(config.learning_rates)
        tuning = TUNING_SEEDS * tried if tried > 1 else 0
        runs = tuning + (config.seeds or 0)
    return runs * sum(
        len(fitting_initialisations(cell, config.initialisation))
        * len(config.sizes_of(cell, encoding))
        * len(config.budgets)
        for encoding in config.encoding
        for cell in config.cells
    )


def runs_placed_later(config: StudyConfig, records: Mapping[str, RunRecord]) -> int:
    """How many runs of a joint or a span design are to come that the plan does not have yet.

    Without the tuning runs beyond the usual rates of digit spans, which may be needed or not.
    """
    if config.design == "grid":
        return 0
    placed = Counter(job.role for job in plan(config, records))
    if config.design == "span":
        return (config.seeds or 0) * sum(1 for _ in _bases(config)) - placed["span"]
    return max(size(config) - sum(placed[role] for role in _PLACED), 0)


_PLACED = ("design", "figure", "fixed-rate")
"""Roles of runs whose places follow from the runs before them."""


def best_span_rates(tuning: Sequence[RunRecord]) -> list[float]:
    """The rates whose tuning runs have the highest mean span on validation lists, ascending.

    More than one where they are equal; none of no run.
    """
    spans: dict[float, list[float]] = {}
    for record in tuning:
        if record.recalled is not None:
            span = record.recalled.on_the_way[-1].mean_span
            spans.setdefault(record.config.learning_rate, []).append(span)
    means = {rate: sum(some) / len(some) for rate, some in spans.items()}
    return sorted(rate for rate, mean in means.items() if mean >= max(means.values()) - 1e-9)


def as_run(record: RunRecord) -> Run:
    """What became of a run that is no error, as spans are measured from it."""
    config = record.config
    return Run(config.length, config.learning_rate, record.end_state, record.steps)


def _bases(config: StudyConfig) -> Iterator[Condition]:
    """The conditions, their learning-rate rule still open."""
    for encoding in config.encoding:
        for cell in config.cells:
            for initialisation in fitting_initialisations(cell, config.initialisation):
                for hidden_size in config.sizes_of(cell, encoding):
                    for steps in config.budgets:
                        yield Condition(
                            cell,
                            encoding,
                            initialisation,
                            "",
                            config.optimizer,
                            hidden_size,
                            steps,
                        )


def _fixed_rate_design(config: StudyConfig, condition: Condition) -> Design:
    """Runs at one rate: of the joint design its lengths are left."""
    rates = (config.fixed_rate or 1e-3,)
    return Design(config.ladder, condition.train_steps, config.fixed_runs, rates)


def _joint(
    config: StudyConfig, condition: Condition, records: Mapping[str, RunRecord]
) -> list[Job]:
    """The rounds of the design so far and the next one; the figure runs when all are there."""
    design = Design(config.ladder, condition.train_steps, config.runs)
    jobs = _placed(config, condition, design, "design", records)
    runs = _known(jobs, records)
    if len(runs) < config.runs or not config.figure_seeds:
        return jobs
    belief = _belief(tuple(sorted(runs)), condition.train_steps)
    for length in figure_lengths(config, belief):
        rate = _on_ladder(belief.best_rate(length))
        for number in range(config.figure_seeds):
            run = _run(config, condition, length, rate, ROLES["figure"] + number)
            jobs.append(Job(run, condition, "figure"))
            if config.continued_steps and seed_of("continued", run.key) % CONTINUED_ONE_IN == 0:
                record = records.get(run.key)
                if record is not None and record.end_state == "censored":
                    longer = _run(
                        config, condition, length, rate, run.seed, steps=config.continued_steps
                    )
                    jobs.append(Job(longer, condition, "continued"))
    return jobs


def _digit_span(
    config: StudyConfig,
    condition: Condition,
    records: Mapping[str, RunRecord],
) -> list[Job]:
    """The tuning runs of one cell and width, and when all are there, the networks at the best.

    Where the best of the usual rates is the lowest or the highest that was tried, the next one
    beyond it is tried as well. Of rates that are as good as each other, as where all come to the
    longest list, the one in the middle of all is taken.
    """

    def jobs(role: str, rate: float, numbers: range) -> list[Job]:
        return [
            Job(_list_run(config, condition, rate, ROLES[role] + i), condition, role)
            for i in numbers
        ]

    rates = list(config.learning_rates)
    if len(rates) == 1:
        return jobs("span", rates[0], config.seed_range)
    tuning: list[Job] = []
    while True:
        tuning = [job for rate in rates for job in jobs("tuning", rate, range(TUNING_SEEDS))]
        known = [records[job.config.key] for job in tuning if job.config.key in records]
        found = [record for record in known if record.end_state != "error"]
        if len(found) < len(tuning):
            return tuning
        best = best_span_rates(found)
        if not best:
            return tuning
        rate = min(best, key=lambda one: abs(rates.index(one) - (len(rates) - 1) / 2))
        usual = config.learning_rates == SPAN_RATES
        beyond = span_rate_beyond(rates, rate) if usual and len(best) == 1 else None
        if beyond is None:
            return tuning + jobs("span", rate, config.seed_range)
        rates = sorted([*rates, beyond])


def span_rate_beyond(tried: Sequence[float], best: float) -> float | None:
    """The half-decade to try next, where the best rate is at an end of those tried; else None.

    >>> span_rate_beyond((1e-4, 3e-4, 1e-3, 3e-3, 1e-2), 1e-2)
    0.03
    """
    place = ALL_SPAN_RATES.index(best)
    if best == max(tried):
        return next(iter(ALL_SPAN_RATES[place + 1 : place + 2]), None)
    return ALL_SPAN_RATES[place - 1] if best == min(tried) and place else None


def _list_run(config: StudyConfig, condition: Condition, rate: float, seed: int) -> RunConfig:
    """A run whose lists grow, one item at a time, as long as its budget lasts."""
    run = _run(config, condition, 2 * config.longest_list, rate, seed)
    return dataclasses.replace(run, curriculum=True, order=config.order)


@functools.lru_cache(maxsize=64)  # planned again whenever a run has ended
def _belief(runs: tuple[Run, ...], budget: int) -> Belief:
    """What the whole design says."""
    return sample_surface(cells_within(runs, budget))


def _placed(
    config: StudyConfig,
    condition: Condition,
    design: Design,
    role: str,
    records: Mapping[str, RunRecord],
) -> list[Job]:
    """The rounds of a design so far, each placed by the rounds before it, and the next one."""
    jobs: list[Job] = []
    at_length: Counter[int] = Counter()

    def step_cost(length: int) -> float:
        return cost(_run(config, condition, length, design.rates[0], 0))

    while True:
        runs = _known(jobs, records)
        if len(runs) < len(jobs):
            return jobs
        places = next_places(design, runs, cost=step_cost)
        if not places:
            return jobs
        for length, rate in places:
            seed = ROLES[role] + at_length[length]
            at_length[length] += 1
            jobs.append(Job(_run(config, condition, length, rate, seed), condition, role))


def _known(jobs: Sequence[Job], records: Mapping[str, RunRecord]) -> list[Run]:
    """What became of some runs; those that are not known, or ended in an error, are left out."""
    found = [records[job.config.key] for job in jobs if job.config.key in records]
    return [as_run(record) for record in found if record.end_state != "error"]


def figure_lengths(config: StudyConfig, belief: Belief) -> list[int]:
    """Eight lengths of the ladder, from the shortest to twice the span or the longest."""
    span = math.exp(float(belief.quantiles(belief.log_span, [0.5])[0]))
    reached = [t for t in config.ladder if t <= 2 * span]
    within = config.ladder[: max(len(reached) + 1, FIGURE_LENGTHS)]
    places = np.linspace(0, len(within) - 1, min(FIGURE_LENGTHS, len(within)))
    return [within[round(float(place))] for place in places]


def _on_ladder(rate: float) -> float:
    """The rate of the ladder that is nearest."""
    return min(RATES, key=lambda known: abs(math.log(known / rate)))


def _grid(
    config: StudyConfig, condition: Condition, rate: float, records: Mapping[str, RunRecord]
) -> list[Job]:
    """The runs of a grid at one rate."""
    return [job for length in config.lengths for job in _at(config, condition, length, rate)]


def _climb(
    config: StudyConfig, condition: Condition, rate: float, records: Mapping[str, RunRecord]
) -> list[Job]:
    """The runs from the shortest length up, to the first that too few of them solve."""
    jobs: list[Job] = []
    for length in config.lengths:
        here = _at(config, condition, length, rate)
        jobs += here
        solved = sum(job.config.key in records and records[job.config.key].solved for job in here)
        if solved < CLIMBED * len(here):
            break
    return jobs


def _at(config: StudyConfig, condition: Condition, length: int, rate: float) -> list[Job]:
    """The runs of a grid at one place."""
    return [
        Job(_run(config, condition, length, rate, seed), condition, "grid")
        for seed in config.seed_range
    ]


def _optimizers(config: StudyConfig, base: Condition) -> list[Job]:
    """Question 1.4: every optimiser at the same rates, at the shortest length."""
    if not config.compared_optimizers:
        return []
    rates = config.compared_rates or config.learning_rates or (1e-4, 1e-3, 1e-2, 1e-1)
    return [
        Job(
            _run(config, condition, config.control_lengths[0], rate, ROLES["optimizer"] + number),
            condition,
            "optimizer",
        )
        for optimizer in dict.fromkeys((config.optimizer, *config.compared_optimizers))
        for rate in rates
        for condition in [base._replace(rate=f"{rate:g}", optimizer=optimizer)]
        for number in range(OPTIMIZER_SEEDS)
    ]


def _controls(config: StudyConfig, base: Condition) -> list[Job]:
    """At three lengths: the read-out alone trained, and guessed weights."""
    rate = config.fixed_rate or (config.learning_rates or (1e-3,))[0]
    return [
        Job(_run(config, condition, length, rate, ROLES["control"] + number), condition, "control")
        for trained in ("read-out", "none")
        for condition in [base._replace(rate=f"{rate:g}", trained=trained)]
        for length in config.control_lengths
        for number in range(CONTROL_SEEDS)
    ]


def _run(
    config: StudyConfig,
    condition: Condition,
    length: int,
    rate: float,
    seed: int,
    *,
    steps: int | None = None,
) -> RunConfig:
    """One run of a condition, with its budget or another."""
    return RunConfig(
        cell=condition.cell,
        length=length,
        seed=seed,
        learning_rate=rate,
        encoding=condition.encoding,
        initialisation=condition.initialisation,
        optimizer=condition.optimizer,
        schedule=config.schedule,
        hidden_size=condition.hidden_size,
        batch_size=config.batch_size,
        train_steps=steps or condition.train_steps,
        max_grad_norm=config.max_grad_norm,
        trained=condition.trained,
        curriculum=config.curriculum,
        task=config.task,
        source=config.source(condition.cell),
        task_facts=config.task_facts,
    )
