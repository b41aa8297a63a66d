"""What the report says follows from the rows: other rows, other words."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from studies import made_up_record, made_up_rows

from digitspan.cells.gru import GRU
from digitspan.handin import claims, limits, optimizer_choice, reasons, values, where_held
from digitspan.handin.kept_cells import KeptCells, kept_cells
from digitspan.handin.material import Material, compare_networks
from digitspan.handin.measurements import KEEPING, GradientPath, Measurements, gradient_path
from digitspan.handin.wording import joined, power, span_words
from digitspan.look.contrasts import Contrast, Group
from digitspan.part1.lstm import LSTM
from digitspan.runs.config import RunConfig
from digitspan.sheet.exercise import default_sheet
from digitspan.study.config import StudyConfig, sheet
from digitspan.study.reading import SavedRun, Study
from digitspan.study.summary import summarise
from digitspan.study.tables import span_text
from digitspan.tasks.palindrome import mirror

SHEET = default_sheet()
ANY = Material(SHEET, None, None, (), {})
"""For what is said of the networks alone."""
SIDE = {"rnn": "vanilla", "lstm": "gated"}


def material_of(config, rule, change=lambda row: row, asked=SHEET):
    """What a study of made-up rows would be, its networks made up too."""
    rows = {key: change(row) for key, row in made_up_rows(config, rule).items()}
    summary = summarise(config, rows)
    comparison, duels = compare_networks(
        Study(Path("made-up/study.db"), rows, 0, config.canonical), summary, asked
    )
    networks = {
        cell: SavedRun(made_up_record(RunConfig(cell=cell, length=20), solved=True), b"", None)
        for cell in asked.networks
    }
    records = tuple(row.record for row in rows.values() if row.role != "continued")
    return Material(asked, summary, comparison, duels, networks, {}, records)


def up_to(rnn, lstm):
    """A rule: each network is solved up to a length."""
    limits = {"rnn": rnn, "lstm": lstm}
    return lambda config: config.length <= limits[config.cell]


@pytest.fixture(scope="module")
def config():
    """A grid at one rate, with the optimisers of Question 1.4."""
    return StudyConfig(
        lengths=(5, 10, 20, 40), seeds=8, learning_rates=(1e-3,), train_steps=2_000,
        compared_optimizers=("sgd", "momentum", "adam"), compared_rates=(1e-2,),
        note="a quick look",
    )  # fmt: skip


JOINT = dataclasses.replace(sheet(), runs=28, longest=80, figure_seeds=3, fixed_runs=8)


@pytest.fixture(scope="module")
def joint():
    """A joint study, the LSTM ahead."""
    return material_of(JOINT, up_to(12, 35))


@pytest.mark.parametrize(
    ("rnn", "lstm", "words"),
    [
        (5, 20, "**These runs agree**"),
        (20, 5, "**These runs say the opposite**"),
        (10, 10, "**These runs do not decide it**"),
        (80, 80, "both still remember at T = 40"),
        (3, 3, "neither remembers as much as T = 5"),
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
        (80, "solved every run at every length shown, up to T = 40"),
        (3, "solved no run at any length shown, not even at T = 5"),
        (10, "solved every run up to T = 10 and none from T = 20 on"),
        (20, "solved every run up to T = 20 and none at T = 40"),
    ],
)
def test_reach_names_the_lengths(config, limit, words):
    (duel,) = material_of(config, up_to(limit, 5)).duels
    assert claims.reach(duel.vanilla) == words


def test_a_gap_where_the_memory_ends_is_told(config):
    words = "Between T = 10 and 20, where it ends, no run is shown."
    assert words in claims.by_rule(material_of(config, up_to(10, 5)), "rnn")
    assert "where it ends" not in claims.by_rule(material_of(config, up_to(80, 5)), "rnn")
    near = StudyConfig(lengths=(5, 11, 12, 40), seeds=4, learning_rates=(1e-3,))
    assert "where it ends" not in claims.by_rule(material_of(near, up_to(11, 5)), "rnn")


def test_reach_counts_what_lies_between(config):
    def rule(run):
        return run.length <= 10 or (run.length == 20 and run.seed < 3)

    (duel,) = material_of(config, rule).duels
    assert claims.reach(duel.vanilla) == (
        "solved every run up to T = 10, 3 of 8 at T = 20 and none at T = 40"
    )


def test_a_failed_sanity_check_is_not_hidden(config):
    assert "near-perfect, as" in claims.sanity(material_of(config, up_to(5, 5)), "rnn")
    assert "**not near-perfect**" in claims.sanity(material_of(config, up_to(3, 3)), "rnn")


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (5, "gives up even earlier"),
        (11, "is not to be told from that"),
        (80, "lasts longer than that"),
    ],
)
def test_the_sheets_ten_steps_are_held_against_the_rows(limit, words):
    grid = StudyConfig(lengths=(5, 11, 12, 40), seeds=8, learning_rates=(1e-3,))
    found = claims.rnn_against_sheet(material_of(grid, up_to(limit, 5)))
    assert words in found
    judged = ("gives up even earlier", "is not to be told from that", "lasts longer than that")
    assert sum(each in found for each in judged) == 1


@pytest.mark.parametrize(
    ("fast", "words"),
    [
        ({"momentum", "rmsprop", "adam"}, "momentum alone and adaptive rates, are ahead of plain"),
        ({"rmsprop", "adam"}, "Adaptive rates are ahead of plain SGD; momentum alone is not"),
        ({"momentum"}, "Momentum is ahead of plain SGD"),
        (set(), "The textbook's order does not show"),
    ],
)
def test_optimisers_are_judged_by_the_rows(config, fast, words):
    found = optimizer_choice.verdict(material_of(config, lambda run: run.optimizer in fast))
    assert words in found
    assert found.startswith("**RNN and LSTM.** ")  # alike, so told once
    judged = {"Both ideas, momentum", "momentum alone is not", "Momentum is ahead",
              "Neither idea is", "textbook's order does not show"}  # fmt: skip
    assert sum(words in found for words in judged) == 1  # no other


@pytest.mark.parametrize(
    ("rule", "more"),
    [
        (lambda run: run.optimizer == "momentum", True),
        # Momentum is ahead at each rate, and no better than plain SGD at ten times that rate.
        (lambda run: run.learning_rate * (10 if run.optimizer == "momentum" else 1) > 5e-2, False),
    ],
)
def test_momentum_is_held_against_plain_sgd_at_ten_times_its_rate(config, rule, more):
    two = dataclasses.replace(config, compared_rates=(1e-2, 1e-1))
    found = optimizer_choice.verdict(material_of(two, rule))
    assert ("Momentum is more than a larger rate here" in found) == more
    assert ("That momentum is more than a larger rate does **not** show" in found) != more
    assert "RNN: momentum at 0.01 solved 3 of 3 runs" in found
    assert f"plain SGD at 0.1 solved {'0' if more else '3'} of 3 runs" in found


def test_without_rates_ten_apart_momentum_is_not_told_from_a_larger_rate(config):
    found = optimizer_choice.verdict(material_of(config, lambda run: run.optimizer == "momentum"))
    assert "larger rate" not in found


def test_of_optimisers_the_one_that_solves_more_is_better_though_it_takes_more_steps(config):
    """Most solved, then fewest steps: in the choice of the rate and in what is said of it."""

    def slower(row):
        if row.role != "optimizer" or row.record.config.optimizer == "sgd":
            return row
        return row._replace(record=dataclasses.replace(row.record, steps=900))

    def rule(run):
        return run.optimizer == "adam" or run.seed % 3 == 0

    material = material_of(config, rule, slower)
    best = {
        b.condition.optimizer: b for b in optimizer_choice.best_of_each(material)["rnn", "one-hot"]
    }
    assert best["adam"].merit == (-1.0, 900)
    assert best["sgd"].merit == (-1 / 3, 250)
    found = optimizer_choice.verdict(material)
    assert (
        "Better than plain SGD, by runs solved and then by steps, the best first: Adam." in found
    )
    assert "**Not** better: " in found
    assert "SGD with momentum" in found.partition("**Not** better: ")[2]
    assert "Neither idea is ahead in every optimiser" in found


def test_an_end_of_the_rates_is_told_only_where_plain_sgd_is_best_at_it(config):
    two = dataclasses.replace(config, compared_rates=(1e-2, 1e-1))
    words = "At a still larger one it might do better."
    assert words in optimizer_choice.verdict(
        material_of(two, lambda run: run.learning_rate > 0.05)
    )
    inside = material_of(two, lambda run: run.learning_rate < 0.05)
    assert "is the largest one tried" not in optimizer_choice.verdict(inside)


@pytest.mark.parametrize(
    ("accuracies", "words"),
    [
        ({0.1: 0.7, 0.01: 0.9}, "no sign that a larger rate would do better"),
        ({0.1: 0.9, 0.01: 0.7}, "at a still larger rate it might do better"),
    ],
)
@pytest.mark.parametrize("reached", [True, False])
def test_at_the_largest_rate_it_is_told_how_near_plain_sgd_came(
    config, accuracies, words, reached
):
    two = dataclasses.replace(config, compared_rates=(1e-2, 1e-1))

    def unsolved(row):
        record = row.record
        if row.role != "optimizer" or record.config.optimizer != "sgd":
            return row
        rate = record.config.learning_rate
        first, last = record.curve  # the lowest loss is at the largest rate
        once = first._replace(validation_accuracy=1.0 if reached and rate > 0.05 else 0.5)
        curve = (once, last._replace(validation_loss=0.1 / rate))
        accuracy = accuracies[rate]
        return row._replace(record=dataclasses.replace(record, curve=curve, accuracy=accuracy))

    found = optimizer_choice.verdict(
        material_of(two, lambda run: run.optimizer != "sgd", unsolved)
    )
    assert words in found
    once = "3 of 3 runs reached 99 % in a single evaluation, but not in two in a row"
    assert (once in found) == reached
    assert ("There no run reached 99 % in a single evaluation;" in found) != reached


def test_the_best_rates_are_those_of_the_figure():
    def rule(run):
        return run.learning_rate == (1e-2 if run.optimizer == "adam" else 1e-1)

    material = material_of(JOINT, rule)
    (cell, _), bests = next(iter(optimizer_choice.best_of_each(material).items()))
    assert cell == "rnn"
    compared = ["sgd", "momentum", "rmsprop", "adam"]
    assert [best.condition.optimizer for best in bests] == compared
    assert {b.condition.optimizer: b.condition.rate for b in bests} == {
        "sgd": "0.1", "momentum": "0.1", "rmsprop": "0.1", "adam": "0.01",
    }  # fmt: skip


def test_controls_are_told_where_there_are_some():
    material = material_of(JOINT, lambda run: run.length <= 10 and run.trained == "all")
    found = limits.controls(material)
    assert "training more than the read-out is what does it" in found
    assert "training, not luck, is what does it" in found
    assert "Networks of which only the read-out was trained solved 0 of " in found
    assert "never trained but guessed 40 times, the best guess kept, solved 0 of" in found
    assert "runs, RNN and LSTM together, at T = " in found
    assert re.search(r"As a control all \d+ solved networks were asked again", found)
    assert "which is chance" in found


@pytest.mark.parametrize("all_fail", [True, False])
def test_without_a_difference_training_is_not_called_the_cause(all_fail):
    """Controls that solve nothing, where what is trained as a whole solves nothing either."""
    found = limits.controls(material_of(JOINT, lambda run: not all_fail and run.length <= 10))
    assert found.count("does it is **not shown** (the 95 % intervals overlap)") == 2
    assert "is what does it" not in found


def test_controls_that_do_not_hold_are_told():
    def leaking(row):
        return row._replace(record=dataclasses.replace(row.record, masked_right=500))

    found = limits.controls(material_of(JOINT, up_to(10, 10), leaking))
    assert "which is not chance: something besides the first digit tells the answer" in found
    assert "nothing but the first digit" not in found


def test_one_network_whose_control_does_not_hold_is_told():
    changed = []

    def leaking(row):
        if changed or row.record.config.length < 10:
            return row
        changed.append(row.record.config.run_id)
        return row._replace(record=dataclasses.replace(row.record, masked_right=500))

    found = limits.controls(material_of(JOINT, up_to(10, 10), leaking))
    assert f"**and more than chance allows alone of {changed[0]} at T = " in found
    assert "something besides the first digit tells the answer there**" in found
    assert "which is" not in found.partition(".** ")[0]


def test_limits_name_the_seeds_and_the_note(config):
    found = limits.limits(material_of(config, up_to(10, 10)))
    assert "At some lengths only 8 runs are shown" in found
    assert "begins at 68 %" in found
    assert "quick look" in found


def test_words():
    assert joined(["a"]) == "a"
    assert power(1.0) == "1"
    assert power(2e-24) == r"$2.0 \times 10^{-24}$"
    assert power(9.96e-5) == r"$1.0 \times 10^{-4}$"


def test_a_span_that_the_lengths_do_not_reach_is_told_as_a_bound(config):
    (duel,) = material_of(config, up_to(80, 3)).duels
    assert span_words(duel.vanilla.span).startswith("lies at or beyond the longest length run, 40")
    assert span_words(duel.gated.span) == "lies at or below the shortest length run, 5"


def late(row):
    """Solved the later, the longer the length."""
    record = row.record
    if not record.solved:
        return row
    return row._replace(
        record=dataclasses.replace(record, steps=min(90 * record.config.length, 2_000))
    )


def test_a_span_within_growing_budgets_is_told_with_its_intervals(config):
    """Without a judgement: the intervals of one set of runs overlap anyway."""
    material = material_of(config, up_to(20, 20), late)
    *_, before, last = material.duels[0].vanilla.budgets
    assert before.s50 < last.s50
    found = claims.convergence(material, "rnn")
    assert (
        f"RNN's S50 is {span_text(before)} within 1,500 steps and {span_text(last)} within"
        in found
    )


@pytest.mark.parametrize(
    ("low", "rnn", "lstm"), [(1.0, "0 of the 16", "16 of the 16"), (9.0, "16 of the 16", "0 of")]
)
def test_unsolved_runs_that_never_came_away_from_guessing_are_counted(config, low, rnn, lstm):
    """The made-up losses of unsolved runs are about ln 10; those of one network are lower."""

    def begun(row):
        record = row.record
        is_low = record.config.cell == ("rnn" if low == 1.0 else "lstm")
        if record.solved or not is_low:
            return row
        curve = tuple(point._replace(validation_loss=1.0) for point in record.curve)
        return row._replace(record=dataclasses.replace(record, curve=curve))

    found = claims.reached(material_of(config, up_to(10, 10), begun), "lstm")
    assert f"{rnn} unsolved runs of the RNN" in found
    assert f"{lstm} " in found


def test_lengths_at_which_one_network_alone_is_solved_are_told(config):
    found = claims.reached(material_of(config, up_to(20, 10)), "lstm")
    assert "At T = 20 the RNN 8 of 8 and the LSTM 0 of 8 runs were solved" in found
    assert "intervals of the shares apart; lengths picked after the fact" in found
    assert "picked after" not in claims.reached(material_of(config, up_to(10, 10)), "lstm")


def test_that_two_rules_have_one_rate_at_a_length_is_told(joint):
    same = with_rates(joint, "rnn", [1e-2, 1e-3])
    lengths = [found.length for found in same.duels[0].vanilla.lengths[1:]]
    assert f"At T = {joined(lengths)} the best rate is 0.001, too" in claims.by_rule(same, "rnn")
    assert "one condition with other seeds" not in claims.by_rule(
        with_rates(joint, "rnn", [1e-2]), "rnn"
    )


def learning(row):
    """An unsolved run whose loss fell to the end."""
    record = row.record
    if record.solved:
        return row
    first, last = record.curve
    falling = (first, last._replace(validation_loss=first.validation_loss / 2))
    return row._replace(record=dataclasses.replace(record, curve=falling))


def test_runs_that_were_stopped_while_learning_are_told_from_those_that_stood_still(config):
    still = claims.convergence(material_of(config, up_to(10, 10)), "rnn")
    assert "16 runs of the RNN were stopped unsolved after 2,000 steps; in 0 of them" in still
    assert "So with more than" not in still
    falling = claims.convergence(material_of(config, up_to(10, 10), learning), "rnn")
    assert "in 16 of them the lowest validation loss was still falling" in falling
    assert "So with more than 2,000 steps some runs of the RNN may come further." in falling
    assert "so all have converged" in claims.convergence(
        material_of(config, lambda run: True), "rnn"
    )


def test_what_became_of_continued_runs_is_told():
    """Only runs that had been drawn are continued; without any, that is told too."""
    more = dataclasses.replace(JOINT, figure_seeds=8)
    words = "So 2,000 steps do not end what the RNN can learn"
    stuck = claims.convergence(material_of(more, up_to(12, 12)), "rnn")
    assert re.search(r"stayed unsolved \(accuracy at T = \d+ from 10\.0 % to 10\.0 %", stuck)
    assert words not in stuck
    later = claims.convergence(
        material_of(more, lambda run: run.length <= 12 or run.train_steps == 10_000), "rnn"
    )
    assert re.search(r"at T = \d+ one was solved at step 250", later)
    assert words in later

    def further(row):
        """More accurate, where it went on; not solved."""
        if row.role != "continued":
            return row
        return row._replace(record=dataclasses.replace(row.record, accuracy=0.9))

    assert words in claims.convergence(material_of(more, up_to(12, 12), further), "rnn")
    none = claims.convergence(material_of(JOINT, lambda run: True), "rnn")
    assert "no unsolved one was among them" in none


def test_a_longer_length_that_is_solved_more_often_than_by_chance_is_told(config):
    def rule(run):
        return run.length in (5, 20) or (run.length == 10 and run.seed < 4)

    words = "More are solved at T = 20"
    assert words not in claims.reached(material_of(config, rule), "rnn")  # intervals overlap
    apart = claims.reached(material_of(config, lambda run: run.length != 10), "rnn")
    assert f"{words} (8 of 8) than at T = 10 (0 of 8)" in apart
    assert words not in claims.reached(material_of(config, up_to(20, 20)), "rnn")


def test_the_budget_table_has_every_condition_and_budget(joint):
    lines = claims.budgets_table(joint).split("\n")
    assert "| 500 steps | 1,000 steps | 1,500 steps | 2,000 steps |" in lines[2]
    assert len(lines) == 4 + 4


def seen(**changes):
    """What was seen in two networks: the textbook's case, but for what is changed."""
    fall = {
        ("rnn", "untrained", "hidden"): 0.5, ("rnn", "trained", "hidden"): 0.8,
        ("lstm", "untrained", "hidden"): 0.6, ("lstm", "trained", "hidden"): 0.95,
        ("lstm", "untrained", "cell"): 0.6, ("lstm", "trained", "cell"): 0.97,
    }  # fmt: skip
    values = {
        "arrays": {},
        "fall": fall,
        "drop": dict.fromkeys(fall, 1e-3),
        "lowest": dict.fromkeys(fall, 1e-3),
        "keeps": {"untrained": 0.5, "trained": 0.95},
        "path": {
            "untrained": GradientPath(1e-6, 1e-6, 1e-5),
            "trained": GradientPath(0.95, 0.93, 0.8),
        },
        "bound": {"untrained": 1.1, "trained": 2.0},
        "arrivals": {},
        "held": asked(20),
        "carried": (),
        "starts": (),
        "tests": 4,
    }
    return Measurements(**(values | changes))


