"""Notebooks are read as IPython reads them, and places are those that their author sees."""

import json
import sys

import pytest
from check.bank import lstm
from check.given import read_here
from check.reader import read_sources

from digitspan.check.findings import Finding
from digitspan.check.hand_in import Children, _placed
from digitspan.check.reading.hand_ins import HandIn, written_out
from digitspan.check.reading.source import candidates
from digitspan.check.sandbox.child.loading import Shell
from digitspan.check.sandbox.child.reader.notebook import NotebookDamaged, code_of
from digitspan.check.sandbox.isolation import Limits
from digitspan.check.script import check_training

CELL = lstm("separate")


def book(*cells, **more):
    document = {"cells": [{"cell_type": "code", "source": cell} for cell in cells], **more}
    return json.dumps(document).encode()


def read(*cells):
    [source] = read_sources({"a.ipynb": book(*cells)})
    return source


FORMS = {
    "operator at the start of a line": 'x = ("%d"\n     % 3)\n',
    "magic": "%matplotlib inline\n",
    "output of a command": "gpu = !nvidia-smi -L\nfiles = %ls\n",
    "command over two lines": "!pip install \\\n    torch\n",
    "help": "torch.nn?\n?torch\ntorch.nn??\n",
    "timed": "%%time\n%%capture out\nx = 1\n",
    "written to a file": "%%file lstm.py\n",
    "automatic call": "/print 3\n",
    "indented magic": "if True:\n    %time x = 3\n    !ls\n",
    "cell magic of a package": "%%memit -r 1\n",
    "formatter": "%%black -l 99\n",
    "capture and time": "%%capture --no-stderr out\n%%time\n",
    "future over lines": "from __future__ import (\n    annotations,  # x\n    division,\n)\n",
    "future and more": "from  __future__  import annotations; y = 2\n",
    "future continued": "from __future__ import \\\n    annotations\n",
    "future": "from __future__ import annotations\n",
    "prompt": ">>> x = 3\n>>> y = 4\n",
    "await": "await x\n",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("where", ["own cell", "same cell"])
def test_class_beside_what_ipython_adds_is_found_at_its_line(form, where):
    cells = [FORMS[form], CELL] if where == "own cell" else [FORMS[form] + CELL]
    if where == "same cell" and form in ("prompt", "await"):
        pytest.skip("the cell as a whole is another thing")
    source = read("import torch\n", *cells)
    [found] = candidates([source], "lstm")
    before = FORMS[form].count("\n") if where == "same cell" else 0
    line = CELL[: CELL.index("class LSTM")].count("\n") + 1 + before
    assert source.place(found.line) == (len(cells) + 1, line)


def test_cell_that_is_written_to_a_file_is_that_file():
    for head, name in (
        ("%%writefile part1/lstm.py", "nb/part1/lstm.py"),
        ("%%file  'lstm.py'", "nb/lstm.py"),
        ("%%writefile /content/drive/part1/lstm.py", "nb/part1/lstm.py"),
        ("%%writefile ../../lstm.py", "nb/lstm.py"),
    ):
        [source] = read_sources({"nb/a.ipynb": book("!mkdir part1\n", f"{head}\n{CELL}")})
        assert source.written == ((name, 2),)
        assert source.files() == {"nb/a_notebook.py": source.text, name: CELL}
    assert read("%%bash\nls\n", "%%writefile notes.txt\nx\n", CELL).written == ()


def test_future_import_of_a_cell_holds_for_the_file():
    source = read("x = 1\n", "from __future__ import annotations\ny = 2\n", CELL)
    first, *rest = source.text.split("\n")
    assert first == "from __future__ import annotations"
    assert "__future__" not in "".join(rest)
    compile(source.text, "x.py", "exec")


def test_every_way_to_write_a_future_import_becomes_the_first_line():
    source = read("x = 'ü'; from __future__ import (annotations,\n  division); y = 2\n", CELL)
    first, second, third, *_ = source.text.split("\n")
    assert (first, second, third) == (
        "from __future__ import annotations, division", "x = 'ü'; pass; y = 2", "")  # fmt: skip
    compile(source.text, "x.py", "exec")


@pytest.mark.parametrize(
    "head", ["%%bash\n", "%%html\n", "%%writefile notes.txt\n", "%%R\n", "%%script sh\n"]
)
def test_cell_in_another_language_is_left_out(head):
    source = read(f"{head}class LSTM: nonsense (\n", "x = 1\n")
    assert source.tree is not None
    assert candidates([source], "lstm") == []


def test_cell_that_is_no_python_does_not_hide_the_others():
    source = read("this is no python\n", CELL)
    assert [found.name for found in candidates([source], "lstm")] == ["LSTM"]
    broken = read("x = 1\n", "class LSTM:\n    def forward(self:\n")
    assert broken.tree is None
    assert broken.place(broken.line) == (2, 2)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (book(CELL)[:200], "not whole JSON, at its end"),
        (b"{'cells': []}", "not whole JSON"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"[1, 2]", "it is no notebook"),
        (b'{"cells": 3}', "it is no notebook"),
        (b"[" * 100_000, "not whole JSON"),
        (book("x", metadata={"kernelspec": {"language": "R"}}), "it is in r, expected Python"),
    ],
)
def test_notebook_that_cannot_be_read_says_why(data, reason):
    with pytest.raises(NotebookDamaged, match=reason):
        code_of(data)


