"""The GRU of sheets that ask for it: equal to torch's, and to the package's own cell."""

import torch

from digitspan.cells.gru import GRU as Cell
from digitspan.part1.gru import GRU, GRUState

SIZES = {"input_dim": 3, "num_hidden": 5, "num_classes": 4}


def test_gru_matches_torch():
    own = GRU(0, **SIZES, generator=torch.Generator().manual_seed(1)).double()
    torchs = torch.nn.GRU(3, 5, batch_first=True).double()
    with torch.no_grad():
        torchs.bias_hh_l0.zero_()
        for theirs, name in (
            (torchs.weight_ih_l0, "W_{}x"), (torchs.weight_hh_l0, "W_{}h"),
            (torchs.bias_ih_l0, "b_{}"),
        ):  # fmt: skip
            theirs.copy_(torch.cat([getattr(own, name.format(gate)) for gate in "rzh"]))
    x = torch.randn(2, 7, 3, generator=torch.Generator().manual_seed(2)).double()
    hidden = torchs(x)[0][:, -1]
    ours, oracle = own(x), own.read_out(GRUState(hidden))
    assert torch.allclose(ours, oracle, rtol=0, atol=1e-14)
    got = torch.autograd.grad(ours.square().sum(), own.W_hh)[0]
    wanted = torch.autograd.grad(oracle.square().sum(), torchs.weight_hh_l0)[0][10:]
    assert torch.allclose(got, wanted, rtol=0, atol=1e-13)


def test_its_parameters_are_those_of_the_cell():
    own = GRU(0, **SIZES)
    cell = Cell(input_size=3, hidden_size=5, num_classes=4)
    own.load_state_dict(cell.state_dict())
    x = torch.randn(2, 6, 3)
    assert torch.allclose(own(x), cell(x), rtol=0, atol=1e-6)
    gates, theirs = (n.gates(x[:, 0], n.initial_state(2)) for n in (own, cell))
    assert set(gates) == {"r", "z", "k"}
    assert all(torch.allclose(gates[name], theirs[name], atol=1e-6) for name in theirs)


def test_digits_are_encoded_as_the_other_networks_encode_them():
    own = GRU(0, 10, 5, 10)
    digits = torch.tensor([[3, 1, 4], [1, 5, 9]])
    assert torch.equal(own(digits), own(torch.eye(10)[digits]))
