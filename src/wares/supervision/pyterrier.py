"""Labelers and trained rankers as PyTerrier transformers, for its pipelines and experiments.

    corpus = Corpus(read_catalogue("my-catalogue"))
    bm25 = Retriever(get_labeler("bm25").fit(corpus), corpus, k=100)
    ranker = Reranker(load_ranker("my-run", corpus), corpus)
    pt.Experiment([bm25, bm25 >> ranker], topics, judgments, [nDCG @ 10, AP])

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
    import pandas as pd
    import pyterrier as pt
    from pyterrier._ops import Compose, Sum
except ModuleNotFoundError as error:
    if error.name not in ("pyterrier", "pandas"):
        raise
    raise ModelError("PyTerrier is not installed. Run `pip install 'wares[pyterrier]'`.") from None

if TYPE_CHECKING:
    from collections.abc import Iterator

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


class _Transformer(pt.Transformer):
    """A transformer whose pipelines and sums keep their queries, and may find nothing for all queries of a batch.

    PyTerrier's own raise ValueError at such a batch in an experiment, and leave queries out of the results of a sum.
    """

    def __rshift__(self, right: pt.Transformer) -> pt.Transformer:
        return _Pipeline(self, right)

    def __add__(self, right: pt.Transformer) -> pt.Transformer:
        return _Sum(self, right)

    def transform_gen(
        self, input: pd.DataFrame, batch_size: int = 1, output_topics: bool = False
    ) -> Iterator[pd.DataFrame | tuple[pd.DataFrame, pd.DataFrame]]:
        """Results of each batch of queries. A batch without results is joined with the one before or after it."""
        pending = None
        for results, topics in super().transform_gen(input, batch_size, output_topics=True):
            if pending is None:
                pending = results, topics
            elif pending[0].empty or results.empty:
                pending = results if pending[0].empty else pending[0], pd.concat([pending[1], topics])
            else:
                yield pending if output_topics else pending[0]
                pending = results, topics
        if pending is not None:
            yield pending if output_topics else pending[0]


class _Pipeline(_Transformer, Compose):
    """One transformer after another."""


class _Sum(_Transformer, Sum):
    """The sum of the scores of two transformers, 0 from one without the result."""

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """Results of both, with their queries also if only the second has them."""
        results = super().transform(inp)  # type: ignore[no-untyped-call]
        return results.assign(query=results["qid"].map(inp.drop_duplicates("qid").set_index("qid")["query"]))


class Retriever(_Transformer):
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


class Reranker(_Transformer):
    """Results to the same results with new scores, as a second stage: `Retriever(...) >> Reranker(...)`.

    It keeps every result: those from which the scorer abstains come last, in their previous order.
    """

    def __init__(self, scorer: Scorer, corpus: Corpus) -> None:
        super().__init__()
        self.scorer = scorer
        self.index_of = {str(id): index for index, id in enumerate(corpus.ids)}

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """(qid, query, docno) with new score and rank, best first.

        Raises pt.validate.InputValidationError if a column is missing, EvaluationError if the corpus lacks a docno or a
        query is missing.
        """
        pt.validate.result_frame(inp, extra_columns=["query"], context=self)
        rows = inp.groupby("qid", sort=False).ngroup().to_numpy()
        columns = inp.groupby("qid", sort=False).cumcount().to_numpy()
        listings = np.full((rows.max(initial=-1) + 1, columns.max(initial=-1) + 1), NO_LISTING, dtype=np.int64)
        listings[rows, columns] = self._indices(inp["docno"])
        # Sums of other transformers of PyTerrier leave the query out of some rows.
        queries = _queries(inp.groupby("qid", sort=False, as_index=False)["query"].first())
        scores = self.scorer.score(queries, listings).astype(np.float64)
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
    """One query per row. Raises EvaluationError if one has no text."""
    if (missing := frame["query"].isna()).any():
        raise EvaluationError(f"query {frame['qid'][missing].iloc[0]} has no text. Write it in column query.")
    return [Query(str(id), str(text)) for id, text in zip(frame["qid"], frame["query"], strict=True)]
