"""One run: how it ends, that it is the same every time, and that it can be interrupted.

Everything is seen from outside, through `train`: whatever does the steps has to behave like this.
"""

import dataclasses
import io
import itertools
import json
import logging
import math
import signal
from pathlib import Path

import own_cells
import pytest
import safetensors
import torch

import digitspan.training.engine as engine_module
import digitspan.training.run as run_module
from digitspan.errors import DigitspanError, UsageError
from digitspan.files import read_verified, sha256, write_verified
from digitspan.runs.config import OPTIMIZERS, RunConfig
from digitspan.statistics import MAX_BITS, wilson
from digitspan.study.crew.worker import train_run
from digitspan.tasks.palindrome import held_out, part_of
from digitspan.tasks.questions import encode
from digitspan.training.engine import load_network
from digitspan.training.machine import environment, find_device
from digitspan.training.run import train, train_together

GOLDEN = Path(__file__).parents[1] / "golden" / "losses.json"


def config(cell="rnn", **settings):
    """A run of less than half a second."""
    small = {"length": 5, "learning_rate": 1e-2, "hidden_size": 16, "batch_size": 32}
    return RunConfig(**{"cell": cell, "train_steps": 1000} | small | settings)


def own(name, **settings):
    return config(f"own_cells:{name}", **{"train_steps": 100, "batch_size": 10} | settings)


def weights_of(finished):
    """The name and the bytes of every parameter."""
    return [
        (name, bytes(value["data"])) for name, value in safetensors.deserialize(finished.weights)
    ]


def assert_same_run(got, expected):
    """Weights, curve and every field of the record are the same, bit for bit."""
    assert got.record.curve == expected.record.curve, "the curves differ"
    assert got.record == expected.record
    assert got.weights == expected.weights, "the weights differ"


# How a run ends ------------------------------------------------------------------------------


def assert_learned(record):
    """Solved, at the first moment it could be, and right on every palindrome of the test part."""
    assert record.end_state == "solved", f"{record.end_state} after {record.steps} steps"
    assert record.solved
    accuracies = [point.validation_accuracy for point in record.curve]
    pairs = [min(pair) for pair in itertools.pairwise(accuracies)]
    assert pairs[-1] >= 0.99, f"the last two evaluations: {accuracies[-2:]}"
    assert all(pair < 0.99 for pair in pairs[:-1]), f"it did not stop at once: {accuracies}"
    assert record.steps == record.curve[-1].step
    assert record.accuracy >= 0.98, f"accuracy {record.accuracy} on the test part"


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
@pytest.mark.parametrize("encoding", ["one-hot", "scalar"])
def test_solved_run_stops_at_once(cell, encoding):
    record = train(config(cell, length=3, encoding=encoding)).record
    assert_learned(record)
    assert [point.step for point in record.curve] == list(range(50, record.steps + 1, 50))
    assert 100 <= record.steps < 1000


def test_perfect_cell_is_solved_after_two_evaluations():
    record = train(own("Perfect", length=20)).record
    assert_learned(record)
    assert record.steps == 100
    assert (record.accuracy, record.tested, record.held_out) == (1.0, 10_000, 10_000)
    assert record.bits == MAX_BITS
    assert (record.accuracy_low, record.accuracy_high) == wilson(10_000, 10_000)


@pytest.mark.parametrize("train_steps", [1000, 2000])
def test_run_that_stands_still_has_its_whole_budget(train_steps):
    record = train(own("Still", learning_rate=1e-9, train_steps=train_steps)).record
    assert (record.end_state, record.steps, record.solved) == ("censored", train_steps, False)
    assert [point.step for point in record.curve] == list(range(50, train_steps + 1, 50))


def test_run_that_is_still_learning_ends_with_its_budget():
    record = train(config("lstm", learning_rate=1e-4, train_steps=120)).record
    assert (record.end_state, record.steps, record.solved) == ("censored", 120, False)
    assert [point.step for point in record.curve] == [50, 100, 120]
    losses = [point.validation_loss for point in record.curve]
    assert losses == sorted(losses, reverse=True)


