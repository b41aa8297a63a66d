"""What a training script does, in which order, is traced while it runs a few steps."""

import ast

import pytest
from check.bank import lstm, rnn
from check.reader import read_sources

from digitspan.check.findings import Findings
from digitspan.check.hand_in import Children
from digitspan.check.reading.hand_ins import HandIn, written_out
from digitspan.check.reading.source import Source
from digitspan.check.sandbox.isolation import Limits
from digitspan.check.sandbox.signatures import Recipe, Signature, World
from digitspan.check.script import _check_order, _Event, _runs, _world, check_training

SCRIPT = """\
import argparse
import torch
SQUARES = lambda p, y: ((p - torch.eye(10)[y]) ** 2).mean()
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm
from torch.utils.tensorboard import SummaryWriter
from part1.lstm import LSTM


class Palindromes(Dataset):
    def __len__(self):
        return 10**9

    def __getitem__(self, i):
        digits = torch.randint(0, 10, (3,))
        return torch.cat((digits, digits[:1])).float(), int(digits[0])


def train(config):
    torch.manual_seed(1)
    device = torch.device(config.device)
    model = LSTM(4, 1, 8, 10, 16, device).to(device)
    loader = DataLoader(Palindromes(), 16, num_workers=1)
    criterion = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=0.001)
    for step, (x, y) in enumerate(tqdm(loader)):
        optimizer.zero_grad()
        loss = criterion(model(x.to(device)), y.to(device))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=10)
        optimizer.step()
        with torch.no_grad():
            accuracy = (model(x).argmax(1) == y).float().mean()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", type=str, default="cuda:0")
    train(parser.parse_args())
"""
ENGINE = """\
def update(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
"""
CLIP = "        torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=10)\n"
STEP = "        optimizer.step()\n"
BACKWARD = "        loss.backward()\n"
ZERO = "        optimizer.zero_grad()\n"

