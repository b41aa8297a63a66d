"""What a value that is read from a file can be: a count, a finite number, a share."""

from __future__ import annotations

import sys
from typing import TypeGuard

__all__ = ["is_count", "is_finite", "is_share"]


def is_count(value: object) -> TypeGuard[int]:
    """Whether it is a whole number from 0 on, below 2^63."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def is_finite(value: object) -> TypeGuard[float]:
    """Whether it is a finite number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) <= sys.float_info.max


def is_share(value: object) -> TypeGuard[float]:
    """Whether it is a number in [0, 1]."""
    return is_finite(value) and 0 <= value <= 1
