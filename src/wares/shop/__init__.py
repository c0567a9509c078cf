"""A searchable index on disk: build, update, version, replicate, search and explain it.

May import: core, data, encoders, training, ranking.
Add a member: a kind of vector index is a line in `vector_index`; a filter operator goes into `filters`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
