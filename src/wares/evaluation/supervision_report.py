"""A supervised run for people: printed, as one page, and, for reporting only, measured against judgments.

Reads what `wares.supervision.recipe` wrote; nothing that trains or labels sees any of it.
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
from wares.supervision.run_folder import CHANGES, RELIABILITY, RESULTS, SETTINGS_FILE, RunFolder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.console import Console

    from wares.data.runs import Run
    from wares.evaluation.charts import Series
    from wares.evaluation.correlation import Correlation
    from wares.evaluation.evaluator import Evaluation
    from wares.evaluation.measures import Qrels
    from wares.supervision.records import Reliability, RoundRecord, SupervisionResult


PLOTTED_MEASURE = "nDCG@10"  # the measure of the picture
PREDICTED_MEASURES = ("AP", "nDCG@10")  # measures that predictors are compared with
BASELINE_NOTES = {"bm25": "no training", "dense": "zero-shot", "bm25+dense": "no training"}


def render_result(found: SupervisionResult, console: Console) -> None:
    """Print what happened, a line for each ranker and round, and what known-item search says of it."""
    render_rounds(found.rounds, console)
    if not found.reliability.labeler_mrr:
        console.print("No query can be written from the listings, so labelers cannot be checked.")
    for name, value in found.reliability.labeler_mrr.items():
        if value is None:
            console.print(f"{name} answers the queries of its own only, so it cannot be checked.")
    for name in found.reliability.unreliable_labelers:
        console.print(f"Warning: {name} hardly finds the listings that queries were written from. Its labels may harm.")
    if not found.reliability.ranker_mrr:
        console.print("Listings have nothing but titles, so rankers cannot be checked without judgments.")
        return
    render_title_checks(found.reliability, console)
    for name in found.reliability.worse_rounds:
        console.print(f"Warning: {name} is worse than it was untrained.")
    for said in found.reliability.recommendations:
        console.print(said)


def render_rounds(records: Sequence[RoundRecord], console: Console) -> None:
    """Print what happened, a line for each ranker and round."""
    from rich.table import Table

    table = Table(title="Rounds", caption="Free energy before and after learning; agreement of the first ten results.")
    for name in ("round", "ranker", "agreement with its teachers", "queries", "free energy", "seconds"):
        words = name in ("ranker", "agreement with its teachers")
        table.add_column(name, justify="left" if words else "right", overflow="fold")
    short = short_names([name for each in records for name in (each.ranker, *each.overlap)])
    short["before"] = "the round before"
    for each in records:
        before, after = each.elbo
        agreed = "\n".join(f"{value:.2f} {short[name]}" for name, value in each.overlap.items())
        cells = (short[each.ranker], agreed, f"{each.queries:,}", f"{before:.3f} → {after:.3f}")
        table.add_row(str(each.round), *cells, f"{sum(each.seconds.values()):.0f}")
    console.print(table)


def render_title_checks(reliability: Reliability, console: Console) -> None:
    """Print how every ranker did in known-item search, round by round."""
    from rich.table import Table

    table = Table("ranker", caption="Titles find their listings among others without titles.")
    table.add_column("mean reciprocal rank", justify="right")
    table.add_column("")
    short = short_names(list(reliability.ranker_mrr))
    for name, value in reliability.ranker_mrr.items():
        kept = "kept" if name in reliability.best.values() else ""
        table.add_row(short[name], f"{value:.3f}", "worse than untrained" if name in reliability.worse_rounds else kept)
    console.print(table)


def evaluate_run(run: Path, qrels: Qrels, measures: Sequence[str] = DEFAULT_MEASURES) -> Evaluation:
    """Measure every system of a run and test it against the hybrid, the baseline to beat; write `results.json`.

    Raises EvaluationError where the run has no results.
    """
    found = evaluate(read_run_results(run), qrels, HYBRID_BASELINE, measures)
    RunFolder(run).write(RESULTS, found.to_json())
    return found


def evaluate_predictors(
    run: Path, evaluation: Evaluation, predictions: Mapping[str, Mapping[str, float]]
) -> list[Correlation]:
    """Compare `predict_performance` for test queries with how well BM25 answers them, and add that to `results.json`.

    evaluation: what `evaluate_run` said of the run, with AP and nDCG@10
    """
    found = correlations(predictions, {name: evaluation.per_query["bm25"][name] for name in PREDICTED_MEASURES})
    folder = RunFolder(run)
    folder.write(RESULTS, folder.read(RESULTS) | {"predictors": [asdict(each) for each in found]})
    return found


def read_run_results(run: Path) -> dict[str, Run]:
    """Results by system: the baselines, and `RANKER STRATEGY-ROUND`, alone and with BM25."""
    folder = RunFolder(run)
    strategy, found = folder.read(SETTINGS_FILE)["settings"]["strategy"], folder.read_baselines()
    for round in folder.finished_rounds():
        record = round.read()
        name = system_name(record.ranker, strategy, record.round)
        found |= {name + suffix: results for suffix, results in round.read_results().items()}
    if not found:
        raise EvaluationError(f"{run} has no results for test queries. Run `wares supervise` with --test-queries.")
    return found


def system_name(ranker: str, strategy: str, round: int) -> str:
    """What a ranker of a round is called. In the first round every strategy is weak supervision."""
    return f"{ranker} {strategy if round > 1 else 'weak'}-{round}"


def write_report(run: Path) -> Path:
    """Write `report.html`, and its pictures beside it; with effectiveness where the run was judged."""
    folder = RunFolder(run)
    asked = folder.read(SETTINGS_FILE)["settings"]
    short = short_names([*asked["labelers"], *asked["rankers"]])
    about = folder.read(SETTINGS_FILE, short)
    settings = about["settings"]
    rounds = [asdict(round.read(short)) for round in folder.finished_rounds()]
    reliability, changes = folder.read(RELIABILITY, short), folder.read(CHANGES, short)
    judged = folder.read(RESULTS, short) if folder.has(RESULTS) else None
    pictures = [draw_rounds(rounds, settings, reliability, judged, run / "rounds.png")]
    if settings["weights"]:
        pictures.append(draw_weights(rounds, run / "weights.png"))
    tests: defaultdict[tuple[str, str], Any] = defaultdict(lambda: None)
    tests |= {(row["system"], row["measure"]): row for row in (judged or {"tests": []})["tests"]}
    systems = (judged or {"systems": {}})["systems"]
    measures = list(next(iter(systems.values()), {}))
    predicted: defaultdict[str, list[Any]] = defaultdict(list)
    for each in (judged or {}).get("predictors", []):
        predicted[each["predictor"]].append(each)
    text = render_page(
        "supervise.html",
        {"three": lambda value: f"{value:.3f}"},
        pictures,
        name=run.name,
        settings=settings,
        dev=about["dev"][0] if "dev" in about else 0,
        rounds=rounds,
        reliability=reliability,
        changes=changes,
        greedy=[each for each in rounds if each["greedy"]],
        judged=judged,
        predicted=predicted,
        measures=measures,
        best={measure: max(values[measure] for values in systems.values()) for measure in measures},
        tests=tests,
        level=SIGNIFICANCE_LEVEL,
    )
    (run / "report.html").write_text(text, encoding="utf-8")
    return run / "report.html"


def draw_rounds(
    rounds: Sequence[dict[str, Any]],
    settings: dict[str, Any],
    reliability: dict[str, Any],
    judged: dict[str, Any] | None,
    out: Path,
) -> Path:
    """Divergence from labels, agreement, known-item search and effectiveness, round by round."""
    before, after = (_by_ranker(rounds, lambda each, i=i: -each["elbo"][i]) for i in (0, 1))
    untaught = {f"{name}, before learning": curve for name, curve in before.items()}
    panels: dict[str, Series] = {"divergence from labels": after | untaught}
    labels = ["nats a query"]
    if later := [each for each in rounds if each["round"] > 1]:
        panels["agreement with the round before"] = _by_ranker(later, lambda each: each["agreement"]["before"])
        labels.append("average overlap at 10")
    if reliability["titles"]:
        panels["titles find their listings"] = _by_ranker(
            rounds, lambda each: reliability["titles"][f"{each['ranker']}, round {each['round']}"]
        )
        labels.append("mean reciprocal rank")
    if judged:
        strategy, values = settings["strategy"], judged["systems"]
        curves = _by_ranker(
            rounds, lambda each: values[system_name(each["ranker"], strategy, each["round"])][PLOTTED_MEASURE]
        )
        span = [1, max(2, rounds[-1]["round"])]
        level = {
            f"{name}, {about}": (span, [values[name][PLOTTED_MEASURE]] * 2)
            for name, about in BASELINE_NOTES.items()
            if name in values
        }
        panels["effectiveness, for reporting only"] = curves | level
        labels.append(PLOTTED_MEASURE)
    return draw_line_chart(panels, out, "round", labels)


def draw_weights(rounds: Sequence[dict[str, Any]], out: Path) -> Path:
    """Weights of queries against the share of queries that count so much or less; what is the same everywhere, once."""
    curves = {f"{each['ranker']}, round {each['round']}": (WEIGHT_PERCENTILES, each["weights"]) for each in rounds}
    if all(each["weights"] == rounds[0]["weights"] for each in rounds):
        curves = {"every ranker and round": (WEIGHT_PERCENTILES, rounds[0]["weights"])}
    return draw_line_chart({"weights of queries": curves}, out, "per cent of queries", ["weight (mean 1)"])


def _by_ranker(rounds: Sequence[dict[str, Any]], value: Any) -> dict[str, tuple[list[float], list[float]]]:
    found: dict[str, tuple[list[float], list[float]]] = {}
    for each in rounds:
        numbers, values = found.setdefault(each["ranker"], ([], []))
        numbers.append(each["round"])
        values.append(value(each))
    return found


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Names with the last part of each path in them only, where that still tells them apart."""
    short = {name: re.sub(r"'[^']*/(?=[^'/]+')", "'", name) for name in names}
    alike = Counter(short[name] for name in set(names))
    return {name: each if alike[each] == 1 else name for name, each in short.items()}
