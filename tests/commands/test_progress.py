"""How long a study still takes, by its progress."""

import dataclasses
import re
import time

import pytest
from studies import made_up_record

from digitspan.commands.study import StudyProgress
from digitspan.runs.config import RunConfig
from digitspan.study.plan import Job

RUNS = [
    RunConfig(cell="lstm", length=20, seed=seed, hidden_size=8, train_steps=1_000)
    for seed in range(10)
]


@pytest.fixture
def clock(monkeypatch):
    """A clock that is turned by hand: seconds, in a list of one."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def progress(clock):
    """Ten runs alike, two at a time, none of them begun; in a log file."""
    with StudyProgress(2) as progress:
        progress.planned(0, [Job(config, None, "grid") for config in RUNS], 0)
        yield progress


def lines(capsys):
    return capsys.readouterr().err.splitlines()


def test_a_study_whose_first_run_is_long_has_an_estimate_after_a_minute(progress, clock, capsys):
    """Two runs at 1 s a step, 1,000 steps each: five such pairs take 5,000 s at most."""
    for second in range(10, 200, 10):
        clock[0] = float(second)
        if second == 60:
            assert not [line for line in lines(capsys) if "left" in line]  # too soon to tell
        for config in RUNS[:2]:
            progress.step(config, second)
    said = [line for line in lines(capsys) if "left" in line]
    assert len(said) == 1  # once
    left = re.fullmatch(r".* no run has ended yet; at most about (\d):(\d\d) h left", said[0])
    seconds = 3600 * int(left[1]) + 60 * int(left[2])
    assert seconds == pytest.approx(5_000 - 60, abs=60)


def test_resumed_runs_do_not_make_it_faster(progress, clock, capsys):
    """Seen first at step 900, a run that makes 1 step a second is no faster for it."""
    for second, step in ((1, 900), (61, 960)):
        clock[0] = float(second)
        for config in RUNS[:2]:
            progress.step(config, step)
    said = [line for line in lines(capsys) if "left" in line]
    left = re.fullmatch(r".*at most about (\d):(\d\d) h left", said[0])
    seconds = 3600 * int(left[1]) + 60 * int(left[2])
    assert seconds == pytest.approx((10_000 - 2 * 960) / 2, abs=60)


def test_runs_that_ended_tell_more_than_budgets(progress, clock, capsys):
    """The first was solved after 100 s: nine more like it, two at a time, take 450 s."""
    clock[0] = 100.0
    progress.step(RUNS[1], 100)
    record = dataclasses.replace(made_up_record(RUNS[0], solved=True), steps=100)
    progress.finished(record, 100.0)
    last = lines(capsys)[-1]
    assert last.endswith("1 solved, about 7:30 min left")
