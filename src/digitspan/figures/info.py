"""What the figures of a study show, as numbers: named tuples that a test can read."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from digitspan.cells import initialisation_title, title
from digitspan.cells.own import is_own
from digitspan.study.config import fitting_initialisations
from digitspan.study.plan import TUNED, Condition, as_run
from digitspan.study.retention import Span, posterior_within
from digitspan.study.summary import (
    CONTROL_LENGTH,
    ConditionSummary,
    LengthSummary,
    Summary,
    solving_times,
)
from digitspan.study.surface import HIGHEST_RATE

__all__ = [
    "BudgetSeries",
    "ByLength",
    "Curves",
    "Map",
    "Panel",
    "RateMap",
    "Series",
    "SolvingTimes",
    "SpanByBudget",
    "accuracy_by_length_info",
    "best_rate_of",
    "best_rates",
    "bits_by_length_info",
    "map_info",
    "optimizers_info",
    "rates_by_length",
    "solving_times_info",
    "span_by_budget_info",
    "steps_to_solve_info",
    "tested_words",
]

MAP_POINTS, MAP_DRAWS = 60, 400
"""Points of the map on either axis, and draws of the surface behind it."""


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


class Panel(NamedTuple):
    """What is compared within one condition."""

    title: str
    """Encoding, start and learning rate."""
    series: tuple[Series, ...]
    """One a cell."""


class ByLength(NamedTuple):
    """A quantity against the palindrome's length."""

    panels: tuple[Panel, ...]
    """One a condition."""
    quantity: str
    """The label of the vertical axis, with its unit."""
    reference: tuple[float, str] | None
    """A level to compare with, and its name: chance, or all there is to remember."""
    caption: str
    """What the figure shows, in words."""
    log: bool = False
    """Whether the vertical axis is logarithmic."""


class RateMap(NamedTuple):
    """The runs of one cell over length and learning rate, and the surface through them."""

    label: str
    """The cell's name, and what else tells its condition from others."""
    place: int
    """The cell's place in the study: decides its colour and marker."""
    solved: np.ndarray
    """T and rate of the runs that were solved, shape (2, S)."""
    unsolved: np.ndarray
    """T and rate of those that were not by the end of their budget, shape (2, S)."""
    diverged: np.ndarray
    """T and rate of those that diverged, shape (2, S)."""
    lengths: np.ndarray
    """T at which the surface is drawn, shape (L,)."""
    rates: np.ndarray
    """Learning rates at which it is drawn, shape (R,)."""
    share: np.ndarray
    """Posterior mean of the share solved within the budget, in [0, 1], shape (R, L)."""
    span: Span
    """S50, at its best rate."""


class Map(NamedTuple):
    """Which lengths each cell can be trained at, at which learning rates."""

    panels: tuple[RateMap, ...]
    """One a cell, all on the same axes."""
    caption: str
    """What the figure shows, in words."""


class BudgetSeries(NamedTuple):
    """One condition's span within growing budgets."""

    label: str
    """The cell's name and the rule of its rate."""
    place: int
    """The cell's place in the study: decides its colour, as in every figure."""
    variant: int
    """Of several conditions of a cell, which: decides marker and line beside the colour."""
    spans: tuple[Span, ...]
    """By budget, ascending."""


class SpanByBudget(NamedTuple):
    """S50 against the budget, from the same runs."""

    panels: tuple[tuple[str, tuple[BudgetSeries, ...]], ...]
    """Title and series, one an encoding and initialisation."""
    caption: str
    """What the figure shows, in words."""


class SolvingTimes(NamedTuple):
    """How many runs are solved by which step."""

    panels: tuple[tuple[str, tuple[tuple[str, np.ndarray], ...]], ...]
    """Condition; then length and its steps and shares, Kaplan and Meier's estimate, (2, E)."""
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
    if summary.lacks_control_length:
        caption += (
            f" No runs at T = {CONTROL_LENGTH}, the control: a low accuracy may be a fault of the "
            f"set-up."
        )
    return ByLength(
        _panels(summary, lambda length: 100 * length.accuracies),
        "accuracy (%)",
        (100 * summary.config.asks.chance, "chance"),
        caption,
    )


def bits_by_length_info(summary: Summary) -> ByLength:
    """Memory in bits, I(x_1; prediction), against T."""
    answers = summary.config.asks.answers
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
        (float(summary.config.budget), "budget"),
        caption,
        log=True,
    )


