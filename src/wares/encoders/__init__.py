"""Photos and texts to vectors, and all views of a listing to one vector: towers, features, marginals, fusion.

May import: core, data.
Add towers: a module with `build() -> Towers`, and a class and a line in the table of `families`;
tests/encoders/test_towers.py runs the contract tests over that table.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
