"""Hostile hand-ins are contained, and never pass. The table of them all is slow."""

import os
import socket
import subprocess
import time

import pytest
from check.hostile import ANSWERS, ESCAPES, FLOODS, FORGERIES, LOOPS, MARKER, tries
from check.reader import read_sources

from digitspan.check.course_rules import Rules
from digitspan.check.hand_in import Children, check_class
from digitspan.check.reading.hand_ins import HandIn, written_out
from digitspan.check.sandbox.isolation import LEVELS, Limits, best_level
from digitspan.check.sandbox.process import MOST_STOLEN

SECONDS = 4.0
needs_isolation = pytest.mark.skipif(
    best_level() != "isolated", reason="bubblewrap is not installed or may not be used"
)


def checked(source, level, seconds=SECONDS):
    """The section of a hostile lstm.py, and the seconds from the child's start to its end."""
    files = {"part1/lstm.py": source.encode()}
    hand_in = HandIn(None, False, files, read_sources(files), "")
    with written_out(hand_in) as tree, Children(tree, level, Limits(seconds=seconds)) as children:
        children.usable()
        start = time.monotonic()
        section = check_class(children, hand_in, "LSTM", Rules({}, frozenset()))
        return section, time.monotonic() - start


def messages(section):
    return " ".join(finding.message for finding in section.findings)


def some(cases, *fast):
    """The cases as parameters; all but a few are slow."""
    return [
        pytest.param(case, id=case, marks=[] if case in fast else [pytest.mark.slow])
        for case in cases
    ]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("case", some(LOOPS, "catches everything"))
def test_endless_code_is_a_timeout_within_a_second_of_the_limit(case, level):
    if level == "isolated" and best_level() != level:
        pytest.skip("needs bubblewrap")
    section, seconds = checked(LOOPS[case], level)
    assert section.verdict == "cannot tell"
    assert "timeout" in messages(section)
    # What waits is ended on the second; what computes may be late where others use the processors.
    waits = ("sleep", "catches everything", "lock", "stops itself")
    busy = case not in waits
    assert seconds < SECONDS * (1 + busy * MOST_STOLEN) + 1


@pytest.mark.parametrize("case", some(FLOODS, "output"))
@needs_isolation
def test_flood_is_dammed(case):
    source, reason = FLOODS[case]
    # To fill two gigabytes can take a machine longer than the time that ends the other floods.
    allowed = 60.0 if "memory" in reason else SECONDS
    section, seconds = checked(source, "isolated", allowed)
    assert section.verdict != "pass" or case in ("threads", "one file", "many files", "forks")
    assert reason in messages(section)
    assert seconds < allowed * (1 + MOST_STOLEN) + 3
    found = subprocess.run(
        ["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True
    )
    assert MARKER not in found.stdout


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("case", some(FORGERIES, "exits 0"))
def test_forged_verdict_is_not_a_pass(case, level):
    if level == "isolated" and best_level() != level:
        pytest.skip("needs bubblewrap")
    section, _ = checked(FORGERIES[case], level)
    assert section.verdict == "fail"


@pytest.mark.parametrize("case", some(ANSWERS, "subclass"))
def test_tricky_answer_is_not_a_pass(case):
    section, _ = checked(ANSWERS[case], best_level(), seconds=60)
    # Of what fills the memory nobody knows what it would have answered.
    assert section.verdict == ("cannot tell" if case == "huge" else "fail"), section.findings


@needs_isolation
@pytest.mark.parametrize("case", some(ESCAPES, "teacher's file", "TCP"))
def test_isolated_code_cannot_reach_out(case, tmp_path, monkeypatch):
    monkeypatch.setenv("DIGITSPAN_SECRET", "secret")
    secret = tmp_path / "solution.py"
    secret.write_text("secret")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".ssh").write_text("secret")
    abstract = f"digitspan-{os.getpid()}"
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket(socket.AF_UNIX) as hidden,
    ):
        unix.bind(str(tmp_path / "socket"))
        unix.listen()
        hidden.bind(f"\0{abstract}")
        hidden.listen()
        code = ESCAPES[case].format(
            secret=secret,
            folder=tmp_path,
            home=tmp_path / "home",
            pid=os.getpid(),
            port=server.getsockname()[1],
            abstract=abstract,
        )
        section, _ = checked(tries(code), "isolated", seconds=30)
    assert section.verdict == "fail"
    assert "GOT THROUGH" not in messages(section)
    assert "was denied" in messages(section) or "no answer" in messages(section)
    assert not (tmp_path / "written").exists()


def test_attempt_that_works_is_told():
    section, _ = checked(tries("pass"), best_level(), seconds=30)
    assert "GOT THROUGH" in messages(section)
