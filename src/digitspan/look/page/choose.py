"""Which runs the page shows: a run's folder, one run of a study, or the two that tell most."""

from __future__ import annotations

import dataclasses
import functools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from digitspan.cells import CELLS, INITIALISATIONS, initialisation_title, title
from digitspan.errors import UsageError, said_by
from digitspan.look.page import equations_of, known_cells
from digitspan.runs.config import RunConfig
from digitspan.runs.record import RunRecord
from digitspan.study.crew.apart import Ask, here
from digitspan.study.digit_spans import CellSpan, summarise_any, summarise_spans
from digitspan.study.reading import SavedRun, Study, is_study, read_saved_run, read_study
from digitspan.study.store import weights_path
from digitspan.tasks import TASKS

__all__ = ["Chosen", "StudyCurves", "choose"]

MOST_BYTES = 1_200_000
"""Weights on a page, beyond those on show: written in base64 they leave it below 2 MB."""


class StudyCurves(NamedTuple):
    """Accuracy by length, as the page draws it."""

    curves: Mapping[str, Sequence[RunRecord]]
    """By cell: its runs at all lengths, each length at one learning rate."""
    caption: str
    """Which study, which condition, in words."""


class Chosen(NamedTuple):
    """What a page shows."""

    runs: tuple[SavedRun, ...]
    """The networks on the page, the one or two on show first."""
    show: int
    """How many of them are on show: 1 or 2."""
    about: str
    """Why these, in a sentence; empty where they were named one by one."""
    study: StudyCurves | None
    """The study that they belong to."""
    seeds: tuple[SavedRun, ...] = ()
    """Further runs of the study like those on show, with other seeds."""
    left_out: tuple[str, ...] = ()
    """Why cells of the study are left out, a sentence each."""


def choose(
    names: Sequence[str],
    *,
    for_page: bool = True,
    trust: bool = False,
    keys: Sequence[str] = (),
    only: str = "",
    ask: Ask = here,
) -> Chosen:
    """Find the runs that the command line names.

    Args:
        names: one or two of: a run's folder, `STUDY:KEY`, or one study alone.
        for_page: whether the page must have the equations of their cells; figures need none.
        trust: whether the code of cells of one's own may be run, if it is that of their rows.
        keys: of the runs of one study to draw, whatever they are; for figures.
        only: "solved" or "unsolved": which runs of one study to draw; for figures.
        ask: where it is tried whether networks of these can be looked into.

    Raises:
        UsageError: where there are none such.
    """
    if keys or only:
        return _for_figures(names, keys, only, ask, trust=trust)
    if len(names) > 2:
        message = f"at most two runs can be seen side by side; got {len(names)}; name two of them"
        raise UsageError(message)
    if len(names) == 1 and is_study(Path(names[0])):
        return _of_study(read_study(Path(names[0]), trust=trust), for_page, ask)
    asked = functools.partial(_check_task, for_page=for_page)  # before any code may be run
    runs = tuple(read_saved_run(name, trust=trust, check=asked) for name in names)
    for run in runs:
        _check_equations(run.config, for_page=for_page)
    _check_alike([run.config for run in runs])
    if runs[0].config.items is not None:
        return Chosen(runs, len(runs), "", None)
    for run in runs:
        if run.study is not None:
            rate = run.config.learning_rate if run.study.config.design == "grid" else None
            curves = _curves(run.study, run.config, rate)
            seeds = _seeds(run.study, runs)
            return Chosen(_fitting([*runs, *seeds], len(runs)), len(runs), "", curves, seeds)
    return Chosen(runs, len(runs), "", None)


def _for_figures(
    names: Sequence[str], keys: Sequence[str], only: str, ask: Ask, *, trust: bool
) -> Chosen:
    """The runs of one study that are asked for, by their keys or by how they ended."""
    option = "--runs" if keys else "--only"
    if len(names) != 1 or not is_study(Path(names[0])):
        message = f"{option} goes with one study; got {', '.join(names)[:200]}"
        raise UsageError(message)
    study = read_study(Path(names[0]), trust=trust)
    if not keys:
        return _of_study(study, False, ask, only)
    runs = tuple(study.saved_run(study.row(key).record) for key in dict.fromkeys(keys))
    for run in runs:
        _check_task(run.config, for_page=False)
    return Chosen(runs, len(runs), "", None)


