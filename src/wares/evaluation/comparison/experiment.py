"""Comparison of pretraining methods on one catalogue, at equal wall-clock and at equal epochs.

Cross-view protocols hold out 30 % of the listings and train on the rest; views of held-out listings are the queries.
Groups of duplicates (wares.data.duplicates) are never split, and listings of a group are relevant to each other.
Query → listing trains on the whole catalogue, without labels, and ranks it for judged queries. Queries are the same for
all methods: joint-text trains on one joined text and the first photo, and is also queried with single texts and photos.

The wall-clock budget is not timed during training, because other load on the machine would change it. Epochs of all
methods are timed in turn, and the median seconds convert the budget to a number of epochs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import torch

from wares.core.errors import EvaluationError
from wares.core.progress import progress
from wares.data.duplicates import MIN_GROUPS, duplicate_groups, group_count, split_by_group
from wares.data.views import with_joint_text
from wares.encoders.features import CatalogueFeatures, catalogue_features, embed_features, project_features
from wares.encoders.fusion import fuse
from wares.encoders.marginals import SampledViews, all_views
from wares.encoders.registry import build_towers
from wares.encoders.settings import Fusion
from wares.encoders.towers import Towers
from wares.evaluation.comparison.protocols import measure_cross_view_protocols
from wares.evaluation.comparison.results import (
    HYBRID_SUFFIX,
    QUERY_PROTOCOL,
    SINGLE_VIEW_ALL_FUSED,
    TRANSPORT_METHODS,
    Comparison,
    ComparisonResult,
    Cost,
    ProtocolValues,
    SelectedWeights,
)
from wares.evaluation.measures import PerQuery, Qrels, measure
from wares.evaluation.systems import BASELINES, RUN_DEPTH, shop_runs
from wares.shop.build import summarize_catalogue, write_shop
from wares.shop.content_diff import content_hashes
from wares.shop.encoder import TowersEncoder
from wares.shop.searching import run_queries
from wares.shop.shop import Shop, open_shop
from wares.shop.table import EmbeddedListings, round_to_float16
from wares.training.pretraining import pretrain, sample_views
from wares.training.records import TrainingRecord
from wares.training.settings import Method, PretrainSettings, method_fusion
from wares.training.weight_selection import WeightSelection, select_weights, selectable_weights, with_weights

if TYPE_CHECKING:
    from wares.data.listings import Catalogue, Query
    from wares.encoders.base import Features
    from wares.encoders.features import Vectors
    from wares.evaluation.cross_view import GroupLabels
    from wares.ranking.scoring import Indices


HELD_OUT_FRACTION = 0.3  # of the listings, in cross-view protocols
TIMED_EPOCHS = 5  # of each method, after one warm-up epoch


@dataclass(frozen=True)
class EncodedCatalogue:
    """A catalogue and the features of its views."""

    catalogue: Catalogue
    features: CatalogueFeatures


@dataclass(frozen=True)
class JudgedQueries:
    """Queries and judgments of the query → listing protocol. Judgments are read for measuring only."""

    queries: Sequence[Query]
    qrels: Qrels


@dataclass(frozen=True)
class TrainedMethod:
    """Result of training one method: system -> values, and the seconds of training."""

    values: dict[str, ProtocolValues]
    seconds: float


def compare(
    corpus: EncodedCatalogue,
    towers: str,
    methods: Sequence[PretrainSettings],
    seeds: int = 3,
    judged: JudgedQueries | None = None,
    select: bool = True,
    cache: Path | None = None,
) -> ComparisonResult:
    """Train every method with every seed, at equal wall-clock and at equal epochs, and measure the systems.

    corpus: with features of the towers named `towers`
    methods: settings of each method; `seeds` replaces their seed. Single-view fuses its primary views only, and has a
        second, stronger system with all views fused
    judged: adds the query → listing protocol and its baselines BM25, dense, and their hybrid
    select: select the weights of views for each seed, without labels (wares.training.weight_selection), with the first
        method that has transport, on the listings that are not held out; all methods with transport use them. The
        seconds of the selection are reported apart
    cache: folder of cached features, for the joined texts of joint-text

    The wall-clock budget is the time of the first method's epochs, with its settings as passed. Raises EvaluationError
    for fewer than 10 groups of duplicates, and without both photos and judged queries.

    Example:
        >>> from pathlib import Path
        >>> from wares import Catalogue, Listing, PretrainSettings, Query, build_towers, compare
        >>> from wares.encoders.features import catalogue_features
        >>> from wares.evaluation.comparison.experiment import EncodedCatalogue, JudgedQueries
        >>> catalogue = Catalogue(Path("."), tuple(Listing(str(i), f"mug {i}", "a mug") for i in range(12)))
        >>> corpus = EncodedCatalogue(catalogue, catalogue_features(catalogue, build_towers("small")))
        >>> judged = JudgedQueries([Query("q", "mug 3")], {"q": {"3": 1}})
        >>> result = compare(corpus, "small", [PretrainSettings(epochs=1)], seeds=1, judged=judged)
        >>> result.budgets["equal epochs"].systems("query->listing")
        ['factorized', 'factorized + bm25', 'bm25', 'dense', 'dense-views', 'bm25+dense', 'bm25+dense-views']
    """
    groups = group_count(corpus.features.duplicate_labels)
    if groups < MIN_GROUPS:
        raise EvaluationError(
            f"{len(corpus.catalogue)} listings form {groups} groups of the same product or title: too few to hold some "
            f"out. Compare on {MIN_GROUPS} groups or more."
        )
    if not len(corpus.features.photos) and judged is None:
        raise EvaluationError("there are neither photos nor judged queries. Add one of them to compare methods.")
    experiment = Experiment(corpus, towers, judged, select, cache)
    costs = experiment.measure_costs(methods)
    epochs = {
        "equal wall-clock": equal_wall_clock_epochs(methods, costs),
        "equal epochs": {settings.method: settings.epochs for settings in methods},
    }
    by_seed: list[dict[tuple[Method, int], TrainedMethod]] = [{} for _ in range(seeds)]
    selected: list[SelectedWeights] = []
    with progress(None, "comparing", total=seeds * len(methods), unit="methods") as bar:
        for seed in range(seeds):
            selection = experiment.select_weights_for(methods, seed)
            selected += _selected_weights(selection)
            for method in methods:
                settings = with_selected_weights(replace(method, seed=seed), selection)
                # If both budgets come to the same number of epochs, one training serves both.
                for number in {budget[method.method] for budget in epochs.values()}:
                    by_seed[seed][method.method, number] = experiment.train_and_measure(settings, number)
                bar.update()
    budgets = {
        name: _comparison(
            [{method: trained[method, number] for method, number in budget.items()} for trained in by_seed],
            budget,
            experiment,
        )
        for name, budget in epochs.items()
    }
    return ComparisonResult(budgets, costs, selected, experiment.vector_bytes)


def system_names(methods: Iterable[Method], judged: bool) -> list[str]:
    """Return the names of all systems of a comparison."""
    trained = [name for method in methods for name in systems_of_method(method, Fusion())]
    return [*trained, *(name + HYBRID_SUFFIX for name in trained), *BASELINES] if judged else trained


def systems_of_method(method: Method, fusion: Fusion) -> dict[str, Fusion]:
    """Return the systems of one training of a method: name -> fusion of its views."""
    systems = {str(method): method_fusion(method, fusion)}
    return systems | {SINGLE_VIEW_ALL_FUSED: fusion} if method == "single-view" else systems


def equal_wall_clock_epochs(methods: Sequence[PretrainSettings], costs: Mapping[Method, Cost]) -> dict[Method, int]:
    """Return the number of epochs of each method in the time of the first method's epochs; at least one."""
    first = methods[0]
    budget = first.epochs * costs[first.method].milliseconds
    return {settings.method: max(1, round(budget / costs[settings.method].milliseconds)) for settings in methods}


