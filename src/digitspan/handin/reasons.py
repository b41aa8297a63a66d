"""Why the networks differ, in sentences: out of what was seen in them, and of the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from digitspan.cells import title
from digitspan.handin import measurements
from digitspan.handin.claims import ahead, winner
from digitspan.handin.material import Duel, Material
from digitspan.handin.measurements import (
    OPEN,
    PROBE_COUNT,
    PROBE_LENGTH,
    Carried,
    GradientPath,
    Measurements,
)
from digitspan.handin.wording import joined, percent, power, rate_words, ratio_words, table
from digitspan.runs.record import RunRecord
from digitspan.study.retention import Span
from digitspan.study.summary import ConditionSummary

__all__ = [
    "carried",
    "carried_table",
    "gates",
    "gradient_path",
    "gradients",
    "initialisation",
    "looked_into",
    "names",
    "rates",
    "singular_values",
]

EVEN = 0.5
"""Half of the gradient, or of the answers."""

LITTLE, MUCH = 0.1, 0.9
"""Shares at or beyond which little or nearly all of something is spoken of."""

ABOUT_HALF = 0.1
"""A share that is nearer than this to a half is called about half."""

NEARLY_EQUAL = 0.02
"""Factors per step, or means of gates, that differ by less are called about equal."""

DEEP = 0.1
"""A lowest point below this share of both ends of a curve is spoken of."""


class Keeping(NamedTuple):
    """How it is told of a gated network that a gate can keep part of its state."""

    gate: str
    """The gate's name."""
    gate_symbol: str
    """Its symbol."""
    state_symbol: str
    """What it multiplies."""
    own: str
    """What a unit multiplies by it."""
    place: str
    """Where what is kept stays."""
    kept: str
    """What the units that keep have kept."""
    rest: str
    """The rest of the state."""
    elsewhere: str
    """The gradient's other way."""


KEEPING = {
    "lstm": Keeping(
        "forget gate", "f", "c", "cell", "the cell", "cells",
        "$\\mathbf{h}$ and the cells that are not kept", "$\\mathbf{h}$ and the gates",
    ),
    "gru": Keeping(
        "update gate", "z", "h", "state", "the unit", "units", "the units that are not kept",
        "the candidate and the gates",
    ),
}  # fmt: skip
"""By the gated network."""


def looked_into(material: Material) -> str:
    """Which networks of the study are looked into."""
    parts = []
    for cell, kept in material.networks.items():
        config, record = kept.config, kept.record
        how = f"solved after {record.steps:,} steps"
        if not record.solved:
            how = f"not solved, as none was; the most accurate, {percent(record.accuracy or 0)}"
        parts.append(f"{_a(title(cell))} trained at T = {config.length} ({how})")
    nearest = ""
    if all(kept.record.solved for kept in material.networks.values()):
        nearest = ", of the solved ones those whose *T* is nearest to " + str(
            material.sheet.lengths.looked_into
        )
    trained = [material.sheet.number_of(kind) for kind in ("memory", "comparison")]
    asked = f" trained for Questions {joined(trained)}" if all(trained) else " of the study"
    return (
        f"Two of the networks{asked} are looked into{nearest}: "
        f"{joined(parts)}. The untrained ones are the same two before their first step."
    )


def _a(name: str) -> str:
    """An abbreviation with its article, as it is spelt: "an LSTM", "a GRU"."""
    return f"{'an' if name[0] in 'AEFHILMNORSX' else 'a'} {name}"


def names(material: Material) -> str:
    """The names of their runs, in a sentence."""
    runs = joined([f"`{kept.config.run_id}`" for kept in material.networks.values()])
    return f"The networks looked into are {runs}."


