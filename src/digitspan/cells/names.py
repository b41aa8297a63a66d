"""The name of a cell of one's own, `module:Class` or `module:Class(layers=3)`, read as data.

Arguments are literals, by name: a name is parsed and never run. `length=T` stands for the T of the
run, which a constructor that asks for `length` is given. A name has one spelling, its arguments in
the order of the alphabet, so that one cell has one key, one row and one colour.
"""

from __future__ import annotations

import ast
import hashlib
import math
import re
import warnings
from typing import Any, NamedTuple

__all__ = ["LENGTH", "OwnName", "file_name", "own_name"]

SIZES = ("input_size", "hidden_size", "num_classes")
"""Arguments that every cell is built with; the run has their values."""

LENGTH = "length"
"""The argument for which T is given where a constructor asks for it."""

_MOST_LETTERS = 300
"""Of a name; a longer one is a slip, and a parser may be slow on it."""

_SHOWN_LETTERS = 80
"""Of a name within that of a file, which has 255 at most."""

_T = "T"
"""What stands for the run's T in a name, where all else is a literal."""


class OwnName(NamedTuple):
    """What the name of a cell of one's own says."""

    module: str
    """Where its class is."""
    attribute: str
    """The class, or a function that makes a network."""
    arguments: dict[str, Any]
    """Literals that it is built with besides its sizes; sorted by name."""
    knows_length: bool = False
    """Whether it is built with `length`, the T of its run."""

    @property
    def title(self) -> str:
        """Its name in tables and figures: `Cell(dt=0.1, layers=3)`, `Cell (knows T)`."""
        return f"{self.attribute}{self._called(self._words())}" + (
            " (knows T)" if self.knows_length else ""
        )

    def given(self, argument: str, value: object) -> str:
        """The name of the cell that is built with one argument more."""
        return str(
            self._replace(arguments=dict(sorted({**self.arguments, argument: value}.items())))
        )

    def __str__(self) -> str:
        """The name in its one spelling."""
        words = self._words() + ([f"{LENGTH}={_T}"] if self.knows_length else [])
        return f"{self.module}:{self.attribute}{self._called(sorted(words))}"

    def _words(self) -> list[str]:
        return [f"{name}={value!r}" for name, value in self.arguments.items()]

    @staticmethod
    def _called(words: list[str]) -> str:
        return f"({', '.join(words)})" if words else ""


def own_name(text: str) -> OwnName:
    """What a name says.

    Raises:
        ValueError: with what is wrong with it: "must have ...".

    >>> str(own_name("mine:Cell(layers=3,dt=.1)"))
    'mine:Cell(dt=0.1, layers=3)'
    >>> own_name("mine:Cell(length=T)").title
    'Cell (knows T)'
    """
    module, _, call = text.partition(":")
    name, bracket, _ = call.partition("(")
    if not all(part.isidentifier() for part in [*module.split("."), name]):
        message = "must be module:Class, two names of Python"
        raise ValueError(message)
    if not bracket:
        return OwnName(module, name, {})
    expected = f"must have literals by name as its arguments, such as {name}(layers=3)"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a backslash in a text, say
            tree = ast.parse(call[:_MOST_LETTERS].strip(), mode="eval").body
        if len(call) > _MOST_LETTERS or not isinstance(tree, ast.Call) or tree.args:
            raise ValueError(expected)
        values: dict[str, Any] = {}
        knows_length = False
        for keyword in tree.keywords:
            if keyword.arg is None or keyword.arg in values:
                raise ValueError(expected)
            if keyword.arg == LENGTH and getattr(keyword.value, "id", "") == _T:
                knows_length = True
                continue
            values[keyword.arg] = ast.literal_eval(keyword.value)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(expected) from error
    if not isinstance(tree.func, ast.Name) or not all(map(_is_plain, values.values())):
        raise ValueError(expected)
    if given := [size for size in SIZES if size in values]:
        message = f"must leave {given[0]} to the run, which gives it"
        raise ValueError(message)
    return OwnName(module, name, dict(sorted(values.items())), knows_length)


def file_name(cell: str) -> str:
    """A cell's name within that of a file: `mine.Cell(dt=0.1,layers=3)`.

    What a file's name should not have becomes `_`, and part of a hash then tells such cells apart.
    """
    plain = cell.replace(":", ".", 1).replace(", ", ",")
    safe = re.sub(r"[^\w.,=()+-]", "_", plain, flags=re.ASCII)[:_SHOWN_LETTERS]
    return safe if safe == plain else f"{safe}-{hashlib.sha256(cell.encode()).hexdigest()[:6]}"


def _is_plain(value: object) -> bool:
    """Whether a literal has one spelling, which reads as itself again."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(map(_is_plain, [*value.keys(), *value.values()]))
    if isinstance(value, str):
        return value.isprintable() and "$" not in value  # which begins a formula in a figure
    return value is None or isinstance(value, bool | int)
