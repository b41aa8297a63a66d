"""The values that stand in the answers where they say `<<name>>`: name -> text."""

from __future__ import annotations

import re

import numpy as np

from digitspan.cells import CELLS, title
from digitspan.figures.info import rates_by_length, tested_words
from digitspan.handin import claims, limits, optimizer_choice, reasons, where_held
from digitspan.handin.author import Author
from digitspan.handin.material import Material
from digitspan.handin.measurements import PROBE_COUNT, Measurements
from digitspan.handin.optimizer_choice import NAMES
from digitspan.handin.wording import (
    digits_of,
    joined,
    percent,
    rate_words,
    solved_words,
    steps_words,
    table,
)
from digitspan.runs.outcome import EVALUATE_EVERY
from digitspan.sheet.exercise import Sheet
from digitspan.sheet.questions import NETWORKS
from digitspan.study.summary import LengthSummary
from digitspan.study.tables import MARKED, span_text
from digitspan.tasks import NUM_CLASSES

__all__ = ["held_together", "sheet_values", "values_of"]

_WITHOUT_A_QUESTION = {
    "derivation": "back-propagation through time",
    "implementation": "the vanilla RNN",
    "memory": "the runs of the RNN",
    "optimizers": "the choice of an optimiser",
    "gates": "the gates",
    "parameters": "the number of parameters",
    "comparison": "the comparison",
}
"""What is spoken of where a sheet does not ask for it: by kind, else its question is named."""


def values_of(material: Material, measured: Measurements, author: Author) -> dict[str, str]:
    """Everything that the answers and the notebook may ask for, by name."""
    values = (
        sheet_values(material.sheet, author)
        | _about(material)
        | _networks(material)
        | _optimizers(material)
        | _tables(material, measured)
        | _sentences(material, measured)
    )
    return values


def sheet_values(sheet: Sheet, author: Author) -> dict[str, str]:
    """What follows from the sheet alone, and whose report it is."""
    gated = NETWORKS[sheet.networks[1]]
    by = f"**{escaped(author.surname)}**"
    if author.matriculation:
        by += f", matriculation number **{author.matriculation}**"
    return {
        "by": by,
        "sheet_title": sheet.title,
        "course": sheet.course,
        "term": sheet.term,
        "title_vanilla": sheet.titles[0],
        "title_gated": sheet.titles[1],
        "code_folder": sheet.code,
        "gated": title(sheet.networks[1]),
        "gated_cell": sheet.networks[1],
        "gated_class": gated.class_name,
        "gated_module": gated.file.removesuffix(".py"),
        **{f"figure_{name}": f"Figure {n}" for n, name in enumerate(sheet.figures, start=1)},
        **{
            f"question_{kind}": f"Question {number}" if number else instead
            for kind, instead in _WITHOUT_A_QUESTION.items()
            for number in [sheet.number_of(kind)]
        },
    }


def held_together(text: str) -> str:
    """Text whose "T = 20" and "95 %" are not broken between lines, the symbol in italics."""
    text = re.sub(r"(?<![\w*$\\])([Tdn]) = (?=\d)", "*\\1*\u00a0=\u00a0", text)
    return re.sub(r"(?<=\d) %", "\u00a0%", text)


def _about(material: Material) -> dict[str, str]:
    """Which study it is of."""
    config = material.config
    note = ""
    if config.note:
        note = f"> **{config.note[0].upper()}{config.note[1:]}.**"
    return {
        "study_note": note,
        "num_runs": _num_runs(material),
        "how_measured": _how_measured(material),
        "rnn_rates": _rates_shown(material, material.vanilla),
        "both_rates": " ".join(_rates_shown(material, cell) for cell in material.sheet.networks),
        "how_short": _how_short(material),
        "tested": tested_words(material.summary),
    }


def _num_runs(material: Material) -> str:
    """So many runs, and how many of them are none of their own or never trained."""
    text = f"{material.summary.runs:,} runs"
    guessed = sum(record.config.trained == "none" for record in material.records)
    aside = []
    if guessed:
        aside.append(f"{guessed} of networks that were guessed, not trained")
    if material.summary.continued:
        aside.append(f"{len(material.summary.continued)} that continue others")
    return text + (f", among them {joined(aside)}," if aside else "")


