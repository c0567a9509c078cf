"""Commands that read data: check, queries."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from wares.cli.options import Catalogue, Count, Given, Json, Overwrite, Reading, ReadingOptions, Seed
from wares.cli.output import console, print_json, report_problems
from wares.core.errors import CatalogueError, SettingsError

if TYPE_CHECKING:
    from wares.data.corpus import Corpus
    from wares.data.listings import Query
    from wares.data.query_log import QueryLog
    from wares.supervision.query_generation import GeneratedQueries

FROM_LISTINGS = {"count", "seed", "like"}  # options of queries that are generated from listings


def check(catalogue: Catalogue, /, *, text_field: list[str] | None = None, as_json: Json = False) -> int:
    """Validate a catalogue, count its views, and list everything that cannot be used.

    Args:
        text_field: Further text column; repeatable.
    """
    from wares.data.validation import check_catalogue

    report = check_catalogue(catalogue, text_fields=text_field or ())
    if as_json:
        print_json(report.to_json())
    else:
        report.render(console())
    return 0 if report.ok else 1


def queries(
    catalogue: Catalogue,
    /,
    *,
    out: Path,
    count: Count = 5000,
    seed: Seed = 0,
    log: Path | None = None,
    like: Path | None = None,
    without: Path | None = None,
    held_out: Path | None = None,
    test_fraction: Annotated[float, Parameter(validator=Number(gte=0, lte=1))] = 0.2,
    overwrite: Overwrite = False,
    as_json: Json = False,
    reading: Reading = ReadingOptions(),
    given: Given = frozenset(),
) -> None:
    """Generate queries from the listings, or clean those of a log, and show their statistics.

    Args:
        out: File for the queries, one {"id", "text"} a line.
        count: Maximum number of generated queries.
        seed: Seed of the generated queries.
        log: Query log to clean, instead of generating queries: lines of queries or of interactions.
        like: Log whose query lengths the generated queries get; its statistics are shown beside theirs.
        without: File of queries to leave out, such as test queries that were judged.
        held_out: File for a fraction of the log's queries, kept apart as test queries.
        test_fraction: Fraction of the log's queries in --held-out, 0 to 1.
    """
    from wares.data.catalogue import read_catalogue
    from wares.data.corpus import Corpus
    from wares.data.queries import read_queries
    from wares.data.query_log import clean_query_log

    if log is not None and given & FROM_LISTINGS:
        raise SettingsError("--count, --seed and --like belong to generated queries. Leave them out with --log.")
    if (held_out is not None and log is None) or ("test_fraction" in given and held_out is None):
        raise SettingsError("--held-out and --test-fraction split the queries of a log. Pass --log and --held-out.")
    for path in (out, held_out):
        if path is not None and path.exists() and not overwrite:
            raise CatalogueError(f"{path} exists. Choose another file, or pass --overwrite.")
    files = {name: path for name, path in (("log", log), ("like", like)) if path is not None}
    logs = {name: clean_query_log(path, reading.on_error) for name, path in files.items()}
    corpus = Corpus(read_catalogue(catalogue, reading.on_error, reading.text_field))
    report_problems([*corpus.catalogue.problems, *(problem for log_ in logs.values() for problem in log_.problems)])
    sets: dict[str, QueryLog | GeneratedQueries] = {**logs}
    excluded = [] if without is None else read_queries(without)
    test_queries: list[Query] = []
    if log is None:
        sets = {"generated": _generate(corpus, count, seed, logs.get("like"), excluded, out), **logs}
    else:
        test_queries = _split(logs["log"], excluded, test_fraction, out, held_out)
    _print_statistics(sets, corpus, out, held_out, len(test_queries), as_json)


def _generate(
    corpus: Corpus, count: int, seed: int, like: QueryLog | None, excluded: list[Query], out: Path
) -> GeneratedQueries:
    """Write queries that are generated from listings."""
    from wares.supervision.query_generation import (
        LENGTH_WEIGHTS,
        generate_queries,
        query_length_weights,
        write_generated_queries,
    )

    lengths = LENGTH_WEIGHTS if like is None else query_length_weights(like.queries)
    generated = generate_queries(corpus, count, seed, lengths).without(excluded)
    write_generated_queries(generated, corpus, out)
    return generated


def _split(log: QueryLog, excluded: list[Query], test_fraction: float, out: Path, held_out: Path | None) -> list[Query]:
    """Write the queries of a log, and a fraction of them to another file. Returns those."""
    from wares.data.queries import write_queries
    from wares.data.query_log import split_queries, unshared_queries

    training, test = split_queries(unshared_queries(log.queries, excluded), 0.0 if held_out is None else test_fraction)
    write_queries(training, out)
    if held_out is not None:
        write_queries(test, held_out)
    return test


def _print_statistics(
    sets: dict[str, QueryLog | GeneratedQueries],
    corpus: Corpus,
    out: Path,
    held_out: Path | None,
    test_queries: int,
    as_json: bool,
) -> None:
    from wares.data.query_statistics import query_statistics, render_query_statistics

    statistics = {name: query_statistics(queries.queries, corpus) for name, queries in sets.items()}
    examples = [query.text for query in next(iter(sets.values())).queries[:10]]
    if as_json:
        described = {name: queries.to_json() | statistics[name].to_json() for name, queries in sets.items()}
        print_json({"out": str(out), "held_out": test_queries, "sets": described, "examples": examples})
        return
    for name, queries in sets.items():
        console().print(f"{name}: {queries}", markup=False, soft_wrap=True)
    if held_out is not None:
        console().print(f"{test_queries:,} test queries are in {held_out}.", markup=False, soft_wrap=True)
    render_query_statistics(console(), statistics)
    console().print("For example:", *examples, sep="\n  ", markup=False, soft_wrap=True)
