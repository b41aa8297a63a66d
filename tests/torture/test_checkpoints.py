"""Checkpoints: damaged ones are noticed, hostile ones not executed, whole ones change nothing.

Some moments by default, all of them in `make torture`. That a
checkpoint without its generator or its optimiser would be noticed is tested in test_run.py.
"""

import contextlib
import io
import itertools
import os
import pickle
import random
import zipfile

import pytest
import torch

from digitspan.files import read_verified, sha256, write_verified
from digitspan.runs.config import RunConfig
from digitspan.training.engine import TrainerGroup
from digitspan.training.run import train

STEPS = 60


class Stopped(KeyboardInterrupt):
    """Ctrl-C at a step that is chosen."""


def interrupted_at(k, config, checkpoint, monkeypatch):
    """Train, and be interrupted after training step k; or before the first one, at k = 0."""
    step, done = TrainerGroup.step, []

    def counting(self, *arguments, **options):
        if len(done) >= k:
            raise Stopped
        result = step(self, *arguments, **options)
        done.append(result)
        return result

    with monkeypatch.context() as patched:
        patched.setattr(TrainerGroup, "step", counting)
        with pytest.raises(Stopped, match=r"^$"):
            train(config, checkpoint=checkpoint)
    assert len(done) == k
    assert checkpoint.exists()


def assert_same_run(got, expected):
    assert got.record == expected.record
    assert got.weights == expected.weights, "the weights differ"


def small(cell="rnn", **settings):
    usual = {"length": 6, "hidden_size": 8, "batch_size": 8, "train_steps": STEPS}
    return RunConfig(**{"cell": cell} | usual | settings)


# Interrupted and resumed -------------------------------------------------------------------------

EVERY = list(
    itertools.product(("rnn", "lstm"), ("rmsprop", "adam"), ("one-hot", "scalar"))
)  # fmt: skip


