"""The address holds the state of the page."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, expect
from search_page import (
    box,
    cards,
    chip,
    expect_count,
    expect_in_console,
    ids,
    new_page,
    photo,
)


def test_the_address_restores_the_whole_state(page: Page, site: str, browser: Browser) -> None:
    page.goto(site)
    expect_count(page, "60 listings")
    page.get_by_label("Photo to search by").set_input_files(photo("red"))
    expect(chip(page, "your photo")).to_be_visible()
    box(page).fill("wool")
    page.get_by_role("spinbutton", name="price to").fill("50")
    page.get_by_role("checkbox", name=re.compile("^red")).check()
    page.get_by_role("checkbox", name=re.compile("^green")).check()
    expect_count(page, "33 listings")
    page.get_by_role("link", name="Page 2", exact=True).click()
    expect(page).to_have_url(re.compile("page=2"))
    expect_count(page, "33 listings")
    expect(cards(page)).to_have_count(13)
    for restored in new_page(browser):
        restored.goto(page.url)
        expect_count(restored, "33 listings")
        assert ids(restored) == ids(page)
        expect(box(restored)).to_have_value("wool")
        expect(restored.get_by_role("checkbox", name=re.compile("^green"))).to_be_checked()
        expect(restored.get_by_role("spinbutton", name="price to")).to_have_value("50")
        expect(chip(restored, "a photo")).to_be_visible()  # the new page has only its token


def test_the_address_works_as_an_api_request(page: Page, site: str) -> None:
    page.goto(f"{site}?q=red&filter=price%3C%3D50&filter=attributes.colour%3Dred&page=1&per_page=50")
    expect_count(page, "16 listings")
    answer = page.request.get(f"{site}api/search?{urlsplit(page.url).query}").json()
    assert [hit["id"] for hit in answer["hits"]] == ids(page)


def test_back_and_forward_restore_states(page: Page, site: str) -> None:
    page.goto(site)
    expect_count(page, "60 listings")
    page.get_by_role("checkbox", name=re.compile("^red")).check()
    expect(page).to_have_url(re.compile("colour%3Dred"))
    page.get_by_role("checkbox", name="Compare").check()
    expect(page).to_have_url(re.compile("compare=true"))
    page.go_back()
    expect(page.locator("#other-column")).to_be_hidden()
    expect_count(page, "20 listings")
    page.go_back()
    expect_count(page, "60 listings")
    expect(page.get_by_role("checkbox", name=re.compile("^red"))).not_to_be_checked()
    page.go_forward()
    expect_count(page, "20 listings")


def test_invalid_parameters_in_the_address_show_errors(page: Page, site: str) -> None:
    expect_in_console(page, "422")
    page.goto(f"{site}?q=red&photo=nonsense")
    refusal = page.get_by_role("alert").filter(has_text="not a valid photo token")
    expect(refusal).to_be_visible()
    chip(page, "a photo").click()
    expect_count(page, "60 listings")
    expect(refusal).to_be_hidden()
    page.goto(f"{site}?shop=nowhere&filter=nonsense%3D1&page=x")
    expect(page.get_by_role("alert").filter(has_text="names no column")).to_be_visible()
    chip(page, "nonsense=1").click()
    expect_count(page, "60 listings")


def test_filters_without_a_facet_work(page: Page, site: str) -> None:
    page.goto(f"{site}?filter=price%3C3&filter=id%21%3Dg001")
    expect_count(page, "1 listing")
    page.get_by_role("checkbox", name=re.compile("^green")).check()
    expect(page).to_have_url(re.compile(r"filter=attributes.colour%3Dgreen&filter=price%3C3&filter=id%21%3Dg001"))
    chip(page, "price<3").click()
    expect_count(page, "20 listings")
