"""What a key press on the page costs: an RNN beside an LSTM, n = 128, 30 digits.

    python benchmarks/page_speed.py

Writes benchmarks/results/page-speed.json. A key press is the networks stepped through the digits,
the gradient back, the pictures, and the browser's layout and paint: the time that the page's
thread was at work, which another program on the machine does not lengthen. Needs chromium.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

import safetensors.torch
from keeping import keep
from playwright.sync_api import sync_playwright

from digitspan.look.page import page_html
from digitspan.look.page.choose import Chosen
from digitspan.look.page.data import document
from digitspan.runs.config import RunConfig
from digitspan.runs.record import RunRecord
from digitspan.study.reading import SavedRun
from digitspan.training.engine import build_network

DIGITS = "68284674764828176543201234561"
KEY_PRESS = """async (digits) => {
  const line = document.getElementById("digits");
  line.value = digits;
  line.dispatchEvent(new Event("input"));
  await new Promise(requestAnimationFrame);
  await new Promise((painted) => setTimeout(painted));
}"""


def kept_run(cell: str) -> SavedRun:
    """A network at its start: its numbers cost what a trained one's do."""
    config = RunConfig(cell=cell, hidden_size=128, length=30)
    weights = safetensors.torch.save(build_network(config).state_dict())
    return SavedRun(RunRecord.error(config, ""), weights, None)


def seconds_at_work(session: Any) -> float:
    """What the page's thread has worked so far."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(entry["value"] for entry in metrics if entry["name"] == "TaskDuration")


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=60, help="key presses (default: 60)")
    times = parser.parse_args().times
    data = document(Chosen((kept_run("rnn"), kept_run("lstm")), 2, "", None), lambda run: "")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder) / "page.html"
        file.write_text(page_html(data), encoding="utf-8")
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(file.as_uri())
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        spent = []
        for k in range(times + 10):  # the first ones compile
            before = seconds_at_work(session)
            page.evaluate(KEY_PRESS, DIGITS + str(k % 10))
            spent.append(1000 * (seconds_at_work(session) - before))
        if not page.locator("#message").inner_text().startswith("30 digits"):
            raise SystemExit("the page did not read 30 digits")
        browser.close()
    spent = spent[10:]
    numbers = {
        "milliseconds": {
            "least": min(spent),
            "median": statistics.median(spent),
            "nine in ten": statistics.quantiles(spent, n=10)[-1],
        },
        "page_bytes": len(page_html(data).encode()),
        "key_presses": times,
    }
    for name, value in numbers["milliseconds"].items():  # type: ignore[attr-defined]
        print(f"{name:12} {value:5.1f} ms")
    keep("page-speed", "python benchmarks/page_speed.py", numbers)


if __name__ == "__main__":
    main()
