"""`digitspan study [PRESET]`: runs what is missing of a study, then the tables and figures."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from digitspan.cells.own import is_own
from digitspan.commands.options import (
    add_device,
    add_json,
    add_setting,
    given,
    names_of,
    path,
    print_json,
    require_trainable,
    whole_number,
)
from digitspan.commands.progress import Progress, ProgressTask
from digitspan.commands.show import document_of, print_summary, write_figures
from digitspan.errors import ConfigError, UsageError, one_of
from digitspan.files import read_text
from digitspan.runs.config import RunConfig
from digitspan.runs.cost import cost
from digitspan.runs.record import RunRecord
from digitspan.study.config import PRESETS, StudyConfig
from digitspan.study.crew.cluster import LOCAL
from digitspan.study.crew.pool import usable_cores
from digitspan.study.crew.trial import sized_apart, try_apart
from digitspan.study.crew.worker import ClusterStatus
from digitspan.study.digit_spans import SpanSummary, summarise_any
from digitspan.study.plan import Job
from digitspan.study.reopened import reopened
from digitspan.study.runner import StudyObserver, check_study, run_study
from digitspan.study.store import Row
from digitspan.study.summary import Summary
from digitspan.study.tables import duration

__all__ = ["add_options", "run"]

SECONDS_BEFORE_ESTIMATE = 60.0
"""Seconds after which the time left is told by the runs under way, if none has ended yet."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument(
        "preset",
        metavar="PRESET",
        nargs="?",
        help=f"{', '.join(PRESETS)}, or a TOML file with the options' words; "
        f"options given besides replace its values (default: none, the options' defaults)",
    )
    parser.add_argument(
        "--config", type=path, metavar="FILE", help="the TOML file, as an option instead"
    )
    for name in names_of(StudyConfig, without=("preset", "note", *_FOUND)):
        add_setting(parser, StudyConfig, name)
    parser.add_argument(
        "--workers",
        type=whole_number(1, 1024),
        metavar="N",
        help="runs at a time, one thread each (default: one a core)",
    )
    add_device(parser)
    parser.set_defaults(device=None)  # a TOML file may name it
    parser.add_argument(
        "--runner",
        choices=("local", "ray"),
        help="processes of this machine, or a Ray cluster (default: local)",
    )
    parser.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="with --runner ray: the cluster's head (default: begin one on this machine)",
    )
    parser.add_argument(
        "--durable", action="store_true", help="wait for the disk at every row (power cuts)"
    )
    parser.add_argument(
        "--out", type=path, metavar="FOLDER", help="the study's folder (default: results/PRESET)"
    )
    parser.add_argument(
        "--widen",
        action="store_true",
        help="ask for more of the study that is in the folder: what it asked for, and this",
    )
    parser.add_argument(
        "--digit-span",
        action="store_true",
        help="after a study of retention spans, also measure the digit spans of its cells and "
        "widths, as the preset span does (of quick, as demo does), in FOLDER/digit-span",
    )
    parser.add_argument(
        "--trust",
        action="store_true",
        help="run cells of one's own that only the folder's study names, if they are unchanged",
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Run what is missing, print the tables, write the figures; status 1 where runs failed.

    Raises:
        UsageError: where the options or the folder cannot be used.
        Interrupted: at SIGINT and SIGTERM; what is finished is kept.
    """
    config, name = _config(options)
    folder = options.out or Path("results") / name
    besides = _digit_spans_of(config) if options.digit_span else None
    cluster = _cluster(options)
    # Whether a cluster's nodes have the device, they say themselves.
    here = "cpu" if cluster else options.device or "cpu"
    studies = [(_tried(config, here), folder)]
    if besides is not None:
        studies.append((_tried_with_lists(besides, here), folder / DIGIT_SPAN))
    done = [_measured(config, folder, options, cluster) for config, folder in studies]
    if options.json:
        documents = [document_of(summary, rows) for summary, rows in done]
        print_json(documents[0] | ({"digit_spans": documents[1]} if options.digit_span else {}))
    return 1 if any(summary.errors for summary, _ in done) else 0


def _measured(
    config: StudyConfig, folder: Path, options: argparse.Namespace, cluster: str | None
) -> tuple[Summary | SpanSummary, dict[str, Row]]:
    """Run what is missing of one study, and say what it found, unless that is to be JSON."""
    workers = options.workers or (_MOST_WORKERS if options.address else usable_cores())
    with StudyProgress(workers) as progress:
        rows = run_study(
            config,
            folder,
            workers=workers,
            device=options.device or "cpu",
            cluster=cluster,
            durable=options.durable,
            widen=options.widen,
            progress=progress,
        )
    summary = summarise_any(config, rows)
    if not options.json:
        print_summary(summary, folder)
    write_figures(summary, folder)
    return summary, rows


def _tried(config: StudyConfig, device: str) -> StudyConfig:
    """A study with its sources and sizes, whose runs can be trained.

    Raises:
        UsageError: where one cannot be, or the study is too large.
    """
    config = sized_apart(config.with_sources())
    asked = check_study(config)
    require_trainable([run for run in asked if not run.is_own], device)
    try_apart([run for run in asked if run.is_own], device)
    return config


def _tried_with_lists(config: StudyConfig, device: str) -> StudyConfig:
    """A study of digit spans beside another one, without the cells that cannot be asked lists.

    Raises:
        UsageError: where none can be.
    """
    left_out = {}
    for cell in filter(is_own, config.cells):
        try:
            _tried(dataclasses.replace(config, cells=(cell,)), device)
        except UsageError as error:
            left_out[cell] = str(error)
            print(f"left out of --digit-span: {error}", file=sys.stderr)
    kept = tuple(cell for cell in config.cells if cell not in left_out)
    if not kept:
        message = (
            f"--digit-span asks lists, and no cell of the study can be asked them: leave it out, "
            f"or give the cell initial_state, step and read_out ({next(iter(left_out.values()))})"
        )
        raise UsageError(message)
    config = sized_apart(dataclasses.replace(config, cells=kept).with_sources())
    check_study(config)
    return config


DIGIT_SPAN = "digit-span"
"""Where a study of retention spans has the digit spans of its cells."""


def _digit_spans_of(config: StudyConfig) -> StudyConfig:
    """The study of the digit spans of another one's cells and widths; a quick one of a quick one.

    Raises:
        UsageError: where that measures digit spans itself.
    """
    if config.design == "span":
        message = "--digit-span must be left out of a study of digit spans, which measures them"
        raise UsageError(message)
    return dataclasses.replace(
        PRESETS["demo" if config.preset == "quick" else "span"](),
        cells=config.cells,
        encoding=config.encoding,
        hidden_size=config.hidden_sizes,
        parameters=config.parameters,
    )


def _config(options: argparse.Namespace) -> tuple[StudyConfig, str]:
    """The study that the command line asks for, and a name for its folder.

    Words of a TOML file about how it is run go to the options, where those do not say it.
    """
    settings = given(options, StudyConfig)
    preset = settings.pop("preset", None)
    file = options.config
    if preset is not None and preset.endswith(".toml"):
        file, preset = path(preset), None
    if preset is not None and preset not in PRESETS:
        message = f"the preset {one_of(preset, PRESETS)}; or name a TOML file"
        raise UsageError(message)
    base = PRESETS[preset]() if preset else StudyConfig()
    alone = not preset and not file and (options.widen or not settings)
    if alone and options.out:
        kept = reopened(options.out, settings, trust=options.trust)
        if kept is not None:
            return kept, options.out.name
    if file is not None:
        words = _words(file)
        for word in words:
            if word.replace("-", "_") in _FOUND:
                raise ConfigError(word, f"is no word of a study: it {one_of(word, _ASKED)}")
        for word in [word for word in words if word.replace("-", "_") in _HOW]:
            name = word.replace("-", "_")
            value = _checked_how(name, words.pop(word))
            if not getattr(options, name):
                setattr(options, name, value)
        base = StudyConfig.from_words(words, base)
    name = preset or (file.stem if file else "own")
    if settings and base.note:
        settings["note"] = ""  # what it says of the preset need not hold any more
    return StudyConfig.from_words(settings, base), name


def _words(file: Path) -> dict[str, Any]:
    """What a TOML file says."""
    try:
        return tomllib.loads(read_text(file))
    except OSError as error:
        message = f"cannot read {file}: {error.strerror or error}; expected a TOML file"
        raise UsageError(message) from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        message = f"{file} is not TOML ({error}); expected lines such as lengths = [5, 10, 20]"
        raise UsageError(message) from error


_FOUND = ("sources", "sizes", "task_facts")
"""What a study finds by itself; nobody asks for it."""

_ASKED = names_of(StudyConfig, without=_FOUND)
"""Words that say what is run."""

_HOW = ("workers", "device", "runner", "address", "digit_span")
"""Options that say how a study is run, not what is: words of a TOML file too."""

_MOST_WORKERS = 100_000
"""More than any cluster has."""


def _checked_how(word: str, value: object) -> object:
    """A TOML file's value for one of `_HOW`, read as the option of that name reads it."""
    if word == "digit_span":
        if not isinstance(value, bool):
            raise ConfigError(word, f"must be true or false; got {repr(value)[:80]}")
        return value
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_options(parser)
    if isinstance(value, bool) or not isinstance(value, int if word == "workers" else str):
        raise ConfigError(word, f"must be as --{word} takes it; got {repr(value)[:80]}")
    try:
        return getattr(parser.parse_args([f"--{word}", str(value)]), word)
    except argparse.ArgumentError as error:
        raise ConfigError(word, error.message) from error


def _cluster(options: argparse.Namespace) -> str | None:
    """The address of the Ray cluster that is asked for; None: this machine's processes."""
    if options.runner == "ray":
        return options.address or LOCAL
    if options.address is not None:
        message = f"--address {options.address[:80]} needs --runner ray"
        raise UsageError(message)
    return None


class StudyProgress(Progress, StudyObserver):
    """A bar for the study and for every run under way; in a log file one line per finished run."""

    def __init__(self, workers: int) -> None:
        super().__init__()
        self._workers = workers
        self._study: ProgressTask | None = None
        self._runs: dict[str, ProgressTask] = {}
        self._done = 0
        self._ends: Counter[str] = Counter()
        self._missing: dict[str, float] = {}
        self._later = 0
        self._spent_cost = self._spent_seconds = 0.0
        self._paces: dict[str, _Pace] = {}
        self._begun = time.monotonic()
        self._has_told = False
        self._status: ClusterStatus | None = None
        self._retries = 0
        self._measures_spans = False

    def planned(self, done: int, missing: list[Job], later: int) -> None:
        """So many runs are done; these are missing, and so many more will follow from them."""
        self._done, self._later = done, later
        self._missing = {job.config.key: _full_cost(job.config) for job in missing}
        self._measures_spans = any(job.config.measures_span for job in missing)
        self.log(f"{done} runs are done, {self._to_do} to do")
        self._show()

    def step(self, config: RunConfig, step: int) -> None:
        """A run has been evaluated after so many steps."""
        if config.key not in self._runs:
            self._runs[config.key] = self.task(
                config.run_id, config.train_steps, "steps at most", logged=False
            )
        self._runs[config.key].update(step)
        now = time.monotonic()
        pace = self._paces.setdefault(
            config.key, _Pace(cost(config), step, now, first=step, begun=now)
        )
        self._paces[config.key] = pace._replace(step=step, seen=now)
        if self._ends:
            return  # runs that have ended tell more
        self._show()
        left = self._seconds_left()
        if left is not None and not self._has_told:
            self._has_told = True
            self.log(f"no run has ended yet; {self._left_text(left)}")

    def finished(self, record: RunRecord, seconds: float) -> None:
        """A run has got its row."""
        key = record.config.key
        if key in self._runs:
            self._runs.pop(key).end()
        self._done += 1
        self._ends[record.end_state] += 1
        self._spent_cost += self._missing.pop(key, 0.0)
        self._spent_seconds += seconds
        self._paces.pop(key, None)
        self._show()
        accuracy = "" if record.accuracy is None else f", accuracy {record.accuracy:.3f}"
        if record.recalled is not None and record.recalled.mean_span is not None:
            accuracy = f", mean span {record.recalled.mean_span:.2f}"
        left = self._seconds_left()
        self.log(
            f"{record.config.run_id} {record.config.encoding}: {record.end_state} at step "
            f"{record.steps:,}{accuracy}, {duration(seconds)}; {self._to_do} to do, "
            f"{self._note()}" + ("" if left is None else f", {self._left_text(left)}")
        )

    def cluster(self, status: ClusterStatus, retries: int) -> None:
        """Report the state of the cluster, and how many runs were restarted."""
        if self._status is None or status.nodes != self._status.nodes:
            self.log(f"nodes: {status.nodes}, for {status.slots} runs at a time")
        self._status, self._retries = status, retries
        self._workers = max(status.slots, 1)
        self._show()

    def warn(self, message: str) -> None:
        """Something worth a sentence happened; the study goes on."""
        self.say(message, style="yellow")

    @property
    def _to_do(self) -> int:
        """Runs that are missing, those included whose places are not known yet."""
        return len(self._missing) + self._later

    def _show(self) -> None:
        """Move the study's bar."""
        total = self._done + self._to_do
        if self._study is None:
            self._study = self.task("study", total, "runs", logged=False)
        left, at_most = self._seconds_left(), not self._ends
        self._study.update(self._done, self._note(), total=total, left=left, at_most=at_most)

    def _note(self) -> str:
        """How the runs ended so far."""
        failed = self._ends["error"]
        ends = f"{self._ends['solved']} solved" + (f", {failed} failed" if failed else "")
        if self._measures_spans:  # no run of it is there to be solved
            ends = f"{self._ends.total() - failed} trained" + ends.partition(" solved")[2]
        if self._status is not None:
            ends += f", nodes: {self._status.nodes}, running: {self._status.running}"
            ends += f", begun again: {self._retries}" if self._retries else ""
        return ends

    def _left_text(self, left: float) -> str:
        return f"{'about' if self._ends else 'at most about'} {duration(left)} left"

    def _seconds_left(self) -> float | None:
        """By the cost of the missing runs; None in the first minute, unless a run has ended.

        A run that is not placed yet counts as the mean of those that have ended. Before the first
        one has, every run counts with its whole budget, at the speed of those under way.
        """
        ended = self._ends.total()
        missing = sum(self._missing.values())
        if self._spent_cost and ended:
            later = self._later * self._spent_cost / ended
            return (missing + later) * self._spent_seconds / self._spent_cost / self._workers
        paces = self._paces.values()
        done = sum(pace.cost * (pace.step - pace.first) for pace in paces)
        if not done or time.monotonic() - self._begun < SECONDS_BEFORE_ESTIMATE:
            return None
        later = self._later * missing / max(len(self._missing), 1)
        seconds = sum(pace.seen - pace.begun for pace in paces)
        before = sum(pace.cost * pace.step for pace in paces)
        return (missing - before + later) * seconds / done / self._workers


class _Pace(NamedTuple):
    """How fast a run goes on."""

    cost: float
    """Of one of its steps, in arbitrary units (`cost`)."""
    step: int
    """After which it was seen last."""
    seen: float
    """When that was, in seconds of the monotonic clock."""
    first: int = 0
    """After which it was seen first: a run that is resumed does not begin at 0."""
    begun: float = 0.0
    """When that was."""


def _full_cost(config: RunConfig) -> float:
    """What a run costs if it uses up its budget; that most do not is learned on the way."""
    return cost(config) * config.train_steps
