"""The search page in a real browser, against the real server over toy shops: what people see, do and are told.

Every test also fails on a message in the browser's console, a refusal of the content security policy among them.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import numpy as np
import pytest
from PIL import Image
from toys import Toys, toy_shop

from wares.data.listings import Listing
from wares.serve.api import create_app
from wares.serve.settings import ServeSettings
from wares.shop.reranking import RANKER_FOLDER
from wares.shop.shop import Shop, open_shop

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright  # noqa: E402

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PAGE = Path(__file__).resolve().parents[2] / "src" / "wares" / "serve" / "page"
COLOURS = ("red", "blue", "green")
LISTINGS = tuple(
    Listing(
        f"g{i:03d}",
        f"{COLOURS[i % 3]} thing {i}",
        "Made of wool" if i % 2 else "",
        images=(f"{i}-white.png", f"{i}-{COLOURS[i % 3]}.png") if i % 5 else (),
        price=None if i == 60 else float(i),
        attributes={"colour": COLOURS[i % 3], "odd": bool(i % 2), "sizes": ["s", "m"][: i % 3], "ships_from": "Ghent"},
    )
    for i in range(1, 61)
)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium (chromium, google-chrome) on the path")
expect.set_options(timeout=60_000)  # milliseconds; a busy machine takes its time


# The server and the browser


class Backwards:
    """A ranker that turns every ranking around."""

    def score(self, query: str, ids: Sequence[str], texts: Callable[[], Sequence[str]]) -> Any:
        return np.arange(len(ids), dtype=np.float32)


def opened(folder: Path) -> Shop:
    shop = open_shop(folder, Toys("toys-2" if "other" in str(folder) else "toys-1"))
    if shop.has_ranker:
        shop._reranker = Backwards()
    return shop


class Site:
    """`create_app` under uvicorn, in a thread. It can be stopped, and started again at the same address."""

    def __init__(self, settings: ServeSettings, open: Callable[[Path], Shop] = opened) -> None:
        self.settings, self.open, self.port = settings, open, 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> Site:
        import uvicorn

        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", self.port))
        listening.listen()  # browsers may come before uvicorn is ready
        self.port = listening.getsockname()[1]
        app = create_app(self.settings, self.open)
        config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, args=([listening],), daemon=True)
        self.thread.start()
        return self

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> ServeSettings:
    """Two shops: one with a ranker, and a smaller one of another model."""
    folder = tmp_path_factory.mktemp("shops")
    goods = toy_shop(folder / "goods", LISTINGS)
    (goods.build_folder / RANKER_FOLDER).mkdir()
    other = _shop_of_another_model(folder / "other")
    return ServeSettings(shops=(("goods", str(goods.path)), ("other", str(other))))


def _shop_of_another_model(folder: Path) -> Path:
    from toys import embedded, write_photos

    from wares.data.listings import Catalogue
    from wares.shop.build import summarize_catalogue, write_shop

    toys = Toys("toys-2")
    catalogue = Catalogue((folder / "catalogue").absolute(), LISTINGS[:30])
    write_photos(catalogue.folder, catalogue.listings)
    write_shop(summarize_catalogue(catalogue), toys, embedded(catalogue, toys), folder / "shop")
    return folder / "shop"


@pytest.fixture(scope="module")
def site(settings: ServeSettings) -> Iterator[str]:
    running = Site(settings).start()
    yield running.address
    running.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as tools:
        found = tools.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of its own. Indirect parameters are those of a browser context."""
    yield from _watched(browser, **getattr(request, "param", {}))


def _watched(browser: Browser, **options: Any) -> Iterator[Page]:
    context = browser.new_context(**({"viewport": {"width": 1400, "height": 900}, "locale": "en-GB"} | options))
    found = context.new_page()
    said: list[str] = []
    found.on("console", lambda message: said.append(f"{message.text} {message.location['url']}"))
    found.on("pageerror", lambda error: said.append(str(error)))
    expected: list[str] = []
    found.expected = expected  # type: ignore[attr-defined]
    yield found
    context.close()
    assert [each for each in said if not any(part in each for part in expected)] == []


