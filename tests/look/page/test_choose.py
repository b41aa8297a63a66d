"""Which runs the page shows, and what it is given of them; no browser needed."""

import base64
import dataclasses
import json
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from pages import kept_run, page_of, page_that_learns
from studies import made_up_record, made_up_rows

from digitspan.cells.own import source_of
from digitspan.errors import UsageError
from digitspan.files import sha256
from digitspan.look.page import choose as choosing
from digitspan.look.page.choose import choose
from digitspan.look.page.data import document
from digitspan.runs.config import RunConfig
from digitspan.study.config import StudyConfig
from digitspan.study.reading import read_study
from digitspan.study.store import Store
from digitspan.tasks.palindrome import held_out

STUDY = StudyConfig(
    lengths=(5, 10, 20), seeds=2, learning_rates=(1e-3, 1e-2), hidden_size=4, train_steps=500
)


def kept_study(folder, rule, config=STUDY, luck=lambda record: record):
    """A study's folder as `digitspan study` leaves it, runs being solved by a rule."""
    rows = made_up_rows(config, rule)
    (folder / "weights").mkdir(parents=True)
    with Store.create(folder) as store:
        store.set_value("config", config.canonical)
        for key, row in rows.items():
            c = row.record.config
            if row.role not in ("figure", "grid"):
                store.add(row)
                continue
            weights = kept_run(c.cell, hidden_size=4, length=c.length, seed=c.seed).weights
            (folder / "weights" / f"{key}.safetensors").write_bytes(weights)
            record = dataclasses.replace(luck(row.record), weights_sha256=sha256(weights))
            store.add(row._replace(record=record))
    return folder


def kept_folder(folder, config=None, *, solved=True):
    """A run's folder as `digitspan train` leaves it."""
    config = config or RunConfig(cell="lstm", length=9, hidden_size=4)
    weights = kept_run(config.cell, hidden_size=4, length=config.length).weights
    record = dataclasses.replace(
        made_up_record(config, solved=solved), weights_sha256=sha256(weights)
    )
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(json.loads(config.canonical), indent=1))
    (folder / "weights.safetensors").write_bytes(weights)
    (folder / "record.json").write_text(json.dumps(record.to_json() | {"seconds": 1.0}))
    return folder


def shown(chosen):
    return [(run.config.cell, run.config.length) for run in chosen.runs[: chosen.show]]


@pytest.mark.parametrize(
    ("rule", "expected", "about"),
    [
        (
            lambda c: c.length <= (10 if c.cell == "lstm" else 5),
            10,
            "T = 10 is the longest length with networks of both that the LSTM learned (half of "
            "its runs, or more, were solved) and the RNN did not. Solved: RNN in 0 of 2 runs, "
            "LSTM in 2 of 2 runs",
        ),
        (
            lambda c: c.length <= (5 if c.cell == "lstm" else 20),
            20,
            "T = 20 is the longest length with networks of both that the RNN learned (half of "
            "its runs, or more, were solved) and the LSTM did not.",
        ),
        (
            lambda c: c.length <= 10,
            10,
            "T = 10 is the longest length with networks of both that both learned",
        ),
        (
            lambda c: False,
            5,
            "neither learned any length with networks of both (fewer than half of the runs were "
            "solved); T = 5 is the shortest.",
        ),
    ],
)
def test_study_shows_the_length_that_tells_most(tmp_path, rule, expected, about):
    chosen = choose([str(kept_study(tmp_path / "s", rule))])
    assert shown(chosen) == [("rnn", expected), ("lstm", expected)]
    assert chosen.about.startswith(about)
    # All other lengths are on the page too, a click away, the nearest ones first.
    assert len({(run.config.cell, run.config.length) for run in chosen.runs}) == 6


def test_all_seeds_are_on_the_page_the_pairs_first(tmp_path):
    chosen = choose([str(kept_study(tmp_path / "s", lambda c: c.cell == "lstm"))])
    found = [(r.config.cell, r.config.length, r.config.seed) for r in chosen.runs]
    length = found[0][1]
    assert found[:2] == [("rnn", length, 0), ("lstm", length, 0)]
    assert found[2:4] == [("rnn", length, 1), ("lstm", length, 1)]
    assert sorted(found) == sorted(
        (cell, t, seed) for cell in ("rnn", "lstm") for t in (5, 10, 20) for seed in (0, 1)
    )
    labels = {network["label"] for network in document(chosen, lambda run: "")["networks"]}
    assert "T = 10, seed 1, not solved" in labels


