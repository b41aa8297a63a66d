"""Training in the browser is PyTorch's: gradients, RMSprop, clipping, starts; what is asked."""

import math

import numpy as np
import pytest
import torch
from pages import page_that_learns, until

from digitspan.cells import CELLS
from digitspan.runs.config import RunConfig
from digitspan.tasks import SILENT
from digitspan.tasks.palindrome import draw_training
from digitspan.tasks.questions import encode
from digitspan.tasks.recall import Recall
from digitspan.training.engine import build_network, loss_of

BATCH = 32
STEPS = 20

CASES = [(cell, task) for cell in CELLS for task in ("palindrome", "recall")]

READ = """const read = ({ read, asked }) => ({ read: read.map((row) => Int32Array.from(row)),
                        asked: asked.map((row) => row && Int32Array.from(row)) });"""

GRADIENTS = f"""([cell, weights, batch]) => {{ {READ}
  const learner = digitspan.training.learner(cell, weights, 0.01);
  const loss = learner.differentiate(read(batch));
  return {{ loss, gradients: Object.fromEntries(Object.entries(learner.weights).map(
    ([name, {{ gradient }}]) => [name, [...gradient]])) }};
}}"""

TRAIN = f"""([cell, weights, batches, rate]) => {{ {READ}
  const learner = digitspan.training.learner(cell, weights, rate);
  const seen = batches.map((batch) => learner.step(read(batch)));
  return {{ seen, weights: Object.fromEntries(Object.entries(learner.weights).map(
    ([name, {{ data, value }}]) => [name, [...(data ?? value)]])) }};
}}"""


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    """One page for all that is only computed: opening one costs more than a test."""
    file = tmp_path_factory.mktemp("training") / "page.html"
    file.write_text(page_that_learns(), encoding="utf-8")
    tab = browser.new_page()
    complaints = []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.goto(file.as_uri())
    yield tab
    tab.close()
    assert complaints == []


def network_of(cell, task, *, gain=1.0):
    """A network of torch in double precision, as the page's numbers are."""
    config = RunConfig(cell=cell, task=task, length=10, hidden_size=32)
    network = build_network(config).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(gain)
    return network


def questions_of(task, count):
    generator = torch.Generator().manual_seed(7)
    if task == "recall":
        (questions,) = Recall().draw_batches(10, 1, count, generator, torch.device("cpu"))
        return questions
    return draw_training(10, count, generator)


def for_page(questions):
    """A batch as the page has it: a row for each step."""
    steps = questions.inputs.T.tolist()
    targets = questions.targets.reshape(len(questions.inputs), -1).T.tolist()
    return {"read": steps, "asked": [None] * (len(steps) - len(targets)) + targets}


def lists(network):
    return {name: value.tolist() for name, value in network.state_dict().items()}


def loss_in_torch(network, questions):
    """The mean cross-entropy over all answers, by the readable step."""
    symbols = SILENT + 1 if questions.targets.dim() == 2 else SILENT
    state, logits = network.initial_state(len(questions.inputs)), []
    for x in encode(questions.inputs, symbols, torch.float64).unbind(dim=1):
        state = network.step(x, state)
        logits.append(network.read_out(state))
    if questions.targets.dim() == 1:
        return loss_of(logits[-1], questions.targets)
    return loss_of(torch.stack(logits[-questions.targets.shape[1] :], dim=1), questions.targets)


@pytest.mark.parametrize(("cell", "task"), CASES)
def test_gradients_are_pytorchs(page, cell, task):
    network, questions = network_of(cell, task), questions_of(task, BATCH)
    found = page.evaluate(GRADIENTS, [cell, lists(network), for_page(questions)])
    loss = loss_in_torch(network, questions)
    loss.backward()
    assert found["loss"] == pytest.approx(loss.item(), rel=1e-9)
    assert set(found["gradients"]) == {name for name, _ in network.named_parameters()}
    for name, parameter in network.named_parameters():
        expected = parameter.grad.flatten().numpy()
        size = np.abs(expected).max()
        assert size > 0, name
        np.testing.assert_allclose(
            found["gradients"][name], expected, rtol=1e-7, atol=1e-9 * size, err_msg=name
        )


