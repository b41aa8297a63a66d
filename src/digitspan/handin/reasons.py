"""Why the networks differ, in sentences: out of what was seen in them, and of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from digitspan.cells import title
from digitspan.handin import measurements
from digitspan.handin.claims import ahead, where, winner
from digitspan.handin.material import Duel, Material
from digitspan.handin.measurements import (
    PROBE_COUNT,
    GradientPath,
    Measurements,
)
from digitspan.handin.wording import joined, percent, power, rate_words, ratio_words, span_of
from digitspan.look.contrasts import Contrast, Group
from digitspan.runs.record import RunRecord
from digitspan.study.retention import Span
from digitspan.study.summary import ConditionSummary

__all__ = [
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

APART = 3
"""Best rates that differ by more than this factor are spoken of."""

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
        nearest = (
            f", of the solved ones whose weights were kept{kept_at(material)} those whose *T* "
            f"is nearest to {material.sheet.lengths.looked_into}"
        )
    trained = [material.sheet.number_of(kind) for kind in ("memory", "comparison")]
    asked = f" trained for Questions {joined(trained)}" if all(trained) else " of the study"
    return (
        f"Two of the networks{asked} are looked into{nearest}: "
        f"{joined(parts)}. The untrained ones are the same before their first step."
    )


def _a(name: str) -> str:
    """An abbreviation with its article, as it is spelt: "an LSTM", "a GRU"."""
    return f"{'an' if name[0] in 'AEFHILMNORSX' else 'a'} {name}"


def kept_at(material: Material) -> str:
    """Of which runs weights were kept, in brackets: those shown at certain rates."""
    keys = {kept.config.key for some in material.kept.values() for kept in some}
    at = [
        where(duel, material)
        for duel in material.duels
        if any(r.config.key in keys for row in duel.sides for n in row.lengths for r in n.records)
    ]
    return f" (those shown at {joined(at)})" if at else ""


def names(material: Material) -> str:
    """The names of their runs, in a sentence."""
    runs = joined([f"`{kept.config.run_id}`" for kept in material.networks.values()])
    return f"The networks looked into are {runs}."


def gradients(material: Material, measured: Measurements) -> str:
    """How the gradient falls, measured: before training and after, solved and unsolved."""
    fall, drop = measured.fall, measured.drop
    vanilla, gated = material.sheet.networks
    rnn, other = (_networks_shown(material, cell) for cell in material.sheet.networks)
    part = measurements.KEEPING[gated][0]
    in_cell = "the cell of " * (part == "cell")
    of_gated = f"{title(gated)}s{chr(39) + ' cell' if part == 'cell' else ''}"
    before = (
        f"**Before training**, the gradient that reaches the first digit is "
        f"{power(drop[vanilla, 'untrained', 'hidden'])} of the one at the last step in {rnn} "
        f"(medians), a factor of {fall[vanilla, 'untrained', 'hidden']:.2f} per step on average, "
        f"and {power(drop[gated, 'untrained', part])} of it in {in_cell}{other} "
        f"({fall[gated, 'untrained', part]:.2f} per step)."
    )
    after = (
        f"**After training** it is {power(drop[vanilla, 'trained', 'hidden'])} times the one at "
        f"the last step in the RNNs ({fall[vanilla, 'trained', 'hidden']:.2f} per step) and "
        f"{power(drop[gated, 'trained', part])} times in the {of_gated} "
        f"({fall[gated, 'trained', part]:.2f} per step)."
    )
    changes = f"{_changes(material, measured)}{_dips(material, measured)}"
    return f"{before} {after} {changes} {_arrivals(measured)}".strip()


def _networks_shown(material: Material, cell: str) -> str:
    """The networks of a cell whose gradients are drawn, in words."""
    alike = material.alike(cell)
    length = alike[0].config.length
    if len(alike) == 1:
        return f"the {title(cell)} (T = {length})"
    return f"the {len(alike)} {title(cell)}s solved at T = {length}"


def _arrivals(measured: Measurements) -> str:
    """Whether the gradient that arrives in trained networks tells solved runs from unsolved ones.

    It is no reason: a network that does not use the first digit has no gradient to it.
    """
    parts = []
    for cell, found in measured.arrivals.items():
        solved, unsolved = found.get(True, ()), found.get(False, ())
        if solved and unsolved:
            below = sum(one < min(solved) for one in unsolved)
            parts.append(
                f"in the {title(cell)} it is {power(float(np.median(solved)))} in the median of "
                f"the {len(solved)} solved runs ({power(min(solved))} to {power(max(solved))}) "
                f"and "
                f"{power(float(np.median(unsolved)))} in that of the {len(unsolved)} unsolved "
                f"ones "
                f"({below} of them below every solved one)"
            )
    if not parts:
        return ""
    return (
        f"Over all trained networks that were kept, each at its own *T*, {'; '.join(parts)}. "
        f"Which comes first this does not say: a network that does not use the first digit has "
        f"no gradient to it either."
    )


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


def _dips(material: Material, measured: Measurements) -> str:
    """Where a trained network's gradient lies below both of its ends in between."""
    parts = []
    for cell in material.sheet.networks:
        place = (cell, "trained", "hidden")
        lowest = measured.lowest[place]
        if lowest <= DEEP * min(measured.drop[place], 1):
            parts.append(f"{power(lowest)} in the {title(cell)}'s $\\mathbf{{h}}^{{(t)}}$")
    if not parts:
        return ""
    text = f" In between it goes down, to {joined(parts)}."
    if material.gated != "lstm" or "LSTM" not in parts[-1]:
        return text
    return (
        f"{text} In the LSTM $\\partial \\mathcal{{L}} / \\partial \\mathbf{{h}}^{{(t)}}$ counts "
        f"only "
        f"what passes through the gates of step $t + 1$; what stays in the cell is counted in "
        f"$\\partial \\mathcal{{L}} / \\partial \\mathbf{{c}}^{{(t)}}$, which nowhere falls below "
        f"{power(measured.lowest['lstm', 'trained', 'cell'])}."
    )


