"""Effect of the kinds of marginals: weight of each kind of photo, and retrieval.

    python benchmarks/marginals.py [--out benchmarks/results] [--listings 1000] [--seeds 3]

Cost        10 minutes on 2 busy cores, half of it to draw the marketplace and encode its photos; no network.
Writes      marginals.md, marginals.json, and marginals.png in --out.
Expected    agreement leaves size charts, logos and wrong photos .29 to .33 of their fixed weight; learned marginals
            leave charts .04, logos .1, and wrong photos, which look like goods, 1.15. Retrieval hardly changes.

The truth of the sample marketplace (seed 0) has the role of every photo: the goods, or a size chart, a logo, other
goods ("wrong"). Training does not read it. For each kind of marginals and each training seed:

Weights     with towers trained on the whole marketplace: the weight of a photo in the mean of its listing's photos,
            relative to its weight under fixed marginals, for listings of several photos.
Retrieval   nDCG@10 of the fused embeddings for the marketplace's queries, and average precision of the cross-view
            protocols on listings held out from training.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import cyclopts
import numpy as np
from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console

from wares.core.progress import progress
from wares.data.catalogue import read_catalogue
from wares.data.duplicates import duplicate_groups, split_by_group
from wares.data.listings import Catalogue, Query
from wares.data.queries import read_queries
from wares.encoders.features import CatalogueFeatures, Embeddings, catalogue_features, embed_features, embed_texts
from wares.encoders.fusion import barycentres, fuse
from wares.encoders.registry import build_towers
from wares.encoders.settings import Fusion, Marginals
from wares.encoders.towers import Towers
from wares.evaluation.charts import Estimate, draw_dot_chart
from wares.evaluation.comparison.experiment import HELD_OUT_FRACTION
from wares.evaluation.comparison.protocols import measure_cross_view_protocols
from wares.evaluation.measures import Qrels, measure, read_qrels
from wares.samples.marketplace import write_marketplace
from wares.training.pretraining import pretrain
from wares.training.settings import PretrainSettings

KINDS = ("fixed", "agreement", "learned")
ROLES = ("front", "angle", "detail", "in-use", "other-colour", "size-chart", "logo", "wrong")
STRANGE = ("size-chart", "logo", "wrong")  # photos of something other than the goods
PROTOCOLS = ("query->listing", "title->photos", "description->photos", "photo->title", "photo->primary-photo")
Values = dict[str, dict[str, list[float]]]  # kind of marginals -> role or protocol -> one value a seed


@dataclass(frozen=True)
class Marketplace:
    """A sample marketplace with its features and the role of each photo."""

    catalogue: Catalogue
    features: CatalogueFeatures
    queries: list[Query]
    qrels: Qrels
    roles: dict[str, str]

    @classmethod
    def read(cls, folder: Path) -> Marketplace:
        catalogue = read_catalogue(folder)
        rows = [json.loads(line) for line in (folder / "truth.jsonl").read_text(encoding="utf-8").splitlines()]
        return cls(
            catalogue,
            catalogue_features(catalogue, build_towers("offline")),
            read_queries(folder / "queries.jsonl"),
            read_qrels(folder / "qrels.txt"),
            {photo["image"]: photo["role"] for row in rows for photo in row["photos"]},
        )


def trained(features: CatalogueFeatures, kind: Any, seed: int) -> Towers:
    """Return towers pretrained with defaults except for the marginals."""
    towers = build_towers("offline", seed)
    pretrain(features, towers, PretrainSettings(fusion=Fusion(Marginals(kind)), seed=seed))
    return towers


def role_weights(embeddings: Embeddings, marginals: Marginals, roles: dict[str, str]) -> dict[str, float]:
    """Return the mean ratio of each role's weight to its fixed weight, in listings of several photos."""
    weights = barycentres(embeddings, marginals, "photo")[1] / barycentres(embeddings, Marginals("fixed"), "photo")[1]
    several = embeddings.photo_views.counts[embeddings.photo_views.owners] > 1
    ratios = defaultdict(list)
    for name, weight in zip(np.array(embeddings.photo_views.names)[several], weights[several], strict=True):
        ratios[roles[name]].append(float(weight))
    return {role: float(np.mean(ratios[role])) for role in ROLES}


def query_ndcg(market: Marketplace, embeddings: Embeddings, towers: Towers) -> float:
    """nDCG@10 of the fused embeddings."""
    scores = embed_texts([query.text for query in market.queries], towers) @ fuse(embeddings, towers.fusion).vectors.T
    ids = [listing.id for listing in market.catalogue.listings]
    run = {
        query.id: {ids[index]: float(row[index]) for index in np.argsort(-row)[:100]}
        for query, row in zip(market.queries, scores, strict=True)
    }
    return float(np.mean(list(measure(run, market.qrels, ["nDCG@10"])["nDCG@10"].values())))


