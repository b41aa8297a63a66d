"""Does the interval of a cell's digit span cover it? Simulated studies, of networks unlike normal.

    python benchmarks/digit_span_simulation.py [--studies 1000]

Three tables:

1. One network, by how many lists it is asked: how often the digit span read off them is the true
   one, how far the mean span is off, and how far the capacity.
2. Intervals of a cell's mean span, networks differing by several laws: how often each covers, and
   how wide it is. Two of the networks are an interval of the median one, whatever the law; the
   others are of the mean.
3. Whole studies: two tuning runs at each of five rates choose the rate, as `digitspan study span`
   does, and fresh networks are measured at it. How often the t-interval covers the mean of all
   networks *at the chosen rate* (what it claims), and at the best rate (what a reader may take it
   for), and how often two copies of one cell differ.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from digitspan.runs.recalled import digit_span, mean_span
from digitspan.statistics import memory_bits
from digitspan.study.digit_spans import mean_difference, mean_of, median_of

RATES = np.array([1e-4, 3e-4, 1e-3, 3e-3, 1e-2])
TUNING_SEEDS = 2

Law = Callable[[np.random.Generator, int], np.ndarray]

LAWS: dict[str, Law] = {
    "normal": lambda g, n: g.normal(0, 1.5, n),
    "skewed to short": lambda g, n: 1.5 - g.exponential(1.5, n),
    "one in ten fails": lambda g, n: np.where(g.random(n) < 0.1, -8, g.normal(0.8, 0.8, n)),
    "whole items": lambda g, n: np.round(g.normal(0, 1.5, n)),
}
"""How networks of one cell at one rate differ from their mean, in items; the means are about 0."""

SURFACES = {
    "one best rate": 13 - 6 * np.abs(np.log10(RATES / 1e-3)),
    "two as good": np.array([4.0, 9, 13, 13, 6]),
    "all as good": np.full(5, 13.0),
}
"""The mean span at each rate, in items."""


Interval = Callable[[np.random.Generator, np.ndarray], tuple[float, float]]


def _student(generator: np.random.Generator, spans: np.ndarray) -> tuple[float, float]:
    """Student's t, which the tables print."""
    interval = mean_of(list(spans))
    assert interval.low is not None
    assert interval.high is not None
    return interval.low, interval.high


def _bootstrap_t(generator: np.random.Generator, spans: np.ndarray) -> tuple[float, float]:
    """The bootstrap of the studentised mean (Hall 1988), which allows for skew."""
    count = len(spans)
    drawn = spans[generator.integers(count, size=(499, count))]
    spread = drawn.std(axis=1, ddof=1)
    drawn, spread = drawn[spread > 0], spread[spread > 0]
    if not len(drawn):
        return float(spans.mean()), float(spans.mean())
    t = (drawn.mean(axis=1) - spans.mean()) / spread
    low, high = np.quantile(t, [0.025, 0.975])
    return float(spans.mean() - high * spans.std(ddof=1)), float(
        spans.mean() - low * spans.std(ddof=1)
    )


def _allowing_failures(generator: np.random.Generator, spans: np.ndarray) -> tuple[float, float]:
    """Student's t of the networks, its lower end less the failures that so few do not rule out.

    Of n networks none of which fails, up to 1 - 0.05^(1/n) of all may (45 % at five), and a
    network that fails has a span of 0.
    """
    low, high = _student(generator, spans)
    return max(low, 0) * 0.05 ** (1 / len(spans)), high


MEAN_INTERVALS: dict[str, Interval] = {
    "Student's t": _student,
    "bootstrap t": _bootstrap_t,
    "t, failures allowed": _allowing_failures,
}
"""Intervals of the mean that were tried."""

