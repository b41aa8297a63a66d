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

    def replace(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        original = getattr(owner, name)
        setattr(owner, name, make(original))
        undo.append(lambda: setattr(owner, name, original))

    def noted(event: str) -> Callable[[Any], Any]:
        def make(original: Any) -> Any:
            def call(*args: Any, **kwargs: Any) -> Any:
                trace.note(event)
                return original(*args, **kwargs)

            return call

        return make

    replace(torch.optim.Optimizer, "zero_grad", noted("zero_grad"))
    replace(torch.nn.Module, "zero_grad", noted("zero_grad"))
    replace(torch.Tensor, "backward", _backward_noted(trace))
    for name in ("clip_grad_norm_", "clip_grad_value_"):
        for module in (torch.nn.utils, torch.nn.utils.clip_grad):
            replace(module, name, noted("clip"))
    for module in (torch.nn.utils, torch.nn.utils.clip_grad):
        if hasattr(module, "clip_grad_norm"):
            replace(module, "clip_grad_norm", noted("clip"))
    replace(torch, "manual_seed", noted("seed"))
    replace(torch.random, "manual_seed", noted("seed"))
    replace(np.random, "seed", noted("seed"))
    replace(random, "seed", noted("seed"))
    for name in ("cross_entropy", "nll_loss"):
        replace(torch.nn.functional, name, _loss_noted(trace, name))
    replace(torch.utils.data.DataLoader, "__init__", _without_workers)
    replace(torch.optim.Optimizer, "__init__", _optimizer_noted(trace))
    hooks = [
        register_optimizer_step_pre_hook(lambda *_: trace.note("step")),
        register_optimizer_step_post_hook(lambda *_: trace.stop_after_enough()),
    ]
    undo.extend(hook.remove for hook in hooks)
    return undo


def _backward_noted(trace: ScriptTrace) -> Callable[[Any], Any]:
    """Notes backward(), and whether it fails where it has been before."""

    def make(original: Any) -> Any:
        def call(loss: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            trace.note("backward")
            steps, todo = set(), [loss.grad_fn]
            while todo:
                step = todo.pop()
                # An AccumulateGrad belongs to a parameter, and is gone through every time.
                if step is not None and step not in steps and not hasattr(step, "variable"):
                    steps.add(step)
                    todo += [next_step for next_step, _ in step.next_functions]
            trace.again = bool(steps & trace.gone_back)
            result = original(loss, *args, **kwargs)
            trace.again = False
            trace.gone_back |= steps
            return result

        return call

    return make


def _loss_noted(trace: ScriptTrace, name: str) -> Callable[[Any], Any]:
    """Notes a loss, and whether what it is given is logits."""

    def make(original: Any) -> Any:
        def call(input: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            trace.note("loss", name=name, given=_kind_of_answer(input))
            return original(input, *args, **kwargs)

        return call

    return make


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


def _without_workers(original: Any) -> Any:
    """A DataLoader that loads in this process."""

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        args = (*args[:5], 0, *args[6:]) if len(args) > 5 else args
        for name in ("multiprocessing_context", "prefetch_factor", "timeout"):
            kwargs.pop(name, None)
        kwargs.update(persistent_workers=False, pin_memory=False)
        if len(args) <= 5:
            kwargs["num_workers"] = 0
        original(self, *args, **kwargs)

    return init


def _optimizer_noted(trace: ScriptTrace) -> Callable[[Any], Any]:
    """Notes which optimiser is made."""

    def make(original: Any) -> Any:
        def init(self: Any, *args: Any, **kwargs: Any) -> None:
            trace.optimizers.append(type(self).__name__[:60])
            original(self, *args, **kwargs)

        return init

    return make
