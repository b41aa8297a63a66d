"""A study's folder knows its study, and a study its folder; the trainings are made up."""

import dataclasses
import math
import os
import shutil

import pytest
import quick_worker
from kept import assert_kept, rows_of
from processes import QUICK_STUDY, Command
from studies import made_up_recall

from digitspan.errors import ConfigError, DigitspanError, UsageError
from digitspan.study import runner
from digitspan.study.config import PRESETS, StudyConfig
from digitspan.study.crew import pool
from digitspan.study.digit_spans import summarise_spans
from digitspan.study.runner import StudyObserver, run_study
from digitspan.study.store import Store
from digitspan.study.summary import summarise


class Told(StudyObserver):
    """A progress that remembers what it was told."""

    def __init__(self):
        self.warnings = []

    def warn(self, message):
        self.warnings.append(message)


def quick(tmp_path, *words):
    """A study of made-up trainings as a process."""
    return Command(QUICK_STUDY, *words, "--workers", "1", "--out", "study", folder=tmp_path)


def test_a_folder_knows_its_study(tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "work", quick_worker.work)
    config = StudyConfig(cells=("gru",), lengths=(5, 6), seeds=2, train_steps=100)
    rows = run_study(config, tmp_path, workers=1, progress=Told())
    others = {
        "cells": ("rnn",),
        "lengths": (5,),
        "seeds": 1,
        "hidden_size": 16,
        "learning_rates": (0.01,),
        "optimizer": "adam",
    }
    for name, value in others.items():
        other = dataclasses.replace(config, **{name: value})
        said = rf"holds another study \({name.replace('_', '-')} .*, not .*--widen"
        with pytest.raises(UsageError, match=said):
            run_study(other, tmp_path, workers=1, progress=Told())
        with pytest.raises(UsageError, match=rf"{said}|{name} must be .*study that is widened"):
            run_study(other, tmp_path, workers=1, widen=True, progress=Told())
    with Store.open(tmp_path) as store:
        assert (store.rows(), store.value("config")) == (rows, config.canonical)
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(tmp_path / "study.db", copy)
    with pytest.raises(UsageError, match="holds another study"):
        run_study(other, copy, workers=1, progress=Told())
    assert os.listdir(copy) == ["study.db"]  # no lock is left where there was none
    both = dataclasses.replace(config, cells=("gru", "rnn"), lengths=(5, 6, 7), seeds=3)
    with pytest.raises(UsageError, match="cells gru, not gru rnn; lengths 5 6, not 5 6 7; seeds"):
        run_study(both, tmp_path, workers=1, progress=Told())
    more = run_study(both, tmp_path, workers=1, widen=True, progress=Told())
    assert len(more) == 18
    assert_kept(rows, more)


def test_a_study_is_widened_by_what_it_lacks():
    first = StudyConfig(cells=("gru",), lengths=(5, 6), seeds=2)
    other = StudyConfig(cells=("rnn",), lengths=(8,), seeds=1, controls=True)
    both = first.widened_by(other)
    assert (both.cells, both.lengths, both.seeds) == (("gru", "rnn"), (5, 6, 8), 2)
    assert both.controls
    # A width or a budget more is a condition more.
    wider = first.widened_by(dataclasses.replace(first, hidden_size=64, train_steps=500))
    assert (wider.hidden_sizes, wider.budgets) == ((64, 128), (500, 10_000))
    with pytest.raises(ConfigError, match="batch_size must be 128, as in the study that is wid"):
        first.widened_by(dataclasses.replace(first, batch_size=64))


def test_the_folder_alone_goes_on_with_its_study(tmp_path, capsys):
    out = tmp_path / "study"
    words = ("--cells", "gru", "--lengths", "5", "6", "--seeds", "1", "--train-steps", "100")
    assert quick(tmp_path, *words).wait() == 0
    before = rows_of(out)
    with Store.create(out) as store:  # as if it had been interrupted before the last one
        config, (first, *_) = store.value("config"), before
        store.replace_all({first: before[first]}, config)
    assert quick(tmp_path).wait() == 0
    assert set(rows_of(out)) == set(before)
    assert quick(tmp_path, "--widen", "--seeds", "2").wait() == 0
    after = rows_of(out)
    assert len(after) == 4
    assert {row.record.config.cell for row in after.values()} == {"gru"}
    assert quick(tmp_path, "--cells", "rnn").wait() == 2


