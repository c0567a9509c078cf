"""Columns, notes and number formats of comparison reports: shared by the page, the console and the charts.

A column is one line here: of the table of systems in `SYSTEM_COLUMNS`, of the table of costs in `COST_COLUMNS`. Each
measure in `wares.evaluation.measures.DEFAULT_MEASURES` is a column as well, with a note in `MEASURE_NOTES`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from wares.evaluation.comparison.results import QUERY_PROTOCOL
from wares.evaluation.significance import SIGNIFICANCE_LEVEL

if TYPE_CHECKING:
    from wares.evaluation.comparison.results import Comparison, Cost, ProtocolTest

# Header -> cell of a system.
SYSTEM_COLUMNS: dict[str, Callable[[Comparison, str], str]] = {
    "epochs": lambda comparison, system: str(comparison.epochs.get(system) or "–"),
    "seconds": lambda comparison, system: f"{comparison.seconds[system]:.1f}" if comparison.seconds[system] else "–",
}
# Header -> cell of a method.
COST_COLUMNS: dict[str, Callable[[Cost], str]] = {
    "photos per step": lambda cost: f"{cost.photos:.2f}",
    "texts per step": lambda cost: f"{cost.texts:.2f}",
    "ms per listing and epoch": lambda cost: f"{cost.milliseconds:.3f}",
    "views to index": lambda cost: f"{cost.indexed:.2f}",
}
PROTOCOL_NOTES = {
    QUERY_PROTOCOL: "The towers train on the whole catalogue, without queries or judgments. Each judged query then "
    "ranks all listings by their fused embeddings, unless a system has another ranking.",
    "title->photos": "The title of each held-out listing ranks the held-out listings by the weighted mean of their "
    "photos.",
    "description->photos": "The description of each held-out listing ranks the held-out listings by the weighted mean "
    "of their photos.",
    "photo->title": "Each photo but the first of a held-out listing ranks the titles of the held-out listings. The "
    "value of a listing is the mean over its photos.",
    "photo->primary-photo": "Each photo but the first of a held-out listing ranks the first photos of the held-out "
    "listings. The value of a listing is the mean over its photos.",
}
SYSTEM_NOTES = {
    "factorized": "primary view and one other drawn at random per modality and step, coupled by the factorized plan",
    "all-pairs": "every view with every view in every step, coupled by the same factorized plan without sampling",
    "low-rank-transport": "every view, listings scored by a plan of low rank",
    "full-transport": "every view, listings scored by the best entropic plan: the exact reference",
    "single-view": "first photo and title only, in training and in the fused embedding",
    "single-view, all views fused": "trained as single-view, with all views in the fused embedding",
    "random-view": "one view per modality, drawn at random; no plan",
    "mean-views": "the plain means of all photos and of all texts, in training and in the fused embedding; no plan",
    "joint-text": "trained and indexed on the first photo and one text joined from all texts; the same queries",
    "bm25": "BM25 over all texts of a listing",
    "dense": "the published text tower without training here, on all texts of a listing joined",
    "dense-views": "the published text tower without training here: the mean of the vectors of a listing's texts",
    "bm25+dense": "reciprocal rank fusion of bm25 and dense",
    "bm25+dense-views": "sum of the z-scores of bm25 and dense-views, with equal weights",
}
MEASURE_NOTES = {
    "nDCG@10": "normalised discounted cumulative gain of the first ten, with graded relevance if judgments are graded",
    "R@10": "fraction of the relevant listings among the first ten; R@100 and R@500 likewise",
    "AP": "average precision over the whole ranking (its first 500 for queries)",
    "RR": "reciprocal rank of the first relevant listing",
}


def format_protocol(protocol: str) -> str:
    """Return the name of a protocol for titles, as in "title → photos"."""
    return protocol.replace("->", " → ").replace("-", " ")


def format_value(value: float) -> str:
    """Return the value of a measure with three decimals."""
    return f"{value:.3f}"


def format_percent(value: float) -> str:
    """Return a relative gain in per cent, with its sign."""
    return f"{100 * value:+.1f} %"


def format_p_value(value: float) -> str:
    """Return a p-value with four decimals, or "< .0001"."""
    return "< .0001" if value < 1e-4 else f"{value:.4f}".lstrip("0")


def significance_mark(test: ProtocolTest | None) -> str:
    """Return ▲ or ▼ for a system significantly better or worse than the baseline, else a space."""
    return " " if test is None or test.p_holm >= SIGNIFICANCE_LEVEL else "▲" if test.difference > 0 else "▼"


def join_names(names: Sequence[str]) -> str:
    """Return names as an enumeration, as in "a, b and c"."""
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + "".join(names[-1:])