def cross_view_precision(market: Marketplace, kind: str, seed: int) -> dict[str, float]:
    """Average precision of the cross-view protocols on held-out listings."""
    training, held_out = split_by_group(market.features.duplicate_labels, HELD_OUT_FRACTION, seed)
    towers = trained(market.features.select(training), kind, seed)
    embeddings = embed_features(market.features.select(held_out), towers)
    groups = duplicate_groups(market.features.duplicate_labels)
    protocols = measure_cross_view_protocols(embeddings, groups[held_out], towers.fusion)
    return {protocol: float(np.mean(list(values["AP"].values()))) for protocol, values in protocols.items()}


def run(market: Marketplace, seeds: int) -> tuple[Values, Values]:
    """Weights by role and values by protocol."""
    weights: Values = {kind: defaultdict(list) for kind in KINDS}
    retrieval: Values = {kind: defaultdict(list) for kind in KINDS}
    with progress(None, "training", total=2 * seeds * len(KINDS), unit="runs") as bar:
        for seed in range(seeds):
            for kind in KINDS:
                towers = trained(market.features, kind, seed)
                embeddings = embed_features(market.features, towers)
                for role, weight in role_weights(embeddings, towers.fusion.marginals, market.roles).items():
                    weights[kind][role].append(weight)
                retrieval[kind][PROTOCOLS[0]].append(query_ndcg(market, embeddings, towers))
                bar.update()
                for protocol, value in cross_view_precision(market, kind, seed).items():
                    retrieval[kind][protocol].append(value)
                bar.update()
    return weights, retrieval


def markdown(values: Values, columns: tuple[str, ...], digits: int) -> str:
    """Return a table of mean ± standard deviation over seeds, a row for each kind of marginals."""
    rows = [f"| marginals | {' | '.join(columns).replace('->', ' → ')} |", "|---|" + "---:|" * len(columns)]
    for kind in KINDS:
        by_column = [values[kind][column] for column in columns]
        cells = [f"{np.mean(seeds):.{digits}f} ± {_deviation(seeds):.{digits}f}" for seeds in by_column]
        rows.append(f"| {kind} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _deviation(values: Any) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def verdict(weights: Values) -> list[str]:
    """Return lines that say whether each kind weights photos of other things less than fixed marginals do."""
    lines = []
    for kind in KINDS[1:]:
        for role in STRANGE:
            mean = float(np.mean(weights[kind][role]))
            lines.append(f"{kind}, {role}: {mean:.2f} of the fixed weight, {'less' if mean < 0.95 else 'NOT LESS'}")
    return lines


def draw_weights(weights: Values, out: Path) -> Path:
    """Draw weights by role; error bars are standard deviations over seeds."""
    estimates = {kind: {role: _estimate(weights[kind][role]) for role in ROLES} for kind in KINDS}
    return draw_dot_chart({"Weight of a photo by its role": estimates}, out, "weight in its listing, fixed = 1")


def _estimate(values: list[float]) -> Estimate:
    mean, deviation = float(np.mean(values)), _deviation(values)
    return Estimate(mean, mean - deviation, mean + deviation)


def main(
    out: Annotated[Path, Parameter(help="Folder for the results.")] = Path("benchmarks/results"),
    listings: Annotated[int, Parameter(validator=Number(gte=100), help="Size of the sample marketplace.")] = 1000,
    seeds: Annotated[int, Parameter(validator=Number(gte=1), help="Trainings of each kind.")] = 3,
    catalogue: Annotated[Path | None, Parameter(help="Folder of an existing sample marketplace.")] = None,
) -> None:
    """Measure the effect of marginals on a sample marketplace."""
    console = Console()
    with TemporaryDirectory() as folder:
        if catalogue is None:
            catalogue = Path(folder)
            write_marketplace(catalogue, listings, 0)
        market = Marketplace.read(catalogue)
    weights, retrieval = run(market, seeds)
    chart = draw_weights(weights, out / "marginals.png")
    chart.with_suffix(".json").write_text(json.dumps({"weights": weights, "retrieval": retrieval}, indent=2) + "\n")
    tables = [
        f"# Marginals on a sample marketplace of {len(market.catalogue):,} listings, {seeds} training seeds",
        "Weight of a photo by its role, relative to its weight under fixed marginals:",
        markdown(weights, ROLES, 2),
        "\n".join(f"- {line}" for line in verdict(weights)),
        "Retrieval: nDCG@10 for query → listing, else average precision on held-out listings:",
        markdown(retrieval, PROTOCOLS, 3),
    ]
    chart.with_suffix(".md").write_text("\n\n".join(tables) + "\n", encoding="utf-8")
    console.print("\n\n".join(tables), markup=False, soft_wrap=True)


if __name__ == "__main__":
    cyclopts.run(main)
