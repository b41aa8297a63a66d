"""How well the spans of simulated studies are measured, whose true spans are known.

    python benchmarks/span_simulation.py [--quick] [--studies N] [--only WORD ...] [--jobs N]

Simulates the whole pipeline, the choice of places and rates included, on surfaces of the *time* to
solve, and prints tables as they stand in docs/protocol.md:

- the retention span, on surfaces of the model that is fitted and on others: how often the 95 %
  interval covers S50 within the budget and within half of it, how often a miss is not marked, the
  error as a factor, the interval's width; and how often two copies of a cell "differ";
- the ratio of two spans, the span at a fixed rate, the guaranteed and the holding span.

P(T, r, b) is the share of runs solved within b steps; a run draws v uniformly and is solved at the
first evaluation b where P exceeds v. Every study has a span and a best rate of its own, moved
from the row's at random, so that nothing depends on where the ladders' steps lie. Every study has
its own seed: results are kept a study in results/span-simulation.partial.jsonl, and a call that
was killed goes on. The summary is results/span-simulation.json.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import math
import multiprocessing
import os
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from keeping import RESULTS, keep

from digitspan.hold.thresholds import holding_span, holds, threshold
from digitspan.study.design import Design, Place, ladder, next_places
from digitspan.study.ratio import compare_spans
from digitspan.study.retention import Span, guaranteed_span, measure_span
from digitspan.study.surface import Run

BUDGET = 2_000
"""Steps of every simulated run; evaluated every 50, as real ones."""

EVALUATIONS = np.arange(50, BUDGET + 1, 50)

LENGTHS = ladder(160)

RUNS = 124
"""Runs a study."""

FIXED_RUNS = 32
"""Runs at a fixed rate, as the sheet's study makes."""

GROWTH = 0.85
"""Of ln S50 with the logarithm of the budget: about what LSTM and RNN did in real studies."""

FULL_INSIDE, FULL_OUTSIDE, QUICK = 1_000, 300, 20
"""Studies a row: on surfaces of the model, on others, and with --quick."""

PARTIAL = "span-simulation.partial.jsonl"


