"""Why the networks differ, in sentences: out of what was seen in them, and of the rows."""

from __future__ import annotations

import numpy as np

from digitspan.cells import title
from digitspan.handin.claims import ahead, where, winner
from digitspan.handin.material import Duel, Material
from digitspan.handin.measurements import PROBE_COUNT, PROBE_LENGTH, GradientPath, Measurements
from digitspan.handin.wording import joined, percent, power, rate_words, ratio_words
from digitspan.runs.record import RunRecord
from digitspan.study.retention import Span
from digitspan.study.summary import ConditionSummary

__all__ = [
    "gates",
    "gradient_path",
    "gradients",
    "initialisation",
    "looked_into",
    "mechanism",
    "rates",
    "singular_values",
]

OPEN, SHUT = 0.9, 0.1
"""A gate is called open above the one and shut below the other."""

EVEN = 0.5
"""Half of the gradient."""

NEARLY_EQUAL = 0.02
"""Factors a step that differ by less are called about equal."""

NEAR_ONE = 0.05
"""A factor a step whose logarithm is smaller than this is called near 1."""


def looked_into(material: Material) -> str:
    """Which networks of the study are looked into."""
    parts = []
    for cell, kept in material.networks.items():
        config, record = kept.config, kept.record
        accuracy = percent(record.accuracy or 0)
        how = "solved" if record.solved else f"not solved, accuracy {accuracy}"
        parts.append(
            f"the {title(cell)} of run `{config.run_id}` (T = {config.length}, {how} after "
            f"{record.steps:,} steps)"
        )
    return (
        f"Two networks of the study are looked into: {joined(parts)}. They are the solved runs "
        f"nearest to T = 20, or the most accurate ones where none was solved; before training, "
        f"the same networks as they were initialised."
    )


def gradients(measured: Measurements) -> str:
    """How the gradient falls, measured: before training and after."""
    fall, drop = measured.fall, measured.drop
    before = (
        f"**Before training**, the gradient that reaches the first digit of a palindrome of "
        f"length {PROBE_LENGTH} is {power(drop['rnn', 'untrained', 'hidden'])} of the one at the "
        f"last step in the RNN, a factor of {fall['rnn', 'untrained', 'hidden']:.2f} a step on "
        f"average, and {power(drop['lstm', 'untrained', 'hidden'])} in the LSTM "
        f"({fall['lstm', 'untrained', 'hidden']:.2f} a step)."
    )
    after = (
        f"**After training** it is {power(drop['rnn', 'trained', 'hidden'])} in the RNN "
        f"({fall['rnn', 'trained', 'hidden']:.2f} a step) and "
        f"{power(drop['lstm', 'trained', 'hidden'])} in the LSTM "
        f"({fall['lstm', 'trained', 'hidden']:.2f} a step; "
        f"{fall['lstm', 'trained', 'cell']:.2f} in its cell)."
    )
    changes = [_change(measured, cell) for cell in ("rnn", "lstm")]
    return f"{before} {after} {' '.join(changes)}"


def singular_values(measured: Measurements) -> str:
    """What the bound (E) says of the RNN's own matrix."""
    before, after = measured.singular["untrained"], measured.singular["trained"]
    if before < 1:
        verdict = "is below 1, so (E) leaves the gradient no choice but to vanish"
    else:
        verdict = (
            "is above 1, so (E) alone would allow an explosion; that the gradient "
            f"{'vanishes' if measured.fall['rnn', 'untrained', 'hidden'] < 1 else 'grows'} is "
            "measured, not implied: the bound takes the worst direction in every step"
        )
    return (
        f"The largest singular value of $\\mathbf{{W}}_{{hh}}$ is {before:.2f} before training. "
        f"It {verdict}. After training it is {after:.2f}."
    )


