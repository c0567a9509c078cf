"""A browser, and the search page over two toy shops. Every test also fails on a message in the browser's console."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest
from toys import toy_shop

from wares.serve.settings import ServeSettings
from wares.shop.reranking import RANKER_FOLDER

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
collect_ignore_glob = [] if find_spec("playwright") else ["test_[!v]*.py"]  # only test_vendor.py needs no browser


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> ServeSettings:
    """Two shops: one with a ranker, and a smaller one of another model."""
    from search_page import LISTINGS, build_shop_of_another_model

    folder = tmp_path_factory.mktemp("shops")
    goods = toy_shop(folder / "goods", LISTINGS)
    (goods.build_folder / RANKER_FOLDER).mkdir()
    other = build_shop_of_another_model(folder / "other")
    return ServeSettings(shops=(("goods", str(goods.path)), ("other", str(other))))


@pytest.fixture(scope="module")
def site(settings: ServeSettings) -> Iterator[str]:
    """The address of a running server."""
    from search_page import Site

    running = Site(settings).start_and_open()
    yield running.address
    running.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        pytest.skip("there is no Chromium (chromium, google-chrome) on the path")
    with sync_playwright() as tools:
        chromium = tools.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=120_000)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A new page. Indirect parameters are options of its browser context."""
    from search_page import new_page

    yield from new_page(browser, **getattr(request, "param", {}))
