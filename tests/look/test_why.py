"""Why a run was not solved: what is said of one, and that no cause is told without a contrast."""

import dataclasses
import json
import re

import pytest
from studies import made_up_record, made_up_rows

from digitspan.cli import main
from digitspan.look import contrasts as contrasts_module
from digitspan.look.contrasts import Start, contrasts
from digitspan.look.why import why_not_solved
from digitspan.runs.config import RunConfig
from digitspan.runs.record import CurvePoint, RunRecord
from digitspan.study.config import StudyConfig
from digitspan.study.store import Store

CONFIG = RunConfig(cell="rnn", length=20, hidden_size=16, train_steps=1_000)
UNSOLVED = made_up_record(CONFIG, solved=False)

CAUSE = re.compile(
    "vanish|explode|saturated|gradient|clipped|not moved|is (higher|lower)|because|too large", re.I
)
"""What a sentence without a contrast must not say."""


def curve(*accuracies, losses=None):
    losses = losses or [2.3] * len(accuracies)
    return tuple(
        CurvePoint(50 * (k + 1), loss, loss, accuracy)
        for k, (accuracy, loss) in enumerate(zip(accuracies, losses, strict=True))
    )


def changed(**fields):
    return dataclasses.replace(UNSOLVED, **fields)


# One run, which has nothing to be compared with --------------------------------------------------

