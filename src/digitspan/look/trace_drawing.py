"""The figures of why a network remembers or forgets, drawn from the numbers of `trace_info`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from digitspan.cells import title
from digitspan.figures.palette import COLOURS, GREY, STYLE, add_caption, draw_level, style_of
from digitspan.statistics import MAX_BITS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from digitspan.look.trace_info import (
        FlowSeries,
        Gates,
        GradientFlow,
        KeptGradient,
        Memory,
        MemorySeries,
    )

__all__ = ["draw_gates", "draw_gradient_flow", "draw_kept_gradient", "draw_memory"]

_GATES = {
    "g": "candidate g, tanh",
    "i": "input gate i, sigmoid",
    "f": "forget gate f, sigmoid",
    "o": "output gate o, sigmoid",
    "r": "reset gate r, sigmoid",
    "z": "update gate z, sigmoid",
}


@mpl.rc_context(STYLE)
def draw_gradient_flow(info: GradientFlow) -> Figure:
    """Draw ||dL/dh(t)|| against t on a logarithmic axis, untrained beside trained."""
    figure = Figure(figsize=(8.4, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    places = _places(info.series)
    for series in info.series:
        ax = right if series.trained else left
        style = style_of(places[series.cell])
        steps = np.arange(1, series.norms.shape[1] + 1)
        for norms in series.norms:
            ax.plot(steps, norms, color=style["color"], linewidth=0.6, alpha=0.45)
        middle = series.norms[series.median]
        ax.plot(steps, middle, label=series.label, markevery=max(1, len(steps) // 8), **style)
    for ax, name in ((left, "untrained"), (right, "trained")):
        ax.set(yscale="log", xlabel="step t")
        ax.set_title(name, fontsize=9)
        ax.legend(fontsize=8)
    left.set_ylabel("||dL/dh(t)||")
    add_caption(figure, info.caption)
    return figure


@mpl.rc_context(STYLE | {"font.size": 15})
def draw_kept_gradient(info: KeptGradient) -> Figure:
    """Draw what is kept of the gradient on its way back, solved beside unsolved: for a beamer."""
    figure = Figure(figsize=(12.8, 7.2), layout="constrained")
    cells = list(dict.fromkeys(series.cell for series in info.series))
    panels = figure.subplots(len(cells), 2, sharex=True, sharey=True, squeeze=False)
    for row, cell in zip(panels, cells, strict=True):
        for ax, when in zip(row, ("before", "after"), strict=True):
            for place, solved in enumerate((False, True)):
                kept = [
                    getattr(series, when)
                    for series in info.series
                    if (series.cell, series.solved) == (cell, solved)
                ]
                _draw_kept(ax, kept, place, "solved" if solved else "not solved")
            ax.set(yscale="log")
            ax.set_title(f"{title(cell, cells)}, {when} training", fontsize=15)
        row[0].set_ylabel("gradient that arrives,\nof that at the last step", fontsize=13)
        row[0].legend(fontsize=13)
    for ax in panels[-1]:
        ax.set_xlabel("steps before the last one")
    add_caption(figure, info.caption)
    return figure


def _draw_kept(ax: Axes, kept: Sequence[np.ndarray], place: int, label: str) -> None:
    """Some runs: a thin line each, thick the one in the middle where the shortest one ends."""
    if not kept:
        return
    style = style_of(place)
    look = {"color": style["color"], "linestyle": style["linestyle"]}
    for values in kept:
        ax.plot(values, linewidth=0.9, alpha=0.55, **look)
    back = min(map(len, kept)) - 1
    middle = sorted(kept, key=lambda values: values[back])[(len(kept) - 1) // 2]
    named = f"{label} ({len(kept)} run{'s' * (len(kept) != 1)})"
    ax.plot(middle, label=named, **style | {"markevery": max(1, len(middle) // 8), "linewidth": 3})


@mpl.rc_context(STYLE)
def draw_gates(info: Gates) -> Figure:
    """Draw the gates over the steps: mean, band, and the mean before training."""
    columns = min(2, len(info.means))
    rows = -(-len(info.means) // columns)
    figure = Figure(figsize=(8.4, 2.4 * rows + 0.4), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, squeeze=False).flatten()
    for ax, (name, mean) in zip(panels, info.means.items(), strict=False):
        steps, low = np.arange(1, len(mean) + 1), info.low[name]
        ax.fill_between(steps, low, info.high[name], color=COLOURS[1], alpha=0.18, linewidth=0)
        ax.plot(steps, mean, color=COLOURS[1], linewidth=1.8, label="trained")
        ax.plot(steps, info.untrained[name], "--", color=GREY, linewidth=1.2, label="untrained")
        ax.set_ylim(-1.03 if low.min() < 0 else -0.03, 1.03)
        ax.set_title(_gate_title(info.cell, name), fontsize=9)
    panels[0].legend(fontsize=8)
    for ax in panels[len(info.means) :]:
        ax.set_visible(False)
    for ax in panels[-columns:]:
        ax.set_xlabel("step t")
    add_caption(figure, info.caption)
    return figure


def _gate_title(cell: str, gate: str) -> str:
    """A gate in words, with the number of its equation where it is on the sheet."""
    number = f"({4 + 'gifo'.index(gate)}) " if cell == "lstm" else ""
    return number + _GATES.get(gate, f"gate {gate}")


@mpl.rc_context(STYLE)
def draw_memory(info: Memory) -> Figure:
    """Draw the bits that a linear read-out finds of x_1, step by step."""
    figure = Figure(figsize=(7.2, 4.0), layout="constrained")
    ax = figure.subplots()
    places = _places(info.series)
    for series in info.series:
        style = style_of(places[series.cell])
        if series.state != "hidden":
            style |= {"linestyle": ":", "markersize": 3}
        steps = np.arange(1, len(series.bits) + 1)
        every = max(1, len(steps) // 12)
        ax.plot(steps, series.bits, label=series.label, markevery=every, **style)
    draw_level(ax, MAX_BITS, "one digit")
    ax.set(
        xlabel="step t", ylabel="memory of the first digit (bits)", ylim=(-0.05, 1.05 * MAX_BITS)
    )
    ax.legend(fontsize=8)
    add_caption(figure, info.caption)
    return figure


def _places(series: Sequence[FlowSeries | MemorySeries]) -> dict[str, int]:
    """The place of each cell in the palette: the order in which they come."""
    return {cell: place for place, cell in enumerate(dict.fromkeys(s.cell for s in series))}
