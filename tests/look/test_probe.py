"""The trace of digits through a network: every number against a second way to it."""

import numpy as np
import pytest
import torch
from torch import nn

from digitspan.cells import CELLS
from digitspan.cells.recurrent import HiddenState
from digitspan.errors import UsageError
from digitspan.look.probe import trace, trace_batch, why_not_traced
from digitspan.runs.config import RunConfig
from digitspan.tasks.questions import encode
from digitspan.training.engine import build_network

DIGITS = [6, 8, 2, 8, 4, 6, 7, 4, 7, 6, 4, 8, 2, 8]
NETWORKS = [(cell, encoding) for cell in CELLS for encoding in ("one-hot", "scalar")]


def network_of(cell, encoding="one-hot", hidden_size=7):
    return build_network(
        RunConfig(cell=cell, length=15, encoding=encoding, hidden_size=hidden_size)
    )


@pytest.mark.parametrize(("cell", "encoding"), NETWORKS)
def test_last_logits_are_the_networks_own(cell, encoding):
    network = network_of(cell, encoding)
    seen = trace(network, DIGITS)
    inputs = encode(torch.tensor([DIGITS]), 1 if encoding == "scalar" else 10)
    expected = network(inputs)[0].detach().numpy()
    # The trace is computed in float64, the network in float32.
    np.testing.assert_allclose(seen.logits[-1], expected, atol=1e-6)


@pytest.mark.parametrize(("cell", "encoding"), NETWORKS)
@pytest.mark.parametrize("length", [1, 2, 14])
def test_logits_after_each_step_are_those_of_the_shorter_line(cell, encoding, length):
    network = network_of(cell, encoding)
    np.testing.assert_allclose(
        trace(network, DIGITS).logits[length - 1], trace(network, DIGITS[:length]).logits[-1]
    )


@pytest.mark.parametrize(("cell", "encoding"), NETWORKS)
@pytest.mark.parametrize("step", [0, 5, 13])
def test_gradient_norm_is_the_slope_of_the_loss(cell, encoding, step):
    """||dL/dh(t)|| by nudging each unit of h(t) in turn, 1e-6 either way, in float64."""
    network = network_of(cell, encoding, hidden_size=4).double()
    inputs = encode(torch.tensor([DIGITS]), 1 if encoding == "scalar" else 10, torch.float64)

    def loss_when_nudged(unit, by):
        state = network.initial_state(1)
        for t in range(inputs.shape[1]):
            state = network.step(inputs[:, t], state)
            if t == step:
                hidden = state.hidden.clone()
                hidden[0, unit] += by
                state = state._replace(hidden=hidden)
        return nn.functional.cross_entropy(network.read_out(state), torch.tensor([DIGITS[0]]))

    with torch.no_grad():
        slopes = [
            (loss_when_nudged(unit, 1e-6) - loss_when_nudged(unit, -1e-6)).item() / 2e-6
            for unit in range(4)
        ]
    # Differences of a loss near 2 keep about nine digits.
    norm = trace(network, DIGITS).gradient_norms["hidden"][step]
    assert norm == pytest.approx(np.linalg.norm(slopes), rel=1e-5, abs=1e-9)


def test_gates_make_the_states():
    seen = trace(network_of("lstm"), DIGITS)
    g, i, f, o = (seen.gates[name] for name in "gifo")
    cell_before = np.vstack([np.zeros(7), seen.states["cell"][:-1]])
    np.testing.assert_allclose(seen.states["cell"], g * i + cell_before * f)  # (8)
    np.testing.assert_allclose(seen.states["hidden"], np.tanh(seen.states["cell"]) * o)  # (9)


def test_gates_of_the_further_cells_make_their_states():
    peephole, gru, mingru = (
        trace(network_of(cell), DIGITS) for cell in ("peephole-lstm", "gru", "mingru")
    )
    g, i, f, o = (peephole.gates[name] for name in "gifo")
    cell_before = np.vstack([np.zeros(7), peephole.states["cell"][:-1]])
    np.testing.assert_allclose(peephole.states["cell"], g * i + cell_before * f)
    np.testing.assert_allclose(peephole.states["hidden"], np.tanh(peephole.states["cell"]) * o)
    # h = z h + (1 - z) h~, so h~ follows; the GRU's is a tanh, the minGRU's depends on the digit.
    for seen, kept in ((gru, lambda z: z), (mingru, lambda z: 1 - z)):
        share = kept(seen.gates["z"])
        before = np.vstack([np.zeros(7), seen.states["hidden"][:-1]])
        candidates = (seen.states["hidden"] - share * before) / (1 - share)
        assert np.abs(candidates).max() < 1
    same_digit = [t for t, digit in enumerate(DIGITS) if digit == 8]
    np.testing.assert_allclose(
        candidates[same_digit], candidates[same_digit[0]][None].repeat(4, 0)
    )
    assert list(gru.gates) == ["r", "z"]


