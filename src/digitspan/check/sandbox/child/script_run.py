"""Runs a hand-in's training script for a few steps and writes down what it does, in order."""

from __future__ import annotations

import importlib
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

from .loading import COURSE_DATASET, package_of, put_on_path
from .monitor import describe, last_place

__all__ = ["ScriptRun", "trace_script"]


class ScriptRun(TypedDict):
    """What a script did, as the child tells the checker."""

    events: list[list[Any]]
    """[name, file, line, details] each, in order."""
    optimizers: list[str]
    """The names of the optimisers' classes."""
    script_error: dict[str, Any] | None
    """What stopped the script, if anything, as `describe` puts it."""
    course_dataset: bool
    """Whether our dataset.py stood in for the course's."""


class _Enough(BaseException):
    """The script has done as many steps as were asked for."""


class ScriptTrace:
    """What a script did: events in order, each with its line."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.events: list[list[Any]] = []
        self.optimizers: list[str] = []
        self.again = False
        """Whether backward stands where it has been before."""
        self.gone_back: set[Any] = set()
        """The steps of computing, as autograd keeps them, that backward has gone through."""

    def note(self, event: str, **details: Any) -> None:
        """Write down an event with the hand-in's line that caused it."""
        if len(self.events) < 2000:
            file, line = last_place(traceback.extract_stack())
            self.events.append([event, file, line, details])

    def stop_after_enough(self) -> None:
        """End the script after the last step asked for.

        Raises:
            _Enough: then.
        """
        if sum(event[0] == "step" for event in self.events) >= self.steps:
            raise _Enough

    def backward(self, original: Any, loss: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """Tensor.backward, noted, and whether it fails where it has been before."""
        self.note("backward")
        steps, todo = set(), [loss.grad_fn]
        while todo:
            step = todo.pop()
            # An AccumulateGrad belongs to a parameter, and is gone through every time.
            if step is not None and step not in steps and not hasattr(step, "variable"):
                steps.add(step)
                todo += [next_step for next_step, _ in step.next_functions]
        self.again = bool(steps & self.gone_back)
        result = original(loss, *args, **kwargs)
        self.again = False
        self.gone_back |= steps
        return result

    def loss(self, original: Any, input: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        """A loss, noted, and whether what it is given is logits."""
        self.note("loss", given=_kind_of_answer(input))
        return original(input, *args, **kwargs)

    def optimizer(self, original: Any, optimizer: Any, *args: Any, **kwargs: Any) -> None:
        """Optimizer.__init__, noted."""
        self.optimizers.append(type(optimizer).__name__[:60])
        original(optimizer, *args, **kwargs)


def trace_script(file: str, options: list[str], steps: int) -> ScriptRun:
    """Run a script as `python FILE OPTIONS` would, for a few steps of its optimiser.

    Args:
        file: the script, relative to the current folder, the hand-in's root.
        options: its command line.
        steps: how many steps.
    """
    trace = ScriptTrace(steps)
    path = Path(file).resolve()
    put_on_path(path)
    restore = _instrument(trace)
    argv, sys.argv = sys.argv, [str(path), *options]
    error = None
    try:
        source = path.read_text(encoding="utf-8", errors="replace")
        exec(compile(source, str(path), "exec", dont_inherit=True), _main_module(path))
    except _Enough:
        pass
    except BaseException as problem:
        error = describe(problem)
        if trace.again:
            error["cause"] = "graph"
    finally:
        sys.argv = argv
        for undo in reversed(restore):
            undo()
    return {
        "events": trace.events,
        "optimizers": trace.optimizers[:20],
        "script_error": error,
        "course_dataset": any(
            getattr(module, "__file__", None) == str(COURSE_DATASET)
            for module in list(sys.modules.values())
        ),
    }


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
    for name in ("cross_entropy", "nll_loss"):
        replace(torch.nn.functional, name, trace.loss)
    replace(torch.Tensor, "backward", trace.backward)
    replace(torch.utils.data.DataLoader, "__init__", _without_workers)
    replace(torch.optim.Optimizer, "__init__", trace.optimizer)
    hooks = [
        register_optimizer_step_pre_hook(lambda *_: trace.note("step")),
        register_optimizer_step_post_hook(lambda *_: trace.stop_after_enough()),
    ]
    undo.extend(hook.remove for hook in hooks)
    return undo


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
