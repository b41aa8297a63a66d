"""The one family of errors a user sees: one sentence each, and its exit status."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "ConfigError",
    "DigitspanError",
    "StoreError",
    "UsageError",
    "one_of",
    "printable",
    "said_by",
]


class DigitspanError(Exception):
    """Something did not hold or broke on the way; the message is one sentence for the user."""

    exit_status = 1


class UsageError(DigitspanError):
    """The call was wrong: what was wrong, what was expected, what was got, the next step."""

    exit_status = 2


class ConfigError(UsageError):
    """One setting of a configuration is wrong.

    Args:
        name: the setting, such as "learning_rate"; the command line shows it as an option.
        problem: the rest of the sentence: "must be above 0 and finite, got nan".
    """

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name} {problem}")
        self.name = name
        self.problem = problem


class StoreError(UsageError):
    """A study's store cannot be used: in use, damaged, of another program, of a newer version."""


def one_of(got: object, known: Iterable[str]) -> str:
    """The rest of a sentence about an unknown word: the known ones, and the nearest of them.

    >>> one_of("lstn", ["rnn", "lstm"])
    "must be one of rnn, lstm; got 'lstn' (did you mean lstm?)"
    """
    known = list(known)
    near = difflib.get_close_matches(str(got), known, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"must be one of {', '.join(known)}; got {str(got)[:80]!r}{hint}"


def printable(text: str) -> str:
    r"""A text whose every character is to be seen: what steers a terminal becomes an escape.

    Notes and names in a study may be somebody else's, and end in a terminal, a figure or a table.

    >>> print(printable("red\x1b[31m, and\na line"))
    red\x1b[31m, and a line
    """
    shown = (c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(text.splitlines()))
    return "".join(shown)


def said_by(error: BaseException) -> str:
    r"""What an exception of somebody else's code says, in one line; its class where it cannot.

    >>> said_by(ValueError("no such\nfile"))
    'ValueError: no such file'
    """
    name = type(error).__name__
    try:
        return printable(f"{name}: {error}")
    except BaseException:  # its __str__ is somebody else's code too
        return name
