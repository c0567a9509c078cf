"""The sample marketplace: listings, photos, queries and judgments, drawn and written by code, to try wares on.

May import: core; only cli imports it.
Add a member: a kind of goods is a table in kinds.toml and a function in `shapes`; a scene is in
`photography.scenes`; colours, materials and phrases are in palette.toml and phrases.toml. Each of these changes the
marketplace that a seed draws, and with it every figure measured on it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
