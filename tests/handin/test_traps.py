"""The traps on the way from notebook to PDF: each is treated, or refused by name."""

from __future__ import annotations

import io
import json
import re

import pypdf
import pytest

from digitspan.errors import UsageError
from digitspan.handin.answers import Answer, frames, model_answers
from digitspan.handin.author import MODEL, checked_author
from digitspan.handin.pdf import check_answer, compile_pdf, to_typst
from digitspan.sheet.exercise import default_sheet

AUTHOR = checked_author("Test", "00000000")


def notebook(*cells):
    return json.dumps({"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def markdown(text):
    return {"cell_type": "markdown", "id": "m", "metadata": {}, "source": text}


def code(source, **output):
    return {
        "cell_type": "code",
        "id": "c",
        "metadata": {},
        "execution_count": 1,
        "source": source,
        "outputs": [output] if output else [],
    }


SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="30"><rect width="9" height="9"/>'
    "</svg>"
)
PICTURE = {"output_type": "display_data", "metadata": {}, "data": {"image/svg+xml": SVG}}


def typst_of(tmp_path, *cells):
    document = to_typst(notebook(*cells), tmp_path).read_text(encoding="utf-8")
    return document.rpartition("#set image(width: 100%)\n")[2].strip()


def text_of(tmp_path, *cells):
    """The text of the PDF: that Typst takes the document is part of every test."""
    pdf = compile_pdf(to_typst(notebook(*cells), tmp_path), AUTHOR, "A sheet")
    pages = pypdf.PdfReader(io.BytesIO(pdf)).pages
    return re.sub(r"\s+", " ", " ".join(page.extract_text() for page in pages))


def test_odot_is_one_that_typst_knows(tmp_path):
    assert typst_of(tmp_path, markdown(r"$a \odot b$")) == "$a dot.o b$"
    assert "⊙" in text_of(tmp_path, markdown(r"$a \odot b$"))


def test_a_tag_is_an_equation_number(tmp_path):
    assert "(7)" in text_of(tmp_path, markdown(r"$$a = b \tag{7}$$"))
    assert "numbering: _ => [(7)]" in typst_of(tmp_path, markdown(r"$$a = b \tag{7}$$"))


def test_several_tags_all_stand(tmp_path):
    text = text_of(
        tmp_path, markdown("$$\\begin{align} a &= b \\tag{8} \\\\ c &= d \\tag{9}\\end{align}$$")
    )
    assert "(8)" in text
    assert "(9)" in text
    assert "tag" not in text


@pytest.mark.parametrize("name", ["align", "align*", "equation"])
def test_bare_environments_are_display_mathematics(tmp_path, name):
    text = text_of(tmp_path, markdown(f"\\begin{{{name}}}\na = b \\tag{{3}}\n\\end{{{name}}}"))
    assert "(3)" in text
    assert "begin" not in text


def test_negative_space_is_left_out(tmp_path):
    assert typst_of(tmp_path, markdown(r"$a \! b$")) == "$a b$"


@pytest.mark.parametrize(
    "tex", [r"\|a\|", r"\lVert a \rVert", r"\left\lVert a \right\rVert", r"\left\|a\right\|"]
)
def test_bars_of_a_norm_grow(tmp_path, tex):
    assert typst_of(tmp_path, markdown(f"${tex}$")) == "$lr(bar.v.double a bar.v.double)$"


@pytest.mark.parametrize(
    "tex", [r"{h^{(t)}}^{\top}", r"{h^{(t)}}^{ \top }", r"{h ^ {(t)} } ^ {\top}"]
)
def test_an_exponent_on_an_exponent_stays_on_the_letter(tmp_path, tex):
    assert typst_of(tmp_path, markdown(f"${tex}$")) == typst_of(
        tmp_path, markdown(r"$h^{(t) \top}$")
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (r"$\foo x$", r"command that cannot be typeset: \$\\foo x\$"),
        (r"\textbf{x}", r"tex would vanish from the PDF: \\textbf\{x\}"),
        ("<b>bold</b>", "html would vanish from the PDF: <b>"),
        ("<div>\nx\n</div>", "html would vanish"),
        ("<!-- hidden -->", "html would vanish"),
        (r"$\begin{array}{c|c} 1 & 2 \end{array}$", "lines in an array vanish"),
        (r"$$\begin{matrix} 1 \\ \hline 2 \end{matrix}$$", "lines in an array vanish"),
        ("![](photo.png)", r"photo\.png"),
    ],
)
def test_what_would_come_out_wrong_is_refused_by_name(tmp_path, text, sentence):
    with pytest.raises(UsageError, match=rf"1\.4\.md: .*{sentence}"):
        check_answer(Answer("1.4", text, "1.4.md"), tmp_path)


