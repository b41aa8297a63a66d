"""Cells of one or several studies side by side by their digit spans, all pairs of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from digitspan.cells import initialisation_title, title
from digitspan.errors import UsageError
from digitspan.study.comparison import require_apart
from digitspan.study.digit_spans import (
    CellSpan,
    Difference,
    SpanSummary,
    compare_cells,
    summarise_spans,
)
from digitspan.study.reading import Study
from digitspan.study.span_tables import cell_document, network_remarks, span_text
from digitspan.study.tables import add_columns, add_names, as_csv, p_text, pairs_table

__all__ = [
    "Named",
    "cells_of",
    "differences_csv",
    "differences_document",
    "differences_remarks",
    "differences_tables",
]


class Named(NamedTuple):
    """One cell of one of several studies."""

    name: str
    """What tells it from the others: `LSTM, n = 128, backward`."""
    cell: CellSpan
    """What was found."""
    summary: SpanSummary
    """Of the study that it belongs to."""
    folder: Path
    """Of that study."""

    @property
    def order(self) -> str:
        """In which its lists were said."""
        return self.summary.config.order


def cells_of(studies: Sequence[Study]) -> list[Named]:
    """The cells of some studies of digit spans, to be compared.

    Raises:
        UsageError: where there are not two, one of the studies measures retention spans, or is
            there twice or inside another.
    """
    for study in studies:
        if study.config.design != "span":
            message = (
                f"{study.folder} measures retention spans, in steps, and another study digit "
                f"spans, in items; they are not compared: name studies of one of them"
            )
            raise UsageError(message)
    require_apart(studies)
    summaries = [summarise_spans(study.config, study.rows) for study in studies]
    found = [(study, one, cell) for study, one in zip(studies, summaries, strict=True)
             for cell in one.measured]  # fmt: skip
    if len(found) < 2:
        missing = sum(one.missing for one in summaries)
        message = (
            f"there is nothing to compare: {len(found)} cell with finished networks in "
            f"{', '.join(str(study.path) for study in studies)}"
            f"{f', {missing} runs are missing' if missing else ''}; expected two or more"
        )
        raise UsageError(message)
    cells = {cell.condition.cell for *_, cell in found}
    words = [
        {
            "cell": title(cell.condition.cell, cells),
            "n": f"n = {cell.hidden_size}",
            "order": study.config.order,
            "encoding": cell.condition.encoding,
            "start": initialisation_title(cell.condition.initialisation),
            "optimizer": cell.condition.optimizer,
            "schedule": f"{study.config.schedule} schedule",
            "steps": f"{study.config.budget:,} steps",
            "study": str(study.folder),
        }
        for study, _, cell in found
    ]
    told = [key for key in words[0] if key == "cell" or len({w[key] for w in words}) > 1]
    if len({(w["cell"], w["start"]) for w in words}) == len({w["cell"] for w in words}):
        told = [key for key in told if key != "start"]  # each cell has its own
    short = [key for key in told if key != "study"]
    distinct = len({tuple(w[key] for key in short) for w in words}) == len(words)
    return [
        Named(", ".join(w[key] for key in (short if distinct else told)), cell, one, study.folder)
        for w, (study, one, cell) in zip(words, found, strict=True)
    ]


def differences_tables(cells: Sequence[Named]) -> list[Table]:
    """The cells, and all pairs of them."""
    table = Table(title="Cells: digit span and mean span, in items")
    add_names(table, "cell", [one.name for one in cells])
    heads = ("digit span [95 %]", "mean span [95 %]", "parameters")
    add_columns(table, *heads, justify="right")
    for one in cells:
        table.add_row(
            one.name,
            span_text(one.cell, one.cell.digit_span),
            span_text(one.cell, one.cell.mean_span),
            "-" if one.cell.parameters is None else f"{one.cell.parameters:,}",
        )
    found = _differences(cells)
    level = next(iter(found.values())).level
    is_open = {one.name for one in cells if one.cell.is_open}
    told = [
        (*pair, f"{_difference_text(one)} *", "-")
        if is_open & {*pair}
        else (*pair, _difference_text(one), "-" if one.low is None else p_text(one.adjusted_p))
        for pair, one in found.items()
    ]
    return [table, pairs_table("Difference of mean spans", "items", level, told)]


def differences_remarks(cells: Sequence[Named]) -> list[str]:
    """Sentences that belong below these tables."""
    lines, studies = [], {one.folder: one.summary for one in cells}
    for folder, summary in studies.items():
        where = f"{folder}: " if len(studies) > 1 else ""
        lines += [f"{where}{line}" for line in network_remarks(summary)]
        if any(cell.is_open for cell in summary.measured):
            lines.append("*: a span lies beyond the longest list, and the difference with it")
    lines.append(
        "in none of these intervals is the luck of tuning: of two copies of one cell, each tuned "
        "by itself, more differ than p says (docs/protocol.md, section 11)"
    )
    return list(dict.fromkeys(lines))


def differences_document(cells: Sequence[Named]) -> dict[str, Any]:
    """The same as one JSON document."""
    conditions = [
        {"condition": one.name, "order": one.order} | cell_document(one.cell) for one in cells
    ]
    return {"conditions": conditions, "pairs": _pairs(cells)}


def differences_csv(cells: Sequence[Named]) -> str:
    """The pairs as CSV, with the values that the JSON document has."""
    return as_csv(_pairs(cells))


def _pairs(cells: Sequence[Named]) -> list[dict[str, Any]]:
    is_open = {one.name for one in cells if one.cell.is_open}
    return [
        {"first": first, "second": second}
        | one._asdict()
        | {"differs": one.differs, "open": bool(is_open & {first, second})}
        for (first, second), one in _differences(cells).items()
    ]


def _differences(cells: Sequence[Named]) -> dict[tuple[str, str], Difference]:
    return compare_cells(
        {one.name: [found.mean_span or 0 for found in one.cell.recalled] for one in cells}
    )


def _difference_text(one: Difference) -> str:
    """`+6.1 [4.0, 8.2]`; without an interval of a single network, or of networks all alike."""
    if one.low is None or one.high is None:
        return f"{one.difference:+.1f}, not known how surely"
    return f"{one.difference:+.1f} [{one.low:.1f}, {one.high:.1f}]"
