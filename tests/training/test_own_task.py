"""A task of one's own: read and not run, held to what it says, trained on, and sealed."""

import dataclasses
import math
import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from digitspan.cells.answers import answers_of_last
from digitspan.cli import main
from digitspan.commands.options import sigterm_exits
from digitspan.errors import ConfigError, UsageError
from digitspan.runs.config import RunConfig
from digitspan.runs.own_task import facts_of
from digitspan.study.config import StudyConfig
from digitspan.study.crew import task_trial
from digitspan.study.crew import trial as crew_trial
from digitspan.study.plan import plan
from digitspan.study.reading import read_study
from digitspan.tasks import task_of
from digitspan.tasks.questions import encode
from digitspan.training.engine import load_network
from digitspan.training.own_task import OwnTask
from digitspan.training.run import train
from digitspan.training.trial import try_run

EXAMPLES = Path(__file__).parents[2] / "examples"
TRY_APART = task_trial.try_tasks_apart

HEAD = "import torch\nclass Echo:\n    symbols = 5\n    answers: int = 2 + 3\n    chance = 5**-2\n"
DRAW = """    def draw(self, length, count, generator):
        read = torch.randint(5, (count, length), generator=generator)
        return read, read[:, -2:]
"""
"""Says the two symbols read last, each while it is read."""


def write(folder, text, name="mine"):
    """A module of one's own in the current folder, under a name that no other test has."""
    (folder / f"{name}.py").write_text(text)
    return f"{name}:Echo"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # What it finds out, the trial in this process does too; a process each would take seconds.
    monkeypatch.setattr(task_trial, "try_tasks_apart", lambda configs: None)
    monkeypatch.setattr(crew_trial, "try_tasks_apart", lambda configs: None)
    yield tmp_path
    for name, module in list(sys.modules.items()):  # these alone: torch imports parts of it late
        if (getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            sys.modules.pop(name)


def run_of(task, **settings):
    values = {"cell": "lstm", "length": 4, "hidden_size": 12, "train_steps": 400} | settings
    return RunConfig(task=task, learning_rate=0.03, **values).with_source()


# What it says of itself


def test_facts_are_read_and_nothing_is_run(here):
    task = write(here, "raise SystemExit('run')\n" + HEAD + DRAW)
    _, *facts = facts_of(task).split(" ")
    assert facts == ["5", "5", "0.04"]
    config = run_of(task)
    assert (config.input_size, config.num_classes, config.chance) == (5, 5, 0.04)
    assert config.items is None
    assert config.guessing_loss is None
    assert "mine" not in sys.modules


@pytest.mark.parametrize(
    ("first", "coding"), [("", "utf-8-sig"), ("# coding: latin-1\n# \xe9\n", "latin-1")]
)
def test_a_file_has_any_coding_that_python_takes(here, first, coding):
    task = write(here, "")
    (here / "mine.py").write_bytes((first + HEAD + DRAW).encode(coding))
    try_run(run_of(task))
    (here / "mine.py").write_bytes(("# coding: ebcdic\n" + HEAD).encode())
    with pytest.raises(UsageError, match=r"the text of mine:Echo cannot be read \(unknown enc"):
        facts_of(task)


def test_runs_are_known_by_the_source_of_their_task(here):
    before = run_of(write(here, HEAD + DRAW))
    after = run_of(write(here, HEAD + DRAW + "# another one\n"))
    assert before.key != after.key
    assert before.run_id != after.run_id
    assert ":" not in before.run_id
    again = RunConfig.from_canonical(before.canonical)
    assert again == before  # what is known of it is in the configuration, and needs no file
    (here / "mine.py").unlink()
    assert again.chance == 0.04


def test_without_its_facts_nothing_is_known_of_it():
    config = RunConfig(cell="rnn", length=4, task="mine:Echo")
    with pytest.raises(ConfigError, match=r"mine:Echo is not read yet: `with_source\(\)`"):
        _ = config.input_size
    with pytest.raises(ConfigError, match="must be a hash, symbols, answers and chance"):
        dataclasses.replace(config, task_facts="0123456789abcdef 5 5 2")
    with pytest.raises(ConfigError, match="and empty for a task of digitspan's; got 'x'"):
        RunConfig(cell="rnn", length=4, task_facts="x")
    assert task_of("mine:Echo", "0123456789abcdef 5 6 0.5").answers == 6


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (HEAD.replace("symbols = 5", "symbols = len('abcde')"), "does not say its symbols"),
        (HEAD.replace("chance", "luck"), "does not say its chance: expected `chance = ...`"),
        (HEAD.replace("symbols = 5", "symbols = 1"), "says symbols = 1, answers = 5"),
        (HEAD.replace("5**-2", "5**2"), r"chance = 25; expected .* between 0 and 1"),
        (HEAD.replace("5**-2", "1e999"), "says symbols = 5, answers = 5, chance = inf"),
        (HEAD.replace("5**-2", "0**-1"), "does not say its chance"),
        (HEAD.replace("symbols = 5", "symbols = True"), "does not say its symbols"),
        (HEAD.replace("class Echo", "class Other"), "its module has no class Echo"),
        ("class Echo(\n", "cannot be read"),
    ],
)
def test_what_it_does_not_say_is_refused_in_a_sentence(here, text, sentence):
    with pytest.raises(UsageError, match=sentence):
        facts_of(write(here, text))


