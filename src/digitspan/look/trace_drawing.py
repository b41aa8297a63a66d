"""The figures of why a network remembers or forgets: ink for the numbers of `inside`."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from digitspan.figures import save
from digitspan.statistics import MAX_BITS

if TYPE_CHECKING:
    from digitspan.look.trace_info import Gates, GradientFlow, Memory

__all__ = ["draw_gates", "draw_gradient_flow", "draw_memory", "save"]

_COLOURS = ("#c1440e", "#0b4f8a", "#2e7d32", "#6a1b9a", "#8a6d00", "#00838f")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_QUIET = "#777777"

_GATES = {
    "g": "candidate g, tanh",
    "i": "input gate i, sigmoid",
    "f": "forget gate f, sigmoid",
    "o": "output gate o, sigmoid",
    "r": "reset gate r, sigmoid",
    "z": "update gate z, sigmoid",
}


def draw_gradient_flow(info: GradientFlow) -> Figure:
    """Draw ||dL/dh(t)|| against t on a logarithmic axis, untrained beside trained."""
    figure = Figure(figsize=(8.4, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    places = {cell: k for k, cell in enumerate(dict.fromkeys(s.cell for s in info.series))}
    for series in info.series:
        ax = right if series.trained else left
        look = _look(places[series.cell])
        steps = np.arange(1, series.norms.shape[1] + 1)
        for norms in series.norms:
            ax.plot(steps, norms, color=look["color"], linewidth=0.6, alpha=0.45)
        mean = np.exp(np.log(series.norms).mean(axis=0))
        ax.plot(steps, mean, label=series.label, markevery=max(1, len(steps) // 8), **look)
    for ax, name in ((left, "at the start"), (right, "trained")):
        ax.set_yscale("log")
        ax.set_title(name, fontsize=9)
        ax.set_xlabel("step t")
        _finish(ax)
    left.set_ylabel("||dL/dh(t)||")
    _caption(figure, info.caption)
    return figure


def draw_gates(info: Gates) -> Figure:
    """Draw the gates over the steps: mean, band, and the mean before training."""
    columns = min(2, len(info.means))
    rows = -(-len(info.means) // columns)
    figure = Figure(figsize=(8.4, 2.4 * rows + 0.4), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, squeeze=False).flatten()
    for ax, name in zip(panels, info.means, strict=False):
        steps = np.arange(1, len(info.means[name]) + 1)
        ax.fill_between(
            steps, info.low[name], info.high[name], color=_COLOURS[1], alpha=0.18, linewidth=0
        )
        ax.plot(steps, info.means[name], color=_COLOURS[1], linewidth=1.8, label="trained")
        ax.plot(
            steps, info.start[name], color=_QUIET, linewidth=1.2, linestyle="--", label="start"
        )
        least = -1 if info.low[name].min() < 0 else 0
        ax.set_ylim(least - 0.03, 1.03)
        ax.set_title(_gate_title(info.cell, name), fontsize=9)
        _finish(ax, legend=ax is panels[0])
    for ax in panels[len(info.means) :]:
        ax.set_visible(False)
    for ax in panels[-columns:]:
        ax.set_xlabel("step t")
    _caption(figure, info.caption)
    return figure


def _gate_title(cell: str, gate: str) -> str:
    """A gate in words, with the number of its equation where it is on the sheet."""
    number = f"({4 + 'gifo'.index(gate)}) " if cell == "lstm" else ""
    return number + _GATES.get(gate, f"gate {gate}")


def draw_memory(info: Memory) -> Figure:
    """Draw the bits that a linear read-out finds of x_1, step by step."""
    figure = Figure(figsize=(7.2, 4.0), layout="constrained")
    ax = figure.subplots()
    places = {cell: k for k, cell in enumerate(dict.fromkeys(s.cell for s in info.series))}
    for series in info.series:
        look = _look(places[series.cell])
        if series.state != "hidden":
            look |= {"linestyle": ":", "markersize": 3}
        steps = np.arange(1, len(series.bits) + 1)
        ax.plot(steps, series.bits, label=series.label, markevery=max(1, len(steps) // 12), **look)
    ax.axhline(MAX_BITS, color=_QUIET, linestyle=(0, (4, 3)), linewidth=1, label="one digit")
    ax.set_ylim(-0.05, MAX_BITS * 1.05)
    ax.set_xlabel("step t")
    ax.set_ylabel("memory of the first digit (bits)")
    _finish(ax)
    _caption(figure, info.caption)
    return figure


def _look(index: int) -> dict[str, Any]:
    """Colour, marker and line of a cell: the latter two tell it in grey."""
    return {
        "color": _COLOURS[index % len(_COLOURS)],
        "marker": _MARKERS[index % len(_MARKERS)],
        "linestyle": ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)))[index % 6],
        "linewidth": 1.8,
        "markersize": 4.5,
    }


def _finish(ax: Axes, *, legend: bool = True) -> None:
    """Quiet lines behind the ink, and the legend."""
    ax.grid(color="#e4e4e4", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    if legend:
        ax.legend(fontsize=8, frameon=False)


def _caption(figure: Figure, text: str) -> None:
    """The caption below a figure."""
    width = int(figure.get_figwidth() * 15)
    figure.supxlabel(textwrap.fill(text, width), fontsize=8, x=0.02, ha="left", color="#333333")
