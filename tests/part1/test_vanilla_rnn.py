"""Equations (1) and (2), by hand where a person can follow them."""

import math

import pytest
import torch

from digitspan.part1.vanilla_rnn import RNNState, VanillaRNN

pytestmark = pytest.mark.usefixtures("float64")


def numbered(network, generator):
    """One unit: W_hx = 0.5, W_hh = -2, b_h = 0.25, W_ph = (3, 1), b_p = (0, -1)."""
    with torch.no_grad():
        network.W_hx.copy_(torch.tensor([[0.5]]))
        network.W_hh.copy_(torch.tensor([[-2.0]]))
        network.b_h.copy_(torch.tensor([0.25]))
        network.W_ph.copy_(torch.tensor([[3.0], [1.0]]))
        network.b_p.copy_(torch.tensor([0.0, -1.0]))


def test_two_steps_by_hand():
    network = VanillaRNN(3, 1, 1, 2, initialisation=numbered)
    h_1 = math.tanh(0.5 * 3 + 0.25)  # (1), h(0) = 0
    h_2 = math.tanh(0.5 * 7 - 2 * h_1 + 0.25)  # (1)
    expected = [3 * h_2, h_2 - 1]  # (2)
    assert network(torch.tensor([[3, 7]]))[0].tolist() == pytest.approx(expected, rel=1e-14)


def test_one_step_goes_from_state_to_state():
    network = VanillaRNN(3, 1, 1, 2, initialisation=numbered)
    state = network.step(torch.tensor([[3.0]]), RNNState(torch.tensor([[0.5]])))
    assert isinstance(state, RNNState)
    assert state.hidden.item() == pytest.approx(math.tanh(0.5 * 3 - 2 * 0.5 + 0.25), rel=1e-14)


def test_first_state_is_zero():
    state = VanillaRNN(3, 2, 5, 4).initial_state(3)
    assert state.hidden.shape == (3, 5)
    assert not state.hidden.any()


def test_weights_are_named_and_shaped_as_on_the_sheet():
    shapes = {name: tuple(p.shape) for name, p in VanillaRNN(4, 3, 5, 7).named_parameters()}
    assert shapes == {"W_hx": (5, 3), "W_hh": (5, 5), "b_h": (5,), "W_ph": (7, 5), "b_p": (7,)}


def test_large_inputs_saturate_and_stay_finite():
    network = VanillaRNN(3, 1, 1, 2, initialisation=numbered)
    logits = network(torch.tensor([[1e300, 1e300]]))
    assert torch.isfinite(logits).all()
