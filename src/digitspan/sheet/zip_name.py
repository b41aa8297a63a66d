"""The sheet's rule on names: the ZIP and the PDF are called Surname-MatriculationNumber."""

from __future__ import annotations

import re

__all__ = ["follows_the_rule", "hand_in_name"]

_NAME = re.compile(r"[^\W\d_][\w' .-]*-\d{4,9}")


def hand_in_name(surname: str, matriculation: str) -> str:
    """The name of a hand-in's ZIP and PDF, without the ending.

    >>> hand_in_name("Müller", "01234567")
    'Müller-01234567'
    """
    return f"{surname}-{matriculation}"


def follows_the_rule(name: str) -> bool:
    """Whether a name, without its ending, is a surname, a hyphen and four to nine digits.

    >>> follows_the_rule("O'Brien-123456"), follows_the_rule("Müller_123456")
    (True, False)
    """
    return _NAME.fullmatch(name) is not None
