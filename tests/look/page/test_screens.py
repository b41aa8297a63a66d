"""On a phone the page is screens, one at a time; elsewhere it is one page."""

import pytest
from pages import page_that_learns

PHONE = {"width": 390, "height": 844}

ON_SHOW = """() => [...document.querySelectorAll("#story .screen, #laboratory, #verdicts, .panel")]
  .filter((section) => section.offsetParent !== null).map((section) => section.id)"""

NARROW_PICTURES = """() => [...document.querySelectorAll("svg:not(.swatch), canvas")]
  .filter((picture) => picture.getClientRects().length)
  .map((picture) => picture.getBoundingClientRect().width).filter((width) => width < 200)"""


@pytest.fixture
def phone(two):
    two.set_viewport_size(PHONE)
    two.wait_for_timeout(100)
    return two


def gone_through(page):
    """The screens, by the button that goes to the next one; each as low as a page can be."""
    count = page.locator("#screen option").count()
    seen = []
    for k in range(count):
        (section,) = page.evaluate(ON_SHOW)
        seen.append(section)
        assert page.locator("#screen").input_value() == str(k)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], section
        assert page.evaluate("document.documentElement.scrollHeight") < 2_600, section
        assert page.evaluate(NARROW_PICTURES) == [], (
            section
        )  # each is drawn as wide as it is shown
        page.locator("#screen-after").press("Enter")
    return seen


def test_phone_shows_one_screen_at_a_time(phone):
    panels = ["answer", "gradient", "memory", "states", "gates", "beyond", "numbers"]
    assert gone_through(phone) == ["verdicts", *panels]
    phone.locator("#screen-before").press("Enter")
    assert phone.evaluate(ON_SHOW) == ["beyond"]
    phone.locator("#screen").select_option("1")
    assert phone.evaluate(ON_SHOW) == ["answer"]


def test_story_and_training_are_screens_too(open_page):
    page = open_page(page_that_learns())
    page.set_viewport_size(PHONE)
    page.wait_for_timeout(100)
    story = ["remember", "forget", "vanish", "gate", "rate", "beyond", "map"]
    panels = ["answer", "gradient", "memory", "states", "gates", "numbers"]
    expected = [*(f"screen-{name}" for name in story), "laboratory", "verdicts", *panels]
    assert gone_through(page) == expected


def test_button_that_trains_leads_to_its_screen(phone):
    phone.locator("#learn-enter").click()
    assert phone.evaluate(ON_SHOW) == ["laboratory"]
    assert phone.evaluate("document.activeElement.id") == "learn-start"


def test_moment_leads_to_what_the_networks_say_of_it(phone):
    phone.locator("#screen").select_option(label="7 of 8: Sure, and right?")
    button = phone.locator(".moment").first
    line = button.get_attribute("data-line")
    button.click()
    assert phone.evaluate(ON_SHOW) == ["verdicts"]
    assert phone.locator("#digits").input_value() == line


def test_wider_page_is_one_page(phone):
    phone.locator("#screen").select_option("2")
    phone.set_viewport_size({"width": 768, "height": 800})
    phone.wait_for_timeout(100)
    assert not phone.locator("#screens").is_visible()
    assert len(phone.evaluate(ON_SHOW)) == 8
    assert phone.evaluate(NARROW_PICTURES) == []
