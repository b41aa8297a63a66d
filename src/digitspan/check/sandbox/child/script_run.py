"""Runs a hand-in's training script for a few steps and writes down what it does, in order."""

from __future__ import annotations

import ast
import asyncio
import collections
import importlib
import inspect
import os
import random
import sys
import traceback
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import torch
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from .loading import package_of, put_on_path
from .losses import Lesson
from .monitor import describe, last_place
from .networks import plain
from .stand_ins import COURSE_DATASET

__all__ = ["ScriptRun", "trace_script"]


class ScriptRun(TypedDict):
    """What a script did, as the child tells the checker."""

    events: list[list[Any]]
    """[name, file, line, details] each, in order."""
    optimizers: list[str]
    """The names of the optimisers' classes."""
    never_steps: bool
    """Whether it was ended, as it went back again and again without a step."""
    networks: list[dict[str, Any]]
    """The hand-in's networks, as `WatchedNetwork.told` puts them."""
    script_error: dict[str, Any] | None
    """What stopped the script, if anything, as `describe` puts it."""
    course_dataset: bool
    """Whether our dataset.py stood in for the course's."""


_LOSSES = ("cross_entropy", "nll_loss", "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss",
           "binary_cross_entropy", "binary_cross_entropy_with_logits", "multi_margin_loss",
           "multilabel_margin_loss", "multilabel_soft_margin_loss", "soft_margin_loss",
           "hinge_embedding_loss", "poisson_nll_loss", "gaussian_nll_loss")  # fmt: skip
MOST_BACKWARDS = 50
"""After so many calls of backward() without a step of an optimiser, none is waited for."""
_GRAPHS = 8
"""Of so many calls of backward() it is known what they went through."""
_SMALL = 1e-6
"""A gradient up to here need not move a number in single precision."""


class _Enough(BaseException):
    """The script has done as many steps as were asked for."""


class WatchedNetwork:
    """One of the hand-in's networks, from its constructor on.

    Args:
        network: it.
        kind: "rnn" or "lstm".
        arguments: what its constructor was given, by name.
    """

    def __init__(self, network: torch.nn.Module, kind: str, arguments: dict[str, Any]) -> None:
        self.network = network
        self.kind = kind
        self.arguments = arguments
        self.fed: list[int] = []
        """The shape of what it was fed first."""
        self.dtype = ""
        """The type of number of its weights when it was fed first."""
        self.losses: set[str] = set()
        """What the loss was given of it: "logits", "probabilities", ..."""
        self.names: set[str] = set()
        """The functions of torch that computed its loss."""
        self.slopes: set[str] = set()
        """The parameters that had a gradient worth the name before a step."""
        self.held: set[str] = set()
        """The parameters that an optimiser held when it took a step."""
        self.moved: set[str] = set()
        """The parameters that a step has changed."""
        self.optimizers: set[str] = set()
        """The classes of the optimisers that held a parameter when they took a step."""
        self.before: dict[str, torch.Tensor] = {}
        self.lesson = Lesson()
        self.lessons: set[str] = set()
        """By which losses its answers were seen to be trained, as `Lesson.kinds` puts them."""
        network.register_forward_pre_hook(self.feed)
        network.register_forward_hook(lambda _, inputs, result: self.lesson.answered(result))

    def feed(self, network: torch.nn.Module, inputs: tuple[Any, ...]) -> None:
        """Note what it is fed."""
        if not self.fed and inputs and isinstance(inputs[0], torch.Tensor):
            self.fed = list(inputs[0].shape)
            dtypes = {parameter.dtype for parameter in network.parameters()}
            self.dtype = ", ".join(sorted(str(d).removeprefix("torch.") for d in dtypes))

    def remember(self, held: set[int], optimizer: str, *, uphill: bool) -> None:
        """Keep the parameters as they are before a step of an optimiser that holds some.

        Args:
            held: where the tensors that it holds lie.
            optimizer: its class.
            uphill: it makes the loss larger.
        """
        self.before = {}
        if any(parameter.data_ptr() in held for parameter in self.network.parameters()):
            self.lessons |= self.lesson.kinds(uphill=uphill)
            self.lesson = Lesson()
        for name, parameter in self.network.named_parameters():
            self.before[name] = parameter.detach().clone()
            if parameter.data_ptr() in held:
                self.held.add(name)
                self.optimizers.add(optimizer)
            if parameter.grad is not None and bool((parameter.grad.abs() > _SMALL).any()):
                self.slopes.add(name)

    def compare(self) -> None:
        """Note which parameters a step has changed."""
        for name, parameter in self.network.named_parameters():
            if name in self.before and not torch.equal(self.before[name], parameter.detach()):
                self.moved.add(name)

    def told(self) -> dict[str, Any]:
        """What the checker is told."""
        return {
            "kind": self.kind,
            "class": type(self.network).__name__[:100],
            "arguments": self.arguments,
            "fed": self.fed,
            "dtype": self.dtype,
            "default_dtype": str(torch.get_default_dtype()).removeprefix("torch."),
            "losses": sorted(self.losses),
            "names": sorted(self.names),
            "slopes": sorted(self.slopes)[:100],
            "held": sorted(self.held)[:100],
            "moved": sorted(self.moved)[:100],
            "optimizers": sorted(self.optimizers)[:20],
            "lessons": sorted(self.lessons),
        }


