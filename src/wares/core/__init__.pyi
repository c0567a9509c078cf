from .cache import FeatureCache
from .errors import WaresError
from .runners import Runner, open_runner
from .specs import parse_spec

__all__ = [
    "FeatureCache",
    "Runner",
    "WaresError",
    "open_runner",
    "parse_spec",
]