def lstm_with(**biases):
    """A small LSTM whose gates see the digits alone, some of its biases replaced."""
    network = LSTM(0, 1, 8, 10, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("h") and name != "W_ph":
                parameter.zero_()
        for name, value in biases.items():
            getattr(network, name).fill_(value)
    return network


def palindromes():
    return mirror(
        torch.randint(10, (16, 6), generator=torch.Generator().manual_seed(1)), 12
    ).numpy()


def test_a_gradient_that_never_leaves_the_cell_is_seen_as_such():
    """No gate sees h: the whole of dL/dc(1) comes by the forget gates."""
    path = gradient_path(lstm_with(b_f=3.0), palindromes())
    assert path.direct == pytest.approx(1, abs=1e-12)
    assert path.share == pytest.approx(1, abs=1e-12)
    assert 0.5 < path.kept < 1


def test_a_gradient_through_the_gates_is_seen_as_such():
    """Forget gates at 0: nothing stays in the cell, all that arrives came through h."""
    network = lstm_with(b_f=-30.0)
    with torch.no_grad():
        network.W_gh.copy_(torch.eye(8))
    path = gradient_path(network, palindromes())
    assert path.direct < 1e-6
    assert abs(path.share) < 1e-6
    assert path.kept < 1e-20


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.95, "**runs along the cell**"),
        (0.7, "more of it runs along the cell than through the gates"),
        (0.45, "**about half** of it runs along the cell"),
        (0.3, r"through $\mathbf{h}$ and the gates than along the cell"),
        (0.01, r"**runs through $\mathbf{h}$ and the gates, not along the cell**"),
        (-0.5, "partly cancel"),
        (1.5, "partly cancel"),
    ],
)
def test_where_the_gradient_runs_is_what_was_measured(share, words):
    path = {"untrained": GradientPath(0.1, 0.1, 0.1), "trained": GradientPath(share, share, 0.3)}
    found = reasons.gradient_path(
        seen(path=path), made_up_record(RunConfig(cell="lstm", length=20), solved=True)
    )
    told = [
        "**runs along the cell**", "more of it runs along", "gates than along the cell",
        "**about half**", "hardly used", "partly cancel",
    ]  # fmt: skip
    assert words in found
    assert sum(each in found for each in told) == 1


