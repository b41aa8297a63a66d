"""Finished studies without training: rows made up by a rule."""

from __future__ import annotations

import math
from collections.abc import Callable

from digitspan.runs.config import RunConfig
from digitspan.runs.recalled import Lists, Recalled, SpanPoint
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


def made_up_recall(config: RunConfig, span: float) -> RunRecord:
    """A record of a run whose network has this mean span: P(L) is 1, then what is left, then 0."""
    longest = config.length // 2
    whole = [round(1000 * min(max(span - before, 0), 1)) for before in range(longest)]
    lists = []
    for items, count in enumerate(whole, start=1):
        if items > 2 and not any(whole[items - 2 :]):
            break
        lost = max(items - int(span), 0)  # the first places are lost
        right = tuple(100 if place < lost else 1000 for place in range(items))
        wrong = 1000 * items - sum(right)
        lists.append(Lists(items, 1000, count, right, wrong // 2, wrong / 5, 3.3 * (items - lost)))
    steps = (config.train_steps // 2, config.train_steps)
    on_the_way = tuple(
        SpanPoint(step, int(value), value)
        for step, value in zip(steps, (span / 2, span), strict=True)
    )
    gates = {"lstm": 2}.get(config.cell, 1)
    return RunRecord(
        config=config,
        end_state="censored",
        steps=config.train_steps,
        bits=max(found.bits for found in lists),
        masked_right=10,
        masked_tested=100,
        weights_sha256="0" * 64,
        environment={"digitspan": "0", "torch": "0", "threads": "1"},
        parameters=10 * config.hidden_size,
        recalled=Recalled(tuple(lists), on_the_way, (10,), 100, gates * config.hidden_size),
    )


def made_up_span_rows(
    config: StudyConfig, span: Callable[[RunConfig], float], rows: dict[str, Row] | None = None
) -> dict[str, Row]:
    """The rows of a study of digit spans that came to its end, mean spans by a rule."""
    rows = dict(rows or {})
    while jobs := next_jobs(config, {key: row.record for key, row in rows.items()}):
        for job in jobs:
            record = made_up_recall(job.config, span(job.config))
            timing = Timing(seconds=2.0, finished=0.0, host="here", attempts=1)
            rows[job.config.key] = Row(record, timing, job.role)
    return {key: rows[key] for key in sorted(rows)}
