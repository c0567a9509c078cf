"""The search page over toy shops: a server in a thread, and what tests look at on the page."""

from __future__ import annotations

import io
import re
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from served import until
from toys import Toys

from wares.data.listings import Listing
from wares.serve.api import create_app
from wares.serve.settings import ServeSettings
from wares.shop.shop import Shop, open_shop

expect.set_options(timeout=60_000)  # milliseconds; a busy machine takes its time


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


class Backwards:
    """A ranker that reverses every ranking."""

    def score(self, query: str, ids: Sequence[str], texts: Callable[[], Sequence[str]]) -> Any:
        return np.arange(len(ids), dtype=np.float32)


def open_toy_shop(folder: Path) -> Shop:
    shop = open_shop(folder, Toys("toys-2" if "other" in str(folder) else "toys-1"))
    if shop.has_ranker:
        shop._reranker = Backwards()
    return shop


class Site:
    """`create_app` under uvicorn, in a thread. It can be stopped, and started again at the same address."""

    def __init__(self, settings: ServeSettings, open: Callable[[Path], Shop] = open_toy_shop) -> None:
        self.settings, self.open, self.port = settings, open, 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> Site:
        import uvicorn

        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", self.port))
        listening.listen()  # a browser may connect before uvicorn is ready
        self.port = listening.getsockname()[1]
        app = create_app(self.settings, self.open)
        config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, args=([listening],), daemon=True)
        self.thread.start()
        return self

    def start_and_open(self) -> Site:
        """Start, and wait until all shops are open: a page that is loaded earlier meets status 503."""
        self.start()
        until(lambda: httpx2.get(f"{self.address}readyz").status_code == 200)
        return self

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)


def build_shop_of_another_model(folder: Path) -> Path:
    from toys import embedded, write_photos

    from wares.data.listings import Catalogue
    from wares.shop.build import summarize_catalogue, write_shop

    toys = Toys("toys-2")
    catalogue = Catalogue((folder / "catalogue").absolute(), LISTINGS[:30])
    write_photos(catalogue.folder, catalogue.listings)
    write_shop(summarize_catalogue(catalogue), toys, embedded(catalogue, toys), folder / "shop")
    return folder / "shop"


def new_page(browser: Browser, **options: Any) -> Iterator[Page]:
    context = browser.new_context(**({"viewport": {"width": 1400, "height": 900}, "locale": "en-GB"} | options))
    page = context.new_page()
    messages: list[str] = []
    page.on("console", lambda message: messages.append(f"{message.text} {message.location['url']}"))
    page.on("pageerror", lambda error: messages.append(str(error)))
    expected: list[str] = []
    page.expected = expected  # type: ignore[attr-defined]
    yield page
    context.close()
    unexpected = [message for message in messages if not any(part in message for part in expected)]
    assert not unexpected, unexpected


def expect_in_console(page: Page, part: str) -> None:
    """Allow a console message: the browser reports every failed request."""
    page.expected.append(part)  # type: ignore[attr-defined]


def cards(page: Page, column: str = "#main-hits") -> Any:
    return page.locator(f"{column} .card")


def ids(page: Page, column: str = "#main-hits") -> list[str]:
    texts: list[str] = page.locator(f"{column} .id").all_inner_texts()
    return texts


def box(page: Page) -> Any:
    return page.get_by_role("searchbox")


def expect_count(page: Page, count: str) -> None:
    """Wait until the page shows this number of results."""
    expect(page.locator("#stats")).to_have_text(re.compile(rf"^{re.escape(count)} in \d+ ms$"))


def chip(page: Page, name: str) -> Any:
    return page.get_by_role("button", name=f"Remove {name}", exact=True)


def png(colour: str, size: int = 8) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (size, size), {"red": (200, 30, 30), "blue": (40, 60, 200)}[colour]).save(content, "PNG")
    return content.getvalue()


def photo(colour: str, size: int = 8) -> Any:
    return {"name": "photo.png", "mimeType": "image/png", "buffer": png(colour, size)}


GIVE_FILE = """([bytes, kind]) => {
    const files = new DataTransfer();
    files.items.add(new File([new Uint8Array(bytes)], "photo.png", { type: "image/png" }));
    const options = { bubbles: true, cancelable: true };
    if (kind === "paste") document.dispatchEvent(new ClipboardEvent("paste", { ...options, clipboardData: files }));
    for (const name of kind === "drop" ? ["dragover", "drop"] : [])
        document.dispatchEvent(new DragEvent(name, { ...options, dataTransfer: files }));
}"""