@pytest.mark.parametrize(
    ("share", "kept", "words"),
    [
        (0.01, 0.001, "no unit could have brought it there alone"),
        (0.95, 0.8, ""),
        (0.01, 0.8, "it could have come that way, and did not"),
        (0.95, 0.001, ""),
    ],
)
def test_the_path_and_the_forget_gates_are_reconciled(share, kept, words):
    path = {"untrained": GradientPath(0.1, 0.1, 0.1), "trained": GradientPath(share, share, kept)}
    found = reasons.gradient_path(
        seen(path=path), made_up_record(RunConfig(cell="lstm", length=20), solved=False)
    )
    told = {"no unit could have brought it there alone", "could have come that way, and did not"}
    assert [each for each in told if each in found] == [each for each in told if each in words]
    assert "over these 18 steps before training" in found
    assert "in the trained network, which was not solved," in found


def told_of(**changes):
    """What is said of the gates of the network that is looked into."""
    return where_held.gates(seen(held=asked(20)._replace(**changes)))


def test_units_that_keep_their_cell_are_told_apart_by_what_is_written_there():
    assert "5 of the 12 units keep their cell" in told_of()
    assert "3 of them *count*" in told_of()
    assert "The other 2 *hold*" in told_of()
    assert "saturated, it tells nearly nothing of the digits" in told_of()
    assert "saturated" not in told_of(counting_spread=0.4)
    none = told_of(group=np.array([2, 2, 2]))
    assert "None of the 3 units keeps its cell" in none
    assert "input gate" not in none
    counting = told_of(group=np.array([1, 2]))
    assert "None of the others is left to hold anything." in counting
    assert "The input gate of the holding units" not in counting
    assert "*count*" not in told_of(group=np.array([0, 2]))


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ((0.7, 0.4, 0.1, 0.1), "nearly shut after the first steps, as the list has it"),
        ((0.9, 0.8, 0.5, 0.5), "shut further after the first steps"),
        ((0.6, 0.7, 0.8, 0.8), "**not** shut, unlike what the list has"),
    ],
)
def test_whether_the_input_gate_shuts_is_that_of_the_units_that_hold(inputs, words):
    found = told_of(inputs=np.array(inputs))
    assert words in found
    told = {"nearly shut after", "shut further after", "**not** shut"}
    assert sum(each in found for each in told) == 1