def expect_in_console(page: Page, part: str) -> None:
    """The browser itself reports requests that fail."""
    page.expected.append(part)  # type: ignore[attr-defined]


# What tests look at


def cards(page: Page, column: str = "#main-hits") -> Any:
    return page.locator(f"{column} .card")


def ids(page: Page, column: str = "#main-hits") -> list[str]:
    found: list[str] = page.locator(f"{column} .id").all_inner_texts()
    return found


def box(page: Page) -> Any:
    return page.get_by_role("searchbox")


def told(page: Page, count: str) -> None:
    """Wait until the results have been counted."""
    expect(page.locator("#stats")).to_have_text(re.compile(rf"^{re.escape(count)} in \d+ ms$"))


def chip(page: Page, name: str) -> Any:
    return page.get_by_role("button", name=f"Remove {name}", exact=True)


def png(colour: str, size: int = 8) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (size, size), {"red": (200, 30, 30), "blue": (40, 60, 200)}[colour]).save(content, "PNG")
    return content.getvalue()


def photo(colour: str, size: int = 8) -> Any:
    return {"name": "photo.png", "mimeType": "image/png", "buffer": png(colour, size)}


GIVE = """([bytes, kind]) => {
    const given = new DataTransfer();
    given.items.add(new File([new Uint8Array(bytes)], "photo.png", { type: "image/png" }));
    const about = { bubbles: true, cancelable: true };
    if (kind === "paste") document.dispatchEvent(new ClipboardEvent("paste", { ...about, clipboardData: given }));
    for (const name of kind === "drop" ? ["dragover", "drop"] : [])
        document.dispatchEvent(new DragEvent(name, { ...about, dataTransfer: given }));
}"""


# What is vendored


def test_vendored_files_are_those_of_the_register() -> None:
    folder = PAGE / "vendor"
    named = {file["file"]: file for each in json.loads((folder / "vendor.json").read_text()) for file in each["files"]}
    assert {path.name for path in folder.iterdir()} == {*named, "vendor.json", "README.md"}
    for name, file in named.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == file["sha256"], name


# Words


def test_nothing_asked_shows_all_listings_and_examples(page: Page, site: str) -> None:
    page.goto(site)
    told(page, "60 listings")
    assert ids(page)[:2] == ["g001", "g002"]
    example = page.get_by_role("group", name="Examples").get_by_role("button").first
    words = example.inner_text()
    example.click()
    expect(box(page)).to_have_value(words)
    expect(page.locator("#main-hits .matched").first).to_be_visible()
    expect(page.get_by_role("group", name="Examples")).to_be_hidden()


def test_results_come_while_typing(page: Page, site: str) -> None:
    page.goto(site)
    box(page).press_sequentially("blue")
    expect(cards(page).first.get_by_role("heading")).to_contain_text("blue")
    expect(page).to_have_url(re.compile(r"\?q=blue$"))
    expect(page).to_have_title("blue – wares")


def test_what_is_typed_before_the_page_is_ready_is_kept(page: Page, site: str) -> None:
    held: list[Route] = []
    page.route(re.compile("/readyz"), lambda route: held.append(route))
    with page.expect_request(re.compile("/readyz")):
        page.goto(site)
    box(page).fill("blue")
    held[0].continue_()
    expect(cards(page).first.get_by_role("heading")).to_contain_text("blue")
    expect(box(page)).to_have_value("blue")


def test_a_late_answer_is_dropped(page: Page, site: str) -> None:
    held: list[Route] = []
    page.route(re.compile(r"/api/search\?q=green"), lambda route: held.append(route))
    page.goto(site)
    with page.expect_event("requestfailed", lambda request: "q=green" in request.url):
        with page.expect_request(re.compile("q=green")):
            box(page).fill("green")
        box(page).fill("red")
    expect(cards(page).first.get_by_role("heading")).to_contain_text("red")
    expect(page).to_have_url(re.compile("q=red$"))
    assert len(held) == 1