def test_other_settings_that_do_not_go_with_it_are_refused(here):
    task = write(here, HEAD + DRAW)
    for settings, sentence in (
        ({"encoding": "scalar"}, "encoding must be one-hot for the task mine:Echo"),
        ({"curriculum": True}, "curriculum must be left out of a task of one's own"),
        ({"order": "forward"}, "order must be left out of the task mine:Echo"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            run_of(task, **settings)
    for name in ("echo", "a b:C", "mine:", ":Echo", "mine:Echo:more"):
        with pytest.raises(ConfigError, match=r"must be one of palindrome, .* module:Class"):
            RunConfig(cell="rnn", length=4, task=name)


# What it draws


def test_a_draw_is_decided_by_the_generator_alone(here):
    text = DRAW.replace(
        "return read", "read[:, 0] = torch.randint(5, (count,))\n        return read"
    )
    task = OwnTask(run_of(write(here, HEAD + text)))

    def draw(seed):
        generator = torch.Generator().manual_seed(seed)
        return task.draw_batches(4, 3, 6, generator, torch.device("cpu"))

    one, again, other = draw(1), draw(1), draw(2)
    assert len(one) == 3
    assert all(batch.inputs.shape == (6, 4) and batch.asked == 2 for batch in one)
    for batch, same in zip(one, again, strict=True):
        assert torch.equal(batch.inputs, same.inputs)
        assert torch.equal(batch.targets, batch.inputs[:, -2:].long())
    assert not torch.equal(one[0].inputs, other[0].inputs)
    assert not torch.equal(one[0].inputs, one[1].inputs)
    validation, test = (task.held_out(4, part).questions for part in ("validation", "test"))
    assert (len(validation.inputs), len(test.inputs)) == (500, 2_000)
    assert not torch.equal(validation.inputs, test.inputs[:500])


@pytest.mark.parametrize("made", ["to(torch.uint64)", "to(torch.uint16)", "to_sparse()", "bool()"])
def test_whole_numbers_of_any_kind_are_drawn(here, made):
    text = HEAD + DRAW.replace("read, read", f"read.{made}, read.{made}.to_dense()")
    task = OwnTask(run_of(write(here, text)))
    inputs, targets = task.held_out(4, "test").questions
    assert torch.equal(targets, inputs[:, -2:])
    expected = [0, 1] if made == "bool()" else list(range(5))
    assert inputs.unique().tolist() == expected


def test_what_it_sets_for_everybody_is_as_it_was(here):
    text = DRAW.replace(
        "        read",
        "        torch.set_default_dtype(torch.float64)\n        torch.manual_seed(0)\n"
        "        import random; random.seed(0)\n        print('drawing')\n        read",
        1,
    )
    states = [torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()]
    task = OwnTask(run_of(write(here, HEAD + text)))
    task.held_out(4, "test")
    assert torch.get_default_dtype() == torch.float32
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert np.random.get_state()[1].tolist() == states[2]


@pytest.mark.parametrize(
    ("draw", "sentence"),
    [
        ("read, read[:, -2:] + 1", r"draws targets from 1 to 5, and says answers = 5: expected "
         r"whole numbers from 0 to 4"),
        ("read - 1, read[:, -2:]", "draws inputs from -1 to 3, and says symbols = 5"),
        ("read.float(), read[:, -2:]", r"draws inputs \(count, steps\) as torch.float32"),
        ("read, read[:, -2:].tolist()", r"draws targets .* as list, expected a tensor of whole"),
        ("read[:-1], read[:-1, -2:]", r"draws inputs .* of the shape \(\d+, 4\) where count ="),
        ("read, read[:, :, None]", r"draws targets .* of the shape \(\d+, 4, 1\)"),
        ("read, torch.cat([read, read], 1)", "asks for 8 answers in 4 steps"),
        ("read, read[:, :0]", r"draws targets .* of the shape \(\d+, 0\)"),
        ("read", "draws a Tensor, expected two tensors, inputs and targets"),
        ("read, read, 1", "draws a tuple of 3, expected two tensors, inputs and targets"),
        ('read.to("meta"), read[:, -2:]', r"cannot be drawn at T = 4 \(.* out of meta tensor"),
        ("read, (read - 1)[:, -2:].to(torch.uint64)", "draws targets from -1 to 3"),
        ("read * 0, read[:, -2:] * 0", "draws the same batch whatever the generator is"),
        ("read, 1 / 0", r"cannot be drawn at T = 4 \(ZeroDivisionError: division by zero\)"),
    ],
)  # fmt: skip
def test_a_draw_that_cannot_be_trained_on_is_refused_in_a_sentence(here, draw, sentence):
    task = write(here, HEAD + DRAW.replace("read, read[:, -2:]", draw))
    with pytest.raises(UsageError, match=f"^task 'mine:Echo' {sentence}"):
        try_run(run_of(task))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (HEAD, r"has no method draw\(length, count, generator\)"),
        (HEAD + "    def __init__(self, size): pass\n" + DRAW, "be built without arguments"),
        (HEAD + "    drawn = []\n" + DRAW.replace(
            "        return", "        self.drawn.append(0)\n        read[:, 0] = "
            "len(self.drawn) % 5\n        return"), "draws otherwise when it is asked again"),
    ],
)  # fmt: skip
def test_a_class_that_is_no_task_is_refused_in_a_sentence(here, text, sentence):
    with pytest.raises(UsageError, match=sentence):
        try_run(run_of(write(here, text)))


