"""Checks the package of a hand-in: names, what is in it, what should not be, the PDF."""

from __future__ import annotations

import importlib.util
import io
import logging
import re
import warnings

from digitspan.check.findings import Findings, Section
from digitspan.check.reading.hand_ins import HandIn, inner_archives

__all__ = ["check_package"]

QUESTIONS = ("1.1", "1.2", "1.3", "1.4", "1.5", "1.6")
"""The numbers that the report must answer."""
NAME = re.compile(r"[^\W\d_][\w' .-]*-\d{4,9}", re.UNICODE)
"""Surname-Matriculation."""

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
        findings.fault("archive", f"The hand-in is not read: {hand_in.refused}.")
        return Section(tuple(findings.found))
    name = hand_in.path.stem
    if hand_in.is_archive and not NAME.fullmatch(name):
        findings.fault(
            "name",
            f"The ZIP is called {hand_in.path.name!r}, expected Surname-Matriculation.zip.",
        )
    inner = inner_archives(hand_in.files)
    if inner and any(source.name.startswith(inner[0][:-4]) for source in hand_in.sources):
        findings.fault(
            "archive",
            "There is a ZIP inside the ZIP, with the code in it: expected the files themselves.",
            inner[0],
        )
    if not hand_in.sources:
        findings.fault("missing", "There is neither a .py file nor a notebook in it.")
    _check_files(hand_in, findings)
    decided = _check_pdf(hand_in, findings)
    return Section(tuple(findings.found), decided)


def _check_files(hand_in: HandIn, findings: Findings) -> None:
    """Caches, absolute paths, conflict markers."""
    caches = [name for name in hand_in.files if _CACHES.search(name)]
    if caches:
        findings.remark(
            "caches",
            f"{len(caches)} files are caches or of the system, and do not belong into a hand-in.",
            caches[0],
        )
    for source in hand_in.sources:
        conflict = _CONFLICT.search(source.text)
        if conflict:
            line = source.text[: conflict.start()].count("\n") + 1
            findings.fault(
                "conflict", "A merge conflict was left in the file: lines of <<<<<<< and >>>>>>>.",
                source.name, line,
            )  # fmt: skip
        absolute = _ABSOLUTE.search(source.text)
        if absolute:
            line = source.text[: absolute.start()].count("\n") + 1
            code = source.text.splitlines()[line - 1].lstrip()
            if not code.startswith("#"):
                findings.fault(
                    "absolute path",
                    f"The path {absolute.group(0)[:60]} is absolute and exists on one computer "
                    f"only; expected paths relative to the hand-in.",
                    source.name,
                    line,
                )


def _check_pdf(hand_in: HandIn, findings: Findings) -> bool:
    """The report; returns whether it could be read."""
    pdfs = [name for name in hand_in.files if name.lower().endswith(".pdf")]
    pdfs = [name for name in pdfs if "__MACOSX" not in name]
    if not pdfs:
        findings.fault(
            "pdf", "There is no PDF in it: expected the report, Surname-Matriculation.pdf."
        )
        return True
    named = [name for name in pdfs if NAME.fullmatch(name.rsplit("/", 1)[-1][:-4])]
    report = (named or pdfs)[0]
    if not named:
        findings.fault(
            "name",
            f"The PDF is called {report.rsplit('/', 1)[-1]!r}, expected "
            f"Surname-Matriculation.pdf.",
            report,
        )
    if importlib.util.find_spec("pypdf") is None:
        findings.remark(
            "pdf", "What is in the PDF was not looked at: pypdf is not installed here.", report
        )
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
                findings.remark("pdf", "The PDF has more than 300 pages.", name)
                return False
            pages = [page.extract_text() or "" for page in reader.pages]
            figures = sum(_figures_on(page) for page in reader.pages)
    except Exception as error:  # whatever a damaged PDF makes of a parser
        findings.fault(
            "pdf", f"The PDF cannot be read: {type(error).__name__}: {str(error)[:100]}.", name
        )
        return True
    text = "\n".join(pages)
    if len(text.split()) < 50:
        findings.fault(
            "pdf", "The PDF has hardly any text in it: a scan cannot be searched or copied.", name
        )
        return True
    captions = set(re.findall(r"(?:Figure|Fig\.|Abbildung|Abb\.)\s*(\d+)", text))
    if not figures and not captions:
        findings.fault("figures", "There is no figure in the PDF: the sheet asks for plots.", name)
    elif not captions:
        findings.fault("figures", "The figures in the PDF have no caption (Figure 1: ...).", name)
    missing = [number for number in QUESTIONS if not re.search(rf"(?<![\d.]){number}(?!\d)", text)]
    if missing:
        findings.fault(
            "questions",
            f"The number of {'question' if len(missing) == 1 else 'questions'} "
            f"{', '.join(missing)} does not occur in the PDF: expected an answer to each.",
            name,
        )
    return True


def _figures_on(page: object) -> int:
    """How many pictures or drawings a page has."""
    try:
        resources = page["/Resources"]  # type: ignore[index]
        objects = resources.get("/XObject", {})
        return len(objects)
    except (KeyError, TypeError, AttributeError):
        return 0
