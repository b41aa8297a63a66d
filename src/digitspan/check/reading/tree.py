"""Builds a syntax tree out of the data that the child sends: no Python is parsed here."""

from __future__ import annotations

import ast
from typing import Any

from digitspan.check.sandbox.child.reader.python import MAX_DEPTH, MAX_NODES

__all__ = ["tree_of"]

_NODES = {
    name: kind
    for name, kind in vars(ast).items()
    if isinstance(kind, type) and issubclass(kind, ast.AST)
}


class _Wrong(Exception):
    """The data is no syntax tree."""


def tree_of(nodes: object) -> ast.Module | None:
    """The syntax tree that `digitspan.check.sandbox.child.reader.python.flat` made data of.

    None where the data is none: what cannot be, such as a node in two places or a tree too deep
    to be walked, comes from no parser.
    """
    if not isinstance(nodes, list) or len(nodes) > MAX_NODES:
        return None
    built: list[tuple[ast.AST, int] | None] = []
    try:
        for entry in nodes:
            built.append(_node(entry, built))
    except (_Wrong, TypeError, ValueError, AttributeError):
        return None
    root = built[-1][0] if built and built[-1] else None
    return root if isinstance(root, ast.Module) else None


def _node(entry: Any, built: list[tuple[ast.AST, int] | None]) -> tuple[ast.AST, int]:
    """A node and its depth; the nodes in it are taken out of those that were built."""
    name, where, values = entry
    kind = _NODES[name] if isinstance(name, str) and name in _NODES else None
    if kind is None or not isinstance(values, list) or len(values) != len(kind._fields):
        raise _Wrong
    depths = [0]
    node = kind()
    for field, value in zip(kind._fields, values, strict=True):
        setattr(node, field, _value(value, built, depths))
    if where is not None:
        places = [int(place) if place is not None else None for place in where]
        node.lineno, node.col_offset, node.end_lineno, node.end_col_offset = places  # type: ignore[attr-defined]
    if max(depths) >= MAX_DEPTH:
        raise _Wrong
    return node, max(depths) + 1


def _value(value: Any, built: list[tuple[ast.AST, int] | None], depths: list[int]) -> Any:
    """The value of a field."""
    if not isinstance(value, list):
        return value
    match value:
        case ["n", int(place)] if 0 <= place < len(built) and built[place] is not None:
            taken = built[place]
            built[place] = None  # a node stands in one place
            assert taken is not None
            depths.append(taken[1])
            return taken[0]
        case ["l", list(items)]:
            if any(isinstance(item, list) and item[:1] == ["l"] for item in items):
                raise _Wrong
            return [_value(item, built, depths) for item in items]
        case ["x", str(name)] if name in _NODES and not _NODES[name]._fields:
            return _NODES[name]()
        case ["b", str(data)]:
            return bytes.fromhex(data)
        case ["e"]:
            return ...
        case ["t", str(text)]:
            return text
    raise _Wrong
