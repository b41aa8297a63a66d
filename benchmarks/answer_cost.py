"""What it costs to know a retention span to within a factor of 1.5: core-minutes, simulated.

    python benchmarks/answer_cost.py

Runs are drawn from two surfaces with the spans that docs/results.md has for the sheet's networks
(n = 128, batches of 128, 2,000 steps), and cost what a training step of theirs takes here, which
is measured in turn with the template's. Both ways go on until the interval of S50 reaches from
1 / 1.5 to 1.5 times its middle at most (high / low = 2.25):

- the joint design, round by round;
- a grid of eight lengths and four rates, with one seed more each time.

The template's recipe, 10,000 steps at each of the eight lengths at the rate 0.001, stands beside
them: it has one run a length, and no interval. Prints a table and writes
benchmarks/results/answer-cost.json.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from keeping import keep
from span_simulation import BUDGET, LSTM, RNN, Truth, World

from digitspan.bench.measure import in_turn
from digitspan.bench.peers import TorchNetwork, autograd_step, template_batches
from digitspan.runs.config import RunConfig
from digitspan.study.design import Design, Place, ladder, next_places
from digitspan.study.retention import measure_span
from digitspan.study.surface import Run
from digitspan.tasks.palindrome import draw_training
from digitspan.tasks.questions import encode
from digitspan.training.engine import Trainer

PRECISE = 1.5**2
"""High over low of an interval that is within a factor of 1.5."""

LENGTHS = (5, 8, 13, 22, 36, 60, 98, 160)
RATES = (1e-4, 1e-3, 1e-2, 1e-1)
MOST_SEEDS, MOST_RUNS = 20, 200

TRUTHS = {"rnn": RNN._replace(span=16.5), "lstm": LSTM._replace(span=68)}
"""Surfaces like those of the sheet's study, with its spans."""

TEMPLATE_STEPS = 10_000


class StepCost(NamedTuple):
    """Seconds of a training step, linear in T."""

    at_0: float
    per_digit: float

    def minutes(self, steps: float, length: int) -> float:
        """Core-minutes of so many steps."""
        return steps * (self.at_0 + self.per_digit * length) / 60


def step_seconds(cell: str, length: int, seconds: float) -> list[float]:
    """Of ours and of the template's, in turn."""
    trainer, step = Trainer(RunConfig(cell=cell, length=length)), autograd_step(TorchNetwork(cell))
    questions, loader = draw_training(length, 128, torch.Generator()), template_batches(length)

    def template() -> None:
        inputs, targets = next(loader)
        step(encode(inputs, 10), targets)

    times = in_turn(lambda: trainer.step(questions), template, seconds=seconds)
    return [time.median_ms / 1e3 for time in times]


def step_costs(cell: str, seconds: float) -> list[StepCost]:
    """Of ours and of the template's, from T = 20 and 60."""
    pairs = zip(*(step_seconds(cell, length, seconds) for length in (20, 60)), strict=True)
    return [StepCost(short - (long - short) / 2, (long - short) / 40) for short, long in pairs]


def rounds_of_the_design(world: World) -> Iterator[list[Run]]:
    """All runs so far, after each round."""
    runs: list[Run] = []
    while places := next_places(Design(ladder(160), BUDGET, MOST_RUNS), runs):
        runs += world.run(places)
        yield runs


def seeds_of_the_grid(world: World) -> Iterator[list[Run]]:
    """All runs so far, after each seed."""
    runs: list[Run] = []
    for _ in range(MOST_SEEDS):
        runs += world.run([Place(length, rate) for length in LENGTHS for rate in RATES])
        yield runs


def cost_of_an_answer(
    truth: Truth, way: Callable[[World], Iterator[list[Run]]], seed: int, cost: StepCost
) -> tuple[float, float]:
    """Runs and core-minutes until the interval is narrow enough; infinite where it never is."""
    for runs in way(World(truth, np.random.default_rng(seed))):
        span = measure_span(runs, BUDGET, draws=1_000)
        if span.low and span.high and span.high / span.low <= PRECISE:
            return len(runs), sum(cost.minutes(run.step, run.length) for run in runs)
    return math.inf, math.inf


def main() -> None:
    """Measure, simulate, print, write."""
    parser = argparse.ArgumentParser(description="what it costs to know a span")
    parser.add_argument("--studies", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each timing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = {}
    for cell, truth in TRUTHS.items():
        ours, template = step_costs(cell, options.seconds)
        found = {
            name: [cost_of_an_answer(truth, way, seed, ours) for seed in range(options.studies)]
            for name, way in {"design": rounds_of_the_design, "grid": seeds_of_the_grid}.items()
        }
        for name, each in found.items():
            runs, minutes = (statistics.median(values) for values in zip(*each, strict=True))
            rows[f"{cell}, {name}: runs"] = runs
            rows[f"{cell}, {name}: core-minutes"] = round(float(minutes), 1)
            never = sum(math.isinf(runs) for runs, _ in each)
            rows[f"{cell}, {name}: never so precise (%)"] = 100 * never / len(each)
        minutes = {name: rows[f"{cell}, {name}: core-minutes"] for name in found}
        rows[f"{cell}: grid / design"] = round(minutes["grid"] / minutes["design"], 2)
        recipe = sum(template.minutes(TEMPLATE_STEPS, length) for length in LENGTHS)
        rows[f"{cell}, template's recipe: core-minutes"] = round(recipe, 1)
    for name, value in rows.items():
        print(f"{name:44s} {value:10.3g}")
    keep("answer-cost", f"python benchmarks/answer_cost.py --studies {options.studies}", rows)


if __name__ == "__main__":
    main()
