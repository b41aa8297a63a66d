"""Every finding of the check: a stable code, its rule, how bad it is, and what a student reads.

Decisions use codes. The sentences, in codes.ini, can be reworded at will.
"""

from __future__ import annotations

import configparser
from pathlib import Path
from typing import NamedTuple

__all__ = ["CODES", "Code"]


class Code(NamedTuple):
    """What a code stands for."""

    rule: str
    """The rule that switches it off, one of `course_rules.RULES`."""
    severity: str
    """"fault" or "remark"."""
    message: str
    """One sentence: where, what was expected, what was found."""


def _read_codes() -> dict[str, Code]:
    """The table of codes.ini."""
    table = configparser.ConfigParser(delimiters="=", interpolation=None)
    table.read_string(Path(__file__).with_name("codes.ini").read_text(encoding="utf-8"))
    codes = {}
    for section in table.sections():
        severity, rule = section.split(": ")
        for code, message in table[section].items():
            codes[code] = Code(rule, severity, " ".join(message.split()))
    return codes


CODES = _read_codes()
"""Every code with what it stands for."""
