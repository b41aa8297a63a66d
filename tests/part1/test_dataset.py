"""The data: palindromes, all alike likely, decided by the seed and by nothing else."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from digitspan.part1.dataset import PalindromeDataset, all_palindromes


def first_items(dataset, count, *, num_workers=0):
    """The first items as a DataLoader hands them out: inputs (count, ...) and targets (count,)."""
    loader = DataLoader(dataset, batch_size=5, num_workers=num_workers)
    inputs, targets = zip(*itertools.islice(loader, count // 5), strict=True)
    return torch.cat(inputs), torch.cat(targets)


@given(length=st.integers(2, 40), seed=st.integers(0, 2**63 - 1), item=st.integers(0, 2**40))
def test_item_is_a_palindrome_of_the_length(length, seed, item):
    inputs, target = PalindromeDataset(length, seed=seed)[item]
    assert inputs.shape == (length - 1,)
    digits = [*inputs.tolist(), target]
    assert digits == digits[::-1]
    assert set(digits) <= set(range(10))


def test_item_has_the_types_of_the_template():
    inputs, target = PalindromeDataset(6)[0]
    assert isinstance(inputs, np.ndarray)
    assert inputs.dtype == np.float32
    assert type(target) is int


@given(length=st.integers(2, 12))
def test_one_hot_item_holds_the_same_digits(length):
    digits, target = PalindromeDataset(length, seed=8)[3]
    one_hot, same_target = PalindromeDataset(length, one_hot=True, seed=8)[3]
    assert one_hot.shape == (length - 1, 10)
    assert one_hot.dtype == np.float32
    assert (one_hot.sum(axis=1) == 1).all()
    assert one_hot.argmax(axis=1).tolist() == digits.tolist()
    assert same_target == target


def test_seed_decides_the_items():
    inputs, targets = first_items(PalindromeDataset(20, seed=1), 50)
    again, same_targets = first_items(PalindromeDataset(20, seed=1), 50)
    assert torch.equal(inputs, again)
    assert torch.equal(targets, same_targets)
    other, _ = first_items(PalindromeDataset(20, seed=2), 50)
    # 10^10 halves: two of them alike by chance has p = 3e-7.
    assert not (inputs == other).all(dim=1).any()


def test_items_differ_from_each_other():
    inputs, _ = first_items(PalindromeDataset(20, seed=1), 200)
    assert len(torch.unique(inputs, dim=0)) == 200


def test_worker_process_gives_the_same_items():
    # NumPy's and torch's global seeds must not matter: a worker is given others.
    expected = first_items(PalindromeDataset(12, seed=3), 20)
    np.random.seed(0)
    torch.manual_seed(0)
    got = first_items(PalindromeDataset(12, seed=3), 20, num_workers=1)
    assert torch.equal(got[0], expected[0])
    assert torch.equal(got[1], expected[1])


def test_seed_comes_from_torch_where_none_is_given():
    torch.manual_seed(11)
    one = PalindromeDataset(10)
    torch.manual_seed(11)
    same = PalindromeDataset(10)
    other = PalindromeDataset(10)
    assert one.seed == same.seed != other.seed


def test_every_digit_stands_first_and_in_the_middle_equally_often():
    inputs, targets = first_items(PalindromeDataset(5, seed=0), 5000)
    for place, digits in (("first", targets), ("second", inputs[:, 1]), ("third", inputs[:, 2])):
        counts = torch.bincount(digits.long(), minlength=10)
        # 500 each, standard deviation 21: chi-squared with 9 degrees of freedom is below 33.7
        # with p = 0.9999. Leading zeros are drawn, or 0 would be missing at the first place.
        chi_squared = ((counts - 500) ** 2 / 500).sum().item()
        assert chi_squared < 33.7, f"{place} digit: {counts.tolist()}"


def test_generate_palindrome_draws_one_after_another():
    dataset = PalindromeDataset(9, seed=4)
    drawn = [dataset.generate_palindrome() for _ in range(5)]
    assert len({tuple(palindrome) for palindrome in drawn}) == 5
    for palindrome in drawn:
        assert palindrome.shape == (9,)
        assert palindrome.dtype == np.float32
        assert (palindrome == palindrome[::-1]).all()
    again = PalindromeDataset(9, seed=4)
    assert all((again.generate_palindrome() == palindrome).all() for palindrome in drawn)


def test_there_is_no_last_item():
    dataset = PalindromeDataset(5)
    assert len(dataset) > 10**12
    dataset[10**12]


@pytest.mark.parametrize("length", [1, 0, -3])
def test_length_without_a_target_is_refused(length):
    with pytest.raises(ValueError, match=f"seq_length must be at least 2, .*; got {length}"):
        PalindromeDataset(length)


def test_negative_seed_is_refused():
    with pytest.raises(ValueError, match="seed must be 0 or greater, got -1"):
        PalindromeDataset(5, seed=-1)


@pytest.mark.parametrize(("length", "count"), [(2, 10), (3, 100), (4, 100), (5, 1000), (6, 1000)])
def test_all_palindromes_are_all_of_them(length, count):
    palindromes = all_palindromes(length)
    assert palindromes.shape == (count, length)
    assert palindromes.dtype == np.float32
    assert (palindromes == palindromes[:, ::-1]).all()
    assert len(np.unique(palindromes, axis=0)) == count
