"""A task to stand beside published figures: which of two symbols came first?

`first-symbol` is the second task of Hochreiter and Schmidhuber 1997 (Long short-term memory,
Neural Computation 9(8), experiment 2c): begin, x or y, T - 4 distractors and a few more, end; was
it x or y? The distractors tell nothing and there are more of them than of anything else.
Their number is q = T - 4 and one more with probability 0.9, again and again, so that the lag is
at least q + 1; it is 9 more on average, and 9 in what is asked in the end.
"""

from __future__ import annotations

import functools
from typing import Any

import torch

from digitspan.tasks.palindrome import NUM_TEST, NUM_VALIDATION
from digitspan.tasks.questions import HeldOut, Questions
from digitspan.tasks.seeds import seed_of

__all__ = ["draw_batches", "held_out"]

X_AND_Y, BEGIN, END = 2, 2, 3
"""The symbols 0 and 1 are x and y; then come begin and end, and after them the distractors."""

NUM_DISTRACTORS = 50
"""p, the fewest that were published for a minimal lag of 1,001 (203,000 sequences)."""

GO_ON = 0.9
"""The chance of each further distractor."""

MEAN_MORE = 9
"""GO_ON / (1 - GO_ON): how many more distractors there are on average."""


def draw_batches(
    length: int, batches: int, size: int, generator: torch.Generator, device: torch.device
) -> list[Questions]:
    """Batches to train on; the sequences of one batch are of one length."""
    drawn = []
    for _ in range(batches):
        more = int(torch.empty((), device=device).geometric_(1 - GO_ON, generator=generator)) - 1
        drawn.append(_sequences(length, more, size, generator, device))
    return drawn


def _sequences(
    length: int, more: int, size: int, generator: torch.Generator, device: torch.device
) -> Questions:
    """Sequences (B, T - 1 + more) and which of x and y stands second, (B,)."""
    shape = (size, length - 4 + more)
    on: Any = {"generator": generator, "device": device}
    distractors = torch.randint(END + 1, END + 1 + NUM_DISTRACTORS, shape, dtype=torch.uint8, **on)
    answer = torch.randint(X_AND_Y, (size, 1), dtype=torch.uint8, **on)
    begin, end = torch.full_like(answer, BEGIN), torch.full_like(answer, END)
    return Questions(torch.cat([begin, answer, distractors, end], dim=1), answer[:, 0].long())


@functools.lru_cache(maxsize=32)
def held_out(length: int, part: str) -> HeldOut:
    """Sequences drawn once, half of them with x: of so many none has ever been trained on."""
    size = {"validation": NUM_VALIDATION, "test": NUM_TEST}[part]
    generator = torch.Generator().manual_seed(seed_of("first-symbol", part, length))
    inputs, _ = _sequences(length, MEAN_MORE, size, generator, torch.device("cpu"))
    inputs[:, 1] = torch.arange(size) % X_AND_Y
    return HeldOut(Questions(inputs, inputs[:, 1].long()), exhaustive=False)
