"""Make the parts of the documents that come from the program and from the stores in docs/data.

    python docs/make.py             rewrite README.md and docs/*.md
    python docs/make.py --check     print what differs, exit status 1
    python docs/make.py --figures   also draw docs/images from the stores

docs/cli.md is made as a whole. Elsewhere a document marks what is made, in a line or as a block:

    <!-- solved_from sheet rnn 0.001 20 -->3 of 10<!-- end -->

The mark's first word is a function of `MAKERS`, the others are its arguments. A line of a sentence
must not begin with a mark: Markdown would end the paragraph there.
"""

from __future__ import annotations

import ast
import difflib
import functools
import io
import json
import os
import re
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from rich.console import Console
from rich.table import Table

from digitspan.cells import title
from digitspan.cli import COMMANDS, EPILOG, command_parser
from digitspan.figures.span_info import serial_position_info
from digitspan.look.page.learning import MAP
from digitspan.study import comparison, span_comparison, span_tables, tables
from digitspan.study.digit_spans import (
    PEOPLE,
    CellSpan,
    Mean,
    SpanSummary,
    mean_difference,
    mean_of,
    summarise_spans,
)
from digitspan.study.plan import TUNED, as_run
from digitspan.study.ratio import Ratio, compare_all
from digitspan.study.reading import Study, read_study
from digitspan.study.retention import measure_span
from digitspan.study.span_comparison import cells_of
from digitspan.study.summary import ConditionSummary, Summary, summarise

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "digitspan"
WIDTH = 100
MARK = re.compile(r"<!-- (?!end)(\w[^>]*?) -->(.*?)<!-- end -->", re.DOTALL)

FOLDERS = {
    "docs": "protocol, results, design, glossary, commands; `make.py` makes what is marked there",
    "examples": "numbered, runnable, tested",
    "benchmarks": "what a study costs; simulations behind the statistics",
    "tests": "mirrors src; `contract.py` has the duties of a cell",
    "tools": "what installs, locks and tries the versions that we depend on",
}
"""The folders of the repository beside the package, which have no docstring of their own."""

PICTURES = {
    "learn.png": ("Networks that learn in the browser", "look --learn -o learn.html"),
    "look.png": ("The page of two trained networks", "look results/sheet -o page.html"),
    "span": ("The digit span", "study span --hidden-size 16 32 64 128 --out results/span"),
    "sheet": ("The retention span, with the sheet's networks", "study sheet --out results/sheet"),
    "quick": ("The retention span in some minutes", "study quick --out results/quick"),
    "handin.png": (
        "A page of the model solution",
        "solution docs/data/sheet",
    ),
}
"""What docs/images has, each picture or folder with its title and the call that makes it."""


# The program


def cli_page() -> str:
    """The text of docs/cli.md: the help of every command."""
    parts = ["# The commands", "Made by `python docs/make.py` from `--help`.", EPILOG]
    # argparse breaks lines at the terminal's width; the tests call this in their own process.
    with patch.dict(os.environ, COLUMNS=str(WIDTH)):
        for name in COMMANDS:
            help_text = command_parser(name).format_help().strip()
            parts.append(f"## digitspan {name}\n\n```\n{help_text}\n```")
    return "\n\n".join(parts) + "\n"


def summary_line(path: Path) -> str:
    """The first line of a module's docstring, without its full stop.

    Raises:
        ValueError: where there is none.
    """
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) if path.exists() else ""
    if not text:
        message = f"{path.relative_to(ROOT)} needs a docstring: the documents are made from it"
        raise ValueError(message)
    return text.splitlines()[0].rstrip(".")


def tree() -> str:
    """docs/design.md's tree: the package's files and folders, each with its docstring's first line."""
    lines = ["src/digitspan/"]
    loose = [path for path in sorted(PACKAGE.glob("*.py")) if path.stem != "__init__"]
    lines += listing({f"  {path.name}": summary_line(path) for path in loose})
    lines += listing(
        {
            "  " * len(folder.relative_to(PACKAGE).parts) + f"{folder.name}/": summary_line(
                folder / "__init__.py"
            )
            for folder in folders()
        }
    )
    lines += listing({f"{name}/": text for name, text in FOLDERS.items()})
    return fenced(lines)


