"""A worker does what comes through its pipe, and says how each run ended.

It is called in this process, with the jobs already in the pipe, and returns when that is empty.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from multiprocessing import Pipe

import own_cells
import pytest
from processes import PATH, QUICK_STUDY

from digitspan.files import sha256
from digitspan.runs.config import RunConfig
from digitspan.runs.record import RunRecord
from digitspan.study.crew import worker
from digitspan.study.crew.worker import WorkerOptions, work
from digitspan.study.store import Row, Store, weights_path
from digitspan.training.run import train


def small(cell="rnn", **settings):
    usual = {"length": 5, "hidden_size": 8, "batch_size": 8, "train_steps": 60}
    return RunConfig(**{"cell": cell} | usual | settings)


@pytest.fixture
def answers(tmp_path):
    """A function that lets a worker do some runs, and gives all that it sent."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def run(*configs, keep=True, folder=tmp_path):
        ours, theirs = Pipe()
        for config in configs:
            ours.send_bytes(json.dumps({"config": config.canonical, "keep": keep}).encode())
        receiver, sender = Pipe(duplex=False)  # closing the pipe must not lose the answers
        sent = []

        class Ends:
            """The worker's end: the jobs, then nothing more."""

            def recv_bytes(self):
                if not theirs.poll():
                    raise EOFError
                return theirs.recv_bytes()

            def send_bytes(self, data):
                sent.append(json.loads(data))

        work(Ends(), WorkerOptions(folder=str(folder), device="cpu"))
        for end in (ours, theirs, receiver, sender):
            end.close()
        return sent

    yield run
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_worker_sends_its_steps_and_then_the_record(answers, tmp_path):
    config = small()
    *steps, last = answers(config)
    assert steps == [{"step": 50}, {"step": 60}]
    record = RunRecord.from_json(last["record"])
    assert record == train(config).record
    assert last["timing"]["seconds"] > 0
    assert last["timing"]["host"]


def test_weights_are_kept_where_asked_and_are_those_of_the_record(answers, tmp_path):
    config = small()
    record = RunRecord.from_json(answers(config)[-1]["record"])
    weights = weights_path(tmp_path, config.key)
    assert sha256(weights.read_bytes()) == record.weights_sha256
    weights.unlink()
    answers(config, keep=False)
    assert not weights.exists()


def test_record_survives_the_pipe_and_the_store_unchanged(answers, tmp_path):
    config = small(learning_rate=0.1 + 0.2)
    record = RunRecord.from_json(answers(config)[-1]["record"])
    with Store.create(tmp_path) as store:
        store.add(Row(record, store_timing(), "grid"))
        assert store.rows()[config.key].record == train(config).record


def store_timing():
    from digitspan.study.store import Timing

    return Timing(1.0, 2.0, "here", 1)


def test_worker_does_one_run_after_another(answers):
    configs = [small(seed=seed) for seed in range(3)]
    records = [RunRecord.from_json(m["record"]) for m in answers(*configs) if "record" in m]
    assert [record.config for record in records] == configs


@pytest.mark.parametrize(
    ("config", "end_state", "step"),
    [
        (small(learning_rate=1e38), "diverged", 2),
        (small("own_cells:Infinite"), "diverged", 1),
        (small("own_cells:InfiniteGradient"), "diverged", 1),
    ],
    ids=["weights", "loss", "gradient"],
)
def test_run_that_is_not_finite_is_a_row_with_its_step(config, end_state, step, answers):
    record = RunRecord.from_json(answers(config)[-1]["record"])
    assert (record.end_state, record.steps, record.solved) == (end_state, step, False)


def test_run_at_an_absurd_rate_is_a_row(answers):
    record = RunRecord.from_json(answers(small(learning_rate=1e3))[-1]["record"])
    assert record.end_state in {"diverged", "censored"}


def test_run_without_any_gradient_is_a_row(answers):
    record = RunRecord.from_json(answers(small("own_cells:Still", trained="all"))[-1]["record"])
    assert record.end_state == "censored"


def test_run_out_of_memory_is_an_error_and_the_next_one_is_done(answers, monkeypatch):
    monkeypatch.setattr(own_cells.Failing, "error", MemoryError())
    first, *_, last = answers(small("own_cells:Failing"), small())
    assert first["record"]["end_state"] == "error"
    assert last["record"]["end_state"] == "censored"


