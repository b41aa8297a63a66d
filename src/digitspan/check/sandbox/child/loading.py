"""Imports the hand-in's files, laid out in whatever way, and finds its classes in them."""

from __future__ import annotations
import __future__

import ast
import importlib
import inspect
import re
import shlex
import sys
import types
from pathlib import Path
from typing import Any

__all__ = [
    "Shell",
    "load_class",
    "package_of",
    "put_on_path",
    "signature_of",
]

_ROOT = "hand_in_root"
"""The package that stands for the folder around the hand-in."""


def load_class(
    file: str, name: str, *, definitions_only: bool = False
) -> tuple[type, list[BaseException]]:
    """Import a file of the hand-in and take a class out of it.

    Args:
        file: the path, relative to the hand-in's root, which is the current folder.
        name: the class.
        definitions_only: run its imports, functions, classes and settings, not what it does.

    Returns:
        The class, and the errors of imports that failed where only definitions were run.

    Raises:
        BaseException: whatever the file raises.
        AttributeError: where the class is not there after all.
    """
    path = Path(file).resolve()
    put_on_path(path)
    skipped: list[BaseException] = []
    # A command line that is read at import is the file's own, without options.
    argv, sys.argv = sys.argv, [str(path)]
    try:
        module = _definitions(path, name, skipped) if definitions_only else _imported(path)
    finally:
        sys.argv = argv
    found = getattr(module, name)
    if not isinstance(found, type):
        message = f"{name} is not a class"
        raise AttributeError(message)
    return found, skipped


def signature_of(function: Any) -> list[list[Any]]:
    """The parameters of a function, without self: [name, kind, has a default, the default]."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []
    described = []
    for parameter in parameters:
        default = parameter.default
        plain = default if isinstance(default, (bool, int, float, str)) else None
        has_default = default is not inspect.Parameter.empty
        described.append([parameter.name, parameter.kind.name, has_default, plain])
    return described


def put_on_path(path: Path) -> None:
    """Make `import x`, `import part1.x` and `import code.part1.x` work, nearest folder first."""
    root = Path.cwd()
    folders = [path.parent]
    while folders[-1] != root and root in folders[-1].parents:
        folders.append(folders[-1].parent)
    # Files that stand in another folder of the hand-in come last.
    others = sorted({file.parent for file in root.rglob("*.py")} - set(folders))
    wanted = [str(folder) for folder in folders + others]
    sys.path[:] = wanted + [entry for entry in sys.path if entry not in wanted]


def _imported(path: Path) -> types.ModuleType:
    """The file as a module: by its own name, or inside its package where it imports relatively."""
    package = package_of(path)
    if package:
        return importlib.import_module(f"{package}.{path.stem}")
    return _run_file(path, path.read_text(encoding="utf-8", errors="replace"))


def package_of(path: Path) -> str:
    """The package that a file's relative imports start from; empty where it has none."""
    tree = ast.parse(path.read_text(encoding="utf-8", errors="replace"), str(path))
    levels = [node.level for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    level = max(levels, default=0)
    folders = path.relative_to(Path.cwd()).parent.parts
    if level and len(folders) >= level:
        # `from .x import y` needs one folder as a package, `from ..x import y` two.
        return ".".join(folders[-level:])
    if level:
        # The folder that was the package is not in the hand-in, only what lay in it.
        root = sys.modules.setdefault(_ROOT, types.ModuleType(_ROOT))
        root.__path__ = [str(Path.cwd())]
        return ".".join((_ROOT, *folders))
    return ""


def _run_file(path: Path, source: str) -> types.ModuleType:
    """Run a file as a module of its own name."""
    known = sys.modules.get(path.stem)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return known
    module = types.ModuleType(path.stem)
    module.__file__ = str(path)
    sys.modules[path.stem] = module
    try:
        exec(compile(source, str(path), "exec", dont_inherit=True), module.__dict__)
    except BaseException:
        sys.modules.pop(path.stem, None)
        if known is not None:
            sys.modules[path.stem] = known
        raise
    return module


def _definitions(path: Path, name: str, skipped: list[BaseException]) -> types.ModuleType:
    """The imports, functions, classes and settings of a file; each that fails is left out."""
    tree = ast.parse(path.read_text(encoding="utf-8", errors="replace"), str(path))
    # Not by its own name: a file that imports this one must not get half of it.
    module = types.ModuleType(f"definitions_of_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module
    own = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    future = any(
        isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body
    )
    flags = __future__.annotations.compiler_flag if future else 0
    problem: Exception | None = None
    for node in tree.body:
        if not _defines(node, own):
            continue
        code = compile(ast.Module([node], []), str(path), "exec", flags, dont_inherit=True)
        try:
            exec(code, module.__dict__)
        except Exception as error:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                skipped.append(error)
            elif isinstance(node, ast.ClassDef) and node.name == name:
                problem = error
    if problem is not None and not hasattr(module, name):
        raise problem
    return module


_DEFINITIONS = (
    ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Pass,
)  # fmt: skip


def _defines(node: ast.stmt, own: set[str]) -> bool:
    """Whether a statement says what things are, and does not work by calling `own` functions."""
    if isinstance(node, _DEFINITIONS):
        return True
    if isinstance(node, (ast.If, ast.Try)):
        # Which device there is, which version of a library; not the file's main part.
        if "__main__" in ast.dump(node):
            return False
        inner = [*node.body, *node.orelse]
        if isinstance(node, ast.Try):
            inner += [*node.finalbody, *(line for part in node.handlers for line in part.body)]
        return all(_defines(line, own) for line in inner)
    calls = [inner.func for inner in ast.walk(node) if isinstance(inner, ast.Call)]
    if any(isinstance(inner, ast.Await) for inner in ast.walk(node)) or any(
        isinstance(call, ast.Name) and call.id in own for call in calls
    ):
        return False
    if isinstance(node, ast.Expr):
        setting = ("add_argument", "set_defaults", "append", "insert", "manual_seed",
                   "set_default_dtype", "set_default_tensor_type")  # fmt: skip
        return bool(calls) and isinstance(calls[0], ast.Attribute) and calls[0].attr in setting
    return isinstance(node, (ast.Assign, ast.AnnAssign))


class Shell:
    """Stands in for IPython's shell, on which a notebook's magics are: it only runs files."""

    def __getattr__(self, name: str) -> Any:
        return lambda *words, **more: []

    def run_line_magic(self, name: str, line: str, *more: Any) -> Any:
        """%run: the Python of a file or a notebook, whose names are the caller's afterwards."""
        words = [word for word in shlex.split(line) if word.endswith((".py", ".ipynb"))]
        if name != "run" or not words:
            return None
        wanted = Path(re.sub(r"\.ipynb$", "_notebook.py", words[0]))
        beside = Path(sys._getframe(1).f_globals.get("__file__", "")).parent
        places = [beside / wanted, *sorted(Path.cwd().rglob(wanted.name))]
        path = next((place for place in places if place.exists()), wanted)
        names = {"__name__": "__main__", "__file__": str(path)}
        argv, sys.argv = sys.argv, [str(path), *shlex.split(line)[1:]]
        try:
            code = compile(path.read_text(encoding="utf-8"), str(path.resolve()), "exec")
            exec(code, names)
        finally:
            sys.argv = argv
        sys._getframe(1).f_globals.update({k: v for k, v in names.items() if k[:2] != "__"})
        return None
