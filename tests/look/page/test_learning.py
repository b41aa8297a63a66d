"""Networks that learn in the page: every control, the address, the story, the map."""

import json
import re

import pytest
from pages import kept_run, page_of, page_that_learns, until

from digitspan.cells import CELLS, INITIALISATIONS
from digitspan.look.page.learning import learning

START = "#task=palindrome&T=6&rate=0.01&seed=0&cell=rnn,gru&start=uniform,uniform"


@pytest.fixture(scope="module")
def content():
    return page_that_learns()


@pytest.fixture
def page(open_page, content):
    """An RNN and a GRU that are to learn T = 6."""
    tab = open_page(content)
    go(tab, START)
    return tab


def go(page, address):
    """Change what follows the # as a person does, and wait for the page to follow."""
    page.evaluate(
        """(address) => location.hash === address || new Promise((done) => {
          addEventListener("hashchange", () => setTimeout(done), { once: true });
          location.hash = address;
        })""",
        address,
    )


def address(page):
    """What stands behind the #, by name."""
    parts = page.evaluate("location.hash").removeprefix("#").split("&")
    return dict(part.split("=", 1) for part in parts)


def count(page):
    return int(re.search(r"step (\d+)", page.locator("#learn-count").inner_text())[1])


def text(page, selector):
    return page.locator(selector).text_content().strip()


def pressed(selector, *keys):
    def act(page):
        page.locator(selector).focus()
        for key in keys:
            page.keyboard.press(key)

    return act


def click(selector):
    return lambda page: page.locator(selector).click()


def choose(selector, value):
    return lambda page: page.locator(selector).select_option(value)


def fill(selector, value):
    """Type a number and leave the field."""
    return lambda page: (page.locator(selector).fill(value), page.locator(selector).blur())


def of_address(name):
    return lambda page: address(page)[name]


def asked_beyond(page):
    """Whether networks of T = 6 are asked at more than twice that; drawn where it is seen."""
    page.locator("#story-beyond").scroll_into_view_if_needed()
    page.wait_for_timeout(200)
    return int(text(page, "#screen-beyond label").rpartition(" ")[2]) > 2 * 6


def off_middle(selector):
    """Press a slider right of its middle."""

    def act(page):
        slider = page.locator(selector)
        slider.scroll_into_view_if_needed()
        box = slider.bounding_box()
        page.mouse.click(box["x"] + 0.7 * box["width"], box["y"] + box["height"] / 2)

    return act


def counted(page):
    return count(page) >= 10


def running(page):
    return text(page, "#learn-start")


CONTROLS = {
    "task": (
        [choose("#learn-task", "recall"), pressed("#learn-task", "ArrowDown")],
        of_address("task"),
        "recall",
    ),
    "T": (
        [fill("#learn-T", "7"), pressed("#learn-T", "Control+a", "7", "Enter")],
        of_address("T"),
        "7",
    ),
    "rate": (
        [off_middle("#learn-rate"), pressed("#learn-rate", "End")],
        lambda page: address(page)["rate"] == "0.01",
        False,
    ),
    "seed": (
        [fill("#learn-seed", "4"), pressed("#learn-seed", "Control+a", "4", "Enter")],
        of_address("seed"),
        "4",
    ),
    "first cell": (
        [choose("#learn-cell-1", "lstm"), pressed("#learn-cell-1", "l")],
        of_address("cell"),
        "lstm,gru",
    ),
    "second cell": (
        [choose("#learn-cell-2", "none"), pressed("#learn-cell-2", "End")],
        of_address("cell"),
        "rnn",
    ),
    "first start": (
        [choose("#learn-start-1", "identity"), pressed("#learn-start-1", "i")],
        of_address("start"),
        "identity,uniform",
    ),
    "second start": (
        [choose("#learn-start-2", "chrono"), pressed("#learn-start-2", "c")],
        of_address("start"),
        "uniform,chrono",
    ),
    "start": ([click("#learn-start"), pressed("#learn-start", "Space")], running, "pause"),
    "steps": ([click("#learn-step"), pressed("#learn-step", "Enter")], counted, True),
    "rate of the story": (
        [off_middle("#story-rate"), pressed("#story-rate", "Home")],
        lambda page: address(page)["rate"] == "0.01",
        False,
    ),
    "start in the story": (
        [click("#story-start"), pressed("#story-start", "Enter")],
        running,
        "pause",
    ),
    "length beyond training": (
        [off_middle("#story-beyond"), pressed("#story-beyond", "End")],
        asked_beyond,
        True,
    ),
    "T of the map": (
        [off_middle("#story-T"), pressed("#story-T", "End", "ArrowLeft")],
        lambda page: int(address(page)["T"]) > 15,
        True,
    ),
    "rate of the map": (
        [off_middle("#story-map-rate"), pressed("#story-map-rate", "End")],
        lambda page: address(page)["rate"] == "0.01",
        False,
    ),
    "start at the map": (
        [click("#story-map-start"), pressed("#story-map-start", "Enter")],
        running,
        "pause",
    ),
    "another": (
        [click("#story-another"), pressed("#story-another", "Enter")],
        lambda page: page.locator("#digits").input_value() != page.evaluate("first"),
        True,
    ),
    "other first digit": (
        [
            lambda page: page.locator("#story-other").select_option(index=8),
            pressed("#story-other", "End"),
        ],
        lambda page: (
            page.locator("#story-other").input_value() == page.locator("#other").input_value()
            and page.locator("#story-other option").last.get_attribute("value")
            == page.locator("#other").input_value()
        ),
        True,
    ),
    "length asked": (
        [off_middle("#story-length"), pressed("#story-length", "PageUp")],
        lambda page: len(page.locator("#digits").input_value()) > 8,
        True,
    ),
    "gate": (
        [click("#story-gate-1"), pressed("#story-gate-0", "ArrowRight")],
        lambda page: page.locator("#chips button").all_inner_texts(),
        ["GRU: z held at 1 ✕"],
    ),
}


