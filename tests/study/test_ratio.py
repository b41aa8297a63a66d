"""Two spans side by side, and all pairs of several."""

import numpy as np
import pytest
from real_runs import real_runs

from digitspan.study.ratio import compare_all, compare_spans, holm
from digitspan.study.retention import Span, measure_span
from digitspan.study.surface import Run


def span_of(values: np.ndarray, shortest: int = 5, longest: int = 160) -> Span:
    """A span whose posterior is given."""
    atoms = np.sort(values)
    atoms = np.where(atoms < np.log(shortest), -np.inf, atoms)
    atoms = np.where(atoms > np.log(longest), np.inf, atoms)
    middle = atoms[len(atoms) // 2]
    return Span(
        100, float(np.exp(np.clip(middle, np.log(shortest), np.log(longest)))), None, None,
        ">=" if middle == np.inf else "<=" if middle == -np.inf else "",
        1e-3, 1e-3, 1e-3, 0.0, 0.2, 0.5, None, 10, 5, shortest, longest, atoms,
    )  # fmt: skip


def normal(mean: float, deviation: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, deviation, 1_000)


def test_ratio_of_two_normal_posteriors_is_normal():
    found = compare_spans(span_of(normal(3.5, 0.2)), span_of(normal(3.0, 0.15, 1)))
    half = 1.96 * 0.25
    assert np.log(found.ratio) == pytest.approx(0.5, abs=0.03)
    assert np.log(found.low) == pytest.approx(0.5 - half, abs=0.05)
    assert np.log(found.high) == pytest.approx(0.5 + half, abs=0.05)
    assert found.p == pytest.approx(2 * 0.0228, abs=0.02)  # two deviations from 0
    assert found.bound == ""


def test_a_span_compared_with_itself_does_not_differ():
    span = measure_span(real_runs("rnn"), 2_000)
    found = compare_spans(span, span)
    assert found.ratio == 1
    assert found.low < 1 < found.high
    assert found.p > 0.9
    assert not found.differs


def test_exchanging_the_two_turns_the_ratio_round():
    one, other = (measure_span(real_runs(cell), 2_000) for cell in ("lstm", "rnn"))
    there, back = compare_spans(one, other), compare_spans(other, one)
    assert there.low == pytest.approx(1 / back.high)
    assert there.p == back.p
    assert there.differs
    assert back.differs


def test_open_ends_stay_open():
    open_above, closed = span_of(normal(5.0, 0.3)), span_of(normal(2.5, 0.1))
    found = compare_spans(open_above, closed)
    assert found.high is None
    assert found.low > 1
    back = compare_spans(closed, open_above)
    assert back.low is None
    assert back.high < 1


def test_of_two_spans_beyond_their_lengths_nothing_is_known():
    beyond = span_of(normal(8.0, 0.1))
    found = compare_spans(beyond, beyond)
    assert (found.low, found.high, found.bound, found.p) == (None, None, "?", 1.0)


def test_a_bound_bounds_the_ratio():
    nothing = measure_span(real_runs("rnn"), 500)
    something = measure_span(real_runs("rnn"), 2_000)
    found = compare_spans(something, nothing)
    assert found.bound == ">="
    assert found.high is None
    assert 1 < found.low < something.low / 7
    assert found.differs


def test_a_higher_level_is_a_wider_interval():
    one, other = span_of(normal(3.5, 0.2)), span_of(normal(3.0, 0.2, 1))
    narrow, wide = (compare_spans(one, other, level=level) for level in (0.95, 0.995))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_all_pairs_are_holms_and_bonferronis():
    spans = {
        name: span_of(normal(mean, 0.2, 1))
        for name, mean in zip("abc", (3, 3.5, 4.2), strict=True)
    }
    found = compare_all(spans)
    assert list(found) == [("a", "b"), ("a", "c"), ("b", "c")]
    assert all(each.level == pytest.approx(1 - 0.05 / 3) for each in found.values())
    assert [each.adjusted_p for each in found.values()] == holm([x.p for x in found.values()])
    assert compare_all({"a": spans["a"]}) == {}


def test_holm_steps_down_and_stays_in_order():
    assert holm([0.04, 0.001, 0.5, 0.03]) == pytest.approx([0.09, 0.004, 0.5, 0.09])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_a_marked_span_marks_the_ratio():
    marked = span_of(normal(3.0, 0.2))._replace(misfit_p=0.01)
    assert compare_spans(marked, span_of(normal(3.0, 0.2))).marked


def test_nothing_warns_at_the_ends():
    solved = measure_span([Run(5, 1e-3, "solved", 10)], 10)
    unsolved = measure_span([Run(5, 1e-3, "censored", 10)], 10)
    assert compare_spans(solved, unsolved).bound == ">="