def logistic(value: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-value)."""
    return 1 / (1 + np.exp(-np.clip(value, -60, 60)))


def weibull(value: np.ndarray) -> np.ndarray:
    """A fall that is sudden at its end; one half at 0."""
    return np.exp(-math.log(2) * np.exp(np.clip(-value, -60, 60)))


def gumbel(value: np.ndarray) -> np.ndarray:
    """A fall with a long tail; one half at 0."""
    return -np.expm1(-math.log(2) * np.exp(np.clip(value, -60, 60)))


class Truth(NamedTuple):
    """A surface of the time to solve, and what else its runs are subject to.

    P = solved(-(ln T - ln S(b) + loss(d)) / s),   d = ln r - best(T),   S(b) = span (b/B)^0.85
    """

    span: float = 40.0
    """S(B): S50 within the budget if there are no lapses."""
    s: float = 0.4
    rate: float = 0.03
    """The best rate at `span`."""
    tilt: float = 0.5
    """Of the best rate: decades a decade of length."""
    narrow: float = 0.4
    """loss(d) = narrow d^2."""
    lapse: float = 0.0
    floor: float = 0.0
    """The share solved at every length and rate."""
    best_floor: float = 0.0
    """The share solved at every length at the best rate, fewer away from it."""
    fall: Callable[[np.ndarray], np.ndarray] = logistic
    loss: Callable[[np.ndarray], np.ndarray] | None = None
    bend: Callable[[np.ndarray], np.ndarray] | None = None
    """ln of the best rate over the one at `span`, as a function of ln (T / span)."""
    cliff: float = math.inf
    """ln of the rate over the best one from which on every run diverges."""
    hole: tuple[float, float] = (0.0, 0.0)
    """No run between these lengths is solved, as shares of `span`."""
    luck: float = 0.0
    """Deviation on the logit of what a run's seed adds."""
    shared: int = 0
    """So many seeds a length, used again at other rates; 0: every run has its own."""
    uneven: float = 0.0
    """Deviation on the logit of what a length adds."""

    def share(self, x: np.ndarray, z: np.ndarray, b: np.ndarray | float) -> np.ndarray:
        """P at ln T, ln r and b, but for luck and unevenness."""
        away = x - math.log(self.span)
        best = self.bend(away) if self.bend else self.tilt * away
        d = z - np.clip(math.log(self.rate) + best, math.log(1e-5), 0)
        loss = self.loss(d) if self.loss else self.narrow * d**2
        beyond = away - GROWTH * np.log(np.asarray(b) / BUDGET)
        if self.best_floor:
            fallen = self.best_floor + (1 - self.best_floor) * self.fall(-beyond / self.s)
            share = fallen * np.exp(-loss)
        else:
            share = self.fall(-(beyond + loss) / self.s)
        share = self.floor + (1 - self.floor) * (1 - self.lapse) * share
        share = np.where(d > self.cliff, 0.0, share)
        in_hole = (away > math.log(self.hole[0] or 1e-9)) & (away < math.log(self.hole[1] or 1e-9))
        return np.where(in_hole, 0.0, share)

    def marginal(self, x: np.ndarray, z: np.ndarray, b: float) -> np.ndarray:
        """P at ln T, ln r and b, over all luck and unevenness."""
        share = self.share(x, z, b)
        deviation = math.hypot(self.luck, self.uneven)
        if not deviation:
            return share
        nodes, weights = np.polynomial.hermite_e.hermegauss(9)
        logit = logit_of(share)
        moved = [w * logistic(logit + deviation * n) for n, w in zip(nodes, weights, strict=True)]
        return np.sum(moved, axis=0) / weights.sum()

    def log_span(self, b: float, rate: float | None = None) -> float:
        """The logarithm of S50(b), at the best rate or at a fixed one; -inf below T = 5."""
        x = np.linspace(math.log(5), math.log(1_000), 700)
        rates = np.geomspace(1e-5, 1, 151) if rate is None else np.array([rate])
        top = self.marginal(x[:, None], np.log(rates), b).max(axis=1)
        if top.min() >= 0.5:
            return math.inf
        first = int(np.argmax(top < 0.5))
        return -math.inf if first == 0 else float(x[first - 1] + x[first]) / 2

    def moved(self, generator: np.random.Generator) -> Truth:
        """The same with another span and best rate."""
        return self._replace(
            span=self.span * math.exp(generator.uniform(-0.3, 0.3)),
            rate=self.rate * math.exp(generator.uniform(-0.8, 0.8)),
        )


def logit_of(share: np.ndarray) -> np.ndarray:
    """ln(P / (1 - P)), finite."""
    kept = np.clip(share, 1e-12, 1 - 1e-12)
    return np.log(kept / (1 - kept))


def linex(steep: float) -> Callable[[np.ndarray], np.ndarray]:
    """A loss that is exponential on one side of the best rate and linear on the other."""

    def loss(d: np.ndarray) -> np.ndarray:
        return 0.8 / steep**2 * (np.exp(np.clip(steep * d, -60, 60)) - 1 - steep * d)

    return loss


LSTM = Truth(span=40, s=0.5, rate=0.028, tilt=0.5, narrow=0.4)
RNN = Truth(span=16, s=0.13, rate=8e-4, tilt=0.1, narrow=0.23)

