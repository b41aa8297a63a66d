"""The bank of planted faults: networks that are wrong on purpose, each in one way.

A fault is a subclass of an honest network with one thing changed. Most of them train well: the
sheet's own sanity check, near-perfect accuracy at T = 5, does not see them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from cases import CASES, CellCase
from torch import Tensor, nn

from digitspan.cells.gru import GRU
from digitspan.cells.mingru import MinGRU
from digitspan.cells.peephole_lstm import PeepholeLSTM
from digitspan.cells.relu_rnn import ReLURNN
from digitspan.part1.lstm import LSTM, LSTMState
from digitspan.part1.vanilla_rnn import RNNState, VanillaRNN

__all__ = ["FAULTS", "Fault"]

BOTH = ("rnn", "lstm")

HONEST = {
    "rnn": VanillaRNN,
    "lstm": LSTM,
    "relu-rnn": ReLURNN,
    "gru": GRU,
    "peephole-lstm": PeepholeLSTM,
    "mingru": MinGRU,
}


class Fault(NamedTuple):
    """One planted fault in one network."""

    name: str
    """The network's name and the fault's."""
    case: CellCase
    """The wrong cell, with the honest one's oracle and closed form."""
    caught_by: str
    """The duty that must catch it, whichever others do."""


FAULTS: list[Fault] = []


def planted(*cells: str, caught_by: str = "equals_its_oracle") -> Callable[[Any], Any]:
    """Put a fault into the bank, for one network or for several.

    What is decorated makes the wrong class out of the honest one.
    """

    def register(make_class: Callable[[type], type]) -> Callable[[type], type]:
        for cell in cells:
            wrong = make_class(HONEST[cell])
            name = f"{cell}-{make_class.__name__}"
            length = (0,) if cell in BOTH else ()  # the sheet's take the sequence's length first

            def make(
                wrong=wrong, length=length, *, input_size: int, hidden_size: int, num_classes: int
            ):
                return wrong(*length, input_size, hidden_size, num_classes)

            case = CASES[cell]._replace(name=name, make=make)
            FAULTS.append(Fault(name, case, caught_by))
        return make_class

    return register


def recurrent_names(network: nn.Module) -> list[str]:
    """The names of the n x n matrices."""
    return [name for name in ("W_hh", "W_gh", "W_ih", "W_fh", "W_oh") if hasattr(network, name)]


@contextlib.contextmanager
def instead(network: nn.Module, **tensors: Tensor) -> Iterator[None]:
    """Let a network compute with other tensors for a while; its parameters stay registered."""
    kept = dict(network._parameters)
    network._parameters.update(tensors)
    try:
        yield
    finally:
        network._parameters.update(kept)


def lstm_step(
    network: LSTM, x: Tensor, state: LSTMState, equations: Callable[..., tuple[Tensor, Tensor]]
) -> LSTMState:
    """A step with other equations: (c, h) as a function of what stands inside tanh and sigma
    in (4) to (7), for g, i, f and o, and of the cell state before."""
    h, c = state
    before = {
        gate: x @ getattr(network, f"W_{gate}x").T
        + h @ getattr(network, f"W_{gate}h").T
        + getattr(network, f"b_{gate}")
        for gate in "gifo"
    }
    c, h = equations(*before.values(), c)
    return LSTMState(h, c)


def lstm_fault(
    equations: Callable[..., tuple[Tensor, Tensor]],
    name: str,
    caught_by: str = "equals_its_oracle",
) -> None:
    """Put an LSTM with other equations (4) to (9) into the bank."""

    def make_class(base):
        class Wrong(base):
            def step(self, x, state):
                return lstm_step(self, x, state, equations)

        return Wrong

    make_class.__name__ = name
    planted("lstm", caught_by=caught_by)(make_class)


# What is read ---------------------------------------------------------------------------------


