"""The zoo: published cells pass the duties, are trained, and are the same when they are read."""

from __future__ import annotations

import functools
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from digitspan.cells import CELLS
from digitspan.cells.answers import is_stepped, read_out_of
from digitspan.cells.build import find
from digitspan.errors import UsageError
from digitspan.runs.config import RunConfig
from digitspan.study.config import StudyConfig
from digitspan.tasks.palindrome import draw_training
from digitspan.training.engine import Trainer, build_network, keep_network, load_network
from digitspan.training.trial import try_cell

EXAMPLES = Path(__file__).parents[1] / "examples"
WORDS = tomllib.loads((EXAMPLES / "zoo.toml").read_text(encoding="utf-8"))
ZOO = [cell for cell in WORDS["cells"] if cell not in CELLS]

NEEDS = {"zoo.cfc": "ncps", "zoo.mamba": "mambapy", "zoo.mingru": "minGRU_pytorch"}
"""Packages of the extra `zoo`, by the module that adapts them."""

SIZE = {"hidden_size": 8, "batch_size": 16, "optimizer": "adam", "max_grad_norm": 1.0}


@pytest.fixture(params=ZOO)
def cell(request, monkeypatch):
    """Each cell of the zoo, found as it is from the folder of the examples."""
    module = request.param.partition(":")[0]
    if module in NEEDS:
        pytest.importorskip(NEEDS[module], reason="the extra zoo is not installed")
    monkeypatch.chdir(EXAMPLES)
    monkeypatch.syspath_prepend(EXAMPLES)
    return request.param


