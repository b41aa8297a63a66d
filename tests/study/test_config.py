"""A study's configuration: presets as in the protocol, words checked, errors one sentence."""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
import tomllib

import pytest

from digitspan.errors import ConfigError
from digitspan.study.config import (
    PRESETS,
    StudyConfig,
    fitting_initialisations,
    full,
    quick,
    records,
    sheet,
)


def from_toml(text: str, base: StudyConfig | None = None) -> StudyConfig:
    return StudyConfig.from_words(tomllib.loads(text), base)


def test_quick_is_a_quick_look():
    assert quick().seeds == 3
    assert "no claim" in quick().note
    assert 5 in quick().lengths
    assert not quick().tuning_seeds


def test_sheet_asks_what_the_sheet_asks():
    config = sheet()
    assert config.lengths == (5, 10, 15, 20, 30, 40, 60, 80)
    assert config.encoding == ("scalar",)
    assert len(config.learning_rates) == 3
    assert (config.tuning_seeds, config.seeds, config.fixed_rate) == (2, 10, 1e-3)
    assert (config.optimizer, config.hidden_size, config.batch_size) == ("rmsprop", 128, 128)
    assert config.max_grad_norm == 10
    assert set(config.compared_optimizers) | {config.optimizer} >= {"sgd", "rmsprop", "adam"}
    assert config.controls
    assert str(f"{config.train_steps:,}") in config.note


