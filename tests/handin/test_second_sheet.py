"""Another sheet, other in every field: its task is recall, its second network a GRU."""

from __future__ import annotations

import argparse
import ast
import dataclasses
import io
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pypdf
import pytest
from studies import made_up_span_rows

from digitspan.check.course_rules import RULES, read_rules
from digitspan.commands import course, handin, solution
from digitspan.errors import UsageError
from digitspan.handin import lists
from digitspan.handin.answers import frames, model_answers
from digitspan.handin.assemble import build
from digitspan.handin.author import MODEL, checked_author
from digitspan.handin.course import study_text
from digitspan.handin.material import study_of_sheet
from digitspan.handin.notebook import code_files, make_notebook
from digitspan.handin.proofread import pages_of
from digitspan.handin.values import sheet_values
from digitspan.sheet.exercise import default_sheet, default_text, read_sheet
from digitspan.sheet.words import told_sentences
from digitspan.study.config import StudyConfig
from digitspan.study.digit_spans import summarise_spans
from digitspan.study.store import Store

SECOND = Path(__file__).parents[1] / "sheet" / "second.toml"
SHEET = read_sheet(SECOND)


def material_of(span, **changes):
    """A study of made-up networks: the span of each, by its configuration."""
    config = dataclasses.replace(study_of_sheet(SHEET), **({"seeds": 5} | changes))
    summary = summarise_spans(config, made_up_span_rows(config, span))
    return lists.ListMaterial(SHEET, summary, 10)


def spans(rnn, gru):
    return lambda config: (rnn if config.cell == "rnn" else gru) + config.seed % 5 / 10


def call(command, *words):
    """A command, with words as a user would type them."""
    parser = argparse.ArgumentParser()
    command.add_options(parser)
    return command.run(parser.parse_args(list(map(str, words))))


def test_it_differs_in_every_field():
    ours = default_sheet()
    for name in SHEET._fields:
        assert getattr(SHEET, name) != getattr(ours, name), name
    for name in ("sanity", "least", "delay", "looked_into"):
        assert getattr(SHEET.lengths, name) != getattr(ours.lengths, name), name
    assert not {q.number for q in SHEET.questions} & {q.number for q in ours.questions}


def test_every_part_has_a_model_of_its_task_and_network():
    words = model_answers(SHEET)
    assert list(words) == ["2", "3a", "3b", "7", "8", "9", "10"]
    whole = " ".join(answer.text for answer in words.values())
    assert "palindrome" not in whole
    assert "forget gate" not in whole
    assert min(map(len, told_sentences(SHEET).values())) >= 2


def test_its_notebook_asks_for_no_value_that_there_is_not():
    values = sheet_values(SHEET, MODEL) | lists.list_values(material_of(spans(4, 6)))
    for answers in (model_answers(SHEET), frames(SHEET)):
        notebook = make_notebook(answers, values, SHEET)
        text = "\n".join(cell.source for cell in notebook.cells)
        assert "<<" not in text
        assert "LSTM(" not in text
        for question in SHEET.questions:
            assert f"## {question.heading}" in text


@pytest.mark.parametrize(
    ("rnn", "gru", "words"),
    [
        (4, 9, "**These runs agree**, at n = 32"),
        (9, 4, "**These runs say the opposite**, at n = 32"),
        (6, 6, "**These runs do not decide it**"),
        (6, 6.05, "**These runs do not decide it**"),
    ],
)
def test_the_verdict_is_what_the_rows_say(rnn, gru, words):
    material = material_of(spans(rnn, gru))
    assert words in lists.verdict(material)
    longer = "items longer than" in lists.comparison(material)
    assert longer == (gru > rnn) or rnn == gru


def test_where_the_widths_disagree_the_verdict_says_so():
    def span(config):
        ahead = (config.cell == "gru") == (config.hidden_size == 64)
        return (9 if ahead else 4) + config.seed % 5 / 10

    told = lists.verdict(material_of(span, hidden_size=(32, 64)))
    assert "**In part**: the GRU is ahead at n = 64; the RNN is ahead at n = 32." in told


def test_the_sanity_check_is_held_to_the_sheets_length():
    assert "4, that is 2 digits, is near-perfect" in lists.sanity(material_of(spans(5, 5)), "rnn")
    assert "is **not near-perfect**" in lists.sanity(material_of(spans(1, 5)), "rnn")


