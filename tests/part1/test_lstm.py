"""Equations (4) to (10), by hand where a person can follow them."""

import math

import pytest
import torch

from digitspan.part1.lstm import LSTM, LSTMState

pytestmark = pytest.mark.usefixtures("float64")

W_X = {"g": 0.5, "i": -0.25, "f": 0.125, "o": 0.75}
W_H = {"g": -1.5, "i": 2.0, "f": 0.5, "o": -0.5}
B = {"g": 0.1, "i": 0.2, "f": 0.3, "o": -0.4}


def numbered(network, generator):
    """One unit whose twelve weights are all different; W_ph = (3, 1), b_p = (0, -1)."""
    with torch.no_grad():
        for gate in "gifo":
            getattr(network, f"W_{gate}x").fill_(W_X[gate])
            getattr(network, f"W_{gate}h").fill_(W_H[gate])
            getattr(network, f"b_{gate}").fill_(B[gate])
        network.W_ph.copy_(torch.tensor([[3.0], [1.0]]))
        network.b_p.copy_(torch.tensor([0.0, -1.0]))


def by_hand(x, h, c):
    """Equations (4) to (9) for single numbers, with nothing of torch."""
    before = {gate: W_X[gate] * x + W_H[gate] * h + B[gate] for gate in "gifo"}
    g = math.tanh(before["g"])  # (4)
    i, f, o = (1 / (1 + math.exp(-before[gate])) for gate in "ifo")  # (5), (6), (7)
    c = g * i + c * f  # (8)
    return math.tanh(c) * o, c  # (9)


def test_three_steps_by_hand():
    network = LSTM(4, 1, 1, 2, initialisation=numbered)
    h = c = 0.0
    for digit in (3, 7, 1):
        h, c = by_hand(digit, h, c)
    expected = [3 * h, h - 1]  # (10)
    assert network(torch.tensor([[3, 7, 1]]))[0].tolist() == pytest.approx(expected, rel=1e-13)


def test_one_step_goes_from_state_to_state():
    network = LSTM(4, 1, 1, 2, initialisation=numbered)
    state = LSTMState(hidden=torch.tensor([[0.5]]), cell=torch.tensor([[-0.75]]))
    state = network.step(torch.tensor([[3.0]]), state)
    assert isinstance(state, LSTMState)
    expected = by_hand(3, 0.5, -0.75)
    assert (state.hidden.item(), state.cell.item()) == pytest.approx(expected, rel=1e-14)


def test_gates_are_those_of_the_step():
    network = LSTM(4, 1, 1, 2, initialisation=numbered)
    state = LSTMState(hidden=torch.tensor([[0.5]]), cell=torch.tensor([[-0.75]]))
    gates = network.gates(torch.tensor([[3.0]]), state)
    before = {gate: W_X[gate] * 3 + W_H[gate] * 0.5 + B[gate] for gate in "gifo"}
    assert list(gates) == ["g", "i", "f", "o"]
    assert gates["g"].item() == pytest.approx(math.tanh(before["g"]), rel=1e-14)  # (4)
    for gate in "ifo":  # (5), (6), (7)
        assert gates[gate].item() == pytest.approx(1 / (1 + math.exp(-before[gate])), rel=1e-14)


def test_first_state_is_zero():
    state = LSTM(3, 2, 5, 4).initial_state(3)
    assert state.hidden.shape == state.cell.shape == (3, 5)
    assert not state.hidden.any()
    assert not state.cell.any()


def test_weights_are_named_and_shaped_as_on_the_sheet():
    shapes = {name: tuple(p.shape) for name, p in LSTM(4, 3, 5, 7).named_parameters()}
    expected = {"W_ph": (7, 5), "b_p": (7,)}
    for gate in "gifo":
        expected |= {f"W_{gate}x": (5, 3), f"W_{gate}h": (5, 5), f"b_{gate}": (5,)}
    assert shapes == expected


def test_large_inputs_saturate_and_stay_finite():
    network = LSTM(3, 1, 1, 2, initialisation=numbered)
    logits = network(torch.tensor([[1e300, 1e300]]))
    assert torch.isfinite(logits).all()
