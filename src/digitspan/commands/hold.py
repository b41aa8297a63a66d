"""`digitspan hold RUN`: the holding span, how long trained networks keep a digit."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from digitspan.cells import title
from digitspan.commands.options import add_json, print_json, require_torch
from digitspan.errors import UsageError
from digitspan.held import Held, read_held, write_held
from digitspan.importing import importing
from digitspan.page.kept import KeptRun, find_weights, is_study, named_run, rows_of
from digitspan.runs import RunConfig, RunRecord
from digitspan.statistics import wilson
from digitspan.study.span import Counts, Span, measure_span
from digitspan.study.store import folder_of
from digitspan.study.tables import ISOTONIC, duration, span_text

__all__ = ["add_options", "run"]

MOST_PALINDROMES = 100_000
"""More would not fit into memory at once."""

LONGEST = 10_000_000_000
"""A length beyond it would take years."""

_SECONDS_A_LINE = 60.0
"""So often a log file is told how far the strings are read."""


class Group(NamedTuple):
    """Networks that differ in nothing but the seed."""

    configs: tuple[RunConfig, ...]
    """Their runs, by seed."""
    weights: Mapping[RunConfig, bytes]
    """Their weights."""
    folder: Path
    """Where their answers are kept."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument(
        "runs",
        metavar="RUN",
        nargs="+",
        help="a run's folder, STUDY:KEY for one run of a study; or a study alone: of every cell, "
        "encoding, start, optimiser and rate, the runs solved at the longest length where most "
        "were",
    )
    parser.add_argument(
        "--lengths",
        metavar="N",
        nargs="+",
        type=int,
        default=[100, 1_000, 10_000, 100_000],
        help="palindrome lengths T to ask, at least 2 (default: 100 1000 10000 100000)",
    )
    parser.add_argument(
        "--palindromes",
        metavar="N",
        type=int,
        default=100,
        help="how many to ask at each length, at least 1 (default: 100)",
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Ask the networks, keep their answers, print the table.

    Raises:
        UsageError: where a run cannot be found, or read piece by piece.
    """
    lengths = sorted(set(options.lengths))
    if lengths[0] < 2 or lengths[-1] > LONGEST:
        got = lengths[0] if lengths[0] < 2 else lengths[-1]
        message = f"--lengths must be whole numbers from 2 to {LONGEST:,}; got {got:,}"
        raise UsageError(message)
    if not 1 <= options.palindromes <= MOST_PALINDROMES:
        message = (
            f"--palindromes must be a whole number from 1 to {MOST_PALINDROMES:,}; "
            f"got {options.palindromes}"
        )
        raise UsageError(message)
    groups = [group for name in options.runs for group in _groups(name)]
    require_torch()
    with importing("torch"):
        from digitspan.holding import check_can_hold

    for group in groups:
        check_can_hold(group.configs[0])
    answers = [(group, _ask(group, lengths, options.palindromes)) for group in groups]
    if options.json:
        print_json({"holding": [_document(*pair) for pair in answers]})
    else:
        Console(width=None if sys.stdout.isatty() else 150).print(_table(answers))
        if any(_span(found).method == "isotonic" for _, found in answers):
            print(ISOTONIC)
    return 0


def _groups(name: str) -> list[Group]:
    """The networks that a word names.

    Raises:
        UsageError: where there are none.
    """
    if not is_study(Path(name)):
        kept: KeptRun = named_run(name)
        folder = Path(name) if kept.study is None else folder_of(kept.study)
        return [Group((kept.config,), {kept.config: kept.weights}, folder)]
    conditions: dict[RunConfig, dict[int, list[RunRecord]]] = defaultdict(
        lambda: defaultdict(list)
    )
    weights: dict[RunConfig, bytes] = {}
    for row in rows_of(Path(name)).values():
        record, config = row.record, row.record.config
        found = find_weights(Path(name), record) if config.trained == "all" else None
        if found is not None:
            weights[config] = found
            condition = dataclasses.replace(config, length=2, seed=0)
            conditions[condition][config.length].append(record)
    groups = []
    for by_length in conditions.values():
        solved = {
            length: tuple(sorted((r.config for r in found if r.solved), key=lambda c: c.seed))
            for length, found in by_length.items()
            if 2 * sum(r.solved for r in found) >= len(found)
        }
        if solved:
            groups.append(Group(solved[max(solved)], weights, folder_of(Path(name))))
    if not groups:
        message = (
            f"{name} keeps no network that could hold anything: at no length most of its runs "
            f"were solved; `digitspan study` with shorter --lengths or more --train-steps first"
        )
        raise UsageError(message)
    return groups


def _ask(group: Group, lengths: Sequence[int], count: int) -> list[Held]:
    """Every network at every length; what was kept of an earlier call is not asked again."""
    from digitspan.holding import hold

    kept = read_held(group.folder)
    wanted = {config.key for config in group.configs}
    with _Reading() as reading:
        for length in lengths:
            done = {held.key for held in kept if (held.length, held.tested) == (length, count)}
            missing = {c: group.weights[c] for c in group.configs if c.key not in done}
            if not missing:
                continue
            reading.begin(f"{len(missing)} networks ({group.configs[0].cell})", length)
            kept += hold(missing, length, count, on_digits=reading.update)
            write_held(group.folder, kept)
    return [
        held for held in kept
        if held.key in wanted and held.length in lengths and held.tested == count
    ]  # fmt: skip


class _Reading:
    """How far the strings are read, on standard error: a bar, or in a log file a line a minute."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f} of {task.total:,.0f} digits"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def begin(self, who: str, length: int) -> None:
        """These begin to read strings of a length."""
        self._about, self._digits = f"{who}, T = {length:,}", length - 1
        self._task = self._bar.add_task(self._about, total=self._digits)
        self._begun = self._said = time.monotonic()

    def update(self, read: int) -> None:
        """So many digits of them have been read."""
        self._bar.update(self._task, completed=read)
        now = time.monotonic()
        if self._bar.disable and now - self._said >= _SECONDS_A_LINE:
            left = (now - self._begun) / read * (self._digits - read)
            self._said = now
            self._console.print(
                f"{time.strftime('%H:%M:%S')} {self._about}: {read:,} digits read, "
                f"about {duration(left)} left",
                highlight=False, soft_wrap=True,
            )  # fmt: skip


def _by_length(answers: Sequence[Held]) -> dict[int, list[Held]]:
    """The answers by length, shortest first."""
    lengths: dict[int, list[Held]] = defaultdict(list)
    for held in sorted(answers, key=lambda held: held.length):
        lengths[held.length].append(held)
    return lengths


def _span(answers: Sequence[Held]) -> Span:
    """The length that half of the networks hold."""
    return measure_span(
        {
            length: Counts(sum(held.holds for held in found), len(found))
            for length, found in _by_length(answers).items()
        }
    )


def _table(answers: Sequence[tuple[Group, Sequence[Held]]]) -> Table:
    table = Table(title="Holding: trained networks asked at lengths far beyond their training")
    for heading in ("cell", "encoding", "start", "optimiser"):
        table.add_column(heading, no_wrap=True)
    for heading in ("rate", "trained T", "asked T", "networks that hold", "right", "span [95 %]"):
        table.add_column(heading, justify="right", no_wrap=True)
    for group, found in answers:
        config = group.configs[0]
        names = (title(config.cell), config.encoding, config.initialisation, config.optimizer)
        first = (*names, f"{config.learning_rate:g}", f"{config.length:,}")
        for index, (length, held) in enumerate(_by_length(found).items()):
            holding = sum(one.holds for one in held)
            low, high = wilson(holding, len(held))
            right, tested = sum(one.right for one in held), sum(one.tested for one in held)
            table.add_row(
                *(first if index == 0 else [""] * len(first)),
                f"{length:,}",
                f"{holding}/{len(held)} [{100 * low:.0f}, {100 * high:.0f} %]",
                f"{right:,}/{tested:,}",
                span_text(_span(found), list(_by_length(found))) if index == 0 else "",
            )
    return table


def _document(group: Group, answers: Sequence[Held]) -> dict[str, object]:
    """What `--json` prints of one group."""
    config, span = group.configs[0], _span(answers)
    return {
        "cell": config.cell,
        "encoding": config.encoding,
        "initialisation": config.initialisation,
        "optimizer": config.optimizer,
        "learning_rate": config.learning_rate,
        "trained_length": config.length,
        "s50": span.s50,
        "s50_low": span.s50_low,
        "s50_high": span.s50_high,
        "bound": span.bound,
        "networks": [held._asdict() | {"holds": held.holds} for held in answers],
    }
