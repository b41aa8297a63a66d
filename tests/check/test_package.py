"""Names, files and the PDF of a hand-in."""

import re
import textwrap
import zipfile

import pytest
from check.given import read_here
from matplotlib import pyplot
from matplotlib.backends.backend_pdf import PdfPages

from digitspan.check.package import check_package
from digitspan.check.reading.hand_ins import read_hand_in
from digitspan.check.reading.who import Student
from digitspan.check.sandbox.isolation import best_level
from digitspan.sheet.exercise import default_sheet, default_text, read_sheet
from digitspan.sheet.words import frame, model_words

pytest.importorskip("pypdf")

QUESTIONS = [f"Question 1.{n}" for n in range(1, 7)]
TEXT = [
    "Meier, 123456",
    "Özdemir",
    *QUESTIONS,
    *(["some words of an answer"] * 12),
    "Figure 1: accuracy by length",
]


def pdf(tmp_path, lines, *, figure=True):
    """A PDF with lines of text, and a picture."""
    path = tmp_path / "x.pdf"
    with PdfPages(path) as pages:
        page = pyplot.figure()
        page.text(0.1, 0.9, "\n".join(lines), va="top", fontsize=6)
        if figure:
            page.figimage([[0.0, 1.0], [1.0, 0.0]])
        pages.savefig(page)
        pyplot.close(page)
    return path.read_bytes()


@pytest.fixture
def package(tmp_path):
    """The findings about a ZIP of a name."""

    def checked(name, files, student=None):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for key, value in files.items():
                archive.writestr(key, value)
        hand_in = read_here(tmp_path / name)._replace(is_archive=True)
        return check_package(hand_in, student)

    return checked


def rules(section, severity="fault"):
    return [finding.rule for finding in section.findings if finding.severity == severity]


@pytest.fixture
def report(tmp_path):
    return pdf(tmp_path, TEXT)


def test_good_package_passes(report, package):
    files = {"part1/lstm.py": "x = 1", "Özdemir-123456.pdf": report}
    section = package("Özdemir-123456.zip", files)
    assert section.findings == ()
    assert section.verdict == "pass"


@pytest.mark.parametrize("name", ["handin.zip", "Meier.zip", "123456.zip", "Meier_123456.zip"])
def test_wrong_name_is_told(report, name, package):
    section = package(name, {"a.py": "", "Meier-123456.pdf": report})
    assert rules(section) == ["name"]


def test_missing_pdf_and_code_are_told(package):
    assert rules(package("Meier-123456.zip", {"a.txt": ""})) == ["missing", "pdf"]


def test_scan_without_text_is_told(tmp_path, package):
    data = pdf(tmp_path, ["few words"])
    assert rules(package("Meier-123456.zip", {"a.py": "", "Meier-123456.pdf": data})) == ["pdf"]


def test_damaged_pdf_is_told(package):
    section = package("Meier-123456.zip", {"a.py": "", "Meier-123456.pdf": b"%PDF-1.4 nothing"})
    assert rules(section) == ["pdf"]


def test_damaged_pdf_is_told_by_the_child_too(tmp_path):
    (tmp_path / "Meier-123456.pdf").write_bytes(b"%PDF-1.4 nothing")
    hand_in = read_hand_in(tmp_path / "Meier-123456.pdf", best_level())
    [finding] = [f for f in check_package(hand_in).findings if f.code == "pdf-damaged"]
    assert "cannot be read: Pdf" in finding.message


def test_missing_figures_captions_and_questions_are_told(tmp_path, package):
    no_caption = pdf(tmp_path, TEXT[:-1])
    section = package("Meier-123456.zip", {"a.py": "", "Meier-123456.pdf": no_caption})
    assert rules(section) == ["figures"]
    no_figure = pdf(tmp_path, TEXT[:-1], figure=False)
    section = package("Meier-123456.zip", {"a.py": "", "Meier-123456.pdf": no_figure})
    assert rules(section) == ["figures"]
    no_question = pdf(tmp_path, [line for line in TEXT if line != "Question 1.4"])
    section = package("Meier-123456.zip", {"a.py": "", "Meier-123456.pdf": no_question})
    assert rules(section) == ["questions"]
    assert "1.4" in section.findings[0].message


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        ("x = open('/home/me/x')\n", "absolute path"),
        ('x = "C:\\\\Users\\\\me"\n', "absolute path"),
        ("x = '/content/drive/x'\n", "absolute path"),
        ("<<<<<<< HEAD\nx = 1\n=======\n>>>>>>> b\n", "conflict"),
    ],
)
def test_what_runs_on_one_computer_only_is_told(report, source, rule, package):
    files = {"a.py": source, "Meier-123456.pdf": report}
    section = package("Meier-123456.zip", files)
    assert rules(section) == [rule]
    assert section.findings[0].line == 1


def test_relative_paths_and_comments_are_fine(report, package):
    files = {"a.py": "# open('/home/me/x')\nx = open('data/x')\n", "Meier-123456.pdf": report}
    assert package("Meier-123456.zip", files).findings == ()


def test_caches_are_a_remark(report, package):
    files = {"a.py": "", "__pycache__/a.pyc": b"", ".DS_Store": b"", "Meier-123456.pdf": report}
    section = package("Meier-123456.zip", files)
    assert rules(section) == []
    assert rules(section, "remark") == ["caches"]


