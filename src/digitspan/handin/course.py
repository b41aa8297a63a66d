"""What a lecturer gets of a `sheet.toml`: the sheet as a PDF, the study, and what check asks."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import jupytext  # type: ignore[import-untyped]

from digitspan.check.course_rules import RULES
from digitspan.errors import DigitspanError
from digitspan.handin.answers import fill
from digitspan.handin.author import Author
from digitspan.handin.material import study_of_sheet
from digitspan.handin.notebook import as_text, asked_in_order, notebook_of, piece
from digitspan.handin.pdf import compile_pdf, to_typst
from digitspan.handin.proofread import missing_from_pdf, pages_of
from digitspan.handin.values import sheet_values
from digitspan.handin.wording import joined
from digitspan.sheet.exercise import Sheet
from digitspan.study.config import StudyConfig

__all__ = ["rules_of", "sheet_pdf", "study_text"]

_ENCODINGS = {
    "palindrome": {"scalar": "as a number ($d = 1$)", "one-hot": "one-hot ($d = 10$)"},
    "recall": {
        "scalar": "as a number ($d = 1$), silence as $-1$",
        "one-hot": "one-hot ($d = 11$), silence in the eleventh place",
    },
}
"""How a digit goes in, by the task."""
_CLASSES = {"rnn": ("VanillaRNN", "implementation"), "lstm": ("LSTM", "comparison")}
"""By network: the class that check judges, and the kind of question whose points it has."""


def sheet_pdf(sheet: Sheet) -> bytes:
    """The sheet as students get it: what to hand in, the task, equations, questions and points.

    Raises:
        UsageError: where a text of it cannot be set.
        DigitspanError: where something of it is not in the PDF.
    """
    author = Author(sheet.course, sheet.term, "sheet")
    notebook = _sheet_notebook(sheet, author)
    with tempfile.TemporaryDirectory(prefix="sheet-") as folder:
        pdf = compile_pdf(to_typst(as_text(notebook), Path(folder)), author, sheet.title)
    if missing := missing_from_pdf(notebook, pages_of(pdf), author, sheet.title):
        message = (
            f"the PDF of {sheet.source} lacks {len(missing)} things that the sheet says, the "
            f"first of them {missing[0][:80]!r}; nothing was written"
        )
        raise DigitspanError(message)
    return pdf


def _sheet_notebook(sheet: Sheet, author: Author) -> Any:
    """The sheet's texts, one cell each."""
    values = sheet_values(sheet, author) | {
        "points": f"{sheet.points:g}",
        "stem": sheet.names.stem("Surname", "MatriculationNumber"),
        "number_words": sheet.number_words,
        "sanity": str(sheet.lengths.sanity),
        "encodings": joined([_ENCODINGS[sheet.task][each] for each in sheet.encodings], "or"),
    }
    texts = [piece("sheet", sheet, "course"), piece("task", sheet, "course")]
    for network, _, part, heading in asked_in_order(sheet):
        if network:
            texts.append(piece(f"network-{network}", sheet))
        asked = "\n".join(f"# {line}".rstrip() for line in f"{heading}\n\n{part.text}".split("\n"))
        texts.append((sheet.source, f"# %% [markdown]\n{asked}\n"))
    cells = []
    for name, text in texts:
        for cell in jupytext.reads(text, fmt="py:percent").cells:
            cell.source = fill(cell.source, values, name)
            cells.append(cell)
    return notebook_of(cells)


def study_text(sheet: Sheet) -> str:
    """The study that answers a sheet, in TOML, for `digitspan study`.

    Raises:
        UsageError: where [study] of the sheet is no study.
    """
    config, plain = study_of_sheet(sheet), StudyConfig()
    lines = [f"# What answers {sheet.title}: `digitspan study study.toml` runs it."]
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        asked = field.name not in ("preset", "note", "sources", "sizes", "task_facts")
        if asked and value != getattr(plain, field.name):
            lines.append(f"{field.name} = {_toml(value)}")
    return "\n".join([*lines, ""])


def _toml(value: object) -> str:
    """A setting's value in TOML."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else repr(value)


def rules_of(sheet: Sheet) -> str:
    """What check asks of hand-ins, with its points, in TOML, for `digitspan check --rules`."""
    lines = [
        f"# What `digitspan check --sheet sheet.toml --rules rules.toml` asks of hand-ins to "
        f"{sheet.title}.",
        '# Beside "on" a rule can be "remark" or "off".',
        "",
        "[rules]",
        *(f'"{rule}" = "on"  # {asks}' for rule, asks in RULES.items()),
    ]
    points = []
    for network in sheet.networks:
        name, kind = _CLASSES.get(network, ("", ""))
        number = sheet.number_of(kind)
        if number:
            question = next(q for q in sheet.questions if q.number == number)
            points.append(f"{name} = {question.points:g}  # Question {number}")
    if points:
        lines += ["", "[points]  # a person gives those of the other questions", *points]
    return "\n".join([*lines, ""])
