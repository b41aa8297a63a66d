"""What every test starts from: one torch thread, a device by option, fixed examples."""

import os
import signal

import hypothesis
import pytest
import torch

# A test run in the background, or under nohup, is begun with these ignored, and every command that
# a test starts would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Workers of pytest-xdist set it; what is printed must not depend on how the tests are run.
os.environ.pop("COLUMNS", None)

# The same examples on every run: a red test stays red, and nothing is kept between runs.
hypothesis.settings.register_profile("fixed", derandomize=True, database=None, deadline=None)
hypothesis.settings.load_profile("fixed")


def pytest_ignore_collect(collection_path):
    """Helpers of the tests have no doctests, and must not be imported a second time for them."""
    if collection_path.suffix == ".py" and not collection_path.name.startswith("test_"):
        return True
    return None


def pytest_addoption(parser):
    parser.addoption("--device", default="cpu", help="where the cells are tested: cpu, cuda, mps")
    parser.addoption("--threads", type=int, default=1, help="torch threads the tests begin with")


@pytest.fixture(scope="session")
def device(request):
    """The device that the duties of a cell are tested on."""
    return torch.device(request.config.getoption("--device"))


@pytest.fixture(scope="session", autouse=True)
def threads(request):
    """One thread, as every run has; `--threads 2` shows that no tolerance depends on it."""
    torch.set_num_threads(request.config.getoption("--threads"))


@pytest.fixture(scope="module")
def float64():
    """Double precision by default, where equality is claimed to ten digits.

    Not for every test: training is done in single precision, and golden losses are of that.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)
