"""The documents say what the program does, and cite nothing that is not there."""

from __future__ import annotations

import ast
import functools
import importlib.util
import io
import re
import tokenize
from pathlib import Path

import pytest

from digitspan import cli
from digitspan.cells import CELLS, INITIALISATIONS
from digitspan.runs.outcome import END_STATES

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "digitspan"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "benchmarks" / "README.md",
]
CODE = sorted(
    path
    for folder in ("src", "tests", "benchmarks", "examples", "docs")
    for path in (ROOT / folder).rglob("*.py")
)
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@functools.cache
def text_of(page):
    return page.read_text(encoding="utf-8")


def load_make():
    """docs/make.py as a module."""
    spec = importlib.util.spec_from_file_location("docs_make", ROOT / "docs" / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make = load_make()


# What is made


def test_documents_are_what_the_program_and_the_stores_make_of_them():
    difference = make.differences()
    assert not difference, f"run `python docs/make.py`\n{difference}"


@pytest.mark.parametrize(
    ("page", "said", "instead"),
    [
        ("docs/results.md", "18.8 [16.6, 21.0]<!-- end -->", "18.8 [16.6, 21.1]<!-- end -->"),
        ("docs/results.md", "| RNN  | 0.001 |    18.8 [", "| RNN  | 0.001 |    19.8 ["),
        ("README.md", "  errors.py  ", "  error.py   "),
        ("docs/design.md", "  engine.py  ", "  motor.py   "),
    ],
)
def test_a_made_part_that_is_changed_differs(page, said, instead):
    text = text_of(ROOT / page)
    assert said in text
    assert make.remade(text.replace(said, instead)) != text.replace(said, instead)


def test_a_folder_without_a_docstring_has_no_line_in_the_tree(tmp_path, monkeypatch):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "module.py").write_text('"""Something."""\n', encoding="utf-8")
    monkeypatch.setattr(make, "ROOT", tmp_path)
    monkeypatch.setattr(make, "PACKAGE", tmp_path)
    with pytest.raises(ValueError, match=r"new/__init__\.py needs a docstring"):
        make.tree()


@pytest.mark.parametrize(
    ("name", "ends_at"), [("README.md", "\n# "), ("docs/results.md", "\n## Longer")]
)
def test_no_span_is_typed_where_a_store_has_it(name, ends_at):
    typed = make.MARK.sub("", text_of(ROOT / name).partition(ends_at)[0])
    assert re.findall(r"\d+ \[[^]]*\d\](?!\()", typed) == []


@every_page
def test_no_line_begins_with_a_mark_in_a_sentence(page):
    # Markdown would take the whole line as HTML and end the paragraph before it.
    assert re.findall(r"^\s*<!-- .*<!-- end -->", text_of(page), re.M) == []


# What must be said


def test_readme_names_every_command():
    for name in cli.COMMANDS:
        assert f"digitspan {name}" in text_of(ROOT / "README.md"), name


def test_glossary_has_every_initialisation_and_end_state():
    text = text_of(ROOT / "docs" / "glossary.md")
    for word in (*INITIALISATIONS, *END_STATES):
        assert re.search(rf"\b{re.escape(word)}\b", text), word


def test_glossary_has_every_cell_and_which_initialisations_fit_it():
    cells, initialisations = (
        text_of(ROOT / "docs" / "glossary.md").partition(f"## {name}\n")[2].partition("##")[0]
        for name in ("Cells", "Initialisations")
    )
    for name in CELLS:
        assert f"| `{name}` |" in cells, name
    for line in initialisations.splitlines():
        name, fits = (part.strip() for part in f"{line.strip('|')}||".split("|")[:2])
        if name.strip("`") in set(INITIALISATIONS) - {"own"}:
            fitting = [n for n, cell in CELLS.items() if name.strip("`") in cell.initialisations]
            if fits.startswith("all"):
                assert set(CELLS) - set(fitting) == {n for n in CELLS if f"not {n}" in fits}, name
            else:
                assert fits.split(", ") == fitting, name


def test_the_cell_of_ones_own_is_shown_as_the_example_has_it():
    page = text_of(ROOT / "docs" / "own-cell.md")
    for language, name in (("python", "leaky.py"), ("javascript", "leaky.js")):
        [block] = re.findall(rf"```{language}\n(.*?)```", page, re.S)
        assert block == (ROOT / "examples" / name).read_text(encoding="utf-8"), name


def test_every_cell_names_initialisations_that_exist():
    for name, cell in CELLS.items():
        assert set(cell.initialisations) <= set(INITIALISATIONS), name


# What is cited


def anchors(page):
    """The names that a page's headings have in links."""
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", text_of(page), re.M)
    }


@every_page
def test_links_and_pictures_of_a_page_are_there(page):
    links = r"(?:\]\(|^\[\w+\]: )([^)#\s]*)(?:#([^)\s]*))?\)?"
    for target, anchor in re.findall(links, text_of(page), re.M):
        if "://" not in target:
            found = page.parent / target if target else page
            assert found.exists(), target
            assert not anchor or anchor in anchors(found), f"{target}#{anchor}"


