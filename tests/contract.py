"""The duties of a cell, as functions of a case: each raises an AssertionError where it is broken.

`test_cells.py` runs them on every cell; `test_planted_faults.py` runs the same functions on cells
that are wrong on purpose, so that the duties themselves are tested.

Letters: B batch, T palindrome length (T - 1 digits go in), D inputs, N units, K classes.
"""

from __future__ import annotations

import io
import math
from typing import NamedTuple

import torch
from cases import CellCase
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

__all__ = ["DUTIES", "Sizes", "assert_same", "assert_same_as_oracle", "network_of"]

TOLERANCE = 1e-10
"""Relative to the tensor's largest entry, in float64, where only the order of sums differs.

Single sums differ by about 1e-16; up to T = 30 and a recurrent gain of 2 the steps stretch that
by less than 1e5. Beyond, summation order alone moves the digits.
"""


class Sizes(NamedTuple):
    """Sizes that are all different: no axis can be taken for another one unseen."""

    B: int = 3
    T: int = 7
    D: int = 4
    N: int = 5
    K: int = 8


USUAL = Sizes()
"""Where nothing else is asked for."""


def network_of(
    case: CellCase, sizes: Sizes = USUAL, *, seed: int = 0, gain: float = 1.0
) -> nn.Module:
    """A network in float64, all of whose parameters are random and none is special.

    Args:
        case: the cell.
        sizes: D, N and K are read.
        seed: decides the weights.
        gain: matrices of shape (N, N) are `gain` times a Gaussian one over sqrt(N), whose
            eigenvalues lie about in the circle of that radius.
    """
    network = _make(case, sizes)
    generator = torch.Generator().manual_seed(case.first_seed + seed)
    with torch.no_grad():
        for parameter in network.parameters():
            drawn = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            if parameter.shape == (sizes.N, sizes.N):
                drawn *= gain / math.sqrt(sizes.N)
            parameter.copy_(drawn)
    return network


def inputs_of(case: CellCase, sizes: Sizes = USUAL, *, seed: int = 1) -> Tensor:
    """Random inputs, shape (B, T - 1, D), float64."""
    generator = torch.Generator().manual_seed(seed)
    shape = (sizes.B, sizes.T - 1, sizes.D)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(case.device)


def assert_same(got: Tensor, expected: Tensor, what: str, *, tolerance: float = TOLERANCE) -> None:
    """Hold `got` to `expected`, within a share of the largest entry of `expected`."""
    assert got.shape == expected.shape, (
        f"{what}: shape {tuple(got.shape)}, expected {tuple(expected.shape)}"
    )
    got, expected = got.detach().double().cpu(), expected.detach().double().cpu()
    largest = expected.abs().max().item()
    off = (got - expected).abs().max().item()
    assert off <= tolerance * largest, (
        f"{what}: off by {off:.3g} where the largest entry is {largest:.3g}; "
        f"got {got.flatten()[:4].tolist()}, expected {expected.flatten()[:4].tolist()}"
    )


# The duties -----------------------------------------------------------------------------------


def equals_its_oracle(case: CellCase) -> None:
    """Outputs and every gradient equal those of another implementation of the equations."""
    if case.oracle is None:
        return
    for sizes, gain in (
        (Sizes(), 1.0),
        (Sizes(B=5, T=30, D=2, N=7, K=10), 2.0),
        (Sizes(B=1, T=2, D=3, N=4, K=6), 1.0),
    ):
        assert_same_as_oracle(case, sizes, gain=gain)


def assert_same_as_oracle(
    case: CellCase, sizes: Sizes, *, gain: float = 1.0, seed: int = 0
) -> None:
    """Outputs and gradients of the loss (3) equal the oracle's at these sizes."""
    assert case.oracle is not None
    network = network_of(case, sizes, seed=seed, gain=gain)
    inputs = inputs_of(case, sizes, seed=seed + 1).requires_grad_()
    oracle_inputs = inputs.detach().clone().requires_grad_()
    targets = (torch.arange(sizes.B) + seed).to(case.device) % sizes.K

    logits = _answer(case, network, inputs)
    try:
        oracle_logits, leaves = case.oracle(network, oracle_inputs)
    except (AttributeError, RuntimeError) as error:
        message = f"{case.name} does not have the weights of the sheet: {error}"
        raise AssertionError(message) from error
    assert_same(logits, oracle_logits, f"{case.name}: logits at {sizes}")

    torch.nn.functional.cross_entropy(logits, targets).backward()
    torch.nn.functional.cross_entropy(oracle_logits, targets).backward()
    parameters = dict(network.named_parameters())
    assert set(parameters) == set(leaves), (
        f"{case.name}: parameters {sorted(parameters)}, expected {sorted(leaves)}"
    )
    for name, leaf in leaves.items():
        expected = leaf.grad if isinstance(leaf, Tensor) else leaf[0].grad[leaf[1]]
        got = parameters[name].grad
        assert got is not None, f"{case.name}: no gradient reaches {name}"
        assert_same(got, expected, f"{case.name}: gradient of {name} at {sizes}")
    assert inputs.grad is not None, f"{case.name}: no gradient reaches the inputs"
    assert_same(inputs.grad, oracle_inputs.grad, f"{case.name}: gradient of the inputs")


