"""Judging: rank measures, significance, and cross-view protocols.

The one room that sees judgments; nothing that trains or makes labels may import it. Measures bear the names of
ir_measures (`nDCG@10`, `R@100`, `AP(rel=2)`), which parse and print to the same thing. Tables and plots of
whole comparisons are next door, in `report`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from wares.errors import EvaluationError
from wares.runs import Run, add, ranking, read_run, rows

if TYPE_CHECKING:
    from rich.console import Console

    from wares.catalogue import Listing, Query
    from wares.encode import CatalogueFeatures
    from wares.shop import Shop
    from wares.towers import Towers

Qrels = dict[str, dict[str, int]]  # query id -> listing id -> relevance; 1 and above is relevant
PerQuery = dict[str, dict[str, float]]  # measure -> query id -> value
Significance = Literal["t", "permutation"]
Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Relevance = npt.NDArray[np.bool_]

MEASURES = ("nDCG@10", "R@10", "R@100", "R@500", "AP", "RR")
LEVEL = 0.05
DEPTH = 500  # results of a run that are measured, as R@500 needs
CELLS = 2**21  # similarities held at once in a cross-view protocol


def read_qrels(path: Path | str) -> Qrels:
    """Judgments in TREC format: `query iteration listing relevance`, relevance a whole number.

    Raises EvaluationError with file and line where a row cannot be read or judges the same pair twice.
    """
    qrels: Qrels = {}
    for where, (query, _, listing, relevance) in rows(path, "query iteration listing relevance"):
        if not re.fullmatch(r"[+-]?\d+", relevance):
            raise EvaluationError(f"{where}: relevance is a whole number, not {relevance!r}.")
        add(qrels.setdefault(query, {}), query, listing, int(relevance), where)
    return qrels


# Measures


@dataclass(frozen=True)
class Coverage:
    """How a run and the judgments meet.

    judged: queries that count: those with a relevant listing, whether the run answers them or not
    without_relevant: judged queries with no relevant listing; no measure is defined there, so they are left out
    unanswered: queries among `judged` that the run has no results for; they score 0
    unjudged: queries of the run without judgments; they are ignored
    """

    judged: tuple[str, ...]
    without_relevant: tuple[str, ...]
    unanswered: tuple[str, ...]
    unjudged: tuple[str, ...]


def coverage(run: Run, qrels: Qrels) -> Coverage:
    """Which queries a measure counts, and which not. Raises EvaluationError where none can."""
    judged = tuple(query for query, row in qrels.items() if max(row.values(), default=0) >= 1)
    if not judged:
        raise EvaluationError("the judgments call no listing relevant (1 or above), so nothing can be measured.")
    if run and not any(query in qrels for query in run):
        examples = f"{next(iter(run))!r} against {next(iter(qrels))!r}"
        raise EvaluationError(f"the run and the judgments share no query id ({examples}). Do they belong together?")
    return Coverage(
        judged,
        tuple(query for query in qrels if query not in set(judged)),
        tuple(query for query in judged if not run.get(query)),
        tuple(query for query in run if query not in qrels),
    )


def measure(run: Run, qrels: Qrels, measures: Sequence[str] = MEASURES) -> PerQuery:
    """Each measure of each judged query. A query without results scores 0; see `coverage` for what is left out.

    measures: ir_measures names; relevance 1 and above counts as relevant unless `rel` says otherwise

    Returns measure -> query -> value, queries in the order of the judgments.
    """
    import ir_measures

    judged = coverage(run, qrels).judged
    parsed = {_parse(name): name for name in measures}
    values: PerQuery = {name: dict.fromkeys(judged, 0.0) for name in measures}
    # Ranks in place of scores: ties are settled here, whatever library computes the measure.
    ranked = {query: _by_rank(run[query]) for query in judged if run.get(query)}
    relevance = {query: qrels[query] for query in ranked}
    if ranked:
        for metric in ir_measures.iter_calc(list(parsed), relevance, ranked):
            values[parsed[metric.measure]][metric.query_id] = float(metric.value)
    return values


def _by_rank(scores: Mapping[str, float]) -> dict[str, float]:
    return {listing: float(-rank) for rank, listing in enumerate(ranking(scores))}


def check_measures(names: Sequence[str]) -> None:
    """Raise EvaluationError where a name is none of ir_measures."""
    for name in names:
        _parse(name)


def _parse(name: str) -> Any:
    import ir_measures

    try:
        parsed = ir_measures.parse_measure(name)
        list(ir_measures.iter_calc([parsed], {"query": {"listing": 1}}, {"query": {"listing": 1.0}}))
    except (NameError, ValueError, SyntaxError, AssertionError) as error:
        known = ", ".join(MEASURES)
        raise EvaluationError(f"{name!r} is not a measure; write it as ir_measures does: {known}.") from error
    return parsed


# Significance


@dataclass(frozen=True)
class PairedTest:
    """One system against the baseline on one measure.

    difference: mean over queries, system minus baseline
    p: two-sided; p_holm: corrected for all comparisons made together
    """

    system: str
    baseline: str
    measure: str
    difference: float
    p: float
    p_holm: float


def paired_tests(
    per_query: Mapping[str, Mapping[str, Mapping[str, float]]], baseline: str, method: Significance = "t"
) -> list[PairedTest]:
    """Every other system against the baseline, query by query, Holm-corrected over all systems and measures.

    per_query: system -> measure -> query -> value, the same queries throughout
    method: "t" for the paired t-test, "permutation" for the sign-flip test of the mean difference

    Raises EvaluationError where the baseline is not there or systems were measured on different queries.
    """
    if baseline not in per_query:
        raise EvaluationError(f"baseline {baseline!r} is not among the systems: {', '.join(per_query)}.")
    found: list[tuple[str, str, Floats]] = []
    for system in (name for name in per_query if name != baseline):
        for name, values in per_query[system].items():
            base = per_query[baseline].get(name)
            if base is None or base.keys() != values.keys():
                raise EvaluationError(f"{system} and {baseline} were not measured on the same queries ({name}).")
            found.append((system, name, np.array([values[query] - base[query] for query in base])))
    p_values = [_p_value(difference, method) for _, _, difference in found]
    return [
        PairedTest(system, baseline, name, float(difference.mean()), p, p_holm)
        for (system, name, difference), p, p_holm in zip(found, p_values, holm(p_values), strict=True)
    ]


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for having made all of these tests together; p in [0, 1], order kept.

    Source: Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    corrected, worst = [0.0] * len(p_values), 0.0
    for place, test in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        worst = max(worst, min(1.0, (len(p_values) - place) * p_values[test]))
        corrected[test] = worst
    return corrected


def _p_value(difference: Floats, method: Significance) -> float:
    """Two-sided p of a mean difference of 0. difference: (n,) one per query."""
    from scipy import stats

    if np.ptp(difference) < 1e-12:  # no spread, no t: the sign-flip test has this closed form
        return 1.0 if abs(difference[0]) < 1e-12 else 2.0 ** (1 - len(difference))
    if method == "t":
        return float(stats.ttest_1samp(difference, 0.0).pvalue)
    flipped = stats.permutation_test(
        (difference,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=9999,
        batch=1000,
        rng=np.random.default_rng(0),
    )
    return float(flipped.pvalue)


# Whole evaluations


@dataclass(frozen=True)
class Evaluation:
    """Systems on the same judged queries: means, tests against a baseline, and what was left out.

    per_query: system -> measure -> query -> value
    coverage: system -> how its run met the judgments
    """

    per_query: dict[str, PerQuery]
    tests: tuple[PairedTest, ...]
    coverage: dict[str, Coverage]
    method: Significance = "t"

    @property
    def queries(self) -> int:
        """How many queries every mean is over."""
        return len(next(iter(self.coverage.values())).judged)

    @property
    def systems(self) -> dict[str, dict[str, float]]:
        """System -> measure -> mean over the queries."""
        return {
            system: {name: float(np.mean(list(values.values()))) for name, values in table.items()}
            for system, table in self.per_query.items()
        }

    def to_json(self) -> dict[str, Any]:
        """The shape that `wares evaluate --json` writes."""
        return {"queries": self.queries, "systems": self.systems, "tests": [asdict(test) for test in self.tests]}

    def render(self, console: Console) -> None:
        """Print the means as a table: the best in bold, significant differences marked."""
        from rich.markup import escape
        from rich.table import Table

        systems, marks = self.systems, self._marks()
        names = list(next(iter(systems.values())))
        best = {name: max(round(means[name], 3) for means in systems.values()) for name in names}
        table = Table()
        table.add_column("system")
        for name in names:
            table.add_column(name, justify="right")
        for system, means in systems.items():
            cells = []
            for name in names:
                text = f"{means[name]:.3f}"
                text = f"[bold]{text}[/bold]" if round(means[name], 3) == best[name] else text
                cells.append(text + marks.get((system, name), " "))
            table.add_row(escape(system), *cells)
        console.print(table)
        console.print(self._footnote(), style="dim", markup=False, highlight=False)

    def _marks(self) -> dict[tuple[str, str], str]:
        significant = [test for test in self.tests if test.p_holm < LEVEL]
        return {(test.system, test.measure): "▲" if test.difference > 0 else "▼" for test in significant}

    def _footnote(self) -> str:
        lines = [f"{self.queries} judged queries; bold: the best."]
        if self.tests:
            test = {"t": "paired t-test", "permutation": "sign-flip permutation test"}[self.method]
            lines.append(
                f"▲ better, ▼ worse than {self.tests[0].baseline}: two-sided {test}, p < {LEVEL} "
                f"after Holm's correction for {len(self.tests)} comparisons."
            )
        without = len(next(iter(self.coverage.values())).without_relevant)
        if without:
            lines.append(f"Judged queries without a relevant listing, left out: {without}.")
        lines += self._told("judged queries without results, scored 0", [m.unanswered for m in self.coverage.values()])
        lines += self._told("queries without judgments, ignored", [met.unjudged for met in self.coverage.values()])
        return "\n".join(lines)

    def _told(self, what: str, queries: Sequence[Sequence[str]]) -> list[str]:
        """How many queries there are of some kind: a line for each system that has any, or one for all of them."""
        if len(self.coverage) > 1 and queries[0] and all(each == queries[0] for each in queries):
            return [f"All systems: {what}: {len(queries[0])}."]
        counts = zip(self.coverage, map(len, queries), strict=True)
        return [f"{system}: {what}: {count}." for system, count in counts if count]


def _check_listings(runs: Mapping[str, Run], qrels: Qrels) -> None:
    judged = {listing for row in qrels.values() for listing in row}
    found = {listing for run in runs.values() for row in run.values() for listing in row}
    if judged and found and not judged & found:
        raise EvaluationError(
            f"runs and judgments share no listing id ({min(found)!r} against {min(judged)!r}). Do they belong together?"
        )


def evaluate(
    runs: Mapping[str, Run],
    qrels: Qrels,
    baseline: str | None = None,
    measures: Sequence[str] = MEASURES,
    method: Significance = "t",
) -> Evaluation:
    """Measure every run on the same judgments and test each against the baseline.

    runs: name -> run; baseline: one of these names, or None for no tests

    Raises EvaluationError where there is nothing to measure, the baseline is unknown, or no run has any listing that is
    judged, which says that ids do not agree.
    """
    if not runs:
        raise EvaluationError("there is no run to evaluate. Name a run file or a shop.")
    _check_listings(runs, qrels)
    per_query = {name: measure(run, qrels, measures) for name, run in runs.items()}
    tests = paired_tests(per_query, baseline, method) if baseline is not None else []
    return Evaluation(per_query, tuple(tests), {name: coverage(run, qrels) for name, run in runs.items()}, method)


# Predicted performance


@dataclass(frozen=True)
class Correlation:
    """How well a query performance predictor orders queries by a measure, in [-1, 1] by each of three coefficients.

    queries: that have both a prediction and a value
    kendall: tau-b; spearman: rho; pearson: r. None where queries are fewer than three, or all alike in either
    """

    predictor: str
    measure: str
    queries: int
    kendall: float | None
    spearman: float | None
    pearson: float | None


def correlations(predictions: Mapping[str, Mapping[str, float]], values: PerQuery) -> list[Correlation]:
    """Each predictor against each measure, query by query. It says how good predictors are; nothing is chosen by it.

    predictions: predictor -> query id -> prediction, NaN where there is none; values: of the run that was predicted
    """
    return [
        _correlation(predictor, name, [(by_query[query], each[query]) for query in each if query in by_query])
        for predictor, by_query in predictions.items()
        for name, each in values.items()
    ]


def _correlation(predictor: str, name: str, pairs: Sequence[tuple[float, float]]) -> Correlation:
    from scipy import stats

    known = np.array([pair for pair in pairs if not np.isnan(pair[0])], dtype=np.float64).reshape(-1, 2)
    if len(known) < 3 or not np.ptp(known, axis=0).all():
        return Correlation(predictor, name, len(known), None, None, None)
    predicted, found = known.T
    coefficients = (stats.kendalltau, stats.spearmanr, stats.pearsonr)
    kendall, spearman, pearson = (float(each(predicted, found).statistic) for each in coefficients)
    return Correlation(predictor, name, len(known), kendall, spearman, pearson)


def render_correlations(found: Sequence[Correlation], console: Console) -> None:
    """Print them, a row for each predictor."""
    from rich.table import Table

    measures = list(dict.fromkeys(each.measure for each in found))
    table = Table(title="Predictions of how well BM25 answers a query, against how well it does")
    table.add_column("predictor")
    for name in measures:
        for coefficient in ("τ", "ρ", "r"):
            table.add_column(f"{name} {coefficient}", justify="right")
    for predictor in dict.fromkeys(each.predictor for each in found):
        rows = [each for each in found if each.predictor == predictor]
        values = [value for each in rows for value in (each.kendall, each.spearman, each.pearson)]
        table.add_row(predictor, *("–" if value is None else f"{value:.2f}" for value in values))
    console.print(table)
    about = "τ: Kendall, ρ: Spearman, r: Pearson; over judged queries, for reporting only."
    console.print(about, style="dim", markup=False, highlight=False)


# Shops


def shop_runs(shop: Shop, queries: Sequence[Query], depth: int = DEPTH) -> dict[str, Run]:
    """What a shop's systems and its baselines find, best `depth` listings for each query.

    fused, bm25, fused+bm25: the shop's own systems (wares.search)
    dense: the baseline, the shop's text tower untrained, on all texts of a listing as one
    bm25+dense: reciprocal rank fusion of the two baselines
    reranked: fused+bm25 and the shop's ranker together, where it has one
    """
    from wares.reranking import DEPTH as RERANKED
    from wares.search import SYSTEMS, ranked

    runs: dict[str, Run] = {system: ranked(shop, queries, depth, system) for system in SYSTEMS}
    if shop.has_ranker:
        runs["reranked"] = ranked(shop, queries, depth, rerank=RERANKED)
    dense = dense_run(shop, queries, depth)
    return runs | {"dense": dense, "bm25+dense": fused_runs(dense, runs["bm25"], depth=depth)}


def named_runs(systems: Sequence[Path], queries: Sequence[Query]) -> dict[str, Run]:
    """Runs by name: a run file is called after itself; a single shop's systems have plain names, and where there
    are several shops, `<shop>/<system>`.

    Raises EvaluationError where a path is neither, or two systems have one name.
    """
    from wares.shop import open_shop

    shops = [path for path in systems if path.is_dir()]
    runs: dict[str, Run] = {}
    for path in systems:
        if path.is_dir():
            prefix = f"{path.name}/" if len(shops) > 1 else ""
            found = {f"{prefix}{name}": run for name, run in shop_runs(open_shop(path), queries).items()}
        else:
            found = {path.stem: read_run(path)}
        for name in found:
            if name in runs:
                raise EvaluationError(f"two systems are called {name!r}. Rename {path}.")
        runs |= found
    return runs


def dense_run(shop: Shop, queries: Sequence[Query], depth: int = DEPTH) -> Run:
    """The shop's text tower as it was before any training, on the concatenated texts of each listing."""
    from wares.encode import embed_texts, project, text_features
    from wares.towers import build_towers, load_towers

    untrained = build_towers(load_towers(shop.folder / "model").name)
    rows = shop.table.search().select(["id", "text"]).limit(len(shop)).to_arrow()
    features = text_features(rows["text"].to_pylist(), untrained.text)  # from the cache, where it has been
    ids, listings = rows["id"].to_pylist(), project(untrained.text, features, untrained.dimension)
    vectors = embed_texts([query.text for query in queries], untrained)
    return {query.id: _best(listings @ vector, ids, depth) for query, vector in zip(queries, vectors, strict=True)}


