"""Reports of supervision runs: console tables, report.html, and measures against judgments.

Reads the run folder that `wares.supervision.recipe` writes. No package that trains or labels reads the results.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from wares.core.errors import EvaluationError
from wares.evaluation.charts import draw_line_chart, render_page
from wares.evaluation.correlation import correlations
from wares.evaluation.evaluator import evaluate
from wares.evaluation.measures import DEFAULT_MEASURES
from wares.supervision.known_item import SIGNIFICANCE_LEVEL
from wares.supervision.recipe import HYBRID_BASELINE, WEIGHT_PERCENTILES
from wares.supervision.run_folder import CHANGES_FILE, RELIABILITY_FILE, RESULTS_FILE, RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from wares.data.runs import Run
    from wares.evaluation.charts import Series
    from wares.evaluation.correlation import Correlation
    from wares.evaluation.evaluator import Evaluation
    from wares.evaluation.measures import Qrels
    from wares.supervision.records import Reliability, RoundRecord, SupervisionResult


PLOTTED_MEASURE = "nDCG@10"  # in the chart of the rounds
PREDICTED_MEASURES = ("AP", "nDCG@10")  # measures that predictions are correlated with
BASELINE_NOTES = {"bm25": "no training", "dense": "zero-shot", "bm25+dense": "no training"}


# Console


def render_result(result: SupervisionResult, console: Console) -> None:
    """Print the rounds and the known-item checks of a run."""
    render_rounds(result.rounds, console)
    reliability = result.reliability
    if not reliability.labeler_mrr:
        console.print("No query can be generated from the listings, so labelers cannot be checked.")
    for name, value in reliability.labeler_mrr.items():
        if value is None:
            console.print(f"{name} has results for its own queries only, so it is not checked.")
    for name in reliability.unreliable_labelers:
        console.print(f"Warning: {name} rarely finds the listings of generated queries. Its labels may harm.")
    if not reliability.ranker_mrr:
        console.print("Listings have no text but their titles, so rankers cannot be checked without judgments.")
        return
    render_title_checks(reliability, console)
    for name in reliability.worse_rounds:
        console.print(f"Warning: {name} is worse than the untrained ranker.")
    for recommendation in reliability.recommendations:
        console.print(recommendation)


def render_rounds(records: Sequence[RoundRecord], console: Console) -> None:
    """Print a table of the rounds: a row for each ranker and round."""
    from rich.table import Table

    table = Table(title="Rounds", caption="ELBO before and after training; average overlap of the first ten results.")
    for name in ("round", "ranker", "overlap with its teachers", "queries", "ELBO", "seconds"):
        left = name in ("ranker", "overlap with its teachers")
        table.add_column(name, justify="left" if left else "right", overflow="fold")
    short = short_names([name for record in records for name in (record.ranker, *record.overlap)])
    short["before"] = "the round before"
    for record in records:
        before, after = record.elbo
        overlaps = "\n".join(f"{value:.2f} {short[name]}" for name, value in record.overlap.items())
        cells = (short[record.ranker], overlaps, f"{record.queries:,}", f"{before:.3f} → {after:.3f}")
        table.add_row(str(record.round), *cells, f"{sum(record.seconds.values()):.0f}")
    console.print(table)


def render_title_checks(reliability: Reliability, console: Console) -> None:
    """Print the mean reciprocal rank of each ranker in known-item search by title, a row for each round."""
    from rich.table import Table

    table = Table("ranker", caption="Known-item search: titles as queries, listings without titles as documents.")
    table.add_column("mean reciprocal rank", justify="right")
    table.add_column("")
    short = short_names(list(reliability.ranker_mrr))
    for name, value in reliability.ranker_mrr.items():
        kept = "kept" if name in reliability.best.values() else ""
        table.add_row(short[name], f"{value:.3f}", "worse than untrained" if name in reliability.worse_rounds else kept)
    console.print(table)


# Judgments


def evaluate_run(run: Path, qrels: Qrels, measures: Sequence[str] = DEFAULT_MEASURES) -> Evaluation:
    """Measure every system of a run, test each against the hybrid baseline, and write `results.json`.

    Raises EvaluationError if the run has no results for test queries.
    """
    folder = RunFolder(run)
    evaluation = evaluate(read_run_results(run), qrels, HYBRID_BASELINE, measures)
    folder.write(RESULTS_FILE, evaluation.to_json() | {"learned_queries": folder.learned_tests})
    return evaluation


def evaluate_predictors(
    run: Path, evaluation: Evaluation, predictions: Mapping[str, Mapping[str, float]]
) -> list[Correlation]:
    """Correlate predicted performance with BM25's measured performance, and add the result to `results.json`.

    evaluation: of `evaluate_run`, with AP and nDCG@10
    predictions: of `predict_performance` for the test queries: predictor -> query id -> prediction
    """
    measured = {name: evaluation.per_query["bm25"][name] for name in PREDICTED_MEASURES}
    coefficients = correlations(predictions, measured)
    folder = RunFolder(run)
    folder.write(RESULTS_FILE, folder.read(RESULTS_FILE) | {"predictors": [asdict(row) for row in coefficients]})
    return coefficients


def read_run_results(run: Path) -> dict[str, Run]:
    """Results for the test queries by system: the baselines, and `RANKER STRATEGY-ROUND`, alone and with BM25."""
    folder = RunFolder(run)
    strategy, results = folder.read_settings()["settings"]["strategy"], folder.read_baselines()
    for round in folder.finished_rounds():
        record = round.read()
        name = system_name(record.ranker, strategy, record.round)
        results |= {name + suffix: run_of_round for suffix, run_of_round in round.read_results().items()}
    if not results:
        raise EvaluationError(f"{run} has no results for test queries. Run `wares supervise` with --test-queries.")
    return results


def system_name(ranker: str, strategy: str, round: int) -> str:
    """The name of a ranker after a round. In the first round every strategy is weak supervision."""
    return f"{ranker} {strategy if round > 1 else 'weak'}-{round}"


# The page


def write_report(run: Path) -> Path:
    """Write `report.html` and its charts into the run folder, and return the path of the page.

    The page has measures of effectiveness if `evaluate_run` wrote `results.json`.

    Example:
        >>> from pathlib import Path
        >>> from wares import Catalogue, Listing, Query, SuperviseSettings, supervise
        >>> from wares.data import Corpus
        >>> from wares.evaluation import write_report
        >>> corpus = Corpus(Catalogue(Path("."), (Listing("1", "Red boots"), Listing("2", "Coffee mug"))))
        >>> settings = SuperviseSettings(rankers=("dense(towers='small')",))
        >>> _ = supervise(corpus, [Query("q", "boots")], settings, Path("run"))
        >>> write_report(Path("run")).name
        'report.html'
    """
    folder = RunFolder(run)
    settings = folder.read_settings()["settings"]
    short = short_names([*settings["labelers"], *settings["rankers"]])
    identity = folder.read_settings(short)
    settings = identity["settings"]
    rounds = [asdict(round.read(short)) for round in folder.finished_rounds()]
    reliability = folder.read(RELIABILITY_FILE, short)
    results = folder.read(RESULTS_FILE, short) if folder.has(RESULTS_FILE) else None
    charts = [draw_rounds(rounds, settings, reliability, results, run / "rounds.png")]
    if settings["query_predictor"]:
        charts.append(draw_weights(rounds, run / "weights.png"))
    text = render_page(
        "supervise.html",
        {"three": lambda value: f"{value:.3f}"},
        charts,
        name=run.name,
        settings=settings,
        dev=identity["dev"][0] if "dev" in identity else 0,
        rounds=rounds,
        reliability=reliability,
        changes=folder.read(CHANGES_FILE, short),
        greedy=[record for record in rounds if record["greedy_steps"]],
        level=SIGNIFICANCE_LEVEL,
        **_results_values(results),
    )
    (run / "report.html").write_text(text, encoding="utf-8")
    return run / "report.html"


def _results_values(results: dict[str, Any] | None) -> dict[str, Any]:
    """The template's values that come from `results.json`; None: there are no judgments."""
    systems = results["systems"] if results else {}
    measures = list(next(iter(systems.values()), {}))
    tests: defaultdict[tuple[str, str], Any] = defaultdict(lambda: None)
    tests |= {(row["system"], row["measure"]): row for row in (results or {"tests": []})["tests"]}
    predictors: defaultdict[str, list[Any]] = defaultdict(list)
    for row in (results or {}).get("predictors", []):
        predictors[row["predictor"]].append(row)
    best = {measure: max(values[measure] for values in systems.values()) for measure in measures}
    return {"judged": results, "measures": measures, "best": best, "tests": tests, "predicted": predictors}


