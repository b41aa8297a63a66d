"""Where in a student's code a finding belongs: the line of the equation that it is about."""

from __future__ import annotations

import ast
from typing import Any

from digitspan.check.network.equations import Numbers, answers
from digitspan.check.network.faults import Fault
from digitspan.check.network.roles import Roles, canonical
from digitspan.check.reading.source import Candidate, nodes_of, reachable
from digitspan.check.sandbox.process import ChildRefused
from digitspan.check.sandbox.remote_network import Digits, RemoteNetwork

__all__ = ["Locator", "Place", "equation_places", "quantity_of"]

Place = tuple[str, int]

_LOOP = (
    "no-digit-read", "one-digit-read", "last-digit-unread", "first-digit-unread",
    "some-digits-unread", "long-sequences-unread", "digits-read-backwards",
)  # fmt: skip
"""Codes that are about the loop over time."""
_CREATED = ("zeros", "ones", "Tensor", "FloatTensor", "empty", "randn", "rand", "full")
_ANSWER = ("several-results", "read-out-width", "more-than-the-logits")
"""Codes that are about what forward returns."""
_WORDS = {
    "softmax-in-forward": ("softmax", "Softmax", "exp"),
    "softmax-over-the-batch": ("softmax", "log_softmax", "Softmax", "LogSoftmax", "exp"),
    "gradients-cut": ("detach", "detach_", "data", "no_grad", "item", "numpy", "clone"),
    "gradients-cut-elsewhere": ("detach", "detach_", "data", "no_grad", "item", "numpy", "clone"),
    "gradients-missing": ("detach", "detach_", "data", "no_grad", "item", "numpy", "tensor"),
    "samples-and-steps-mixed": ("view", "reshape"),
    "samples-mixed": ("view", "reshape", "softmax", "T", "t", "transpose"),
    "tensors-pile-up": ("append", "cat", "stack"),
    "unwritten-memory-read": ("Tensor", "FloatTensor", "empty", "empty_like", "new_empty"),
    "answer-is-random": ("randn", "rand", "normal_", "uniform_", "dropout", "Dropout"),
    "prints": ("print",),
    "only-where-batch-equals-hidden": _CREATED,
    "sizes-written-in": _CREATED,
    "state-starts-at-ones": ("ones", "ones_like", "new_ones", "full"),
}
"""Names by which the line of a code is known; the first line that has one is taken."""
_BRANCHES = {
    "steps": "axis_1 seq_length seq_len sequence_length length input_length t step T steps time",
    "batch": "axis_0 batch batch_size B bs bsz",
    "fed": "axis_0 batch batch_size B bs bsz",
    "hidden": "num_hidden hidden hidden_size hidden_dim n_hidden N units",
    "dtype": "dtype float32 float64 float double half is_floating_point",
    "training": "training eval",
    "grad": "is_grad_enabled requires_grad grad_enabled grad_mode",
    "base": "max min amax amin",
    "scale": "abs clamp clip max min isnan isinf isfinite nan_to_num where clamp_ hardtanh",
    "swing": "clamp clip clamp_ max min minimum maximum where hardtanh",
}
"""What is another where a network departs from the equations: words of a branch on that."""
_STEPS_PLACED = 60
"""In so many steps the values of equations are looked for."""


