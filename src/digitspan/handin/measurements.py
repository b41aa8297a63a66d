"""What the notebook draws and checks with: weights, gradient norms, gates, loss curves."""

from __future__ import annotations

import copy
import io
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from digitspan.figures.info import optimizers_info
from digitspan.handin.kept_cells import KeptCells, kept_cells
from digitspan.handin.material import Material
from digitspan.handin.wording import panel_title
from digitspan.look.contrasts import Contrast, Group, contrasts
from digitspan.look.probe import trace, trace_batch
from digitspan.study.reading import SavedRun
from digitspan.tasks.palindrome import mirror
from digitspan.tasks.questions import encode
from digitspan.tasks.seeds import seed_of
from digitspan.training.engine import build_network, load_network

__all__ = [
    "PROBE_COUNT",
    "GradientPath",
    "Measurements",
    "as_npz",
    "gradient_path",
    "measure",
]

PROBE_COUNT = 64
"""So many palindromes are followed through a network, of the length that it was trained at."""

KEEPING = {"lstm": ("cell", "f"), "gru": ("hidden", "z")}
"""By gated network: the part of its state that a gate can keep from step to step, and that gate.

c(t) = f(t) * c(t-1) + ... of the LSTM, equation (8); h(t) = z(t) * h(t-1) + ... of the GRU."""


class GradientPath(NamedTuple):
    """Which way the gradient takes from the gated network's last step to its first kept state.

    It either stays there, multiplied by the keeping gates alone, or leaves it, through the other
    gates. Of the LSTM: dL/dc(1) = f(2) * ... * f(L) * dL/dc(L) + the rest, element by element; of
    the GRU with h and z. Medians over palindromes of the length that the network was trained at.
    """

    direct: float
    """||f(2) * ... * f(L) * dL/dc(L)|| / ||dL/dc(1)||: the part by the keeping gates alone."""
    share: float
    """<that part, dL/dc(1)> / ||dL/dc(1)||^2: what it makes of the whole; the rest makes up 1."""
    kept: float
    """The largest product f(2) ... f(L) among the units: what one keeps of its cell."""
    low: float = np.nan
    """The share that a tenth of the palindromes are below."""
    high: float = np.nan
    """The share that a tenth of the palindromes are above."""


class Measurements(NamedTuple):
    """What was seen in the networks that were looked into.

    By place: cell, "untrained" or "trained", and part of the state. Each is the median over the
    networks of `Material.alike`.
    """

    arrays: Mapping[str, np.ndarray]
    """By name, as in traces.npz."""
    fall: Mapping[tuple[str, str, str], float]
    """Mean factor per step by which the gradient changes on its way back, by place."""
    drop: Mapping[tuple[str, str, str], float]
    """The gradient's norm at the first step over that at the last one, by place."""
    lowest: Mapping[tuple[str, str, str], float]
    """The smallest gradient's norm of any step over that at the last one, by place."""
    arrivals: Mapping[str, Mapping[bool, tuple[float, ...]]]
    """By cell, and by whether the run was solved: the drop of each network of `Material.kept`."""
    keeps: Mapping[str, float]
    """Mean keeping gate at the gated network's own length, "untrained" and "trained"."""
    path: Mapping[str, GradientPath]
    """The gated network's, likewise."""
    bound: Mapping[str, float]
    """The factor per step, gamma sigma_max, of the bound (E) for the RNN, likewise."""
    held: KeptCells
    """Of the gated network that is looked into."""
    carried: tuple[KeptCells, ...]
    """Of every gated network of `Material.kept`."""
    starts: tuple[tuple[str, Group, Contrast], ...]
    """By cell and group: the first gradient's ratio before training, unsolved runs against solved
    ones like them."""
    tests: int
    """So many contrasts were tested together."""


def measure(material: Material) -> Measurements:
    """Follow palindromes through the networks of a study, before training and after."""
    torch.set_num_threads(1)  # the same sums in the same order on every run
    arrays: dict[str, np.ndarray] = {}
    keeps, path, bound = {}, {}, {}
    falls: dict[tuple[str, str, str], list[tuple[float, float, float]]] = {}
    for cell, kept in material.networks.items():
        digits = _palindromes(kept.config.length, PROBE_COUNT)
        for number, alike in enumerate(material.alike(cell)):
            for state, network in _networks(alike).items():
                seen = trace_batch(network, digits[:, :-1], digits[:, -1])
                for part, norms in seen.gradient_norms.items():
                    arrays[f"norms/{cell}/{state}/{part}/{number}"] = norms
                    falls.setdefault((cell, state, part), []).append(_fall(norms))
        for state, network in _networks(kept).items():
            for name, value in network.state_dict().items():
                arrays[f"weights/{cell}/{state}/{name}"] = value.numpy()
            seen = trace_batch(network, digits[:, :-1], digits[:, -1])
            if cell == material.gated:
                keeps[state] = float(seen.gates[KEEPING[cell][1]].mean())
                path[state] = gradient_path(network, digits, keeping=KEEPING[cell])
            else:
                gamma = float((1 - seen.states["hidden"] ** 2).max())
                sigma = np.linalg.norm(network.state_dict()["W_hh"].numpy(), ord=2)
                bound[state] = gamma * float(sigma)
    medians = {place: np.median(found, axis=0) for place, found in falls.items()}
    gated = material.networks[material.gated]
    held = _kept_cells(gated)
    arrays |= _checked(material.networks[material.vanilla]) | _gates(gated, held)
    arrays |= _curves(material) | _budgets(material)
    groups = contrasts(material.records).values()
    cells = {record.config.key: record.config.cell for record in material.records}
    return Measurements(
        arrays=arrays,
        fall={place: float(found[0]) for place, found in medians.items()},
        drop={place: float(found[1]) for place, found in medians.items()},
        lowest={place: float(found[2]) for place, found in medians.items()},
        arrivals={
            cell: {
                solved: tuple(_arrival(one) for one in kept if one.record.solved == solved)
                for solved in (True, False)
            }
            for cell, kept in material.kept.items()
        },
        keeps=keeps,
        path=path,
        bound=bound,
        held=held,
        carried=tuple(map(_kept_cells, material.kept[material.gated])),
        starts=tuple(
            (cells[next(iter(contrast.values))], group, contrast)
            for group in groups
            for contrast in group.contrasts
            if contrast.quantity == "ratio"
        ),
        tests=sum(len(group.contrasts) for group in groups),
    )


