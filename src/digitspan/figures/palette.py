"""The one palette: colours, markers and lines of all figures, their style, and how one is saved.

The hand-in's notebook and the page draw outside this package, with matplotlib and JavaScript of
their own; tests/figures/test_palette.py holds their colours equal to these.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from digitspan.files import write_whole

__all__ = [
    "CAPTION_LINE",
    "COLOURS",
    "GREY",
    "GRID",
    "LINES",
    "MARKERS",
    "STYLE",
    "add_caption",
    "caption_lines",
    "draw_level",
    "save",
    "save_all",
    "style_of",
]

COLOURS = ("#c1440e", "#0b4f8a", "#2e7d32", "#6a1b9a", "#8a6d00", "#00838f", "#d81b7a")
"""By a cell's place: vermilion, blue, green, violet, ochre, teal, pink."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
LINES = ("-", "--", "-.", ":", (0, (9, 2)), (0, (3, 1, 1, 1, 1, 1)))
"""Seven, ten and six: of twenty cells any two differ in two of colour, marker and line. The
markers of the second ten are open."""

GREY = "#777777"
"""What is only there to compare with."""

GRID = "#e4e4e4"

STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "digitspan",  # the same numbers give the same file
}
"""Matplotlib's settings, for `matplotlib.rc_context`."""


def style_of(place: int) -> dict[str, Any]:
    """Colour, marker and line of the cell at one place: the latter two tell it in grey."""
    colour = COLOURS[place % len(COLOURS)]
    return {
        "markerfacecolor": "white" if place // len(MARKERS) % 2 else colour,
        "color": colour,
        "marker": MARKERS[place % len(MARKERS)],
        "linestyle": LINES[place % len(LINES)],
        "linewidth": 1.6,
        "markersize": 5,
    }


def draw_level(ax: Axes, level: float, name: str) -> None:
    """A dashed level to compare with, under its name in the legend."""
    ax.axhline(level, color=GREY, linestyle=(0, (4, 3)), linewidth=1, label=name)


CAPTION_LINE = 0.135
"""Inches that a line of a caption takes."""


def caption_lines(caption: str, width: float) -> list[str]:
    """A caption as the lines of a figure that is so many inches wide."""
    return textwrap.wrap(caption, int(width * 16))


def add_caption(figure: Figure, caption: str) -> None:
    """Set a caption below a figure."""
    text = "\n".join(caption_lines(caption, figure.get_figwidth()))
    # A note may hold a dollar sign, which begins no formula.
    look: Any = {"fontsize": 8, "ha": "left", "color": "#333333", "parse_math": False}
    figure.supxlabel(text, x=0.02, **look)


def save(figure: Figure, folder: Path, stem: str) -> list[str]:
    """Write a figure as SVG and PNG, and give their names; the same figure gives the same bytes.

    Raises:
        DigitspanError: where the disk is full.
    """
    names = []
    with mpl.rc_context(STYLE):
        figure.draw_without_rendering()
    figure.set_layout_engine("none")  # laid out: neither file need do it again
    for suffix, metadata in (("svg", {"Date": None}), ("png", {"Software": None})):
        buffer = io.BytesIO()
        with mpl.rc_context(STYLE):
            figure.savefig(buffer, format=suffix, dpi=150, metadata=metadata)
        names.append(f"{stem}.{suffix}")
        write_whole(folder / names[-1], buffer.getvalue())
    return names


def save_all(figures: Mapping[str, Figure], folder: Path, stems: Iterable[str]) -> list[str]:
    """Write the figures of a study, and remove those that it has no longer; their files' names.

    Args:
        figures: by stem.
        folder: where to.
        stems: of all figures that there can be: what another study left there is no longer so.

    Raises:
        DigitspanError: where the disk is full.
    """
    names = [name for stem, figure in figures.items() for name in save(figure, folder, stem)]
    for stem in stems:
        if stem not in figures:
            for suffix in ("svg", "png"):
                (folder / f"{stem}.{suffix}").unlink(missing_ok=True)
    return names