class Locator:
    """Finds the line of a finding in the code of a class.

    Args:
        candidate: the class.
    """

    def __init__(self, candidate: Candidate) -> None:
        nodes = reachable(candidate.source, candidate.name)
        functions = [
            function
            for node in nodes
            for function in (
                [node] if isinstance(node, ast.FunctionDef) else nodes_of(node, ast.FunctionDef)
            )
        ]
        self.file = candidate.source.name
        self.constructors = [f for f in functions if f.name == "__init__"]
        self.others = [f for f in functions if f.name != "__init__"]
        forwards = [f for f in functions if f.name in ("forward", "__call__")]
        self.forward = forwards[0].lineno if forwards else candidate.line
        loops = [
            n for f in self.others for n in ast.walk(f) if isinstance(n, (ast.For, ast.While))
        ]
        self.loop = min((loop.lineno for loop in loops), default=self.forward)
        inside = [line for loop in loops for line in loop.body]
        computing = [line.lineno for line in inside if _computes(line)]
        self.step = min(computing, default=self.loop)
        """Where the step of the network begins to compute."""

    def __call__(self, code: str, words: dict[str, Any]) -> Place:
        """The file and line for a code with the words of its sentence."""
        tensor = str(words.get("tensor") or words.get("table") or "").partition(".")[0]
        if tensor:
            return self.file, self.assigned(tensor)
        if code in _LOOP:
            turned = self.turned() if code == "digits-read-backwards" else 0
            return self.file, turned or self.loop
        if code in ("departs-elsewhere", "equations-not-computed"):
            about = words.get("about", {"scale"})
            branches = self.branches(about)
            equation: Place = words.get("equation", ("", 0))
            # Of several clamps any may be harmless: the equation is known by its values.
            if branches and (len(branches) == 1 or not about & {"scale", "swing"}):
                return self.file, branches[0]
            return equation if equation[1] else (self.file, self.step)
        line = self.named(_WORDS.get(code, ()))
        if not line and (code in _ANSWER or "softmax" in code):
            returns = [
                n for f in self.others for n in nodes_of(f, ast.Return) if n.value is not None
            ]
            line = max((node.lineno for node in returns), default=0)
        if not line and code.startswith(("state-", "units-", "start-", "gate-starts")):
            kept = code.startswith(("state-kept", "state-reset"))
            line = self.kept() if kept else 0
            line = line or (self.named(_CREATED) if code.startswith("state-") else 0)
            line = line or min((f.lineno for f in self.constructors), default=0)
        return self.file, line or (self.forward if code == "one-step-a-call" else self.step)

    def turned(self) -> int:
        """The first line of a method that turns an order round; 0: none does."""
        lines = [
            node.lineno
            for function in self.others
            for node in nodes_of(function, ast.expr)
            if isinstance(node, (ast.Call, ast.Subscript)) and _turns(node)
        ]
        return min(lines, default=0) or self.named(("flip", "fliplr", "flipud", "reversed"))

    def named(self, names: tuple[str, ...]) -> int:
        """The first line of a method that uses one of these names; 0: none does."""
        lines = [
            node.lineno
            for function in self.others
            for node in ast.walk(function)
            if (isinstance(node, ast.Attribute) and node.attr in names)
            or (isinstance(node, ast.Name) and node.id in names)
        ]
        return min(lines, default=0)

    def branches(self, about: set[str]) -> list[int]:
        """The lines of the methods that ask for what is another somewhere, in order.

        That is a condition, a comparison, or a call such as min(T, 10).
        """
        words = {word for name in about for word in _BRANCHES[name].split()}
        lines = set()
        for function in self.others:
            for node in ast.walk(function):
                match node:
                    case ast.If(test=asked) | ast.IfExp(test=asked) | ast.While(test=asked):
                        pass
                    case ast.Compare() as asked:
                        pass
                    case ast.Call() as asked if _narrows(asked):
                        pass
                    case _:
                        continue
                if words & _words_of(asked):
                    lines.add(asked.lineno)
        return sorted(lines)

    def kept(self) -> int:
        """The first line of a method that sets an attribute of the network; 0: none does."""
        lines = [
            node.lineno
            for function in self.others
            for node in nodes_of(function, ast.Attribute)
            if isinstance(node.ctx, ast.Store)
        ]
        return min(lines, default=0)

    def assigned(self, name: str) -> int:
        """The line of the constructor that makes an attribute."""
        lines = [
            node.lineno
            for function in (*self.constructors, *self.others)
            for node in nodes_of(function, ast.Attribute)
            if node.attr == name and isinstance(node.ctx, ast.Store)
        ]
        return lines[0] if lines else self.forward


_NARROWING = ("min", "max", "clamp", "clamp_", "clip", "where", "minimum", "maximum", "nan_to_num",
              "hardtanh", "amax", "amin")  # fmt: skip
"""Functions that make large or small numbers another."""