def test_notebook_without_a_kernel_is_python():
    assert "class LSTM" in code_of(book(CELL, metadata={"kernelspec": None}))[0]


def test_older_notebooks_are_read():
    cell = {"cell_type": "code", "language": "python", "input": CELL, "outputs": [],
            "metadata": {}, "collapsed": False}  # fmt: skip
    data = json.dumps({"worksheets": [{"cells": [cell], "metadata": {}}], "nbformat": 3,
                       "nbformat_minor": 0, "metadata": {"name": ""}}).encode()  # fmt: skip
    assert "class LSTM" in code_of(data)[0]


def test_without_the_extra_a_notebook_is_told_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nbformat", None)
    (tmp_path / "a.ipynb").write_bytes(book(CELL))
    hand_in = read_here(tmp_path)
    assert hand_in.facts.texts["a.ipynb"].unreadable_here
    assert "not installed here" in hand_in.sources[0].error


def test_python_of_a_notebook_runs_where_there_is_no_ipython():
    source = read("%matplotlib inline\ngpu = !nvidia-smi\n%time x = 3\n!ls\n")
    names = {"get_ipython": Shell}
    exec(compile(source.text, "x.py", "exec"), names)
    assert (names["x"], names["gpu"]) == (3, [])


TRAIN = """\
import torch
{before}
net = LSTM(4, 1, 8, 10, 16)
optimizer = torch.optim.RMSprop(net.parameters())
for step in range(9):
    x = torch.randint(0, 10, (16, 4)).float()
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(net(x), x[:, 0].long()).backward()
    optimizer.step()
"""
MAGIC = {
    "files that are written": (
        ["%%writefile part1/lstm.py\n" + CELL, "%%writefile part1/train.py\n"
         + TRAIN.format(before="from lstm import LSTM"), "!python part1/train.py"]),
    "a file that is run": ["%run -i ../cells.py --seed 3", TRAIN.format(before="LSTM, seed")],
    "a notebook that is run": ["%run cells.ipynb", TRAIN.format(before="")],
    "await": [CELL, "import asyncio\nawait asyncio.sleep(0)\nx = await asyncio.sleep(0, 3)\n"
              + TRAIN.format(before="assert x == 3")],
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Runs a notebook as a training script; one child for all of them."""
    cells = {"cells.py": (CELL + "import sys\nseed = sys.argv[-1]\n").encode()}
    files = {f"{number}/a.ipynb": book(*book_) for number, book_ in enumerate(MAGIC.values())}
    files |= cells | {"2/cells.ipynb": book(CELL)}
    hand_in = HandIn(tmp_path_factory.getbasetemp(), False, files, read_sources(files), "")
    sources = {source.name: source for source in hand_in.sources}
    with written_out(hand_in) as tree, Children(tree, "limited", Limits(seconds=600)) as children:

        def train(name):
            source = sources[f"{list(MAGIC).index(name)}/a.ipynb"]
            return source, check_training(children.usable, [source], {"LSTM": "lstm"}, 1)

        yield train


@pytest.mark.parametrize("name", MAGIC)
def test_notebook_trains_as_ipython_runs_it(trained, name):
    _, result = trained(name)
    faults = [f for f in result.section.findings if f.severity == "fault"]
    assert (result.section.verdict, faults) == ("pass", [])
    assert result.losses == {"lstm": {"logits"}}


def test_place_in_a_file_that_a_cell_is_written_to_is_the_cells(trained):
    source, _ = trained("files that are written")
    hand_in = HandIn(None, False, {}, [source], "")
    finding = Finding("prints", "print", "remark", "0/part1/lstm.py", 5, "")
    placed = _placed(finding, hand_in)
    assert (placed.file, placed.cell, placed.line) == ("0/a.ipynb", 1, 6)
