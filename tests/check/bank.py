"""The bank: networks written for these tests in many styles, honest ones and wrong ones.

A style is a way to lay out weights and states; slots are the parts of the equations, so that one
fault can be planted in every style.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

__all__ = ["HONEST", "MUTANTS", "TABLE", "Case", "fixed_sizes", "lstm", "rnn"]

HEADER = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n\n\n"
SIGNATURE = "self, seq_length, input_dim, num_hidden, num_classes, batch_size, device='cpu'"


class Case(NamedTuple):
    """One network of the bank."""

    name: str
    kind: str
    """"rnn" or "lstm"."""
    source: str
    says: str = ""
    """What a finding must say; for an honest one with a remark, what the remark says."""
    severity: str = ""
    """"fault", "remark", or nothing at all to be found."""


@dataclasses.dataclass(frozen=True)
class Style:
    """A layout: where weights stand, how the inside of a gate is computed."""

    weights: str
    """A line in __init__ for one gate, with {k} its name."""
    inside: str
    """The inside of gate {k}."""
    x: str
    """The digits of step t."""
    zeros: str
    """A state of zeros."""
    readout_weights: str
    readout: str
    answer: str = "p"
    start: str = ""
    """Lines that __init__ begins with."""
    before: str = ""
    """Lines at the start of each step."""


SEPARATE = Style(
    weights="""\
        self.W_{k}x = nn.Parameter(torch.randn(num_hidden, input_dim) * 0.1)
        self.W_{k}h = nn.Parameter(torch.randn(num_hidden, num_hidden) * 0.1)
        self.b_{k} = nn.Parameter(torch.zeros(num_hidden))
""",
    inside="x_t @ self.W_{k}x.t() + h @ self.W_{k}h.t() + self.b_{k}",
    x="x[:, t].reshape(x.shape[0], -1)",
    zeros="torch.zeros(x.shape[0], self.num_hidden, device=self.device)",
    readout_weights="""\
        self.W_ph = nn.Parameter(torch.randn(num_classes, num_hidden) * 0.1)
        self.b_p = nn.Parameter(torch.zeros(num_classes))
""",
    readout="h @ self.W_ph.t() + self.b_p",
)
COLUMNS = Style(
    weights="""\
        self.u_{k} = nn.Parameter(torch.empty(num_hidden, input_dim).normal_(0, 0.1))
        self.v_{k} = nn.Parameter(nn.init.orthogonal_(torch.Tensor(num_hidden, num_hidden)))
        self.bias_{k} = nn.Parameter(torch.Tensor(num_hidden, 1).zero_())
""",
    inside="self.u_{k} @ x_t + self.v_{k} @ h + self.bias_{k}",
    x="x[:, t].view(1, -1)",
    zeros="torch.zeros(self.num_hidden, self.batch_size)",
    readout_weights="""\
        self.w_out = nn.Parameter(torch.randn(num_classes, num_hidden) * 0.1)
        self.b_out = nn.Parameter(torch.zeros(num_classes, 1))
""",
    readout="self.w_out @ h + self.b_out",
    answer="p.t()",
)
CONCATENATED = Style(
    weights="""\
        self.weights['{k}'] = nn.Parameter(torch.randn(num_hidden + input_dim, num_hidden) * 0.1)
        self.biases['{k}'] = nn.Parameter(torch.zeros(1, num_hidden))
""",
    inside="torch.mm(torch.cat((h, x_t), dim=1), self.weights['{k}']) + self.biases['{k}']",
    x="x[:, t, :]",
    zeros="torch.zeros(x.size(0), self.num_hidden)",
    readout_weights="""\
        self.weights['out'] = nn.Parameter(torch.randn(num_hidden, num_classes) * 0.1)
        self.biases['out'] = nn.Parameter(torch.zeros(num_classes))
