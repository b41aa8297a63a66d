"""A cell of one's own, `module:Class`: what it is made of, told without running any of it.

Its runs are known by a hash of its source: the module, whatever that imports from outside the
installed packages, and the names and versions of the installed packages that these import. The
versions of torch, NumPy and digitspan are not in it: every cell stands on them, and a row names
those that decide its bits. Files are read and parsed, never imported.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.machinery
import importlib.metadata
import importlib.util
import inspect
import json
import site
import sys
import sysconfig
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from digitspan.cells.names import LENGTH, OwnName, own_name
from digitspan.cells.notebook import texts
from digitspan.errors import ConfigError, UsageError, printable

__all__ = [
    "Source",
    "check_source",
    "is_outside",
    "is_own",
    "module_of",
    "source_of",
    "text_of",
    "with_length",
]

_DIGITS = 16
"""Hex digits of a source's hash."""

_UNDER_EVERY_CELL = ("digitspan", "torch", "numpy")
"""Packages whose versions are not in the hash."""

_IMPORTERS = ("import_module", "__import__")
"""Functions whose first argument, where it is a text, is the name of a module."""


class Source(NamedTuple):
    """What a cell of one's own is made of."""

    digest: str
    """The first 16 hex digits of the SHA-256 of it all."""
    modules: tuple[str, ...]
    """The modules outside the installed packages, the cell's own first."""
    packages: tuple[str, ...]
    """The installed packages that they import, `name version` each."""


def is_own(cell: str) -> bool:
    """Whether a name is that of a class of one's own, not of a registered cell."""
    return ":" in cell


def module_of(cell: str) -> str:
    """The module of `module:Class`."""
    return own_name(cell).module


def check_source(cell: str, source: object) -> None:
    """Refuse what is no hash of a source; a registered cell has none.

    Raises:
        ConfigError: with what was got.
    """
    if source == "" and isinstance(source, str):
        return
    hexadecimal = isinstance(source, str) and set(source) <= set("0123456789abcdef")
    if not is_own(cell) or not hexadecimal or len(str(source)) != _DIGITS:
        expected = f"must be {_DIGITS} hex digits, and empty for a registered cell"
        raise ConfigError("source", f"{expected}; got {source!r:.80}")


def source_of(cell: str, *, kind: str = "cell") -> Source:
    """What `module:Class` is made of, as its files are now.

    Modules are found in the current folder and where Python finds them. What is imported by a
    computed name, or read from other files, is not seen.

    Args:
        cell: its name.
        kind: what it is called where it is not there.

    Raises:
        UsageError: where its module is not there.
    """
    importlib.invalidate_caches()
    name = module_of(cell)
    if _find(name) is None and name in sys.modules:
        return _in_memory(cell)
    if _find(name) is None:
        message = (
            f"{kind} {cell!r} was not found (No module named {name!r}); expected module:Class, "
            f"the module in the current folder or installed"
        )
        raise UsageError(message)
    return _followed([name], {})


def _followed(waiting: list[str], files: dict[str, str]) -> Source:
    """The source of some modules and of all that they import, beside files that are known."""
    packages: set[str] = set()
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        # A package's own file is run before a module in it.
        for end in range(1, name.count(".") + 2):
            part = ".".join(name.split(".")[:end])
            if part not in seen:
                seen.add(part)
                waiting += _take(part, files, packages)
    content = json.dumps([sorted(files.items()), sorted(packages)])
    digest = hashlib.sha256(content.encode()).hexdigest()[:_DIGITS]
    return Source(digest, tuple(files), tuple(sorted(packages)))


