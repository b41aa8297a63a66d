"""The command from end to end: one verdict a class, JSON of one shape, resumed checks."""

import argparse
import csv
import inspect
import io
import json
import shutil
import zipfile
from pathlib import Path

import pytest
from check.bank import HEADER, SIGNATURE, lstm, rnn
from rich.console import Console

import digitspan.part1.lstm
from digitspan.check import course
from digitspan.check.course_rules import Rules
from digitspan.check.findings import Finding, Findings, Report, Section
from digitspan.check.reading.intake import Entry
from digitspan.check.sandbox.isolation import Limits, best_level
from digitspan.check.table import as_csv, as_table
from digitspan.commands.check import add_options, run
from digitspan.errors import UsageError

PART1 = Path(inspect.getfile(digitspan.part1.lstm)).parent
TEMPLATE = f"""\
{HEADER}class {{}}(nn.Module):
    def __init__({SIGNATURE}):
        super().__init__()
        # Initialization here ...

    def forward(self, x):
        # Implementation here ...
        pass
"""


def check(*words):
    """The exit status of `digitspan check` with these words."""
    parser = argparse.ArgumentParser()
    add_options(parser)
    return run(parser.parse_args([str(word) for word in words]))


def folder_of(path, **files):
    """A hand-in with a folder part1 of these files."""
    (path / "part1").mkdir(parents=True)
    for name, text in files.items():
        (path / "part1" / f"{name}.py").write_text(text)
    return path


def test_own_part1_passes_and_the_document_has_its_shape(tmp_path, capsys):
    archive = tmp_path / "Meier-1234567.zip"
    with zipfile.ZipFile(archive, "w") as written:
        for file in sorted(PART1.glob("*.py")):
            written.write(file, f"Meier-1234567/part1/{file.name}")
    rules = tmp_path / "rules.toml"
    rules.write_text('[rules]\npdf = "off"\n')
    status = check(archive, "--rules", rules, "--json")
    document = json.loads(capsys.readouterr().out)
    assert status == 0, document
    assert list(document) == [
        "hand_in", "student", "isolation", "classes", "training", "package",
    ]  # fmt: skip
    assert document["student"] == "Meier-1234567"
    assert document["isolation"] == best_level()
    assert list(document["classes"]) == ["VanillaRNN", "LSTM"]
    for section in [*document["classes"].values(), document["training"], document["package"]]:
        assert section == {"verdict": "pass", "findings": []}


def test_unfilled_template_says_what_is_missing_file_by_file(tmp_path, capsys):
    files = {
        "vanilla_rnn": TEMPLATE.format("VanillaRNN"),
        "lstm": TEMPLATE.format("LSTM"),
        "train": "def train(config):\n    loss = float('inf')\n    accuracy = 0.0\n",
    }
    assert check(folder_of(tmp_path / "template", **files)) == 1
    text = capsys.readouterr().out
    for name in files:
        assert f"part1/{name}.py" in text
    assert text.count("was never filled in") == 3


@pytest.mark.slow
def test_several_hand_ins_are_resumed_and_changed_ones_checked_again(
    tmp_path, capsys, monkeypatch
):
    for name in ("a", "b"):
        folder_of(tmp_path / "all" / name, vanilla_rnn=rnn("separate"), lstm=lstm("columns"))
    out = tmp_path / "out"
    calls = []
    real = course.check_hand_in

    def counted(path, *rest, **words):
        calls.append(path.name)
        return real(path, *rest, **words)

    monkeypatch.setattr(course, "check_hand_in", counted)
    words = (tmp_path / "all", "--out", out, "--csv", "--jobs", "1")
    assert check(*words) == 1  # no PDF
    first = capsys.readouterr().out
    assert sorted(calls) == ["a", "b"]
    assert (out / "table.csv").read_text() == first
    assert check(*words) == 1
    assert capsys.readouterr().out == first
    assert sorted(calls) == ["a", "b"]
    wrong = lstm("separate", answer="torch.softmax(p, 1)")
    (tmp_path / "all" / "b" / "part1" / "lstm.py").write_text(wrong)
    check(*words)
    assert sorted(calls) == ["a", "b", "b"]
    assert "softmax again" in capsys.readouterr().out


