"""What a Ray cluster costs a study, beside the processes of one machine.

    python benchmarks/cluster_cost.py

Prints a table and writes benchmarks/results/cluster-cost.json. Tasks are empty: a record and
weights of the real size are made up, so that what is left is Ray, the pipes, the store and the
disk. Rows:

- rows a second of the driver, with a Ray begun on this machine and with the local pool, each with
  the weights of an LSTM (n = 128) that every figure run leaves, and with none, as all others do;
- the overhead of a task, which is the difference;
- n = 32: sixteen networks in one population against one after the other, and whether bits agree.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from keeping import keep

from digitspan.runs.config import RunConfig
from digitspan.runs.record import RunRecord
from digitspan.study import runner
from digitspan.study.config import StudyConfig
from digitspan.study.crew import cluster, pool, ray_driver, worker
from digitspan.study.crew.worker import Message, WorkerOptions
from digitspan.study.plan import Job

WORKERS = os.cpu_count() or 1
WEIGHTS = bytes(4 * (4 * 128 * (128 + 10 + 1) + 10 * (128 + 1)))
"""As many as an LSTM with n = 128 has, in single precision."""


def train_run(config: RunConfig, device: str, keep: Any, *_: object) -> Message:
    """An empty task with the result of a real one."""
    keep(WEIGHTS)
    curve = [[50.0 * k, 2.3, 2.3, 0.1] for k in range(1, 21)]
    record = RunRecord.error(config, "").to_json() | {"curve": curve, "end_state": "censored"}
    return {"record": record, "timing": {"seconds": 0.0, "host": "here"}}


def work(pipe: Any, options: WorkerOptions) -> None:
    """A worker of the local pool whose tasks are empty."""
    worker.train_run = train_run
    worker.work(pipe, options)


def drive(pipe: Any, options: WorkerOptions, address: str, most: int) -> None:
    """Ray's process, whose nodes' tasks are empty."""
    ray_driver.TRAINER = "cluster_cost"
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)  # of the nodes that it begins
    ray_driver.drive(pipe, options, address, most)


class Clock:
    """A study's progress that only looks at the time."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def finished(self, record: RunRecord, seconds: float) -> None:
        """A run has got its row."""
        self.times.append(time.perf_counter())

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: None

    def rows_a_second(self) -> float:
        """From the time on when all processes have begun: after the first fifth of the rows."""
        late = self.times[len(self.times) // 5 :]
        return (len(late) - 1) / (late[-1] - late[0])


def study_rate(where: str | None, seeds: int, *, weights: bool) -> float:
    """Rows a second of a study of empty tasks, whose weights are kept or not."""
    Job.keeps_weights = property(lambda job: weights)  # type: ignore[method-assign]
    config = StudyConfig(cells=("lstm",), lengths=(5,), seeds=seeds)
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        runner.run_study(config, Path(folder), workers=WORKERS, cluster=where, progress=clock)
    return clock.rows_a_second()


def populations() -> dict[str, float]:
    """16 networks of n = 32, together against one after the other, and how many records agree."""
    from digitspan.training.run import train, train_together

    configs = [
        RunConfig(cell="lstm", length=20, hidden_size=32, train_steps=200, seed=seed)
        for seed in range(16)
    ]
    start = time.perf_counter()
    together = train_together(configs)
    middle = time.perf_counter()
    alone = [train(config) for config in configs]
    end = time.perf_counter()
    same = sum(a.record == b.record for a, b in zip(together, alone, strict=True))
    return {
        "n = 32: 16 networks one by one / together (x)": (end - middle) / (middle - start),
        "n = 32: equal records, of 16": same,
    }


def main() -> None:
    """Measure, print, write."""
    pool.work, cluster.drive = work, drive
    rows: dict[str, float] = {}
    for name, weights in (("with weights", True), ("without weights", False)):
        found: dict[str | None, list[float]] = {None: [], "local": []}
        for _ in range(3):
            for where, rates in found.items():  # in turn: the machine's mood is the same for both
                rates.append(study_rate(where, 2_000, weights=weights))
        local, ray = (statistics.median(rates) for rates in found.values())
        rows[f"local pool, rows a second, {name}"] = local
        rows[f"Ray, rows a second, {name}"] = ray
        rows[f"Ray's overhead a task, {name} (ms)"] = 1e3 * (1 / ray - 1 / local)
    rows |= populations()
    for name, value in rows.items():
        print(f"{name:52s} {value:10.3g}")
    keep("cluster-cost", "python benchmarks/cluster_cost.py", {"rows": rows})


if __name__ == "__main__":
    main()
