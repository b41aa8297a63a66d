"""A report hangs on the hand-in alone: not on the clock, the machine, or chance."""

import contextlib
import json
import subprocess
import sys
import time

import pytest
from check.bank import LSTM_STEP, lstm, rnn, swapped
from check.whole import TRAIN

from digitspan.check.course_rules import Rules
from digitspan.check.hand_in import check_hand_in, seed_of
from digitspan.check.reading.hand_ins import Facts, HandIn, read_hand_in
from digitspan.check.sandbox.isolation import Limits, best_level
from digitspan.check.sandbox.process import ChildProcess

UNKNOWN = swapped(LSTM_STEP, ("c = g * i + c * f", "c = (g * i + c * f) * (1 + 0.1 * o)"))


@contextlib.contextmanager
def busy(count):
    """So many processes that compute all the time."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


@pytest.fixture
def hand_in(tmp_path):
    """A folder with an LSTM that fits no known fault, which takes the longest, and a right RNN."""
    folder = tmp_path / "Doe-123456" / "part1"
    folder.mkdir(parents=True)
    (folder / "lstm.py").write_text(lstm("stacked", UNKNOWN))
    (folder / "vanilla_rnn.py").write_text(rnn("separate"))
    (folder / "train.py").write_text(TRAIN.replace("part1.", ""))
    return folder.parent


def report(path):
    """The report, as the JSON document shows it."""
    found = check_hand_in(path, best_level(), Limits(), Rules({}, frozenset()))
    return json.dumps(found.as_json())


@pytest.mark.slow
def test_report_is_the_same_twice_and_under_eight_busy_loops(hand_in):
    idle = report(hand_in)
    with busy(8):
        loaded = report(hand_in)
    assert idle == loaded == report(hand_in)
    assert json.loads(idle)["classes"]["VanillaRNN"]["verdict"] == "pass"


DRAWN = """\
import random
import numpy
import torch
SCALE = random.random() * numpy.random.rand()
class LSTM(torch.nn.Module):
    def __init__(self, num_hidden):
        super().__init__()
        start = [SCALE * random.random() * numpy.random.rand() for _ in range(num_hidden)]
        self.b = torch.nn.Parameter(torch.tensor(start) + torch.rand(num_hidden))
    def forward(self, x):
        return x
"""


def test_start_is_the_same_whatever_draws_it(tmp_path):
    (tmp_path / "lstm.py").write_text(DRAWN)
    load = {"do": "load", "file": "lstm.py", "class": "LSTM", "definitions_only": False}
    build = {"do": "build", "arguments": {"args": [], "kwargs": {"num_hidden": 3}},
             "dtype": "float64", "seed": 5}  # fmt: skip
    starts = []
    for _ in range(2):
        with ChildProcess(tmp_path, best_level(), Limits()) as child:
            child.ask(load)
            starts.append(child.ask(build)[1])
            assert child.ask(build)[1] == starts[-1]
    assert starts[0] == starts[1]
    assert len(starts[0]) == 24


def test_time_of_the_checker_is_not_the_hand_ins(tmp_path):
    with ChildProcess(tmp_path, best_level(), Limits(seconds=1.0)) as child:
        for _ in range(3):
            child.ask({"do": "hello"})
            time.sleep(0.6)
        assert not child.lost


def test_seed_hangs_on_the_files_and_on_nothing_else(hand_in):
    known = read_hand_in(hand_in, best_level())
    digests = known.facts.digests
    assert "part1/lstm.py" in digests
    turned = HandIn(
        hand_in / "elsewhere",
        True,
        {},
        [],
        "",
        Facts(digests=dict(sorted(digests.items(), reverse=True))),
    )
    assert seed_of(known) == seed_of(turned)
    with (hand_in / "part1" / "lstm.py").open("a") as file:
        file.write("\n")
    assert seed_of(known) != seed_of(read_hand_in(hand_in, best_level()))
