"""Large modules, imported so that Ctrl-C ends the process at once and in good order."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import NoReturn

__all__ = ["interruptible_import"]


@contextlib.contextmanager
def interruptible_import(module: str) -> Iterator[None]:
    """Let Ctrl-C end the process at once while a module is imported, unless it is there already.

    In numpy, torch and matplotlib a KeyboardInterrupt is swallowed in places, or becomes another
    error, and leaves modules half imported.
    """

    def leave(number: int, frame: object) -> NoReturn:
        os.write(2, b"digitspan: interrupted; call again to go on\n")
        os._exit(130)

    if module in sys.modules or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
