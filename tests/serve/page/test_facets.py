"""Filters, ranges, chips and pages."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect
from search_page import (
    cards,
    chip,
    expect_count,
)


def test_checked_values_of_a_facet_are_alternatives_and_chips_remove_them(page: Page, site: str) -> None:
    page.goto(site)
    page.get_by_role("checkbox", name=re.compile("^red")).check()
    expect_count(page, "20 listings")
    expect(page.get_by_role("checkbox", name=re.compile("^blue"))).to_be_visible()  # can still be added
    page.get_by_role("checkbox", name=re.compile("^blue")).check()
    expect_count(page, "40 listings")
    page.get_by_role("checkbox", name=re.compile("^true")).check()
    expect_count(page, "20 listings")
    expect(page).to_have_url(re.compile("filter=attributes.odd%3Dtrue"))
    chip(page, "colour: red").click()
    expect_count(page, "10 listings")
    expect(page.get_by_role("checkbox", name=re.compile("^red"))).not_to_be_checked()
    expect(chip(page, "colour: blue")).to_be_focused()  # where the keyboard goes on


def test_a_facet_of_lists_matches_lists_with_the_value(page: Page, site: str) -> None:
    page.goto(site)
    page.get_by_role("checkbox", name=re.compile("^m ")).check()
    expect_count(page, "20 listings")


def test_a_price_range_filters(page: Page, site: str) -> None:
    page.goto(site)
    most = page.get_by_role("spinbutton", name="price to")
    expect(most).to_have_attribute("placeholder", "59")
    most.fill("10")
    most.press("Enter")
    expect_count(page, "10 listings")
    page.get_by_role("spinbutton", name="price from").fill("9.5")
    most.focus()
    expect_count(page, "1 listing")
    expect(page).to_have_url(re.compile(r"filter=price%3E%3D9.5&filter=price%3C%3D10"))
    chip(page, "price: from 9.5").click()
    expect_count(page, "10 listings")
    expect(page.get_by_role("spinbutton", name="price from")).to_have_value("")
    most.fill("1000")  # beyond what there is
    most.press("Enter")
    expect_count(page, "59 listings")


def test_pages_and_page_size(page: Page, site: str) -> None:
    page.goto(site)
    page.get_by_role("link", name="Page 2", exact=True).click()
    expect(page.locator("#main-hits .id").first).to_have_text("g021")
    page.get_by_label("Per page").select_option("50")
    expect(cards(page)).to_have_count(50)
    expect(page).to_have_url(re.compile(r"\?per_page=50$"))  # from the beginning