def train_in_torch(network, batches, rate):
    """The losses and norms of torch's own RMSprop with the sheet's clipping."""
    optimizer = torch.optim.RMSprop(network.parameters(), lr=rate)
    seen = []
    for questions in batches:
        optimizer.zero_grad()
        loss = loss_in_torch(network, questions)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimizer.step()
        seen.append((loss.item(), norm.item()))
    return seen


def trained_both_ways(page, cell, task, *, gain=1.0, rate=0.01):
    network = network_of(cell, task, gain=gain)
    drawn = questions_of(task, STEPS * BATCH)
    batches = [
        type(drawn)(*batch) for batch in zip(*(part.split(BATCH) for part in drawn), strict=True)
    ]
    given = [cell, lists(network), [for_page(batch) for batch in batches], rate]
    found = page.evaluate(TRAIN, given)
    return found, train_in_torch(network, batches, rate), network


@pytest.mark.parametrize(("cell", "task"), CASES)
def test_twenty_training_steps_are_pytorchs(page, cell, task):
    found, expected, network = trained_both_ways(page, cell, task)
    for step, (loss, norm) in zip(found["seen"], expected, strict=True):
        assert step["loss"] == pytest.approx(loss, rel=1e-6)
        assert step["norm"] == pytest.approx(norm, rel=1e-5)
    # A hundred times sharper than what a person could see; sums are added up in other orders.
    for name, value in network.state_dict().items():
        np.testing.assert_allclose(
            found["weights"][name], value.flatten(), rtol=1e-5, atol=1e-7, err_msg=name
        )


def test_gradients_are_clipped_as_the_sheet_does(page):
    found, expected, network = trained_both_ways(page, "relu-rnn", "palindrome", gain=3.5)
    assert max(norm for _, norm in expected) > 10  # or this would show nothing
    assert [step["loss"] for step in found["seen"]] == pytest.approx(
        [loss for loss, _ in expected], rel=1e-5
    )
    for name, value in network.state_dict().items():
        np.testing.assert_allclose(
            found["weights"][name], value.flatten(), rtol=1e-4, atol=1e-6, err_msg=name
        )


START = """([cell, how]) => Object.fromEntries(
  Object.entries(digitspan.training.start(cell, { inputSize: 10, hiddenSize: 32, ...how })).map(
    ([name, { rows, columns, data, value }]) =>
      [name, { shape: rows ? [rows, columns] : [value.length],
               numbers: [...(data ?? value)] }]))"""


def farthest(cell, start, name):
    """From zero, of any number of a parameter that is drawn."""
    if start == "chrono" and name in {part.removeprefix("-") for part in CELLS[cell].chrono}:
        return math.log(19)
    if start == "orthogonal" and name[0] == "W" and name[-1] == "h" and name != "W_ph":
        return 1
    if (start, name) == ("identity", "W_hh"):
        return 1
    return 0.06 if start == "normal" else 1 / math.sqrt(32)


STARTS = [(cell, start) for cell, facts in CELLS.items() for start in facts.initialisations]


@pytest.mark.parametrize(("cell", "start"), STARTS)
def test_starts_are_the_packages(page, cell, start):
    """The same shapes, and every parameter as widely spread; what is decided is decided."""
    how = {"start": start, "length": 20, "seed": 3}
    found = page.evaluate(START, [cell, how])
    config = RunConfig(cell=cell, initialisation=start, length=20, hidden_size=32, seed=3)
    network = build_network(config)
    assert set(found) == set(network.state_dict())
    arrays = {name: np.reshape(one["numbers"], one["shape"]) for name, one in found.items()}
    for name, value in network.state_dict().items():
        expected, here = value.numpy(), arrays[name]
        assert here.shape == expected.shape, name
        if expected.std() == 0:  # zeros, ones
            np.testing.assert_array_equal(here, expected)
            continue
        assert np.abs(here).max() <= farthest(cell, start, name), name
        if expected.size >= 100:
            # Two samples of one distribution: standard deviations differ by sqrt(1/n) or so.
            apart = abs(np.log(here.std() / expected.std()))
            assert apart < 4 / math.sqrt(expected.size), name
    if start == "orthogonal":
        recurrent = [name for name in arrays if name.endswith("h") and name[:3] != "W_p"]
        for name in set(recurrent) - {"b_h"}:
            np.testing.assert_allclose(arrays[name] @ arrays[name].T, np.eye(32), atol=1e-12)
    if start == "identity":
        np.testing.assert_array_equal(arrays["W_hh"], np.eye(32))
    if start == "chrono":
        for name in (part.removeprefix("-") for part in CELLS[cell].chrono):
            sign = -1 if f"-{name}" in CELLS[cell].chrono else 1
            assert (sign * arrays[name] >= 0).all()
            assert (sign * arrays[name] <= math.log(19)).all()
        if cell == "lstm":
            np.testing.assert_array_equal(arrays["b_i"], -arrays["b_f"])
    assert page.evaluate(START, [cell, how]) == found
    other = page.evaluate(START, [cell, how | {"seed": 4}])
    assert other["W_ph"]["numbers"] != found["W_ph"]["numbers"]


