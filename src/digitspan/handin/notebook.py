"""The notebook: made of jupytext text and the answers, and run where its files lie."""

from __future__ import annotations

import asyncio
import importlib.resources
import inspect
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import jupytext  # type: ignore[import-untyped]
import nbformat
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from digitspan.errors import DigitspanError, UsageError, one_of
from digitspan.handin.answers import Answer, fill, template
from digitspan.look import bptt

__all__ = ["as_text", "make_notebook", "part1_files", "run_notebook"]

TEMPLATE = "notebook.py.txt"

_CELL_SECONDS = 300
"""A cell that takes longer than this has gone wrong."""

_NODE: Any = nbformat.NotebookNode

_LONGEST_SOCKET = 80
"""A Unix socket's path has room for about a hundred bytes."""


def make_notebook(answers: Mapping[str, Answer], values: Mapping[str, str]) -> Any:
    """The notebook, not yet run.

    Args:
        answers: the words, by question.
        values: what stands where they say `<<name>>`.

    Raises:
        UsageError: where an answer asks for a value or a file that there is not.
    """
    notebook = jupytext.reads(template(TEMPLATE), fmt="py:percent")
    for number, cell in enumerate(notebook.cells, start=1):
        cell.id = f"cell-{number:02d}"
        cell.metadata = _NODE()
        cell.source = _filled(cell.source, answers, values)
    notebook.metadata = _NODE(
        kernelspec={"display_name": "Python 3", "language": "python", "name": "python3"},
        language_info={"name": "python"},
    )
    return notebook


def run_notebook(notebook: Any, folder: Path, on_cell: Callable[[int], None]) -> None:
    """Run a notebook in place, in a fresh kernel of this Python, and keep what it prints.

    Args:
        notebook: as `make_notebook` made it.
        folder: where its files lie; anything else that is written stays there too.
        on_cell: told the number of cells that are done.

    Raises:
        DigitspanError: where a cell fails; with its last line.
    """
    manager = _kernel_manager(folder)

    def done(cell: Any, cell_index: int, **rest: object) -> None:
        on_cell(cell_index + 1)

    client = NotebookClient(
        notebook, km=manager, timeout=_CELL_SECONDS, record_timing=False, on_cell_complete=done
    )
    client.owns_km = True  # so that it ends the kernel, however it goes
    try:
        _run_to_the_end(
            client.async_execute(
                cwd=str(folder), env=_environment(folder), stderr=subprocess.DEVNULL
            )
        )
    except CellExecutionError as error:
        message = f"a cell of the notebook failed with {error.ename}: {error.evalue[:300]}"
        raise DigitspanError(message) from error
    except (TimeoutError, CellTimeoutError, DeadKernelError, RuntimeError) as error:
        message = f"the notebook could not be run: {str(error).splitlines()[0][:300]}"
        raise DigitspanError(message) from error
    _strip(notebook)


def as_text(notebook: Any) -> str:
    """The notebook as the text of its file."""
    nbformat.validate(notebook)
    text: str = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
    return f"{text}\n"


def part1_files() -> dict[str, bytes]:
    """The sheet's own code, exactly as in the package, by file name."""
    folder = importlib.resources.files("digitspan.part1")
    names = sorted(file.name for file in folder.iterdir() if file.name.endswith(".py"))
    return {name: (folder / name).read_bytes() for name in names}


def _filled(source: str, answers: Mapping[str, Answer], values: Mapping[str, str]) -> str:
    """A cell's text with answers, values and code in place."""

    def answer(match: re.Match[str]) -> str:
        found = answers[match.group(1)]
        return fill(found.text, values, found.source)

    def code(match: re.Match[str]) -> str:
        name, files = match.group(1), part1_files()
        if name not in files:
            message = f"<<code {name}>>: the file {one_of(name, files)}"
            raise UsageError(message)
        return f"```python\n{files[name].decode().rstrip()}\n```"

    def lines(match: re.Match[str]) -> str:
        name, first, last = match.groups()
        return f"```python\n{_excerpt(part1_files()[name].decode(), first, last)}\n```"

    def derivation(match: re.Match[str]) -> str:
        return inspect.getsource(getattr(bptt, match.group(1))).rstrip()

    text = fill(re.sub(r"<<answer ([\w.]+)>>", answer, source), values, TEMPLATE)
    text = re.sub(r"<<code ([\w.]+)>>", code, text)
    text = re.sub(r"<<lines ([\w.]+) \| (.+?) \| (.+?)>>", lines, text)
    return re.sub(r"<<bptt (\w+)>>", derivation, text)


def _excerpt(source: str, first: str, last: str) -> str:
    """The lines from the first that has `first` in it to the next that has `last`."""
    lines = source.split("\n")
    start = next(number for number, line in enumerate(lines) if first in line)
    end = next(number for number in range(start, len(lines)) if last in lines[number])
    return textwrap.dedent("\n".join(lines[start : end + 1]))


def _run_to_the_end(work: Coroutine[Any, Any, object]) -> None:
    """Run something asynchronous; where a signal ends it, let it end its kernel first."""
    loop = _SignalsStay()
    try:
        loop.run_until_complete(work)
    finally:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


class _SignalsStay(asyncio.SelectorEventLoop):
    """An event loop that leaves Ctrl-C and SIGTERM alone: nbclient would not give them back."""

    def add_signal_handler(self, sig: int, callback: Callable[..., object], *args: object) -> None:
        """Refuse, in the way that nbclient expects where signals cannot be had.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError


class _ThisPython(KernelSpecManager):
    """Knows one kernel: this very Python, whatever else is installed for the user."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """The one kernel; pictures come as SVG, which stays sharp in print."""
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        command.append("--InlineBackend.figure_formats=['svg']")
        return KernelSpec(argv=command, display_name="Python 3", language="python")


def _kernel_manager(folder: Path) -> AsyncKernelManager:
    """A manager whose files, and on Unix whose sockets, lie in a folder of ours."""
    private = folder / ".kernel"
    private.mkdir(mode=0o700, exist_ok=True)
    manager = AsyncKernelManager(kernel_spec_manager=_ThisPython())
    manager.connection_file = str(private / "connection.json")
    if sys.platform != "win32" and len(str(private)) < _LONGEST_SOCKET:
        manager.transport, manager.ip = "ipc", str(private / "socket")
    return manager


def _environment(folder: Path) -> dict[str, str]:
    """What the kernel finds: nothing of the user's settings, only what is installed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return environment | {
        "IPYTHONDIR": str(folder / ".kernel"),
        "OMP_NUM_THREADS": "1",
        "PYTHONHASHSEED": "0",
        "SOURCE_DATE_EPOCH": "0",  # the date that is written into an SVG
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


def _strip(notebook: Any) -> None:
    """Take out what differs from one time to the next."""
    for cell in notebook.cells:
        cell.metadata = _NODE()
        for output in cell.get("outputs", ()):
            output.pop("transient", None)
            if output.output_type == "display_data":
                output.data.pop("text/plain", None)
                output.metadata = _NODE()
    notebook.metadata.language_info = {"name": "python"}
