"""Options out of the settings of a dataclass, and what several commands share."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib.metadata
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import rich.box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from digitspan.commands.interrupts import interruptible_import
from digitspan.errors import ConfigError, UsageError
from digitspan.runs.config import RunConfig
from digitspan.runs.settings import check_setting

__all__ = [
    "add_device",
    "add_items",
    "add_json",
    "add_setting",
    "add_trust",
    "given",
    "output_console",
    "path",
    "print_json",
    "print_sentence",
    "print_table",
    "require_torch",
    "require_trainable",
    "sigterm_exits",
    "whole_number",
]

_OLDEST_TORCH = (2, 4)


def add_setting(parser: argparse._ActionsContainer, config: type, name: str) -> None:
    """Add the option of one setting of a dataclass: its type, range, default and help text."""
    field = {field.name: field for field in dataclasses.fields(config)}[name]
    default: Any = field.default
    several = isinstance(default, tuple)
    if default is False:
        parser.add_argument(_flag(name), dest=name, action="store_true", default=argparse.SUPPRESS,
                            help=field.metadata["help"])  # fmt: skip
        return
    shown = " ".join(map(_shown, default)) if several else _shown(default)
    text, choices = field.metadata["help"], field.metadata["choices"]
    text += f": {', '.join(choices)}" if choices else ""
    text += f" (default: {shown})" if shown else ""
    parser.add_argument(
        _flag(name),
        dest=name,
        type=_reader(field, several=several),
        nargs="+" if several else None,
        metavar=_metavar(field, several=several),
        default=argparse.SUPPRESS,
        help=text,
    )


def given(options: argparse.Namespace, config: type) -> dict[str, Any]:
    """The settings of a dataclass that the command line gave."""
    names = {field.name for field in dataclasses.fields(config)}
    return {name: value for name, value in vars(options).items() if name in names}


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add `--device`."""
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda", "mps"),
        default="cpu",
        help="where to train; auto: a GPU where there is one (default: cpu)",
    )


def add_items(parser: argparse.ArgumentParser) -> None:
    """Add `--items`."""
    parser.add_argument(
        "--items",
        metavar="N",
        type=whole_number(1, 1_000_000),
        help="L, the digits of a list, where the task asks lists: T = 2 L",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help="print one JSON document instead")


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Add `--trust`."""
    parser.add_argument(
        "--trust",
        action="store_true",
        help="run the code of cells that are not digitspan's, if it is that of their rows",
    )


def print_json(document: Any) -> None:
    """Print one JSON document on standard output."""
    sys.stdout.write(json_text(document))


def json_text(document: Any) -> str:
    """A document as every command prints it."""
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def output_console() -> Console:
    """Standard output; 150 columns wide where it is no terminal and COLUMNS does not say."""
    told = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(width=None if told else 150, markup=False)


def print_table(console: Console, table: Table) -> None:
    """Print a table; one that is wider than the terminal without the lines between its columns.

    What still does not fit is broken, by words where it can be: nothing of it is cut off.
    """

    def width() -> Measurement:
        return Measurement.get(console, console.options.update(max_width=10_000), table)

    if width().maximum > console.width:
        table.box, table.padding = rich.box.SIMPLE_HEAD, (0, 1, 0, 0)
        table.show_edge = table.pad_edge = False
    if width().minimum > console.width:
        for column in table.columns:
            column.no_wrap = False
    console.print(table)


def print_sentence(console: Console, sentence: str) -> None:
    """Print a sentence, broken at the terminal's width; one line where there is none."""
    console.print(sentence, highlight=False, soft_wrap=not console.is_terminal)


def path(text: str) -> Path:
    """A path from the command line.

    Raises:
        ArgumentTypeError: for an empty one.
    """
    if not text.strip():
        message = "must be a path; got an empty text"
        raise argparse.ArgumentTypeError(message)
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        message = f"must be a path; got {text[:80]!r}: there is no such user"
        raise argparse.ArgumentTypeError(message) from error


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """The type of an option that takes a whole number in a range."""

    def read(text: str) -> int:
        value = int(text[:20]) if text.isascii() and text.isdigit() else least - 1
        if not least <= value <= most:
            message = f"must be a whole number from {least:,} to {most:,}; got {text[:80]!r}"
            raise argparse.ArgumentTypeError(message)
        return value

    return read


def require_torch() -> None:
    """Refuse to go on without a torch that is new enough; does not import it.

    Raises:
        UsageError: with the command that installs it.
    """
    wanted = ".".join(map(str, _OLDEST_TORCH))
    install = f'`pip install "torch>={wanted}"` installs it'
    try:
        version = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError as error:
        message = f"training needs torch {wanted} or newer, and none is installed; {install}"
        raise UsageError(message) from error
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < _OLDEST_TORCH:
        message = f"training needs torch {wanted} or newer; got {version}; {install}"
        raise UsageError(message)


def require_trainable(configs: Iterable[RunConfig], device: str) -> None:
    """Refuse runs that cannot be trained here, before anything is written.

    Torch is imported only where a device other than the CPU or a cell of one's own is to be tried.

    Raises:
        UsageError: for a torch that is missing or too old, a device that is not there, or a cell
            that cannot be built or breaks a duty of a cell.
    """
    require_torch()
    own = [config for config in configs if config.is_own]
    if device == "cpu" and not own:
        return
    from digitspan.study.crew.task_trial import try_tasks_apart

    try_tasks_apart(own)
    with interruptible_import("torch"):
        from digitspan.training.machine import find_device
        from digitspan.training.trial import try_run
    for config in own:
        try_run(config, find_device(device))
    find_device(device)


@contextlib.contextmanager
def sigterm_exits() -> Iterator[None]:
    """Let SIGTERM end the process as Ctrl-C does, in good order, with status 143."""

    def leave(number: int, frame: object) -> NoReturn:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _shown(value: object) -> str:
    """A default as it would be typed."""
    if value is None or value is dataclasses.MISSING:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _metavar(field: dataclasses.Field[Any], *, several: bool) -> str:
    """What stands for the value in `--help`."""
    if field.metadata["least"] is not None:
        return "N"
    if field.metadata["above"] is not None:
        return "X"
    return "NAME" if several or field.metadata["choices"] else "TEXT"


def _reader(field: dataclasses.Field[Any], *, several: bool) -> Any:
    """A function from the text of an option to a value inside the setting's range."""

    def read(text: str) -> Any:
        parts = re.split("[,;] *", text.strip(",; "))
        if several and len(parts) > 1 and "(" not in text:  # a class may be named with arguments
            flag = _flag(field.name)
            shown = f"{flag} {' '.join(parts)}"[:80]
            message = f"must be given with spaces between its values: {shown}; got {text[:80]!r}"
            raise argparse.ArgumentTypeError(message)
        value: Any = text
        # int() and float() take more than anybody types.
        plain = text.isascii() and "_" not in text and text == text.strip()
        with contextlib.suppress(ValueError):
            if plain and field.metadata["least"] is not None:
                value = int(text)
            elif plain and field.metadata["above"] is not None:
                value = float(text)
        try:
            check_setting(field, value)
        except ConfigError as error:
            raise argparse.ArgumentTypeError(error.problem) from error
        return value

    return read


def names_of(config: type, *, without: Iterable[str] = ()) -> list[str]:
    """The names of a dataclass's settings, in order."""
    return [field.name for field in dataclasses.fields(config) if field.name not in without]
