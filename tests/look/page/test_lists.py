"""The page of networks that are asked lists: what is said, place by place, is PyTorch's."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from pages import kept_run, page_of
from studies import made_up_span_rows

from digitspan.cells.answers import answers_of_last
from digitspan.errors import UsageError
from digitspan.files import sha256, write_whole
from digitspan.look.page.choose import Chosen, choose
from digitspan.look.page.data import document
from digitspan.runs.config import RunConfig
from digitspan.runs.folder import CONFIG, WEIGHTS
from digitspan.study.config import PRESETS
from digitspan.study.store import Store, weights_path
from digitspan.tasks.questions import encode
from digitspan.tasks.recall import Recall, held_out_lists
from digitspan.training.engine import load_network

LIST = [4, 0, 7, 7, 1]

TASKS = {
    "backward": {"task": "recall"},
    "forward": {"task": "recall", "order": "forward"},
    "next-digit": {"task": "next-digit"},
}

NUMBERS = """([network, digits]) => {
  const trace = digitspan.trace(network, digits);
  return { digits: trace.digits, targets: trace.targets, loss: trace.loss,
           probabilities: trace.probabilities.map((row) => [...row]),
           norms: [...trace.gradientNorms.hidden] };
}"""


def lists_run(cell="lstm", encoding="one-hot", asked="backward", **settings):
    settings = {"hidden_size": 16, "length": 2 * len(LIST), "task": "recall"} | settings
    return kept_run(cell, encoding, **(settings | TASKS[asked]))


def in_pytorch(run):
    """Logits after each of the last L steps, and ||dL/dh(t)|| of the mean loss, in float64."""
    task = Recall(run.config.order, silent=run.config.task == "recall")
    inputs, targets = task.ask(torch.tensor([LIST], dtype=torch.uint8))
    network = load_network(run.config, run.weights).double()
    encoded = encode(inputs, run.config.input_size, torch.float64)
    state, hidden, logits = network.initial_state(1), [], []
    for x in encoded.unbind(dim=1):
        state = network.step(x, state)
        hidden.append(state.hidden)
        logits.append(network.read_out(state))
    answers = torch.stack(logits[-len(LIST) :], dim=1)
    torch.testing.assert_close(answers, answers_of_last(network, encoded, len(LIST)))
    loss = torch.nn.functional.cross_entropy(answers[0], targets[0])
    norms = [gradient.norm().item() for gradient in torch.autograd.grad(loss, hidden)]
    probabilities = torch.softmax(torch.cat(logits), dim=1).detach().numpy()
    return inputs[0].tolist(), targets[0].tolist(), probabilities, loss.item(), norms


@pytest.mark.parametrize("asked", TASKS)
def test_what_is_said_of_a_list_is_pytorchs(open_page, asked):
    runs = [
        lists_run(cell, encoding, asked)
        for cell in ("rnn", "lstm", "gru")
        for encoding in ("one-hot", "scalar")
    ]
    page = open_page(page_of(*runs)[0])
    for index, run in enumerate(runs):
        found = page.evaluate(NUMBERS, [index, "".join(map(str, LIST))])
        inputs, targets, probabilities, loss, norms = in_pytorch(run)
        assert found["digits"] == inputs
        assert found["targets"] == [-1] * (len(inputs) - len(LIST)) + targets
        assert found["loss"] == pytest.approx(loss, rel=1e-9)
        np.testing.assert_allclose(found["probabilities"], probabilities, atol=1e-9)
        np.testing.assert_allclose(found["norms"], norms, rtol=1e-9)


@pytest.mark.parametrize("asked", TASKS)
def test_card_shows_what_is_said_place_by_place(open_page, asked):
    run = lists_run(asked=asked)
    page = open_page(page_of(run)[0])
    page.locator("#digits").fill("40771")
    _, targets, probabilities, _, _ = in_pytorch(run)
    said = probabilities[-len(LIST) :].argmax(axis=1).tolist()
    order = slice(None) if asked == "forward" else slice(None, None, -1)
    expected = [
        f"Place {place}: {digit} was read, {other} is said, "
        f"{'right' if digit == other else 'wrong'}"
        for place, (digit, other) in enumerate(zip(targets[order], said[order], strict=True), 1)
    ]
    boxes = page.locator(".place")
    assert [box.get_attribute("aria-label") for box in boxes.all()] == expected
    right = sum(a == b for a, b in zip(targets, said, strict=True))
    assert page.locator(".said").inner_text() == f"{right}/5"
    assert page.locator(".pill").inner_text().startswith(f"LSTM: {right} of 5 ")
    assert f"L = {len(LIST)}".split()[-1] == page.locator("#length").input_value()


def test_a_place_takes_its_step_in_hand_and_its_digit_can_be_changed(open_page):
    page = open_page(page_of(lists_run("rnn"))[0])
    page.locator("#digits").fill("40771")
    page.locator(".place").first.click()  # x_1 is said last
    assert page.locator(".steps output").inner_text() == "10 of 10"
    page.locator(".place").last.click()  # x_5 is said first
    assert page.locator(".steps output").inner_text() == "6 of 10"
    page.locator("#place").select_option("2")
    assert page.locator("#memory .controls").inner_text().replace("\n", "").find("from 7 to") > 0
    assert page.locator("#other").input_value() == "2"  # 7 + 5
    assert "x₃" in page.locator("#memory .finding").inner_text()


def test_line_is_held_to_lists(open_page):
    page = open_page(page_of(lists_run())[0])
    assert page.locator("#lead").inner_text().startswith("A list of digits is read.")
    page.locator("#digits").fill("1" * 101)
    assert "At most 100 digits can be read here" in page.locator("#message").inner_text()
    page.locator("#length").fill("0")
    page.locator("#another").click()
    message = "The length L must be a whole number from 1 to 100; so many digits are read."
    assert page.locator("#message").inner_text().endswith(message)
    page.locator("#length").fill("1")
    page.locator("#another").click()
    assert "1 digit, then 1 silent step, to be said backwards" in (
        page.locator("#message").inner_text()
    )


def test_page_begins_at_the_digit_span_with_a_list_kept_out(open_page):
    run = lists_run(length=20, curriculum=True)  # its record says: span 3, or 3.5 in the mean
    content, data = page_of(run)
    (network,) = data["networks"]
    assert (network["length"], network["shares"][:5]) == (4, [1, 1, 1, 0.5, 0])
    assert "digit span 4 items, mean span 3.5 items" in network["summary"]
    page = open_page(content)
    shown = page.locator("#digits").input_value()
    held_out = held_out_lists(4, "test")[0].tolist()
    assert [int(digit) for digit in shown] in held_out
    assert "It was kept out of training." in page.locator("#message").inner_text()


def test_panels_of_the_sheet_are_told_for_lists(open_page):
    page = open_page(page_of(lists_run(), lists_run("rnn"))[0])
    titles = page.locator(".panel h2").all_inner_texts()
    assert titles[:3] == [
        "What it would say after each step",
        "The gradient that reaches each step",
        "What if one digit of the list were another?",
    ]
    assert page.locator(".question").count() == 0
    page.locator("#numbers summary").click()
    head = page.locator("#numbers th[scope=col]").all_inner_texts()
    assert head[:4] == ["step", "digit", "asked", "LSTM says"]
    rows = page.locator("#numbers tbody tr")
    rows.first.locator("td").first.wait_for()  # the table is filled when it is opened
    first = rows.first.locator("td").all_inner_texts()
    assert first[1:4] == ["–", "–", "–"]  # nothing is asked while the list is read


def kept_in(folder, run):
    folder.mkdir()
    record = dataclasses.replace(run.record, weights_sha256=sha256(run.weights))
    (folder / CONFIG).write_text(run.config.canonical)
    (folder / WEIGHTS).write_bytes(run.weights)
    (folder / "record.json").write_text(json.dumps(record.to_json() | {"seconds": 1.0}))
    return str(folder)


def test_networks_that_are_not_asked_the_same_are_refused_side_by_side(tmp_path):
    lists = kept_in(tmp_path / "lists", lists_run())
    forward = kept_in(tmp_path / "forward", lists_run(asked="forward"))
    palindromes = kept_in(tmp_path / "palindromes", kept_run())
    with pytest.raises(UsageError, match=r"task recall, backward\) and .*recall, forward\)"):
        choose([lists, forward])
    with pytest.raises(UsageError, match=r"recall, backward\) and .*\(task palindrome\): make a"):
        choose([lists, palindromes])
    with pytest.raises(UsageError, match="--figures draws networks of palindromes, and lstm-rec"):
        choose([lists], for_page=False)
    assert len(choose([lists, lists]).runs) == 2


def test_study_of_digit_spans_shows_its_shortest_and_its_longest(tmp_path):
    """The network in the middle of the cell with the shortest span, and with the longest one."""
    config = dataclasses.replace(PRESETS["span"](), hidden_size=(8, 16), train_steps=100, items=9)
    spans = {"rnn": 2, "gru": 4, "lstm": 6}

    def span(run: RunConfig):
        return spans[run.cell] + 0.1 * (run.seed % 5)

    rows = made_up_span_rows(config, span)
    with Store.create(tmp_path) as store:
        store.set_value("config", config.canonical)
        for row in rows.values():
            weights = lists_run(row.record.config.cell, hidden_size=16).weights
            record = dataclasses.replace(row.record, weights_sha256=sha256(weights))
            store.add(row._replace(record=record))
            if row.role == "span":
                write_whole(weights_path(tmp_path, record.config.key), weights)
    chosen = choose([str(tmp_path)])
    found = [(run.config.cell, run.config.hidden_size, run.config.seed % 5) for run in chosen.runs]
    assert found[: chosen.show] == [("rnn", 16, 2), ("lstm", 16, 2)]
    others = [(cell, 16, seed) for cell in ("rnn", "lstm") for seed in (0, 1, 3, 4)]
    assert found[chosen.show :] == others  # to be chosen
    assert "the shortest and the longest digit span at n = 16, backward" in chosen.about
    assert document(Chosen(chosen.runs, 2, "", None), lambda run: "")["asks"] == {
        "silent": True,
        "order": "backward",
    }
    with pytest.raises(UsageError, match="measures digit spans; `digitspan look` without --fig"):
        choose([str(tmp_path)], for_page=False)
    tuned = next(key for key, row in rows.items() if row.role == "tuning")
    with pytest.raises(UsageError, match=r"of its runs it has those of some of the role span \("):
        choose([f"{tmp_path}:{tuned}"])
    for path in (tmp_path / "weights").iterdir():
        path.unlink()
    with pytest.raises(UsageError, match=r"weights\): its runs are finished, and .* has none of"):
        choose([str(tmp_path)])
    with pytest.raises(UsageError, match=r"of its runs it has those of none \("):
        choose([f"{tmp_path}:{tuned}"])
