"""What a study found: spans, shares by length, controls. A pure function of its rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from digitspan.runs.outcome import END_STATES
from digitspan.runs.record import RunRecord
from digitspan.statistics import Interval, wilson
from digitspan.study.config import StudyConfig
from digitspan.study.grid import TUNED, Condition, Job, counts_of, plan
from digitspan.study.span import Span, measure_span
from digitspan.study.store import Row
from digitspan.tasks import NUM_CLASSES

__all__ = [
    "Control",
    "LengthSummary",
    "MaskControl",
    "RateSummary",
    "SpanSummary",
    "Summary",
    "interquartile_mean",
    "summarise",
]


class LengthSummary(NamedTuple):
    """The runs of one condition at one length."""

    length: int
    """T."""
    learning_rate: float
    """The rate that was used at this length."""
    records: tuple[RunRecord, ...]
    """The runs, by seed."""

    @property
    def solved(self) -> int:
        """How many were solved."""
        return sum(record.solved for record in self.records)

    @property
    def solved_interval(self) -> Interval:
        """The 95 % Wilson interval of the solved share."""
        return wilson(self.solved, len(self.records))

    @property
    def accuracies(self) -> np.ndarray:
        """Accuracy of each run that was tested, in [0, 1], shape (S,)."""
        tested = [record.accuracy for record in self.records if record.accuracy is not None]
        return np.array(tested, dtype=float)

    @property
    def bits(self) -> np.ndarray:
        """Memory of each run that was tested, in bits, shape (S,)."""
        tested = [record.bits for record in self.records if record.bits is not None]
        return np.array(tested, dtype=float)


class SpanSummary(NamedTuple):
    """One condition: a row of the table of spans."""

    condition: Condition
    """What was run."""
    lengths: tuple[LengthSummary, ...]
    """Its runs by length, shortest first."""
    span: Span
    """The retention span that they show."""
    seconds: float
    """Wall time of all its runs together, in seconds."""

    @property
    def records(self) -> tuple[RunRecord, ...]:
        """All its runs."""
        return tuple(record for length in self.lengths for record in length.records)

    @property
    def seeds(self) -> tuple[int, int]:
        """The fewest and the most runs at one length."""
        numbers = [len(length.records) for length in self.lengths]
        return min(numbers), max(numbers)

    @property
    def end_states(self) -> dict[str, int]:
        """How many runs ended how, in the order of `END_STATES`, without zeros."""
        found = Counter(record.end_state for record in self.records)
        return {state: found[state] for state in END_STATES if found[state]}

    @property
    def share_still_improving(self) -> float:
        """The share of runs whose budget ended while they were improving, in [0, 1]."""
        return self.end_states.get("budget", 0) / len(self.records)


class RateSummary(NamedTuple):
    """The span at one fixed learning rate: the best rate is only as good as what was tried."""

    condition: Condition
    """What was run; its `rate` is the number."""
    learning_rate: float
    """The rate."""
    span: Span
    """The span of these runs."""
    role: str
    """"final", or "tuning" where the rates were only tried by tuning runs."""


class Control(NamedTuple):
    """Runs that must not solve the task by remembering: read-out alone, guessing."""

    condition: Condition
    """What was run; its `trained` says what was not."""
    lengths: tuple[LengthSummary, ...]
    """The runs by length."""


class MaskControl(NamedTuple):
    """All trained runs asked again with x_1 replaced: right answers must be at chance."""

    right: int
    """Answers that matched the replaced digit."""
    tested: int
    """Palindromes asked, over all runs."""
    low: float
    """Lower end of the 99.9 % Wilson interval of the share."""
    high: float
    """Upper end of it."""

    @property
    def holds(self) -> bool:
        """Whether chance is inside the interval."""
        return self.low <= 1 / NUM_CLASSES <= self.high


class Summary(NamedTuple):
    """Everything that tables and figures show of a study."""

    config: StudyConfig
    """What was asked for."""
    spans: tuple[SpanSummary, ...]
    """One row per condition."""
    rates: tuple[RateSummary, ...]
    """The span at every rate that was tried at more than one length."""
    compared: tuple[tuple[Condition, LengthSummary], ...]
    """Question 1.4: optimisers and rates at the shortest length."""
    controls: tuple[Control, ...]
    """The controls."""
    mask: MaskControl | None
    """The mask control; None where nothing was tested."""
    runs: int
    """Rows that the study asks for and has."""
    missing: int
    """Runs still missing, as far as it is known which."""


ByRole = dict[str, dict[Condition, list[Row]]]
"""Rows by what they are for and under which condition."""


def summarise(config: StudyConfig, rows: Mapping[str, Row]) -> Summary:
    """Group the rows (by key) that a study asks for by what they are for, and measure."""
    jobs = plan(config, {key: row.record for key, row in rows.items()})
    by_role: ByRole = defaultdict(lambda: defaultdict(list))
    for job in jobs:
        if job.config.key in rows:
            by_role[job.role][job.condition].append(rows[job.config.key])
    asked = {job.config.key for job in jobs}
    return Summary(
        config=config,
        spans=tuple(_span(condition, found) for condition, found in by_role["final"].items()),
        rates=_rates(by_role),
        compared=tuple(
            (condition, length)
            for condition, found in by_role["compared"].items()
            for length in _lengths(found)
        ),
        controls=tuple(
            Control(condition, _lengths(found)) for condition, found in by_role["control"].items()
        ),
        mask=_mask(jobs, rows),
        runs=len(asked & rows.keys()),
        missing=len(asked - rows.keys()),
    )


def interquartile_mean(values: Sequence[float] | np.ndarray) -> float:
    """The mean of the middle half of some values (Agarwal et al. 2021).

    The quarter at each end is cut off; a value on the border counts by the part of it inside.

    >>> interquartile_mean([0, 1, 1, 9])
    1.0
    """
    ordered = np.sort(np.asarray(values, dtype=float))
    count = len(ordered)
    edges = np.arange(count + 1) / count
    inside = np.clip(np.minimum(edges[1:], 0.75) - np.maximum(edges[:-1], 0.25), 0, None)
    return float(inside @ ordered / inside.sum())


def _span(condition: Condition, rows: list[Row]) -> SpanSummary:
    """One condition's row."""
    records = [row.record for row in rows]
    seconds = sum(row.timing.seconds for row in rows)
    return SpanSummary(condition, _lengths(rows), measure_span(counts_of(records)), seconds)