@pytest.mark.parametrize("train_steps", [1, 49, 50, 51])
def test_budget_is_kept_to_the_step(train_steps):
    record = train(config(learning_rate=1e-4, train_steps=train_steps)).record
    assert (record.end_state, record.steps) == ("censored", train_steps)
    assert record.curve[-1].step == train_steps


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_run_whose_weights_overflow_ends_as_diverged(cell):
    # The first update sends the weights beyond what a product in float32 can hold.
    record = train(config(cell, learning_rate=1e38)).record
    assert (record.end_state, record.steps, record.solved) == ("diverged", 2, False)
    assert record.loss == pytest.approx(math.log(10), rel=0.2), "the last finite loss"
    json.dumps(record.to_json(), allow_nan=False)


@pytest.mark.parametrize("name", ["Infinite", "InfiniteGradient"])
def test_run_that_is_not_finite_from_the_start_ends_as_diverged(name):
    record = train(own(name)).record
    assert (record.end_state, record.steps, record.solved) == ("diverged", 1, False)
    assert record.curve == ()
    json.dumps(record.to_json(), allow_nan=False)


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_absurd_learning_rate_ends_as_diverged(cell):
    # tanh and the gates keep the state below 1: the loss stays finite, at some 10,000 nats.
    record = train(config(cell, learning_rate=1e3, train_steps=200)).record
    assert (record.end_state, record.steps) == ("diverged", 50)
    assert record.loss > 1e3
    json.dumps(record.to_json(), allow_nan=False)


def test_last_finite_loss_is_kept_where_its_gradient_is_not():
    assert train(own("InfiniteGradient")).record.loss == pytest.approx(math.log(10), rel=0.2)


def test_evaluations_less_than_fifty_steps_apart_do_not_solve(monkeypatch):
    steps = train(own("Perfect", train_steps=1_000)).record.steps
    assert steps == 100
    record = train(own("Perfect", train_steps=60)).record
    assert [point.validation_accuracy for point in record.curve] == [1.0, 1.0]
    assert (record.end_state, record.steps) == ("censored", 60)


