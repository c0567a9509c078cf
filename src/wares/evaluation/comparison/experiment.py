"""Pretraining methods side by side on one catalogue, at equal wall-clock and at equal epochs.

Cross-view protocols hold out 30 % of the listings, train on the rest, and ask one view of a held-out listing
for another. Query → listing trains on the whole catalogue, which needs no labels, and ranks it for the given
queries. Listings of the same product, or else of the same title, are relevant to each other. Every method is asked
the same: joint-text, which trains on one joined text and the first photo, is asked with single texts and photos as
well, and answers for a listing with its first photo.

Equal wall-clock is not timed while it happens: what else the machine does would decide. An epoch of each method is
timed in turn, several times over, and the budget is translated into a number of epochs by the medians.
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
import numpy.typing as npt
import torch

from wares.core.errors import EvaluationError
from wares.core.progress import progress
from wares.data.duplicates import relevance_groups
from wares.data.views import with_joint_text
from wares.encoders.features import CatalogueFeatures, Embeddings, catalogue_features, embed_features, project_features
from wares.encoders.fusion import barycentres, fuse
from wares.encoders.marginals import SampledViews as ChosenViews
from wares.encoders.marginals import all_views
from wares.encoders.registry import build_towers
from wares.encoders.settings import Fusion
from wares.encoders.towers import Towers
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
from wares.evaluation.cross_view import measure_cross_view
from wares.evaluation.measures import PerQuery, Qrels, measure
from wares.evaluation.systems import RUN_DEPTH, shop_runs
from wares.shop.build import summarize_catalogue, write_shop
from wares.shop.content import content_hashes
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
    from wares.evaluation.cross_view import Floats, GroupLabels


ListingIds = npt.NDArray[np.object_]
HELD_OUT_FRACTION = 0.3
TIMED_EPOCHS = 5  # epochs of each method that are timed, after one that is not
UNTRAINED_SYSTEMS = ("bm25", "dense", "bm25+dense")


@dataclass(frozen=True)
class EncodedCatalogue:
    """A catalogue and the features of its views, as a method is given them."""

    catalogue: Catalogue
    features: CatalogueFeatures


@dataclass(frozen=True)
class JudgedQueries:
    """Queries with judgments, for the query → listing protocol. Judgments are for measuring only."""

    queries: Sequence[Query]
    qrels: Qrels


@dataclass(frozen=True)
class TrainedMethod:
    """One trained method: its values by the name they are reported under, and the seconds of training."""

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
    """Train every method with every seed, for equal wall-clock and for equal epochs.

    corpus: with features under `towers`
    methods: settings of each method; the seed is set here. Single-view fuses its primary views alone, and is
        reported once more with all views fused, which is a stronger baseline
    judged: adds the query → listing protocol and its baselines BM25, dense, and their hybrid
    select: what views weigh is chosen (wares.training.weight_selection) for each seed, with the first method that has transport and
        from listings that are not held out, for all methods with transport; the time of it is reported apart
    cache: where features are kept, for the texts that joint-text joins

    The wall-clock is what the first method needs for its epochs, with the settings given. Raises EvaluationError
    where there is nothing to compare.
    """
    if len(corpus.catalogue) < 10:
        raise EvaluationError(f"{len(corpus.catalogue)} listings are too few to hold some out; compare needs 10.")
    if not len(corpus.features.photos) and judged is None:
        raise EvaluationError("there are neither photos nor judged queries, so there is nothing to compare.")
    trial = Experiment(corpus, towers, judged, select, cache)
    costs = trial.measure_costs(methods)
    epochs = {
        "equal wall-clock": equal_wall_clock_epochs(methods, costs),
        "equal epochs": {settings.method: settings.epochs for settings in methods},
    }
    outcomes: list[dict[tuple[Method, int], TrainedMethod]] = [{} for _ in range(seeds)]
    choices: list[SelectedWeights] = []
    with progress(None, "comparing", total=seeds * len(methods), unit="methods") as bar:
        for seed in range(seeds):
            choice = trial.select_weights_for(methods, seed)
            choices += _chosen(choice)
            for given in methods:
                settings = with_selected_weights(replace(given, seed=seed), choice)
                # A run follows from its settings: where both budgets come to the same epochs, one run serves both.
                for n in {budget[given.method] for budget in epochs.values()}:
                    outcomes[seed][given.method, n] = trial.train_and_measure(settings, n)
                bar.update()
    found = {
        name: _comparison([{each: row[each, n] for each, n in budget.items()} for row in outcomes], budget, trial)
        for name, budget in epochs.items()
    }
    return ComparisonResult(found, costs, choices, trial.vector_bytes)


def system_names(methods: Iterable[Method], judged: bool) -> list[str]:
    """What the systems of a comparison are called."""
    trained = [name for method in methods for name in systems_of_method(method, Fusion())]
    return [*trained, *(name + HYBRID_SUFFIX for name in trained), *UNTRAINED_SYSTEMS] if judged else trained


def systems_of_method(method: Method, fusion: Fusion) -> dict[str, Fusion]:
    """The systems that one training of a method makes: name -> how its views are fused."""
    found = {str(method): method_fusion(method, fusion)}
    return found | {SINGLE_VIEW_ALL_FUSED: fusion} if method == "single-view" else found


def equal_wall_clock_epochs(methods: Sequence[PretrainSettings], costs: Mapping[Method, Cost]) -> dict[Method, int]:
    """The passes over the listings that each method makes in the time of the first one's epochs; at least one."""
    first = methods[0]
    budget = first.epochs * costs[first.method].milliseconds
    return {each.method: max(1, round(budget / costs[each.method].milliseconds)) for each in methods}


