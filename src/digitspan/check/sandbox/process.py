"""The one child process in which a hand-in's code runs, and how far it is shut in."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import weakref
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Self

from digitspan.errors import UsageError

__all__ = [
    "LEVELS",
    "Child",
    "ChildLost",
    "ChildRefused",
    "Limits",
    "best_level",
    "end_all",
    "require_level",
]

LEVELS = ("isolated", "limited")
"""From strong to weak: shut in by bubblewrap; limits of time, memory, files and output alone."""

START_SECONDS = 180.0
"""How long a child may take to be ready."""
MOST_STOLEN = 5.0
"""How many times its limit a child may be late because others used the processors."""
_MAX_HEADER = 4_000_000
_MAX_PAYLOAD = 256_000_000
_TOO_MUCH_OUTPUT = 86  # the child's own exit status for it
_CHILD = Path(__file__).parent / "child"
_START = """
import resource, sys
for kind, value in zip(sys.argv[1].split(), sys.argv[2].split()):
    try:
        resource.setrlimit(getattr(resource, kind), (int(value), int(value)))
    except (AttributeError, ValueError, OSError):
        pass
sys.path.insert(0, sys.argv[3])
del sys.argv[1:4], resource, kind, value
from digitspan_child.main import serve
serve()
"""
"""The limits are set before anything else runs; what has been lowered cannot be raised again."""
_LIVING: weakref.WeakSet[Child] = weakref.WeakSet()


class Limits(NamedTuple):
    """What a child may use."""

    seconds: float = 60.0
    """Of wall clock, for a whole hand-in."""
    memory: int = 2 * 2**30
    """Bytes of data."""
    file_size: int = 16 * 2**20
    """Bytes, for each file it writes."""
    disk: int = 256 * 2**20
    """Bytes, for all of them together ("isolated" only)."""
    processes: int = 64
    """Processes and threads beyond those of the user that run already."""


class ChildLost(Exception):
    """The child gave no answer.

    Args:
        reason: "timeout", "out of memory", "too much output" or "no answer".
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ChildRefused(Exception):
    """The hand-in's code raised an error.

    Args:
        error: its type, message, file, line, as the child describes it.
        cuda: the lines of the hand-in that asked for CUDA on the way.
    """

    def __init__(self, error: dict[str, Any], cuda: list[str]) -> None:
        super().__init__(f"{error.get('type')}: {error.get('message')}")
        self.type = _text(error.get("type"))
        self.message = _text(error.get("message"))
        self.file = _text(error.get("file"))
        self.line = error["line"] if isinstance(error.get("line"), int) else 0
        self.missing = _text(error.get("missing"))
        self.cuda = cuda


