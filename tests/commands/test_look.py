"""`digitspan look`: what it writes, and what it refuses."""

import argparse
import dataclasses
import json
import subprocess
import sys

import pytest
from pages import kept_run
from studies import made_up_record, made_up_rows

from digitspan.commands import look
from digitspan.errors import UsageError
from digitspan.files import sha256, write_whole
from digitspan.look import trace_info
from digitspan.runs.config import RunConfig
from digitspan.runs.record import CurvePoint
from digitspan.study.config import StudyConfig
from digitspan.study.store import Store, weights_path


@pytest.fixture
def folder(tmp_path):
    """A run that was not solved."""
    config = RunConfig(cell="rnn", length=9, hidden_size=4)
    weights = kept_run("rnn", hidden_size=4, length=9, gain=0.1).weights
    record = made_up_record(config, solved=False)
    record = dataclasses.replace(record, weights_sha256=sha256(weights))
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text(config.canonical)
    (run / "weights.safetensors").write_bytes(weights)
    (run / "record.json").write_text(json.dumps(record.to_json() | {"seconds": 1.0}))
    return run


def call(*words):
    parser = argparse.ArgumentParser()
    look.add_options(parser)
    return look.run(parser.parse_args([str(word) for word in words]))


def test_page_that_learns_needs_no_run(tmp_path, capsys):
    page = tmp_path / "pages" / "learn.html"
    assert call("--learn", "--out", page) == 0
    out, err = capsys.readouterr()
    assert out == f"{page}: networks that learn in the browser\n"
    assert err == "0.2 MB, works offline\n"
    content = page.read_text(encoding="utf-8")
    assert content.startswith("<!doctype html>")
    assert '"networks":[]' in content


def test_page_that_learns_is_written_without_torch(tmp_path):
    """For a site: none of what a study needs has to be installed."""
    script = (
        "import sys\nsys.modules['torch'] = sys.modules['numpy'] = None\n"
        "from digitspan.cli import main\n"
        "sys.exit(main(['look', '--learn', '--out', 'learn.html']))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (
        0,
        "learn.html: networks that learn in the browser\n",
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "look needs a RUN or a study, or --learn for networks that learn in the browser"),
        (["--learn", "results"], "cannot be given with RUN results; leave one of them out"),
        (["--learn", "--figures", "f"], "cannot be given with --figures; leave one of them out"),
        (["results", "--runs", "0123"], "choose what --figures draws: add --figures FOLDER"),
        (["results", "--only", "solved"], "choose what --figures draws: add --figures FOLDER"),
        (["s", "--figures", "f", "--runs", "0", "--only", "solved"], "leave --only out"),
        (["nowhere", "--figures", "f", "--runs", "0123"], "--runs goes with one study; got nowhe"),
        (["a", "b", "--figures", "f", "--only", "solved"], "--only goes with one study; got a, b"),
        (["--learn", "--out", "."], r"--out must be a file to write, .* got the folder '\.'"),
    ],
)
def test_what_is_not_clear_is_refused(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message):
        call(*words)
    assert list(tmp_path.iterdir()) == []


def test_page_is_written_and_named(folder, tmp_path, capsys):
    page = tmp_path / "pages" / "page.html"
    assert call(folder, "-o", page) == 0
    out, err = capsys.readouterr()
    assert out == f"{page}: rnn-T009-lr0.001-seed0-n4\n"
    assert "works offline" in err
    content = page.read_text(encoding="utf-8")
    assert content.startswith("<!doctype html>")
    assert "Its budget of 10,000 steps ended first: over the last fifth its" in content
    assert "vanish" not in content.partition('"why"')[2][:300]


def test_page_is_page_html_here_by_default(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call(folder) == 0
    assert (tmp_path / "page.html").is_file()


def test_two_runs_beside_each_other(folder, tmp_path, capsys):
    assert call(folder, folder, "-o", tmp_path / "p.html") == 0
    assert "seed0-n4 beside rnn" in capsys.readouterr().out


def test_figures_instead_of_a_page(folder, tmp_path, monkeypatch, capsys):
    def write(runs, folder, *, seeds, ended, ask):
        drawn.append(([config.run_id for config, _ in runs], list(seeds), folder))
        return ["gates.svg"]

    drawn = []
    monkeypatch.setattr(trace_info, "write_trace_figures", write)
    monkeypatch.chdir(tmp_path)
    figures = tmp_path / "figures"
    assert call(folder, "--figures", figures) == 0
    assert drawn == [(["rnn-T009-lr0.001-seed0-n4"], [], figures)]
    assert capsys.readouterr().out == f"{figures}: gates.svg\n"
    assert not (tmp_path / "page.html").exists()


def test_open_asks_the_browser(folder, tmp_path, monkeypatch, capsys):
    asked = []
    for there in (True, False):
        monkeypatch.setattr(
            look.webbrowser, "open", lambda uri, there=there: asked.append(uri) or there
        )
        assert call(folder, "-o", tmp_path / "p.html", "--open") == (0 if there else 1)
    assert asked == [(tmp_path / "p.html").as_uri()] * 2
    assert "no browser was found: open" in capsys.readouterr().err


def test_calls_that_contradict_themselves_are_refused(folder, tmp_path):
    with pytest.raises(UsageError, match="--figures writes no page"):
        call(folder, "--figures", tmp_path, "-o", tmp_path / "p.html")
    with pytest.raises(UsageError, match="--out must be a file to write, such as"):
        call(folder, "-o", tmp_path)


def test_page_tells_what_sets_a_run_of_a_study_apart(tmp_path):
    """The loss of the unsolved runs is higher at step 50, before any is solved."""
    config = StudyConfig(cells=("rnn",), lengths=(9,), seeds=12, hidden_size=4)
    rows = made_up_rows(config, lambda run: run.seed < 6)
    shown = kept_run("rnn", hidden_size=4, seed=11).weights
    with Store.create(tmp_path) as store:
        store.set_value("config", config.canonical)
        for row in rows.values():
            loss = 2.0 if row.record.solved else 2.1
            curve = (CurvePoint(50, loss, loss, 0.1), *row.record.curve)
            record = dataclasses.replace(row.record, curve=curve, weights_sha256=sha256(shown))
            store.add(row._replace(record=record))
            if record.config.seed == 11:
                write_whole(weights_path(tmp_path, record.config.key), shown)
                key = record.config.key
    assert call(f"{tmp_path}:{key}", "-o", tmp_path / "page.html") == 0
    content = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert (
        "What tells the 6 unsolved runs like it (T = 9, rate 0.001) from the 6 solved ones: at "
        "step 50 the loss is higher, at 2.1 nats, against a median of 2.1 in the unsolved and 2 "
        "in the solved (p = 0.009)." in content
    )
