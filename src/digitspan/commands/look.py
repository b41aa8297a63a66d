"""`digitspan look [RUN [RUN]]`: one HTML page to look inside a network, or the figures of why."""

from __future__ import annotations

import argparse
import sys
import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digitspan.cells.own import is_own
from digitspan.commands.options import add_trust, path, require_torch
from digitspan.errors import UsageError
from digitspan.files import require_writable_folder, write_whole

if TYPE_CHECKING:
    from digitspan.look.page.choose import Chosen
    from digitspan.study.crew.apart import Ask
    from digitspan.study.reading import SavedRun

__all__ = ["add_options", "run"]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument(
        "runs",
        metavar="RUN",
        nargs="*",
        help="one or two of: a run's folder, STUDY:KEY for one run of a study; or a study alone, "
        "which shows the longest length that one cell learned and the other did not, or of digit "
        "spans the networks of the shortest and the longest",
    )
    parser.add_argument(
        "-o", "--out", type=path, metavar="PAGE", help="write the page here (default: page.html)"
    )
    parser.add_argument(
        "--learn",
        action="store_true",
        help="a page without trained networks, for which no RUN is needed: an RNN and an LSTM, or "
        "any two cells, learn in the browser (every page can train them too)",
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.add_argument(
        "--figures",
        type=path,
        metavar="FOLDER",
        help="write gradient-flow, gates, memory and, of a study, vanishing-or-kept (solved runs "
        "beside unsolved ones, for a beamer) as SVG and PNG here, instead of the page",
    )
    parser.add_argument(
        "--runs",
        dest="keys",
        nargs="+",
        default=[],
        metavar="KEY",
        help="with --figures: draw these runs of the study (the first column of `digitspan "
        "export`)",
    )
    parser.add_argument(
        "--only",
        choices=("solved", "unsolved"),
        default="",
        help="with --figures: choose among the runs of the study that were solved, or not",
    )
    add_trust(parser)


def run(options: argparse.Namespace) -> int:
    """Write the page or the figures, and say what they show.

    Raises:
        UsageError: where a run cannot be found or looked into, or it is not clear what is wanted.
    """
    if options.learn:
        return _write_page_that_learns(options)
    if not options.runs:
        message = "look needs a RUN or a study, or --learn for networks that learn in the browser"
        raise UsageError(message)
    from digitspan.look.page.choose import choose

    if options.figures is not None and (options.out is not None or options.open):
        message = "--figures writes no page: it cannot be given with --out or --open; call twice"
        raise UsageError(message)
    for_page = options.figures is None
    if for_page and (options.keys or options.only):
        message = "--runs and --only choose what --figures draws: add --figures FOLDER"
        raise UsageError(message)
    if options.keys and options.only:
        message = "--runs names the runs one by one: leave --only out"
        raise UsageError(message)
    require_torch()
    from digitspan.study.crew.apart import Apart

    with Apart() as apart:
        chosen = choose(
            options.runs,
            for_page=for_page,
            trust=options.trust,
            keys=options.keys,
            only=options.only,
            ask=apart.ask,
        )

        document = _document(chosen, apart.ask) if for_page else {}
        drawn = [] if for_page else _figures(chosen, options.figures, apart.ask)
    for why in chosen.left_out:
        print(f"left out: {why}", file=sys.stderr)
    if for_page:
        return _write_page(chosen, document, options.out or Path("page.html"), show=options.open)
    print(f"{options.figures}: {', '.join(drawn)}")
    return 0


def _write_page_that_learns(options: argparse.Namespace) -> int:
    """The page of networks that learn in it; torch is not needed for it."""
    from digitspan.look.page import page_html
    from digitspan.look.page.learning import document_that_learns

    if options.runs or options.figures is not None:
        got = f"RUN {options.runs[0]}" if options.runs else "--figures"
        message = (
            f"--learn writes a page without trained networks: it cannot be given with {got}; "
            f"leave one of them out"
        )
        raise UsageError(message)
    content = page_html(document_that_learns())
    file = options.out or Path("page.html")
    print(f"{_written(file, content)}: networks that learn in the browser")
    print(f"{len(content.encode()) / 1e6:.1f} MB, works offline", file=sys.stderr)
    return _shown(file) if options.open else 0


def _document(chosen: Chosen, ask: Ask) -> dict[str, Any]:
    """What the page shows."""
    from digitspan.look.page.data import document

    return document(chosen, _why(chosen.runs, ask), ask)


def _write_page(chosen: Chosen, document: dict[str, Any], file: Path, *, show: bool) -> int:
    from digitspan.look.page import equations_of, page_html

    content = page_html(document)
    _written(file, content)
    names = " beside ".join(kept.config.run_id for kept in chosen.runs[: chosen.show])
    print(f"{file}: {names}")
    if chosen.about:
        print(chosen.about)
    for cell in sorted({kept.config.cell for kept in chosen.runs if is_own(kept.config.cell)}):
        print(f"the page runs the code of {equations_of(cell)}", file=sys.stderr)
    size = len(content.encode()) / 1e6
    count = len(chosen.runs)
    networks = f"{count} network{'s' * (count != 1)}"
    print(f"{networks}, {size:.1f} MB, works offline", file=sys.stderr)
    return _shown(file) if show else 0


def _written(file: Path, content: str) -> Path:
    """The file that a page was written to."""
    if file.is_dir():
        message = f"--out must be a file to write, such as page.html; got the folder {str(file)!r}"
        raise UsageError(message)
    write_whole(file, content.encode())
    return file


def _shown(file: Path) -> int:
    """Open a page in the browser: the exit status."""
    if webbrowser.open(file.resolve().as_uri()):
        return 0
    print(f"no browser was found: open {file} by hand", file=sys.stderr)
    return 1


def _why(runs: Sequence[SavedRun], ask: Ask) -> Callable[[SavedRun], str]:
    """Says why a run was not solved; runs of a study are contrasted with the others of it."""
    from digitspan.look.contrasts import contrasts, measure_by
    from digitspan.look.why import why_not_solved

    studies = {run.study.path: run.study for run in runs if run.study and not run.record.solved}
    groups = {
        path: contrasts((row.record for row in study.rows.values()), measure_by(study, ask))
        for path, study in studies.items()
    }
    return lambda run: why_not_solved(
        run.record, groups.get(run.study.path) if run.study else None
    )


def _figures(chosen: Chosen, folder: Path, ask: Ask) -> list[str]:
    """Write the figures of why a network remembers or forgets."""
    from digitspan.look.trace_info import KEPT, write_trace_figures

    require_writable_folder(folder, "--figures")
    shown, others = (
        [(kept.config, kept.weights) for kept in runs]
        for runs in (chosen.runs[: chosen.show], chosen.seeds)
    )
    ended = [((kept.config, kept.weights), kept.record.solved) for kept in chosen.runs]
    names = write_trace_figures(shown, folder, seeds=others, ended=ended, ask=ask)
    if len(ended) > 1 and f"{KEPT}.svg" not in names:
        which = "solved" if ended[0][1] else "unsolved"
        print(
            f"{KEPT} is left out: it contrasts solved runs with unsolved ones, and these are all "
            f"{which}",
            file=sys.stderr,
        )
    return names