def gates(measured: Measurements) -> str:
    """What the gates do in the trained network, measured."""
    means = measured.gates
    forget = measured.forget["trained"]
    first, rest = float(means["i"][0].mean()), float(means["i"][1:].mean())
    shown, hidden = float(means["o"][-1].mean()), float(means["o"][:-1].mean())
    text = (
        f"<<figure_gates>> shows the gates of the trained LSTM over one palindrome. Over "
        f"{PROBE_COUNT} of that length, {int((forget > OPEN).sum())} of its {len(forget)} units "
        f"have a mean forget gate above {OPEN} and {int((forget < SHUT).sum())} one below "
        f"{SHUT}. The input gate is {first:.2f} on average at the first digit and {rest:.2f} at "
        f"the others{_expected(first, rest)}; the output gate is {shown:.2f} at the last step and "
        f"{hidden:.2f} before{_expected(shown, hidden)}."
    )
    if min(first - rest, shown - hidden) > NEARLY_EQUAL:
        return text
    return (
        f"{text} So on average over its units this network does not use its gates as the list "
        f"tells it; Question 1.6 measures which way the first digit's gradient takes instead."
    )


def gradient_path(measured: Measurements, record: RunRecord) -> str:
    """Which way the LSTM's gradient takes, by the forget gates or through h and the gates.

    Args:
        measured: what was seen in the networks.
        record: of the LSTM's run; at its length it was measured.
    """
    before, after = measured.path["untrained"], measured.path["trained"]
    length, units = record.config.length, measured.forget["trained"]
    kept = (
        f"the unit that keeps most multiplies its cell by {power(after.kept)} over these "
        f"{length - 2} steps, and {int((units > OPEN).sum())} of {len(units)} units have a mean "
        f"forget gate above {OPEN}"
    )
    if after.kept < SHUT and after.share < EVEN:
        fits = f"That fits the forget gates: {kept}, so that no unit could bring it there alone."
    elif after.kept >= EVEN and after.share >= EVEN:
        fits = f"That fits the forget gates: {kept}."
    else:
        fits = f"Of the forget gates: {kept}."
    unsolved = "" if record.solved else ", which was not solved,"
    return (
        f"**Which way the gradient takes.** On its way back to $\\mathbf{{c}}^{{(1)}}$ the "
        f"gradient either stays in the cell, multiplied by forget gates alone, or leaves it, "
        f"through $\\mathbf{{h}}$ and the gates. The two parts add up to "
        f"$\\partial \\mathcal{{L}} / \\partial \\mathbf{{c}}^{{(1)}}$. For {PROBE_COUNT} "
        f"palindromes of length {length} the first part, "
        f"$\\mathbf{{f}}^{{(2)}} \\odot \\cdots \\odot \\mathbf{{f}}^{{(T-1)}} \\odot "
        f"\\partial \\mathcal{{L}} / \\partial \\mathbf{{c}}^{{(T-1)}}$, "
        f"has a norm of {power(before.direct)} of the whole before "
        f"training and {power(after.direct)} after, and makes {percent(before.share)} and "
        f"{percent(after.share)} of the whole (projected on it; medians). So in the trained "
        f"network{unsolved} {_way(after)}. {fits}"
    )


def _way(path: GradientPath) -> str:
    """Where the gradient runs, from the share of the part that stays in the cell."""
    if path.share < -SHUT or path.share > 1 + SHUT:
        return "the two parts partly cancel, and neither way alone tells where the gradient runs"
    if path.share >= OPEN:
        return "the gradient **runs along the cell**, by the forget gates"
    if path.share >= EVEN:
        return "more of the gradient runs along the cell than through the gates"
    if path.share >= SHUT:
        return "more of the gradient runs through $\\mathbf{h}$ and the gates than along the cell"
    return (
        "the gradient **runs through $\\mathbf{h}$ and the gates, not along the cell**: the path "
        "for which the LSTM is built is hardly used"
    )


