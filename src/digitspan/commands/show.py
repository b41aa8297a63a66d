"""`digitspan show STUDY`: tables and figures from the store alone, without torch.

Only `--why` needs torch: it looks into networks as they were before training.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from digitspan.cells import title
from digitspan.commands.interrupts import interruptible_import
from digitspan.commands.options import (
    add_json,
    add_trust,
    output_console,
    path,
    print_json,
    print_sentence,
    print_table,
    require_torch,
)
from digitspan.commands.progress import Progress
from digitspan.errors import UsageError
from digitspan.files import require_writable_folder
from digitspan.hold.kept_answers import read_kept_answers
from digitspan.hold.spans import holds_texts
from digitspan.runs.config import RunConfig
from digitspan.runs.record import RunRecord
from digitspan.study.crew.apart import Apart
from digitspan.study.digit_spans import SpanSummary, summarise_any
from digitspan.study.reading import Study, read_study
from digitspan.study.span_tables import (
    digit_span_tables,
    digit_spans_csv,
    digit_spans_document,
    digit_spans_remarks,
)
from digitspan.study.store import Row
from digitspan.study.summary import Summary
from digitspan.study.tables import (
    budgets_table,
    controls_table,
    document,
    errors_text,
    lengths_table,
    optimizers_table,
    records_table,
    remarks,
    spans_csv,
    spans_table,
)

__all__ = ["add_options", "document_of", "print_summary", "reasons", "run", "write_figures"]


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
        help="say of every unsolved figure or grid run what tells it from solved ones like it "
        "(needs torch)",
    )
    add_trust(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print the tables and write the figures.

    Raises:
        UsageError: where there is no study.
    """
    study = read_study(options.study, trust=options.trust)
    summary = summarise_any(study.config, study.rows)
    if study.damaged:
        print(f"{study.damaged} damaged rows were left out", file=sys.stderr)
    if options.csv and (failed := errors_text(summary)):
        print(failed, file=sys.stderr)
    if isinstance(summary, SpanSummary):
        if options.why:
            message = (
                f"--why must be left out: {study.folder} measures digit spans, not solved runs"
            )
            raise UsageError(message)
        _show_digit_spans(summary, study, options)
    elif options.csv:
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


def document_of(summary: Summary | SpanSummary, rows: Mapping[str, Row]) -> dict[str, Any]:
    """What a study of either span found, as one JSON document."""
    if isinstance(summary, SpanSummary):
        return digit_spans_document(summary, rows)
    return document(summary, rows)


def _show_digit_spans(summary: SpanSummary, study: Study, options: argparse.Namespace) -> None:
    """What a study of digit spans found, as the options want it."""
    if options.csv:
        sys.stdout.write(digit_spans_csv(summary))
    elif options.json:
        print_json(document_of(summary, study.rows))
    else:
        print_summary(summary, study.folder)


def print_summary(summary: Summary | SpanSummary, folder: Path) -> None:
    """Print the tables on standard output.

    Raises:
        UsageError: where what `digitspan hold` has kept beside the study is damaged.
    """
    console = output_console()
    if failed := errors_text(summary):
        print_sentence(console, failed)
    if isinstance(summary, SpanSummary):
        for table in digit_span_tables(summary) if summary.measured else ():
            print_table(console, table)
        for line in digit_spans_remarks(summary):
            print_sentence(console, line)
        return
    if summary.spans:
        print_table(console, spans_table(summary))
        print_table(console, budgets_table(summary))
        print_table(console, lengths_table(summary))
    if summary.config.climb:
        print_table(
            console, records_table(summary, holds_texts(summary, read_kept_answers(folder)))
        )
    if summary.optimizers:
        print_table(console, optimizers_table(summary))
    if summary.controls:
        print_table(console, controls_table(summary))
    for line in remarks(summary):
        print_sentence(console, line)


def write_figures(summary: Summary | SpanSummary, folder: Path) -> None:
    """Write every figure of a study into a folder, and say which; there are none of no runs.

    Raises:
        UsageError: where the folder cannot be written.
    """
    if not (summary.measured if isinstance(summary, SpanSummary) else summary.spans):
        print("no figures yet: no final run is finished", file=sys.stderr)
        if not any(folder.glob("*.svg")):
            return  # else there may be figures of runs that are not counted any more
    require_writable_folder(folder, "--out")
    with interruptible_import("matplotlib"):
        from digitspan.figures import write_span_figures, write_study_figures  # a second

    if isinstance(summary, SpanSummary):
        names = write_span_figures(summary, folder)
    else:
        names = write_study_figures(summary, folder)
    if names:
        print(f"figures in {folder}: {', '.join(names)}", file=sys.stderr)


def reasons(study: Study, summary: Summary) -> dict[str, str]:
    """Why each unsolved figure or grid run was not solved, in words, by the run's key.

    They are contrasted with all runs of the study: designs have more runs of a kind than figures.

    Raises:
        UsageError: where torch is missing.
    """
    unsolved = _unsolved(study, summary)
    if not unsolved:
        return {}
    require_torch()
    with interruptible_import("torch"):
        from digitspan.look.contrasts import Start, contrasts, measure_by
        from digitspan.look.why import why_not_solved

    with Progress() as progress, Apart() as apart:
        task = progress.task("looking inside", unit="networks")
        networks = itertools.count()
        measure_one = measure_by(study, apart.ask)

        def measure(config: RunConfig) -> Start | None:
            task.update(next(networks), config.run_id)
            return measure_one(config)

        groups = contrasts((row.record for row in study.rows.values()), measure)
    untrusted = {why for record in unsolved if (why := study.untrusted(record.config))}
    for why in sorted(untrusted):
        print(f"not looked into: {why}", file=sys.stderr)
    return {record.config.key: why_not_solved(record, groups) for record in unsolved}


def _print_reasons(study: Study, summary: Summary) -> None:
    """Print the reasons as a table, one row per run."""
    found = reasons(study, summary)
    table = Table("cell", "T", "rate", "seed", "end", "why", title="Why runs were not solved")
    for record in _unsolved(study, summary):
        config = record.config
        numbers = (str(config.length), f"{config.learning_rate:g}", str(config.seed))
        table.add_row(title(config.cell), *numbers, record.end_state, found[config.key])
    print_table(output_console(), table)


def _unsolved(study: Study, summary: Summary) -> list[RunRecord]:
    """The figure or grid runs that were not solved, each once (two conditions can share one)."""
    records = {
        record.config.key: record
        for span in summary.spans
        for length in span.lengths
        for record in length.records
        if not record.solved and study.rows[record.config.key].role in ("figure", "grid")
    }
    return list(records.values())
