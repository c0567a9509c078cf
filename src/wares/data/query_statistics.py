"""Statistics of a set of queries, to compare generated queries with a log."""

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


@dataclass(frozen=True)
class QueryStatistics:
    """Statistics of a set of queries over a corpus; stop words do not count, means of no values are 0.

    terms, quartiles: mean and quartiles of the number of terms per query
    idf: mean of ln(listings / listings with the term) over terms in the corpus
    unknown_terms: fraction of terms that no listing has
    unknown_queries: fraction of queries without a term that a listing has
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
    """Statistics of queries, comparable with those of other queries over the same corpus."""
    terms = corpus.term_counts
    lengths = np.array([len(analyse(query.text)) for query in queries])
    term_ids = [terms.term_ids(query.text) for query in queries]
    columns = np.concatenate([np.zeros(0, dtype=np.int64), *term_ids])
    idf = np.log(len(corpus) / terms.document_frequency[columns])
    low, middle, high = np.percentile(lengths, [25, 50, 75]) if len(queries) else (0.0, 0.0, 0.0)
    return QueryStatistics(
        queries=len(queries),
        terms=_mean(lengths),
        quartiles=(float(low), float(middle), float(high)),
        idf=_mean(idf),
        unknown_terms=float(1.0 - len(columns) / lengths.sum()) if lengths.sum() else 0.0,
        unknown_queries=_mean(np.array([len(ids) == 0 for ids in term_ids])),
    )


def _mean(values: npt.NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else 0.0


def render_query_statistics(console: Console, sets: Mapping[str, QueryStatistics]) -> None:
    """Print the statistics of sets of queries as a table with a column per set."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="Queries compared with the catalogue", title_justify="left")
    table.add_column("")
    for name in sets:
        table.add_column(escape(name), justify="right")
    rows = {
        "queries": [f"{stats.queries:,}" for stats in sets.values()],
        "terms per query, mean": [f"{stats.terms:.2f}" for stats in sets.values()],
        "terms per query, quartiles": [" / ".join(f"{n:g}" for n in stats.quartiles) for stats in sets.values()],
        "idf of known terms, mean": [f"{stats.idf:.2f}" for stats in sets.values()],
        "terms that no listing has": [f"{stats.unknown_terms:.1%}" for stats in sets.values()],
        "queries with no known term": [f"{stats.unknown_queries:.1%}" for stats in sets.values()],
    }
    for name, cells in rows.items():
        table.add_row(name, *cells)
    console.print(table)
