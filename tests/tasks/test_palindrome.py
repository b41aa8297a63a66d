"""The task: palindromes of three parts that never mix, alike for every network."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from digitspan.tasks import palindrome, split
from digitspan.tasks.palindrome import (
    ENUMERATED_UP_TO,
    HELD_OUT_FROM,
    ask,
    draw_training,
    held_out,
    mirror,
    part_of,
)
from digitspan.tasks.questions import encode
from digitspan.tasks.seeds import seed_of
from digitspan.tasks.split import hash_of

TRAINING, VALIDATION, TEST = range(3)
HELD_OUT = range(HELD_OUT_FROM, 15)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def halves_of(questions, length):
    """The free digits, shape (B, ceil(T/2)); each palindrome's inputs hold them."""
    return questions.inputs[:, : (length + 1) // 2]


def numbers(halves):
    """Each half as one number, so that they can be kept in sets."""
    powers = 10 ** torch.arange(halves.shape[1])
    return set((halves.long() * powers).sum(dim=1).tolist())


def all_halves(length):
    half = (length + 1) // 2
    return torch.cartesian_prod(*[torch.arange(10, dtype=torch.uint8)] * half).reshape(-1, half)


def assert_palindromes(questions, length):
    """Every row has T - 1 digits in and, as its target, the first of them again."""
    assert questions.inputs.shape == (len(questions.targets), length - 1)
    assert questions.inputs.dtype == torch.uint8
    assert questions.targets.dtype == torch.int64
    digits = torch.cat([questions.inputs.long(), questions.targets[:, None]], dim=1)
    assert torch.equal(digits, digits.flip(1)), "not palindromes"
    assert digits.max() <= 9


# Palindromes and their encoding --------------------------------------------------------------


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.booleans())
def test_mirror_makes_the_palindrome_of_a_half(half, odd):
    length = 2 * len(half) - odd
    [digits] = mirror(torch.tensor([half]), length).tolist()
    assert len(digits) == length
    assert digits == digits[::-1]
    assert digits[: len(half)] == half


def test_questions_are_all_digits_but_the_last_and_the_last():
    inputs, targets = ask(torch.tensor([[3, 1, 4]], dtype=torch.uint8), 6)
    assert inputs.tolist() == [[3, 1, 4, 4, 1]]
    assert targets.tolist() == [3]


def test_encoding_is_the_number_or_one_hot():
    digits = torch.tensor([[0, 9], [4, 4]], dtype=torch.uint8)
    assert encode(digits, 1).tolist() == [[[0.0], [9.0]], [[4.0], [4.0]]]
    one_hot = encode(digits, 10)
    assert one_hot.shape == (2, 2, 10)
    assert one_hot.dtype == torch.float32
    assert one_hot.argmax(dim=2).tolist() == digits.tolist()
    assert (one_hot.sum(dim=2) == 1).all()
    assert encode(digits, 10, torch.float64).dtype == torch.float64


# Parts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", HELD_OUT)
def test_parts_never_mix(length):
    validation = numbers(halves_of(held_out(length, "validation").questions, length))
    test = numbers(halves_of(held_out(length, "test").questions, length))
    drawn = draw_training(length, 20_000, generator(), "cpu")
    training = numbers(halves_of(drawn, length))
    assert not validation & test
    assert not training & validation
    assert not training & test


