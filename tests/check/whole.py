"""Whole hand-ins, written for the tests in as many styles as students have: files and verdicts."""

# ruff: noqa: E501  other people's code has its own line lengths
from __future__ import annotations

import io
import json
import zipfile
from typing import NamedTuple

__all__ = ["WHOLE", "Whole", "zipped"]


class Whole(NamedTuple):
    """A hand-in and what is to be said of it."""

    files: dict[str, str | bytes]
    rnn: str = "pass"
    """The verdict on VanillaRNN, and words that its findings must have."""
    lstm: str = "pass"
    training: str = "pass"
    package: str = ""


def zipped(files: dict[str, str | bytes]) -> bytes:
    """The files as a ZIP."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return data.getvalue()


def notebook(*cells: str) -> str:
    """A notebook of code cells."""
    return json.dumps(
        {"cells": [{"cell_type": "code", "source": cell.splitlines(True)} for cell in cells]}
    )


DATASET = """\
import numpy as np
import torch.utils.data as data


class PalindromeDataset(data.Dataset):
    def __init__(self, seq_length):
        self.seq_length = seq_length

    def __len__(self):
        return 10 ** 9

    def __getitem__(self, idx):
        full = self.generate_palindrome()
        return full[0:-1].astype(np.float32), int(full[-1])

    def generate_palindrome(self):
        left = [np.random.randint(0, 10) for _ in range(int(np.ceil(self.seq_length / 2)))]
        left = np.asarray(left)
        right = np.flip(left, 0) if self.seq_length % 2 == 0 else np.flip(left[:-1], 0)
        return np.concatenate((left, right))
"""

TRAIN = """\
from __future__ import absolute_import
from __future__ import division
from __future__ import print_function

import argparse
import time
from datetime import datetime
import numpy as np

import torch
from torch.utils.data import DataLoader

from part1.dataset import PalindromeDataset
from part1.vanilla_rnn import VanillaRNN
from part1.lstm import LSTM


def train(config):
    assert config.model_type in ('RNN', 'LSTM')
    torch.manual_seed(42)
    np.random.seed(42)
    device = torch.device(config.device)
    cls = VanillaRNN if config.model_type == 'RNN' else LSTM
    model = cls(config.input_length, config.input_dim, config.num_hidden, config.num_classes,
                config.batch_size, device).to(device)
    dataset = PalindromeDataset(config.input_length + 1)
    data_loader = DataLoader(dataset, config.batch_size, num_workers=1)
    criterion = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=config.learning_rate)
    for step, (batch_inputs, batch_targets) in enumerate(data_loader):
        t1 = time.time()
        optimizer.zero_grad()
        batch_inputs, batch_targets = batch_inputs.to(device), batch_targets.to(device)
        output = model(batch_inputs)
        loss = criterion(output, batch_targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=config.max_norm)
        optimizer.step()
        if step % 10 == 0:
            with torch.no_grad():
                accuracy = (output.argmax(1) == batch_targets).float().mean().item()
            print("[{}] Train Step {:04d}/{:04d}, Accuracy = {:.2f}, Loss = {:.3f}".format(
                datetime.now().strftime("%Y-%m-%d %H:%M"), step, config.train_steps, accuracy, loss))
        if step == config.train_steps:
            break
    print('Done training.')


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument('--model_type', type=str, default="RNN")
    parser.add_argument('--input_length', type=int, default=10)
    parser.add_argument('--input_dim', type=int, default=1)
    parser.add_argument('--num_classes', type=int, default=10)
    parser.add_argument('--num_hidden', type=int, default=128)
    parser.add_argument('--batch_size', type=int, default=128)
    parser.add_argument('--learning_rate', type=float, default=0.001)
    parser.add_argument('--train_steps', type=int, default=10000)
    parser.add_argument('--max_norm', type=float, default=10.0)
    parser.add_argument('--device', type=str, default="cuda:0")
    config = parser.parse_args()
    train(config)
"""
COURSE = {"part1/dataset.py": DATASET, "part1/train.py": TRAIN, "part1/__init__.py": ""}

WHOLE: dict[str, Whole] = {}

# The template as the course hands it out.
TEMPLATE = """\
class {name}(nn.Module):

    def __init__(self, seq_length, input_dim, num_hidden, num_classes, batch_size, device='cpu'):
        super({name}, self).__init__()
        # Initialization here ...
{todo}
    def forward(self, x):
        # Implementation here ...
        {body}
