"""What the notebook draws and checks with: weights, gradient norms, gates, loss curves."""

from __future__ import annotations

import copy
import io
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from digitspan.figures.info import optimizers_info
from digitspan.handin.material import Material
from digitspan.handin.wording import panel_title
from digitspan.look.bptt import lstm_backward
from digitspan.look.probe import trace, trace_batch
from digitspan.study.reading import SavedRun
from digitspan.tasks.palindrome import mirror
from digitspan.tasks.questions import encode
from digitspan.tasks.seeds import seed_of
from digitspan.training.engine import build_network, load_network

__all__ = ["GradientPath", "Measurements", "as_npz", "gradient_path", "measure"]

PROBE_LENGTH = 100
"""T of the palindromes that gradients are followed through."""

PROBE_COUNT = 64
"""So many of them."""

CHECKED_LENGTH = 20
"""T of the palindrome for which the derivation is compared with autograd."""


class GradientPath(NamedTuple):
    """Which way the gradient takes from the LSTM's last step to its first cell state.

    It either stays in the cell, multiplied by forget gates alone, or leaves it, through h and the
    gates: dL/dc(1) = f(2) * ... * f(L) * dL/dc(L) + the rest, element by element. Medians over
    palindromes of the length that the network was trained at.
    """

    direct: float
    """||f(2) * ... * f(L) * dL/dc(L)|| / ||dL/dc(1)||: the part by the forget gates alone."""
    share: float
    """<that part, dL/dc(1)> / ||dL/dc(1)||^2: what it makes of the whole; the rest makes up 1."""
    kept: float
    """The largest product f(2) ... f(L) among the units: what one keeps of its cell."""


class Measurements(NamedTuple):
    """What was seen in the networks that were looked into."""

    arrays: Mapping[str, np.ndarray]
    """By name, as in traces.npz."""
    fall: Mapping[tuple[str, str, str], float]
    """Mean factor a step by which the gradient changes on its way back, by cell, "untrained" or
    "trained", and state."""
    drop: Mapping[tuple[str, str, str], float]
    """The gradient's norm at the first step over that at the last one, likewise."""
    forget: Mapping[str, np.ndarray]
    """Mean forget gate of each unit at the LSTM's own length, shape (N,), likewise by state."""
    gates: Mapping[str, np.ndarray]
    """The trained LSTM's gates at its own length, mean over palindromes, shape (L, N) each."""
    path: Mapping[str, GradientPath]
    """The LSTM's, "untrained" and "trained"."""
    singular: Mapping[str, float]
    """Largest singular value of the RNN's W_hh, "untrained" and "trained"."""


def measure(material: Material) -> Measurements:
    """Follow palindromes through the networks of a study, before training and after."""
    torch.set_num_threads(1)  # the same sums in the same order on every run
    arrays: dict[str, np.ndarray] = {}
    fall, drop, forget, path, singular = {}, {}, {}, {}, {}
    gates: dict[str, np.ndarray] = {}
    digits = _palindromes(PROBE_LENGTH, PROBE_COUNT)
    for cell, kept in material.networks.items():
        for state, network in _networks(kept).items():
            for name, value in network.state_dict().items():
                arrays[f"weights/{cell}/{state}/{name}"] = value.numpy()
            seen = trace_batch(network, digits[:, :-1], digits[:, -1])
            for part, norms in seen.gradient_norms.items():
                arrays[f"norms/{cell}/{state}/{part}"] = norms
                fall[cell, state, part], drop[cell, state, part] = _fall(norms)
            if cell == "lstm":
                own = _palindromes(kept.config.length, PROBE_COUNT)
                found = trace_batch(network, own[:, :-1], own[:, -1]).gates
                gates = {name: gate.mean(axis=0) for name, gate in found.items()}
                forget[state], path[state] = gates["f"].mean(axis=0), gradient_path(network, own)
            else:
                W_hh = network.state_dict()["W_hh"].numpy()
                singular[state] = float(np.linalg.norm(W_hh, ord=2))
    arrays |= _checked(material.networks["rnn"]) | _gates(material.networks["lstm"])
    arrays |= _curves(material) | _budgets(material)
    return Measurements(arrays, fall, drop, forget, gates, path, singular)


