"""Networks that are right at a few units and wrong elsewhere, and odd ones that are right."""

from __future__ import annotations

from check.bank import (
    LSTM_STEP,
    RNN_STEP,
    Case,
    fixed_sizes,
    lstm,
    rnn,
    swapped,
)

__all__ = ["ELSEWHERE", "ODD"]

ELSEWHERE: list[Case] = []
ODD: list[Case] = []
MAKE = {"rnn": rnn, "lstm": lstm}
STEP = {"rnn": RNN_STEP, "lstm": LSTM_STEP}


def elsewhere(name: str, kind: str, source: str, says: str) -> None:
    """A network that is wrong elsewhere, with words that its finding must have."""
    ELSEWHERE.append(Case(name, kind, source, says, "fault"))


def odd(name: str, kind: str, source: str, says: str = "") -> None:
    """A network that is right in an unusual way, with the words of its remark, if it has one."""
    ODD.append(Case(name, kind, source, says, "remark" if says else ""))


def zeros_where(condition: str) -> str:
    """A line of forward that answers zeros where something holds."""
    return (
        f"        if {condition}:\n"
        "            return x.new_zeros(x.shape[0], 10).to(self.W_ph) + 0 * self.b_p\n"
    )


CUT = {
    "every ten": "if t > 0 and t % 10 == 0:\n    {s} = {d}",
    "before the last twenty": "if t == self.seq_length - 20:\n    {s} = {d}",
    "once after forty": "if t == 40:\n    {s} = {d}",
    "every step beyond twelve": "if t > 12:\n    {s} = {d}",
    "by no_grad": "if t in (15, 30, 45):\n    with torch.no_grad():\n        {s} = {c}",
}
for number, (name, line) in enumerate(CUT.items()):
    for kind in (("lstm",), ("rnn",), ("rnn", "lstm"))[number % 3]:
        style = ("separate", "columns", "concatenated")[number % 3]
        states = "h" if kind == "rnn" else "h, c"
        words = [word.strip() for word in states.split(",")]
        filled = line.format(s=states, d=", ".join(f"{w}.detach()" for w in words),
                             c=", ".join(f"{w}.clone()" for w in words))  # fmt: skip
        source = MAKE[kind](style, f"{filled}\n{STEP[kind]}")
        elsewhere(f"{kind}-cut-{name}", kind, source, "is not the slope of the answer, though")

for kind, style, steps, says in (
    ("lstm", "separate", "range(min(self.seq_length, 10))", "only 10 are read (1 to 10)"),
    ("rnn", "stacked", "range(min(self.seq_length, 16))", "only 16 are read (1 to 16)"),
    ("rnn", "columns", "range(max(0, self.seq_length - 20), self.seq_length)",
     "only 20 are read"),
    ("lstm", "concatenated", "range(0, self.seq_length, 1 + (self.seq_length > 30))", "are read"),
):  # fmt: skip
    elsewhere(f"{kind}-{steps}", kind, MAKE[kind](style, steps=steps), says)

for kind, name, condition, says in (
    ("lstm", "float32", "self.W_ph.dtype == torch.float32", "In single precision (float32)"),
    ("rnn", "float32-input", "x.dtype != torch.float64", "In single precision (float32)"),
    ("lstm", "no_grad", "not torch.is_grad_enabled()", "Under torch.no_grad()"),
    ("rnn", "eval", "not self.training", "After eval()"),
    ("lstm", "eval and no_grad", "not (self.training or torch.is_grad_enabled())", "after eval()"),
    ("rnn", "many units", "self.num_hidden > 13", "hidden units"),
    ("lstm", "sheet's units", "self.num_hidden == 128", "128 hidden units"),
    ("lstm", "many samples", "len(x) > 64", "samples the network"),
    (
        "rnn",
        "equal sizes",
        "len(x) == self.num_hidden",
        "as many samples as hidden units the network",
    ),
    ("lstm", "large weights", "self.W_ph.abs().max() > 3", "With large weights"),
    ("rnn", "long", "self.seq_length > 50", "digits the network computes something else"),
    (
        "lstm",
        "long and float32",
        "self.seq_length > 9 and x.dtype == torch.float32",
        "digits in single precision",
    ),
):
    source = MAKE[kind]("separate", first=zeros_where(condition))
    elsewhere(f"{kind}-zeros-{name}", kind, source, says)