def gradients(material: Material, measured: Measurements) -> str:
    """How the gradient falls, measured: before training and after."""
    fall, drop = measured.fall, measured.drop
    vanilla, gated = material.sheet.networks
    part = measurements.KEEPING[gated][0]
    of_gated = title(gated) + "'s cell" * (part == "cell")
    before = (
        f"**Before training**, the gradient that reaches the first digit of a palindrome of "
        f"length {PROBE_LENGTH} is {power(drop[vanilla, 'untrained', 'hidden'])} of the one at "
        f"the last step in the RNN, a factor of {fall[vanilla, 'untrained', 'hidden']:.2f} per "
        f"step on average, and {power(drop[gated, 'untrained', part])} in the {of_gated} "
        f"({fall[gated, 'untrained', part]:.2f} per step)."
    )
    after = (
        f"**After training** it is {power(drop[vanilla, 'trained', 'hidden'])} in the RNN "
        f"({fall[vanilla, 'trained', 'hidden']:.2f} per step) and "
        f"{power(drop[gated, 'trained', part])} in the {of_gated} "
        f"({fall[gated, 'trained', part]:.2f} per step)."
    )
    return f"{before} {after} {_changes(material, measured)}{_dip(material, measured)}"


def _changes(material: Material, measured: Measurements) -> str:
    """What training has done to the fall of the gradient in the two networks."""
    vanilla, gated = material.sheet.networks
    after = {vanilla: "hidden", gated: measurements.KEEPING[gated][0]}
    changes = {
        cell: _change(measured.fall[cell, "untrained", part], measured.fall[cell, "trained", part])
        for cell, part in after.items()
    }
    if changes[vanilla] == changes[gated]:
        return f"Training {changes[vanilla]} in both."
    return (
        " and ".join(
            f"{'Training' if cell == vanilla else 'training'} {change} in the {title(cell)}"
            for cell, change in changes.items()
        )
        + "."
    )


def _change(before: float, after: float) -> str:
    """What has become of a factor per step."""
    if abs(after - before) < NEARLY_EQUAL:
        return "has left the factor about as it was"
    towards = "nearer to" if abs(np.log(after)) < abs(np.log(before)) else "further from"
    return f"has moved the factor {towards} 1"


def _dip(material: Material, measured: Measurements) -> str:
    """Where the LSTM's hidden state shows a gradient that lies below both of its ends."""
    if material.gated != "lstm":
        return ""
    place = ("lstm", "trained", "hidden")
    lowest, first = measured.lowest[place], measured.drop[place]
    if lowest > DEEP * min(first, 1):
        return ""
    cell = measured.lowest["lstm", "trained", "cell"]
    below = "does not go down"
    if cell <= DEEP * min(measured.drop["lstm", "trained", "cell"], 1):
        below = "goes down, too"
    return (
        f" The gradient of the trained LSTM's $\\mathbf{{h}}^{{(t)}}$ goes down to "
        f"{power(lowest)} in between, for $\\partial \\mathcal{{L}} / \\partial "
        f"\\mathbf{{h}}^{{(t)}}$ counts only what passes through the gates of step $t + 1$. What "
        f"stays in the cell is counted in $\\partial \\mathcal{{L}} / \\partial "
        f"\\mathbf{{c}}^{{(t)}}$, which {below}."
    )


def singular_values(material: Material, measured: Measurements) -> str:
    """What the bound (E) says of the RNN's own matrix."""
    vanilla = material.vanilla
    bounds, falls = [], {}
    for state, when in (("untrained", "before training"), ("trained", "after")):
        bound, fall = measured.bound[state], measured.fall[vanilla, state, "hidden"]
        bounds.append(f"{bound:.2f} {when}")
        falls[when] = bound, fall
    text = (
        f"The factor per step in (E), $\\gamma \\, \\sigma_{{\\max}}$, is {joined(bounds)} for "
        f"this RNN."
    )
    if below := [when for when, (bound, _) in falls.items() if bound < 1]:
        text += f" Below 1, {joined(below)}, (E) alone says that the gradient has to vanish."
    above = {when: fall for when, (bound, fall) in falls.items() if bound >= 1}
    if above:
        ways = {"falls" if fall < 1 else "does not fall" for fall in above.values()}
        way = ways.pop() if len(ways) == 1 else "falls in one of the two"
        text += (
            f" Not below 1, {joined(list(above))}, (E) allows an explosion: that the gradient "
            f"{way} is measured, not implied. (E) takes the worst direction in every step."
        )
    return text


