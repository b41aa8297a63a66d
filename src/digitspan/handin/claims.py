"""What a study's rows say, in sentences: where a network's memory ends, and which one is ahead."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from digitspan.cells import title
from digitspan.handin.material import Duel, Material
from digitspan.handin.optimizer_choice import NAMES
from digitspan.handin.wording import (
    joined,
    percent,
    rate_words,
    ratio_words,
    solved_words,
    span_words,
    steps_words,
    table,
)
from digitspan.runs.record import RunRecord
from digitspan.statistics import wilson
from digitspan.study.ratio import Ratio
from digitspan.study.retention import Span
from digitspan.study.summary import ConditionSummary, LengthSummary
from digitspan.study.tables import span_text
from digitspan.tasks import CHANCE

__all__ = [
    "ahead",
    "budgets_table",
    "by_rule",
    "comparison",
    "convergence",
    "reach",
    "reached",
    "rnn_against_sheet",
    "sanity",
    "verdict",
    "where",
    "winner",
]

SHEETS_RATE = "0.001"
"""The default of the sheet's train.py."""

IMPROVED = 0.99
"""A validation loss below this share of the lowest before it has improved."""

BEGUN = 0.98
"""A validation loss that never was below this share of guessing's has not begun to fall."""

GUESSING = math.log(10)
"""Its loss, in nats."""

GAP = 1.3
"""Lengths shown that are further apart than this factor leave a gap."""

FURTHER = 0.05
"""An accuracy that is higher by this much has come further."""

NEAR_PERFECT = 0.99
"""What the sheet's sanity check is held to."""


def where(duel: Duel, material: Material) -> str:
    """The condition in words: the rate; encoding and initialisation where there are several."""
    words = rate_words(duel)
    if len({other.setting for other in material.duels}) > 1:
        words += f" ({duel.setting[0]} digits, {duel.setting[1]} initialisation)"
    return words


def reach(row: ConditionSummary) -> str:
    """Up to which length every run was solved, and from which on none.

    Such as "solved every run up to T = 10, 1 of 3 at T = 20 and none from T = 40 on".
    """
    lengths = row.lengths
    whole = _leading(lengths, all_solved=True)
    none = _leading(lengths[::-1], all_solved=False)
    if whole == len(lengths):
        return f"solved every run at every length shown, up to T = {lengths[-1].length}"
    if none == len(lengths):
        return f"solved no run at any length shown, not even at T = {lengths[0].length}"
    parts = [f"every run up to T = {lengths[whole - 1].length}"] if whole else []
    between = lengths[whole : len(lengths) - none]
    if len(between) > 2:
        solved = sum(found.solved for found in between)
        runs = sum(len(found.records) for found in between)
        ends = f"from T = {between[0].length} to {between[-1].length}"
        parts.append(f"{solved} of {runs} {ends}")
    else:
        parts += [f"{solved_words(found)} at T = {found.length}" for found in between]
    if none == 1:
        parts.append(f"none at T = {lengths[-1].length}")
    elif none:
        parts.append(f"none from T = {lengths[-none].length} on")
    return f"solved {joined(parts)}"


def sanity(material: Material, cell: str) -> str:
    """The sheet's sanity check: at the rates of the figure, and where optimisers are compared.

    The default rate of the sheet's train.py, 0.001, is among the latter in the preset `sheet`.
    """
    sanity_length = material.sheet.lengths.sanity
    found = [
        (f"with {where(duel, material)}", length)
        for duel in material.duels
        for length in duel.of(cell).lengths
    ]
    asking = material.sheet.number_of("optimizers")
    of = f"Question {asking}'s runs" if asking else "the runs with several optimisers"
    found += [
        (
            f"in {of} with {NAMES[condition.optimizer]} at {condition.rate}, the template's "
            f"default",
            length,
        )
        for condition, length in material.summary.optimizers
        if condition.cell == cell
        and condition.optimizer == material.config.optimizer
        and condition.rate == SHEETS_RATE
        and condition.encoding == material.duels[0].setting[0]
    ]
    parts, fine = [], []
    for rates, length in found:
        if length.length == sanity_length and len(length.accuracies):
            median = float(np.median(length.accuracies))
            fine.append(median >= NEAR_PERFECT)
            parts.append(f"{rates} ({solved_words(length)} solved, {percent(median)})")
    if not parts:
        return f"At T = {sanity_length} no run of the {title(cell)} came to an end."
    held = "**not near-perfect**, as it ought to be"
    if any(fine):
        held = "near-perfect, as it should be" if all(fine) else "**not near-perfect everywhere**"
    return (
        f"At T = {sanity_length} the median accuracy of the {title(cell)} is {held}: "
        f"{joined(parts)}."
    )


