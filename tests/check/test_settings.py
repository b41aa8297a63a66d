"""A class that reads settings which no script was seen to give: a guess is never a fault."""

import pytest
from check.bank import SIGNATURE, lstm, rnn
from check.reader import read_sources

from digitspan.check.course_rules import Rules
from digitspan.check.hand_in import Children, check_class
from digitspan.check.reading.hand_ins import HandIn, written_out
from digitspan.check.sandbox.isolation import Limits


def of_settings(sizes):
    """An RNN whose constructor takes settings, of a library that is not installed."""
    lines = f"super().__init__()\n        num_hidden, input_dim, num_classes = {sizes}\n"
    text = rnn("separate", replace=(
        (f"def __init__({SIGNATURE})", "def __init__(self, cfg)"),
        ("super().__init__()\n", f"{lines}        seq_length, batch_size, device = 0, 7, 'cpu'\n"),
        ("range(self.seq_length)", "range(x.shape[1])"),
    ))  # fmt: skip
    return f"from omegaconf_of_old import OmegaConf\n{text}"


@pytest.mark.parametrize(
    ("sizes", "verdict", "codes"),
    [
        ("cfg.hidden, cfg['d_in'], cfg.k", "pass", []),
        ("cfg.net.hidden, 1, 10", "cannot tell", ["settings-unknown"]),
        ("cfg.hidden, 1, teen", "fail", ["cannot-be-constructed"]),
    ],
)
def test_settings_that_the_class_reads_are_tried_and_a_guess_is_no_fault(
    tmp_path, sizes, verdict, codes
):
    files = {"vanilla_rnn.py": of_settings(sizes).encode()}
    hand_in = HandIn(tmp_path, False, files, read_sources(files), "")
    with written_out(hand_in) as tree, Children(tree, "limited", Limits(seconds=60)) as children:
        section = check_class(children, hand_in, "VanillaRNN", Rules({}, frozenset()))
    assert (section.verdict, [f.code for f in section.findings]) == (verdict, codes), section
    if "net" in sizes:
        assert "omegaconf_of_old" in section.findings[0].message


def test_library_that_forward_needs_is_named(tmp_path):
    text = "from einops_of_old import rearrange\n" + rnn("separate", replace=(
        ("h = torch.zeros", "x = rearrange(x, 'b t -> b t')\n        h = torch.zeros"),
    ))  # fmt: skip
    files = {"vanilla_rnn.py": text.encode()}
    hand_in = HandIn(tmp_path, False, files, read_sources(files), "")
    with written_out(hand_in) as tree, Children(tree, "limited", Limits(seconds=60)) as children:
        section = check_class(children, hand_in, "VanillaRNN", Rules({}, frozenset()))
    assert (section.verdict, section.findings[0].code) == ("cannot tell", "needs-library")
    assert "einops_of_old" in section.findings[0].message


@pytest.mark.slow
def test_biases_that_are_plain_tensors_are_named_as_no_parameters(tmp_path):
    biases = "self.b_g, self.b_i, self.b_f, self.b_o"
    text = lstm("separate", end=f"        b = [t.detach() for t in ({biases})]\n"
                f"        del {biases}\n        {biases} = b\n")  # fmt: skip
    hand_in = HandIn(
        tmp_path, False, {"lstm.py": text.encode()}, read_sources({"lstm.py": text.encode()}), ""
    )
    with written_out(hand_in) as tree, Children(tree, "limited", Limits(seconds=60)) as children:
        section = check_class(children, hand_in, "LSTM", Rules({}, frozenset()))
    assert section.verdict == "fail", section
    [fault] = [f for f in section.findings if f.severity == "fault"]
    assert fault.code == "not-a-parameter"
    assert "b_g, b_i" in fault.message
