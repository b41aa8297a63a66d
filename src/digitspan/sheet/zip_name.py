"""The sheet's rule on names: ZIP and PDF are called by surname and matriculation number."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["LMU", "NameRule"]

_SURNAME = r"['’]?[^\W\d_][\w '’.,()-]*"


class NameRule(NamedTuple):
    """How a hand-in's files are called, and what a matriculation number is."""

    template: str
    """With `{surname}` and `{matriculation}`; without the ending."""
    number: str
    """A matriculation number, as a regular expression."""

    def stem(self, surname: str, matriculation: str) -> str:
        """The name of a hand-in's ZIP and PDF, without the ending.

        >>> LMU.stem("Müller", "01234567")
        'Müller-01234567'
        """
        return self.template.format(surname=surname, matriculation=matriculation)

    def read(self, name: str) -> tuple[str, str] | None:
        """Surname and number in a name without its ending; None where it breaks the rule.

        >>> LMU.read("O'Brien-s123456"), LMU.read("Müller_123456")
        (("O'Brien", 's123456'), None)
        """
        parts = {
            "{surname}": f"(?P<surname>{_SURNAME})",
            "{matriculation}": f"(?P<n>{self.number})",
        }
        words = re.split(r"(\{surname\}|\{matriculation\})", self.template)
        pattern = "".join(parts.get(word) or re.escape(word) for word in words)
        found = re.fullmatch(pattern, name)
        return (found["surname"], found["n"]) if found else None

    def is_number(self, text: str) -> bool:
        """Whether a text is a matriculation number.

        >>> LMU.is_number("s1234567"), LMU.is_number("123")
        (True, False)
        """
        return re.fullmatch(self.number, text) is not None


LMU = NameRule("{surname}-{matriculation}", r"(?=(?:[A-Za-z]*[0-9]){4})[A-Za-z0-9]{4,20}")
"""The rule of the sheet that comes with the program."""
