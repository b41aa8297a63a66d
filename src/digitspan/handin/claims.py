"""What a study's rows say, in sentences: where a network's memory ends, and which one is ahead."""

from __future__ import annotations

import numpy as np

from digitspan.cells import title
from digitspan.handin.material import SANITY_LENGTH, Duel, Material
from digitspan.handin.wording import (
    joined,
    percent,
    rate_words,
    ratio_words,
    solved_words,
    span_words,
)
from digitspan.study.ratio import Ratio
from digitspan.study.retention import Span
from digitspan.study.summary import ConditionSummary, LengthSummary
from digitspan.tasks import CHANCE

__all__ = [
    "ahead",
    "by_rule",
    "comparison",
    "reach",
    "rnn_against_sheet",
    "sanity",
    "verdict",
    "where",
    "winner",
]

SHEETS_DELAY = 10
"""The sheet: beyond about so many steps a vanilla RNN is difficult to train."""

NEAR_PERFECT = 0.99
"""What the sheet's sanity check is held to."""


def where(duel: Duel, material: Material) -> str:
    """The condition in words: the rate; encoding and initialisation where there are several."""
    words = rate_words(duel.rule)
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
        return f"solved every run at every length tried, up to T = {lengths[-1].length}"
    if none == len(lengths):
        return f"solved no run at any length tried, not even at T = {lengths[0].length}"
    parts = [f"every run up to T = {lengths[whole - 1].length}"] if whole else []
    parts += [
        f"{solved_words(found)} at T = {found.length}"
        for found in lengths[whole : len(lengths) - none]
    ]
    if none == 1:
        parts.append(f"none at T = {lengths[-1].length}")
    elif none:
        parts.append(f"none from T = {lengths[-none].length} on")
    return f"solved {joined(parts)}"


def sanity(material: Material, cell: str) -> str:
    """The sheet's sanity check at T = 5, under every condition."""
    parts, fine = [], []
    for duel in material.duels:
        found = _at(getattr(duel, cell), SANITY_LENGTH)
        if found is None or not len(found.accuracies):
            continue
        median = float(np.median(found.accuracies))
        fine.append(median >= NEAR_PERFECT)
        parts.append(
            f"{solved_words(found)} runs were solved with {where(duel, material)}, at a median "
            f"accuracy of {percent(median)}"
        )
    held = (
        "near-perfect, as it should be" if any(fine) else "**not near-perfect**, as it should be"
    )
    return f"At T = {SANITY_LENGTH} the {title(cell)} is {held}: {joined(parts)}."


def by_rule(material: Material, cell: str) -> str:
    """For every condition, where the memory of one network ends."""
    lines = []
    for duel in material.duels:
        row: ConditionSummary = getattr(duel, cell)
        lines.append(
            f"* With {where(duel, material)} the {title(cell)} {reach(row)}. {_medians(row)} Its "
            f"retention span S50, the length that half of the runs solve, {span_words(row.span)}."
        )
    return "\n".join(lines)


def rnn_against_sheet(material: Material) -> str:
    """The sheet's claim about some ten steps, held against the longest span of the RNN."""
    best = max(material.duels, key=lambda duel: duel.rnn.span.s50)
    span = best.rnn.span
    delay = span.s50 - 2
    at_least = "at least " if span.bound == ">=" else "at most " if span.bound == "<=" else ""
    measured = f"{at_least}{delay:.0f} steps between the digit and the question"
    if delay > 2 * SHEETS_DELAY:
        judgement = "the RNN lasts clearly longer than that"
    elif delay < 0.6 * SHEETS_DELAY:
        judgement = "the RNN gives up even earlier"
    else:
        judgement = "the sheet is about right"
    return (
        f"The sheet expects a vanilla RNN to be difficult to train beyond about {SHEETS_DELAY} "
        f"steps. Here, with {where(best, material)}, half of the runs still manage {measured} "
        f"(S50 less the first digit and the last): {judgement}."
    )


def ahead(ratio: Ratio, span: Span) -> str:
    """Which of two spans is longer: "first", "second", "both" (neither ended), or "open".

    One is longer where the 95 % interval of their ratio leaves out one.

    Args:
        ratio: the second span as a multiple of the first.
        span: the first.
    """
    if ratio.bound == "?" and span.bound == ">=":
        return "both"
    if not ratio.differs:
        return "open"
    return "second" if ratio.low is not None and ratio.low > 1 else "first"