def by_rule(material: Material, cell: str) -> str:
    """For every condition, where the memory of one network ends."""
    lines = []
    for duel in material.duels:
        row = duel.of(cell)
        shown = ""
        if row.lengths:
            shown = f" Of the runs shown it {reach(row)}.{_gap(row)}{_medians(row)}{_dip(row)}"
        lines.append(
            f"* With {where(duel, material)} the {title(cell)}'s S50 {span_words(row.span)}, from "
            f"{row.span.runs} runs.{shown}"
        )
    return "\n".join([*lines, "", _twice(material, cell)]).strip()


def _twice(material: Material, cell: str) -> str:
    """Lengths at which the best rate is also the fixed one: the same condition, other seeds."""
    rows = [(duel, duel.of(cell)) for duel in material.duels]
    fixed = {float(duel.rule): duel for duel, row in rows if not duel.is_tuned and row.lengths}
    for duel, row in rows:
        same = [found for found in row.lengths if found.learning_rate in fixed]
        if duel.is_tuned and same:
            rate = same[0].learning_rate
            return (
                f"At T = {joined([found.length for found in same])} the best rate is {rate:g}, "
                f"too: "
                f"there the two sides of the figure show one condition with other seeds, and how "
                f"far "
                f"they differ is how far chance goes with so few runs."
            )
    return ""


def reached(material: Material, cell: str) -> str:
    """Where the memory of one network ends, in the runs shown at each rule of the rate."""
    sentences = []
    for duel in material.duels:
        row = duel.of(cell)
        if row.lengths:
            sentences.append(
                f"With {where(duel, material)} the {title(cell)} {reach(row)}.{_dip(row)}"
            )
            if not duel.is_tuned:
                sentences.append(_never_begun(duel))
                sentences.append(_one_sided(duel, material))
    return " ".join(filter(None, sentences))


def _never_begun(duel: Duel) -> str:
    """How many unsolved runs of either network have never come away from guessing."""
    parts = []
    for row in (duel.gated, duel.vanilla):
        unsolved = [
            r
            for found in row.lengths
            for r in found.records
            if r.end_state == "censored" and r.curve
        ]
        if not unsolved:
            return ""
        stuck = [r for r in unsolved if min(p.validation_loss for p in r.curve) > BEGUN * GUESSING]
        accuracies = [record.accuracy for record in unsolved if record.accuracy is not None]
        ends = (
            f" (accuracy {percent(float(np.median(accuracies)))} in the median)"
            if accuracies
            else ""
        )
        parts.append(
            f"{len(stuck)} of the {len(unsolved)} unsolved runs of the "
            f"{title(row.condition.cell)}{ends}"
        )
    return (
        f"There the validation loss never fell more than {100 * (1 - BEGUN):.0f} % below that of "
        f"guessing, $\\ln 10$, in {joined(parts)}."
    )


def _one_sided(duel: Duel, material: Material) -> str:
    """Lengths at which one network was solved at least half of the time and the other never."""
    pairs = [
        (one, other)
        for one in duel.vanilla.lengths
        for other in duel.gated.lengths
        if one.length == other.length
    ]
    sentences = []
    for place in (0, 1):
        apart = [p for p in pairs if 2 * p[place].solved >= len(p[place].records)
                 and not p[1 - place].solved]  # fmt: skip
        if not apart:
            continue
        told, counts = [], []
        for side, row in enumerate(duel.sides):
            solved = sum(pair[side].solved for pair in apart)
            runs = sum(len(pair[side].records) for pair in apart)
            told.append(f"the {title(row.condition.cell)} {solved} of {runs}")
            counts.append((solved, runs))
        one, other = sorted((wilson(*count) for count in counts), key=lambda share: share.low)
        sentences.append(
            f"At T = {joined([pair[0].length for pair in apart])} {joined(told)} runs were solved "
            f"(95 % intervals of the shares {'apart' if one.high < other.low else 'overlapping'}; "
            f"lengths picked after the fact)."
        )
    return " ".join(sentences)


