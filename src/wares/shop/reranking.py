"""Saves a trained ranker in a shop and loads it. The shop then needs neither the run nor the catalogue.

In the folder of a build (wares.shop.shop):

    query-tower/   a trained query tower, which replaces the text head of the model for queries
    ranker/        any other ranker; it reranks what the shop retrieves
        ranker.json         its name with settings, its run, and what it needs of listings
        ranker.safetensors  its trained weights
        listings.parquet    id and vector of each listing, if the ranker compares vectors

What is saved, and how it scores candidates, is up to the ranker (`wares.ranking.rankers.base.Ranker`).
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from wares.core.errors import ModelError, ShopError
from wares.core.files import atomic_folder, write_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wares.data.corpus import Corpus
    from wares.encoders.towers import Towers
    from wares.ranking.reranking import Reranker
    from wares.ranking.trained import TrainedRanker


RANKER_FOLDER = "ranker"
QUERY_TOWER_FOLDER = "query-tower"
RANKER_FILE = "ranker.json"
RANKER_FORMAT = 2
RERANK_DEPTH = 100  # retrieved listings that are reranked


def write_ranker(trained: TrainedRanker, corpus: Corpus, model_identity: str, build_folder: Path) -> None:
    """Save a ranker in a build, in place of the one that it has.

    corpus: the shop's listings; model_identity: of the shop's model
    Raises ModelError if the ranker does not load or belongs to another model.
    """
    from wares.ranking.rankers.base import WEIGHTS_FILE

    ranker = trained.ranker
    ranker.check_towers(model_identity, trained.run_folder)
    with atomic_folder(build_folder / (QUERY_TOWER_FOLDER if ranker.replaces_query_tower else RANKER_FOLDER)) as part:
        ranker.write_listing_side(trained.folder, trained.seed, corpus, part)
        if not (trained.folder / WEIGHTS_FILE).is_file():
            raise ModelError(f"{trained.folder / WEIGHTS_FILE} is missing. Train the ranker again.")
        shutil.copyfile(trained.folder / WEIGHTS_FILE, part / WEIGHTS_FILE)
        saved = {
            "format": RANKER_FORMAT,
            "name": trained.name,
            "round": trained.round,
            "seed": trained.seed,
            "run": str(trained.run_folder.absolute()),
            "needs": None if ranker.replaces_query_tower else ranker.needs,
        }
        write_json(saved, part / RANKER_FILE)


def move_ranker(folder: Path, build_folder: Path) -> None:
    """Move what `write_ranker` saved in a folder to a build, in place of what that has. Hold `shop_lock` meanwhile."""
    for name in (RANKER_FOLDER, QUERY_TOWER_FOLDER):
        if (folder / name).is_dir():
            with atomic_folder(build_folder / name) as part:
                (folder / name).rename(part)


def load_reranker(build_folder: Path, corpus: Callable[[], Corpus]) -> Reranker:
    """The reranker of a build. Raises ShopError if it is damaged.

    corpus: returns the shop's listings, for rankers that need all of them
    """
    from wares.ranking.rankers.registry import get_ranker

    folder = build_folder / RANKER_FOLDER
    saved = _read_ranker_file(folder)
    try:
        return get_ranker(saved["name"]).open_reranker(folder, saved["seed"], corpus)
    except ModelError as error:
        raise ShopError(f"{folder} is damaged ({error}) Add the ranker again: wares index … --ranker RUN.") from error


def load_query_towers(build_folder: Path, towers: Towers) -> Towers:
    """The towers that encode queries: with the trained query tower of the build, if it has one.

    Raises ShopError if the query tower is damaged.
    """
    from wares.ranking.rankers.registry import get_ranker

    folder = build_folder / QUERY_TOWER_FOLDER
    if not folder.is_dir():
        return towers
    try:
        return get_ranker(_read_ranker_file(folder)["name"]).query_towers(folder, towers)
    except ModelError as error:
        raise ShopError(f"{error} Add the ranker again with `wares index`.") from error


def _read_ranker_file(folder: Path) -> dict[str, Any]:
    try:
        saved: dict[str, Any] = json.loads((folder / RANKER_FILE).read_text(encoding="utf-8"))
        if saved["format"] == RANKER_FORMAT and saved.keys() >= {"name", "seed", "needs"}:
            return saved
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise ShopError(
        f"{folder / RANKER_FILE} is damaged or of another version of wares. Add the ranker again with `wares index`."
    )
