"""Studies in Python: classes as cells, in workers too, rows as plain values, one-line results."""

from __future__ import annotations

import dataclasses
import math
import os
import subprocess
import sys
from pathlib import Path

import nbclient
import nbformat
import pytest
from matplotlib.figure import Figure
from own_cells import Perfect
from studies import made_up_rows, made_up_span_rows

import digitspan
from digitspan.cells import notebook
from digitspan.errors import UsageError
from digitspan.study.config import StudyConfig
from digitspan.study.store import Store

ROOT = Path(__file__).parents[1]

GRID = StudyConfig(cells=("rnn", "lstm"), lengths=(5, 10, 20), seeds=3, hidden_size=(4, 8))
LISTS = StudyConfig(
    cells=("rnn", "lstm"), design="span", task="recall", seeds=2, learning_rates=(1e-3,),
    items=4, hidden_size=8, train_steps=500, optimizer="adam",
)  # fmt: skip


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """A grid and a study of digit spans, opened."""
    found = []
    for config, rows in (
        (GRID, made_up_rows(GRID, lambda run: run.length < 15)),
        (LISTS, made_up_span_rows(LISTS, lambda run: 2.5)),
    ):
        folder = tmp_path_factory.mktemp("study")
        with Store.create(folder) as store:
            store.set_value("config", config.canonical)
            for row in rows.values():
                store.add(row)
        found.append(digitspan.Study.load(folder))
    return found


def test_rows_have_one_plain_type_a_column(studies):
    for study in studies:
        rows = study.rows()
        assert len(rows) == len(study.kept.rows)
        for name in rows[0]:
            assert len({type(row[name]) for row in rows}) == 1, name
            assert type(rows[0][name]) in (int, float, str, bool), (name, rows[0][name])
        assert {row["role"] for row in rows} in ({"grid"}, {"span"})
    assert all(math.isnan(row["largest_error"]) for row in studies[0].rows())


def test_results_are_one_line(studies):
    grid, lists = studies
    row = next(iter(grid.kept.rows.values()))
    finished = digitspan.runs.record.Finished(row.record, b"\0" * 100_000)
    results = [
        grid, lists, row, row.record, finished, grid.kept, grid.summary, lists.summary,
        grid.summary.spans[0], grid.summary.spans[0].lengths, lists.summary.cells[0],
        digitspan.compare(grid), grid.span("rnn", hidden_size=4, rate="0.001"),
        lists.span("lstm"),
    ]  # fmt: skip
    for result in results:
        assert len(repr(result)) < 400, repr(result)[:400]
        assert "\n" not in repr(result)


