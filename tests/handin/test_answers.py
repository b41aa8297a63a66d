"""Answers of one's own: what is missing or would come out wrong is named, and nothing is made."""

from __future__ import annotations

import pytest

from digitspan.errors import UsageError
from digitspan.handin.answers import fill, frames, model_answers, read_answers, write_answers
from digitspan.sheet.exercise import default_sheet

SHEET = default_sheet()


@pytest.fixture
def folder(tmp_path):
    write_answers(tmp_path / "mine", model_answers(SHEET))
    return tmp_path / "mine"


def test_written_answers_are_read_again_as_the_models(folder):
    mine, theirs = read_answers(folder, SHEET), model_answers(SHEET)
    assert {q: a.text.strip() for q, a in mine.items()} == {
        q: a.text.strip() for q, a in theirs.items()
    }


def test_own_words_take_the_place_of_the_models(folder):
    (folder / "1.4.md").write_text("My own words on $\\eta$.", encoding="utf-8")
    assert read_answers(folder, SHEET)["1.4"].text == "My own words on $\\eta$."


def test_a_missing_answer_is_named_and_not_made_up(folder):
    (folder / "1.5b.md").unlink()
    with pytest.raises(UsageError, match=r"no answer to Question 1\.5b: expected .*1\.5b\.md"):
        read_answers(folder, SHEET)


def test_answers_must_be_a_folder(folder):
    with pytest.raises(UsageError, match="--answers must be a folder"):
        read_answers(folder / "1.1.md", SHEET)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b" \n\t", "is empty"),
        (b"M\xfcller", "is no text in UTF-8 or UTF-16"),
        (b"One $x here.", r"1\.3\.md, line 1: a \$ has no partner"),
        (b"Fine $x$.\n\nLine three: $$y$.", r"1\.3\.md, line 3: a \$ has no partner"),
        (b"`$` is code.\n\nBut $ is not.", r"1\.3\.md, line 3: a \$"),
        (b"a" * 200_001, "has 200,001 characters"),
    ],
)
def test_a_file_that_cannot_be_an_answer_is_named(folder, content, problem):
    (folder / "1.3.md").write_bytes(content)
    with pytest.raises(UsageError, match=problem):
        read_answers(folder, SHEET)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("$ x $ and $y$", "$x$ and $y$"),
        ("$$ x $$", "$$ x $$"),
        ("It costs \\$5.", "It costs \\$5."),
        ("```\na $ b\n\n$ c\n```\n\nand $ x $", "```\na $ b\n\n$ c\n```\n\nand $x$"),
        ("`$` and ``a ` $ b``", "`$` and ``a ` $ b``"),
        ("\ufefftext\r\nmore", "text\nmore"),
    ],
)
def test_dollars_are_formulas_or_nothing(folder, text, read):
    (folder / "1.1.md").write_bytes(text.encode())
    assert read_answers(folder, SHEET)["1.1"].text == read


def test_answers_are_not_written_over_others(folder):
    with pytest.raises(UsageError, match=r"1\.1\.md is there already"):
        write_answers(folder, frames(SHEET))
    assert len(write_answers(folder, frames(SHEET), overwrite=True)) == len(SHEET.parts)


def test_a_frame_stays_a_frame_until_something_is_written_into_its_file(tmp_path):
    write_answers(tmp_path, frames(SHEET))
    assert read_answers(tmp_path, SHEET) == {
        name: blank._replace(source=str(tmp_path / f"{name}.md"))
        for name, blank in frames(SHEET).items()
    }
    file = tmp_path / "1.4.md"
    file.write_text(f"{file.read_text(encoding='utf-8')}\nMy words.\n", encoding="utf-8")
    answers = read_answers(tmp_path, SHEET)
    assert (answers["1.4"].text.strip(), answers["1.4"].is_empty) == ("My words.", False)
    assert answers["1.3"].is_empty


def test_a_frame_tells_question_points_and_what_to_touch():
    blanks = frames(SHEET)
    for question in SHEET.questions:
        for part in question.parts:
            text = blanks[question.name_of(part)].text
            told = (f"{question.points:g} points", part.text, *part.touches)
            assert all(words in text for words in told)


def test_an_answer_to_a_question_that_the_sheet_has_not_is_named(folder):
    (folder / "README.md").write_text("not an answer", encoding="utf-8")
    read_answers(folder, SHEET)
    (folder / "1.7.md").write_text("an answer", encoding="utf-8")
    with pytest.raises(
        UsageError, match=r"1\.7\.md answers no question of sheet\.toml: expected 1\.1"
    ):
        read_answers(folder, SHEET)


def test_an_unknown_value_is_named_with_the_nearest_one():
    with pytest.raises(
        UsageError, match=r"1\.3\.md: the value must be one of .*did you mean span"
    ):
        fill("S50 is <<spam>>", {"span": "14"}, "1.3.md")


def test_values_may_hold_others():
    assert fill("<<a>>", {"a": "T = <<b>>", "b": "5"}, "x") == "T = 5"