@pytest.mark.parametrize(
    ("error", "note"),
    [
        (torch.OutOfMemoryError("CUDA out of memory.\nTried"), "CUDA out of memory."),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "DefaultCPUAll"),
        (MemoryError(), "out of memory"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_run_out_of_memory_is_an_error_and_no_outcome(error, note, monkeypatch):
    monkeypatch.setattr(own_cells.Failing, "error", error)
    record = train(own("Failing")).record
    assert (record.end_state, record.steps, record.solved) == ("error", 2, False)
    assert record.note.startswith(note)
    assert record.note.splitlines() == [record.note]
    assert record.accuracy is record.bits is record.masked_right is None
    assert (record.tested, record.held_out) == (0, 0)
    json.dumps(record.to_json(), allow_nan=False)


def test_lack_of_memory_before_the_training_is_an_error_too(monkeypatch):
    def full(*_):
        raise MemoryError

    monkeypatch.setattr("digitspan.training.run.Trainer", full)
    record = train(config("rnn")).record
    assert (record.end_state, record.steps, record.accuracy) == ("error", 0, None)
    json.dumps(record.to_json(), allow_nan=False)


def test_lack_of_memory_in_the_test_is_an_error_with_weights(monkeypatch):
    def full(*_):
        raise MemoryError

    monkeypatch.setattr("digitspan.training.run._confusion", full)
    finished = train(config("rnn", train_steps=50))
    assert (finished.record.end_state, finished.record.steps) == ("error", 50)
    assert finished.record.accuracy is None
    assert finished.record.weights_sha256 == sha256(finished.weights)


def test_other_faults_are_not_taken_for_lack_of_memory():
    with pytest.raises(RuntimeError, match="a fault of the cell's own"):
        train(own("Failing"))


@pytest.mark.parametrize("kind", [DigitspanError, UsageError])
def test_a_cells_own_refusal_in_training_is_an_error_of_its_run_alone(kind, monkeypatch):
    """A refusal would end the study of every other cell with the sentence of this one."""
    monkeypatch.setattr(own_cells.Failing, "error", kind("lstm was refused; remove all"))
    said = train_run(own("Failing"), "cpu", lambda weights: None)
    note = f"RuntimeError: raised in training: {kind.__name__}: lstm was refused; remove all"
    assert said == {"failed": note}


def test_a_full_disk_is_no_error_of_the_run(monkeypatch, tmp_path):
    def full(*_):
        message = "the disk is full"
        raise DigitspanError(message)

    monkeypatch.setattr(run_module, "write_verified", full)
    monkeypatch.setattr(run_module, "CHECKPOINT_SECONDS", -1)
    said = train_run(own("Still"), "cpu", lambda weights: None, tmp_path / "checkpoint")
    assert said == {"refused": "the disk is full", "exit_status": 1}


def test_cell_that_is_not_there_is_a_sentence():
    with pytest.raises(UsageError, match="cell 'own_cells:Nobody' was not found"):
        train(own("Nobody"))


# What is recorded ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "tested", "kept_out", "sampled"),
    [(2, 10, 0, False), (4, 100, 0, False), (5, 200, 200, False), (9, 10_000, 10_000, True)],
)
def test_interval_is_given_where_not_all_palindromes_were_asked(length, tested, kept_out, sampled):
    record = train(own("LastDigit", length=length)).record
    assert (record.tested, record.held_out) == (tested, kept_out)
    if sampled:
        right = round(record.accuracy * tested)
        assert (record.accuracy_low, record.accuracy_high) == wilson(right, tested)
    else:
        assert record.accuracy_low is record.accuracy_high is None


def test_blind_cell_is_at_chance_and_holds_nothing():
    record = train(own("Still", length=20)).record
    assert record.accuracy == 0.1
    assert record.bits == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("length", [2, 3, 4, 5, 6, 7, 20])
def test_mask_control_is_at_chance_where_only_the_first_digit_tells(length):
    # Every digit takes the first one's place equally often: exactly one of ten is right.
    record = train(own("Perfect", length=length)).record
    assert record.masked_tested >= 100
    assert record.masked_right == record.masked_tested / 10


def test_evaluations_are_told_and_recorded():
    told = []
    record = train(config(learning_rate=1e-3, train_steps=170), on_evaluation=told.append).record
    assert tuple(told) == record.curve
    assert len(told) == 4
    assert record.loss == told[-1].loss


def test_weights_are_those_that_were_tested():
    run = config("lstm", length=20, train_steps=100)
    finished = train(run)
    questions = held_out(20, "test").questions
    network = load_network(run, finished.weights)
    with torch.no_grad():
        predicted = network(encode(questions.inputs, 10)).argmax(dim=1)
    right = int((predicted == questions.targets).sum())
    # All at once here, in pieces there: an answer that hangs on the last bit may differ.
    assert right / 10_000 == pytest.approx(finished.record.accuracy, abs=2e-4)
    assert finished.record.weights_sha256 == sha256(finished.weights)


def test_weights_file_says_whose_it_is(tmp_path):
    finished = train(config(train_steps=1))
    (tmp_path / "weights").write_bytes(finished.weights)
    with safetensors.safe_open(tmp_path / "weights", "pt") as file:
        assert file.metadata() == {"config": finished.record.config.canonical}
        assert set(file.keys()) == {"W_hx", "W_hh", "b_h", "W_ph", "b_p"}


@pytest.mark.parametrize(("max_grad_norm", "share"), [(1e-6, 1.0), (1e6, 0.0)])
def test_share_of_clipped_steps_is_recorded(max_grad_norm, share):
    assert train(config(train_steps=20, max_grad_norm=max_grad_norm)).record.clipped_share == share


def test_environment_names_what_decides_the_bits():
    named = train(own("Still", train_steps=1)).record.environment
    assert set(named) == {
        "digitspan", "torch", "cpu_capability", "machine", "threads", "denormals", "device"
    }  # fmt: skip
    assert named["denormals"] == "flushed"
    assert named["torch"] == torch.__version__
    assert (named["threads"], named["device"]) == ("1", "cpu")
    assert all(isinstance(value, str) for value in environment().values())


# What is trained, on what --------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_read_out_control_trains_the_read_out_alone(cell):
    # Of two budgets, so that what is trained differs and what is not stays as it started.
    one, other = (
        dict(weights_of(train(config(cell, train_steps=steps, trained="read-out"))))
        for steps in (1, 5)
    )
    assert {name for name in one if one[name] != other[name]} == {"W_ph", "b_p"}
    every = dict(weights_of(train(config(cell, train_steps=5))))
    assert not [name for name in one if one[name] == every[name]], "all are trained otherwise"


def test_every_optimiser_trains_in_its_own_way():
    losses = {
        name: train(config(optimizer=name, train_steps=50)).record.loss for name in OPTIMIZERS
    }
    assert len(set(losses.values())) == len(OPTIMIZERS)
    assert all(loss < 3 for loss in losses.values()), losses


@pytest.fixture
def diary():
    """What own_cells.Diary was asked: the training batches and the evaluations."""
    own_cells.Diary.trained_on.clear()
    own_cells.Diary.evaluated_on.clear()
    return own_cells.Diary


@pytest.mark.parametrize("length", [5, 20])
def test_training_asks_palindromes_of_the_training_part_alone(length, diary):
    train(own("Diary", length=length))
    inputs = torch.cat(diary.trained_on)
    assert inputs.shape == (100 * 10, length - 1)
    middle = inputs[:, 1:]
    assert torch.equal(middle, middle.flip(1)), "not palindromes"
    kept_out = {
        tuple(row)
        for part in ("validation", "test")
        for row in held_out(length, part).questions.inputs.tolist()
    }
    assert not kept_out & set(map(tuple, inputs.tolist()))
    if length == 20:
        assert (part_of(inputs[:, :10]) == 0).all()


def test_validation_part_is_asked_on_the_way_and_the_test_part_once(diary):
    record = train(own("Diary", length=9)).record
    asked = torch.cat(diary.evaluated_on)
    validation, test = (held_out(9, part).questions.inputs for part in ("validation", "test"))
    on_the_way = len(record.curve) * len(validation)
    assert torch.equal(asked[:on_the_way], validation.repeat(len(record.curve), 1))
    assert torch.equal(asked[on_the_way : on_the_way + len(test)], test)
    assert len(asked) == on_the_way + len(test) + record.masked_tested
    assert max(map(len, diary.evaluated_on)) <= 500, "more at once than the protocol says"


def test_all_cells_and_rates_of_one_seed_see_the_same_data(diary):
    seen = []
    for name, settings in (("Diary", {}), ("OtherDiary", {}), ("Diary", {"learning_rate": 0.1})):
        diary.trained_on.clear()
        train(own(name, length=20, seed=3, **settings))
        seen.append(torch.cat(diary.trained_on))
    assert torch.equal(seen[0], seen[1])
    assert torch.equal(seen[0], seen[2])
    diary.trained_on.clear()
    train(own("Diary", length=20, seed=4))
    assert not torch.equal(seen[0], torch.cat(diary.trained_on))


# The same every time -------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_two_runs_of_one_configuration_are_identical(cell):
    run = config(cell, length=9, train_steps=100)
    first = train(run)
    torch.manual_seed(123)  # the global generator must not matter
    torch.rand(5)
    assert_same_run(train(run), first)
    other = train(dataclasses.replace(run, seed=1))
    assert other.weights != first.weights
    assert other.record.curve != first.record.curve


def test_run_leaves_the_global_generator_and_the_threads_alone():
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        train(own("Still", train_steps=1))
        assert torch.get_num_threads() == threads + 1
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.get_rng_state(), before)


