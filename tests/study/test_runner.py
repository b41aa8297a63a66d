"""A study that is killed, interrupted or begun twice loses nothing.

Most of these studies are of made-up trainings (quick_worker.py), whose driver, store and workers
are the real ones: who dies when is the same, and there is no waiting for torch. Those of real
trainings are few here, and many in `make torture`.
"""

import contextlib
import dataclasses
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import quick_worker
from kept import assert_kept, assert_one_sentence, export_of, last_line, repeated, rows_of
from processes import PATH, QUICK_STUDY, Command, grace, wait_until
from studies import made_up_record, made_up_rows

from digitspan.cli import main
from digitspan.errors import DigitspanError, UsageError
from digitspan.runs.record import RunRecord
from digitspan.study import runner
from digitspan.study.config import StudyConfig
from digitspan.study.crew import pool
from digitspan.study.plan import next_jobs, plan
from digitspan.study.runner import check_study, run_study
from digitspan.study.store import Row, Store, Timing
from digitspan.training.run import train

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
GRID = ("--cells", "rnn", "lstm", "--lengths", "5", "8", "--seeds", "4", "--train-steps", "500")
REAL = (
    *("--cells", "rnn", "--lengths", "5", "8", "--seeds", "2", "--hidden-size", "16"),
    *("--learning-rates", "0.01", "1e38", "--train-steps", "150", "--batch-size", "32"),
)
"""Eight real runs of half a second; half of them diverge."""


def quick(tmp_path, *arguments, out="study", workers="2", step=0.0002):
    """A study of made-up trainings as a process."""
    words = (QUICK_STUDY, *arguments, "--workers", workers, "--out", out)
    return Command(*words, folder=tmp_path, QUICK_SECONDS_A_STEP=str(step))


def real(tmp_path, *arguments, out="study", workers="2"):
    """A study of real trainings as a process."""
    words = (QUICK_STUDY, *arguments, "--workers", workers, "--out", out)
    return Command(*words, folder=tmp_path, QUICK_TRAINING="real")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The export of GRID, done in one go by a single worker, and how long it took."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    begun = time.monotonic()
    assert quick(folder, *GRID, workers="1").wait() == 0
    seconds = time.monotonic() - begun
    done = subprocess.run(
        [sys.executable, "-m", "digitspan", "export", str(folder / "study")],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": PATH},
    )
    assert len(done.stdout.splitlines()) == 1 + 2 * 2 * 4
    return done.stdout, seconds


# Kill -9 of everything ---------------------------------------------------------------------------


def kill_again_and_again(start, times, longest, expected, folder, capsys):
    """Kill a study's whole group at random moments; every study ends as if nothing had been.

    Every fourth kill strikes anywhere from the start on, the others once a row has been written.
    """
    chance, killed, studies, before, finished = random.Random(times), 0, 0, {}, False
    while killed < times or not finished:
        out = f"study-{studies}"
        command = start(out)
        if killed < times and killed % 4:
            wait_until(lambda c=command: " to do, " in c.said() or c.process.poll() is not None)
        try:
            # Once there were kills enough, the last study is let come to its end.
            share = 0.2 if killed % 4 else 1
            status = command.wait(chance.uniform(0, share * longest) if killed < times else 120)
            assert status == 0, command.said()
        except subprocess.TimeoutExpired:
            killed, finished = killed + 1, False
            assert command.gone_after(5), "processes outlived the kill"
            after = rows_of(folder / out)
            assert_kept(before, after)
            told = command.said().count(" to do, ")
            assert len(after) >= len(before) + told, "a run that was told is finished is lost"
            before = after
            continue
        assert_kept(before, rows_of(folder / out))
        assert export_of(folder / out, capsys) == expected, "the export is another one"
        left = [path.name for path in (folder / out).rglob(".unfinished*")]
        assert left == [], "half-written files stay"
        studies, before, finished = studies + 1, {}, True
    print(f"{killed} kills in {studies} studies: 0 lost, 0 doubled, 1 export")


@linux
@repeated(4, 50)
def test_killed_study_loses_and_doubles_nothing(times, uninterrupted, tmp_path, capsys):
    expected, seconds = uninterrupted

    def start(out):
        return quick(tmp_path, *GRID, out=out)

    kill_again_and_again(start, times, seconds, expected, tmp_path, capsys)