def test_why_names_views_and_their_parts(page: Page, site: str) -> None:
    page.goto(f"{site}?q=red&filter=price%3E%3D12")
    first = cards(page).first
    shares = first.get_by_role("list", name="What matched").get_by_role("listitem")
    expect(shares.first).to_be_visible()
    told_parts = {text.rsplit(" ", 2)[0]: int(text.split()[-2]) for text in shares.all_inner_texts()}
    assert "photo 2" in told_parts and 0 < sum(told_parts.values()) <= 101
    first.get_by_text("Why").click()
    rows = first.locator("details table")
    expect(rows).to_contain_text(f"{int(ids(page)[0][1:])}-red.png")
    numbers = [float(text) for text in rows.locator("tbody td").all_inner_texts()]
    assert sum(numbers) == pytest.approx(float(rows.locator("tfoot td").first.inner_text()), abs=1e-3)


def test_the_photo_that_matched_comes_first(page: Page, site: str) -> None:
    page.goto(f"{site}?q=red")
    first = cards(page).filter(has=page.locator("img")).first
    main = first.locator(".card-photo img")
    expect(main).to_have_attribute("data-name", re.compile(r"^\d+-red.png$"))  # the listing's second
    expect(main).to_have_attribute("alt", re.compile("photo 2, the best match"))
    expect(first.get_by_role("list", name="Other photos").get_by_role("img")).to_have_attribute("alt", "photo 1")
    page.wait_for_function("image => image.naturalWidth > 0", arg=main.element_handle())


def test_a_photo_that_did_not_come_is_asked_for_again(page: Page, site: str) -> None:
    expect_in_console(page, "/api/photos/")
    asked: set[str] = set()

    def first_time_lost(route: Route) -> None:
        lost = route.request.url not in asked
        asked.add(route.request.url)
        route.abort() if lost else route.continue_()

    page.route(re.compile("/api/photos/"), first_time_lost)
    page.goto(f"{site}?q=red")
    main = cards(page).filter(has=page.locator("img")).first.locator(".card-photo img")
    page.wait_for_function("image => image.naturalWidth > 0", arg=main.element_handle())


def test_a_photo_that_never_comes_leaves_its_name(page: Page, site: str) -> None:
    expect_in_console(page, "/api/photos/")
    page.route(re.compile("/api/photos/"), lambda route: route.abort())
    page.goto(f"{site}?q=red")
    main = cards(page).filter(has=page.locator("img")).first.locator(".card-photo img")
    expect(main).to_have_class("broken", timeout=10_000)


def test_what_sellers_write_is_text_and_nothing_else(page: Page, tmp_path: Path) -> None:
    """The browser's console would also tell of a script that the content policy refused."""
    evil = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    listing = Listing(
        evil, evil, evil, (evil,), (f"{evil.replace('/', '')}-red.png",), 1.0, {"colour": evil, "a&lt;b": "c"}
    )
    tame = Listing("tame", "tame", attributes={"colour": "red"})
    running = Site(ServeSettings(shops=(("goods", str(toy_shop(tmp_path, (listing, tame)).path)),))).start()
    page.goto(f"{running.address}?{urlencode({'q': evil, 'like': 'tame', 'filter': f'attributes.colour={evil}'})}")
    told(page, "1 listing")
    first = cards(page).first
    expect(first.get_by_role("heading")).to_have_text(evil)
    first.get_by_text("Why").click()
    expect(first.locator("details")).to_contain_text(f"#{evil}")
    expect(chip(page, f"colour: {evil}")).to_be_visible()
    expect(page.get_by_role("checkbox", name=evil)).to_be_checked()
    page.wait_for_function("image => image.naturalWidth > 0", arg=first.locator(".card-photo img").element_handle())
    page.goto("about:blank")
    running.stop()


def test_words_are_named_as_such(page: Page, site: str) -> None:
    page.goto(f"{site}?q=red&system=bm25")
    expect(cards(page).first.get_by_role("list", name="What matched")).to_have_text(re.compile(r"words \(BM25\) 100 %"))


def test_nothing_found_says_what_can_be_done(page: Page, site: str) -> None:
    page.goto(f"{site}?q=zebra&system=bm25")
    expect(page.get_by_text("No results for “zebra”. No listing contains these words")).to_be_visible()
    page.goto(f"{site}?filter=price%3E%3D999")
    expect(page.get_by_text("No listing passes these filters.")).to_be_visible()
    page.get_by_role("button", name="Clear filters").click()
    told(page, "60 listings")