def _check_task(config: RunConfig, *, for_page: bool) -> None:
    """Refuse a network of a task that cannot be shown."""
    if config.items is not None and not for_page:
        message = (
            f"--figures draws networks of palindromes, and {config.run_id} is of the task "
            f"{config.task}; `digitspan look` without --figures makes its page"
        )
        raise UsageError(message)
    if config.task != "palindrome" and config.items is None:
        message = (
            f"the page shows palindromes and lists; {config.run_id} is of the task {config.task}"
        )
        raise UsageError(message)


def _check_equations(config: RunConfig, *, for_page: bool) -> None:
    """Refuse a network that the page cannot step."""
    if for_page and equations_of(config.cell) is None:
        module = config.cell.partition(":")[0].rpartition(".")[2]
        message = (
            f"the page cannot step the cell {config.cell!r}: it has the equations of "
            f"{', '.join(known_cells())} in JavaScript; write those of your own to {module}.js "
            f"beside {module}.py (docs/own-cell.md), or draw it with `look --figures FOLDER`"
        )
        raise UsageError(message)


def _check_alike(configs: Sequence[RunConfig]) -> None:
    """Refuse networks side by side that are not asked the same."""
    asked = {(config.task, config.order): config.run_id for config in configs}
    if len(asked) > 1:
        kinds = " and ".join(
            f"{name} (task {task}{f', {order}' if TASKS[task].asks_lists else ''})"
            for (task, order), name in asked.items()
        )
        message = (
            f"two networks are seen side by side only where both are asked the same; got {kinds}: "
            f"make a page of each"
        )
        raise UsageError(message)


def _why_not(study: Study, config: RunConfig, for_page: bool, ask: Ask) -> str:
    """Why a run's cell cannot be followed, a sentence; empty where it can.

    The page must have its equations; for figures it is enough that it can be stepped.
    """
    if why := study.untrusted(config):
        return why
    if equations_of(config.cell) is not None:
        return ""
    if for_page:
        return f"the page has no equations of {config.cell} (docs/own-cell.md)"
    try:
        why = ask(config, _why_not_traced, config)
    except UsageError as error:
        return str(error)
    return f"{config.cell}: {why}" if why else ""


def _why_not_traced(config: RunConfig) -> str:
    """Why a run's network cannot be looked into, a sentence; empty where it can."""
    from digitspan.look.probe import why_not_traced  # these import torch
    from digitspan.training.engine import build_network

    try:
        network = build_network(config)
    except UsageError:
        raise
    except Exception as error:  # whatever the code of somebody else may raise
        return f"it cannot be built ({said_by(error)[:200]})"
    return why_not_traced(network, config.input_size)


