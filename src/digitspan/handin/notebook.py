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
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any

import jupytext  # type: ignore[import-untyped]
import nbformat
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from digitspan.errors import DigitspanError, UsageError, one_of
from digitspan.handin.answers import Answer, fill
from digitspan.look import bptt
from digitspan.sheet.exercise import Part, Question, Sheet
from digitspan.sheet.questions import KINDS, NETWORKS
from digitspan.sheet.words import shipped

__all__ = [
    "as_text",
    "asked_in_order",
    "code_files",
    "make_notebook",
    "notebook_of",
    "piece",
    "run_notebook",
]

_CELL_SECONDS = 300
"""A cell that takes longer than this has gone wrong."""

_NODE: Any = nbformat.NotebookNode

_LONGEST_SOCKET = 80
"""A Unix socket's path has room for about a hundred bytes."""


def make_notebook(answers: Mapping[str, Answer], values: Mapping[str, str], sheet: Sheet) -> Any:
    """The notebook, not yet run.

    Args:
        answers: the words, by the part's name.
        values: what stands where they say `<<name>>`.
        sheet: what is asked.

    Raises:
        UsageError: where an answer asks for a value or a file that there is not.
    """
    cells = []
    for name, text, answer, asked in _pieces(answers, sheet):
        words = "" if answer is None else fill(answer.text, values, answer.source)
        text_of = {"<<asked>>": asked, "<<answer>>": words}
        for cell in jupytext.reads(text, fmt="py:percent").cells:
            parts = re.split(r"(<<asked>>|<<answer>>)", cell.source)
            source = "".join(text_of.get(part, part) for part in parts)
            cell.source = _with_code(fill(source, values, name), sheet)
            cells.append(cell)
    return notebook_of(cells)


def notebook_of(cells: list[Any]) -> Any:
    """Cells as a notebook, numbered."""
    for number, cell in enumerate(cells, start=1):
        cell.id = f"cell-{number:02d}"
        cell.metadata = _NODE()
    return _NODE(
        cells=cells,
        metadata=_NODE(
            kernelspec={"display_name": "Python 3", "language": "python", "name": "python3"},
            language_info={"name": "python"},
        ),
        nbformat=4,
        nbformat_minor=5,
    )


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


def code_files(sheet: Sheet) -> dict[str, bytes]:
    """The model's code by file name: the package's own `part1`, as far as the sheet asks for it.

    Of another task than the palindrome data and training are the task's.

    Where the sheet's second network is another than the LSTM, or its folder is called otherwise,
    the code says so.
    """
    folder = importlib.resources.files("digitspan.part1")
    networks = [NETWORKS[name] for name in sheet.networks]
    names = sorted({"__init__.py", "dataset.py", "train.py", *(each.file for each in networks)})
    files = {name: (folder / name).read_bytes() for name in names}
    for name in ("dataset.py", "train.py"):
        _, of_task = piece(name.removesuffix(".py"), sheet, "code")
        files[name] = of_task.encode() or files[name]
    gated = networks[1]
    for word, other in (("LSTM", gated.class_name), ("lstm", gated.file.removesuffix(".py"))):
        for name in ("__init__.py", "train.py"):
            files[name] = files[name].replace(word.encode(), other.encode())
    return {
        name: content.replace(b"part1", sheet.code.encode()) for name, content in files.items()
    }


def asked_in_order(sheet: Sheet) -> Iterator[tuple[str, Question, Part, str]]:
    """What a sheet asks: a network whose task begins, or "", question, part and its heading."""
    begun: set[str] = set()
    for question in sheet.questions:
        for part in question.parts:
            place = KINDS[part.asks].network
            network = "" if place is None else sheet.networks[place]
            heading = [f"## {question.heading}"] if part is question.parts[0] else []
            if part.title:
                heading.append(f"### ({question.name_of(part)[-1]}) {part.title}")
            yield "" if network in begun else network, question, part, "\n\n".join(heading)
            begun.add(network)


def piece(name: str, sheet: Sheet, folder: str = "notebook") -> tuple[str, str]:
    """One of the templates that notebooks are made of, with its name."""
    templates = importlib.resources.files("digitspan.handin") / "templates"
    return name, shipped(templates / folder, name, sheet, ".py.txt")


def _pieces(
    answers: Mapping[str, Answer], sheet: Sheet
) -> Iterator[tuple[str, str, Answer | None, str]]:
    """The notebook's templates in their order: name, text, answer, and the question as asked."""
    yield *piece("head", sheet), None, ""
    for network, question, part, heading in asked_in_order(sheet):
        if network:
            yield *piece(f"network-{network}", sheet), None, ""
        answer, asked = answers[question.name_of(part)], f"{heading}\n\n*{part.text}*"
        name, code = piece(f"{part.asks}-code", sheet)
        if code:
            yield name, code, answer, asked
        yield *piece(part.asks, sheet), answer, asked
    yield *piece("appendix", sheet), None, ""


def _with_code(text: str, sheet: Sheet) -> str:
    """A cell's text with listings in place."""
    files = code_files(sheet)

    def code(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in files:
            message = f"<<code {name}>>: the file {one_of(name, files)}"
            raise UsageError(message)
        return f"```python\n{files[name].decode().rstrip()}\n```"

    def lines(match: re.Match[str]) -> str:
        name, first, last = match.groups()
        return f"```python\n{_excerpt(files[name].decode(), first, last)}\n```"

    def derivation(match: re.Match[str]) -> str:
        return inspect.getsource(getattr(bptt, match.group(1))).rstrip()

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
