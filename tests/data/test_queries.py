"""Files of queries: cases by eye, every kind of bad row, and the round trip."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from catalogue_files import IDS, NONBLANK_TEXTS, write_lines
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toys import write_rows

from wares.core.errors import CatalogueError
from wares.data.formats import FILE_SUFFIXES
from wares.data.listings import Query
from wares.data.queries import read_queries, write_queries


def test_queries_of_a_file(folder: Path) -> None:
    write_lines(folder, {"id": 1, "text": "red boots"}, {"id": "2", "text": "mug", "count": 4}, name="queries.jsonl")
    assert (
        read_queries(folder) == read_queries(folder / "queries.jsonl") == [Query("1", "red boots"), Query("2", "mug")]
    )


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"id": "1", "text": "again"}, 'line 2: "id" 1 is already the id of line 1'),
        ({"id": "2", "text": " "}, 'line 2: "text" is empty'),
        ({"id": "2"}, 'line 2: "text" is missing; the row has id'),
        ({"text": "x"}, 'line 2: "id" is missing'),
        ({"id": "2", "text": 3}, 'line 2: "text" must be text, not 3'),
        ("{", "line 2: broken JSON"),
    ],
)
def test_a_bad_query_is_an_error(folder: Path, row: Mapping[str, object] | str, message: str) -> None:
    write_lines(folder, {"id": "1", "text": "red boots"}, row, name="queries.jsonl")
    with pytest.raises(CatalogueError, match=message):
        read_queries(folder)


def test_a_file_without_queries_is_an_error(folder: Path) -> None:
    with pytest.raises(CatalogueError, match="does not exist"):
        read_queries(folder)
    with pytest.raises(CatalogueError, match="has no queries"):
        read_queries(write_lines(folder, "", name="queries.jsonl"))


@pytest.mark.parametrize("suffix", FILE_SUFFIXES)
def test_queries_are_read_from_every_format(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"asked{suffix}"
    rows = [{"id": "1", "text": "red, wool", "when": "x"}, {"id": "2", "text": "mug", "when": "y"}]
    write_rows(rows, path)
    assert read_queries(path) == [Query("1", "red, wool"), Query("2", "mug")]
    write_rows([{"id": "1", "text": ""}], path)
    with pytest.raises(CatalogueError, match='"text" is empty'):
        read_queries(path)


@given(queries=st.lists(st.builds(Query, IDS, NONBLANK_TEXTS), min_size=1, unique_by=lambda query: query.id))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_written_queries_are_read_back(folder: Path, queries: list[Query]) -> None:
    write_queries(queries, folder / "queries.jsonl")
    assert read_queries(folder / "queries.jsonl") == queries