@planted(*BOTH, caught_by="every_digit_is_read")
def last_digit_never_read(base):
    class Wrong(base):
        def forward(self, x):
            return super().forward(x[:, :-1])

    return Wrong


@planted(*BOTH, caught_by="every_digit_is_read")
def first_digit_never_read(base):
    class Wrong(base):
        def forward(self, x):
            return super().forward(x[:, 1:])

    return Wrong


@planted(*BOTH, caught_by="the_future_does_not_change_the_past")
def read_backwards(base):
    class Wrong(base):
        def forward(self, x):
            return super().forward(x.flip(1))

    return Wrong


@planted(*BOTH, caught_by="step_equals_unroll")
def last_digit_read_twice(base):
    class Wrong(base):
        def forward(self, x):
            return super().forward(torch.cat([x, x[:, -1:]], dim=1))

    return Wrong


@planted(*BOTH)
def time_taken_for_the_batch(base):
    class Wrong(base):
        def forward(self, x):
            return super().forward(x.transpose(0, 1))

    return Wrong


@planted(*BOTH, caught_by="digits_equal_encoded_inputs")
def digits_counted_from_one(base):
    class Wrong(base):
        def forward(self, x):
            if x.dim() == 2 and self.input_dim > 1:
                x = (x + 9) % 10
            return super().forward(x)

    return Wrong


@planted(*BOTH, caught_by="digits_equal_encoded_inputs")
def numbers_scaled_unseen(base):
    class Wrong(base):
        def forward(self, x):
            if x.dim() == 2 and self.input_dim == 1:
                x = x / 10
            return super().forward(x)

    return Wrong


# What comes out -------------------------------------------------------------------------------


@planted(*BOTH, caught_by="logits_come_out")
def softmax_inside_forward(base):
    class Wrong(base):
        def forward(self, x):
            return super().forward(x).softmax(dim=1)

    return Wrong


@planted(*BOTH, caught_by="logits_come_out")
def log_softmax_inside_forward(base):
    # The loss and all gradients are those of the honest network.
    class Wrong(base):
        def forward(self, x):
            return super().forward(x).log_softmax(dim=1)

    return Wrong


@planted(*BOTH, caught_by="logits_come_out")
def softmax_over_the_batch(base):
    class Wrong(base):
        def forward(self, x):
            return super().forward(x).softmax(dim=0)

    return Wrong


@planted(*BOTH, caught_by="logits_come_out")
def logits_the_wrong_way_round(base):
    class Wrong(base):
        def forward(self, x):
            return super().forward(x).T

    return Wrong


@planted(*BOTH)
def tanh_on_the_logits(base):
    class Wrong(base):
        def read_out(self, state):
            return torch.tanh(super().read_out(state))

    return Wrong


@planted(*BOTH, caught_by="step_equals_unroll")
def logits_averaged_over_time(base):
    class Wrong(base):
        def forward(self, x):
            state, logits = self.initial_state(len(x)), []
            for t in range(x.shape[1]):
                state = self.step(x[:, t], state)
                logits.append(self.read_out(state))
            return torch.stack(logits).mean(dim=0)

    return Wrong


@planted("lstm")
def cell_state_read_out(base):
    class Wrong(base):
        def read_out(self, state):
            return state.cell @ self.W_ph.T + self.b_p

    return Wrong


# Biases ---------------------------------------------------------------------------------------


@planted(*BOTH, caught_by="gradients_reach_every_parameter")
def bias_missing(base):
    class Wrong(base):
        def step(self, x, state):
            name = "b_h" if base is VanillaRNN else "b_f"
            with instead(self, **{name: torch.zeros_like(getattr(self, name))}):
                return super().step(x, state)

    return Wrong


@planted(*BOTH, caught_by="gradients_reach_every_parameter")
def read_out_bias_missing(base):
    class Wrong(base):
        def read_out(self, state):
            return state.hidden @ self.W_ph.T

    return Wrong


