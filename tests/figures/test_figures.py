"""Figures are tested by their numbers; that they are drawn and written, by their files."""

from __future__ import annotations

import dataclasses
import itertools
import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image
from studies import made_up_record, made_up_rows

from digitspan.cli import main
from digitspan.figures import drawing, palette
from digitspan.figures import info as info_of
from digitspan.study.config import StudyConfig, quick, sheet, span
from digitspan.study.store import Row, Store, Timing
from digitspan.study.summary import summarise

LIMIT = {"rnn": 12, "lstm": 30}
BEST = {"rnn": 3e-3, "lstm": 3e-2}


def rule(config):
    near = abs(math.log(config.learning_rate / BEST[config.cell])) < 2.5
    return config.length <= LIMIT[config.cell] and near and config.optimizer != "sgd"


@pytest.fixture(scope="module")
def grid():
    config = StudyConfig(lengths=(5, 10, 20, 40), learning_rates=(1e-3, 1e-2), train_steps=2_000)
    return summarise(config, made_up_rows(config, rule))


@pytest.fixture(scope="module")
def joint():
    config = dataclasses.replace(quick(), figure_seeds=2, train_steps=500)
    return summarise(config, made_up_rows(config, rule))


def test_map_shows_every_run_of_the_design_on_the_same_axes(joint):
    info = info_of.map_info(joint)
    assert [panel.label for panel in info.panels] == ["RNN", "LSTM"]
    for panel, row in zip(info.panels, joint.spans, strict=True):
        assert panel.solved.shape[1] == sum(record.solved for record in row.records)
        marks = [panel.solved, panel.unsolved, panel.diverged]
        assert sum(some.shape[1] for some in marks) == joint.config.runs
        np.testing.assert_array_equal(panel.lengths, info.panels[0].lengths)
        np.testing.assert_array_equal(panel.rates, info.panels[0].rates)
        assert panel.share.shape == (len(panel.rates), len(panel.lengths))
        assert panel.span is row.span
    assert "500 steps" in info.caption


def test_surface_of_the_map_is_high_where_runs_were_solved(joint):
    for panel in info_of.map_info(joint).panels:
        at_span = np.abs(np.log(panel.lengths / panel.span.s50)).argmin()
        at_rate = np.abs(np.log(panel.rates / panel.span.rate)).argmin()
        assert panel.share[at_rate, 0] > 0.5 > panel.share[at_rate, -1]
        assert panel.share[at_rate, at_span] == pytest.approx(0.5, abs=0.15)


def test_map_needs_more_rates_than_two(grid):
    assert info_of.map_info(grid) is None


def test_accuracy_has_a_panel_a_rate_and_a_series_a_cell(grid):
    info = info_of.accuracy_by_length_info(grid)
    assert [panel.title for panel in info.panels] == [
        "one-hot, uniform, rate 0.001",
        "one-hot, uniform, rate 0.01",
    ]
    assert [series.label for series in info.panels[0].series] == ["RNN", "LSTM"]


def test_accuracy_shows_every_run_the_medians_and_chance_in_percent(grid):
    info = info_of.accuracy_by_length_info(grid)
    rnn = info.panels[0].series[0]
    assert rnn.lengths == (5, 10, 20, 40)
    assert [len(values) for values in rnn.values] == [3, 3, 3, 3]
    np.testing.assert_allclose(rnn.medians, [99.9, 99.9, 10, 10])
    assert info.reference == (10.0, "chance")
    assert "held-out" in info.caption


def test_accuracy_of_a_joint_study_is_of_figure_runs_and_names_each_rate(joint):
    info = info_of.accuracy_by_length_info(joint)
    (panel,) = info.panels
    for series, row in zip(panel.series, joint.spans, strict=True):
        assert len(series.lengths) == 8
        assert series.lengths[0] == 5
        assert [len(values) for values in series.values] == [2] * 8
        for found in row.lengths:
            assert f"{found.learning_rate:g} at T = " in info.caption
    assert "no claim" in info.caption


def test_a_growing_length_is_said_below_the_figure(grid):
    grown = grid._replace(config=dataclasses.replace(grid.config, curriculum=True))
    words = "the length growing to T"
    assert words in info_of.accuracy_by_length_info(grown).caption
    assert words not in info_of.accuracy_by_length_info(grid).caption


