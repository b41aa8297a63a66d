"""A loss is known by the gradient that it sends to a network's answers."""

import pytest
import torch
from torch.nn.functional import cross_entropy, nll_loss

from digitspan.check.sandbox.child.losses import Lesson

Y = torch.arange(12) % 10


def answers(*axes):
    """Logits in single precision, of a network that has been trained a little."""
    rng = torch.Generator().manual_seed(0)
    return (torch.randn(*axes, generator=rng) * 0.3).requires_grad_()


def lesson_of(result, loss, *, uphill=False):
    lesson = Lesson()
    lesson.answered(result)
    loss(result).backward()
    return lesson.kinds(uphill=uphill)


LOSSES = {
    "cross-entropy": lambda z: cross_entropy(z, Y),
    "minus cross-entropy": lambda z: -cross_entropy(z, Y),
    "twice": lambda z: cross_entropy(z.softmax(1), Y),
    "likelihood": lambda z: nll_loss(z, Y),
    "squared": lambda z: (z.softmax(1) - torch.eye(10)[Y]).pow(2).mean(),
    "over the batch": lambda z: nll_loss(z.log_softmax(0), Y),
    "other": lambda z: cross_entropy(z, Y, label_smoothing=0.1),
}


@pytest.mark.parametrize("name", LOSSES)
def test_loss_is_told_by_the_gradient_of_the_logits(name):
    assert lesson_of(answers(12, 10), LOSSES[name]) == {name}
    assert lesson_of(answers(10, 12).T.contiguous(), LOSSES[name]) == {name}


@pytest.mark.parametrize("size", [0.3, 1e-3])
def test_loss_is_told_of_logits_that_hardly_differ_too(size):
    for name in ("cross-entropy", "twice", "likelihood", "over the batch"):
        z = (answers(12, 10) * size).detach().requires_grad_()
        assert lesson_of(z, LOSSES[name]) == {name}


def test_cross_entropy_whose_logarithm_is_kept_from_zero_is_one():
    by_hand = lambda z: -(z.softmax(1) + 1e-5).log()[range(12), Y].mean()  # noqa: E731
    assert lesson_of(answers(12, 10), by_hand) == {"cross-entropy"}


def test_optimiser_that_goes_up_turns_the_sign():
    z = answers(12, 10)
    assert lesson_of(z, lambda z: -cross_entropy(z, Y), uphill=True) == {"cross-entropy"}
    assert lesson_of(z, LOSSES["cross-entropy"], uphill=True) == {"minus cross-entropy"}


def test_network_with_log_softmax_inside_is_trained_by_the_cross_entropy():
    for loss in (nll_loss, cross_entropy):
        inside = answers(12, 10).log_softmax(1)
        assert lesson_of(inside, lambda z, loss=loss: loss(z, Y)) == {"cross-entropy"}


def test_nothing_is_said_of_a_softmax_inside_the_network():
    assert lesson_of(answers(12, 10).softmax(1), LOSSES["cross-entropy"]) == set()


@pytest.mark.parametrize("step", [0, 3, 4])
def test_loss_of_the_first_step_is_told_from_that_of_any_other(step):
    first = {"first"} if step == 0 else set()
    for axes, pick in (
        ((12, 5, 10), lambda z: z[:, step]),
        ((5, 12, 10), lambda z: z[step]),
        ((12, 10, 5), lambda z: z[:, :, step]),
    ):
        found = lesson_of(answers(*axes), lambda z, pick=pick: cross_entropy(pick(z), Y))
        assert found == {"cross-entropy"} | first
    several = [answers(12, 10) for _ in range(5)]
    assert lesson_of(several, lambda z: cross_entropy(z[step], Y)) == {"cross-entropy"} | first


def test_answer_that_nothing_is_learned_of_says_nothing():
    lesson = Lesson()
    z = answers(12, 10)
    lesson.answered((z, answers(12, 7)))
    lesson.answered(answers(12, 10))
    cross_entropy(z, Y).backward()
    assert lesson.kinds(uphill=False) == {"cross-entropy"}
