"""Losses at several steps: the fast form is the readable one, and whole modules are asked too."""

import itertools

import pytest
import torch
from cases import CASES
from hypothesis import example, given, settings
from hypothesis import strategies as st

from digitspan.cells.answers import answers_of_last
from digitspan.errors import UsageError
from digitspan.runs.config import RunConfig
from digitspan.tasks import SILENT, TASKS
from digitspan.tasks.questions import Questions, encode
from digitspan.training.engine import Trainer, TrainerGroup, loss_of
from digitspan.training.fused import Packed, answer, differentiate, fused_form

CELLS = ("rnn", "lstm", "relu-rnn", "gru", "peephole-lstm", "mingru")

WHOLE = """
import torch

class EveryStep(torch.nn.Module):
    def __init__(self, input_size, hidden_size, num_classes):
        super().__init__()
        self.gru = torch.nn.GRU(input_size, hidden_size, batch_first=True)
        self.linear = torch.nn.Linear(hidden_size, num_classes)

    def forward(self, inputs):
        return self.linear(self.gru(inputs)[0])

class LastStep(EveryStep):
    def forward(self, inputs):
        return super().forward(inputs)[:, -1]
"""


def networks_of(cell, networks, input_size, hidden_size, gain, generator):
    """Readable networks in float64 with recurrent gains of about `gain`."""
    sizes = {"input_size": input_size, "hidden_size": hidden_size, "num_classes": 10}
    readable = [CASES[cell].make(**sizes).double() for _ in range(networks)]
    for parameter in itertools.chain(*(network.parameters() for network in readable)):
        parameter.data.normal_(0, gain / hidden_size**0.5, generator=generator)
    return readable


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("input_size", [1, 11])
@settings(max_examples=12)
@given(
    networks=st.integers(1, 3),
    batch_size=st.integers(1, 6),
    steps=st.integers(1, 16),
    asked=st.integers(1, 16),
    hidden_size=st.integers(1, 16),
    gain=st.floats(0.01, 2.0),
    seed=st.integers(0, 2**31),
)
@example(networks=2, batch_size=3, steps=1, asked=1, hidden_size=2, gain=1.0, seed=0)
@example(networks=1, batch_size=2, steps=5, asked=5, hidden_size=3, gain=1.0, seed=1)
def test_fast_form_equals_autograd_in_answers_and_gradients(
    cell, input_size, networks, batch_size, steps, asked, hidden_size, gain, seed
):
    asked, generator = min(asked, steps), torch.Generator().manual_seed(seed)
    readable = networks_of(cell, networks, input_size, hidden_size, gain, generator)
    shape = (networks, batch_size, steps)
    digits = torch.randint(SILENT + 1, shape, generator=generator, dtype=torch.uint8)
    targets = torch.randint(10, (networks, batch_size, asked), generator=generator)

    form = fused_form(readable[0])
    with torch.no_grad():
        rows = [Packed.of(network, form.sizes).flat for network in readable]
        weights = Packed(torch.cat(rows), form.sizes)
        gradient = Packed(torch.full_like(weights.flat, torch.nan), form.sizes)
        unrolled = form.unroll(digits.shape, weights.flat)
        for _ in range(2):  # the second time the buffers are not new
            losses = differentiate(unrolled, weights, gradient, digits, targets)
        fast = answer(form, weights, [digits[0]], asked)  # (R, B, A, K)

    for row, network in enumerate(readable):
        same = answers_of_last(network, encode(digits[0], input_size, torch.float64), asked)
        torch.testing.assert_close(fast[row], same, rtol=1e-10, atol=1e-10)
        inputs = encode(digits[row], input_size, torch.float64)
        loss = loss_of(answers_of_last(network, inputs, asked), targets[row])
        loss.backward()
        assert losses[row].item() == pytest.approx(loss.item(), rel=1e-10)
        largest = max(parameter.grad.abs().max() for parameter in network.parameters())
        for name, ours in gradient.named(row).items():
            error = (ours - network.get_parameter(name).grad).abs().max()
            assert error <= 1e-10 * largest, f"{name} is off by {error:.1e}, of {largest:.1e}"


@pytest.mark.parametrize("cell", CELLS)
def test_buffers_of_longer_lists_serve_shorter_ones(cell):
    config = RunConfig(cell=cell, length=12, task="recall", hidden_size=7, batch_size=5)
    mixed, recall = Trainer(config), TASKS["recall"].load()
    generator = torch.Generator().manual_seed(0)
    for items in (6, 2, 5, 1, 6, 3):
        (questions,) = recall.draw_batches(2 * items, 1, 5, generator, torch.device("cpu"))
        fresh = Trainer(config)  # its buffers are made for this length
        fresh.load_state_dict(mixed.state_dict())
        assert mixed.step(questions) == fresh.step(questions)
        for name, value in mixed.network.named_parameters():
            assert torch.equal(value, fresh.network.get_parameter(name)), name


