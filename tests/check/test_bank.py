"""The bank: every wrong network is found, with its sentence; no honest one is called wrong.

The default run takes one network of each fault and some of the honest; all of them are slow.
"""

import pytest
from check.bank import HONEST, MUTANTS
from check.elsewhere import ELSEWHERE, ODD
from check.honest import HONEST as _  # noqa: F401  fills the bank
from check.reader import read_sources

from digitspan.check.course_rules import Rules
from digitspan.check.hand_in import Children, check_class
from digitspan.check.reading.hand_ins import HandIn, written_out
from digitspan.check.sandbox.isolation import Limits
from digitspan.check.sandbox.signatures import World

CLASSES = {"rnn": "VanillaRNN", "lstm": "LSTM"}
NO_RULES = Rules({}, frozenset())


def first_of_each(cases):
    """One case for each sentence."""
    return {(case.says): case for case in reversed(cases)}.values()


def marked(cases, fast):
    """The cases as parameters, the slow ones marked."""
    return [
        pytest.param(case, id=case.name, marks=[] if case in fast else [pytest.mark.slow])
        for case in cases
    ]


FAST_MUTANTS = [*list(first_of_each(MUTANTS))[::2], *ELSEWHERE[::4]]
EXCHANGED = ("flat-time-first", "every-step-time-first", "every-step-time-last", "classes-first")
FAST_HONEST = [*HONEST[:2], *HONEST[8:60:6], *ODD[::5],
               *(case for case in HONEST if case.name in EXCHANGED)]  # fmt: skip
PLACES = {
    "g-torch.sigmoid-separate": "g = torch.sigmoid",
    "f-tanh-separate": "f = torch.tanh",
    "no-cell-stacked": "c = g * i",
    "output-added-separate": "h = torch.tanh(c) + o",
    "c-linear-concatenated": "h = c * o",
    "rnn-linear-concatenated": "h = (",
    "no-read-out-bias-separate": "p = h @",
    "rnn-softmax": "torch.softmax",
    "lstm-last-unread-columns": "for t in",
    "lstm-cell-detached": "c.detach()",
    "rnn-no-parameter": "self.W_hh = ",
    "zero-gate": "def __init__",
    "lstm-tuple": "return p, h",
    "lstm-memory": "self.history.append",
    "lstm-random-start": "torch.randn(x.shape[0]",
    "lstm-cut-every ten": "h, c = h.detach(), c.detach()",
    "rnn-kept-separate": "self.h = h.detach()",
    "rnn-kept-of training": "self.h = h.detach()",
    "lstm-zeros-float32": "if self.W_ph.dtype == torch.float32:",
    "rnn-zeros-many pairs": "if x.shape[0] > 20:",
    "lstm-zeros-six to ten": "if 6 <= self.seq_length <= 10:",
    "rnn-zeros-eval": "if not self.training:",
    "lstm-zeros-no_grad": "if not torch.is_grad_enabled():",
    "rnn-range(min(self.seq_length, 16))": "for t in range(min(self.seq_length, 16))",
    "lstm-backwards": "reversed(",
    "rnn-doubled": "h = torch.tanh(",
    "clamp-of-c-45": "c = c.clamp(-45, 45)",
    "clamp-in-f": "f = torch.sigmoid((",
    "divided by the largest digit": "x.max()",
    "units above a hundred": "(torch.arange(self.num_hidden) < 100)",
}
"""What stands on the line that a fault points at."""


@pytest.fixture(scope="module")
def children(tmp_path_factory):
    """One child for the whole bank: a folder a case."""
    cases = MUTANTS + HONEST + ELSEWHERE + ODD
    files = {f"{case.name}/net.py": case.source.encode() for case in cases}
    hand_in = HandIn(tmp_path_factory.getbasetemp(), False, files, read_sources(files), "")
    limits = Limits(seconds=3000)
    with written_out(hand_in) as tree, Children(tree, "limited", limits) as children:
        yield children


def checked(children, case, world=None):
    """The section of one case."""
    files = {f"{case.name}/net.py": case.source.encode()}
    hand_in = HandIn(None, False, files, read_sources(files), "")
    return check_class(children, hand_in, CLASSES[case.kind], NO_RULES, world)


def test_bank_is_large_enough_and_plants_each_fault_in_several_styles():
    assert len(MUTANTS) >= 100
    assert len(HONEST) >= 50
    assert len(ELSEWHERE) >= 30
    assert len(ODD) >= 25
    cases = MUTANTS + HONEST + ELSEWHERE + ODD
    assert len({case.name for case in cases}) == len(cases)


@pytest.mark.parametrize("case", marked(MUTANTS + ELSEWHERE, FAST_MUTANTS))
def test_wrong_network_is_found_with_its_sentence(children, case):
    section = checked(children, case)
    faults = [finding for finding in section.findings if finding.severity == "fault"]
    assert section.verdict == "fail"
    assert any(case.says.lower() in fault.message.lower() for fault in faults), faults
    assert all(fault.file == f"{case.name}/net.py" for fault in faults)


@pytest.mark.parametrize(
    ("dtype", "verdict", "code"),
    [("float32", "fail", "fails-in-single-precision"), ("float64", "pass", None),
     (None, "pass", "only-in-double-precision")],
)  # fmt: skip
def test_double_precision_is_a_fault_where_a_script_trains_in_single(
    children, dtype, verdict, code
):
    [case] = [case for case in ODD if case.name == "double-state"]
    section = checked(children, case, None if dtype is None else World({}, (), dtype))
    assert section.verdict == verdict
    assert [finding.code for finding in section.findings] == [code] * (code is not None)


@pytest.mark.parametrize("name", PLACES)
def test_fault_points_at_the_line_of_its_equation(children, name):
    [case] = [case for case in MUTANTS + ELSEWHERE if case.name == name]
    fault = next(f for f in checked(children, case).findings if f.severity == "fault")
    assert PLACES[name] in case.source.splitlines()[fault.line - 1]


@pytest.mark.parametrize("name", ["rnn-state-first", "lstm-state-first"])
def test_logits_after_the_state_are_told_apart_from_it_at_every_size(children, name):
    [case] = [case for case in MUTANTS if case.name == name]
    assert [f.code for f in checked(children, case).findings] == ["several-results"]


@pytest.mark.parametrize("case", marked(HONEST + ODD, FAST_HONEST))
def test_honest_network_has_no_fault(children, case):
    section = checked(children, case)
    assert section.verdict == "pass", section.findings
    assert [finding.severity for finding in section.findings] in (
        [],
        ["remark"] * 1,
        ["remark"] * 2,
    )
    assert case.says in " ".join(finding.message for finding in section.findings)
    if not case.says:
        assert section.findings == ()


@pytest.mark.parametrize("case", marked(MUTANTS + HONEST, FAST_MUTANTS[:9:6] + HONEST[:1]))
def test_verdict_hangs_on_no_sentence(children, case, no_sentences):
    section = checked(children, case)
    assert section.verdict == ("pass" if case in HONEST else "fail")
    assert {finding.message for finding in section.findings} <= {"word"}
