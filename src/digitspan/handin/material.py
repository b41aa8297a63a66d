"""What a report is made from: a finished study, and the networks of it that are looked into."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from digitspan.cells import title
from digitspan.errors import UsageError
from digitspan.runs.record import RunRecord
from digitspan.study.comparison import Compared, conditions_of
from digitspan.study.config import StudyConfig
from digitspan.study.plan import TUNED, Condition
from digitspan.study.ratio import Ratio, compare_all
from digitspan.study.reading import SavedRun, Study, read_study
from digitspan.study.summary import ConditionSummary, Summary, summarise

__all__ = ["CELLS_ASKED", "Duel", "Material", "compare_networks", "read_material"]

CELLS_ASKED = ("rnn", "lstm")
"""The cells that the sheet asks for."""

OPTIMIZERS_ASKED = ("rmsprop", "adam", "sgd", "momentum")
"""The optimisers that Question 1.4 compares here."""

SANITY_LENGTH = 5
"""The length at which the sheet asks for near-perfect accuracy."""

LOOKED_INTO_AT = 20
"""Networks are looked into that were trained at this length, or near it."""


class Duel(NamedTuple):
    """The two networks under the same conditions."""

    rnn: ConditionSummary
    lstm: ConditionSummary
    ratio: Ratio
    """The LSTM's span as a multiple of the RNN's, one of all pairs that were compared."""

    @property
    def sides(self) -> tuple[ConditionSummary, ConditionSummary]:
        """Both networks' runs."""
        return self.rnn, self.lstm

    @property
    def rule(self) -> str:
        """The learning rate, or "tuned"."""
        return self.rnn.condition.rate

    @property
    def is_tuned(self) -> bool:
        """Whether each network has its own best rate."""
        return self.rule == TUNED

    @property
    def setting(self) -> tuple[str, str]:
        """Encoding and initialisation."""
        return self.rnn.condition.encoding, self.rnn.condition.initialisation


class Comparison(NamedTuple):
    """All conditions of the study and all pairs of them, as `digitspan compare` has them."""

    conditions: Mapping[Condition, Compared]
    """Name, span, parameters and steps of each."""
    ratios: Mapping[tuple[Condition, Condition], Ratio]
    """The first one's span as a multiple of the second's; every pair in both orders."""

    @property
    def pairs(self) -> int:
        """m: so many p-values and intervals hold together."""
        return len(self.ratios) // 2


class Material(NamedTuple):
    """Everything that the report says something about."""

    summary: Summary
    """What the rows of the study show."""
    comparison: Comparison
    """What was compared with what, and what came of it."""
    duels: tuple[Duel, ...]
    """Both networks under each condition, the sheet's own encoding first."""
    networks: Mapping[str, SavedRun]
    """By cell: the network that is looked into."""
    kept: Mapping[str, tuple[SavedRun, ...]] = MappingProxyType({})
    """By cell: all trained networks of the runs shown, at the first duel's encoding and
    initialisation."""
    records: tuple[RunRecord, ...] = ()
    """All runs of the two networks, for contrasts between solved and unsolved ones."""

    @property
    def config(self) -> StudyConfig:
        """What the study was asked for."""
        return self.summary.config

    def alike(self, cell: str) -> tuple[SavedRun, ...]:
        """The network that is looked into, and those solved at its length."""
        looked = self.networks[cell]
        found = tuple(
            kept
            for kept in self.kept.get(cell, ())
            if kept.record.solved and kept.config.length == looked.config.length
        )
        return found if looked.record.solved and found else (looked,)


def read_material(study: Path) -> Material:
    """Read a study and see that it has all that the sheet's questions need.

    Args:
        study: its folder, or the store in it.

    Raises:
        UsageError: naming what is missing, and the command that makes it.
    """
    found = read_study(study).require_undamaged()
    summary = summarise(found.config, found.rows)
    _check(summary, found.folder)
    comparison, duels = compare_networks(found, summary)
    if not duels:
        message = (
            f"{found.folder} has the two networks under no common condition; "
            f"{_sheet(found.folder)}"
        )
        raise UsageError(message)
    kept = {cell: tuple(map(found.saved_run, _kept(found, duels, cell))) for cell in CELLS_ASKED}
    networks = {
        cell: min(some, key=lambda one: _remoteness(one.record)) for cell, some in kept.items()
    }
    records = tuple(
        row.record
        for row in found.rows.values()
        if row.record.config.cell in CELLS_ASKED and row.role != "continued"
    )
    return Material(summary, comparison, duels, networks, kept, records)


