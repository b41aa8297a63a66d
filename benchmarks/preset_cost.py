"""What a preset costs: minutes, runs, core-minutes, and how wide its intervals come out.

    python benchmarks/preset_cost.py quick
    python benchmarks/preset_cost.py quick --of results/quick
    python benchmarks/preset_cost.py sheet --of results/sheet --again 24

Runs the preset in a fresh folder, or reads a finished study (`--of`), whose minutes lie between
the first run's start and the last one's end; a study that was interrupted counts its pauses too.
A study that was run beside other work tells what it would take without: `--again` makes some of
its runs again, the quick ones and the slow ones in proportion, and scales all by their ratio.
Prints a table and writes benchmarks/results/preset-cost-PRESET.json.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from keeping import keep

from digitspan.runs.config import RunConfig
from digitspan.study.config import PRESETS
from digitspan.study.reading import Study, read_study
from digitspan.study.summary import summarise
from digitspan.training.run import train


def numbers(study: Study, minutes: float) -> dict[str, Any]:
    """What a study's rows say of its cost and of the spans that it bought.

    Args:
        study: finished.
        minutes: that it took on the clock.
    """
    summary = summarise(study.config, study.rows)
    core_seconds = sum(row.timing.seconds for row in study.rows.values())
    return {
        "minutes": round(minutes, 2),
        "runs": summary.runs,
        "missing": summary.missing,
        "core minutes": round(core_seconds / 60, 2),
        "busy cores": round(core_seconds / 60 / minutes, 2),
        "high / low of S50": {
            f"{row.condition.cell}, {row.condition.encoding}, {row.condition.rate}": (
                None
                if row.span.low is None or row.span.high is None
                else round(row.span.high / row.span.low, 2)
            )
            for row in summary.spans
        },
    }


def clock_minutes(study: Study) -> float:
    """From the first run's start to the last one's end, by the rows' own stamps."""
    timings = [row.timing for row in study.rows.values()]
    first = min(timing.finished - timing.seconds for timing in timings)
    return (max(timing.finished for timing in timings) - first) / 60


def idle_minutes(study: Study, number: int) -> dict[str, Any]:
    """What the runs would take on this machine as it is now, from some of them made again.

    Args:
        study: finished.
        number: runs to make again, every so-manieth in the order of their seconds.
    """
    rows = sorted(study.rows.values(), key=lambda row: row.timing.seconds)
    some = [rows[int((index + 0.5) * len(rows) / number)] for index in range(number)]
    jobs = os.cpu_count() or 1
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        texts = [row.record.config.canonical for row in reversed(some)]
        seconds = pool.map(seconds_of, texts, chunksize=1)
    ratio = sum(seconds) / sum(row.timing.seconds for row in some)
    core_minutes = ratio * sum(row.timing.seconds for row in rows) / 60
    return {
        "made again": number,
        "their seconds, again / then": round(ratio, 3),
        "core minutes by that": round(core_minutes, 1),
        f"minutes by that, {jobs} cores": round(core_minutes / jobs, 1),
    }


def seconds_of(canonical: str) -> float:
    """What one run takes here, on one thread."""
    torch.set_num_threads(1)
    start = time.perf_counter()
    train(RunConfig.from_canonical(canonical))
    return time.perf_counter() - start


def run_preset(preset: str, folder: Path) -> float:
    """Run a preset as a user does; minutes on the clock, the process's start included."""
    command = [sys.executable, "-m", "digitspan", "study", preset, "--out", str(folder)]
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - start) / 60


def main() -> None:
    """Measure or read, print, write."""
    parser = argparse.ArgumentParser(description="what a preset costs")
    parser.add_argument("preset", choices=PRESETS)
    parser.add_argument("--of", type=Path, metavar="STUDY", help="a finished study of the preset")
    parser.add_argument("--again", type=int, metavar="N", help="of these, make N runs again")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    if options.of is not None:
        study = read_study(options.of)
        if study.config.preset != options.preset:
            parser.error(f"--of {options.of} is a study of {study.config.preset!r}")
        found = numbers(study, clock_minutes(study)) | {"machine then": _hosts(study)}
        if options.again:
            found |= idle_minutes(study, options.again) | {"load before": round(load, 1)}
    else:
        with tempfile.TemporaryDirectory() as name:
            minutes = run_preset(options.preset, Path(name))
            found = numbers(read_study(Path(name)), minutes)
        # Above 0.5 the cores were not idle, and the minutes are not the preset's alone.
        found |= {"load before": round(load, 1)}
    for entry, value in found.items():
        print(f"{entry:20s} {value}")
    of = "" if options.of is None else " --of STUDY"
    of += f" --again {options.again}" if options.again else ""
    command = f"python benchmarks/preset_cost.py {options.preset}{of}"
    keep(f"preset-cost-{options.preset}", command, found)


def _hosts(study: Study) -> str:
    """Where the runs of a finished study were made: the machine that reads it may be another."""
    machines = {
        str(row.record.environment.get("machine", "unknown")) for row in study.rows.values()
    }
    return ", ".join(sorted(machines))


if __name__ == "__main__":
    main()