def draw_rounds(
    rounds: Sequence[dict[str, Any]],
    settings: dict[str, Any],
    reliability: dict[str, Any],
    results: dict[str, Any] | None,
    out: Path,
) -> Path:
    """Draw divergence from labels, overlap, known-item search and effectiveness against the round."""
    before = _by_ranker(rounds, lambda record: -record["elbo"][0])
    after = _by_ranker(rounds, lambda record: -record["elbo"][1])
    untrained = {f"{name}, before training": curve for name, curve in before.items()}
    panels: dict[str, Series] = {"divergence from labels": after | untrained}
    labels = ["nats per query"]
    if later := [record for record in rounds if record["round"] > 1]:
        panels["overlap with the round before"] = _by_ranker(later, lambda record: record["overlap"]["before"])
        labels.append("average overlap at 10")
    if reliability["ranker_mrr"]:
        panels["known-item search by title"] = _by_ranker(
            rounds, lambda record: reliability["ranker_mrr"][f"{record['ranker']}, round {record['round']}"]
        )
        labels.append("mean reciprocal rank")
    if results:
        strategy, means = settings["strategy"], results["systems"]
        curves = _by_ranker(
            rounds,
            lambda record: means[system_name(record["ranker"], strategy, record["round"])][PLOTTED_MEASURE],
        )
        span = [1, max(2, rounds[-1]["round"])]
        baselines = {
            f"{name}, {note}": (span, [means[name][PLOTTED_MEASURE]] * 2)
            for name, note in BASELINE_NOTES.items()
            if name in means
        }
        panels["effectiveness, for reporting only"] = curves | baselines
        labels.append(PLOTTED_MEASURE)
    return draw_line_chart(panels, out, "round", labels)


