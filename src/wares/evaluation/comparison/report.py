"""What `wares compare` leaves behind: tables on the console, compare.json, pictures, and one page with all of it.

The page, report.html, needs nothing beside it: pictures are inside it, and it loads no script, style or font. Its
template is templates/compare.html; whatever comes from a catalogue is escaped there.
"""

from __future__ import annotations

import os
import platform
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wares.core.files import write_json
from wares.evaluation.charts import Estimate, draw_dot_chart, draw_scatter_chart, render_page, results_table
from wares.evaluation.comparison.experiment import TIMED_EPOCHS
from wares.evaluation.comparison.results import (
    BOOTSTRAP_RESAMPLES,
    GAIN_MEASURES,
    HYBRID_SUFFIX,
    QUERY_PROTOCOL,
    TRANSPORT_METHODS,
    Comparison,
    ComparisonResult,
    ProtocolTest,
    RelativeGain,
)
from wares.evaluation.measures import DEFAULT_MEASURES
from wares.evaluation.significance import SIGNIFICANCE_LEVEL

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from wares.evaluation.comparison.experiment import EncodedCatalogue, JudgedQueries
    from wares.evaluation.comparison.results import Results
    from wares.training.settings import PretrainSettings


REPORTED_PACKAGES = (
    "wares",
    "torch",
    "numpy",
    "scipy",
    "transformers",
    "sentence-transformers",
    "lancedb",
    "ir_measures",
)
PROTOCOL_NOTES = {
    QUERY_PROTOCOL: "The towers train on the whole catalogue, without queries or judgments; each judged query then ranks all "
    "listings, by the one fused embedding of a listing where nothing else is said.",
    "title->photos": "The title of each held-out listing ranks the held-out listings by the weighted mean of their "
    "photos.",
    "description->photos": "The description of each held-out listing ranks the held-out listings by the weighted mean "
    "of their photos.",
    "photo->title": "Each photo but the first of a held-out listing ranks the titles of the held-out listings; a "
    "listing counts once, by the mean over its photos.",
    "photo->primary-photo": "Each photo but the first of a held-out listing ranks the first photos of the held-out "
    "listings; a listing counts once, by the mean over its photos.",
}
SYSTEM_NOTES = {
    "factorized": "primary view and one other drawn at random per modality and step, coupled by the factorized plan",
    "all-pairs": "every view with every view in every step, coupled by the same factorized plan without sampling",
    "low-rank-transport": "every view, listings scored by a plan of low rank",
    "full-transport": "every view, listings scored by the best entropic plan: the exact reference",
    "single-view": "first photo and title only, in training and in the fused embedding",
    "single-view, all views fused": "trained as single-view, but all views are fused",
    "random-view": "one view per modality, drawn at random; no plan",
    "mean-views": "the plain means of all photos and of all texts, in training and in the fused embedding; no plan",
    "joint-text": "trained and indexed on the first photo and all texts joined into one, but asked as all others are",
    "bm25": "words alone, over all texts of a listing",
    "dense": "the text tower as published, untrained here, on all texts of a listing joined",
    "bm25+dense": "reciprocal rank fusion of bm25 and dense",
}
MEASURE_NOTES = {
    "nDCG@10": "normalised discounted cumulative gain of the ten best, with graded relevance where there is any",
    "R@10": "share of the relevant listings among the ten best; likewise R@100 and R@500",
    "AP": "average precision over the whole ranking (its best 500 for queries)",
    "RR": "one over the rank of the first relevant listing",
}


@dataclass(frozen=True)
class ExperimentSetup:
    """What was run, for readers who want to judge it.

    catalogue: its name; command: as it was typed; facts: what -> how much, of data, towers and machine
    methods: settings of each method
    """

    catalogue: str
    command: str
    facts: Mapping[str, str]
    methods: Sequence[PretrainSettings]


