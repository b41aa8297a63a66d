"""A run as data: every bad value is refused by name, and the key of a run never changes."""

import dataclasses
import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitspan.cells import CELLS
from digitspan.errors import ConfigError, UsageError
from digitspan.runs import cost
from digitspan.runs.config import ENCODINGS, OPTIMIZERS, TRAINED, RunConfig
from digitspan.runs.cost import check_size
from digitspan.runs.outcome import END_STATES
from digitspan.runs.record import CurvePoint, RunRecord
from digitspan.runs.settings import LARGEST_RATE
from digitspan.tasks import CHANCE

GOLDEN = (
    '{"batch_size":128,"cell":"lstm","encoding":"one-hot","hidden_size":128,'
    '"initialisation":"uniform","learning_rate":0.001,"length":20,"max_grad_norm":10.0,'
    '"optimizer":"rmsprop","seed":0,"train_steps":10000,"trained":"all"}'
)


def config(**settings):
    return RunConfig(**{"cell": "rnn", "length": 5} | settings)


# Keys and names ------------------------------------------------------------------------------


def test_key_is_fixed_for_ever():
    # Golden: a key that changed would make every finished run of every store run again.
    lstm = config(cell="lstm", length=20)
    assert lstm.canonical == GOLDEN
    assert lstm.key == "62ac1e97f6da"


def test_equal_numbers_make_the_same_run():
    whole = config(learning_rate=1, max_grad_norm=10)
    assert whole == config(learning_rate=1.0, max_grad_norm=10.0)
    assert whole.canonical == config(learning_rate=1.0, max_grad_norm=10.0).canonical


def test_every_setting_is_in_the_key():
    other = {
        "cell": "lstm",
        "length": 6,
        "seed": 1,
        "learning_rate": 0.01,
        "encoding": "scalar",
        "initialisation": "orthogonal",
        "optimizer": "adam",
        "schedule": "cosine",
        "hidden_size": 64,
        "batch_size": 64,
        "train_steps": 100,
        "max_grad_norm": 1.0,
        "trained": "none",
        "curriculum": True,
        "task": "first-symbol",
        "order": "forward",
    }
    names = {field.name for field in dataclasses.fields(RunConfig)}
    assert {*other, "source", "task_facts"} == names
    of_lists = {"order": {"task": "recall", "length": 6}}
    keys = {config(**{name: value} | of_lists.get(name, {})).key for name, value in other.items()}
    assert len(keys | {config().key}) == len(other) + 1
    sources = {config(cell="a:B", source=source).key for source in ("", "0" * 16, "1" * 16)}
    assert len(sources) == 3
    facts = ("", f"{'0' * 16} 5 5 0.2", f"{'0' * 16} 5 6 0.2", f"{'1' * 16} 5 5 0.2")
    assert len({config(task="a:B", task_facts=each).key for each in facts}) == 4


configs = st.builds(
    lambda cell, start, **settings: RunConfig(
        cell=cell,
        initialisation=sorted(CELLS[cell].initialisations)[
            start % len(CELLS[cell].initialisations)
        ],
        **settings,
    ),
    cell=st.sampled_from(sorted(CELLS)),
    start=st.integers(0, 9),
    length=st.integers(2, 10**6),
    seed=st.integers(0, 2**63 - 1),
    learning_rate=st.floats(0, LARGEST_RATE, exclude_min=True),
    encoding=st.sampled_from(sorted(ENCODINGS)),
    optimizer=st.sampled_from(OPTIMIZERS),
    hidden_size=st.integers(1, 10**6),
    max_grad_norm=st.floats(0, exclude_min=True, allow_infinity=False),
    trained=st.sampled_from(TRAINED),
)


@given(configs)
def test_configuration_comes_back_from_its_canonical_text(one):
    again = RunConfig.from_canonical(one.canonical)
    assert again == one
    assert (again.canonical, again.key) == (one.canonical, one.key)


@given(configs, configs)
def test_different_configurations_have_different_keys(one, other):
    assert (one.key == other.key) == (one == other)


def test_run_id_is_for_people():
    assert config(cell="lstm", length=15, seed=2).run_id == "lstm-T015-lr0.001-seed2"
    own = config(cell="my.module:MyCell", length=1000, learning_rate=0.1)
    assert own.run_id == "my.module.MyCell-T1000-lr0.1-seed0"