def _rates(by_role: ByRole) -> tuple[RateSummary, ...]:
    """The span by learning rate, from final runs where there are several rates, else tuning."""
    found: dict[Condition, tuple[list[Row], str]] = {}
    for role in ("tuning", "final"):  # final runs, where there are any, count for more
        for condition, rows in by_role[role].items():
            by_rate: dict[float, list[Row]] = defaultdict(list)
            for row in rows:
                by_rate[row.record.config.learning_rate].append(row)
            if role == "final" and condition.rate == TUNED:
                continue  # a different rate at every length
            for rate, some in by_rate.items():
                if len({row.record.config.length for row in some}) > 1:
                    found[condition._replace(rate=f"{rate:g}")] = (some, role)
    summaries = [
        RateSummary(
            condition,
            rows[0].record.config.learning_rate,
            measure_span(counts_of(row.record for row in rows)),
            role,
        )
        for condition, (rows, role) in found.items()
    ]
    return tuple(sorted(summaries, key=lambda summary: summary.learning_rate))


def _lengths(rows: list[Row]) -> tuple[LengthSummary, ...]:
    """Runs by length, and within one length by seed."""
    by_length: dict[int, list[RunRecord]] = defaultdict(list)
    for row in rows:
        by_length[row.record.config.length].append(row.record)
    return tuple(
        LengthSummary(
            length,
            found[0].config.learning_rate,
            tuple(sorted(found, key=lambda record: record.config.seed)),
        )
        for length, found in sorted(by_length.items())
    )


def _mask(jobs: list[Job], rows: Mapping[str, Row]) -> MaskControl | None:
    """The mask control over every run of the study, each once."""
    right = tested = 0
    for key in {job.config.key for job in jobs if job.config.length > 2}:
        if key in rows and rows[key].record.masked_tested:
            right += rows[key].record.masked_right or 0
            tested += rows[key].record.masked_tested or 0
    if tested == 0:
        return None
    return MaskControl(right, tested, *wilson(right, tested, z=3.2905267314919255))