def escaped(name: str) -> str:
    """A name in Markdown as it is written."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]()#+-.!~^$&'@" else c for c in name)


def _networks(material: Material) -> dict[str, str]:
    """Sizes, lengths and numbers of parameters."""
    config = material.networks[material.gated].record.config
    d, n, K = config.input_size, config.hidden_size, NUM_CLASSES
    of_cell = CELLS[material.gated].gates * n * (d + n + 1)
    trained = material.networks[material.vanilla].record.config.length
    cell_caption = ""
    if material.gated == "lstm":
        cell_caption = (
            r" For the LSTM also $\partial\mathcal{L}/\partial\mathbf{c}^{(t)}$ of the cell."
        )
    return {
        "cell_caption": cell_caption,
        "probe_count": str(PROBE_COUNT),
        "input_size": str(d),
        "hidden_size": str(n),
        "rnn_trained_length": str(trained),
        "gated_trained_length": str(config.length),
        "rnn_alike": str(len(material.alike(material.vanilla))),
        "gated_alike": str(len(material.alike(material.gated))),
        "gated_cell_parameters": f"{of_cell:,}",
        "gated_parameters": f"{of_cell + K * (n + 1):,}",
        "rnn_parameters": f"{n * (d + n + 1) + K * (n + 1):,}",
    }


def _optimizers(material: Material) -> dict[str, str]:
    """What was seen of optimisers; nothing where the sheet does not ask."""
    if not material.sheet.needs("optimizers"):
        return {}
    compared = material.summary.optimizers
    rates = sorted({float(condition.rate) for condition, _ in compared})
    return {
        "optimizers_length": str(compared[0][1].length),
        "optimizers_best": optimizer_choice.best_rate(material),
        "optimizers_rates": joined([f"{rate:g}" for rate in rates]),
        "optimizers_seeds": str(max(len(found.records) for _, found in compared)),
        "optimizers_table": optimizer_choice.optimizers_table(material),
        "optimizers_how": optimizer_choice.how(material),
        "optimizers_verdict": optimizer_choice.verdict(material),
    }


def _tables(material: Material, measured: Measurements) -> dict[str, str]:
    return {
        "rnn_table": _rnn_table(material),
        "both_table": _both_table(material),
        "conditions_table": _conditions_table(material),
        "budgets_table": claims.budgets_table(material),
        "carried_table": where_held.carried_table(material, measured),
    }


def _sentences(material: Material, measured: Measurements) -> dict[str, str]:
    vanilla, gated = material.sheet.networks
    digits = "".join(map(str, measured.arrays["gates/digits"]))
    return {
        "networks_looked_into": reasons.looked_into(material),
        "networks_named": reasons.names(material),
        "gradients_measured": reasons.gradients(material, measured),
        "singular_values": reasons.singular_values(material, measured),
        "gates_measured": where_held.gates(measured),
        "gates_palindrome": digits,
        "rnn_sanity": claims.sanity(material, vanilla),
        "gated_sanity": claims.sanity(material, gated),
        "rnn_by_rule": claims.by_rule(material, vanilla),
        "rnn_against_sheet": claims.rnn_against_sheet(material),
        "controls": limits.controls(material),
        "verdict": claims.verdict(material),
        "comparison_by_rule": claims.comparison(material),
        "rnn_convergence": claims.convergence(material, vanilla),
        "gated_convergence": claims.convergence(material, gated),
        "gated_reached": claims.reached(material, gated),
        "reasons_carried": where_held.carried(material, measured),
        "reasons_path": reasons.gradient_path(measured, material.networks[gated].record),
        "reasons_start": reasons.initialisation(material, measured),
        "reasons_rate": reasons.rates(material),
        "limits": limits.limits(material),
    }


def _rnn_table(material: Material) -> str:
    """The RNN by length, at the rates of the first condition that shows runs."""
    duel = next(duel for duel in material.duels if duel.vanilla.lengths)
    rows = [
        [
            str(found.length),
            f"{found.learning_rate:g}",
            solved_words(found),
            f"{100 * found.solved_interval.low:.0f} to {100 * found.solved_interval.high:.0f} %",
            _accuracies(found),
            steps_words(found),
        ]
        for found in duel.vanilla.lengths
    ]
    heading = ["T", "rate", "solved", "95 % interval", "median accuracy (range)", "steps"]
    caption = (
        f"The vanilla RNN by length, at {rate_words(duel)}. Solved: share of the runs, with its "
        f"95 % Wilson interval. Steps: median training steps of the solved runs."
    )
    return table(caption, heading, rows)


def _both_table(material: Material) -> str:
    """Both networks by length, at the rates of the first condition with runs."""
    duel = next(duel for duel in material.duels if all(side.lengths for side in duel.sides))
    by_length = [{found.length: found for found in side.lengths} for side in duel.sides]
    rows = [
        [str(length), *(text for found in by_length for text in _cells(found.get(length)))]
        for length in sorted({length for found in by_length for length in found})
    ]
    heading = ["T"]
    for cell in material.sheet.networks:
        heading += [f"{title(cell)}: rate", "solved", "accuracy", "steps"]
    caption = (
        f"Both networks by length, at {rate_words(duel)}: rate, runs solved, median accuracy, "
        f"median steps of the solved runs; left four columns: RNN, right four: "
        f"{title(material.gated)}. Each network has lengths around its own span."
    )
    return table(caption, heading, rows)


def _cells(found: LengthSummary | None) -> list[str]:
    """Rate, runs solved, accuracy and steps; empty where there are no runs."""
    if found is None:
        return [""] * 4
    accuracy = _accuracies(found, with_range=False)
    return [f"{found.learning_rate:g}", solved_words(found), accuracy, steps_words(found)]


def _conditions_table(material: Material) -> str:
    """Question 1.6: span and parameters of both networks under every condition."""
    rows = []
    for duel in material.duels:
        for row in duel.sides:
            one = material.comparison.conditions[row.condition]
            rows.append(
                [
                    f"{title(row.condition.cell)}, {claims.where(duel, material)}",
                    span_text(one.span).replace(" *", "\\*"),
                    "-" if row.span.rate is None else f"{row.span.rate:.2g}",
                    f"{row.span.solved} of {row.span.runs}",
                    "-" if one.parameters is None else f"{one.parameters:,}",
                ]
            )
    heading = ["network", "S50 [95 %]", "rate", "solved", "parameters"]
    star = ""
    if any(row.span.marked for duel in material.duels for row in duel.sides):
        star = f" A star: {MARKED[2:]}."
    caption = (
        f"S50 within {material.config.budget:,} steps, the best rate there, the runs it rests on, "
        f"and parameters.{star}"
    )
    return table(caption, heading, rows)


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
    budget = config.budget_words
    diverged = sum(record.end_state == "diverged" for record in material.records)
    no_other = "no other run is stopped before its budget is spent"
    if diverged:
        no_other += f", but for the {diverged} that diverged"
    common = (
        f"Every run trains a network with n = {config.hidden_size} units on batches of "
        f"{config.batch_size} palindromes ({encodings}) with {NAMES[config.optimizer]}, gradients "
        f"clipped to the norm {config.max_grad_norm:g}, for at most {budget} steps. It is "
        f"*solved*, and stops, when two evaluations in a row, {EVALUATE_EVERY} steps apart, reach "
        f"99 % on up to 500 validation palindromes; {no_other}. Its accuracy is then measured "
        f"once, "
        f"on {tested_words(material.summary)} palindromes{_fewer_tested(material)}. (The runs "
        f"were "
        f"made by the package digitspan, which trains these same two networks many at a time; "
        f"`part1/train.py` trains one.)"
    )
    if config.design == "grid":
        spans = (
            f"There are {_seeds(material)} per length and rate. S50 is the length up to which "
            f"half of the runs are solved within {budget} steps, read from a curve through the "
            f"solved shares."
        )
    else:
        spans = (
            f"**S50**, the length up to which half of the runs are solved within {budget} steps "
            f"at "
            f"the best rate, is found with {config.runs} runs of each network, made in rounds, "
            f"each at the lengths and rates where the runs before it leave the outcome least "
            f"certain. Through them a logistic "
            f"surface is fitted, $P(T, \\eta) = (1 - \\lambda) / (1 + e^{{-z}})$ with "
            f"$z = (\\ln S_{{50}} - \\ln T - c \\, d^2) / s - \\ln(1 - 2 \\lambda)$, where $d$ is "
            f"the "
            f"distance of $\\ln \\eta$ from a best rate that is quadratic in $\\ln T$. S50 and "
            f"the "
            f"best rate are posterior medians, their intervals hold 95 % of the posterior (wide "
            f"priors, importance sampling), and the p-value of a ratio of two S50 is twice its "
            f"smaller tail beyond 1. Then {_seeds(material)} per length are made at the best "
            f"rates, "
            f"which do not count for S50: those of <<figure_rnn>> at the best rates."
        )
        if config.fixed_rate is not None:
            spans += (
                f" Beside them stand {config.fixed_runs} runs of each network at the learning "
                f"rate {config.fixed_rate:g}, their lengths chosen in the same way, which have an "
                f"S50 of their own."
            )
    return f"{common}\n\n{spans}"


def _fewer_tested(material: Material) -> str:
    """At short lengths there are fewer palindromes to be held out."""
    records = [
        r for row in material.summary.spans for found in row.lengths for r in found.records
        if r.tested
    ]  # fmt: skip
    fewest = min((record.tested for record in records), default=0)
    most = max((record.tested for record in records), default=0)
    if fewest == most:
        return ""
    lengths = sorted({r.config.length for r in records if r.tested == fewest})
    return f" ({fewest:,} at T = {joined(lengths)})"


def _how_short(material: Material) -> str:
    config = material.config
    return (
        f"n = {config.hidden_size}, batch {config.batch_size}, {NAMES[config.optimizer]}, at most "
        f"{config.budget:,} steps."
    )


def _rates_shown(material: Material, cell: str) -> str:
    """The best rates of one network, by length; nothing where rates are not tuned."""
    tuned = [duel.of(cell) for duel in material.duels if duel.is_tuned]
    shown = [row for row in tuned if row.lengths]
    if not shown:
        return ""
    return f"Best rates of the {title(cell)}: {'; '.join(map(rates_by_length, shown))}."


def _seeds(material: Material) -> str:
    """How many runs there are at a length where the rate is the length's: "5 runs"."""
    shown = [duel for duel in material.duels if duel.is_tuned and duel.vanilla.lengths]
    rows = [row for duel in shown or material.duels for row in duel.sides]
    numbers = [len(found.records) for row in rows for found in row.lengths]
    low, high = min(numbers), max(numbers)
    runs = "run" if high == 1 else "runs"
    return f"{low} {runs}" if low == high else f"{low} to {high} runs"
