"""What the child says of an error is data: its class, its place, its cause."""

import errno
import os
from pathlib import Path

import pytest
import torch

from digitspan.check.sandbox.child import monitor
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


def test_what_differs_from_computer_to_computer_is_not_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def message(text):
        def fails():
            raise TypeError(text)

        return described(fails)["message"]

    assert message(f"in {tmp_path}/part1/net.py") == "in part1/net.py"
    assert message(f"no {tmp_path}") == "no ."
    assert (
        message(f"cannot add {object()} and 0x1f")
        == "cannot add <object object at 0x...> and 0x1f"
    )
    assert message(f"from {Path(monitor.__file__).parent}/course_dataset.py").startswith(
        "from child/"
    )
    assert len(message("pass " * 10**6)) == 300


def test_syntax_error_has_its_place_in_the_hand_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def place(name):
        error = described(lambda: compile("x = 1\nx = = 2\n", name, "exec"))
        return error["file"], error["line"]

    assert place(str(tmp_path / "part1" / "net.py")) == ("part1/net.py", 2)
    assert place("<string>") == ("", 0)


def test_error_that_only_speaks_of_cuda_or_memory_has_none():
    def fails():
        message = "CUDA can't allocate memory on this accelerator"
        raise ValueError(message)

    assert described(fails)["cause"] == ""
    assert described(lambda: int("cuda"))["type"] == "ValueError"
