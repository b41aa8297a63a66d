"""The one child process in which a hand-in's code runs, and how it is asked."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import weakref
from pathlib import Path
from typing import Any, Self

from digitspan.check.plain import plain
from digitspan.check.sandbox.isolation import START_SECONDS, Limits, start_behind_wall
from digitspan.check.sandbox.watch import Watch, end_strangers, own_children

__all__ = [
    "MOST_STOLEN",
    "ChildLost",
    "ChildProcess",
    "ChildRefused",
    "allow_children",
    "end_all",
    "new_folder",
    "remove",
]

MOST_STOLEN = 5.0
"""How many times its limit a child may be late because others used the processors."""
_MAX_HEADER = 4_000_000
_MAX_PAYLOAD = 256_000_000
_TOO_MUCH_OUTPUT = (86, -getattr(signal, "SIGXFSZ", 0))
"""Exit statuses: the child's own for too much printed, the system's for too large a file."""
_CHILD = Path(__file__).parent / "child"
_LIVING: weakref.WeakSet[ChildProcess] = weakref.WeakSet()
_ENDED = threading.Event()
"""Set once the whole check is being ended: nothing is started any more."""
_FOLDERS: set[Path] = set()
"""What lies on the disk for children that live."""


class ChildLost(Exception):
    """The child gave no answer.

    Args:
        code: the finding: "timeout", "out-of-memory", "too-much-output", "too-many-processes" or
            "no-answer".
    """

    def __init__(self, code: str) -> None:
        super().__init__(code.replace("-", " "))
        self.code = code


class ChildRefused(Exception):
    """The hand-in's code raised an error.

    Args:
        error: what the child sent of it.
    """

    def __init__(self, error: dict[str, Any]) -> None:
        self.type = _text(error.get("type"))
        """The name of its class."""
        self.place = _place([error.get("file"), error.get("line")])
        """The hand-in's file and line."""
        self.missing = _text(error.get("missing"))
        """The module that an import did not find, or the attribute that an object lacks."""
        self.cause = _text(error.get("cause"))
        """"cuda", "memory", "graph" (gone back through twice), "own" (the hand-in's own parts do
        not fit together, on any computer), "stand-in" (of a library that is not here), "settings"
        (the check's own have no such name) or ""."""
        progress = error.get("progress")
        self.progress = progress if isinstance(progress, int) else 0
        """How many of the hand-in's lines had run, where they were counted."""
        self.text = _text(error.get("message"))
        """What it says."""
        super().__init__(f"{self.type}: {self.text}")

    @property
    def of_import(self) -> bool:
        """Whether an import failed."""
        return self.type in ("ModuleNotFoundError", "ImportError")


class _Clock:
    """What one answer of the child takes: its processor's time, and the time that it sleeps.

    Neither what the checker computes between two questions counts, nor the time for which the
    child, ready to run, waits for a processor that others use.
    """

    def __init__(self, process: subprocess.Popen[bytes] | None, limit: float) -> None:
        assert process is not None
        self.limit = limit
        self._process = process.pid
        self._start = time.monotonic()
        self._before = self._processor()

    def taken(self) -> float:
        """Seconds so far."""
        used, waited = (
            now - before for now, before in zip(self._processor(), self._before, strict=True)
        )
        passed = time.monotonic() - self._start
        return max(used, passed - min(waited, MOST_STOLEN * self.limit))

    def _processor(self) -> tuple[float, float]:
        """Seconds that the child has computed, and has waited for a processor (Linux; else 0)."""
        process, used, waited = self._process, 0.0, 0.0
        for _ in range(4):  # bubblewrap, its own child, Python
            try:
                words = Path(f"/proc/{process}/schedstat").read_text(encoding="ascii").split()
                children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
            except OSError:
                break
            used += int(words[0]) / 1e9
            waited += int(words[1]) / 1e9
            if len(children) != 1:
                break
            process = int(children[0])
        return used, waited


