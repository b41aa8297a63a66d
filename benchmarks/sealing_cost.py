"""What it costs a run that a cell of one's own is sealed off in a worker.

    python benchmarks/sealing_cost.py

A run of examples/leaky.py as a study's worker makes it (built, seeded and sealed off, every
evaluation and the record told as JSON) is held beside a bare training loop: the same batches,
evaluations and final tests, and nothing else. Both in turn in one process, in seconds that it had
the processor; medians, half the distance between the quartiles, and the ratio of the medians. The
process that tries the cell once a study is measured once. Prints a table and writes
benchmarks/results/sealing-cost.json.
"""

from __future__ import annotations

import argparse
import json
import os
from functools import partial
from multiprocessing import Pipe
from pathlib import Path

from keeping import keep

EXAMPLES = Path(__file__).parents[1] / "examples"
CELL = "leaky:LeakyRNN"
EVERY = 50
"""Training steps between two evaluations."""


def bare_loop(length: int, steps: int, hidden_size: int, batch_size: int) -> None:
    """Train the cell as one would without digitspan, and ask the test palindromes at the end."""
    import torch

    from digitspan.bench.peers import autograd_step
    from digitspan.cells.build import find
    from digitspan.tasks.palindrome import draw_training, held_out
    from digitspan.tasks.questions import Questions, encode

    generator = torch.Generator().manual_seed(0)
    network = find(CELL)(10, hidden_size, 10)  # type: ignore[operator]
    step = autograd_step(network)

    @torch.no_grad()
    def accuracy(questions: Questions) -> float:
        pieces = [network(encode(x, 10)) for x in questions.inputs.split(500)]
        return (torch.cat(pieces).argmax(dim=1) == questions.targets).double().mean().item()

    for _ in range(steps // EVERY):
        drawn = draw_training(length, EVERY * batch_size, generator)
        for inputs, targets in zip(
            drawn.inputs.split(batch_size), drawn.targets.split(batch_size), strict=True
        ):
            step(encode(inputs, 10), targets)
        accuracy(held_out(length, "validation").questions)
    test = held_out(length, "test").questions
    accuracy(test)
    accuracy(Questions(test.inputs[:1_000], test.targets[:1_000]))  # for the mask control


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=40.0)
    options = parser.parse_args()
    os.chdir(EXAMPLES)

    import torch

    from digitspan.bench.measure import in_turn, machine, processor_seconds
    from digitspan.study.config import StudyConfig
    from digitspan.study.crew.trial import try_apart
    from digitspan.study.crew.worker import Message, train_run
    from digitspan.study.plan import next_jobs

    torch.set_num_threads(1)
    sizes = {"hidden_size": 32, "batch_size": 32}
    study = StudyConfig(
        cells=(CELL,), lengths=(20,), seeds=1, train_steps=options.steps, **sizes
    ).with_sources()
    (job,) = next_jobs(study, {})
    begun = processor_seconds()
    try_apart([job.config], "cpu")
    tried = processor_seconds() - begun
    (told, heard), (config, kept) = Pipe(), (job.config, [b""])

    def as_a_worker() -> None:
        def say(message: Message) -> None:
            told.send_bytes(json.dumps(message).encode())
            json.loads(heard.recv_bytes())

        keep_weights = partial(kept.__setitem__, 0)
        say(train_run(config, "cpu", keep_weights, None, lambda point: say({"step": point.step})))

    sealed, bare = in_turn(
        as_a_worker, lambda: bare_loop(20, options.steps, **sizes), seconds=options.seconds
    )
    rows = {
        "steps of a run": options.steps,
        "a run as a worker makes it (ms)": sealed.median_ms,
        "its spread (ms)": sealed.spread_ms,
        "a bare loop (ms)": bare.median_ms,
        "its spread (ms) ": bare.spread_ms,
        "as a worker makes it / a bare loop (x)": sealed.median_ms / bare.median_ms,
        "tried before the first run, once a study (s)": tried,
    }
    for name, value in rows.items():
        print(f"{name:46s} {value:10.3g}")
    keep("sealing-cost", "python benchmarks/sealing_cost.py", {"rows": rows, "here": machine()})


if __name__ == "__main__":
    main()