NUMBER = "Matriculation number: 7654321"


@pytest.mark.parametrize(
    ("zip_name", "pdf_name", "lines", "code"),
    [
        ("Meier-123456.zip", "Schulz-7654321.pdf", TEXT, "pdf-of-another"),
        ("Meier-123456.zip", "Meier-123456.pdf", [NUMBER, *TEXT[1:]], "first-page-of-another"),
        ("Meier-123456.zip", "Meier-123456.pdf", TEXT[2:], "first-page-without-name"),
        ("Meier-123456.zip", "Meier-123456.pdf", [*TEXT, NUMBER], ""),  # with the own one
        ("Meier-123456 (1).zip", "Meier-123456_2.pdf", TEXT, ""),
        ("abgabe.zip", "Meier-123456.pdf", [NUMBER, *TEXT[1:]], "first-page-of-another"),
    ],
)
def test_name_of_another_student_is_told(package, tmp_path, zip_name, pdf_name, lines, code):
    section = package(zip_name, {"a.py": "", pdf_name: pdf(tmp_path, lines)})
    codes = [finding.code for finding in section.findings if finding.code != "zip-name"]
    assert codes == [code] * bool(code)


def test_student_that_the_course_names_is_compared_too(package, report):
    files = {"a.py": "", "Meier-123456.pdf": report}
    codes = [f.code for f in package("x.zip", files, Student("Schulz", "7654321")).findings]
    assert codes == ["zip-name", "pdf-of-another"]
    codes = [f.code for f in package("x.zip", files, Student("Meier Anna", "")).findings]
    assert codes == ["zip-name"]


@pytest.mark.parametrize(
    "name",
    [
        "Adler-1000001 (1).zip",
        "Adler-1000001_2.zip",
        "O\u2019Brien-1000001.zip",
        "Mu\u0308ller-1000001.zip",
        "Adler Anna_301_assignsubmission_file_Adler-1000001.zip",
    ],
)
def test_what_platforms_and_systems_do_to_a_name_is_no_fault(package, name):  # fmt: skip
    section = package(name, {"a.py": ""})
    assert [finding.code for finding in section.findings] == ["pdf-missing"]


def test_environment_and_damaged_notebook_are_told(package, report):
    files = {"a.py": "", "env/lib/python3.8/site-packages/x.py": "", "w.ipynb": '{"cells": [',
             "Meier-123456.pdf": report}  # fmt: skip
    section = package("Meier-123456.zip", files)
    told = {finding.code: finding for finding in section.findings}
    assert set(told) == {"environment-handed-in", "notebook-damaged"}
    assert "not whole JSON, at its end" in told["notebook-damaged"].message
    assert told["notebook-damaged"].file == "w.ipynb"


def words_of_the_model(*parts):
    """The model's words on some questions, as a student's report would have them."""
    words = model_words(default_sheet())
    prose = " ".join(re.sub(r"\$[^$]*\$|<<.*?>>|[*`#]", " ", words[part]) for part in parts)
    return textwrap.wrap(prose, 90)


def test_the_models_words_are_told_by_question(tmp_path, package):
    report = pdf(tmp_path, [*TEXT, *words_of_the_model("1.4")])
    section = package("Meier-123456.zip", {"a.py": "x = 1", "Meier-123456.pdf": report})
    [finding] = section.findings
    assert (finding.code, finding.rule) == ("model-words", "own words")
    assert re.search(r"in the answer to 1\.4 \(\d+ of \d+\)", finding.message)


def test_a_sentence_of_the_models_is_not_its_answer(tmp_path, package):
    report = pdf(tmp_path, [*TEXT, *words_of_the_model("1.4")[:8]])
    section = package("Meier-123456.zip", {"a.py": "x = 1", "Meier-123456.pdf": report})
    assert section.findings == ()


def test_an_empty_frame_is_no_answer(tmp_path, package):
    question = default_sheet().questions[0]
    report = pdf(tmp_path, [*TEXT, *frame(question, question.parts[0]).splitlines()])
    section = package("Meier-123456.zip", {"a.py": "x = 1", "Meier-123456.pdf": report})
    assert [finding.code for finding in section.findings] == ["answer-not-written"]


def test_another_sheet_has_other_names_and_questions(tmp_path):
    text = default_text().replace("{surname}-{matriculation}", "{matriculation}_{surname}")
    (tmp_path / "sheet.toml").write_text(text.replace('"1.', '"2.'), encoding="utf-8")
    sheet = read_sheet(tmp_path)
    lines = [line.replace("Question 1.", "Question 2.") for line in TEXT[:-2]]
    for name, told in (("123456_Meier", []), ("Meier-123456", ["zip-name", "pdf-name"])):
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            archive.writestr("a.py", "x = 1")
            archive.writestr(f"{name}.pdf", pdf(tmp_path, [*lines, *TEXT[-2:]]))
        hand_in = read_here(tmp_path / f"{name}.zip", sheet)._replace(is_archive=True)
        found = check_package(hand_in).findings
        assert [finding.code for finding in found] == told
        assert all("Matriculation_Surname" in finding.message for finding in found)