INSIDE = {
    "LSTM-like": LSTM,
    "RNN-like": RNN,
    "narrow in the rate": LSTM._replace(narrow=0.8),
    "steep, 10 % lapses": Truth(s=0.2, lapse=0.1),
}
OUTSIDE = {
    "Weibull fall": Truth(fall=weibull),
    "Weibull fall, RNN-like": RNN._replace(fall=weibull),
    "Gumbel fall": Truth(fall=gumbel),
    "Gumbel fall, RNN-like": RNN._replace(fall=gumbel),
    "s = 0.03": Truth(s=0.03),
    "s = 0.06": Truth(s=0.06),
    "s = 0.7": Truth(s=0.7),
    "s = 1": Truth(s=1.0),
    "20 % lapses": Truth(lapse=0.2),
    "30 % lapses": Truth(lapse=0.3),
    "45 % lapses, s = 0.2": Truth(lapse=0.45, s=0.2),
    "45 % lapses, s = 0.4": Truth(lapse=0.45),
    "best rate peaks at T = 25": Truth(bend=lambda away: -0.8 * np.abs(away + 0.47)),
    "best rate bends up": Truth(bend=lambda away: 0.4 * (away + 0.98) ** 2),
    "best rate steps at T = 25": Truth(bend=lambda away: 2 * logistic(4 * (away + 0.47)) - 1.5),
    "optimum skewed upwards": Truth(loss=linex(-1.0)),
    "optimum skewed downwards": Truth(loss=linex(1.0)),
    "cliff a factor 2.7 above the best rate": Truth(cliff=1.0),
    "cliff a factor 1.5 above it": Truth(cliff=0.4),
    "cliff at it": Truth(cliff=0.05),
    "floor of 20 %": Truth(floor=0.2),
    "floor of 40 %": Truth(floor=0.4),
    "floor of 20 % at the best rate": Truth(best_floor=0.2, s=0.2),
    "floor of 40 % at the best rate": Truth(best_floor=0.4, s=0.2),
    "hole from 0.26 to 0.49 of the span": Truth(hole=(0.26, 0.49)),
    "hole from 0.4 to 0.58 of it": Truth(hole=(0.4, 0.58)),
    "seeds of unequal luck": Truth(luck=2.0),
    "the same, 4 seeds a length": Truth(luck=2.0, shared=4),
    "lengths out of line, logit sd 0.5": Truth(uneven=0.5),
    "lengths out of line, logit sd 1": Truth(uneven=1.0),
}
NOT_SOLVED = {
    "no length is learnt": Truth(span=2.0, s=0.1),
    "every length is learnt": Truth(span=2_000.0, s=0.2),
}
FIXED_RATE = 1e-3
FIXED = {
    "s = 0.06": Truth(span=30, s=0.06, rate=2e-3, tilt=0),
    "s = 0.2, 10 % lapses": Truth(span=30, s=0.2, lapse=0.1, rate=2e-3, tilt=0),
    "s = 0.5": Truth(span=30, s=0.5, rate=2e-3, tilt=0),
    "s = 1": Truth(span=30, s=1.0, rate=2e-3, tilt=0),
    "45 % lapses": Truth(span=30, s=0.2, lapse=0.45, rate=2e-3, tilt=0),
    "Weibull fall": Truth(span=30, fall=weibull, rate=2e-3, tilt=0),
    "floor of 40 %": Truth(span=30, s=0.1, best_floor=0.4, rate=1e-3, tilt=0, narrow=0.05),
    "hole from 0.4 to 0.58 of the span": Truth(span=30, hole=(0.4, 0.58), rate=2e-3, tilt=0),
}