def convergence(material: Material, cell: str) -> str:
    """How far "until convergence" was kept to: which unsolved runs were still learning."""
    budget = f"{material.config.budget:,} steps"
    name = title(cell)
    duel = next(duel for duel in material.duels if duel.of(cell).lengths)
    row = duel.of(cell)
    unsolved = [r for found in row.lengths for r in found.records if r.end_state == "censored"]
    improving = [record for record in unsolved if _improving(record)]
    sentences = [
        f"With {where(duel, material)} {len(unsolved)} runs of the {name} were stopped unsolved "
        f"after {budget}"
        + (
            f"; in {len(improving)} of them the lowest validation loss was still falling in the "
            f"last quarter of these, by more than 1 %, in the others it was not. So the "
            f"accuracies "
            f"at T = {joined(sorted({r.config.length for r in unsolved}))} are those within the "
            f"budget, not after convergence."
            if unsolved
            else ", so all have converged."
        )
    ]
    grown = [
        f"with {where(each, material)} the {name}'s {_growth(each.of(cell).budgets)}"
        for each in material.duels
    ]
    sentences.append(f"{grown[0][0].upper()}{'; '.join(grown)[1:]}.")
    continued = [r for r in material.summary.continued if r.config.cell == cell]
    if continued:
        sentences.append(_went_on(material, continued))
    elif material.config.continued_steps:
        sentences.append(
            f"One in ten of the runs of the {name} shown was drawn in advance, to go on to "
            f"{material.config.continued_steps:,} steps if it was not solved; no unsolved one was "
            "among them."
        )
    further = sum(_came_further(record, material) for record in continued)
    if further:
        sentences.append(
            f"So {budget} do not end what the {name} can learn: its S50 belongs to this budget."
        )
    elif improving:
        sentences.append(f"So with more than {budget} some runs of the {name} may come further.")
    return " ".join(sentences)


def _went_on(material: Material, continued: Sequence[RunRecord]) -> str:
    """What became of unsolved runs that had been drawn to go on."""
    most = max(record.config.train_steps for record in continued)
    ends = [
        f"at T = {record.config.length} one was solved at step {record.steps:,}"
        for record in continued
        if record.solved
    ]
    unsolved = [record for record in continued if not record.solved]
    told = []
    for record in unsolved:
        before, after = _before(record, material), record.accuracy or 0
        was = "" if before is None else f"from {percent(before)} "
        told.append(f"at T = {record.config.length} {was}to {percent(after)}")
    if told:
        ends.append(f"{len(told)} stayed unsolved (accuracy {joined(told)})")
    return (
        f"Of the unsolved ones {len(continued)} had been drawn in advance, and went on to "
        f"{most:,} steps: {joined(ends)}."
    )


def _before(record: RunRecord, material: Material) -> float | None:
    """The accuracy of a run that went on, when the others were stopped."""
    short = dataclasses.replace(record.config, train_steps=material.config.budget)
    same = [r.accuracy for r in material.records if r.config == short]
    return same[0] if same else None


def _came_further(record: RunRecord, material: Material) -> bool:
    """Whether a run that went on was solved, or is more accurate than when it was stopped."""
    before = _before(record, material)
    if record.solved or before is None or record.accuracy is None:
        return record.solved
    return record.accuracy > before + FURTHER


def _improving(record: RunRecord) -> bool:
    """Whether the lowest validation loss still fell in the last quarter of a run."""
    last = [p.validation_loss for p in record.curve if p.step > 0.75 * record.steps]
    before = [p.validation_loss for p in record.curve if p.step <= 0.75 * record.steps]
    return bool(last and before) and min(last) < IMPROVED * min(before)


