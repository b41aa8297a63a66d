"""One run: a configuration goes in, a record comes out; killed at any step, it can go on."""

from __future__ import annotations

import contextlib
import io
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from digitspan.cells.answers import state_size
from digitspan.cells.own import is_own
from digitspan.cells.seal import sealed
from digitspan.errors import DigitspanError, UsageError, said_by
from digitspan.files import read_verified, sha256, write_verified
from digitspan.runs.config import RunConfig
from digitspan.runs.growth import growth_of
from digitspan.runs.outcome import EVALUATE_EVERY, SOLVED_ACCURACY
from digitspan.runs.recalled import Recalled, SpanPoint
from digitspan.runs.record import CurvePoint, Finished, RunRecord
from digitspan.statistics import memory_bits, wilson
from digitspan.tasks import LISTS_HELD_OUT_FROM, NUM_CLASSES, is_own_task
from digitspan.tasks.palindrome import HELD_OUT_FROM
from digitspan.tasks.questions import HeldOut, Questions
from digitspan.tasks.recall import Recall
from digitspan.tasks.seeds import data_seed
from digitspan.training.engine import (
    StepResult,
    Trainer,
    TrainerGroup,
    build_network,
    keep_network,
    loss_of,
)
from digitspan.training.machine import environment, flushed_denormals, one_thread
from digitspan.training.own_task import task_of_run
from digitspan.training.recalling import ask_every_length, ask_one_length, span_point
from digitspan.training.snapshots import Snapshots
from digitspan.training.trial import try_trained

__all__ = ["train", "train_together"]

_log = logging.getLogger(__name__)

DIVERGED_LOSS = 1e3
"""nats: guessing has 2.3; a network this certain of wrong digits has lost its weights."""

SPAN_MEASURED_AT = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4)
"""Shares of the budget after which the digit span is measured on the way, and at its end."""

NUM_MASKED = 1_000
"""Test palindromes that are asked again with x_1 replaced."""

CHECKPOINT_SECONDS = 20.0
"""Least time between two checkpoints on disk, so that they cost next to nothing."""


def train(
    config: RunConfig,
    *,
    device: torch.device | str = "cpu",
    checkpoint: Path | None = None,
    snapshots: int = 0,
    on_evaluation: Callable[[CurvePoint], None] = lambda point: None,
) -> Finished:
    """Train one network until it is solved, has diverged, or its budget is spent.

    The same configuration gives the same record on the same machine, whether or not it was
    interrupted on the way (docs/protocol.md, section 8). It runs on one thread, and takes denormal
    numbers for 0.

    Args:
        config: what is trained.
        device: where.
        checkpoint: a file to go on from, if it is there, and to keep on the way; gone at the end.
        snapshots: of the network on its way that are kept, the untrained one among them; they
            change nothing of the run.
        on_evaluation: told about every evaluation.

    Raises:
        UsageError: where a cell of one's own cannot be found, or its source is not the run's, or
            so many snapshots are too large.
        DigitspanError: where the disk is full.
        RuntimeError: where a cell of one's own raised one of these in training.
    """
    config = config.with_source()
    with _apart([config]), one_thread(), flushed_denormals():
        try:
            run = _Training(config, torch.device(device), checkpoint, snapshots)
        except (MemoryError, RuntimeError) as error:
            return Finished(RunRecord.error(config, _out_of_memory(error)), b"")
        return _train(run, on_evaluation)


def train_together(
    configs: Sequence[RunConfig],
    *,
    device: torch.device | str = "cpu",
    on_evaluation: Callable[[RunConfig, CurvePoint], None] = lambda config, point: None,
) -> list[Finished]:
    """Train several networks at once, each as `train` would have trained it alone.

    Equal to it but for the order of sums in matrix products. One that has ended leaves the others.

    Raises:
        UsageError: where they differ in more than seed, initialisation and learning rate, or have
            a curriculum, or a cell of one's own cannot be found.
    """
    if len(configs) > 1 and any(config.curriculum for config in configs):
        message = "networks whose length grows are of different lengths; train them one by one"
        raise UsageError(message)
    configs = [config.with_source() for config in configs]
    with _apart(configs), one_thread(), flushed_denormals():
        runs = [_Training(config, torch.device(device), None) for config in configs]
        _go_on(runs, on_evaluation)
        return [run.end() for run in runs]


