"""What a study found, as tables for people, CSV and JSON."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import JustifyMethod
from rich.table import Table

from digitspan.cells import initialisation_title, title
from digitspan.runs.outcome import ERROR_OF_1997
from digitspan.runs.record import RunRecord
from digitspan.study.config import SHEET_ORDER
from digitspan.study.digit_spans import SpanSummary
from digitspan.study.plan import CLIMBED, TUNED, Condition, counted
from digitspan.study.ratio import compare_spans
from digitspan.study.retention import Span
from digitspan.study.store import Row
from digitspan.study.summary import (
    CONTROL_LENGTH,
    ConditionSummary,
    LengthSummary,
    MaskControl,
    Summary,
    interquartile_mean,
    parameters_of,
    solving_times,
)
from digitspan.tasks import CHANCE

__all__ = [
    "MARKED",
    "add_columns",
    "add_names",
    "as_csv",
    "budgets_table",
    "controls_table",
    "document",
    "duration",
    "errors_text",
    "leaks_text",
    "lengths_table",
    "mask_remark",
    "optimizers_table",
    "p_text",
    "pairs_table",
    "parameters_text",
    "rate_text",
    "records_table",
    "remarks",
    "rows_csv",
    "run_table",
    "span_document",
    "span_rows",
    "span_text",
    "spans_csv",
    "spans_table",
]

MARKED = "* the surface does not describe the runs: lengths out of line with it, or a hole"
"""What the star at a span says."""

_MOST_LEAKS = 3
"""Networks whose mask control fails that are named; the others are counted."""

LONGEST_NAME = 24
"""A name longer than it is wrapped: whole columns of them and of intervals must fit 80 letters."""


def spans_table(summary: Summary) -> Table:
    """The table of retention spans, one row per condition; what all rows share is left out."""
    steps = summary.config.budget_words
    grown = ", the length growing to T" if summary.config.curriculum else ""
    table = Table(title=f"S50: the T up to which half the runs are solved in {steps} steps{grown}")
    _add_conditions(table, summary)
    add_columns(table, "rate", justify="right", fold=True)
    add_columns(table, "S50 [95 %]", justify="right")
    is_grid = summary.config.design == "grid"
    numbers = ("solved", "lapse", *(["guaranteed"] if is_grid else []), "time")
    add_columns(table, *numbers, justify="right", fold=True)
    for row in summary.spans:
        guaranteed = "not det." if row.guaranteed is None else f"{row.guaranteed:g}"
        table.add_row(
            *_condition_names(summary, row),
            rate_text(row),
            span_text(row.span),
            f"{row.span.solved}/{row.span.runs}",
            "-" if row.span.lapse is None else f"{100 * row.span.lapse:.0f} %",
            *([guaranteed] if is_grid else []),
            duration(row.seconds),
        )
    return table


def budgets_table(summary: Summary) -> Table:
    """S50 within quarters of the budget, from the same runs."""
    falls = summary.config.schedule != "constant"
    whose = ", whose rates fall over the whole budget" if falls else ""
    table = Table(title=f"S50 within fewer steps, from the same runs{whose}")
    _add_conditions(table, summary)
    add_columns(table, "rate", "within steps", justify="right", fold=True)
    add_columns(table, "S50 [95 %]", justify="right")
    add_columns(table, "solved", justify="right", fold=True)
    for row in summary.spans:
        names = _condition_names(summary, row)
        for index, span in enumerate(row.budgets):
            table.add_row(
                *(names if index == 0 else [""] * len(names)),
                rate_text(row, span),
                f"{span.budget:,}",
                span_text(span),
                f"{span.solved}/{span.runs}",
            )
    return table


def _name(summary: Summary, condition: Condition) -> str:
    """The cell of a condition, as it is told from the others of the study."""
    return title(condition.cell, summary.config.cells)


def _add_conditions(table: Table, summary: Summary) -> None:
    """Add the columns that name a study's conditions."""
    add_names(table, "cell", [_name(summary, condition) for condition in summary.conditions])
    add_columns(table, *_differing(summary), fold=True)
    add_columns(table, "parameters", justify="right", fold=True)


def _condition_names(summary: Summary, row: ConditionSummary) -> tuple[str, ...]:
    """What stands in these columns."""
    differing = _differing(summary, row.condition)
    return _name(summary, row.condition), *differing, parameters_text(row.parameters)


