"""One store out of several, each a shard of one study.

Shards are studies that differ at most in what they cover: cells, encodings, initialisations,
hidden sizes, and as far as their runs do not follow from each other, budgets, lengths, rates and
seeds. Together their runs are those of the study that covers all; what none of them has is missing
from it.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from digitspan.cells.own import is_own
from digitspan.errors import StoreError, UsageError
from digitspan.files import remove_unfinished, writable_folder, write_whole
from digitspan.study.config import StudyConfig
from digitspan.study.reading import Study, read_study
from digitspan.study.store import STORE_NAME, Row, Store, weights_path

__all__ = ["merge_stores"]

COVERED = {
    "joint": ("cells", "encoding", "initialisation", "hidden_size", "train_steps"),
    "grid": (
        "cells", "encoding", "initialisation", "hidden_size", "train_steps", "lengths",
        "learning_rates",
    ),
    "span": ("cells", "encoding", "initialisation", "hidden_size"),
}  # fmt: skip
"""By design, settings in which shards may differ: what one covers changes no run of another. Seeds
are beside them, those of a joint design excepted, whose rounds follow from each other."""

_OF_SEEDS = ("first_seed", "seeds")

_FOUND = ("sources", "sizes")
"""What studies find of each of their cells by themselves."""


def merge_stores(studies: Iterable[Path], folder: Path) -> int:
    """Keep the rows and weights of several stores in one; those it has already stay.

    Weights come first and all rows at once after them: killed on the way, it can be called again.

    Args:
        studies: their folders, or the stores themselves.
        folder: of the one; a store that is there takes part like the others. Its rows are counted.

    Raises:
        UsageError: where there is no store, or one is named twice.
        StoreError: where one is damaged, or they contradict each other.
    """
    shards = [read_study(study).require_undamaged() for study in studies]
    _require_different(shards, folder)
    _merged_config(shards)  # refused before anything is written
    _merged_rows(shards)
    with writable_folder(folder, "--out"), Store.create(folder) as store:
        if store.value("config") is not None:
            shards.insert(0, read_study(folder).require_undamaged())
        config, rows = _merged_config(shards), _merged_rows(shards)
        remove_unfinished(folder / "weights")
        for shard in shards:
            _copy_weights(shard, folder)
        store.replace_all(rows, config.canonical)
    return len(rows)


def _require_different(shards: list[Study], folder: Path) -> None:
    """Refuse a study that would be merged with itself.

    Raises:
        UsageError: with the one that is named twice.
    """
    seen: dict[Path, Path] = {}
    for shard in shards:
        if shard.path.resolve() in seen:
            message = (
                f"{seen[shard.path.resolve()]} is named twice, and a study merged with itself is "
                f"the same study; name each one once"
            )
            raise UsageError(message)
        seen[shard.path.resolve()] = shard.path
    if list(seen) == [(folder / STORE_NAME).resolve()]:
        message = f"{shards[0].path} is --out itself; name another study beside it"
        raise UsageError(message)


def _merged_config(shards: list[Study]) -> StudyConfig:
    """The study that covers what the shards cover."""
    first = shards[0]
    design = first.config.design or ""
    shares_seeds = design != "joint"
    may_differ = (*COVERED[design], *(_OF_SEEDS if shares_seeds else ()), *_FOUND)
    settings = [dataclasses.asdict(shard.config) for shard in shards]
    for shard, other in zip(shards, settings, strict=True):
        for name, value in settings[0].items():
            if name not in may_differ and other[name] != value:
                where, mine, its = _first_difference(name, value, other[name])
                listed = ", ".join((*COVERED[design], *(["seeds"] if shares_seeds else [])))
                message = (
                    f"{first.path} and {shard.path} are of different studies: {where} is "
                    f"{mine} in one and {its} in the other; shards may differ in {listed} alone"
                )
                raise StoreError(message)
    _require_one_source(shards)
    _require_one_size(shards)
    covered: dict[str, Any] = {
        name: _together(one[name] for one in settings) for name in (*COVERED[design], *_FOUND)
    }
    seeds = _seeds_together(shards) if shares_seeds else {}
    return StudyConfig.from_words(covered | seeds, first.config)


def _together(values: Iterable[Any]) -> tuple[Any, ...]:
    """What some settings cover, each of which is a value or several."""
    several = (value if isinstance(value, list | tuple) else (value,) for value in values)
    return tuple(dict.fromkeys(itertools.chain.from_iterable(several)))


def _seeds_together(shards: list[Study]) -> dict[str, int]:
    """The seeds that shards have together.

    Raises:
        StoreError: where some between them are missing.
    """
    ranges = sorted((shard.config.seed_range for shard in shards), key=lambda each: each.start)
    begin, end = ranges[0].start, ranges[0].stop
    for each in ranges:
        if each.start > end:
            message = (
                f"the shards leave out the seeds {end} to {each.start - 1}; expected seeds that "
                f"follow each other, as --first-seed {end} makes them"
            )
            raise StoreError(message)
        end = max(end, each.stop)
    return {"first_seed": begin, "seeds": end - begin}


def _require_one_source(shards: list[Study]) -> None:
    """Refuse shards in which a cell of one's own is not the same code."""
    seen: dict[str, tuple[str, Path]] = {}
    for shard in shards:
        for cell in filter(is_own, shard.config.cells):
            source, path = seen.setdefault(cell, (shard.config.source(cell), shard.path))
            if shard.config.source(cell) != source:
                message = (
                    f"{path} and {shard.path} have runs of {cell} that were made with different "
                    f"code; run one of them again with the other's, or leave it out"
                )
                raise StoreError(message)


