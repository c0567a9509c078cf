"""A shop window: shops behind HTTP, for a site's backend, and a search page, for colleagues.

    wares serve SHOP

The API is in api, a search from question to answer in searching, what watches and replaces shops in shops; the page
lies in page/. Everything is an ASGI app (`create_app`), so that it can run under another server too.
"""

from wares.serve.api import create_app
from wares.serve.settings import ServeSettings

__all__ = ["ServeSettings", "create_app"]
