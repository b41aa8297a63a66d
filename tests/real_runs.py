"""Runs of real training, placed by a sketch of the joint design.

lstm, rnn: digits as numbers, 128 units, budget 2,000; quick-...: one-hot, 64 units, budget 1,000.
"""

import csv
from pathlib import Path

from digitspan.study.surface import Run


def real_runs(cell: str) -> list[Run]:
    """The runs of one cell."""
    with (Path(__file__).parent / "golden" / "real_runs.csv").open(encoding="utf-8") as file:
        return [
            Run(int(row["length"]), float(row["rate"]), row["outcome"], int(row["step"]))
            for row in csv.DictReader(file)
            if row["cell"] == cell
        ]