def test_all_of_the_models_answers_and_frames_can_be_set(tmp_path):
    for answer in (*model_answers(default_sheet()).values(), *frames(default_sheet()).values()):
        assert answer.text
        check_answer(answer, tmp_path)


def test_a_figure_has_its_caption_and_number(tmp_path):
    cell = code('#| fig-cap: "Loss of $\\mathbf{W}$ in % of it."\nplt.show()', **PICTURE)
    text = text_of(tmp_path, cell)
    assert "Figure 1. Loss of" in text
    assert "in % of it." in text
    assert "fig-cap" not in text


def test_a_figure_without_a_caption_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"has no line #\| fig-cap"):
        to_typst(notebook(code("plt.show()", **PICTURE)), tmp_path)


def test_a_table_has_its_caption_and_number(tmp_path):
    table = "Table: The lengths.\n\n| T | solved |\n|:--|--:|\n| 5 | 3 of 3 |"
    assert "Table 1. The lengths." in text_of(tmp_path, markdown(table))


def test_code_and_output_stand_as_they_are(tmp_path):
    source = 'print("a \\\\ #quoted $text$ *here*") # <b> & \\n'
    printed = {"output_type": "stream", "name": "stdout", "text": "  1.5e-3 #x $y$ \\z\n"}
    text = text_of(tmp_path, code(source, **printed))
    assert source in text
    assert "1.5e-3 #x $y$ \\z" in text


def test_names_come_out_as_they_are_written(tmp_path):
    author = checked_author("D'Äöüß-Łoś", "01234567")
    pdf = compile_pdf(to_typst(notebook(markdown("x")), tmp_path), author, "A sheet")
    reader = pypdf.PdfReader(io.BytesIO(pdf))
    assert author.surname in reader.pages[0].extract_text()
    assert author.surname in reader.metadata.author


def test_the_same_document_gives_the_same_pdf(tmp_path):
    document = to_typst(notebook(markdown("# Same $x$"), code("1", **PICTURE) | {
        "source": '#| fig-cap: "c"\n1'}), tmp_path)  # fmt: skip
    assert compile_pdf(document, AUTHOR, "A sheet") == compile_pdf(document, AUTHOR, "A sheet")


def test_the_models_pdf_says_so_on_every_page_and_in_its_metadata(tmp_path):
    long = markdown("\n\n".join(["A paragraph of some words."] * 120))
    document = to_typst(notebook(long), tmp_path)
    models, students = (
        pypdf.PdfReader(io.BytesIO(compile_pdf(document, author, "A sheet")))
        for author in (MODEL, AUTHOR)
    )
    assert len(models.pages) > 1
    assert all("Model solution" in page.extract_text() for page in models.pages)
    told = models.metadata
    assert told.title == "Model solution: A sheet"
    assert (told.author, told["/Keywords"]) == ("Model solution", "model solution")
    assert not any("solution" in page.extract_text() for page in students.pages)
    assert students.metadata.title == "A sheet"
    assert "/Keywords" not in students.metadata


def test_an_empty_answer_is_a_frame_with_room(tmp_path):
    blank = frames(default_sheet())["1.4"].text
    assert typst_of(tmp_path, markdown(blank)).startswith("#answer-frame[")
    assert "#answer-frame" not in typst_of(tmp_path, markdown("> A quotation."))