def setup_facts(corpus: EncodedCatalogue, judged: JudgedQueries | None, towers: str, seeds: int) -> dict[str, str]:
    """Data, towers and machine in words."""
    import torch

    features = corpus.features
    photos, texts = features.photo_views.counts, features.text_views.counts
    about = {
        "listings": f"{len(corpus.catalogue):,}",
        "photos": f"{photos.sum():,}; {photos.mean():.1f} a listing, {photos.max()} at most",
        "texts": f"{texts.sum():,}; {texts.mean():.1f} a listing; {features.truncated_texts:,} longer than the tower reads",
        "left out": f"{len(corpus.catalogue.problems) + len(features.problems):,} rows and photos that cannot be read",
    }
    if judged is not None:
        about["queries"] = f"{len(judged.queries):,} with {sum(map(len, judged.qrels.values())):,} judgments"
    return about | {
        "towers": towers,
        "seeds": f"{seeds}: each draws its own split, weights, order and views",
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, "
        f"{torch.get_num_threads()} threads for training",
        "versions": ", ".join(
            [f"python {platform.python_version()}", *(f"{name} {version(name)}" for name in REPORTED_PACKAGES)]
        ),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def write_comparison(
    console: Console, result: ComparisonResult, setup: ExperimentSetup, out: Path, baseline: str = "single-view"
) -> list[Path]:
    """Print the tables, and write compare.json, the pictures and report.html.

    baseline: whom to test against where it was measured (`Comparison.baseline`)

    Returns the files written, compare.json first.
    """
    out.mkdir(parents=True, exist_ok=True)
    written = [out / "compare.json"]
    write_json(comparison_json(result, setup, baseline), written[0])
    pictures = draw_charts(result, baseline, out)
    page = out / "report.html"
    page.write_text(html(result, setup, baseline, pictures), encoding="utf-8")
    print_tables(console, result, baseline)
    console.print(f"Everything, with intervals and pictures, on one page: {page}", soft_wrap=True)
    return [*written, *pictures, page]


# JSON


def comparison_json(result: ComparisonResult, setup: ExperimentSetup, baseline: str) -> dict[str, Any]:
    """What compare.json holds: the results at the first budget at the top, and beside them everything else."""
    budgets = result.budgets
    results = {name: found.results() for name, found in budgets.items()}
    return {
        **results[next(iter(budgets))],
        "budgets": results,
        "epochs": {name: found.epochs for name, found in budgets.items()},
        "ci": {name: confidence_intervals(found) for name, found in budgets.items()},
        "tests": {name: [asdict(test) for test in all_tests(found, baseline)] for name, found in budgets.items()},
        "gains": {
            name: {
                "baseline": [asdict(gain) for gain in all_gains(found, baseline)],
                "strongest without transport": [asdict(gain) for gain in all_gains(found, None)],
            }
            for name, found in budgets.items()
        },
        "trivial": {
            protocol: [f"R@{k}" for k in (10, 100, 500) if first_budget(result).is_trivial(protocol, f"R@{k}")]
            for protocol in first_budget(result).protocols
        },
        "cost": {method: asdict(cost) for method, cost in result.costs.items()},
        "choices": [asdict(choice) for choice in result.selected_weights],
        "vector_bytes": result.vector_bytes,
        "setup": {
            "command": setup.command,
            **setup.facts,
            "settings": [asdict(settings) for settings in setup.methods],
        },
    }


def confidence_intervals(comparison: Comparison) -> dict[str, dict[str, dict[str, list[float]]]]:
    """System -> protocol -> measure -> the two ends of the 95 % interval of the mean."""
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    for protocol in comparison.protocols:
        for system in comparison.systems(protocol):
            cells = {name: comparison.interval(system, protocol, name) for name in comparison.measures(protocol)}
            row = {name: [cell.low, cell.high] for name, cell in cells.items()}
            found.setdefault(system, {})[protocol] = row
    return found


def all_tests(comparison: Comparison, baseline: str) -> list[ProtocolTest]:
    """Of every protocol, against its own baseline."""
    return [
        test
        for protocol in comparison.protocols
        for test in comparison.tests(protocol, comparison.baseline(protocol, baseline))
    ]


def all_gains(comparison: Comparison, baseline: str | None) -> list[RelativeGain]:
    """Of every protocol, over its own baseline, or where that is None over the strongest without transport."""
    return [
        gain
        for protocol in comparison.protocols
        for gain in comparison.gains(protocol, baseline and comparison.baseline(protocol, baseline))
    ]


def first_budget(result: ComparisonResult) -> Comparison:
    """The comparison under the first budget."""
    return next(iter(result.budgets.values()))


def main_protocol(comparison: Comparison) -> str:
    """Query → listing where it was measured."""
    return QUERY_PROTOCOL if QUERY_PROTOCOL in comparison.protocols else comparison.protocols[0]


# Pictures


def draw_charts(result: ComparisonResult, baseline: str, out: Path) -> list[Path]:
    """Every picture of a comparison; hybrids with BM25, which would crowd them, stand in the tables only."""
    first = first_budget(result)
    seeds = len(first.seed_values)
    label = f"mean and 95 % interval, {seeds} {'seed' if seeds == 1 else 'seeds'}"
    pictures = []
    if QUERY_PROTOCOL in first.protocols:
        shown = [name for name in GAIN_MEASURES if name in first.measures(QUERY_PROTOCOL)]
        panels = {f"query → listing, {name}": _marks(result, QUERY_PROTOCOL, name) for name in shown}
        pictures.append(draw_dot_chart(panels, out / "queries.png", label))
    if crossed := [protocol for protocol in first.protocols if protocol != QUERY_PROTOCOL]:
        panels = {f"{format_protocol(protocol)}, AP": _marks(result, protocol, "AP") for protocol in crossed}
        pictures.append(draw_dot_chart(panels, out / "cross-view.png", label, max_columns=2))
    if gains := _gain_marks(first, baseline):
        pictures.append(draw_dot_chart(gains, out / "gains.png", "relative gain, %, and 95 % interval", zero_line=True))
    protocol = main_protocol(first)
    last = list(result.budgets)[-1]
    points = {
        method: (cost.milliseconds, _mark(result.budgets[last], method, protocol, "nDCG@10"))
        for method, cost in result.costs.items()
    }
    y_label = f"nDCG@10, {format_protocol(protocol)},\n{last}"
    return [*pictures, draw_scatter_chart(points, out / "cost.png", "training, ms per listing and epoch", y_label)]


def _marks(findings: ComparisonResult, protocol: str, measure: str) -> dict[str, dict[str, Estimate]]:
    return {
        budget: {system: _mark(found, system, protocol, measure) for system in without_hybrids(found.systems(protocol))}
        for budget, found in findings.budgets.items()
    }


def _mark(comparison: Comparison, system: str, protocol: str, measure: str) -> Estimate:
    interval = comparison.interval(system, protocol, measure)
    return Estimate(comparison.mean(system, protocol, measure), interval.low, interval.high)


def _gain_marks(comparison: Comparison, baseline: str) -> dict[str, dict[str, dict[str, Estimate]]]:
    """Measure -> over whom -> trained system -> gain in per cent, in the main protocol."""
    protocol = main_protocol(comparison)
    usual = comparison.baseline(protocol, baseline)
    panels: dict[str, dict[str, dict[str, Estimate]]] = {}
    for name, over in ((f"over {usual}", usual), ("over the strongest without transport", None)):
        for gain in comparison.gains(protocol, over):
            if not gain.system.endswith(HYBRID_SUFFIX) and comparison.epochs.get(gain.system):
                mark = Estimate(100 * gain.relative, 100 * gain.low, 100 * gain.high)
                strongest = comparison.strongest_without_transport(protocol, gain.measure)
                panel = panels.setdefault(f"{gain.measure} (strongest: {strongest})", {})
                panel.setdefault(name, {})[gain.system] = mark
    return panels


def without_hybrids(systems: Iterable[str]) -> list[str]:
    """The systems without those that are fused with BM25."""
    return [name for name in systems if not name.endswith(HYBRID_SUFFIX)]


# The page


@dataclass(frozen=True)
class BudgetSection:
    """One budget's comparison with its tests and gains by protocol, system and measure; None where there is none."""

    name: str
    comparison: Comparison
    tests: Mapping[tuple[str, str, str], ProtocolTest | None]
    gains: Mapping[tuple[str, str, str], RelativeGain | None]
    strongest: Mapping[tuple[str, str, str], RelativeGain | None]


def html(findings: ComparisonResult, setup: ExperimentSetup, baseline: str, pictures: Sequence[Path]) -> str:
    """The whole report as one page."""
    first = first_budget(findings)
    return render_page(
        "compare.html",
        {
            "arrow": format_protocol,
            "three": format_value,
            "percent": format_percent,
            "p": format_p_value,
            "mark": significance_mark,
            "listed": join_names,
        },
        pictures,
        findings=findings,
        setup=setup,
        baseline=baseline,
        protocols=sorted(first.protocols, key=lambda protocol: protocol != main_protocol(first)),
        ours=setup.methods[0].method,
        budgets=[
            BudgetSection(
                name,
                found,
                _by_cell(all_tests(found, baseline)),
                _by_cell(all_gains(found, baseline)),
                _by_cell(all_gains(found, None)),
            )
            for name, found in findings.budgets.items()
        ],
        notes={"protocols": PROTOCOL_NOTES, "systems": SYSTEM_NOTES, "measures": MEASURE_NOTES},
        shown=set(first.seed_values[0]),
        transport=[name for name in TRANSPORT_METHODS if name in findings.costs],
        measures=DEFAULT_MEASURES,
        gain_measures=GAIN_MEASURES,
        level=SIGNIFICANCE_LEVEL,
        resamples=BOOTSTRAP_RESAMPLES,
        rounds=TIMED_EPOCHS,
    )


def _by_cell(rows: Iterable[Any]) -> defaultdict[tuple[str, str, str], Any]:
    found: defaultdict[tuple[str, str, str], Any] = defaultdict(lambda: None)
    return found | {(row.protocol, row.system, row.measure): row for row in rows}


def format_protocol(protocol: str) -> str:
    """A protocol's name for people."""
    return protocol.replace("->", " → ").replace("-", " ")


def format_value(value: float) -> str:
    """Three places, as of a measure."""
    return f"{value:.3f}"


def format_percent(value: float) -> str:
    """A relative gain."""
    return f"{100 * value:+.1f} %"


def format_p_value(value: float) -> str:
    """A p-value, or a bound of it where it is tiny."""
    return "< .0001" if value < 1e-4 else f"{value:.4f}".lstrip("0")


def significance_mark(test: ProtocolTest | None) -> str:
    """Whether a system is surely better or worse than the baseline."""
    return " " if test is None or test.p_holm >= SIGNIFICANCE_LEVEL else "▲" if test.difference > 0 else "▼"


def join_names(names: Sequence[str]) -> str:
    """Names in a sentence."""
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + "".join(names[-1:])


# The console


def print_tables(console: Console, result: ComparisonResult, baseline: str) -> None:
    """Print what most readers want; systems fused with BM25, and all other measures, stand on the page."""
    for budget, found in result.budgets.items():
        results = found.results()
        kept: Results = {
            **results,
            "methods": {name: results["methods"][name] for name in without_hybrids(results["methods"])},
        }
        console.print(results_table(kept, "nDCG@10", f"{budget}, nDCG@10"))
    budget, found = next(iter(result.budgets.items()))
    protocol = main_protocol(found)
    console.print(tests_table(found, "nDCG@10", baseline, f"{budget}, nDCG@10: difference from the baseline"))
    console.print(gains_table(found, protocol, baseline, f"{budget}, {format_protocol(protocol)}: relative gain"))
    console.print(cost_table(result))


def tests_table(comparison: Comparison, measure: str, baseline: str, title: str) -> Table:
    """Differences from each protocol's baseline and their corrected p, one system a row."""
    from rich.markup import escape
    from rich.table import Table

    columns = {protocol: comparison.baseline(protocol, baseline) for protocol in comparison.protocols}
    tests = {(test.protocol, test.system): test for test in all_tests(comparison, baseline) if test.measure == measure}
    note = f"▲ better, ▼ worse: paired t-test, p < {SIGNIFICANCE_LEVEL} after Holm's correction for all of a protocol's comparisons"
    shown = Table(title=title, caption=note, caption_justify="left")
    shown.add_column("system", no_wrap=True)
    for protocol, base in columns.items():
        shown.add_column(f"{format_protocol(protocol)}\n− {base}", justify="right")
    for system in without_hybrids(comparison.seed_values[0]):
        found = [tests.get((protocol, system)) for protocol in columns]
        cells = [f"{test.difference:+.3f} {significance_mark(test)}" if test else "–  " for test in found]
        shown.add_row(escape(system), *cells)
    return shown


def gains_table(comparison: Comparison, protocol: str, baseline: str, title: str) -> Table:
    """Relative gains of the trained systems over the baseline and over the strongest without transport."""
    from rich.markup import escape
    from rich.table import Table

    base = comparison.baseline(protocol, baseline)
    over = {True: comparison.gains(protocol, base), False: comparison.gains(protocol)}
    shown = Table(title=title, caption=gains_note(comparison, protocol), caption_justify="left")
    shown.add_column("system", no_wrap=True)
    columns = [(usual, name) for usual in over for name in GAIN_MEASURES if name in comparison.measures(protocol)]
    for usual, name in columns:
        shown.add_column(
            f"{name}\nover {base if usual else comparison.strongest_without_transport(protocol, name)}", justify="right"
        )
    for system in without_hybrids(name for name in comparison.systems(protocol) if comparison.epochs.get(name)):
        cells = [
            next(
                (
                    format_percent(gain.relative)
                    for gain in over[usual]
                    if (gain.system, gain.measure) == (system, name)
                ),
                "–",
            )
            for usual, name in columns
        ]
        shown.add_row(escape(system), *cells)
    return shown


def gains_note(comparison: Comparison, protocol: str) -> str:
    """What the gains are over, and what is left out."""
    trivial = [f"R@{k}" for k in (10, 100, 500) if comparison.is_trivial(protocol, f"R@{k}")]
    note = "over the usual baseline, and over the strongest without transport"
    if trivial:
        candidates = comparison.candidate_counts[protocol]
        note += f"; {join_names(trivial)} left out: only {candidates:,} listings are ranked, so it is 1 for any full ranking"
    return note


def cost_table(result: ComparisonResult) -> Table:
    """Views encoded and milliseconds of training, one method a row."""
    from rich.table import Table

    note = f"a listing's one vector takes {result.vector_bytes:,} bytes and a query costs the same, whatever trained it"
    shown = Table(title="cost", caption=note, caption_justify="left")
    for name in ("method", "photos a step", "texts a step", "ms per listing and epoch", "views to index"):
        shown.add_column(name, justify="left" if name == "method" else "right")
    for method, cost in result.costs.items():
        cells = (f"{cost.photos:.2f}", f"{cost.texts:.2f}", f"{cost.milliseconds:.3f}", f"{cost.indexed:.2f}")
        shown.add_row(method, *cells)
    return shown
