"""What comes in: listings, photos, queries, interactions and runs; read, checked, cleaned and written.

May import: core.
Add a member: a file format is a reader in `formats` and a writer in `writers`; a check of listings goes into
`validation`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