def towers_run(
    features: CatalogueFeatures, towers: Towers, ids: Sequence[str], queries: Sequence[Query], depth: int = DEPTH
) -> Run:
    """Queries against the fused embeddings of listings, without a shop. ids: of the listings, in their order."""
    from wares.encode import embed_features, embed_texts
    from wares.fuse import fuse

    listings = fuse(embed_features(features, towers), towers.fusion).vectors
    vectors = embed_texts([query.text for query in queries], towers)
    return {query.id: _best(listings @ vector, ids, depth) for query, vector in zip(queries, vectors, strict=True)}


def _best(scores: Floats | npt.NDArray[np.float32], ids: Sequence[str], depth: int) -> dict[str, float]:
    return {ids[place]: float(scores[place]) for place in np.argsort(-scores, kind="stable")[:depth]}


def fused_runs(first: Run, second: Run, *, depth: int = DEPTH) -> Run:
    """Reciprocal rank fusion of two runs, as search does it: ties go to the smaller id, the best `depth` stay."""
    from wares.search import Ranked, reciprocal_ranks

    def hits(run: Run, query: str) -> list[Ranked]:
        scores = run.get(query, {})
        return [Ranked(0, listing) for listing in sorted(scores, key=lambda listing: (-scores[listing], listing))]

    fused = {query: reciprocal_ranks(hits(first, query), hits(second, query)) for query in {**first, **second}}
    return {query: {hit.id: hit.score for hit in best[:depth]} for query, best in fused.items()}


