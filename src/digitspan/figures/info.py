"""What the figures of a study show, as numbers: named tuples that a test can read."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np

from digitspan.cells import initialisation_title, title
from digitspan.study.grid import TUNED, Condition
from digitspan.study.span import Span
from digitspan.study.summary import LengthSummary, SpanSummary, Summary
from digitspan.tasks import TASKS

__all__ = [
    "ByLength",
    "Curves",
    "RateSeries",
    "Series",
    "Share",
    "SolvedShare",
    "SpanByRate",
    "accuracy_by_length_info",
    "best_rates",
    "bits_by_length_info",
    "compared_rates",
    "optimizers_info",
    "solved_share_info",
    "span_by_rate_info",
    "steps_to_solve_info",
    "tested_words",
]

Shown = TypeVar("Shown")


class Series(NamedTuple):
    """What one cell's runs show, under one condition."""

    label: str
    """The cell's name."""
    place: int
    """The cell's place in the study: decides its colour, marker and line."""
    lengths: tuple[int, ...]
    """T, L of them."""
    values: tuple[np.ndarray, ...]
    """Every run's value at each length, (S,) each: one dot a seed."""
    medians: np.ndarray
    """Their medians, shape (L,); nan where there is none."""
    unsolved: tuple[int, ...] = ()
    """Runs at each length that have no value (they were not solved)."""


class ByLength(NamedTuple):
    """A quantity against the palindrome's length."""

    panels: tuple[tuple[str, tuple[Series, ...]], ...]
    """Title (encoding, initialisation, learning rate) and series, one a condition."""
    quantity: str
    """The label of the vertical axis, with its unit."""
    reference: tuple[float, str] | None
    """A level to compare with, and its name: chance, or all there is to remember."""
    caption: str
    """What the figure shows, in words."""
    log: bool = False
    """Whether the vertical axis is logarithmic."""


class Share(NamedTuple):
    """Solved shares of one cell under one condition, and the curve through them."""

    label: str
    """The cell's name."""
    place: int
    """The cell's place in the study: decides its colour, marker and line."""
    lengths: tuple[int, ...]
    """T, L of them."""
    shares: np.ndarray
    """Solved share at each, in [0, 1], shape (L,)."""
    low: np.ndarray
    """Lower ends of their 95 % Wilson intervals, shape (L,)."""
    high: np.ndarray
    """Upper ends, shape (L,)."""
    span: Span
    """The fitted span."""


class SolvedShare(NamedTuple):
    """Solved share against the palindrome's length."""

    panels: tuple[tuple[str, tuple[Share, ...]], ...]
    """Title and shares, one a condition."""
    caption: str
    """What the figure shows, in words."""


class RateSeries(NamedTuple):
    """One cell's span at each learning rate."""

    label: str
    """The cell's name."""
    place: int
    """The cell's place in the study: decides its colour, marker and line."""
    rates: np.ndarray
    """Learning rates, shape (R,)."""
    spans: tuple[Span, ...]
    """The span at each."""
    reach: tuple[int, int]
    """The shortest and the longest length tried."""


class SpanByRate(NamedTuple):
    """S50 against the learning rate."""

    panels: tuple[tuple[str, tuple[RateSeries, ...]], ...]
    """Title and series, one an encoding and initialisation."""
    caption: str
    """What the figure shows, in words."""


class Curves(NamedTuple):
    """Loss against training step, by optimiser."""

    panels: tuple[tuple[str, tuple[tuple[str, tuple[np.ndarray, ...]], ...]], ...]
    """Cell; then optimiser and, for every seed, step and validation loss, shape (2, E)."""
    caption: str
    """What the figure shows, in words."""


def accuracy_by_length_info(summary: Summary) -> ByLength:
    """Accuracy on the test palindromes against T, in percent; every seed a value."""
    caption = (
        f"Accuracy on {tested_words(summary)} palindromes against the palindrome's length T. "
        f"Every dot is one training run, lines join the medians; the dashed line is chance. "
        f"{_how(summary)}"
    )
    return ByLength(
        _panels(summary, lambda length: 100 * length.accuracies),
        "accuracy (%)",
        (100 / TASKS[summary.config.task].answers, "chance"),
        caption,
    )


