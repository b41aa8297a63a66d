"""Studies of digit spans: what is run, what is measured, what is shown, and what is refused."""

import csv
import dataclasses
import io
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from studies import made_up_recall, made_up_span_rows

import digitspan
from digitspan.cli import command_parser, main
from digitspan.commands import study as study_command
from digitspan.errors import ConfigError, UsageError
from digitspan.figures.span_info import recall_by_items_info
from digitspan.runs.record import RunRecord
from digitspan.study.config import PRESETS, SPAN_RATES, USUAL, StudyConfig
from digitspan.study.digit_spans import (
    compare_cells,
    mean_difference,
    mean_of,
    median_of,
    summarise_spans,
)
from digitspan.study.plan import next_jobs, plan
from digitspan.study.runner import check_study
from digitspan.study.span_comparison import Named, differences_csv
from digitspan.study.span_tables import (
    digit_spans_csv,
    digit_spans_document,
    digit_spans_remarks,
    label,
    mean_text,
    network_remarks,
)
from digitspan.study.store import Row, Store, Timing
from digitspan.study.summary import mask_control
from digitspan.study.tables import TWO_SPANS, errors_text, leaks_text

CONFIG = dataclasses.replace(
    PRESETS["span"](),
    cells=("rnn", "lstm"),
    hidden_size=(8, 16),
    seeds=5,
    train_steps=400,
    items=12,
)
RATE = {8: 1e-3, 16: 1e-2}
"""Where each width does best."""


def span_of(run):
    """6 items at n = 8; more with the width, the seed, an LSTM; less off the best rate."""
    off = abs(math.log10(run.learning_rate / RATE[run.hidden_size]))
    return 5 + run.hidden_size / 8 + 0.5 * (run.seed % 10) + 2 * (run.cell == "lstm") - off


@pytest.fixture(scope="module")
def rows():
    return made_up_span_rows(CONFIG, span_of)


@pytest.fixture(scope="module")
def summary(rows):
    return summarise_spans(CONFIG, rows)


@pytest.fixture
def folder(rows, tmp_path):
    """The study as it is kept."""
    with Store.create(tmp_path) as store:
        store.set_value("config", CONFIG.canonical)
        for row in rows.values():
            store.add(row)
    return tmp_path


# What is run


def test_preset_is_the_measure():
    config = PRESETS["span"]()
    assert (config.design, config.task, config.order) == ("span", "recall", "backward")
    assert config.cells == ("rnn", "lstm", "gru")
    assert config.hidden_sizes == (32, 128)
    assert (config.seeds, config.train_steps, config.batch_size) == (5, 20_000, 64)
    assert (config.optimizer, config.max_grad_norm) == ("adam", 1.0)
    assert np.diff(np.log10(config.learning_rates)) == pytest.approx([0.5] * 4, abs=0.03)
    starts = {job.condition.cell: job.config.initialisation for job in plan(config, {})}
    assert starts == {"rnn": "orthogonal", "lstm": "forget-bias-1", "gru": "uniform"}


def test_demo_is_one_network_each_at_one_rate_on_one_figure(tmp_path):
    """It tunes nothing and says so; both cells' curves are in one panel, with people's band."""
    config = PRESETS["demo"]()
    jobs = plan(config, {})
    found = [(job.role, job.config.cell, job.config.learning_rate) for job in jobs]
    assert found == [("span", "rnn", 3e-3), ("span", "lstm", 3e-3)]
    assert {job.config.initialisation for job in jobs} == {"orthogonal", "forget-bias-1"}
    rows = made_up_span_rows(config, lambda run: 17 if run.cell == "lstm" else 11)
    assert next_jobs(config, {key: row.record for key, row in rows.items()}) == []
    summary = summarise_spans(config, rows)
    ((name, series),) = (info := recall_by_items_info(summary)).panels
    assert "tuned:" not in info.caption
    assert "1 network each;" in info.caption
    assert (name, [one.label for one in series]) == ("n = 64", ["RNN", "LSTM"])
    said = digit_spans_remarks(summary)
    assert said[0].startswith("a look, no claim: one network each, at a rate that was not tuned")
    assert any("1 network a cell: a look, no claim" in line for line in said)


