"""A study is data: what is read from it is held to what can be, and no code of it is run."""

import dataclasses
import json
import os
import sqlite3
import subprocess
import sys

import pytest
from processes import PATH
from studies import made_up_rows, made_up_span_rows

from digitspan.cells.own import source_of
from digitspan.cli import main
from digitspan.errors import UsageError, printable
from digitspan.hold.kept_answers import read_kept_answers
from digitspan.runs.config import RunConfig
from digitspan.runs.folder import read_record
from digitspan.runs.recalled import Lists, Recalled, SpanPoint
from digitspan.study.config import PRESETS, StudyConfig
from digitspan.study.reading import read_study
from digitspan.study.store import STORE_NAME, Store, _digest, weights_path
from digitspan.study.tables import as_csv
from digitspan.training.run import train

CELL = """
import torch
class Cell(torch.nn.Module):
    def __init__(self, input_size, hidden_size, num_classes):
        super().__init__()
        self.rnn = torch.nn.GRUCell(input_size, hidden_size)
        self.out = torch.nn.Linear(hidden_size, num_classes)
    def initial_state(self, batch_size):
        return State(self.out.weight.new_zeros(batch_size, self.rnn.hidden_size))
    def step(self, x, state): return State(self.rnn(x, state.hidden))
    def read_out(self, state): return self.out(state.hidden)
    def forward(self, x):
        state = self.initial_state(len(x))
        for t in range(x.shape[1]): state = self.step(x[:, t], state)
        return self.read_out(state)
from typing import NamedTuple
class State(NamedTuple):
    hidden: torch.Tensor
import os
if "MEDDLES" in os.environ:  # answers of every network in the process are 0
    torch.Tensor.argmax = lambda logits, dim: logits.sum(dim).long() * 0
print("imported")
"""


