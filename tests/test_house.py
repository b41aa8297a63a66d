"""The house stands as it is drawn: imports run one way, and torch is only loaded to train."""

import ast
import functools
import importlib
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import digitspan

SOURCE = Path(digitspan.__file__).parent

DESIGN = Path(__file__).parents[1] / "docs" / "design.md"


def layers():
    """The import order from low to high: the one list, which docs/design.md shows."""
    (block,) = re.findall(
        r"^```text\n(errors.*?)^```", DESIGN.read_text(encoding="utf-8"), re.M | re.S
    )
    return [re.findall(r"\w+", layer) for layer in block.split("<")]


RANK = {name: rank for rank, layer in enumerate(layers()) for name in layer}

NO_TORCH = (
    "digitspan",
    "digitspan.errors",
    "digitspan.files",
    "digitspan.statistics",
    "digitspan.tasks",
    "digitspan.tasks.seeds",
    "digitspan.cells",
    *(f"digitspan.runs.{path.stem}" for path in sorted(SOURCE.glob("runs/[a-z]*.py"))),
    *(f"digitspan.study.{path.stem}" for path in sorted(SOURCE.glob("study/[a-z]*.py"))),
    *(f"digitspan.study.crew.{path.stem}" for path in sorted(SOURCE.glob("study/crew/[a-z]*.py"))),
    "digitspan.figures",
    "digitspan.hold.kept_answers",
    "digitspan.cli",
)
"""What computes statistics, draws the figures of a study, reads a store or prints help."""


@functools.cache
def modules():
    """Every module of the package: its dotted name below digitspan, and its syntax tree."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name:  # the package itself only names what is loaded on first use
            found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def walk_running(node):
    """The nodes of a tree that can run."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from walk_running(child)


def imported(tree, own_name):
    """The modules of digitspan that a tree imports, wherever in it; "" for the package itself.

    Not those that are imported for annotations alone, `if TYPE_CHECKING`.
    """
    for node in walk_running(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            base = ["digitspan", *own_name.split(".")][: -node.level]
            names = [".".join([*base, node.module or ""]).rstrip(".")]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
            if node.module == "digitspan":  # from digitspan import runs
                names += [f"digitspan.{alias.name}" for alias in node.names if alias.name in RANK]
        else:
            continue
        for name in names:
            top, _, rest = name.partition(".")
            if top == "digitspan":
                yield rest


def wrong_imports(own_name, tree):
    """What a module imports of its own layer or of a higher one, besides its own package."""
    own = own_name.split(".")[0]
    for name in imported(tree, own_name):
        other = name.split(".")[0]
        if name and other != own and RANK.get(other, len(RANK)) >= RANK[own]:
            yield f"{own_name} imports {name}"


@pytest.mark.parametrize(
    ("name", "tree"), [pytest.param(*item, id=item[0]) for item in modules().items()]
)
def test_imports_run_one_way(name, tree):
    assert name.split(".")[0] in RANK, (
        f"{name} has no place in docs/design.md: say there where it stands"
    )
    assert list(wrong_imports(name, tree)) == []


@pytest.mark.parametrize(
    "line",
    [
        "import digitspan.training.run",
        "from digitspan.training.run import train",
        "from digitspan import training",
        "from ..training.run import train",
        "def f():\n    from digitspan.cli import main",
        "from digitspan.look.bptt import gradients",
    ],
)
def test_import_the_wrong_way_is_found(line):
    own_name = "tasks.palindrome" if ".." in line else "tasks"
    assert list(wrong_imports(own_name, ast.parse(line)))


def test_no_two_modules_import_each_other():
    # Within a package too, where the layers say nothing.
    graph = {
        name: {other for other in imported(tree, name) if other}
        for name, tree in modules().items()
    }
    for name in graph:
        reached, new = set(), graph[name]
        while new:
            reached |= new
            new = set().union(*(graph.get(other, ()) for other in new)) - reached
        assert name not in reached, f"{name} imports itself by way of others"


EXTRAS = {"check": "check", "handin": "report", "study": "cluster"}
"""The folder, and the extra that it may need beyond the dependencies that everybody installs."""


def undeclared(folder, tree):
    """Packages that a module imports, in functions too, and an installation may be without."""
    project = tomllib.loads((DESIGN.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    declared = project["project"]["dependencies"] + extras.get(EXTRAS.get(folder), [])
    known = {re.match(r"[\w-]+", line)[0].replace("-", "_").lower() for line in declared}
    known |= {name.removesuffix("_binary") for name in known}
    imports = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module]
            if isinstance(node, ast.ImportFrom) and not node.level
            else []
        )
    }
    return {name for name in imports - sys.stdlib_module_names - {"digitspan"}
            if name.lower() not in known}  # fmt: skip


@pytest.mark.parametrize(("name", "tree"), modules().items())
def test_what_is_imported_is_installed(name, tree):
    """With `pip install digitspan` alone; the parts with an extra, with that extra."""
    folder = name.split(".")[0]
    beside = {"dataset", "vanilla_rnn", "lstm", "gru"} if folder == "part1" else set()
    assert undeclared(folder, tree) - beside == set()


def test_package_that_nobody_installs_is_found():
    assert (
        undeclared("study", ast.parse("def f():\n    from ray import x, y\n    import torch"))
        == set()
    )
    assert undeclared("hold", ast.parse("def f():\n    from ray import x")) == {"ray"}


def test_part1_imports_nothing_of_digitspan():
    for name, tree in modules().items():
        if name.split(".")[0] == "part1":
            outside = [other for other in imported(tree, name) if not other.startswith("part1")]
            assert outside == [], name


REPORT = """
import importlib, json, sys
guilty = []
for name in sys.argv[1:]:
    importlib.import_module(name)
    if "torch" in sys.modules:
        guilty.append(name)
        break
print(json.dumps([guilty, sorted(sys.modules)]))
"""


def imported_by(*names):
    """The first of some modules that loads torch, and all that is loaded in the end."""
    command = [sys.executable, "-c", REPORT, *names]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    guilty, loaded = json.loads(done.stdout)
    return guilty, set(loaded)


def test_statistics_store_and_figures_never_import_torch():
    guilty, loaded = imported_by(*NO_TORCH)
    assert guilty == []
    assert set(NO_TORCH) <= loaded


def test_test_for_torch_can_go_red():
    assert imported_by("digitspan", "digitspan.tasks.palindrome")[0] == [
        "digitspan.tasks.palindrome"
    ]


def test_importing_digitspan_loads_neither_torch_nor_numpy():
    _, loaded = imported_by("digitspan")
    assert not loaded & {"torch", "numpy", "scipy", "matplotlib", "rich"}


def test_public_names_are_there():
    assert dir(digitspan) == sorted(digitspan.__all__)
    for name in digitspan.__all__:
        assert getattr(digitspan, name) is not None, name


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'digitspan' has no attribute 'spam'"):
        importlib.import_module("digitspan").spam  # noqa: B018
