"""Tables on a terminal of 80 columns: as narrow as it is, and nothing of them is cut off."""

import io
import re
from collections import Counter
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from digitspan.commands import show
from digitspan.commands.options import print_table
from digitspan.study.digit_spans import summarise_any
from digitspan.study.reading import read_study

DATA = Path(__file__).parents[2] / "docs" / "data"


def printed(print_, width):
    """The lines of tables on a terminal of some width."""
    text = io.StringIO()
    print_(Console(file=text, width=width, force_terminal=True, color_system=None))
    return text.getvalue().splitlines()


def words(lines):
    """Every word and number that stands in a table, however it is broken over lines."""
    return Counter(re.sub("[\u2500-\u257f]", " ", " ".join(lines)).split())  # box drawing


@pytest.mark.parametrize("name", ["quick", "forward"])
def test_every_table_of_a_study_fits_80_columns_whole(name, monkeypatch):
    study = read_study(DATA / name)
    summary = summarise_any(study.config, study.rows)

    def tables(console):
        monkeypatch.setattr(show, "output_console", lambda: console)
        monkeypatch.setattr(show, "print_sentence", lambda console, line: None)
        show.print_summary(summary, study.folder)

    narrow, wide = printed(tables, 80), printed(tables, 200)
    assert max(map(len, narrow)) <= 80
    assert words(narrow) == words(wide)
    assert len(narrow) <= len(wide) + 4  # a heading or two in two lines, but no row


def test_table_that_fits_nowhere_is_broken_and_not_cut():
    def table(console):
        wide = Table(title="wide")
        for k in range(12):
            wide.add_column(f"column{k}", no_wrap=True, overflow="fold")
        wide.add_row(*(f"{k}123456.789" for k in range(12)))
        print_table(console, wide)

    narrow = printed(table, 80)
    assert max(map(len, narrow)) <= 80
    digits = Counter(filter(str.isdigit, "".join(narrow)))
    assert digits == Counter(filter(str.isdigit, "".join(printed(table, 300))))
