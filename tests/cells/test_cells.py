"""Every cell fulfils every duty; torch's own networks are the oracle; the registry holds."""

import sys

import contract
import pytest
import torch
from cases import CASES
from contract import DUTIES, Sizes, assert_same_as_oracle
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from digitspan.cells import CELLS, INITIALISATIONS, check_cell, check_initialisation, title
from digitspan.cells.build import build
from digitspan.errors import ConfigError, UsageError

pytestmark = pytest.mark.usefixtures("float64")

WITH_ORACLE = [name for name, case in CASES.items() if case.oracle]


@pytest.mark.parametrize("duty", DUTIES, ids=lambda duty: duty.__name__)
@pytest.mark.parametrize("name", CASES)
def test_cell_fulfils_its_duty(name, duty, device):
    duty(CASES[name]._replace(device=device))


def test_every_registered_cell_is_a_tested_case_with_an_oracle():
    assert list(CELLS) == WITH_ORACLE


def test_every_duty_is_tested():
    duties = {
        name
        for name, value in vars(contract).items()
        if callable(value) and value.__module__ == "contract" and not name.startswith("_")
    }
    helpers = {"Sizes", "network_of", "inputs_of", "assert_same", "assert_same_as_oracle"}
    assert duties - helpers == {duty.__name__ for duty in DUTIES}


@pytest.mark.parametrize("name", WITH_ORACLE)
@settings(max_examples=40)
@given(
    sizes=st.builds(
        Sizes,
        B=st.integers(1, 6),
        T=st.integers(2, 30),
        D=st.integers(1, 11),
        N=st.integers(1, 12),
        K=st.integers(2, 12),
    ),
    gain=st.floats(0, 2),
    seed=st.integers(0, 2**31),
)
@example(sizes=Sizes(B=6, T=30, D=1, N=12, K=10), gain=2.0, seed=0)
@example(sizes=Sizes(B=1, T=30, D=10, N=11, K=2), gain=2.0, seed=1)
def test_cell_matches_torch_at_any_sizes(name, sizes, gain, seed, device):
    assume(len(set(sizes)) == len(sizes))
    case = CASES[name]._replace(device=device)
    assert_same_as_oracle(case, sizes, gain=gain, seed=seed)


# Starts ---------------------------------------------------------------------------------------


def build_small(cell, initialisation, *, seed=0, length=20):
    generator = torch.Generator().manual_seed(seed)
    return build(
        cell,
        input_size=10,
        hidden_size=24,
        num_classes=10,
        initialisation=initialisation,
        length=length,
        generator=generator,
    )


INITIALISED = [(cell, name) for cell in CELLS for name in CELLS[cell].initialisations]


def assert_equal_weights(one, other):
    for (name, got), (_, expected) in zip(
        one.state_dict().items(), other.state_dict().items(), strict=True
    ):
        assert torch.equal(got, expected), f"{name} differs"


@pytest.mark.parametrize(("cell", "initialisation"), [*INITIALISED, ("cases:WholeGRU", "own")])
def test_initialisation_is_decided_by_the_generator_and_leaves_the_global_one_alone(
    cell, initialisation
):
    before = torch.get_rng_state()
    network = build_small(cell, initialisation)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    assert_equal_weights(build_small(cell, initialisation), network)
    other = build_small(cell, initialisation, seed=1)
    assert any(
        not torch.equal(one, two)
        for one, two in zip(network.parameters(), other.parameters(), strict=True)
    )


@pytest.mark.parametrize("cell", CELLS)
def test_uniform_start_fills_the_range_of_torch(cell):
    bound = 24**-0.5
    values = torch.cat([p.flatten() for p in build_small(cell, "uniform").parameters()])
    assert values.abs().max() <= bound
    # Some 1,100 draws at least: their extremes and spread are known to a few per cent.
    assert values.abs().max() > 0.98 * bound
    assert values.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)


@pytest.mark.parametrize("cell", CELLS)
def test_normal_start_has_small_weights_and_no_bias(cell):
    for name, value in build_small(cell, "normal").named_parameters():
        if name.startswith("b_"):
            assert not value.any(), name
        else:  # to 4 sigma: within 20 % for 240 draws, 60 % for the 24 of a peephole
            loose = 4 / (2 * value.numel()) ** 0.5
            assert value.std().item() == pytest.approx(0.01, rel=loose), name


RECURRENT = {cell: list(CASES[cell].recurrent) for cell in CELLS if CASES[cell].recurrent}


def test_every_cell_with_recurrent_matrices_can_start_orthogonal():
    assert set(RECURRENT) == {cell for cell, its in INITIALISED if its == "orthogonal"}
    for cell in set(CELLS) - set(RECURRENT):
        shapes = [tuple(p.shape) for p in build_small(cell, "uniform").parameters()]
        assert (24, 24) not in shapes, cell


@pytest.mark.parametrize("cell", RECURRENT)
def test_orthogonal_start_keeps_every_length(cell):
    network = build_small(cell, "orthogonal")
    recurrent = RECURRENT[cell]
    assert [n for n, p in network.named_parameters() if p.shape == (24, 24)] == recurrent
    for name in recurrent:
        W = getattr(network, name)
        contract.assert_same(W @ W.T, torch.eye(24), name, tolerance=1e-12)
    matrices = [getattr(network, name) for name in recurrent]
    assert len({W[0, 0].item() for W in matrices}) == len(matrices), "the same matrix twice"
    assert network.W_ph.abs().max() <= 24**-0.5


