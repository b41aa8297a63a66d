"""Tells by the gradient that reaches a network's answers which loss it is trained by."""

from __future__ import annotations

from typing import Any

import torch

from .networks import tensors_in

__all__ = ["Lesson"]

CLASSES = 10
_MOST_ROWS = 200
_NEAR = 1e-3
"""How far a gradient may be from a loss's, relative to its size: a logarithm of p + 1e-5 is so."""
_MOST_ANSWERS = 300


class Lesson:
    """The answers of a network between two steps of an optimiser, and the gradients they got."""

    def __init__(self) -> None:
        self.calls: list[list[torch.Tensor]] = []
        self.gradients: dict[tuple[int, int], torch.Tensor] = {}

    def answered(self, result: Any) -> None:
        """Keep what a call returned, and wait for its gradient."""
        if len(self.calls) >= _MOST_ANSWERS:
            return
        number = len(self.calls)
        kept: list[torch.Tensor] = []
        for tensor in tensors_in(result):
            place = number, len(kept)
            kept.append(tensor.detach().double().clone())
            if tensor.requires_grad:
                tensor.register_hook(lambda gradient, place=place: self.keep(place, gradient))
        self.calls.append(kept)

    def keep(self, place: tuple[int, int], gradient: torch.Tensor) -> None:
        """Keep the gradient of an answer; of several backwards, the sum."""
        known = self.gradients.get(place, 0.0)
        self.gradients[place] = known + gradient.detach().double()

    def kinds(self, *, uphill: bool) -> set[str]:
        """What each answer with a gradient is trained by, and "first" for one of step 1 alone.

        That is "cross-entropy", "twice" (of probabilities), "likelihood" (of logits, without a
        softmax), "squared", "over the batch" or "other", with "minus " before it where the answer
        is pushed away from the class.

        Args:
            uphill: the optimiser goes up, not down.
        """
        found = set()
        for (call, place), gradient in self.gradients.items():
            answer = self.calls[call][place]
            rows = _rows(answer), _rows(gradient)
            if rows[0] is None or rows[1] is None or not gradient.any():
                continue
            kind = _kind(rows[0], -rows[1] if uphill else rows[1])
            if kind:
                found.add(kind)
                if _is_first(gradient) or self.is_first_of_several(call, place):
                    found.add("first")
        return found

    def is_first_of_several(self, call: int, place: int) -> bool:
        """Whether an answer is the first of several alike, and the only one with a gradient."""
        shapes = {tensor.shape for tensor in self.calls[call]}
        count = len(self.calls[call])
        taught = [at for of, at in self.gradients if of == call]
        return count > 2 and len(shapes) == 1 and place == 0 and taught == [0]


def _rows(tensor: torch.Tensor) -> torch.Tensor | None:
    """The numbers of ten classes, shape (R, K); None where no one axis is of that size."""
    axes = [axis for axis, size in enumerate(tensor.shape) if size == CLASSES]
    if len(axes) != 1 or tensor.dim() < 2:
        return None
    return tensor.movedim(axes[0], -1).reshape(-1, CLASSES)


def _is_first(gradient: torch.Tensor) -> bool:
    """Whether of the answers to all steps, shape (B, T, K) in any order, the first alone has one.

    Samples all have a gradient, so that the axis with one index that has is the time's.
    """
    if gradient.dim() != 3:
        return False
    for axis in range(3):
        others = [other for other in range(3) if other != axis]
        taught = gradient.abs().sum(dim=others) > 0
        if gradient.shape[axis] > 1 and taught[0] and int(taught.sum()) == 1:
            return gradient.shape[axis] != CLASSES
    return False


def _kind(answers: torch.Tensor, gradients: torch.Tensor) -> str:
    """The loss whose gradient this is, both of shape (R, K); empty: that cannot be said."""
    taught = (gradients != 0).any(dim=1)
    z, G = answers[taught][:_MOST_ROWS], gradients[taught][:_MOST_ROWS]
    if not torch.isfinite(z).all() or not torch.isfinite(G).all():
        return ""
    p = z.softmax(dim=1)
    if bool(((z >= 0).all()) & ((z.sum(dim=1) - 1).abs() < 1e-4).all()):
        return ""  # a softmax inside the network, which is told of that
    if bool((z.logsumexp(dim=1).abs() < 1e-4).all()):  # log_softmax inside it
        G = G - p * G.sum(dim=1, keepdim=True)
    one = torch.eye(CLASSES, dtype=z.dtype)

    def through_softmax(v: torch.Tensor) -> torch.Tensor:
        return p[:, None] * (v - (v * p[:, None]).sum(dim=2, keepdim=True))

    families = {
        "cross-entropy": p[:, None] - one,
        "likelihood": (0 * p)[:, None] - one,
        "twice": through_softmax(p.softmax(dim=1)[:, None] - one),
        "squared": through_softmax(p[:, None] - one),
        "squared of logits": z[:, None] - one,
    }  # of the class y, shape (R, y, K) each
    errors = {name: _error(G, family) for name, family in families.items()}
    name, (error, sign) = min(errors.items(), key=lambda item: item[1][0])
    if error < _NEAR:
        return f"{'minus ' * (sign < 0)}{name.partition(' of ')[0]}"
    whole = len(G) == len(gradients) and len(G) > 1
    if whole and bool(G.sum(dim=0).abs().max() < _NEAR * G.abs().sum(dim=0).max()):
        return "over the batch"
    return "other"


def _error(G: torch.Tensor, family: torch.Tensor) -> tuple[float, float]:
    """How far gradients are from multiples of a loss's, whatever the classes; and their sign."""
    scale = (G[:, None] * family).sum(dim=2) / family.pow(2).sum(dim=2).clamp_min(1e-300)
    apart = (G[:, None] - scale[..., None] * family).norm(dim=2) / G.norm(dim=1)[:, None]
    best = apart.argmin(dim=1, keepdim=True)
    signs = scale.gather(1, best).sign()
    if bool((signs != signs[:1]).any()):
        return float("inf"), 0.0
    return float(apart.gather(1, best).max()), float(signs[0])