def gradient_path(network: torch.nn.Module, digits: np.ndarray) -> GradientPath:
    """Follow the gradient of the loss after the last digit back to the first cell state.

    Args:
        network: an LSTM; it is not changed.
        digits: whole palindromes, shape (B, T); the last digit is the target.
    """
    exact: Any = copy.deepcopy(network).double()
    inputs = encode(torch.as_tensor(digits[:, :-1]), exact.input_dim, torch.float64)
    whole = lstm_backward(exact, inputs, torch.as_tensor(digits[:, -1])).d_c.numpy()  # (L, B, N)
    forget = trace_batch(network, digits[:, :-1], digits[:, -1]).gates["f"]  # (B, L, N)
    product = forget[:, 1:].prod(axis=1)  # f(2) ... f(L), (B, N)
    first, direct = whole[0], product * whole[-1]
    square = np.maximum((first**2).sum(axis=1), np.finfo(float).tiny)  # (B,)
    return GradientPath(
        float(np.median(np.linalg.norm(direct, axis=1) / np.sqrt(square))),
        float(np.median((direct * first).sum(axis=1) / square)),
        float(np.median(product.max(axis=1))),
    )


def as_npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The arrays as one compressed file: the same arrays give the same bytes."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _networks(kept: SavedRun) -> dict[str, torch.nn.Module]:
    """A run's network as it started, and as it ended."""
    config = kept.config
    return {
        "untrained": build_network(config),
        "trained": load_network(config, kept.weights),
    }


def _palindromes(length: int, count: int) -> np.ndarray:
    """Random palindromes, the same on every run, shape (count, length)."""
    generator = torch.Generator().manual_seed(seed_of("report", length))
    halves = torch.randint(10, (count, (length + 1) // 2), generator=generator)
    return mirror(halves, length).numpy()


def _fall(norms: np.ndarray) -> tuple[float, float]:
    """The mean factor a step, and the whole drop, of the median norms; (B, L) to two numbers.

    Where the gradient has vanished altogether (0 in double precision), the factor is that of the
    steps at which it has not, and the drop is 0.
    """
    medians = np.median(norms, axis=0)
    first = int(np.argmax(medians > 0))
    steps = len(medians) - 1 - first
    factor = (medians[first] / medians[-1]) ** (1 / steps) if steps and medians[-1] else 1.0
    return float(factor), float(medians[0] / medians[-1]) if medians[-1] else 1.0


def _checked(kept: SavedRun) -> dict[str, np.ndarray]:
    """The palindrome for which the derivation is checked, and the norms that the probe has."""
    digits = _palindromes(CHECKED_LENGTH, 1)
    arrays = {"checked/digits": digits[0]}
    for state, network in _networks(kept).items():
        seen = trace_batch(network, digits[:, :-1], digits[:, -1])
        arrays[f"checked/norms/{state}"] = seen.gradient_norms["hidden"][0]
    return arrays


def _gates(kept: SavedRun) -> dict[str, np.ndarray]:
    """The four gates while the trained LSTM reads one palindrome of the length it learned."""
    config = kept.config
    digits = _palindromes(config.length, 1)[0]
    seen = trace(load_network(config, kept.weights), digits[:-1])
    gates = {f"gates/{name}": gate.astype(np.float32) for name, gate in seen.gates.items()}
    return {"gates/digits": digits} | gates


def _curves(material: Material) -> dict[str, np.ndarray]:
    """Question 1.4: step and validation loss of each optimiser at its best rate, (2, E) a seed."""
    info = optimizers_info(material.summary)
    return {
        f"curves/{panel}/{label}/{seed}": curve
        for panel, lines in (info.panels if info else ())
        for label, curves in lines
        for seed, curve in enumerate(curves)
    }


def _budgets(material: Material) -> dict[str, np.ndarray]:
    """Budget, S50 and the ends of its interval (nan where open), shape (4, B) a condition."""
    return {
        f"budgets/{row.condition.cell}/{panel_title(duel, material.duels)}": np.array(
            [(span.budget, span.s50, span.low, span.high) for span in row.budgets], float
        ).T
        for duel in material.duels
        for row in duel.sides
    }
