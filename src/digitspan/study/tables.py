"""What a study found, as tables for people, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import JustifyMethod
from rich.table import Table

from digitspan.cells import initialisation_title, title
from digitspan.runs.record import RunRecord
from digitspan.study.grid import CLIMBED
from digitspan.study.span import Span
from digitspan.study.store import Row
from digitspan.study.summary import LengthSummary, SpanSummary, Summary, interquartile_mean
from digitspan.tasks import CHANCE, TASKS

__all__ = [
    "ISOTONIC",
    "add_columns",
    "compared_table",
    "controls_table",
    "document",
    "lengths_table",
    "records_table",
    "remarks",
    "rows_csv",
    "span_text",
    "spans_csv",
    "spans_table",
]

ISOTONIC = "* the logistic curve does not fit: where the pooled share crosses one half"
"""What the star at a span says."""

_CONTROL_LENGTH = 5
"""A length that any network which works at all is expected to solve (docs/protocol.md)."""


def spans_table(summary: Summary) -> Table:
    """The table of retention spans, one row per condition."""
    steps = f"{summary.config.train_steps:,}"
    grown = ", the length growing to T" if summary.config.curriculum else ""
    table = Table(
        title=f"Retention span S50, the length T half the runs solve in {steps} steps{grown}"
    )
    add_columns(table, "cell", "encoding", "init", "rate")
    numbers = ("S50 [95 %]", "lapse", "guaranteed", "mean", "seeds", "runs", "time")
    add_columns(table, *numbers, justify="right")
    table.add_column("how the runs ended")
    for row in summary.spans:
        condition, span = row.condition, row.span
        fewest, most = row.seeds
        ends = ", ".join(f"{count} {state}" for state, count in row.end_states.items())
        table.add_row(
            title(condition.cell),
            condition.encoding,
            initialisation_title(condition.initialisation),
            condition.rate,
            span_text(row.span, [found.length for found in row.lengths]),
            f"{100 * span.lapse:.0f} %",
            "not det." if span.guaranteed is None else f"{span.guaranteed:g}",
            f"{span.mean_span:.1f}",
            str(most) if fewest == most else f"{fewest}-{most}",
            str(len(row.records)),
            duration(row.seconds),
            ends,
        )
    return table


def add_columns(table: Table, *headings: str, justify: JustifyMethod = "left") -> None:
    """Add columns that are not wrapped."""
    for heading in headings:
        table.add_column(heading, justify=justify, no_wrap=True)


def span_text(span: Span, lengths: Sequence[int]) -> str:
    """The span with its interval: `14.1 [12.0, 16.5]`, `>= 40`, `14.0 [8.1, >= 40] *`.

    An end of the interval beyond the lengths tried is open; the star says isotonic.
    """
    flag = " *" if span.method == "isotonic" else ""
    if span.bound:
        return f"{span.bound} {span.s50:,.0f}{flag}"
    low = f"<= {min(lengths):,}" if span.s50_low is None else _digits(span.s50_low)
    high = f">= {max(lengths):,}" if span.s50_high is None else _digits(span.s50_high)
    return f"{_digits(span.s50)} [{low}, {high}]{flag}"


def _digits(length: float) -> str:
    """A length with one decimal place, where that is not lost beside its thousands."""
    return f"{length:.1f}" if length < 1_000 else f"{length:,.0f}"


def lengths_table(summary: Summary) -> Table:
    """Median accuracy and memory, by condition and length."""
    table = Table(title="By length: runs solved, median accuracy, median memory, median steps")
    add_columns(table, "cell", "encoding", "init", "rule")
    add_columns(table, "T", "rate", "solved", "accuracy", "bits", "steps", justify="right")
    for row in summary.spans:
        for index, length in enumerate(row.lengths):
            c = row.condition
            names = (title(c.cell), c.encoding, initialisation_title(c.initialisation), c.rate)
            table.add_row(
                *(names if index == 0 else [""] * 4),
                str(length.length),
                f"{length.learning_rate:g}",
                _solved(length),
                _percent(length.accuracies),
                _bits(length),
                _steps(length),
            )
    return table


def records_table(summary: Summary, holds: Sequence[str] = ()) -> Table:
    """How far each condition was brought, and (in words) how far its networks hold."""
    share = f"{100 * CLIMBED:.0f} %"
    steps = f"{summary.config.train_steps:,}"
    table = Table(title=f"Records: the longest T that {share} of the seeds solve in {steps} steps")
    add_columns(table, "cell", "init", "rate")
    numbers = ("longest T", "solved", "steps", "next T", "solved there", "grown to", "time")
    add_columns(table, *numbers, *(["holds"] if holds else []), justify="right")
    for index, row in enumerate(summary.spans):
        far = [found for found in row.lengths if found.solved >= CLIMBED * len(found.records)]
        after = [found for found in row.lengths if found not in far]
        table.add_row(
            title(row.condition.cell),
            initialisation_title(row.condition.initialisation),
            row.condition.rate,
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


def compared_table(summary: Summary) -> Table:
    """Question 1.4: optimisers at the shortest length."""
    length = summary.compared[0][1].length
    table = Table(title=f"Optimisers at T = {length} (Question 1.4)")
    add_columns(table, "cell", "encoding", "optimiser")
    add_columns(table, "rate", "solved", "accuracy", "steps", justify="right")
    for condition, found in summary.compared:
        table.add_row(
            title(condition.cell),
            condition.encoding,
            condition.optimizer,
            condition.rate,
            _solved(found),
            _percent(found.accuracies),
            _steps(found),
        )
    return table


def controls_table(summary: Summary) -> Table:
    """The controls: networks that must not need memory, or must not have it."""
    table = Table(title="Controls: recurrent weights frozen, and weights guessed at random")
    add_columns(table, "cell", "encoding", "trained")
    add_columns(table, "T", "solved", "median accuracy", "median bits", justify="right")
    for control in summary.controls:
        for length in control.lengths:
            table.add_row(
                title(control.condition.cell),
                control.condition.encoding,
                {"none": "nothing (guessed)"}.get(control.condition.trained, "read-out only"),
                str(length.length),
                _solved(length),
                _percent(length.accuracies),
                _bits(length),
            )
    return table


def remarks(summary: Summary) -> list[str]:
    """Sentences that belong below the tables."""
    lines = [summary.config.note] if summary.config.note else []
    if summary.missing:
        lines.append(f"{summary.missing} runs are still missing: the table is not final")
    if _CONTROL_LENGTH not in summary.config.lengths:
        lines.append(
            f"no row at T = {_CONTROL_LENGTH}, a control that every study should have: without it "
            f"a short span may be a fault of the set-up (add {_CONTROL_LENGTH} to the lengths)"
        )
    if any(row.span.method == "isotonic" for row in summary.spans):
        lines.append(ISOTONIC)
    if any(row.condition.initialisation == "chrono" for row in summary.spans):
        lines.append(
            "the initialisation chrono knows T: its gate biases are drawn for the length that "
            "will be asked, so its spans are a condition of their own"
        )
    for row in summary.spans:
        if row.share_still_improving > 0:
            c = row.condition
            lines.append(
                f"{title(c.cell)}, {c.encoding}, {c.initialisation}, rate {c.rate}: "
                f"{100 * row.share_still_improving:.0f} % of the runs were still improving when "
                f"their budget ended (counted as not solved)"
            )
    mask = summary.mask
    if mask is not None:
        verdict = (
            "holds" if mask.holds else "DOES NOT HOLD: something besides x_1 tells the answer"
        )
        lines.append(
            f"mask control {verdict}: with x_1 replaced {100 * mask.right / mask.tested:.2f} % of "
            f"{mask.tested:,} answers are right, 99.9 % interval [{100 * mask.low:.2f}, "
            f"{100 * mask.high:.2f}], chance {100 * CHANCE:.0f}"
        )
    return lines


def document(summary: Summary, rows: Mapping[str, Row]) -> dict[str, Any]:
    """What a study found, and all its runs, as one JSON document."""
    mask = summary.mask
    return {
        "study": json.loads(summary.config.canonical),
        "missing": summary.missing,
        "spans": [_span_document(row) for row in summary.spans],
        "lengths": [
            _names(row) | _length_document(length)
            for row in summary.spans
            for length in row.lengths
        ],
        "compared": [
            condition._asdict() | _length_document(found) for condition, found in summary.compared
        ],
        "controls": [
            control.condition._asdict() | _length_document(length)
            for control in summary.controls
            for length in control.lengths
        ],
        "mask_control": None if mask is None else mask._asdict() | {"holds": mask.holds},
        "remarks": remarks(summary),
        "runs": [
            run_document(row.record) | {"seconds": row.timing.seconds} for row in rows.values()
        ],
    }


def spans_csv(summary: Summary) -> str:
    """The table of spans as CSV, one line per condition."""
    documents = [_span_document(row) for row in summary.spans]
    for entry in documents:
        entry["end_states"] = " ".join(f"{k}={v}" for k, v in entry["end_states"].items())
        entry["rates"] = " ".join(f"{k}={v:g}" for k, v in entry["rates"].items())
    return _csv(documents)


def rows_csv(rows: Iterable[Row], *, timing: bool = False) -> str:
    """Rows as CSV; without their timing the same text for the same runs."""
    return _csv(
        [run_document(row.record) | (row.timing._asdict() if timing else {}) for row in rows]
    )


def run_document(record: RunRecord) -> dict[str, Any]:
    """One run as plain values in one level, without its curve."""
    document = record.to_json(curve=False)
    environment = document.pop("environment")
    names = ("digitspan", "torch", "cpu_capability", "machine", "threads", "device")
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


def _names(row: SpanSummary) -> dict[str, str]:
    names = row.condition._asdict()
    del names["trained"]  # "all" in every span
    return names


def _span_document(row: SpanSummary) -> dict[str, Any]:
    span = row.span._asdict()
    return _names(row) | span | {
        "seeds": min(row.seeds),
        "seeds_most": max(row.seeds),
        "runs": len(row.records),
        "share_still_improving": row.share_still_improving,
        "end_states": row.end_states,
        "rates": {str(length.length): length.learning_rate for length in row.lengths},
        "seconds": round(row.seconds, 1),
    }  # fmt: skip


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
        "bits_possible": math.log2(TASKS[found.records[0].config.task].answers),
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


def _csv(documents: Sequence[Mapping[str, Any]]) -> str:
    """Dictionaries with the same keys as CSV with a head line; nothing where there are none."""
    text = io.StringIO()
    if documents:
        writer = csv.DictWriter(text, list(documents[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(documents)
    return text.getvalue()
