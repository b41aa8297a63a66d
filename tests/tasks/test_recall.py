"""The digit span's task: what is read, what is asked, and lists of three parts that never mix."""

import math

import pytest
import torch

from digitspan.errors import ConfigError
from digitspan.runs.config import RunConfig
from digitspan.tasks import SILENT, TASKS
from digitspan.tasks.questions import encode
from digitspan.tasks.recall import NUM_TEST, NUM_VALIDATION, Recall, held_out_lists
from digitspan.tasks.split import TEST, TRAINING, VALIDATION, part_of_rows

CPU = torch.device("cpu")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def rows(lists):
    return set(map(tuple, lists.tolist()))


def drawn(items, count, task=None):
    """The lists of some training batches, (B, L)."""
    task = task or Recall()
    batches = task.draw_batches(2 * items, count // 50, 50, generator(), CPU)
    return torch.cat([batch.inputs[:, :items] for batch in batches])


@pytest.mark.parametrize(
    ("task", "order", "read", "asked"),
    [
        ("recall", "backward", [3, 1, 4, SILENT, SILENT, SILENT], [4, 1, 3]),
        ("recall", "forward", [3, 1, 4, SILENT, SILENT, SILENT], [3, 1, 4]),
        ("next-digit", "backward", [3, 1, 4, 4, 1], [4, 1, 3]),
    ],
)
def test_what_is_read_and_asked(task, order, read, asked):
    recall = TASKS[task].load(order)
    questions = recall.ask(torch.tensor([[3, 1, 4]], dtype=torch.uint8))
    assert questions.inputs.tolist() == [read]
    assert questions.targets.tolist() == [asked]
    assert questions.asked == 3
    assert recall.in_list_order(questions.targets).tolist() == [[3, 1, 4]]


def test_next_digit_is_the_palindrome_and_asks_for_the_digit_that_follows():
    recall = TASKS["next-digit"].load()
    (questions,) = recall.draw_batches(10, 1, 20, generator(), CPU)
    palindrome = torch.cat([questions.inputs, questions.targets[:, -1:].to(torch.uint8)], dim=1)
    assert torch.equal(palindrome, palindrome.flip(1))
    assert torch.equal(questions.targets, palindrome[:, 5:].long())


@pytest.mark.parametrize("items", [4, 5, 7, 12])
def test_parts_never_mix(items):
    parts = [rows(drawn(items, 20_000)), *(rows(held_out_lists(items, part)[0]) for part in
             ("validation", "test"))]  # fmt: skip
    assert parts[0].isdisjoint(parts[1])
    assert parts[0].isdisjoint(parts[2])
    assert parts[1].isdisjoint(parts[2])
    assert [len(part) for part in parts[1:]] == [NUM_VALIDATION, NUM_TEST]


@pytest.mark.parametrize("items", [5, 9])
def test_the_whole_list_decides_its_part(items):
    lists = held_out_lists(items, "test")[0]
    assert set(part_of_rows(lists).tolist()) == {TEST}
    for place in range(items):  # also the first, which has no say in a palindrome's part
        other = lists.clone()
        other[:, place] = (other[:, place] + 1) % 10
        assert set(part_of_rows(other).tolist()) == {TRAINING, VALIDATION, TEST}


@pytest.mark.parametrize("items", [1, 2, 3])
def test_of_up_to_three_digits_all_lists_are_in_every_part(items):
    everything = 10**items
    assert len(rows(drawn(items, 20_000))) == everything
    tested, exhaustive = held_out_lists(items, "test")
    assert len(rows(tested)) == everything
    assert exhaustive


def test_of_four_digits_all_training_lists_are_drawn_and_no_others():
    assert len(rows(drawn(4, 60_000))) == 6_000


@pytest.mark.parametrize("items", [1, 6])
@pytest.mark.parametrize("order", ["backward", "forward"])
def test_chance_is_a_tenth_at_each_place(items, order):
    config = RunConfig(cell="rnn", length=2 * items, task="recall", order=order)
    assert config.items == items
    assert config.input_size == 11
    assert config.chance == pytest.approx(10.0**-items)


def test_digits_come_equally_often_at_every_place():
    lists = drawn(9, 20_000)
    for place in lists.T:
        shares = place.long().bincount(minlength=10) / len(place)
        assert ((shares - 0.1).abs() < 5 * math.sqrt(0.09 / len(place))).all()


def test_silent_step_is_a_symbol_of_its_own_or_minus_one():
    read = torch.tensor([[3, SILENT]], dtype=torch.uint8)
    assert encode(read, 1).flatten().tolist() == [3.0, -1.0]
    assert encode(read, 11).argmax(dim=2).tolist() == [[3, 10]]
    config = RunConfig(cell="rnn", length=4, task="recall", encoding="scalar")
    assert config.input_size == 1


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"task": "recall", "length": 7}, "length must be even for the task recall.*got 7"),
        ({"order": "forward"}, "order must be left out of the task palindrome; got forward"),
        ({"task": "next-digit", "order": "forward"}, "order must be left out"),
        ({"task": "next-digit", "curriculum": True}, "curriculum must be left out of the task"),
        ({"task": "recall", "order": "sideways"}, "order must be one of backward, forward"),
    ],
)
def test_what_cannot_be_asked_is_refused(settings, sentence):
    with pytest.raises(ConfigError, match=sentence):
        RunConfig(**{"cell": "rnn", "length": 6} | settings)


def test_a_run_of_the_palindrome_has_the_key_it_always_had():
    assert RunConfig(cell="lstm", length=20).key == "62ac1e97f6da"
    assert "order" not in RunConfig(cell="lstm", length=20).canonical


def test_runs_that_differ_in_the_list_differ_in_key_and_name():
    base = {"cell": "rnn", "length": 12, "task": "recall"}
    configs = [
        RunConfig(**base),
        RunConfig(**base, order="forward"),
        RunConfig(**base | {"task": "next-digit"}),
        RunConfig(**base, hidden_size=32),
        RunConfig(**base | {"length": 14}),
    ]
    assert len({config.key for config in configs}) == len(configs)
    assert len({config.run_id for config in configs}) == len(configs)
    assert all(RunConfig.from_canonical(config.canonical) == config for config in configs)
