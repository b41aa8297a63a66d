"""Why a run was not solved: one sentence, read out of what was measured."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from digitspan.errors import UsageError
from digitspan.look.probe import held_out_rows, trace_batch
from digitspan.runs.config import RunConfig
from digitspan.runs.record import RunRecord
from digitspan.training.engine import load_network
from digitspan.training.run import DIVERGED_LOSS

__all__ = ["TraceSummary", "summarise_trace", "why_not_solved", "why_sentence"]

NUM_PALINDROMES = 30
"""Validation palindromes over which the gradients and the state are averaged."""

VANISHED, EXPLODED = 1e-3, 1e3
"""Ratios of the first step's gradient to the last one's that we call vanished or exploded."""

OFTEN_CLIPPED = 0.3
"""A run whose gradients are clipped in more of its steps than this explodes in training."""

EXPLODED_NORM = 10.0
"""The template's max_grad_norm. Where it is set lower, ordinary gradients are clipped too, and
that says nothing."""

SATURATED = 0.95
"""Beyond this size tanh passes on less than a tenth of the gradient: 1 - 0.95^2 = 0.0975."""

LOST = 0.2
"""A validation accuracy this far above chance that did not last was learned and lost again."""


class TraceSummary(NamedTuple):
    """What the trained network shows on some palindromes of its length."""

    first_norm: float
    """||dL/dh(1)||, geometric mean over the palindromes."""
    last_norm: float
    """||dL/dh(T-1)||, likewise."""
    saturated: float | None
    """Share of the entries of h(t), over all steps, beyond 0.95 in size, in [0, 1]; None where
    nothing keeps h(t) within -1 and 1."""

    @property
    def ratio(self) -> float:
        """The gradient at step 1 over the one at the last step."""
        return self.first_norm / self.last_norm if self.last_norm > 0 else math.nan


def why_not_solved(record: RunRecord, weights: bytes | None) -> str:
    """One sentence that says why a run was not solved; empty for one that was.

    Args:
        record: how it ended.
        weights: its network, a safetensors file; None where there is none to look into.
    """
    if record.solved:
        return ""
    trace = None if weights is None else summarise_trace(record.config, weights)
    return why_sentence(record, trace)


def summarise_trace(config: RunConfig, weights: bytes) -> TraceSummary | None:
    """Measure a trained network; None where its cell cannot be looked into or is not finite."""
    digits, targets = held_out_rows(config, "validation", NUM_PALINDROMES)
    try:
        network = load_network(config, weights)
        trace = trace_batch(network, digits, targets, input_size=config.input_size)
    except UsageError:
        return None
    name = next(iter(trace.states))
    norms = np.maximum(trace.gradient_norms[name], np.finfo(float).tiny)
    if not np.isfinite(norms).all():
        return None
    first, last = np.exp(np.log(norms[:, [0, -1]]).mean(axis=0))
    sizes = np.abs(trace.states[name])
    saturated = float((sizes > SATURATED).mean()) if sizes.max() <= 1 else None
    return TraceSummary(float(first), float(last), saturated)


def why_sentence(record: RunRecord, seen: TraceSummary | None) -> str:
    """The sentence from the measured facts; the strongest of them is told.

    Args:
        record: how the run ended.
        seen: what its network shows; None where it could not be looked into.
    """
    if record.end_state == "error":
        return f"It came to no end: {record.note or 'no reason was given'}."
    clipped = record.clipped_share or 0.0
    if record.end_state == "diverged":
        return (
            f"It diverged: the loss was beyond {DIVERGED_LOSS:,.0f} nats or no longer finite at "
            f"step {record.steps:,}, after {100 * clipped:.0f} % of the steps had been clipped to "
            f"norm {record.config.max_grad_norm:g}; a smaller learning rate than "
            f"{record.config.learning_rate:g} is the first thing to try."
        )
    if record.end_state == "budget":
        return _still_learning(record)
    lost = _learned_and_lost(record)
    if lost:
        return lost
    if clipped > OFTEN_CLIPPED and record.config.max_grad_norm >= EXPLODED_NORM:
        return (
            f"Gradients explode: {100 * clipped:.0f} % of the training steps had to be clipped to "
            f"norm {record.config.max_grad_norm:g}."
        )
    return _standing_still(record, seen)


def _still_learning(record: RunRecord) -> str:
    """The budget ended first."""
    losses = [point.validation_loss for point in record.curve]
    if not losses:
        return f"It was still learning when its budget of {record.steps:,} steps ended."
    earlier = losses[-max(1, len(losses) // 5) - 1] if len(losses) > 1 else losses[0]
    return (
        f"It was still learning when its budget of {record.steps:,} steps ended: over the last "
        f"fifth its validation loss went from {earlier:.2f} to {losses[-1]:.2f} nats."
    )


def _learned_and_lost(record: RunRecord) -> str:
    """The optimiser threw away what was learned; empty where it did not."""
    if not record.curve:
        return ""
    best = max(record.curve, key=lambda point: point.validation_accuracy)
    end = record.curve[-1].validation_accuracy
    least = max(record.config.chance, end) + LOST
    if best.validation_accuracy < least:
        return ""
    spike = max(point.loss for point in record.curve if point.step >= best.step)
    return (
        f"It learned and lost it again: {100 * best.validation_accuracy:.0f} % at step "
        f"{best.step:,}, then the loss jumped to {spike:.1f} nats and the run ended at "
        f"{100 * end:.0f} %; the optimiser's steps are too large (learning rate "
        f"{record.config.learning_rate:g})."
    )


def _standing_still(record: RunRecord, seen: TraceSummary | None) -> str:
    """A plateau, and what the network shows of its cause."""
    loss = record.curve[-1].validation_loss if record.curve else math.nan
    guessing = -math.log(record.config.chance)
    still = f"it stood still at {loss:.2f} nats (guessing is {guessing:.2f})"
    if seen is None:
        clipped = 100 * (record.clipped_share or 0.0)
        return f"No cause was measured: {still}, with {clipped:.0f} % of its steps clipped."
    steps = record.config.length - 1
    norms = (
        f"||dL/dh|| is {seen.first_norm:.2g} at step 1 against {seen.last_norm:.2g} at step "
        f"{steps}"
    )
    share = seen.saturated or 0.0
    saturated = f"{100 * share:.0f} % of the state is beyond {SATURATED} in size"
    if seen.ratio < VANISHED:
        return (
            f"Gradients vanish: {norms}, {seen.ratio:.0e} of it, so training hardly hears of "
            f"the first digit; {still}."
        )
    if seen.ratio > EXPLODED:
        return f"Gradients explode through time: {norms}, {seen.ratio:.0e} times it; {still}."
    if share > 0.5:
        return f"The state is saturated: {saturated}, where tanh passes little on; {still}."
    if seen.saturated is None:
        return f"No single cause stands out: {norms}; {still}."
    return f"No single cause stands out: {norms}, {saturated}; {still}."
