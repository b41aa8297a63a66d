"""The figures of a study: numbers first (a named tuple that a test reads), ink second."""

from __future__ import annotations

import io
import textwrap
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogFormatter, NullLocator, ScalarFormatter

from digitspan.cells import title
from digitspan.files import write_whole
from digitspan.runs import CHANCE
from digitspan.statistics import MAX_BITS
from digitspan.study.grid import TUNED, Condition
from digitspan.study.span import Span, fitted_share
from digitspan.study.summary import LengthSummary, SpanSummary, Summary

__all__ = [
    "ByLength",
    "Curves",
    "Panel",
    "Series",
    "SpanByRate",
    "accuracy_by_length_info",
    "bits_by_length_info",
    "draw_by_length",
    "draw_optimizers",
    "draw_solved_share",
    "draw_span_by_rate",
    "optimizers_info",
    "save",
    "solved_share_info",
    "span_by_rate_info",
    "steps_to_solve_info",
    "write_study_figures",
]

_COLOURS = ("#c1440e", "#0b4f8a", "#2e7d32", "#6a1b9a", "#8a6d00", "#00838f")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)))
_QUIET = "#777777"

_STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "digitspan",  # the same numbers give the same file
}


class Series(NamedTuple):
    """What one cell's runs show, under one condition."""

    label: str
    """The cell's name."""
    place: int
    """The cell\'s place in the study: decides its colour, marker and line."""
    lengths: tuple[int, ...]
    """T, L of them."""
    values: tuple[np.ndarray, ...]
    """Every run's value at each length, (S,) each: one dot a seed."""
    medians: np.ndarray
    """Their medians, shape (L,); nan where there is none."""
    unsolved: tuple[int, ...] = ()
    """Runs at each length that have no value (they were not solved)."""


class Panel(NamedTuple):
    """What is compared within one condition."""

    title: str
    """Encoding, start and learning rate."""
    series: tuple[Series, ...]
    """One a cell."""


class ByLength(NamedTuple):
    """A quantity against the palindrome's length."""

    panels: tuple[Panel, ...]
    """One a condition."""
    quantity: str
    """The label of the vertical axis, with its unit."""
    reference: tuple[float, str] | None
    """A level to compare with, and its name: chance, or all there is to remember."""
    caption: str
    """What the figure shows, in words."""
    log: bool = False
    """Whether the vertical axis is logarithmic."""


class Share(NamedTuple):
    """Solved shares of one cell under one condition, and the curve through them."""

    label: str
    """The cell's name."""
    place: int
    """The cell\'s place in the study: decides its colour, marker and line."""
    lengths: tuple[int, ...]
    """T, L of them."""
    shares: np.ndarray
    """Solved share at each, in [0, 1], shape (L,)."""
    low: np.ndarray
    """Lower ends of their 95 % Wilson intervals, shape (L,)."""
    high: np.ndarray
    """Upper ends, shape (L,)."""
    span: Span
    """The fitted span."""


class SolvedShare(NamedTuple):
    """Solved share against the palindrome's length."""

    panels: tuple[tuple[str, tuple[Share, ...]], ...]
    """Title and shares, one a condition."""
    caption: str
    """What the figure shows, in words."""


class RateSeries(NamedTuple):
    """One cell's span at each learning rate."""

    label: str
    """The cell's name."""
    place: int
    """The cell\'s place in the study: decides its colour, marker and line."""
    rates: np.ndarray
    """Learning rates, shape (R,)."""
    spans: tuple[Span, ...]
    """The span at each."""
    reach: tuple[int, int]
    """The shortest and the longest length tried."""


class SpanByRate(NamedTuple):
    """S50 against the learning rate."""

    panels: tuple[tuple[str, tuple[RateSeries, ...]], ...]
    """Title and series, one an encoding and start."""
    caption: str
    """What the figure shows, in words."""


