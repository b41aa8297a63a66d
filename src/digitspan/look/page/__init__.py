"""The page to look inside a network: one self-contained HTML file, written from a few runs."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from digitspan.errors import UsageError

__all__ = ["equations_of", "known_cells", "page_html"]

_HERE = Path(__file__).parent

_ENGINE = ("tape", "network", "palindrome", "recall")
_TRAINING = ("batch", "random", "start", "learner", "worker")
_PAGE = ("words", "draw", "chart", "panel")
_PANELS = ("answer", "gradient", "memory", "states", "gates", "beyond", "study", "numbers")
_LEARNING = ("settings", "live", "curves", "laboratory", "map", "story")
_LAST = ("bar", "verdict", "screens", "app")

_MARK = "// Here the page begins.\n"
"""Above it stands what a worker of the page is given too (learn/live.js)."""


def known_cells() -> tuple[str, ...]:
    """The registered names of the cells whose equations the page has: the files in cells/."""
    return tuple(sorted(file.stem for file in (_HERE / "cells").glob("*.js")))


def equations_of(cell: str) -> Path | None:
    """The file with a cell's equations in JavaScript; None where there is none.

    For `module:Class` it lies beside the module: `package/module.js`, in the current folder or
    where Python finds modules.
    """
    module, _, attribute = cell.partition(":")
    folders = [str(Path.cwd()), *sys.path] if attribute else [str(_HERE / "cells")]
    files = (Path(folder, f"{module.replace('.', '/')}.js") for folder in folders)
    return next((file for file in files if file.is_file()), None)


def page_html(document: dict[str, Any]) -> str:
    """The page as one HTML file that asks nothing of the network.

    Args:
        document: what the page shows, as `digitspan.look.page.data.document` makes it.

    Raises:
        UsageError: where the equations of a cell of one's own cannot be put into the page.
    """
    style = (_HERE / "style.css").read_text(encoding="utf-8")
    script = _script({network["cell"] for network in document["networks"]})
    parts = {
        "CSP": html.escape(_policy(style, script)),
        "STYLE": style,
        "SCRIPT": script,
        "DATA": _json(document),
    }
    template = (_HERE / "template.html").read_text(encoding="utf-8")
    # In one pass: what the data hold is never taken for a place to fill.
    return re.sub("@(CSP|STYLE|SCRIPT|DATA)@", lambda match: parts[match[1]], template)


def _script(cells: Iterable[str]) -> str:
    """All JavaScript files, joined into one function so that nothing of them is global.

    Args:
        cells: those on the page, of which one's own bring their equations.
    """
    training = [f"learn/{name}" for name in _TRAINING]
    engine = _joined(*_ENGINE, *training, *(f"cells/{name}" for name in known_cells()))
    own = dict.fromkeys(_own_equations(cell) for cell in sorted(cells) if ":" in cell)
    panels = [f"panels/{name}" for name in _PANELS]
    learning = [f"learn/{name}" for name in _LEARNING]
    page = _joined(*_PAGE, *panels, *learning, *_LAST)
    parts = ["\n(() => {\n'use strict';", engine, _MARK, *own, page]
    return "\n".join(parts) + "})();\n"


def _joined(*names: str) -> str:
    """The text of some JavaScript files of this folder."""
    return "\n".join((_HERE / f"{name}.js").read_text(encoding="utf-8") for name in names)


def _own_equations(cell: str) -> str:
    """The JavaScript of a cell of one's own."""
    file = equations_of(cell)
    script = file.read_text(encoding="utf-8") if file else ""
    if f'CELLS["{cell}"]' not in script:
        message = f'{file} does not define CELLS["{cell}"] = {{states, gates, step, readOut}}'
        raise UsageError(message)
    if "</script" in script.lower() or "<!--" in script:
        message = f"{file} holds </script or <!--, which would end the page's own script"
        raise UsageError(message)
    return script


def _policy(style: str, script: str) -> str:
    """A content-security policy that lets in this style, this script and its worker alone."""
    return (
        f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)}; "
        f"worker-src blob:; base-uri 'none'; form-action 'none'"
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