def _arrival(kept: SavedRun) -> float:
    """The gradient's norm at the first step over that at the last one, in a trained network."""
    digits = _palindromes(kept.config.length, PROBE_COUNT)
    seen = trace_batch(load_network(kept.config, kept.weights), digits[:, :-1], digits[:, -1])
    part = KEEPING[kept.config.cell][0] if kept.config.cell in KEEPING else "hidden"
    return _fall(seen.gradient_norms[part])[1]


def _kept_cells(kept: SavedRun) -> KeptCells:
    """What the units of a trained gated network do at palindromes of its own length."""
    keeping = KEEPING[kept.config.cell]
    digits = _palindromes(kept.config.length, PROBE_COUNT)
    network = load_network(kept.config, kept.weights)
    half = (kept.config.length - 1) // 2
    along = gradient_path(network, digits, half, keeping=keeping).share
    return kept_cells(kept, digits, along, keeping=keeping)


def gradient_path(
    network: torch.nn.Module,
    digits: np.ndarray,
    start: int = 1,
    *,
    keeping: tuple[str, str] = KEEPING["lstm"],
) -> GradientPath:
    """Follow the gradient of the loss after the last digit back to an early state.

    Args:
        network: a gated one; it is not changed.
        digits: whole palindromes, shape (B, T); the last digit is the target.
        start: the step whose state takes the place of c(1) in `GradientPath`.
        keeping: of `KEEPING`.
    """
    part, gate = keeping
    exact: Any = copy.deepcopy(network).double().requires_grad_(True)
    size = exact.input_dim if hasattr(exact, "input_dim") else exact.input_size
    inputs = encode(torch.as_tensor(digits[:, :-1]), size, torch.float64)
    states, gates = [exact.initial_state(len(inputs))], []
    states[0] = type(states[0])(*(value.double() for value in states[0]))
    for t in range(inputs.shape[1]):
        gates.append(exact.gates(inputs[:, t], states[-1])[gate].detach())
        states.append(exact.step(inputs[:, t], states[-1]))
    loss = torch.nn.functional.cross_entropy(
        exact.read_out(states[-1]), torch.as_tensor(digits[:, -1]), reduction="sum"
    )
    nodes = [getattr(state, part) for state in (states[start], states[-1])]
    first, last = (found.numpy() for found in torch.autograd.grad(loss, nodes))  # (B, N) each
    product = torch.stack(gates[start:]).prod(dim=0).numpy()  # f(start + 1) ... f(L), (B, N)
    direct = product * last
    square = np.maximum((first**2).sum(axis=1), np.finfo(float).tiny)  # (B,)
    share = (direct * first).sum(axis=1) / square
    return GradientPath(
        float(np.median(np.linalg.norm(direct, axis=1) / np.sqrt(square))),
        float(np.median(share)),
        float(np.median(product.max(axis=1))),
        *(float(np.quantile(share, tenth)) for tenth in (0.1, 0.9)),
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


def _fall(norms: np.ndarray) -> tuple[float, float, float]:
    """The mean factor per step, the whole drop, and the lowest point, of the median norms (B, L).

    Where the gradient has vanished altogether (0 in double precision), the factor is that of the
    steps at which it has not, and the drop is 0.
    """
    medians = np.median(norms, axis=0)
    first = int(np.argmax(medians > 0))
    steps = len(medians) - 1 - first
    factor = (medians[first] / medians[-1]) ** (1 / steps) if steps and medians[-1] else 1.0
    if not medians[-1]:
        return float(factor), 1.0, 1.0
    return float(factor), float(medians[0] / medians[-1]), float(medians.min() / medians[-1])


def _checked(kept: SavedRun) -> dict[str, np.ndarray]:
    """The palindrome for which the derivation is checked, and the norms that the probe has."""
    digits = _palindromes(kept.config.length, 1)
    arrays = {"checked/digits": digits[0]}
    for state, network in _networks(kept).items():
        seen = trace_batch(network, digits[:, :-1], digits[:, -1])
        arrays[f"checked/norms/{state}"] = seen.gradient_norms["hidden"][0]
    return arrays


def _gates(kept: SavedRun, held: KeptCells) -> dict[str, np.ndarray]:
    """The gates while the trained gated network reads one palindrome of the length it learned."""
    config = kept.config
    digits = _palindromes(config.length, 1)[0]
    seen = trace(load_network(config, kept.weights), digits[:-1])
    gates = {f"gates/{name}": gate.astype(np.float32) for name, gate in seen.gates.items()}
    return {"gates/digits": digits, "gates/group": held.group} | gates


def _curves(material: Material) -> dict[str, np.ndarray]:
    """Step and validation loss of each optimiser at its best rate, (2, E) a seed."""
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
