"""Networks built by hand whose digit span is known: nothing in them is trained."""

import torch

from digitspan.cells.answers import answers_of_last
from digitspan.tasks import SILENT
from digitspan.tasks.questions import encode


class Register(torch.nn.Module):
    """Holds k digits; says them in one order, one a silent step, and 0 where it holds none.

    The state is the digits held (B, k), -1 where there is none, the one read last in front; and
    the digit said (B,).
    """

    def __init__(self, k, order="backward"):
        super().__init__()
        self.k, self.order = k, order
        self.nothing = torch.nn.Parameter(torch.zeros(1))

    def initial_state(self, batch_size):
        return torch.full((batch_size, self.k), -1), torch.zeros(batch_size, dtype=torch.long)

    def read(self, held, digit):
        """Reads a digit: here the oldest one falls out, so that the last k are held."""
        return torch.cat([digit[:, None], held[:, :-1]], dim=1)

    def step(self, x, state):
        held, said = state
        symbol = x.argmax(dim=1)
        if (symbol != SILENT).all():
            return self.read(held, symbol), said
        count = (held >= 0).sum(dim=1)
        if self.order == "backward":
            return torch.cat([held[:, 1:], torch.full_like(held[:, :1], -1)], dim=1), held[:, 0]
        oldest = (count - 1).clamp(min=0)[:, None]
        return held.scatter(1, oldest, -1), held.gather(1, oldest)[:, 0]

    def read_out(self, state):
        said = self.amend(state[1].clamp(min=0))
        return torch.nn.functional.one_hot(said, 10) + 0.0 * self.nothing

    def amend(self, said):
        """What is said instead."""
        return said


class KeepsTheFirst(Register):
    """Is full after k digits: what is read then is not held."""

    def read(self, held, digit):
        is_full = (held[:, -1] >= 0)[:, None]
        return torch.where(is_full, held, super().read(held, digit))


class SwapsTheLastTwo(Register):
    """Says the last two digits in the wrong order: transpositions, and nothing else."""

    def initial_state(self, batch_size):
        held, said = super().initial_state(batch_size)
        return held, said - 1  # nothing said yet

    def step(self, x, state):
        held, said = state
        is_first = (x.argmax(dim=1) == SILENT) & (said < 0) & (held[:, 1] >= 0)
        swapped = torch.cat([held[:, 1:2], held[:, :1], held[:, 2:]], dim=1)
        return super().step(x, (torch.where(is_first[:, None], swapped, held), said))


class Chance(Register):
    """Says 3, whatever was read."""

    def amend(self, said):
        return torch.full_like(said, 3)


def asked(network, input_size=11):
    """The network as what lists are asked of."""

    def answer(inputs, steps):
        with torch.no_grad():
            return answers_of_last(network, encode(inputs, input_size), steps)

    return answer