def test_a_page_takes_no_more_networks_than_there_is_room_for(tmp_path, monkeypatch):
    study = str(kept_study(tmp_path / "s", lambda c: c.cell == "lstm"))
    whole = choose([study])
    some = sum(len(run.weights) for run in whole.runs[:5])
    for room, fitting in ((some, 5), (some - 1, 4), (0, 2)):
        monkeypatch.setattr(choosing, "MOST_BYTES", room)
        chosen = choose([study])
        assert chosen.runs == whole.runs[:fitting]
        series = document(chosen, lambda run: "")["study"]["series"]
        off = [run for s in series for run in s["runs"] if run["network"] is None]
        assert len(off) == 12 - fitting
        assert {run["key"] for run in off} <= set(read_study(Path(study)).rows)


def test_page_full_of_networks_is_below_two_megabytes(tmp_path):
    """Eight of n = 128 are more than fit."""
    seeds = [kept_run(cell, hidden_size=128, seed=s) for s in range(4) for cell in ("rnn", "lstm")]
    fitting = choosing._fitting(seeds, 2)
    assert len(fitting) in (6, 7)
    assert 1.5e6 < len(page_of(*fitting)[0].encode()) < 2e6
    assert len(page_that_learns().encode()) < 600e3


def test_a_cell_is_shown_at_its_best_rate(tmp_path):
    rule = lambda c: c.learning_rate == (1e-2 if c.cell == "lstm" else 1e-3) and c.length < 20  # noqa: E731
    chosen = choose([str(kept_study(tmp_path / "s", rule))])
    assert shown(chosen) == [("rnn", 10), ("lstm", 10)]
    assert [run.config.learning_rate for run in chosen.runs[:2]] == [1e-3, 1e-2]
    assert "each at its best learning rate (0.001 and 0.01)" in chosen.about


def test_unsolved_cell_is_shown_by_an_unsolved_run_and_a_solved_one_by_a_solved(tmp_path):
    rule = lambda c: c.cell == "lstm" and c.seed == 1  # noqa: E731
    chosen = choose([str(kept_study(tmp_path / "s", rule))])
    assert [run.record.solved for run in chosen.runs[:2]] == [False, True]
    assert [run.config.seed for run in chosen.runs[:2]] == [0, 1]


def test_the_median_run_of_each_cell_is_shown_not_the_luckiest(tmp_path):
    """Of five runs: the LSTM solves three, at steps 250, 100 and 400; the RNN one."""
    config = dataclasses.replace(STUDY, seeds=5, lengths=(10,), learning_rates=(1e-3,))

    def luck(record):
        c = record.config
        if record.solved and c.cell == "lstm":
            return dataclasses.replace(record, steps={0: 250, 2: 100, 4: 400}[c.seed])
        if not record.solved:  # the more accurate, the higher the seed
            return dataclasses.replace(record, accuracy=0.1 + 0.1 * c.seed)
        return record

    rule = lambda c: c.seed in ((0, 2, 4) if c.cell == "lstm" else (3,))  # noqa: E731
    chosen = choose([str(kept_study(tmp_path / "s", rule, config, luck))])
    rnn, lstm = chosen.runs[:2]
    assert (lstm.record.solved, lstm.record.steps, lstm.config.seed) == (True, 400, 4)
    assert (rnn.record.solved, rnn.config.seed) == (False, 2)
    assert "RNN in 1 of 5 runs, LSTM in 3 of 5 runs" in chosen.about
    assert "shown is the median run of each" in chosen.about


def test_one_success_in_three_is_no_length_that_a_cell_learned(tmp_path):
    config = dataclasses.replace(STUDY, seeds=3)
    rule = lambda c: c.cell == "lstm" and (c.length < 20 or c.seed == 0)  # noqa: E731
    chosen = choose([str(kept_study(tmp_path / "s", rule, config))])
    assert shown(chosen) == [("rnn", 10), ("lstm", 10)]


JOINT = StudyConfig(
    longest=80, runs=28, figure_seeds=3, hidden_size=4, train_steps=500, fixed_rate=1e-3,
    fixed_runs=8,
)  # fmt: skip


@pytest.fixture(scope="module")
def joint(tmp_path_factory):
    """A study by the joint design: weights of the figure runs alone, as it leaves them."""
    folder = tmp_path_factory.mktemp("joint") / "s"
    limit = {"rnn": 8, "lstm": 30}
    return kept_study(folder, lambda c: c.length <= limit[c.cell] + c.seed % 3, JOINT)


