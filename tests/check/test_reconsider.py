"""What the training script says of a class's findings."""

import pytest

from digitspan.check.findings import Findings, Section
from digitspan.check.hand_in import _missing, _reconsider, _script_unread
from digitspan.check.package import check_package
from digitspan.check.reading.hand_ins import CHANGED, Facts, HandIn
from digitspan.check.script import Trained


@pytest.mark.parametrize(
    ("losses", "verdict", "codes"),
    [
        ({"lstm": {"logits"}}, "pass", ["several-results-taken-apart"]),
        ({"rnn": {"logits"}}, "fail", ["several-results"]),
        ({}, "fail", ["several-results"]),
    ],
)
def test_script_that_takes_the_logits_out_makes_several_results_a_remark(
    tmp_path, losses, verdict, codes
):
    findings = Findings("lstm.py")
    findings.add("several-results")
    hand_in = HandIn(tmp_path, False, {}, [], "")
    trained = Trained(Section(), losses, {})
    section = _reconsider(findings.section(), trained, hand_in, "LSTM", "LSTM")
    assert (section.verdict, [finding.code for finding in section.findings]) == (verdict, codes)


def test_what_may_be_in_an_archive_that_is_not_opened_is_not_missing(tmp_path):
    facts = Facts(unopened={"Doe-123456.rar": "RAR"})
    hand_in = HandIn(tmp_path, False, {"Doe-123456.rar": b""}, [], "", facts)
    script = Findings()
    script.add("script-missing")
    for section in (_missing(hand_in, "LSTM"), _script_unread(script.section(), hand_in)):
        assert section.verdict == "cannot tell"
        assert "Doe-123456.rar" in section.findings[0].message
    without = hand_in._replace(facts=Facts())
    assert _missing(without, "LSTM").verdict == "fail"
    assert _script_unread(script.section(), without).verdict == "fail"


def test_files_that_changed_while_the_check_ran_are_no_fault_of_their_author(tmp_path):
    hand_in = HandIn(tmp_path, True, {}, [], CHANGED)
    assert check_package(hand_in, None).verdict == "cannot tell"
    assert check_package(hand_in._replace(refused="it has a password"), None).verdict == "fail"
