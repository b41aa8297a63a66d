"""Optimisers, measured: which optimiser comes to the end first, out of the rows."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from digitspan.cells import title
from digitspan.figures.info import best_rates
from digitspan.handin.material import Material
from digitspan.handin.wording import joined, percent, solved_words, steps_words, table
from digitspan.runs.outcome import SOLVED_ACCURACY
from digitspan.study.plan import Condition
from digitspan.study.summary import LengthSummary

__all__ = ["Best", "best_of_each", "best_rate", "how", "optimizers_table", "verdict"]

NAMES = {
    "sgd": "plain SGD",
    "momentum": "SGD with momentum",
    "rmsprop": "RMSProp",
    "adam": "Adam",
    "adamw": "AdamW",
}
"""The optimisers in words, in the order of the table."""


MOMENTUM = 0.9
"""The share of the velocity that stays, as the engine has it."""

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
        if place[0] in material.sheet.networks
    }


def best_rate(material: Material) -> str:
    """How the best rate is chosen, where some optimiser solved nothing too."""
    unsolved = any(
        not best.found.solved for some in best_of_each(material).values() for best in some
    )
    return f"{BEST_RATE}{' (where none solved any, the one with the lowest loss)' * unsolved}"


def how(material: Material) -> str:
    """What was compared, in a sentence."""
    length = material.summary.optimizers[0][1].length
    return (
        f"Both networks were trained at T = {length} with each optimiser at the learning rates "
        f"{joined(_rates(material))}. Each is shown at its best rate, {best_rate(material)}."
    )


def optimizers_table(material: Material) -> str:
    """The best rate of each optimiser, and what came of it."""
    all_rates = len(_rates(material))
    rows = [
        [
            f"{title(cell)}, {NAMES[best.condition.optimizer]}",
            best.condition.rate,
            solved_words(best.found),
            steps_words(best.found),
            f"{_whole(_tried(material, best.condition))} of {all_rates}",
        ]
        for (cell, _), bests in best_of_each(material).items()
        for best in bests
    ]
    length = material.summary.optimizers[0][1].length
    caption = (
        f"Optimisers at T = {length}, each at its best rate. Steps: median training steps of the "
        f"solved runs. Last column: rates, of those tried, at which all runs were solved."
    )
    heading = ["network, optimiser", "best rate", "solved", "steps", "all solved at"]
    return table(caption, heading, rows)


def verdict(material: Material) -> str:
    """For each network, whether momentum and adaptive rates beat plain SGD here."""
    runs = max(len(found.records) for _, found in material.summary.optimizers)
    ranked: dict[str, list[str]] = {}
    pairs, edges = [], []
    for (cell, _), bests in best_of_each(material).items():
        by_name = {best.condition.optimizer: best for best in bests}
        if "sgd" in by_name:
            ranked.setdefault(_against_sgd(by_name), []).append(title(cell))
            edges.append(_at_the_edge(material, by_name["sgd"]))
            pairs.append(_momentum_and_longer_steps(material, by_name))
    if not ranked:
        return ""
    # What holds of both networks alike is told once.
    bullet = "* " * (len(ranked) > 1)
    lines = [f"{bullet}**{joined(cells)}.** {words}" for words, cells in ranked.items()]
    few = f"With {runs} runs per rate, this is what was seen, at one length; it is no test."
    rest = [_more_than_a_larger_rate(list(filter(None, pairs))), *edges, few]
    return "\n".join([*lines, "", " ".join(filter(None, rest))])


def _at_the_edge(material: Material, sgd: Best) -> str:
    """What became of plain SGD where its best rate is the largest one tried; else nothing."""
    tried = sorted(_tried(material, sgd.condition), key=lambda one: float(one.condition.rate))
    if len(tried) < 2 or tried[-1].condition != sgd.condition:
        return ""
    cell, rate = title(sgd.condition.cell), sgd.condition.rate
    text = f"Plain SGD's best rate for the {cell}, {rate}, is the largest one tried."
    records = sgd.found.records
    if sgd.found.solved or not all(record.curve for record in records):
        return f"{text} At a still larger one it might do better."
    reached = sum(max(p.validation_accuracy for p in r.curve) >= SOLVED_ACCURACY for r in records)
    here, below = (
        float(np.median(one.found.accuracies)) if len(one.found.accuracies) else 0.0
        for one in (sgd, tried[-2])
    )
    once = f"{reached} of {len(records)} runs reached" if reached else "no run reached"
    text += (
        f" There {once} {100 * SOLVED_ACCURACY:.0f} % in a single evaluation"
        f"{', but not in two in a row' * bool(reached)}; they end at {percent(here)} in the "
        f"median, "
        f"those at {tried[-2].condition.rate} at {percent(below)}"
    )
    if here < below:
        return f"{text}: no sign that a larger rate would do better."
    return f"{text}: at a still larger rate it might do better."


def _against_sgd(bests: dict[str, Best]) -> str:
    """The others against plain SGD: more runs solved, or as many in fewer steps."""
    sgd = bests["sgd"]
    others = sorted(
        (best for name, best in bests.items() if name != "sgd"), key=lambda best: best.merit
    )
    better = [best for best in others if best.merit < sgd.merit]
    rest = [best for best in others if best not in better]
    sentences = []
    if better:
        named = [NAMES[best.condition.optimizer] for best in better]
        sentences.append(
            f"Better than plain SGD, by runs solved and then by steps, the best first: "
            f"{joined(named)}."
        )
    if rest:
        named = [NAMES[best.condition.optimizer] for best in rest]
        sentences.append(f"**Not** better: {joined(named)}.")
    sentences.append(_judgement({best.condition.optimizer for best in better}))
    return " ".join(sentences)


def _judgement(faster: set[str]) -> str:
    """Which of the two ideas was ahead, judged by the optimisers that beat plain SGD."""
    momentum, adaptive = "momentum" in faster, {"rmsprop", "adam"} <= faster
    if momentum and adaptive:
        return "Both ideas, momentum alone and adaptive rates, are ahead of plain SGD."
    if adaptive:
        return "Adaptive rates are ahead of plain SGD; momentum alone is not."
    if momentum:
        return "Momentum is ahead of plain SGD; of RMSProp and Adam not both are."
    if faster:
        return "Neither idea is ahead in every optimiser that has it."
    return "The textbook's order does not show in these runs."


def _momentum_and_longer_steps(
    material: Material, bests: dict[str, Best]
) -> tuple[Best, Best] | None:
    """Momentum at its best such rate, and plain SGD whose steps are as long as it can add up to.

    In one direction the steps of momentum at a rate add up to those of plain SGD at ten times
    it: a momentum that is ahead at one rate for both may be no more than a larger rate.
    """
    if "momentum" not in bests:
        return None
    plain = {float(one.condition.rate): one for one in _tried(material, bests["sgd"].condition)}
    pairs = [
        (one, plain[longer])
        for one in _tried(material, bests["momentum"].condition)
        for longer in plain
        if math.isclose(longer, float(one.condition.rate) / (1 - MOMENTUM))
    ]
    return min(pairs, key=lambda pair: pair[0].merit) if pairs else None


def _more_than_a_larger_rate(pairs: list[tuple[Best, Best]]) -> str:
    """Whether momentum is ahead of plain SGD with steps as long as its own can add up to."""
    if not pairs:
        return ""
    told = "; ".join(
        f"{title(with_it.condition.cell)}: momentum at {with_it.condition.rate} solved "
        f"{_result(with_it)}, plain SGD at {without.condition.rate} solved {_result(without)}"
        for with_it, without in pairs
    )
    compared = "held against plain SGD at ten times its rate, to which its own steps can add up"
    if all(with_it.merit < without.merit for with_it, without in pairs):
        return f"Momentum is more than a larger rate here, {compared} ({told})."
    return f"That momentum is more than a larger rate does **not** show, {compared} ({told})."


def _tried(material: Material, condition: Condition) -> list[Best]:
    """An optimiser at each of the rates tried."""
    return [
        Best(other, found)
        for other, found in material.summary.optimizers
        if other._replace(rate=condition.rate) == condition
    ]


def _whole(tried: list[Best]) -> int:
    """At how many rates all runs were solved."""
    return sum(one.found.solved == len(one.found.records) for one in tried)


def _result(best: Best) -> str:
    """How many runs were solved, and in how many steps: "3 of 3 runs in 400 steps"."""
    share, steps = best.merit
    within = f"in {steps:,.0f} steps" if share else "within the budget"
    return f"{solved_words(best.found)} runs {within}"


def _rates(material: Material) -> list[str]:
    """The rates compared, from small to large."""
    rates = {float(condition.rate) for condition, _ in material.summary.optimizers}
    return [f"{rate:g}" for rate in sorted(rates)]
