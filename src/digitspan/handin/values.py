"""The values that stand in the answers where they say `<<name>>`: name -> text."""

from __future__ import annotations

import re

import numpy as np

from digitspan.cells import title
from digitspan.figures.info import tested_words
from digitspan.handin import claims, limits, optimizer_choice, reasons
from digitspan.handin.author import Author
from digitspan.handin.material import CELLS_ASKED, Duel, Material
from digitspan.handin.measurements import CHECKED_LENGTH, PROBE_COUNT, PROBE_LENGTH, Measurements
from digitspan.handin.optimizer_choice import NAMES
from digitspan.handin.wording import digits_of, joined, percent, solved_words, steps_words, table
from digitspan.study.plan import TUNED
from digitspan.study.summary import LengthSummary
from digitspan.tasks import NUM_CLASSES

__all__ = ["values_of"]

FIGURES = ("gradients", "rnn", "optimizers", "gates", "both")
"""The notebook's figures in their order."""


def values_of(material: Material, measured: Measurements, author: Author) -> dict[str, str]:
    """Everything that the answers and the notebook may ask for, by name."""
    values = (
        _about(material, author)
        | _networks(material)
        | _tables(material)
        | _sentences(material, measured)
        | {f"figure_{name}": f"Figure {n}" for n, name in enumerate(FIGURES, start=1)}
    )
    return {name: _held_together(text) for name, text in values.items()}


def _held_together(text: str) -> str:
    """Text whose "T = 20" and "95 %" are not broken between lines."""
    text = re.sub(r"\bT = (?=\d)", "T\u00a0=\u00a0", text)
    return re.sub(r"(?<=\d) %", "\u00a0%", text)


def _about(material: Material, author: Author) -> dict[str, str]:
    """Whose report it is, and of which study."""
    config = material.config
    note = (
        f"Measured with digitspan: {material.summary.runs:,} training runs, "
        f"{_seeds(material)} a length, at most {config.train_steps:,} steps each."
    )
    if config.note:
        note = f"**{config.note[0].upper()}{config.note[1:]}.** {note}"
    return {
        "author": escaped(author.surname),
        "matriculation": author.matriculation,
        "study_note": note,
        "how_measured": _how_measured(material),
        "how_short": _how_short(material),
        "tested": tested_words(material.summary),
    }


