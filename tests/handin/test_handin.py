"""The command: refusals in one sentence, nothing half-written, whole files or none."""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import digitspan
from digitspan.commands import handin, solution
from digitspan.errors import StoreError, UsageError
from digitspan.files import write_whole
from digitspan.handin.answers import model_answers
from digitspan.handin.author import MODEL
from digitspan.handin.material import read_material
from digitspan.sheet.exercise import default_sheet


def call(*words):
    """The command, with words as a user would type them."""
    parser = argparse.ArgumentParser()
    handin.add_options(parser)
    return handin.run(parser.parse_args(list(map(str, words))))


def for_test(study, out, *more):
    return call(study, "--surname", "Test", "--matriculation", "00000000", "--out", out, *more)


def test_the_zip_is_written_where_it_was_asked_for(study, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("digitspan.handin.assemble.build", lambda *arguments: b"a whole ZIP")
    assert for_test(study, tmp_path / "new" / "folder") == 0
    path = tmp_path / "new" / "folder" / "Test-00000000.zip"
    assert capsys.readouterr().out == f"{path}\n"
    assert path.read_bytes() == b"a whole ZIP"
    with pytest.raises(UsageError, match=r"Test-00000000\.zip is there already; add --overwrite"):
        for_test(study, tmp_path / "new" / "folder")
    monkeypatch.setattr("digitspan.handin.assemble.build", lambda *arguments: b"another")
    assert for_test(study, tmp_path / "new" / "folder", "--overwrite") == 0
    assert path.read_bytes() == b"another"


def test_answers_are_written_without_a_study(tmp_path, capsys):
    assert call("--write-answers", tmp_path / "mine") == 0
    names = [Path(line).name for line in capsys.readouterr().out.splitlines()]
    assert names == [f"{q}.md" for q in ("1.1", "1.2", "1.3", "1.4", "1.5a", "1.5b", "1.6")]


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        ([], "STUDY is missing"),
        (["results"], "--surname is missing"),
        (["results", "--surname", "X"], "--matriculation is missing"),
    ],
)
def test_what_is_not_given_is_named(words, missing):
    with pytest.raises(UsageError, match=missing):
        call(*words)


def test_another_surname_with_the_number_of_a_zip_that_lies_there_is_refused(study, tmp_path):
    (tmp_path / "Other-00000000.zip").write_bytes(b"")
    (tmp_path / "Test-11111111.zip").write_bytes(b"")
    with pytest.raises(
        UsageError, match=r"Other-00000000\.zip is of Other with the same matricul"
    ):
        for_test(study, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "Other-00000000.zip", "Test-11111111.zip"
    ]  # fmt: skip


def test_empty_answers_are_told_and_own_ones_are_not(study, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("digitspan.handin.assemble.build", lambda *arguments: b"a whole ZIP")
    for_test(study, tmp_path)
    told = capsys.readouterr().err
    assert "7 answers are an empty frame, 1.1, 1.2, 1.3, 1.4, 1.5a, 1.5b, 1.6;" in told
    call("--write-answers", tmp_path / "mine")
    for path in (tmp_path / "mine").glob("1.[1-5]*.md"):
        path.write_text("My own words.", encoding="utf-8")
    capsys.readouterr()
    for_test(study, tmp_path, "--answers", tmp_path / "mine", "--overwrite")
    assert "1 answer is an empty frame, 1.6;" in capsys.readouterr().err


def test_the_solution_is_nobodys_and_has_the_models_words(study, tmp_path, capsys, monkeypatch):
    asked = []
    monkeypatch.setattr("digitspan.handin.assemble.build", lambda *a: asked.append(a) or b"a ZIP")
    parser = argparse.ArgumentParser()
    solution.add_options(parser)
    assert solution.run(parser.parse_args([str(study), "--out", str(tmp_path)])) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'solution.zip'}\n"
    [(_, author, answers, *_)] = asked
    assert (author, answers) == (MODEL, model_answers(default_sheet()))
    with pytest.raises(UsageError, match="STUDY is missing; expected `digitspan solution"):
        solution.run(parser.parse_args([]))


def test_no_study_names_the_command_that_makes_one(tmp_path):
    with pytest.raises(UsageError, match=r"no study at .*digitspan study quick"):
        for_test(tmp_path / "nothing", tmp_path / "out")


