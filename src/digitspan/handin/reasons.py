"""Why the networks differ, in sentences: out of what was seen in them, and of the rows."""

from __future__ import annotations

import numpy as np

from digitspan.cells import title
from digitspan.handin.claims import ahead, where, winner
from digitspan.handin.material import Duel, Material
from digitspan.handin.measurements import PROBE_LENGTH, Measurements
from digitspan.handin.wording import joined, percent, power, rate_words, span_words
from digitspan.study.ratio import compare_spans
from digitspan.study.summary import ConditionSummary

__all__ = [
    "gates",
    "gradients",
    "initialisation",
    "looked_into",
    "mechanism",
    "rates",
    "singular_values",
]

OPEN, SHUT = 0.9, 0.1
"""A gate is called open above the one and shut below the other."""

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
    arrays = measured.arrays
    means = {gate: arrays[f"gates/{gate}"] for gate in "ifo"}
    forget = means["f"].mean(axis=0)
    first, rest = means["i"][0].mean(), means["i"][1:].mean()
    shown, hidden = means["o"][-1].mean(), means["o"][:-1].mean()
    length = len(arrays["gates/digits"])
    return (
        f"<<figure_gates>> shows the gates of the trained LSTM over one palindrome of "
        f"length {length}. Of its {len(forget)} units, {int((forget > OPEN).sum())} keep their "
        f"cell almost unchanged (mean forget gate above {OPEN}) and {int((forget < SHUT).sum())} "
        f"clear it (below {SHUT}). The input gate is {first:.2f} on average at the first digit "
        f"and {rest:.2f} at the others{_expected(first, rest)}; the output gate is {shown:.2f} at "
        f"the last step and {hidden:.2f} before{_expected(shown, hidden)}. These are means over "
        f"all units: a few are enough to hold one digit, and the others may do as they like."
    )


def mechanism(material: Material, measured: Measurements) -> str:
    """Whether the gates do in the trained network what the design promises."""
    rnn, hidden = (measured.fall[cell, "trained", "hidden"] for cell in ("rnn", "lstm"))
    cell = measured.fall["lstm", "trained", "cell"]
    forget = measured.forget["trained"]
    away = {name: abs(np.log(factor)) for name, factor in (("rnn", rnn), ("cell", cell))}
    if max(away.values()) < NEAR_ONE:
        seen = (
            "training has brought both near 1, and what differs is how far, and how reliably, it "
            "gets there"
        )
    elif away["cell"] < away["rnn"]:
        seen = "the longer path through the cell is there, as the design promises"
    else:
        seen = "in these two networks the cell is **not** the longer path"
    lengths = {name: kept.config.length for name, kept in material.networks.items()}
    fair = ""
    if lengths["rnn"] != lengths["lstm"]:
        fair = (
            f" (They were trained at different lengths, T = {lengths['rnn']} and "
            f"T = {lengths['lstm']}, and a longer one asks for more.)"
        )
    return (
        f"In the trained networks of Question 1.1, {int((forget > OPEN).sum())} of the LSTM's "
        f"{len(forget)} units have a mean forget gate above {OPEN} (mean over all units "
        f"{forget.mean():.2f}). Going back, the gradient changes by a factor of {rnn:.2f} a step "
        f"in the RNN, {hidden:.2f} in the LSTM's hidden state and {cell:.2f} in its cell: {seen}."
        f"{fair}"
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
    return (
        f"A forget gate near 1 is not given, it has to be learned. With the initialisation used "
        f"({config.initialisation}) the mean forget gate is {forget:.2f}, so that what is written "
        f"into the cell is down to {power(forget**20)} of itself after 20 steps. Measured before "
        f"training, the gradient changes by {rnn:.2f} a step in the RNN and by {lstm:.2f} in the "
        f"LSTM: {which}. {_agreement(material, longer)}"
    )


def rates(material: Material) -> str:
    """How the span of each network changes with the learning rate; nothing at a single rate."""
    setting = material.duels[0].setting
    fixed = sorted(
        (duel for duel in material.duels if duel.setting == setting and duel.rule != "tuned"),
        key=lambda duel: float(duel.rule),
    )
    tuned = [duel for duel in material.duels if duel.setting == setting and duel.rule == "tuned"]
    sentences = []
    if len(fixed) > 1:
        sentences += [_with_rate(fixed[0], fixed[-1], cell) for cell in ("rnn", "lstm")]
    if tuned and fixed:
        sentences += [_with_tuning(fixed[0], tuned[0], cell) for cell in ("rnn", "lstm")]
    if not sentences:
        return ""
    return (
        "**What the learning rate has to do with it.** One step changes the recurrent matrix, and "
        "with it every factor of the product (B) at once: the longer the product, the smaller the "
        "steps that it stands. On the other hand few and small steps may not be enough to open "
        f"the gates within the budget. {' '.join(sentences)}"
    )


def _with_rate(low: Duel, high: Duel, cell: str) -> str:
    """How a span changes from the lowest rate to the highest."""
    rows = [getattr(duel, cell) for duel in (low, high)]
    spans = [row.span for row in rows]
    direction = {
        "second": "the larger rate lengthens it",
        "first": "the larger rate shortens it",
        "both": "both last to the longest length",
        "open": "these runs do not tell the two apart",
    }[_change_of_span(*rows)]
    return (
        f"The {title(cell)}'s span {span_words(spans[0])} at the learning rate {low.rule}, and "
        f"{span_words(spans[1])} at {high.rule}: {direction}."
    )


def _with_tuning(fixed: Duel, tuned: Duel, cell: str) -> str:
    """What tuning chose, and what it brought."""
    row = getattr(tuned, cell)
    chosen = sorted({found.learning_rate for found in row.lengths})
    rates = f"rates from {chosen[0]:g} to {chosen[-1]:g}"
    if len(chosen) == 1:
        rates = f"the rate {chosen[0]:g} at every length"
    better = {
        "second": "longer than with", "first": "shorter than with", "both": "as with",
        "open": "which these runs do not tell from that with",
    }[_change_of_span(getattr(fixed, cell), row)]  # fmt: skip
    return (
        f"Tuning chose {rates} for the {title(cell)}; its span then {span_words(row.span)}, "
        f"{better} {rate_words(fixed.rule)}."
    )


def _change_of_span(first: ConditionSummary, second: ConditionSummary) -> str:
    """Which of two spans of one cell is longer, as in `ahead`."""
    ratio = compare_spans(second.span, first.span)
    return ahead(ratio, first.span)


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


def _agreement(material: Material, longer: str) -> str:
    """Whether the network that starts with the longer reach is the one that remembers longer."""
    results = {where(duel, material): winner(duel) for duel in material.duels}
    if not longer:
        return "The initialisation does not explain a difference between them."
    other = "rnn" if longer == "lstm" else "lstm"
    same = [name for name, result in results.items() if result == longer]
    against = [name for name, result in results.items() if result == other]
    sentences = []
    if same:
        sentences.append(f"This agrees with the runs with {joined(same)}, where it is ahead.")
    if against:
        sentences.append(
            f"With {joined(against)} the {title(other)} is ahead all the same, so the "
            f"initialisation does not decide it: the {title(other)} has overcome it in training."
        )
    return " ".join(sentences) or "The spans measured do not show it clearly."
