"""Every control, by mouse and by keyboard alone; the words that stand for the pictures."""

import re

import pytest
from pages import kept_run, page_of

from digitspan.look.page.choose import StudyCurves
from digitspan.look.probe import trace
from digitspan.training.engine import load_network


@pytest.fixture
def page(open_page):
    """An RNN beside an LSTM, of a study whose third network can be chosen; the RNN on its way."""
    runs = kept_run("rnn", snapshots=(0, 400)), kept_run("lstm"), kept_run("lstm", length=5)
    rnn, *lstms = (run.record for run in runs)
    curves = {"rnn": [rnn], "lstm": lstms}
    return open_page(page_of(*runs, study=StudyCurves(curves, "A study."))[0])


def text(page, selector):
    """The text of an element, whether or not it is in sight."""
    return page.locator(selector).text_content().strip()


def chips(page):
    return page.locator("#chips button").all_inner_texts()


def click(selector):
    return lambda page: page.locator(selector).click()


def keys(selector, *pressed):
    def act(page):
        page.locator(selector).focus()
        for key in pressed:
            page.keyboard.press(key)

    return act


def choose(selector, value):
    return lambda page: page.locator(selector).select_option(value)


def fill(selector, value):
    return lambda page: page.locator(selector).fill(value)


LAST_HEIGHTS = "(lines) => lines.map((line) => line.points[line.points.length - 1].y)"


def drag_step(page):
    box = page.locator("#step").bounding_box()
    page.mouse.click(box["x"] + 2, box["y"] + box["height"] / 2)


CONTROLS = {
    "digits": (
        [fill("#digits", "12"), keys("#digits", "Control+a", "1", "2")],
        lambda page: text(page, "#message"),
        "2 digits of a palindrome of length T = 3. Its last digit must be the first one, 1.",
    ),
    "another": (
        [click("#another"), keys("#another", "Enter")],
        lambda page: page.evaluate("digits.value !== (globalThis.before ??= digits.value)"),
        True,
    ),
    "length": (
        [
            lambda page: (page.locator("#length").fill("7"), page.locator("#another").click()),
            keys("#length", "Control+a", "7", "Enter"),
        ],
        lambda page: len(page.locator("#digits").input_value()),
        6,
    ),
    "step": (
        [drag_step, keys("#step", "Home")],
        lambda page: text(page, ".steps output"),
        "1 of 8",
    ),
    "play": (
        [click("#play"), keys("#play", "Space")],
        lambda page: text(page, "#play"),
        "stop",
    ),
    "relative": (
        [click("#relative"), keys("#relative", "Space")],
        lambda page: len(
            set(page.locator("#gradient .chart polyline").evaluate_all(LAST_HEIGHTS))
        ),
        1,  # all curves end at the same height
    ),
    "other first digit": (
        [choose("#other", "9"), keys("#other", "9")],
        lambda page: page.locator("#other").input_value(),
        "9",
    ),
    "length beyond training": (
        [fill("#beyond-length", "30"), keys("#beyond-length", "End")],
        lambda page: text(page, "#beyond label") in ("Ask at T = 30", "Ask at T = 36"),
        True,
    ),
    "sort": (
        [choose("#sort", "number"), keys("#sort", "n")],
        lambda page: page.locator("#sort").input_value(),
        "number",
    ),
    "unit": (
        [fill("#unit-b", "4"), keys("#unit-b", "Control+a", "4")],
        lambda page: text(page, "#states .column.b .reading")[:6],
        "Unit 4",
    ),
    "cut": (
        [click("#cut-a"), keys("#cut-a", "Enter")],
        lambda page: [re.sub(r"\d+", "N", chip) for chip in chips(page)],
        ["RNN: unit N cut ✕"],
    ),
    "clamp": (
        [click("#clamp-b-f-0"), keys("#clamp-b-f-free", "ArrowRight")],
        chips,
        ["LSTM: f held at 0 ✕"],
    ),
    "another network": (
        [choose("#network-b", "2"), keys("#network-b", "ArrowDown")],
        lambda page: "T = 5" in text(page, ".card.b .facts"),
        True,
    ),
    "on its way": (
        [fill("#way-a", "1"), keys("#way-a", "ArrowLeft")],
        lambda page: (chips(page), text(page, ".card.a .way output")),
        (["RNN: after 400 of 10,000 steps ✕"], "after 400 of 10,000 steps"),
    ),
    "table": (
        [click("summary"), keys("summary", "Enter")],
        lambda page: page.locator("#numbers tbody tr").count(),
        8,
    ),
}