@linux
@repeated(1, 50)
def test_killed_study_of_real_trainings_equals_one_without_workers(times, tmp_path, capsys):
    # The reference: the same runs in this process, one after the other.
    config = StudyConfig(
        cells=("rnn",),
        lengths=(5, 8),
        seeds=2,
        hidden_size=16,
        learning_rates=(0.01, 1e38),
        train_steps=150,
        batch_size=32,
    )
    (tmp_path / "serial").mkdir()
    with Store.create(tmp_path / "serial") as store:
        for job in plan(config, {}):
            store.add(Row(train(job.config).record, Timing(0.0, 0.0, "", 1), job.role))
        store.set_value("config", config.canonical)
        ends = [row.record.end_state for row in store.rows().values()]
    assert len(ends) == 2 * 2 * 2
    assert ends.count("diverged") == 4
    expected = export_of(tmp_path / "serial", capsys)

    def start(out):
        return real(tmp_path, *REAL, out=out)

    kill_again_and_again(start, times, 3, expected, tmp_path, capsys)
    for key, row in rows_of(tmp_path / "study-0").items():
        weights = (tmp_path / "study-0" / "weights" / f"{key}.safetensors").read_bytes()
        assert row.record.weights_sha256 == quick_worker.sha256(weights)


@linux
def test_rows_do_not_depend_on_the_number_of_workers(uninterrupted, tmp_path, capsys):
    assert quick(tmp_path, *GRID, workers="3").wait() == 0
    assert export_of(tmp_path / "study", capsys) == uninterrupted[0]


def test_damaged_row_is_done_again_and_the_others_are_not(uninterrupted, tmp_path, capsys):
    assert quick(tmp_path, *GRID).wait() == 0
    before = rows_of(tmp_path / "study")
    key = sorted(before)[3]
    with contextlib.closing(runner.Store.create(tmp_path / "study")) as store:
        store._connection.execute("UPDATE runs SET result = '{}' WHERE key = ?", (key,))
    again = quick(tmp_path, *GRID)
    assert again.wait() == 0
    assert "1 damaged rows were left out; their runs are done again" in again.said()
    after = rows_of(tmp_path / "study")
    assert_kept({other: row for other, row in before.items() if other != key}, after)
    assert after[key].record == before[key].record
    assert export_of(tmp_path / "study", capsys) == uninterrupted[0]


# One worker dies ---------------------------------------------------------------------------------


@linux
@repeated(2, 50)
def test_killed_worker_is_noticed_and_its_run_done_again(times, uninterrupted, tmp_path, capsys):
    chance, killed, studies, slowest = random.Random(times), 0, 0, 0.0
    while killed < times:
        out = f"study-{studies}"
        command = quick(tmp_path, *GRID, out=out, step=0.0006)
        wait_until(lambda command=command: "to do," in command.said())
        for _ in range(min(2, times - killed)):
            killed_at = time.monotonic()
            noticed = command.said().count("begun again")
            os.kill(chance.choice(command.workers()), signal.SIGKILL)
            wait_until(
                lambda command=command, n=noticed: (
                    command.said().count("begun again") > n or command.process.poll() is not None
                )
            )
            slowest = max(slowest, time.monotonic() - killed_at)
            killed += 1
        assert command.wait() == 0, command.said()
        assert export_of(tmp_path / out, capsys) == uninterrupted[0]
        studies += 1
    assert slowest < 5, f"noticed after {slowest:.1f} s"
    print(f"{killed} workers killed: 0 runs lost, noticed within {slowest:.2f} s")


@pytest.fixture(scope="module")
def troubled(tmp_path_factory):
    """A study of cells that kill or end their workers, fail, die once, or change Python."""
    folder = tmp_path_factory.mktemp("troubled")
    names = "Killed Exits Raises Babbles Lies KilledOnce Patches Fine".split()
    cells = [f"quick:{name}" for name in names]
    words = ("--cells", *cells, "--lengths", "5", "--seeds", "1", "--train-steps", "100")
    command = quick(folder, *words)
    assert command.wait() == 1, command.said()
    return {row.record.config.cell[6:]: row for row in rows_of(folder / "study").values()}


