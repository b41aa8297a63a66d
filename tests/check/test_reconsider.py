"""What the training script says of a class's findings."""

import pytest

from digitspan.check.findings import Findings, Section
from digitspan.check.hand_in import _reconsider
from digitspan.check.reading.hand_ins import HandIn
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
