"""A network of a hand-in that has been built in the child and can be asked for answers."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from digitspan.check.network.equations import Numbers
from digitspan.check.sandbox.process import ChildLost, ChildProcess, ChildRefused
from digitspan.check.sandbox.signatures import Plan, Signature, call_forms, constructions

__all__ = ["MAX_NUMBERS", "Digits", "RemoteNetwork", "Tensor", "build_and_feed", "digits_for"]

Digits = np.ndarray[tuple[int, int], np.dtype[np.int64]]

MAX_NUMBERS = 3000
"""A network of more numbers is not asked one by one."""
_GOOD_SCORE = 2.5
"""The right width, samples kept apart, and half of the digits read; 3 at most."""
_FEW_UNITS = 12
"""Of a network with more hidden units, some are looked at."""


class Tensor(NamedTuple):
    """One tensor of the network's numbers."""

    place: int
    """Its place in the child's list."""
    name: str
    shape: tuple[int, ...]
    kind: str
    """"parameter", "buffer" or "tensor"."""
    trainable: bool
    """A Parameter that asks for a gradient."""
    values: Numbers
    """As the constructor left them; NaN where it left what lay in memory."""
    kept: list[int] | None = None
    """Which of its numbers are looked at, all others being zero; None: all of them."""

    @property
    def size(self) -> int:
        """How many numbers are looked at."""
        return math.prod(self.shape) if self.kept is None else len(self.kept)