@pytest.mark.parametrize("control", CONTROLS)
def test_control_works_by_mouse_and_by_keyboard(page, control):
    acts, look, expected = CONTROLS[control]
    for act in acts:
        page.evaluate("globalThis.first = document.getElementById('digits').value")
        assert look(page) != expected
        act(page)
        for _ in range(10_000):  # the worker, and some browsers, tell a moment later
            if look(page) == expected:
                break
            page.wait_for_timeout(50)
        assert look(page) == expected
        go(page, "#T=5")  # away, and back to where it began
        page.locator("#story-other").select_option(index=0)
        if page.locator("#chips button").count():
            page.locator("#chips button").first.click()
        if running(page) == "pause":
            page.locator("#learn-start").click()
        go(page, START)


def test_every_control_of_the_learning_part_is_named_above(page):
    ids = page.evaluate("""() => [
        ...document.querySelectorAll("#story, #learn")].flatMap((part) =>
          [...part.querySelectorAll("input, select, button")])
      .filter((element) => element.offsetParent !== null).map((element) => element.id)""")
    tested = {"learn-task", "learn-T", "learn-rate", "learn-seed", "learn-start", "learn-step"}
    tested |= {f"learn-{what}-{k}" for what in ("cell", "start") for k in (1, 2)}
    tested |= {"learn-again"}  # below, by itself
    tested |= {f"story-{part}" for part in ("another", "other", "length", "rate", "start", "T")}
    tested |= {
        "story-beyond",
        "story-map-rate",
        "story-map-start",
        *(f"story-gate-{k}" for k in range(3)),
    }
    assert set(ids) == tested


def test_no_id_stands_twice(page):
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(({ id }) => id)")
    assert sorted(set(ids)) == sorted(ids)


def test_every_control_has_a_name_and_every_picture_words(page):
    nameless = page.evaluate("""() => [
        ...document.querySelectorAll("input, select, button")]
      .filter((e) => !(e.labels?.length || e.textContent.trim() || e.getAttribute("aria-label")))
      .map((e) => e.outerHTML)""")
    assert nameless == []
    pictures = page.evaluate("""() => [
        ...document.querySelectorAll("#story svg:not(.swatch), #learn svg:not(.swatch)")]
      .map((picture) => picture.getAttribute("aria-label") ?? "")""")
    assert len(pictures) == 8
    assert [words for words in pictures if len(words) < 30] == []


def test_pressing_the_map_trains_there(page):
    plane = page.locator(".plane").first
    plane.scroll_into_view_if_needed()
    box = plane.bounding_box()
    plane.click(position={"x": box["width"] - 12, "y": 8})
    found = address(page)
    assert int(found["T"]) == 30
    assert float(found["rate"]) > 0.5