def text_of(cell: str) -> str:
    """The text of the module of `module:Class`, or of the class alone where nothing else is known.

    A file may say its coding, as Python has it.

    Raises:
        UsageError: where it cannot be read.
    """
    name = own_name(cell)
    spec = _find(name.module)
    try:
        if spec is not None:
            return importlib.util.decode_source(Path(str(spec.origin)).read_bytes())
        if text := texts().get(name.module):
            return text
        made_by = getattr(sys.modules[name.module], name.attribute)
        return textwrap.dedent(inspect.getsource(made_by))
    except (OSError, ValueError, SyntaxError, AttributeError, TypeError, KeyError) as error:
        message = f"the text of {cell} cannot be read ({printable(str(error))[:200]})"
        raise UsageError(message) from error


def _in_memory(cell: str) -> Source:
    """What a class of a notebook is made of: its text, and what that imports."""
    content = _text_in_memory(own_name(cell)).encode()
    digest = hashlib.sha256(content).hexdigest()
    return _followed(list(_imports(content, "")), {module_of(cell): digest})


def _text_in_memory(name: OwnName) -> str:
    """The text of a class whose module has no file: of all its module where that is known."""
    try:
        return text_of(str(name))
    except UsageError:
        return ""  # it is not there, which is said when it is built, or nobody has kept its text


def with_length(cell: str) -> str:
    """A cell's name, with `length=T` where its constructor asks for `length` and was given none.

    Found by reading its source, as it is now: a constructor of its own, or of a class that it is
    derived from by name. Other names are as they were.
    """
    name = own_name(cell) if is_own(cell) else None
    if name is None or name.knows_length or LENGTH in name.arguments:
        return cell
    if _find(name.module) is None and name.module in sys.modules:
        asks = _asks(_parsed(_text_in_memory(name).encode()), name.module, name.attribute, 0)
    else:
        asks = _asks_in_file(name.module, name.attribute, 0)
    return str(name._replace(knows_length=True)) if asks else cell


_MOST_BASES = 20
"""Classes that are followed from one to the next, from where a constructor may be inherited."""


def _asks_in_file(module: str, attribute: str, depth: int) -> bool:
    """Whether the class or function of that name in a module's file asks for `length`."""
    spec = _find(module)
    path = Path(str(spec.origin)) if spec is not None else Path()
    if depth > _MOST_BASES or path.suffix != ".py" or not path.is_file():
        return False
    is_package = spec is not None and spec.submodule_search_locations is not None
    package = module if is_package else module.rpartition(".")[0]
    return _asks(_parsed(path.read_bytes()), package, attribute, depth)


def _asks(tree: ast.Module, package: str, attribute: str, depth: int) -> bool:
    """Whether what has that name in a parsed file asks for `length` when it is called."""
    for node in reversed(tree.body):
        if isinstance(node, ast.FunctionDef) and node.name == attribute:
            return _has_length(node)
        if isinstance(node, ast.ClassDef) and node.name == attribute:
            for inside in reversed(node.body):
                if isinstance(inside, ast.FunctionDef) and inside.name == "__init__":
                    return _has_length(inside)
            names = [base.id for base in node.bases if isinstance(base, ast.Name)]
            if depth > _MOST_BASES:
                return False
            return any(_asks(tree, package, name, depth + 1) for name in names)
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == attribute:
                    base = _absolute("." * node.level + (node.module or ""), package)
                    return bool(base) and _asks_in_file(base, alias.name, depth + 1)
    return False


def _has_length(function: ast.FunctionDef) -> bool:
    """Whether a function has a parameter `length`."""
    parameters = function.args
    return any(each.arg == LENGTH for each in [*parameters.args, *parameters.kwonlyargs])


def _parsed(content: bytes) -> ast.Module:
    """A file's syntax tree; an empty one where it is no Python."""
    try:
        return ast.parse(content)
    except (SyntaxError, ValueError, RecursionError):
        return ast.Module([], [])  # it cannot be imported either, and says so then


