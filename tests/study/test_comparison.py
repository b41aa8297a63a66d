"""`digitspan compare`: all pairs of conditions, and the same values in every form."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import json
import random

import pytest
from rich.console import Console
from studies import made_up_record, made_up_rows

from digitspan.cli import main
from digitspan.study.comparison import (
    comparison_csv,
    comparison_document,
    comparison_tables,
    conditions_of,
    left_out,
    ratio_text,
)
from digitspan.study.config import StudyConfig
from digitspan.study.ratio import Ratio, compare_all, holm
from digitspan.study.reading import read_study
from digitspan.study.store import Store

LIMIT = {"rnn": 10, "lstm": 45, "gru": 45}
CONFIG = StudyConfig(
    cells=("rnn", "lstm", "gru"), lengths=(5, 7, 10, 14, 20, 28, 40, 57, 80), seeds=8,
    train_steps=1_000,
)  # fmt: skip


def rule(config):
    """Solved up to its cell's limit, give or take the run's own luck."""
    luck = random.Random(config.key).gauss(0, 0.3)
    return config.length * 2.718**luck <= LIMIT[config.cell]


def kept(folder, config, rule=rule, change=lambda row: row):
    """A study made up by a rule, as a store."""
    folder.mkdir(exist_ok=True)
    with Store.create(folder) as store:
        store.set_value("config", config.canonical)
        for row in made_up_rows(config, rule).values():
            store.add(change(row))
    return folder


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return kept(tmp_path_factory.mktemp("study"), CONFIG)


def said(capsys, *words):
    """The status of a command, what it printed, and what it said."""
    capsys.readouterr()
    status = main(["compare", *map(str, words)])
    return status, *capsys.readouterr()


def pairs(capsys, *words):
    status, out, _ = said(capsys, *words, "--json")
    assert status == 0
    return {(pair["first"], pair["second"]): pair for pair in json.loads(out)["pairs"]}


def test_all_pairs_of_conditions_are_compared(study, capsys):
    found = pairs(capsys, study)
    assert set(found) == set(itertools.combinations(("RNN", "LSTM", "GRU"), 2))
    assert found["RNN", "LSTM"]["differs"]
    assert found["RNN", "LSTM"]["high"] < 1
    assert found["RNN", "LSTM"]["adjusted_p"] < 0.05
    assert not found["LSTM", "GRU"]["differs"]
    assert found["LSTM", "GRU"]["adjusted_p"] > 0.05


def test_p_values_are_holms_and_intervals_are_wider_for_more_pairs(study, capsys):
    found = pairs(capsys, study)
    p = [pair["p"] for pair in found.values()]
    assert [pair["adjusted_p"] for pair in found.values()] == holm(p)
    assert {pair["level"] for pair in found.values()} == {1 - 0.05 / 3}
    assert all(pair["adjusted_p"] >= pair["p"] for pair in found.values())


def test_a_pair_is_one_ratio_whatever_else_is_compared(study, tmp_path, capsys):
    two = kept(tmp_path / "two", dataclasses.replace(CONFIG, cells=("rnn", "lstm")))
    (alone,), all_of_them = pairs(capsys, two).values(), pairs(capsys, study)
    beside = all_of_them["RNN", "LSTM"]
    assert alone["ratio"] == beside["ratio"]
    assert alone["p"] == beside["p"]
    assert beside["low"] <= alone["low"] < alone["high"] <= beside["high"]


def test_json_and_csv_have_the_same_values(study, capsys):
    _, out, _ = said(capsys, study, "--json")
    document = json.loads(out)
    _, text, _ = said(capsys, study, "--csv")
    read = list(csv.DictReader(io.StringIO(text)))
    assert len(read) == len(document["pairs"]) == 3
    for line, pair in zip(read, document["pairs"], strict=True):
        assert list(line) == list(pair)
        assert line == {name: "" if value is None else str(value) for name, value in pair.items()}


def test_the_same_rows_give_the_same_bytes(study, capsys):
    for form in ("--json", "--csv"):
        first = said(capsys, study, form)
        assert said(capsys, study, form) == first
    conditions, budget = conditions_of([read_study(study)])
    assert comparison_document(conditions, budget)["pairs"] == json.loads(
        said(capsys, study, "--json")[1]
    )["pairs"]  # fmt: skip
    assert comparison_csv(conditions) == said(capsys, study, "--csv")[1]


def test_spans_stand_beside_parameters_steps_and_seconds(study, capsys):
    def sized(row):
        size = {"rnn": 17, "lstm": 68, "gru": 51}[row.record.config.cell]
        return row._replace(record=dataclasses.replace(row.record, parameters=size))

    folder = kept(study.parent / "sized", CONFIG, change=sized)
    _, out, _ = said(capsys, folder, "--json")
    found = {one["condition"]: one for one in json.loads(out)["conditions"]}
    assert {name: one["parameters"] for name, one in found.items()} == {
        "RNN": 17, "LSTM": 68, "GRU": 51,
    }  # fmt: skip
    assert {one["steps_to_solve_median"] for one in found.values()} == {250}
    assert {one["seconds_a_run_median"] for one in found.values()} == {2.0}
    _, table, _ = said(capsys, folder)
    for word in ("parameters", "steps to solve", "a run takes", "RNN", "LSTM", "GRU", "Holm"):
        assert word in table


def test_a_smaller_budget_is_compared_from_the_same_rows(study, capsys):
    """No run was solved before step 250: within 200 steps nobody has a span."""
    _, out, _ = said(capsys, study, "--json", "--budget", 200)
    document = json.loads(out)
    assert document["budget"] == 200
    assert {one["bound"] for one in document["conditions"]} == {"<="}
    assert {one["steps_to_solve_median"] for one in document["conditions"]} == {None}
    assert {pair["bound"] for pair in document["pairs"]} == {"?"}
    assert not any(pair["differs"] for pair in document["pairs"])
    _, table, _ = said(capsys, study, "--budget", 200)
    assert "not known" in table


@pytest.mark.parametrize("budget", [0, -5, 1_001])
def test_a_budget_that_was_not_run_is_refused(budget, study, capsys):
    status, out, err = said(capsys, study, f"--budget={budget}")
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    if budget < 1:
        assert "--budget must be a whole number from 1 to" in err
    else:
        assert "--budget must be from 1 to 1,000, the shortest of the studies' budgets" in err


def test_conditions_of_several_studies_are_compared_within_the_smaller_budget(
    study, tmp_path, capsys
):
    config = dataclasses.replace(CONFIG, cells=("lstm",), hidden_size=64, train_steps=2_000)
    other = kept(tmp_path / "other", config)
    _, out, _ = said(capsys, study, other, "--json")
    document = json.loads(out)
    assert document["budget"] == 1_000
    names = [one["condition"] for one in document["conditions"]]
    assert len(set(names)) == 4
    assert len(document["pairs"]) == 6
    assert sum("n = 64" in name for name in names) == 1


def test_two_studies_of_the_same_settings_are_told_apart_by_their_folders(study, tmp_path, capsys):
    other = kept(tmp_path / "again", dataclasses.replace(CONFIG, max_grad_norm=1.0))
    _, out, _ = said(capsys, study, other, "--json")
    names = [one["condition"] for one in json.loads(out)["conditions"]]
    assert len(set(names)) == 6
    assert sum(str(other) in name for name in names) == 3


def test_a_study_is_not_compared_with_itself(study, capsys):
    for again in (study, study / "study.db", study / ".." / study.name):
        status, out, err = said(capsys, study, again)
        assert (status, out, len(err.splitlines())) == (2, "", 1)
        assert "is named twice" in err


def test_a_copy_of_a_study_is_not_compared_with_it(study, tmp_path, capsys):
    copy = kept(tmp_path / "copy", dataclasses.replace(CONFIG, cells=("rnn", "gru")))
    status, out, err = said(capsys, copy, study)
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert f"all runs of {copy / 'study.db'} are in {study / 'study.db'} too" in err


RATES = dataclasses.replace(
    CONFIG, cells=("rnn", "lstm"), lengths=(5, 14, 40), learning_rates=(1e-3, 3e-3, 1e-2), seeds=3
)


def test_spans_that_share_their_runs_are_not_compared(tmp_path, capsys):
    """A grid's tuned span comes of the runs of its single rates."""
    conditions, budget = conditions_of([read_study(kept(tmp_path / "grid", RATES))])
    told = comparison_document(conditions, budget)
    found = {(pair["first"], pair["second"]): pair for pair in told["pairs"]}
    assert len(found) == 8 * 7 // 2 - 6
    assert ("RNN, tuned", "LSTM, tuned") in found
    for cell, rate in itertools.product(("RNN", "LSTM"), ("0.001", "0.003", "0.01")):
        assert (f"{cell}, rate {rate}", f"{cell}, tuned") not in found
    assert len(told["left_out"]) == 6
    assert {pair["level"] for pair in found.values()} == {1 - 0.05 / 22}
    assert left_out(conditions).startswith("6 pairs are left out, whose spans come of the same")
    assert "such as RNN, rate 0.001 and RNN, tuned" in left_out(conditions)


