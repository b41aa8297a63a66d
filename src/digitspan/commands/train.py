"""`digitspan train CELL --length T`: one network, one line, one folder."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from digitspan.cells import CELLS
from digitspan.commands.interrupts import interruptible_import
from digitspan.commands.options import (
    add_device,
    add_items,
    add_json,
    add_setting,
    given,
    json_text,
    names_of,
    path,
    require_torch,
    require_trainable,
    sigterm_exits,
    whole_number,
)
from digitspan.commands.progress import Progress
from digitspan.errors import DigitspanError, UsageError, said_by
from digitspan.files import writable_folder
from digitspan.runs.config import RunConfig
from digitspan.runs.cost import check_size
from digitspan.runs.folder import (
    CHECKPOINT,
    CONFIG,
    MOST_SNAPSHOTS,
    read_config,
    read_record,
    read_snapshots,
    remove_run,
    write_config,
    write_finished,
)
from digitspan.runs.outcome import ERROR_OF_1997
from digitspan.runs.recalled import Recalled
from digitspan.runs.record import CurvePoint, Finished, RunRecord
from digitspan.tasks import TASKS, check_task, is_own_task

__all__ = ["add_options", "first_symbol_test", "run", "sentence"]

USUAL_SNAPSHOTS = 5
"""Snapshots where `--snapshots` does not say how many."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument(
        "cell",
        metavar="CELL",
        help=f"{', '.join(CELLS)}, or a class of your own as module:Class",
    )
    for name in names_of(RunConfig, without=("cell", "trained", "source", "task_facts")):
        add_setting(parser, RunConfig, name)
        if name == "length":
            add_items(parser)
    parser.add_argument(
        "--parameters",
        type=whole_number(1, 10**12),
        metavar="N",
        help="in place of --hidden-size: the n with about so many parameters",
    )
    parser.add_argument(
        "--snapshots",
        type=whole_number(1, MOST_SNAPSHOTS),
        nargs="?",
        const=USUAL_SNAPSHOTS,
        metavar="N",
        help="keep the weights at N steps of the training too, evenly spread from the untrained "
        f"network on ({USUAL_SNAPSHOTS} where N is left out), for a look on its way",
    )
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
    with _document_alone() if options.json else contextlib.nullcontext() as print_document:
        return _begin(options, print_document)


def _begin(options: argparse.Namespace, print_document: Callable[[Any], None] | None) -> int:
    """Make the folder the run's own, and train it there."""
    settings = given(options, RunConfig)
    _choose_length(settings, options)
    if options.parameters is not None and "hidden_size" in settings:
        message = "--parameters must be left out where --hidden-size is given, which decides them"
        raise UsageError(message)
    config = RunConfig(**settings).with_source()
    if options.parameters is not None:
        config = _sized(config, options.parameters)
    check_size(config)
    require_trainable([config], options.device)
    folder = options.out or Path("runs") / config.run_id
    with writable_folder(folder, "--out"):
        _take(folder, config, overwrite=options.overwrite, snapshots=options.snapshots)
        return _run(folder, config, options, print_document)


@contextlib.contextmanager
def _document_alone() -> Iterator[Callable[[Any], None]]:
    """Print one JSON document, and let all else that is printed go to standard error.

    A thread that a cell's module has begun prints whenever it wants to, after the document too.
    """
    threads, output = threading.active_count(), sys.stdout
    output.flush()
    is_ours = output is sys.__stdout__  # not where somebody has put another in its place
    with contextlib.ExitStack() as stack:
        if is_ours:
            output = stack.enter_context(open(os.dup(1), "w", encoding="utf-8"))
            os.dup2(2, 1)

        def print_document(document: Any) -> None:
            output.write(json_text(document))
            output.flush()

        try:
            with contextlib.redirect_stdout(sys.stderr):
                yield print_document
        finally:
            if is_ours and threading.active_count() <= threads:
                os.dup2(output.fileno(), 1)


