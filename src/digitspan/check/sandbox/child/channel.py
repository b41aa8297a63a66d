"""Messages between checker and child: a JSON header and raw bytes, each with its length."""

from __future__ import annotations

import json
import os
from typing import Any

__all__ = ["Channel"]


class Channel:
    """One end of the line in the child, on descriptors that the hand-in's code is not given.

    Descriptors 0 to 2 are pointed at the null device, so that whatever is printed there, by
    Python or below it, never mixes with the answers.
    """

    def __init__(self) -> None:
        self._in = os.fdopen(os.dup(0), "rb")
        self._out = os.fdopen(os.dup(1), "wb")
        null = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)

    def receive(self) -> tuple[dict[str, Any], bytes]:
        """The next question.

        Raises:
            EOFError: where the checker has gone.
        """
        sizes = self._in.read(16)
        if len(sizes) < 16:
            raise EOFError
        header = self._in.read(int.from_bytes(sizes[:8], "little"))
        payload = self._in.read(int.from_bytes(sizes[8:], "little"))
        return json.loads(header), payload

    def send(self, header: dict[str, Any], payload: bytes = b"") -> None:
        """Answer."""
        data = json.dumps(header).encode()
        sizes = len(data).to_bytes(8, "little") + len(payload).to_bytes(8, "little")
        self._out.write(sizes + data + payload)
        self._out.flush()