def quick_reports(monkeypatch, fail_at=None):
    """Reports without a child; the one called `fail_at` is interrupted."""
    calls = []

    def report(path, *rest, **words):
        if path.name == fail_at:
            raise KeyboardInterrupt
        calls.append(path.name)
        fine = Section()
        return Report(str(path), "limited", {"VanillaRNN": fine, "LSTM": fine}, fine, fine)

    monkeypatch.setattr(course, "check_hand_in", report)
    return calls


def entries(paths):
    """Hand-ins as the intake has them."""
    return [Entry(str(path), path, None) for path in paths]


def test_interrupted_check_goes_on_where_it_was(tmp_path, monkeypatch):
    paths = entries(folder_of(tmp_path / f"h{number}", lstm="x = 1") for number in range(6))
    settings = course.Settings(
        "limited", Limits(), course.Rules({}, frozenset()), 1, tmp_path / "out"
    )
    calls = quick_reports(monkeypatch, fail_at="h3")
    with pytest.raises(KeyboardInterrupt):
        course.check_many(paths, settings, lambda report: None)
    assert calls[:3] == ["h0", "h1", "h2"]
    calls = quick_reports(monkeypatch)
    reports = course.check_many(paths, settings, lambda report: None)
    assert [report.hand_in for report in reports] == [entry.name for entry in paths]
    assert "h3" in calls
    assert not set(calls) & {"h0", "h1", "h2"}  # what was finished is not done again


def test_line_that_was_cut_off_is_checked_again(tmp_path, monkeypatch):
    paths = entries(folder_of(tmp_path / f"h{number}", lstm="x = 1") for number in range(3))
    settings = course.Settings(
        "limited", Limits(), course.Rules({}, frozenset()), 1, tmp_path / "out"
    )
    quick_reports(monkeypatch)
    course.check_many(paths, settings, lambda report: None)
    kept = tmp_path / "out" / "reports.jsonl"
    kept.write_bytes(kept.read_bytes()[:-20])
    calls = quick_reports(monkeypatch)
    course.check_many(paths, settings, lambda report: None)
    assert len(calls) == 1


def test_rules_switch_kept_reports_and_a_hand_in_that_changed_leaves_no_old_one(
    tmp_path, monkeypatch
):
    findings = Findings()
    findings.add("pdf-missing")
    calls = []

    def report(path, *rest, **words):
        calls.append(path.name)
        fine = Section()
        classes = {"VanillaRNN": fine, "LSTM": fine}
        return Report(str(path), "limited", classes, fine, findings.section())

    monkeypatch.setattr(course, "check_hand_in", report)
    path = folder_of(tmp_path / "h", lstm="x = 1")
    verdicts = []
    for states in ({}, {"pdf": "off"}, {"pdf": "remark"}, {}):
        settings = course.Settings(
            "limited", Limits(), Rules(states, frozenset()), 1, tmp_path / "o"
        )
        [checked] = course.check_many(entries([path]), settings, lambda report: None)
        verdicts.append(checked.package.verdict)
    assert verdicts == ["fail", "pass", "pass", "fail"]
    assert calls == ["h"]
    (path / "part1" / "lstm.py").write_text("x = 2")
    course.check_many(entries([path]), settings, lambda report: None)
    assert calls == ["h", "h"]
    assert len((tmp_path / "o" / "reports.jsonl").read_text().splitlines()) == 1


def test_kept_report_hangs_on_the_libraries_that_are_installed(tmp_path, monkeypatch):
    entry = Entry("a.zip", tmp_path, None)
    settings = course.Settings("limited", Limits(), Rules({}, frozenset()))
    key = course._key(entry, "abc", settings)
    assert course._key(entry, "abc", settings) == key
    version = course._version_of
    for library in ("torch", "pypdf", "nbformat", "ipython"):
        assert version(library)
        monkeypatch.setattr(
            course, "_version_of", lambda n, gone=library: n != gone and version(n)
        )
        assert course._key(entry, "abc", settings) != key
    assert version("no-such-library-at-all") == ""


