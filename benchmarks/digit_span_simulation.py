"""Does the interval of a cell's digit span cover it? Simulated studies, of networks unlike normal.

    python benchmarks/digit_span_simulation.py [--studies 1000]

A network's mean span is drawn by one of several laws around what its learning rate can come to;
two tuning runs at each of five rates choose the rate, as `digitspan study span` does, and fresh
networks are measured at it. Printed: how often the t-interval covers the mean of all networks *at
the chosen rate* (what it claims), and at the best rate (what a reader may take it for), and how
often two copies of one cell differ.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from digitspan.study.digit_spans import mean_difference, mean_of

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


def main() -> None:
    """Print a row a surface, law and number of networks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=1_000, help="simulated studies a row")
    studies = parser.parse_args().studies
    generator = np.random.default_rng(0)
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
    interval = mean_of(list(spans))
    assert interval.low is not None
    assert interval.high is not None
    return rate, interval.low, interval.high, spans


if __name__ == "__main__":
    main()