WRONG = {
    "clip before backward": ([(CLIP, ""), (BACKWARD, CLIP + BACKWARD)], "clipped before backward"),
    "clip after step": ([(CLIP, ""), (STEP, STEP + CLIP)], "clipped after step()"),
    "no zero_grad": ([(ZERO, "")], "zero_grad() is not called before every"),
    "zero_grad every third step": (
        [(ZERO, f"        if step % 3 == 0:\n    {ZERO}")],
        "zero_grad() is not called before every",
    ),
    "zero_grad too late": ([(ZERO, ""), (CLIP, CLIP + ZERO)], "between backward() and step()"),
    "Adam": ([("RMSprop", "Adam")], "The optimiser is Adam"),
    "never filled in": ([(BACKWARD, ""), (STEP, "")], "never calls backward()"),
    "name error": ([("criterion(", "criterian(")], "NameError"),
    "optimiser of a copy": (
        [("model.parameters(), lr", "LSTM(4, 1, 8, 10, 16).parameters(), lr")],
        "holds no parameter of LSTM",
    ),
    "optimiser of the read-out": (
        [("model.parameters(), lr", "[model.W_ph, model.b_p], lr")],
        "does not hold W_fh",
    ),
    "no learning rate": ([("lr=0.001", "lr=0.0")], "leave every weight of LSTM as it is"),
    "loss made anew": (
        [(BACKWARD, "        loss = torch.tensor(loss.item(), requires_grad=True)\n" + BACKWARD)],
        "leave every weight of LSTM as it is",
    ),
    "answer detached": (
        [("model(x.to(device))", "model(x.to(device)).detach().requires_grad_()")],
        "leave every weight of LSTM as it is",
    ),
    "clipped to nothing": (
        [("max_norm=10", "max_norm=0.0")],
        "leave every weight of LSTM as it is",
    ),
    "softmax twice": (
        [("criterion(model(x.to(device))", "criterion(model(x.to(device)).softmax(1)")],
        "taken of probabilities",
    ),
    "likelihood of logits": ([("CrossEntropyLoss", "NLLLoss")], "taken of logits"),
    "squared error of probabilities": (
        [("criterion(model(x.to(device)), y", "SQUARES(model(x.to(device)).softmax(1), y")],
        "squared error",
    ),
    "squared error of logits": (
        [("criterion(model(x.to(device)), y", "SQUARES(model(x.to(device)), y")],
        "squared error",
    ),
    "no step": ([(STEP, "")], "step() of an optimiser never"),
    "binary losses": (
        [("CrossEntropyLoss()", "BCEWithLogitsLoss()"), ("y.to(device))", "torch.eye(10)[y])")],
        "The loss is BCEWithLogitsLoss",
    ),
    "margins": ([("CrossEntropyLoss", "MultiMarginLoss")], "The loss is MultiMarginLoss"),
    "loss made larger": ([("loss.backward", "(-loss).backward")], "the loss larger"),
    "maximised": ([("lr=0.001", "lr=0.001, maximize=True")], "the loss larger"),
    "softmax over the samples": (
        [
            ("CrossEntropyLoss", "NLLLoss"),
            ("model(x.to(device)), y", "torch.log_softmax(model(x.to(device)), 0), y"),
        ],
        "goes over the samples",
    ),
    "called with too little": ([("train(parser", "train(); (parser")], "TypeError"),
    "an option that is not there": (
        [("torch.device(config.device)", "torch.device(config.where)")],
        "AttributeError",
    ),
    "backward twice": ([(BACKWARD, BACKWARD + BACKWARD)], "backward through the graph"),
}
ODD = {
    "cuda without asking": (
        [("torch.device(config.device)", "'cuda'"),
         ("torch.manual_seed(1)\n", "torch.manual_seed(1); torch.cuda.set_device(0)\n")],
        "CUDA is asked for"),
    "no seed": ([("    torch.manual_seed(1)\n", "")], "No seed is set"),
    "deprecated": (
        [("clip_grad_norm_", "clip_grad_norm"), ("import torch\n", "import torch\n"
          "torch.nn.utils.clip_grad_norm = torch.nn.utils.clip_grad_norm_\n")],
        "deprecated"),
    "no clipping": ([(CLIP, "")], "not clipped"),
    "training batch": (
        [("        with torch.no_grad():\n            acc", "        acc")],
        "batch that was just"),
}  # fmt: skip
FINE = {
    "as it is": [],
    "zero_grad after step": [(ZERO, ""), (STEP, STEP + ZERO)],
    "model.zero_grad": [("optimizer.zero_grad", "model.zero_grad")],
    "gradients set to None": [
        (ZERO, "        for p in model.parameters():\n            p.grad = None\n")],
    "gradients by hand": [(ZERO, ""), (CLIP, ""), (BACKWARD, """\
        grads = torch.autograd.grad(loss, list(model.parameters()))
        norm = sum(g.pow(2).sum() for g in grads).sqrt()
        for p, g in zip(model.parameters(), grads):
            p.grad = g * min(1.0, 10.0 / norm.item())
""")],
    "the loop in another module": [
        (ZERO, ""), (BACKWARD, "        update(optimizer, loss)\n"),
        ("import LSTM\n", "import LSTM\nfrom engine import update\n")],
    "loss twice as large, summed": [
        ("CrossEntropyLoss()", "CrossEntropyLoss(reduction='sum')"),
        ("loss = ", "loss = 2 * ")],
    "likelihood of log_softmax": [
        ("CrossEntropyLoss", "NLLLoss"),
        ("model(x.to(device)), y", "torch.log_softmax(model(x.to(device)), 1), y")],
    "likelihood by hand": [
        ("criterion(model(x.to(device)), y.to(device))",
         "-model(x).softmax(1).log()[range(len(y)), y].mean()")],
    "weights held small": [
        ("loss = ", "loss = sum(p.pow(2).sum() for p in model.parameters()) + ")],
    "a long evaluation first": [("    for step, (x", """\
    for _ in range(2100):
        torch.nn.functional.cross_entropy(torch.zeros(2, 10), torch.tensor([1, 2]))
    for step, (x""")],
    "clip by value": [("clip_grad_norm_(model.parameters(), max_norm=10)",
                       "clip_grad_value_(model.parameters(), 10)")],
}  # fmt: skip


def changed(pairs):
    text = SCRIPT
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