class Curves(NamedTuple):
    """Loss against training step, by optimiser."""

    panels: tuple[tuple[str, tuple[tuple[str, tuple[np.ndarray, ...]], ...]], ...]
    """Cell; then optimiser and, for every seed, step and validation loss, shape (2, E)."""
    caption: str
    """What the figure shows, in words."""


def accuracy_by_length_info(summary: Summary) -> ByLength:
    """Accuracy on the test palindromes against T, in percent; every seed a value."""
    caption = (
        f"Accuracy on {_tested(summary)} palindromes against the palindrome's length T. Every dot "
        f"is one training run, lines join the medians; the dashed line is chance. {_how(summary)}"
    )
    return ByLength(
        _panels(summary, lambda length: 100 * length.accuracies),
        "accuracy (%)",
        (100 * CHANCE, "chance"),
        caption,
    )


def bits_by_length_info(summary: Summary) -> ByLength:
    """Memory in bits, I(x_1; prediction), against T."""
    caption = (
        f"Memory: how much the prediction tells about the first digit, in bits, of log2 10 = "
        f"{MAX_BITS:.2f} possible. Every dot is one run, lines join the medians. {_how(summary)}"
    )
    return ByLength(
        _panels(summary, lambda length: length.bits),
        "memory (bits)",
        (MAX_BITS, "one digit"),
        caption,
    )


def steps_to_solve_info(summary: Summary) -> ByLength:
    """Training steps until a run was solved, against T; runs that were not have no value."""
    caption = (
        f"Training steps until a run was solved (two evaluations in a row at 99 %). Every dot is "
        f"a solved run, lines join their medians; crosses above the budget line are runs that "
        f"were not solved, with their number. {_how(summary)}"
    )
    return ByLength(
        _panels(summary, _solving_steps),
        "training steps until solved",
        (float(summary.config.train_steps), "budget"),
        caption,
        log=True,
    )


def solved_share_info(summary: Summary) -> SolvedShare:
    """Solved share against T with Wilson intervals, and the fitted curve."""
    panels = []
    for name, rows in _by_condition(summary):
        shares = []
        for row in rows:
            solved = np.array([length.solved for length in row.lengths])
            runs = np.array([len(length.records) for length in row.lengths])
            intervals = np.array([length.solved_interval for length in row.lengths])
            shares.append(
                Share(
                    title(row.condition.cell),
                    summary.config.cells.index(row.condition.cell),
                    tuple(length.length for length in row.lengths),
                    solved / runs,
                    intervals[:, 0],
                    intervals[:, 1],
                    row.span,
                )
            )
        panels.append((name, tuple(shares)))
    caption = (
        f"Share of runs solved against T, with 95 % Wilson intervals; the curve is the logistic "
        f"fit, and the large mark on it is S50 with its 95 % interval: where the share has fallen "
        f"to half of its level at short lengths (arrow: the lengths tried do not reach that end). "
        f"{_how(summary)}"
    )
    return SolvedShare(tuple(panels), caption)


def span_by_rate_info(summary: Summary) -> SpanByRate | None:
    """S50 against the learning rate; None where fewer than two rates were tried."""
    groups: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for found in summary.rates:
        c = found.condition
        groups[f"{c.encoding}, {c.initialisation} start"][c.cell].append(found)
    panels = tuple(
        (
            name,
            tuple(
                RateSeries(
                    title(cell),
                    summary.config.cells.index(cell),
                    np.array([found.learning_rate for found in some]),
                    tuple(found.span for found in some),
                    (summary.config.lengths[0], summary.config.lengths[-1]),
                )
                for cell, some in cells.items()
            ),
        )
        for name, cells in groups.items()
    )
    if not any(len(series.rates) > 1 for _, cells in panels for series in cells):
        return None
    tuned = any(found.role == "tuning" for found in summary.rates)
    seeds = f"{summary.config.tuning_seeds} tuning runs" if tuned else "the final runs"
    caption = (
        f"Memory span S50 against the learning rate, from {seeds} at each length, with 95 % "
        f"intervals; arrows: the lengths tried do not reach their end. {_how(summary)}"
    )
    return SpanByRate(panels, caption)


