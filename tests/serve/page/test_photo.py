"""Search by a photo, and by a listing."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect
from search_page import (
    GIVE_FILE,
    box,
    cards,
    chip,
    expect_count,
    expect_in_console,
    ids,
    photo,
    png,
)


@pytest.mark.parametrize("way", ["file", "paste", "drop"])
def test_a_photo_from_file_paste_or_drop_searches(page: Page, site: str, way: str) -> None:
    page.goto(site)
    expect_count(page, "60 listings")
    if way == "file":
        page.get_by_label("Photo to search by").set_input_files(photo("blue"))
    else:
        page.evaluate(GIVE_FILE, [list(png("blue")), way])
    expect(chip(page, "your photo").locator("img")).to_be_visible()
    expect(cards(page).first.get_by_role("heading")).to_contain_text("blue")
    expect(page.locator("#drop")).to_be_hidden()
    chip(page, "your photo").click()
    expect(page.locator("#main-hits .id").first).to_have_text("g001")


def test_a_large_photo_is_resized_before_upload(page: Page, site: str) -> None:
    page.goto(site)
    expect_count(page, "60 listings")
    page.evaluate(
        "() => { ask = fetch; fetch = (url, rest) => { if (rest?.body) sent = rest.body; return ask(url, rest); } }"
    )
    page.get_by_label("Photo to search by").set_input_files(photo("red", 3000))
    expect(cards(page).first.get_by_role("heading")).to_contain_text("red")
    size = "async () => { const i = await createImageBitmap(sent.get('photo')); return [i.width, i.height]; }"
    assert page.evaluate(size) == [1024, 1024]
    assert page.evaluate("sent.get('photo').type") == "image/jpeg"


def test_a_photo_and_words_search_together(page: Page, site: str) -> None:
    page.goto(f"{site}?q=wool")
    expect_count(page, "60 listings")
    page.get_by_label("Photo to search by").set_input_files(photo("red"))
    expect(chip(page, "your photo")).to_be_visible()
    expect(cards(page).first.get_by_role("heading")).to_contain_text("red")
    expect(box(page)).to_have_value("wool")


def test_an_invalid_photo_shows_an_error_below_the_search_box(page: Page, site: str) -> None:
    expect_in_console(page, "422")
    page.goto(f"{site}?q=red")
    expect_count(page, "60 listings")
    page.get_by_label("Photo to search by").set_input_files(
        {"name": "photo.png", "mimeType": "image/png", "buffer": b"no photo at all"}
    )
    expect(page.locator("#photo-error")).to_contain_text("The upload")
    expect_count(page, "60 listings")  # the previous results stay
    page.get_by_label("Photo to search by").set_input_files(photo("red"))
    expect(page.locator("#photo-error")).to_be_hidden()


def test_more_like_this_searches_by_listing(page: Page, site: str) -> None:
    page.goto(f"{site}?q=green")
    first = cards(page).first
    title, id = first.get_by_role("heading").inner_text(), ids(page)[0]
    first.get_by_role("button", name=f"More like {title}").click()
    expect(chip(page, f"more like “{title}”")).to_be_visible()
    expect_count(page, "59 listings")
    assert id not in ids(page)
    expect(box(page)).to_have_value("")
    chip(page, f"more like “{title}”").click()
    expect_count(page, "60 listings")