class World:
    """Where the runs of one simulated study are made."""

    def __init__(self, truth: Truth, generator: np.random.Generator) -> None:
        self.truth, self.generator = truth, generator
        self.of_length: dict[int, float] = {}
        self.of_seed: dict[tuple[int, int], float] = {}

    def run(self, places: list[Place]) -> list[Run]:
        """What becomes of runs at some places."""
        x, z = np.log(np.array(places, float)).T
        share = self.truth.share(x[:, None], z[:, None], EVALUATIONS)  # (runs, evaluations)
        added = np.array([self._added(place.length) for place in places])
        if added.any():
            share = logistic(logit_of(share) + added[:, None])
        solved = np.maximum.accumulate(share, axis=1) > self.generator.random((len(places), 1))
        return [
            Run(*place, "solved", int(EVALUATIONS[row.argmax()]))
            if row.any()
            else Run(*place, "censored", BUDGET)
            for place, row in zip(places, solved, strict=True)
        ]

    def _added(self, length: int) -> float:
        """What a length and the next seed add on the logit."""
        truth, normal = self.truth, self.generator.normal
        if not (truth.luck or truth.uneven):
            return 0.0
        seed = int(self.generator.integers(truth.shared)) if truth.shared else len(self.of_seed)
        luck = self.of_seed.setdefault((length, seed), normal())
        return truth.luck * luck + truth.uneven * self.of_length.setdefault(length, normal())


def simulate(truth: Truth, generator: np.random.Generator, design: Design) -> list[Run]:
    """The runs of a study, placed round by round."""
    world, runs = World(truth, generator), list[Run]()
    while places := next_places(design, runs):
        runs += world.run(places)
    return runs


def covers(span: Span, log_span: float) -> bool:
    """Whether the interval holds the true span; an open end holds all there is beyond."""
    low = math.log(span.low) if span.low else -math.inf
    high = math.log(span.high) if span.high else math.inf
    return bool(low <= log_span <= high)


