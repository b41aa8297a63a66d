"""The names of the files: what cannot be one is refused in one sentence."""

from __future__ import annotations

import unicodedata

import pytest

from digitspan.errors import UsageError
from digitspan.handin.author import checked_author


@pytest.mark.parametrize("name", ["Müller", "O'Neil", "van der Berg", "Ørsted-Łoś", "Παππάς"])
def test_names_of_people_are_taken_as_they_are(name):
    assert checked_author(name, "01234567").stem == f"{name}-01234567"


def test_a_decomposed_umlaut_is_composed():
    assert checked_author(unicodedata.normalize("NFD", "Müller"), "1").surname == "Müller"


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
        (".hidden", "dot"),
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
    with pytest.raises(UsageError, match="--matriculation must be 1 to 20 digits or letters"):
        checked_author("Test", number)