def _apart(configs: Sequence[RunConfig]) -> contextlib.AbstractContextManager[None]:
    """What a cell of one's own sets while it is trained is set for these runs alone."""
    own = any(config.is_own for config in configs)
    return sealed() if own else contextlib.nullcontext()


def _train(run: _Training, on_evaluation: Callable[[CurvePoint], None]) -> Finished:
    """Bring a run to its end, whatever end that is."""
    checkpoint = run.checkpoint
    try:
        _go_on([run], lambda _, point: on_evaluation(point))
        finished = run.end()
    except (MemoryError, RuntimeError) as error:
        note = _out_of_memory(error)
        run.end_state = "error"
        finished = run.finish(None, note)
    except DigitspanError as error:
        if error is run.refusal or not run.config.is_own:
            raise
        # The cell's own, or about what it answers: an error of this run, no refusal of all.
        message = f"raised in training: {said_by(error)}"
        raise RuntimeError(message) from error
    except (KeyboardInterrupt, SystemExit):
        run.save()
        raise
    if checkpoint is not None:
        for path in (checkpoint, checkpoint.with_name(checkpoint.name + ".previous")):
            path.unlink(missing_ok=True)
    return finished


class _Batch(NamedTuple):
    """What a training step is made on."""

    length: int
    """T of the palindromes."""
    questions: Questions


class _Tested(NamedTuple):
    """How a network answered the test palindromes, or lists."""

    right: int
    """Right answers; of lists, those that came back whole."""
    tested: int
    """How many were asked; 0 where lists of many lengths were."""
    exhaustive: bool
    """Whether these are all there are."""
    bits: float
    """Memory: what the answers tell, in bits."""
    masked_right: int | None
    """Right answers where x_1, or each place of a list, was replaced; None where the task has no
    such control."""
    masked_tested: int | None
    """How many of these were asked."""
    recalled: Recalled | None = None
    """What was said of lists."""
    largest_error: float | None = None
    """Of any output over all of them; None where the task has no such criterion."""


