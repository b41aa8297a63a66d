"""The holding span: which networks are asked, and how long they keep a digit, out of the answers.

Torch is not needed: `digitspan hold` asks, `digitspan show` reads what was kept.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from digitspan.cells import initialisation_title, title
from digitspan.errors import UsageError
from digitspan.hold.kept_answers import Answers
from digitspan.hold.thresholds import HoldingSpan, holding_span, threshold
from digitspan.runs.config import RunConfig
from digitspan.runs.record import RunRecord
from digitspan.study.plan import CLIMBED
from digitspan.study.reading import is_study, read_saved_run, read_study
from digitspan.study.summary import ConditionSummary, Summary
from digitspan.study.tables import add_columns, add_names

__all__ = [
    "Replicates",
    "answers_document",
    "holding_table",
    "holds_texts",
    "networks_of",
    "span_of",
]


class Replicates(NamedTuple):
    """Networks that differ in nothing but the seed."""

    configs: tuple[RunConfig, ...]
    """Their runs, by seed."""
    weights: Mapping[RunConfig, bytes]
    """Their weights."""
    folder: Path
    """Where their answers are kept."""
    of_study: bool = False
    """Whether a study alone was named, and these are one condition of it."""
    why_not: str = ""
    """Why their code may not be run, a sentence; empty where it may."""


def _require_palindromes(config: RunConfig, name: str) -> None:
    """Refuse networks of other tasks, whose code need not be run for that.

    Raises:
        UsageError: of those that recall lists, with the command that says how well they do.
    """
    if config.items is not None:
        message = (
            f"{name} was trained to recall whole lists, and the holding span is how long one "
            f"digit is kept; `digitspan show` has the digit span of a study"
        )
        raise UsageError(message)
    if config.task != "palindrome":
        message = (
            f"{name} was trained on the task {config.task}; only a network that has learned "
            f"palindromes can be asked them"
        )
        raise UsageError(message)


def networks_of(name: str, *, trust: bool = False) -> list[Replicates]:
    """The networks that a word names.

    Args:
        name: a run's folder, `STUDY:KEY`, or a study alone.
        trust: whether the code of a cell of one's own may be run, if it is that of its rows.

    Raises:
        UsageError: where there are none.
    """
    if not is_study(Path(name)):
        check = functools.partial(_require_palindromes, name=name)
        run = read_saved_run(name, trust=trust, check=check)
        folder = Path(name) if run.study is None else run.study.folder
        return [Replicates((run.config,), {run.config: run.weights}, folder)]
    study = read_study(Path(name), trust=trust)
    conditions: dict[RunConfig, dict[int, list[RunRecord]]] = {}
    weights: dict[RunConfig, bytes] = {}
    for row in study.rows.values():
        record, config = row.record, row.record.config
        _require_palindromes(config, name)
        found = study.weights(record) if config.trained == "all" else None
        if found is not None:
            weights[config] = found
            by_length = conditions.setdefault(dataclasses.replace(config, length=5, seed=0), {})
            by_length.setdefault(config.length, []).append(record)
    groups = []
    for _, by_length in sorted(conditions.items(), key=lambda pair: _place(pair[0])):
        for length in sorted(by_length, reverse=True):
            solved = [record.config for record in by_length[length] if record.solved]
            if solved and 2 * len(solved) >= len(by_length[length]):
                solved.sort(key=lambda config: config.seed)
                why_not = study.untrusted(solved[0])
                groups.append(Replicates(tuple(solved), weights, study.folder, True, why_not))
                break
    if not groups:
        message = (
            f"{name} keeps no network that could hold anything: at no length most of its runs "
            f"were solved; `digitspan study` with shorter --lengths or more --train-steps first"
        )
        raise UsageError(message)
    return groups


def _place(config: RunConfig) -> tuple[Any, ...]:
    """Where a condition stands among those of a study: beside the others of its cell."""
    values = dataclasses.asdict(config)
    return tuple(values[name] for name in ("cell", *sorted(values)))


def holds_texts(summary: Summary, answers: Sequence[Answers]) -> list[str]:
    """How far the networks of each condition of a study hold; empty where none was asked."""
    return [_holds_text(row, answers) for row in summary.spans] if answers else []


def _holds_text(row: ConditionSummary, answers: Sequence[Answers]) -> str:
    """The longest T that as large a share of a condition's networks hold: `10,000 (5/5)`.

    Its networks are those trained at the longest length of which any was asked: a study that has
    climbed on since was asked at a shorter one before.
    """
    asked = {answer.key for answer in answers}
    keys: set[str] = set()
    for found in row.lengths:  # shortest first
        keys = {record.config.key for record in found.records} & asked or keys
    by_length: dict[int, dict[str, bool]] = defaultdict(dict)
    for answer in sorted(answers, key=lambda answer: answer.tested):  # the most asked counts
        if answer.key in keys:
            by_length[answer.length][answer.key] = answer.holds is True
    text = ""
    for length, holds in sorted(by_length.items(), reverse=True):
        share = f"{length:,} ({sum(holds.values())}/{len(holds)})"
        if sum(holds.values()) >= CLIMBED * len(holds):
            return share
        text = f"< {share}"
    return text


def _by_length(answers: Sequence[Answers]) -> dict[int, list[Answers]]:
    """The answers by length, shortest first."""
    lengths: dict[int, list[Answers]] = defaultdict(list)
    for held in sorted(answers, key=lambda held: held.length):
        lengths[held.length].append(held)
    return lengths


def span_of(answers: Sequence[Answers]) -> HoldingSpan:
    """The length that half of some networks hold."""
    by_network: dict[str, dict[int, bool | None]] = defaultdict(dict)
    for one in answers:
        by_network[one.key][one.length] = one.holds
    return holding_span(threshold(held) for held in by_network.values())


def holding_text(span: HoldingSpan) -> str:
    """The span with its interval: `14,100 [1,200, open]`, `>= 100,000`."""
    if span.s50 is None:
        return "not known"
    if span.bound:
        return f"{span.bound} {span.s50:,.0f}"
    low = "open" if span.low is None else f"{span.low:,.0f}"
    high = "open" if span.high is None else f"{span.high:,.0f}"
    return f"{span.s50:,.0f} [{low}, {high}]"


def holding_table(answers: Sequence[tuple[Replicates, Sequence[Answers]]]) -> Table:
    """What each group of networks answered, one row per length, with its holding span."""
    columns = {
        "encoding": [group.configs[0].encoding for group, _ in answers],
        "start": [initialisation_title(group.configs[0].initialisation) for group, _ in answers],
        "optimiser": [group.configs[0].optimizer for group, _ in answers],
        "rate": [f"{group.configs[0].learning_rate:g}" for group, _ in answers],
        "n": [f"{group.configs[0].hidden_size:,}" for group, _ in answers],
        "steps at most": [f"{group.configs[0].train_steps:,}" for group, _ in answers],
    }
    alike = {name: values[0] for name, values in columns.items() if len(set(values)) == 1}
    shared = ", ".join(f"{name} {value}" for name, value in alike.items())
    table = Table(
        title="Holding: trained networks asked at lengths far beyond their training"
        + (f" ({shared})" if shared else "")
    )
    asked = {group.configs[0].cell for group, _ in answers}
    cells = [title(group.configs[0].cell, asked) for group, _ in answers]
    differing = [name for name in columns if name not in alike]
    add_names(table, "cell", cells)
    add_columns(table, *differing, fold=True)
    numbers = ("trained T", "asked T", "networks that hold", "right")
    add_columns(table, *numbers, justify="right", fold=True)
    add_columns(table, "span [95 %]", justify="right")
    for place, (group, found) in enumerate(answers):
        names = (cells[place], *(columns[name][place] for name in differing))
        first = (*names, f"{group.configs[0].length:,}")
        for index, (length, held) in enumerate(_by_length(found).items()):
            holding = sum(one.holds is True for one in held)
            undecided = sum(one.holds is None for one in held)
            right, tested = sum(one.right for one in held), sum(one.tested for one in held)
            table.add_row(
                *(first if index == 0 else [""] * len(first)),
                f"{length:,}",
                f"{holding}/{len(held)}" + (f", {undecided} undecided" if undecided else ""),
                f"{right:,}/{tested:,}",
                holding_text(span_of(found)) if index == 0 else "",
            )
    return table


def answers_document(group: Replicates, answers: Sequence[Answers]) -> dict[str, object]:
    """What `--json` prints of one group."""
    config, span = group.configs[0], span_of(answers)
    return {
        "cell": config.cell,
        "encoding": config.encoding,
        "initialisation": config.initialisation,
        "optimizer": config.optimizer,
        "learning_rate": config.learning_rate,
        "hidden_size": config.hidden_size,
        "train_steps": config.train_steps,
        "trained_length": config.length,
        "s50": span.s50,
        "low": span.low,
        "high": span.high,
        "bound": span.bound,
        "networks": [held._asdict() | {"holds": held.holds} for held in answers],
    }