def _of_study(study: Study, for_page: bool, ask: Ask, only: str = "") -> Chosen:
    """The longest length that one of two cells learned and the other did not; else both.

    Of digit spans, the cells of the widest networks with the shortest and the longest one.

    Args:
        study: the study.
        for_page: whether the page must have the equations of the cells.
        ask: where it is tried whether networks can be looked into.
        only: "solved" or "unsolved": the runs that are looked at; all by default.
    """
    if study.config.design == "span":
        return _of_spans(study, for_page, ask)
    shown = [row.record for row in study.rows.values() if _can_show(study, row.record)]
    own = {(record.config.cell, record.config.source): record.config for record in shown}
    why_not = {name: _why_not(study, config, for_page, ask) for name, config in own.items()}
    kept = [
        record
        for record in shown
        if not why_not[record.config.cell, record.config.source]
        and only in ("", "solved" if record.solved else "unsolved")
    ]
    left_out = tuple(dict.fromkeys(filter(None, why_not.values())))
    if not kept:
        if study.config.task != "palindrome":
            message = (
                f"the page shows palindromes and lists; the study {study.folder} is of the task "
                f"{study.config.task}"
            )
            raise UsageError(message)
        message = (
            f"{study.folder} has no {only or 'finished'} run that can be looked into (on "
            f"palindromes, of {', '.join(known_cells())}, with its weights): "
            f"{_why_none(study, left_out)}"
        )
        raise UsageError(message)
    best = _best(kept)
    first = _telling_pair(best)
    config = first[0][0].config
    cells = {group[0].config.cell for group in first}
    initialisations = {group[0].config.initialisation for group in first}
    others = [
        group
        for (cell, encoding, initialisation, length), group in best.items()
        if encoding == config.encoding
        and initialisation in initialisations
        and length != config.length
        and (cell in cells or len(cells) == 1)
    ]
    others.sort(key=lambda group: abs(group[0].config.length - config.length))
    # The pair, its seeds, then every other length, the nearest first; its seeds last.
    records = [_median(group) for group in first]
    for groups in (first, others):
        records += [_median(group) for group in groups]
        records += [record for group in groups for record in group]
    saved = (study.saved_run(record) for record in _once(records))
    runs = _fitting(saved, len(first)) if for_page else tuple(saved)
    seeds = _seeds(study, runs[: len(first)], among=kept)
    curves = _curves(study, runs[0].config, None)
    return Chosen(runs, len(first), _about(first), curves, seeds, left_out)


def _of_spans(study: Study, for_page: bool, ask: Ask) -> Chosen:
    """The two cells of one width with the shortest and the longest digit span, or the one."""
    if not for_page:
        message = (
            f"--figures draws networks of palindromes, and {study.folder} measures digit spans; "
            f"`digitspan look` without --figures makes its page"
        )
        raise UsageError(message)
    by_width: dict[int, list[CellSpan]] = defaultdict(list)
    left_out: dict[str, None] = {}
    for cell in summarise_spans(study.config, study.rows).measured:
        for record in _shown_of(study, cell):
            if why_not := _why_not(study, record.config, for_page, ask):
                left_out[why_not] = None
            else:
                by_width[cell.hidden_size].append(cell)
    if not by_width:
        message = (
            f"{study.folder} has no finished network that can be looked into (of "
            f"{', '.join(known_cells())}, with its weights): {_why_none(study, left_out)}"
        )
        raise UsageError(message)
    width = max(by_width, key=lambda n: (min(len(by_width[n]), 2), n))
    cells = sorted(by_width[width], key=lambda cell: cell.mean_span.mean)
    cells = cells if len(cells) < 2 else [cells[0], cells[-1]]
    spans = " and ".join(
        f"{title(cell.condition.cell)} {cell.digit_span.mean:.1f}" for cell in cells
    )
    which = "the shortest and the longest" if len(cells) > 1 else "the cell's"
    about = (
        f"{which} digit span at n = {width}, {study.config.order}, in items: {spans}; shown is "
        f"the network in the middle of each cell's."
    )
    records = [_shown_of(study, cell)[0] for cell in cells]
    records += [r for cell in cells for r in cell.records if r.recalled and study.has_weights(r)]
    runs = _fitting((study.saved_run(record) for record in _once(records)), len(cells))
    return Chosen(runs, len(cells), about, None, left_out=tuple(left_out))


def _once(records: Iterable[RunRecord]) -> Iterable[RunRecord]:
    """Each run once, where it comes first."""
    return {record.config.key: record for record in records}.values()


def _fitting(runs: Iterable[SavedRun], show: int) -> tuple[SavedRun, ...]:
    """Those on show, and as many of the others, in order, as there is room for on a page."""
    fitting: list[SavedRun] = []
    room = MOST_BYTES
    for run in runs:
        room -= len(run.weights) + len(run.snapshots)
        if room < 0 and len(fitting) >= show:
            break
        fitting.append(run)
    return tuple(fitting)


