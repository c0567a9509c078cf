from .core.errors import WaresError
from .data.catalogue import read_catalogue
from .data.listings import Catalogue, Listing, Query
from .data.queries import read_queries
from .data.runs import read_run
from .encoders.registry import build_towers, load_towers
from .evaluation.comparison.experiment import compare
from .evaluation.evaluator import evaluate
from .evaluation.measures import read_qrels
from .shop.build import build_shop
from .shop.searching import search
from .shop.shop import open_shop
from .supervision.recipe import supervise
from .supervision.settings import SuperviseSettings
from .training.finetuning import finetune
from .training.pretraining import pretrain
from .training.settings import PretrainSettings

__version__: str
__all__ = [
    "Catalogue",
    "Listing",
    "PretrainSettings",
    "Query",
    "SuperviseSettings",
    "WaresError",
    "build_shop",
    "build_towers",
    "compare",
    "evaluate",
    "finetune",
    "load_towers",
    "open_shop",
    "pretrain",
    "read_catalogue",
    "read_qrels",
    "read_queries",
    "read_run",
    "search",
    "supervise",
]
