"""Two tasks of one's own with their published settings: copying, and selective copying.

    digitspan train lstm --task copy_tasks:Copy --length 100 --hidden-size 40 \
        --batch-size 20 --learning-rate 0.001

See docs/own-task.md.
"""

import torch
from torch import Tensor


class Copy:
    """Copying memory: ten symbols, a pause, a delimiter, and the ten symbols again.

    As Arjovsky, Shah and Bengio 2016 set it (Unitary evolution recurrent neural networks, arXiv
    1511.06464), after a task of Hochreiter and Schmidhuber 1997: symbols 0 to 7 carry the data, 8
    is the blank, 9 the delimiter. T + 20 symbols are read, and an answer is asked after each: the
    blank until ten steps are left. Published for T = 100, 200, 300 and 500. A network without
    memory has a loss of 10 ln 8 / (T + 20).
    """

    symbols = 10
    answers = 9  # the delimiter is never asked
    chance = 8**-10

    def draw(self, length: int, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        data = torch.randint(8, (count, 10), generator=generator)
        inputs = torch.full((count, length + 20), 8)
        inputs[:, :10] = data
        inputs[:, length + 9] = 9
        targets = torch.full((count, length + 20), 8)
        targets[:, length + 10 :] = data
        return inputs, targets


class SelectiveCopy:
    """Selective copying: sixteen symbols among T - 16 of noise, then all of them again, in order.

    As Gu and Dao 2023 set it (Mamba, arXiv 2312.00752, section 4.1.1 and appendix E.1), drawn as
    in the S4 repository's `copying.py`, with T for its noise and its data together: of 16 symbols
    0 is the noise, 15 the marker, and 1 to 14 are data, 16 of them at random places, so that what
    to keep is told by what is read. Published for T = 4,096. After the T symbols the marker is
    read 16 times, and a symbol asked after each.
    """

    symbols = 16
    answers = 16  # neither noise nor marker is ever asked
    chance = 14**-16

    def draw(self, length: int, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        data = torch.randint(1, 15, (count, 16), generator=generator)
        places = torch.rand(count, length, generator=generator).topk(16, dim=1).indices
        inputs = torch.zeros(count, length + 16, dtype=torch.long)
        inputs.scatter_(1, places.sort(dim=1).values, data)
        inputs[:, length:] = 15
        return inputs, data
