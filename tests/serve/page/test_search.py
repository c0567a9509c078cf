"""The search box and the cards: results, matched views and photos, over a real server in a real browser."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, Route, expect
from search_page import (
    Site,
    box,
    cards,
    chip,
    expect_count,
    expect_in_console,
    ids,
)
from toys import toy_shop

from wares.data.listings import Listing
from wares.serve.settings import ServeSettings


def test_an_empty_search_shows_all_listings_and_examples(page: Page, site: str) -> None:
    page.goto(site)
    expect_count(page, "60 listings")
    assert ids(page)[:2] == ["g001", "g002"]
    example = page.get_by_role("group", name="Examples").get_by_role("button").first
    words = example.inner_text()
    example.click()
    expect(box(page)).to_have_value(words)
    expect(page.locator("#main-hits .matched").first).to_be_visible()
    expect(page.get_by_role("group", name="Examples")).to_be_hidden()


def test_results_update_while_typing(page: Page, site: str) -> None:
    page.goto(site)
    box(page).press_sequentially("blue")
    expect(cards(page).first.get_by_role("heading")).to_contain_text("blue")
    expect(page).to_have_url(re.compile(r"\?q=blue$"))
    expect(page).to_have_title("blue – wares")


def test_text_typed_before_the_page_is_ready_is_searched(page: Page, site: str) -> None:
    routes: list[Route] = []
    page.route(re.compile("/readyz"), lambda route: routes.append(route))
    with page.expect_request(re.compile("/readyz")):
        page.goto(site)
    box(page).fill("blue")
    routes[0].continue_()
    expect(cards(page).first.get_by_role("heading")).to_contain_text("blue")
    expect(box(page)).to_have_value("blue")


def test_the_response_of_a_replaced_search_is_ignored(page: Page, site: str) -> None:
    routes: list[Route] = []
    page.route(re.compile(r"/api/search\?q=green"), lambda route: routes.append(route))
    page.goto(site)
    with page.expect_event("requestfailed", lambda request: "q=green" in request.url):
        with page.expect_request(re.compile("q=green")):
            box(page).fill("green")
        box(page).fill("red")
    expect(cards(page).first.get_by_role("heading")).to_contain_text("red")
    expect(page).to_have_url(re.compile("q=red$"))
    assert len(routes) == 1


def test_why_shows_views_and_contributions(page: Page, site: str) -> None:
    page.goto(f"{site}?q=red&filter=price%3E%3D12")
    first = cards(page).first
    matched = first.get_by_role("list", name="What matched").get_by_role("listitem")
    expect(matched.first).to_be_visible()
    percentages = {text.rsplit(" ", 2)[0]: int(text.split()[-2]) for text in matched.all_inner_texts()}
    assert "photo 2" in percentages and 0 < sum(percentages.values()) <= 101
    first.get_by_text("Why").click()
    rows = first.locator("details table")
    expect(rows).to_contain_text(f"{int(ids(page)[0][1:])}-red.png")
    expect(rows.get_by_role("row").filter(has_text="best photo")).to_contain_text("-red.png")
    numbers = [float(text) for text in rows.locator("tbody td:last-child").all_inner_texts()]
    assert sum(numbers) == pytest.approx(float(rows.locator("tfoot td").first.inner_text()), abs=1e-3)


def test_the_best_matching_photo_is_the_main_photo(page: Page, site: str) -> None:
    page.goto(f"{site}?q=red")
    first = cards(page).filter(has=page.locator("img")).first
    main = first.locator(".card-photo img")
    expect(main).to_have_attribute("data-name", re.compile(r"^\d+-red.png$"))  # the listing's second
    expect(main).to_have_attribute("alt", re.compile("photo 2, the best match"))
    expect(first.get_by_role("list", name="Other photos").get_by_role("img")).to_have_attribute("alt", "photo 1")
    page.wait_for_function("image => image.naturalWidth > 0", arg=main.element_handle())


def test_a_photo_that_failed_to_load_is_requested_again(page: Page, site: str) -> None:
    expect_in_console(page, "/api/photos/")
    requested: set[str] = set()

    def abort_first_request(route: Route) -> None:
        is_first = route.request.url not in requested
        requested.add(route.request.url)
        route.abort() if is_first else route.continue_()

    page.route(re.compile("/api/photos/"), abort_first_request)
    page.goto(f"{site}?q=red")
    main = cards(page).filter(has=page.locator("img")).first.locator(".card-photo img")
    page.wait_for_function("image => image.naturalWidth > 0", arg=main.element_handle())


def test_a_photo_that_never_loads_shows_its_alternative_text(page: Page, site: str) -> None:
    expect_in_console(page, "/api/photos/")
    page.route(re.compile("/api/photos/"), lambda route: route.abort())
    page.goto(f"{site}?q=red")
    main = cards(page).filter(has=page.locator("img")).first.locator(".card-photo img")
    expect(main).to_have_class("broken", timeout=10_000)


def test_html_in_listings_is_shown_as_text(page: Page, tmp_path: Path) -> None:
    """The content security policy would report a blocked script in the console."""
    evil = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    listing = Listing(
        evil, evil, evil, (evil,), (f"{evil.replace('/', '')}-red.png",), 1.0, {"colour": evil, "a&lt;b": "c"}
    )
    tame = Listing("tame", "tame", attributes={"colour": "red"})
    running = Site(ServeSettings(shops=(("goods", str(toy_shop(tmp_path, (listing, tame)).path)),))).start_and_open()
    page.goto(f"{running.address}?{urlencode({'q': evil, 'like': 'tame', 'filter': f'attributes.colour={evil}'})}")
    expect_count(page, "1 listing")
    first = cards(page).first
    expect(first.get_by_role("heading")).to_have_text(evil)
    first.get_by_text("Why").click()
    expect(first.locator("details")).to_contain_text(f"#{evil}")
    expect(chip(page, f"colour: {evil}")).to_be_visible()
    expect(page.get_by_role("checkbox", name=evil)).to_be_checked()
    page.wait_for_function("image => image.naturalWidth > 0", arg=first.locator(".card-photo img").element_handle())
    page.goto("about:blank")
    running.stop()


def test_a_bm25_match_is_labelled_words(page: Page, site: str) -> None:
    page.goto(f"{site}?q=red&system=bm25")
    expect(cards(page).first.get_by_role("list", name="What matched")).to_have_text(re.compile(r"words \(BM25\) 100 %"))


def test_an_empty_result_suggests_what_to_do(page: Page, site: str) -> None:
    page.goto(f"{site}?q=zebra&system=bm25")
    expect(page.get_by_text("No results for “zebra”. No listing contains these words")).to_be_visible()
    page.goto(f"{site}?filter=price%3E%3D999")
    expect(page.get_by_text("No listing passes these filters.")).to_be_visible()
    page.get_by_role("button", name="Clear filters").click()
    expect_count(page, "60 listings")