def _require_one_size(shards: list[Study]) -> None:
    """Refuse shards in which a number of parameters has chosen two hidden sizes of a cell."""
    seen: dict[tuple[str, str], tuple[tuple[int, ...], Path]] = {}
    for shard in shards:
        for cell, encoding in itertools.product(shard.config.cells, shard.config.encoding):
            sizes = shard.config.sizes_of(cell, encoding)
            others, path = seen.setdefault((cell, encoding), (sizes, shard.path))
            if shard.config.parameters is not None and sizes != others:
                message = (
                    f"{path} and {shard.path} chose other hidden sizes for {cell} ({encoding}) by "
                    f"its number of parameters, {others[0]:,} and {sizes[0]:,}, as a cell that is "
                    f"built with T does at other lengths; run one with --hidden-size"
                )
                raise StoreError(message)


def _merged_rows(shards: list[Study]) -> dict[str, Row]:
    """The rows of all, by key; of a run that several have, the first outcome."""
    rows: dict[str, Row] = {}
    source: dict[str, Path] = {}
    for shard in shards:
        for key, row in shard.rows.items():
            if key not in rows or rows[key].record.end_state == "error":
                rows[key], source[key] = row, shard.path
            elif row.record.end_state == "error":
                continue  # no outcome, and so no contradiction
            elif row.record != rows[key].record:
                one, other = rows[key].record.to_json(), row.record.to_json()
                where, mine, its = _first_difference("", one, other)
                message = (
                    f"{source[key]} and {shard.path} contradict each other about run {key} "
                    f"({row.record.config.run_id}): {where} is {mine} in one and {its} in the "
                    f"other; leave one of them out"
                )
                raise StoreError(message)
    return rows


def _copy_weights(shard: Study, folder: Path) -> None:
    """Copy the weights of a shard's runs, as far as it has kept them."""
    if shard.folder == folder:
        return
    for key, row in shard.rows.items():
        weights = shard.weights(row.record)
        if weights is not None:
            write_whole(weights_path(folder, key), weights)


def _first_difference(name: str, one: Any, other: Any) -> tuple[str, str, str]:
    """Where two values first differ, and what stands there in each, short.

    >>> _first_difference("", {"a": 1, "b": [4, {"c": 2}]}, {"a": 1, "b": [4, {"c": 3}]})
    ('b[1].c', '2', '3')
    """
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        key = next(key for key in one if one[key] != other[key])
        return _first_difference(f"{name}.{key}".lstrip("."), one[key], other[key])
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        for place, (mine, its) in enumerate(zip(one, other, strict=False)):
            if mine != its:
                return _first_difference(f"{name}[{place}]", mine, its)
        return f"the length of {name}", str(len(one)), str(len(other))
    texts = str(one), str(other)
    pairs = enumerate(zip(*texts, strict=False))
    alike = next((place for place, (mine, its) in pairs if mine != its), min(map(len, texts)))
    start = max(alike - 20, 0) if max(map(len, texts)) > _SHORT else 0
    return name, _excerpt(texts[0], start), _excerpt(texts[1], start)


_SHORT = 60
"""Letters of a value in an error."""


def _excerpt(text: str, start: int) -> str:
    """A text from some letter on, short."""
    end = start + _SHORT
    return f"{'...' * (start > 0)}{text[start:end]}{'...' * (end < len(text))}"
