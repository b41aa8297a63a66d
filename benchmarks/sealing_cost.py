"""What it costs a study that the code of a cell of one's own is tried, hashed and sealed off.

    python benchmarks/sealing_cost.py

A study of examples/leaky.py by one worker is held beside the same runs, trained one after another
in one process. What a study of a built-in cell takes beyond its runs, store and driver, is taken
off. All are CPU seconds of all processes, which depend little on what else the machine does.
Prints a table and writes benchmarks/results/sealing-cost.json.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from keeping import keep

EXAMPLES = Path(__file__).parents[1] / "examples"

CELLS = ("leaky:LeakyRNN", "rnn")
"""A cell of one's own, and a built-in one beside it."""

TRAINS = """
import json, sys
from digitspan.runs.config import RunConfig
from digitspan.training.run import train
for run in json.loads(sys.argv[1]):
    train(RunConfig.from_canonical(run))
"""


def cpu_seconds(command: Sequence[str]) -> float:
    """CPU seconds of a command and of all processes that it waits for."""

    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    before = spent()
    subprocess.run([sys.executable, *command], check=True, capture_output=True, cwd=EXAMPLES)
    return spent() - before


def measured(cell: str, runs: int, steps: int) -> tuple[float, float]:
    """CPU seconds of a study of some runs of a cell, and of the runs alone."""
    from digitspan.study.config import StudyConfig
    from digitspan.study.plan import next_jobs

    config = StudyConfig(
        cells=(cell,), lengths=(20,), seeds=runs, train_steps=steps, hidden_size=32, batch_size=32
    )
    texts = json.dumps([job.config.canonical for job in next_jobs(config, {})])
    alone = cpu_seconds(["-c", TRAINS, texts])
    words = f"--lengths 20 --seeds {runs} --train-steps {steps} --hidden-size 32 --batch-size 32"
    with tempfile.TemporaryDirectory() as folder:
        study = ["-m", "digitspan", "study", "--cells", cell, *words.split(), "--json"]
        return cpu_seconds([*study, "--workers", "1", "--out", f"{folder}/study"]), alone


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=36)
    parser.add_argument("--steps", type=int, default=1_000)
    options = parser.parse_args()
    found = {cell: measured(cell, options.runs, options.steps) for cell in CELLS}
    beyond = {cell: study - alone for cell, (study, alone) in found.items()}
    sealing, alone = beyond[CELLS[0]] - beyond[CELLS[1]], found[CELLS[0]][1]
    rows = {
        "runs": options.runs,
        "steps of a run at most": options.steps,
        "the runs alone (CPU s)": alone,
        "the study of them (CPU s)": found[CELLS[0]][0],
        "tried, hashed and sealed off (CPU s)": sealing,
        "with / without sealing (x)": 1 + sealing / alone,
    }
    for name, value in rows.items():
        print(f"{name:42s} {value:10.3g}")
    keep("sealing-cost", "python benchmarks/sealing_cost.py", {"rows": rows})


if __name__ == "__main__":
    main()
