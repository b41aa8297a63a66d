"""Write docs/cli.md out of what `--help` prints: python docs/make_cli.py"""

from __future__ import annotations

import os
from pathlib import Path

os.environ["COLUMNS"] = "100"  # argparse breaks lines at the terminal's width

from digitspan.cli import COMMANDS, EPILOG, command_parser


def page() -> str:
    """The page's text."""
    parts = ["# The commands", "Made by `python docs/make_cli.py` from `--help`.", EPILOG]
    for name in COMMANDS:
        help_text = command_parser(name).format_help().strip()
        parts.append(f"## digitspan {name}\n\n```\n{help_text}\n```")
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("cli.md").write_text(page(), encoding="utf-8")