def draw_weights(rounds: Sequence[dict[str, Any]], out: Path) -> Path:
    """Draw percentiles of query weights: one curve for each ranker and round, or one for all if they are equal."""
    curves = {
        f"{record['ranker']}, round {record['round']}": (WEIGHT_PERCENTILES, record["weight_percentiles"])
        for record in rounds
    }
    if all(record["weight_percentiles"] == rounds[0]["weight_percentiles"] for record in rounds):
        curves = {"every ranker and round": (WEIGHT_PERCENTILES, rounds[0]["weight_percentiles"])}
    return draw_line_chart({"query weights": curves}, out, "per cent of queries", ["weight (mean 1)"])


def _by_ranker(
    rounds: Sequence[dict[str, Any]], value: Callable[[dict[str, Any]], float]
) -> dict[str, tuple[list[float], list[float]]]:
    """Ranker -> (rounds, values)."""
    curves: dict[str, tuple[list[float], list[float]]] = {}
    for record in rounds:
        numbers, values = curves.setdefault(record["ranker"], ([], []))
        numbers.append(record["round"])
        values.append(value(record))
    return curves


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Map each name to itself with the last part of its paths only, unless two names would become equal."""
    short = {name: re.sub(r"'[^']*/(?=[^'/]+')", "'", name) for name in names}
    counts = Counter(short[name] for name in set(names))
    return {name: shortened if counts[shortened] == 1 else name for name, shortened in short.items()}
