"""Checks the package of a hand-in: names, what is in it, what should not be, the PDF."""

from __future__ import annotations

import re

from digitspan.check.copied import check_words
from digitspan.check.findings import Findings, Section
from digitspan.check.reading.hand_ins import CHANGED, HandIn
from digitspan.check.reading.who import Student, named_in, student_of, without_suffix
from digitspan.sheet.zip_name import NameRule

__all__ = ["check_package"]

_CACHES = re.compile(
    r"(^|/)(__pycache__|\.ipynb_checkpoints|\.pytest_cache|\.mypy_cache|\.idea|\.vscode|__MACOSX)"
    r"(/|$)|\.pyc$|(^|/)\.DS_Store$|(^|/)Thumbs\.db$"
)
_ENDING = re.compile(r"(\.tar)?\.\w+$")


def check_package(hand_in: HandIn, student: Student | None = None) -> Section:
    """Check what was handed in, without running any of it.

    Args:
        hand_in: its files, and what reading them told.
        student: whose it is, where the course says so; else the name of the archive does.
    """
    findings = Findings()
    if hand_in.refused == CHANGED:
        findings.add("files-changed")
        return findings.section(decided=False)
    if hand_in.refused:
        findings.add("archive-refused", reason=hand_in.refused)
        return findings.section()
    facts, rule = hand_in.facts, hand_in.asked.names
    if hand_in.is_archive:
        if not rule.read(without_suffix(_ENDING.sub("", hand_in.path.name))):
            findings.add("zip-name", name=repr(hand_in.path.name), expected=_expected(rule))
        if facts.kind not in ("ZIP", "folder"):
            findings.add("not-a-zip", kind=facts.kind)
        if facts.opened and any(s.name.startswith(_ENDING.sub("", facts.opened[0]))
                                for s in hand_in.sources):  # fmt: skip
            findings.add("zip-in-the-zip", facts.opened[0])
    beside = not facts.opened and any("def forward" in source.text for source in hand_in.sources)
    for name, kind in facts.unopened.items():
        code = "archive-left-closed" if beside else "archive-not-opened"
        findings.add(code, name, kind=kind)
    if not hand_in.files:
        findings.add("nothing-handed-in")
    elif not hand_in.sources and not facts.unopened:
        findings.add("code-missing")
    _check_files(hand_in, findings)
    decided = _check_pdf(hand_in, findings)
    _check_names(hand_in, student, findings)
    return findings.section(decided=decided)


def _check_files(hand_in: HandIn, findings: Findings) -> None:
    """Caches, environments, absolute paths, conflict markers, notebooks that cannot be read."""
    facts = hand_in.facts
    caches = [name for name in hand_in.files if _CACHES.search(name)]
    if caches:
        findings.add("caches-handed-in", caches[0], count=len(caches))
    for folder, count in facts.skipped.items():
        findings.add("environment-handed-in", folder, count=count)
    if facts.too_many:
        findings.add("sources-not-looked-at", count=facts.too_many)
    for source in hand_in.sources:
        text = facts.texts.get(source.name)
        if source.tree is None and source.notebook:
            code = "notebook-not-read" if text and text.unreadable_here else "notebook-damaged"
            findings.add(code, source.name, source.line, error=source.error)
        if text is None:
            continue
        if text.conflict:
            findings.add("merge-conflict", source.name, text.conflict)
        line, path = text.absolute
        if line:
            findings.add("absolute-path", source.name, line, path=path)


def _check_pdf(hand_in: HandIn, findings: Findings) -> bool:
    """The report: text, figures with captions, every question; returns whether it was read."""
    name, pdf, rule = hand_in.facts.report, hand_in.facts.pdf, hand_in.asked.names
    if not name:
        findings.add("pdf-missing")
        return True
    file = name.rsplit("/", 1)[-1]
    if not rule.read(without_suffix(file[:-4])):
        findings.add("pdf-name", name, name=repr(file), expected=_expected(rule))
    if pdf.get("missing"):
        findings.add("pdf-not-looked-at", name)
        return True
    if pdf.get("damaged"):
        findings.add("pdf-damaged", name, error=pdf["damaged"])
        return True
    if pdf.get("slow") or not isinstance(pdf.get("words"), int):
        findings.add("pdf-too-long", name)
        return False
    if pdf["words"] < 50:
        findings.add("pdf-without-text", name)
        return True
    if not pdf.get("captions"):
        findings.add("figure-without-caption" if pdf.get("figures") else "no-figure", name)
    absent = pdf.get("absent")
    missing = [str(n)[:10] for n in absent] if isinstance(absent, list) else []
    if missing:
        what = "question" if len(missing) == 1 else "questions"
        findings.add("question-unanswered", name, questions=f"{what} {', '.join(missing)}")
    check_words(hand_in, findings)
    return True


def _expected(rule: NameRule) -> str:
    """What a hand-in is to be called, without its ending."""
    return rule.stem("Surname", "Matriculation")


def _check_names(hand_in: HandIn, student: Student | None, findings: Findings) -> None:
    """Whether archive, PDF and the PDF's first page are of one student."""
    name = hand_in.facts.report
    rule = hand_in.asked.names
    of_pdf = student_of(name.rsplit("/", 1)[-1], rule=rule) if name else None
    given = student or student_of(hand_in.path.name, rule=rule)
    if given is not None and of_pdf is not None and not given.is_like(of_pdf):
        findings.add("pdf-of-another", name, student=of_pdf, expected=given)
        return
    owner = given or of_pdf
    first = hand_in.facts.pdf.get("first")
    if owner is None or not isinstance(first, str) or not first.strip():
        return
    others = named_in(first, owner)
    if others:
        findings.add("first-page-of-another", name, number=others[0], expected=owner)
    elif not owner.occurs_in(first):
        findings.add("first-page-without-name", name, expected=owner)
