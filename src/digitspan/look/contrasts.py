"""What tells unsolved runs from solved ones like them: a cause is a contrast.

What every run of a kind has, solved or not, is no reason: networks whose gradient is down to 1e-9
of itself are solved too. So runs are compared that differ in nothing but their seed, within a
third of an octave of T and half a decade of the learning rate, at the same training step, and
only what differs there is told (Mann-Whitney, p < .05 by Holm over all tests of the study). How
often gradients were clipped is known over a whole run only, and a solved run ends early: at no
common step, so it is not among what is compared.
"""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from digitspan.errors import UsageError
from digitspan.look.probe import held_out_rows, trace_batch
from digitspan.runs.config import RunConfig
from digitspan.runs.outcome import SOLVED_ACCURACY
from digitspan.runs.record import RunRecord
from digitspan.statistics import mann_whitney
from digitspan.study.crew.apart import Ask
from digitspan.study.ratio import holm
from digitspan.study.reading import Study
from digitspan.tasks import is_own_task
from digitspan.training.engine import build_network
from digitspan.training.machine import one_thread

__all__ = [
    "FEWEST",
    "SATURATED",
    "Contrast",
    "Group",
    "Start",
    "contrasts",
    "group_of",
    "measure_by",
    "measure_start",
]

NUM_PALINDROMES = 30
"""Validation palindromes over which the gradients and the state are averaged."""

FEWEST = 5
"""Solved runs, and unsolved ones, from which on a group is compared."""

LEVEL = 0.05
"""Below this p-value, adjusted for all tests of the study, runs differ."""

SATURATED = 0.95
"""Beyond this size tanh passes on less than a tenth of the gradient: 1 - 0.95^2 = 0.0975."""


class Start(NamedTuple):
    """What a network shows before its first training step."""

    ratio: float
    """||dL/dh(1)|| / ||dL/dh(T-1)||, geometric mean over the palindromes."""
    saturated: float | None
    """Share of the entries of h(t), over all steps, beyond 0.95 in size, in [0, 1]; None where
    nothing keeps h(t) within -1 and 1."""


class Contrast(NamedTuple):
    """The solved and the unsolved runs of one group, compared in one quantity."""

    quantity: str
    """"ratio" or "saturated" (`Start`), "loss" or "accuracy" (validation, nats and [0, 1])."""
    step: int
    """The training step at which it was measured in every run: 0 is before training."""
    values: Mapping[str, float]
    """By the run's key."""
    unsolved_median: float
    """Over the unsolved runs."""
    solved_median: float
    """Over the solved runs."""
    above: float
    """Share of the pairs of one length in which the unsolved run has the larger value."""
    p: float
    """Mann-Whitney's, two-sided, within each length: a longer T alone is no contrast, and the
    gradient of a longer one is smaller anyway."""
    adjusted_p: float
    """Holm's p over all tests made together."""

    @property
    def differs(self) -> bool:
        """Whether it tells the unsolved runs from the solved ones."""
        away = self.unsolved_median - self.solved_median
        # Where the medians contradict the pairs of one length it is the lengths that differ.
        return self.adjusted_p < LEVEL and away * (self.above - 0.5) > 0


class Group(NamedTuple):
    """Runs that differ in nothing but seed, third of an octave of T and half decade of rate."""

    unsolved: int
    """Runs not solved by the budget. Diverged ones have a fact of their own, and do not count."""
    solved: int
    """Solved runs."""
    lengths: tuple[int, int]
    """The shortest and the longest T."""
    rates: tuple[float, float]
    """The lowest and the highest learning rate."""
    contrasts: tuple[Contrast, ...]
    """One a quantity; empty where there are fewer than five runs of either kind."""


def measure_start(config: RunConfig) -> Start | None:
    """Measure a run's network before training, rebuilt from its configuration and seed.

    None where its cell or its task cannot be looked into, or it is not finite.
    """
    if is_own_task(config.task):
        return None
    digits, targets = held_out_rows(config, "validation", NUM_PALINDROMES)
    try:
        trace = trace_batch(build_network(config), digits, targets, input_size=config.input_size)
    except UsageError:
        return None
    name = next(iter(trace.states))
    norms = np.maximum(trace.gradient_norms[name], np.finfo(float).tiny)  # (B, T - 1)
    if not np.isfinite(norms).all():
        return None
    sizes = np.abs(trace.states[name])
    saturated = float((sizes > SATURATED).mean()) if sizes.max() <= 1 else None
    return Start(float(np.exp(np.log(norms[:, 0] / norms[:, -1]).mean())), saturated)


def measure_by(study: Study, ask: Ask) -> Callable[[RunConfig], Start | None]:
    """`measure_start`, but for runs whose code the reader of a study does not let be run.

    Args:
        study: the runs'.
        ask: where it is measured.
    """

    def measure(config: RunConfig) -> Start | None:
        found = None if study.untrusted(config) else ask(config, measure_start, config)
        return found and Start(*found)

    return measure


