"""Where a gated network holds the digit, in sentences: what gates do, and what hangs on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from digitspan.cells import title
from digitspan.handin.kept_cells import COUNTED, KEPT, RELEASED, KeptCells
from digitspan.handin.material import Material
from digitspan.handin.measurements import PROBE_COUNT, Measurements
from digitspan.handin.reasons import KEEPING, kept_at
from digitspan.handin.wording import among, joined, span_of, table

__all__ = ["carried", "carried_table", "gates"]

EVEN, MUCH = 0.5, 0.9
"""Half of the answers, and nearly all."""

NEARLY_EQUAL = 0.02
"""Means of gates that differ by less are called about equal."""

NEARLY_SHUT = 0.3
"""An input gate that falls below this is called nearly shut."""

SATURATED = 0.1
"""A tanh(c) whose standard deviation over the palindromes is below this tells little of them."""


def gates(measured: Measurements) -> str:
    """What the gates do in the trained LSTM, measured, and whether it is what the list says.

    Nothing of another gated network.
    """
    held = measured.held
    if held.record.config.cell != "lstm":
        return ""
    text = (
        f"**What a trained LSTM does with them.** <<figure_gates>> shows the gates over one "
        f"palindrome; the numbers are means over {PROBE_COUNT} of that length. {_groups(held)}"
    )
    if not held.holding:
        return text
    told = [_input_gate(held), _output_gate(held)]
    return " ".join([text, *told, _elsewhere(measured)]).strip()


def _groups(held: KeptCells) -> str:
    """How many units keep their cell, and how many of these count or hold."""
    units = len(held.group)
    if not held.keeping:
        return (
            f"None of the {units} units keeps its cell over the second half (forget gates with a "
            f"product above {KEPT:g})."
        )
    text = (
        f"{held.keeping} of the {units} units keep their cell over the second half (forget gates "
        f"with a product above {KEPT:g})."
    )
    if held.counting:
        late = held.counting_inputs[len(held.counting_inputs) // 2 :].mean()
        apart = f"varies between palindromes by {held.counting_spread:.3f} (standard deviation)"
        if held.counting_spread < SATURATED:
            apart += ": saturated, it tells nearly nothing of the digits"
        text += (
            f" {held.counting} of them *count*: whatever the digits are, something of one sign is "
            f"written in every step (a mean of $\\mathbf{{g}} \\odot \\mathbf{{i}}$ above "
            f"{COUNTED:g} "
            f"in size). Their input gate is {held.counting_inputs[0]:.2f} at the first "
            f"digit and {late:.2f} in the second half, their cell ends at a size of "
            f"{held.counting_size:.1f}, and half-way $\\tanh(\\mathbf{{c}})$ {apart}."
        )
    if not held.holding:
        return f"{text} None of the others is left to hold anything."
    text += f" The other {held.holding} *hold*" if held.counting else " They *hold*"
    text += f": there it varies by {held.spread:.2f}." if held.counting else "."
    return (
        f"{text} If half-way a palindrome gets the cells of one with another first digit, the "
        f"answer goes with them in {100 * held.by_holding:.0f} % of the cases for the holding "
        f"units" + (f", in {100 * held.by_counting:.0f} % for the counting ones." if held.counting
        else ".")
    )  # fmt: skip


def _input_gate(held: KeptCells) -> str:
    """Whether the input gates of the holding units shut out what comes after the first digit."""
    steps = joined([f"{value:.2f}" for value in held.inputs[:3]])
    if held.input_late < held.inputs[0] - NEARLY_EQUAL:
        way = "shut further" if held.input_late >= NEARLY_SHUT else "nearly shut"
        way = f"{way} after the first steps, as the list has it"
    else:
        way = "**not** shut, unlike what the list has"
    text = (
        f"The input gate of the holding units is {steps} at the first three digits and "
        f"{held.input_late:.2f} in the second half: {way}."
    )
    forced = (
        f"left as open in the second half as at the first digit, "
        f"{100 * held.opened:.0f} % of the answers are right instead of {100 * held.right:.0f} % "
        f"({100 * held.opened_others:.0f} % with the input gates of as many other units)"
    )
    if held.opened < EVEN < MUCH < min(held.right, held.opened_others):
        return f"{text} It is what shuts out the later digits: {forced}."
    return f"{text} That it is what shuts out the later digits is **not shown**: {forced}."


def _output_gate(held: KeptCells) -> str:
    """Whether the holding units hide their cell until the end."""
    last, before = held.outputs[-1], held.outputs[:-1].mean()
    if abs(last - before) < NEARLY_EQUAL:
        way = "they do not hide what they hold until it is asked for"
    elif last > before:
        way = "more open at the end, as the list has it"
    else:
        way = "less open at the end, unlike what the list has"
    return f"Their output gate is {last:.2f} at the last step and {before:.2f} before: {way}."


def _elsewhere(measured: Measurements) -> str:
    """The same input gates in the other solved networks of at least this length."""
    length = measured.held.record.config.length
    others = [
        one
        for one in measured.carried
        if one.record.solved
        and one.record.config.length >= length
        and one.record.config.key != measured.held.record.config.key
        and one.holding
    ]
    if not others:
        return ""
    falls = [one for one in others if one.input_late < one.inputs[0] - NEARLY_EQUAL]
    return (
        f"In the {len(others)} other solved LSTMs kept at T = {length} or longer the holding "
        f"units' input gate is {span_of([one.inputs[0] for one in others])} at the first digit "
        f"and {span_of([one.input_late for one in others])} in the second half; it falls in "
        f"{'all' if len(falls) == len(others) else len(falls)} of them."
    )


def carried_table(material: Material, measured: Measurements) -> str:
    """By length, which units of the gated network have the digit; nothing where none is solved."""
    rows = [
        [
            str(length),
            str(len(some)),
            f"{_median(one.holding for one in some)}, {_median(one.counting for one in some)}",
            *(str(len(_going(some, part))) for part in ("cells", "rest", "neither")),
            span_of([one.released for one in some], percent=True),
            span_of([one.released_others for one in some], percent=True),
            span_of([one.along for one in some], percent=True),
        ]
        for length, some in _by_length(measured).items()
    ]
    if not rows:
        return ""
    told, name = KEEPING[material.gated], title(material.gated)
    heading = [
        "T", "runs", "holding, counting", f"with kept {told.kept}", "with the rest",
        "with neither", "right, let go", "others let go", f"gradient in {told.place}",
    ]  # fmt: skip
    caption = (
        f"Where the solved {name}s of <<figure_both>> whose networks were kept have the digit "
        f"half-way ({PROBE_COUNT} palindromes each). Holding and counting units: medians. Next "
        f"three columns: runs in which more than half of the answers go with the kept "
        f"{told.kept}, with the rest, or with neither. Then ranges over the runs: right answers "
        f"where the {told.gate}s of the holding units are {RELEASED:g} from half-way on, and "
        f"where those of as many others are; the gradient that never leaves {told.place} over the "
        f"second half, as a share of all."
    )
    return table(caption, heading, rows)


def _median(values: object) -> str:
    """The median of some numbers of units."""
    return f"{np.median(list(values)):.0f}"  # type: ignore[call-overload]


def carried(material: Material, measured: Measurements) -> str:
    """Which units have the digit, at which lengths, and whether the answer hangs on them."""
    by_length = _by_length(measured)
    name = title(material.gated)
    if not by_length:
        return f"No {name} was solved, so there is none to ask where it keeps the digit."
    count = sum(len(some) for some in by_length.values())
    text = (
        f"**Where the digit is kept**, asked of the {count} solved {name}s whose weights were kept"
        f"{kept_at(material)}: half-way through a palindrome a part of the state is replaced by "
        f"that of a palindrome with another first digit. Where the answer becomes that other "
        f"digit, this part has carried it; the table below counts the runs."
    )
    return f"{text} {_lead(material, by_length)}{_enough(material, measured)}"


def _lead(material: Material, by_length: Mapping[int, Sequence[KeptCells]]) -> str:
    """Whether the answer hangs on the holding units where the RNN is not solved.

    Said only where both hold in most of the runs: the answer goes with their cells, and is lost
    where they let go, but not where as many others do.
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
    beyond = [one for length, some in by_length.items() if length > reach for one in some]
    within = [one for length, some in by_length.items() if length <= reach for one in some]
    name, told = title(material.gated), KEEPING[material.gated]
    if not beyond:
        return f"No {name} was solved beyond the RNN's reach, so there is no lead to be explained."
    far = f"beyond T = {reach}, the longest length at which an RNN shown was solved"
    if not reach:
        far = "where no RNN shown was solved"
    asking = material.sheet.number_of("gates") if material.gated == "lstm" else None
    defined = f"Question {asking}"
    if not asking:
        defined = (
            f"those that keep their {told.own}, with {told.gate}s whose product over the second "
            f"half is above {KEPT:g}, without being written in one direction in every step"
        )
    going = [one for one in beyond if one.by_holding > EVEN > max(one.by_counting, one.by_rest)]
    hanging = [one for one in beyond if one.released < EVEN < one.released_others]
    text = (
        f"**{far[0].upper()}{far[1:]}**, the holding units ({defined}) alone take more than "
        f"half of the answers with them in {len(going)} of {len(beyond)} runs "
        f"({span_of([one.by_holding for one in beyond], percent=True)}; the counting ones "
        f"{span_of([one.by_counting for one in beyond], percent=True)}, the rest "
        f"{span_of([one.by_rest for one in beyond], percent=True)}). Where their {told.gate}s are "
        f"{RELEASED:g} from half-way on, fewer than half of the answers stay right in "
        f"{len([one for one in beyond if one.released < EVEN])} of {len(beyond)} "
        f"({span_of([one.released for one in beyond], percent=True)}), with those of as many "
        f"others in {len([one for one in beyond if one.released_others < EVEN])} "
        f"({span_of([one.released_others for one in beyond], percent=True)})."
    )
    if 2 * min(len(going), len(hanging)) <= len(beyond):
        return f"{text} So these networks do **not** rest on kept {told.kept} there."
    text += (
        f" So there the digit is held in a few {told.kept} that the {told.gate}s keep, and **the "
        f"answer hangs on their being kept**."
    )
    if within:
        lost = [one for one in within if one.released < EVEN]
        text += (
            f" Up to T = {reach} letting go costs more than half of the answers in {len(lost)} of "
            f"{len(within)}."
        )
    return (
        f"{text} The RNN has no such place: its whole state goes through $\\mathbf{{W}}_{{hh}}$ "
        f"and $\\tanh$ in every step. This shows what the trained {name} uses. That the {name} "
        f"gets further than the RNN *because* it has it was not tested: no {name} was trained "
        f"without, and with the length the learning rate changes, too."
    )


