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
from copy import copy
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from wares.core.errors import ModelError, ShopError
from wares.core.files import atomic_folder, write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wares.data.corpus import Corpus
    from wares.encoders.towers import Towers
    from wares.ranking.rankers.base import Ranker, RankerModel
    from wares.ranking.rankers.bi_encoder import BiEncoder
    from wares.ranking.scoring import Indices, Scorer
    from wares.ranking.trained import TrainedRanker


RANKER_FOLDER = "ranker"
QUERY_TOWER_FOLDER = "query-tower"
RANKER_FILE = "ranker.json"
LISTING_VECTORS_FILE = "listings.parquet"
RANKER_FORMAT = 1
QUERY_HEAD_PREFIX = "query_head."  # before the names of a two-tower ranker's text tower
RERANK_DEPTH = 100  # retrieved listings that are reranked
MAX_CACHED_VECTORS = 10_000  # listings that came later whose vectors are remembered
Scores = npt.NDArray[np.float32]
ListingData = Literal["vectors", "texts", "corpus"]


class Reranker(Protocol):
    """What a shop asks of its ranker."""

    def score(self, query: str, ids: Sequence[str], texts: Callable[[], Sequence[str]]) -> Scores:
        """(n,) scores of n listings; NaN where it abstains. texts: gives what the listings say, for who reads it"""


def write_ranker(trained: TrainedRanker, corpus: Corpus, model_identity: str, build_folder: Path) -> None:
    """Write what a shop needs of a ranker into its folder, in place of what was there.

    corpus: the shop's listings; model_identity: identity of the shop's model; build_folder: folder of its build
    Raises ModelError where the ranker does not load, or is of another model.
    """
    from wares.ranking.rankers.base import WEIGHTS_FILE

    needs: ListingData | None = None
    vectors = None
    if trained.replaces_query_tower:
        _check_same_model(trained, model_identity)
    else:
        needs, vectors = _listing_side(trained, corpus)
    with atomic_folder(build_folder / (RANKER_FOLDER if needs else QUERY_TOWER_FOLDER)) as part:
        if not (trained.folder / WEIGHTS_FILE).is_file():
            raise ModelError(f"{trained.folder / WEIGHTS_FILE} is missing. Train the ranker again.")
        shutil.copyfile(trained.folder / WEIGHTS_FILE, part / WEIGHTS_FILE)
        if vectors is not None:
            _write_vectors(corpus.ids.tolist(), vectors, part / LISTING_VECTORS_FILE)
        about = {
            "format": RANKER_FORMAT,
            "name": trained.name,
            "round": trained.round,
            "seed": trained.seed,
            "run": str(trained.run_folder.absolute()),
            "needs": needs,
        }
        write_json(about, part / RANKER_FILE)


def load_reranker(build_folder: Path, corpus: Callable[[], Corpus]) -> Reranker:
    """The ranker that a shop keeps. corpus: gives the shop's listings, for rankers that are built over all of them

    Raises ShopError where it is damaged.
    """
    from wares.ranking.rankers.registry import get_ranker

    folder = build_folder / RANKER_FOLDER
    about = _read_kept(folder)
    ranker, needs = get_ranker(about["name"]), about["needs"]
    try:
        if needs == "corpus":
            listings = corpus()
            return CorpusReranker(_loaded(ranker, listings, about["seed"], folder).scorer(), listings.ids.tolist())
        model = _loaded(without_first_stage(ranker), placeholder_corpus(), about["seed"], folder)
        if needs == "texts":
            return CrossEncoderReranker(model)
        return EmbeddingReranker(_two_encoder(model), *_read_vectors(folder / LISTING_VECTORS_FILE))
    except ModelError as error:
        raise ShopError(f"{folder} is damaged ({error}) Add the ranker again: wares index … --ranker RUN.") from error