@pytest.mark.parametrize("control", CONTROLS)
def test_control_works_by_mouse_and_by_keyboard(page, control):
    (by_mouse, by_keyboard), look, expected = CONTROLS[control]
    for act in (by_mouse, by_keyboard):
        assert look(page) != expected
        act(page)
        for _ in range(20):  # a browser tells of some changes a moment later
            if look(page) == expected:
                break
            page.wait_for_timeout(50)
        assert look(page) == expected
        page.reload()


def test_every_control_is_tested(page):
    """What can be pressed, typed into or chosen is named above (radio buttons as their group)."""
    controls = page.evaluate("""() => [
        ...document.querySelectorAll("input, select, button, summary")]
      .filter((element) => element.offsetParent !== null && element.className !== "moment")
      .map((element) => element.id || element.tagName)""")
    named = {"digits", "another", "length", "step", "play", "relative", "other", "sort", "SUMMARY"}
    named |= {
        "unit-a",
        "unit-b",
        "cut-a",
        "cut-b",
        "network-b",
        "way-a",
        "learn-enter",
        "beyond-length",
    }
    named |= {f"clamp-b-{gate}-{value}" for gate in "gifo" for value in ("free", "0", "1")}
    assert set(controls) == named


def test_every_control_is_reached_with_the_tab_key(page):
    reached, is_new = [], True
    while is_new:  # of some elements the tag is all the name they have, so they are marked
        page.keyboard.press("Tab")
        reached.append(page.evaluate(FOCUSED))
        is_new = page.evaluate("""() => {
            const before = document.activeElement.reached;
            document.activeElement.reached = true;
            return !before;
        }""")
    groups = {f"clamp-b-{gate}-free" for gate in "gifo"}  # arrow keys choose within a group
    named = {"digits", "another", "length", "step", "play", "relative", "other", "sort", "SUMMARY"}
    named |= {
        "unit-a",
        "unit-b",
        "cut-a",
        "cut-b",
        "network-b",
        "way-a",
        "learn-enter",
        "beyond-length",
    }
    assert named | groups <= set(reached)


FOCUSED = """() => {
  const element = document.activeElement;
  return element.id || element.tagName;
}"""


def test_every_control_has_a_name(page):
    page.locator("#digits").fill("121")  # shows the button that takes the last digit away
    nameless = page.evaluate("""() => [
        ...document.querySelectorAll("input, select, button, summary")]
      .filter((e) => !(e.labels?.length || e.textContent.trim() || e.getAttribute("aria-label")))
      .map((e) => e.outerHTML)""")
    assert nameless == []


def test_pressing_a_map_follows_its_unit_and_takes_its_step(page):
    page.locator("#sort").select_option("number")
    canvas = page.locator("#states .column.a canvas").first
    box = canvas.bounding_box()
    # 12 units in 192 pixels, 8 steps between the gutter and the margin: the third unit, step 2.
    x = 46 + 1.5 * (box["width"] - 46 - 12) / 8
    canvas.click(position={"x": x, "y": 2.5 * 192 / 12})
    assert page.locator("#unit-a").input_value() == "3"
    assert text(page, ".steps output") == "2 of 8"


def test_chips_take_changes_back(page):
    before = probabilities(page)
    page.locator("#clamp-b-f-0").check()
    page.locator("#cut-b").click()
    assert len(chips(page)) == 2
    assert probabilities(page) != before
    for _ in range(2):
        page.locator("#chips button").first.click()
    assert chips(page) == []
    assert page.locator("#clamp-b-f-free").is_checked()
    assert probabilities(page) == before


def probabilities(page):
    """The LSTM's ten bars in words."""
    return page.locator(".card.b .ten").get_attribute("aria-label")


def test_held_forget_gate_empties_the_cell(page):
    """With f = 0, equation (8) leaves c(t) = g(t) i(t): the first digit is gone at once."""
    page.locator("#clamp-b-f-0").check()
    page.locator("#clamp-b-i-0").check()
    page.locator("#states .column.b canvas").first.wait_for()
    assert "h = 0.000, c = 0.000" in text(page, "#states .column.b .reading")
    assert "nothing at all reaches step 1" in text(page, "#gradient .finding")
    # What it says is then no memory, even where it happens to be right.
    said = text(page, ".card.b .said")
    page.locator("#digits").fill(f"{said}12")
    sentence = text(page, ".card.b .sentence")
    assert sentence.endswith(f"Right, but it says {said} with another first digit as well.")


