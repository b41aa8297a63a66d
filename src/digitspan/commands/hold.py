"""`digitspan hold RUN`: the holding span, how long trained networks keep a digit."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from digitspan.commands.interrupts import interruptible_import
from digitspan.commands.options import (
    add_json,
    add_trust,
    output_console,
    print_json,
    print_table,
    require_torch,
    whole_number,
)
from digitspan.commands.progress import Progress
from digitspan.errors import UsageError
from digitspan.hold.kept_answers import Answers, read_kept_answers, write_kept_answers
from digitspan.hold.spans import (
    Replicates,
    answers_document,
    holding_table,
    networks_of,
)
from digitspan.study.crew.apart import Apart

__all__ = ["add_options", "run"]

MOST_PALINDROMES = 100_000
"""More would not fit into memory at once."""

LONGEST = 10_000_000_000
"""A length beyond it would take years."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument(
        "runs",
        metavar="RUN",
        nargs="+",
        help="a run's folder, STUDY:KEY for one run of a study; or a study alone: of every "
        "condition, the runs solved at the longest length where most were",
    )
    parser.add_argument(
        "--lengths",
        metavar="N",
        nargs="+",
        type=whole_number(2, LONGEST),
        default=[100, 1_000, 10_000, 100_000],
        help="palindrome lengths T to ask, at least 2 (default: 100 1000 10000 100000)",
    )
    parser.add_argument(
        "--palindromes",
        metavar="N",
        type=whole_number(1, MOST_PALINDROMES),
        default=300,
        help="how many to ask at each length, at least 1; to tell 99 %% takes 130 or more "
        "(default: 300)",
    )
    add_trust(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Ask the networks, keep their answers, print the table.

    Raises:
        UsageError: where a run cannot be found, or read piece by piece.
    """
    lengths = sorted(set(options.lengths))
    groups = [group for name in options.runs for group in networks_of(name, trust=options.trust)]
    require_torch()
    with interruptible_import("torch"):
        from digitspan.hold import asking  # noqa: F401 (here, where Ctrl-C is minded)

    with Apart() as apart:
        why_not = [group.why_not or _why_not(group, apart) for group in groups]
        can = [group for group, why in zip(groups, why_not, strict=True) if not why]
        for group, why in zip(groups, why_not, strict=True):
            if why and (not can or not group.of_study):  # what is named alone is not left out
                raise UsageError(why)
        answers = [(group, _ask(group, lengths, options.palindromes, apart)) for group in can]
    for why in dict.fromkeys(filter(None, why_not)):
        print(f"left out: {why}", file=sys.stderr)
    if options.json:
        print_json({"holding": [answers_document(*pair) for pair in answers]})
    else:
        print_table(output_console(), holding_table(answers))
        if any(one.holds is None for _, found in answers for one in found):
            print("undecided: from 130 right answers in a row on a network holds 99 %")
    return 0


def _why_not(group: Replicates, apart: Apart) -> str:
    """Why a group's networks cannot be asked, a sentence; empty where they can."""
    from digitspan.hold.asking import check_can_be_asked

    try:
        apart.ask(group.configs[0], check_can_be_asked, group.configs[0])
    except UsageError as error:
        return str(error)
    return ""


def _ask(group: Replicates, lengths: Sequence[int], count: int, apart: Apart) -> list[Answers]:
    """Every network at every length; what was kept of an earlier call is not asked again."""
    from digitspan.hold.asking import ask

    kept = read_kept_answers(group.folder)
    wanted = {config.key for config in group.configs}
    with Progress() as progress:
        for length in lengths:
            done = {a.key for a in kept if (a.length, a.tested) == (length, count)}
            missing = {c: group.weights[c] for c in group.configs if c.key not in done}
            if not missing:
                continue
            who = f"{len(missing)} networks ({group.configs[0].cell}), T = {length:,}"
            task = progress.task(who, length - 1, "digits")
            arguments = missing, length, count
            found = apart.ask(group.configs[0], ask, *arguments, on_step=task.update)
            kept += [Answers(*answer) for answer in found]
            write_kept_answers(group.folder, kept)
            task.end()
    return [
        answer for answer in kept
        if answer.key in wanted and answer.length in lengths and answer.tested == count
    ]  # fmt: skip
