"""One palette: what is drawn outside figures/ has its colours, too."""

import ast
import re
from importlib.resources import files

import matplotlib as mpl
import pytest

from digitspan.figures.palette import COLOURS, GREY, GRID, MARKERS, STYLE

PACKAGE = files("digitspan")
HEX = re.compile(r"#[0-9a-f]{6}\b")


def text(path):
    return (PACKAGE / path).read_text(encoding="utf-8")


def test_cells_of_the_notebook_look_as_in_the_studys_figures():
    notebook = text("handin/templates/notebook.py.txt")
    assert set(HEX.findall(notebook)) <= {*COLOURS, GREY, GRID}
    colour, marker = (
        ast.literal_eval(re.search(rf"^{name} = (.*)$", notebook, re.M)[1])
        for name in ("COLOUR", "MARKER")
    )
    for place, cell in enumerate(("rnn", "lstm")):
        assert (colour[cell], marker[cell]) == (COLOURS[place], MARKERS[place])


def test_notebook_has_the_style_of_the_studys_figures():
    block = re.search(
        r"rcParams\.update\((.*?)\)\n", text("handin/templates/notebook.py.txt"), re.S
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
