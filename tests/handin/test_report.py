"""The ZIP: what is in it, that it says what the rows say, and that it runs somewhere else."""

from __future__ import annotations

import ast
import csv
import inspect
import io
import json
import math
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest

import digitspan
from digitspan.handin.answers import model_answers
from digitspan.handin.assemble import build
from digitspan.handin.proofread import missing_from_pdf, pages_of
from digitspan.handin.sheet_rules import broken_rules
from digitspan.look import bptt
from digitspan.sheet.exercise import default_sheet
from digitspan.sheet.words import letters, told_sentences
from digitspan.study.comparison import comparison_document, conditions_of
from digitspan.study.reading import read_study

SHEET = default_sheet()
PART1 = Path(digitspan.__file__).parent / "part1"


@pytest.fixture(scope="module")
def files(built):
    with zipfile.ZipFile(io.BytesIO(built)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def notebook(files, author):
    return nbformat.reads(files[f"{author.stem}.ipynb"].decode(), 4)


@pytest.fixture(scope="module")
def pages(files, author):
    return pages_of(files[f"{author.stem}.pdf"])


@pytest.fixture(scope="module")
def text(pages):
    return re.sub(r"\s+", " ", " ".join(pages))


def code_of(notebook):
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")


def test_everything_is_there_and_nothing_else(files, author):
    part1 = {f"part1/{path.name}" for path in PART1.glob("*.py") if path.name != "gru.py"}
    own = {f"{author.stem}.pdf", f"{author.stem}.ipynb", "README.md", "rows.csv", "traces.npz"}
    assert set(files) == own | part1


def test_part1_is_exactly_as_in_the_package(files):
    for path in PART1.glob("*.py"):
        assert files.get(f"part1/{path.name}") == (
            None if path.name == "gru.py" else path.read_bytes()
        )


def test_every_question_is_answered_in_order_with_its_points(text):
    places = [text.index(question.heading) for question in SHEET.questions]
    assert places == sorted(places)


def test_name_and_number_stand_on_every_page(pages, author):
    assert all(author.surname in page and author.matriculation in page for page in pages)


def test_equations_are_numbered_as_on_the_sheet(text):
    for number in range(1, 12):
        assert f"({number})" in text


def test_figures_are_numbered_and_spoken_of(text):
    for number in range(1, 7):
        assert f"Figure {number}. " in text
        assert len(re.findall(rf"Figure {number}\b", text)) > 1


def test_the_pdf_says_all_that_the_notebook_says(notebook, pages, author):
    assert missing_from_pdf(notebook, pages, author, SHEET.title) == []


@pytest.mark.parametrize(
    ("added", "missing"),
    [
        ("## A heading <b>more</b>", "A heading <b>more</b>"),
        ("A number: 123456.5", "123456.5"),
        ("Some wordthatvanished", "wordthatvanished"),
        ("Table: A caption that is gone", "A caption that is gone"),
        ("```python\nlost = 1\n```", "lost = 1"),
    ],
)
def test_what_vanishes_on_the_way_is_found(notebook, pages, author, added, missing):
    longer = nbformat.from_dict(json.loads(json.dumps(notebook)))
    longer.cells[0].source += f"\n\n{added}"
    assert missing in missing_from_pdf(longer, pages, author, SHEET.title)


def test_the_numbers_are_those_of_the_rows(files, material, text):
    rows = list(csv.DictReader(io.StringIO(files["rows.csv"].decode())))
    for duel in material.duels:
        rule = "best rates" if duel.rule == "tuned" else f"rate {duel.rule}"
        for side in duel.sides:
            cell = side.condition.cell
            here = [row for row in rows if (row["rule"], row["cell"]) == (rule, cell)]
            behind = [row for row in here if row["shown_as"] == "span"]
            assert len(behind) == side.span.runs
            assert sum(row["end_state"] == "solved" for row in behind) == side.span.solved
            for found in side.lengths:
                shown = [
                    row
                    for row in here
                    if row["shown_as"] == "by length" and int(row["length"]) == found.length
                ]
                assert len(shown) == len(found.records)
                assert sum(row["end_state"] == "solved" for row in shown) == found.solved
            assert f"{side.span.s50:.1f}" in text


def test_what_is_said_of_two_spans_is_what_compare_says(study, material, text):
    conditions, budget = conditions_of([read_study(study)])
    pairs = comparison_document(conditions, budget)["pairs"]
    for duel in material.duels:
        rate = "tuned" if duel.is_tuned else f"rate {duel.rule}"
        [pair] = [
            p for p in pairs if (p["first"], p["second"]) == (f"RNN, {rate}", f"LSTM, {rate}")
        ]
        low = "open" if pair["high"] is None else f"{1 / pair['high']:.2f}"
        high = "open" if pair["low"] is None else f"{1 / pair['low']:.2f}"
        assert f"{1 / pair['ratio']:.2f} times as long (99.17 % interval {low} to {high};" in text
        assert f"p = {pair['adjusted_p']:.3f}" in text or pair["adjusted_p"] < 0.001


def test_the_report_has_at_most_16_pages(pages):
    assert len(pages) <= 16


def page_of(pages, words):
    """The one page, from 0 on, that says something, spaces aside."""
    [page] = [n for n, text in enumerate(pages) if "".join(words.split()) in "".join(text.split())]
    return page


@pytest.mark.parametrize(("first", "last"), [(1, 3), (4, 11)])
def test_the_sheets_equations_stand_on_one_page(pages, first, last):
    numbers = [f"({number})" for number in range(first, last + 1)]
    assert any(all(re.search(rf"{re.escape(n)}\n", page) for n in numbers) for page in pages)


def test_a_figure_stands_near_its_text_and_under_its_heading(pages):
    places = {
        1: ("Question 1.1 (2P)", "Question 1.2 (2P)"),
        2: ("Question 1.3 (2P)", "Question 1.4 (2P)"),
        3: ("Question 1.4 (2P)", "Question 1.5 (3P)"),
        4: ("(a) The four gates", "(b) The number"),
        5: ("Results Figure 5 and", "Comparison The sheet"),
        6: ("Results Figure 5 and", "Comparison The sheet"),
    }  # fmt: skip
    whole = re.sub(r"\s+", " ", " ".join(pages))
    for number, (before, after) in places.items():
        assert whole.index(before) < whole.index(f"Figure {number}. ") < whole.index(after), number
        told = [n for n, page in enumerate(pages) if re.search(rf"Figure\s{number}\b(?!\.)", page)]
        assert min(abs(n - page_of(pages, f"Figure {number}. ")) for n in told) <= 1, number


def test_code_in_full_stands_in_the_appendix_and_not_on_the_first_page(pages):
    appendix = page_of(pages, "Appendix: the code")
    for words in ("import matplotlib.pyplot as plt", "def draw_by_length", "def rnn_backward(",
                  "class LSTM(nn.Module)", "def read_options("):  # fmt: skip
        assert page_of(pages, words) >= appendix
    for words in ("f = torch.sigmoid(", "optimizer.step()", "h = torch.tanh(x @",
                  "for t in range(x.shape[1]):", "self.W_hx = nn.Parameter("):  # fmt: skip
        told = [n for n, page in enumerate(pages) if words in page]
        assert told[0] < appendix <= told[-1]
    assert "import" not in pages[0]


def test_no_sentence_stands_twice(notebook):
    prose = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    prose = re.sub(r"^```.*?^```$", "", prose, flags=re.M | re.S)
    # The results of the two networks, which are made up alike.
    prose = re.sub(r"^(\* |\*\*Sanity check).*$", "", prose, flags=re.M)
    sentences = re.split(r"(?<=[.:])\s+", re.sub(r"^\|.*$", "", prose, flags=re.M))
    long = [" ".join(sentence.split()) for sentence in sentences if len(sentence) > 50]
    assert [sentence for sentence in long if long.count(sentence) > 1] == []


def test_an_option_is_not_broken_at_its_hyphens(pages):
    assert any("--model_type LSTM" in line for page in pages for line in page.split("\n"))
    assert not any(re.search(r"-$", line) and "--" in line for page in pages
                   for line in page.split("\n"))  # fmt: skip


def test_the_models_words_are_known_again_in_its_pdf(text):
    told = letters(text)
    for name, sentences in told_sentences(SHEET).items():
        missing = [sentence for sentence in sentences if sentence not in told]
        assert len(missing) < len(sentences) / 4, (name, missing)


def test_no_legend_is_drawn_over_the_data(notebook):
    """A legend inside the axes was struck through by the line of chance."""
    for cell in notebook.cells:
        for call in re.findall(r"\.legend\(.*?\)\n", cell.source, re.S):
            assert "outside upper center" in call or "bbox_to_anchor" in call


def test_gates_differ_in_grey(notebook):
    [cell] = [cell for cell in notebook.cells if "imshow" in cell.source]
    assert re.findall(r'cmap="(\w+)"', cell.source) == ["Greys"]
    lightness = plt.get_cmap("Greys")(np.linspace(0, 1, 9))[:, :3] @ [0.2126, 0.7152, 0.0722]
    assert np.all(np.diff(lightness) < 0)


def test_the_networks_looked_into_are_solved_runs_near_20(material, text):
    lengths = {cell: kept.config.length for cell, kept in material.networks.items()}
    near = {
        cell: min(
            (found.length for found in material.duels[0].of(cell).lengths if found.solved),
            key=lambda length: (round(abs(math.log(length / 20)), 9), -length),
        )
        for cell in ("rnn", "lstm")
    }
    assert lengths == near
    for kept in material.networks.values():
        assert kept.record.solved
        assert kept.config.run_id in text


def test_the_derivation_was_checked_on_a_real_network(notebook):
    printed = "".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", ())
    )
    distances = re.findall(r"dL/d(?:W_ph|W_hh|W_hx|b_h|b_p) +(\S+) +(\S+)", printed)
    assert len(distances) == 5  # untrained and trained
    assert max(float(one) for pair in distances for one in pair) < 1e-9
    assert "LSTM against torch.nn.LSTM" in printed


