"""A course's rules: off, remarks, allowed layers; and every rule has its findings."""

import pytest

from digitspan.check.codes import CODES
from digitspan.check.course_rules import RULES, read_rules
from digitspan.check.findings import Finding
from digitspan.errors import UsageError


def written(tmp_path, text):
    path = tmp_path / "rules.toml"
    path.write_text(text)
    return path


def test_rules_are_switched_off_or_to_remarks(tmp_path):
    rules = read_rules(written(tmp_path, '[rules]\noptimiser = "off"\nclip = "remark"\n'))
    findings = [Finding("", rule, "fault", "", 0, "") for rule in ("optimiser", "clip", "bias")]
    kept = rules.applied(findings)
    assert [(finding.rule, finding.severity) for finding in kept] == [
        ("clip", "remark"),
        ("bias", "fault"),
    ]


def test_layers_are_allowed(tmp_path):
    rules = read_rules(written(tmp_path, '[allow]\nready-made = ["Linear"]\n'))
    assert rules.allowed == {"Linear"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("rules = ", "cannot be read"),
        ("[rule]\n", "must be one of rules, allow"),
        ('[rules]\nready-maid = "off"\n', "did you mean ready-made"),
        ('[rules]\nclip = "no"\n', "must be one of on, remark, off"),
        ('[allow]\nready-made = "Linear"\n', "must be ready-made ="),
        ("rules = 3\n", r"\[rules\] in --rules must be a table"),
        ('[[rules]]\nclip = "off"\n', r"\[rules\] in --rules must be a table"),
        ("points = 3\n", r"\[points\] in --rules must be a table"),
        ('[rules]\nclip = ["off"]\n', "must be one of on, remark, off"),
        ('[allow]\nreadymade = ["Linear"]\n', "must be ready-made ="),
        ('[allow]\nready-made = ["Liner"]\n', "did you mean Linear"),
        ('[allow]\nready-made = [["Linear"]]\n', "must be one of Linear"),
    ],
)
def test_wrong_rules_are_refused_in_a_sentence(tmp_path, text, reason):
    with pytest.raises(UsageError, match=reason):
        read_rules(written(tmp_path, text))


def test_every_rule_has_codes_and_every_code_a_rule():
    assert {code.rule for code in CODES.values()} == set(RULES)
