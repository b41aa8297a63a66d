"""The palindrome at speed: drawn on the device, split into parts that never mix.

A palindrome of length T has ceil(T/2) free digits, its *half*. A fixed hash of all of them but
the first says which part it belongs to: 60 % training, 20 % validation, 20 % test. Since x_1 has
no say in it, every part has all ten first digits of each of its tails, and a network that has
learned tails by heart is at chance in every part. Palindromes of up to four digits are too few to
hold any out; there, every part is all of them.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from digitspan.tasks import ENUMERATED_UP_TO, NUM_CLASSES
from digitspan.tasks.questions import HeldOut, Questions
from digitspan.tasks.seeds import seed_of
from digitspan.tasks.split import (
    GOLDEN,
    MAX_DIGITS_AT_ONCE,
    TEST,
    TRAINING,
    VALIDATION,
    distinct,
    draw_part,
    hash_of,
    mix,
    part_of_rows,
    signed,
)

__all__ = [
    "HELD_OUT_FROM",
    "ask",
    "draw_batches",
    "draw_training",
    "held_out",
    "mirror",
    "part_of",
    "very_long",
]

HELD_OUT_FROM = 5
"""The shortest length T at which palindromes are held out."""

NUM_VALIDATION, NUM_TEST = 500, 10_000
"""Palindromes in the validation and in the test part; fewer where there are no more."""


def mirror(halves: Tensor, length: int) -> Tensor:
    """The palindromes, shape (B, T), whose first ceil(T/2) digits are given.

    >>> mirror(torch.tensor([[1, 2, 3]]), 5).tolist()
    [[1, 2, 3, 2, 1]]
    """
    return torch.cat([halves, halves[:, : length // 2].flip(1)], dim=1)


def ask(halves: Tensor, length: int) -> Questions:
    """The palindromes of some halves (B, ceil(T/2)), without their last digit, which is asked."""
    digits = mirror(halves, length)
    return Questions(digits[:, :-1], digits[:, -1].long())


def draw_batches(
    length: int, batches: int, size: int, generator: torch.Generator, device: torch.device
) -> list[Questions]:
    """Batches to train on, `size` palindromes each."""
    drawn = draw_training(length, batches * size, generator, device)
    parts = (part.split(size) for part in drawn)
    return [Questions(*batch) for batch in zip(*parts, strict=True)]


def draw_training(
    length: int, count: int, generator: torch.Generator, device: torch.device | str = "cpu"
) -> Questions:
    """Random palindromes of the training part, shape (B, T - 1) and (B,), with B = `count`."""
    if length <= ENUMERATED_UP_TO:
        halves = _listed_part(length, TRAINING).to(device)
        rows = torch.randint(len(halves), (count,), generator=generator, device=device)
        return ask(halves[rows], length)

    halves = draw_part((length + 1) // 2, count, TRAINING, generator, device, free=1)
    return ask(halves, length)


@functools.lru_cache(maxsize=32)
def held_out(length: int, part: str) -> HeldOut:
    """The fixed palindromes of the "validation" or the "test" part, on the CPU.

    At most 500 and 10,000, the same number for every first digit.
    """
    index, most = {"validation": (VALIDATION, NUM_VALIDATION), "test": (TEST, NUM_TEST)}[part]
    generator = torch.Generator().manual_seed(seed_of(part, length))
    if length <= ENUMERATED_UP_TO:
        halves = _listed_part(length, index)
        per_digit = min(len(halves), most) // NUM_CLASSES
        exhaustive = len(halves) <= most
        halves = torch.cat(
            [_some(halves[halves[:, 0] == k], per_digit, generator) for k in range(NUM_CLASSES)]
        )
        return HeldOut(ask(halves, length), exhaustive)

    half, per_digit = (length + 1) // 2, most // NUM_CLASSES
    by_digit = [
        _draw_distinct(half, digit, index, per_digit, generator) for digit in range(NUM_CLASSES)
    ]
    return HeldOut(ask(torch.cat(by_digit), length), exhaustive=False)


def very_long(length: int, count: int, first: int, stop: int) -> Tensor:
    """Digits `first` to `stop` - 1, counted from 0, of `count` fixed palindromes, (B, any number).

    Each digit is a hash of its palindrome and its place, so that a piece can be had without the
    rest. Every first digit occurs equally often where `count` is a multiple of ten.

    >>> whole = very_long(9, 20, 0, 9)
    >>> bool((whole == whole.flip(1)).all()), bool((whole[:, 2:5] == very_long(9, 20, 2, 5)).all())
    (True, True)
    """
    places = torch.arange(first, stop)
    places = torch.minimum(places, length - 1 - places)  # mirrored
    rows = torch.arange(count)[:, None]
    seed = signed(2 * seed_of("very long", length) + 1)
    digits = (mix(mix(rows + seed) + places * signed(GOLDEN)) >> 20) % NUM_CLASSES
    return torch.where(places == 0, rows % NUM_CLASSES, digits).to(torch.uint8)


def part_of(halves: Tensor) -> Tensor:
    """Which part each half (B, H) belongs to: 0 training, 1 validation, 2 test; shape (B,).

    Decided by x_2 ... x_H alone.
    """
    return part_of_rows(halves[:, 1:])


def _draw_distinct(
    half: int, digit: int, part: int, count: int, generator: torch.Generator
) -> Tensor:
    """`count` different halves that begin with `digit` and belong to `part`, shape (count, H)."""
    kept = torch.empty(0, half, dtype=torch.uint8)
    while len(kept) < count:
        rows_at_once = min(8 * count, max(1, MAX_DIGITS_AT_ONCE // half))
        shape = (rows_at_once, half)
        drawn = torch.randint(NUM_CLASSES, shape, generator=generator, dtype=torch.uint8)
        drawn[:, 0] = digit
        kept = distinct(torch.cat([kept, drawn[part_of(drawn) == part]]))
    return kept[:count]


@functools.lru_cache(maxsize=32)
def _listed_part(length: int, part: int) -> Tensor:
    """All halves of one part, shape (B, H), of a length short enough to list them.

    The 20 % of tails x_2 ... x_H with the largest hashes are the test part, the next 20 % the
    validation part; each stands with every first digit.
    """
    half = (length + 1) // 2
    digits = torch.arange(NUM_CLASSES, dtype=torch.uint8)
    halves = torch.cartesian_prod(*[digits] * half).reshape(NUM_CLASSES, -1, half)
    if length >= HELD_OUT_FROM:
        first, last = {TRAINING: (0, 6), VALIDATION: (6, 8), TEST: (8, 10)}[part]
        by_hash = hash_of(halves[0, :, 1:]).argsort()
        halves = halves[:, by_hash[first * len(by_hash) // 10 : last * len(by_hash) // 10]]
    return halves.flatten(0, 1)


def _some(rows: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`count` different rows, drawn at random; all of them, in their order, where that is all."""
    if count == len(rows):
        return rows
    return rows[torch.randperm(len(rows), generator=generator)[:count]]
