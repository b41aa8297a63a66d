"""How a class of a hand-in may want to be built and fed: guesses in order, the sheet's first."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

__all__ = [
    "SIZES",
    "Plan",
    "Recipe",
    "Signature",
    "World",
    "call_forms",
    "plans",
    "recipes",
    "role_of",
]


class Signature(NamedTuple):
    """What the child says of a class; nothing of it is trusted."""

    constructor: list[list[Any]]
    """The parameters of __init__: [name, kind, has a default, the default]."""
    forward: list[list[Any]]
    """Those of forward."""


class World(NamedTuple):
    """How a training script builds and feeds a network; nothing of it is trusted."""

    arguments: dict[str, Any]
    """What the constructor is given, by name."""
    fed: tuple[int, ...]
    """The shape of its input; empty where that is not known."""
    dtype: str
    """"float32" or "float64"."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """The sizes that a network is tried with."""

    batch: int
    """B."""
    hidden: int
    """N."""
    inputs: int
    """D, as the constructor is given it."""
    steps: int = 5
    """Digits fed, T - 1."""
    classes: int = 10
    """K."""
    longer: int = 0
    """How much more than `steps` the constructor is given as the length."""


class Recipe(NamedTuple):
    """A way to find arguments for a constructor, whatever the sizes."""

    signature: Signature
    world: World | None
    """What a training script gives it, where one does."""
    by_place: bool = False
    """By the order of the course's template instead of by the parameters' names."""
    device: Any = "cpu"
    """The CPU, as a word or as a torch.device."""
    learned: dict[str, str] | None = None
    """What numbers among the script's arguments are that no name explains: place to role."""
    settings: tuple[str, ...] = ()
    """Names that the class was seen to read from its settings, beside the template's."""

    def arguments(self, plan: Plan) -> dict[str, Any] | None:
        """Arguments for the constructor; None where this way gives none."""
        if self.by_place and self.signature.constructor and not self._named():
            return {"args": [], "kwargs": _settings(plan, self.settings)}
        if self.by_place:
            return _by_place(self._named(), plan, self.device)
        return self._arranged(self._by_name(plan))

    def as_given(self, instead: dict[str, int] | None = None) -> dict[str, Any]:
        """The script's own arguments, with another number at some places."""
        other = instead or {}
        given = self.world.arguments if self.world else {}
        return self._arranged(
            {
                name: _with(value, lambda place, old: other.get(place, old), name)
                for name, value in given.items()
            }
        )

    def given(self) -> dict[str, tuple[str, int]]:
        """The whole numbers among the script's arguments: place to role and number."""
        found = {}

        def note(place: str, number: Any) -> Any:
            if type(number) is int:
                found[place] = self._role(place), number
            return number

        for name, value in (self.world.arguments if self.world else {}).items():
            _with(value, note, name)
        return found

    def _role(self, place: str) -> str:
        """What an argument is, by its name or by what was learned of it."""
        role = role_of(place.rpartition(".")[2])
        return role if role in SIZES else (self.learned or {}).get(place, role)

    def _named(self) -> list[list[Any]]:
        """The parameters that have names of their own."""
        return [p for p in self.signature.constructor if not str(p[1]).startswith("VAR_")]

    def _by_name(self, plan: Plan) -> dict[str, Any]:
        """Each argument by what its name means.

        What a training script gives keeps its form, with the plan's sizes in it. What no name
        explains is what the script gives, else its default, else 1.
        """
        given = self.world.arguments if self.world else {}
        sizes = _sizes(plan)

        def sized(place: str, value: Any) -> Any:
            role = self._role(place)
            if role == "device" and (value is None or isinstance(value, str)):
                return self.device
            return sizes[role] if role in sizes and type(value) is int else value

        values = {name: _with(value, sized, name) for name, value in given.items()}
        for name, _, has_default, _ in self._named():
            role = role_of(str(name))
            if str(name) not in values and not (has_default and role in _LEFT_AT_DEFAULT):
                settings = _settings(plan, self.settings)
                values[str(name)] = _value(role, plan, self.device, settings)
        return values

    def _arranged(self, values: dict[str, Any]) -> dict[str, Any]:
        """Arguments by place and by keyword, as the signature wants them."""
        args: list[Any] = []
        kwargs = dict(values)
        kinds = [p[1] for p in self.signature.constructor]
        for name, kind, *_ in self.signature.constructor:
            if kind == "VAR_POSITIONAL":
                more = kwargs.pop(str(name), None)
                args += more["items"] if isinstance(more, dict) and "items" in more else []
            elif kind == "POSITIONAL_ONLY" or (
                kind == "POSITIONAL_OR_KEYWORD" and "VAR_POSITIONAL" in kinds
            ):
                args += [kwargs.pop(str(name))] if str(name) in kwargs else []
        if "VAR_KEYWORD" not in kinds:
            known = {str(p[0]) for p in self.signature.constructor}
            kwargs = {name: value for name, value in kwargs.items() if name in known}
        return {"args": args, "kwargs": kwargs}