SHUTS_OUT = "It is what shuts out the later digits:"


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({}, True),
        ({"opened": 0.8}, False),  # the answers stay right with the gate open
        ({"opened_others": 0.3}, False),  # any units would do
        ({"right": 0.6}, False),  # there is not much to lose
    ],
)
def test_the_input_gate_is_called_the_cause_only_where_opening_it_costs_the_answer(changes, shown):
    found = told_of(**changes)
    assert (SHUTS_OUT in found) == shown
    assert ("That it is what shuts out the later digits is **not shown**" in found) != shown


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (0.9, "more open at the end, as the list has it"),
        (0.5, "they do not hide what they hold"),
        (0.1, "less open at the end, unlike what the list has"),
    ],
)
def test_the_output_gate_is_held_against_the_list(last, words):
    assert words in told_of(outputs=np.array([0.5, 0.5, last]))


def test_other_networks_whose_input_gate_does_not_fall_are_counted():
    others = (
        asked(31, seed=1),
        asked(31, seed=2)._replace(inputs=np.array([0.2, 0.3, 0.8, 0.8])),
        asked(10, seed=3),  # shorter
        asked(31, seed=4, solved=False),
    )
    found = where_held.gates(seen(carried=(*others, asked(20))))
    assert "In the 2 other solved LSTMs kept at T = 20 or longer" in found
    assert "0.20 to 0.70 at the first digit and 0.10 to 0.80 in the second half" in found
    assert "it falls in 1 of them" in found
    assert "other solved" not in where_held.gates(seen())


