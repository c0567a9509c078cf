"""Measures, significance, comparisons and reports: the only package that reads judgments.

May import: every package below it, and not serve, samples or cli.
Add a member: a measure that ir_measures knows needs nothing; a cross-view measure is a line in `cross_view`; a
column of the comparison goes into `comparison/report`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