def golden_losses():
    """The first ten training losses of both networks on both encodings."""
    losses = {}
    for cell, encoding in itertools.product(("rnn", "lstm"), ("one-hot", "scalar")):
        runs = [
            config(cell, length=6, encoding=encoding, train_steps=steps, seed=7)
            for steps in range(1, 11)
        ]
        losses[f"{cell} {encoding}"] = [train(run).record.loss for run in runs]
    return losses


def test_first_losses_are_the_golden_ones():
    # A change that moves these changes every number of every study: say so in the changelog, and
    # write them anew with `python tests/training/test_run.py`. The tolerance: with AVX2 and
    # without (ATEN_CPU_CAPABILITY=default) they differ by up to 1e-6 of their size, since float32
    # sums come in another order; a learning rate that is 1 % off moves them by up to 1e-2, and
    # every row of them by more than the tolerance.
    expected = json.loads(GOLDEN.read_text(encoding="utf-8"))
    got = golden_losses()
    assert set(got) == set(expected)
    for name, losses in expected.items():
        assert got[name] == pytest.approx(losses, rel=1e-4), name


def test_noise_in_training_is_decided_by_the_run_and_is_none_in_evaluation():
    run = config("broken_cells:Noisy", train_steps=100)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    finished = train(run)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert_same_run(train(run), finished)
    network = load_network(run, finished.weights)
    assert not network.training
    digits = encode(torch.tensor([[1, 2, 3, 4]]), 10)
    assert torch.equal(network(digits), network(digits))


