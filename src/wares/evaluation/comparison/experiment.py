"""Comparison of pretraining methods on one catalogue, each at the number of epochs that its own validation selects.

Cross-view protocols hold out 30 % of the listings and train on the rest; views of held-out listings are the queries.
Groups of duplicates (wares.data.duplicates) are never split, and listings of a group are relevant to each other.
Query → listing trains on the whole catalogue, without labels, and ranks it for judged queries. Queries are the same for
all methods: joint-text trains on one joined text and the first photo, and is also queried with single texts and photos.

A method is compared as it is best, as far as can be known without labels: `validation` selects its number of epochs and
its fusion for each of these two trainings, on the listings that it trains on. How towers are trained and how views are
fused are two factors, so every method is also measured with the fusions of the others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
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
from wares.data.runs import Run
from wares.data.views import with_joint_text
from wares.encoders.features import CatalogueFeatures, catalogue_features, embed_features, project_features
from wares.encoders.fusion import fuse
from wares.encoders.marginals import SampledViews, all_views
from wares.encoders.registry import build_towers
from wares.encoders.settings import Fusion
from wares.encoders.towers import Towers
from wares.evaluation.comparison.protocols import measure_cross_view_protocols
from wares.evaluation.comparison.results import (
    FUSED_PROTOCOLS,
    HYBRID_SUFFIX,
    QUERY_PROTOCOL,
    TRANSPORT_METHODS,
    Comparison,
    ComparisonResult,
    Cost,
    ProtocolValues,
    SelectedWeights,
    System,
    Training,
)
from wares.evaluation.comparison.validation import FUSIONS, OWN, Validation, fusions_of_method, validate
from wares.evaluation.measures import DEFAULT_MEASURES, POOLED_MEASURES, Qrels, is_pooled, measure
from wares.evaluation.systems import BASELINES, RUN_DEPTH, shop_runs, vectors_run
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
    """Result of training one method with one seed.

    validations: training -> what was selected for it
    values: system -> values; of the method's row, its row fused with BM25, and its cells
    seconds: of validation and training
    """

    validations: dict[Training, Validation]
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
    """Train every method with every seed, as long as its validation selects, and measure it with every fusion.

    corpus: with features of the towers named `towers`
    methods: settings of each method; `seeds` replaces their seed, and their epochs are the ceiling of validation
    judged: adds the query → listing protocol and the untrained baselines
    select: select the weights of views for each seed, without labels (wares.training.weight_selection), with the first
        method that has transport, on the listings that are not held out; all methods with transport use them. The
        seconds of the selection are reported apart
    cache: folder of cached features, for the joined texts of joint-text

    Raises EvaluationError for fewer than 10 groups of duplicates, and without both photos and judged queries.

    Example:
        >>> from pathlib import Path
        >>> from wares import Catalogue, Listing, PretrainSettings, Query, build_towers, compare
        >>> from wares.encoders.features import catalogue_features
        >>> from wares.evaluation.comparison.experiment import EncodedCatalogue, JudgedQueries
        >>> catalogue = Catalogue(Path("."), tuple(Listing(str(i), f"mug {i}", "a mug") for i in range(12)))
        >>> corpus = EncodedCatalogue(catalogue, catalogue_features(catalogue, build_towers("small")))
        >>> judged = JudgedQueries([Query("q", "mug 3")], {"q": {"3": 1}})
        >>> result = compare(corpus, "small", [PretrainSettings(epochs=1)], seeds=1, judged=judged)
        >>> result.comparison.rows("query->listing")
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
    runs: dict[Method, list[TrainedMethod]] = {settings.method: [] for settings in methods}
    selected: list[SelectedWeights] = []
    with progress(None, "comparing", total=seeds * len(methods), unit="methods") as bar:
        for seed in range(seeds):
            selection = experiment.select_weights_for(methods, seed)
            selected += _selected_weights(selection)
            for method in methods:
                settings = with_selected_weights(replace(method, seed=seed), selection)
                runs[method.method].append(experiment.train_and_measure(settings))
                bar.update()
    validations: dict[Training, list[Validation]] = defaultdict(list)
    for run in (run for by_seed in runs.values() for run in by_seed):
        for training, validation in run.validations.items():
            validations[training].append(validation)
    comparison = Comparison(
        [
            {name: row for by_seed in runs.values() for name, row in by_seed[seed].values.items()}
            | experiment.untrained_values
            for seed in range(seeds)
        ],
        systems_of(runs, judged is not None),
        experiment.candidate_counts(seeds),
    )
    return ComparisonResult(comparison, costs, validations, selected, experiment.vector_bytes)


def systems_of(runs: Mapping[Method, Sequence[TrainedMethod]], judged: bool) -> dict[str, System]:
    """Return the systems of a comparison by name: rows of trained methods, untrained baselines, then cells.

    runs: method -> run of each seed; none yet for the names alone
    """
    rows: dict[str, System] = {}
    hybrids: dict[str, System] = {}
    cells: dict[str, System] = {}
    for method, by_seed in runs.items():
        row = System(method, seconds=mean(run.seconds for run in by_seed) if by_seed else 0.0)
        rows[str(method)], hybrids[method + HYBRID_SUFFIX] = row, replace(row, hybrid=True)
        cells |= {cell_name(method, fusion): replace(row, fusion=fusion) for fusion in FUSIONS}
    return rows | (hybrids | dict.fromkeys(BASELINES, System()) if judged else {}) | cells


