"""Networks whose span is known are measured at it: spans, places, errors and bits."""

import itertools
import math

import pytest
import torch
from known_spans import Chance, KeepsTheFirst, Register, SwapsTheLastTwo, asked

from digitspan.runs.config import RunConfig
from digitspan.runs.recalled import Lists, Recalled, digit_span, mean_span
from digitspan.runs.record import RunRecord
from digitspan.tasks.recall import Recall
from digitspan.training.recalling import ask_every_length, ask_one_length, span_point

ONE_DIGIT = math.log2(10)


def measured(network, *, order="backward", longest=12, trained_to=2):
    return ask_every_length(asked(network), Recall(order), trained_to=trained_to, longest=longest)


@pytest.mark.parametrize("k", [1, 4, 7])
@pytest.mark.parametrize("order", ["backward", "forward"])
@pytest.mark.parametrize("register", [Register, KeepsTheFirst])
def test_register_of_k_digits_has_the_digit_span_k(register, order, k):
    recalled = measured(register(k, order), order=order)
    assert digit_span(recalled.shares) == k
    assert recalled.shares[:k] == [1.0] * k
    # Of one digit more the one lost is right by chance, of two both: k + 0.1 + 0.01 and less.
    assert k <= mean_span(recalled.shares) < k + 0.2
    assert recalled.shares[-1] == 0.0
    assert not recalled._replace(on_the_way=(None,)).is_open


@pytest.mark.parametrize("order", ["backward", "forward"])
def test_chance_has_the_digit_span_0(order):
    recalled = measured(Chance(3, order), order=order)
    assert digit_span(recalled.shares) == 0
    assert mean_span(recalled.shares) == pytest.approx(0.1 + 0.01 + 0.001, abs=0.002)
    assert max(found.bits for found in recalled.lists) < 0.05
    for found in recalled.lists:
        for right in found.right:
            assert right / found.asked == pytest.approx(0.1, abs=4 * math.sqrt(0.09 / found.asked))


def test_what_keeps_the_last_loses_the_first_places():
    recalled = measured(Register(5), longest=9, trained_to=9)
    for found in recalled.lists:
        lost = max(found.items - 5, 0)
        shares = [right / found.asked for right in found.right]
        assert shares[lost:] == [1.0] * min(found.items, 5)
        assert all(share == pytest.approx(0.1, abs=0.03) for share in shares[:lost])


class Halves(Register):
    """Tells five classes of digits apart, two digits each."""

    def amend(self, said):
        return said % 5


class SaysThreeForSeven(Register):
    def amend(self, said):
        return torch.where(said == 7, 3, said)


@pytest.mark.parametrize(
    ("network", "bits"), [(Halves(9), math.log2(5)), (SaysThreeForSeven(9), math.log2(10) - 0.2)]
)
def test_of_all_the_lists_there_are_the_bits_are_exact(network, bits):
    found = measured(network, longest=6, trained_to=6).lists
    assert [lists.bits for lists in found[:3]] == pytest.approx([bits, 2 * bits, 3 * bits])
    assert found[5].bits == pytest.approx(6 * bits, abs=0.1)  # of a sample


@pytest.mark.parametrize("k", [2, 6])
def test_capacity_is_the_digits_held_and_no_more(k):
    recalled = measured(Register(k), longest=9, trained_to=9)
    assert recalled.capacity.bits == pytest.approx(k * ONE_DIGIT, abs=0.1)
    assert recalled.capacity.items == k  # longer lists tell no more, but for noise
    for found in recalled.lists:
        assert found.bits <= found.items * ONE_DIGIT + 1e-9
        assert found.bits == pytest.approx(min(found.items, k) * ONE_DIGIT, abs=0.1)


def test_a_transposition_is_told_from_another_error():
    swapped = measured(SwapsTheLastTwo(8), longest=5, trained_to=5).lists[4]
    assert swapped.wrong > 0
    assert swapped.neighbours == swapped.wrong
    # Of nine other digits one is beside x_5, and 1.9 on average beside x_4.
    assert swapped.neighbours_by_chance == pytest.approx(1.45 / 9 * swapped.wrong, rel=0.1)
    forgotten = measured(Register(2), longest=5, trained_to=5).lists[4]
    by_chance = forgotten.neighbours_by_chance
    assert forgotten.neighbours == pytest.approx(by_chance, abs=5 * math.sqrt(by_chance))


