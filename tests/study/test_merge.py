"""Shards of a study become one store, or a sentence says why not."""

import dataclasses
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import Command
from studies import made_up_rows

from digitspan.cli import main
from digitspan.errors import StoreError, UsageError
from digitspan.files import sha256
from digitspan.runs.record import RunRecord
from digitspan.study import merge
from digitspan.study.config import StudyConfig
from digitspan.study.merge import merge_stores
from digitspan.study.plan import next_jobs
from digitspan.study.store import Store, weights_path

BOTH = StudyConfig(
    lengths=(5, 8, 20), seeds=4, compared_optimizers=("sgd",), compared_rates=(1e-2,)
)


def kept(folder, config, change=lambda record: record):
    """A study made up by a rule, as a store with weights."""
    folder.mkdir(exist_ok=True)
    (folder / "weights").mkdir(exist_ok=True)
    rows = made_up_rows(config, lambda run: run.length < 10)
    with Store.create(folder) as store:
        store.set_value("config", config.canonical)
        for key, row in rows.items():
            weights = row.record.config.canonical.encode()
            record = dataclasses.replace(row.record, weights_sha256=sha256(weights))
            store.add(row._replace(record=change(record)))
            if row.role in ("grid", "figure", "span"):  # the weights of other runs are not kept
                weights_path(folder, key).write_bytes(weights)
    return folder


@pytest.fixture
def shards(tmp_path):
    """A study of both cells, and the same in two shards."""
    whole = kept(tmp_path / "whole", BOTH)
    halves = [kept(tmp_path / c, dataclasses.replace(BOTH, cells=(c,))) for c in BOTH.cells]
    return whole, halves


def contents(folder):
    """What a store says, and the files of weights with what they hold."""
    with Store.open(folder) as store:
        assert store.damaged == 0
        rows, config = store.rows(), store.value("config")
    weights = {path.name: path.read_bytes() for path in (folder / "weights").iterdir()}
    return rows, config, weights


def test_merged_shards_equal_the_study_in_one_store(shards, tmp_path, capsys):
    whole, halves = shards
    assert main(["merge", *map(str, halves), "--out", str(tmp_path / "out")]) == 0
    rows, config, weights = contents(tmp_path / "out")
    assert (rows, config, weights) == contents(whole)
    assert len(rows) > 2 * 3 * 4  # compared optimisers too, whose weights are not kept
    assert len(weights) == 2 * 3 * 4
    said = capsys.readouterr()
    assert said.out == ""
    assert f"out has {len(rows)} runs" in said.err


def test_merging_again_changes_nothing(shards, tmp_path):
    whole, halves = shards
    out = tmp_path / "out"
    merge_stores(halves[:1], out)
    for _ in range(2):
        assert merge_stores([halves[1], halves[0]], out) == len(contents(whole)[0])
        assert contents(out) == contents(whole)
    assert merge_stores([halves[1]], out) == len(contents(whole)[0])
    assert contents(out) == contents(whole)


def test_a_study_is_not_merged_with_itself(shards, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rnn, lstm = shards[1]
    (tmp_path / "link").symlink_to(rnn)
    for again in (rnn, rnn / "study.db", Path("rnn"), tmp_path / "link"):
        with pytest.raises(UsageError, match=r"rnn/study\.db is named twice, and a study merged"):
            merge_stores([rnn, lstm, again], tmp_path / "out")
        assert not (tmp_path / "out").exists()
    with pytest.raises(UsageError, match=r"rnn/study\.db is --out itself; name another study bes"):
        merge_stores([rnn], Path("rnn"))


def test_merged_study_asks_for_no_further_runs(shards, tmp_path):
    merge_stores(shards[1], tmp_path / "out")
    words = ["study", "--cells", "rnn", "lstm", "--lengths", "5", "8", "20", "--seeds", "4"]
    words += ["--compared-optimizers", "sgd", "--compared-rates", "0.01"]
    words += ["--out", str(tmp_path / "out")]
    script = (
        "import sys; from digitspan.study import runner; runner.Pool.give = None;"
        "from digitspan.commands import study; study.write_figures = lambda *_: None;"
        "from digitspan.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    subprocess.run([sys.executable, "-c", script, *words], check=True, capture_output=True)


def refused(tmp_path, *studies, match):
    """Nothing is written where a merge is refused."""
    with pytest.raises(StoreError, match=match) as caught:
        merge_stores(studies, tmp_path / "out")
    assert caught.value.exit_status == 2
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_rows_that_contradict_each_other_are_refused(shards, tmp_path):
    config = dataclasses.replace(BOTH, cells=("rnn",))

    def one_other(record):
        is_it = (record.config.length, record.config.seed) == (8, 3)
        return dataclasses.replace(record, steps=record.steps + 1) if is_it else record

    other = kept(tmp_path / "other", config, one_other)
    match = (
        r"rnn/study.db and .*other/study.db contradict .* \(rnn-T008-lr.*-seed3\): steps is 250"
    )
    refused(tmp_path, *shards[1], other, match=match)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"note": "a" * 300 + "b" * 300},
            r"note is \.\.\.a{20} in one and \.\.\.a{20}b{40}\.\.\. in",
        ),
        (
            {"environment": {"torch": "1", "threads": "2"}},
            r"environment.threads is 1 in one and 2",
        ),
    ],
)
def test_contradiction_is_told_where_it_begins(shards, tmp_path, settings, said):
    config = dataclasses.replace(BOTH, cells=("rnn",))
    alike = {"note": "a" * 300, "environment": {"torch": "1", "threads": "1"}}
    one = kept(tmp_path / "one", config, lambda record: dataclasses.replace(record, **alike))
    both = alike | settings
    other = kept(tmp_path / "other", config, lambda record: dataclasses.replace(record, **both))
    refused(tmp_path, one, other, match=said)