def test_a_study_goes_on_or_is_widened_by_its_folder(studies, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(
        "digitspan.api.run_study", lambda config, *rest, **how: asked.append(config)
    )
    grid = studies[0]
    digitspan.study(out=grid.folder)
    digitspan.study(cells=["gru"], seeds=4, out=grid.folder, widen=True)
    assert asked == [GRID, dataclasses.replace(GRID, cells=("rnn", "lstm", "gru"), seeds=4)]
    theirs = StudyConfig(cells=("own_cells:Perfect",), lengths=(5,), seeds=1).with_sources()
    with Store.create(tmp_path) as store:
        store.replace_all(made_up_rows(theirs, lambda run: True), theirs.canonical)
    with pytest.raises(UsageError, match="its code is run only where the call names it"):
        digitspan.study(seeds=2, out=tmp_path, widen=True)
    digitspan.study(cells=[Perfect], seeds=2, out=tmp_path, widen=True)
    digitspan.study(seeds=2, out=tmp_path, widen=True, trust=True)
    assert asked[2:] == [dataclasses.replace(theirs, seeds=2)] * 2


def test_span_is_that_of_the_table_and_several_are_refused(studies):
    grid, lists = studies
    found = grid.span("rnn", hidden_size=8)
    assert found.s50 == next(
        row["s50"] for row in grid.spans() if (row["cell"], row["hidden_size"]) == ("rnn", 8)
    )
    assert lists.span("rnn").mean == 3  # half of its lists of three come back whole
    with pytest.raises(
        UsageError, match=r"^2 conditions are meant, expected one of: rnn, one-hot"
    ):
        grid.span("rnn")
    with pytest.raises(UsageError, match=r"^0 conditions are meant"):
        grid.span("gru")


def test_figures_are_drawn_into_ones_own_axes(studies):
    for study, name in zip(studies, ("accuracy-by-length", "recall-by-items"), strict=True):
        panels = len(study.draw(name).axes)
        figure = Figure()
        axes = list(figure.subplots(1, panels, squeeze=False).flat)
        assert study.draw(name, axes) is figure
        assert all(ax.lines for ax in axes)
        with pytest.raises(UsageError, match=r"panels?, one axes each; got"):
            study.draw(name, [*axes, axes[0]])
        with pytest.raises(UsageError, match=rf"must be one of .*{name}.*; got 'pie'"):
            study.draw("pie")


def test_a_class_of_a_module_is_named_and_its_arguments_with_it():
    assert digitspan.cell(Perfect) == "own_cells:Perfect"
    assert digitspan.cell(Perfect, layers=2, dt=0.5) == "own_cells:Perfect(dt=0.5, layers=2)"
    with pytest.raises(UsageError, match=r"^cells must be names or classes; got 3$"):
        digitspan.study(cells=3)
    with pytest.raises(UsageError, match=r"^arguments of Perfect must have literals by name"):
        digitspan.cell(Perfect, layers=object())


SCRIPT = """
import digitspan, torch
from torch import nn

SCALE = 10.0

def scaled(x, scale=SCALE):
    return x * scale

class Base(nn.Module):
    def __init__(self, input_size, hidden_size, num_classes, *, layers=1):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))

class Here(Base):
    def forward(self, inputs):
        return scaled(inputs[:, 0] * self.scale)

TENSOR = torch.zeros(3)

class Leaning(Base):
    def forward(self, inputs):
        return inputs[:, 0] * self.scale + TENSOR.sum()

print("begun")
study = digitspan.study(
    cells=[Here, digitspan.cell(Here, layers=2)], lengths=[5, 9], seeds=1, train_steps=100,
    batch_size=8, hidden_size=4, out="kept", workers=1,
)
print(study)
print(sorted((row["cell"], row["length"], row["end_state"]) for row in study.rows()))
try:
    digitspan.cell(Leaning)
except digitspan.DigitspanError as error:
    print(error)
"""


def test_classes_of_a_script_are_trained_in_workers_which_do_not_run_it_again(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    begun, study, rows, refused = done.stdout.splitlines()
    assert begun == "begun"
    assert study == "<Study 'kept': 2 conditions, 4 runs>"
    cells = ["notebook_Here:Here", "notebook_Here:Here(layers=2)"]
    assert rows == str([(cell, length, "solved") for cell in cells for length in (5, 9)])
    assert refused.startswith(
        "Leaning uses TENSOR, a Tensor of the notebook, which another process"
    )


AS_IT_IS = """
import dataclasses
from typing import NamedTuple

import torch

import helper
import digitspan
from digitspan.cells import notebook

x = torch.zeros(3)  # the name of a parameter, and of a local, of the class
FAR = float("inf")


class State(NamedTuple):
    h: torch.Tensor


@dataclasses.dataclass
class Kept:
    h: torch.Tensor


def abs(value):
    return -value


def doubled(function):
    import functools

    @functools.wraps(function)
    def call(value):
        return 2 * function(value)

    return call


@doubled
def act(value):
    return value


class Cell(torch.nn.Module):
    def answer(self):
        return "the first one"


first = Cell


class Cell(torch.nn.Module):
    def forward(self, x):
        y = x
        return State(y), Kept(y), abs(1.0), act(1.0), FAR, helper.GAIN


name = digitspan.cell(Cell)
module, text = next(iter(notebook.texts().items()))
namespace = {}
exec(text, namespace)
made = namespace["Cell"]()(1)
print(made[0].h, made[1].h, *made[2:])
print("@doubled" in text, "x = " in text)
digitspan.cell(first)
print("the first one" in notebook.texts()[module])
try:
    digitspan.study(cells=[first, Cell])
except digitspan.DigitspanError as error:
    print(error)
print(digitspan.RunConfig(cell=name, length=5).with_source().source)
"""


def test_a_class_of_a_script_goes_along_as_it_is(tmp_path):
    """With its decorators, with names that hide Python's own, and not as another of its name."""
    (tmp_path / "script.py").write_text(AS_IT_IS)
    sources = []
    for gain in (1.0, -0.1):
        (tmp_path / "helper.py").write_text(f"GAIN = {gain}\n")
        done = subprocess.run(
            [sys.executable, "-B", "script.py"], cwd=tmp_path, capture_output=True, text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT / "src")}, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        made, taken, first, refused, source = done.stdout.splitlines()
        assert made == f"1 1 -1.0 2.0 inf {gain}"
        assert (taken, first) == ("True False", "True")
        assert refused.startswith("two cells are called notebook_Cell:Cell; give one of the two")
        sources.append(source)
    assert sources[0] != sources[1], "what it imports was edited"


def test_a_span_is_asked_for_by_the_name_that_the_study_was_given(tmp_path):
    config = StudyConfig(
        cells=("k:K(length=T)", "k:K(length=T, z=2)"), lengths=(5, 10), seeds=5, hidden_size=8
    )
    rows = made_up_rows(config, lambda run: run.length < 8 or "z=2" in run.cell)
    with Store.create(tmp_path) as store:
        store.set_value("config", config.canonical)
        for row in rows.values():
            store.add(row)
    found = digitspan.Study.load(tmp_path)
    assert found.span("k:K") != found.span("k:K(z=2)")
    assert found.span("k:K(z=2)") == found.span("k:K(length=T, z=2)")


def test_an_edited_class_of_a_notebook_is_another_source():
    text = "class Edited:\n    def __init__(self, length): pass\n"
    sources = []
    for edited in (text, text + "    x = 1\n"):
        notebook.install({"notebook_Edited": edited})
        run = digitspan.RunConfig(cell="notebook_Edited:Edited", length=5).with_source()
        assert run.cell == "notebook_Edited:Edited(length=T)"
        sources.append(run.source)
    assert sources[0] != sources[1]


def test_the_notebook_runs_as_it_stands(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    kept = nbformat.read(ROOT / "examples" / "06_in_python.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in kept.cells)
    nbclient.NotebookClient(
        kept, timeout=500, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    printed = [
        output["data"]["text/plain"]
        for cell in kept.cells
        for output in cell.get("outputs", ())
        if "data" in output
    ]
    assert printed[0].startswith("<Study 'results/notebook': 2 conditions, 8 runs>")
    assert "notebook_LeakyRNN:LeakyRNN" in printed[1]
    assert printed[2].startswith("<Span ")


def test_a_task_of_ones_own_is_tried_before_a_study_of_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one_batch.py").write_text(
        "import torch\n\n\nclass Same:\n    symbols = 5\n    answers = 5\n    chance = 0.2\n"
        "    def draw(self, length, count, generator):\n"
        "        read = torch.zeros(count, length, dtype=torch.long)\n"
        "        return read, read[:, 0]\n"
    )
    grid = {"lengths": [5], "seeds": 1, "train_steps": 100, "hidden_size": 2}
    with pytest.raises(UsageError, match="draws the same batch whatever the generator is"):
        digitspan.study(cells=["rnn"], task="one_batch:Same", workers=1, **grid)
    assert not (tmp_path / "results").exists()