def load_query_towers(build_folder: Path, towers: Towers) -> Towers:
    """The towers that encode a shop's queries: its own, with the query side that it keeps, where it keeps one.

    Both share their frozen parts. Raises ShopError where the query side is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from wares.encoders.towers import Towers
    from wares.ranking.rankers.base import WEIGHTS_FILE

    folder = build_folder / QUERY_TOWER_FOLDER
    if not folder.is_dir():
        return towers
    text = towers.text.copy_sharing_backbone()
    _read_kept(folder)
    try:
        saved = load_file(str(folder / WEIGHTS_FILE))
        head = {
            name.removeprefix(QUERY_HEAD_PREFIX): value
            for name, value in saved.items()
            if name.startswith(QUERY_HEAD_PREFIX)
        }
        unknown = text.load_state_dict(head, strict=False).unexpected_keys
    except (OSError, RuntimeError, SafetensorError) as error:
        raise ShopError(f"{folder} is damaged ({_line(error)}). Add the ranker again with `wares index`.") from error
    if unknown or not head:
        raise ShopError(f"{folder} is of other towers than the shop's. Add the ranker again with `wares index`.")
    return Towers(towers.name, towers.image, text, towers.dimension)


class EmbeddingReranker:
    """A ranker that compares vectors, which are kept; those of listings that came later are made of their texts.

    ids, vectors: of the listings that were there
    """

    def __init__(self, model: BiEncoder, ids: Sequence[str], vectors: Scores) -> None:
        self.vectors, self.encode = vectors, model.scorer().encode
        self.places = {id: place for place, id in enumerate(ids)}
        self.made = lru_cache(MAX_CACHED_VECTORS)(lambda text: model.encode_new_listings([text])[0])

    def score(self, query: str, ids: Sequence[str], texts: Callable[[], Sequence[str]]) -> Scores:
        """Texts are asked for where a listing is new."""
        from wares.ranking.labelers.embeddings import EmbeddingScorer
        from wares.ranking.scoring import NO_LISTING

        places = np.array([self.places.get(id, NO_LISTING) for id in ids], dtype=np.int64)
        vectors, new = self.vectors[places], np.flatnonzero(places == NO_LISTING).tolist()
        if new:
            said = texts()
            vectors[new] = [self.made(said[place]) for place in new]
        return _scores(EmbeddingScorer(vectors, self.encode), query, np.arange(len(ids)))


class CorpusReranker:
    """A scorer over all listings. ids: of its places"""

    def __init__(self, scorer: Scorer, ids: Sequence[str]) -> None:
        self.scorer = scorer
        self.places = {id: place for place, id in enumerate(ids)}

    def score(self, query: str, ids: Sequence[str], texts: Callable[[], Sequence[str]]) -> Scores:
        """Texts are not asked for."""
        from wares.ranking.scoring import NO_LISTING

        del texts
        return _scores(self.scorer, query, np.array([self.places.get(id, NO_LISTING) for id in ids], dtype=np.int64))


class CrossEncoderReranker:
    """A cross-encoder, which reads the candidates with the query."""

    def __init__(self, model: RankerModel) -> None:
        self.model = model

    def score(self, query: str, ids: Sequence[str], texts: Callable[[], Sequence[str]]) -> Scores:
        """Of the texts, whatever the ids."""
        del ids
        model: Any = copy(self.model)  # weights are shared; each question has candidates of its own
        model.texts = list(texts())
        scorer: Scorer = model.scorer()
        return _scores(scorer, query, np.arange(len(model.texts)))


def _scores(scorer: Scorer, query: str, places: Indices) -> Scores:
    """(n,) of one query with the listings at some places."""
    from wares.data.listings import Query

    found: Scores = scorer.score([Query("", query)], places[None])[0]
    return found


def _listing_side(trained: TrainedRanker, corpus: Corpus) -> tuple[ListingData, Scores | None]:
    """What a shop has to keep of its listings for a ranker. Raises ModelError where the ranker does not load."""
    from wares.ranking.labelers.embeddings import EmbeddingScorer
    from wares.ranking.rankers.cross_encoder import CrossEncoderRanker

    ranker = trained.ranker
    if isinstance(ranker, CrossEncoderRanker):
        _loaded(without_first_stage(ranker), placeholder_corpus(), trained.seed, trained.folder)
        return "texts", None
    scorer = _loaded(ranker, corpus, trained.seed, trained.folder).scorer()
    if isinstance(scorer, EmbeddingScorer):
        return "vectors", scorer.listing_vectors.numpy()
    return "corpus", None


def _loaded(ranker: Ranker, corpus: Corpus, seed: int, folder: Path) -> RankerModel:
    model = ranker.fit(corpus, seed)
    model.load(folder)
    model.eval()
    return model


def without_first_stage(ranker: Ranker) -> Ranker:
    """A ranker without a first stage of its own: in a shop, the shop retrieves."""
    from wares.ranking.rankers.cross_encoder import CrossEncoderRanker

    return replace(ranker, first_stage="query-likelihood") if isinstance(ranker, CrossEncoderRanker) else ranker


def placeholder_corpus() -> Corpus:
    """A corpus for rankers of which only the query side is used, or which are given texts later."""
    from wares.data.corpus import Corpus
    from wares.data.listings import Catalogue, Listing

    return Corpus(Catalogue(Path(), (Listing("", "listing"),)))


def _two_encoder(model: RankerModel) -> BiEncoder:
    from wares.ranking.rankers.bi_encoder import BiEncoder

    if not isinstance(model, BiEncoder):
        raise ModelError("its listings have vectors, and its ranker does not compare any.")
    return model


def _check_same_model(trained: TrainedRanker, identity: str) -> None:
    from wares.encoders.registry import load_towers
    from wares.ranking.rankers.two_tower import TwoTowerRanker

    ranker = trained.ranker
    assert isinstance(ranker, TwoTowerRanker)
    of = load_towers(ranker.model).identity
    if of != identity:
        raise ModelError(
            f"{trained.run_folder}: its query tower was trained for {ranker.model}, which is model {of[:8]}…, and the shop's "
            f"is {identity[:8]}…. Index with --model {ranker.model}, or train a ranker of this model."
        )


def _read_kept(folder: Path) -> dict[str, Any]:
    try:
        about: dict[str, Any] = json.loads((folder / RANKER_FILE).read_text(encoding="utf-8"))
        if about["format"] == RANKER_FORMAT and about.keys() >= {"name", "seed", "needs"}:
            return about
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise ShopError(f"{folder / RANKER_FILE} cannot be read by this wares. Add the ranker again with `wares index`.")


def _write_vectors(ids: Sequence[str], vectors: Scores, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).ravel())
    column = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    pq.write_table(pa.table({"id": pa.array(ids, pa.string()), "vector": column}), path)


def _read_vectors(path: Path) -> tuple[list[str], Scores]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path).combine_chunks()
        vectors = table["vector"].combine_chunks()
        flat = np.array(vectors.flatten())  # a copy: torch takes no arrays that cannot be written
        return table["id"].to_pylist(), flat.reshape(table.num_rows, vectors.type.list_size)
    except (OSError, KeyError, pa.ArrowException) as error:
        raise ModelError(f"{path} does not load ({_line(error)}).") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".")