def map_info(summary: Summary) -> Map | None:
    """The map: runs over T and learning rate with the surface; None where rates are fixed."""
    tuned = [row for row in summary.spans if row.condition.rate == TUNED]
    if not tuned:
        return None
    lengths = [record.config.length for row in tuned for record in row.records]
    rates = [record.config.learning_rate for row in tuned for record in row.records]
    length_axis = np.geomspace(min(lengths) / 1.15, max(lengths) * 1.4, MAP_POINTS)
    rate_axis = np.geomspace(min(rates) / 1.6, min(max(rates) * 1.6, HIGHEST_RATE), MAP_POINTS)
    panels = []
    for row in tuned:
        runs = [as_run(record) for record in row.records]
        _, belief = posterior_within(runs, row.condition.train_steps)
        places = np.meshgrid(length_axis, rate_axis)
        share = belief.resampled(MAP_DRAWS).share(places[0].ravel(), places[1].ravel())
        by_outcome = {
            outcome: np.array(
                [(run.length, run.rate) for run in runs if run.outcome == outcome], float
            )
            .reshape(-1, 2)
            .T
            for outcome in ("solved", "censored", "diverged")
        }
        panels.append(
            RateMap(
                _label(summary, row),
                summary.config.cells.index(row.condition.cell),
                by_outcome["solved"],
                by_outcome["censored"],
                by_outcome["diverged"],
                length_axis,
                rate_axis,
                share.reshape(places[0].shape),
                row.span,
            )
        )
    caption = (
        f"Which lengths can be trained at which learning rates: every mark is a training run, "
        f"filled where it was solved within {summary.config.budget_words} steps, open where "
        f"not, a cross where it diverged. Grey: the share solved, as the runs tell it; on the "
        f"line, one half. The diamond is S50 at its best rate, the bar its 95 % interval (arrow: "
        f"open). "
        f"{_setting(summary)}"
    )
    return Map(tuple(panels), caption)


def span_by_budget_info(summary: Summary) -> SpanByBudget:
    """S50 within quarters of the budget, from the same runs."""
    panels = []
    for name, rows in _side_by_side(summary, summary.spans, lambda condition: ""):
        group: list[BudgetSeries] = []
        for label, row in rows:
            c = row.condition
            place = summary.config.cells.index(c.cell)
            variant = sum(one.place == place for one in group)
            rate = "best rate" if c.rate == TUNED else f"rate {c.rate}"
            group.append(BudgetSeries(f"{label}, {rate}", place, variant, row.budgets))
        panels.append((name, tuple(group)))
    caption = (
        "S50 within fewer training steps, from the times at which the same runs were solved, with "
        "95 % intervals (arrow: the lengths that were run do not reach that end). "
        f"{_setting(summary)}"
    )
    return SpanByBudget(tuple(panels), caption)


def solving_times_info(summary: Summary) -> SolvingTimes | None:
    """Share of runs solved by each step, by length; None where no run was made for figures."""
    panels = []
    for row in summary.spans:
        if summary.config.design == "joint" and row.condition.rate != TUNED:
            continue  # of so few runs a length a share says nothing
        curves = [(f"T = {found.length}", solving_times(summary, found)) for found in row.lengths]
        if curves:
            panels.append((_label(summary, row), tuple(curves)))
    if not panels:
        return None
    more = ""
    if summary.continued:
        budget = max(record.config.train_steps for record in summary.continued)
        more = (
            f" One in ten of the runs, drawn before they were run, went on to {budget:,} steps "
            f"where it was not solved."
        )
    caption = (
        f"Share of runs solved by each training step, by length, each at the best learning rate "
        f"(Kaplan and Meier's estimate: a run that its budget ended is censored there; one that "
        f"diverged is never solved).{more} {_how(summary, beside=False)}"
    )
    return SolvingTimes(tuple(panels), caption)


def best_rates(summary: Summary) -> dict[tuple[str, str], list[tuple[Condition, LengthSummary]]]:
    """Question 1.4: each optimiser at its best rate (`best_rate_of`), by cell and encoding.

    And by width and budget, where the study has several.
    """
    tried: dict[tuple[str, str], dict[str, list[tuple[Condition, LengthSummary]]]] = {}
    for condition, found in summary.optimizers:
        where = ", ".join([condition.encoding, *_sizes(summary, condition)])
        optimizers = tried.setdefault((condition.cell, where), {})
        optimizers.setdefault(condition.optimizer, []).append((condition, found))
    return {place: [best_rate_of(rates) for rates in by.values()] for place, by in tried.items()}


