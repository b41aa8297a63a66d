"""The holding span: how long trained networks keep a digit, at lengths far beyond their training.

Fixed palindromes are made and read piece by piece, in constant memory. A network holds a length
if it answers 99 % of them (docs/protocol.md, section 10).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from torch import Tensor

from digitspan.errors import UsageError
from digitspan.hold.kept_answers import Answers
from digitspan.runs.config import RunConfig
from digitspan.tasks.palindrome import very_long
from digitspan.training.engine import answer_in_pieces, build_network, load_network
from digitspan.training.machine import one_thread

__all__ = ["ask", "check_can_be_asked"]

_DIGITS_AT_ONCE = 2_000
"""Digits of each palindrome that are made at a time."""


def check_can_be_asked(config: RunConfig) -> None:
    """Refuse a run whose network cannot be asked very long palindromes.

    Raises:
        UsageError: where its cell has no `step`.
    """
    if not hasattr(build_network(config), "step"):
        message = (
            f"{config.cell} cannot read long strings: it has no step(x, state); "
            f"docs/own-cell.md says what a cell needs for that"
        )
        raise UsageError(message)


def ask(
    networks: Mapping[RunConfig, bytes],
    length: int,
    count: int,
    *,
    on_step: Callable[[int], None] = lambda read: None,
) -> list[Answers]:
    """Ask networks of one cell, encoding and hidden size `count` palindromes of any length T.

    Args:
        networks: by their runs, their weights.
        length: T.
        count: how many palindromes.
        on_step: is told how many digits of each have been read.

    Raises:
        UsageError: as `check_can_be_asked`.
    """
    configs = list(networks)
    check_can_be_asked(configs[0])
    built = [load_network(config, networks[config]) for config in configs]
    pieces = _pieces(length, count, on_step)
    with one_thread():
        logits = answer_in_pieces(built, pieces, configs[0].input_size)  # (R, B, K)
    targets = very_long(length, count, 0, 1)[:, 0]
    right: Sequence[int] = (logits.argmax(dim=2) == targets).sum(dim=1).tolist()
    return [
        Answers(config.key, length, number, count)
        for config, number in zip(configs, right, strict=True)
    ]


def _pieces(length: int, count: int, on_step: Callable[[int], None]) -> Iterator[Tensor]:
    """The T - 1 digits that go in, (B, some) each."""
    for first in range(0, length - 1, _DIGITS_AT_ONCE):
        stop = min(first + _DIGITS_AT_ONCE, length - 1)
        yield very_long(length, count, first, stop)
        on_step(stop)
