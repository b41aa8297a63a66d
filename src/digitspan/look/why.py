"""Why a run was not solved: its own course, and what tells it from solved runs like it."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping

from digitspan.look.contrasts import FEWEST, SATURATED, Contrast, Group, group_of
from digitspan.runs.record import RunRecord
from digitspan.training.run import DIVERGED_LOSS

__all__ = ["why_not_solved"]

VANISHED, EXPLODED = 1e-3, 1e3
"""Ratios of the first step's gradient to the last one's that we call vanished or exploded."""

STILL = 0.98
"""A loss that is at least this part of guessing's has not moved."""

LOST = 0.2
"""A validation accuracy this far above chance that did not last was learned and lost again."""


def why_not_solved(record: RunRecord, groups: Mapping[Hashable, Group] | None = None) -> str:
    """What is known of why a run was not solved, in a sentence or two; empty for a solved one.

    Args:
        record: how it ended.
        groups: the contrasts of its study; None for a single run, which has nothing to be
            compared with: it is described, and no cause is told.
    """
    if record.solved:
        return ""
    if record.end_state == "error":
        return f"It came to no end: {record.note or 'no reason was given'}."
    if record.end_state == "diverged":
        return (
            f"It diverged: the loss was beyond {DIVERGED_LOSS:,.0f} nats or no longer finite at "
            f"step {record.steps:,}; {100 * (record.clipped_share or 0.0):.0f} % of the steps "
            f"before had been clipped to norm {record.config.max_grad_norm:g}."
        )
    group = (groups or {}).get(group_of(record.config))
    return _course(record) + ("" if group is None else " " + _contrasted(record, group))


def _course(record: RunRecord) -> str:
    """How an unsolved run went, out of its own curve: a description, no cause."""
    ended = f"Its budget of {record.steps:,} steps ended first"
    if not record.curve:
        return f"{ended}."
    best = max(record.curve, key=lambda point: point.validation_accuracy)
    end, chance = record.curve[-1], record.config.chance
    if best.validation_accuracy >= max(chance, end.validation_accuracy) + LOST:
        return (
            f"{ended}: it had learned and lost it again, {100 * best.validation_accuracy:.0f} % "
            f"at step {best.step:,} and {100 * end.validation_accuracy:.0f} % at the end."
        )
    loss = record.config.guessing_loss
    guessing = "" if loss is None else f" (guessing is {loss:.2f})"
    fifth = record.curve[-max(1, len(record.curve) // 5) - 1 :][0]
    if fifth is end:
        return f"{ended}, its validation loss at {end.validation_loss:.2f} nats{guessing}."
    return (
        f"{ended}: over the last fifth its validation loss went from {fifth.validation_loss:.2f} "
        f"to {end.validation_loss:.2f} nats{guessing}."
    )


def _contrasted(record: RunRecord, group: Group) -> str:
    """What tells the run from the solved ones of its group."""
    (shortest, longest), (lowest, highest) = group.lengths, group.rates
    lengths = f"T = {shortest}" + (f" to {longest}" if longest > shortest else "")
    rates = f"rate {lowest:g}" + (f" to {highest:g}" if highest > lowest else "")
    like = f"like it ({lengths}, {rates})"
    if min(group.unsolved, group.solved) < FEWEST:
        return (
            f"Of the runs {like} {group.unsolved} were not solved and {group.solved} were, too "
            f"few to tell them apart: that takes {FEWEST} of each."
        )
    them = f"the {group.unsolved} unsolved runs {like} from the {group.solved} solved ones"
    told = [each for each in group.contrasts if each.differs and _is_beyond(record, each)]
    if told:
        return f"What tells {them}: {'; '.join(_told(record, each) for each in told)}."
    if any(each.differs for each in group.contrasts):
        return f"What tells {them} does not hold for this run."
    return f"Nothing that was measured tells {them}."


def _is_beyond(record: RunRecord, contrast: Contrast) -> bool:
    """Whether the run itself lies on the unsolved side of the solved runs' median."""
    own = contrast.values.get(record.config.key, contrast.solved_median)
    away = contrast.unsolved_median - contrast.solved_median
    return (own - contrast.solved_median) * away > 0


def _told(record: RunRecord, contrast: Contrast) -> str:
    """A contrast in words, with its direction."""
    median, other = contrast.unsolved_median, contrast.solved_median
    own, higher = contrast.values[record.config.key], median > other
    guessing = record.config.guessing_loss or math.inf
    words = {
        "ratio": (
            "gradients explode" if higher and median > EXPLODED
            else "gradients vanish" if not higher and median < VANISHED
            else f"the gradient at step 1 is {'larger' if higher else 'smaller'}",
            "||dL/dh(1)|| / ||dL/dh(T-1)|| is", ".2g", "",
        ),
        "saturated": (
            "the state is saturated" if higher and median > 0.5
            else f"{'more' if higher else 'less'} of the state is saturated",
            f"the share beyond {SATURATED} in size is", ".1%", "",
        ),
        "loss": (
            "the loss has not moved" if higher and median >= STILL * guessing
            else f"the loss is {'higher' if higher else 'lower'}", "at", ".3g", " nats",
        ),
        "accuracy": (
            f"the validation accuracy is {'higher' if higher else 'lower'}", "at", ".1%", "",
        ),
    }  # fmt: skip
    head, what, form, unit = words[contrast.quantity]
    when = f"at step {contrast.step:,}" if contrast.step else "before training"
    return (
        f"{when} {head}, {what} {own:{form}}{unit}, against a median of {median:{form}} in the "
        f"unsolved and {other:{form}} in the solved (p = {contrast.adjusted_p:.1g})"
    )
