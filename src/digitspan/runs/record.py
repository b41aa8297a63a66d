"""What came of a run: its record, and the curve of its evaluations."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from digitspan.errors import UsageError, printable
from digitspan.runs.config import RunConfig
from digitspan.runs.outcome import END_STATES, ERROR_OF_1997
from digitspan.runs.ranges import is_count, is_finite, is_share
from digitspan.runs.recalled import Recalled

__all__ = ["MOST_NOTE", "CurvePoint", "Finished", "RunRecord"]

MOST_NOTE = 2_000
"""Characters of a note at most: it is a sentence, and stands in tables."""


class CurvePoint(NamedTuple):
    """What one evaluation saw."""

    step: int
    """Training steps done."""
    loss: float
    """Cross-entropy of the training batch, in nats."""
    validation_loss: float
    """Cross-entropy on the validation palindromes, in nats."""
    validation_accuracy: float
    """Share of validation palindromes answered right, in [0, 1]."""
    length: int = 0
    """The length trained at and evaluated; 0 in records made before there was a curriculum."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What came of one run. Two runs of one configuration on one machine have equal records."""

    config: RunConfig
    """What was run."""
    end_state: str
    """One of `END_STATES`."""
    steps: int
    """Training steps done; for a diverged run, the step at which that was seen."""
    accuracy: float | None = None
    """Share of the palindromes tested that were answered right, in [0, 1]; None: not tested."""
    accuracy_low: float | None = None
    """Lower end of the 95 % Wilson interval; None where all there are were tested."""
    accuracy_high: float | None = None
    """Upper end of it."""
    tested: int = 0
    """Palindromes tested."""
    held_out: int = 0
    """How many of these were kept out of training: all of them, or none where T <= 4."""
    bits: float | None = None
    """Memory: I(x_1; prediction), of log2 10 = 3.32 bits."""
    masked_right: int | None = None
    """Mask control: right answers to palindromes whose x_1 was replaced (chance is right)."""
    masked_tested: int | None = None
    """Mask control: palindromes tested."""
    largest_error: float | None = None
    """max |y-hat_k - y_k| over all outputs k and all sequences tested, y-hat the softmax and y the
    one-hot target, in [0, 1]; None where it was not measured, as of palindromes."""
    loss: float | None = None
    """The last finite training loss, in nats."""
    clipped_share: float | None = None
    """Share of the training steps whose gradient was clipped, in [0, 1]."""
    curve: tuple[CurvePoint, ...] = ()
    """The evaluations."""
    weights_sha256: str | None = None
    """Of the weights' file; None where there are none to keep."""
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Versions, CPU capability, threads, device: what else decides the bits."""
    parameters: int | None = None
    """How many numbers were trained or could have been; None where no network was built."""
    note: str = ""
    """What went wrong, in a sentence, where something did."""
    recalled: Recalled | None = None
    """What it said of unseen lists, where the task asks lists; a share of lists recalled whole is
    its accuracy."""

    def __repr__(self) -> str:
        accuracy = "" if self.accuracy is None else f", accuracy={self.accuracy:.3f}"
        at = f"{self.end_state} at step {self.steps:,}"
        return f"<RunRecord {self.config.run_id}: {at}{accuracy}>"

    @property
    def solved(self) -> bool:
        """Whether the run counts as solved."""
        return self.end_state == "solved"

    @property
    def meets_1997(self) -> bool | None:
        """Whether Hochreiter and Schmidhuber's criterion holds as well; None: not measured."""
        return None if self.largest_error is None else self.largest_error < ERROR_OF_1997

    @property
    def grown_to(self) -> int:
        """The longest length it was trained at: T, or what a curriculum had come to."""
        return max((point.length for point in self.curve), default=0) or self.config.length

    def to_json(self, *, curve: bool = True) -> dict[str, Any]:
        """The record as plain values: the configuration's fields, then its own."""
        document = dataclasses.asdict(self.config)
        for field in dataclasses.fields(self):
            document[field.name] = getattr(self, field.name)
        del document["config"], document["curve"]
        document["environment"] = dict(self.environment)
        document["recalled"] = self.recalled and self.recalled.to_json()
        if curve:
            document["curve"] = [list(point) for point in self.curve]
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The record that `to_json` came from."""
        values = dict(document)
        names = [field.name for field in dataclasses.fields(RunConfig)]
        settings = {name: values.pop(name) for name in names if name in values}
        curve = tuple(CurvePoint(*point) for point in values.pop("curve", ()))
        return cls.of_result(RunConfig(**settings), curve, values)

    @classmethod
    def of_result(
        cls, config: RunConfig, curve: tuple[CurvePoint, ...], result: Mapping[str, Any]
    ) -> Self:
        """The record out of its parts, the result as `to_json` has it."""
        recalled = result.get("recalled")
        values = {**result, "recalled": recalled and Recalled.from_json(recalled)}
        return cls(config=config, curve=curve, **values)

    def checked(self) -> Self:
        """This record as it was read from a file: refused where a value cannot be, its note shown.

        Raises:
            UsageError: naming what is of a wrong type or out of its range.
        """
        masked_tested = self.masked_tested if is_count(self.masked_tested) else 0
        budget, tested = self.config.train_steps, self.tested if is_count(self.tested) else 0
        hash_ = self.weights_sha256
        holds = {
            "end_state": self.end_state in END_STATES,
            "steps": is_count(self.steps) and int(self.solved) <= self.steps <= budget,
            "accuracy": _is_none_or_share(self.accuracy) and (self.accuracy is None or tested > 0),
            "accuracy_low": _is_none_or_share(self.accuracy_low),
            "accuracy_high": _is_none_or_share(self.accuracy_high),
            "tested": is_count(self.tested),
            "held_out": is_count(self.held_out) and self.held_out <= tested,
            "bits": self.bits is None
            or (is_finite(self.bits) and -1e-6 <= self.bits <= 64 * (self.config.items or 1)),
            "masked_tested": self.masked_tested is None or is_count(self.masked_tested),
            "masked_right": self.masked_right is None
            or (is_count(self.masked_right) and self.masked_right <= masked_tested),
            "largest_error": _is_none_or_share(self.largest_error),
            "loss": self.loss is None or is_finite(self.loss),
            "clipped_share": _is_none_or_share(self.clipped_share),
            "curve": all(_is_point(point) and point.step <= budget for point in self.curve),
            "weights_sha256": hash_ is None
            or (isinstance(hash_, str) and re.fullmatch("[0-9a-f]{64}", hash_) is not None),
            "environment": isinstance(self.environment, Mapping)
            and all(isinstance(value, str) for value in self.environment.values()),
            "parameters": self.parameters is None or is_count(self.parameters),
            "note": isinstance(self.note, str) and len(printable(self.note)) <= MOST_NOTE,
            "recalled": self.recalled is None or self._can_be(self.recalled),
        }
        for name, is_right in holds.items():
            if not is_right:
                message = f"{name} of a run cannot be {getattr(self, name)!r:.80}"
                raise UsageError(message)
        environment = {printable(k): printable(v) for k, v in self.environment.items()}
        return dataclasses.replace(self, note=printable(self.note), environment=environment)

    def _can_be(self, recalled: object) -> bool:
        """Whether what a network said of lists can be what this run's network said."""
        items, every_length = self.config.items, self.config.measures_span
        if items is None or not isinstance(recalled, Recalled):
            return False
        return recalled.can_be(items, every_length=every_length)

    @classmethod
    def error(cls, config: RunConfig, note: str) -> Self:
        """The record of a run that came to no end, and why."""
        return cls(config=config, end_state="error", steps=0, note=printable(note)[:MOST_NOTE])


def _is_none_or_share(value: object) -> bool:
    return value is None or is_share(value)


def _is_loss(value: object) -> bool:
    """Whether it is a number, which may be infinite or nan, and no whole one that overflows."""
    return type(value) is float or is_finite(value)


def _is_point(point: CurvePoint) -> bool:
    """Whether a point read from a file can be one."""
    return (
        is_count(point.step)
        and _is_loss(point.loss)
        and _is_loss(point.validation_loss)
        and is_share(point.validation_accuracy)
        and is_count(point.length)
    )


class Finished(NamedTuple):
    """A run that has come to its end."""

    record: RunRecord
    """How it ended."""
    weights: bytes
    """The network's weights as a safetensors file."""
    snapshots: bytes = b""
    """Its weights on the way, a safetensors file with tensors `STEP/NAME`; empty: none taken."""

    def __repr__(self) -> str:
        return f"<Finished {self.record!r}, {len(self.weights):,} bytes of weights>"