class ChildProcess:
    """A child process that answers questions about one hand-in.

    Args:
        tree: a folder with the hand-in's files, made for this check.
        level: "isolated" or "limited".
        limits: what it may use.
        module: what answers in it: "main" runs the hand-in, "reader.main" reads it.
    """

    def __init__(self, tree: Path, level: str, limits: Limits, module: str = "main") -> None:
        self._tree = tree
        self._level = level
        self._limits = limits
        self._module = f"digitspan_child.{module}"
        self._watch: Watch | None = None
        self._exceeded = ""
        self._known: set[int] | None = None
        self._left = START_SECONDS
        """Seconds that are left to the code of the hand-in."""
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = b""
        self.cuda: set[tuple[str, int]] = set()
        """The hand-in's files and lines that asked for CUDA."""
        self.libraries: set[str] = set()
        """Those that are not installed here, and for which an object stood in."""
        self.lost = False

    def __enter__(self) -> Self:
        if _ENDED.is_set():
            raise KeyboardInterrupt
        self._checker = new_folder("digitspan-")
        shutil.copytree(
            _CHILD, self._checker / "digitspan_child", ignore=shutil.ignore_patterns("__pycache__")
        )
        if self._level == "limited" and _adopt_orphans():
            self._known = own_children()
        _LIVING.add(self)
        self._process = start_behind_wall(
            self._checker, self._module, self._tree, self._level, self._limits
        )
        tasks = self._limits.processes
        self._watch = Watch(self._process.pid, self._limits.memory, tasks, self._exceed)
        if _ENDED.is_set():  # meanwhile
            self.end()
        # Importing torch takes seconds, minutes on a busy machine: that is not the hand-in's time.
        with contextlib.suppress(ChildLost, ChildRefused):
            self.ask({"do": "hello"})
        self._left = self._limits.seconds
        return self

    def __exit__(self, *exception: object) -> None:
        self._kill()
        if self._known is not None:
            living = {child.pid for child in list(_LIVING)}
            end_strangers(self._known | living)
        remove(self._checker)

    def ask(
        self, question: dict[str, Any], payload: bytes = b"", *, seconds: float | None = None
    ) -> tuple[dict[str, Any], bytes]:
        """Ask the child something.

        Args:
            question: a JSON object.
            payload: raw bytes.
            seconds: what the answer may take, never beyond the hand-in's time.

        Returns:
            The answer, a JSON object and raw bytes: nothing in them can be trusted.

        Raises:
            ChildRefused: where the hand-in's code raised an error.
            ChildLost: where there is no answer, or none that can be read.
        """
        if self.lost:
            raise ChildLost(self._exceeded or "no-answer")
        clock = _Clock(self._process, min(self._left, seconds or self._left))
        data = json.dumps(question).encode()
        sizes = len(data).to_bytes(8, "little") + len(payload).to_bytes(8, "little")
        self._write(sizes + data + payload, clock)
        sizes = self._read(16, clock)
        lengths = int.from_bytes(sizes[:8], "little"), int.from_bytes(sizes[8:], "little")
        if lengths[0] > _MAX_HEADER or lengths[1] > _MAX_PAYLOAD:
            raise self._lost("no-answer")
        try:
            header = json.loads(self._read(lengths[0], clock))
        except (ValueError, RecursionError) as error:
            raise self._lost("no-answer") from error
        answer = self._read(lengths[1], clock)
        self._left -= clock.taken()
        if not isinstance(header, dict):
            raise self._lost("no-answer")
        cuda = header.get("cuda")
        self.cuda.update(_place(place) for place in (cuda if isinstance(cuda, list) else [])[:20])
        libraries = header.get("libraries")
        self.libraries.update(
            str(name)[:60] for name in (libraries if isinstance(libraries, list) else [])[:20]
        )
        if "error" not in header:
            return header, answer
        raised = ChildRefused(header["error"] if isinstance(header["error"], dict) else {})
        if raised.type in ("MemoryError", "OutOfMemoryError") or raised.cause == "memory":
            raise self._lost("out-of-memory")
        raise raised

    def _write(self, data: bytes, clock: _Clock) -> None:
        """Write to the child, which may have stopped reading."""
        assert self._process is not None
        assert self._process.stdin is not None
        number = self._process.stdin.fileno()
        os.set_blocking(number, False)
        view = memoryview(data)
        while view:
            self._wait([], [number], clock)
            try:
                view = view[os.write(number, view[:65536]) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise self._ended() from error

    def _read(self, count: int, clock: _Clock) -> bytes:
        """Read so many bytes from the child, which may write fewer or none."""
        assert self._process is not None
        assert self._process.stdout is not None
        number = self._process.stdout.fileno()
        parts = [self._buffer]
        have = len(self._buffer)
        while have < count:
            self._wait([number], [], clock)
            part = os.read(number, 1 << 20)
            if not part:
                raise self._ended()
            parts.append(part)
            have += len(part)
        data = b"".join(parts)
        self._buffer = data[count:]
        return data[:count]

    def _wait(self, readers: list[int], writers: list[int], clock: _Clock) -> None:
        """Wait until the pipe is ready."""
        while True:
            left = clock.limit - clock.taken()
            if left > 0 and any(select.select(readers, writers, [], max(left, 0.05))[:2]):
                return
            if left <= 0:
                raise self._lost("timeout")

    def _ended(self) -> ChildLost:
        """The child has closed the line: why?"""
        assert self._process is not None
        status = _status_within(self._process, 1.0)
        if self._exceeded:
            return self._lost(self._exceeded)
        return self._lost("too-much-output" if status in _TOO_MUCH_OUTPUT else "no-answer")

    def _lost(self, code: str) -> ChildLost:
        """End the child, and say why it is given up."""
        self._kill()
        return ChildLost(code)

    def _exceed(self, code: str) -> None:
        """What the watch calls: the child and all it started hold too much."""
        self._exceeded = code
        self.end()

    @property
    def pid(self) -> int:
        """The number of its process, 0 where it has ended."""
        process = self._process
        return process.pid if process is not None else 0

    def end(self) -> None:
        """End the child and everything in its session, from whichever thread."""
        self.lost = True
        process = self._process
        if process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)

    def _kill(self) -> None:
        """End the child and wait for its end."""
        self.end()
        if self._watch is not None:
            self._watch.stop()
        process, self._process = self._process, None
        if process is not None:
            process.wait()
            for stream in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    if stream is not None:
                        stream.close()


