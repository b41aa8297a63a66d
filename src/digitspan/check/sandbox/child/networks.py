"""Builds the hand-in's networks and feeds them digits, in whatever form they want them."""

from __future__ import annotations

import argparse
import contextlib
import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch

__all__ = [
    "Entry",
    "Form",
    "Settings",
    "build",
    "entries_of",
    "feed",
    "plain",
    "set_entries",
    "tensors_in",
]

MAX_SCALARS = 4_000_000
"""A network with more numbers than this is not looked into."""


Form = tuple[str, str, int]
"""How forward returned an answer: in a "tuple", a "list" or ""; the axes, such as "BK"; which of
the tensors it is, -1 for the last."""


class Entry(NamedTuple):
    """One tensor of numbers inside a network."""

    name: str
    tensor: torch.Tensor
    kind: str
    """"parameter", "buffer" or "tensor" (any other attribute)."""


def build(network_class: type, arguments: dict[str, Any]) -> Any:
    """Construct a network.

    Args:
        network_class: the hand-in's class.
        arguments: {"args": [...], "kwargs": {...}}; a value {"device": "cpu"} stands for a
            torch.device, {"settings": {...}} for an object with these, {"kept": 0} for one that
            `plain` has kept, with "entries" or "items" in the place of its own.
    """
    args = [_argument(value) for value in arguments["args"]]
    kwargs = {name: _argument(value) for name, value in arguments["kwargs"].items()}
    return network_class(*args, **kwargs)


def entries_of(network: Any) -> list[Entry]:
    """Every tensor of floating-point numbers that a network holds, parameters first."""
    found: list[Entry] = []
    seen: set[int] = set()

    def add(name: str, value: Any, kind: str) -> None:
        if isinstance(value, torch.Tensor) and value.is_floating_point() and value.numel():
            if id(value) not in seen:
                seen.add(id(value))
                found.append(Entry(name, value, kind))

    if isinstance(network, torch.nn.Module):
        for name, parameter in network.named_parameters():
            add(name, parameter, "parameter")
        for name, buffer in network.named_buffers():
            add(name, buffer, "buffer")
    for name, value in _tensors_of(network, "", 4):
        add(name, value, "tensor")
    total = 0
    for position, entry in enumerate(found):
        total += entry.tensor.numel()
        if total > MAX_SCALARS:
            return found[:position]
    return found


def set_entries(entries: list[Entry], values: torch.Tensor, kept: list[list[int] | None]) -> None:
    """Write numbers, shape (P,), into the tensors, one after the other.

    Args:
        entries: the tensors.
        values: the numbers.
        kept: for each tensor, where its numbers belong, all others being zero; None: everywhere.
    """
    start = 0
    with torch.no_grad():
        for entry, places in zip(entries, kept, strict=True):
            count = entry.tensor.numel() if places is None else len(places)
            part = values[start : start + count]
            if places is not None:
                part = torch.zeros(entry.tensor.numel(), dtype=part.dtype).index_copy(
                    0, torch.tensor(places), part
                )
            entry.tensor.data.copy_(part.reshape(entry.tensor.shape))
            start += count


def feed(network: Any, digits: torch.Tensor, how: dict[str, Any]) -> tuple[torch.Tensor, Form]:
    """Feed digits to a network.

    Args:
        network: the network.
        digits: whole numbers, shape (B, T).
        how: {"interface", "axes", "encoding", "dtype", "classes", "states", ...}; see
            `digitspan.check.sandbox.signatures`. {"form": ...} where the form is known.

    Returns:
        What the network answers for the last digit, shape (B, K), and the form it came in.

    Raises:
        ValueError: where nothing in the answer can be that.
    """
    if how["interface"] == "step":
        return _feed_steps(network, digits, how)
    inputs = _arranged(_encoded(digits, how), how["axes"])
    result = network(inputs, *_states(network, digits.shape[0], how))
    return _answer(result, digits.shape[0], digits.shape[1], how)


def _feed_steps(
    network: Any, digits: torch.Tensor, how: dict[str, Any]
) -> tuple[torch.Tensor, Form]:
    """One digit a call; the state is passed on by us or kept by the network."""
    states = _states(network, digits.shape[0], how)
    encoded = _encoded(digits, how)  # (B, T, D)
    result: Any = None
    for t in range(digits.shape[1]):
        x = encoded[:, t]
        orders = {"BD": x, "B": x.reshape(-1), "DB": x.T, "1BD": x[None], "B1D": x[:, None]}
        result = network(orders[how["axes"]], *states)
        if states:
            states = _next_states(result, digits.shape[0], how)
    return _answer(result, digits.shape[0], 1, how, tuple_is_fine=bool(states))