CASES = {
    **{name: pairs for name, (pairs, _) in WRONG.items()},
    **{name: pairs for name, (pairs, _) in ODD.items()},
    **FINE,
    "margins by hand": [
        (
            "criterion(model(x.to(device)), y.to(device))",
            "(model(x) - 1).pow(4).mean()",
        ),
        ("from tqdm import tqdm\n", "tqdm = iter\n"),
    ],
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The check of one script; one child for all of them."""
    files = {"lstm.py": lstm("separate").encode(), "engine.py": ENGINE.encode()}
    for number, pairs in enumerate(CASES.values()):
        files[f"train_{number}.py"] = changed(pairs).encode()
    hand_in = HandIn(tmp_path_factory.getbasetemp(), False, files, read_sources(files), "")
    scripts = {source.name: source for source in hand_in.sources}
    with written_out(hand_in) as tree, Children(tree, "limited", Limits(seconds=600)) as children:

        def check(name):
            number = list(CASES).index(name)
            script = scripts[f"train_{number}.py"]
            return check_training(
                children.usable, [script], {"LSTM": "lstm"}, seed=1, sources=hand_in.sources
            )

        yield check


@pytest.mark.parametrize("name", WRONG)
def test_wrong_script_is_told(trained, name):
    section = trained(name).section
    faults = [finding for finding in section.findings if finding.severity == "fault"]
    assert section.verdict == "fail", section.findings
    assert len(faults) == 1
    assert WRONG[name][1] in faults[0].message


TWO = """\
import torch
from rnn import VanillaRNN
from part1.lstm import LSTM

torch.manual_seed(1)
nets = [kind(4, 1, 8, 10, 16, "cpu") for kind in (VanillaRNN, LSTM)]
optimizers = [torch.optim.RMSprop(nets[0].parameters()), torch.optim.RMSprop(nets[1].parameters())]
for _ in range(9):
    x = torch.randint(0, 10, (16, 4)).float()
    for net, optimizer in zip(nets, optimizers):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(x), x[:, 0].long()).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 10.0)
        optimizer.step()
