"""The documents say what the program does, and cite nothing that is not there."""

from __future__ import annotations

import ast
import functools
import importlib.util
import io
import re
import tokenize
from pathlib import Path

import pypdf
import pytest

from digitspan import cli
from digitspan.cells import CELLS, INITIALISATIONS
from digitspan.runs.outcome import END_STATES
from digitspan.study.config import PRESETS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "digitspan"
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "benchmarks" / "README.md",
]
CODE = sorted(
    path
    for folder in ("src", "tests", "benchmarks", "examples", "docs", "tools")
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
        ("docs/results.md", "68.2 [45.4, 97.4]<!-- end -->", "68.2 [45.4, 97.5]<!-- end -->"),
        ("docs/results.md", "best: 0.04 | 68.2 [", "best: 0.04 | 69.2 ["),
        ("docs/design.md", "  errors.py  ", "  error.py   "),
        ("docs/design.md", "  engine.py  ", "  motor.py   "),
    ],
)
def test_a_made_part_that_is_changed_differs(page, said, instead):
    text = text_of(ROOT / page)
    assert said in text
    assert make.remade(text.replace(said, instead)) != text.replace(said, instead)


def test_every_picture_is_in_the_gallery_below_the_call_that_makes_it():
    pictures = sorted((ROOT / "docs" / "images").rglob("*.png"))
    shown = re.findall(
        r"^\[!\[[^]]+\]\((.+)\)\]\(\1\)$", text_of(ROOT / "docs" / "gallery.md"), re.M
    )
    assert sorted(ROOT / "docs" / name for name in shown) == pictures
    for _, call in make.PICTURES.values():
        check_call(call, whole=True)
    for study in ("sheet", "span"):
        assert f"\ndigitspan {make.PICTURES[study][1]}\n" in text_of(ROOT / "docs" / "results.md")


def test_a_folder_without_a_docstring_has_no_line_in_the_tree(tmp_path, monkeypatch):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "module.py").write_text('"""Something."""\n', encoding="utf-8")
    monkeypatch.setattr(make, "ROOT", tmp_path)
    monkeypatch.setattr(make, "PACKAGE", tmp_path)
    with pytest.raises(ValueError, match=r"new/__init__\.py needs a docstring"):
        make.tree()


SPANS_WITHOUT_A_STORE = [
    "16.7 [15.3, 18.7]",
    "18.8 [16.6, 21.0]",
    "15.0 [10.0, 20.0]",
    "12.3 [10.7, 14.0]",
]
"""The table of the first edition, whose store the program does not read any more."""


@pytest.mark.parametrize(
    ("name", "expected"), [("README.md", []), ("docs/results.md", SPANS_WITHOUT_A_STORE)]
)
def test_no_span_is_typed_where_a_store_has_it(name, expected):
    typed = make.MARK.sub("", text_of(ROOT / name))
    span = r"[\d.]+\s\[[^]]*\d\](?!\()|\b(?:S50\s(?:=|of|is)|against)\s(?:[<>]=\s)?\d[\d.]*"
    assert re.findall(span, typed) == expected


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
    listed = dict(re.findall(r"^\* `([\w-]+)` \(([^)]+)\):", initialisations, re.M))
    assert set(listed) == set(INITIALISATIONS)
    for name in set(INITIALISATIONS) - {"own"}:
        fits = re.findall(r"[\w-]+", listed[name])
        fitting = [n for n, cell in CELLS.items() if name in cell.initialisations]
        if fits[0] == "all":
            assert [n for n in CELLS if n not in fitting] == [n for n in CELLS if n in fits], name
        else:
            assert fits == fitting, name


def test_the_cell_of_ones_own_is_shown_as_the_example_has_it():
    page = text_of(ROOT / "docs" / "own-cell.md")
    for language, name in (("python", "leaky.py"), ("javascript", "leaky.js")):
        [block] = re.findall(rf"```{language}\n(.*?)```", page, re.S)
        assert block == (ROOT / "examples" / name).read_text(encoding="utf-8"), name


def test_the_task_of_ones_own_is_shown_as_the_example_has_it():
    page = text_of(ROOT / "docs" / "own-task.md")
    [block] = re.findall(r"```python\n(.*?)```", page, re.S)
    assert block == (ROOT / "examples" / "majority.py").read_text(encoding="utf-8")