def files() -> str:
    """docs/design.md's list of files, folder by folder."""
    lines = []
    for folder in folders():
        lines.append(f"{folder.relative_to(PACKAGE)}/")
        paths = [path for path in sorted(folder.glob("*.py")) if path.stem != "__init__"]
        lines += listing({f"  {path.name}": summary_line(path) for path in paths})
    return fenced(lines)


def folders() -> list[Path]:
    """The folders of the package that have code in Python, at any depth."""
    return sorted({path.parent for path in PACKAGE.rglob("*.py")} - {PACKAGE})


def listing(entries: dict[str, str]) -> list[str]:
    """Names with what they are, in two columns."""
    left, lines = 24, []
    for name, text in entries.items():
        first, *more = textwrap.wrap(text, WIDTH - left)
        lines += [f"{name:{left - 1}} {first}", *(" " * left + line for line in more)]
    return lines


def fenced(lines: list[str]) -> str:
    """Lines as a block that Markdown leaves as it is."""
    return "\n".join(["", "```", *lines, "```", ""])


def gallery() -> str:
    """Every picture of docs/images below the call that makes it."""
    parts = []
    for name, (heading, call) in PICTURES.items():
        parts.append(f"## {heading}\n\n```bash\ndigitspan {call}\n```")
        path = ROOT / "docs" / "images" / name
        for picture in sorted(path.glob("*.png")) if path.is_dir() else [path]:
            words = picture.stem.replace("-", " ") if path.is_dir() else heading
            address = picture.relative_to(ROOT / "docs").as_posix()
            parts.append(f"[![{words}]({address})]({address})")  # on a phone, the larger one
    return "\n\n".join(["", *parts, ""])


# The stores


def runs_of_map(name: str) -> str:
    """The runs of a study in docs/data by cell, [T, rate, outcome], for the page that learns."""
    tuned = [row for row in study(name).spans if row.condition.rate == TUNED]
    runs = {
        row.condition.cell: sorted(
            [record.config.length, record.config.learning_rate, record.end_state]
            for record in row.records
        )
        for row in tuned
    }
    lines = (f"{json.dumps(cell)}: {json.dumps(some)}" for cell, some in runs.items())
    body = ",\n".join(lines)
    return f'{{"start": "{tuned[0].condition.initialisation}", "runs": {{\n{body}\n}}}}\n'


@functools.cache
def stored(name: str) -> Study:
    """The study in docs/data."""
    return read_study(ROOT / "docs" / "data" / name)


@functools.cache
def study(name: str) -> Summary:
    """What the study in docs/data found."""
    return summarise(stored(name).config, stored(name).rows)


def condition(name: str, cell: str, rate: str) -> ConditionSummary:
    """The one condition of a study with this cell and rate rule, `tuned` or a number."""
    [row] = [
        row
        for row in study(name).spans
        if (row.condition.cell, row.condition.rate) == (cell, rate)
    ]
    return row


def span(name: str, cell: str, rate: str) -> str:
    """S50 with its interval, `18.8 [16.6, 21.0]`, without the star."""
    return tables.span_text(condition(name, cell, rate).span).rstrip(" *")


def span_of_all(name: str, cell: str) -> str:
    """What S50 would be if the figure runs counted too: a check, not the protocol's."""
    found = condition(name, cell, "tuned")
    records = [*found.records, *(r for length in found.lengths for r in length.records)]
    return tables.span_text(measure_span([as_run(r) for r in records], found.span.budget))


def headline(name: str) -> str:
    """The spans of a study's cells, at the best rate and at the fixed one, as a small table."""
    fixed = f"{study(name).config.fixed_rate:g}"
    shown = Table(title=f"S50 within {study(name).config.train_steps:,} steps")
    shown.add_column("")
    shown.add_column("at its best rate", justify="right")
    shown.add_column(f"at {fixed}, the template's", justify="right")
    for cell in study(name).config.cells:
        shown.add_row(title(cell), span(name, cell, "tuned"), span(name, cell, fixed))
    return markdown(shown, keep_all=True)


