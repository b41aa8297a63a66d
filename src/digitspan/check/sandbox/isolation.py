"""The wall around a hand-in's code: bubblewrap, limits, an ordinary user, an empty environment."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import digitspan
from digitspan.errors import UsageError

__all__ = ["LEVELS", "START_SECONDS", "Limits", "best_level", "require_level", "start_behind_wall"]

LEVELS = ("isolated", "limited")
"""From strong to weak: bubblewrap with limits; limits of time, memory, files and output alone."""

START_SECONDS = 180.0
"""How long a child may take to be ready."""
_START = """
import resource, sys
for kind, value in zip(sys.argv[1].split(), sys.argv[2].split()):
    try:
        resource.setrlimit(getattr(resource, kind), (int(value), int(value)))
    except (AttributeError, ValueError, OSError):
        pass
sys.path.insert(0, sys.argv[3])
import importlib
serve = importlib.import_module(sys.argv[4]).serve
del sys.argv[1:5], resource, kind, value, importlib
serve()
"""
"""The limits are set before anything else runs; what has been lowered cannot be raised again."""

_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "KMP_INIT_AT_FORK": "FALSE",
}
"""The child's environment: nothing of ours."""


class Limits(NamedTuple):
    """What a child may use."""

    seconds: float = 60.0
    """For all that it answers, as the child's processor counts them."""
    memory: int = 2**30
    """Bytes, for all of its processes together."""
    data: int = 2 * 2**30
    """Bytes of address space for data, a process: what the system itself refuses."""
    file_size: int = 16 * 2**20
    """Bytes, for each file it writes."""
    disk: int = 256 * 2**20
    """Bytes, for all of them together ("isolated" only)."""
    processes: int = 64
    """Processes and threads at a time."""


def best_level() -> str:
    """The strongest level that this machine gives."""
    return "isolated" if _bubblewrap_works() else "limited"


def require_level(level: str) -> str:
    """The level to use: the one asked for, or the best for "auto".

    Raises:
        UsageError: where the machine cannot give what was asked for.
    """
    if os.name == "nt":
        message = (
            "digitspan check runs what students wrote behind limits of Linux or macOS, which "
            "Windows does not have; run it in WSL, the Windows Subsystem for Linux"
        )
        raise UsageError(message)
    if level == "auto":
        return best_level()
    if level == "isolated" and not _bubblewrap_works():
        message = (
            "--isolation isolated needs bubblewrap (bwrap), which is not installed here or may "
            "not be used; install it (apt-get install bubblewrap), or accept --isolation limited"
        )
        raise UsageError(message)
    return level


def start_behind_wall(
    program: Path, module: str, hand_in: Path, level: str, limits: Limits
) -> subprocess.Popen[bytes]:
    """Start the child, with pipes to its standard input and output.

    Args:
        program: the folder with the child's own code, `digitspan_child`.
        module: whose `serve` answers.
        hand_in: the folder with the hand-in's files, a copy made for this check.
        level: "isolated" or "limited".
        limits: what the child may use.
    """
    user = _ordinary_user()
    for path in (program, *program.rglob("*"), hand_in, *hand_in.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    python = [sys.executable, "-I", "-B", "-c", _START, *_limit_words(limits, user)]
    if level == "limited":
        command = [*python, str(program), module, str(hand_in)]
        if user is not None:
            for path in [hand_in, *hand_in.rglob("*")]:
                os.chown(path, user, user, follow_symlinks=False)
    else:
        scratch = "/tmp/hand-in"
        command = [
            *_walls(limits),
            "--dir", scratch,
            "--ro-bind", str(program), "/checker",
            "--ro-bind", str(hand_in), "/hand-in",
            # What bubblewrap made to hang the others on is memory without a limit.
            "--remount-ro", "/",
            "--chdir", scratch,
            "--", *python, "/checker", module, scratch, "/hand-in",
        ]  # fmt: skip
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_ENVIRONMENT,
        cwd="/",
        start_new_session=True,
        **_as_user(user),
    )


@functools.cache
def _bubblewrap_works() -> bool:
    """Whether bubblewrap is here and allowed to make a sandbox with our Python in it."""
    if shutil.which("bwrap") is None:
        return False
    return _works([*_walls(Limits()), "--", sys.executable, "-I", "-c", "pass"], _ordinary_user())


def _walls(limits: Limits) -> list[str]:
    """Bubblewrap with everything unshared, and no file but Python, its libraries and the system's.

    The packages of our own Python are there to read, this package is not. What can be written is
    /tmp and /dev/shm, which share the bytes that all files may have together.
    """
    # A superuser's sandbox would keep rights such as mounting over what is read only.
    command = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--clearenv",
               "--cap-drop", "ALL"]  # fmt: skip
    for name, value in _ENVIRONMENT.items():
        command += ["--setenv", name, value]
    folders = ["/usr", "/lib", "/lib64", "/lib32", "/bin", "/etc/ld.so.cache", "/etc/alternatives"]
    folders += [sys.base_prefix, sys.base_exec_prefix, sys.prefix]
    folders += [str(Path(sys.executable).resolve().parent.parent)]
    for folder in dict.fromkeys(folders):
        if Path(folder).is_symlink() and folder in ("/lib", "/lib64", "/lib32", "/bin"):
            command += ["--symlink", os.readlink(folder), folder]
        else:
            command += ["--ro-bind-try", folder, folder]
    package = Path(digitspan.__file__).resolve().parent
    if any(package.is_relative_to(folder) for folder in folders):
        command += ["--size", "4096", "--tmpfs", str(package), "--remount-ro", str(package)]
    shared = limits.disk // 4  # where torch's workers pass tensors on
    return [
        *command, "--proc", "/proc", "--dev", "/dev",
        "--size", str(shared), "--tmpfs", "/dev/shm", "--remount-ro", "/dev",
        "--size", str(limits.disk - shared), "--tmpfs", "/tmp",
    ]  # fmt: skip


def _limit_words(limits: Limits, user: int | None) -> list[str]:
    """The limits of the operating system, as two words: their names, their values."""
    own = os.getuid() if user is None else user
    values = {
        "RLIMIT_CPU": int(START_SECONDS + limits.seconds),
        "RLIMIT_DATA": limits.data,
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
    return nobody if _works([sys.executable, "-I", "-c", "import numpy"], nobody) else None


def _works(command: list[str], user: int | None) -> bool:
    """Whether a command, run as a child would be, ends without an error."""
    rest: dict[str, Any] = {"env": _ENVIRONMENT, "cwd": "/", **_as_user(user)}
    try:
        done = subprocess.run(command, capture_output=True, timeout=30, check=False, **rest)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def _tasks_of(user: int) -> int:
    """How many processes and threads a user runs, 0 where that cannot be known."""
    count = 0
    for status in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if status.stat().st_uid == user:
                count += len(os.listdir(status / "task"))
    return count