def test_nothing_is_left_out_where_no_run_is_shared(study, capsys):
    assert "left out" not in said(capsys, study)[1]


def test_one_cell_at_several_rates_is_compared_at_them_but_not_tuned(tmp_path, capsys):
    folder = kept(tmp_path / "one", dataclasses.replace(RATES, cells=("rnn",)))
    assert set(pairs(capsys, folder)) == set(
        itertools.combinations(("RNN, rate 0.001", "RNN, rate 0.003", "RNN, rate 0.01"), 2)
    )
    assert "3 pairs are left out" in said(capsys, folder)[1]


def test_studies_of_two_tasks_are_refused(study, tmp_path, capsys):
    other = kept(tmp_path / "latch", dataclasses.replace(CONFIG, task="first-symbol"))
    status, out, err = said(capsys, study, other)
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert "is of palindrome" in err
    assert "study.db of first-symbol; compare studies of one task" in err


def test_a_study_without_a_finished_run_is_refused(tmp_path, capsys):
    empty = kept(tmp_path / "empty", CONFIG, change=lambda row: row._replace(
        record=type(row.record).error(row.record.config, "no memory")
    ))  # fmt: skip
    status, out, err = said(capsys, empty)
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert "there is nothing to compare: no condition with finished runs" in err


def test_one_condition_alone_is_refused(tmp_path, capsys):
    one = kept(tmp_path / "one", dataclasses.replace(CONFIG, cells=("rnn",)))
    status, out, err = said(capsys, one)
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert "there is nothing to compare: 1 condition with finished runs" in err


