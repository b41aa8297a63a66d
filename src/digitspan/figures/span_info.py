"""What the figures of digit spans show, as numbers: named tuples that a test can read."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from digitspan.cells import initialisation_title, title
from digitspan.study.digit_spans import PEOPLE, CellSpan, Mean, SpanSummary
from digitspan.study.span_tables import label, places_shown

__all__ = [
    "Capacities",
    "CapacitySeries",
    "CellPoints",
    "RecallCurves",
    "RecallSeries",
    "SerialPositions",
    "SpanGrowth",
    "SpansByCell",
    "capacity_info",
    "recall_by_items_info",
    "serial_position_info",
    "span_by_steps_info",
    "spans_by_cell_info",
]


class RecallSeries(NamedTuple):
    """One cell: a value of each network, and their mean."""

    label: str
    """The cell's name, without its width."""
    place: int
    """The cell's place in the study: decides its colour, marker and line."""
    x: np.ndarray
    """List lengths L, or training steps, shape (L,)."""
    networks: np.ndarray
    """Each network's value, shape (S, L)."""

    @property
    def mean(self) -> np.ndarray:
        """Over the networks, shape (L,)."""
        mean: np.ndarray = self.networks.mean(axis=0)
        return mean


class RecallCurves(NamedTuple):
    """P(L), the share of lists recalled whole, against their length."""

    panels: tuple[tuple[str, tuple[RecallSeries, ...]], ...]
    """Width, and its cells."""
    people: int
    """About what people repeat, in items."""
    caption: str
    """What the figure shows, in words."""


class CellPoints(NamedTuple):
    """The digit spans of one cell's networks."""

    label: str
    """The cell's name and width."""
    place: int
    """The cell's place in the study."""
    values: np.ndarray
    """Each network's digit span, in items, shape (S,)."""
    mean: Mean
    """Their mean with its interval."""


class SpansByCell(NamedTuple):
    """Digit spans, cell by cell, with people's."""

    cells: tuple[CellPoints, ...]
    """One a cell and width."""
    people: int
    """About what people repeat, in items."""
    caption: str
    """What the figure shows, in words."""


class SerialPositions(NamedTuple):
    """Which place of a list is lost: the first or the last."""

    panels: tuple[tuple[str, int, tuple[tuple[int, np.ndarray], ...]], ...]
    """Cell, its place in the study, and for some lengths L the share right at each place, (L,)."""
    caption: str
    """What the figure shows, in words."""


class CapacitySeries(NamedTuple):
    """One cell's capacity, by the size of its state."""

    label: str
    """The cell's name."""
    place: int
    """The cell's place in the study."""
    state_sizes: np.ndarray
    """Numbers carried from step to step, shape (W,)."""
    networks: tuple[np.ndarray, ...]
    """Each network's bits at each size, (S,) each."""
    means: tuple[Mean, ...]
    """Their means with intervals, W of them."""
    bounds: np.ndarray
    """L log2 10 of the lists that told them, in bits, mean over the networks, shape (W,)."""

    @property
    def bits_a_number(self) -> np.ndarray:
        """The mean of the bits for each number of the state, shape (W,)."""
        bits: np.ndarray = np.array([mean.mean for mean in self.means]) / self.state_sizes
        return bits


class Capacities(NamedTuple):
    """The most bits told of a list, against the size of the state."""

    series: tuple[CapacitySeries, ...]
    """One a cell."""
    caption: str
    """What the figure shows, in words."""


class SpanGrowth(NamedTuple):
    """The mean span against the training steps."""

    panels: tuple[tuple[str, tuple[RecallSeries, ...]], ...]
    """Width, and its cells."""
    people: int
    """About what people repeat, in items."""
    caption: str
    """What the figure shows, in words."""


def recall_by_items_info(summary: SpanSummary) -> RecallCurves:
    """P(L) of every network against L, from 1 on; 0 beyond what was asked."""
    caption = (
        f"Share of unseen lists that come back whole, {summary.config.order}, against their "
        f"length L. Thin lines are networks, thick ones their means; the dashed line is one half, "
        f"where the digit span is read off. {_people_words(summary)} {_setting(summary)}"
    )
    return RecallCurves(_by_width(summary, _shares), PEOPLE[summary.config.order], caption)


def spans_by_cell_info(summary: SpanSummary) -> SpansByCell:
    """The digit span of every network, by cell and width."""
    cells = tuple(
        CellPoints(
            label(summary, cell),
            _place(summary, cell),
            np.array([found.digit_span for found in cell.recalled], dtype=float),
            cell.digit_span,
        )
        for cell in summary.measured
    )
    caption = (
        f"Digit span, {summary.config.order}: the longest list such that lists of it and of every "
        f"shorter length come back whole at least half of the time. Every dot is a network, the "
        f"bar their mean with its 95 % interval. {_people_words(summary)} {_setting(summary)}"
    )
    return SpansByCell(cells, PEOPLE[summary.config.order], caption)


