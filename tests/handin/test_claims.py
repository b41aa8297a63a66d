"""What the report says follows from the rows: other rows, other words."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from studies import made_up_record, made_up_rows

from digitspan.handin import claims, limits, optimizer_choice, reasons, values
from digitspan.handin.material import Material, compare_networks
from digitspan.handin.measurements import GradientPath, Measurements, gradient_path
from digitspan.handin.wording import joined, power, span_words
from digitspan.part1.lstm import LSTM
from digitspan.runs.config import RunConfig
from digitspan.study.config import StudyConfig, sheet
from digitspan.study.reading import SavedRun, Study
from digitspan.study.summary import summarise
from digitspan.tasks.palindrome import mirror


def material_of(config, rule, change=lambda row: row):
    """What a study of made-up rows would be, its networks made up too."""
    rows = {key: change(row) for key, row in made_up_rows(config, rule).items()}
    summary = summarise(config, rows)
    comparison, duels = compare_networks(
        Study(Path("made-up/study.db"), rows, 0, config.canonical), summary
    )
    networks = {
        cell: SavedRun(made_up_record(RunConfig(cell=cell, length=20), solved=True), b"", None)
        for cell in ("rnn", "lstm")
    }
    return Material(summary, comparison, duels, networks)


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
    assert claims.reach(duel.rnn) == words


def test_reach_counts_what_lies_between(config):
    def rule(run):
        return run.length <= 10 or (run.length == 20 and run.seed < 3)

    (duel,) = material_of(config, rule).duels
    assert claims.reach(duel.rnn) == (
        "solved every run up to T = 10, 3 of 8 at T = 20 and none at T = 40"
    )


def test_a_failed_sanity_check_is_not_hidden(config):
    assert "near-perfect, as" in claims.sanity(material_of(config, up_to(5, 5)), "rnn")
    assert "**not near-perfect**" in claims.sanity(material_of(config, up_to(3, 3)), "rnn")


@pytest.mark.parametrize(
    ("limit", "words"),
    [(5, "gives up even earlier"), (10, "about right"), (80, "lasts longer than that")],
)
def test_the_sheets_ten_steps_are_held_against_the_rows(config, limit, words):
    assert words in claims.rnn_against_sheet(material_of(config, up_to(limit, 5)))


@pytest.mark.parametrize(
    ("fast", "words"),
    [
        ({"momentum", "rmsprop", "adam"}, "Both ideas help here"),
        ({"rmsprop", "adam"}, "it is the adaptive rates that help"),
        ({"momentum"}, "Here momentum helps"),
        (set(), "The textbook's order does not show"),
    ],
)
def test_optimisers_are_judged_by_the_rows(config, fast, words):
    found = optimizer_choice.verdict(material_of(config, lambda run: run.optimizer in fast))
    assert words in found
    assert "Plain SGD solved 0 of 3 runs within the budget" in found
    helped = {"Both ideas help", "that help; momentum alone does not", "Here momentum helps",
              "Neither idea helps", "textbook's order does not show"}  # fmt: skip
    assert sum(words in found for words in helped) == 1  # no other


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
    assert "Neither idea helps in every optimiser" in found


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
    assert [best.condition.optimizer for best in bests] == list(optimizer_choice.NAMES)
    assert {b.condition.optimizer: b.condition.rate for b in bests} == {
        "sgd": "0.1", "momentum": "0.1", "rmsprop": "0.1", "adam": "0.01",
    }  # fmt: skip


def test_controls_are_told_where_there_are_some():
    material = material_of(JOINT, lambda run: run.length <= 10 and run.trained == "all")
    assert "training the recurrent weights is what does it" in limits.controls(material)
    assert "Networks of which only the read-out was trained solved" in limits.controls(material)
    assert "which is chance" in limits.controls(material)


def test_controls_that_do_not_hold_are_told():
    def leaking(row):
        return row._replace(record=dataclasses.replace(row.record, masked_right=500))

    found = limits.controls(material_of(JOINT, up_to(10, 10), leaking))
    assert "which is not chance: something besides the first digit tells the answer" in found
    assert "so nothing but the first digit" not in found
    assert "some of this can be had without training the recurrent weights" in found
    assert "is what does it" not in found


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
    assert "runs shown at a length is 8" in found
    assert "begins at 68 %" in found
    assert "quick look" in found


def test_words():
    assert joined(["a"]) == "a"
    assert power(1.0) == "1"
    assert power(2e-24) == r"$2.0 \times 10^{-24}$"
    assert power(9.96e-5) == r"$1.0 \times 10^{-4}$"


def test_a_span_that_the_lengths_do_not_reach_is_told_as_a_bound(config):
    (duel,) = material_of(config, up_to(80, 3)).duels
    assert span_words(duel.rnn.span).startswith("lies at or beyond the longest length run, 40")
    assert span_words(duel.lstm.span) == "lies at or below the shortest length run, 5"


def late(row):
    """Solved the later, the longer the length."""
    record = row.record
    if not record.solved:
        return row
    return row._replace(
        record=dataclasses.replace(record, steps=min(90 * record.config.length, 2_000))
    )


def test_a_span_that_grows_with_the_budget_is_told_from_one_that_does_not(config):
    growing = claims.convergence(material_of(config, up_to(20, 20), late), ["rnn"])
    assert "was still growing" in growing
    steady = claims.convergence(material_of(config, up_to(10, 10)), ["rnn"])
    assert "hardly changed any more" in steady
    assert "growing" not in steady


def test_what_became_of_continued_runs_is_told():
    """Only runs that had been drawn are continued; without any, that is told too."""
    more = dataclasses.replace(JOINT, figure_seeds=8)
    stuck = claims.convergence(material_of(more, up_to(12, 12)), ["rnn", "lstm"])
    assert (
        "0 of these were solved then; those that were not ended with these accuracies: " in stuck
    )
    assert re.search(r"RNN at T = \d+: 10\.0 %", stuck)
    later = claims.convergence(
        material_of(more, lambda run: run.length <= 12 or run.train_steps == 10_000),
        ["rnn", "lstm"],
    )
    assert re.search(r" [1-9]\d* of these were solved then\.", later)
    assert "those that were not" not in later
    none = claims.convergence(material_of(JOINT, lambda run: True), ["rnn"])
    assert "no unsolved one was among them" in none


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
    gates = {name: np.full((19, 8), 0.2) for name in "gifo"}
    gates["i"][0], gates["o"][-1] = 0.9, 0.9
    values = {
        "arrays": {},
        "fall": fall,
        "drop": dict.fromkeys(fall, 1e-3),
        "forget": {"untrained": np.full(8, 0.5), "trained": np.full(8, 0.95)},
        "gates": gates,
        "path": {
            "untrained": GradientPath(1e-6, 1e-6, 1e-5),
            "trained": GradientPath(0.95, 0.93, 0.8),
        },
        "singular": {"untrained": 1.1, "trained": 2.0},
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
        (0.6, "more of the gradient runs along the cell than through the gates"),
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
        "**runs along the cell**", "more of the gradient runs along", "gates than along the cell",
        "hardly used", "partly cancel",
    ]  # fmt: skip
    assert words in found
    assert sum(each in found for each in told) == 1


@pytest.mark.parametrize(
    ("share", "kept", "words"),
    [
        (0.01, 0.001, "so that no unit could bring it there alone"),
        (0.95, 0.8, "That fits the forget gates"),
        (0.01, 0.8, "Of the forget gates: "),
        (0.95, 0.001, "Of the forget gates: "),
    ],
)
def test_the_path_and_the_forget_gates_are_reconciled(share, kept, words):
    path = {"untrained": GradientPath(0.1, 0.1, 0.1), "trained": GradientPath(share, share, kept)}
    forget = {"untrained": np.full(8, 0.5), "trained": np.array([0.95] + 7 * [0.4])}
    found = reasons.gradient_path(
        seen(path=path, forget=forget),
        made_up_record(RunConfig(cell="lstm", length=20), solved=False),
    )
    assert words in found
    assert ("so that no unit" in found) == (kept < 0.1 and share < 0.5)
    assert ("That fits" in found) == ((kept < 0.1) == (share < 0.5))
    assert "over these 18 steps, and 1 of 8 units have a mean forget gate above 0.9" in found
    assert "in the trained network, which was not solved," in found


def test_gates_that_do_not_do_what_the_list_tells_are_reconciled():
    words = "does not use its gates as the list tells it"
    assert words not in reasons.gates(seen())
    assert reasons.gates(seen()).count(", as expected") == 2
    shut = {name: np.full((19, 8), 0.2) for name in "gifo"}
    assert words in reasons.gates(seen(gates=shut))
    shut["i"][0] = 0.1
    assert "**not** more open where it was expected" in reasons.gates(seen(gates=shut))


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
    row = getattr(tuned, cell)
    lengths = tuple(
        found._replace(learning_rate=rates[min(place, len(rates) - 1)])
        for place, found in enumerate(row.lengths)
    )
    return material._replace(
        duels=(tuned._replace(**{cell: row._replace(lengths=lengths)}), *others)
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
                (("rnn", tuned.rnn), ("lstm", tuned.lstm)), (rnn, lstm), strict=True
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


@pytest.mark.parametrize(
    ("rnn", "cell", "best", "words"),
    [
        (0.8, 0.97, "lstm", "that of the LSTM cell is nearer to 1, and with the best"),
        (0.8, 0.97, "rnn", "that of the LSTM cell is nearer to 1, but with the best"),
        (0.97, 0.8, "rnn", "that of the RNN is nearer to 1, and with the best"),
        (0.8, 0.81, "lstm", "the RNN's and the cell's are about the same"),
        (0.99, 1.01, "lstm", "both the RNN's and the cell's are near 1"),
        (0.8, 0.97, "open", "but of neither is it shown that it is ahead"),
    ],
)
def test_how_far_gradients_reach_is_held_against_the_spans(joint, rnn, cell, best, words):
    fall = seen().fall | {
        ("rnn", "trained", "hidden"): rnn, ("lstm", "trained", "cell"): cell,
    }  # fmt: skip
    found = reasons.mechanism(decided(joint, best, best), seen(fall=fall))
    assert words in found
    told = max(abs(np.log(rnn)), abs(np.log(cell))) >= 0.05 and abs(rnn - cell) >= 0.02
    nearer, other = ("lstm", "rnn") if cell > rnn else ("rnn", "lstm")
    assert ("it is ahead" in found.replace("shown that it is ahead", "")) == (
        told and best == nearer
    )
    assert (f"the {other.upper()} is ahead" in found) == (told and best == other)


@pytest.mark.parametrize(
    ("rnn", "lstm", "words"),
    [
        (0.5, 0.6, "it is the LSTM that starts with the longer reach. This agrees"),
        (0.6, 0.5, "it is the RNN that starts with the longer reach. With the best"),
        (0.6, 0.6, "about the same reach. That does not explain a difference"),
    ],
)
def test_where_training_starts_is_held_against_the_spans(joint, rnn, lstm, words):
    fall = seen().fall | {
        ("rnn", "untrained", "hidden"): rnn, ("lstm", "untrained", "hidden"): lstm,
    }  # fmt: skip
    found = reasons.initialisation(decided(joint, "lstm", "lstm"), seen(fall=fall))
    assert words in found
    assert ("the start does not decide it" in found) == (rnn > lstm)


def test_a_forget_gate_that_starts_near_one_need_not_be_learned(joint):
    words = "it would have to be learned"
    assert words in reasons.initialisation(joint, seen())
    near = {"untrained": np.full(8, 0.95), "trained": np.full(8, 0.95)}
    assert words not in reasons.initialisation(joint, seen(forget=near))


@pytest.mark.parametrize(
    ("singular", "fall", "words"),
    [
        (0.9, 0.5, "(E) leaves the gradient no choice but to vanish"),
        (1.2, 0.5, "that the gradient vanishes is measured, not implied"),
        (1.2, 1.1, "that the gradient grows is measured, not implied"),
    ],
)
def test_what_the_bound_says_is_what_the_matrix_has(singular, fall, words):
    falls = seen().fall | {("rnn", "untrained", "hidden"): fall}
    found = reasons.singular_values(
        seen(fall=falls, singular={"untrained": singular, "trained": 2})
    )
    assert words in found
    assert ("no choice" in found) == (singular < 1)


def test_how_it_was_measured_is_that_of_the_design(config, joint):
    assert "The learning rate is adjusted to the length: 28 runs" in values._how_measured(joint)
    assert "Then 3 runs a length" in values._how_measured(joint)
    assert "8 runs of each network at the learning rate 0.001" in values._how_measured(joint)
    grid = values._how_measured(material_of(config, up_to(10, 20)))
    assert "There are 8 runs a length and rate" in grid
    assert "adjusted" not in grid


def test_lengths_that_one_network_has_alone_stand_in_the_table_too(joint):
    lines = values._both_table(joint).split("\n")[4:]
    lengths = {found.length for side in joint.duels[0].sides for found in side.lengths}
    assert [int(line.split("|")[1]) for line in lines] == sorted(lengths)
    assert len(lengths) > 8
