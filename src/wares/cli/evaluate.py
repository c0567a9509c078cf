"""Commands that measure: evaluate, compare."""

from __future__ import annotations

import errno
import json
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from wares.cli.options import (
    COMPARED,
    CacheOption,
    CatalogueArgument,
    Method,
    OnError,
    OnErrorOption,
    TextFieldOption,
    TowersOption,
    _names,
    app,
)
from wares.cli.output import _console, _report_problems
from wares.core.errors import SettingsError


@app.command()
def evaluate(
    systems: Annotated[list[Path], typer.Argument(help="Shops and TREC run files.", metavar="SHOP|RUN...")],
    queries: Annotated[Path, typer.Option(help='queries.jsonl: {"id", "text"}.')],
    qrels: Annotated[Path, typer.Option(help="Judgments in TREC format.")],
    baseline: Annotated[str | None, typer.Option(help="System to test against.  [default: bm25, or the first]")] = None,
    measures: Annotated[
        str, typer.Option(help="Measures, as ir_measures names them.")
    ] = "nDCG@10,R@10,R@100,R@500,AP,RR",
    save_runs: Annotated[Path | None, typer.Option(help="Folder to write the shops' TREC runs to.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the results to this file.")] = None,
) -> None:
    """Measure shops and runs on judged queries, with paired tests and Holm's correction."""
    from wares.data.queries import read_queries
    from wares.data.runs import write_run
    from wares.evaluation.evaluator import evaluate as judge
    from wares.evaluation.measures import check_measures, read_qrels
    from wares.evaluation.systems import named_runs

    names = [name.strip() for name in measures.split(",")]
    check_measures(names)
    asked, judgments = read_queries(queries), read_qrels(qrels)
    if json_file is not None and not json_file.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(json_file))
    if save_runs is not None:
        save_runs.mkdir(parents=True, exist_ok=True)
    runs = named_runs(systems, asked)
    chosen = baseline or next((name for name in runs if name.endswith("bm25") and "+" not in name), next(iter(runs)))
    found = judge(runs, judgments, chosen, names)
    found.render(_console())
    if json_file is not None:
        json_file.write_text(json.dumps(found.to_json(), indent=2) + "\n", encoding="utf-8")
    if save_runs is not None:
        for name, run in runs.items():
            write_run(run, save_runs / f"{name.replace('/', '-')}.txt", "-".join(name.split()))


@app.command()
def compare(
    catalogue: CatalogueArgument,
    towers: TowersOption = "offline",
    methods: Annotated[
        str, typer.Option(help="Methods, the first sets the clock; `all` adds the slow references.")
    ] = ",".join(COMPARED),
    seeds: Annotated[int, typer.Option(min=1, help="How many times to train each method.")] = 3,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the catalogue at equal epochs.")] = 30,
    baseline: Annotated[str, typer.Option(help="System to test against, where it is measured.")] = "single-view",
    choose: Annotated[
        bool, typer.Option("--choose/--no-choose", help="Choose every method's weights, as `wares pretrain` does.")
    ] = True,
    queries: Annotated[Path | None, typer.Option(help="Queries.  [default: the catalogue's queries.jsonl]")] = None,
    qrels: Annotated[Path | None, typer.Option(help="Judgments.  [default: the catalogue's qrels.txt]")] = None,
    out: Annotated[Path, typer.Option(help="Folder for report.html, its pictures and compare.json.")] = Path("compare"),
    on_error: OnErrorOption = OnError.stop,
    text_field: TextFieldOption = None,
    cache: CacheOption = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write compare.json here as well.")] = None,
) -> None:
    """Pretraining methods side by side, at equal wall-clock and at equal epochs: a report with intervals and tests."""
    from wares.data.catalogue import read_catalogue
    from wares.encoders.features import catalogue_features
    from wares.encoders.registry import build_towers
    from wares.evaluation.comparison.experiment import EncodedCatalogue, system_names
    from wares.evaluation.comparison.experiment import compare as run
    from wares.evaluation.comparison.report import ExperimentSetup, setup_facts, write_comparison
    from wares.training.settings import PretrainSettings

    names = list(Method) if methods == "all" else _names(methods, Method)
    chosen = [PretrainSettings(method=Method(name).value, epochs=epochs) for name in names]
    judged = _judged(catalogue, queries, qrels)
    known = system_names([settings.method for settings in chosen], judged is not None)
    if baseline not in {*known, "single-view"}:
        raise SettingsError(f"no system {baseline!r} to test against; there are {', '.join(known)}.")
    listings = read_catalogue(catalogue, on_error.value, text_field or ())
    features = catalogue_features(listings, build_towers(towers), cache, on_error.value)
    _report_problems([*listings.problems, *features.problems])
    corpus = EncodedCatalogue(listings, features)
    findings = run(corpus, towers, chosen, seeds, judged, choose, cache)
    command = shlex.join(["wares", *sys.argv[1:]])
    setup = ExperimentSetup(catalogue.resolve().name, command, setup_facts(corpus, judged, towers, seeds), chosen)
    files = write_comparison(_console(), findings, setup, out, baseline)
    if json_file is not None:
        json_file.write_bytes(files[0].read_bytes())


def _judged(catalogue: Path, queries: Path | None, qrels: Path | None) -> Any:
    """The queries and judgments that were named, or that lie in the catalogue; None where there are none."""
    from wares.data.queries import read_queries
    from wares.evaluation.comparison.experiment import JudgedQueries
    from wares.evaluation.measures import read_qrels

    if (queries is None) != (qrels is None):
        raise SettingsError("--queries and --qrels go together; give both, or neither.")
    if queries is None or qrels is None:
        folder = catalogue if catalogue.is_dir() else catalogue.parent
        queries, qrels = folder / "queries.jsonl", folder / "qrels.txt"
        if not (queries.exists() and qrels.exists()):
            return None
    return JudgedQueries(read_queries(queries), read_qrels(qrels))
