"""The holding span: what networks answer far beyond the lengths they were trained at."""

import dataclasses
import json

import pytest
import safetensors.torch
import torch
from studies import made_up_rows

from digitspan.cli import main
from digitspan.files import sha256
from digitspan.hold.asking import ask
from digitspan.hold.kept_answers import Answers
from digitspan.runs.config import RunConfig
from digitspan.study.config import StudyConfig
from digitspan.study.store import Store
from digitspan.tasks.palindrome import very_long
from digitspan.tasks.questions import encode
from digitspan.training.engine import build_network


def keeper(seed=0, length=20, leak=1.0):
    """An LSTM that keeps the first digit for ever, by hand; one with a leak forgets it.

    Unit k of ten is written by digit k while a clock, unit 10, has not ticked yet.
    """
    config = RunConfig(cell="lstm", length=length, hidden_size=11, seed=seed)
    network = build_network(config)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        keep, clock = slice(0, 10), 10
        network.W_gx[keep] = 20 * torch.eye(10)
        network.b_g[clock] = 20.0
        network.b_i[keep] = 20.0
        network.W_ih[keep, clock] = -200.0  # closed as soon as the clock's hidden state is 0.76
        network.b_i[clock] = 20.0
        network.b_f[:] = 20.0
        network.b_f[keep] = 20.0 if leak == 1 else torch.logit(torch.tensor(leak)).item()
        network.b_o[:] = 20.0
        network.W_ph[:, keep] = torch.eye(10)
    return config, safetensors.torch.save(network.state_dict())


def test_palindromes_are_palindromes_in_whatever_pieces():
    whole = very_long(1_001, 30, 0, 1_001)
    assert torch.equal(whole, whole.flip(1))
    cut = [very_long(1_001, 30, a, min(a + 137, 1_001)) for a in range(0, 1_001, 137)]
    assert torch.equal(torch.cat(cut, dim=1), whole)
    assert torch.bincount(whole[:, 0].long()).tolist() == [3] * 10
    inner = whole[:, 1:500].flatten().long()
    share = torch.bincount(inner, minlength=10) / len(inner)
    assert (share - 0.1).abs().max() < 0.01
    assert len(torch.unique(whole, dim=0)) == 30


def test_answers_are_those_of_the_network_itself():
    config, weights = keeper()
    broken = dataclasses.replace(config, seed=1)
    start = {
        name: value.contiguous() for name, value in build_network(broken).state_dict().items()
    }
    found = ask({config: weights, broken: safetensors.torch.save(start)}, 60, 200)
    digits = very_long(60, 200, 0, 59)
    logits = build_network(broken)(encode(digits, 10))
    right = int((logits.argmax(dim=1) == digits[:, 0]).sum())
    assert found == [Answers(config.key, 60, 200, 200), Answers(broken.key, 60, right, 200)]
    assert [held.holds for held in found] == [True, False]


def test_network_that_forgets_holds_up_to_where_it_forgets():
    config, weights = keeper(leak=0.5)
    found = {length: ask({config: weights}, length, 200)[0].holds for length in (10, 2_000)}
    assert found == {10: True, 2_000: False}


def test_digits_read_are_told_and_memory_does_not_grow(monkeypatch):
    monkeypatch.setattr("digitspan.hold.asking._DIGITS_AT_ONCE", 10)
    config, weights = keeper()
    read = []
    ask({config: weights}, 36, 10, on_step=read.append)
    assert read == [10, 20, 30, 35]


def test_cell_without_a_step_is_refused():
    config = RunConfig(cell="own_cells:Perfect", length=5)
    weights = safetensors.torch.save(build_network(config).state_dict())
    with pytest.raises(Exception, match=r"own_cells:Perfect cannot read long strings.*step"):
        ask({config: weights}, 5, 10)


# The command ---------------------------------------------------------------------------------


@pytest.fixture
def study(tmp_path):
    """A study whose LSTMs were solved up to T = 10: one keeps for ever, one forgets."""
    config = StudyConfig(cells=("lstm",), lengths=(5, 10, 20), seeds=2, hidden_size=11)
    rows = made_up_rows(config, lambda run: run.length <= 10)
    (tmp_path / "weights").mkdir()
    with Store.create(tmp_path) as store:
        store.set_value("config", config.canonical)
        for row in rows.values():
            _, weights = keeper(leak=0.5 if row.record.config.seed else 1.0)
            record = dataclasses.replace(row.record, weights_sha256=sha256(weights))
            key = record.config.key
            (tmp_path / "weights" / f"{key}.safetensors").write_bytes(weights)
            store.add(row._replace(record=record))
    return tmp_path


def asked(capsys, *words):
    status = main(["hold", *map(str, words), "--json"])
    return status, json.loads(capsys.readouterr().out)["holding"]


