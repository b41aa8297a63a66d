"""Where the numbers of a benchmark are kept, with the command and the machine that gave them."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

__all__ = ["RESULTS", "keep"]

RESULTS = Path(__file__).parent / "results"


def keep(name: str, command: str, numbers: dict[str, Any], *, with_versions: str = "") -> None:
    """Write results/NAME.json.

    Args:
        name: of the file.
        command: what gave the numbers.
        numbers: the entries beside "command" and "machine".
        with_versions: of what else they depend on, to stand with the machine.
    """
    machine = (
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"{platform.system()}, Python {platform.python_version()}{with_versions}"
    )
    document = {"command": command, "machine": machine} | numbers
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(document, indent=1) + "\n"
    (RESULTS / f"{name}.json").write_text(text, encoding="utf-8")
