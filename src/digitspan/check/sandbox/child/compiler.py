"""Keeps torch's compiler from being imported where nobody compiles: it costs more than a check."""

from __future__ import annotations

import importlib
import sys
import types
from typing import Any

import torch

__all__ = ["fill_new_memory", "leave_compiler_alone"]

_NAME = "torch._dynamo"


class _Compiler(types.ModuleType):
    """Stands for the compiler until more is asked of it than to leave something alone.

    Optimisers import it at their first step, for a second and more, only to say so.
    """

    def disable(self, fn: Any = None, *args: Any, **kwargs: Any) -> Any:
        """The function as it is."""
        return fn if fn is not None else lambda function: function

    def graph_break(self, *args: Any, **kwargs: Any) -> None:
        """Nothing, as nothing is compiled."""

    def is_compiling(self) -> bool:
        """False."""
        return False

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__path__":
            raise AttributeError(name)  # who looks through all modules asks for no compiler
        if sys.modules.get(_NAME) is self:
            del sys.modules[_NAME]
        return getattr(importlib.import_module(_NAME), name)


def leave_compiler_alone() -> None:
    """Put a stand-in in the compiler's place, if it is not there yet."""
    sys.modules.setdefault(_NAME, _Compiler(_NAME))


def fill_new_memory(on: bool) -> None:
    """Fill new memory with NaN, as torch's deterministic mode does.

    torch.use_deterministic_algorithms would first import the compiler.
    """
    try:
        torch._C._set_deterministic_algorithms(on, warn_only=True)
    except (AttributeError, TypeError):  # another torch: slower, and the same
        torch.use_deterministic_algorithms(on, warn_only=True)