@pytest.mark.parametrize(
    ("cell", "note", "attempts"),
    [
        ("Killed", "its worker died 3 times, the last time by signal 9", 3),
        ("Exits", "its worker died 3 times, the last time by exit status 3", 3),
        ("Raises", "RuntimeError: a fault of the cell's own", 1),
        ("Babbles", "its process said what is no message of digitspan's", 1),
        ("Lies", "what its process said of it cannot be", 1),
    ],
)
def test_run_that_cannot_be_finished_is_recorded_as_an_error(troubled, cell, note, attempts):
    record, timing, _ = troubled[cell]
    assert (record.end_state, record.note, timing.attempts) == ("error", note, attempts)
    assert record.accuracy is None


def test_run_whose_worker_died_once_is_like_any_other(troubled):
    record, timing, _ = troubled["KilledOnce"]
    assert (record.end_state, record.note, timing.attempts) == ("solved", "", 2)


def test_every_run_of_the_grid_has_its_row(troubled):
    assert len(troubled) == 8
    assert troubled["Fine"].record.solved
    assert troubled["Patches"].record.solved


def test_error_is_told_first_left_out_and_made_again_on_the_next_call(tmp_path, capsys):
    words = ("--cells", "quick:RaisesOnce", "quick:Fine", "--lengths", "5", "8", "--seeds", "1")
    assert quick(tmp_path, *words, "--train-steps", "100").wait() == 1
    before = rows_of(tmp_path / "study")
    assert (
        sorted(row.record.end_state for row in before.values()) == ["error"] * 2 + ["solved"] * 2
    )
    assert main(["show", str(tmp_path / "study"), "--no-figures"]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("2 runs ended in an error and are left out, such as ")
    assert "RuntimeError: a fault that is mended before the next call" in first
    assert not any("RaisesOnce" in line for line in rest if "│" in line), "counted as a failure"
    assert not any("error" in line for line in rest), "said twice"
    assert main(["show", str(tmp_path / "study"), "--csv"]) == 0
    table, said = capsys.readouterr()
    assert said.startswith(first)
    assert len(said.splitlines()) == 1
    assert table.startswith("cell,")
    again = quick(tmp_path, *words, "--train-steps", "100")
    assert again.wait() == 0
    after = rows_of(tmp_path / "study")
    assert {row.record.end_state for row in after.values()} == {"solved"}
    assert_kept({k: row for k, row in before.items() if row.record.solved}, after)
    assert main(["show", str(tmp_path / "study"), "--no-figures"]) == 0
    assert "error" not in capsys.readouterr().out


def test_study_with_a_cell_that_always_fails_has_no_span_of_it(tmp_path, capsys):
    words = ("--cells", "quick:Raises", "--lengths", "5", "8", "--seeds", "2")
    assert quick(tmp_path, *words, "--train-steps", "100").wait() == 1
    assert main(["show", str(tmp_path / "study"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["spans"] == []
    assert (len(found["errors"]), found["missing"]) == (4, 4)
    assert main(["show", str(tmp_path / "study"), "--no-figures"]) == 0
    assert "<= 5" not in capsys.readouterr().out


# A study is continued as it was begun ------------------------------------------------------------


def test_study_asked_for_two_budgets_is_refused_and_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "work", quick_worker.work)
    config = StudyConfig(cells=("rnn",), lengths=(5,), seeds=2, train_steps=100)
    rows = run_study(config, tmp_path, workers=1, progress=Told())
    other = dataclasses.replace(config, train_steps=200)
    match = r"^a study asked for two budgets: the runs in .* have 100 training steps, and 200 are"
    with pytest.raises(UsageError, match=match) as caught:
        run_study(other, tmp_path, workers=1, progress=Told())
    assert "\n" not in str(caught.value)
    with Store.open(tmp_path) as store:
        assert store.rows() == rows
        assert store.value("config") == config.canonical


def test_study_that_is_asked_for_more_seeds_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "work", quick_worker.work)
    config = StudyConfig(cells=("rnn",), lengths=(5,), seeds=2, train_steps=100)
    rows = run_study(config, tmp_path, workers=1, progress=Told())
    more = run_study(
        dataclasses.replace(config, seeds=3), tmp_path, workers=1, widen=True, progress=Told()
    )
    assert len(more) == 3
    assert_kept(rows, more)


@linux
def test_killed_joint_study_ends_as_if_nothing_had_been(tmp_path, capsys):
    """Its rounds follow from what is known: they are replayed, whatever order rows came in."""
    words = ("--cells", "rnn", "--longest", "40", "--runs", "36", "--figure-seeds", "1")
    words += ("--train-steps", "200")
    assert quick(tmp_path, *words, workers="1", out="whole").wait() == 0
    expected, chance = export_of(tmp_path / "whole", capsys), random.Random(0)
    assert len(expected.splitlines()) == 1 + 36 + 8
    killed = 0
    while True:
        command = quick(tmp_path, *words, workers="2")
        wanted = 6 + chance.randrange(6)
        wait_until(lambda c=command, n=wanted: c.said().count(" to do, ") >= n
                   or c.process.poll() is not None)  # fmt: skip
        if command.process.poll() is not None:
            assert command.wait() == 0, command.said()
            break
        command.kill()
        killed += 1
    assert killed >= 2
    assert export_of(tmp_path / "study", capsys) == expected
    roles = [row.role for row in rows_of(tmp_path / "study").values()]
    assert (roles.count("design"), roles.count("figure")) == (36, 8)
    weights = {path.stem for path in (tmp_path / "study" / "weights").iterdir()}
    kept = {key for key, row in rows_of(tmp_path / "study").items() if row.role == "figure"}
    assert weights == kept, "weights are those of the figure runs"


@pytest.mark.parametrize(
    ("cell", "status", "said"),
    [("Refuses", 2, "the cell cannot be used"), ("Breaks", 1, "the disk is full")],
)
def test_run_that_is_refused_ends_the_study_with_a_sentence(tmp_path, cell, status, said):
    words = ("--cells", f"quick:{cell}", "--lengths", "5", "--seeds", "1")
    command = quick(tmp_path, *words)
    assert command.wait() == status
    assert last_line(command) == f"digitspan study: {said}"
    assert not (tmp_path / "study").exists()


# Who holds the store -----------------------------------------------------------------------------


@linux
def test_second_study_is_refused_at_once_and_the_next_one_works(uninterrupted, tmp_path, capsys):
    first = quick(tmp_path, *GRID, step=0.002)
    wait_until(lambda: "to do" in first.said())
    begun = time.monotonic()
    second = quick(tmp_path, *GRID)
    assert second.wait() == 2
    assert_one_sentence(second.said())
    assert f"is being run by process {first.process.pid} since 20" in second.said()
    print(f"refused {time.monotonic() - begun:.2f} s after it was begun")
    first.kill()
    # The lock has died with its holder, although it was killed and its file is still there.
    assert (tmp_path / "study" / ".lock").exists()
    third = quick(tmp_path, *GRID)
    assert third.wait() == 0, third.said()
    assert export_of(tmp_path / "study", capsys) == uninterrupted[0]


# The clock jumps ---------------------------------------------------------------------------------


class Told:
    """A progress that remembers what it was told."""

    def __init__(self):
        self.seconds, self.warnings = [], []

    def planned(self, done, missing, later):
        pass

    def step(self, config, step):
        pass

    def finished(self, record, seconds):
        self.seconds.append(seconds)

    def warn(self, message):
        self.warnings.append(message)


@repeated(8, 20)
def test_clock_that_jumps_changes_nothing_but_the_times_shown(times, tmp_path, monkeypatch):
    hours = random.Random(times).choices((1, -1, 24, -24, -100_000), k=1000)
    clock = {"now": time.time()}

    def jumping():
        clock["now"] += 3600 * hours.pop()
        return clock["now"]

    monkeypatch.setattr(pool, "work", quick_worker.work)
    monkeypatch.setattr(time, "time", jumping)
    config, told = StudyConfig(cells=("rnn",), lengths=(5,), seeds=times, train_steps=100), Told()
    rows = run_study(config, tmp_path, workers=2, progress=told)
    assert len(rows) == times
    assert told.warnings == []
    assert 0 < min(told.seconds) <= max(told.seconds) < 10
    assert next_jobs(config, {key: row.record for key, row in rows.items()}) == []
    assert run_study(config, tmp_path, workers=2, progress=told) == rows


# Ctrl-C, SIGTERM, the terminal closed ------------------------------------------------------------


def interrupted_at_random(tmp_path, chance, longest, number, *, group, start=quick, words=GRID):
    """Begin a study, send it a signal at a random moment; its status, and how long it took."""
    command = start(tmp_path, *words)
    time.sleep(chance.uniform(0.1, longest))
    if command.process.poll() is not None:
        return None
    sent, said = time.monotonic(), command.said()
    command.send(number, group=group)
    status = command.wait(20)
    took = time.monotonic() - sent
    assert command.gone_after(3 + grace()), f"orphans after signal {number}"
    if status == 0:  # all was done and printed, and Python was tidying up
        assert "; 0 to do," in said, f"signal {number} was forgotten: {said}"
        return None
    if status == 1 and "KeyboardInterrupt" in command.said():
        # Python's own start (streams, site, runpy) was interrupted, which ends it with 1.
        assert "quick_study.py" not in command.said(), command.said()
        status = 128 + number
    assert status in (130, 143), command.said()
    # Before its first line Python itself is interrupted, and says so in its own way; after its
    # last run there is nothing left to keep.
    if "to do" in command.said() and "; 0 to do," not in command.said():
        assert "Traceback" not in command.said()
        assert last_line(command).endswith("finished runs are kept; call again to go on")
    return status, took


@linux
@repeated(4, 100)
def test_ctrl_c_ends_with_130_soon_and_loses_nothing(times, uninterrupted, tmp_path, capsys):
    chance, taken, before = random.Random(times), [], {}
    expected, seconds = uninterrupted
    while len(taken) < times:
        number, status = ((signal.SIGINT, 130), (signal.SIGTERM, 143))[len(taken) % 2]
        group = number == signal.SIGINT and chance.random() < 0.5  # as a terminal, or `kill`
        found = interrupted_at_random(tmp_path, chance, seconds, number, group=group)
        after = rows_of(tmp_path / "study")
        assert_kept(before, after)
        before = after
        if found is None:  # it was done before: begin again
            assert export_of(tmp_path / "study", capsys) == expected
            shutil.rmtree(tmp_path / "study")
            before = {}
            continue
        assert found[0] == status
        assert found[1] < 2 + grace(), f"it took {found[1]:.1f} s"
        taken.append(found[1])
    assert quick(tmp_path, *GRID).wait() == 0
    assert_kept(before, rows_of(tmp_path / "study"))
    assert export_of(tmp_path / "study", capsys) == expected
    taken.sort()
    print(
        f"{times} interrupts: 0 lost, 0 orphans, median {taken[times // 2]:.2f} s, "
        f"longest {taken[-1]:.2f} s"
    )


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_at_the_last_run_is_not_forgotten(number, status, tmp_path, monkeypatch):
    class AtTheEnd(Told):
        def finished(self, record, seconds):
            super().finished(record, seconds)
            if len(self.seconds) == 2:
                os.kill(os.getpid(), number)

    monkeypatch.setattr(pool, "work", quick_worker.work)
    config = StudyConfig(cells=("rnn",), lengths=(5,), seeds=2, train_steps=100)
    with pytest.raises(runner.Interrupted, match=r"^interrupted: 2 finished runs") as caught:
        run_study(config, tmp_path, workers=1, progress=AtTheEnd())
    assert caught.value.exit_status == status
    assert len(run_study(config, tmp_path, workers=1, progress=Told())) == 2


@linux
@repeated(2, 50)
def test_ctrl_c_while_workers_import_torch_ends_with_130(times, tmp_path):
    chance, taken = random.Random(times), []
    for _ in range(times):
        command = real(tmp_path, *REAL)
        wait_until(lambda command=command: "to do" in command.said())
        time.sleep(chance.uniform(0.2, 1))
        sent = time.monotonic()
        command.send(signal.SIGINT)
        assert command.wait(20) == 130
        taken.append(time.monotonic() - sent)
        assert command.gone_after(3 + grace()), "orphans"
        assert last_line(command).startswith("digitspan study: interrupted: ")
        assert "Traceback" not in command.said()
    assert max(taken) < 2 + grace(), f"it took {max(taken):.1f} s"
    print(f"{times} interrupts while torch was imported: longest {max(taken):.2f} s")


def deaf_study(tmp_path, out):
    """A study whose two workers do not listen to SIGTERM, once they are in the midst of a run."""
    words = ("--cells", "quick:Deaf", "--lengths", "5", "--seeds", "4")
    command = quick(tmp_path, *words, out=out)
    wait_until(lambda: len(list((tmp_path / out).glob("checkpoints/*.deaf"))) == 2)
    return command


@linux
@repeated(2, 100)
def test_second_ctrl_c_ends_at_once(times, tmp_path):
    # The first one has to wait for the workers.
    chance, taken = random.Random(times), []
    for number in range(times):
        command = deaf_study(tmp_path, f"study-{number}")
        command.send(signal.SIGINT, group=False)
        time.sleep(chance.uniform(0.05, 0.4))
        sent = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            command.send(signal.SIGINT, group=False)
        assert command.wait(20) == 130
        taken.append(time.monotonic() - sent)
        assert command.gone_after(3 + grace()), "orphans"
    assert max(taken) < 1 + grace(), f"it took {max(taken):.1f} s"
    print(f"{times} double interrupts: 0 orphans, longest {max(taken):.2f} s")


@linux
def test_worker_that_does_not_listen_is_killed_in_time(tmp_path):
    command = deaf_study(tmp_path, "study")
    sent = time.monotonic()
    command.send(signal.SIGINT)
    assert command.wait(20) == 130
    assert time.monotonic() - sent < 2 + grace()
    assert command.gone_after(grace()), "orphans"


@linux
@repeated(1, 20)
@pytest.mark.parametrize("name", ["SIGHUP", "SIGKILL"])  # Windows has neither
def test_driver_that_goes_without_a_word_leaves_no_orphans(name, times, tmp_path):
    # The terminal is closed, or the system kills the driver: the workers notice by themselves.
    number = getattr(signal, name)
    chance = random.Random(times)
    for _ in range(times):
        command = quick(tmp_path, *GRID, step=0.01)
        wait_until(lambda command=command: len(command.workers()) == 2)
        time.sleep(chance.uniform(0, 1))
        command.send(number, group=False)
        assert command.wait() == 128 + number
        assert command.gone_after(3 + grace()), "orphans"


# The disk is full --------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 1 MB, and a function that makes it larger."""

    def mount(*options):
        words = ["mount", "-t", "tmpfs", "-o", ",".join(options), "digitspan", str(disk)]
        return subprocess.run(words, capture_output=True, text=True)

    disk = tmp_path / "disk"
    disk.mkdir()
    if sys.platform != "linux" or shutil.which("mount") is None:
        pytest.skip("a disk of 1 MB can only be made on Linux")
    mounted = mount("size=1m")
    if mounted.returncode:
        pytest.skip(f"a disk of 1 MB cannot be made: {mounted.stderr.strip()}")
    yield disk, lambda: mount("remount", "size=32m")
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_study_whose_disk_is_full_stops_with_a_sentence_and_goes_on_later(
    small_disk, tmp_path, capsys
):
    disk, make_larger = small_disk
    words = ("--cells", "rnn", "--lengths", "5", "8", "--seeds", "15", "--train-steps", "20000")
    command = quick(tmp_path, *words, out=str(disk / "study"), step=0)
    assert command.wait() == 1, command.said()
    said = last_line(command)
    assert "Traceback" not in command.said()
    full_store = (
        rf"the disk is full: {disk}/study/study.db takes no more rows \([\d,]+ bytes free\)"
    )
    full_file = rf"cannot write {disk}/study/weights/.* \([\d,]+ bytes\): No space left on device"
    assert re.search(f"{full_store}|{full_file}", said), said
    before = rows_of(disk / "study")
    assert len(before) == command.said().count("to do, ")
    assert 5 < len(before) < 30
    make_larger()
    command = quick(tmp_path, *words, out=str(disk / "study"), step=0)
    assert command.wait() == 0, command.said()
    assert_kept(before, rows_of(disk / "study"))
    assert quick(tmp_path, *words, out="elsewhere", step=0).wait() == 0
    assert export_of(disk / "study", capsys) == export_of(tmp_path / "elsewhere", capsys)
    print(f"full after {len(before)} of 30 rows: 0 lost; {said}")


# Nobody idles between rounds ------------------------------------------------------------------


class OneByOne:
    """A crew of two that ends one run a time, by a rule, in an order of chance."""

    status = None

    def __init__(self, config, chance):
        self.config, self.chance = config, chance
        self.given, self.done, self.idle = [], {}, 0

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def room(self):
        return len(self.given) < 2

    def choose(self, waiting):
        return waiting.popleft()

    def give(self, job):
        self.given.append(job)

    def wait(self, wake_up):
        under_way = {job.config.key for job in self.given}
        asked = {job.config.key for job in next_jobs(self.config, self.done)} - under_way
        self.idle += len(self.given) < 2 and bool(asked)
        job = self.given.pop(self.chance.randrange(len(self.given)))
        record = made_up_record(job.config, solved=job.config.length < 10)
        self.done[job.config.key] = record
        yield job, {"record": record.to_json(), "timing": {"seconds": 1.0, "host": "here"}}


@pytest.mark.parametrize("design", ["grid", "joint"])
@pytest.mark.parametrize("seed", range(3))
def test_no_worker_idles_while_runs_are_known_and_the_runs_are_the_same(
    seed, design, tmp_path, monkeypatch
):
    # Of two cells: a climb from length to length; rounds placed by what is known.
    config = (
        StudyConfig(lengths=(5, 8, 20), seeds=2, learning_rates=(1e-3, 1e-2), climb=True)
        if design == "grid"
        else StudyConfig(longest=40, runs=33, figure_seeds=1, fixed_rate=1e-3, fixed_runs=12)
    )
    crew = OneByOne(config, random.Random(seed))
    monkeypatch.setattr(runner, "Pool", lambda options, size: crew)
    rows = run_study(config, tmp_path, workers=2, progress=Told())
    assert crew.idle == 0
    assert list(rows) == list(made_up_rows(config, lambda run: run.length < 10))


# What is refused before anything is done --------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seeds": 10**9}, r"^the study has 8,000,000,000 runs, more than 1,000,000"),
        ({"runs": 10**9}, r"^the study has 2,000,000,048 runs, more than 1,000,000"),
        ({"figure_seeds": 10**9}, r"^the study has .* runs, more than 1,000,000"),
        ({"fixed_rate": 0.1, "fixed_runs": 10**9}, r"^the study has .* more than 1,000,000"),
        ({"seeds": 2**62}, "more than 1,000,000"),
        ({"lengths": (10**7,)}, "GiB of memory"),
        ({"longest": 10**7}, "GiB of memory"),
        ({"continued_steps": 10**12}, "days or more"),
        ({"hidden_size": 10**6}, "GiB of memory"),
        ({"batch_size": 10**9}, "GiB of memory"),
        ({"train_steps": 10**12}, "days or more"),
        ({"train_steps": 2**62}, "days or more"),
    ],
)
def test_study_of_absurd_size_is_refused_before_anything_is_written(settings, message, tmp_path):
    config, begun = StudyConfig(**settings), time.monotonic()
    with pytest.raises(UsageError, match=message):
        run_study(config, tmp_path / "study", workers=1, progress=Told())
    assert time.monotonic() - begun < 1 + grace()
    assert list(tmp_path.iterdir()) == []


