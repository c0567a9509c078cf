"""Trained rankers in the shop: what a run of `wares supervise` leaves to a shop, kept so that the shop stands alone.

In a build's folder (wares.shop):

    query-tower/   the query side of a two-tower ranker, in place of the model's own text head
    ranker/        any other ranker, whose scores and the shop's together reorder what the shop retrieves
        ranker.json         its name with settings, where it comes from, and what is kept of listings
        ranker.safetensors  what it learned
        listings.parquet    id and vector of every listing, where a ranker compares vectors

A ranker that reads query and listing together is given the texts of the candidates alone. One of which nothing better
is known is built over all listings when it is first asked.
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
RANKER_FORMAT = 1
RERANK_DEPTH = 100  # retrieved listings that are reranked


def write_ranker(trained: TrainedRanker, corpus: Corpus, model_identity: str, build_folder: Path) -> None:
    """Write what a shop needs of a ranker into its folder, in place of what was there.

    corpus: the shop's listings; model_identity: identity of the shop's model; build_folder: folder of its build
    Raises ModelError where the ranker does not load, or is of another model.
    """
    from wares.ranking.rankers.base import WEIGHTS_FILE

    ranker = trained.ranker
    ranker.check_towers(model_identity, trained.run_folder)
    with atomic_folder(build_folder / (QUERY_TOWER_FOLDER if ranker.replaces_query_tower else RANKER_FOLDER)) as part:
        ranker.write_listing_side(trained.folder, trained.seed, corpus, part)
        if not (trained.folder / WEIGHTS_FILE).is_file():
            raise ModelError(f"{trained.folder / WEIGHTS_FILE} is missing. Train the ranker again.")
        shutil.copyfile(trained.folder / WEIGHTS_FILE, part / WEIGHTS_FILE)
        about = {
            "format": RANKER_FORMAT,
            "name": trained.name,
            "round": trained.round,
            "seed": trained.seed,
            "run": str(trained.run_folder.absolute()),
            "needs": None if ranker.replaces_query_tower else ranker.needs,
        }
        write_json(about, part / RANKER_FILE)


def load_reranker(build_folder: Path, corpus: Callable[[], Corpus]) -> Reranker:
    """The ranker that a shop keeps. corpus: gives the shop's listings, for rankers that are built over all of them

    Raises ShopError where it is damaged.
    """
    from wares.ranking.rankers.registry import get_ranker

    folder = build_folder / RANKER_FOLDER
    about = _read_kept(folder)
    try:
        return get_ranker(about["name"]).open_reranker(folder, about["seed"], corpus)
    except ModelError as error:
        raise ShopError(f"{folder} is damaged ({error}) Add the ranker again: wares index … --ranker RUN.") from error


def load_query_towers(build_folder: Path, towers: Towers) -> Towers:
    """The towers that encode a shop's queries: its own, with the query side that it keeps, where it keeps one.

    Raises ShopError where the query side is damaged.
    """
    from wares.ranking.rankers.registry import get_ranker

    folder = build_folder / QUERY_TOWER_FOLDER
    if not folder.is_dir():
        return towers
    try:
        return get_ranker(_read_kept(folder)["name"]).query_towers(folder, towers)
    except ModelError as error:
        raise ShopError(f"{error} Add the ranker again with `wares index`.") from error


def _read_kept(folder: Path) -> dict[str, Any]:
    try:
        about: dict[str, Any] = json.loads((folder / RANKER_FILE).read_text(encoding="utf-8"))
        if about["format"] == RANKER_FORMAT and about.keys() >= {"name", "seed", "needs"}:
            return about
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise ShopError(f"{folder / RANKER_FILE} cannot be read by this wares. Add the ranker again with `wares index`.")
