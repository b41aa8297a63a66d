"""From a finished study to the bytes of the hand-in's ZIP."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from digitspan.errors import DigitspanError
from digitspan.handin.answers import Answer
from digitspan.handin.author import Author
from digitspan.handin.bundle import as_zip, files_of, readme
from digitspan.handin.lists import ListMaterial, list_values, rows_of
from digitspan.handin.material import Material
from digitspan.handin.measurements import measure
from digitspan.handin.notebook import as_text, code_files, make_notebook, run_notebook
from digitspan.handin.pdf import check_answer, compile_pdf, to_typst
from digitspan.handin.proofread import missing_from_pdf, pages_of
from digitspan.handin.sheet_rules import broken_rules
from digitspan.handin.values import held_together, sheet_values, values_of

__all__ = ["STAGES", "build"]

STAGES = (
    "looking into the networks",
    "running the notebook",
    "setting the PDF",
    "reading the PDF against the notebook",
)
"""What `build` does, in order."""


def build(
    material: Material | ListMaterial,
    author: Author,
    answers: Mapping[str, Answer],
    on_stage: Callable[[str], None] = lambda stage: None,
    on_cell: Callable[[int, int], None] = lambda done, of: None,
) -> bytes:
    """The ZIP, made in a folder of the system's that is gone at the end.

    The same material, author and answers give the same bytes on the same machine.

    Args:
        material: the study.
        author: who hands in, or the model.
        answers: the words, by question.
        on_stage: told each of `STAGES` as it begins.
        on_cell: told how many of the notebook's cells are done.

    Raises:
        UsageError: where an answer cannot be typeset or asks for an unknown value.
        DigitspanError: where a cell fails, or the result would break a rule of the sheet.
    """
    with tempfile.TemporaryDirectory(prefix="handin-") as name:
        work, scratch = Path(name, "work"), Path(name, "scratch")
        scratch.mkdir()
        for answer in answers.values():
            check_answer(answer, scratch)

        on_stage(STAGES[0])
        sheet = material.sheet
        if isinstance(material, ListMaterial):
            values = sheet_values(sheet, author) | list_values(material)
            files = {"rows.csv": rows_of(material).encode()}
        else:
            measured = measure(material)
            values, files = values_of(material, measured, author), files_of(material, measured)
        files |= {f"{sheet.code}/{name}": content for name, content in code_files(sheet).items()}
        values = {name: held_together(text) for name, text in values.items()}
        notebook = make_notebook(answers, values, sheet)
        for path, content in files.items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_bytes(content)

        on_stage(STAGES[1])
        run_notebook(notebook, work, lambda done: on_cell(done, len(notebook.cells)))

        on_stage(STAGES[2])
        text = as_text(notebook)
        pdf = compile_pdf(to_typst(text, scratch), author, sheet.title)

        on_stage(STAGES[3])
        pages = pages_of(pdf)
        if missing := missing_from_pdf(notebook, pages, author, sheet.title):
            message = (
                f"the PDF lacks {len(missing)} things that the notebook says, the first of them "
                f"{missing[0][:80]!r}; nothing was written"
            )
            raise DigitspanError(message)
        files |= {
            f"{author.stem}.pdf": pdf,
            f"{author.stem}.ipynb": text.encode(),
            "README.md": readme(author, sheet),
        }
        for problem in broken_rules(files, pages, author, sheet):
            message = (
                f"the hand-in would break a rule of the sheet: {problem}; nothing was written"
            )
            raise DigitspanError(message)
        return as_zip(files)
