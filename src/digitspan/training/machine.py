"""The machine a run is trained on: its device, one thread per run, and what decides the bits."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Iterator

import torch

from digitspan import __version__
from digitspan.errors import UsageError

__all__ = ["environment", "find_device", "flushed_denormals", "one_thread"]


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """One thread for the time of a run: the number of threads can decide its bits.

    For networks of this size a second one costs as much processor time again and saves none.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def flushed_denormals() -> Iterator[None]:
    """Take numbers below 1e-38 in size for 0, where the processor can, for the time of a run.

    Gradients that vanish, and RMSprop's averages of their squares, end among them, and an ordinary
    processor takes tens of times as long for each: a run that learns nothing was the slowest.
    """
    before = _flushes_denormals()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def _flushes_denormals() -> bool:
    """Whether a denormal number is taken for 0 in this thread."""
    return not torch.tensor([1e-40]).mul(0.5).item()


def find_device(name: str) -> torch.device:
    """The device of that name; "auto" is a GPU where there is one.

    Raises:
        UsageError: where it is not there.
    """
    present = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto":
        return torch.device("cuda" if present["cuda"] else "cpu")
    if not present.get(name, False):
        there = ", ".join(kind for kind, is_there in present.items() if is_there)
        message = f"--device must be one that is there (auto, {there}); got {name!r}"
        raise UsageError(message)
    return torch.device(name)


def environment(device: torch.device | str = "cpu") -> dict[str, str]:
    """What decides the bits of a run besides its configuration."""
    device = torch.device(device)
    on_gpu = device.type == "cuda"
    return {
        "digitspan": __version__,
        "torch": torch.__version__,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "machine": platform.machine(),
        "threads": str(torch.get_num_threads()),
        "denormals": "flushed" if _flushes_denormals() else "kept",
        "device": torch.cuda.get_device_name(device) if on_gpu else device.type,
    }
