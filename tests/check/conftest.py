"""What several tests of the check share."""

import pytest

from digitspan.check import findings


@pytest.fixture
def no_sentences(monkeypatch):
    """Every finding says the same word: whoever decides by a message decides wrongly."""

    class Wordless(findings.Finding):
        __slots__ = ()

        def __new__(cls, code, rule, severity, file, line, message):
            return super().__new__(cls, code, rule, severity, file, line, "word")

    monkeypatch.setattr(findings, "Finding", Wordless)
