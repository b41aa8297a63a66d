"""Checks many hand-ins: several at a time, writing as it goes, going on where it was stopped."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

from digitspan import __version__
from digitspan.check.course_rules import Rules
from digitspan.check.findings import NETWORKS, Finding, Findings, Report, Section, Traits
from digitspan.check.hand_in import check_hand_in
from digitspan.check.plain import plain
from digitspan.check.reading.hand_ins import digest_of
from digitspan.check.reading.intake import Entry
from digitspan.check.sandbox.isolation import Limits
from digitspan.check.sandbox.process import allow_children, end_all
from digitspan.check.similar import compared
from digitspan.check.table import as_csv
from digitspan.files import require_writable_folder, write_whole

__all__ = ["Settings", "check_many"]


class Settings(NamedTuple):
    """How hand-ins are checked."""

    level: str
    limits: Limits
    rules: Rules
    jobs: int = 2
    """How many at a time; one in "limited", where nothing keeps those of one time apart."""
    out: Path | None = None
    """Where reports and table are kept; None: nowhere."""


def check_many(
    entries: list[Entry], settings: Settings, done: Callable[[Report], None]
) -> list[Report]:
    """Check hand-ins; those that were checked before and have not changed are not run again.

    Args:
        entries: the hand-ins.
        settings: how.
        done: called with each report as it comes, from this thread.

    Returns:
        The reports, in the order of the entries, with what comparing them tells.

    Raises:
        KeyboardInterrupt: after ending what runs; what is finished is kept.
        UsageError: where `settings.out` cannot be written.
    """
    kept = _ReportStore(settings.out)
    reports: dict[int, Report] = {}
    waiting: dict[Future[Report], tuple[int, str]] = {}
    stop = threading.Event()

    def check(entry: Entry, digest: str) -> Report:
        if stop.is_set():
            raise KeyboardInterrupt
        return _checked(entry, digest, settings)

    def so_far() -> list[Report]:
        return [reports[place] for place in sorted(reports)]

    allow_children()
    # What all have handed in is known before the code of any of them runs.
    digests = [digest_of(entry.path) for entry in entries]
    pool = ThreadPoolExecutor(settings.jobs if settings.level == "isolated" else 1)
    try:
        for place, (entry, digest) in enumerate(zip(entries, digests, strict=True)):
            key = _key(entry, digest, settings)
            before = kept.get(key)
            if before is None:
                waiting[pool.submit(check, entry, digest)] = place, key
            else:
                reports[place] = _ruled(before, settings.rules)
                done(reports[place])
        for future in as_completed(waiting):
            place, key = waiting[future]
            kept.add(key, future.result())
            reports[place] = _ruled(future.result(), settings.rules)
            kept.write_table(so_far(), settings.rules)
            done(reports[place])
    except BaseException:
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)
        end_all()
        # What was finished and not yet collected is kept too: it need not be done again.
        for future, (place, key) in waiting.items():
            whole = future.done() and not future.cancelled() and not future.exception()
            if whole and place not in reports:
                kept.add(key, future.result())
        raise
    pool.shutdown()
    together = compared(so_far(), settings.rules)
    kept.write_table(together, settings.rules)
    return together


def _checked(entry: Entry, digest: str, settings: Settings) -> Report:
    """The report of one hand-in; a fault of ours is no verdict on it."""
    try:
        return check_hand_in(
            entry.path,
            settings.level,
            settings.limits,
            settings.rules._replace(states={}),
            shown=entry.name,
            student=entry.student,
            digest=digest,
        )
    except Exception as error:
        findings = Findings()
        findings.add("check-broke", error=f"{type(error).__name__}: {str(error)[:150]}")
        unknown = findings.section(decided=False)
        classes = dict.fromkeys(NETWORKS, unknown)
        return Report(plain(entry.name), settings.level, classes, unknown, unknown)


def _ruled(report: Report, rules: Rules) -> Report:
    """A report as the course's rules, which switch findings off or to remarks, leave it."""

    def ruled(section: Section) -> Section:
        return Section(rules.applied(list(section.findings)), section.decided)

    return dataclasses.replace(
        report,
        classes={name: ruled(section) for name, section in report.classes.items()},
        training=ruled(report.training),
        package=ruled(report.package),
    )


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
                files, sketch = entry["traits"]
                traits = Traits(dict(files), frozenset(sketch))
                self._reports[entry["key"]] = _report_from(entry["report"], traits)
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # a line that was cut off: that hand-in is checked again

    def get(self, key: str) -> Report | None:
        """The report of an unchanged hand-in."""
        return self._reports.get(key)

    def add(self, key: str, report: Report) -> None:
        """Keep a report in the place of one on the same hand-in as it was before."""
        stale = {k for k, kept in self._reports.items() if kept.hand_in == report.hand_in} - {key}
        for old in stale:
            del self._reports[old]
        self._reports[key] = report
        if self._folder is not None:
            traits = report.traits.files, sorted(report.traits.sketch)
            line = json.dumps({"key": key, "report": report.as_json(), "traits": traits})
            before = self._file.read_bytes() if self._file.exists() else b""
            if before and not before.endswith(b"\n"):
                before += b"\n"
            if stale:
                lines = before.splitlines(keepends=True)
                before = b"".join(line for line in lines if _key_of(line) not in stale)
            write_whole(self._file, before + line.encode() + b"\n")

    def write_table(self, reports: list[Report], rules: Rules) -> None:
        """Write the table of what is known so far."""
        if self._folder is not None:
            write_whole(self._folder / "table.csv", as_csv(reports, rules).encode())


def _key_of(line: bytes) -> object:
    """The key of a line of kept reports; None where it was cut off."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry.get("key") if isinstance(entry, dict) else None


def _key(entry: Entry, digest: str, settings: Settings) -> str:
    """What a report depends on: files, what is asked and allowed, level, versions of libraries.

    What the rules switch off or to remarks is kept all the same.
    """
    rules = [sorted(settings.rules.allowed), settings.rules.asked.digest]
    words = [entry.name, entry.student, digest, settings.level, list(settings.limits), rules,
             __version__, {name: _version_of(name) for name in _LIBRARIES}]  # fmt: skip
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()[:24]


_LIBRARIES = ("torch", "pypdf", "nbformat", "ipython")
"""What reads and runs a hand-in; without the last three less of it is looked at."""


def _version_of(library: str) -> str:
    """The version of a library; empty where it is not installed."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _report_from(document: dict[str, Any], traits: Traits) -> Report:
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
        document["student"],
        traits,
    )