def test_fault_in_a_cell_is_told_and_the_next_run_is_done(answers, capsys):
    first, *_, last = answers(small("own_cells:Failing"), small())
    assert first == {"failed": "RuntimeError: a fault of the cell's own"}
    assert "Traceback" in capsys.readouterr().err, "whoever writes the cell wants to see it"
    assert last["record"]["end_state"] == "censored"


def test_cell_that_is_not_there_is_refused(answers):
    [message] = answers(small("own_cells:Nobody"))
    assert message["exit_status"] == 2
    assert message["refused"].startswith("cell 'own_cells:Nobody' was not found")


def test_weights_that_cannot_be_written_are_a_sentence(answers, tmp_path):
    (tmp_path / "weights").write_text("in the way")
    message = answers(small())[-1]
    assert message["exit_status"] == 1
    assert message["refused"].startswith("cannot write ")


def test_torch_that_cannot_be_loaded_stops_the_study_instead_of_crashing_every_run(
    answers, monkeypatch
):
    monkeypatch.setitem(sys.modules, "torch", None)
    [message] = answers(small())
    assert message["exit_status"] == 1
    assert message["refused"].startswith("torch cannot be loaded: ")


def test_worker_whose_driver_has_gone_ends(answers, tmp_path):
    class Gone:
        def send_bytes(self, data):
            raise BrokenPipeError

    with pytest.raises(SystemExit, match=r"^1$"):
        worker._send(Gone(), {"step": 1})


def test_sigterm_in_training_keeps_a_checkpoint_and_the_run_goes_on(
    answers, tmp_path, monkeypatch
):
    config = small(train_steps=150)
    expected = train(config).record
    send = worker._send

    def stopped(pipe, message):
        send(pipe, message)
        if message == {"step": 100}:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(worker, "_send", stopped)
    with pytest.raises(SystemExit, match=r"^143$"):
        answers(config)
    assert (tmp_path / "checkpoints" / f"{config.key}.ckpt").exists()
    monkeypatch.setattr(worker, "_send", send)
    *steps, last = answers(config)
    assert steps[0] == {"step": 100}, "it began anew"
    assert RunRecord.from_json(last["record"]) == expected
    assert os.listdir(tmp_path / "checkpoints") == []


def test_exception_made_of_sigterm_is_no_fault_of_the_run(answers, monkeypatch, capsys):
    # NumPy, half imported when SIGTERM struck, fails later with another exception.
    def swallowed(*arguments, **options):
        with contextlib.suppress(SystemExit):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)
        message = "module 'numpy' has no attribute 'multiply'"
        raise AttributeError(message)

    monkeypatch.setattr("digitspan.training.run.train", swallowed)
    with pytest.raises(SystemExit, match=r"^143$"):
        answers(small())
    assert "Traceback" not in capsys.readouterr().err


HUNGRY = """
import torch
from digitspan.cells.sheet import rnn

class Hungry(torch.nn.Module):
    def __init__(self, input_size, hidden_size, num_classes):
        super().__init__()
        self.network = rnn(input_size=input_size, hidden_size=hidden_size, num_classes=num_classes)

    def forward(self, inputs):
        if torch.is_grad_enabled():
            torch.ones(2**40)  # 4 TiB
        return self.network(inputs)
"""


@pytest.mark.slow
def test_study_whose_runs_are_out_of_memory_goes_on(tmp_path):
    # Twenty runs that ask for more memory than there is, and as many that do not.
    (tmp_path / "hungry.py").write_text(HUNGRY, encoding="utf-8")
    words = ["--cells", "hungry:Hungry", "rnn", "--lengths", "5", "--seeds", "20", "--train-steps",
             "50", "--hidden-size", "8", "--batch-size", "8", "--out", "study"]  # fmt: skip
    done = subprocess.run(
        [sys.executable, QUICK_STUDY, *words],
        cwd=tmp_path, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": PATH, "QUICK_TRAINING": "real"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with Store.open(tmp_path / "study") as store:
        ends = [(row.record.config.cell, row.record.end_state) for row in store.rows().values()]
    assert ends.count(("hungry:Hungry", "error")) == 20, ends
    assert len(ends) == 40
    print("20 of 40 runs out of memory: all 40 have their row")
