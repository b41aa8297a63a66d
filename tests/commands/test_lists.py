"""The command line where whole lists are asked: what it says, and what it refuses."""

import csv
import dataclasses
import io
import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from studies import made_up_rows, made_up_span_rows

from digitspan.cli import main
from digitspan.commands import study
from digitspan.study.config import PRESETS, StudyConfig
from digitspan.study.reading import read_study

TINY = ("--hidden-size", "6", "--batch-size", "8", "--train-steps", "50", "--optimizer", "adam")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_train_says_how_many_lists_come_back_whole_and_each_place(here, capsys):
    assert main(["train", "rnn", "--task", "recall", "--items", "4", *TINY]) == 0
    said = capsys.readouterr()
    assert "rnn recall backward L=4 seed=0: not solved when its budget of 50 steps" in said.out
    assert "of 2,000 held-out lists recalled whole; by place, in %: " in said.out
    assert len(said.out.strip().rpartition(": ")[2].split()) == 4
    name = "rnn-recall-n6-L04-lr0.001-seed0-adam-batch8-steps50"
    assert (here / "runs" / name / "record.json").exists()


def test_train_with_lists_that_grow_says_the_spans(here, capsys):
    words = ["train", "lstm", "--task", "recall", "--items", "4", "--order", "forward"]
    assert main([*words, "--curriculum", "--encoding", "scalar", *TINY]) == 0
    said = capsys.readouterr()
    assert "lstm recall forward L=4 seed=0: trained for 50 steps, its lists grown to 2" in said.out
    assert "digit span 0, mean span 0." in said.out
    assert "a silent step as -1" in said.err


