"""A study's worker whose training is made up: all the rest of it is the real one.

What is tested is who dies when, and what is kept. Real training would need three seconds a worker
to import torch, and these take none. The name of a cell of one's own says how its runs end.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
import traceback
import types
from pathlib import Path
from typing import NamedTuple

from digitspan.errors import DigitspanError, UsageError
from digitspan.files import read_verified, sha256, write_verified
from digitspan.runs.config import RunConfig
from digitspan.runs.record import CurvePoint, RunRecord
from digitspan.study.crew import ray_driver, worker

SECONDS_A_STEP = float(os.environ.get("QUICK_SECONDS_A_STEP", "0.0002"))


class Finished(NamedTuple):
    record: RunRecord
    weights: bytes


def made_up(config: RunConfig, curve: list[CurvePoint]) -> Finished:
    """A record and weights that follow from the configuration alone."""
    end_state = ("solved", "censored", "diverged")[config.seed % 3]
    weights = (config.canonical * 5).encode()
    record = RunRecord(
        config=config,
        end_state=end_state,
        steps=config.train_steps,
        accuracy=1 / (3 + config.seed),
        accuracy_low=0.01,
        accuracy_high=0.99,
        tested=10_000,
        held_out=10_000,
        bits=1 / 3,
        masked_right=100,
        masked_tested=1_000,
        loss=1 / 7,
        clipped_share=0.0,
        curve=tuple(curve),
        weights_sha256=sha256(weights),
        environment={"digitspan": "0", "torch": "0", "threads": "1"},
    )
    return Finished(record, weights)


def train(config, *, device, checkpoint, on_evaluation) -> Finished:
    """Evaluate every 50 steps; keep the curve as a checkpoint where it ends early."""
    misbehave(config, checkpoint)
    content, _ = read_verified(checkpoint)
    points = [line.split() for line in (content or b"").splitlines()]
    curve = [
        CurvePoint(int(step), *map(float, seen), length=int(length))
        for step, *seen, length in points
    ]
    try:
        while len(curve) * 50 < config.train_steps:
            time.sleep(50 * SECONDS_A_STEP)
            step = 50 * (len(curve) + 1)
            curve.append(CurvePoint(step, 1 / step, 2 / step, 0.5))
            on_evaluation(curve[-1])
    except SystemExit:
        lines = "\n".join(" ".join(map(repr, point)) for point in curve)
        write_verified(checkpoint, lines.encode())
        raise
    finished = made_up(config, curve)
    checkpoint.unlink(missing_ok=True)
    return finished


def misbehave(config: RunConfig, checkpoint: Path) -> None:
    """What the runs of `quick:NAME` do."""
    name = config.cell.partition(":")[2]
    if name == "Killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "Exits":
        os._exit(3)
    if name == "Raises":
        message = "a fault of the cell's own"
        raise RuntimeError(message)
    if name == "Patches":
        json.dumps = json.loads = traceback.print_exc = sys.stdout = None
    if name == "Babbles":
        json.JSONEncoder.encode = lambda *arguments: "{}"
    if name == "Lies":
        RunRecord.to_json = lambda *arguments: {"steps": "many"}
    if name == "Refuses":
        message = "the cell cannot be used"
        raise UsageError(message)
    if name == "Breaks":
        message = "the disk is full"
        raise DigitspanError(message)
    if name == "RaisesOnce":
        mark = checkpoint.with_suffix(".raised")
        if not mark.exists():
            mark.parent.mkdir(exist_ok=True)
            mark.touch()
            message = "a fault that is mended before the next call"
            raise RuntimeError(message)
    if name == "KilledOnce":
        mark = checkpoint.with_suffix(".killed")
        if not mark.exists():
            mark.parent.mkdir(exist_ok=True)
            mark.touch()
            os.kill(os.getpid(), signal.SIGSEGV)
    if name == "Deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        checkpoint.parent.mkdir(exist_ok=True)
        checkpoint.with_suffix(".deaf").touch()
        time.sleep(60)


def work(pipe, options) -> None:
    """`digitspan.study.crew.worker.work` with `train` above in the place of the real one."""
    make_up()
    worker.work(pipe, options)


def make_up() -> None:
    """Let `train` above take the place of the real one, and nothing that of torch."""
    run, machine = (types.ModuleType(f"digitspan.training.{name}") for name in ("run", "machine"))
    run.train, machine.find_device = train, str
    torch = types.ModuleType("torch")
    torch.set_num_threads = lambda number: None
    sys.modules["torch"] = torch
    sys.modules |= {module.__name__: module for module in (run, machine)}


def drive(pipe, options, address, most) -> None:
    """`digitspan.study.crew.ray_driver.drive` whose nodes make their training up."""
    ray_driver.TRAINER = "quick_node"
    if version := os.environ.get("QUICK_RAY_VERSION"):
        importlib.import_module("ray").__version__ = version
    ray_driver.drive(pipe, options, address, most)
