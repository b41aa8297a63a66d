"""The model's words on what a sheet asks, and the sentences by which they are known again."""

from __future__ import annotations

import importlib.resources
import re
import tomllib
import unicodedata
from importlib.resources.abc import Traversable

from digitspan.sheet.exercise import Part, Question, Sheet

__all__ = ["FRAME", "frame", "letters", "model_words", "shipped", "told_sentences"]

LEAST_LETTERS = 40
"""A stretch of words with fewer letters may stand in anybody's answer."""

FRAME = "yourownwordsgohereagoodanswertouches"
"""A stretch of the frame's words, as `letters` leaves them."""

_MADE = {
    "memory": (
        "from a curve through the solved shares",
        "each at the lengths and rates where the runs before it leave the outcome least certain",
        "no other run is stopped before its budget is spent",
        "the sheet expects a vanilla rnn to be difficult to train over more than about",
        "solved networks were asked again with the first digit replaced",
    ),
    "comparison": (
        "a part of the state is replaced by that of a palindrome with another first digit",
        "where the answer becomes that other digit, this part has carried it",
        "even where all of them are solved, the 95 % interval of the solved share begins at",
    ),
}
"""By kind: of the words that the program makes of the rows, some that are always the same."""

_FORMULA = re.compile(r"\$\$.+?\$\$|\$[^$]+\$|\\begin\{(\w+\*?)\}.+?\\end\{\1\}", re.S)
_LISTING = re.compile(r"^```.*?^```", re.M | re.S)


def shipped(folder: Traversable, name: str, sheet: Sheet, ending: str) -> str:
    """A text that comes with the program, in the most special form that there is.

    The text NAME of a sheet on recall with a GRU is looked for as NAME-recall-gru, NAME-recall,
    NAME-gru and NAME; empty where there is none of these.

    Args:
        folder: of the text.
        name: of the text.
        sheet: what it is for.
        ending: of its file.
    """
    gated = sheet.networks[1]
    for more in (f"-{sheet.task}-{gated}", f"-{sheet.task}", f"-{gated}", ""):
        file = folder / f"{name}{more}{ending}"
        if file.is_file():
            return file.read_text(encoding="utf-8")
    return ""


def model_words(sheet: Sheet) -> dict[str, str]:
    """The model's answers in Markdown, with `<<name>>` for a value, by the part's name."""
    folder = importlib.resources.files("digitspan.sheet") / "answers"
    pieces = tomllib.loads((folder / f"{sheet.task}.toml").read_text(encoding="utf-8"))

    def whole(text: str) -> str:
        found = re.sub(r"<<(\w+)>>", lambda m: str(pieces.get(m[1], m[0])), text)
        return re.sub(r"\n{3,}", "\n\n", found)

    pieces["design"] = whole(shipped(folder, "design", sheet, ".md").strip())
    return {
        name: whole(shipped(folder, part.asks, sheet, ".md")) for name, part in sheet.parts.items()
    }


def frame(question: Question, part: Part) -> str:
    """What stands in the place of an answer that is not written yet, as a quotation."""
    title = f" {part.title}." if part.title else ""
    name = question.name_of(part)
    points = f"{question.points:g} {'point' if question.points == 1 else 'points'}"
    shared = f", with its other parts: {points}" if part.title else f": {points}"
    lines = [
        f"**Your answer to Question {name}{shared}.**{title} {part.text}",
        "",
        "Your own words go here. A good answer touches",
        "",
        *(f"* {touch}" for touch in part.touches),
    ]
    return "\n".join(f"> {line}".rstrip() for line in lines)


def letters(text: str) -> str:
    """A text's letters alone, in lower case: what setting and reading a PDF leave as it was."""
    return "".join(c for c in unicodedata.normalize("NFKC", text).lower() if c.isalpha())


def told_sentences(sheet: Sheet) -> dict[str, list[str]]:
    """Stretches of the model's words, by the part's name, as `letters` leaves them.

    They lie between formulas, code, values and ends of sentences, and are long enough not to be
    anybody's.
    """
    found = {}
    words = model_words(sheet)
    for name, part in sheet.parts.items():
        text = _FORMULA.sub("\n\n", _LISTING.sub("\n\n", words[name]))
        pieces = re.split(r"<<.*?>>|(?<=[.:;!?])\s+|\n\s*\n|^\s*[*>#]+ ", text, flags=re.M)
        long = (letters(piece) for piece in [*pieces, *_MADE.get(part.asks, ())])
        found[name] = list(dict.fromkeys(piece for piece in long if len(piece) >= LEAST_LETTERS))
    return found