def test_a_joint_study_is_compared_tuned_and_at_its_fixed_rate(tmp_path, capsys):
    config = StudyConfig(
        longest=80, runs=36, figure_seeds=1, train_steps=1_000, fixed_rate=1e-3, fixed_runs=16
    )
    folder = kept(tmp_path / "joint", config)
    found = pairs(capsys, folder)
    assert len(found) == 6
    assert ("RNN, tuned", "LSTM, tuned") in found
    assert ("RNN, rate 0.001", "LSTM, rate 0.001") in found


def test_tables_fit_80_columns_and_cut_no_name_and_no_interval(tmp_path):
    config = StudyConfig(
        cells=("lstm", "mingru"), encoding=("one-hot", "scalar"), lengths=(5, 20, 80), seeds=4,
        initialisation=("uniform", "chrono"), learning_rates=(1e-3, 1e-2), train_steps=1_000,
    )  # fmt: skip
    folder = kept(tmp_path / "wide", config, lambda run: run.length < 40)
    conditions, budget = conditions_of([read_study(folder)])
    for table in comparison_tables(conditions[:4], budget):
        console = Console(width=80, markup=False, record=True, file=io.StringIO())
        console.print(table)
        text = console.export_text()
        assert max(map(len, text.splitlines())) <= 80
        assert "…" not in text
        rows = [line.split("│")[1:-1] for line in text.splitlines() if "│" in line]
        said = "".join(" ".join(row[0].strip() for row in rows).split())
        for one in conditions[:3]:
            assert "".join(one.name.split()) in said
        (interval,) = [c for c in table.columns if str(c.header) in ("S50 [95 %]", "ratio")]
        assert all(cell in text for cell in interval.cells)