def test_runs_that_differ_have_different_names():
    settings = {
        "encoding": ("scalar", "scalar"),
        "initialisation": ("chrono", "chrono"),
        "optimizer": ("adam", "adam"),
        "hidden_size": (64, "n64"),
        "batch_size": (32, "batch32"),
        "train_steps": (1_000_000, "steps1000000"),
        "max_grad_norm": (0.5, "clip0.5"),
        "trained": ("none", "trained-none"),
        "curriculum": (True, "curriculum"),
        "task": ("first-symbol", "first-symbol"),
    }
    for name, (value, said) in settings.items():
        run_id = config(cell="lstm", **{name: value}).run_id
        assert run_id == f"lstm-T005-lr0.001-seed0-{said}"
    lists = {"cell": "lstm", "task": "recall", "length": 12}
    name = "lstm-recall-n128-L06-lr0.001-seed0"
    assert config(**lists).run_id == name
    assert config(**lists, curriculum=True).run_id == f"{name}-curriculum"
    assert config(**lists, hidden_size=64).run_id == name.replace("n128", "n64")
    forward = config(**lists, order="forward", optimizer="adam", batch_size=64)
    assert forward.run_id == "lstm-recall-forward-n128-L06-lr0.001-seed0-adam-batch64"
    near = {config(learning_rate=rate).run_id for rate in (0.001, 0.00100000001)}
    assert len(near) == 2
    edited = {config(cell="a:B", source=source).run_id for source in ("", "0" * 16, "1" * 16)}
    assert edited == {"a.B-T005-lr0.001-seed0" + end for end in ("", "-000000", "-111111")}


def test_own_cell_has_its_own_start():
    assert config(cell="mymodule:MyCell").initialisation == "own"
    with pytest.raises(ConfigError, match="initialisation for mymodule:MyCell must be one of own"):
        config(cell="mymodule:MyCell", initialisation="chrono")


def test_input_size_is_the_encodings():
    assert config(encoding="one-hot").input_size == 10
    assert config(encoding="scalar").input_size == 1
    assert CHANCE == 0.1


# Bad values ----------------------------------------------------------------------------------

NOT_WHOLE = (0.5, 1.0, "1", "", "٣", None, True, math.nan, math.inf, [1], 2**63, 10**30)
NOT_POSITIVE = (0, 0.0, -1, -1e-9, math.nan, math.inf, -math.inf, 10**400, "0.1", None, True, [1])

BAD = {
    "length": (*NOT_WHOLE, 1, 0, -5),
    "seed": (*NOT_WHOLE, -1),
    "hidden_size": (*NOT_WHOLE, 0, -1),
    "batch_size": (*NOT_WHOLE, 0, -1),
    "train_steps": (*NOT_WHOLE, 0, -1),
    "learning_rate": NOT_POSITIVE,
    "max_grad_norm": NOT_POSITIVE,
    "encoding": ("", "onehot", "One-Hot", None, 1, []),
    "optimizer": ("", "rms", "RMSprop", None, 1, []),
    "schedule": ("", "cos", "Cosine", None, 1, []),
    "trained": ("", "readout", "ALL", None, 1, []),
    "curriculum": ("", "yes", None, 1, 0, []),
    "task": ("", "copy", "Palindrome", None, 1, []),
    "order": ("", "backwards", "Forward", None, 1, []),
    "task_facts": ("x", "0" * 16 + " 5 5 0.2", None, 1, []),
    "cell": ("", "elman", "LSTM", "a:", ":A", None, 1, []),
    "initialisation": ("", "chrono", "own", "xavier", None, 1, []),
    "source": ("x" * 16, "0" * 15, "0" * 17, "0" * 16, None, 1, []),
}


def test_every_setting_has_bad_values():
    assert set(BAD) == {field.name for field in dataclasses.fields(RunConfig)}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in BAD.items() for value in values],
    ids=lambda value: str(value)[:20] or "empty",
)
def test_bad_value_is_refused_by_name(name, value):
    with pytest.raises(ConfigError, match=rf"^{name} (must be|for rnn must be) .*got ") as caught:
        config(**{name: value})
    assert caught.value.name == name
    assert caught.value.exit_status == 2
    # One sentence, and not a page of digits: the longest lists choices and shows 80 characters.
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("name", ["encoding", "optimizer", "trained"])
def test_choices_are_all_listed(name):
    choices = {"encoding": ENCODINGS, "optimizer": OPTIMIZERS, "trained": TRAINED}[name]
    with pytest.raises(ConfigError, match=f"must be one of {', '.join(choices)}; got 'x'"):
        config(**{name: "x"})


