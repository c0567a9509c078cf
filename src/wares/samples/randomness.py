"""Random choices that every module of the sample marketplace makes.

The order of draws is part of a seed: one draw more, fewer or earlier changes what the seed gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Rng = np.random.Generator
Option = TypeVar("Option")


def pick(rng: Rng, options: Sequence[Option]) -> Option:
    """Return one of the options; each is equally likely."""
    return options[int(rng.integers(len(options)))]
