"""The package: what its archive has in it, what it says of itself, and README on the index."""

from __future__ import annotations

import fnmatch
import importlib.util
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import digitspan

ROOT = Path(__file__).parents[1]
ADDRESS = "https://code.example/someone/digitspan"


def load_setup():
    """setup.py as a module."""
    spec = importlib.util.spec_from_file_location("digitspan_setup", ROOT / "setup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


setup = load_setup()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def targets(text):
    """Where the links and pictures of a text lead."""
    return [
        *re.findall(r"\]\(([^)\s]+)\)", text),
        *re.findall(r"^\[[^]]+\]: (\S+)$", text, re.M),
        *re.findall(r'<img src="([^"]+)"', text),
    ]


def test_on_the_index_every_link_of_readme_is_absolute():
    shown = setup.for_the_index(README, ADDRESS, "v1.2.3")
    assert len(targets(shown)) == len(targets(README)) > 10
    assert [link for link in targets(shown) if not link.startswith("https://")] == []
    for before, after in zip(targets(README), targets(shown), strict=True):
        if "://" not in before:
            assert after.removeprefix(ADDRESS).split("/")[2] == "v1.2.3", after
            assert after.endswith(before)


def test_pictures_come_from_the_file_and_links_lead_to_its_page():
    pairs = [
        ("![a](docs/a.png)", f"![a]({ADDRESS}/raw/v1/docs/a.png)"),
        ("[b](docs/b.pdf#c)", f"[b]({ADDRESS}/blob/v1/docs/b.pdf#c)"),
        ('<img src="docs/d.png">', f'<img src="{ADDRESS}/raw/v1/docs/d.png">'),
        ("[![e](f.png)][g]", f"[![e]({ADDRESS}/raw/v1/f.png)][g]"),
        ("[g]: h.pdf", f"[g]: {ADDRESS}/blob/v1/h.pdf"),
        ("[i](https://docs.ray.io)", "[i](https://docs.ray.io)"),
    ]
    for text, shown in pairs:
        assert setup.for_the_index(text, ADDRESS, "v1") == shown


def test_without_an_address_none_is_made_up():
    assert targets(setup.for_the_index(README, "", "v1")) == targets(README)
    assert setup.urls("") == {}
    assert all(url.startswith(ADDRESS) for url in setup.urls(ADDRESS).values())


def test_the_archive_has_every_file_of_the_repository():
    if not (ROOT / ".git").exists():
        pytest.skip("this is no clone: which files there should be is not known")
    listed = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True)
    rules = [
        line.split() for line in (ROOT / "MANIFEST.in").read_text(encoding="utf-8").splitlines()
    ]
    grafts = [words[1] for words in rules if words[:1] == ["graft"]]
    included = [name for words in rules if words[:1] == ["include"] for name in words[1:]]
    packages = ("src", *grafts)
    left_out = [
        name
        for name in listed.split("\0")
        if name
        and name.partition("/")[0] not in packages
        and not any("/" not in name and fnmatch.fnmatch(name, pattern) for pattern in included)
    ]
    assert left_out == []


def test_the_changelogs_top_section_is_the_version():
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    [top, *_] = re.findall(r"^## (\S+) \((?:not released|\d{4}-\d\d-\d\d)\)$", changes, re.M)
    assert top == digitspan.__version__


def test_the_authors_are_those_of_the_licence():
    [author] = PROJECT["authors"]
    assert f"(c) 2026 {author['name']}" in (ROOT / "LICENSE").read_text(encoding="utf-8").replace(
        "Copyright ", ""
    )
    assert f"- name: {author['name']}" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_the_licence_of_every_package_that_is_asked_for_is_told():
    page = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    told = {name for row in re.findall(r"^\| ([^|]+) \|", page, re.M) for name in row.split(", ")}
    extras = PROJECT["optional-dependencies"].values()
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in extra)]
    assert {Requirement(line).name for line in lines} - told == set()
