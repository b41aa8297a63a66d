"""The figures of digit spans, drawn from their numbers: readable in grey, labelled, captioned."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator, ScalarFormatter

from digitspan.figures.drawing import add_legend, panels_of, plain_ticks
from digitspan.figures.palette import GREY, STYLE, add_caption, draw_level, save_all, style_of
from digitspan.figures.span_info import (
    Capacities,
    RecallCurves,
    RecallSeries,
    SerialPositions,
    SpanGrowth,
    SpansByCell,
    capacity_info,
    recall_by_items_info,
    serial_position_info,
    span_by_steps_info,
    spans_by_cell_info,
)
from digitspan.study.digit_spans import SpanSummary

__all__ = [
    "draw_capacity",
    "draw_recall_by_items",
    "draw_serial_position",
    "draw_span_by_steps",
    "draw_spans_by_cell",
    "write_span_figures",
]

_FIGURES = ("recall-by-items", "digit-span", "serial-position", "span-by-steps", "capacity")
"""The names of all figures of a study of digit spans."""

NUMBERS_A_DIGIT = (2, 4, 8, 16, 32)
"""Levels of the capacity's figure: so many numbers of the state for one digit."""


def draw_recall_by_items(info: RecallCurves, axes: Sequence[Axes] = ()) -> Figure:
    """Draw P(L) against L."""
    figure, axes = panels_of(len(info.panels), info.caption, given=axes)
    for (name, series), ax in zip(info.panels, axes, strict=True):
        _band(ax.axvspan, info.people)
        for one in series:
            _draw_networks(ax, one)
        draw_level(ax, 0.5, "one half")
        ax.set_ylim(-0.03, 1.03)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_xlabel("items in the list, L")
        ax.set_title(name, fontsize=9)
    add_legend(figure, axes)
    axes[0].set_ylabel("share of lists recalled whole")
    return figure


def draw_spans_by_cell(info: SpansByCell) -> Figure:
    """Draw the digit span of every network, a column a cell."""
    figure = Figure(figsize=(2.2 + 0.95 * len(info.cells), 4.1), layout="constrained")
    ax = figure.subplots()
    _band(ax.axhspan, info.people)
    for column, cell in enumerate(info.cells):
        style = style_of(cell.place)
        apart = np.linspace(-0.16, 0.16, len(cell.values)) if len(cell.values) > 1 else [0]
        ax.plot(
            column + np.asarray(apart), cell.values, style["marker"], color=style["color"],
            alpha=0.5, markersize=5, markeredgewidth=0,
        )  # fmt: skip
        mean = cell.mean
        low, high = (mean.mean if end is None else end for end in (mean.low, mean.high))
        ends = [[mean.mean - low], [high - mean.mean]]
        ax.errorbar(
            [column], [mean.mean], ends, fmt="_", color=style["color"], markersize=18, capsize=4
        )
    ax.set_xticks(range(len(info.cells)), [cell.label.replace(", ", "\n") for cell in info.cells])
    ax.set_xlim(-0.6, len(info.cells) - 0.4)
    ax.set_ylim(bottom=0)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(visible=False, axis="x")
    ax.set_ylabel("digit span (items)")
    ax.legend(fontsize=8)
    add_caption(figure, info.caption)
    return figure


def draw_serial_position(info: SerialPositions) -> Figure:
    """Draw the share right by place, a panel a cell."""
    figure, axes = panels_of(len(info.panels), info.caption)
    for (name, _, curves), ax in zip(info.panels, axes, strict=True):
        for index, (items, shares) in enumerate(curves):
            ax.plot(range(1, items + 1), shares, label=f"L = {items}", **style_of(index))
        draw_level(ax, 0.1, "chance")
        ax.set_ylim(0, 1.03)
        ax.set_xlim(left=0.5)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_xlabel("place in the list")
        ax.set_title(name, fontsize=9)
        ax.legend(fontsize=7, frameon=True, framealpha=1, edgecolor="none")  # over the chance line
    axes[0].set_ylabel("share right")
    return figure