def test_words_that_a_docstring_quotes_are_strings_of_the_code():
    """So that a docstring names no key, level or answer that there is not."""
    quoted, strings = {}, set()
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(text_of(path))
        strings |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        for text in docstrings_of(tree):
            for word in re.findall(r'"([a-z]+(?:[_-][a-z]+)*)"', text.partition(">>>")[0]):
                quoted[word] = path.name
    assert {word: file for word, file in quoted.items() if word not in strings} == {}


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


def docstrings_of(tree):
    """The docstrings of a module and of all that is in it."""
    nodes = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = [ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, nodes)]
    return [text for text in found if text]


def comments_of(path):
    """The comments and docstrings of a Python file."""
    source = text_of(path)
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = [token.string for token in tokens if token.type == tokenize.COMMENT]
    return "\n".join([*comments, *docstrings_of(ast.parse(source))])


def strings_of(path):
    """All strings of a Python file."""
    nodes = [n for n in ast.walk(ast.parse(text_of(path))) if isinstance(n, ast.Constant)]
    return "\n".join(node.value for node in nodes if isinstance(node.value, str))


OTHER_TEXTS = [
    *(
        ROOT / name
        for name in ("Makefile", "pyproject.toml", ".ci/run", "examples/slurm/study.sh")
    ),
    *(ROOT / "examples").glob("*.js"),
    *(
        path
        for path in sorted(PACKAGE.rglob("*.*"))
        if path.suffix in {".js", ".css", ".html", ".lua", ".typ"}
    ),
]
"""What is neither a document nor Python."""

WORDS = [
    *((page, text_of(page)) for page in PAGES),
    *((path, comments_of(path)) for path in CODE),
    *(
        (path, re.sub(r"^\s*(?:#|//|\*|--) ", "", text_of(path), flags=re.M))
        for path in OTHER_TEXTS
    ),
]
"""Every document, the comments and docstrings of every file of code, and the other texts."""
every_text = pytest.mark.parametrize(
    ("path", "text"), [pytest.param(*pair, id=str(pair[0].relative_to(ROOT))) for pair in WORDS]
)


UNTRACKED = {".git", ".venv", "build", "dist", "results"}


@functools.cache
def all_files():
    """Every file and folder of the repository, as paths that begin with a slash."""
    tops = [path for path in ROOT.iterdir() if path.name not in UNTRACKED]
    found = [*tops, *(below for top in tops if top.is_dir() for below in top.rglob("*"))]
    return [f"/{path.relative_to(ROOT).as_posix()}{'/' * path.is_dir()}" for path in found]


ANSWER = re.compile(r"\d\.\d[a-l]?\.md")
"""A file with somebody's answer to a question, which lies in a folder of theirs."""


def is_there(cited):
    """Whether a file or folder of the repository has this name, or a name that ends so."""
    pattern = "/" + cited.lstrip("./")
    if pattern.endswith("/"):
        return any(pattern in f"{path}/" for path in all_files())
    return any(path.endswith(pattern) for path in all_files())


def page_cited(name):
    """The document that is cited by a path or by the end of one; "protocol" has no ending."""
    pattern = "/" + name.removesuffix(".md").lower().lstrip("./") + ".md"
    return next((page for page in PAGES if f"/{page.relative_to(ROOT)}".endswith(pattern)), None)


SECTION = re.compile(
    r"([\w./-]+\.md|\b[Pp]rotocol)(?:#[\w-]*)?[`)]*,?\s+\(?section\s+(\d+)"
    r"|\bsection\s+(\d+)\s+of\s+\[?`?([\w./-]+\.md|[Pp]rotocol)"
)
"""A section that is cited by its number: "docs/protocol.md, section 4"."""


def missing_citations(text, own_page=None):
    """The documents and numbered sections that a text cites and that are not there."""
    cited = [
        name
        for name in re.findall(r"(?<![\w<{*/-])[\w./-]*\w\.md\b", text)
        if not is_there(name) and not ANSWER.fullmatch(name)
    ]
    sections = [(m[1] or m[4], m[2] or m[3], m[0]) for m in SECTION.finditer(text)]
    if own_page and own_page.name == "protocol.md":
        sections += [("protocol", m[1], m[0]) for m in re.finditer(r"\bsection (\d+)", text)]
    for name, number, said in sections:
        page = page_cited(name)
        if page is None or not re.search(rf"^#+ {number}\. ", text_of(page), re.M):
            cited.append(said)
    return cited


