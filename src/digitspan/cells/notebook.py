"""Classes as cells: one that can be imported is named, one of a notebook goes along as its text.

Worker processes import what they train and know nothing of the notebook or the script that began
them. So the text of a class written there is made a module of its own, with what it uses: imports,
numbers, other classes and functions of the same place.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import linecache
import symtable
import sys
import textwrap
import types
from collections.abc import Callable, Mapping
from typing import Any

from digitspan.cells.names import own_name
from digitspan.errors import UsageError

__all__ = ["cell", "install", "texts"]

_PREFIX = "notebook_"
"""Before the name of a class in that of its module."""

_PLAIN = (int, float, str, bool, type(None))

_texts: dict[str, str] = {}
"""The text of every module made here, by its name."""


def cell(made_by: Callable[..., Any], /, **arguments: Any) -> str:
    """The name of a class, or of a function that makes a network, as a cell.

    Args:
        made_by: takes input_size, hidden_size and num_classes; may be written in a notebook.
        arguments: literals that it is called with besides.

    Raises:
        UsageError: where it cannot be told what it is made of, or an argument is no literal.

    >>> import torch
    >>> cell(torch.nn.GRU, num_layers=2)
    'torch.nn.modules.rnn:GRU(num_layers=2)'
    """
    name, module = getattr(made_by, "__qualname__", ""), getattr(made_by, "__module__", "")
    if not name.isidentifier():
        message = (
            f"a cell must be a class or function of a module or notebook; got {made_by!r:.80}"
        )
        raise UsageError(message)
    if not _can_be_imported(module, name, made_by):
        text = _text_with_what_it_uses(made_by)
        module = f"{_PREFIX}{name}"
        install({module: text})
    called = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
    try:
        return str(own_name(f"{module}:{name}" + (f"({called})" if called else "")))
    except ValueError as error:
        message = f"arguments of {name} {error}; got {called[:80]}"
        raise UsageError(message) from error


def texts() -> Mapping[str, str]:
    """The text of every module that was made of a class, for a process that is begun."""
    return dict(_texts)


def install(modules: Mapping[str, str]) -> None:
    """Make modules of their texts; one of the same text that is there already stays."""
    for name, text in modules.items():
        if _texts.get(name) != text:
            module = types.ModuleType(name)
            file = f"<{name}>"
            linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
            _texts[name] = text
            sys.modules[name] = module
            exec(compile(text, file, "exec"), module.__dict__)  # the caller's own class


def _can_be_imported(module: str, name: str, made_by: object) -> bool:
    """Whether another process finds this very thing by its module and name."""
    if module == "__main__":
        return False
    try:
        found = importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
    return found and getattr(sys.modules.get(module), name, None) is made_by


def _text_with_what_it_uses(made_by: Any) -> str:
    """The text of a module that has a class or function, and whatever it uses, in order."""
    parts: dict[str, str] = {}
    _collect(made_by, parts)
    imports = sorted(text for text in parts.values() if text.startswith(("import", "from")))
    others = [text for text in parts.values() if text not in imports]
    return "\n".join(["from __future__ import annotations", *imports, "", *others]) + "\n"


def _collect(thing: Any, parts: dict[str, str]) -> None:
    """Add the text of a class or function of a notebook to some, after all that it uses."""
    name, text = thing.__name__, _text_of(thing)
    parts.setdefault(name, "")  # one that uses itself
    namespace = vars(sys.modules[thing.__module__])
    for used in sorted(_names_used(text)):
        if used in parts or used not in namespace:
            continue  # unknown: where it is missing, building the cell says so
        value = namespace[used]
        if isinstance(value, types.ModuleType):
            parts[used] = f"import {value.__name__} as {used}"
        elif isinstance(value, type) or inspect.isroutine(value):
            owner = getattr(value, "__module__", "") or ""
            if _can_be_imported(owner, value.__name__, value):
                parts[used] = f"from {owner} import {value.__name__} as {used}"
            elif value.__name__ == used:
                _collect(value, parts)
            else:
                message = (
                    f"{name} uses {used}, which was made by {value.__name__} and has no text of "
                    f"its own; put {name} into a module"
                )
                raise UsageError(message)
        elif isinstance(value, float):
            parts[used] = f"{used} = float({str(value)!r})"  # inf and nan are no literals
        elif isinstance(value, _PLAIN):
            parts[used] = f"{used} = {value!r}"
        elif getattr(value, "__module__", None) == "typing":
            parts[used] = f"from typing import {used}"
        else:
            message = (
                f"{name} uses {used}, a {type(value).__name__} of the notebook, which another "
                f"process does not have; write it inside {name}, or put {name} into a module"
            )
            raise UsageError(message)
    parts[name] = parts.pop(name) or text


def _text_of(thing: Any) -> str:
    """The text of a class or function, its decorators too, found by the code of it or of a method.

    Of several of one name it is the one that has this code. Of a class without code of its own, as
    a NamedTuple, it is the last one of its name in any cell of the notebook.

    Raises:
        UsageError: where nobody has kept it.
    """
    methods = [thing] if inspect.isroutine(thing) else list(vars(thing).values())
    codes = [
        inspect.unwrap(method).__code__ for method in methods
        if inspect.isfunction(method) and inspect.isfunction(inspect.unwrap(method))
    ]  # fmt: skip
    for code in codes:
        lines = linecache.getlines(code.co_filename)
        for node in _definitions(lines, thing.__name__):
            if _first_line(node) <= code.co_firstlineno <= (node.end_lineno or 0):
                return _lines_of(node, lines)
    if not any(linecache.getlines(code.co_filename) for code in codes):
        for file in reversed(list(linecache.cache)):
            if file.startswith("<") or "ipykernel" in file or file == _main_file():
                lines = linecache.getlines(file)
                for node in reversed(_definitions(lines, thing.__name__)):
                    return _lines_of(node, lines)
    try:
        return textwrap.dedent(inspect.getsource(thing))
    except (OSError, TypeError) as error:
        message = (
            f"the text of {thing.__name__} is not to be found, and worker processes need it; put "
            f"it into a module"
        )
        raise UsageError(message) from error


_Definition = ast.ClassDef | ast.FunctionDef


def _definitions(lines: list[str], name: str) -> list[_Definition]:
    """The classes and functions of that name in the outermost scope of a text."""
    try:
        body = ast.parse("".join(lines)).body
    except SyntaxError:
        return []
    return [node for node in body if isinstance(node, _Definition) and node.name == name]


def _first_line(node: _Definition) -> int:
    """The line where it begins, with its first decorator."""
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _lines_of(node: _Definition, lines: list[str]) -> str:
    return "".join(lines[_first_line(node) - 1 : node.end_lineno])


def _main_file() -> str:
    """The file of the script that is run; none in a notebook."""
    return str(getattr(sys.modules.get("__main__"), "__file__", None) or "")


def _names_used(text: str) -> set[str]:
    """The names that a text reads and does not bind itself: no locals, no parameters."""
    table = symtable.symtable(f"from __future__ import annotations\n{text}", "<cell>", "exec")
    waiting, used = [table], set()
    while waiting:
        scope = waiting.pop()
        waiting += scope.get_children()
        is_outermost = scope.get_type() == "module"
        used |= {
            symbol.get_name()
            for symbol in scope.get_symbols()
            if symbol.is_referenced()
            and (symbol.is_global() or is_outermost)
            and not (is_outermost and symbol.is_assigned())
        }
    return used