def test_configuration_cannot_be_changed_afterwards():
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'seed'"):
        config().seed = 2


def test_every_setting_explains_itself():
    for field in dataclasses.fields(RunConfig):
        assert field.metadata["help"], field.name


# Sizes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "refusal"),
    [
        ({"length": 10**7}, r"T = 10,000,000.* takes about [\d,.]+ GiB of memory"),
        ({"hidden_size": 10**6}, r"hidden size 1,000,000.* takes about [\d,.]+ GiB of memory"),
        ({"batch_size": 10**9}, r"batch size 1,000,000,000 takes about [\d,.]+ GiB of memory"),
        ({"train_steps": 10**13}, r"10,000,000,000,000 steps takes about [\d,]+ days or more"),
        ({"length": 10**7, "cell": "mymodule:MyCell"}, r"training mymodule:MyCell at .* GiB"),
    ],
)
def test_absurd_size_is_refused_before_it_starts(settings, refusal):
    with pytest.raises(UsageError, match=refusal):
        check_size(config(**settings))


LARGE = {"length": 2**62, "hidden_size": 2**62, "batch_size": 2**62, "train_steps": 2**62}


@pytest.mark.parametrize(
    "settings", [names for n in (1, 2, 4) for names in itertools.combinations(LARGE, n)]
)
def test_no_size_is_too_large_to_be_refused(settings):
    with pytest.raises(UsageError, match="; choose a smaller one"):
        check_size(config(**{name: LARGE[name] for name in settings}))


def test_usual_sizes_are_begun():
    for cell in CELLS:
        check_size(config(cell=cell))
        check_size(config(cell=cell, length=1000))


def test_memory_of_the_machine_decides(monkeypatch):
    monkeypatch.setattr(cost, "_physical_memory", lambda: 2**19)
    with pytest.raises(UsageError, match=r"this machine has 0\.0 GiB; choose a smaller one"):
        check_size(config())


def test_size_where_the_machine_does_not_tell_its_memory(monkeypatch):
    monkeypatch.delattr("os.sysconf")
    check_size(config())
    with pytest.raises(UsageError, match=r"this machine has 16\.0 GiB"):
        check_size(config(length=10**7))


# Records -------------------------------------------------------------------------------------


def record(**fields):
    return dataclasses.replace(
        RunRecord(
            config=config(),
            end_state="solved",
            steps=100,
            accuracy=1.0,
            accuracy_low=None,
            accuracy_high=None,
            tested=200,
            held_out=200,
            bits=3.32,
            masked_right=20,
            masked_tested=200,
            loss=0.5,
            clipped_share=0.0,
            curve=(CurvePoint(50, 1.5, 1.25, 0.5), CurvePoint(100, 0.5, 0.25, 1.0)),
            weights_sha256="ab" * 32,
            environment={"torch": "2"},
        ),
        **fields,
    )


def test_record_comes_back_from_json():
    one = record()
    text = json.dumps(one.to_json(), allow_nan=False)
    assert RunRecord.from_json(json.loads(text)) == one


def test_record_without_its_curve_comes_back_without_it():
    document = record().to_json(curve=False)
    assert "curve" not in document
    assert RunRecord.from_json(document) == record(curve=())


def test_json_has_the_settings_beside_the_results():
    document = record().to_json()
    assert document["cell"] == "rnn"
    assert document["end_state"] == "solved"
    assert document["curve"] == [[50, 1.5, 1.25, 0.5, 0], [100, 0.5, 0.25, 1.0, 0]]


@pytest.mark.parametrize("end_state", END_STATES)
def test_only_solved_counts_as_solved(end_state):
    assert record(end_state=end_state).solved == (end_state == "solved")


def test_run_that_ended_in_an_error_has_a_record_too():
    error = RunRecord.error(config(), "killed by signal 9")
    assert (error.end_state, error.solved, error.note) == ("error", False, "killed by signal 9")
    assert RunRecord.from_json(json.loads(json.dumps(error.to_json()))) == error


def test_a_run_is_solved_censored_diverged_or_an_error():
    assert END_STATES == ("solved", "censored", "diverged", "error")


def test_numbers_of_numpy_are_not_taken_for_pythons():
    # They would not survive JSON.
    with pytest.raises(ConfigError, match="seed must be a whole number"):
        config(seed=np.int64(3))