class RemoteNetwork:
    """A network and the way it is fed.

    Args:
        child: where it lives.
        plan: its sizes.
        dtype: "float64" or "float32".
        arguments: what its constructor was given.
    """

    def __init__(
        self, child: ChildProcess, plan: Plan, dtype: str, arguments: dict[str, Any]
    ) -> None:
        self.child = child
        self.plan = plan
        self.dtype = dtype
        self.arguments = arguments
        self.how: dict[str, Any] = {}
        self.form = "", ""
        """How forward returns its answer: in a "tuple", "list" or ""; its axes."""
        self.width = 0
        self.fresh = False
        self.ready_made: list[str] = []
        self.tensors: list[Tensor] = []
        self.arrangements: list[list[Tensor]] = []
        self.hidden = plan.hidden
        self.units = plan.hidden
        self.score = 0.0

    @property
    def count(self) -> int:
        """P, how many numbers can be set."""
        return sum(tensor.size for tensor in self.tensors)

    @property
    def tolerance(self) -> float:
        """How far two equal answers may be apart, relative to the largest."""
        return 1e-9 if self.dtype == "float64" else 5e-6

    def build(self) -> None:
        """Construct it.

        Raises:
            ChildRefused: where the class raises an error.
        """
        header, payload = self.child.ask(
            {"do": "build", "arguments": self.arguments, "dtype": self.dtype, "seed": 0}
        )
        values = np.frombuffer(payload[: len(payload) // 8 * 8], dtype=np.float64)
        self.ready_made = [str(name)[:40] for name in header.get("ready_made", [])][:20]
        tensors = []
        start = 0
        for index, entry in enumerate(header.get("tensors", [])):
            shape = tuple(int(size) for size in entry["shape"])
            size = math.prod(shape)
            own = values[start : start + size]
            start += size
            tensor = Tensor(
                index, str(entry["name"])[:80], shape, str(entry["kind"]),
                bool(entry["trainable"]), own,
            )  # fmt: skip
            # A state that waits at zero is left alone; whatever else there is may be a weight.
            if tensor.trainable or len(own) != size or (own != 0).any():
                tensors.append(tensor)
        self.hidden = hidden_size(tensors, self.plan)
        self.units = self.hidden if self.hidden <= _FEW_UNITS else 3
        self.arrangements = [tensors]
        if self.units < self.hidden:
            self.arrangements = [
                [_few_units(tensor, self.hidden, self.units, first) for tensor in tensors]
                for first in (True, False)
            ]
        self.tensors = self.arrangements[0]

    def ask(
        self,
        values: Numbers,
        digits: Digits,
        *,
        fresh: bool | None = None,
        repeats: int = 1,
        grad: bool = True,
    ) -> Numbers:
        """Answers, shape (R, B, K), for settings of the numbers, shape (R, P).

        Raises:
            ChildRefused: where the network raises an error.
            ChildLost: where the child sends something else than was asked for.
        """
        question = self._question("run", digits, len(values))
        fresh = self.fresh if fresh is None else fresh
        question |= {"fresh": fresh, "repeats": repeats, "grad": grad}
        header, payload = self.child.ask(question, digits.tobytes() + values.tobytes())
        shape, form = header.get("shape"), header.get("form")
        if (
            not isinstance(shape, list)
            or len(shape) != 3
            or not all(isinstance(size, int) and size > 0 for size in shape)
            or len(payload) != 8 * math.prod(shape)
            or shape[0] != len(values)
            or not isinstance(form, list)
            or len(form) != 2
        ):
            raise ChildLost("no-answer")
        self.form = str(form[0])[:10], str(form[1])[:10]
        self.width = shape[2]
        if header.get("single") is True:
            self.dtype = "float32"
        return np.frombuffer(payload, dtype=np.float64).reshape(shape).copy()

    def moved(
        self, values: Numbers, digits: Digits, step: int, answers: Numbers
    ) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which samples' answers change with the first sample's digit at one step, shape (B,)."""
        changed = digits.copy()
        changed[0, step] = (changed[0, step] + 3) % 10
        found = self.ask(values, changed, fresh=True)
        same = np.isclose(found, answers, rtol=1e-12, atol=0, equal_nan=True)
        return np.asarray(~same.all(axis=(0, 2)))

    def gradient(
        self, values: Numbers, digits: Digits, weights: Numbers, *, repeats: int = 1
    ) -> Numbers:
        """The gradient of sum(weights * answers) by the network's own backward, shape (P,).

        It is NaN where a tensor got none.

        Raises:
            ChildRefused: where backward raises an error.
            ChildLost: where the child sends something else.
        """
        question = self._question("gradient", digits, 1)
        question |= {"weights": weights.astype(np.float64).tobytes().hex(), "repeats": repeats}
        _, payload = self.child.ask(question, digits.tobytes() + values.tobytes())
        if len(payload) != 8 * self.count:
            raise ChildLost("no-answer")
        return np.frombuffer(payload, dtype=np.float64).copy()

    def habits(self, values: Numbers, digits: Digits) -> dict[str, Any]:
        """What a call prints, keeps and calls.

        Raises:
            ChildRefused: where the network raises an error.
        """
        question = self._question("habits", digits, 1)
        header, _ = self.child.ask(question, digits.tobytes() + values.tobytes())
        return header

    def random_values(self, rng: np.random.Generator, count: int = 1) -> Numbers:
        """Random settings, shape (count, P): small enough for digits up to 9."""
        return rng.uniform(-0.6, 0.6, (count, self.count))

    def arrange(self, number: int) -> None:
        """Look at other numbers of a large network, as many."""
        self.tensors = self.arrangements[number]

    def parts(self) -> list[tuple[Tensor, slice]]:
        """The tensors, and where their numbers stand among the P."""
        parts, start = [], 0
        for tensor in self.tensors:
            parts.append((tensor, slice(start, start + tensor.size)))
            start += tensor.size
        return parts

    def _question(self, do: str, digits: Digits, settings: int) -> dict[str, Any]:
        """A question about some digits."""
        return {
            "do": do,
            "batch": digits.shape[0],
            "steps": digits.shape[1],
            "settings": settings,
            "tensors": [tensor.place for tensor in self.tensors],
            "kept": [tensor.kept for tensor in self.tensors],
            "how": self.how,
        }


def hidden_size(tensors: list[Tensor], plan: Plan) -> int:
    """N: what the constructor was given, or the size that is written into the code.

    That is the smallest with which the length of every axis can be explained.
    """
    axes = {size for tensor in tensors for size in tensor.shape}
    given = plan.hidden
    if axes & {given, 2 * given, 3 * given, 4 * given}:
        return given
    known = {1, 10, plan.batch, plan.steps, plan.inputs}
    for size in sorted(axes):
        explained = known | {size * gates for gates in (1, 2, 3, 4)}
        explained |= {size + inputs for inputs in (1, 10)}
        if size > 1 and axes <= explained and any(size in tensor.shape for tensor in tensors):
            if size not in known or (size, size) in {tensor.shape for tensor in tensors}:
                return size
    return given


def _few_units(tensor: Tensor, hidden: int, units: int, state_first: bool) -> Tensor:
    """A tensor of which only the numbers of the first few hidden units are looked at.

    The other units have no way into those while their numbers are zero, so that what is left is
    the same network, only smaller. An axis over both state and input is (h, x) if `state_first`,
    else (x, h).
    """
    axes = []
    for size in tensor.shape:
        few, more = np.arange(units), size - hidden
        if size % hidden == 0:
            axes.append((np.arange(0, size, hidden)[:, None] + few).reshape(-1))
        elif more in (1, 10) and state_first:
            axes.append(np.append(few, np.arange(hidden, size)))
        elif more in (1, 10):
            axes.append(np.arange(more + units))
        else:
            axes.append(np.arange(size))
    places = np.ravel_multi_index(np.ix_(*axes), tensor.shape).reshape(-1)
    kept = [int(place) for place in places]
    return tensor._replace(kept=kept, values=tensor.values[kept])


def digits_for(plan: Plan, seed: int = 1) -> Digits:
    """Digits to feed, shape (B, T), every one of the ten among them."""
    rng = np.random.default_rng(seed)
    several = np.arange(plan.batch * plan.steps) % 10
    return np.ascontiguousarray(
        rng.permutation(several).reshape(plan.batch, plan.steps).astype(np.int64)
    )


class Built(NamedTuple):
    """How far building and feeding got."""

    remote: RemoteNetwork | None
    """A network that answers, or None."""
    problem: ChildRefused | None
    """The first error on the way, None where there was none."""
    constructed: bool
    """Whether a network could be constructed at all."""


def build_and_feed(child: ChildProcess, signature: Signature, options: list[Plan]) -> Built:
    """Try sizes, arguments and layouts until a network answers with K numbers a sample.

    What reads the digits and answers K numbers is taken at once; what answers otherwise (with
    another width, say, or to the last digit alone) only where no other sizes do better.
    """
    problem: ChildRefused | None = None
    first_run: ChildRefused | None = None
    constructed = False
    fallback: RemoteNetwork | None = None
    for plan in options:
        if fallback is not None and plan.batch != fallback.plan.batch:
            continue
        for dtype in ("float64", "float32"):
            for arguments in constructions(signature, plan):
                remote = RemoteNetwork(child, plan, dtype, arguments)
                try:
                    remote.build()
                except ChildRefused as error:
                    problem = problem or error
                    continue
                constructed = True
                failure = _find_feed(remote, signature)
                if failure is None and remote.score >= _GOOD_SCORE:
                    return Built(remote, None, True)
                if failure is None:
                    # The sheet's own sizes, unless these do not even give K numbers.
                    right = remote.width == plan.classes
                    if fallback is None or (right and fallback.width != plan.classes):
                        fallback = remote
                elif first_run is None:
                    first_run = failure
    if fallback is not None:
        fallback.build()
    return Built(fallback, first_run if constructed else problem, constructed)


def _find_feed(remote: RemoteNetwork, signature: Signature) -> ChildRefused | None:
    """Find how a network wants its digits; the first error where no way works."""
    digits = digits_for(remote.plan)
    values = remote.random_values(np.random.default_rng(0), 3)
    first: ChildRefused | None = None
    chosen: tuple[float, dict[str, Any]] | None = None
    for how in call_forms(signature, remote.plan, remote.hidden):
        remote.how = how
        try:
            answers = remote.ask(values, digits, fresh=True)
            score = _score(remote, answers, values, digits)
        except ChildRefused as error:
            first = first or error
            continue
        if answers.shape[1] != remote.plan.batch:
            continue
        if chosen is None or score > chosen[0]:
            chosen = score, how
        if score >= 3:
            break
    if chosen is None:
        return first or ChildRefused({"type": "ValueError", "message": "no answer"})
    remote.score, remote.how = chosen
    remote.ask(values, digits, fresh=True)
    return None


def _score(remote: RemoteNetwork, answers: Numbers, values: Numbers, digits: Digits) -> float:
    """How well a way of feeding works: the width, every digit read, samples kept apart."""
    right_width = remote.width == remote.plan.classes
    if not np.isfinite(answers).all():
        return float(right_width)
    read = kept_apart = 0.0
    for t in range(remote.plan.steps):
        moved = remote.moved(values, digits, t, answers)
        read += float(moved[0]) / remote.plan.steps
        kept_apart += float(not moved[1:].any()) / remote.plan.steps
    return right_width + read + kept_apart
