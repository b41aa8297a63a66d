"""What training in the page of `digitspan look` costs: steps a second by cell, T = 5 solved.

    python benchmarks/page_learning.py

Writes benchmarks/results/page-learning.json. The page's own trainer runs in chromium, on one
thread, n = 32, batches of 32: each cell by itself at T = 5 and at T = 15, and the seconds until an
RNN and an LSTM side by side have both solved T = 5, evaluations included (rate 0.01, five seeds).
Seconds are the thread's own work, which another program on the machine does not lengthen much.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

from keeping import keep
from playwright.sync_api import Browser, sync_playwright

from digitspan.cells import CELLS
from digitspan.look.page import page_html
from digitspan.look.page.learning import document_that_learns

TRAIN = """([cell, length, seed, steps, until, rate]) => {
  const { start, batches, fresh, network } = digitspan.training;
  const sizes = { inputSize: 10, hiddenSize: 32 };
  const weights = start(cell, { start: "uniform", length, seed, ...sizes });
  const learner = network(cell, weights, rate);
  const task = { asks: null, length };
  const next = batches(task, seed);
  const asked = fresh(task);
  let last = 0;
  for (let step = 1; step <= steps; step++) {
    learner.step(next());
    if (!until || step % 50) continue;
    const { accuracy } = learner.evaluate(asked);
    if (Math.min(accuracy, last) >= 0.99) return step;
    last = accuracy;
  }
  return until ? null : steps;
}"""

RATE, SEEDS = 0.01, range(5)


class Tab:
    """The page, freshly opened: nothing of it is compiled yet."""

    def __init__(self, browser: Browser, file: Path) -> None:
        self.page = browser.new_page()
        self.page.set_default_timeout(0)
        self.page.goto(file.as_uri())
        self.session = self.page.context.new_cdp_session(self.page)
        self.session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def seconds_at_work(self) -> float:
        """What the page's thread has worked so far."""
        metrics = self.session.send("Performance.getMetrics")["metrics"]
        return next(entry["value"] for entry in metrics if entry["name"] == "TaskDuration")

    def train(self, *given: Any) -> tuple[float, Any]:
        """Seconds of work, and the step after which the network was solved."""
        before = self.seconds_at_work()
        result = self.page.evaluate(TRAIN, [*given, RATE])
        return self.seconds_at_work() - before, result


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300, help="of each cell (default: 300)")
    steps = parser.parse_args().steps
    content = page_html(document_that_learns())
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder) / "page.html"
        file.write_text(content, encoding="utf-8")
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )

        speeds: dict[str, dict[str, float]] = {}
        for cell in CELLS:
            tab = Tab(browser, file)
            tab.train(cell, 5, 0, 100, False)  # compiles
            speeds[cell] = {
                f"T = {length}": round(steps / tab.train(cell, length, 0, steps, False)[0], 1)
                for length in (5, 15)
            }
            print(f"{cell:14}", speeds[cell], flush=True)
            tab.page.close()
        solved = []
        for seed in SEEDS:
            tab = Tab(browser, file)
            spent = [tab.train(cell, 5, seed, 1_000, True) for cell in ("rnn", "lstm")]
            solved.append(
                {"seed": seed, "seconds": round(sum(seconds for seconds, _ in spent), 2)}
                | {"steps": [step for _, step in spent]}
            )
            print(solved[-1], flush=True)
            tab.page.close()
        browser.close()
    numbers = {
        "steps a second": speeds,
        "T = 5 solved by rnn and lstm": solved,
        "median seconds": statistics.median(one["seconds"] for one in solved),
        "page_bytes": len(content.encode()),
    }
    keep("page-learning", "python benchmarks/page_learning.py", numbers)


if __name__ == "__main__":
    main()
