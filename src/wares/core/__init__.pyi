from .cache import FeatureCache
from .errors import WaresError
from .runners import Runner, open_runner
from .specs import Description, describe, parse_spec

__all__ = [
    "Description",
    "FeatureCache",
    "Runner",
    "WaresError",
    "describe",
    "open_runner",
    "parse_spec",
]
