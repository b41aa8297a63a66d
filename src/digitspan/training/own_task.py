"""Draws a task of one's own: its class is found, shut in, and held to what it says of itself."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from digitspan.cells.build import find
from digitspan.cells.own import is_outside, source_of
from digitspan.cells.seal import is_a_signals, sealed, seeded
from digitspan.errors import UsageError, said_by
from digitspan.runs.config import RunConfig
from digitspan.runs.outcome import EVALUATE_EVERY
from digitspan.tasks import TASKS, TaskModule, is_own_task
from digitspan.tasks.questions import HeldOut, Questions
from digitspan.tasks.recall import NUM_TEST, NUM_VALIDATION
from digitspan.tasks.seeds import data_seed, seed_of

__all__ = ["OwnTask", "asks_several_answers", "task_of_run", "try_task"]


def task_of_run(config: RunConfig) -> TaskModule:
    """What draws the task of a run.

    Raises:
        UsageError: where the class of a task of one's own is not there, its source is not the
            run's, or it cannot be built.
    """
    if is_own_task(config.task):
        return OwnTask(config)
    return TASKS[config.task].load(config.order)


def asks_several_answers(config: RunConfig) -> bool:
    """Whether a run's task asks for answers after several steps, not after the last one alone."""
    if not is_own_task(config.task):
        return config.items is not None
    generator, cpu = torch.Generator().manual_seed(0), torch.device("cpu")
    (questions,) = OwnTask(config).draw_batches(config.length, 1, 2, generator, cpu)
    return questions.asked is not None


GENERATORS = 12
"""With so many a task is tried, a batch each."""


class OwnTask:
    """The task of a run that is a class of one's own, `module:Class`.

    Its `draw(length, count, generator)` gives `count` sequences of the length T: what is read,
    whole numbers below `symbols`, (count, steps); and what to answer, whole numbers below
    `answers`, after the last step, (count,), or after each of the last A steps, (count, A). All
    that it draws is decided by the generator, which is on the CPU, or by torch's, NumPy's and
    Python's own.

    Args:
        config: the run, with the facts of its task.
    """

    def __init__(self, config: RunConfig) -> None:
        self.name, self.facts = config.task, config.asks
        with self._refused_if_it_raises("cannot be imported"):
            made: Any = find(config.task, config.task_facts.partition(" ")[0], kind="task")
        with self._refused_if_it_raises("cannot be built without arguments"), sealed(), seeded(0):
            self._task = made()
        if not callable(getattr(self._task, "draw", None)):
            self._refuse("has no method draw(length, count, generator)")
        self._sizes: dict[int, str] = {}  # of what was drawn, by T
        self.held_out = functools.lru_cache(maxsize=32)(self._held_out)

    def draw_batches(
        self,
        length: int,
        batches: int,
        size: int,
        generator: torch.Generator,
        device: torch.device,
    ) -> list[Questions]:
        """Batches to train on, `size` sequences each."""
        seed = torch.randint(2**62, (), generator=generator, device=device).item()
        inputs, targets = self._draw(length, batches * size, int(seed))
        drawn = zip(inputs.to(device).split(size), targets.to(device).split(size), strict=True)
        return [Questions(*batch) for batch in drawn]

    def _held_out(self, length: int, part: str) -> HeldOut:
        """The fixed "validation" or "test" part of a length, drawn once, on the CPU."""
        count = {"validation": NUM_VALIDATION, "test": NUM_TEST}[part]
        questions = Questions(*self._draw(length, count, seed_of("own task", part, length)))
        return HeldOut(questions, exhaustive=False)

    def _draw(self, length: int, count: int, seed: int) -> tuple[Tensor, Tensor]:
        """Sequences and their answers, as they must be."""
        refused = self._refused_if_it_raises(f"cannot be drawn at T = {length:,}")
        with refused, sealed(), seeded(seed):
            generator = torch.Generator().manual_seed(seed)
            drawn: Any = self._task.draw(length, count, generator)
            if not isinstance(drawn, tuple | list) or len(drawn) != 2:
                several = f" of {len(drawn)}" if isinstance(drawn, tuple | list) else ""
                got = f"{type(drawn).__name__}{several}"
                self._refuse(f"draws a {got}, expected two tensors, inputs and targets")
            inputs, targets = (
                self._checked(what, values, dims, count, below)
                for what, values, dims, below in (
                    ("inputs (count, steps)", drawn[0], (2,), self.facts.symbols),
                    ("targets (count,) or (count, A)", drawn[1], (1, 2), self.facts.answers),
                )
            )
        if targets.dim() == 2 and not 1 <= targets.shape[1] <= inputs.shape[1]:
            self._refuse(
                f"asks for {targets.shape[1]} answers in {inputs.shape[1]} steps; expected from 1 "
                f"answer to one after every step"
            )
        sizes = f"{inputs.shape[1]} steps and targets {('count', *targets.shape[1:])}"
        sizes = sizes.replace("'", "")
        if sizes != (before := self._sizes.setdefault(length, sizes)):
            self._refuse(
                f"draws {sizes} at T = {length:,}, and drew {before} there before; expected the "
                f"same number of steps and answers in every draw of one length"
            )
        return inputs, targets

    def _checked(
        self, what: str, values: object, dims: tuple[int, ...], count: int, below: int
    ) -> Tensor:
        """The values as a dense tensor on the CPU, int64, if they are what they must be."""
        if not isinstance(values, Tensor) or values.is_floating_point() or values.is_complex():
            got = values.dtype if isinstance(values, Tensor) else type(values).__name__
            self._refuse(f"draws {what} as {got}, expected a tensor of whole numbers")
        if values.dim() not in dims or len(values) != count or values.numel() == 0:
            self._refuse(f"draws {what} of the shape {tuple(values.shape)} where count = {count}")
        numbers = values.cpu().to_dense().long()
        least, most = int(numbers.min()), int(numbers.max())
        if least < 0 or most >= below:
            kind = "symbols" if what.startswith("inputs") else "answers"
            self._refuse(
                f"draws {what.partition(' ')[0]} from {least} to {most}, and says {kind} = "
                f"{below}: expected whole numbers from 0 to {below - 1}"
            )
        return numbers

    @contextlib.contextmanager
    def _refused_if_it_raises(self, text: str) -> Iterator[None]:
        """Refuse whatever the code of somebody else may raise, sys.exit too; no signal's doing."""
        try:
            yield
        except UsageError:
            raise
        except BaseException as error:
            if is_a_signals(error):
                raise
            self._refuse(f"{text} ({said_by(error)[:300]})")

    def _refuse(self, text: str) -> NoReturn:
        message = f"task {self.name!r} {text} (see docs/own-task.md)"
        raise UsageError(message)