def starting(name):
    return [cell for cell, its in INITIALISED if its == name]


@pytest.mark.parametrize("cell", starting("identity"))
def test_identity_start_is_the_identity(cell):
    network = build_small(cell, "identity")
    assert torch.equal(network.W_hh, torch.eye(24))
    assert not network.b_h.any()
    assert network.W_hx.any()


@pytest.mark.parametrize("cell", starting("forget-bias-1"))
def test_forget_bias_start_is_one(cell):
    network = build_small(cell, "forget-bias-1")
    assert (network.b_f == 1).all()
    assert not (network.b_i == 1).any()


@pytest.mark.parametrize("length", [2, 3, 20, 1000])
@pytest.mark.parametrize("cell", starting("chrono"))
def test_chrono_start_forgets_within_the_length(cell, length):
    network = build_small(cell, "chrono", length=length)
    if cell.endswith("lstm"):
        assert torch.equal(network.b_i, -network.b_f)
    kept = CASES[cell].kept(network)
    time_scales = kept / (1 - kept)
    # To within rounding: 1 - kept loses three digits of sixteen at most.
    assert time_scales.min() >= 1 - 1e-9
    assert time_scales.max() <= max(length - 1, 2) + 1e-6
    if length == 1000:  # 24 draws from U(1, 999): below 700 all of them with p = 2e-4
        assert time_scales.max() > 700


def test_every_start_is_explained_and_used():
    used = {its for _, its in INITIALISED} | {"own"}
    assert used == set(INITIALISATIONS)


# Names ----------------------------------------------------------------------------------------


def test_unknown_cell_lists_the_known_ones_and_the_nearest():
    with pytest.raises(
        ConfigError,
        match=rf"^cell must be one of {', '.join(CELLS)}; got 'lstn' \(did you mean lstm\?\)",
    ):
        check_cell("lstn")


@pytest.mark.parametrize(
    "name", ["", ":", "a:", ":B", "a b:C", "a:b:C", "../a:B", "1a:B", None, 5]
)
def test_malformed_cell_is_refused(name):
    with pytest.raises(
        ConfigError, match=r"cell must be one of rnn, lstm, .* got .* module:Class"
    ):
        check_cell(name)


@pytest.mark.parametrize("name", [*CELLS, "mymodule:MyCell", "package.module:MyCell"])
def test_known_and_own_cells_are_accepted(name):
    check_cell(name)


@pytest.mark.parametrize(
    ("cell", "initialisation", "fitting"),
    [
        ("rnn", "chrono", "uniform, normal, orthogonal, identity"),
        ("lstm", "identity", "uniform, normal, orthogonal, forget-bias-1, chrono"),
        ("mingru", "orthogonal", "uniform, normal, chrono"),
        ("a:B", "uniform", "own"),
        ("rnn", "own", "uniform, normal, orthogonal, identity"),
    ],
)
def test_initialisation_that_does_not_fit_the_cell_lists_those_that_do(
    cell, initialisation, fitting
):
    with pytest.raises(
        ConfigError,
        match=f"initialisation for {cell} must be one of {fitting}; got '{initialisation}'",
    ):
        check_initialisation(cell, initialisation)


@pytest.mark.parametrize(
    ("cell", "among", "expected"),
    [
        ("one:Cell", ("one:Cell", "two:Other"), "Cell"),
        ("one:Cell", ("one:Cell", "two:Cell"), "one:Cell"),
        ("two:Cell", ("one:Cell", "two:Cell"), "two:Cell"),
        ("mine:LSTM", ("lstm", "mine:LSTM"), "mine:LSTM"),
        ("lstm", ("lstm", "mine:LSTM"), "LSTM"),
    ],
)
def test_two_classes_of_one_name_have_two_titles(cell, among, expected):
    assert title(cell, among) == expected


def test_titles_are_what_a_reader_expects():
    titles = {cell: title(cell) for cell in (*CELLS, "mymodule:MyCell")}
    expected = {
        "rnn": "RNN",
        "lstm": "LSTM",
        "relu-rnn": "ReLU RNN",
        "gru": "GRU",
        "peephole-lstm": "peephole LSTM",
        "mingru": "minGRU",
        "mymodule:MyCell": "MyCell",
    }
    assert expected.items() <= titles.items()
    assert len(set(titles.values())) == len(titles), "two cells of one title"


@pytest.mark.parametrize("path", ["no_such_module:Cell", "cases:NoSuchClass"])
def test_cell_that_is_not_there_is_refused_in_a_sentence(path):
    with pytest.raises(UsageError, match=f"cell '{path}' was not found .* expected module:Class"):
        build_small(path, "own")


def test_cell_that_is_no_network_is_refused():
    with pytest.raises(UsageError, match=r"builtins:dict must build a torch.nn.Module; got dict"):
        build_small("builtins:dict", "own")


def test_cell_is_found_in_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "cell_of_mine.py").write_text(
        "import torch\n\n\nclass Mine(torch.nn.Module):\n"
        "    def __init__(self, input_size, hidden_size, num_classes):\n"
        "        super().__init__()\n"
        "        self.W = torch.nn.Parameter(torch.rand(num_classes, input_size))\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])  # build puts the folder there: undone afterwards
    assert tuple(build_small("cell_of_mine:Mine", "own").W.shape) == (10, 10)
