"""Files of queries: reader and writer."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from wares.core.errors import CatalogueError
from wares.core.files import atomic_write
from wares.data.formats import read_rows
from wares.data.listings import Problem, Query
from wares.data.schema import QUERY_SCHEMA, validate_row
from wares.data.writers import write_jsonl


def read_queries(path: str | Path) -> list[Query]:
    r"""Read queries, one {"id", "text"} per row; other columns are ignored.

    path: a .jsonl, .csv or .parquet file, or a folder with queries.jsonl

    Raises CatalogueError at the first broken, empty or duplicate query, or if there is none.

    Example:
        >>> from pathlib import Path
        >>> _ = Path("queries.csv").write_text("id,text\n1,red boots\n")
        >>> read_queries("queries.csv")
        [Query(id='1', text='red boots')]
    """
    source = Path(path) / "queries.jsonl" if Path(path).is_dir() else Path(path)
    if not source.is_file():
        raise CatalogueError(f'{source} does not exist. Write lines of {{"id": ..., "text": ...}}.')
    line_of_id: dict[str, int] = {}
    queries: list[Query] = []
    for line, row in read_rows(source, ("id", "text"), ("id", "text")):
        if isinstance(row, Problem):
            raise CatalogueError(str(row))
        values = validate_row(QUERY_SCHEMA, source.name, line, row, line_of_id)
        if isinstance(values, list):
            raise CatalogueError(str(values[0]))
        queries.append(Query(str(values["id"]).strip(), values["text"]))
        line_of_id[queries[-1].id] = line
    if not queries:
        raise CatalogueError(f'{source} has no queries. Write one {{"id": ..., "text": ...}} per line.')
    return queries


def write_queries(queries: Iterable[Query], path: str | Path) -> None:
    """Write queries as JSON Lines, one {"id", "text"} per line."""
    with atomic_write(Path(path)) as part:
        write_jsonl(part, ({"id": query.id, "text": query.text} for query in queries))
