"""The digit span's task: a list of digits is read and said again, backwards or forwards.

L digits are read; then come L silent steps, in which the network says x_L, ..., x_1, one a step:
a palindrome of length T = 2 L, of which it speaks the second half. `next-digit` is the same in the
exercise sheet's own words: the palindrome is read to its end, the next digit is asked at every
step, and counted in the second half, where it can be known.

A fixed hash of the whole list says which part it belongs to: 60 % training, 20 % validation, 20 %
test. Of up to three digits there are too few lists to hold any out; there, every part is all of
them.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import torch
from torch import Tensor

from digitspan.tasks import LISTS_HELD_OUT_FROM, NUM_CLASSES, SILENT
from digitspan.tasks.questions import HeldOut, Questions
from digitspan.tasks.seeds import seed_of
from digitspan.tasks.split import TEST, TRAINING, VALIDATION, distinct, draw_part, shares_by_hash

__all__ = ["NUM_TEST", "NUM_VALIDATION", "Recall"]

LISTED_UP_TO = 4
"""Items L up to which lists (10,000 there) are listed, not drawn."""

NUM_VALIDATION, NUM_TEST = 500, 2_000
"""Lists in the validation and in the test part; fewer where there are no more."""


class Recall(NamedTuple):
    """The task in one order and form; lengths are T = 2 L, as a palindrome's."""

    order: str = "backward"
    """One of `ORDERS`: in which the list is said."""
    silent: bool = True
    """Whether the list is said in silent steps; else it is read backwards while it is said."""

    def ask(self, lists: Tensor) -> Questions:
        """The questions about lists (B, L): what is read, (B, 2 L), and what to say, (B, L).

        In the form without silent steps the last digit is not read, so that 2 L - 1 are.

        >>> inputs, targets = Recall().ask(torch.tensor([[4, 7, 1]], dtype=torch.uint8))
        >>> inputs.tolist(), targets.tolist()
        ([[4, 7, 1, 10, 10, 10]], [[1, 7, 4]])
        """
        said = lists.flip(1) if self.order == "backward" else lists
        read = torch.full_like(lists, SILENT) if self.silent else said[:, :-1]
        return Questions(torch.cat([lists, read], dim=1), said.long())

    def in_list_order(self, answers: Tensor) -> Tensor:
        """What was said of x_1, ..., x_L, out of answers (B, L) in the order of their steps."""
        return answers.flip(1) if self.order == "backward" else answers

    def draw_batches(
        self,
        length: int,
        batches: int,
        size: int,
        generator: torch.Generator,
        device: torch.device,
    ) -> list[Questions]:
        """Batches to train on, `size` lists each."""
        items, count = length // 2, batches * size
        if items <= LISTED_UP_TO:
            listed = _listed(items, TRAINING).to(device)
            rows = torch.randint(len(listed), (count,), generator=generator, device=device)
            lists = listed[rows]
        else:
            lists = draw_part(items, count, TRAINING, generator, device)
        return [self.ask(batch) for batch in lists.split(size)]

    def held_out(self, length: int, part: str) -> HeldOut:
        """The fixed lists of the "validation" or the "test" part, on the CPU."""
        lists, exhaustive = held_out_lists(length // 2, part)
        return HeldOut(self.ask(lists), exhaustive)


@functools.lru_cache(maxsize=256)
def held_out_lists(items: int, part: str) -> tuple[Tensor, bool]:
    """Different lists of a part, at most 500 and 2,000, (B, L); whether these are all of it."""
    index, most = {"validation": (VALIDATION, NUM_VALIDATION), "test": (TEST, NUM_TEST)}[part]
    generator = torch.Generator().manual_seed(seed_of("recall", part, items))
    if items <= LISTED_UP_TO:
        listed = _listed(items, index)
        chosen = torch.randperm(len(listed), generator=generator)[:most]
        return listed[chosen], len(listed) <= most
    lists = torch.empty(0, items, dtype=torch.uint8)
    while len(lists) < most:
        lists = distinct(torch.cat([lists, draw_part(items, most, index, generator)]))
    return lists[:most], False


@functools.lru_cache(maxsize=16)
def _listed(items: int, part: int) -> Tensor:
    """All lists of one part, shape (B, L), where they are few enough to list them."""
    digits = torch.arange(NUM_CLASSES, dtype=torch.uint8)
    lists = torch.cartesian_prod(*[digits] * items).reshape(-1, items)
    return lists if items < LISTS_HELD_OUT_FROM else shares_by_hash(lists, part)