def parameters_text(parameters: tuple[int, int] | None) -> str:
    """The number of parameters, or the least and the most: `70,154`, `1,034 to 5,130`."""
    if parameters is None:
        return "-"
    return " to ".join(f"{number:,}" for number in dict.fromkeys(parameters))


def _differing(summary: Summary, condition: Condition | None = None) -> list[str]:
    """The headings of what the study's conditions differ in, or one condition's values."""
    headings = {
        "encoding": "encoding",
        "initialisation": "start",
        "optimizer": "optimiser",
        "hidden_size": "n",
        "train_steps": "steps at most",
    }
    # A cell of one's own has its own start, which its name says already.
    differing = [
        name
        for name in headings
        if len({getattr(known, name) for known in summary.conditions} - {"own"}) > 1
    ]
    if condition is None:
        return [headings[name] for name in differing]
    start = initialisation_title(condition.initialisation)
    values = {**condition._asdict(), "initialisation": start}
    return [_number_text(values[name]) for name in differing]


def _sizes(summary: Summary, condition: Condition | None = None) -> list[str]:
    """The headings of widths and budgets where a study has several, or one condition's values."""
    config = summary.config
    several = {
        "n": (config.sizes or config.hidden_sizes, condition and condition.hidden_size),
        "steps at most": (config.budgets, condition and condition.train_steps),
    }
    told = {heading: value for heading, (all_, value) in several.items() if len(all_) > 1}
    return list(told) if condition is None else [_number_text(value) for value in told.values()]


def _number_text(value: object) -> str:
    """A word, or a number with its thousands."""
    return f"{value:,}" if isinstance(value, int) else str(value)


def rate_text(row: ConditionSummary, span: Span | None = None) -> str:
    """The rate of a condition: `0.001`, or the best at its span: `best: 0.0046`."""
    if row.condition.rate != TUNED:
        return row.condition.rate
    rate = (span or row.span).rate
    return "best: -" if rate is None else f"best: {rate:.2g}"


def add_columns(
    table: Table, *headings: str, justify: JustifyMethod = "left", fold: bool = False
) -> None:
    """Add columns that are not wrapped; or those that are, where a terminal is narrow."""
    for heading in headings:
        table.add_column(heading, justify=justify, no_wrap=not fold, overflow="fold")


def add_names(table: Table, heading: str, names: Sequence[str]) -> None:
    """Add the column of some names, which are wrapped only where they are long."""
    add_columns(table, heading, fold=max(map(len, names), default=0) > LONGEST_NAME)


def pairs_table(
    what: str, unit: str, level: float, pairs: Sequence[tuple[str, str, str, str]]
) -> Table:
    """All pairs of what was compared: names, what came out, and Holm's p.

    Args:
        what: what is told of a pair, for the title.
        unit: the heading of what came out.
        level: of the intervals.
        pairs: for each, the two names, what came out, and p in words.
    """
    table = Table(
        title=f"{what}; intervals at {100 * level:.4g} %, p after Holm "
        f"({len(pairs)} {'pair' if len(pairs) == 1 else 'pairs'})"
    )
    add_columns(table, "longer or not", "than", fold=True)
    add_columns(table, unit, "p", justify="right")
    for pair in pairs:
        table.add_row(*pair)
    return table


def p_text(adjusted_p: float) -> str:
    """Holm's p: `0.012`, `< 0.001`."""
    return "< 0.001" if adjusted_p < 0.001 else f"{adjusted_p:.3f}"


def span_text(span: Span) -> str:
    """The span with its interval: `14.1 [12.0, 16.5]`, `>= 40`, `58.2 [40.4, open] *`.

    An end beyond the lengths that were run is open; the star says that the surface does not
    describe the runs.
    """
    flag = " *" if span.marked else ""
    low = "open" if span.low is None else _digits(span.low)
    high = "open" if span.high is None else _digits(span.high)
    if span.low is None and span.high is None and not span.bound:
        return f"- [open, open]{flag}"  # all of it would be the prior's
    bound = f"{span.bound} " if span.bound else ""
    if (span.bound, low) == (">=", "open") or (span.bound, high) == ("<=", _digits(span.s50)):
        return f"{bound}{_digits(span.s50)}{flag}"
    return f"{bound}{_digits(span.s50)} [{low}, {high}]{flag}"


