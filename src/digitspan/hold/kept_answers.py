"""What trained networks answered at lengths far beyond their training, as `holding.json` keeps it.

It does not import torch: `digitspan hold` asks and writes, `digitspan show` reads.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from digitspan.errors import UsageError
from digitspan.files import write_whole
from digitspan.hold.thresholds import holds
from digitspan.runs.ranges import is_count

__all__ = ["Answers", "read_kept_answers", "write_kept_answers"]

_FILE = "holding.json"
"""In the run's folder, or the study's."""


class Answers(NamedTuple):
    """How one network answered the palindromes of one length."""

    key: str
    """Of its run."""
    length: int
    """T of the palindromes."""
    right: int
    """How many it answered right."""
    tested: int
    """How many it was asked."""

    @property
    def holds(self) -> bool | None:
        """Whether it is right on 99 % of them; None where too few were asked to tell."""
        return holds(self.right, self.tested)


def read_kept_answers(folder: Path) -> list[Answers]:
    """The answers kept in a folder; none where `digitspan hold` has not been there.

    Raises:
        UsageError: where they are damaged.
    """
    file = folder / _FILE
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
        return [_answers(*entry) for entry in entries]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, RecursionError) as error:
        message = f"{file} is not what `digitspan hold` has written ({error}); remove it"
        raise UsageError(message) from error


def _answers(key: object, length: Any, right: Any, tested: Any) -> Answers:
    """One entry of the file.

    Raises:
        ValueError: where it cannot be what a network answered.
    """
    is_right = isinstance(key, str) and is_count(length) and is_count(right) and is_count(tested)
    if is_right and length >= 2 and right <= tested >= 1:
        return Answers(str(key), length, right, tested)
    message = f"no network answered {[key, length, right, tested]!r:.80}"
    raise ValueError(message)


def write_kept_answers(folder: Path, answers: Sequence[Answers]) -> None:
    """Keep answers in a folder, in place of those there."""
    text = json.dumps(answers)  # a tuple is a list in JSON
    write_whole(folder / _FILE, f"{text}\n".encode())
