"""What a study adds to the bare training loop.

    python benchmarks/study_cost.py

Prints a table and writes benchmarks/results/study-cost.json. Rows:

- evaluations, final test, runner and store as shares of the bare loop's time, LSTM, T = 20, for a
  run of 1,000 steps (parts measured in turn in one process, medians of several rounds);
- a study of the same runs by two workers against one (wall time);
- store: rows written a second; `show` with and without figures at 10,000 runs.
"""

from __future__ import annotations

import dataclasses
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from keeping import keep

STEPS = 1_000


def seconds(task: Callable[[], object]) -> float:
    """Wall time of one call, in seconds."""
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def training_parts(rounds: int) -> dict[str, float]:
    """Median seconds of: one bare training step, one evaluation, the final test; in turn."""
    import torch

    from digitspan.runs.config import RunConfig
    from digitspan.tasks.palindrome import draw_training
    from digitspan.training.run import _Training

    torch.set_num_threads(1)
    run = _Training(RunConfig(cell="lstm", length=20), torch.device("cpu"), None)
    config, generator = run.config, torch.Generator().manual_seed(0)

    def bare_steps() -> None:
        drawn = draw_training(config.length, 50 * config.batch_size, generator)
        for batch in zip(*(part.split(config.batch_size) for part in drawn), strict=True):
            run.trainer.step(type(drawn)(*batch))

    def evaluation() -> None:
        run.evaluate(run.trainer.logits(run.validation.questions.inputs))
        run.snapshot = run.state()

    def final_test() -> None:
        run.finish(run.test())

    tasks = {"bare step": bare_steps, "evaluation": evaluation, "final test": final_test}
    for task in tasks.values():
        task()
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            times[name].append(seconds(task))
    medians = {name: statistics.median(found) for name, found in times.items()}
    medians["bare step"] /= 50
    return medians


def study_seconds(folder: Path, workers: int, seeds: int) -> tuple[float, float]:
    """Wall time of a study, and the seconds that its runs took by themselves."""
    from digitspan.study.store import Store

    command = [
        *(sys.executable, "-m", "digitspan", "study", "--cells", "rnn", "--lengths", "20"),
        *("--seeds", str(seeds), "--train-steps", "400", "--learning-rates", "0.01"),
        *("--workers", str(workers), "--out", str(folder), "--json"),
    ]
    wall = seconds(lambda: subprocess.run(command, check=True, capture_output=True))
    with Store.open(folder) as store:
        return wall, sum(row.timing.seconds for row in store.rows().values())


def store_of(folder: Path, runs: int) -> float:
    """Make a store of some runs; rows written a second."""
    from digitspan.runs.config import RunConfig
    from digitspan.runs.record import CurvePoint, RunRecord
    from digitspan.study.config import StudyConfig
    from digitspan.study.store import Row, Store, Timing

    lengths = (5, 10, 20, 40, 80)
    config = StudyConfig(lengths=lengths, seeds=runs // 20, learning_rates=(1e-3, 1e-2))
    empty = RunRecord.error(RunConfig(cell="rnn", length=5), "")
    curve = tuple(CurvePoint(50 * k, 2.3, 2.3, 0.1) for k in range(1, 21))
    runs_of_it = [
        RunConfig(cell=cell, length=length, learning_rate=rate, seed=seed)
        for cell in config.cells
        for length in lengths
        for rate in config.learning_rates
        for seed in range(config.seeds)
    ]
    records = [
        dataclasses.replace(
            empty, config=run, end_state="solved" if run.length <= 20 else "censored", steps=1000,
            accuracy=0.99, bits=3.2, tested=10_000, curve=curve,
        )
        for run in runs_of_it
    ]  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    with Store.create(folder) as store:
        store.set_value("config", config.canonical)
        timing = Timing(1.0, 0.0, "here", 1)
        rows = [Row(record, timing, "grid") for record in records]
        return len(rows) / seconds(lambda: [store.add(row) for row in rows])


def show_seconds(folder: Path, *options: str) -> float:
    """Wall time of `digitspan show`, the process's start included."""
    command = [sys.executable, "-m", "digitspan", "show", str(folder), *options]
    return seconds(lambda: subprocess.run(command, check=True, capture_output=True))


def main() -> None:
    """Measure, print, write."""
    parts = training_parts(rounds=7)
    bare = STEPS * parts["bare step"]
    rows = {
        "bare training step, LSTM, T = 20 (ms)": 1e3 * parts["bare step"],
        "evaluations / bare loop (%)": 100 * STEPS / 50 * parts["evaluation"] / bare,
        "final test / bare loop (%)": 100 * parts["final test"] / bare,
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        one, trained = study_seconds(folder / "one", 1, seeds=16)
        empty, _ = study_seconds(folder / "empty", 1, seeds=1)
        two, _ = study_seconds(folder / "two", 2, seeds=16)
        rows["runner and store, a run (ms)"] = 1e3 * max(one - trained - empty, 0.0) / 16
        rows["runner and store / bare loop (%)"] = 100 * max(one - trained - empty, 0) / 16 / bare
        rows["together / bare loop (%)"] = sum(v for k, v in rows.items() if "/ bare loop" in k)
        rows["two workers against one (x)"] = one / two
        rows["store, rows written a second"] = store_of(folder / "many", 10_000)
        rows["show --no-figures, 10,000 runs (s)"] = show_seconds(folder / "many", "--no-figures")
        rows["show with figures, 10,000 runs (s)"] = show_seconds(folder / "many")
    for name, value in rows.items():
        print(f"{name:42s} {value:10.3g}")
    keep("study-cost", "python benchmarks/study_cost.py", {"rows": rows})


if __name__ == "__main__":
    main()
