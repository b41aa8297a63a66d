"""Reads a hand-in's Python without running it: its classes, its script, what it calls."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from typing import NamedTuple, TypeVar

from digitspan.check.plain import plain
from digitspan.check.reading.tree import tree_of

__all__ = [
    "Candidate",
    "Source",
    "candidates",
    "given_full_length",
    "line_at",
    "method_called",
    "modules_imported",
    "nodes_of",
    "numbers_in",
    "reachable",
    "ready_made_calls",
    "resets_between_batches",
    "scripts_of",
    "source_names",
    "source_of",
    "works_when_imported",
]


class Source(NamedTuple):
    """One Python file or notebook of a hand-in."""

    name: str
    """In the hand-in."""
    path: str
    """Where its Python is kept for the child: notebooks become a .py file beside them."""
    text: str
    tree: ast.Module | None
    """None where it is not Python 3."""
    error: str
    """Why Python does not read it; empty where it does."""
    line: int
    """The line of that."""
    cells: tuple[int, ...] = ()
    """Of a notebook, the line of the text before the first of each code cell."""
    written: tuple[tuple[str, int], ...] = ()
    """The files that code cells of a notebook are written to, with the cell's number, from 1."""

    def files(self) -> dict[str, str]:
        """What the child needs of it: names to texts."""
        lines = self.text.split("\n")
        ends = [*self.cells, len(lines)]
        found = {self.path: self.text}
        for name, cell in self.written:  # without the line that says so
            text = "\n".join(lines[ends[cell - 1] + 1 : ends[cell]])
            found.setdefault(name, f"{text.rstrip()}\n")
        return found

    def place(self, line: int) -> tuple[int, int]:
        """A line of the text as the author sees it: the code cell, 0 in a file, and its line."""
        before = [start for start in self.cells if start < line]
        return (len(before), line - before[-1]) if before else (0, line)

    @property
    def notebook(self) -> bool:
        """Whether it was a notebook."""
        return self.name.endswith(".ipynb")


class Candidate(NamedTuple):
    """A class that may be one of the two networks."""

    source: Source
    name: str
    line: int
    score: float
    filled: bool
    """False: the course's template, never filled in."""


_Node = TypeVar("_Node", bound=ast.AST)


def source_names(names: Iterable[str]) -> list[str]:
    """The names of Python files and notebooks among a hand-in's, in order."""
    return sorted(
        name
        for name in names
        if name.endswith((".py", ".ipynb"))
        and not name.rsplit("/", 1)[-1].startswith("._")
        and "__MACOSX" not in name
        and ".ipynb_checkpoints" not in name
    )


def source_of(
    name: str,
    *,
    text: object = "",
    nodes: object = None,
    error: object = "",
    line: object = 0,
    cells: object = (),
    written: object = (),
    **_: object,
) -> Source:
    """A source out of what the child tells of it, none of which can be trusted.

    Args:
        name: in the hand-in.
        text: its Python.
        nodes: its syntax tree as data.
        error: why Python does not read it.
        line: the line of that.
        cells: of a notebook, the line before the first of each code cell.
        written: of a notebook, the cells that are written to files, and to which.
    """
    path = f"{name[:-6]}_notebook.py" if name.endswith(".ipynb") else name
    listed = cells if isinstance(cells, (list, tuple)) else ()
    starts = tuple(start for start in listed if isinstance(start, int))
    folder = name.rpartition("/")[0]
    files = [
        (f"{folder}/{file}".strip("/"), cell)
        for cell, file in (written if isinstance(written, (list, tuple)) else ())
        if isinstance(cell, int) and isinstance(file, str) and 0 < cell <= len(starts)
    ]
    return Source(
        name,
        path,
        text if isinstance(text, str) else "",
        tree_of(nodes),
        plain(error if isinstance(error, str) else "", 300),
        line if isinstance(line, int) else 0,
        starts,
        tuple(files),
    )


