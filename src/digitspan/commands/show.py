"""`digitspan show STUDY`: tables and figures from the store alone, without torch.

Only `--why` needs torch: it looks into the networks that were kept.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.table import Table

from digitspan.cells import title
from digitspan.commands.interrupts import interruptible_import
from digitspan.commands.options import (
    add_json,
    add_trust,
    output_console,
    path,
    print_json,
    require_torch,
)
from digitspan.commands.progress import Progress
from digitspan.files import require_writable_folder
from digitspan.hold.kept_answers import read_kept_answers
from digitspan.hold.spans import holds_texts
from digitspan.runs.record import RunRecord
from digitspan.study.reading import Study, read_study
from digitspan.study.summary import Summary, summarise
from digitspan.study.tables import (
    budgets_table,
    controls_table,
    document,
    lengths_table,
    optimizers_table,
    records_table,
    remarks,
    spans_csv,
    spans_table,
)

__all__ = ["add_options", "print_summary", "reasons", "run", "write_figures"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument(
        "study", metavar="STUDY", type=path, help="a study's folder, or its study.db"
    )
    parser.add_argument(
        "--out", type=path, metavar="FOLDER", help="write the figures here (default: the study's)"
    )
    parser.add_argument("--no-figures", action="store_true", help="tables only")
    parser.add_argument(
        "--csv", action="store_true", help="print the table of spans as CSV instead"
    )
    parser.add_argument(
        "--why",
        action="store_true",
        help="say of every unsolved final run why it was not solved (needs torch)",
    )
    add_trust(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print the tables and write the figures.

    Raises:
        UsageError: where there is no study.
    """
    study = read_study(options.study, trust=options.trust)
    summary = summarise(study.config, study.rows)
    if study.damaged:
        print(f"{study.damaged} damaged rows were left out", file=sys.stderr)
    if options.csv:
        sys.stdout.write(spans_csv(summary))
    elif options.json:
        why = {"why": reasons(study, summary)} if options.why else {}
        print_json(document(summary, study.rows) | why)
    else:
        print_summary(summary, study.folder)
        if options.why:
            _print_reasons(study, summary)
    wanted = options.out is not None or not (options.json or options.csv)
    if wanted and not options.no_figures:
        write_figures(summary, options.out or study.folder)
    return 0


def print_summary(summary: Summary, folder: Path) -> None:
    """Print the tables on standard output.

    Raises:
        UsageError: where what `digitspan hold` has kept beside the study is damaged.
    """
    console = output_console()
    for record in summary.errors[:1]:
        console.print(
            f"{len(summary.errors)} runs ended in an error and are left out, such as "
            f"{record.config.run_id}: {record.note}",
            highlight=False,
            soft_wrap=True,
        )
    if summary.spans:
        console.print(spans_table(summary))
        console.print(budgets_table(summary))
        console.print(lengths_table(summary))
    if summary.config.climb:
        console.print(records_table(summary, holds_texts(summary, read_kept_answers(folder))))
    if summary.optimizers:
        console.print(optimizers_table(summary))
    if summary.controls:
        console.print(controls_table(summary))
    for line in remarks(summary):
        console.print(line, highlight=False)


def write_figures(summary: Summary, folder: Path) -> None:
    """Write every figure of a study into a folder, and say which.

    Raises:
        UsageError: where the folder cannot be written.
    """
    if not summary.spans:
        print("no figures yet: no final run is finished", file=sys.stderr)
        return
    require_writable_folder(folder, "--out")
    with interruptible_import("matplotlib"):
        from digitspan.figures import write_study_figures  # a second that --json saves

    names = write_study_figures(summary, folder)
    print(f"figures in {folder}: {', '.join(names)}", file=sys.stderr)


def reasons(study: Study, summary: Summary) -> dict[str, str]:
    """Why each unsolved final run was not solved, one sentence each, by the run's key.

    Raises:
        UsageError: where torch is missing, or weights are not those of their run.
    """
    require_torch()
    with interruptible_import("torch"):
        from digitspan.look.why import why_not_solved

    unsolved, found = _unsolved(summary), {}
    with Progress() as progress:
        task = progress.task("looking inside", len(unsolved), "runs")
        for done, record in enumerate(unsolved):
            task.update(done, record.config.run_id)
            found[record.config.key] = why_not_solved(record, _weights(study, record))
    untrusted = {why for record in unsolved if (why := study.untrusted(record.config))}
    for why in sorted(untrusted):
        print(f"not looked into: {why}", file=sys.stderr)
    return found


def _weights(study: Study, record: RunRecord) -> bytes | None:
    """The weights of a run that may be looked into."""
    return None if study.untrusted(record.config) else study.weights(record)


def _print_reasons(study: Study, summary: Summary) -> None:
    """Print the reasons as a table, one row per run."""
    found = reasons(study, summary)
    table = Table("cell", "T", "rate", "seed", "end", "why", title="Why runs were not solved")
    for record in _unsolved(summary):
        config = record.config
        numbers = (str(config.length), f"{config.learning_rate:g}", str(config.seed))
        table.add_row(title(config.cell), *numbers, record.end_state, found[config.key])
    output_console().print(table)


def _unsolved(summary: Summary) -> list[RunRecord]:
    """The final runs that were not solved, each once (two rate rules can share a run)."""
    records = {r.config.key: r for span in summary.spans for r in span.records if not r.solved}
    return list(records.values())