def _computes(line: ast.stmt) -> bool:
    """Whether a statement multiplies, or calls what gates go through."""
    return any(
        isinstance(node, ast.MatMult)
        or (isinstance(node, ast.Attribute) and node.attr in _COMPUTING)
        or (isinstance(node, ast.Name) and node.id in _COMPUTING)
        for node in ast.walk(line)
    )


_COMPUTING = ("tanh", "sigmoid", "relu", "mm", "matmul", "einsum", "linear", "addmm", "bmm",
              "tensordot")  # fmt: skip


def _turns(node: ast.Call | ast.Subscript) -> bool:
    """Whether an expression is range(..., -1), or a slice that steps backwards."""
    match node:
        case ast.Call(func=ast.Name(id="range"), args=[_, _, step]):
            return ast.unparse(step).startswith("-")
        case ast.Subscript(slice=ast.Slice(step=ast.expr() as step)):
            return ast.unparse(step).startswith("-")
    return False


def _narrows(node: ast.Call) -> bool:
    """Whether a call is one of these functions, by its last name."""
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    return (name or getattr(node.func, "id", "")) in _NARROWING


def _words_of(node: ast.AST) -> set[str]:
    """The names in an expression, and `axis_0` for shape[0], size(0) and len()."""
    words = set()
    for inner in ast.walk(node):
        match inner:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                words.add(name)
            case ast.Subscript(
                value=ast.Attribute(attr="shape"), slice=ast.Constant(value=int(n))
            ):
                words.add(f"axis_{n}")
            case ast.Call(func=ast.Name(id="len")):
                words.add("axis_0")
        match inner:
            case ast.Call(func=ast.Attribute(attr="size"), args=[ast.Constant(value=int(n))]):
                words.add(f"axis_{n}")
    return words


def quantity_of(fault: Fault, kind: str) -> str:
    """The quantity whose equation a fault is about, as `equations.Watch` names it."""
    changes = fault.changes
    gates = ("g", "i", "f", "o") if kind == "lstm" else ("h",)
    if "activations" in changes and kind == "lstm":
        wanted = ("tanh", "sigmoid", "sigmoid", "sigmoid")
        found = zip(gates, changes["activations"], wanted, strict=True)
        return next((gate for gate, is_, right in found if is_ != right), "g")
    for field in ("x_from", "h_from", "b_from"):
        if field in changes:
            shared = [
                g for g, of in zip(gates, changes[field], strict=True) if of != gates.index(g)
            ]
            return f"inside {shared[-1]}"
    for field in ("blind", "unbiased"):
        if field in changes:
            return f"inside {gates[changes[field]]}"
    if "update" in changes:
        return "c"
    if changes.keys() & {"output", "outer", "around", "activations"}:
        return "h"
    if changes.keys() & {"read_out", "read_out_bias", "after"}:
        return "p"
    return f"inside {gates[0]}" if changes.keys() & {"bias", "recurrent"} else ""


def equation_places(
    remote: RemoteNetwork,
    roles: Roles,
    values: Numbers,
    digits: Digits,
    inputs: Numbers,
    *,
    grad: bool = True,
) -> dict[tuple[int, str], Place]:
    """The line that computes each quantity of the equations in each step, by its values.

    Args:
        remote: the network.
        roles: of its numbers.
        values: its numbers, shape (P,).
        digits: what it is fed, shape (B, T).
        inputs: what enters its equations, shape (B, T, D).
        grad: outside torch.no_grad().

    Returns:
        (step, name of the quantity) to its place, ("", 0) where none computes it; in the order of
        computing.
    """
    vector = canonical(roles.of, values, roles.layout.size)
    targets: dict[tuple[int, str], Numbers] = {}

    def watch(name: str, value: Numbers) -> None:
        step = sum(known == name for _, known in targets)
        if step < _STEPS_PLACED:
            targets[step, name] = value[0]

    answers(roles.cell, roles.layout, vector[None], inputs, watch)
    try:
        found = remote.places(values, digits, list(targets.values()), grad=grad)
    except ChildRefused:
        found = [("", 0)] * len(targets)
    return dict(zip(targets, found, strict=True))
