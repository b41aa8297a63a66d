"""What a report is made from: a finished study, and the networks of it that are looked into."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from digitspan.cells import title
from digitspan.errors import ConfigError, UsageError, one_of
from digitspan.runs.record import RunRecord
from digitspan.sheet.exercise import Sheet, default_sheet
from digitspan.study.comparison import Compared, conditions_of
from digitspan.study.config import PRESETS, StudyConfig
from digitspan.study.plan import TUNED, Condition
from digitspan.study.ratio import Ratio, compare_all
from digitspan.study.reading import SavedRun, Study, read_study
from digitspan.study.summary import ConditionSummary, Summary, summarise

__all__ = [
    "Duel",
    "Material",
    "compare_networks",
    "how_to_make",
    "read_material",
    "study_of_sheet",
]

OPTIMIZERS_ASKED = ("rmsprop", "adam", "sgd", "momentum")
"""The optimisers that are compared where a sheet asks for them."""


class Duel(NamedTuple):
    """The two networks under the same conditions."""

    vanilla: ConditionSummary
    gated: ConditionSummary
    ratio: Ratio
    """The gated one's span as a multiple of the vanilla one's, one of all pairs compared."""

    @property
    def sides(self) -> tuple[ConditionSummary, ConditionSummary]:
        """Both networks' runs."""
        return self.vanilla, self.gated

    def of(self, cell: str) -> ConditionSummary:
        """One of the two networks' runs, by its cell."""
        return next(side for side in self.sides if side.condition.cell == cell)

    @property
    def rule(self) -> str:
        """The learning rate, or "tuned"."""
        return self.vanilla.condition.rate

    @property
    def is_tuned(self) -> bool:
        """Whether each network has its own best rate."""
        return self.rule == TUNED

    @property
    def setting(self) -> tuple[str, str]:
        """Encoding and initialisation."""
        return self.vanilla.condition.encoding, self.vanilla.condition.initialisation


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

    sheet: Sheet
    """What is asked."""
    summary: Summary
    """What the rows of the study show."""
    comparison: Comparison
    """What was compared with what, and what came of it."""
    duels: tuple[Duel, ...]
    """Both networks under each condition, the sheet's first encoding first."""
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

    @property
    def vanilla(self) -> str:
        """The cell of the vanilla network."""
        return self.sheet.networks[0]

    @property
    def gated(self) -> str:
        """The cell of the gated network."""
        return self.sheet.networks[1]


def study_of_sheet(sheet: Sheet) -> StudyConfig:
    """The study that answers a sheet.

    Raises:
        UsageError: where [study] of the sheet is no study.
    """
    words = dict(sheet.study)
    preset = words.pop("preset", "sheet")
    try:
        if preset not in PRESETS:
            raise ConfigError("preset", one_of(preset, PRESETS))
        asked = {"cells": sheet.networks, "task": sheet.task, "encoding": sheet.encodings[:1]}
        if again := sorted(asked.keys() & words.keys()):
            raise ConfigError(again[0], "must be left out: the rest of the sheet says it")
        return StudyConfig.from_words(asked | words, PRESETS[preset]())
    except ConfigError as error:
        message = f"{sheet.source}: [study] asks for what is no study: {error}"
        raise UsageError(message) from error


def read_material(study: Path, sheet: Sheet) -> Material:
    """Read a study and see that it has all that the sheet's questions need.

    Args:
        study: its folder, or the store in it.
        sheet: what is asked.

    Raises:
        UsageError: naming what is missing, and the command that makes it.
    """
    found = read_study(study).require_undamaged()
    summary = summarise(found.config, found.rows)
    _check(summary, found.folder, sheet)
    comparison, duels = compare_networks(found, summary, sheet)
    if not duels:
        message = (
            f"{found.folder} has the two networks under no common condition; "
            f"{how_to_make(found.folder, sheet)}"
        )
        raise UsageError(message)
    remoteness = functools.partial(_remoteness, sheet.lengths.looked_into)
    kept = {
        cell: tuple(map(found.saved_run, _kept(found, duels, cell, sheet)))
        for cell in sheet.networks
    }
    networks = {
        cell: min(some, key=lambda one: remoteness(one.record)) for cell, some in kept.items()
    }
    records = tuple(
        row.record
        for row in found.rows.values()
        if row.record.config.cell in sheet.networks and row.role != "continued"
    )
    return Material(sheet, summary, comparison, duels, networks, kept, records)


