"""Progress, waiting for the server, and errors."""

from __future__ import annotations

import re
import threading
from pathlib import Path

from playwright.sync_api import Page, Route, expect
from search_page import (
    Site,
    box,
    cards,
    expect_count,
    expect_in_console,
    open_toy_shop,
)

from wares.serve.settings import ServeSettings
from wares.shop.shop import Shop


def test_retry_after_the_server_was_unreachable(page: Page, settings: ServeSettings) -> None:
    expect_in_console(page, "net::ERR_")
    expect_in_console(page, "503")  # while the shop opens again
    running = Site(settings).start_and_open()
    page.goto(f"{running.address}?q=red")
    expect_count(page, "60 listings")
    running.stop()
    box(page).fill("blue")
    expect(page.get_by_role("alert").filter(has_text="The server cannot be reached.")).to_be_visible()
    expect(page.locator("main.stale #main-hits .card").first).to_be_visible()
    running.start()
    page.get_by_role("button", name="Retry").click()
    expect(cards(page).first.get_by_role("heading")).to_contain_text("blue")
    expect(page.locator("#notice")).to_be_hidden()
    page.goto("about:blank")  # asks for no more photos
    running.stop()


def test_the_page_waits_for_a_shop_that_opens(page: Page, settings: ServeSettings) -> None:
    expect_in_console(page, "503")
    go_on = threading.Event()

    def slowly(folder: Path) -> Shop:
        go_on.wait(30)
        return open_toy_shop(folder)

    running = Site(settings, slowly).start()
    page.goto(running.address)
    expect(page.locator("#notice")).to_contain_text("not all shops are open yet", ignore_case=True)
    go_on.set()
    expect_count(page, "60 listings")
    page.goto("about:blank")  # asks for no more photos
    running.stop()


def test_a_slow_response_shows_progress(page: Page, site: str) -> None:
    page.goto(site)
    expect_count(page, "60 listings")
    routes: list[Route] = []
    page.route(re.compile(r"/api/search\?q=red"), lambda route: routes.append(route))
    box(page).fill("red")
    expect(page.locator("#progress")).to_be_visible()
    expect(page.locator("#notice")).to_contain_text("Still waiting", timeout=8000)
    routes[0].continue_()
    expect(cards(page).first.get_by_role("heading")).to_contain_text("red")
    expect(page.locator("#progress")).to_be_hidden()
    expect(page.locator("#notice")).to_be_hidden()


def test_a_rate_limited_request_is_repeated(page: Page, site: str) -> None:
    expect_in_console(page, "429")
    page.goto(site)
    expect_count(page, "60 listings")
    error = {"error": {"code": "rate", "message": "more than 1 came from this address. Wait a moment."}}
    page.route(
        re.compile(r"/api/search\?q=red"),
        lambda route: route.fulfill(status=429, headers={"Retry-After": "1"}, json=error),
        times=1,
    )
    box(page).fill("red")
    expect(page.locator("#notice")).to_contain_text("More than 1 came from this address.")
    expect(cards(page).first.get_by_role("heading")).to_contain_text("red")
    expect(page.locator("#notice")).to_be_hidden()
