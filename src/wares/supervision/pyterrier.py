"""Labelers and trained rankers as PyTerrier transformers, for its pipelines and experiments.

    corpus = Corpus(read_catalogue("my-catalogue"))
    bm25 = Retriever(get_labeler("bm25").over(corpus), corpus, k=100)
    ranker = Reranker(trained("my-run", corpus), corpus)
    pt.Experiment([bm25, bm25 >> ranker], topics, judgments, ["nDCG@10", "AP"])

Frames are those of PyTerrier (Macdonald & Tonellotto, ICTIR 2020): queries have `qid` and `query`, results `docno`,
`score` and `rank` besides, with ranks from 0. A `docno` is a listing's id. No Java is started, or needed. It takes the
`pyterrier` extra, and nothing else in wares imports it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from wares.core.errors import EvaluationError, ModelError
from wares.data.listings import Query
from wares.ranking.scoring import NO_LISTING
from wares.supervision.run_folder import find_ranker

try:
    import pyterrier as pt
except ModuleNotFoundError as error:
    if error.name != "pyterrier":
        raise
    raise ModelError("pipelines of PyTerrier need its package. Run `pip install 'wares[pyterrier]'`.") from None

if TYPE_CHECKING:
    import pandas as pd

    from wares.data.corpus import Corpus
    from wares.ranking.scoring import Scorer

Floats = npt.NDArray[np.float64]


def load_ranker(run: Path | str, corpus: Corpus) -> Scorer:
    """The ranker that a run of `wares supervise` keeps, or the one of a round's folder, at work on a corpus.

    Raises ModelError where there is none, and SettingsError where a run has several rankers: name the folder of one.
    """
    found = find_ranker(Path(run))
    model = found.ranker.fit(corpus, found.seed)
    if not found.untrained:
        model.load(found.folder)
    return model.scorer()


class Retriever(pt.Transformer):
    """Queries to results: the k best listings of the corpus for each query.

    A query from which the scorer abstains has no results. Further columns of the queries stay.
    """

    def __init__(self, scorer: Scorer, corpus: Corpus, k: int = 1000) -> None:
        super().__init__()
        self.scorer, self.ids, self.k = scorer, corpus.ids, k

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """(qid, query) to (qid, query, docno, score, rank), the best first.

        Raises pt.validate.InputValidationError where a column is missing, or the frame holds results.
        """
        pt.validate.query_frame(inp, extra_columns=["query"], context=self)
        labels = self.scorer.retrieve(_queries(inp), self.k)
        rows, ranks = np.nonzero(labels.present)
        found = inp.iloc[rows].reset_index(drop=True)
        return found.assign(
            docno=self.ids[labels.listings[rows, ranks]],
            score=labels.scores[rows, ranks].astype(np.float64),
            rank=ranks.astype(np.int64),
        )


class Reranker(pt.Transformer):
    """Results to the same results with scores of its own, as a second stage: `Retriever(...) >> Reranker(...)`.

    No result is lost: those from which the scorer abstains come last, in the order that they came in.
    """

    def __init__(self, scorer: Scorer, corpus: Corpus) -> None:
        super().__init__()
        self.scorer = scorer
        self.index_of = {str(id): place for place, id in enumerate(corpus.ids)}

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """(qid, query, docno) with score and rank in place of any there were, the best first.

        Raises pt.validate.InputValidationError where a column is missing, EvaluationError for a docno that the corpus
        does not have.
        """
        pt.validate.result_frame(inp, extra_columns=["query"], context=self)
        owners = inp.groupby("qid", sort=False).ngroup().to_numpy()
        columns = inp.groupby("qid", sort=False).cumcount().to_numpy()
        listings = np.full((owners.max(initial=-1) + 1, columns.max(initial=-1) + 1), NO_LISTING, dtype=np.int64)
        listings[owners, columns] = self._places(inp["docno"])
        scores = rank_abstained_last(
            self.scorer.score(_queries(inp.drop_duplicates("qid")), listings).astype(np.float64)
        )
        ranks = np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1)
        found = inp.assign(score=scores[owners, columns], rank=ranks[owners, columns].astype(np.int64))
        return found.iloc[np.lexsort((found["rank"], owners))].reset_index(drop=True)

    def _places(self, ids: pd.Series[str]) -> list[int]:
        if unknown := [id for id in ids if str(id) not in self.index_of]:
            raise EvaluationError(
                f"docno {unknown[0]!r} is not in the corpus. Rerank results over the corpus that the scorer is over."
            )
        return [self.index_of[str(id)] for id in ids]


def rank_abstained_last(scores: Floats) -> Floats:
    """(Q, K) scores with NaN replaced, row by row, by ever lower ones below the lowest. Our reading."""
    absent = np.isnan(scores)
    lowest = np.where(absent, np.inf, scores).min(axis=1, keepdims=True, initial=np.inf)
    lowest = np.where(np.isfinite(lowest), lowest, 0.0)
    return np.asarray(np.where(absent, lowest - np.cumsum(absent, axis=1), scores))


def _queries(frame: pd.DataFrame) -> list[Query]:
    return [Query(str(id), str(text)) for id, text in zip(frame["qid"], frame["query"], strict=True)]