CENTRE = 13.0
"""The mean span about which networks differ, in items."""


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=1_000, help="simulated studies a row")
    studies = parser.parse_args().studies
    generator = np.random.default_rng(0)
    _print_one_network(generator, studies)
    _print_intervals(generator, 10 * studies)
    print(
        f"{'surface':15} {'networks':18} {'n':>2}  covers at its rate  at the best  copies differ"
    )
    for surface, means in SURFACES.items():
        for law, draw in LAWS.items():
            bias = float(draw(np.random.default_rng(1), 1_000_000).mean())
            for networks in (5, 10):
                found = [_study(generator, means, draw, networks) for _ in range(2 * studies)]
                covers = np.mean(
                    [low <= means[rate] + bias <= high for rate, low, high, _ in found]
                )
                at_best = np.mean([low <= means.max() + bias <= high for _, low, high, _ in found])
                differ = np.mean(
                    [
                        mean_difference(one[3], other[3]).differs
                        for one, other in zip(found[::2], found[1::2], strict=True)
                    ]
                )
                print(
                    f"{surface:15} {law:18} {networks:2}  {covers:18.3f}  {at_best:11.3f}  "
                    f"{differ:13.3f}",
                    flush=True,
                )


def _study(
    generator: np.random.Generator, means: np.ndarray, draw: Law, networks: int
) -> tuple[int, float, float, np.ndarray]:
    """The rate that one study chose, the interval it printed, and its networks' spans."""
    tuning = [mean + draw(generator, TUNING_SEEDS).mean() for mean in means]
    rate = int(np.argmax(tuning))
    spans = means[rate] + draw(generator, networks)
    return rate, *_student(generator, spans), spans


def _print_one_network(generator: np.random.Generator, networks: int) -> None:
    """What one network's spans and capacity are off by, asked 500 and 2,000 lists a length."""
    print(f"{'falls over':10} {'lists':>6}  {'digit span right':>16} {'mean span, sd':>14}")
    items = np.arange(1, 41)
    for width in (0.3, 1.0, 2.0):
        for lists in (500, 2_000):
            right, off = [], []
            for _ in range(networks):
                # P(L) is logistic, with its half anywhere between two whole lengths.
                truth = 1 / (1 + np.exp((items - generator.uniform(8, 18)) / width))
                shares = generator.binomial(lists, truth) / lists
                right.append(digit_span(list(shares)) == digit_span(list(truth)))
                off.append(mean_span(list(shares)) - mean_span(list(truth)))
            print(f"{width:10} {lists:6,}  {np.mean(right):16.3f} {np.std(off):14.3f}")
    print(
        f"\n{'right at a place':16} {'lists':>6}  {'bits, of 13 places':>18} {'off':>7} {'sd':>6}"
    )
    for accuracy in (0.1, 0.3, 0.6, 0.9):
        joint = np.full((10, 10), (1 - accuracy) / 90)
        np.fill_diagonal(joint, accuracy / 10)
        truth = 13 * float((joint * np.log2(joint / 0.01)).sum())
        for lists in (500, 2_000):
            found = [
                sum(
                    memory_bits(generator.multinomial(lists, joint.ravel()).reshape(10, 10))
                    for _ in range(13)
                )
                for _ in range(max(networks // 10, 20))
            ]
            print(
                f"{accuracy:16} {lists:6,}  {truth:18.2f} {np.mean(found) - truth:+7.2f} "
                f"{np.std(found):6.2f}",
                flush=True,
            )


def _print_intervals(generator: np.random.Generator, cells: int) -> None:
    """How often intervals cover, and how wide they are, for networks that differ by each law."""
    print(f"\n{'networks':18} {'n':>2}  {'interval':24} {'covers':>6} {'width':>6}")
    for law, draw in LAWS.items():
        everyone = CENTRE + draw(np.random.default_rng(1), 1_000_000)
        mean, median = float(everyone.mean()), float(np.median(everyone))
        for networks in (5, 10, 20):
            found = [CENTRE + draw(generator, networks) for _ in range(cells)]
            for name, interval in MEAN_INTERVALS.items():
                few = found[: cells // 10] if interval is _bootstrap_t else found
                ends = np.array([interval(generator, spans) for spans in few])
                _print_interval(law, networks, name, ends, mean)
            ends = np.array([median_of(list(spans))[1:] for spans in found], dtype=float)
            _print_interval(law, networks, "of the median", ends, median)
    print()


def _print_interval(law: str, networks: int, name: str, ends: np.ndarray, truth: float) -> None:
    covers = np.mean((ends[:, 0] <= truth) & (truth <= ends[:, 1]))
    width = np.mean(ends[:, 1] - ends[:, 0])
    print(f"{law:18} {networks:2}  {name:24} {covers:6.3f} {width:6.1f}", flush=True)


if __name__ == "__main__":
    main()