def test_first_two_tuning_runs_at_each_rate_then_fresh_networks_at_the_best(rows):
    first = plan(CONFIG, {})
    assert {job.role for job in first} == {"tuning"}
    assert len(first) == 2 * 2 * 5 * 2
    assert all(job.config.measures_span and job.config.items == 12 for job in first)
    roles = {role: [r for r in rows.values() if r.role == role] for role in ("tuning", "span")}
    assert {key: len(some) for key, some in roles.items()} == {"tuning": 44, "span": 20}
    for row in roles["span"]:
        assert row.record.config.learning_rate == RATE[row.record.config.hidden_size]
    seeds = {role: {row.record.config.seed for row in some} for role, some in roles.items()}
    assert seeds["tuning"].isdisjoint(seeds["span"])
    assert len(seeds["span"]) == 5


def test_beyond_a_best_rate_at_an_end_the_next_one_is_tried_too(rows):
    """By the usual rates the best would be 1e-2, or 1e-4; of rates that were given there is none
    beyond."""
    tried = {width: set() for width in RATE}
    for row in rows.values():
        tried[row.record.config.hidden_size].add(row.record.config.learning_rate)
    assert tried == {8: set(SPAN_RATES), 16: {*SPAN_RATES, 3e-2}}

    def rates(best, **given):
        config = dataclasses.replace(CONFIG, cells=("lstm",), hidden_size=8, **given)
        found = made_up_span_rows(
            config, lambda run: 9 - abs(math.log10(run.learning_rate / best))
        )
        by_role = {"tuning": set(), "span": set()}
        for row in found.values():
            by_role[row.role].add(row.record.config.learning_rate)
        return by_role

    assert rates(1e-5) == {"tuning": {3e-6, 1e-5, 3e-5, *SPAN_RATES}, "span": {1e-5}}
    assert rates(0.1) == {"tuning": {*SPAN_RATES, 0.03, 0.1, 0.3}, "span": {0.1}}
    assert rates(9.0) == {"tuning": {*SPAN_RATES, 0.03, 0.1, 0.3, 1.0}, "span": {1.0}}
    given = (1e-3, 3e-3)
    assert rates(0.1, learning_rates=given) == {"tuning": set(given), "span": {3e-3}}


def test_rate_is_chosen_by_validation_lists_alone(rows):
    better_on_test = {}
    for key, row in rows.items():
        if row.role == "tuning" and row.record.config.learning_rate == 1e-4:
            recalled = made_up_recall(row.record.config, 11).recalled._replace(
                on_the_way=row.record.recalled.on_the_way
            )
            row = row._replace(record=dataclasses.replace(row.record, recalled=recalled))
        if row.role == "tuning":
            better_on_test[key] = row
    again = made_up_span_rows(CONFIG, span_of, better_on_test)
    assert {row.record.config.learning_rate for row in again.values() if row.role == "span"} == {
        1e-3,
        1e-2,
    }


def test_nothing_is_chosen_before_all_tuning_runs_of_a_cell_are_there(rows):
    tuning = {key: row.record for key, row in rows.items() if row.role == "tuning"}
    one = next(key for key, record in tuning.items() if record.config.cell == "rnn")
    known = {key: record for key, record in tuning.items() if key != one}
    jobs = next_jobs(CONFIG, known)
    missing = {(job.condition.cell, job.config.hidden_size, job.role) for job in jobs}
    width = tuning[one].config.hidden_size
    assert ("rnn", width, "span") not in missing
    assert {("rnn", 24 - width, "span"), ("lstm", 8, "span"), ("lstm", 16, "span")} < missing
    failed = {**known, one: RunRecord.error(tuning[one].config, "no memory")}
    assert ("rnn", width, "span") not in {
        (job.condition.cell, job.config.hidden_size, job.role) for job in plan(CONFIG, failed)
    }


def test_one_rate_needs_no_tuning():
    config = dataclasses.replace(CONFIG, learning_rates=(0.003,))
    assert {(job.role, job.config.learning_rate) for job in plan(config, {})} == {("span", 0.003)}


def test_networks_keep_their_weights_and_tuning_runs_do_not(rows):
    jobs = plan(CONFIG, {key: row.record for key, row in rows.items()})
    assert {job.role: job.keeps_weights for job in jobs} == {"tuning": False, "span": True}


def test_longest_list_is_no_longer_than_the_budget_comes_to():
    assert dataclasses.replace(CONFIG, items=None, train_steps=20_000).longest_list == 60
    short = dataclasses.replace(CONFIG, items=None, train_steps=500)
    assert short.longest_list == 22
    check_study(short)
    with pytest.raises(UsageError, match="lists of 60 items cannot be expected within 500"):
        check_study(dataclasses.replace(short, items=60))