def _run(
    folder: Path,
    config: RunConfig,
    options: argparse.Namespace,
    print_document: Callable[[Any], None] | None,
) -> int:
    """Train what is in a folder, or go on with it, and print its line, or its document."""
    if config.items is not None and config.encoding == "scalar":
        print("digits go in as numbers, and a silent step as -1", file=sys.stderr)
    if config.length == 2 and config.items is None:
        print("T = 2 needs no memory: the only digit read is the answer", file=sys.stderr)

    finished = read_record(folder)
    if finished is None or finished[0].end_state == "error":  # no outcome: made again
        finished = _train(config, folder, options.device, options.snapshots or 0)
    else:
        print(f"{folder} holds this run already, finished; this is its result", file=sys.stderr)
    record, seconds = finished
    why = _why(record)
    if print_document is not None:
        run_id, chance = record.config.run_id, record.config.chance
        kept = {"seconds": round(seconds, 3), "run": str(folder), "why": why}
        print_document(record.to_json() | {"run_id": run_id, "chance": chance} | kept)
    else:
        for line in filter(None, (sentence(record), first_symbol_test(record), why)):
            print(line)
        print(f"kept in {folder}", file=sys.stderr)
    return 1 if record.end_state == "error" else 0


def _sized(config: RunConfig, parameters: int) -> RunConfig:
    """A run with the hidden size that comes nearest to a number of parameters."""
    require_torch()
    with interruptible_import("torch"):
        from digitspan.training.sizes import hidden_size_for
    size, found = hidden_size_for(config, parameters)
    print(f"n = {size:,} has {found:,} parameters", file=sys.stderr)
    return dataclasses.replace(config, hidden_size=size)


def _choose_length(settings: dict[str, Any], options: argparse.Namespace) -> None:
    """Let T follow from the items, where lists are asked.

    Raises:
        UsageError: where the length of what is asked is missing, or given in the other words.
    """
    task = settings.get("task", "palindrome")
    check_task(task, (), ())  # an unknown one has neither length nor items
    if task in TASKS and TASKS[task].asks_lists:
        if "length" in settings:
            message = (
                f"--length must be left out of the task {task}, which counts items; got "
                f"{settings['length']}: give --items L, such as --items 6"
            )
            raise UsageError(message)
        if options.items is None:
            message = "--items is missing: the list's length L, from 1 on, such as --items 6"
            raise UsageError(message)
        settings["length"] = 2 * options.items
    elif options.items is not None:
        message = (
            f"--items must be left out of the task {task}, which has a length T; got "
            f"{options.items}: give --length T, or add --task recall"
        )
        raise UsageError(message)
    elif "length" not in settings:
        message = "--length is missing: the palindrome's length T, from 2 on, such as --length 20"
        raise UsageError(message)


def sentence(record: RunRecord) -> str:
    """A run's end in one line."""
    config = record.config
    how = {
        "solved": f"solved at step {record.steps:,}",
        "censored": f"not solved when its budget of {record.steps:,} steps ended",
        "diverged": f"diverged at step {record.steps:,} (its loss grew beyond all bounds)",
        "error": f"ended in an error: {record.note}",
    }[record.end_state]
    what = f"T={config.length}"
    if config.items is not None:
        what = f"{config.task} {config.order} L={config.items}"
    if config.measures_span and record.end_state == "censored":
        how = f"trained for {record.steps:,} steps"  # there is no length to be solved
    line = f"{config.cell} {what} seed={config.seed}: {how}"
    if record.grown_to < config.length and config.items is None:
        line += f", its length grown to {record.grown_to:,}"
    elif record.grown_to < config.length:
        line += f", its lists grown to {record.grown_to // 2:,} items"
    if record.recalled is not None and record.recalled.digit_span is not None:
        line += f", {recalled_words(record.recalled)}"
    if record.accuracy is None:
        return line
    interval = ""
    if record.accuracy_low is not None and record.accuracy_high is not None:
        interval = f" [{100 * record.accuracy_low:.1f}, {100 * record.accuracy_high:.1f}]"
    percent, count = f"{100 * record.accuracy:.1f}%{interval}", f"{record.tested:,}"
    if config.items is not None:
        which = "held-out lists" if record.held_out else "lists (all there are)"
        places = record.recalled.lists[0].right if record.recalled else ()
        by_place = " ".join(f"{100 * right / record.tested:.0f}" for right in places)
        return f"{line}, {percent} of {count} {which} recalled whole; by place, in %: {by_place}"
    if is_own_task(config.task):
        return f"{line}, {percent} of {count} sequences drawn for the test right throughout"
    which = "held-out palindromes" if record.held_out else "palindromes, all there are"
    if config.task == "first-symbol":
        which = "sequences drawn for the test"
    return f"{line}, accuracy {percent} on {count} {which}"


