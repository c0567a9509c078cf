"""Marketplace search that needs no labels: one embedding per listing, learned from all of its photos and texts.

The names below are the public surface; each is loaded when it is first used, so `import wares` costs nothing.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