def end_all() -> None:
    """End every child that lives, and what it started, and what lies on the disk for them.

    None is started after this.
    """
    _ENDED.set()
    for child in list(_LIVING):
        child.end()
    for folder in list(_FOLDERS):
        remove(folder)


def allow_children() -> None:
    """Let children be started again after `end_all`."""
    _ENDED.clear()


def new_folder(prefix: str) -> Path:
    """A new folder for a child, which `end_all` removes where `remove` has not."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    _FOLDERS.add(folder)
    return folder


def remove(folder: Path) -> None:
    """Remove a folder that was made for a child."""
    shutil.rmtree(folder, ignore_errors=True)
    _FOLDERS.discard(folder)


def _adopt_orphans() -> bool:
    """Make processes whose parent has ended children of this one (Linux); whether it could be."""
    set_child_subreaper = 36  # PR_SET_CHILD_SUBREAPER of linux/prctl.h
    try:
        return bool(ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False


def _status_within(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """The exit status of a child as Popen has it; None where it still runs.

    The child is not reaped, where that can be had: its number stays its own until its group has
    been killed.
    """
    if not hasattr(os, "waitid"):  # macOS before Python 3.13
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        return process.returncode
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        if found is not None:
            return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status
        time.sleep(0.01)
    return None


def _text(value: object) -> str:
    """A short plain text out of whatever the child sent."""
    return plain(value, 300) if isinstance(value, str) else ""


def _place(place: object) -> tuple[str, int]:
    """A file and a line out of whatever the child sent."""
    file, line = place if isinstance(place, list) and len(place) == 2 else ("", 0)
    return _text(file), line if isinstance(line, int) else 0