for kind, name, condition, says in (
    ("lstm", "six to ten", "6 <= self.seq_length <= 10", "digits the network computes"),
    ("rnn", "seven", "x.shape[1] == 7", "With 7 digits the network"),
    ("lstm", "thirties", "30 < self.seq_length < 45", "digits the network computes"),
    ("rnn", "many pairs", "x.shape[0] > 20", "samples the network computes"),
    ("lstm", "nine to fourteen", "8 < len(x) < 15", "samples the network computes"),
    ("rnn", "twenty units", "20 <= self.num_hidden < 24", "hidden units the network computes"),
    ("lstm", "smaller batch", "len(x) < self.batch_size", "of the 7 samples that the constructor"),
    ("lstm", "one sample", "len(x) == 1", "With a single sample"),
    ("rnn", "small digits", "x.max() < 9", "With digits from 0 to"),
):
    source = MAKE[kind]("separate", first=zeros_where(condition))
    elsewhere(f"{kind}-zeros-{name}", kind, source, says)
elsewhere("divided by the largest digit", "lstm", lstm("separate", replace=(
    ("x_t = x[:, t]", "x_t = (x[:, t] / x.max())"),)), "With digits from 0 to")  # fmt: skip
elsewhere("units above a hundred", "lstm", lstm("separate",
    f"{LSTM_STEP}h = h * (torch.arange(self.num_hidden) < 100)"), "128 hidden units")  # fmt: skip
for name, condition in (
    ("in float32", "h.dtype == torch.float32"),
    ("of many units", "self.num_hidden > 20"),
):
    cut = f"if h.requires_grad and t == 3 and {condition}: h.register_hook(lambda g: g * 0)"
    for kind in ("rnn", "lstm"):
        source = MAKE[kind]("separate", f"{STEP[kind]}\n{cut}")
        elsewhere(f"{kind}-gradient of a step, {name}", kind, source, "is not the slope")

for kind, name, sizes in (
    ("rnn", "of training", "x.shape[0] == 128"),
    ("lstm", "of many samples", "x.shape[0] > 100"),
):
    states = ("h",) if kind == "rnn" else ("h", "c")
    end = "".join(f"        self.{s} = None\n" for s in states)
    keep = "".join(f"        self.{s} = {s}.detach()\n" for s in states)
    start = f"        if self.h is not None and {sizes} and len(self.h) == len(x):\n            "
    start += f"{', '.join(states)} = {', '.join(f'self.{s}' for s in states)}\n"
    source = MAKE[kind]("separate", end=end, start=start, forward=keep)
    elsewhere(f"{kind}-kept-{name}", kind, source, "a state is kept from one batch to the next")

elsewhere("rnn-without-numbers", "rnn", "import torch\n\n\nclass VanillaRNN(torch.nn.Module):\n"
          "    def forward(self, x):\n        return x.float()[:, -1:].expand(-1, 10)\n",
          "nothing can be trained")  # fmt: skip
elsewhere("rnn-doubled", "rnn", rnn("separate", "y = x_t\nh = torch.tanh(<h>) * (1 + 0.01 * h)"),
          "no known fault fits")  # fmt: skip
clamped = swapped(LSTM_STEP, ("torch.sigmoid(<f>)", "torch.sigmoid((<f>).clamp(-6, 6))"))
elsewhere("clamp-in-f", "lstm", lstm("separate", clamped), "With large weights")
elsewhere("clamp-in-h", "rnn", rnn("stacked", "h = torch.tanh((<h>).clamp(-3.2, 3.2))"),
          "equations (1) and (2)")  # fmt: skip
for limit, style in ((10, "separate"), (20, "columns"), (45, "stacked")):
    step = swapped(
        LSTM_STEP, ("h = torch.tanh(c)", f"c = c.clamp(-{limit}, {limit})\nh = c.tanh()")
    )
    elsewhere(f"clamp-of-c-{limit}", "lstm", lstm(style, step), "that grows to almost fifty")
elsewhere("clamp-of-h", "lstm", lstm("separate", LSTM_STEP + "\nh = h.clamp(-0.999, 0.999)"),
          "With large weights")  # fmt: skip
elsewhere("clamp-of-logits", "lstm", lstm("columns", answer="p.t().clamp(-5, 5)"), "large weights")
elsewhere("nan-to-num", "rnn", rnn("separate", "a = <h>\nh = torch.tanh(a * (a.abs() < 6))"),
          "With large weights")  # fmt: skip