# Filters and pages


def test_values_of_a_facet_add_up_and_chips_take_them_away(page: Page, site: str) -> None:
    page.goto(site)
    page.get_by_role("checkbox", name=re.compile("^red")).check()
    told(page, "20 listings")
    expect(page.get_by_role("checkbox", name=re.compile("^blue"))).to_be_visible()  # can still be added
    page.get_by_role("checkbox", name=re.compile("^blue")).check()
    told(page, "40 listings")
    page.get_by_role("checkbox", name=re.compile("^true")).check()
    told(page, "20 listings")
    expect(page).to_have_url(re.compile("filter=attributes.odd%3Dtrue"))
    chip(page, "colour: red").click()
    told(page, "10 listings")
    expect(page.get_by_role("checkbox", name=re.compile("^red"))).not_to_be_checked()
    expect(chip(page, "colour: blue")).to_be_focused()  # where the keyboard goes on


def test_a_list_contains_the_value(page: Page, site: str) -> None:
    page.goto(site)
    page.get_by_role("checkbox", name=re.compile("^m ")).check()
    told(page, "20 listings")


def test_a_range(page: Page, site: str) -> None:
    page.goto(site)
    most = page.get_by_role("spinbutton", name="price to")
    expect(most).to_have_attribute("placeholder", "59")
    most.fill("10")
    most.press("Enter")
    told(page, "10 listings")
    page.get_by_role("spinbutton", name="price from").fill("9.5")
    most.focus()
    told(page, "1 listing")
    expect(page).to_have_url(re.compile(r"filter=price%3E%3D9.5&filter=price%3C%3D10"))
    chip(page, "price: from 9.5").click()
    told(page, "10 listings")
    expect(page.get_by_role("spinbutton", name="price from")).to_have_value("")
    most.fill("1000")  # beyond what there is
    most.press("Enter")
    told(page, "59 listings")


def test_pages(page: Page, site: str) -> None:
    page.goto(site)
    page.get_by_role("link", name="Page 2", exact=True).click()
    expect(page.locator("#main-hits .id").first).to_have_text("g021")
    page.get_by_label("Per page").select_option("50")
    expect(cards(page)).to_have_count(50)
    expect(page).to_have_url(re.compile(r"\?per_page=50$"))  # from the beginning


# Photos and listings


@pytest.mark.parametrize("way", ["file", "paste", "drop"])
def test_a_photo_finds_listings(page: Page, site: str, way: str) -> None:
    page.goto(site)
    told(page, "60 listings")
    if way == "file":
        page.get_by_label("Photo to search by").set_input_files(photo("blue"))
    else:
        page.evaluate(GIVE, [list(png("blue")), way])
    expect(chip(page, "your photo").locator("img")).to_be_visible()
    expect(cards(page).first.get_by_role("heading")).to_contain_text("blue")
    expect(page.locator("#drop")).to_be_hidden()
    chip(page, "your photo").click()
    expect(page.locator("#main-hits .id").first).to_have_text("g001")


def test_a_large_photo_is_made_smaller_before_it_is_sent(page: Page, site: str) -> None:
    page.goto(site)
    told(page, "60 listings")
    page.evaluate(
        "() => { ask = fetch; fetch = (url, rest) => { if (rest?.body) sent = rest.body; return ask(url, rest); } }"
    )
    page.get_by_label("Photo to search by").set_input_files(photo("red", 3000))
    expect(cards(page).first.get_by_role("heading")).to_contain_text("red")
    size = "async () => { const i = await createImageBitmap(sent.get('photo')); return [i.width, i.height]; }"
    assert page.evaluate(size) == [1024, 1024]
    assert page.evaluate("sent.get('photo').type") == "image/jpeg"


def test_a_photo_and_words_together(page: Page, site: str) -> None:
    page.goto(f"{site}?q=wool")
    told(page, "60 listings")
    page.get_by_label("Photo to search by").set_input_files(photo("red"))
    expect(chip(page, "your photo")).to_be_visible()
    expect(cards(page).first.get_by_role("heading")).to_contain_text("red")
    expect(box(page)).to_have_value("wool")


