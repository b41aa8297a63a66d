"""A Ray cluster as a crew, seen from the study.

Ray lives in a process of its own (ray_driver.py), which is spoken to as a worker is. For Ray
blocks for two minutes where an address is wrong, and ends the process that it lives in where the
head is gone. Here both are a sentence, nothing is lost, and Ctrl-C is answered at once.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import socket
from collections import deque
from collections.abc import Iterator
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Self

from digitspan.errors import DigitspanError, UsageError
from digitspan.files import write_whole
from digitspan.study.crew.pool import begin_process
from digitspan.study.crew.ray_driver import LOCAL, drive
from digitspan.study.crew.worker import ClusterStatus, Message, WorkerOptions, refusal, request
from digitspan.study.plan import Job
from digitspan.study.store import weights_path

__all__ = ["LOCAL", "Cluster"]

OLDEST_RAY = (2, 49)

CONNECT_SECONDS, BEGIN_SECONDS = 12.0, 90.0
"""How long a cluster may take to answer at first; and Ray to be loaded, or begun here."""

SILENCE_SECONDS = 20.0
"""A cluster says how it stands every second; after so long without a word its head is gone."""

STOP_SECONDS = 5.0
"""How long Ray may take to leave a cluster, or to end the one that it began."""

AHEAD = 2
"""Runs in Ray's hands for each that can be trained: no node waits, and a new one has work."""


class Cluster:
    """The nodes of a Ray cluster, which train at most `most` runs at a time.

    Raises:
        UsageError: where Ray is not installed or nothing listens at the address.
    """

    def __init__(self, address: str, options: WorkerOptions, most: int) -> None:
        _require_ray()
        if address != LOCAL:
            _require_listener(address)
        self.address, self.options, self.most = address, options, most
        self.status: ClusterStatus | None = None
        self._connecting = False
        self._given: dict[str, Job] = {}
        self._process: SpawnProcess | None = None
        self._pipe: Connection

    def __enter__(self) -> Self:
        return self  # Ray is begun when there are runs for it

    def __exit__(self, *exception: object) -> None:
        """Leave the cluster: its tasks end with their driver."""
        if self._process is not None:
            self._pipe.close()
            if self.status is not None or not self._connecting:  # else it has nothing to leave
                self._process.join(STOP_SECONDS)
            self._process.kill()
            self._process.join()

    def kill(self) -> None:
        """Leave the cluster without a word."""
        if self._process is not None:
            self._process.kill()

    def room(self) -> bool:
        """Whether another run can be given now; not before the cluster has answered."""
        if self._process is None:
            about = (self.options, self.address, self.most)
            self._process, self._pipe = begin_process(drive, *about)
        return self.status is not None and len(self._given) < AHEAD * self.status.slots

    def choose(self, waiting: deque[Job]) -> Job:
        """Take the next run from those that wait."""
        return waiting.popleft()

    def give(self, job: Job) -> None:
        """Hand over a run."""
        self._given[job.config.key] = job
        with contextlib.suppress(OSError):  # `wait` notices that it has died
            self._pipe.send_bytes(request(job))

    def wait(self, wake_up: Connection) -> Iterator[tuple[Job, Message]]:
        """What came of runs, or how the cluster stands, once there is news or a signal.

        Raises:
            DigitspanError: where the cluster cannot be used, or is gone.
        """
        ready = connection.wait([self._pipe, wake_up], self._patience())
        if not ready:
            raise self._silent()
        while self._pipe in ready and self._pipe.poll():
            try:
                message: Message = json.loads(self._pipe.recv_bytes())
                weights = self._pipe.recv_bytes() if message.pop("weights", False) else b""
            except (EOFError, OSError) as error:
                raise self._silent() from error
            if "refused" in message:
                raise refusal(message)
            if "connecting" in message:
                self._connecting = True
                continue
            if "nodes" in message:
                running = min(len(self._given), message["slots"])
                self.status = ClusterStatus(message["nodes"], message["slots"], running)
                continue
            job = self._given.pop(message.pop("key"))
            if weights:
                write_whole(weights_path(Path(self.options["folder"]), job.config.key), weights)
            yield job, message

    def _patience(self) -> float:
        """How long the next word may take, in seconds."""
        if self.status is not None:
            return SILENCE_SECONDS
        return CONNECT_SECONDS if self._connecting else BEGIN_SECONDS

    def _silent(self) -> DigitspanError:
        """What is said of a cluster that says nothing more, or never did."""
        if self.status is not None:
            message = (
                "the cluster does not answer any more, its head is gone; all finished runs are "
                "kept; begin it again and call again to go on"
            )
            return DigitspanError(message)
        if self._connecting:
            message = (
                f"what listens at --address {self.address} does not answer as a Ray cluster does; "
                f"expected the head that `ray start --head` began"
            )
        else:
            message = "Ray could not be begun here; `--runner local` does without"
        return UsageError(message)


def _require_ray() -> None:
    """Refuse to go on without a Ray that is new enough; does not import it."""
    wanted = ".".join(map(str, OLDEST_RAY))
    install = '`pip install "digitspan[cluster]"` installs it'
    try:
        version = importlib.metadata.version("ray")
    except importlib.metadata.PackageNotFoundError as error:
        message = f"--runner ray needs ray {wanted} or newer, and none is installed; {install}"
        raise UsageError(message) from error
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < OLDEST_RAY:
        message = f"--runner ray needs ray {wanted} or newer; got {version}; {install}"
        raise UsageError(message)


def _require_listener(address: str) -> None:
    """Refuse an address where nobody listens."""
    host, _, port = address.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and int(port[:9]) < 2**16):
        message = f"--address must be HOST:PORT, such as 10.0.0.1:6379; got {address[:80]!r}"
        raise UsageError(message)
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        message = (
            f"nothing answers at --address {address[:80]} ({reason}); expected the head of a Ray "
            f"cluster, which `ray start --head` begins"
        )
        raise UsageError(message) from error