def spans_of_pair(
    truth: Truth, generator: np.random.Generator, runs: int, rate: float | None
) -> dict[str, Any]:
    """Two studies of one cell: how they cover within b and b/2, and whether they "differ"."""
    truth = truth.moved(generator)
    rates = {} if rate is None else {"rates": (rate,)}
    design = Design(LENGTHS, BUDGET, runs, **rates)
    found: dict[str, Any] = {"covers": [], "marked": [], "error": [], "width": [], "differ": []}
    made = [simulate(truth, generator, design) for _ in range(2)]
    for budget in (BUDGET, BUDGET // 2):
        true = truth.log_span(budget, rate)
        pair = [measure_span(each, budget, rate=rate, draws=2_000) for each in made]
        found["covers"].append([covers(span, true) for span in pair])
        found["marked"].append([span.marked for span in pair])
        found["error"].append(
            [None if math.isinf(true) else round(math.log(s.s50) - true, 4) for s in pair]
        )
        found["width"].append(
            [round(math.log(s.high / s.low), 4) if s.high and s.low else None for s in pair]
        )
        found["differ"].append(compare_spans(*pair).differs)
    found["bounds"] = [span.bound for span in pair]
    digits = [run.length * min(run.step, BUDGET) for each in made for run in each]
    found["digits"] = round(float(np.mean(digits)) / BUDGET, 2)
    return found


def ratio(generator: np.random.Generator, first: Truth, second: Truth) -> dict[str, Any]:
    """The ratio of the spans of two cells."""
    pair = [truth.moved(generator) for truth in (first, second)]
    design = Design(LENGTHS, BUDGET, RUNS)
    made = [simulate(truth, generator, design) for truth in pair]
    found: dict[str, Any] = {"covers": [], "differs": [], "width": []}
    for budget in (BUDGET, BUDGET // 2):
        true = pair[0].log_span(budget) - pair[1].log_span(budget)
        ratio = compare_spans(*(measure_span(each, budget, draws=2_000) for each in made))
        low, high = (math.log(end) if end else None for end in (ratio.low, ratio.high))
        found["covers"].append((low is None or low <= true) and (high is None or high >= true))
        found["differs"].append(ratio.differs)
        found["width"].append(None if low is None or high is None else round(high - low, 4))
    return found


GRID = (5, 7, 10, 14, 20, 28, 40, 57, 80)


def guarantee(truth: Truth, generator: np.random.Generator) -> dict[str, Any]:
    """Whether a grid of 20 seeds a length guarantees too much."""
    truth = truth.moved(generator)
    share = truth.marginal(np.log(GRID)[:, None], np.array([[math.log(truth.rate)]]), BUDGET)
    counts = {
        length: (int(generator.binomial(20, p)), 20)
        for length, p in zip(GRID, share[:, 0], strict=True)
    }
    found = guaranteed_span(counts) or 0.0
    true = math.exp(truth.log_span(BUDGET, truth.rate))
    share_of_true = round(found / true, 3) if true else None
    return {"too much": bool(found > true), "found": found, "share": share_of_true}


GUARANTEED = {
    "s = 0.1": Truth(s=0.1, tilt=0),
    "s = 0.4, 10 % lapses": Truth(lapse=0.1, tilt=0),
    "30 % lapses": Truth(lapse=0.3, tilt=0),
    "hole from 0.26 to 0.49 of the span": Truth(hole=(0.26, 0.49), s=0.1, tilt=0),
    "49 % are solved at every length": Truth(span=1e4, s=0.02, lapse=0.51, tilt=0, narrow=0.0),
}

HOLDERS: dict[str, tuple[Callable[[np.random.Generator, int], np.ndarray], float]] = {
    "normal, sd(ln T) = 0.5": (lambda g, n: 0.5 * g.normal(size=n), 0.0),
    "normal, sd(ln T) = 2": (lambda g, n: 2 * g.normal(size=n), 0.0),
    "heavy tails (t, 2 degrees)": (lambda g, n: 0.7 * g.standard_t(2, size=n), 0.0),
    "skewed (Gumbel)": (lambda g, n: g.gumbel(size=n), -math.log(math.log(2))),
    "two kinds, 30 % at 1/50": (
        lambda g, n: np.where(g.random(n) < 0.3, -3.9, 0.0) + 0.3 * g.normal(size=n),
        -0.170,
    ),
}
ASKED = tuple(round(100 * 10 ** (step / 5)) for step in range(16))


def hold(generator: np.random.Generator, name: str, networks: int) -> dict[str, Any]:
    """Networks whose share of right answers falls through 99 % at their thresholds."""
    draw, middle = HOLDERS[name]
    log_scale = generator.uniform(math.log(400), math.log(25_000))
    logs = log_scale + draw(generator, networks)
    thresholds = []
    asked = 0
    for log_threshold in logs:
        held: dict[int, bool | None] = {}
        for length in ASKED:
            # 1 % of errors at the threshold, ten times as many at twice the length.
            error = min(0.01 * (length / math.exp(log_threshold)) ** math.log2(10), 0.9)
            right = tested = 0
            while holds(right, tested) is None:
                right += int(generator.binomial(100, 1 - error))
                tested += 100
            held[length] = holds(right, tested)
            asked += tested
            if not held[length]:
                break
        thresholds.append(threshold(held))
    span = holding_span(thresholds)
    true = math.exp(log_scale + middle)
    inside = (span.low or 0) <= true <= (span.high or math.inf)
    width = round(math.log(span.high / span.low), 4) if span.low and span.high else None
    return {"covers": inside, "width": width, "asked": asked / networks}


class Row(NamedTuple):
    """A row of a table."""

    table: str
    name: str
    number: int
    """Of simulated studies, or of pairs of them where they are made in pairs."""
    make: Callable[[np.random.Generator], dict[str, Any]]

    @property
    def key(self) -> str:
        """What its results are kept under."""
        return f"{self.table}: {self.name}"


SPAN = "retention span"
SMALLER = "fewer runs"
RATIO = "ratio of two spans"
AT_RATE = "span at a fixed rate"
GUARANTEE = "guaranteed span"
HOLDING = "holding span"


def rows(inside: int, outside: int) -> list[Row]:
    """All rows, those that matter most first."""

    def pairs(table: str, name: str, truth: Truth, number: int, runs: int = RUNS) -> Row:
        rate = FIXED_RATE if table == AT_RATE else None
        return Row(table, name, (number + 1) // 2, lambda g: spans_of_pair(truth, g, runs, rate))

    found = [pairs(SPAN, name, truth, inside) for name, truth in INSIDE.items()]
    found += [pairs(SPAN, name, truth, outside) for name, truth in OUTSIDE.items()]
    found += [pairs(SPAN, name, truth, outside // 3) for name, truth in NOT_SOLVED.items()]
    for runs in (36, 68, 100):
        for name in ("LSTM-like", "RNN-like"):
            found.append(pairs(SMALLER, f"{name}, {runs} runs", INSIDE[name], outside, runs))
    found.append(Row(RATIO, "LSTM-like over RNN-like", outside, lambda g: ratio(g, LSTM, RNN)))
    longer = LSTM._replace(span=1.5 * LSTM.span)
    found.append(Row(RATIO, "LSTM-like, x1.5", outside, lambda g: ratio(g, longer, LSTM)))
    lapsing = Truth(lapse=0.3)
    found.append(
        Row(RATIO, "30 % lapses over RNN-like", outside, lambda g: ratio(g, lapsing, RNN))
    )
    found += [pairs(AT_RATE, name, truth, outside, FIXED_RUNS) for name, truth in FIXED.items()]
    for name, truth in GUARANTEED.items():
        found.append(Row(GUARANTEE, name, inside, lambda g, t=truth: guarantee(t, g)))
    for name in HOLDERS:
        for count in (5, 10, 20):
            found.append(
                Row(
                    HOLDING,
                    f"{name}, {count} networks",
                    outside,
                    lambda g, n=name, c=count: hold(g, n, c),
                )
            )
    return found


def make(chosen: list[Row], kept: dict[str, dict[int, Any]], file: Path, jobs: int) -> None:
    """Make the missing studies of some rows, each with a seed of its own."""
    missing = [
        (row.key, index)
        for row in chosen
        for index in range(row.number)
        if index not in kept.get(row.key, {})
    ]
    start = time.monotonic()
    with multiprocessing.Pool(jobs) as pool, file.open("a", encoding="utf-8") as lines:
        for done, made in enumerate(pool.imap(make_one, missing), 1):
            key, index, found = made
            kept.setdefault(key, {})[index] = found
            lines.write(json.dumps(made) + "\n")
            lines.flush()
            if done % 100 == 0 or done == len(missing):
                seconds = time.monotonic() - start
                print(f"{seconds:7.0f} s {done:6,} of {len(missing):,}  {key}", flush=True)


def make_one(asked: tuple[str, int]) -> tuple[str, int, dict[str, Any]]:
    """One study of a row, by the row's key and the study's number."""
    key, index = asked
    seed = [zlib.crc32(key.encode()), index]
    return key, index, row_of(key).make(np.random.default_rng(seed))


@functools.cache
def row_of(key: str) -> Row:
    """The row of a key: a row holds functions, which cannot be sent to another process."""
    return next(row for row in rows(FULL_INSIDE, FULL_OUTSIDE) if row.key == key)


def read(file: Path) -> dict[str, dict[int, Any]]:
    """What was made before, by row and study."""
    kept: dict[str, dict[int, Any]] = {}
    if file.exists():
        for line in file.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):  # a line that was cut off is made again
                key, index, result = json.loads(line)
                kept.setdefault(key, {})[index] = result
    return kept


def factor(values: list[float | None], share: float) -> float | None:
    """A quantile of logarithms, as a factor."""
    finite = [value for value in values if value is not None]
    return round(math.exp(float(np.quantile(finite, share))), 3) if finite else None


def median(values: list[float | None]) -> float | None:
    """Of those that are numbers."""
    finite = [value for value in values if value is not None]
    return float(np.median(finite)) if finite else None


def summary(row: Row, found: list[dict[str, Any]]) -> dict[str, Any]:
    """The columns of a row."""
    if row.table in {SPAN, SMALLER, AT_RATE}:
        told: dict[str, Any] = {"studies": 2 * len(found)}
        for number, label in enumerate(("b", "b/2")):
            covers = np.array([each["covers"][number] for each in found]).ravel()
            marked = np.array([each["marked"][number] for each in found]).ravel()
            told[f"covers {label}"] = round(float(covers.mean()), 3)
            told[f"or marked {label}"] = round(float((covers | marked).mean()), 3)
            told[f"marked {label}"] = round(float(marked.mean()), 3)
            misses = int((~covers).sum())
            told[f"misses marked {label}"] = f"{int((marked & ~covers).sum())}/{misses}"
            told[f"differ {label}"] = round(
                float(np.mean([each["differ"][number] for each in found])), 3
            )
        errors = [value for each in found for value in each["error"][0]]
        told |= {f"error {share:.0%}": factor(errors, share) for share in (0.05, 0.5, 0.95)}
        widths = [value for each in found for value in each["width"][0]]
        told["width"] = factor(widths, 0.5)
        told["open"] = round(float(np.mean([width is None for width in widths])), 3)
        told["mean T of a step"] = round(float(np.mean([each["digits"] for each in found])), 1)
        return told
    if row.table == RATIO:
        told = {"pairs": len(found)}
        for number, label in enumerate(("b", "b/2")):
            for what in ("covers", "differs"):
                value = float(np.mean([each[what][number] for each in found]))
                told[f"{what} {label}"] = round(value, 3)
        told["width"] = factor([each["width"][0] for each in found], 0.5)
        return told
    if row.table == GUARANTEE:
        return {
            "grids": len(found),
            "too much": round(float(np.mean([each["too much"] for each in found])), 4),
            "median share of S50": median([each["share"] for each in found]),
        }
    return {
        "cells": len(found),
        "covers": round(float(np.mean([each["covers"] for each in found])), 3),
        "width": factor([each["width"] for each in found], 0.5),
        "palindromes a network": round(float(np.mean([each["asked"] for each in found]))),
    }


def tables(all_rows: list[Row], summaries: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Markdown."""
    previous = ""
    for row in all_rows:
        told = summaries.get(row.key)
        if told is None:
            continue
        if row.table != previous:
            previous = row.table
            yield f"\n| {row.table} | " + " | ".join(told) + " |"
            yield "|---" * (len(told) + 1) + "|"
        yield (
            f"| {row.name} | "
            + " | ".join("" if v is None else f"{v}" for v in told.values())
            + " |"
        )


def main() -> None:
    """Simulate, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} studies a row")
    parser.add_argument("--studies", type=int, help="at most so many a row")
    parser.add_argument("--only", nargs="+", default=[], help="rows whose name has one of these")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--show", action="store_true", help="simulate nothing more")
    options = parser.parse_args()
    most = QUICK if options.quick else options.studies or FULL_INSIDE
    inside, outside = min(most, FULL_INSIDE), min(most, FULL_OUTSIDE)
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / PARTIAL
    kept = read(file)
    wanted = rows(inside, outside)
    chosen = [row for row in wanted if any(word in row.key for word in options.only or [""])]
    if not options.show:
        make(chosen, kept, file, options.jobs)
    summaries: dict[str, dict[str, Any]] = {}
    for row in wanted:
        found = [each for index, each in sorted(kept.get(row.key, {}).items())][: row.number]
        if found:
            summaries[row.key] = summary(row, found)
    print("\n".join(tables(wanted, summaries)))
    command = "python benchmarks/span_simulation.py" + (" --quick" if options.quick else "")
    numbers = {"rows": summaries, "runs": RUNS, "lengths": LENGTHS}
    keep("span-simulation", command, numbers, with_versions=f", NumPy {np.__version__}")


if __name__ == "__main__":
    main()