def test_study_is_asked_at_its_longest_solved_length(study, capsys):
    words = (study, "--lengths", 10, 2_000, "--palindromes", 130)
    status, (found,) = asked(capsys, *words)
    assert (status, found["cell"], found["trained_length"]) == (0, "lstm", 10)
    assert found["optimizer"] == "rmsprop"
    answers = {(one["length"], one["holds"]) for one in found["networks"]}
    assert answers == {(10, True), (2_000, True), (2_000, False)}
    assert main(["hold", *map(str, words)]) == 0
    out = capsys.readouterr().out
    assert "rmsprop" in out  # a study may compare optimisers
    assert "1/2" in out
    assert "2/2" in out


def test_weights_of_another_network_are_a_sentence(study, capsys):
    """Their hash is right: somebody has made the row for them."""
    shaped = {name: torch.zeros(3) for name in safetensors.torch.load(keeper()[1])}
    for weights in (b"garbage!" * 10, safetensors.torch.save(shaped)):
        with Store.create(study) as store:
            for key, row in store.rows().items():
                (study / "weights" / f"{key}.safetensors").write_bytes(weights)
                record = dataclasses.replace(row.record, weights_sha256=sha256(weights))
                store.add(row._replace(record=record))
        for words in (("hold", "--lengths", "50"), ("look", "-o", str(study / "page.html"))):
            assert main([words[0], str(study), *words[1:]]) == 2
            err = capsys.readouterr().err.splitlines()[-1]
            assert "the weights kept of the run" in err
            assert "are not those of its network" in err
        assert not (study / "page.html").exists()


def test_answers_that_were_kept_are_not_asked_again(study, capsys, monkeypatch):
    words = (study, "--lengths", 10, "--palindromes", 20)
    first = asked(capsys, *words)
    monkeypatch.setattr("digitspan.hold.asking.answer_in_pieces", None)
    assert asked(capsys, *words) == first


def test_few_palindromes_decide_nothing_and_that_is_said(study, capsys):
    """20 right answers in a row are no 99 %: a network of 97 % gives them every other time."""
    words = [str(study), "--lengths", "10", "--palindromes", "20"]
    _, (found,) = asked(capsys, *words)
    assert [(one["right"], one["holds"]) for one in found["networks"]] == [(20, None)] * 2
    assert (found["s50"], found["low"], found["high"], found["bound"]) == (None, None, None, "?")
    assert main(["hold", *words]) == 0
    out = capsys.readouterr().out
    assert "0/2, 2 undecided" in out
    assert "not known" in out
    assert "from 130 right answers in a row on a network holds 99 %" in out


def test_figure_runs_of_a_condition_are_one_group_whatever_their_rates(tmp_path, capsys):
    config = StudyConfig(cells=("lstm",), longest=40, runs=20, figure_seeds=2, hidden_size=11)
    rows = made_up_rows(config, lambda run: run.length <= 12)
    (tmp_path / "weights").mkdir()
    with Store.create(tmp_path) as store:
        store.set_value("config", config.canonical)
        for row in rows.values():
            _, weights = keeper()
            record = dataclasses.replace(row.record, weights_sha256=sha256(weights))
            if row.role == "figure":
                rate = (1e-3, 1e-2)[record.config.length % 2]  # another at every other length
                run = dataclasses.replace(record.config, learning_rate=rate)
                record = dataclasses.replace(record, config=run)
                path = tmp_path / "weights" / f"{run.key}.safetensors"
                path.write_bytes(weights)
            store.add(row._replace(record=record))
    _, (found,) = asked(capsys, tmp_path, "--lengths", 50)
    solved = [row.record.config.length for row in rows.values()
              if row.role == "figure" and row.record.solved]  # fmt: skip
    longest = max(solved)
    assert (found["trained_length"], len(found["networks"])) == (longest, 2)


def test_table_of_records_shows_what_is_held(study, capsys):
    config = StudyConfig(cells=("lstm",), lengths=(5, 10, 20), seeds=2, hidden_size=11, climb=True)
    with Store.create(study) as store:
        store.set_value("config", config.canonical)
    asked(capsys, study, "--lengths", 10, 2_000, "--palindromes", 130)
    assert main(["show", str(study), "--no-figures"]) == 0
    assert "10 (2/2)" in capsys.readouterr().out
    (study / "holding.json").write_text("[[1")
    assert main(["show", str(study), "--no-figures"]) == 2
    assert "remove it" in capsys.readouterr().err


