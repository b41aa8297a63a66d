"""A task of one's own: which of two symbols was read more often?"""

import torch
from torch import Tensor


class Majority:
    symbols = 2  # fed in one-hot: the input size d
    answers = 2  # the classes K of an answer
    chance = 1 / 2  # how often guessing is right throughout

    def draw(self, length: int, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        steps = 2 * (length // 2) + 1  # an odd number: there is no tie
        read = torch.randint(2, (count, steps), generator=generator)
        return read, (read.sum(dim=1) > steps // 2).long()