def test_training_takes_nothing_out_of_a_persons_hands(page):
    """While pictures are drawn anew, a list stays open, a number half typed, a press a press."""
    go(page, "#T=30&cell=lstm,gru&rate=0.0001")
    page.locator("#learn-start").click()
    page.locator("#learn-T").focus()
    page.keyboard.press("Control+a")
    page.keyboard.press("1")
    page.evaluate("globalThis.option = document.querySelector('#story-other option')")
    before = count(page)
    page.locator("#screen-forget").scroll_into_view_if_needed()
    until(page, f"!document.getElementById('learn-count').value.startsWith('step {before},')")
    assert page.locator("#learn-T").input_value() == "1"
    assert page.evaluate("option.isConnected")
    page.keyboard.press("5")
    plane = page.locator(".plane").last
    plane.scroll_into_view_if_needed()
    box = plane.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 100)
    page.mouse.down()  # which leaves the number: it is taken
    until(page, "location.hash.includes('T=15')")
    picture = "document.querySelector('.plane svg')"
    page.evaluate(f"globalThis.svg = {picture}")
    until(page, f"svg !== {picture}")
    rate = address(page)["rate"]
    page.mouse.up()
    assert address(page)["rate"] != rate


def test_again_begins_anew_and_pause_holds(page):
    page.locator("#learn-step").click()
    until(page, "document.getElementById('learn-count').value.startsWith('step 10')")
    trained = text(page, ".card.a .facts")
    assert "trained for 10 steps" in trained
    page.wait_for_timeout(300)
    assert count(page) == 10  # it does not go on by itself
    page.locator("#learn-again").click()
    assert count(page) == 0
    assert "not trained yet" in text(page, ".card.a .facts")
    page.locator("#learn-step").click()
    until(page, "document.getElementById('learn-count').value.startsWith('step 10')")
    assert text(page, ".card.a .facts") == trained  # the same seed, the same training


def weights(page):
    return page.evaluate("[...digitspan.training.weights(1).W_ph.data]")


def test_a_link_shows_another_person_the_same(page, open_page, content):
    go(page, "#cell=lstm,rnn&T=7&rate=0.02&seed=3&start=forget-bias-1,orthogonal&digits=123")
    page.locator("#learn-step").click()
    until(page, "document.getElementById('learn-count').value.startsWith('step 10')")
    link = page.evaluate("location.hash")
    shown = text(page, ".card.b .facts"), page.locator("#digits").input_value(), weights(page)
    go(page, "#T=5")
    page.evaluate("(link) => { location.hash = link; location.reload(); }", link)
    page.locator("#learn-count").wait_for()
    assert page.evaluate("location.hash") == link
    page.locator("#learn-step").click()
    until(page, "document.getElementById('learn-count').value.startsWith('step 10')")
    again = text(page, ".card.b .facts"), page.locator("#digits").input_value(), weights(page)
    assert again == shown
    assert shown[1] == "123"


def test_one_cell_in_the_address_is_one_network(page):
    go(page, "#cell=lstm&T=12&rate=0.01&seed=3")
    assert page.locator(".card").count() == 1
    assert address(page) == {
        "task": "palindrome", "T": "12", "rate": "0.01", "seed": "3", "cell": "lstm",
        "start": "uniform",
    }  # fmt: skip
    assert page.locator("#learn-cell-2").input_value() == "none"


USUAL = {
    "task": "palindrome", "T": "15", "rate": "0.003", "seed": "0", "cell": "rnn,lstm",
    "start": "uniform,uniform",
}  # fmt: skip

