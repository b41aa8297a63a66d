"""A cell of one's own is named with its arguments, which are literals, and with T where it is."""

import re
import sys

import pytest

from digitspan.cells import check_cell, title
from digitspan.cells.names import file_name, own_name
from digitspan.cells.own import with_length
from digitspan.errors import ConfigError, UsageError
from digitspan.runs.config import RunConfig
from digitspan.study.config import StudyConfig
from digitspan.study.plan import next_jobs
from digitspan.training.engine import build_network
from digitspan.training.trial import try_cell

NAMED = [
    ("m:C", "m:C", "C", "m.C"),
    ("m:C()", "m:C", "C", "m.C"),
    ("m:C(layers=3,dt=.1)", "m:C(dt=0.1, layers=3)", "C(dt=0.1, layers=3)", None),
    ("m:C( dt = 1e-1 , layers=3 )", "m:C(dt=0.1, layers=3)", "C(dt=0.1, layers=3)", None),
    ("m:C(a=-1, b=None, c=True)", "m:C(a=-1, b=None, c=True)", "C(a=-1, b=None, c=True)", None),
    ('m:C(kind="a/b: c")', "m:C(kind='a/b: c')", "C(kind='a/b: c')", None),
    ("m:C(sizes=[1, (2, 3)])", "m:C(sizes=[1, (2, 3)])", "C(sizes=[1, (2, 3)])", None),
    ("m:C(layers=2, length=T)", "m:C(layers=2, length=T)", "C(layers=2) (knows T)", None),
    ("p.m:C(length=100)", "p.m:C(length=100)", "C(length=100)", "p.m.C(length=100)"),
]


@pytest.mark.parametrize(("typed", "name", "shown", "in_file"), NAMED)
def test_a_cell_has_one_name_however_it_is_typed(typed, name, shown, in_file):
    assert check_cell(typed) == check_cell(name) == name
    assert title(name) == shown
    assert in_file in (None, file_name(name))
    assert RunConfig(cell=typed, length=5).key == RunConfig(cell=name, length=5).key
    assert StudyConfig(cells=(typed, name)).cells == (name,)


def test_names_of_files_are_safe_and_no_two_cells_share_one():
    names = [name for _, name, _, _ in NAMED] + ["m:C(kind='a_b: c')", f"m:C(a='{'x' * 200}')"]
    files = [file_name(name) for name in dict.fromkeys(names)]
    assert len(set(files)) == len(files)
    assert all(re.fullmatch(r"[\w.,=()+-]{1,100}", file, re.ASCII) for file in files)
    run = RunConfig(cell="m:C(layers=3, dt=0.1)", length=5)
    assert run.run_id.startswith("m.C(dt=0.1,layers=3)-T005-lr0.001-seed0")


@pytest.mark.parametrize(
    "arguments",
    [
        "3", "*a", "**{}", "a=1, a=2", "a=b", "a=f()", "a=1 + 1", "a=lambda: 0", "a=1e999",
        "a={1, 2}", "a=1j", "a=b'x'", "a='$x$'", "a='\\n'", "a=", "a=1)(b=2", "a=[f()]",
        "a=__import__('os').abort()", "length=T()", "layers=T", "a=" + "(" * 250,
        "a=1" + " " * 400,
        "hidden_size=3", "input_size=3", "num_classes=3",
    ],
)  # fmt: skip
def test_arguments_that_are_no_literals_by_name_are_refused(arguments):
    with pytest.raises(
        ConfigError, match=r"^cell must (have literals by name|leave .* to the run)"
    ):
        check_cell(f"m:C({arguments})")


BODY = (
    "super().__init__(); self.p = __import__('torch').nn.Parameter(__import__('torch').zeros(1))"
)
ASKING = {
    "its own": "class C(nn.Module):\n    def __init__(self, input_size, hidden_size, "
    "num_classes, length): {}",
    "by keyword": "class C(nn.Module):\n    def __init__(self, *, length=None, **sizes): {}",
    "inherited": "class B(nn.Module):\n    def __init__(self, length, **sizes): {}\n"
    "class C(B):\n    x = 1",
    "imported": "from .base import Base\nclass C(Base): pass",
    "another name": "from .base import Base as C",
    "a function": "from .base import Base\ndef C(length, **sizes): return Base(length, **sizes)",
}
NOT_ASKING = {
    "not": "class C(nn.Module):\n    def __init__(self, **sizes): {}",
    "another method": "class C(nn.Module):\n    def __init__(self, **sizes): {}\n"
    "    def forward(self, length): ...",
    "no Python": "class C(",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Writes the module `asking.mine`, and gives the name of its cell."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "asking").mkdir()
    base = (
        "from torch import nn\nclass Base(nn.Module):\n    def __init__(self, length, **s): {}\n"
    )
    (tmp_path / "asking/__init__.py").touch()
    (tmp_path / "asking/base.py").write_text(base.replace("{}", f"{BODY}; self.length = length"))

    def write(text):
        text = text.replace("{}", BODY + ("; self.length = length" if "length" in text else ""))
        (tmp_path / "asking/mine.py").write_text(f"from torch import nn\n{text}\n")
        return "asking.mine:C"

    yield write
    for name in [name for name in sys.modules if name.startswith("asking")]:
        del sys.modules[name]
    from digitspan.cells import build

    for name in [name for name in build._imported if name.startswith("asking")]:
        del build._imported[name]


@pytest.mark.parametrize("text", ASKING.values(), ids=ASKING)
def test_a_constructor_that_asks_for_length_gets_t_and_is_named_so(package, text):
    run = RunConfig(cell=package(text), length=17).with_source()
    assert "asking.mine" not in sys.modules
    assert run.cell == "asking.mine:C(length=T)"
    assert build_network(run).length == 17
    study = StudyConfig(cells=("asking.mine:C",), lengths=(5, 9)).with_sources()
    assert study.with_sources() == study
    assert {job.config.cell for job in next_jobs(study, {})} == {run.cell}
    assert study.source(run.cell) == run.source


@pytest.mark.parametrize("text", NOT_ASKING.values(), ids=NOT_ASKING)
def test_another_constructor_is_not_given_t(package, text):
    assert with_length(package(text)) == "asking.mine:C"


def test_a_number_in_place_of_t_is_what_a_cell_is_built_with(package):
    run = RunConfig(cell=package(ASKING["its own"]) + "(length=3)", length=17).with_source()
    assert run.cell == "asking.mine:C(length=3)"
    assert build_network(run).length == 3
    assert not own_name(run.cell).knows_length


def test_a_cell_that_hides_that_it_asks_for_length_is_refused(package):
    hidden = package("from . import base\nC = getattr(base, 'Base')")
    with pytest.raises(UsageError, match=r"asks for length .* name it asking.mine:C\(length=T\)"):
        try_cell(RunConfig(cell=hidden, length=5))


def test_arguments_reach_the_constructor(package):
    cell = package(
        "class C(nn.Module):\n    def __init__(self, input_size, hidden_size, num_classes, *, "
        "layers, dt=1.0):\n        super().__init__()\n        self.got = (layers, dt)\n"
        "        self.stack = nn.ModuleList([nn.Linear(hidden_size, hidden_size)] * layers)"
    )
    run = RunConfig(cell=f"{cell}(layers=3, dt=0.1)", length=5, hidden_size=4).with_source()
    assert build_network(run).got == (3, 0.1)
    other = RunConfig(cell=f"{cell}(layers=2)", length=5, hidden_size=4).with_source()
    assert run.source == other.source
    assert run.key != other.key
