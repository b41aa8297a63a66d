"""A course's rules: off, remarks, allowed layers; and every rule that is told has a name."""

import ast
from pathlib import Path

import pytest

import digitspan.check.course_rules as rules_module
from digitspan.check.course_rules import RULES, read_rules
from digitspan.check.findings import Finding
from digitspan.check.network.faults import faults_of
from digitspan.errors import UsageError


def written(tmp_path, text):
    path = tmp_path / "rules.toml"
    path.write_text(text)
    return path


def test_rules_are_switched_off_or_to_remarks(tmp_path):
    rules = read_rules(written(tmp_path, '[rules]\noptimiser = "off"\nclip = "remark"\n'))
    findings = [Finding(rule, "fault", "", 0, "") for rule in ("optimiser", "clip", "bias")]
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
    ],
)
def test_wrong_rules_are_refused_in_a_sentence(tmp_path, text, reason):
    with pytest.raises(UsageError, match=reason):
        read_rules(written(tmp_path, text))


def test_every_rule_that_a_finding_names_is_in_the_list():
    folder = Path(rules_module.__file__).parent
    named = {fault.rule for kind in ("rnn", "lstm") for fault in faults_of(kind)}
    for file in folder.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("fault", "remark")
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                named.add(node.args[0].value)
    assert named - {"order"} <= set(RULES)
    assert len(named) > 30