def test_a_cell_is_tried_at_every_width_on_the_shortest_and_the_longest_lists():
    tried = {(run.cell, run.hidden_size, run.items) for run in check_study(CONFIG)}
    sizes = [(cell, width) for cell in CONFIG.cells for width in CONFIG.hidden_sizes]
    assert tried == {(*size, items) for size in sizes for items in (2, 12)}
    (one,) = {run.items for run in check_study(dataclasses.replace(CONFIG, items=1))}
    assert one == 1


def test_a_name_that_a_spreadsheet_would_run_is_marked_in_every_table(rows):
    cell, of_lstm = "-x:Cell", [key for key, r in rows.items() if r.record.config.cell == "lstm"]
    assert of_lstm
    summary = summarise_spans(CONFIG, rows)
    measured = [c._replace(condition=c.condition._replace(cell=cell)) for c in summary.cells]
    text = digit_spans_csv(summary._replace(cells=tuple(measured)))
    assert {line["cell"] for line in csv.DictReader(io.StringIO(text))} == {f"'{cell}"}
    named = [Named(f"={n}", c, summary, Path()) for n, c in enumerate(summary.cells)]
    pairs = list(csv.DictReader(io.StringIO(differences_csv(named))))
    assert (pairs[0]["first"], pairs[0]["second"]) == ("'=0", "'=1")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"task": "palindrome"}, "task must be recall with the span design"),
        ({"task": "next-digit"}, "task must be recall with the span design"),
        ({"lengths": (5, 10)}, "lengths must be left out of a study of digit spans"),
        ({"climb": True}, "climb must be left out of a study of digit spans"),
        ({"curriculum": True}, "curriculum must be left out of a study of digit spans"),
        ({"fixed_rate": 0.1}, "fixed_rate must be left out of a study of digit spans"),
        ({"controls": True}, "controls must be left out of a study of digit spans"),
        ({"items": 0}, "items must be a whole number from 1 on; got 0"),
        ({"order": "sideways"}, "order must be one of backward, forward"),
        ({"hidden_size": (0,)}, "hidden_size must be a whole number from 1 on; got 0"),
    ],
)
def test_what_a_study_of_digit_spans_cannot_have_is_refused(words, sentence):
    with pytest.raises(ConfigError, match=sentence):
        dataclasses.replace(CONFIG, **words)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"task": "recall"}, "task must be palindrome or first-symbol with this design"),
        ({"order": "forward"}, "order must be left out where no lists are asked"),
        ({"items": 6}, "items must be left out where no lists are asked"),
    ],
)
def test_what_only_a_study_of_digit_spans_has_is_refused_elsewhere(words, sentence):
    with pytest.raises(ConfigError, match=sentence):
        StudyConfig(**words)


def test_one_width_is_a_number_where_retention_spans_are_measured():
    assert StudyConfig(hidden_size=12).hidden_size == 12
    assert StudyConfig(hidden_size=(12,)) == StudyConfig(hidden_size=12)
    assert StudyConfig(hidden_size=12).hidden_sizes == (12,)
    assert StudyConfig.from_words({"hidden_size": [32]}, PRESETS["span"]()).hidden_sizes == (32,)


def test_usual_starts_of_other_cells():
    config = dataclasses.replace(CONFIG, cells=("relu-rnn", "peephole-lstm", "mingru", "a:B"))
    assert config.initialisation == (USUAL,)
    starts = {job.condition.cell: job.config.initialisation for job in plan(config, {})}
    assert starts == {
        "relu-rnn": "identity",
        "peephole-lstm": "forget-bias-1",
        "mingru": "uniform",
        "a:B": "own",
    }


# What is measured


def test_spans_are_means_over_networks_with_their_interval(summary):
    assert [(c.condition.cell, c.hidden_size) for c in summary.cells] == [
        ("rnn", 8),
        ("rnn", 16),
        ("lstm", 8),
        ("lstm", 16),
    ]
    cell = summary.cells[0]
    assert cell.mean_span.mean == pytest.approx(7)  # 6, 6.5, ... 8
    assert cell.digit_span.mean == pytest.approx(np.mean([6, 7, 7, 8, 8]))  # one half counts
    half = 2.7764 * np.std([6, 6.5, 7, 7.5, 8], ddof=1) / math.sqrt(5)
    assert cell.mean_span[1:3] == pytest.approx((7 - half, 7 + half), abs=1e-3)
    assert (cell.state_size, summary.cells[2].state_size) == (8, 16)
    assert (cell.parameters, cell.rate) == (80, 1e-3)


def test_networks_that_are_all_alike_have_no_interval_of_no_width():
    assert mean_text(mean_of([4, 4, 4])) == "4.0 (each)"
    assert mean_text(mean_of([4, 4, 5])) == "4.3 [2.9, 5.8]"


