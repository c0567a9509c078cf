from .build import add_ranker, build_shop
from .encoder import TowersEncoder
from .explanation import Hit
from .searching import search
from .shop import Shop, open_shop
from .sync import reembed_shop, update_shop
from .versions import roll_back

__all__ = [
    "Hit",
    "Shop",
    "TowersEncoder",
    "add_ranker",
    "build_shop",
    "open_shop",
    "reembed_shop",
    "roll_back",
    "search",
    "update_shop",
]
