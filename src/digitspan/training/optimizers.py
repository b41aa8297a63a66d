"""The optimisers for R networks at once, as torch.optim defines them (its defaults kept)."""

from __future__ import annotations

import math
from typing import NamedTuple, Self

import torch
from torch import Tensor

__all__ = ["NUM_MOMENTS", "Optimizer", "cosine"]

NUM_MOMENTS = {"sgd": 0, "momentum": 1, "rmsprop": 1, "adam": 2, "adamw": 2}
"""Running averages that each optimiser keeps of the gradient or of its square."""

_EPSILON = 1e-8

_DECAY = 0.01
"""Weight decay of adamw."""


def cosine(done: int, steps: int) -> float:
    """The share of the learning rate after some of all steps, in [0, 1]: (1 + cos(pi s / S)) / 2.

    Loshchilov and Hutter 2017, SGDR, without restarts, as torch's CosineAnnealingLR.

    Args:
        done: s, steps done before this one.
        steps: S, all there will be at most.

    >>> cosine(0, 100), round(cosine(50, 100), 3), round(cosine(99, 100), 5)
    (1.0, 0.5, 0.00025)
    """
    return (1 + math.cos(math.pi * done / steps)) / 2


class Optimizer(NamedTuple):
    """An optimiser and its state for R networks of P parameters each.

    With the gradient g, the learning rate r and w the parameters, element by element:

        sgd       w <- w - r g
        momentum  m <- 0.9 m + g                       w <- w - r m
        rmsprop   v <- 0.99 v + 0.01 g^2               w <- w - r g / (sqrt(v) + 1e-8)
        adam      m <- 0.9 m + 0.1 g
                  v <- 0.999 v + 0.001 g^2             w <- w - r m' / (sqrt(v') + 1e-8)
        adamw     w <- w - 0.01 r w, then as adam

    with m' = m / (1 - 0.9^s) and v' = v / (1 - 0.999^s) in step s (Kingma and Ba 2015; Loshchilov
    and Hutter 2019). Where it is annealed, r is times `cosine(s - 1, S)`.
    """

    name: str
    """One of `NUM_MOMENTS`."""
    rates: Tensor
    """r of each network, shape (R, 1)."""
    moments: Tensor
    """m and v, as far as there are any, shape (M, R, P)."""
    steps: Tensor
    """s, the updates done, shape (R, 1)."""
    annealed_over: int = 0
    """S, the steps over which the rate falls to 0; 0: it does not."""

    @classmethod
    def start(cls, name: str, rate: float, weights: Tensor, annealed_over: int = 0) -> Self:
        """The optimiser of one network before its first step; its weights w, shape (1, P)."""
        moments = weights.new_zeros(NUM_MOMENTS[name], *weights.shape)
        rates, steps = weights.new_full((1, 1), rate), weights.new_zeros(1, 1)
        return cls(name, rates, moments, steps, annealed_over)

    def update(self, weights: Tensor, g: Tensor) -> None:
        """One step for all networks, in place; weights and gradients have the shape (R, P)."""
        rates = self.rates
        if self.annealed_over:
            rates = rates * ((1 + (self.steps * (math.pi / self.annealed_over)).cos()) / 2)
        self.steps.add_(1)
        if self.name == "sgd":
            step = g
        elif self.name == "momentum":
            (m,) = self.moments
            step = m.mul_(0.9).add_(g)
        elif self.name == "rmsprop":
            (v,) = self.moments
            v.mul_(0.99).addcmul_(g, g, value=0.01)
            step = g / v.sqrt().add_(_EPSILON)
        else:
            m, v = self.moments
            m.mul_(0.9).add_(g, alpha=0.1)
            v.mul_(0.999).addcmul_(g, g, value=0.001)
            unbiased_v = v / (1 - 0.999**self.steps)
            step = m / (1 - 0.9**self.steps) / unbiased_v.sqrt_().add_(_EPSILON)
        if self.name == "adamw":
            weights.mul_(1 - _DECAY * rates)
        weights.addcmul_(rates, step, value=-1)

    def row(self, index: int) -> Self:
        """The optimiser of one of the networks; its state is a view into this one's."""
        one = slice(index, index + 1)
        return self._replace(
            rates=self.rates[one], moments=self.moments[:, one], steps=self.steps[one]
        )

    @classmethod
    def joined(cls, optimizers: list[Self]) -> Self:
        """Optimisers of the same kind as one, copied."""
        return cls(
            optimizers[0].name,
            torch.cat([one.rates for one in optimizers]),
            torch.cat([one.moments for one in optimizers], dim=1),
            torch.cat([one.steps for one in optimizers]),
            optimizers[0].annealed_over,
        )