def test_open_ends_stay_open(tmp_path, capsys):
    """All LSTMs are solved: how much longer their span is nobody knows."""
    config = dataclasses.replace(CONFIG, cells=("lstm", "rnn"))
    folder = kept(tmp_path / "open", config, lambda run: run.cell == "lstm" or rule(run))
    (pair,) = pairs(capsys, folder).values()
    assert (pair["high"], pair["bound"], pair["differs"]) == (None, ">=", True)
    assert pair["low"] > 2
    _, table, _ = said(capsys, folder)
    assert ", open]" in table


def test_an_interval_that_begins_open_is_printed(tmp_path, capsys):
    config = dataclasses.replace(CONFIG, cells=("rnn", "lstm"))
    folder = kept(tmp_path / "open", config, lambda run: run.cell == "lstm" or rule(run))
    _, table, _ = said(capsys, folder)
    assert "[open, 0." in table, "taken for markup"


def test_errors_count_for_no_condition(study, tmp_path, capsys):
    def failed(row):
        if row.record.config.seed > 5 and row.record.config.cell == "rnn":
            return row._replace(record=type(row.record).error(row.record.config, "no memory"))
        return row

    fewer = kept(tmp_path / "fewer", CONFIG, change=failed)
    _, out, _ = said(capsys, fewer, "--json")
    runs = {one["condition"]: one["runs"] for one in json.loads(out)["conditions"]}
    assert runs == {"RNN": 9 * 6, "LSTM": 9 * 8, "GRU": 9 * 8}


def test_early_runs_of_an_unfinished_study_can_be_compared(tmp_path, capsys):
    rows = made_up_rows(CONFIG, rule)
    with Store.create(tmp_path) as store:
        store.set_value("config", CONFIG.canonical)
        for row in rows.values():
            if row.record.config.length in (5, 20, 57):
                store.add(row)
    assert len(pairs(capsys, tmp_path)) == 3


def test_ratios_are_written_with_their_bounds():
    def ratio(value, low, high, bound="", *, marked=False):
        return ratio_text(Ratio(value, low, high, bound, 0.95, 0.1, 0.1, marked))

    assert ratio(3.8, 2.51, 5.0) == "3.80 [2.51, 5.00]"
    assert ratio(3.8, 2.51, None, ">=") == ">= 3.80 [2.51, open]"
    assert ratio(0.3, None, 0.5, "<=", marked=True) == "<= 0.30 [open, 0.50] *"
    assert ratio(1.0, None, None, "?") == "not known"


def test_two_copies_of_a_cell_seldom_differ():
    """Spans of the same truth; 60 pairs, of which 5 % may differ, and chance some more."""
    from digitspan.study.plan import as_run
    from digitspan.study.retention import measure_span

    config = dataclasses.replace(CONFIG, cells=("lstm",), lengths=(14, 28, 57, 80), seeds=6)

    def span(number):
        records = [
            made_up_record(
                run := row.record.config,
                solved=run.length * 2.718 ** random.Random(f"{run.key} {number}").gauss(0, 0.3)
                <= 40,
            )
            for row in made_up_rows(config, lambda run: True).values()
        ]
        return measure_span(map(as_run, records), 1_000, rate=1e-3)

    differ = sum(
        next(iter(compare_all({"a": span(2 * n), "b": span(2 * n + 1)}).values())).differs
        for n in range(60)
    )
    assert differ <= 8
