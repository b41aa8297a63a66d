"""The figures of why a network remembers or forgets, drawn from the numbers of `trace_info`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from digitspan.figures.palette import COLOURS, GREY, STYLE, add_caption, draw_level, style_of
from digitspan.statistics import MAX_BITS

if TYPE_CHECKING:
    from digitspan.look.trace_info import FlowSeries, Gates, GradientFlow, Memory, MemorySeries

__all__ = ["draw_gates", "draw_gradient_flow", "draw_memory"]

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
        mean = np.exp(np.log(series.norms).mean(axis=0))
        ax.plot(steps, mean, label=series.label, markevery=max(1, len(steps) // 8), **style)
    for ax, name in ((left, "untrained"), (right, "trained")):
        ax.set(yscale="log", xlabel="step t")
        ax.set_title(name, fontsize=9)
        ax.legend(fontsize=8)
    left.set_ylabel("||dL/dh(t)||")
    add_caption(figure, info.caption)
    return figure


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
