"""Keeps torch's compiler from being imported where nobody compiles: that costs half a check."""

from __future__ import annotations

import importlib
import sys
import types
from typing import Any

__all__ = ["leave_compiler_alone"]

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