def test_page_of_a_joint_study_is_of_figure_runs(joint):
    chosen = choose([str(joint)])
    study = read_study(joint)
    assert {study.rows[run.config.key].role for run in chosen.runs} == {"figure"}
    rnn, lstm = chosen.runs[:2]
    assert rnn.config.length == lstm.config.length
    assert (rnn.record.solved, lstm.record.solved) == (False, True)
    assert "the LSTM learned" in chosen.about
    records = [record for runs in chosen.study.curves.values() for record in runs]
    assert {study.rows[record.config.key].role for record in records} == {"figure"}
    assert len(records) == 2 * 8 * 3


def test_curves_of_one_run_of_a_joint_study_have_every_length(joint):
    """Each length has its own best rate: the curve at one run's rate alone would have gaps."""
    run = choose([str(joint)]).runs[0]
    curves = choose([f"{joint}:{run.config.key}"]).study
    assert len({record.config.length for record in curves.curves["rnn"]}) == 8
    assert "each length at its best learning rate" in curves.caption


def test_further_seeds_are_at_hand_for_the_figures(tmp_path):
    chosen = choose([str(kept_study(tmp_path / "s", lambda c: c.cell == "lstm"))])
    assert sorted((run.config.cell, run.config.seed) for run in chosen.seeds) == [
        ("lstm", 1),
        ("rnn", 1),
    ]


@pytest.mark.parametrize("only", ["solved", "unsolved"])
def test_figures_are_of_the_runs_asked_for_by_how_they_ended(tmp_path, only):
    study = str(kept_study(tmp_path / "s", lambda c: c.seed == 0))
    chosen = choose([study], for_page=False, only=only)
    runs = [*chosen.runs, *chosen.seeds]
    assert {run.record.solved for run in runs} == {only == "solved"}
    assert len({run.config.length for run in runs}) == 3


def test_figures_of_runs_that_no_study_has_are_refused(tmp_path):
    study = str(kept_study(tmp_path / "s", lambda c: True))
    with pytest.raises(UsageError, match="has no unsolved run that can be looked into"):
        choose([study], for_page=False, only="unsolved")
    with pytest.raises(UsageError, match=r"no run '000' among the \d+ of"):
        choose([study], for_page=False, keys=["000"])


def test_figures_are_of_the_runs_asked_for_by_key(tmp_path):
    study = str(kept_study(tmp_path / "s", lambda c: True))
    all_runs = choose([study], for_page=False).runs
    keys = [run.config.key for run in all_runs[3:8]]
    chosen = choose([study], for_page=False, keys=[*keys, keys[0]])
    assert [run.config.key for run in chosen.runs] == keys
    assert (chosen.show, chosen.seeds) == (5, ())


def test_study_of_one_cell_shows_one_network(tmp_path):
    config = dataclasses.replace(STUDY, cells=("lstm",))
    chosen = choose([str(kept_study(tmp_path / "s", lambda c: c.length < 20, config))])
    assert shown(chosen) == [("lstm", 10)]


def test_one_run_of_a_study(tmp_path):
    folder = kept_study(tmp_path / "s", lambda c: True)
    config = RunConfig(
        cell="rnn", length=20, seed=1, learning_rate=1e-2, hidden_size=4, train_steps=500
    )
    chosen = choose([f"{folder}:{config.key}"])
    assert chosen.runs[0].config == config
    rates = {r.config.learning_rate for runs in chosen.study.curves.values() for r in runs}
    assert rates == {1e-2}


def test_folders_of_single_runs(tmp_path):
    rnn = RunConfig(cell="rnn", length=9, hidden_size=4)
    one, two = kept_folder(tmp_path / "one"), kept_folder(tmp_path / "two: 2", rnn)
    chosen = choose([str(one), str(two)])
    assert shown(chosen) == [("lstm", 9), ("rnn", 9)]
    assert chosen.study is None


