"""The examples run as they stand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from studies import made_up_rows

from digitspan.study.config import StudyConfig
from digitspan.study.store import Store

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("0*.py"))


def run_example(name: str, *arguments: object) -> str:
    """What an example prints, run in the folder of the examples."""
    done = subprocess.run(
        [sys.executable, name, *map(str, arguments)],
        cwd=ROOT / "examples",
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_tested():
    source = Path(__file__).read_text(encoding="utf-8")
    assert EXAMPLES
    assert [name for name in EXAMPLES if f'"{name}"' not in source] == []


def test_training_example_prints_its_end():
    assert "solved at step" in run_example("01_train_one_network.py")


def test_step_by_step_example_reads_every_digit():
    assert run_example("02_the_sheets_networks.py").count("after digit") == 4


def test_a_cell_of_ones_own_gets_a_span_and_a_figure():
    printed = run_example("03_a_cell_of_your_own.py")
    assert "LeakyRNN" in printed
    assert "accuracy-by-length.svg" in printed
    assert "page.html: " in printed
    assert " leaky.LeakyRNN-T00" in printed


@pytest.mark.filterwarnings("default")
def test_a_study_is_read_without_torch(tmp_path):
    config = StudyConfig(cells=("rnn",), lengths=(5, 10, 20), seeds=3)
    with Store.create(tmp_path) as store:
        store.set_value("config", config.canonical)
        for row in made_up_rows(config, lambda run: run.length < 15).values():
            store.add(row)
    assert "{'solved': 6, 'censored': 3}" in run_example("04_read_a_study.py", tmp_path)


def test_an_rnn_holds_by_signs_that_do_not_change():
    printed = run_example("05_how_an_rnn_holds.py", 50)
    assert (
        "rnn-T050-lr0.001-seed0-identity-adam-n64-batch64-clip0.01-curriculum: solved" in printed
    )
    assert "and 0% of the units change sign" in printed
