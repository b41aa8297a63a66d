"""A run that asks lists: it grows by items, ends with its spans, and resumes as it was."""

import dataclasses
import math

import pytest

from digitspan.errors import UsageError
from digitspan.runs.config import RunConfig
from digitspan.runs.cost import check_size
from digitspan.runs.growth import growth_of
from digitspan.runs.record import RunRecord
from digitspan.training.run import train, train_together

GROWING = RunConfig(
    cell="lstm", length=12, task="recall", curriculum=True, hidden_size=20, batch_size=24,
    train_steps=600, optimizer="adam", learning_rate=0.02, max_grad_norm=1.0,
)  # fmt: skip
FIXED = dataclasses.replace(GROWING, length=4, curriculum=False, train_steps=900)


@pytest.fixture(scope="module")
def grown():
    return train(GROWING)


def test_lists_grow_by_one_item_and_the_shorter_ones_are_uniform():
    rule = growth_of("recall")
    assert (rule.shortest, rule.after(4), rule.after(18)) == (4, 6, 20)
    assert (rule.batches, rule.learned_loss, rule.present_share) == (10, 0.15, 0.4)
    places = [(i + 0.5) / 9_000 for i in range(9_000)]
    shorter = [rule.shorter(20, place) for place in places]
    assert {length: shorter.count(length) for length in sorted(set(shorter))} == dict.fromkeys(
        range(2, 20, 2), 1_000
    )
    assert rule.shorter(2, 0.7) == 2  # of one digit there is nothing shorter


def test_the_palindrome_grows_as_it_always_did():
    rule = growth_of("palindrome")
    assert (rule.shortest, rule.after(5), rule.after(20)) == (5, 7, 26)
    assert (rule.batches, rule.learned_loss, rule.present_share) == (1, 0.05, 0.5)
    assert [rule.shorter(20, place) for place in (0, 0.5, 0.999)] == [5, 10, 19]


def test_growing_run_ends_with_spans_of_unseen_lists(grown):
    record = grown.record
    recalled = record.recalled
    assert record.end_state == "censored"
    assert record.accuracy is None
    assert record.grown_to >= 6, "it learned lists of two"
    assert recalled.digit_span >= 2
    assert recalled.mean_span == pytest.approx(sum(recalled.shares))
    assert [found.items for found in recalled.lists] == list(range(1, len(recalled.lists) + 1))
    assert [found.asked for found in recalled.lists[:4]] == [10, 100, 1_000, 2_000]
    assert record.bits == max(found.bits for found in recalled.lists)
    for found in recalled.lists:
        assert 0 <= found.bits <= found.items * math.log2(10) + 1e-9
        assert found.whole <= min(found.right)
        assert found.neighbours <= found.wrong


def test_spans_on_the_way_end_at_the_last_step(grown):
    points = grown.record.recalled.on_the_way
    steps = [point.step for point in points]
    assert steps == sorted(steps)
    assert steps[-1] == grown.record.steps
    assert points[-1].mean_span > points[0].mean_span + 0.5
    assert abs(points[-1].mean_span - grown.record.recalled.mean_span) < 0.3  # validation, test


def test_mask_control_is_at_chance_at_every_place(grown):
    recalled = grown.record.recalled
    assert len(recalled.masked) == recalled.digit_span
    for right in recalled.masked:  # of 100; a network that knew it all has 10 exactly
        assert 10 <= right + 8 <= 26, recalled.masked
    assert grown.record.masked_tested == 100 * recalled.digit_span
    assert grown.record.masked_right == sum(recalled.masked)


def test_record_survives_json(grown):
    assert RunRecord.from_json(grown.record.to_json()) == grown.record


def test_same_run_twice_is_the_same(grown):
    again = train(GROWING)
    assert again.record == grown.record
    assert again.weights == grown.weights


class Stop:
    def __init__(self, at):
        self.at = at

    def __call__(self, point):
        self.at -= 1
        if self.at == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("at", [3, 8])
def test_growing_run_that_is_resumed_is_the_same(grown, at, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(GROWING, checkpoint=tmp_path / "checkpoint", on_evaluation=Stop(at))
    resumed = train(GROWING, checkpoint=tmp_path / "checkpoint")
    assert resumed.record == grown.record
    assert resumed.weights == grown.weights


def test_run_of_one_length_is_solved_when_lists_come_back_whole():
    record = train(FIXED).record
    assert record.end_state == "solved", record
    assert record.tested == 100
    assert record.accuracy_low is None, "all there are"
    assert record.held_out == 0
    assert record.recalled.digit_span is None, "one length tells no span"
    (lists,) = record.recalled.lists
    assert lists.whole / lists.asked == record.accuracy >= 0.98
    assert record.bits == pytest.approx(2 * math.log2(10), abs=0.2)


def test_lists_trained_together_are_trained_as_alone():
    configs = [dataclasses.replace(FIXED, train_steps=100, seed=seed) for seed in (0, 1)]
    for config, together in zip(configs, train_together(configs), strict=True):
        alone = train(config).record
        for one, other in zip(alone.curve, together.record.curve, strict=True):
            assert one.validation_loss == pytest.approx(other.validation_loss, rel=1e-3)


def test_digits_as_numbers_are_recalled_too():
    record = train(dataclasses.replace(GROWING, encoding="scalar", train_steps=100)).record
    assert record.recalled.mean_span > 0.1


def test_list_that_a_budget_will_not_come_to_is_refused_with_the_estimate():
    config = dataclasses.replace(GROWING, length=200, train_steps=500)
    with pytest.raises(UsageError, match=r"lists of 100 items cannot be expected within 500 .*"
                       r" 22 items are the most on average; choose"):  # fmt: skip
        check_size(config)
    check_size(dataclasses.replace(config, length=44))
    check_size(dataclasses.replace(config, curriculum=False))  # not grown: tried at once
