"""The sheet's rule on names: the ZIP and the PDF are called Surname-MatriculationNumber."""

from __future__ import annotations

import re

__all__ = ["follows_the_rule", "hand_in_name", "is_matriculation_number"]

_SURNAME = re.compile(r"['’]?[^\W\d_][\w '’.,()-]*")
_NUMBER = re.compile(r"(?=(?:[A-Za-z]*[0-9]){4})[A-Za-z0-9]{4,20}")


def hand_in_name(surname: str, matriculation: str) -> str:
    """The name of a hand-in's ZIP and PDF, without the ending.

    >>> hand_in_name("Müller", "01234567")
    'Müller-01234567'
    """
    return f"{surname}-{matriculation}"


def follows_the_rule(name: str) -> bool:
    """Whether a name, without its ending, is a surname, a hyphen and a matriculation number.

    >>> follows_the_rule("O'Brien-s123456"), follows_the_rule("Müller_123456")
    (True, False)
    """
    surname, _, number = name.rpartition("-")
    return _SURNAME.fullmatch(surname) is not None and is_matriculation_number(number)


def is_matriculation_number(text: str) -> bool:
    """Whether a text is four to twenty digits and letters, at least four of them digits.

    >>> is_matriculation_number("s1234567"), is_matriculation_number("123")
    (True, False)
    """
    return _NUMBER.fullmatch(text) is not None
