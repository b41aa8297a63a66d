"""Networks asked beyond their training: what the page says is what they answer."""

import re

import pytest
import torch
from pages import kept_run, page_of, page_that_learns, until

from digitspan.tasks.questions import encode
from digitspan.training.engine import load_network

RUNS = kept_run("rnn"), kept_run("lstm")


@pytest.fixture
def page(open_page):
    page = open_page(page_of(*RUNS)[0])
    page.locator("#beyond").scroll_into_view_if_needed()
    page.locator("#beyond .finding").first.wait_for()
    return page


def probabilities(run, digits):
    network = load_network(run.config, run.weights)
    with torch.no_grad():
        logits = network(encode(torch.tensor([digits]), run.config.input_size))
    return torch.softmax(logits, dim=1)[0]


@pytest.mark.parametrize("length", [18, 30])
def test_surest_wrong_answer_is_the_networks(page, length):
    """At twice its length, where the slider begins, and elsewhere."""
    page.locator("#beyond-length").fill(str(length))
    for run, letter in zip(RUNS, "ab", strict=True):
        column = page.locator(f"#beyond .column.{letter}")
        line = column.locator(".moment").get_attribute("data-line")
        digits = [int(digit) for digit in line]
        assert len(digits) == length - 1
        assert digits == digits[:1] + digits[:0:-1], "it is no palindrome's beginning"
        answer = probabilities(run, digits)
        said, first = int(answer.argmax()), digits[0]
        assert said != first
        sentence = column.locator(".sentence").text_content()
        found = re.fullmatch(
            r"Its surest wrong answer: (\d), with ([\d.]+) %. "
            r"The first of these (\d+) digits was (\d).",
            sentence,
        )
        assert (int(found[1]), int(found[3]), int(found[4])) == (said, length - 1, first)
        assert float(found[2]) == pytest.approx(100 * answer.max().item(), abs=0.51)
        # Nearly all are wrong here, so the surest of them is surer than the mean of all.
        means = re.findall(r"([\d.]+) % sure", column.locator(".finding").text_content())
        assert float(found[2]) > float(means[-1])


def test_what_is_said_of_its_own_length_stands_beside(page):
    words = page.locator("#beyond .column.a .finding").text_content()
    share = r"\d+ of 20 right, [\d.]+ % sure on average"
    assert re.fullmatch(rf"At T = 9, its own length: {share}\. At T = 18: {share}\.", words)


def test_the_moment_can_be_looked_into(page):
    button = page.locator("#beyond .column.b .moment")
    line = button.get_attribute("data-line")
    button.press("Enter")
    assert page.locator("#digits").input_value() == line
    assert "✗ wrong" in page.locator(".pills .b").inner_text()


def test_screen_asks_networks_that_learn_when_they_pause(open_page):
    page = open_page(page_that_learns())
    page.evaluate("history.replaceState(null, '', '#task=palindrome&T=5&rate=0.01&cell=rnn')")
    page.reload()
    screen = page.locator("#screen-beyond")
    screen.scroll_into_view_if_needed()
    until(page, "document.querySelector('#screen-beyond .column p')")
    assert "They know nothing yet" in screen.inner_text()
    page.evaluate("document.getElementById('learn-start').click()")
    until(page, "document.getElementById('learn-start').disabled")  # solved
    until(
        page,
        "/At T = 5, its own length: 20 of 20 right/.test("
        "document.getElementById('screen-beyond').textContent)",
    )
    assert "At T = 10: " in screen.inner_text()