def test_where_the_hidden_gradient_goes_down_in_between_the_cell_is_told(joint):
    place = ("lstm", "trained", "hidden")
    words = "counts only what passes through the gates"
    assert "In between" not in reasons.gradients(joint, seen())
    low = reasons.gradients(joint, seen(lowest=seen().lowest | {place: 1e-6}))
    assert words in low
    assert "which nowhere falls below $1.0 \\times 10^{-3}$" in low
    rnn = seen().lowest | {("rnn", "trained", "hidden"): 1e-6}
    found = reasons.gradients(joint, seen(lowest=rnn))
    assert "In between it goes down, to $1.0 \\times 10^{-6}$ in the RNN's" in found
    assert words not in found


def test_what_training_did_to_the_gradient_is_told_of_each_network(joint):
    assert "Training has moved the factor nearer to 1 in both." in reasons.gradients(joint, seen())
    fall = seen().fall | {("rnn", "trained", "hidden"): 0.3}
    found = reasons.gradients(joint, seen(fall=fall))
    assert "Training has moved the factor further from 1 in the RNN" in found
    assert "training has moved the factor nearer to 1 in the LSTM" in found


def test_gradients_of_solved_and_unsolved_networks_are_counted_against_each_other(joint):
    found = reasons.gradients(
        joint,
        seen(
            arrivals={"rnn": {True: (1.0, 4.0), False: (1e-9, 2.0, 1e-5)}, "lstm": {True: (1.0,)}}
        ),
    )
    assert "in the RNN it is 2.5 in the median of the 2 solved runs (1 to 4)" in found
    assert "that of the 3 unsolved ones (2 of them below every solved one)" in found
    assert "in the LSTM it is" not in found
    assert "Over all trained networks" not in reasons.gradients(joint, seen())


def asked(length, cells=0.9, rest=0.0, *, solved=True, seed=0, **changes):
    """An LSTM that was asked where it has the digit: two units hold, three count."""
    record = made_up_record(RunConfig(cell="lstm", length=length, seed=seed), solved=solved)
    return KeptCells(
        record=record,
        group=np.array([0, 0, 1, 1, 1, *[2] * 7]),
        by_kept=cells, by_rest=rest, by_holding=cells, by_counting=0.0,
        right=1.0, released=0.1, released_others=1.0, opened=0.2, opened_others=1.0,
        inputs=np.array([0.7, 0.4, 0.1, 0.1]), outputs=np.array([0.5, 0.5, 0.5, 0.5]),
        counting_inputs=np.array([0.6, 0.9, 0.9, 0.9]),
        spread=0.5, counting_spread=0.02, counting_size=12.0, along=0.5,
    )._replace(**changes)  # fmt: skip


HANGS = "**the answer hangs on their being kept**"


@pytest.mark.parametrize(
    ("changes", "hangs"),
    [
        ({}, True),
        ({"released": 0.9}, False),  # letting go costs nothing
        ({"released_others": 0.2}, False),  # letting any go costs as much
        ({"by_holding": 0.2}, False),  # the digit is not there
        ({"by_counting": 0.95}, False),  # or it is everywhere
        ({"by_rest": 0.95}, False),
    ],
)
def test_the_answer_hangs_on_kept_cells_only_where_it_is_lost_with_them(joint, changes, hangs):
    """The digit goes with the rest at T = 5; beyond the RNN's reach, T = 12, it varies."""
    short = asked(5, 0.0, 0.9, by_holding=0.0, released=1.0)
    carried = (short, asked(22, **changes), asked(31, **changes))
    found = where_held.carried(joint, seen(carried=carried))
    assert (HANGS in found) == hangs
    assert ("So these networks do **not** rest on kept cells there." in found) != hangs
    assert ("letting go costs more than half of the answers in 0 of 1" in found) == hangs
    assert ("was not tested: no LSTM was trained without" in found) == hangs