"""
HEAD = "from __future__ import absolute_import\n\nimport torch\nimport torch.nn as nn\n\n"
EMPTY_TRAIN = TRAIN.replace("        optimizer.zero_grad()\n", "").replace(
    "        loss.backward()\n", ""
).replace("        optimizer.step()\n", "").replace(
    "loss = criterion(output, batch_targets)", "loss = np.inf  # fixme"
)  # fmt: skip
for body in ("pass", 'raise NotImplementedError("implement me")', "# TODO\n        return None",
             "out = None\n        return out"):  # fmt: skip
    WHOLE[f"unfilled template: {body.split()[0]} {body.split()[-1]}"] = Whole(
        {
            **COURSE,
            "part1/train.py": EMPTY_TRAIN,
            "part1/vanilla_rnn.py": HEAD
            + TEMPLATE.format(name="VanillaRNN", todo="        pass\n", body=body),
            "part1/lstm.py": HEAD + TEMPLATE.format(name="LSTM", todo="", body=body),
        },
        "fail part1/vanilla_rnn.py VanillaRNN was never filled in",
        "fail part1/lstm.py LSTM was never filled in",
        "fail part1/train.py never filled in",
    )

# Parameters made in a loop, xavier and orthogonal starts, columns of samples, two spaces.
LOOP_RNN = """\
from __future__ import absolute_import
from __future__ import division

import torch
import torch.nn as nn

class VanillaRNN(nn.Module):

  def __init__(self, seq_length, input_dim, num_hidden, num_classes, batch_size, device='cpu'):
    super(VanillaRNN, self).__init__()
    self.device = torch.device(device)
    self.seq_length = seq_length
    self.batch_size = batch_size
    shapes = {'W_hx': (num_hidden, input_dim), 'W_hh': (num_hidden, num_hidden),
              'W_ph': (num_classes, num_hidden), 'b_h': (num_hidden, 1), 'b_p': (num_classes, 1)}
    for name, shape in shapes.items():
      w = nn.Parameter(torch.Tensor(*shape))
      nn.init.zeros_(w) if name.startswith('b') else nn.init.xavier_uniform_(w)
      self.register_parameter(name, w)
    nn.init.orthogonal_(self.W_hh)
    self.h0 = torch.zeros(num_hidden, batch_size, device=self.device)

  def forward(self, x):
    h = self.h0
    for t in range(self.seq_length):
      h = torch.tanh(self.W_hx.mm(x[:, t].unsqueeze(0)) + self.W_hh.mm(h) + self.b_h)
    p = self.W_ph.mm(h) + self.b_p
    return p.t()
"""
LOOP_LSTM = """\
import torch
import torch.nn as nn

class LSTM(nn.Module):
  def __init__(self, seq_length, input_dim, num_hidden, num_classes, batch_size, device='cpu'):
    super(LSTM, self).__init__()
    self.seq_length, self.n, self.m = seq_length, num_hidden, batch_size
    self.device = torch.device(device)
    for gate in 'gifo':
      for name, shape in (('x', (num_hidden, input_dim)), ('h', (num_hidden, num_hidden))):
        setattr(self, 'W_%s%s' % (gate, name), nn.Parameter(nn.init.kaiming_normal_(torch.empty(shape))))
      setattr(self, 'b_' + gate, nn.Parameter(torch.ones(num_hidden, 1) * (gate == 'f')))
    self.W_ph = nn.Parameter(nn.init.kaiming_normal_(torch.empty(num_classes, num_hidden)))
    self.b_p = nn.Parameter(torch.zeros(num_classes, 1))

  def _pre(self, gate, x, h):
    return getattr(self, 'W_%sx' % gate) @ x + getattr(self, 'W_%sh' % gate) @ h + getattr(self, 'b_' + gate)

  def forward(self, x):
    # state lives on the module, but is set anew for each batch
    self.h = torch.zeros(self.n, self.m).to(self.device)
    self.c = torch.zeros(self.n, self.m).to(self.device)
    x = x.t()
    for x_t in x:
      x_t = x_t.view(1, -1)
      g = torch.tanh(self._pre('g', x_t, self.h))
      i, f, o = (torch.sigmoid(self._pre(k, x_t, self.h)) for k in 'ifo')
      self.c = g * i + self.c * f
      self.h = torch.tanh(self.c) * o
    return (self.W_ph @ self.h + self.b_p).permute(1, 0)
