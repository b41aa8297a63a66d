"""Imports a module of one's own from the very bytes that its hash was made of.

Python itself would take what `__pycache__` has of them: whose date and size fit, or which says of
itself that it need not fit. And it would take the first module of that name on its path.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Sequence
from pathlib import Path

from digitspan.cells.own import Source, digest_of, is_outside
from digitspan.errors import UsageError

__all__ = ["know"]

_files: dict[str, tuple[str, str]] = {}
"""Where the file of each module of one's own is, and its hash."""


def know(cell: str, source: Source) -> None:
    """From now on let this process import what a cell is made of from those files.

    Raises:
        UsageError: where some of it was imported here when it was another.
    """
    for name, (file, digest) in zip(source.modules, source.files, strict=True):
        if name in sys.modules and _files.setdefault(name, (file, digest))[1] != digest:
            message = (
                f"the source of {cell} has changed since it was imported here; start Python "
                f"again, for the old code is still in memory"
            )
            raise UsageError(message)
        there = Path(getattr(sys.modules.get(name), "__file__", None) or file)
        if file and there.resolve() != Path(file).resolve() and is_outside(there):
            message = (
                f"{name}, of {cell}, was imported here from {there}, and its source is now that "
                f"of {file}; start Python again"
            )
            raise UsageError(message)
        _files[name] = file, digest
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder:
    """Finds modules of one's own where their hashes were made."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        file, _ = _files.get(name, ("", ""))
        if not file:
            return None
        loader = _FromSource(name, file) if file.endswith(".py") else None
        return importlib.util.spec_from_file_location(name, file, loader=loader)


class _FromSource(importlib.machinery.SourceFileLoader):
    """Compiles a file, whatever `__pycache__` has of it, if it is still the one of the hash."""

    def get_code(self, fullname: str) -> types.CodeType:
        content = self.get_data(self.path)
        if digest_of(content) != _files[fullname][1]:
            message = f"{self.path} has changed while it was imported; call again"
            raise UsageError(message)
        code: types.CodeType = self.source_to_code(content, self.path)
        return code
