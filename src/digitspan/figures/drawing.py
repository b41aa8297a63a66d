"""The figures of a study, drawn from their numbers: readable in grey, labelled, captioned."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogFormatter, NullLocator, ScalarFormatter

from digitspan.figures.info import (
    ByLength,
    Curves,
    Series,
    Share,
    SolvedShare,
    SpanByRate,
    accuracy_by_length_info,
    bits_by_length_info,
    optimizers_info,
    solved_share_info,
    span_by_rate_info,
    steps_to_solve_info,
)
from digitspan.figures.palette import STYLE, add_caption, draw_level, save, style_of
from digitspan.study.span import Span, fitted_share
from digitspan.study.summary import Summary

__all__ = [
    "draw_by_length",
    "draw_optimizers",
    "draw_solved_share",
    "draw_span_by_rate",
    "write_study_figures",
]


def draw_by_length(info: ByLength) -> Figure:
    """Draw a quantity against T: dots, medians, and the level to compare with."""
    figure, axes = _figure(len(info.panels), info.caption)
    for (name, cells), ax in zip(info.panels, axes, strict=True):
        for index, series in enumerate(cells):
            style = style_of(series.place)
            ax.plot(
                *_dots(series, index, len(cells)), style["marker"], color=style["color"],
                alpha=0.45, markersize=3.5, markeredgewidth=0,
            )  # fmt: skip
            ax.plot(series.lengths, series.medians, label=f"{series.label}, median", **style)
            if info.log and info.reference:
                _mark_unsolved(ax, series, info.reference[0])
        if info.reference:
            draw_level(ax, *info.reference)
        if info.log:
            ax.set_yscale("log")
        _length_axis(ax, [t for series in cells for t in series.lengths], name)
    if info.quantity.startswith("accuracy"):
        axes[0].set_ylim(0, 103)
    _finish(axes, info.quantity)
    return figure


def draw_solved_share(info: SolvedShare) -> Figure:
    """Draw solved shares with intervals, the fitted curves and S50."""
    figure, axes = _figure(len(info.panels), info.caption)
    for (name, shares), ax in zip(info.panels, axes, strict=True):
        for index, share in enumerate(shares):
            style = style_of(share.place)
            x = np.array([_spread(t, index, len(shares), 1)[0] for t in share.lengths])
            errors = [share.shares - share.low, share.high - share.shares]
            ax.errorbar(
                x, share.shares, np.clip(errors, 0, None), fmt=style["marker"],
                color=style["color"], markersize=4, linewidth=1, capsize=2, label=share.label,
            )  # fmt: skip
            grid = np.geomspace(min(share.lengths), max(share.lengths), 200)
            span = share.span
            if span.method == "logistic" and not span.bound:
                fit = fitted_share(np.log(grid), np.log(span.s50), span.width, span.lapse)
                ax.plot(grid, fit, color=style["color"], linestyle=style["linestyle"], lw=1.2)
            _mark_span(ax, share)
        _length_axis(ax, [t for share in shares for t in share.lengths], name)
        ax.set_ylim(-0.03, 1.03)
    _finish(axes, "share of runs solved")
    return figure


def draw_span_by_rate(info: SpanByRate) -> Figure:
    """Draw S50 against the learning rate."""
    figure, axes = _figure(len(info.panels), info.caption)
    for (name, cells), ax in zip(info.panels, axes, strict=True):
        for index, series in enumerate(cells):
            style = style_of(series.place)
            s50 = np.array([span.s50 for span in series.spans])
            low, high = np.array([_ends(span, series.reach) for span in series.spans]).T
            x = series.rates * (1 + 0.05 * (index - (len(cells) - 1) / 2))
            bars = np.clip([s50 - low, high - s50], 0, None)
            ax.errorbar(x, s50, bars, capsize=2, label=series.label, **style)
            for place, span in enumerate(series.spans):
                if span.s50_high is None:
                    _arrow(ax, (x[place], high[place]), (0, 14), style["color"])
                if span.s50_low is None:
                    _arrow(ax, (x[place], low[place]), (0, -14), style["color"])
        ax.set_xscale("log")
        ax.set_yscale("log")
        _plain_ticks(ax.yaxis)
        ax.set_title(name, fontsize=9)
        ax.set_xlabel("learning rate")
    _finish(axes, "retention span S50 (digits)")
    return figure


def draw_optimizers(info: Curves) -> Figure:
    """Draw loss against step, by optimiser."""
    figure, axes = _figure(len(info.panels), info.caption)
    for (name, optimizers), ax in zip(info.panels, axes, strict=True):
        for index, (label, curves) in enumerate(optimizers):
            style = style_of(index)
            for seed, (steps, losses) in enumerate(curves):
                ax.plot(
                    steps, losses, color=style["color"], linestyle=style["linestyle"],
                    marker=style["marker"], markevery=[-1], markersize=4, linewidth=1.1,
                    label=label if seed == 0 else None,
                )  # fmt: skip
        draw_level(ax, np.log(10), "guessing")
        ax.set_xscale("log")
        ax.set_yscale("log")
        _plain_ticks(ax.xaxis)
        ax.set_title(name, fontsize=9)
        ax.set_xlabel("training step")
        ax.legend(fontsize=7)
    axes[0].set_ylabel("validation loss (nats)")
    return figure


def write_study_figures(summary: Summary, folder: Path) -> list[str]:
    """Draw every figure of a study and write it as SVG and PNG.

    Args:
        summary: what was found.
        folder: where to.

    Returns:
        The files' names.

    Raises:
        DigitspanError: where the disk is full.
    """
    with mpl.rc_context(STYLE):
        drawn = {
            "accuracy-by-length": draw_by_length(accuracy_by_length_info(summary)),
            "solved-share": draw_solved_share(solved_share_info(summary)),
            "bits-by-length": draw_by_length(bits_by_length_info(summary)),
            "steps-to-solve": draw_by_length(steps_to_solve_info(summary)),
        }
        if (rates := span_by_rate_info(summary)) is not None:
            drawn["span-by-rate"] = draw_span_by_rate(rates)
        if (curves := optimizers_info(summary)) is not None:
            drawn["optimizers"] = draw_optimizers(curves)
        return [name for stem, figure in drawn.items() for name in save(figure, folder, stem)]


def _figure(panels: int, caption: str) -> tuple[Figure, list[Axes]]:
    """A figure of some panels side by side, at most three a row, its caption below."""
    columns = min(panels, 3)
    rows = -(-panels // columns)
    width = 3.4 * columns + 1.2
    figure = Figure(figsize=(width, 3.1 * rows + 1.0), layout="constrained")
    axes = figure.subplots(rows, columns, sharey=True, squeeze=False).flatten().tolist()
    for ax in axes[panels:]:
        ax.set_visible(False)
    add_caption(figure, caption)
    return figure, axes[:panels]


def _spread(length: int, index: int, of: int, count: int) -> np.ndarray:
    """Places for the dots of one cell at one length, side by side around ln T, shape (count,)."""
    centre = 0.05 * (index - (of - 1) / 2)
    within = np.linspace(-0.015, 0.015, count) if count > 1 else np.zeros(count)
    places: np.ndarray = length * np.exp(centre + within)
    return places


def _dots(series: Series, index: int, of: int) -> tuple[np.ndarray, np.ndarray]:
    """Places and values of all the dots of a cell, shape (L S,) each."""
    x = [
        _spread(length, index, of, len(values))
        for length, values in zip(series.lengths, series.values, strict=True)
    ]
    return np.concatenate(x), np.concatenate(series.values)


def _length_axis(ax: Axes, lengths: Iterable[int], name: str) -> None:
    """A logarithmic axis for T with a tick at every length that was tried, as far as they fit."""
    different = sorted(set(lengths))
    ticks = [different[0]]
    for length in different[1:]:
        if length / ticks[-1] > 1.17:
            ticks.append(length)
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.set_xlabel("palindrome length T (digits)")
    ax.set_title(name, fontsize=9)


def _plain_ticks(axis: Any) -> None:
    """Numbers, not powers, on a logarithmic axis."""
    axis.set_major_formatter(ScalarFormatter())
    axis.set_minor_formatter(LogFormatter(labelOnlyBase=False, minor_thresholds=(2, 0.5)))


def _finish(axes: list[Axes], quantity: str) -> None:
    """The vertical label and the legend."""
    axes[0].set_ylabel(quantity)
    handles: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    axes[0].legend(handles.values(), handles.keys(), fontsize=8, loc="best")


def _mark_unsolved(ax: Axes, series: Series, budget: float) -> None:
    """Crosses above the budget for runs that were not solved, with their number."""
    height = budget * (1.25 + 0.35 * series.place)
    for length, count in zip(series.lengths, series.unsolved, strict=True):
        if count:
            colour = style_of(series.place)["color"]
            ax.plot([length], [height], "x", color=colour, markersize=5)
            ax.annotate(
                str(count), (length, height), xytext=(4, -1), textcoords="offset points",
                fontsize=7, color=colour, va="center",
            )  # fmt: skip


def _mark_span(ax: Axes, share: Share) -> None:
    """S50 and its interval at the height of half the curve; an arrow where an end is open."""
    style, span = style_of(share.place), share.span
    height = (1 - span.lapse) / 2 if span.method == "logistic" else 0.5
    low, high = _ends(span, (min(share.lengths), max(share.lengths)))
    ax.plot([low, high], [height] * 2, color=style["color"], lw=3, alpha=0.6)
    if span.s50_high is None:
        _arrow(ax, (high, height), (14, 0), style["color"])
    if span.s50_low is None:
        _arrow(ax, (low, height), (-14, 0), style["color"])
    if not span.bound:
        ax.plot(
            [span.s50], [height], style["marker"], color=style["color"], markersize=9,
            markeredgecolor="white",
        )  # fmt: skip


def _ends(span: Span, reach: tuple[int, int]) -> tuple[float, float]:
    """The ends of an interval, an open one cut at the shortest or longest length tried."""
    shortest, longest = reach
    low = float(shortest) if span.s50_low is None else span.s50_low
    high = float(longest) if span.s50_high is None else span.s50_high
    return min(low, span.s50), max(high, span.s50)


def _arrow(
    ax: Axes, point: tuple[float, float], towards: tuple[float, float], colour: str
) -> None:
    """An arrow from a point, by some points of the page: the value may lie beyond it."""
    ax.annotate(
        "", point, xytext=towards, textcoords="offset points", annotation_clip=False,
        arrowprops={"arrowstyle": "<-", "color": colour, "lw": 1.8},
    )  # fmt: skip
