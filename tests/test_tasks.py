"""First-symbol recall: the sequences are those of the paper, and networks are trained on them."""

import math

import pytest
import torch

from digitspan.errors import ConfigError
from digitspan.runs import RunConfig
from digitspan.study.config import StudyConfig
from digitspan.tasks import BEGIN, END, MEAN_MORE, NUM_DISTRACTORS, TASKS
from digitspan.training import train

TASK = TASKS["first-symbol"]


def drawn(length=20, batches=200, size=16):
    generator = torch.Generator().manual_seed(0)
    return TASK.draw(length, batches, size, generator, torch.device("cpu"))


def assert_sequences(questions):
    inputs, targets = questions
    assert (inputs[:, 0] == BEGIN).all()
    assert (inputs[:, -1] == END).all()
    assert torch.equal(inputs[:, 1].long(), targets)
    assert set(targets.tolist()) == {0, 1}
    between = inputs[:, 2:-1]
    assert between.min() > END
    assert between.max() <= END + NUM_DISTRACTORS


def test_sequence_is_begin_symbol_distractors_end():
    for questions in drawn(batches=20):
        assert_sequences(questions)


def test_lag_is_at_least_t_minus_3_and_9_more_on_average():
    more = torch.tensor([questions.inputs.shape[1] - 19 for questions in drawn(batches=4_000)])
    assert more.min() == 0
    # A geometric distribution with mean 9 has a standard deviation of sqrt(90).
    assert abs(more.double().mean() - MEAN_MORE) < 4 * math.sqrt(90 / 4_000)


def test_distractors_are_all_there_and_tell_nothing():
    inputs = torch.cat([questions.inputs[:, 2:18] for questions in drawn(batches=1_000)])
    answers = torch.cat([questions.targets for questions in drawn(batches=1_000)])
    counts = torch.stack(
        [torch.bincount(inputs[answers == k].flatten().long(), minlength=54)[4:] for k in (0, 1)]
    ).double()
    assert len(counts[0]) == NUM_DISTRACTORS
    expected = counts.sum(dim=1, keepdim=True) / NUM_DISTRACTORS
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    assert chi_squared < 150, "98 degrees of freedom: 150 is beyond 0.1 %"


def test_what_is_asked_is_fixed_half_x_and_half_y():
    asked = TASK.held_out(20, "test")
    assert_sequences(asked.questions)
    assert len(asked.questions.targets) == 10_000
    assert asked.questions.targets.sum() == 5_000
    assert torch.equal(asked.questions.inputs, TASK.held_out(20, "test").questions.inputs)
    other = TASK.held_out(20, "validation").questions.inputs
    assert not torch.equal(asked.questions.inputs[:500], other)


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_network_learns_it_and_its_record_says_what_it_is(cell):
    config = RunConfig(
        cell=cell, task="first-symbol", length=6, hidden_size=16, learning_rate=1e-2, batch_size=32
    )
    assert (config.input_size, config.chance) == (54, 0.5)
    record = train(config).record
    assert record.solved
    assert record.accuracy >= 0.99
    assert record.bits == pytest.approx(1, abs=0.1)
    assert (record.masked_right, record.held_out) == (None, 0)
    assert (record.to_json()["task"], type(record).from_json(record.to_json())) == (
        "first-symbol",
        record,
    )


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"encoding": "scalar"}, "encoding must be one-hot for the task first-symbol"),
        ({"length": 4}, "length must be 5 or more for the task first-symbol; got 4"),
        ({"task": "copy"}, "task must be one of palindrome, first-symbol"),
    ],
)
def test_what_the_task_does_not_allow_is_refused(settings, problem):
    with pytest.raises(ConfigError, match=problem):
        RunConfig(**{"cell": "rnn", "length": 10, "task": "first-symbol"} | settings)


def test_study_of_the_task_is_checked_and_has_its_chance_line():
    with pytest.raises(ConfigError, match="encoding must be one-hot"):
        StudyConfig(task="first-symbol", encoding=("scalar",))
    with pytest.raises(ConfigError, match="lengths must be 5 or more"):
        StudyConfig(task="first-symbol", lengths=(4, 10))
