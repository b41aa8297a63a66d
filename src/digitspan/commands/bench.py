"""`digitspan bench`: the benchmark on this machine, against torch's networks and the template."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.table import Table

from digitspan.commands.options import (
    add_json,
    output_console,
    path,
    print_json,
    print_table,
    require_torch,
)
from digitspan.files import require_writable_folder, write_whole

if TYPE_CHECKING:
    from digitspan.bench.measure import BenchmarkRow, Effort, MedianTime
    from digitspan.bench.scaling import Cost

__all__ = ["add_options", "run"]

_GROUPS = ("steps", "many", "tasks", "scaling")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument(
        "--quick", action="store_true", help="only the rows that have a goal, within a minute"
    )
    extent.add_argument(
        "--full", action="store_true", help="run the template's recipe to its end: many hours"
    )
    parser.add_argument(
        "--only", nargs="+", choices=_GROUPS, default=_GROUPS, help="only these groups of rows"
    )
    parser.add_argument(
        "--out", type=path, metavar="FOLDER", help="also write bench.json and cost.svg here"
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Measure on one thread, and print the table.

    Raises:
        UsageError: where the folder cannot be used, or there is no torch.
    """
    if options.out:
        require_writable_folder(options.out, "--out")
    require_torch()
    import torch

    from digitspan.bench import measure, scaling

    torch.set_num_threads(1)
    effort = measure.QUICK if options.quick else measure.FULL if options.full else measure.DEFAULT
    document: dict[str, Any] = {"machine": measure.machine()}
    rows, costs = [], []
    for row in _rows(options.only, effort):
        rows.append(row)
        print(_sentence(row), file=sys.stderr, flush=True)
    if "scaling" in options.only and not options.quick:
        print("cost against T, n, batch and R", file=sys.stderr, flush=True)
        costs = list(scaling.costs(effort))
    document["rows"] = [row.to_json() for row in rows]
    document["costs"] = [cost.to_json() for cost in costs]
    if options.out:
        text = json.dumps(document, indent=1)
        write_whole(options.out / "bench.json", f"{text}\n".encode())
        if costs:
            scaling.draw_costs(costs, options.out / "cost.svg")
    if options.json:
        print_json(document)
    else:
        _print_tables(document["machine"], rows, costs)
    return 0


def _rows(groups: tuple[str, ...], effort: Effort) -> Iterator[BenchmarkRow]:
    """The rows of the groups that are asked for, each as soon as it is measured."""
    from digitspan.bench import jobs, population, steps

    for name, group in {"steps": steps, "many": population, "tasks": jobs}.items():
        if name in groups:
            yield from group.rows(effort)


def _print_tables(machine: dict[str, Any], rows: list[BenchmarkRow], costs: list[Cost]) -> None:
    """The rows, and the exponents, on standard output."""
    console = output_console()
    table = Table(title=f"{machine['cpu']}, one thread, torch {machine['torch']}")
    for heading in ("", "ours, ms", "peer", "peer, ms", "ratio", "goal", ""):
        table.add_column(heading, justify="right" if heading.endswith("ms") else "left")
    for row in rows:
        goal = "" if row.goal is None else f">= {row.goal:g}"
        table.add_row(
            row.name, _ms(row.ours), row.peer, _ms(row.theirs), _ratio(row), goal, row.remark
        )
    print_table(console, table)
    for cost in costs:
        line = ", ".join(
            f"{value:,}: {ms:.1f}"
            for value, ms in zip(cost.values, cost.milliseconds, strict=True)
        )
        console.print(f"cost ~ {cost.size}^{cost.exponent:.2f}   ms a step: {line}")


def _sentence(row: BenchmarkRow) -> str:
    """A row as one line of progress."""
    return f"{row.name}: {_ms(row.ours)} ms; {row.peer}: {_ms(row.theirs)} ms; {_ratio(row)}"


def _ms(timing: MedianTime | None) -> str:
    """A time and its spread to three digits."""
    if timing is None:
        return "-"
    spread = f" ± {timing.spread_ms:.2g}" if timing.spread_ms else ""
    median = timing.median_ms
    return f"{median:,.0f}{spread}" if median >= 100 else f"{median:.3g}{spread}"


def _ratio(row: BenchmarkRow) -> str:
    """The ratio, larger is better."""
    return "-" if row.ratio is None else f"{row.ratio:.3g}x"