def optimizers_info(summary: Summary) -> Curves | None:
    """Question 1.4: loss against step, each optimiser at its best rate; None without such runs.

    The best rate of an optimiser is the one whose runs have the lowest median of the mean
    validation loss over their evaluations, the last one held to the end of the budget.
    """
    if not summary.compared:
        return None
    groups: dict[str, dict[str, list[tuple[Condition, LengthSummary]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    several = len({condition.encoding for condition, _ in summary.compared}) > 1
    for condition, found in summary.compared:
        name = title(condition.cell) + (f", {condition.encoding}" if several else "")
        groups[name][condition.optimizer].append((condition, found))
    panels = []
    for name, optimizers in groups.items():
        lines = []
        for optimizer, tried in optimizers.items():
            condition, found = min(tried, key=lambda entry: _mean_loss(summary, entry[1]))
            lines.append((f"{optimizer}, rate {condition.rate}", _loss_curves(found)))
        panels.append((name, tuple(lines)))
    rates = sorted({float(condition.rate) for condition, _ in summary.compared})
    length = summary.compared[0][1].length
    caption = (
        f"Validation loss against training step at T = {length}, by optimiser, each at the best "
        f"of the rates {', '.join(f'{rate:g}' for rate in rates)}; every line is one seed and "
        f"ends where the run ended; the dashed line is guessing, ln 10. {_how(summary)}"
    )
    return Curves(tuple(panels), caption)


def draw_by_length(info: ByLength) -> Figure:
    """Draw a quantity against T: dots, medians, and the level to compare with."""
    figure, axes = _figure(len(info.panels), info.caption)
    for panel, ax in zip(info.panels, axes, strict=True):
        for index, series in enumerate(panel.series):
            look = _look(series.place)
            ax.plot(
                *_dots(series, index, len(panel.series)), look["marker"], color=look["color"],
                alpha=0.45, markersize=3.5, markeredgewidth=0,
            )  # fmt: skip
            ax.plot(series.lengths, series.medians, label=f"{series.label}, median", **look)
            if info.log and info.reference:
                _mark_unsolved(ax, series, info.reference[0])
        if info.reference:
            level, name = info.reference
            ax.axhline(level, color=_QUIET, linestyle=(0, (4, 3)), linewidth=1, label=name)
        if info.log:
            ax.set_yscale("log")
        _length_axis(ax, [t for series in panel.series for t in series.lengths], panel.title)
    if info.quantity.startswith("accuracy"):
        axes[0].set_ylim(0, 103)
    _finish(axes, info.quantity)
    return figure


def draw_solved_share(info: SolvedShare) -> Figure:
    """Draw solved shares with intervals, the fitted curves and S50."""
    figure, axes = _figure(len(info.panels), info.caption)
    for (name, shares), ax in zip(info.panels, axes, strict=True):
        for index, share in enumerate(shares):
            look = _look(share.place)
            x = np.array([_spread(t, index, len(shares), 1)[0] for t in share.lengths])
            errors = [share.shares - share.low, share.high - share.shares]
            ax.errorbar(
                x, share.shares, np.clip(errors, 0, None), fmt=look["marker"],
                color=look["color"], markersize=4, linewidth=1, capsize=2, label=share.label,
            )  # fmt: skip
            grid = np.geomspace(min(share.lengths), max(share.lengths), 200)
            if share.span.method == "logistic":
                fit = fitted_share(
                    np.log(grid), np.log(share.span.s50), share.span.width, share.span.lapse
                )
                if not share.span.bound:
                    ax.plot(grid, fit, color=look["color"], linestyle=look["linestyle"], lw=1.2)
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
            look = _look(series.place)
            s50 = np.array([span.s50 for span in series.spans])
            ends = [_ends(span, series.reach) for span in series.spans]
            low, high = np.array(ends).T
            x = series.rates * (1 + 0.05 * (index - (len(cells) - 1) / 2))
            bars = np.clip([s50 - low, high - s50], 0, None)
            ax.errorbar(x, s50, bars, capsize=2, label=series.label, **look)
            for rate, span in zip(x, series.spans, strict=True):
                low_end, high_end = _ends(span, series.reach)
                if span.s50_high is None:
                    _arrow(ax, (rate, high_end), (0, 14), look["color"])
                if span.s50_low is None:
                    _arrow(ax, (rate, low_end), (0, -14), look["color"])
        ax.set_xscale("log")
        ax.set_yscale("log")
        _plain_ticks(ax.yaxis)
        ax.set_title(name, fontsize=9)
        ax.set_xlabel("learning rate")
    _finish(axes, "memory span S50 (digits)")
    return figure


def draw_optimizers(info: Curves) -> Figure:
    """Draw loss against step, by optimiser."""
    figure, axes = _figure(len(info.panels), info.caption)
    for (name, optimizers), ax in zip(info.panels, axes, strict=True):
        for index, (label, curves) in enumerate(optimizers):
            look = _look(index)
            for seed, (steps, losses) in enumerate(curves):
                ax.plot(
                    steps, losses, color=look["color"], linestyle=look["linestyle"],
                    marker=look["marker"], markevery=[-1], markersize=4, linewidth=1.1,
                    label=label if seed == 0 else None,
                )  # fmt: skip
        ax.axhline(np.log(10), color=_QUIET, linestyle=(0, (4, 3)), linewidth=1, label="guessing")
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
    with mpl.rc_context(_STYLE):
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


def save(figure: Figure, folder: Path, stem: str) -> list[str]:
    """Write a figure as SVG and PNG; the same figure gives the same bytes.

    Raises:
        DigitspanError: where the disk is full.
    """
    names = []
    with mpl.rc_context(_STYLE):
        figure.draw_without_rendering()
    figure.set_layout_engine("none")  # laid out: neither file need do it again
    for suffix, metadata in (("svg", {"Date": None}), ("png", {"Software": None})):
        buffer = io.BytesIO()
        with mpl.rc_context(_STYLE):
            figure.savefig(buffer, format=suffix, dpi=150, metadata=metadata)
        names.append(f"{stem}.{suffix}")
        write_whole(folder / names[-1], buffer.getvalue())
    return names


def _by_condition(summary: Summary) -> list[tuple[str, list[SpanSummary]]]:
    """The rows of the table of spans, those of one encoding, start and rate together."""
    groups: dict[str, list[SpanSummary]] = defaultdict(list)
    for row in summary.spans:
        c = row.condition
        rate = "tuned rate" if c.rate == TUNED else f"rate {c.rate}"
        groups[f"{c.encoding}, {c.initialisation} start, {rate}"].append(row)
    return list(groups.items())


def _panels(
    summary: Summary, values_of: Callable[[LengthSummary], np.ndarray]
) -> tuple[Panel, ...]:
    """Panels of a quantity that every run has."""
    panels = []
    for name, rows in _by_condition(summary):
        series = []
        for row in rows:
            values = tuple(values_of(length) for length in row.lengths)
            medians = [np.median(some) if len(some) else np.nan for some in values]
            series.append(
                Series(
                    title(row.condition.cell),
                    summary.config.cells.index(row.condition.cell),
                    tuple(length.length for length in row.lengths),
                    values,
                    np.array(medians),
                    tuple(
                        len(length.records) - len(some)
                        for length, some in zip(row.lengths, values, strict=True)
                    ),
                )
            )
        panels.append(Panel(name, tuple(series)))
    return tuple(panels)


def _solving_steps(length: LengthSummary) -> np.ndarray:
    """Steps of the solved runs, shape (up to S,)."""
    return np.array([record.steps for record in length.records if record.solved], dtype=float)


def _tested(summary: Summary) -> str:
    """How many palindromes were asked: "up to 10,000 held-out"."""
    records = [record for row in summary.spans for record in row.records]
    most = max((record.tested for record in records), default=0)
    held_out = "held-out " if all(record.held_out for record in records if record.tested) else ""
    return f"up to {most:,} {held_out}".strip()


def _how(summary: Summary) -> str:
    """What a caption must say of how it was measured."""
    c = summary.config
    seeds = f"{c.seeds} seeds a length" if not c.adaptive else "lengths placed adaptively"
    note = f" {c.note[0].upper()}{c.note[1:]}." if c.note else ""
    return (
        f"{seeds[0].upper()}{seeds[1:]}, n = {c.hidden_size}, batch {c.batch_size}, "
        f"{c.optimizer}, at most {c.train_steps:,} steps a run.{note}"
    )


def _mean_loss(summary: Summary, found: LengthSummary) -> float:
    """How far an optimiser came and how fast: mean loss over the whole budget, median of runs."""
    means = []
    for _, losses in ((curve[0], curve[1]) for curve in _loss_curves(found)):
        rest = summary.config.train_steps // 50 - len(losses)
        means.append((losses.sum() + max(rest, 0) * losses[-1]) / (len(losses) + max(rest, 0)))
    return float(np.median(means)) if means else np.inf


def _loss_curves(found: LengthSummary) -> tuple[np.ndarray, ...]:
    """Step and validation loss of every run, shape (2, E) each."""
    return tuple(
        np.array([(point.step, point.validation_loss) for point in record.curve], dtype=float).T
        for record in found.records
        if record.curve
    )


def _figure(panels: int, caption: str) -> tuple[Figure, list[Axes]]:
    """A figure of some panels side by side, at most three a row, its caption below."""
    columns = min(panels, 3)
    rows = -(-panels // columns)
    width = 3.4 * columns + 1.2
    figure = Figure(figsize=(width, 3.1 * rows + 1.0), layout="constrained")
    axes = figure.subplots(rows, columns, sharey=True, squeeze=False).flatten().tolist()
    for ax in axes[panels:]:
        ax.set_visible(False)
    figure.supxlabel(
        textwrap.fill(caption, int(width * 16)), fontsize=8, x=0.02, ha="left", color="#333333"
    )
    return figure, axes[:panels]


def _look(index: int) -> dict[str, Any]:
    """Colour, marker and line of the cell at one place: readable in grey by the latter two."""
    return {
        "color": _COLOURS[index % len(_COLOURS)],
        "marker": _MARKERS[index % len(_MARKERS)],
        "linestyle": _LINES[index % len(_LINES)],
        "linewidth": 1.6,
        "markersize": 5,
    }


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
            colour = _look(series.place)["color"]
            ax.plot([length], [height], "x", color=colour, markersize=5)
            ax.annotate(
                str(count), (length, height), xytext=(4, -1), textcoords="offset points",
                fontsize=7, color=colour, va="center",
            )  # fmt: skip


def _mark_span(ax: Axes, share: Share) -> None:
    """S50 and its interval at the height of half the curve; an arrow where an end is open."""
    look, span = _look(share.place), share.span
    height = (1 - span.lapse) / 2 if span.method == "logistic" else 0.5
    low, high = _ends(span, (min(share.lengths), max(share.lengths)))
    ax.plot([low, high], [height] * 2, color=look["color"], lw=3, alpha=0.6)
    if span.s50_high is None:
        _arrow(ax, (high, height), (14, 0), look["color"])
    if span.s50_low is None:
        _arrow(ax, (low, height), (-14, 0), look["color"])
    if not span.bound:
        ax.plot(
            [span.s50], [height], look["marker"], color=look["color"], markersize=9,
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
