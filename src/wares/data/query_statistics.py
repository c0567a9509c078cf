"""Statistics of a set of queries, to compare written queries with a log."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wares.data.listings import Query
from wares.data.terms import analyse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from wares.data.corpus import Corpus


# How queries look --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class QueryStatistics:
    """What a set of queries looks like to a corpus; stop words are not counted, and every mean of nothing is 0.

    terms: per query, on average; quartiles: of the same
    idf: ln(listings / listings with the term), mean over the terms that the corpus knows
    unknown_terms: share of the terms that no listing has
    unknown_queries: share of the queries that have no term in common with any listing
    """

    queries: int
    terms: float
    quartiles: tuple[float, float, float]
    idf: float
    unknown_terms: float
    unknown_queries: float

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "quartiles": list(self.quartiles)}


def query_statistics(queries: Sequence[Query], corpus: Corpus) -> QueryStatistics:
    """Statistics of queries, to be held beside those of other queries over the same corpus."""
    terms = corpus.term_counts
    lengths = np.array([len(analyse(query.text)) for query in queries])
    known = [terms.term_ids(query.text) for query in queries]
    columns = np.concatenate([np.zeros(0, dtype=np.int64), *known])
    idf = np.log(len(corpus) / terms.document_frequency[columns])
    low, middle, high = np.percentile(lengths, [25, 50, 75]) if len(queries) else (0.0, 0.0, 0.0)
    return QueryStatistics(
        queries=len(queries),
        terms=_mean(lengths),
        quartiles=(float(low), float(middle), float(high)),
        idf=_mean(idf),
        unknown_terms=float(1.0 - len(columns) / lengths.sum()) if lengths.sum() else 0.0,
        unknown_queries=_mean(np.array([len(each) == 0 for each in known])),
    )


def _mean(values: npt.NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else 0.0


def render_query_statistics(console: Console, sets: Mapping[str, QueryStatistics]) -> None:
    """Print sets of queries side by side, one column a set."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="How the queries look to the catalogue", title_justify="left")
    table.add_column("")
    for name in sets:
        table.add_column(escape(name), justify="right")
    rows = {
        "queries": [f"{each.queries:,}" for each in sets.values()],
        "terms per query, mean": [f"{each.terms:.2f}" for each in sets.values()],
        "terms per query, quartiles": [" / ".join(f"{each:g}" for each in one.quartiles) for one in sets.values()],
        "idf of known terms, mean": [f"{each.idf:.2f}" for each in sets.values()],
        "terms that no listing has": [f"{each.unknown_terms:.1%}" for each in sets.values()],
        "queries with no known term": [f"{each.unknown_queries:.1%}" for each in sets.values()],
    }
    for name, cells in rows.items():
        table.add_row(name, *cells)
    console.print(table)
