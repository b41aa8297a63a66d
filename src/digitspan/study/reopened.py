"""Goes on with the study that a folder has, where a call does not say which one it is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from digitspan.cells import check_cell
from digitspan.cells.own import is_own, with_length
from digitspan.errors import UsageError
from digitspan.study.config import StudyConfig
from digitspan.study.reading import read_study
from digitspan.study.store import STORE_NAME
from digitspan.tasks import is_own_task

__all__ = ["reopened"]


def reopened(folder: Path, settings: Mapping[str, Any], *, trust: bool) -> StudyConfig | None:
    """The study whose runs a folder has, and what a call asks for besides; None where it has none.

    Without settings, one that was begun there will do.

    Args:
        folder: the study's.
        settings: what the call asks for, as `StudyConfig.from_words` takes it.
        trust: whether code that only the folder's study names may be run, if it is unchanged.

    Raises:
        UsageError: where its code may not be run, or a setting cannot be another.
    """
    if not os.path.isfile(folder / STORE_NAME):  # unlike Path.is_file, takes a long name
        return None
    study = read_study(folder)
    if settings and not study.rows:
        return None
    kept = study.config
    _require_named(kept, settings, folder, trust=trust)
    return kept.widened_by(StudyConfig.from_words(settings, kept))


def _require_named(
    kept: StudyConfig, settings: Mapping[str, Any], folder: Path, *, trust: bool
) -> None:
    """Refuse to run code that only a study's folder names: whoever made it may be somebody else.

    Raises:
        UsageError: with the cells.
    """
    is_now = kept.with_sources()
    changed = (is_now.sources, is_now.task_facts) != (kept.sources, kept.task_facts)
    named = {with_length(check_cell(cell)) for cell in settings.get("cells", ())}
    unnamed = [
        ("cell", cell, "--cells")
        for cell in kept.cells
        if is_own(cell) and with_length(cell) not in named
    ]
    if is_own_task(kept.task) and "task" not in settings:
        unnamed.append(("task", kept.task, "--task"))
    if unnamed and (changed or not trust):
        kind, name, option = unnamed[0]
        tied = "its source is not the one that its runs were made with, and " if changed else ""
        message = (
            f"the study in {folder} has the {kind} {name}, which is not digitspan's: "
            f"{tied}its code is run only where the call names it; name it with {option} and the "
            f"study's other options" + ("" if changed else ", or allow it with --trust")
        )
        raise UsageError(message)