"""
WHOLE["loops over names"] = Whole(
    {**COURSE, "part1/vanilla_rnn.py": LOOP_RNN, "part1/lstm.py": LOOP_LSTM}
)

# ParameterDict, one-hot inside, type hints, chunk; a folder with the student's name.
HINTS = '''\
from typing import Dict, Optional, Tuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NUM_DIGITS: int = 10


class VanillaRNN(nn.Module):
    """Elman network on one-hot digits."""

    def __init__(self, seq_length: int, input_dim: int, num_hidden: int, num_classes: int,
                 batch_size: int, device: Optional[str] = None) -> None:
        super().__init__()
        self.params = nn.ParameterDict({
            "hx": nn.Parameter(torch.randn(num_hidden, NUM_DIGITS) * 0.01),
            "hh": nn.Parameter(torch.randn(num_hidden, num_hidden) * 0.01),
            "ph": nn.Parameter(torch.randn(num_classes, num_hidden) * 0.01),
            "b_h": nn.Parameter(torch.zeros(num_hidden)),
            "b_p": nn.Parameter(torch.zeros(num_classes)),
        })
        self.hidden = num_hidden

    def step(self, x: Tensor, h: Tensor) -> Tensor:
        w: Dict[str, Tensor] = self.params
        return torch.tanh(F.one_hot(x.long(), NUM_DIGITS).type_as(h) @ w["hx"].T + h @ w["hh"].T + w["b_h"])

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.params["hh"].new_zeros(x.shape[0], self.hidden)
        for t in range(x.shape[1]):
            h = self.step(x[:, t], h)
        return h @ self.params["ph"].T + self.params["b_p"]


class LSTM(nn.Module):
    """Four gates in one matrix."""

    def __init__(self, seq_length: int, input_dim: int, num_hidden: int, num_classes: int,
                 batch_size: int, device: Optional[str] = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(4 * num_hidden, NUM_DIGITS + num_hidden).uniform_(-0.1, 0.1))
        self.bias = nn.Parameter(torch.zeros(4 * num_hidden))
        self.out = nn.ParameterList([nn.Parameter(torch.randn(num_hidden, num_classes)),
                                     nn.Parameter(torch.zeros(num_classes))])
        self.hidden = num_hidden

    def cell(self, x: Tensor, state: Tuple[Tensor, Tensor]) -> Tuple[Tensor, Tensor]:
        h, c = state
        z = torch.cat([x, h], dim=-1) @ self.weight.T + self.bias
        f, i, o, g = z.chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c

    def forward(self, x: Tensor) -> Tensor:
        one_hot = F.one_hot(x.to(torch.int64), NUM_DIGITS).to(self.weight.dtype)
        state = (one_hot.new_zeros(len(x), self.hidden), one_hot.new_zeros(len(x), self.hidden))
        for x_t in one_hot.transpose(0, 1):
            state = self.cell(x_t, state)
        return torch.addmm(self.out[1], state[0], self.out[0])
'''
WHOLE["type hints in one file"] = Whole(
    {
        "assignment_2_Jane Doe/part1/dataset.py": DATASET,
        "assignment_2_Jane Doe/part1/networks.py": HINTS,
        "assignment_2_Jane Doe/part1/train.py": TRAIN.replace(
            "from part1.vanilla_rnn import VanillaRNN\nfrom part1.lstm import LSTM",
            "from part1.networks import VanillaRNN, LSTM",
        ),
        "__MACOSX/assignment_2_Jane Doe/part1/._networks.py": b"\0\5\x16\7",
    },
    package="caches or system files",
)

# Everything in one script that works at module level, sizes from a global config.
SCRIPT = """\
import argparse
import torch
import torch.nn as nn
import numpy as np
import matplotlib.pyplot as plt
from tqdm import trange

parser = argparse.ArgumentParser(description='Palindromes')
parser.add_argument('--length', default=5, type=int)
parser.add_argument('--hidden', default=100, type=int)
parser.add_argument('--no-cuda', action='store_true')
args = parser.parse_args()
if torch.cuda.is_available() and not args.no_cuda:
    device = torch.device('cuda')
else:
    device = torch.device('cpu')
torch.manual_seed(0)


class RNN(nn.Module):
    def __init__(self):
        super(RNN, self).__init__()
        n = args.hidden
        self.Wx = nn.Parameter(torch.randn(1, n, device=device) / 10)
        self.Wh = nn.Parameter(torch.eye(n, device=device) * 0.5)
        self.bh = nn.Parameter(torch.zeros(n, device=device))
        self.Wp = nn.Parameter(torch.randn(n, 10, device=device) / 10)
        self.bp = nn.Parameter(torch.zeros(10, device=device))

    def forward(self, x):
        h = torch.zeros(x.size(0), args.hidden).to(device)
        for t in range(x.size(1)):
            h = torch.tanh(x[:, t:t + 1] @ self.Wx + h @ self.Wh + self.bh)
        return h @ self.Wp + self.bp


class LSTM(RNN):
    def __init__(self):
        super().__init__()
        n = args.hidden
        del self.Wx, self.Wh, self.bh
        self.W = nn.Parameter(torch.randn(n + 1, 4 * n, device=device) / 10)
        self.b = nn.Parameter(torch.zeros(4 * n, device=device))

    def forward(self, x):
        h = c = torch.zeros(x.size(0), args.hidden).to(device)
        for t in range(x.size(1)):
            z = torch.cat([h, x[:, t:t + 1]], 1).mm(self.W) + self.b
            g, i, f, o = torch.split(z, args.hidden, dim=1)
            c = torch.tanh(g) * torch.sigmoid(i) + c * torch.sigmoid(f)
            h = torch.tanh(c) * torch.sigmoid(o)
        return h @ self.Wp + self.bp


