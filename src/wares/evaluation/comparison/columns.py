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
    from wares.evaluation.comparison.results import ComparisonResult, ProtocolTest, RelativeGain, System
    from wares.evaluation.comparison.validation import Validation

# Header -> cell of a system, and of what was selected for it in the training that a protocol measures.
SYSTEM_COLUMNS: dict[str, Callable[[System, Sequence[Validation]], str]] = {
    "epochs": lambda _, validations: join_epochs(validations),
    "fusion": lambda _, validations: join_seeds([validation.fusion for validation in validations]),
    "seconds": lambda system, _: f"{system.seconds:.1f}" if system.seconds else "–",
}
# Header -> cell of a method in a result.
COST_COLUMNS: dict[str, Callable[[str, ComparisonResult], str]] = {
    "photos per step": lambda method, result: f"{result.costs[method].photos:.2f}",
    "texts per step": lambda method, result: f"{result.costs[method].texts:.2f}",
    "ms per listing": lambda method, result: f"{result.costs[method].milliseconds:.3f}",
    "views to index": lambda method, result: f"{result.costs[method].indexed:.2f}",
    "epochs": lambda method, result: " / ".join(
        join_epochs(result.validations_of(method, training)) for training in result.validations
    ),
    "seconds": lambda method, result: f"{result.comparison.systems[method].seconds:.1f}",
}
FUSION_NOTES = {
    "own": "the method's own: first photo and title for single-view, joined text and first photo for joint-text, plain "
    "means for mean-views, otherwise agreement with the weights that were selected for the seed",
    "primary": "first photo and title only",
    "uniform": "the plain means of photos and of texts",
    "agreement": "the default of wares: photos weigh by their agreement with the texts",
}
PROTOCOL_NOTES = {
    QUERY_PROTOCOL: "The towers train on the whole catalogue, without queries or judgments. Each judged query then "
    "ranks all listings by their fused embeddings, unless a system has another ranking.",
    "title->photos": "The title of each held-out listing ranks the held-out listings by the weighted mean of their "
    "photos.",
    "description->photos": "The description of each held-out listing ranks the held-out listings by the weighted mean "
    "of their photos.",
    "photo->title": "Each photo but the first of a held-out listing ranks the titles of the held-out listings. The "
    "value of a listing is the mean over its photos. Nothing is fused.",
    "photo->primary-photo": "Each photo but the first of a held-out listing ranks the first photos of the held-out "
    "listings. The value of a listing is the mean over its photos. Nothing is fused.",
}
SYSTEM_NOTES = {
    "factorized": "primary view and one other drawn at random per modality and step, coupled by the factorized plan",
    "all-pairs": "every view with every view in every step, coupled by the same factorized plan without sampling",
    "low-rank-transport": "every view, listings scored by a plan of low rank",
    "full-transport": "every view, listings scored by the best entropic plan: the exact reference",
    "single-view": "first photo and title only in training",
    "random-view": "one view per modality, drawn at random; no plan",
    "mean-views": "the plain means of all photos and of all texts in training; no plan",
    "joint-text": "trained on the first photo and one text joined from all texts; the same queries",
    "bm25": "BM25 over all texts of a listing",
    "dense": "the published text tower without training here, on all texts of a listing joined",
    "dense-views": "the published text tower without training here: the mean of the vectors of a listing's texts",
    "bm25+dense": "reciprocal rank fusion of bm25 and dense",
    "bm25+dense-views": "sum of the z-scores of bm25 and dense-views, with equal weights",
}
MEASURE_NOTES = {
    "nDCG@10": "normalised discounted cumulative gain of the first ten, with graded relevance if judgments are graded",
    "R@10": "fraction of the relevant listings among the first ten; R@100 and R@500 likewise",
    "nDCG(judged_only=True)@10": "nDCG@10 of judged results alone (condensed lists, Sakai 2007), for pooled judgments",
    "Judged@10": "fraction of the first ten results that is judged, for pooled judgments",
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


def format_gain(gain: RelativeGain | None) -> str:
    """Return a relative gain in per cent, or a dash."""
    return "–" if gain is None else format_percent(gain.relative)


def format_p_value(value: float) -> str:
    """Return a p-value with four decimals, or "< .0001"."""
    return "< .0001" if value < 1e-4 else f"{value:.4f}".lstrip("0")


def significance_mark(test: ProtocolTest | None) -> str:
    """Return ▲ or ▼ for a system significantly better or worse than the baseline, else a space."""
    return " " if test is None or test.p_holm >= SIGNIFICANCE_LEVEL else "▲" if test.difference > 0 else "▼"


def join_seeds(values: Sequence[object]) -> str:
    """Return the values of all seeds: once if they are equal, a dash if there are none."""
    names = [str(value) for value in values]
    return ", ".join(names[:1] if len(set(names)) == 1 else names) or "–"


def join_epochs(validations: Sequence[Validation]) -> str:
    """Return the selected numbers of epochs of all seeds."""
    return join_seeds([validation.epochs for validation in validations])


def join_names(names: Sequence[str]) -> str:
    """Return names as an enumeration, as in "a, b and c"."""
    return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + "".join(names[-1:])
