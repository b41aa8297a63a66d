"""The figures of a study, drawn from their numbers: readable in grey, labelled, captioned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogFormatter, LogLocator, NullLocator, ScalarFormatter

from digitspan.errors import UsageError
from digitspan.figures.info import (
    ByLength,
    Curves,
    Map,
    Series,
    SolvingTimes,
    SpanByBudget,
    accuracy_by_length_info,
    bits_by_length_info,
    map_info,
    optimizers_info,
    solving_times_info,
    span_by_budget_info,
    steps_to_solve_info,
)
from digitspan.figures.palette import (
    CAPTION_LINE,
    STYLE,
    add_caption,
    caption_lines,
    draw_level,
    save_all,
    style_of,
)
from digitspan.study.retention import Span
from digitspan.study.summary import Summary
from digitspan.study.tables import span_text

__all__ = [
    "add_legend",
    "draw_by_length",
    "draw_map",
    "draw_optimizers",
    "draw_solving_times",
    "draw_span_by_budget",
    "panels_of",
    "plain_ticks",
    "write_study_figures",
]


_FIGURES = (
    "map", "accuracy-by-length", "bits-by-length", "steps-to-solve", "span-by-budget",
    "solving-times", "optimizers",
)  # fmt: skip
"""The names of all figures of a study."""


def draw_by_length(info: ByLength, axes: Sequence[Axes] = ()) -> Figure:
    """Draw a quantity against T: dots, medians, and the level to compare with."""
    figure, axes = panels_of(len(info.panels), info.caption, given=axes)
    for panel, ax in zip(info.panels, axes, strict=True):
        for index, series in enumerate(panel.series):
            style = style_of(series.place)
            ax.plot(
                *_dots(series, index, len(panel.series)), style["marker"], color=style["color"],
                alpha=0.45, markersize=3.5, markeredgewidth=0,
            )  # fmt: skip
            ax.plot(series.lengths, series.medians, label=f"{series.label}, median", **style)
            if info.log and info.reference:
                _mark_unsolved(ax, series, info.reference[0])
        if info.reference:
            draw_level(ax, *info.reference)
        if info.log:
            ax.set_yscale("log")
        _length_axis(ax, [t for series in panel.series for t in series.lengths], panel.title)
    if info.quantity.startswith("accuracy"):
        axes[0].set_ylim(0, 103)
    _finish(figure, axes, info.quantity)
    return figure


def draw_map(info: Map, axes: Sequence[Axes] = ()) -> Figure:
    """Draw the map: a panel a cell, T and rate on the same logarithmic axes."""
    # Small, so that its words can be read where it is printed 80 mm wide.
    figure, axes = panels_of(len(info.panels), info.caption, panel=(2.3, 2.5), given=axes)
    for panel, ax in zip(info.panels, axes, strict=True):
        colour, marker = style_of(panel.place)["color"], style_of(panel.place)["marker"]
        if panel.span.rate is not None:  # else all that is known of the surface is its prior
            ax.pcolormesh(
                panel.lengths, panel.rates, panel.share, cmap="Greys", vmin=0, vmax=2,
                shading="gouraud", rasterized=True,
            )  # fmt: skip
            ax.contour(
                panel.lengths, panel.rates, panel.share, [0.5], colors="black", linewidths=1.4
            )
        runs: Any = {"linestyle": "none", "color": colour, "markersize": 4.5}
        ax.plot(*_apart(panel.solved), marker, **runs)
        ax.plot(*_apart(panel.unsolved), marker, fillstyle="none", markeredgewidth=0.9, **runs)
        ax.plot(*_apart(panel.diverged), "x", **runs)
        _mark_best(ax, panel.span)
        ax.set_yscale("log")
        ax.grid(visible=False)
        tried = np.concatenate([panel.solved[0], panel.unsolved[0], panel.diverged[0]])
        ax.set_xlim(panel.lengths[0], panel.lengths[-1])
        _length_axis(ax, tried, f"{panel.label}\nS50 {span_text(panel.span)}")
    axes[0].set_ylabel("learning rate")
    return figure


def draw_span_by_budget(info: SpanByBudget, axes: Sequence[Axes] = ()) -> Figure:
    """Draw S50 against the budget."""
    figure, axes = panels_of(len(info.panels), info.caption, given=axes)
    for (name, conditions), ax in zip(info.panels, axes, strict=True):
        for index, series in enumerate(conditions):
            style = style_of(series.place)
            if series.variant:  # the cell's colour, another marker and line, open and thin
                other = style_of(series.place + 2 * series.variant)
                style |= {"marker": other["marker"], "linestyle": other["linestyle"]}
                style |= {"markerfacecolor": "white", "linewidth": 1.1}
            centre = 1 + 0.02 * (index - (len(conditions) - 1) / 2)
            x = np.array([span.budget for span in series.spans]) * centre
            s50 = np.array([span.s50 for span in series.spans])
            low = [s.s50 if s.low is None else min(s.low, s.s50) for s in series.spans]
            high = [s.s50 if s.high is None else max(s.high, s.s50) for s in series.spans]
            ax.errorbar(x, s50, [s50 - low, high - s50], capsize=2, label=series.label, **style)
            for place, span in zip(x, series.spans, strict=True):
                if span.high is None:
                    _arrow(ax, (place, span.s50), (0, 16), style["color"])
                if span.low is None:
                    _arrow(ax, (place, span.s50), (0, -16), style["color"])
        ax.set_yscale("log")
        plain_ticks(ax.yaxis)
        ax.set_title(name, fontsize=9)
        ax.set_xlabel("budget (training steps)")
    _finish(figure, axes, "S50 (digits)")
    return figure


def draw_solving_times(info: SolvingTimes) -> Figure:
    """Draw the share of runs solved by each step, a line a length."""
    figure, axes = panels_of(len(info.panels), info.caption)
    for (name, curves), ax in zip(info.panels, axes, strict=True):
        for index, (label, (steps, shares)) in enumerate(curves):
            shade = mpl.colormaps["cividis"](0.7 * index / max(len(curves) - 1, 1))
            ax.plot(
                np.maximum(steps, 1), shares, drawstyle="steps-post", label=label, color=shade,
                marker=_LENGTH_MARKERS[index % len(_LENGTH_MARKERS)], markersize=4, linewidth=1.2,
            )  # fmt: skip
        events = [step for _, (steps, _) in curves for step in steps if step > 0]
        ax.set_xscale("log")
        ax.set_xlim(min(events) / 1.3, max(events) * 1.15)
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(ScalarFormatter())
        ax.set_ylim(-0.03, 1.03)
        ax.set_title(name, fontsize=9)
        ax.set_xlabel("training step")
        ax.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.02))
    axes[0].set_ylabel("share of runs solved")
    return figure


def draw_optimizers(info: Curves) -> Figure:
    """Draw loss against step, by optimiser."""
    figure, axes = panels_of(len(info.panels), info.caption)
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
        plain_ticks(ax.xaxis)
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
    if not summary.spans:
        return save_all({}, folder, _FIGURES)
    with mpl.rc_context(STYLE):
        drawn = {}
        if (rate_map := map_info(summary)) is not None:
            drawn["map"] = draw_map(rate_map)
        if any(row.lengths for row in summary.spans):
            drawn["accuracy-by-length"] = draw_by_length(accuracy_by_length_info(summary))
            drawn["bits-by-length"] = draw_by_length(bits_by_length_info(summary))
            drawn["steps-to-solve"] = draw_by_length(steps_to_solve_info(summary))
        drawn["span-by-budget"] = draw_span_by_budget(span_by_budget_info(summary))
        if (times := solving_times_info(summary)) is not None:
            drawn["solving-times"] = draw_solving_times(times)
        if (curves := optimizers_info(summary)) is not None:
            drawn["optimizers"] = draw_optimizers(curves)
        return save_all(drawn, folder, _FIGURES)


_LENGTH_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""By length: with the shades from dark to light they tell eight of them apart."""


