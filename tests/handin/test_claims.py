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
from digitspan.handin import claims, limits, optimizer_choice, reasons, values
from digitspan.handin.material import Material, compare_networks
from digitspan.handin.measurements import (
    KEEPING,
    Carried,
    GateUse,
    GradientPath,
    Measurements,
    carried,
    gate_use,
    gradient_path,
)
from digitspan.handin.wording import joined, power, span_words
from digitspan.look.contrasts import Contrast
from digitspan.part1.lstm import LSTM
from digitspan.runs.config import RunConfig
from digitspan.sheet.exercise import default_sheet
from digitspan.study.config import StudyConfig, sheet
from digitspan.study.reading import SavedRun, Study
from digitspan.study.summary import summarise
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
    return Material(asked, summary, comparison, duels, networks, (), records)


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
        ({"momentum", "rmsprop", "adam"}, "Both ideas are ahead of plain SGD"),
        ({"rmsprop", "adam"}, "Adaptive rates are ahead of plain SGD; momentum alone is not"),
        ({"momentum"}, "Momentum is ahead of plain SGD"),
        (set(), "The textbook's order does not show"),
    ],
)
def test_optimisers_are_judged_by_the_rows(config, fast, words):
    found = optimizer_choice.verdict(material_of(config, lambda run: run.optimizer in fast))
    assert words in found
    assert "Plain SGD solved 0 of 3 runs within the budget" in found
    judged = {"Both ideas are", "momentum alone is not", "Momentum is ahead", "Neither idea is",
              "textbook's order does not show"}  # fmt: skip
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
    assert ("That momentum is more than a larger rate does not show" in found) != more
    assert "momentum at the rate 0.01 solved 3 of 3 runs" in found
    without = "plain SGD at the rate 0.1 solved "
    assert f"{without}{'0' if more else '3'} of 3 runs" in found


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
    assert "Better, by runs solved and then by steps: Adam (3 of 3 runs in 900 steps)" in found
    assert "**Not** better: " in found
    assert "SGD with momentum (1 of 3 runs in 900 steps)" in found
    assert "Neither idea is ahead in every optimiser" in found


def test_an_end_of_the_rates_is_told_only_where_plain_sgd_is_best_at_it(config):
    two = dataclasses.replace(config, compared_rates=(1e-2, 1e-1))
    words = "is the largest one tried"
    assert words in optimizer_choice.verdict(
        material_of(two, lambda run: run.learning_rate > 0.05)
    )
    inside = material_of(two, lambda run: run.learning_rate < 0.05)
    assert words not in optimizer_choice.verdict(inside)


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
    assert "training the recurrent weights is what does it" in found
    assert "training, not luck, is what does it" in found
    assert "Networks of which only the read-out was trained solved 0 of " in found
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


def test_a_span_that_grows_with_the_budget_is_told_from_one_that_does_not(config):
    growing = claims.convergence(material_of(config, up_to(20, 20), late), "rnn")
    assert "was still growing" in growing
    steady = claims.convergence(material_of(config, up_to(10, 10)), "rnn")
    assert "hardly changed any more" in steady
    assert "growing" not in steady


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
    assert re.search(
        r"one at T = \d+ was not solved \(accuracy 10\.0 % when it was stopped, 10\.0 % at", stuck
    )
    assert words not in stuck
    later = claims.convergence(
        material_of(more, lambda run: run.length <= 12 or run.train_steps == 10_000), "rnn"
    )
    assert re.search(r"one at T = \d+ was solved at step 250", later)
    assert words in later

    def further(row):
        """More accurate, where it went on; not solved."""
        if row.role != "continued":
            return row
        return row._replace(record=dataclasses.replace(row.record, accuracy=0.9))

    assert words in claims.convergence(material_of(more, up_to(12, 12), further), "rnn")
    none = claims.convergence(material_of(JOINT, lambda run: True), "rnn")
    assert "no unsolved one was among them" in none


