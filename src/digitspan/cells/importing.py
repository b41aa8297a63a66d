"""Imports a module of one's own from the very bytes that its hash was made of.

Python itself would take what `__pycache__` has of them: whose date and size fit, or which says of
itself that it need not fit. And it would take the first module of that name on its path.
"""

from __future__ import annotations

import contextlib
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Iterator, Sequence
from pathlib import Path

from digitspan.cells.own import Source, digest_of, is_outside
from digitspan.errors import UsageError

__all__ = ["know", "nothing_else"]

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


@contextlib.contextmanager
def nothing_else(cell: str, source: Source) -> Iterator[None]:
    """Refuse code of one's own that is run inside from a file that its source does not name.

    Such as `importlib.util.spec_from_file_location` runs, and a module whose name is computed.

    Raises:
        UsageError: which names the file.
    """
    if not _hears:
        sys.addaudithook(_hear)
        _hears.append(True)
    before, run = set(sys.modules), set[str]()
    _listening.append(run)
    try:
        yield
    finally:
        _listening.remove(run)
    named = {Path(file).resolve() for file, _ in source.files if file}
    for name in sorted(run):
        file = Path(name).resolve()
        if file.is_file() and file not in named and is_outside(file):
            for module in set(source.modules) - before:
                sys.modules.pop(module, None)  # else it would be taken as it is the next time
            message = (
                f"{cell} runs {file.name} in a way that its source does not show, and its runs "
                f"are known by its source: import it by its name"
            )
            raise UsageError(message)


_listening: list[set[str]] = []
"""Who wants to know the files whose code is run now."""

_hears: list[bool] = []
"""Whether Python tells us of code that is run; it cannot be told to stop."""


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    """Note the file of code that is about to be run."""
    if _listening and event == "exec" and isinstance(arguments[0], types.CodeType):
        for run in _listening:
            run.add(arguments[0].co_filename)


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
