"""The controls and the limits of a study, in sentences."""

from __future__ import annotations

from digitspan.handin.material import Material
from digitspan.handin.optimizer_choice import NAMES
from digitspan.handin.wording import joined
from digitspan.statistics import wilson
from digitspan.study.tables import leaks_text

__all__ = ["controls", "limits"]


def controls(material: Material) -> str:
    """The controls, in sentences; nothing where the study has none."""
    sentences = []
    mask = material.summary.mask
    if mask is not None:
        share = mask.right / mask.tested
        holds = "which is chance, so nothing but the first digit tells the answer"
        if not mask.holds_together:
            holds = "**which is not chance: something besides the first digit tells the answer**"
        elif mask.leaks:
            holds = (
                f"**{leaks_text(mask)}: something besides the first digit tells the answer there**"
            )
        sentences.append(
            f"As a control every trained network was asked again with the first digit replaced. "
            f"Then {100 * share:.2f} % of {mask.tested:,} answers matched the replaced digit "
            f"(99.9 % interval {100 * mask.low:.2f} to {100 * mask.high:.2f}), {holds}."
        )
    names = {
        "read-out": "Networks of which only the read-out was trained",
        "none": "Networks whose weights were guessed at random and never trained",
    }
    parts, solved_any = [], False
    for trained, name in names.items():
        lengths = [
            length
            for control in material.summary.controls
            if control.condition.trained == trained
            for length in control.lengths
        ]
        if lengths:
            solved = sum(length.solved for length in lengths)
            runs = sum(len(length.records) for length in lengths)
            solved_any = solved_any or solved > 0
            parts.append(f"{name} solved {solved} of {runs} runs up to T = {lengths[-1].length}")
    if parts:
        meaning = "training the recurrent weights is what does it"
        if solved_any:
            meaning = "some of this can be had without training the recurrent weights"
        sentences.append(f"{'. '.join(parts)}: {meaning}.")
    return " ".join(sentences)


def limits(material: Material) -> str:
    """What these runs cannot say."""
    config = material.config
    rows = [row for duel in material.duels for row in duel.sides]
    fewest = min(len(found.records) for row in rows for found in row.lengths)
    low = wilson(fewest, fewest).low
    spans = sorted(row.span.runs for row in rows)
    sentences = [
        f"The smallest number of runs shown at a length is {fewest}: even where all of them are "
        f"solved, the 95 % interval of the solved share begins at {100 * low:.0f} %. Each S50 "
        f"rests on {spans[0]} runs"
        + (f" or more, up to {spans[-1]}" * (spans[0] < spans[-1]))
        + "."
    ]
    sentences.append(
        f"Everything holds for n = {config.hidden_size} units, {NAMES[config.optimizer]} and the "
        f"initialisation {joined(config.initialisation, 'or')}; it is known to matter "
        f"much (Le, Jaitly and Hinton 2015; Jozefowicz, Zaremba and Sutskever 2015)."
    )
    if config.note:
        sentences.append(f"The study says of itself: {config.note}.")
    return " ".join(sentences)