def _comparison(
    seeds: Sequence[Mapping[Method, TrainedMethod]], epochs: Mapping[Method, int], trial: Experiment
) -> Comparison:
    tables = [{name: row for run in runs.values() for name, row in run.values.items()} for runs in seeds]
    trained = {name: method for method, run in seeds[0].items() for name in run.values}
    untrained = dict.fromkeys(trial.untrained_values, 0)
    return Comparison(
        [table | trial.untrained_values for table in tables],
        {name: mean(runs[method].seconds for runs in seeds) for name, method in trained.items()} | untrained,
        {name: epochs[method] for name, method in trained.items()} | untrained,
        trial.candidate_counts(len(seeds)),
    )


def with_selected_weights(settings: PretrainSettings, choice: WeightSelection | None) -> PretrainSettings:
    """The settings with the chosen weights, where the method couples views; the others have no such weights."""
    return (
        with_weights(settings, selectable_weights(choice.settings))
        if choice and settings.method in TRANSPORT_METHODS
        else settings
    )


def _chosen(choice: WeightSelection | None) -> Iterator[SelectedWeights]:
    """What was chosen, where there was a choice."""
    if choice and choice.candidates:
        settings = choice.settings
        weights = {str(name): value for name, value in selectable_weights(settings).items()} | {
            "gamma": settings.fusion.gamma
        }
        yield SelectedWeights(settings.method, settings.seed, weights, len(choice.candidates), choice.seconds)