@planted(*BOTH, caught_by="number_of_parameters_is_the_closed_form")
def bias_on_the_batch_axis(base):
    # The template passes a batch size to the constructor; this is what it tempts to.
    class Wrong(base):
        def __init__(self, *args):
            super().__init__(*args)
            name = "b_h" if base is VanillaRNN else "b_i"
            setattr(self, name, nn.Parameter(torch.rand(3, 1)))  # a bias a row of the batch

    return Wrong


@planted(*BOTH, caught_by="batch_rows_do_not_mix")
def read_out_bias_by_row(base):
    # The right shape, along the wrong axis.
    class Wrong(base):
        def read_out(self, state):
            return state.hidden @ self.W_ph.T + self.b_p[: len(state.hidden), None]

    return Wrong


@planted(*BOTH, caught_by="number_of_parameters_is_the_closed_form")
def two_biases_for_one(base):
    class Wrong(base):
        def __init__(self, *args):
            super().__init__(*args)
            self.b_p_too = nn.Parameter(torch.zeros_like(self.b_p))

        def read_out(self, state):
            return super().read_out(state) + self.b_p_too

    return Wrong


# What is carried ------------------------------------------------------------------------------


@planted(*BOTH, caught_by="no_state_between_calls")
def state_kept_between_batches(base):
    class Wrong(base):
        kept = None

        def initial_state(self, batch_size):
            if self.kept is None or len(self.kept.hidden) != batch_size:
                return super().initial_state(batch_size)
            return self.kept

        def forward(self, x):
            def keep_all(x, state):
                self.kept = base.step(self, x, state)
                self.kept = type(self.kept)(*(part.detach() for part in self.kept))
                return base.step(self, x, state)

            self.step = keep_all
            try:
                return super().forward(x)
            finally:
                del self.step

    return Wrong


@planted(*BOTH)
def first_state_of_ones(base):
    class Wrong(base):
        def initial_state(self, batch_size):
            return type(super().initial_state(1))(
                *(torch.ones_like(part) for part in super().initial_state(batch_size))
            )

    return Wrong


@planted(*BOTH, caught_by="no_state_between_calls")
def first_state_drawn_at_random(base):
    class Wrong(base):
        def initial_state(self, batch_size):
            zeros = super().initial_state(batch_size)
            return type(zeros)(*(torch.randn_like(part) for part in zeros))

    return Wrong


@planted(*BOTH, caught_by="number_of_parameters_is_the_closed_form")
def first_state_trained(base):
    class Wrong(base):
        def __init__(self, *args):
            super().__init__(*args)
            self.h_init = nn.Parameter(torch.rand(self.num_hidden))

        def initial_state(self, batch_size):
            zeros = super().initial_state(batch_size)
            return zeros._replace(hidden=self.h_init.expand(batch_size, -1))

    return Wrong


@planted(*BOTH, caught_by="every_digit_is_read")
def previous_hidden_state_lost(base):
    class Wrong(base):
        def step(self, x, state):
            zeros = self.initial_state(len(x))
            if base is LSTM:
                zeros = zeros._replace(cell=state.cell * 0)
            return super().step(x, zeros)

    return Wrong


@planted("lstm")
def hidden_state_not_fed_back(base):
    # The cell state still carries on: every digit is read.
    class Wrong(base):
        def step(self, x, state):
            return super().step(x, state._replace(hidden=torch.zeros_like(state.hidden)))

    return Wrong


@planted(*BOTH)
def hidden_state_of_two_steps_ago(base):
    class Wrong(base):
        def forward(self, x):
            older, state = self.initial_state(len(x)), self.initial_state(len(x))
            for t in range(x.shape[1]):
                older, state = state, self.step(x[:, t], older)
            return self.read_out(state)

    return Wrong


@planted(*BOTH, caught_by="batch_rows_do_not_mix")
def batch_mean_taken_off(base):
    class Wrong(base):
        def step(self, x, state):
            state = super().step(x, state)
            h = state.hidden
            return state._replace(hidden=h - 0.1 * h.mean(dim=0))

    return Wrong


