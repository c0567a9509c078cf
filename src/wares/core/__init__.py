"""The foundation of all packages: errors, component specs, progress, cache, atomic files, processes, runners.

May import: nothing of wares.
Add a member: a file here, if two packages need it and it knows nothing of listings or models.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
