"""Shops over HTTP: the JSON API, and the search page in page/.

May import: core, data, encoders, ranking, shop.
Add a member: a route is a function in `routes` with a response model in `schemas`; a control of the page is a
function in page/controls.js, or a widget that `app.js` adds; a filter operator is an entry of `filters.OPERATORS`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