def test_neighbouring_rates_stand_beside_the_best_one(summary):
    below, above = summary.cells[0].neighbours  # seeds 0 and 1: 6.25 at the best rate
    assert below == pytest.approx(6.25 - math.log10(1e-3 / 3e-4))
    assert above == pytest.approx(6.25 - math.log10(3))
    assert not any("that was tried" in line for line in digit_spans_remarks(summary))
    given = dataclasses.replace(CONFIG, learning_rates=(1e-3, 1e-2))
    ended = summarise_spans(given, made_up_span_rows(given, span_of))
    assert ended.cells[1].neighbours[1] is None  # the best rate is the highest
    assert any("n = 16 is the highest that was tried" in line for line in
               digit_spans_remarks(ended))  # fmt: skip
    assert any("n = 8 is the lowest that was tried" in line for line in
               digit_spans_remarks(ended))  # fmt: skip


def test_network_that_was_asked_no_further_recalls_nothing_there_and_says_nothing_of_places():
    config = dataclasses.replace(CONFIG, cells=("rnn",), hidden_size=8, seeds=2)
    found = made_up_span_rows(config, lambda run: 2 + 6 * (run.seed % 10))
    (cell,) = summarise_spans(config, found).cells
    assert [len(recalled.lists) for recalled in cell.recalled] == [3, 9]
    assert cell.share_whole(8) == 0.5  # of the two networks one
    assert cell.mean_over(8, lambda lists: lists.share) == 1.0
    assert math.isnan(cell.mean_over(11, lambda lists: lists.share))
    assert cell.share_whole(11) == 0


def test_t_interval_covers_the_mean_in_95_of_100_studies():
    generator = np.random.default_rng(0)
    for count in (5, 10):
        drawn = generator.normal(13, 1.5, size=(4_000, count))
        means = [mean_of(values) for values in drawn]
        covers = np.mean([mean.low <= 13 <= mean.high for mean in means])
        assert covers == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 4_000))


def test_two_copies_of_a_cell_differ_in_5_of_100_studies():
    generator = np.random.default_rng(1)
    found = [
        mean_difference(*generator.normal(13, sizes, size=(5, 2)).T)
        for sizes in np.tile([[1.0, 1.0], [0.5, 2.0]], (1_500, 1))
    ]
    assert np.mean([one.differs for one in found]) == pytest.approx(0.05, abs=0.02)
    assert np.mean([one.p < 0.05 for one in found]) == np.mean([one.differs for one in found])


def test_two_networks_enclose_the_median_whatever_the_law():
    """Also where one network in ten fails altogether, which the t-interval does not cover."""
    generator = np.random.default_rng(2)
    for count, least in ((5, 0.9375), (12, 0.95)):
        failed = generator.random((4_000, count)) < 0.1
        drawn = np.where(failed, 1.0, generator.normal(13, 0.8, (4_000, count)))
        truth = np.median(np.where(generator.random(10**6) < 0.1, 1.0,
                                   generator.normal(13, 0.8, 10**6)))  # fmt: skip
        enclosed = [median_of(values) for values in drawn]
        covers = np.mean([found.low <= truth <= found.high for found in enclosed])
        assert covers > least - 4 * math.sqrt(0.95 * 0.05 / 4_000)
        means = [mean_of(values) for values in drawn]
        assert np.mean([mean.low <= 11.8 <= mean.high for mean in means]) < 0.85
    assert median_of([5, 6, 7, 8]) == (6.5, None, None)


def test_table_says_what_its_interval_covers_and_which_networks_failed(summary, rows):
    said = digit_spans_remarks(summary)
    assert any("where none of 5 fails, up to 45 % may do so all the same" in line for line in said)
    assert said[-1] == TWO_SPANS
    assert not any("less than half" in line for line in said)
    key, row = next(
        (key, row) for key, row in rows.items()
        if row.role == "span" and row.record.config.cell == "lstm"
    )  # fmt: skip
    record = made_up_recall(row.record.config, 2)
    failing = summarise_spans(CONFIG, {**rows, key: row._replace(record=record)})
    name = f"LSTM, n = {row.record.config.hidden_size}"
    expected = f"1 of 5 networks of {name} have less than half of the best one's mean span"
    assert any(expected in line for line in digit_spans_remarks(failing))


def test_a_single_network_has_no_interval():
    assert mean_of([7]) == (7, None, None, 1)
    assert mean_difference([7], [5, 6]).low is None
    assert not mean_difference([7], [1, 1]).differs
    assert math.isnan(mean_of([]).mean)