def test_what_is_no_photo_is_refused_beside_it(page: Page, site: str) -> None:
    expect_in_console(page, "422")
    page.goto(f"{site}?q=red")
    told(page, "60 listings")
    page.get_by_label("Photo to search by").set_input_files(
        {"name": "photo.png", "mimeType": "image/png", "buffer": b"no photo at all"}
    )
    expect(page.locator("#photo-error")).to_contain_text("The upload")
    told(page, "60 listings")  # what was found stays
    page.get_by_label("Photo to search by").set_input_files(photo("red"))
    expect(page.locator("#photo-error")).to_be_hidden()


def test_more_like_a_listing(page: Page, site: str) -> None:
    page.goto(f"{site}?q=green")
    first = cards(page).first
    title, id = first.get_by_role("heading").inner_text(), ids(page)[0]
    first.get_by_role("button", name=f"More like {title}").click()
    expect(chip(page, f"more like “{title}”")).to_be_visible()
    told(page, "59 listings")
    assert id not in ids(page)
    expect(box(page)).to_have_value("")
    chip(page, f"more like “{title}”").click()
    told(page, "60 listings")


# Side by side


def test_two_systems_side_by_side(page: Page, site: str) -> None:
    page.goto(f"{site}?q=red+wool")
    page.get_by_role("checkbox", name="Compare").check()
    expect(page.get_by_role("heading", name="Results: fused", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="Compared with: bm25", exact=True)).to_be_visible()
    here, there = ids(page), ids(page, "#other-hits")
    assert len(here) == len(there) == 20 and here != there
    for place, (id, moved) in enumerate(
        zip(there, page.locator("#other-hits .rank-change b").all_inner_texts(), strict=True), 1
    ):
        if id not in here:
            continue
        up = here.index(id) + 1 - place
        assert moved == ("=" if up == 0 else f"↑{up}" if up > 0 else f"↓{-up}")
    expect(page).to_have_url(re.compile(r"compare=true&other_system=bm25"))
    page.get_by_role("checkbox", name="Compare").uncheck()
    expect(page.locator("#other-column")).to_be_hidden()
    expect(page).to_have_url(re.compile(r"\?q=red\+wool$"))


def test_places_are_known_beyond_the_page(page: Page, site: str) -> None:
    """A ranker that is of another opinion: the first of one side stands far down on the other."""
    far = re.compile(r"↑[2-5]\d")  # of sixty, twenty to a page
    page.goto(f"{site}?q=red&system=fused&compare=true&other_system=fused&other_rerank=true")
    expect(page.locator("#other-hits .rank-change b").first).to_have_text(far)
    expect(page.locator("#main-hits .rank-change b").first).to_have_text(far)
    expect(cards(page, "#other-hits").first.locator("details table")).to_contain_text("rerank score")
    page.goto(f"{site}?q=red&system=fused&compare=true&other_system=fused&other_rerank=true&page=2")
    expect(page.locator("#main-hits .rank-change").first).to_have_text(re.compile(r"21\s*[↑↓]\d+"))


def test_a_photo_in_shops_of_two_models(page: Page, site: str) -> None:
    page.goto(f"{site}?compare=true&other_shop=other")
    told(page, "60 listings")
    page.get_by_label("Photo to search by").set_input_files(photo("blue"))
    for column in ("#main-hits", "#other-hits"):
        expect(cards(page, column).first.get_by_role("heading")).to_contain_text("blue")
    expect(page).to_have_url(re.compile("photo="))
    found = ids(page), ids(page, "#other-hits")
    page.reload()  # now there are only the tokens, one of each model
    for column in ("#main-hits", "#other-hits"):
        expect(cards(page, column).first.get_by_role("heading")).to_contain_text("blue")
    assert (ids(page), ids(page, "#other-hits")) == found


def test_a_photo_that_only_one_model_has_read_says_so(page: Page, site: str) -> None:
    sent = page.request.post(f"{site}api/search", multipart={"photo": photo("blue")}).json()
    expect_in_console(page, "422")
    page.goto(f"{site}?compare=true&other_shop=other&photo={sent['photo']}")
    expect(page.locator("#other-note")).to_contain_text("Another model encoded this link's photo.")
    expect(cards(page).first.get_by_role("heading")).to_contain_text("blue")


