"""The command that trains rankers without judgments: supervise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wares.cli.options import (
    CatalogueArgument,
    JsonFlag,
    OnError,
    OnErrorOption,
    OnOption,
    Start,
    Strategy,
    TextFieldOption,
    app,
)
from wares.cli.output import _console, _print_json, _report_problems
from wares.core.errors import ModelError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wares.data.listings import Query
    from wares.data.runs import Run
    from wares.supervision.settings import DevSet


@app.command()
def supervise(
    corpus: CatalogueArgument,
    queries: Annotated[Path, typer.Option(help='Queries to learn from: {"id", "text"} a line.')],
    out: Annotated[Path, typer.Option(help="Folder for the run.")],
    strategy: Annotated[Strategy, typer.Option(help="Who teaches whom, from the second round on.")] = Strategy.weak,
    labelers: Annotated[str, typer.Option(help="First teachers, as in bm25,late-interaction or bm25(k1=.9).")] = "bm25",
    rankers: Annotated[str, typer.Option(help="Who learns, as in dense,cross-encoder.")] = "dense",
    weights: Annotated[
        str | None, typer.Option(help="Query performance predictor that weighs queries, as nqc.  [default: none]")
    ] = None,
    weight_map: Annotated[str, typer.Option(help="How predictions become weights.")] = "rank",
    rounds: Annotated[int, typer.Option(min=1, help="Rounds, at most; weak has one.")] = 3,
    settled: Annotated[
        float, typer.Option(help="Rounds end early when results agree by so much with those of the round before.")
    ] = 0.98,
    start: Annotated[Start, typer.Option(help="What a round starts from.")] = Start.fresh,
    loss: Annotated[str, typer.Option(help="Ranking loss.")] = "listwise-kl",
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the queries in a round.")] = 3,
    depth: Annotated[int, typer.Option(min=1, help="Best listings of each teacher that are labelled.")] = 50,
    random: Annotated[int, typer.Option(min=0, help="Listings labelled beside them, drawn from all.")] = 30,
    temperature: Annotated[float, typer.Option(help="Of labelers; small values put all on the first listing.")] = 0.6,
    seed: Annotated[int, typer.Option(min=0, help="Of everything drawn.")] = 0,
    test_queries: Annotated[Path | None, typer.Option(help="Queries whose results are written.")] = None,
    qrels: Annotated[Path | None, typer.Option(help="Judgments of them, for reporting only.")] = None,
    dev_queries: Annotated[
        Path | None, typer.Option(help="A few judged queries, by which greedy chooses teachers; no test queries.")
    ] = None,
    dev_qrels: Annotated[Path | None, typer.Option(help="Judgments of --dev-queries.")] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="That label, at most; no result depends on it.  [default: one a core]")
    ] = None,
    on: OnOption = "local",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
    on_error: OnErrorOption = OnError.stop,
    text_field: TextFieldOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Train rankers from queries that nobody judged, round by round."""
    from dataclasses import asdict

    from wares.core.runners import open_runner
    from wares.core.specs import split_specs
    from wares.data.catalogue import read_catalogue
    from wares.data.corpus import Corpus
    from wares.data.queries import read_queries
    from wares.evaluation.correlation import render_correlations
    from wares.evaluation.measures import read_qrels
    from wares.evaluation.supervision_report import evaluate_predictors, evaluate_run, render_result, write_report
    from wares.ranking.settings import RankerTrainingSettings
    from wares.supervision.ensemble import predict_performance
    from wares.supervision.recipe import supervise as run
    from wares.supervision.settings import SuperviseSettings

    if qrels is not None and test_queries is None:
        raise SettingsError("--qrels are judgments of --test-queries; name both.")
    if (dev_queries is None) != (dev_qrels is None):
        raise SettingsError("--dev-qrels are judgments of --dev-queries; name both.")
    if (out / "settings.json").exists() and not resume:
        raise ModelError(f"{out} holds a run. Choose another --out, or pass --resume to go on with it.")
    settings = SuperviseSettings(
        strategy=strategy.value,
        labelers=tuple(split_specs(labelers)),
        rankers=tuple(split_specs(rankers)),
        rounds=rounds,
        stop_overlap=settled,
        depth=depth,
        random_candidates=random,
        temperature=temperature,
        query_predictor=weights,
        query_weighting=weight_map,
        start=start.value,
        training=RankerTrainingSettings(loss, epochs),  # type: ignore[arg-type]
        seed=seed,
    )
    listings = read_catalogue(corpus, on_error.value, text_field or ())
    _report_problems(list(listings.problems))
    tests = read_queries(test_queries) if test_queries is not None else []
    dev = _dev(dev_queries, dev_qrels, tests) if dev_queries is not None and dev_qrels is not None else None
    searched = Corpus(listings, on_error.value)
    with open_runner(on) as runner:
        labelling = None if on == "local" else runner
        found = run(searched, read_queries(queries), settings, out, tests, processes, dev, labelling)
    _report_problems(searched.problems)
    if as_json:
        _print_json({"out": str(out), **asdict(found)})
    else:
        render_result(found, _console())
    if qrels is not None:
        judged = evaluate_run(out, read_qrels(qrels))
        compared = evaluate_predictors(out, judged, predict_performance(searched, tests))
        if not as_json:
            judged.render(_console())
            render_correlations(compared, _console())
    page = write_report(out)
    if not as_json:
        _console().print(f"Everything on one page: {page}", soft_wrap=True)


def _dev(queries: Path, qrels: Path, tests: Sequence[Query]) -> DevSet:
    """Judged queries that greedy selection goes by. Raises SettingsError where they are to be reported on, too."""
    import hashlib
    from statistics import fmean

    from wares.data.queries import read_queries
    from wares.evaluation.measures import measure, read_qrels
    from wares.supervision.settings import DevSet

    asked, judged = read_queries(queries), read_qrels(qrels)
    judgments = {query.id: judged[query.id] for query in asked if query.id in judged}
    if not judgments:
        raise SettingsError(f"{qrels} judges none of the queries of {queries}. Do their ids agree?")
    texts = {query.text.casefold() for query in tests}
    if shared := sum(query.text.casefold() in texts for query in asked):
        raise SettingsError(f"{shared:,} of --dev-queries are among --test-queries, and would flatter the run.")

    def value(run: Run) -> float:
        return fmean(measure(run, judgments, ["nDCG@10"])["nDCG@10"].values())

    return DevSet(asked, value, hashlib.sha256(queries.read_bytes() + qrels.read_bytes()).hexdigest())
