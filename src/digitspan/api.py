"""Studies in Python: run or open one, its rows and spans as plain values, its figures.

```python
import digitspan

study = digitspan.study(cells=[MyCell, "lstm"], lengths=[5, 10, 20], train_steps=1_000)
rows = study.rows()  # what pandas.DataFrame and polars.DataFrame take as it is
```
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from digitspan.cells.names import own_name
from digitspan.cells.notebook import cell as name_of
from digitspan.cells.own import is_own
from digitspan.errors import UsageError, one_of
from digitspan.study import reading
from digitspan.study.comparison import comparison_document, conditions_of
from digitspan.study.config import PRESETS, StudyConfig
from digitspan.study.crew.pool import usable_cores
from digitspan.study.crew.trial import sized_apart, try_apart
from digitspan.study.digit_spans import Mean, SpanSummary, summarise_any
from digitspan.study.reading import read_study
from digitspan.study.reopened import reopened
from digitspan.study.retention import Span
from digitspan.study.runner import StudyObserver, check_study, run_study
from digitspan.study.span_comparison import cells_of, differences_document
from digitspan.study.span_tables import cell_document
from digitspan.study.summary import Summary
from digitspan.study.tables import run_table, span_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Comparison", "Study", "compare", "study"]


def study(
    preset: str | None = None,
    *,
    cells: Iterable[str | Callable[..., Any]] | None = None,
    out: str | Path | None = None,
    workers: int | None = None,
    device: str = "cpu",
    widen: bool = False,
    trust: bool = False,
    progress: StudyObserver | None = None,
    **settings: Any,
) -> Study:
    """Run what is missing of a study, and give it; call again to go on with it.

    Args:
        preset: one of `PRESETS`, whose values hold where none is given.
        cells: names, or classes that are cells, those of a notebook too.
        out: the study's folder; by default results/PRESET, as the command has it.
        workers: runs at a time, one thread each; by default one a core.
        device: "cpu", "cuda", "mps" or "auto".
        widen: whether it asks for more of the study that the folder has: for that, and this.
        trust: whether cells of one's own may be run that only the folder's study names.
        progress: is told how it gets on.
        settings: the options of `digitspan study`, with `_` for `-`.

    Raises:
        UsageError: where a setting, the folder or a cell cannot be used.
        DigitspanError: where it was interrupted, or the disk is full.
    """
    if preset is not None and preset not in PRESETS:
        message = f"preset {one_of(preset, PRESETS)}"
        raise UsageError(message)
    base = PRESETS[preset]() if preset else StudyConfig()
    if cells is not None:
        given = [cells] if isinstance(cells, str) or callable(cells) else cells
        if not isinstance(given, Iterable):
            message = f"cells must be names or classes; got {given!r:.80}"
            raise UsageError(message)
        settings["cells"] = _names(given)
    config = None
    if preset is None and out is not None and (widen or not settings):
        config = reopened(Path(out), settings, trust=trust)
    if config is None:
        if settings and base.note:
            settings.setdefault("note", "")  # what it says of the preset need not hold any more
        config = StudyConfig.from_words(settings, base)
    config = sized_apart(config.with_sources())
    folder = Path("results") / (preset or "own") if out is None else Path(out)
    try_apart([run for run in check_study(config) if run.is_own], device)
    run_study(
        config,
        folder,
        workers=usable_cores() if workers is None else workers,
        device=device,
        widen=widen,
        progress=StudyObserver() if progress is None else progress,
    )
    return Study.load(folder)


def _names(cells: Iterable[str | Callable[..., Any]]) -> list[str]:
    """The names of cells, each of which is a name or a class.

    Raises:
        UsageError: where two classes have one name.
    """
    made: dict[str, Callable[..., Any]] = {}
    names = []
    for one in cells:
        name = one if isinstance(one, str) else name_of(one)
        if not isinstance(one, str) and made.setdefault(name, one) is not one:
            message = f"two cells are called {name}; give one of the two classes another name"
            raise UsageError(message)
        names.append(name)
    return names


def compare(*studies: Study | str | Path, budget: int | None = None) -> Comparison:
    """All pairs of conditions of one or several studies, as `digitspan compare` prints them.

    Args:
        studies: studies, or their folders.
        budget: the training steps within which runs must be solved; by default the smallest.

    Raises:
        UsageError: where there is no study, or no two conditions to compare.
    """
    read = [one if isinstance(one, Study) else Study.load(one) for one in studies]
    if not read:
        message = "nothing to compare: expected a study or several"
        raise UsageError(message)
    kept = [one.kept for one in read]
    if any(one.config.design == "span" for one in kept):
        if budget is not None:
            message = "budget must be left out of digit spans: their networks use up their budgets"
            raise UsageError(message)
        document = differences_document(cells_of(kept))
    else:
        document = comparison_document(*conditions_of(kept, budget))
    return Comparison(document)


@dataclasses.dataclass(frozen=True, repr=False)
class Study:
    """A study as its folder has it: data alone, no code of its cells is run."""

    kept: reading.Study
    """What the folder held when it was read."""

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """The study in a folder.

        Raises:
            UsageError: where there is none.
        """
        return cls(read_study(Path(folder)))

    def __repr__(self) -> str:
        conditions = len(self.spans())
        return f"<Study {str(self.folder)!r}: {conditions} conditions, {len(self.kept.rows)} runs>"

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self.kept.folder

    @property
    def config(self) -> StudyConfig:
        """What it asks for."""
        return self.kept.config

    @functools.cached_property
    def summary(self) -> Summary | SpanSummary:
        """What it found, as tables and figures show it."""
        return summarise_any(self.config, self.kept.rows)

    def rows(self) -> list[dict[str, Any]]:
        """Every run as a dictionary of plain values, one type a column.

        `counted` says whether the study's tables use it: beside these runs the store may have some
        at a rate that is not the best any more, of a cell before it was edited, or of an error.
        Missing numbers are nan and missing texts empty, and a column that may miss numbers has
        floats alone: `pandas.DataFrame(rows)` and `polars.DataFrame(rows)` read it as it is.
        """
        return run_table(self.kept.rows.values(), self.kept.counted)

    def spans(self) -> list[dict[str, Any]]:
        """The table of spans: a dictionary of plain values for every condition."""
        if isinstance(self.summary, SpanSummary):
            return [cell_document(found) for found in self.summary.measured]
        return span_rows(self.summary)

    def span(self, cell: str | Callable[..., Any] | None = None, **condition: Any) -> Span | Mean:
        """The span of one condition: S50 with its interval, or the mean digit span with its own.

        Args:
            cell: its name or class; may be left out where there is one alone.
            condition: what else tells it from others: `encoding`, `initialisation`, `rate`,
                `optimizer`, `hidden_size`, `train_steps`.

        Raises:
            UsageError: where none or several are meant, with those there are.
        """
        if cell is not None:
            named = cell if isinstance(cell, str) else name_of(cell)
            plain = {_without_length(row.condition.cell): row.condition.cell
                     for row in self._conditions()}  # fmt: skip
            condition["cell"] = plain.get(_without_length(named), named)
        found = [
            row
            for row in self._conditions()
            if all(getattr(row.condition, k, None) == v for k, v in condition.items())
        ]
        if len(found) != 1:
            there = "; ".join(
                ", ".join(map(str, row.condition[:-1])) for row in self._conditions()
            )
            message = f"{len(found)} conditions are meant, expected one of: {there or 'none'}"
            raise UsageError(message)
        span: Span | Mean = getattr(found[0], "digit_span", None) or found[0].span
        return span

    def _conditions(self) -> Sequence[Any]:
        found = self.summary
        return found.measured if isinstance(found, SpanSummary) else found.spans

    def draw(self, figure: str, axes: Axes | Iterable[Axes] = ()) -> Figure:
        """Draw one of its figures, into one's own axes where they are given.

        Args:
            figure: "accuracy-by-length", "bits-by-length", "steps-to-solve", "span-by-budget" or
                "map"; of digit spans "recall-by-items" or "span-by-steps".
            axes: one for each panel; none makes a figure of its own, with its caption.

        Raises:
            UsageError: for another name, or another number of axes.
        """
        from digitspan.figures.own_axes import draw_into

        some = list(axes) if isinstance(axes, Iterable) else [axes]
        return draw_into(self.summary, figure, some)


def _without_length(cell: str) -> str:
    """A cell's name as the caller has it, who need not say that it is given T."""
    return str(own_name(cell)._replace(knows_length=False)) if is_own(cell) else cell


@dataclasses.dataclass(frozen=True, repr=False)
class Comparison:
    """Conditions side by side, and all pairs of them."""

    document: dict[str, Any]
    """Everything, as `digitspan compare --json` prints it."""

    def __repr__(self) -> str:
        return f"<Comparison of {len(self.rows())} pairs>"

    def rows(self) -> list[dict[str, Any]]:
        """Every pair as a dictionary of plain values; missing numbers are nan."""
        return [
            {name: math.nan if value is None else value for name, value in pair.items()}
            for pair in self.document["pairs"]
        ]