def test_one_run_of_three_that_hangs_on_nothing_is_counted(joint):
    carried = (asked(22), asked(31), asked(31, seed=1, released=0.9))
    found = where_held.carried(joint, seen(carried=carried))
    assert HANGS in found
    assert "fewer than half of the answers stay right in 2 of 3 (10 to 90 %)" in found


def test_runs_of_one_length_that_differ_are_counted_not_averaged():
    carried = (asked(12), asked(12, 0.0, 0.9, seed=1), asked(12, 0.3, 0.3, seed=2))
    table = where_held.carried_table(ANY, seen(carried=carried))
    assert "| 12 | 3 | 2, 3 | 1 | 1 | 1 |" in table


def test_no_reason_is_given_for_a_lead_that_is_not_there(joint):
    found = where_held.carried(joint, seen(carried=(asked(5),)))
    assert "No LSTM was solved beyond the RNN's reach" in found
    assert HANGS not in found
    assert "No LSTM was solved, so" in where_held.carried(joint, seen(carried=()))


@pytest.mark.parametrize("keeps", [True, False])
def test_unsolved_networks_with_kept_cells_are_told(joint, keeps):
    group = asked(40).group if keeps else np.full(12, 2)
    unsolved = asked(40, solved=False, group=group)
    found = where_held.carried(joint, seen(carried=(asked(22), unsolved)))
    enough = "Kept cells alone are not enough: of the 1 unsolved LSTMs asked as well 1 have some"
    assert (enough in found) == keeps
    assert ("None of the 1 unsolved LSTMs asked as well has such cells" in found) != keeps


def test_the_table_of_what_is_carried_counts_the_solved_runs():
    carried = (
        asked(22), asked(22, 0.3, 0.2, seed=1, released=0.4), asked(5, 0.0, 1.0, released=1.0),
        asked(40, solved=False),
    )  # fmt: skip
    lines = where_held.carried_table(ANY, seen(carried=carried)).split("\n")[4:]
    assert lines == [
        "| 5 | 1 | 2, 3 | 0 | 1 | 0 | 100 % | 100 % | 50 % |",
        "| 22 | 2 | 2, 3 | 1 | 0 | 1 | 10 to 40 % | 100 % | 50 % |",
    ]
    assert where_held.carried_table(ANY, seen()) == ""


def saved(network, *, solved=True):
    """A run as a study keeps it, with the weights of a network."""
    config = RunConfig(
        cell="lstm", length=12, hidden_size=8, encoding="one-hot", learning_rate=1e-3
    )
    weights = safetensors.torch.save(network.state_dict(), {"config": config.canonical})
    return SavedRun(made_up_record(config, solved=solved), weights, None)


