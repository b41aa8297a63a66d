"""Trains networks: forward, backward, clipping, the optimiser's update; one, or many at once.

The built-in cells are trained by their fast form (`digitspan.training.fused`), networks of one's
own by plain autograd and torch's own optimisers.
"""

from __future__ import annotations

import copy
import dataclasses
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Self

import safetensors.torch
import torch
from torch import Tensor, nn

from digitspan.cells.answers import answers_of_last, read_out_of
from digitspan.cells.build import build
from digitspan.cells.own import is_own
from digitspan.cells.seal import seed_generators
from digitspan.errors import UsageError, said_by
from digitspan.runs.config import RunConfig
from digitspan.tasks.questions import Questions, encode
from digitspan.tasks.seeds import seed_of
from digitspan.training.fused import FusedForm, Packed, Unrolled, answer, differentiate, fused_form
from digitspan.training.optimizers import Optimizer, cosine

__all__ = [
    "AT_ONCE",
    "StepResult",
    "Trainer",
    "TrainerGroup",
    "answer_in_pieces",
    "build_network",
    "input_dtype",
    "keep_network",
    "load_network",
    "load_weights",
    "loss_of",
    "not_its_weights",
    "real_weights",
]

AT_ONCE = 500
"""Palindromes evaluated in one piece: bounds the memory of an evaluation."""

_MAY_DIFFER = ("seed", "initialisation", "learning_rate")
"""Settings that may differ within a group."""


class StepResult(NamedTuple):
    """What one training step saw."""

    loss: float
    """Cross-entropy of the batch before the update, in nats."""
    grad_norm: float
    """Norm of all gradients together, before clipping."""


def build_network(config: RunConfig, *, guess: int = 0) -> nn.Module:
    """The network of a run with its initial weights, on the CPU.

    Args:
        config: of the run.
        guess: which initial weights: training begins with 0, random guessing goes on to 1, 2, ...
    """
    names = ["init", config.cell, config.initialisation, config.length, config.seed]
    seed = seed_of(*names, *(["guess", guess] if guess else []))
    return build(
        config.cell,
        input_size=config.input_size,
        hidden_size=config.hidden_size,
        num_classes=config.num_classes,
        initialisation=config.initialisation,
        length=config.length,
        generator=torch.Generator().manual_seed(seed),
        source=config.source,
    )


def load_network(config: RunConfig, weights: bytes) -> torch.nn.Module:
    """The network of a run with the weights that `Finished.weights` holds.

    Raises:
        UsageError: where they are not those of this network.
    """
    network = build_network(config)
    try:
        load_weights(network, weights)
    except Exception as error:  # they may be any bytes, and a cell of one's own reads them itself
        raise not_its_weights(config, error) from error
    return network.eval()


def not_its_weights(config: RunConfig, error: Exception) -> UsageError:
    """Says that what a file holds, undamaged, are not the weights of its run's network."""
    message = (
        f"the weights kept of the run {config.key} ({config.run_id}) are not those of its network "
        f"({said_by(error)[:200]}); restore their file, or remove it to go on without it"
    )
    return UsageError(message)


def load_weights(network: nn.Module, weights: bytes) -> None:
    """Put into a network what `keep_network` kept."""
    state, kept = network.state_dict(), safetensors.torch.load(weights)
    for name, value in kept.items():
        if name in state and state[name].is_complex():
            kept[name] = torch.view_as_complex(value.contiguous())
    network.load_state_dict(kept)


def keep_network(config: RunConfig, network: nn.Module) -> bytes:
    """The weights of a network as a safetensors file, which `load_network` reads.

    Tied weights are in it once for each name, complex ones as pairs of real numbers (..., 2).
    """
    return safetensors.torch.save(real_weights(network), {"config": config.canonical})


def real_weights(network: nn.Module) -> dict[str, Tensor]:
    """A copy of what a network holds, by name, complex numbers as pairs of real ones (..., 2)."""
    kept = {}
    for name, value in network.state_dict().items():
        real = torch.view_as_real(value.resolve_conj()) if value.is_complex() else value
        kept[name] = real.detach().cpu().clone(memory_format=torch.contiguous_format)
    return kept