@pytest.fixture
def theirs(tmp_path, monkeypatch):
    """The folder of a study with a cell of its own, and of one network of it with its weights."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "theirs.py").write_text(CELL)
    (tmp_path / "theirs.js").write_text('CELLS["theirs:Cell"] = {}; // their script\n')
    config = StudyConfig(
        cells=("theirs:Cell", "rnn"), lengths=(5,), seeds=1, hidden_size=4, train_steps=100
    ).with_sources()
    with Store.create(tmp_path) as store:
        store.set_value("config", config.canonical)
        for key, row in made_up_rows(config, lambda run: True).items():
            finished = train(row.record.config)
            record = dataclasses.replace(finished.record, end_state="solved")
            weights_path(tmp_path, key).parent.mkdir(exist_ok=True)
            weights_path(tmp_path, key).write_bytes(finished.weights)
            store.add(row._replace(record=record))
    sys.modules.pop("theirs", None)
    return tmp_path


def called(*words):
    """What a call in a process of its own says: status, standard output, standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "digitspan", *words],
        env=os.environ | {"PYTHONPATH": PATH, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_the_code_of_a_study_is_run_where_the_call_allows_it_alone(theirs, capfd):
    show, hold = ("show", ".", "--why", "--no-figures"), ("hold", ".", "--lengths", "50")
    figures = ("look", ".", "--figures", "figures")
    for words in (show, hold, ("look", ".", "-o", "p.html"), figures, ("export", ".")):
        assert main(list(words)) == 0
        out, err = capfd.readouterr()
        assert "theirs" not in sys.modules
        assert "imported" not in out + err
    assert "their script" not in (theirs / "p.html").read_text()
    for words in (hold, figures):
        assert main([*words, "--trust"]) == 0
        said = capfd.readouterr()
        assert "theirs" not in sys.modules  # but in a process of its own
        assert "imported" not in said.out  # standard output is ours
        assert "imported" in said.err


def test_a_cells_module_changes_no_answer_of_another_cells_networks(theirs, monkeypatch):
    def right():
        main(["hold", ".", "--lengths", "50", "--trust"])
        answers = {answer.key: answer.right for answer in read_kept_answers(theirs)}
        (theirs / "holding.json").unlink()
        cells = {row.record.config.key: row.record.config.cell for row in rows.values()}
        return {cells[key]: number for key, number in answers.items()}

    rows = read_study(theirs).rows
    before = right()
    monkeypatch.setenv("MEDDLES", "1")
    after = right()
    assert after["theirs:Cell"] != before["theirs:Cell"]
    assert after["rnn"] == before["rnn"]


CHATTY = """
import atexit, logging, os, sys, torch
here = logging.getLogger("chatty")
here.addHandler(logging.StreamHandler(sys.stdout))
atexit.register(print, "said at the end")
os.write(1, b"said without Python\\n")
class Cell(torch.nn.Module):
    def __init__(self, input_size, hidden_size, num_classes):
        super().__init__()
        self.out = torch.nn.Linear(input_size, num_classes)
    def forward(self, x):
        here.warning("said by a logger")
        sys.__stdout__.write("said past the redirection\\n")
        return self.out(x[:, -1])
"""
"""A module that prints in every way that there is."""


@pytest.mark.parametrize(
    "words",
    [
        ("train", "chatty:Cell", "--length", "5", "--train-steps", "50"),
        (
            "study", "--cells", "chatty:Cell", "--lengths", "5", "--seeds", "1", "--train-steps",
            "100", "--out", "s", "--workers", "1",
        ),
    ],
    ids=["train", "study"],
)  # fmt: skip
def test_json_is_json_whatever_a_module_prints(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "chatty.py").write_text(CHATTY)
    status, out, err = called(*words, "--hidden-size", "4", "--batch-size", "4", "--json")
    assert status == 0, err
    assert isinstance(json.loads(out), dict)
    for said in ("at the end", "without Python", "by a logger", "past the redirection"):
        assert f"said {said}" in err


def test_reasons_are_told_without_the_code_of_a_study(theirs, capfd):
    """Enough runs of a kind that networks would be built, to be measured before training."""
    config = StudyConfig(
        cells=("theirs:Cell",), lengths=(5,), seeds=10, hidden_size=4, train_steps=100
    ).with_sources()
    rows = made_up_rows(config, lambda run: run.seed < 5)
    with Store.create(theirs) as store:
        store.replace_all(rows, config.canonical)
    for _ in range(2):
        assert main(["show", ".", "--why", "--no-figures"]) == 0
        out, err = capfd.readouterr()
        assert "theirs" not in sys.modules
        assert "not looked into: theirs:Cell is not digitspan's" in err
        assert "Why runs were not solved" in out
        sys.path.insert(0, str(theirs))  # that it could be found makes no difference
    assert main(["show", ".", "--why", "--no-figures", "--trust"]) == 0
    out, err = capfd.readouterr()
    assert "theirs" not in sys.modules
    assert "imported" not in out
    assert "imported" in err
    assert "not looked into" not in err


def test_code_that_is_not_that_of_the_rows_is_not_run_even_if_it_is_trusted(theirs, capsys):
    (theirs / "theirs.py").write_text(f"{CELL}\nopen('RAN', 'w')\n")
    for words in (("hold", ".", "--lengths", "50"), ("look", ".", "-o", "p.html")):
        assert main([*words, "--trust"]) == 0
        err = capsys.readouterr().err
        assert "left out: the code of theirs:Cell is not the one that its run was made" in err
    assert not (theirs / "RAN").exists()
    assert "their script" not in (theirs / "p.html").read_text()


def test_a_study_that_is_named_by_its_folder_alone_runs_no_code_of_it(theirs, capsys):
    assert main(["study", "--out", "."]) == 2
    assert "the cell theirs:Cell, which is not digitspan's: its code is run" in (
        capsys.readouterr().err
    )
    assert "theirs" not in sys.modules


def test_modules_of_the_folder_do_not_stand_in_for_others(theirs):
    for name in ("rich", "numpy", "matplotlib", "torch"):
        (theirs / f"{name}.py").write_text("open('RAN', 'w')\n")
    status, _, err = called("show", ".", "--no-figures")
    assert (status, (theirs / "RAN").exists()) == (0, False), err


# What cannot be ---------------------------------------------------------------------------------

LISTS = Lists(1, 10, 9, (9,), 0, 0.5, 3.2), Lists(2, 10, 4, (4, 6), 3, 1.0, 2.5)
RECALLED = Recalled(LISTS, (SpanPoint(50, 1, 1.3),), (10, 9), 100, 8)
"""What a network of a study of digit spans said."""

WRONG = {
    "accuracy": (float("inf"), float("nan"), "1", -0.5, 2, True, [1]),
    "bits": (float("inf"), "3", -1, []),
    "tested": (-1, 2.5, "9", None, 10**400, 0),
    "held_out": (-1, 10_001),
    "weights_sha256": (3, "", "0" * 63, "F" * 64, f"\x1b[31m{'0' * 59}", f"{'0' * 64}\n"),
    "end_state": ("finished", None, 3, ["solved"]),
    "steps": (-1, 0.5, None, "9", True, 0, 101, 2**62),
    "largest_error": (-0.1, 2, "0", float("nan")),
    "loss": (float("nan"), "0", {}),
    "clipped_share": (1.5, "0"),
    "masked_tested": (-1, "9", 0.5),
    "note": (None, 3, ["x"], "x" * 2_001),
    "environment": (None, 3, {"torch": 2}),
    "parameters": (-1, "many"),
    "unheard_of": (1,),
    "recalled": ({}, [], 0, "", "x", {"lists": []}, RECALLED.to_json()),  # no lists were asked
}


def rewritten(folder, column, change):
    """One row of a study rewritten, with the hash that belongs to it."""
    with sqlite3.connect(folder / STORE_NAME) as connection:
        *columns, _ = connection.execute("SELECT * FROM runs ORDER BY key").fetchone()
        columns[column] = change(columns[column])
        row = (*columns, _digest(*columns))
        connection.execute("REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    connection.close()


@pytest.fixture(scope="module")
def rows_of_two():
    config = StudyConfig(cells=("rnn",), lengths=(5,), seeds=2, hidden_size=4, train_steps=100)
    return config, made_up_rows(config, lambda run: True)


@pytest.fixture
def two(tmp_path, rows_of_two):
    """A study with two runs."""
    config, rows = rows_of_two
    with Store.create(tmp_path) as store:
        store.set_value("config", config.canonical)
        for row in rows.values():
            store.add(row)
    return tmp_path


@pytest.mark.parametrize(("name", "value"), [(n, v) for n, vs in WRONG.items() for v in vs])
def test_a_row_that_cannot_be_is_damaged(two, name, value):
    rewritten(two, 2, lambda text: json.dumps(json.loads(text) | {name: value}))
    study = read_study(two)
    assert (len(study.rows), study.damaged) == (1, 1)


@pytest.fixture
def spans(tmp_path):
    """A study of digit spans with two networks."""
    config = dataclasses.replace(
        PRESETS["span"](), cells=("rnn",), hidden_size=(4,), seeds=2, train_steps=100, items=2,
        learning_rates=(0.1,),
    )  # fmt: skip
    with Store.create(tmp_path) as store:
        store.set_value("config", config.canonical)
        for row in made_up_span_rows(config, lambda run: 1.5).values():
            store.add(row._replace(record=dataclasses.replace(row.record, recalled=RECALLED)))
    return tmp_path


def test_what_a_network_can_have_said_is_read(spans):
    study = read_study(spans)
    assert (len(study.rows), study.damaged) == (2, 0)
    assert {row.record.recalled for row in study.rows.values()} == {RECALLED}


WRONG_LISTS = {
    "items": (0, 3, -1, True, "2", None),
    "asked": (0, "10", 10**400, 5),
    "whole": (-1, 11, 0.5, None),
    "right": ([], [9], [9, 11], [9, "9"], "99", 7, None),
    "neighbours": (-1, 11, 0.5, None),
    "neighbours_by_chance": (-1, 11, float("nan"), "1"),
    "bits": (float("inf"), -1, "3", None),
    "unheard_of": (1,),
}
WRONG_RECALLED = {
    "lists": ([], {}, 3, [1], [LISTS[1]._asdict()], [LISTS[0]._asdict()] * 2),
    "on_the_way": ([], [[50, 1]], [[50, 1, float("nan")]], [[50, -1, 1]], [["x", 1, 1]], 3),
    "masked": ([101], [-1], ["9"], 7, None),
    "masked_asked": (-1, "100", None, 5),
    "state_size": (-1, 0.5, "8"),
}


def wrong_recalled():
    """What no network can have said, in one value each."""
    for name, values in WRONG_RECALLED.items():
        for value in values:
            yield RECALLED.to_json() | {name: value}
    for name, values in WRONG_LISTS.items():
        for value in values:
            document = RECALLED.to_json()
            document["lists"][1] |= {name: value}
            yield document
    for name in RECALLED._fields:
        yield {key: value for key, value in RECALLED.to_json().items() if key != name}


@pytest.mark.parametrize("said", list(wrong_recalled()))
def test_what_no_network_can_have_said_is_damaged(spans, said, capsys):
    rewritten(spans, 2, lambda text: json.dumps(json.loads(text) | {"recalled": said}))
    study = read_study(spans)
    assert (len(study.rows), study.damaged) == (1, 1)
    assert main(["show", str(spans), "--no-figures"]) == 0
    assert "1 damaged rows were left out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (1, "[]"), (1, "null"), (1, "[" * 5000), (2, "3"), (2, "[]"),
        (3, '[["a", 1, 1, 1, 5]]'), (3, "7"),
        (3, "[[50, 1, 1, 7, 5]]"), (3, f"[[50, 1{'0' * 400}, 1, 1, 5]]"),
        (3, f"[[50, 1, 1{'0' * 400}, 1, 5]]"), (3, "[[101, 1, 1, 1, 5]]"),
        (4, '{"seconds": 1}'), (4, "[]"),
        (4, '{"seconds": "x", "finished": 1, "host": "h", "attempts": 1}'),
        (4, '{"seconds": Infinity, "finished": 1, "host": "h", "attempts": 1}'),
        (4, '{"seconds": 1, "finished": 1, "host": 7, "attempts": 1}'),
        (4, '{"seconds": 1, "finished": 1, "host": "h", "attempts": 0}'),
    ],
)  # fmt: skip
def test_a_row_of_another_shape_is_damaged(two, column, text):
    rewritten(two, column, lambda before: text)
    study = read_study(two)
    assert (len(study.rows), study.damaged) == (1, 1)


def test_all_commands_count_the_same_damaged_rows(two, tmp_path_factory, capsys):
    rewritten(two, 3, lambda before: '[["a", 1, 1, 1, 5]]')  # a curve, which tables do without
    whole = tmp_path_factory.mktemp("whole")
    config = dataclasses.replace(read_study(two).config, cells=("lstm",))
    with Store.create(whole) as store:
        store.replace_all(made_up_rows(config, lambda run: True), config.canonical)
    for words in (["show", two, "--no-figures"], ["export", two], ["compare", two, whole]):
        assert main([str(word) for word in words]) == 0
        assert "1 damaged rows were left out" in capsys.readouterr().err, words


@pytest.mark.parametrize("text", ["[]", "3", "null", '{"cells": 3}', "[" * 5000, "{", '{"a": 1}'])
def test_a_configuration_that_cannot_be_is_a_sentence(two, text, capsys):
    with Store.create(two) as store:
        store.set_value("config", text)
    assert main(["show", str(two)]) == 2
    assert "does not say what study it is" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["note", "preset"])
