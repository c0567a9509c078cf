"""Measures, significance, comparisons and reports: the only package that reads judgments.

May import: every package below it, and not serve, samples or cli.
Add a member: measures of ir_measures work by their names, `measures.DEFAULT_MEASURES` lists those of reports; a
cross-view measure is a line in `cross_view.CROSS_VIEW_MEASURES`; a column of the comparison report is a line in
`comparison/columns`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
