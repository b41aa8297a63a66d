"""The command line: finds the command, reads its options, and turns errors into one sentence."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from digitspan import __version__
from digitspan.commands.interrupts import interruptible_import
from digitspan.errors import ConfigError, DigitspanError, UsageError, one_of, printable

__all__ = ["COMMANDS", "command_parser", "main"]

COMMANDS = {
    "train": "train one network, and say how well it remembers",
    "study": "measure memory spans: run or resume a study (the main job)",
    "show": "the tables and figures of a study again, from its store alone",
    "compare": "the spans of conditions side by side, all pairs: ratio, interval, p",
    "export": "the rows of a study as CSV",
    "merge": "one study out of several that are shards of it",
    "hold": "how long trained networks keep a digit: lengths far beyond their training",
    "look": "one page to look inside networks, or to train two in it; one file, offline",
    "handin": "the hand-in from a finished study: PDF report, notebook and part1 in one ZIP",
    "course": "an exercise sheet of your own: its PDF, its study, and what check asks",
    "solution": "the model solution of an exercise sheet, marked as such, in one ZIP",
    "check": "check hand-ins: equations and gradients, not accuracy",
    "bench": "measure the training steps and the whole job against their peers",
}
"""Name -> what it does. Each is a module of `digitspan.commands`, imported when it is called."""

_ELSEWHERE = {
    "--lr": ("--learning-rate", "--learning-rates"),
    "--rate": ("--learning-rate", "--learning-rates"),
    "--budget": ("--train-steps",),
    "--steps": ("--train-steps",),
    "--iterations": ("--train-steps",),
    "--epochs": ("--train-steps",),
    "--T": ("--length", "--lengths"),
    "--hidden": ("--hidden-size",),
    "--units": ("--hidden-size",),
    "--n": ("--hidden-size",),
    "--init": ("--initialisation",),
    "--clip": ("--max-grad-norm",),
    "--optimiser": ("--optimizer",),
    "--opt": ("--optimizer",),
    "--output": ("--out",),
    "--jobs": ("--workers",),
    "--gpu": ("--device",),
}
"""What options are called elsewhere, or nearly -> ours, whichever the command has."""

EPILOG = """\
digitspan COMMAND --help lists a command's options; eval "$(digitspan --completion)" lets bash and
zsh complete them. T is the palindrome's length: T - 1 digits go in. Exit status: 0 done, 1
something did not hold or broke, 2 the call was wrong, 130 or 143 interrupted (what is finished is
kept; call again to go on)."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the words after `digitspan`, by default those of the process.

    Returns:
        The exit status: 0 done, 1 something did not hold or broke on the way, 2 the call was
        wrong, 130 or 143 interrupted.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    _open_closed_streams()
    try:
        status = _run(words)
        sys.stdout.flush()
        return status
    except DigitspanError as error:
        name = f" {words[0]}" if words and words[0] in COMMANDS else ""
        print(f"digitspan{name}: {_sentence(error)}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("digitspan: interrupted; call again to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read standard output has gone, as `head` does: nothing more to say to them.
        _drop_output()
        return 1
    except OSError as error:
        # The disk is full, or a folder went away: what broke is said, where it broke is no help.
        where = f" {error.filename}" if error.filename else ""
        print(f"digitspan: cannot go on:{where} {error.strerror or error}", file=sys.stderr)
        _drop_output()
        return 1
    finally:
        # Registered last, it comes before all that the code of a cell has left for the end.
        atexit.unregister(_end_output)
        atexit.register(_end_output)


def _open_closed_streams() -> None:
    """Let standard streams that the caller has closed lead nowhere.

    Otherwise the first files that are opened would have their numbers, and be written into.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))


def _end_output() -> None:
    """Let what is printed as Python ends go to standard error: the output is complete."""
    _drop_output()
    with contextlib.suppress(OSError):
        os.dup2(2, 1)


def command_parser(name: str) -> argparse.ArgumentParser:
    """The parser of one command's options."""
    module = _module(name)
    parser = _Parser(
        prog=f"digitspan {name}",
        description=f"{COMMANDS[name][0].upper()}{COMMANDS[name][1:]}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_options(parser)
    return parser


def _run(words: list[str]) -> int:
    """The command that the first word names."""
    name = words[0] if words else "--help"
    if name in ("-h", "--help"):
        print(_overview())
        return 0 if words else UsageError.exit_status
    if name in ("-V", "--version"):
        print(f"digitspan {__version__}")
        return 0
    if name == "--completion":
        from digitspan.commands.completion import completion_script  # no other call needs it

        print(completion_script({command: command_parser(command) for command in COMMANDS}))
        return 0
    if name not in COMMANDS:
        message = f"the command {one_of(name, COMMANDS)}; `digitspan --help` explains them"
        raise UsageError(message)
    options = command_parser(name).parse_args(words[1:])
    status: int = _module(name).run(options)
    return status


def _module(name: str) -> Any:
    """The module of a command."""
    with interruptible_import("numpy"):
        return importlib.import_module(f"digitspan.commands.{name}")


def _overview() -> str:
    """What `digitspan --help` prints."""
    rows = "\n".join(f"  {name:8} {text}" for name, text in COMMANDS.items())
    return (
        f"usage: digitspan COMMAND [options]\n\n"
        f"The digit-span test for recurrent networks: how far back does a network remember?\n\n"
        f"commands:\n{rows}\n\n{EPILOG}"
    )


def _drop_output() -> None:
    """Let output that nobody takes go nowhere, so that Python does not fail over it at its end."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _sentence(error: DigitspanError) -> str:
    """The error in one line; settings are shown as the options they are."""
    if isinstance(error, ConfigError) and error.name != "cell":  # an argument, or one of --cells
        return printable(f"--{error.name.replace('_', '-')} {error.problem}")
    return printable(" ".join(str(error).split("\n")))


class _Parser(argparse.ArgumentParser):
    """argparse, with errors as one sentence and a hint at the nearest option."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Options from words; an unknown one is named with the nearest known one."""
        options, unknown = self.parse_known_args(args, namespace)
        if unknown:
            known = [word for action in self._actions for word in action.option_strings]
            name = unknown[0].partition("=")[0]
            ours = [option for option in _ELSEWHERE.get(name, ()) if option in known]
            near = ours or difflib.get_close_matches(name, known, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            self.error(f"unknown argument {unknown[0][:80]!r}{hint}")
        return options

    def error(self, message: str) -> NoReturn:
        """Refuse the call.

        Raises:
            UsageError: always.
        """
        message = message.removeprefix("argument ").replace(": must be", " must be")
        message = f"{message}; `{self.prog} --help` lists the options"
        raise UsageError(message)


if __name__ == "__main__":
    sys.exit(main())
