"""Classes, scripts and banned calls are found by reading, however they are laid out."""

import json

import pytest
from check.bank import HEADER, lstm, rnn
from check.reader import read_sources

from digitspan.check.reading.source import (
    candidates,
    given_full_length,
    ready_made_calls,
    scripts_of,
)

EMPTY = "class {}:\n    def forward(self, x):\n        return x\n"


def in_files(files):
    return read_sources({name: text.encode() for name, text in files.items()})


@pytest.mark.parametrize(
    "name", ["VanillaRNN", "RNN", "Vanilla_RNN", "MyRNN", "SimpleRNN", "RNNModel"]
)
def test_rnn_is_found_by_its_names(name):
    [found] = candidates(in_files({"part1/x.py": rnn("separate", name=name)}), "rnn")
    assert found.name == name
    assert found.filled


@pytest.mark.parametrize("name", ["LSTM", "MyLSTM", "LSTMModel", "LSTMNet"])
def test_lstm_is_found_by_its_names(name):
    files = {"a/lstm.py": lstm("separate", name=name), "a/vanilla_rnn.py": rnn("separate")}
    [found] = candidates(in_files(files), "lstm")
    assert found.name == name


def test_first_part_is_preferred_and_templates_come_last():
    files = {
        "part2/lstm.py": lstm("separate"),
        "part1/lstm.py": lstm("separate"),
        "solution/part1/lstm.py": HEADER
        + "class LSTM(nn.Module):\n  def forward(self, x):\n    pass\n",
    }
    found = candidates(in_files(files), "lstm")
    assert found[0].source.name == "part1/lstm.py"
    assert not found[-1].filled


def test_cell_stands_behind_the_network_that_uses_it():
    text = lstm("separate") + "\n\n" + EMPTY.format("LSTMCell")
    assert candidates(in_files({"lstm.py": text}), "lstm")[0].name == "LSTM"


def test_notebook_is_read_without_the_lines_of_ipython():
    cells = [
        {
            "cell_type": "code",
            "source": ["%matplotlib inline\n", "!pip install x\n", "import torch"],
        },
        {"cell_type": "markdown", "source": "class LSTM"},
        {"cell_type": "code", "source": lstm("separate")},
        {"cell_type": "code", "source": "%%time\nfoo bar"},
    ]
    text = json.dumps({"cells": cells})
    [found] = candidates(in_files({"hand in.ipynb": text}), "lstm")
    assert found.source.notebook
    assert found.source.path == "hand in_notebook.py"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("print 'x'\n", "not Python 3"),
        ("<<<<<<< HEAD\nx = 1\n=======\nx = 2\n>>>>>>> b\n", "merge conflict"),
        ("x = '\0'", "not Python 3|cannot be read"),
    ],
)
def test_file_that_is_no_python_says_why(text, reason):
    [source] = in_files({"lstm.py": text})
    assert source.tree is None
    assert any(part in source.error for part in reason.split("|"))


def test_training_script_is_found():
    loop = "import torch\nfor x in y:\n    loss.backward()\n    opt.step()\n"
    files = {"part1/dataset.py": "x = 1", "part1/train.py": loop, "part2/train.py": loop}
    assert [script.name for script in scripts_of(in_files(files), set())] == ["part1/train.py"]
    assert scripts_of(in_files({"a.py": "x = 1"}), set()) == []


def test_script_of_each_network_is_found_though_it_gives_the_class_another_name():
    train = "from nets import {} as Net\nNet().f().backward()\no.step()\n"
    files = {f"train_{name}.py": train.format(name) for name in ("LSTM", "VanillaRNN")}
    found = scripts_of(in_files(files), {"LSTM", "VanillaRNN"})
    assert {script.name for script in found} == {"train_LSTM.py", "train_VanillaRNN.py"}


@pytest.mark.parametrize(
    ("line", "layer"),
    [
        ("        self.a = nn.Linear(3, 3)\n", "Linear"),
        ("        self.a = torch.nn.LSTM(3, 3)\n", "LSTM"),
        ("        self.a = F.linear(x, y)\n", "linear"),
        ("        self.a = nn.GRUCell(3, 3)\n", "GRUCell"),
        ("        from torch.nn import Embedding as E\n        self.a = E(3, 3)\n", "Embedding"),
    ],
)
def test_ready_made_layers_are_found_in_the_tree(line, layer):
    [source] = in_files({"lstm.py": lstm("separate", end=line)})
    assert [name for name, _ in ready_made_calls(source, "LSTM")] == [layer]


def test_what_the_class_does_not_reach_is_not_held_against_it():
    text = lstm("separate", end="        isinstance(self, nn.Linear)\n")
    text += (
        "\n\nclass Other(nn.Module):\n    def __init__(self):\n        self.a = nn.Linear(3, 3)\n"
    )
    [source] = in_files({"lstm.py": text})
    assert ready_made_calls(source, "LSTM") == []


@pytest.mark.parametrize(
    ("text", "longer"),
    [
        ("m = LSTM(c.input_length + 1, 1)", True),
        ("m = lstm.LSTM(seq_length=1 + c.input_length)", True),
        ("n = c.input_length + 1\nm = LSTM(n, 1)", True),
        ("m = LSTM(c.input_length, 1)\nd = PalindromeDataset(c.input_length + 1)", False),
    ],
)
def test_length_that_the_constructor_is_told_is_read(text, longer):
    assert given_full_length(in_files({"train.py": text}), "LSTM") is longer