_PANEL = (3.4, 3.1)
"""Width and height of a panel, in inches."""

_BESIDE = 0.35
"""Room beside the panels, as a share of a panel's width."""


def panels_of(
    panels: int,
    caption: str,
    panel: tuple[float, float] = _PANEL,
    *,
    given: Sequence[Axes] = (),
) -> tuple[Figure, list[Axes]]:
    """A figure of some panels side by side, at most three a row, its caption below.

    Args:
        panels: how many.
        caption: what it shows.
        panel: width and height of one, in inches.
        given: somebody's own axes, one a panel, which stay in their figure; none: a new figure.

    Raises:
        UsageError: where there are more axes than panels, or fewer.
    """
    if given:
        if len(given) != panels:
            several = f"{panels} panel{'s' * (panels != 1)}"
            message = f"the figure has {several}, one axes each; got {len(given)} axes"
            raise UsageError(message)
        return cast("Figure", given[0].figure), list(given)
    columns = min(panels, 3)
    rows = -(-panels // columns)
    width = panel[0] * columns + _BESIDE * panel[0]
    below = max(1.0, CAPTION_LINE * len(caption_lines(caption, width)))
    figure = Figure(figsize=(width, panel[1] * rows + below), layout="constrained")
    axes = figure.subplots(rows, columns, sharey=True, squeeze=False).flatten().tolist()
    for ax in axes[panels:]:
        ax.set_visible(False)
    add_caption(figure, caption)
    return figure, axes[:panels]


def _spread(length: int, index: int, of: int, count: int) -> np.ndarray:
    """Places for the dots of one cell at one length, side by side around ln T, shape (count,)."""
    apart = min(0.05, 0.25 / of)  # the lengths of a ladder are ln 1.3 apart
    centre = apart * (index - (of - 1) / 2)
    within = 0.3 * apart * np.linspace(-1, 1, count) if count > 1 else np.zeros(count)
    places: np.ndarray = length * np.exp(centre + within)
    return places


def _dots(series: Series, index: int, of: int) -> tuple[np.ndarray, np.ndarray]:
    """Places and values of all the dots of a cell, shape (L S,) each."""
    x = [
        _spread(length, index, of, len(values))
        for length, values in zip(series.lengths, series.values, strict=True)
    ]
    return np.concatenate(x), np.concatenate(series.values)


_TICK_INCHES = 0.3
"""Room for the number at a tick, of up to three digits."""


def _length_axis(ax: Axes, lengths: Iterable[int], name: str) -> None:
    """A logarithmic axis for T with a tick at every length that was tried, as far as they fit."""
    different = sorted(set(lengths))
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    grid = ax.get_gridspec()
    columns = 1 if grid is None else grid.ncols
    panel = ax.figure.bbox.width / ax.figure.dpi / columns  # inches
    apart = _TICK_INCHES / panel * np.log(high / low)
    ticks = [different[0]]
    for length in different[1:]:
        if np.log(length / ticks[-1]) > apart:
            ticks.append(length)
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.set_xlabel("palindrome length T (digits)")
    ax.set_title(name, fontsize=9)


def plain_ticks(axis: Any) -> None:
    """Numbers, not powers, on a logarithmic axis."""
    axis.set_major_formatter(ScalarFormatter())
    axis.set_minor_formatter(LogFormatter(labelOnlyBase=False, minor_thresholds=(2, 0.5)))


_LEGEND_LINE, _LEGEND_LETTER, _LEGEND_MARK = 0.17, 0.062, 0.6
"""Inches that a legend of 8 points takes: a line of it, a letter, what stands before the words."""


def add_legend(figure: Figure, axes: Iterable[Axes]) -> None:
    """One legend for all panels, at their right; the figure grows by what has no room in it."""
    handles: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    width, height = figure.get_size_inches()
    needed = _LEGEND_MARK + _LEGEND_LETTER * max(map(len, handles), default=0)
    lines = figure.get_supxlabel().count("\n") + 1  # of the caption, which is below the legend
    tall = _LEGEND_LINE * (len(handles) + 2) + CAPTION_LINE * lines
    room = _BESIDE * _PANEL[0]
    figure.set_size_inches(width + max(0.0, needed - room - 0.4), max(height, tall))
    # Inside of a panel it would lie on runs.
    figure.legend(handles.values(), handles.keys(), fontsize=8, loc="outside right upper")


def _finish(figure: Figure, axes: list[Axes], quantity: str) -> None:
    """The vertical label and the legend."""
    axes[0].set_ylabel(quantity)
    add_legend(figure, axes)


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


def _apart(places: np.ndarray) -> np.ndarray:
    """Runs at one place moved apart a little, in a fixed pattern, shape (2, S)."""
    seen: dict[tuple[float, float], int] = {}
    moved = places.copy()
    for index, (length, rate) in enumerate(places.T.tolist()):
        number = seen.get((length, rate), 0)
        seen[length, rate] = number + 1
        angle = 2.4 * number  # the golden angle: no two on one another
        distance = 0.018 * number**0.5
        moved[0, index] = length * np.exp(distance * np.cos(angle))
        moved[1, index] = rate * np.exp(4 * distance * np.sin(angle))
    return moved


def _mark_best(ax: Axes, span: Span) -> None:
    """S50 at its best rate, if that is known, with its interval; an arrow where an end is open."""
    if span.rate is None:
        return
    low = span.s50 if span.low is None else min(span.low, span.s50)
    high = span.s50 if span.high is None else max(span.high, span.s50)
    ax.plot([low, high], [span.rate] * 2, color="black", linewidth=2.2)
    ax.plot(
        [span.s50], [span.rate], "D", color="white", markeredgecolor="black", markersize=7,
        markeredgewidth=1.5,
    )  # fmt: skip
    if span.high is None:
        _arrow(ax, (high, span.rate), (18, 0), "black")
    if span.low is None:
        _arrow(ax, (low, span.rate), (-18, 0), "black")


def _arrow(
    ax: Axes, point: tuple[float, float], towards: tuple[float, float], colour: str
) -> None:
    """An arrow from a point, by some points of the page: the value may lie beyond it."""
    ax.annotate(
        "", point, xytext=towards, textcoords="offset points", annotation_clip=False,
        arrowprops={"arrowstyle": "<-", "color": colour, "lw": 1.8},
    )  # fmt: skip