def test_a_longer_length_that_is_solved_more_often_is_told_with_its_intervals(config):
    def rule(run):
        return run.length in (5, 20) or (run.length == 10 and run.seed < 4)

    found = claims.reached(material_of(config, rule), "rnn")
    assert "More are solved at T = 20 (8 of 8) than at T = 10 (4 of 8)" in found
    assert "overlap, so that can be chance" in found

    def apart(run):
        return run.length != 10

    assert "shares do not overlap." in claims.reached(material_of(config, apart), "rnn")
    assert "More are solved" not in claims.reached(material_of(config, up_to(20, 20)), "rnn")


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
        "gates": GateUse(6, 8, 0.9, 0.2, 0.3, 0.05, 0.2, 0.9, 0.2),
        "path": {
            "untrained": GradientPath(1e-6, 1e-6, 1e-5),
            "trained": GradientPath(0.95, 0.93, 0.8),
        },
        "bound": {"untrained": 1.1, "trained": 2.0},
        "carried": (),
        "starts": (),
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


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (GateUse(6, 8, 0.9, 0.2, 0.3, 0.05, 0.2, 0.9, 0.2), "0.20 in the second half, more open"),
        (GateUse(6, 8, 0.9, 0.7, 0.3, 0.05, 0.7, 0.5, 0.5), "gate is narrowed, not shut"),
        (GateUse(6, 8, 0.6, 0.8, 0.3, 0.05, 0.7, 0.5, 0.5), "go on counting, by nearly the same"),
        (GateUse(6, 8, 0.6, 0.8, 0.3, 0.4, 0.7, 0.5, 0.5), "the later digits are written as well"),
        (
            GateUse(0, 8, 0.6, 0.8, 0.3, 0.4, 0.7, 0.5, 0.5),
            "None of the 8 units has a mean forget",
        ),
    ],
)
def test_gates_that_do_not_do_what_the_list_tells_are_reconciled(use, words):
    found = reasons.gates(seen(gates=use))
    assert words in found
    shuts = use.input_first > use.input_late
    assert ("it is not the input gate that shuts out" in found) == (not shuts)
    assert ("go on counting" in found) == (not shuts and use.written_late < 0.1)
    assert ("**less** open" in found) == (not shuts)


def test_what_the_gates_do_is_counted_in_the_units_that_keep():
    gates = {name: np.full((4, 6, 3), 0.2) for name in "gifo"}
    gates["f"][..., 0] = 0.95
    gates["i"][:, 0, 0], gates["o"][:, -1, 0] = 0.9, 0.8
    gates["g"][..., 0] = np.array([-1, -1, 1, 1])[:, None]
    use = gate_use(gates)
    assert (use.keeping, use.units) == (1, 3)
    assert use.input_first == pytest.approx(0.9)
    assert use.input_late == pytest.approx(0.2)
    assert use.written_first == pytest.approx(0.9)  # the candidate is 1 or -1
    assert use.written_late == use.size_late == pytest.approx(0.2)
    assert (use.output_last, use.output_before) == pytest.approx((0.8, 0.2))


def test_where_the_hidden_gradient_goes_down_in_between_the_cell_is_told():
    place = ("lstm", "trained", "hidden")
    words = "counts only what passes through the gates"
    assert words not in reasons.gradients(ANY, seen())
    low = reasons.gradients(ANY, seen(lowest=seen().lowest | {place: 1e-6}))
    assert words in low
    assert "which does not go down" in low
    both = seen().lowest | {place: 1e-6, ("lstm", "trained", "cell"): 1e-6}
    assert "which goes down, too" in reasons.gradients(ANY, seen(lowest=both))


def test_what_training_did_to_the_gradient_is_told_of_each_network():
    assert "Training has moved the factor nearer to 1 in both." in reasons.gradients(ANY, seen())
    fall = seen().fall | {("rnn", "trained", "hidden"): 0.3}
    found = reasons.gradients(ANY, seen(fall=fall))
    assert "Training has moved the factor further from 1 in the RNN" in found
    assert "training has moved the factor nearer to 1 in the LSTM" in found


def asked(length, cells, rest, *, solved=True, keeping=5):
    """An LSTM that was asked which part of its state has the digit."""
    record = made_up_record(RunConfig(cell="lstm", length=length), solved=solved)
    return Carried(record, keeping, cells, rest, 0.5)


CAUSE = "**The kept cells are what carries the LSTM beyond the RNN's reach.**"


@pytest.mark.parametrize(
    ("long", "words"),
    [
        ((0.9, 0.0), CAUSE),
        ((0.0, 0.9), "**they do not explain the difference**"),
        ((0.3, 0.3), "**they do not explain the difference**"),
    ],
)
def test_the_kept_cells_are_called_the_reason_only_where_the_digit_goes_with_them(
    joint, long, words
):
    """The digit goes with the rest at T = 5; beyond the RNN's reach, T = 12, it varies."""
    carried = (asked(5, 0.0, 0.9), asked(22, *long), asked(31, 0.9, 0.0))
    found = reasons.carried(joint, seen(carried=carried))
    assert words in found
    assert (CAUSE in found) == (long == (0.9, 0.0))
    assert ("At T = 5, within the RNN's reach, they do not." in found) == (CAUSE in found)
    assert "with the rest, $\\mathbf{h}$ and the cells that are not kept at T = 5" in found


def test_no_reason_is_given_for_a_lead_that_is_not_there(joint):
    found = reasons.carried(joint, seen(carried=(asked(5, 0.9, 0.0),)))
    assert "No LSTM was solved beyond the RNN's reach" in found
    assert CAUSE not in found
    assert "No LSTM was solved, so" in reasons.carried(joint, seen(carried=()))