@pytest.mark.parametrize("how", ["removed", "moved", "replaced"])
def test_a_store_that_is_gone_is_noticed(tmp_path, monkeypatch, how):
    class Thief(Told):
        def finished(self, record, seconds):
            super().finished(record, seconds)
            if how == "moved":
                folder.rename(tmp_path / "elsewhere")
            else:
                shutil.rmtree(folder)
            if how == "replaced":
                folder.mkdir()
                with Store.create(folder):
                    pass

    monkeypatch.setattr(pool, "work", quick_worker.work)
    folder = tmp_path / "study"
    for seeds in (1, 3):  # noticed at the next row, and after the last one too
        config = StudyConfig(cells=("rnn",), lengths=(5,), seeds=seeds, train_steps=100)
        with pytest.raises(DigitspanError, match=r"study.db was moved or removed while") as caught:
            run_study(config, folder, workers=1, progress=Thief())
        assert caught.value.exit_status == 1
        for left in (folder, tmp_path / "elsewhere"):
            shutil.rmtree(left, ignore_errors=True)


def test_runs_of_an_edited_cell_are_told_and_made_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "work", quick_worker.work)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "study"
    (tmp_path / "edited.py").write_text("class Cell: pass")
    config = StudyConfig(cells=("edited:Cell", "rnn"), lengths=(5,), seeds=2, train_steps=100)
    before, told = run_study(config, folder, workers=1, progress=Told()), Told()
    assert run_study(config, folder, workers=1, progress=told) == before
    (tmp_path / "edited.py").write_text("class Cell: 'edited'")
    after = run_study(config, folder, workers=1, progress=told)
    assert len(after) == 6
    assert_kept(before, after)
    summary = summarise(config.with_sources(), after)
    shown = {record.config.key for row in summary.spans for record in row.records}
    own = {key for key, row in before.items() if row.record.config.cell != "rnn"}
    assert len(own) == 2
    assert shown == set(after) - own
    assert any(
        "the source of edited:Cell has changed since 2 of" in text for text in told.warnings
    )


SPAN = dataclasses.replace(
    PRESETS["span"](), cells=("gru",), hidden_size=(8,), seeds=1, items=4, train_steps=100,
    learning_rates=(1e-3, 1e-2),
)  # fmt: skip
"""A study of digit spans."""


class Recalling:
    """A crew whose networks recall as far as their rate says: 3 digits at 0.01, 2 at 0.001."""

    status = None

    def __init__(self, options, size):
        self.given = []

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def room(self):
        return not self.given

    def choose(self, waiting):
        return waiting.popleft()

    def give(self, job):
        self.given.append(job)

    def wait(self, wake_up):
        job = self.given.pop()
        record = made_up_recall(job.config, 5 + math.log10(job.config.learning_rate))
        yield job, {"record": record.to_json(), "timing": {"seconds": 1.0, "host": "here"}}


def test_a_folder_knows_its_study_of_digit_spans(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "Pool", Recalling)
    rows = run_study(SPAN, tmp_path, workers=1, progress=Told())
    assert {row.role for row in rows.values()} == {"tuning", "span"}
    asked = {
        "cells gru, not gru rnn": {"cells": ("gru", "rnn")},
        "hidden-size 8, not 8 16": {"hidden_size": (8, 16)},
        "seeds 1, not 3": {"seeds": 3},
        "learning-rates 0.001 0.01, not 0.001 0.01 0.1": {"learning_rates": (1e-3, 1e-2, 0.1)},
        "initialisation usual, not usual uniform": {"initialisation": ("usual", "uniform")},
    }
    widest = SPAN
    for said, change in asked.items():
        widest = dataclasses.replace(widest, **change)
        with pytest.raises(UsageError, match=rf"another study \({said}\); .* --widen to ask for"):
            run_study(dataclasses.replace(SPAN, **change), tmp_path, workers=1, progress=Told())
    for change, said in {
        "items must be 4, as in the study that is widened; got 3": {"items": 3},
        "order must be backward, as in": {"order": "forward"},
        "batch_size must be 64, as in": {"batch_size": 8},
    }.items():
        with pytest.raises(UsageError, match=change):
            run_study(
                dataclasses.replace(SPAN, **said), tmp_path, workers=1, widen=True, progress=Told()
            )
    with pytest.raises(UsageError, match=r"holds another study \(.*design span, not grid"):
        run_study(StudyConfig(seeds=1, train_steps=100), tmp_path, workers=1, progress=Told())
    with Store.open(tmp_path) as store:
        assert (store.rows(), store.value("config")) == (rows, SPAN.canonical)
    more = run_study(widest, tmp_path, workers=1, widen=True, progress=Told())
    assert_kept(rows, more)
    cells = summarise_spans(widest, more).measured
    assert len(cells) == 2 * 2 + 2  # a GRU begins uniformly anyway, an RNN usually not
    assert {(cell.rate, len(cell.records)) for cell in cells} == {(0.1, 3)}
