"""What leaves the check is plain text: nothing that a terminal, a page or a spreadsheet obeys."""

import sys
import unicodedata

import pytest

from digitspan.check.findings import Findings
from digitspan.check.plain import plain, plain_cell, plain_markdown


def test_only_what_can_be_seen_stands_for_itself():
    everything = "".join(map(chr, range(sys.maxunicode + 1)))
    text = plain(everything, 10**8)
    assert all(c.isprintable() for c in text)
    assert not {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} & {unicodedata.category(c) for c in text}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", r"\x1b[2J"),
        ("\x9b31m", r"\x9b31m"),
        ("a\u202eb", r"a\u202eb"),
        ("a\u2066b", r"a\u2066b"),
        ("\u200b", r"\u200b"),
        ("\ud800", r"\ud800"),
        ("a\u034fb\u3164c\u2800", r"a\u034fb\u3164c\u2800"),
        ("a\ufe0f\u180b\U000e0101", r"a\ufe0f\u180b\U000e0101"),
        ("ก" + "\u0e47" * 50, "ก" + "\u0e47" * 3),
        ("a\nb\tc\u2028d", "a b c d"),
        ("Mu\u0308ller", "Müller"),
        ("a" + "\u0300" * 50, "à\u0300\u0300\u0300"),
        ("x" * 700, "x" * 597 + "..."),
    ],
)
def test_text_is_written_out(text, shown):
    assert plain(text) == shown
    assert plain(plain(text)) == shown


def test_finding_is_plain_whatever_it_is_made_of():
    findings = Findings("\x1b]0;x\x07.py", 3)
    findings.add("cannot-be-imported", error="\x1b[31mPASS\u202e gnp \r\n=1+1")
    [finding] = findings.found
    assert finding.file == r"\x1b]0;x\x07.py"
    assert finding.message == r"The file cannot be imported: \x1b[31mPASS\u202e gnp   =1+1"


def test_cell_is_no_formula():
    assert plain_cell("=1+1") == "'=1+1"
    assert plain_cell(' "@x') == "' \"@x"
    assert plain_cell(3) == 3
    assert plain_cell("a=1") == "a=1"


def test_markdown_sees_text_alone():
    assert plain_markdown("<b>![x](y)</b>") == r"\<b\>\!\[x\](y)\</b\>"