@pytest.mark.parametrize("cell", CELLS)
def test_one_answer_after_the_last_step_is_what_it_always_was(cell):
    generator = torch.Generator().manual_seed(3)
    (network,) = networks_of(cell, 1, 11, 5, 1.0, generator)
    form = fused_form(network)
    digits = torch.randint(10, (4, 7), generator=generator, dtype=torch.uint8)
    with torch.no_grad():
        weights = Packed.of(network, form.sizes)
        last, listed = answer(form, weights, [digits]), answer(form, weights, [digits], 1)
    assert torch.equal(last, listed[:, :, 0])
    torch.testing.assert_close(last[0], network(encode(digits, 11, torch.float64)))


def test_the_mean_is_over_all_answers():
    logits, targets = torch.randn(4, 3, 10), torch.randint(10, (4, 3))
    each = [loss_of(logits[:, i], targets[:, i]) for i in range(3)]
    torch.testing.assert_close(loss_of(logits, targets), sum(each) / 3)


def batch(items=3, size=6):
    recall = TASKS["recall"].load()
    generator = torch.Generator().manual_seed(0)
    return recall.draw_batches(2 * items, 1, size, generator, torch.device("cpu"))[0]


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru", "mingru"])
def test_every_cell_learns_to_say_one_batch(cell):
    config = RunConfig(
        cell=cell, length=6, task="recall", hidden_size=24, batch_size=6, optimizer="adam",
        learning_rate=0.02,
    )  # fmt: skip
    trainer, questions = Trainer(config), batch()
    for _ in range(150):
        last = trainer.step(questions)
    assert last.loss < 0.1
    said = trainer.logits(questions.inputs, questions.asked).argmax(dim=2)
    assert torch.equal(said, questions.targets)


@pytest.mark.parametrize("cell", ["rnn", "gru"])
def test_networks_trained_at_once_say_what_they_say_alone(cell):
    configs = [
        RunConfig(cell=cell, length=6, task="recall", hidden_size=8, seed=seed) for seed in (0, 1)
    ]
    alone = [Trainer(config) for config in configs]
    group, questions = TrainerGroup(together := [Trainer(c) for c in configs]), batch()
    results = group.step([questions, questions])
    for one, other, result in zip(alone, together, results, strict=True):
        assert one.step(questions).loss == pytest.approx(result.loss, rel=1e-5)
        theirs = other.logits(questions.inputs, 3)
        torch.testing.assert_close(one.logits(questions.inputs, 3), theirs, rtol=1e-4, atol=1e-5)
    assert group.logits(questions.inputs, 3)[1].shape == (6, 3, 10)


def test_a_whole_module_answers_after_every_step_or_is_refused(tmp_path, monkeypatch):
    (tmp_path / "whole_lists.py").write_text(WHOLE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    base = {"length": 6, "task": "recall", "hidden_size": 8}
    trainer, questions = Trainer(RunConfig(cell="whole_lists:EveryStep", **base)), batch()
    before = trainer.step(questions).loss
    assert trainer.step(questions).loss < before
    assert trainer.logits(questions.inputs, 3).shape == (6, 3, 10)
    refused = Trainer(RunConfig(cell="whole_lists:LastStep", **base))
    with pytest.raises(UsageError, match=r"LastStep answers in the shape \(6, 10\) where lists"):
        refused.step(questions)


def test_a_wrong_target_is_felt_at_its_own_step_alone():
    # The gradient of the read-out's bias adds up over steps: one target more, one entry more.
    config = RunConfig(cell="rnn", length=4, task="recall", hidden_size=4, optimizer="sgd")
    (inputs, targets), steps = batch(2, 4), []
    for changed in (targets, (targets + torch.tensor([[0, 1]])) % 10):
        trainer = Trainer(config, dtype=torch.float64)
        trainer.step(Questions(inputs, changed))
        steps.append(trainer.network.b_p.detach().clone())
    moved = (steps[1] - steps[0]) / config.learning_rate
    counts = torch.zeros(10, dtype=torch.float64)
    for digit in targets[:, 1].tolist():
        counts[(digit + 1) % 10] += 1
        counts[digit] -= 1
    torch.testing.assert_close(moved, counts / targets.numel(), rtol=0, atol=1e-9)