CASES = {
    "stood still": (
        changed(clipped_share=0.9),
        "Its budget of 1,000 steps ended first: over the last fifth its validation loss went from "
        "2.30 to 2.30 nats (guessing is 2.30).",
    ),
    "still learning": (
        changed(curve=curve(*[0.3] * 5, losses=[2, 1.8, 1.5, 1.25, 1])),
        "Its budget of 1,000 steps ended first: over the last fifth its validation loss went from "
        "1.25 to 1.00 nats (guessing is 2.30).",
    ),
    "learned and lost": (
        changed(curve=curve(0.1, 0.7, 0.12, losses=[2.3, 0.9, 6.5])),
        "Its budget of 1,000 steps ended first: it had learned and lost it again, 70 % at step "
        "100 and 12 % at the end.",
    ),
    "one evaluation": (
        changed(curve=curve(0.1)),
        "Its budget of 1,000 steps ended first, its validation loss at 2.30 nats (guessing is "
        "2.30).",
    ),
    "no curve": (changed(curve=()), "Its budget of 1,000 steps ended first."),
    "error": (RunRecord.error(CONFIG, "its worker died"), "It came to no end: its worker died."),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_single_run_is_described_and_no_cause_is_told(case):
    record, sentence = CASES[case]
    assert why_not_solved(record) == sentence
    assert not CAUSE.search(sentence)


def test_diverged_run_has_a_fact_of_its_own():
    assert why_not_solved(changed(end_state="diverged", steps=77, clipped_share=0.5)) == (
        "It diverged: the loss was beyond 1,000 nats or no longer finite at step 77; 50 % of the "
        "steps before had been clipped to norm 10."
    )


def test_solved_run_needs_no_reason():
    assert why_not_solved(made_up_record(CONFIG, solved=True)) == ""


# Runs of a study ---------------------------------------------------------------------------------


def records(solved=8, unsolved=8, **fields):
    """Runs that differ in nothing but the seed, the solved ones first; 50 steps are alike."""
    found = []
    for seed in range(solved + unsolved):
        config = dataclasses.replace(CONFIG, seed=seed)
        record = made_up_record(config, solved=seed < solved)
        end = [1.0, 1.0] if record.solved else [0.1] * 19
        losses = [2.2, *[0.01 if record.solved else 2.3] * len(end)]
        found.append(dataclasses.replace(record, curve=curve(0.1, *end, losses=losses), **fields))
    return found


def with_start(some, solved, unsolved):
    """The groups of records whose networks begin in one of two ways, a hair apart by seed."""
    starts = {}
    for record in some:
        start = solved if record.solved else unsolved
        ratio = start.ratio * (1 + record.config.seed / 1_000)
        starts[record.config] = start._replace(ratio=ratio)
    return contrasts(some, starts.get)


def first_unsolved(some, at=50, **fields):
    """The same records, the evaluation at a step changed in those that were not solved."""
    return [
        record
        if record.solved
        else dataclasses.replace(
            record,
            curve=tuple(p._replace(**fields) if p.step == at else p for p in record.curve),
        )
        for record in some
    ]


HEALTHY = Start(0.5, 0.1)

TOLD = {
    "vanish": (
        records(), HEALTHY, Start(2e-9, 0.1),
        "before training gradients vanish, ||dL/dh(1)|| / ||dL/dh(T-1)|| is 2e-09, against a "
        "median of 2e-09 in the unsolved and 0.5 in the solved (p = 0.0006)",
    ),
    "explode": (
        records(), HEALTHY, Start(2e9, 0.1),
        "before training gradients explode, ||dL/dh(1)|| / ||dL/dh(T-1)|| is 2e+09, against a "
        "median of 2e+09 in the unsolved and 0.5 in the solved (p = 0.0006)",
    ),
    "smaller": (
        records(), HEALTHY, Start(0.3, 0.1),
        "before training the gradient at step 1 is smaller, ||dL/dh(1)|| / ||dL/dh(T-1)|| is "
        "0.3, against a median of 0.3 in the unsolved and 0.5 in the solved (p = 0.0006)",
    ),
    "larger": (
        records(), Start(2e-9, 0.1), Start(4e-5, 0.1),
        "before training the gradient at step 1 is larger, ||dL/dh(1)|| / ||dL/dh(T-1)|| is "
        "4e-05, against a median of 4e-05 in the unsolved and 2e-09 in the solved (p = 0.0006)",
    ),
    "saturated": (
        records(), HEALTHY, Start(0.5, 0.93),
        "before training the state is saturated, the share beyond 0.95 in size is 93.0%, against "
        "a median of 93.0% in the unsolved and 10.0% in the solved (p = 0.0006)",
    ),
    "less saturated": (
        records(), HEALTHY, Start(0.5, 0.02),
        "before training less of the state is saturated, the share beyond 0.95 in size is 2.0%, "
        "against a median of 2.0% in the unsolved and 10.0% in the solved (p = 0.0006)",
    ),
    "loss": (
        first_unsolved(records(), validation_loss=2.3), HEALTHY, HEALTHY,
        "at step 50 the loss has not moved, at 2.3 nats, against a median of 2.3 in the "
        "unsolved and 2.2 in the solved (p = 0.0006)",
    ),
    "lower loss": (
        first_unsolved(records(), validation_loss=1.5), HEALTHY, HEALTHY,
        "at step 50 the loss is lower, at 1.5 nats, against a median of 1.5 in the "
        "unsolved and 2.2 in the solved (p = 0.0006)",
    ),
    "accuracy": (
        first_unsolved(records(), validation_accuracy=0.05), HEALTHY, HEALTHY,
        "at step 50 the validation accuracy is lower, at 5.0%, against a median of 5.0% in the "
        "unsolved and 10.0% in the solved (p = 0.0006)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TOLD)
def test_what_differs_is_told_with_its_direction(case):
    some, solved, unsolved, told = TOLD[case]
    groups = with_start(some, solved, unsolved)
    if "ratio" not in told and "gradient" not in told:
        groups = contrasts(some, lambda config: solved if config.seed < 8 else unsolved)
    sentence = why_not_solved(some[8], groups)
    start = "What tells the 8 unsolved runs like it (T = 20, rate 0.001) from the 8 solved ones: "
    assert sentence.partition("(guessing is 2.30). ")[2] == f"{start}{told}."


def test_what_all_runs_have_is_no_cause():
    """Gradients vanish, the state is saturated, the loss stands still: in solved runs as well."""
    some = records(clipped_share=1.0)
    groups = contrasts(some, lambda config: Start(1e-12, 0.99))
    for record in some[8:]:
        sentence = why_not_solved(record, groups)
        assert not CAUSE.search(sentence)
        assert sentence.endswith(
            " Nothing that was measured tells the 8 unsolved runs like it (T = 20, rate 0.001) "
            "from the 8 solved ones."
        )


def test_clipping_is_known_of_whole_runs_only_and_no_cause():
    some = [r if r.solved else dataclasses.replace(r, clipped_share=1.0) for r in records()]
    sentence = why_not_solved(some[8], contrasts(some, lambda config: HEALTHY))
    assert not CAUSE.search(sentence)


def test_too_few_runs_are_counted_and_not_compared():
    some = records(4, 9)
    sentence = why_not_solved(some[-1], contrasts(some, lambda config: Start(1e-12, 0.99)))
    assert not CAUSE.search(sentence)
    assert sentence.endswith(
        " Of the runs like it (T = 20, rate 0.001) 9 were not solved and 4 were, too few to tell "
        "them apart: that takes 5 of each."
    )


def test_run_on_the_solved_side_is_not_given_the_cause_of_the_others():
    some = records(8, 9)
    odd = some[-1].config
    starts = {r.config: Start(0.5 if r.solved else 1e-9, 0.1) for r in some} | {odd: Start(0.9, 0)}
    groups = contrasts(some, starts.get)
    assert "gradients vanish" in why_not_solved(some[8], groups)
    sentence = why_not_solved(some[-1], groups)
    assert not CAUSE.search(sentence)
    assert sentence.endswith("from the 8 solved ones does not hold for this run.")


def test_diverged_run_of_a_study_is_not_contrasted():
    record = changed(end_state="diverged", steps=77)
    groups = with_start(records(), HEALTHY, Start(2e-9, 0.1))
    assert why_not_solved(record, groups) == why_not_solved(record)


# Commands ----------------------------------------------------------------------------------------

SHORT = ["--length", "8", "--train-steps", "100", "--hidden-size", "8", "--batch-size", "16"]


def test_train_says_how_it_went_and_no_cause(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    said = []
    for _ in range(2):  # the second call shows what the first one kept
        assert main(["train", "rnn", *SHORT, "--out", "run"]) == 0
        said.append(capsys.readouterr().out.splitlines()[1])
    assert said[0].startswith("Its budget of 100 steps ended first: over the last fifth its")
    assert not CAUSE.search(said[0])
    assert said[1] == said[0]
    assert main(["train", "rnn", *SHORT, "--out", "run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["why"] == said[0]


def test_train_says_nothing_more_of_a_solved_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "lstm", "--length", "3", "--learning-rate", "0.01"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


GRID = StudyConfig(cells=("rnn",), lengths=(10,), seeds=16, hidden_size=8, train_steps=1_000)

JOINT = StudyConfig(
    cells=("rnn",), longest=20, runs=20, figure_seeds=10, hidden_size=8, train_steps=1_000
)


def kept(folder, config):
    """A study of which every second seed was solved; no weights are kept."""
    rows = made_up_rows(config, lambda run: run.seed % 2 == 0)
    with Store.create(folder) as store:
        store.set_value("config", config.canonical)
        for row in rows.values():
            store.add(row)
    return rows


def shown(folder, capsys):
    assert main(["show", str(folder), "--why", "--json"]) == 0
    return json.loads(capsys.readouterr().out)["why"]


@pytest.mark.parametrize("config", [GRID, JOINT], ids=["grid", "joint"])
def test_show_says_it_of_every_unsolved_figure_or_grid_run(config, tmp_path, capsys):
    rows = kept(tmp_path, config)
    why = shown(tmp_path, capsys)
    asked = [key for key, row in rows.items() if row.role in ("figure", "grid")]
    assert asked
    assert set(why) == {key for key in asked if not rows[key].record.solved}
    for sentence in why.values():  # as the seeds fall, nothing differs
        assert "Nothing that was measured tells the" in sentence
        assert not CAUSE.search(sentence)
    assert main(["show", str(tmp_path), "--why", "--no-figures"]) == 0
    assert "Nothing that was" in capsys.readouterr().out
    assert main(["show", str(tmp_path), "--json"]) == 0
    assert "why" not in json.loads(capsys.readouterr().out)


def vanishing_where_unsolved(config):
    """What networks would show if those that are not solved began worse."""
    return Start(0.5 if config.seed % 2 == 0 else 1e-9, 0.1)


def test_show_tells_a_cause_that_is_there(tmp_path, monkeypatch, capsys):
    kept(tmp_path, GRID)
    monkeypatch.setattr(contrasts_module, "measure_start", vanishing_where_unsolved)
    why = shown(tmp_path, capsys)
    assert len(why) == 8
    assert all("before training gradients vanish" in sentence for sentence in why.values())


def test_figure_runs_are_contrasted_with_the_design_as_well(tmp_path, capsys):
    rows = kept(tmp_path, dataclasses.replace(JOINT, figure_seeds=4))
    figures = [row.record for row in rows.values() if row.role == "figure"]
    unsolved = [record for record in figures if not record.solved]
    alone, together = (
        {record.config.key: why_not_solved(record, contrasts(some)) for record in unsolved}
        for some in (figures, [row.record for row in rows.values()])
    )
    assert shown(tmp_path, capsys) == together
    assert alone != together
