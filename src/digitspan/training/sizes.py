"""The hidden size that brings a network's number of parameters nearest to one asked for."""

from __future__ import annotations

import dataclasses
import math

from digitspan.cells.own import is_own
from digitspan.cells.seal import sealed
from digitspan.errors import UsageError, said_by
from digitspan.runs.config import RunConfig
from digitspan.runs.cost import check_size
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
        UsageError: where no hidden size changes their number, none can be built, or the nearest
            has fewer than half or more than twice as many.
    """
    found: dict[int, int] = {}
    failed = ""

    def count(size: int) -> float | None:
        """How many a network of that size has; None where the cell refuses it.

        One that is too large for this machine is not built, and has infinitely many.
        """
        nonlocal failed
        if size not in found:
            wanted = dataclasses.replace(config, hidden_size=size)
            try:
                check_size(wanted)
            except UsageError as error:
                failed = str(error)
                return math.inf
            try:
                with sealed():
                    network = build_network(wanted)
            except UsageError:
                raise
            except Exception as error:  # whatever the code of somebody else may raise
                if not is_own(config.cell):
                    raise
                failed = said_by(error)[:200]
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
        low, high = (size, high) if (count(size) or 0) < parameters else (low, size)
    best = min(found, key=lambda size: (abs(found[size] - parameters), size), default=0)
    is_fixed = len(set(found.values())) == 1 and found[best] != parameters
    if not found or is_fixed or not parameters / 2 <= found[best] <= 2 * parameters:
        why = f" ({failed})" if failed else ""
        numbers = [f"{number:,}" for number in sorted({*found.values()})]
        message = (
            f"no hidden size of {config.cell} has about {parameters:,} parameters: those tried "
            f"have {' to '.join(dict.fromkeys([*numbers[:1], *numbers[-1:]])) or 'none'}{why}"
        )
        raise UsageError(message)
    return best, found[best]
