"""Runs the tests at the versions that are promised, and prints a table: `make matrix`.

    python tools/matrix.py uv                           every environment
    python tools/matrix.py uv --only floors-3.11        some of them
    python tools/matrix.py uv --tests tests/study       some of the tests

`floors` is the lowest version of every bound in pyproject.toml, `lock` what requirements/ has,
`newest` what there is today. uv makes the environments, in build/matrix, and looks for the
Pythons; one that cannot be had is a row that says so. Warnings are counted here, where `make test`
takes each for an error: the newest version of a library may warn of what it will do next year.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import install

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "matrix"
ENVIRONMENTS = (
    "floors-3.11", "lock-3.11", "lock-3.12", "lock-3.13", "newest-3.11", "newest-3.13"
)  # fmt: skip
"""Which versions on which Python; most floors are older than 3.12 and have no wheel for it."""

COUNTS = ("passed", "failed", "error", "skipped", "warning")


def main() -> int:
    """Run the tests in each environment, print the table, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("uv", help="the path of uv")
    parser.add_argument("--only", nargs="+", choices=ENVIRONMENTS, default=ENVIRONMENTS)
    parser.add_argument("--tests", nargs="+", default=[], metavar="PATH")
    parser.add_argument("--workers", default="auto", help="pytest's -n (default: auto)")
    options = parser.parse_args()
    rows: list[list[str]] = []
    failures: list[str] = []
    for name in options.only:
        if rows:
            print(table(rows[-1:]), file=sys.stderr)
        print(f"matrix: {name}", file=sys.stderr, flush=True)
        began = time.monotonic()
        try:
            python = environment(options.uv, name)
        except subprocess.CalledProcessError as error:
            rows.append([name, "", f"{time.monotonic() - began:.0f}", "cannot be had"])
            failures.append(f"{name}: `{' '.join(error.cmd)}` ended with {error.returncode}")
            continue
        said = tests(python, [*options.tests, "-n", options.workers])
        (FOLDER / f"{name}.log").write_text(said, encoding="utf-8")
        row, red = summary(said)
        rows.append([name, versions(python), f"{time.monotonic() - began:.0f}", *row])
        failures += [f"{name}: {line}" for line in red]
    print(table(rows))
    print("\n".join(failures))
    return 1 if failures else 0


def environment(uv: str, name: str) -> Path:
    """Make an environment and return its Python.

    Raises:
        subprocess.CalledProcessError: where it cannot be had.
    """
    kind, _, version = name.partition("-")
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    install.run([uv, "venv", "--quiet", "--python", version, str(folder)])
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pip = [uv, "pip", "install", "--quiet", "--python", str(python)]
    if kind == "lock":
        install.install_torch(pip, "auto")
        install.run([*pip, "--no-deps", "--require-hashes", "-r", str(install.LOCK)])
    else:
        resolution = "lowest-direct" if kind == "floors" else "highest"
        asked = ["--resolution", resolution, "--only-binary", ":all:", "-r", "pyproject.toml"]
        asked += [word for extra in ("check", "report", "test") for word in ("--extra", extra)]
        try:
            install.run([*pip, "--torch-backend", "auto", *asked])
        except subprocess.CalledProcessError:  # PyTorch's own index cannot be reached
            install.run([*pip, *asked])
    install.run([*pip, "--no-deps", "-e", "."])
    return python


def tests(python: Path, arguments: list[str]) -> str:
    """Run the tests of `make test` and return what pytest said."""
    command = [str(python), "-m", "pytest", "-q", "-rfE", "--tb=short", "--dist", "loadfile"]
    command += ["-o", "filterwarnings=default", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    return done.stdout.decode("utf-8", "replace")


def summary(said: str) -> tuple[list[str], list[str]]:
    """How many tests passed, failed, were in error or skipped, the warnings; and which failed.

    Where pytest did not come to its last line, that is the one failure.
    """
    closing = re.search(r"^=*\s*((?:\d+ \w+,? ?)+)in [\d.]+s", said, re.M)
    if closing is None:
        lines = said.strip().splitlines()
        return ["did not run"], [lines[-1] if lines else "pytest said nothing"]
    counts = [(re.search(rf"(\d+) {word}", closing[1]) or ["", "0"])[1] for word in COUNTS]
    return counts, re.findall(r"^(?:FAILED|ERROR) .*$", said, re.M)


def versions(python: Path) -> str:
    """The versions that a failure would most likely hang on."""
    ask = (
        "import platform; from importlib.metadata import version as v; "
        "print(platform.python_version(), v('torch'), v('numpy'), v('matplotlib'))"
    )
    return subprocess.check_output([str(python), "-c", ask], text=True).strip()


def table(rows: list[list[str]]) -> str:
    """The rows below their heads, in columns."""
    heads = ["environment", "python torch numpy matplotlib", "seconds"]
    heads += ["passed", "failed", "errors", "skipped", "warnings"]
    widths = [
        max(len(row[at]) if at < len(row) else 0 for row in [heads, *rows])
        for at in range(len(heads))
    ]
    return "\n".join(
        "  ".join(f"{word:{width}}" for word, width in zip(row, widths, strict=False)).rstrip()
        for row in [heads, *rows]
    )


if __name__ == "__main__":
    sys.exit(main())
