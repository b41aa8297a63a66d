"""The honest networks of the bank: right, and laid out in every way that comes to mind."""

from __future__ import annotations

from check.bank import (
    HEADER,
    HONEST,
    LSTM_STEP,
    RNN_STEP,
    SEPARATE,
    SIGNATURE,
    STYLES,
    TABLE,
    fixed_sizes,
    lstm,
    right,
    rnn,
    step_interface,
    swapped,
)

__all__ = ["HONEST"]

for style in STYLES:
    right(f"lstm-{style}", "lstm", lstm(style))
    right(f"rnn-{style}", "rnn", rnn(style))

right("lstm-step-passed", "lstm", step_interface("lstm", LSTM_STEP), "one step a call")
right("rnn-step-passed", "rnn", step_interface("rnn", RNN_STEP), "one step a call")
right("lstm-step-kept", "lstm", step_interface("lstm", LSTM_STEP, keep=True), "one step a call")
right("rnn-step-kept", "rnn", step_interface("rnn", RNN_STEP, keep=True), "one step a call")

right("other-order", "lstm", lstm("stacked", order="ofig"))
right("names-swapped", "lstm", lstm("separate", swapped(
    LSTM_STEP, ("i = torch.sigmoid(<i>)", "i = torch.sigmoid(<f>)"),
    ("f = torch.sigmoid(<f>)", "f = torch.sigmoid(<i>)"))))  # fmt: skip
right("names-rotated", "lstm", lstm("columns", swapped(
    LSTM_STEP, ("g = torch.tanh(<g>)", "g = torch.tanh(<o>)"),
    ("o = torch.sigmoid(<o>)", "o = torch.sigmoid(<g>)"))))  # fmt: skip
two = (("        self.W_ph", "        self.more = nn.Parameter(torch.zeros(num_hidden))\n"
        "        self.W_ph"), ("+ self.b_h", "+ self.b_h + self.more"))  # fmt: skip
right("two-biases", "rnn", rnn("separate", replace=two))
three = tuple((old, new.replace("self.more", "self.m1").replace("zeros(num_hidden))\n", "zeros("
               "num_hidden))\n        self.m2 = nn.Parameter(torch.zeros(num_hidden))\n")
               .replace("+ self.m1", "+ self.m1 + self.m2")) for old, new in two)  # fmt: skip
right("three-biases", "rnn", rnn("separate", replace=three))
end = "        self.extra = nn.Parameter(torch.zeros(GATES * num_hidden))\n"
for kind, make, gates in (("rnn", rnn, 1), ("lstm", lstm, 4)):
    source = make("stacked", end=end.replace("GATES", str(gates)))
    right(
        f"{kind}-two-biases-stacked",
        kind,
        source.replace("+ self.bias", "+ self.bias + self.extra"),
    )
end = "        self.h_init = nn.Parameter(torch.zeros(1, num_hidden))\n"
right("learned-start", "rnn", rnn("separate", end=end, zeros="self.h_init"), "it starts at zero")
right("learned-start-lstm", "lstm", lstm("separate", end=end, zeros="self.h_init")
      .replace("h, c = self.h_init, self.h_init", "h, c = self.h_init, 0 * self.h_init"),
      "it starts at zero")  # fmt: skip
right("learned-start-as-one", "lstm", lstm("stacked", end=end, zeros="self.h_init"),
      "h(0) = c(0) is learned")  # fmt: skip
end = "        self.reset = nn.Parameter(torch.zeros(1, num_hidden))\n"
right("start-written-over", "rnn", rnn("separate", end=end, zeros="nn.init.zeros_(self.reset)"),
      "reset is never used, or written over")  # fmt: skip