# Cross-view protocols


def relevance_groups(listings: Sequence[Listing]) -> Labels:
    """(N,) the same number for listings relevant to each other: same product, or else the same title.

    Titles are compared without regard to case and spacing; a listing with a product is not matched by title.
    """
    groups: dict[tuple[str, str], int] = {}
    keys = [
        ("product", listing.product) if listing.product else ("title", " ".join(listing.title.casefold().split()))
        for listing in listings
    ]
    return np.array([groups.setdefault(key, len(groups)) for key in keys], dtype=np.int64)


def cross_view(
    queries: npt.NDArray[np.floating[Any]],
    candidates: npt.NDArray[np.floating[Any]],
    relevant: Relevance | tuple[Labels, Labels],
    measures: Sequence[str] = MEASURES,
) -> dict[str, Floats]:
    """Rank all candidates by inner product with every query; binary relevance; equal scores in candidate order.

    queries: (Q, d); candidates: (N, d)
    relevant: (Q, N) booleans, or the group labels of queries (Q,) and candidates (N,): equal labels are relevant
    measures: among nDCG@k, R@k, P@k, AP, RR, any k

    Returns measure -> (Q,) values. Raises EvaluationError where a query has no relevant candidate: leave such
    queries out, and say so.
    """
    count = len(candidates)
    by_name = {name: _ranked_measure(name) for name in measures}
    values = {name: np.empty(len(queries)) for name in measures}
    step = max(1, CELLS // max(1, count))
    for start in range(0, len(queries), step):
        rows = slice(start, start + step)
        truth = relevant[0][rows, None] == relevant[1] if isinstance(relevant, tuple) else relevant[rows]
        if not truth.any(axis=1).all():
            without = start + int(np.argmin(truth.any(axis=1)))
            raise EvaluationError(f"cross-view query {without} has no relevant candidate. Leave it out, and say so.")
        order = np.argsort(-(queries[rows] @ candidates.T), axis=1, kind="stable")
        hits = np.take_along_axis(truth, order, axis=1)
        for name, function in by_name.items():
            values[name][rows] = function(hits)
    return values


def _ranked_measure(name: str) -> Callable[[Relevance], Floats]:
    """A measure of hits (Q, N): relevance by rank, at least one relevant in each row."""
    found = re.fullmatch(r"(nDCG|R|P)@([1-9]\d*)|(AP|RR)", name)
    if not found:
        raise EvaluationError(f"{name!r} is no cross-view measure; choose among nDCG@k, R@k, P@k, AP, RR.")
    function, cutoff = _RANKED[found[1] or found[3]], int(found[2] or 0)
    return lambda hits: function(hits, cutoff or hits.shape[1])


def _ndcg(hits: Relevance, k: int) -> Floats:
    discounts = 1 / np.log2(np.arange(2, min(k, hits.shape[1]) + 2))
    ideal = np.cumsum(discounts)[np.minimum(hits.sum(axis=1), len(discounts)) - 1]
    values: Floats = (hits[:, :k] * discounts).sum(axis=1) / ideal
    return values


def _recall(hits: Relevance, k: int) -> Floats:
    return _found(hits, k) / _found(hits, hits.shape[1])


def _precision(hits: Relevance, k: int) -> Floats:
    return _found(hits, k) / k


def _average_precision(hits: Relevance, _: int) -> Floats:
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    values: Floats = (precision * hits).sum(axis=1) / _found(hits, hits.shape[1])
    return values


def _reciprocal_rank(hits: Relevance, _: int) -> Floats:
    values: Floats = 1 / (hits.argmax(axis=1) + 1)
    return values


def _found(hits: Relevance, k: int) -> Floats:
    values: Floats = hits[:, :k].sum(axis=1, dtype=np.float64)
    return values


_RANKED: dict[str, Callable[[Relevance, int], Floats]] = {
    "nDCG": _ndcg,
    "R": _recall,
    "P": _precision,
    "AP": _average_precision,
    "RR": _reciprocal_rank,
}