def recalled_words(recalled: Recalled) -> str:
    """The spans of a network: `digit span 7, mean span 7.42 items`."""
    more = ">= " if recalled.is_open else ""
    return (
        f"digit span {more}{recalled.digit_span}, mean span {more}{recalled.mean_span:.2f} items"
    )


def first_symbol_test(record: RunRecord) -> str:
    """What the test of a `first-symbol` run was, and whether 1997's criterion holds; else empty.

    T - 4 distractors are the least, and 9 more the mean (`digitspan.tasks.first_symbol`).
    """
    if record.config.task != "first-symbol" or not record.tested:
        return ""
    test = (
        f"The test: {record.tested:,} sequences drawn once, half with x and half with y, each "
        f"with {record.config.length + 5:,} distractors; an answer is right where the right "
        f"symbol is the most probable."
    )
    if record.largest_error is None:
        return f"{test} The criterion of 1997 was not measured."
    return (
        f"{test} The criterion of 1997, every output less than {ERROR_OF_1997} from its target on "
        f"every sequence, {'holds' if record.meets_1997 else 'does not hold'}: the largest "
        f"absolute error is {record.largest_error:.2g} (of softmax and one-hot target)."
    )


def _take(
    folder: Path, config: RunConfig, *, overwrite: bool, snapshots: int | None = None
) -> None:
    """Make the folder this run's own.

    Raises:
        UsageError: where it holds another run, or this one without the snapshots asked for, and is
            not to be overwritten.
    """
    kept = read_config(folder)
    finished = read_record(folder) if kept == config and snapshots else None
    if finished and finished[0].end_state != "error" and not read_snapshots(folder):
        if not overwrite:
            message = (
                f"{folder} holds this run already, trained without --snapshots; leave the option "
                f"out, choose another --out, or train it again with --overwrite"
            )
            raise UsageError(message)
        remove_run(folder)
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


def _train(
    config: RunConfig, folder: Path, device: str, snapshots: int
) -> tuple[RunRecord, float]:
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
                accuracy, where = f"{100 * point.validation_accuracy:.0f}%", f"T={point.length:,}"
                if config.items is not None:
                    where = f"{point.length // 2} items"
                task.update(point.step, f"validation accuracy {accuracy} at {where}")

            finished = train(
                config,
                device=find_device(device),
                checkpoint=folder / CHECKPOINT,
                snapshots=snapshots,
                on_evaluation=on_evaluation,
            )
    except (KeyboardInterrupt, SystemExit) as interrupt:
        from digitspan.cells.seal import is_a_signals  # torch has been imported by now

        if not is_a_signals(interrupt):
            message = f"the code of {config.cell} ended the process with {interrupt!r} in training"
            raise DigitspanError(message) from interrupt
        print("interrupted: what was trained is kept; call again to go on", file=sys.stderr)
        status = 130 if isinstance(interrupt, KeyboardInterrupt) else interrupt.code
        raise SystemExit(status) from interrupt
    except DigitspanError:
        with contextlib.suppress(OSError):  # the folder is gone
            if [path.name for path in folder.iterdir()] == [CONFIG]:
                remove_run(folder)  # refused before anything of it was kept
        raise
    except Exception as error:
        if not config.is_own:
            raise  # a fault of ours
        note = said_by(error)[:500]
        finished = Finished(RunRecord.error(config, note), b"")
    seconds = time.monotonic() - start
    write_finished(folder, finished, seconds)
    return finished.record, seconds


def _why(record: RunRecord) -> str:
    """How an unsolved run went; empty for a solved one, or lists. One run alone tells no cause."""
    if record.solved or record.config.items is not None:
        return ""
    with interruptible_import("torch"):
        from digitspan.look.why import why_not_solved

    return why_not_solved(record)
