"""Tables of a study are a pure function of its rows."""

from __future__ import annotations

import csv
import dataclasses
import io
import json

import numpy as np
import pytest
from scipy import stats
from studies import made_up_record, made_up_rows

from digitspan.figures.info import accuracy_by_length_info, solved_share_info
from digitspan.hold.kept_answers import Answers
from digitspan.hold.spans import holds_texts
from digitspan.study.config import StudyConfig, quick, sheet
from digitspan.study.store import Row, Timing
from digitspan.study.summary import interquartile_mean, summarise
from digitspan.study.tables import (
    document,
    duration,
    lengths_table,
    records_table,
    remarks,
    rows_csv,
    span_text,
    spans_csv,
    spans_table,
)

CONFIG = StudyConfig(lengths=(5, 10, 20, 40), seeds=10, learning_rates=(1e-3, 1e-2))
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
    assert all(row.seeds == (10, 10) for row in summary.spans)
    assert summary.spans[0].end_states == {"solved": 20, "plateau": 20}
    assert summary.spans[0].seconds == pytest.approx(2.0 * 40)


def test_missing_runs_are_said():
    rows = made_up_rows(CONFIG, rule)
    some = dict(list(rows.items())[:-3])
    summary = summarise(CONFIG, some)
    assert summary.missing == 3
    assert any("3 runs are still missing" in line for line in remarks(summary))


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


def test_runs_still_improving_are_said():
    rows = made_up_rows(CONFIG, rule)
    rows = {
        key: row._replace(record=dataclasses.replace(row.record, end_state="budget"))
        if not row.record.solved
        else row
        for key, row in rows.items()
    }
    lines = remarks(summarise(CONFIG, rows))
    for share in (50, 25):  # of the RNN, of the LSTM, at two rates each
        words = f"{share} % of the runs were still improving"
        assert sum(words in line for line in lines) == 2


def test_a_study_without_the_control_at_5_says_so():
    without = dataclasses.replace(CONFIG, lengths=(4, 10, 20))
    for config, said in ((CONFIG, 0), (without, 1), (quick(), 0), (sheet(), 0)):
        lines = remarks(summarise(config, {}))
        assert sum("no row at T = 5" in line for line in lines) == said, lines


def test_an_initialisation_that_knows_the_length_says_so_in_every_table_and_figure():
    config = dataclasses.replace(CONFIG, cells=("lstm",), initialisation=("uniform", "chrono"))
    summary = summarise(config, made_up_rows(config, rule))
    assert sum("the initialisation chrono knows T" in line for line in remarks(summary)) == 1
    for table in (spans_table(summary), lengths_table(summary)):
        names = [cell for cell in table.columns[2].cells if cell]
        assert names.count("chrono (knows T)") == names.count("uniform") == 2
    for info in (accuracy_by_length_info(summary), solved_share_info(summary)):
        names = [panel[0] for panel in info.panels]
        assert sum("chrono (knows T)" in name for name in names) == 2, names
    assert not any("chrono" in line for line in remarks(summarise(CONFIG, {})))


def test_a_diverged_run_without_accuracy_is_a_run_that_was_not_solved():
    config = StudyConfig(cells=("rnn",), lengths=(5, 10), seeds=2)
    rows = made_up_rows(config, lambda run: True)
    key = next(key for key, row in rows.items() if row.record.config.length == 5)
    record = dataclasses.replace(
        rows[key].record, end_state="oom", accuracy=None, bits=None, masked_tested=None
    )
    rows[key] = rows[key]._replace(record=record)
    length = summarise(config, rows).spans[0].lengths[0]
    assert (length.solved, len(length.records), len(length.accuracies)) == (1, 2, 1)


def test_rates_come_from_tuning_runs_where_one_rate_is_chosen():
    summary = summarise(sheet(), made_up_rows(sheet(), rule))
    tuning = [found for found in summary.rates if found.role == "tuning"]
    assert {found.learning_rate for found in tuning} >= {3e-3, 1e-2}
    final = [found for found in summary.rates if found.role == "final"]
    assert {found.learning_rate for found in final} == {1e-3}


def test_presets_have_compared_optimisers_and_sheet_has_controls():
    summary = summarise(quick(), made_up_rows(quick(), rule))
    assert {c.optimizer for c, _ in summary.compared} == {"rmsprop", "sgd", "momentum", "adam"}
    assert summary.controls == ()
    summary = summarise(sheet(), made_up_rows(sheet(), rule))
    assert {c.condition.trained for c in summary.controls} == {"read-out", "none"}
    assert all(len(control.lengths) == 3 for control in summary.controls)


def test_json_has_spans_and_runs_and_is_strict_json():
    rows = made_up_rows(CONFIG, rule)
    text = json.dumps(document(summarise(CONFIG, rows), rows), allow_nan=False)
    read = json.loads(text)
    assert len(read["runs"]) == len(rows)
    assert {"cell", "s50", "s50_low", "s50_high"} <= set(read["spans"][0])


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
    keys = [entry["key"] for entry in csv.DictReader(io.StringIO(rows_csv(rows.values())))]
    assert keys == sorted(keys)


def text_of(row):
    return span_text(row.span, [found.length for found in row.lengths])


def test_long_spans_have_no_decimal_place_and_their_thousands_apart():
    config = StudyConfig(cells=("rnn",), lengths=(500, 10_000_000), seeds=3)
    row = summarise(config, made_up_rows(config, lambda run: run.seed != 0)).spans[0]
    span = row.span._replace(s50=12345.6, s50_low=999.94, s50_high=None, bound="")
    assert text_of(row._replace(span=span)).removesuffix(" *") == "12,346 [999.9, >= 10,000,000]"
    at_least = row.span._replace(s50=10_000_000, bound=">=")
    assert text_of(row._replace(span=at_least)).removesuffix(" *") == ">= 10,000,000"


def test_bounds_are_shown_as_bounds():
    config = StudyConfig(cells=("rnn",), lengths=(5, 10), seeds=10)
    always = summarise(config, made_up_rows(config, lambda run: True)).spans[0]
    never = summarise(config, made_up_rows(config, lambda run: False)).spans[0]
    assert text_of(always) == ">= 10"
    assert text_of(never) == "<= 5"


def test_an_interval_that_the_lengths_do_not_reach_is_open():
    config = StudyConfig(cells=("rnn",), lengths=(5, 10, 20), seeds=3)
    row = summarise(config, made_up_rows(config, lambda run: run.seed != 0)).spans[0]
    few = row._replace(span=row.span._replace(s50=12.34, s50_low=None, s50_high=None, bound=""))
    assert text_of(few).removesuffix(" *") == "12.3 [<= 5, >= 20]"


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
    failed = {record.config.key: Row(record, Timing(1, 0, "", 1))}
    assert text_of(summarise(config, failed).spans[0]) == "<= 5"


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
    held = [Answers(key, 1_000, 100, 100) for key in rnn]
    held += [Answers(key, 10_000, 100 if key != rnn[0] else 98, 100) for key in rnn]
    held += [Answers(key, 100_000, 99 if key in rnn[:3] else 0, 100) for key in rnn]
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
