"""How well the retention span of simulated studies is measured, whose true span is known.

    python benchmarks/span_simulation.py [--studies 1000]

Prints tables and writes benchmarks/results/span-simulation.json:

- the interval: coverage and median width over a family of studies (docs/protocol.md, section 4);
- estimators of the span side by side: bias and spread as factors;
- adaptive placement against a grid of 190 runs: error of S50 as a factor;
- two cells compared: how often two copies of one differ "significantly", and coverage;
- CPU time of each.

Every run of a simulated study is solved with probability p(T), independently of the others; in
comparisons, the runs of a pair depend on each other. The family simulated is the one that is
fitted, which flatters the fit; the last rows of the first and the fourth table are of another.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from keeping import keep
from scipy import special

from digitspan.statistics import wilson
from digitspan.study.compare import Outcomes, compare_spans
from digitspan.study.curve import Counts, fitted_share, posterior
from digitspan.study.placement import MAX_RUNS, narrow_enough, place_round
from digitspan.study.span import Span, isotonic, measure_span


class Curve(NamedTuple):
    """What a simulated cell can do."""

    s50: float
    s: float
    lapse: float
    floor: float = 0.0
    """The share solved at every length, however long: other than 0, another curve is fitted."""

    def share(self, length: float) -> float:
        """p(T), raised to the floor where there is one."""
        # With the floor f, (1 - f) / (1 + e^x) + f = 1/2 where e^x = (1 - f) / (1/2 - f) - 1.
        mu = math.log(self.s50) - self.s * math.log((1 - self.floor) / (0.5 - self.floor) - 1)
        share = float(fitted_share(math.log(length), mu, self.s, self.lapse))
        return self.floor + (1 - self.floor) * share


class Study(NamedTuple):
    """A simulated study."""

    curve: Curve
    counts: dict[int, Counts]


def lengths(number: int, longest: int = 120) -> tuple[int, ...]:
    """About so many lengths from 3 on, evenly spread in ln T."""
    return tuple(sorted({round(x) for x in np.geomspace(3, longest, number)}))


def simulate(
    generator: np.random.Generator, curve: Curve, tried: tuple[int, ...], seeds: int
) -> Study:
    """A study of so many seeds at each of some lengths."""
    solved = generator.binomial(seeds, [curve.share(length) for length in tried])
    counts = zip(tried, solved.tolist(), strict=True)
    return Study(curve, {length: Counts(k, seeds) for length, k in counts})


def family(generator: np.random.Generator, seeds: int) -> Study:
    """A study out of the family: 8 to 19 lengths, steep to shallow, 0 to 20 % lapses."""
    curve = Curve(
        s50=math.exp(generator.uniform(math.log(6), math.log(80))),
        s=float(generator.choice([0.06, 0.1, 0.2, 0.4])),
        lapse=float(generator.choice([0.0, 0.1, 0.2])),
    )
    return simulate(generator, curve, lengths(int(generator.integers(8, 20))), seeds)


def covered(span: Span, s50: float) -> bool:
    """Whether the interval holds the true span; an open end holds all there is beyond."""
    return (span.s50_low or 0) <= s50 <= (span.s50_high or math.inf)


def interval_row(studies: list[Study]) -> dict[str, float]:
    """Coverage of the 95 % interval, and the median factor between its ends."""
    spans = [(measure_span(study.counts), study.curve.s50) for study in studies]
    two_ended = [span for span, _ in spans if span.s50_low and span.s50_high]
    return {
        "coverage": float(np.mean([covered(span, s50) for span, s50 in spans])),
        "median width": float(np.median([x.s50_high / x.s50_low for x in two_ended])),
        "one end open": 1 - len(two_ended) / len(spans),
        "isotonic": float(np.mean([span.method == "isotonic" for span, _ in spans])),
        "wrong bound": float(np.mean([_is_wrong_bound(span, s50) for span, s50 in spans])),
    }


def _is_wrong_bound(span: Span, s50: float) -> bool:
    return (span.bound == ">=" and s50 < span.s50) or (span.bound == "<=" and s50 > span.s50)


SHAPES = {
    "steep": (0.06, 0.0),
    "shallow": (0.2, 0.0),
    "shallow, 10 % lapses": (0.2, 0.1),
    "very shallow, 20 % lapses": (0.4, 0.2),
}


def intervals(generator: np.random.Generator, number: int) -> dict[str, dict[str, float]]:
    """The first table."""
    rows = {}
    for seeds in (3, 10, 20):
        studies = [family(generator, seeds) for _ in range(number)]
        rows[f"family, {seeds} seeds"] = interval_row(studies)
    for name, (s, lapse) in SHAPES.items():
        for seeds in (3, 10, 20):
            for tried in (lengths(8), lengths(20)):
                curves = [Curve(generator.uniform(8, 70), s, lapse) for _ in range(number)]
                studies = [simulate(generator, curve, tried, seeds) for curve in curves]
                rows[f"{name}, {len(tried)} lengths, {seeds} seeds"] = interval_row(studies)
    for seeds in (3, 10, 20):
        studies = [plateau(generator, seeds) for _ in range(number)]
        rows[f"another curve (40 % to the end), {seeds} seeds"] = interval_row(studies)
    return rows


PLATEAU = (0.06, 0.0, 0.4)
"""Another curve: steep down to 40 %, which are solved at every length after (s, lapse, floor)."""


def plateau(generator: np.random.Generator, seeds: int) -> Study:
    """A study of another curve."""
    curve = Curve(generator.uniform(9, 44), *PLATEAU)
    return simulate(generator, curve, lengths(20), seeds)


def longest_ever(counts: dict[int, Counts]) -> float:
    """The longest length that any seed solved."""
    return float(max([t for t, (solved, _) in counts.items() if solved], default=min(counts)))


def unbroken(counts: dict[int, Counts], enough: Callable[[Counts], bool]) -> float:
    """The longest length up to which there were enough solved runs at all lengths."""
    found = min(counts)
    for length in sorted(counts):
        if not enough(counts[length]):
            break
        found = length
    return float(found)


def isotonic_crossing(counts: dict[int, Counts]) -> float:
    """Where the pooled share crosses one half."""
    log_lengths, shares = np.log(sorted(counts)), isotonic(counts)
    return float(np.exp(np.interp(-0.5, -shares, log_lengths)))


def without_lapses(counts: dict[int, Counts]) -> float:
    """S50 of the logistic curve with lambda = 0."""
    belief = posterior(counts)
    weight = np.where(belief.lapse == 0, belief.weight, 0)
    return float(np.exp(belief._replace(weight=weight / weight.sum()).quantiles([0.5])[0]))


ESTIMATORS: dict[str, Callable[[dict[int, Counts]], float]] = {
    "longest T ever solved": longest_ever,
    "majority at all T' <= T": lambda c: unbroken(c, lambda x: x.solved > x.runs / 2),
    "Wilson bound >= 0.5 at all T' <= T": lambda c: unbroken(c, lambda x: wilson(*x).low >= 0.5),
    "isotonic crossing": isotonic_crossing,
    "mean span": lambda c: measure_span(c).mean_span,
    "logistic without lapses": without_lapses,
    "S50 (logistic + lapses)": lambda c: measure_span(c).s50,
}


def estimators(generator: np.random.Generator, number: int) -> dict[str, dict[str, float]]:
    """The second table: shallow with 10 % lapses, 19 lengths."""
    rows: dict[str, dict[str, float]] = {name: {} for name in ESTIMATORS}
    for seeds in (3, 10, 20):
        curves = [Curve(generator.uniform(8, 70), 0.2, 0.1) for _ in range(number)]
        studies = [simulate(generator, curve, lengths(20), seeds) for curve in curves]
        for name, estimate in ESTIMATORS.items():
            errors = [math.log(estimate(x.counts) / x.curve.s50) for x in studies]
            rows[name][f"bias, {seeds} seeds"] = math.exp(np.mean(errors))
            rows[name][f"sd, {seeds} seeds"] = math.exp(np.std(errors))
    return rows


def place(
    generator: np.random.Generator,
    curve: Curve,
    candidates: tuple[int, ...],
    most: int,
    stop: Callable[[dict[int, Counts], int], bool],
) -> Study:
    """A study placed in rounds."""
    counts: dict[int, Counts] = {}
    while sum(runs for _, runs in counts.values()) < most:
        if counts and stop(counts, candidates[-1]):
            break
        for length in place_round(counts, candidates):
            solved, runs = counts.get(length, (0, 0))
            is_solved = generator.random() < curve.share(length)
            counts[length] = Counts(solved + int(is_solved), runs + 1)
    return Study(curve, counts)


def placements(generator: np.random.Generator, number: int) -> dict[str, dict[str, float]]:
    """The third table."""
    rows = {}
    candidates = lengths(60)
    for name, (s, lapse) in list(SHAPES.items())[:3]:
        curves = [Curve(generator.uniform(6, 80), s, lapse) for _ in range(number)]
        designs: dict[str, Callable[[Curve], Study]] = {
            "grid, 19 lengths x 10": lambda curve: simulate(generator, curve, lengths(20), 10),
            "adaptive, 40 runs": lambda curve: place(
                generator, curve, candidates, 40, lambda counts, longest: False
            ),
            "adaptive, 64 runs": lambda curve: place(
                generator, curve, candidates, MAX_RUNS, lambda counts, longest: False
            ),
            "adaptive, as studies stop": lambda curve: place(
                generator, curve, candidates, MAX_RUNS, narrow_enough
            ),
        }
        for design, make in designs.items():
            rows[f"{name}: {design}"] = placement_row([make(curve) for curve in curves])
    return rows


def placement_row(studies: list[Study]) -> dict[str, float]:
    """Runs a study, and the root mean square error of ln S50 as a factor."""
    errors, runs = [], []
    for curve, counts in studies:
        (middle,) = posterior(counts, 120).quantiles([0.5])
        errors.append(middle - math.log(curve.s50))
        runs.append(sum(n for _, n in counts.values()))
    return {
        "runs": float(np.mean(runs)),
        "RMS error": math.exp(math.sqrt(np.mean(np.square(errors)))),
    }


def paired(
    generator: np.random.Generator,
    curves: tuple[Curve, Curve],
    tried: tuple[int, ...],
    seeds: int,
    correlation: float,
) -> tuple[Outcomes, Outcomes]:
    """Runs of two cells; what makes a replicate hard for one makes it hard for the other."""
    outcomes: tuple[dict[int, dict[int, bool]], ...] = ({}, {})
    for length in tried:
        shared = generator.normal(size=seeds)
        for curve, found in zip(curves, outcomes, strict=True):
            own = generator.normal(size=seeds)
            luck = math.sqrt(correlation) * shared + math.sqrt(1 - correlation) * own
            solved = special.ndtr(luck) < curve.share(length)
            found[length] = dict(enumerate(solved.tolist()))
    return outcomes[0], outcomes[1]


SHEET_LENGTHS = (5, 10, 15, 20, 30, 40, 60, 80)


def comparison_row(
    generator: np.random.Generator,
    number: int,
    *,
    seeds: int,
    shape: tuple[float, ...] = SHAPES["shallow, 10 % lapses"],
    correlation: float = 0.3,
    factor: float = 1.5,
) -> dict[str, float]:
    """Two copies of one cell compared, and cells whose spans differ by a factor."""
    null, power, holds, widths = [], [], [], []
    for _ in range(number):
        curve = Curve(generator.uniform(8, 30), *shape)
        longer = curve._replace(s50=factor * curve.s50)
        setting = (SHEET_LENGTHS, seeds, correlation)
        same = compare_spans(*paired(generator, (curve, curve), *setting))
        found = compare_spans(*paired(generator, (longer, curve), *setting))
        null.append(same.differs)
        power.append(found.differs)
        holds.append((found.low or 0) <= factor <= (found.high or math.inf))
        if found.low and found.high:
            widths.append(found.high / found.low)
    return {
        "two copies differ": float(np.mean(null)),
        f"x{factor} found": float(np.mean(power)),
        "coverage": float(np.mean(holds)),
        "median width": float(np.median(widths)),
    }


def comparisons(generator: np.random.Generator, number: int) -> dict[str, dict[str, float]]:
    """The fourth table."""
    rows = {
        f"{name}, {seeds} seeds, correlation {correlation}": comparison_row(
            generator, number, seeds=seeds, shape=SHAPES[name], correlation=correlation
        )
        for name in ("steep", "shallow, 10 % lapses")
        for seeds in (3, 10, 20)
        for correlation in (0.0, 0.6)
    }
    for seeds in (3, 10, 20):
        name = f"another curve (40 % to the end), {seeds} seeds"
        rows[name] = comparison_row(generator, number, seeds=seeds, shape=PLATEAU)
    return rows


def cpu_times(generator: np.random.Generator) -> dict[str, dict[str, float]]:
    """The last table, in milliseconds of CPU time."""
    studies = [family(generator, 20) for _ in range(50)]
    pairs = [
        paired(generator, (Curve(20, 0.2, 0.1), Curve(15, 0.2, 0.1)), SHEET_LENGTHS, 10, 0.3)
        for _ in range(5)
    ]
    tasks: dict[str, tuple[Callable[[Any], object], list[Any]]] = {
        "measure_span": (lambda study: measure_span(study.counts), studies),
        "place_round": (lambda study: place_round(study.counts, lengths(60)), studies),
        "compare_spans, 1,000 draws": (lambda pair: compare_spans(*pair), pairs),
    }
    rows = {}
    for name, (task, arguments) in tasks.items():
        task(arguments[0])  # tables that later calls share
        start = time.process_time()
        for argument in arguments:
            task(argument)
        rows[name] = {"ms": 1e3 * (time.process_time() - start) / len(arguments)}
    return rows


def show(title: str, rows: dict[str, dict[str, float]]) -> None:
    """Print a table."""
    names = list(next(iter(rows.values())))
    widths = [max(9, len(name) + 2) for name in names]
    print(f"\n{title:50s}" + "".join(f"{n:>{w}s}" for n, w in zip(names, widths, strict=True)))
    for name, row in rows.items():
        cells = zip(row.values(), widths, strict=True)
        print(f"{name:50s}" + "".join(f"{value:{width}.3f}" for value, width in cells), flush=True)


def main() -> None:
    """Simulate, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=1_000, help="simulated studies a row")
    number = parser.parse_args().studies
    generator = np.random.default_rng(0)
    tables = {}
    for title, make, share in (
        ("interval of S50", intervals, 1.0),
        ("estimators, as factors of the truth", estimators, 1.0),
        ("placement", placements, 0.4),
        ("comparison", comparisons, 0.4),
    ):
        studies = max(10, round(share * number))
        tables[f"{title} ({studies} studies a row)"] = rows = make(generator, studies)
        show(f"{title}, {studies} studies a row", rows)
    tables["CPU time a call (ms)"] = rows = cpu_times(generator)
    show("CPU time", rows)
    command = f"python benchmarks/span_simulation.py --studies {number}"
    keep("span-simulation", command, {"tables": tables}, with_versions=f", NumPy {np.__version__}")


if __name__ == "__main__":
    main()