def span_within(name: str, cell: str, rate: str, budget: str) -> str:
    """S50 within a smaller budget, from the same runs."""
    [found] = [one for one in condition(name, cell, rate).budgets if one.budget == int(budget)]
    return tables.span_text(found).rstrip(" *")


def best_rate(name: str, cell: str) -> str:
    """The best learning rate at the span, with its interval, `0.026 [0.01, 0.05]`."""
    found = condition(name, cell, "tuned").span
    return f"{found.rate:.2g} [{found.rate_low:.2g}, {found.rate_high:.2g}]"


def ratio(name: str, cell: str, rate: str, other: str, other_rate: str) -> str:
    """The span of one condition as a multiple of another's, with its interval and p.

    As `digitspan compare` prints it, among all pairs of the study.
    """
    pair = tuple(condition_name(name, *one) for one in ((cell, rate), (other, other_rate)))
    found = comparisons(name)[pair]
    return f"{comparison.ratio_text(found).rstrip(' *')} (p {p_text(found)})"


def verdict(name: str, cell: str, rate: str, other: str, other_rate: str) -> str:
    """Which of two spans is the longer, `the LSTM's span is the longer`, where that is known."""
    pair = tuple(condition_name(name, *one) for one in ((cell, rate), (other, other_rate)))
    found = comparisons(name)[pair]
    if not found.differs:
        return "the two spans cannot be told apart"
    longer = cell if found.low is not None and found.low > 1 else other
    return f"the {title(longer)}'s span is the longer"


def p_text(found: Ratio) -> str:
    """Holm's p with its sign: `= 0.012`, `< 0.001`."""
    text = tables.p_text(found.adjusted_p)
    return text if text.startswith("<") else f"= {text}"


@functools.cache
def compared(name: str) -> list[comparison.Compared]:
    """The conditions of a study as `digitspan compare` has them."""
    return comparison.conditions_of([stored(name)])[0]


@functools.cache
def comparisons(name: str) -> dict[tuple[str, ...], Ratio]:
    """All pairs of a study's conditions, in both orders."""
    spans = {one.name: one.span for one in compared(name)}
    backwards = dict(reversed(spans.items()))
    return {**compare_all(backwards), **compare_all(spans)}


def condition_name(name: str, cell: str, rate: str) -> str:
    """What `digitspan compare` calls a condition."""
    place = study(name).spans.index(condition(name, cell, rate))
    return compared(name)[place].name


def solved_by_length(name: str, cell: str, rate: str, shortest: str) -> str:
    """How many figure runs were solved from a length on, `4 of 5 at T = 45 (rate 0.022), ...`."""
    found = [f for f in condition(name, cell, rate).lengths if f.length >= int(shortest)]
    told = ", ".join(
        f"{f.solved} of {len(f.records)} at T = {f.length} (rate {f.learning_rate:g})"
        for f in found
    )
    indent = "  "  # stands in a list
    lines = textwrap.fill(told, WIDTH, initial_indent=indent, subsequent_indent=indent)
    return f"\n{lines}\n{indent}"


def solved_from(name: str, cell: str, rate: str, length: str) -> str:
    """How many of a span's runs of this length and longer ones were solved, `0 of 40`."""
    records = [r for r in condition(name, cell, rate).records if r.config.length >= int(length)]
    return f"{sum(record.solved for record in records)} of {len(records)}"


def runs(name: str) -> str:
    """How many runs are behind a study's tables."""
    return f"{len(stored(name).counted):,}"


def core_minutes(name: str) -> str:
    """How long the runs behind a study's tables took together."""
    rows = stored(name).rows
    return f"{sum(rows[key].timing.seconds for key in stored(name).counted) / 60:.0f}"