def compare_networks(
    study: Study, summary: Summary, sheet: Sheet
) -> tuple[Comparison, tuple[Duel, ...]]:
    """What `digitspan compare` finds, and the two networks side by side, by the sheet's encodings.

    Args:
        study: a finished study.
        summary: of its rows.
        sheet: whose networks.
    """
    vanilla, gated = sheet.networks
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
        if condition.cell == vanilla and (other := rows.get(condition._replace(cell=gated)))
    ]
    duels = [duel for duel in duels if duel.setting[0] in sheet.encodings]
    duels.sort(key=lambda duel: (sheet.encodings.index(duel.setting[0]), not duel.is_tuned))
    return Comparison(conditions, ratios), tuple(duels)


def _inverse(ratio: Ratio) -> Ratio:
    """The second span as a multiple of the first."""
    return ratio._replace(
        ratio=1 / ratio.ratio,
        low=None if ratio.high is None else 1 / ratio.high,
        high=None if ratio.low is None else 1 / ratio.low,
        bound={">=": "<=", "<=": ">="}.get(ratio.bound, ratio.bound),
    )


def _check(summary: Summary, folder: Path, sheet: Sheet) -> None:
    """Refuse a study that some question cannot be answered from."""
    config, make = summary.config, how_to_make(folder, sheet)
    if config.task != sheet.task:
        message = f"{folder} is of the task {config.task}, the sheet asks {sheet.task}; {make}"
        raise UsageError(message)
    if len(config.hidden_sizes) > 1 or len(config.budgets) > 1:
        message = f"{folder} has several hidden sizes or budgets, the sheet one; {make}"
        raise UsageError(message)
    for cell in sheet.networks:
        if cell not in config.cells:
            message = (
                f"{folder} has no runs of the {title(cell)}, which the sheet asks for (its cells: "
                f"{', '.join(config.cells)}); {make}"
            )
            raise UsageError(message)
    if summary.missing:
        message = (
            f"{folder} is not finished: {summary.missing} runs are missing; "
            f"`digitspan study` with the same options goes on with it"
        )
        raise UsageError(message)
    lengths = {length.length for row in summary.spans for length in row.lengths}
    sanity, least = sheet.lengths.sanity, sheet.lengths.least
    asking = sheet.needs("lengths")
    if asking and (sanity not in lengths or len(lengths) < least):
        message = (
            f"{folder} has the lengths {', '.join(map(str, sorted(lengths)))}; {_asking(asking)} "
            f"for T = {sanity} and at least {least - 1} more; {make}"
        )
        raise UsageError(message)
    asking = sheet.needs("optimizers")
    for cell in sheet.networks if asking else ():
        compared = {c.optimizer for c, _ in summary.optimizers if c.cell == cell}
        if missing := sorted(set(OPTIMIZERS_ASKED) - compared):
            message = (
                f"{folder} has no runs of the {title(cell)} with {', '.join(missing)}; "
                f"{_asking(asking)} for them (--compared-optimizers); {make}"
            )
            raise UsageError(message)


def _asking(numbers: list[str]) -> str:
    """The questions that ask: "Questions 1.3 and 1.6 ask"."""
    *before, last = numbers
    if before:
        return f"Questions {', '.join(before)} and {last} ask"
    return f"Question {last} asks"


def how_to_make(folder: Path, sheet: Sheet) -> str:
    """The command that makes what is missing."""
    study = "sheet"
    if sheet.digest != default_sheet().digest:
        study = str(Path(sheet.source).parent / "study.toml")
    return f"`digitspan study {study} --out {folder.parent / 'sheet'}` makes all that is needed"


def _kept(study: Study, duels: tuple[Duel, ...], cell: str, sheet: Sheet) -> list[RunRecord]:
    """The runs shown of a cell whose networks can be looked into, by length.

    They are of the first duel's encoding and initialisation, each once.
    """
    setting = duels[0].setting
    records = {
        record.config.key: record
        for duel in duels
        if duel.setting == setting
        for found in duel.of(cell).lengths
        for record in found.records
        if study.has_weights(record) and record.end_state != "diverged"
    }
    if not records:
        message = (
            f"{study.folder} keeps no network of the {title(cell)} that could be looked into; "
            f"{how_to_make(study.folder, sheet)}"
        )
        raise UsageError(message)
    return sorted(records.values(), key=lambda record: (record.config.length, record.config.seed))


def _remoteness(length: int, record: RunRecord) -> tuple[float, ...]:
    """How far a run is from a solved one at some T; the smallest is looked into.

    So it is a solved run, its length the nearest; or the most accurate one, where none was.
    """
    config = record.config
    distance = round(abs(math.log(config.length / length)), 9)
    accuracy = 0.0 if record.solved else record.accuracy or 0.0
    return (
        not record.solved,
        -accuracy,
        distance,
        -config.length,
        config.learning_rate,
        config.seed,
    )