def test_the_zoo_has_twelve_cells_and_each_names_its_source():
    assert len(ZOO) >= 12
    StudyConfig.from_words(WORDS)
    for cell in ZOO:
        module, _, name = cell.partition(":")
        text = (EXAMPLES / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
        assert "arXiv" in text, module
        assert f"class {name}(" in text, cell


@pytest.mark.parametrize("length", [5, 40])
def test_published_cells_pass_the_duties(cell, length):
    try_cell(RunConfig(cell=cell, length=length, **SIZE))


def test_published_cells_recall_lists_too(cell):
    try_cell(RunConfig(cell=cell, length=8, task="recall", **SIZE))


def test_two_steps_lower_the_loss_and_it_is_the_same_when_read(cell):
    config = RunConfig(cell=cell, length=5, learning_rate=3e-3, **SIZE).with_source()
    trainer = Trainer(config)
    questions = draw_training(5, 16, torch.Generator().manual_seed(0))
    losses = [trainer.step(questions).loss for _ in range(2)]
    after = trainer.step(questions).loss
    assert after < losses[0], losses
    before = trainer.logits(questions.inputs)
    again = load_network(config, keep_network(config, trainer.network))
    one_hot = torch.nn.functional.one_hot(questions.inputs.long(), 10).float()
    torch.testing.assert_close(again(one_hot), before)


def test_a_published_cell_shows_its_read_out(cell):
    network = build_network(RunConfig(cell=cell, length=5, **SIZE))
    assert is_stepped(network)
    names = read_out_of(network, torch.zeros(2, 3, 10))
    assert "to_logits.weight" in names
    assert not any("embed" in name or "lstm" in name or "W" in name for name in names)


def test_packages_of_the_extra_are_those_that_are_adapted():
    project = tomllib.loads((EXAMPLES.parent / "pyproject.toml").read_text(encoding="utf-8"))
    named = project["project"]["optional-dependencies"]["zoo"]
    assert all(">=" in one and "<" in one for one in named)
    packages = {one.partition(">=")[0].replace("-", "_").lower() for one in named}
    assert packages == {name.lower() for name in NEEDS.values()}


@pytest.mark.parametrize(("module", "package"), NEEDS.items())
def test_a_missing_package_is_named_with_the_extra_that_has_it(module, package, monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, module, raising=False)
    project = tomllib.loads((EXAMPLES.parent / "pyproject.toml").read_text(encoding="utf-8"))
    named = [
        f'{one}; extra == "zoo"' for one in project["project"]["optional-dependencies"]["zoo"]
    ]
    monkeypatch.setattr("importlib.metadata.requires", lambda name: named)
    said = rf'imports {package}, which is not installed here; `pip install "digitspan\[zoo\]"`'
    with pytest.raises(UsageError, match=said):
        find(f"{module}:Any")


# What the authors' equations give, computed once more in another way --------------------------


def weights_of(layer):
    return layer.weight, 0 if layer.bias is None else layer.bias


def cornn(net, inputs):
    """The implicit-explicit step of equation (4), the arguments of tanh in three products."""
    W, bias = weights_of(net.W)
    size = len(W)
    V, W_y, W_z = W.split([inputs.shape[2], size, size], dim=1)
    y = z = torch.zeros(len(inputs), size, dtype=inputs.dtype)
    for x in inputs.unbind(1):
        a = torch.tanh(y @ W_y.T + z @ W_z.T + x @ V.T + bias)
        z = z + 0.042 * (a - 2.7 * y - 4.7 * z)
        y = y + 0.042 * z
    return net.to_logits(y)


def lem(net, inputs):
    """Equation (3), gate by gate."""
    size = net.W_y.out_features
    V, b = (part.split(size) for part in weights_of(net.V))
    W, a = (part.split(size) for part in weights_of(net.W))
    y = z = torch.zeros(len(inputs), size, dtype=inputs.dtype)
    for x in inputs.unbind(1):
        one, two, into_z = (y @ W[k].T + a[k] + x @ V[k].T + b[k] for k in range(3))
        dt_z, dt_y = torch.sigmoid(one), torch.sigmoid(two)
        z = z + dt_z * (torch.tanh(into_z) - z)
        y = y + dt_y * (torch.tanh(net.W_y(z) + x @ V[3].T + b[3]) - y)
    return net.to_logits(y)


def antisymmetric(net, inputs):
    """Equations (12) and (13), M as a whole matrix."""
    size = len(net.W)
    M = net.W - net.W.T - 0.01 * torch.eye(size, dtype=inputs.dtype)
    (V, V_z), (b, b_z) = (part.split(size) for part in weights_of(net.V))
    h = torch.zeros(len(inputs), size, dtype=inputs.dtype)
    for x in inputs.unbind(1):
        z = torch.sigmoid(h @ M.T + x @ V_z.T + b_z)
        h = h + z * torch.tanh(h @ M.T + x @ V.T + b)
    return net.to_logits(h)


def exp_rnn(net, inputs):
    """exp(A - A^T) as its power series, which is orthogonal; modReLU case by case."""
    above = net.W_hh.parametrizations.weight.original.triu(1)
    skew = above - above.T
    orthogonal = term = torch.eye(len(skew), dtype=inputs.dtype)
    for k in range(1, 60):
        term = term @ skew / k
        orthogonal = orthogonal + term
    assert torch.allclose(orthogonal @ orthogonal.T, torch.eye(len(skew), dtype=inputs.dtype))
    h = torch.zeros(len(inputs), len(skew), dtype=inputs.dtype)
    for x in inputs.unbind(1):
        z = net.W_hx(x) + h @ orthogonal.T
        large = z.abs() + net.bias
        h = torch.where(large < 0, 0, torch.where(z < 0, -large, large))
    return net.to_logits(h)


def ind_rnn(net, inputs):
    """Layer after layer, each unit with its own weight."""
    sequence = inputs
    for W, u in ((net.W_1, net.u_1), (net.W_2, net.u_2)):
        h, outputs = 0, []
        for x in W(sequence).unbind(1):
            h = (x + h * u).clamp(min=0)
            outputs.append(h)
        sequence = torch.stack(outputs, dim=1)
    return net.to_logits(sequence[:, -1])


def lru(net, inputs):
    """Every state as a sum over all inputs before it, no recurrence."""
    x = net.embed(inputs)
    T = x.shape[1]
    age = (torch.arange(T)[:, None] - torch.arange(T)).clamp(min=-1)
    for norm, layer, gate in zip(net.norms, net.recurrences, net.gates, strict=True):
        u = F.layer_norm(x, x.shape[2:], norm.weight, norm.bias)
        eigenvalue = torch.exp(-torch.exp(layer.nu) + 1j * torch.exp(layer.theta))
        powers = torch.where(age[..., None] < 0, 0, eigenvalue ** age[..., None].clamp(min=0))
        driven = torch.exp(layer.gamma) * torch.einsum("nd,btd->btn", layer.B, u.to(layer.B))
        states = torch.einsum("tsn,bsn->btn", powers, driven)
        y = torch.einsum("dn,btn->btd", layer.C, states).real + layer.D * u
        value, opened = gate(F.gelu(y)).chunk(2, dim=2)
        x = x + value * torch.sigmoid(opened)
    return net.to_logits(x[:, -1])


def s4d(net, inputs):
    """Convolution with the kernel K(t) = 2 Re sum_n C_n (exp(dt A_n) - 1) / A_n exp(t dt A_n)."""
    x = net.embed(inputs)
    T = x.shape[1]
    for norm, layer, gate in zip(net.norms, net.recurrences, net.gates, strict=True):
        A = -torch.exp(layer.log_A_real) + 1j * layer.A_imag
        dtA = torch.exp(layer.log_dt)[:, None] * A
        powers = torch.exp(dtA[..., None] * torch.arange(T))
        kernel = 2 * torch.einsum("hn,hnl->hl", layer.C * (dtA.exp() - 1) / A, powers).real
        y = torch.stack(
            [(kernel[:, : t + 1].flip(1).T * x[:, : t + 1]).sum(dim=1) for t in range(T)], dim=1
        )
        value, opened = gate(F.gelu(y + layer.D * x)).chunk(2, dim=2)
        x = x + value * torch.sigmoid(opened)
        x = F.layer_norm(x, x.shape[2:], norm.weight, norm.bias)
    return net.to_logits(x[:, -1])


def slstm(net, inputs):
    """Equations (8) to (13), without a stabiliser, head by head; the convolution is torch's."""
    size = len(net.scale)
    x = net.embed(inputs)
    u = F.layer_norm(x, (size,), net.norm.weight)
    smooth = net.convolution(F.pad(u.transpose(1, 2), (3, 0))).transpose(1, 2)
    smooth = smooth * torch.sigmoid(smooth)
    heads = []
    for head, units in enumerate(torch.arange(size).chunk(net.heads)):
        c = n = h = torch.zeros(len(inputs), len(units), dtype=inputs.dtype)
        for t in range(x.shape[1]):
            sources = (smooth, smooth, u, u)
            i, f, z, o = (
                source[:, t, units] @ net.W[g, head].T + h @ net.R[g, head].T + net.b[g, head]
                for g, source in enumerate(sources)
            )
            keep = torch.sigmoid(f)
            c = keep * c + torch.exp(i) * torch.tanh(z)
            n = keep * n + torch.exp(i)
            h = torch.sigmoid(o) * c / n
        centred = h - h.mean(dim=1, keepdim=True)
        spread = (centred.square().mean(dim=1, keepdim=True) + 1e-5).sqrt()
        heads.append(centred / spread)
    x = x[:, -1] + torch.cat(heads, dim=1) * net.scale
    opened, value = net.up(F.layer_norm(x, (size,), net.norm_2.weight)).chunk(2, dim=1)
    x = x + net.down(F.gelu(opened) * value)
    return net.to_logits(F.layer_norm(x, (size,), net.norm_3.weight))


def min_gru(net, inputs):
    """h(t) = (1 - z) h(t-1) + z g(h~), step by step, in minLM's frame."""
    rms = functools.partial(F.rms_norm, normalized_shape=(net.to_logits.in_features,))
    sequence = net.embed(inputs)
    for norm, cell, norm_2, feed_forward in net.layers:
        h, outputs = 0, []
        for x in sequence.unbind(1):
            candidate, z = cell.to_hidden_and_gate(rms(x, weight=norm.weight)).chunk(2, dim=1)
            positive = torch.where(candidate >= 0, candidate + 0.5, torch.sigmoid(candidate))
            h = (1 - torch.sigmoid(z)) * h + torch.sigmoid(z) * positive
            x = x + cell.to_out(h)
            outputs.append(x + feed_forward(rms(x, weight=norm_2.weight)))
        sequence = torch.stack(outputs, dim=1)
    return net.to_logits(rms(sequence[:, -1], weight=net.norm.weight))


ORACLES = {
    "zoo.dynamics:CoRNN": cornn,
    "zoo.dynamics:LEM": lem,
    "zoo.dynamics:AntisymmetricRNN": antisymmetric,
    "zoo.orthogonal:ExpRNN": exp_rnn,
    "zoo.stacked:IndRNN": ind_rnn,
    "zoo.linear:LRU": lru,
    "zoo.linear:S4D": s4d,
    "zoo.slstm:SLSTM": slstm,
    "zoo.mingru:MinGRU": min_gru,
}
"""What a cell must equal. The others are a package's or torch's own networks."""


def double(tensor):
    return tensor.to(torch.complex128 if tensor.is_complex() else torch.float64)


@pytest.mark.parametrize("cell", ORACLES, indirect=True)
def test_a_published_cell_equals_its_equations(cell):
    network = build_network(RunConfig(cell=cell, length=5, seed=3, **SIZE))._apply(double)
    generator = torch.Generator().manual_seed(1)
    for parameter in network.parameters():  # whatever begins at 0 or 1 must matter too
        noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
        parameter.data += 0.1 * noise
    inputs = torch.randn(3, 12, 10, generator=generator, dtype=torch.float64)
    expected = ORACLES[cell](network, inputs)
    torch.testing.assert_close(network(inputs), expected, rtol=1e-8, atol=1e-8)
    assert (expected[0] - expected[1]).abs().max() > 1e-3  # it reads its inputs
