"""A run's folder: what `digitspan train` keeps, takes up again, and refuses to overwrite."""

import errno
import json
import math
import os
import random

import pytest

from digitspan import files
from digitspan.cli import main
from digitspan.commands.train import sentence
from digitspan.errors import DigitspanError, UsageError
from digitspan.files import sha256
from digitspan.runs import folder as run_folder
from digitspan.runs.config import RunConfig
from digitspan.runs.folder import (
    read_config,
    read_record,
    remove_run,
    write_config,
    write_finished,
)
from digitspan.runs.record import Finished, RunRecord
from digitspan.training.run import train

SMALL = ("--hidden-size", "8", "--batch-size", "8", "--train-steps", "60")
CONFIG = RunConfig(cell="rnn", length=5, hidden_size=8, batch_size=8, train_steps=60)
FILES = ["config.json", "curve.csv", "record.json", "weights.safetensors"]


@pytest.fixture(scope="module")
def finished():
    return train(CONFIG)


@pytest.fixture
def folder(tmp_path, finished):
    """A run that is kept."""
    write_config(tmp_path, CONFIG)
    write_finished(tmp_path, finished, 1.5)
    return tmp_path


def digitspan_train(folder, *words):
    return main(["train", "rnn", "--length", "5", *SMALL, "--out", str(folder), *words])


def test_kept_run_is_read_as_it_was(folder, finished):
    assert sorted(os.listdir(folder)) == FILES
    assert read_config(folder) == CONFIG
    assert read_record(folder) == (finished.record, 1.5)
    weights = (folder / "weights.safetensors").read_bytes()
    assert sha256(weights) == finished.record.weights_sha256


def test_curve_is_a_table_with_a_line_an_evaluation(folder, finished):
    head, *lines = (folder / "curve.csv").read_text().splitlines()
    assert head == "step,loss,validation_loss,validation_accuracy,length"
    for line, point in zip(lines, finished.record.curve, strict=True):
        assert list(map(float, line.split(","))) == pytest.approx(list(point), rel=1e-6)


def test_record_comes_last(tmp_path, finished, monkeypatch):
    # Whatever is interrupted, a folder with a record is whole.
    written = []
    monkeypatch.setattr(run_folder, "write_whole", lambda path, content: written.append(path.name))
    write_finished(tmp_path, finished, 1.0)
    assert written[-1] == "record.json"
    assert set(written) == {"curve.csv", "weights.safetensors", "record.json"}


def test_nothing_is_read_where_nothing_is_kept(tmp_path):
    assert read_config(tmp_path) is None
    assert read_record(tmp_path) is None


def test_diverged_run_is_kept_and_read(tmp_path, finished):
    record = train(RunConfig(**json.loads(CONFIG.canonical) | {"learning_rate": 1e38})).record
    assert record.end_state == "diverged"
    write_finished(tmp_path, Finished(record, finished.weights), math.pi)
    assert read_record(tmp_path) == (record, math.pi)


def test_run_is_removed_and_nothing_else(folder):
    (folder / "notes.txt").write_text("mine")
    (folder / "checkpoint.previous").write_bytes(b"")
    remove_run(folder)
    assert os.listdir(folder) == ["notes.txt"]
    remove_run(folder)


# Called again ----------------------------------------------------------------------------------


def test_finished_run_is_not_trained_again(folder, capsys, monkeypatch):
    monkeypatch.setattr("digitspan.training.run.train", lambda *a, **k: pytest.fail("trained"))
    assert digitspan_train(folder) == 0
    output = capsys.readouterr()
    assert output.out.startswith("rnn T=5 seed=0: ")
    assert f"{folder} holds this run already, finished; this is its result" in output.err


def test_another_run_is_not_overwritten_unless_asked(folder, capsys):
    before = {name: (folder / name).read_bytes() for name in FILES}
    assert digitspan_train(folder, "--seed", "7") == 2
    err = capsys.readouterr().err
    assert f"{folder} holds another run (seed 0, not 7); choose another --out, or" in err
    assert {name: (folder / name).read_bytes() for name in FILES} == before
    assert digitspan_train(folder, "--seed", "7", "--overwrite") == 0
    assert read_config(folder).seed == read_record(folder)[0].config.seed == 7


def test_run_that_was_not_finished_is_finished(folder, finished, capsys):
    for name in ("record.json", "curve.csv", "weights.safetensors"):
        (folder / name).unlink()
    assert digitspan_train(folder) == 0
    assert sorted(os.listdir(folder)) == FILES
    assert read_record(folder)[0] == finished.record


@pytest.mark.parametrize("name", ["config.json", "record.json"])
@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b"3", b"\xff\xfe", b'{"cell": "rnn"}', b'"text"', b"[1, 2]",
        b'{"cell": "rnn", "length": "five"}', b'{"seconds": "long"}', b"[" * 5000,
    ],
    ids=lambda content: content[:12].decode("latin1"),
)  # fmt: skip
def test_damaged_file_is_a_sentence(name, content, folder, capsys):
    (folder / name).write_bytes(content)
    assert digitspan_train(folder) == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert "Traceback" not in err
    assert f"{name} is not the" in err