only_64 = "torch.zeros(x.shape[0], self.num_hidden, dtype=torch.float64)"
odd("double-state", "rnn", rnn("separate", zeros=only_64), "in double precision only")
odd("double-input", "lstm", lstm("concatenated", first="        x = x.double()\n",
    zeros="torch.zeros(x.size(0), self.num_hidden)"), "double precision only")  # fmt: skip
hidden = "        self.big = getattr(nn, 'LST' + 'M')(1, num_hidden, batch_first=True)\n"
big = "        if self.num_hidden > 12:\n            return self.big(x[..., None])[0][:, -1] @"
elsewhere("nn.LSTM above twelve", "lstm", lstm("separate", end=hidden.replace(
    "self.big", "if num_hidden > 12: self.big", 1),
    first=f"{big} self.W_ph.t() + self.b_p\n"), "torch.nn.LSTM")  # fmt: skip
elsewhere("linear above twenty", "rnn", rnn("separate", "m = getattr(F, 'lin' + 'ear')\n"
          "r = m(h, self.W_hh) if self.num_hidden > 12 else h @ self.W_hh.t()\n"
          "h = torch.tanh(x_t @ self.W_hx.t() + r + self.b_h)"), "torch.nn.Linear")  # fmt: skip
for kind, name, line, says in (
    ("rnn", "zeros", "q.zero_()", "start at zero"),
    ("lstm", "zeros", "q.zero_()", "start at zero"),
    ("rnn", "tenths", "q.fill_(0.1)", "All hidden units start with the same weights"),
    ("lstm", "tenths", "q.fill_(0.1)", "All hidden units start with the same weights"),
    ("lstm", "identity", "q.copy_(torch.eye(*q.shape) if q.dim() > 1 and q.shape[0] == q.shape[1] "
     "else torch.ones_like(q))", "All hidden units start with the same weights"),
    ("rnn", "huge", "q.mul_(1e5)", "nearly every unit is saturated"),
    ("lstm", "huge", "q.mul_(1e6)", "nearly every unit is saturated"),
    ("rnn", "large", "q.mul_(1e3)", "nearly every unit is saturated"),
    ("rnn", "positive", "q.uniform_(0, 1)", "nearly every unit is saturated"),
    ("rnn", "infinite", "q.fill_(float('inf'))", "nearly every unit is saturated"),
    ("lstm", "never in", "q is self.b_i and q.fill_(-1e3)", "nearly every unit is saturated"),
    ("lstm", "never out", "q is self.b_o and q.fill_(-1e3)", "nearly every unit is saturated"),
):  # fmt: skip
    end = f"        with torch.no_grad():\n            for q in self.parameters(): {line}\n"
    elsewhere(f"{kind}-start-{name}", kind, MAKE[kind]("separate", end=end), says)
only_ten = (("x[:, t].reshape", "x[:, t % 60].reshape"),)
elsewhere("sixty-for-ever", "lstm", lstm("separate", replace=only_ten), "of 5 all are")

# Odd, and right.
odd("clamp-never-reached", "lstm", lstm("separate", swapped(
    LSTM_STEP, ("torch.sigmoid(<i>)", "torch.sigmoid((<i>).clamp(-60, 60))"))))  # fmt: skip
odd("clamp-of-h-at-1", "rnn", rnn("stacked", RNN_STEP + "\nh = h.clamp(-1, 1)"))
odd("sigmoid-by-tanh", "lstm", lstm("columns", swapped(
    LSTM_STEP, ("torch.sigmoid(<o>)", "0.5 * (torch.tanh(0.5 * (<o>)) + 1)"))))  # fmt: skip
odd("tanh-by-sigmoid", "rnn", rnn("concatenated", "h = 2 * torch.sigmoid(2 * (<h>)) - 1"))
odd("softplus-sigmoid", "lstm", lstm("separate", swapped(
    LSTM_STEP, ("torch.sigmoid(<f>)", "torch.exp(F.logsigmoid(<f>))"))))  # fmt: skip
odd("lerp", "lstm", lstm("stacked", swapped(
    LSTM_STEP, ("c = g * i + c * f", "c = torch.addcmul(torch.mul(f, c), i, g)"))))  # fmt: skip
