"""The wall around a hand-in's code."""

import os
import sys
from pathlib import Path

import pytest

import digitspan
from digitspan.check.sandbox import isolation
from digitspan.check.sandbox.isolation import Limits, best_level, require_level
from digitspan.check.sandbox.process import ChildProcess
from digitspan.errors import UsageError


def test_package_is_hidden_where_it_lies_among_pythons_own_libraries(monkeypatch):
    package = Path(digitspan.__file__).resolve().parent
    assert str(package) not in isolation._walls(Limits())
    monkeypatch.setattr(sys, "prefix", str(package.parent))
    walls = isolation._walls(Limits())
    assert walls[walls.index(str(package)) - 1] == "--tmpfs"


def test_windows_is_refused_in_a_sentence(monkeypatch):
    monkeypatch.setattr(os, "name", "nt")
    with pytest.raises(UsageError, match="run it in WSL"):
        require_level("auto")


@pytest.mark.skipif(best_level() != "isolated", reason="needs bubblewrap")
def test_what_can_be_written_is_small_and_all_else_is_read_only(tmp_path):
    with ChildProcess(tmp_path, "isolated", Limits(disk=8 * 2**20), "reader.main") as child:
        child.ask({"do": "hello"})
        [inner] = [pid for pid in _tree(child.pid) if _command(pid).startswith(sys.executable)]
        mounts = Path(f"/proc/{inner}/mounts").read_text().splitlines()
    written = {}
    for line in mounts:
        _, place, kind, options, *_ = line.split()
        if "rw" in options.split(",") and kind == "tmpfs":
            written[place] = options
    written = {
        place: options
        for place, options in written.items()
        if not place.startswith("/dev/") or place == "/dev/shm"
    }  # single devices
    assert set(written) == {"/tmp", "/dev/shm"}
    assert "size=6144k" in written["/tmp"]
    assert "size=2048k" in written["/dev/shm"]


def _tree(pid):
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += _tree(int(child))
    return found


def _command(pid):
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[0]
