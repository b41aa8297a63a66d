"""Findings have codes: all of them in one table and in the document, and no sentence decides."""

import ast
import inspect
import re
import textwrap
from pathlib import Path

import pytest

import digitspan.check
from digitspan.check.codes import CODES
from digitspan.check.course_rules import RULES
from digitspan.check.findings import Findings
from digitspan.check.network.faults import faults_of

SOURCES = [
    path
    for path in Path(inspect.getfile(digitspan.check)).parent.rglob("*.py")
    if path.name != "codes.py"
]
DOCUMENT = Path(__file__).parents[2] / "docs" / "check.md"


def nodes():
    for path in SOURCES:
        yield from ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def listed():
    """The list of codes in docs/check.md."""
    lines = []
    for rule, meaning in RULES.items():
        words = [f"**{rule}** ({meaning}):"]
        for code, (of, severity, _) in CODES.items():
            if of == rule:
                words.append(f"`{code}`{' (remark)' * (severity == 'remark')},")
        text = " ".join(words)[:-1]
        lines += textwrap.wrap(text, 98, initial_indent="* ", subsequent_indent="  ",
                               break_on_hyphens=False)  # fmt: skip
    return "\n".join(lines)


def test_every_code_in_use_is_in_the_table():
    used = {
        node.args[0].value
        for node in nodes()
        if isinstance(node, ast.Call)
        and isinstance(node.func, (ast.Attribute, ast.Name))
        and ast.unparse(node.func).rpartition(".")[2]
        in ("add", "has", "replace", "Fault", "_lost")
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and re.fullmatch(r"[a-z]+(-[a-z0-9]+)+", str(node.args[0].value))
    }
    used |= {fault.code for kind in ("rnn", "lstm") for fault in faults_of(kind)}
    assert used <= set(CODES)
    assert len(used) > 100


def test_every_code_in_the_table_is_in_use():
    words = {node.value for node in nodes() if isinstance(node, ast.Constant)}
    assert [code for code in CODES if code not in words] == []


def test_every_code_says_something_by_itself():
    for code, (_, severity, message) in CODES.items():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", code)
        assert severity in ("fault", "remark")
        assert message.strip() == message != ""


@pytest.mark.parametrize("kind", ["rnn", "lstm"])
def test_sentence_of_every_known_fault_can_be_filled_in(kind):
    for fault in faults_of(kind):
        findings = Findings()
        findings.add(fault.code, **fault.words)
        assert findings.found[0].message.endswith(".")
        assert "{" not in findings.found[0].message


def test_document_lists_every_code():
    assert listed() in DOCUMENT.read_text(encoding="utf-8"), f"expected:\n{listed()}"
