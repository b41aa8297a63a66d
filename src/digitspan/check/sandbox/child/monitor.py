"""What the hand-in's code does besides computing: prints, CUDA, torch's ready-made layers."""

from __future__ import annotations

import argparse
import errno
import io
import os
import re
import sys
import traceback
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from .networks import Settings

__all__ = [
    "Lines",
    "Matches",
    "OnCPU",
    "Printed",
    "describe",
    "last_place",
    "operations_called",
    "ready_made_modules",
]

MAX_PRINTED = 1_000_000
"""Characters printed before the child ends itself."""
TOO_MUCH_OUTPUT = 86
"""The exit status that says so."""

_TORCH = Path(torch.__file__).parent
_STAND_INS = str(Path(__file__).with_name("stand_ins.py"))

_COMPILER = re.compile(rf"{re.escape(str(_TORCH))}/(_dynamo|_inductor|_functorch)/")

_READY_MADE = (
    torch.nn.RNNBase, torch.nn.RNNCellBase, torch.nn.Linear, torch.nn.Bilinear, torch.nn.Embedding,
    torch.nn.EmbeddingBag, torch.nn.Transformer, torch.nn.MultiheadAttention,
)  # fmt: skip

_CUDA_CALLS = (
    "set_device", "get_device_name", "get_device_properties", "get_device_capability",
    "synchronize", "current_device", "init", "mem_get_info", "reset_peak_memory_stats",
)  # fmt: skip
"""Functions of torch.cuda that raise an error where there is no CUDA."""


class Printed(io.TextIOBase):
    """Standard output and error of the hand-in: counted, and thrown away."""

    def __init__(self) -> None:
        self.characters = 0

    def write(self, text: str) -> int:
        """Count; beyond the limit the process ends."""
        self.characters += len(text)
        if self.characters > MAX_PRINTED:
            os._exit(TOO_MUCH_OUTPUT)
        return len(text)

    def writable(self) -> bool:
        """True, as print asks."""
        return True

    def install(self) -> None:
        """Stand in for standard output and error."""
        sys.stdout = sys.stderr = self


class Lines:
    """Counts the lines of the hand-in that run inside it."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> None:
        self.count, root = 0, f"{Path.cwd()}/"

        def trace(frame: types.FrameType, event: str, argument: Any) -> Any:
            if not frame.f_code.co_filename.startswith(root):
                return None
            self.count += event == "line"
            return trace

        sys.settrace(trace)

    def __exit__(self, *exception: object) -> None:
        sys.settrace(None)


class OnCPU(TorchFunctionMode):
    """Does on the CPU whatever asks for CUDA, and remembers that it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, int]] = []
        """The hand-in's files and lines that asked."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in (torch.Tensor.cuda, torch.Tensor.pin_memory):
            self.note()
            return args[0]
        kwargs = dict(kwargs or {})
        # A number for a device is one of CUDA's.
        if func in (torch.Tensor.to, torch.device) and type(args[-1]) is int:
            args = (*args[:-1], f"cuda:{args[-1]}")
        if type(kwargs.get("device")) is int:
            kwargs["device"] = f"cuda:{kwargs['device']}"
        args = tuple(map(self._moved, args)) if args else args
        kwargs = {name: self._moved(value) for name, value in kwargs.items()}
        return func(*args, **kwargs)

    def _moved(self, value: Any) -> Any:
        """The CPU instead of CUDA; everything else as it is."""
        if isinstance(value, torch.device):
            if value.type in ("cuda", "mps"):
                self.note()
                return torch.device("cpu")
        elif isinstance(value, str) and value.partition(":")[0] in ("cuda", "mps"):
            self.note()
            return "cpu"
        elif isinstance(value, str) and value.startswith("torch.cuda."):
            self.note()
            return value.replace("torch.cuda.", "torch.")
        return value

    def install(self) -> None:
        """Where there is no CUDA, let its own functions and types do on the CPU what they can."""
        if torch.cuda.is_available():
            return
        for name in _CUDA_CALLS:
            setattr(torch.cuda, name, self._noted(name))
        for name in [name for name in dir(torch.cuda) if name.endswith("Tensor")]:
            delattr(torch.cuda, name)
        torch.cuda.__getattr__ = self._tensor_type  # type: ignore[method-assign]
        original = torch.set_default_tensor_type
        torch.set_default_tensor_type = lambda kind: original(self._moved(kind))
        parse = torch._C._nn._parse_to

        def parse_to(*args: Any, **kwargs: Any) -> Any:
            if args and type(args[0]) is int:
                args = (f"cuda:{args[0]}", *args[1:])
            return parse(*args, **kwargs)

        torch._C._nn._parse_to = parse_to

    def _noted(self, name: str) -> Any:
        """A function of torch.cuda that does nothing."""

        def call(*args: Any, **kwargs: Any) -> Any:
            self.note()
            return "" if "name" in name else 0

        return call

    def _tensor_type(self, name: str) -> Any:
        """`torch.cuda.FloatTensor`: the CPU's."""
        if not name.endswith("Tensor") or not hasattr(torch, name):
            raise AttributeError(name)
        self.note()
        return getattr(torch, name)

    def note(self) -> None:
        """Remember which line of the hand-in asked."""
        frames = traceback.extract_stack()
        if any(_COMPILER.match(frame.filename) for frame in frames):
            return  # torch.compile looks for CUDA by itself
        place = last_place(frames)
        if place not in self.asked and len(self.asked) < 20:
            self.asked.append(place)


