"""Anybody's ranking as a labeler: a TREC run file, read by the ids of its queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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
    """Ranked results of another system. file: path of the run file"""

    file: str = ""

    def __post_init__(self) -> None:
        if not self.file:
            raise SettingsError("run needs a file: run(file='results.txt'), ranked results in TREC format.")

    def fit(self, corpus: Corpus) -> RunScorer:
        """Read the file.

        Raises EvaluationError where it ranks listings that the corpus does not have, or by scores that single precision
        does not hold.
        """
        places = {id: place for place, id in enumerate(corpus.ids)}
        run = read_run(self.file)
        for query, scores in run.items():
            if unknown := [listing for listing in scores if listing not in places]:
                raise EvaluationError(
                    f"{self.file}, query {query}: listing {unknown[0]!r} is not in the corpus. "
                    "Use the corpus that the run was made on."
                )
            if wide := [score for score in scores.values() if abs(score) > MAX_SCORE]:
                raise EvaluationError(f"{self.file}, query {query}: score {wide[0]:g} is too large. Scale the scores.")
        return RunScorer(run, places)


class RunScorer:
    """A run over one corpus. Abstains from queries that it does not have.

    A listing that it does not have for a query is worth less to it than any that it has: one mean step below its last.
    Were it to abstain, what it left out would be judged by other teachers alone, and better than what it has last.
    """

    def __init__(self, run: Run, places: dict[str, int]) -> None:
        self.scores_by_query = {
            query: {places[listing]: score for listing, score in scores.items()} for query, scores in run.items()
        }
        self.unranked_scores = {query: _below(list(row.values())) for query, row in self.scores_by_query.items()}

    def retrieve(self, queries: Sequence[Query], k: int) -> Labels:
        """The first k listings that the run has for each query, by its scores."""
        listings = np.full((len(queries), k), NO_LISTING, dtype=np.int64)
        scores = np.full((len(queries), k), np.nan, dtype=np.float32)
        for place, query in enumerate(queries):
            row = self.scores_by_query.get(query.id, {})
            best = sorted(row, key=lambda listing: (-row[listing], listing))[:k]
            listings[place, : len(best)] = best
            scores[place, : len(best)] = [row[listing] for listing in best]
        return Labels(listings, scores)

    def score(self, queries: Sequence[Query], listings: Indices) -> Scores:
        """The run's scores of these listings, and one below them for others."""
        found = np.full(listings.shape, np.nan, dtype=np.float32)
        for place, query in enumerate(queries):
            row, below = self.scores_by_query.get(query.id), self.unranked_scores.get(query.id)
            if row is not None:
                found[place] = [row.get(int(listing), below) for listing in listings[place]]
        return np.where(listings == NO_LISTING, np.float32(np.nan), found)


def _below(scores: Sequence[float]) -> float:
    """One mean step below the last of some scores; 1 below where they are all alike."""
    low, high = min(scores), max(scores)
    return low - ((high - low) / (len(scores) - 1) if high > low else 1.0)
