"""What can be measured on a network without knowing its equations."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from digitspan.check.network.equations import Numbers
from digitspan.check.sandbox.remote_network import RemoteNetwork

__all__ = ["Behaviour", "measure", "slopes"]


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
    """What was done to the logits: "none", "softmax" or "log_softmax"."""
    over_batch: bool
    """It sums to 1 over the samples, not over the classes."""

    def undo(self, answers: Numbers) -> Numbers:
        """Logits, up to what the transform hides, from answers, shape (R, B, K)."""
        if self.transform == "softmax":
            with np.errstate(divide="ignore"):
                answers = np.log(answers)
        return self.centre(answers)

    def centre(self, logits: Numbers) -> Numbers:
        """Logits without what the transform hides."""
        if self.transform == "none":
            return logits
        return np.asarray(logits - logits.mean(axis=1 if self.over_batch else 2, keepdims=True))


def measure(remote: RemoteNetwork) -> Behaviour:
    """Measure a network; afterwards it is asked afresh each time if it does not forget."""
    digits = remote.digits()
    # Several settings: a ReLU may be dead in one of them.
    values = remote.random_values(remote.rng(3), 4)
    one = remote.ask(values, digits, fresh=True)
    again = remote.ask(values, digits, fresh=True)
    finite = bool(np.isfinite(one).all())
    repeatable = _same(remote, one, again)
    second = remote.ask(values, digits, fresh=True, repeats=2)
    forgets = not repeatable or not finite or _same(remote, one, second)
    remote.fresh = not forgets
    reads, mixes = [], False
    for t in range(remote.plan.steps):
        moved = remote.moved(values, digits, t, one)
        reads.append(bool(moved[0]))
        mixes = mixes or bool(moved[1:].any())
    return Behaviour(finite, repeatable, forgets, tuple(reads), mixes, *_transform(one[0]))


def _same(remote: RemoteNetwork, one: Numbers, other: Numbers) -> bool:
    """Whether two answers are the same, NaN being like NaN."""
    bound = remote.tolerance * (1 + float(np.abs(np.nan_to_num(one)).max()))
    return bool(np.allclose(one, other, rtol=0, atol=bound, equal_nan=True))


def _transform(answer: Numbers) -> tuple[str, bool]:
    """What was done to the logits and whether over the batch, from one answer, shape (B, K)."""
    for axis, over_batch in ((1, False), (0, True)):
        if answer.shape[axis] == 1 or not np.isfinite(answer).all():
            continue
        if (answer >= 0).all() and np.allclose(answer.sum(axis=axis), 1, atol=1e-5):
            return "softmax", over_batch
        if (answer <= 1e-9).all() and np.allclose(np.exp(answer).sum(axis=axis), 1, atol=1e-5):
            return "log_softmax", over_batch
    return "none", False


def slopes(remote: RemoteNetwork, values: Numbers, rng: np.random.Generator) -> list[str]:
    """Compare a network's gradients with differences of its own answers, tensor by tensor.

    A random direction shows a gradient that is wrong in any part of a tensor.

    Args:
        remote: the network.
        values: its numbers, shape (P,).
        rng: for the directions, and for how the answers are weighted.

    Returns:
        For each tensor "right", "cut" where the two disagree, or "missing" where the tensor
        matters and gets no gradient or zero.
    """
    digits = remote.digits()
    weights = rng.normal(size=(remote.plan.batch, remote.width))
    gradient = np.nan_to_num(remote.gradient(values[None], digits, weights))  # NaN: none
    step = 1e-5 if remote.dtype == "float64" else 1e-2
    directions = np.zeros((len(remote.tensors), remote.count))
    for row, (_, part) in zip(directions, remote.parts(), strict=True):
        row[part] = rng.uniform(0.5, 1, part.stop - part.start)
    settings = np.concatenate([values + step * directions, values - step * directions])
    answers = (remote.ask(settings, digits) * weights).sum(axis=(1, 2))
    exact = (answers[: len(directions)] - answers[len(directions) :]) / (2 * step)
    size = float(np.abs(exact).max(initial=0))
    near = (1e-6 if remote.dtype == "float64" else 1e-2) * (size + 1e-3)
    wrong = np.abs(directions @ gradient - exact) > np.maximum(near, 0.01 * np.abs(exact))
    return [
        "right" if not is_wrong else "cut" if gradient[part].any() else "missing"
        for is_wrong, (_, part) in zip(wrong, remote.parts(), strict=True)
    ]