def test_bits_are_of_one_digit(grid):
    info = info_of.bits_by_length_info(grid)
    assert info.reference[0] == pytest.approx(np.log2(10))
    np.testing.assert_allclose(info.panels[1].series[1].medians, [3.3, 3.3, 3.3, 0])


def test_unsolved_runs_are_shown_as_such(grid):
    rnn = info_of.steps_to_solve_info(grid).panels[0].series[0]
    assert rnn.unsolved == (0, 0, 3, 3)
    np.testing.assert_array_equal(rnn.medians, [250, 250, np.nan, np.nan])


def test_span_by_budget_ends_with_the_span_of_the_table(joint):
    ((_, series),) = info_of.span_by_budget_info(joint).panels
    assert [one.label for one in series] == ["RNN, best rate", "LSTM, best rate"]
    for one, row in zip(series, joint.spans, strict=True):
        assert [span.budget for span in one.spans] == [125, 250, 375, 500]
        assert one.spans[-1] is row.span
    # All made-up runs are solved at step 250: within 125 none, from 250 on always the same.
    assert {one.spans[0].bound for one in series} == {"<="}


def test_solving_times_are_of_the_figure_runs_up_to_the_budget(joint):
    panels = info_of.solving_times_info(joint).panels
    assert [name for name, _ in panels] == ["RNN", "LSTM"]
    for (_, curves), row in zip(panels, joint.spans, strict=True):
        assert [label for label, _ in curves] == [f"T = {found.length}" for found in row.lengths]
        for (_, (steps, shares)), found in zip(curves, row.lengths, strict=True):
            assert steps[-1] == joint.config.train_steps
            assert shares[-1] == found.solved / len(found.records)


def test_continued_run_goes_on_in_the_solving_times():
    config = dataclasses.replace(quick(), figure_seeds=10, continued_steps=5_000)
    rows = made_up_rows(config, rule)
    continued = [row for row in rows.values() if row.role == "continued"]
    assert continued, "of 160 figure runs one in ten is drawn"
    for row in continued:  # let them be solved late
        record = dataclasses.replace(row.record, end_state="solved", steps=4_000)
        rows[record.config.key] = row._replace(record=record)
    info = info_of.solving_times_info(summarise(config, rows))
    late = [shares[steps == 4_000] for _, curves in info.panels for _, (steps, shares) in curves]
    assert any(len(share) and share[0] > 0 for share in late)
    assert "5,000 steps" in info.caption


def test_optimisers_are_shown_at_the_rate_that_solves_most():
    config = StudyConfig(
        lengths=(5,), compared_optimizers=("sgd",), compared_rates=(1e-4, 1e-3, 1e-1)
    )
    rows = made_up_rows(config, lambda run: run.learning_rate == 1e-3)
    (cell, lines), _ = info_of.optimizers_info(summarise(config, rows)).panels
    assert cell == "RNN"
    assert [label for label, _ in lines] == ["rmsprop, rate 0.001", "sgd, rate 0.001"]
    assert all(len(curves) == 3 for _, curves in lines)


def test_of_rates_that_solve_as_many_the_fastest_is_the_best():
    config = StudyConfig(lengths=(5,), compared_optimizers=("sgd",), compared_rates=(1e-3, 1e-2))
    rows = made_up_rows(config, lambda run: True)
    for key, row in rows.items():
        if row.record.config.learning_rate == 1e-2:
            rows[key] = row._replace(record=dataclasses.replace(row.record, steps=100))
    (_, lines), _ = info_of.optimizers_info(summarise(config, rows)).panels
    assert {label.split(", ")[1] for label, _ in lines} == {"rate 0.01"}


def test_a_cell_looks_the_same_in_every_figure():
    config = StudyConfig(cells=("lstm", "rnn"), lengths=(5, 10), seeds=2)
    summary = summarise(config, made_up_rows(config, rule))
    series = info_of.accuracy_by_length_info(summary).panels[0].series
    assert [(s.label, s.place) for s in series] == [("LSTM", 0), ("RNN", 1)]