def test_cell_of_ones_own_stands_beside_any_start(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "examples"))
    config = dataclasses.replace(
        STUDY, cells=("rnn", "lstm", "leaky:LeakyRNN"), initialisation=("normal", "uniform")
    ).with_sources()
    study = kept_study(tmp_path / "s", lambda c: c.cell == "rnn" or c.length < 10, config)
    chosen = choose([str(study)], trust=True)
    assert shown(chosen) == [("rnn", 20), ("leaky:LeakyRNN", 20)]
    assert list(chosen.study.curves) == ["rnn", "lstm", "leaky:LeakyRNN"]
    starts = {r.config.initialisation for runs in chosen.study.curves.values() for r in runs}
    assert len(starts) == 2
    assert "own" in starts
    key = next(run.config.key for run in chosen.runs if ":" in run.config.cell)
    curves = choose([f"{study}:{key}"], trust=True).study.curves
    assert list(curves) == ["rnn", "lstm", "leaky:LeakyRNN"]


def break_weights(folder):
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")


def make_other_cell(folder):
    """Let a run be one of mine:Cell, whose file is in the current folder."""
    source = source_of("mine:Cell").digest
    for name in ("config.json", "record.json"):
        text = (folder / name).read_text().replace('"lstm"', '"mine:Cell"')
        (folder / name).write_text(text.replace('"source": ""', f'"source": "{source}"'))


REFUSED_FOLDERS = {
    "no weights": (
        lambda folder: (folder / "weights.safetensors").unlink(),
        "is not finished: it has no weights.safetensors yet",
    ),
    "no record": (
        lambda folder: (folder / "record.json").unlink(),
        "is not finished: it has no weights.safetensors yet",
    ),
    "damaged weights": (break_weights, "is damaged: its SHA-256 is not the one"),
    "damaged config": (
        lambda folder: (folder / "config.json").write_text("{"),
        "is not the configuration of a run",
    ),
}


@pytest.mark.parametrize("fault", REFUSED_FOLDERS)
def test_damaged_folder_is_refused(tmp_path, fault):
    act, sentence = REFUSED_FOLDERS[fault]
    folder = kept_folder(tmp_path / "run")
    act(folder)
    with pytest.raises(UsageError, match=sentence):
        choose([str(folder)])


def test_cell_without_equations_on_the_page_is_refused(tmp_path, monkeypatch):
    folder = kept_folder(tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("raise RuntimeError")  # nothing here imports it
    make_other_cell(folder)
    with pytest.raises(UsageError, match="mine:Cell is not digitspan's: its code is run only"):
        choose([str(folder)])
    with pytest.raises(
        UsageError, match=r"cannot step the cell 'mine:Cell'.* rnn.* to mine.js beside mine.py"
    ):
        choose([str(folder)], trust=True)
    [run] = choose([str(folder)], for_page=False, trust=True).runs
    assert run.config.cell == "mine:Cell"
    (tmp_path / "mine.js").write_text("")
    assert [run.config.cell for run in choose([str(folder)], trust=True).runs] == ["mine:Cell"]


WHOLE_AND_STEPPED = """
from typing import Any, NamedTuple
from torch import nn

class State(NamedTuple):
    hidden: Any

class Whole(nn.Module):
    def __init__(self, input_size, hidden_size, num_classes):
        super().__init__()
        self.layer = nn.Linear(input_size, num_classes)

class Stepped(Whole):
    def initial_state(self, batch_size):
        return State(self.layer.weight.new_zeros(batch_size, 10))

    def step(self, x, state):
        return State(state.hidden + self.layer(x))

    def read_out(self, state):
        return self.layer(state.hidden)

class Nameless(Stepped):
    def initial_state(self, batch_size):
        return tuple(super().initial_state(batch_size))

class Nested(Stepped):
    def initial_state(self, batch_size):
        return State(tuple(super().initial_state(batch_size)))

class Raises(Stepped):
    def initial_state(self, batch_size):
        raise ValueError("not today")
"""


def test_figures_of_a_study_leave_out_a_cell_that_cannot_be_followed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for module in ("mixed", "gone"):
        (tmp_path / f"{module}.py").write_text(WHOLE_AND_STEPPED)
    left_out = {
        "mixed:Whole": "has no initial_state, step, read_out",
        "mixed:Nameless": "its state is a tuple, expected a NamedTuple",
        "mixed:Nested": "its state's hidden is a tuple, expected a real tensor",
        "mixed:Raises": "ValueError: not today",
        "gone:Stepped": "was not found",
    }
    cells = ("lstm", "mixed:Stepped", *left_out)
    config = StudyConfig(cells=cells, lengths=(5,), seeds=1).with_sources()
    study = kept_study(tmp_path / "s", lambda c: c.cell != "lstm", config)
    (tmp_path / "gone.py").unlink()
    monkeypatch.delitem(sys.modules, "gone")
    assert [run.config.cell for run in choose([str(study)]).runs] == ["lstm"]
    assert {run.config.cell for run in choose([str(study)], for_page=False).runs} == {"lstm"}
    drawn = choose([str(study)], for_page=False, trust=True)
    assert {run.config.cell for run in drawn.runs} == {"lstm", "mixed:Stepped"}
    assert len(drawn.left_out) == len(left_out)
    for cell, why in left_out.items():
        assert any(cell in said and why in said for said in drawn.left_out), cell


def test_what_is_no_run_is_refused(tmp_path):
    study = kept_study(tmp_path / "s", lambda c: True)
    for name in ("nowhere", "", str(tmp_path), str(tmp_path / "a:b")):
        with pytest.raises(UsageError, match=r"no run at '.*': expected a run's folder"):
            choose([name])
    with pytest.raises(UsageError, match=r"no run '000' among the \d+ of"):
        choose([f"{study}:000"])
    with pytest.raises(UsageError, match=r"is a study, and one run of it is meant here: .*:KEY"):
        choose([str(study), str(study)])
    with pytest.raises(UsageError, match="at most two runs can be seen side by side; got 3"):
        choose(["a", "b", "c"])


def test_study_without_weights_is_refused(tmp_path):
    study = kept_study(tmp_path / "s", lambda c: True)
    for file in (study / "weights").iterdir():
        file.unlink()
    with pytest.raises(UsageError, match="has no finished run that can be"):
        choose([str(study)])


def test_every_file_of_the_page_is_installed():
    root = Path(__file__).parents[3]
    package = root / "src" / "digitspan"
    settings = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]
    installed = {
        file for pattern in settings["package-data"]["digitspan"] for file in package.glob(pattern)
    }
    files = {file for file in (package / "look" / "page").rglob("*.*") if "py" not in file.suffix}
    assert len(files) > 15
    assert files <= installed