BAD = {
    "T=4": ("T must be a whole number from 5 to 30, and is “4”; taken is 15.", {}),
    "T=31": ("T must be a whole number from 5 to 30, and is “31”; taken is 15.", {}),
    "T=": ("T must be a whole number from 5 to 30, and is “”; taken is 15.", {}),
    "T=1e1": ("", {"T": "10"}),
    "T=0x10": ("T must be a whole number from 5 to 30, and is “0x10”; taken is 15.", {}),
    "T=7.5": ("T must be a whole number from 5 to 30, and is “7.5”; taken is 15.", {}),
    "task=recall&T=7": (
        "T must be an even number from 6 to 30, twice the digits of the list, and is “7”; "
        "taken is 10.",
        {"task": "recall", "T": "10"},
    ),
    "task=copy": ("task must be palindrome or recall, and is “copy”; taken is palindrome.", {}),
    "rate=0": ("rate must be a number from 0.0001 to 1, and is “0”; taken is 0.003.", {}),
    "rate=-1": ("rate must be a number from 0.0001 to 1, and is “-1”; taken is 0.003.", {}),
    "rate=NaN": ("rate must be a number from 0.0001 to 1, and is “NaN”; taken is 0.003.", {}),
    "rate=1e-9": ("rate must be a number from 0.0001 to 1, and is “1e-9”; taken is 0.003.", {}),
    "seed=-1": ("seed must be a whole number from 0 to 9999, and is “-1”; taken is 0.", {}),
    "cell=foo": (
        "cell must be one or two of rnn, lstm, relu-rnn, gru, peephole-lstm or mingru, with a "
        "comma between, and is “foo”; taken is rnn beside lstm.",
        {},
    ),
    "cell=rnn,rnn,rnn": (
        "cell must be one or two of rnn, lstm, relu-rnn, gru, peephole-lstm or mingru, with a "
        "comma between, and is “rnn,rnn,rnn”; taken is rnn beside lstm.",
        {},
    ),
    "cell=__proto__": (
        "cell must be one or two of rnn, lstm, relu-rnn, gru, peephole-lstm or mingru, with a "
        "comma between, and is “__proto__”; taken is rnn beside lstm.",
        {},
    ),
    "start=identity": (
        "start must be for lstm one of uniform, normal, orthogonal, forget-bias-1 or chrono, and "
        "is “identity”; taken is uniform beside uniform.",
        {},
    ),
    "cell=gru&start=uniform,uniform": (
        "start must be one, or as many as there are cells, and is “uniform,uniform”; taken is "
        "uniform.",
        {"cell": "gru", "start": "uniform"},
    ),
    "digits=12x": (
        "digits must be up to 60 digits, and is “12x”; taken is a line drawn at random.",
        {},
    ),
    "T=6&T%20=9": ("", {"T": "6"}),
    "seed=%E0%A4%A": (
        "seed must be a whole number from 0 to 9999, and is “%E0%A4%A”; taken is 0.",
        {},
    ),
    f"seed={'9' * 50}": (
        f"seed must be a whole number from 0 to 9999, and is “{'9' * 40}…”; taken is 0.",
        {},
    ),
}


def test_bad_values_in_the_address_end_in_a_sentence(page):
    for bad, (sentence, changed) in BAD.items():
        go(page, f"#{bad}")
        shown = text(page, "#address")
        if sentence:
            assert shown == f"In the address, {sentence}", bad
        assert address(page) == USUAL | changed, bad
        assert page.locator("#learn-T").input_value() == (USUAL | changed)["T"]
    go(page, "#cel=rnn")
    assert text(page, "#address") == (
        "The address has “cel”, which is none of task, T, rate, seed, cell, start, digits; it is "
        "left aside."
    )
    go(page, "#T=%3Cimg%20src=x%20onerror=alert(1)%3E")
    assert "“<img src=x onerror=alert(1)>”" in text(page, "#address")
    go(page, "#T=9")
    assert text(page, "#address") == ""


def test_odd_numbers_typed_get_a_sentence_and_change_nothing(page):
    page.locator("#learn-T").fill("99")
    page.locator("#learn-T").blur()
    assert text(page, "#learn-message") == ("T must be a whole number from 5 to 30, and is “99”.")
    assert address(page)["T"] == "6"
    page.locator("#learn-T").fill("8")
    page.locator("#learn-T").blur()
    assert text(page, "#learn-message") == ""
    assert address(page)["T"] == "8"


def test_typed_digits_stand_in_the_address_until_others_are_drawn(page):
    page.locator("#digits").fill("12321")
    assert address(page)["digits"] == "12321"
    page.locator("#another").click()
    assert "digits" not in address(page)


ACCURACY = """(k) => {
  const { network, weights, fresh } = digitspan.training;
  const learner = network(["rnn", "gru"][k], weights(k), 0);
  return learner.evaluate(fresh({ asks: null, length: 7 })).accuracy;
}"""