right("halves", "rnn", rnn("separate", "h = torch.tanh(x_t @ self.W_hx.t() + torch.cat("
      "(h @ self.left, h @ self.right), 1) + self.b_h)", replace=(
          ("        self.W_hh = nn.Parameter(torch.randn(num_hidden, num_hidden) * 0.1)\n",
           "".join(f"        self.{k} = nn.Parameter(torch.randn(num_hidden, num_hidden // 2))\n"
                   for k in ("left", "right"))),)))  # fmt: skip
end = "        self.W_unused = nn.Parameter(torch.randn(num_hidden, num_hidden))\n"
right("unused", "lstm", lstm("separate", end=end), "W_unused is never used")
right("log-softmax", "rnn", rnn("separate", answer="F.log_softmax(p, dim=1)"), "log_softmax")
right(
    "log-softmax-lstm", "lstm", lstm("columns", answer="F.log_softmax(p.t(), -1)"), "log_softmax"
)
right("double", "lstm", lstm("separate", end="        self.double()\n",
      first="        x = x.double()\n",
      zeros="torch.zeros(x.shape[0], self.num_hidden, dtype=torch.float64)"))  # fmt: skip
right("float-only", "rnn", rnn("separate", end="        self.float()\n",
      first="        x = x.type(torch.FloatTensor)\n",
      zeros="torch.zeros(x.shape[0], self.num_hidden, dtype=torch.float)"))  # fmt: skip
right("float-tensor-lstm", "lstm", lstm("columns", end="        self.float()\n",
      first="        x = x.float()\n",
      zeros="torch.FloatTensor(self.num_hidden, self.batch_size).fill_(0)"))  # fmt: skip
signature = "self, hidden_size, vocabulary, sequence_length, bs, output_size, init_std, dev=None"
rename = (("self.seq_length, self.num_hidden = seq_length, num_hidden",
           "seq_length, num_hidden, input_dim = sequence_length, hidden_size, vocabulary\n"
           "        num_classes, batch_size, device = output_size, bs, 'cpu'\n"
           "        self.seq_length, self.num_hidden = seq_length, num_hidden"),)  # fmt: skip
right("other-names", "lstm", lstm("separate", signature=signature, replace=rename))
right("config", "rnn", rnn("separate", signature="self, config", replace=(
    ("self.seq_length, self.num_hidden = seq_length, num_hidden",
     "num_hidden, input_dim = config.num_hidden, config.input_dim\n"
     "        num_classes, batch_size, device = config.num_classes, config.batch_size, 'cpu'\n"
     "        self.seq_length, self.num_hidden = config.input_length, num_hidden"),)))  # fmt: skip
right("no-batch-no-device", "lstm", lstm("concatenated",
      signature="self, seq_length, input_dim, num_hidden, num_classes",
      replace=(("self.batch_size, self.device = batch_size, device", "pass"),)))  # fmt: skip
one_hot = "        x = F.one_hot(x.long(), 10).to(self.W_ph.dtype)\n"
inside = (("(num_hidden, input_dim)", "(num_hidden, 10)"),)
right("one-hot-inside", "rnn", rnn("separate", first=one_hot, replace=inside))
right("one-hot-inside-lstm", "lstm", lstm("separate", first=one_hot, replace=inside))
right("one-hot-input", "lstm", lstm("separate", first="        assert x.shape[2] == 10\n"))
right("long-input", "rnn", rnn("separate", first="        x = torch.eye(10)[x]\n", replace=inside))
right("time-first", "lstm", lstm("separate", steps="range(x.shape[0])", first="        x = x.t()\n"
      "        assert x.shape == (self.batch_size, self.seq_length)\n"
      "        x = x.t()\n",
      replace=(("x[:, t].reshape(x.shape[0], -1)", "x[t].reshape(x.shape[1], -1)"),
               ("torch.zeros(x.shape[0]", "torch.zeros(x.shape[1]"))))  # fmt: skip
right("channel", "rnn", rnn("separate", first="        assert x.size(1) == 1\n",
      replace=(("x[:, t].reshape(x.shape[0], -1)", "x[:, :, t]"),)))  # fmt: skip