# Interrupted and resumed ---------------------------------------------------------------------


class Interrupt:
    """Called at every evaluation; raises at some of them, counted over all attempts."""

    def __init__(self, *at, error=KeyboardInterrupt):
        self.at, self.error, self.count = at, error, 0

    def __call__(self, point):
        self.count += 1
        if self.count in self.at:
            raise self.error


def interrupted(run, checkpoint, at, error=KeyboardInterrupt):
    """Train until evaluation `at`, where it is interrupted; its checkpoint is left."""
    with pytest.raises(error, match=r"^$"):
        train(run, checkpoint=checkpoint, on_evaluation=Interrupt(at, error=error))
    assert checkpoint.exists()


RESUMED = {
    f"{cell}-{optimizer}-{encoding}": config(
        cell,
        length=9,
        learning_rate=1e-3,
        hidden_size=8,
        batch_size=8,
        train_steps=180,
        optimizer=optimizer,
        encoding=encoding,
        # Some steps are clipped and some are not, so that the count of them has to go on too.
        max_grad_norm=1.0 if optimizer == "momentum" else 0.5,
    )
    for cell, optimizer, encoding in (
        ("rnn", "rmsprop", "one-hot"),
        ("rnn", "momentum", "scalar"),
        ("lstm", "rmsprop", "scalar"),
        ("lstm", "adam", "one-hot"),
        ("gru", "adam", "scalar"),
        ("broken_cells:Noisy", "rmsprop", "one-hot"),  # dropout in training
    )
}


@pytest.fixture(scope="module")
def uninterrupted():
    """The runs of RESUMED, in one go."""
    finished = {name: train(run) for name, run in RESUMED.items()}
    for name, (record, *_) in finished.items():
        assert record.end_state == "censored", f"{name} would not reach its last evaluation"
        assert 0 < record.clipped_share < 1, f"{name}: {record.clipped_share} of it is clipped"
    return finished


@pytest.mark.parametrize("at", [1, 2, 3, 4])
@pytest.mark.parametrize("name", RESUMED)
def test_resumed_run_equals_uninterrupted_run(name, at, uninterrupted, tmp_path):
    checkpoint = tmp_path / "checkpoint"
    interrupted(RESUMED[name], checkpoint, at)
    resumed = train(RESUMED[name], checkpoint=checkpoint)
    assert_same_run(resumed, uninterrupted[name])
    assert list(tmp_path.iterdir()) == [], "the checkpoint outlives the run"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_run_interrupted_again_and_again_equals_uninterrupted_run(error, uninterrupted, tmp_path):
    checkpoint = tmp_path / "checkpoint"
    for at in (2, 2, 1, 2):
        interrupted(RESUMED["rnn-rmsprop-one-hot"], checkpoint, at, error)
    resumed = train(RESUMED["rnn-rmsprop-one-hot"], checkpoint=checkpoint)
    assert_same_run(resumed, uninterrupted["rnn-rmsprop-one-hot"])


