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
from digitspan.look.contrasts import Contrast, contrasts
from digitspan.look.probe import trace, trace_batch
from digitspan.runs.record import RunRecord
from digitspan.study.reading import SavedRun
from digitspan.tasks.palindrome import mirror
from digitspan.tasks.questions import encode
from digitspan.tasks.seeds import seed_of
from digitspan.training.engine import build_network, load_network

__all__ = [
    "OPEN",
    "Carried",
    "GateUse",
    "GradientPath",
    "Measurements",
    "as_npz",
    "carried",
    "gate_use",
    "gradient_path",
    "measure",
]

PROBE_LENGTH = 100
"""T of the palindromes that gradients are followed through."""

PROBE_COUNT = 64
"""So many of them."""

CHECKED_LENGTH = 20
"""T of the palindrome for which the derivation is compared with autograd."""

OPEN = 0.9
"""A forget gate above this is called open."""


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
    """The largest product f(2) ... f(L) among the units: what one keeps of its state."""


class GateUse(NamedTuple):
    """What the gates of the trained LSTM do, in the units that keep their cell.

    Means over these units and the palindromes; over all units where none keeps its cell.
    """

    keeping: int
    """Units whose mean forget gate is above 0.9."""
    units: int
    """All of them."""
    input_first: float
    """Mean input gate at the first digit."""
    input_late: float
    """Mean input gate over the second half of the digits."""
    written_first: float
    """Spread over the palindromes of what is written, g * i, at the first digit."""
    written_late: float
    """The same, mean over the second half of the digits."""
    size_late: float
    """Mean size of what is written over the second half of the digits."""
    output_last: float
    """Mean output gate at the last step."""
    output_before: float
    """Mean output gate at all steps before."""


class Carried(NamedTuple):
    """Which part of a trained gated network's state has the digit, half-way through palindromes.

    There a part of the state is replaced by that of a palindrome with another first digit. Where
    the answer is that other digit, the part has carried it.
    """

    record: RunRecord
    """The network's run."""
    keeping: int
    """Units whose keeping gates, from there to the end, have a product above 1/2."""
    by_cells: float | None = None
    """Share of answers that are the other digit where what these units keep is replaced, c of the
    LSTM and h of the GRU; None of a run that was not solved."""
    by_rest: float | None = None
    """The same, where all but that is replaced."""
    along: float | None = None
    """`GradientPath.share` from there on: the gradient that never leaves what is kept."""


class Measurements(NamedTuple):
    """What was seen in the networks that were looked into."""

    arrays: Mapping[str, np.ndarray]
    """By name, as in traces.npz."""
    fall: Mapping[tuple[str, str, str], float]
    """Mean factor per step by which the gradient changes on its way back, by cell, "untrained" or
    "trained", and state."""
    drop: Mapping[tuple[str, str, str], float]
    """The gradient's norm at the first step over that at the last one, likewise."""
    lowest: Mapping[tuple[str, str, str], float]
    """The smallest gradient's norm of any step over that at the last one, likewise."""
    keeps: Mapping[str, float]
    """Mean keeping gate at the gated network's own length, "untrained" and "trained"."""
    gates: GateUse | None
    """Of the trained LSTM at its own length; None of another gated network."""
    path: Mapping[str, GradientPath]
    """The gated network's, likewise."""
    bound: Mapping[str, float]
    """The factor per step, gamma sigma_max, of the bound (E) for the RNN, likewise."""
    carried: tuple[Carried, ...]
    """Of every network of `Material.kept`."""
    starts: tuple[Contrast, ...]
    """The first gradient's ratio before training, unsolved runs against solved ones like them."""


def measure(material: Material) -> Measurements:
    """Follow palindromes through the networks of a study, before training and after."""
    torch.set_num_threads(1)  # the same sums in the same order on every run
    arrays: dict[str, np.ndarray] = {}
    fall, drop, lowest, keeps, path, bound = {}, {}, {}, {}, {}, {}
    digits = _palindromes(PROBE_LENGTH, PROBE_COUNT)
    for cell, kept in material.networks.items():
        for state, network in _networks(kept).items():
            for name, value in network.state_dict().items():
                arrays[f"weights/{cell}/{state}/{name}"] = value.numpy()
            seen = trace_batch(network, digits[:, :-1], digits[:, -1])
            for part, norms in seen.gradient_norms.items():
                arrays[f"norms/{cell}/{state}/{part}"] = norms
                place = cell, state, part
                fall[place], drop[place], lowest[place] = _fall(norms)
            if cell == material.gated:
                own = _palindromes(kept.config.length, PROBE_COUNT)
                gates = trace_batch(network, own[:, :-1], own[:, -1]).gates
                keeps[state] = float(gates[KEEPING[cell][1]].mean())
                path[state] = gradient_path(network, own, keeping=KEEPING[cell])
            else:
                gamma = float((1 - seen.states["hidden"] ** 2).max())
                sigma = np.linalg.norm(network.state_dict()["W_hh"].numpy(), ord=2)
                bound[state] = gamma * float(sigma)
    arrays |= _checked(material.networks[material.vanilla])
    arrays |= _gates(material.networks[material.gated])
    arrays |= _curves(material) | _budgets(material)
    groups = contrasts(material.records).values()
    return Measurements(
        arrays=arrays,
        fall=fall,
        drop=drop,
        lowest=lowest,
        keeps=keeps,
        gates=gate_use(gates) if material.gated == "lstm" else None,
        path=path,
        bound=bound,
        carried=tuple(map(carried, material.kept)),
        starts=tuple(c for group in groups for c in group.contrasts if c.quantity == "ratio"),
    )


