"""Two systems or shops side by side."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect
from search_page import (
    box,
    cards,
    chip,
    expect_count,
    expect_in_console,
    ids,
    photo,
)


def test_two_systems_are_compared_side_by_side(page: Page, site: str) -> None:
    page.goto(f"{site}?q=red+wool")
    page.get_by_role("checkbox", name="Compare").check()
    expect(page.get_by_role("heading", name="Results: fused+bm25", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="Compared with: bm25", exact=True)).to_be_visible()
    main, other = ids(page), ids(page, "#other-hits")
    assert len(main) == len(other) == 20 and main != other
    for rank, (id, moved) in enumerate(
        zip(other, page.locator("#other-hits .rank-change b").all_inner_texts(), strict=True), 1
    ):
        if id not in main:
            continue
        up = main.index(id) + 1 - rank
        assert moved == ("=" if up == 0 else f"↑{up}" if up > 0 else f"↓{-up}")
    expect(page).to_have_url(re.compile(r"compare=true&other_system=bm25"))
    page.get_by_role("checkbox", name="Compare").uncheck()
    expect(page.locator("#other-column")).to_be_hidden()
    expect(page).to_have_url(re.compile(r"\?q=red\+wool$"))


def test_rank_changes_reach_beyond_the_page(page: Page, site: str) -> None:
    """A ranker that reverses the ranking: the first listing of one column is far down in the other."""
    far = re.compile(r"↑[2-5]\d")  # of sixty, twenty to a page
    page.goto(f"{site}?q=red&system=fused&compare=true&other_system=fused&other_rerank=true")
    expect(page.locator("#other-hits .rank-change b").first).to_have_text(far)
    expect(page.locator("#main-hits .rank-change b").first).to_have_text(far)
    expect(cards(page, "#other-hits").first.locator("details table")).to_contain_text("rerank score")
    page.goto(f"{site}?q=red&system=fused&compare=true&other_system=fused&other_rerank=true&page=2")
    expect(page.locator("#main-hits .rank-change").first).to_have_text(re.compile(r"21\s*[↑↓]\d+"))


def test_a_photo_searches_shops_of_two_models(page: Page, site: str) -> None:
    page.goto(f"{site}?compare=true&other_shop=other")
    expect_count(page, "60 listings")
    page.get_by_label("Photo to search by").set_input_files(photo("blue"))
    for column in ("#main-hits", "#other-hits"):
        expect(cards(page, column).first.get_by_role("heading")).to_contain_text("blue")
    expect(page).to_have_url(re.compile("photo="))
    before = ids(page), ids(page, "#other-hits")
    page.reload()  # the address has only the tokens, one for each model
    for column in ("#main-hits", "#other-hits"):
        expect(cards(page, column).first.get_by_role("heading")).to_contain_text("blue")
    assert (ids(page), ids(page, "#other-hits")) == before


def test_a_photo_token_of_one_model_shows_a_note_in_the_other_column(page: Page, site: str) -> None:
    sent = page.request.post(f"{site}api/search", multipart={"photo": photo("blue")}).json()
    expect_in_console(page, "422")
    page.goto(f"{site}?compare=true&other_shop=other&photo={sent['photo']}")
    expect(page.locator("#other-note")).to_contain_text("Another model encoded this link's photo.")
    expect(cards(page).first.get_by_role("heading")).to_contain_text("blue")


def test_a_system_that_cannot_rank_a_photo_shows_a_note(page: Page, site: str) -> None:
    page.goto(f"{site}?like=g003&system=bm25")
    expect(page.locator("#main-note")).to_have_text("“bm25” ranks by words only, so “fused” ranked these results.")
    expect(cards(page)).to_have_count(20)


def test_changing_the_shop_keeps_words_and_photo(page: Page, site: str) -> None:
    page.goto(f"{site}?q=red")
    expect_count(page, "60 listings")
    page.get_by_label("Photo to search by").set_input_files(photo("red"))
    expect(chip(page, "your photo")).to_be_visible()
    page.get_by_role("combobox", name="Shop", exact=True).select_option("other")
    expect_count(page, "30 listings")
    expect(box(page)).to_have_value("red")
    expect(page).to_have_url(re.compile(r"\?shop=other&q=red&photo=[^&]+$"))
    expect(cards(page).first.get_by_role("heading")).to_contain_text("red")