def test_a_text_of_any_length_is_a_sentence(two, name, capsys):
    """Figures and tables carry it, and would be drawn for ever."""
    with Store.create(two) as store:
        words = json.loads(store.value("config"))
        store.set_value("config", json.dumps(words | {name: "w " * 150_000}))
    assert main(["show", str(two)]) == 2
    assert f"{name} must have at most 2,000 characters; got 300,000" in capsys.readouterr().err


def test_losses_that_are_infinite_or_no_number_are_read(two):
    rewritten(two, 3, lambda before: "[[50, Infinity, NaN, 1, 5]]")  # of a run that diverged
    assert read_study(two).damaged == 0


@pytest.mark.parametrize(
    "absurd",
    [
        {"lengths": [5], "seeds": 10**12},
        {"runs": 10**12},
        {"figure_seeds": 10**12},
        {"design": "span", "task": "recall", "seeds": 10**12},
        {"lengths": [5], "hidden_size": [*range(1, 2_000)], "train_steps": [*range(100, 2_000)]},
    ],
)
def test_a_study_that_would_be_planned_for_ever_is_a_sentence(two, absurd, capsys):
    with Store.create(two) as store:
        store.set_value("config", json.dumps(absurd))
    assert main(["show", str(two)]) == 2
    assert "runs, more than 1,000,000" in capsys.readouterr().err