def missing_path(code):
    """Whether a path is not there; of one with NAME in it, its folder."""
    folder, _, name = code.rpartition("/")
    if "NAME" in name:
        return bool(folder) and not is_there(folder + "/")
    return code not in NOT_OURS and not is_there(code)


@every_text
def test_documents_and_sections_that_are_cited_are_there(path, text):
    assert missing_citations(text, path) == []
    for cited in re.findall(r"(?<![\w/])(?:(?:[a-z]\w*/)+\w+|test_\w+)\.py\b", text):
        assert not missing_path(cited), cited


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_that_a_string_cites_are_there(path):
    assert path == Path(__file__) or missing_citations(strings_of(path)) == []


@pytest.mark.parametrize(
    "text",
    [
        "see docs/nowhere.md",
        "docs/design.md, section 12",
        "[design](design.md#layers), section 1",
        "section 13 of docs/protocol.md",
        "the protocol, section 13",
    ],
)
def test_a_citation_that_leads_nowhere_is_found(text):
    assert missing_citations(text)


def test_the_example_of_a_hand_in_is_as_the_documents_say():
    file = ROOT / "docs" / "example" / "solution.pdf"
    pages = [page.extract_text() for page in pypdf.PdfReader(file).pages]
    readme = " ".join(text_of(ROOT / "README.md").split())
    [(shown, count)] = re.findall(r"page (\d+) of \[its report\]\[report\], (\d+) pages", readme)
    assert int(count) == len(pages)
    assert re.search(r"\nFigure 5\.", pages[int(shown) - 1])  # docs/images/handin.png shows it
    handin = " ".join(text_of(ROOT / "docs" / "handin.md").split())
    assert f": {len(pages)} pages, {file.stat().st_size / 1e6:.2f} MB, in a ZIP" in handin


FENCE = re.compile(r"^ *```\w*\n(.*?)^ *```", re.M | re.S)


def spans_of_code(page):
    """What stands between backticks in a page's prose."""
    return re.findall(r"`([^`\n]+)`", FENCE.sub("", text_of(page)))


NOT_OURS = {
    "bench.json", "holding.json", "results/leaky/", "weights/", "study.toml", "rules.toml",
}  # fmt: skip
"""Files and folders that a document names and that the program writes."""


ENDINGS = {"py", "js", "md", "db", "svg", "png", "json", "toml", "html", "pdf", "zip"}


@every_page
def test_files_and_folders_that_a_page_names_are_there(page):
    if page.name == "CHANGELOG.md":  # the changelog says how things once were
        return
    for code in spans_of_code(page):
        if re.fullmatch(r"[\w./-]*\w(\.(py|js|toml|json|typ|lua|html|css|sh)|/)", code):
            assert not missing_path(code), code