def bits_by_length_info(summary: Summary) -> ByLength:
    """Memory in bits, I(x_1; prediction), against T."""
    answers = TASKS[summary.config.task].answers
    possible = math.log2(answers)
    caption = (
        f"Memory: how much the prediction tells about the first digit, in bits, of log2 {answers} "
        f"= {possible:.2f} possible. Every dot is one run, lines join the medians. {_how(summary)}"
    )
    return ByLength(
        _panels(summary, lambda length: length.bits),
        "memory (bits)",
        (possible, "one digit" if answers == 10 else "all there is"),
        caption,
    )


def steps_to_solve_info(summary: Summary) -> ByLength:
    """Training steps until a run was solved, against T; runs that were not have no value."""
    caption = (
        f"Training steps until a run was solved (two evaluations in a row at 99 %). Every dot is "
        f"a solved run, lines join their medians; crosses above the budget line are runs that "
        f"were not solved, with their number. {_how(summary)}"
    )
    return ByLength(
        _panels(summary, _solving_steps),
        "training steps until solved",
        (float(summary.config.train_steps), "budget"),
        caption,
        log=True,
    )


def solved_share_info(summary: Summary) -> SolvedShare:
    """Solved share against T with Wilson intervals, and the fitted curve."""

    def share(row: SpanSummary) -> Share:
        solved = np.array([length.solved for length in row.lengths])
        runs = np.array([len(length.records) for length in row.lengths])
        low, high = np.array([length.solved_interval for length in row.lengths]).T
        return Share(*_identity(summary, row), solved / runs, low, high, row.span)

    caption = (
        f"Share of runs solved against T, with 95 % Wilson intervals; the curve is the logistic "
        f"fit, and the large mark on it is S50 with its 95 % interval: where the share has fallen "
        f"to half of its level at short lengths (arrow: the lengths tried do not reach that end). "
        f"{_how(summary)}"
    )
    return SolvedShare(_by_condition(summary, share), caption)


def span_by_rate_info(summary: Summary) -> SpanByRate | None:
    """S50 against the learning rate; None where fewer than two rates were tried."""
    groups: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for found in summary.rates:
        c = found.condition
        groups[_setting(c)][c.cell].append(found)
    panels = tuple(
        (
            name,
            tuple(
                RateSeries(
                    title(cell),
                    summary.config.cells.index(cell),
                    np.array([found.learning_rate for found in some]),
                    tuple(found.span for found in some),
                    (summary.config.lengths[0], summary.config.lengths[-1]),
                )
                for cell, some in cells.items()
            ),
        )
        for name, cells in groups.items()
    )
    if not any(len(series.rates) > 1 for _, cells in panels for series in cells):
        return None
    tuned = any(found.role == "tuning" for found in summary.rates)
    few = f"{summary.config.tuning_seeds} tuning runs (final runs at the fixed rate)"
    seeds = few if tuned else "the final runs"
    caption = (
        f"Retention span S50 against the learning rate, from {seeds} at each length, with 95 % "
        f"intervals; arrows: the lengths tried do not reach their end. {_how(summary)}"
    )
    return SpanByRate(panels, caption)


def best_rates(summary: Summary) -> dict[tuple[str, str], list[tuple[Condition, LengthSummary]]]:
    """Question 1.4: by cell and encoding, each optimiser at its best rate.

    The best rate of an optimiser is the one whose runs have the lowest median of the mean
    validation loss over their evaluations, the last one held to the end of the budget.
    """
    tried: dict[tuple[str, str], dict[str, list[tuple[Condition, LengthSummary]]]] = {}
    for condition, found in summary.compared:
        optimizers = tried.setdefault((condition.cell, condition.encoding), {})
        optimizers.setdefault(condition.optimizer, []).append((condition, found))
    return {
        place: [min(rates, key=lambda rate: _mean_loss(summary, rate[1])) for rates in by.values()]
        for place, by in tried.items()
    }


def compared_rates(summary: Summary) -> list[str]:
    """Question 1.4: the learning rates tried, from small to large."""
    return [f"{rate:g}" for rate in sorted({float(c.rate) for c, _ in summary.compared})]