def try_task(config: RunConfig) -> None:
    """Refuse a run of a task of one's own that cannot be drawn as the run needs it.

    Raises:
        UsageError: with what is wrong about it.
    """
    if not is_own_task(config.task):
        return
    config = config.with_source()
    before = set(sys.modules)
    task = OwnTask(config)
    cpu = torch.device("cpu")

    def drawn(seed: int) -> Questions:
        generator = torch.Generator().manual_seed(seed)
        return task.draw_batches(config.length, 1, max(config.batch_size, 2), generator, cpu)[0]

    one, again, other = drawn(0), drawn(0), drawn(1)
    message = f"task {config.task!r} draws {{}} (see docs/own-task.md)"
    if not _same(one, again):
        text = "otherwise when it is asked again with the same generator: draw with that generator"
        raise UsageError(message.format(text))
    if _same(one, other):
        raise UsageError(message.format("the same batch whatever the generator is"))
    for seed in range(2, GENERATORS):  # a number of steps that is drawn differs among so many
        drawn(seed)
    # As the run will draw: what leaves its classes once in a thousand is not seen in one batch.
    batches, generator = min(EVALUATE_EVERY, config.train_steps), torch.Generator()
    generator.manual_seed(data_seed(config.length, config.seed))
    task.draw_batches(config.length, batches, config.batch_size, generator, cpu)
    for part in ("validation", "test"):
        task.held_out(config.length, part)
    named = source_of(config.task).modules
    for name in sorted(set(sys.modules) - before):
        path = getattr(sys.modules[name], "__file__", None)
        if path and name not in named and not name.startswith("__") and is_outside(Path(path)):
            message = (
                f"task {config.task!r} imports {name} in a way that its source does not show, and "
                f"its runs are known by its source: import it by its name (see docs/own-task.md)"
            )
            raise UsageError(message)


def _same(one: Questions, other: Questions) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