RARELY = DRAW.replace("return read, read[:, -2:]", "return read, read[:, -2:] + {}")
"""Leaves its classes where some condition holds."""

TRAIN = ["--length", "4", "--hidden-size", "4", "--batch-size", "4", "--train-steps", "100"]


@pytest.mark.parametrize("condition", ["(count == 200)", "(count == 500)", "(count == 2000)"])
def test_a_draw_that_only_the_run_makes_is_tried_before_anything_is_written(
    here, condition, capsys
):
    """50 batches of 4 at once, validation and test."""
    task = write(here, HEAD + RARELY.format(condition))
    before = set(here.iterdir())
    assert main(["train", "rnn", "--task", task, *TRAIN, "--out", "run"]) == 2
    assert "draws targets from 1 to 5, and says answers = 5" in capsys.readouterr().err
    assert set(here.iterdir()) - before <= {here / "__pycache__"}


def test_a_draw_that_is_refused_in_training_leaves_nothing(here, capsys):
    """The run draws the same block as the trial, and then others."""
    text = (
        HEAD
        + "    drawn = []\n"
        + RARELY.format("(len(self.drawn) > 20)").replace(
            "        read", "        self.drawn.append(count)\n        read", 1
        )
    )
    task = write(here, text)
    words = ["train", "rnn", "--task", task, *TRAIN, "--train-steps", "1000", "--out", "deep/run"]
    assert main(words) == 2
    assert "draws targets from 1 to 5" in capsys.readouterr().err
    assert sys.modules["mine"].Echo.drawn[16:] == [200, 500, 200, 200, 200]  # 16 in the trial
    assert not (here / "deep").exists()


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("exit('enough')", "SystemExit: enough"),
        ("raise GeneratorExit", "GeneratorExit: "),
        ("raise type('Own', (BaseException,), {})('mine')", "Own: mine"),
        ("raise type('Mute', (Exception,), {'__str__': lambda _: 1 / 0})", "Mute"),
    ],
)
@pytest.mark.parametrize("where", ["draw", "__init__", "import"])
def test_whatever_it_raises_ends_in_a_sentence(here, raised, said, where, capsys):
    text, what = HEAD + DRAW, "be imported"
    if where == "draw":
        text, what = (
            text.replace("        return", f"        {raised}\n        return"),
            "be drawn",
        )
    elif where == "__init__":
        text, what = text + f"    def __init__(self):\n        {raised}\n", "be built without"
    else:
        text += f"{raised}\n"
    task = write(here, text)
    assert main(["train", "rnn", "--task", task, *TRAIN, "--out", "run"]) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert f"task 'mine:Echo' cannot {what}" in sentence
    assert f"({said})" in sentence
    assert not (here / "run").exists()


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("os._exit(3)", r"ended the process that tried it \(exit status 3\); expected a class"),
        ("os.kill(os.getpid(), 9)", r"ended the process that tried it \(signal 9\)"),
        ("ctypes.string_at(0)", r"ended the process that tried it \(signal 11\)"),
        ("raise KeyboardInterrupt", r"cannot be drawn at T = 4 \(KeyboardInterrupt: \)"),
        ("while True: pass", r"took more than 1 s of processor time at T = 4"),
    ],
)
def test_a_task_that_ends_its_process_is_named(here, does, said):
    text = (
        "import ctypes, os\n"
        + HEAD
        + DRAW.replace("        return", f"        {does}\n        return")
    )
    config = run_of(write(here, text), cell="rnn")
    with pytest.raises(UsageError, match=f"^task 'mine:Echo' {said}"):
        TRY_APART([config], seconds=1 if "while" in does else 60)