""",
    readout="torch.mm(h, self.weights['out']) + self.biases['out']",
    start="        self.weights, self.biases = nn.ParameterDict(), nn.ParameterDict()\n",
)
STACKED = Style(
    weights="",
    inside="a[:, {n} * self.num_hidden:({n} + 1) * self.num_hidden]",
    x="x[:, t].unsqueeze(-1)",
    zeros="torch.zeros(x.shape[0], self.num_hidden)",
    readout_weights="""\
        self.output = nn.Parameter(torch.randn(num_hidden, num_classes) * 0.1)
        self.output_bias = nn.Parameter(torch.zeros(num_classes))
""",
    readout="torch.matmul(h, self.output) + self.output_bias",
    start="""\
        gates = GATES * num_hidden
        self.kernel = nn.Parameter(torch.randn(input_dim, gates) * 0.1)
        self.recurrent = nn.Parameter(torch.randn(gates, num_hidden) * 0.1)
        self.bias = nn.Parameter(torch.zeros(gates))
""",
    before="            a = x_t @ self.kernel + h @ self.recurrent.t() + self.bias\n",
)
STYLES = {
    "separate": SEPARATE,
    "columns": COLUMNS,
    "concatenated": CONCATENATED,
    "stacked": STACKED,
}
LSTM_GATES = "gifo"


def network(
    kind: str,
    style_name: str,
    step: str,
    *,
    name: str = "",
    signature: str = SIGNATURE,
    steps: str = "range(self.seq_length)",
    order: str = "gifo",
    zeros: str = "",
    start: str = "",
    end: str = "",
    answer: str = "",
    readout: str = "",
    forward: str = "",
    first: str = "",
    replace: tuple[tuple[str, str], ...] = (),
) -> str:
    """The source of a network: a style with the lines of one step put in."""
    style = STYLES[style_name]
    gates = order if kind == "lstm" else "h"
    weights = style.start.replace("GATES", str(len(gates)))
    weights += "".join(style.weights.format(k=k, n=n) for n, k in enumerate(gates))
    for n, k in enumerate(gates):
        step = step.replace(f"<{k}>", style.inside.format(k=k, n=n))
    body = "".join(f"            {line}\n" for line in step.strip().split("\n"))
    states = "h" if kind == "rnn" else "h, c"
    value = zeros or style.zeros
    values = value if kind == "rnn" else f"{value}, {value}"
    source = (
        f"{HEADER}class {name or ('VanillaRNN' if kind == 'rnn' else 'LSTM')}(nn.Module):\n"
        f"    def __init__({signature}):\n"
        f"        super().__init__()\n"
        f"        self.seq_length, self.num_hidden = seq_length, num_hidden\n"
        f"        self.batch_size, self.device = batch_size, device\n"
        f"{weights}{style.readout_weights}{end}"
        f"\n    def forward(self, x):\n{first}"
        f"        {states} = {values}\n{start}"
        f"        for t in {steps}:\n"
        f"            x_t = {style.x}\n{style.before}{body}"
        f"        p = {readout or style.readout}\n{forward}"
        f"        return {answer or style.answer}\n"
    )
    for old, new in replace:
        assert old in source, old
        source = source.replace(old, new)
    return source


LSTM_STEP = """\
g = torch.tanh(<g>)
i = torch.sigmoid(<i>)
f = torch.sigmoid(<f>)
o = torch.sigmoid(<o>)
c = g * i + c * f
h = torch.tanh(c) * o
"""
RNN_STEP = "h = torch.tanh(<h>)"


def lstm(style: str, step: str = LSTM_STEP, **slots: object) -> str:
    """The source of an LSTM."""
    return network("lstm", style, step, **slots)


def rnn(style: str, step: str = RNN_STEP, **slots: object) -> str:
    """The source of a vanilla RNN."""
    return network("rnn", style, step, **slots)


def swapped(step: str, *pairs: tuple[str, str]) -> str:
    """A step with parts replaced, each of which must be there."""
    for old, new in pairs:
        assert old in step, old
        step = step.replace(old, new)
    return step


def step_interface(kind: str, step: str, *, keep: bool = False, answer: str = "p") -> str:
    """A network that reads one digit a call, its state passed on or kept until the end."""
    states = "h" if kind == "rnn" else "h, c"
    gates = "h" if kind == "rnn" else "gifo"
    for k in gates:
        step = step.replace(f"<{k}>", SEPARATE.inside.format(k=k))
    body = "".join(f"        {line}\n" for line in step.strip().split("\n"))
    weights = "".join(SEPARATE.weights.format(k=k) for k in gates)
    reset = ", ".join(["torch.zeros(self.batch_size, self.num_hidden)"] * len(states.split(",")))
    kept = ", ".join(f"self.{state.strip()}" for state in states.split(","))
    if keep:
        forward = (
            f"    def forward(self, x_t):\n        {states} = {kept}\n{body}"
            f"        self.t += 1\n"
            f"        {kept} = {states}\n"
            f"        if self.t == self.seq_length:\n            self.reset()\n"
            f"        p = {SEPARATE.readout}\n        return {answer}\n"
            f"\n    def reset(self):\n        self.t = 0\n        {kept} = {reset}\n"
        )
    else:
        forward = (
            f"    def forward(self, x_t, {states}):\n{body}"
            f"        p = {SEPARATE.readout}\n        return {answer}, {states}\n"
        )
    return (
        f"{HEADER}class {'VanillaRNN' if kind == 'rnn' else 'LSTM'}(nn.Module):\n"
        f"    def __init__({SIGNATURE}):\n        super().__init__()\n"
        f"        self.seq_length, self.num_hidden = seq_length, num_hidden\n"
        f"        self.batch_size = batch_size\n{weights}{SEPARATE.readout_weights}"
        f"{'        self.reset()' if keep else ''}\n\n{forward}"
    )


MUTANTS: list[Case] = []
HONEST: list[Case] = []


def wrong(name: str, kind: str, source: str, says: str) -> None:
    """Put a mutant into the bank, with words that its finding must have."""
    MUTANTS.append(Case(name, kind, source, says, "fault"))


def right(name: str, kind: str, source: str, says: str = "") -> None:
    """Put an honest network into the bank, with the words of its remark, if it has one."""
    HONEST.append(Case(name, kind, source, says, "remark" if says else ""))


def plant_activations() -> None:
    """Gates with the wrong non-linearity."""
    tanh_g, sigmoid_i = ("g = torch.tanh", "g = "), ("i = torch.sigmoid", "i = ")
    linear = [tanh_g, *((f"{k} = torch.sigmoid", f"{k} = ") for k in "ifo")]
    for style, wrong_g in (("separate", "torch.sigmoid"), ("stacked", "torch.sigmoid"),
                           ("columns", "torch.relu")):  # fmt: skip
        step = swapped(LSTM_STEP, ("g = torch.tanh", f"g = {wrong_g}"))
        wrong(f"g-{wrong_g}-{style}", "lstm", lstm(style, step), "equation (4): the candidate g")
    for k, number, style in (("i", 5, "concatenated"), ("f", 6, "separate"), ("o", 7, "stacked")):
        step = swapped(LSTM_STEP, (f"{k} = torch.sigmoid", f"{k} = torch.tanh"))
        wrong(f"{k}-tanh-{style}", "lstm", lstm(style, step), f"equation ({number})")
    step = swapped(LSTM_STEP, sigmoid_i)
    wrong("i-linear-columns", "lstm", lstm("columns", step), "goes through no non-linearity")
    for style in ("separate", "stacked"):
        step = swapped(LSTM_STEP, *linear)
        wrong(f"all-linear-{style}", "lstm", lstm(style, step), "goes through no non-linearity")
    step = swapped(LSTM_STEP, ("g = torch.tanh", "g = torch.sigmoid"))
    wrong("all-sigmoid-step", "lstm", step_interface("lstm", step), "expected tanh")
    for style in ("separate", "concatenated"):
        step = swapped(LSTM_STEP, ("h = torch.tanh(c) * o", "h = c * o"))
        wrong(f"c-linear-{style}", "lstm", lstm(style, step), "equation (9)")
    step = swapped(LSTM_STEP, ("h = torch.tanh(c)", "h = torch.sigmoid(c)"))
    wrong("c-sigmoid-columns", "lstm", lstm("columns", step), "equation (9)")
    for style, act in (("separate", "torch.sigmoid"), ("columns", "torch.relu"),
                       ("concatenated", ""), ("stacked", "F.relu")):  # fmt: skip
        step = f"h = {act}(<h>)"
        wrong(f"rnn-{act or 'linear'}-{style}", "rnn", rnn(style, step), "equation (1)")
    wrong("rnn-sigmoid-step", "rnn", step_interface("rnn", "h = torch.sigmoid(<h>)"), "(1)")


def plant_states() -> None:
    """Equations (8) and (9), and states that are lost or kept."""
    for style in ("separate", "stacked", "columns"):
        step = swapped(LSTM_STEP, ("c = g * i + c * f", "c = g * i"))
        wrong(f"no-cell-{style}", "lstm", lstm(style, step), "c(t-1) is never used")
    step = swapped(LSTM_STEP, ("c = g * i + c * f", "c = g * i + f"))
    wrong("no-cell-step", "lstm", step_interface("lstm", step), "c(t-1) is never used")
    step = swapped(
        LSTM_STEP, ("c = g * i + c * f", "new = g * i + c * f"), ("tanh(c)", "tanh(new)")
    )
    wrong("cell-not-carried", "lstm", lstm("concatenated", step), "c(t-1) is never used")
    for style in ("separate", "concatenated"):
        step = swapped(LSTM_STEP, ("tanh(c) * o", "tanh(c) + o"))
        wrong(f"output-added-{style}", "lstm", lstm(style, step), "added instead of multiplied")
    step = swapped(LSTM_STEP, ("tanh(c) * o", "tanh(c)"))
    wrong("output-unused", "lstm", lstm("stacked", step), "output gate is not applied")
    step = swapped(LSTM_STEP, ("g * i + c * f", "g * i + h * f"))
    wrong("hidden-for-cell", "lstm", lstm("columns", step), "expected the previous cell state")
    step = swapped(LSTM_STEP, ("g * i + c * f", "g + c * f"))
    wrong("input-unused", "lstm", lstm("separate", step), "input gate is not applied")
    for style in ("separate", "columns", "stacked"):
        step = "z = torch.zeros_like(h)\nh = torch.tanh(<h>)".replace("<h>", "<h>")
        source = rnn(style, step)
        source = source.replace("h @ self", "0 * h @ self").replace("@ h", "@ (0 * h)", 1)
        if style == "columns":
            source = source.replace("self.w_out @ (0 * h)", "self.w_out @ h")
        else:
            source = source.replace("p = 0 * h @", "p = h @")
        wrong(f"rnn-no-hidden-{style}", "rnn", source, "digit is read")
    for style in ("separate", "columns"):
        source = lstm(style, zeros="torch.ones(x.shape[0], self.num_hidden)" if style == "separate"
                      else "torch.ones(self.num_hidden, x.shape[0])")  # fmt: skip
        wrong(f"ones-{style}", "lstm", source, "filled with ones")
    for kind, make in (("rnn", rnn), ("lstm", lstm)):
        source = make("separate", zeros="torch.Tensor(x.shape[0], self.num_hidden)")
        wrong(f"{kind}-uninitialised", kind, source, "memory that was never written")
        source = make("concatenated", zeros="torch.empty(x.shape[0], self.num_hidden)")
        wrong(f"{kind}-empty", kind, source, "memory that was never written")
        source = make("separate", zeros="torch.randn(x.shape[0], self.num_hidden)")
        wrong(f"{kind}-random-start", kind, source, "another answer each time")
    for kind, make, names in (("rnn", rnn, ["h"]), ("lstm", lstm, ["h", "c"])):
        for style in ("separate", "concatenated"):
            end = "".join(
                f"        self.{k} = torch.zeros(batch_size, num_hidden)\n" for k in names
            )
            keep = "".join(f"        self.{k} = {k}.detach()\n" for k in names)
            first = ", ".join(f"self.{k}" for k in names)
            source = make(style, end=end, forward=keep)
            zeros = STYLES[style].zeros
            old = f"= {', '.join([zeros] * len(names))}\n"
            assert old in source
            wrong(f"{kind}-kept-{style}", kind, source.replace(old, f"= {first}\n"),
                  "kept from one batch to the next")  # fmt: skip


def plant_biases() -> None:
    """Biases: one for all gates, missing, along the batch."""
    for style, bias in (("separate", "self.b_{}"), ("concatenated", "self.biases['{}']")):
        source = lstm(style)
        for k in "ifo":
            head, tail = source.split("def forward")
            source = f"{head}def forward{tail.replace(bias.format(k), bias.format('g'))}"
        wrong(f"one-bias-{style}", "lstm", source, "one gate's bias is used for all")
        for k in "gifo":
            head, tail = source.split("def forward")
            source = f"{head}def forward{tail.replace(' + ' + bias.format(k), '')}"
        wrong(f"no-bias-{style}", "lstm", source, "there is no bias")
    source = lstm("columns", replace=(("+ self.bias_f", ""),))
    wrong("no-bias-f", "lstm", source, "equation (6): the forget gate f has no bias")
    source = rnn("separate", replace=((" + self.b_h", ""),))
    wrong("rnn-no-bias", "rnn", source, "there is no bias")
    source = rnn("stacked", replace=((" + self.bias", ""),))
    wrong("rnn-no-bias-stacked", "rnn", source, "there is no bias")
    for style, old in (("separate", " + self.b_p"), ("stacked", " + self.output_bias")):
        wrong(
            f"no-read-out-bias-{style}", "lstm", lstm(style, replace=((old, ""),)), "equation (10)"
        )
    replace = (("torch.zeros(num_hidden))", "torch.zeros(batch_size, num_hidden))"),)
    wrong("bias-a-sample-lstm", "lstm", lstm("separate", replace=replace), "for each sample")
    wrong("bias-a-sample-rnn", "rnn", rnn("separate", replace=replace), "for each sample")
    replace = (("torch.Tensor(num_hidden, 1).zero_()", "torch.zeros(batch_size)"),)
    wrong("bias-batch-lstm", "lstm", lstm("columns", replace=replace), "along the batch axis")
    wrong("bias-batch-rnn", "rnn", rnn("columns", replace=replace), "along the batch axis")
    replace = (("torch.zeros(num_classes, 1)", "torch.zeros(batch_size)"),)
    wrong("read-out-bias-batch", "rnn", rnn("columns", replace=replace), "equation (2)")


def plant_reading() -> None:
    """Digits that are not read, axes mixed up, weights in the wrong place."""
    for kind, make in (("rnn", rnn), ("lstm", lstm)):
        for style in ("separate", "columns"):
            source = make(style, steps="range(self.seq_length - 1)")
            wrong(f"{kind}-last-unread-{style}", kind, source, "last digit is never read")
        source = make("stacked", steps="range(1, self.seq_length)")
        wrong(f"{kind}-first-unread", kind, source, "first digit is never read")
        source = make("separate", steps="reversed(range(self.seq_length))")
        wrong(f"{kind}-backwards", kind, source, "read backwards")
        source = make("separate", first="        x = x.reshape(x.shape[1], x.shape[0]).t()\n")
        wrong(f"{kind}-scrambled", kind, source, "axes")
    step = swapped(LSTM_STEP, ("f = torch.sigmoid(<f>)", "f = torch.sigmoid(<i>)"),
                   ("o = torch.sigmoid(<o>)", "o = torch.sigmoid(<i>)"))  # fmt: skip
    wrong("i-for-f-and-o", "lstm", lstm("separate", step), "equations (5), (6), (7)")
    step = swapped(LSTM_STEP, ("g = torch.tanh(<g>)", "g = torch.tanh(<i>)"),
                   ("o = torch.sigmoid(<o>)", "o = torch.sigmoid(<f>)"))  # fmt: skip
    wrong("i-for-g-f-for-o", "lstm", lstm("separate", step), "use the same weights and bias")
    source = lstm("separate", replace=(("h @ self.W_fh.t()", "h @ self.W_ih.t()"),))
    wrong("f-uses-i", "lstm", source, "the forget gate f use the same recurrent weights")
    source = lstm("columns", replace=(("self.u_o @ x_t", "self.u_i @ x_t"),))
    wrong("o-uses-i", "lstm", source, "the output gate o use the same input weights")


def plant_results() -> None:
    """What forward returns."""
    for kind, make in (("rnn", rnn), ("lstm", lstm)):
        wrong(f"{kind}-softmax", kind, make("separate", answer="torch.softmax(p, dim=1)"),
              "softmax again")  # fmt: skip
        wrong(f"{kind}-softmax-columns", kind, make("columns", answer="F.softmax(p.t(), 1)"),
              "softmax again")  # fmt: skip
        wrong(f"{kind}-softmax-batch", kind, make("separate", answer="torch.softmax(p, dim=0)"),
              "over the batch")  # fmt: skip
        wrong(f"{kind}-log-softmax-batch", kind,
              make("concatenated", answer="F.log_softmax(p, 0)"), "over the batch")  # fmt: skip
        wrong(f"{kind}-tuple", kind, make("separate", answer="p, h"), "several things")
        wrong(f"{kind}-state-first", kind, make("separate", answer="h, p"), "several things")
        wrong(f"{kind}-tanh-answer", kind, make("separate", answer="torch.tanh(p)"),
              "answer goes through tanh")  # fmt: skip
    source = lstm(
        "separate",
        replace=(
            ("torch.randn(num_classes, num_hidden)", "torch.randn(num_hidden, num_hidden)"),
            ("torch.zeros(num_classes)", "torch.zeros(num_hidden)"),
        ),
    )
    wrong("wide-lstm", "lstm", source, "the read-out gives")
    source = rnn(
        "stacked",
        replace=(
            ("torch.randn(num_hidden, num_classes)", "torch.randn(num_hidden, num_hidden)"),
            ("torch.zeros(num_classes)", "torch.zeros(num_hidden)"),
        ),
    )
    wrong("wide-rnn", "rnn", source, "the read-out gives")
    wrong("read-out-of-c", "lstm", lstm("separate", readout="c @ self.W_ph.t() + self.b_p"),
          "made from the cell state c")  # fmt: skip


def plant_gradients() -> None:
    """Gradients that are lost, weights that are not trained."""
    detached = swapped(RNN_STEP, ("<h>", "<h>")) + "\nh = h.detach()"
    wrong(
        "rnn-detached",
        "rnn",
        rnn("separate", "h = h.detach()\n" + RNN_STEP),
        "does not reach x(1)",
    )
    wrong("rnn-detached-columns", "rnn", rnn("columns", "h = h.data\n" + RNN_STEP), "reach x(1)")
    del detached
    step = swapped(LSTM_STEP, ("c * f", "c.detach() * f"))
    wrong("lstm-cell-detached", "lstm", lstm("stacked", step), "does not reach x(1)")
    wrong("lstm-h-data", "lstm", lstm("concatenated", "h = h.data\n" + LSTM_STEP), "reach x(1)")
    source = lstm("separate", replace=(("h @ self.W_fh.t()", "h @ self.W_fh.data.t()"),))
    wrong("lstm-weights-data", "lstm", source, "No gradient reaches W_fh")
    source = rnn("separate", replace=(("h @ self.W_hh.t()", "h @ self.W_hh.detach().t()"),))
    wrong("rnn-weights-detached", "rnn", source, "No gradient reaches W_hh")
    source = rnn(
        "separate",
        replace=(
            (
                "nn.Parameter(torch.randn(num_hidden, num_hidden) * 0.1)",
                "torch.randn(num_hidden, num_hidden) * 0.1",
            ),
        ),
    )
    wrong("rnn-no-parameter", "rnn", source, "is no Parameter")
    source = lstm("separate", replace=(
        ("nn.Parameter(torch.randn(num_hidden, num_hidden) * 0.1)",
         "(nn.Parameter(torch.randn(num_hidden, num_hidden)) * 0.1)"),))  # fmt: skip
    wrong("lstm-wrapped", "lstm", source, "is no Parameter")
    frozen = (("torch.randn(num_hidden, num_hidden) * 0.1)",
               "torch.randn(num_hidden, num_hidden) * 0.1, requires_grad=False)"),)  # fmt: skip
    wrong(
        "rnn-frozen",
        "rnn",
        rnn("separate", replace=frozen),
        "left out of the training, by requires_grad=False",
    )
    source = rnn(
        "stacked",
        replace=(
            ("p = torch", "p = 1.0 * torch"),
            ("        for t", "        with torch.no_grad():\n         for t"),
        ),
    )
    for line in ("            x_t", "            a =", "            h ="):
        source = source.replace(line, "  " + line)
    wrong("rnn-no-grad-inside", "rnn", source, "No gradient reaches")
    zero = (("self.W_{k}x", "torch.randn(num_hidden, input_dim) * 0.1",
             "torch.zeros(num_hidden, input_dim)"),)  # fmt: skip
    del zero
    end = "        nn.init.zeros_(self.W_fx)\n        nn.init.zeros_(self.W_fh)\n"
    wrong("zero-gate", "lstm", lstm("separate", end=end), "All weights of f start at zero")
    end = "        self.weights['g'].data.zero_()\n"
    wrong(
        "zero-gate-concatenated", "lstm", lstm("concatenated", end=end), "All weights of g start"
    )
    end = "        for q in (self.u_h, self.v_h):\n            nn.init.constant_(q, 0.0)\n"
    wrong("zero-rnn", "rnn", rnn("columns", end=end), "All weights of h start at zero")


def plant_running() -> None:
    """Networks that do not run, keep memory, or are something else inside."""
    for kind, make in (("rnn", rnn), ("lstm", lstm)):
        end = "        self.history = []\n"
        source = make("separate", end=end, forward="        self.history.append(h)\n")
        wrong(f"{kind}-memory", kind, source, "keeps more tensors")
        source = make("separate", replace=(("device=self.device", "device='cuda'"),))
        wrong(f"{kind}-cuda", kind, source, "CUDA is asked for")
        source = make("concatenated", end="        self.cuda()\n")
        wrong(f"{kind}-cuda-module", kind, source, "CUDA is asked for")
        source = make("separate", forward="        h.retain_grad()\n")
        wrong(f"{kind}-no-grad", kind, source, "under torch.no_grad()")
        source = make("separate", forward="        raise ValueError('later')\n")
        wrong(f"{kind}-raises", kind, source, "does not run on a batch")
        source = make("separate", end="        self.missing.normal_()\n")
        wrong(f"{kind}-construct", kind, source, "cannot be constructed")
        source = "from .gates_of_ours import gate\n" + make("separate")
        wrong(f"{kind}-import", kind, source, "cannot be imported")
        source = make("separate", zeros="torch.zeros(self.num_hidden, self.batch_size)")
        wrong(f"{kind}-equal-sizes", kind, source, "batch size equals")
        source = make("separate", zeros="self.s", end=(
            "        self.s = nn.Parameter(torch.zeros(batch_size, num_hidden))\n"))  # fmt: skip
        wrong(f"{kind}-state-a-sample", kind, source, "a row for each place in the batch")
        name = "VanillaRNN" if kind == "rnn" else "LSTM"
        template = (f"{HEADER}class {name}(nn.Module):\n    def __init__({SIGNATURE}):\n"
                    f"        super().__init__()\n\n    def forward(self, x):\n"
                    f"        # Implementation here ...\n        pass\n")  # fmt: skip
        wrong(f"{kind}-template", kind, template, "never filled in")
    wrong("rnn-is-lstm", "rnn", lstm("separate", name="VanillaRNN"), "is an LSTM inside")
    wrong("rnn-is-lstm-stacked", "rnn", lstm("stacked", name="VanillaRNN"), "is an LSTM inside")
    wrong("lstm-is-rnn", "lstm", rnn("separate", name="LSTM"), "is a vanilla RNN inside")
    wrong("lstm-is-rnn-columns", "lstm", rnn("columns", name="LSTM"), "is a vanilla RNN inside")
    for layer, call in (("Linear", "nn.Linear(1, 1)"), ("LSTM", "nn.LSTM(1, 1)"),
                        ("Embedding", "nn.Embedding(10, 4)")):  # fmt: skip
        source = lstm("separate", end=f"        self.layer = {call}\n")
        wrong(f"ready-made-{layer}", "lstm", source, f"torch.nn.{layer}")
    source = rnn("separate", replace=(("h @ self.W_hh.t()", "F.linear(h, self.W_hh)"),))
    wrong("ready-made-functional", "rnn", source, "torch.nn.Linear")
    source = rnn(
        "separate", replace=(("h @ self.W_hh.t()", "getattr(F, 'lin' + 'ear')(h, self.W_hh)"),)
    )
    wrong("ready-made-getattr", "rnn", source, "torch.nn.Linear")
    source = rnn(
        "separate", replace=(("h @ self.W_hh.t()", "torch.ops.aten.linear(h, self.W_hh)"),)
    )
    wrong("ready-made-aten", "rnn", source, "torch.nn.Linear")


def fixed_sizes(source: str, hidden: int = 128) -> str:
    """A network with its number of hidden units written into the code."""
    signature = "self, seq_length, input_dim, num_classes, batch_size, device='cpu'"
    source = source.replace(SIGNATURE, signature)
    return source.replace(
        "super().__init__()", f"super().__init__()\n        num_hidden = {hidden}"
    )


TABLE = (
    ("(num_hidden, input_dim)", "(num_hidden, 6)"),
    ("x[:, t].reshape(x.shape[0], -1)", "self.table[x[:, t].long()]"),
)
"""Digits that are looked up in a table of six numbers a digit."""


def plant_sizes() -> None:
    """Faults in networks whose sizes are written into the code, or that look their digits up."""
    step = swapped(LSTM_STEP, ("c = g * i + c * f", "c = g * i"))
    for style in ("separate", "concatenated", "stacked"):
        says = "c(t-1) is never used"
        wrong(f"fixed-no-cell-{style}", "lstm", fixed_sizes(lstm(style, step)), says)
    wrong("fixed-rnn-linear", "rnn", fixed_sizes(rnn("columns", "h = <h>")), "equation (1)")
    source = fixed_sizes(rnn("separate", "h = h.detach()\n" + RNN_STEP))
    wrong("fixed-detached", "rnn", source, "does not reach x(1)")
    table = "        self.table = nn.Parameter(torch.randn(3, 6))\n"
    source = lstm("separate", end=table, replace=TABLE)
    wrong("few-rows", "lstm", source, "runs on some digits and fails on others")
    table = "        self.table = nn.Embedding(10, 6)\n"
    replace = (TABLE[0], (TABLE[1][0], "self.table(x[:, t].long())"))
    source = lstm("separate", end=table, replace=replace)
    wrong("embedding-lstm", "lstm", source, "torch.nn.Embedding")
    source = rnn("separate", "h = torch.sigmoid(<h>)", end=table, replace=replace)
    wrong("embedding-rnn-sigmoid", "rnn", source, "equation (1)")
    one_hot = "        x = F.one_hot(x.long(), 10).to(self.W_ph.dtype)\n"
    inside = (("(num_hidden, input_dim)", "(num_hidden, 10)"),)
    source = lstm("separate", step, first=one_hot, replace=inside)
    wrong("one-hot-no-cell", "lstm", source, "c(t-1) is never used")
    source = lstm("separate", step, end=table, replace=replace)
    wrong("embedding-no-cell", "lstm", source, "c(t-1) is never used")


for plant in (
    plant_sizes,
    plant_activations,
    plant_states,
    plant_biases,
    plant_reading,
    plant_results,
    plant_gradients,
    plant_running,
):
    plant()
