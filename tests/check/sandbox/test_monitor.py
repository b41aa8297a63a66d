"""What the child says of an error is data: its class, its place, its cause."""

import errno
import os

import pytest
import torch

from digitspan.check.sandbox.child.monitor import describe


def described(call):
    with pytest.raises(Exception) as caught:  # noqa: PT011  whatever it is, it is described
        call()
    return describe(caught.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is here")
def test_error_for_want_of_cuda_has_its_cause():
    assert described(lambda: torch.zeros(1).cuda())["cause"] == "cuda"


def test_error_for_want_of_memory_has_its_cause():
    def fails():
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    assert described(fails)["cause"] == "memory"


def test_error_of_torchs_allocator_is_one_like_any_other():
    # Its words alone tell it from a wrong shape, and no verdict hangs on words.
    assert described(lambda: torch.empty(10**16))["cause"] == ""


def test_error_that_only_speaks_of_cuda_or_memory_has_none():
    def fails():
        message = "CUDA can't allocate memory on this accelerator"
        raise ValueError(message)

    assert described(fails)["cause"] == ""
    assert described(lambda: int("cuda"))["type"] == "ValueError"
