"""Rankers trained from labelers and from each other, round by round, without judgments.

May import: core, data, encoders, training, ranking.
Add a member: a strategy is a name and a branch in `strategies`; a query performance predictor is a class in
`predictors/` and a line in its registry.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
