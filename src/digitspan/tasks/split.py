"""Which rows of digits are trained on and which are held out: decided by a hash of each row."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from digitspan.tasks import NUM_CLASSES

__all__ = [
    "GOLDEN",
    "MAX_DIGITS_AT_ONCE",
    "TEST",
    "TRAINING",
    "VALIDATION",
    "distinct",
    "draw_part",
    "hash_of",
    "mix",
    "part_of_rows",
    "shares_by_hash",
    "signed",
]

TRAINING, VALIDATION, TEST = 0, 1, 2

MAX_DIGITS_AT_ONCE = 2**24
"""How many digits are drawn in one piece: bounds the memory at long lengths."""

GOLDEN = 0x9E3779B97F4A7C15
_MIX_1, _MIX_2 = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_64_BITS = 2**64 - 1


def part_of_rows(rows: Tensor) -> Tensor:
    """Which part each row (B, H) belongs to: 0 training, 1 validation, 2 test; shape (B,).

    The last of ten equal shares of a 64-bit hash, sum_j K_j (d_j + 1) with odd random K_j, mixed
    as in splitmix64 (Steele, Lea and Flood 2014), so that it runs on any device, in whole arrays.
    """
    share = (hash_of(rows) >> 20) & 0xFFFFFFFF
    tenth = share % 10
    return (tenth >= 6).long() + (tenth >= 8).long()


def shares_by_hash(rows: Tensor, part: int) -> Tensor:
    """A part of all the rows there are (B, H), where they are few enough to list them.

    The 20 % with the largest hashes are the test part, the next 20 % the validation part.
    """
    first, last = {TRAINING: (0, 6), VALIDATION: (6, 8), TEST: (8, 10)}[part]
    by_hash = hash_of(rows).argsort()
    return rows[by_hash[first * len(rows) // 10 : last * len(rows) // 10]]


def draw_part(
    width: int,
    count: int,
    part: int,
    generator: torch.Generator,
    device: torch.device | str = "cpu",
    *,
    free: int = 0,
) -> Tensor:
    """Random rows of digits that belong to a part, shape (count, width).

    Args:
        width: H, digits in a row.
        count: how many.
        part: `TRAINING`, `VALIDATION` or `TEST`.
        generator: decides them.
        device: where the generator draws.
        free: so many digits at the front have no say in the part.
    """
    # Six of ten belong to the training part, two to each of the others: twice or eight times as
    # many and a few is nearly always enough.
    times = 2 if part == TRAINING else 8
    pieces: list[Tensor] = []
    missing = count
    while missing > 0:
        rows_at_once = min(times * missing + 64, max(1, MAX_DIGITS_AT_ONCE // width))
        shape = (rows_at_once, width)
        drawn = torch.randint(
            NUM_CLASSES, shape, generator=generator, device=device, dtype=torch.uint8
        )
        pieces.append(drawn[part_of_rows(drawn[:, free:]) == part][:missing])
        missing -= len(pieces[-1])
    return torch.cat(pieces)


def distinct(rows: Tensor) -> Tensor:
    """The different ones of some rows (B, H), each where it first appears, in order."""
    _, inverse = torch.unique(hash_of(rows), return_inverse=True)
    first = torch.full((int(inverse.max()) + 1,), len(rows))
    first.scatter_reduce_(0, inverse, torch.arange(len(rows)), reduce="amin")
    return rows[first.sort().values]


def hash_of(rows: Tensor) -> Tensor:
    """A 64-bit hash of each row (B, H), as int64, shape (B,)."""
    factors = _factors(rows.shape[1]).to(rows.device)
    return mix(((rows.long() + 1) * factors).sum(dim=1))  # modulo 2^64: int64 wraps around


def mix(z: Tensor) -> Tensor:
    """splitmix64's mix of each number, int64."""
    z = (z ^ _shift_right(z, 30)) * signed(_MIX_1)
    z = (z ^ _shift_right(z, 27)) * signed(_MIX_2)
    return z ^ _shift_right(z, 31)


def signed(z: int) -> int:
    """The int64 with the same 64 bits."""
    return z - 2**64 if z >= 2**63 else z


@functools.lru_cache(maxsize=128)
def _factors(count: int) -> Tensor:
    """K_1 ... K_count: the odd numbers nearest to the first outputs of splitmix64, (count,)."""
    factors = []
    for j in range(1, count + 1):
        z = j * GOLDEN & _64_BITS
        z = (z ^ z >> 30) * _MIX_1 & _64_BITS
        z = (z ^ z >> 27) * _MIX_2 & _64_BITS
        factors.append(signed((z ^ z >> 31) | 1))
    return torch.tensor(factors)


def _shift_right(z: Tensor, bits: int) -> Tensor:
    """Shift int64 as if it were unsigned: zeros come in from the left."""
    shifted: Tensor = (z >> bits) & (2 ** (64 - bits) - 1)
    return shifted