@planted(*BOTH, caught_by="no_state_between_calls")
def dropout_inside(base):
    class Wrong(base):
        def read_out(self, state):
            h = torch.nn.functional.dropout(state.hidden, 0.5, self.training)
            return super().read_out(state._replace(hidden=h))

    return Wrong


# Gradients and parameters ---------------------------------------------------------------------


@planted(*BOTH, caught_by="gradients_reach_every_parameter")
def gradient_cut(base):
    # As if the hidden state were taken over as numbers: outputs are right, training is not.
    class Wrong(base):
        def step(self, x, state):
            return super().step(x, type(state)(*(part.detach() for part in state)))

    return Wrong


@planted(*BOTH)
def gradient_cut_every_second_step(base):
    # Truncated backpropagation: every weight still gets a gradient, a wrong one.
    class Wrong(base):
        def forward(self, x):
            x, state = x.to(self.W_ph), self.initial_state(len(x))
            for t in range(x.shape[1]):
                if t % 2:
                    state = state._replace(hidden=state.hidden.detach())
                state = self.step(x[:, t], state)
            return self.read_out(state)

    return Wrong


@planted("lstm")
def hidden_state_detached(base):
    class Wrong(base):
        def step(self, x, state):
            return super().step(x, state._replace(hidden=state.hidden.detach()))

    return Wrong


@planted("lstm")
def cell_state_detached(base):
    class Wrong(base):
        def step(self, x, state):
            return super().step(x, state._replace(cell=state.cell.detach()))

    return Wrong


@planted(*BOTH, caught_by="gradients_reach_every_parameter")
def recurrent_weights_get_no_gradient(base):
    class Wrong(base):
        def step(self, x, state):
            cut = {name: getattr(self, name).detach() for name in recurrent_names(self)}
            with instead(self, **cut):
                return super().step(x, state)

    return Wrong


@planted(*BOTH, caught_by="number_of_parameters_is_the_closed_form")
def recurrent_weights_frozen(base):
    class Wrong(base):
        def __init__(self, *args):
            super().__init__(*args)
            for name in recurrent_names(self):
                getattr(self, name).requires_grad_(False)

    return Wrong


@planted(*BOTH, caught_by="saved_and_loaded_equals_itself")
def weights_not_registered(base):
    class Wrong(base):
        def __init__(self, *args):
            super().__init__(*args)
            for name in recurrent_names(self):
                values = getattr(self, name).detach().double()
                delattr(self, name)
                setattr(self, name, values.requires_grad_())  # a tensor, but no nn.Parameter

    return Wrong


@planted(*BOTH, caught_by="saved_and_loaded_equals_itself")
def scale_not_saved(base):
    class Wrong(base):
        def __init__(self, *args):
            super().__init__(*args)
            self.register_buffer("scale", torch.rand(()), persistent=False)

        def read_out(self, state):
            return super().read_out(state) * self.scale

    return Wrong


@planted(*BOTH, caught_by="gradients_reach_every_parameter")
def parameter_never_used(base):
    class Wrong(base):
        def __init__(self, *args):
            super().__init__(*args)
            self.W_unused = nn.Parameter(torch.rand(self.num_hidden, self.num_hidden))

    return Wrong


@planted(*BOTH)
def recurrent_matrix_not_transposed(base):
    # One of four in the LSTM: W_oh.
    class Wrong(base):
        def step(self, x, state):
            name = recurrent_names(self)[-1]
            with instead(self, **{name: getattr(self, name).T}):
                return super().step(x, state)

    return Wrong


@planted(*BOTH)
def recurrent_matrix_by_its_diagonal(base):
    class Wrong(base):
        def step(self, x, state):
            name = recurrent_names(self)[-1]
            with instead(self, **{name: torch.diag(getattr(self, name).diagonal())}):
                return super().step(x, state)

    return Wrong


