"""A network that follows the equations is held against them elsewhere: where students train it.

Its roles are known from a few units and digits. With them the equations can be computed for any
sizes, and the network is asked to answer as they do: at random widths, in long sequences, in other
batches, in single precision, in eval() and under no_grad, with large weights, and once built and
fed as the training script does it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from digitspan.check.findings import Findings
from digitspan.check.network.behaviour import Behaviour
from digitspan.check.network.equations import CanonicalLayout, NetworkSizes, Numbers, answers
from digitspan.check.network.explain import EQUATIONS, Verified
from digitspan.check.network.roles import Roles, canonical
from digitspan.check.network.widen import Places, widened
from digitspan.check.sandbox.process import ChildRefused
from digitspan.check.sandbox.remote_network import Digits, RemoteNetwork
from digitspan.check.sandbox.signatures import Plan, World, role_of

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
_SLOPE = 1e-8
"""The gradient of a unit, relative to the largest of all, below which it does not learn."""
_ALIVE = 0.03
"""The share of units with a gradient, of a gate and for a sample, below which it cannot learn."""
_SAMPLES = 4
"""So many samples are asked for that."""
_MOST_WORK = 4e9
"""Multiplications of one comparison; a training script may ask for sizes beyond that."""


class _Point(NamedTuple):
    """One place where the network is compared with the equations."""

    where: str
    """For a sentence that begins with it."""
    plan: Plan
    dtype: str
    training: bool = True
    grad: bool = True
    large: bool = False
    sizes: bool = False
    """It differs in sizes or digits: not to run there need not matter."""
    base: int = 0
    """The digits go from 0 to one less; 0: as they did."""
    arguments: dict[str, Any] | None = None


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
        self.small = f"{plan.steps} digits and {remote.units} hidden units in double precision"
        if remote.built_in == "float32":
            self.small = self.small.replace("double", "single")
        self.stopped: list[tuple[_Point, ChildRefused]] = []

    def run(self) -> None:
        """Compare at each point until it departs somewhere; then look at gradients and start."""
        followed = all(self.compare(point) for point in self.points())
        world = self.world()
        ran = followed and self.compare(world)
        if self.stopped:
            point, error = self.stopped[0]
            where = f"{point.where[0].lower()}{point.where[1:]}"
            at_home = any(stopped is world for stopped, _ in self.stopped)
            code = "fails-elsewhere" if at_home or not point.sizes else "only-at-some-sizes"
            self.findings.add(code, *error.place, where=where, error=error)
        if not followed:
            return
        steps = int(self.rng.integers(55, 66))
        long = dataclasses.replace(self.remote.plan, steps=steps)
        self.check_gradient(_Point(f"With {steps} digits", long, self.remote.built_in))
        if ran and not any(stopped is world for stopped, _ in self.stopped):
            self.check_gradient(world)
            self.check_start(world)

    def points(self) -> list[_Point]:
        """Where else, one thing changed at a time and then several."""
        plan, dtype, rng = self.remote.plan, self.remote.built_in, self.rng
        # Sizes that are written into the code stay as they are.
        free_batch = plan.batch in (7, 3)
        free_width = self.remote.hidden == plan.hidden
        batch = 2 * int(rng.integers(4, 7)) if free_batch else plan.batch
        wide = 2 * int(rng.integers(8, 21))
        long = int(rng.integers(80, 101))
        change = dataclasses.replace
        points = [
            _Point("After eval()", plan, dtype, training=False),
            _Point("Under torch.no_grad()", plan, dtype, grad=False),
            _Point("With large weights", plan, dtype, large=True),
            _Point(
                "With large weights and 40 digits",
                change(plan, steps=40),
                dtype,
                large=True,
                sizes=True,
            ),
            _Point(f"With {long} digits", change(plan, steps=long), dtype, sizes=True),
        ]
        if self.remote.base == 10:
            highest = int(rng.integers(4, 8))
            where = f"With digits from 0 to {highest} alone"
            points.append(_Point(where, plan, dtype, sizes=True, base=highest + 1))
        if free_width:
            where = f"With {wide} hidden units"
            points.append(_Point(where, change(plan, hidden=wide), dtype, sizes=True))
        trained_in = self.remote.world.dtype if self.remote.world else "float32"
        precision = "double" if trained_in == "float64" else "single"
        if dtype == "float64" and trained_in == "float32":
            single = "In single precision (float32), in which it is trained,"
            points.insert(0, _Point(single, plan, "float32"))
        if free_batch:
            other = change(plan, batch=batch)
            points.append(_Point(f"With {batch} samples", other, dtype, sizes=True))
            one = change(plan, batch=1)
            points.append(_Point("With a single sample", one, dtype, sizes=True))
        if free_batch and free_width:
            equal = change(plan, batch=6, hidden=6)
            points.append(_Point("With as many samples as hidden units", equal, dtype, sizes=True))
        for training, grad in ((True, True), (False, False)):
            sizes = change(
                plan,
                hidden=2 * int(rng.integers(3, 30)) if free_width else self.remote.hidden,
                steps=int(rng.integers(11, 50)),
                batch=int(rng.integers(4, 20)) if free_batch else plan.batch,
            )
            mode = "" if training else ", after eval() and under torch.no_grad()"
            where = (f"With {sizes.steps} digits, {sizes.hidden} hidden units and {sizes.batch} "
                     f"samples in {precision} precision{mode},")  # fmt: skip
            points.append(_Point(where, sizes, trained_in, training, grad, sizes=True))
        return points

    def world(self) -> _Point:
        """As the training script builds and feeds it, or as the sheet does."""
        world, plan = self.remote.world, self.remote.plan
        home = None if world is None else _plan_of(world, self.remote)
        if world is None or home is None:
            home = dataclasses.replace(plan, hidden=128, batch=128, steps=10)
            dtype = world.dtype if world else "float32"
            where = f"With 128 hidden units, 128 samples and 10 digits in {dtype}"
            return _Point(where, home, dtype, sizes=True)
        where = (f"As the training script builds and feeds it ({home.hidden} hidden units, "
                 f"{home.batch} samples, {home.steps} digits, {world.dtype})")  # fmt: skip
        arguments = {"args": [], "kwargs": world.arguments}
        return _Point(where, home, world.dtype, sizes=True, arguments=arguments)

    def place(self, point: _Point) -> _Placed | None:
        """The network at a point; None where its roles are not known there."""
        remote = self.remote.elsewhere(point.plan, point.dtype, point.arguments)
        remote.training = point.training
        remote.base = point.base or remote.base
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
            placed = self.place(point)
            if placed is None or _work(placed) > _MOST_WORK:
                return True
            if point.large and self.behaviour.transform == "softmax":
                return True  # their logarithms are rounded away
            remote, digits = placed.remote, placed.remote.digits()
            values = self.values(placed, point.large)
            if point.plan.hidden > 12:
                self.remote.called |= remote.operations(values[None], digits)
            raw = remote.ask(values[None], digits, fresh=True, grad=point.grad)
        except ChildRefused as error:
            return self.stop(point, error)
        inputs = self.inputs(remote, values, digits)
        assert inputs is not None
        if raw.shape[1:] != (point.plan.batch, self.remote.width):
            return self.depart(point)
        with np.errstate(all="ignore"):
            expected, shaken = self.expected(placed, values, inputs)
            seen = self.behaviour.undo(raw)[0]
        size = 1 + float(np.abs(expected).max())
        near = (1e-8 if remote.dtype == "float64" else 1e-4) if not point.large else 1e-3
        bound = near * size + 100 * np.abs(shaken - expected).max()
        if not bound < 0.05 * size:
            return True  # too unruly there for anything to be said
        if np.isfinite(seen).all() and (np.abs(seen - expected) <= bound).all():
            return True
        return self.depart(point)

    def expected(self, placed: _Placed, values: Numbers, inputs: Numbers) -> Numbers:
        """What the equations answer, and what they do after rounding, shape (2, B, K)."""
        vector = canonical(placed.of, values, placed.layout.size)
        eps = 2.0**-52 if placed.remote.dtype == "float64" else 2.0**-23
        shaken = vector * (1 + 4 * eps * self.rng.choice([-1, 1], len(vector)))
        both = np.stack([vector, shaken])
        found = answers(self.roles.cell, placed.layout, both, inputs)
        return self.behaviour.centre(found)

    def stop(self, point: _Point, error: ChildRefused) -> bool:
        """An error of the network at a point; returns whether others are still looked at."""
        if point.dtype == "float32" and self.remote.built_in == "float64" and not point.sizes:
            self.findings.add("fails-in-single-precision", *error.place, error=error)
            return False
        if not point.grad and not point.sizes:
            return True  # is looked at in any case
        if point.arguments is None:  # the training script gives these, and trained it
            self.stopped.append((point, error))
        return point.sizes

    def depart(self, point: _Point) -> bool:
        """Report a departure from the equations; returns False."""
        longer = point.plan.steps > self.remote.plan.steps
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
        else:
            equations = EQUATIONS[self.roles.cell.kind]
            self.findings.add(
                "departs-elsewhere", where=point.where, equations=equations, small=self.small
            )
        return False

    def unread(self, point: _Point) -> list[int]:
        """The steps whose digit never matters at a point."""
        steps = point.plan.steps
        if self.remote.plan.batch not in (7, 3):
            return []
        plan = dataclasses.replace(point.plan, batch=steps + 1)
        placed = self.place(point._replace(plan=plan))
        if placed is None:
            return []
        digits = np.repeat(placed.remote.digits()[:1], steps + 1, axis=0)
        changed = np.arange(steps)
        digits[changed, changed] = (digits[changed, changed] + 1) % self.remote.base
        values = self.values(placed)
        try:
            [found] = placed.remote.ask(values[None], np.ascontiguousarray(digits), fresh=True)
        except ChildRefused:
            return []
        bound = 1e-13 if placed.remote.dtype == "float64" else 1e-6
        moved = np.abs(found[:-1] - found[-1]).max(axis=1) > bound * (1 + np.abs(found[-1]).max())
        return [step for step in range(steps) if not moved[step]]

    def values(self, placed: _Placed, large: bool = False) -> Numbers:
        """Random values, shape (P,), under which early digits still matter after a hundred.

        Recurrent weights are nearly orthogonal, forget gates open, and what enters is small.
        """
        layout, rng = placed.layout, self.rng
        wide = np.sqrt(3 / placed.remote.hidden)
        quiet = placed.remote.plan.steps > 10 and not large
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
            vector[layout.slice(name)] = part.reshape(-1)
        vector = vector * (_LARGE if large else 1) / layout.copies()
        free = rng.uniform(-0.5, 0.5, len(placed.of))
        return np.where(placed.of >= 0, vector[placed.of], free)

    def check_gradient(self, point: _Point) -> None:
        """Compare the gradient by the network's backward with the slope of the equations."""
        try:
            placed = self.place(point)
            if placed is None or 12 * _work(placed) > _MOST_WORK:
                return
            values, digits = self.values(placed), placed.remote.digits()
            weights = self.rng.normal(size=(point.plan.batch, self.remote.width))
            gradient = placed.remote.gradient(values[None], digits, weights)
        except ChildRefused:
            return  # it answered there: what stops it was reported
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
                where=point.where,
                tensors=", ".join(tensors[:8]),
                small=self.small,
            )

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
        """Judge the weights as the constructor leaves them."""
        try:
            placed = self.place(point)
        except ChildRefused:
            return
        if placed is None or _work(placed) > _MOST_WORK:
            return
        start = np.concatenate([tensor.values for tensor in placed.remote.tensors])
        if np.isnan(start).any() or self.findings.has("gate-starts-at-zero"):
            return
        vector = canonical(placed.of, start, placed.layout.size)
        if np.isinf(start).any():
            self.findings.add("start-saturated", where="the network")
        elif _units_are_equal(vector, placed.layout):
            self.findings.add("units-start-equal")
        elif not self.findings.faults():  # which may be why there is no gradient
            dead = self.dead_gates(placed, start)
            gates = self.roles.cell.gates
            where = "the network" if len(dead) == len(gates) else f"gate {' and '.join(dead)}"
            if dead:
                self.findings.add("start-saturated", where=where)

    def dead_gates(self, placed: _Placed, start: Numbers) -> list[str]:
        """The gates to whose units next to no gradient comes where training begins."""
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
                return []
            slopes = canonical(placed.of, np.abs(np.nan_to_num(gradient)), layout.size)
            W_x, W_h = (layout.array(slopes[None], name)[0] for name in ("W_x", "W_h"))
            of_units = np.maximum(W_x.max(axis=2), W_h.max(axis=2))  # (G, N)
            alive[sample] = (of_units > _SLOPE * slopes.max(initial=0)).mean(axis=1)
        shares = alive.mean(axis=0)
        return [g for g, share in zip(self.roles.cell.gates, shares, strict=True)
                if share < _ALIVE]  # fmt: skip


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
    given: dict[str, Any] = {}
    for name, value in world.arguments.items():
        inner = value.get("config") if isinstance(value, dict) else None
        given |= inner if isinstance(inner, dict) else {name: value}
    sizes: dict[str, int] = {}
    for name, value in given.items():
        if type(value) is int and 0 < value < 5000:
            sizes.setdefault(role_of(str(name)), value)
    axes = [axis for axis in remote.how["axes"] if axis in "BT"]
    # A D of one may stand there or not.
    fed = [size for size in world.fed if size > 1] if len(world.fed) > 2 else list(world.fed)
    if len(axes) != 2 or len(fed) not in (2, 3) or not given:
        return None
    order = [axis for axis in remote.how["axes"] if axis in "BTD"[: len(fed)]]
    found = dict(zip(order, fed, strict=False))
    return dataclasses.replace(
        remote.plan, hidden=sizes.get("hidden", 128), batch=found["B"], steps=found["T"]
    )
