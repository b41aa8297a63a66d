"""The child: waits for questions about the hand-in's classes and answers them with numbers."""

from __future__ import annotations

import builtins
import contextlib
import gc
import importlib.machinery
import os
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .channel import Channel
from .compiler import leave_compiler_alone
from .loading import Shell, load_class, signature_of
from .monitor import (
    Lines,
    Matches,
    OnCPU,
    Printed,
    describe,
    operations_called,
    ready_made_modules,
)
from .networks import Entry, build, entries_of, feed, set_entries
from .script_run import trace_script
from .stand_ins import StandIns

__all__ = ["serve"]

Answer = tuple[dict[str, Any], bytes]


class Responder:
    """Holds the hand-in's class and network between two questions."""

    def __init__(self) -> None:
        self.printed = Printed()
        self.network_class: type = object
        self.network: Any = None
        self.arguments: dict[str, Any] = {}
        self.entries: list[Entry] = []
        self.fresh = False
        self.mode = OnCPU()
        self.watch = True
        self.cuda = False
        self.calls = 0
        self.lines = Lines()

    def hello(self, question: dict[str, Any], payload: bytes) -> Answer:
        """Ready."""
        return {}, b""

    def load(self, question: dict[str, Any], payload: bytes) -> Answer:
        """Import a class."""
        self.watch, self.cuda = True, False
        _seed(0)
        with self.mode:
            self.network_class, skipped = load_class(
                question["file"], question["class"], definitions_only=question["definitions_only"]
            )
        return {
            "constructor": signature_of(self.network_class),
            "forward": signature_of(getattr(self.network_class, "forward", None))[1:],
            "module": issubclass(self.network_class, torch.nn.Module),
            "skipped": [describe(error) for error in skipped[:20]],
        }, b""

    def build(self, question: dict[str, Any], payload: bytes) -> Answer:
        """Construct a network, and describe the numbers that it holds."""
        dtype = {"float64": torch.float64, "float32": torch.float32}[question["dtype"]]
        torch.set_default_dtype(dtype)
        _seed(question["seed"])
        self.arguments = question["arguments"]
        self.fresh = False
        self.watch, self.calls = True, 0
        with self.watched():
            self._rebuild()
        start = [entry.tensor.detach().double().reshape(-1) for entry in self.entries]
        values = torch.cat(start) if start else torch.zeros(0)
        described = [
            {
                "name": entry.name[:100],
                "shape": list(entry.tensor.shape),
                "kind": entry.kind,
                "trainable": entry.kind == "parameter" and entry.tensor.requires_grad,
            }
            for entry in self.entries
        ]
        layers = ready_made_modules(self.network)
        return {"tensors": described, "ready_made": layers}, values.numpy().tobytes()

    def run(self, question: dict[str, Any], payload: bytes) -> Answer:
        """Answers to the same digits under many settings of the numbers, shape (R, B, K)."""
        digits, values = _unpack(question, payload)
        self.fresh = question["fresh"]
        answers = []
        form = "", "", -1
        with torch.set_grad_enabled(question["grad"]):
            for setting in values:
                with self.watched():
                    chosen = self._set(question, setting, rebuild=self.fresh)
                    with self.lines if question["counted"] else contextlib.nullcontext():
                        for _ in range(question["repeats"]):
                            answer, form = feed(self.network, digits, question["how"])
                answers.append(answer.detach().double().numpy().copy())
        dtypes = {answer.dtype, *(entry.tensor.dtype for entry in chosen)}
        single = bool(dtypes & {torch.float32, torch.float16, torch.bfloat16})
        shape = [len(answers), *answers[0].shape]
        data = np.stack(answers).astype(np.float64).tobytes()
        return {"shape": shape, "form": form, "single": single}, data

    def gradient(self, question: dict[str, Any], payload: bytes) -> Answer:
        """The gradient of a weighted sum of the answers, shape (P,); NaN where there is none."""
        digits, values = _unpack(question, payload)
        weights = torch.as_tensor(
            np.frombuffer(bytes.fromhex(question["weights"]), dtype=np.float64).copy()
        )
        with torch.enable_grad(), self.watched():
            chosen = self._set(question, values[0], rebuild=self.fresh)
            for entry in chosen:
                entry.tensor.grad = None
            for _ in range(question["repeats"]):
                answer, _ = feed(self.network, digits, question["how"])
                if answer.requires_grad:
                    (answer.double().reshape(-1) * weights).sum().backward()
        parts = []
        for entry, places in zip(chosen, question["kept"], strict=True):
            grad = entry.tensor.grad if entry.tensor.is_leaf else None
            missing = torch.full(entry.tensor.shape, float("nan"))
            flat = (missing if grad is None else grad).detach().double().reshape(-1)
            parts.append(flat if places is None else flat[places])
        return {}, torch.cat(parts).numpy().tobytes()

    def habits(self, question: dict[str, Any], payload: bytes) -> Answer:
        """What a call does besides: what it prints and keeps."""
        digits, values = _unpack(question, payload)
        before = self.printed.characters
        with self.watched():
            self._set(question, values[0], rebuild=True)
            feed(self.network, digits, question["how"])
            printed = self.printed.characters - before
            alive = []
            for _ in range(4):
                feed(self.network, digits, question["how"])
                alive.append(_tensors_alive())
        return {"printed": printed, "tensors_alive": alive}, b""

    def operations(self, question: dict[str, Any], payload: bytes) -> Answer:
        """Which of torch's operations a call calls."""
        digits, values = _unpack(question, payload)
        with self.watched():
            self._set(question, values[0], rebuild=True)
            called = operations_called(lambda: feed(self.network, digits, question["how"]))
        return {"called": called[:500]}, b""

    def places(self, question: dict[str, Any], payload: bytes) -> Answer:
        """The file and line of the hand-in that first computes each of some arrays."""
        sizes = question["targets"]
        numbers = np.frombuffer(payload[len(payload) - 8 * sum(sizes) :], dtype=np.float64)
        targets = np.split(numbers, np.cumsum(sizes)[:-1])
        digits, values = _unpack(question, payload[: len(payload) - 8 * sum(sizes)])
        self._set(question, values[0], rebuild=True)
        with torch.set_grad_enabled(question["grad"]), (matches := Matches(targets)):
            feed(self.network, digits, question["how"])
        return {"places": matches.places}, b""

    def train(self, question: dict[str, Any], payload: bytes) -> Answer:
        """Run the training script for a few steps and tell what it did, in order."""
        torch.set_default_dtype(torch.float32)
        torch.set_deterministic_debug_mode("default")
        names = ("file", "options", "steps", "classes", "seed")
        with self.mode:
            run = trace_script(*(question[name] for name in names))
        torch.set_deterministic_debug_mode("warn")
        return {**run}, b""

    def watched(self) -> contextlib.AbstractContextManager[Any]:
        """Watch for CUDA; after a call that did not ask for it, no longer: it costs much time."""
        self.cuda = self.cuda or bool(self.mode.asked)
        if self.watch and not self.cuda and self.calls > 1:
            self.watch = False
        self.calls += 1
        return self.mode if self.watch else contextlib.nullcontext()

    def _rebuild(self) -> None:
        """Construct the network again."""
        self.network = build(self.network_class, self.arguments)
        self.entries = entries_of(self.network)

    def _set(
        self, question: dict[str, Any], values: torch.Tensor, *, rebuild: bool
    ) -> list[Entry]:
        """Write numbers into the tensors that are asked for; returns these."""
        if rebuild:
            self._rebuild()
        chosen = [self.entries[i] for i in question["tensors"]]
        set_entries(chosen, values, question["kept"])
        if isinstance(self.network, torch.nn.Module) and not question["training"]:
            torch.nn.Module.eval(self.network)
        return chosen


