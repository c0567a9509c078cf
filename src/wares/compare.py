"""Pretraining methods side by side on one catalogue, at equal wall-clock and at equal epochs.

Cross-view protocols hold out 30 % of the listings, train on the rest, and ask one view of a held-out listing
for another. Query → listing trains on the whole catalogue, which needs no labels, and ranks it for the given
queries. Listings of the same product, or else of the same title, are relevant to each other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from wares.encode import CatalogueFeatures, Embeddings, embed_features
from wares.errors import EvaluationError
from wares.evaluate import (
    DEPTH,
    PairedTest,
    PerQuery,
    Qrels,
    cross_view,
    measure,
    paired_tests,
    relevance_groups,
    shop_runs,
)
from wares.fuse import barycentres, fuse
from wares.index import Shop, TowersEncoder, open_shop, storable, write_shop
from wares.pretrain import Method, PretrainSettings, method_fusion, pretrain
from wares.progress import progress
from wares.search import ranked
from wares.towers import Fusion, Towers, build_towers

if TYPE_CHECKING:
    from wares.catalogue import Catalogue, Query
    from wares.evaluate import Labels

HELD_OUT = 0.3
QUERIES = "query->listing"
BASELINE: Method = "single-view"
ALL_VIEWS = "single-view, all views fused"
Protocols = dict[str, PerQuery]  # protocol -> measure -> query -> value


class Spread(TypedDict):
    """A measure over seeds: its mean and standard deviation."""

    mean: float
    std: float


class Results(TypedDict):
    """What `wares compare --json` writes: method -> protocol -> measure -> spread, and under "seconds" the time."""

    methods: Mapping[str, Mapping[str, Any]]
    seeds: int


@dataclass(frozen=True)
class Judged:
    """Queries with judgments, for the query → listing protocol. Judgments are for measuring only."""

    queries: Sequence[Query]
    qrels: Qrels


@dataclass(frozen=True)
class Outcome:
    """One trained method: its values by the name they are reported under.

    seconds: of training for the cross-view protocols and for the queries; 0 where there was none
    """

    values: dict[str, Protocols]
    seconds: tuple[float, float]


@dataclass(frozen=True)
class Comparison:
    """Every method's values under one budget.

    tables: one per seed, method -> protocol -> measure -> query -> value
    seconds: method -> mean seconds of training, both trainings of a seed together; 0 for what is not trained
    """

    tables: list[dict[str, Protocols]]
    seconds: dict[str, float]

    def results(self) -> Results:
        """Mean and standard deviation over seeds, in the shape of `wares compare --json`."""
        return {"methods": {method: self._row(method) for method in self.tables[0]}, "seeds": len(self.tables)}

    def has(self, protocol: str) -> bool:
        """Whether any method was measured in a protocol."""
        return any(protocol in protocols for protocols in self.tables[0].values())

    def tests(self, baseline: str | None = None, protocol: str = QUERIES) -> list[PairedTest]:
        """Paired tests of every method against the baseline, each query's values averaged over seeds.

        baseline: None takes single-view, or the first method where that was not compared
        """
        names = [method for method, protocols in self.tables[0].items() if protocol in protocols]
        baseline = baseline or (BASELINE if BASELINE in names else next(iter(self.tables[0])))
        if baseline not in names:
            raise EvaluationError(f"{baseline!r} was not measured in {protocol}; it cannot be the baseline.")
        return paired_tests({name: self._means(name, protocol) for name in names}, baseline)

    def _row(self, method: str) -> dict[str, object]:
        # What a seed holds out may have no view of a kind; a protocol is averaged over the seeds that have it.
        found = {protocol: measures for table in self.tables for protocol, measures in table[method].items()}
        row: dict[str, object] = {
            protocol: {name: self._spread(method, protocol, name) for name in measures}
            for protocol, measures in found.items()
        }
        return row | {"seconds": self.seconds[method]}

    def _spread(self, method: str, protocol: str, name: str) -> dict[str, float]:
        there = [table[method][protocol][name] for table in self.tables if protocol in table[method]]
        means = [float(np.mean(list(values.values()))) for values in there]
        return {"mean": float(np.mean(means)), "std": float(np.std(means, ddof=1)) if len(means) > 1 else 0.0}

    def _means(self, method: str, protocol: str) -> PerQuery:
        found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for table in self.tables:
            for name, values in table[method][protocol].items():
                for query, value in values.items():
                    found[name][query].append(value)
        return {name: {query: float(np.mean(each)) for query, each in values.items()} for name, values in found.items()}


def compare(
    catalogue: Catalogue,
    features: CatalogueFeatures,
    towers: str,
    methods: Sequence[PretrainSettings],
    seeds: int = 3,
    judged: Judged | None = None,
) -> dict[str, Comparison]:
    """Train every method with every seed, for equal wall-clock and for equal epochs.

    features: of the whole catalogue under `towers`
    methods: settings of each method; the seed is set here. Single-view fuses its primary views alone, and is
        reported once more with all views fused, which is a stronger baseline
    judged: adds the query → listing protocol and its baselines BM25, dense, and their hybrid

    Returns the two comparisons by budget. The wall-clock of a seed is what its first method took for
    its epochs. Raises EvaluationError where there is nothing to compare.
    """
    if len(catalogue) < 10:
        raise EvaluationError(f"{len(catalogue)} listings are too few to hold some out; compare needs at least 10.")
    if not len(features.photos) and judged is None:
        raise EvaluationError("there are neither photos nor judged queries, so there is nothing to compare.")
    outcomes: dict[str, list[list[Outcome]]] = {"equal wall-clock": [], "equal epochs": []}
    trial = Trial(catalogue, features, towers, judged)
    with progress(None, "comparing", total=seeds * (2 * len(methods) - 1), unit="runs") as bar:
        for seed in range(seeds):
            by_epochs = []
            for method in methods:
                by_epochs.append(trial.run(replace(method, seed=seed)))
                bar.update()
            by_clock = by_epochs[:1]
            for method in methods[1:]:
                by_clock.append(trial.run(replace(method, seed=seed), by_epochs[0].seconds))
                bar.update()
            outcomes["equal wall-clock"].append(by_clock)
            outcomes["equal epochs"].append(by_epochs)
    return {budget: _comparison(methods, runs, trial.baselines) for budget, runs in outcomes.items()}


def _comparison(
    methods: Sequence[PretrainSettings], runs: Sequence[Sequence[Outcome]], baselines: dict[str, Protocols]
) -> Comparison:
    tables = [{name: row for run in seed for name, row in run.values.items()} | baselines for seed in runs]
    seconds: dict[str, float] = {
        name: float(np.mean([sum(seed[i].seconds) for seed in runs]))
        for i in range(len(methods))
        for name in runs[0][i].values
    }
    return Comparison(tables, seconds | dict.fromkeys(baselines, 0.0))


@dataclass(frozen=True)
class Trial:
    """One catalogue on which methods are tried."""

    catalogue: Catalogue
    features: CatalogueFeatures
    towers: str
    judged: Judged | None

    def run(self, settings: PretrainSettings, limits: tuple[float, float] | None = None) -> Outcome:
        """Train one method, on a part for the cross-view protocols and on the whole for the queries.

        limits: seconds for either training; None trains for `settings.epochs`
        """
        settings = replace(settings, fusion=method_fusion(settings.method, settings.fusion))
        fusions: dict[str, Fusion] = {settings.method: settings.fusion}
        if settings.method == "single-view":
            fusions[ALL_VIEWS] = Fusion()
        values: dict[str, Protocols] = {name: {} for name in fusions}
        part_seconds = whole_seconds = 0.0
        if len(self.features.photos):
            training, held_out = self._split(settings.seed)
            part, part_seconds = self._train(training, settings, limits and limits[0])
            embeddings = embed_features(self.features.select(held_out), part)
            for name, fusion in fusions.items():
                values[name] |= cross_views(embeddings, self._groups[held_out], fusion)
        if self.judged is not None:
            whole, whole_seconds = self._train(np.arange(len(self.catalogue)), settings, limits and limits[1])
            for name, fusion in fusions.items():
                found = self._ranked(whole, fusion, self.judged)
                values[name][QUERIES] = found["fused"]
                values[f"{name} + bm25"] = {QUERIES: found["fused+bm25"]}
        return Outcome(values, (part_seconds, whole_seconds))

    @cached_property
    def baselines(self) -> dict[str, Protocols]:
        """What needs no training: BM25, the untrained text tower, and both together."""
        if self.judged is None:
            return {}
        with self._shop(build_towers(self.towers), Fusion()) as shop:
            runs = shop_runs(shop, self.judged.queries, DEPTH)
        return {name: {QUERIES: measure(runs[name], self.judged.qrels)} for name in ("bm25", "dense", "bm25+dense")}

    @cached_property
    def _groups(self) -> Labels:
        return relevance_groups(self.catalogue.listings)

    def _split(self, seed: int) -> tuple[Labels, Labels]:
        order = np.random.default_rng(seed).permutation(len(self.catalogue))
        cut = round(len(order) * (1 - HELD_OUT))
        return np.sort(order[:cut]), np.sort(order[cut:])

    def _train(self, listings: Labels, settings: PretrainSettings, limit: float | None) -> tuple[Towers, float]:
        towers = build_towers(self.towers, settings.seed)
        record = pretrain(self.features.select(listings), towers, replace(settings, seconds=limit))
        return towers, record.seconds

    def _ranked(self, towers: Towers, fusion: Fusion, judged: Judged) -> dict[str, PerQuery]:
        with self._shop(towers, fusion) as shop:
            runs = {
                "fused": ranked(shop, judged.queries, DEPTH, "fused"),
                "fused+bm25": ranked(shop, judged.queries, DEPTH, "fused+bm25"),
            }
        return {name: measure(run, judged.qrels) for name, run in runs.items()}

    @contextmanager
    def _shop(self, towers: Towers, fusion: Fusion) -> Iterator[Shop]:
        towers.fusion = fusion
        embeddings = storable(embed_features(self.features, towers))
        with TemporaryDirectory() as folder:
            path = Path(folder) / "shop"
            write_shop(self.catalogue, towers, [(embeddings, fuse(embeddings, fusion))], path)
            yield open_shop(path, TowersEncoder(towers))


def cross_views(embeddings: Embeddings, groups: Labels, fusion: Fusion) -> Protocols:
    """The four cross-view protocols on held-out listings.

    groups: (N,) equal for listings that are relevant to each other

    title->photos, description->photos: a text asks for the mean of a listing's photos under the marginals
    photo->title, photo->primary-photo: a photo other than the first asks for a title, or a first photo
    The text that asks is left out of the agreement that weighs the photos, so that it cannot help itself.
    """
    photos, primary = embeddings.photo_views, embeddings.photo_views.offsets[:-1][embeddings.photo_views.counts > 0]
    with_photos = np.flatnonzero(photos.counts > 0)
    found: Protocols = {}
    for text in ("title", "description"):
        asking = np.array([name == text for name in embeddings.text_views.names], dtype=np.bool_)
        asking &= np.isin(embeddings.text_views.owners, with_photos)
        if asking.any():
            others = replace(
                embeddings, text_views=embeddings.text_views.keep(~asking), texts=embeddings.texts[~asking]
            )
            means = barycentres(others, fusion.marginals, "photo")[0][with_photos]
            means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
            owners = embeddings.text_views.owners[asking]
            values = cross_view(embeddings.texts[asking], means, (groups[owners], groups[with_photos]))
            found[f"{text}->photos"] = _by_name(values, owners)
    auxiliary = np.setdiff1d(np.arange(len(embeddings.photos)), primary)
    titles = embeddings.text_views.offsets[:-1]
    if len(auxiliary):
        asking_groups = groups[photos.owners[auxiliary]]
        for name, candidates, labels in (
            ("photo->title", embeddings.texts[titles], groups),
            ("photo->primary-photo", embeddings.photos[primary], groups[with_photos]),
        ):
            values = cross_view(embeddings.photos[auxiliary], candidates, (asking_groups, labels))
            found[name] = _by_name(values, auxiliary)
    return found


def _by_name(values: dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]], queries: Labels) -> PerQuery:
    return {name: {str(q): float(v) for q, v in zip(queries, each, strict=True)} for name, each in values.items()}
