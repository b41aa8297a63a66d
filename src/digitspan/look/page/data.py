"""What the page is given: networks with their weights, palindromes to ask, the study's curves."""

from __future__ import annotations

import base64
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import safetensors.numpy

from digitspan.cells import title
from digitspan.errors import UsageError
from digitspan.look.page.choose import Chosen, StudyCurves
from digitspan.look.page.learning import learning
from digitspan.look.probe import trace
from digitspan.runs.config import RunConfig
from digitspan.runs.record import RunRecord
from digitspan.study.crew.apart import Ask, here
from digitspan.study.reading import SavedRun
from digitspan.tasks import CHANCE, LISTS_HELD_OUT_FROM, SILENT, TASKS
from digitspan.tasks.palindrome import HELD_OUT_FROM, held_out
from digitspan.tasks.recall import held_out_lists
from digitspan.training.engine import load_network, not_its_weights

__all__ = ["document"]

MOST_UNITS_ON_THE_WAY = 32
"""n of networks whose snapshots are on the page."""

NUM_EXAMPLES = 40
"""Held-out palindromes on the page for each length: the first, then one each "another"."""

NUM_LISTS = 12
"""Held-out lists on the page for each length that was asked."""

MOST_DIGITS = 200
"""The longest line that the page reads (palindrome.js says the same)."""

_FIRST_DIGITS = (6, 3, 8, 1, 9, 4, 7, 2, 5, 0)
"""The order in which first digits come up; the sheet's own palindrome begins with 6."""


def document(chosen: Chosen, why: Callable[[SavedRun], str], ask: Ask = here) -> dict[str, Any]:
    """Everything that the page shows, as plain values.

    Args:
        chosen: the runs.
        why: the sentence that says why a run was not solved; empty for one that was.
        ask: where networks of cells of one's own are asked.
    """
    runs = chosen.runs
    place = {run.config.key: index for index, run in enumerate(runs)}
    first, lists = runs[0].config, runs[0].config.items is not None
    examples = {str(t): _examples(t) for t in sorted({run.config.length for run in runs})}
    cells = {run.config.cell for run in runs} | set(chosen.study.curves if chosen.study else ())
    return {
        "networks": [_network(run, "" if lists else why(run), cells, ask) for run in runs],
        "show": list(range(chosen.show)),
        "about": chosen.about[:1].upper() + chosen.about[1:],
        "asks": {"silent": _is_silent(first), "order": first.order} if lists else None,
        "lead": _lead(first) if lists else "",
        "examples": _lists(runs) if lists else examples,
        "study": None if chosen.study is None else _study(chosen.study, place),
        "learn": learning(),
    }


def _network(run: SavedRun, why: str, cells: Collection[str], ask: Ask) -> dict[str, Any]:
    """One network with its weights, and where it stands among those of the page."""
    config = run.config
    return {
        "name": config.run_id,
        "title": title(config.cell, cells),
        "cell": config.cell,
        "inputSize": config.input_size,
        "hiddenSize": config.hidden_size,
        "length": config.length if config.items is None else _asked_first(run),
        "solved": run.record.solved,
        "steps": run.record.steps,
        "accuracy": run.record.accuracy or 0.0,
        "shares": _shares(run),
        "summary": _summary(run) if config.items is None else _summary_of_lists(run),
        "why": why,
        "asked": ask(config, _asked, config, run.weights) if ":" in config.cell else None,
        "label": _label(run),
        "weights": _encoded(_weights(run)),
        "snapshots": _snapshots(run),
    }


def _weights(run: SavedRun) -> dict[str, np.ndarray]:
    """The weights of a network, by name.

    Raises:
        UsageError: where they are not those of this network.
    """
    if not run.config.is_own:  # code of one's own runs elsewhere, and has read them there
        load_network(run.config, run.weights)
    try:
        return safetensors.numpy.load(run.weights)
    except Exception as error:  # the file may hold any bytes
        raise not_its_weights(run.config, error) from error