# Type and device ------------------------------------------------------------------------------


@planted(*BOTH)
def single_precision_inside(base):
    class Wrong(base):
        def step(self, x, state):
            state = super().step(x, state)
            return state._replace(hidden=state.hidden.float().to(x))

    return Wrong


@planted(*BOTH, caught_by="device_and_type_are_the_parameters")
def first_state_of_the_default_type(base):
    class Wrong(base):
        def initial_state(self, batch_size):
            zeros = torch.zeros(batch_size, self.num_hidden, dtype=torch.float64)
            return RNNState(zeros) if base is VanillaRNN else LSTMState(zeros, zeros)

    return Wrong


@planted(*BOTH, caught_by="device_and_type_are_the_parameters")
def first_state_always_on_the_cpu(base):
    class Wrong(base):
        def initial_state(self, batch_size):
            zeros = torch.zeros(batch_size, self.num_hidden, dtype=self.W_ph.dtype, device="cpu")
            return RNNState(zeros) if base is VanillaRNN else LSTMState(zeros, zeros)

    return Wrong


@planted(*BOTH, caught_by="device_and_type_are_the_parameters")
def digits_made_one_hot_on_the_cpu(base):
    # On a CUDA device, an identity on the CPU cannot be indexed.
    class Wrong(base):
        def forward(self, x):
            if x.dim() == 2 and self.input_dim > 1:
                x = torch.eye(self.input_dim)[x.long()]
            return super().forward(x)

    return Wrong


# The vanilla network's equation (1) -----------------------------------------------------------


def rnn_fault(equation: Callable[..., Tensor], name: str) -> None:
    """Put a vanilla RNN with another equation (1) into the bank."""

    def make_class(base):
        class Wrong(base):
            def step(self, x, state):
                return RNNState(equation(self, x, state.hidden))

        return Wrong

    make_class.__name__ = name
    planted("rnn")(make_class)


rnn_fault(
    lambda net, x, h: torch.sigmoid(x @ net.W_hx.T + h @ net.W_hh.T + net.b_h), "sigmoid_for_tanh"
)
rnn_fault(lambda net, x, h: torch.relu(x @ net.W_hx.T + h @ net.W_hh.T + net.b_h), "relu_for_tanh")
rnn_fault(lambda net, x, h: x @ net.W_hx.T + h @ net.W_hh.T + net.b_h, "tanh_missing")
rnn_fault(
    lambda net, x, h: torch.tanh(x @ net.W_hx.T + net.b_h) + h @ net.W_hh.T,
    "recurrent_term_outside_tanh",
)
rnn_fault(
    lambda net, x, h: h + torch.tanh(x @ net.W_hx.T + h @ net.W_hh.T + net.b_h),
    "previous_state_added",
)
rnn_fault(
    lambda net, x, h: torch.tanh(x @ net.W_hx.T + h @ net.W_hh.T + 2 * net.b_h), "bias_taken_twice"
)

# The LSTM's equations (4) to (9), in terms of what stands inside tanh and sigma: g, i, f, o ---

tanh, sigmoid = torch.tanh, torch.sigmoid


def out(c: Tensor, o: Tensor) -> tuple[Tensor, Tensor]:
    """Equation (9) as it should be."""
    return c, tanh(c) * sigmoid(o)


