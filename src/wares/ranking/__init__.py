"""Everything that scores queries against listings: labelers, rankers and their losses, score fusion, rerankers.

May import: core, data, encoders.
Add a member: a labeler is a file in `labelers/` and a line in `labelers/registry.py`; a ranker likewise in `rankers/`.
A loss is a function in `losses.py`, with a line in its table and its name in `settings.py`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
