"""Figures are tested by their numbers; that they are drawn and written, by their files."""

from __future__ import annotations

import dataclasses
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image
from studies import made_up_rows

from digitspan.figures import drawing, palette
from digitspan.figures import info as info_of
from digitspan.study.config import StudyConfig, quick, sheet
from digitspan.study.summary import summarise

LIMIT = {"rnn": 12, "lstm": 25}


def rule(config):
    return config.length <= LIMIT[config.cell] and config.optimizer != "sgd"


@pytest.fixture(scope="module")
def summary():
    config = quick()
    return summarise(config, made_up_rows(config, rule))


def test_accuracy_has_a_panel_a_rate_and_a_series_a_cell(summary):
    info = info_of.accuracy_by_length_info(summary)
    assert [name for name, _ in info.panels] == [
        "one-hot, uniform, rate 0.001",
        "one-hot, uniform, rate 0.01",
    ]
    assert [series.label for series in info.panels[0][1]] == ["RNN", "LSTM"]


def test_accuracy_shows_every_seed_the_medians_and_chance_in_percent(summary):
    info = info_of.accuracy_by_length_info(summary)
    rnn = info.panels[0][1][0]
    assert rnn.lengths == (5, 10, 20, 40)
    assert [len(values) for values in rnn.values] == [3, 3, 3, 3]
    np.testing.assert_allclose(rnn.medians, [99.9, 99.9, 10, 10])
    assert info.reference == (10.0, "chance")
    assert "held-out" in info.caption
    assert "no claim" in info.caption


def test_a_growing_length_is_said_below_the_figure(summary):
    grown = summary._replace(config=dataclasses.replace(summary.config, curriculum=True))
    words = "the length growing to T"
    assert words in info_of.accuracy_by_length_info(grown).caption
    assert words not in info_of.accuracy_by_length_info(summary).caption


def test_bits_are_of_one_digit(summary):
    info = info_of.bits_by_length_info(summary)
    assert info.reference[0] == pytest.approx(np.log2(10))
    np.testing.assert_allclose(info.panels[0][1][1].medians, [3.3, 3.3, 3.3, 0])


def test_unsolved_runs_are_shown_as_such(summary):
    rnn = info_of.steps_to_solve_info(summary).panels[0][1][0]
    assert rnn.unsolved == (0, 0, 3, 3)
    np.testing.assert_array_equal(rnn.medians, [250, 250, np.nan, np.nan])


def test_solved_share_has_wilson_intervals_and_the_span(summary):
    _, shares = info_of.solved_share_info(summary).panels[0]
    np.testing.assert_allclose(shares[0].shares, [1, 1, 0, 0])
    np.testing.assert_allclose(shares[0].low[0], 0.4385, atol=1e-4)
    assert 10 < shares[0].span.s50 < 20


def test_span_by_rate_needs_two_rates(summary):
    panels = info_of.span_by_rate_info(summary).panels
    assert panels[0][0] == "one-hot, uniform"
    np.testing.assert_allclose(panels[0][1][0].rates, [1e-3, 1e-2])
    config = StudyConfig(lengths=(5, 10), seeds=2)
    assert info_of.span_by_rate_info(summarise(config, made_up_rows(config, rule))) is None


def test_optimisers_are_shown_at_their_best_rate(summary):
    info = info_of.optimizers_info(summary)
    (cell, lines), _ = info.panels
    assert cell == "RNN"
    assert [label.split(",")[0] for label, _ in lines] == ["rmsprop", "sgd", "momentum", "adam"]
    assert all(len(curves) == 3 for _, curves in lines)


def test_a_cell_looks_the_same_in_every_figure():
    config = StudyConfig(cells=("lstm", "rnn"), lengths=(5, 10), seeds=2)
    summary = summarise(config, made_up_rows(config, rule))
    series = info_of.accuracy_by_length_info(summary).panels[0][1]
    assert [(s.label, s.place) for s in series] == [("LSTM", 0), ("RNN", 1)]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A study with every kind of figure: tuned, with controls and optimisers."""
    folder = tmp_path_factory.mktemp("figures")
    config = dataclasses.replace(sheet(), seeds=2)
    names = drawing.write_study_figures(summarise(config, made_up_rows(config, rule)), folder)
    return folder, names


def test_all_figures_are_written_as_svg_and_png(written):
    _, names = written
    stems = {
        "accuracy-by-length", "solved-share", "bits-by-length", "steps-to-solve", "span-by-rate",
        "optimizers",
    }  # fmt: skip
    assert set(names) == {f"{stem}.{suffix}" for stem in stems for suffix in ("svg", "png")}


def test_the_same_rows_give_the_same_bytes(summary, tmp_path):
    info = info_of.accuracy_by_length_info(summary)
    for folder in ("a", "b"):
        palette.save(drawing.draw_by_length(info), tmp_path / folder, "figure")
    for name in ("figure.svg", "figure.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_svg_is_a_document_with_labels_and_legend(written):
    text = (written[0] / "accuracy-by-length.svg").read_text(encoding="utf-8")
    assert ET.fromstring(text).tag.endswith("svg")
    for words in ("palindrome length T (digits)", "accuracy (%)", "RNN, median", "chance"):
        assert words in text, words


def test_nothing_of_a_figure_is_cut_off(written):
    for path in written[0].glob("*.png"):
        pixels = np.asarray(Image.open(path).convert("L"))
        assert pixels[:, -4:].min() > 200, path.name  # the right edge is empty
        assert pixels[-2:, :].min() > 200, path.name
