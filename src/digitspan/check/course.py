"""Checks many hand-ins: several at a time, writing as it goes, going on where it was stopped."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

from digitspan import __version__
from digitspan.check.course_rules import Rules
from digitspan.check.findings import NETWORKS, Finding, Findings, Report, Section
from digitspan.check.hand_in import check_hand_in
from digitspan.check.reading.archive import ArchiveRefused, read_folder
from digitspan.check.sandbox.isolation import Limits
from digitspan.check.sandbox.process import end_all
from digitspan.check.table import as_csv
from digitspan.files import require_writable_folder, write_whole

__all__ = ["Settings", "check_many"]


class Settings(NamedTuple):
    """How hand-ins are checked."""

    level: str
    limits: Limits
    rules: Rules
    jobs: int = 2
    """How many at a time."""
    out: Path | None = None
    """Where reports and table are kept; None: nowhere."""


def check_many(
    paths: list[Path], settings: Settings, done: Callable[[Report], None]
) -> list[Report]:
    """Check hand-ins; those that were checked before and have not changed are not run again.

    Args:
        paths: the hand-ins.
        settings: how.
        done: called with each report as it comes, from this thread.

    Returns:
        The reports, in the order of the paths.

    Raises:
        KeyboardInterrupt: after ending what runs; what is finished is kept.
        UsageError: where `settings.out` cannot be written.
    """
    kept = _ReportStore(settings.out)
    reports: dict[Path, Report] = {}
    waiting: dict[Future[Report], tuple[Path, str]] = {}
    stop = threading.Event()

    def check(path: Path) -> Report:
        if stop.is_set():
            raise KeyboardInterrupt
        return _checked(path, settings)

    with ThreadPoolExecutor(settings.jobs) as pool:
        try:
            for path in paths:
                key = _key(path, settings) if settings.out else ""
                before = kept.get(key)
                if before is None:
                    waiting[pool.submit(check, path)] = path, key
                else:
                    reports[path] = before
                    done(before)
            for future in as_completed(waiting):
                path, key = waiting[future]
                reports[path] = future.result()
                kept.add(key, reports[path])
                kept.write_table([reports[p] for p in paths if p in reports])
                done(reports[path])
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            end_all()
            # What was finished and not yet collected is kept too: it need not be done again.
            for future, (path, key) in waiting.items():
                whole = future.done() and not future.cancelled() and not future.exception()
                if whole and path not in reports:
                    kept.add(key, future.result())
            raise
    ordered = [reports[path] for path in paths]
    kept.write_table(ordered)
    return ordered


def _checked(path: Path, settings: Settings) -> Report:
    """The report of one hand-in; a fault of ours is no verdict on it."""
    try:
        return check_hand_in(path, settings.level, settings.limits, settings.rules)
    except Exception as error:
        findings = Findings()
        findings.add("check-broke", error=f"{type(error).__name__}: {str(error)[:150]}")
        unknown = findings.section(decided=False)
        classes = dict.fromkeys(NETWORKS, unknown)
        return Report(str(path), settings.level, classes, unknown, unknown)


class _ReportStore:
    """Reports kept in a folder, if there is one, so that an interrupted check goes on."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._reports: dict[str, Report] = {}
        if folder is None:
            return
        require_writable_folder(folder, "--out")
        self._file = folder / "reports.jsonl"
        lines = self._file.read_text(encoding="utf-8").splitlines() if self._file.exists() else []
        for line in lines:
            try:
                entry = json.loads(line)
                self._reports[entry["key"]] = _report_from(entry["report"])
            except (ValueError, KeyError, TypeError):
                continue  # a line that was cut off: that hand-in is checked again

    def get(self, key: str) -> Report | None:
        """The report of an unchanged hand-in."""
        return self._reports.get(key)

    def add(self, key: str, report: Report) -> None:
        """Keep a report."""
        self._reports[key] = report
        if self._folder is not None:
            line = json.dumps({"key": key, "report": report.as_json()})
            before = self._file.read_bytes() if self._file.exists() else b""
            if before and not before.endswith(b"\n"):
                before += b"\n"
            write_whole(self._file, before + line.encode() + b"\n")

    def write_table(self, reports: list[Report]) -> None:
        """Write the table of what is known so far."""
        if self._folder is not None:
            write_whole(self._folder / "table.csv", as_csv(reports).encode())


def _key(path: Path, settings: Settings) -> str:
    """What a report depends on: the files, the rules, the level, our version."""
    digest = hashlib.sha256()
    if path.is_file():
        digest.update(path.read_bytes())
    else:
        try:
            files = read_folder(path)
        except ArchiveRefused:
            files = {}
        for name, data in sorted(files.items()):
            digest.update(name.encode(errors="surrogateescape") + b"\0")
            digest.update(hashlib.sha256(data).digest())
    rules = [sorted(settings.rules.states.items()), sorted(settings.rules.allowed)]
    words = [str(path), settings.level, list(settings.limits), rules, __version__]
    digest.update(json.dumps(words).encode())
    return digest.hexdigest()[:24]


def _report_from(document: dict[str, Any]) -> Report:
    """A report out of its JSON document."""

    def section(entry: dict[str, Any]) -> Section:
        findings = tuple(Finding(**finding) for finding in entry["findings"])
        return Section(findings, decided=entry["verdict"] != "cannot tell")

    return Report(
        document["hand_in"],
        document["isolation"],
        {name: section(entry) for name, entry in document["classes"].items()},
        section(document["training"]),
        section(document["package"]),
    )
