"""Digit spans as tables for people, CSV and JSON."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from rich.table import Table

from digitspan.cells import initialisation_title, title
from digitspan.runs.recalled import Lists
from digitspan.study.digit_spans import (
    FEW_NETWORKS,
    PEOPLE,
    CellSpan,
    Mean,
    Median,
    SpanSummary,
)
from digitspan.study.plan import counted
from digitspan.study.store import Row
from digitspan.study.tables import (
    TWO_SPANS,
    add_columns,
    add_names,
    as_csv,
    duration,
    mask_remark,
    run_document,
)
from digitspan.tasks import LISTS_HELD_OUT_FROM

__all__ = [
    "cell_document",
    "digit_span_tables",
    "digit_spans_csv",
    "digit_spans_document",
    "digit_spans_remarks",
    "label",
    "mean_text",
    "median_text",
    "network_remarks",
    "places_shown",
    "span_text",
]


def digit_span_tables(summary: SpanSummary) -> list[Table]:
    """The spans, how the networks were trained, what is right by place, and the capacity."""
    return [_spans(summary), _training(summary), _places(summary), _capacity(summary)]


def _spans(summary: SpanSummary) -> Table:
    """Digit span and mean span, one row a cell and width."""
    config = summary.config
    counts = sorted({len(cell.recalled) for cell in summary.measured})
    networks = " to ".join(map(str, [counts[0], counts[-1]] if counts[1:] else counts))
    table = Table(
        title=f"Digit span, {config.order}, in items: {networks} network{'s' * (counts != [1])} "
        f"each,\ntrained for {_up_to(summary)}{config.budget:,} steps"
    )
    _add_names(table, summary)
    median = "median [94 %]" if counts and counts[-1] >= FEW_NETWORKS else "median"
    add_columns(table, "digit span [95 %]", "mean span [95 %]", median, justify="right")
    for cell in summary.measured:
        table.add_row(
            *_names(summary, cell),
            span_text(cell, cell.digit_span),
            span_text(cell, cell.mean_span),
            median_text(cell.median_span),
        )
    return table


def _up_to(summary: SpanSummary) -> str:
    """A word for the budget where some network ended before it: solved, or diverged."""
    steps = [record.steps for cell in summary.measured for record in cell.records]
    return "up to " if steps and min(steps) < summary.config.budget else ""


def _training(summary: SpanSummary) -> Table:
    """Start, best rate and how its tuning runs did, one row a cell and width."""
    table = Table(title="Training: the best rate; mean spans of tuning runs at it and beside it")
    _add_names(table, summary)
    starts = not any(heading == "start" for _, heading in _differing(summary))
    add_columns(table, *(["start"] if starts else []), fold=True)
    numbers = ("rate", "below", "at it", "above", "parameters")
    add_columns(table, *numbers, justify="right")
    for cell in summary.measured:
        below, above = cell.neighbours
        spans = (below, cell.tried.get(cell.rate or 0), above)
        table.add_row(
            *_names(summary, cell),
            *([initialisation_title(cell.condition.initialisation)] if starts else []),
            f"{cell.rate:g}",
            *("-" if span is None else f"{span:.1f}" for span in spans),
            "-" if cell.parameters is None else f"{cell.parameters:,}",
        )
    return table


def _places(summary: SpanSummary) -> Table:
    """Right by place of the list, and wrong digits that are a neighbour's."""
    table = Table(title="Right by place of the list, in %, below, at and above the span")
    _add_names(table, summary)
    add_columns(table, "L", "whole", "first", "middle", "last", justify="right")
    add_columns(table, "errors: a neighbour's", "by chance", justify="right", fold=True)
    for cell in summary.measured:
        names = _names(summary, cell)
        for index, items in enumerate(places_shown(cell)):
            places = _share_by_place(cell, items)
            wrong = cell.mean_over(items, lambda found: found.wrong)
            shares = [
                f"{100 * cell.mean_over(items, value) / wrong:.0f} %" if wrong else "-"
                for value in (_neighbours, _neighbours_by_chance)
            ]
            table.add_row(
                *(names if index == 0 else [""] * len(names)),
                str(items),
                f"{100 * cell.share_whole(items):.0f} %",
                *(f"{100 * places[at]:.0f}" for at in (0, (items - 1) // 2, items - 1)),
                *shares,
            )
    return table


def _capacity(summary: SpanSummary) -> Table:
    """Bits told of a list at most, against the numbers carried."""
    table = Table(title="Capacity: the most bits told of lists of one length, of L log2 10 read;\n"
                  "for each unit, and for each number that the state has")  # fmt: skip
    _add_names(table, summary)
    add_columns(table, "bits [95 %]", justify="right")
    add_columns(table, "L", "of", "state", "bits/unit", "bits/state", justify="right")
    for cell in summary.measured:
        lengths = [found.capacity.items for found in cell.recalled]
        size = cell.state_size
        table.add_row(
            *_names(summary, cell),
            mean_text(cell.capacity),
            f"{sum(lengths) / len(lengths):.1f}",
            f"{cell.capacity_bound:.1f}",
            "-" if size is None else f"{size:,}",
            f"{cell.capacity.mean / cell.hidden_size:.3f}",
            "-" if not size else f"{cell.capacity.mean / size:.3f}",
        )
    return table


def digit_spans_remarks(summary: SpanSummary) -> list[str]:
    """Sentences that belong below the tables."""
    config = summary.config
    lines = [config.note] if config.note else []
    if missing := summary.missing - len(summary.errors):
        lines.append(f"{missing} runs are still missing: the table is not final")
    lines += [*network_remarks(summary), *_places_remark(summary)]
    lines.append(
        f"of lists of up to {LISTS_HELD_OUT_FROM - 1} items there are too few to hold any out: "
        f"there, all of them are trained on and asked; longer ones are unseen"
    )
    lines.append(
        f"people repeat about {PEOPLE[config.order]} digits {config.order} (Woods and others "
        f"2011), heard once, untrained in it; a network has read {_up_to(summary)}"
        f"{config.budget * config.batch_size:,} lists"
    )
    lines.append(f"these runs took {duration(sum(cell.seconds for cell in summary.cells))} of one "
                 f"core")  # fmt: skip
    if "scalar" in config.encoding:
        lines.append("where digits go in as numbers, a silent step goes in as -1")
    if summary.mask is not None:
        lines.append(mask_remark(summary.mask, "a place's digit"))
    return [*lines, TWO_SPANS]


def network_remarks(summary: SpanSummary) -> list[str]:
    """What must be known of the networks behind the spans, wherever these are printed."""
    lines, measured = [], summary.measured
    few = min((len(cell.recalled) for cell in measured), default=None)
    if few is not None and few < FEW_NETWORKS:
        lines.append(
            f"{few} network{'s' * (few > 1)} a cell: a look, no claim; from {FEW_NETWORKS} on the "
            f"interval is one to go by"
        )
    elif few is not None:
        lines.append(
            f"mean span [95 %]: Student's t, which covers where networks differ by luck; where "
            f"none of {few} fails, up to {100 * (1 - 0.05 ** (1 / few)):.0f} % may do so all the "
            f"same. The median network's mean span is covered in 94 % or more in any case"
        )
    for cell in measured:
        name, count = label(summary, cell), len(cell.recalled)
        if not any(found.digit_span for found in cell.recalled):
            lines.append(f"no network of {name} repeats lists of one item half of the time")
        elif cell.failed:
            lines.append(
                f"{cell.failed} of {count} networks of {name} have less than half of the best "
                f"one's mean span: the interval of the mean says little there, look at the dots"
            )
    for cell in measured:
        rates = list(cell.tried)
        if len(rates) > 1 and cell.rate in (rates[0], rates[-1]):
            end = "lowest" if cell.rate == rates[0] else "highest"
            lines.append(
                f"the best rate of {label(summary, cell)} is the {end} that was tried: beyond it "
                f"its span may be longer"
            )
    if any(cell.is_open for cell in measured):
        lines.append(
            f">=: the longest lists, L = {summary.config.longest_list}, still came back whole "
            f"half of the time or more; longer ones need --items, and --train-steps where "
            f"the budget allows no longer ones"
        )
    return lines


def _places_remark(summary: SpanSummary) -> list[str]:
    """Where the places are not of all networks."""
    few = [
        f"{asked} of {len(cell.recalled)} of {label(summary, cell)} at L = {items}"
        for cell in summary.measured
        for items in places_shown(cell)
        if (asked := sum(items <= len(found.lists) for found in cell.recalled))
        < len(cell.recalled)
    ]
    if not few:
        return []
    return [
        f"places are of the networks that were asked such lists, {'; '.join(few)}: of "
        f"the others no list of two shorter lengths had come back whole"
    ]


def digit_spans_document(summary: SpanSummary, rows: Mapping[str, Row]) -> dict[str, Any]:
    """Everything as one JSON document.

    Args:
        summary: what was found.
        rows: the study's rows, for the list of runs.
    """
    mask, counts = summary.mask, counted(summary.config, {k: r.record for k, r in rows.items()})
    return {
        "study": json.loads(summary.config.canonical),
        "missing": summary.missing,
        "digit_spans": [cell_document(cell) for cell in summary.measured],
        "by_length": [
            _identity(cell) | _lists_document(cell, items)
            for cell in summary.measured
            for items in range(1, max(len(found.lists) for found in cell.recalled) + 1)
        ],
        "mask_control": None if mask is None else mask.document,
        "errors": [run_document(record) for record in summary.errors],
        "remarks": digit_spans_remarks(summary),
        "people": PEOPLE[summary.config.order],
        "runs": [
            run_document(row.record)
            | {"recalled": row.record.recalled and row.record.recalled.to_json()}
            | {"role": row.role, "counted": key in counts, "seconds": row.timing.seconds}
            for key, row in rows.items()
        ],
    }


def digit_spans_csv(summary: SpanSummary) -> str:
    """The table of digit spans as CSV, one line a cell and width."""
    return as_csv([cell_document(cell) for cell in summary.measured])


def mean_text(mean: Mean) -> str:
    """A mean with its interval: `13.2 [11.9, 14.5]`; without one of a single network.

    Networks that are all alike, as spans in whole items can be, say nothing of how much they
    differ: `4.0 (each)`.
    """
    if mean.low is None or mean.high is None:
        return f"{mean.mean:.1f}"
    if mean.low == mean.high:
        return f"{mean.mean:.1f} (each)"
    return f"{mean.mean:.1f} [{mean.low:.1f}, {mean.high:.1f}]"


def span_text(cell: CellSpan, mean: Mean) -> str:
    """One of a cell's two spans: `>= ` before it where it lies beyond the longest list."""
    return f"{'>= ' * cell.is_open}{mean_text(mean)}"


def median_text(median: Median) -> str:
    """The median with the two networks that enclose it; without these of fewer than five."""
    if median.low is None or median.high is None:
        return f"{median.median:.1f}"
    return f"{median.median:.1f} [{median.low:.1f}, {median.high:.1f}]"


def label(summary: SpanSummary, cell: CellSpan, *, width: bool = True) -> str:
    """A cell with what tells it from the others of its study, or of its width: `LSTM, n = 128`."""
    cell_name, n, *others = _names(summary, cell)
    return ", ".join([cell_name, *([f"n = {n}"] if width else []), *others])


def places_shown(cell: CellSpan) -> list[int]:
    """The lengths whose places are shown: two below the span, at it, and two above."""
    span = max(round(cell.digit_span.mean), 1)
    longest = max(len(found.lists) for found in cell.recalled)
    return [items for items in (span - 2, span, span + 2) if 1 <= items <= longest]


def _add_names(table: Table, summary: SpanSummary) -> None:
    """Add the columns that name a study's cells."""
    add_names(table, "cell", [_names(summary, cell)[0] for cell in summary.cells])
    add_columns(table, "n", justify="right")
    add_columns(table, *(heading for _, heading in _differing(summary)), fold=True)


def _names(summary: SpanSummary, cell: CellSpan) -> list[str]:
    """The cell, its width, and what else tells it from the study's others."""
    condition = cell.condition
    start = initialisation_title(condition.initialisation)
    values = condition._asdict() | {"initialisation": start}
    others = [str(values[name]) for name, _ in _differing(summary)]
    name = title(condition.cell, summary.config.cells)
    return [name, str(cell.hidden_size), *others]


def _differing(summary: SpanSummary) -> list[tuple[str, str]]:
    """What tells cells of one name and width apart, with its heading."""
    headings = {"initialisation": "start", "encoding": "encoding"}
    alike: dict[tuple[str, int], list[CellSpan]] = defaultdict(list)
    for cell in summary.cells:
        alike[cell.condition.cell, cell.hidden_size].append(cell)
    return [
        (name, heading)
        for name, heading in headings.items()
        if any(len({getattr(c.condition, name) for c in some}) > 1 for some in alike.values())
    ]


def _share_by_place(cell: CellSpan, items: int) -> list[float]:
    """The share right at each place of lists of one length, mean over networks."""
    return [
        cell.mean_over(items, lambda found, at=place: found.right[at] / found.asked)  # type: ignore[misc]
        for place in range(items)
    ]


def _neighbours(found: Lists) -> float:
    return found.neighbours


def _neighbours_by_chance(found: Lists) -> float:
    return found.neighbours_by_chance


def _identity(cell: CellSpan) -> dict[str, Any]:
    """What names a cell in documents."""
    condition = cell.condition
    return {
        "cell": condition.cell,
        "hidden_size": cell.hidden_size,
        "encoding": condition.encoding,
        "initialisation": condition.initialisation,
        "optimizer": condition.optimizer,
    }


def cell_document(cell: CellSpan) -> dict[str, Any]:
    """One row of the table of digit spans as plain values."""
    below, above = cell.neighbours
    values: dict[str, Any] = _identity(cell) | {"learning_rate": cell.rate}
    for name in ("digit_span", "mean_span", "capacity"):
        mean: Mean = getattr(cell, name)
        values |= {name: mean.mean, f"{name}_low": mean.low, f"{name}_high": mean.high}
    median, low, high = cell.median_span
    values |= {"median_span": median, "median_span_low": low, "median_span_high": high}
    return values | {
        "networks": len(cell.recalled),
        "failed": cell.failed,
        "open": cell.is_open,
        "mean_span_rate_below": below,
        "mean_span_rate_above": above,
        "parameters": cell.parameters,
        "state_size": cell.state_size,
        "capacity_bound": cell.capacity_bound,
        "bits_a_unit": cell.capacity.mean / cell.hidden_size,
        "bits_a_number_of_state": (
            cell.capacity.mean / cell.state_size if cell.state_size else None
        ),
        "seconds": round(cell.seconds, 1),
    }


def _lists_document(cell: CellSpan, items: int) -> dict[str, Any]:
    """Lists of one length as plain values, means over networks."""
    return {
        "items": items,
        "whole": cell.share_whole(items),
        "right_by_place": _share_by_place(cell, items),
        "wrong": cell.mean_over(items, lambda found: found.wrong),
        "neighbours": cell.mean_over(items, _neighbours),
        "neighbours_by_chance": cell.mean_over(items, _neighbours_by_chance),
        "bits": cell.mean_over(items, lambda found: found.bits),
        "held_out": items >= LISTS_HELD_OUT_FROM,
    }
