"""A study on a Ray cluster has the rows of one on this machine, whatever dies.

The nodes are begun by hand, as docs/cluster.md says, with a token of their own, and end by the ids
of their own processes. Their training is made up, as in test_runner.py.
"""

import contextlib
import importlib.metadata
import json
import os
import platform
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from multiprocessing import Pipe
from pathlib import Path

import pytest
from kept import assert_kept, assert_one_sentence, export_of, last_line, repeated, rows_of
from processes import PATH, QUICK_STUDY, Command, grace, wait_until

import digitspan
from digitspan.cli import main
from digitspan.errors import DigitspanError, UsageError
from digitspan.runs.config import RunConfig
from digitspan.runs.record import RunRecord
from digitspan.study.crew import cluster as cluster_module
from digitspan.study.crew.cluster import Cluster
from digitspan.study.crew.ray_driver import make_task
from digitspan.study.crew.worker import ClusterStatus, WorkerOptions
from digitspan.training.run import train

try:
    RAY = importlib.metadata.version("ray")
except importlib.metadata.PackageNotFoundError:
    RAY = ""
on_cluster = pytest.mark.skipif(
    not RAY or sys.platform != "linux",
    reason="needs Linux and ray, which `pip install -e .[cluster]` installs",
)
GRID = ("--cells", "rnn", "lstm", "--lengths", "5", "8", "--seeds", "4", "--train-steps", "500")


class Nodes:
    """A cluster on this machine: a head and the nodes that joined it, one core each.

    Args:
        folder: short, for the paths of Ray's sockets; its name must not be longer.
        environment: further environment variables of its nodes.
    """

    def __init__(self, folder, **environment):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self.folder = folder
        token = folder / "token"
        token.write_text(uuid.uuid4().hex)
        token.chmod(0o600)
        self.joins = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
        usual = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_raylet_start_wait_time_s": "200"}
        self.environment = usual | self.joins | environment
        self.nodes = []

    def begin(self):
        """Begin the head."""
        port = self.address.rpartition(":")[2]
        self.head = self._start(
            "--head", "--node-ip-address=127.0.0.1", f"--port={port}",
            f"--temp-dir={self.folder}", "--include-dashboard=false",
        )  # fmt: skip

    def join(self):
        """Begin another node."""
        return self._start(f"--address={self.address}")

    def _start(self, *options):
        words = ("-m", "ray.scripts.scripts", "start", *options, "--num-cpus=1", "--block")
        node = Command(*words, folder=self.folder, **self.environment)
        self.nodes.append(node)  # before it is waited for: it is ended even if it does not come up
        wait_until(lambda: "Ray runtime started" in node.output.read_text() + node.said(), 200)
        return node

    def kill(self, node):
        """Switch a node off."""
        self.nodes.remove(node)
        node.kill()

    def study(self, folder, *arguments, out="study"):
        """Begin a study on it, as a process of its own."""
        words = (QUICK_STUDY, *arguments, "--runner", "ray", "--address", self.address)
        return Command(*words, "--out", out, folder=folder, **self.joins)

    def end(self):
        """End all of it."""
        for node in self.nodes:
            node.kill()


def tasks_of(node):
    """The processes of a node that are in the midst of a run."""
    found = []
    for pid in node.alive():
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::digitspan"):
                found.append(pid)
    return found


@contextlib.contextmanager
def nodes_of(**environment):
    with tempfile.TemporaryDirectory(prefix="ds", ignore_cleanup_errors=True) as name:
        nodes = Nodes(Path(name), **environment)
        try:
            nodes.begin()
            yield nodes
        finally:
            nodes.end()


@pytest.fixture(scope="module")
def nodes():
    """A head and one further node, whose runs take 1 s each (500 steps)."""
    with nodes_of(QUICK_SECONDS_A_STEP="0.002") as found:
        found.join()
        yield found


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """GRID's folder, done by the local runner."""
    folder = tmp_path_factory.mktemp("local")
    command = Command(QUICK_STUDY, *GRID, "--out", "study", folder=folder)
    assert command.wait() == 0
    return folder / "study"


