"""The holding span: which networks are asked, and how long they keep a digit, out of the answers.

Torch is not needed: `digitspan hold` asks, `digitspan show` reads what was kept.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.table import Table

from digitspan.cells import title
from digitspan.errors import UsageError
from digitspan.hold.kept_answers import Answers
from digitspan.runs.config import RunConfig
from digitspan.runs.record import RunRecord
from digitspan.statistics import wilson
from digitspan.study.grid import CLIMBED
from digitspan.study.reading import is_study, read_saved_run, read_study
from digitspan.study.span import Counts, Span, measure_span
from digitspan.study.summary import SpanSummary, Summary
from digitspan.study.tables import add_columns, span_text

__all__ = [
    "Replicates",
    "answers_document",
    "holding_span",
    "holding_table",
    "holds_texts",
    "networks_of",
]


class Replicates(NamedTuple):
    """Networks that differ in nothing but the seed."""

    configs: tuple[RunConfig, ...]
    """Their runs, by seed."""
    weights: Mapping[RunConfig, bytes]
    """Their weights."""
    folder: Path
    """Where their answers are kept."""


def networks_of(name: str) -> list[Replicates]:
    """The networks that a word names.

    Raises:
        UsageError: where there are none.
    """
    if not is_study(Path(name)):
        run = read_saved_run(name)
        folder = Path(name) if run.study is None else run.study.folder
        return [Replicates((run.config,), {run.config: run.weights}, folder)]
    study = read_study(Path(name))
    conditions: dict[RunConfig, dict[int, list[RunRecord]]] = {}
    weights: dict[RunConfig, bytes] = {}
    for row in study.rows.values():
        record, config = row.record, row.record.config
        found = study.weights(record) if config.trained == "all" else None
        if found is not None:
            weights[config] = found
            by_length = conditions.setdefault(dataclasses.replace(config, length=5, seed=0), {})
            by_length.setdefault(config.length, []).append(record)
    groups = []
    for by_length in conditions.values():
        for length in sorted(by_length, reverse=True):
            solved = [record.config for record in by_length[length] if record.solved]
            if solved and 2 * len(solved) >= len(by_length[length]):
                solved.sort(key=lambda config: config.seed)
                groups.append(Replicates(tuple(solved), weights, study.folder))
                break
    if not groups:
        message = (
            f"{name} keeps no network that could hold anything: at no length most of its runs "
            f"were solved; `digitspan study` with shorter --lengths or more --train-steps first"
        )
        raise UsageError(message)
    return groups


def holds_texts(summary: Summary, answers: Sequence[Answers]) -> list[str]:
    """How far the networks of each condition of a study hold; empty where none was asked."""
    return [_holds_text(row, answers) for row in summary.spans] if answers else []


def _holds_text(row: SpanSummary, answers: Sequence[Answers]) -> str:
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
            by_length[answer.length][answer.key] = answer.holds
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
    for answer in sorted(answers, key=lambda answer: answer.length):
        lengths[answer.length].append(answer)
    return lengths


def _counts(found: Sequence[Answers]) -> Counts:
    """How many networks hold, and of how many."""
    return Counts(sum(answer.holds for answer in found), len(found))


def holding_span(answers: Sequence[Answers]) -> Span:
    """The length that half of the networks hold."""
    return measure_span({t: _counts(found) for t, found in _by_length(answers).items()})


def holding_table(answers: Sequence[tuple[Replicates, Sequence[Answers]]]) -> Table:
    """What each group of networks answered, one row per length, with its holding span."""
    table = Table(title="Holding: trained networks asked at lengths far beyond their training")
    add_columns(table, "cell", "encoding", "init", "optimiser")
    numbers = ("rate", "trained T", "asked T", "networks that hold", "right", "span [95 %]")
    add_columns(table, *numbers, justify="right")
    for group, found in answers:
        config, by_length = group.configs[0], _by_length(found)
        names = (title(config.cell), config.encoding, config.initialisation, config.optimizer)
        first = (*names, f"{config.learning_rate:g}", f"{config.length:,}")
        span = span_text(holding_span(found), list(by_length)) if found else ""
        for index, (length, here) in enumerate(by_length.items()):
            holding, networks = _counts(here)
            low, high = wilson(holding, networks)
            right = sum(answer.right for answer in here)
            table.add_row(
                *(first if index == 0 else [""] * len(first)),
                f"{length:,}",
                f"{holding}/{networks} [{100 * low:.0f}, {100 * high:.0f} %]",
                f"{right:,}/{sum(answer.tested for answer in here):,}",
                span if index == 0 else "",
            )
    return table


def answers_document(group: Replicates, answers: Sequence[Answers]) -> dict[str, object]:
    """What `--json` prints of one group."""
    config, span = group.configs[0], holding_span(answers)
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
        "networks": [answer._asdict() | {"holds": answer.holds} for answer in answers],
    }
