"""Whose hand-in it is: the surname and the number that stand in the names of the files."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import NamedTuple

from digitspan.errors import UsageError
from digitspan.sheet.exercise import Sheet, default_sheet

__all__ = ["MODEL", "Author", "checked_author", "refuse_another_of_the_number"]

_NOT_IN_FILE_NAMES = '<>:"/\\|?*'
"""What Windows refuses in a name; the other systems refuse less."""

_BETWEEN_LETTERS = " '’-.,()"
"""What may stand in a name besides letters and digits."""

_SCRIPTS = ("LATIN", "GREEK", "CYRILLIC")
"""What the fonts have that come with Typst."""

_MOST_BYTES = 100


class Author(NamedTuple):
    """Who hands in; or the model, which nobody hands in."""

    surname: str
    """As it is written, in Unicode's composed form."""
    matriculation: str
    """Digits and letters; empty of the model."""
    stem: str
    """What ZIP, PDF and notebook are called, without their endings."""

    @property
    def words(self) -> tuple[str, ...]:
        """What has to stand on every page."""
        return tuple(filter(None, (self.surname, self.matriculation)))

    @property
    def head(self) -> str:
        """What stands at the head of every page, on the left."""
        return " · ".join(self.words)


MODEL = Author("Model solution", "", "solution")
"""In the place of an author: what nobody wrote to hand it in."""


def checked_author(surname: str, matriculation: str, sheet: Sheet | None = None) -> Author:
    """The author, where both words can be part of a file name on every system.

    >>> checked_author("Müller", "01234567").stem
    'Müller-01234567'

    Args:
        surname: as it was typed.
        matriculation: as it was typed.
        sheet: whose rule on names it is, by default the program's.

    Raises:
        UsageError: naming the character that cannot be.
    """
    sheet = sheet or default_sheet()
    name = unicodedata.normalize("NFC", surname).strip()
    number = matriculation.strip()
    if problem := _problem_of_surname(name):
        message = (
            f"--surname must be a name that can be part of a file name; got {surname[:60]!r}: "
            f"{problem}"
        )
        raise UsageError(message)
    if not sheet.names.is_number(number) or set(number) & set(_NOT_IN_FILE_NAMES):
        message = f"--matriculation must be {sheet.number_words}; got {matriculation[:60]!r}"
        raise UsageError(message)
    stem = sheet.names.stem(name, number)
    if sheet.names.read(stem) != (name, number):
        message = (
            f"--surname must be a name that begins with a letter and is told from the number in "
            f"{stem[:80]!r}, and has no accents apart from its letters; got {surname[:60]!r}"
        )
        raise UsageError(message)
    return Author(name, number, stem)


def refuse_another_of_the_number(author: Author, folder: Path, sheet: Sheet) -> None:
    """Refuse an author whose number is somebody else's in a ZIP that lies there.

    Args:
        author: who hands in.
        folder: where the ZIP will lie.
        sheet: whose rule on names it is.

    Raises:
        UsageError: naming that ZIP.
    """
    for path in sorted(folder.glob("*.zip")):
        found = sheet.names.read(unicodedata.normalize("NFC", path.stem))
        if found is not None and found[1] == author.matriculation and found[0] != author.surname:
            message = (
                f"{path} is of {found[0]} with the same matriculation number, "
                f"{author.matriculation}; expected {author.surname}'s, which is nobody else's: "
                f"correct --surname or --matriculation, or take that ZIP away"
            )
            raise UsageError(message)


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
    if len(name.encode()) > _MOST_BYTES:
        return f"it is longer than {_MOST_BYTES} bytes"
    return ""
