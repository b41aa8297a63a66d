"""The pool hears of every worker's end, also as Windows tells it."""

from multiprocessing import Pipe
from types import SimpleNamespace

import pytest

from digitspan.study.crew.pool import Pool
from digitspan.study.crew.worker import WorkerOptions


class BrokenPipe:
    """A dead worker's pipe as Windows has it: to ask whether anything has come raises."""

    def __init__(self, end):
        self._end = end
        self.fileno, self.close = end.fileno, end.close

    def poll(self):
        raise BrokenPipeError


@pytest.fixture
def dead():
    """A worker that has ended with status 1, and said nothing."""
    ours, theirs = Pipe()
    sentinel, ended = Pipe()
    ended.close()  # as the sentinel of a process that has ended, it is ready
    process = SimpleNamespace(sentinel=sentinel, exitcode=1, join=lambda seconds: None)
    yield SimpleNamespace(pipe=BrokenPipe(ours), process=process, job="its run", seal="")
    theirs.close()
    sentinel.close()


def test_a_worker_whose_pipe_is_broken_has_died_and_the_study_goes_on(dead, tmp_path):
    pool = Pool(WorkerOptions(folder=str(tmp_path), device="cpu"), size=1)
    pool.workers.append(dead)
    wake_up, _ = Pipe()
    said = list(pool.wait(wake_up))
    assert said == [("its run", {"died": "worker", "how": "exit status 1"})]
    assert pool.workers == []