def assert_same(folder, expected, capsys):
    """The same export, and the same weights, as the local runner's."""
    assert export_of(folder, capsys) == export_of(expected, capsys)
    found, wanted = (
        {path.name: path.read_bytes() for path in (study / "weights").iterdir()}
        for study in (folder, expected)
    )
    assert found == wanted
    assert len(found) == 16


# Nodes die, drivers die, nodes come ------------------------------------------------------------


@on_cluster
@repeated(1, 50)
def test_killed_nodes_lose_and_double_nothing(times, nodes, expected, tmp_path, capsys):
    chance, killed, studies = random.Random(times), 0, 0
    while killed < times:
        out = f"study-{studies}"
        command = nodes.study(tmp_path, *GRID, out=out)
        for _ in range(min(3, times - killed)):
            node = nodes.nodes[-1]
            wait_until(
                lambda node=node, c=command: tasks_of(node) or c.process.poll() is not None, 120
            )
            time.sleep(chance.uniform(0, 0.5))
            in_midst, before = len(tasks_of(node)), rows_of(tmp_path / out)
            nodes.kill(node)
            killed += 1
            nodes.join()
            assert_kept(before, rows_of(tmp_path / out))
        assert command.wait() == 0, command.said()
        assert_same(tmp_path / out, expected, capsys)
        told = command.said()
        assert command.process.returncode == 0
        # Its run, and none but those, was begun again, and that was said.
        if in_midst:
            assert "died by being switched off or cut off; begun again" in told
        studies += 1
    print(f"{killed} nodes killed in {studies} studies: 0 lost, 0 doubled, 1 export")


@on_cluster
def test_node_that_joins_in_a_long_study_gets_work(nodes, tmp_path):
    nodes.kill(nodes.nodes[-1])
    # More runs than are done while the node comes up; then it is interrupted.
    command = nodes.study(tmp_path, *GRID, "--seeds", "500")
    wait_until(lambda: "nodes: 1, for 1 runs at a time" in command.said())
    node = nodes.join()
    wait_until(lambda: tasks_of(node) and "nodes: 2, running: 2" in command.said(), 120)
    assert "nodes: 2, for 2 runs at a time" in command.said()
    command.send(signal.SIGINT)
    assert command.wait() == 130


@on_cluster
@repeated(1, 20)
def test_killed_driver_is_called_again_and_does_what_is_missing(
    times, nodes, expected, tmp_path, capsys
):
    chance = random.Random(times)
    for number in range(times):
        out = f"study-{number}"
        command = nodes.study(tmp_path, *GRID, out=out)
        wait_until(lambda c=command: " to do, " in c.said(), 120)
        time.sleep(chance.uniform(0, 2))
        command.kill()
        before = rows_of(tmp_path / out)
        assert before
        again = nodes.study(tmp_path, *GRID, out=out)
        assert again.wait() == 0, again.said()
        assert f"{len(before)} runs are done, {16 - len(before)} to do" in again.said()
        assert_kept(before, rows_of(tmp_path / out))
        assert_same(tmp_path / out, expected, capsys)


@on_cluster
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupt_leaves_no_task_running(number, status, nodes, tmp_path):
    command = nodes.study(tmp_path, *GRID)
    everywhere = (nodes.head, nodes.nodes[-1])
    wait_until(lambda: " to do, " in command.said() and all(map(tasks_of, everywhere)), 120)
    sent = time.monotonic()
    command.send(number, group=number == signal.SIGINT)
    assert command.wait() == status
    took = time.monotonic() - sent
    assert took < 3 + grace(), f"it took {took:.1f} s"
    assert last_line(command).endswith("finished runs are kept; call again to go on")
    assert "Traceback" not in command.said()
    assert command.gone_after(1), "orphans"
    wait_until(lambda: not any(map(tasks_of, everywhere)), 2 + grace())
    assert rows_of(tmp_path / "study")


