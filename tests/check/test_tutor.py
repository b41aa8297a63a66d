"""The tutor's view: which fault how often, who is alike, points, a page for each student."""

import pytest

from digitspan.check.course_rules import Rules, read_rules
from digitspan.check.findings import Findings, Report, Section, Traits
from digitspan.check.points import points_of, shown_points
from digitspan.check.similar import compared, near_identical
from digitspan.check.tutor import page_of, summary_of, write_pages
from digitspan.errors import UsageError

NO_RULES = Rules({}, frozenset())


def section(*codes, decided=True, **words):
    findings = Findings("part1/lstm.py", 7)
    for code in codes:
        findings.add(code, **words)
    return findings.section(decided=decided)


def report(student, *, lstm=(), package=(), files=(), sketch=(), decided=True):
    fine = Section()
    return Report(
        f"all/{student}.zip",
        "isolated",
        {"VanillaRNN": fine, "LSTM": section(*lstm, decided=decided)},
        fine,
        section(*package),
        student,
        Traits(dict(files), frozenset(sketch)),
    )


def test_faults_are_counted_once_a_hand_in_the_most_frequent_first():
    reports = [
        report("Adler-1", lstm=["candidate-unused", "candidate-unused"], package=["pdf-missing"]),
        report("Brandt-2", package=["pdf-missing"]),
        report("Conrad-3", package=["first-page-without-name"] * 0),
    ]
    first, second, third = summary_of(reports)
    assert first == "faults, and in how many hand-ins:"
    assert second.startswith("    2 pdf-missing: There is no PDF")
    assert third.startswith("    1 candidate-unused: Equation (8)")


def test_who_has_the_same_file_is_told_on_both_sides_and_not_on_the_page():
    files = {"abc": "part1/lstm.py"}
    pair = [report("Adler-1", files=files), report("Brandt-2", files=files), report("Conrad-3")]
    told = compared(pair, NO_RULES)
    assert ["Brandt-2" in str(r.package.findings) for r in told] == [True, False, False]
    assert ["Adler-1" in str(r.package.findings) for r in told] == [False, True, False]
    assert "the same files: Adler-1, Brandt-2 (part1/lstm.py)" in summary_of(told)
    assert "Brandt" not in page_of(told[0], NO_RULES)
    off = Rules({"copy": "off"}, frozenset())
    assert all(r.package.findings == () for r in compared(pair, off))


def test_what_the_course_gave_to_all_is_no_copy():
    files = {"abc": "part1/train.py"}
    reports = [report(f"S-{n}", files=files, sketch=range(100)) for n in range(8)]
    assert all(r.package.findings == () for r in compared(reports, NO_RULES))
    assert near_identical(reports) == []


def test_near_identical_hand_ins_are_grouped():
    first, other = set(range(100)), set(range(200, 300))
    nearly = first - set(range(8)) | {500, 501}
    reports = [
        report("Adler-1", sketch=first),
        report("Brandt-2", sketch=nearly),
        report("Conrad-3", sketch=other),
        report("Dorn-4", sketch=set(range(60))),
    ]
    assert [[r.student for r in group] for group in near_identical(reports)] == [
        ["Adler-1", "Brandt-2"]
    ]
    assert any(
        "near-identical" in line and "Adler-1, Brandt-2" in line for line in summary_of(reports)
    )


def test_two_hand_ins_of_one_student_are_told():
    told = compared([report("Adler-1"), report("Adler-1"), report("Brandt-2")], NO_RULES)
    codes = [[finding.code for finding in r.package.findings] for r in told]
    assert codes == [["several-hand-ins"], ["several-hand-ins"], []]
    assert "2 hand-ins of one student: Adler-1" in summary_of(told)


RULES = """\
[points]
VanillaRNN = 4
LSTM = 4
package = 1
[costs]
"cell state" = 1.5
"softmax" = 1
"""


@pytest.mark.parametrize(
    ("lstm", "package", "shown"),
    [
        ([], [], "9/9"),
        (["candidate-unused"], [], "7.5/9"),
        (["candidate-unused", "forget-gate-added"], [], "7.5/9"),  # one rule, once
        (["pdf-missing"], [], "5/9"),  # no cost is named: all of the section
        (["candidate-unused"], ["pdf-missing"], "6.5/9"),
    ],
)
def test_points_are_what_the_faults_leave(tmp_path, lstm, package, shown):
    (tmp_path / "rules.toml").write_text(RULES)
    rules = read_rules(tmp_path / "rules.toml")
    assert shown_points(points_of(report("A-1", lstm=lstm, package=package), rules)) == shown


def test_points_of_what_the_check_cannot_tell_are_a_persons(tmp_path):
    (tmp_path / "rules.toml").write_text(RULES)
    rules = read_rules(tmp_path / "rules.toml")
    undecided = report("A-1", decided=False)
    assert shown_points(points_of(undecided, rules)) == "5+4?/9"
    assert "more to be decided" in page_of(undecided, rules)
    assert points_of(undecided, NO_RULES) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[points]\nRNN = 4\n", "must be one of VanillaRNN"),
        ('[points]\nLSTM = "4"\n', "must be a number of 0 or more"),
        ("[points]\nLSTM = -1\n", "must be a number of 0 or more"),
        ('[costs]\n"clip" = 1\n', "needs"),
        ("points = 3\n", "must be a table"),
    ],
)
def test_points_that_will_not_do_are_refused(tmp_path, text, reason):
    (tmp_path / "rules.toml").write_text(text)
    with pytest.raises(UsageError, match=reason):
        read_rules(tmp_path / "rules.toml")


def test_every_hand_in_has_a_page_of_its_own(tmp_path):
    names = ["A-1", "A-1 (2)", "A-1", "a-1"]
    write_pages([report(name) for name in names], NO_RULES, tmp_path)
    pages = {path.name: path.read_text().splitlines()[0] for path in tmp_path.iterdir()}
    assert len(pages) == len(names)
    assert pages["A-1 (2).md"] == "# A-1 (2)"


def test_pages_of_an_earlier_call_go_and_files_of_others_stay(tmp_path):
    write_pages([report("Adler-1"), report("Brandt-2")], NO_RULES, tmp_path)
    (tmp_path / "notes").with_suffix(".md").write_text("mine\n")
    (tmp_path / "Conrad-3").with_suffix(".md").write_text("a tutor's words\n")
    write_pages([report("Brandt-2"), report("Conrad-3")], NO_RULES, tmp_path)
    found = {path.stem: path.read_text() for path in tmp_path.iterdir()}
    assert sorted(found) == ["Brandt-2", "Conrad-3", "Conrad-3 (2)", "notes"]
    assert (found["notes"], found["Conrad-3"]) == ("mine\n", "a tutor's words\n")
    assert found["Conrad-3 (2)"].startswith("# Conrad-3\n")


def test_page_has_each_fault_with_its_place_and_is_called_after_the_student(tmp_path):
    faulty = report("O'Brien-7", lstm=["candidate-unused"])
    write_pages([faulty, report("../x\x1b"), report("O'Brien-7")], NO_RULES, tmp_path / "pages")
    pages = {path.stem: path for path in (tmp_path / "pages").glob("*.md")}
    assert sorted(pages) == ["O'Brien-7", "O'Brien-7 (2)", "_x_x1b"]
    text = pages["O'Brien-7"].read_text(encoding="utf-8")
    assert "## LSTM: there is a fault" in text
    assert "* `part1/lstm.py:7`: Equation (8): the candidate never enters" in text
