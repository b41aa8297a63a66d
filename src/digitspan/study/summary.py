"""What a study found: spans, accuracies by length, controls. A pure function of its rows."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from digitspan.runs.outcome import END_STATES
from digitspan.runs.record import RunRecord
from digitspan.statistics import Interval, binomial_tail, kaplan_meier, wilson
from digitspan.study.config import StudyConfig
from digitspan.study.plan import TUNED, Condition, as_run, plan
from digitspan.study.retention import Span, budget_curve, guaranteed_span, measure_span
from digitspan.study.store import Row
from digitspan.tasks import CHANCE, ENUMERATED_UP_TO, NUM_CLASSES

__all__ = [
    "ConditionSummary",
    "Control",
    "LengthSummary",
    "MaskControl",
    "Masked",
    "Summary",
    "interquartile_mean",
    "mask_control",
    "parameters_of",
    "solving_times",
    "summarise",
]

TUNED_FROM = 3
"""From so many rates on, a grid's runs at all of them also tell the span at the best one."""

CONTROL_LENGTH = 5
"""T that every network should solve: without it a short span may be the set-up's fault."""

BUDGETS = 4
"""Budgets at which the curve of S50 is measured: quarters of the study's."""


class LengthSummary(NamedTuple):
    """The runs of one condition at one length."""

    length: int
    """T."""
    learning_rate: float
    """The rate that was used at this length."""
    records: tuple[RunRecord, ...]
    """The runs, by seed."""

    def __repr__(self) -> str:
        return f"<LengthSummary T = {self.length}: {self.solved} of {len(self.records)} solved>"

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


class ConditionSummary(NamedTuple):
    """One condition: a row of the table of spans."""

    condition: Condition
    """What was run."""
    span: Span
    """S50 within the study's budget."""
    budgets: tuple[Span, ...]
    """S50 within quarters of the budget, from the same runs; the last one is `span`."""
    records: tuple[RunRecord, ...]
    """The runs behind the span."""
    lengths: tuple[LengthSummary, ...]
    """Runs by length, shortest first: figure runs at the best rates, or those of a grid."""
    guaranteed: float | None
    """The guaranteed span; None where it is not determined, or the runs are no grid."""
    seconds: float
    """Wall time of the runs behind the span, in seconds."""

    def __repr__(self) -> str:
        return f"<ConditionSummary {self.condition.cell}: {self.span!r}>"

    @property
    def parameters(self) -> tuple[int, int] | None:
        """The least and the most of its networks, which differ where a cell is built with T."""
        return parameters_of(self.records)

    @property
    def end_states(self) -> dict[str, int]:
        """How many runs ended how, in the order of `END_STATES`, without zeros."""
        found = Counter(record.end_state for record in self.records)
        return {state: found[state] for state in END_STATES if found[state]}


class Control(NamedTuple):
    """Runs that must not solve the task by remembering: read-out alone, guessing."""

    condition: Condition
    """What was run; its `trained` says what was not."""
    lengths: tuple[LengthSummary, ...]
    """The runs by length."""


