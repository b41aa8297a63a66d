"""Whatever form a constructor wants its sizes in, a network is built with few units."""

import pytest
from check.bank import rnn
from check.reader import read_sources

from digitspan.check.findings import Findings
from digitspan.check.hand_in import Children, _explain_failure, _load
from digitspan.check.reading.hand_ins import HandIn, written_out
from digitspan.check.reading.source import Candidate, candidates
from digitspan.check.sandbox.isolation import Limits
from digitspan.check.sandbox.process import ChildRefused
from digitspan.check.sandbox.remote_network import Built, build_and_feed
from digitspan.check.sandbox.signatures import World
from digitspan.check.script import check_training

SCRIPT = """\
import argparse, collections, dataclasses
import torch
from net_{number} import VanillaRNN

{before}
config = argparse.Namespace(input_length=4, hidden=128, classes=10, batch_size=64, steps=9)
net = {call}
optimizer = torch.optim.RMSprop(net.parameters())
for step in range(9):
    x = torch.randint(0, 10, (64, 4)).float()
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(net(x), x[:, 0].long()).backward()
    optimizer.step()
"""
SIZES = "seq_length, input_dim, num_hidden, num_classes, batch_size, device"
OF_DICT = "4 * c['T'] // 4, 1, c['hidden'], c.get('classes', 10), c['batch'], 'cpu'"
OF_OBJECT = "c.input_length, 1, c.hidden, c.classes, c.batch_size, 'cpu'"
DATACLASS = """\
@dataclasses.dataclass(frozen=True)
class Config:
    input_length: int = 4
    hidden: int = 128
    classes: int = 10
    batch_size: int = 64
"""
CLASS = """\
class Config:
    input_length, hidden, classes, batch_size = 4, 128, 10, 64
"""
NAMED = "Config = collections.namedtuple('Config', 'input_length hidden classes batch_size')"
FORMS = {
    "a dict": (
        "self, hyper",
        OF_DICT.replace("c[", "hyper[").replace("c.", "hyper."),
        "VanillaRNN({'T': 4, 'hidden': 128, 'batch': 64})",
        "",
    ),
    "a Namespace": ("self, c", OF_OBJECT, "VanillaRNN(config)", ""),
    "a Namespace as a dict": (
        "self, c",
        "c['input_length'], 1, c['hidden'], c['classes'], c['batch_size'], 'cpu'",
        "VanillaRNN(vars(config))",
        "",
    ),
    "a frozen dataclass": ("self, c", OF_OBJECT, "VanillaRNN(Config())", DATACLASS),
    "an object of a class": ("self, c", OF_OBJECT, "VanillaRNN(Config())", CLASS),
    "a named tuple": ("self, c", OF_OBJECT, "VanillaRNN(Config(4, 128, 10, 64))", NAMED),
    "keywords alone": (
        "self, **c",
        OF_DICT,
        "VanillaRNN(T=4, hidden=128, batch=64)",
        "",
    ),
    "keywords alone, under usual names": (
        "self, **config",
        "config['T'], 1, config['num_hidden'], 10, config['batch_size'], 0",
        "VanillaRNN(T=4, num_hidden=128, batch_size=64)",
        "",
    ),
    "arguments by place alone": ("self, *c", "*c, 'cpu'", "VanillaRNN(4, 1, 128, 10, 64)", ""),
    "a tuple of sizes": (
        "self, dims, steps, m",
        "steps, *dims, m, 'cpu'",
        "VanillaRNN((1, 128, 10), 4, 64)",
        "",
    ),
    "German words": (
        "self, Laenge, Eingabe, Einheiten, Klassen, Stapel",
        "Laenge, Eingabe, Einheiten, Klassen, Stapel, 'cpu'",
        "VanillaRNN(4, 1, 128, 10, 64)",
        "",
    ),
    "the length with the last digit": (
        "self, Laenge, Einheiten, Stapel",
        "Laenge - 1, 1, Einheiten, 10, Stapel, 'cpu'",
        "VanillaRNN(5, 128, 64)",
        "",
    ),
    "a dict under usual names": (
        "self, config",
        "config['T'], 1, config['num_hidden'], config.get('classes', 10), config['batch_size'], 0",
        "VanillaRNN({'T': 4, 'num_hidden': 128, 'batch_size': 64})",
        "",
    ),
    "sizes that hang together": (
        "self, steps, num_hidden, batch_size",
        "steps, 1, num_hidden, 10, batch_size, 0\n        assert num_hidden == 32 * steps",
        "VanillaRNN(4, 128, 64)",
        "",
    ),
    "sizes behind a setting": (
        "self, layout, c",
        f"{OF_OBJECT}\n        assert layout == 'rows'",
        "VanillaRNN('rows', config)",
        "",
    ),
}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Builds and feeds the class of one form as its script does it; one child for all."""
    files = {}
    for number, (signature, sizes, call, before) in enumerate(FORMS.values()):
        whole = f"        {SIZES} = {sizes}\n        self.seq_length, self.num_hidden ="
        source = rnn("separate", signature=signature, zeros="torch.zeros(batch, self.num_hidden)",
                     first="        batch = self.batch_size\n        assert len(x) == batch\n",
                     replace=(("        self.seq_length, self.num_hidden =", whole),))  # fmt: skip
        files[f"net_{number}.py"] = source.encode()
        script = SCRIPT.format(number=number, call=call, before=before)
        files[f"train_{number}.py"] = script.encode()
    hand_in = HandIn(tmp_path_factory.getbasetemp(), False, files, read_sources(files), "")
    sources = {source.name: source for source in hand_in.sources}
    with written_out(hand_in) as tree, Children(tree, "limited", Limits(seconds=600)) as children:

        def build(name, scripted):
            number = list(FORMS).index(name)
            net, script = (sources[f"{kind}_{number}.py"] for kind in ("net", "train"))
            classes = {"VanillaRNN": "rnn"}
            worlds = check_training(children.usable, [script], classes, 1).worlds
            child = children.usable()
            signature = _load(child, candidates([net], "rnn")[0], Findings())
            world = worlds["rnn"] if scripted else None
            return build_and_feed(child, signature, world, [], longer=False, seed=1)

        yield build


@pytest.mark.parametrize("name", [name for name in FORMS if "hang" not in name])
def test_network_is_built_small_in_the_form_in_which_the_script_gives_its_sizes(built, name):
    remote = built(name, scripted=True).remote
    assert remote is not None
    assert remote.score == 3
    assert (remote.hidden, remote.plan.steps, remote.plan.batch) == (3, 5, 7)


def test_network_that_runs_with_the_sizes_of_its_script_alone_is_built_with_those(built):
    remote = built("sizes that hang together", scripted=True).remote
    assert remote is not None
    assert (remote.hidden, remote.plan.steps, remote.plan.batch) == (128, 4, 64)


def test_class_that_its_script_runs_is_no_fault_where_the_check_cannot():
    candidate = Candidate(None, "LSTM", 7, 1.0, True)
    error = ChildRefused({"type": "ValueError", "message": "no"})
    for world, code in (
        (World({}, (64, 4), "float32"), "not-run-as-the-script-does"),
        (World({}, (), "float32"), "cannot-be-constructed"),
        (None, "cannot-be-constructed"),
    ):
        findings = Findings("lstm.py")
        own = _explain_failure(Built(None, error, False), candidate, findings, world, "")
        assert [f.code for f in findings.found] == [code]
        assert own == (findings.faults() > 0)


@pytest.mark.parametrize(
    "name", ["a dict under usual names", "keywords alone, under usual names", "German words"]
)
def test_network_is_built_small_without_a_script(built, name):
    remote = built(name, scripted=False).remote
    assert remote is not None
    assert (remote.hidden, remote.plan.steps, remote.plan.batch) == (3, 5, 7)