class ScriptTrace:
    """What a script did: events in order, each with its line.

    Args:
        steps: how many steps of the optimiser are waited for.
        classes: the names of the hand-in's networks, with what each is, "rnn" or "lstm".
    """

    def __init__(self, steps: int, classes: dict[str, str]) -> None:
        self.steps = steps
        self.classes = classes
        self.networks: list[WatchedNetwork] = []
        self.events: list[list[Any]] = []
        self.optimizers: list[str] = []
        self.stepped: dict[int, int] = {}
        """Optimisers that have taken a step, by id, each to its number."""
        self.again = False
        """Whether backward stands where it has been before."""
        self.gone_back: collections.deque[set[Any]] = collections.deque(maxlen=_GRAPHS)
        """The steps of computing, as autograd keeps them, that backward last went through."""
        self.backwards = 0
        """Calls of backward() through one of the networks before the first step."""
        self.never_steps = False
        """Whether it was ended for that."""
        self.first: dict[int, torch.Tensor] = {}
        """The parameters at the first of them, by id."""

    def note(self, event: str, **details: Any) -> None:
        """Write down an event with the hand-in's line that caused it."""
        if event in ("loss", "seed") and self.events and self.events[-1][0] == event:
            self.events.pop()  # a script may evaluate a whole data set before its first step
        if len(self.events) < 2000 or event == "step":
            file, line = last_place(traceback.extract_stack())
            self.events.append([event, file, line, details])

    def stop_after_enough(self) -> None:
        """End the script after the last step asked for.

        Raises:
            _Enough: then.
        """
        for watched in self.networks:
            watched.compare()
        if sum(event[0] == "step" for event in self.events) >= self.steps:
            raise _Enough

    def backward(self, original: Any, loss: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """Tensor.backward, noted, and whether it fails where it has been before."""
        graph = _graph_of(loss)
        # An AccumulateGrad belongs to a parameter, and is gone through every time.
        steps = {step for step in graph if not hasattr(step, "variable")}
        leaves = [step.variable for step in graph if hasattr(step, "variable")]
        self.note(
            "backward", clean=all(leaf.grad is None or not leaf.grad.any() for leaf in leaves)
        )
        self.again = any(steps & gone for gone in self.gone_back)
        result = original(loss, *args, **kwargs)
        self.again = False
        self.gone_back.append(steps)
        self.stop_without_steps({id(leaf) for leaf in leaves})
        return result

    def stop_without_steps(self, leaves: set[int]) -> None:
        """End a script that goes back again and again and neither steps nor moves a weight.

        Args:
            leaves: the tensors that backward went to, by id.

        Raises:
            _Enough: then.
        """
        parameters = [p for watched in self.networks for p in watched.network.parameters()]
        if self.stepped or not any(id(parameter) in leaves for parameter in parameters):
            return
        self.backwards += 1
        if not self.first:
            self.first = {id(p): p.detach().clone() for p in parameters}
        if self.backwards == MOST_BACKWARDS and all(
            torch.equal(self.first[id(p)], p) for p in parameters if id(p) in self.first
        ):
            self.never_steps = True
            raise _Enough

    def grad(self, original: Any, outputs: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """torch.autograd.grad; of weights, which a script then puts into .grad by hand, noted."""
        listed = [inputs] if isinstance(inputs, torch.Tensor) else list(inputs)
        held = {id(p) for watched in self.networks for p in watched.network.parameters()}
        if any(id(tensor) in held for tensor in listed):
            self.note("backward", clean=True, by_hand=True)
        return original(outputs, listed, *args, **kwargs)

    def loss(self, original: Any, input: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """A loss, noted, and whether what it is given is logits."""
        given, name = _kind_of_answer(input), original.__name__
        self.note("loss", given=given, name=name)
        for watched in self.fed_into(input):
            watched.losses.add(given)
            watched.names.add(name)
        return original(input, *args, **kwargs)

    def fed_into(self, result: Any) -> list[WatchedNetwork]:
        """The networks whose parameters a result was computed from."""
        if not self.networks or not isinstance(result, torch.Tensor):
            return []
        leaves = {id(getattr(step, "variable", None)) for step in _graph_of(result)}
        return [
            watched
            for watched in self.networks
            if any(id(parameter) in leaves for parameter in watched.network.parameters())
        ]

    def constructed(self, original: Any, module: Any, *args: Any, **kwargs: Any) -> None:
        """Module.__init__: watch it where it is one of the hand-in's networks."""
        original(module, *args, **kwargs)
        kind = self.classes.get(type(module).__name__)
        known = any(watched.network is module for watched in self.networks)
        if kind is not None and not known and len(self.networks) < 20:
            arguments = _arguments_of(module, sys._getframe(2))
            self.networks.append(WatchedNetwork(module, kind, arguments))

    def before_step(self, optimizer: torch.optim.Optimizer) -> None:
        """A step of an optimiser is about to be taken."""
        self.note("step", optimizer=self.stepped.setdefault(id(optimizer), len(self.stepped)))
        groups = [group["params"] for group in optimizer.param_groups]
        held = {tensor.data_ptr() for group in groups for tensor in group}
        uphill = any(group.get("maximize") is True for group in optimizer.param_groups)
        for watched in self.networks:
            watched.remember(held, type(optimizer).__name__[:60], uphill=uphill)

    def optimizer(self, original: Any, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        """Optimizer.__init__, noted."""
        self.optimizers.append(type(optimizer).__name__[:60])
        self.note("optimizer", name=self.optimizers[-1])
        original(optimizer, *args, **kwargs)


def trace_script(
    file: str, options: list[str], steps: int, classes: dict[str, str], seed: int
) -> ScriptRun:
    """Run a script as `python FILE OPTIONS` would, for a few steps of its optimiser.

    Args:
        file: the script, relative to the current folder, the hand-in's root.
        options: its command line.
        steps: how many steps.
        classes: the names of the hand-in's networks, with what each is, "rnn" or "lstm".
        seed: of what the script draws without a seed of its own.
    """
    trace = ScriptTrace(steps, classes)
    for set_seed in (random.seed, np.random.seed, torch.manual_seed):
        set_seed(seed)
    path = Path(file).resolve()
    put_on_path(path)
    restore = _instrument(trace)
    argv, sys.argv = sys.argv, [str(path), *options]
    folder, gradients = Path.cwd(), torch.is_grad_enabled()
    error = None
    try:
        source = path.read_text(encoding="utf-8", errors="replace")
        _run(source, path)
    except _Enough:
        pass
    except BaseException as problem:
        error = describe(problem)
        if trace.again:
            error["cause"] = "graph"
    finally:
        sys.argv = argv
        os.chdir(folder)
        torch.set_grad_enabled(gradients)
        for undo in reversed(restore):
            undo()
    return {
        "events": trace.events,
        "optimizers": trace.optimizers[:20],
        "never_steps": trace.never_steps,
        "networks": [watched.told() for watched in trace.networks],
        "script_error": error,
        "course_dataset": any(
            getattr(module, "__file__", None) == str(COURSE_DATASET)
            for module in list(sys.modules.values())
        ),
    }


def _run(source: str, path: Path) -> None:
    """Run a script; in a notebook, where it is run, `await` may stand outside functions."""
    in_notebook = path.name.endswith("_notebook.py")
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT if in_notebook else 0
    code = compile(source, str(path), "exec", flags, dont_inherit=True)
    waits = eval(code, _main_module(path))
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(waits)


def _main_module(path: Path) -> dict[str, Any]:
    """The namespace of a script that is run."""
    module = types.ModuleType("__main__")
    module.__file__ = str(path)
    package = package_of(path)
    if package:  # as `python -m part1.train` has it
        importlib.import_module(package)
        module.__package__ = package
    sys.modules["__main__"] = module
    return module.__dict__


def _instrument(trace: ScriptTrace) -> list[Callable[[], None]]:
    """Watch the calls that a training consists of; returns what undoes it."""
    undo: list[Callable[[], None]] = []

    def replace(owner: Any, name: str, instead: Callable[..., Any]) -> None:
        original = getattr(owner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            return instead(original, *args, **kwargs)

        setattr(owner, name, call)
        undo.append(lambda: setattr(owner, name, original))

    def noted(event: str) -> Callable[..., Any]:
        def call(original: Any, *args: Any, **kwargs: Any) -> Any:
            trace.note(event)
            return original(*args, **kwargs)

        return call

    owner: Any
    for owner in (torch.optim.Optimizer, torch.nn.Module):
        replace(owner, "zero_grad", noted("zero_grad"))
    for owner in (torch.nn.utils, torch.nn.utils.clip_grad):
        for name in ("clip_grad_norm_", "clip_grad_value_", "clip_grad_norm"):
            if hasattr(owner, name):
                replace(owner, name, noted("clip"))
    for owner in (torch, torch.random):
        replace(owner, "manual_seed", noted("seed"))
    for owner in (np.random, random):
        replace(owner, "seed", noted("seed"))
    for name in _LOSSES:
        replace(torch.nn.functional, name, trace.loss)
    replace(torch.Tensor, "backward", trace.backward)
    replace(torch.autograd, "grad", trace.grad)
    replace(torch.utils.data.DataLoader, "__init__", _without_workers)
    replace(torch.optim.Optimizer, "__init__", trace.optimizer)
    replace(torch.nn.Module, "__init__", trace.constructed)
    hooks = [
        register_optimizer_step_pre_hook(lambda optimizer, *_: trace.before_step(optimizer)),
        register_optimizer_step_post_hook(lambda *_: trace.stop_after_enough()),
    ]
    undo.extend(hook.remove for hook in hooks)
    return undo


def _arguments_of(module: Any, frame: types.FrameType | None) -> dict[str, Any]:
    """What a network's own __init__ was given, by name, as the frames on the way to it hold it."""
    found: dict[str, Any] = {}
    while frame is not None:
        code = frame.f_code
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        if code.co_name == "__init__" and names and frame.f_locals.get(names[0]) is module:
            more: dict[str, Any] = {}
            if code.co_flags & inspect.CO_VARARGS:
                names += code.co_varnames[len(names) : len(names) + 1]
            if code.co_flags & inspect.CO_VARKEYWORDS:
                more = frame.f_locals.get(code.co_varnames[len(names)]) or {}
            found = {name: plain(frame.f_locals.get(name)) for name in names[1:]}
            found |= {str(name): plain(value) for name, value in more.items()}
        frame = frame.f_back
    return found


def _graph_of(result: torch.Tensor) -> set[Any]:
    """The steps of computing that a result comes from, as autograd keeps them."""
    steps, todo = set(), [result.grad_fn]
    while todo:
        step = todo.pop()
        if step is not None and step not in steps:
            steps.add(step)
            todo += [next_step for next_step, _ in step.next_functions]
    return steps


def _kind_of_answer(answer: Any) -> str:
    """Whether rows are probabilities, their logarithms, or logits."""
    if not isinstance(answer, torch.Tensor) or answer.dim() != 2:
        return "other"
    rows = answer.detach().double()
    if bool(((rows >= 0).all()) & ((rows.sum(1) - 1).abs() < 1e-4).all()):
        return "probabilities"
    if bool(((rows.exp().sum(1) - 1).abs() < 1e-4).all()):
        return "log probabilities"
    return "logits"


def _without_workers(original: Any, loader: Any, *args: Any, **kwargs: Any) -> None:
    """DataLoader.__init__ of one that loads in this process."""
    args = (*args[:5], 0, *args[6:]) if len(args) > 5 else args
    for name in ("multiprocessing_context", "prefetch_factor", "timeout"):
        kwargs.pop(name, None)
    kwargs.update(persistent_workers=False, pin_memory=False)
    if len(args) <= 5:
        kwargs["num_workers"] = 0
    original(loader, *args, **kwargs)