def test_rows_that_differ_in_timing_alone_do_not_contradict(shards, tmp_path):
    again = kept(tmp_path / "again", dataclasses.replace(BOTH, cells=("rnn",)))
    with Store.create(again) as store:
        for row in store.rows().values():
            store.add(row._replace(timing=row.timing._replace(seconds=99.0, host="there")))
    merge_stores([*shards[1], again], tmp_path / "out")
    assert contents(tmp_path / "out") == contents(shards[0])


@pytest.mark.parametrize("first", ["error", "outcome"])
def test_error_gives_way_to_the_outcome_that_another_shard_has(first, shards, tmp_path):
    """An error is no outcome: nothing is contradicted, and nothing is lost."""
    whole, (rnn, lstm) = shards

    def failed(record):
        is_it = (record.config.length, record.config.seed) == (8, 3)
        return RunRecord.error(record.config, "its worker died") if is_it else record

    other = kept(tmp_path / "other", dataclasses.replace(BOTH, cells=("rnn",)), failed)
    merge_stores([other, rnn, lstm] if first == "error" else [rnn, other, lstm], tmp_path / "out")
    assert contents(tmp_path / "out") == contents(whole)


def test_merged_shards_of_a_joint_study_equal_it_and_keep_what_runs_are_for(tmp_path):
    config = StudyConfig(longest=40, runs=28, figure_seeds=1, train_steps=500)
    whole = kept(tmp_path / "whole", config)
    halves = [kept(tmp_path / c, dataclasses.replace(config, cells=(c,))) for c in config.cells]
    merge_stores(halves, tmp_path / "out")
    rows, _, _ = contents(tmp_path / "out")
    assert (rows, contents(tmp_path / "out")) == (contents(whole)[0], contents(whole))
    assert {row.role for row in rows.values()} == {"design", "figure"}


@pytest.mark.parametrize(
    ("setting", "value"), [("batch_size", 7), ("max_grad_norm", 1.0), ("optimizer", "adam")]
)
def test_stores_of_different_studies_are_refused(setting, value, shards, tmp_path):
    config = dataclasses.replace(BOTH, cells=("lstm",), **{setting: value})
    other = kept(tmp_path / "other", config)
    refused(tmp_path, shards[1][0], other, match=f"are of different studies: {setting} is .* in")


PLAIN = StudyConfig(cells=("rnn",), lengths=(5, 8, 20), seeds=6, hidden_size=(4, 8))
LISTS = StudyConfig(
    cells=("rnn",), design="span", task="recall", seeds=4, learning_rates=(1e-3,), items=4,
    hidden_size=(4, 8), train_steps=500, optimizer="adam",
)  # fmt: skip


@pytest.mark.parametrize(
    ("whole", "one", "other"),
    [
        (PLAIN, {"seeds": 2}, {"first_seed": 2, "seeds": 4}),
        (PLAIN, {"seeds": 4}, {"first_seed": 3, "seeds": 3}),
        (PLAIN, {"lengths": (5, 20)}, {"lengths": (8,)}),
        (PLAIN, {"hidden_size": 4}, {"hidden_size": 8}),
        (
            dataclasses.replace(PLAIN, train_steps=(200, 300, 400)),
            {"train_steps": 300},
            {"train_steps": (200, 400)},
        ),
        (
            dataclasses.replace(PLAIN, learning_rates=(1e-3, 1e-2)),
            {"learning_rates": (1e-2,)},
            {"learning_rates": (1e-3,)},
        ),
        (LISTS, {"seeds": 1}, {"first_seed": 1, "seeds": 3}),
        (LISTS, {"hidden_size": 8}, {"hidden_size": 4}),
    ],
)
def test_what_machines_share_of_a_study_is_the_study_once_merged(whole, one, other, tmp_path):
    shares = [dataclasses.replace(whole, **words) for words in (one, other)]
    stores = [kept(tmp_path / str(index), share) for index, share in enumerate(shares)]
    merge_stores(stores, tmp_path / "out")
    together = kept(tmp_path / "whole", whole)
    rows, config, _ = contents(tmp_path / "out")
    assert (rows, config) == contents(together)[:2]
    assert not next_jobs(whole, {key: row.record for key, row in rows.items()})
    assert {row.role for row in rows.values()} <= {"grid", "span"}


