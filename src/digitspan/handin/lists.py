"""A sheet on lists: what a study of digit spans says, in tables and sentences."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from digitspan.cells import CELLS, initialisation_title, title
from digitspan.errors import UsageError
from digitspan.handin.material import how_to_make
from digitspan.handin.optimizer_choice import NAMES
from digitspan.handin.wording import joined, percent, table
from digitspan.runs.recalled import Lists
from digitspan.sheet.exercise import Sheet
from digitspan.study.digit_spans import (
    CellSpan,
    Difference,
    SpanSummary,
    mean_difference,
    summarise_spans,
)
from digitspan.study.ratio import holm
from digitspan.study.reading import read_study
from digitspan.study.span_tables import median_text, network_remarks, span_text
from digitspan.study.tables import leaks_text
from digitspan.tasks import NUM_CLASSES

__all__ = ["ListMaterial", "list_values", "read_lists", "rows_of"]

_ENCODINGS = {
    "one-hot": "one-hot, d = 11: ten digits and silence",
    "scalar": "digits as numbers, d = 1, silence as -1",
}

MOST_WIDTHS = 4
"""Panels of a figure that can be read on a page."""

NEAR_PERFECT = 0.99
"""What a sheet's sanity check is held to."""

GROWN = 1.02
"""A mean span that is longer by this factor after the last fifth of its training still grew."""


class ListMaterial(NamedTuple):
    """A finished study of digit spans, and the sheet that it answers."""

    sheet: Sheet
    """What is asked."""
    summary: SpanSummary
    """What the rows show."""
    runs: int
    """How many there are."""

    def of(self, cell: str) -> list[CellSpan]:
        """One network at each width, the smallest first."""
        found = [one for one in self.summary.measured if one.condition.cell == cell]
        return sorted(found, key=lambda one: one.hidden_size)

    @property
    def pairs(self) -> list[tuple[CellSpan, CellSpan]]:
        """Both networks at each width: the vanilla one and the gated one."""
        gated = {one.hidden_size: one for one in self.of(self.sheet.networks[1])}
        return [(one, gated[one.hidden_size]) for one in self.of(self.sheet.networks[0])]


def read_lists(study: Path, sheet: Sheet) -> ListMaterial:
    """Read a study of digit spans and see that it has all that the sheet needs.

    Args:
        study: its folder, or the store in it.
        sheet: what is asked.

    Raises:
        UsageError: naming what is missing, and the command that makes it.
    """
    found = read_study(study).require_undamaged()
    config, make = found.config, how_to_make(found.folder, sheet)
    if config.task != sheet.task or config.design != "span" or config.order != "backward":
        message = (
            f"{found.folder} is of the task {config.task}, the sheet asks {sheet.task}, backward, "
            f"in a study of digit spans; {make}"
        )
        raise UsageError(message)
    several = len(config.hidden_sizes) > MOST_WIDTHS or len(config.initialisation) > 1
    if several or list(config.encoding) != [sheet.encodings[0]]:
        message = (
            f"{found.folder} must have at most {MOST_WIDTHS} hidden sizes, one start and the "
            f"encoding {sheet.encodings[0]}, as the sheet has; {make}"
        )
        raise UsageError(message)
    summary = summarise_spans(config, found.rows)
    if summary.missing:
        message = (
            f"{found.folder} is not finished: {summary.missing} runs are missing; "
            f"`digitspan study` with the same options goes on with it"
        )
        raise UsageError(message)
    for cell in sheet.networks:
        if not any(one.condition.cell == cell for one in summary.measured):
            message = (
                f"{found.folder} has no runs of the {title(cell)}, which the sheet asks for (its "
                f"cells: {', '.join(config.cells)}); {make}"
            )
            raise UsageError(message)
    return ListMaterial(sheet, summary, len(found.rows))