def _comparison(
    seeds: Sequence[Mapping[Method, TrainedMethod]], epochs: Mapping[Method, int], experiment: Experiment
) -> Comparison:
    tables = [{name: values for run in runs.values() for name, values in run.values.items()} for runs in seeds]
    trained = {name: method for method, run in seeds[0].items() for name in run.values}
    untrained = dict.fromkeys(experiment.untrained_values, 0)
    return Comparison(
        [table | experiment.untrained_values for table in tables],
        {name: mean(runs[method].seconds for runs in seeds) for name, method in trained.items()} | untrained,
        {name: epochs[method] for name, method in trained.items()} | untrained,
        experiment.candidate_counts(len(seeds)),
    )


def with_selected_weights(settings: PretrainSettings, selection: WeightSelection | None) -> PretrainSettings:
    """Return the settings with the selected weights, which only methods with transport have."""
    if selection is None or settings.method not in TRANSPORT_METHODS:
        return settings
    return with_weights(settings, selectable_weights(selection.settings))


def _selected_weights(selection: WeightSelection | None) -> Iterator[SelectedWeights]:
    """The record of a selection, unless there was none."""
    if selection and selection.candidates:
        settings = selection.settings
        weights = {str(name): value for name, value in selectable_weights(settings).items()} | {
            "gamma": settings.fusion.gamma
        }
        yield SelectedWeights(settings.method, settings.seed, weights, len(selection.candidates), selection.seconds)


