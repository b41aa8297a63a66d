"""A study's figures by name, drawn into somebody's own axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from digitspan.errors import UsageError, one_of
from digitspan.figures import drawing, info, span_drawing, span_info
from digitspan.figures.palette import STYLE
from digitspan.study.digit_spans import SpanSummary
from digitspan.study.summary import Summary

__all__ = ["draw_into"]

_Pair = tuple[Callable[[Any], Any], Callable[..., Figure]]

_RETENTION: dict[str, _Pair] = {
    "accuracy-by-length": (info.accuracy_by_length_info, drawing.draw_by_length),
    "bits-by-length": (info.bits_by_length_info, drawing.draw_by_length),
    "steps-to-solve": (info.steps_to_solve_info, drawing.draw_by_length),
    "span-by-budget": (info.span_by_budget_info, drawing.draw_span_by_budget),
    "map": (info.map_info, drawing.draw_map),
}

_DIGIT_SPAN: dict[str, _Pair] = {
    "recall-by-items": (span_info.recall_by_items_info, span_drawing.draw_recall_by_items),
    "span-by-steps": (span_info.span_by_steps_info, span_drawing.draw_span_by_steps),
}


def draw_into(summary: Summary | SpanSummary, name: str, axes: Sequence[Axes]) -> Figure:
    """Draw a figure of a study, into axes that are given or into a new figure.

    Args:
        summary: what the study found.
        name: of the figure.
        axes: one for each of its panels, or none.

    Raises:
        UsageError: for an unknown name, a figure without runs, or another number of axes.
    """
    known = _DIGIT_SPAN if isinstance(summary, SpanSummary) else _RETENTION
    if name not in known:
        message = f"figure {one_of(name, known)}"
        raise UsageError(message)
    numbers_of, draw = known[name]
    numbers = numbers_of(summary)
    if numbers is None or not numbers.panels:
        message = f"figure {name} has nothing to show: the study has no runs for it yet"
        raise UsageError(message)
    if axes:
        return draw(numbers, axes)
    with mpl.rc_context(STYLE):
        return draw(numbers)
