"""Commands as processes of their own: begun, interrupted, killed, and looked for afterwards."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

import digitspan

TESTS = Path(__file__).parent
PATH = os.pathsep.join([str(Path(digitspan.__file__).parents[1]), str(TESTS)])
"""Where the package and the helpers of the tests are, in child processes too."""

QUICK_STUDY = str(TESTS / "quick_study.py")
"""`digitspan study`, with training that is made up."""


class Command:
    """A Python process that leads a group of its own, as one begun in a terminal does.

    Args:
        arguments: what follows `python` on the command line.
        folder: where it runs and where its output is kept.
        environment: further environment variables.
    """

    def __init__(self, *arguments: str, folder: Path, **environment: str) -> None:
        if not Path("/proc/self/status").exists():
            pytest.skip("processes are looked for in /proc, which Linux has")
        for number in (signal.SIGINT, signal.SIGHUP):
            # Tests begun in the background or by nohup ignore them, and would hand that down.
            if signal.getsignal(number) is signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        self.mark = f"DIGITSPAN_TEST={uuid.uuid4().hex}"
        name, value = self.mark.split("=")
        everything = os.environ | {"PYTHONPATH": PATH, name: value} | environment
        self.output, self.errors = (folder / f"{value}.{kind}" for kind in ("out", "err"))
        self.begun = time.monotonic()
        with self.output.open("wb") as out, self.errors.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=folder,
                env=everything,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def wait(self, seconds: float = 120) -> int:
        """Its exit status as a shell gives it: 128 + the signal's number where one ended it."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        return status if status >= 0 else 128 - status

    def kill(self) -> None:
        """kill -9 of the whole group, and of what may have left it."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        for pid in self.alive():
            os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def send(self, number: int, *, group: bool = True) -> None:
        """Send a signal to the whole group, as a terminal does, or to the process alone."""
        if group:
            os.killpg(self.process.pid, number)
        else:
            os.kill(self.process.pid, number)

    def alive(self) -> list[int]:
        """The processes it began that are still there, itself among them."""
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if self._is(pid)]

    def workers(self) -> list[int]:
        """The worker processes of a study."""
        return [
            pid
            for pid in self.alive()
            if pid != self.process.pid and b"spawn_main" in _read(pid, "cmdline")
        ]

    def gone_after(self, seconds: float) -> bool:
        """Whether all its processes are gone after so many seconds at the latest."""
        deadline = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def said(self) -> str:
        """What it wrote to standard error."""
        return self.errors.read_text(encoding="utf-8")

    def _is(self, pid: int) -> bool:
        state = _read(pid, "stat").rpartition(b")")[2].split()
        return self.mark.encode() in _read(pid, "environ") and state[:1] != [b"Z"]


def grace() -> float:
    """Seconds granted beyond what is promised on a machine that has other things to do as well.

    Twenty times what an empty Python takes now: half a second where it has a core of its own.
    """
    begun = time.monotonic()
    subprocess.run([sys.executable, "-I", "-S", "-c", ""], check=True)
    return 20 * (time.monotonic() - begun)


def wait_until(condition, seconds: float = 60, every: float = 0.02) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            message = f"not so after {seconds} s: {condition}"
            raise AssertionError(message)
        time.sleep(every)


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