def test_another_programs_file_is_refused(tmp_path):
    (tmp_path / "study.db").write_bytes(b"not a database at all, just some bytes")
    with pytest.raises(StoreError, match="not a study of digitspan"):
        for_test(tmp_path, tmp_path / "out")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"cells": ("rnn",)},
            r"has no runs of the LSTM, which the sheet asks for \(its cells: rnn\)",
        ),
        (
            {"lengths": (10, 20, 40), "seeds": 2},
            r"has the lengths 10, 20, 40; Questions 1\.3 and 1\.6 ask for T = 5",
        ),
        ({"lengths": (5, 10), "seeds": 2}, "at least 2 more"),
        (
            {"compared_optimizers": ("adam",)},
            r"has no runs of the RNN with momentum, sgd; Question 1\.4 asks for them",
        ),
        ({"compared_optimizers": ()}, "with adam, momentum, rmsprop, sgd"),
    ],
)
def test_a_study_that_lacks_something_is_refused_by_name(make_study, tmp_path, changes, problem):
    folder = make_study(**changes)
    with pytest.raises(UsageError, match=problem) as error:
        for_test(folder, tmp_path / "out")
    assert "digitspan study sheet" in str(error.value)
    assert not (tmp_path / "out").exists()


def test_an_unfinished_study_is_refused(make_study, tmp_path):
    folder = make_study(missing=3, lengths=(5, 10, 20), seeds=2)
    with pytest.raises(UsageError, match="is not finished: 3 runs are missing"):
        for_test(folder, tmp_path / "a" / "out")
    assert not (tmp_path / "a").exists()
    (tmp_path / "a").mkdir()
    with pytest.raises(UsageError, match="is not finished"):
        for_test(folder, tmp_path / "a")
    assert (tmp_path / "a").is_dir()  # it was there before


def test_networks_that_are_gone_or_changed_are_named(study, tmp_path):
    copy = shutil.copytree(study, tmp_path / "copy")
    for path in (copy / "weights").iterdir():
        path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(UsageError, match="is damaged: its SHA-256 is not the one in"):
        for_test(copy, tmp_path / "out")
    shutil.rmtree(copy / "weights")
    with pytest.raises(
        UsageError, match=r"copy keeps no network of the RNN that could be looked into"
    ):
        for_test(copy, tmp_path / "out")


def test_where_no_run_was_solved_the_most_accurate_network_is_taken(make_study):
    material = read_material(make_study(rule=lambda config: False), default_sheet())
    assert not material.networks["rnn"].record.solved


def test_the_extra_is_asked_for_where_it_is_not_installed(study, tmp_path, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "typst" else found(name)
    )
    with pytest.raises(UsageError, match=r'needs typst, .*`pip install "digitspan\[report\]"`'):
        for_test(study, tmp_path / "out")


def test_out_that_is_a_file_is_refused(study, tmp_path):
    write_whole(tmp_path / "file", b"")
    with pytest.raises(UsageError, match="--out must be a folder that can be written"):
        for_test(study, tmp_path / "file")


SCRIPT = """
import argparse, signal, sys
from digitspan.commands import handin, solution
signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs begin without it
parser = argparse.ArgumentParser()
handin.add_options(parser)
sys.exit(handin.run(parser.parse_args(sys.argv[1:])))
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals to send")
@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGINT"])
@pytest.mark.parametrize("stage", ["looking into", "running the notebook", "setting the PDF"])
def test_killed_half_way_there_is_no_zip(study, tmp_path, name, stage):
    """The stage before has ended when its line is printed; a moment later the signal comes."""
    number = getattr(signal, name)
    words = [study, "--surname", "Test", "--matriculation", "00000000", "--out", tmp_path / "out"]
    (tmp_path / "tmp").mkdir()
    environment = os.environ | {
        "PYTHONPATH": str(Path(digitspan.__file__).parents[1]), "TMPDIR": str(tmp_path / "tmp"),
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *map(str, words)],
        env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    before = {"looking into": "starting", "running the notebook": "looking into",
              "setting the PDF": "running the notebook"}[stage]  # fmt: skip
    try:
        for line in process.stderr:
            if line.startswith(before):
                break
        time.sleep(0.5)
        process.send_signal(number)
        process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode not in (0, None)
    assert not list((tmp_path / "out").glob("*"))
    if number != signal.SIGKILL:
        assert not list((tmp_path / "tmp").glob("handin-*"))
