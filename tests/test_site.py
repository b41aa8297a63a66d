"""The site: where its links lead, and that no page of it asks the network for anything."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from pages import page_that_learns

ROOT = Path(__file__).parents[1]


def load_site():
    """tools/site.py as a module; mkdocs itself need not be installed."""
    spec = importlib.util.spec_from_file_location("tools_site", ROOT / "tools" / "site.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


site = load_site()


@pytest.mark.parametrize(
    ("target", "source", "there"),
    [
        ("check.md", "start.md", "check.md"),
        ("images/look.png", "start.md", "images/look.png"),
        ("../examples/leaky.py", "researcher.md", "files/examples/leaky.py"),
        ("../SECURITY.md", "own-cell.md", "SECURITY.md"),
        ("docs/check.md", "SECURITY.md", "check.md"),
        ("CHANGELOG.md", "CONTRIBUTING.md", "CHANGELOG.md"),
    ],
)
def test_a_link_of_the_repository_leads_to_the_same_on_the_site(target, source, there):
    assert site.destination(target, source) == there


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://unpkg.com/iframe-worker/shim"></script>',
        "<script async src=//cdn.example/a.js></script>",
        '<link rel="stylesheet" href="https://fonts.example/css?family=Roboto">',
        '<link rel="preconnect" href="https://fonts.example">',
        '<img alt="" src="http://example.org/pixel.gif">',
        "@import url(https://example.org/a.css);",
        "@font-face { src: url('https://example.org/a.woff2') }",
    ],
)
def test_what_a_browser_asks_another_machine_for_is_found(text):
    assert site.requests_in(text)


@pytest.mark.parametrize(
    "text",
    [
        '<a href="https://docs.ray.io">Ray</a>',
        '<script src="assets/javascripts/bundle.js"></script>',
        '<link rel="stylesheet" href="site.css">',
        '<svg xmlns="http://www.w3.org/2000/svg"></svg>',
        "background: url(data:image/svg+xml;utf8,x)",
    ],
)
def test_a_link_and_a_file_of_the_site_ask_nobody(text):
    assert site.requests_in(text) == []


def test_the_page_that_learns_has_the_place_where_the_front_page_puts_its_links():
    page = page_that_learns()
    assert page.count(site.BRAND) == 1
    assert site.requests_in(page) == []


def test_the_front_page_leads_to_pages_that_there_are():
    for address, _ in site.FRONT:
        assert (ROOT / "docs" / address).with_suffix(".md").exists(), address
