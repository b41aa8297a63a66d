"""Nothing that a name or a line holds is ever executed; what is no digits gets a sentence."""

import re

import pytest
from pages import kept_run, page_of

from digitspan.look.page import page_html

HIT = "globalThis.hits = 0; globalThis.hit = () => { hits++; };"

CALLS = ["hit()", "globalThis.hit()", "hit`1`", "eval('hit()')", "setTimeout(hit)"]
FRAMES = [
    "<script>CALL</script>",
    "</script><script>CALL</script>",
    "<img src=x onerror=CALL>",
    '"><svg onload=CALL>',
    "'-CALL-'",
    "${CALL}",
    "<!--<script>CALL</script>-->",
    "<iframe srcdoc='<script>parent.CALL</script>'>",
    "javascript:CALL",
    "</title></style><body onload=CALL>@DATA@@SCRIPT@\\u003cscript>\u2028CALL",
]
HOSTILE = [frame.replace("CALL", call) for frame in FRAMES for call in CALLS]


@pytest.fixture(scope="module")
def data():
    """A page of one network for each text, which is its name, title, label, summary and reason."""
    data = page_of(kept_run("lstm", hidden_size=3, length=5))[1]
    network = data["networks"][0]
    names = ("name", "title", "summary", "why", "label")
    data["networks"] = [network | dict.fromkeys(names, text) for text in HOSTILE]
    data["about"] = "".join(HOSTILE)
    medians = [{"length": 5, "accuracy": 1.0}]
    data["study"] = {
        "caption": data["about"],
        "chance": 0.1,
        "series": [
            {
                "title": text,
                "medians": medians,
                "runs": [{"length": 5, "accuracy": 1.0, "network": index}],
            }
            for index, text in enumerate(HOSTILE)
        ],
    }
    return data


def test_hostile_texts_are_shown_and_not_run(open_page, data):
    """The policy is switched off, so that the escaping alone has to hold."""
    assert len(set(HOSTILE)) == 50
    page = open_page(page_html(data), init=HIT, bypass_csp=True)
    assert page.locator("#about").text_content() == data["about"]
    for index, text in enumerate(HOSTILE):
        page.locator("#digits").fill(text)
        page.locator("#network-a").select_option(str(index))
        assert text in page.locator(".card.a .facts").first.text_content()
        assert page.evaluate("hits") == 0, text


def test_policy_lets_nothing_else_in(browser, tmp_path, data):
    """A script that got into the page would still not run, nor a request leave it."""
    content = page_html(data)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', content)[1]
    assert policy.startswith("default-src &#x27;none&#x27;; style-src &#x27;sha256-")
    assert "unsafe" not in policy
    assert "http" not in policy
    (tmp_path / "page.html").write_text(
        content.replace("</body>", "<script>hit()</script><img src=x onerror=hit()></body>")
    )
    page = browser.new_page()
    blocked = []
    page.on("requestfailed", lambda request: blocked.append(request.failure))
    page.add_init_script(HIT)
    page.goto((tmp_path / "page.html").as_uri())
    assert page.evaluate("hits") == 0
    assert blocked == ["csp"]
    page.close()


REFUSED = {
    "": "The line is empty: type one or more digits, or press “another”.",
    "   ": "The line is empty: type one or more digits, or press “another”.",
    "12a3": "Only the digits 0 to 9 can be read, and there is “a”; take it out and go on.",
    "-1": "Only the digits 0 to 9 can be read, and there is “-”; take it out and go on.",
    "1.5": "Only the digits 0 to 9 can be read, and there is “.”; take it out and go on.",
    "1e3": "Only the digits 0 to 9 can be read, and there is “e”; take it out and go on.",
    "٣٤": "Only the digits 0 to 9 can be read, and there is “٣”; take it out and go on.",
    "１２": "Only the digits 0 to 9 can be read, and there is “１”; take it out and go on.",
    "12🙂": "Only the digits 0 to 9 can be read, and there is “🙂”; take it out and go on.",
    "²": "Only the digits 0 to 9 can be read, and there is “²”; take it out and go on.",
    "NaN": "Only the digits 0 to 9 can be read, and there is “N”; take it out and go on.",
    "__proto__": "Only the digits 0 to 9 can be read, and there is “p”; take it out and go on.",
    "1" * 201: "At most 200 digits can be read here, and these are 201; shorten the line.",
    "7" * 10_000: "At most 200 digits can be read here, and these are 10,000; shorten the line.",
}


def test_what_is_no_digits_gets_a_sentence(two):
    line, message = two.locator("#digits"), two.locator("#message")
    verdicts = [".pills", ".card.a .said", ".card.b .ten", "#gradient .chart"]
    for typed, sentence in REFUSED.items():
        line.fill(typed)
        assert message.inner_text() == sentence
        assert line.get_attribute("aria-invalid") == "true"
        # What was said of the line before is no answer to this one.
        assert [v for v in verdicts if two.locator(v).is_visible()] == [], typed
    two.locator("#step").press("Home")  # draws anew
    assert (message.inner_text(), line.get_attribute("aria-invalid")) == (sentence, "true")
    line.fill("1 2 3")
    assert [v for v in verdicts if two.locator(v).is_visible()] == verdicts
    assert message.inner_text().startswith("3 digits")
    assert line.get_attribute("aria-invalid") is None


@pytest.mark.parametrize("length", ["", "1", "0", "-3", "2.5", "202", "1e9"])
def test_odd_lengths_get_a_sentence(two, length):
    two.locator("#length").fill(length)
    two.locator("#another").click()
    assert two.locator("#message").inner_text() == (
        "The length T must be a whole number from 2 to 201; T − 1 digits are read."
    )
    assert not two.locator(".card.a .said").is_visible()
    two.locator("#length").fill("7")
    two.locator("#another").click()
    assert two.locator(".card.a .said").is_visible()


def test_one_digit_and_two_hundred_are_read(two):
    for count in (1, 200):
        two.locator("#digits").fill("9" * count)
        assert two.locator("#message").inner_text().startswith(f"{count} digit")
        assert two.locator(".steps output").inner_text() == f"{count} of {count}"


def test_network_that_diverged_is_shown(open_page):
    """Its weights are not numbers, and nothing it says is: the page says that it does not know."""
    page = open_page(page_of(kept_run("lstm", gain=float("nan")))[0])
    page.locator("#clamp-a-f-1").check()
    assert page.locator("#gradient .finding").text_content() == (
        "LSTM: the gradient is not a number: the network diverged."
    )


def test_console_refuses_what_is_no_digits(two):
    said = two.evaluate(
        """() => { try { digitspan.trace(0, "x"); } catch (e) { return e.message; } }"""
    )
    assert said == REFUSED["12a3"].replace("“a”", "“x”")