def test_network_on_its_way_answers_by_its_weights_of_then(page):
    """At step 0 it is the untrained network; taken back, the trained one."""
    trained = text(page, ".card.a .said"), page.locator(".card.a .ten").get_attribute("aria-label")
    page.locator("#way-a").fill("0")
    assert text(page, ".card.a .way output") == "untrained"
    line = page.locator("#digits").input_value()
    network = load_network(*kept_weights(kept_run("rnn", gain=1.0)))
    expected = trace(network, [int(digit) for digit in line]).probabilities[-1]
    label = page.locator(".card.a .ten").get_attribute("aria-label")
    shares = [float(share) for share in re.findall(r"\d ([\d.]+) %", label)]
    assert shares == pytest.approx(100 * expected, abs=0.51)
    page.locator("#chips button").click()
    label = page.locator(".card.a .ten").get_attribute("aria-label")
    assert (text(page, ".card.a .said"), label) == trained
    assert text(page, ".card.a .way output") == "after all 10,000 steps"
    assert not page.locator("#way-b").is_visible()  # nothing was kept of it


def kept_weights(run):
    return run.config, run.weights


def test_ringed_mark_loads_its_network(page):
    page.locator('[data-load="2"]').dispatch_event("click")
    assert "T = 5" in text(page, ".card.b .facts")
    assert len(page.locator("#digits").input_value()) == 4


def test_whole_palindrome_can_lose_its_last_digit(page):
    page.locator("#digits").fill("12321")
    assert "already a whole palindrome" in text(page, "#message")
    page.locator("#drop").click()
    assert page.locator("#digits").input_value() == "1232"
    assert not page.locator("#drop").is_visible()


def test_another_comes_from_the_held_out_palindromes(open_page):
    content, data = page_of(kept_run("rnn", length=9))
    page = open_page(content)
    shown = [page.locator("#digits").input_value()]
    for _ in range(5):
        page.locator("#another").click()
        shown.append(page.locator("#digits").input_value())
    assert set(shown) <= set(data["examples"]["9"])
    assert len(set(shown)) == 6
    assert "It was kept out of training." in text(page, "#message")


def test_playing_comes_to_the_last_step(page):
    page.locator("#digits").fill("123")
    page.locator("#step").press("Home")
    page.locator("#play").click()
    page.locator(".steps output", has_text="3 of 3").wait_for()
    page.locator("#play", has_text="play").wait_for()


def test_every_picture_says_in_words_what_it_shows(page):
    pictures = page.evaluate("""() => [
        ...document.querySelectorAll("canvas, svg:not(.swatch), .ten")]
      .map((picture) => picture.getAttribute("aria-label") ?? "")""")
    assert len(pictures) == 16
    assert [words for words in pictures if len(words) < 30] == []


def test_nothing_sticks_out_at_any_width(page):
    page.locator("#digits").fill("6" * 200)
    for width in (1440, 768, 360):
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_timeout(100)  # the pictures are drawn anew
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        if width == 360:  # the gradient is a screen of its own there
            page.locator("#screen").select_option("2")
        page.locator("#gradient .chart svg").wait_for(timeout=5_000)  # drawn in its turn
        wide = page.locator("#gradient .chart svg").bounding_box()["width"]
        assert wide == page.locator("#gradient .chart").bounding_box()["width"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(page, scheme):
    """A contrast of 4.5 to 1, as WCAG 2 asks for text, of all inks on both grounds."""
    page.emulate_media(color_scheme=scheme)
    names = ["ink", "muted", "a", "b", "paper", "card"]
    colours = page.evaluate(
        """(names) => names.map((name) =>
      getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim())""",
        names,
    )
    light = dict(zip(names, map(luminance, colours), strict=True))
    for ink in ("ink", "muted", "a", "b"):
        for ground in ("paper", "card"):
            low, high = sorted([light[ink], light[ground]])
            assert (high + 0.05) / (low + 0.05) >= 4.5, (ink, ground)


def luminance(colour):
    """Relative luminance of #rrggbb (WCAG 2)."""
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