def rows_of(material: ListMaterial) -> str:
    """What the networks shown said, one line per network and length of list, as CSV."""
    text = io.StringIO()
    heading = ("cell", "hidden_size", "seed", "learning_rate", "steps", "items", "asked", "whole",
               "share", "first_right", "last_right")  # fmt: skip
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heading)
    for cell in material.sheet.networks:
        for one in material.of(cell):
            for record in one.records:
                for lists in record.recalled.lists if record.recalled else ():
                    config = record.config
                    writer.writerow([
                        cell, one.hidden_size, config.seed, config.learning_rate, record.steps,
                        lists.items, lists.asked, lists.whole, lists.share, lists.right[0],
                        lists.right[-1],
                    ])  # fmt: skip
    return text.getvalue()


def list_values(material: ListMaterial) -> dict[str, str]:
    """What the answers and the notebook may ask for, by name, beside what the sheet says."""
    vanilla, gated = material.sheet.networks
    config = material.summary.config
    d, n, K = 1 if config.encoding[0] == "scalar" else 11, max(config.hidden_sizes), NUM_CLASSES
    of_cell = CELLS[gated].gates * n * (d + n + 1)
    note = f"> **{config.note[0].upper()}{config.note[1:]}.**" if config.note else ""
    return {
        "study_note": note,
        "num_runs": f"{material.runs:,}",
        "how_measured": _how_measured(material),
        "how_short": _how_short(material),
        "input_size": str(d),
        "hidden_size": str(n),
        "gated_cell_parameters": f"{of_cell:,}",
        "gated_parameters": f"{of_cell + K * (n + 1):,}",
        "rnn_parameters": f"{n * (d + n + 1) + K * (n + 1):,}",
        "rnn_sanity": sanity(material, vanilla),
        "gated_sanity": sanity(material, gated),
        "rnn_table": _spans_table(material, [vanilla]),
        "both_table": _spans_table(material, [vanilla, gated]),
        "rnn_spans": spans_told(material, vanilla),
        "rnn_convergence": convergence(material, vanilla),
        "gated_convergence": convergence(material, gated),
        "controls": _controls(material),
        "verdict": verdict(material),
        "comparison_by_width": comparison(material),
        "reasons_places": places(material),
        "limits": _limits(material),
    }


def _how_measured(material: ListMaterial) -> str:
    config = material.summary.config
    networks = {len(one.records) for one in material.summary.measured}
    count = joined(sorted(networks), "or")
    tuned = ""
    if len(config.learning_rates) > 1:
        rates = joined([f"{rate:g}" for rate in config.learning_rates])
        tuned = (
            f" The learning rate of each is the one of {rates} at which a run of its own for each "
            f"had the longest mean span on validation lists."
        )
    start = "each with its usual start"
    if config.initialisation != ("usual",):
        start = f"with the initialisation {initialisation_title(config.initialisation[0])}"
    return (
        f"{count} networks of each kind and width are trained, {start}, on batches of "
        f"{config.batch_size} lists ({_ENCODINGS[config.encoding[0]]}) "
        f"with {NAMES[config.optimizer]}, gradients clipped to the norm "
        f"{config.max_grad_norm:g}, for up to {config.budget:,} steps; lists grow by one item as "
        f"soon as they are learned.{tuned} In the end each network is asked unseen lists of 1, 2, "
        f"3, ... items, until none comes back whole. Its **digit span** is the longest *L* such "
        f"that lists of *L* and of fewer items come back whole at least half of the time; its "
        f"**mean span** is the sum of these shares over all *L*."
    )


def _how_short(material: ListMaterial) -> str:
    config = material.summary.config
    widths = joined(config.hidden_sizes)
    return (
        f"n = {widths}, batch {config.batch_size}, {NAMES[config.optimizer]}, at most "
        f"{config.budget:,} steps."
    )


def sanity(material: ListMaterial, cell: str) -> str:
    """The sheet's sanity check: the share of its shortest lists that come back whole."""
    items = material.sheet.lengths.sanity // 2
    parts, fine = [], []
    for one in material.of(cell):
        share = one.share_whole(items)
        fine.append(share >= NEAR_PERFECT)
        parts.append(f"{percent(share)} at n = {one.hidden_size}")
    held = "**not near-perfect**, as it ought to be"
    if any(fine):
        held = "near-perfect, as it should be" if all(fine) else "**not all near-perfect**"
    return (
        f"The recall of lists of T = {2 * items}, that is {items} digits, is {held}: of the "
        f"{title(cell)} {joined(parts)} of them come back whole, on average over its networks."
    )