def draw_capacity(info: Capacities) -> Figure:
    """Draw bits against the size of the state, and bits for each number of it, logarithmic."""
    figure = Figure(figsize=(7.8, 4.1), layout="constrained")
    ax, each = figure.subplots(1, 2)
    add_caption(figure, info.caption)
    sizes = np.concatenate([series.state_sizes for series in info.series])
    ends = np.array([sizes.min() / 1.3, sizes.max() * 1.3])
    bits = np.concatenate([series_bits for one in info.series for series_bits in one.networks])
    for series in info.series:
        style = style_of(series.place)
        for size, values in zip(series.state_sizes, series.networks, strict=True):
            ax.plot(
                [size] * len(values), values, style["marker"], color=style["color"], alpha=0.5,
                markersize=4, markeredgewidth=0,
            )  # fmt: skip
        means = [mean.mean for mean in series.means]
        ax.plot(series.state_sizes, means, label=series.label, **style)
        ax.plot(
            series.state_sizes, series.bounds, "_", color=style["color"], markersize=11,
            markeredgewidth=1.4,
        )  # fmt: skip
        each.plot(series.state_sizes, series.bits_a_number, label=series.label, **style)
    bits = np.concatenate([bits, *(series.bounds for series in info.series)])
    low, high = max(bits.min() / 1.5, 0.1), bits.max() * 1.5
    for numbers in NUMBERS_A_DIGIT:
        ax.plot(ends, ends * math.log2(10) / numbers, ":", color=GREY, linewidth=0.9)
    ax.set_yscale("log")
    ax.set_ylim(low, high)
    plain_ticks(ax.yaxis)
    ax.set_ylabel("capacity (bits)")
    each.set_ylim(bottom=0)
    each.set_ylabel("bits for each number carried")
    for half in (ax, each):
        half.set_xscale("log")
        half.set_xlim(*ends)
        half.set_xticks(sorted(set(sizes)))
        half.xaxis.set_major_formatter(ScalarFormatter())
        half.xaxis.set_minor_locator(NullLocator())
        half.set_xlabel("numbers carried from step to step")
    add_legend(figure, [ax])
    return figure


def draw_span_by_steps(info: SpanGrowth, axes: Sequence[Axes] = ()) -> Figure:
    """Draw the mean span against the training steps."""
    figure, axes = panels_of(len(info.panels), info.caption, given=axes)
    for (name, series), ax in zip(info.panels, axes, strict=True):
        _band(ax.axhspan, info.people)
        for one in series:
            _draw_networks(ax, one)
        ax.set_xscale("log")
        ax.set_xlabel("training steps")
        ax.set_title(name, fontsize=9)
    for ax in axes:  # after the last panel: they share their scale
        ax.set_ylim(bottom=0)
    add_legend(figure, axes)
    axes[0].set_ylabel("mean span (items)")
    return figure


def write_span_figures(summary: SpanSummary, folder: Path) -> list[str]:
    """Draw every figure of a study of digit spans and write it as SVG and PNG.

    Args:
        summary: what was found.
        folder: where to.

    Returns:
        The files' names.

    Raises:
        DigitspanError: where the disk is full.
    """
    if not summary.measured:
        return save_all({}, folder, _FIGURES)
    with mpl.rc_context(STYLE):
        drawn = {
            "recall-by-items": draw_recall_by_items(recall_by_items_info(summary)),
            "digit-span": draw_spans_by_cell(spans_by_cell_info(summary)),
            "serial-position": draw_serial_position(serial_position_info(summary)),
            "span-by-steps": draw_span_by_steps(span_by_steps_info(summary)),
        }
        if (capacities := capacity_info(summary)) is not None:
            drawn["capacity"] = draw_capacity(capacities)
        return save_all(drawn, folder, _FIGURES)


def _draw_networks(ax: Axes, series: RecallSeries) -> None:
    """Every network thin, their mean thick."""
    style = style_of(series.place)
    for values in series.networks:
        ax.plot(series.x, values, color=style["color"], linewidth=0.7, alpha=0.4)
    ax.plot(series.x, series.mean, label=series.label, **style | {"markersize": 3.5})


def _band(draw: Any, people: int) -> None:
    """About what people repeat, and one digit either side of it."""
    text = f"people, about {people}"
    draw(people - 1, people + 1, color=GREY, alpha=0.18, linewidth=0, label=text)