def test_train_as_json_has_places_and_bits(here, capsys):
    assert main(["train", "rnn", "--task", "next-digit", "--items", "1", "--json", *TINY]) == 0
    document = json.loads(capsys.readouterr().out)
    (lists,) = document["recalled"]["lists"]
    assert (document["task"], lists["items"], lists["asked"]) == ("next-digit", 1, 10)
    assert document["chance"] == 0.1
    assert document["accuracy"] == lists["whole"] / 10


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("train rnn --task recall", "--items is missing: the list's length L, from 1 on"),
        ("train rnn --task recall --items 0", "--items must be a whole number from 1 to"),
        ("train rnn --task recall --items 3 --length 6", "--length must be left out of the task"),
        ("train rnn --items 3", "--items must be left out of the task palindrome"),
        ("train rnn --length 6 --order forward", "--order must be left out of the task"),
        ("train rnn --task recall --items 90 --curriculum --train-steps 500",
         "lists of 90 items cannot be expected within 500 training steps"),
        ("train rnn --task recall --items 500000 --train-steps 1000000", "GiB of memory"),
        ("train rnn --task next-digit --items 3 --curriculum", "--curriculum must be left out"),
        ("study span --items 0", "--items must be a whole number from 1 on; got 0"),
        ("study span --items 90 --train-steps 500", "lists of 90 items cannot be expected within"),
        ("study span --task palindrome", "--task must be recall with the span design"),
        ("study quick --task recall", "--task must be palindrome or first-symbol"),
        ("study span --train-steps 100 200", "--train-steps must be one for digit spans"),
        ("study quick --first-seed 3", "--first-seed must be left out of the joint design"),
        ("study quick --order forward", "--order must be left out where no lists are asked"),
        ("study span --lengths 5 9", "--lengths must be left out of a study of digit spans, whose "
         "lists grow from 2 on; got 5 9"),
        ("study span --curriculum", "--curriculum must be left out of a study of digit spans, "
         "whose lists grow from 2 on; got true"),
        ("study span --learning-rates 1e39", "--learning-rates must be at most 3.4e+38"),
        ("study --fixed-rate 1e300", "--fixed-rate must be at most 3.4e+38; got 1e+300"),
        ("study --compared-rates 1e39", "--compared-rates must be at most 3.4e+38; got"),
        ("train rnn --length 5 --learning-rate 1e39", "--learning-rate must be at most"),
        ("train rnn --task recal --items 3", "got 'recal' (did you mean recall?)"),
        ("train rnn --task recal --length 6", "got 'recal' (did you mean recall?)"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence_and_nothing_is_written(words, sentence, here, capsys):
    assert main(words.split()) == 2
    said = capsys.readouterr()
    assert sentence in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert said.out == ""
    assert list(here.iterdir()) == []


def test_digits_as_numbers_say_how_a_silent_step_goes_in(here, capsys):
    words = ["train", "rnn", "--task", "recall", "--items", "2", "--encoding", "scalar", *TINY]
    assert main(words) == 0
    assert "digits go in as numbers, and a silent step as -1" in capsys.readouterr().err
    assert main([*words[: -len(TINY) - 2], *TINY]) == 0
    assert "silent step" not in capsys.readouterr().err


def test_store_from_before_there_were_tasks_is_of_palindromes(here, capsys):
    kept = Path(__file__).parents[2] / "docs" / "data" / "quick" / "study.db"
    shutil.copy(kept, here / "study.db")
    with sqlite3.connect(kept.as_uri() + "?mode=ro", uri=True) as store:
        texts = [text for (text,) in store.execute("SELECT config FROM runs")]
    assert texts
    assert not any('"task"' in text or '"order"' in text for text in texts)
    study = read_study(here)
    assert study.damaged == 0
    assert (study.config.task, study.config.order) == ("palindrome", "backward")
    assert {(row.record.config.task, row.record.config.items) for row in study.rows.values()} == {
        ("palindrome", None)
    }
    assert main(["export", str(here)]) == 0
    first = next(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert (first["task"], first["task_facts"]) == ("palindrome", "")


ASKED = ("--lengths", "5", "8", "--seeds", "2", "--hidden-size", "8", "--digit-span")


def test_one_call_measures_both_spans_of_some_cells(here, capsys, monkeypatch):
    """Both studies are those that two calls would make, each in a folder of its own."""
    ran = {}

    def run_study(config, folder, **how):
        ran[str(folder)] = config
        if config.design == "span":
            return made_up_span_rows(config, lambda run: 7.0 if run.cell == "lstm" else 4.0)
        return made_up_rows(config, lambda run: run.length < 20)

    monkeypatch.setattr(study, "run_study", run_study)
    words = ["study", "--cells", "rnn", "lstm", *ASKED, "--out", "mine"]
    assert main(words) == 0
    said = capsys.readouterr()
    assert said.out.index("S50: the T up to which half the runs") < said.out.index("Digit span")
    assert [config.design for config in ran.values()] == ["grid", "span"]
    assert ran["mine/digit-span"] == dataclasses.replace(
        PRESETS["span"](), cells=("rnn", "lstm"), hidden_size=(8,)
    )
    assert (here / "mine" / "accuracy-by-length.svg").exists()
    assert (here / "mine" / "digit-span" / "recall-by-items.svg").exists()

    monkeypatch.setattr(study, "write_figures", lambda *_: None)
    assert main([*words, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert {span["cell"] for span in document["spans"]} == {"rnn", "lstm"}
    assert document["digit_spans"]["study"] == json.loads(ran["mine/digit-span"].canonical)


def test_the_digit_spans_beside_a_quick_study_are_quick_too():
    quick, sized = PRESETS["quick"](), StudyConfig(cells=("gru",), parameters=900)
    beside = study._digit_spans_of(quick)
    assert (beside.preset, beside.hidden_sizes, beside.seeds) == ("demo", (32,), 1)
    assert study._digit_spans_of(sized).parameters == 900


def test_a_cell_that_recalls_no_lists_is_left_out_of_them_before_the_first_run(
    here, capsys, monkeypatch
):
    (here / "whole.py").write_text(
        "from torch import nn\nclass Whole(nn.Module):\n"
        "    def __init__(self, input_size, hidden_size, num_classes):\n"
        "        super().__init__()\n        self.layer = nn.Linear(input_size, num_classes)\n"
        "    def forward(self, inputs):\n        return self.layer(inputs[:, 0])\n"
    )
    assert main(["study", "--cells", "whole:Whole", *ASKED, "--out", "mine"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "--digit-span asks lists, and no cell of the study can be asked them" in said
    assert "cell 'whole:Whole'" in said
    assert not (here / "mine").exists()
    ran = []
    monkeypatch.setattr(study, "run_study", lambda config, folder, **_: ran.append(config) or {})
    (here / "mine.toml").write_text("digit-span = true\nlengths = [5]\nhidden-size = 8\n")
    assert main(["study", "mine.toml", "--cells", "whole:Whole", "lstm", "--out", "mine"]) == 0
    assert "left out of --digit-span: cell 'whole:Whole' breaks a duty" in capsys.readouterr().err
    assert [config.cells for config in ran] == [("whole:Whole", "lstm"), ("lstm",)]
    assert main(["study", "span", "--digit-span"]) == 2
    assert "--digit-span must be left out of a study of digit spans" in capsys.readouterr().err
