"""Who a hand-in is of: surnames and matriculation numbers in names of files and on first pages."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from digitspan.sheet.zip_name import LMU, NameRule

__all__ = ["Student", "folded", "named_in", "numbers_of", "student_of", "without_suffix"]

_SUFFIX = re.compile(
    r"(\s*\(\d{1,2}\)|[_ ]\d{1,2}|[\s_-]+(copy|kopie)|\s+$)+$",
    re.IGNORECASE,
)
_ENDING = re.compile(r"(\.tar)?\.[A-Za-z]\w{0,7}$")
_LMS = re.compile(
    r"^(.+_\d+_assignsubmission_(file|onlinetext)_|[^\W\d_][^\W_]*(-[^\W_]+)*(_LATE)?_\d+_\d+_"
    r"|.+_attempt_[\d-]+_|20\d{6}_?\d{6}_)"
)
"""What a learning platform puts before the name that the student chose."""
_AGAIN = re.compile(r"-\d{1,2}$")
"""What Canvas puts behind the name of what is handed in once more."""
_SURNAME_FIRST = re.compile(
    r"(?P<surname>[^\W\d_][^\d]*?)[-_ .]+(?P<number>[A-Za-z]{0,2}\d{5,12})(?!\d)"
)
_NUMBER_FIRST = re.compile(r"(?P<number>[A-Za-z]{0,2}\d{5,12})[-_ .]+(?P<surname>[^\W\d_][^\d]*)")
_NUMBER_ON_PAGE = re.compile(
    r"(?:matric\w*|matrik\w*|mat\.?|martikel\w*|student|id)[\s.\-#]*"
    r"(?:number|no|nr|nummer|num|id)?[\s.:#()\-]*([A-Za-z]{0,2}\d{5,12})\b",
    re.IGNORECASE,
)


class Student(NamedTuple):
    """A student, as far as a name says."""

    surname: str
    number: str
    """The matriculation number; empty where it is not known."""

    def __str__(self) -> str:
        return f"{self.surname}-{self.number}" if self.number else self.surname

    def is_like(self, other: Student) -> bool:
        """Whether two may be one: the same number, or no two numbers and the same surname."""
        if self.number and other.number:
            return folded(self.number) == folded(other.number)
        ours, theirs = folded(self.surname), folded(other.surname)
        return ours in theirs or theirs in ours  # one may have the first name too

    def occurs_in(self, text: str) -> bool:
        """Whether the number, or one of the names, stands in a text."""
        words = folded(text)
        number = folded(self.number).lstrip("0")
        names = [folded(name) for name in re.split(r"[\s_]+", self.surname)]
        return any(word and word in words for word in (number, *names))


def student_of(name: str, *, strict: bool = True, rule: NameRule = LMU) -> Student | None:
    """The student in the name of a file or folder; None where there is none.

    Args:
        name: with or without an ending.
        rule: the sheet's, on names.
        strict: as the rule has it, Surname-Number; else also Surname_Number, Number Surname and
            more behind it.

    >>> student_of("Adler-1000001 (1).zip")
    Student(surname='Adler', number='1000001')
    >>> student_of("Adler Anna_301_assignsubmission_file_Adler-1000001.tar.gz").number
    '1000001'
    >>> student_of("1000001_Adler", strict=False).surname
    'Adler'
    """
    stem = without_suffix(_ENDING.sub("", name))
    if read := rule.read(stem):
        return Student(*read)
    for pattern in () if strict else (_SURNAME_FIRST, _NUMBER_FIRST):
        found = pattern.match(stem)
        if found:
            return Student(found["surname"].replace("_", " ").strip(), found["number"])
    return None


def without_suffix(stem: str) -> str:
    """A name in NFC without what a platform puts before it, and a browser or a copy behind it.

    >>> without_suffix("Adler-1000001 (1)"), without_suffix("Brandt-1000002_2")
    ('Adler-1000001', 'Brandt-1000002')
    """
    stem = unicodedata.normalize("NFC", stem)
    inner = _LMS.sub("", stem)
    if inner != stem:
        inner = _AGAIN.sub("", inner)
    shorter = _SUFFIX.sub("", inner or stem)
    return shorter or stem


def numbers_of(name: str) -> list[str]:
    """What may be matriculation numbers in a name: runs of five digits and more.

    >>> numbers_of("adler_1000001_2")
    ['1000001']
    """
    return re.findall(r"(?<!\d)\d{5,12}(?!\d)", name)


def named_in(text: str, owner: Student) -> list[str]:
    """The matriculation numbers that a text says it is of, where the owner's is not among them."""
    text = unicodedata.normalize("NFKC", text)
    found = list(dict.fromkeys(_NUMBER_ON_PAGE.findall(text)))
    own = re.sub(r"\D", "", owner.number).lstrip("0")
    digits = [re.sub(r"\D", "", number).lstrip("0") for number in found]
    return [] if not own or own in digits or own in re.sub(r"\s", "", text) else found


def folded(text: str) -> str:
    """A text as it is compared: in NFKC, without case, marks, spaces and punctuation.

    >>> folded("O\u2019Brien") == folded("O'BRIEN"), folded("Mu\u0308ller") == folded("Müller")
    (True, True)
    """
    text = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"[\W_]+", "", text)
