"""The sample marketplace: a shop drawn and worded by code, to try wares on. Nothing in it is for sale.

`wares.samples.marketplace` assembles it; `goods` says what there is, `shapes`, `drawing`, `textures`
draw it, `camera`, `surfaces`, `props` photograph it, `wording` speaks for sellers and buyers.
"""

from wares.samples.marketplace import Marketplace, write_marketplace
from wares.samples.sheet import contact_sheet

__all__ = ["Marketplace", "contact_sheet", "write_marketplace"]
