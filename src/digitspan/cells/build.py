"""Networks from names: a cell's class is found, built, and filled with its initialisation."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import math
import re
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from digitspan.cells import CELLS
from digitspan.cells.names import LENGTH, own_name
from digitspan.cells.notebook import texts
from digitspan.cells.own import module_of, source_of
from digitspan.cells.seal import sealed, seeded
from digitspan.errors import UsageError

__all__ = ["build", "find", "initialise"]


def build(
    cell: str,
    *,
    input_size: int,
    hidden_size: int,
    num_classes: int,
    initialisation: str,
    length: int,
    generator: torch.Generator,
    source: str = "",
) -> nn.Module:
    """A network of a registered cell or of a class of one's own, filled with its initialisation.

    Args:
        cell: a name of `CELLS`, or `module:Class`.
        input_size: d.
        hidden_size: n.
        num_classes: K.
        initialisation: a name of `INITIALISATIONS`.
        length: T, which only "chrono" asks for, and a class of one's own named `length=T`.
        generator: decides the initialisation, whatever it is.
        source: the hash of the source that a class of one's own must have; empty: whatever it is.

    Raises:
        UsageError: where the module or the class is not there, or its source is another.
    """
    sizes = {"input_size": input_size, "hidden_size": hidden_size, "num_classes": num_classes}
    seed = int(torch.randint(2**62, (), generator=generator))
    if cell in CELLS:
        make: Any = _attribute(f"digitspan.cells.{CELLS[cell].path}")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = make(**sizes)
    else:
        make = find(cell, source)
        # A class of one's own draws from the global generators: give it some that are decided by
        # ours, and leave the global ones as they were.
        name = own_name(cell)
        given = name.arguments | ({LENGTH: length} if name.knows_length else {})
        with sealed(), seeded(seed):
            network = make(**sizes, **given)
    if not isinstance(network, nn.Module):
        message = f"{cell} must build a torch.nn.Module; got {type(network).__name__}"
        raise UsageError(message)
    if cell in CELLS:
        initialise(network, cell, initialisation, length=length, generator=generator)
    return network


def initialise(
    network: nn.Module,
    cell: str,
    initialisation: str,
    *,
    length: int,
    generator: torch.Generator,
) -> None:
    """Fill a network's parameters in place by one of `INITIALISATIONS`.

    Args:
        network: of a registered cell, whose biases begin with b_.
        cell: its name.
        initialisation: the name of one that fits the cell.
        length: T, which only "chrono" asks for.
        generator: decides what is drawn.
    """
    parameters = dict(network.named_parameters())
    hidden_size = parameters["W_ph"].shape[1]
    bound = 1 / math.sqrt(hidden_size)
    with torch.no_grad():
        for name, parameter in parameters.items():
            if initialisation != "normal":
                parameter.uniform_(-bound, bound, generator=generator)
            elif name.startswith("b_"):
                parameter.zero_()
            else:
                parameter.normal_(0, 0.01, generator=generator)
        if initialisation == "orthogonal":
            for name, parameter in parameters.items():
                if name.startswith("W_") and name.endswith("h") and name != "W_ph":
                    parameter.copy_(_orthogonal(parameter, generator))
        elif initialisation == "identity":
            parameters["W_hh"].copy_(torch.eye(hidden_size))
            parameters["b_h"].zero_()
        elif initialisation == "forget-bias-1":
            parameters["b_f"].fill_(1)
        elif initialisation == "chrono":
            longest = max(length - 1, 2)
            time_scale = torch.empty(hidden_size).uniform_(1, longest, generator=generator)
            for name in CELLS[cell].chrono:
                sign = -1 if name.startswith("-") else 1
                parameters[name.removeprefix("-")].copy_(sign * time_scale.log())


def _orthogonal(like: Tensor, generator: torch.Generator) -> Tensor:
    """A random orthogonal matrix (N, N), uniform over all of them (Mezzadri 2007)."""
    gaussian = torch.randn(like.shape, generator=generator, dtype=torch.float64)
    orthogonal, triangular = torch.linalg.qr(gaussian)
    uniform: Tensor = orthogonal * triangular.diagonal().sign()
    return uniform


_imported: dict[str, str] = {}
"""The hash of its source that each module of one's own had when it was imported here."""


def find(cell: str, source: str = "", *, kind: str = "cell") -> object:
    """The class that `module:Class` names; its module is found in the current folder too.

    Args:
        cell: its name.
        source: the hash that its source must have; empty: whatever it is.
        kind: what it is called where it is not there.

    Raises:
        UsageError: where it is not there, or its source is another.
    """
    is_now = source_of(cell, kind=kind).digest
    module = module_of(cell)
    if source and is_now != source:
        message = (
            f"the source of {cell} is not the one that its run was made with (its hash is now "
            f"{is_now}, and was {source}); put the old file back, or run it again"
        )
        raise UsageError(message)
    if module in texts():
        return vars(sys.modules[module]).get(own_name(cell).attribute)  # made anew when it changes
    if module in sys.modules and _imported.setdefault(module, is_now) != is_now:
        message = (
            f"the source of {cell} has changed since it was imported here; start Python again, "
            f"for the old code is still in memory"
        )
        raise UsageError(message)
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    with sealed():
        found = _attribute(f"{module}:{own_name(cell).attribute}", kind)
    _imported[module] = is_now
    return found


def _attribute(path: str, kind: str = "cell") -> object:
    """What `module:name` names."""
    module_name, _, attribute = path.partition(":")
    try:
        found: object = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        missing = str(error.name or "").partition(".")[0]
        if isinstance(error, ModuleNotFoundError) and missing != module_name.partition(".")[0]:
            message = (
                f"{kind} {path!r} imports {missing}, which is not installed here; "
                f"{_installing(missing)}"
            )
            raise UsageError(message) from error
        message = (
            f"{kind} {path!r} was not found ({error}); expected module:Class, the module in the "
            f"current folder or installed"
        )
        raise UsageError(message) from error
    return found


def _installing(module: str) -> str:
    """What to do where a module is missing: the extra of digitspan's that has it, if one has."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        for package in importlib.metadata.requires("digitspan") or ():
            extra = re.search(r"extra == [\"'](\w+)", package)
            name = re.match(r"[\w.-]+", package)
            if extra and name and _normal(name[0]) == _normal(module):
                return f'`pip install "digitspan[{extra[1]}]"` installs it'
    return "install the package that has it, or put its file beside the cell's"


def _normal(name: str) -> str:
    """A package's name as indexes compare it; a module's is often the same."""
    return re.sub(r"[-_.]+", "-", name).lower()