def table(name: str, which: str, *without: str) -> str:
    """A table that `digitspan show` prints, spans, budgets, lengths ..., without some columns."""
    shown = getattr(tables, f"{which}_table")(study(name))
    shown.columns = [one for one in shown.columns if one.header not in without]
    return markdown(shown)


def printed(name: str, which: str) -> str:
    """The same table as it is printed in a terminal of 90 columns."""
    console = Console(width=90, file=io.StringIO(), record=True)
    console.print(getattr(tables, f"{which}_table")(study(name)))
    return fenced(console.export_text().rstrip().splitlines())


def pairs(name: str) -> str:
    """The table of ratios that `digitspan compare` prints."""
    budget = study(name).config.train_steps
    return markdown(comparison.comparison_tables(compared(name), budget)[1])


def remarks(name: str) -> str:
    """The sentences that `digitspan show` prints below the tables of a study of either span."""
    if stored(name).config.design == "span":
        lines = span_tables.digit_spans_remarks(spans_of(name))
    else:
        lines = tables.remarks(study(name))
    return fenced([textwrap.fill(line, WIDTH) for line in lines])


# The stores of digit spans


@functools.cache
def spans_of(name: str) -> SpanSummary:
    """What the study of digit spans in docs/data found."""
    return summarise_spans(stored(name).config, stored(name).rows)


def cell_of(name: str, cell: str, n: str) -> CellSpan:
    """The one cell of a study of digit spans with this name and width."""
    [found] = [
        one
        for one in spans_of(name).measured
        if (one.condition.cell, one.hidden_size) == (cell, int(n))
    ]
    return found


def digit_span(name: str, cell: str, n: str) -> str:
    """The digit span with its interval, `13.2 [11.9, 14.5]`, or `4.0 (each)`."""
    return span_tables.mean_text(cell_of(name, cell, n).digit_span)


def people(name: str) -> str:
    """About how many digits people repeat in this study's order."""
    return f"{PEOPLE[stored(name).config.order]}"


def networks(name: str) -> str:
    """How many networks are behind every digit span of a study."""
    [count] = {len(cell.recalled) for cell in spans_of(name).measured}
    return f"{count}"


def lists_read(name: str) -> str:
    """How many lists a network of a study has trained on."""
    return f"{stored(name).config.budget * stored(name).config.batch_size:,}"


def span_table(name: str, which: str) -> str:
    """A table that `digitspan show` prints of digit spans: spans, training, places or capacity."""
    place = ("spans", "training", "places", "capacity").index(which)
    return markdown(span_tables.digit_span_tables(spans_of(name))[place])


def span_pairs(name: str) -> str:
    """Of the differences of mean spans that `digitspan compare` prints, those of one width."""
    lines = markdown(span_comparison.differences_tables(cells_of([stored(name)]))[1]).splitlines()
    widths = [re.findall(r"n = (\d+)", line) for line in lines]
    kept = [line for line, found in zip(lines, widths, strict=True) if len({*found}) < 2]
    return "\n".join(kept) + "\n"


def least_right(name: str, cell: str, n: str) -> str:
    """Which place of a list two items beyond the span is lost most, with its two ends."""
    (_, _, curves) = next(
        panel
        for panel in serial_position_info(spans_of(name)).panels
        if panel[0] == span_tables.label(spans_of(name), cell_of(name, cell, n))
    )
    items, shares = curves[-1]
    place = int(shares.argmin())
    percent = [f"{100 * shares[at]:.0f} %" for at in (place, 0, -1)]
    return f"place {place + 1} of {items} ({percent[0]}; first {percent[1]}, last {percent[2]})"


def bits_a_number(name: str, cell: str, n: str) -> str:
    """Capacity for each number that is carried from step to step, mean with interval."""
    return interval(mean_of(_bits(cell_of(name, cell, n))))


def bits_apart(name: str, cell: str, n: str, other: str, other_n: str) -> str:
    """How many bits a number one cell carries more than another, with Welch's interval."""
    found = mean_difference(*(_bits(cell_of(name, *one)) for one in ((cell, n), (other, other_n))))
    return f"{found.difference:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