def test_train_and_study_try_a_task_apart_first(here, monkeypatch, capsys):
    tried = []

    def stop(configs):
        tried.append({config.task for config in configs})
        raise UsageError("tried apart")

    for module in (task_trial, crew_trial):
        monkeypatch.setattr(module, "try_tasks_apart", stop)
    task = write(here, HEAD + DRAW)
    assert main(["train", "rnn", "--task", task, *TRAIN, "--out", "run"]) == 2
    assert main(["study", "--task", task, "--cells", "rnn", "--lengths", "4", "--out", "s"]) == 2
    assert tried == [{task}] * 2
    assert capsys.readouterr().err.count("tried apart") == 2
    assert not {"run", "s"} & {path.name for path in here.iterdir()}


def test_ctrl_c_and_sigterm_are_no_fault_of_the_draw(here):
    text = "import os, signal\n" + HEAD + DRAW
    text = text.replace(
        "        return", "        os.kill(os.getpid(), signal.{})\n        return"
    )
    with pytest.raises(KeyboardInterrupt):
        try_run(run_of(write(here, text.format("SIGINT"))))
    with pytest.raises(SystemExit) as leaving, sigterm_exits():
        try_run(run_of(write(here, text.format("SIGTERM"), "other")))
    assert leaving.value.code == 143


@pytest.mark.parametrize(
    ("draw", "sentence"),
    [
        ("read[:, : 2 + count % 3], read[:, -2:]",
         r"draws \d steps and targets \(count, 2\) at T = 4, and drew \d steps and targets "
         r"\(count, 2\) there before; expected the same number of steps and answers in every"),
        ("read, read[:, -2 - (count == 500):]", r"draws 4 steps and targets \(count, 3\) at T"),
        ("read, read[:, -1:] if count == 500 else read[:, -1]", r"draws 4 steps and targets "
         r"\(count, 1\) at T = 4, and drew 4 steps and targets \(count,\) there before"),
        ("read[:, : 3 + int(read[0, 0] > 2)], read[:, :1]", r"draws [34] steps and targets"),
    ],
)  # fmt: skip
def test_a_draw_of_another_size_is_refused(here, draw, sentence):
    task = write(here, HEAD + DRAW.replace("read, read[:, -2:]", draw))
    with pytest.raises(UsageError, match=f"^task 'mine:Echo' {sentence}"):
        try_run(run_of(task))


def test_lengths_may_differ_in_their_steps(here):
    task = OwnTask(run_of(write(here, HEAD + DRAW)))
    for length in (4, 5, 4):
        assert task.held_out(length, "test").questions.inputs.shape[1] == length


def test_a_network_that_reads_ahead_is_refused(here):
    """The task asks after two steps: a whole network answers after each, by what it has read."""
    (here / "ahead.py").write_text(
        "import torch\n"
        "class Ahead(torch.nn.Module):\n"
        "    def __init__(self, input_size, hidden_size, num_classes):\n"
        "        super().__init__()\n"
        "        self.rnn = torch.nn.RNN(input_size, hidden_size, batch_first=True,\n"
        "                                bidirectional=BOTH)\n"
        "        self.out = torch.nn.Linear(hidden_size * (1 + BOTH), num_classes)\n"
        "    def forward(self, x):\n"
        "        return self.out(self.rnn(x)[0])\n".replace("BOTH", "True")
    )
    task = write(here, HEAD + DRAW)
    with pytest.raises(UsageError, match="breaks a duty of a cell: it reads ahead"):
        try_run(run_of(task, cell="ahead:Ahead"))
    honest = (
        (here / "ahead.py").read_text().replace("True)", "False)").replace("+ True", "+ False")
    )
    (here / "behind.py").write_text(honest)
    try_run(run_of(task, cell="behind:Ahead"))


# What is trained


