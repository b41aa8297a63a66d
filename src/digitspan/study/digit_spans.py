"""Digit spans: what a study of lists found, a pure function of its rows; networks are subjects."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from digitspan.runs.recalled import Lists, Recalled
from digitspan.runs.record import RunRecord
from digitspan.statistics import MAX_BITS, median_rank
from digitspan.study.config import StudyConfig
from digitspan.study.plan import Condition, plan
from digitspan.study.ratio import holm
from digitspan.study.store import Row
from digitspan.study.summary import MaskControl, Summary, mask_control, summarise

__all__ = [
    "FEW_NETWORKS",
    "PEOPLE",
    "CellSpan",
    "Difference",
    "Mean",
    "Median",
    "SpanSummary",
    "compare_cells",
    "mean_difference",
    "mean_of",
    "median_of",
    "summarise_any",
    "summarise_spans",
]

FEW_NETWORKS = 5
"""From so many networks on, a cell's interval is one to go by."""

PEOPLE = {"backward": 5, "forward": 7}
"""About how many digits people repeat, by order: Woods and others 2011, Improving digit span
assessment of short-term verbal memory, J. Clin. Exp. Neuropsychol. 33, PMC2978794. They are read
a digit a second, once, to people who have had no training; a network is trained on thousands."""


class Mean(NamedTuple):
    """A mean over networks with its 95 % interval."""

    mean: float
    """Over the networks."""
    low: float | None
    """Lower end of Student's t-interval; None of a single network."""
    high: float | None
    """Upper end of it."""
    networks: int
    """How many."""


class Median(NamedTuple):
    """The network in the middle, with an interval that covers it whatever the distribution."""

    median: float
    """Over the networks."""
    low: float | None
    """Lower end, one of the networks: 94 % of five, 95 % or more from six on; None of fewer."""
    high: float | None
    """Upper end of it."""


class CellSpan(NamedTuple):
    """One cell at one width: its networks at the best rate, and the runs that found that."""

    condition: Condition
    """What was run."""
    hidden_size: int
    """n."""
    records: tuple[RunRecord, ...]
    """The networks behind the span, by seed."""
    tuning: tuple[RunRecord, ...]
    """The runs that the rate was chosen by."""
    seconds: float
    """Wall time of all these runs, in seconds."""

    def __repr__(self) -> str:
        return f"<CellSpan {self.condition.cell}, n = {self.hidden_size}: {self.digit_span}>"

    @property
    def recalled(self) -> list[Recalled]:
        """What each network said."""
        return [record.recalled for record in self.records if record.recalled is not None]

    @property
    def rate(self) -> float | None:
        """The learning rate of the networks; None before it is known."""
        return self.records[0].config.learning_rate if self.records else None

    @property
    def digit_span(self) -> Mean:
        """The digit span, in items."""
        return mean_of([found.digit_span or 0 for found in self.recalled])

    @property
    def mean_span(self) -> Mean:
        """The mean span, in items."""
        return mean_of([found.mean_span or 0 for found in self.recalled])

    @property
    def median_span(self) -> Median:
        """The mean span of the network in the middle, in items."""
        return median_of([found.mean_span or 0 for found in self.recalled])

    @property
    def failed(self) -> int:
        """Networks whose mean span is less than half of the best one's."""
        half = max((found.mean_span or 0 for found in self.recalled), default=0) / 2
        return sum((found.mean_span or 0) < half for found in self.recalled)

    @property
    def capacity(self) -> Mean:
        """The most bits told of lists of one length, those of the shortest that tell as much."""
        return mean_of([found.capacity.bits for found in self.recalled])

    @property
    def capacity_bound(self) -> float:
        """L log2 10 of the lists behind the capacity, in bits, mean over the networks."""
        read = [found.capacity.items * MAX_BITS for found in self.recalled]
        return float(np.mean(read)) if read else math.nan

    @property
    def state_size(self) -> int | None:
        """Numbers carried from step to step."""
        return next((found.state_size for found in self.recalled), None)

    @property
    def parameters(self) -> int | None:
        """Numbers trained."""
        return next((record.parameters for record in self.records), None)

    @property
    def is_open(self) -> bool:
        """Whether some network's span may lie beyond the longest list."""
        return any(found.is_open for found in self.recalled)

    @property
    def tried(self) -> dict[float, float]:
        """The mean span on validation lists of the tuning runs at each rate, ascending."""
        spans: dict[float, list[float]] = defaultdict(list)
        for record in self.tuning:
            if record.recalled is not None:
                spans[record.config.learning_rate].append(record.recalled.on_the_way[-1].mean_span)
        return {rate: float(np.mean(spans[rate])) for rate in sorted(spans)}

    @property
    def neighbours(self) -> tuple[float | None, float | None]:
        """The mean spans at the rates just below and just above the chosen one, where tried."""
        tried = self.tried
        if self.rate not in tried:
            return None, None
        rates = list(tried)
        place = rates.index(self.rate)
        below = tried[rates[place - 1]] if place > 0 else None
        above = tried[rates[place + 1]] if place + 1 < len(rates) else None
        return below, above

    def mean_over(self, items: int, value: Callable[[Lists], float]) -> float:
        """The mean of a value at lists of one length, over the networks that were asked them.

        Of the others no list of two shorter lengths had come back whole. nan where none was asked.
        """
        asked = [found.lists[items - 1] for found in self.recalled if items <= len(found.lists)]
        return float(np.mean([value(lists) for lists in asked])) if asked else math.nan

    def share_whole(self, items: int) -> float:
        """P(L), the mean over all networks; 0 of one that was not asked."""
        shares = [found.shares[items - 1 : items] or [0.0] for found in self.recalled]
        return float(np.mean(shares)) if shares else math.nan