@pytest.mark.parametrize("moments", ["some", pytest.param("all", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("cell", "optimizer", "encoding"), EVERY)
def test_run_interrupted_at_any_step_and_resumed_is_the_same_run(
    cell, optimizer, encoding, moments, tmp_path, monkeypatch
):
    # Evaluated, and its state kept, every 7 steps: k meets every place within such a block.
    monkeypatch.setattr("digitspan.training.run.EVALUATE_EVERY", 7)
    config = small(cell, optimizer=optimizer, encoding=encoding)
    expected = train(config)
    chance = random.Random(f"{cell}{optimizer}{encoding}")
    for k in range(STEPS) if moments == "all" else chance.sample(range(STEPS), 3):
        checkpoint = tmp_path / f"{k}"
        interrupted_at(k, config, checkpoint, monkeypatch)
        resumed_steps = []
        resumed = train(
            config,
            checkpoint=checkpoint,
            on_evaluation=lambda p, s=resumed_steps: s.append(p.step),
        )
        assert_same_run(resumed, expected)
        assert resumed_steps[0] == min(7 * (k // 7 + 1), STEPS), "it did not go on where it was"


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_long_run_interrupted_at_random_steps_is_the_same_run(cell, tmp_path, monkeypatch):
    config = small(cell, length=12, train_steps=400, learning_rate=1e-4)
    expected, chance = train(config), random.Random(cell)
    for k in (chance.randrange(400) for _ in range(100)):
        checkpoint = tmp_path / f"{k}"
        interrupted_at(k, config, checkpoint, monkeypatch)
        assert_same_run(train(config, checkpoint=checkpoint), expected)
    print(f"{cell}: 100 random steps of 400: the same run")


def test_test_of_resuming_can_go_red(tmp_path, monkeypatch):
    # A checkpoint whose data generator is that of another run.
    monkeypatch.setattr("digitspan.training.run.EVALUATE_EVERY", 7)
    config, checkpoint = small(), tmp_path / "checkpoint"
    interrupted_at(30, config, checkpoint, monkeypatch)
    state = torch.load(io.BytesIO(read_verified(checkpoint)[0]), weights_only=True)
    state["generator"] = torch.Generator().manual_seed(1).get_state()
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_verified(checkpoint, buffer.getvalue())
    resumed = train(config, checkpoint=checkpoint)
    with pytest.raises(AssertionError, match=r"."):
        assert_same_run(resumed, train(config))


# Damaged -----------------------------------------------------------------------------------------


def mutated(data, chance):
    """Bytes with a flip, a cut, noise, or something more."""
    data, kind, place = bytearray(data), chance.randrange(6), chance.randrange(len(data))
    if kind < 2:
        data[place] ^= 1 << chance.randrange(8)
    elif kind == 2:
        del data[place:]
    elif kind == 3:
        size = min(chance.randrange(1, 500), len(data) - place)
        data[place : place + size] = chance.randbytes(size)
    elif kind == 4:
        data += chance.randbytes(chance.randrange(1, 100))
    else:
        data = bytearray(chance.randbytes(chance.randrange(len(data))))
    return bytes(data)


@pytest.mark.parametrize("times", [200, pytest.param(10_000, marks=pytest.mark.slow)])
def test_damaged_checkpoint_is_always_noticed(times, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("digitspan.training.run.EVALUATE_EVERY", 7)
    config, checkpoint = small(), tmp_path / "checkpoint"
    expected = train(config)
    interrupted_at(20, config, checkpoint, monkeypatch)
    before = checkpoint.read_bytes()
    interrupted_at(20, config, checkpoint, monkeypatch)  # goes on from there, by 20 steps
    last, chance = checkpoint.read_bytes(), random.Random(times)
    previous = checkpoint.with_name("checkpoint.previous")
    assert previous.read_bytes() == before != last
    for number in range(times):
        data = mutated(last, chance)
        if data == last:
            continue
        checkpoint.write_bytes(data)
        assert read_verified(checkpoint) == (before[32:], True), f"mutation {number}"
        if number % (times // 4) == 0:
            caplog.clear()
            assert_same_run(train(config, checkpoint=checkpoint), expected)
            assert "is damaged: going on from the one before it" in caplog.text
            previous.write_bytes(before)
    print(f"{times} mutations of a checkpoint: all noticed, the one before taken")


# Hostile -----------------------------------------------------------------------------------------


def hostile_pickles(canary):
    """Pickles that make a folder when they are executed, in as many ways as we know."""

    def calling(function, *arguments):
        class Hostile:
            def __reduce__(self):
                return function, arguments

        return Hostile()

    code = f"__import__('os').mkdir({str(canary)!r})"
    objects = [
        calling(os.mkdir, str(canary)),
        calling(os.makedirs, str(canary)),
        calling(os.system, f"mkdir '{canary}'"),
        calling(eval, code),
        calling(exec, code),
        calling(__import__("builtins").__import__, "antigravity"),
        calling(__import__("subprocess").call, ["mkdir", str(canary)]),
        calling(map, os.mkdir, [str(canary)]),
        calling(__import__("functools").partial, os.mkdir, str(canary)),
        calling(os.rename, str(canary.parent), str(canary.parent)),
    ]
    for thing in objects:
        yield pickle.dumps(thing, protocol=0)
        yield pickle.dumps(thing, protocol=2)
        yield pickle.dumps({"key": thing, "trainer": [thing]}, protocol=4)
    place = str(canary).encode()
    yield b"cos\nmkdir\n(V" + place + b"\ntR."
    yield b"(V" + place + b"\nios\nmkdir\n."
    yield b"\x80\x04\x8c\x02os\x8c\x05mkdir\x93\x8c" + bytes([len(place)]) + place + b"\x85R."
    yield b"cbuiltins\neval\n(V" + code.encode() + b"\ntR."
    yield b"cposix\nsystem\n(Vmkdir " + place + b"\ntR."


def as_torch_file(content, whole):
    """A .pt file whose pickle is another one."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as source, zipfile.ZipFile(buffer, "w") as target:
        for name in source.namelist():
            target.writestr(name, content if name.endswith("data.pkl") else source.read(name))
    return buffer.getvalue()


def test_hostile_checkpoint_is_not_executed(tmp_path, monkeypatch):
    # With our checksum in front, which whoever can write the folder can compute as well as we.
    canary, checkpoint = tmp_path / "canary", tmp_path / "checkpoint"
    config = small(train_steps=1)
    buffer = io.BytesIO()
    torch.save({"key": config.key}, buffer)
    files = 0
    for content in hostile_pickles(canary):
        for data in (content, as_torch_file(content, buffer.getvalue())):
            write_verified(checkpoint, data)
            with contextlib.suppress(Exception):  # how it is refused is training's business
                train(config, checkpoint=checkpoint)
            assert not canary.exists(), content
            files += 1
    assert files >= 30
    print(f"{files} hostile checkpoints: none was executed")


def test_hostile_checkpoints_would_be_seen(tmp_path):
    # The canary sings where such a pickle is executed.
    canary, sung = tmp_path / "canary", 0
    for content in hostile_pickles(canary):
        try:
            pickle.loads(content)
        except Exception:
            continue
        finally:
            sung += canary.exists()
            if canary.exists():
                canary.rmdir()
    assert sung >= 20


def test_checkpoint_without_our_checksum_is_not_even_parsed(tmp_path, monkeypatch):
    checkpoint = tmp_path / "checkpoint"
    buffer = io.BytesIO()
    torch.save({"key": small().key}, buffer)
    checkpoint.write_bytes(buffer.getvalue())
    monkeypatch.setattr(torch, "load", lambda *a, **k: pytest.fail("it was parsed"))
    train(small(train_steps=1), checkpoint=checkpoint)
    assert sha256(b"")