def optimizers_info(summary: Summary) -> Curves | None:
    """Question 1.4: loss against step, each optimiser at its best rate; None without such runs."""
    if not summary.compared:
        return None
    chosen = best_rates(summary)
    several = len({encoding for _, encoding in chosen}) > 1
    panels = tuple(
        (
            title(cell) + (f", {encoding}" if several else ""),
            tuple((f"{c.optimizer}, rate {c.rate}", _loss_curves(found)) for c, found in best),
        )
        for (cell, encoding), best in chosen.items()
    )
    length = summary.compared[0][1].length
    caption = (
        f"Validation loss against training step at T = {length}, by optimiser, each at the best "
        f"of the rates {', '.join(compared_rates(summary))}; every line is one seed and "
        f"ends where the run ended; the dashed line is guessing, ln 10. {_how(summary)}"
    )
    return Curves(panels, caption)


def _setting(condition: Condition) -> str:
    return f"{condition.encoding}, {initialisation_title(condition.initialisation)}"


def _by_condition(
    summary: Summary, shown: Callable[[SpanSummary], Shown]
) -> tuple[tuple[str, tuple[Shown, ...]], ...]:
    """What is shown of each row of the table of spans; one encoding, start and rate together."""
    groups: dict[str, list[Shown]] = defaultdict(list)
    for row in summary.spans:
        c = row.condition
        rate = "tuned rate" if c.rate == TUNED else f"rate {c.rate}"
        groups[f"{_setting(c)}, {rate}"].append(shown(row))
    return tuple((name, tuple(rows)) for name, rows in groups.items())


def _identity(summary: Summary, row: SpanSummary) -> tuple[str, int, tuple[int, ...]]:
    """A row's cell, its place in the study, and the lengths."""
    cell = row.condition.cell
    lengths = tuple(length.length for length in row.lengths)
    return title(cell), summary.config.cells.index(cell), lengths


def _panels(
    summary: Summary, values_of: Callable[[LengthSummary], np.ndarray]
) -> tuple[tuple[str, tuple[Series, ...]], ...]:
    """Panels of a quantity that every run has."""

    def series(row: SpanSummary) -> Series:
        values = tuple(values_of(length) for length in row.lengths)
        medians = [np.median(some) if len(some) else np.nan for some in values]
        runs = [len(length.records) for length in row.lengths]
        unsolved = tuple(n - len(some) for n, some in zip(runs, values, strict=True))
        return Series(*_identity(summary, row), values, np.array(medians), unsolved)

    return _by_condition(summary, series)


def _solving_steps(length: LengthSummary) -> np.ndarray:
    """Steps of the solved runs, shape (up to S,)."""
    return np.array([record.steps for record in length.records if record.solved], dtype=float)


def tested_words(summary: Summary) -> str:
    """How many palindromes were asked: "up to 10,000 held-out"."""
    records = [record for row in summary.spans for record in row.records]
    most = max((record.tested for record in records), default=0)
    held_out = "held-out " if all(record.held_out for record in records if record.tested) else ""
    return f"up to {most:,} {held_out}".strip()


def _how(summary: Summary) -> str:
    """What a caption must say of how it was measured."""
    c = summary.config
    seeds = f"{c.seeds} seeds a length" if not c.adaptive else "lengths placed adaptively"
    note = f" {c.note[0].upper()}{c.note[1:]}." if c.note else ""
    grown = ", the length growing to T" if c.curriculum else ""
    return (
        f"{seeds[0].upper()}{seeds[1:]}, n = {c.hidden_size}, batch {c.batch_size}, "
        f"{c.optimizer}, at most {c.train_steps:,} steps a run{grown}.{note}"
    )


def _mean_loss(summary: Summary, found: LengthSummary) -> float:
    """How far an optimiser came and how fast: mean loss over the whole budget, median of runs."""
    means = []
    for _, losses in _loss_curves(found):
        rest = max(summary.config.train_steps // 50 - len(losses), 0)
        means.append((losses.sum() + rest * losses[-1]) / (len(losses) + rest))
    return float(np.median(means)) if means else np.inf


def _loss_curves(found: LengthSummary) -> tuple[np.ndarray, ...]:
    """Step and validation loss of every run, shape (2, E) each."""
    return tuple(
        np.array([(point.step, point.validation_loss) for point in record.curve], dtype=float).T
        for record in found.records
        if record.curve
    )
