"""The sheet's rules for a hand-in, checked on what is about to be written."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence

from digitspan.handin.author import Author
from digitspan.sheet.exercise import Sheet
from digitspan.sheet.questions import NETWORKS

__all__ = ["broken_rules"]

_ABSOLUTE = re.compile(
    r"(?<![\w.])(/(?:home|Users|tmp|work|root|var|mnt)/|[A-Za-z]:\\+Users\\)\w+"
)


def broken_rules(
    files: Mapping[str, bytes], pages: Sequence[str], author: Author, sheet: Sheet
) -> Iterator[str]:
    """What the course would not accept in the files of a ZIP, in words.

    Args:
        files: of the ZIP, by name.
        pages: the texts of the PDF's pages.
        author: who hands in.
        sheet: what is asked.
    """
    code = ("__init__.py", "dataset.py", "train.py", *(NETWORKS[n].file for n in sheet.networks))
    for name in (
        f"{author.stem}.pdf",
        f"{author.stem}.ipynb",
        *(f"{sheet.code}/{n}" for n in code),
    ):
        if name not in files:
            yield f"{name} is missing"
            return
    yield from _of_the_pdf(pages, author, sheet)
    yield from _of_the_notebook(files[f"{author.stem}.ipynb"], len(sheet.figures))
    for name, content in files.items():
        if name.endswith((".py", ".ipynb", ".md", ".csv")):
            found = _ABSOLUTE.search(content.decode())
            if found:
                yield f"{name} has the absolute path {found.group()} in it"
        if name.endswith(".py"):
            try:
                ast.parse(content, feature_version=(3, 8))
            except SyntaxError as error:
                yield f"{name}, line {error.lineno} is not Python 3.8"


def _of_the_pdf(pages: Sequence[str], author: Author, sheet: Sheet) -> Iterator[str]:
    """Name and number on every page, the sheet's title, and every question with its points."""
    texts = [re.sub(r"\s+", " ", page) for page in pages]
    for word in author.words:
        for number, text in enumerate(texts, start=1):
            if " ".join(word.split()) not in text:
                yield f"{word} does not stand on page {number} of the PDF"
                break
    if sheet.title not in texts[0]:
        yield "the sheet's title does not stand on the PDF's first page"
    whole = " ".join(texts)
    for question in sheet.questions:
        if question.heading not in whole:
            yield f"the PDF does not answer Question {question.number}"
    for number in range(1, len(sheet.figures) + 1):
        if f"Figure {number}." not in whole:
            yield f"Figure {number} is missing"


def _of_the_notebook(content: bytes, figures: int) -> Iterator[str]:
    """All figures drawn, each with a caption, labels on its axes and a legend or a scale."""
    drawn = 0
    for cell in json.loads(content)["cells"]:
        pictures = [o for o in cell.get("outputs", ()) if "image/svg+xml" in o.get("data", {})]
        source = "".join(cell["source"])
        if "#| fig-cap:" in source and not pictures:
            yield f"the figure {source.split(chr(34))[1][:60]!r} was not drawn"
        if pictures and "#| fig-cap:" not in source:
            yield "a figure has no caption"
        drawn += len(pictures)
    if drawn < figures:
        yield f"{figures - drawn} figures are missing"