def budgets_table(material: Material) -> str:
    """S50 of every condition within growing budgets, from the same runs."""
    rows = [row for duel in material.duels for row in duel.sides]
    heading = ["network, learning rate"] + [f"{span.budget:,} steps" for span in rows[0].budgets]
    lines = [
        [f"{title(side.condition.cell)}, {where(duel, material)}"]
        + [span_text(span).replace(" *", "\\*") for span in side.budgets]
        for duel in material.duels
        for side in duel.sides
    ]
    caption = "S50 [95 % interval] within growing budgets, from the same runs."
    return table(caption, heading, lines)


def _growth(budgets: Sequence[Span]) -> str:
    """How a span depends on the budget: what it is without its last quarter, and within all."""
    *_, before, last = budgets if len(budgets) > 1 else (budgets[0], budgets[0])
    if last.bound == "<=":
        return f"S50 is at or below the shortest length run within all of {last.budget:,} steps"
    if last.bound == ">=":
        return f"S50 is at or beyond the longest length run within {last.budget:,} steps"
    if before.bound == "<=":
        between = f"between {before.budget:,} and {last.budget:,} steps"
        return f"S50 came above the shortest length run {between} only"
    was, now = span_text(before).replace(" *", ""), span_text(last).replace(" *", "")
    return f"S50 is {was} within {before.budget:,} steps and {now} within {last.budget:,}"


def rnn_against_sheet(material: Material) -> str:
    """The sheet's claim about some ten steps, held against the span under every condition."""
    # The sheet counts the digits read: of 14 digits the first is 14 steps back, and T = 15.
    delay = material.sheet.lengths.delay
    expected = delay + 1
    found: dict[str, list[str]] = defaultdict(list)
    for duel in material.duels:
        span = duel.vanilla.span
        low = span.s50 if span.bound == ">=" else span.low
        high = span.s50 if span.bound == "<=" else span.high
        judged = (
            "lasts longer than that"
            if low is not None and low > expected
            else "gives up even earlier"
            if high is not None and high < expected
            else "is not to be told from that"
        )
        found[judged].append(where(duel, material))
    parts = [f"with {joined(places)} it {judged}" for judged, places in found.items()]
    return (
        f"The sheet expects a vanilla RNN to be difficult to train over more than about "
        f"{delay} time steps, which is T = {expected} (of 14 digits the first is 14 steps "
        f"back). Judged by the interval of its S50, {joined(parts)}."
    )


def ahead(ratio: Ratio, span: Span) -> str:
    """Which of two spans is longer: "first", "second", "both", "neither", or "open".

    One is longer where the interval of their ratio leaves out one. "both" lie beyond the longest
    length run, or "neither" reaches the shortest.

    Args:
        ratio: the second span as a multiple of the first.
        span: the first.
    """
    if ratio.differs:
        return "second" if ratio.low is not None and ratio.low > 1 else "first"
    if ratio.bound == "?":
        return {">=": "both", "<=": "neither"}[span.bound]
    return "open"


def winner(duel: Duel) -> str:
    """The cell that remembers longer; or "both", "neither" or "open", as in `ahead`."""
    found = ahead(duel.ratio, duel.vanilla.span)
    return {"first": duel.vanilla.condition.cell, "second": duel.gated.condition.cell}.get(
        found, found
    )


def verdict(material: Material) -> str:
    """Whether the gated network is ahead in these rows, as the sheet has it."""
    found: dict[str, list[str]] = defaultdict(list)
    for duel in material.duels:
        found[winner(duel)].append(where(duel, material))
    vanilla, gated = material.sheet.networks
    decided = [name for name in (vanilla, gated) if found[name]]
    textbook = f"The sheet brings in the {title(gated)} as what overcomes the RNN's short memory."
    if len(found[gated]) == len(material.duels):
        return f"{textbook} **These runs agree**, with {joined(found[gated])}."
    if len(found[vanilla]) == len(material.duels):
        return (
            f"{textbook} **These runs say the opposite**: with {joined(found[vanilla])} the RNN "
            f"remembers longer."
        )
    if len(found["both"]) == len(material.duels):
        longest = material.duels[0].vanilla.span.longest
        return f"{textbook} These runs cannot tell: both still remember at T = {longest}."
    if len(found["neither"]) == len(material.duels):
        shortest = material.duels[0].vanilla.span.shortest
        return f"{textbook} These runs cannot tell: neither remembers as much as T = {shortest}."
    if not decided and found["open"]:
        return (
            f"{textbook} **These runs do not decide it**: the interval of the ratio of the two "
            f"spans has 1 in it."
        )
    parts = [f"with {joined(found[name])} the {title(name)} is ahead" for name in decided]
    ends = {
        "open": "nothing is decided",
        "both": "both still remember at the longest length",
        "neither": "neither remembers as much as the shortest length",
    }
    parts += [f"with {joined(found[name])} {end}" for name, end in ends.items() if found[name]]
    start = "**It depends on the learning rate**" if len(decided) > 1 else "**In part**"
    return f"{textbook} {start}: {joined(parts)}."


