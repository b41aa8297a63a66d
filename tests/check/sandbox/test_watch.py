"""One limit for all that a hand-in starts, and an end that comes at once."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from digitspan.check.sandbox import process
from digitspan.check.sandbox.isolation import LEVELS, Limits, best_level
from digitspan.check.sandbox.process import ChildLost, ChildProcess
from digitspan.check.sandbox.watch import Watch, end_strangers, own_children

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")

MB = 2**20


def python(code, **more):
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], **more)


def exceeded(code, *, memory=150 * MB, tasks=20, seconds=20.0):
    """What the watch says of a program, with what it started."""
    said = []
    program = python(code, start_new_session=True)
    watch = Watch(program.pid, memory, tasks, said.append)
    try:
        end = time.monotonic() + seconds
        while not said and program.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        return said
    finally:
        watch.stop()
        os.killpg(program.pid, signal.SIGKILL)
        program.wait()


def test_memory_of_all_children_together_is_limited():
    code = """
        import os, time
        for _ in range(4):
            if os.fork() == 0:
                held = bytearray(os.urandom(1) * (50 << 20)); time.sleep(60)
        time.sleep(60)
    """
    assert exceeded(code) == ["out-of-memory"]
    assert exceeded(code, memory=400 * MB, seconds=3) == []


def test_what_processes_share_is_counted_once():
    code = """
        import os, time
        held = bytearray(os.urandom(1) * (60 << 20))
        for _ in range(4):
            if os.fork() == 0:
                time.sleep(60)
        time.sleep(60)
    """
    assert exceeded(code, seconds=3) == []


def test_number_of_processes_is_limited():
    code = """
        import os, time
        for _ in range(30):
            if os.fork() == 0:
                time.sleep(60)
        time.sleep(60)
    """
    assert exceeded(code) == ["too-many-processes"]


def test_strangers_are_ended_and_the_known_are_not():
    known = python("import time; time.sleep(60)")
    before = own_children()
    stranger = python("import time; time.sleep(60)")
    try:
        end_strangers(before)
        assert known.poll() is None
        with pytest.raises(ProcessLookupError):
            os.kill(stranger.pid, 0)
    finally:
        known.kill()
        known.wait()
        stranger.returncode = -9


def ask_often(child):
    for _ in range(50):
        child.ask({"do": "hello"})
        time.sleep(0.05)


@pytest.mark.parametrize("level", LEVELS)
def test_reader_that_holds_too_much_is_lost_with_its_reason(tmp_path, level):
    if level == "isolated" and best_level() != level:
        pytest.skip("needs bubblewrap")
    (tmp_path / "x.py").write_text("x = 1")
    with ChildProcess(tmp_path, level, Limits(memory=5 * MB), "reader.main") as child:
        time.sleep(0.3)
        with pytest.raises(ChildLost, match="out of memory"):
            ask_often(child)


def test_nothing_is_started_after_the_end(tmp_path):
    process.end_all()
    try:
        with pytest.raises(KeyboardInterrupt), ChildProcess(tmp_path, "limited", Limits()):
            pass
    finally:
        process.allow_children()


SLOW = """
import time
class LSTM:
    def forward(self, x):
        return x + 1
while True:
    try:
        time.sleep(1000)
    except BaseException:
        pass
"""


@pytest.mark.parametrize("level", LEVELS)
def test_sigterm_ends_the_command_within_two_seconds_and_leaves_nothing(tmp_path, level):
    if level == "isolated" and best_level() != level:
        pytest.skip("needs bubblewrap")
    (tmp_path / "hand-in").mkdir()
    (tmp_path / "hand-in" / "lstm.py").write_text(SLOW)
    (tmp_path / "tmp").mkdir()
    words = ["-m", "digitspan", "check", "hand-in", "--isolation", level]
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    command = subprocess.Popen([sys.executable, *words], cwd=tmp_path, env=environment,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        end = time.monotonic() + 60
        while not list((tmp_path / "tmp").glob("hand-in-*")) and time.monotonic() < end:
            time.sleep(0.05)
        time.sleep(1)
        start = time.monotonic()
        command.terminate()
        assert command.wait(10) == 143
        assert time.monotonic() - start < 2
    finally:
        command.kill()
    assert list((tmp_path / "tmp").iterdir()) == []
