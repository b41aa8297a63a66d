"""Whole hand-ins, laid out in many ways: the check says the truth about each."""

from pathlib import Path

import pytest
from check.whole import WHOLE, zipped

from digitspan.check.course_rules import Rules
from digitspan.check.hand_in import check_hand_in
from digitspan.check.sandbox.isolation import Limits, best_level

FAST = ("loops over names", "a notebook alone")
FAST_WORDLESS = ("softmax inside, its logarithm outside", "a state reset by the script")


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def said(section):
    """A verdict and what was found."""
    findings = [f"{f.severity} {f.file}:{f.line} {f.message}" for f in section.findings]
    return f"{section.verdict}: {findings}"


def parted(expected):
    """A verdict, and the words after it."""
    verdict = next(v for v in ("pass", "fail", "cannot tell") if expected.startswith(v))
    return verdict, expected[len(verdict) :].strip()


def assert_says(section, expected):
    """A verdict, and words that the findings must have; a pass with no words has no finding."""
    verdict, words = parted(expected)
    assert section.verdict == verdict, said(section)
    text = said(section)
    if words.startswith("part1/"):
        file, _, words = words.partition(" ")
        assert file in text
    assert words.lower() in text.lower()
    if expected == "pass":
        assert section.findings == (), text


def checked(name, folder):
    """The report on one of the hand-ins, as a ZIP."""
    path = folder / "Doe-123456.zip"
    path.write_bytes(zipped(WHOLE[name].files))
    return check_hand_in(path, best_level(), Limits(), Rules({}, frozenset()))


def names(fast):
    """The names as parameters; all but a few are slow."""
    marked = [pytest.param(n, marks=[] if n in fast else [pytest.mark.slow]) for n in WHOLE]
    return pytest.mark.parametrize("name", marked)


@names(FAST)
def test_whole_hand_in_is_judged_by_what_is_true_of_it(name, tmp_path):
    whole = WHOLE[name]
    report = checked(name, tmp_path)
    for section, expected in (
        (report.classes["VanillaRNN"], whole.rnn),
        (report.classes["LSTM"], whole.lstm),
        (report.training, whole.training),
    ):
        assert_says(section, expected)
    assert whole.package in said(report.package)
    assert Path(report.hand_in) == tmp_path / "Doe-123456.zip"


@names(FAST_WORDLESS)
def test_verdicts_hang_on_no_sentence(name, tmp_path, no_sentences):
    whole = WHOLE[name]
    report = checked(name, tmp_path)
    expected = [parted(words)[0] for words in (whole.rnn, whole.lstm, whole.training)]
    sections = [*report.classes.values(), report.training]
    assert [section.verdict for section in sections] == expected
    assert {f.message for section in sections for f in section.findings} <= {"word"}
