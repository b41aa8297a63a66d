"""Conditions of one or several studies side by side, all pairs of them that share no run.

A pair's ratio follows from the posteriors of the two spans (ratio.py), which takes them for
independent. A grid's span at the best rate comes of the same runs as its spans at single rates:
such pairs are left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table

from digitspan.cells import title
from digitspan.errors import UsageError
from digitspan.runs.record import RunRecord
from digitspan.study.plan import TUNED, as_run
from digitspan.study.ratio import Ratio, compare_all
from digitspan.study.reading import Study
from digitspan.study.retention import Span, measure_span
from digitspan.study.summary import ConditionSummary, summarise
from digitspan.study.tables import (
    add_columns,
    add_names,
    as_csv,
    duration,
    p_text,
    pairs_table,
    span_document,
    span_text,
)

__all__ = [
    "Compared",
    "comparison_csv",
    "comparison_document",
    "comparison_tables",
    "conditions_of",
    "left_out",
    "ratio_text",
    "require_apart",
]


class Compared(NamedTuple):
    """One condition, and what it costs."""

    name: str
    """The cell, and what else tells it from the others: `LSTM, one-hot`."""
    span: Span
    """S50 within the budget."""
    parameters: int | None
    """Of its networks; None where no record says."""
    steps: float | None
    """Median training steps of the solved runs; None where none was solved."""
    seconds: float
    """Median wall time of a run."""
    keys: frozenset[str]
    """The runs behind the span."""


def conditions_of(
    studies: Sequence[Study], budget: int | None = None
) -> tuple[list[Compared], int]:
    """The conditions of some studies, and the budget within which they are compared.

    Args:
        studies: one or several.
        budget: b, in training steps; by default the smallest of the studies'.

    Raises:
        UsageError: where no two conditions can be compared, a study is there twice or inside
            another, they are of different tasks, or the budget is longer than one's runs.
    """
    for study in studies[1:]:
        if study.config.task != studies[0].config.task:
            message = (
                f"the spans of different tasks are different quantities: {studies[0].path} is of "
                f"{studies[0].config.task}, {study.path} of {study.config.task}; compare studies "
                f"of one task"
            )
            raise UsageError(message)
    smallest = min(study.config.budgets[0] for study in studies)
    if budget is None:
        budget = smallest
    if not 1 <= budget <= smallest:
        message = (
            f"--budget must be from 1 to {smallest:,}, the shortest of the studies' budgets; "
            f"got {budget:,}"
        )
        raise UsageError(message)
    require_apart(studies)
    rows = [(study, row) for study in studies for row in summarise(study.config, study.rows).spans]
    if len(rows) < 2:
        message = (
            f"there is nothing to compare: {len(rows) or 'no'} condition with finished runs in "
            f"{', '.join(str(study.path) for study in studies)}; expected two or more"
        )
        raise UsageError(message)
    names = _names(rows, several=len(studies) > 1)
    found = [
        _compared(name, study, row, budget) for name, (study, row) in zip(names, rows, strict=True)
    ]
    if not _pairs_of(found)[0]:
        message = (
            f"there is nothing to compare: all conditions of "
            f"{', '.join(str(study.path) for study in studies)} share their runs; expected two "
            f"that were run apart"
        )
        raise UsageError(message)
    return found, budget


def require_apart(studies: Sequence[Study]) -> None:
    """Refuse to compare a study with itself.

    Raises:
        UsageError: where a study is there twice or inside another.
    """
    paths = [study.path.resolve() for study in studies]
    if twice := [study.path for study in studies if paths.count(study.path.resolve()) > 1]:
        message = (
            f"{twice[0]} is named twice, and no condition is compared with itself; name it once"
        )
        raise UsageError(message)
    for study, other in itertools.permutations(studies, 2):
        if study.rows and study.rows.keys() <= other.rows.keys():
            message = (
                f"all runs of {study.path} are in {other.path} too, and no condition is compared "
                f"with itself; leave one of the two out"
            )
            raise UsageError(message)


def comparison_tables(conditions: Sequence[Compared], budget: int) -> list[Table]:
    """The conditions, and all pairs of them."""
    steps = f"{budget:,} steps"
    table = Table(title=f"Conditions: S50 within {steps}")
    add_names(table, "condition", [one.name for one in conditions])
    add_columns(table, "S50 [95 %]", justify="right")
    headings = ("parameters", "steps to solve", "a run takes")
    add_columns(table, *headings, justify="right", fold=True)
    for one in conditions:
        parameters = "-" if one.parameters is None else f"{one.parameters:,}"
        solved_at = "-" if one.steps is None else f"{one.steps:,.0f}"
        table.add_row(one.name, span_text(one.span), parameters, solved_at, duration(one.seconds))
    ratios = _ratios(conditions)
    level = next(iter(ratios.values())).level
    told = [(*pair, ratio_text(one), p_text(one.adjusted_p)) for pair, one in ratios.items()]
    return [table, pairs_table(f"Ratio of S50 within {steps}", "ratio", level, told)]


def left_out(conditions: Sequence[Compared]) -> str:
    """The sentence that says which pairs are not compared; empty where all are."""
    shared = _pairs_of(conditions)[1]
    if not shared:
        return ""
    first, second = shared[0]
    pairs = "pair is" if len(shared) == 1 else "pairs are"
    return (
        f"{len(shared)} {pairs} left out, whose spans come of the same runs and so are not "
        f"independent, such as {first} and {second}"
    )


def comparison_document(conditions: Sequence[Compared], budget: int) -> dict[str, Any]:
    """The same as one JSON document."""
    return {
        "budget": budget,
        "conditions": [
            {"condition": one.name}
            | span_document(one.span)
            | {
                "parameters": one.parameters,
                "steps_to_solve_median": one.steps,
                "seconds_a_run_median": one.seconds,
            }
            for one in conditions
        ],
        "pairs": _pairs(conditions),
        "left_out": [
            {"first": first, "second": second} for first, second in _pairs_of(conditions)[1]
        ],
    }


def comparison_csv(conditions: Sequence[Compared]) -> str:
    """The pairs as CSV, with the values that the JSON document has."""
    return as_csv(_pairs(conditions))


def ratio_text(ratio: Ratio) -> str:
    """The ratio with its interval: `3.80 [2.51, open]`; the star is one of the two spans'."""
    if ratio.bound == "?":
        return "not known"
    low = "open" if ratio.low is None else f"{ratio.low:.2f}"
    high = "open" if ratio.high is None else f"{ratio.high:.2f}"
    bound = f"{ratio.bound} " if ratio.bound else ""
    return f"{bound}{ratio.ratio:.2f} [{low}, {high}]" + (" *" if ratio.marked else "")


