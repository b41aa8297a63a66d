"""Pages to test: networks that need no training, and what is written of them."""

import safetensors.torch
import torch
from studies import made_up_recall, made_up_record

from digitspan.look.page import page_html
from digitspan.look.page.choose import Chosen
from digitspan.look.page.data import document
from digitspan.look.page.learning import document_that_learns
from digitspan.runs.config import RunConfig
from digitspan.study.reading import SavedRun
from digitspan.training.engine import build_network

__all__ = ["kept_run", "page_of", "page_that_learns", "until"]


def kept_run(
    cell="lstm",
    encoding="one-hot",
    *,
    hidden_size=12,
    length=9,
    seed=0,
    gain=2.0,
    snapshots=(),
    **settings,
):
    """A network at its start, its weights made larger so that much happens in it.

    Its snapshots are of some steps, and of step 0 without the gain.
    """
    config = RunConfig(
        cell=cell,
        encoding=encoding,
        hidden_size=hidden_size,
        length=length,
        seed=seed,
        **settings,
    )
    network = build_network(config)
    start = {name: value.clone() for name, value in network.state_dict().items()}
    kept = {
        f"{step}/{name}": value * (1 + (gain - 1) * step / 1_000)
        for step in snapshots
        for name, value in start.items()
    }
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(gain)
    weights = safetensors.torch.save(network.state_dict(), {"config": config.canonical})
    record = made_up_recall(config, 3.5) if config.measures_span else None
    return SavedRun(
        record or made_up_record(config, solved=False),
        weights,
        None,
        safetensors.torch.save(kept) if kept else b"",
    )


def page_of(*runs, show=2, study=None, about=""):
    """The page of some runs, and what it was given."""
    data = document(Chosen(runs, min(show, len(runs)), about, study), lambda run: "")
    return page_html(data), data


def page_that_learns():
    """The page of networks that learn in it."""
    return page_html(document_that_learns())


def until(page, condition):
    """Wait for a condition in JavaScript; its policy forbids playwright's own way to wait."""
    for _ in range(20_000):  # a busy machine is no fault of the page
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    message = f"it never came to be that {condition}"
    raise AssertionError(message)
