"""The ZIP: the report, its notebook, the sheet's code, and what they need to run."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Mapping
from typing import Any

from digitspan.handin.author import Author
from digitspan.handin.material import Material
from digitspan.handin.measurements import Measurements, as_npz
from digitspan.handin.wording import rule_title
from digitspan.runs.record import RunRecord
from digitspan.sheet.exercise import Sheet
from digitspan.sheet.questions import NETWORKS
from digitspan.study.tables import run_document

__all__ = ["as_zip", "files_of", "readme"]

_FIRST_DAY = (1980, 1, 1, 0, 0, 0)
"""The one date that all files carry: the same files give the same ZIP."""


def files_of(material: Material, measured: Measurements) -> dict[str, bytes]:
    """What the notebook needs beside the code: the rows and the traces."""
    return {"rows.csv": _rows(material).encode(), "traces.npz": as_npz(measured.arrays)}


def readme(author: Author, sheet: Sheet) -> bytes:
    """What is in the ZIP, and how to run it."""
    gated = NETWORKS[sheet.networks[1]]
    return _README.format(
        stem=author.stem,
        code=sheet.code,
        gated=gated.class_name,
        file=gated.file,
        **_OF_TASK[sheet.task],
    ).encode()


def as_zip(files: Mapping[str, bytes]) -> bytes:
    """Files by name as a ZIP: the same files give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _FIRST_DAY)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, wherever it is made
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name])
    return buffer.getvalue()


def _rows(material: Material) -> str:
    """The runs that the report shows, one line per run and purpose, as CSV."""
    summary = material.summary
    documents = []
    for duel in material.duels:
        for row in duel.sides:
            rule = rule_title(duel)
            by_length = [record for found in row.lengths for record in found.records]
            documents += [_row("by length", rule, record) for record in by_length]
            documents += [_row("span", rule, record) for record in row.records]
    documents += [
        _row("optimiser", f"rate {condition.rate}", record)
        for condition, found in summary.optimizers
        for record in found.records
    ]
    documents += [_row("continued", "best rates", record) for record in summary.continued]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(documents[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(documents)
    return text.getvalue()


def _row(purpose: str, rule: str, record: RunRecord) -> dict[str, Any]:
    """One run, and what it is shown as."""
    return {"shown_as": purpose, "rule": rule} | run_document(record)


_OF_TASK = {
    "palindrome": {
        "traces": "| traces.npz | weights and gradient norms of two networks, and loss curves |\n",
        "length": "--input_length 4",
        "told": "`--input_length 4` reads four digits: palindromes of length T = 5. The default "
        "is 10, so T = 11.",
    },
    "recall": {
        "traces": "",
        "length": "--num_items 3",
        "told": "`--num_items 3` trains lists of three digits, which is the default.",
    },
}
"""What README says by the task."""

_README = """\
# {stem}

| file | what it is |
|---|---|
| {stem}.pdf | the report: answers, code, figures |
| {stem}.ipynb | the notebook that the report was made from |
| {code}/ | the code: dataset.py, vanilla_rnn.py, {file}, train.py |
| rows.csv | every training run behind figures and spans, line by line |
{traces}
Python 3.8 or newer. The code needs torch and numpy, the notebook matplotlib and Jupyter besides:

    pip install torch numpy matplotlib notebook

To train a network, in this folder:

    python -m {code}.train --model_type RNN {length}
    python -m {code}.train --model_type {gated} {length}

{told}
`python -m {code}.train --help` lists all options.

To run the notebook again:

    jupyter notebook {stem}.ipynb
"""
