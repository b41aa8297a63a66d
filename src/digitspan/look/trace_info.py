"""Why a network remembers or forgets, in numbers: gradient flow, gates, memory by step."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from digitspan.cells import title
from digitspan.figures.palette import save_all
from digitspan.look.probe import held_out_rows, trace_batch
from digitspan.look.trace_drawing import (
    draw_gates,
    draw_gradient_flow,
    draw_kept_gradient,
    draw_memory,
)
from digitspan.runs.config import RunConfig
from digitspan.statistics import memory_bits
from digitspan.study.crew.apart import Ask, here
from digitspan.tasks import NUM_CLASSES
from digitspan.tasks.palindrome import draw_training
from digitspan.tasks.questions import encode
from digitspan.tasks.seeds import seed_of
from digitspan.training.engine import build_network, input_dtype, load_network

__all__ = [
    "KEPT",
    "FlowSeries",
    "Gates",
    "GradientFlow",
    "KeptGradient",
    "KeptSeries",
    "Memory",
    "MemorySeries",
    "gates_info",
    "gradient_flow_info",
    "kept_gradient_info",
    "memory_info",
    "write_trace_figures",
]

KEPT = "vanishing-or-kept"
"""Stem of the figure that contrasts solved runs with unsolved ones."""

FLOW_LENGTH = 100
"""T of the palindromes through which the gradient is followed."""

UNTRAINED_SEEDS = 5
"""Untrained networks of each cell."""

NUM_PALINDROMES = 10
"""Palindromes over which a norm or a gate is averaged."""

NUM_FITTED, NUM_TESTED = 2_000, 1_000
"""Palindromes to which a read-out is fitted, and on which it is tested."""

Run = tuple[RunConfig, bytes]
"""A trained network: its configuration, and its weights as a safetensors file."""


class FlowSeries(NamedTuple):
    """The gradient through the networks of one cell."""

    label: str
    """The cell's name, and whether and how long it was trained."""
    cell: str
    """The cell's name in the registry."""
    trained: bool
    """Whether these are trained networks; else they are untrained."""
    norms: np.ndarray
    """||dL/dh(t)||, geometric mean over the palindromes, shape (S, T - 1): one row per network."""

    @property
    def median(self) -> int:
        """The row of the network in the middle, by what reaches step 1.

        Norms of networks may differ by thirty decades: their mean is like none of them.
        """
        return int(np.argsort(self.norms[:, 0], kind="stable")[(len(self.norms) - 1) // 2])


class GradientFlow(NamedTuple):
    """The gradient that reaches each step, for trained and untrained networks."""

    series: tuple[FlowSeries, ...]
    """Untrained and trained, one pair per cell."""
    caption: str
    """What the figure shows, in words."""


class KeptSeries(NamedTuple):
    """How much of the gradient one network keeps on the way back, before training and after."""

    cell: str
    """The cell's name in the registry."""
    solved: bool
    """Whether its run was solved."""
    before: np.ndarray
    """||dL/dh(T - 1 - k)|| / ||dL/dh(T - 1)|| of the untrained network for k = 0, 1, ... at the
    run's own length T, (T - 1,)."""
    after: np.ndarray
    """The same of the trained network, (T - 1,)."""


class KeptGradient(NamedTuple):
    """Whether the gradient vanishes or is kept, in solved runs beside unsolved ones."""

    series: tuple[KeptSeries, ...]
    """One a run."""
    caption: str
    """What the figure shows, in words."""


class Gates(NamedTuple):
    """The gates of one network over the steps."""

    cell: str
    """The cell's name in the registry."""
    means: Mapping[str, np.ndarray]
    """By the gate's symbol: mean over units and palindromes, (T - 1,) each."""
    low: Mapping[str, np.ndarray]
    """Their 10 % quantiles over units and palindromes, (T - 1,) each."""
    high: Mapping[str, np.ndarray]
    """Their 90 % quantiles, (T - 1,) each."""
    untrained: Mapping[str, np.ndarray]
    """The means of the same network before it was trained, (T - 1,) each."""
    caption: str
    """What the figure shows, in words."""


class MemorySeries(NamedTuple):
    """What a linear read-out finds of x_1 in one state of one network."""

    label: str
    """The cell's name and the state's symbol."""
    cell: str
    """The cell's name in the registry."""
    state: str
    """The state's field, such as "hidden"."""
    bits: np.ndarray
    """I(x_1; read-out of the state after step t) on held-out palindromes, in bits, (T - 1,)."""


class Memory(NamedTuple):
    """How much of the first digit is left in the state, step by step."""

    series: tuple[MemorySeries, ...]
    """One a state of each network."""
    caption: str
    """What the figure shows, in words."""


def gradient_flow_info(
    runs: Sequence[Run],
    *,
    length: int,
    untrained_seeds: int = UNTRAINED_SEEDS,
    ask: Ask = here,
) -> GradientFlow:
    """Follow the gradient through untrained networks and trained ones.

    Args:
        runs: trained networks; those of one cell are its seeds.
        length: T of the palindromes they are asked, whatever they were trained at.
        untrained_seeds: untrained networks of each cell.
        ask: where networks of cells of one's own are asked.
    """
    by_cell: dict[str, list[Run]] = defaultdict(list)
    for config, weights in runs:
        by_cell[config.cell].append((config, weights))
    series = []
    for cell, found in by_cell.items():
        config = found[0][0]
        starts = [dataclasses.replace(config, seed=seed) for seed in range(untrained_seeds)]
        at = ", ".join(str(t) for t in sorted({c.length for c, _ in found}))
        for networks, label in (
            ([(start, b"") for start in starts], f"{title(cell, by_cell)}, untrained"),
            (found, f"{title(cell, by_cell)}, trained at T = {at}"),
        ):
            norms = [ask(config, _norms, *network, length, config) for network in networks]
            series.append(FlowSeries(label, cell, networks is found, np.array(norms)))
    seeds = ", ".join(f"{len(s.norms)} of {s.label}" for s in series)
    caption = (
        f"The gradient that reaches each step, ||dL/dh(t)||, of the loss after the last digit of "
        f"palindromes of length T = {length}; geometric mean over {NUM_PALINDROMES} of them. "
        f"Thin: every network ({seeds}); thick: the one in the middle, by what reaches step 1. On "
        f"this axis a straight line is an exponential."
    )
    return GradientFlow(tuple(series), caption)


def kept_gradient_info(runs: Sequence[tuple[Run, bool]], ask: Ask = here) -> KeptGradient:
    """Follow the gradient back through every run's network, as it began and as it ended.

    Args:
        runs: trained networks, and whether each of their runs was solved; some were, some not.
        ask: where networks of cells of one's own are asked.
    """
    series = []
    for (config, weights), solved in runs:
        before, after = (
            np.array(ask(config, _norms, config, kept, config.length, config)[::-1])
            for kept in (b"", weights)
        )
        series.append(KeptSeries(config.cell, solved, before / before[0], after / after[0]))
    cells = dict.fromkeys(one.cell for one in series)
    caption = (
        f"What reaches a step, of what reaches the last one: ||dL/dh(t)|| / ||dL/dh(T - 1)||, "
        f"geometric mean over {NUM_PALINDROMES} held-out palindromes of the run's own length T. "
        f"One line a run; thick, of each kind, the run in the middle where its shortest ends. "
        f"{' '.join(_kept_words(series, cell, title(cell, cells)) for cell in cells)} "
        f"A line tells how a network came out, not why."
    )
    return KeptGradient(tuple(series), caption)


def _kept_words(series: Sequence[KeptSeries], cell: str, name: str) -> str:
    """The medians of a cell's solved and unsolved runs, as far back as half of either go."""
    kinds = {
        f"{how}solved": [one for one in series if (one.cell, one.solved) == (cell, not how)]
        for how in ("", "un")
    }
    middle = [sorted(map(_steps, found))[len(found) // 2] for found in kinds.values() if found]
    back = min(middle) - 1

    def words(kind: str, found: Sequence[KeptSeries]) -> str:
        if not found:
            return f"no {kind} run"
        some = [one for one in found if _steps(one) > back]
        before = np.median([one.before[back] for one in some])
        after = np.median([one.after[back] for one in some])
        lengths = sorted({_steps(one) + 1 for one in some})
        runs = f"{len(some)} {kind} run{'s' * (len(some) != 1)}"
        to = f" to {lengths[-1]}" * (len(lengths) > 1)
        return f"{before:.1g} before training, {after:.1g} after it ({runs}, T = {lengths[0]}{to})"

    found = "; ".join(words(kind, runs) for kind, runs in kinds.items())
    return f"{name}, {back} steps before the last, medians: {found}."


def _steps(one: KeptSeries) -> int:
    return len(one.after)


def gates_info(config: RunConfig, weights: bytes, ask: Ask = here) -> Gates | None:
    """The gates of one network over the steps; None where its cell has none."""
    trained = _arrays(ask(config, _gates, config, weights))
    if not trained["means"]:
        return None
    untrained = _arrays(ask(config, _gates, config, b""))
    caption = (
        f"The gates of {config.run_id} over {NUM_PALINDROMES} held-out palindromes of length "
        f"T = {config.length}: mean over all units, and the band that holds 80 % of them; dashed: "
        f"the mean before training."
    )
    return Gates(
        cell=config.cell,
        means=trained["means"],
        low=trained["low"],
        high=trained["high"],
        untrained=untrained["means"],
        caption=caption,
    )


def memory_info(runs: Sequence[Run], ask: Ask = here) -> Memory:
    """How well a linear read-out finds x_1 in the state, step by step.

    At each step t a least-squares read-out with a little weight decay is fitted to the states of
    2,000 training palindromes, one for each state; its answers to 1,000 held-out palindromes give
    the information in bits. The network's own read-out sees no more than h(T - 1).

    Args:
        runs: trained networks.
        ask: where networks of cells of one's own are asked.
    """
    series = []
    cells = {config.cell for config, _ in runs}
    for config, weights in runs:
        for name, bits in ask(config, _memory, config, weights).items():
            label = f"{title(config.cell, cells)}, T = {config.length}, {name} state"
            series.append(MemorySeries(label, config.cell, name, np.array(bits)))
    caption = (
        "How much a linear read-out finds of the first digit in the state after each step, in "
        "bits: I(x_1; its answer) on held-out palindromes, of log2 10 = 3.32 possible. A read-out "
        "is fitted for every step."
    )
    return Memory(tuple(series), caption)


def write_trace_figures(
    runs: Sequence[Run],
    folder: Path,
    *,
    seeds: Sequence[Run] = (),
    ended: Sequence[tuple[Run, bool]] = (),
    ask: Ask = here,
) -> list[str]:
    """Write gradient-flow, gates, memory and vanishing-or-kept as SVG and PNG; their names.

    Args:
        runs: the networks to look into; the first that has gates is drawn in gates.svg.
        folder: where; it exists.
        seeds: further networks of the same cells, for the gradient flow.
        ended: networks and whether their runs were solved; where only some were, and some not,
            vanishing-or-kept is drawn of them.
        ask: where networks of cells of one's own are asked.

    Raises:
        DigitspanError: where the disk is full.
    """
    flow = gradient_flow_info([*runs, *seeds], length=FLOW_LENGTH, ask=ask)
    drawn = {"gradient-flow": draw_gradient_flow(flow)}
    gates = next(filter(None, (gates_info(*run, ask) for run in runs)), None)
    if gates is not None:
        drawn["gates"] = draw_gates(gates)
    drawn["memory"] = draw_memory(memory_info(runs, ask))
    if len({solved for _, solved in ended}) == 2:
        drawn[KEPT] = draw_kept_gradient(kept_gradient_info(ended, ask))
    return save_all(drawn, folder, ("gradient-flow", "gates", "memory", KEPT))


def _network(config: RunConfig, weights: bytes) -> nn.Module:
    """The trained network; without weights, as it was before training."""
    return load_network(config, weights) if weights else build_network(config)


def _norms(config: RunConfig, weights: bytes, length: int, asked: RunConfig) -> list[float]:
    """||dL/dh(t)||, geometric mean over some palindromes of the run `asked`, (T - 1,)."""
    rows = held_out_rows(asked, "validation", NUM_PALINDROMES, length=length)
    seen = trace_batch(_network(config, weights), *rows, input_size=config.input_size)
    norms = np.maximum(next(iter(seen.gradient_norms.values())), np.finfo(float).tiny)
    means: list[float] = np.exp(np.log(norms).mean(axis=0)).tolist()
    return means


def _gates(config: RunConfig, weights: bytes) -> dict[str, dict[str, list[float]]]:
    """The gates on some palindromes: "means" and "low" and "high" quantiles, (T - 1,) each."""
    rows = held_out_rows(config, "test", NUM_PALINDROMES)
    seen = trace_batch(_network(config, weights), *rows, input_size=config.input_size)
    found = seen.gates.items()  # (B, T - 1, N) each
    return {
        "means": {name: values.mean(axis=(0, 2)).tolist() for name, values in found},
        "low": {name: np.quantile(values, 0.1, axis=(0, 2)).tolist() for name, values in found},
        "high": {name: np.quantile(values, 0.9, axis=(0, 2)).tolist() for name, values in found},
    }


def _arrays(found: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, np.ndarray]]:
    """The same with arrays for lists."""
    return {
        kind: {name: np.array(values) for name, values in by_name.items()}
        for kind, by_name in found.items()
    }


def _memory(config: RunConfig, weights: bytes) -> dict[str, list[float]]:
    """What a read-out of each state finds after each step, in bits, (T - 1,) each."""
    generator = torch.Generator().manual_seed(seed_of("read-out"))
    fitted = draw_training(config.length, NUM_FITTED, generator)
    inputs, targets = map(torch.from_numpy, held_out_rows(config, "test", NUM_TESTED))
    network = load_network(config, weights)
    fit_states = _states(network, fitted.inputs, config)
    test_states = _states(network, inputs, config)
    return {
        name: [
            _bits(states[t], fitted.targets, test_states[name][t], targets)
            for t in range(config.length - 1)
        ]
        for name, states in fit_states.items()
    }


@torch.no_grad()
def _states(network: Any, inputs: Tensor, config: RunConfig) -> dict[str, list[Tensor]]:
    """The state after each step by its field's name, T - 1 tensors (B, N) each."""
    encoded = encode(inputs, config.input_size, input_dtype(network))
    state = network.initial_state(len(encoded))
    states: dict[str, list[Tensor]] = defaultdict(list)
    for t in range(encoded.shape[1]):
        state = network.step(encoded[:, t], state)
        for name, values in state._asdict().items():
            states[name].append(values)
    return states


def _bits(fit: Tensor, fit_targets: Tensor, test: Tensor, test_targets: Tensor) -> float:
    """What a least-squares read-out fitted to (B, N) finds on other states, in bits.

    W = (H^T H + lambda I)^-1 H^T Y, with standardised H, one-hot Y, lambda a thousandth of B.
    """
    mean, scale = fit.double().mean(dim=0), fit.double().std(dim=0) + 1e-6
    H, H_test = (fit - mean) / scale, (test - mean) / scale
    Y = torch.nn.functional.one_hot(fit_targets, NUM_CLASSES).double() - 1 / NUM_CLASSES
    decay = 1e-3 * len(H) * torch.eye(H.shape[1], dtype=torch.float64)
    W = torch.linalg.solve(H.T @ H + decay, H.T @ Y)
    answers = (H_test @ W).argmax(dim=1)
    counts = np.zeros((NUM_CLASSES, NUM_CLASSES), dtype=np.int64)
    np.add.at(counts, (test_targets.numpy(), answers.numpy()), 1)
    return memory_bits(counts)
