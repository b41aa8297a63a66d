"""The sheet's two networks as cells: part1's classes keep the template's constructor."""

from __future__ import annotations

from digitspan.part1.lstm import LSTM
from digitspan.part1.vanilla_rnn import VanillaRNN

__all__ = ["lstm", "rnn"]


def rnn(*, input_size: int, hidden_size: int, num_classes: int) -> VanillaRNN:
    """The vanilla RNN, equations (1) and (2); a sequence may have any length."""
    return VanillaRNN(0, input_size, hidden_size, num_classes)


def lstm(*, input_size: int, hidden_size: int, num_classes: int) -> LSTM:
    """The LSTM, equations (4) to (10); a sequence may have any length."""
    return LSTM(0, input_size, hidden_size, num_classes)