def best_rate_of(
    tried: Sequence[tuple[Condition, LengthSummary]],
) -> tuple[Condition, LengthSummary]:
    """The rate at which most runs are solved; of several, that of the fewest median steps.

    Where none was solved, the one whose runs came to the lowest median validation loss.
    """

    def merit(entry: tuple[Condition, LengthSummary]) -> tuple[float, float, float]:
        records = entry[1].records
        solved = [record.steps for record in records if record.solved]
        steps = float(np.median(solved)) if solved else math.inf
        last = [r.curve[-1].validation_loss if r.curve else math.inf for r in records]
        return -len(solved) / len(records), steps, float(np.median(last))

    return min(tried, key=merit)


def optimizers_info(summary: Summary) -> Curves | None:
    """Question 1.4: loss against step, each optimiser at its best rate; None without such runs."""
    if not summary.optimizers:
        return None
    chosen = best_rates(summary)
    several = len({encoding for _, encoding in chosen}) > 1
    panels = tuple(
        (
            title(cell, summary.config.cells) + (f", {encoding}" if several else ""),
            tuple((f"{c.optimizer}, rate {c.rate}", _loss_curves(found)) for c, found in best),
        )
        for (cell, encoding), best in chosen.items()
    )
    rates = sorted({float(condition.rate) for condition, _ in summary.optimizers})
    length = summary.optimizers[0][1].length
    caption = (
        f"Validation loss against training step at T = {length}, by optimiser, each at the best "
        f"of the rates {', '.join(f'{rate:g}' for rate in rates)} (most runs solved, then fewest "
        f"steps); every line is one run and ends where it ended; the dashed line is guessing, "
        f"ln 10. {_setting(summary)}"
    )
    return Curves(panels, caption)


def _side_by_side(
    summary: Summary,
    rows: Iterable[ConditionSummary],
    rate_of: Callable[[Condition], str],
) -> list[tuple[str, list[tuple[str, ConditionSummary]]]]:
    """Conditions that differ in the cell alone together: a panel's title, its labels and rows.

    A cell of one's own, which has but its own start, stands beside the others under every start of
    theirs; and where each cell of the study has one start, they all stand in one panel.
    """
    cells, starts = summary.config.cells, summary.config.initialisation
    one_each = all(len(fitting_initialisations(cell, starts)) == 1 for cell in cells)
    groups: dict[tuple[str, str, str], list[ConditionSummary]] = defaultdict(list)
    # Those of one's own last: the panels that they go to are there then.
    for row in sorted(rows, key=lambda row: is_own(row.condition.cell)):
        c = row.condition
        alike_too = ", ".join(filter(None, (rate_of(c), *_sizes(summary, c))))
        key = (c.encoding, "" if one_each else c.initialisation, alike_too)
        beside = [known for known in groups if known[::2] == key[::2]]
        for place in beside if is_own(c.cell) and beside else [key]:
            groups[place].append(row)
    panels = []
    for (encoding, _, alike_too), some in groups.items():
        some.sort(key=lambda row: cells.index(row.condition.cell))
        found = {row.condition.initialisation for row in some} - {"own"} or {"own"}
        alike = initialisation_title(*found) if len(found) == 1 else ""
        labels = [
            _start_label(title(row.condition.cell, cells), row.condition.initialisation, alike)
            for row in some
        ]
        name = ", ".join(filter(None, (encoding, alike, alike_too)))
        panels.append((name, list(zip(labels, some, strict=True))))
    return panels


def _start_label(name: str, start: str, alike: str) -> str:
    """A cell's name, with its start where that is not the one of the panel."""
    words = "own start" if start == "own" else initialisation_title(start)
    return name if alike in (start, words) else f"{name}, {words}"


def _rate_words(condition: Condition) -> str:
    """The rule of a condition's rate: `best rates`, `rate 0.001`."""
    return "best rates" if condition.rate == TUNED else f"rate {condition.rate}"


def _label(summary: Summary, row: ConditionSummary) -> str:
    """The cell, and what tells its condition from the others of the study."""
    c, conditions = row.condition, summary.conditions
    words = [title(c.cell, summary.config.cells)]
    values = {**c._asdict(), "initialisation": initialisation_title(c.initialisation)}
    for name in ("encoding", "initialisation", "optimizer"):
        if len({getattr(known, name) for known in conditions} - {"own"}) > 1:
            words.append(values[name])
    words += _sizes(summary, c)
    if c.rate != TUNED:
        words.append(f"rate {c.rate}")
    return ", ".join(words)