class SpanSummary(NamedTuple):
    """Everything that tables and figures show of a study of digit spans."""

    config: StudyConfig
    """What was asked for."""
    cells: tuple[CellSpan, ...]
    """One a cell, encoding, start and width."""
    errors: tuple[RunRecord, ...]
    """Runs of which nothing is known, for their code or machine failed; made again next time."""
    mask: MaskControl | None
    """The mask control, over every place of every run's lists."""
    missing: int
    """Runs still missing, as far as it is known which."""

    def __repr__(self) -> str:
        return f"<SpanSummary of {len(self.cells)} cells>"

    @property
    def measured(self) -> list[CellSpan]:
        """Those with networks."""
        return [cell for cell in self.cells if cell.recalled]


class Difference(NamedTuple):
    """How many items longer one cell's mean span is than another's."""

    difference: float
    """In items, the first's less the second's."""
    low: float | None
    """Lower end of Welch's interval; None of a single network, or of networks all alike."""
    high: float | None
    """Upper end of it."""
    level: float
    """Of the interval."""
    p: float
    """Welch's two-sided p."""
    adjusted_p: float
    """Holm's p over all comparisons made together."""

    @property
    def differs(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


def summarise_any(config: StudyConfig, rows: Mapping[str, Row]) -> Summary | SpanSummary:
    """What a study of either span found."""
    return (summarise_spans if config.design == "span" else summarise)(config, rows)


def summarise_spans(config: StudyConfig, rows: Mapping[str, Row]) -> SpanSummary:
    """Group the rows (by key) that a study of digit spans asks for, and measure."""
    jobs = plan(config, {key: row.record for key, row in rows.items()})
    found: dict[tuple[Condition, int], dict[str, list[Row]]] = {}
    errors, asked = [], {job.config.key for job in jobs}
    for job in jobs:
        of_cell = found.setdefault((job.condition, job.config.hidden_size), defaultdict(list))
        row = rows.get(job.config.key)
        if row is not None and row.record.end_state == "error":
            errors.append(row.record)
        elif row is not None:
            of_cell[job.role].append(row)
    return SpanSummary(
        config=config,
        cells=tuple(
            CellSpan(
                condition,
                hidden_size,
                tuple(row.record for row in roles["span"]),
                tuple(row.record for row in roles["tuning"]),
                sum(row.timing.seconds for some in roles.values() for row in some),
            )
            for (condition, hidden_size), roles in found.items()
        ),
        errors=tuple(errors),
        mask=mask_control(rows[key].record for key in asked & rows.keys()),
        missing=len(asked - rows.keys()) + len(errors),
    )


def mean_of(values: Sequence[float], *, level: float = 0.95) -> Mean:
    """The mean of one value a network, with Student's t-interval: networks are the subjects.

    m -+ t_{n-1} s / sqrt(n), from 0 on, below which no span and no capacity can be.

    Of cells of which some networks fail altogether it covers less often than it says; no interval
    of five networks that have not failed can know of those (docs/protocol.md, section 11).

    Args:
        values: one a network; nan where there is none.
        level: of the interval.

    >>> mean, low, high, networks = mean_of([4, 5, 6])
    >>> mean, round(low, 2), round(high, 2), networks
    (5.0, 2.52, 7.48, 3)
    """
    if len(values) == 0:
        return Mean(math.nan, None, None, 0)
    mean, count = float(np.mean(values)), len(values)
    if count == 1:
        return Mean(mean, None, None, 1)
    half = _t_quantile(level, count - 1) * float(np.std(values, ddof=1)) / math.sqrt(count)
    return Mean(mean, max(mean - half, 0.0), mean + half, count)


def median_of(values: Sequence[float]) -> Median:
    """The median of one value a network, and the two networks that enclose it.

    >>> median_of([4, 6, 5, 30, 0])
    Median(median=5.0, low=0.0, high=30.0)
    """
    if len(values) == 0:
        return Median(math.nan, None, None)
    ordered, rank = sorted(map(float, values)), median_rank(len(values))
    low, high = (ordered[rank - 1], ordered[-rank]) if rank else (None, None)
    return Median(float(np.median(ordered)), low, high)


def mean_difference(
    first: Sequence[float], second: Sequence[float], *, level: float = 0.95
) -> Difference:
    """Welch's difference of two means, whose variances need not be the same.

    Where no value differs from another of its side, nothing is known of the spread: there is no
    interval then, and p is 1.
    """
    difference = float(np.mean(first) - np.mean(second))
    if min(len(first), len(second)) < 2:
        return Difference(difference, None, None, level, 1.0, 1.0)
    parts = [float(np.var(values, ddof=1)) / len(values) for values in (first, second)]
    if not (variance := sum(parts)):
        return Difference(difference, None, None, level, 1.0, 1.0)
    degrees = variance**2 / sum(
        part**2 / (len(values) - 1) for part, values in zip(parts, (first, second), strict=True)
    )
    half = _t_quantile(level, degrees) * math.sqrt(variance)
    p = _t_two_sided(difference / math.sqrt(variance), degrees)
    return Difference(difference, difference - half, difference + half, level, p, p)


def compare_cells(spans: Mapping[str, Sequence[float]]) -> dict[tuple[str, str], Difference]:
    """All pairs of cells: Holm's p-values, intervals at 1 - 0.05 / m.

    Args:
        spans: the mean span of each network, by the cell's name.
    """
    pairs = list(itertools.combinations(spans, 2))
    level = 1 - 0.05 / max(len(pairs), 1)
    found = [mean_difference(spans[one], spans[other], level=level) for one, other in pairs]
    adjusted = holm([each.p for each in found])
    return {
        pair: each._replace(adjusted_p=p)
        for pair, each, p in zip(pairs, found, adjusted, strict=True)
    }


def _t_quantile(level: float, degrees: float) -> float:
    """Student's t: the quantile that leaves out (1 - level) / 2 above it."""
    from scipy.special import stdtrit  # a fifth of a second that only digit spans need

    return float(stdtrit(degrees, (1 + level) / 2))


def _t_two_sided(t: float, degrees: float) -> float:
    """Student's t: the chance of a value as far from 0 as this one."""
    from scipy.special import stdtr

    return float(2 * stdtr(degrees, -abs(t)))