@pytest.mark.parametrize("times", [150, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["config.json", "record.json"])
def test_damaged_file_never_ends_in_a_traceback(name, times, folder, finished):
    whole, chance, refused, kept = (folder / name).read_bytes(), random.Random(times), 0, 0
    for _ in range(times):
        data, place = bytearray(whole), chance.randrange(len(whole))
        if chance.random() < 0.3:
            del data[place:]
        else:
            data[place] = chance.randrange(256)
        (folder / name).write_bytes(data)
        try:
            read_config(folder)
            read_record(folder)
        except UsageError as error:
            refused += "choose another --out" in str(error)
        else:
            kept += 1
    assert refused + kept == times
    assert refused > times / 10
    print(f"{times} mutations of {name}: {refused} refused in one sentence, 0 tracebacks")


@pytest.mark.parametrize("name", FILES)
def test_full_disk_is_a_sentence_and_the_run_can_be_done_again(
    name, tmp_path, finished, capsys, monkeypatch
):
    write = run_folder.write_whole

    def full(path, content):
        if path.name == name:
            message = f"cannot write {path}: {os.strerror(errno.ENOSPC)}"
            raise DigitspanError(message)
        write(path, content)

    monkeypatch.setattr(run_folder, "write_whole", full)
    assert digitspan_train(tmp_path) == 1
    err = capsys.readouterr().err
    assert "No space left on device" in err.splitlines()[-1]
    assert read_record(tmp_path) is None, "a run that is not whole has a record"
    monkeypatch.setattr(run_folder, "write_whole", write)
    assert digitspan_train(tmp_path) == 0
    assert read_record(tmp_path)[0] == finished.record


# On Windows, where another program may hold a file -----------------------------------------------


@pytest.fixture
def held(monkeypatch):
    """Files that another program holds for so many tries; how long was waited each time."""
    waited, replace, left = [], os.replace, []

    def hold(tries):
        left[:] = [None] * tries

    def replace_if_free(source, target):
        if left:
            left.pop()
            raise PermissionError(errno.EACCES, "Access is denied", str(target))
        replace(source, target)

    monkeypatch.setattr(files, "TRIES", 20)
    monkeypatch.setattr(os, "replace", replace_if_free)
    monkeypatch.setattr("time.sleep", waited.append)
    return hold, waited


@pytest.mark.parametrize("tries", [0, 1, 19])
def test_file_that_is_held_for_a_moment_is_written_when_it_is_free(tries, held, tmp_path):
    hold, waited = held
    (tmp_path / "file").write_bytes(b"old")
    hold(tries)
    files.write_whole(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert waited == [files.TRY_AGAIN_SECONDS] * tries


def test_file_that_stays_held_is_a_sentence_after_two_seconds(held, tmp_path):
    hold, waited = held
    (tmp_path / "file").write_bytes(b"old")
    hold(1000)
    with pytest.raises(
        DigitspanError, match=r"^cannot write .*file \(3 bytes\): Access is denied"
    ):
        files.write_whole(tmp_path / "file", b"new")
    assert 1.5 < sum(waited) < 2.5
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


def test_checkpoint_and_the_one_before_are_tried_again_too(held, tmp_path):
    hold, _ = held
    files.write_verified(tmp_path / "file", b"first")
    hold(3)
    files.write_verified(tmp_path / "file", b"second")
    assert files.read_verified(tmp_path / "file") == (b"second", False)


def test_nothing_is_tried_again_elsewhere():
    assert (20 if os.name == "nt" else 1) == files.TRIES


# The line at the end -----------------------------------------------------------------------------


def record(**values):
    usual = RunRecord.error(CONFIG, "").to_json() | {"steps": 1250, "curve": []}
    return RunRecord.from_json(usual | values)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (
            {
                "end_state": "solved",
                "accuracy": 0.9981,
                "accuracy_low": 0.997,
                "accuracy_high": 0.9988,
                "tested": 10_000,
                "held_out": 10_000,
            },
            "solved at step 1,250, accuracy 99.8% [99.7, 99.9] on 10,000 held-out palindromes",
        ),
        (
            {"end_state": "censored", "accuracy": 0.1, "tested": 100},
            "not solved when its budget of 1,250 steps ended, accuracy 10.0% on 100 palindromes, "
            "all there are",
        ),
        ({"end_state": "diverged"}, "diverged at step 1,250 (its loss grew beyond all bounds)"),
        ({"end_state": "error", "note": "out of memory"}, "ended in an error: out of memory"),
    ],
    ids=lambda value: value.get("end_state") if isinstance(value, dict) else "",
)
def test_every_end_has_its_line(values, line):
    assert sentence(record(**values)) == f"rnn T=5 seed=0: {line}"
