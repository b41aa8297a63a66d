"""From the notebook to the PDF: pandoc and Typst, both from wheels; no LaTeX, no network."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pypandoc  # type: ignore[import-untyped]
import typst

from digitspan.errors import DigitspanError, UsageError
from digitspan.handin.answers import Answer, template
from digitspan.handin.author import Author

__all__ = ["check_answer", "compile_pdf", "to_typst"]

_EXTENSIONS = "+raw_tex+tex_math_dollars+pipe_tables+table_captions-smart"
_REFUSED = re.compile(r"REFUSED<(.*?)>REFUSED", re.S)
_SECONDS = 120


def to_typst(notebook: str, folder: Path) -> Path:
    """Convert a notebook into a Typst document beside its pictures.

    Args:
        notebook: the text of its file.
        folder: where document and pictures are written.

    Raises:
        UsageError: where something in it would come out wrong.
    """
    for name in ("report.lua", "template.typ"):
        (folder / name).write_text(template(name), encoding="utf-8")
    arguments = [
        f"--from=ipynb{_EXTENSIONS}", "--to=typst", "--fail-if-warnings", "--columns=10000",
        "--lua-filter=report.lua", "--template=template.typ", "--extract-media=.",
    ]  # fmt: skip
    done = subprocess.run(
        [pypandoc.get_pandoc_path(), *arguments],
        cwd=folder, input=notebook.encode(), capture_output=True, timeout=_SECONDS, check=False,
    )  # fmt: skip
    errors = done.stderr.decode(errors="replace")
    if refused := _REFUSED.search(errors):
        raise UsageError(refused.group(1))
    if done.returncode:
        message = f"pandoc could not read the text: {' '.join(errors.split())[:300]}"
        raise UsageError(message)
    document = folder / "report.typ"
    document.write_bytes(done.stdout)
    return document


def compile_pdf(document: Path, author: Author, title: str) -> bytes:
    """Set a Typst document; the same document gives the same bytes.

    Args:
        document: as `to_typst` wrote it.
        author: whose name stands on every page and in the metadata; the model's is a keyword too.
        title: the sheet's.

    Raises:
        DigitspanError: with Typst's first line, where it cannot be set.
    """
    try:
        pdf: bytes = typst.compile(
            str(document),
            root=str(document.parent),
            ignore_system_fonts=True,
            sys_inputs={
                "head": author.head,
                "title": title if author.matriculation else f"{author.surname}: {title}",
                "sheet": title,
                "author": ", ".join(author.words),
                "keywords": "" if author.matriculation else author.surname.lower(),
            },
            timestamp=0,
        )
    except (RuntimeError, typst.TypstError) as error:
        message = f"Typst could not set the report: {str(error).splitlines()[0][:300]}"
        raise DigitspanError(message) from error
    return pdf


def check_answer(answer: Answer, folder: Path) -> None:
    """See that the words on a question can be typeset, before anything long is done.

    Raises:
        UsageError: naming the file, and what in it would come out wrong.
    """
    text = re.sub(r"<<\s*([a-z][a-z0-9_]*)\s*>>", "0", answer.text)
    cell = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": text}
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    try:
        to_typst(json.dumps(notebook), folder)
    except UsageError as error:
        message = f"{answer.source}: {error}"
        raise UsageError(message) from error
