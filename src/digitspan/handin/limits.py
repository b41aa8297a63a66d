"""The controls and the limits of a study, in sentences."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence

from digitspan.cells import title
from digitspan.handin.material import Material
from digitspan.handin.optimizer_choice import NAMES
from digitspan.handin.reasons import KEEPING
from digitspan.handin.wording import joined
from digitspan.runs.config import RunConfig
from digitspan.runs.outcome import EVALUATE_EVERY
from digitspan.runs.record import RunRecord
from digitspan.statistics import wilson
from digitspan.study.summary import LengthSummary, mask_control
from digitspan.study.tables import leaks_text

__all__ = ["controls", "limits"]


def controls(material: Material) -> str:
    """The controls, in sentences; nothing where the study has none."""
    sentences = []
    mask = mask_control(record for record in material.records if record.solved)
    if mask is not None:
        share = mask.right / mask.tested
        holds = "which is chance: nothing but the first digit tells them the answer"
        if not mask.holds_together:
            holds = "**which is not chance: something besides the first digit tells the answer**"
        elif mask.leaks:
            holds = (
                f"**{leaks_text(mask)}: something besides the first digit tells the answer there**"
            )
        solved = [record for record in material.records if record.solved]
        asked = sum(bool(record.masked_tested) for record in solved)
        whole = "all" if asked == len(solved) else f"{asked} of the"
        sentences.append(
            f"As a control {whole} {len(solved)} solved networks were asked again with the first "
            f"digit replaced. "
            f"Then {100 * share:.2f} % of {mask.tested:,} answers were still the digit that had "
            f"stood there (99.9 % interval {100 * mask.low:.2f} to {100 * mask.high:.2f}), "
            f"{holds}."
        )
    guesses = material.config.budget // EVALUATE_EVERY
    names = {
        "read-out": "Networks of which only the read-out was trained",
        "none": f"Networks whose weights were never trained but guessed {guesses} times, the best "
        f"guess kept,",
    }
    for trained, name in names.items():
        found = [
            length
            for control in material.summary.controls
            if control.condition.trained == trained
            for length in control.lengths
        ]
        if found:
            sentences.append(_without_training(material, name, found))
    return " ".join(sentences)


def _without_training(material: Material, name: str, found: Sequence[LengthSummary]) -> str:
    """A control against the runs like it, but for what is trained, at the lengths of both."""
    without = [record for length in found for record in length.records]
    settings = {_but_for_training(record.config) for record in without}
    trained = [
        record
        for record in material.records
        if record.config.trained == "all" and _but_for_training(record.config) in settings
    ]
    there = {record.config.length for record in trained}
    alone = [record for record in without if record.config.length not in there]
    without = [record for record in without if record.config.length in there] or without
    solved = sum(record.solved for record in without)
    at = _where(without, material.sheet.networks)
    told = f"{name} solved {solved} of {len(without)} runs, {at}"
    if not trained:
        return f"{told}."
    if alone:
        told += (
            f" (and {sum(record.solved for record in alone)} of {len(alone)} at "
            f"{_lengths(alone)}, where there is nothing to compare)"
        )
    as_many = sum(record.solved for record in trained)
    all_trained = f"networks trained as a whole, at the same rate, {as_many} of {len(trained)}"
    cause = "training more than the read-out" if "read-out" in name else "training, not luck,"
    if wilson(as_many, len(trained)).low > wilson(solved, len(without)).high:
        meaning = f"{cause} is what does it"
    else:
        meaning = f"that {cause} does it is **not shown** (the 95 % intervals overlap)"
    return f"{told}, {all_trained}: {meaning}."


def _where(records: Sequence[RunRecord], cells: Sequence[str]) -> str:
    """Of which networks, and at which lengths: "RNN and LSTM together, at T = 5 and 10"."""
    found = sorted({record.config.cell for record in records}, key=cells.index)
    together = " together" * (len(found) > 1)
    return f"{joined([title(cell) for cell in found])}{together}, at {_lengths(records)}"


def _lengths(records: Sequence[RunRecord]) -> str:
    return f"T = {joined(sorted({record.config.length for record in records}))}"


def _but_for_training(config: RunConfig) -> RunConfig:
    """A configuration without what is trained, and for how long, and without its seed."""
    return dataclasses.replace(config, trained="all", seed=0, train_steps=1)


def limits(material: Material) -> str:
    """What these runs cannot say."""
    config = material.config
    rows = [row for duel in material.duels for row in duel.sides]
    fewest = min(len(found.records) for row in rows for found in row.lengths)
    spans = sorted(row.span.runs for row in rows)
    runs = "one run is" if fewest == 1 else f"{fewest} runs are"
    sentences = [
        f"At some lengths only {runs} shown: even where all of them are solved, the 95 % interval "
        f"of the solved share begins at {100 * wilson(fewest, fewest).low:.0f} %. Each S50 rests "
        f"on {spans[0]} runs" + (f" or more, up to {spans[-1]}" * (spans[0] < spans[-1])) + "."
    ]
    sizes = {
        row.condition.cell: material.comparison.conditions[row.condition].parameters
        for row in material.duels[0].sides
    }
    few, many = (sizes[cell] for cell in material.sheet.networks)
    if few and many and many > few:
        sentences.append(
            f"With as many units the {title(material.gated)} has {many / few:.1f} times the "
            f"parameters of the RNN ({many:,} and {few:,}); an RNN of that size was not run."
        )
    sentences.append(
        f"Everything holds for n = {config.hidden_size} units, {NAMES[config.optimizer]} and the "
        f"initialisation {joined(config.initialisation, 'or')}; it is known to matter "
        f"much (Le, Jaitly and Hinton 2015; Jozefowicz, Zaremba and Sutskever 2015)."
    )
    sentences += _networks_behind(material)
    if config.note:
        sentences.append(f"The study says of itself: {config.note}.")
    return " ".join(sentences)


def _networks_behind(material: Material) -> list[str]:
    """On how few networks rests what is said of their insides."""
    parts = []
    if "gradients" in material.sheet.figures:
        looked = [len(material.alike(cell)) for cell in material.sheet.networks]
        parts.append(f"<<figure_gradients>> rests on {joined(looked)}")
    if "gates" in material.sheet.figures:
        parts.append("<<figure_gates>> on one")
    kept = Counter(
        one.config.length for one in material.kept.get(material.gated, ()) if one.record.solved
    )
    if kept:
        low, high = min(kept.values()), max(kept.values())
        few = f"{low}" if low == high else f"{low} to {high}"
        told = KEEPING[material.gated].kept
        parts.append(f"what is said of kept {told} on {few} solved networks per length")
    return [f"Few networks were looked into: {joined(parts)}."] if parts else []