@on_cluster
def test_runs_that_cannot_be_finished_are_recorded_as_the_local_runner_does(nodes, tmp_path):
    cells = ("quick:Killed", "quick:Raises", "quick:KilledOnce", "quick:Fine")
    words = ("--cells", *cells, "--lengths", "5", "--seeds", "1", "--train-steps", "100")
    command = nodes.study(tmp_path, *words)
    assert command.wait(200) == 0, command.said()
    rows = {row.record.config.cell[6:]: row for row in rows_of(tmp_path / "study").values()}
    found = {
        name: (record.end_state, record.note, timing.attempts)
        for name, (record, timing, _) in rows.items()
    }
    note = "its worker died 3 times, the last time by a crash on its node"
    assert found == {
        "Killed": ("error", note, 3),
        "Raises": ("error", "RuntimeError: a fault of the cell's own", 1),
        "KilledOnce": ("solved", "", 2),
        "Fine": ("solved", "", 1),
    }


@on_cluster
def test_run_that_is_refused_ends_the_study_with_a_sentence_that_names_the_node(nodes, tmp_path):
    words = ("--cells", "quick:Refuses", "--lengths", "5", "--seeds", "1")
    command = nodes.study(tmp_path, *words)
    assert command.wait() == 2
    host = socket.gethostname()
    assert last_line(command) == f"digitspan study: node {host}: the cell cannot be used"


@on_cluster
@pytest.mark.slow
def test_without_an_address_a_cluster_is_begun_here_and_ended(expected, nodes, tmp_path, capsys):
    words = (QUICK_STUDY, *GRID, "--runner", "ray", "--workers", "2", "--out", "study")
    command = Command(*words, folder=tmp_path, **nodes.joins)
    assert command.wait() == 0, command.said()
    assert "nodes: 1, for 2 runs at a time" in command.said()
    assert_same(tmp_path / "study", expected, capsys)
    assert command.gone_after(5 + grace()), "Ray's processes are still there"


@on_cluster
@pytest.mark.slow
def test_study_whose_head_is_gone_ends_with_a_sentence(expected, tmp_path, capsys):
    with nodes_of(QUICK_SECONDS_A_STEP="0.002") as own:
        node = own.join()
        command = own.study(tmp_path, *GRID)
        wait_until(lambda: " to do, " in command.said() and tasks_of(node), 120)
        own.kill(own.head)
        killed = time.monotonic()
        assert command.wait() == 1
        print(f"noticed after {time.monotonic() - killed:.1f} s")
        assert time.monotonic() - killed < cluster_module.SILENCE_SECONDS + 10 + grace()
        assert "does not answer any more, its head is gone; all finished" in last_line(command)
        assert command.gone_after(5), "orphans"
    before = rows_of(tmp_path / "study")
    assert before
    again = Command(QUICK_STUDY, *GRID, "--out", "study", folder=tmp_path)  # or elsewhere
    assert again.wait() == 0
    assert_kept(before, rows_of(tmp_path / "study"))
    assert_same(tmp_path / "study", expected, capsys)


@on_cluster
@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_two_hundred_real_runs_with_a_node_killed_half_way_are_the_local_ones(tmp_path, capsys):
    words = ("--cells", "rnn", "lstm", "--lengths", "5", "6", "--seeds", "50")
    words += ("--hidden-size", "8", "--batch-size", "16", "--train-steps", "100")
    local = Command(QUICK_STUDY, *words, "--out", "local", folder=tmp_path, QUICK_TRAINING="real")
    assert local.wait(600) == 0
    with nodes_of() as own:
        node = own.join()
        command = Command(
            *(QUICK_STUDY, *words, "--runner", "ray", "--address", own.address, "--out", "ray"),
            folder=tmp_path, QUICK_TRAINING="real", **own.joins,
        )  # fmt: skip
        wait_until(lambda: len(rows_of(tmp_path / "ray")) >= 100 and tasks_of(node), 600)
        own.kill(node)
        half = rows_of(tmp_path / "ray")
        assert command.wait(600) == 0, command.said()
    assert len(half) < 200
    assert_kept(half, rows_of(tmp_path / "ray"))
    found = export_of(tmp_path / "ray", capsys)
    assert found == export_of(tmp_path / "local", capsys)
    assert len(found.splitlines()) == 1 + 200
    names = [sorted(path.name for path in (tmp_path / x / "weights").iterdir()) for x in
             ("ray", "local")]  # fmt: skip
    assert names[0] == names[1]
    print(f"one of two nodes killed after {len(half)} of 200 runs: the same export")


