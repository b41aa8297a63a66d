"""Reads a hand-in's Python without running it: its classes, its script, what it calls."""

from __future__ import annotations

import ast
import json
import re
import warnings
from typing import NamedTuple, TypeVar

__all__ = [
    "Candidate",
    "Source",
    "candidates",
    "given_full_length",
    "line_at",
    "method_called",
    "nodes_of",
    "numbers_in",
    "reachable",
    "read_sources",
    "ready_made_calls",
    "resets_between_batches",
    "scripts_of",
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

_CONFLICT = re.compile(r"^(<{7} |>{7} |={7}$)", re.MULTILINE)


def read_sources(files: dict[str, bytes]) -> list[Source]:
    """Every Python file and notebook of a hand-in, in order of their names."""
    sources = []
    for name, data in sorted(files.items()):
        base = name.rsplit("/", 1)[-1]
        if base.startswith("._") or "__MACOSX" in name or ".ipynb_checkpoints" in name:
            continue
        if name.endswith(".py"):
            text, error, line = _decoded(data)
            source = _source(name, name, text)
            if error and source.tree is not None:
                source = source._replace(error=error, line=line)
            sources.append(source)
        elif name.endswith(".ipynb"):
            path = f"{name[:-6]}_notebook.py"
            sources.append(_source(name, path, _notebook_code(data)))
    return sources


def candidates(sources: list[Source], kind: str) -> list[Candidate]:
    """The classes that may be the "rnn" or the "lstm" of a hand-in, the likeliest first."""
    found = []
    for source in sources:
        for node in nodes_of(source.tree, ast.ClassDef):
            score = _score(source, node, kind)
            if score > 0:
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
            and classes & {node.id for node in nodes_of(source.tree, ast.Name)}
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
    trainers: set[str] = set()
    while more := {node.name for node in functions if _trains(node, trainers)} - trainers:
        trainers |= more
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


def _source(name: str, path: str, text: str) -> Source:
    """A source with its syntax tree."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        return Source(name, path, text, _parsed(text), "", 0)
    except SyntaxError as error:
        conflict = _CONFLICT.search(text)
        if conflict:
            line = line_at(text, conflict.start())
            return Source(name, path, text, None, "a merge conflict was left in it", line)
        return Source(
            name, path, text, None, f"it is not Python 3: {error.msg}", error.lineno or 0
        )
    except (ValueError, RecursionError, MemoryError) as error:
        return Source(name, path, text, None, f"it cannot be read: {error}", 0)


def _decoded(data: bytes) -> tuple[str, str, int]:
    """The text of a Python file by the encoding that it declares, UTF-8 where it declares none.

    With it why Python does not read it, and the line of that; empty and 0 where it does.
    """
    declared = _ENCODING.search(data[:400])
    name = declared.group(2).decode("ascii") if declared else "utf-8"
    try:
        text = data.decode("utf-8-sig" if name.lower().startswith("utf") else name)
    except LookupError:
        return data.decode("latin-1"), f"there is no encoding {name[:30]!r}", 1
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        reason = f"byte {data[error.start]:#x} is not {name[:30]}, in which Python reads it"
        return data.decode("cp1252", errors="replace"), reason, line
    # What the child is given is UTF-8.
    return _DECLARED.sub(r"\1utf-8", text, count=1) if declared else text, "", 0


_ENCODING = re.compile(rb"^((?:[^\n]*\n)?[ \t\f]*#.*?coding[:=][ \t]*)([-\w.]+)")
_DECLARED = re.compile(_ENCODING.pattern.decode())


def _notebook_code(data: bytes) -> str:
    """The code cells of a notebook as one Python file, without the lines of IPython."""
    try:
        cells = json.loads(data)["cells"]
        parts = []
        for cell in cells:
            if cell.get("cell_type") != "code":
                continue
            text = cell.get("source", "")
            text = "".join(text) if isinstance(text, list) else str(text)
            if _OTHER_LANGUAGE.match(text):
                continue
            lines = [
                re.sub(r"^(\s*)([%!?].*|from __future__ .*)", r"\1pass", line)
                for line in text.split("\n")
                if "get_ipython" not in line
            ]
            cell_text = "\n".join(lines)
            # A cell that is no Python is left out, unless it is what is looked for.
            if _is_python(cell_text) or re.search(r"^class ", cell_text, re.MULTILINE):
                parts.append(cell_text)
        return "\n\n".join(parts)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""


_OTHER_LANGUAGE = re.compile(
    r"\s*%%(bash|sh|script|html|HTML|js|javascript|latex|markdown|svg|perl|ruby|cmd|writefile "
    r"[^\n]*(?<!\.py)\n)"
)


def _is_python(text: str) -> bool:
    """Whether a text is Python 3."""
    try:
        _parsed(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _parsed(text: str) -> ast.Module:
    """The syntax tree of a text, without the warnings about it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


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
        r"old|backup|copy|archive|template|draft|deprecated|solution_?template", name.lower()
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


def _dotted(node: ast.expr) -> str:
    """`torch.nn.Linear` as text; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = _dotted(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return ""