def winner(duel: Duel) -> str:
    """The cell that remembers longer; or "both" or "open", as in `ahead`."""
    found = ahead(duel.ratio, duel.rnn.span)
    return {"first": "rnn", "second": "lstm"}.get(found, found)


def verdict(material: Material) -> str:
    """Whether the textbook's order holds in these rows."""
    found: dict[str, list[str]] = {"rnn": [], "lstm": [], "both": [], "open": []}
    for duel in material.duels:
        found[winner(duel)].append(where(duel, material))
    decided = [name for name in ("rnn", "lstm") if found[name]]
    textbook = "The textbook says that the LSTM remembers longer than the vanilla RNN."
    if decided == ["lstm"] and len(found["lstm"]) == len(material.duels):
        return f"{textbook} **These runs agree**, with {joined(found['lstm'])}."
    if decided == ["rnn"] and len(found["rnn"]) == len(material.duels):
        return (
            f"{textbook} **These runs say the opposite**: with {joined(found['rnn'])} the RNN "
            f"remembers longer."
        )
    if not decided:
        longest = material.duels[0].rnn.lengths[-1].length
        if found["both"] and not found["open"]:
            return f"{textbook} These runs cannot tell: both still remember at T = {longest}."
        return (
            f"{textbook} **These runs do not decide it**: the interval of the ratio of the two "
            f"spans has 1 in it."
        )
    parts = [f"with {joined(found[name])} the {title(name)} is ahead" for name in decided]
    if found["open"]:
        parts.append(f"with {joined(found['open'])} nothing is decided")
    if found["both"]:
        parts.append(f"with {joined(found['both'])} both still remember at the longest length")
    start = "**It depends on the learning rate**" if len(decided) > 1 else "**In part**"
    return f"{textbook} {start}: {joined(parts)}."


def comparison(material: Material) -> str:
    """For every condition, both spans side by side."""
    names = {
        "rnn": "The RNN is ahead.",
        "lstm": "The LSTM is ahead.",
        "both": "Neither has come to its end.",
        "open": "These runs do not say which one is ahead.",
    }
    lines = []
    for duel in material.duels:
        lines.append(
            f"* With {where(duel, material)}: the RNN's span {span_words(duel.rnn.span)}, the "
            f"LSTM's {span_words(duel.lstm.span)}{ratio_words(duel.ratio)}. "
            f"{names[winner(duel)]} The LSTM {reach(duel.lstm)}; the RNN "
            f"{reach(duel.rnn)}.{_speed(duel)}"
        )
    return "\n".join(lines)


def _leading(lengths: tuple[LengthSummary, ...], *, all_solved: bool) -> int:
    """How many lengths from the first on have all runs solved, or none of them."""
    for count, found in enumerate(lengths):
        if found.solved != (len(found.records) if all_solved else 0):
            return count
    return len(lengths)


def _at(row: ConditionSummary, length: int) -> LengthSummary | None:
    """The runs of one length."""
    return next((found for found in row.lengths if found.length == length), None)


def _medians(row: ConditionSummary) -> str:
    """The median accuracy at the shortest and the longest length."""
    first, last = row.lengths[0], row.lengths[-1]
    if not (len(first.accuracies) and len(last.accuracies)):
        return ""
    return (
        f"Its median accuracy is {percent(float(np.median(first.accuracies)))} at "
        f"T = {first.length} and {percent(float(np.median(last.accuracies)))} at "
        f"T = {last.length}, where chance is {100 * CHANCE:.0f} %."
    )


def _speed(duel: Duel) -> str:
    """Which network needs fewer steps at the longest length that both solve half of the time."""
    both = [
        (rnn, lstm)
        for rnn in duel.rnn.lengths
        for lstm in duel.lstm.lengths
        if rnn.length == lstm.length
        and min(rnn.solved / len(rnn.records), lstm.solved / len(lstm.records)) >= 0.5
    ]
    if not both:
        return ""
    rnn, lstm = both[-1]
    steps = [
        float(np.median([record.steps for record in found.records if record.solved]))
        for found in (rnn, lstm)
    ]
    return (
        f" At T = {rnn.length}, the longest length that both solve at least half of the time, the "
        f"solved runs took the RNN {steps[0]:,.0f} steps in the median and the LSTM "
        f"{steps[1]:,.0f}."
    )
