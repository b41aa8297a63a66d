"""Whose hand-in it is: the surname and the number that stand in the names of the files."""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

from digitspan.errors import UsageError
from digitspan.sheet.zip_name import follows_the_rule, hand_in_name, is_matriculation_number

__all__ = ["Author", "checked_author"]

_NOT_IN_FILE_NAMES = '<>:"/\\|?*'
"""What Windows refuses in a name; the other systems refuse less."""

_BETWEEN_LETTERS = " '’-.,()"
"""What may stand in a name besides letters and digits."""

_SCRIPTS = ("LATIN", "GREEK", "CYRILLIC")
"""What the fonts have that come with Typst."""

_MOST_BYTES = 100


class Author(NamedTuple):
    """Who hands in."""

    surname: str
    """As it is written, in Unicode's composed form."""
    matriculation: str
    """Digits and letters."""

    @property
    def stem(self) -> str:
        """What the sheet asks every file to be called: Surname-MatriculationNumber."""
        return hand_in_name(self.surname, self.matriculation)


def checked_author(surname: str, matriculation: str) -> Author:
    """The author, where both words can be part of a file name on every system.

    >>> checked_author("Müller", "01234567").stem
    'Müller-01234567'

    Raises:
        UsageError: naming the character that cannot be.
    """
    name = unicodedata.normalize("NFC", surname).strip()
    number = matriculation.strip()
    if problem := _problem_of_surname(name):
        message = (
            f"--surname must be a name that can be part of a file name; got {surname[:60]!r}: "
            f"{problem}"
        )
        raise UsageError(message)
    if not is_matriculation_number(number):
        message = (
            f"--matriculation must be 4 to 20 digits or letters with at least four digits, such "
            f"as 01234567; got {matriculation[:60]!r}"
        )
        raise UsageError(message)
    return Author(name, number)


def _problem_of_surname(name: str) -> str:
    """What is wrong with a surname; nothing where nothing is."""
    if not any(character.isalpha() for character in name):
        return "there is no letter in it"
    for character in name:
        category = unicodedata.category(character)
        if character in _NOT_IN_FILE_NAMES or category[0] == "C" or category in ("Zl", "Zp"):
            return f"a file name cannot have {character!r} in it"
        if category[0] not in "LMN" and character not in _BETWEEN_LETTERS:
            return f"names have letters, digits, and {_BETWEEN_LETTERS!r}, not {character!r}"
        script = unicodedata.name(character, "?").split()[0]
        if character.isalpha() and script not in _SCRIPTS:
            return (
                f"the PDF's fonts have no {character!r}, only Latin, Greek and Cyrillic letters; "
                f"write it in these"
            )
    if name[-1] == ".":
        return "a file name must not end with a dot"
    if not follows_the_rule(hand_in_name(name, "0000")):
        return "a surname begins with a letter and has no accents apart from its letters"
    if len(name.encode()) > _MOST_BYTES:
        return f"it is longer than {_MOST_BYTES} bytes"
    return ""
