"""Reads notebooks: by nbformat, and what IPython adds to Python by IPython's own transformer."""

from __future__ import annotations
import __future__

import ast
import difflib
import json
import re
import warnings
from typing import Any

__all__ = ["NotebookDamaged", "code_of"]

_CELL_MAGICS = re.compile(r"\s*(%%[^\n]*(\n|$))+")
_OTHER_LANGUAGE = re.compile(
    r"%%(!|(bash|sh|zsh|cmd|powershell|system|sx|script (?!.*python)|html|HTML|javascript|js|latex"
    r"|markdown|svg|SVG|perl|ruby|R|r|octave|matlab|julia|sql|bigquery|cpp|cu|cuda|nvcc|ai)\b"
    r"|(write)?file (?!.*\.py\b))"
)
"""Cell magics whose cell is no Python of this notebook; what any other begins may be."""
_TIMED = re.compile(
    r"^(\s*)get_ipython\(\)\.run_line_magic\('(?:time|prun)', ('[^'\n]*'|\"[^\"\n]*\")\)$",
    re.MULTILINE,
)
_SOUGHT = re.compile(r"^class \w*(rnn|lstm)", re.MULTILINE | re.IGNORECASE)
_WRITTEN = re.compile(r"%%(?:write)?file +(\S+\.py)[\"']? *$", re.MULTILINE)
"""A cell that is written to a Python file."""


class NotebookDamaged(Exception):
    """A notebook that cannot be read; the message says why."""


def code_of(data: bytes) -> tuple[str, list[int], list[tuple[int, str]]]:
    """The code cells of a notebook as one Python file.

    Returns:
        The text; for each code cell, in order, the line of the text before its first; and of each
        cell that is written to a Python file its number, from 1, and the file.

    Raises:
        NotebookDamaged: where it is none, or is cut off, or is in another language.
        ImportError: where nbformat or IPython is not installed.
    """
    import nbformat
    from IPython.core.inputtransformer2 import TransformerManager

    try:
        text = data.decode("utf-8-sig")
        document: Any = json.loads(text)
    except UnicodeDecodeError as error:
        reason = f"it is damaged: byte {error.start} is not UTF-8"
        raise NotebookDamaged(reason) from error
    except (ValueError, RecursionError) as error:
        where = "at its end" if _cut_off(error, text) else str(error)[:80]
        reason = f"it is damaged: not whole JSON, {where}"
        raise NotebookDamaged(reason) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if isinstance(document, dict) and "cells" in document:
                # Some tools leave out what is not needed to read the cells.
                document = {"metadata": {}, "nbformat": 4, "nbformat_minor": 4, **document}
                needed: dict[str, Any] = {
                    "metadata": {},
                    "outputs": [],
                    "execution_count": None,
                    "source": "",
                }
                document["cells"] = [{**needed, **cell} for cell in document["cells"]]
            text = json.dumps(document)
            book: Any = nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]
        cells = [_text_of(cell) for cell in book.cells if cell.get("cell_type") == "code"]
        kernel = book.get("metadata", {}).get("kernelspec") or {}
        language = str(kernel.get("language", "python")).lower()
    except Exception as error:  # whatever a file that is JSON and no notebook makes of it
        reason = f"it is no notebook: {type(error).__name__}: {str(error)[:80]}"
        raise NotebookDamaged(reason) from error
    if language not in ("python", "python3", "ipython", ""):
        reason = f"it is in {language[:30]}, expected Python"
        raise NotebookDamaged(reason)
    manager: Any = TransformerManager()  # type: ignore[no-untyped-call]
    # What holds from one cell on must stand first in a file.
    futures: dict[str, None] = {}
    pythons = [_python_of(cell, manager, futures) for cell in cells]
    lines = [f"from __future__ import {', '.join(futures)}"] if futures else []
    starts = []
    for python in pythons:
        starts.append(len(lines))
        lines += python or [""]
    heads = enumerate(map(_WRITTEN.match, cells), 1)
    written = [(number, _inside(found[1])) for number, found in heads if found]
    return "\n".join(lines) + "\n", starts, written


def _cut_off(error: Exception, text: str) -> bool:
    """Whether reading JSON stopped where the text does, in a string that was never closed too."""
    if not isinstance(error, json.JSONDecodeError):
        return False
    return error.pos >= len(text.rstrip()) - 1 or error.msg.startswith("Unterminated")


def _inside(path: str) -> str:
    """The path of a file that a notebook writes, inside its own folder."""
    parts = [part for part in path.strip("'\"~").split("/") if part.strip(".")]
    return "/".join(parts[-2:] if path.startswith("/") else parts)


def _text_of(cell: Any) -> str:
    """The text of a cell."""
    text = cell.get("source", "")
    text = "".join(map(str, text)) if isinstance(text, list) else str(text)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _python_of(cell: str, manager: Any, futures: dict[str, None]) -> list[str]:
    """The Python of a cell, line by line as it stands there; none where there is none.

    What it imports from the future is put among the futures instead.
    """
    count = cell.count("\n") + 1
    blank = [""] * count
    head = _CELL_MAGICS.match(cell)
    if head is not None:
        if any(map(_OTHER_LANGUAGE.match, head.group().strip().split("\n"))):
            return blank
        # Comments keep the place.
        cell = head.group().replace("%%", "# ") + cell[head.end() :]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            transformed = str(manager.transform_cell(cell))
    except SyntaxError:
        transformed = cell
    # What is only timed is Python all the same.
    transformed = _TIMED.sub(lambda found: found[1] + ast.literal_eval(found[2]), transformed)
    lines = _in_place(cell.split("\n"), transformed.rstrip("\n").split("\n"))
    text = _without_futures("\n".join(lines), futures)
    # A cell that is no Python is left out, unless it is what is looked for.
    if not _is_python(text) and not _SOUGHT.search(text):
        return blank
    return text.split("\n")


def _without_futures(text: str, futures: dict[str, None]) -> str:
    """A cell without its imports from the future, however they are written, which are kept."""
    tree = _tree_of(text)
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            names = [alias.name for alias in node.names]
            futures.update(dict.fromkeys(n for n in names if n in __future__.all_feature_names))
            lines = text.encode().split(b"\n")
            last = (node.end_lineno or node.lineno) - 1
            after = lines[last][node.end_col_offset :]
            lines[last] = b""
            lines[node.lineno - 1 : last] = [b""] * (last - node.lineno + 1)
            before = text.encode().split(b"\n")[node.lineno - 1][: node.col_offset]
            lines[node.lineno - 1] = before + b"pass" + after
            text = b"\n".join(lines).decode()
    return text


def _in_place(before: list[str], after: list[str]) -> list[str]:
    """Transformed lines, each where it stood before: IPython joins some and drops empty ones."""
    if len(before) == len(after):
        return after
    lines: list[str] = []
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for _, start, end, first, last in matcher.get_opcodes():
        some = after[first:last]
        lines += [*some, *[""] * (end - start - len(some))]
    return lines


def _is_python(text: str) -> bool:
    """Whether a text is Python 3."""
    return _tree_of(text) is not None


def _tree_of(text: str) -> ast.Module | None:
    """The syntax tree of a text; None where it is not Python 3."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
