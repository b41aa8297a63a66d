"""The page to look inside a network: one self-contained HTML file, written from a few runs."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from pathlib import Path
from typing import Any

__all__ = ["known_cells", "page_html"]

_HERE = Path(__file__).parent

_FIRST = ("tape", "network", "palindrome", "words", "draw", "chart", "panel")
_PANELS = ("answer", "gradient", "memory", "states", "gates", "study", "numbers")
_LAST = ("bar", "verdict", "app")


def known_cells() -> tuple[str, ...]:
    """The registered names of the cells whose equations the page has: the files in cells/."""
    return tuple(sorted(file.stem for file in (_HERE / "cells").glob("*.js")))


def page_html(document: dict[str, Any]) -> str:
    """The page as one HTML file that asks nothing of the network.

    Args:
        document: what the page shows, as `digitspan.page.data.document` makes it.
    """
    style, script = (_HERE / "style.css").read_text(encoding="utf-8"), _script()
    parts = {
        "CSP": html.escape(_policy(style, script)),
        "STYLE": style,
        "SCRIPT": script,
        "DATA": _json(document),
    }
    template = (_HERE / "template.html").read_text(encoding="utf-8")
    # In one pass: what the data hold is never taken for a place to fill.
    return re.sub("@(CSP|STYLE|SCRIPT|DATA)@", lambda match: parts[match[1]], template)


def _script() -> str:
    """All JavaScript files, joined into one function so that nothing of them is global."""
    names = [
        *_FIRST,
        *(f"cells/{name}" for name in known_cells()),
        *(f"panels/{name}" for name in _PANELS),
        *_LAST,
    ]
    files = [(_HERE / f"{name}.js").read_text(encoding="utf-8") for name in names]
    return "\n(() => {\n'use strict';\n" + "\n".join(files) + "})();\n"


def _policy(style: str, script: str) -> str:
    """A content-security policy that lets this style and this script in, and nothing else."""
    return (
        f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)}; "
        f"base-uri 'none'; form-action 'none'"
    )


def _source(content: str) -> str:
    """The hash by which a policy names what stands between two tags."""
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _json(document: dict[str, Any]) -> str:
    """JSON that holds no character with a meaning in HTML, whatever the document's texts hold."""
    text = json.dumps(document, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
