"""Asks a network for lists: of one length, or of every length until none comes back whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from digitspan.runs.recalled import Lists, Recalled, SpanPoint, digit_span, mean_span
from digitspan.statistics import memory_bits
from digitspan.tasks import LISTS_HELD_OUT_FROM, NUM_CLASSES
from digitspan.tasks.recall import Recall

__all__ = ["Answer", "ask_every_length", "ask_one_length", "span_point"]

Answer = Callable[[Tensor, int], Tensor]
"""What is asked: from digits (M, T - 1) and A to logits (M, A, K), as `Trainer.logits` gives."""

MASKED_EACH = 100
"""Lists that are asked with each of their places replaced."""


def ask_one_length(answer: Answer, task: Recall, items: int) -> Recalled:
    """Ask the unseen lists of one length, and the mask control there."""
    lists = _recalled(*_said(answer, task, items, "test"))
    return Recalled((lists,), (), _masked(answer, task, items), MASKED_EACH)


def ask_every_length(
    answer: Answer, task: Recall, *, trained_to: int, longest: int,
    on_the_way: tuple[SpanPoint, ...] = (),
) -> Recalled:  # fmt: skip
    """Ask unseen lists of every length from 1 on, until none comes back whole.

    Args:
        answer: the network.
        task: the order and form.
        trained_to: items of the longest lists trained on; so far it is asked in any case.
        longest: items of the longest lists asked.
        on_the_way: spans measured during training; the one at its end.
    """
    asked = _every_length(answer, task, "test", trained_to, longest)
    lists = tuple(_recalled(shown, said) for shown, said in asked)
    within = max(digit_span([found.share for found in lists]), 1)
    return Recalled(lists, on_the_way, _masked(answer, task, within), MASKED_EACH)


def span_point(
    answer: Answer, task: Recall, step: int, *, trained_to: int, longest: int
) -> SpanPoint:
    """The spans on validation lists: on the way, and to choose a learning rate by."""
    shares = [
        (shown == said).all(dim=1).double().mean().item()
        for shown, said in _every_length(answer, task, "validation", trained_to, longest)
    ]
    return SpanPoint(step, digit_span(shares), mean_span(shares))


def _every_length(
    answer: Answer, task: Recall, part: str, trained_to: int, longest: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Lists (M, L) and what was said of them, until no list of two lengths comes back whole."""
    missed = 0
    for items in range(1, longest + 1):
        shown, said = _said(answer, task, items, part)
        yield shown, said
        missed = 0 if (shown == said).all(dim=1).any() else missed + 1
        if missed >= 2 and items >= trained_to:
            return


def _said(answer: Answer, task: Recall, items: int, part: str) -> tuple[Tensor, Tensor]:
    """The lists of a part and what the network says of each place, both (M, L)."""
    questions = task.held_out(2 * items, part).questions
    answers = answer(questions.inputs, items).argmax(dim=2).cpu()
    return task.in_list_order(questions.targets), task.in_list_order(answers)


def _recalled(shown: Tensor, said: Tensor) -> Lists:
    """What is kept of lists (M, L) and of what was said of them."""
    right = shown == said
    nothing = torch.full((len(shown), 1), -1)
    around = torch.cat([nothing, shown, nothing], dim=1)
    before, behind = around[:, :-2], around[:, 2:]
    is_neighbour = ~right & ((said == before) | (said == behind))
    # Of the nine other digits, how many are a neighbour's: two, one or none.
    others = ((before != shown) & (before >= 0)).int()
    others += (behind != shown) & (behind >= 0) & (behind != before)
    bits = 0.0
    for place in range(shown.shape[1]):
        counts = np.zeros((NUM_CLASSES, NUM_CLASSES), dtype=np.int64)
        np.add.at(counts, (shown[:, place].numpy(), said[:, place].numpy()), 1)
        bits += memory_bits(counts, all_there=shown.shape[1] < LISTS_HELD_OUT_FROM)
    return Lists(
        items=shown.shape[1],
        asked=len(shown),
        whole=int(right.all(dim=1).sum()),
        right=tuple(right.sum(dim=0).tolist()),
        neighbours=int(is_neighbour.sum()),
        neighbours_by_chance=float(others[~right].sum()) / (NUM_CLASSES - 1),
        bits=bits,
    )


def _masked(answer: Answer, task: Recall, items: int) -> tuple[int, ...]:
    """The mask control: right answers at each place where that place's digit was replaced.

    It is moved on by 0, 1, ..., 9 (mod 10), by each ten times: a network that has learned the task
    says the original digit in exactly one case of ten, unless something besides it tells.
    """
    lists = task.in_list_order(task.held_out(2 * items, "test").questions.targets)
    lists = lists[torch.arange(MASKED_EACH) % len(lists)]
    other, right = torch.arange(MASKED_EACH), []
    for place in range(items):
        masked = lists.clone()
        masked[:, place] = (lists[:, place] + other) % NUM_CLASSES
        questions = task.ask(masked.to(torch.uint8))
        said = task.in_list_order(answer(questions.inputs, items).argmax(dim=2).cpu())
        right.append(int((said[:, place] == lists[:, place]).sum()))
    return tuple(right)
