"""The numbers behind gradient-flow, gates and memory, and that they are drawn."""

import numpy as np
import pytest
import torch
from pages import kept_run

from digitspan.look import trace_info
from digitspan.look.probe import trace
from digitspan.look.trace_drawing import draw_gates, draw_gradient_flow, draw_memory
from digitspan.look.trace_info import (
    gates_info,
    gradient_flow_info,
    memory_info,
    write_trace_figures,
)
from digitspan.tasks.palindrome import held_out
from digitspan.training.engine import load_network


def run_of(cell, **options):
    kept = kept_run(cell, **options)
    return kept.config, kept.weights


@pytest.fixture(scope="module")
def runs():
    return [run_of("rnn"), run_of("lstm"), run_of("lstm", seed=1)]


def test_gradient_flow_is_the_traces_gradient(runs):
    info = gradient_flow_info(runs[:1], length=12, untrained_seeds=2)
    untrained, trained = info.series
    assert (untrained.norms.shape, trained.norms.shape) == ((2, 11), (1, 11))
    inputs = held_out(12, "validation").questions.inputs
    rows = torch.linspace(0, len(inputs) - 1, 10).round().long()
    network = load_network(*runs[0])
    norms = [trace(network, inputs[row].tolist()).gradient_norms["hidden"] for row in rows]
    np.testing.assert_allclose(trained.norms[0], np.exp(np.log(norms).mean(axis=0)))


def test_gradient_flow_takes_runs_of_a_cell_as_its_seeds(runs):
    info = gradient_flow_info(runs, length=8, untrained_seeds=3)
    assert [(s.label, s.trained, len(s.norms)) for s in info.series] == [
        ("RNN, untrained", False, 3),
        ("RNN, trained at T = 9", True, 1),
        ("LSTM, untrained", False, 3),
        ("LSTM, trained at T = 9", True, 2),
    ]
    assert "T = 8" in info.caption


def test_gates(runs):
    info = gates_info(*runs[1])
    assert list(info.means) == ["g", "i", "f", "o"]
    for name, mean in info.means.items():
        assert mean.shape == (8,)
        assert (info.low[name] <= mean).all()
        assert (mean <= info.high[name]).all()
        assert not np.allclose(mean, info.untrained[name])  # it was "trained": its gain is 2
    assert gates_info(*runs[0]) is None


def with_memory(forget):
    """An LSTM whose first unit keeps the first digit, or forgets it at once."""
    import safetensors.torch

    config, weights = run_of("lstm", encoding="scalar", length=9)
    tensors = safetensors.torch.load(weights)
    for name, tensor in tensors.items():
        tensor.zero_()
        if name == "W_gx":
            tensor[0] = 0.1
        elif name in ("b_f", "b_i"):
            tensor.fill_(-20.0 if forget else 20.0)
    return config, safetensors.torch.save(tensors)


def test_memory_is_all_bits_after_the_first_digit_and_none_in_a_cell_that_forgets():
    """With f = 0, equation (8) leaves nothing of the digits before; with f = i = 1 all adds up."""
    forgets, keeps = memory_info([with_memory(True)]), memory_info([with_memory(False)])
    assert [s.state for s in keeps.series] == ["hidden", "cell"]
    assert keeps.series[1].bits[0] > 1.0  # one unit, one line: a least-squares read-out finds some
    assert max(s.bits[1:].max() for s in forgets.series) < 0.1
    assert keeps.series[0].bits.shape == (8,)


def test_memory_of_one_hot_digits_begins_with_all_of_them(runs):
    bits = memory_info([runs[0]]).series[0].bits
    assert bits[0] == pytest.approx(np.log2(10), abs=0.01)


def test_figures_are_drawn_from_their_numbers(runs):
    flow = draw_gradient_flow(gradient_flow_info(runs, length=8, untrained_seeds=2))
    assert [len(ax.lines) for ax in flow.axes] == [2 * 3, 2 + 3]
    assert flow.axes[0].get_yscale() == "log"
    memory = memory_info(runs[:2])
    lines = draw_memory(memory).axes[0].lines
    np.testing.assert_array_equal(lines[2].get_ydata(), memory.series[2].bits)
    gates = gates_info(*runs[1])
    panels = draw_gates(gates).axes
    assert [ax.get_title().split(",")[0] for ax in panels] == [
        "(4) candidate g",
        "(5) input gate i",
        "(6) forget gate f",
        "(7) output gate o",
    ]
    np.testing.assert_array_equal(panels[2].lines[0].get_ydata(), gates.means["f"])


def test_figures_are_written(tmp_path, runs, monkeypatch):
    monkeypatch.setattr(trace_info, "FLOW_LENGTH", 8)
    names = write_trace_figures(runs[1:2], tmp_path)
    stems = ("gradient-flow", "gates", "memory")
    assert names == [f"{stem}.{suffix}" for stem in stems for suffix in ("svg", "png")]
    assert {file.name for file in tmp_path.iterdir()} == set(names)
    assert "<svg" in (tmp_path / "gates.svg").read_text()


def test_no_gates_are_drawn_where_there_are_none(tmp_path, runs, monkeypatch):
    monkeypatch.setattr(trace_info, "FLOW_LENGTH", 8)
    monkeypatch.setattr("digitspan.figures.palette.save", lambda figure, folder, stem: [stem])
    (tmp_path / "gates.svg").write_text("those of another network")
    assert write_trace_figures(runs[:1], tmp_path) == ["gradient-flow", "memory"]
    assert not (tmp_path / "gates.svg").exists()


@pytest.mark.parametrize(
    ("cell", "names"), [("gru", "rz"), ("mingru", "z"), ("peephole-lstm", "gifo")]
)
def test_every_gated_cell_has_its_gates_drawn(cell, names):
    info = gates_info(*run_of(cell))
    assert list(info.means) == list(names)
    panels = [ax for ax in draw_gates(info).axes if ax.get_visible()]
    assert [ax.get_title().split(",")[0][-1] for ax in panels] == list(names)
    for ax, name in zip(panels, names, strict=True):
        np.testing.assert_array_equal(ax.lines[0].get_ydata(), info.means[name])
        assert ax.get_ylim()[0] == pytest.approx(-1.03 if name == "g" else -0.03)
