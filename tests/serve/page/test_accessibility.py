"""Keyboard, contrast, names of controls, narrow windows."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect
from search_page import (
    box,
    cards,
    chip,
    expect_count,
    photo,
)


def test_every_control_works_by_keyboard(page: Page, site: str) -> None:
    page.goto(site)
    expect_count(page, "60 listings")
    page.keyboard.press("Shift+Tab")  # the page begins in the search box
    expect(page.get_by_role("link", name="Skip to the results")).to_be_focused()
    page.keyboard.press("/")
    expect(box(page)).to_be_focused()
    page.keyboard.type("blue/")  # a slash in the box is a slash
    expect(box(page)).to_have_value("blue/")
    page.keyboard.press("Escape")
    expect(box(page)).to_have_value("")
    page.keyboard.type("green")
    expect(cards(page).first.get_by_role("heading")).to_contain_text("green")
    page.keyboard.press("Tab")  # clears
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Photo", exact=True)).to_be_focused()
    checkbox = page.get_by_role("checkbox", name=re.compile("^green"))
    while not checkbox.evaluate("box => box === document.activeElement"):
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect_count(page, "20 listings")
    more = page.get_by_role("button", name=re.compile("^More like")).first
    while not more.evaluate("button => button === document.activeElement"):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name=re.compile("^Remove more like"))).to_be_visible()


@pytest.mark.parametrize(
    "query", ["", "?q=red&like=g003&filter=price%3C%3D50", "?q=red&compare=true&other_system=bm25"]
)
def test_the_page_is_no_wider_than_the_window(page: Page, site: str, query: str) -> None:
    page.goto(site + query)
    expect(cards(page).first).to_be_visible()
    for width in (360, 390, 820, 1600):
        page.set_viewport_size({"width": width, "height": 844})
        page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
        assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth"), width
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert len(page.screenshot()) > 10_000


@pytest.mark.parametrize("page", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True)
def test_text_has_enough_contrast(page: Page, site: str) -> None:
    """Contrast of every text to its background: at least 4.5, as WCAG 2 AA requires for small text."""
    page.goto(f"{site}?q=red&compare=true&other_system=bm25&filter=price%3C%3D50")
    expect(cards(page, "#other-hits").first).to_be_visible()
    assert page.evaluate(CONTRAST) == []


CONTRAST = """() => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgba = (colour) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const light = ([r, g, b]) => [r, g, b].map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const background = (node) => {
        for (; node; node = node.parentElement) {
            const colour = rgba(getComputedStyle(node).backgroundColor);
            if (colour[3] === 255) return colour;
        }
        return rgba("Canvas");
    };
    const low = [];
    for (const node of document.querySelectorAll("body *")) {
        const own = [...node.childNodes].filter((each) => each.nodeType === 3);
        const text = own.map((each) => each.data.trim()).join("");
        if (!text || !node.checkVisibility() || node.closest(".visually-hidden, option")) continue;
        const [a, b] = [light(rgba(getComputedStyle(node).color)), light(background(node))].sort((x, y) => y - x);
        if ((a + 0.05) / (b + 0.05) < 4.5) low.push([text, node.className, (a + 0.05) / (b + 0.05)]);
    }
    return low;
}"""


def test_every_image_and_control_has_a_name(page: Page, site: str) -> None:
    page.goto(f"{site}?q=red&compare=true&other_system=bm25&filter=price%3C%3D50")
    expect(cards(page, "#other-hits").first).to_be_visible()
    page.get_by_label("Photo to search by").set_input_files(photo("red"))
    expect(chip(page, "your photo")).to_be_visible()
    assert page.evaluate("[...document.images].filter((each) => !each.hasAttribute('alt')).length") == 0
    nameless = re.compile(
        r"^\s*- (button|link|searchbox|textbox|checkbox|combobox|spinbutton|navigation|img)\s*(:.*)?$"
    )
    tree = page.locator("body").aria_snapshot()
    assert [line for line in tree.splitlines() if nameless.match(line)] == []
    levels = page.get_by_role("heading").evaluate_all("all => all.map((each) => Number(each.tagName[1]))")
    assert levels[0] == 1 and set(levels) == {1, 2, 3}


def test_results_are_announced_to_screen_readers(page: Page, site: str) -> None:
    page.goto(f"{site}?q=red")
    expect(page.get_by_role("status")).to_have_text(re.compile("60 listings"))


@pytest.mark.parametrize("page", [{"reduced_motion": "reduce"}], indirect=True)
def test_reduced_motion_stops_animations(page: Page, site: str) -> None:
    page.goto(site)
    assert page.locator("#progress").evaluate("bar => getComputedStyle(bar).animationName") == "none"
