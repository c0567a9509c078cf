"""`wares supervise`: rankers trained without judgments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from wares.cli.options import Catalogue, Flag, Json, Reading, ReadingOptions, Resume, RunnerName, flatten, group
from wares.cli.output import console, print_json, report_problems
from wares.core.errors import ModelError, SettingsError
from wares.ranking.settings import RankerTrainingSettings
from wares.supervision.settings import SuperviseSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wares.data.corpus import Corpus
    from wares.data.listings import Query
    from wares.data.runs import Run
    from wares.supervision.settings import DevSet

flatten(RankerTrainingSettings)

Supervision = Annotated[
    SuperviseSettings | None, group("Supervision", "strategy", "labelers", "rankers", "rounds", "epochs", "seed")
]


def supervise(
    catalogue: Catalogue,
    /,
    *,
    queries: Path,
    out: Path,
    test_queries: Path | None = None,
    qrels: Path | None = None,
    dev_queries: Path | None = None,
    dev_qrels: Path | None = None,
    allow_test_queries: Flag = False,
    processes: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    runner: RunnerName = "local",
    resume: Resume = False,
    as_json: Json = False,
    settings: Supervision = None,  # made when it is used: the names in it load rankers
    reading: Reading = ReadingOptions(),
) -> None:
    """Train rankers from queries without judgments, round by round.

    Args:
        queries: Training queries, {"id", "text"} a line.
        out: Folder for the run.
        test_queries: Test queries, for which each system's results are written.
        qrels: Judgments of --test-queries in TREC format, for reporting only.
        dev_queries: Some judged queries by which greedy selects teachers; none of the test queries.
        dev_qrels: Judgments of --dev-queries.
        allow_test_queries: Learn from --queries even if they are --test-queries too, whose measures are then too high.
        processes: Maximum number of labelling processes, one for each core unless given; results do not depend on it.
    """
    from dataclasses import asdict

    from wares.core.runners import open_runner
    from wares.data.catalogue import read_catalogue
    from wares.data.corpus import Corpus
    from wares.data.queries import read_queries
    from wares.evaluation.supervision_report import render_result, write_report
    from wares.supervision.recipe import supervise as run

    if qrels is not None and test_queries is None:
        raise SettingsError("--qrels are judgments of --test-queries. Pass both.")
    if (dev_queries is None) != (dev_qrels is None):
        raise SettingsError("--dev-qrels are judgments of --dev-queries. Pass both.")
    if (out / "settings.json").exists() and not resume:
        raise ModelError(f"{out} already holds a run. Choose another --out, or pass --resume to continue it.")
    listings = read_catalogue(catalogue, reading.on_error, reading.text_field)
    report_problems(listings.problems)
    tests = read_queries(test_queries) if test_queries is not None else []
    dev = _read_dev_set(dev_queries, dev_qrels, tests) if dev_queries is not None and dev_qrels is not None else None
    corpus = Corpus(listings, reading.on_error)
    with open_runner(runner) as opened:
        labelling_runner = None if runner == "local" else opened
        result = run(
            corpus,
            read_queries(queries),
            settings or SuperviseSettings(),
            out,
            tests,
            processes,
            dev,
            labelling_runner,
            allow_test_queries,
        )
    report_problems(corpus.problems)
    if as_json:
        print_json({"out": str(out), **asdict(result)})
    else:
        render_result(result, console())
    if qrels is not None:
        _judge(out, qrels, corpus, tests, as_json)
    report = write_report(out)
    if not as_json:
        console().print(f"The report is {report}.", soft_wrap=True)


def _judge(out: Path, qrels: Path, corpus: Corpus, tests: Sequence[Query], as_json: bool) -> None:
    """Measure the results for test queries, and how well query performance was predicted."""
    from wares.evaluation.correlation import render_correlations
    from wares.evaluation.measures import read_qrels
    from wares.evaluation.supervision_report import evaluate_predictors, evaluate_run
    from wares.supervision.ensemble import predict_performance

    evaluation = evaluate_run(out, read_qrels(qrels))
    correlations = evaluate_predictors(out, evaluation, predict_performance(corpus, tests))
    if not as_json:
        evaluation.render(console())
        render_correlations(correlations, console())


def _read_dev_set(queries: Path, qrels: Path, tests: Sequence[Query]) -> DevSet:
    """Judged queries that greedy selection uses. Raises SettingsError if there are test queries among them."""
    import hashlib
    from statistics import fmean

    from wares.data.queries import read_queries
    from wares.data.query_log import shared_queries
    from wares.evaluation.measures import measure, read_qrels
    from wares.supervision.settings import DevSet

    dev_queries, judged = read_queries(queries), read_qrels(qrels)
    judgments = {query.id: judged[query.id] for query in dev_queries if query.id in judged}
    if not judgments:
        raise SettingsError(f"{qrels} has no judgments of the queries in {queries}. Check that their ids agree.")
    if shared := shared_queries(dev_queries, tests):
        raise SettingsError(
            f"{len(shared):,} of --dev-queries are also in --test-queries. Remove them from one of the two."
        )

    def metric(run: Run) -> float:
        return fmean(measure(run, judgments, ["nDCG@10"])["nDCG@10"].values())

    return DevSet(dev_queries, metric, hashlib.sha256(queries.read_bytes() + qrels.read_bytes()).hexdigest())