def candidates(sources: list[Source], kind: str) -> list[Candidate]:
    """The classes that may be the "rnn" or the "lstm" of a hand-in, the likeliest first."""
    found = []
    scripts = scripts_of(sources, set())
    used = {name for script in scripts for name in modules_imported(script.tree)}
    for source in sources:
        # Of two versions the one that is trained counts.
        imported = 1.5 * (source.name.rsplit("/", 1)[-1].removesuffix(".py") in used)
        for node in nodes_of(source.tree, ast.ClassDef):
            score = _score(source, node, kind)
            if score > 0:
                score += imported
                filled = not _is_template(node)
                score += 8 * filled
                found.append(Candidate(source, node.name, node.lineno, score, filled))
    return sorted(found, key=lambda candidate: -candidate.score)


def scripts_of(sources: list[Source], classes: set[str]) -> list[Source]:
    """The training scripts, the likeliest first.

    That is what calls step() on an optimiser, or the template's train.py; beside the likeliest
    those that train one of these classes.
    """
    ranked = sorted(sources, key=lambda source: -_script_score(source))
    found = [source for source in ranked if _script_score(source) >= 4]
    return [
        source
        for source in found
        if source is found[0]
        or (
            _trains_in(source)
            and _place(source.name) > -1
            and classes
            & (
                {node.id for node in nodes_of(source.tree, ast.Name)}
                | modules_imported(source.tree)
            )
        )
    ]


def _trains_in(source: Source) -> bool:
    """Whether a file calls both backward() and step()."""
    calls = {method_called(call) for call in nodes_of(source.tree, ast.Call)}
    return calls >= {"backward", "step"}


def _script_score(source: Source) -> float:
    """How likely a file is the training script; 4 is enough."""
    base = source.name.rsplit("/", 1)[-1].lower()
    return (
        3 * base.startswith("train")
        + 2 * ("train" in base or base in ("main.py", "run.py"))
        + 4 * _trains_in(source)
        + bool(re.search(r"RNN|LSTM", source.text))
        + 2 * ("Palindrome" in source.text)
        + _place(source.name)
    )


def nodes_of(tree: ast.AST | None, kind: type[_Node]) -> list[_Node]:
    """The nodes of one kind in a syntax tree; none where there is no tree."""
    return [node for node in ast.walk(tree) if isinstance(node, kind)] if tree else []


def method_called(node: ast.AST) -> str:
    """The name of the method that a node calls; empty where it calls none."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr
    return ""


def numbers_in(candidate: Candidate) -> list[int]:
    """The whole numbers above 1 that stand in a class, each once, in their order."""
    nodes = reachable(candidate.source, candidate.name)
    values = [constant.value for node in nodes for constant in nodes_of(node, ast.Constant)]
    return list(dict.fromkeys(value for value in values if type(value) is int and value > 1))


def resets_between_batches(sources: list[Source], class_name: str) -> str:
    """What a training loop calls or sets to give a network its first state again; empty: nothing.

    That is a method of the class that sets attributes, or one of its attributes.
    """
    methods: set[str] = set()
    attributes: set[str] = set()
    loops: list[ast.stmt] = []
    for node in (node for source in sources for node in nodes_of(source.tree, ast.stmt)):
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            for item in [item for item in node.body if isinstance(item, ast.FunctionDef)]:
                own = _attributes_set(item)
                attributes |= own
                if own and item.name not in ("forward", "__init__", "__call__"):
                    methods.add(item.name)
        elif isinstance(node, (ast.For, ast.While)) and _trains(node, set()):
            loops.append(node)
    for inner in (inner for loop in loops for inner in ast.walk(loop)):
        if method_called(inner) in methods:
            return f"{method_called(inner)}()"
        if isinstance(inner, ast.stmt) and _attributes_set(inner) & attributes:
            return min(_attributes_set(inner) & attributes)
    return ""


def _attributes_set(node: ast.AST) -> set[str]:
    """The attributes that the assignments inside a statement set."""
    targets = [target for inner in nodes_of(node, ast.Assign) for target in inner.targets]
    parts = [p for t in targets for p in (t.elts if isinstance(t, ast.Tuple) else [t])]
    return {part.attr for part in parts if isinstance(part, ast.Attribute)}


def ready_made_calls(source: Source, class_name: str) -> list[tuple[str, int]]:
    """Torch's own layers that a class makes or calls, by the syntax tree: (name, line) each."""
    names = _imported_names(source.tree)
    calls = []
    for node in reachable(source, class_name):
        for call in nodes_of(node, ast.Call):
            first, _, rest = _dotted(call.func).partition(".")
            full = f"{names.get(first, first)}.{rest}".strip(".")
            if _BANNED.search(full):
                calls.append((full.rsplit(".", 1)[-1], call.lineno))
    return calls