def mechanism(material: Material, measured: Measurements) -> str:
    """In which trained network the gradient lasts longer, and whether that is the one ahead."""
    rnn, lstm = (measured.fall[cell, "trained", "hidden"] for cell in ("rnn", "lstm"))
    cell = measured.fall["lstm", "trained", "cell"]
    away = {"rnn": abs(np.log(rnn)), "lstm": abs(np.log(cell))}
    if max(away.values()) < NEAR_ONE:
        seen = "both the RNN's and the cell's are near 1."
    elif abs(rnn - cell) < NEARLY_EQUAL:
        seen = "the RNN's and the cell's are about the same."
    else:
        nearer = min(away, key=away.__getitem__)
        name = {"rnn": "RNN", "lstm": "LSTM cell"}[nearer]
        seen = f"that of the {name} is nearer to 1, {_beside_the_spans(material, nearer)}."
    lengths = {name: kept.config.length for name, kept in material.networks.items()}
    fair = ""
    if lengths["rnn"] != lengths["lstm"]:
        fair = (
            f" (They were trained at different lengths, T = {lengths['rnn']} and "
            f"T = {lengths['lstm']}.)"
        )
    return (
        f"**How far the gradient reaches.** In the two trained networks of Question 1.1 the "
        f"gradient changes, going back, by a factor of {rnn:.2f} a step in the RNN, {lstm:.2f} in "
        f"the LSTM's hidden state and {cell:.2f} in its cell: {seen}{fair}"
    )


def initialisation(material: Material, measured: Measurements) -> str:
    """What the initialisation means for the two, and whether the rows agree."""
    config = material.networks["lstm"].record.config
    forget = float(measured.forget["untrained"].mean())
    rnn, lstm = (measured.fall[cell, "untrained", "hidden"] for cell in ("rnn", "lstm"))
    longer = "lstm" if lstm > rnn + NEARLY_EQUAL else "rnn" if rnn > lstm + NEARLY_EQUAL else ""
    which = "they start with about the same reach"
    if longer:
        which = f"it is the {title(longer)} that starts with the longer reach"
    learned = "A forget gate near 1 is not given, it would have to be learned. " * (forget < OPEN)
    return (
        f"{learned}With the initialisation used ({config.initialisation}) the mean forget gate is "
        f"{forget:.2f}, so that what is written into the cell is down to {power(forget**20)} of "
        f"itself after 20 steps. Measured before training, the gradient changes by {rnn:.2f} a "
        f"step in the RNN and by {lstm:.2f} in the LSTM: {which}. {_agreement(material, longer)}"
    )


def rates(material: Material) -> str:
    """What the learning rate has to do with it: the best ones, and whether they decide.

    Nothing where no condition is tuned.
    """
    setting = material.duels[0].setting
    here = [duel for duel in material.duels if duel.setting == setting]
    tuned = next((duel for duel in here if duel.is_tuned), None)
    if tuned is None:
        return ""
    sentences = [_best_rates(row) for row in tuned.sides]
    apart = _rates_apart(tuned.rnn.span, tuned.lstm.span)
    if apart is not None:
        sentences.append(
            "The two intervals do not touch, so no one rate is the best for both."
            if apart
            else "The two intervals overlap, so one rate may be the best for both."
        )
    for fixed in here:
        if not fixed.is_tuned:
            sentences.append(_at_one_rate(fixed, tuned))
            sentences += [_brought(material, fixed, tuned, cell) for cell in ("rnn", "lstm")]
    return f"**What the learning rate has to do with it.** {' '.join(sentences)}"


def _rates_apart(one: Span, other: Span) -> bool | None:
    """Whether the intervals of two best rates do not touch; None where one is not known."""
    low, high = one.rate_low, one.rate_high
    other_low, other_high = other.rate_low, other.rate_high
    if low is None or high is None or other_low is None or other_high is None:
        return None
    return high < other_low or other_high < low


def _best_rates(row: ConditionSummary) -> str:
    """The best rate at the span, and the rates of the runs shown."""
    name, span = title(row.condition.cell), row.span
    if not span.solved:
        return f"As no run of the {name} was solved, nothing is known of its best rate."
    at_span = (
        f"The best rate of the {name} at its S50 is {span.rate:.2g} (95 % interval "
        f"{span.rate_low:.2g} to {span.rate_high:.2g})"
    )
    if len(row.lengths) < 2:
        return f"{at_span}."
    first, last = row.lengths[0], row.lengths[-1]
    return (
        f"{at_span}; the runs shown were made at {first.learning_rate:g} at T = {first.length} "
        f"and {last.learning_rate:g} at T = {last.length}, the steps of the ladder nearest to the "
        f"fitted best rates."
    )


