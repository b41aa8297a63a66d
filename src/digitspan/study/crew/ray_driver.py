"""Drives a Ray cluster: hands runs to its nodes and their results back; no store, no decisions.

It is a process of its own, between the study and the cluster (cluster.py says why). Every task is
one run, tried once: whether it is tried again is for the study to say.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Iterable, Mapping
from multiprocessing.connection import Connection
from typing import Any

from digitspan import __version__
from digitspan.cells.own import is_own
from digitspan.study.crew.worker import Message, WorkerOptions

__all__ = ["LOCAL", "drive", "gpu_share", "slots"]

LOCAL = "local"
"""In the place of an address: begin a cluster on this machine."""

TRAINER = "digitspan.study.crew.worker"
"""The module whose `train_run` the nodes call."""

STATUS_SECONDS = 1.0
"""Seconds between status reports."""

Resources = Mapping[str, float]
"""What a node has, as Ray counts it: "CPU", "GPU"."""


def drive(pipe: Connection, options: WorkerOptions, address: str, most: int) -> None:
    """Give what comes through the pipe to the cluster at an address, until the pipe closes.

    In: what `request` makes. Out: messages with their run's "key", and whether its "weights"
    follow; and `{"connecting": true}` once, `{"nodes": n, "slots": n}` every second.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "3")  # tries to connect, a second each
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # Ray says on them what the study says in a sentence
        os.dup2(nowhere, stream)
    import ray

    how: dict[str, Any] = {"num_cpus": most, "include_dashboard": False}
    try:
        if address != LOCAL:
            pipe.send_bytes(json.dumps({"connecting": True}).encode())
            how = {}
        ray.init(address, log_to_driver=False, **how)
    except Exception as error:  # whatever Ray may raise
        said = " ".join(str(error).split())[:300]
        message = (
            f"cannot join the Ray cluster at {address} ({said}); expected one that runs, with the "
            f"same versions of Ray and Python, and RAY_AUTH_MODE and its token as on its nodes"
        )
        pipe.send_bytes(json.dumps({"refused": message, "exit_status": 2}).encode())
        return
    try:
        _Driver(pipe, options, most).run()
    except (EOFError, OSError):
        pass  # the study has ended
    finally:
        ray.shutdown()


class _Driver:
    """The runs under way."""

    def __init__(self, pipe: Connection, options: WorkerOptions, most: int) -> None:
        import ray

        self.pipe, self.most = pipe, most
        nodes = _nodes()
        self.share = gpu_share(options["device"], nodes)
        device = options["device"]
        if device == "auto":
            device = "cuda" if self.share else "cpu"
        self.expected = {"digitspan": __version__, "Python": platform.python_version()}
        self.given = {"device": device, "folder": os.getcwd(), "trainer": TRAINER}
        how = {"num_cpus": 1, "num_gpus": self.share, "max_retries": 0}
        self.task = ray.remote(**how)(make_task()).options(name="digitspan")
        # A cell of one's own has a process of its own, which ends with its run.
        self.own_task = ray.remote(**how, max_calls=1)(make_task()).options(name="digitspan")
        self.keys: dict[Any, str] = {}

    def run(self) -> None:
        """Hand runs out and results back, until the pipe closes."""
        import ray

        said = 0.0
        while True:
            if time.monotonic() - said >= STATUS_SECONDS:
                nodes, said = _nodes(), time.monotonic()
                free = min(self.most, slots(nodes, self.share))
                self.say({"nodes": len(nodes), "slots": free})
            while self.pipe.poll(0 if self.keys else 0.05):
                asked = json.loads(self.pipe.recv_bytes())
                config = json.loads(asked["config"])
                own = is_own(config["cell"]) or is_own(config.get("task", ""))
                task = self.own_task if own else self.task
                self.keys[task.remote(self.expected, self.given, asked)] = asked["key"]
            if not self.keys:
                continue
            refs = list(self.keys)
            if ray.wait(refs, timeout=0.05)[0]:
                for ref in ray.wait(refs, num_returns=len(refs), timeout=0)[0]:
                    message, weights = _outcome(ref)
                    self.say(message | {"key": self.keys.pop(ref)}, weights)

    def say(self, message: Message, weights: bytes = b"") -> None:
        """Tell the study."""
        self.pipe.send_bytes(json.dumps(message | {"weights": bool(weights)}).encode())
        if weights:
            self.pipe.send_bytes(weights)