def memory(keeps):
    """An LSTM that writes the first digit and holds it, in kept cells or in its hidden state.

    Unit 0 tells that the first digit was read: it opens the input gates of the others at the
    first digit alone. With kept cells the forget gates are 1, so that the digit stays there.
    """
    network = LSTM(0, 10, 8, 10, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        code = torch.sign(torch.randn(8, 10, generator=torch.Generator().manual_seed(3)))
        code[0] = 1
        network.W_gx.copy_(10 * code)
        network.b_i.fill_(10.0)
        network.W_ih[:, 0] = -60.0  # h of unit 0 is positive from the first step on
        network.b_o.fill_(10.0)
        network.b_f.fill_(20.0)
        network.W_ph.copy_(code.T)
        if not keeps:  # c is written anew from h in every step
            network.b_f.fill_(-20.0)
            network.W_ih.zero_()
            network.W_gh.copy_(40 * torch.eye(8))
            network.W_gx.copy_(15 * code)
    return network


def looked_at(network):
    """What the cells of a network do at palindromes that begin with all digits."""
    digits = mirror(
        torch.randint(10, (64, 6), generator=torch.Generator().manual_seed(1)), 12
    ).numpy()
    return kept_cells(saved(network), digits, 0.5, keeping=("cell", "f"))


@pytest.mark.parametrize("keeps", [True, False])
def test_the_part_of_the_state_that_has_the_digit_is_found_by_exchanging_it(keeps):
    found = looked_at(memory(keeps))
    assert (found.holding, found.counting) == (8 if keeps else 0, 0)
    assert (found.by_kept > 0.8) == keeps
    assert found.by_holding == found.by_kept
    assert (found.by_rest > 0.8) == (not keeps)
    assert min(found.by_kept, found.by_rest, found.by_counting) < 0.2
    assert found.right > 0.9


def test_a_network_that_lets_go_or_is_left_open_loses_the_digit():
    """The digit is in unsaturated kept cells, behind input gates that the first digit shuts."""
    found = looked_at(memory(True))
    assert found.inputs[0] > 0.99
    assert found.input_late < 0.01
    assert found.opened < 0.5 < found.right
    gone = memory(False)  # nothing is kept, so nothing can be let go
    assert looked_at(gone).released == looked_at(gone).released_others == looked_at(gone).right


def with_a_counting_unit(network):
    """Unit 7 adds tanh(1) in every step, whatever is read."""
    with torch.no_grad():
        for name in ("W_gx", "W_ih"):
            getattr(network, name)[7] = 0.0
        network.b_g[7] = 1.0
    return network


def test_letting_go_is_asked_of_the_units_that_hold_alone():
    """The read-out asks whether the cell is above a half: halved in every step it is not."""
    network = with_a_counting_unit(memory(True))
    with torch.no_grad():
        network.W_ph[0] = 0.0
        network.b_p.fill_(-1e3)
        network.b_p[0] = 0.0  # what is answered where no unit holds anything
        network.W_ph[1:] *= 1e3
        network.W_ph[:, 7] = 0.0
    digits = np.array([[d, *[3] * 10, d] for d in range(10)])
    found = kept_cells(saved(network), digits, 0.5, keeping=("cell", "f"))
    assert found.released < found.right
    assert found.released_others == found.right


def test_units_that_are_written_in_one_direction_count_and_show_nothing():
    found = looked_at(with_a_counting_unit(memory(True)))
    assert (found.holding, found.counting) == (7, 1)
    assert found.group[7] == 1
    assert found.counting_inputs[-1] > 0.99
    assert found.counting_size > 5
    assert found.counting_spread < 1e-3 < found.spread
    assert found.by_counting < 0.1 < 0.8 < found.by_holding


def gru_memory(keeps):
    """A GRU that writes the first digit and holds it, by its update gates or by its candidate.

    Unit 0 tells that the first digit was read: it opens the update gates from then on.
    """
    network = GRU(input_size=10, hidden_size=8, num_classes=10)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        code = torch.sign(torch.randn(8, 10, generator=torch.Generator().manual_seed(3)))
        code[0] = 1
        network.W_hx.copy_(10 * code)
        network.b_z.fill_(-20.0)
        network.W_ph.copy_(code.T)
        if keeps:
            network.W_zh[:, 0] = 60.0
        else:  # every state is written anew from the one before
            network.b_r.fill_(20.0)
            network.W_hh.copy_(40 * torch.eye(8))
    return network


@pytest.mark.parametrize("keeps", [True, False])
def test_the_part_of_a_grus_state_that_has_the_digit_is_found_likewise(keeps):
    config = RunConfig(
        cell="gru", length=12, hidden_size=8, encoding="one-hot", learning_rate=1e-3
    )
    weights = safetensors.torch.save(gru_memory(keeps).state_dict(), {"config": config.canonical})
    kept = SavedRun(made_up_record(config, solved=True), weights, None)
    found = kept_cells(kept, palindromes(), 0.5, keeping=KEEPING["gru"])
    assert (found.holding, found.counting) == (8 if keeps else 0, 0)
    assert (found.by_kept > 0.8) == keeps
    assert (found.by_rest > 0.8) == (not keeps)
    assert min(found.by_kept, found.by_rest) < 0.2
    # Let go, a state is a half of itself and what is written, which is nothing here.
    assert (found.released < 0.5) == keeps
    assert np.isnan([found.opened, found.opened_others, found.input_late]).all()
    assert where_held.gates(seen(held=found)) == ""


@pytest.mark.parametrize(("sees", "share"), [(False, 1.0), (True, 0.0)])
def test_the_way_of_a_grus_gradient_is_found(sees, share):
    """Where nothing sees h all of it comes by the update gates; with these shut, nothing does."""
    network = GRU(input_size=1, hidden_size=8, num_classes=10)
    with torch.no_grad():
        for name in ("W_rh", "W_zh", "W_hh"):
            getattr(network, name).zero_()
        network.b_z.fill_(-30.0 if sees else 2.0)
        if sees:
            network.W_hh.copy_(torch.eye(8))
    path = gradient_path(network, palindromes(), keeping=KEEPING["gru"])
    assert path.share == pytest.approx(share, abs=1e-6)


def test_of_a_gru_its_own_parts_are_named(joint):
    config = RunConfig(cell="gru", length=20)
    told = reasons.gradient_path(seen(), made_up_record(config, solved=True))
    assert "stays in the unit, multiplied by update gates alone" in told
    assert r"$\mathbf{z}^{(2)} \odot" in told
    assert "cell" not in told
    material = joint._replace(sheet=SHEET._replace(networks=("rnn", "gru")))
    seen_of_it = seen(carried=(asked(22), asked(31)))
    told = where_held.carried(material, seen_of_it)
    assert "asked of the 2 solved GRUs" in told
    assert "those that keep their state, with update gates whose product" in told
    assert "the digit is held in a few units that the update gates keep" in told
    assert "cell" not in told
    assert "LSTM" not in told + where_held.carried_table(material, seen_of_it)


def ratio(duel, low, high):
    """A duel whose ratio has another interval."""
    return duel._replace(ratio=duel.ratio._replace(low=low, high=high, bound=""))


WINS = {"lstm": (2.0, 4.0), "rnn": (0.2, 0.5), "open": (0.5, 2.0)}


def decided(material, best, fixed):
    """The material with other winners at the best rates and at the fixed one."""
    tuned, one = material.duels
    return material._replace(duels=(ratio(tuned, *WINS[best]), ratio(one, *WINS[fixed])))


@pytest.mark.parametrize(
    ("best", "fixed", "words"),
    [
        ("lstm", "lstm", "the LSTM is ahead too: the order does not depend"),
        ("lstm", "rnn", "**the order is a matter of the rate**"),
        ("rnn", "lstm", "**the order is a matter of the rate**"),
        ("lstm", "open", ""),  # told where the two spans are compared
        ("open", "open", ""),
    ],
)
def test_whether_the_rate_decides_is_what_the_ratios_say(joint, best, fixed, words):
    found = reasons.rates(decided(joint, best, fixed))
    assert words in found
    assert ("a matter of the rate" in found) == ({best, fixed} == {"rnn", "lstm"})
    assert ("does not depend" in found) == (best == fixed != "open")


def with_rates(material, cell, rates):
    """The material with other best rates of one network, from its shortest length on."""
    tuned, *others = material.duels
    row = tuned.of(cell)
    lengths = tuple(
        found._replace(learning_rate=rates[min(place, len(rates) - 1)])
        for place, found in enumerate(row.lengths)
    )
    return material._replace(
        duels=(tuned._replace(**{SIDE[cell]: row._replace(lengths=lengths)}), *others)
    )


def test_the_rates_of_the_runs_shown_are_told_without_a_reason(joint):
    """One step of the ladder of rates is no trend."""
    for rates in ([1e-2, 1e-3], [1e-3, 1e-2]):
        told = reasons.rates(with_rates(joint, "rnn", rates))
        assert (
            f"the runs shown were made at {rates[0]:g} at T = 5 and {rates[1]:g} at T = " in told
        )
        assert "(B)" not in told
        assert "rises" not in told
        assert "falls" not in told


def test_best_rates_that_are_apart_are_told_from_those_that_may_be_one(joint):
    tuned, *others = joint.duels

    def between(rnn, lstm):
        sides = {
            cell: row._replace(span=row.span._replace(rate_low=low, rate_high=high))
            for (cell, row), (low, high) in zip(
                (("vanilla", tuned.vanilla), ("gated", tuned.gated)), (rnn, lstm), strict=True
            )
        }
        return reasons.rates(joint._replace(duels=(tuned._replace(**sides), *others)))

    assert "no one rate is the best for both" in between((1e-4, 1e-3), (1e-2, 1e-1))
    assert "one rate may be the best for both" in between((1e-4, 2e-2), (1e-2, 1e-1))


def test_nothing_is_said_of_best_rates_without_a_solved_run():
    found = reasons.rates(material_of(JOINT, lambda run: False))
    assert "As no run of the RNN was solved, nothing is known of its best rate" in found
    assert "fits (B)" not in found
    assert "intervals" not in found


def test_rates_are_not_spoken_of_in_a_study_at_one_rate(config):
    assert reasons.rates(material_of(config, up_to(10, 20))) == ""


def start(unsolved, solved, p):
    """A contrast of the first gradient before training, in a group of LSTMs."""
    above = 0.9 if unsolved > solved else 0.1
    contrast = Contrast("ratio", 0, {}, unsolved, solved, above, p, p)
    return "lstm", Group(5, 7, (20, 22), (0.01, 0.02), (contrast,)), contrast


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            start(1e-9, 1e-6, 0.5),
            "no difference was found between the two, with few runs (LSTM at",
        ),
        (start(1e-9, 1e-6, 0.01), "smaller in the unsolved than in the solved runs of LSTM at T"),
        (start(1e-6, 1e-9, 0.01), "larger in the unsolved than in the solved runs of LSTM at T"),
    ],
)
def test_whether_the_start_tells_solved_runs_from_unsolved_ones_is_a_contrast(joint, found, words):
    told = reasons.initialisation(joint, seen(starts=(found,)))
    assert words in told
    assert "LSTM at T = 20 to 22, 7 solved and 5 not" in told
    assert ("no difference was found" in told) == (found[2].p == 0.5)
    assert ("after Holm for all 4 tests of the study" in told) == (found[2].p == 0.5)
    assert "Whether a run comes to be solved" not in reasons.initialisation(joint, seen())


