"""Input data: listings, photos, queries, interactions and runs; readers, checks, cleaning and writers.

May import: core.
Add a member: a file format is a reader in `formats` and a writer in `writers`; a check of rows goes into `schema`
or `listing_reader`, a count into `validation`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
