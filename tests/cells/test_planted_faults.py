"""The duties catch every planted fault: without this, nobody would know what they are worth."""

import functools

import pytest
from cases import CASES
from contract import DUTIES
from planted import FAULTS

pytestmark = pytest.mark.usefixtures("float64")

BY_NAME = {duty.__name__: duty for duty in DUTIES}


@functools.cache
def broken_duties(name):
    """The duties that a fault of the bank breaks, each of them raising an AssertionError."""
    [case] = [fault.case for fault in FAULTS if fault.name == name]
    broken = set()
    for duty in DUTIES:
        try:
            duty(case)
        except AssertionError:
            broken.add(duty.__name__)
    return broken


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_planted_fault_is_caught(fault):
    assert fault.caught_by in broken_duties(fault.name), (
        f"{fault.name} breaks {sorted(broken_duties(fault.name)) or 'no duty'}, "
        f"and not {fault.caught_by}"
    )


@pytest.mark.parametrize("cell", CASES)
def test_honest_cell_breaks_no_duty(cell):
    for duty in DUTIES:
        duty(CASES[cell])


@pytest.mark.parametrize("duty", BY_NAME)
def test_no_duty_is_idle(duty):
    caught = [fault.name for fault in FAULTS if duty in broken_duties(fault.name)]
    assert caught, f"no planted fault breaks {duty}: nobody knows whether it can go red"


def test_some_faults_are_seen_by_one_duty_alone():
    # Each of these duties is needed: without it the named fault would pass.
    alone = {}
    for fault in FAULTS:
        broken = broken_duties(fault.name)
        if len(broken) == 1:
            alone.setdefault(*broken, []).append(fault.name)
    needed = {
        "equals_its_oracle",
        "digits_equal_encoded_inputs",
        "device_and_type_are_the_parameters",
    }
    assert needed <= set(alone), alone


def test_bank_holds_every_fault_that_the_project_names():
    names = {fault.name for fault in FAULTS}
    assert len(names) == len(FAULTS), "two faults of one name"
    both = [
        "bias_missing",
        "bias_on_the_batch_axis",
        "state_kept_between_batches",
        "last_digit_never_read",
        "softmax_inside_forward",
        "gradient_cut",
        "weights_not_registered",
        "recurrent_weights_get_no_gradient",
        "recurrent_matrix_not_transposed",
    ]
    lstm = [
        "cell_never_carried_over",
        "gates_i_and_f_exchanged",
        "gates_i_and_o_exchanged",
        "sigmoid_on_g",
        "no_tanh_on_c",
        "W_fh_used_for_i",
        "hidden_state_detached",
        "four_linear_gates",
    ]
    further = {
        "relu-rnn": ["tanh_for_relu"],
        "gru": ["reset_before_the_product", "update_gate_the_other_way_round"],
        "peephole-lstm": ["output_gate_sees_the_old_cell", "no_peepholes"],
        "mingru": ["gate_the_other_way_round", "tanh_on_the_candidate"],
    }
    assert {f"{cell}-{name}" for cell, some in further.items() for name in some} <= names
    expected = {f"{cell}-{name}" for cell in ("rnn", "lstm") for name in both}
    assert expected | {f"lstm-{name}" for name in lstm} <= names
