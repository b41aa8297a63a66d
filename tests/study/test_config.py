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
    SHORTEST_BUDGET,
    StudyConfig,
    fitting_initialisations,
    full,
    quick,
    records,
    sheet,
)
from digitspan.training.run import EVALUATE_EVERY


def from_toml(text: str, base: StudyConfig | None = None) -> StudyConfig:
    return StudyConfig.from_words(tomllib.loads(text), base)


def test_quick_is_a_quick_look():
    config = quick()
    assert (config.design, config.train_steps, config.hidden_size) == ("joint", 1_000, 32)
    assert "no claim" in config.note
    assert "whose order may be another" in config.note


def test_sheet_asks_what_the_sheet_asks():
    config = sheet()
    assert (config.design, config.longest, config.fixed_rate) == ("joint", 160, 1e-3)
    assert config.encoding == ("scalar",)
    assert (config.optimizer, config.hidden_size, config.batch_size) == ("rmsprop", 128, 128)
    assert config.max_grad_norm == 10
    assert (config.train_steps, config.continued_steps) == (2_000, 10_000)
    assert set(config.compared_optimizers) | {config.optimizer} >= {"sgd", "rmsprop", "adam"}
    assert 1e-3 in config.compared_rates
    assert config.controls
    assert config.note == ""


def test_full_is_the_protocol():
    config = full()
    assert config.cells == ("rnn", "lstm", "gru")
    assert config.encoding == ("one-hot", "scalar")
    assert (config.runs, config.fixed_rate, config.train_steps) == (124, 1e-3, 2_000)
    assert config.controls
    assert config.note == ""


@pytest.mark.parametrize("name", PRESETS)
def test_presets_know_their_name_and_have_a_row_at_t_5(name):
    config = PRESETS[name]()
    assert config.preset == name
    assert 5 in (config.lengths or config.ladder)
    assert set(config.cells) >= {"rnn", "lstm"}


# The design ------------------------------------------------------------------------------------


def test_the_joint_design_is_the_default():
    config = StudyConfig()
    assert config.design == "joint"
    assert (config.lengths, config.learning_rates, config.seeds) == ((), (), None)
    assert config.ladder[0] == 5
    assert config.ladder[-1] == config.longest


@pytest.mark.parametrize(
    "words", [{"lengths": [5, 8]}, {"learning-rates": [0.01]}, {"seeds": 2}, {"climb": True}]
)
@pytest.mark.parametrize("base", [None, StudyConfig(), quick(), sheet()])
def test_what_describes_a_grid_makes_one(words, base):
    config = StudyConfig.from_words(words, base)
    assert config.design == "grid"
    assert config.lengths == tuple(words.get("lengths", (5, 10, 20, 40)))
    assert config.learning_rates == tuple(words.get("learning-rates", (1e-3,)))
    assert config.seeds == words.get("seeds", 3)
    assert config.fixed_rate is None
    if base is not None:
        assert config.train_steps == base.train_steps


def test_a_grid_can_be_asked_for_by_its_name():
    config = StudyConfig.from_words({"design": "grid"}, sheet())
    assert (config.lengths, config.learning_rates, config.seeds) == ((5, 10, 20, 40), (1e-3,), 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("design = 'joint'\nlengths = [5]", "lengths must be left out of the joint design"),
        ("design = 'joint'\nseeds = 3", "seeds must be left out of the joint design"),
        ("design = 'joint'\nclimb = true", "climb must be left out of the joint design"),
        ("curriculum = true", "curriculum must be given with --design grid; got the joint one"),
        ("lengths = [5]\nfixed-rate = 0.01", "fixed_rate must be left out of a grid .*got 0.01"),
        ("seeds = 3\nruns = 60", r"runs must be left out of a grid \(--design joint has it\)"),
        ("seeds = 3\nlongest = 80", "longest must be left out of a grid"),
        ("seeds = 3\nfigure-seeds = 1", "figure_seeds must be left out of a grid"),
        ("seeds = 3\ncontinued-steps = 20000", "continued_steps must be left out of a grid"),
        ("longest = 19", "longest must be a whole number from 20 on; got 19"),
        ("runs = 19", "runs must be a whole number from 20 on; got 19"),
        ("fixed-runs = 7", "fixed_runs must be a whole number from 8 on; got 7"),
        ("fixed-runs = 9", "fixed_runs must be given with --fixed-rate.*; got 9 alone"),
        ("fixed-rate = 1.5", "fixed_rate must be at most 1; got 1.5"),
        ("continued-steps = 10000", "continued_steps must be more than train_steps, 10,000, or 0"),
        ("train-steps = 99", "train_steps must be at least 100, the two evaluations .*; got 99"),
        ("train-steps = 99\nseeds = 3", "train_steps must be at least 100, .*; got 99"),
        ("design = 'random'", "design must be one of joint, grid, span; got 'random'"),
    ],
)
@pytest.mark.parametrize("base", [None, StudyConfig()])
def test_designs_that_contradict_themselves_are_one_sentence(text, message, base):
    with pytest.raises(ConfigError, match=message) as caught:
        from_toml(text, base)
    assert "\n" not in str(caught.value)


def test_the_shortest_budget_is_two_evaluations():
    assert SHORTEST_BUDGET == 2 * EVALUATE_EVERY
    assert from_toml(f"train-steps = {SHORTEST_BUDGET}").train_steps == SHORTEST_BUDGET


def test_a_preset_that_is_a_grid_stays_one():
    assert records().design == "grid"
    assert StudyConfig.from_words({"seeds": 2}, records()).climb


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
        max-grad-norm = 1
        controls = true
        """
    )
    assert config.cells == ("lstm",)
    assert config.lengths == (10, 20, 40)  # sorted, no doubles
    assert config.learning_rates == (0.01, 1.0)
    assert config.train_steps == 300
    assert config.encoding == ("scalar",)
    assert config.max_grad_norm == 1.0
    assert config.controls


def test_words_replace_those_of_a_base():
    config = from_toml("runs = 50", sheet())
    assert dataclasses.replace(sheet(), runs=50) == config


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
        ("cells = []", "cells must name at least one; got none"),
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
        ("climb = 1", "climb must be true or false; got 1"),
        ("note = 1", "note must be text; got 1"),
        ("preset = ['quick']", r"preset must be text; got \['quick'\]"),
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
        value == []
        and field.name.startswith(
            ("compared_", "lengths", "learning_rates", "layers", "sources", "sizes")
        )
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


def test_layers_are_an_axis_of_cells_of_ones_own():
    """Each number is a cell of its own; a built-in cell, which has one layer, stands beside."""
    cells = ["m:C", "lstm", "m:D(dt=0.1)"]
    config = StudyConfig.from_words({"cells": cells, "layers": [3, 2]})
    assert config.cells == (
        "m:C(layers=2)", "m:C(layers=3)", "lstm",
        "m:D(dt=0.1, layers=2)", "m:D(dt=0.1, layers=3)",
    )  # fmt: skip
    assert StudyConfig.from_canonical(config.canonical) == config
    named = [*config.cells[:2], "lstm", *config.cells[3:]]
    assert StudyConfig.from_words({"cells": named}) == config
    for cells, said in (
        (["rnn", "lstm"], "must be left out where all cells are built in, which have one layer"),
        (["m:C(layers=2)"], r"must be left out where a cell says it; got m:C\(layers=2\)"),
    ):
        with pytest.raises(ConfigError, match=said):
            StudyConfig.from_words({"cells": cells, "layers": 3})