def _why_none(study: Study, left_out: Iterable[str]) -> str:
    """Why no network of a study can be looked into, and what to do, as the end of a sentence."""
    for why in left_out:
        return why
    if summarise_any(study.config, study.rows).missing:
        return "`digitspan study` goes on with it"
    return (
        f"its runs are finished, and {study.folder / 'weights'} has none of their weights: put "
        f"them back there, or run the study again with another --out"
    )


def _shown_of(study: Study, cell: CellSpan) -> list[RunRecord]:
    """The network with the median mean span, where its weights are kept; else none."""
    kept = [
        record
        for record in cell.records
        if record.recalled is not None and study.has_weights(record)
    ]
    kept.sort(key=lambda record: (record.recalled and record.recalled.mean_span) or 0.0)
    return kept[(len(kept) - 1) // 2 :][:1]


def _can_show(study: Study, record: RunRecord) -> bool:
    """Whether a run of a study is one to show: everything trained, its weights kept."""
    return (
        record.config.task == "palindrome"
        and record.config.trained == "all"
        and record.accuracy is not None
        and weights_path(study.folder, record.config.key).is_file()
    )


Seeds = list[RunRecord]
"""Runs of one cell at one length and one learning rate, by seed."""

Setting = tuple[str, str, str, int]
"""Cell, encoding, initialisation and length."""


def _best(records: Sequence[RunRecord]) -> dict[Setting, Seeds]:
    """The runs of every condition at its best rate and optimiser: most solved, then accuracy.

    Where a study has several widths or budgets, those of the largest one.
    """
    sizes: dict[tuple[str, str], tuple[int, int]] = defaultdict(lambda: (0, 0))
    for c in (record.config for record in records):
        place = c.cell, c.encoding
        sizes[place] = max(sizes[place], (c.hidden_size, c.train_steps))
    tried: dict[Setting, dict[tuple[float, str], Seeds]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        c = record.config
        if (c.hidden_size, c.train_steps) != sizes[c.cell, c.encoding]:
            continue
        condition = (c.cell, c.encoding, c.initialisation, c.length)
        tried[condition][c.learning_rate, c.optimizer].append(record)
    best: dict[Setting, Seeds] = {}
    for condition, by_rate in tried.items():
        group: Seeds = max(by_rate.values(), key=_merit)
        best[condition] = sorted(group, key=lambda record: record.config.seed)
    return best


def _merit(group: Seeds) -> tuple[float, float]:
    """Solved share, then mean accuracy."""
    return _solved_share(group), sum(r.accuracy or 0 for r in group) / len(group)


def _solved_share(group: Seeds) -> float:
    return sum(record.solved for record in group) / len(group)


def _median(group: Seeds) -> RunRecord:
    """The run in the middle, from the one solved first to the least accurate.

    It is solved where at least half of the runs are: neither the luckiest nor the unluckiest
    network stands for its cell.
    """

    def rank(record: RunRecord) -> tuple[bool, float]:
        return not record.solved, record.steps if record.solved else -(record.accuracy or 0)

    return sorted(group, key=rank)[(len(group) - 1) // 2]


def _pairs(best: Mapping[Setting, Seeds]) -> Iterator[tuple[Seeds, Seeds]]:
    """Two cells under one encoding and initialisation at one length, in the registry's order.

    A cell of one's own, which has but its own initialisation, stands beside any.
    """
    order = [*CELLS, *sorted({condition[0] for condition in best} - set(CELLS))]
    conditions = sorted(best, key=lambda c: (order.index(c[0]), *c[1:]))
    for one, other in combinations(conditions, 2):
        same = one[1::2] == other[1::2]  # encoding and length
        if one[0] != other[0] and same and (one[2] == other[2] or "own" in (one[2], other[2])):
            yield best[one], best[other]


def _telling_pair(best: Mapping[Setting, Seeds]) -> tuple[Seeds, ...]:
    """Two cells at the longest length that one of them learned; one cell where there is only one.

    A cell has learned a length where at least half of its runs are solved. Where pairs tell as
    much, it is the one with a cell of one's own.
    """
    pairs = list(_pairs(best))
    if not pairs:
        return (max(best.values(), key=lambda g: (_median(g).solved, g[0].config.length)),)

    def telling(pair: tuple[Seeds, Seeds]) -> tuple[int, float, bool]:
        solved = [_median(group).solved for group in pair]
        length = pair[0][0].config.length
        own = any(group[0].config.cell not in CELLS for group in pair)
        # One of the two, at the longest length; else both, at the longest; else the shortest.
        if any(solved):
            return 2 if solved[0] != solved[1] else 1, length, own
        return 0, -length, own

    return max(pairs, key=telling)


_WHICH = "shown is the median run"
"""Which run of several seeds is on show: `_median`."""


def _about(groups: Sequence[Seeds]) -> str:
    """Why these networks are shown."""
    length = groups[0][0].config.length
    cells = [group[0].config.cell for group in groups]
    counts = ", ".join(
        f"{title(cell, cells)} in {sum(r.solved for r in group)} of {len(group)} runs"
        for cell, group in zip(cells, groups, strict=True)
    )
    rates = " and ".join(f"{group[0].config.learning_rate:g}" for group in groups)
    if len(groups) == 1:
        return f"T = {length}, solved by the {counts}, at learning rate {rates}; {_WHICH}."
    solved = [_median(group).solved for group in groups]
    if solved[0] != solved[1]:
        names = [title(cell, cells) for cell in cells]
        one, other = names if solved[0] else reversed(names)
        which = (
            f"T = {length} is the longest length with networks of both that the {one} learned "
            f"(half of its runs, or more, were solved) and the {other} did not"
        )
    elif all(solved):
        which = (
            f"T = {length} is the longest length with networks of both that both learned (half "
            f"of the runs, or more, were solved)"
        )
    else:
        which = (
            f"neither learned any length with networks of both (fewer than half of the runs were "
            f"solved); T = {length} is the shortest"
        )
    return (
        f"{which}. Solved: {counts}, each at its best learning rate ({rates}); {_WHICH} of each."
    )


def _seeds(
    study: Study, runs: Sequence[SavedRun], among: Sequence[RunRecord] | None = None
) -> tuple[SavedRun, ...]:
    """Further runs of a study that differ from some runs in nothing but the seed."""
    records = [row.record for row in study.rows.values()] if among is None else among
    alike = {dataclasses.replace(run.config, seed=0) for run in runs}
    shown = {run.config for run in runs}
    return tuple(
        study.saved_run(record)
        for record in records
        if record.config not in shown
        and dataclasses.replace(record.config, seed=0) in alike
        and _can_show(study, record)
    )


def _curves(study: Study, like: RunConfig, rate: float | None) -> StudyCurves:
    """Accuracy by length under a run's encoding and initialisation, cells of one's own beside.

    Args:
        study: the study.
        like: the run.
        rate: the learning rate; None takes the best one at each length.
    """
    initialisation = like.initialisation
    if initialisation == "own":
        there = {row.record.config.initialisation for row in study.rows.values()}
        # "own" is the last of them.
        initialisation = next(name for name in INITIALISATIONS if name in there)
    records = [
        row.record
        for row in study.rows.values()
        if row.record.accuracy is not None
        and row.record.config.trained == "all"
        and row.role in ("figure", "grid")
        and study.is_current(row.record.config)
        and row.record.config.encoding == like.encoding
        and row.record.config.initialisation in (initialisation, "own")
        and (rate is None or row.record.config.learning_rate == rate)
    ]
    by_cell: dict[str, list[RunRecord]] = defaultdict(list)
    for group in _best(records).values():
        by_cell[group[0].config.cell] += group
    order = [*CELLS, *sorted(set(by_cell) - set(CELLS))]
    curves = {cell: by_cell[cell] for cell in order if cell in by_cell}
    rule = "each length at its best learning rate" if rate is None else f"learning rate {rate:g}"
    caption = (
        f"Study {study.folder.name}: {like.encoding} digits, "
        f"{initialisation_title(initialisation)} initialisation, {rule}."
    )
    return StudyCurves(curves, caption)
