"""Rerankers: trained rankers that score candidates, without the run and the corpus that they were trained with.

    reranker = ranker.open_reranker(folder, seed, corpus)
    scores = reranker.score("red boots", ids, lambda: texts)

`Ranker.open_reranker` chooses one of them; a shop calls `score` with the candidates that it retrieved.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from wares.core.errors import ModelError, condensed
from wares.ranking.scoring import NO_LISTING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wares.data.corpus import Corpus
    from wares.encoders.features import Vectors
    from wares.ranking.scoring import Indices, Scorer, Scores

    EncodeTexts = Callable[[Sequence[str]], Vectors]


LISTING_VECTORS_FILE = "listings.parquet"
MAX_CACHED_VECTORS = 10_000  # of listings that were added after the ranker
ListingData = Literal["vectors", "texts", "corpus"]


class Reranker(Protocol):
    """Scores candidates by their ids or their texts."""

    def score(self, query: str, ids: Sequence[str], texts: Callable[[], Sequence[str]]) -> Scores:
        """(n,) scores of n listings; NaN if it abstains. texts: returns their texts; it is called only if needed"""


class CorpusReranker:
    """A scorer over all listings of a shop. It abstains from listings that were added later.

    ids: of the listings, in the order of the scorer's corpus
    """

    def __init__(self, scorer: Scorer, ids: Sequence[str]) -> None:
        self.scorer = scorer
        self.index_of = {id: index for index, id in enumerate(ids)}

    def score(self, query: str, ids: Sequence[str], texts: Callable[[], Sequence[str]]) -> Scores:
        """By the ids alone."""
        del texts
        return _scores(self.scorer, query, np.array([self.index_of.get(id, NO_LISTING) for id in ids], dtype=np.int64))


class EmbeddingReranker:
    """Inner products with saved listing vectors. Listings that were added later are encoded from their texts.

    encode_queries, encode_listings: texts -> (n, d) vectors of queries and of new listings
    ids, vectors: (N,) and (N, d) of the saved listings
    """

    def __init__(
        self, encode_queries: EncodeTexts, encode_listings: EncodeTexts, ids: Sequence[str], vectors: Vectors
    ) -> None:
        self.vectors, self.encode = vectors, encode_queries
        self.index_of = {id: index for index, id in enumerate(ids)}
        self.encode_new = lru_cache(MAX_CACHED_VECTORS)(lambda text: encode_listings([text])[0])

    def score(self, query: str, ids: Sequence[str], texts: Callable[[], Sequence[str]]) -> Scores:
        """By the ids, and by the texts of new listings."""
        from wares.ranking.labelers.embedding_scorer import EmbeddingScorer

        indices = np.array([self.index_of.get(id, NO_LISTING) for id in ids], dtype=np.int64)
        vectors, new = self.vectors[indices], np.flatnonzero(indices == NO_LISTING).tolist()
        if new:
            candidates = texts()
            vectors[new] = [self.encode_new(candidates[index]) for index in new]
        return _scores(EmbeddingScorer(vectors, self.encode), query, np.arange(len(ids)))


class CrossEncoderReranker:
    """A cross-encoder, which reads each candidate together with the query.

    scorer_over: returns the scorer of some texts
    """

    def __init__(self, scorer_over: Callable[[Sequence[str]], Scorer]) -> None:
        self.scorer_over = scorer_over

    def score(self, query: str, ids: Sequence[str], texts: Callable[[], Sequence[str]]) -> Scores:
        """By the texts alone."""
        del ids
        candidates = list(texts())
        return _scores(self.scorer_over(candidates), query, np.arange(len(candidates)))


def placeholder_corpus() -> Corpus:
    """A corpus of one listing, for models that only encode queries or get their texts later."""
    from wares.data.corpus import Corpus
    from wares.data.listings import Catalogue, Listing

    return Corpus(Catalogue(Path(), (Listing("", "listing"),)))


def write_listing_vectors(ids: Sequence[str], vectors: Vectors, path: Path) -> None:
    """Save (N, d) vectors with the ids of their listings as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).ravel())
    column = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    pq.write_table(pa.table({"id": pa.array(ids, pa.string()), "vector": column}), path)


def read_listing_vectors(path: Path) -> tuple[list[str], Vectors]:
    """Ids and (N, d) vectors, as `write_listing_vectors` saved them. Raises ModelError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path).combine_chunks()
        vectors = table["vector"].combine_chunks()
        flat = np.array(vectors.flatten())  # a copy, because torch needs writable arrays
        return table["id"].to_pylist(), flat.reshape(table.num_rows, vectors.type.list_size)
    except (OSError, KeyError, pa.ArrowException) as error:
        raise ModelError(f"{path} does not load ({condensed(error)}).") from error


def _scores(scorer: Scorer, query: str, indices: Indices) -> Scores:
    """(n,) scores of one query with the listings at these indices."""
    from wares.data.listings import Query

    scores: Scores = scorer.score([Query("", query)], indices[None])[0]
    return scores
