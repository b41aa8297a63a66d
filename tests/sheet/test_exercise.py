"""A sheet is data: what is asked is read from it, and what cannot be asked is named."""

from __future__ import annotations

import re

import pytest

from digitspan.errors import UsageError
from digitspan.sheet.exercise import default_sheet, default_text, read_sheet
from digitspan.sheet.questions import KINDS
from digitspan.sheet.words import FRAME, frame, letters, model_words, told_sentences


@pytest.fixture
def read(tmp_path):
    """A function that reads the program's sheet, some of its text replaced."""

    def changed(*changes):
        text = default_text()
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new, 1)
        (tmp_path / "sheet.toml").write_text(text, encoding="utf-8")
        return read_sheet(tmp_path)

    return changed


def test_the_programs_own_sheet_is_that_of_the_course():
    sheet = default_sheet()
    points = {question.number: question.points for question in sheet.questions}
    assert points == {"1.1": 2, "1.2": 2, "1.3": 2, "1.4": 2, "1.5": 3, "1.6": 5}
    assert list(sheet.parts) == ["1.1", "1.2", "1.3", "1.4", "1.5a", "1.5b", "1.6"]
    assert (sheet.networks, sheet.task, sheet.points) == (("rnn", "lstm"), "palindrome", 16)
    assert sheet.names.stem("Müller", "01234567") == "Müller-01234567"


def test_a_file_and_its_folder_are_the_same_sheet(read, tmp_path):
    assert read() == read_sheet(tmp_path / "sheet.toml")
    assert read().digest == default_sheet().digest
    assert read(("SoSe 24", "SoSe 25")).digest != default_sheet().digest


def test_figures_and_needs_follow_the_questions(read):
    whole = ("gradients", "rnn", "optimizers", "gates", "both", "budgets")
    assert default_sheet().figures == whole
    assert default_sheet().needs("lengths") == ["1.3", "1.6"]
    text = default_text()
    [fourth] = re.findall(
        r'\[\[question\]\]\nnumber = "1\.4".*?(?=\n\[\[question\]\])', text, re.S
    )
    sheet = read((fourth, ""), ("points = 16", "points = 14"))
    assert sheet.figures == ("gradients", "rnn", "gates", "both", "budgets")
    assert sheet.needs("optimizers") == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("points = 16", "points = 17"), r"2 \+ 2 \+ 2 \+ 2 \+ 3 \+ 5, make 16, not points = 17"),
        (('name = "lstm"', 'name = "lsmt"'), r"name in \[\[network\]\] 2 must be one of rnn"),
        (('name = "lstm"', 'name = "rnn"'), r"first rnn, then lstm or gru; got rnn, rnn"),
        (('asks = "memory"', 'asks = "memries"'), r"asks in question 1\.3 .*mean memory\?"),
        (('asks = "memory"', 'asks = "gates"'), r"question 1\.5 asks gates, which another part"),
        (('number = "1.4"', 'number = "1.3"'), r"\[\[question\]\] 4: number .* got '1\.3'"),
        (('number = "1.4"', 'number = "../x"'), r"number must be such as \"1\.4\""),
        (("sanity = 5", "sanity = 1"), r"sanity in \[lengths\] must be from 2 to 9,999; got 1"),
        (("sanity = 5", 'sanity = "5"'), r"sanity in \[lengths\] must be a whole number; got '5'"),
        (('task = "palindrome"', 'task = "recall"'), r"sanity .* must be even for the task"),
        (('task = "palindrome"', 'task = "sorting"'), r"task in the sheet must be one of palindr"),
        (('"{surname}-{matriculation}"', '"{surname}"'), r"name in \[files\] must be such as"),
        (('"{surname}-{matriculation}"', '"{surname}{matriculation}"'), r"something between them"),
        (('"{surname}-{matriculation}"', '"a/{surname}-{matriculation}"'), r"name in \[files\]"),
        (('code = "part1"', 'code = "../part1"'), r"code in \[files\] must be a name that Python"),
        (('matriculation = "(?=', 'matriculation = "(('), r"matriculation .* no regular"),
        (('"scalar", "one-hot"', '"scalar", "binary"'), r"encodings .* must be one of scalar"),
        (("term =", "terms ="), r"the word in the sheet must be one of .*mean term\?"),
        (('term = "SoSe 24"', "term = 24"), r"term in the sheet must be a text; got 24"),
        (('title = "The four gates"', ""), r"question 1\.5 has several parts, and not each"),
        (("points = 16", "points = "), r"is not TOML"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_named_in_one_sentence(read, change, problem):
    with pytest.raises(UsageError, match=problem) as error:
        read(change)
    assert "sheet.toml" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_sheet_that_is_not_there_names_the_command_that_makes_one(tmp_path):
    with pytest.raises(UsageError, match=r"cannot read .*nothing\.toml.*digitspan course new"):
        read_sheet(tmp_path / "nothing.toml")


def test_every_kind_of_question_has_a_model_and_stretches_to_know_it_by():
    sheet = default_sheet()
    assert {part.asks for part in sheet.parts.values()} == set(KINDS)
    assert all(len(words) > 100 for words in model_words(sheet).values())
    assert min(map(len, told_sentences(sheet).values())) >= 2


def test_the_frame_is_known_by_its_own_words():
    question = default_sheet().questions[0]
    assert FRAME in letters(frame(question, question.parts[0]))


@pytest.mark.parametrize(
    ("template", "name", "read_as"),
    [
        ("{surname}-{matriculation}", "van der Berg-01234567", ("van der Berg", "01234567")),
        ("{surname}-{matriculation}", "Ørsted-Łoś-1234567", ("Ørsted-Łoś", "1234567")),
        ("{surname}-{matriculation}", "01234567-Berg", None),
        ("{matriculation}_{surname}", "01234567_Berg", ("Berg", "01234567")),
        ("Ex2 {surname} {matriculation}", "Ex2 Berg 01234567", ("Berg", "01234567")),
    ],
)
def test_names_are_read_as_the_sheet_has_them(read, template, name, read_as):
    rule = read(('"{surname}-{matriculation}"', f'"{template}"')).names
    assert rule.read(name) == read_as
    if read_as is not None:
        assert rule.stem(*read_as) == name