def _take(name: str, files: dict[str, str], packages: set[str]) -> list[str]:
    """Take note of one module; gives the names of those that it imports."""
    top = name.partition(".")[0]
    if top in _UNDER_EVERY_CELL:
        return []
    spec = _find(name)
    if spec is None or spec.origin in (None, "built-in", "frozen"):
        return []  # not there, or a folder without a file: what lies in it is asked for by name
    path = Path(str(spec.origin))
    if _lies_in(path, _package_folders()):
        if (package := _package(top)) is not None:
            packages.add(package)
            return []
    elif _lies_in(path, _standard_folders()):
        return []
    content = path.read_bytes()
    if path.suffix != ".py":
        files[name] = hashlib.sha256(content).hexdigest()
        return []
    content = content.replace(b"\r\n", b"\n")  # as Git may have checked it out
    files[name] = hashlib.sha256(content).hexdigest()
    is_package = spec.submodule_search_locations is not None
    return list(_imports(content, name if is_package else name.rpartition(".")[0]))


def _imports(content: bytes, package: str) -> Iterator[str]:
    """The names of the modules, and of what may be modules, that a file imports anywhere in it."""
    for node in ast.walk(_parsed(content)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute("." * node.level + (node.module or ""), package)
            if base:
                yield base
                yield from (f"{base}.{alias.name}" for alias in node.names if alias.name != "*")
        elif isinstance(node, ast.Call) and node.args:
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            first = node.args[0]
            if called in _IMPORTERS and isinstance(first, ast.Constant):
                yield _absolute(str(first.value), package)


def _absolute(name: str, package: str) -> str:
    """A module's name without leading dots; empty where they lead out of the package."""
    try:
        return importlib.util.resolve_name(name, package) if name else ""
    except ImportError:
        return ""


def _find(name: str) -> importlib.machinery.ModuleSpec | None:
    """Where a module is, without importing it or the packages it lies in."""
    folders: list[str] | None = [str(Path.cwd()), *sys.path]
    spec = None
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        part = ".".join(parts[:end])
        spec = importlib.machinery.PathFinder.find_spec(part, folders)
        if spec is None and end == 1:
            spec = _find_elsewhere(part)
        if spec is None:
            return None
        places = spec.submodule_search_locations
        folders = None if places is None else list(places)
        if folders is None and end < len(parts):
            return None
    return spec


def _find_elsewhere(name: str) -> importlib.machinery.ModuleSpec | None:
    """A package that is installed to be edited is found by a finder of its own."""
    for finder in sys.meta_path:
        if "editable" in f"{finder!r} {getattr(finder, '__module__', '')}".lower():
            spec: importlib.machinery.ModuleSpec | None = finder.find_spec(name, None)
            if spec is not None:
                return spec
    return None


def is_outside(path: Path) -> bool:
    """Whether a file belongs neither to Python nor to an installed package, nor to this one."""
    return not _lies_in(path, (*_standard_folders(), *_package_folders(), _OURS))


_OURS = Path(__file__).resolve().parents[1]


def _lies_in(path: Path, folders: tuple[Path, ...]) -> bool:
    """Whether a file lies in one of some folders."""
    whole = path.resolve()
    return any(whole.is_relative_to(folder) for folder in folders)


@functools.cache
def _standard_folders() -> tuple[Path, ...]:
    """Where Python's own modules are; a virtual environment may lie there too."""
    return tuple({Path(sysconfig.get_path(key)).resolve() for key in ("stdlib", "platstdlib")})


@functools.cache
def _package_folders() -> tuple[Path, ...]:
    """Where installed packages are: also those of another environment that PYTHONPATH names."""
    places = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    places |= {*site.getsitepackages(), site.getusersitepackages()}
    places |= {path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")}
    return tuple(Path(place).resolve() for place in places)


@functools.cache
def _package(top: str) -> str | None:
    """Name and version of the installed package that a module belongs to; None: to none."""
    try:
        return f"{top} {importlib.metadata.version(top)}"
    except importlib.metadata.PackageNotFoundError:
        names = importlib.metadata.packages_distributions().get(top, ())
        versions = [f"{name} {importlib.metadata.version(name)}" for name in sorted(set(names))]
        return ", ".join(versions) or None
