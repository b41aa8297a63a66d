"""The training script: the template's flags, its order, its three ways to be called."""

import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from digitspan.part1 import train as script

FOLDER = Path(inspect.getfile(script)).parent

TINY = ["--num_hidden", "8", "--batch_size", "8", "--input_length", "3"]


def train(*options):
    return script.train(script.read_options([*TINY, *map(str, options)]))


def test_flags_and_defaults_are_the_templates():
    config = vars(script.read_options([]))
    assert config == {
        "model_type": "RNN",
        "input_length": 10,
        "input_dim": 1,
        "num_classes": 10,
        "num_hidden": 128,
        "batch_size": 128,
        "learning_rate": 0.001,
        "train_steps": 10000,
        "max_norm": 10.0,
        "device": "cpu",
        "seed": 42,
        "num_workers": 0,
    }


def test_help_says_that_input_length_is_one_less(capsys):
    with pytest.raises(SystemExit, match=r"^0$"):
        script.main(["--help"])
    assert "digits read, T - 1" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("input_length", "0", "--input_length must be at least 1, got 0"),
        ("num_hidden", "0", "--num_hidden must be at least 1, got 0"),
        ("batch_size", "-1", "--batch_size must be at least 1, got -1"),
        ("train_steps", "0", "--train_steps must be at least 1, got 0"),
        ("seed", "-1", "--seed must be 0 or greater, got -1"),
        ("seed", str(2**63), f"--seed must be below 2^63, got {2**63}"),
        ("num_workers", "-2", "--num_workers must be 0 or greater, got -2"),
        ("learning_rate", "0", "--learning_rate must be above 0 and finite, got 0.0"),
        ("learning_rate", "-1", "--learning_rate must be above 0 and finite, got -1.0"),
        ("learning_rate", "nan", "--learning_rate must be above 0 and finite, got nan"),
        ("learning_rate", "1e400", "--learning_rate must be above 0 and finite, got inf"),
        ("max_norm", "0", "--max_norm must be above 0 and finite, got 0.0"),
        ("max_norm", "inf", "--max_norm must be above 0 and finite, got inf"),
        ("input_dim", "2", "--input_dim must be 1 or 10 (one-hot), got 2"),
        ("num_classes", "9", "--num_classes must be at least 10, one a digit, got 9"),
        ("device", "abacus", "--device 'abacus' cannot be used here: Expected one of cpu"),
        ("device", "", "--device '' cannot be used here: Device string must not be empty"),
        ("device", "meta", "--device 'meta' cannot be used here: Tensor.item() cannot be called"),
        ("device", "cpu:x", "--device 'cpu:x' cannot be used here: Invalid device string"),
        ("device", "hpu", "--device 'hpu' cannot be used here"),
        ("model_type", "GRU", "argument --model_type: invalid choice: 'GRU' (choose from"),
        ("train_steps", "ten", "argument --train_steps: invalid int value: 'ten'"),
        ("no_such_flag", "1", "unrecognized arguments: --no_such_flag 1"),
    ],
)
def test_wrong_option_is_refused_in_one_sentence(option, value, sentence, capsys):
    with pytest.raises(SystemExit, match=r"^2$"):
        script.main([f"--{option}", value])
    captured = capsys.readouterr()
    assert captured.out == ""
    # argparse puts the usage in front of it.
    last_line = captured.err.splitlines()[-1]
    assert f"error: {sentence}" in last_line
    assert "Traceback" not in captured.err


def test_largest_seed_is_accepted():
    assert train("--train_steps", 1, "--seed", 2**63 - 1).steps == 1


def test_one_step_is_zero_grad_forward_loss_backward_clip_step(monkeypatch):
    calls = []

    def record(owner, name, word):
        original = getattr(owner, name)

        def recorded(*args, **kwargs):
            if torch.is_grad_enabled():  # not where the network is asked to be evaluated
                calls.append(word)
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, recorded)

    class RMSprop(torch.optim.RMSprop):
        def zero_grad(self, *args, **kwargs):
            calls.append("zero_grad")
            super().zero_grad(*args, **kwargs)

        def step(self, *args, **kwargs):
            calls.append("step")
            return super().step(*args, **kwargs)

    monkeypatch.setattr(torch.optim, "RMSprop", RMSprop)
    record(script.VanillaRNN, "forward", "forward")
    record(torch.nn.CrossEntropyLoss, "forward", "loss")
    record(torch.Tensor, "backward", "backward")
    record(torch.nn.utils, "clip_grad_norm_", "clip")
    train("--train_steps", 3)
    assert calls == ["zero_grad", "forward", "loss", "backward", "clip", "step"] * 3


def test_gradient_is_clipped_to_max_norm(monkeypatch):
    norms = []

    class RMSprop(torch.optim.RMSprop):
        def step(self, *args, **kwargs):
            [group] = self.param_groups
            norms.append(torch.cat([p.grad.flatten() for p in group["params"]]).norm().item())
            return super().step(*args, **kwargs)

    monkeypatch.setattr(torch.optim, "RMSprop", RMSprop)
    train("--train_steps", 5, "--max_norm", 1e-3)
    # Single precision, and torch divides by the norm plus 1e-6: by 1 in 1e3 at these norms.
    assert norms == pytest.approx([1e-3] * 5, rel=1e-2)