def batch(length, size=64):
    left = np.random.randint(0, 10, (size, (length + 1) // 2))
    full = np.concatenate([left, left[:, ::-1][:, length % 2:]], 1)
    return torch.tensor(full[:, :-1]).float().to(device), torch.tensor(full[:, -1]).to(device)


def run(net, length, steps=100000):
    opt = torch.optim.RMSprop(net.parameters(), lr=1e-3)
    pbar = trange(steps)
    for step in pbar:
        x, y = batch(length)
        loss = nn.functional.cross_entropy(net(x), y)
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 10)
        opt.step()
        pbar.set_description('%.3f' % loss.item())
    with torch.no_grad():
        x, y = batch(length, 1000)
        return (net(x).argmax(1) == y).float().mean().item()


accuracies = [run(RNN(), T) for T in range(5, 40)]
plt.plot(accuracies)
plt.savefig('rnn.png')
"""
WHOLE["one script without main"] = Whole(
    {"solution.py": SCRIPT},
    "pass trains as soon as it is imported",
    "pass trains as soon",
    "pass not in the hand-in: tqdm",
)
WHOLE["one script without main, wrong"] = Whole(
    {"solution.py": SCRIPT.replace("torch.tanh(c) * torch.sigmoid(o)", "torch.tanh(c) * o")},
    "pass trains as soon",
    "fail equation (7): the output gate o goes through no non-linearity",
    "pass not in the hand-in: tqdm",
)

# A notebook alone, with magics, plots and a cell that is no Python.
NOTEBOOK = notebook(
    "%matplotlib inline\nfrom google.colab import drive\ndrive.mount('/content/drive')\n!pip install torch",
    "from __future__ import print_function\nimport torch, math\nimport torch.nn as nn\nimport matplotlib.pyplot as plt",
    "%%writefile part1/dataset.py\n" + DATASET,
    "rnn code: see below",
    """\
def affine(n_in, n_out):
    s = 1 / math.sqrt(n_in)
    return nn.Parameter(torch.empty(n_in, n_out).uniform_(-s, s)), nn.Parameter(torch.zeros(n_out))

class VanillaRNN(nn.Module):
    def __init__(self, seq_length, input_dim, num_hidden, num_classes, batch_size, device='cuda' if torch.cuda.is_available() else 'cpu'):
        super().__init__()
        self.device = device
        self.Wx, self.bx = affine(input_dim, num_hidden)
        self.Wh, self.bh = affine(num_hidden, num_hidden)
        self.Wp, self.bp = affine(num_hidden, num_classes)
    def forward(self, x):
        h = torch.zeros(x.size(0), self.Wh.size(0), device=self.device)
        for i in range(x.size(1)):
            h = torch.tanh(x[:, i, None] @ self.Wx + self.bx + h @ self.Wh + self.bh)
        return h @ self.Wp + self.bp""",
    """\
class LSTM(nn.Module):
    def __init__(self, seq_length, input_dim, num_hidden, num_classes, batch_size, device='cpu'):
        super().__init__()
        self.gates = nn.ParameterList()
        for _ in range(4):
            W, b = affine(input_dim + num_hidden, num_hidden)
            self.gates.append(W); self.gates.append(b)
        self.Wp, self.bp = affine(num_hidden, num_classes)
        self.n = num_hidden
    def forward(self, x):
        h, c = torch.zeros(x.shape[0], self.n), torch.zeros(x.shape[0], self.n)
        for t in range(x.shape[1]):
            xh = torch.cat((x[:, t].unsqueeze(1), h), 1)
            f, i, o, g = [xh @ self.gates[2*k] + self.gates[2*k+1] for k in range(4)]
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
        return h @ self.Wp + self.bp
LSTM(5, 1, 8, 10, 4)""",
    """\
def palindromes(n, length):
    half = torch.randint(0, 10, (n, (length + 1) // 2))
    full = torch.cat((half, half.flip(1)[:, length % 2:]), 1)
    return full[:, :-1].float(), full[:, -1]

torch.manual_seed(3)
model = VanillaRNN(4, 1, 128, 10, 128)
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
loss_fn = nn.CrossEntropyLoss()
losses = []
for step in range(2000):
    x, y = palindromes(128, 5)
    optimizer.zero_grad()
    loss = loss_fn(model(x), y)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 10.0)
    optimizer.step()
    losses.append(loss.item())
plt.plot(losses); plt.show()
with torch.no_grad():
    x, y = palindromes(1000, 5)
    print("test accuracy", (model(x).argmax(1) == y).float().mean())""",
)
WHOLE["a notebook alone"] = Whole(
    {"Assignment 2/My notebook.ipynb": NOTEBOOK}, training="pass not in the hand-in: google"
)
WHOLE["a notebook that imports nothing that is there"] = Whole(
    {"nb.ipynb": NOTEBOOK.replace("import torch, math", "import torch, math\\nimport my_helpers")},
    training="pass my_helpers",
)

# A ZIP in a ZIP; the LSTM keeps its weights in a plain list.
LIST_LSTM = (
    LOOP_LSTM.split("    for gate in")[0]
    + """\
    self.weights = [nn.Parameter(torch.randn(num_hidden, input_dim + num_hidden + 1) * .1) for _ in range(4)]
    self.readout = nn.Parameter(torch.randn(num_classes, num_hidden + 1) * .1)

  def forward(self, x):
    h = torch.zeros(self.n, x.size(0)); c = torch.zeros(self.n, x.size(0)); one = torch.ones(1, x.size(0))
    for t in range(self.seq_length):
      v = torch.cat([x[:, t].view(1, -1), h, one])
      g, i, f, o = [w.mm(v) for w in self.weights]
      c = torch.tanh(g) * torch.sigmoid(i) + c * torch.sigmoid(f)
      h = torch.tanh(c) * torch.sigmoid(o)
    return self.readout.mm(torch.cat([h, one])).t()
"""
)
WHOLE["a ZIP in a ZIP"] = Whole(
    {
        "Doe/Doe-123456.zip": zipped(
            {**COURSE, "part1/vanilla_rnn.py": LOOP_RNN, "part1/lstm.py": LIST_LSTM}
        )
    },
    lstm="fail is not a Parameter of the module",
    package="ZIP inside the ZIP",
)

# Relative imports, everything flat; the dataset says hello; wrong in the middle.
FLAT_LSTM = LOOP_LSTM.replace(
    "import torch\n", "import torch\nfrom .dataset import PalindromeDataset\n", 1
)
WHOLE["relative imports in a flat ZIP"] = Whole(
    {
        "dataset.py": DATASET + "\nprint('hello')\n",
        "vanilla_rnn.py": LOOP_RNN.replace("h = self.h0", "h = self.h0 if not hasattr(self, 'h') else self.h")
        .replace("    p = self", "    self.h = h.detach()\n    p = self"),
        "lstm.py": FLAT_LSTM,
        "train.py": TRAIN.replace("from part1.", "from ."),
    },
    rnn="fail kept from one batch to the next",
)  # fmt: skip

# Other alphabets, other encodings.
CP1252 = LOOP_RNN.replace("class Vanilla", "# Zust\u00e4nde\nclass Vanilla")
WHOLE["Windows' encoding, declared"] = Whole(
    {
        **COURSE,
        "part1/vanilla_rnn.py": ("# -*- coding: cp1252 -*-\n" + CP1252).encode("cp1252"),
        "part1/lstm.py": LOOP_LSTM.replace("\n", "\r\n").encode("utf-8-sig"),
    }
)
WHOLE["Windows' encoding, not declared"] = Whole(
    {**COURSE, "part1/vanilla_rnn.py": CP1252.encode("cp1252"), "part1/lstm.py": LOOP_LSTM},
    rnn="fail byte 0xe4 is not utf-8",
)
WHOLE["Python 2, and tabs among spaces"] = Whole(
    {
        **COURSE,
        "part1/vanilla_rnn.py": LOOP_RNN.replace("    return p.t()", "    print p.size()\n    return p.t()"),
        "part1/lstm.py": LOOP_LSTM.replace("    x = x.t()", "\tx = x.t()"),
    },
    "fail is not Python 3",
    "fail is not Python 3",
    "fail",
)  # fmt: skip

# Steps of one digit, looped outside; clipping after the step; a loss by hand.
STEPS = """\
import torch as th
import torch.nn as nn


class VanillaRNN(nn.Module):
    def __init__(self, seq_length, input_dim, num_hidden, num_classes, batch_size):
        super().__init__()
        self.w = nn.Parameter(th.randn(input_dim + num_hidden + 1, num_hidden).mul_(0.1))
        self.v = nn.Parameter(th.randn(num_hidden + 1, num_classes).mul_(0.1))
        self.b, self.n = batch_size, num_hidden

    def init_hidden(self):
        return th.zeros(self.b, self.n)

    def forward(self, digit, hidden):
        one = th.ones(digit.shape[0], 1)
        hidden = th.cat((digit, hidden, one), dim=1).matmul(self.w).tanh()
        return th.cat((hidden, one), dim=1).matmul(self.v), hidden


class LSTM(nn.Module):
    def __init__(self, seq_length, input_dim, num_hidden, num_classes, batch_size):
        super().__init__()
        self.w = nn.Parameter(th.randn(4, input_dim + num_hidden, num_hidden).mul_(0.1))
        self.c = nn.Parameter(th.zeros(4, 1, num_hidden))
        self.v = nn.Parameter(th.randn(num_hidden, num_classes).mul_(0.1))
        self.d = nn.Parameter(th.zeros(num_classes))
        self.b, self.n = batch_size, num_hidden

    def init_hidden(self):
        return th.zeros(self.b, self.n), th.zeros(self.b, self.n)

    def forward(self, digit, state):
        h, c = state
        z = th.cat((digit, h), dim=1) @ self.w + self.c
        c = z[0].tanh() * z[1].sigmoid() + c * z[2].sigmoid()
        h = c.tanh() * z[3].sigmoid()
        return h @ self.v + self.d, (h, c)
"""
STEP_TRAIN = """\
import torch as th
from models import VanillaRNN, LSTM

th.manual_seed(5)


def get_batch(length, m):
    half = th.randint(0, 10, (m, length // 2 + length % 2))
    return th.cat((half, half.flip(1)[:, length % 2:]), 1)


def main(length=5, m=128, lr=0.001):
    net = VanillaRNN(length - 1, 1, 128, 10, m)
    optim = th.optim.RMSprop(net.parameters(), lr)
    for epoch in range(10000):
        batch = get_batch(length, m)
        h = net.init_hidden()
        for t in range(length - 1):
            out, h = net(batch[:, t:t + 1].float(), h)
        p = th.softmax(out, 1)
        loss = -th.log(p[th.arange(m), batch[:, -1]]).mean()
        optim.zero_grad()
        loss.backward()
        optim.step()
        th.nn.utils.clip_grad_norm_(net.parameters(), 10)
        acc = (p.argmax(1) == batch[:, -1]).float().mean()
        print(epoch, loss.item(), acc.item())


if __name__ == '__main__':
    main()
"""
WHOLE["one digit a call, clipped too late"] = Whole(
    {"Task 2+3/models.py": STEPS, "Task 2+3/main.py": STEP_TRAIN},
    "pass one step a call",
    "pass one step a call",
    "fail clipped after step()",
)

# softmax inside, and a loss that takes its logarithm.
SOFT = LOOP_RNN.replace("return p.t()", "return torch.softmax(p.t(), dim=1)")
NLL = TRAIN.replace("criterion = torch.nn.CrossEntropyLoss()", "criterion = torch.nn.NLLLoss()").replace(
    "criterion(output, ", "criterion(torch.log(output + 1e-9), "
)  # fmt: skip
WHOLE["softmax inside, its logarithm outside"] = Whole(
    {**COURSE, "part1/train.py": NLL, "part1/vanilla_rnn.py": SOFT, "part1/lstm.py": LOOP_LSTM},
    "pass the training script takes care of it",
)
WHOLE["softmax inside and in the loss"] = Whole(
    {**COURSE, "part1/vanilla_rnn.py": SOFT, "part1/lstm.py": LOOP_LSTM},
    "fail softmax again",
)

# softmax in the network that the script's own run does not train: by a switch, by a constant.
SOFT_LSTM = LOOP_LSTM.replace(
    "(self.W_ph @ self.h + self.b_p).permute(1, 0)",
    "torch.softmax((self.W_ph @ self.h + self.b_p).permute(1, 0), dim=1)",
)
assert SOFT_LSTM != LOOP_LSTM
CHOICE = "VanillaRNN if config.model_type == 'RNN' else LSTM"
SWITCH = TRAIN.replace(CHOICE, "LSTM if config.lstm else VanillaRNN").replace(
    "'--model_type', type=str, default=\"RNN\")", "'--lstm', action='store_true')").replace(
    "    assert config.model_type in ('RNN', 'LSTM')\n", "")  # fmt: skip
CONSTANT = SWITCH.replace("if config.lstm", "if MODEL == 'LSTM'").replace(
    "def train(", "MODEL = 'RNN'\n\n\ndef train(")  # fmt: skip
for kind, script, verdict in (
    ("a switch", SWITCH, "fail softmax again"),
    ("a constant", CONSTANT, "cannot tell in no run did the training script"),
):
    WHOLE[f"softmax in the network behind {kind}"] = Whole(
        {**COURSE, "part1/train.py": script, "part1/vanilla_rnn.py": LOOP_RNN,
         "part1/lstm.py": SOFT_LSTM},
        lstm=verdict,
    )  # fmt: skip

# Double precision throughout: the states by the classes, weights and digits by the script.
WHOLE["double precision"] = Whole(
    {
        **COURSE,
        "part1/vanilla_rnn.py": LOOP_RNN.replace("batch_size, device=", "batch_size, dtype=torch.double, device="),
        "part1/lstm.py": LOOP_LSTM.replace("torch.zeros(self.n, self.m)", "torch.zeros(self.n, self.m).double()"),
        "part1/train.py": TRAIN.replace("device).to(device)", "device).double()").replace("batch_inputs.to(device)", "batch_inputs.double()"),
    },
)  # fmt: skip

# A base class in another file, config object, states given as a pair, gates in a dict of lists.
BASE = """\
import torch
import torch.nn as nn


class Recurrent(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.readout = nn.Parameter(torch.zeros(config.num_hidden, config.num_classes))
        self.readout_bias = nn.Parameter(torch.zeros(config.num_classes))
        nn.init.xavier_normal_(self.readout)

    def zeros(self, m):
        return torch.zeros(m, self.config.num_hidden, device=self.readout.device)

    def weights(self):
        n = self.config.num_hidden
        return nn.ParameterList([nn.Parameter(torch.randn(self.config.input_dim, n) * 0.1),
                                 nn.Parameter(nn.init.orthogonal_(torch.empty(n, n))),
                                 nn.Parameter(torch.zeros(n))])

    @staticmethod
    def affine(w, x, h):
        return x @ w[0] + h @ w[1] + w[2]

    def forward(self, inputs):
        if inputs.dim() == 2:
            inputs = inputs.unsqueeze(-1)
        state = None
        for t in range(inputs.shape[1]):
            state = self.step(inputs[:, t, :], state)
        h = state if torch.is_tensor(state) else state[0]
        return h @ self.readout + self.readout_bias
"""
CONFIG_RNN = """\
from base import Recurrent
import torch


class VanillaRNN(Recurrent):
    def __init__(self, config):
        super().__init__(config)
        self.w = self.weights()

    def step(self, x, h):
        h = self.zeros(x.shape[0]) if h is None else h
        return torch.tanh(self.affine(self.w, x, h))
"""
CONFIG_LSTM = """\
from base import Recurrent
import torch
import torch.nn as nn


class LSTM(Recurrent):
    def __init__(self, config):
        super().__init__(config)
        self.w = nn.ModuleDict({k: nn.Module() for k in ("modulation", "input", "forget", "output")})
        for module in self.w.values():
            module.p = self.weights()

    def step(self, x, state):
        h, c = state if state is not None else (self.zeros(len(x)), self.zeros(len(x)))
        a = {k: self.affine(m.p, x, h) for k, m in self.w.items()}
        gates = {k: torch.sigmoid(v) for k, v in a.items() if k != "modulation"}
        c = torch.tanh(a["modulation"]) * gates["input"] + c * gates["forget"]
        return torch.tanh(c) * gates["output"], c
"""
CONFIG_TRAIN = TRAIN.replace("from part1.", "from ").replace(
    "cls(config.input_length, config.input_dim, config.num_hidden, config.num_classes,\n"
    "                config.batch_size, device)", "cls(config)"
)  # fmt: skip
WHOLE["a base class and a config"] = Whole(
    {"code/dataset.py": DATASET, "code/base.py": BASE, "code/vanilla_rnn.py": CONFIG_RNN,
     "code/lstm.py": CONFIG_LSTM, "code/train.py": CONFIG_TRAIN}
)  # fmt: skip
WHOLE["a base class that is not handed in"] = Whole(
    {"code/dataset.py": DATASET, "code/vanilla_rnn.py": CONFIG_RNN,
     "code/lstm.py": CONFIG_LSTM, "code/train.py": CONFIG_TRAIN},
    "cannot tell no attribute 'weights'", "cannot tell no attribute 'weights'",
    "cannot tell not in the hand-in: base",
)  # fmt: skip
WHOLE["a base class of a library that is not here"] = Whole(
    {
        **COURSE,
        "part1/vanilla_rnn.py": LOOP_RNN.replace(
            "import torch\n", "import torch\nimport lightning_of_old\n"
        ).replace("nn.Module", "lightning_of_old.LightningModule"),
        "part1/lstm.py": LOOP_LSTM,
    },
    training="pass not in the hand-in: lightning_of_old",
)
WHOLE["the forget gate reads no state"] = Whole(
    {"code/dataset.py": DATASET, "code/base.py": BASE, "code/vanilla_rnn.py": CONFIG_RNN,
     "code/lstm.py": CONFIG_LSTM.replace(
         "        gates =", '        a["forget"] = self.affine(self.w["forget"].p, x, 0 * h)\n        gates ='),
     "code/train.py": CONFIG_TRAIN.replace("        optimizer.zero_grad()\n", "")},
    lstm="fail equation (6): the forget gate f does not read the previous hidden state",
    training="fail zero_grad() is not called before every",
)  # fmt: skip

# torch's own layers, allowed nowhere; the RNN right otherwise.
LAYERS = """\
import torch.nn as nn
import torch


class VanillaRNN(nn.Module):
    def __init__(self, seq_length, input_dim, num_hidden, num_classes, batch_size, device='cpu'):
        super().__init__()
        self.i2h = nn.Linear(input_dim + num_hidden, num_hidden)
        self.h2o = nn.Linear(num_hidden, num_classes)
        self.num_hidden = num_hidden

    def forward(self, x):
        h = torch.zeros(x.size(0), self.num_hidden).to(x.device)
        for t in range(x.size(1)):
            h = torch.tanh(self.i2h(torch.cat((x[:, t].unsqueeze(1), h), 1)))
        return self.h2o(h)


class LSTM(nn.Module):
    def __init__(self, seq_length, input_dim, num_hidden, num_classes, batch_size, device='cpu'):
        super().__init__()
        self.embed = nn.Embedding(10, 32)
        self.lstm = nn.LSTM(32, num_hidden, batch_first=True)
        self.out = nn.Linear(num_hidden, num_classes)

    def forward(self, x):
        out, _ = self.lstm(self.embed(x.long()))
        return self.out(out[:, -1])
"""
WHOLE["torch's own layers"] = Whole(
    {**COURSE, "part1/models.py": LAYERS, "part1/train.py": TRAIN.replace(
        "from part1.vanilla_rnn import VanillaRNN\nfrom part1.lstm import LSTM",
        "from part1.models import VanillaRNN, LSTM").replace("RMSprop", "Adam")},
    "fail torch.nn.Linear",
    "fail torch.nn.LSTM",
    "fail The optimiser is Adam",
)  # fmt: skip

# A state on the module that the script resets for every batch; options that must be given.
RESET_RNN = LOOP_RNN.replace("h = self.h0", "h = self.h").replace(
    "self.h0 = torch.zeros(num_hidden, batch_size, device=self.device)\n",
    "self.n = num_hidden\n    self.reset()\n\n"
    "  def reset(self):\n    self.h = torch.zeros(self.n, self.batch_size, device=self.device)\n",
).replace("    p = self", "    self.h = h\n    p = self")  # fmt: skip
WHOLE["a state reset by the script"] = Whole(
    {
        **COURSE,
        "part1/vanilla_rnn.py": RESET_RNN,
        "part1/lstm.py": LOOP_LSTM,
        "part1/train.py": TRAIN.replace(
            "        output = model",
            "        if config.model_type == 'RNN':\n            model.reset()\n        output = model",
        )
        .replace("default=\"RNN\")", "required=True, choices=['RNN', 'LSTM'])")
        .replace("'--input_length', type=int, default=10)", "'input_length', type=int)"),
    },
    "pass until reset() is called",
)  # fmt: skip
WHOLE["a state that nobody resets"] = Whole(
    {**COURSE, "part1/vanilla_rnn.py": RESET_RNN, "part1/lstm.py": LOOP_LSTM},
    "fail kept from one batch to the next",
    training="fail stops after 1 of its steps",
)

# The course's file is not handed in; sizes of the course are written into the code.
WHOLE["without the course's dataset"] = Whole(
    {
        "vanilla_rnn.py": LOOP_RNN.replace("= torch.zeros(num_hidden, batch_size", "= torch.zeros(num_hidden, 64"),
        "lstm.py": LOOP_LSTM.replace("torch.zeros(self.n, self.m)", "torch.zeros(128, 128)"),
        "train.py": TRAIN.replace("batch_size', type=int, default=128", "batch_size', type=int, default=64"),
    },
    lstm="pass The class only runs where batch size and number of hidden units are those",
    training="cannot tell The course's dataset.py is not in the hand-in",
)  # fmt: skip

# An embedding with as many rows as the sequence is long, as a later year's template had it.
EMBEDDED = LOOP_LSTM.replace(
    "    for gate in 'gifo'", "    self.embed = nn.Embedding(seq_length, input_dim)\n    for gate in 'gifo'"
).replace("x = x.t()", "x = self.embed(x.long()).permute(1, 2, 0)").replace("x_t.view(1, -1)", "x_t")  # fmt: skip
WHOLE["an embedding"] = Whole(
    {**COURSE, "part1/vanilla_rnn.py": LOOP_RNN, "part1/lstm.py": EMBEDDED,
     "part1/train.py": TRAIN},
    lstm="fail looked up in embed.weight",
)  # fmt: skip

# CUDA in all its spellings.
CUDA = {
    "a type": (".to(self.device)", ".type(torch.cuda.FloatTensor)"),
    "a constructor": ("torch.zeros(self.n, self.m)", "torch.cuda.FloatTensor(self.n, self.m).fill_(0)"),
    "a number": (".to(self.device)", ".to(0)"),
    "a method": (".to(self.device)", ".cuda()"),
    "a device": ("torch.device(device)", "torch.device('cuda:0')"),
    "a default": ("class LSTM", "torch.set_default_tensor_type('torch.cuda.FloatTensor')\n\nclass LSTM"),
    "a setting": ("class LSTM", "torch.cuda.set_device(0)\nprint(torch.cuda.get_device_name(0))\n\nclass LSTM"),
}  # fmt: skip
for kind, (old, new) in CUDA.items():
    assert old in LOOP_LSTM
    WHOLE[f"CUDA as {kind}"] = Whole(
        {**COURSE, "part1/vanilla_rnn.py": LOOP_RNN, "part1/lstm.py": LOOP_LSTM.replace(old, new)},
        lstm="fail CUDA is asked for without asking",
    )