@pytest.mark.parametrize("keeping", [0, 7])
def test_unsolved_networks_with_kept_cells_are_told(joint, keeping):
    unsolved = Carried(
        made_up_record(RunConfig(cell="lstm", length=40), solved=False), keeping=keeping
    )
    found = reasons.carried(joint, seen(carried=(asked(22, 0.9, 0.0), unsolved)))
    assert ("To have such cells is not enough: of the 1 unsolved LSTMs 1 have" in found) == (
        keeping > 0
    )
    assert ("None of the 1 unsolved LSTMs has such cells" in found) == (keeping == 0)


def test_the_table_of_what_is_carried_has_the_medians_of_the_solved_runs():
    carried = (
        asked(22, 0.9, 0.0), asked(22, 0.5, 0.2), asked(22, 0.7, 0.1), asked(5, 0.0, 1.0),
        Carried(made_up_record(RunConfig(cell="lstm", length=40), solved=False), keeping=9),
    )  # fmt: skip
    lines = reasons.carried_table(ANY, seen(carried=carried)).split("\n")[4:]
    assert lines == [
        "| 5 | 1 | 5 | 0 % | 100 % | 50 % |", "| 22 | 3 | 5 | 70 % | 10 % | 50 % |"
    ]  # fmt: skip
    assert reasons.carried_table(ANY, seen()) == ""


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


@pytest.mark.parametrize("keeps", [True, False])
def test_the_part_of_the_state_that_has_the_digit_is_found_by_exchanging_it(keeps):
    found = carried(saved(memory(keeps)))
    assert found.keeping == (8 if keeps else 0)
    assert (found.by_cells > 0.8) == keeps
    assert (found.by_rest > 0.8) == (not keeps)
    assert min(found.by_cells, found.by_rest) < 0.2


def test_of_an_unsolved_run_the_kept_cells_alone_are_counted():
    found = carried(saved(memory(True), solved=False))
    assert (found.keeping, found.by_cells, found.by_rest, found.along) == (8, None, None, None)


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
    found = carried(SavedRun(made_up_record(config, solved=True), weights, None))
    assert found.keeping == (8 if keeps else 0)
    assert (found.by_cells > 0.8) == keeps
    assert (found.by_rest > 0.8) == (not keeps)
    assert min(found.by_cells, found.by_rest) < 0.2


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
    one = Carried(made_up_record(config, solved=True), 3, 0.9, 0.1, 0.8)
    material = joint._replace(sheet=SHEET._replace(networks=("rnn", "gru")))
    told = reasons.carried(material, seen(carried=(one,)))
    assert "every GRU shown that was solved" in told
    assert "with the units that the update gates keep at T = 20" in told
    assert "cell" not in told
    assert "LSTM" not in told + reasons.carried_table(material, seen(carried=(one,)))


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
        ("lstm", "open", "no order is shown, at the best rates the LSTM is ahead"),
        ("open", "open", "Neither at the learning rate 0.001 nor at the best rates is an order"),
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
    """A contrast of the first gradient before training."""
    above = 0.9 if unsolved > solved else 0.1
    return Contrast("ratio", 0, {}, unsolved, solved, above, p, p)


@pytest.mark.parametrize(
    ("contrast", "words"),
    [
        (start(1e-9, 1e-6, 0.5), "does not tell them apart (smallest p = 0.5, Mann-Whitney"),
        (start(1e-9, 1e-6, 0.01), "was smaller in the unsolved runs than in the solved ones"),
        (start(1e-6, 1e-9, 0.01), "was larger in the unsolved runs than in the solved ones"),
    ],
)
def test_whether_the_start_tells_solved_runs_from_unsolved_ones_is_a_contrast(
    joint, contrast, words
):
    found = reasons.initialisation(joint, seen(starts=(contrast,)))
    assert words in found
    assert ("does not tell them apart" in found) == (contrast.p == 0.5)
    assert "Whether a run comes to be solved" not in reasons.initialisation(joint, seen())


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
        ((1.2, 2.0), (0.5, 1.1), "that the gradient falls in one of the two is measured"),
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
    assert "The learning rate is adjusted to the length: 28 runs" in values._how_measured(joint)
    assert "Then 3 runs per length" in values._how_measured(joint)
    assert "8 runs of each network at the learning rate 0.001" in values._how_measured(joint)
    grid = values._how_measured(material_of(config, up_to(10, 20)))
    assert "There are 8 runs per length and rate" in grid
    assert "adjusted" not in grid


def test_lengths_that_one_network_has_alone_stand_in_the_table_too(joint):
    lines = values._both_table(joint).split("\n")[4:]
    lengths = {found.length for side in joint.duels[0].sides for found in side.lengths}
    assert [int(line.split("|")[1]) for line in lines] == sorted(lengths)
    assert len(lengths) > 8