class Child:
    """A child process that answers questions about one hand-in.

    Args:
        tree: a folder with the hand-in's files, made for this check.
        level: "isolated" or "limited".
        limits: what it may use.
    """

    def __init__(self, tree: Path, level: str, limits: Limits) -> None:
        self._tree = tree
        self._level = level
        self._limits = limits
        self._deadline = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = b""
        self.cuda: set[str] = set()
        self.lost = False
        self._stolen_before = 0.0

    def __enter__(self) -> Self:
        self._checker = Path(tempfile.mkdtemp(prefix="digitspan-"))
        shutil.copytree(
            _CHILD, self._checker / "digitspan_child", ignore=shutil.ignore_patterns("__pycache__")
        )
        _open_to_all(self._checker)
        user = _ordinary_user()
        if self._level == "limited" and user is not None:
            _give(self._tree, user)
        command = _command(self._level, self._checker, self._tree, self._limits, user)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            cwd="/",
            start_new_session=True,
            **_as_user(user),
        )
        _LIVING.add(self)
        # Importing torch takes seconds, minutes on a busy machine: that is not the hand-in's time.
        self._deadline = time.monotonic() + START_SECONDS
        with contextlib.suppress(ChildLost, ChildRefused):
            self.ask({"do": "hello"})
        if self._process is not None:
            self._stolen_before = self._stolen()
        self._deadline = time.monotonic() + self._limits.seconds
        return self

    def __exit__(self, *exception: object) -> None:
        self._kill()
        shutil.rmtree(self._checker, ignore_errors=True)

    def seconds_left(self) -> float:
        """Until the time of the hand-in is up."""
        return self._deadline - time.monotonic()

    def ask(
        self, question: dict[str, Any], payload: bytes = b"", *, seconds: float | None = None
    ) -> tuple[dict[str, Any], bytes]:
        """Ask the child something.

        Args:
            question: a JSON object.
            payload: raw bytes.
            seconds: how long to wait, never beyond the hand-in's time.

        Returns:
            The answer, a JSON object and raw bytes: nothing in them can be trusted.

        Raises:
            ChildRefused: where the hand-in's code raised an error.
            ChildLost: where there is no answer, or none that can be read.
        """
        if self.lost:
            raise ChildLost("no answer")
        deadline = self._deadline
        if seconds is not None:
            deadline = min(deadline, time.monotonic() + seconds)
        data = json.dumps(question).encode()
        sizes = len(data).to_bytes(8, "little") + len(payload).to_bytes(8, "little")
        self._write(sizes + data + payload, deadline)
        sizes = self._read(16, deadline)
        lengths = int.from_bytes(sizes[:8], "little"), int.from_bytes(sizes[8:], "little")
        if lengths[0] > _MAX_HEADER or lengths[1] > _MAX_PAYLOAD:
            raise self._lost("no answer")
        try:
            header = json.loads(self._read(lengths[0], deadline))
        except (ValueError, RecursionError) as error:
            raise self._lost("no answer") from error
        answer = self._read(lengths[1], deadline)
        if not isinstance(header, dict):
            raise self._lost("no answer")
        cuda = [_text(place) for place in header.get("cuda") or [] if isinstance(place, str)][:20]
        self.cuda.update(cuda)
        if "error" in header:
            self._raise(header["error"] if isinstance(header["error"], dict) else {}, cuda)
        return header, answer

    def _raise(self, described: dict[str, Any], cuda: list[str]) -> NoReturn:
        """Raise what the hand-in's code raised, as the child describes it."""
        kind, message = described.get("type"), _text(described.get("message"))
        if kind in ("MemoryError", "OutOfMemoryError") or "allocate memory" in message:
            raise self._lost("out of memory")
        raise ChildRefused(described, cuda)

    def _write(self, data: bytes, deadline: float) -> None:
        """Write to the child, which may have stopped reading."""
        assert self._process is not None
        assert self._process.stdin is not None
        number = self._process.stdin.fileno()
        os.set_blocking(number, False)
        view = memoryview(data)
        while view:
            self._wait([], [number], deadline)
            try:
                view = view[os.write(number, view[:65536]) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise self._ended() from error

    def _read(self, count: int, deadline: float) -> bytes:
        """Read so many bytes from the child, which may write fewer or none."""
        assert self._process is not None
        assert self._process.stdout is not None
        number = self._process.stdout.fileno()
        parts = [self._buffer]
        have = len(self._buffer)
        while have < count:
            self._wait([number], [], deadline)
            part = os.read(number, 1 << 20)
            if not part:
                raise self._ended()
            parts.append(part)
            have += len(part)
        data = b"".join(parts)
        self._buffer = data[count:]
        return data[:count]

    def _wait(self, readers: list[int], writers: list[int], deadline: float) -> None:
        """Wait until the pipe is ready.

        Raises:
            ChildLost: where the time is up first.
        """
        end = deadline
        while True:
            left = end - time.monotonic()
            if left > 0 and any(select.select(readers, writers, [], left)[:2]):
                return
            # On a busy machine the time that others took is not the hand-in's.
            stolen = min(self._stolen() - self._stolen_before, MOST_STOLEN * self._limits.seconds)
            end = deadline + stolen
            if end - time.monotonic() < 0.05:
                raise self._lost("timeout")

    def _stolen(self) -> float:
        """How many seconds the child, ready to run, has waited for a processor (Linux)."""
        assert self._process is not None
        process, seconds = self._process.pid, 0.0
        for _ in range(4):  # bubblewrap, its own child, Python
            try:
                words = Path(f"/proc/{process}/schedstat").read_text(encoding="ascii").split()
                children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
            except OSError:
                break
            seconds += int(words[1]) / 1e9
            if len(children) != 1:
                break
            process = int(children[0])
        return seconds

    def _ended(self) -> ChildLost:
        """The child has closed the line: why?"""
        assert self._process is not None
        status = _status_within(self._process, 1.0)
        reasons = {_TOO_MUCH_OUTPUT: "too much output", -signal.SIGXFSZ: "too much output"}
        return self._lost("no answer" if status is None else reasons.get(status, "no answer"))

    def _lost(self, reason: str) -> ChildLost:
        """End the child, and say why it is given up."""
        self.lost = True
        self._kill()
        return ChildLost(reason)

    def end(self) -> None:
        """End the child, from whichever thread."""
        self.lost = True
        process = self._process
        if process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)

    def _kill(self) -> None:
        """End the child and everything in its session."""
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self._process = None


def best_level() -> str:
    """The strongest level that this machine gives."""
    return "isolated" if _bubblewrap_works() else "limited"


