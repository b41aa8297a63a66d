"""Runs a hand-in's training script for a few steps and writes down what it does, in order."""

from __future__ import annotations

import importlib
import random
import sys
import traceback
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from .loading import COURSE_DATASET, package_of, put_on_path
from .monitor import describe

__all__ = ["trace_script"]


class _Enough(BaseException):
    """The script has done as many steps as were asked for."""


class Trace:
    """What a script did: events in order, each with its line."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.events: list[list[Any]] = []
        self.networks: list[dict[str, Any]] = []
        self.optimizers: list[str] = []
        self.depth = 0

    def note(self, event: str, **details: Any) -> None:
        """Write down an event with the hand-in's line that caused it."""
        if len(self.events) < 2000:
            file, line = _where()
            self.events.append([event, file, line, details])

    def stop_after_enough(self) -> None:
        """End the script after the last step asked for.

        Raises:
            _Enough: then.
        """
        if sum(event[0] == "step" for event in self.events) >= self.steps:
            raise _Enough


def trace_script(file: str, options: list[str], steps: int) -> dict[str, Any]:
    """Run a script as `python FILE OPTIONS` would, for a few steps of its optimiser.

    Args:
        file: the script, relative to the current folder, the hand-in's root.
        options: its command line.
        steps: how many steps.

    Returns:
        "events": [name, file, line, details] each, "optimizers": their names, "networks": how
        the hand-in's networks were built and fed, "error": what stopped the script, if anything.
    """
    trace = Trace(steps)
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
    finally:
        sys.argv = argv
        for undo in reversed(restore):
            undo()
    return {
        "events": trace.events,
        "optimizers": trace.optimizers[:20],
        "networks": trace.networks[:20],
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


def _instrument(trace: Trace) -> list[Callable[[], None]]:
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
    replace(torch.Tensor, "backward", noted("backward"))
    for name in ("clip_grad_norm_", "clip_grad_value_"):
        for module in (torch.nn.utils, torch.nn.utils.clip_grad):
            replace(module, name, noted("clip"))
    for module in (torch.nn.utils, torch.nn.utils.clip_grad):
        if hasattr(module, "clip_grad_norm"):
            replace(module, "clip_grad_norm", noted("deprecated clip"))
    replace(torch, "manual_seed", noted("seed"))
    replace(torch.random, "manual_seed", noted("seed"))
    replace(np.random, "seed", noted("numpy seed"))
    replace(random, "seed", noted("python seed"))
    for name in ("cross_entropy", "nll_loss"):
        replace(torch.nn.functional, name, _loss_noted(trace, name))
    replace(torch.utils.data.DataLoader, "__init__", _without_workers)
    replace(torch.optim.Optimizer, "__init__", _optimizer_noted(trace))
    hooks = [
        register_optimizer_step_pre_hook(lambda *_: trace.note("step")),
        register_optimizer_step_post_hook(lambda *_: trace.stop_after_enough()),
        register_module_forward_pre_hook(_entered(trace)),
        register_module_forward_hook(_left(trace)),
    ]
    undo.extend(hook.remove for hook in hooks)
    return undo


def _entered(trace: Trace) -> Any:
    """Notes the outermost network that is called, and what it is fed."""

    def hook(module: Any, args: Any) -> None:
        own = not type(module).__module__.startswith("torch.")
        if own and trace.depth == 0:
            shape = [list(a.shape) for a in args if isinstance(a, torch.Tensor)]
            trace.note("forward", grad=torch.is_grad_enabled(), network=type(module).__name__[:60])
            if len(trace.networks) < 20:
                first = next((a for a in args if isinstance(a, torch.Tensor)), None)
                sizes = {
                    name: value
                    for name, value in vars(module).items()
                    if isinstance(value, int) and not name.startswith("_")
                }
                trace.networks.append(
                    {
                        "class": type(module).__name__[:60],
                        "shapes": shape[:4],
                        "dtype": str(getattr(first, "dtype", "")),
                        "sizes": dict(list(sizes.items())[:30]),
                        "training": module.training,
                    }
                )
        trace.depth += own

    return hook


def _left(trace: Trace) -> Any:
    """Counts the way out of nested networks."""

    def hook(module: Any, args: Any, result: Any) -> None:
        trace.depth = max(0, trace.depth - (not type(module).__module__.startswith("torch.")))

    return hook


def _loss_noted(trace: Trace, name: str) -> Callable[[Any], Any]:
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


def _optimizer_noted(trace: Trace) -> Callable[[Any], Any]:
    """Notes which optimiser is made."""

    def make(original: Any) -> Any:
        def init(self: Any, *args: Any, **kwargs: Any) -> None:
            trace.optimizers.append(type(self).__name__[:60])
            trace.note("optimizer", name=type(self).__name__[:60])
            original(self, *args, **kwargs)

        return init

    return make


def _where() -> tuple[str, int]:
    """The innermost line of the hand-in that is running."""
    root = str(Path.cwd())
    for frame in reversed(traceback.extract_stack()):
        if frame.filename.startswith(root):
            return frame.filename[len(root) + 1 :], frame.lineno or 0
    return "", 0