def plans(written: list[int]) -> Iterator[Plan]:
    """Sizes, all different where that works: an exchanged axis shows at once.

    Args:
        written: numbers that stand in the code, and may be sizes.
    """
    for batch, hidden in ((7, 3), (7, 4), (3, 3), (128, 3)):
        for inputs in (1, 10):
            yield Plan(batch, hidden, inputs)
    # The template's length of 10, and sizes that are written into the code.
    for inputs in (1, 10):
        yield Plan(7, 3, inputs, steps=10)
    for batch in [size for size in written if size not in (3, 7, 10, 128) and size < 600][:3]:
        yield Plan(batch, 3, 1)
    for size in [size for size in written if 20 <= size < 600][:2]:
        yield Plan(size, size, 1)


def recipes(
    signature: Signature, world: World | None, learned: dict[str, str] | None = None
) -> list[Recipe]:
    """Ways to find arguments for a constructor, by the names of its parameters first."""
    return [
        Recipe(signature, world, by_place, device, learned)
        for device in ("cpu", {"device": "cpu"})
        for by_place in (False, True)
    ]


def call_forms(signature: Signature, plan: Plan, hidden: int) -> Iterator[dict[str, Any]]:
    """Ways to call forward with digits, in a network of so many hidden units."""
    required = [
        p
        for p in signature.forward
        if not p[2] and p[1] in ("POSITIONAL_ONLY", "POSITIONAL_OR_KEYWORD")
    ]
    common = {"classes": plan.classes, "hidden": hidden}
    encodings = ["number"] if plan.inputs == 1 else ["one-hot", "number"]
    more = len(required) - 1
    for interface, arrangements in (("sequence", _arrangements), ("step", _step_arrangements)):
        for states, encoding in itertools.product(_state_lists(more, plan), encodings):
            for axes, dtype in arrangements(encoding):
                form = {"interface": interface, "axes": axes, "dtype": dtype, "encoding": encoding}
                yield {**common, **states, **form}


def _step_arrangements(encoding: str) -> list[tuple[str, str]]:
    """As `_arrangements`, for one digit a call."""
    numbers = [("B", "float"), ("B", "long")] if encoding == "number" else []
    return [("BD", "float"), *numbers, ("B1D", "float"), ("DB", "float"), ("1BD", "float")]


def _arrangements(encoding: str) -> list[tuple[str, str]]:
    """Orders of the axes with a type of number."""
    orders = ["BTD", "TBD", "BDT", "DBT", "TDB", "DTB"]
    if encoding == "one-hot":
        return [(axes, dtype) for axes in orders for dtype in ("float", "long", "float32")]
    return [
        ("BT", "float"), ("BTD", "float"), ("BT", "long"), ("TB", "float"), ("TBD", "float"),
        ("BDT", "float"), ("BT", "float32"), ("BTD", "float32"), ("TB", "long"), ("BTD", "long"),
        ("DBT", "float"), ("TDB", "float"), ("TB", "float32"), ("TBD", "float32"),
    ]  # fmt: skip


def _state_lists(more: int, plan: Plan) -> list[dict[str, Any]]:
    """What forward's further arguments may be: states of zeros, None, or a number."""
    if more <= 0:
        return [{"states": []}]
    lists: list[dict[str, Any]] = []
    for kind in ("BN", "1N", "N", "NB", "1BN", "none", str(plan.batch), str(plan.steps)):
        lists.append({"states": [kind] * more})
        if more == 2 and kind not in ("none", str(plan.batch), str(plan.steps)):
            lists.append({"states": [kind] * more, "swapped": True})
        if more == 1 and kind in ("BN", "1N", "NB", "1BN"):
            lists.append({"states": [kind] * 2, "grouped": True})
            lists.append({"states": [kind] * 2, "grouped": True, "swapped": True})
    return lists