def test_a_study_that_does_not_fit_the_sheet_is_refused(tmp_path):
    with Store.create(tmp_path) as store:
        store.set_value("config", StudyConfig(lengths=(5,), seeds=1).canonical)
    with pytest.raises(UsageError, match=r"task palindrome, the sheet asks recall.*study\.toml"):
        call(solution, tmp_path, "--sheet", SECOND, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_names_are_checked_as_the_sheet_wants_them(tmp_path):
    assert checked_author("Berg", "AB123456", SHEET).stem == "A4 AB123456_Berg"
    with pytest.raises(UsageError, match=r"must be two capital letters and six digits.*'0123456'"):
        call(handin, "x", "--sheet", SECOND, "--surname", "Berg", "--matriculation", "0123456")
    with pytest.raises(UsageError, match="--surname must be a name that begins with a letter"):
        checked_author(".Berg", "AB123456", SHEET)


def test_the_study_of_a_sheet_is_the_one_that_its_text_asks_for():
    for sheet, preset in ((SHEET, "demo"), (default_sheet(), "sheet")):
        config = StudyConfig.from_words(tomllib.loads(study_text(sheet)))
        asked = study_of_sheet(sheet)
        assert asked.preset == preset
        assert config == dataclasses.replace(asked, preset=config.preset, note=config.note)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (('preset = "demo"', 'preset = "demos"'), "asks for what is no study: preset must be one"),
        (("seeds = 2", 'cells = "rnn"'), "cells must be left out: the rest of the sheet says it"),
        (("seeds = 2", "seedlings = 2"), "seedlings is no word of a study"),
    ],
)
def test_a_study_that_is_none_is_named(tmp_path, change, problem):
    text = SECOND.read_text(encoding="utf-8").replace(*change)
    (tmp_path / "sheet.toml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=problem):
        call(course, "new", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.toml"]


def test_a_course_gets_its_sheet_its_study_and_what_check_asks(tmp_path, capsys):
    folder = tmp_path / "spring"
    folder.mkdir()
    (folder / "sheet.toml").write_bytes(SECOND.read_bytes())
    assert call(course, "new", folder) == 0
    names = [Path(line).name for line in capsys.readouterr().out.splitlines()]
    assert names == ["sheet.toml", "study.toml", "rules.toml", "sheet.pdf"]
    assert (folder / "sheet.toml").read_bytes() == SECOND.read_bytes()

    text = " ".join(page.extract_text() for page in pypdf.PdfReader(folder / "sheet.pdf").pages)
    text = re.sub(r"\s+", " ", text)
    for words in (SHEET.title, SHEET.course, SHEET.term, "12.5 points", SHEET.number_words,
                  *(question.heading for question in SHEET.questions)):  # fmt: skip
        assert words in text, words
    assert "A4 MatriculationNumber_Surname.zip" in text

    rules = read_rules(folder / "rules.toml", SHEET)
    assert set(rules.states) == set(RULES)
    assert dict(rules.points) == {"VanillaRNN": 1.5}

    call(course, "new", folder)  # the same again
    (folder / "rules.toml").write_text("[rules]\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"rules\.toml is there already and says something else"):
        call(course, "new", folder)
    assert (folder / "rules.toml").read_text(encoding="utf-8") == "[rules]\n"
    call(course, "new", folder, "--overwrite")
    assert set(read_rules(folder / "rules.toml").states) == set(RULES)


def test_the_programs_own_sheet_is_put_into_an_empty_folder(tmp_path):
    call(course, "new", tmp_path / "new")
    assert read_sheet(tmp_path / "new").digest == default_sheet().digest
    assert (tmp_path / "new" / "sheet.toml").read_text(encoding="utf-8") == default_text()


def test_its_code_is_of_its_task_and_network():
    files = code_files(SHEET)
    assert set(files) == {"__init__.py", "dataset.py", "train.py", "vanilla_rnn.py", "gru.py"}
    for name, content in files.items():
        ast.parse(content, feature_version=(3, 8))
        assert b"part1" not in content
        assert b"LSTM" not in content or name == "gru.py"


@pytest.mark.slow
def test_its_code_trains(tmp_path):
    folder = tmp_path / "Übung vier" / SHEET.code
    folder.mkdir(parents=True)
    for name, content in code_files(SHEET).items():
        (folder / name).write_bytes(content)
    words = ["--num_items", "2", "--num_hidden", "32", "--learning_rate", "0.01",
             "--train_steps", "200", "--batch_size", "32"]  # fmt: skip
    for network in ("RNN", "GRU"):
        done = subprocess.run(
            [sys.executable, "-m", f"{SHEET.code}.train", "--model_type", network, *words],
            cwd=folder.parent, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert float(re.findall(r"lists whole (\d\.\d+)", done.stdout)[-1]) > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("answers", [model_answers, frames])
def test_the_whole_report_is_made(answers):
    author = MODEL if answers is model_answers else checked_author("Berg", "AB123456", SHEET)
    content = build(material_of(spans(4, 6)), author, answers(SHEET))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = set(archive.namelist())
        pages = pages_of(archive.read(f"{author.stem}.pdf"))
    assert {f"spans/{name}" for name in code_files(SHEET)} < names
    whole = re.sub(r"\s+", " ", " ".join(pages))
    assert ("These runs agree" in whole) == (answers is model_answers)
    assert whole.count("Your own words go here") == (0 if answers is model_answers else 7)
