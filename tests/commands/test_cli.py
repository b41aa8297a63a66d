"""The command line: its options, its exit statuses, and what it does with bad input.

Bad input includes folders that cannot be used. Commands run in this process where that makes no
difference; where it matters what is imported, in one of their own.
"""

import argparse
import importlib.metadata
import json
import os
import random
import re
import shutil
import signal
import string
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import studies
from processes import PATH, Command, grace, wait_until

from digitspan import cli
from digitspan.cli import COMMANDS, command_parser, main
from digitspan.commands import study as study_command
from digitspan.commands import train as train_command
from digitspan.errors import UsageError
from digitspan.study.config import StudyConfig
from digitspan.study.store import Store

GOLDEN = Path(__file__).parents[1] / "golden" / "options.txt"
TESTS = Path(__file__).parents[1]
SMALL = ("--hidden-size", "8", "--batch-size", "8", "--train-steps", "50")
ENVIRONMENT = os.environ | {"PYTHONPATH": PATH}
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def call(capsys):
    """A function that runs a command: its exit status, what it printed, what it said."""

    def run(*words):
        capsys.readouterr()
        status = main([str(word) for word in words])
        output = capsys.readouterr()
        return status, output.out, output.err

    return run


def python(*words, folder, **options):
    """A command as a process."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        **options,
    )


def assert_refused(status, out, err):
    """Exit 2 and one sentence, nothing else."""
    assert "Traceback" not in err, err
    assert (status, out) == (2, ""), err
    assert len(err.strip().splitlines()) == 1, err
    assert err.startswith("digitspan"), err
    assert len(err) < 1000, err


def finished_study(folder):
    """A study of made-up rows."""
    config = StudyConfig(lengths=(5, 8, 10), seeds=3)
    folder.mkdir(parents=True, exist_ok=True)
    with Store.create(folder) as store:
        store.set_value("config", config.canonical)
        for row in studies.made_up_rows(config, lambda run: run.length < 10).values():
            store.add(row)
    return folder


# What there is --------------------------------------------------------------------------------


def options_text():
    """Every command with its options: words, arguments, choices, defaults."""
    lines = []
    for name in COMMANDS:
        lines.append(f"digitspan {name}")
        for action in command_parser(name)._actions:
            words = ", ".join(action.option_strings) or action.metavar
            takes = {0: "", None: "VALUE", "+": "VALUE ...", "*": "[VALUE ...]", "?": "[VALUE]"}
            metavar = action.metavar or takes[action.nargs]
            several = " ..." if action.nargs in {"+", "*"} else ""
            default = re.search(r"\(default: [^)]*\)", action.help or "")
            choices = f" one of {', '.join(action.choices)}" if action.choices else ""
            line = f"  {words} {metavar if action.option_strings else ''}{several}{choices}"
            lines.append(f"{line} {default.group() if default else ''}".rstrip())
    return "\n".join(lines) + "\n"


def test_options_are_the_golden_ones():
    # A changed option changes what people have in their scripts: say so in the changelog, and
    # write the list anew with `python tests/commands/test_cli.py`.
    assert options_text() == GOLDEN.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained(name):
    for action in command_parser(name)._actions:
        assert action.help, action
        assert action.help != argparse.SUPPRESS


@pytest.mark.parametrize("words", [["--help"], ["-h"], []])
def test_help_lists_every_command(words, call):
    status, out, err = call(*words)
    assert (status, err) == (0 if words else 2, "")
    assert all(f"  {name} " in out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command_is_printed(name, capsys):
    with pytest.raises(SystemExit, match=r"^0$"):
        main([name, "--help"])
    assert f"usage: digitspan {name}" in capsys.readouterr().out


@linux
@pytest.mark.parametrize("words", [["--help"], ["--version"], ["spam"]])
def test_help_takes_less_than_a_third_of_a_second(words, tmp_path):
    spent = []
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-m", "digitspan", *words],
            cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0
        spent.append(usage.ru_utime + usage.ru_stime)
    assert min(spent) < 0.3, f"CPU seconds: {spent}"


# Bad calls ---------------------------------------------------------------------------------------

TRAIN, STUDY = ("train", "rnn", "--length", "5"), ("study", "--out", "new")

BAD = [
    # The value is wrong.
    (("train", "rnn", "--length", "1"), "--length", "from 2 on", "1"),
    (("train", "rnn", "--length", "0"), "--length", "from 2 on", "0"),
    (("train", "rnn", "--length", "-5"), "--length", "from 2 on", "-5"),
    (("train", "rnn", "--length", "5.0"), "--length", "whole number", "5.0"),
    (("train", "rnn", "--length", "five"), "--length", "whole number", "five"),
    (("train", "rnn", "--length", ""), "--length", "whole number", "''"),
    (("train", "rnn", "--length", " 5"), "--length", "whole number", "' 5'"),
    (("train", "rnn", "--length", "5_0"), "--length", "whole number", "5_0"),
    (("train", "rnn", "--length", "٥"), "--length", "whole number", "٥"),
    (("train", "rnn", "--length", "５"), "--length", "whole number", "５"),
    (("train", "rnn", "--length", "1e1"), "--length", "whole number", "1e1"),
    (("train", "rnn", "--length", "0x10"), "--length", "whole number", "0x10"),
    (("train", "rnn", "--length", "9" * 30), "--length", "below 2^63", "999"),
    (("train", "rnn", "--length", "9" * 5000), "--length", "whole number", "999"),
    (("train", "rnn", "--length", "nan"), "--length", "whole number", "nan"),
    ((*TRAIN, "--learning-rate", "nan"), "--learning-rate", "above 0 and finite", "nan"),
    ((*TRAIN, "--learning-rate", "inf"), "--learning-rate", "above 0 and finite", "inf"),
    ((*TRAIN, "--learning-rate=-inf"), "--learning-rate", "above 0 and finite", "-inf"),
    ((*TRAIN, "--learning-rate", "1e400"), "--learning-rate", "above 0 and finite", "inf"),
    ((*TRAIN, "--learning-rate", "0"), "--learning-rate", "above 0 and finite", "0"),
    ((*TRAIN, "--learning-rate", "-0.0"), "--learning-rate", "above 0 and finite", "0"),
    ((*TRAIN, "--learning-rate", "1e-400"), "--learning-rate", "above 0 and finite", "0"),
    ((*TRAIN, "--learning-rate=-0.1"), "--learning-rate", "above 0 and finite", "-0.1"),
    ((*TRAIN, "--learning-rate", "fast"), "--learning-rate", "above 0 and finite", "fast"),
    ((*TRAIN, "--learning-rate", "٠.١"), "--learning-rate", "above 0 and finite", "٠.١"),
    ((*TRAIN, "--learning-rate", "1_0.0"), "--learning-rate", "above 0 and finite", "1_0.0"),
    ((*TRAIN, "--learning-rate", ""), "--learning-rate", "above 0 and finite", "''"),
    ((*TRAIN, "--learning-rate", "0,001"), "--learning-rate", "above 0 and finite", "0,001"),
    ((*TRAIN, "--hidden-size", "0"), "--hidden-size", "from 1 on", "0"),
    ((*TRAIN, "--hidden-size", "-1"), "--hidden-size", "from 1 on", "-1"),
    ((*TRAIN, "--batch-size", "0"), "--batch-size", "from 1 on", "0"),
    ((*TRAIN, "--train-steps", "0"), "--train-steps", "from 1 on", "0"),
    ((*TRAIN, "--seed", "-1"), "--seed", "from 0 on", "-1"),
    ((*TRAIN, "--seed", str(2**63)), "--seed", "below 2^63", str(2**63)),
    ((*TRAIN, "--max-grad-norm", "0"), "--max-grad-norm", "above 0 and finite", "0"),
    ((*TRAIN, "--max-grad-norm", "nan"), "--max-grad-norm", "above 0 and finite", "nan"),
    ((*TRAIN, "--encoding", "onehot"), "--encoding", "one-hot, scalar", "onehot"),
    ((*TRAIN, "--encoding", ""), "--encoding", "one-hot, scalar", "''"),
    ((*TRAIN, "--optimizer", "adamax"), "--optimizer", "sgd, momentum, adamw", "adamax"),
    ((*TRAIN, "--initialisation", "xavier"), "--initialisation", "uniform, normal", "xavier"),
    ((*TRAIN, "--initialisation", "chrono"), "--initialisation", "identity", "chrono"),
    ((*TRAIN, "--device", "tpu"), "--device", "auto", "tpu"),
    ((*TRAIN, "--out", ""), "--out", "must be a path", "empty text"),
    ((*TRAIN, "--out", "~nobody-of-that-name/x"), "--out", "must be a path", "~nobody"),
    # The cell is wrong.
    (("train", "lstn", "--length", "5"), "cell", "rnn, lstm", "did you mean lstm?"),
    (("train", "", "--length", "5"), "cell", "rnn, lstm", "''"),
    (("train", "RNN", "--length", "5"), "cell", "rnn, lstm", "RNN"),
    (("train", "module:", "--length", "5"), "cell", "module:Class", "module:"),
    (("train", ":Class", "--length", "5"), "cell", "module:Class", ":Class"),
    (("train", "a b:C", "--length", "5"), "cell", "module:Class", "a b:C"),
    (("train", "../x:C", "--length", "5"), "cell", "module:Class", "../x:C"),
    # The call is wrong.
    (("train",), "CELL", "required", "--help"),
    (("train", "rnn"), "--length", "from 2 on", "missing"),
    (("train", "rnn", "--length"), "--length", "expected", "--help"),
    (("train", "rnn", "lstm", "--length", "5"), "lstm", "unknown argument", "--help"),
    ((*TRAIN, "--lenght", "5"), "--lenght", "did you mean --length?", "--help"),
    ((*TRAIN, "--lr", "0.1"), "--lr", "did you mean --learning-rate?", "--help"),
    ((*TRAIN, "--budget=9"), "--budget=9", "did you mean --train-steps?", "--help"),
    (("study", "--lr", "0.1"), "--lr", "did you mean --learning-rates?", "--help"),
    (
        ("study", "--lengths", "5,10"),
        "--lengths",
        "spaces between its values: --lengths 5 10",
        "5,10",
    ),
    (("study", "--cells", "rnn, lstm"), "--cells", "with spaces between", "--cells rnn lstm"),
    ((*TRAIN, "--learning_rate", "1"), "--learning_rate", "--learning-rate", "unknown"),
    ((*TRAIN, "--len", "7"), "--len", "unknown argument", "--help"),
    (("trian", "rnn"), "trian", "did you mean train?", "--help"),
    (("",), "command", "train, study", "''"),
    (("--verbose",), "command", "train, study", "--verbose"),
    (("studies",), "command", "did you mean study?", "studies"),
    # A study is wrong.
    (("study", "sheets"), "preset", "quick, sheet, full", "did you mean sheet?"),
    (("study", ""), "preset", "quick, sheet, full", "''"),
    ((*STUDY, "--lengths", "5", "1"), "--lengths", "from 2 on", "1"),
    ((*STUDY, "--lengths"), "--lengths", "expected", "--help"),
    ((*STUDY, "--seeds", "0"), "--seeds", "from 1 on", "0"),
    ((*STUDY, "--seeds", "-3"), "--seeds", "from 1 on", "-3"),
    ((*STUDY, "--learning-rates", "0.1", "nan"), "--learning-rates", "finite", "nan"),
    ((*STUDY, "--learning-rates", "1e999"), "--learning-rates", "finite", "inf"),
    ((*STUDY, "--cells", "rnn", "gur"), "cell", "rnn, lstm, relu-rnn, gru", "gur"),
    ((*STUDY, "--encoding", "two-hot"), "--encoding", "one-hot, scalar", "two-hot"),
    ((*STUDY, "--initialisation", "zeros"), "--initialisation", "uniform", "zeros"),
    ((*STUDY, "--workers", "0"), "--workers", "from 1 to 1,024", "0"),
    ((*STUDY, "--workers", "-1"), "--workers", "from 1 to 1,024", "-1"),
    ((*STUDY, "--workers", "2.5"), "--workers", "from 1 to 1,024", "2.5"),
    ((*STUDY, "--workers", "²"), "--workers", "from 1 to 1,024", "²"),
    ((*STUDY, "--workers", "1" * 5000), "--workers", "from 1 to 1,024", "111"),
    ((*STUDY, "--hidden-size", "0"), "--hidden-size", "from 1 on", "0"),
    ((*STUDY, "--batch-size", "0"), "--batch-size", "from 1 on", "0"),
    ((*STUDY, "--train-steps", "0"), "--train-steps", "from 1 on", "0"),
    ((*STUDY, "--design", "joint", "--lengths", "5"), "--lengths", "left out", "--design grid"),
    ((*STUDY, "--runs", "50", "--lengths", "5"), "--runs", "left out", "--design joint"),
    (
        (*STUDY, "--design", "joint", "--learning-rates", "1"),
        "--learning-rates",
        "joint",
        "(1.0,)",
    ),
    ((*STUDY, "--runs", "50", "--learning-rates", "1"), "--runs", "left out of a grid", "50"),
    ((*STUDY, "--runs", "5"), "--runs", "from 20 on", "5"),
    ((*STUDY, "--fixed-rate", "2"), "--fixed-rate", "at most 1", "2"),
    ((*STUDY, "--fixed-runs", "9"), "--fixed-runs", "--fixed-rate", "9"),
    ((*STUDY, "--curriculum"), "--curriculum", "--design grid", "joint"),
    ((*STUDY, "--longest", "10"), "--longest", "from 20 on", "10"),
    ((*STUDY, "--continued-steps", "5"), "--continued-steps", "more than", "5"),
    ((*STUDY, "--config", "nowhere.toml"), "nowhere.toml", "expected a TOML file", "No such"),
    (("study", "nowhere.toml"), "nowhere.toml", "expected a TOML file", "No such"),
    ((*STUDY, "--config", "."), "cannot read .", "expected a TOML file", "directory"),
    ((*STUDY, "--runner", "spark"), "--runner", "local", "spark"),
    ((*STUDY, "--address", "head:6379"), "--address", "head:6379", "needs --runner ray"),
    ((*STUDY, "--durably"), "--durably", "did you mean --durable?", "unknown"),
    # What is to be shown is not there.
    (("show",), "STUDY", "required", "--help"),
    (("show", "nowhere"), "nowhere", "expected a folder with study.db", "digitspan study"),
    (("show", ""), "STUDY", "must be a path", "empty"),
    (("show", "."), "no study at '.'", "expected a folder with study.db", "digitspan study"),
    (("export", "nowhere"), "nowhere", "expected a folder with study.db", "digitspan study"),
    (("export", "n" * 5000), "nnn", "expected a folder with study.db", "digitspan study"),
    (("export", "a", "b"), "'b'", "unknown argument", "--help"),
    (("compare",), "STUDY", "required", "--help"),
    (("compare", "."), "no study at '.'", "expected a folder with study.db", "digitspan study"),
    (("compare", "a", "--level", "0.9"), "--level", "unknown argument", "--help"),
    (("compare", "a", "--budget", "many"), "--budget", "from 1 to", "many"),
    (("hold", "."), "no run at '.'", "a study's folder", "digitspan study"),
    (("look", "."), "no run at '.'", "a study's folder", "digitspan study"),
    (("merge", ".", "--out", "new"), "no study at '.'", "study.db", "digitspan study"),
]
"""Calls that are wrong: the words, and three things that the sentence must name."""

ABSURD = [
    (("train", "rnn", "--length", "10000000"), "GiB of memory"),
    (("train", "lstm", "--length", "5", "--hidden-size", "1000000"), "GiB of memory"),
    (("train", "lstm", "--length", "5", "--batch-size", "1000000000"), "GiB of memory"),
    (("train", "rnn", "--length", str(2**62)), "GiB of memory"),
    (("train", "rnn", "--length", "5", "--hidden-size", str(2**62)), "GiB of memory"),
    (("train", "rnn", "--length", "100", "--train-steps", "1000000000000"), "days or more"),
    ((*STUDY, "--seeds", "1000000000"), "more than 1,000,000"),
    ((*STUDY, "--runs", "1000000000"), "more than 1,000,000"),
    ((*STUDY, "--longest", "10000000"), "GiB of memory"),
    ((*STUDY, "--lengths", "5", "10000000"), "GiB of memory"),
    ((*STUDY, "--hidden-size", "1000000"), "GiB of memory"),
    ((*STUDY, "--train-steps", str(2**62)), "days or more"),
]
"""What would not fit into memory, or outlast a year."""


@pytest.fixture(scope="module")
def refused(tmp_path_factory):
    """What came of all calls of BAD and ABSURD, in one process and an empty folder."""
    calls = [words for words, *_ in BAD + ABSURD]
    done = python(
        str(TESTS / "calls.py"), folder=tmp_path_factory.mktemp("calls"), input=json.dumps(calls)
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(calls, json.loads(done.stdout), strict=True))


def short(words):
    return " ".join(words)[:50] if isinstance(words, tuple) else None


@pytest.mark.parametrize(("words", "named", "allowed", "got"), BAD, ids=short)
def test_bad_call_is_refused_in_one_sentence(words, named, allowed, got, refused):
    found = refused[words]
    assert_refused(found["status"], found["out"], found["err"])
    for part in (named, allowed, got):
        assert part in found["err"]


@pytest.mark.parametrize(("words", "why"), ABSURD, ids=short)
def test_absurd_size_is_refused_by_an_estimate(words, why, refused):
    found = refused[words]
    assert_refused(found["status"], found["out"], found["err"])
    assert why in found["err"]
    assert "choose" in found["err"]


def test_refusals_are_quick_import_no_torch_and_write_nothing(refused):
    assert len(BAD) >= 60
    for words, found in refused.items():
        assert found["seconds"] < 1, (words, found["seconds"])
        assert not found["torch"], words
        assert found["files"] == [], words


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="there may be a GPU")
@pytest.mark.parametrize("words", [("train", "rnn", "--length", "5"), ("study", "quick")])
def test_device_that_is_not_there_is_refused_before_anything_is_written(words, here, call):
    status, out, err = call(*words, "--device", "cuda")
    assert_refused(status, out, err)
    assert "--device must be one that is there (auto, cpu); got 'cuda'" in err
    assert os.listdir(here) == []


@pytest.mark.parametrize("words", [("train", "rnn", "--length", "5"), ("study", "quick")])
@pytest.mark.parametrize(
    ("version", "said"),
    [
        (None, "and none is installed; `pip install"),
        ("1.13.1+cu117", "or newer; got 1.13.1+cu117; `pip install"),
    ],
)
def test_torch_that_is_missing_or_too_old_is_a_sentence(
    words, version, said, here, call, monkeypatch
):
    def installed(name):
        if version is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(importlib.metadata, "version", installed)
    status, out, err = call(*words)
    assert_refused(status, out, err)
    assert said in err
    assert os.listdir(here) == []


OWN = {
    "missing_module:Cell": (None, "was not found (No module named 'missing_module')"),
    "own:Missing": ("", "was not found"),
    "own:Cell": ("def Cell(input_size): pass", "could not be built (TypeError: "),
    "own:value": ("value = 3", "could not be built (TypeError: "),
    "own:Number": ("def Number(**sizes): return 3", "must build a torch.nn.Module; got int"),
    "own:Broken": ("def this is not Python", "could not be built (SyntaxError: "),
    "own:Leaves": (
        "import sys\ndef Leaves(**sizes): sys.exit(0)",
        "could not be built (SystemExit: 0)",
    ),
    "own:Fails": ("def Fails(**sizes): raise OSError('no file')", "(OSError: no file)"),
}


@pytest.mark.parametrize("cell", OWN)
@pytest.mark.parametrize("command", ["train", "study"])
def test_own_cell_that_cannot_be_built_is_refused(command, cell, here, call, monkeypatch):
    code, said = OWN[cell]
    if code is not None:
        (here / "own.py").write_text(code, encoding="utf-8")
    before = os.listdir(here)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delitem(sys.modules, "own", raising=False)
    words = {
        "train": ("train", cell, "--length", "5", "--out", "new"),
        "study": ("study", "--cells", cell, "--lengths", "5", "--out", "new"),
    }[command]
    status, out, err = call(*words)
    sys.modules.pop("own", None)
    assert_refused(status, out, err)
    assert said in err
    assert cell.partition(":")[0] in err
    assert os.listdir(here) == before


TOML = {
    "lenghts = [5]": "lenghts is no word of a study: it must be one of",
    "lengths = 5.5": "--lengths must be a whole number from 2 on; got 5.5",
    "lengths = [5, 1]": "--lengths must be a whole number from 2 on; got 1",
    "cells = []": "--cells must name at least one; got none",
    "lengths = [[5]]": "--lengths must be a whole number",
    "lengths = {a = 5}": "--lengths must be",
    "seeds = true": "--seeds must be a whole number from 1 on; got True",
    "seeds = [3]": "--seeds must be a whole number",
    "seeds = '3'": "--seeds must be a whole number from 1 on; got '3'",
    "learning-rates = [nan]": "--learning-rates must be above 0 and finite; got nan",
    "learning-rates = [inf]": "--learning-rates must be above 0 and finite; got inf",
    "learning-rates = 1979-05-27": "--learning-rates must be",
    "cells = [3]": "--cells must be text; got 3",
    "cells = [['rnn']]": "must be",
    "encoding = 'both'": "--encoding must be one of one-hot, scalar; got 'both'",
    "encoding = [1]": "--encoding must be one of one-hot, scalar; got '1'",
    "initialisation = [[]]": "must be",
    "optimizer = ['adam']": "must be",
    "climb = 3": "--climb must be",
    "longest = [5]": "--longest must be",
    "controls = 'yes'": "--controls must be",
    "note = 3": "--note must be",
    "workers = 0": "--workers must be a whole number from 1 to 1,024; got '0'",
    "workers = true": "--workers must be",
    "workers = '2'": "--workers must be",
    "workers = [2]": "--workers must be",
    "device = 'gpu'": "--device",
    "device = 1": "--device must be",
    "digit-span = 3": "--digit-span must be true or false; got 3",
    "runner = 'spark'": "--runner",
    "address = 6379": "--address must be",
    "preset = []": "--preset must be",
    "lengths = [5": "is not TOML",
    f"lengths = {'[' * 5000}": "is not TOML",
    "\x00": "is not TOML",
    "lengths = [5]\nlengths = [6]": "is not TOML",
    "[lengths]\na = 1": "--lengths must be",
    "[study]\nlengths = [5]": "study is no word of a study",
}


@pytest.mark.parametrize("text", TOML, ids=lambda text: text[-24:].strip().replace("\x00", "NUL"))
def test_bad_config_file_is_refused_in_one_sentence(text, here, call):
    (here / "a study.toml").write_text(text, encoding="utf-8")
    status, out, err = call("study", "--config", "a study.toml", "--out", "new")
    assert_refused(status, out, err)
    assert TOML[text] in err
    assert os.listdir(here) == ["a study.toml"]


@pytest.mark.parametrize("content", [b"\xff\xfea", b"\x80" * 100, b"lengths = [5]\n\xc3("])
def test_config_file_that_is_no_text_is_refused(content, here, call):
    (here / "x.toml").write_bytes(content)
    status, out, err = call("study", "x.toml")
    assert_refused(status, out, err)
    assert "x.toml is no text in UTF-8 or UTF-16" in err
    assert "save it as UTF-8" in err


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
def test_config_file_that_notepad_or_powershell_wrote_is_read(encoding, here, call):
    (here / "x.toml").write_text('note = "Müller"\r\nseeds = 0\r\n', encoding=encoding)
    status, out, err = call("study", "x.toml")
    assert_refused(status, out, err)
    assert "--seeds must be" in err


def test_unknown_word_in_a_config_file_names_the_nearest_known_one(here, call):
    (here / "x.toml").write_text("lenghts = [5]", encoding="utf-8")
    assert "did you mean lengths?" in call("study", "x.toml")[2]


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        ("", (), {"device": "cpu", "cluster": None}),
        ("workers = 3\ndevice = 'auto'", (), {"workers": 3, "device": "auto"}),
        (
            "workers = 3\ndevice = 'auto'",
            ("--workers", "2", "--device", "cpu"),
            {"workers": 2, "device": "cpu"},
        ),
        ("runner = 'ray'", (), {"cluster": "local"}),
        ("runner = 'ray'\naddress = 'h:1'", (), {"cluster": "h:1"}),
        ("runner = 'ray'", ("--runner", "local"), {"cluster": None}),
    ],
)
def test_config_file_says_how_a_study_is_run_unless_an_option_does(
    text, words, expected, here, call, monkeypatch
):
    class Asked(Exception):
        pass

    def run_study(config, folder, **how):
        raise Asked(how)

    monkeypatch.setattr("digitspan.commands.study.run_study", run_study)
    (here / "x.toml").write_text(f"lengths = [5]\n{text}", encoding="utf-8")
    with pytest.raises(Asked) as caught:
        call("study", "x.toml", *words)
    how = caught.value.args[0]
    assert {name: how[name] for name in expected} == expected


# T = 2 -------------------------------------------------------------------------------------------


def test_length_two_runs_with_a_warning(here, call):
    status, out, err = call("train", "rnn", "--length", "2", *SMALL)
    assert status == 0
    assert "T = 2 needs no memory: the only digit read is the answer" in err
    assert out.startswith("rnn T=2 seed=0: ")


# Folders and paths -------------------------------------------------------------------------------


def bad_folders(base):
    """Folders that cannot be used, by what is wrong with them."""
    (base / "file").write_text("kept")
    (base / "dangling").symlink_to(base / "nowhere" / "at all")
    (base / "loop").symlink_to(base / "loop")
    return {
        "a file": "file",
        "below a file": "file/below",
        "far below a file": "file/a/b/c",
        "a dangling link": "dangling",
        "a link to itself": "loop",
        "a long name": "n" * 300,
        "a long name below a new folder": f"new/{'n' * 300}",
        "a long path": "/".join(["n" * 200] * 25),
        "a device": "/dev/null",
        "where the system allows none": "/proc/digitspan",
    }


@linux
@pytest.mark.parametrize("words", [("train", "rnn", "--length", "5", *SMALL), ("study", "quick")])
def test_folder_that_cannot_be_used_is_refused_before_training(words, here, call, monkeypatch):
    def never(*arguments, **options):
        pytest.fail("it began to train")

    monkeypatch.setattr(train_command, "_train", never)
    monkeypatch.setattr("digitspan.study.runner.Pool", never)
    folders = bad_folders(here)
    before = sorted(os.listdir(here))
    for name, folder in folders.items():
        status, out, err = call(*words, "--out", folder)
        assert_refused(status, out, err)
        assert "--out must be a folder that can be written; got" in err, name
        assert err.strip().endswith("choose another with --out"), name
        assert sorted(os.listdir(here)) == before, f"{name}: something was left"
    assert (here / "file").read_text() == "kept"


@linux
@pytest.mark.parametrize("command", ["train", "study"])
def test_folder_without_permission_is_refused(command, tmp_path):
    # root may write anywhere: it becomes an ordinary user first, once all is imported.
    place = Path("/tmp") / f"digitspan-{os.getpid()}-{command}"
    place.mkdir(mode=0o755)
    try:
        place.chmod(0o555)
        words = {"train": ["train", "rnn", "--length", "5"], "study": ["study", "quick"]}[command]
        become = (
            f"import os, sys; from digitspan.cli import main; "
            f"from digitspan.commands import {command}; "
            f"{command}.require_trainable = lambda configs, device: None; "
            f"os.geteuid() or (os.setgroups([]), os.setgid(65534), os.setuid(65534)); "
            f"sys.exit(main(sys.argv[1:]))"
        )
        done = python("-c", become, *words, "--out", str(place / "new"), folder="/")
        assert_refused(done.returncode, done.stdout, done.stderr)
        assert "Permission denied; choose another with --out" in done.stderr
    finally:
        place.chmod(0o755)
        shutil.rmtree(place)


NAMES = [
    "with spaces",
    " leading",
    "🧠 emoji",
    "Straße",
    "日本語",
    "quote'\"s",
    "--looks-like-an-option",
    "semi;colon & ampersand",
    "percent %41 #hash ?query",
    "new\nline",
    "a" * 250,
    "dots..",
    "star*[a]",
    "$HOME",
    "back\\slash",
    "tab\tin it",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_path_can_be_shown_and_exported(name, here, call, tmp_path):
    study = finished_study(here / name)
    expected = call("export", study)[1]
    assert len(expected.splitlines()) == 1 + 2 * 3 * 3
    where = f"./{name}"
    assert call("export", where) == (0, expected, "")
    assert call("export", f"{where}/study.db") == (0, expected, "")
    status, out, err = call("show", where, "--no-figures")
    assert (status, err) == (0, "")
    assert "RNN" in out


def test_study_is_found_through_a_link_and_from_another_folder(here, call, monkeypatch):
    expected = call("export", finished_study(here / "a" / "study"))[1]
    (here / "link").symlink_to(here / "a" / "study")
    (here / "b").mkdir()
    assert call("export", "link")[1] == expected
    monkeypatch.chdir(here / "b")
    assert call("export", "../link")[1] == expected
    assert call("export", "../a/./study/../study")[1] == expected


@pytest.mark.parametrize("name", ["🧠 with spaces", "nested/🧠/deep", "a" * 250])
def test_run_is_kept_under_any_path(name, here, call):
    status, out, err = call("train", "rnn", "--length", "5", *SMALL, "--out", name)
    assert status == 0, err
    assert sorted(os.listdir(here / name)) == [
        "config.json",
        "curve.csv",
        "record.json",
        "weights.safetensors",
    ]
    assert call("train", "rnn", "--length", "5", *SMALL, "--out", name)[1] == out


# Exit statuses, and what happens to the output ---------------------------------------------------


def test_show_and_export_never_import_torch(tmp_path):
    finished_study(tmp_path / "study")
    calls = [
        ["--help"],
        ["export", "study"],
        ["show", "study", "--json"],
        ["show", "study", "--csv"],
        ["show", "study", "--out", "new folder/🧠"],
    ]
    before = sorted(os.listdir(tmp_path / "study"))
    done = python(str(TESTS / "calls.py"), folder=tmp_path, input=json.dumps(calls))
    assert done.returncode == 0, done.stderr
    for words, found in zip(calls, json.loads(done.stdout), strict=True):
        assert (found["status"], found["torch"]) == (0, False), words
        assert found["out"], words
    figures = tmp_path / "new folder" / "🧠"
    assert (figures / "accuracy-by-length.png").stat().st_size > 1000
    assert sorted(os.listdir(tmp_path / "study")) == before


TALKS = """
import json, threading, time
from own_cells import Still

