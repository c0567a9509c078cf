"""Towers learned from a catalogue or from interactions, without judgments.

May import: core, data, encoders.
Add a member: a pretraining method is a name in `METHODS` of `settings` and its views in `view_sampling`; a loss is
a function in `losses`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
