"""Tries each cell of one's own in a process of its own: a study's own process imports none."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Sequence

from digitspan.runs.config import RunConfig
from digitspan.study.config import StudyConfig
from digitspan.study.crew.apart import Apart
from digitspan.study.crew.task_trial import try_tasks_apart
from digitspan.study.plan import next_jobs

__all__ = ["sized_apart", "try_apart"]


def try_apart(configs: Sequence[RunConfig], device: str) -> None:
    """Refuse runs of cells of one's own that could not be trained, or not be kept.

    Args:
        configs: the runs.
        device: a name for `find_device`.

    Raises:
        UsageError: with the first duty that a cell breaks.
    """
    try_tasks_apart(configs)
    by_cell: dict[str, list[RunConfig]] = defaultdict(list)
    for config in configs:
        by_cell[config.cell].append(config)
    for runs in by_cell.values():
        with Apart() as apart:
            apart.run(runs[0], _try, runs, device)


def sized_apart(config: StudyConfig) -> StudyConfig:
    """A study with the hidden sizes that its number of parameters asks for, if it does.

    Args:
        config: with its sources; the longest T is that which a cell is built with, if it is.

    Raises:
        UsageError: where a cell cannot be built, or no hidden size of it comes near.
    """
    if config.parameters is None:
        return config
    runs = {(job.config.cell, job.config.encoding): job.config
            for job in reversed(next_jobs(config, {}))}  # fmt: skip
    with Apart() as apart:
        sizes = tuple(
            f"{cell} {encoding} {apart.run(run, _size, run, config.parameters)}"
            for (cell, encoding), run in runs.items()
        )
    return dataclasses.replace(config, sizes=sizes)


def _try(runs: Sequence[RunConfig], device: str) -> None:
    """Try runs of one cell."""
    from digitspan.training.machine import find_device
    from digitspan.training.trial import try_run

    for run in runs:
        try_run(run, find_device(device))


def _size(run: RunConfig, parameters: int) -> int:
    """The hidden size of a run's network that has about so many parameters."""
    from digitspan.training.sizes import hidden_size_for

    return hidden_size_for(run, parameters)[0]