def test_the_derivation_is_that_of_the_package(notebook):
    assert inspect.getsource(bptt.rnn_backward) in f"{code_of(notebook)}\n"


def test_the_figures_gradients_are_those_of_the_probe(files, material):
    traces = np.load(io.BytesIO(files["traces.npz"]))
    for cell, place in (("rnn", "untrained/hidden"), ("lstm", "trained/cell")):
        for number, kept in enumerate(material.alike(cell)):
            assert kept.record.solved
            norms = traces[f"norms/{cell}/{place}/{number}"]
            assert norms.shape == (64, kept.config.length - 1)
    group = traces["gates/group"]
    assert group.shape == (16,)
    assert set(group) <= {0, 1, 2}


def test_the_notebook_imports_only_what_the_sheet_has(notebook):
    names = set()
    for node in ast.walk(ast.parse(code_of(notebook), feature_version=(3, 8))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module.split(".")[0])
    assert names == {"csv", "math", "typing", "matplotlib", "numpy", "torch", "part1"}


def test_nothing_in_it_tells_when_or_where_it_was_made(files, author):
    text = files[f"{author.stem}.ipynb"].decode() + files["rows.csv"].decode()
    for word in (str(Path.home()), "/tmp/", "iopub", "execute_input", "timestamp", "hostname"):
        assert word not in text, word


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"part1/lstm.py": None}, r"part1/lstm\.py is missing"),
        ({"part1/lstm.py": b"match x:\n    case 1: pass\n"}, r"line 2 is not Python 3\.8"),
        ({"part1/lstm.py": b"f = open('/home/someone/data')\n"}, "absolute path /home/someone"),
        ({"rows.csv": b"C:\\Users\\someone"}, "absolute path"),
    ],
)
def test_a_broken_rule_is_named(files, pages, author, change, problem):
    changed = {k: v for k, v in (files | change).items() if v is not None}
    assert re.search(problem, " ".join(broken_rules(changed, pages, author, SHEET)))