def _next_states(result: Any, batch: int, how: dict[str, Any]) -> list[Any]:
    """The states out of what one step returned, in the order that they are passed in."""
    tensors = list(tensors_in(result))
    sizes = ([batch, how["classes"]], [how["classes"], batch])
    position = next((i for i, t in enumerate(tensors) if list(t.shape[-2:]) in sizes), None)
    if "form" in how:
        position = how["form"][2] % len(tensors) if tensors else None
    states = [tensor for i, tensor in enumerate(tensors) if i != position]
    wanted = len(how["states"])
    if len(states) < wanted:
        message = f"the step returns {len(states)} states, {wanted} go in"
        raise ValueError(message)
    states = states[:wanted]
    if how.get("swapped"):
        states.reverse()
    return [tuple(states)] if how.get("grouped") else states


def _states(network: Any, batch: int, how: dict[str, Any]) -> list[Any]:
    """The states before the first digit: zeros, in the shapes asked for."""
    sizes = {"B": batch, "N": how["hidden"], "1": 1}
    states: list[Any] = []
    for kind in how["states"]:
        if kind == "none":
            states.append(None)
        elif kind.isdigit():
            states.append(int(kind))
        else:
            states.append(torch.zeros([sizes[axis] for axis in kind]))
    return [tuple(states)] if how.get("grouped") and states else states


def _encoded(digits: torch.Tensor, how: dict[str, Any]) -> torch.Tensor:
    """The digits as the network's inputs, shape (B, T, D)."""
    if how["encoding"] == "one-hot":
        encoded = torch.nn.functional.one_hot(digits, 10)
    else:
        encoded = digits.unsqueeze(-1)
    if how["dtype"] == "long":
        return encoded.long()
    if how["dtype"] == "float32":
        return encoded.float()
    return encoded.to(torch.get_default_dtype())


def _arranged(inputs: torch.Tensor, axes: str) -> torch.Tensor:
    """The inputs, shape (B, T, D), with their axes in another order; one left out is of size 1."""
    if "D" not in axes:
        inputs = inputs.squeeze(-1)
        return inputs.T if axes == "TB" else inputs
    return inputs.permute(["BTD".index(axis) for axis in axes])


def _answer(
    result: Any, batch: int, steps: int, how: dict[str, Any], *, tuple_is_fine: bool = False
) -> tuple[torch.Tensor, Form]:
    """The numbers of the last digit, shape (B, K), out of whatever forward returned."""
    if result is None:
        message = "forward returns nothing"
        raise ValueError(message)
    classes = how["classes"]
    tensors = list(tensors_in(result))
    if "form" in how:  # sizes that are equal here say nothing
        container, axes, place = how["form"]
        if -1 <= place < len(tensors):
            answer = _last_digit(tensors[place], axes, batch, steps, classes)
            if answer is not None:
                return answer, (container, axes, place)
    container = "" if isinstance(result, torch.Tensor) or tuple_is_fine else "tuple"
    if isinstance(result, (list, tuple)) and len(tensors) == steps > 1:
        same = {tuple(tensor.shape) for tensor in tensors}
        if same <= {(batch, classes), (classes, batch)}:
            tensors, container = [tensors[-1]], "list"
    places = [*range(len(tensors) - 1), -1] if tensors else []
    for forms in (("BK", "KB"), ("BTK", "TBK", "BKT", "1BK", "B1K", "(BT)K")):
        for place in places:
            for axes in forms:
                answer = _last_digit(tensors[place], axes, batch, steps, classes)
                if answer is not None:
                    return answer, (container, axes, place)
    for place in places:
        tensor = tensors[place]
        if tensor.dim() == 2 and batch in tensor.shape:
            by_sample = tensor if tensor.shape[0] == batch else tensor.T
            return by_sample, (container, "width", place)
    shapes = ", ".join(str(tuple(tensor.shape)) for tensor in tensors[:4])
    message = f"forward returns {shapes or type(result).__name__}"
    raise ValueError(message)


