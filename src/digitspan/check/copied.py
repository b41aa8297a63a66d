"""Whether a report's words are those of the model solution, or of the frames for answers."""

from __future__ import annotations

from digitspan.check.findings import Findings
from digitspan.check.reading.hand_ins import HandIn
from digitspan.sheet.words import FRAME, told_sentences

__all__ = ["check_words"]

_LEAST = 2
"""One stretch of the model's words may be anybody's."""

_SHARE = 0.5


def check_words(hand_in: HandIn, findings: Findings) -> None:
    """Tell which answers are the model's: half of its stretches of words or more, two at least.

    Args:
        hand_in: whose report was read.
        findings: what was found is added there.
    """
    facts, name = hand_in.facts.pdf, hand_in.facts.report
    said = facts.get("said")
    told = {one for one in said if isinstance(one, str)} if isinstance(said, list) else set()
    copied = []
    for part, sentences in told_sentences(hand_in.asked).items():
        found = len(told.intersection(sentences))
        if found >= max(_LEAST, _SHARE * len(sentences)):
            copied.append(f"{part} ({found} of {len(sentences)})")
    if copied:
        findings.add("model-words", name, answers=", ".join(copied))
    if FRAME in told:
        findings.add("answer-not-written", name)