def _digits(length: float) -> str:
    """A length with one decimal place, where that is not lost beside its thousands."""
    return f"{length:.1f}" if length < 1_000 else f"{length:,.0f}"


def lengths_table(summary: Summary) -> Table:
    """Median accuracy and memory, by condition and length."""
    table = Table(title="By length: runs solved, median accuracy, median memory, median steps")
    _add_conditions(table, summary)
    numbers = ("T", "rate", "solved", "accuracy", "bits", "steps")
    add_columns(table, *numbers, justify="right", fold=True)
    for row in summary.spans:
        names = _condition_names(summary, row)
        for index, length in enumerate(row.lengths):
            table.add_row(
                *(names if index == 0 else [""] * len(names)),
                str(length.length),
                f"{length.learning_rate:g}",
                _solved(length),
                _percent(length.accuracies),
                _bits(length),
                _steps(length),
            )
    return table


def records_table(summary: Summary, holds: Sequence[str] = ()) -> Table:
    """How far each condition was brought, of a study that climbs from length to length.

    Args:
        summary: what the study found.
        holds: how far each condition's networks hold, in words, where they were asked.
    """
    share = f"{100 * CLIMBED:.0f} %"
    steps = summary.config.budget_words
    table = Table(title=f"Records: the longest T that {share} of the seeds solve in {steps} steps")
    add_names(table, "cell", [_name(summary, condition) for condition in summary.conditions])
    add_columns(table, "start", "rate", fold=True)
    numbers = (
        "parameters",
        "longest T",
        "solved",
        "steps",
        "next T",
        "solved there",
        "grown to",
        "time",
    )
    add_columns(table, *numbers, *(["holds"] if holds else []), justify="right", fold=True)
    for index, row in enumerate(summary.spans):
        far = [found for found in row.lengths if found.solved >= CLIMBED * len(found.records)]
        after = [found for found in row.lengths if found not in far]
        table.add_row(
            _name(summary, row.condition),
            initialisation_title(row.condition.initialisation),
            row.condition.rate,
            parameters_text(row.parameters),
            f"{far[-1].length:,}" if far else "none",
            _solved(far[-1]) if far else "",
            _steps(far[-1]) if far else "",
            f"{after[0].length:,}" if after else "not tried",
            _solved(after[0]) if after else "",
            ", ".join(f"{record.grown_to:,}" for record in after[0].records) if after else "",
            duration(row.seconds),
            *holds[index : index + 1],
        )
    return table


def optimizers_table(summary: Summary) -> Table:
    """Question 1.4: optimisers at the shortest length."""
    length = summary.optimizers[0][1].length
    table = Table(title=f"Optimisers at T = {length} (Question 1.4)")
    add_names(table, "cell", [_name(summary, condition) for condition, _ in summary.optimizers])
    add_columns(table, "encoding", *_sizes(summary), "optimiser", fold=True)
    numbers = ("parameters", "rate", "solved", "accuracy", "steps")
    add_columns(table, *numbers, justify="right", fold=True)
    for condition, found in summary.optimizers:
        table.add_row(
            _name(summary, condition),
            condition.encoding,
            *_sizes(summary, condition),
            condition.optimizer,
            parameters_text(parameters_of(found.records)),
            condition.rate,
            _solved(found),
            _percent(found.accuracies),
            _steps(found),
        )
    return table


def controls_table(summary: Summary) -> Table:
    """The controls: networks that must not need memory, or must not have it."""
    table = Table(title="Controls: recurrent weights frozen, and weights guessed at random")
    add_names(table, "cell", [_name(summary, control.condition) for control in summary.controls])
    add_columns(table, "encoding", *_sizes(summary), "trained", fold=True)
    numbers = ("parameters", "T", "solved", "median accuracy", "median bits")
    add_columns(table, *numbers, justify="right", fold=True)
    for control in summary.controls:
        for length in control.lengths:
            table.add_row(
                _name(summary, control.condition),
                control.condition.encoding,
                *_sizes(summary, control.condition),
                {"none": "nothing (guessed)"}.get(control.condition.trained, "read-out only"),
                parameters_text(parameters_of(length.records)),
                str(length.length),
                _solved(length),
                _percent(length.accuracies),
                _bits(length),
            )
    return table


