"""Training steps: forward, backward, clipping and the optimiser's update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from digitspan.cells.build import build
from digitspan.palindromes import Questions, encode, seed_of
from digitspan.runs import NUM_CLASSES, RunConfig

__all__ = ["StepResult", "Trainer", "build_network"]

_AT_ONCE = 500
"""Palindromes evaluated in one piece: bounds the memory of an evaluation."""


class StepResult(NamedTuple):
    """What one training step saw."""

    loss: float
    """Cross-entropy of the batch before the update, in nats."""
    grad_norm: float
    """Norm of all gradients together, before clipping."""


def build_network(config: RunConfig) -> nn.Module:
    """The network of a run, at its start, on the CPU."""
    seed = seed_of("init", config.cell, config.initialisation, config.length, config.seed)
    return build(
        config.cell,
        input_size=config.input_size,
        hidden_size=config.hidden_size,
        num_classes=NUM_CLASSES,
        initialisation=config.initialisation,
        length=config.length,
        generator=torch.Generator().manual_seed(seed),
    )


class Trainer:
    """One network with its optimiser.

    Args:
        config: what is trained and how.
        device: where.
    """

    def __init__(self, config: RunConfig, device: torch.device | str = "cpu") -> None:
        self.config = config
        self.network = build_network(config).to(device)
        if config.trained == "read-out":
            for name, parameter in self.network.named_parameters():
                parameter.requires_grad_(name in ("W_ph", "b_p"))
        self._trained = [p for p in self.network.parameters() if p.requires_grad]
        self._optimizer = _optimizer(config, self._trained)

    def step(self, questions: Questions) -> StepResult:
        """Train on one batch: equation (3), its gradients, clipped, and the optimiser's update."""
        self._optimizer.zero_grad(set_to_none=True)
        logits = self.network(encode(questions.inputs, self.config.input_size))
        loss = torch.nn.functional.cross_entropy(logits, questions.targets)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self._trained, self.config.max_grad_norm)
        self._optimizer.step()
        return StepResult(loss.item(), norm.item())

    @torch.no_grad()
    def logits(self, inputs: Tensor) -> Tensor:
        """The answers to palindromes (M, T - 1), as logits (M, K)."""
        pieces = inputs.split(_AT_ONCE)
        return torch.cat([self.network(encode(x, self.config.input_size)) for x in pieces])

    def state_dict(self) -> dict[str, Any]:
        """Weights and optimiser state, copied: what training goes on from."""
        weights = {name: value.clone() for name, value in self.network.state_dict().items()}
        return {"network": weights, "optimizer": _copied(self._optimizer.state_dict())}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])


def _optimizer(config: RunConfig, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimiser by name, with torch's own defaults besides the learning rate."""
    rate = config.learning_rate
    if config.optimizer == "rmsprop":
        return torch.optim.RMSprop(parameters, lr=rate)
    if config.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=rate)
    return torch.optim.SGD(parameters, lr=rate, momentum=0.9 * (config.optimizer == "momentum"))


def _copied(value: Any) -> Any:
    """A nested state with its tensors cloned."""
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copied(item) for item in value]
    return value