right("three-d-time-first", "lstm", lstm("separate",
      first="        assert x.shape == (self.seq_length, self.batch_size, 1)\n",
      replace=(("x[:, t].reshape(x.shape[0], -1)", "x[t]"),
               ("torch.zeros(x.shape[0]", "torch.zeros(self.batch_size"))))  # fmt: skip
right("batch-128", "lstm", lstm("separate", replace=(
    ("x[:, t].reshape(x.shape[0], -1)", "x[:, t].view(128, -1)"),)))  # fmt: skip
right("asserts", "rnn", rnn("concatenated",
      first="        assert x.shape == (self.batch_size, self.seq_length, 1)\n"))  # fmt: skip
right("buffer", "lstm", lstm("separate",
      end="        self.register_buffer('h0', torch.zeros(1, num_hidden))\n",
      zeros="self.h0.expand(x.shape[0], -1)"))  # fmt: skip
right("prints", "rnn", rnn("separate", first="        print(x.shape)\n"), "prints something")
right(
    "every-step",
    "rnn",
    rnn(
        "separate",
        step=RNN_STEP + "\nps.append(h @ self.W_ph.t() + self.b_p)",
        start="        ps = []\n",
        answer="torch.stack(ps, dim=1)",
    ),
    "more than the last step",
)
for axes, stacked in (("time-first", "torch.stack(ps)"), ("time-last", "torch.stack(ps, dim=2)")):
    each = {"start": "        ps = []\n", "answer": stacked}
    right(f"every-step-{axes}", "lstm", lstm("separate", **each, step=LSTM_STEP + """
ps.append(h @ self.W_ph.t() + self.b_p)"""), "more than the last step")  # fmt: skip
for axes, flat in (
    ("time-first", "torch.cat(ps)"),
    ("batch-first", "torch.cat(ps, 1).view(-1, 10)"),
):
    right(f"flat-{axes}", "rnn", rnn("separate", step=RNN_STEP + """
ps.append(h @ self.W_ph.t() + self.b_p)""", start="        ps = []\n", answer=flat),
          "more than the last step")  # fmt: skip
right("classes-first", "rnn", rnn("separate", answer="p.t()"), "axes exchanged")
right("cuda-if-there", "lstm", lstm("separate", end="        self.device = torch.device("
      "'cuda:0' if torch.cuda.is_available() else 'cpu')\n"))  # fmt: skip
right("exponentials", "rnn", rnn("separate",
      "a = <h>\nh = (torch.exp(a) - torch.exp(-a)) / (torch.exp(a) + torch.exp(-a))"))  # fmt: skip
right("sigmoid-by-hand", "lstm", lstm("separate", swapped(LSTM_STEP, (
    "f = torch.sigmoid(<f>)", "f = 1 / (1 + torch.exp(-(<f>)))"))))  # fmt: skip
right("modules", "lstm", lstm("columns", swapped(
    LSTM_STEP, ("torch.tanh", "nn.Tanh()"), ("torch.sigmoid", "nn.Sigmoid()"))))  # fmt: skip
right("functional", "lstm", lstm("stacked", swapped(
    LSTM_STEP, ("torch.tanh", "F.tanh"), ("torch.sigmoid", "F.sigmoid"))))  # fmt: skip
right("history-fresh", "rnn", rnn("separate", "h = torch.tanh(<h>)\nself.seen.append(h)",
      first="        self.seen = []\n"))  # fmt: skip
right("read-out-each-step", "lstm", lstm("separate",
      step=LSTM_STEP + f"p = {SEPARATE.readout}", readout="p"))  # fmt: skip
right("scalar-start", "rnn", rnn("separate", zeros="torch.zeros(self.num_hidden)"))
right("int-cast", "rnn", rnn("separate", first="        x = x.to(self.W_ph.dtype)\n"))
right("named-RNN", "rnn", rnn("separate", name="RNN"))

