"""Checks the package of a hand-in: names, what is in it, what should not be, the PDF."""

from __future__ import annotations

import importlib.util
import io
import logging
import re
import warnings

from digitspan.check.findings import Findings, Section
from digitspan.check.reading.hand_ins import HandIn, inner_archives
from digitspan.check.reading.source import line_at
from digitspan.sheet.questions import POINTS
from digitspan.sheet.zip_name import follows_the_rule

__all__ = ["check_package"]

_CACHES = re.compile(
    r"(^|/)(__pycache__|\.ipynb_checkpoints|\.pytest_cache|\.mypy_cache|\.idea|\.vscode|__MACOSX)"
    r"(/|$)|\.pyc$|(^|/)\.DS_Store$|(^|/)Thumbs\.db$"
)
_ABSOLUTE = re.compile(
    r"""["'](/home/|/Users/|/content/|/mnt/|/root/|/var/|/tmp/|[A-Za-z]:[\\/])[^"'\n]*["']"""
)
_CONFLICT = re.compile(r"^(<{7} |>{7} )", re.MULTILINE)


def check_package(hand_in: HandIn) -> Section:
    """Check what was handed in, without running any of it."""
    findings = Findings()
    if hand_in.refused:
        findings.add("archive-refused", reason=hand_in.refused)
        return findings.section()
    if hand_in.is_archive and not follows_the_rule(hand_in.path.stem):
        findings.add("zip-name", name=repr(hand_in.path.name))
    inner = inner_archives(hand_in.files)
    if inner and any(source.name.startswith(inner[0][:-4]) for source in hand_in.sources):
        findings.add("zip-in-the-zip", inner[0])
    if not hand_in.sources:
        findings.add("code-missing")
    _check_files(hand_in, findings)
    return findings.section(decided=_check_pdf(hand_in, findings))


def _check_files(hand_in: HandIn, findings: Findings) -> None:
    """Caches, absolute paths, conflict markers."""
    caches = [name for name in hand_in.files if _CACHES.search(name)]
    if caches:
        findings.add("caches-handed-in", caches[0], count=len(caches))
    for source in hand_in.sources:
        conflict = _CONFLICT.search(source.text)
        if conflict:
            findings.add("merge-conflict", source.name, line_at(source.text, conflict.start()))
        absolute = _ABSOLUTE.search(source.text)
        if absolute:
            line = line_at(source.text, absolute.start())
            if not source.text.splitlines()[line - 1].lstrip().startswith("#"):
                findings.add("absolute-path", source.name, line, path=absolute.group(0)[:60])


def _check_pdf(hand_in: HandIn, findings: Findings) -> bool:
    """The report; returns whether it could be read."""
    pdfs = [name for name in hand_in.files if name.lower().endswith(".pdf")]
    pdfs = [name for name in pdfs if "__MACOSX" not in name]
    if not pdfs:
        findings.add("pdf-missing")
        return True
    named = [name for name in pdfs if follows_the_rule(name.rsplit("/", 1)[-1][:-4])]
    report = (named or pdfs)[0]
    if not named:
        findings.add("pdf-name", report, name=repr(report.rsplit("/", 1)[-1]))
    if importlib.util.find_spec("pypdf") is None:
        findings.add("pdf-not-looked-at", report)
        return True
    return _check_report(report, hand_in.files[report], findings)


def _check_report(name: str, data: bytes, findings: Findings) -> bool:
    """Text, figures with captions, and every question's number; whether it could be read."""
    import pypdf

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader = pypdf.PdfReader(io.BytesIO(data))
            if len(reader.pages) > 300:
                findings.add("pdf-too-long", name)
                return False
            pages = [page.extract_text() or "" for page in reader.pages]
            figures = sum(_figures_on(page) for page in reader.pages)
    except Exception as error:  # whatever a damaged PDF makes of a parser
        findings.add("pdf-damaged", name, error=f"{type(error).__name__}: {str(error)[:100]}")
        return True
    text = "\n".join(pages)
    if len(text.split()) < 50:
        findings.add("pdf-without-text", name)
        return True
    captions = set(re.findall(r"(?:Figure|Fig\.|Abbildung|Abb\.)\s*(\d+)", text))
    if not captions:
        findings.add("figure-without-caption" if figures else "no-figure", name)
    missing = [number for number in POINTS if not re.search(rf"(?<![\d.]){number}(?!\d)", text)]
    if missing:
        what = "question" if len(missing) == 1 else "questions"
        findings.add("question-unanswered", name, questions=f"{what} {', '.join(missing)}")
    return True


def _figures_on(page: object) -> int:
    """How many pictures or drawings a page has."""
    try:
        resources = page["/Resources"]  # type: ignore[index]
        objects = resources.get("/XObject", {})
        return len(objects)
    except (KeyError, TypeError, AttributeError):
        return 0