def test_resumed_run_does_not_begin_anew(tmp_path):
    # Interrupted at the third evaluation, it goes on from the second one.
    run, told = RESUMED["rnn-rmsprop-one-hot"], []
    interrupted(run, tmp_path / "checkpoint", 3)
    train(run, checkpoint=tmp_path / "checkpoint", on_evaluation=told.append)
    assert [point.step for point in told] == [150, 180]


def test_run_interrupted_at_any_moment_equals_uninterrupted_run(uninterrupted, tmp_path):
    # Ctrl-C by a timer, wherever the run is then: in a step, a draw, an evaluation, at its end.
    run, checkpoint = RESUMED["lstm-rmsprop-scalar"], tmp_path / "checkpoint"

    def ring(number, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, ring)
    try:
        count = 0
        for milliseconds in (20, 45, 70, 95, 120, 145, 170, 195):
            try:
                signal.setitimer(signal.ITIMER_REAL, milliseconds / 1000)
                finished = train(run, checkpoint=checkpoint)
                signal.setitimer(signal.ITIMER_REAL, 0)
                break
            except KeyboardInterrupt:
                count += 1
        else:
            finished = train(run, checkpoint=checkpoint)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert count > 0
    assert_same_run(finished, uninterrupted["lstm-rmsprop-scalar"])


def test_solved_run_interrupted_at_its_end_equals_uninterrupted_run(tmp_path):
    run = config(length=3)
    expected = train(run)
    interrupted(run, tmp_path / "checkpoint", len(expected.record.curve))
    assert_same_run(train(run, checkpoint=tmp_path / "checkpoint"), expected)


