"""`digitspan train CELL --length T`: one network, one line, one folder."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import sys
import time
from pathlib import Path

from digitspan.cells import CELLS
from digitspan.cells.own import is_own
from digitspan.commands.interrupts import interruptible_import
from digitspan.commands.options import (
    add_device,
    add_json,
    add_setting,
    given,
    names_of,
    path,
    print_json,
    require_trainable,
    sigterm_exits,
)
from digitspan.commands.progress import Progress
from digitspan.errors import DigitspanError, UsageError
from digitspan.files import require_writable_folder
from digitspan.runs.config import RunConfig
from digitspan.runs.cost import check_size
from digitspan.runs.folder import (
    CHECKPOINT,
    WEIGHTS,
    read_config,
    read_record,
    remove_run,
    write_config,
    write_finished,
)
from digitspan.runs.record import CurvePoint, Finished, RunRecord
from digitspan.runs.weights import read_weights

__all__ = ["add_options", "run", "sentence"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument(
        "cell",
        metavar="CELL",
        help=f"{', '.join(CELLS)}, or a class of your own as module:Class",
    )
    for name in names_of(RunConfig, without=("cell", "trained", "source")):
        add_setting(parser, RunConfig, name)
    add_device(parser)
    parser.add_argument(
        "--out", type=path, metavar="FOLDER", help="keep the run here (default: runs/RUN_ID)"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace another run that is kept there"
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Train, keep the run, print its line.

    Raises:
        UsageError: where the configuration or the folder cannot be used.
    """
    settings = given(options, RunConfig)
    if "length" not in settings:
        message = "--length is missing: the palindrome's length T, from 2 on, such as --length 20"
        raise UsageError(message)
    config = RunConfig(**settings).with_source()
    check_size(config)
    require_trainable([config], options.device)
    folder = options.out or Path("runs") / config.run_id
    _take(folder, config, overwrite=options.overwrite)
    if config.length == 2:
        print("T = 2 needs no memory: the only digit read is the answer", file=sys.stderr)

    finished = read_record(folder)
    if finished is None or finished[0].end_state == "error":  # no outcome: made again
        finished = _train(config, folder, options.device)
    else:
        print(f"{folder} holds this run already, finished; this is its result", file=sys.stderr)
    record, seconds = finished
    why = _why(record, folder)
    if options.json:
        run_id, chance = record.config.run_id, record.config.chance
        kept = {"seconds": round(seconds, 3), "run": str(folder), "why": why}
        print_json(record.to_json() | {"run_id": run_id, "chance": chance} | kept)
    else:
        print(sentence(record))
        if why:
            print(why)
        print(f"kept in {folder}", file=sys.stderr)
    return 1 if record.end_state == "error" else 0


def sentence(record: RunRecord) -> str:
    """A run's end in one line."""
    config = record.config
    how = {
        "solved": f"solved at step {record.steps:,}",
        "censored": f"not solved when its budget of {record.steps:,} steps ended",
        "diverged": f"diverged at step {record.steps:,} (its loss grew beyond all bounds)",
        "error": f"ended in an error: {record.note}",
    }[record.end_state]
    line = f"{config.cell} T={config.length} seed={config.seed}: {how}"
    if record.grown_to < config.length:
        line += f", its length grown to {record.grown_to:,}"
    if record.accuracy is None:
        return line
    interval = ""
    if record.accuracy_low is not None and record.accuracy_high is not None:
        interval = f" [{100 * record.accuracy_low:.1f}, {100 * record.accuracy_high:.1f}]"
    which = "held-out palindromes" if record.held_out else "palindromes, all there are"
    return f"{line}, accuracy {100 * record.accuracy:.1f}%{interval} on {record.tested:,} {which}"


def _take(folder: Path, config: RunConfig, *, overwrite: bool) -> None:
    """Make the folder this run's own."""
    require_writable_folder(folder, "--out")
    kept = read_config(folder)
    if kept is not None and kept != config:
        if not overwrite:
            old, new = dataclasses.asdict(kept), dataclasses.asdict(config)
            differ = "; ".join(f"{n} {old[n]}, not {new[n]}" for n in old if old[n] != new[n])
            message = (
                f"{folder} holds another run ({differ}); choose another --out, or replace it with "
                f"--overwrite"
            )
            raise UsageError(message)
        remove_run(folder)
    write_config(folder, config)


def _train(config: RunConfig, folder: Path, device: str) -> tuple[RunRecord, float]:
    """Train with a progress bar and keep the run."""
    with interruptible_import("torch"):
        from digitspan.training.machine import find_device
        from digitspan.training.run import train

    logging.basicConfig(format="%(message)s")
    start = time.monotonic()
    try:
        with Progress() as progress, sigterm_exits():
            task = progress.task(config.run_id, config.train_steps, "steps at most")

            def on_evaluation(point: CurvePoint) -> None:
                accuracy = f"{100 * point.validation_accuracy:.0f}%"
                task.update(point.step, f"validation accuracy {accuracy} at T={point.length:,}")

            finished = train(
                config,
                device=find_device(device),
                checkpoint=folder / CHECKPOINT,
                on_evaluation=on_evaluation,
            )
    except (KeyboardInterrupt, SystemExit) as interrupt:
        print("interrupted: what was trained is kept; call again to go on", file=sys.stderr)
        status = 130 if isinstance(interrupt, KeyboardInterrupt) else interrupt.code
        raise SystemExit(status) from interrupt
    except DigitspanError:
        raise
    except Exception as error:
        if not is_own(config.cell):
            raise  # a fault of ours
        note = f"{type(error).__name__}: {error}"[:500]
        finished = Finished(RunRecord.error(config, note), b"")
    seconds = time.monotonic() - start
    write_finished(folder, finished, seconds)
    return finished.record, seconds


def _why(record: RunRecord, folder: Path) -> str:
    """Why the run was not solved, one sentence; empty where it was."""
    if record.solved:
        return ""
    with interruptible_import("torch"):
        from digitspan.look.why import why_not_solved

    return why_not_solved(record, read_weights(folder / WEIGHTS, record))