def gates(measured: Measurements) -> str:
    """What the gates do in the trained LSTM, measured, and whether it is what the list says."""
    use = measured.gates
    if use is None:
        return "<<figure_gates>> shows the two gates of the trained GRU over one palindrome."
    some = f"In the {use.keeping} of {use.units} units whose mean forget gate is above {OPEN}, "
    if not use.keeping:
        some = f"None of the {use.units} units has a mean forget gate above {OPEN}. Over all, "
    opens = _compared(use.input_first, use.input_late)
    text = (
        f"<<figure_gates>> shows the gates of the trained LSTM over one palindrome; these are "
        f"means over {PROBE_COUNT} of that length. {some}the input gate is {use.input_first:.2f} "
        f"at the first digit and {use.input_late:.2f} in the second half, {opens}; the output "
        f"gate is {use.output_last:.2f} at the last step and {use.output_before:.2f} before, "
        f"{_compared(use.output_last, use.output_before)}."
    )
    if use.input_first > use.input_late + NEARLY_EQUAL:
        return (
            text if use.input_late < EVEN else f"{text} So the input gate is narrowed, not shut."
        )
    text += (
        f" So it is not the input gate that shuts out the later digits. What is written, "
        f"$\\mathbf{{g}} \\odot \\mathbf{{i}}$, has a standard deviation over the palindromes "
        f"of {use.written_first:.2f} at the first digit and of {use.written_late:.2f} in the "
        f"second half, where its size is {use.size_late:.2f}"
    )
    if use.written_late < EVEN * min(use.written_first, use.size_late):
        return f"{text}: these units go on counting, by nearly the same amount whatever the digit."
    return f"{text}: the later digits are written as well."


def _compared(inside: float, outside: float) -> str:
    """Whether a gate is more open where the list would have it."""
    if abs(inside - outside) < NEARLY_EQUAL:
        return "about the same"
    if inside > outside:
        return "more open, as the list has it"
    return "**less** open, not as the list has it"


def gradient_path(measured: Measurements, record: RunRecord) -> str:
    """Which way the gated network's gradient takes, by the keeping gates or another.

    Args:
        measured: what was seen in the networks.
        record: of the network's run; at its length it was measured.
    """
    told = KEEPING[record.config.cell]
    g, s = f"\\mathbf{{{told.gate_symbol}}}", f"\\mathbf{{{told.state_symbol}}}"
    before, after = measured.path["untrained"], measured.path["trained"]
    length = record.config.length
    unsolved = "" if record.solved else ", which was not solved,"
    return (
        f"On its way back to ${s}^{{(1)}}$ the gradient either stays in {told.place}, "
        f"multiplied by {told.gate}s alone, or leaves it at some step, through "
        f"{told.elsewhere}. The two parts add up. In the {title(record.config.cell)} looked into, "
        f"the first, ${g}^{{(2)}} \\odot \\cdots \\odot {g}^{{(T-1)}} \\odot "
        f"\\partial \\mathcal{{L}} / \\partial {s}^{{(T-1)}}$, makes "
        f"{percent(before.share)} of the whole before training and {percent(after.share)} after "
        f"(projected on it; medians over {PROBE_COUNT} palindromes of length {length}). So in the "
        f"trained network{unsolved} {_way(after, record.config.cell)}. The unit that keeps most "
        f"multiplies its {told.own} "
        f"by {_factor(before.kept)} over these {length - 2} steps before training and by "
        f"{_factor(after.kept)} after{_fits(after)}."
    )


def _factor(value: float) -> str:
    """A factor between 0 and 1."""
    return f"{value:.2f}" if value >= 0.01 else power(value)


def _way(path: GradientPath, cell: str) -> str:
    """Where the gradient runs, from the share of the part that is kept."""
    told = KEEPING[cell]
    along = f"along {told.place}"
    if path.share < -LITTLE or path.share > 1 + LITTLE:
        return "the two parts partly cancel, and neither way alone tells where the gradient runs"
    if path.share >= MUCH:
        return f"the gradient **runs {along}**, by the {told.gate}s"
    if abs(path.share - EVEN) < ABOUT_HALF:
        return f"**about half** of it runs {along} and half through {told.elsewhere}"
    if path.share > EVEN:
        return f"more of it runs {along} than through the gates"
    if path.share >= LITTLE:
        return f"more of it runs through {told.elsewhere} than {along}"
    return (
        f"the gradient **runs through {told.elsewhere}, not {along}**: the path for which the "
        f"{title(cell)} is built is hardly used"
    )


