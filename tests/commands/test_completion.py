"""Completion in a real bash."""

import shutil
import subprocess

import pytest

from digitspan.cli import COMMANDS, main

ASK = """
eval "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_digitspan
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def complete(capsys, tmp_path):
    """What the last of some words may become, in a folder with a file study.toml."""
    if shutil.which("bash") is None:
        pytest.skip("there is no bash")
    assert main(["--completion"]) == 0
    script = capsys.readouterr().out
    (tmp_path / "study.toml").touch()

    def ask(*words):
        call = ["bash", "-c", ASK, "bash", script, *words]
        done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return done.stdout.split()

    return ask


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["digitspan", ""], list(COMMANDS)),
        (["digitspan", "tr"], ["train"]),
        (["digitspan", "train", "peep"], ["peephole-lstm"]),
        (["digitspan", "train", "rnn", "--snap"], ["--snapshots"]),
        (["digitspan", "study", "qu"], ["quick"]),
        (["digitspan", "study", "study.t"], ["study.toml"]),
        (["digitspan", "look", "--fig"], ["--figures"]),
        (["digitspan", "show", "study.t"], ["study.toml"]),
        (["digitspan", "spam", "--"], []),
    ],
)
def test_words_are_completed(complete, words, expected):
    assert complete(*words) == expected
