"""Reads files of our own as the child reads a hand-in's, in this process."""

from digitspan.check.reading.source import source_names, source_of
from digitspan.check.sandbox.child.reader.archive import open_given
from digitspan.check.sandbox.child.reader.python import flat, read_source

__all__ = ["read_archive", "read_sources"]


def read_archive(path):
    """The files of an archive, by their names with forward slashes."""
    given = open_given(path)
    return {name: given.read(name) for name in given.sizes}


def read_sources(files):
    """The Python files and notebooks among files."""
    read = {name: read_source(name, files[name]) for name in source_names(files)}
    return [
        source_of(
            name, **text._asdict() | {"nodes": None if text.tree is None else flat(text.tree)}
        )
        for name, text in read.items()
    ]
