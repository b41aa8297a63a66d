"""Numbers, lists and tables as a report writes them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from digitspan.study.ratio import Ratio
from digitspan.study.retention import Span
from digitspan.study.summary import LengthSummary

__all__ = [
    "digits_of",
    "joined",
    "percent",
    "power",
    "rate_words",
    "ratio_words",
    "solved_words",
    "span_words",
    "steps_words",
    "table",
]


def joined(words: Sequence[object], last: str = "and") -> str:
    """Words as an English list.

    >>> joined([5, 10, 20])
    '5, 10 and 20'
    """
    *before, end = map(str, words)
    return f"{', '.join(before)} {last} {end}" if before else end


def percent(share: float) -> str:
    """A share in percent, to a tenth."""
    return f"{100 * share:.1f} %"


def power(value: float) -> str:
    r"""A number of any size as a formula.

    >>> power(3.2e-7), power(0.25), power(0)
    ('$3.2 \\times 10^{-7}$', '0.25', '0')
    """
    if value == 0 or 0.01 <= abs(value) < 1000:
        return f"{value:.2g}"
    exponent = math.floor(math.log10(abs(value)))
    return rf"${value / 10**exponent:.1f} \times 10^{{{exponent}}}$"


def rate_words(rule: str) -> str:
    """A learning-rate rule in a sentence."""
    return "the tuned learning rates" if rule == "tuned" else f"the learning rate {rule}"


def solved_words(found: LengthSummary) -> str:
    """How many runs were solved: "2 of 3"."""
    return f"{found.solved} of {len(found.records)}"


def steps_words(found: LengthSummary) -> str:
    """Median training steps of the solved runs; a dash where there are none."""
    steps = [record.steps for record in found.records if record.solved]
    return f"{np.median(steps):,.0f}" if steps else "-"


def span_words(span: Span) -> str:
    """The retention span with its interval, in a sentence."""
    if span.bound == ">=":
        at_least = "" if span.low is None else f" (95 % interval from {span.low:.1f} on)"
        return f"lies at or beyond the longest length run, {span.s50:.0f}{at_least}"
    if span.bound == "<=":
        return f"lies at or below the shortest length run, {span.s50:.0f}"
    low = "below the shortest length run" if span.low is None else f"{span.low:.1f}"
    high = "beyond the longest length run" if span.high is None else f"{span.high:.1f}"
    marked = "; the surface does not describe the runs well" if span.marked else ""
    return f"is {span.s50:.1f} (95 % interval {low} to {high}{marked})"


def ratio_words(ratio: Ratio) -> str:
    """How many times as long a span is, as the rest of a sentence; nothing where unknown."""
    if ratio.bound == "?":
        return ""
    ends = ["open" if end is None else f"{end:.2f}" for end in (ratio.low, ratio.high)]
    bound = {">=": "at least ", "<=": "at most "}.get(ratio.bound, "")
    return f", {bound}{ratio.ratio:.2f} times as long (95 % interval {' to '.join(ends)})"


def digits_of(encoding: str) -> str:
    """How digits are fed in, in words."""
    return "digits as numbers, d = 1" if encoding == "scalar" else "one-hot digits, d = 10"


def table(caption: str, heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with a caption; all columns to the right but the first."""
    lines = [f"Table: {caption}", "", _line(heading)]
    lines.append(_line([":--"] + ["--:"] * (len(heading) - 1)))
    lines += [_line(row) for row in rows]
    return "\n".join(lines)


def _line(words: Sequence[str]) -> str:
    return f"| {' | '.join(words)} |"
