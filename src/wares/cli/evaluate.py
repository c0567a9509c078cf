"""Commands that measure: evaluate, compare."""

from __future__ import annotations

import errno
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from wares.cli.options import Catalogue, Count, FeatureOptions, Features, Flag, JsonFile, Towers
from wares.cli.output import console, report_problems
from wares.core.errors import EvaluationError, SettingsError
from wares.training.settings import METHODS, Method, PretrainSettings

if TYPE_CHECKING:
    from wares.evaluation.comparison.experiment import JudgedQueries

SLOW_METHODS = ("full-transport", "low-rank-transport")  # references, slow by design
COMPARED = tuple(method for method in METHODS if method not in SLOW_METHODS)


def evaluate(
    *systems: Annotated[Path, Parameter(required=True)],
    queries: Path,
    qrels: Path,
    baseline: str | None = None,
    measures: tuple[str, ...] = (),
    save_runs: Path | None = None,
    allow_test_queries: Flag = False,
    json_file: JsonFile = None,
) -> None:
    """Measure shops and runs on judged queries, with paired tests and Holm's correction.

    Args:
        systems: Shops and TREC run files.
        queries: Test queries, {"id", "text"} a line.
        qrels: Judgments in TREC format.
        baseline: System to test against; bm25, or else the first, unless given.
        measures: Measures by their names in ir_measures; nDCG@10, R@10, R@100, R@500, AP and RR unless given.
        save_runs: Folder to write the shops' TREC runs to.
        allow_test_queries: Measure rankers on queries that they learned from, which makes their measures too high.
    """
    from wares.core.files import write_json
    from wares.data.queries import read_queries
    from wares.data.runs import write_run
    from wares.evaluation.evaluator import evaluate as measure
    from wares.evaluation.measures import check_measures, read_qrels
    from wares.evaluation.systems import named_runs
    from wares.evaluation.training_queries import learned_queries

    check_measures(measures)
    test_queries, judgments = read_queries(queries), read_qrels(qrels)
    for system in systems:
        learned = learned_queries(system, test_queries)
        if learned and not allow_test_queries:
            raise EvaluationError(
                f'{system}: its ranker learned from {len(learned):,} of {len(test_queries):,} queries, the first "'
                f'{learned[0].text}". Leave them out of {queries}, or pass --allow-test-queries.'
            )
    if json_file is not None and not json_file.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(json_file))
    if save_runs is not None:
        save_runs.mkdir(parents=True, exist_ok=True)
    runs = named_runs(systems, test_queries)
    default = next((name for name in runs if name.endswith("bm25") and "+" not in name), next(iter(runs)))
    evaluation = measure(runs, judgments, baseline or default, measures or None)
    evaluation.render(console())
    if json_file is not None:
        write_json(evaluation.to_json(), json_file)
    if save_runs is not None:
        for name, run in runs.items():
            write_run(run, save_runs / f"{name.replace('/', '-')}.txt", "-".join(name.split()))


def compare(
    catalogue: Catalogue,
    /,
    *,
    towers: Towers = "offline",
    methods: tuple[str, ...] = COMPARED,
    seeds: Count = 3,
    epochs: Count = PretrainSettings.epochs,
    baseline: str | None = None,
    select_weights: bool = True,
    queries: Path | None = None,
    qrels: Path | None = None,
    out: Path = Path("compare"),
    json_file: JsonFile = None,
    reading: Features = FeatureOptions(),
) -> None:
    """Compare pretraining methods and fusions, each method at its validated epochs, in a report with tests.

    Args:
        methods: Methods; `all` adds the slow references.
        seeds: Number of times that each method is trained.
        epochs: Largest number of epochs; validation selects one for each method and seed.
        baseline: System to test against; the strongest without transport unless given.
        select_weights: Select every method's weights as `wares pretrain` does.
        queries: Test queries; queries.jsonl of the catalogue unless given.
        qrels: Judgments; qrels.txt of the catalogue unless given.
        out: Folder for report.html, its pictures and compare.json.
    """
    from wares.data.catalogue import read_catalogue
    from wares.encoders.features import catalogue_features
    from wares.encoders.registry import build_towers
    from wares.evaluation.comparison.experiment import EncodedCatalogue, systems_of
    from wares.evaluation.comparison.experiment import compare as run
    from wares.evaluation.comparison.report import write_comparison
    from wares.evaluation.comparison.setup import ExperimentSetup, setup_facts

    settings = [PretrainSettings(method=method, epochs=epochs) for method in _known_methods(methods)]
    judged = _judged(catalogue, queries, qrels)
    known = systems_of({setting.method: () for setting in settings}, judged is not None)
    if baseline is not None and baseline not in known:
        raise SettingsError(f"no system {baseline!r} to test against. Choose among {', '.join(known)}.")
    listings = read_catalogue(catalogue, reading.on_error, reading.text_field)
    features = catalogue_features(listings, build_towers(towers), reading.cache, reading.on_error)
    report_problems([*listings.problems, *features.problems])
    corpus = EncodedCatalogue(listings, features)
    findings = run(corpus, towers, settings, seeds, judged, select_weights, reading.cache)
    command = shlex.join(["wares", *sys.argv[1:]])
    setup = ExperimentSetup(catalogue.resolve().name, command, setup_facts(corpus, judged, towers, seeds), settings)
    files = write_comparison(console(), findings, setup, out, baseline)
    if json_file is not None:
        json_file.write_bytes(files[0].read_bytes())


def _known_methods(names: tuple[str, ...]) -> list[Method]:
    """Methods by their names, each once. Raises SettingsError for an unknown one."""
    if names == ("all",):
        return list(METHODS)
    known: dict[str, Method] = {method: method for method in METHODS}
    if unknown := [name for name in names if name not in known]:
        raise SettingsError(f"no method {unknown[0]!r}. Choose among {', '.join(METHODS)}.")
    return [known[name] for name in dict.fromkeys(names)]


def _judged(catalogue: Path, queries: Path | None, qrels: Path | None) -> JudgedQueries | None:
    """The given queries and judgments, or those in the catalogue's folder; None without any."""
    from wares.data.queries import read_queries
    from wares.evaluation.comparison.experiment import JudgedQueries
    from wares.evaluation.measures import read_qrels

    if (queries is None) != (qrels is None):
        raise SettingsError("--queries and --qrels go together. Pass both, or neither.")
    if queries is None or qrels is None:
        folder = catalogue if catalogue.is_dir() else catalogue.parent
        queries, qrels = folder / "queries.jsonl", folder / "qrels.txt"
        if not (queries.exists() and qrels.exists()):
            return None
    return JudgedQueries(read_queries(queries), read_qrels(qrels))