def input_dtype(network: nn.Module) -> torch.dtype:
    """The dtype of the inputs that a network takes, out of those of its parameters.

    That of single precision where any parameter has it; else the first one's, a complex one's real
    counterpart.
    """
    found = [p.dtype for p in network.parameters() if p.is_floating_point() or p.is_complex()]
    real = [dtype.to_real() if dtype.is_complex else dtype for dtype in found]
    return torch.float32 if torch.float32 in real or not real else real[0]


class Trainer:
    """One network with its optimiser.

    Args:
        config: of its run.
        device: where it is trained.
        dtype: of its parameters; by default single precision, and of a cell of one's own whatever
            it was built with.

    Raises:
        UsageError: where the read-out alone is trained, and the cell does not show which it is.
    """

    def __init__(
        self,
        config: RunConfig,
        device: torch.device | str = "cpu",
        *,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.config = config
        self.network = build_network(config).to(device)
        if dtype is not None or not is_own(config.cell):
            self.network = self.network.to(dtype or torch.float32)
        if config.trained == "read-out":
            trained = _read_out_names(config, self.network)
            for name, parameter in self.network.named_parameters():
                parameter.requires_grad_(name in trained)
        form = fused_form(self.network)
        self.method: _Fused | _Autograd = (
            _Fused.begin(config, self.network, form) if form else _Autograd(config, self.network)
        )

    def step(self, questions: Questions) -> StepResult:
        """Train on one batch: equation (3), its gradients, clipped, and the optimiser's update."""
        return self.method.step([questions])[0]

    def logits(self, inputs: Tensor, asked: int | None = None) -> Tensor:
        """The answers to sequences (M, T - 1), as logits (M, K); to lists (M, A, K).

        Args:
            inputs: digits, shape (M, T - 1).
            asked: A, the last steps after which there is an answer; None: after the last alone.
        """
        return self.method.logits(inputs, asked)[0]

    def state_dict(self) -> dict[str, Any]:
        """Weights and optimiser state, copied: what training goes on from."""
        weights = {name: value.clone() for name, value in self.network.state_dict().items()}
        return {"network": weights, "optimizer": self.method.optimizer_state()}

    def can_load(self, state: Mapping[str, Any]) -> bool:
        """Whether this is a state of its own kind: a cell may have got a fast form since then."""
        kept: bool = state["optimizer"].keys() == self.method.optimizer_state().keys()
        return kept

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.network.load_state_dict(state["network"])
        self.method.load_optimizer_state(state["optimizer"])


def _read_out_names(config: RunConfig, network: nn.Module) -> list[str]:
    """The parameters of the read-out, by name.

    Raises:
        UsageError: where a cell of one's own does not show which they are.
    """
    if not is_own(config.cell):
        return ["W_ph", "b_p"]
    device = next(network.parameters()).device
    digits = torch.zeros(2, 3, dtype=torch.int64, device=device)
    names = read_out_of(network, encode(digits, config.input_size, input_dtype(network)))
    if not names:
        message = (
            f"cell {config.cell!r} does not show which of its parameters are the read-out, which "
            f"the control trains alone; expected read_out(state) beside step, or a last layer "
            f"whose output the logits are; leave the controls out, or add one of these"
        )
        raise UsageError(message)
    return names


class TrainerGroup:
    """Networks of one shape that are trained at once, each exactly as if alone.

    Each has its own batches, learning rate, clipping and optimiser state. Every trainer stays
    whole: it can answer, be saved, or leave; the rest is then a new group. Networks with a
    fast form become one batch of matrices, others are trained one after another.

    Raises:
        UsageError: where they differ in more than seed, initialisation and learning rate.
    """

    def __init__(self, trainers: Sequence[Trainer]) -> None:
        _check_alike([trainer.config for trainer in trainers])
        self._trainers = list(trainers)
        fused = [t.method for t in trainers if isinstance(t.method, _Fused)]
        self._joined = _Fused.joined(fused) if fused else None
        if self._joined:
            for row, trainer in enumerate(self._trainers):
                trainer.method = self._joined.row(row, trainer.network)

    def step(self, batches: Sequence[Questions]) -> list[StepResult]:
        """One training step of every network, each on its own batch."""
        if self._joined:
            return self._joined.step(batches)
        pairs = zip(self._trainers, batches, strict=True)
        return [trainer.step(questions) for trainer, questions in pairs]

    def logits(self, inputs: Tensor, asked: int | None = None) -> list[Tensor]:
        """The answers of every network to the same sequences (M, T - 1); see `Trainer.logits`."""
        if self._joined:
            return self._joined.logits(inputs, asked)
        return [trainer.logits(inputs, asked) for trainer in self._trainers]


@torch.no_grad()
def answer_in_pieces(
    networks: Sequence[nn.Module], pieces: Iterable[Tensor], input_size: int
) -> Tensor:
    """The logits after the last digit of strings of any length, (R, B, K), in constant memory.

    Args:
        networks: of one class and shape: the sheet's, or with `initial_state`, `step`, `read_out`.
        pieces: the digits in order, cut along the time: shape (B, any number) each.
        input_size: d.
    """
    form = fused_form(networks[0])
    if form:
        flat = torch.cat([Packed.of(network, form.sizes).flat for network in networks])
        return answer(form, Packed(flat, form.sizes), pieces)
    cells: list[Any] = list(networks)
    states: list[Any] = []
    for piece in pieces:
        for x in encode(piece, input_size, input_dtype(networks[0])).unbind(dim=1):
            states = states or [cell.initial_state(len(x)) for cell in cells]
            states = [cell.step(x, state) for cell, state in zip(cells, states, strict=True)]
    return torch.stack([cell.read_out(state) for cell, state in zip(cells, states, strict=True)])


def loss_of(logits: Tensor, targets: Tensor) -> Tensor:
    """The cross-entropy (3), the mean over all answers: (M, K) and (M,), or (M, A, K), (M, A)."""
    return torch.nn.functional.cross_entropy(logits.flatten(0, -2), targets.flatten())


class _Fused:
    """R networks of a fast form with their optimiser: row r of every tensor is network r's."""

    def __init__(
        self, config: RunConfig, form: FusedForm, weights: Packed, optimizer: Optimizer
    ) -> None:
        self._config, self._form = config, form
        self._weights, self._optimizer = weights, optimizer
        self._gradient = Packed(torch.zeros_like(weights.flat), form.sizes)
        self._unrolled: Unrolled | None = None

    @classmethod
    def begin(cls, config: RunConfig, network: nn.Module, form: FusedForm) -> Self:
        """One network, which lives in the row from now on."""
        with torch.no_grad():
            weights = Packed.of(network, form.sizes)
        weights.adopt(network, 0)
        over = config.train_steps if config.schedule == "cosine" else 0
        optimizer = Optimizer.start(config.optimizer, config.learning_rate, weights.flat, over)
        return cls(config, form, weights, optimizer)

    @classmethod
    def joined(cls, methods: Sequence[Self]) -> Self:
        """The rows of several as one, copied."""
        first = methods[0]
        weights = Packed(torch.cat([one._weights.flat for one in methods]), first._form.sizes)
        optimizer = Optimizer.joined([one._optimizer for one in methods])
        return cls(first._config, first._form, weights, optimizer)

    def row(self, index: int, network: nn.Module) -> Self:
        """One of the rows by itself, in which its network lives from now on; nothing is copied."""
        weights = Packed(self._weights.flat[index : index + 1], self._form.sizes)
        weights.adopt(network, 0)
        return type(self)(self._config, self._form, weights, self._optimizer.row(index))

    @torch.no_grad()
    def step(self, batches: Sequence[Questions]) -> list[StepResult]:
        """One training step of every network."""
        digits = torch.stack([questions.inputs for questions in batches])  # (R, B, T - 1)
        targets = torch.stack([questions.targets for questions in batches])  # (R, B)
        weights, gradient = self._weights, self._gradient
        steps = digits.shape[2]
        # Buffers once made serve shorter sequences too: lengths differ where they grow.
        if self._unrolled is None or (
            self._unrolled.shape[:2] != digits.shape[:2] or self._unrolled.shape[2] < steps
        ):
            self._unrolled = self._form.unroll(digits.shape, weights.flat)
        unrolled = self._unrolled.first(steps)
        only = self._config.trained == "read-out"
        losses = differentiate(unrolled, weights, gradient, digits, targets, read_out_only=only)
        norms = torch.linalg.vector_norm(gradient.flat, dim=1, keepdim=True)
        # As torch.nn.utils.clip_grad_norm_ does, each network by itself.
        gradient.flat.mul_((self._config.max_grad_norm / (norms + 1e-6)).clamp_(max=1))
        self._optimizer.update(weights.flat, gradient.flat)
        seen = torch.stack([losses, norms.squeeze(1)], dim=1).tolist()
        return [StepResult(loss, norm) for loss, norm in seen]

    @torch.no_grad()
    def logits(self, inputs: Tensor, asked: int | None = None) -> list[Tensor]:
        """The logits of every network; see `Trainer.logits`."""
        pieces = [answer(self._form, self._weights, [x], asked) for x in inputs.split(AT_ONCE)]
        return list(torch.cat(pieces, dim=1))

    def optimizer_state(self) -> dict[str, Tensor]:
        """What the optimiser carries on, copied."""
        return {"moments": self._optimizer.moments.clone(), "steps": self._optimizer.steps.clone()}

    def load_optimizer_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `optimizer_state` gave."""
        self._optimizer.moments.copy_(state["moments"])
        self._optimizer.steps.copy_(state["steps"])


class _Autograd:
    """One network of any kind, by torch's own differentiation and optimisers."""

    def __init__(self, config: RunConfig, network: nn.Module) -> None:
        self._config, self._network = config, network.train()
        self._trained = [p for p in network.parameters() if p.requires_grad]
        self._optimizer = _torch_optimizer(config, self._trained)
        self._dtype = input_dtype(network)

    def step(self, batches: Sequence[Questions]) -> list[StepResult]:
        """One training step, which leaves torch's, NumPy's and Python's generators seeded."""
        (questions,) = batches
        self._optimizer.zero_grad(set_to_none=True)
        # Noise in training, dropout say, is decided by the batch: an interruption changes nothing.
        seed_generators(zlib.crc32(questions.inputs.cpu().numpy().tobytes()))
        if not self._network.training:  # since an evaluation; the call costs as much as a layer
            self._network.train()
        logits = self._answers(self._network, questions.inputs, questions.asked)
        loss = loss_of(logits, questions.targets)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self._trained, self._config.max_grad_norm)
        if self._config.schedule == "cosine":
            self._anneal()
        self._optimizer.step()
        if loss.is_cpu:
            return [StepResult(loss.item(), norm.item())]
        return [StepResult(*torch.stack([loss.detach(), norm]).tolist())]  # waits once, not twice

    def _anneal(self) -> None:
        """Set the learning rate of this step; the steps done are kept with the optimiser."""
        config = self._config
        for group in self._optimizer.param_groups:
            done = group.get("steps_done", 0)
            group["lr"] = config.learning_rate * cosine(done, config.train_steps)
            group["steps_done"] = done + 1

    @torch.no_grad()
    def logits(self, inputs: Tensor, asked: int | None = None) -> list[Tensor]:
        """The network's logits; see `Trainer.logits`."""
        network, pieces = self._network.eval(), inputs.split(AT_ONCE)
        return [torch.cat([self._answers(network, x, asked) for x in pieces])]

    def optimizer_state(self) -> Any:
        """What the optimiser carries on, copied."""
        return copy.deepcopy(self._optimizer.state_dict())

    def load_optimizer_state(self, state: Any) -> None:
        """Go on from what `optimizer_state` gave."""
        self._optimizer.load_state_dict(state)

    def _answers(self, network: nn.Module, digits: Tensor, asked: int | None) -> Tensor:
        inputs = encode(digits, self._config.input_size, self._dtype)
        if asked is None:
            return _exact(network(inputs))
        return _exact(answers_of_last(network, inputs, asked))


def _exact(logits: Tensor) -> Tensor:
    """Logits in single precision at least: half of it cannot tell losses apart."""
    return logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits


def _torch_optimizer(config: RunConfig, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimiser by name, with torch's own defaults besides the learning rate."""
    rate = config.learning_rate
    if config.optimizer == "rmsprop":
        return torch.optim.RMSprop(parameters, lr=rate)
    if config.optimizer in ("adam", "adamw"):
        kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
        return kind(parameters, lr=rate)
    return torch.optim.SGD(parameters, lr=rate, momentum=0.9 * (config.optimizer == "momentum"))


def _check_alike(configs: Sequence[RunConfig]) -> None:
    """Refuse configurations that cannot be trained at once."""
    for field in dataclasses.fields(RunConfig):
        values = {getattr(config, field.name) for config in configs}
        if field.name not in _MAY_DIFFER and len(values) > 1:
            message = f"networks trained at once must have one {field.name}; got {sorted(values)}"
            raise UsageError(message)