def _fits(path: GradientPath) -> str:
    """Whether the forget gates could bring the gradient there, where it does not come that way."""
    if path.kept < LITTLE and path.share < EVEN:
        return ": no unit could have brought it there alone"
    if path.kept >= EVEN and path.share < LITTLE:
        return ": it could have come that way, and did not"
    return ""


def carried_table(material: Material, measured: Measurements) -> str:
    """By length, which part of the state has the digit; nothing where no network was solved."""
    told, name = KEEPING[material.gated], title(material.gated)
    rows = [
        [
            str(length),
            str(len(some)),
            f"{np.median([one.keeping for one in some]):.0f}",
            f"{100 * cells:.0f} %",
            f"{100 * rest:.0f} %",
            f"{100 * np.median([one.along or 0 for one in some]):.0f} %",
        ]
        for length, (some, cells, rest) in _by_length(measured).items()
    ]
    if not rows:
        return ""
    heading = [
        "T", "networks", "keeping units", f"answer goes with {_theirs(told)}", "with the rest",
        f"gradient in {told.place}",
    ]  # fmt: skip
    caption = (
        f"Which part of the {name}'s state has the digit half-way, medians over the solved runs "
        f"of <<figure_both>> whose networks were kept, at {PROBE_COUNT} palindromes each. Keeping "
        f"units: those whose {told.gate}s have a product above 1/2 over the second half. Last "
        f"column: the gradient that stays in {told.place} over the second half, as a share of all."
    )
    return table(caption, heading, rows)


def _theirs(told: Keeping) -> str:
    """What the keeping units have: "their cells" of an LSTM, "them" of a GRU."""
    return "their cells" if told.kept == "cells" else "them"


def carried(material: Material, measured: Measurements) -> str:
    """Which part of the state has the digit, where, and what that says of the lead."""
    by_length = _by_length(measured)
    name, words = title(material.gated), KEEPING[material.gated]
    if not by_length:
        return f"No {name} was solved, so there is none to ask where it keeps the digit."
    text = (
        f"**Where the digit is kept**, asked of every {name} shown that was solved and whose "
        f"weights the study keeps: half-way through a palindrome a part of its state is replaced "
        f"by that of a palindrome with another first digit. Where the answer becomes that other "
        f"digit, this part has carried it."
    )
    told = {
        "cells": f"with the {words.kept} that the {words.gate}s keep",
        "rest": f"with the rest, {words.rest}",
        "neither": "with neither for more than half of the palindromes",
    }
    places = {part: [n for n, found in by_length.items() if _part(*found[1:]) == part]
              for part in told}  # fmt: skip
    parts = [f"{told[part]} at T = {joined(some)}" for part, some in places.items() if some]
    return (
        f"{text} The answer goes {'; '.join(parts)}. {_lead(material, places)}"
        f"{_enough(material, measured)}"
    )


def _lead(material: Material, places: Mapping[str, Sequence[int]]) -> str:
    """Whether what is kept has the digit where the gated network is solved and the RNN is not.

    Printed as a reason only where they have it at every such length: the cause is there wherever
    the effect is, and taking it away, by the exchange, takes the answer with it.
    """
    reach = max(
        (
            found.length
            for duel in material.duels
            for found in duel.vanilla.lengths
            if found.solved
        ),
        default=0,
    )
    beyond = sorted(n for some in places.values() for n in some if n > reach)
    name, kept = title(material.gated), KEEPING[material.gated].kept
    if not beyond:
        return f"No {name} was solved beyond the RNN's reach, so there is no lead to be explained."
    at = f"T = {joined(beyond)}"
    far = f"beyond T = {reach}, the longest length at which an RNN shown was solved"
    if not reach:
        far = "where no RNN shown was solved"
    if not set(beyond) <= set(places["cells"]):
        return (
            f"But {far}, the kept {kept} do not have the digit alone at all lengths at which the "
            f"{name} was solved, {at}: **they do not explain the difference**."
        )
    within = sorted(n for part in ("rest", "neither") for n in places[part])
    also = f" At T = {joined(within)}, within the RNN's reach, they do not." if within else ""
    return (
        f"So {far}, wherever the {name} was solved, at {at}, it is the kept {kept} that have the "
        f"digit, and pass it on from step to step.{also} The RNN has no such place: its whole "
        f"state goes through $\\mathbf{{W}}_{{hh}}$ and $\\tanh$ in every step. **The kept {kept} "
        f"are what carries the {name} beyond the RNN's reach.**"
    )