def names_in(tree):
    """Every name that is defined in a tree: functions, classes, variables and attributes."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.alias):
            found.add(node.name)
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.id if isinstance(node, ast.Name) else node.attr)
    return found


@functools.cache
def attributes():
    """What may stand behind the dot, by class, module and folder of the package."""
    found, bases = {}, {}
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(text_of(path))
        own = found.setdefault(path.parent.name if path.stem == "__init__" else path.stem, set())
        own |= names_in(tree)
        if path.stem == "__init__":
            own |= {below.stem for below in path.parent.iterdir()}
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, set()).update(names_in(node))
                bases[node.name] = [ast.unparse(base).rpartition(".")[2] for base in node.bases]
    for name in bases:
        for base in bases[name]:
            found[name] |= found.get(base, set())
    return found


@functools.cache
def words_of_the_code():
    """Every word of the package, the tests, the examples and the benchmarks."""
    texts = (text_of(path) for path in [*CODE, *OTHER_TEXTS] if path != Path(__file__))
    return {word for text in texts for word in re.findall(r"\w+", text)}


def unknown_names(code):
    """The names in a span of code that are not in the package."""
    if "/" not in code:
        for name, attribute in re.findall(r"(?<!\w)(\w+)(?=\.([A-Za-z_]\w*))", code):
            known = attributes().get(name)
            if known and attribute not in known | ENDINGS:
                yield f"{name}.{attribute}"
    for word in re.findall(r"(?<![\w*])[A-Za-z_]\w*", re.sub(r"\S+\.(py|js|sh)\b", "", code)):
        named = "_" in word.strip("_") or re.search(r"[a-z][A-Z]", word)
        if named and word not in words_of_the_code():
            yield word


@every_page
def test_names_that_a_page_gives_are_in_the_code(page):
    if page.name == "CHANGELOG.md":
        return
    for code in spans_of_code(page):
        assert list(unknown_names(code)) == [], code


@pytest.mark.parametrize(
    "code", ["Span.s51", "RunConfig.canonocal", "initial_statte", "engine.answr", "RunRecrod"]
)
def test_a_name_that_is_not_in_the_code_is_found(code):
    assert list(unknown_names(code))


# How it is called


def calls_in(page):
    """What stands behind `digitspan` in a page, with whether it is a whole call.

    In blocks of code, fenced or indented, a line is a whole call, unless it has brackets or dots
    that stand for something; in a sentence it need not be.
    """
    text = text_of(page).replace("\\\n", " ")
    indented = re.findall(r"^ {4,}.*$", FENCE.sub("", text), re.M)
    for block in [*FENCE.findall(text), *indented]:
        for call in re.findall(r"^\s*(?:\$ )?(?:\S*[\\/])?digitspan (.+)$", block, re.M):
            words = re.split(r"\s+#", call)[0]
            yield words, not re.search(r"\[|\.\.\.", words)
    for code in spans_of_code(page):
        if code.startswith("digitspan "):
            yield code.removeprefix("digitspan "), False


def check_call(call, whole):
    """Assert that the command, its options and its first argument are ones that there are."""
    command, *words = call.split()
    first = words[0] if words else ""
    if command.isupper() or command in {"--help", "--version"}:
        return
    assert command in cli.COMMANDS, command
    parser = cli.command_parser(command)
    known = set(re.findall(r"--[a-z][a-z-]*", parser.format_help())) | {"--help"}
    assert set(re.findall(r"--[a-z][a-z-]*", call)) <= known, call
    stands_for_something = not first or first.startswith(("-", "[")) or first.isupper()
    if command == "study" and not stands_for_something:
        assert first in PRESETS or first.endswith(".toml"), call
    if command == "train" and not stands_for_something:
        assert first in CELLS or ":" in first, call
    if whole and "--help" not in words:
        parser.parse_args(words)


def check_calls(page):
    """Assert that all calls in a page are ones that the program takes."""
    for call, whole in calls_in(page):
        check_call(call, whole)


@every_page
def test_calls_in_a_page_are_calls_that_the_program_takes(page):
    check_calls(page)


@pytest.mark.parametrize(
    "text",
    [
        "```bash\ndigitspan trian rnn --length 1000\n```\n",
        "```\ndigitspan train rnn --lenght 1000\n```\n",
        "   ```\n   digitspan study recrods\n   ```\n",
        "So:\n\n    digitspan check hand-ins/ --jbos 2   # a tutor\n",
        "As in `digitspan study recrods`.",
        "```\n.venv\\Scripts\\digitspan train lstn\n```\n",
    ],
)
def test_a_call_that_the_program_refuses_is_found(text, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    with pytest.raises((AssertionError, SystemExit)):
        check_calls(page)


@functools.cache
def options():
    """Every option of every command."""
    helps = (cli.command_parser(name).format_help() for name in cli.COMMANDS)
    return {option for text in helps for option in re.findall(r"--[a-z][a-z-]*", text)}


@every_page
def test_options_that_a_page_names_exist(page):
    for code in spans_of_code(page):
        if not re.match(r"(ray|srun|sbatch|pip|python|pytest|git)\b", code):
            foreign = {"--help", "--completion", "--exclusive", "--node-ip-address"}
            assert set(re.findall(r"--[a-z][a-z-]*", code)) <= options() | foreign, code


# How it looks


@every_page
def test_no_line_of_a_page_is_wider_than_100_columns(page):
    wide = [n for n, line in enumerate(text_of(page).splitlines(), 1) if len(line) > make.WIDTH]
    assert wide == []