def interval(mean: Mean) -> str:
    """A small mean with its interval, `0.53 [0.50, 0.55]`."""
    return f"{mean.mean:.2f} [{mean.low:.2f}, {mean.high:.2f}]"


def _bits(cell: CellSpan) -> list[float]:
    """Each network's capacity for each number it carries, in bits."""
    return [found.capacity.bits / found.state_size for found in cell.recalled]


# The simulation


SIMULATED = ROOT / "benchmarks" / "results" / "span-simulation.json"


def simulation(*words: str) -> str:
    """A table of the simulation, as benchmarks/span_simulation.py left it."""
    name = " ".join(words)
    rows = json.loads(SIMULATED.read_text(encoding="utf-8"))["rows"]
    found = {
        key.removeprefix(f"{name}: "): values
        for key, values in rows.items()
        if key.startswith(f"{name}: ")
    }
    shown = Table(title=f"Simulated: {name}, shares in %")
    shown.add_column(name)
    columns = SIMULATED_COLUMNS.get(name, {})
    for heading in columns:
        shown.add_column(heading, justify="right")
    for key, values in found.items():
        shown.add_row(key, *(cell(values) for cell in columns.values()))
    return markdown(shown, keep_all=True)


def misses() -> str:
    """Which simulated rows miss the goals of coverage and of copies that differ."""
    rows = json.loads(SIMULATED.read_text(encoding="utf-8"))["rows"]
    low, differ = [], []
    for key, row in rows.items():
        table, _, name = key.partition(": ")
        where = f"{name} (at a fixed rate)" if table == AT_A_RATE else name
        for budget in ("b", "b/2"):
            if (covers := row.get(f"covers {budget}")) is None or "misses marked b" not in row:
                continue
            marked, missed = map(int, row[f"misses marked {budget}"].split("/"))
            if covers < 0.9 and marked < 0.9 * missed:
                low.append(f"{where}, {100 * covers:.1f} at {budget}")
            if row[f"differ {budget}"] > 0.07:
                differ.append(f"{where}, {100 * row[f'differ {budget}']:.1f} at {budget}")
    text = [
        "* Covered in less than 90 %, and fewer than 90 % of the misses marked: "
        f"{'; '.join(low)}.",
        f"* Copies differ in more than 7 %: {'; '.join(differ)}.",
    ]
    wrapped = (textwrap.fill(line, WIDTH, subsequent_indent="  ") for line in text)
    return "\n".join(["", *wrapped, ""])


AT_A_RATE = "span at a fixed rate"


def share(key: str) -> Callable[[dict[str, Any]], str]:
    """A share, in per cent."""
    return lambda row: "" if row[key] is None else f"{100 * row[key]:.1f}"


def number(key: str, digits: int = 0, before: str = "") -> Callable[[dict[str, Any]], str]:
    """A number."""
    return lambda row: "" if row[key] is None else f"{before}{row[key]:,.{digits}f}"


OF_SPANS: dict[str, Callable[[dict[str, Any]], str]] = {
    "studies": number("studies"),
    "covers": share("covers b"),
    "marked": lambda row: row["misses marked b"],
    "b/2": share("covers b/2"),
    "differ": share("differ b"),
    "error": lambda row: (
        "" if row["error 5%"] is None else f"x{row['error 5%']:.2f}-{row['error 95%']:.2f}"
    ),
}
SIMULATED_COLUMNS = {
    "retention span": OF_SPANS,
    "fewer runs": OF_SPANS | {"high/low": number("width", 2)},
    "span at a fixed rate": OF_SPANS,
    "ratio of two spans": {
        "pairs": number("pairs"),
        "covers": share("covers b"),
        "differs": share("differs b"),
        "covers at b/2": share("covers b/2"),
        "differs at b/2": share("differs b/2"),
        "high/low": number("width", 2),
    },
    "guaranteed span": {
        "grids": number("grids"),
        "too long": share("too much"),
        "median, of S50": number("median share of S50", 2, "x"),
    },
    "holding span": {
        "cells": number("cells"),
        "covers": share("covers"),
        "high/low": number("width", 1),
        "palindromes per network": number("palindromes a network"),
    },
}


