"""What a training step costs against T, n, batch and R, and the exponent of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from digitspan.bench.measure import Effort, in_turn
from digitspan.runs.config import RunConfig
from digitspan.tasks.palindrome import draw_training
from digitspan.training.engine import Trainer, TrainerGroup

__all__ = ["Cost", "costs", "draw_costs"]

_BASE = {"length": 20, "hidden_size": 128, "batch_size": 128}
_VARIED = {
    "T": ("length", (10, 30, 100, 300, 1000)),
    "n": ("hidden_size", (32, 64, 128, 256, 512)),
    "batch": ("batch_size", (32, 64, 128, 256, 512)),
    "R": ("networks", (1, 2, 4, 8, 16)),
}


class Cost(NamedTuple):
    """What a training step of the LSTM costs as one size grows."""

    size: str
    """T, n, batch or R."""
    values: tuple[int, ...]
    """Of the size."""
    milliseconds: tuple[float, ...]
    """Of a step, the median."""

    @property
    def exponent(self) -> float:
        """The slope in log-log, by least squares: cost grows as size to this power."""
        return float(np.polyfit(np.log(self.values), np.log(self.milliseconds), 1)[0])

    def to_json(self) -> dict[str, Any]:
        """The measurement as plain values."""
        return self._asdict() | {"exponent": self.exponent}


def costs(effort: Effort) -> Iterator[Cost]:
    """One size after another, the others at T = 20, n = 128 (for R: 32), batch 128, R = 1."""
    for size, (setting, values) in _VARIED.items():
        times = [_step_ms(setting, value, effort.seconds / len(values)) for value in values]
        yield Cost(size, values, tuple(times))


def draw_costs(measured: list[Cost], path: Path) -> None:
    """Draw one panel a size, with its exponent."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 2.8), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(measured), squeeze=False)[0]
    for axes, cost in zip(panels, measured, strict=True):
        axes.loglog(cost.values, cost.milliseconds, "o-")
        axes.set_xlabel(cost.size)
        axes.set_title(f"{cost.size}$^{{{cost.exponent:.2f}}}$")
        axes.set_xticks(cost.values, [f"{value:,}" for value in cost.values])
        axes.minorticks_off()
    figure.axes[0].set_ylabel("ms a training step")
    figure.suptitle("LSTM: cost against length, units, batch and networks at once")
    figure.savefig(path)


def _step_ms(setting: str, value: int, seconds: float) -> float:
    """The median of a training step with one size changed."""
    networks = value if setting == "networks" else 1
    # R is varied at n = 32, where many networks at once are worth it.
    changed = {"hidden_size": 32} if setting == "networks" else {setting: value}
    sizes: dict[str, Any] = _BASE | changed
    configs = [RunConfig(cell="lstm", seed=seed, **sizes) for seed in range(networks)]
    group = TrainerGroup([Trainer(config) for config in configs])
    length, batch_size = configs[0].length, configs[0].batch_size
    questions = draw_training(length, batch_size, torch.Generator().manual_seed(0))
    (timing,) = in_turn(lambda: group.step([questions] * networks), seconds=seconds)
    return timing.median_ms