def test_a_system_that_does_not_go_with_a_photo_says_so(page: Page, site: str) -> None:
    page.goto(f"{site}?like=g003&system=bm25")
    expect(page.locator("#main-note")).to_have_text("“bm25” ranks by words only, so “fused” ranked these results.")
    expect(cards(page)).to_have_count(20)


def test_another_shop_takes_words_and_photo_along(page: Page, site: str) -> None:
    page.goto(f"{site}?q=red")
    told(page, "60 listings")
    page.get_by_label("Photo to search by").set_input_files(photo("red"))
    expect(chip(page, "your photo")).to_be_visible()
    page.get_by_role("combobox", name="Shop", exact=True).select_option("other")
    told(page, "30 listings")
    expect(box(page)).to_have_value("red")
    expect(page).to_have_url(re.compile(r"\?shop=other&q=red&photo=[^&]+$"))
    expect(cards(page).first.get_by_role("heading")).to_contain_text("red")


# The address


def test_an_address_brings_everything_back(page: Page, site: str, browser: Browser) -> None:
    page.goto(site)
    told(page, "60 listings")
    page.get_by_label("Photo to search by").set_input_files(photo("red"))
    expect(chip(page, "your photo")).to_be_visible()
    box(page).fill("wool")
    page.get_by_role("spinbutton", name="price to").fill("50")
    page.get_by_role("checkbox", name=re.compile("^red")).check()
    page.get_by_role("checkbox", name=re.compile("^green")).check()
    told(page, "33 listings")
    page.get_by_role("link", name="Page 2", exact=True).click()
    expect(page).to_have_url(re.compile("page=2"))
    told(page, "33 listings")
    expect(cards(page)).to_have_count(13)
    for again in _watched(browser):
        again.goto(page.url)
        told(again, "33 listings")
        assert ids(again) == ids(page)
        expect(box(again)).to_have_value("wool")
        expect(again.get_by_role("checkbox", name=re.compile("^green"))).to_be_checked()
        expect(again.get_by_role("spinbutton", name="price to")).to_have_value("50")
        expect(chip(again, "a photo")).to_be_visible()  # which cannot be shown any more


def test_the_address_is_a_request_of_the_api(page: Page, site: str) -> None:
    page.goto(f"{site}?q=red&filter=price%3C%3D50&filter=attributes.colour%3Dred&page=1&per_page=50")
    told(page, "16 listings")
    answer = page.request.get(f"{site}api/search?{urlsplit(page.url).query}").json()
    assert [hit["id"] for hit in answer["hits"]] == ids(page)


def test_back_and_forward(page: Page, site: str) -> None:
    page.goto(site)
    told(page, "60 listings")
    page.get_by_role("checkbox", name=re.compile("^red")).check()
    expect(page).to_have_url(re.compile("colour%3Dred"))
    page.get_by_role("checkbox", name="Compare").check()
    expect(page).to_have_url(re.compile("compare=true"))
    page.go_back()
    expect(page.locator("#other-column")).to_be_hidden()
    told(page, "20 listings")
    page.go_back()
    told(page, "60 listings")
    expect(page.get_by_role("checkbox", name=re.compile("^red"))).not_to_be_checked()
    page.go_forward()
    told(page, "20 listings")


def test_an_address_that_nothing_answers_to(page: Page, site: str) -> None:
    expect_in_console(page, "422")
    page.goto(f"{site}?q=red&photo=nonsense")
    refusal = page.get_by_role("alert").filter(has_text="no photo token")
    expect(refusal).to_be_visible()
    chip(page, "a photo").click()
    told(page, "60 listings")
    expect(refusal).to_be_hidden()
    page.goto(f"{site}?shop=nowhere&filter=nonsense%3D1&page=x")
    expect(page.get_by_role("alert").filter(has_text="names no column")).to_be_visible()
    chip(page, "nonsense=1").click()
    told(page, "60 listings")


