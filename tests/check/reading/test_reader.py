"""What the child tells of a hand-in is data, and no data makes a tree that cannot be walked."""

import ast
import time
import zlib

import pytest
from check.reader import read_sources

import digitspan.part1.train
from digitspan.check.reading.hand_ins import read_hand_in
from digitspan.check.reading.source import works_when_imported
from digitspan.check.reading.tree import tree_of
from digitspan.check.sandbox.child.reader.pdf import facts_of
from digitspan.check.sandbox.child.reader.python import flat, read_source
from digitspan.check.sandbox.isolation import best_level


def test_tree_comes_through_as_it_was():
    with open(digitspan.part1.train.__file__, encoding="utf-8") as file:
        tree = ast.parse(file.read())
    rebuilt = tree_of(flat(tree))
    assert ast.dump(rebuilt, include_attributes=True) == ast.dump(tree, include_attributes=True)


NAME = ["Name", [1, 0, 1, 1], ["x", ["x", "Load"]]]
SUM = ["BinOp", None, [["n", 0], ["x", "Add"], ["n", 0]]]
MODULE = ["Module", None, [["l", []], ["l", []]]]


@pytest.mark.parametrize(
    "nodes",
    [
        None,
        [],
        "Module",
        [NAME],
        [["nothing", None, []]],
        [["Module", None, []]],
        [["Module", None, [["n", 5], ["l", []]]]],
        [["Module", None, [["n", 0], ["l", []]]]],  # in itself
        [NAME, SUM, ["Module", None, [["l", [["n", 1]]], ["l", []]]]],  # a node in two places
        [["Module", None, [["l", [["l", []]]], ["l", []]]]],
        [["Module", None, [["q"], ["l", []]]]],
        [["Constant", None, [["b", "zz"], None]], MODULE],
        [MODULE] * 70_000,
        [NAME, *(["UnaryOp", None, [["x", "USub"], ["n", n]]] for n in range(500)),
         ["Module", None, [["l", [["n", 500]]], ["l", []]]]],  # too deep
    ],
)  # fmt: skip
def test_data_that_is_no_tree_makes_none(nodes):
    assert tree_of(nodes) is None


@pytest.mark.parametrize(
    "text",
    ["x = " + "+".join("1" * 20_000), "x = " + "-" * 5_000 + "1", "(" * 5_000, "x = 1\n" * 100_000,
     "if x:\n pass\n" + "elif x:\n pass\n" * 5_000, "\0", "x = 0x" + "f" * 10_000],
    ids=lambda text: text[:12],
)  # fmt: skip
def test_monstrous_python_is_read_or_refused_in_time(text):
    start = time.process_time()
    read = read_source("x.py", text.encode())
    assert read.tree is None or tree_of(flat(read.tree)) is not None
    assert read.error or read.tree is not None
    assert time.process_time() - start < 5


def test_chain_of_functions_is_read_in_linear_time():
    chain = [f"def f{i}(): f{i - 1}()" for i in range(1, 1500)]
    text = "\n".join([*reversed(chain), "def f0(): x.backward()"])
    [source] = read_sources({"x.py": f"{text}\nf1499()\n".encode()})
    start = time.process_time()
    assert works_when_imported(source)
    assert time.process_time() - start < 1


def pdf_of(pages, operators):
    """A small PDF with many pages that share one long stream."""
    stream = zlib.compress(b"BT /F1 12 Tf " + b"(a b c d) Tj T* " * operators + b"ET", 9)
    kids = b" ".join(b"%d 0 R" % (5 + i) for i in range(pages))
    page = (b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 3 0 R"
            b"/Resources<</Font<</F1 4 0 R>>>>>>")  # fmt: skip
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%s]>>" % (pages, kids),
        b"<</Length %d/Filter/FlateDecode>>stream\n%s\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        *[page] * pages,
    ]
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, start)
    return bytes(out)


def test_pdf_whose_pages_share_what_is_long_is_told_to_be_too_long():
    start = time.process_time()
    assert facts_of(pdf_of(40, 100_000), ["1.1"], []).get("slow") is True
    assert time.process_time() - start < 5
    assert facts_of(pdf_of(2, 20), ["1.1"], [])["pages"] == 2


def test_hand_in_that_changed_since_is_not_read(tmp_path):
    (tmp_path / "x.py").write_text("x = 1\n")
    hand_in = read_hand_in(tmp_path, best_level(), digest="another")
    assert "changed while the check ran" in hand_in.refused
    assert [s.name for s in read_hand_in(tmp_path, best_level()).sources] == ["x.py"]
