"""Tables of a study are a pure function of its rows."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from scipy import stats
from studies import made_up_record, made_up_rows

from digitspan.cells import title
from digitspan.errors import StoreError
from digitspan.figures.drawing import draw_map
from digitspan.figures.info import (
    accuracy_by_length_info,
    map_info,
    optimizers_info,
    solving_times_info,
    span_by_budget_info,
)
from digitspan.hold.kept_answers import Answers
from digitspan.hold.spans import holds_texts
from digitspan.runs.record import RunRecord
from digitspan.study.config import SHEET_ORDER, StudyConfig, quick, sheet
from digitspan.study.plan import TUNED, plan
from digitspan.study.ratio import compare_spans
from digitspan.study.reading import read_study
from digitspan.study.store import Row, Timing
from digitspan.study.summary import interquartile_mean, summarise
from digitspan.study.tables import (
    TWO_SPANS,
    budgets_table,
    controls_table,
    document,
    duration,
    errors_text,
    lengths_table,
    optimizers_table,
    records_table,
    remarks,
    rows_csv,
    span_text,
    spans_csv,
    spans_table,
)

ROOT = Path(__file__).parents[2]
CONFIG = StudyConfig(lengths=(5, 10, 20, 40), seeds=10, learning_rates=(1e-3, 1e-2))
SMALL = dataclasses.replace(quick(), runs=20)
LIMIT = {"rnn": 12, "lstm": 25}


def rule(config):
    return config.length <= LIMIT[config.cell]


def test_spans_lie_between_the_lengths_where_runs_stop_being_solved():
    summary = summarise(CONFIG, made_up_rows(CONFIG, rule))
    spans = {(row.condition.cell, row.condition.rate): row.span for row in summary.spans}
    assert set(spans) == {(c, r) for c in ("rnn", "lstm") for r in ("0.001", "0.01")}
    assert 10 < spans["rnn", "0.001"].s50 < 20 < spans["lstm", "0.01"].s50 < 40


def test_every_run_is_counted_once_and_none_is_missing():
    rows = made_up_rows(CONFIG, rule)
    summary = summarise(CONFIG, rows)
    assert summary.runs == len(rows) == 2 * 4 * 2 * 10
    assert summary.missing == 0
    assert all(len(found.records) == 10 for row in summary.spans for found in row.lengths)
    assert summary.spans[0].end_states == {"solved": 20, "censored": 20}
    assert summary.spans[0].seconds == pytest.approx(2.0 * 40)


def test_missing_runs_are_said():
    rows = made_up_rows(CONFIG, rule)
    some = dict(list(rows.items())[:-3])
    summary = summarise(CONFIG, some)
    assert summary.missing == 3
    assert any("3 runs are still missing" in line for line in remarks(summary))


def test_table_says_that_there_are_two_spans():
    assert remarks(summarise(CONFIG, made_up_rows(CONFIG, rule)))[-1] == TWO_SPANS


def test_rows_that_the_configuration_does_not_ask_for_are_left_out():
    rows = made_up_rows(CONFIG, rule)
    fewer = dataclasses.replace(CONFIG, lengths=(5, 10))
    assert summarise(fewer, rows).runs == 2 * 2 * 2 * 10


def test_mask_control_notices_a_leak():
    rows = made_up_rows(CONFIG, rule)
    assert summarise(CONFIG, rows).mask.holds
    leaky = {
        key: row._replace(record=dataclasses.replace(row.record, masked_right=130))
        for key, row in rows.items()
    }
    summary = summarise(CONFIG, leaky)
    assert not summary.mask.holds
    assert any("DOES NOT HOLD" in line for line in remarks(summary))


@pytest.mark.parametrize(
    ("length", "right", "leaks"),
    [(10, 135, False), (10, 160, True), (5, 200, False), (5, 320, True)],
)
def test_mask_control_notices_one_network_among_many(length, right, leaks):
    """Of 160 networks; at T = 5 ten answers stand or fall together, so that 200 are chance."""
    rows = made_up_rows(CONFIG, rule)
    key = next(key for key, row in rows.items() if row.record.config.length == length)
    record = dataclasses.replace(rows[key].record, masked_right=right)
    summary = summarise(CONFIG, rows | {key: rows[key]._replace(record=record)})
    assert summary.mask.holds_together, "one of many is lost among them"
    assert summary.mask.holds is not leaks
    (said,) = [line for line in remarks(summary) if line.startswith("mask control")]
    if leaks:
        assert said.startswith("mask control DOES NOT HOLD: something besides x_1 tells")
        named = f"{record.config.run_id} at T = {length} ({right} of 1000)"
        assert said.endswith(f", and more than chance allows alone of {named}")
    else:
        assert said.startswith("mask control holds: ")
        assert said.endswith("at no place of any network alone are more right than chance allows")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (CONFIG, False),
        (dataclasses.replace(CONFIG, lengths=(4, 10, 20)), True),
        (dataclasses.replace(SMALL, fixed_rate=1e-3, fixed_runs=8), False),
    ],
)
def test_accuracies_without_the_control_at_5_say_so(config, said):
    summary = summarise(config, made_up_rows(config, rule))
    assert any("no runs at T = 5" in line for line in remarks(summary)) == said
    assert ("No runs at T = 5" in accuracy_by_length_info(summary).caption) == said


def test_a_joint_study_whose_runs_at_5_failed_says_so():
    rows = {
        key: row._replace(record=RunRecord.error(row.record.config, "no memory"))
        if row.role == "figure" and row.record.config.length == 5
        else row
        for key, row in made_up_rows(SMALL, rule).items()
    }
    assert any("no runs at T = 5" in line for line in remarks(summarise(SMALL, rows)))


@pytest.mark.parametrize("longest", [20, 160])
@pytest.mark.parametrize("limit", [0, 160])
def test_figure_runs_begin_at_5(longest, limit):
    config = dataclasses.replace(SMALL, cells=("rnn",), longest=longest)
    rows = made_up_rows(config, lambda run: run.length <= limit)
    (row,) = summarise(config, rows).spans
    assert row.lengths[0].length == 5


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"rnn": 10, "lstm": 40}, "the LSTM's span is the longer with the networks of `sheet`, "
         "and here too"),
        ({"rnn": 40, "lstm": 10}, "the order differs from that of `sheet`: here the RNN's span "
         "is the longer, but the LSTM's span is the longer with the networks of `sheet`"),
        ({"rnn": 20, "lstm": 20}, "which of the two spans is the longer cannot be told from "
         "these runs; the LSTM's span"),
    ],
)  # fmt: skip
def test_quick_says_where_its_order_differs_from_that_of_the_sheet(limits, said):
    rows = made_up_rows(SMALL, lambda run: run.length <= limits[run.cell])
    lines = remarks(summarise(SMALL, rows))
    assert sum(said in line for line in lines) == 1, lines
    assert any("no claim about the sheet's networks" in line for line in lines)
    # What is changed by an option is no longer the preset.
    changed = dataclasses.replace(SMALL, note="")
    assert not any("`sheet`" in line for line in remarks(summarise(changed, rows)))


def test_the_order_that_quick_tells_is_that_of_the_sheets_own_runs():
    try:
        study = read_study(ROOT / "docs" / "data" / "sheet")
    except StoreError as error:
        pytest.skip(f"docs/data/sheet is not there yet: {error}")
    spans = {
        row.condition.cell: row.span
        for row in summarise(study.config, study.rows).spans
        if row.condition.rate == TUNED
    }
    ratio = compare_spans(*(spans[cell] for cell in SHEET_ORDER))
    assert ratio.low is not None, ratio
    assert ratio.low > 1, ratio


def test_a_start_that_knows_the_length_says_so_in_every_table_and_figure():
    config = dataclasses.replace(CONFIG, cells=("lstm",), initialisation=("uniform", "chrono"))
    summary = summarise(config, made_up_rows(config, rule))
    assert sum("the start chrono knows T" in line for line in remarks(summary)) == 1
    for table in (spans_table(summary), budgets_table(summary), lengths_table(summary)):
        starts = [cell for cell in table.columns[1].cells if cell]
        assert starts.count("chrono (knows T)") == starts.count("uniform") == 2
    titles = [panel.title for panel in accuracy_by_length_info(summary).panels]
    titles += [name for name, _ in span_by_budget_info(summary).panels]
    titles += [name for name, _ in solving_times_info(summary).panels]
    assert sum("chrono (knows T)" in name for name in titles) == 2 + 1 + 2, titles
    assert not any("chrono" in line for line in remarks(summarise(CONFIG, {})))


def test_a_diverged_run_without_accuracy_is_a_run_that_was_not_solved():
    config = StudyConfig(cells=("rnn",), lengths=(5, 10), seeds=2)
    rows = made_up_rows(config, lambda run: True)
    key = next(key for key, row in rows.items() if row.record.config.length == 5)
    record = dataclasses.replace(
        rows[key].record, end_state="diverged", accuracy=None, bits=None, masked_tested=None
    )
    rows[key] = rows[key]._replace(record=record)
    length = summarise(config, rows).spans[0].lengths[0]
    assert (length.solved, len(length.records), len(length.accuracies)) == (1, 2, 1)


def test_sheet_has_compared_optimisers_and_controls():
    summary = summarise(quick(), made_up_rows(quick(), rule))
    assert (summary.optimizers, summary.controls) == ((), ())
    summary = summarise(sheet(), made_up_rows(sheet(), rule))
    assert {c.optimizer for c, _ in summary.optimizers} == {"rmsprop", "sgd", "momentum", "adam"}
    assert {c.condition.trained for c in summary.controls} == {"read-out", "none"}
    assert all(len(control.lengths) == 3 for control in summary.controls)


def test_json_has_spans_and_runs_and_is_strict_json():
    rows = made_up_rows(CONFIG, rule)
    text = json.dumps(document(summarise(CONFIG, rows), rows), allow_nan=False)
    read = json.loads(text)
    assert len(read["runs"]) == len(rows)
    assert {"cell", "s50", "low", "high", "budget", "rate", "marked"} <= set(read["spans"][0])


def test_csv_of_spans_has_a_line_a_condition():
    rows = made_up_rows(CONFIG, rule)
    read = list(csv.DictReader(io.StringIO(spans_csv(summarise(CONFIG, rows)))))
    assert [entry["cell"] for entry in read] == ["rnn", "rnn", "lstm", "lstm"]
    assert 10 < float(read[0]["s50"]) < 20


def test_export_leaves_out_what_differs_from_one_time_to_the_next():
    rows = made_up_rows(CONFIG, rule)
    later = {key: row._replace(timing=Timing(9.0, 99.0, "there", 3)) for key, row in rows.items()}
    assert rows_csv(rows.values()) == rows_csv(later.values())
    assert rows_csv(rows.values(), timing=True) != rows_csv(later.values(), timing=True)
    assert rows_csv(rows.values()).startswith("key,run_id,")
    keys = [entry["key"] for entry in csv.DictReader(io.StringIO(rows_csv(rows.values())))]
    assert keys == sorted(keys)


def text_of(row):
    return span_text(row.span)


def test_long_spans_have_no_decimal_place_and_their_thousands_apart():
    config = StudyConfig(cells=("rnn",), lengths=(500, 10_000_000), seeds=3)
    row = summarise(config, made_up_rows(config, lambda run: run.seed != 0)).spans[0]
    span = row.span._replace(s50=12345.6, low=999.94, high=None, bound="")
    assert text_of(row._replace(span=span)).removesuffix(" *") == "12,346 [999.9, open]"
    at_least = row.span._replace(s50=10_000_000, low=None, high=None, bound=">=")
    assert text_of(row._replace(span=at_least)).removesuffix(" *") == ">= 10,000,000"


def test_bounds_are_shown_as_bounds():
    config = StudyConfig(cells=("rnn",), lengths=(5, 10), seeds=10)
    always = summarise(config, made_up_rows(config, lambda run: True)).spans[0]
    never = summarise(config, made_up_rows(config, lambda run: False)).spans[0]
    assert text_of(always).startswith(">= 10.0")
    assert text_of(always).endswith("open]")
    assert text_of(never) == "<= 5.0"


def test_an_interval_that_the_lengths_do_not_reach_is_open():
    config = StudyConfig(cells=("rnn",), lengths=(5, 10, 20), seeds=3)
    row = summarise(config, made_up_rows(config, lambda run: run.seed != 0)).spans[0]
    few = row._replace(span=row.span._replace(s50=12.34, low=None, high=None, bound=""))
    assert text_of(few).removesuffix(" *") == "- [open, open]"


def test_interquartile_mean_equals_trimmed_mean_where_quarters_are_whole():
    values = np.random.default_rng(0).random(20)
    assert interquartile_mean(values) == pytest.approx(stats.trim_mean(values, 0.25))


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.6, "1:00 min"), (185, "3:05 min"), (3720, "1:02 h")]
)
def test_durations_are_for_people(seconds, text):
    assert duration(seconds) == text


def test_a_study_of_one_run_can_be_summarised():
    config = StudyConfig(cells=("rnn",), lengths=(5,), seeds=1)
    rows = made_up_rows(config, lambda run: True)
    assert len(summarise(config, rows).spans) == 1
    record = made_up_record(next(iter(rows.values())).record.config, solved=False)
    failed = {record.config.key: Row(record, Timing(1, 0, "", 1), "grid")}
    assert text_of(summarise(config, failed).spans[0]) == "<= 5.0 [open, open]"


# The joint design -----------------------------------------------------------------------------

JOINT = StudyConfig(
    longest=80, runs=36, figure_seeds=3, train_steps=1_000, fixed_rate=1e-3, fixed_runs=16,
    continued_steps=2_000, compared_optimizers=("sgd", "momentum", "adam"), controls=True,
    encoding=("one-hot", "scalar"),
)  # fmt: skip


def joint_rule(config):
    away = np.log(config.learning_rate / 1e-2)
    return config.length <= LIMIT[config.cell] * np.exp(-0.3 * away**2)


@pytest.fixture(scope="module")
def joint():
    """A finished joint study: its rows, and what was found."""
    rows = made_up_rows(JOINT, joint_rule)
    return rows, summarise(JOINT, rows)


def test_a_joint_study_has_a_tuned_span_and_one_at_the_fixed_rate(joint):
    _, summary = joint
    spans = {(*row.condition[:2], row.condition.rate): row.span for row in summary.spans}
    assert len(spans) == len(summary.spans) == 2 * 2 * 2
    for cell, limit in LIMIT.items():
        tuned, fixed = spans[cell, "one-hot", TUNED], spans[cell, "one-hot", "0.001"]
        assert tuned.low < limit < tuned.high
        assert tuned.rate_low < 1e-2 < tuned.rate_high
        assert fixed.high < tuned.low
        assert fixed.rate == 1e-3


def test_only_runs_of_the_design_count_for_a_tuned_span(joint):
    rows, summary = joint
    other = {
        key: row._replace(record=made_up_record(row.record.config, solved=False))
        if row.role in ("figure", "control", "optimizer", "continued")
        else row
        for key, row in rows.items()
    }
    for before, after in zip(summary.spans, summarise(JOINT, other).spans, strict=True):
        assert before.span._replace(atoms=None) == after.span._replace(atoms=None)
        assert before.span.runs == (36 if before.condition.rate == TUNED else 16)


def test_accuracies_are_those_of_the_figure_runs_at_the_best_rates(joint):
    rows, summary = joint
    for row in summary.spans:
        keys = {record.config.key for found in row.lengths for record in found.records}
        if row.condition.rate == TUNED:
            assert len(row.lengths) == 8
            assert all(len(found.records) == 3 for found in row.lengths)
            assert {rows[key].role for key in keys} == {"figure"}
        else:  # beside them, at the one rate
            assert {rows[key].role for key in keys} == {"fixed-rate"}
            assert {found.learning_rate for found in row.lengths} == {row.span.rate}


def test_the_curve_of_budgets_comes_from_the_same_rows_and_ends_with_the_span(joint):
    rows, summary = joint
    for row in summary.spans:
        assert [span.budget for span in row.budgets] == [250, 500, 750, 1_000]
        assert row.budgets[-1] is row.span
    quicker = {  # all are solved at step 250
        key: row._replace(record=dataclasses.replace(row.record, steps=600))
        if row.record.solved
        else row
        for key, row in rows.items()
    }
    for row in summarise(JOINT, quicker).spans:
        solved = [span.solved for span in row.budgets]
        assert solved == [0, 0, row.span.solved, row.span.solved]
        assert row.budgets[0].bound == "<="


def test_where_nothing_is_solved_no_best_rate_and_no_lapses_are_printed():
    summary = summarise(SMALL, made_up_rows(SMALL, lambda config: False))
    for table in (spans_table(summary), budgets_table(summary)):
        assert set(column(table, "rate")) == {"best: -"}
    assert set(column(spans_table(summary), "lapse")) == {"-"}
    (row, *_) = csv.DictReader(io.StringIO(spans_csv(summary)))
    assert (row["lapse"], row["solved"]) == ("", "0")
    draw_map(map_info(summary))


def test_a_guaranteed_span_is_of_a_grid_alone(joint):
    assert {row.guaranteed for row in joint[1].spans} == {None}
    assert "guaranteed" not in [column.header for column in spans_table(joint[1]).columns]
    config = dataclasses.replace(CONFIG, seeds=20)
    summary = summarise(config, made_up_rows(config, rule))
    assert [row.guaranteed for row in summary.spans] == [10, 10, 20, 20]
    assert column(spans_table(summary), "guaranteed") == ["10", "10", "20", "20"]
    few = summarise(CONFIG, made_up_rows(CONFIG, rule))
    assert set(column(spans_table(few), "guaranteed")) == {"not det."}


def test_nothing_above_a_hole_is_guaranteed():
    config = StudyConfig(cells=("rnn",), lengths=(5, 10, 15, 20, 30, 40, 60), seeds=20)
    row = summarise(config, made_up_rows(config, lambda run: run.length != 15)).spans[0]
    assert row.guaranteed == 10
    assert row.span.marked
    assert row.span.high <= 15
    assert span_text(row.span).endswith(" *")


def test_the_best_of_three_rates_of_a_grid_is_chosen_inside_the_interval():
    config = StudyConfig(
        cells=("rnn",), lengths=(5, 7, 10, 14, 20, 28), seeds=5, learning_rates=(1e-3, 1e-2, 1e-1)
    )
    summary = summarise(config, made_up_rows(config, joint_rule))
    assert [row.condition.rate for row in summary.spans] == ["0.001", "0.01", "0.1", TUNED]
    tuned = summary.spans[-1]
    assert (tuned.span.low or 5) < 12 < (tuned.span.high or 28)
    assert 3e-3 < tuned.span.rate < 3e-2
    assert tuned.guaranteed is None
    two = dataclasses.replace(config, learning_rates=(1e-3, 1e-2))
    rules = [row.condition.rate for row in summarise(two, made_up_rows(two, joint_rule)).spans]
    assert TUNED not in rules


def test_continued_runs_are_told_and_count_for_nothing_else(joint):
    rows, summary = joint
    continued = [row.record for row in rows.values() if row.role == "continued"]
    assert sorted(r.config.key for r in summary.continued) == [r.config.key for r in continued]
    assert continued
    lines = [line for line in remarks(summary) if "continued to 2,000 steps" in line]
    assert lines[0].startswith(f"of {len(continued)} unsolved figure runs, drawn before")
    keys = {record.config.key for row in summary.spans for record in row.records}
    assert not keys & {record.config.key for record in continued}


# Errors -----------------------------------------------------------------------------------------


def test_an_error_is_left_out_of_every_count_and_said_first():
    rows = made_up_rows(CONFIG, rule)
    whole = summarise(CONFIG, rows)
    lost = [k for k, row in rows.items() if row.record.config.cell == "rnn"][:4]
    failed = {
        key: row._replace(record=RunRecord.error(row.record.config, "no memory"))
        if key in lost
        else row
        for key, row in rows.items()
    }
    summary = summarise(CONFIG, failed)
    without = summarise(CONFIG, {key: row for key, row in rows.items() if key not in lost})
    assert (len(summary.errors), summary.missing, summary.runs) == (4, 4, whole.runs - 4)
    assert [text_of(row) for row in summary.spans] == [text_of(row) for row in without.spans]
    assert sum(row.span.runs for row in summary.spans) == len(rows) - 4
    line = errors_text(summary)
    assert line.startswith("4 runs ended in an error and are left out, such as rnn")
    assert "no memory; they are made again on the next call" in line
    assert errors_text(whole) == ""
    # Said once, before the tables: nor are they counted among the runs that were not begun.
    assert not any("error" in line or "missing" in line for line in remarks(summary))


def test_a_study_of_errors_alone_has_no_spans():
    rows = {
        key: row._replace(record=RunRecord.error(row.record.config, "x"))
        for key, row in made_up_rows(CONFIG, rule).items()
    }
    summary = summarise(CONFIG, rows)
    assert (summary.spans, summary.runs, len(summary.errors)) == ((), 0, len(rows))
    assert json.loads(json.dumps(document(summary, rows), allow_nan=False))["spans"] == []
    assert spans_csv(summary) == ""


# Tables of 80 columns ---------------------------------------------------------------------------


def printed(table, width=80):
    """A table as a terminal shows it, with markup as the commands have it."""
    console = Console(width=width, markup=False, record=True, file=io.StringIO())
    console.print(table)
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= width
    return text


WIDE = StudyConfig(
    cells=("lstm", "mingru"), encoding=("one-hot", "scalar"), lengths=(500, 10_000_000), seeds=20,
    initialisation=("uniform", "forget-bias-1", "chrono"), compared_optimizers=("momentum",),
    controls=True,
)  # fmt: skip


@pytest.mark.parametrize("config", [CONFIG, JOINT, WIDE], ids=["grid", "joint", "wide"])
def test_tables_fit_80_columns_and_cut_no_name_and_no_interval(config):
    summary = summarise(
        config, made_up_rows(config, lambda run: run.seed % 3 and run.length < 600)
    )
    tables = [spans_table(summary), budgets_table(summary), lengths_table(summary)]
    tables += [optimizers_table(summary)] if summary.optimizers else []
    tables += [controls_table(summary)] if summary.controls else []
    for table in tables:
        text = printed(table)
        assert "…" not in text
        for name in column(table, "cell"):
            assert name in text
        if any(column.header == "S50 [95 %]" for column in table.columns):
            for interval in column(table, "S50 [95 %]"):
                assert interval in text


FOREIGN = "mine:GatedRecurrentUnitsWithAVeryLongNameOfIt"


def test_a_name_of_40_letters_beside_open_intervals_is_wrapped_and_not_cut():
    config = StudyConfig(
        cells=("rnn", FOREIGN), encoding=("one-hot", "scalar"), lengths=(5, 20), seeds=2
    )
    summary = summarise(config, made_up_rows(config, lambda run: run.cell == FOREIGN))
    assert any(row.span.high is None for row in summary.spans), "an open interval"
    for table in (spans_table(summary), budgets_table(summary), lengths_table(summary)):
        assert "start" not in [str(c.header) for c in table.columns], "its name says it"
        text = printed(table)
        assert "…" not in text
        rows = [line.split("│")[1:-1] for line in text.splitlines() if "│" in line]
        assert title(FOREIGN) in "".join(row[0].strip() for row in rows)
        if "S50 [95 %]" in [str(c.header) for c in table.columns]:
            assert all(span_text(row.span) in text for row in summary.spans)


def test_an_interval_that_begins_open_is_not_taken_for_markup():
    config = StudyConfig(cells=("rnn",), lengths=(5, 10, 20), seeds=3)
    summary = summarise(config, made_up_rows(config, lambda run: run.length < 10))
    row = summary.spans[0]
    row = row._replace(span=row.span._replace(s50=7.6, low=None, high=11.1, bound=""))
    summary = summary._replace(spans=(row._replace(budgets=(row.span,)),))
    for table in (spans_table(summary), budgets_table(summary)):
        assert "7.6 [open, 11.1]" in printed(table)


def test_a_long_name_of_ones_own_cell_is_wrapped_and_not_cut():
    name = "RecurrentCellOfMyOwnWithALongName"
    config = StudyConfig(cells=("rnn", f"mine:{name}"), lengths=(5, 10), seeds=2)
    summary = summarise(config, made_up_rows(config, lambda run: run.length < 10))
    for table in (spans_table(summary), budgets_table(summary), lengths_table(summary)):
        text = printed(table)
        assert "…" not in text
        lines = [line.split("│")[1].strip() for line in text.splitlines() if "│" in line]
        assert name in "".join(lines)


def test_every_row_says_what_it_is_for(joint):
    rows, summary = joint
    jobs = plan(JOINT, {key: row.record for key, row in rows.items()})
    assert {job.config.key: job.role for job in jobs} == {k: row.role for k, row in rows.items()}
    read = csv.DictReader(io.StringIO(rows_csv(rows.values())))
    assert {entry["key"]: entry["role"] for entry in read} == {
        key: row.role for key, row in rows.items()
    }
    runs = document(summary, rows)["runs"]
    assert {run["key"]: run["role"] for run in runs} == {k: row.role for k, row in rows.items()}
    assert all(run["counted"] for run in runs)
    fewer = summary._replace(config=dataclasses.replace(JOINT, cells=JOINT.cells[:1]))
    counted = [run["cell"] for run in document(fewer, rows)["runs"] if run["counted"]]
    assert set(counted) == {JOINT.cells[0]}
    failed = {key: row._replace(record=RunRecord.error(row.record.config, "no"))
              for key, row in rows.items()}  # fmt: skip
    assert not any(run["counted"] for run in document(summary, failed)["runs"])


# The table of records -------------------------------------------------------------------------

CLIMB = StudyConfig(lengths=(5, 10, 20, 40), seeds=5, climb=True)


def column(table, heading):
    """The cells of a column, in the order of the rows."""
    (found,) = [column for column in table.columns if column.header == heading]
    return list(found.cells)


def test_records_are_the_longest_lengths_that_four_of_five_solve():
    def rule(config):
        return config.length <= (10 if config.cell == "rnn" else 20) - (config.seed == 4)

    table = records_table(summarise(CLIMB, made_up_rows(CLIMB, rule)), [])
    assert column(table, "longest T") == ["10", "20"]
    assert column(table, "solved") == ["4/5", "4/5"]
    assert column(table, "next T") == ["20", "40"]
    assert column(table, "solved there") == ["0/5", "0/5"]
    assert "holds" not in [column.header for column in table.columns]


def test_records_stand_beside_what_the_networks_hold():
    summary = summarise(CLIMB, made_up_rows(CLIMB, rule))
    rnn, lstm = [[r.config.key for r in row.lengths[-1].records] for row in summary.spans]
    held = [Answers(key, 1_000, 300, 300) for key in rnn]
    held += [Answers(key, 10_000, 300 if key != rnn[0] else 290, 300) for key in rnn]
    held += [Answers(key, 100_000, 299 if key in rnn[:3] else 0, 300) for key in rnn]
    held += [Answers(key, 1_000, 0, 100) for key in lstm]
    assert column(records_table(summary, holds_texts(summary, held)), "holds") == [
        "10,000 (4/5)",
        "< 1,000 (0/5)",
    ]
    again = [Answers(key, 100_000, 1_000, 1_000) for key in rnn]  # asked more, which counts more
    found = column(records_table(summary, holds_texts(summary, [*again, *held])), "holds")
    assert found[0] == "100,000 (5/5)"
    assert column(records_table(summary, holds_texts(summary, held[:5])), "holds") == [
        "1,000 (5/5)",
        "",
    ]
    shorter = [Answers(r.config.key, 1_000, 0, 100) for r in summary.spans[0].lengths[0].records]
    assert column(records_table(summary, holds_texts(summary, shorter)), "holds") == [
        "< 1,000 (0/5)",
        "",
    ]
    assert (
        column(records_table(summary, holds_texts(summary, [*shorter, *held])), "holds")[0]
        == "10,000 (4/5)"
    )
    assert (
        column(records_table(summary, holds_texts(summary, [*shorter, *held[:5]])), "holds")[0]
        == "1,000 (5/5)"
    )


def test_tables_and_figures_tell_widths_and_budgets_apart():
    config = StudyConfig(
        cells=("rnn", "lstm"), lengths=(5, 9, 14), seeds=4, hidden_size=(4, 8),
        train_steps=(200, 400), compared_optimizers=("adamw",), controls=True,
    )  # fmt: skip
    summary = summarise(config, made_up_rows(config, lambda run: run.length < run.hidden_size))
    for table in (spans_table, budgets_table, lengths_table, optimizers_table, controls_table):
        headings = [str(column.header) for column in table(summary).columns]
        assert {"n", "steps at most", "parameters"} <= set(headings), headings
    labels = [panel.title for panel in accuracy_by_length_info(summary).panels]
    assert len(set(labels)) == len(labels) == 4, labels
    assert sum("n = 8" in label and "400 steps" in label for label in labels) == 1
    curves = optimizers_info(summary)
    assert len({name for name, _ in curves.panels}) == len(curves.panels) == 8