def _enough(material: Material, measured: Measurements) -> str:
    """Whether unsolved gated networks have kept something, too."""
    name, kept = title(material.gated), KEEPING[material.gated].kept
    unsolved = [one for one in measured.carried if not one.record.solved]
    having = [one for one in unsolved if one.keeping]
    if not unsolved:
        return ""
    if not having:
        return f" None of the {len(unsolved)} unsolved {name}s asked as well has such {kept}."
    holding = sum(1 for one in unsolved if one.holding)
    return (
        f" Kept {kept} alone are not enough: of the {len(unsolved)} unsolved {name}s asked as "
        f"well {len(having)} have some, too ({among([one.keeping for one in having])}), and "
        f"{holding} have holding ones."
    )


def _by_length(measured: Measurements) -> dict[int, list[KeptCells]]:
    """The solved gated networks by length."""
    found: dict[int, list[KeptCells]] = {}
    for one in measured.carried:
        if one.record.solved:
            found.setdefault(one.record.config.length, []).append(one)
    return dict(sorted(found.items()))


def _going(some: Sequence[KeptCells], part: str) -> list[KeptCells]:
    """The runs in which more than half of the answers go with a part of the state."""
    return [one for one in some if _part(one) == part]


def _part(one: KeptCells) -> str:
    """The part of the state with which more than half of the answers go."""
    if one.by_kept > EVEN > one.by_rest:
        return "cells"
    return "rest" if one.by_rest > EVEN > one.by_kept else "neither"
