"""The matrix: which environments there are, and what it makes of pytest's last line."""

from __future__ import annotations

import importlib.util
import re
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def matrix():
    """tools/matrix.py as a module."""
    spec = importlib.util.spec_from_file_location("tools_matrix", ROOT / "tools" / "matrix.py")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(ROOT / "tools"))  # where it finds its neighbour, as in a call of it
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(ROOT / "tools"))
    return module


def test_every_python_that_is_promised_is_in_the_matrix_and_no_other(matrix):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    promised = {c[-4:] for c in project["classifiers"] if re.search(r":: 3\.\d+$", c)}
    assert {name.rpartition("-")[2] for name in matrix.ENVIRONMENTS} == promised
    assert project["requires-python"] == f">={min(promised)}"


def test_the_workflow_has_the_same_environments(matrix):
    text = (ROOT / ".github" / "workflows" / "matrix.yml").read_text(encoding="utf-8")
    assert f"environment: [{', '.join(matrix.ENVIRONMENTS)}]" in text


def test_the_last_line_is_counted_and_failures_are_named(matrix):
    said = (
        "FAILED tests/test_a.py::test_b - AssertionError\n"
        "ERROR tests/test_c.py\n"
        "= 1 failed, 3399 passed, 12 skipped, 7 warnings, 1 error in 512.75s (0:08:32) =\n"
    )
    counts, red = matrix.summary(said)
    assert counts == ["3399", "1", "1", "12", "7"]
    assert red == [
        "FAILED tests/test_a.py::test_b - AssertionError", "ERROR tests/test_c.py"
    ]  # fmt: skip
    assert matrix.summary("24 passed in 0.57s\n") == (["24", "0", "0", "0", "0"], [])


@pytest.mark.parametrize("said", ["", "ImportError: no torch\n", "no tests ran in 0.01s\n"])
def test_tests_that_did_not_run_are_a_failure(matrix, said):
    counts, red = matrix.summary(said)
    assert counts == ["did not run"]
    assert len(red) == 1
