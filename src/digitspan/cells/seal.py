"""The wall around a cell of one's own: what its module sets for everybody is as it was afterwards.

A module may set torch's default dtype, switch gradients off or catch signals when it is imported.
That is for its own program, not for the runs of other cells.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import json
import os
import pickle
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

__all__ = ["is_a_signals", "sealed", "seed_generators", "seeded"]


@contextlib.contextmanager
def sealed() -> Iterator[None]:
    """Leave the process as it was: torch's settings, generators, signal handlers, folder, path.

    The functions of Python that modules replace by their own, such as `json.dumps`, too.
    What is printed inside goes to standard error, so that standard output has our words alone.
    """
    before = [(put, get()) for get, put in _SETTINGS]
    handlers = _signal_handlers()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_prints_to_stderr())
        stack.enter_context(warnings.catch_warnings())
        stack.enter_context(np.errstate())
        try:
            yield
        finally:
            for put, value in before:
                put(value)
            for number, handler in handlers.items():
                if signal.getsignal(number) is not handler:
                    signal.signal(number, handler)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let a seed decide what torch, NumPy and Python draw inside; their generators go on after.

    Args:
        seed: a whole number from 0 on, below 2^63.
    """
    python, numpy = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        seed_generators(seed)
        try:
            yield
        finally:
            np.random.set_state(numpy)
            random.setstate(python)


def seed_generators(seed: int) -> None:
    """Let a seed decide what torch, NumPy and Python draw from now on.

    Cheap enough for every training step: 9 us, where `torch.manual_seed` without an accelerator
    takes 110, and keeping what the generators had and putting it back, as `seeded` does, another
    110.

    Args:
        seed: a whole number from 0 on, below 2^63.
    """
    _seeding()(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


@functools.cache
def _seeding() -> Callable[[int], object]:
    """What seeds torch's generators here.

    `torch.manual_seed` also writes the stack down for each kind of accelerator that is not in use:
    without any, that took a fifth of a small network's training step.
    """
    there = torch.cuda.is_available(), torch.backends.mps.is_available(), torch.xpu.is_available()
    return torch.manual_seed if any(there) else torch.default_generator.manual_seed


def _deterministic() -> tuple[bool, bool]:
    """Whether torch refuses what is not deterministic, or warns of it."""
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    return torch.are_deterministic_algorithms_enabled(), warn_only


def _set_deterministic(state: tuple[bool, bool]) -> None:
    if _deterministic() != state:
        torch.use_deterministic_algorithms(state[0], warn_only=state[1])


def _set_threads(number: int) -> None:
    if torch.get_num_threads() != number:
        torch.set_num_threads(number)


def _default_device() -> Any:
    """The device that tensors are made on where none is named; None as long as nobody set one."""
    return torch.get_default_device() if _device_is_set() else None


def _device_is_set() -> bool:
    """Whether somebody called torch.set_default_device; setting it costs every call of torch."""
    return torch.get_default_device() != torch.device("cpu")


def _set_default_device(device: Any) -> None:
    if device is not None or _device_is_set():
        torch.set_default_device(device)


def _folder() -> str:
    """The current folder; empty where it has been removed."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def _set_folder(folder: str) -> None:
    with contextlib.suppress(OSError):
        os.chdir(folder)


def _set_path(path: list[str]) -> None:
    sys.path[:] = path


def _set_stderr(stream: Any) -> None:
    sys.stderr = stream


def _set_environment(environment: dict[str, str]) -> None:
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update({k: v for k, v in environment.items() if os.environ.get(k) != v})


_PATCHED: tuple[Any, ...] = (builtins, json, json.JSONEncoder, json.JSONDecoder, pickle)
"""Modules and classes whose functions others replace by their own; what is kept of a run, and the
hash of its source, need those."""


def _set_functions(kept: list[dict[str, Any]]) -> None:
    for owner, names in zip(_PATCHED, kept, strict=True):
        for name, value in names.items():
            if vars(owner).get(name) is not value:
                setattr(owner, name, value)


_SETTINGS: tuple[tuple[Callable[[], Any], Callable[[Any], Any]], ...] = (
    (_default_device, _set_default_device),
    (torch.get_default_dtype, torch.set_default_dtype),
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    (torch.get_num_threads, _set_threads),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    (_deterministic, _set_deterministic),
    (torch.get_rng_state, torch.set_rng_state),
    (np.random.get_state, np.random.set_state),
    (random.getstate, random.setstate),
    (_folder, _set_folder),
    (lambda: list(sys.path), _set_path),
    (lambda: dict(os.environ), _set_environment),
    (lambda: [dict(vars(module)) for module in _PATCHED], _set_functions),
    (lambda: sys.stderr, _set_stderr),
)
"""What is kept: how it is asked for, and how it is set."""


def _signal_handlers() -> dict[int, Any]:
    """The handlers of all signals that Python can set here."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    # None: set by something that is not Python, which it cannot put back.
    return {number: handler for number, handler in handlers.items() if handler is not None}


@contextlib.contextmanager
def _prints_to_stderr() -> Iterator[None]:
    """Let what is written to standard output go to standard error, that of C code too."""
    _flush()
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        with contextlib.suppress(OSError):  # one of them is closed
            kept = os.dup(1)
            stack.callback(os.close, kept)
            os.dup2(2, 1)
            stack.callback(os.dup2, kept, 1)
        stack.callback(_flush)
        yield


def _flush() -> None:
    """Let what was printed so far go where standard output leads now."""
    for stream in {sys.stdout, sys.__stdout__}:
        if stream is not None:
            with contextlib.suppress(OSError, ValueError, AttributeError):  # somebody else's
                stream.flush()


def is_a_signals(error: BaseException) -> bool:
    """Whether it comes of Ctrl-C, or of SIGTERM, where a handler of ours raises SystemExit."""
    where = error.__traceback__
    while where is not None and where.tb_next is not None:
        where = where.tb_next
    raised_in = str(where.tb_frame.f_globals.get("__name__")) if where is not None else ""
    is_ours = isinstance(error, SystemExit) and raised_in.startswith("digitspan.")
    return isinstance(error, KeyboardInterrupt) or is_ours