def _encoded(weights: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Weights as the page reads them: little-endian float32 in base64, with their shapes."""
    return {
        name: {
            "shape": list(values.shape),
            "data": base64.b64encode(values.astype("<f4").tobytes()).decode(),
        }
        for name, values in sorted(weights.items())
    }


def _snapshots(run: SavedRun) -> list[dict[str, Any]]:
    """A small network on its way through training, by step; empty where nothing was kept.

    Raises:
        UsageError: where these are not snapshots of this network.
    """
    if not run.snapshots or run.config.hidden_size > MOST_UNITS_ON_THE_WAY:
        return []
    by_step: dict[int, dict[str, np.ndarray]] = defaultdict(dict)
    try:
        snapshots = safetensors.numpy.load(run.snapshots)
    except Exception:  # the file may hold any bytes
        snapshots = {"": np.zeros(())}
    for tensor, values in snapshots.items():
        number, _, name = tensor.partition("/")
        by_step[int(number) if number.isdecimal() else -1][name] = values
    shapes = {n: w.shape for n, w in _weights(run).items()}
    for step, weights in by_step.items():
        if step < 0 or {name: values.shape for name, values in weights.items()} != shapes:
            message = (
                f"the snapshots of {run.config.run_id} are not those of its network: each must "
                f"have its tensors, named STEP/NAME; train it again with --snapshots --overwrite"
            )
            raise UsageError(message)
    return [{"step": step, "weights": _encoded(by_step[step])} for step in sorted(by_step)]


def _label(run: SavedRun) -> str:
    """A network among others of its cell, in a few words."""
    config, recalled = run.config, run.record.recalled
    if config.items is None:
        how = "solved" if run.record.solved else "not solved"
        return f"T = {config.length}, seed {config.seed}, {how}"
    if recalled is not None and recalled.digit_span is not None:
        return f"seed {config.seed}, mean span {recalled.mean_span:.1f} items"
    return f"L = {config.items}, seed {config.seed}"


def _asked(config: RunConfig, weights: bytes) -> dict[str, Any] | None:
    """What PyTorch answers to some digits, for the page to compare its own equations with."""
    network = load_network(config, weights)
    seen = trace(network, _FIRST_DIGITS, input_size=config.input_size)
    if not np.isfinite(seen.probabilities).all():
        return None
    return {"digits": list(_FIRST_DIGITS), "probabilities": seen.probabilities.tolist()}


def _summary(run: SavedRun) -> str:
    """How a run ended, in a line."""
    config, record = run.config, run.record
    what = f"Trained at T = {config.length}, {config.encoding} digits, {config.hidden_size} units"
    how = "solved" if record.solved else f"not solved ({record.end_state})"
    right = ""
    if record.accuracy is not None:
        which = "held-out palindromes" if record.held_out else "palindromes"
        right = f", {100 * record.accuracy:.1f} % of {record.tested:,} {which} right"
    return f"{what}: {how} after {record.steps:,} steps{right}."


def _examples(length: int) -> list[str]:
    """The first T - 1 digits of held-out palindromes, every first digit equally often."""
    if length < HELD_OUT_FROM or length - 1 > MOST_DIGITS:
        return []
    inputs = held_out(length, "test").questions.inputs.numpy()  # sorted by first digit
    stratum = len(inputs) // 10
    rows = [
        stratum * digit + turn
        for turn in range(min(stratum, NUM_EXAMPLES // 10))
        for digit in _FIRST_DIGITS
    ]
    return ["".join(map(str, inputs[row])) for row in rows]


def _is_silent(config: RunConfig) -> bool:
    """Whether a list is said in silent steps; else it is read backwards while it is said."""
    return TASKS[config.task].symbols > SILENT


def _lead(config: RunConfig) -> str:
    """What the networks are asked, for the head of the page."""
    if not _is_silent(config):
        return (
            "A palindrome is read to its end, and at every step of its second half the network is "
            "asked for the next digit: it must hold the whole first half."
        )
    how = "backwards, the last digit first" if config.order == "backward" else "in its order"
    return (
        f"A list of digits is read. Then come as many silent steps, in which the network says it "
        f"again {how}, one digit a step: it must hold the whole list."
    )


def _asked_first(run: SavedRun) -> int:
    """Items of the lists that the page begins with: its digit span, or what it was trained on."""
    recalled = run.record.recalled
    span = recalled.digit_span if recalled is not None else None
    return max(span, 1) if span is not None else run.config.length // 2


def _shares(run: SavedRun) -> list[float]:
    """P(L) for L = 1, 2, ... of lists; 0 where none were asked."""
    recalled = run.record.recalled
    if recalled is None:
        return []
    shares = {found.items: found.share for found in recalled.lists}
    return [shares.get(items, 0.0) for items in range(1, max(shares) + 1)]


def _summary_of_lists(run: SavedRun) -> str:
    """How a run on lists ended, in a line."""
    config, record, recalled = run.config, run.record, run.record.recalled
    what = f"{config.encoding} digits, {config.hidden_size} units, {record.steps:,} steps"
    if recalled is None:
        return f"Trained on lists, {what}."
    if recalled.digit_span is not None:
        return (
            f"Trained on growing lists, {what}: digit span {recalled.digit_span} items, mean span "
            f"{recalled.mean_span:.1f} items."
        )
    (lists,) = recalled.lists
    return (
        f"Trained on lists of L = {lists.items}, {what}: {100 * lists.share:.1f} % of "
        f"{lists.asked:,} lists come back whole."
    )


def _lists(runs: Sequence[SavedRun]) -> dict[str, list[str]]:
    """Held-out lists of every length that was asked, by L."""
    longest = max(max(len(_shares(run)), _asked_first(run)) for run in runs)
    lengths = range(LISTS_HELD_OUT_FROM, min(longest, MOST_DIGITS // 2) + 1)
    return {
        str(items): [
            "".join(map(str, digits))
            for digits in held_out_lists(items, "test")[0][:NUM_LISTS].tolist()
        ]
        for items in lengths
    }


def _study(study: StudyCurves, place: dict[str, int]) -> dict[str, Any]:
    """The study's curves; `place` says where a run of them stands on the page, by key."""
    return {
        "caption": study.caption,
        "chance": CHANCE,
        "series": [
            {"title": title(cell, study.curves)} | _series(runs, place)
            for cell, runs in study.curves.items()
        ],
    }


def _series(records: Sequence[RunRecord], place: dict[str, int]) -> dict[str, Any]:
    """One cell's medians and runs."""
    accuracies: dict[int, list[float | None]] = defaultdict(list)
    runs = []
    for record in sorted(records, key=lambda record: (record.config.length, record.config.seed)):
        length, network = record.config.length, place.get(record.config.key)
        accuracies[length].append(record.accuracy)
        named = {"seed": record.config.seed, "key": record.config.key}
        runs.append({"length": length, "accuracy": record.accuracy, "network": network} | named)
    medians = [
        {"length": length, "accuracy": float(np.median(some))}  # type: ignore[arg-type]
        for length, some in accuracies.items()
    ]
    return {"medians": medians, "runs": runs}