@dataclass(frozen=True)
class Experiment:
    """One catalogue on which methods are tried."""

    corpus: EncodedCatalogue
    towers: str
    judged: JudgedQueries | None
    select: bool
    cache: Path | None

    def catalogue_for(self, method: Method) -> EncodedCatalogue:
        """What a method is given to train on and to index."""
        return self._joint if method == "joint-text" else self.corpus

    def measure_costs(self, methods: Sequence[PretrainSettings]) -> dict[Method, Cost]:
        """What each method costs, on the whole catalogue; the methods take turns, and the median counts."""
        towers = build_towers(self.towers)
        spent: dict[Method, list[float]] = defaultdict(list)
        for _, settings in product(range(1 + TIMED_EPOCHS), methods):
            record = pretrain(self.catalogue_for(settings.method).features, towers, replace(settings, epochs=1))
            spent[settings.method].append(1000 * record.seconds / record.listings)
        return {each.method: self._cost(each, median(spent[each.method][1:])) for each in methods}

    def _cost(self, settings: PretrainSettings, milliseconds: float) -> Cost:
        marginals = method_fusion(settings.method, settings.fusion).marginals
        features = self.catalogue_for(settings.method).features
        stepped, indexed = [], []
        for modality, views, primary in (
            ("photo", features.photo_views, marginals.alpha),
            ("text", features.text_views, marginals.beta),
        ):
            counts = torch.from_numpy(views.counts)
            draws = torch.zeros(len(counts), dtype=torch.float64)  # which view is drawn is not how many are
            stepped.append(mean_views_per_listing(sample_views(settings.method, counts, primary, draws)))
            indexed.append(mean_views_per_listing(all_views(counts, marginals.primary_weight(modality))))
        return Cost(stepped[0], stepped[1], milliseconds, sum(indexed))

    def select_weights_for(self, methods: Sequence[PretrainSettings], seed: int) -> WeightSelection | None:
        """What views weigh, by the first method that couples them, on the listings that are not held out."""
        first = next((each for each in methods if each.method in TRANSPORT_METHODS), None)
        if not self.select or first is None or not len(self.corpus.features.photos):
            return None
        training, _ = self._split(seed)
        return select_weights(self.corpus.features.select(training), self.towers, replace(first, seed=seed))

    def train_and_measure(self, settings: PretrainSettings, epochs: int) -> TrainedMethod:
        """Train one method, on a part for the cross-view protocols and on the whole for the queries."""
        settings = replace(settings, epochs=epochs)
        values: dict[str, ProtocolValues] = defaultdict(dict)
        seconds = 0.0
        if len(self.corpus.features.photos):
            training, held_out = self._split(settings.seed)
            towers, record = self._train(training, settings)
            seconds += record.seconds
            embeddings = embed_features(self.corpus.features.select(held_out), towers)
            for name, fusion in systems_of_method(settings.method, settings.fusion).items():
                values[name] |= measure_cross_view_protocols(
                    embeddings, self._groups[held_out], self._ids[held_out], fusion
                )
        if self.judged is not None:
            towers, record = self._train(np.arange(len(self.corpus.catalogue)), settings)
            seconds += record.seconds
            for name, fusion in systems_of_method(settings.method, settings.fusion).items():
                found = self._ranked(self.catalogue_for(settings.method), towers, fusion, self.judged)
                values[name][QUERY_PROTOCOL] = found["fused"]
                values[name + HYBRID_SUFFIX][QUERY_PROTOCOL] = found["fused+bm25"]
        return TrainedMethod(dict(values), seconds)

    @cached_property
    def untrained_values(self) -> dict[str, ProtocolValues]:
        """What needs no training: BM25, the untrained text tower, and both together."""
        if self.judged is None:
            return {}
        with self._shop(self.corpus, build_towers(self.towers), Fusion()) as shop:
            runs = shop_runs(shop, self.judged.queries, RUN_DEPTH)
        return {name: {QUERY_PROTOCOL: measure(runs[name], self.judged.qrels)} for name in UNTRAINED_SYSTEMS}

    def candidate_counts(self, seeds: int) -> dict[str, int]:
        """Protocol -> how many listings are ranked, at most over the seeds."""
        held_out = [self._split(seed)[1] for seed in range(seeds)]
        with_photos = max(int((self.corpus.features.photo_views.counts[part] > 0).sum()) for part in held_out)
        photos = dict.fromkeys(("title->photos", "description->photos", "photo->primary-photo"), with_photos)
        return photos | {"photo->title": len(held_out[0]), QUERY_PROTOCOL: len(self.corpus.catalogue)}

    @property
    def vector_bytes(self) -> int:
        """Of a fused embedding as the shop keeps it."""
        return build_towers(self.towers).dimension * np.dtype(np.float32).itemsize

    @cached_property
    def _joint(self) -> EncodedCatalogue:
        """The catalogue as joint-text sees it; which listings are one item is known from the catalogue as it is."""
        catalogue = with_joint_text(self.corpus.catalogue)
        features = catalogue_features(catalogue, build_towers(self.towers), self.cache, "skip")
        return EncodedCatalogue(catalogue, replace(features, duplicate_labels=self.corpus.features.duplicate_labels))

    @cached_property
    def _queries(self) -> dict[str, Features]:
        """Frozen features of the queries' texts; no training changes them."""
        texts = [query.text for query in self.judged.queries] if self.judged else []
        return dict(zip(texts, build_towers(self.towers).text.features(texts), strict=True))

    @cached_property
    def _groups(self) -> GroupLabels:
        return relevance_groups(self.corpus.catalogue.listings)

    @cached_property
    def _ids(self) -> ListingIds:
        return np.array([listing.id for listing in self.corpus.catalogue.listings], dtype=np.object_)

    def _split(self, seed: int) -> tuple[GroupLabels, GroupLabels]:
        order = np.random.default_rng(seed).permutation(len(self.corpus.catalogue))
        cut = round(len(order) * (1 - HELD_OUT_FRACTION))
        return np.sort(order[:cut]), np.sort(order[cut:])

    def _train(self, listings: GroupLabels, settings: PretrainSettings) -> tuple[Towers, TrainingRecord]:
        towers = build_towers(self.towers, settings.seed)
        settings = replace(settings, fusion=method_fusion(settings.method, settings.fusion))
        return towers, pretrain(self.catalogue_for(settings.method).features.select(listings), towers, settings)

    def _ranked(
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
    """Towers as the encoder of queries whose frozen features are there already. features: by text"""

    def __init__(self, towers: Towers, features: Mapping[str, Features]) -> None:
        super().__init__(towers)
        self._text, self._dimension, self._features = towers.text, towers.dimension, features

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        return project_features(self._text, np.stack([self._features[text] for text in texts]), self._dimension)


def mean_views_per_listing(sampled: ChosenViews) -> float:
    """How many views are encoded per listing, on average."""
    return float((sampled.weights > 0).sum()) / len(sampled.weights)


def measure_cross_view_protocols(
    embeddings: Embeddings, groups: GroupLabels, ids: ListingIds, fusion: Fusion
) -> ProtocolValues:
    """The four cross-view protocols on held-out listings: values by the id of the listing that asks.

    groups: (N,) equal for listings that are relevant to each other; ids: (N,)

    title->photos, description->photos: a text asks for the mean of a listing's photos under the marginals
    photo->title, photo->primary-photo: the photos other than the first ask, one by one, for a title, or for a first
        photo; a listing's value is the mean over its photos, so that every listing counts once
    The text that asks is left out of the agreement that weighs the photos, so that it cannot help itself.
    """
    photos, primary = embeddings.photo_views, embeddings.photo_views.offsets[:-1][embeddings.photo_views.counts > 0]
    with_photos = np.flatnonzero(photos.counts > 0)
    found: ProtocolValues = {}
    for text in ("title", "description"):
        asking = np.array([name == text for name in embeddings.text_views.names], dtype=np.bool_)
        asking &= np.isin(embeddings.text_views.owners, with_photos)
        if asking.any():
            others = replace(
                embeddings, text_views=embeddings.text_views.filter(~asking), texts=embeddings.texts[~asking]
            )
            means = barycentres(others, fusion.marginals, "photo")[0][with_photos]
            means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
            owners = embeddings.text_views.owners[asking]
            values = measure_cross_view(embeddings.texts[asking], means, (groups[owners], groups[with_photos]))
            found[f"{text}->photos"] = _by_listing(values, ids[owners])
    auxiliary = np.setdiff1d(np.arange(len(embeddings.photos)), primary)
    titles = embeddings.text_views.offsets[:-1]
    if len(auxiliary):
        owners = photos.owners[auxiliary]
        for name, candidates, labels in (
            ("photo->title", embeddings.texts[titles], groups),
            ("photo->primary-photo", embeddings.photos[primary], groups[with_photos]),
        ):
            values = measure_cross_view(embeddings.photos[auxiliary], candidates, (groups[owners], labels))
            found[name] = _by_listing(values, ids[owners])
    return found


def _by_listing(values: Mapping[str, Floats], owners: ListingIds) -> PerQuery:
    """Each listing's mean over its views that asked. values: measure -> (Q,); owners: (Q,) ids"""
    names, places = np.unique(owners, return_inverse=True)
    counts = np.bincount(places)
    return {
        name: dict(zip(names.tolist(), (np.bincount(places, each) / counts).tolist(), strict=True))
        for name, each in values.items()
    }
