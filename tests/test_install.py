"""What `make demo` and `make test` install: the lock, which build of torch, which Python."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
REQUIREMENTS = ROOT / "requirements"


def load_install():
    """tools/install.py as a module."""
    spec = importlib.util.spec_from_file_location("tools_install", ROOT / "tools" / "install.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


install = load_install()


# The lock


def locked(name):
    """The packages of one file of the lock, as requirements with their hashes."""
    text = (REQUIREMENTS / f"{name}.txt").read_text(encoding="utf-8")
    blocks = re.findall(r"^(\w[^\\\n]*?) \\\n((?: +--hash=sha256:\w{64}(?: \\)?\n)+)", text, re.M)
    # Every line that is no comment belongs to such a block: none is without a hash.
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(lines) == sum(1 + hashes.count("--hash") for _, hashes in blocks), name
    return [Requirement(line) for line, _ in blocks]


def versions(*names):
    """The versions that are locked, by package; more than one where they hang on the Python."""
    found = {}
    for requirement in (r for name in names for r in locked(name)):
        [pin] = requirement.specifier
        found.setdefault(requirement.name.lower(), []).append(pin.version)
    return found


def asked_for():
    """What pyproject.toml asks for: its dependencies and those of the extras that are locked."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"]]
    lines += [line for extra in ("check", "report", "site", "test") for line in extras[extra]]
    return [Requirement(line) for line in lines]


def test_the_lock_has_what_pyproject_asks_for_within_its_bounds():
    found = versions("lock", "torch", "site")
    for wanted in asked_for():
        known = found[wanted.name.lower().replace("_", "-")]
        assert all(wanted.specifier.contains(version) for version in known), wanted


def test_the_lock_has_the_versions_of_the_constraints():
    found = versions("lock", "torch", "site")
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, _, version = line.partition("==")
            known = found.get(name.lower().replace("_", "-"), [version])
            assert known == [version], f"{line}: run `make lock`"


def test_the_lock_beside_torch_has_no_package_of_cuda():
    assert {"torch", "triton"} <= set(versions("torch"))
    assert [n for n in versions("lock", "site") if re.match("torch$|triton|nvidia|cuda", n)] == []


# Which torch


@pytest.fixture
def calls(monkeypatch):
    """The installations that are begun, and nothing is installed."""
    begun = []
    monkeypatch.setattr(install, "run", begun.append)
    monkeypatch.setattr(install.sys, "platform", "linux")
    return begun


def has_gpu(monkeypatch, whether):
    monkeypatch.setattr(install, "has_gpu", lambda: whether)


def test_without_a_gpu_the_cpu_build_is_installed(calls, monkeypatch):
    has_gpu(monkeypatch, whether=False)
    assert install.install_torch(["pip"], "auto") == "no NVIDIA GPU is here"
    [command] = calls
    assert install.CPU_INDEX in command
    assert command[-1] == f"torch=={versions('torch')['torch'][0]}"


def test_with_a_gpu_torch_and_its_cuda_packages_are_installed(calls, monkeypatch):
    has_gpu(monkeypatch, whether=True)
    assert install.install_torch(["pip"], "auto") == "an NVIDIA GPU is here"
    [command] = calls
    assert command[-2:] == ["-r", str(REQUIREMENTS / "torch.txt")]
    assert "--require-hashes" in command


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_where_the_package_index_has_no_cuda_nothing_is_asked(calls, monkeypatch, system):
    monkeypatch.setattr(install.sys, "platform", system)
    assert install.install_torch(["pip"], "auto") == "the package index's"
    [command] = calls
    assert install.CPU_INDEX not in command


def test_where_no_cpu_build_can_be_had_the_other_is_taken_and_told(calls, monkeypatch, capsys):
    has_gpu(monkeypatch, whether=False)

    def run(command):
        if install.CPU_INDEX in command:
            raise subprocess.CalledProcessError(1, command)
        calls.append(command)

    monkeypatch.setattr(install, "run", run)
    assert install.install_torch(["pip"], "auto") == "no CPU build could be had"
    [command] = calls
    assert command[-1] == str(REQUIREMENTS / "torch.txt")
    assert "cannot be reached; taking the package index's" in capsys.readouterr().err


# Which Python

needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


def make(tmp_path, serving):
    """What make would do where each name of a Python ends with this status."""
    for name, status in serving.items():
        file = tmp_path / name
        file.write_text(f"#!/bin/sh\nexit {status}\n", encoding="utf-8")
        file.chmod(0o755)
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("pyproject.toml", "requirements/lock.txt", "requirements/torch.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "install.py").touch()
    path = f"{tmp_path}{os.pathsep}{Path(sys.executable).parent}"
    environment = {"PATH": path, "HOME": str(tmp_path)}
    command = [shutil.which("make"), f"PYTHONS={' '.join(serving)}", ".venv/installed"]
    return subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )


@needs_make
@pytest.mark.skipif(os.name == "nt", reason="scripts of sh stand for Pythons")
def test_make_takes_the_first_python_that_serves(tmp_path):
    found = make(tmp_path, {"pythonA": 127, "pythonB": 1, "pythonC": 0, "pythonD": 0})
    assert found.stdout.startswith("pythonC tools/install.py"), found.stderr


@needs_make
@pytest.mark.skipif(os.name == "nt", reason="scripts of sh stand for Pythons")
def test_make_says_which_pythons_are_wanted(tmp_path):
    found = make(tmp_path, {"pythonA": 127, "pythonB": 1})
    assert found.returncode == 2
    assert "needs Python 3.11 or newer with venv" in found.stderr
    assert "looked for pythonA pythonB; install one of these" in found.stderr
    assert found.stdout == ""