def escaped(name: str) -> str:
    """A name in Markdown as it is written."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]()#+-.!~^$&'@" else c for c in name)


def _networks(material: Material) -> dict[str, str]:
    """Sizes, lengths and numbers of parameters."""
    config = material.networks["lstm"].record.config
    d, n, K = config.input_size, config.hidden_size, NUM_CLASSES
    compared = material.summary.optimizers
    rates = sorted({float(condition.rate) for condition, _ in compared})
    return {
        "check_length": str(CHECKED_LENGTH),
        "probe_length": str(PROBE_LENGTH),
        "probe_count": str(PROBE_COUNT),
        "input_size": str(d),
        "hidden_size": str(n),
        "rnn_trained_length": str(material.networks["rnn"].record.config.length),
        "lstm_trained_length": str(config.length),
        "lstm_cell_parameters": f"{4 * n * (d + n + 1):,}",
        "lstm_parameters": f"{4 * n * (d + n + 1) + K * (n + 1):,}",
        "rnn_parameters": f"{n * (d + n + 1) + K * (n + 1):,}",
        "optimizers_length": str(compared[0][1].length),
        "optimizers_rates": joined([f"{rate:g}" for rate in rates]),
        "optimizers_seeds": str(max(len(found.records) for _, found in compared)),
    }


def _tables(material: Material) -> dict[str, str]:
    return {
        "rnn_table": _rnn_table(material),
        "both_table": _both_table(material),
        "optimizers_table": optimizer_choice.optimizers_table(material),
    }


def _sentences(material: Material, measured: Measurements) -> dict[str, str]:
    digits = "".join(map(str, measured.arrays["gates/digits"]))
    return {
        "networks_looked_into": reasons.looked_into(material),
        "gradients_measured": reasons.gradients(measured),
        "singular_values": reasons.singular_values(measured),
        "gates_measured": reasons.gates(measured),
        "gates_palindrome": digits,
        "rnn_sanity": claims.sanity(material, "rnn"),
        "lstm_sanity": claims.sanity(material, "lstm"),
        "rnn_by_rule": claims.by_rule(material, "rnn"),
        "rnn_against_sheet": claims.rnn_against_sheet(material),
        "controls": limits.controls(material),
        "optimizers_how": optimizer_choice.how(material),
        "optimizers_verdict": optimizer_choice.verdict(material),
        "verdict": claims.verdict(material),
        "comparison_by_rule": claims.comparison(material),
        "reasons": reasons.mechanism(material, measured),
        "reasons_start": reasons.initialisation(material, measured),
        "reasons_rate": reasons.rates(material),
        "limits": limits.limits(material),
    }


def _rnn_table(material: Material) -> str:
    """Question 1.3: the RNN by length and rule."""
    rows = [
        [
            _rule(duel, material),
            str(found.length),
            f"{found.learning_rate:g}",
            solved_words(found),
            f"{100 * found.solved_interval.low:.0f} to {100 * found.solved_interval.high:.0f} %",
            _accuracies(found),
            steps_words(found),
        ]
        for duel in material.duels
        for found in duel.rnn.lengths
    ]
    heading = ["rule", "T", "rate", "solved", "95 % interval", "median accuracy (range)", "steps"]
    caption = (
        "The vanilla RNN by length. Solved: share of the runs, with its 95 % Wilson interval. "
        "Steps: median training steps of the solved runs."
    )
    return table(caption, heading, rows)


def _both_table(material: Material) -> str:
    """Question 1.6: both networks by length and rule."""
    rows = []
    for duel in material.duels:
        theirs = {found.length: found for found in duel.lstm.lengths}
        for rnn in duel.rnn.lengths:
            lstm = theirs.get(rnn.length)
            if lstm is not None:
                rows.append(
                    [_rule(duel, material), str(rnn.length)]
                    + [
                        text
                        for found in (rnn, lstm)
                        for text in (
                            f"{found.learning_rate:g}",
                            solved_words(found),
                            _accuracies(found, with_range=False),
                            steps_words(found),
                        )
                    ]
                )
    heading = ["rule", "T"] + [
        f"{title(cell)} {word}"
        for cell in CELLS_ASKED
        for word in ("rate", "solved", "accuracy", "steps")
    ]
    caption = "Both networks by length: learning rate, runs solved, median accuracy, median steps."
    return table(caption, heading, rows)


def _rule(duel: Duel, material: Material) -> str:
    """The learning-rate rule of a table's row; the rates themselves have a column."""
    rule = duel.rule if duel.rule == TUNED else "fixed"
    several = len({other.setting for other in material.duels}) > 1
    return f"{rule}, {', '.join(duel.setting)}" if several else rule


def _accuracies(found: LengthSummary, *, with_range: bool = True) -> str:
    """The median accuracy, with the smallest and the largest one."""
    values = found.accuracies
    if not len(values):
        return "-"
    median = percent(float(np.median(values)))
    low, high = 100 * values.min(), 100 * values.max()
    return f"{median} ({low:.1f} to {high:.1f})" if with_range else median


def _how_measured(material: Material) -> str:
    """The protocol in a few sentences."""
    config = material.config
    encodings = joined([digits_of(encoding) for encoding in config.encoding])
    return (
        f"Every run trains a network with n = {config.hidden_size} units on batches of "
        f"{config.batch_size} palindromes ({encodings}) with {NAMES[config.optimizer]}, gradients "
        f"clipped to the norm {config.max_grad_norm:g}, for at most {config.train_steps:,} steps. "
        f"It is *solved*, and stops, when two evaluations in a row, 50 steps apart, reach 99 % on "
        f"up to 500 validation palindromes; no other run is stopped before its budget is spent, "
        f"but for one that diverges. "
        f"Its accuracy is then measured once, on {tested_words(material.summary)} palindromes. "
        f"There are {_seeds(material)} a length, and every one is a dot in <<figure_rnn>>."
    )


def _how_short(material: Material) -> str:
    config = material.config
    return (
        f"{_seeds(material)} a length, n = {config.hidden_size}, batch {config.batch_size}, "
        f"{NAMES[config.optimizer]}, at most {config.train_steps:,} steps."
    )


def _seeds(material: Material) -> str:
    """How many runs there are at a length: "10 runs", "8 to 16 runs"."""
    rows = [row for duel in material.duels for row in duel.sides]
    numbers = [len(found.records) for row in rows for found in row.lengths]
    low, high = min(numbers), max(numbers)
    return f"{low} runs" if low == high else f"{low} to {high} runs"
