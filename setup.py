"""What pyproject.toml cannot say: README as the package index shows it, and the project's address.

README's links are relative, which works in the repository and nowhere else. The workflow that
makes a release knows the repository's address and gives it as DIGITSPAN_REPOSITORY: links then
lead to the release's tag there, and pictures come from it. Without it, nothing is made up: the
links stay as they are, and the package names no address.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).resolve().parent
MARK = re.compile(r"<!-- .*? -->")
MARKDOWN = re.compile(r"(?P<picture>!\[[^]]*)?\]\((?P<target>[^):\s]+)\)")
REFERENCE = re.compile(r"^(?P<name>\[[^]]+\]: )(?P<target>[^:\s]+)$", re.M)
HTML = re.compile(r'(?P<before><img src=")(?P<target>[^":]+)"')


def for_the_index(text: str, address: str, tag: str) -> str:
    """README with absolute links.

    Args:
        text: README.
        address: the repository's address, "https://github.com/OWNER/NAME"; empty where there is
            none, and the links stay as they are.
        tag: the release's tag, to which the links lead.
    """
    text = MARK.sub("", text)
    if not address:
        return text
    pages, raw = f"{address}/blob/{tag}", f"{address}/raw/{tag}"

    def markdown(match: re.Match[str]) -> str:
        where = raw if match["picture"] else pages
        return f"{match['picture'] or ''}]({where}/{match['target']})"

    text = MARKDOWN.sub(markdown, text)
    text = REFERENCE.sub(rf"\g<name>{pages}/\g<target>", text)
    return HTML.sub(rf'\g<before>{raw}/\g<target>"', text)


def urls(address: str) -> dict[str, str]:
    """The project's addresses, as far as there are any."""
    if not address:
        return {}
    return {
        "Source": address,
        "Changes": f"{address}/blob/main/CHANGELOG.md",
        "Issues": f"{address}/issues",
    }


if __name__ == "__main__":
    [version] = re.findall(
        r'^__version__ = "(.+)"$',
        (ROOT / "src" / "digitspan" / "__init__.py").read_text(encoding="utf-8"),
        re.M,
    )
    repository = os.environ.get("DIGITSPAN_REPOSITORY", "").rstrip("/")
    setup(
        version=version,
        long_description=for_the_index(
            (ROOT / "README.md").read_text(encoding="utf-8"), repository, f"v{version}"
        ),
        long_description_content_type="text/markdown",
        project_urls=urls(repository),
    )
