"""The reader: waits for questions about what was handed in, and answers them with data."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..channel import Channel
from .archive import MOST_OF_A_COURSE, Given, open_given, with_inner_archives
from .pdf import facts_of
from .python import flat, read_source, sketch

__all__ = ["serve"]

Answer = tuple[dict[str, Any], bytes]

_CONFLICT = re.compile(r"^(<{7} |>{7} )", re.MULTILINE)
_ABSOLUTE = re.compile(
    r"""["'](/home/|/Users/|/content/|/mnt/|/root/|/var/|/tmp/|[A-Za-z]:[\\/])[^"'\n]{0,200}["']"""
)


class Reader:
    """Holds what was given between two questions."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.given: Given | None = None
        self.names: list[str] = []

    def hello(self, question: dict[str, Any]) -> Answer:
        """Ready."""
        return {}, b""

    def open(self, question: dict[str, Any]) -> Answer:
        """Open what was given, a course's as a whole or one hand-in, and list what is in it."""
        path = self.path / question["only"] if question["only"] else self.path
        if question["course"]:
            given = open_given(path, times=MOST_OF_A_COURSE)
            digests = [""] * len(given.sizes)
        else:
            given = with_inner_archives(open_given(path))
            # All of it is read once: what lies about itself is refused before it is looked at.
            digests = [hashlib.sha256(given.read(name)).hexdigest()[:16] for name in given.sizes]
        self.given, self.names = given, list(given.sizes)
        sizes = given.sizes.values()
        files = [list(file) for file in zip(self.names, sizes, digests, strict=True)]
        return {
            "kind": given.kind,
            "folders": list(given.folders) if question["course"] else [],
            "skipped": list(given.skipped.items())[:100],
            "opened": given.opened,
            "unopened": list(given.unopened.items()),
        }, json.dumps(files).encode()

    def source(self, question: dict[str, Any]) -> Answer:
        """A Python file or notebook: its text, its syntax tree, and what is told of its text."""
        name = self.names[question["file"]]
        read = read_source(name, self._content(question))
        conflict, absolute = _CONFLICT.search(read.text), _ABSOLUTE.search(read.text)
        at = read.text.count("\n", 0, absolute.start()) if absolute else 0
        if absolute and read.text.split("\n")[at].lstrip().startswith("#"):
            absolute = None
        document = {
            "text": read.text,
            "nodes": flat(read.tree) if read.tree is not None else None,
            "error": read.error,
            "line": read.line,
            "cells": read.cells,
            "written": read.written,
            "missing": read.missing,
            "conflict": read.text.count("\n", 0, conflict.start()) + 1 if conflict else 0,
            "absolute": [at + 1, absolute.group()[:60]] if absolute else None,
            "sketch": sketch(read.text) if read.tree is not None else [],
        }
        return {}, json.dumps(document).encode()

    def pdf(self, question: dict[str, Any]) -> Answer:
        """What a PDF has in it."""
        content = self._content(question)
        return facts_of(content, question["numbers"], question["sentences"]), b""

    def content(self, question: dict[str, Any]) -> Answer:
        """The bytes of a file."""
        return {}, self._content(question)

    def _content(self, question: dict[str, Any]) -> bytes:
        """The bytes of the file that a question is about."""
        assert self.given is not None
        return self.given.read(self.names[question["file"]])


def serve() -> None:
    """Answer until the checker goes away."""
    channel = Channel()
    reader = Reader(Path(sys.argv[-1]))
    while True:
        try:
            question, _ = channel.receive()
        except EOFError:
            break
        do: Callable[[dict[str, Any]], Answer] = getattr(reader, question["do"])
        try:
            header, data = do(question)
        except BaseException as error:
            message = " ".join(str(error).split())[:300]
            header = {"error": {"type": type(error).__name__, "message": message}}
            data = b""
        channel.send(header, data)