def group_of(config: RunConfig) -> Hashable:
    """What runs have in common that are compared with each other."""
    settings = dataclasses.asdict(config)
    del settings["seed"]
    # Rounded, so that a grid of half decades (0.001, 0.003, 0.01) has each rate on its own.
    settings["length"] = round(3 * math.log2(config.length))
    settings["learning_rate"] = round(2 * math.log10(config.learning_rate))
    return tuple(settings.values())


def contrasts(
    records: Iterable[RunRecord], measure: Callable[[RunConfig], Start | None] = measure_start
) -> dict[Hashable, Group]:
    """Compare the unsolved runs of a study with the solved ones, by group (`group_of`).

    Args:
        records: all runs of the study, with their curves: Holm's p is over all of them.
        measure: measures a run's network before training.
    """
    grouped: dict[Hashable, list[RunRecord]] = defaultdict(list)
    for record in records:
        if record.end_state in ("solved", "censored"):
            grouped[group_of(record.config)].append(record)
    with one_thread():  # of networks this small a second thread costs more than it saves
        groups = {key: _group(some, measure) for key, some in grouped.items()}
    adjusted = iter(holm([each.p for group in groups.values() for each in group.contrasts]))
    return {
        key: group._replace(
            contrasts=tuple(each._replace(adjusted_p=next(adjusted)) for each in group.contrasts)
        )
        for key, group in groups.items()
    }


def _group(records: list[RunRecord], measure: Callable[[RunConfig], Start | None]) -> Group:
    """One group, its p-values not adjusted yet."""
    records.sort(key=lambda record: record.config.learning_rate)
    # A grid begins and feeds a seed alike at all its rates: that is one run, not several.
    streams = [(record.config.length, record.config.seed) for record in records]
    once = [stream not in streams[:place] for place, stream in enumerate(streams)]
    solved = sum(record.solved for record, counts in zip(records, once, strict=True) if counts)
    lengths = [record.config.length for record in records]
    rates = records[0].config.learning_rate, records[-1].config.learning_rate
    group = Group(sum(once) - solved, solved, (min(lengths), max(lengths)), rates, ())
    if min(group.solved, group.unsolved) < FEWEST:
        return group
    starts = [measure(record.config) for record in records]
    measured: list[tuple[str, int, list[float | None]]] = [
        ("ratio", 0, [start and start.ratio for start in starts]),
        ("saturated", 0, [start and start.saturated for start in starts]),
    ]
    step = _common_step(records)
    if step is not None:
        points = [next(p for p in record.curve if p.step == step) for record in records]
        measured.append(("loss", step, [point.validation_loss for point in points]))
        measured.append(("accuracy", step, [point.validation_accuracy for point in points]))
    found = (_contrast(records, np.array(once), *each) for each in measured)
    return group._replace(contrasts=tuple(each for each in found if each is not None))


def _common_step(records: Sequence[RunRecord]) -> int | None:
    """The step at which the curves of a group are compared; None where there is none.

    The last evaluation that all runs have before any of the solved ones is at 99 % for the first
    time: all are still training, none is solved yet in all but name, and what sets them apart has
    had the most time to show. With a curriculum there is none: lengths differ at a step.
    """
    if records[0].config.curriculum:
        return None
    there = [
        point.step
        for record in records
        if record.solved
        for point in record.curve
        if point.validation_accuracy >= SOLVED_ACCURACY
    ]
    common = set.intersection(*({point.step for point in record.curve} for record in records))
    return max((step for step in common if step < min(there, default=0)), default=None)


def _contrast(
    records: Sequence[RunRecord],
    once: np.ndarray,
    quantity: str,
    step: int,
    measured: Sequence[float | None],
) -> Contrast | None:
    """Unsolved against solved runs in one quantity; None where too few were measured.

    Args:
        records: a group.
        once: which of them are tested, shape (R,), bool.
        quantity: what is compared.
        step: when it was measured.
        measured: its values, None where there is none.
    """
    values = np.array(measured, dtype=float)  # None becomes nan
    known = np.isfinite(values)
    outcomes = np.array([record.solved for record in records])
    unsolved, solved = known & once & ~outcomes, known & once & outcomes
    if min(unsolved.sum(), solved.sum()) < FEWEST:
        return None
    lengths = np.array([record.config.length for record in records])
    p, above = mann_whitney(
        (values[unsolved & here].tolist(), values[solved & here].tolist())
        for here in (lengths == length for length in set(lengths))
    )
    keys = [record.config.key for record in records]
    own = {key: float(value) for key, value, has in zip(keys, values, known, strict=True) if has}
    return Contrast(
        quantity=quantity,
        step=step,
        values=own,
        unsolved_median=float(np.median(values[unsolved])),
        solved_median=float(np.median(values[solved])),
        above=above,
        p=p,
        adjusted_p=p,
    )