def _with(value: Any, change: Callable[[str, Any], Any], place: str) -> Any:
    """A value that a script gives, with each plain one in it changed: change(place, value)."""
    if not isinstance(value, dict) or "kept" not in value:
        return change(place, value)
    entries, items = value.get("entries"), value.get("items")
    if isinstance(entries, dict):
        inner = {name: _with(item, change, f"{place}.{name}") for name, item in entries.items()}
        return {**value, "entries": inner}
    if isinstance(items, list):
        several = [_with(item, change, f"{place}.{n}") for n, item in enumerate(items)]
        return {**value, "items": several}
    return value


def _by_place(parameters: list[list[Any]], plan: Plan, device: Any) -> dict[str, Any] | None:
    """Positional arguments in the order of the course's template, where the names say nothing."""
    required = [p for p in parameters if not p[2]]
    known = [p for p in required if role_of(str(p[0])) != "other"]
    if len(known) == len(required) or not 3 <= len(required) <= 6:
        return None
    order = [plan.steps + plan.longer, plan.inputs, plan.hidden, plan.classes, plan.batch, device]
    if len(required) == 3:
        order = order[1:4]
    return {"args": order[: len(required)], "kwargs": {}}


SIZES = ("length", "batch", "hidden", "classes", "inputs")
"""The roles that are sizes."""
_LEFT_AT_DEFAULT = ("other", "layers", "dropout", "flag")


def role_of(name: str) -> str:
    """What a parameter of a constructor is, by its name."""
    word = name.lower().strip("_")
    if "dropout" in word:
        return "dropout"
    if word in ("config", "cfg", "args", "opt", "opts", "options", "params", "hparams", "flags"):
        return "config"
    if word in ("batch_first", "bias", "use_bias", "bidirectional", "verbose", "one_hot"):
        return "flag"
    tests = (
        ("device", ("device", "dev", "gpu", "cuda")),
        ("layers", ("layer",)),
        ("length", ("seq", "length", "len", "timestep", "time_step", "n_steps", "num_steps")),
        ("batch", ("batch", "bsz", "bs")),
        ("hidden", ("hid", "units", "state", "rnn_size", "cell_size", "lstm_size", "neuron")),
        ("classes", ("class", "out", "label", "target", "num_digits")),
        ("inputs", ("input", "in_", "dim", "feature", "embed", "emb", "vocab", "num_in", "n_in")),
    )
    if word in ("t", "n", "h", "k", "d", "m", "b"):
        return {"t": "length", "n": "hidden", "h": "hidden", "k": "classes", "d": "inputs",
                "m": "batch", "b": "batch"}[word]  # fmt: skip
    for role, parts in tests:
        if any(part in word for part in parts):
            return role
    return "other"


def _sizes(plan: Plan) -> dict[str, int]:
    """The sizes of a plan, by role."""
    return {
        "length": plan.steps + plan.longer,
        "full length": plan.steps + 1,
        "batch": plan.batch,
        "hidden": plan.hidden,
        "classes": plan.classes,
        "inputs": plan.inputs,
    }


def _value(role: str, plan: Plan, device: Any, settings: dict[str, Any]) -> Any:
    """The value of a parameter of the constructor that no script gives."""
    if role == "config":
        return {"settings": settings}
    others: dict[str, Any] = {"dropout": 0.0, "flag": True, "device": device}
    return {**others, **_sizes(plan)}.get(role, 1)


def _settings(plan: Plan, more: tuple[str, ...] = ()) -> dict[str, Any]:
    """The settings of the template's command line, under their many names, and others by name."""
    several: tuple[tuple[str, int], ...] = (
        ("input_length seq_length seq_len sequence_length length T", plan.steps + plan.longer),
        ("input_dim input_size in_dim embedding_dim", plan.inputs),
        ("num_hidden hidden_dim hidden_size n_hidden", plan.hidden),
        ("num_classes output_dim output_size out_dim", plan.classes),
    )
    settings: dict[str, Any] = {name: size for names, size in several for name in names.split()}
    settings.update(batch_size=plan.batch, device="cpu", learning_rate=0.001, train_steps=3)
    settings.update(max_norm=10.0, model_type="RNN", dropout=0.0, num_layers=1, seed=0)
    for name in more:
        settings[name] = _value(role_of(name), plan, "cpu", {})
    return settings