def serve() -> None:
    """Answer until the checker goes away."""
    channel = Channel()
    folder, *originals = sys.argv[1:]
    for original in originals:
        shutil.copytree(original, folder, dirs_exist_ok=True)
    os.chdir(folder)
    os.environ.update(HOME=os.getcwd(), MPLBACKEND="Agg")
    torch.set_num_threads(1)
    # New memory holds NaN instead of what happened to lie there: reading it shows. The better
    # known use_deterministic_algorithms would import the compiler.
    torch.set_deterministic_debug_mode("warn")
    leave_compiler_alone()
    shell = Shell()
    builtins.get_ipython = lambda: shell  # type: ignore[attr-defined]
    stand_ins = StandIns()
    sys.meta_path.append(stand_ins)
    name = "torch.utils.tensorboard"  # needs more than is installed here, and writes files
    sys.modules[name] = stand_ins.create_module(importlib.machinery.ModuleSpec(name, None))
    sys.path[:] = [
        entry for entry in sys.path if Path(entry).resolve() != Path(__file__).parents[1]
    ]
    # What is there now is left alone by the collector, and not counted when tensors are.
    gc.collect()
    gc.freeze()
    responder = Responder()
    responder.mode.install()
    responder.printed.install()
    while True:
        try:
            question, payload = channel.receive()
        except EOFError:
            break
        do: Callable[[dict[str, Any], bytes], Answer] = getattr(responder, question["do"])
        responder.cuda = responder.cuda or bool(responder.mode.asked)
        responder.mode.asked.clear()
        responder.lines.count = 0
        try:
            header, data = do(question, payload)
        except BaseException as error:
            header = {"error": {**describe(error), "progress": responder.lines.count}}
            data = b""
        header["cuda"] = responder.mode.asked
        header["libraries"], stand_ins.new = stand_ins.new[:20], []
        channel.send(header, data)


def _seed(seed: int) -> None:
    """Let everything that a network may draw at random hang on the hand-in alone."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def _tensors_alive() -> int:
    """How many tensors there are; the list of all things must not outlive the count."""
    gc.collect()
    # isinstance would wake lazy objects, and their warnings.
    return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())


def _unpack(question: dict[str, Any], payload: bytes) -> tuple[torch.Tensor, torch.Tensor]:
    """Digits, shape (B, T), and settings, shape (R, P), out of raw bytes."""
    batch, steps, settings = question["batch"], question["steps"], question["settings"]
    digits = np.frombuffer(payload, dtype=np.int64, count=batch * steps)
    values = np.frombuffer(payload, dtype=np.float64, offset=8 * batch * steps)
    return (
        torch.as_tensor(digits.reshape(batch, steps).copy()),
        torch.as_tensor(values.reshape(settings, -1).copy()),
    )