@pytest.mark.parametrize(("rnn", "lstm"), [(1e-3, 2e-2), (2e-2, 1e-3), (1e-3, 2e-3)])
def test_a_rate_that_is_much_larger_is_told_without_a_reason(joint, rnn, lstm):
    tuned, *others = joint.duels
    sides = {
        SIDE[cell]: tuned.of(cell)._replace(span=tuned.of(cell).span._replace(rate=rate))
        for cell, rate in (("rnn", rnn), ("lstm", lstm))
    }
    found = reasons.rates(joint._replace(duels=(tuned._replace(**sides), *others)))
    assert ("Why the LSTM's is 20 times as large as the RNN's was not measured" in found) == (
        lstm == 2e-2
    )
    assert ("Why the RNN's is 20 times as large as the LSTM's" in found) == (rnn == 2e-2)
    assert ("was not measured" in found) == (2e-2 in (rnn, lstm))


def test_a_forget_gate_that_starts_near_one_need_not_be_learned(joint):
    words = "gates that keep a cell have to be learned"
    assert words in reasons.initialisation(joint, seen())
    near = seen().path | {"untrained": GradientPath(0.9, 0.9, 0.9)}
    assert words not in reasons.initialisation(joint, seen(path=near))


@pytest.mark.parametrize(
    ("bounds", "falls", "words"),
    [
        ((0.9, 0.8), (0.5, 0.5), "(E) alone says that the gradient has to vanish"),
        ((1.2, 2.0), (0.5, 0.8), "that the gradient falls is measured, not implied"),
        ((1.2, 2.0), (1.1, 1.1), "that the gradient does not fall is measured, not implied"),
        ((1.2, 2.0), (0.5, 1.1), "that the gradient falls before training alone is measured"),
        ((1.2, 2.0), (1.1, 0.5), "that the gradient falls after training alone is measured"),
    ],
)
def test_what_the_bound_says_is_what_the_matrix_has(bounds, falls, words):
    fall = seen().fall | {
        ("rnn", "untrained", "hidden"): falls[0], ("rnn", "trained", "hidden"): falls[1],
    }  # fmt: skip
    bound = {"untrained": bounds[0], "trained": bounds[1]}
    found = reasons.singular_values(ANY, seen(fall=fall, bound=bound))
    assert words in found
    assert ("has to vanish" in found) == (bounds[0] < 1)
    assert ("measured, not implied" in found) == (bounds[0] > 1)


def test_how_it_was_measured_is_that_of_the_design(config, joint):
    assert "is found with 28 runs of each network" in values._how_measured(joint)
    assert "Then 3 runs per length" in values._how_measured(joint)
    assert "8 runs of each network at the learning rate 0.001" in values._how_measured(joint)
    grid = values._how_measured(material_of(config, up_to(10, 20)))
    assert "There are 8 runs per length and rate" in grid
    assert "surface" not in grid


def test_runs_that_diverged_are_told_only_where_there_are_some(config):
    def diverged(row):
        record = row.record
        if record.config.length != 40 or record.solved:
            return row
        return row._replace(record=dataclasses.replace(record, end_state="diverged"))

    rule = up_to(20, 20)
    assert "but for the 16 that diverged" in values._how_measured(
        material_of(config, rule, diverged)
    )
    assert "diverged" not in values._how_measured(material_of(config, rule))


def test_lengths_that_one_network_has_alone_stand_in_the_table_too(joint):
    lines = values._both_table(joint).split("\n")[4:]
    lengths = {found.length for side in joint.duels[0].sides for found in side.lengths}
    assert [int(line.split("|")[1]) for line in lines] == sorted(lengths)
    assert len(lengths) > 8