lstm_fault(
    lambda g, i, f, o, c: out(tanh(g) * sigmoid(i), o),
    "cell_never_carried_over",
    caught_by="gradients_reach_every_parameter",
)
lstm_fault(
    lambda g, i, f, o, c: out(tanh(g) * sigmoid(f) + c * sigmoid(i), o), "gates_i_and_f_exchanged"
)
lstm_fault(
    lambda g, i, f, o, c: out(tanh(g) * sigmoid(o) + c * sigmoid(f), i), "gates_i_and_o_exchanged"
)
lstm_fault(
    lambda g, i, f, o, c: out(tanh(g) * sigmoid(i) + c * sigmoid(o), f), "gates_f_and_o_exchanged"
)
lstm_fault(
    lambda g, i, f, o, c: out(tanh(i) * sigmoid(g) + c * sigmoid(f), o), "g_and_i_exchanged"
)
lstm_fault(lambda g, i, f, o, c: out(sigmoid(g) * sigmoid(i) + c * sigmoid(f), o), "sigmoid_on_g")
lstm_fault(lambda g, i, f, o, c: out(tanh(g) * tanh(i) + c * sigmoid(f), o), "tanh_on_i")
lstm_fault(lambda g, i, f, o, c: out(g * i + c * f, o), "three_linear_gates")


def _four_linear_gates(g, i, f, o, c):
    c = g * i + c * f
    return c, tanh(c) * o


lstm_fault(_four_linear_gates, "four_linear_gates")


def _no_tanh_on_c(g, i, f, o, c):
    c = tanh(g) * sigmoid(i) + c * sigmoid(f)
    return c, c * sigmoid(o)


lstm_fault(_no_tanh_on_c, "no_tanh_on_c")


def _tanh_over_the_output_gate(g, i, f, o, c):
    c = tanh(g) * sigmoid(i) + c * sigmoid(f)
    return c, tanh(c * sigmoid(o))


lstm_fault(_tanh_over_the_output_gate, "tanh_over_the_output_gate")


def _output_gate_unused(g, i, f, o, c):
    c = tanh(g) * sigmoid(i) + c * sigmoid(f)
    return c, tanh(c)


lstm_fault(_output_gate_unused, "output_gate_unused", caught_by="gradients_reach_every_parameter")


def _output_gate_of_the_old_cell(g, i, f, o, c):
    return tanh(g) * sigmoid(i) + c * sigmoid(f), tanh(c) * sigmoid(o)


lstm_fault(_output_gate_of_the_old_cell, "old_cell_shown")
lstm_fault(
    lambda g, i, f, o, c: out(tanh(g) * sigmoid(i) + c * sigmoid(f + 1), o),
    "one_added_to_the_forget_gate",
)
lstm_fault(
    lambda g, i, f, o, c: out(tanh(g) * (1 - sigmoid(f)) + c * sigmoid(f), o),
    "input_gate_is_one_less_forget_gate",
    caught_by="gradients_reach_every_parameter",
)
lstm_fault(
    lambda g, i, f, o, c: out(tanh(tanh(g) * sigmoid(i) + c * sigmoid(f)), o),
    "tanh_on_what_is_kept",
)
lstm_fault(
    lambda g, i, f, o, c: out(tanh(g) * sigmoid(i) + c, o),
    "forget_gate_unused",
    caught_by="gradients_reach_every_parameter",
)


@planted("lstm", caught_by="gradients_reach_every_parameter")
def W_fh_used_for_i(base):
    class Wrong(base):
        def step(self, x, state):
            with instead(self, W_ih=self.W_fh):
                return super().step(x, state)

    return Wrong


@planted("lstm", caught_by="step_equals_unroll")
def cell_state_started_anew_in_the_loop(base):
    # The step is right; the loop loses what it returned.
    class Wrong(base):
        def forward(self, x):
            state = self.initial_state(len(x))
            for t in range(x.shape[1]):
                state = self.step(x[:, t], state._replace(cell=torch.zeros_like(state.cell)))
            return self.read_out(state)

    return Wrong


# Further cells: what people confuse in each ----------------------------------------------------


def step_fault(cell: str, step: Callable[..., Any], caught_by: str = "equals_its_oracle") -> None:
    """Put a network with another `step` into the bank, under the function's name."""

    def make_class(base):
        return type("Wrong", (base,), {"step": step})

    make_class.__name__ = step.__name__.lstrip("_")
    planted(cell, caught_by=caught_by)(make_class)