class _Training:
    """A run under way: the trainer, the data's generator, the curve."""

    def __init__(
        self,
        config: RunConfig,
        device: torch.device,
        checkpoint: Path | None,
        snapshots: int = 0,
    ) -> None:
        self.config = config
        self.device = device
        self.checkpoint = checkpoint
        self.trainer = Trainer(config, device)
        self.generator = torch.Generator(device)
        self.generator.manual_seed(data_seed(config.length, config.seed))
        self.task = task_of_run(config)
        self.grows = config.curriculum and config.trained != "none"
        self.growth = growth_of(config.task)
        self.length = min(self.growth.shortest, config.length) if self.grows else config.length
        self.losses: deque[float] = deque(maxlen=self.growth.batches)  # at the present length
        self.spans: list[SpanPoint] = []
        self.step = 0
        self.clipped = 0
        self.loss = math.nan
        self.curve: list[CurvePoint] = []
        self.end_state = ""
        self.waiting: deque[_Batch] = deque()  # drawn and not yet trained on
        self.last_saved = time.monotonic()
        self.refusal: DigitspanError | None = None
        self.snapshots = Snapshots(snapshots, config, self.trainer.network)
        self.go_on_from()
        self.resumable = self.state()

    @property
    def validation(self) -> HeldOut:
        """The validation palindromes of the present length."""
        return self.asked("validation")

    def begin_block(self) -> None:
        """Draw the batches up to the next evaluation; or guess, where nothing is trained."""
        config = self.config
        if config.trained == "none":
            self.guess()
            return
        steps = min(EVALUATE_EVERY, config.train_steps - self.step)
        if self.grows:
            for _ in range(steps):
                self.waiting.extend(self.draw(self.some_length(), 1))
        else:
            self.waiting.extend(self.draw(self.length, steps))

    def some_length(self) -> int:
        """The present length of a curriculum, or a shorter one."""
        chance, place = torch.rand(2, generator=self.generator, device=self.device).tolist()
        if chance >= 1 - self.growth.present_share:
            return self.length
        return self.growth.shorter(self.length, place)

    def draw(self, length: int, batches: int) -> list[_Batch]:
        """Batches to train on."""
        size = self.config.batch_size
        with self.refuses_all():
            drawn = self.task.draw_batches(length, batches, size, self.generator, self.device)
        return [_Batch(length, questions) for questions in drawn]

    @contextlib.contextmanager
    def refuses_all(self) -> Iterator[None]:
        """What breaks inside is no fault of the cell's: no other run could do better."""
        try:
            yield
        except DigitspanError as error:
            self.refusal = error
            raise

    def asked(self, part: str) -> HeldOut:
        """The "validation" or the "test" part of the present length."""
        return _on(self.task.held_out(self.length, part), self.device)

    def see(self, result: StepResult, length: int) -> None:
        """Take note of a training step on palindromes of some length."""
        self.step += 1
        if math.isfinite(result.loss):
            self.loss = result.loss
        if not math.isfinite(result.loss) or not math.isfinite(result.grad_norm):
            self.end_state = "diverged"
            return
        self.clipped += result.grad_norm > self.config.max_grad_norm
        if length == self.length < self.config.length:
            self.losses.append(result.loss)
            mean, enough = sum(self.losses) / len(self.losses), self.growth.batches
            if len(self.losses) == enough and mean < self.growth.learned_loss:
                self.length = min(self.growth.after(self.length), self.config.length)
                self.losses.clear()
                self.waiting.clear()  # they are of the length before; an evaluation comes next

    def guess(self) -> None:
        """Instead of training: draw a new random network, and keep the best one so far."""
        number = len(self.curve)
        self.step = min(self.step + EVALUATE_EVERY, self.config.train_steps)
        kept = self.trainer.state_dict()
        self.trainer.network.load_state_dict(build_network(self.config, guess=number).state_dict())
        questions = self.validation.questions
        right = _accuracy(self.trainer.logits(questions.inputs, questions.asked), questions)
        if self.curve and right <= self.curve[-1].validation_accuracy:
            self.trainer.load_state_dict(kept)
        else:
            ((_, batch),) = self.draw(self.length, 1)
            logits = self.trainer.logits(batch.inputs, batch.asked)
            self.loss = loss_of(logits, batch.targets).item()

    def evaluate(self, logits: Tensor) -> None:
        """See from the answers to the validation palindromes whether the run is at its end."""
        questions = self.validation.questions
        loss = loss_of(logits, questions.targets).item()
        right = _accuracy(logits, questions)
        self.curve.append(CurvePoint(self.step, self.loss, loss, right, self.length))
        here = [point for point in self.curve if point.length == self.length]

        # Fewer than 50 steps lie between two where the length has grown, or the budget ends.
        before = [point for point in here if point.step == self.step - EVALUATE_EVERY]
        last_two = [point.validation_accuracy for point in [*before, here[-1]]]
        whole = self.length == self.config.length
        if whole and len(last_two) == 2 and min(last_two) >= SOLVED_ACCURACY:
            self.end_state = "solved"
        elif not loss < DIVERGED_LOSS:
            self.end_state = "diverged"
        elif self.step >= self.config.train_steps:
            self.end_state = "censored"
        elif self.config.measures_span and len(self.spans) < len(SPAN_MEASURED_AT):
            if self.step >= SPAN_MEASURED_AT[len(self.spans)] * self.config.train_steps:
                self.measure_span()

    def measure_span(self) -> None:
        """Measure the digit span on validation lists, as it is now."""
        point = span_point(self.answer, self.recall, self.step, **self.lengths_asked)
        self.spans.append(point)

    def answer(self, inputs: Tensor, asked: int) -> Tensor:
        """What it says to lists (M, T - 1) from wherever: logits (M, A, K)."""
        return self.trainer.logits(inputs.to(self.device), asked)

    @property
    def recall(self) -> Recall:
        """The task, where it asks lists."""
        return cast("Recall", self.task)

    @property
    def lengths_asked(self) -> dict[str, int]:
        """Up to which length lists are asked, in items."""
        return {"trained_to": self.length // 2, "longest": self.config.length // 2}

    def end(self) -> Finished:
        """Ask the test part once and make the record; an error where the network reads ahead."""
        tested = self.test()
        try:
            self.try_trained(tested)
        except UsageError as error:
            return Finished(RunRecord.error(self.config, str(error)), b"")
        return self.finish(tested)

    def try_trained(self, tested: _Tested) -> None:
        """Refuse a network that reads ahead, at the run's length and that of the longest lists."""
        longest = {self.config.length}
        if tested.recalled is not None:
            longest.add(2 * tested.recalled.lists[-1].items)
        if is_own(self.config.cell):
            for length in sorted(longest):
                questions = _on(self.task.held_out(length, "test"), self.device).questions
                try_trained(self.trainer, questions.inputs, questions.asked)

    def test(self) -> _Tested:
        """Ask the test palindromes, or lists, once."""
        if self.config.items is not None:
            return self.test_lists()
        test = self.asked("test")
        targets = test.questions.targets
        if is_own_task(self.config.task):
            return self.test_own_task(test)
        logits = self.trainer.logits(test.questions.inputs)
        counts = _confusion(targets, logits.argmax(dim=1), NUM_CLASSES)
        masked = self.masked_right(test) if self.config.task == "palindrome" else (None, None)
        largest = _largest_error(logits, targets) if self.config.task == "first-symbol" else None
        return _Tested(
            right=int(counts.trace()),
            tested=int(counts.sum()),
            exhaustive=test.exhaustive,
            bits=memory_bits(counts),
            masked_right=masked[0],
            masked_tested=masked[1],
            largest_error=largest,
        )

    def test_own_task(self, test: HeldOut) -> _Tested:
        """Ask the test sequences of a task of one's own; memory is the mean over the answers."""
        questions, classes = test.questions, self.config.num_classes
        targets = questions.targets.reshape(len(questions.targets), -1)  # (M, A)
        logits = self.trainer.logits(questions.inputs, questions.asked)
        said = logits.argmax(dim=-1).reshape(targets.shape)
        told = [
            memory_bits(_confusion(asked, answered, classes))
            for asked, answered in zip(targets.T, said.T, strict=True)
        ]
        return _Tested(
            right=int((said == targets).all(dim=1).sum()),
            tested=len(targets),
            exhaustive=test.exhaustive,
            bits=sum(told) / len(told),
            masked_right=None,
            masked_tested=None,
        )

    def test_lists(self) -> _Tested:
        """Ask the test lists of the run's length; where its span is measured, of every length."""
        if self.config.measures_span:
            self.measure_span()
            recalled = ask_every_length(
                self.answer, self.recall, on_the_way=tuple(self.spans), **self.lengths_asked
            )
            right = tested = 0
        else:
            recalled = ask_one_length(self.answer, self.recall, self.length // 2)
            right, tested = recalled.lists[0].whole, recalled.lists[0].asked
        return _Tested(
            right=right,
            tested=tested,
            exhaustive=self.length // 2 < LISTS_HELD_OUT_FROM,
            bits=max(lists.bits for lists in recalled.lists),
            masked_right=sum(recalled.masked),
            masked_tested=len(recalled.masked) * recalled.masked_asked,
            recalled=recalled._replace(state_size=state_size(self.trainer.network)),
        )

    def finish(self, test: _Tested | None, note: str = "") -> Finished:
        """The record and the weights; `test` is None where the memory did not suffice for one."""
        config = self.config
        tested = 0 if test is None else test.tested
        long_enough = config.length >= HELD_OUT_FROM
        if config.items is not None:
            long_enough = config.items >= LISTS_HELD_OUT_FROM
        apart = config.asks.keeps_apart and long_enough
        accuracy = low = high = None
        if test is not None and tested:
            accuracy = test.right / tested
            if not test.exhaustive:
                low, high = wilson(test.right, tested)
        weights = keep_network(config, self.trainer.network)
        record = RunRecord(
            config=config,
            end_state=self.end_state,
            steps=self.step,
            accuracy=accuracy,
            accuracy_low=low,
            accuracy_high=high,
            tested=tested,
            held_out=tested if apart else 0,
            bits=test and test.bits,
            masked_right=test and test.masked_right,
            masked_tested=test and test.masked_tested,
            largest_error=test and test.largest_error,
            loss=self.loss if math.isfinite(self.loss) else None,
            clipped_share=self.clipped / self.step if self.step else None,
            curve=tuple(self.curve),
            weights_sha256=sha256(weights),
            environment=environment(self.device),
            parameters=sum(p.numel() for p in self.trainer.network.parameters()),
            note=note,
            recalled=test and test.recalled,
        )
        return Finished(record, weights, self.snapshots.file(self.step))

    def masked_right(self, test: HeldOut) -> tuple[int, int]:
        """Right answers where x_1 was replaced by an independent digit, and how many were asked.

        Of each first digit, every digit takes its place equally often: a network that has
        learned the task is then right in exactly one case of ten, unless something else tells.
        """
        inputs, targets = test.questions
        stratum = len(targets) // NUM_CLASSES  # the test palindromes are sorted by first digit
        asked = max(NUM_CLASSES, min(NUM_MASKED // NUM_CLASSES, stratum))
        within = torch.arange(asked, device=inputs.device)
        digits = torch.arange(NUM_CLASSES).to(within)
        rows = (stratum * digits[:, None] + within % stratum).flatten()
        masked, original = inputs[rows].clone(), targets[rows]
        masked[:, 0] = ((original + within.repeat(NUM_CLASSES)) % NUM_CLASSES).to(masked)
        predicted = self.trainer.logits(masked).argmax(dim=1)
        return int((predicted == original).sum()), len(rows)

    def state(self) -> dict[str, Any]:
        """Everything that decides how the run goes on."""
        return {
            "key": self.config.key,
            "trainer": self.trainer.state_dict(),
            "generator": self.generator.get_state(),
            "step": self.step,
            "length": self.length,
            "clipped": self.clipped,
            "loss": self.loss,
            "curve": [list(point) for point in self.curve],
            "end_state": self.end_state,
            "losses": list(self.losses),
            "spans": [list(point) for point in self.spans],
            "snapshots": self.snapshots.state(),
        }

    def save(self) -> None:
        """Write the state after the last evaluation to the checkpoint."""
        if self.checkpoint is not None:
            buffer = io.BytesIO()
            torch.save(self.resumable, buffer)
            with self.refuses_all():
                write_verified(self.checkpoint, buffer.getvalue())
            self.last_saved = time.monotonic()

    def go_on_from(self) -> None:
        """Restore the state from the checkpoint, if there is an intact one of this run."""
        if self.checkpoint is None:
            return
        content, damaged = read_verified(self.checkpoint)
        if damaged:
            instead = "starting anew" if content is None else "going on from the one before it"
            _log.warning("checkpoint %s is damaged: %s", self.checkpoint, instead)
        if content is None:
            return
        state: Mapping[str, Any] = torch.load(io.BytesIO(content), weights_only=True)
        if state["key"] != self.config.key:
            return
        if not self.trainer.can_load(state["trainer"]):
            words = "checkpoint %s is of a version that trained %s in another way: starting anew"
            _log.warning(words, self.checkpoint, self.config.cell)
            return
        self.trainer.load_state_dict(state["trainer"])
        self.generator.set_state(state["generator"])
        self.step, self.length = state["step"], state["length"]
        self.clipped, self.loss = state["clipped"], state["loss"]
        self.curve = [CurvePoint(*point) for point in state["curve"]]
        self.end_state = state["end_state"]
        self.losses.extend(state.get("losses", ()))
        self.spans = [SpanPoint(*point) for point in state.get("spans", ())]
        if "snapshots" in state:
            self.snapshots.go_on_from(state["snapshots"])


def _go_on(
    runs: Sequence[_Training], on_evaluation: Callable[[RunConfig, CurvePoint], None]
) -> None:
    """Train runs together, evaluating every 50 steps, until each has reached its end."""
    while active := [run for run in runs if not run.end_state]:
        group = TrainerGroup([run.trainer for run in active])  # without those that have ended
        while not any(run.end_state for run in active):
            if not active[0].waiting:
                for run in active:
                    run.begin_block()
            if active[0].waiting:
                batches = [run.waiting.popleft() for run in active]
                results = group.step([batch.questions for batch in batches])
                for run, result, batch in zip(active, results, batches, strict=True):
                    run.see(result, batch.length)
            if not active[0].waiting:
                _evaluate(active, group, on_evaluation)


def _evaluate(
    runs: Sequence[_Training],
    group: TrainerGroup,
    on_evaluation: Callable[[RunConfig, CurvePoint], None],
) -> None:
    """Evaluate those that have not diverged, and keep what they need to go on from here."""
    questions = runs[0].validation.questions
    answers = group.logits(questions.inputs, questions.asked)
    for run, logits in zip(runs, answers, strict=True):
        if not run.end_state:
            run.evaluate(logits)
            on_evaluation(run.config, run.curve[-1])
            run.snapshots.see(run.step, run.trainer.network)
            run.resumable = run.state()
            if time.monotonic() - run.last_saved > CHECKPOINT_SECONDS:
                run.save()


def _accuracy(logits: Tensor, questions: Questions) -> float:
    """The share of right answers, in [0, 1]: of logits (M, K), or of whole lists (M, A, K)."""
    right = logits.argmax(dim=-1) == questions.targets
    return right.reshape(len(right), -1).all(dim=1).double().mean().item()


def _largest_error(logits: Tensor, targets: Tensor) -> float | None:
    """Largest |softmax(logits) - one-hot target|, logits (M, K); None where one is not finite."""
    probabilities = logits.double().softmax(dim=1)
    wanted = torch.nn.functional.one_hot(targets, probabilities.shape[1])
    largest = (probabilities - wanted).abs().max().item()
    return largest if math.isfinite(largest) else None


def _confusion(targets: Tensor, predicted: Tensor, classes: int) -> np.ndarray:
    """How often each digit (rows) was answered by each class (columns), shape (K, K)."""
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (targets.cpu().numpy(), predicted.cpu().numpy()), 1)
    return counts


def _on(part: HeldOut, device: torch.device) -> HeldOut:
    """The same palindromes on another device."""
    return part._replace(questions=type(part.questions)(*(x.to(device) for x in part.questions)))


def _out_of_memory(error: MemoryError | RuntimeError) -> str:
    """The first line of an error that says that the memory did not suffice."""
    words = "can't allocate memory"  # torch says so in words alone on the CPU
    if not isinstance(error, MemoryError | torch.OutOfMemoryError) and words not in said_by(error):
        raise error
    return (str(error).splitlines() or ["out of memory"])[0][:500]