def test_runs_at_one_place_do_not_hide_each_other():
    places = np.array([[10.0] * 5, [0.01] * 5])
    moved = drawing._apart(places)
    assert len(np.unique(moved, axis=1).T) == 5
    assert np.abs(np.log(moved / places)).max() < 0.2


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A study with every kind of figure, a run that diverged, and an open end."""
    folder = tmp_path_factory.mktemp("figures")
    config = dataclasses.replace(sheet(), figure_seeds=2, runs=36)
    rows = made_up_rows(config, lambda run: rule(run) or run.cell == "lstm")
    key = next(key for key, row in rows.items() if row.role == "design")
    diverged = dataclasses.replace(
        made_up_record(rows[key].record.config, solved=False), end_state="diverged"
    )
    rows[key] = Row(diverged, Timing(1.0, 0.0, "here", 1), "design")
    names = drawing.write_study_figures(summarise(config, rows), folder)
    return folder, names


def test_all_figures_are_written_as_svg_and_png(written):
    _, names = written
    stems = {
        "map", "accuracy-by-length", "bits-by-length", "steps-to-solve", "span-by-budget",
        "solving-times", "optimizers",
    }  # fmt: skip
    assert set(names) == {f"{stem}.{suffix}" for stem in stems for suffix in ("svg", "png")}


@pytest.mark.parametrize(("preset", "stem"), [(quick, "map"), (span, "digit-span")])
def test_a_study_without_rows_that_count_has_no_figures(preset, stem, tmp_path, capsys):
    with Store.create(tmp_path) as store:
        store.set_value("config", preset().canonical)
    for name in (f"{stem}.svg", f"{stem}.png", "mine.svg"):
        (tmp_path / name).write_text("of before the cell was edited")
    assert main(["show", str(tmp_path)]) == 0
    assert "no figures yet: no final run is finished" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "mine.svg", "study.db"]


def test_the_same_rows_give_the_same_bytes(joint, tmp_path):
    for folder in ("a", "b"):
        palette.save(drawing.draw_map(info_of.map_info(joint)), tmp_path / folder, "figure")
    for name in ("figure.svg", "figure.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.fixture(scope="module")
def beside():
    """Figure runs at the best rates, and runs at a fixed rate beside them."""
    config = dataclasses.replace(quick(), runs=20, fixed_rate=1e-3, fixed_runs=8)
    return summarise(config, made_up_rows(config, rule))


def test_runs_at_a_fixed_rate_have_a_panel_and_their_number_in_the_caption(beside):
    info = info_of.accuracy_by_length_info(beside)
    assert [panel.title.split(", ")[-1] for panel in info.panels] == ["best rates", "rate 0.001"]
    assert "at rate 0.001 those behind its span, one or a few a length" in info.caption
    assert "rate 0.001 0.001" not in info.caption


def test_solving_times_are_of_the_figure_runs_alone(beside):
    info = info_of.solving_times_info(beside)
    assert [name for name, _ in info.panels] == ["RNN", "LSTM"]
    assert "those behind its span" not in info.caption


def test_a_cell_has_one_colour_and_its_conditions_a_line_each(beside):
    ((_, series),) = info_of.span_by_budget_info(beside).panels
    told = [(one.label, one.place, one.variant) for one in series]
    assert told == [
        ("RNN, best rate", 0, 0), ("RNN, rate 0.001", 0, 1),
        ("LSTM, best rate", 1, 0), ("LSTM, rate 0.001", 1, 1),
    ]  # fmt: skip
    lines = drawing.draw_span_by_budget(info_of.span_by_budget_info(beside)).axes[0].lines
    looks = {(line.get_marker(), line.get_linestyle()) for line in lines if line.get_label()}
    assert len(looks) >= 4


def boxes_of(texts):
    """Where some drawn words are, left to right; those that are empty left out."""
    found = [text.get_window_extent() for text in texts if text.get_text()]
    return sorted(found, key=lambda box: box.x0)


@pytest.mark.parametrize("kind", ["map", "accuracy_by_length", "solving_times"])
def test_numbers_at_the_ticks_do_not_overlap(kind, beside):
    info = getattr(info_of, f"{kind}_info")(beside)
    draw = {"accuracy_by_length": "by_length"}.get(kind, kind)
    figure = getattr(drawing, f"draw_{draw}")(info)
    figure.draw_without_rendering()
    for ax in figure.axes:
        low, high = ax.get_window_extent().x0 - 1, ax.get_window_extent().x1 + 1
        labels = boxes_of(ax.get_xticklabels(which="both"))
        labels = [box for box in labels if low <= (box.x0 + box.x1) / 2 <= high]
        assert len(labels) > 1
        for left, right in itertools.pairwise(labels):
            assert left.x1 < right.x0, (kind, ax.get_title())


def test_words_of_the_map_can_be_read_at_80_mm(beside):
    """Five points, the size of a footnote's index, are the least that print."""
    figure = drawing.draw_map(info_of.map_info(beside))
    shrunk = 80 / 25.4 / figure.get_figwidth()
    sizes = [label.get_size() for ax in figure.axes for label in ax.get_xticklabels()]
    sizes += [ax.title.get_size() for ax in figure.axes]
    assert min(sizes) * shrunk > 5