def test_study_of_ordinary_size_is_not_refused():
    check_study(StudyConfig(seeds=1000, lengths=(5, 1000)))


def test_half_written_files_of_a_killed_study_are_removed(tmp_path, monkeypatch):
    for name in ("weights", "checkpoints"):
        (tmp_path / name).mkdir()
        (tmp_path / name / ".unfinished-abc").write_bytes(b"half")
        (tmp_path / name / "whole").write_bytes(b"whole")
    monkeypatch.setattr(runner, "next_jobs", lambda config, records: [])
    run_study(StudyConfig(), tmp_path, workers=1, progress=Told())
    left = sorted(path.name for path in tmp_path.glob("*/*"))
    assert left == ["whole", "whole"]


def test_disk_that_is_full_ends_the_study_with_status_1(tmp_path, monkeypatch):
    def full(self, row):
        message = "the disk is full"
        raise DigitspanError(message)

    monkeypatch.setattr(pool, "work", quick_worker.work)
    monkeypatch.setattr(Store, "add", full)
    with pytest.raises(DigitspanError, match=r"^the disk is full$") as caught:
        run_study(StudyConfig(train_steps=100), tmp_path, workers=1, progress=Told())
    assert caught.value.exit_status == 1


def test_rows_are_given_back_sorted_by_key(tmp_path, monkeypatch):
    config = StudyConfig(cells=("rnn",), lengths=(5,), seeds=3)
    with Store.create(tmp_path) as store:
        for job in plan(config, {}):
            record = dataclasses.replace(RunRecord.error(job.config, "x"), end_state="diverged")
            store.add(Row(record, Timing(1.0, 2.0, "here", 1), job.role))
    rows = run_study(config, tmp_path, workers=1, progress=Told())
    assert list(rows) == sorted(rows)
    assert all(isinstance(row, Row) for row in rows.values())
    assert not list(Path(tmp_path).rglob("*.safetensors"))
    assert re.fullmatch(r"[0-9a-f]{12}", next(iter(rows)))
