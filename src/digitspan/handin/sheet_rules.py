"""The sheet's rules for a hand-in, checked on what is about to be written."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence

from digitspan.handin.author import Author
from digitspan.handin.values import FIGURES
from digitspan.sheet.questions import POINTS

__all__ = ["broken_rules"]

PART1 = ("__init__.py", "dataset.py", "lstm.py", "train.py", "vanilla_rnn.py")

_ABSOLUTE = re.compile(
    r"(?<![\w.])(/(?:home|Users|tmp|work|root|var|mnt)/|[A-Za-z]:\\+Users\\)\w+"
)


def broken_rules(
    files: Mapping[str, bytes], pages: Sequence[str], author: Author
) -> Iterator[str]:
    """What the course would not accept in the files of a ZIP, in words.

    Args:
        files: of the ZIP, by name.
        pages: the texts of the PDF's pages.
        author: who hands in.
    """
    for name in (f"{author.stem}.pdf", f"{author.stem}.ipynb", *(f"part1/{n}" for n in PART1)):
        if name not in files:
            yield f"{name} is missing"
            return
    yield from _of_the_pdf(pages, author)
    yield from _of_the_notebook(files[f"{author.stem}.ipynb"])
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


def _of_the_pdf(pages: Sequence[str], author: Author) -> Iterator[str]:
    """The name and the number on the first page, and every question with its points."""
    texts = [re.sub(r"\s+", " ", page) for page in pages]
    for word in author:
        if word not in texts[0]:
            yield f"{word} does not stand on the PDF's first page"
    whole = " ".join(texts)
    for question, points in POINTS.items():
        if f"Question {question} ({points})" not in whole:
            yield f"the PDF does not answer Question {question}"
    for number in range(1, len(FIGURES) + 1):
        if f"Figure {number}." not in whole:
            yield f"Figure {number} is missing"


def _of_the_notebook(content: bytes) -> Iterator[str]:
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
    if drawn < len(FIGURES):
        yield f"{len(FIGURES) - drawn} figures are missing"