def singular_values(material: Material, measured: Measurements) -> str:
    """What the bound (E) says of the RNN's own matrix."""
    bounds, falls = [], {}
    for state, when in (("untrained", "before training"), ("trained", "after")):
        bound, fall = measured.bound[state], measured.fall[material.vanilla, state, "hidden"]
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
        way = ways.pop() if len(ways) == 1 else "falls before training alone"
        if len(falls) == len(above) and falls["after"][1] < 1 <= falls["before training"][1]:
            way = "falls after training alone"
        text += (
            f" Not below 1, {joined(list(above))}, (E) allows an explosion: that the gradient "
            f"{way} is measured, not implied. (E) takes the worst direction in every step."
        )
    return text


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
        f"the first, ${g}^{{(2)}} \\odot \\cdots \\odot {g}^{{(S)}} \\odot "
        f"\\partial \\mathcal{{L}} / \\partial {s}^{{(S)}}$, makes "
        f"{percent(before.share)} of the whole before training and {percent(after.share)} after "
        f"(projected on it; medians over {PROBE_COUNT} palindromes of length {length}; for 80 % "
        f"of these {span_of([after.low, after.high], percent=True)}). So in the trained "
        f"network{unsolved} {_way(after, record.config.cell)}{_alike(measured, record)}. The unit "
        f"that keeps most multiplies its {told.own} by {_factor(before.kept)} over these "
        f"{length - 2} steps before training and by {_factor(after.kept)} after{_fits(after)}."
    )


def _alike(measured: Measurements, record: RunRecord) -> str:
    """The share from half-way on, in the solved networks of the same length; as an aside."""
    alike = [
        one.along
        for one in measured.carried
        if one.record.solved and one.record.config.length == record.config.length
    ]
    if len(alike) < 2:
        return ""
    return (
        f" (over the second half alone {percent(measured.held.along)}; in the {len(alike)} solved "
        f"networks of this length {span_of(alike, percent=True)})"
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
    apart = [_start(*one) for one in measured.starts if one[2].differs]
    if apart:
        found = f"the gradient that reached the first digit before training was {joined(apart)}"
    else:
        names = "; ".join(_group(cell, group) for cell, group, _ in measured.starts)
        lowest = min(contrast.p for _, _, contrast in measured.starts)
        found = (
            f"in the gradient that reached the first digit before training no difference was "
            f"found between the two, with few runs ({names}; Mann-Whitney, the smallest p is "
            f"{lowest:.2f} before and "
            f"{min(c.adjusted_p for _, _, c in measured.starts):.2f} after Holm for all "
            f"{measured.tests} tests of the study)"
        )
    return (
        f"{text} Whether a run comes to be solved was compared only where five or more runs of "
        f"about the same *T* and rate were solved, and as many not: {found}."
    )


def _start(cell: str, group: Group, contrast: Contrast) -> str:
    """In which group the start differs, and how."""
    way = "smaller" if contrast.unsolved_median < contrast.solved_median else "larger"
    p = "p < 0.001" if contrast.adjusted_p < 0.001 else f"p = {contrast.adjusted_p:.3f}"
    return (
        f"{way} in the unsolved than in the solved runs of {_group(cell, group)} ({p} after Holm)"
    )


def _group(cell: str, group: Group) -> str:
    """A group of runs like each other: "RNN at T = 15, 12 solved and 6 not"."""
    low, high = group.lengths
    at = f"T = {low}" if low == high else f"T = {low} to {high}"
    return f"{title(cell)} at {at}, {group.solved} solved and {group.unsolved} not"


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
    sentences.append(_larger_rate(tuned, [duel for duel in here if not duel.is_tuned]))
    told = " ".join(filter(None, sentences))
    return f"**What the learning rate has to do with it.** {told}"


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
    return ""


def _larger_rate(tuned: Duel, fixed: Sequence[Duel]) -> str:
    """How far the two best rates are apart, and that the reason is not known."""
    one, other = tuned.vanilla.span.rate, tuned.gated.span.rate
    if one is None or other is None:
        return ""
    apart = max(one, other) / min(one, other)
    if apart < APART:
        return ""
    smaller, larger = (title(side.condition.cell) for side in tuned.sides)
    if one > other:
        smaller, larger = larger, smaller
    seen = ""
    if fixed:
        seen = f" what was seen at {joined([each.rule for each in fixed])} stands above,"
    return (
        f"Why the {larger}'s is {apart:.0f} times as large as the {smaller}'s was not measured"
        f"{seen and ':' + seen.rstrip(',')}."
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
