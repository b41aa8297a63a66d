"""What can be measured on a network without knowing its equations."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from digitspan.check.network.equations import Numbers
from digitspan.check.sandbox.remote_network import Subject, digits_for

__all__ = ["Behaviour", "Slope", "measure", "slopes"]


class Behaviour(NamedTuple):
    """How a network behaves."""

    finite: bool
    """False: it answers NaN, so it reads memory that was never written."""
    repeatable: bool
    """The same answer from two networks built alike and fed alike."""
    forgets: bool
    """The same answer to the second call as to the first."""
    reads: tuple[bool, ...]
    """Which digits matter, T - 1 of them."""
    mixes: bool
    """The answer to one sample depends on another."""
    transform: str
    """What was done to the logits: "none", "softmax", "log_softmax", each also "over batch"."""

    def undo(self, answers: Numbers) -> Numbers:
        """Logits, up to what the transform hides, from answers, shape (R, B, K)."""
        if self.transform.startswith("softmax"):
            with np.errstate(divide="ignore"):
                answers = np.log(answers)
        return self.centre(answers)

    def centre(self, logits: Numbers) -> Numbers:
        """Logits without what the transform hides."""
        if self.transform == "none":
            return logits
        axis = 1 if self.transform.endswith("over batch") else 2
        return np.asarray(logits - logits.mean(axis=axis, keepdims=True))


def measure(subject: Subject, rng: np.random.Generator) -> Behaviour:
    """Measure a network; afterwards it is asked afresh each time if it does not forget."""
    digits = digits_for(subject.plan)
    # Several settings: a ReLU may be dead in one of them.
    values = subject.random_values(rng, 4)
    one = subject.ask(values, digits, fresh=True)
    again = subject.ask(values, digits, fresh=True)
    finite = bool(np.isfinite(one).all())
    repeatable = _same(subject, one, again)
    second = subject.ask(values, digits, fresh=True, repeats=2)
    forgets = not repeatable or not finite or _same(subject, one, second)
    subject.fresh = not forgets
    reads, mixes = [], False
    for t in range(subject.plan.steps):
        moved = subject.moved(values, digits, t, one)
        reads.append(bool(moved[0]))
        mixes = mixes or bool(moved[1:].any())
    return Behaviour(finite, repeatable, forgets, tuple(reads), mixes, _transform(one[0]))


def _same(subject: Subject, one: Numbers, other: Numbers) -> bool:
    """Whether two answers are the same, NaN being like NaN."""
    bound = subject.tolerance * (1 + float(np.abs(np.nan_to_num(one)).max()))
    return bool(np.allclose(one, other, rtol=0, atol=bound, equal_nan=True))


def _transform(answer: Numbers) -> str:
    """What was done to the logits, from one answer, shape (B, K)."""
    if not np.isfinite(answer).all():
        return "none"
    for axis, where in ((1, ""), (0, " over batch")):
        if answer.shape[axis] == 1:
            continue
        if (answer >= 0).all() and np.allclose(answer.sum(axis=axis), 1, atol=1e-5):
            return f"softmax{where}"
        if (answer <= 1e-9).all() and np.allclose(np.exp(answer).sum(axis=axis), 1, atol=1e-5):
            return f"log_softmax{where}"
    return "none"


class Slope(NamedTuple):
    """The slope of a network's answers in a random direction of one tensor's numbers."""

    backward: float
    """As the network's own backward has it; NaN where the tensor got no gradient."""
    true: float
    """By differences of answers."""
    wrong: bool
    """The two disagree."""
    lost: bool
    """The tensor matters, and gets no gradient or zero."""


def slopes(subject: Subject, values: Numbers, rng: np.random.Generator) -> list[Slope]:
    """Compare a network's gradients with differences of its own answers, tensor by tensor.

    A random direction shows a gradient that is wrong in any part of a tensor.

    Args:
        subject: the network.
        values: its numbers, shape (P,).
        rng: for the directions, and for how the answers are weighted.
    """
    digits = digits_for(subject.plan)
    weights = rng.normal(size=(subject.plan.batch, subject.width))
    backward = subject.gradient(values[None], digits, weights)
    step = 1e-5 if subject.dtype == "float64" else 1e-2
    directions = np.zeros((len(subject.tensors), subject.count))
    start = 0
    for row, tensor in zip(directions, subject.tensors, strict=True):
        row[start : start + tensor.size] = rng.uniform(0.5, 1, tensor.size)
        start += tensor.size
    settings = np.concatenate([values + step * directions, values - step * directions])
    found = (subject.ask(settings, digits) * weights).sum(axis=(1, 2))
    true = (found[: len(directions)] - found[len(directions) :]) / (2 * step)
    size = float(np.abs(true).max(initial=0))
    near = (1e-6 if subject.dtype == "float64" else 1e-2) * (size + 1e-3)
    result = []
    for row, exact in zip(directions, true, strict=True):
        got = float(np.nan_to_num(backward) @ row)
        own = backward[row != 0]
        wrong = abs(got - exact) > max(near, 0.01 * abs(exact))
        nothing = bool((np.nan_to_num(own) == 0).all())
        result.append(Slope(float("nan") if np.isnan(own).all() else got, float(exact), wrong,
                            wrong and nothing))  # fmt: skip
    return result