def _at_one_rate(fixed: Duel, tuned: Duel) -> str:
    """Whether the order of the two at one rate is that at the best rates."""
    at_fixed, at_best = winner(fixed), winner(tuned)
    decided = {"rnn": "the RNN is ahead", "lstm": "the LSTM is ahead"}
    if at_fixed == at_best and at_best in decided:
        return (
            f"At {rate_words(fixed)} {decided[at_best]} too: the order does not depend on the "
            f"choice between the two rules."
        )
    if {at_fixed, at_best} == set(decided):
        return (
            f"At {rate_words(fixed)}, one for both, {decided[at_fixed]}, at the best rates "
            f"{decided[at_best]}: **the order is a matter of the rate**."
        )
    if not {at_fixed, at_best} & set(decided):
        return f"Neither at {rate_words(fixed)} nor at the best rates is an order shown."
    undecided = "no order is shown"
    return (
        f"At {rate_words(fixed)} {decided.get(at_fixed, undecided)}, at the best rates "
        f"{decided.get(at_best, undecided)}."
    )


def _brought(material: Material, fixed: Duel, tuned: Duel, cell: str) -> str:
    """What the best rates bring one network, against one rate."""
    row, other = getattr(tuned, cell), getattr(fixed, cell)
    ratio = material.comparison.ratios[row.condition, other.condition]
    at_one = f"at {rate_words(fixed)}"
    lasts = {
        "second": f"longer than {at_one}",
        "first": f"shorter than {at_one}",
        "both": f"beyond the longest length, as {at_one}",
        "neither": f"below the shortest length, as {at_one}",
        "open": f"not to be told from that {at_one}",
    }[ahead(ratio, other.span)]
    words = ratio_words(ratio, material.comparison.pairs)
    return f"At its best rates the {title(cell)}'s span is {lasts}{words and f', {words}'}."


def _change(measured: Measurements, cell: str) -> str:
    """What training has done to the fall of the gradient in one network."""
    before, after = (measured.fall[cell, state, "hidden"] for state in ("untrained", "trained"))
    if abs(after - before) < NEARLY_EQUAL:
        return f"Training has left the {title(cell)}'s factor about as it was."
    towards = "nearer to" if abs(np.log(after)) < abs(np.log(before)) else "further from"
    return f"Training has moved the {title(cell)}'s factor {towards} 1."


def _expected(inside: float, outside: float) -> str:
    """Whether a gate is more open where it should be."""
    if inside > outside + NEARLY_EQUAL:
        return ", as expected"
    return ", **not** more open where it was expected to be" if inside < outside else ""


def _ahead_with(material: Material, cell: str) -> list[str]:
    """The conditions under which a network is ahead."""
    return [where(duel, material) for duel in material.duels if winner(duel) == cell]


def _beside_the_spans(material: Material, nearer: str) -> str:
    """Whether the network whose gradient reaches further after training is ahead."""
    other = "rnn" if nearer == "lstm" else "lstm"
    parts = []
    if same := _ahead_with(material, nearer):
        parts.append(f"and with {joined(same)} it is ahead")
    if against := _ahead_with(material, other):
        parts.append(f"but with {joined(against)} the {title(other)} is ahead")
    return ", ".join(parts) or "but of neither is it shown that it is ahead"


def _agreement(material: Material, longer: str) -> str:
    """Whether the network that starts with the longer reach is the one that remembers longer."""
    if not longer:
        return "That does not explain a difference between them."
    other = "rnn" if longer == "lstm" else "lstm"
    same, against = (_ahead_with(material, cell) for cell in (longer, other))
    sentences = []
    if same:
        sentences.append(f"This agrees with the runs with {joined(same)}, where it is ahead.")
    if against:
        sentences.append(
            f"With {joined(against)} the {title(other)} is ahead all the same, so the start "
            f"does not decide it."
        )
    return " ".join(sentences) or "The spans measured do not show it clearly."