# What is refused --------------------------------------------------------------------------------


def cluster_at(address):
    return Cluster(address, WorkerOptions(folder=".", device="cpu"), 1)


@pytest.mark.parametrize(
    ("installed", "said"), [(None, "and none is installed"), ("2.9.3", "got 2.9.3")]
)
def test_missing_or_old_ray_is_refused(installed, said, monkeypatch, tmp_path, capsys):
    real = importlib.metadata.version

    def version(name):
        if name != "ray":
            return real(name)
        if installed is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return installed

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert main(["study", "quick", "--runner", "ray", "--out", str(tmp_path / "study")]) == 2
    error = capsys.readouterr().err
    assert_one_sentence(error)
    assert "--runner ray needs ray 2.49 or newer" in error
    assert said in error
    assert 'pip install "digitspan[cluster]"' in error
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize("address", ["head", "head:", ":6379", "head:x", "head:99999", "h:²"])
def test_address_that_is_none_is_refused(address, monkeypatch):
    monkeypatch.setattr(cluster_module, "_require_ray", lambda: None)
    with pytest.raises(UsageError, match=r"^--address must be HOST:PORT, .* got '"):
        cluster_at(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid"])
def test_address_where_nothing_listens_is_refused_at_once(host, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(cluster_module, "_require_ray", lambda: None)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = ["--runner", "ray", "--address", f"{host}:{port}", "--out", str(tmp_path / "study")]
    begun = time.monotonic()
    assert main(["study", "quick", *words]) == 2
    assert time.monotonic() - begun < 5 + grace()
    error = capsys.readouterr().err
    assert_one_sentence(error)
    assert f"nothing answers at --address {host}:{port} (" in error
    assert "`ray start --head` begins" in error
    assert not (tmp_path / "study").exists()


@on_cluster
def test_listener_that_is_no_cluster_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cluster_module, "CONNECT_SECONDS", 2)  # else 12
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = f"127.0.0.1:{deaf.getsockname()[1]}"
        words = ["--runner", "ray", "--address", address, "--out", str(tmp_path / "study")]
        begun = time.monotonic()
        assert main(["study", "quick", *words]) == 2
    assert time.monotonic() - begun < 15 + 4 * grace()
    assert f"what listens at --address {address} does not answer as a Ray" in last(capsys)


def last(capsys):
    return capsys.readouterr().err.strip().splitlines()[-1]


@on_cluster
@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"RAY_AUTH_MODE": "disabled"}, "RAY_AUTH_MODE and its token"),
     ({"QUICK_RAY_VERSION": "2.1.0"}, "Version mismatch")],
)  # fmt: skip
def test_cluster_that_cannot_be_joined_is_refused(wrong, said, nodes, tmp_path):
    words = (QUICK_STUDY, *GRID, "--runner", "ray", "--address", nodes.address, "--out", "study")
    command = Command(*words, folder=tmp_path, **nodes.joins | wrong)
    assert command.wait() == 2
    print(f"refused after {time.monotonic() - command.begun:.1f} s")
    assert time.monotonic() - command.begun < 15 + 4 * grace()
    assert f"cannot join the Ray cluster at {nodes.address} (" in last_line(command)
    assert said in last_line(command)
    assert "Traceback" not in command.said()


