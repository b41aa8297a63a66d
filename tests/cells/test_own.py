"""A cell of one's own is known by its source, which is read and never run."""

import builtins
import json
import pathlib
import pickle
import signal
import sys
import warnings

import numpy as np
import pytest
import torch

from digitspan.cells import own
from digitspan.cells.build import find
from digitspan.cells.own import source_of
from digitspan.cells.seal import sealed
from digitspan.errors import UsageError

FILES = {
    "mine.py": "raise SystemExit('run')\nimport near\nfrom far.deep import x\nclass Cell: pass\n",
    "near.py": "def later():\n    import late\n",
    "late.py": "",
    "far/__init__.py": "",
    "far/deep.py": "from . import beside\nfrom importlib import import_module\n"
    "import_module('.named', __package__)\n",
    "far/beside.py": "",
    "far/named.py": "",
    "far/unused.py": "",
    "other.py": "",
}
UNUSED = {"far/unused.py", "other.py"}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a cell, which is the current one."""
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_source_is_the_module_and_all_of_ours_that_it_imports(here):
    named = {name.removesuffix(".py").replace("/", ".") for name in FILES.keys() - UNUSED}
    assert set(source_of("mine:Cell").modules) == {n.removesuffix(".__init__") for n in named}
    assert source_of("mine:Cell") == source_of("mine:Cell")
    assert "mine" not in sys.modules


@pytest.mark.parametrize("name", FILES)
def test_whatever_is_edited_of_it_makes_another_source(here, name):
    before = source_of("mine:Cell").digest
    with (here / name).open("a") as file:
        file.write("pass\n")
    assert (source_of("mine:Cell").digest == before) == (name in UNUSED)


def test_line_ends_are_not_a_change(here):
    before = source_of("mine:Cell")
    (here / "mine.py").write_bytes(FILES["mine.py"].replace("\n", "\r\n").encode())
    assert source_of("mine:Cell") == before


def test_another_version_of_an_installed_package_makes_another_source(here, monkeypatch):
    site = here / "site-packages"
    (site / "kit-1.0.dist-info").mkdir(parents=True)
    (site / "kit-1.0.dist-info" / "METADATA").write_text("Name: kit\nVersion: 1.0\n")
    (site / "kit.py").write_text("class Cell: pass\n")
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    monkeypatch.setattr(own, "_package_folders", lambda: (site,))
    own._package.cache_clear()
    first = source_of("kit:Cell")
    assert (first.modules, first.packages) == ((), ("kit 1.0",))
    (site / "kit.py").write_text("class Cell: 'patched by hand'\n")
    assert source_of("kit:Cell") == first
    (site / "kit-1.0.dist-info").rename(site / "kit-1.1.dist-info")
    (site / "kit-1.1.dist-info" / "METADATA").write_text("Name: kit\nVersion: 1.1\n")
    own._package.cache_clear()
    assert source_of("kit:Cell").packages == ("kit 1.1",)
    assert source_of("kit:Cell").digest != first.digest
    own._package.cache_clear()


def test_a_module_that_is_not_there_is_a_sentence(here):
    with pytest.raises(UsageError, match=r"'far.nothing:Cell' was not found .*No module named"):
        source_of("far.nothing:Cell")


def test_a_module_that_a_cell_imports_in_vain_is_named(here, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (here / "vain.py").write_text("import nowhere.to.be_found")
    with pytest.raises(UsageError, match="'vain:Cell' imports nowhere, which is not installed"):
        find("vain:Cell")


def test_code_of_another_source_is_not_imported(here, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(
        UsageError, match="the source of mine:Cell is not the one that its run was"
    ):
        find("mine:Cell", "0" * 16)
    assert "mine" not in sys.modules


def test_code_that_is_still_the_old_one_in_memory_is_not_taken_for_the_new(here, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (here / "reloaded.py").write_text("class Cell: pass\n")
    find("reloaded:Cell")
    (here / "reloaded.py").write_text("class Cell: 'edited'\n")
    with pytest.raises(UsageError, match="has changed since it was imported here; start Python"):
        find("reloaded:Cell")
    del sys.modules["reloaded"]


def test_packages_of_an_environment_on_the_path_are_not_code_of_ones_own(tmp_path, monkeypatch):
    """As PYTHONPATH names it on many a cluster: what torch imports late lies there too."""
    folder = tmp_path / "lib" / "site-packages"
    monkeypatch.syspath_prepend(folder)
    own._package_folders.cache_clear()
    try:
        assert not own.is_outside(folder / "mpmath" / "__init__.py")
        assert own.is_outside(tmp_path / "mine.py")
    finally:
        own._package_folders.cache_clear()


def test_what_a_cell_sets_for_everybody_is_as_it_was_afterwards(tmp_path, capfd):
    def settings():
        return (
            torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads(),
            torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), np.geterr(),
            signal.getsignal(signal.SIGTERM), pathlib.Path.cwd(), list(sys.path),
            torch.are_deterministic_algorithms_enabled(), list(warnings.filters),
            json.dumps, builtins.print, pickle.loads, sys.stdout, sys.stderr,
        )  # fmt: skip

    before = settings()
    with sealed():
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        torch.set_num_threads(2)
        torch.manual_seed(7)
        np.random.seed(7)
        np.seterr(all="ignore")
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.path.insert(0, str(tmp_path))
        torch.use_deterministic_algorithms(True)
        warnings.simplefilter("ignore")
        print("chatter")
        assert settings() != before
        json.dumps = builtins.print = pickle.loads = sys.stdout = sys.stderr = None
    assert settings() == before
    print("ours")
    assert capfd.readouterr() == ("ours\n", "chatter\n")
