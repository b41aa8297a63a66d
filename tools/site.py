"""Hooks of mkdocs: the front page, links that lead out of docs/, nothing that asks the network.

The documents are written for the repository: `../examples/leaky.py` is a link that works there. On
the site such a file lies below files/, and a document outside docs/ is a page of its own.
"""

from __future__ import annotations

import posixpath
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:  # mkdocs is there where `make site` runs, and need not be where tests do
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
"""Documents outside docs/ that are pages."""

LINK = re.compile(r"(?P<before>\]\(|^\[[^]\n]+\]: )(?P<target>[^)#\s:]+)(?P<rest>#[^)\s]*)?", re.M)
NAMED = re.compile(r"\[(?:[\w./-]*/)?[\w-]+\.md\]\((?P<target>[^)#\s:]+\.md)")
"""A link to a document that is called by its file's name, and on the site by its title."""

FENCE = re.compile(r"^( *)```.*?^\1```|`[^`\n]+`", re.M | re.S)
FRONT = (
    ("start.html", "Start"),
    ("student.html", "Tutorials"),
    ("gallery.html", "Gallery"),
    ("results.html", "Results"),
    ("protocol.html", "Measure"),
    ("cli.html", "Commands"),
    ("python.html", "Python"),
    ("check.html", "Check"),
)
"""Where the front page leads."""

BRAND = '<p class="brand">digitspan</p>'
"""What the front page's links follow."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the front page, the documents outside docs/, and the files that documents link to."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, "index.html", content=front_page()))
    for name in OUTSIDE:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    for file in list(files.documentation_pages()):
        text = file.content_string
        for match in LINK.finditer(FENCE.sub("", text)):
            target = destination(match["target"], file.src_uri)
            if target.startswith("files/") and target not in files.src_uris:
                source = ROOT / target.removeprefix("files/")
                if source.is_file():
                    files.append(File.generated(config, target, abs_src_path=str(source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links that lead out of docs/, or into it from outside, to where the site has them."""

    def turned(match: re.Match[str]) -> str:
        target = posixpath.relpath(
            destination(match["target"], page.file.src_uri),
            posixpath.dirname(page.file.src_uri) or ".",
        )
        return f"{match['before']}{target}{match['rest'] or ''}"

    def called(match: re.Match[str]) -> str:
        target = files.get_file_from_path(destination(match["target"], page.file.src_uri))
        title = re.match(r"# (.+)", target.content_string) if target else None
        return f"[{title[1]}]({match['target']}" if title else match[0]

    return LINK.sub(turned, NAMED.sub(called, markdown))


def destination(target: str, source: str) -> str:
    """Where the site has what a document links to.

    Args:
        target: what the link says.
        source: the document that has it, as the site names it, "start.md" or "SECURITY.md".

    Returns:
        a document or file as the site names it; below "files/" what lies outside docs/.
    """
    folder = "" if source in OUTSIDE else "docs"
    path = posixpath.normpath(posixpath.join(folder, posixpath.dirname(source), target))
    if path in OUTSIDE:
        return path
    return path.removeprefix("docs/") if path.startswith("docs/") else f"files/{path}"


def front_page() -> str:
    """The page in which two networks learn, with links to the others."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "learn.html"
        command = [sys.executable, "-m", "digitspan", "look", "--learn", "-o", str(out)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        page = out.read_text(encoding="utf-8")
    if page.count(BRAND) != 1:
        refuse(f"the front page has no single {BRAND} for its links to follow")
    links = " · ".join(f'<a href="{address}">{name}</a>' for address, name in FRONT)
    return page.replace(BRAND, f'{BRAND}\n  <nav class="lead" aria-label="Pages">{links}</nav>')


ASKS = re.compile(
    r"<(?:script|img|iframe|source|video|audio|embed|object|track)\b[^>]*?"
    r"\b(?:src|srcset|data)\s*=\s*[\"']?(?:https?:)?//[^\s\"'>]*"
    r"|<link\b(?![^>]*rel=[\"']?(?:canonical|license))[^>]*?\bhref=[\"']?(?:https?:)?//[^\s\"'>]*"
    r"|@import\s+(?:url\()?[\"']?(?:https?:)?//[^\s\"')]*"
    r"|url\([\"']?(?:https?:)?//[^\s\"')]*",
    re.IGNORECASE,
)
"""What makes a browser ask another machine when a page is opened, which a mere link does not."""


def requests_in(text: str) -> list[str]:
    """What in a page or a style sheet makes a browser ask another machine."""
    return ASKS.findall(text)


def on_post_build(config: MkDocsConfig) -> None:
    """Refuse a site that asks the network for anything."""
    asked = {
        str(path.relative_to(config.site_dir)): found
        for path in sorted(Path(config.site_dir).rglob("*"))
        if path.suffix in {".html", ".css"}
        and (found := requests_in(path.read_text(encoding="utf-8")))
    }
    if asked:
        refuse(f"pages that ask the network for something: {asked}")


def refuse(message: str) -> NoReturn:
    """End the build with a sentence."""
    from mkdocs.exceptions import PluginError

    raise PluginError(message)