def step_equals_unroll(case: CellCase) -> None:
    """`step` after `step` from `initial_state`, then `read_out`, gives what `forward` gives."""
    network = network_of(case)
    if not hasattr(network, "step"):
        return
    inputs = inputs_of(case)
    by_hand = _logits_step_by_step(network, inputs)[-1]
    assert_same(_answer(case, network, inputs), by_hand, f"{case.name}: forward, not step by step")


def gradients_reach_every_parameter(case: CellCase) -> None:
    """Every entry of every parameter, and every input, gets a gradient that is not zero."""
    network, inputs = network_of(case), inputs_of(case).requires_grad_()
    logits = _answer(case, network, inputs)
    # Unlike a plain sum, these factors reach every entry even where the columns add up to 0.
    (
        logits * torch.linspace(1, 2, logits.numel()).reshape(logits.shape).to(logits)
    ).sum().backward()
    for name, parameter in [*network.named_parameters(), ("the inputs", inputs)]:
        assert parameter.grad is not None, f"{case.name}: no gradient reaches {name}"
        zeros = int((parameter.grad == 0).sum())
        assert zeros == 0, f"{case.name}: {zeros} of {parameter.numel()} gradients of {name} are 0"


def every_digit_is_read(case: CellCase) -> None:
    """Another digit at any one place, the first and the last too, changes the logits."""
    network, inputs = network_of(case), inputs_of(case)
    before = _answer(case, network, inputs)
    for t in range(inputs.shape[1]):
        changed = inputs.clone()
        changed[:, t] += 1
        least = (_answer(case, network, changed) - before).abs().max(dim=1).values.min().item()
        assert least > 1e-9, f"{case.name}: input {t + 1} of {inputs.shape[1]} is not read"


def batch_rows_do_not_mix(case: CellCase) -> None:
    """A palindrome's logits and gradient do not depend on the others in its batch."""
    network, inputs = network_of(case), inputs_of(case)
    together = _answer(case, network, inputs)
    for row in range(len(inputs)):
        alone = _answer(case, network, inputs[row : row + 1])
        assert_same(together[row : row + 1], alone, f"{case.name}: row {row}, not alone")
    order = torch.tensor([2, 0, 1], device=inputs.device)
    assert_same(
        _answer(case, network, inputs[order]), together[order], f"{case.name}: in another order"
    )
    inputs.requires_grad_()
    _answer(case, network, inputs)[0].sum().backward()
    assert inputs.grad is not None, f"{case.name}: no gradient reaches the inputs"
    others = inputs.grad[1:].abs().max().item()
    assert others == 0, f"{case.name}: row 0 has a gradient of {others:.3g} to the others' inputs"


def the_future_does_not_change_the_past(case: CellCase) -> None:
    """What is known after t digits is the same however many follow."""
    network = network_of(case)
    if not hasattr(network, "step"):
        return
    inputs = inputs_of(case)
    in_the_long_run = _logits_step_by_step(network, inputs)
    for t in range(1, inputs.shape[1] + 1):
        short = _answer(case, network, inputs[:, :t])
        assert_same(short, in_the_long_run[t - 1], f"{case.name}: logits after {t} digits")


def number_of_parameters_is_the_closed_form(case: CellCase) -> None:
    """The trainable parameters are as many as Question 1.5 (b) counts."""
    for sizes in (Sizes(), Sizes(D=1, N=9, K=10), Sizes(D=10, N=3, K=2)):
        network = _make(case, sizes)
        got = sum(p.numel() for p in network.parameters() if p.requires_grad)
        expected = case.num_parameters(sizes.D, sizes.N, sizes.K)
        assert got == expected, f"{case.name}: {got} parameters at {sizes}, expected {expected}"


