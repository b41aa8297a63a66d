"""What a run costs: its share of a study's time, and whether it fits into this machine at all."""

from __future__ import annotations

import os

from digitspan.cells import CELLS
from digitspan.errors import UsageError
from digitspan.runs.config import RunConfig
from digitspan.runs.growth import growth_of

__all__ = ["check_size", "cost"]


def cost(config: RunConfig) -> float:
    """What a training step of a run costs, in arbitrary units: for the order and the time left."""
    gates = CELLS[config.cell].gates if config.cell in CELLS else 4
    per_digit = gates * (config.hidden_size + 32) * (config.hidden_size * config.batch_size + 4096)
    return float(config.length - 1 + 2) * per_digit


def check_size(config: RunConfig) -> None:
    """Refuse a training that does not fit into memory, outlasts a year, or ends before its list.

    All are estimates from below: activations and optimiser in float32, 10^11 operations a second,
    lists that are learned as soon as they are long enough.

    Raises:
        UsageError: with the size it would take.
    """
    most = growth_of(config.task).most_items(config.train_steps)
    if config.measures_span and config.length > 2 * most:
        rule = growth_of(config.task)
        message = (
            f"lists of {config.items:,} items cannot be expected within {config.train_steps:,} "
            f"training steps: a list grows after {rule.batches} batches of its length, and "
            f"{100 * rule.present_share:.0f} % of the batches have it, so {most:,} items are the "
            f"most on average; choose fewer items or more training steps"
        )
        raise UsageError(message)
    gates = CELLS[config.cell].gates if config.cell in CELLS else 1
    n, d, steps_in = config.hidden_size, config.input_size, config.length - 1
    long = f"T = {config.length:,}" if config.items is None else f"{config.items:,} items"
    weights = gates * n * (n + d + 1) + config.num_classes * (n + 1)
    activations = config.batch_size * steps_in * (d + 2 * gates * n)
    memory = 4 * (4 * weights + activations)
    available = _physical_memory()
    if memory > available:
        message = (
            f"training {config.cell} at {long}, hidden size {n:,}, batch size "
            f"{config.batch_size:,} takes about {memory / 2**30:,.1f} GiB of memory, and this "
            f"machine has {available / 2**30:,.1f} GiB; choose a smaller one"
        )
        raise UsageError(message)
    operations = 6 * config.batch_size * steps_in * gates * n * (n + d) * config.train_steps
    days = operations / 1e11 / 86400
    if days > 365:
        message = (
            f"training {config.cell} at {long}, hidden size {n:,} for "
            f"{config.train_steps:,} steps takes about {days:,.0f} days or more; choose a smaller "
            f"one, at most a year is begun"
        )
        raise UsageError(message)


def _physical_memory() -> int:
    """This machine's memory in bytes; 16 GiB where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 16 * 2**30