json.JSONEncoder.encode = json.JSONEncoder.iterencode = lambda *_, **__: "patched"

def talk():
    while True:
        print("hello from a thread", flush=True)
        time.sleep(0.001)

threading.Thread(target=talk, daemon=True).start()
"""


def test_json_is_one_document_whatever_a_cells_module_does(tmp_path):
    """Its thread prints until the process ends, and its JSON is another."""
    (tmp_path / "talks.py").write_text(TALKS)
    words = ["-m", "digitspan", "train", "talks:Still", "--length", "5", "--json"]
    done = python(*words, "--hidden-size", "4", "--batch-size", "4", "--train-steps", "50",
                  folder=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "hello from a thread" in done.stderr
    assert json.loads(done.stdout)["cell"] == "talks:Still"


def test_json_is_one_document_and_nothing_else(here, call):
    finished_study(here / "study")
    status, out, err = call("show", "study", "--json")
    assert (status, err) == (0, "")
    assert set(json.loads(out)) >= {"spans", "runs"}
    status, out, _ = call("train", "rnn", "--length", "5", *SMALL, "--json")
    document = json.loads(out)
    named = "cell length seed learning_rate encoding end_state steps accuracy accuracy_low"
    assert set(document) >= {*named.split(), "accuracy_high", "held_out", "seconds", "run"}


@linux
def test_full_disk_under_the_output_is_a_sentence(tmp_path):
    finished_study(tmp_path / "study")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "digitspan", "export", "study"],
            cwd=tmp_path, env=ENVIRONMENT, stdout=full, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "digitspan: cannot go on: No space left on device\n"


@linux
def test_reader_that_has_gone_is_no_fault(tmp_path):
    finished_study(tmp_path / "study")
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "digitspan", "export", "study"],
        cwd=tmp_path, env=ENVIRONMENT, stdout=write, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


@linux
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_streams_that_the_caller_has_closed_are_no_fault(closed, tmp_path):
    """Nor are they written into a file that would have their numbers."""
    store = finished_study(tmp_path / "study") / "study.db"
    before = store.read_bytes()
    done = subprocess.run(
        ["sh", "-c", f'"$0" -m digitspan export study {closed}', sys.executable],
        cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert bool(done.stdout) == (">&-" not in closed.replace("2>&-", ""))
    assert store.read_bytes() == before


def test_output_that_was_printed_is_not_lost_with_the_figures(here, call, monkeypatch):
    finished_study(here / "study")

    def full(*arguments):
        raise OSError(28, "No space left on device", "x.svg")

    monkeypatch.setattr("digitspan.figures.write_study_figures", full)
    status, out, err = call("show", "study")
    assert (status, err) == (1, "digitspan: cannot go on: x.svg No space left on device\n")
    assert "RNN" in out


def test_fault_of_ours_is_a_traceback(monkeypatch):
    def fault(words):
        message = "a fault of ours"
        raise RuntimeError(message)

    monkeypatch.setattr(cli, "_run", fault)
    with pytest.raises(RuntimeError, match="a fault of ours"):
        main(["show", "x"])


def test_error_of_several_lines_becomes_one_sentence(monkeypatch, call):
    def refuse(words):
        message = "one\ntwo"
        raise UsageError(message)

    monkeypatch.setattr(cli, "_run", refuse)
    assert call("spam") == (2, "", "digitspan: one two\n")


LONG = ("train", "rnn", "--length", "40", "--learning-rate", "1e-5", "--train-steps", "100000")


def test_ctrl_c_in_training_ends_with_130_and_the_run_goes_on(here, capsys):
    words = ["train", "rnn", "--length", "8", "--train-steps", "1500", "--learning-rate", "1e-6",
             "--hidden-size", "16", "--batch-size", "16"]  # fmt: skip
    assert main([*words, "--json", "--out", "whole"]) == 0
    whole = json.loads(capsys.readouterr().out)
    timer = threading.Timer(whole["seconds"] / 2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(SystemExit, match=r"^130$"):
        main([*words, "--json", "--out", "cut"])
    output = capsys.readouterr()
    assert output.out == ""
    assert "interrupted: what was trained is kept; call again to go on" in output.err
    assert (here / "cut" / "checkpoint").exists()
    assert main([*words, "--json", "--out", "cut"]) == 0
    cut = json.loads(capsys.readouterr().out)
    different = {name for name in whole if whole[name] != cut[name]}
    assert different <= {"seconds", "run"}
    for name in ("curve.csv", "weights.safetensors", "config.json"):
        assert (here / "cut" / name).read_bytes() == (here / "whole" / name).read_bytes()
    assert sorted(os.listdir(here / "cut")) == sorted(os.listdir(here / "whole"))


@linux
@pytest.mark.parametrize("times", [1, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_train_that_is_interrupted_ends_at_once_wherever_it_is(number, times, tmp_path):
    # While torch is imported, at the first steps, in the midst of training.
    chance, longest = random.Random(times), 0.0
    for attempt in range(times):
        command = Command("-m", "digitspan", *LONG, "--out", f"run-{attempt}", folder=tmp_path)
        wait_until((tmp_path / f"run-{attempt}" / "config.json").exists)
        time.sleep(chance.uniform(0, 1 if times == 1 else 6))
        sent = time.monotonic()
        command.send(number)
        assert command.wait(20) == 128 + number
        longest = max(longest, time.monotonic() - sent)
        assert command.gone_after(1 + grace()), "orphans"
        assert "Traceback" not in command.said()
    assert longest < 2 + grace(), f"it took {longest:.1f} s"
    print(f"{times} times signal {number}: longest {longest:.2f} s")


# Random calls ------------------------------------------------------------------------------------

FUZZED = ("train", "study", "show", "export")
"""The others have tests of their own, and some of them take their time."""

VALUES = [
    "", " ", "0", "1", "2", "5", "8", "-1", "-0", "1.5", "nan", "inf", "-inf", "1e400", "1e-400",
    "1e-3",
    "10000000", str(2**63), str(-(2**63)), "9" * 400, "0x1F", "1_0", "٣", "²", "½", "one-hot",
    "scalar",
    "rnn", "lstm", "os:path", "os:", ":", "a:b:c", "uniform", "chrono", "quick", "study", "x.toml",
    "--", "-", "-x", "--seed", "=", "--length=5", "--lengths=5", "🧠", "\u202e", "a" * 300,
    "/", ".",
    "..",
    "~", "~nobody-at-all", "/dev/null", "/proc/self/status", "study/study.db", "%s", "{}", "{0}",
    "$(true)",
    "\n", "a\nb", "\t", "'", '"', "\\", "None", "True", "[5]",
]  # fmt: skip


def random_words(chance):
    """A random call: mostly a command with its own options, sometimes anything at all."""
    name = chance.choice([*FUZZED, *FUZZED, *FUZZED, chance.choice(VALUES)])
    words = [name] if chance.random() < 0.95 else []
    if name not in FUZZED or chance.random() < 0.1:
        return words + chance.choices(VALUES, k=chance.randrange(6))
    ours = {"train": ["rnn", "--length", "5"], "study": [], "show": ["study"], "export": ["study"]}
    if chance.random() < 0.7:
        words += ours.get(name, [])
    flags = [flag for action in command_parser(name)._actions for flag in action.option_strings]
    for _ in range(chance.randrange(5)):
        words.append(chance.choice(flags))
        if chance.random() < 0.8:
            words += chance.choices(VALUES, k=chance.choice((1, 1, 1, 2, 3)))
    return words


def random_toml(chance):
    """A random configuration file."""
    names = list(StudyConfig.__dataclass_fields__)
    values = (
        "5|[5, 8]|0.5|true|nan|-inf|'rnn'|['rnn']|['lstm', 3]|[]|{}|{a = 1}|[[5]]|1979-05-27|"
        "1e400|"
        "99999999999999999999|''|'one-hot'|['uniform', 'normal']|'\\u0000'|x|["
    ).split("|")
    lines = []
    for _ in range(chance.randrange(1, 5)):
        name = chance.choice(names)
        if chance.random() < 0.2:
            name = chance.choice(
                ("lenghts", "'🧠'", "a.b", "[study]", '""', name.replace("_", "-"))
            )
        lines.append(f"{name} = {chance.choice(values)}")
    text = "\n".join(lines)
    if chance.random() < 0.1:
        place = chance.randrange(len(text) + 1)
        text = text[:place] + chance.choice(string.printable) + text[place:]
    return text.encode()


@pytest.mark.parametrize("times", [400, pytest.param(10_000, marks=pytest.mark.slow)])
def test_random_call_is_done_or_refused(times, here, capsys, monkeypatch):
    # Nothing is trained: what would be is answered with a made-up record, or with no rows yet.
    def no_training(config, folder, device, snapshots):
        return studies.made_up_record(config, solved=True), 1.0

    def no_study(config, folder, **options):
        if len(str(config.lengths)) > 200:
            pytest.fail("an absurd study was let through")
        return {}

    monkeypatch.setattr("digitspan.training.trial.try_cell", lambda config, device: None)
    monkeypatch.setattr(study_command, "try_apart", lambda configs, device: None)
    monkeypatch.setattr(train_command, "_train", no_training)
    monkeypatch.setattr(study_command, "run_study", no_study)
    monkeypatch.setattr("digitspan.figures.write_study_figures", lambda summary, folder: [])
    chance, statuses = random.Random(times), {0: 0, 2: 0}
    finished_study(here / "study")
    for number in range(times):
        toml = random_toml(chance)
        (here / "x.toml").write_bytes(toml)
        words = ["study", "x.toml"] if number % 4 == 0 else random_words(chance)
        try:
            status = main(words)
        except SystemExit as error:  # --help ends like this
            status = error.code
        except BaseException as error:
            message = f"call {number}: {words} {toml if words[1:] == ['x.toml'] else ''}"
            raise AssertionError(message) from error
        output = capsys.readouterr()
        assert status in {0, 2}, (words, toml, output.err)
        assert "Traceback" not in output.err
        if status == 2 and words:
            assert len(output.err.strip().splitlines()) == 1, (words, output.err)
        statuses[status] += 1
        if len(os.listdir(here)) > 40:
            for path in here.iterdir():
                if path.name not in {"study", "x.toml"}:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert min(statuses.values()) > times / 50, statuses
    print(f"{times} random calls: {statuses[0]} done, {statuses[2]} refused, 0 tracebacks")


if __name__ == "__main__":
    GOLDEN.write_text(options_text(), encoding="utf-8")
