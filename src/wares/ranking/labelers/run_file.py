"""Results of another system as a labeler: a TREC run file, matched by the ids of queries and listings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from wares.core.errors import EvaluationError, SettingsError
from wares.data.runs import Run, read_run
from wares.ranking.scoring import NO_LISTING, Labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wares.data.corpus import Corpus
    from wares.data.listings import Query
    from wares.ranking.scoring import Indices, Scores


MAX_SCORE = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class RunLabeler:
    """Ranked results of another system, from a TREC run file. file: its path"""

    requires: ClassVar[str] = "a run file in TREC format"
    file: str = ""

    def __post_init__(self) -> None:
        if not self.file:
            raise SettingsError("run needs a file: run(file='results.txt'), ranked results in TREC format.")

    def fit(self, corpus: Corpus) -> RunScorer:
        """Read the file.

        Raises EvaluationError if it ranks listings that are not in the corpus, or a score overflows float32.
        """
        index_of = {id: index for index, id in enumerate(corpus.ids)}
        run = read_run(self.file)
        for query, scores in run.items():
            if unknown := [listing for listing in scores if listing not in index_of]:
                raise EvaluationError(
                    f"{self.file}, query {query}: listing {unknown[0]!r} is not in the corpus. "
                    "Use the corpus that the run was made on."
                )
            if too_large := [score for score in scores.values() if abs(score) > MAX_SCORE]:
                raise EvaluationError(
                    f"{self.file}, query {query}: score {too_large[0]:g} is too large. Scale the scores."
                )
        return RunScorer(run, index_of)


class RunScorer:
    """A run over one corpus. It abstains from queries that it does not have.

    A listing that the run does not rank for a query scores one mean step below the last one that it ranks. If the run
    abstained instead, other teachers alone would score what it left out, often above its own last results.
    """

    single_threaded: ClassVar[bool] = True

    def __init__(self, run: Run, index_of: dict[str, int]) -> None:
        self.scores_by_query = {
            query: {index_of[listing]: score for listing, score in scores.items()} for query, scores in run.items()
        }
        self.unranked_scores = {query: _score_below(list(row.values())) for query, row in self.scores_by_query.items()}

    def retrieve(self, queries: Sequence[Query], k: int) -> Labels:
        """The first k listings of the run for each query, by its scores."""
        listings = np.full((len(queries), k), NO_LISTING, dtype=np.int64)
        scores = np.full((len(queries), k), np.nan, dtype=np.float32)
        for i, query in enumerate(queries):
            row = self.scores_by_query.get(query.id, {})
            best = sorted(row, key=lambda listing: (-row[listing], listing))[:k]
            listings[i, : len(best)] = best
            scores[i, : len(best)] = [row[listing] for listing in best]
        return Labels(listings, scores)

    def score(self, queries: Sequence[Query], listings: Indices) -> Scores:
        """(Q, K) the run's scores of given listings, and a lower score for listings that it does not rank."""
        scores = np.full(listings.shape, np.nan, dtype=np.float32)
        for i, query in enumerate(queries):
            row, unranked = self.scores_by_query.get(query.id), self.unranked_scores.get(query.id)
            if row is not None:
                scores[i] = [row.get(int(listing), unranked) for listing in listings[i]]
        return np.where(listings == NO_LISTING, np.float32(np.nan), scores)


def _score_below(scores: Sequence[float]) -> float:
    """The lowest score minus the mean step between scores, or minus 1 if all are equal."""
    low, high = min(scores), max(scores)
    return low - ((high - low) / (len(scores) - 1) if high > low else 1.0)