def _spans_table(material: ListMaterial, cells: list[str]) -> str:
    """Digit span, mean span and median of each network at each width."""
    rows = [
        [
            f"{title(cell)}, n = {one.hidden_size}",
            str(len(one.records)),
            "-" if one.rate is None else f"{one.rate:g}",
            span_text(one, one.digit_span),
            span_text(one, one.mean_span),
            median_text(one.median_span),
            "-" if one.parameters is None else f"{one.parameters:,}",
        ]
        for cell in cells
        for one in material.of(cell)
    ]
    heading = ["network", "of them", "rate", "digit span [95 %]", "mean span [95 %]", "median",
               "parameters"]  # fmt: skip
    caption = (
        "Digit span and mean span in items, means over networks with Student's t-interval; the "
        "network in the middle by its mean span; numbers trained."
    )
    return table(caption, heading, rows)


def spans_told(material: ListMaterial, cell: str) -> str:
    """The digit spans of one network, width by width, in a sentence."""
    parts = [f"{span_text(one, one.digit_span)} at n = {one.hidden_size}"
             for one in material.of(cell)]  # fmt: skip
    return f"The digit span of the {title(cell)} is {joined(parts)} (items, 95 % intervals)."


def convergence(material: ListMaterial, cell: str) -> str:
    """How far "until convergence" was kept to: which networks' spans were still growing."""
    networks = growing = solved = 0
    for one in material.of(cell):
        for record in one.records:
            points = record.recalled.on_the_way if record.recalled else ()
            before = [p.mean_span for p in points if p.step <= 0.8 * record.steps]
            networks += 1
            solved += record.solved
            growing += bool(before) and points[-1].mean_span > GROWN * max(before)
    budget = f"{material.summary.config.budget:,} steps"
    text = (
        f"Of the {networks} networks of the {title(cell)} {solved} ended before their {budget}, "
        f"all of their lists learned."
    )
    if not growing:
        return (
            f"{text} No mean span on validation lists still grew in the last fifth of a training."
        )
    return (
        f"{text} In {growing} the mean span on validation lists still grew by more than 2 % in "
        f"the last fifth of their training: with more than {budget} they may come further."
    )


def _controls(material: ListMaterial) -> str:
    """The mask control, in sentences; nothing where nothing was tested."""
    mask = material.summary.mask
    if mask is None:
        return ""
    holds = "which is chance: nothing but that digit tells them the answer"
    if not mask.holds_together:
        holds = "**which is not chance: something besides that digit tells the answer**"
    elif mask.leaks:
        holds = f"**{leaks_text(mask)}: something besides that digit tells the answer there**"
    return (
        f"As a control the networks were asked again with the digit of one place replaced. Then "
        f"{100 * mask.right / mask.tested:.2f} % of {mask.tested:,} answers were still the digit "
        f"that had stood there (99.9 % interval {100 * mask.low:.2f} to {100 * mask.high:.2f}), "
        f"{holds}."
    )


def _differences(material: ListMaterial) -> Iterator[tuple[int, Difference, bool]]:
    """By width: how much longer the gated network's mean span is, and whether that is open."""
    pairs = material.pairs
    found = [
        mean_difference(_mean_spans(gated), _mean_spans(vanilla), level=1 - 0.05 / len(pairs))
        for vanilla, gated in pairs
    ]
    adjusted = holm([each.p for each in found])
    for (vanilla, gated), each, p in zip(pairs, found, adjusted, strict=True):
        yield vanilla.hidden_size, each._replace(adjusted_p=p), vanilla.is_open or gated.is_open


def _mean_spans(cell: CellSpan) -> list[float]:
    return [found.mean_span or 0 for found in cell.recalled]