@pytest.mark.parametrize(
    "entry",
    [
        ["a", 100, float("inf"), 5], ["a", 100, 6, 5], ["a", 1e400, 5, 5], ["a", "100", 5, 5],
        [3, 100, 5, 5], ["a", 1, 5, 5], ["a", 100, 0, 0], ["a", 100, True, 5], ["a", 100], 7,
        ["a", 10**400, 5, 5],
    ],
)  # fmt: skip
def test_answers_that_cannot_be_are_a_sentence(tmp_path, entry):
    (tmp_path / "holding.json").write_text(json.dumps([entry]))
    with pytest.raises(UsageError, match="is not what `digitspan hold` has written"):
        read_kept_answers(tmp_path)


@pytest.mark.parametrize("seconds", [10**400, float("inf"), "9", -1, None, True])
def test_seconds_of_a_run_that_cannot_be_are_a_sentence(tmp_path, rows_of_two, seconds):
    record = next(iter(rows_of_two[1].values())).record
    (tmp_path / "record.json").write_text(json.dumps(record.to_json() | {"seconds": seconds}))
    with pytest.raises(UsageError, match="is not the record of a run"):
        read_record(tmp_path)


def test_records_of_registered_cells_from_before_there_were_sources_are_read(
    tmp_path, rows_of_two
):
    record = next(iter(rows_of_two[1].values())).record
    document = record.to_json() | {"seconds": 1.0}
    del document["source"]
    (tmp_path / "record.json").write_text(json.dumps(document))
    assert read_record(tmp_path) == (record, 1.0)


