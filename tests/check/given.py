"""Hand-ins read in this process, as the reader in the child would: quick, and for our own only."""

import json

from digitspan.check.reading.hand_ins import told_of
from digitspan.check.sandbox.child.reader.main import Reader

__all__ = ["read_here"]


def read_here(path, sheet=None):
    """A hand-in as the reader tells it, of the program's sheet or of another."""
    reader = Reader(path)

    def ask(question):
        header, data = getattr(reader, question["do"])(question)
        return json.loads(json.dumps(header)), data

    return told_of(path, "", ask, sheet)