class Masked(NamedTuple):
    """One network asked again with the digit of one place replaced, x_1 or that of a list."""

    run: str
    """The name of its run."""
    length: int
    """T; 2 L of lists, where L is the length that was asked."""
    place: int | None
    """Of the list, from 1 on; None of palindromes, where it is x_1."""
    right: int
    """Answers that matched the replaced digit."""
    asked: int
    """Palindromes or lists asked."""
    together: int
    """How many of these are right or wrong together, at worst: 10 or 1."""

    @property
    def p(self) -> float:
        """How probable so many right answers or more are by chance."""
        return binomial_tail(self.right // self.together, self.asked // self.together, CHANCE)


class MaskControl(NamedTuple):
    """All trained runs asked again with a digit replaced: right answers must be at chance.

    Over all of them together, and of each network at each place: the binomial tail there is above
    0.001 divided by the number of networks and places (Bonferroni).
    """

    right: int
    """Answers that matched the replaced digit."""
    tested: int
    """Palindromes or lists asked, over all runs and places."""
    low: float
    """Lower end of the 99.9 % Wilson interval of the share."""
    high: float
    """Upper end of it."""
    places: int
    """Places of networks that were tested each by itself."""
    leaks: tuple[Masked, ...]
    """Those at which more answers are right than chance allows, the clearest first."""

    @property
    def holds_together(self) -> bool:
        """Whether chance is inside the interval of all answers together."""
        return self.low <= CHANCE <= self.high

    @property
    def holds(self) -> bool:
        """Whether it is, and no network has a place with more right answers than chance allows."""
        return self.holds_together and not self.leaks

    @property
    def document(self) -> dict[str, Any]:
        """As plain values."""
        return self._asdict() | {
            "leaks": [leak._asdict() | {"p": leak.p} for leak in self.leaks],
            "holds": self.holds,
        }


class Summary(NamedTuple):
    """Everything that tables and figures show of a study."""

    config: StudyConfig
    """What was asked for."""
    spans: tuple[ConditionSummary, ...]
    """One row per condition."""
    optimizers: tuple[tuple[Condition, LengthSummary], ...]
    """Question 1.4: optimisers and rates at the shortest length."""
    controls: tuple[Control, ...]
    """The controls."""
    continued: tuple[RunRecord, ...]
    """Unsolved figure runs, drawn in advance, with the larger budget they were given."""
    errors: tuple[RunRecord, ...]
    """Runs of which nothing is known, for their code or machine failed; made again next time."""
    mask: MaskControl | None
    """The mask control; None where nothing was tested."""
    runs: int
    """Rows that the study asks for and has."""
    missing: int
    """Runs still missing, as far as it is known which."""

    def __repr__(self) -> str:
        return f"<Summary of {len(self.spans)} conditions, {self.runs} runs>"

    @property
    def conditions(self) -> list[Condition]:
        """The conditions of the table of spans."""
        return [row.condition for row in self.spans]

    @property
    def lacks_control_length(self) -> bool:
        """Whether accuracies of a condition are shown without those at T = 5.

        Runs at a fixed rate beside a joint design are left aside: its figure runs are the control.
        """
        return any(
            CONTROL_LENGTH not in {found.length for found in row.lengths}
            for row in self.spans
            if row.lengths and (self.config.design == "grid" or row.condition.rate == TUNED)
        )


def summarise(config: StudyConfig, rows: Mapping[str, Row]) -> Summary:
    """Group the rows (by key) that a study asks for by what they are for, and measure."""
    jobs = plan(config, {key: row.record for key, row in rows.items()})
    found: dict[str, dict[Condition, list[Row]]] = defaultdict(lambda: defaultdict(list))
    errors = []
    for job in jobs:
        row = rows.get(job.config.key)
        if row is not None and row.record.end_state == "error":
            errors.append(row.record)
        elif row is not None:
            found[job.role][job.condition].append(row)
    asked = {job.config.key for job in jobs}
    return Summary(
        config=config,
        spans=tuple(_spans(config, found)),
        optimizers=tuple(
            (condition, length)
            for condition, some in found["optimizer"].items()
            for length in _lengths(some)
        ),
        controls=tuple(
            Control(condition, _lengths(some)) for condition, some in found["control"].items()
        ),
        continued=tuple(row.record for some in found["continued"].values() for row in some),
        errors=tuple(errors),
        mask=mask_control(rows[key].record for key in asked & rows.keys()),
        runs=len(asked & rows.keys()) - len(errors),
        missing=len(asked - rows.keys()) + len(errors),
    )


def parameters_of(records: Iterable[RunRecord]) -> tuple[int, int] | None:
    """The least and the most parameters of some runs' networks; None where none says."""
    found = [record.parameters for record in records if record.parameters is not None]
    return (min(found), max(found)) if found else None


def solving_times(summary: Summary, found: LengthSummary) -> np.ndarray:
    """The share of some runs that is solved by each training step, as far as they were trained.

    Kaplan and Meier's estimate: a run that its budget ended is censored there, one that was
    continued counts with its larger budget, one that diverged is never solved.

    Returns:
        Steps, from 0 to the last that was made, and shares in [0, 1]; shape (2, E).
    """
    continued = {
        dataclasses.replace(record.config, train_steps=steps): record
        for record in summary.continued
        for steps in summary.config.budgets
    }
    records = [continued.get(record.config, record) for record in found.records]
    times = [math.inf if r.end_state == "diverged" else r.steps for r in records]
    steps, shares = kaplan_meier(times, [record.solved for record in records])
    last = max(record.config.train_steps for record in records)
    return np.array([[*steps, last], [*shares, shares[-1]]])


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


def _spans(
    config: StudyConfig, found: Mapping[str, Mapping[Condition, list[Row]]]
) -> Iterable[ConditionSummary]:
    """The rows of the table of spans: tuned conditions, fixed rates beside them, or a grid's."""
    for condition, rows in found["design"].items():
        yield _measured(config, condition, rows, found["figure"].get(condition, []))
        for fixed, some in found["fixed-rate"].items():
            if fixed._replace(rate=TUNED) == condition:
                yield _measured(config, fixed, some, some)
    by_cell: dict[Condition, list[Row]] = defaultdict(list)
    for condition, rows in found["grid"].items():
        by_cell[condition._replace(rate=TUNED)] += rows
        yield _measured(config, condition, rows, rows)
    for condition, rows in by_cell.items():
        if len({row.record.config.learning_rate for row in rows}) >= TUNED_FROM:
            yield _measured(config, condition, rows, [])


def _measured(
    config: StudyConfig, condition: Condition, rows: list[Row], by_length: list[Row]
) -> ConditionSummary:
    """One row of the table: its span from some runs, its accuracies from others or the same."""
    runs = [as_run(row.record) for row in rows]
    rate = None if condition.rate == TUNED else rows[0].record.config.learning_rate
    lengths = _lengths(by_length)
    counts = {length.length: (length.solved, len(length.records)) for length in lengths}
    is_grid = config.design == "grid" and rate is not None
    budget = condition.train_steps
    quarters = [budget * part // BUDGETS for part in range(1, BUDGETS)]
    span = measure_span(runs, budget, rate=rate)
    return ConditionSummary(
        condition=condition,
        span=span,
        budgets=(*budget_curve(runs, [b for b in quarters if b], rate=rate), span),
        records=tuple(row.record for row in rows),
        lengths=lengths,
        guaranteed=guaranteed_span(counts) if is_grid else None,
        seconds=sum(row.timing.seconds for row in rows),
    )


def _lengths(rows: list[Row]) -> tuple[LengthSummary, ...]:
    """Runs by length, and within one length by seed."""
    by_length: dict[int, list[RunRecord]] = defaultdict(list)
    for row in rows:
        by_length[row.record.config.length].append(row.record)
    return tuple(
        LengthSummary(
            length,
            records[0].config.learning_rate,
            tuple(sorted(records, key=lambda record: record.config.seed)),
        )
        for length, records in sorted(by_length.items())
    )


def mask_control(records: Iterable[RunRecord]) -> MaskControl | None:
    """The mask control over every run of the study, each once."""
    right = tested = 0
    places: list[Masked] = []
    for record in records:
        is_asked = record.config.length > 2 or record.config.items is not None
        if is_asked and record.masked_tested:
            right += record.masked_right or 0
            tested += record.masked_tested
            places += _masked(record)
    if tested == 0:
        return None
    found = [some for some in places if some.p * len(places) < _BY_CHANCE]
    leaks = sorted(found, key=lambda some: some.p)
    interval = wilson(right, tested, z=3.2905267314919255)
    return MaskControl(right, tested, *interval, len(places), tuple(leaks))


_BY_CHANCE = 0.001
"""How often the mask control may find a leak where there is none, over all places of networks."""


def _masked(record: RunRecord) -> list[Masked]:
    """The places of one run's network that were asked with their digit replaced.

    Of one digit there are ten lists, each asked ten times. Where palindromes are listed, every
    tail x_2, x_3, ... stands with all ten first digits, and a network that is wrong by as much for
    a whole tail (as scalar inputs make it) is right ten times at once or never.
    """
    config, recalled = record.config, record.recalled
    if recalled is not None:
        items, asked = len(recalled.masked), recalled.masked_asked
        together = NUM_CLASSES if items == 1 else 1
        return [
            Masked(config.run_id, 2 * items, place, right, asked, together)
            for place, right in enumerate(recalled.masked, start=1)
        ]
    together = NUM_CLASSES if config.length <= ENUMERATED_UP_TO else 1
    right, asked = record.masked_right or 0, record.masked_tested or 0
    return [Masked(config.run_id, config.length, None, right, asked, together)]
