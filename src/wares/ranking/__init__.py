"""Everything that scores a query against listings: the scoring protocol, score fusion, labelers, rankers.

May import: core, data, encoders.
Add a member: a labeler is a file in `labelers/` and a line in its registry; a ranker the same in `rankers/`; a loss
is a function in `losses` with a line in its table.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
