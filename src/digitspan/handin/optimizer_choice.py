"""Question 1.4, measured: which optimiser comes to the end first, out of the rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from digitspan.cells import title
from digitspan.figures.info import best_rates
from digitspan.handin.material import CELLS_ASKED, Material
from digitspan.handin.wording import joined, solved_words, steps_words, table
from digitspan.study.plan import Condition
from digitspan.study.summary import LengthSummary

__all__ = ["BEST_RATE", "Best", "best_of_each", "how", "optimizers_table", "verdict"]

NAMES = {
    "sgd": "plain SGD",
    "momentum": "SGD with momentum",
    "rmsprop": "RMSprop",
    "adam": "Adam",
    "adamw": "AdamW",
}
"""The optimisers in words, in the order of the table."""


BEST_RATE = "the one that solved most runs, and of several such rates the one with fewest steps"
"""How a rate is chosen, as `figures.info.best_rate_of` does it."""


class Best(NamedTuple):
    """An optimiser's runs at the best of the rates tried."""

    condition: Condition
    """What was run."""
    found: LengthSummary
    """Its runs."""

    @property
    def merit(self) -> tuple[float, float]:
        """The smaller, the better: first by the share of runs solved, then by their steps."""
        records = self.found.records
        steps = [record.steps for record in records if record.solved]
        return -len(steps) / len(records), float(np.median(steps)) if steps else np.inf


def best_of_each(material: Material) -> dict[tuple[str, str], list[Best]]:
    """By cell and encoding, each optimiser at the best of its rates, as the figure draws it."""
    order = list(NAMES)
    return {
        place: sorted(
            (Best(*best) for best in bests), key=lambda best: order.index(best.condition.optimizer)
        )
        for place, bests in best_rates(material.summary).items()
        if place[0] in CELLS_ASKED
    }


def how(material: Material) -> str:
    """What was compared, in a sentence."""
    length = material.summary.optimizers[0][1].length
    unsolved = any(
        not best.found.solved for some in best_of_each(material).values() for best in some
    )
    lowest = " (where none solved any, the one with the lowest loss)" if unsolved else ""
    return (
        f"Both networks were trained at T = {length} with each optimiser at the learning rates "
        f"{joined(_rates(material))}. Each is shown at its best rate, {BEST_RATE}{lowest}."
    )


def optimizers_table(material: Material) -> str:
    """The best rate of each optimiser, and what came of it."""
    rows = [
        [
            f"{title(cell)}, {NAMES[best.condition.optimizer]}",
            best.condition.rate,
            solved_words(best.found),
            steps_words(best.found),
        ]
        for (cell, _), bests in best_of_each(material).items()
        for best in bests
    ]
    length = material.summary.optimizers[0][1].length
    caption = (
        f"Optimisers at T = {length}, each at its best rate. Steps: median training steps of the "
        f"solved runs."
    )
    return table(caption, ["network, optimiser", "rate", "solved", "steps"], rows)


def verdict(material: Material) -> str:
    """For each network, whether momentum and adaptive rates beat plain SGD here."""
    lines = []
    runs = max(len(found.records) for _, found in material.summary.optimizers)
    for (cell, _), bests in best_of_each(material).items():
        by_name = {best.condition.optimizer: best for best in bests}
        if "sgd" in by_name:
            lines.append(f"* **{title(cell)}.** {_against_sgd(by_name, _rates(material))}")
    if lines:
        few = f"With {runs} runs a rate, this is what was seen, at one length; it is no test."
        lines += ["", few]
    return "\n".join(lines)


def _against_sgd(bests: dict[str, Best], rates: list[str]) -> str:
    """The others against plain SGD: more runs solved, or as many in fewer steps."""
    sgd = bests["sgd"]
    others = sorted(
        (best for name, best in bests.items() if name != "sgd"), key=lambda best: best.merit
    )
    better = [best for best in others if best.merit < sgd.merit]
    rest = [best for best in others if best not in better]
    sentences = [f"Plain SGD solved {_result(sgd)}."]
    if better:
        named = [f"{NAMES[b.condition.optimizer]} ({_result(b)})" for b in better]
        sentences.append(f"Better, by runs solved and then by steps: {joined(named)}.")
    if rest:
        named = [f"{NAMES[b.condition.optimizer]} ({_result(b)})" for b in rest]
        sentences.append(f"**Not** better: {joined(named)}.")
    sentences.append(_judgement({best.condition.optimizer for best in better}))
    if sgd.condition.rate == rates[-1] and len(rates) > 1:
        sentences.append(
            f"The best rate of plain SGD, {sgd.condition.rate}, is the largest one tried: with a "
            f"still larger one it might do better."
        )
    return " ".join(sentences)


def _judgement(faster: set[str]) -> str:
    """Which of the two ideas helped, judged by the optimisers that beat plain SGD."""
    momentum, adaptive = "momentum" in faster, {"rmsprop", "adam"} <= faster
    if momentum and adaptive:
        return "Both ideas help here, momentum alone and adaptive rates."
    if adaptive:
        return "Here it is the adaptive rates that help; momentum alone does not."
    if momentum:
        return "Here momentum helps; adaptive rates do not help both RMSprop and Adam."
    if faster:
        return "Neither idea helps in every optimiser that has it."
    return "The textbook's order does not show in these runs."


def _result(best: Best) -> str:
    """How many runs were solved, and in how many steps: "3 of 3 runs in 400 steps"."""
    share, steps = best.merit
    within = f"in {steps:,.0f} steps" if share else "within the budget"
    return f"{solved_words(best.found)} runs {within}"


def _rates(material: Material) -> list[str]:
    """The rates compared, from small to large."""
    rates = {float(condition.rate) for condition, _ in material.summary.optimizers}
    return [f"{rate:g}" for rate in sorted(rates)]
