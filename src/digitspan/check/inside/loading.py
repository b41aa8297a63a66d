"""Imports the hand-in's files, laid out in whatever way, and finds its classes in them."""

from __future__ import annotations

import ast
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import inspect
import re
import sys
import types
from pathlib import Path
from typing import Any

__all__ = ["StandIns", "load_class", "signature_of"]

STAND_INS = frozenset(
    "matplotlib pylab seaborn plotly bokeh altair tensorboardX tensorboard tensorboard_logger "
    "tqdm pandas sklearn scipy skimage cv2 PIL imageio IPython ipywidgets torchvision torchaudio "
    "torchtext torchsummary torchinfo torchviz torchmetrics pytorch_lightning lightning wandb "
    "mlflow comet_ml neptune google yaml h5py tabulate termcolor colorama rich joblib dill psutil "
    "pytest nltk gym ignite accelerate einops jaxtyping typeguard beartype visdom livelossplot "
    "future six past prettytable loguru fire click absl hydra omegaconf requests".split()
)
"""Libraries that a hand-in may use around its networks: where one is missing, an empty stand-in
takes its place, so that the classes can be imported."""


_COURSE_FOLDER = re.compile(r"(part|assignment|code|src|task|exercise|ex|hw|sheet)[_\d]*$")


class _Anything:
    """Takes any call, attribute, item or loop, and does nothing."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # Used as a decorator it leaves what it decorates alone; tqdm(x) is x.
        return args[0] if args else self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Anything()

    def __getitem__(self, key: Any) -> Any:
        return _Anything()

    def __iter__(self) -> Any:
        return iter((_Anything(), _Anything()))

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exception: object) -> None:
        return None

    def __mro_entries__(self, bases: Any) -> tuple[type, ...]:
        return (object,)


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds an empty stand-in for a well-known library that is not installed here."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """A stand-in for a known name and what lies under it, None for all others."""
        if name.partition(".")[0] in STAND_INS:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        if path is None and _COURSE_FOLDER.match(name):
            # `from part1.dataset import x` in files that no longer lie in a folder part1.
            spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = [
                str(folder)
                for folder in sorted({file.parent for file in Path.cwd().rglob("*.py")})
            ]
            return spec
        return None

    def create_module(self, spec: Any) -> types.ModuleType:
        """An empty module whose every attribute is there."""
        module = types.ModuleType(spec.name)
        module.__path__ = []
        module.__getattr__ = self._attribute(spec.name)  # type: ignore[method-assign]
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing to run."""

    def _attribute(self, name: str) -> Any:
        """The attributes of a stand-in."""

        def attribute(word: str) -> Any:
            if word.startswith("__"):
                raise AttributeError(word)
            if (name, word) in (("tqdm", "tqdm"), ("tqdm", "trange"), ("tqdm.auto", "tqdm")):
                return range if word == "trange" else lambda items=(), *args, **kwargs: items
            return _Anything()

        return attribute


def load_class(file: str, name: str, *, definitions_only: bool = False) -> type:
    """Import a file of the hand-in and take a class out of it.

    Args:
        file: the path, relative to the hand-in's root, which is the current folder.
        name: the class.
        definitions_only: run its imports, functions, classes and constants, not what it does.

    Raises:
        BaseException: whatever the file raises.
        AttributeError: where the class is not there after all.
    """
    path = Path(file).resolve()
    _put_on_path(path)
    if definitions_only:
        module = _definitions(path)
    else:
        module = _imported(path)
    found = getattr(module, name)
    if not isinstance(found, type):
        message = f"{name} is not a class"
        raise AttributeError(message)
    return found


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


def _put_on_path(path: Path) -> None:
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
    source = path.read_text(encoding="utf-8", errors="replace")
    tree = ast.parse(source, str(path))
    levels = [node.level for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    level = max(levels, default=0)
    parts = path.relative_to(Path.cwd()).with_suffix("").parts
    if level and len(parts) > level:
        # `from .x import y` needs one folder as a package, `from ..x import y` two.
        return importlib.import_module(".".join(parts[-level - 1 :]))
    return _run_file(path, source)


def _run_file(path: Path, source: str) -> types.ModuleType:
    """Run a file as a module of its own name."""
    known = sys.modules.get(path.stem)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return known
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(path.stem)
    sys.modules[path.stem] = module
    try:
        exec(compile(source, str(path), "exec", dont_inherit=True), module.__dict__)
    except BaseException:
        sys.modules.pop(path.stem, None)
        if before is not None:
            sys.modules[path.stem] = before
        raise
    return module


def _definitions(path: Path) -> types.ModuleType:
    """The imports, functions, classes and constants of a file; each that fails is left out."""
    tree = ast.parse(path.read_text(encoding="utf-8", errors="replace"), str(path))
    module = types.ModuleType(path.stem)
    module.__file__ = str(path)
    sys.modules.setdefault(path.stem, module)
    for node in tree.body:
        kept = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef, ast.Assign,
                ast.AnnAssign, ast.AsyncFunctionDef)  # fmt: skip
        if not isinstance(node, kept):
            continue
        code = compile(ast.Module([node], []), str(path), "exec", dont_inherit=True)
        try:
            exec(code, module.__dict__)
        except Exception:
            if isinstance(node, ast.ClassDef):
                raise
    return module