def verdict(material: ListMaterial) -> str:
    """Whether the textbook's order holds in these rows."""
    name = title(material.sheet.networks[1])
    textbook = f"The textbook says that the {name} remembers longer than the vanilla RNN."
    found = list(_differences(material))
    longer = [n for n, each, _ in found if each.differs and each.difference > 0]
    shorter = [n for n, each, _ in found if each.differs and each.difference < 0]
    undecided = [n for n, each, _ in found if not each.differs]
    if len(longer) == len(found):
        return f"{textbook} **These runs agree**, at n = {joined(longer)}."
    if len(shorter) == len(found):
        return f"{textbook} **These runs say the opposite**, at n = {joined(shorter)}."
    if len(undecided) == len(found):
        return (
            f"{textbook} **These runs do not decide it**: at no width does the interval of the "
            f"difference leave out 0."
        )
    parts = [f"the {name} is ahead at n = {joined(longer)}"] if longer else []
    parts += [f"the RNN is ahead at n = {joined(shorter)}"] if shorter else []
    parts += [f"nothing is decided at n = {joined(undecided)}"] if undecided else []
    return f"{textbook} **In part**: {'; '.join(parts)}."


def comparison(material: ListMaterial) -> str:
    """For every width, how much longer the gated network's mean span is."""
    name = title(material.sheet.networks[1])
    lines = []
    for n, each, is_open in _differences(material):
        ahead = "longer" if each.difference > 0 else "shorter"
        interval = "one network each, so that no interval can be told"
        if each.low is not None and each.high is not None:
            interval = (
                f"{100 * each.level:.4g} % interval of the difference {each.low:.1f} to "
                f"{each.high:.1f}; p = {each.adjusted_p:.3f}, Welch, after Holm"
            )
        end = " One of the two spans lies beyond the longest lists asked." * is_open
        lines.append(
            f"* At n = {n} the {name}'s mean span is {abs(each.difference):.1f} items {ahead} "
            f"than the RNN's ({interval}).{end}"
        )
    return "\n".join(lines)


def places(material: ListMaterial) -> str:
    """Which place of a list is lost, in lists two items longer than the span.

    The digit that was read first is said last: it is held longest.
    """
    lines = []
    for pair in material.pairs:
        for one in pair:
            items = max(round(one.digit_span.mean), 1) + 2
            first, last = (one.mean_over(items, _right_at(place)) for place in (0, items - 1))
            if np.isnan(first):
                continue
            lost = "about as often as"
            if abs(first - last) > 0.05:
                lost = "less often than" if first < last else "**more** often than"
            lines.append(
                f"* {title(one.condition.cell)}, n = {one.hidden_size}, lists of {items}: the "
                f"digit read first, which is held longest, is right {lost} the one read last "
                f"({percent(first)} and {percent(last)})."
            )
    return "\n".join(lines) or "No network was asked lists two items longer than its span."


def _right_at(place: int) -> Callable[[Lists], float]:
    """The share of right answers at a place of lists."""

    def share(lists: Lists) -> float:
        return lists.right[place] / lists.asked

    return share


def _limits(material: ListMaterial) -> str:
    """What these runs cannot say."""
    config = material.summary.config
    sentences = [f"{line[0].upper()}{line[1:]}." for line in network_remarks(material.summary)
                 if not line.startswith(">=")]  # fmt: skip
    for vanilla, gated in material.pairs[-1:]:
        if vanilla.parameters and gated.parameters and gated.parameters > vanilla.parameters:
            sentences.append(
                f"With as many units the {title(gated.condition.cell)} has "
                f"{gated.parameters / vanilla.parameters:.1f} times the parameters of the RNN "
                f"({gated.parameters:,} and {vanilla.parameters:,} at n = {gated.hidden_size}); "
                f"an RNN of that size was not run."
            )
    if len(config.learning_rates) == 1:
        sentences.append(f"One learning rate, {config.learning_rates[0]:g}, was used for all.")
    if config.note:
        sentences.append(f"The study says of itself: {config.note}.")
    return " ".join(sentences)
