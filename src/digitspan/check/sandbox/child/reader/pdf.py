"""Reads a PDF: how much text and how many figures it has, and what stands on its first page."""

from __future__ import annotations

import io
import logging
import re
import signal
import unicodedata
import warnings
from typing import Any

__all__ = ["facts_of"]

MAX_PAGES = 300
MAX_CONTENT = 20_000_000
"""Bytes of drawing on all pages together: pages may share what takes long to read."""
MAX_SECONDS = 20.0
"""Of the processor, for one PDF."""


class _TooLong(BaseException):
    """Reading takes longer than it may; no parser catches this."""


def facts_of(data: bytes, numbers: list[str], sentences: list[str]) -> dict[str, Any]:
    """What a PDF has in it.

    Args:
        data: the file.
        numbers: the numbers of the questions.
        sentences: what is looked for, letters in lower case without anything between them.

    Returns:
        {"missing": pypdf is not installed} or {"damaged": why it cannot be read} or {"pages",
        "slow": reading took too long} or {"pages", "words", "captions", "figures", "absent": the
        numbers that do not occur, "said": the sentences that do, "first": the text of the first
        page}.
    """
    try:
        import pypdf
    except ImportError:
        return {"missing": True}
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)

    def late(number: int, frame: object) -> None:
        raise _TooLong

    signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, MAX_SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader = pypdf.PdfReader(io.BytesIO(data))
            count = len(reader.pages)
            drawn = 0
            for page in reader.pages if count <= MAX_PAGES else ():
                contents = page.get_contents()
                drawn += len(contents.get_data()) if contents is not None else 0
                if drawn > MAX_CONTENT:
                    break
            if count > MAX_PAGES or drawn > MAX_CONTENT:
                return {"pages": count, "slow": True}
            pages = [page.extract_text() or "" for page in reader.pages]
            figures = sum(_figures_on(page) for page in reader.pages)
    except _TooLong:
        return {"pages": 0, "slow": True}
    except Exception as error:  # whatever a damaged PDF makes of a parser
        return {"damaged": f"{type(error).__name__}: {str(error)[:100]}"}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    text = "\n".join(pages)
    letters = "".join(filter(str.isalpha, unicodedata.normalize("NFKC", text).lower()))
    return {
        "pages": count,
        "words": len(text.split()),
        "captions": len(set(re.findall(r"(?:Figure|Fig\.|Abbildung|Abb\.)\s*(\d+)", text))),
        "figures": figures,
        "absent": [n for n in numbers if not re.search(rf"(?<![\d.]){re.escape(n)}(?!\d)", text)],
        "said": [sentence for sentence in sentences if sentence in letters],
        "first": pages[0][:4000] if pages else "",
    }


def _figures_on(page: Any) -> int:
    """How many pictures or drawings a page has."""
    try:
        return len(page["/Resources"].get("/XObject", {}))
    except (KeyError, TypeError, AttributeError):
        return 0
