"""A network that follows the equations is held against them elsewhere: where students train it.

Its roles are known from a few units and digits. With them the equations can be computed for any
sizes, and the network is asked to answer as they do: at random widths, in long sequences, in other
batches, in single precision, in eval() and under no_grad, with large weights, and once built and
fed as the training script does it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from digitspan.check.findings import Findings
from digitspan.check.network.behaviour import Behaviour
from digitspan.check.network.equations import CanonicalLayout, NetworkSizes, Numbers, answers
from digitspan.check.network.explain import EQUATIONS, Verified
from digitspan.check.network.places import Place, equation_places
from digitspan.check.network.roles import Roles, canonical
from digitspan.check.network.widen import Places, widened
from digitspan.check.sandbox.process import ChildRefused
from digitspan.check.sandbox.remote_network import Digits, RemoteNetwork
from digitspan.check.sandbox.signatures import Plan, World

__all__ = ["ENCODINGS", "replay"]

ENCODINGS: dict[str, Callable[[Digits], Numbers]] = {
    "number": lambda digits: digits[..., None].astype(np.float64),
    "one-hot": lambda digits: np.eye(10)[digits],
    "number / 9": lambda digits: digits[..., None] / 9,
    "number / 10": lambda digits: digits[..., None] / 10,
}
"""What a network may make of digits, shape (B, T), before they enter: shape (B, T, D)."""

_LARGE = 20.0
"""How many times larger large weights are."""
_FAIRLY_LARGE = 6.0
"""Where tanh(5) and tanh(7) can still be told apart, which a clamp makes equal."""
_DENSE = 24
"""So many small sizes are all tried."""
_STRETCHES = 9
"""Into so many stretches those beyond are divided, with one of each tried."""
_SWING = 100
"""So many digits drive the cell state up to half of that and back."""
_SLOPE = 1e-8
"""The gradient of a unit, relative to the largest of all, below which it does not learn."""
_ALIVE = 0.03
"""The share of units with a gradient for a sample below which a gate cannot learn.

