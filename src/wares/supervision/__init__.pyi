from .query_generation import generate_queries
from .recipe import supervise
from .run_folder import find_ranker
from .settings import SuperviseSettings

__all__ = [
    "SuperviseSettings",
    "find_ranker",
    "generate_queries",
    "supervise",
]
