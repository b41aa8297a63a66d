"""Reads Python and notebooks: text, why Python does not read it, and the syntax tree as data."""

from __future__ import annotations

import ast
import re
import warnings
import zlib
from typing import Any, NamedTuple

from .notebook import NotebookDamaged, code_of

__all__ = ["MAX_NODES", "Text", "flat", "read_source", "sketch"]

MAX_CHARACTERS = 500_000
MAX_NODES = 60_000
"""Of a file's syntax tree: some 5,000 lines of Python."""
MAX_DEPTH = 200
_EXTRA = "notebooks are read by nbformat and IPython, which are not installed here"

_CONFLICT = re.compile(r"^(<{7} |>{7} |={7}$)", re.MULTILINE)
_ENCODING = re.compile(rb"^((?:[^\n]*\n)?[ \t\f]*#.*?coding[:=][ \t]*)([-\w.]+)")
_DECLARED = re.compile(_ENCODING.pattern.decode())


class Text(NamedTuple):
    """A Python file or notebook, as it was read."""

    text: str
    """Its Python, with lines ended by a newline."""
    tree: ast.Module | None
    """None where it is not Python 3."""
    error: str
    """Why Python does not read it; empty where it does."""
    line: int
    """The line of that, in the text."""
    cells: list[int]
    """Of a notebook, the line of the text before the first of each code cell."""
    written: tuple[tuple[int, str], ...] = ()
    """Of a notebook, the code cells that are written to Python files, from 1, and to which."""
    missing: bool = False
    """Whether what reads a notebook is not installed."""


def read_source(name: str, data: bytes) -> Text:
    """Read a .py file or a notebook."""
    if not name.endswith(".ipynb"):
        text, error, line = _decoded(data)
        parsed = _parsed(text)
        return parsed if parsed.tree is None else parsed._replace(error=error, line=line)
    try:
        text, cells, written = code_of(data)
    except ImportError:
        return Text("", None, _EXTRA, 0, [], missing=True)
    except NotebookDamaged as damage:
        return Text("", None, str(damage), 0, [])
    return _parsed(text)._replace(cells=cells, written=tuple(written))


def flat(tree: ast.Module) -> list[list[Any]]:
    """A syntax tree as data: its nodes, each after those in it, the tree itself last.

    A node is [class, [line, column, end line, end column] or None, the values of its fields]. A
    value is a plain constant, ["n", the place of a node], ["l", values], ["x", the name of a
    context or an operator], ["b", hex of bytes], ["e"] for the ellipsis or ["t", text of what else
    a constant is].
    """
    nodes: list[list[Any]] = []
    places: dict[int, int] = {}
    # Post-order without recursion: what a file holds may be deeper than Python's stack.
    todo: list[tuple[ast.AST, bool]] = [(tree, False)]
    while todo:
        node, ready = todo.pop()
        if not ready:
            todo.append((node, True))
            todo += [(child, False) for child in ast.iter_child_nodes(node) if _whole(child)]
            continue
        where = None
        if hasattr(node, "lineno"):
            where = [getattr(node, name) for name in node._attributes]
        values = [_value(getattr(node, field, None), places) for field in node._fields]
        places[id(node)] = len(nodes)
        nodes.append([type(node).__name__, where, values])
    return nodes


def sketch(text: str) -> list[int]:
    """Hashes of runs of eight words of a program, a quarter of them: equal programs share all.

    Comments, docstrings, quotes and layout are left out; names count.
    """
    try:
        tree = ast.parse(text)
        for node in ast.walk(tree):
            if isinstance(getattr(node, "body", None), list):
                node.body = [  # type: ignore[attr-defined]
                    line
                    for line in node.body  # type: ignore[attr-defined]
                    if not (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))
                ] or [ast.Pass()]
        text = ast.unparse(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    words = re.findall(r"\w+|[^\w\s]", text)
    runs = (" ".join(words[i : i + 8]).encode() for i in range(max(1, len(words) - 7)))
    hashes = {zlib.crc32(run) for run in runs}
    return sorted(value for value in hashes if value % 4 == 0)[:4000]


def _parsed(text: str) -> Text:
    """A text with its syntax tree, or why there is none."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if len(text) > MAX_CHARACTERS:
        return Text("", None, f"it has more than {MAX_CHARACTERS:,} characters", 0, [])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except SyntaxError as error:
        conflict = _CONFLICT.search(text)
        if conflict:
            line = text.count("\n", 0, conflict.start()) + 1
            return Text(text, None, "a merge conflict was left in it", line, [])
        return Text(text, None, f"it is not Python 3: {error.msg}", error.lineno or 0, [])
    except (ValueError, RecursionError, MemoryError) as error:
        return Text(text, None, f"it cannot be read: {error}", 0, [])
    nodes, depth = _extent(tree)
    if nodes > MAX_NODES or depth > MAX_DEPTH:
        return Text(text, None, "it is too long or too deeply nested to be read", 0, [])
    return Text(text, tree, "", 0, [])


def _extent(tree: ast.Module) -> tuple[int, int]:
    """How many nodes a tree has, and how deep it is."""
    nodes, depth, level = 0, 0, [tree]
    below: list[Any] = list(level)
    while below and nodes <= MAX_NODES and depth <= MAX_DEPTH:
        nodes += len(below)
        depth += 1
        below = [child for node in below for child in ast.iter_child_nodes(node)]
    return nodes, depth


def _whole(node: ast.AST) -> bool:
    """Whether a node is more than its class: contexts and operators are not."""
    return bool(node._fields) or isinstance(node, (ast.stmt, ast.expr))


def _value(value: Any, places: dict[int, int]) -> Any:
    """The value of a field as data."""
    if isinstance(value, ast.AST):
        return ["n", places[id(value)]] if _whole(value) else ["x", type(value).__name__]
    if isinstance(value, list):
        return ["l", [_value(item, places) for item in value]]
    if isinstance(value, bytes):
        return ["b", value[:1000].hex()]
    if value is Ellipsis:
        return ["e"]
    if isinstance(value, str):
        return value[:10_000]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 10**15 else ["t", "int"]
    if isinstance(value, float) and abs(value) < 1e300:
        return value
    return ["t", type(value).__name__]


def _decoded(data: bytes) -> tuple[str, str, int]:
    """The text of a Python file by the encoding that it declares, UTF-8 where it declares none.

    With it why Python does not read it, and the line of that; empty and 0 where it does.
    """
    declared = _ENCODING.search(data[:400])
    name = declared.group(2).decode("ascii") if declared else "utf-8"
    try:
        text = data.decode("utf-8-sig" if name.lower().startswith("utf") else name)
    except LookupError:
        return data.decode("latin-1"), f"there is no encoding {name[:30]!r}", 1
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        reason = f"byte {data[error.start]:#x} is not {name[:30]}, in which Python reads it"
        return data.decode("cp1252", errors="replace"), reason, line
    except ValueError as error:  # an encoding that is none of text
        return data.decode("latin-1"), f"it cannot be decoded: {error}", 1
    # What the child is given is UTF-8.
    return _DECLARED.sub(r"\1utf-8", text, count=1) if declared else text, "", 0
