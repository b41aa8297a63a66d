"""A network of a hand-in that has been built in the child and can be asked for answers."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np

from digitspan.check.network.equations import Numbers
from digitspan.check.sandbox.process import ChildLost, ChildProcess, ChildRefused
from digitspan.check.sandbox.signatures import (
    SIZES,
    Plan,
    Recipe,
    Signature,
    World,
    call_forms,
    plans,
    recipes,
)

__all__ = ["MAX_NUMBERS", "Built", "Digits", "RemoteNetwork", "Tensor", "build_and_feed"]

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
    kept_shape: tuple[int, ...] = ()
    """The shape of those."""

    @property
    def seen_shape(self) -> tuple[int, ...]:
        """The shape of what is looked at."""
        return self.shape if self.kept is None else self.kept_shape

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
        recipe: how the arguments of its constructor are found.
        seed: of its start, of digits and of values.
    """

    def __init__(
        self, child: ChildProcess, plan: Plan, dtype: str, recipe: Recipe, seed: int
    ) -> None:
        self.child = child
        self.plan = plan
        self.built_in = dtype
        """The default type of number that it is built and fed in."""
        self.dtype = dtype
        """The type of number that its answers have the precision of."""
        self.recipe = recipe
        self.seed = seed
        self.arguments = recipe.arguments(plan)
        self.base = 10
        """The digits go from 0 to one less."""
        self.training = True
        self.world: World | None = recipe.world
        self.how: dict[str, Any] = {}
        self.form = "", ""
        """How forward returns its answer: in a "tuple", "list" or ""; its axes."""
        self.answer_place = -1
        """Which of the tensors that it returns is the answer; -1: the last."""
        self.width = 0
        self.fresh = False
        self.ready_made: list[str] = []
        self.called: set[str] = set()
        """Torch's operations that it was seen to call elsewhere."""
        self.tensors: list[Tensor] = []
        self.at_zero: list[Tensor] = []
        """Those at zero that nothing trains, which are taken for states."""
        self.all_tensors: list[Tensor] = []
        self.arrangements: list[list[Tensor]] = []
        self.hidden = plan.hidden
        self.units = plan.hidden
        self.score = 0.0
        self.work = [0]
        """How much was computed to identify it."""

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
        header, payload = self.build_again()
        values = np.frombuffer(payload[: len(payload) // 8 * 8], dtype=np.float64)
        self.ready_made = [str(name)[:40] for name in header.get("ready_made", [])][:20]
        tensors, self.at_zero = [], []
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
            else:
                self.at_zero.append(tensor)
        self.take(tensors)

    def take(self, tensors: list[Tensor]) -> None:
        """Take some of its tensors for the numbers that it computes with."""
        self.all_tensors = tensors
        self.hidden = hidden_size(tensors, self.plan)
        self.units = self.hidden if self.hidden <= _FEW_UNITS else 3
        self.arrangements = [tensors]
        if self.units < self.hidden:
            self.arrangements = [
                [_few_units(tensor, self.hidden, self.units, first) for tensor in tensors]
                for first in (True, False)
            ]
        self.tensors = self.arrangements[0]

    def build_again(self) -> tuple[dict[str, Any], bytes]:
        """Construct it where the child has another one now."""
        question = {"do": "build", "arguments": self.arguments, "dtype": self.built_in,
                    "seed": self.seed % 2**32}  # fmt: skip
        return self.child.ask(question)

    def ask(
        self,
        values: Numbers,
        digits: Digits,
        *,
        fresh: bool | None = None,
        repeats: int = 1,
        grad: bool = True,
        counted: bool = False,
    ) -> Numbers:
        """Answers, shape (R, B, K), for settings of the numbers, shape (R, P).

        Args:
            values: the settings.
            digits: shape (B, T).
            fresh: a network of its own for each setting.
            repeats: how often it is called for each; the last answer counts.
            grad: outside torch.no_grad().
            counted: an error says how many lines had run.

        Raises:
            ChildRefused: where the network raises an error.
            ChildLost: where the child sends something else than was asked for.
        """
        question = self._question("run", digits, len(values))
        fresh = self.fresh if fresh is None else fresh
        question |= {"fresh": fresh, "repeats": repeats, "grad": grad, "counted": counted}
        header, payload = self.child.ask(question, digits.tobytes() + values.tobytes())
        shape, form = header.get("shape"), header.get("form")
        if (
            not isinstance(shape, list)
            or len(shape) != 3
            or not all(isinstance(size, int) and size > 0 for size in shape)
            or len(payload) != 8 * math.prod(shape)
            or shape[0] != len(values)
            or not isinstance(form, list)
            or len(form) != 3
            or type(form[2]) is not int
        ):
            raise ChildLost("no-answer")
        self.form = str(form[0])[:10], str(form[1])[:10]
        self.answer_place = form[2]
        self.width = shape[2]
        if header.get("single") is True:
            self.dtype = "float32"
        return np.frombuffer(payload, dtype=np.float64).reshape(shape).copy()

    def moved(
        self, values: Numbers, digits: Digits, step: int, answers: Numbers
    ) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which samples' answers change with the first sample's digit at one step, shape (B,)."""
        changed = digits.copy()
        changed[0, step] = (changed[0, step] + (3 if self.base == 10 else 1)) % self.base
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
        """What a call prints and keeps.

        Raises:
            ChildRefused: where the network raises an error.
        """
        question = self._question("habits", digits, 1)
        header, _ = self.child.ask(question, digits.tobytes() + values.tobytes())
        return header

    def operations(self, values: Numbers, digits: Digits) -> set[str]:
        """Torch's operations that a call calls, such as "aten::lstm".

        Raises:
            ChildRefused: where the network raises an error.
        """
        question = self._question("operations", digits, 1)
        header, _ = self.child.ask(question, digits.tobytes() + values.tobytes())
        called = header.get("called")
        return {n for n in called if isinstance(n, str)} if isinstance(called, list) else set()

    def places(
        self, values: Numbers, digits: Digits, targets: list[Numbers], *, grad: bool
    ) -> list[tuple[str, int]]:
        """The file and line that first computes each of some arrays; ("", 0) where none does.

        Raises:
            ChildRefused: where the network raises an error.
            ChildLost: where the child sends something else.
        """
        question = self._question("places", digits, 1) | {"grad": grad}
        question["targets"] = [array.size for array in targets]
        flat = b"".join(array.astype(np.float64).tobytes() for array in targets)
        header, _ = self.child.ask(question, digits.tobytes() + values.tobytes() + flat)
        found = header.get("places")
        if not isinstance(found, list) or len(found) != len(targets):
            raise ChildLost("no-answer")
        return [
            (str(place[0])[:200], place[1])
            if isinstance(place, list) and len(place) == 2 and type(place[1]) is int
            else ("", 0)
            for place in found
        ]

    def random_values(self, rng: np.random.Generator, count: int = 1) -> Numbers:
        """Random settings, shape (count, P): small enough for digits up to 9."""
        return rng.uniform(-0.6, 0.6, (count, self.count))

    def digits(self) -> Digits:
        """Digits to feed, shape (B, T), every one of the ten among them."""
        rng = np.random.default_rng([self.seed, 1])
        several = np.arange(self.plan.batch * self.plan.steps) % self.base
        arranged = rng.permutation(several).reshape(self.plan.batch, self.plan.steps)
        return np.ascontiguousarray(arranged.astype(np.int64))

    def rng(self, purpose: int) -> np.random.Generator:
        """Random numbers for one purpose, the same whenever they are asked for."""
        return np.random.default_rng([self.seed, purpose])

    def elsewhere(
        self, plan: Plan, dtype: str, arguments: dict[str, Any] | None = None
    ) -> RemoteNetwork:
        """The same class at other sizes and in another type of number, built, with all numbers.

        Args:
            plan: the sizes.
            dtype: "float64" or "float32".
            arguments: what the constructor is given, where not by this network's recipe.

        Raises:
            ChildRefused: where it cannot be constructed there.
        """
        other = RemoteNetwork(self.child, plan, dtype, self.recipe, self.seed)
        other.arguments = arguments or other.arguments
        other.base = self.base
        other.fresh = True
        sizes = {str(self.plan.steps): str(plan.steps), str(self.plan.batch): str(plan.batch)}
        states = [sizes.get(kind, kind) for kind in self.how["states"]]
        other.build()
        other.arrangements = [[t._replace(kept=None) for t in other.all_tensors]]
        other.arrange(0)
        other.how = {**self.how, "states": states, "hidden": other.hidden}
        return other

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
            "training": self.training,
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
    kept_shape = tuple(len(axis) for axis in axes)
    return tensor._replace(kept=kept, kept_shape=kept_shape, values=tensor.values[kept])


class Built(NamedTuple):
    """How far building and feeding got."""

    remote: RemoteNetwork | None
    """A network that answers, or None."""
    problem: ChildRefused | None
    """The first error on the way, None where there was none."""
    constructed: bool
    """Whether a network could be constructed at all."""
    stopped_by_digits: ChildRefused | None = None
    """The error of some digits, where only others can be fed."""


def build_and_feed(
    child: ChildProcess,
    signature: Signature,
    world: World | None,
    written: list[int],
    *,
    longer: bool,
    seed: int,
) -> Built:
    """Try sizes, arguments and layouts until a network answers with K numbers a sample.

    What reads the digits and answers K numbers is taken at once; what answers otherwise (with
    another width, say, or to the last digit alone) only where no other sizes do better.

    Args:
        child: where the class was loaded.
        signature: what it wants.
        world: what the training script gives it.
        written: numbers that stand in its code, and may be sizes.
        longer: it is given one more than the digits as its length.
        seed: of everything that is random.
    """
    options = list(plans(written))
    if longer:
        options = [*(dataclasses.replace(plan, longer=1) for plan in options), *options]
    search = _FeedSearch(child, signature, world, seed)
    options += search.as_trained()
    for plan in options:
        search.try_plan(plan)
        if search.good is not None:
            return Built(search.good, None, True)
        if plan is options[0] and search.out_of_range is not None:
            low = _FeedSearch(child, signature, world, seed, base=2)
            low.try_plan(plan)
            if low.good is not None:
                return Built(low.good, None, True, search.out_of_range)
    if search.fallback is not None:
        search.fallback.build()
    problem = search.furthest if search.constructed else search.problem
    return Built(search.fallback, problem, search.constructed)


class _FeedSearch:
    """One search for a way to build and feed a class.

    Args:
        child: where the class was loaded.
        signature: what it wants.
        world: what the training script gives it.
        seed: of everything that is random.
        base: the digits go from 0 to one less.
    """

    def __init__(
        self,
        child: ChildProcess,
        signature: Signature,
        world: World | None,
        seed: int,
        base: int = 10,
    ) -> None:
        self.child, self.signature, self.seed, self.base = child, signature, seed, base
        self.recipes = recipes(signature, world, _roles_by_trying(child, signature, world, seed))
        self.good: RemoteNetwork | None = None
        self.fallback: RemoteNetwork | None = None
        self.constructed = False
        self.problem: ChildRefused | None = None
        """The first error of the constructor."""
        self.furthest: ChildRefused | None = None
        """The error of forward that came after most lines: the layouts before were not meant."""
        self.out_of_range: ChildRefused | None = None
        """The first error of an index, as of a table with fewer rows than digits."""

    def as_trained(self) -> list[Plan]:
        """The sizes with which the training script runs it, where it needs just those."""
        recipe = self.recipes[0]
        given = dict(recipe.given().values())
        fed = sorted(size for size in (recipe.world.fed if recipe.world else ()) if size > 1)
        if len(fed) != 2 or "hidden" not in given:
            return []
        return [Plan(fed[1], given["hidden"], given.get("inputs", 1), steps=fed[0])]

    def try_plan(self, plan: Plan) -> None:
        """Try some sizes in double precision, then in single."""
        if self.fallback is not None and plan.batch != self.fallback.plan.batch:
            return
        for dtype in ("float64", "float32"):
            tried: list[dict[str, Any]] = []
            for recipe in self.recipes:
                remote = RemoteNetwork(self.child, plan, dtype, recipe, self.seed)
                remote.base = self.base
                if remote.arguments is None or remote.arguments in tried:
                    continue
                tried.append(remote.arguments)
                try:
                    self.build(remote)
                except ChildRefused as error:
                    self.problem = self.problem or error
                    continue
                self.constructed = True
                if not self.find_feed(remote):
                    continue
                if remote.score >= _GOOD_SCORE:
                    self.good = remote
                    return
                # The sheet's own sizes, unless these do not even give K numbers.
                right = remote.width == plan.classes
                if self.fallback is None or (right and self.fallback.width != plan.classes):
                    self.fallback = remote

    def build(self, remote: RemoteNetwork) -> None:
        """Build a network; of settings that no script was seen to give, each name that it reads.

        Raises:
            ChildRefused: where it cannot be built even so.
        """
        while True:
            try:
                remote.build()
            except ChildRefused as error:
                names = remote.recipe.settings
                unknown = error.cause == "settings" and error.missing not in ("", *names)
                if not unknown or len(names) >= _MOST_TRIED:
                    raise
                self.recipes = [
                    recipe._replace(settings=(*names, error.missing)) for recipe in self.recipes
                ]
                remote.recipe = remote.recipe._replace(settings=(*names, error.missing))
                remote.arguments = remote.recipe.arguments(remote.plan)
            else:
                return

    def find_feed(self, remote: RemoteNetwork) -> bool:
        """Find how a network wants its digits; returns whether there is a way."""
        digits = remote.digits()
        values = remote.random_values(remote.rng(2), 3)
        chosen: tuple[float, dict[str, Any]] | None = None
        todo = call_forms(self.signature, remote.plan, remote.hidden)
        flattened: list[dict[str, Any]] = []
        while (how := flattened.pop() if flattened else next(todo, None)) is not None:
            remote.how = how
            try:
                answers = remote.ask(values, digits, fresh=True, counted=True)
                score = _score(remote, answers, values, digits)
                if remote.form[1] == "(BT)K" and score < 3:  # its rows may stand step by step
                    flattened = [{**how, "form": [remote.form[0], "(TB)K", remote.answer_place]}]
            except ChildRefused as error:
                if error.type == "IndexError" and self.out_of_range is None:
                    self.out_of_range = error
                if self.furthest is None or error.progress > self.furthest.progress:
                    self.furthest = error
                continue
            if answers.shape[1] != remote.plan.batch:
                continue
            if chosen is None or score > chosen[0]:
                chosen = score, how
            if score >= 3:
                break
        if chosen is None:
            return False
        remote.score, remote.how = chosen
        remote.ask(values, digits, fresh=True)
        sizes = [1, remote.plan.batch, remote.plan.steps, remote.plan.classes, remote.hidden]
        if len(set(sizes)) == len(sizes) and remote.form[1] != "width":
            # At other sizes, where some are equal, the shape alone would not say what is what.
            remote.how = {**remote.how, "form": [*remote.form, remote.answer_place]}
        return True


def _roles_by_trying(
    child: ChildProcess, signature: Signature, world: World | None, seed: int
) -> dict[str, str]:
    """What numbers among a script's arguments are that no name explains: place to role.

    The number of hidden units is what two axes of one tensor hang on. What no axis hangs on is the
    batch or the length where it equals that of what the script feeds.
    """
    recipe = Recipe(signature, world)
    unknown = [place for place, (role, number) in recipe.given().items()
               if role not in SIZES and number > 1][:_MOST_TRIED]  # fmt: skip

    def axes(instead: dict[str, int]) -> list[tuple[int, ...]]:
        remote = RemoteNetwork(child, Plan(1, 1, 1), "float32", recipe, seed)
        remote.arguments = recipe.as_given(instead)
        remote.build()
        return [tensor.shape for tensor in remote.all_tensors]

    roles: dict[str, str] = {}
    fed = sorted(size for size in (world.fed if world else ()) if size > 1)
    for place in unknown:
        number = recipe.given()[place][1]
        try:
            pairs = zip(axes({}), axes({place: 2 * number}), strict=False)
        except ChildRefused:
            continue  # not with such a number
        changed = [sum(a != b for a, b in zip(*shapes, strict=False)) for shapes in pairs]
        if max(changed, default=0) > 1:
            roles[place] = "hidden"
        elif not any(changed) and len(fed) == 2 and fed[0] < fed[1]:
            by_size = {fed[1]: "batch", fed[0]: "length", fed[0] + 1: "full length"}
            roles[place] = by_size.get(number, "other")
    return roles


_MOST_TRIED = 20


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
