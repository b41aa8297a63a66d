"""The hidden size that brings a network's number of parameters nearest to one asked for."""

from __future__ import annotations

import dataclasses

from digitspan.cells.own import is_own
from digitspan.cells.seal import sealed
from digitspan.errors import UsageError, printable
from digitspan.runs.config import RunConfig
from digitspan.training.engine import build_network

__all__ = ["hidden_size_for"]

_LARGEST = 2**16
"""Hidden sizes are looked for up to it."""

_BESIDE = 64
"""So many sizes are tried beside one that a cell refuses, as one whose heads must divide it."""


def hidden_size_for(config: RunConfig, parameters: int) -> tuple[int, int]:
    """The hidden size whose network has nearest to so many parameters, and how many it has.

    Networks are built, whatever their cell: doubled until one has as many, then halved between.

    Args:
        config: of a run of the cell, whose hidden size does not matter.
        parameters: how many are asked for.

    Raises:
        UsageError: where no hidden size changes their number, or none can be built.
    """
    found: dict[int, int] = {}
    failed = ""

    def count(size: int) -> int | None:
        """How many a network of that size has; None where the cell refuses it."""
        nonlocal failed
        if size not in found:
            try:
                with sealed():
                    network = build_network(dataclasses.replace(config, hidden_size=size))
            except UsageError:
                raise
            except Exception as error:  # whatever the code of somebody else may raise
                if not is_own(config.cell):
                    raise
                failed = printable(f"{type(error).__name__}: {error}")[:200]
                return None
            found[size] = sum(parameter.numel() for parameter in network.parameters())
        return found[size]

    low = high = 1
    while high <= _LARGEST and ((count(high) or 0) < parameters or len(found) < 2):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        near = sorted(range(low + 1, high), key=lambda size: abs(size - middle))[:_BESIDE]
        size = next((size for size in near if count(size) is not None), None)
        if size is None:
            break
        low, high = (size, high) if found[size] < parameters else (low, size)
    if not found or max(found.values()) == min(found.values()) != parameters:
        why = f" ({failed})" if failed else ""
        message = (
            f"no hidden size of {config.cell} has {parameters:,} parameters: those tried have "
            f"{', '.join(f'{number:,}' for number in sorted(set(found.values()))) or 'none'}{why}"
        )
        raise UsageError(message)
    best = min(found, key=lambda size: (abs(found[size] - parameters), size))
    return best, found[best]
