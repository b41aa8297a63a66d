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

__all__ = ["Best", "best_of_each", "how", "optimizers_table", "verdict"]

NAMES = {"sgd": "plain SGD", "momentum": "SGD with momentum", "rmsprop": "RMSprop", "adam": "Adam"}
"""The optimisers in words, in the order of the table."""


class Best(NamedTuple):
    """An optimiser's runs at the best of the rates tried."""

    condition: Condition
    """What was run."""
    found: LengthSummary
    """Its runs."""

    @property
    def steps(self) -> float:
        """Median steps until solved; infinite where half of the runs or more were not."""
        records = self.found.records
        steps = [record.steps if record.solved else np.inf for record in records]
        return float(np.median(steps))


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
    rates = _rates(material)
    return (
        f"Both networks were trained at T = {length} with each optimiser at the learning rates "
        f"{joined(rates)}; each is shown at the rate at which most of its runs were solved, and "
        f"of several such rates at the one that took the fewest steps."
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
    caption = f"Optimisers at T = {length}, each at the best of the rates tried."
    return table(caption, ["network, optimiser", "rate", "solved", "median steps"], rows)


def verdict(material: Material) -> str:
    """For each network, whether momentum and adaptive rates beat plain SGD here."""
    lines = []
    for (cell, _), bests in best_of_each(material).items():
        by_name = {best.condition.optimizer: best for best in bests}
        if "sgd" in by_name:
            lines.append(f"* **{title(cell)}.** {_against_sgd(by_name, _rates(material))}")
    return "\n".join(lines)


def _against_sgd(bests: dict[str, Best], rates: list[str]) -> str:
    """The others against plain SGD, from steps until solved."""
    sgd = bests["sgd"]
    others = [best for name, best in bests.items() if name != "sgd"]
    faster = sorted((best for best in others if best.steps < sgd.steps), key=lambda b: b.steps)
    sentences = [_of_sgd(sgd)]
    if faster:
        named = [f"{NAMES[b.condition.optimizer]} ({_steps(b.steps)})" for b in faster]
        start = "Fewer steps" if np.isfinite(sgd.steps) else "Solved at least half of the time"
        sentences.append(f"{start}: {joined(named)}.")
    rest = [best for best in others if best not in faster]
    if rest:
        sentences.append(
            f"{joined([NAMES[best.condition.optimizer] for best in rest])} "
            f"{'was' if len(rest) == 1 else 'were'} **not** faster than plain SGD."
        )
    sentences.append(_judgement({best.condition.optimizer for best in faster}))
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
    return "The textbook's order does not show in these runs."


def _of_sgd(best: Best) -> str:
    """What came of plain SGD."""
    if np.isfinite(best.steps):
        return (
            f"Plain SGD was solved in {solved_words(best.found)} runs, in {best.steps:,.0f} steps "
            f"in the median."
        )
    return (
        f"Plain SGD was solved in {solved_words(best.found)} runs within "
        f"{best.found.records[0].config.train_steps:,} steps."
    )


def _steps(steps: float) -> str:
    return f"{steps:,.0f} steps in the median"


def _rates(material: Material) -> list[str]:
    """The rates compared, from small to large."""
    rates = {float(condition.rate) for condition, _ in material.summary.optimizers}
    return [f"{rate:g}" for rate in sorted(rates)]
