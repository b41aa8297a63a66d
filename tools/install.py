"""Makes .venv with everything that `make demo` and `make test` use, at the versions of the lock.

    python tools/install.py                  with pip
    python tools/install.py --uv uv          the same with uv
    python tools/install.py --torch index    torch as the package index has it
    python tools/install.py --site           what `make site` needs besides

requirements/lock.txt and requirements/torch.txt have a hash for every file. On Linux the package
index has torch for NVIDIA GPUs, with some gigabytes of CUDA packages. Without such a GPU the CPU
build is taken instead, from PyTorch's own index; where that cannot be reached, the other will do.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
LOCK, TORCH, SITE = (ROOT / "requirements" / f"{name}.txt" for name in ("lock", "torch", "site"))
CPU_INDEX = "https://download.pytorch.org/whl/cpu"


def main() -> int:
    """Install, say what was installed, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--uv", metavar="PATH", help="install with this uv in place of pip")
    parser.add_argument(
        "--torch",
        choices=("auto", "cpu", "index"),
        default="auto",
        help="auto (default): the CPU build on Linux without an NVIDIA GPU, else the index's",
    )
    parser.add_argument("--site", action="store_true", help="what `make site` needs besides")
    options = parser.parse_args()
    if sys.version_info < (3, 11):  # noqa: UP036 - on Windows any Python may begin this
        got = sys.version.split()[0]
        print(f"install: needs Python 3.11 or newer, got {got}; try another", file=sys.stderr)
        return 2
    began = time.monotonic()
    if options.uv:
        make = [options.uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable]
        pip = [options.uv, "pip", "install", "--python", str(PYTHON)]
    else:
        make = [sys.executable, "-m", "venv"]
        pip = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check"]
    try:
        if options.site:
            run([*pip, "--quiet", "--no-deps", "--require-hashes", "-r", str(SITE)])
            return 0
        run([*make, str(VENV)])
        why = install_torch([*pip, "--quiet"], options.torch)
        run([*pip, "--quiet", "--no-deps", "--require-hashes", "-r", str(LOCK)])
        run([*pip, "--quiet", "--no-deps", "--no-build-isolation", "-e", str(ROOT)])
    except subprocess.CalledProcessError as error:
        print(f"install: `{' '.join(error.cmd)}` ended with {error.returncode}", file=sys.stderr)
        return 1
    except FileNotFoundError as error:
        print(f"install: there is no {error.filename}; install it, or do without", file=sys.stderr)
        return 2
    told = f"Python {sys.version.split()[0]}, torch {torch_version()} ({why}), {megabytes():,} MB"
    print(f"{VENV.name}: {told}, {time.monotonic() - began:.0f} s", flush=True)
    return 0


def install_torch(pip: list[str], wanted: str) -> str:
    """Install torch and return why it is this build."""
    if wanted == "auto" and not sys.platform.startswith("linux"):
        why = "the package index's"
    elif wanted == "auto" and has_gpu():
        why = "an NVIDIA GPU is here"
    elif wanted == "index":
        why = "the package index's, as asked"
    else:
        [version] = re.findall(r"^torch==([\w.]+)", TORCH.read_text(encoding="utf-8"), re.M)
        few = [] if "uv" in Path(pip[0]).name else ["--retries", "1", "--timeout", "20"]
        try:
            run([*pip, *few, "--no-deps", "--index-url", CPU_INDEX, f"torch=={version}"])
        except subprocess.CalledProcessError:
            why = "no CPU build could be had"
            print(
                f"install: {CPU_INDEX} has no CPU build of torch {version} for this machine, or "
                "cannot be reached; taking the package index's, which brings 2 to 3 GB of CUDA "
                "packages on Linux",
                file=sys.stderr,
                flush=True,
            )
        else:
            return "the CPU build, as asked" if wanted == "cpu" else "no NVIDIA GPU is here"
    run([*pip, "--no-deps", "--require-hashes", "-r", str(TORCH)])
    return why


def has_gpu() -> bool:
    """Whether this machine has a GPU that NVIDIA's driver knows."""
    try:
        found = subprocess.run(["nvidia-smi", "-L"], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return found.returncode == 0 and b"GPU" in found.stdout


def torch_version() -> str:
    """The version of torch in .venv, with its build, without importing it."""
    ask = "from importlib.metadata import version; print(version('torch'))"
    return subprocess.check_output([str(PYTHON), "-c", ask], text=True).strip()


def megabytes() -> int:
    """How large .venv is, in MB."""
    return sum(path.lstat().st_size for path in VENV.rglob("*")) // 10**6


def run(command: list[str]) -> None:
    """Run a command; what it says goes where this one's output goes."""
    subprocess.run(command, check=True, cwd=ROOT)


if __name__ == "__main__":
    sys.exit(main())