for style in STYLES:
    right(f"fixed-lstm-{style}", "lstm", fixed_sizes(lstm(style)))
    right(f"fixed-rnn-{style}", "rnn", fixed_sizes(rnn(style), 20))
right("fixed-input-first", "lstm", fixed_sizes(lstm("concatenated", replace=(
    ("torch.cat((h, x_t), dim=1)", "torch.cat((x_t, h), dim=1)"),
    ("torch.randn(num_hidden + input_dim, num_hidden)",
     "torch.randn(input_dim + num_hidden, num_hidden)"))), 100))  # fmt: skip
right("fixed-step", "lstm", fixed_sizes(step_interface("lstm", LSTM_STEP)), "one step a call")
right("fixed-few", "rnn", fixed_sizes(rnn("separate"), 8))
table = "        self.table = nn.Parameter(torch.randn(10, 6))\n"
right("own-table-log-softmax", "lstm", lstm("separate", end=table, replace=TABLE,
      answer="F.log_softmax(p, 1)"), "looked up in table")  # fmt: skip
right("own-table", "rnn", rnn("separate", end=table, replace=TABLE), "looked up in table")
right("own-table-lstm", "lstm", lstm("separate", end=table, replace=TABLE), "looked up in table")

right("missing-library", "lstm", "import numpyy\nfrom crayons import red\n" + lstm("separate"))

helper = f"""\
{HEADER}class Affine(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_in, n_out) * 0.1)
        self.bias = nn.Parameter(torch.zeros(n_out))

    def forward(self, x):
        return x @ self.weight + self.bias


class Gate(nn.Module):
    def __init__(self, n_in, n_hidden, act):
        super().__init__()
        self.x, self.h, self.act = Affine(n_in, n_hidden), Affine(n_hidden, n_hidden), act

    def forward(self, x, h):
        return self.act(self.x(x) + self.h(h))


class Base(nn.Module):
    def state(self, x):
        return torch.zeros(len(x), self.n)


class LSTM(Base):
    def __init__({SIGNATURE}):
        super().__init__()
        self.n = num_hidden
        acts = [torch.tanh, torch.sigmoid, torch.sigmoid, torch.sigmoid]
        self.gates = nn.ModuleList([Gate(input_dim, num_hidden, act) for act in acts])
        self.out = Affine(num_hidden, num_classes)

    def forward(self, x):
        h, c = self.state(x), self.state(x)
        for x_t in x.unbind(dim=1):
            g, i, f, o = (gate(x_t.view(-1, 1), h) for gate in self.gates)
            c = torch.addcmul(c * f, g, i)
            h = c.tanh() * o
        return self.out(h)
"""
right("own-modules", "lstm", helper)

einsum = f"""\
{HEADER}class LSTM(nn.Module):
    def __init__({SIGNATURE}, **unused):
        super().__init__()
        self.wx = nn.Parameter(torch.rand(4, input_dim, num_hidden))
        self.wh = nn.Parameter(torch.rand(4, num_hidden, num_hidden))
        self.b = nn.Parameter(torch.rand(4, 1, num_hidden))
        self.wp = nn.Parameter(torch.rand(num_hidden, num_classes))
        self.bp = nn.Parameter(torch.rand(num_classes))

    def forward(self, x):
        if x.dim() == 2:
            x = x[..., None]
        h = c = x.new_zeros(x.size(0), self.wh.size(1))
        for t in range(x.size(1)):
            a = torch.einsum("bi,kij->kbj", x[:, t], self.wx)
            a = a + torch.einsum("bi,kij->kbj", h, self.wh) + self.b
            i, f, o = torch.sigmoid(a[:3])
            c = c * f + a[3].tanh() * i
            h = c.tanh() * o
        return h.matmul(self.wp).add(self.bp)
"""
right("einsum", "lstm", einsum)
