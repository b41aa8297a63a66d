"""One palette: what is drawn outside figures/ has its colours, too."""

import ast
import itertools
import os
import re
from importlib.resources import files

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from digitspan.errors import UsageError
from digitspan.figures.palette import (
    COLOURS,
    GREY,
    GRID,
    MARKERS,
    STYLE,
    add_caption,
    save,
    style_of,
)

PACKAGE = files("digitspan")
HEX = re.compile(r"#[0-9a-f]{6}\b")


def text(path):
    return (PACKAGE / path).read_text(encoding="utf-8")


def test_cells_of_the_notebook_look_as_in_the_studys_figures():
    head = text("handin/templates/notebook/head.py.txt")
    notebook = head.replace("<<gated_cell>>", "lstm")
    assert set(HEX.findall(notebook)) <= {*COLOURS, GREY, GRID}
    colour, marker = (
        ast.literal_eval(re.search(rf"^{name} = (.*)$", notebook, re.M)[1])
        for name in ("COLOUR", "MARKER")
    )
    for place, cell in enumerate(("rnn", "lstm")):
        assert (colour[cell], marker[cell]) == (COLOURS[place], MARKERS[place])


def test_notebook_has_the_style_of_the_studys_figures():
    block = re.search(
        r"rcParams\.update\((.*?)\)\n", text("handin/templates/notebook/head.py.txt"), re.S
    )
    settings = ast.literal_eval(block[1])
    own = {"figure.dpi", "svg.hashsalt"}
    assert set(settings) - own == set(STYLE) - {"grid.linewidth", "svg.hashsalt"}
    assert {name: STYLE[name] for name in set(settings) - own} == {
        name: value for name, value in settings.items() if name not in own
    }


def test_pdf_has_the_second_colour_in_its_headings():
    assert set(re.findall(r'14pt, rgb\("(#\w+)"', text("handin/templates/template.typ"))) == {
        COLOURS[1]
    }


@pytest.mark.parametrize(("name", "place"), [("a", 0), ("b", 1)])
def test_two_networks_of_the_page_have_the_first_two_colours(name, place):
    light = text("look/page/style.css").partition("@media")[0]
    assert re.search(rf"--{name}: (#\w+);", light)[1] == COLOURS[place]


def test_maps_of_the_page_are_cividis():
    colours = HEX.findall(text("look/page/draw.js"))
    cividis = mpl.colormaps["cividis"]
    assert colours == [mpl.colors.to_hex(cividis(k / 8)) for k in range(9)]


def test_no_other_colour_is_written_into_the_page():
    page = PACKAGE / "look" / "page"
    scripts = [*page.glob("*.js"), *page.glob("panels/*.js"), *page.glob("cells/*.js")]
    for script in scripts:
        if script.name != "draw.js":
            assert not HEX.search(script.read_text(encoding="utf-8")), script.name
    rules = text("look/page/style.css").partition("* {")[2]
    assert not HEX.search(rules)


def test_a_dollar_sign_in_a_caption_is_one(tmp_path):
    figure = Figure()
    add_caption(figure, "cost: 5$ a run, 6_$ in all, and $x^2$")
    save(figure, tmp_path, "cost")  # matplotlib would refuse the first as a formula
    assert "6_$ in all, and $x^2$" in figure._supxlabel.get_text()
    assert not figure._supxlabel.get_parse_math()


@pytest.mark.parametrize("kind", ["folder", "pipe", "link to a device"])
def test_what_is_no_ordinary_file_is_not_replaced(tmp_path, kind):
    path = tmp_path / "cost.svg"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(os.devnull)
    before = path.lstat()
    with pytest.raises(UsageError, match=r"cannot write .*cost.svg: it is (a folder|no ordinary)"):
        save(Figure(), tmp_path, "cost")
    assert path.lstat() == before


def test_twenty_cells_are_told_apart_in_grey_too():
    """Any two differ in two of colour, marker and line; marker and line are left in grey."""
    styles = [style_of(place) for place in range(20)]

    def marker(style):
        return style["marker"], style["markerfacecolor"] == "white"

    for one, other in itertools.combinations(styles, 2):
        same_colour = one["color"] == other["color"]
        same_marker = marker(one) == marker(other)
        same_line = one["linestyle"] == other["linestyle"]
        assert same_colour + same_marker + same_line <= 1, (one, other)
        assert not (same_marker and same_line)