@pytest.mark.parametrize("model_type", ["RNN", "LSTM"])
@pytest.mark.parametrize("input_dim", [1, 10])
def test_training_ends_when_converged_and_says_so(model_type, input_dim, capsys):
    # One-hot digits of length 2, whose target is the only input, are learned within 200 steps.
    options = ["--model_type", model_type, "--input_dim", input_dim, "--learning_rate", 1e-2]
    steps = 2000 if input_dim == 10 else 60
    result = train(*options, "--input_length", 1, "--train_steps", steps)
    printed = capsys.readouterr().out
    if input_dim == 10:
        assert result.converged
        assert result.steps % 50 == 0
        assert 100 <= result.steps < 2000
        assert result.accuracy == 1.0
        assert f"{model_type} T=2 seed=42: converged after {result.steps} steps" in printed
    else:
        assert not result.converged
        assert result.steps == 60
        assert "not converged after 60 steps" in printed
    assert "on all 10 palindromes (some of them may have been trained on)" in printed


def test_convergence_takes_two_evaluations_fifty_steps_apart(monkeypatch):
    accuracies = iter([1.0, 0.98, 0.99, 1.0, 0.5])
    monkeypatch.setattr(script, "accuracy", lambda *args: next(accuracies))
    result = train("--train_steps", 1000)
    assert (result.converged, result.steps, result.accuracy) == (True, 200, 0.5)


def test_evaluation_at_the_end_of_the_budget_does_not_make_convergence(monkeypatch):
    monkeypatch.setattr(script, "accuracy", lambda *args: 1.0)
    result = train("--train_steps", 70)  # at steps 50 and 70: 20 steps apart
    assert (result.converged, result.steps) == (False, 70)


def test_weights_of_the_second_evaluation_are_kept(monkeypatch):
    seen = []

    def accuracy(model, *questions):
        seen.append([p.detach().clone() for p in model.parameters()])
        return 1.0

    monkeypatch.setattr(script, "accuracy", accuracy)
    result = train("--train_steps", 1000)
    assert result.steps == 100
    assert all(map(torch.equal, result.model.parameters(), seen[1]))
    assert not any(map(torch.equal, seen[0], seen[1]))


def test_accuracy_is_the_share_of_right_answers():
    # A network that answers with the first digit is right on every palindrome of length 3.
    inputs, targets = script.palindromes_to_test(3, 0, 0, torch.device("cpu"))

    def first(digits):
        return torch.nn.functional.one_hot(digits[:, 0].long(), 10)

    assert script.accuracy(first, inputs, targets) == 1.0
    assert script.accuracy(lambda digits: first(digits) * 0, inputs, targets) == 0.1


@pytest.mark.parametrize(("length", "tested"), [(2, 10), (5, 1000), (8, 10_000)])
def test_short_lengths_are_tested_on_all_palindromes(length, tested):
    inputs, targets = script.palindromes_to_test(length, 77, 0, torch.device("cpu"))
    assert inputs.shape == (tested, length - 1)
    assert torch.equal(inputs[:, 0].long(), targets)
    assert len(torch.unique(inputs, dim=0)) == tested


def test_long_lengths_are_tested_on_fresh_palindromes(capsys):
    inputs, targets = script.palindromes_to_test(9, 77, 5, torch.device("cpu"))
    assert inputs.shape == (77, 8)
    assert torch.equal(inputs[:, 0].long(), targets)
    assert train("--input_length", 8, "--train_steps", 1).num_tested == 10_000
    assert "on fresh random 10000 palindromes" in capsys.readouterr().out


def test_same_seed_trains_the_same_network():
    one, same, other = (train("--train_steps", 5, "--seed", seed).model for seed in (7, 7, 8))
    assert all(map(torch.equal, one.parameters(), same.parameters()))
    assert not any(map(torch.equal, one.parameters(), other.parameters()))


def test_worker_process_trains_the_same_network():
    one, same = (train("--train_steps", 3, "--num_workers", workers).model for workers in (0, 1))
    assert all(map(torch.equal, one.parameters(), same.parameters()))


def test_diverged_training_ends_and_says_so(capsys):
    result = train("--learning_rate", 1e38, "--train_steps", 50)
    assert not result.converged
    assert result.steps < 50
    printed = capsys.readouterr().out
    assert f"step {result.steps}: the loss is " in printed
    assert "try a smaller --learning_rate" in printed


WAYS = [("-m part1.train", "."), ("part1/train.py", "."), ("train.py", "part1")]


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """The script on its way in each of its ways, all at once: importing torch takes seconds."""
    folder = tmp_path_factory.mktemp("hand-in")
    # A copy, as in a hand-in: the folder's neighbours are not there.
    shutil.copytree(FOLDER, folder / "part1", ignore=shutil.ignore_patterns("__pycache__"))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    processes = {
        way: subprocess.Popen(
            [sys.executable, *way.split(), *TINY, "--model_type", "LSTM", "--train_steps", "2"],
            cwd=folder / inside,
            env=environment | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for way, inside in WAYS
    }
    yield processes
    for process in processes.values():
        process.kill()
        process.communicate()


@pytest.mark.parametrize("way", [way for way, _ in WAYS])
def test_script_runs_in_each_of_its_three_ways(way, started):
    out, err = started[way].communicate()
    assert err == ""
    assert started[way].returncode == 0
    assert "LSTM T=4 seed=42: not converged after 2 steps" in out.splitlines()[-1]


def test_ctrl_c_ends_with_130(monkeypatch):
    def interrupted(config):
        raise KeyboardInterrupt

    monkeypatch.setattr(script, "train", interrupted)
    with pytest.raises(SystemExit, match=r"^130$"):
        script.main([])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("model_type", ["RNN", "LSTM"])
def test_sanity_check_of_the_sheet(model_type, seed):
    options = ["--model_type", model_type, "--input_length", "4", "--seed", str(seed)]
    result = script.train(script.read_options(options))
    print(f"{model_type} seed {seed}: {result.steps} steps, accuracy {result.accuracy:.4f}")
    assert result.num_tested == 1000
    assert result.accuracy >= 0.99
