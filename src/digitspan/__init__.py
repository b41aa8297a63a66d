"""The digit-span test for recurrent networks: how far back does a network remember?"""

from __future__ import annotations

import importlib
import types
from typing import TYPE_CHECKING, Any

from digitspan import study

__version__ = "0.1.0"

# Loaded on first use, so that `import digitspan` and `digitspan --help` do not pay for torch.
_HOME = {
    "CELLS": "cells",
    "DigitspanError": "errors",
    "LSTM": "part1.lstm",
    "PalindromeDataset": "part1.dataset",
    "RunConfig": "runs.config",
    "RunRecord": "runs.record",
    "Study": "api",
    "VanillaRNN": "part1.vanilla_rnn",
    "cell": "cells.notebook",
    "compare": "api",
    "train": "training.run",
}

__all__ = ["__version__", "study", *_HOME]

if TYPE_CHECKING:
    from digitspan.api import Study as Study
    from digitspan.api import compare as compare
    from digitspan.cells import CELLS as CELLS
    from digitspan.cells.notebook import cell as cell
    from digitspan.errors import DigitspanError as DigitspanError
    from digitspan.part1.dataset import PalindromeDataset as PalindromeDataset
    from digitspan.part1.lstm import LSTM as LSTM
    from digitspan.part1.vanilla_rnn import VanillaRNN as VanillaRNN
    from digitspan.runs.config import RunConfig as RunConfig
    from digitspan.runs.record import RunRecord as RunRecord
    from digitspan.training.run import train as train


class _CallableModule(types.ModuleType):
    """A module that is called as the function of its name: `digitspan.study(...)`."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Run what is missing of a study, and give it: see `digitspan.api.study`."""
        return importlib.import_module("digitspan.api").study(*arguments, **options)


# The folder of what studies consist of has that name too: whichever is meant, it is there.
study.__class__ = _CallableModule


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        message = f"module 'digitspan' has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(importlib.import_module(f"digitspan.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
