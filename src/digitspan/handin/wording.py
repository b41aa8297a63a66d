"""Numbers, lists and tables as a report writes them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from digitspan.handin.material import Duel
from digitspan.study.ratio import Ratio
from digitspan.study.retention import Span
from digitspan.study.summary import LengthSummary

__all__ = [
    "among",
    "digits_of",
    "joined",
    "panel_title",
    "percent",
    "power",
    "rate_words",
    "ratio_words",
    "rule_title",
    "solved_words",
    "span_of",
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


def span_of(values: Sequence[float], *, percent: bool = False) -> str:
    """The smallest and the largest of some values.

    >>> span_of([0.3, 0.1]), span_of([0.5, 0.91], percent=True), span_of([1.0, 1.0], percent=True)
    ('0.10 to 0.30', '50 to 91 %', '100 %')
    """
    low, high = (
        f"{100 * end:.0f}" if percent else f"{end:.2f}" for end in (min(values), max(values))
    )
    return (low if low == high else f"{low} to {high}") + " %" * percent


def among(numbers: Sequence[int]) -> str:
    """Median and range of some numbers of things.

    >>> among([3, 9, 5]), among([4])
    ('5 in the median, 3 to 9', '4')
    """
    if len(numbers) == 1:
        return str(numbers[0])
    return f"{np.median(numbers):.0f} in the median, {min(numbers)} to {max(numbers)}"


def power(value: float) -> str:
    r"""A number of any size as a formula.

    >>> power(3.2e-7), power(0.25), power(0)
    ('$3.2 \\times 10^{-7}$', '0.25', '0')
    """
    if value == 0 or 0.01 <= abs(value) < 1000:
        return f"{value:.2g}"
    digits, exponent = f"{value:.1e}".split("e")
    return rf"${digits} \times 10^{{{int(exponent)}}}$"


def rate_words(duel: Duel) -> str:
    """A learning-rate rule in a sentence."""
    return "the best learning rates" if duel.is_tuned else f"the learning rate {duel.rule}"


def rule_title(duel: Duel) -> str:
    """A learning-rate rule as the name of a panel or of rows."""
    return "best rates" if duel.is_tuned else f"rate {duel.rule}"


def panel_title(duel: Duel, duels: Sequence[Duel]) -> str:
    """The rule; encoding and initialisation too where there are several."""
    several = len({other.setting for other in duels}) > 1
    return ", ".join([*(duel.setting if several else ()), rule_title(duel)])


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
        known = span.high is not None and span.high > span.s50
        at_most = f" (95 % interval up to {span.high:.1f})" if known else ""
        return f"lies at or below the shortest length run, {span.s50:.0f}{at_most}"
    low = "below the shortest length run" if span.low is None else f"{span.low:.1f}"
    high = "beyond the longest length run" if span.high is None else f"{span.high:.1f}"
    marked = "; the surface does not describe the runs well" if span.marked else ""
    return f"is {span.s50:.1f} (95 % interval {low} to {high}{marked})"


def ratio_words(ratio: Ratio, pairs: int) -> str:
    """How many times as long a span is, as the rest of a sentence; nothing where unknown.

    Args:
        ratio: one of several.
        pairs: so many were compared together.
    """
    if ratio.bound == "?":
        return ""
    low = "open" if ratio.low is None else f"{ratio.low:.2f}"
    high = "open" if ratio.high is None else f"{ratio.high:.2f}"
    bound = {">=": "at least ", "<=": "at most "}.get(ratio.bound, "")
    p = "p < 0.001" if ratio.adjusted_p < 0.001 else f"p = {ratio.adjusted_p:.3f}"
    after = f", after Holm for {pairs} comparisons" if pairs > 1 else ""
    marked = "; the surface does not describe all of these runs well" if ratio.marked else ""
    return (
        f"{bound}{ratio.ratio:.2f} times as long ({100 * ratio.level:.4g} % interval {low} to "
        f"{high}; {p}{after}{marked})"
    )


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