def require_level(level: str) -> str:
    """The level to use: the one asked for, or the best for "auto".

    Raises:
        UsageError: where the machine cannot give what was asked for.
    """
    if level == "auto":
        return best_level()
    if level == "isolated" and not _bubblewrap_works():
        message = (
            "--isolation isolated needs bubblewrap (bwrap), which is not installed here or may "
            "not be used; install it (apt-get install bubblewrap), or accept --isolation limited"
        )
        raise UsageError(message)
    return level


@functools.cache
def _bubblewrap_works() -> bool:
    """Whether bubblewrap is here and allowed to make a sandbox with our Python in it."""
    if shutil.which("bwrap") is None:
        return False
    command = [*_walls(), "--", sys.executable, "-I", "-c", "pass"]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            timeout=20,
            env=_environment(),
            check=False,
            **_as_user(_ordinary_user()),
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def end_all() -> None:
    """End every child that lives, and what it started."""
    for child in list(_LIVING):
        child.end()


def _command(level: str, checker: Path, tree: Path, limits: Limits, user: int | None) -> list[str]:
    """The command line of the child."""
    python = [sys.executable, "-I", "-B", "-c", _START, *_limit_words(limits, user)]
    if level == "limited":
        return [*python, str(checker), str(tree)]
    scratch = "/scratch"
    return [
        *_walls(),
        "--size", str(limits.disk), "--tmpfs", scratch,
        "--ro-bind", str(checker), "/checker",
        "--ro-bind", str(tree), "/hand-in",
        "--chdir", scratch,
        "--", *python, "/checker", scratch, "/hand-in",
    ]  # fmt: skip


def _walls() -> list[str]:
    """Bubblewrap with everything unshared, and no file but Python, its libraries and the system's.

    The packages of our own Python are there to read, this package is not.
    """
    # A superuser's sandbox would keep rights such as mounting over what is read only.
    command = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--clearenv",
               "--cap-drop", "ALL"]  # fmt: skip
    for name, value in _environment().items():
        command += ["--setenv", name, value]
    folders = ["/usr", "/lib", "/lib64", "/lib32", "/bin", "/etc/ld.so.cache", "/etc/alternatives"]
    folders += [sys.base_prefix, sys.base_exec_prefix, sys.prefix]
    folders += [str(Path(sys.executable).resolve().parent.parent)]
    for folder in dict.fromkeys(folders):
        if Path(folder).is_symlink() and folder in ("/lib", "/lib64", "/lib32", "/bin"):
            command += ["--symlink", os.readlink(folder), folder]
        else:
            command += ["--ro-bind-try", folder, folder]
    package = Path(__file__).resolve().parents[1]
    if any(package.is_relative_to(folder) for folder in folders):
        command += ["--tmpfs", str(package)]
    return [*command, "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]


def _environment() -> dict[str, str]:
    """The child's environment: nothing of ours."""
    return {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "PYTHONHASHSEED": "0",
        "KMP_INIT_AT_FORK": "FALSE",
    }


def _limit_words(limits: Limits, user: int | None) -> list[str]:
    """The limits of the operating system, as two words: their names, their values."""
    own = os.getuid() if user is None else user
    values = {
        "RLIMIT_CPU": int(START_SECONDS + limits.seconds),
        "RLIMIT_DATA": limits.memory,
        "RLIMIT_FSIZE": limits.file_size,
        "RLIMIT_NOFILE": 256,
        "RLIMIT_CORE": 0,
        "RLIMIT_NPROC": _tasks_of(own) + limits.processes,
    }
    return [" ".join(values), " ".join(map(str, values.values()))]


def _as_user(user: int | None) -> dict[str, Any]:
    """The arguments of Popen that give up the superuser's rights, where we have them."""
    return {} if user is None else {"user": user, "group": user, "extra_groups": []}


@functools.cache
def _ordinary_user() -> int | None:
    """The user to run as instead of the superuser; None where not needed or not possible."""
    nobody = 65534
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return None
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", "import numpy"],
            capture_output=True,
            timeout=30,
            env=_environment(),
            cwd="/",
            check=False,
            **_as_user(nobody),
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return nobody if done.returncode == 0 else None


def _tasks_of(user: int) -> int:
    """How many processes and threads a user runs, 0 where that cannot be known."""
    count = 0
    for status in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if status.stat().st_uid == user:
                count += len(os.listdir(status / "task"))
    return count


def _open_to_all(folder: Path) -> None:
    """Let another user read a folder."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def _give(folder: Path, user: int) -> None:
    """Hand a folder over to another user."""
    for path in [folder, *folder.rglob("*")]:
        os.chown(path, user, user, follow_symlinks=False)


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
    """A short text out of whatever the child sent, without control characters."""
    text = value if isinstance(value, str) else ""
    return "".join(c if c.isprintable() else " " for c in text)[:300]
