"""Labelers and trained rankers as PyTerrier transformers, for its pipelines and experiments.

    corpus = Corpus(read_catalogue("my-catalogue"))
    bm25 = Retriever(get_labeler("bm25").fit(corpus), corpus, k=100)
    ranker = Reranker(load_ranker("my-run", corpus), corpus)
    pt.Experiment([bm25, bm25 >> ranker], topics, judgments, ["nDCG@10", "AP"])

Frames are those of PyTerrier (Macdonald & Tonellotto, ICTIR 2020): queries have `qid` and `query`; results also have
`docno`, `score` and `rank`, with ranks from 0. A `docno` is a listing's id. The module needs the `pyterrier` extra but
no Java, and nothing else in wares imports it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from wares.core.errors import EvaluationError, ModelError
from wares.data.listings import Query
from wares.ranking.scoring import NO_LISTING
from wares.supervision.trained_rankers import find_ranker

try:
    import pyterrier as pt
except ModuleNotFoundError as error:
    if error.name != "pyterrier":
        raise
    raise ModelError("PyTerrier is not installed. Run `pip install 'wares[pyterrier]'`.") from None

if TYPE_CHECKING:
    import pandas as pd

    from wares.data.corpus import Corpus
    from wares.ranking.scoring import Scorer

Floats = npt.NDArray[np.float64]


def load_ranker(run: Path | str, corpus: Corpus) -> Scorer:
    """The scorer, over a corpus, of the best ranker of a run of `wares supervise`, or of the one in a round's folder.

    Raises ModelError if there is no ranker, SettingsError if a run has several: name the folder of one.
    """
    trained = find_ranker(Path(run))
    model = trained.ranker.fit(corpus, trained.seed)
    if not trained.untrained:
        model.load(trained.folder)
    return model.scorer()


class Retriever(pt.Transformer):
    """Queries to results: the k best listings of the corpus for each query.

    A query from which the scorer abstains gets no results. Other columns of the queries are kept.
    """

    def __init__(self, scorer: Scorer, corpus: Corpus, k: int = 1000) -> None:
        super().__init__()
        self.scorer, self.ids, self.k = scorer, corpus.ids, k

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """(qid, query) to (qid, query, docno, score, rank), best first.

        Raises pt.validate.InputValidationError if a column is missing, or if the frame holds results.
        """
        pt.validate.query_frame(inp, extra_columns=["query"], context=self)
        labels = self.scorer.retrieve(_queries(inp), self.k)
        rows, ranks = np.nonzero(labels.present)
        results = inp.iloc[rows].reset_index(drop=True)
        return results.assign(
            docno=self.ids[labels.listings[rows, ranks]],
            score=labels.scores[rows, ranks].astype(np.float64),
            rank=ranks.astype(np.int64),
        )


class Reranker(pt.Transformer):
    """Results to the same results with new scores, as a second stage: `Retriever(...) >> Reranker(...)`.

    It keeps every result: those from which the scorer abstains come last, in their previous order.
    """

    def __init__(self, scorer: Scorer, corpus: Corpus) -> None:
        super().__init__()
        self.scorer = scorer
        self.index_of = {str(id): index for index, id in enumerate(corpus.ids)}

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """(qid, query, docno) with new score and rank, best first.

        Raises pt.validate.InputValidationError if a column is missing, EvaluationError if the corpus lacks a docno.
        """
        pt.validate.result_frame(inp, extra_columns=["query"], context=self)
        rows = inp.groupby("qid", sort=False).ngroup().to_numpy()
        columns = inp.groupby("qid", sort=False).cumcount().to_numpy()
        listings = np.full((rows.max(initial=-1) + 1, columns.max(initial=-1) + 1), NO_LISTING, dtype=np.int64)
        listings[rows, columns] = self._indices(inp["docno"])
        scores = self.scorer.score(_queries(inp.drop_duplicates("qid")), listings).astype(np.float64)
        scores = rank_abstained_last(scores)
        ranks = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1)
        results = inp.assign(score=scores[rows, columns], rank=ranks[rows, columns].astype(np.int64))
        return results.iloc[np.lexsort((results["rank"], rows))].reset_index(drop=True)

    def _indices(self, ids: pd.Series[str]) -> list[int]:
        if unknown := [id for id in ids if str(id) not in self.index_of]:
            raise EvaluationError(f"docno {unknown[0]!r} is not in the corpus. Rerank results of the same corpus.")
        return [self.index_of[str(id)] for id in ids]


def rank_abstained_last(scores: Floats) -> Floats:
    """(Q, K) scores with each NaN replaced by one below the lowest of its row, in their order. Our reading."""
    absent = np.isnan(scores)
    lowest = np.where(absent, np.inf, scores).min(axis=1, keepdims=True, initial=np.inf)
    lowest = np.where(np.isfinite(lowest), lowest, 0.0)
    return np.asarray(np.where(absent, lowest - np.cumsum(absent, axis=1), scores))


def _queries(frame: pd.DataFrame) -> list[Query]:
    return [Query(str(id), str(text)) for id, text in zip(frame["qid"], frame["query"], strict=True)]
