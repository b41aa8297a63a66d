"""Snapshots of a network on its way through training: so many, whenever the training may end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import safetensors.torch
from torch import Tensor, nn

from digitspan.errors import UsageError
from digitspan.runs.config import RunConfig
from digitspan.runs.folder import MOST_SNAPSHOT_BYTES
from digitspan.runs.outcome import EVALUATE_EVERY
from digitspan.training.engine import real_weights

__all__ = ["Snapshots"]


class Snapshots:
    """The weights of one network after some training steps, evenly spread over the training.

    A run's last step is not known before it comes. So weights are taken at every evaluation, and
    as soon as there are more than twice as many as are wanted, every second one is dropped and
    only every second evaluation counts from then on.

    Args:
        count: how many are wanted, the untrained network among them; 0 takes none.

    Raises:
        UsageError: where so many of this network are more than `MOST_SNAPSHOT_BYTES`.
    """

    def __init__(self, count: int, config: RunConfig, network: nn.Module) -> None:
        self.count, self.config = count, config
        self.every = EVALUATE_EVERY
        self.taken: dict[int, dict[str, Tensor]] = {}
        if not count:
            return
        size = sum(value.nbytes for value in real_weights(network).values())
        if count * size > MOST_SNAPSHOT_BYTES:
            room = MOST_SNAPSHOT_BYTES // size
            instead = f"give --snapshots {room}" if room else "leave --snapshots out"
            message = (
                f"{count} snapshots of {config.cell} with n = {config.hidden_size:,} take "
                f"{count * size / 1e6:,.0f} MB, and at most {MOST_SNAPSHOT_BYTES / 1e6:,.0f} MB "
                f"of them are kept; {instead}"
            )
            raise UsageError(message)
        self.see(0, network)

    def see(self, step: int, network: nn.Module) -> None:
        """Take the weights after a step, if it is one of those that count."""
        if not self.count or (self.taken and step < max(self.taken) + self.every):
            return
        self.taken[step] = real_weights(network)
        self._thin()

    def chosen(self, last: int) -> list[int]:
        """The steps of those to keep: as evenly as there are any before the last step."""
        there = [step for step in self.taken if step < last]
        wanted = [number * last / self.count for number in range(self.count)]
        return sorted({min(there, key=lambda step: abs(step - at)) for at in wanted if there})

    def file(self, last: int) -> bytes:
        """A safetensors file of them, each tensor named `STEP/NAME`; empty where none are wanted.

        Args:
            last: the step after which the run ended; its weights are those of the run.
        """
        if not self.count:
            return b""
        tensors = {
            f"{step}/{name}": value
            for step in self.chosen(last)
            for name, value in self.taken[step].items()
        }
        return safetensors.torch.save(tensors, {"config": self.config.canonical})

    def state(self) -> dict[str, Any]:
        """What `go_on_from` takes; weights are never changed once they were taken."""
        return {"every": self.every, "taken": dict(self.taken)}

    def go_on_from(self, state: Mapping[str, Any]) -> None:
        """Take up those of an interrupted run again, if there are any."""
        if self.count and state["taken"]:
            self.every, self.taken = state["every"], dict(state["taken"])
            self._thin()

    def _thin(self) -> None:
        """Drop every second one while there are too many."""
        while len(self.taken) > 2 * self.count:
            self.taken = dict(list(self.taken.items())[::2])
            self.every *= 2
