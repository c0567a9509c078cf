from .features import CatalogueFeatures, Embeddings, catalogue_features, embed
from .fusion import fuse
from .registry import build_towers, load_towers
from .settings import Fusion, Marginals
from .towers import Towers

__all__ = [
    "CatalogueFeatures",
    "Embeddings",
    "Fusion",
    "Marginals",
    "Towers",
    "build_towers",
    "catalogue_features",
    "embed",
    "fuse",
    "load_towers",
]