def _last_digit(
    tensor: torch.Tensor, axes: str, batch: int, steps: int, classes: int
) -> torch.Tensor | None:
    """The part of a tensor that belongs to the last digit, shape (B, K); None where it has none.

    Args:
        tensor: of whatever shape.
        axes: what its axes are taken for.
        batch: B.
        steps: T - 1.
        classes: K.
    """
    if axes in ("(BT)K", "(TB)K"):
        if tensor.shape != (batch * steps, classes):
            return None
        return tensor[-batch:] if axes == "(TB)K" else tensor[steps - 1 :: steps]
    sizes = {"B": batch, "T": steps, "K": classes, "1": 1}
    if tensor.shape != tuple(sizes.get(axis, -1) for axis in axes):
        return None
    for axis in "T1":
        if axis in axes:
            tensor = tensor.select(axes.index(axis), -1)
            axes = axes.replace(axis, "")
    return tensor.T if axes == "KB" else tensor


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """The tensors inside nested tuples, lists and dicts, in order."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from tensors_in(item)


def _tensors_of(owner: Any, name: str, depth: int) -> Iterator[tuple[str, Any]]:
    """The tensors that an object keeps in its attributes, lists and dicts."""
    if depth == 0:
        return
    if isinstance(owner, (list, tuple)):
        items: Any = enumerate(owner)
    elif isinstance(owner, dict):
        items = owner.items()
    else:
        items = getattr(owner, "__dict__", {}).items()
    for key, value in list(items)[:1000]:
        inner = str(key) if not name or str(key).startswith("_") else f"{name}.{key}"
        if str(key) in ("_parameters", "_buffers", "_modules"):
            inner = name
        if isinstance(value, torch.Tensor):
            yield inner, value
        elif isinstance(value, (list, tuple, dict, torch.nn.Module)):
            yield from _tensors_of(value, inner, depth - 1)


_KEPT: list[Any] = []
"""Arguments of constructors that no message can hold, for as long as this process lives."""
_MOST_SETTINGS = 100
"""So many entries of a configuration are told of."""


class Settings(argparse.Namespace):
    """Settings that are read as attributes, as items or as keywords."""

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    def keys(self) -> Any:
        """Their names."""
        return vars(self).keys()

    def get(self, name: str, default: Any = None) -> Any:
        """The value of one, or something else where there is none."""
        return vars(self).get(name, default)


def plain(value: Any, depth: int = 4) -> Any:
    """An argument of a constructor as a message can hold it; `_argument` undoes it."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, torch.device):
        return {"device": "cpu"}
    _KEPT.append(value)
    kept = {"kept": len(_KEPT) - 1}
    if depth == 0:
        return kept
    if type(value) in (list, tuple) and len(value) < _MOST_SETTINGS:
        return {**kept, "items": [plain(item, depth - 1) for item in value]}
    entries = _entries_of_settings(value)
    if not entries or len(entries) > _MOST_SETTINGS:
        return kept
    return {**kept, "entries": {name: plain(item, depth - 1) for name, item in entries.items()}}


def _entries_of_settings(value: Any) -> dict[str, Any]:
    """The settings in a dict or an object of whatever class; none where it holds no plain ones."""
    if isinstance(value, dict):
        return dict(value) if all(isinstance(name, str) for name in value) else {}
    if isinstance(value, (type, torch.nn.Module, torch.Tensor)) or callable(value):
        return {}
    # What a class of settings says once for all of them counts too.
    found: dict[str, Any] = {}
    for name in dir(value):
        # A property may raise whatever it likes.
        with contextlib.suppress(Exception):
            item = None if name.startswith("_") else getattr(value, name)
            if isinstance(item, (bool, int, float, str)):
                found[name] = item
    return found


def _argument(value: Any) -> Any:
    """A value of the constructor as the class wants it."""
    if not isinstance(value, dict):
        return value
    if "device" in value:
        return torch.device(value["device"])
    if "settings" in value:
        return Settings(**{name: _argument(item) for name, item in value["settings"].items()})
    kept = _KEPT[value["kept"]]
    if "items" in value:
        return type(kept)(_argument(item) for item in value["items"])
    if "entries" not in value:
        return kept
    entries = {name: _argument(item) for name, item in value["entries"].items()}
    if isinstance(kept, dict):
        return {**kept, **entries}
    if hasattr(kept, "_replace"):
        return kept._replace(**entries)
    changed = copy.copy(kept)
    for name, item in entries.items():
        with contextlib.suppress(AttributeError):  # a property follows from the others
            object.__setattr__(changed, name, item)
    return changed