def done(*, keep=True, **changes):
    """What a task gives back, called here as a node would call it."""
    config = RunConfig(cell="rnn", length=5, hidden_size=4, batch_size=4, train_steps=50, seed=3)
    expected = {"digitspan": digitspan.__version__, "Python": platform.python_version()}
    given = {"device": "cpu", "folder": os.getcwd(), "trainer": "digitspan.study.crew.worker"}
    asked = {"config": config.canonical, "keep": keep}
    for name, value in changes.items():
        next(words for words in (expected, given) if name in words)[name] = value
    text, weights = make_task()(expected, given, asked)
    return config, json.loads(text), weights


def test_task_gives_back_the_record_and_the_weights():
    config, message, weights = done()
    finished = train(config)
    assert RunRecord.from_json(message["record"]) == finished.record
    assert weights == finished.weights
    assert finished.record.environment["threads"] == "1"


def test_task_leaves_weights_that_are_not_to_be_kept_where_they_are():
    assert done(keep=False)[2] == b""


@pytest.mark.parametrize("name", ["digitspan", "Python"])
def test_node_of_another_version_refuses(name):
    _, message, _ = done(**{name: "0.0.1"})
    assert message["exit_status"] == 2
    assert f"node {socket.gethostname()} has {name} " in message["refused"]
    assert "and this machine 0.0.1; install the same version on all" in message["refused"]


@pytest.mark.parametrize("module", ["digitspan", "digitspan.training.run"])
def test_node_without_digitspan_or_torch_refuses(module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)  # what is said of a module that is not there
    with contextlib.suppress(ImportError):
        monkeypatch.delattr("digitspan.training.run", raising=False)
    task = make_task()
    text, weights = task({}, {"folder": "", "trainer": "digitspan.study.crew.worker"}, {})
    message = json.loads(text)
    assert (weights, message["exit_status"]) == (b"", 2)
    assert f"node {socket.gethostname()} cannot train: " in message["refused"]
    assert "install digitspan and torch there" in message["refused"]


def test_task_asks_nothing_of_a_node_before_it_has_looked():
    # It travels by value: a node need not even have digitspan to say that it has not.
    script = (
        "import pickle, sys, ray.cloudpickle as c; sys.modules['digitspan'] = None;"
        "print(c.loads(sys.stdin.buffer.read())({}, {}, {})[0])"
    )
    cloudpickle = pytest.importorskip("ray.cloudpickle")
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=cloudpickle.dumps(make_task()),
        capture_output=True,
        check=True,
        env=os.environ | {"PYTHONPATH": PATH},
    )
    assert b"cannot train: import of digitspan halted" in done.stdout


@on_cluster
@pytest.mark.slow
def test_study_on_nodes_of_another_version_is_refused(tmp_path):
    other = tmp_path / "other" / "digitspan"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text('__version__ = "0.0.1"\n')
    with nodes_of(PYTHONPATH=str(other.parent)) as own:
        command = own.study(tmp_path, *GRID)
        assert command.wait() == 2
    assert "has digitspan 0.0.1, and this machine " in last_line(command)
    assert "Traceback" not in command.said()


def test_cluster_that_says_nothing_more_is_not_waited_for(monkeypatch):
    # As where its head is gone: Ray's process is there, blocks, and is silent.
    monkeypatch.setattr(cluster_module, "_require_ray", lambda: None)
    monkeypatch.setattr(cluster_module, "SILENCE_SECONDS", 0.2)
    crew = cluster_at("local")
    (crew._pipe, _), (wake_up, _) = ends = Pipe(), Pipe()
    crew.status = ClusterStatus(nodes=1, slots=1, running=1)
    with pytest.raises(DigitspanError, match="its head is gone; all finished runs") as caught:
        list(crew.wait(wake_up))
    assert caught.value.exit_status == 1
    for end in (*ends[0], *ends[1]):
        end.close()
