"""Documentation that is made from the program says what the program does now."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from digitspan import cli
from digitspan.cells import CELLS, INITIALISATIONS
from digitspan.runs.outcome import END_STATES

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_cli_page_is_what_help_prints():
    made = subprocess.run(
        [sys.executable, "-c", "import make_cli; print(make_cli.page(), end='')"],
        cwd=ROOT / "docs",
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert page == made, "run `python docs/make_cli.py`"


def test_readme_names_every_command():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in cli.COMMANDS:
        assert f"digitspan {name}" in text, name


def test_glossary_has_every_start_and_end_state():
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    for word in (*INITIALISATIONS, *END_STATES):
        assert re.search(rf"\b{re.escape(word)}\b", text), word


def test_glossary_has_every_cell_and_which_starts_fit_it():
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    cells, starts = (
        text.partition(f"## {name}\n")[2].partition("##")[0] for name in ("Cells", "Starts")
    )
    for name in CELLS:
        assert f"| `{name}` |" in cells, name
    for line in starts.splitlines():
        start, _, fits = (part.strip() for part in f"{line.strip('|')}||".split("|")[:3])
        if start.strip("`") in set(INITIALISATIONS) - {"own"}:
            fitting = [n for n, cell in CELLS.items() if start.strip("`") in cell.initialisations]
            if fits.startswith("all"):
                assert set(CELLS) - set(fitting) == {n for n in CELLS if f"not {n}" in fits}, start
            else:
                assert fits.split(", ") == fitting, start


def test_the_cell_of_ones_own_is_shown_as_the_example_has_it():
    page = (ROOT / "docs" / "own-cell.md").read_text(encoding="utf-8")
    for language, name in (("python", "leaky.py"), ("javascript", "leaky.js")):
        [block] = re.findall(rf"```{language}\n(.*?)```", page, re.S)
        assert block == (ROOT / "examples" / name).read_text(encoding="utf-8"), name


def test_every_cell_names_starts_that_exist():
    for name, cell in CELLS.items():
        assert set(cell.initialisations) <= set(INITIALISATIONS), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_of_a_page_are_there(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_a_page_are_commands_with_options_that_exist(page):
    """Every `digitspan ...` in a code block is a call that the parser takes."""
    for block in re.findall(r"```(?:bash|sh)?\n(.*?)```", page.read_text(encoding="utf-8"), re.S):
        for line in re.findall(r"^(?:\$ )?digitspan (.+)$", block, re.M):
            words = line.partition("  #")[0].split()
            if words[0] in cli.COMMANDS and "[" not in line:
                cli.command_parser(words[0]).parse_args(words[1:])
