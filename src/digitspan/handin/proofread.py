"""Whether all that the notebook says stands in the PDF: headings, captions, numbers, words, code.

Some things vanish between Markdown and PDF without a word (HTML, for one). So the PDF's own text
is read and compared with the notebook's.
"""

from __future__ import annotations

import io
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pypdf

from digitspan.handin.author import Author

__all__ = ["missing_from_pdf", "pages_of"]

_CODE = re.compile(r"^```\w*\n(.*?)^```$", re.M | re.S)
_MATHS = re.compile(r"\$\$.+?\$\$|\\begin\{(\w+\*?)\}.+?\\end\{\1\}|\$[^$]+\$", re.S)
_HEADING = re.compile(r"^#{1,6} +(.+)$", re.M)
_CAPTION = re.compile(r'^#\| *fig-cap: *"(.*)" *$|^Table: (.*)$', re.M)
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_WORD = re.compile(r"[^\W\d_]{3,}")
_NO_TEXT = {ord(character): None for character in "\u00ad\u200b\ufeff"}


def pages_of(pdf: bytes) -> list[str]:
    """The text of each page of a PDF."""
    return [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages]


def missing_from_pdf(notebook: Any, pages: Sequence[str], author: Author, title: str) -> list[str]:
    """What the notebook says and the PDF does not; nothing where all is well.

    Args:
        notebook: after it was run.
        pages: the texts of the PDF's pages.
        author: whose name stands at the head of every page.
        title: the sheet's, which stands beside it.
    """
    text = _running_text(pages, author, title)
    missing = [piece for piece in _pieces(notebook) if _plain(piece) not in text]
    counted: Counter[str] = Counter()
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            counted.update(_numbers_and_words(cell.source))
    return missing + [word for word, count in counted.items() if text.count(_plain(word)) < count]


def _running_text(pages: Sequence[str], author: Author, title: str) -> str:
    """All pages without running heads and page numbers, as `_plain` leaves them."""
    head = _plain(f"{author.head} {title}")
    texts = [_plain(re.sub(r"^\s*\d+ / \d+\s*$", "", page, flags=re.M)) for page in pages]
    return "".join(text.replace(head, "", 1) for text in texts)


def _pieces(notebook: Any) -> Iterator[str]:
    """Headings, captions, and lines of code and output: what must be there as it stands."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            prose = _CODE.sub("", cell.source)
            for heading in _HEADING.findall(prose):
                yield from _between_maths(heading)
            for listing in _CODE.findall(cell.source):
                yield from listing.split("\n")
        else:
            lines = [line for line in cell.source.split("\n") if not line.startswith("#|")]
            yield from lines
            for output in cell.outputs:
                yield from output.get("text", "").split("\n")
        for in_code, in_words in _CAPTION.findall(cell.source):
            yield from _between_maths(in_code or in_words)


def _between_maths(line: str) -> Iterator[str]:
    """The pieces of a line of Markdown between its formulas, without its marks."""
    for piece in re.split(r"\$[^$]+\$", line):
        yield re.sub(r"[*`\\]", "", piece)


def _numbers_and_words(source: str) -> Iterator[str]:
    """The numbers and the words of Markdown outside formulas and listings."""
    prose = _MATHS.sub(" ", _CODE.sub("", source))
    prose = re.sub(r"\]\([^)]*\)", "]", prose)
    yield from _NUMBER.findall(prose)
    yield from _WORD.findall(re.sub(r"^Table:", "", prose, flags=re.M))


def _plain(text: str) -> str:
    """Text without what setting it may change: spaces, hyphens, ligatures, kinds of quotes."""
    text = unicodedata.normalize("NFKC", text).translate(_NO_TEXT)
    text = re.sub("[\u2018\u2019]", "'", re.sub("[\u201c\u201d]", '"', text))
    return re.sub(r"[\s\-\u2010-\u2014\u2212]+", "", text)
