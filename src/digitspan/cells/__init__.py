"""The cells, their initialisations, and the registry of both, which itself needs no torch.

A cell is one file and one line here. Study, check, look, figures, docs and tests read this
registry and nothing else; a cell of one's own is named `module:Class` instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from digitspan.cells.names import own_name
from digitspan.errors import ConfigError, one_of

__all__ = [
    "CELLS",
    "INITIALISATIONS",
    "Cell",
    "check_cell",
    "check_initialisation",
    "initialisation_title",
    "title",
]


class Cell(NamedTuple):
    """What must be known of a cell before its file is imported."""

    title: str
    """Its name in tables and figures."""
    path: str
    """Where it is in this package, `module:make`; called with the sizes, as a class of one's own
    is: `make(input_size=, hidden_size=, num_classes=)`."""
    initialisations: tuple[str, ...]
    """The names of the initialisations that make sense for it."""
    gates: int
    """Blocks of n rows in its step, for estimates of memory and time."""
    usual: str = "uniform"
    """The initialisation that it is usually given, where each cell has its own."""
    chrono: tuple[str, ...] = ()
    """Biases that "chrono" sets to log U(1, T - 1); after a minus, to its negative."""


_PLAIN = ("uniform", "normal", "orthogonal", "identity")
_GATED = ("uniform", "normal", "orthogonal", "chrono")
_LSTM = ("uniform", "normal", "orthogonal", "forget-bias-1", "chrono")
_CHRONO = ("b_f", "-b_i")

CELLS = {
    "rnn": Cell("RNN", "sheet:rnn", _PLAIN, 1, "orthogonal"),
    "lstm": Cell("LSTM", "sheet:lstm", _LSTM, 4, "forget-bias-1", _CHRONO),
    "relu-rnn": Cell("ReLU RNN", "relu_rnn:ReLURNN", _PLAIN, 1, "identity"),
    "gru": Cell("GRU", "gru:GRU", _GATED, 3, chrono=("b_z",)),
    "peephole-lstm": Cell(
        "peephole LSTM", "peephole_lstm:PeepholeLSTM", _LSTM, 4, "forget-bias-1", _CHRONO
    ),
    "mingru": Cell(
        "minGRU", "mingru:MinGRU", ("uniform", "normal", "chrono"), 2, chrono=("-b_z",)
    ),
}

INITIALISATIONS = {
    "uniform": "all parameters from U(-1/sqrt(n), 1/sqrt(n)), as torch's own networks",
    "normal": "weights from N(0, 0.01^2), biases zero, as in many solutions of the sheet",
    "orthogonal": "uniform, with orthogonal recurrent matrices",
    "identity": "uniform, with W_hh = I and b_h = 0 (Le, Jaitly and Hinton 2015)",
    "forget-bias-1": "uniform, with b_f = 1 (Jozefowicz, Zaremba and Sutskever 2015)",
    "chrono": "uniform, with gate biases log U(1, T - 1): it knows T (Tallec and Ollivier 2018)",
    "own": "whatever the class itself does; for cells of one's own, module:Class",
}


def check_cell(name: str) -> str:
    """A cell's name in its one spelling: a registered one, or `module:Class(argument=literal)`.

    Raises:
        ConfigError: for any other, which lists the known cells.
    """
    text = str(name)
    if text in CELLS:
        return text
    try:
        return str(own_name(text))
    except ValueError as error:
        if "(" in text:
            raise ConfigError("cell", f"{error}; got {text[:80]!r}") from error
        expected = f"{one_of(name, CELLS)}, or a class of your own as module:Class"
        raise ConfigError("cell", expected) from error


def check_initialisation(cell: str, initialisation: str) -> None:
    """Refuse an initialisation that is unknown, or that does not fit the cell.

    Raises:
        ConfigError: which lists those that fit.
    """
    fitting = CELLS[cell].initialisations if cell in CELLS else ("own",)
    if initialisation not in fitting:
        raise ConfigError("initialisation", f"for {cell} {one_of(initialisation, fitting)}")


def title(cell: str, among: Iterable[str] = ()) -> str:
    """The cell's name in tables and figures: "LSTM", or the class of one's own: "Cell(layers=3)".

    One that is built with the T of its run says so: "Cell (knows T)".

    Args:
        cell: its name.
        among: the cells that it stands beside: a class is named with its module where one of them
            has the same title.
    """
    if cell in CELLS:
        return CELLS[cell].title
    name = own_name(cell)
    is_shared = any(title(other) == name.title for other in among if other != cell)
    return f"{name.module}:{name.title}" if is_shared else name.title


def initialisation_title(initialisation: str) -> str:
    """The initialisation in tables and figures; one that knows T says so."""
    return f"{initialisation} (knows T)" if initialisation == "chrono" else initialisation