def _pairs(conditions: Sequence[Compared]) -> list[dict[str, Any]]:
    """Each pair as plain values."""
    return [
        {"first": first, "second": second} | ratio._asdict() | {"differs": ratio.differs}
        for (first, second), ratio in _ratios(conditions).items()
    ]


def _ratios(conditions: Sequence[Compared]) -> dict[tuple[str, str], Ratio]:
    return compare_all({one.name: one.span for one in conditions}, _pairs_of(conditions)[0])


def _pairs_of(
    conditions: Sequence[Compared],
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The pairs of names that share no run, and those that do."""
    apart: list[tuple[str, str]] = []
    shared: list[tuple[str, str]] = []
    for one, other in itertools.combinations(conditions, 2):
        (shared if one.keys & other.keys else apart).append((one.name, other.name))
    return apart, shared


def _compared(name: str, study: Study, row: ConditionSummary, budget: int) -> Compared:
    """One condition, measured within the budget."""
    records = row.records
    rate = None if row.condition.rate == TUNED else records[0].config.learning_rate
    span = row.span
    if budget != row.condition.train_steps:
        span = measure_span([as_run(record) for record in records], budget, rate=rate)
    solved = [record.steps for record in records if record.solved and record.steps <= budget]
    seconds = [study.rows[record.config.key].timing.seconds for record in records]
    return Compared(
        name=name,
        span=span,
        parameters=_parameters(records),
        steps=float(np.median(solved)) if solved else None,
        seconds=float(np.median(seconds)),
        keys=frozenset(record.config.key for record in records),
    )


def _parameters(records: Sequence[RunRecord]) -> int | None:
    """Of the networks, which are of one size."""
    return next((record.parameters for record in records if record.parameters), None)


def _names(rows: Sequence[tuple[Study, ConditionSummary]], *, several: bool) -> list[str]:
    """A name for each condition: its cell, and what tells it from the others."""
    cells = {row.condition.cell for _, row in rows}

    def described(study: Study, row: ConditionSummary) -> Mapping[str, str]:
        condition, config = row.condition, study.config
        return {
            "cell": title(condition.cell, cells),
            "encoding": condition.encoding,
            "initialisation": condition.initialisation,
            "optimizer": condition.optimizer,
            "schedule": f"{config.schedule} schedule",
            "rate": "tuned" if condition.rate == TUNED else f"rate {condition.rate}",
            "units": f"n = {condition.hidden_size}",
            "batch": f"batches of {config.batch_size}",
            "steps": f"{condition.train_steps:,} steps",
            "study": str(study.folder) if several else "",
        }

    words = [described(study, row) for study, row in rows]
    told = [name for name in words[0] if name == "cell" or len({w[name] for w in words}) > 1]
    # The folder only where nothing else tells two conditions apart.
    short = [name for name in told if name != "study"]
    distinct = len({tuple(w[name] for name in short) for w in words}) == len(words)
    names = [", ".join(w[name] for name in (short if distinct else told)) for w in words]
    if len(set(names)) == len(names):
        return names
    return [  # two stores in one folder, or what no word here tells apart
        f"{name}, {number}: {study.path.name}"
        for number, (name, (study, _)) in enumerate(zip(names, rows, strict=True), 1)
    ]