def comparison(material: Material) -> str:
    """For every condition, both spans side by side."""
    names = {
        **{cell: f"The {title(cell)} is ahead." for cell in material.sheet.networks},
        "both": "Neither has come to its end.",
        "neither": "Neither reaches the shortest length.",
        "open": "These runs do not say which one is ahead.",
    }
    lines = []
    for duel in material.duels:
        ratio = ratio_words(duel.ratio, material.comparison.pairs)
        lines.append(
            f"* With {where(duel, material)} the RNN's S50 {span_words(duel.vanilla.span)} and "
            f"the {title(material.gated)}'s {span_words(duel.gated.span)}"
            f"{ratio and f', {ratio}'}. {names[winner(duel)]}"
        )
    return "\n".join([*lines, "", _speed(material)]).strip()


def _leading(lengths: tuple[LengthSummary, ...], *, all_solved: bool) -> int:
    """How many lengths from the first on have all runs solved, or none of them."""
    for count, found in enumerate(lengths):
        if found.solved != (len(found.records) if all_solved else 0):
            return count
    return len(lengths)


def _medians(row: ConditionSummary) -> str:
    """The median accuracy at the shortest and the longest length."""
    first, last = row.lengths[0], row.lengths[-1]
    if not (len(first.accuracies) and len(last.accuracies)):
        return ""
    return (
        f" Their median accuracy is {percent(float(np.median(first.accuracies)))} at "
        f"T = {first.length} and {percent(float(np.median(last.accuracies)))} at "
        f"T = {last.length}, where chance is {100 * CHANCE:.0f} %."
    )


def _gap(row: ConditionSummary) -> str:
    """Where the share falls below a half between two lengths that are far apart."""
    for found, after in itertools.pairwise(row.lengths):
        ends = 2 * found.solved >= len(found.records) and 2 * after.solved < len(after.records)
        if ends and after.length > GAP * found.length:
            return (
                f" Between T = {found.length} and {after.length}, where it ends, no run is shown."
            )
    return ""


def _dip(row: ConditionSummary) -> str:
    """Where more runs are solved at a longer length than chance allows; mostly nothing."""
    for found, after in itertools.pairwise(row.lengths):
        if found.solved_interval.high < after.solved_interval.low:
            return (
                f" More are solved at T = {after.length} ({solved_words(after)}) than at "
                f"T = {found.length} ({solved_words(found)}); the 95 % intervals of the two "
                f"shares do not overlap."
            )
    return ""


def _speed(material: Material) -> str:
    """Which network needs fewer steps at the longest length that both solve half of the time."""
    parts = []
    names = [title(cell) for cell in material.sheet.networks]
    for duel in material.duels:
        both = [
            (one, other)
            for one in duel.vanilla.lengths
            for other in duel.gated.lengths
            if one.length == other.length
            and min(one.solved / len(one.records), other.solved / len(other.records)) >= 0.5
        ]
        if both:
            told = [
                f"the {name} {steps_words(found)} at {found.learning_rate:g}"
                for name, found in zip(names, both[-1], strict=True)
            ]
            parts.append(f"with {where(duel, material)} {joined(told)} (T = {both[-1][0].length})")
    if not parts:
        return ""
    cost = ""
    few, many = (
        material.comparison.conditions[row.condition].parameters for row in material.duels[0].sides
    )
    if few and many:
        cost = (
            f" A step is not the same work for both: the {names[1]} multiplies by {many:,} "
            f"weights per digit, the {names[0]} by {few:,}."
        )
    return (
        f"Steps to be solved, medians at the longest length at which both solved at least half of "
        f"the runs shown: {'; '.join(parts)}.{cost}"
    )