def works_when_imported(source: Source) -> bool:
    """Whether importing a file trains a network: no `if __name__ == "__main__"` around it."""
    body = source.tree.body if source.tree else []
    functions = [node for node in body if isinstance(node, ast.FunctionDef)]
    callers: dict[str, set[str]] = {}
    for node in functions:
        for name in {call.func.id for call in nodes_of(node, ast.Call)
                     if isinstance(call.func, ast.Name)}:  # fmt: skip
            callers.setdefault(name, set()).add(node.name)
    # From what calls backward() to what calls that, each once: a chain may be long.
    todo = [node.name for node in functions if _trains(node, set())]
    trainers = set(todo)
    while todo:
        more = callers.get(todo.pop(), set()) - trainers
        trainers |= more
        todo += more
    kept = (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)
    return any(
        _trains(node, trainers)
        for node in body
        if not isinstance(node, kept) and "__main__" not in ast.dump(node)
    )


def _trains(node: ast.AST, trainers: set[str]) -> bool:
    """Whether a statement calls backward(), or a function that does."""
    return any(
        method_called(call) == "backward"
        or (isinstance(call.func, ast.Name) and call.func.id in trainers)
        for call in nodes_of(node, ast.Call)
    )


def line_at(text: str, position: int) -> int:
    """The number of the line, from 1, in which a position of a text lies."""
    return text.count("\n", 0, position) + 1


def given_full_length(sources: list[Source], class_name: str) -> bool:
    """Whether a class is constructed with a length of one more, T instead of the T - 1 digits fed.

    That is, its first argument, or one called like a length, is `... + 1`, directly or by a name.
    """
    for tree in [source.tree for source in sources]:
        assigned = [node for node in nodes_of(tree, ast.Assign) if _adds_one(node.value)]
        targets = [target for node in assigned for target in node.targets]
        longer = {target.id for target in targets if isinstance(target, ast.Name)}
        for call in nodes_of(tree, ast.Call):
            if _dotted(call.func).rpartition(".")[2] == class_name:
                words = [word for word in call.keywords if re.search("seq|len", word.arg or "")]
                for value in [*call.args[:1], *(word.value for word in words)]:
                    if _adds_one(value) or (isinstance(value, ast.Name) and value.id in longer):
                        return True
    return False


def _adds_one(node: ast.expr) -> bool:
    """Whether an expression is `... + 1`."""
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Add):
        return False
    return any(isinstance(x, ast.Constant) and x.value == 1 for x in (node.left, node.right))


_BANNED = re.compile(
    r"(torch|nn)\.(.*\.)?(RNN|LSTM|GRU|RNNCell|LSTMCell|GRUCell|RNNBase|Linear|LazyLinear|"
    r"Embedding|EmbeddingBag|linear|embedding|lstm|gru|rnn_tanh|rnn_relu|lstm_cell|gru_cell|"
    r"rnn_tanh_cell|rnn_relu_cell)$"
)


_WANTED = {
    "rnn": (
        (10, r"vanilla_?rnn"),
        (8, r"rnn|v_?rnn|my_?(vanilla_?)?rnn|simple_?rnn|rnn_?(model|net|network)|elman_?(rnn)?"),
        (
            6,
            r"(vanilla|simple|basic|custom|plain|own)?_?(vanilla)?_?rnn_?(model|net|network|v?\d*)",
        ),
        (4, r".*vanilla.*rnn.*|.*rnn.*"),
    ),
    "lstm": (
        (10, r"lstm"),
        (8, r"my_?lstm|lstm_?(model|net|network)|(vanilla|simple|basic|custom|own)_?lstm"),
        (4, r".*lstm.*"),
    ),
}
_ELSE = re.compile(
    r"bi_?(rnn|lstm)|bidirectional|gru|peephole|dataset|trainer|config|test|attention|conv|text|"
    r"generat|char|seq2seq|encoder|decoder|deep|stacked|multi",
    re.IGNORECASE,
)