def compare_networks(study: Study, summary: Summary) -> tuple[Comparison, tuple[Duel, ...]]:
    """What `digitspan compare` finds, and the two networks side by side, digits as numbers first.

    Args:
        study: a finished study.
        summary: of its rows.
    """
    found, _ = conditions_of([study])
    conditions = dict(zip(summary.conditions, found, strict=True))
    by_name = {one.name: condition for condition, one in conditions.items()}
    ratios = {}
    for pair, ratio in compare_all({one.name: one.span for one in found}).items():
        first, second = (by_name[name] for name in pair)
        ratios[first, second], ratios[second, first] = ratio, _inverse(ratio)
    rows = {row.condition: row for row in summary.spans}
    duels = [
        Duel(row, other, ratios[other.condition, condition])
        for condition, row in rows.items()
        if condition.cell == "rnn" and (other := rows.get(condition._replace(cell="lstm")))
    ]
    duels.sort(key=lambda duel: (duel.setting[0] != "scalar", not duel.is_tuned))
    return Comparison(conditions, ratios), tuple(duels)


def _inverse(ratio: Ratio) -> Ratio:
    """The second span as a multiple of the first."""
    return ratio._replace(
        ratio=1 / ratio.ratio,
        low=None if ratio.high is None else 1 / ratio.high,
        high=None if ratio.low is None else 1 / ratio.low,
        bound={">=": "<=", "<=": ">="}.get(ratio.bound, ratio.bound),
    )


def _check(summary: Summary, folder: Path) -> None:
    """Refuse a study that some question cannot be answered from."""
    config = summary.config
    if config.task != "palindrome":
        message = (
            f"{folder} is of the task {config.task}, the sheet asks palindromes; {_sheet(folder)}"
        )
        raise UsageError(message)
    if len(config.hidden_sizes) > 1 or len(config.budgets) > 1:
        message = f"{folder} has several hidden sizes or budgets, the sheet one; {_sheet(folder)}"
        raise UsageError(message)
    for cell in CELLS_ASKED:
        if cell not in config.cells:
            message = (
                f"{folder} has no runs of the {title(cell)}, which Questions 1.3 and 1.6 compare "
                f"(its cells: {', '.join(config.cells)}); {_sheet(folder)}"
            )
            raise UsageError(message)
    if summary.missing:
        message = (
            f"{folder} is not finished: {summary.missing} runs are missing; "
            f"`digitspan study` with the same options goes on with it"
        )
        raise UsageError(message)
    lengths = {length.length for row in summary.spans for length in row.lengths}
    if SANITY_LENGTH not in lengths or len(lengths) < 3:
        message = (
            f"{folder} has the lengths {', '.join(map(str, sorted(lengths)))}; Questions 1.3 and "
            f"1.6 ask for T = {SANITY_LENGTH} and at least two more; {_sheet(folder)}"
        )
        raise UsageError(message)
    for cell in CELLS_ASKED:
        compared = {c.optimizer for c, _ in summary.optimizers if c.cell == cell}
        if missing := sorted(set(OPTIMIZERS_ASKED) - compared):
            message = (
                f"{folder} has no runs of the {title(cell)} with {', '.join(missing)}, which "
                f"Question 1.4 compares (--compared-optimizers); {_sheet(folder)}"
            )
            raise UsageError(message)


def _sheet(folder: Path) -> str:
    """The command that makes what is missing."""
    return f"`digitspan study sheet --out {folder.parent / 'sheet'}` makes all that is needed"


def _kept(study: Study, duels: tuple[Duel, ...], cell: str) -> list[RunRecord]:
    """The runs shown of a cell whose networks can be looked into, by length.

    They are of the first duel's encoding and initialisation, each once.
    """
    setting = duels[0].setting
    records = {
        record.config.key: record
        for duel in duels
        if duel.setting == setting
        for found in getattr(duel, cell).lengths
        for record in found.records
        if study.has_weights(record) and record.end_state != "diverged"
    }
    if not records:
        message = (
            f"{study.folder} keeps no network of the {title(cell)} that could be looked into "
            f"(Questions 1.1 and 1.5); {_sheet(study.folder)}"
        )
        raise UsageError(message)
    return sorted(records.values(), key=lambda record: (record.config.length, record.config.seed))


def _remoteness(record: RunRecord) -> tuple[float, ...]:
    """How far a run is from a solved one at T = 20; the smallest is looked into.

    So it is a solved run, its length the nearest to 20; or the most accurate one, where none was.
    """
    config = record.config
    distance = round(abs(math.log(config.length / LOOKED_INTO_AT)), 9)
    accuracy = 0.0 if record.solved else record.accuracy or 0.0
    return (
        not record.solved,
        -accuracy,
        distance,
        -config.length,
        config.learning_rate,
        config.seed,
    )
