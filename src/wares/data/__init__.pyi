from .catalogue import open_catalogue, read_catalogue
from .corpus import Corpus
from .interactions import read_interactions
from .listings import Catalogue, Listing, Query
from .queries import read_queries
from .runs import read_run, write_run

__all__ = [
    "Catalogue",
    "Corpus",
    "Listing",
    "Query",
    "open_catalogue",
    "read_catalogue",
    "read_interactions",
    "read_queries",
    "read_run",
    "write_run",
]