def _score(source: Source, node: ast.ClassDef, kind: str) -> float:
    """How likely a class is the one that is looked for; 0: it is not."""
    name = node.name.lower()
    other = "lstm" if kind == "rnn" else "rnn"
    wanted = [value for value, pattern in _WANTED[kind] if re.fullmatch(pattern, name)]
    points = float(max(wanted, default=0))
    methods = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
    base = source.name.rsplit("/", 1)[-1].lower()
    if not points and methods & {"forward", "__call__"}:
        files = {"rnn": r"(vanilla_?)?rnn\.(py|ipynb)|vanilla.*", "lstm": r"lstm\.(py|ipynb)"}
        points = 2.0 if re.fullmatch(files[kind], base) else 0.0
    if not points or (kind == "rnn" and "lstm" in name) or (kind == "lstm" and name == other):
        return 0.0
    if _ELSE.search(name):
        points -= 5
    if name.endswith(("cell", "unit", "layer", "step", "block")):
        points -= 3
    if not methods & {"forward", "__call__", "__init__"}:
        points -= 3
    if not methods & {"forward", "__call__"} and not node.bases:
        return 0.0
    if (kind == "rnn" and "vanilla" in base) or (kind == "lstm" and base.startswith("lstm")):
        points += 2
    return max(points + _place(source.name), 0.1 if points > 0 else 0.0)


def _place(name: str) -> float:
    """How likely a file is of the first part of the exercise, by its folders."""
    folders = name.lower().rsplit("/", 1)[0] if "/" in name else ""
    points = -0.1 * name.count("/")
    if re.search(r"part_?-?1|task_?[123]|assignment", folders):
        points += 1.5
    if re.search(r"part_?-?[2-9]|bonus", folders):
        points -= 3
    if re.search(
        r"old|backup|copy|kopie|archive|template|draft|deprecated|solution_?template| \(\d+\)\.",
        name.lower(),
    ):
        points -= 2
    return points


def _is_template(node: ast.ClassDef) -> bool:
    """Whether a class was never filled in: its forward does nothing."""
    methods = [item for item in node.body if isinstance(item, ast.FunctionDef)]
    forwards = [method for method in methods if method.name in ("forward", "__call__")]
    return bool(forwards) and all(_does_nothing(method) for method in forwards)


def _does_nothing(function: ast.FunctionDef) -> bool:
    """Whether a function has only a docstring, pass, or raise NotImplementedError."""
    assigned = [node for node in function.body if isinstance(node, ast.Assign)]
    made = [node for node in assigned if not isinstance(node.value, ast.Constant)]
    targets = [target for node in made for target in node.targets]
    known = {target.id for target in targets if isinstance(target, ast.Name)}
    known |= {argument.arg for argument in function.args.args}
    for statement in function.body:
        match statement:
            case ast.Pass() | ast.Expr(value=ast.Constant()) | ast.Assign(value=ast.Constant()):
                continue
            case ast.Return(value=None | ast.Constant()):
                continue
            case ast.Return(value=ast.Name(id=name)) if name not in known:
                continue  # the template's `return out`, where out = None
            case ast.Raise() if "NotImplemented" in ast.dump(statement):
                return True
        return False
    return True


def reachable(source: Source, class_name: str) -> list[ast.AST]:
    """A class, and the classes and functions of its file that it names, and those that they do."""
    body = source.tree.body if source.tree else []
    known = {node.name: node for node in body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    found: dict[str, ast.AST] = {}
    todo = [class_name]
    while todo:
        name = todo.pop()
        if name in known and name not in found:
            found[name] = known[name]
            todo += [node.id for node in nodes_of(known[name], ast.Name)]
    return list(found.values())


def _imported_names(tree: ast.Module | None) -> dict[str, str]:
    """What names of modules and their contents stand for: {"F": "torch.nn.functional"}."""
    names: dict[str, str] = {}
    for node in nodes_of(tree, ast.stmt):
        if isinstance(node, ast.Import):
            names |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def modules_imported(tree: ast.Module | None) -> set[str]:
    """The last names of the modules that a file imports, or imports from."""
    names: set[str] = set()
    for node in nodes_of(tree, ast.stmt):
        if isinstance(node, ast.Import):
            names |= {alias.name.rpartition(".")[2] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {(node.module or "").rpartition(".")[2], *(a.name for a in node.names)}
    return names


def _dotted(node: ast.expr) -> str:
    """`torch.nn.Linear` as text; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = _dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return ""