def _sizes(summary: Summary, condition: Condition) -> list[str]:
    """The width and the budget of a condition, where the study has several: `n = 64`."""
    words = []
    if len(summary.config.hidden_sizes) > 1:
        words.append(f"n = {condition.hidden_size}")
    if len(summary.config.budgets) > 1:
        words.append(f"{condition.train_steps:,} steps")
    return words


def _panels(
    summary: Summary, values_of: Callable[[LengthSummary], np.ndarray]
) -> tuple[Panel, ...]:
    """Panels of a quantity that every run has."""
    panels = []
    shown = [row for row in summary.spans if row.lengths]
    for name, rows in _side_by_side(summary, shown, _rate_words):
        series = []
        for label, row in rows:
            values = tuple(values_of(length) for length in row.lengths)
            medians = [np.median(some) if len(some) else np.nan for some in values]
            series.append(
                Series(
                    label,
                    summary.config.cells.index(row.condition.cell),
                    tuple(length.length for length in row.lengths),
                    values,
                    np.array(medians),
                    tuple(
                        len(length.records) - len(some)
                        for length, some in zip(row.lengths, values, strict=True)
                    ),
                )
            )
        panels.append(Panel(name, tuple(series)))
    return tuple(panels)


def _solving_steps(length: LengthSummary) -> np.ndarray:
    """Steps of the solved runs, shape (up to S,)."""
    return np.array([record.steps for record in length.records if record.solved], dtype=float)


def tested_words(summary: Summary) -> str:
    """How many palindromes were asked: "up to 10,000 held-out"."""
    records = [
        record for row in summary.spans for found in row.lengths for record in found.records
    ]
    most = max((record.tested for record in records), default=0)
    held_out = "held-out " if all(record.held_out for record in records if record.tested) else ""
    return f"up to {most:,} {held_out}".strip()


def _how(summary: Summary, *, beside: bool = True) -> str:
    """What a caption must say of how runs by length were made: how many, and at which rates.

    Args:
        summary: what was found.
        beside: whether runs at a fixed rate stand beside the figure runs.
    """
    c = summary.config
    seeds = c.seeds if c.design == "grid" else c.figure_seeds
    runs = "run" if seeds == 1 else "runs"
    more = ""
    if beside and c.design == "joint" and c.fixed_rate is not None:
        more = f"; at rate {c.fixed_rate:g} those behind its span, one or a few a length"
    return f"{seeds} {runs} a length{more}; rates: {_rates(summary)}. {_setting(summary)}"


def _rates(summary: Summary) -> str:
    """The rate of every cell and length: `RNN 0.001 at T = 5 to 18, 0.00046 at 26; LSTM ...`.

    Where all have the same, that is said once.

    A fixed rate beside a joint design is in its condition's name.
    """
    joint = summary.config.design == "joint"
    rows = [row for row in summary.spans if row.lengths]
    shown = [row for row in rows if row.condition.rate == TUNED or not joint]
    if len(found := {rates_by_length(row) for row in shown}) == 1:
        return found.pop()
    return "; ".join(f"{_label(summary, row)} {rates_by_length(row)}" for row in shown)


def rates_by_length(row: ConditionSummary) -> str:
    """The learning rate of each length's runs: `0.001 at T = 5 to 18, 0.00046 at T = 26`."""
    stretches: list[tuple[float, list[int]]] = []
    for found in row.lengths:
        if not stretches or stretches[-1][0] != found.learning_rate:
            stretches.append((found.learning_rate, []))
        stretches[-1][1].append(found.length)
    return ", ".join(
        f"{rate:g} at T = {lengths[0]}" + (f" to {lengths[-1]}" if lengths[1:] else "")
        for rate, lengths in stretches
    )


def _setting(summary: Summary) -> str:
    """What a caption must say of the networks and their training."""
    c = summary.config
    note = f" {c.note[0].upper()}{c.note[1:]}." if c.note else ""
    grown = ", the length growing to T" if c.curriculum else ""
    schedule = "" if c.schedule == "constant" else f", {c.schedule} schedule"
    width = f"n = {' or '.join(map(str, c.hidden_sizes))}"
    if c.parameters is not None:
        width = f"n with about {c.parameters:,} parameters"
    return (
        f"{width}, batch {c.batch_size}, {c.optimizer}{schedule}, "
        f"at most {c.budget_words} steps a run{grown}.{note}"
    )


def _loss_curves(found: LengthSummary) -> tuple[np.ndarray, ...]:
    """Step and validation loss of every run, shape (2, E) each."""
    return tuple(
        np.array([(point.step, point.validation_loss) for point in record.curve], dtype=float).T
        for record in found.records
        if record.curve
    )