def errors_text(summary: Summary | SpanSummary) -> str:
    """The line that comes before every table of a study with errors; empty without any."""
    if not summary.errors:
        return ""
    record = summary.errors[0]
    return (
        f"{len(summary.errors)} runs ended in an error and are left out, such as "
        f"{record.config.run_id}: {record.note}; they are made again on the next call of "
        f"`digitspan study`"
    )


TWO_SPANS = (
    "two spans, two names: the digit span counts the items of a list that come back whole; the "
    "retention span, S50, is the steps T over which one digit is kept"
)
"""Stands below every table of either."""


def remarks(summary: Summary) -> list[str]:
    """Sentences that belong below the tables."""
    lines = [summary.config.note] if summary.config.note else []
    if summary.config.preset == "quick" and summary.config.note:
        lines += _order_beside_sheet(summary)
    if missing := summary.missing - len(summary.errors):
        lines.append(f"{missing} runs are still missing: the table is not final")
    if summary.lacks_control_length:
        lines.append(
            f"no runs at T = {CONTROL_LENGTH}, a control that every study should have: without "
            f"them a short span may be a fault of the set-up"
        )
    if any(row.span.marked for row in summary.spans):
        lines.append(MARKED)
    if any(row.condition.initialisation == "chrono" for row in summary.spans):
        lines.append(
            "the start chrono knows T: its gate biases are drawn for the length that will be "
            "asked, so its spans are a condition of their own"
        )
    if summary.config.task == "first-symbol" and summary.spans:
        lines.append(_criterion_of_1997(summary))
    if summary.continued:
        budget = max(record.config.train_steps for record in summary.continued)
        solved = sum(record.solved for record in summary.continued)
        lines.append(
            f"of {len(summary.continued)} unsolved figure runs, drawn before they were run and "
            f"continued to {budget:,} steps, {solved} were solved"
        )
    if summary.mask is not None:
        lines.append(mask_remark(summary.mask, "x_1"))
    return [*lines, TWO_SPANS]


def mask_remark(mask: MaskControl, replaced: str) -> str:
    """Whether the mask control holds, in a sentence; `replaced` is the digit that was."""
    verdict = (
        "holds" if mask.holds else f"DOES NOT HOLD: something besides {replaced} tells the answer"
    )
    return (
        f"mask control {verdict}: with {replaced} replaced {100 * mask.right / mask.tested:.2f} % "
        f"of {mask.tested:,} answers are right, 99.9 % interval [{100 * mask.low:.2f}, "
        f"{100 * mask.high:.2f}], chance {100 * CHANCE:.0f}, {leaks_text(mask)}"
    )


def leaks_text(mask: MaskControl) -> str:
    """Which networks have a place with more right answers than chance allows, in a few words."""
    if not mask.leaks:
        return "and at no place of any network alone are more right than chance allows"
    shown = []
    for leak in mask.leaks[:_MOST_LEAKS]:
        where = f"T = {leak.length}"
        if leak.place is not None:
            where = f"place {leak.place} of {leak.length // 2} items"
        shown.append(f"{leak.run} at {where} ({leak.right} of {leak.asked})")
    if len(mask.leaks) > _MOST_LEAKS:
        shown.append(f"{len(mask.leaks) - _MOST_LEAKS} more")
    return f"and more than chance allows alone of {', '.join(shown)}"


def _criterion_of_1997(summary: Summary) -> str:
    """How many of the solved runs meet the criterion that the task was published with."""
    solved = {
        record.config.key: record
        for row in summary.spans
        for records in (row.records, *(length.records for length in row.lengths))
        for record in records
        if record.solved
    }.values()
    measured = [record.meets_1997 for record in solved if record.meets_1997 is not None]
    line = (
        f"of {len(measured)} solved runs {sum(measured)} meet the criterion of Hochreiter and "
        f"Schmidhuber 1997 as well: on every one of the sequences drawn for the test the absolute "
        f"error of every output, softmax against one-hot target, is below {ERROR_OF_1997}"
    )
    unknown = len(solved) - len(measured)
    return f"{line}; of {unknown} it was not measured" if unknown else line