def comments_of(path):
    """The comments and docstrings of a Python file."""
    source = text_of(path)
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    nodes = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = [ast.get_docstring(n) for n in ast.walk(ast.parse(source)) if isinstance(n, nodes)]
    return "\n".join([*comments, *filter(None, found)])


WORDS = [
    *((page, text_of(page)) for page in PAGES),
    *((path, comments_of(path)) for path in CODE),
]
"""Every document, and the comments and docstrings of every file of code."""
every_text = pytest.mark.parametrize(
    ("path", "text"), [pytest.param(*pair, id=str(pair[0].relative_to(ROOT))) for pair in WORDS]
)


@functools.cache
def all_files():
    """Every file and folder of the repository, as paths that begin with a slash."""
    tops = [path for path in ROOT.iterdir() if path.name not in {".git", ".venv", "results"}]
    found = [*tops, *(below for top in tops if top.is_dir() for below in top.rglob("*"))]
    return [f"/{path.relative_to(ROOT).as_posix()}{'/' * path.is_dir()}" for path in found]


def is_there(cited):
    """Whether a file or folder of the repository has this name, or a name that ends so."""
    pattern = "/" + cited.lstrip("./")
    if pattern.endswith("/"):
        return any(pattern in f"{path}/" for path in all_files())
    return any(path.endswith(pattern) for path in all_files())


@every_text
def test_documents_and_sections_that_are_cited_are_there(path, text):
    for cited in re.findall(r"(?<![\w<{*/-])[\w./-]*\w\.md\b", text):
        assert is_there(cited), cited
    for cited in re.findall(r"(?<![\w/])(?:(?:[a-z]\w*/)+\w+|test_\w+)\.py\b", text):
        assert "NAME" in cited or is_there(cited), cited
    protocol = text_of(ROOT / "docs" / "protocol.md")
    own = r"|\bsection (\d+)" if path.name == "protocol.md" else ""
    for match in re.finditer(rf"\b[Pp]rotocol\S*,?\s+section\s+(\d+){own}", text):
        number = next(filter(None, match.groups()))
        assert f"\n## {number}. " in protocol, match[0]


def spans_of_code(page):
    """What stands between backticks in a page's prose."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text_of(page), flags=re.S))


NOT_OURS = {"bench.json", "holding.json", "results/leaky/", "weights/"}
"""Files and folders that a document names and that the program writes."""


ENDINGS = {"py", "js", "md", "db", "svg", "png", "json", "toml", "html"}


@every_page
def test_files_and_folders_that_a_page_names_are_there(page):
    if page.name == "CHANGELOG.md":  # the changelog says how things once were
        return
    for code in spans_of_code(page):
        if re.fullmatch(r"[\w./-]*\w(\.(py|js|toml|json|typ|lua|html|css|sh)|/)", code):
            assert code in NOT_OURS or "NAME" in code or is_there(code), code


@every_page
def test_names_of_a_module_that_a_page_gives_are_there(page):
    modules = {path.stem: path for path in PACKAGE.rglob("*.py")}
    packages = {path.parent.name: path for path in PACKAGE.rglob("__init__.py")}
    for code in spans_of_code(page):
        name, _, attribute = re.sub(r"\(.*\)$|^digitspan\.", "", code).partition(".")
        if re.fullmatch(r"[A-Za-z_]\w*", attribute) and attribute not in ENDINGS:
            if name in modules:
                assert re.search(rf"\b{attribute}\b", text_of(modules[name])), code
            elif name in packages:
                assert (packages[name].parent / f"{attribute}.py").exists() or re.search(
                    rf"\b{attribute}\b", text_of(packages[name])
                ), code


# How it is called


@every_page
def test_commands_in_a_page_are_commands_with_options_that_exist(page):
    """Every `digitspan ...` in a code block is a call that the parser takes."""
    text = text_of(page).replace("\\\n", " ")
    for block in re.findall(r"```(?:bash|sh)?\n(.*?)```", text, re.S):
        for line in re.findall(r"^(?:\$ )?digitspan (.+)$", block, re.M):
            words = line.partition("  #")[0].split()
            if words[0] in cli.COMMANDS and "[" not in line:
                cli.command_parser(words[0]).parse_args(words[1:])


@functools.cache
def options():
    """Every option of every command."""
    helps = (cli.command_parser(name).format_help() for name in cli.COMMANDS)
    return {option for text in helps for option in re.findall(r"--[a-z][a-z-]*", text)}


@every_page
def test_options_that_a_page_names_exist(page):
    for code in spans_of_code(page):
        if not re.match(r"(ray|srun|sbatch|pip|python|pytest|git)\b", code):
            foreign = {"--help", "--exclusive", "--node-ip-address"}
            assert set(re.findall(r"--[a-z][a-z-]*", code)) <= options() | foreign, code


# How it looks


@every_page
def test_no_line_of_a_page_is_wider_than_100_columns(page):
    wide = [n for n, line in enumerate(text_of(page).splitlines(), 1) if len(line) > make.WIDTH]
    assert wide == []