def markdown(shown: Table, *, keep_all: bool = False) -> str:
    """A table as Markdown. Columns with one value in all rows are said in the line above it."""
    columns = {str(column.header): list(map(str, column.cells)) for column in shown.columns}
    alike = {h: cells[0] for h, cells in columns.items() if not keep_all and not any_other(cells)}
    above = ", ".join(f"{head} {value}" for head, value in alike.items())
    sentence = f"{shown.title}.{f' In every row: {above}.' if above else ''}"
    kept = [column for column in shown.columns if str(column.header) not in alike]
    heads = [str(column.header) for column in kept]
    # A star would begin emphasis.
    body = zip(*(columns[head] for head in heads), strict=True)
    rows = [heads, *([cell.replace("*", r"\*") for cell in row] for row in body)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(heads))]
    right = [column.justify == "right" for column in kept]
    padded = [
        [f"{c:>{w}}" if r else f"{c:<{w}}" for c, w, r in zip(row, widths, right, strict=True)]
        for row in rows
    ]
    rule = ["-" * (w - 1) + ":" if r else "-" * w for w, r in zip(widths, right, strict=True)]
    text = [f"| {' | '.join(row)} |" for row in (padded[0], rule, *padded[1:])]
    return "\n".join(["", textwrap.fill(sentence, WIDTH), "", *text, ""])


def any_other(cells: list[str]) -> bool:
    """Whether a column has more than one value; an empty cell repeats the one above."""
    return len({cell for cell in cells if cell}) > 1


MAKERS = {
    f.__name__: f
    for f in (
        tree, files, gallery, span, span_of_all, span_within, headline, best_rate, ratio, verdict,
        solved_by_length, solved_from, runs, core_minutes, table, printed, pairs, remarks,
        simulation, misses, digit_span, people, networks, lists_read, span_table, span_pairs,
        least_right, bits_a_number, bits_apart,
    )
}  # fmt: skip


# The documents


def remade(text: str) -> str:
    """A document's text with every marked part made again."""

    def made(match: re.Match[str]) -> str:
        maker, *arguments = match[1].split()
        return f"<!-- {match[1]} -->{MAKERS[maker](*arguments)}<!-- end -->"

    return MARK.sub(made, text)


def documents() -> dict[Path, str]:
    """Every document with a part that is made, as it ought to be."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    made = {page: remade(page.read_text(encoding="utf-8")) for page in pages}
    return made | {ROOT / "docs" / "cli.md": cli_page(), MAP: runs_of_map("quick")}


def differences() -> str:
    """What differs between the documents and what would be made, as a diff."""
    return "".join(
        line
        for page, text in documents().items()
        for line in difflib.unified_diff(
            page.read_text(encoding="utf-8").splitlines(keepends=True),
            text.splitlines(keepends=True),
            str(page.relative_to(ROOT)),
            "as `python docs/make.py` makes it",
        )
    )


def draw_figures() -> None:
    """Draw those figures again that lie in docs/images under the name of a store in docs/data."""
    from digitspan.figures import write_study_figures
    from digitspan.figures.span_drawing import write_span_figures

    for store in sorted((ROOT / "docs" / "data").iterdir()):
        with tempfile.TemporaryDirectory() as folder:
            if stored(store.name).config.design == "span":
                write_span_figures(spans_of(store.name), Path(folder))
            else:
                write_study_figures(study(store.name), Path(folder))
            for picture in (ROOT / "docs" / "images" / store.name).glob("*.png"):
                shutil.copy(Path(folder) / picture.name, picture)


def main(arguments: list[str]) -> int:
    """Rewrite the documents, or only say what differs."""
    if "--check" in arguments:
        difference = differences()
        print(difference, end="")
        return 1 if difference else 0
    for page, text in documents().items():
        page.write_text(text, encoding="utf-8")
    if "--figures" in arguments:
        draw_figures()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