DRAWN = """([task, seed, count]) => {
  const { batches, fresh } = digitspan.training;
  const plain = ({ read, asked }) => ({ read: read.map((row) => [...row]),
                                        asked: asked.map((row) => row && [...row]) });
  const next = batches(task, seed);
  return [Array.from({ length: count }, () => plain(next())), fresh(task).map(plain)];
}"""


def sequences(batches):
    return [tuple(row) for batch in batches for row in zip(*batch["read"], strict=True)]


@pytest.mark.parametrize("length", [5, 6, 12, 13, 30])
def test_palindromes_are_palindromes_and_fresh_ones_are_fresh(page, length):
    task = {"asks": None, "length": length}
    training, fresh = page.evaluate(DRAWN, [task, 0, 40])
    for batch in [*training, *fresh]:
        assert len(batch["read"]) == length - 1
        *others, last = batch["asked"]
        assert others == [None] * (length - 2)
        for digits, target in zip(sequences([batch]), last, strict=True):
            whole = [*digits, target]
            assert whole == whole[::-1]
            assert set(whole) <= set(range(10))
    # The first digit has no say in what is kept out: tails learned by heart do not help.
    tails = [{row[1 : (length + 1) // 2] for row in sequences(part)} for part in (training, fresh)]
    assert not tails[0] & tails[1]
    assert len(sequences(fresh)) == 500
    firsts = [row[0] for row in sequences(fresh)]
    assert set(firsts) == set(range(10))
    assert page.evaluate(DRAWN, [task, 0, 40])[0] == training
    assert page.evaluate(DRAWN, [task, 1, 40])[0] != training


@pytest.mark.parametrize("items", [3, 5, 15])
def test_lists_are_asked_as_the_package_asks_them(page, items):
    task = {"asks": {"silent": True, "order": "backward"}, "length": 2 * items}
    training, fresh = page.evaluate(DRAWN, [task, 0, 20])
    for batch in [*training[:3], *fresh[:3]]:
        shown = torch.tensor(batch["read"][:items], dtype=torch.uint8).T
        expected = Recall().ask(shown)
        assert for_page(expected) == batch
    lists_of = [{row[:items] for row in sequences(part)} for part in (training, fresh)]
    assert not lists_of[0] & lists_of[1]


def test_worker_trains_as_the_page_computes(open_page):
    """What the worker shows after ten steps, computed anew on the page's own thread."""
    page = open_page(page_that_learns())
    page.evaluate("location.hash = '#cell=gru,rnn&T=7&rate=0.02&seed=5&start=orthogonal'")
    until(page, "document.getElementById('learn-cell-1').value === 'gru'")
    page.evaluate(
        """() => { globalThis.expected = ["gru", "rnn"].map((cell) => {
          const how = { start: "orthogonal", length: 7, seed: 5, inputSize: 10, hiddenSize: 32 };
          const weights = digitspan.training.start(cell, how);
          const learner = digitspan.training.network(cell, weights, 0.02);
          const next = digitspan.training.batches({ asks: null, length: 7 }, 5);
          for (let step = 0; step < 10; step++) learner.step(next());
          return Object.fromEntries(Object.entries(learner.weights).map(
            ([name, { data, value }]) => [name, [...(data ?? value)]]));
        }) }"""
    )
    page.locator("#learn-step").click()
    until(page, "document.getElementById('learn-count').value.startsWith('step 10')")
    found = page.evaluate(
        """[0, 1].map((k) => Object.fromEntries(
          Object.entries(digitspan.training.weights(k)).map(
            ([name, { data, value }]) => [name, [...(data ?? value)]])))"""
    )
    assert found == page.evaluate("expected")
