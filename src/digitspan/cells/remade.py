"""Whether a class or function is still what its text makes of it, or was changed afterwards.

`Mine.forward = forward` and `Mine.scale = 3.0` are in no text of the class, and another process
would train another network.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["changed_since"]

_FUTURE = "from __future__ import annotations\n"

_PLAIN = (int, float, complex, str, bytes, types.NoneType)

_DEPTH = 8
"""How far functions are followed into those that they hold, as a decorator's does."""


def changed_since(thing: Any, again: Any, text: str) -> str:
    """The first part of a class or function that its text makes otherwise; empty: there is none.

    Args:
        thing: as it is now.
        again: made anew of the text.
        text: that of its module, annotations left unread.
    """
    # Annotations inside functions are code, and the notebook's may have been read.
    read = compile(text.removeprefix(_FUTURE), "<text>", "exec", dont_inherit=True)
    return _changed(thing, again, list(_codes(read)))


def _changed(thing: Any, again: Any, codes: Sequence[types.CodeType]) -> str:
    name = str(thing.__name__)
    if not isinstance(thing, type) or not isinstance(again, type):
        return "" if _same(thing, again, codes, 0) else name
    now, then = vars(thing), vars(again)
    for each in sorted(now.keys() | then.keys()):
        either = now.get(each, then.get(each))
        if each.startswith("__") and each.endswith("__") and not inspect.isfunction(either):
            continue  # what Python itself notes of a class
        if each not in now or each not in then or not _same(now[each], then[each], codes, 0):
            return f"{name}.{each}"
    return ""


def _same(one: Any, other: Any, codes: Sequence[types.CodeType], depth: int) -> bool:
    """Whether two values do the same, as far as functions, classes and plain values go."""
    if depth > _DEPTH or one is other:
        return True
    if type(one).__qualname__ != type(other).__qualname__:
        return False
    if isinstance(one, type):
        return depth > 0 or not _changed(one, other, codes)
    pairs: list[tuple[Any, Any]] = []
    if isinstance(one, staticmethod | classmethod):
        pairs = [(one.__func__, other.__func__)]
    elif isinstance(one, property):
        pairs = [(one.fget, other.fget), (one.fset, other.fset), (one.fdel, other.fdel)]
    elif inspect.isfunction(one):
        if not _same_code(one.__code__, other.__code__, codes):
            return False
        pairs = [(_held_by(one), _held_by(other))]
    elif isinstance(one, list | tuple):
        if len(one) != len(other):
            return False
        pairs = list(zip(one, other, strict=True))
    elif isinstance(one, dict):
        pairs = [(list(one.items()), list(other.items()))]
    elif isinstance(one, set | frozenset):
        pairs = [(sorted(map(repr, one)), sorted(map(repr, other)))]
    elif isinstance(one, _PLAIN):
        return repr(one) == repr(other)
    return all(_same(*pair, codes, depth + 1) for pair in pairs)


def _held_by(function: Any) -> list[Any]:
    """The values that a function has beside its code: its defaults, and what encloses it."""
    held = [function.__defaults__, function.__kwdefaults__]
    for cell in function.__closure__ or ():
        try:
            held.append(cell.cell_contents)
        except ValueError:  # nothing in it yet
            held.append(None)
    return held


def _same_code(
    one: types.CodeType, other: types.CodeType, codes: Sequence[types.CodeType]
) -> bool:
    if _equal(one, other):
        return True
    named = [code for code in codes if one.co_qualname == other.co_qualname == code.co_qualname]
    return any(_equal(one, code) for code in named)


def _equal(one: Any, other: Any) -> bool:
    """Whether two codes, or two constants of them, are one, wherever they stand."""
    if not isinstance(one, types.CodeType) or not isinstance(other, types.CodeType):
        return type(one) is type(other) and (one == other or repr(one) == repr(other))
    parts = (
        "co_code", "co_names", "co_varnames", "co_freevars", "co_cellvars", "co_argcount",
        "co_posonlyargcount", "co_kwonlyargcount", "co_exceptiontable",
    )  # fmt: skip
    return (
        all(getattr(one, part) == getattr(other, part) for part in parts)
        and len(one.co_consts) == len(other.co_consts)
        and all(map(_equal, one.co_consts, other.co_consts))
    )


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """All code in some code."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)