class Odd(nn.Module):
    """A cell of one's own with a layer called gates, or a state without names."""

    def __init__(self, state):
        super().__init__()
        self.input_size, self.state = 10, state
        self.gates = nn.Linear(10, 10)

    def initial_state(self, batch_size):
        return self.state(torch.zeros(batch_size, 10, dtype=torch.float64))

    def step(self, x, state):
        return type(state)(self.gates(x)) if isinstance(state, HiddenState) else state

    def read_out(self, state):
        return state.hidden


def test_a_layer_called_gates_is_no_gate():
    assert trace(Odd(HiddenState), DIGITS).gates == {}


def test_state_without_names_is_refused():
    with pytest.raises(UsageError, match="Odd cannot be looked into: its state is a Tensor, expe"):
        trace(Odd(lambda zeros: zeros), DIGITS)


class Plain(nn.Module):
    """A cell as it is mostly written, its first state of single zeros."""

    def __init__(self):
        super().__init__()
        self.W_hx, self.W_hh = nn.Linear(10, 5), nn.Linear(5, 5)
        self.W_ph = nn.Linear(5, 10)

    def initial_state(self, batch_size):
        return HiddenState(torch.zeros(batch_size, 5))

    def step(self, x, state):
        return HiddenState(torch.tanh(self.W_hx(x) + self.W_hh(state.hidden)))

    def read_out(self, state):
        return self.W_ph(state.hidden)


class SingleInside(Plain):
    """Makes single numbers at every step, too."""

    def step(self, x, state):
        return super().step(torch.ones(len(x), 10), state)


def test_a_first_state_of_torch_zeros_is_followed():
    network = Plain()
    assert why_not_traced(network, 10) == ""
    state = network.initial_state(1)
    for x in encode(torch.tensor([DIGITS]), 10).unbind(1):
        state = network.step(x, state)
    seen = trace(network, DIGITS, input_size=10)
    expected = network.read_out(state)[0].detach().numpy()
    np.testing.assert_allclose(seen.logits[-1], expected, atol=1e-6)  # float64 and float32


def test_what_a_cells_own_code_raises_is_a_sentence():
    message = "SingleInside cannot be looked into, in double precision"
    with pytest.raises(UsageError, match=rf"{message} \(RuntimeError: .*dtype.*\)$"):
        trace(SingleInside(), DIGITS, input_size=10)
    assert why_not_traced(SingleInside(), 10).startswith(message)


def test_shapes_and_names():
    seen = trace(network_of("lstm"), DIGITS)
    assert list(seen.states) == list(seen.gradient_norms) == ["hidden", "cell"]
    assert list(seen.gates) == ["g", "i", "f", "o"]
    assert {values.shape for values in [*seen.states.values(), *seen.gates.values()]} == {(14, 7)}
    assert seen.logits.shape == (14, 10)
    assert {norms.shape for norms in seen.gradient_norms.values()} == {(14,)}
    assert trace(network_of("rnn"), DIGITS).gates == {}


def test_probabilities_and_predictions():
    seen = trace(network_of("rnn"), DIGITS)
    np.testing.assert_allclose(seen.probabilities.sum(axis=1), 1)
    expected = torch.softmax(torch.tensor(seen.logits), dim=1).numpy()
    np.testing.assert_allclose(seen.probabilities, expected)
    np.testing.assert_array_equal(seen.predictions, seen.probabilities.argmax(axis=1))


def test_target_is_the_first_digit_unless_another_is_asked_for():
    network = network_of("rnn")
    assert trace(network, DIGITS).target == 6
    other = trace(network, DIGITS, target=3)
    assert other.target == 3
    assert not np.allclose(
        other.gradient_norms["hidden"], trace(network, DIGITS).gradient_norms["hidden"]
    )


def test_rows_do_not_mix():
    network = network_of("lstm")
    rows = np.array([DIGITS, DIGITS[::-1]])
    together = trace_batch(network, rows, rows[:, 0])
    for b, row in enumerate(rows):
        alone = trace(network, row)
        np.testing.assert_allclose(
            together.gradient_norms["cell"][b], alone.gradient_norms["cell"]
        )
        np.testing.assert_allclose(together.gates["f"][b], alone.gates["f"])


def test_network_is_not_changed():
    network = network_of("lstm").requires_grad_(False)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    trace(network, DIGITS)
    for name, value in network.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, before[name]), name
    assert not any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("digits", [[], [1, 10], [-1], [1.5], [[1, 2]], "123", [True, False]])
def test_what_is_no_digits_is_refused(digits):
    with pytest.raises(UsageError, match="digits must be one or more whole numbers from 0 to 9"):
        trace(network_of("rnn"), digits)


def test_network_that_cannot_be_stepped_is_refused():
    with pytest.raises(UsageError, match="Linear cannot be looked into: it has no initial_state"):
        trace(nn.Linear(2, 2), [1])