@pytest.mark.parametrize(("first", "second"), [([5, 5], [5, 5]), ([6, 6], [5, 5])])
def test_of_networks_without_spread_nothing_is_known(first, second):
    found = mean_difference(first, second)
    assert (found.low, found.high, found.p, found.differs) == (None, None, 1, False)


@pytest.mark.parametrize(
    ("spans", "rate"),
    [
        ({rate: 6 for rate in SPAN_RATES}, 1e-3),
        ({rate: 0 for rate in SPAN_RATES}, 1e-3),
        ({1e-2: 6, 3e-3: 6}, 3e-3),
        ({1e-4: 6, 3e-4: 6}, 3e-4),
    ],
)
def test_of_rates_that_are_equally_good_the_middle_one_is_taken_and_none_beyond(spans, rate):
    config = dataclasses.replace(CONFIG, cells=("lstm",), hidden_size=8)
    found = made_up_span_rows(config, lambda run: spans.get(run.learning_rate, 2))
    rates = {"tuning": set(), "span": set()}
    for row in found.values():
        rates[row.role].add(row.record.config.learning_rate)
    assert rates == {"tuning": set(SPAN_RATES), "span": {rate}}


def test_most_networks_that_fail_are_told():
    """Whether they are the middle one or not."""
    config = dataclasses.replace(CONFIG, cells=("rnn",), hidden_size=8, learning_rates=(0.01,))
    for spans, sentence in (
        ([1, 1, 1, 5, 5], "3 of 5 networks of RNN, n = 8 have less than half of the best one's"),
        ([0, 0, 0, 0, 0], "no network of RNN, n = 8 repeats lists of one item half of the time"),
    ):
        found = made_up_span_rows(config, lambda run, spans=spans: spans[run.seed % 10])
        said = digit_spans_remarks(summarise_spans(config, found))
        assert any(sentence in line for line in said)
    (cell,) = summarise_spans(config, found).cells
    assert cell.mean_span.low >= 0


def test_places_that_are_not_of_all_networks_are_told():
    config = dataclasses.replace(CONFIG, cells=("rnn",), hidden_size=8, learning_rates=(0.01,))
    found = made_up_span_rows(config, lambda run: 8 * (run.seed % 10 > 0))
    said = " ".join(digit_spans_remarks(summarise_spans(config, found)))
    assert "places are of the networks that were asked such lists, 4 of 5 of RNN, n = 8" in said
    whole = made_up_span_rows(config, lambda run: 8)
    assert "places are of" not in " ".join(digit_spans_remarks(summarise_spans(config, whole)))


def test_budget_is_up_to_where_a_network_ended_before_it(rows):
    assert "has read 25,600 lists" in " ".join(digit_spans_remarks(summarise_spans(CONFIG, rows)))
    key, row = next((key, row) for key, row in rows.items() if row.role == "span")
    ended = row._replace(record=dataclasses.replace(row.record, steps=200, end_state="solved"))
    said = " ".join(digit_spans_remarks(summarise_spans(CONFIG, {**rows, key: ended})))
    assert "has read up to 25,600 lists" in said


def test_nothing_is_said_of_networks_where_there_is_none():
    assert not any("networks" in line for line in network_remarks(summarise_spans(CONFIG, {})))