def _enough(material: Material, measured: Measurements) -> str:
    """Whether unsolved gated networks have kept something, too."""
    name, kept = title(material.gated), KEEPING[material.gated].kept
    unsolved = [one for one in measured.carried if not one.record.solved]
    having = [one for one in unsolved if one.keeping]
    if not having:
        return f" None of the {len(unsolved)} unsolved {name}s has such {kept}." * bool(unsolved)
    return (
        f" To have such {kept} is not enough: of the {len(unsolved)} unsolved {name}s "
        f"{len(having)} have some, too "
        f"({np.median([one.keeping for one in having]):.0f} in the median)."
    )


def _by_length(measured: Measurements) -> dict[int, tuple[list[Carried], float, float]]:
    """The solved gated networks by length, and the medians of what goes with either part."""
    found: dict[int, list[Carried]] = {}
    for one in measured.carried:
        if one.record.solved:
            found.setdefault(one.record.config.length, []).append(one)
    return {
        length: (
            some,
            float(np.median([one.by_cells or 0 for one in some])),
            float(np.median([one.by_rest or 0 for one in some])),
        )
        for length, some in sorted(found.items())
    }


def _part(cells: float, rest: float) -> str:
    """The part of the state with which more than half of the answers go."""
    if cells > EVEN > rest:
        return "cells"
    return "rest" if rest > EVEN > cells else "neither"


def initialisation(material: Material, measured: Measurements) -> str:
    """Where training starts, and whether the start tells solved runs from unsolved ones."""
    config = material.networks[material.gated].record.config
    told, mean = KEEPING[material.gated], measured.keeps["untrained"]
    kept = measured.path["untrained"].kept
    learned = f" So gates that keep a {told.own} have to be learned." * (kept < EVEN)
    text = (
        f"**Where training starts.** With the initialisation used ({config.initialisation}) the "
        f"mean {told.gate} is {mean:.2f}, and the best of the untrained {title(material.gated)}'s "
        f"units keeps {_factor(kept)} of its {told.own} over {config.length - 2} steps.{learned}"
    )
    if not measured.starts:
        return text
    groups = len(measured.starts)
    across = "one group" if groups == 1 else f"{groups} groups"
    if apart := [contrast for contrast in measured.starts if contrast.differs]:
        sides = {
            "smaller" if one.unsolved_median < one.solved_median else "larger" for one in apart
        }
        found = (
            f"in {len(apart)} of {groups} groups of runs of about the same *T* and rate the "
            f"gradient that reached the first digit before training was "
            f"{' or '.join(sorted(sides))} in the unsolved runs than in the solved ones"
        )
    else:
        least = min(contrast.adjusted_p for contrast in measured.starts)
        found = (
            f"in {across} of runs of about the same *T* and rate, with five or more solved and "
            f"unsolved ones each, the gradient that reached the first digit before training does "
            f"not tell them apart (smallest p = {least:.2g}, Mann-Whitney, after Holm)"
        )
    return f"{text} Whether a run comes to be solved is another matter: {found}."


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
    apart = _rates_apart(tuned.vanilla.span, tuned.gated.span)
    if apart is not None:
        sentences.append(
            "The two intervals do not touch, so no one rate is the best for both."
            if apart
            else "The two intervals overlap, so one rate may be the best for both."
        )
    for fixed in here:
        if not fixed.is_tuned:
            sentences.append(_at_one_rate(fixed, tuned))
            sentences += [
                _brought(material, fixed, tuned, cell) for cell in material.sheet.networks
            ]
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
        f"and {last.learning_rate:g} at T = {last.length}."
    )


def _at_one_rate(fixed: Duel, tuned: Duel) -> str:
    """Whether the order of the two at one rate is that at the best rates."""
    at_fixed, at_best = winner(fixed), winner(tuned)
    decided = {
        side.condition.cell: f"the {title(side.condition.cell)} is ahead" for side in tuned.sides
    }
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
    row, other = tuned.of(cell), fixed.of(cell)
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
