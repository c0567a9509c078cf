"""Commands that read data: check, queries."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wares.cli.options import CatalogueArgument, JsonFlag, OnError, OnErrorOption, OverwriteFlag, TextFieldOption, app
from wares.cli.output import _console, _print_json, _report_problems
from wares.core.errors import CatalogueError, SettingsError

if TYPE_CHECKING:
    from wares.data.listings import Query


@app.command()
def check(
    catalogue: CatalogueArgument,
    text_field: TextFieldOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Validate a catalogue, count its views, and list everything that cannot be used."""
    from wares.data.validation import check_catalogue

    report = check_catalogue(catalogue, text_fields=text_field or ())
    if as_json:
        _print_json(report.to_json())
    else:
        report.render(_console())
    if not report.ok:
        raise typer.Exit(1)


@app.command()
def queries(
    catalogue: CatalogueArgument,
    out: Annotated[Path, typer.Option(help='File for the queries, one {"id", "text"} a line.')],
    count: Annotated[int | None, typer.Option(min=1, help="Queries to write, at most.  [default: 5000]")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of what is written.  [default: 0]")] = None,
    log: Annotated[
        Path | None, typer.Option(help="Tidy the queries of this log instead: lines of queries or of interactions.")
    ] = None,
    like: Annotated[
        Path | None, typer.Option(help="A log to take the lengths of queries from, and to show beside them.")
    ] = None,
    held_out: Annotated[
        Path | None, typer.Option(help="File for a share of the log's queries, kept apart to test with.")
    ] = None,
    share: Annotated[float | None, typer.Option(help="That share, 0 to 1.  [default: 0.2]")] = None,
    overwrite: OverwriteFlag = False,
    on_error: OnErrorOption = OnError.stop,
    text_field: TextFieldOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Write queries from the listings, or tidy those of a log, and show how they look to the catalogue."""
    from wares.data.catalogue import read_catalogue
    from wares.data.corpus import Corpus
    from wares.data.queries import write_queries
    from wares.data.query_log import QueryLog, clean_query_log, split_queries
    from wares.data.query_statistics import query_statistics, render_query_statistics
    from wares.supervision.query_generation import (
        LENGTH_WEIGHTS,
        GeneratedQueries,
        generate_queries,
        query_length_weights,
        write_generated_queries,
    )

    if log is not None and not (count is None and seed is None and like is None):
        raise SettingsError("--count, --seed, --like are of queries written from listings; with --log, leave them out.")
    if (held_out is not None and log is None) or (share is not None and held_out is None):
        raise SettingsError("--held-out keeps a --share of the queries of a --log apart; name all that it takes.")
    for path in (out, held_out):
        if path is not None and path.exists() and not overwrite:
            raise CatalogueError(f"{path} is there already. Choose another file, or pass --overwrite.")
    files = {name: path for name, path in (("log", log), ("like", like)) if path is not None}
    logs = {name: clean_query_log(path, on_error.value) for name, path in files.items()}
    corpus = Corpus(read_catalogue(catalogue, on_error.value, text_field or ()))
    _report_problems([*corpus.catalogue.problems, *(problem for each in logs.values() for problem in each.problems)])
    pools: dict[str, QueryLog | GeneratedQueries]
    apart: list[Query] = []
    if log is None:
        lengths = LENGTH_WEIGHTS if like is None else query_length_weights(logs["like"].queries)
        found = generate_queries(corpus, 5000 if count is None else count, seed or 0, lengths)
        write_generated_queries(found, corpus, out)
        pools = {"written": found, **logs}
    else:
        kept, apart = split_queries(logs["log"].queries, 0.0 if held_out is None else 0.2 if share is None else share)
        write_queries(kept, out)
        if held_out is not None:
            write_queries(apart, held_out)
        pools = {**logs}
    looks = {name: query_statistics(pool.queries, corpus) for name, pool in pools.items()}
    examples = [query.text for query in next(iter(pools.values())).queries[:10]]
    if as_json:
        sets = {name: pool.to_json() | looks[name].to_json() for name, pool in pools.items()}
        _print_json({"out": str(out), "held_out": len(apart), "sets": sets, "examples": examples})
        return
    for name, pool in pools.items():
        _console().print(f"{name}: {pool}", markup=False, soft_wrap=True)
    if held_out is not None:
        _console().print(f"{len(apart):,} of them are kept apart in {held_out}.", markup=False, soft_wrap=True)
    render_query_statistics(_console(), looks)
    _console().print("For example:", *examples, sep="\n  ", markup=False, soft_wrap=True)
