"""The figures of digit spans: what they show, as numbers, and that they can be drawn."""

import dataclasses
import math
import os

import numpy as np
import pytest
from studies import made_up_span_rows

from digitspan.figures.span_drawing import (
    draw_recall_by_items,
    draw_serial_position,
    draw_span_by_steps,
    draw_spans_by_cell,
    write_span_figures,
)
from digitspan.figures.span_info import (
    capacity_info,
    recall_by_items_info,
    serial_position_info,
    span_by_steps_info,
    spans_by_cell_info,
)
from digitspan.study.config import PRESETS
from digitspan.study.digit_spans import summarise_spans

CONFIG = dataclasses.replace(
    PRESETS["span"](), cells=("rnn", "lstm"), hidden_size=(8, 16), seeds=3, train_steps=400,
    items=14, learning_rates=(0.001, 0.01),
)  # fmt: skip


def span_of(run):
    return 4 + (run.hidden_size == 16) * 3 + 2 * (run.cell == "lstm") + 0.25 * (run.seed % 10)


@pytest.fixture(scope="module")
def summary():
    return summarise_spans(CONFIG, made_up_span_rows(CONFIG, span_of))


def test_recall_by_items_shows_every_network_and_people(summary):
    info = recall_by_items_info(summary)
    assert [title for title, _ in info.panels] == ["n = 8", "n = 16"]
    rnn, lstm = info.panels[0][1]
    assert (rnn.label, lstm.label) == ("RNN", "LSTM")
    assert rnn.networks.shape == (3, len(rnn.x))
    assert rnn.x[0] == 1
    assert rnn.networks[:, :5].tolist() == [[1, 1, 1, 1, 0], [1, 1, 1, 1, 0.25], [1, 1, 1, 1, 0.5]]
    assert rnn.mean[4] == pytest.approx(0.25)
    assert lstm.networks.sum(axis=1) == pytest.approx([6, 6.25, 6.5])  # the mean span is the area
    assert info.people == 5
    assert "Woods et al. 2011" in info.caption


def test_people_are_those_of_the_order():
    forward = dataclasses.replace(CONFIG, order="forward", cells=("rnn",), hidden_size=(8,))
    found = summarise_spans(forward, made_up_span_rows(forward, span_of))
    assert recall_by_items_info(found).people == 7
    assert "about 7 forward" in spans_by_cell_info(found).caption


def test_spans_by_cell_are_the_tables(summary):
    info = spans_by_cell_info(summary)
    assert [cell.label for cell in info.cells] == [
        "RNN, n = 8", "RNN, n = 16", "LSTM, n = 8", "LSTM, n = 16",
    ]  # fmt: skip
    assert info.cells[0].values.tolist() == [4, 4, 5]
    assert info.cells[0].mean == summary.cells[0].digit_span
    assert [cell.place for cell in info.cells] == [0, 0, 1, 1]


def test_serial_position_shows_lists_below_at_and_above_the_span(summary):
    info = serial_position_info(summary)
    name, _, curves = info.panels[0]
    assert name == "RNN, n = 8"
    assert [items for items, _ in curves] == [2, 4, 6]  # the digit span is 4.3, on average
    assert curves[0][1].tolist() == [1.0, 1.0]
    assert curves[2][1] == pytest.approx([0.1, 0.1, 1, 1, 1, 1])
    for _, _, found in info.panels:
        for items, shares in found:
            assert shares.shape == (items,)
    assert "said last" in info.caption


def test_what_is_lost_is_seen_in_the_serial_position(summary):
    (panel,) = [p for p in serial_position_info(summary).panels if p[0] == "LSTM, n = 16"]
    above = dict(panel[2])
    longest = max(above)
    assert above[longest][0] < above[longest][-1]


def test_capacity_is_against_the_numbers_carried(summary):
    info = capacity_info(summary)
    rnn, lstm = info.series
    assert rnn.state_sizes.tolist() == [8, 16]
    assert lstm.state_sizes.tolist() == [16, 32]  # 2 n
    assert [len(values) for values in lstm.networks] == [3, 3]
    assert rnn.means[0] == summary.cells[0].capacity
    for cell, bits, bound in zip(summary.cells[2:], lstm.bits_a_number, lstm.bounds, strict=True):
        assert bits == pytest.approx(cell.capacity.mean / (2 * cell.hidden_size))
        items = [found.capacity.items for found in cell.recalled]
        assert bound == pytest.approx(np.mean(items) * math.log2(10))
        assert cell.capacity.mean <= bound


def without_state_sizes(summary):
    """The same where no network says how large its state is."""
    return summary._replace(
        cells=tuple(
            cell._replace(
                records=tuple(
                    dataclasses.replace(record, recalled=record.recalled._replace(state_size=None))
                    for record in cell.records
                )
            )
            for cell in summary.cells
        )
    )


def test_no_capacity_where_no_network_says_what_it_carries(summary):
    assert capacity_info(without_state_sizes(summary)) is None


def test_span_by_steps_grows_to_the_span(summary):
    rnn = span_by_steps_info(summary).panels[0][1][0]
    assert rnn.x.tolist() == [200, 400]
    assert rnn.networks == pytest.approx(np.array([[2, 4], [2.125, 4.25], [2.25, 4.5]]))


def test_every_panel_shows_all_that_is_drawn_in_it(summary):
    """The second width recalls more than the first, whose scale it shares."""
    figures = [
        draw_recall_by_items(recall_by_items_info(summary)),
        draw_span_by_steps(span_by_steps_info(summary)),
        draw_serial_position(serial_position_info(summary)),
        draw_spans_by_cell(spans_by_cell_info(summary)),
    ]
    for ax in (ax for figure in figures for ax in figure.axes if ax.lines):
        low, high = ax.get_ylim()
        drawn = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in ax.lines])
        assert low <= drawn.min() <= drawn.max() <= high, ax.get_title()


def test_legend_names_each_cell_once_and_how_many_people_repeat(summary):
    figure = draw_span_by_steps(span_by_steps_info(summary))
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["people, about 5", "RNN", "LSTM"]


def test_figures_are_drawn_alike_from_the_same_numbers(summary, tmp_path):
    written = []
    for name in ("one", "other"):
        folder = tmp_path / name
        folder.mkdir()
        names = write_span_figures(summary, folder)
        assert len(names) == 10
        written.append({each: (folder / each).read_bytes() for each in names})
    assert written[0] == written[1]
    assert all(content for content in written[0].values())


def test_figures_that_a_study_has_no_longer_are_removed_and_others_stay(summary, tmp_path):
    (tmp_path / "capacity.png").touch()
    (tmp_path / "mine.png").touch()
    sizeless = without_state_sizes(summary)
    names = write_span_figures(sizeless, tmp_path)
    assert "capacity.png" not in names
    assert sorted(os.listdir(tmp_path)) == sorted([*names, "mine.png"])