def test_comparison_says_what_must_be_known_of_its_spans(tmp_path, capsys):
    """Spans beyond the longest list, networks that fail, the luck of tuning."""
    config = dataclasses.replace(CONFIG, hidden_size=8, learning_rates=(0.01,))
    found = made_up_span_rows(
        config, lambda run: 12 if run.cell == "lstm" else 5 * (run.seed % 10 > 1) + run.seed % 2
    )
    with Store.create(tmp_path) as store:
        store.set_value("config", config.canonical)
        for row in found.values():
            store.add(row)
    assert main(["compare", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert ">= 12.0 (each)" in said
    assert re.search(r"LSTM.*RNN.* \* +│ +- +│|RNN.*LSTM.* \* +│ +- +│", said)
    assert "*: a span lies beyond the longest list" in said
    assert "2 of 5 networks of RNN, n = 8 have less than half" in said
    assert "the luck of tuning" in said
    assert main(["compare", str(tmp_path), "--json"]) == 0
    assert [pair["open"] for pair in json.loads(capsys.readouterr().out)["pairs"]] == [True]


def test_pairs_are_corrected_for_their_number():
    found = compare_cells({"a": [5, 6, 7], "b": [6, 7, 8], "c": [11, 12, 13]})
    assert list(found) == [("a", "b"), ("a", "c"), ("b", "c")]
    assert found["a", "b"].level == pytest.approx(1 - 0.05 / 3)
    assert found["a", "c"].adjusted_p > found["a", "c"].p
    assert [one.differs for one in found.values()] == [False, True, True]


def test_an_error_is_no_short_span(rows):
    key, row = next(
        (key, row) for key, row in rows.items()
        if row.role == "span" and row.record.config.cell == "rnn"
    )  # fmt: skip
    record = RunRecord.error(row.record.config, "its worker died 3 times")
    timing = Timing(seconds=0.0, finished=0.0, host="here", attempts=1)
    summary = summarise_spans(CONFIG, {**rows, key: Row(record, timing, "span")})
    (cell,) = [c for c in summary.cells if c.condition.cell == "rnn"
               and c.hidden_size == row.record.config.hidden_size]  # fmt: skip
    assert len(cell.recalled) == 4
    assert summary.missing == 1
    said = " ".join(digit_spans_remarks(summary))
    assert "1 runs ended in an error and are left out" in errors_text(summary)
    assert "error" not in said
    assert "still missing" not in said
    assert "4 networks a cell: a look, no claim" in said


def test_document_has_what_the_tables_have(summary, rows):
    document = json.loads(json.dumps(digit_spans_document(summary, rows)))
    assert [row["digit_span"] for row in document["digit_spans"]] == [
        cell.digit_span.mean for cell in summary.cells
    ]
    first = document["digit_spans"][2]
    assert (first["cell"], first["hidden_size"], first["state_size"]) == ("lstm", 8, 16)
    assert first["bits_a_unit"] == pytest.approx(2 * first["bits_a_number_of_state"])
    assert first["bits_a_unit"] == pytest.approx(first["capacity"] / 8)
    assert document["people"] == 5
    assert document["mask_control"]["holds"]
    first = document["by_length"][0]
    assert (first["items"], first["whole"], first["held_out"]) == (1, 1.0, False)
    assert len(document["runs"]) == len(rows)
    assert document["runs"][0]["recalled"]["lists"][0]["items"] == 1


# The mask control at every place


def with_masked(rows, masked):
    """The rows with the right answers of each network, of 100 lists a place, as `masked` says."""
    rows = dict(rows)
    for number, (key, row) in enumerate(rows.items()):
        right = tuple(masked(number))
        record = dataclasses.replace(
            row.record,
            recalled=row.record.recalled._replace(masked=right, masked_asked=100),
            masked_right=sum(right),
            masked_tested=100 * len(right),
        )
        rows[key] = row._replace(record=record)
    return rows


def test_one_place_of_one_network_that_leaks_is_found(rows):
    leaky = with_masked(rows, lambda number: (10, 10, 100 if number == 7 else 10, 9, 11, 10))
    summary = summarise_spans(CONFIG, leaky)
    mask = summary.mask
    assert mask.holds_together, "one place of many is lost among them"
    assert not mask.holds
    (leak,) = mask.leaks
    run = list(leaky.values())[7].record.config.run_id
    assert (leak.run, leak.length, leak.place) == (run, 12, 3)
    (said,) = [s for s in digit_spans_remarks(summary) if s.startswith("mask control")]
    assert said.startswith("mask control DOES NOT HOLD: something besides a place's digit tells")
    assert said.endswith(f"than chance allows alone of {run} at place 3 of 6 items (100 of 100)")
    document = json.loads(json.dumps(digit_spans_document(summary, leaky)))["mask_control"]
    assert not document["holds"]
    assert [(leak["run"], leak["place"]) for leak in document["leaks"]] == [(run, 3)]


def test_many_leaks_are_counted_and_three_named(rows):
    mask = mask_control(row.record for row in with_masked(rows, lambda _: (10, 100)).values())
    assert len(mask.leaks) == len(rows)
    assert leaks_text(mask).count("place 2 of 2 items (100 of 100)") == 3
    assert leaks_text(mask).endswith(f", {len(rows) - 3} more")


def test_chance_alone_is_no_leak(rows):
    """0.001 in all: of 50 studies of networks that guess, one in twenty times has any."""
    found = []
    for seed in range(50):
        generator = np.random.default_rng(seed)
        guessed = with_masked(
            rows, lambda _, drawn=generator: drawn.binomial(100, 0.1, 9).tolist()
        )
        found.append(mask_control(row.record for row in guessed.values()).leaks)
    assert not any(found)


@pytest.mark.parametrize(("right", "leaks"), [(30, False), (50, False), (100, True)])
def test_ten_lists_of_one_digit_are_ten_and_no_hundred(rows, right, leaks):
    """Each is asked ten times: three right by chance are 30 of 100, which 100 lists never have."""
    one = with_masked(rows, lambda number: (right,) if number == 0 else (10,))
    assert bool(mask_control(row.record for row in one.values()).leaks) is leaks


# The commands


def test_tables_fit_into_80_columns_unbroken(folder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["show", str(folder)]) == 0
    said = capsys.readouterr().out.splitlines()
    heads = [k for k, line in enumerate(said) if line.strip("┃ ").startswith("cell ")]
    tables = [line for k in heads for line in said[k : k + 5]]  # a rule and rows below each
    assert max(map(len, tables)) <= 80
    heads = "\n".join(f"{said[k]} " for k in heads)
    for head in ("digit span [95 %]", "median [94 %]", "start", "at it", "parameters", "by chance",
                 "bits [95 %]", "state", "bits/unit", "bits/state"):  # fmt: skip
        assert f" {head} " in heads
    assert any("orthogonal" in line for line in tables)


def test_show_prints_spans_and_draws_figures(folder, capsys):
    assert main(["show", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "Digit span, backward, in items: 5 networks each," in said
    assert "7.2 [6.2, 8.2]" in said
    assert "7.0 [6.0, 8.0]" in said  # the median network, and the lowest and the highest
    assert TWO_SPANS in said
    assert "orthogonal" in said
    assert "people repeat about 5 digits backward" in said
    names = ["recall-by-items", "digit-span", "serial-position", "span-by-steps", "capacity"]
    assert {f"{name}.{kind}" for name in names for kind in ("svg", "png")} < {
        path.name for path in folder.iterdir()
    }


def test_show_as_csv_and_json(folder, capsys):
    assert main(["show", str(folder), "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["cell"] for row in rows] == ["rnn", "rnn", "lstm", "lstm"]
    assert float(rows[0]["mean_span"]) == pytest.approx(7)
    assert main(["show", str(folder), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["digit_spans"]) == 4


def test_runs_that_the_table_does_not_use_are_marked(rows, tmp_path, capsys):
    """A network at a rate that was the best one before stands beside those that count."""
    network = next(row for row in rows.values() if row.role == "span")
    before = dataclasses.replace(network.record.config, learning_rate=0.007)
    both = rows | {before.key: network._replace(record=made_up_recall(before, 3))}
    with Store.create(tmp_path) as store:
        store.replace_all(both, CONFIG.canonical)
    study = digitspan.Study.load(tmp_path)
    assert {row["key"] for row in study.rows() if not row["counted"]} == {before.key}
    assert main(["export", str(tmp_path)]) == 0
    exported = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert {row["key"] for row in exported if row["counted"] != "True"} == {before.key}
    runs = digit_spans_document(study.summary, both)["runs"]
    assert {run["key"] for run in runs if not run["counted"]} == {before.key}


def test_export_has_role_task_and_spans(folder, rows, capsys):
    assert main(["export", str(folder)]) == 0
    exported = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(exported) == len(rows)
    assert {row["role"] for row in exported} == {"tuning", "span"}
    assert {(row["task"], row["order"], row["items"]) for row in exported} == {
        ("recall", "backward", "12")
    }
    for row in exported:
        recalled = rows[row["key"]].record.recalled
        assert float(row["mean_span"]) == pytest.approx(recalled.mean_span)
        assert row["digit_span"] == str(recalled.digit_span)


def test_compare_has_all_pairs(folder, capsys):
    assert main(["compare", str(folder), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [one["condition"] for one in document["conditions"]] == [
        "RNN, n = 8",
        "RNN, n = 16",
        "LSTM, n = 8",
        "LSTM, n = 16",
    ]
    pairs = {(one["first"], one["second"]): one for one in document["pairs"]}
    assert len(pairs) == 6
    assert pairs["RNN, n = 8", "LSTM, n = 8"]["difference"] == pytest.approx(-2)
    assert main(["compare", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "Difference of mean spans; intervals at 99.17 %" in said
    assert TWO_SPANS in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["hold", "STUDY"], "was trained to recall whole lists, and the holding span is how long"),
        (["handin", "STUDY", "--surname", "Abc", "--matriculation", "01234567"],
         "is of the task recall, the sheet asks palindrome"),
        (["look", "STUDY"], "has no finished network that can be looked into"),
        (["show", "STUDY", "--why"], "--why must be left out"),
        (["compare", "STUDY", "--budget", "100"], "--budget must be left out of digit spans"),
    ],
)  # fmt: skip
def test_what_it_is_no_study_for_is_refused_in_a_sentence(words, sentence, folder, capsys):
    given = [str(folder) if word == "STUDY" else word for word in words]
    assert main(given) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert len(said.strip().splitlines()) == 1


def test_digit_spans_are_not_compared_with_retention_spans(folder, tmp_path, capsys):
    other = tmp_path / "other"
    other.mkdir()
    with Store.create(other) as store:
        store.set_value("config", StudyConfig(train_steps=400).canonical)
    assert main(["compare", str(folder), str(other)]) == 2
    assert "in steps, and another study digit spans, in items" in capsys.readouterr().err


def test_a_study_of_digit_spans_is_not_compared_with_itself(folder, rows, tmp_path, capsys):
    assert main(["compare", str(folder), str(folder / "study.db")]) == 2
    assert "study.db is named twice, and no condition is compared with" in capsys.readouterr().err
    part = tmp_path / "part"
    part.mkdir()
    with Store.create(part) as store:
        store.set_value("config", dataclasses.replace(CONFIG, cells=("rnn",)).canonical)
        for row in rows.values():
            if row.record.config.cell == "rnn":
                store.add(row)
    assert main(["compare", str(folder), str(part)]) == 2
    assert "all runs of" in capsys.readouterr().err


def test_one_cell_is_not_compared_and_missing_runs_are_said(rows, tmp_path, capsys):
    with Store.create(tmp_path) as store:
        store.set_value("config", CONFIG.canonical)
        for row in rows.values():
            run = row.record.config
            if row.role == "tuning" or (run.cell, run.hidden_size) == ("lstm", 8):
                store.add(row)
    assert main(["compare", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "1 cell with finished networks in" in said
    assert "15 runs are missing; expected two or more" in said


def test_labels_name_what_differs(summary):
    assert [label(summary, cell) for cell in summary.cells][:2] == ["RNN, n = 8", "RNN, n = 16"]
    two = dataclasses.replace(CONFIG, initialisation=("uniform", "orthogonal"), hidden_size=8)
    found = summarise_spans(two, made_up_span_rows(two, span_of))
    assert label(found, found.cells[0]) == "RNN, n = 8, uniform"


# From one end to the other, trained for real

TINY = (
    "study", "span", "--cells", "rnn", "--hidden-size", "6", "--seeds", "2", "--train-steps", "50",
    "--batch-size", "8", "--learning-rates", "0.003", "0.03", "--items", "4", "--workers", "1",
)  # fmt: skip


@pytest.mark.timeout(900)  # it begins workers, which import torch
def test_study_ends_is_resumed_and_says_the_same(tmp_path, capsys):
    folder = tmp_path / "study"
    assert main([*TINY, "--out", str(folder)]) == 0
    said = capsys.readouterr()
    assert "Digit span, backward, in items: 2 networks each," in said.out
    assert (folder / "recall-by-items.png").exists()
    assert main(["export", str(folder)]) == 0
    before = capsys.readouterr().out
    rows = list(csv.DictReader(io.StringIO(before)))
    assert sorted(row["role"] for row in rows) == ["span"] * 2 + ["tuning"] * 4
    assert len(list((folder / "weights").iterdir())) == 2

    with Store.create(folder) as store:  # as if it had been killed: half of its rows are gone
        kept = {key: row for key, row in store.rows().items() if row.role == "tuning"}
        store.replace_all(kept, store.value("config"))
    assert main([*TINY, "--out", str(folder), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["missing"] == 0
    assert main(["export", str(folder)]) == 0
    assert capsys.readouterr().out == before
    kept = {path.stem for path in (folder / "weights").iterdir()}
    assert main(["hold", f"{folder}:{min(kept)}"]) == 2
    assert "Traceback" not in capsys.readouterr().err
    page = folder / "page.html"
    for one in (folder, f"{folder}:{min(kept)}"):
        assert main(["look", str(one), "-o", str(page)]) == 0
        assert "digit span" in page.read_text(encoding="utf-8")


def test_study_that_was_killed_before_its_first_row_is_gone_on_with(tmp_path):
    """Its folder says which study it is; words beside --out may still ask for another."""
    config = dataclasses.replace(CONFIG, order="forward", seeds=2)
    with Store.create(tmp_path) as store:
        store.set_value("config", config.canonical)
    asked = [command_parser("study").parse_args(["--out", str(tmp_path), *words])
             for words in ([], ["--cells", "gru"])]  # fmt: skip
    alone, other = (study_command._config(options)[0] for options in asked)
    assert alone == config
    assert (other.cells, other.design) == (("gru",), "joint")
