"""What several tests of the check share."""

import os
from pathlib import Path

import pytest

from digitspan.check import findings


def pytest_collection_modifyitems(items):
    """Where `digitspan check` refuses to run, its tests are skipped; the refusal itself is not."""
    if os.name == "nt":
        unix = pytest.mark.skip(reason="digitspan check needs limits that Windows does not have")
        for item in items:
            if Path(__file__).parent in item.path.parents and "windows" not in item.name:
                item.add_marker(unix)


@pytest.fixture
def no_sentences(monkeypatch):
    """Every finding says the same word: whoever decides by a message decides wrongly."""

    class Wordless(findings.Finding):
        __slots__ = ()

        def __new__(cls, code, rule, severity, file, line, message):
            return super().__new__(cls, code, rule, severity, file, line, "word")

    monkeypatch.setattr(findings, "Finding", Wordless)