def test_seeds_that_leave_a_gap_are_refused(tmp_path):
    words = ({"seeds": 2}, {"first_seed": 5, "seeds": 1})
    shares = [dataclasses.replace(PLAIN, **some) for some in words]
    stores = [kept(tmp_path / str(index), share) for index, share in enumerate(shares)]
    refused(tmp_path, *stores, match=r"leave out the seeds 2 to 4; .* --first-seed 2")


def test_damaged_store_is_refused(shards, tmp_path):
    with Store.create(shards[1][1]) as store:
        store._connection.execute("UPDATE runs SET result = '{}' WHERE key < '2'")
    refused(tmp_path, *shards[1], match=r"\d+ rows of .*lstm/study.db are damaged")


def test_damaged_weights_are_refused_and_no_row_is_kept(shards, tmp_path):
    path = sorted((shards[1][1] / "weights").iterdir())[0]
    path.write_bytes(b"other")
    with pytest.raises(UsageError, match=f"{path.name} is damaged: .* remove it to go on"):
        merge_stores(shards[1], tmp_path / "out")
    with Store.create(tmp_path / "out") as store:
        assert store.rows() == {}
    path.unlink()
    merge_stores(shards[1], tmp_path / "out")
    rows, _, weights = contents(tmp_path / "out")
    assert rows == contents(shards[0])[0]
    assert len(weights) == len(contents(shards[0])[2]) - 1


def test_contradiction_with_what_is_there_already_leaves_it_alone(shards, tmp_path):
    _, (rnn, lstm) = shards
    out = tmp_path / "out"
    merge_stores([lstm], out)
    before = contents(out)
    other = dataclasses.replace(BOTH, cells=("lstm",))
    worse = kept(tmp_path / "worse", other, lambda record: dataclasses.replace(record, loss=9.0))
    with pytest.raises(StoreError, match=r"out/study.db and .*worse/study.db contradict"):
        merge_stores([rnn, worse], out)
    assert contents(out) == before


def test_store_in_use_is_not_merged_into(shards, tmp_path):
    merge_stores(shards[1], tmp_path / "out")
    holder = Store.create(tmp_path / "out")
    with pytest.raises(StoreError, match=f"is being run by process {os.getpid()}"):
        merge_stores(shards[1], tmp_path / "out")
    holder.close()


@pytest.mark.parametrize("stop", ["weights", "rows"])
def test_merge_that_breaks_on_the_way_keeps_no_row_and_can_be_called_again(
    stop, shards, tmp_path, monkeypatch
):
    calls = []

    def breaks(*arguments):
        calls.append(arguments)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return original(*arguments)

    where, name = {"weights": (merge, "write_whole"), "rows": (Store, "_insert")}[stop]
    original = getattr(where, name)
    monkeypatch.setattr(where, name, breaks)
    with pytest.raises(KeyboardInterrupt):
        merge_stores(shards[1], tmp_path / "out")
    monkeypatch.undo()
    with Store.create(tmp_path / "out") as store:
        assert store.rows() == {}
    merge_stores(shards[1], tmp_path / "out")
    assert contents(tmp_path / "out") == contents(shards[0])


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize("times", [2, pytest.param(30, marks=pytest.mark.slow)])
def test_killed_merge_is_whole_or_not_there(times, shards, tmp_path):
    whole, halves = shards
    chance = random.Random(times)
    for number in range(times):
        out = tmp_path / f"out-{number}"
        words = ("-m", "digitspan", "merge", *map(str, halves), "--out", str(out))
        command = Command(*words, folder=tmp_path)
        while not (out / "study.db").exists() and command.process.poll() is None:
            time.sleep(0.001)
        time.sleep(chance.uniform(0, 0.05))
        command.kill()
        assert command.process.returncode in (0, -signal.SIGKILL)
        with Store.create(out) as store:
            assert len(store.rows()) in (0, len(contents(whole)[0]))
        merge_stores(halves, out)
        assert contents(out) == contents(whole)
        assert not list(out.rglob(".unfinished*"))


def test_shards_that_share_cells_have_their_hidden_sizes_together(tmp_path):
    """A number of parameters has chosen these; of one cell it may not have chosen two."""
    base = StudyConfig(lengths=(5, 8), seeds=1, parameters=5_000)
    sizes = {"rnn": 62, "lstm": 29, "gru": 34}

    def shard(name, *cells, **changed):
        found = tuple(f"{cell} one-hot {(sizes | changed)[cell]}" for cell in cells)
        return kept(tmp_path / name, dataclasses.replace(base, cells=cells, sizes=found))

    one, two = shard("one", "rnn", "lstm"), shard("two", "lstm", "gru")
    assert merge_stores([one, two], tmp_path / "out") == 3 * 2
    with Store.open(tmp_path / "out") as store:
        config = StudyConfig.from_canonical(store.value("config"))
    assert {cell: config.sizes_of(cell, "one-hot") for cell in config.cells} == {
        cell: (size,) for cell, size in sizes.items()
    }
    three = shard("three", "gru", "lstm", lstm=30)
    with pytest.raises(StoreError, match=r"one/.* and .*three/.* chose other .*lstm.*29 and 30"):
        merge_stores([one, three], tmp_path / "other")
    assert not (tmp_path / "other").exists()