def test_a_run_of_it_is_solved_and_tested_on_what_it_draws(here):
    config = run_of(write(here, HEAD + DRAW))
    finished = train(config)
    record = finished.record
    assert record.solved
    assert (record.tested, record.held_out) == (2_000, 0)
    questions = OwnTask(config).held_out(4, "test").questions
    network = load_network(config, finished.weights)
    said = answers_of_last(network, encode(questions.inputs, 5), 2).argmax(dim=2)
    right = (said == questions.targets).all(dim=1).double().mean().item()
    assert record.accuracy == pytest.approx(right)
    assert record.bits == pytest.approx(math.log2(5), abs=0.05)
    assert (record.masked_right, record.recalled) == (None, None)
    assert train(config).record == record


def test_a_changed_file_is_not_taken_for_the_runs_own(here):
    config = run_of(write(here, HEAD + DRAW))
    write(here, HEAD + DRAW + "#\n")
    with pytest.raises(UsageError, match="the source of mine:Echo is not the one that its run"):
        train(config)


def test_study_asks_for_it_and_runs_nothing_that_only_its_folder_names(here, capsys):
    task = write(here, HEAD + DRAW)
    settings = {"cells": ("rnn",), "lengths": (4,), "seeds": 1, "task": task}
    config = StudyConfig(**settings).with_sources()
    (job,) = plan(config, {})
    assert job.config.task_facts == config.task_facts == facts_of(task)

    words = ["study", "--task", task, "--cells", "rnn", "--lengths", "4", "--seeds", "1",
             "--train-steps", "100", "--hidden-size", "4", "--batch-size", "4", "--out", "kept",
             "--workers", "1"]  # fmt: skip
    assert main(words) == 0
    row = next(iter(read_study(Path("kept")).rows.values())).record
    assert (row.config.task, row.tested) == (task, 2_000)
    assert main(["show", "kept"]) == 0
    capsys.readouterr()
    assert main(["study", "--out", "kept"]) == 2
    assert "has the task mine:Echo, which is not digitspan's" in capsys.readouterr().err
    run = f"kept:{row.config.key}"
    for words in (["look", "kept"], ["hold", "kept"], ["look", run], ["hold", run]):
        assert main(words) == 2
        (sentence,) = capsys.readouterr().err.splitlines()
        assert "the task mine:Echo" in sentence
        assert "--trust" not in sentence  # which would change nothing
    assert main(["study", "--out", "kept", "--trust", "--workers", "1"]) == 0
    write(here, HEAD + DRAW + "#\n")
    capsys.readouterr()
    assert main(["study", "--out", "kept", "--trust"]) == 2
    assert "its source is not the one that its runs were made with" in capsys.readouterr().err


# The examples


@pytest.fixture
def examples(monkeypatch):
    monkeypatch.chdir(EXAMPLES)


def test_copy_is_as_published(examples):
    task = OwnTask(run_of("copy_tasks:Copy"))
    inputs, targets = task.held_out(100, "test").questions
    assert inputs.shape == targets.shape == (2_000, 120)
    assert inputs[:, :10].unique().tolist() == list(range(8))
    assert (inputs[:, 10:109] == 8).all()
    assert (inputs[:, 109] == 9).all()
    assert (inputs[:, 110:] == 8).all()
    assert (targets[:, :110] == 8).all()
    assert torch.equal(targets[:, 110:], inputs[:, :10])
    assert (task.facts.symbols, task.facts.answers) == (10, 9)
    assert task.facts.chance == pytest.approx(8.0**-10)
    # A network without memory: certain of the blanks, uniform over the eight symbols.
    logits = torch.full((1, 120, 9), -1e9)
    logits[:, :110, 8] = logits[:, 110:, :8] = 0
    loss = torch.nn.functional.cross_entropy(logits[0], targets[0])
    assert loss.item() == pytest.approx(10 * math.log(8) / 120)


def test_majority_is_the_more_frequent_symbol(examples):
    config = run_of("majority:Majority", length=10)
    try_run(config)
    inputs, targets = OwnTask(config).held_out(10, "test").questions
    assert inputs.shape == (2_000, 11)
    assert torch.equal(targets, (inputs.double().mean(dim=1) > 0.5).long())


def test_selective_copy_is_as_published(examples):
    task = OwnTask(run_of("copy_tasks:SelectiveCopy"))
    inputs, targets = task.held_out(4_096, "validation").questions
    assert inputs.shape == (500, 4_112)
    assert targets.shape == (500, 16)
    assert (inputs[:, 4_096:] == 15).all()
    assert targets.unique().tolist() == list(range(1, 15))
    for row, data in zip(inputs[:50, :4_096], targets[:50], strict=True):
        assert torch.equal(row[row != 0], data)
    places = (inputs[:, :4_096] != 0).nonzero()[:, 1].double()
    assert places.mean().item() == pytest.approx(2_047.5, abs=60)  # anywhere