def test_weights_come_back_as_they_were():
    run = kept_run("lstm")
    data = page_of(run)[1]
    for name, values in safetensors.numpy.load(run.weights).items():
        sent = data["networks"][0]["weights"][name]
        read = np.frombuffer(base64.b64decode(sent["data"]), "<f4").reshape(sent["shape"])
        np.testing.assert_array_equal(read, values)


def test_examples_are_held_out_and_every_first_digit_comes(tmp_path):
    examples = page_of(kept_run("rnn", length=10))[1]["examples"]["10"]
    test = {tuple(row) for row in held_out(10, "test").questions.inputs.tolist()}
    assert {tuple(map(int, text)) for text in examples} <= test
    assert len(set(examples)) == 40
    assert {text[0] for text in examples} == set("0123456789")
    assert page_of(kept_run("rnn", length=4))[1]["examples"]["4"] == []  # nothing is held out


def test_snapshots_of_small_networks_are_on_the_page():
    small, large = kept_run(snapshots=(0, 400)), kept_run(hidden_size=33, snapshots=(0,))
    networks = page_of(small, large)[1]["networks"]
    assert [s["step"] for s in networks[0]["snapshots"]] == [0, 400]
    assert networks[1]["snapshots"] == []
    kept = safetensors.numpy.load(small.snapshots)
    for name, sent in networks[0]["snapshots"][1]["weights"].items():
        read = np.frombuffer(base64.b64decode(sent["data"]), "<f4").reshape(sent["shape"])
        np.testing.assert_array_equal(read, kept[f"400/{name}"])


def test_snapshots_of_another_network_are_refused():
    other = kept_run(hidden_size=8, snapshots=(0,)).snapshots
    for snapshots in (other, kept_run().weights):
        with pytest.raises(UsageError, match="are not those of its network: each must have"):
            page_of(kept_run()._replace(snapshots=snapshots))


def test_document_is_json_and_tells_where_runs_of_the_curve_are(tmp_path):
    chosen = choose([str(kept_study(tmp_path / "s", lambda c: c.cell == "lstm"))])
    data = document(chosen, lambda run: "because")
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    series = {s["title"]: s for s in data["study"]["series"]}
    assert [m["length"] for m in series["LSTM"]["medians"]] == [5, 10, 20]
    places = [run["network"] for s in series.values() for run in s["runs"]]
    on_page = sorted(place for place in places if place is not None)
    assert on_page == list(range(len(data["networks"])))
    assert data["networks"][0]["why"] == "because"