def test_training_to_the_end_is_told_as_it_was(page):
    """T = 7 is solved by both; who is first turns with the rate: in words, cards and map."""
    steps = {}
    for rate in ("0.03", "0.003"):
        go(page, START.replace("T=6", "T=7").replace("0.01", rate))
        page.locator("#learn-start").click()
        until(page, "document.getElementById('learn-start').textContent === 'start'")
        found = page.locator("#learn-findings p").all_inner_texts()
        for k, (title, words) in enumerate(zip(("RNN", "GRU"), found, strict=True)):
            count_of = re.fullmatch(rf"{title}: solved after (\d+) steps\.", words)[1]
            steps[title, rate] = int(count_of)
            assert steps[title, rate] % 50 == 0
            assert f"solved after {count_of} steps" in text(page, f".card.{'ab'[k]} .facts")
            # Computed anew from the weights that it ended with.
            assert page.evaluate(ACCURACY, k) >= 0.99
        assert page.locator("#learn-start").is_disabled()
    assert steps["RNN", "0.003"] < steps["GRU", "0.003"]
    assert steps["RNN", "0.03"] > steps["GRU", "0.03"]
    assert text(page, "#story-runs") == (
        "Your runs at T = 7: at 0.003 RNN is ahead, at 0.03 GRU is ahead. It has turned: nothing "
        "but the rate was changed."
    )
    assert page.locator(".plane .run.mine.solved").count() == 4
    assert page.locator(".plane .run.mine").count() == 4
    go(page, START.replace("T=6", "T=5").replace("0.01", "0.003"))  # no runs there yet
    assert text(page, "#story-runs") == ""
    page.locator("#learn-start").click()
    until(page, "document.getElementById('learn-start').textContent === 'start'")
    assert text(page, "#story-runs") == "Your runs at T = 5: at 0.003 RNN is ahead."
    # What the card says of the digits on show is what the network of this page computes.
    digits = page.locator("#digits").input_value()
    said = page.evaluate("(digits) => digitspan.trace(0, digits).predictions.at(-1)", digits)
    assert text(page, ".card.a .said") == str(said)


def test_training_pauses_at_the_budget_and_can_go_on(page):
    """A rate that is too low: after 1,000 steps it stands on the map as not solved, for good."""
    go(page, "#T=7&cell=rnn&rate=0.0001")
    page.locator("#learn-start").click()
    until(page, "document.getElementById('learn-start').textContent === 'start'")
    assert page.locator("#learn-count").inner_text().startswith("step 1,000")
    assert page.locator(".plane .run.mine.censored").count() == 1
    assert "trained for 1,000 steps" in text(page, ".card.a .facts")
    page.locator("#learn-step").click()
    until(page, "document.getElementById('learn-count').value.startsWith('step 1,010')")
    assert page.locator(".plane .run.mine").count() == 1


def test_lists_are_learned_too(page):
    go(page, "#task=recall&T=6&cell=gru&rate=0.01")
    assert text(page, "#lead").startswith("A list of digits is read.")
    assert text(page, "#screen-remember .look").startswith("Read these digits one by one")
    assert text(page, "#screen-remember h2") == "Remember the list"
    assert len(page.locator("#digits").input_value()) == 3
    page.locator("#learn-step").click()
    until(page, "document.getElementById('learn-count').value.startsWith('step 10')")
    assert "of fresh lists right" in text(page, ".card.a .facts")
    assert page.locator(".place").count() == 3
    page.locator("#story-map-start").click()  # the map is of palindromes
    assert address(page)["task"] == "palindrome"
    assert running(page) == "pause"
    assert text(page, "#screen-remember h2") == "Remember the first digit"


def test_without_a_worker_the_page_says_so(open_page, content):
    page = open_page(content, init="delete globalThis.Worker;")
    assert text(page, "#learn-message") == (
        "This browser starts no worker for a page of its own, so nothing can be trained here; "
        "try another one."
    )
    assert page.locator(".card").count() == 2  # the untrained networks can be looked at


def test_trained_networks_come_back(open_page):
    page = open_page(page_of(kept_run("rnn"), kept_run("lstm"))[0])
    assert not page.locator("#story").is_visible()
    before = page.locator(".pills").inner_text(), page.locator("#digits").input_value()
    page.locator("#learn-enter").click()
    assert page.locator("#story").is_visible()
    assert page.evaluate("document.activeElement.id") == "learn-start"
    assert address(page) == USUAL
    assert "not trained yet" in text(page, ".card.a .facts")
    page.locator("#learn-leave").click()
    assert not page.locator("#story").is_visible()
    assert (page.locator(".pills").inner_text(), page.locator("#digits").input_value()) == before
    assert "Trained at T = 9" in text(page, ".card.a .facts")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_at_any_width(page, scheme):
    page.emulate_media(color_scheme=scheme)
    for width in (1440, 768, 360):
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_timeout(100)  # the pictures are drawn anew
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_page_without_networks_is_small(content):
    assert len(content.encode()) < 600_000


def test_page_knows_the_cells_and_starts_of_the_registry():
    facts = learning()
    assert list(facts["cells"]) == list(CELLS)
    for name, cell in CELLS.items():
        assert facts["cells"][name]["starts"] == list(cell.initialisations)
    assert facts["starts"] == INITIALISATIONS
    json.dumps(facts)
