"""A task of one's own, `module:Class`: what it says of itself, read out of its file, not run."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable

from digitspan.cells.own import source_of, text_of
from digitspan.errors import ConfigError, UsageError
from digitspan.tasks import check_facts

__all__ = ["facts_of"]

_SAID = {
    "symbols": "how many symbols there are, a whole number from 2 to 10,000",
    "answers": "how many classes an answer has, a whole number from 2 to 10,000",
    "chance": "how often guessing is right throughout, between 0 and 1",
}
"""What the body of the class must say."""

_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


def facts_of(task: str) -> str:
    """The hash of a task's source, its symbols, answers and chance, with a space between each.

    Its runs are known by them. Symbols, answers and chance stand in the body of the class as
    numbers, or as sums, products and powers of numbers.

    Raises:
        UsageError: where the module or the class is not there, or does not say one of them.
    """
    source = source_of(task, kind="task").digest
    said = _said(task)
    for name, meaning in _SAID.items():
        if name not in said:
            message = (
                f"task {task!r} does not say its {name}: expected `{name} = ...` in the body of "
                f"the class, a number as it stands there: {meaning} (see docs/own-task.md)"
            )
            raise UsageError(message)
    facts = f"{source} {said['symbols']} {said['answers']} {float(said['chance'])!r}"
    try:
        check_facts(task, facts)
    except ConfigError as error:
        given = ", ".join(f"{name} = {said[name]}" for name in _SAID)
        expected = "; ".join(f"{name}: {meaning}" for name, meaning in _SAID.items())
        message = f"task {task!r} says {given}; expected {expected} (see docs/own-task.md)"
        raise UsageError(message) from error
    return facts


def _said(task: str) -> dict[str, float]:
    """The numbers that the body of a task's class gives names to."""
    try:
        tree = ast.parse(text_of(task))
    except (SyntaxError, ValueError, RecursionError) as error:
        message = f"task {task!r} cannot be read: {error}"
        raise UsageError(message) from error
    name = task.partition(":")[2]
    bodies = [n.body for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name]
    if not bodies:
        message = (
            f"task {task!r} was not found: its module has no class {name}; expected module:Class"
        )
        raise UsageError(message)
    said = {}
    for line in bodies[-1]:
        targets = line.targets if isinstance(line, ast.Assign) else []
        if isinstance(line, ast.AnnAssign) and line.value is not None:
            targets = [line.target]
        for target in targets:
            value = _number(line.value)  # type: ignore[attr-defined]
            if isinstance(target, ast.Name) and value is not None:
                said[target.id] = value
    return said


def _number(node: ast.expr) -> float | None:
    """The value of a number as it stands in a file, of sums, products and powers of numbers."""
    if isinstance(node, ast.Constant):
        is_number = isinstance(node.value, int | float) and not isinstance(node.value, bool)
        return node.value if is_number else None  # type: ignore[return-value]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _number(node.operand)
        return None if value is None else -value
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = _number(node.left), _number(node.right)
        if left is None or right is None:
            return None
        try:
            value = _OPERATORS[type(node.op)](float(left), right)  # a float stays small
        except (ArithmeticError, ValueError):
            return None
        if isinstance(value, complex):
            return None
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    return None
