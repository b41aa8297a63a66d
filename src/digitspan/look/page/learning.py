"""What the page knows of networks that learn in it: cells, their starts, and a study's map."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from digitspan.cells import CELLS, INITIALISATIONS

__all__ = ["MAP", "document_that_learns", "learning"]

MAP = Path(__file__).parent / "learn" / "map.json"
"""The runs of `digitspan study quick` as the map shows them; `python docs/make.py` writes it."""


def learning() -> dict[str, Any]:
    """What every page holds besides its networks, as plain values."""
    return {
        "cells": {
            name: {
                "title": cell.title,
                "starts": list(cell.initialisations),
                "chrono": list(cell.chrono),
            }
            for name, cell in CELLS.items()
        },
        "starts": INITIALISATIONS,
        "map": json.loads(MAP.read_text(encoding="utf-8")),
    }


def document_that_learns() -> dict[str, Any]:
    """A document for `page_html` without a trained network: two learn in the browser."""
    return {
        "networks": [],
        "show": [],
        "about": "",
        "asks": None,
        "lead": "",
        "examples": {},
        "study": None,
        "learn": learning(),
    }