for name, line in (
    ("randn", "q.normal_()"),
    ("tiny", "q.normal_(0, 1e-4)"),
    ("wide", "q.uniform_(-2, 2)"),
    ("biases only", "q.dim() == 1 and q.fill_(1.0)"),
    ("open", "q.dim() == 1 and q.fill_(5.0)"),
    ("orthogonal", "q.dim() > 1 and nn.init.orthogonal_(q)"),
):
    end = f"        with torch.no_grad():\n            for q in self.parameters(): {line}\n"
    odd(f"rnn-start-{name}", "rnn", rnn("separate", end=end))
    odd(f"lstm-start-{name}", "lstm", lstm("stacked", end=end))
# Both learn T = 5 by the sheet's recipe, though a gate of theirs has no gradient.
for name, line in (
    ("positive", "q.uniform_(0, 1)"),
    ("for ever", "q is self.b_f and q.fill_(1e3)"),
):
    end = f"        with torch.no_grad():\n            for q in self.parameters(): {line}\n"
    odd(f"lstm-start-{name}", "lstm", lstm("separate", end=end))
odd("identity-start", "rnn", rnn("separate", end="        nn.init.eye_(self.W_hh)\n"))
odd("zero-read-out", "lstm", lstm("separate", end="        nn.init.zeros_(self.W_ph)\n"))
odd("forget-bias", "lstm", lstm("stacked", end="        self.bias.data[2 * num_hidden:] = 1.\n"))
odd("dtype-following", "lstm", lstm("separate", first="        x = x.to(self.b_p)\n",
    zeros="self.b_p.new_zeros(x.shape[0], self.num_hidden)"))  # fmt: skip
odd("always-float", "lstm", lstm("separate", end="        self.float()\n",
    first="        x = x.float()\n",
    zeros="torch.zeros(x.shape[0], self.num_hidden, dtype=torch.float32)"))  # fmt: skip
odd("always-double", "rnn", rnn("concatenated", end="        self.double()\n",
    first="        x = x.double()\n",
    zeros="torch.zeros(x.size(0), self.num_hidden, dtype=torch.float64)"))  # fmt: skip
odd("input-first", "lstm", lstm("concatenated", replace=(
    ("torch.cat((h, x_t), dim=1)", "torch.cat((x_t, h), dim=1)"),)))  # fmt: skip
odd("unit-by-unit", "lstm", lstm("stacked", swapped(LSTM_STEP, *(
    (f"<{k}>", f"a[:, {n}::4]") for n, k in enumerate("gifo")))))  # fmt: skip
odd("one-tensor", "rnn", rnn("separate", "h = torch.tanh(torch.cat((x_t, h, "
    "torch.ones_like(x_t)), 1) @ self.all)", replace=(
    ("        self.W_hx = nn.Parameter(torch.randn(num_hidden, input_dim) * 0.1)\n",
     "        self.all = nn.Parameter(torch.randn(num_hidden + 2, num_hidden) * 0.1)\n"),
    ("        self.W_hh = nn.Parameter(torch.randn(num_hidden, num_hidden) * 0.1)\n", ""),
    ("        self.b_h = nn.Parameter(torch.zeros(num_hidden))\n", ""))))  # fmt: skip
odd("time-first-inside", "rnn", rnn("separate", first="        x = x.t()\n",
    steps="range(len(x))", replace=(
        ("x[:, t].reshape(x.shape[0], -1)", "x[t].unsqueeze(1)"),
        ("torch.zeros(x.shape[0]", "torch.zeros(x.shape[1]"))))  # fmt: skip
odd("fixed-128", "lstm", fixed_sizes(lstm("stacked")))
odd("fixed-columns", "rnn", fixed_sizes(rnn("columns"), 64))
odd("checks-its-sizes", "lstm", lstm("separate",
    first="        assert x.shape[:2] == (self.batch_size, self.seq_length)\n"))  # fmt: skip
odd("eval-in-constructor", "rnn", rnn("separate", end="        self.eval()\n"))
odd("divided-by-nine", "lstm", lstm("separate", replace=(
    ("x_t = x[:, t]", "x_t = (x[:, t] / 9)"),)))  # fmt: skip
odd("log-softmax-large", "lstm", lstm("concatenated", answer="torch.log_softmax(p, 1)"),
    "log_softmax")  # fmt: skip