def _nodes() -> list[Resources]:
    """What each node that is there has."""
    import ray

    nodes: list[dict[str, Any]] = ray.nodes()
    return [node["Resources"] for node in nodes if node["Alive"]]


def _outcome(ref: Any) -> tuple[Message, bytes]:
    """What came of a task: what it gave back, or what its death means."""
    import ray
    from ray import exceptions as died

    try:
        text, weights = ray.get(ref)
    except died.OutOfMemoryError:
        return {"died": "worker", "how": "want of memory on its node"}, b""
    except died.WorkerCrashedError:
        return {"died": "worker", "how": "a crash on its node"}, b""
    except (died.NodeDiedError, died.LocalRayletDiedError, died.ObjectLostError):
        return {"died": "node", "how": "being switched off or cut off"}, b""
    except died.RayError as error:
        last = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        return {"refused": f"a node cannot begin a run: {last[:300]}", "exit_status": 2}, b""
    message: Message = json.loads(text)
    return message, weights


def gpu_share(device: str, nodes: Iterable[Resources]) -> float:
    """The share of a GPU that a run asks for: all cores of a node with a GPU have a run each.

    Args:
        device: a name for `find_device`.
        nodes: what they have.

    >>> gpu_share("cuda", [{"CPU": 16, "GPU": 1}, {"CPU": 64}])
    0.0625
    >>> gpu_share("auto", [{"CPU": 64}]), gpu_share("cpu", [{"CPU": 16, "GPU": 1}])
    (0.0, 0.0)
    """
    if device not in ("cuda", "auto"):
        return 0.0
    shares = [node["GPU"] / max(node.get("CPU", 1), 1) for node in nodes if node.get("GPU")]
    default = 1.0 if device == "cuda" else 0.0  # such nodes may still join
    share = min(1.0, *shares) if shares else default
    return int(share * 10_000) / 10_000  # Ray counts in ten-thousandths


def slots(nodes: Iterable[Resources], share: float) -> int:
    """How many runs the nodes can train at a time, one a core.

    >>> slots([{"CPU": 2}, {"CPU": 4}, {"GPU": 1}], 0)
    6
    >>> slots([{"CPU": 2}, {"CPU": 4, "GPU": 1}], 0.25)
    4
    """
    cores = (
        min(node.get("CPU", 0), node.get("GPU", 0) / share) if share else node.get("CPU", 0)
        for node in nodes
    )
    return sum(int(number + 1e-6) for number in cores)


def make_task() -> Callable[..., tuple[str, bytes]]:
    """What a node does, made here so that it travels by value: a node may lack what is ours."""

    def task(
        expected: dict[str, str], given: dict[str, str], asked: dict[str, Any]
    ) -> tuple[str, bytes]:
        import importlib
        import json
        import os
        import platform
        import socket

        def refuse(what: str) -> tuple[str, bytes]:
            node = socket.gethostname()
            return json.dumps({"refused": f"node {node} {what}", "exit_status": 2}), b""

        try:
            import digitspan

            found = {"digitspan": digitspan.__version__, "Python": platform.python_version()}
            for name, version in expected.items():
                if found[name] != version:
                    return refuse(
                        f"has {name} {found[name]}, and this machine {version}; install the same "
                        f"version on all"
                    )
            if os.path.isdir(given["folder"]):  # on a shared disk: cells of one's own are there
                os.chdir(given["folder"])
            from digitspan.runs.config import RunConfig

            trainer = importlib.import_module(given["trainer"])
            importlib.import_module("digitspan.training.run")
        except (ImportError, OSError) as error:
            return refuse(f"cannot train: {error}; install digitspan and torch there")
        weights = [b""]

        def keep(content: bytes) -> None:
            weights[0] = content if asked["keep"] else b""

        config = RunConfig.from_canonical(asked["config"])
        message = trainer.train_run(config, given["device"], keep)
        if "refused" in message:
            message["refused"] = f"node {socket.gethostname()}: {message['refused']}"
        return json.dumps(message), weights[0]

    return task