def test_log_file_is_told_how_far_the_strings_are_read(study, capsys, monkeypatch):
    monkeypatch.setattr("digitspan.commands.progress.SECONDS_BETWEEN_LINES", 0.0)
    assert main(["hold", str(study), "--lengths", "5000", "--palindromes", "10"]) == 0
    lines = capsys.readouterr().err.splitlines()
    read = ["2,000", "4,000", "4,999"]
    assert [line.split(": ")[1].split(" ")[0] for line in lines] == read
    assert all("2 networks (lstm), T = 5,000" in line for line in lines)
    assert lines[-1].endswith("about 0 s left")


def test_interrupt_loses_no_length_that_was_finished(study, capsys, monkeypatch):
    from digitspan.hold import asking

    def interrupted(networks, length, count, **options):
        if length == 20:
            raise KeyboardInterrupt
        return real(networks, length, count, **options)

    real = asking.ask
    monkeypatch.setattr(asking, "ask", interrupted)
    assert main(["hold", str(study), "--lengths", "10", "20"]) == 130
    assert len(json.loads((study / "holding.json").read_text())) == 2


def test_single_run_of_a_study_is_asked_by_its_key(study, capsys):
    config = RunConfig(cell="lstm", length=5, hidden_size=11, seed=0)
    _, (found,) = asked(capsys, f"{study}:{config.key}", "--lengths", 50)
    assert [one["holds"] for one in found["networks"]] == [True]
    assert found["bound"] == ">="


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--lengths", "1"], "--lengths must be a whole number from 2 to"),
        (["--lengths", "99999999999"], "--lengths must be a whole number from 2 to"),
        (["--lengths", "many"], "--lengths"),
        (["--palindromes", "0"], "--palindromes must be a whole number from 1 to 100,000; got '0"),
        (["--palindromes", "1000000000"], "from 1 to 100,000; got '1000000000'"),
    ],
)
def test_bad_numbers_are_refused_in_one_sentence(words, said, study, capsys):
    assert main(["hold", str(study), *words]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert said in err
    assert not (study / "holding.json").exists()


def test_damaged_answers_are_refused_in_one_sentence(study, capsys):
    (study / "holding.json").write_text("[[1")
    assert main(["hold", str(study)]) == 2
    assert "remove it" in capsys.readouterr().err


def test_study_without_a_solved_length_is_refused(tmp_path, capsys):
    config = StudyConfig(cells=("rnn",), lengths=(5,), seeds=1)
    with Store.create(tmp_path) as store:
        store.set_value("config", config.canonical)
        for row in made_up_rows(config, lambda run: False).values():
            store.add(row)
    assert main(["hold", str(tmp_path)]) == 2
    assert "keeps no network that could hold anything" in capsys.readouterr().err


FORWARD_ALONE = """
from torch import nn

class Whole(nn.Module):
    def __init__(self, input_size, hidden_size, num_classes):
        super().__init__()
        self.layer = nn.Linear(input_size, num_classes)

    def forward(self, inputs):
        return self.layer(inputs[:, -1])
"""


def test_a_study_with_a_cell_without_steps_is_held_but_for_that_cell(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "whole.py").write_text(FORWARD_ALONE)
    config = StudyConfig(
        cells=("whole:Whole", "lstm"),
        lengths=(5,),
        seeds=1,
        hidden_size=11,
        train_steps=(500, 1_000),
    ).with_sources()
    made_up_study(tmp_path / "s", config)
    assert main(["hold", "s", "--lengths", "50", "--palindromes", "20", "--trust"]) == 0
    said = capsys.readouterr()
    assert "left out: whole:Whole cannot read long strings: it has no step" in said.err
    assert "Whole" not in said.out
    # Budgets stand in the table, where there are several.
    assert [line.split("│")[2].strip() for line in said.out.splitlines() if "LSTM" in line] == [
        "500",
        "1,000",
    ]
    assert main(["hold", "s", "--lengths", "50", "--palindromes", "20"]) == 0
    assert "left out: whole:Whole is not digitspan's" in capsys.readouterr().err
    made_up_study(tmp_path / "t", dataclasses.replace(config, cells=("whole:Whole",)))
    assert main(["hold", "t", "--trust"]) == 2
    assert "whole:Whole cannot read long strings" in capsys.readouterr().err


def made_up_study(folder, config):
    """A study of which all runs were solved, its networks untrained but for the LSTM's."""
    (folder / "weights").mkdir(parents=True)
    with Store.create(folder) as store:
        store.set_value("config", config.canonical)
        for key, row in made_up_rows(config, lambda run: True).items():
            network = build_network(row.record.config)
            weights = safetensors.torch.save(network.state_dict())
            if row.record.config.cell == "lstm":
                _, weights = keeper()
            store.add(
                row._replace(
                    record=dataclasses.replace(row.record, weights_sha256=sha256(weights))
                )
            )
            (folder / "weights" / f"{key}.safetensors").write_bytes(weights)
