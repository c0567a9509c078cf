from .query_generation import generate_queries
from .recipe import supervise
from .settings import SuperviseSettings
from .trained_rankers import find_ranker

__all__ = [
    "SuperviseSettings",
    "find_ranker",
    "generate_queries",
    "supervise",
]