def gate_use(gates: Mapping[str, np.ndarray]) -> GateUse:
    """What the gates do in the units that keep their cell.

    Args:
        gates: of a batch of palindromes, shape (B, L, N) each.
    """
    keeping = gates["f"].mean(axis=(0, 1)) > OPEN
    i, o, written = (
        value[:, :, keeping if keeping.any() else slice(None)]
        for value in (gates["i"], gates["o"], gates["g"] * gates["i"])
    )
    spread = written.std(axis=0).mean(axis=1)  # (L,)
    late = len(spread) // 2
    return GateUse(
        keeping=int(keeping.sum()),
        units=len(keeping),
        input_first=float(i[:, 0].mean()),
        input_late=float(i[:, late:].mean()),
        written_first=float(spread[0]),
        written_late=float(spread[late:].mean()),
        size_late=float(np.abs(written[:, late:]).mean()),
        output_last=float(o[:, -1].mean()),
        output_before=float(o[:, :-1].mean()),
    )


def carried(kept: SavedRun) -> Carried:
    """Exchange parts of a gated network's state half-way, and see which digit it then names."""
    keeping = part, gate = KEEPING[kept.config.cell]
    network: Any = load_network(kept.config, kept.weights)
    digits = _palindromes(kept.config.length, PROBE_COUNT)
    inputs = encode(torch.as_tensor(digits[:, :-1]), kept.config.input_size, torch.float32)
    half = inputs.shape[1] // 2
    with torch.no_grad():
        states, gates = [network.initial_state(len(inputs))], []
        for t in range(inputs.shape[1]):
            gates.append(network.gates(inputs[:, t], states[-1])[gate])
            states.append(network.step(inputs[:, t], states[-1]))
        keeps = torch.stack(gates[half:]).prod(dim=0).mean(dim=0) > 0.5  # (N,)
        if not kept.record.solved:
            return Carried(kept.record, int(keeps.sum()))
        state = states[half]
        other = _with_another_first_digit(digits[:, 0])
        own, others = getattr(state, part), getattr(state, part)[other]
        swapped = type(state)(*(value[other] for value in state))
        shares = []
        for mixed in (
            state._replace(**{part: torch.where(keeps, others, own)}),
            swapped._replace(**{part: torch.where(keeps, own, others)}),
        ):
            for t in range(half, inputs.shape[1]):
                mixed = network.step(inputs[:, t], mixed)
            answers = network.read_out(mixed).argmax(dim=1).numpy()
            shares.append(float((answers == digits[other, 0]).mean()))
    along = gradient_path(network, digits, half, keeping=keeping).share
    return Carried(kept.record, int(keeps.sum()), shares[0], shares[1], along)


def _with_another_first_digit(first: np.ndarray) -> np.ndarray:
    """For each palindrome the next one that begins with another digit, shape (B,)."""
    count = len(first)
    return np.array(
        [
            next((i + k) % count for k in range(count) if first[(i + k) % count] != first[i])
            for i in range(count)
        ]
    )


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
    digits = _palindromes(CHECKED_LENGTH, 1)
    arrays = {"checked/digits": digits[0]}
    for state, network in _networks(kept).items():
        seen = trace_batch(network, digits[:, :-1], digits[:, -1])
        arrays[f"checked/norms/{state}"] = seen.gradient_norms["hidden"][0]
    return arrays


def _gates(kept: SavedRun) -> dict[str, np.ndarray]:
    """The gates while the trained gated network reads one palindrome of the length it learned."""
    config = kept.config
    digits = _palindromes(config.length, 1)[0]
    seen = trace(load_network(config, kept.weights), digits[:-1])
    gates = {f"gates/{name}": gate.astype(np.float32) for name, gate in seen.gates.items()}
    return {"gates/digits": digits} | gates


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