class Matches(TorchFunctionMode):
    """Finds the lines of the hand-in that compute some arrays, in whatever order and layout.

    Args:
        targets: the arrays, shape (., ) each.
    """

    def __init__(self, targets: list[np.ndarray]) -> None:
        super().__init__()
        self.targets = targets
        self.places: list[tuple[str, int] | None] = [None] * len(targets)

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(tensor, torch.Tensor) and tensor.is_floating_point():
                self.compare(tensor.detach().double().reshape(-1).sort().values.numpy())
        return result

    def compare(self, values: np.ndarray) -> None:
        """Look for arrays all of whose numbers are among these, in order of their size."""
        open_ = [n for n, t in enumerate(self.targets) if self.places[n] is None
                 and len(t) <= len(values) <= 100_000]  # fmt: skip
        for size in {len(self.targets[number]) for number in open_}:
            numbers = [number for number in open_ if len(self.targets[number]) == size]
            wanted = np.stack([self.targets[number] for number in numbers])
            place = np.searchsorted(values, wanted).clip(1, max(1, len(values) - 1))
            nearest = np.minimum(
                abs(values[place.clip(max=len(values) - 1)] - wanted),
                abs(values[place - 1] - wanted),
            )
            for row in np.flatnonzero((nearest <= 1e-5 * (1 + abs(wanted))).all(axis=1)):
                self.places[numbers[row]] = last_place(traceback.extract_stack())


def describe(error: BaseException) -> dict[str, Any]:
    """An exception as data: its class, its text, the hand-in's line, and what it is about."""
    frames = traceback.extract_tb(error.__traceback__)
    file, line = last_place(frames)
    root = f"{Path.cwd()}/"
    if isinstance(error, SyntaxError) and str(error.filename).startswith(root):
        file, line = str(error.filename).removeprefix(root), error.lineno or 0
    return {
        "type": type(error).__name__[:60],
        "message": _told(str(error)),
        "file": file,
        "line": line,
        "missing": str(getattr(error, "name", "") or "")[:100],
        "cause": _cause(error, frames),
    }


def _told(text: str) -> str:
    """What an error says, which may be of any length, without what is another on each computer.

    Where the hand-in and the check lie here, and at which address of memory an object is, say
    nothing to the author, and would make two reports on the same files differ.
    """
    text = text[:3000]
    for folder in (str(Path.cwd()), str(Path(__file__).parents[1])):
        text = text.replace(f"{folder}/", "").replace(folder, ".")
    return " ".join(_ADDRESS.sub("0x...", text).split())[:300]


def _is_own(error: BaseException, frames: traceback.StackSummary) -> bool:
    """Whether the hand-in's own functions and classes do not fit together, on any computer."""
    own = bool(frames) and frames[-1].filename.startswith(f"{Path.cwd()}/")
    if isinstance(error, ImportError):
        module = sys.modules.get(str(error.name).partition(".")[0])
        paths = [getattr(module, "__file__", None), *getattr(module, "__path__", [])]
        return any(str(path).startswith(str(Path.cwd())) for path in paths)
    if isinstance(error, AttributeError):
        owner = type(getattr(error, "obj", None))
        file = getattr(sys.modules.get(owner.__module__), "__file__", None) or ""
        made_here = owner.__module__ == "__main__" or file.startswith(f"{Path.cwd()}/")
        return made_here or (own and owner is argparse.Namespace)
    called = _CALLED.match(str(error)) if own and isinstance(error, TypeError) else None
    if called is None:
        return False
    # Only where the hand-in itself defines what it calls wrongly.
    name = called.group(1).rpartition(".")[2]
    owner_name = called.group(1).partition(".")[0]
    texts = (path.read_text(errors="replace") for path in Path.cwd().rglob("*.py"))
    pattern = re.compile(rf"(def|class) ({re.escape(name)}|{re.escape(owner_name)})\b")
    return any(pattern.search(text) for text in texts)


_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}\b")
_CALLED = re.compile(r"([\w.<>]+)\(\) (takes|missing|got (an unexpected|multiple|some))")


def _cause(error: BaseException, frames: traceback.StackSummary) -> str:
    """By where an error was raised: "cuda", "memory", "stand-in", "settings", "own" or ""."""
    if any(str(_TORCH / "cuda") in frame.filename for frame in frames):
        return "cuda"
    in_loading = any(frame.filename == str(_TORCH / "serialization.py") for frame in frames)
    if type(error).__name__ == "AcceleratorError" or (
        in_loading and frames[-1].name in ("_deserialize", "_validate_device")
    ):
        return "cuda"
    if getattr(error, "errno", None) == errno.ENOMEM:
        return "memory"
    if "StandIn" in f"{error} {type(getattr(error, 'obj', None)).__name__}":
        return "stand-in"
    if any(frame.filename == _STAND_INS for frame in frames):
        return "stand-in"
    if isinstance(getattr(error, "obj", None), Settings):
        return "settings"
    return "own" if _is_own(error, frames) else ""


def operations_called(call: Any) -> list[str]:
    """The names of torch's operations that a call makes, such as "aten::lstm"."""
    # The newer profiler takes half a second to start.
    with torch.autograd.profiler.profile(use_kineto=False) as profile:
        call()
    return sorted({event.name for event in profile.function_events})


def ready_made_modules(network: Any) -> list[str]:
    """The names of torch's own layers inside a network that the sheet does not allow."""
    modules = network.modules() if isinstance(network, torch.nn.Module) else ()
    return sorted({type(m).__name__ for m in modules if isinstance(m, _READY_MADE)})


def last_place(frames: traceback.StackSummary) -> tuple[str, int]:
    """The file and line of the last of these frames that lies in the hand-in."""
    root = f"{Path.cwd()}/"
    for frame in reversed(list(frames)):
        if frame.filename.startswith(root):
            return frame.filename.removeprefix(root), frame.lineno or 0
    return "", 0
