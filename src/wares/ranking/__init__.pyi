from .labelers.function import labeler
from .labelers.registry import get_labeler
from .rankers.registry import get_ranker
from .scoring import Labeler, Labels, Scorer
from .trained import TrainedRanker

__all__ = [
    "Labeler",
    "Labels",
    "Scorer",
    "TrainedRanker",
    "get_labeler",
    "get_ranker",
    "labeler",
]
