"""What it costs to check hand-ins: 200 of two classes in under ten minutes on two cores.

    python benchmarks/check_cost.py --count 20

Hand-ins are made of the sheet's own code (right) and of the same with a fault (wrong), half of
each. The figure for 200 is the measured time a hand-in, times 200; on a busy machine look at the
processor's time (`--isolation limited`), half of which two cores take.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import tempfile
import time
from pathlib import Path

import digitspan.part1
from digitspan.check.course import Settings, check_many
from digitspan.check.course_rules import read_rules
from digitspan.check.reading.intake import Entry
from digitspan.check.sandbox.isolation import Limits, require_level

PART1 = Path(digitspan.part1.__file__).parent
FAULT = ("c = g * i + c * f", "c = g * i")


def make_hand_ins(folder: Path, count: int) -> list[Path]:
    """So many hand-ins, every second one with an LSTM that forgets its cell state."""
    paths = []
    for number in range(count):
        path = folder / f"hand-in-{number:03d}"
        shutil.copytree(PART1, path / "part1", ignore=shutil.ignore_patterns("__pycache__"))
        if number % 2:
            file = path / "part1" / "lstm.py"
            text = file.read_text(encoding="utf-8")
            if FAULT[0] not in text:
                raise SystemExit(f"the line {FAULT[0]!r} is no longer in {file.name}")
            file.write_text(text.replace(*FAULT), encoding="utf-8")
        paths.append(path)
    return paths


def main() -> None:
    """Measure, and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20, help="hand-ins to check (default: 20)")
    parser.add_argument("--jobs", type=int, default=2, help="at a time (default: 2)")
    parser.add_argument("--isolation", default="auto", help="auto, isolated or limited")
    options = parser.parse_args()
    level = require_level(options.isolation)
    settings = Settings(level, Limits(), read_rules(None), options.jobs)
    with tempfile.TemporaryDirectory() as folder:
        paths = make_hand_ins(Path(folder), options.count)
        entries = [Entry(path.name, path, None) for path in paths]
        start, before = time.perf_counter(), os.times()
        reports = check_many(entries, settings, lambda report: None)
        seconds, after = time.perf_counter() - start, os.times()
    verdicts = [report.classes["LSTM"].verdict for report in reports]
    # Bubblewrap's children are not ours: what they computed is known in "limited" alone.
    processor = sum(after[:4]) - sum(before[:4]) if level == "limited" else None
    print(
        json.dumps(
            {
                "hand_ins": options.count,
                "jobs": options.jobs,
                "isolation": level,
                "seconds": round(seconds, 1),
                "seconds_a_hand_in": round(seconds / options.count, 2),
                "processor_seconds_a_hand_in": processor and round(processor / options.count, 2),
                "seconds_for_200": round(200 * seconds / options.count),
                "right_verdicts": verdicts == ["pass", "fail"] * (options.count // 2),
                "load_average": os.getloadavg()[0],
                "cores": os.cpu_count(),
                "machine": platform.platform(),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