def changed(value, under, change, inside=False):
    """A nested state with every tensor below a key of that name changed."""
    if isinstance(value, dict):
        return {
            key: changed(item, under, change, inside or key == under)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [changed(item, under, change, inside) for item in value]
    return change(value) if inside and isinstance(value, torch.Tensor) else value


@pytest.mark.parametrize(
    ("lost", "change"),
    [
        ("generator", lambda state: torch.Generator().manual_seed(0).get_state()),
        ("optimizer", torch.zeros_like),
        ("network", torch.zeros_like),
    ],
    ids=["generator", "optimizer", "network"],
)
def test_checkpoint_that_lost_a_part_would_be_noticed(lost, change, uninterrupted, tmp_path):
    # What the tests above are worth: without the data's generator, or without the optimiser's
    # state, the resumed run is another one, and they would see it.
    name, checkpoint = "rnn-rmsprop-one-hot", tmp_path / "checkpoint"
    interrupted(RESUMED[name], checkpoint, 3)
    content, _ = read_verified(checkpoint)
    state = torch.load(io.BytesIO(content), weights_only=True)
    mutant, buffer = changed(state, lost, change), io.BytesIO()
    torch.save(mutant, buffer)
    write_verified(checkpoint, buffer.getvalue())
    resumed = train(RESUMED[name], checkpoint=checkpoint)
    with pytest.raises(AssertionError, match="curve"):
        assert_same_run(resumed, uninterrupted[name])


def flip(path, place):
    data = bytearray(path.read_bytes())
    data[place % len(data)] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("place", [0, 40, 1000, -1])
def test_damaged_checkpoint_falls_back_and_says_so(place, uninterrupted, tmp_path, caplog):
    name, checkpoint, told = "rnn-rmsprop-one-hot", tmp_path / "checkpoint", []
    interrupted(RESUMED[name], checkpoint, 2)  # saves the state after step 50
    interrupted(RESUMED[name], checkpoint, 2)  # goes on from there, saves that after step 100
    flip(checkpoint, place)
    resumed = train(RESUMED[name], checkpoint=checkpoint, on_evaluation=told.append)
    assert_same_run(resumed, uninterrupted[name])
    assert [point.step for point in told] == [100, 150, 180]
    [message] = [record.getMessage() for record in caplog.records]
    assert message == f"checkpoint {checkpoint} is damaged: going on from the one before it"
    assert list(tmp_path.iterdir()) == []


def test_checkpoint_damaged_altogether_starts_anew_and_says_so(uninterrupted, tmp_path, caplog):
    name, checkpoint = "rnn-rmsprop-one-hot", tmp_path / "checkpoint"
    interrupted(RESUMED[name], checkpoint, 3)
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    assert_same_run(train(RESUMED[name], checkpoint=checkpoint), uninterrupted[name])
    [message] = [record.getMessage() for record in caplog.records]
    assert message == f"checkpoint {checkpoint} is damaged: starting anew"


def test_checkpoint_from_before_a_cell_had_its_fast_form_starts_anew(
    uninterrupted, tmp_path, caplog, monkeypatch
):
    name, checkpoint = "rnn-rmsprop-one-hot", tmp_path / "checkpoint"
    with monkeypatch.context() as before:
        before.setattr(engine_module, "fused_form", lambda network: None)
        interrupted(RESUMED[name], checkpoint, 3)
    assert_same_run(train(RESUMED[name], checkpoint=checkpoint), uninterrupted[name])
    [message] = [record.getMessage() for record in caplog.records]
    assert message == (
        f"checkpoint {checkpoint} is of a version that trained rnn in another way: starting anew"
    )


def test_whole_checkpoint_is_taken_up_in_silence(uninterrupted, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    interrupted(RESUMED["rnn-rmsprop-one-hot"], tmp_path / "checkpoint", 3)
    train(RESUMED["rnn-rmsprop-one-hot"], checkpoint=tmp_path / "checkpoint")
    assert caplog.records == []


def test_checkpoint_of_another_run_is_not_taken_up(uninterrupted, tmp_path):
    run, checkpoint = RESUMED["rnn-rmsprop-one-hot"], tmp_path / "checkpoint"
    interrupted(dataclasses.replace(run, seed=5), checkpoint, 3)
    assert_same_run(train(run, checkpoint=checkpoint), uninterrupted["rnn-rmsprop-one-hot"])


def test_checkpoint_executes_nothing(tmp_path):
    # A pickle that would call something is refused by type, even with the right checksum.
    class Hostile:
        def __reduce__(self):
            return (pytest.fail, ("the checkpoint's code was run",))

    buffer = io.BytesIO()
    torch.save({"key": Hostile()}, buffer)
    write_verified(tmp_path / "checkpoint", buffer.getvalue())
    with pytest.raises(Exception, match=r"Weights only load failed"):
        train(config(train_steps=1), checkpoint=tmp_path / "checkpoint")


def test_checkpoint_is_kept_on_the_way(tmp_path, monkeypatch):
    # Without any interruption: a power cut must not cost more than some seconds.
    monkeypatch.setattr("digitspan.training.run.CHECKPOINT_SECONDS", 0.0)
    seen = []
    train(
        RESUMED["rnn-rmsprop-one-hot"],
        checkpoint=tmp_path / "checkpoint",
        on_evaluation=lambda point: seen.append((tmp_path / "checkpoint").exists()),
    )
    assert seen == [False, True, True, True]
    assert list(tmp_path.iterdir()) == []


# Devices -------------------------------------------------------------------------------------


def test_device_is_found_by_name():
    assert find_device("cpu") == torch.device("cpu")
    assert find_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["", "abacus", "CPU", "cuda:99", "meta"])
def test_device_that_is_not_there_is_a_sentence(name):
    with pytest.raises(
        UsageError, match=rf"^--device must be one that is there \(auto, cpu.*\); got '{name}'$"
    ):
        find_device(name)


# What is learned -----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "start", "rate", "length", "known_steps"),
    [
        ("rnn", "uniform", 1e-3, 5, 94),
        ("rnn", "uniform", 1e-3, 10, 110),
        ("rnn", "orthogonal", 1e-3, 20, 120),
        ("rnn", "identity", 1e-3, 10, 104),
        ("lstm", "uniform", 1e-3, 5, 107),
        ("lstm", "uniform", 1e-2, 20, 270),
        ("lstm", "forget-bias-1", 1e-3, 10, 123),
        ("lstm", "chrono", 3e-3, 20, 210),
    ],
)
def test_learned_table_holds(cell, start, rate, length, known_steps):
    # One seed was measured each: three times as many steps and two evaluations are granted.
    record = train(
        RunConfig(
            cell=cell,
            initialisation=start,
            learning_rate=rate,
            length=length,
            train_steps=3 * known_steps + 100,
        )
    ).record
    print(f"{cell} {start} {rate:g} T={length}: {record.end_state} at step {record.steps}")
    assert_learned(record)


