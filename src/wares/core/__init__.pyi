from .cache import FeatureStore
from .errors import WaresError
from .runners import Runner, running
from .specs import parse

__all__ = [
    "FeatureStore",
    "Runner",
    "WaresError",
    "parse",
    "running",
]