@dataclass(frozen=True)
class Experiment:
    """One catalogue, and how methods train and are measured on it."""

    corpus: EncodedCatalogue
    towers: str
    judged: JudgedQueries | None
    select: bool
    cache: Path | None

    def catalogue_for(self, method: Method) -> EncodedCatalogue:
        """Return the catalogue that a method trains on and indexes."""
        return self._joint if method == "joint-text" else self.corpus

    def measure_costs(self, methods: Sequence[PretrainSettings]) -> dict[Method, Cost]:
        """Measure the cost of each method on the whole catalogue: medians of alternating epochs."""
        towers = build_towers(self.towers)
        milliseconds: dict[Method, list[float]] = defaultdict(list)
        for _, settings in product(range(1 + TIMED_EPOCHS), methods):
            record = pretrain(self.catalogue_for(settings.method).features, towers, replace(settings, epochs=1))
            milliseconds[settings.method].append(1000 * record.seconds / record.listings)
        return {
            settings.method: self._cost(settings, median(milliseconds[settings.method][1:])) for settings in methods
        }

    def _cost(self, settings: PretrainSettings, milliseconds: float) -> Cost:
        marginals = method_fusion(settings.method, settings.fusion).marginals
        features = self.catalogue_for(settings.method).features
        trained, indexed = [], []
        for modality, views, primary in (
            ("photo", features.photo_views, marginals.alpha),
            ("text", features.text_views, marginals.beta),
        ):
            counts = torch.from_numpy(views.counts)
            draws = torch.zeros(len(counts), dtype=torch.float64)  # any draw samples as many views
            trained.append(mean_views_per_listing(sample_views(settings.method, counts, primary, draws)))
            indexed.append(mean_views_per_listing(all_views(counts, marginals.primary_weight(modality))))
        return Cost(trained[0], trained[1], milliseconds, sum(indexed))

    def select_weights_for(self, methods: Sequence[PretrainSettings], seed: int) -> WeightSelection | None:
        """Select weights with the first method that has transport, on the listings that are not held out."""
        first = next((settings for settings in methods if settings.method in TRANSPORT_METHODS), None)
        if not self.select or first is None or not len(self.corpus.features.photos):
            return None
        training, _ = self._split(seed)
        return select_weights(self.corpus.features.select(training), self.towers, replace(first, seed=seed))

    def train_and_measure(self, settings: PretrainSettings, epochs: int) -> TrainedMethod:
        """Train one method twice: without the held-out listings for cross-view protocols, on all for the queries."""
        settings = replace(settings, epochs=epochs)
        values: dict[str, ProtocolValues] = defaultdict(dict)
        seconds = 0.0
        if len(self.corpus.features.photos):
            training, held_out = self._split(settings.seed)
            towers, record = self._train(training, settings)
            seconds += record.seconds
            embeddings = embed_features(self.corpus.features.select(held_out), towers)
            for name, fusion in systems_of_method(settings.method, settings.fusion).items():
                values[name] |= measure_cross_view_protocols(embeddings, self._groups[held_out], fusion)
        if self.judged is not None:
            towers, record = self._train(np.arange(len(self.corpus.catalogue)), settings)
            seconds += record.seconds
            for name, fusion in systems_of_method(settings.method, settings.fusion).items():
                measured = self._measure_queries(self.catalogue_for(settings.method), towers, fusion, self.judged)
                values[name][QUERY_PROTOCOL] = measured["fused"]
                values[name + HYBRID_SUFFIX][QUERY_PROTOCOL] = measured["fused+bm25"]
        return TrainedMethod(dict(values), seconds)

    @cached_property
    def untrained_values(self) -> dict[str, ProtocolValues]:
        """Values of the systems without training: BM25, the untrained text tower, and their hybrid."""
        if self.judged is None:
            return {}
        with self._shop(self.corpus, build_towers(self.towers), Fusion()) as shop:
            runs = shop_runs(shop, self.judged.queries, RUN_DEPTH)
        return {name: {QUERY_PROTOCOL: measure(runs[name], self.judged.qrels)} for name in BASELINES}

    def candidate_counts(self, seeds: int) -> dict[str, int]:
        """Return protocol -> number of listings ranked, the maximum over seeds."""
        held_out = [self._split(seed)[1] for seed in range(seeds)]
        with_photos = max(int((self.corpus.features.photo_views.counts[part] > 0).sum()) for part in held_out)
        photos = dict.fromkeys(("title->photos", "description->photos", "photo->primary-photo"), with_photos)
        return photos | {"photo->title": len(held_out[0]), QUERY_PROTOCOL: len(self.corpus.catalogue)}

    @property
    def vector_bytes(self) -> int:
        """Size of a fused embedding in a shop."""
        return build_towers(self.towers).dimension * np.dtype(np.float32).itemsize

    @cached_property
    def _joint(self) -> EncodedCatalogue:
        """The catalogue of joint-text, with one text per listing. Duplicates are those of the original catalogue."""
        catalogue = with_joint_text(self.corpus.catalogue)
        features = catalogue_features(catalogue, build_towers(self.towers), self.cache, "skip")
        return EncodedCatalogue(catalogue, replace(features, duplicate_labels=self.corpus.features.duplicate_labels))

    @cached_property
    def _queries(self) -> dict[str, Features]:
        """Text -> frozen features of the queries, which training does not change."""
        texts = [query.text for query in self.judged.queries] if self.judged else []
        return dict(zip(texts, build_towers(self.towers).text.features(texts), strict=True))

    @cached_property
    def _groups(self) -> GroupLabels:
        return duplicate_groups(self.corpus.features.duplicate_labels)

    def _split(self, seed: int) -> tuple[Indices, Indices]:
        """Indices of the listings to train on, and of those held out."""
        return split_by_group(self.corpus.features.duplicate_labels, HELD_OUT_FRACTION, seed)

    def _train(self, listings: Indices, settings: PretrainSettings) -> tuple[Towers, TrainingRecord]:
        towers = build_towers(self.towers, settings.seed)
        settings = replace(settings, fusion=method_fusion(settings.method, settings.fusion))
        return towers, pretrain(self.catalogue_for(settings.method).features.select(listings), towers, settings)

    def _measure_queries(
        self, corpus: EncodedCatalogue, towers: Towers, fusion: Fusion, judged: JudgedQueries
    ) -> dict[str, PerQuery]:
        with self._shop(corpus, towers, fusion) as shop:
            runs = {
                "fused": run_queries(shop, judged.queries, RUN_DEPTH, "fused"),
                "fused+bm25": run_queries(shop, judged.queries, RUN_DEPTH, "fused+bm25"),
            }
        return {name: measure(run, judged.qrels) for name, run in runs.items()}

    @contextmanager
    def _shop(self, corpus: EncodedCatalogue, towers: Towers, fusion: Fusion) -> Iterator[Shop]:
        towers.fusion = fusion
        embeddings = round_to_float16(embed_features(corpus.features, towers))
        with TemporaryDirectory() as folder:
            path = Path(folder) / "shop"
            chunk = EmbeddedListings(
                corpus.catalogue, embeddings, fuse(embeddings, fusion), content_hashes(corpus.catalogue)
            )
            write_shop(summarize_catalogue(corpus.catalogue), TowersEncoder(towers), [chunk], path)
            yield open_shop(path, CachedQueryEncoder(towers, self._queries))


class CachedQueryEncoder(TowersEncoder):
    """Encoder of queries whose frozen features are precomputed. features: text -> features"""

    def __init__(self, towers: Towers, features: Mapping[str, Features]) -> None:
        super().__init__(towers)
        self._text, self._dimension, self._features = towers.text, towers.dimension, features

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """Return (n, d) unit vectors of texts in `features`."""
        return project_features(self._text, np.stack([self._features[text] for text in texts]), self._dimension)


def mean_views_per_listing(sampled: SampledViews) -> float:
    """Return the mean number of views with a positive weight."""
    return float((sampled.weights > 0).sum()) / len(sampled.weights)
