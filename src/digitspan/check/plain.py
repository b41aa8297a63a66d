"""Plain text: what leaves the check carries nothing that a terminal or a spreadsheet obeys."""

from __future__ import annotations

import unicodedata

__all__ = ["plain", "plain_cell", "plain_markdown"]

_MOST_MARKS = 3
_BLANK = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
    + "".join(map(chr, [*range(0x180B, 0x1810), *range(0xFE00, 0xFE10)]))
)
"""Characters that count as printable and show nothing: fillers, joiners, variation selectors."""
_FORMULA = "=+-@\t\r＝＋－＠"


def plain(text: str, most: int = 600) -> str:
    r"""A text in one line and in NFC, in which only what can be seen stands for itself.

    Escape sequences, marks that turn the direction of writing, characters without width and
    surrogates are written out, as \x1b or \u202e; more than three marks over one letter are left
    out.

    >>> plain("a\x1b[2Jb\u202ec\nd")
    'a\\x1b[2Jb\\u202ec d'
    """
    # Two cuts: normalising must not cost what nobody reads.
    text = unicodedata.normalize("NFC", text[: 4 * most])
    parts = []
    marks = 0
    for c in text:
        marks = marks + 1 if unicodedata.category(c) in ("Mn", "Me") else 0
        if c.isspace():
            parts.append(" ")
        elif not c.isprintable() or c in _BLANK or 0xE0000 <= ord(c) < 0xE1000:
            parts.append(ascii(c)[1:-1])
        elif marks <= _MOST_MARKS:
            parts.append(c)
    text = "".join(parts)
    return text if len(text) <= most else f"{text[: most - 3]}..."


def plain_cell(cell: object) -> object:
    """A cell of a CSV that no spreadsheet takes for a formula."""
    if not isinstance(cell, str):
        return cell
    cell = plain(cell, 30_000)
    return f"'{cell}" if cell.lstrip(" '\"").startswith(tuple(_FORMULA)) else cell


def plain_markdown(text: str) -> str:
    """A text in which Markdown, and the HTML in it, sees nothing but text."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>#|!&" else c for c in plain(text))