def saved_and_loaded_equals_itself(case: CellCase) -> None:
    """The state dict, and nothing else, says what the network computes."""
    network, other = network_of(case), network_of(case, seed=7)
    inputs = inputs_of(case)
    expected = _answer(case, network, inputs)
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    file.seek(0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert_same(
        _answer(case, other, inputs), expected, f"{case.name}: saved and loaded", tolerance=0
    )


def no_state_between_calls(case: CellCase) -> None:
    """A call answers the same whatever was asked before, with whatever batch size and length."""
    network, inputs = network_of(case), inputs_of(case)
    first = _answer(case, network, inputs)
    for sizes in (Sizes(), Sizes(B=2, T=4), Sizes(B=6, T=9)):
        _answer(case, network, inputs_of(case, sizes, seed=2))
        again = _answer(case, network, inputs)
        assert_same(again, first, f"{case.name}: the second call", tolerance=0)


def logits_come_out(case: CellCase) -> None:
    """What comes out has shape (B, K) and is no softmax of anything, nor its logarithm."""
    logits = _answer(case, network_of(case), inputs_of(case))
    assert logits.shape == (USUAL.B, USUAL.K), f"{case.name}: logits of {tuple(logits.shape)}"
    sums, log_sums = logits.sum(dim=1), logits.logsumexp(dim=1)
    assert (sums - 1).abs().max() > 1e-6, f"{case.name}: rows add up to 1: a softmax inside"
    assert log_sums.abs().max() > 1e-6, f"{case.name}: rows are logarithms of probabilities"
    columns = logits.sum(dim=0)
    assert (columns - 1).abs().max() > 1e-6, f"{case.name}: a softmax over the batch"


def digits_equal_encoded_inputs(case: CellCase) -> None:
    """Digits (B, T - 1) of any type are their own encoding where d = 1, and one-hot where 10."""
    if not case.reads_digits:
        return
    generator = torch.Generator().manual_seed(3)
    digits = torch.randint(10, (3, 6), generator=generator).to(case.device)
    for D in (1, 10):
        network = network_of(case, Sizes(D=D))
        encoded = (
            digits[..., None] if D == 1 else (digits[..., None] == torch.arange(10).to(digits))
        )
        expected = _answer(case, network, encoded.double())
        for dtype in (torch.int64, torch.uint8, torch.float32, torch.float64):
            got = _answer(case, network, digits.to(dtype))
            assert_same(got, expected, f"{case.name}: {dtype} digits where d = {D}")


def device_and_type_are_the_parameters(case: CellCase) -> None:
    """The answer has the parameters' type and device, whatever the default type is.

    The device "meta" computes shapes and nothing else, on every machine, and refuses to work
    together with tensors that were made elsewhere.
    """
    for dtype in (torch.float32, torch.float64):
        network, inputs = network_of(case).to(dtype), inputs_of(case).to(dtype)
        logits = _answer(case, network, inputs)
        assert logits.dtype == dtype, f"{case.name}: {logits.dtype} out of {dtype} parameters"
        assert logits.device == inputs.device, f"{case.name}: {logits.device}, not {inputs.device}"
    questions = [inputs_of(case)]
    if case.reads_digits:
        questions.append(torch.zeros(3, 6, dtype=torch.int64))
    for inputs in questions:
        network = network_of(case, Sizes(D=10) if inputs.dim() == 2 else USUAL)
        with _Devices() as seen:
            logits = _answer(case, network.to("meta"), inputs.to("meta"))
        assert logits.device.type == "meta", f"{case.name}: logits on {logits.device}, not on meta"
        assert seen.devices == {"meta"}, f"{case.name}: tensors made on {seen.devices - {'meta'}}"


class _Devices(TorchFunctionMode):
    """Notes the device of every tensor that a function of torch returns."""

    def __init__(self) -> None:
        super().__init__()
        self.devices: set[str] = set()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            self.devices.add(result.device.type)
        return result


DUTIES = (
    equals_its_oracle,
    step_equals_unroll,
    gradients_reach_every_parameter,
    every_digit_is_read,
    batch_rows_do_not_mix,
    the_future_does_not_change_the_past,
    number_of_parameters_is_the_closed_form,
    saved_and_loaded_equals_itself,
    no_state_between_calls,
    logits_come_out,
    digits_equal_encoded_inputs,
    device_and_type_are_the_parameters,
)
"""All of them, in the order in which they are named in docs and reports."""


def _make(case: CellCase, sizes: Sizes) -> nn.Module:
    """A network of these sizes, in float64, on the case's device."""
    network = case.make(input_size=sizes.D, hidden_size=sizes.N, num_classes=sizes.K)
    return network.to(device=case.device, dtype=torch.float64)


def _answer(case: CellCase, network: nn.Module, inputs: Tensor) -> Tensor:
    """The network's logits; that it takes these inputs at all is a duty too."""
    try:
        return network(inputs)
    except (RuntimeError, IndexError, TypeError) as error:
        message = f"{case.name} does not take {tuple(inputs.shape)} {inputs.dtype}: {error}"
        raise AssertionError(message) from error


def _logits_step_by_step(network: nn.Module, inputs: Tensor) -> list[Tensor]:
    """The logits (B, K) after each step, the state carried by hand."""
    state = network.initial_state(len(inputs))
    logits = []
    for x in inputs.unbind(dim=1):
        state = network.step(x, state)
        logits.append(network.read_out(state))
    return logits
