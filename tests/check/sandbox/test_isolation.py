"""The wall around a hand-in's code."""

import sys
from pathlib import Path

import digitspan
from digitspan.check.sandbox import isolation


def test_package_is_hidden_where_it_lies_among_pythons_own_libraries(monkeypatch):
    package = Path(digitspan.__file__).resolve().parent
    assert str(package) not in isolation._walls()
    monkeypatch.setattr(sys, "prefix", str(package.parent))
    walls = isolation._walls()
    assert walls[walls.index(str(package)) - 1] == "--tmpfs"