@pytest.mark.parametrize("length", range(HELD_OUT_FROM, ENUMERATED_UP_TO + 1))
def test_listed_parts_are_60_20_20_of_every_first_digit_and_together_all(length):
    parts = [palindrome._listed_part(length, part) for part in (TRAINING, VALIDATION, TEST)]
    each = 10 ** ((length + 1) // 2 - 1)
    for part, share in zip(parts, (6, 2, 2), strict=True):
        counts = torch.bincount(part[:, 0], minlength=10).tolist()
        assert counts == [share * each // 10] * 10
    assert numbers(torch.cat(parts)) == numbers(all_halves(length))


@pytest.mark.parametrize("length", [9, 11])
def test_hashed_parts_are_60_20_20_of_every_first_digit(length):
    halves = all_halves(length)
    parts = part_of(halves)
    for digit in range(10):
        of_digit = parts[halves[:, 0] == digit]
        shares = torch.bincount(of_digit, minlength=3) / len(of_digit)
        # 10,000 halves and more: four standard deviations are 2 points at the most.
        assert shares.tolist() == pytest.approx([0.6, 0.2, 0.2], abs=0.02), digit


def test_part_depends_on_every_digit_but_the_first():
    half = torch.zeros(1, 6, dtype=torch.uint8)
    for place in range(6):
        varied = half.repeat(10, 1)
        varied[:, place] = torch.arange(10)
        # Ten independent halves would all lie in one part with p = 0.006.
        assert (len(part_of(varied).unique()) > 1) == (place > 0), f"digit {place + 1}"


@pytest.mark.parametrize("length", [5, 6, 7, 8, 9, 20])
@pytest.mark.parametrize("part", ["validation", "test"])
def test_tails_learned_by_heart_are_worth_nothing(length, part):
    """No tail of the training part is in another, and each of those has every first digit."""
    drawn = draw_training(length, 20_000, generator())
    seen = numbers(halves_of(drawn, length)[:, 1:])
    questions = held_out(length, part).questions
    asked = halves_of(questions, length)
    assert not seen & numbers(asked[:, 1:])
    if held_out(length, part).exhaustive:
        # Whatever is answered to a tail is right for exactly one of its ten first digits.
        tails, counts = asked[:, 1:].unique(dim=0, return_counts=True)
        assert counts.tolist() == [10] * len(tails)


def test_part_is_fixed_for_ever():
    # Golden: another split would make the rows of an old study incomparable to new ones.
    halves = torch.tensor([[d, (3 * d) % 10, 7, 1, (d * d) % 10, 0] for d in range(10)])
    assert part_of(halves).tolist() == [0, 1, 0, 1, 0, 0, 0, 2, 0, 1]
    assert part_of(halves.to(torch.uint8)).tolist() == part_of(halves).tolist()


@pytest.mark.parametrize("constant", [TRAINING, VALIDATION, TEST])
def test_tests_of_the_parts_can_go_red(constant, monkeypatch):
    # A split that puts everything into one part must not pass.
    def everything_in_one(halves):
        return torch.full((len(halves),), constant)

    monkeypatch.setattr(palindrome, "part_of", everything_in_one)
    monkeypatch.setitem(globals(), "part_of", everything_in_one)
    with pytest.raises(AssertionError, match="approx"):
        test_hashed_parts_are_60_20_20_of_every_first_digit(9)
    with pytest.raises(AssertionError, match="digit 2"):
        test_part_depends_on_every_digit_but_the_first()


@pytest.mark.parametrize("length", range(2, HELD_OUT_FROM))
def test_everything_is_everywhere_where_there_are_too_few(length):
    expected = numbers(all_halves(length))
    for part in ("validation", "test"):
        held = held_out(length, part)
        assert held.exhaustive
        assert numbers(halves_of(held.questions, length)) == expected
        assert len(held.questions.targets) == len(expected)
        assert_palindromes(held.questions, length)
        assert len(held.questions.inputs.unique(dim=0)) == len(expected)
    drawn = draw_training(length, 3000, generator(), "cpu")
    # 100 palindromes at the most, 3,000 draws: one of them missing has p = 1e-11.
    assert len(drawn.inputs.unique(dim=0)) == len(expected)


def test_limits_are_those_of_the_protocol():
    assert (HELD_OUT_FROM, ENUMERATED_UP_TO) == (5, 8)
    assert (palindrome.NUM_VALIDATION, palindrome.NUM_TEST) == (500, 10_000)


# Held-out palindromes ------------------------------------------------------------------------


@pytest.mark.parametrize("length", [*HELD_OUT, 101])
@pytest.mark.parametrize("part", ["validation", "test"])
def test_held_out_palindromes_are_distinct_and_of_every_first_digit_alike(length, part):
    questions, exhaustive = held_out(length, part)
    all_there_are = 2 * 10 ** ((length + 1) // 2) // 10
    asked = min({"validation": 500, "test": 10_000}[part], all_there_are)
    assert len(questions.targets) == asked
    assert exhaustive == (length <= ENUMERATED_UP_TO and asked == all_there_are)
    assert_palindromes(questions, length)
    assert len(halves_of(questions, length).unique(dim=0)) == asked
    assert torch.bincount(questions.targets).tolist() == [asked // 10] * 10
    # Sorted by first digit: the mask control counts on it.
    assert torch.equal(questions.targets, questions.targets.sort().values)
    if length > ENUMERATED_UP_TO:
        index = {"validation": VALIDATION, "test": TEST}[part]
        assert (part_of(halves_of(questions, length)) == index).all()


@pytest.mark.parametrize("length", [5, 8, 9, 20])
def test_held_out_palindromes_are_always_the_same(length):
    for part in ("validation", "test"):
        first = held_out(length, part).questions
        held_out.cache_clear()
        torch.manual_seed(1)
        again = held_out(length, part).questions
        assert torch.equal(first.inputs, again.inputs)


def test_held_out_palindromes_are_fixed_for_ever():
    # Golden, as the parts are: digits of some test palindromes, and a sum over all of them.
    questions = held_out(20, "test").questions
    assert questions.inputs[::3333, :10].tolist() == [
        [0, 5, 6, 8, 5, 0, 7, 9, 7, 2],
        [3, 8, 7, 0, 0, 1, 6, 4, 5, 2],
        [6, 9, 8, 6, 0, 6, 1, 7, 6, 7],
        [9, 9, 9, 1, 8, 6, 0, 0, 1, 0],
    ]
    weights = torch.arange(1, 20)
    assert int((questions.inputs.long() * weights).sum()) == 8554851


# Training palindromes ------------------------------------------------------------------------


@pytest.mark.parametrize("length", [2, 4, *HELD_OUT, 60])
def test_training_palindromes_are_of_the_training_part(length):
    drawn = draw_training(length, 2000, generator(), "cpu")
    assert len(drawn.targets) == 2000
    assert_palindromes(drawn, length)
    halves = halves_of(drawn, length)
    if length > ENUMERATED_UP_TO:
        assert (part_of(halves) == TRAINING).all()
    else:
        assert numbers(halves) <= numbers(palindrome._listed_part(length, TRAINING))


@pytest.mark.parametrize("length", [5, 8, 9, 20])
def test_training_palindromes_are_decided_by_the_generator(length):
    one, other = generator(3), generator(3)
    batches = []
    for count in (7, 640, 640):
        batches.append(draw_training(length, count, one))
        again = draw_training(length, count, other)
        assert torch.equal(batches[-1].inputs, again.inputs)
        assert torch.equal(batches[-1].targets, again.targets)
    another_seed = draw_training(length, 640, generator(4))
    for different in (batches[2], another_seed):
        assert not torch.equal(batches[1].inputs, different.inputs)


def test_training_palindromes_leave_the_global_generator_alone():
    before = torch.get_rng_state()
    draw_training(20, 100, generator())
    held_out.cache_clear()
    held_out(9, "validation")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("length", [2, 3, 5, 8, 9, 20])
def test_every_digit_is_the_target_equally_often(length):
    counts = torch.bincount(draw_training(length, 20_000, generator()).targets, minlength=10)
    # Above T = 8 the shares of the digits in the training part itself differ, by up to 1 %
    # (standard deviation at T = 9: 10,000 halves a digit, 0.8 %): 16 of 2,000 besides the
    # 42 that are chance.
    assert counts.tolist() == pytest.approx([2000] * 10, abs=4 * (42**2 + 16**2) ** 0.5)


def test_long_palindromes_are_drawn_in_pieces(monkeypatch):
    monkeypatch.setattr(split, "MAX_DIGITS_AT_ONCE", 64)
    drawn = draw_training(60, 50, generator())
    assert len(drawn.targets) == 50
    assert_palindromes(drawn, 60)
    assert len(drawn.inputs.unique(dim=0)) == 50


# Seeds ---------------------------------------------------------------------------------------


def test_seeds_of_different_names_differ_and_fit_into_63_bits():
    names = [
        (use, length, seed) for use in ("data", "init") for length in (5, 20) for seed in (0, 1)
    ]
    seeds = [seed_of(*name) for name in names]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_seeds_are_fixed_for_ever():
    assert seed_of("data", 20, 0) == 5213282707582427711


def test_hash_has_no_collisions_where_it_can_be_counted():
    assert len(hash_of(all_halves(11)).unique()) == 10**6