def _order_beside_sheet(summary: Summary) -> list[str]:
    """Whether the quick study finds the same cell ahead as the sheet's own networks show."""
    spans = {row.condition.cell: row.span for row in summary.spans if row.condition.rate == TUNED}
    if not spans.keys() >= set(SHEET_ORDER):
        return []
    ahead, behind = SHEET_ORDER
    there = f"the {title(ahead)}'s span is the longer with the networks of `sheet`"
    ratio = compare_spans(spans[ahead], spans[behind])
    if not ratio.differs:
        return [f"which of the two spans is the longer cannot be told from these runs; {there}"]
    here = ahead if ratio.low is not None and ratio.low > 1 else behind
    if here == ahead:
        return [f"{there}, and here too"]
    return [
        f"the order differs from that of `sheet`: here the {title(here)}'s span is the longer, "
        f"but {there}"
    ]


def document(summary: Summary, rows: Mapping[str, Row]) -> dict[str, Any]:
    """Everything as one JSON document.

    Args:
        summary: what was found.
        rows: the study's rows, for the list of runs.
    """
    mask, counts = summary.mask, counted(summary.config, {k: r.record for k, r in rows.items()})
    return {
        "study": json.loads(summary.config.canonical),
        "missing": summary.missing,
        "spans": [_span_document(row) for row in summary.spans],
        "budgets": [
            _names(row) | span_document(span) for row in summary.spans for span in row.budgets
        ],
        "lengths": [
            _names(row) | _length_document(length)
            for row in summary.spans
            for length in row.lengths
        ],
        "solving_times": [
            _names(row) | {"length": found.length, "step": steps, "share": shares}
            for row in summary.spans
            for found in row.lengths
            for steps, shares in [solving_times(summary, found).tolist()]
        ],
        "optimizers": [
            condition._asdict() | _length_document(found)
            for condition, found in summary.optimizers
        ],
        "controls": [
            control.condition._asdict() | _length_document(length)
            for control in summary.controls
            for length in control.lengths
        ],
        "mask_control": None if mask is None else mask.document,
        "continued": [run_document(record) for record in summary.continued],
        "errors": [run_document(record) for record in summary.errors],
        "remarks": remarks(summary),
        "runs": [
            run_document(row.record)
            | {"role": row.role, "counted": key in counts, "seconds": row.timing.seconds}
            for key, row in rows.items()
        ],
    }


def spans_csv(summary: Summary) -> str:
    """The table of spans as CSV, one line per condition."""
    return as_csv(span_rows(summary))


def span_rows(summary: Summary) -> list[dict[str, Any]]:
    """The table of spans as plain values, one dictionary a condition."""
    documents = [_span_document(row) for row in summary.spans]
    for entry in documents:
        entry["end_states"] = " ".join(f"{k}={v}" for k, v in entry["end_states"].items())
    return documents


def run_table(rows: Iterable[Row], counts: Container[str]) -> list[dict[str, Any]]:
    """Runs as dictionaries of plain values, one type a column, so that any data frame takes them.

    A number that may be missing is a float, and nan where it is.

    Args:
        rows: a study's, sorted by key.
        counts: the keys of those that its tables count.
    """
    some = list(rows)
    lists = any(row.record.config.items is not None for row in some)
    return [
        {
            name: _number(value) if name in _MAY_MISS else value
            for name, value in (
                run_document(row.record)
                | (_recalled_columns(row.record) if lists else {})
                | {"role": row.role, "counted": row.record.config.key in counts}
                | row.timing._asdict()
            ).items()
        }
        for row in some
    ]


_MAY_MISS = {
    *(field.name for field in dataclasses.fields(RunRecord) if field.type.endswith("None")),
    "items", "digit_span", "mean_span", "validation_mean_span", "capacity_bits", "state_size",
} - {"weights_sha256"}  # fmt: skip
"""Columns of numbers that a run may not have."""


def _number(value: float | None) -> float:
    """A number, or nan where there is none."""
    return math.nan if value is None else float(value)


