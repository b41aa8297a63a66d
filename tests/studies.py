"""Finished studies without training: rows made up by a rule."""

from __future__ import annotations

import math
from collections.abc import Callable

from digitspan.runs.config import RunConfig
from digitspan.runs.record import CurvePoint, RunRecord
from digitspan.study.config import StudyConfig
from digitspan.study.plan import next_jobs
from digitspan.study.store import Row, Timing

Rule = Callable[[RunConfig], bool]


def made_up_record(config: RunConfig, *, solved: bool) -> RunRecord:
    """A record as a solved run, or one that stayed at chance, would have it."""
    steps = min(250, config.train_steps) if solved else config.train_steps
    losses = [math.log(10), 0.01 if solved else math.log(10)]
    accuracy = 0.999 if solved else 0.1
    return RunRecord(
        config=config,
        end_state="solved" if solved else "censored",
        steps=steps,
        accuracy=accuracy,
        accuracy_low=accuracy - 0.01,
        accuracy_high=min(accuracy + 0.01, 1.0),
        tested=10_000,
        held_out=10_000,
        bits=3.3 if solved else 0.0,
        masked_right=100,
        masked_tested=1_000,
        loss=losses[-1],
        clipped_share=0.0,
        curve=(
            CurvePoint(steps // 2, losses[0], losses[0], 0.1),
            CurvePoint(steps, losses[1], losses[1], accuracy),
        ),
        weights_sha256="0" * 64,
        environment={"digitspan": "0", "torch": "0", "threads": "1"},
    )


def made_up_rows(config: StudyConfig, rule: Rule) -> dict[str, Row]:
    """The rows of a study that came to its end, runs being solved by a rule."""
    records: dict[str, RunRecord] = {}
    roles: dict[str, str] = {}
    while jobs := next_jobs(config, records):
        for job in jobs:
            records[job.config.key] = made_up_record(job.config, solved=rule(job.config))
            roles[job.config.key] = job.role
    timing = Timing(seconds=2.0, finished=0.0, host="here", attempts=1)
    return {key: Row(records[key], timing, roles[key]) for key in sorted(records)}
