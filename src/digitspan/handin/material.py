"""What a report is made from: a finished study, and the networks of it that are looked into."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from digitspan.cells import title
from digitspan.errors import UsageError
from digitspan.runs.config import OPTIMIZERS
from digitspan.runs.record import RunRecord
from digitspan.study.config import StudyConfig
from digitspan.study.ratio import Ratio, compare_spans
from digitspan.study.reading import SavedRun, Study, read_study
from digitspan.study.summary import ConditionSummary, Summary, summarise

__all__ = ["CELLS_ASKED", "Duel", "Material", "read_material"]

CELLS_ASKED = ("rnn", "lstm")
"""The cells that the sheet asks for."""

SANITY_LENGTH = 5
"""The length at which the sheet asks for near-perfect accuracy."""

LOOKED_INTO_AT = 20
"""Networks are looked into that were trained at this length, or near it."""


class Duel(NamedTuple):
    """The two networks under the same conditions."""

    rnn: ConditionSummary
    lstm: ConditionSummary
    ratio: Ratio
    """The LSTM's span as a multiple of the RNN's."""

    @property
    def sides(self) -> tuple[ConditionSummary, ConditionSummary]:
        """Both networks' runs."""
        return self.rnn, self.lstm

    @property
    def rule(self) -> str:
        """The learning rate, or "tuned"."""
        return self.rnn.condition.rate

    @property
    def setting(self) -> tuple[str, str]:
        """Encoding and initialisation."""
        return self.rnn.condition.encoding, self.rnn.condition.initialisation


class Material(NamedTuple):
    """Everything that the report says something about."""

    summary: Summary
    """What the rows of the study show."""
    duels: tuple[Duel, ...]
    """Both networks under each condition, the sheet's own encoding first."""
    networks: Mapping[str, SavedRun]
    """By cell: the network that is looked into."""

    @property
    def config(self) -> StudyConfig:
        """What the study was asked for."""
        return self.summary.config


def read_material(study: Path) -> Material:
    """Read a study and see that it has all that the sheet's questions need.

    Args:
        study: its folder, or the store in it.

    Raises:
        UsageError: naming what is missing, and the command that makes it.
    """
    found = read_study(study)
    found.require_undamaged()
    summary = summarise(found.config, found.rows)
    _check(summary, found.folder)
    duels = _duels(summary)
    if not duels:
        message = (
            f"{found.folder} has the two networks under no common condition; "
            f"{_sheet(found.folder)}"
        )
        raise UsageError(message)
    networks = {cell: _network(found, duels, cell) for cell in CELLS_ASKED}
    return Material(summary, duels, networks)


def _check(summary: Summary, folder: Path) -> None:
    """Refuse a study that some question cannot be answered from."""
    config = summary.config
    if config.task != "palindrome":
        message = (
            f"{folder} is of the task {config.task}, the sheet asks palindromes; {_sheet(folder)}"
        )
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
        if missing := sorted(set(OPTIMIZERS) - compared):
            message = (
                f"{folder} has no runs of the {title(cell)} with {', '.join(missing)}, which "
                f"Question 1.4 compares (--compared-optimizers); {_sheet(folder)}"
            )
            raise UsageError(message)


def _sheet(folder: Path) -> str:
    """The command that makes what is missing."""
    return f"`digitspan study sheet --out {folder.parent / 'sheet'}` makes all that is needed"


def _duels(summary: Summary) -> tuple[Duel, ...]:
    """The conditions under which both networks were run, digits as numbers first."""
    rows = {row.condition: row for row in summary.spans}
    duels = [
        Duel(row, other, compare_spans(other.span, row.span))
        for condition, row in rows.items()
        if condition.cell == "rnn" and (other := rows.get(condition._replace(cell="lstm")))
    ]
    return tuple(sorted(duels, key=lambda duel: duel.setting[0] != "scalar"))


def _network(study: Study, duels: tuple[Duel, ...], cell: str) -> SavedRun:
    """The network of a cell that is looked into, of the first duel's encoding and initialisation.

    A solved run, its length the nearest to 20; where none was solved, the most accurate one.
    """
    setting = duels[0].setting
    records = [
        record
        for duel in duels
        if duel.setting == setting
        for found in getattr(duel, cell).lengths
        for record in found.records
        if study.has_weights(record)
    ]
    if not records:
        message = f"{study.folder} keeps no network of the {title(cell)}; {_sheet(study.folder)}"
        raise UsageError(message)
    return study.saved_run(min(records, key=_remoteness))


def _remoteness(record: RunRecord) -> tuple[float, ...]:
    """How far a run is from a solved one at T = 20: the smallest is chosen."""
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