def test_filters_that_no_facet_offers_work_too(page: Page, site: str) -> None:
    page.goto(f"{site}?filter=price%3C3&filter=id%21%3Dg001")
    told(page, "1 listing")
    page.get_by_role("checkbox", name=re.compile("^green")).check()
    expect(page).to_have_url(re.compile(r"filter=attributes.colour%3Dgreen&filter=price%3C3&filter=id%21%3Dg001"))
    chip(page, "price<3").click()
    told(page, "20 listings")


# Waiting, and what goes wrong


def test_a_server_that_is_gone_and_comes_back(page: Page, settings: ServeSettings) -> None:
    expect_in_console(page, "net::ERR_")
    expect_in_console(page, "503")  # while the shop is opened again
    running = Site(settings).start()
    page.goto(f"{running.address}?q=red")
    told(page, "60 listings")
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


def test_a_shop_that_is_being_opened(page: Page, settings: ServeSettings) -> None:
    expect_in_console(page, "503")
    go_on = threading.Event()

    def slowly(folder: Path) -> Shop:
        go_on.wait(30)
        return opened(folder)

    running = Site(settings, slowly).start()
    page.goto(running.address)
    expect(page.locator("#notice")).to_contain_text("not all shops are open yet", ignore_case=True)
    go_on.set()
    told(page, "60 listings")
    page.goto("about:blank")  # asks for no more photos
    running.stop()


def test_a_slow_answer_is_waited_for(page: Page, site: str) -> None:
    page.goto(site)
    told(page, "60 listings")
    held: list[Route] = []
    page.route(re.compile(r"/api/search\?q=red"), lambda route: held.append(route))
    box(page).fill("red")
    expect(page.locator("#progress")).to_be_visible()
    expect(page.locator("#notice")).to_contain_text("Still waiting", timeout=8000)
    held[0].continue_()
    expect(cards(page).first.get_by_role("heading")).to_contain_text("red")
    expect(page.locator("#progress")).to_be_hidden()
    expect(page.locator("#notice")).to_be_hidden()


def test_too_many_requests_are_repeated_later(page: Page, site: str) -> None:
    expect_in_console(page, "429")
    page.goto(site)
    told(page, "60 listings")
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


# For everybody


def test_everything_by_keyboard(page: Page, site: str) -> None:
    page.goto(site)
    told(page, "60 listings")
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
    told(page, "20 listings")
    more = page.get_by_role("button", name=re.compile("^More like")).first
    while not more.evaluate("button => button === document.activeElement"):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name=re.compile("^Remove more like"))).to_be_visible()


@pytest.mark.parametrize(
    "query", ["", "?q=red&like=g003&filter=price%3C%3D50", "?q=red&compare=true&other_system=bm25"]
)
def test_nothing_is_wider_than_the_window(page: Page, site: str, query: str) -> None:
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
def test_text_has_contrast(page: Page, site: str) -> None:
    """Every text on the page, against the ground it lies on: 4.5 as WCAG 2 AA asks of small text."""
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
    const ground = (node) => {
        for (; node; node = node.parentElement) {
            const found = rgba(getComputedStyle(node).backgroundColor);
            if (found[3] === 255) return found;
        }
        return rgba("Canvas");
    };
    const low = [];
    for (const node of document.querySelectorAll("body *")) {
        const own = [...node.childNodes].filter((each) => each.nodeType === 3);
        const text = own.map((each) => each.data.trim()).join("");
        if (!text || !node.checkVisibility() || node.closest(".visually-hidden, option")) continue;
        const [a, b] = [light(rgba(getComputedStyle(node).color)), light(ground(node))].sort((x, y) => y - x);
        if ((a + 0.05) / (b + 0.05) < 4.5) low.push([text, node.className, (a + 0.05) / (b + 0.05)]);
    }
    return low;
}"""


def test_every_picture_and_control_has_a_name(page: Page, site: str) -> None:
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


def test_results_are_announced(page: Page, site: str) -> None:
    page.goto(f"{site}?q=red")
    expect(page.get_by_role("status")).to_have_text(re.compile("60 listings"))


@pytest.mark.parametrize("page", [{"reduced_motion": "reduce"}], indirect=True)
def test_nothing_moves_for_those_who_ask_for_it(page: Page, site: str) -> None:
    page.goto(site)
    assert page.locator("#progress").evaluate("bar => getComputedStyle(bar).animationName") == "none"
