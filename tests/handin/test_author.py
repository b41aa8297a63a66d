"""The names of the files: what cannot be one is refused in one sentence."""

from __future__ import annotations

import unicodedata

import pytest

from digitspan.errors import UsageError
from digitspan.handin.author import checked_author
from digitspan.sheet.zip_name import LMU


@pytest.mark.parametrize("name", ["Müller", "O'Neil", "van der Berg", "Ørsted-Łoś", "Παππάς"])
def test_names_of_people_are_taken_as_they_are(name):
    assert checked_author(name, "01234567").stem == f"{name}-01234567"


def test_a_decomposed_umlaut_is_composed():
    assert checked_author(unicodedata.normalize("NFD", "Müller"), "1234").surname == "Müller"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "no letter"),
        ("   ", "no letter"),
        ("..", "no letter"),
        ("../etc", "'/'"),
        ("a\\b", r"'\\\\'"),
        ("a:b", "':'"),
        ("a\nb", r"'\\n'"),
        ("a\u202eb", "u202e"),
        ("a\x00b", "x00"),
        (".hidden", "begins with a letter"),
        ("Jr.", "dot"),
        ("ä" * 60, "longer than 100 bytes"),
        ("王", "only Latin, Greek and Cyrillic"),
        ("a\ud800", "ud800"),
        ("Max\U0001f600", "names have letters"),
        ("a$b", "names have letters"),
    ],
)
def test_what_cannot_be_a_file_name_is_named(name, problem):
    with pytest.raises(UsageError, match=rf"--surname must be .*{problem}"):
        checked_author(name, "01234567")


@pytest.mark.parametrize("number", ["", "12/34", "12 34", "１２", "1" * 21, "..", "-5"])
def test_a_number_is_digits_and_letters(number):
    with pytest.raises(UsageError, match="--matriculation must be 4 to 20 digits or letters"):
        checked_author("Test", number)


@pytest.mark.parametrize(
    ("surname", "number"),
    [("Müller", "01234567"), ("O’Brien", "s1234567"), ("de la Cruz", "4711")],
)
def test_what_the_hand_in_is_called_is_what_the_check_accepts(surname, number):
    assert LMU.read(checked_author(surname, number).stem) == (surname, number)


@pytest.mark.parametrize("name", ["Hand-in", "Assignment-2", "Müller_123456", "-123456", "3-1234"])
def test_other_names_do_not_follow_the_rule(name):
    assert LMU.read(name) is None