def test_full_is_the_protocol():
    config = full()
    assert config.seeds == 20
    assert config.encoding == ("one-hot", "scalar")
    assert config.learning_rates == (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
    assert (config.tuning_seeds, config.fixed_rate, config.train_steps) == (3, 1e-3, 10_000)
    assert config.controls
    assert config.note == ""


@pytest.mark.parametrize("name", PRESETS)
def test_presets_know_their_name_and_have_a_row_at_t_5(name):
    config = PRESETS[name]()
    assert config.preset == name
    assert 5 in config.lengths
    assert set(config.cells) >= {"rnn", "lstm"}


@pytest.mark.parametrize("name", PRESETS)
def test_a_configuration_comes_back_from_its_own_words(name):
    config = PRESETS[name]()
    assert StudyConfig.from_words(json.loads(config.canonical)) == config
    assert StudyConfig.from_words(json.loads(config.canonical)).canonical == config.canonical


def test_toml_has_the_options_words():
    config = from_toml(
        """
        cells = ["lstm"]
        lengths = [40, 10, 20, 10]
        learning-rates = [1, 0.01]
        train_steps = 300
        encoding = "scalar"
        fixed-rate = 1
        adaptive = true
        """
    )
    assert config.cells == ("lstm",)
    assert config.lengths == (10, 20, 40)  # sorted, no doubles
    assert config.learning_rates == (0.01, 1.0)
    assert config.train_steps == 300
    assert config.encoding == ("scalar",)
    assert config.fixed_rate == 1.0
    assert config.adaptive


def test_words_replace_those_of_a_base():
    config = from_toml("seeds = 5", sheet())
    assert dataclasses.replace(sheet(), seeds=5) == config


def test_the_same_grid_has_the_same_configuration():
    one = StudyConfig(lengths=(20, 5, 5), learning_rates=(1, 0.1), max_grad_norm=10)
    other = StudyConfig(lengths=[5, 20], learning_rates=(0.1, 1.0), max_grad_norm=10.0)
    assert one == other
    assert one.canonical == other.canonical
    assert hash(one) == hash(other)


@pytest.mark.parametrize(
    ("word", "nearest"),
    [
        ("lenghts", "lengths"),
        ("length", "lengths"),
        ("learning-rate", "learning_rates"),
        ("seed", "seeds"),
        ("optimiser", "optimizer"),
        ("initialization", "initialisation"),
    ],
)
def test_an_unknown_word_names_it_and_the_nearest_known_one(word, nearest):
    with pytest.raises(ConfigError, match=f"{word} is no word of a study") as caught:
        from_toml(f"{word} = 1")
    assert f"did you mean {nearest}?" in str(caught.value)
    assert "cells" in str(caught.value)  # all of them are listed


def test_a_word_given_twice_is_refused():
    with pytest.raises(ConfigError, match="train_steps must be given once"):
        from_toml("train-steps = 1\ntrain_steps = 2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seeds = 0", "seeds must be a whole number from 1 on; got 0"),
        ("seeds = 2.5", "seeds must be a whole number from 1 on; got 2.5"),
        ("seeds = true", "seeds must be a whole number from 1 on; got True"),
        ("seeds = [3]", r"seeds must be a whole number from 1 on; got \[3\]"),
        ('seeds = "3"', "seeds must be a whole number from 1 on; got '3'"),
        ("lengths = []", "lengths must name at least one; got none"),
        ("lengths = [1]", "lengths must be a whole number from 2 on; got 1"),
        ('lengths = ["5"]', "lengths must be a whole number from 2 on; got '5'"),
        ("lengths = [[5]]", r"lengths must be a whole number from 2 on; got \[5\]"),
        ("lengths = {a = 5}", "lengths must be a whole number from 2 on; got {'a': 5}"),
        ("learning-rates = [nan]", "learning_rates must be above 0 and finite; got nan"),
        ("learning-rates = [inf]", "learning_rates must be above 0 and finite; got inf"),
        ("learning-rates = [0]", "learning_rates must be above 0 and finite; got 0"),
        ("learning-rates = [true]", "learning_rates must be above 0 and finite; got True"),
        ('fixed-rate = "1e-3"', "fixed_rate must be above 0 and finite; got '1e-3'"),
        ("max-grad-norm = -1", "max_grad_norm must be above 0 and finite; got -1"),
        ("cells = 5", "cells must be text; got 5"),
        ('cells = [["rnn"]]', r"cells must be text; got \['rnn'\]"),
        ('cells = ["lstn"]', r"cells must be one of .*lstm.*got 'lstn' \(did you mean lstm\?\)"),
        ('encoding = "onehot"', r"encoding must be one of one-hot, scalar; got 'onehot'"),
        ("encoding = 1", "encoding must be one of one-hot, scalar; got '1'"),
        ("optimizer = ['adam']", "optimizer must be one of rmsprop, adam"),
        ("optimizer = []", "optimizer must be one of rmsprop, adam"),
        ("initialisation = 1", "initialisation must be text; got 1"),
        (
            'initialisation = ["uniform", "orthogonl"]',
            r"initialisation must be one of .*got 'orthogonl' \(did you mean orthogonal\?\)",
        ),
        ('controls = "yes"', "controls must be true or false; got 'yes'"),
        ("adaptive = 1", "adaptive must be true or false; got 1"),
        ("note = 1", "note must be text; got 1"),
        ("preset = ['quick']", r"preset must be text; got \['quick'\]"),
        ("adaptive = true\nlengths = [5]", "lengths must be two or more with adaptive; got one"),
        ("adaptive = true\nlengths = [5, 5]", "lengths must be two or more with adaptive"),
        ("hidden-size = 9223372036854775807", None),
    ],
)
def test_a_wrong_value_gives_one_sentence(text, message):
    if message is None:
        from_toml(text)
        return
    with pytest.raises(ConfigError, match=message) as caught:
        from_toml(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("value", [None, math.nan, b"x", datetime.date(2026, 1, 1), {}, set(), []])
@pytest.mark.parametrize("field", dataclasses.fields(StudyConfig), ids=lambda field: field.name)
def test_no_value_of_a_wrong_type_is_more_than_a_sentence(field, value):
    allowed = (value is None and field.default is None) or (
        value == [] and field.name in ("compared_optimizers", "compared_rates")
    )
    if allowed:
        StudyConfig.from_words({field.name: value})
        return
    with pytest.raises(ConfigError, match=f"^{field.name} must "):
        StudyConfig.from_words({field.name: value})


def test_a_list_is_asked_for_where_one_belongs():
    with pytest.raises(ConfigError, match="lengths must be a list; got 5"):
        StudyConfig(lengths=5)


def test_a_start_that_fits_no_cell_is_refused():
    with pytest.raises(ConfigError, match=r"initialisation for rnn must be one of .*got 'chrono'"):
        StudyConfig(cells=("rnn",), initialisation=("uniform", "chrono"))
    with pytest.raises(ConfigError, match=r"initialisation for rnn must be one of .*got 'chrono'"):
        StudyConfig(initialisation=("chrono",))  # the LSTM's alone, and nothing for the RNN
    assert StudyConfig(initialisation=("uniform", "chrono")).initialisation[1] == "chrono"


def test_other_cells_of_a_preset_keep_the_starts_that_fit_them():
    def starts(**words):
        return StudyConfig.from_words(words, records()).initialisation

    assert starts(cells=["rnn"]) == ("uniform", "normal", "orthogonal", "identity")
    assert starts(cells=["mingru", "mine:Cell"]) == ("uniform", "normal", "chrono")
    assert starts(cells=["rnn"], initialisation=["normal"]) == ("normal",)
    assert starts(seeds=1) == records().initialisation
    with pytest.raises(ConfigError, match="initialisation for rnn must be one of"):
        starts(cells=["rnn"], initialisation=["chrono"])
    for cells in ([["rnn"]], [3], ["nosuch"]):
        with pytest.raises(ConfigError, match="cells must be"):
            starts(cells=cells)


def test_cells_of_ones_own_start_as_they_do_themselves():
    config = StudyConfig(cells=("mine:Cell",))
    assert fitting_initialisations("mine:Cell", config.initialisation) == ("own",)
    assert StudyConfig(cells=("mine:Cell",), initialisation=("own",))
    assert StudyConfig(cells=("mine:Cell", "rnn"), initialisation=("orthogonal",))
    with pytest.raises(ConfigError, match="initialisation for mine:Cell must be one of own"):
        StudyConfig(cells=("mine:Cell",), initialisation=("orthogonal",))
    with pytest.raises(ConfigError, match="cells must be one of"):
        StudyConfig(cells=("mine:",))
