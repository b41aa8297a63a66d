"""Names, files and the PDF of a hand-in."""

from pathlib import Path

import pytest
from matplotlib import pyplot
from matplotlib.backends.backend_pdf import PdfPages

from digitspan.check.package import check_package
from digitspan.check.reading.hand_ins import HandIn
from digitspan.check.reading.source import read_sources

pytest.importorskip("pypdf")

QUESTIONS = [f"Question 1.{n}" for n in range(1, 7)]
TEXT = [*QUESTIONS, *(["some words of an answer"] * 12), "Figure 1: accuracy by length"]


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


def package(name, files):
    """The findings about a ZIP of this name."""
    files = {
        key: value if isinstance(value, bytes) else value.encode() for key, value in files.items()
    }
    return check_package(HandIn(Path(name), True, files, read_sources(files), ""))


def rules(section, severity="fault"):
    return [finding.rule for finding in section.findings if finding.severity == severity]


@pytest.fixture
def report(tmp_path):
    return pdf(tmp_path, TEXT)


def test_good_package_passes(report):
    files = {"part1/lstm.py": "x = 1", "Özdemir-123456.pdf": report}
    section = package("Özdemir-123456.zip", files)
    assert section.findings == ()
    assert section.verdict == "pass"


@pytest.mark.parametrize("name", ["handin.zip", "Meier.zip", "123456.zip", "Meier_123456.zip"])
def test_wrong_name_is_told(report, name):
    section = package(name, {"a.py": "", "Meier-123456.pdf": report})
    assert rules(section) == ["name"]


def test_missing_pdf_and_code_are_told():
    assert rules(package("Meier-123456.zip", {"a.txt": ""})) == ["missing", "pdf"]


def test_scan_without_text_is_told(tmp_path):
    data = pdf(tmp_path, ["few words"])
    assert rules(package("Meier-123456.zip", {"a.py": "", "Meier-123456.pdf": data})) == ["pdf"]


def test_damaged_pdf_is_told():
    section = package("Meier-123456.zip", {"a.py": "", "Meier-123456.pdf": b"%PDF-1.4 nothing"})
    assert rules(section) == ["pdf"]


def test_missing_figures_captions_and_questions_are_told(tmp_path):
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
def test_what_runs_on_one_computer_only_is_told(report, source, rule):
    files = {"a.py": source, "Meier-123456.pdf": report}
    section = package("Meier-123456.zip", files)
    assert rules(section) == [rule]
    assert section.findings[0].line == 1


def test_relative_paths_and_comments_are_fine(report):
    files = {"a.py": "# open('/home/me/x')\nx = open('data/x')\n", "Meier-123456.pdf": report}
    assert package("Meier-123456.zip", files).findings == ()


def test_caches_are_a_remark(report):
    files = {"a.py": "", "__pycache__/a.pyc": b"", ".DS_Store": b"", "Meier-123456.pdf": report}
    section = package("Meier-123456.zip", files)
    assert rules(section) == []
    assert rules(section, "remark") == ["caches"]
