"""The numbers behind gradient-flow, gates and memory, and that they are drawn."""

import numpy as np
import pytest
import torch
from pages import kept_run

from digitspan.look import trace_info
from digitspan.look.probe import trace
from digitspan.look.trace_drawing import (
    draw_gates,
    draw_gradient_flow,
    draw_kept_gradient,
    draw_memory,
)
from digitspan.look.trace_info import (
    FlowSeries,
    GradientFlow,
    gates_info,
    gradient_flow_info,
    kept_gradient_info,
    memory_info,
    write_trace_figures,
)
from digitspan.tasks.palindrome import held_out
from digitspan.training.engine import build_network, load_network


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


def test_thick_line_is_the_network_in_the_middle_not_a_mean():
    """Of 1e-1, 1e-34 and 1e-2 at step 1 the geometric mean is 1e-12, which none of them has."""
    norms = np.array([[1e-1, 1.0], [1e-34, 1.0], [1e-2, 1.0], [1e-3, 1.0]])
    series = FlowSeries("RNN", "rnn", True, norms)
    assert series.median == 3  # of four, the smaller of the two in the middle
    drawn = (
        draw_gradient_flow(GradientFlow((series._replace(trained=False), series), ""))
        .axes[1]
        .lines[-1]
    )
    np.testing.assert_array_equal(drawn.get_ydata(), norms[3])


def test_kept_gradient_is_the_traces_solved_beside_unsolved(runs):
    ended = list(
        zip([*runs, run_of("lstm", seed=2, length=12)], [False, True, False, True], strict=True)
    )
    info = kept_gradient_info(ended)
    assert [(s.cell, s.solved) for s in info.series] == [
        ("rnn", False), ("lstm", True), ("lstm", False), ("lstm", True),
    ]  # fmt: skip
    (config, weights), _ = ended[3]
    inputs = held_out(12, "validation").questions.inputs
    rows = inputs[torch.linspace(0, len(inputs) - 1, 10).round().long()].tolist()
    for network, found in (
        (load_network(config, weights), info.series[3].after),
        (build_network(config), info.series[3].before),
    ):
        norms = np.exp(np.log([trace(network, r).gradient_norms["hidden"] for r in rows]).mean(0))
        np.testing.assert_allclose(found, norms[::-1] / norms[-1])
    # The LSTM's unsolved run has T = 9: 7 steps before its last one is its first.
    far = [info.series[k].after[7] for k in (1, 3)]
    words = f"{np.median([info.series[k].before[7] for k in (1, 3)]):.1g} before training, "
    words += f"{np.median(far):.1g} after it (2 solved runs, T = 9 to 12); "
    assert f"LSTM, 7 steps before the last, medians: {words}" in info.caption
    assert "(1 unsolved run, T = 9). A line tells" in info.caption
    assert "RNN, 7 steps before the last, medians: no solved run; " in info.caption

    figure = draw_kept_gradient(info)
    lines = [len(ax.lines) for ax in figure.axes]
    assert lines == [2, 2, 5, 5]  # a thin one a run, a thick one a kind
    assert figure.get_size_inches().tolist() == [12.8, 7.2]
    thick = figure.axes[3].lines[1]
    assert thick.get_label() == "not solved (1 run)"
    np.testing.assert_array_equal(thick.get_ydata(), info.series[2].after)


def test_kept_gradient_is_drawn_only_as_a_contrast(tmp_path, runs, monkeypatch):
    monkeypatch.setattr(trace_info, "FLOW_LENGTH", 8)
    monkeypatch.setattr(trace_info, "save_all", lambda drawn, folder, stems: [*drawn])
    for solved, drawn in (([True, True], False), ([False, True], True)):
        ended = list(zip(runs[:2], solved, strict=True))
        names = write_trace_figures(runs[:1], tmp_path, ended=ended)
        assert ("vanishing-or-kept" in names) == drawn


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