def _before(net: nn.Module, gate: str, x: Tensor, h: Tensor) -> Tensor:
    """What stands inside the squashing function of a gate, without a peephole."""
    W_x, W_h, b = (getattr(net, name) for name in (f"W_{gate}x", f"W_{gate}h", f"b_{gate}"))
    return x @ W_x.T + h @ W_h.T + b


def _tanh_for_relu(net, x, state):
    return state._replace(hidden=tanh(_before(net, "h", x, state.hidden)))


def _negative_kept_a_little(net, x, state):
    before = _before(net, "h", x, state.hidden)
    return state._replace(hidden=torch.nn.functional.leaky_relu(before))


for _step in (_tanh_for_relu, _negative_kept_a_little):
    step_fault("relu-rnn", _step)


def _gru(net, x, h, *, swapped=False, inside=False):
    r, z = sigmoid(_before(net, "r", x, h)), sigmoid(_before(net, "z", x, h))
    recurrent = (r * h) @ net.W_hh.T if inside else r * (h @ net.W_hh.T)
    candidate = tanh(x @ net.W_hx.T + recurrent + net.b_h)
    return (1 - z) * h + z * candidate if swapped else z * h + (1 - z) * candidate


def _reset_before_the_product(net, x, state):
    return state._replace(hidden=_gru(net, x, state.hidden, inside=True))


def _update_gate_the_other_way_round(net, x, state):
    return state._replace(hidden=_gru(net, x, state.hidden, swapped=True))


def _reset_gate_unused(net, x, state):
    h = state.hidden
    z = sigmoid(_before(net, "z", x, h))
    return state._replace(hidden=z * h + (1 - z) * tanh(_before(net, "h", x, h)))


for _step in (_reset_before_the_product, _update_gate_the_other_way_round):
    step_fault("gru", _step)
step_fault("gru", _reset_gate_unused, "gradients_reach_every_parameter")


def _peephole(net, x, state, *, o_sees_old=False, i_sees_new=False):
    h, c = state
    g = tanh(_before(net, "g", x, h))
    f = sigmoid(_before(net, "f", x, h) + net.p_f * c)
    i = sigmoid(_before(net, "i", x, h) + net.p_i * (c * f if i_sees_new else c))
    old, c = c, g * i + c * f
    o = sigmoid(_before(net, "o", x, h) + net.p_o * (old if o_sees_old else c))
    return state._replace(hidden=tanh(c) * o, cell=c)


def _output_gate_sees_the_old_cell(net, x, state):
    return _peephole(net, x, state, o_sees_old=True)


def _input_gate_sees_what_is_left(net, x, state):
    return _peephole(net, x, state, i_sees_new=True)


def _no_peepholes(net, x, state):
    h, c = state
    g, i, f, o = (_before(net, gate, x, h) for gate in "gifo")
    c = tanh(g) * sigmoid(i) + c * sigmoid(f)
    return state._replace(hidden=tanh(c) * sigmoid(o), cell=c)


for _step in (_output_gate_sees_the_old_cell, _input_gate_sees_what_is_left):
    step_fault("peephole-lstm", _step)
step_fault("peephole-lstm", _no_peepholes, "gradients_reach_every_parameter")


def _mingru(net, x, state, *, swapped=False, squash=lambda a: a):
    z, h = sigmoid(x @ net.W_zx.T + net.b_z), state.hidden
    candidate = squash(x @ net.W_hx.T + net.b_h)
    kept, written = (z, 1 - z) if swapped else (1 - z, z)
    return state._replace(hidden=kept * h + written * candidate)


def _gate_the_other_way_round(net, x, state):
    return _mingru(net, x, state, swapped=True)


def _tanh_on_the_candidate(net, x, state):
    return _mingru(net, x, state, squash=tanh)


for _step in (_gate_the_other_way_round, _tanh_on_the_candidate):
    step_fault("mingru", _step)
