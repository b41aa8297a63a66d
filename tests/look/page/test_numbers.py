"""The page's numbers are PyTorch's, computed in the browser."""

import numpy as np
import pytest
import torch
from pages import kept_run, page_of

from digitspan.cells import CELLS
from digitspan.look.page import known_cells
from digitspan.look.probe import trace
from digitspan.tasks.questions import encode
from digitspan.training.engine import load_network

NETWORKS = [(cell, encoding) for cell in CELLS for encoding in ("one-hot", "scalar")]
LENGTHS = [1, 2, 3, 10, 25, 50]

NUMBERS = """([network, digits]) => {
  const trace = digitspan.trace(network, digits);
  const lists = (named) => Object.fromEntries(
    Object.entries(named).map(([name, steps]) =>
      [name, [...steps].map((x) => x.length ? [...x] : x)]));
  return { probabilities: trace.probabilities.map((row) => [...row]), states: lists(trace.states),
           gates: lists(trace.gates), norms: lists(trace.gradientNorms) };
}"""


def digits_of(length):
    return np.random.default_rng(length).integers(0, 10, length)


@pytest.fixture(scope="module")
def runs():
    # The page's gates and states must not be near zero for a difference to show: gain 2.
    return [kept_run(cell, encoding, hidden_size=24) for cell, encoding in NETWORKS]


def test_every_registered_cell_is_known():
    assert known_cells() == tuple(sorted(CELLS))


@pytest.mark.parametrize("length", LENGTHS)
def test_numbers_are_those_of_the_trace(open_page, runs, length):
    page = open_page(page_of(*runs)[0])
    digits = digits_of(length)
    for index, run in enumerate(runs):
        found = page.evaluate(NUMBERS, [index, "".join(map(str, digits))])
        expected = trace(load_network(run.config, run.weights), digits)
        np.testing.assert_allclose(found["probabilities"], expected.probabilities, atol=1e-9)
        for kind, arrays in (
            ("norms", expected.gradient_norms),
            ("states", expected.states),
            ("gates", expected.gates),
        ):
            assert list(found[kind]) == list(arrays)
            for name, values in arrays.items():
                np.testing.assert_allclose(
                    found[kind][name], values, rtol=1e-9, atol=1e-12, err_msg=f"{kind} {name}"
                )


def test_numbers_are_those_of_the_network_in_pytorch(open_page, runs):
    """Not through the Trace: torch's own forward pass in float32, and its autograd."""
    page = open_page(page_of(*runs)[0])
    for length in LENGTHS:
        digits = digits_of(length)
        for index, run in enumerate(runs):
            found = page.evaluate(NUMBERS, [index, "".join(map(str, digits))])
            network = load_network(run.config, run.weights)
            logits = network(encode(torch.tensor(digits)[None], run.config.input_size))
            probabilities = torch.softmax(logits, dim=1)[0].detach().numpy()
            np.testing.assert_allclose(found["probabilities"][-1], probabilities, atol=1e-5)
            norms = first_state_gradient(network.double(), digits, run.config.input_size)
            assert found["norms"]["hidden"][0] == pytest.approx(norms, rel=1e-4)


def first_state_gradient(network, digits, input_size):
    """||dL/dh(1)||, the gradient that has come furthest."""
    inputs = encode(torch.tensor(digits)[None], input_size, torch.float64)
    first = state = network.step(inputs[:, 0], network.initial_state(1))
    for t in range(1, len(digits)):
        state = network.step(inputs[:, t], state)
    loss = torch.nn.functional.cross_entropy(
        network.read_out(state), torch.tensor([int(digits[0])])
    )
    return torch.autograd.grad(loss, first.hidden)[0].norm().item()


def what_if(network, digits, input_size, *, clamp, cut):
    """The LSTM's way with some gates held and nothing of some units' state going on, by hand."""
    inputs = encode(torch.tensor(digits)[None], input_size, torch.float64)
    h, c = network.initial_state(1)
    for x in inputs.unbind(dim=1):
        h[:, cut] = c[:, cut] = 0
        pre = {
            k: x @ getattr(network, f"W_{k}x").T
            + h @ getattr(network, f"W_{k}h").T
            + getattr(network, f"b_{k}")
            for k in "gifo"
        }
        g, i, f, o = (
            torch.full_like(value, clamp[k])
            if k in clamp
            else (torch.tanh if k == "g" else torch.sigmoid)(value)
            for k, value in pre.items()
        )
        c = g * i + c * f
        h = torch.tanh(c) * o
    logits = h @ network.W_ph.T + network.b_p
    return torch.softmax(logits, dim=1)[0].numpy()


@pytest.mark.parametrize(
    ("clamp", "cut"),
    [
        ({"f": 1}, []),
        ({"f": 0, "o": 1}, []),
        ({"g": 1, "i": 0}, []),
        ({}, [3, 5]),
        ({"i": 1}, [0]),
    ],
)
def test_what_ifs_are_what_they_say(open_page, runs, clamp, cut):
    page = open_page(page_of(*runs)[0])
    digits = digits_of(12)
    line = "".join(map(str, digits))
    for index in (2, 3):
        config, weights = runs[index].config, runs[index].weights
        with torch.no_grad():
            network = load_network(config, weights).double()
            expected = what_if(network, digits, config.input_size, clamp=clamp, cut=cut)
        found = page.evaluate(
            "([k, line, change]) => [...digitspan.trace(k, line, change).probabilities.at(-1)]",
            [index, line, {"clamp": clamp, "cut": cut}],
        )
        np.testing.assert_allclose(found, expected, atol=1e-12)
        free = page.evaluate(NUMBERS, [index, line])["probabilities"][-1]
        assert np.abs(np.subtract(found, free)).max() > 1e-6  # it changes something


def test_distances_are_those_of_the_whole_states(open_page, runs):
    page = open_page(page_of(*runs)[0])
    digits = digits_of(12)
    other = np.concatenate([[(digits[0] + 5) % 10], digits[1:]])
    lines = ["".join(map(str, row)) for row in (digits, other)]
    for index, run in enumerate(runs):
        found = page.evaluate("([k, a, b]) => digitspan.distances(k, a, b)", [index, *lines])
        network = load_network(run.config, run.weights)
        one, two = trace(network, digits), trace(network, other)
        apart = [one.states[name] - two.states[name] for name in one.states]
        expected = np.sqrt((np.concatenate(apart, axis=1) ** 2).sum(axis=1))
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_page_of_two_large_networks_is_small():
    rnn_and_lstm, _ = page_of(kept_run("rnn", hidden_size=128), kept_run("lstm", hidden_size=128))
    assert len(rnn_and_lstm.encode()) < 2e6
    two_lstms, _ = page_of(kept_run(hidden_size=128), kept_run(hidden_size=128, seed=1))
    assert len(two_lstms.encode()) < 2e6