A network is called dead where none of its gates can. By the sheet's recipe at T = 5, an LSTM all
of whose weights are uniform in (0, 1) comes to an accuracy of 0.995 in 2,813 steps, and one whose
forget gate is 1 for ever to 0.99 in 318, though some of their gates have no gradient. An RNN with
weights uniform in (0, 1), or normal of a standard deviation of 100, was at 0.10 after 6,000.
"""
_SOON_LEARNED = 4
"""So many digits, T - 1, are fed where the start is judged: what is dead there learns nowhere."""
_SAMPLES = 4
"""So many samples are asked for that."""
_GRADIENTS = ("gradients-missing", "gradients-cut", "backward-fails")
"""What may be wrong with gradients at home."""
_MOST_WORK = 4e9
"""Multiplications of one comparison; a training script may ask for sizes beyond that."""


class _Point(NamedTuple):
    """One place where the network is compared with the equations."""

    plan: Plan
    dtype: str
    training: bool = True
    grad: bool = True
    scale: float = 1.0
    """How many times larger the weights are."""
    swing: bool = False
    """Weights and digits drive the cell state up, far, and back."""
    base: int = 0
    """The digits go from 0 to one less; 0: as they did."""
    fed: int = 0
    """So many of its samples are fed; 0: all."""
    calls: int = 1
    """The answer to the last of so many calls counts."""
    arguments: dict[str, Any] | None = None
    """What the training script gives the constructor."""

    def aspects(self, home: _Point) -> dict[str, Any]:
        """What is another here than at home: name to what it is there."""
        fields = ("calls", "training", "grad", "dtype", "scale", "swing", "base", "fed")
        of_plan = ("hidden", "batch", "steps")
        found = {name: getattr(home, name) for name in fields
                 if getattr(self, name) != getattr(home, name)}  # fmt: skip
        return found | {name: getattr(home.plan, name) for name in of_plan
                        if getattr(self.plan, name) != getattr(home.plan, name)}  # fmt: skip

    def with_aspect(self, name: str, value: Any) -> _Point:
        """The point with one of these changed."""
        if name in ("hidden", "batch", "steps"):
            return self._replace(plan=dataclasses.replace(self.plan, **{name: value}))
        return self._replace(**{name: value})

    def where(self, home: _Point) -> str:
        """What is another here than at home, for a sentence that begins with it."""
        plan, other = self.plan, self.aspects(home)
        if self.arguments is not None:
            return (f"As the training script builds and feeds it ({plan.hidden} hidden units, "
                    f"{plan.batch} samples, {plan.steps} digits, {self.dtype})")  # fmt: skip
        parts = []
        if "scale" in other:
            parts.append("large weights")
        if self.swing:
            parts.append("a cell state that grows to almost fifty and comes back")
        if "base" in other:
            parts.append(f"digits from 0 to {self.base - 1} alone")
        if "steps" in other and not self.swing:
            parts.append(_counted(plan.steps, "digit"))
        if "hidden" in other:
            parts.append(_counted(plan.hidden, "hidden unit"))
        if plan.batch == plan.hidden:
            parts.append("as many samples as hidden units")
        elif "batch" in other:
            parts.append(_counted(plan.batch, "sample"))
        if self.fed:
            parts.append(f"{self.fed} of the {plan.batch} samples that the constructor is told of")
        last = parts.pop() if parts else ""
        words = [f"with {', '.join(parts)} and {last}" if parts else f"with {last}"] * bool(last)
        if "dtype" in other:
            words.append(f"in {_PRECISION[self.dtype]} precision ({self.dtype})")
        words += ["after eval()"] * (not self.training)
        words += ["under torch.no_grad()"] * (not self.grad)
        text = " ".join(words)
        return f"{text[0].upper()}{text[1:]}"


_PRECISION = {"float32": "single", "float64": "double"}


def _counted(count: int, what: str) -> str:
    """`a single sample`, `8 samples`."""
    return f"a single {what}" if count == 1 else f"{count} {what}s"


class _Placed(NamedTuple):
    """The network built at a point, with the roles of its numbers there."""

    remote: RemoteNetwork
    layout: CanonicalLayout
    of: Places


def replay(
    remote: RemoteNetwork, behaviour: Behaviour, verified: Verified, findings: Findings
) -> None:
    """Compare a network with its equations elsewhere, and report where it departs from them.

    Args:
        remote: the network, as it was identified.
        behaviour: how it behaves there.
        verified: what it computes there.
        findings: where to write what is found.
    """
    roles = verified.roles
    assert roles is not None
    by_sample = ("sample", "column", "a sample")
    cell = roles.cell
    if not verified.in_order or behaviour.over_batch or not behaviour.forgets:
        return
    if any(form.endswith(by_sample) for form in (cell.bias, cell.read_out_bias, cell.start)):
        return
    _Replay(remote, behaviour, verified, roles, findings).run()
    remote.build_again()


class _Replay:
    """The comparison of one network."""

    def __init__(
        self,
        remote: RemoteNetwork,
        behaviour: Behaviour,
        verified: Verified,
        roles: Roles,
        findings: Findings,
    ) -> None:
        self.remote = remote
        self.behaviour = behaviour
        self.verified = verified
        self.roles = roles
        self.findings = findings
        self.rng = remote.rng(9)
        plan = remote.plan
        self.home = _Point(plan, remote.built_in)
        self.small = (f"{plan.steps} digits, {remote.units} hidden units and {plan.batch} samples "
                      f"in {_PRECISION[remote.dtype]} precision")  # fmt: skip
        self.widest = 12
        """Above so many units it was not looked at which of torch's functions are called."""
        self.stopped: list[tuple[_Point, ChildRefused]] = []

    def run(self) -> None:
        """Compare at each point until it departs somewhere; then look at gradients and start."""
        # One after the other: what the first tell says where the later ones are.
        several = (self.points, self.sweep, self.smaller_batches)
        followed = all(self.compare(point) for points in several for point in points())
        world = self.world()
        ran = followed and self.compare(world)
        if self.stopped:
            point, error = self.stopped[0]
            at_home = any(stopped is world for stopped, _ in self.stopped)
            if not at_home:
                point = self.reduced(point, "stops")
            where = point.where(self.home)
            where = f"{where[0].lower()}{where[1:]}"
            code = (
                "fails-elsewhere" if at_home or not self.of_sizes(point) else "only-at-some-sizes"
            )
            self.findings.add(code, *error.place, where=where, error=error)
        if not followed:
            return
        if any(map(self.findings.has, _GRADIENTS)):
            return  # that is what it would say
        lengths = [int(self.rng.integers(*ends)) for ends in ((6, 13), (13, 41), (55, 66))]
        right = all(self.check_gradient(self.home.with_aspect("steps", n)) for n in lengths)
        if ran and not any(stopped is world for stopped, _ in self.stopped):
            if right:
                self.check_gradient(world)
            self.check_start(world)

    @property
    def free_batch(self) -> bool:
        """Whether its code does not fix the number of samples."""
        return self.remote.plan.batch in (7, 3)

    @property
    def free_width(self) -> bool:
        """Whether its code does not fix the number of hidden units."""
        return self.remote.hidden == self.remote.plan.hidden

    def dtypes(self) -> list[str]:
        """The types of number in which it has to run: as it was built, and as it is trained."""
        world, built_in = self.remote.world, self.remote.built_in
        trained_in = world.dtype if world else "float32"
        if self.findings.has("only-in-double-precision"):
            return [built_in]
        # What is built in single precision casts to it whatever it is fed.
        return [built_in] if built_in == "float32" else list(dict.fromkeys([trained_in, built_in]))

    def points(self) -> list[_Point]:
        """Where else, one thing changed at a time."""
        home, rng = self.home, self.rng
        points = [
            *(home._replace(dtype=dtype) for dtype in self.dtypes() if dtype != home.dtype),
            home._replace(training=False),
            home._replace(grad=False),
            home._replace(scale=_FAIRLY_LARGE),
            home._replace(scale=_LARGE),
            home.with_aspect("steps", 40)._replace(scale=_LARGE),
        ]
        if self.roles.cell.kind == "lstm" and self.verified.encoding:
            points.append(home.with_aspect("steps", _SWING)._replace(swing=True))
        if self.remote.base == 10:
            points.append(home._replace(base=int(rng.integers(4, 8)) + 1))
        if self.free_batch and self.free_width:
            equal = dataclasses.replace(home.plan, batch=6, hidden=6)
            points.append(home._replace(plan=equal))
        return points

    def sweep(self) -> list[_Point]:
        """Lengths, widths and batches through the range in which students train, together.

        Every small size is among them, and one of each stretch of large ones; what else can be
        another is drawn for each.
        """
        rng, plan = self.rng, self.remote.plan
        by = 1 if plan.hidden % 2 else 2  # a class that keeps halves wants even numbers
        lengths = _spread(rng, 0, range(1, _DENSE + 1), 100)
        widths = _spread(rng, 1, range(2, _DENSE + 1, by), 96)
        batches = _spread(rng, 2, range(1, _DENSE + 1), 200)
        dtypes = self.dtypes()
        points = []
        for steps, hidden, batch in zip(lengths, widths, batches, strict=True):
            sizes = dataclasses.replace(
                plan,
                steps=steps,
                hidden=hidden if self.free_width else plan.hidden,
                batch=batch if self.free_batch else plan.batch,
            )
            dtype = dtypes[int(rng.integers(len(dtypes)))]
            training, grad = rng.random(2) < 0.5
            # Once more for batches as in training: what a class keeps of those alone shows then.
            calls = 1 + (sizes.batch > _DENSE)
            points.append(_Point(sizes, dtype, bool(training), bool(grad), calls=calls))
        return points if self.free_width else points[::3]

    def smaller_batches(self) -> list[_Point]:
        """Fewer samples than the constructor is told of, as in the last batch of a test set."""
        fed = (1, int(self.rng.integers(2, self.home.plan.batch)))
        return [self.home._replace(fed=count) for count in fed] if self.free_batch else []

    def world(self) -> _Point:
        """As the training script builds and feeds it, or as the sheet does."""
        world, plan = self.remote.world, self.remote.plan
        home = None if world is None else _plan_of(world, self.remote)
        if world is None or home is None:
            home = dataclasses.replace(plan, hidden=128, batch=128, steps=10)
            return _Point(home, world.dtype if world else self.dtypes()[0], calls=2)
        given = self.remote.recipe.as_given()
        return _Point(home, world.dtype, calls=2, arguments=given)

    def place(self, point: _Point) -> _Placed | None:
        """The network at a point; None where its roles are not known there."""
        remote = self.remote.elsewhere(point.plan, point.dtype, point.arguments)
        remote.training = point.training
        remote.base = point.base or remote.base
        if self.remote.dtype == "float32":  # it casts to it, whatever it is built in
            remote.dtype = "float32"
        if remote.ready_made != self.remote.ready_made:
            self.remote.ready_made = sorted({*self.remote.ready_made, *remote.ready_made})
        inputs = self.inputs(remote, np.zeros(remote.count), remote.digits()[:1, :1])
        if inputs is None:
            return None
        sizes = NetworkSizes(point.plan.batch, remote.hidden, inputs.shape[2], self.remote.width)
        layout = CanonicalLayout(self.roles.cell, sizes)
        of = widened(self.roles, self.remote, remote, layout)
        return None if of is None else _Placed(remote, layout, of)

    def inputs(self, remote: RemoteNetwork, values: Numbers, digits: Digits) -> Numbers | None:
        """What enters the equations for some digits, shape (B, T, D)."""
        if self.verified.encoding:
            return ENCODINGS[self.verified.encoding](digits)
        for tensor, part in remote.parts():
            if tensor.name == self.verified.table and len(tensor.shape) == 2:
                return np.asarray(values[part].reshape(tensor.shape)[digits])
        return None

    def compare(self, point: _Point) -> bool:
        """Whether the network answers as the equations do; False: that was reported."""
        try:
            if self.follows(point):
                return True
        except ChildRefused as error:
            home = self.home.plan
            sizes = dataclasses.replace(home, steps=point.plan.steps)
            if not self.stop(point, error):
                return False
            # Where it runs with some sizes alone, the length is compared with those.
            return point.plan in (sizes, home) or self.compare(point._replace(plan=sizes))
        return self.depart(self.reduced(point, "departs"))

    def follows(self, point: _Point) -> bool:
        """Whether the network answers as the equations do, or it cannot be told.

        Raises:
            ChildRefused: where it does not run there.
        """
        placed = self.place(point)
        if placed is None and point.plan.hidden != self.home.plan.hidden:
            point = point.with_aspect("hidden", self.home.plan.hidden)
            placed = self.place(point)
        if placed is None or _work(placed) > _MOST_WORK:
            return True
        if point.scale > 1 and self.behaviour.transform == "softmax":
            return True  # their logarithms are rounded away
        remote, digits = placed.remote, self.digits(placed, point)
        values = self.values(placed, point)
        if remote.hidden > self.widest:
            self.widest = remote.hidden
            self.remote.called |= remote.operations(values[None], digits)
        raw = remote.ask(values[None], digits, fresh=True, repeats=point.calls, grad=point.grad)
        inputs = self.inputs(remote, values, digits)
        assert inputs is not None
        if raw.shape[1:] != (len(digits), self.remote.width):
            return bool(point.fed)  # it is made for batches of one size, which it may be
        with np.errstate(all="ignore"):
            expected, shaken = self.expected(placed, values, inputs)
            seen = self.behaviour.undo(raw)[0]
        size = 1 + float(np.abs(expected).max())
        near = 1e-8 if remote.dtype == "float64" else 1e-4 if point.scale < _LARGE else 1e-3
        bound = near * size + 100 * np.abs(shaken - expected).max()
        if not bound < 0.05 * size:
            return True  # too unruly there for anything to be said
        return bool(np.isfinite(seen).all() and (np.abs(seen - expected) <= bound).all())

    def reduced(self, point: _Point, wanted: str) -> _Point:
        """The point with as little as possible changed, where it still "departs" or "stops"."""
        for name, value in point.aspects(self.home).items():
            nearer = point.with_aspect(name, value)
            try:
                found = "follows" if self.follows(nearer) else "departs"
            except ChildRefused:
                found = "stops"
            if found == wanted:
                point = nearer
        return point

    def digits(self, placed: _Placed, point: _Point) -> Digits:
        """What is fed at a point, shape (B, T)."""
        digits = placed.remote.digits()
        if point.swing:  # high ones and then as low ones, in another order
            high = self.rng.integers(placed.remote.base // 2, placed.remote.base, digits.shape)
            middle = digits.shape[1] // 2
            mirrored = self.rng.permuted(high[:, :middle], axis=1)
            digits = np.hstack([high[:, :middle], placed.remote.base - 1 - mirrored])
        return np.ascontiguousarray(digits[: point.fed or None])

    def expected(self, placed: _Placed, values: Numbers, inputs: Numbers) -> Numbers:
        """What the equations answer, and what they do after rounding, shape (2, B, K)."""
        vector = canonical(placed.of, values, placed.layout.size)
        eps = 2.0**-52 if placed.remote.dtype == "float64" else 2.0**-23
        shaken = vector * (1 + 4 * eps * self.rng.choice([-1, 1], len(vector)))
        both = np.stack([vector, shaken])
        found = answers(self.roles.cell, placed.layout, both, inputs)
        return self.behaviour.centre(found)

    def of_sizes(self, point: _Point) -> bool:
        """Whether a point has other sizes or digits: not to run there need not matter."""
        return bool(point.aspects(self.home).keys() & {"base", "hidden", "batch", "steps"})

    def stop(self, point: _Point, error: ChildRefused) -> bool:
        """An error of the network at a point; returns whether others are still looked at."""
        of_sizes = self.of_sizes(point)
        if point.fed:
            return True  # it is made for batches of one size, which it may be
        if point.dtype == "float32" and self.remote.built_in == "float64" and not of_sizes:
            alone = self.remote.world is None  # no script runs it, in this precision or another
            code = "only-in-double-precision" if alone else "fails-in-single-precision"
            self.findings.add(code, *error.place, error=error)
            return alone
        if not point.grad and not of_sizes:
            return True  # is looked at in any case
        if point.arguments is None:  # the training script gives these, and trained it
            self.stopped.append((point, error))
        return of_sizes

    def depart(self, point: _Point) -> bool:
        """Report a departure from the equations; returns False."""
        longer = point.plan.steps > self.remote.plan.steps and point.calls == 1
        unread = self.unread(point) if longer else []
        read = [step for step in range(point.plan.steps) if step not in unread]
        if unread and read:
            self.findings.add(
                "long-sequences-unread",
                steps=point.plan.steps,
                count=len(read),
                which=f"{read[0] + 1} to {read[-1] + 1}",
                few=self.remote.plan.steps,
            )
        elif point.calls > 1:
            self.findings.add("state-kept-elsewhere", where=point.where(self.home))
        else:
            self.findings.add(
                "departs-elsewhere",
                where=point.where(self.home),
                equations=EQUATIONS[self.roles.cell.kind],
                small=self.small,
                about=set(point.aspects(self.home)),
                equation=self.first_wrong(point),
            )
        return False

    def first_wrong(self, point: _Point) -> Place:
        """The line of the first equation whose value is not computed at a point; ("", 0): unknown.

        The line is where that value is computed at home.
        """
        if not self.verified.encoding:
            return "", 0
        found = []
        for there in (point, self.home):
            placed = self.place(there)
            if placed is None:
                return "", 0
            values, digits = self.values(placed, there), self.digits(placed, there)
            inputs = self.inputs(placed.remote, values, digits)
            assert inputs is not None
            roles = self.roles._replace(of=placed.of, layout=placed.layout)
            found.append(
                equation_places(placed.remote, roles, values, digits, inputs, grad=there.grad)
            )
        at_point, at_home = found
        lines = {name: place for (_, name), place in at_home.items() if place[1]}
        missing = (lines[name] for (_, name), place in at_point.items()
                   if name in lines and not place[1])  # fmt: skip
        return next(missing, ("", 0))

    def unread(self, point: _Point) -> list[int]:
        """The steps whose digit never matters at a point."""
        steps = point.plan.steps
        if not self.free_batch or point.swing:
            return []
        placed = self.place(point.with_aspect("batch", steps + 1))
        if placed is None:
            return []
        digits = np.repeat(placed.remote.digits()[:1], steps + 1, axis=0)
        changed = np.arange(steps)
        digits[changed, changed] = (digits[changed, changed] + 1) % self.remote.base
        values = self.values(placed, point)
        try:
            [found] = placed.remote.ask(values[None], np.ascontiguousarray(digits), fresh=True)
        except ChildRefused:
            return []
        bound = 1e-13 if placed.remote.dtype == "float64" else 1e-6
        moved = np.abs(found[:-1] - found[-1]).max(axis=1) > bound * (1 + np.abs(found[-1]).max())
        return [step for step in range(steps) if not moved[step]]

    def values(self, placed: _Placed, point: _Point) -> Numbers:
        """Random values, shape (P,), under which early digits still matter after a hundred.

        Recurrent weights are nearly orthogonal, forget gates open, and what enters is small.
        """
        layout, rng = placed.layout, self.rng
        wide = np.sqrt(3 / placed.remote.hidden)
        quiet = placed.remote.plan.steps > 10 and point.scale == 1
        scales = {"W_h": 0.9 * wide, "W_p": wide, "W_x": 0.1, "b": 0.3}
        if quiet:
            scales |= {"W_h": 0.3 * wide, "W_x": 0.005, "b": 0.01}
        if layout.arrays["W_x"].shape[2] > 1 or self.verified.encoding.startswith("number /"):
            scales["W_x"] *= 8
        vector = np.zeros(layout.size)
        for name, array in layout.arrays.items():
            part = rng.uniform(-1, 1, array.shape) * scales.get(name, 0.3)
            if name == "b" and self.roles.cell.kind == "lstm":
                part[2] += 3.5
            if name == "W_h" and self.roles.cell.kind == "rnn":
                part = 0.97 * np.linalg.qr(rng.normal(size=array.shape))[0]
            if point.swing and name in ("W_x", "b"):
                part = self.swinging(name, array.shape, placed.remote.base)
            vector[layout.slice(name)] = part.reshape(-1)
        vector = vector * point.scale / layout.copies()
        free = rng.uniform(-0.5, 0.5, len(placed.of))
        return np.where(placed.of >= 0, vector[placed.of], free)

    def swinging(self, name: str, shape: tuple[int, ...], base: int) -> Numbers:
        """Weights or biases of an LSTM whose candidate is +1 for high digits and -1 for low ones.

        All gates stand open, so that the cell state adds them up; a clamp of it shows in the end.
        """
        digits = np.arange(base)[None]
        encoded = ENCODINGS[self.verified.encoding](digits)[0]  # (digits, D)
        wanted = (2 * digits[0] + 1 - base) / (base - 1)
        line = np.column_stack([encoded, np.ones(base)])
        slope = np.linalg.lstsq(line, wanted, rcond=None)[0]
        part = np.zeros(shape)
        if name == "W_x":
            part[0] = 12 * slope[:-1]
        else:
            part += np.array([12 * slope[-1], 6, 12, 4]).reshape(-1, *[1] * (len(shape) - 1))
        return part

    def check_gradient(self, point: _Point) -> bool:
        """Whether the gradient by backward is the slope of the equations; False: that was told."""
        try:
            placed = self.place(point)
            if placed is None or 12 * _work(placed) > _MOST_WORK:
                return True
            values, digits = self.values(placed, point), placed.remote.digits()
            weights = self.rng.normal(size=(point.plan.batch, self.remote.width))
            gradient = placed.remote.gradient(values[None], digits, weights)
        except ChildRefused:
            return True  # it answered there: what stops it was reported
        inputs = self.inputs(placed.remote, values, digits)
        assert inputs is not None
        directions = self.directions(placed)
        step = 2e-5
        around = np.stack([
            canonical(placed.of, values + shift * step * direction, placed.layout.size)
            for direction in directions
            for shift in (1, -1, 0.5, -0.5)
        ])  # fmt: skip
        found = answers(self.roles.cell, placed.layout, around, inputs)
        sums = (_transformed(found, self.behaviour.transform) * weights).sum(axis=(1, 2))
        far, near_by = (
            (sums[i::4] - sums[i + 1 :: 4]) / width for i, width in ((0, 2 * step), (2, step))
        )
        exact = (4 * near_by - far) / 3  # without the error of the second order
        by_backward = np.nan_to_num(gradient) @ directions.T
        # A hundred times what right networks were seen to differ by.
        near = 1e-7 if placed.remote.dtype == "float64" else 1e-4
        bound = near * (float(np.abs(exact).max(initial=0)) + 1e-3)
        bound = bound + 10 * near * np.abs(exact) + np.abs(near_by - far)
        wrong = ~(np.abs(by_backward - exact) <= bound)
        tensors = [
            tensor.name
            for tensor, part in placed.remote.parts()
            if tensor.trainable
            and any(directions[row, part].any() for row in np.flatnonzero(wrong))
        ]
        if tensors:
            self.findings.add(
                "gradients-cut-elsewhere",
                where=point.where(self.home),
                tensors=", ".join(tensors[:8]),
                small=self.small,
            )
        return not tensors

    def directions(self, placed: _Placed) -> Numbers:
        """Directions to go in from a setting, shape (., P): a tensor's, or an array's."""
        parts = [part for tensor, part in placed.remote.parts() if tensor.trainable]
        used = np.repeat(False, len(placed.of))
        for part in parts:
            used[part] = placed.of[part] >= 0
        if placed.remote.hidden > 12:
            arrays = [placed.layout.slice(name) for name in ("W_x", "W_h", "b")
                      if name in placed.layout.arrays]  # fmt: skip
            masks = [(placed.of >= a.start) & (placed.of < a.stop) & used for a in arrays]
        else:
            masks = []
            for part in parts:
                mask = np.repeat(False, len(placed.of))
                mask[part] = used[part]
                masks.append(mask)
        rows = [mask * self.rng.uniform(0.5, 1, len(mask)) for mask in masks if mask.any()]
        return np.stack(rows) if rows else np.zeros((0, len(placed.of)))

    def check_start(self, point: _Point) -> None:
        """Judge the weights as the constructor leaves them, at a length that is soon learned."""
        short = dataclasses.replace(point.plan, steps=_SOON_LEARNED)
        try:
            placed = self.place(point._replace(plan=short, arguments=None))
        except ChildRefused:
            return
        if placed is None or _work(placed) > _MOST_WORK:
            return
        start = np.concatenate([tensor.values for tensor in placed.remote.tensors])
        if np.isnan(start).any() or self.findings.has("gate-starts-at-zero"):
            return
        vector = canonical(placed.of, start, placed.layout.size)
        if np.isinf(start).any():
            self.findings.add("start-saturated")
        elif _units_are_equal(vector, placed.layout):
            self.findings.add("units-start-equal")
        # A fault that was found may be why there is no gradient.
        elif not self.findings.faults() and self.is_dead(placed, start):
            self.findings.add("start-saturated")

    def is_dead(self, placed: _Placed, start: Numbers) -> bool:
        """Whether next to no gradient comes to any gate where training begins."""
        layout = placed.layout
        read_out = layout.slice("W_p")
        values = start.copy()
        # It may start at zero: after one step it does not stand there any more.
        of_read_out = (placed.of >= read_out.start) & (placed.of < read_out.stop)
        values[of_read_out] = self.rng.uniform(-1, 1, int(of_read_out.sum()))
        alive = np.zeros((_SAMPLES, len(self.roles.cell.gates)))
        for sample in range(_SAMPLES):
            weights = np.zeros((placed.remote.plan.batch, self.remote.width))
            weights[sample % len(weights)] = self.rng.normal(size=self.remote.width)
            try:
                gradient = placed.remote.gradient(values[None], placed.remote.digits(), weights)
            except ChildRefused:
                return False
            slopes = canonical(placed.of, np.abs(np.nan_to_num(gradient)), layout.size)
            W_x, W_h = (layout.array(slopes[None], name)[0] for name in ("W_x", "W_h"))
            of_units = np.maximum(W_x.max(axis=2), W_h.max(axis=2))  # (G, N)
            alive[sample] = (of_units > _SLOPE * slopes.max(initial=0)).mean(axis=1)
        return bool(alive.mean(axis=0).max() < _ALIVE)


def _spread(rng: np.random.Generator, number: int, small: range, most: int) -> list[int]:
    """All of some small sizes in a random order, and one of each stretch between them and most.

    The large ones of three such lists, numbered 0 to 2, stand at other places: to be large in two
    ways takes long, and shows no more.
    """
    order = [int(size) for size in rng.permutation(np.resize(small, _DENSE))]
    edges = np.geomspace(_DENSE + 1, most + 1, _STRETCHES + 1).astype(int)
    large = [int(rng.integers(low, high)) // small.step * small.step
             for low, high in pairwise(edges)]  # fmt: skip
    before = number * _STRETCHES
    return [*order[:before], *large, *order[before:]]


def _units_are_equal(vector: Numbers, layout: CanonicalLayout) -> bool:
    """Whether no two hidden units differ, so that they never will."""
    for name, axes in (("W_x", (1,)), ("b", (2,)), ("W_p", (1,)),
                       ("h_0", (1,)), ("c_0", (1,)), ("hc_0", (1,))):  # fmt: skip
        if name in layout.arrays:
            array = np.moveaxis(layout.array(vector[None], name)[0], axes[0], 0)
            if (array != array[:1]).any():
                return False
    between = layout.array(vector[None], "W_h")[0]
    own, others = np.diagonal(between, axis1=1, axis2=2), ~np.eye(between.shape[1], dtype=bool)
    apart = between[:, others]
    return bool((own == own[:, :1]).all() and (apart == apart[:, :1]).all())


def _work(placed: _Placed) -> float:
    """About how many multiplications one answer takes."""
    plan, N = placed.remote.plan, placed.remote.hidden
    return 4.0 * plan.batch * plan.steps * N * N


def _transformed(logits: Numbers, transform: str) -> Numbers:
    """What a network makes of logits, shape (R, B, K)."""
    if transform == "none":
        return logits
    logs = np.asarray(logits - np.log(np.exp(logits).sum(axis=2, keepdims=True)))
    return logs if transform == "log_softmax" else np.asarray(np.exp(logs))


def _plan_of(world: World, remote: RemoteNetwork) -> Plan | None:
    """The sizes in what a training script gives and feeds a network; None: unknown."""
    given = remote.recipe.given().values()
    hidden = next((size for role, size in given if role == "hidden" and 0 < size < 5000), 128)
    axes = [axis for axis in remote.how["axes"] if axis in "BT"]
    # A D of one may stand there or not.
    fed = [size for size in world.fed if size > 1] if len(world.fed) > 2 else list(world.fed)
    if len(axes) != 2 or len(fed) not in (2, 3) or not world.arguments:
        return None
    order = [axis for axis in remote.how["axes"] if axis in "BTD"[: len(fed)]]
    found = dict(zip(order, fed, strict=False))
    return dataclasses.replace(remote.plan, hidden=hidden, batch=found["B"], steps=found["T"])