def cell_name(method: Method, fusion: str) -> str:
    """Return the name of a method with a given fusion."""
    return f"{method}, {fusion} fusion"


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

    def train_and_measure(self, settings: PretrainSettings) -> TrainedMethod:
        """Validate and train one method, without held-out listings for cross-view, and on all for the queries."""
        validations: dict[Training, Validation] = {}
        values: dict[str, ProtocolValues] = defaultdict(dict)
        seconds = 0.0
        if len(self.corpus.features.photos):
            training, held_out = self._split(settings.seed)
            towers, validations["cross-view"], record = self._train(training, settings)
            seconds += validations["cross-view"].seconds + record.seconds
            by_fusion = self._measure_cross_view(towers, settings, held_out)
            _add(values, settings.method, by_fusion, validations["cross-view"].fusion)
        if self.judged is not None:
            everything = np.arange(len(self.corpus.catalogue))
            towers, validations["queries"], record = self._train(everything, settings)
            seconds += validations["queries"].seconds + record.seconds
            fusion = validations["queries"].fusion
            by_fusion = self._measure_queries(towers, settings, self.judged)
            _add(values, settings.method, by_fusion, fusion)
            hybrid = self._measure_hybrid(towers, settings, fusion, self.judged)
            values[settings.method + HYBRID_SUFFIX] = hybrid
        return TrainedMethod(validations, dict(values), seconds)

    def _measure_cross_view(
        self, towers: Towers, settings: PretrainSettings, held_out: Indices
    ) -> dict[str, ProtocolValues]:
        """Fusion -> values of the cross-view protocols."""
        embeddings = embed_features(self.corpus.features.select(held_out), towers)
        return {
            name: measure_cross_view_protocols(embeddings, self._groups[held_out], fusion)
            for name, fusion in fusions_of_method(settings.method, settings.fusion).items()
        }

    def _measure_queries(
        self, towers: Towers, settings: PretrainSettings, judged: JudgedQueries
    ) -> dict[str, ProtocolValues]:
        """Fusion -> values of query → listing: cosines with fused embeddings, as the shop's `fused` ranks them."""
        texts = [query.text for query in judged.queries]
        vectors = CachedQueryEncoder(towers, self._queries).encode_texts(texts)
        values: dict[str, ProtocolValues] = {}
        for name, fusion in fusions_of_method(settings.method, settings.fusion).items():
            corpus = self._indexed(settings.method, name)
            fused = fuse(round_to_float16(embed_features(corpus.features, towers)), fusion).vectors
            ids = [listing.id for listing in corpus.catalogue.listings]
            run = vectors_run(fused, ids, vectors, judged.queries)
            values[name] = {QUERY_PROTOCOL: measure(run, judged.qrels, self._query_measures)}
        return values

    def _measure_hybrid(
        self, towers: Towers, settings: PretrainSettings, fusion: str, judged: JudgedQueries
    ) -> ProtocolValues:
        """Values of query → listing of a shop's `fused+bm25`."""
        settings_of_fusion = fusions_of_method(settings.method, settings.fusion)[fusion]
        with self._shop(self._indexed(settings.method, fusion), towers, settings_of_fusion) as shop:
            run = run_queries(shop, judged.queries, RUN_DEPTH, "fused+bm25")
        return {QUERY_PROTOCOL: measure(run, judged.qrels, self._query_measures)}

    def _indexed(self, method: Method, fusion: str) -> EncodedCatalogue:
        """The catalogue whose views are fused: that of the method with its own fusion, else all views."""
        return self.catalogue_for(method) if fusion == OWN else self.corpus

    @cached_property
    def _untrained_runs(self) -> dict[str, Run]:
        """Runs of the systems without training; empty without judged queries."""
        if self.judged is None:
            return {}
        with self._shop(self.corpus, build_towers(self.towers), Fusion()) as shop:
            runs = shop_runs(shop, self.judged.queries, RUN_DEPTH)
        return {name: runs[name] for name in BASELINES}

    @cached_property
    def _query_measures(self) -> tuple[str, ...]:
        """Measures of query → listing: those of pooled judgments as well, if judgments are pooled."""
        pooled = self.judged is not None and is_pooled(self._untrained_runs.values(), self.judged.qrels)
        return (*DEFAULT_MEASURES, *POOLED_MEASURES) if pooled else DEFAULT_MEASURES

    @cached_property
    def untrained_values(self) -> dict[str, ProtocolValues]:
        """Values of the systems without training; empty without judged queries."""
        if self.judged is None:
            return {}
        return {
            name: {QUERY_PROTOCOL: measure(run, self.judged.qrels, self._query_measures)}
            for name, run in self._untrained_runs.items()
        }

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

    def _train(self, listings: Indices, settings: PretrainSettings) -> tuple[Towers, Validation, TrainingRecord]:
        """Train on some listings for as many epochs as validation on them selects."""
        features = self.catalogue_for(settings.method).features.select(listings)
        validation = validate(features, self.corpus.features.select(listings), self.towers, settings)
        towers = build_towers(self.towers, settings.seed)
        fusion = method_fusion(settings.method, settings.fusion)
        settings = replace(settings, epochs=validation.epochs, fusion=fusion)
        return towers, validation, pretrain(features, towers, settings)

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


def _add(
    values: dict[str, ProtocolValues], method: Method, by_fusion: Mapping[str, ProtocolValues], selected: str
) -> None:
    """Add the values of each fusion to its cell, and those of the selected one to the row of the method."""
    values[method] |= by_fusion[selected]
    for fusion, by_protocol in by_fusion.items():
        values[cell_name(method, fusion)] |= {
            protocol: row for protocol, row in by_protocol.items() if protocol in FUSED_PROTOCOLS
        }


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