def test_fault_of_ours_is_no_verdict(tmp_path, monkeypatch):
    def broken(path, *rest, **words):
        raise ZeroDivisionError

    monkeypatch.setattr(course, "check_hand_in", broken)
    path = folder_of(tmp_path / "h", lstm="x = 1")
    settings = course.Settings("limited", Limits(), course.Rules({}, frozenset()))
    [report] = course.check_many(entries([path]), settings, lambda report: None)
    assert report.classes["LSTM"].verdict == "cannot tell"
    assert "a person has to look" in report.classes["LSTM"].findings[0].message


def test_table_is_a_line_a_hand_in_at_eighty_columns():
    findings = Findings()
    for code in ("output-gate-added-inside-tanh", "pdf-missing", "candidate-unused"):
        findings.add(code)
    section = findings.section()
    reports = [
        Report(f"all/{name}.zip", "isolated", {"VanillaRNN": section, "LSTM": Section()},
               section, Section(decided=False), name)
        for name in ("Adler-1000001", "Brandt-1000002")
    ]  # fmt: skip
    points = (("VanillaRNN", 4.0), ("LSTM", 4.0))
    for rules in (None, Rules({}, frozenset(), points)):
        console = Console(width=80, file=io.StringIO())
        console.print(as_table(reports, rules))
        _, *rows = console.file.getvalue().splitlines()
        assert len(rows) == 2
        assert all(row.rstrip().endswith("output-gate-added-inside-tanh +5") for row in rows)


def test_csv_is_no_formula():
    finding = Finding("bias-missing", "bias", "fault", "lstm.py", 3, "wrong")
    section = Section((finding,))
    report = Report(
        "=evil()", "limited", {"VanillaRNN": section, "LSTM": section}, section, section
    )
    header, row = as_csv([report]).splitlines()
    assert header.startswith("hand_in,isolation,VanillaRNN,LSTM")
    assert row.startswith("'=evil(),limited,fail,fail,fail,fail,4,0,lstm.py:3: wrong [bias]")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\uff1d", "'=", " =", '"='])
def test_no_cell_of_the_table_is_a_formula(start):
    fine = Section()
    report = Report(
        f"{start}1+1", "limited", {"VanillaRNN": fine, "LSTM": fine}, fine, fine, f"{start}cmd()"
    )
    cells = next(csv.reader([as_csv([report]).splitlines()[1]]))
    assert not any(cell.lstrip(" \"'").startswith(tuple("=+-@\uff1d"))
                   for cell in cells if not cell.startswith("'"))  # fmt: skip
    assert cells[0].startswith("'")


def test_isolation_that_the_machine_cannot_give_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("digitspan.check.sandbox.isolation._bubblewrap_works", lambda: False)
    with pytest.raises(UsageError, match="needs bubblewrap"):
        check(folder_of(tmp_path / "h", lstm="x = 1"), "--isolation", "isolated")


@pytest.mark.parametrize("words", [("--time-limit", "0"), ("--jobs", "x"), ("--isolation", "no")])
def test_option_out_of_range_is_refused(words, tmp_path, capsys):
    with pytest.raises(SystemExit):
        check(tmp_path, *words)
    assert words[0] in capsys.readouterr().err


def test_refused_archive_is_told_and_nothing_of_it_runs(tmp_path, capsys):
    archive = tmp_path / "Meier-1234567.zip"
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("../lstm.py", lstm("separate"))
    assert check(archive, "--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert document["package"]["verdict"] == "fail"
    assert "leads elsewhere" in document["package"]["findings"][0]["message"]
    assert document["classes"]["LSTM"]["verdict"] == "cannot tell"


def test_command_needs_no_torch_in_the_parent(tmp_path):
    import subprocess
    import sys

    code = "import sys, digitspan.commands.check; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    shutil.rmtree(tmp_path)