def test_the_rules_hold_for_what_is_built(files, pages, author):
    assert list(broken_rules(files, pages, author, SHEET)) == []
    assert list(broken_rules(files, pages[2:], author, SHEET))  # the first page is gone


def test_a_figure_that_was_not_drawn_is_named(files, pages, author):
    name = f"{author.stem}.ipynb"
    notebook = json.loads(files[name])
    for cell in notebook["cells"]:
        if "fig-cap" in "".join(cell["source"]):
            cell["outputs"] = []
    changed = files | {name: json.dumps(notebook).encode()}
    problems = list(broken_rules(changed, pages, author, SHEET))
    assert "6 figures are missing" in problems
    assert any("was not drawn" in problem for problem in problems)


def elsewhere():
    """An environment in which neither digitspan's sources nor a display are found."""
    names = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return names | {"MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}


def test_the_notebook_runs_again_from_the_zip_without_digitspan(unpacked, notebook):
    script = "import sys\nsys.modules['digitspan'] = None\n\n" + code_of(notebook)
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=unpacked, env=elsewhere(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "VanillaRNN against torch.nn.RNN" in done.stdout


@pytest.mark.slow
def test_the_zip_trains_an_lstm_to_near_perfect(unpacked):
    done = subprocess.run(
        [sys.executable, "-m", "part1.train", "--model_type", "LSTM", "--input_length", "4"],
        cwd=unpacked, env=elsewhere(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert float(re.search(r"accuracy (\d\.\d+) on", done.stdout).group(1)) >= 0.99


def old_python():
    """A Python 3.8, where there is one."""
    kept = sorted(Path.home().glob(".pyenv/versions/3.8*/bin/python3.8"))
    return str(kept[-1]) if kept else shutil.which("python3.8")


@pytest.mark.skipif(old_python() is None, reason="there is no Python 3.8")
def test_code_and_notebook_compile_under_python_3_8(unpacked, notebook, tmp_path):
    (tmp_path / "notebook.py").write_text(code_of(notebook), encoding="utf-8")
    subprocess.run(
        [old_python(), "-m", "compileall", "-q", str(unpacked / "part1"), str(tmp_path)],
        check=True, capture_output=True,
    )  # fmt: skip


@pytest.mark.slow
def test_the_same_input_gives_the_same_bytes(material, author, built):
    assert build(material, author, model_answers(SHEET)) == built


@pytest.mark.slow
def test_own_words_stand_in_the_report(material, author):
    own = {
        question: answer._replace(text=f"Own words on {question}, S50 <<rnn_trained_length>>.")
        for question, answer in model_answers(SHEET).items()
    }
    with zipfile.ZipFile(io.BytesIO(build(material, author, own))) as archive:
        pages = pages_of(archive.read(f"{author.stem}.pdf"))
    text = re.sub(r"\s+", " ", " ".join(pages))
    length = material.networks["rnn"].config.length
    for question in SHEET.parts:
        assert f"Own words on {question}, S50 {length}." in text
    assert "Figure 6." in text