if __name__ == "__main__":
    torch.set_num_threads(1)
    GOLDEN.write_text(json.dumps(golden_losses(), indent=1) + "\n", encoding="utf-8")


# A length that grows -------------------------------------------------------------------------


def growing(cell="lstm", **settings):
    """An LSTM that comes to T = 40 in a second or two."""
    settings = {"initialisation": "forget-bias-1", "curriculum": True, "length": 40} | settings
    return config(cell, max_grad_norm=1.0, hidden_size=32, **settings)


def lengths_of(record):
    """The lengths trained at, each once."""
    return [length for length, _ in itertools.groupby(point.length for point in record.curve)]


def test_length_grows_by_the_factor_when_it_is_held_and_ends_at_t():
    record = train(growing()).record
    assert lengths_of(record) == [7, 10, 13, 17, 23, 30, 39, 40]  # 5 was held before step 50
    assert record.end_state == "solved"
    assert record.accuracy >= 0.99
    grown = [b for a, b in itertools.pairwise(record.curve) if b.length > a.length]
    assert max(point.loss for point in grown) < 0.1, "of the batch that made the length grow"


def test_run_is_solved_at_its_own_length_only():
    record = train(growing(train_steps=80)).record
    right = [point.validation_accuracy for point in record.curve if point.length < 40]
    assert sum(share >= 0.99 for share in right) >= 2
    assert [point.length for point in record.curve].count(40) == 2  # less than 50 steps apart
    assert record.end_state == "censored"


def test_standing_still_at_a_short_length_takes_the_whole_budget():
    record = train(own("Still", length=20, train_steps=2_000, curriculum=True)).record
    assert (record.end_state, record.steps, lengths_of(record)) == ("censored", 2_000, [5])
    assert record.grown_to == 5


def test_batches_of_a_shorter_length_do_not_make_it_grow():
    record = train(own("Short", length=20, train_steps=20, curriculum=True)).record
    assert lengths_of(record) == [7, 10, 13]  # where it answers wrong, though right below
    assert (record.grown_to, record.end_state) == (13, "censored")


def test_half_of_the_batches_are_of_the_present_length_and_half_shorter():
    run = run_module._Training(growing(), torch.device("cpu"), None)
    run.length = 40
    for _ in range(20):
        run.begin_block()
    lengths = [batch.length for batch in run.waiting]
    assert [batch.questions.inputs.shape[1] + 1 for batch in run.waiting] == lengths
    shorter = [length for length in lengths if length < 40]
    assert 0.4 < len(shorter) / len(lengths) < 0.6
    assert set(shorter) == set(range(5, 40))
    below = sum(length < math.sqrt(5 * 40) for length in shorter)  # the middle of ln T
    assert 0.4 < below / len(shorter) < 0.6


def test_growing_run_goes_on_after_an_interrupt_as_it_would_have(tmp_path):
    expected = train(growing())
    for after in (3, 8):
        seen = itertools.count(1)

        def interrupt(point, seen=seen, after=after):
            if next(seen) == after:
                raise KeyboardInterrupt

        path = tmp_path / str(after)
        with pytest.raises(KeyboardInterrupt):
            train(growing(), checkpoint=path, on_evaluation=interrupt)
        assert_same_run(train(growing(), checkpoint=path), expected)


def test_guessing_has_no_lengths_to_grow_through():
    record = train(
        config("rnn", length=20, trained="none", curriculum=True, train_steps=100)
    ).record
    assert lengths_of(record) == [20]


def test_growing_runs_are_not_trained_together():
    with pytest.raises(UsageError, match="one by one"):
        train_together([growing(), growing(seed=1)])