def test_no_title_of_the_map_reaches_into_the_next_panel(beside):
    panels = [
        panel._replace(span=panel.span._replace(s50=1111.0, low=1000.0, high=None, bound=">="))
        for panel in info_of.map_info(beside).panels
    ]
    figure = drawing.draw_map(info_of.Map(tuple(panels), "caption"))
    figure.draw_without_rendering()
    first, second = boxes_of(ax.title for ax in figure.axes)
    assert first.x1 < second.x0


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


OWN = ("one:Cell", "two:Cell", "two:Other")
"""Cells of one's own; two classes have one name."""


def grid_of(cells, initialisation, **settings):
    config = StudyConfig(
        cells=cells, initialisation=initialisation, lengths=(5, 10), seeds=1, **settings
    )
    return summarise(config, made_up_rows(config, lambda run: run.length == 5))


@pytest.mark.parametrize(
    ("cells", "initialisation", "panels"),
    [
        (
            ("rnn", "one:Cell"), ("uniform",),
            {"one-hot, uniform, rate 0.001": ["RNN", "Cell, own start"]},
        ),
        (
            ("one:Cell", "rnn", "lstm"), ("usual",),
            {"one-hot, rate 0.001": ["Cell, own start", "RNN, orthogonal", "LSTM, forget-bias-1"]},
        ),
        (
            ("rnn", "one:Cell"), ("uniform", "identity"),
            {
                "one-hot, uniform, rate 0.001": ["RNN", "Cell, own start"],
                "one-hot, identity, rate 0.001": ["RNN", "Cell, own start"],
            },
        ),
        (OWN, ("uniform",), {"one-hot, own, rate 0.001": ["one:Cell", "two:Cell", "Other"]}),
    ],
)  # fmt: skip
def test_cells_of_ones_own_stand_beside_the_others(cells, initialisation, panels):
    summary = grid_of(cells, initialisation)
    info = info_of.accuracy_by_length_info(summary)
    assert {p.title: [s.label for s in p.series] for p in info.panels} == panels
    for panel in info.panels:
        assert len({series.place for series in panel.series}) == len(panel.series)
    for name, series in info_of.span_by_budget_info(summary).panels:
        assert [one.label for one in series] == [
            f"{label}, rate 0.001" for label in panels[f"{name}, rate 0.001"]
        ]


def test_one_panel_a_rate_and_encoding():
    summary = grid_of(
        ("rnn", "one:Cell"), ("uniform",),
        learning_rates=(0.001, 0.01), encoding=("one-hot", "scalar"),
    )  # fmt: skip
    info = info_of.accuracy_by_length_info(summary)
    assert [panel.title for panel in info.panels] == [
        f"{encoding}, uniform, rate {rate}"
        for encoding in ("one-hot", "scalar")
        for rate in ("0.001", "0.01")
    ]
    assert all(len(panel.series) == 2 for panel in info.panels)


@pytest.mark.parametrize("budgets", [False, True])
def test_legend_of_twenty_cells_is_on_the_canvas_and_on_nothing_else(budgets):
    own = [f"my_own_module:ARecurrentNetwork{number}" for number in range(18)]
    summary = grid_of(("rnn", "lstm", *own), ("uniform",))
    if budgets:
        figure = drawing.draw_span_by_budget(info_of.span_by_budget_info(summary))
    else:
        figure = drawing.draw_by_length(info_of.accuracy_by_length_info(summary))
    figure.draw_without_rendering()
    (legend,) = figure.legends
    box, canvas = legend.get_window_extent(), figure.bbox
    assert canvas.x0 <= box.x0 < box.x1 <= canvas.x1
    assert canvas.y0 <= box.y0 < box.y1 <= canvas.y1
    assert len(legend.get_texts()) == 20 + (not budgets)
    caption = figure._supxlabel.get_window_extent()
    assert caption.y1 <= box.y0 or caption.x1 <= box.x0
    assert caption.y0 >= 0
    (ax,) = figure.axes
    assert ax.get_tightbbox().x1 <= box.x0
    assert ax.get_position().height * figure.get_figheight() > 1.5  # inches: it is no stripe
