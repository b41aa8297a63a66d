"""Writes requirements/*.txt: every package that is installed, with its version and its hashes.

    python tools/lock.py uv        (or the path of uv)

uv resolves pyproject.toml under constraints.txt, for every system and Python that is supported.
What torch's CUDA build alone brings goes into torch.txt with torch, so that lock.txt serves with
any build.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / "requirements"
OF_CUDA = re.compile(r"torch==|triton==|nvidia-|cuda-")
BUILD = "setuptools>=77\n"
"""What an editable install needs besides, as it is done without isolation."""


def resolved(uv: str, extras: list[str], *under: str, besides: str = "") -> list[str]:
    """The packages of some extras as blocks, `name==version ; marker` with its hashes."""
    command = [uv, "pip", "compile", "pyproject.toml", "--universal", "--python-version", "3.11"]
    command += ["--generate-hashes", "--no-header", "--no-annotate", "--quiet"]
    command += [word for extra in extras for word in ("--extra", extra)]
    command += [word for name in under for word in ("--constraints", name)]
    command += ["-"] if besides else []
    found = subprocess.run(
        command, input=besides, text=True, stdout=subprocess.PIPE, check=True, cwd=ROOT
    )
    return re.findall(r"^\S.*(?:\n .*)*", found.stdout, re.M)


def write(name: str, what: str, blocks: list[str]) -> None:
    """Write one file of the lock."""
    head = f"# {what}\n# Made by `make lock`; do not edit.\n"
    text = head + "".join(f"{block}\n" for block in blocks)
    (REQUIREMENTS / f"{name}.txt").write_text(text, encoding="utf-8", newline="\n")


def main() -> None:
    """Write all of them."""
    uv = sys.argv[1]
    everything = resolved(uv, ["check", "report", "test"], "constraints.txt", besides=BUILD)
    cuda = [block for block in everything if OF_CUDA.match(block)]
    rest = [block for block in everything if not OF_CUDA.match(block)]
    write("torch", "torch as the package index has it, and the CUDA packages of its build.", cuda)
    write("lock", "What `make demo` and `make test` install, besides torch.", rest)
    made = ("requirements/lock.txt", "requirements/torch.txt")
    of_site = resolved(uv, ["site"], "constraints.txt", *made)
    more = [block for block in of_site if block not in everything and not OF_CUDA.match(block)]
    write("site", "What `make site` installs besides.", more)


if __name__ == "__main__":
    main()