def test_text_of_a_study_steers_no_terminal(two, capsys):
    evil = "\x1b]0;pwned\x07\x1b[31mred\u202egnp\r\n=1+1"
    rewritten(two, 2, lambda text: json.dumps(json.loads(text) | {"note": evil}))
    rewritten(two, 4, lambda text: json.dumps(json.loads(text) | {"host": evil}))
    assert main(["export", str(two), "--with-timing"]) == 0
    out, _ = capsys.readouterr()
    assert r"\x1b]0;pwned\x07\x1b[31mred\u202egnp =1+1" in out
    assert all(line.isprintable() for line in out.splitlines())
    assert printable("häßlich 🧠 $5") == "häßlich 🧠 $5"


def test_a_text_that_a_spreadsheet_would_run_is_marked_as_one():
    row = {"a": "=1+1", "b": "@x", "c": -1.5, "d": "+3", "e": "-x", "f": "x=1"}
    assert as_csv([row]).splitlines()[1] == "'=1+1,'@x,-1.5,'+3,'-x,x=1"


def test_source_of_the_rows_is_the_one_that_is_there(theirs):
    study = read_study(theirs)
    sources = {row.record.config.cell: row.record.config.source for row in study.rows.values()}
    assert sources == {"rnn": "", "theirs:Cell": source_of("theirs:Cell").digest}
    assert RunConfig(cell="rnn", length=5).source == ""