"""


@pytest.mark.parametrize("number", [0, 1])
def test_optimiser_of_each_of_two_networks_is_judged(tmp_path, number):
    files = {"lstm.py": lstm("separate").encode(), "rnn.py": rnn("separate").encode()}
    wrong = TWO.replace(f"RMSprop(nets[{number}]", f"Adam(nets[{number}]")
    files |= {"train_right.py": TWO.encode(), "train_wrong.py": wrong.encode()}
    hand_in = HandIn(tmp_path, False, files, read_sources(files), "")
    classes = {"LSTM": "lstm", "VanillaRNN": "rnn"}
    codes = {}
    with written_out(hand_in) as tree, Children(tree, "limited", Limits(seconds=60)) as children:
        for source in hand_in.sources:
            if source.name.startswith("train"):
                found = check_training(children.usable, [source], classes, 1, hand_in.sources)
                codes[source.name] = [finding.code for finding in found.section.findings]
    assert codes == {"train_right.py": [], "train_wrong.py": ["not-rmsprop"]}


@pytest.mark.parametrize("name", ODD)
def test_odd_script_is_a_remark(trained, name):
    section = trained(name).section
    assert section.verdict == "pass", section.findings
    assert ODD[name][1] in " ".join(finding.message for finding in section.findings)


def test_loss_that_is_not_known_leaves_the_script_undecided(trained):
    section = trained("margins by hand").section
    assert section.verdict == "cannot tell", section.findings
    assert [finding.code for finding in section.findings] == ["loss-unknown"]


@pytest.mark.parametrize("name", FINE)
def test_right_script_passes(trained, name):
    result = trained(name)
    assert result.section.verdict == "pass", result.section.findings
    assert {finding.code for finding in result.section.findings} <= {"library-not-here"}
    given = {"likelihood of log_softmax": {"log probabilities"}, "likelihood by hand": set()}
    assert result.losses == {"lstm": given.get(name, {"logits"})}


@pytest.mark.parametrize(
    ("option", "other"),
    [
        ('"--lstm", action="store_true"', ["--lstm"]),
        ('"--lstm", type=bool, default=False', ["--lstm", "True"]),
        ('"--lstm", type=bool, default=True', ["--lstm", ""]),
        ('"--lstm", type=str2bool, default=True', ["--lstm", "False"]),
        ('"--use_lstm", type=int, default=0', ["--use_lstm", "1"]),
        ('"--rnn", action=argparse.BooleanOptionalAction, default=True', ["--no-rnn"]),
        ('"--steps", type=int, default=0', None),
    ],
)
def test_boolean_option_is_tried_both_ways(option, other):
    tree = ast.parse(f"parser.add_argument({option})")
    script = Source("train.py", "train.py", "", tree, "", 0)
    assert [run.options for run in _runs(script)] == [[], other][: 1 + (other is not None)]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('p.add_argument("T", type=int, nargs="+")', [["5"]]),
        ('p.add_argument("sizes", type=int, nargs=2)', [["5", "5"]]),
        ('p.add_argument("more", nargs="*")', [[]]),
        ('p.add_argument("--lr", type=float, nargs=1, required=True)', [["--lr", "0.001"]]),
        (
            'net = {"RNN": 1, "LSTM": 2}[sys.argv[1]]; f(int(sys.argv[2]), float(sys.argv[3]))',
            [["RNN", "5", "0.001"], ["LSTM", "5", "0.001"]],
        ),
        ('T, kind = sys.argv[1:]; int(T); kind in ("rnn", "lstm")',
         [["5", "rnn"], ["5", "lstm"]]),
        ('_, T = sys.argv; print(int(T))', [["5"]]),
        ("print(sys.argv[0])", [[]]),
    ],
)  # fmt: skip
def test_words_that_a_script_must_be_given_are_given(lines, words):
    script = Source("train.py", "train.py", "", ast.parse(lines), "", 0)
    assert [run.options for run in _runs(script)] == words


def test_precision_in_which_a_script_feeds_is_known_though_it_stops_there(tmp_path):
    only_64 = "torch.zeros(x.shape[0], self.num_hidden, dtype=torch.float64)"
    files = {"lstm.py": lstm("separate", zeros=only_64).encode(), "train.py": SCRIPT.encode()}
    hand_in = HandIn(tmp_path, False, files, read_sources(files), "")
    script = [source for source in hand_in.sources if source.name == "train.py"]
    with written_out(hand_in) as tree, Children(tree, "limited", Limits(seconds=60)) as children:
        found = check_training(children.usable, script, {"LSTM": "lstm"}, 1, hand_in.sources)
    assert found.worlds == {"lstm": World({}, (), "float32")}


def test_world_that_nobody_could_build_is_none():
    deep = 1
    for _ in range(900):
        deep = {"kept": 0, "entries": {"a": deep}}
    world = _world({"arguments": {"c": deep, "n": 10**30, "h": 8}, "fed": [4, 10**12]})
    recipe = Recipe(Signature([["c", "POSITIONAL_OR_KEYWORD", False, None]], []), world)
    assert (world.fed, world.dtype) == ((), "float32")
    assert recipe.given() == {"h": ("hidden", 8)}


def test_one_backward_for_the_optimisers_of_two_networks_is_fine():
    def events(*names):
        made = [_Event(name.partition(" ")[0], "train.py", 7, {
            "clean": True, "optimizer": name.partition(" ")[2]}) for name in names]  # fmt: skip
        findings = Findings("train.py")
        _check_order(made * 4, findings)
        return {finding.code for finding in findings.found}

    both = ("zero_grad", "backward", "clip", "step rnn", "step lstm")
    assert events(*both) == set()
    assert events(*both, "step lstm") == {"step-without-backward"}
    assert events("zero_grad", "clip", "step rnn") == {"step-without-backward"}


def test_clip_in_the_wrong_place_is_told_with_its_line(trained):
    [fault] = [f for f in trained("clip after step").section.findings if f.severity == "fault"]
    text = changed(WRONG["clip after step"][0]).splitlines()
    assert "clip_grad_norm_" in text[fault.line - 1]


@pytest.mark.parametrize(
    ("name", "words"),
    [("Adam", "torch.optim.Adam("), ("softmax twice", "criterion(model("),
     ("loss made larger", "criterion(model("), ("margins", "criterion(model(")],
)  # fmt: skip
def test_fault_of_a_script_points_at_the_line_that_it_is_about(trained, name, words):
    [fault] = [f for f in trained(name).section.findings if f.severity == "fault"]
    assert words in changed(WRONG[name][0]).splitlines()[fault.line - 1]


def test_missing_script_is_told():
    section = check_training(lambda: None, [], {}, seed=1).section
    assert [finding.rule for finding in section.findings] == ["missing"]