def rows_csv(
    rows: Iterable[Row], counts: Container[str] | None = None, *, timing: bool = False
) -> str:
    """A study's rows as CSV: the same text for the same runs, however they came about.

    Args:
        rows: sorted by key.
        counts: the keys of those that the study's tables count; None where it is not known.
        timing: also what differs from one time to the next.
    """
    some = list(rows)
    lists = any(row.record.config.items is not None for row in some)
    return as_csv(
        [
            run_document(row.record)
            | (_recalled_columns(row.record) if lists else {})
            | {"role": row.role}
            | ({} if counts is None else {"counted": row.record.config.key in counts})
            | (row.timing._asdict() if timing else {})
            for row in some
        ]
    )


def _recalled_columns(record: RunRecord) -> dict[str, Any]:
    """What a run said of lists, in columns; empty where none were asked."""
    found = record.recalled
    return {
        "items": record.config.items,
        "digit_span": found and found.digit_span,
        "mean_span": found and found.mean_span,
        "validation_mean_span": found.on_the_way[-1].mean_span
        if found and found.on_the_way
        else None,
        "capacity_bits": found and found.capacity.bits,
        "state_size": found and found.state_size,
    }


def run_document(record: RunRecord) -> dict[str, Any]:
    """One run as plain values in one level, without its curve and what it said of lists."""
    document = record.to_json(curve=False)
    del document["recalled"]
    environment = document.pop("environment")
    names = ("digitspan", "torch", "cpu_capability", "machine", "threads", "denormals", "device")
    return {"key": record.config.key, "run_id": record.config.run_id} | document | {
        name: environment.get(name, "") for name in names
    }  # fmt: skip


def duration(seconds: float) -> str:
    """A time for people: `42 s`, `3:05 min`, `1:02 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"


def _names(row: ConditionSummary) -> dict[str, Any]:
    names = row.condition._asdict()
    del names["trained"]  # "all" in every span
    return names


def _span_document(row: ConditionSummary) -> dict[str, Any]:
    return _names(row) | span_document(row.span) | {
        "guaranteed": row.guaranteed,
        "parameters": row.parameters and row.parameters[-1],
        "end_states": row.end_states,
        "seconds": round(row.seconds, 1),
    }  # fmt: skip


def span_document(span: Span) -> dict[str, Any]:
    """A span as plain values, without its posterior."""
    values = span._asdict()
    del values["atoms"]
    return values | {"marked": span.marked}


def _length_document(found: LengthSummary) -> dict[str, Any]:
    accuracies, bits = found.accuracies, found.bits
    tested = len(accuracies) > 0
    return {
        "length": found.length,
        "learning_rate": found.learning_rate,
        "runs": len(found.records),
        "solved": found.solved,
        "solved_low": found.solved_interval.low,
        "solved_high": found.solved_interval.high,
        "accuracy_median": float(np.median(accuracies)) if tested else None,
        "accuracy_mean": float(accuracies.mean()) if tested else None,
        "accuracy_interquartile_mean": interquartile_mean(accuracies) if tested else None,
        "bits_median": float(np.median(bits)) if tested else None,
        "bits_possible": math.log2(found.records[0].config.asks.answers),
        "steps_to_solve_median": _median_steps(found),
    }


def _median_steps(found: LengthSummary) -> float | None:
    """Median steps of the solved runs; None where none was solved."""
    steps = [record.steps for record in found.records if record.solved]
    return float(np.median(steps)) if steps else None


def _solved(found: LengthSummary) -> str:
    return f"{found.solved}/{len(found.records)}"


def _bits(found: LengthSummary) -> str:
    return f"{np.median(found.bits):.2f}" if len(found.bits) else "-"


def _steps(found: LengthSummary) -> str:
    steps = _median_steps(found)
    return "-" if steps is None else f"{steps:,.0f}"


def _percent(accuracies: np.ndarray) -> str:
    return f"{100 * np.median(accuracies):.1f} %" if len(accuracies) else "-"


def as_csv(documents: Sequence[Mapping[str, Any]]) -> str:
    """Dictionaries with the same keys as CSV with a head line; nothing where there are none."""
    text = io.StringIO()
    if documents:
        writer = csv.DictWriter(text, list(documents[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: _as_text(v) for k, v in entry.items()} for entry in documents)
    return text.getvalue()


def _as_text(value: Any) -> Any:
    """A text that a spreadsheet would run as a formula, marked as a text; all else as it is."""
    is_formula = isinstance(value, str) and value[:1] in tuple("=+-@")
    return f"'{value}" if is_formula else value
