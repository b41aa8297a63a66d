"""What the report says follows from the rows: other rows, other words."""

from __future__ import annotations

import dataclasses

import pytest
from studies import made_up_rows

from digitspan.handin import claims, limits, optimizer_choice
from digitspan.handin.material import Material, _duels
from digitspan.handin.wording import joined, power, span_words
from digitspan.study.config import quick, sheet
from digitspan.study.summary import summarise


def material_of(config, rule):
    """What a study of made-up rows would be, without its networks."""
    summary = summarise(config, made_up_rows(config, rule))
    return Material(summary, _duels(summary), {})


def up_to(rnn, lstm):
    """A rule: each network is solved up to a length."""
    limits = {"rnn": rnn, "lstm": lstm}
    return lambda config: config.length <= limits[config.cell]


@pytest.fixture(scope="module")
def config():
    return dataclasses.replace(quick(), seeds=8, learning_rates=(1e-3,), compared_rates=(1e-2,))


@pytest.mark.parametrize(
    ("rnn", "lstm", "words"),
    [
        (5, 20, "**These runs agree**"),
        (20, 5, "**These runs say the opposite**"),
        (10, 10, "**These runs do not decide it**"),
        (80, 80, "both still remember at T = 40"),
    ],
)
def test_the_verdict_is_what_the_rows_say(config, rnn, lstm, words):
    assert words in claims.verdict(material_of(config, up_to(rnn, lstm)))


def test_where_the_rates_disagree_the_verdict_says_so(config):
    two = dataclasses.replace(config, learning_rates=(1e-3, 1e-2))

    def rule(run):
        ahead = "rnn" if run.learning_rate == 1e-3 else "lstm"
        return run.length <= (20 if run.cell == ahead else 5)

    verdict = claims.verdict(material_of(two, rule))
    assert "**It depends on the learning rate**" in verdict
    assert "with the learning rate 0.001 the RNN is ahead" in verdict
    assert "with the learning rate 0.01 the LSTM is ahead" in verdict


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (80, "solved every run at every length tried, up to T = 40"),
        (3, "solved no run at any length tried, not even at T = 5"),
        (10, "solved every run up to T = 10 and none from T = 20 on"),
        (20, "solved every run up to T = 20 and none at T = 40"),
    ],
)
def test_reach_names_the_lengths(config, limit, words):
    (duel,) = material_of(config, up_to(limit, 5)).duels
    assert claims.reach(duel.rnn) == words


def test_reach_counts_what_lies_between(config):
    def rule(run):
        return run.length <= 10 or (run.length == 20 and run.seed < 3)

    (duel,) = material_of(config, rule).duels
    assert claims.reach(duel.rnn) == (
        "solved every run up to T = 10, 3 of 8 at T = 20 and none at T = 40"
    )


def test_a_failed_sanity_check_is_not_hidden(config):
    assert "near-perfect, as" in claims.sanity(material_of(config, up_to(5, 5)), "rnn")
    assert "**not near-perfect**" in claims.sanity(material_of(config, up_to(3, 3)), "rnn")


@pytest.mark.parametrize(
    ("limit", "words"), [(5, "gives up even earlier"), (10, "about right"), (80, "clearly longer")]
)
def test_the_sheets_ten_steps_are_held_against_the_rows(config, limit, words):
    assert words in claims.rnn_against_sheet(material_of(config, up_to(limit, 5)))


@pytest.mark.parametrize(
    ("fast", "words"),
    [
        ({"momentum", "rmsprop", "adam"}, "Both ideas help here"),
        ({"rmsprop", "adam"}, "it is the adaptive rates that help"),
        ({"momentum"}, "Here momentum helps"),
        (set(), "The textbook's order does not show"),
    ],
)
def test_optimisers_are_judged_by_the_rows(config, fast, words):
    found = optimizer_choice.verdict(material_of(config, lambda run: run.optimizer in fast))
    assert words in found
    assert "Plain SGD was solved in 0 of 3 runs within 2,000 steps" in found


def test_the_best_rates_are_those_of_the_figure():
    def rule(run):
        return run.learning_rate == (1e-2 if run.optimizer == "adam" else 1e-1)

    material = material_of(dataclasses.replace(sheet(), seeds=2), rule)
    (cell, _), bests = next(iter(optimizer_choice.best_of_each(material).items()))
    assert cell == "rnn"
    assert [best.condition.optimizer for best in bests] == list(optimizer_choice.NAMES)
    assert {b.condition.optimizer: b.condition.rate for b in bests} == {
        "sgd": "0.1", "momentum": "0.1", "rmsprop": "0.1", "adam": "0.01",
    }  # fmt: skip


def test_controls_are_told_where_there_are_some():
    material = material_of(dataclasses.replace(sheet(), seeds=2), up_to(10, 10))
    assert "Networks of which only the read-out was trained solved" in limits.controls(material)
    assert "which is chance" in limits.controls(material)


def test_limits_name_the_seeds_and_the_note(config):
    found = limits.limits(material_of(config, up_to(10, 10)))
    assert "runs at a length is 8" in found
    assert "begins at 68 %" in found
    assert "quick look" in found


def test_words():
    assert joined(["a"]) == "a"
    assert power(1.0) == "1"
    assert power(2e-24) == r"$2.0 \times 10^{-24}$"


def test_a_span_that_the_lengths_do_not_reach_is_told_as_a_bound(config):
    (duel,) = material_of(config, up_to(80, 3)).duels
    assert span_words(duel.rnn.span) == "lies at or beyond the longest length tried, 40"
    assert span_words(duel.lstm.span) == "lies at or below the shortest length tried, 5"