def serial_position_info(summary: SpanSummary) -> SerialPositions:
    """The share right at each place of lists below, at and above the span."""
    panels = []
    for cell in summary.measured:
        curves = []
        for items in places_shown(cell):
            each = [
                np.array(found.lists[items - 1].right) / found.lists[items - 1].asked
                for found in cell.recalled
                if items <= len(found.lists)
            ]
            curves.append((items, np.mean(each, axis=0)))
        panels.append((label(summary, cell), _place(summary, cell), tuple(curves)))
    caption = (
        f"Share of digits right at each place of the list, in lists two items shorter than the "
        f"digit span, as long, and two longer, mean over the networks that came so far; place 1 "
        f"is read first, and said {'last' if summary.config.order == 'backward' else 'first'}. "
        f"The dashed line is chance. {_setting(summary)}"
    )
    return SerialPositions(tuple(panels), caption)


def capacity_info(summary: SpanSummary) -> Capacities | None:
    """Bits against the size of the state; None where no network says how much it carries."""
    series = []
    for name in summary.config.cells:
        known = [
            cell
            for cell in summary.measured
            if cell.condition.cell == name and cell.state_size is not None
        ]
        known.sort(key=lambda cell: cell.state_size or 0)
        if known:
            series.append(
                CapacitySeries(
                    title(name, summary.config.cells),
                    _place(summary, known[0]),
                    np.array([cell.state_size for cell in known], dtype=float),
                    tuple(
                        np.array([found.capacity.bits for found in cell.recalled])
                        for cell in known
                    ),
                    tuple(cell.capacity for cell in known),
                    np.array([cell.capacity_bound for cell in known]),
                )
            )
    if not series:
        return None
    caption = (
        f"Capacity: the most bits that the answers tell of lists of one length, the sum over "
        f"places of I(digit; answer), against the numbers that a network carries from step to "
        f"step (n, of an LSTM 2 n). Every dot is a network, lines join the means; a bar above "
        f"them is what there was to tell, L log2 10 of lists of that length. Dotted: a digit's "
        f"{math.log2(10):.2f} bits for every 2, 4, 8, 16 or 32 numbers. Right: the same for each "
        f"of these numbers. {_setting(summary)}"
    )
    return Capacities(tuple(series), caption)


def span_by_steps_info(summary: SpanSummary) -> SpanGrowth:
    """The mean span on validation lists against the training steps."""
    caption = (
        f"Mean span (the sum of P(L) over L) on validation lists against training steps, as the "
        f"networks learn. Thin lines are networks, thick ones their means. "
        f"{_people_words(summary)} {_setting(summary)}"
    )
    return SpanGrowth(_by_width(summary, _growth), PEOPLE[summary.config.order], caption)


def _by_width(
    summary: SpanSummary, curve: Callable[[CellSpan], tuple[np.ndarray, np.ndarray]]
) -> tuple[tuple[str, tuple[RecallSeries, ...]], ...]:
    """A panel a width, a series a cell."""
    panels = []
    for hidden_size in summary.config.hidden_sizes:
        series = tuple(
            RecallSeries(label(summary, cell, width=False), _place(summary, cell), *curve(cell))
            for cell in summary.measured
            if cell.hidden_size == hidden_size
        )
        if series:
            panels.append((f"n = {hidden_size}", series))
    return tuple(panels)


def _shares(cell: CellSpan) -> tuple[np.ndarray, np.ndarray]:
    """L, shape (L,), and P(L) of each network, shape (S, L)."""
    longest = max(len(found.lists) for found in cell.recalled)
    shares = np.zeros((len(cell.recalled), longest))
    for row, found in zip(shares, cell.recalled, strict=True):
        row[: len(found.lists)] = found.shares
    return np.arange(1, longest + 1), shares


def _growth(cell: CellSpan) -> tuple[np.ndarray, np.ndarray]:
    """Steps, shape (L,), and each network's mean span by then, (S, L).

    A network that ended before the others (it diverged, or came to the longest list) has what it
    had at its end from then on.
    """
    longest = max(cell.recalled, key=lambda found: len(found.on_the_way)).on_the_way
    spans = np.array(
        [
            [found.on_the_way[min(i, len(found.on_the_way) - 1)].mean_span
             for i in range(len(longest))]
            for found in cell.recalled
        ]
    )  # fmt: skip
    return np.array([point.step for point in longest]), spans


def _place(summary: SpanSummary, cell: CellSpan) -> int:
    return summary.config.cells.index(cell.condition.cell)


def _people_words(summary: SpanSummary) -> str:
    """What a caption must say of people."""
    order = summary.config.order
    return (
        f"The grey band is people, about {PEOPLE[order]} {order}, and one digit either side of it "
        f"(Woods et al. 2011): heard once, untrained."
    )


def _setting(summary: SpanSummary) -> str:
    """What a caption must say of the networks and their training."""
    c = summary.config
    starts = ", ".join(
        dict.fromkeys(
            f"{title(cell.condition.cell, c.cells)} "
            f"{initialisation_title(cell.condition.initialisation)}"
            for cell in summary.measured
        )
    )
    rates = ", ".join(
        f"{label(summary, cell)}: {cell.rate:g}" for cell in summary.measured if cell.rate
    )
    tuned = ", tuned" if len(c.learning_rates) > 1 else ""
    note = f" {c.note[0].upper()}{c.note[1:]}." if c.note else ""
    return (
        f"{c.seeds} network{'s' * (c.seeds != 1)} each; start: {starts}; batch {c.batch_size}, "
        f"{c.optimizer}, {c.budget:,} steps, lists growing by an item; rate{tuned}: "
        f"{rates}.{note}"
    )