def test_neighbours_by_chance_counts_the_digits_beside_a_wrong_one():
    class Wrong(Register):
        """Says each digit plus one: wrong everywhere, and never by memory."""

        def amend(self, said):
            return (said + 1) % 10

    found = measured(Wrong(6), longest=1, trained_to=1).lists[0]
    assert (found.wrong, found.neighbours_by_chance) == (10, 0.0)  # one item has no neighbour
    found = measured(Wrong(6), longest=2, trained_to=2).lists[1]
    # Of all 100 lists, 90 have another digit beside each of the two places.
    assert (found.wrong, found.neighbours_by_chance) == (200, pytest.approx(180 / 9))
    assert found.neighbours == 20


def test_network_that_is_asked_no_further_is_open():
    recalled = measured(Register(7), longest=5)
    assert [found.items for found in recalled.lists] == [1, 2, 3, 4, 5]
    assert recalled._replace(on_the_way=(None,)).is_open


def test_lists_are_asked_as_far_as_they_were_trained():
    assert len(measured(Register(2), longest=12, trained_to=9).lists) == 9
    shares = measured(KeepsTheFirst(2), longest=12, trained_to=2).shares
    assert shares[-2:] == [0.0, 0.0]
    assert 0.0 not in [one + other for one, other in itertools.pairwise(shares[:-1])]


def test_hole_ends_the_digit_span():
    assert digit_span([1, 1, 0.2, 0.9]) == 2
    assert digit_span([0.5, 0.5, 0.4999]) == 2
    assert mean_span([1, 0.5, 0.25]) == 1.75


@pytest.mark.parametrize(("network", "right"), [(Register(8), 10), (Chance(8), None)])
def test_mask_control_at_every_place(network, right):
    """A network that says the replaced digit is right in one case of ten, exactly."""
    recalled = ask_one_length(asked(network), Recall(), 6)
    assert len(recalled.masked) == 6
    assert recalled.masked_asked == 100
    if right is None:
        assert all(2 <= count <= 25 for count in recalled.masked)
    else:
        assert recalled.masked == (right,) * 6


def test_mask_control_replaces_one_place_and_keeps_one_in_ten():
    calls = []

    def answer(inputs, steps):
        calls.append(inputs[:100, :4])
        return asked(Register(8))(inputs, steps)

    ask_one_length(answer, Recall(), 4)
    plain, *masked = calls
    assert len(masked) == 4
    for place, lists in enumerate(masked):
        assert ((plain == lists).sum(dim=0) == 100).tolist() == [i != place for i in range(4)]
        assert (plain[:, place] == lists[:, place]).sum() == 10


def test_mask_control_notices_a_network_that_has_the_list_from_elsewhere():
    lists = []

    def answer(inputs, steps):
        lists.append(inputs)
        return asked(Register(8))(lists[0][: len(inputs)], steps)  # as if nothing were masked

    assert ask_one_length(answer, Recall(), 4).masked == (100,) * 4


def test_spans_on_the_way_are_of_validation_lists():
    seen = []

    def answer(inputs, steps):
        seen.append(inputs)
        return asked(Register(3))(inputs, steps)

    point = span_point(answer, Recall(), 50, trained_to=2, longest=9)
    assert (point.step, point.digit_span) == (50, 3)
    assert 3 <= point.mean_span < 3.3
    assert max(len(inputs) for inputs in seen) == 500


def test_recalled_survives_json():
    lists = (Lists(1, 10, 9, (9,), 0, 0.5, 3.1), Lists(2, 100, 40, (60, 70), 7, 3.25, 4.5))
    recalled = Recalled(lists, (), (10, 11), 100, 24)
    assert Recalled.from_json(recalled.to_json()) == recalled
    assert recalled.capacity == lists[1]
    assert recalled.digit_span is None


def test_records_from_before_there_were_lists_are_of_the_palindrome():
    record = RunRecord(config=RunConfig(cell="lstm", length=20), end_state="solved", steps=50)
    document = record.to_json()
    for name in ("task", "order", "curriculum", "recalled"):
        del document[name]
    assert RunRecord.from_json(document) == record
    assert RunRecord.from_json(document).config.items is None
