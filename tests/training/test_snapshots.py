"""Snapshots of a network on its way: which are kept, that they change nothing, and how large."""

import json

import numpy as np
import pytest
import safetensors.numpy
import torch

from digitspan.cli import main
from digitspan.errors import UsageError
from digitspan.runs.config import RunConfig
from digitspan.training import snapshots as module
from digitspan.training.engine import build_network
from digitspan.training.run import train
from digitspan.training.snapshots import Snapshots

CONFIG = RunConfig(
    cell="rnn", length=9, hidden_size=6, batch_size=4, train_steps=600, learning_rate=0.01
)


@pytest.fixture(scope="module")
def finished():
    return train(CONFIG, snapshots=5)


def steps_of(content):
    return sorted({int(name.partition("/")[0]) for name in safetensors.numpy.load(content)})


def test_snapshots_are_spread_evenly_and_begin_untrained(finished):
    assert finished.record.steps == 600
    assert steps_of(finished.snapshots) == [0, 100, 200, 400, 500]  # evenly, of every 100th step
    kept = safetensors.numpy.load(finished.snapshots)
    untrained = build_network(CONFIG).state_dict()
    assert {name.partition("/")[2] for name in kept} == set(untrained)
    for name, values in untrained.items():
        np.testing.assert_array_equal(kept[f"0/{name}"], values.numpy())


def test_snapshot_is_the_network_of_a_shorter_training(finished):
    """After 200 of 600 steps it is what a budget of 200 steps would have left."""
    shorter = train(RunConfig(**json.loads(CONFIG.canonical) | {"train_steps": 200}))
    kept = safetensors.numpy.load(finished.snapshots)
    for name, values in safetensors.numpy.load(shorter.weights).items():
        np.testing.assert_array_equal(kept[f"200/{name}"], values)
        assert not np.array_equal(kept[f"100/{name}"], values)


def test_snapshots_change_nothing_of_the_run(finished):
    without = train(CONFIG)
    assert without.snapshots == b""
    assert (without.record, without.weights) == (finished.record, finished.weights)


@pytest.mark.parametrize("count", [1, 2, 5, 20])
@pytest.mark.parametrize("last", [50, 250, 1_000, 9_950])
def test_so_many_are_kept_whenever_training_ends(count, last):
    network = build_network(CONFIG)
    taken = Snapshots(count, CONFIG, network)
    for step in range(50, last + 1, 50):
        taken.see(step, network)
        assert len(taken.taken) <= 2 * count  # what a checkpoint holds is bounded too
    steps = steps_of(taken.file(last))
    assert steps[0] == 0
    assert max(steps) < last
    assert len(steps) == min(count, last // 50)
    gaps = np.diff([*steps, last])
    assert max(gaps) <= 2.5 * last / min(count, last // 50)


def test_interrupted_run_keeps_the_same_snapshots(finished, tmp_path):
    def stop(point):
        if point.step == 350:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(CONFIG, checkpoint=tmp_path / "checkpoint", snapshots=5, on_evaluation=stop)
    resumed = train(CONFIG, checkpoint=tmp_path / "checkpoint", snapshots=5)
    assert resumed.record == finished.record
    assert resumed.snapshots == finished.snapshots


def test_more_than_may_be_kept_is_refused_with_what_fits(monkeypatch):
    network = torch.nn.Linear(100, 25, bias=False)  # 10 kB
    monkeypatch.setattr(module, "MOST_SNAPSHOT_BYTES", 35_000)
    with pytest.raises(UsageError, match=r"5 snapshots of rnn with n = 6 .* give --snapshots 3"):
        Snapshots(5, CONFIG, network)
    Snapshots(3, CONFIG, network)


# The command -------------------------------------------------------------------------------------

WORDS = ("train", "rnn", "--length", "5", "--hidden-size", "4", "--batch-size", "4")
WORDS += ("--train-steps", "100")


def test_command_keeps_them_with_the_run_and_refuses_one_without(tmp_path, capsys):
    folder = tmp_path / "run"
    words = (*WORDS, "--out", str(folder))
    assert main(words) == 0
    assert not (folder / "snapshots.safetensors").exists()
    before = (folder / "record.json").read_bytes()
    assert main([*words, "--snapshots"]) == 2
    assert "trained without --snapshots; leave the option out" in capsys.readouterr().err
    assert (folder / "record.json").read_bytes() == before
    assert main([*words, "--snapshots", "2", "--overwrite"]) == 0
    assert steps_of((folder / "snapshots.safetensors").read_bytes()) == [0, 50]
    assert main([*words, "--snapshots", "2"]) == 0  # they are there
    assert main(words) == 0


@pytest.mark.parametrize("number", ["0", "21", "many"])
def test_number_out_of_range_is_a_sentence(number, tmp_path, capsys):
    assert main([*WORDS, "--out", str(tmp_path / "run"), "--snapshots", number]) == 2
    assert "--snapshots must be a whole number from 1 to 20" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_damaged_snapshots_are_a_sentence(tmp_path, capsys):
    folder = tmp_path / "run"
    assert main([*WORDS, "--out", str(folder), "--snapshots", "2"]) == 0
    file = folder / "snapshots.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    for state in ("damaged", "missing"):
        file.write_bytes(content) if state == "damaged" else file.unlink()
        assert main(["look", str(folder), "-o", str(tmp_path / "page.html")]) == 2
        assert f"snapshots.safetensors is {state}: " in capsys.readouterr().err
        assert not (tmp_path / "page.html").exists()
