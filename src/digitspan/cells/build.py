"""Networks from names: a cell's class is found, built, and filled with its initialisation."""

from __future__ import annotations

import importlib
import math
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from digitspan.cells import CELLS
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
) -> nn.Module:
    """A network of a registered cell or of a class of one's own, filled with its initialisation.

    Args:
        cell: a name of `CELLS`, or `module:Class`.
        input_size: d.
        hidden_size: n.
        num_classes: K.
        initialisation: a name of `INITIALISATIONS`.
        length: T, which only "chrono" asks for.
        generator: decides the initialisation, whatever it is.

    Raises:
        UsageError: where the module or the class is not there.
    """
    path = f"digitspan.cells.{CELLS[cell].path}" if cell in CELLS else cell
    make: Any = find(path)
    # A class of one's own draws from torch's global generator: give it one that is decided by
    # ours, and leave the global one as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        network = make(input_size=input_size, hidden_size=hidden_size, num_classes=num_classes)
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


def find(path: str) -> object:
    """What `module:name` names; modules are found in the current folder, in workers too.

    Raises:
        UsageError: where it is not there.
    """
    module_name, _, attribute = path.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: object = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        message = (
            f"cell {path!r} was not found ({error}); expected module:Class, the module in the "
            f"current folder or installed"
        )
        raise UsageError(message) from error
    return found
